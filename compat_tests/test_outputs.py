"""Losses, metrics and targets for outputs of every structure, against real Keras.

Both libraries fit the same two-headed model, whose outputs are a list, a tuple, a dict (keys in the
order of the layers' names or not) or nested; names, order and values of what they report agree.
"""

import itertools

import numpy as np
import pytest
from fitting import both, clear
from oracle import as_list

RNG = np.random.default_rng(2)
X = RNG.normal(size=(8, 3)).astype("float32")
Y1 = RNG.normal(size=(8, 1)).astype("float32")
Y2 = RNG.integers(0, 2, (8, 1)).astype("float32")

OUTPUTS = {
    "list": lambda a, b: [a, b],
    "tuple": lambda a, b: (a, b),
    "dict": lambda a, b: {"b": a, "a": b},
    "dict_of_names": lambda a, b: {"q": a, "p": b},
    "nested": lambda a, b: {"z": [a, b], "y": b},
    "one": lambda a, b: a,
    "list_of_one": lambda a, b: [a],
}
TARGETS = {
    "list": [[Y1, Y2], (Y1, Y2), {"p": Y1, "q": Y2}],
    "tuple": [(Y1, Y2), [Y1, Y2]],
    "dict": [{"a": Y2, "b": Y1}, (Y1, Y2)],
    "dict_of_names": [{"q": Y1, "p": Y2}],
    "nested": [{"y": Y2, "z": [Y1, Y2]}, {"y": Y2, "z": (Y1, Y2)}],
    "one": [Y1, [Y1]],
    "list_of_one": [[Y1], Y1],
}
LOSSES = {
    "list": [["mse", "mae"], {"q": "mae", "p": "mse"}, [["mse", "mae"], "mae"], ["mse", None]],
    "tuple": ["mse", ["mse", "mae"], ("mse", "mae")],
    "dict": [{"b": "mae", "a": "mse"}, {"a": "mse", "b": "mae"}, {"a": "mse"}, ["mse", "mae"]],
    "dict_of_names": ["mse", {"q": "mae", "p": "mse"}, {"p": "mse", "q": "mae"}],
    "nested": [
        "mse",
        {"y": "mae", "z": ["mse", "mae"]},
        {"z": ["mse", None]},
        ["mae", "mse", "mse"],
    ],
    "one": ["mse", ["mse"], {"p": "mse"}],
    "list_of_one": ["mse", ["mse"], {"p": "mse"}],
}
METRICS = {
    "list": [None, [["mae"], ["mse", "mae"]], {"q": ["mae"], "p": "mse"}, ["mae", "mse"]],
    "tuple": [None, [["mae"], ["mse"]]],
    "dict": [{"b": ["mae"], "a": "mse"}, ["mae", "mse"], {"b": "mae"}],
    "dict_of_names": [{"p": "mse", "q": "mae"}],
    "nested": [None, {"y": "mse", "z": ["mae", ["mse"]]}],
    "one": [["mae", "mse"], {"p": ["mae"]}],
    "list_of_one": [["mae"]],
}


def _cases():
    for kind in OUTPUTS:
        longest = max(len(TARGETS[kind]), len(LOSSES[kind]), len(METRICS[kind]))
        columns = [itertools.cycle(table[kind]) for table in (TARGETS, LOSSES, METRICS)]
        for i in range(longest):
            yield pytest.param(kind, *map(next, columns), id=f"{kind}-{i}")


@pytest.fixture(autouse=True)
def _fresh_names():
    clear()
    yield
    clear()


def run(k, kind, y, loss, metrics, loss_weights=None):
    x = k.Input((3,), name="x")
    a = k.layers.Dense(1, name="p")(x)
    b = k.layers.Dense(1, activation="sigmoid", name="q")(x)
    model = k.Model(x, OUTPUTS[kind](a, b))
    model.compile("sgd", loss, loss_weights=loss_weights, metrics=metrics)
    history = model.fit(X, y, batch_size=4, epochs=2, shuffle=False, verbose=0).history
    return history, model.evaluate(X, y, verbose=0), model.get_weights()


def assert_same(results):
    (ours, mine, weights), (theirs, wanted, kept) = results
    assert list(ours) == list(theirs)
    for a, b in ((list(ours.values()), list(theirs.values())), (mine, wanted), (weights, kept)):
        np.testing.assert_allclose(
            np.concatenate([np.ravel(leaf) for leaf in as_list(a)]),
            np.concatenate([np.ravel(leaf) for leaf in as_list(b)]),
            rtol=1e-4,
            atol=1e-6,
        )


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize(("kind", "y", "loss", "metrics"), list(_cases()))
def test_same_reports(kind, y, loss, metrics):
    assert_same(both(lambda k: run(k, kind, y, loss, metrics)))


@pytest.mark.parametrize(
    ("kind", "loss", "weights"),
    [
        ("list", ["mse", "mae"], [0.5, 2.0]),
        ("list", {"p": "mse", "q": "mae"}, {"q": 2.0, "p": 0.5}),
        ("dict", {"b": "mae", "a": "mse"}, {"b": 2.0, "a": 0.5}),
        ("dict", ["mse", "mae"], [0.5, 2.0]),
        ("nested", {"y": "mae", "z": ["mse", "mae"]}, {"y": 3.0, "z": [0.5, 2.0]}),
        ("one", "mse", [0.5]),
    ],
)
def test_same_weights_of_losses(kind, loss, weights):
    assert_same(both(lambda k: run(k, kind, TARGETS[kind][0], loss, None, weights)))


def structured(k, outputs):
    """A loss of all outputs together."""

    def loss(y_true, y_pred):
        pairs = zip(k.tree.flatten(y_true), k.tree.flatten(y_pred), strict=True)
        return sum(k.ops.mean(k.ops.abs(t - p), axis=-1) for t, p in pairs)

    return loss


@pytest.mark.parametrize("kind", ["list", "tuple", "dict"])
def test_same_losses_of_structures(kind):
    each = {"list": ("mse", "mae"), "tuple": ["mse", "mae"], "dict": {"a": "mse", "b": "mae"}}

    def action(k):
        whole = structured(k, kind)
        losses = (whole, each[kind]) if kind == "list" else [whole, each[kind]]
        return run(k, kind, TARGETS[kind][0], losses, None)

    assert_same(both(action))


@pytest.mark.parametrize(
    ("kind", "loss", "metrics", "error"),
    [
        ("dict", {"a": "mse", "c": "mse"}, None, KeyError),
        ("list", {"p": "mse", "c": "mse"}, None, ValueError),
        ("list", "mse", {"c": "mae"}, ValueError),
        ("dict", "mse", {"c": "mae"}, ValueError),
    ],
)
def test_same_errors(kind, loss, metrics, error):
    def action(k):
        with pytest.raises(error) as caught:
            run(k, kind, TARGETS[kind][0], loss, metrics)
        return caught.value

    ours, theirs = both(action)
    assert isinstance(ours, type(theirs))
