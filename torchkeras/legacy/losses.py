"""Losses of Keras 2's backend that `keras.ops` has not in this form, and those of sequences (CTC).

Letters: B batch, T time steps, L labels, C classes.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

import torchkeras.ops as ops  # `from .. import ops` would import the package's root as well

from ..config import epsilon

__all__ = [
    "binary_focal_crossentropy",
    "categorical_focal_crossentropy",
    "ctc_batch_cost",
    "ctc_decode",
    "ctc_label_dense_to_sparse",
    "sparse_categorical_crossentropy",
]

Tensor = torch.Tensor


def sparse_categorical_crossentropy(
    target: Any,
    output: Any,
    from_logits: bool = False,
    axis: int = -1,
    ignore_class: int | None = None,
) -> Any:
    """Crossentropy of class numbers; zero where the class is `ignore_class`."""
    if ignore_class is None:
        return ops.sparse_categorical_crossentropy(target, output, from_logits, axis)
    valid = ops.not_equal(target, ignore_class)
    losses = ops.sparse_categorical_crossentropy(
        ops.where(valid, target, 0), output, from_logits, axis
    )
    return ops.where(valid, losses, 0.0)


def binary_focal_crossentropy(
    target: Any,
    output: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
) -> Any:
    """Crossentropy of each value that counts hard cases more; see the function in `losses`."""
    probabilities = ops.sigmoid(output) if from_logits else output
    of_truth = target * probabilities + (1 - target) * (1 - probabilities)
    losses = (1 - of_truth) ** gamma * ops.binary_crossentropy(target, output, from_logits)
    return (
        losses * (target * alpha + (1 - target) * (1 - alpha)) if apply_class_balancing else losses
    )


def categorical_focal_crossentropy(
    target: Any,
    output: Any,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    axis: int = -1,
) -> Any:
    """Crossentropy of classes that counts hard cases more; see the function in `losses`."""
    output = ops.softmax(output, axis) if from_logits else output
    output = ops.clip(output / ops.sum(output, axis, True), epsilon(), 1 - epsilon())
    return -ops.sum(alpha * (1 - output) ** gamma * target * ops.log(output), axis)


def ctc_batch_cost(y_true: Tensor, y_pred: Tensor, input_length: Any, label_length: Any) -> Tensor:
    """Connectionist temporal classification, with the last class as the blank.

    Args:
        y_true: Labels `(B, L)`.
        y_pred: Probabilities `(B, T, C)`.
        input_length: Valid steps of `y_pred`, `(B, 1)`.
        label_length: Valid labels of `y_true`, `(B, 1)`.

    Returns: Losses, `(B, 1)`.

    Source: Graves et al. 2006.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    scores = torch.log(y_pred.transpose(0, 1) + epsilon()).log_softmax(-1)
    lengths = [ops.cast(n, "int64").reshape(-1) for n in (input_length, label_length)]
    blank = y_pred.shape[-1] - 1
    labels = ops.cast(y_true, "int64")
    return F.ctc_loss(scores, labels, *lengths, blank=blank, reduction="none")[:, None]


def ctc_label_dense_to_sparse(labels: Tensor, label_lengths: Tensor) -> Tensor:
    """Labels `(B, L)` as a sparse tensor of the valid ones.

    >>> labels, lengths = torch.tensor([[1, 2], [3, 4]]), torch.tensor([2, 1])
    >>> ctc_label_dense_to_sparse(labels, lengths).values()
    tensor([1, 2, 3])
    """
    labels, label_lengths = map(ops.convert_to_tensor, (labels, label_lengths))
    valid = torch.arange(labels.shape[1], device=labels.device) < label_lengths.reshape(-1, 1)
    made = torch.sparse_coo_tensor(
        valid.nonzero().T, labels[valid], labels.shape, check_invariants=False
    )
    return made.coalesce()


def ctc_decode(
    y_pred: Tensor,
    input_length: Any,
    greedy: bool = True,
    beam_width: int = 100,
    top_paths: int = 1,
) -> tuple[list[Tensor], Tensor]:
    """The labels that probabilities stand for, with the last class as the blank.

    Args:
        y_pred: `(B, T, C)`.
        input_length: Valid steps, `(B,)`.
        greedy: Take the likeliest class of each step; a beam search is not there.
        beam_width, top_paths: Of that search.

    Returns: A list of one tensor `(B, T)`, filled up with -1, and minus the sums of the logarithms
        of the probabilities, `(B, 1)`.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    scores = torch.log(y_pred + epsilon())
    strategy = "greedy" if greedy else "beam_search"
    decoded, score = ops.ctc_decode(
        scores, input_length, strategy, beam_width, top_paths, mask_index=y_pred.shape[-1] - 1
    )
    return [path.long() for path in decoded], score
