"""What the tests of ops share: the cases, and their arguments for either library."""

import sys
from pathlib import Path

import keras
import numpy as np

from torchkeras.registry import register_keras_serializable

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "ops"))
from op_cases import CASES  # noqa: E402

__all__ = ["CASES", "CLOSE", "ORACLE_FAILS", "arrays", "mapped", "of"]

# Calls that fail in Keras on torch, or that it computes wrongly; `tests/ops` has NumPy's results.
ORACLE_FAILS = (
    "cross-f3x2x4-f4x3-axisa=0",
    "geomspace-f2-f2-4-endpoint=False-dtype=float64-axis=1",
    "image.resize-f2x6x5x3-(4, 9)-interpolation=lanczos",
    "layer_normalization-f2x3x4-f3-axis=1",
    "linspace-f2-f2-4-axis=-1",
    "logspace-f2-f2-4-axis=1",
    "nancumprod-f2x4-axis=0-dtype=float64",
    "nancumsum-f2x4-axis=0-dtype=float64",
    "repeat-f2x3-[1, 0, 2]",
    "saturate_cast-i3x4-float32",
)

# Single precision on both sides, summed in other orders.
CLOSE = {"rtol": 2e-5, "atol": 2e-5}

# Functions among the arguments, so that files name them.
for _case in CASES:
    for _function in _case.args:
        if callable(_function) and _function.__name__ != "<lambda>":
            keras.saving.register_keras_serializable("tests")(_function)
            register_keras_serializable("tests")(_function)


def of(library, name):
    """The op of a library under a dotted name."""
    for part in name.split("."):
        library = getattr(library, part)
    return library


def mapped(function, case):
    """The arguments of a case with its arrays replaced."""
    return (
        [_walk(function, x) for x in case.args],
        {key: _walk(function, x) for key, x in case.kwargs.items()},
    )


def _walk(function, x):
    if type(x) in (list, tuple):
        return type(x)(_walk(function, item) for item in x)
    return function(x) if isinstance(x, np.ndarray) else x


def arrays(case):
    """The arrays of a case, in order, each once."""
    found = []
    mapped(found.append, case)
    return list({id(x): x for x in found}.values())
