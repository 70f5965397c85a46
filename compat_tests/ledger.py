"""The ledger of Keras's own test suite: what each test that real Keras passes does on torchkeras.

`ledger/<area>.json` holds `{"keras": version, "tests": {file: {"pass": [ids], "fail": [ids],
"excluded": {reason: [ids]}}}}`; an area is a folder of `keras/src`, a file's path is below it, and
an id is `Class.test`. The ids are those that pass with real Keras on its torch backend: the
denominator. Excluded ones count as not passed; the reasons are written by hand, by people.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["FOLDER", "Entry", "areas", "read", "totals", "write"]

FOLDER = Path(__file__).parent / "ledger"


class Entry(NamedTuple):
    """A test of the ledger: its file, its id and its state, with the reason where excluded."""

    file: str
    id: str
    state: str
    reason: str = ""

    @property
    def area(self) -> str:
        """The folder of `keras/src` it lies in."""
        return self.file.partition("/")[0]

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from others."""
        return self.file, self.id


def areas() -> list[str]:
    """List the areas there are."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def read(names: Iterable[str] | None = None) -> Iterator[Entry]:
    """Yield the entries of some areas, by default of all."""
    for name in areas() if names is None else names:
        for file, states in json.loads((FOLDER / f"{name}.json").read_text())["tests"].items():
            for state in ("pass", "fail"):
                yield from (Entry(file, test, state) for test in states[state])
            for reason, tests in states["excluded"].items():
                yield from (Entry(file, test, "excluded", reason) for test in tests)


def write(entries: Iterable[Entry], keras_version: str) -> None:
    """Replace the areas that `entries` belong to; the result is sorted, for readable diffs."""
    by_area: dict[str, dict[str, dict]] = {}
    for entry in sorted(entries):
        files = by_area.setdefault(entry.area, {})
        states = files.setdefault(entry.file, {"pass": [], "fail": [], "excluded": {}})
        if entry.state == "excluded":
            states["excluded"].setdefault(entry.reason, []).append(entry.id)
        else:
            states[entry.state].append(entry.id)
    FOLDER.mkdir(exist_ok=True)
    for area, files in by_area.items():
        text = json.dumps({"keras": keras_version, "tests": files}, indent=1)
        (FOLDER / f"{area}.json").write_text(text + "\n")


def totals(entries: Iterable[Entry]) -> dict[str, dict[str, int]]:
    """Count the states per area: `{"layers": {"pass": 1900, "fail": 60, "excluded": 7}, …}`."""
    counts: dict[str, dict[str, int]] = {}
    for entry in entries:
        counts.setdefault(entry.area, dict.fromkeys(("pass", "fail", "excluded"), 0))
        counts[entry.area][entry.state] += 1
    return counts
