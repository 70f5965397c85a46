"""Where torchkeras is meant to differ from Keras: each a sentence, and how to tell it.

A reason explains a difference only if it matches what both sides printed or raised, so that another
fault in the same program stays a fault.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .compare import Difference

__all__ = ["REASONS", "Reason", "reason_for"]


@dataclass(frozen=True)
class Reason:
    """Why a difference is right.

    Args:
        sentence: Why, for the reports and the README.
        source: A pattern found in the program.
        theirs, ours: Patterns found in what Keras and torchkeras printed or raised there.
    """

    sentence: str
    source: str = ""
    theirs: str = ""
    ours: str = ""

    def explains(self, difference: Difference) -> bool:
        """Whether this is the reason of a difference."""
        return (
            re.search(self.source, difference.source) is not None
            and re.search(self.theirs, difference.expected) is not None
            and re.search(self.ours, difference.actual) is not None
        )


# Found by the programs of `layers`.
_LAYERS: tuple[Reason, ...] = ()

# Found by the programs of `models`.
_MODELS: tuple[Reason, ...] = ()

# Found by the programs of `training`.
_TRAINING: tuple[Reason, ...] = ()

# Found by the programs of `data`.
_DATA: tuple[Reason, ...] = ()

# Found by the programs of `draws`.
_DRAWS: tuple[Reason, ...] = ()

# Found by the programs of `lives`.
_LIVES: tuple[Reason, ...] = ()

# Found by the programs of `ops`.
_OPS: tuple[Reason, ...] = ()

# Found by the programs of `errors`.
_ERRORS: tuple[Reason, ...] = ()

REASONS: tuple[Reason, ...] = (
    *_LAYERS,
    *_MODELS,
    *_TRAINING,
    *_DATA,
    *_DRAWS,
    *_LIVES,
    *_OPS,
    *_ERRORS,
)


def reason_for(difference: Difference) -> Reason | None:
    """The reason registered for a difference, or `None`."""
    return next((reason for reason in REASONS if reason.explains(difference)), None)
