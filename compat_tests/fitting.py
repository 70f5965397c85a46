"""Fit the same model in both libraries and compare; shared by the trainer's tests."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
from oracle import seed_both, to_numpy

import torchkeras

# Float32 on both sides, summed in another order; a dozen updates amplify the last digits.
CLOSE = {"rtol": 1e-4, "atol": 1e-5}

RNG = np.random.default_rng(1)
X = RNG.normal(size=(50, 6)).astype("float32")
X2 = RNG.normal(size=(50, 3)).astype("float32")
Y = (X @ RNG.normal(size=(6, 1)) + 0.1).astype("float32")
BINARY = (Y > 0).astype("float32")
LABELS = RNG.integers(0, 3, (50,)).astype("int32")
ONE_HOT = np.eye(3, dtype="float32")[LABELS]
WEIGHTS = RNG.uniform(0.1, 2.0, (50,)).astype("float32")


def clear():
    keras.utils.clear_session(free_memory=False)
    torchkeras.utils.clear_session(free_memory=False)


def mlp(k, units=1, activation=None, **kwargs):
    L = k.layers
    x = k.Input((6,))
    h = L.Dense(8, activation="tanh")(x)
    return k.Model(x, L.Dense(units, activation=activation, **kwargs)(h))


def two_heads(k):
    L = k.layers
    x = k.Input((6,), name="x")
    h = L.Dense(8, activation="tanh")(x)
    outputs = [L.Dense(1, name="value")(h), L.Dense(3, activation="softmax", name="kind")(h)]
    return k.Model(x, outputs)


def two_heads_dict(k):
    L = k.layers
    a, b = k.Input((6,), name="a"), k.Input((3,), name="b")
    h = L.Concatenate()([L.Dense(4)(a), L.Dense(4)(b)])
    outputs = {"value": L.Dense(1, name="v")(h), "kind": L.Dense(3, "softmax", name="k")(h)}
    return k.Model({"a": a, "b": b}, outputs)


def both(action, seed=3):
    """Run `action(library)` in both libraries after the same seed."""
    results = []
    for library in (torchkeras, keras):
        clear()
        seed_both(seed)
        results.append(action(library))
    return results


def assert_same_history(ours, theirs, **close):
    ours, theirs = ours.history, theirs.history
    assert list(ours) == list(theirs)
    for name in theirs:
        np.testing.assert_allclose(ours[name], theirs[name], err_msg=name, **{**CLOSE, **close})


def assert_same_weights(ours, theirs, **close):
    for a, b in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(
            to_numpy(a), to_numpy(b), err_msg=b.path, **{**CLOSE, "atol": 1e-4, **close}
        )


def fit_both(make, compile_args, data, close=None, **fit_args):
    """Fit in both and compare histories and weights.

    Args:
        make: `make(library)` gives the model.
        compile_args: Arguments of `compile`, or a function of the library that gives them.
        data: `(x, y)`, or a function of the library.
        fit_args: Arguments of `fit`; functions of no argument make them anew for each library.
    """

    def train(k):
        model = make(k)
        arguments = compile_args(k) if callable(compile_args) else compile_args
        model.compile(**arguments)
        x, y = data(k) if callable(data) else data
        kwargs = {"verbose": 0, "epochs": 3, "shuffle": False, **fit_args}
        history = model.fit(x, y, **{n: v() if callable(v) else v for n, v in kwargs.items()})
        return model, history

    (ours, our_history), (theirs, their_history) = both(train)
    assert_same_history(our_history, their_history, **(close or {}))
    assert our_history.epoch == their_history.epoch
    assert_same_weights(ours, theirs, **(close or {}))
    return ours, theirs
