"""Fashion-MNIST: clothes, in the format of MNIST."""

from __future__ import annotations

import os

from .storage import Split, fetch, load_idx

__all__ = ["load_data"]


def load_data() -> Split:
    """Load 60 000 images of clothes for training and 10 000 for tests.

    The classes are T-shirt/top, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag and
    ankle boot.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: images `(N, 28, 28)` of 0 to 255 and classes
        `(N,)`, both uint8.

    Source: Xiao, Rasul & Vollgraf 2017, MIT licence.
    """
    folder = os.path.join("datasets", "fashion-mnist")
    y_train, x_train, y_test, x_test = (
        load_idx(fetch(f"{part}-{what}-ubyte.gz", cache_subdir=folder))
        for part in ("train", "t10k")
        for what in ("labels-idx1", "images-idx3")
    )
    return (x_train, y_train), (x_test, y_test)
