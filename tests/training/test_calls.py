"""A guard: how many Python calls a batch of a small MLP costs, among others and alone.

Not time but calls are counted, so that a loaded machine changes nothing. Who needs more than this
says why beside the new limit; who needs fewer lowers it.
"""

import numpy as np
import pytest

import torchkeras
from tests.calls import count_own_calls
from torchkeras import layers
from torchkeras.training import epochs

# Calls of functions of torchkeras and of the lowered graph: those within torch go by its version.
# First of a batch by itself, then of one among those between which nobody looks.
LIMITS = {"fit": (61, 52), "evaluate": (39, 30), "predict": (26, 21)}
# Calls of a method for a single batch, with all that happens once per call.
ALONE = {
    "fit": 526,
    "evaluate": 276,
    "predict": 48,
    "train_on_batch": 306,
    "test_on_batch": 226,
    "predict_on_batch": 47,
}


@pytest.fixture(scope="module")
def model():
    inputs = torchkeras.Input((20,))
    hidden = layers.Dense(16, activation="relu")(layers.Dense(16, activation="relu")(inputs))
    model = torchkeras.Model(inputs, layers.Dense(1, activation="sigmoid")(hidden))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


def calls_of_a_batch(model, method, few, many):
    rng = np.random.default_rng(0)

    def run(batches):
        x = rng.random((32 * batches, 20), dtype="float32")
        data = (x,) if method == "predict" else (x, rng.integers(0, 2, (len(x), 1)))
        return count_own_calls(lambda: getattr(model, method)(*data, verbose=0))

    run(10)  # makes the functions
    return (run(many) - run(few)) / (many - few)


@pytest.mark.parametrize("method", LIMITS)
def test_calls_of_a_batch(method, model, monkeypatch):
    monkeypatch.setattr(epochs, "SPELL_S", 0)  # what a batch of a larger model takes
    assert calls_of_a_batch(model, method, 10, 30) == LIMITS[method][0]


@pytest.mark.parametrize("method", LIMITS)
def test_calls_of_a_batch_in_a_spell(method, model, monkeypatch):
    monkeypatch.setattr(epochs, "SPELL_S", float("inf"))
    # The longer run has one more group, of 64 batches.
    assert int(calls_of_a_batch(model, method, 63, 127)) == LIMITS[method][1]


@pytest.mark.parametrize("method", ALONE)
def test_calls_of_a_batch_alone(method, model):
    rng = np.random.default_rng(0)
    x, y = rng.random((32, 20), dtype="float32"), rng.integers(0, 2, (32, 1))
    data = (x,) if method.startswith("predict") else (x, y)
    options = {} if method.endswith("on_batch") else {"verbose": 0}

    def run():
        return count_own_calls(lambda: getattr(model, method)(*data, **options))

    run()  # makes the functions
    assert run() == ALONE[method]
