"""Real scripts, unchanged, on torchkeras and on the real Keras or TensorFlow: they print the same.

Each file of `scripts/` is run as by `python -m torchkeras run`, and on Keras, each time in a
process of its own that `scripts_oracle.py` forks from one that has imported what takes long. What
they print, progress lines and `summary()` included, must be equal line by line: the words exactly,
whole numbers too, other numbers within a tolerance. Durations are left out.

Both sides draw the same initial weights, shuffles and noise from a seed, and compute the same on
torch; they round differently (fused kernels), which training amplifies. Hence the tolerances.

Scripts written with TensorFlow itself (tapes, `tf.data`, `tf.image`, …) run on TensorFlow there.
These set weights and draw noise with NumPy, and leave out what else differs: Adam on embeddings,
whose gradients Keras squares row by row on TensorFlow before it adds up those of equal rows.
"""

from __future__ import annotations

import importlib.util
import re
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

# Scripts that import TensorFlow for `tf.keras` alone; Keras on torch is the reference for them.
OF_KERAS = {"tf_backend_losses", "tf_callbacks_zoo", "tf_tabular_kfold", "tf_text_bilstm"}
OF_TENSORFLOW = {
    path.stem for path in SCRIPTS if re.search(r"^import tensorflow", path.read_text(), re.M)
} - OF_KERAS

_DURATION = re.compile(r"\b\d+(?:ms|us|s)\b(?:/(?:step|epoch))?")
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.\d*(?:e[-+]?\d+)?|\d+e[-+]?\d+|nan|inf)(?![\w.])")


# A shape: of torch, as it stands in a list in TensorFlow, and a tuple of one number.
_SHAPE = re.compile(r"(?:torch\.Size|TensorShape)\(\[([\d, ]*)\]\)|\((\d+),\)")


@pytest.fixture(scope="module")
def oracles():
    """The processes that run scripts on torchkeras, on the real Keras, and on TensorFlow."""
    made = {"keras": Oracle()}
    made |= {name: Oracle(f"--{name}") for name in ("torchkeras", "tensorflow")}
    yield made
    for oracle in made.values():
        oracle.close()


def split(line: str) -> tuple[str, list[str]]:
    """The words of a line, with `#` for each number with a fraction, and those numbers."""
    line = _SHAPE.sub(lambda m: f"({m[1] or m[2] or ''})", _DURATION.sub("<time>", line))
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
def test_prints_the_same(script, tmp_path, oracles):
    oracle = oracles["tensorflow" if script.stem in OF_TENSORFLOW else "keras"]
    folders = [tmp_path / "ours", tmp_path / "theirs"]
    for folder in folders:
        folder.mkdir()
    ours = oracles["torchkeras"].run(script, folders[0])
    assert ours.returncode == 0, ours.stderr
    metrics = [line for line in ours.stdout.splitlines() if re.match(r"[^:]+: \S", line)]
    assert len(metrics) >= 5
    if script.stem in OF_TENSORFLOW and importlib.util.find_spec("tensorflow") is None:
        pytest.skip("TensorFlow is not installed: the script ran, its output is not compared")
    theirs = oracle.run(script, folders[1])
    assert theirs.returncode == 0, theirs.stderr
    # TensorFlow itself always says something there.
    theirs_warns = theirs.stderr and script.stem not in OF_TENSORFLOW
    assert not ours.stderr or theirs_warns, f"only torchkeras warns:\n{ours.stderr}"
    found = differences(ours.stdout, theirs.stdout, LOOSER.get(script.stem, TOLERANCE))
    assert not found, "\n".join(found)


def test_the_table_names_scripts():
    assert set(LOOSER) | OF_KERAS <= {path.stem for path in SCRIPTS}
    assert len(SCRIPTS) >= 40
    assert len(OF_TENSORFLOW) >= 20


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
        ("torch.Size([2, 3]) torch.Size([4])", "(2, 3) (4,)", True),
        ("[torch.Size([2, 3]), torch.Size([])]", "[TensorShape([2, 3]), ()]", True),
        ("shape: torch.Size([2, 3])", "shape: (3, 2)", False),
    ],
)
def test_the_comparison_itself(ours, theirs, equal):
    assert (not differences(ours, theirs, TOLERANCE)) == equal
