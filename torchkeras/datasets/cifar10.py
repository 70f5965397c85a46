"""CIFAR-10: small photographs of ten kinds of things."""

from __future__ import annotations

import os

import numpy as np

from ..utils.files import get_file
from .storage import Split, load_batch, to_images

__all__ = ["load_data"]

ORIGIN = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
_HASH = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"


def load_data() -> Split:
    """Load 50 000 photographs for training and 10 000 for tests.

    The classes are airplane, automobile, bird, cat, deer, dog, frog, horse, ship and truck.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: images `(N, 32, 32, 3)`, or `(N, 3, 32, 32)` under
        `channels_first`, of 0 to 255, and classes `(N, 1)`, both uint8.

    Source: Krizhevsky 2009.
    """
    folder = get_file("cifar-10-batches-py-target", origin=ORIGIN, file_hash=_HASH, extract=True)
    folder = os.path.join(folder, "cifar-10-batches-py")
    batches = [load_batch(os.path.join(folder, f"data_batch_{i}")) for i in range(1, 6)]
    images, labels = zip(*batches, strict=True)
    train = np.concatenate(images), np.concatenate(labels)
    test = load_batch(os.path.join(folder, "test_batch"))
    return tuple((to_images(x), np.array(y, "uint8").reshape(-1, 1)) for x, y in (train, test))
