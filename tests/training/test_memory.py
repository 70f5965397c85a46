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


CALLS = {
    "predict": lambda model, x: model.predict(x, verbose=0),
    "evaluate": lambda model, x: model.evaluate(x, x[:, :1], verbose=0),
    "train_on_batch": lambda model, x: model.train_on_batch(x, x[:, :1]),
    "call": lambda model, x: model(x),
    "build": lambda model, x: keras.models.clone_model(model)(x),
    "compile": lambda model, x: model.compile("sgd", "mse", jit_compile=False),
}


@pytest.mark.parametrize("name", CALLS)
def test_nothing_stays_behind_of_calls(name):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, "relu"), layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"], jit_compile=False)
    x = np.ones((40, 4), "float32")
    marks = []
    for count in (20, 120, 120):
        for _ in range(count):
            CALLS[name](model, x)
        gc.collect()
        marks.append(len(gc.get_objects()))
    assert marks[2] - marks[1] < 60, "half an object a call"
