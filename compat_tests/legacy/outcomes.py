"""The files that are not read as the same model, with the reason of each.

Whoever mends one removes its row: a listed file that is the same is a failure, and so is a row
that meets no file.
"""

from __future__ import annotations

import dataclasses
import fnmatch

__all__ = ["OUTCOMES", "Outcome", "outcome"]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How files go.

    Attributes:
        title: Their names, as `fnmatch` has patterns.
        word: `refused`, `warned`, or `unwritten` if `tf_keras` itself cannot save the model.
        message: What the error or the warning says, among other things.
        reason: Why it stays so.
    """

    title: str
    word: str
    message: str
    reason: str


_NO_STATE = "The file has no state of optimizer"
_THEIRS = "tf_keras refuses it itself"

_NOT_WRITTEN = "tf_keras does not write what else the operation is of, and cannot read it either"

OUTCOMES: tuple[Outcome, ...] = (
    *(
        Outcome(f"op {call} *", "refused", words, _NOT_WRITTEN)
        for call, words in (
            ("i == j", "does not say what `==` compares"),
            ("i != 2", "does not say what `!=` compares"),
            ("x == y", "does not say what `==` compares"),
            ("x != y", "does not say what `!=` compares"),
            ("tf.einsum(*)", "calls 'tf.einsum' on nothing"),
            ("tf.meshgrid(*)", "does not say which tensors"),
        )
    ),
    *(
        Outcome(f"op {call} .keras", "unwritten", "Ellipsis", _THEIRS)
        for call in ("x[[]..., 1]", "x[[]..., ::2, None]", "x[[]:, 1, ..., tf.newaxis]")
    ),
    Outcome("legacy.*.keras", "warned", _NO_STATE, "tf_keras writes none of them into .keras"),
    Outcome("CategoryEncoding(output_mode='one_hot')", "unwritten", "", _THEIRS),
    Outcome("Discretization(output_mode='one_hot')", "unwritten", "", _THEIRS),
    Outcome("GroupNormalization(axis=1)", "unwritten", "must be a multiple", _THEIRS),
    Outcome("IntegerLookup(num_oov_indices=0)", "unwritten", "", _THEIRS),
    Outcome("IntegerLookup(vocabulary_dtype='int32')", "unwritten", "", _THEIRS),
    Outcome("SpectralNormalization*", "unwritten", "input_spec", _THEIRS),
    Outcome("StringLookup(num_oov_indices=0)", "unwritten", "", _THEIRS),
    Outcome("StringLookup(mask_token='a')", "unwritten", "reserved mask token", _THEIRS),
)


def outcome(title: str) -> Outcome | None:
    """Return the row of a file, if it has one."""
    return next((row for row in OUTCOMES if fnmatch.fnmatchcase(title, row.title)), None)
