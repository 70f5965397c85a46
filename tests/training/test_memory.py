"""Training takes no more memory the longer it goes on."""

import gc

import numpy as np
import pytest

import torchkeras as keras
from torchkeras import layers


def resident_kb():
    """Kilobytes of this process that are in memory and no file's; `None` where one cannot tell."""
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("RssAnon"))
    except (OSError, StopIteration):
        return None


def test_memory_is_flat_over_three_thousand_steps():
    if resident_kb() is None:
        pytest.skip("the system does not tell how much memory a process takes")
    model = keras.Sequential(
        [keras.Input((8,)), layers.Dense(16, "relu"), layers.Dropout(0.1), layers.Dense(1)]
    )
    model.compile(keras.optimizers.AdamW(clipnorm=1.0), "mse", metrics=["mae"])
    x = np.random.default_rng(0).random((2000, 8), dtype="float32")
    y = x[:, :1]
    marks = []
    for steps in (600, 1000, 1400):
        for _ in range(steps // 200):
            model.fit(x, y, batch_size=10, verbose=0, validation_data=(x[:50], y[:50]))
        gc.collect()
        marks.append((resident_kb(), len(gc.get_objects())))
    (_, _), (memory, objects), (memory_then, objects_then) = marks
    # 40 bytes a step would be 55 kB; the allocator takes pages when it likes.
    assert memory_then - memory < 1000
    assert objects_then - objects < 100
