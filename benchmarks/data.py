"""Random data of the benchmarks: NumPy arrays, images as NHWC, tokens and labels as integers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["CASES", "Case", "make_data"]


class Case(NamedTuple):
    """What one model is trained on: `steps` batches of `batch_size` samples an epoch.

    `tokens` is the number of different tokens where inputs are such. `classes` is 2 for one
    probability, more for logits of as many, and 0 where the target is the input itself.
    """

    shape: tuple[int, ...]
    batch_size: int
    steps: int
    classes: int
    tokens: int = 0


CASES = {
    "mlp": Case((100,), 32, 250, 2),
    "cnn": Case((28, 28, 1), 128, 12, 10),
    "lstm": Case((32, 16), 64, 40, 10),
    "gru": Case((32, 16), 64, 40, 10),
    "transformer": Case((32,), 64, 30, 10, tokens=1000),
    "resnet": Case((32, 32, 3), 64, 12, 10),
    "embedding": Case((20,), 256, 20, 10, tokens=50_000),
    "autoencoder": Case((784,), 128, 60, 0),
}


def make_data(name: str, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Make `steps` batches for the model `name`: inputs and targets."""
    case = CASES[name]
    rng = np.random.default_rng(0)
    count = steps * case.batch_size
    if case.tokens:
        x = rng.integers(0, case.tokens, (count, *case.shape), dtype="int32")
    else:
        x = rng.standard_normal((count, *case.shape), dtype="float32")
    if case.classes == 0:
        return x, x
    y = rng.integers(0, case.classes, (count,))
    return x, y.astype("float32")[:, None] if case.classes == 2 else y
