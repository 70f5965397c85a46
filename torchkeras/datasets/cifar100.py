"""CIFAR-100: small photographs of a hundred kinds of things, in twenty groups."""

from __future__ import annotations

import os

import numpy as np

from ..naming import explain
from ..utils.files import get_file
from .storage import Split, load_batch, to_images

__all__ = ["load_data"]

ORIGIN = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
_HASH = "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"


def load_data(label_mode: str = "fine") -> Split:
    """Load 50 000 photographs for training and 10 000 for tests.

    Args:
        label_mode: `"fine"` for the 100 classes, `"coarse"` for the 20 groups.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: images `(N, 32, 32, 3)`, or `(N, 3, 32, 32)` under
        `channels_first`, of 0 to 255, uint8, and classes `(N, 1)`, int64.

    Raises:
        ValueError: An unknown `label_mode`.

    Source: Krizhevsky 2009.
    """
    if label_mode not in ("fine", "coarse"):
        raise ValueError(
            explain(
                "cifar100.load_data: unknown `label_mode`.",
                given=repr(label_mode),
                expected="'fine' or 'coarse'",
            )
        )
    folder = get_file("cifar-100-python-target", origin=ORIGIN, file_hash=_HASH, extract=True)
    folder = os.path.join(folder, "cifar-100-python")
    key = f"{label_mode}_labels"
    parts = (load_batch(os.path.join(folder, part), key) for part in ("train", "test"))
    return tuple((to_images(x), np.array(y).reshape(-1, 1)) for x, y in parts)
