"""A guard: how many Python calls it costs to make a model, per layer.

Not time but calls are counted, so that a loaded machine changes nothing. Who needs more than this
says why beside the new limit; who needs fewer lowers it.
"""

import pytest
import torch

import torchkeras
from tests.calls import count_own_calls
from torchkeras import layers, random
from torchkeras.graph.context import ADDING


@pytest.fixture(autouse=True)
def no_layer_ever_added_a_loss(monkeypatch):
    """Where one did, in whatever test, a few calls more look for losses."""
    monkeypatch.setattr(ADDING, "layers", 0)


def functional(depth):
    inputs = x = torchkeras.Input((8,))
    for _ in range(depth):
        x = layers.Dense(8, "relu")(x)
    return torchkeras.Model(inputs, x)


def sequential(depth):
    return torchkeras.Sequential(
        [torchkeras.Input((8,)), *(layers.Dense(8, "relu") for _ in range(depth))]
    )


def residual(depth):
    inputs = x = torchkeras.Input((4, 4, 2))
    for _ in range(depth // 4):
        y = layers.Conv2D(2, 3, padding="same", use_bias=False)(x)
        y = layers.Activation("relu")(layers.BatchNormalization()(y))
        x = layers.Add()([x, y])
    return torchkeras.Model(inputs, x)


def recurrent(depth):
    inputs = x = torchkeras.Input((5, 3))
    for _ in range(depth):
        x = layers.LSTM(3, return_sequences=True)(x)
    return torchkeras.Model(inputs, x)


# Calls of functions of torchkeras: those within torch go by its version.
LIMITS = {functional: 245, sequential: 252, residual: 284, recurrent: 522}


@pytest.mark.parametrize("make", LIMITS, ids=lambda make: make.__name__)
def test_calls_per_layer(make):
    make(4)  # loads modules, looks at signatures
    few, some, many = (count_own_calls(lambda depth=depth: make(depth)) for depth in (4, 12, 20))
    per_layer = (many - some) / 8
    assert per_layer <= LIMITS[make]
    # As many for each, however deep the model is.
    assert per_layer == pytest.approx((some - few) / 8, abs=1)


def test_calls_of_a_model_of_layers_that_exist():
    whole = functional(24)

    def part(depth):
        torchkeras.Model(whole.inputs, whole.layers[depth].output)

    part(4)
    assert (count_own_calls(lambda: part(20)) - count_own_calls(lambda: part(12))) / 8 <= 23


def test_a_layer_put_on_top_is_the_only_one_that_is_called():
    random.set_seed(1)
    model = torchkeras.Sequential([torchkeras.Input((8,))])
    for _ in range(5):
        model.add(layers.Dense(8, "relu"))
    model.pop()
    model.add(layers.Dense(2))
    calls = [len(layer._inbound_nodes) for layer in model.layers]
    assert calls[-1] == 1 and max(calls) <= 3  # `add`, `pop`, and `add` after it
    random.set_seed(1)
    stack = [*(layers.Dense(8, "relu") for _ in range(5)), layers.Dense(2)]
    del stack[4]
    twin = torchkeras.Sequential([torchkeras.Input((8,)), *stack])
    x = torch.rand(3, 8)
    assert torch.equal(model(x), twin(x)) and model.output_shape == (None, 2)
    weights = [weight.path.partition("/")[2] for weight in model.weights]
    assert len(weights) == 10 and weights[0].endswith("/kernel")
    assert torch.equal(torchkeras.Sequential.from_config(model.get_config())(x * 0), model(x * 0))
