"""Real scripts, unchanged, on torchkeras and on the real Keras: they print the same.

Each file of `scripts/` is run by `python -m torchkeras run`, in a process of its own, and by
`scripts_oracle.py`, in a process forked from one that has imported Keras. What they print, progress
lines and `summary()` included, must be equal line by line: the words exactly, whole numbers too,
other numbers within a tolerance. Durations are left out.

Both sides draw the same initial weights, shuffles and noise from a seed, and compute the same on
torch; they round differently (fused kernels), which training amplifies. Hence the tolerances.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from scripts_oracle import Oracle

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "compat_tests" / "scripts").glob("*.py"))

# Relative; beside it, the last printed digit may differ by one.
TOLERANCE = 1e-4
LOOSER = {
    # The bias of a convolution before BatchNormalization has no gradient but rounding, which Adam
    # scales up to whole steps.
    "tf_backend_losses": 2e-3,
    # Adam divides gradients by their size: of tiny ones rounding decides the direction.
    "training_recipes": 5e-4,
}

_DURATION = re.compile(r"\b\d+(?:ms|us|s)\b(?:/(?:step|epoch))?")
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.\d*(?:e[-+]?\d+)?|\d+e[-+]?\d+|nan|inf)(?![\w.])")


@pytest.fixture(scope="module")
def oracle():
    """The process that runs scripts on the real Keras."""
    made = Oracle()
    yield made
    made.close()


def run_ours(script: Path, folder: Path) -> subprocess.CompletedProcess:
    """Run a script in a folder as a user does."""
    command = [sys.executable, "-m", "torchkeras", "run", str(script)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def split(line: str) -> tuple[str, list[str]]:
    """The words of a line, with `#` for each number with a fraction, and those numbers."""
    line = _DURATION.sub("<time>", line)
    return _NUMBER.sub("#", line), _NUMBER.findall(line)


def step(number: str) -> float:
    """What the last printed digit of a number counts."""
    mantissa, _, exponent = number.lower().partition("e")
    _, _, fraction = mantissa.partition(".")
    return 10.0 ** (int(exponent or 0) - len(fraction))


def same(ours: str, theirs: str, tolerance: float) -> bool:
    """Whether two printed numbers are equal up to the tolerance and their last digit."""
    a, b = float(ours), float(theirs)
    return a == b or abs(a - b) <= tolerance * abs(b) + 1.01 * max(step(ours), step(theirs))


def differences(ours: str, theirs: str, tolerance: float) -> list[str]:
    """The lines of two outputs that are not equal; empty if the outputs agree."""
    mine, other = ours.splitlines(), theirs.splitlines()
    found = []
    for a, b in zip(mine, other, strict=False):
        (words, numbers), (expected_words, expected) = split(a), split(b)
        equal = words == expected_words and all(
            same(x, y, tolerance) for x, y in zip(numbers, expected, strict=True)
        )
        if not equal:
            found.append(f"ours:   {a}\ntheirs: {b}")
    if len(mine) != len(other):
        found.append(f"{len(mine)} lines, expected {len(other)}")
    return found


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_prints_the_same(script, tmp_path, oracle):
    folders = [tmp_path / "ours", tmp_path / "theirs"]
    for folder in folders:
        folder.mkdir()
    ours = run_ours(script, folders[0])
    assert ours.returncode == 0, ours.stderr
    theirs = oracle.run(script, folders[1])
    assert theirs.returncode == 0, theirs.stderr
    assert not ours.stderr or theirs.stderr, f"only torchkeras warns:\n{ours.stderr}"
    found = differences(ours.stdout, theirs.stdout, LOOSER.get(script.stem, TOLERANCE))
    assert not found, "\n".join(found)
    metrics = [line for line in ours.stdout.splitlines() if re.match(r"[^:]+: \S", line)]
    assert len(metrics) >= 5


def test_the_table_names_scripts():
    assert set(LOOSER) <= {path.stem for path in SCRIPTS}
    assert len(SCRIPTS) >= 14


@pytest.mark.parametrize(
    ("ours", "theirs", "equal"),
    [
        ("loss: 0.50001", "loss: 0.50004", True),
        ("loss: 0.50001", "loss: 0.50014", False),
        ("loss: 0.5001", "loss: 0.5002", True),
        ("loss: 1.5e-07", "loss: 1.5001e-07", True),
        ("loss: nan", "loss: 0.5000", False),
        ("loss: 0.5", "mae: 0.5", False),
        ("Total params: 12 (48.00 B)", "Total params: 13 (48.00 B)", False),
        ("4/4 - 1s - 12ms/step - loss: 0.1", "4/4 - 0s - 312us/step - loss: 0.1", True),
        ("4/4 - 1s - 12ms/step - loss: 0.1", "3/4 - 1s - 12ms/step - loss: 0.1", False),
        ("a: 1.0\nb: 2.0", "b: 2.0\na: 1.0", False),
        ("a: 1.0", "a: 1.0\nb: 2.0", False),
    ],
)
def test_the_comparison_itself(ours, theirs, equal):
    assert (not differences(ours, theirs, TOLERANCE)) == equal
