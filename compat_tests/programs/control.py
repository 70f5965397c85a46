"""A negative control: faults planted in a copy of torchkeras have to be found.

    python -m compat_tests.programs.control [--seed S] [--most 500]

For each fault, programs run on Keras and on the faulty copy, until one differs that does not
differ with torchkeras as it is. Prints which program that was; the exit status is 1 if a fault
stays hidden.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torchkeras

from .campaign import case_of, write_program
from .running import Memory, Pair
from .topics import PRELOAD, TOPICS

__all__ = ["FAULTS", "Fault", "first_sight"]


@dataclass(frozen=True)
class Fault:
    """A change of the source that makes results wrong without an error.

    Args:
        what: What it does to users.
        file: Below `torchkeras/`.
        old, new: The text and what stands in its place; it occurs once.
    """

    what: str
    file: str
    old: str
    new: str

    def plant(self, package: Path) -> None:
        """Change a copy of torchkeras.

        Raises:
            ValueError: The text does not occur exactly once.
        """
        path = package / self.file
        text = path.read_text()
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file} has {text.count(self.old)} times {self.old!r}, not once")
        path.write_text(text.replace(self.old, self.new))


FAULTS = (
    Fault(
        "weights that are not trained come first in the list of weights",
        "layers/state.py",
        "return [*(w for w in weights if id(w) not in last), *others]",
        "return [*others, *(w for w in weights if id(w) not in last)]",
    ),
    Fault(
        "a small last batch counts as much as a full one in an epoch's loss",
        "metrics/reduction.py",
        '"""Add `count` values whose mean is `mean`, in one kernel."""',
        "count = 1",
    ),
    Fault(
        "configs and files forget that a layer was frozen",
        "layers/configs.py",
        '"trainable": layer._trainable,',
        '"trainable": True,',
    ),
)


def first_sight(fault: Fault, seed: str, most: int, memory: Memory) -> int | None:
    """How many programs it took to see a fault; `None` if so many did not show it."""
    with tempfile.TemporaryDirectory() as root:
        copy = Path(root) / "torchkeras"
        shutil.copytree(Path(torchkeras.__file__).parent, copy)
        fault.plant(copy)
        faulty, sound = Pair(memory, PRELOAD, Path(root)), Pair(memory, PRELOAD)
        try:
            for i in range(most):
                program = write_program(*case_of(tuple(TOPICS), i), seed=seed)
                if faulty.judge(program).difference and not sound.judge(program).difference:
                    return i + 1
        finally:
            faulty.close()
            sound.close()
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m compat_tests.programs.control", description=__doc__
    )
    parser.add_argument("--seed", default="0", help="any text")
    parser.add_argument("--most", type=int, default=500, help="programs for each fault")
    options = parser.parse_args(arguments)
    hidden, memory = 0, Memory(None)
    for fault in FAULTS:
        number = first_sight(fault, options.seed, options.most, memory)
        hidden += number is None
        seen = "not seen" if number is None else f"seen by program {number}"
        print(f"{seen} of {options.most} at most: {fault.what}", flush=True)
    return 1 if hidden else 0


if __name__ == "__main__":
    sys.exit(main())
