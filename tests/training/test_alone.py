"""Shorter ways that must change no number: a lone batch, and hits that are counted together."""

import numpy as np
import pytest
import torch

from torchkeras import Model, Sequential, callbacks, config, layers, metrics
from torchkeras.training import epochs, outputs
from torchkeras.training.data import lone_batch

RNG = np.random.default_rng(0)
X = RNG.normal(size=(70, 4)).astype("float32")


class Noise(layers.Layer):
    """Draws from torch's global generator, as layers of users may."""

    def call(self, x):
        return x + torch.randn(x.shape)


def network(*more, units=3, activation="softmax"):
    return Sequential([layers.Input((4,)), *more, layers.Dense(units, activation)])


@pytest.mark.parametrize("make", [np.array, torch.tensor], ids=["numpy", "torch"])
@pytest.mark.parametrize("dtype", ["float64", "int64", "float16"])
def test_predict_of_a_lone_batch_is_as_among_others(make, dtype):
    model, x = network(Noise()), make(X[:20].astype(dtype))
    found = []
    for listeners in (None, [callbacks.Callback()]):  # with callbacks it goes the long way
        torch.manual_seed(3)
        found.append(model.predict(x, callbacks=listeners, verbose=0))
        found.append(torch.get_rng_state().numpy())
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_array_equal(found[1], found[3])


def test_predict_on_batch_returns_to_the_mode_it_found():
    outer = network(Sequential([layers.Dense(2), layers.Dropout(0.9)]))
    outer.train()
    assert outer.predict_on_batch(X).shape == (70, 3)
    assert all(module.training for module in outer.modules())
    outer.predict(X[:5], verbose=0)
    assert not any(module.training for module in outer.modules())


def test_a_train_method_of_ones_own_is_called():
    class Frozen(layers.BatchNormalization):
        def train(self, mode=True):
            return super().train(False)

    model = network(Frozen(name="frozen"))
    model.compile("sgd", "mse")
    before = model.get_layer("frozen").get_weights()[2]
    model.fit(X + 5.0, np.ones((70, 3)), verbose=0)
    np.testing.assert_array_equal(model.get_layer("frozen").get_weights()[2], before)


def test_several_outputs_of_a_lone_batch():
    inputs = layers.Input((4,))
    model = Model(inputs, {"a": layers.Dense(1)(inputs), "b": [layers.Dense(2)(inputs)]})
    out = model.predict(X[:7], verbose=0)
    assert out["a"].shape == (7, 1) and out["b"][0].shape == (7, 2)


@pytest.mark.parametrize(
    ("x", "batch_size"),
    [
        (X, 69),
        (X, None),
        (X[:0], 8),
        (np.float32(1.0), 8),
        (np.array(["a", "b"]), 8),
        (np.array([{}, None]), 8),
        ([X[:2], X[:2]], 8),
        (X[:4], 2.0),
    ],
    ids=["large", "large_by_default", "empty", "number", "text", "objects", "list", "odd_size"],
)
def test_what_is_no_lone_batch(x, batch_size):
    assert lone_batch(x, batch_size) is None


def test_a_lone_batch_keeps_to_the_limit_of_steps():
    config.set_max_steps_per_epoch(1)
    try:
        with pytest.warns(UserWarning, match="Limiting"):
            assert len(network().predict(X, verbose=0)) == 32
    finally:
        config.set_max_steps_per_epoch(None)


CASES = {
    "binary": (1, "sigmoid", RNG.integers(0, 2, (70, 1)), ["accuracy"]),
    "labels": (3, "sigmoid", RNG.integers(0, 2, (70, 3)), ["binary_accuracy", "accuracy"]),
    "one_hot": (3, "softmax", np.eye(3)[RNG.integers(0, 3, 70)], ["categorical_accuracy"]),
    "sparse": (
        3,
        "softmax",
        RNG.integers(0, 3, 70),
        [
            "sparse_categorical_accuracy",
            metrics.SparseTopKCategoricalAccuracy(2, name="top"),
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_hits_counted_together_are_those_counted_apart(case, monkeypatch):
    units, activation, y, wanted = CASES[case]
    losses = {"sparse": "sparse_categorical_crossentropy"}
    results = []
    for seconds in (0, float("inf")):  # every batch by itself; as many in a row as can be
        monkeypatch.setattr(epochs, "SPELL_S", seconds)
        model = network(units=units, activation=activation)
        model.set_weights([np.ones_like(w) * np.arange(w.shape[-1]) for w in model.get_weights()])
        model.compile("sgd", losses.get(case, "mse"), metrics=wanted)
        history = model.fit(X, y, batch_size=8, epochs=2, shuffle=False, verbose=0).history
        results.append([*history.values(), *model.evaluate(X, y, batch_size=8, verbose=0)])
    assert results[0] == results[1]
    assert len(results[0]) == 2 * (1 + len(wanted))


def test_large_outputs_are_counted_at_once(monkeypatch):
    monkeypatch.setattr(outputs, "GATHERED_MOST", 0)
    test_hits_counted_together_are_those_counted_apart("sparse", monkeypatch)


def test_wrong_shapes_are_told_as_by_one_batch(monkeypatch):
    monkeypatch.setattr(epochs, "SPELL_S", float("inf"))
    model = network(units=3, activation="sigmoid")
    model.compile("sgd", lambda y, p: p.mean(-1), metrics=["binary_accuracy"])
    with pytest.raises(ValueError, match="binary_accuracy"):
        model.evaluate(X, np.zeros((70, 2)), batch_size=8, verbose=0)
