"""What a reason for a difference is."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from .compare import Difference

__all__ = ["MADE", "Reason"]


@dataclass(frozen=True)
class Reason:
    """Why a difference is right.

    Args:
        sentence: Why, for the reports and the README.
        source: A pattern found in the program.
        theirs, ours: Patterns found in what Keras and torchkeras printed or raised there.
        both_raise: Only if both end in an exception at the same statement, or torchkeras at one
            before in a program that makes one object wrongly.
        further: What else must hold of the difference.
    """

    sentence: str
    source: str = ""
    theirs: str = ""
    ours: str = ""
    both_raise: bool = False
    further: Callable[[Difference], bool] | None = None

    def explains(self, difference: Difference) -> bool:
        """Whether this is the reason of a difference."""
        return (
            (not self.both_raise or _both_raise(difference))
            and re.search(self.source, difference.source) is not None
            and re.search(self.theirs, difference.expected) is not None
            and re.search(self.ours, difference.actual) is not None
            and (self.further is None or self.further(difference))
        )


def _both_raise(difference: Difference) -> bool:
    theirs, ours = difference.theirs.failure, difference.ours.failure
    if theirs is None or ours is None:
        return False
    if re.search(MADE, difference.source):
        return ours.line <= theirs.line
    return ours.line == theirs.line


# The statement of the programs of `errors` that makes an object with one wrong argument.
MADE = r"(?m)^made = keras\."
