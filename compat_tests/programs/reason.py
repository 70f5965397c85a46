"""What a reason for a difference is."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from .compare import Difference

__all__ = ["Reason"]


@dataclass(frozen=True)
class Reason:
    """Why a difference is right.

    Args:
        sentence: Why, for the reports and the README.
        source: A pattern found in the program.
        theirs, ours: Patterns found in what Keras and torchkeras printed or raised there.
        further: What else must hold of the difference.
    """

    sentence: str
    source: str = ""
    theirs: str = ""
    ours: str = ""
    further: Callable[[Difference], bool] | None = None

    def explains(self, difference: Difference) -> bool:
        """Whether this is the reason of a difference."""
        return (
            re.search(self.source, difference.source) is not None
            and re.search(self.theirs, difference.expected) is not None
            and re.search(self.ours, difference.actual) is not None
            and (self.further is None or self.further(difference))
        )
