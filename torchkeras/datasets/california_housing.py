"""California housing: prices of houses in 1990."""

from __future__ import annotations

import numpy as np

from ..naming import explain
from .storage import Split, check_split, fetch, load_npz, shuffled, split_off

__all__ = ["load_data"]

_HASH = "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f"
_SMALL = 600  # the districts of the small version, the first of the file


def load_data(
    version: str = "large",
    path: str = "california_housing.npz",
    test_split: float = 0.2,
    seed: int = 113,
) -> Split:
    """Load districts of California with their median price.

    The features are of a census block group: its place, the houses' median age, rooms, bedrooms,
    population, households and median income.

    Args:
        version: `"large"`, 20 640 districts, or `"small"`, 600 of them.
        path: Name of the file in the cache.
        test_split: Which part of them is for tests, in [0, 1).
        seed: Of the order.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: features `(N, 8)` and prices `(N,)` in dollars.

    Raises:
        ValueError: An unknown `version`, or `test_split` is not in [0, 1).

    Source: Pace & Barry 1997.
    """
    check_split(test_split)
    if version not in ("large", "small"):
        raise ValueError(
            explain(
                "california_housing.load_data: unknown `version`.",
                given=repr(version),
                expected="'small' or 'large'",
            )
        )
    data = load_npz(fetch("california_housing.npz", _HASH, path))
    count = _SMALL if version == "small" else None
    x, y = data["x"][:count], data["y"][:count]
    return split_off(*shuffled(np.random.RandomState(seed), x, y), test_split)
