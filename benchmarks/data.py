"""The random data of the benchmarks: NumPy arrays, images as NHWC, labels as integers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["CASES", "Case", "make_data"]


class Case(NamedTuple):
    """What one model is trained on: `steps` batches of `batch_size` samples an epoch."""

    shape: tuple[int, ...]
    batch_size: int
    steps: int
    classes: int


CASES = {
    "mlp": Case((100,), 32, 250, 2),
    "cnn": Case((28, 28, 1), 128, 12, 10),
    "lstm": Case((32, 16), 64, 40, 10),
    "transformer": Case((32,), 64, 30, 10),
    "resnet": Case((32, 32, 3), 64, 12, 10),
}


def make_data(name: str, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Make `steps` batches for the model `name`: inputs and labels."""
    case = CASES[name]
    rng = np.random.default_rng(0)
    count = steps * case.batch_size
    if name == "transformer":
        x = rng.integers(0, 1000, (count, *case.shape), dtype="int32")
    else:
        x = rng.standard_normal((count, *case.shape), dtype="float32")
    y = rng.integers(0, case.classes, (count,))
    return x, y.astype("float32")[:, None] if name == "mlp" else y
