"""MNIST: handwritten digits."""

from __future__ import annotations

from .storage import Split, fetch, load_npz

__all__ = ["load_data"]

_HASH = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"


def load_data(path: str = "mnist.npz") -> Split:
    """Load 60 000 images of digits for training and 10 000 for tests.

    Args:
        path: Name of the file in the cache.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: images `(N, 28, 28)` of 0 to 255 and digits `(N,)`,
        both uint8.

    Source: LeCun & Cortes, CC BY-SA 3.0.
    """
    data = load_npz(fetch("mnist.npz", _HASH, path))
    return (data["x_train"], data["y_train"]), (data["x_test"], data["y_test"])
