"""Two transcripts of a program, line by line: numbers up to rounding, all else to the letter."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .engines import Transcript

__all__ = ["Difference", "compare", "differences", "tolerance_of"]

_FLOAT = re.compile(
    r"[-+]?(?:\d+\.\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+)|[-+]?\b(?:inf|nan)\b"
)
# What no two runs have in common: progress bars, times, addresses, folders.
_PROGRESS = re.compile(r"^.*[\r\b].*$\n?|^.*(?:\d+|Unknown)/(?:\d+|Unknown).*━.*$\n?", re.MULTILINE)
_SCRUBBED = (
    (re.compile(r"\x1b\[[0-9;]*m"), ""),
    (re.compile(r"\b0x[0-9a-f]{6,}\b"), "0x"),
    (re.compile(r"\b\d+[mu]?s(?:/(?:step|sample|epoch))?\b(?: \d+[mu]?s/step)?"), "TIME"),
    (re.compile(r"/tmp/[\w./-]+"), "FOLDER"),
)
# What `attempt` and `tried` print of an exception.
_RAISED = re.compile(r"(.*?) raises ((?:\w+ )+)BaseException(?:$|:)")
# Relative to the largest number of a line: both sides run the same arithmetic on torch, in another
# order, and training steps carry roundings on.
_TOLERANCE = 1e-4
_HALF_TOLERANCE = {"bfloat16": 5e-2, "float16": 1e-2}
_FLOOR = 2e-6  # absolute, in units of one


@dataclass(frozen=True)
class Difference:
    """A place where two transcripts part.

    Args:
        source: The part of the program.
        expected, actual: The lines, or how the part ended.
        theirs, ours: The whole transcripts, of Keras and of torchkeras.
        route: Which library ran which part, as `keras > torchkeras`; empty for one part.
    """

    source: str
    expected: str
    actual: str
    theirs: Transcript
    ours: Transcript
    route: str = ""

    @property
    def signature(self) -> str:
        """What differences of the same cause mostly have in common."""
        if self.theirs.failure is None and self.ours.failure is None:
            label = re.split(r"[\d\[({:=]", self.expected + " ", maxsplit=1)[0].strip()
            return f"output {label}"
        failures = (self.theirs.failure, self.ours.failure)
        words = [f"{f.kinds[0]}: {_shortened(f.message)}" if f else "runs" for f in failures]
        return " | ".join(words)


def _shortened(message: str) -> str:
    """The start of a message, without what changes between programs."""
    return re.sub(r"'[^']*'|\"[^\"]*\"|\d+|<[^>]*>|\([^)]*\)|\[[^\]]*\]", "_", message)[:50]


def tolerance_of(source: str) -> float:
    """How far numbers may lie apart, relative to the largest of their line."""
    for dtype, tolerance in _HALF_TOLERANCE.items():
        if re.search(rf"(?<!b){dtype}", source):
            return tolerance
    return _TOLERANCE


def _lines(output: str) -> list[str]:
    output = _PROGRESS.sub("", output)
    for pattern, stand_in in _SCRUBBED:
        output = pattern.sub(stand_in, output)
    return [line.rstrip() for line in output.splitlines() if line.strip()]


def _agree(expected: str, actual: str, tolerance: float) -> bool:
    if expected == actual:
        return True
    raised, found = _RAISED.match(expected), _RAISED.match(actual)
    if raised and found:  # who catches Keras's exception catches ours
        return raised[1] == found[1] and raised[2].split()[0] in found[2].split()
    if _FLOAT.sub("#", expected) != _FLOAT.sub("#", actual):
        return False
    pairs = [
        (float(a), float(b))
        for a, b in zip(_FLOAT.findall(expected), _FLOAT.findall(actual), strict=True)
    ]
    largest = max((abs(a) for a, _ in pairs if math.isfinite(a)), default=0.0)
    bound = _FLOOR + tolerance * largest
    return all(a == b or (a != a and b != b) or abs(a - b) <= bound for a, b in pairs)


def _ending(transcript: Transcript) -> str:
    failure = transcript.failure
    if transcript.status:
        return f"ended with status {transcript.status}"
    if failure is None:
        return "ran to its end"
    return f"line {failure.line}: {failure.kinds[0]}: {failure.message}"


def _same_ending(theirs: Transcript, ours: Transcript) -> bool:
    if theirs.status != ours.status:
        return False
    if theirs.failure is None or ours.failure is None:
        return theirs.failure is ours.failure
    # Who catches Keras's exception catches ours.
    kind = theirs.failure.kinds[0]
    return kind in ours.failure.kinds and theirs.failure.line == ours.failure.line


def _past(lines: list[str], place: int) -> int:
    """The place after this line and those that follow under the same label."""
    label = _label(lines[place])
    while place < len(lines) and _label(lines[place]) == label:
        place += 1
    return place


def _label(line: str) -> str:
    return re.split(r"[\s.\[({:=]", line.lstrip(), maxsplit=1)[0]


def differences(
    source: str, theirs: Transcript, ours: Transcript, tolerance: float, route: str = ""
) -> Iterator[Difference]:
    """Where two runs of a part differ, from its start to its end.

    After a difference the comparison goes on behind what both print under that label; where the
    labels are not the same, there is nothing to go on with.
    """
    expected, actual = _lines(theirs.output), _lines(ours.output)
    i = j = 0
    while i < len(expected) and j < len(actual):
        if _agree(expected[i], actual[j], tolerance):
            i, j = i + 1, j + 1
            continue
        yield Difference(source, expected[i], actual[j], theirs, ours, route)
        if _label(expected[i]) != _label(actual[j]):
            return
        i, j = _past(expected, i), _past(actual, j)
    rest = [*expected[i : i + 1], *actual[j : j + 1]]
    if rest or not _same_ending(theirs, ours):
        more = f" (more output: {rest[0]})" if rest else ""
        yield Difference(source, _ending(theirs) + more, _ending(ours), theirs, ours, route)


def compare(
    source: str, theirs: Transcript, ours: Transcript, tolerance: float, route: str = ""
) -> Difference | None:
    """The first difference between two runs of a part, or `None`."""
    return next(differences(source, theirs, ours, tolerance, route), None)
