"""Boston housing: prices of houses in the 1970s.

One of its features supposes that prices follow segregation by race. Prefer `california_housing`.
"""

from __future__ import annotations

import numpy as np

from .storage import Split, check_split, fetch, load_npz, shuffled, split_off

__all__ = ["load_data"]

_HASH = "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5"


def load_data(path: str = "boston_housing.npz", test_split: float = 0.2, seed: int = 113) -> Split:
    """Load 506 suburbs with their median price.

    Args:
        path: Name of the file in the cache.
        test_split: Which part of them is for tests, in [0, 1).
        seed: Of the order.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: features `(N, 13)` and prices `(N,)` in thousands
        of dollars.

    Raises:
        ValueError: `test_split` is not in [0, 1).

    Source: Harrison & Rubinfeld 1978.
    """
    check_split(test_split)
    data = load_npz(fetch("boston_housing.npz", _HASH, path))
    return split_off(*shuffled(np.random.RandomState(seed), data["x"], data["y"]), test_split)
