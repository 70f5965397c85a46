"""What the tests of ops share: the cases, and their arguments for either library."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "ops"))
from op_cases import CASES  # noqa: E402

__all__ = ["CASES", "CLOSE", "arrays", "mapped", "of"]

# Single precision on both sides, summed in other orders.
CLOSE = {"rtol": 2e-5, "atol": 2e-5}


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
