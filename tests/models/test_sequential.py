"""Sequential models: with and without a known input shape, grown and shrunk, copied."""

import copy
import pickle

import numpy as np
import pytest
import torch

from torchkeras import layers as L
from torchkeras.models import Model, Sequential, model_from_json

X = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")


@pytest.fixture(autouse=True)
def _fresh_compiler():
    """Torch limits how often a function is compiled, and models share theirs."""
    yield
    torch.compiler.reset()


def by_hand(model, x):
    """Pass `x` through the layers of a model, one by one."""
    for layer in model.layers:
        x = layer(x)
    return x


KNOWN = {
    "input": lambda: Sequential([L.Input((4,)), L.Dense(3, "relu"), L.Dense(2)]),
    "input_shape": lambda: Sequential([L.Dense(3, "relu", input_shape=(4,)), L.Dense(2)]),
    "input_dim": lambda: Sequential([L.Dense(3, "relu", input_dim=4), L.Dense(2)]),
    "batch_input_shape": lambda: Sequential(
        [L.Dense(3, "relu", batch_input_shape=(None, 4)), L.Dense(2)]
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_input_shape(name):
    model = KNOWN[name]()
    assert model.built
    assert model.input_shape == (None, 4) and model.output_shape == (None, 2)
    assert model.count_params() == 4 * 3 + 3 + 3 * 2 + 2
    assert len(model.layers) == 2
    torch.testing.assert_close(model(X), by_hand(model, X))


def test_deferred_build():
    model = Sequential([L.Dense(3), L.Dense(2)])
    assert not model.built and model.weights == []
    with pytest.raises(AttributeError, match="no defined output shape yet"):
        _ = model.output_shape
    with pytest.raises(ValueError, match="isn't built"):
        model.count_params()
    model(X)
    assert model.built and model.output_shape == (5, 2)  # of the call that built it
    assert model(X[:2]).shape == (2, 2)  # others may be larger or smaller
    assert model.layers[0].kernel.path == f"{model.name}/{model.layers[0].name}/kernel"


def test_build_by_shape():
    model = Sequential([L.Dense(3), L.Dense(2)])
    model.build((None, 4))
    assert [tuple(w.shape) for w in model.weights] == [(4, 3), (3,), (3, 2), (2,)]
    with pytest.raises(ValueError, match="already been configured"):
        model.build((None, 5))


def test_add_and_pop():
    model = Sequential()
    model.add(L.Input((4,)))
    model.add(L.Dense(3))
    assert model.output_shape == (None, 3)
    model.add(L.Dense(7))
    assert model.output_shape == (None, 7)
    last = model.pop()
    assert isinstance(last, L.Dense) and model.output_shape == (None, 3)
    model.add(L.ReLU())
    assert float(model(X).detach().min()) == 0.0
    assert [type(layer).__name__ for layer in model.layers] == ["Dense", "ReLU"]
    assert list(model.state_dict()) == [
        f"{model.layers[0].name}.kernel",
        f"{model.layers[0].name}.bias",
    ]


def test_torch_modules_are_layers():
    model = Sequential([torch.nn.Linear(4, 3), torch.nn.ReLU(), L.Dense(2)])
    assert model(X).shape == (5, 2)
    assert len(model.trainable_weights) == 4
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(X, X[:, :2], verbose=0)
    assert all((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))


def test_inner_models():
    inner = Sequential([L.Dense(3), L.ReLU()])
    model = Sequential([L.Input((4,)), inner, L.Dense(1)])
    assert inner.built and model.output_shape == (None, 1)
    torch.testing.assert_close(model(X), by_hand(model, X))


def test_within_another_model_input_and_output_are_those_of_the_call():
    inner = Sequential([L.Dense(3, name="inner_dense")])
    outer = Sequential([L.Input((2,)), inner, L.Dense(1)])
    features = Model(outer.inputs, [layer.output for layer in outer.layers])
    x = torch.ones(4, 2)
    first, last = features(x)
    assert torch.equal(first, inner(x)) and torch.equal(last, outer(x))
    assert inner.input is outer.inputs[0] and inner.output is not inner.outputs[0]
    own = Model(inner.inputs, inner.get_layer("inner_dense").output)
    assert torch.equal(own(x), inner(x))


def test_the_first_layer_may_be_a_built_model():
    inner = Sequential([L.Input((4,)), L.Dense(3)])
    model = Sequential([inner, L.Dense(1)])
    assert model.output_shape == (None, 1)


def test_several_inputs_pass_through_one_by_one():
    class Both(L.Layer):
        def call(self, inputs):
            return inputs["a"] + inputs["b"]

    model = Sequential([Both(), L.Dense(2)])
    assert model({"a": X, "b": X}).shape == (5, 2)


def test_training_reaches_the_layers():
    model = Sequential([L.Input((4,)), L.Dropout(0.5)])
    x = np.ones((8, 4), "float32")
    assert (model(x) == 1).all()
    assert (model(x, training=True) == 0).any()
    model.train()
    assert (model(x) == 0).any()
    assert (model(x, training=False) == 1).all()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Sequential([3]), ValueError, "Only instances of `Layer` can be added"),
        (lambda: Sequential([L.Dense(1, name="a"), L.Dense(1, name="a")]), ValueError, "'a'"),
        (lambda: Sequential([L.Input((3,)), L.Input((3,))]), ValueError, "different Input layer"),
        (lambda: Sequential().build((None, 3)), ValueError, "has no layers"),
        (lambda: Sequential().pop(), IndexError, "empty"),
        (lambda: Sequential.from_config({}), ValueError, "'name' and 'layers'"),
        (lambda: Sequential([L.Input((4,)), L.Add()]), ValueError, "list of inputs"),
    ],
)
def test_errors(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_layers_with_two_inputs_do_not_stack():
    class Two(L.Layer):
        def call(self, a, b):
            return a + b

    with pytest.raises(ValueError, match="has \\['a', 'b'\\]"):
        Sequential([L.Input((4,)), Two()])


def test_an_overridden_call_is_called():
    class Doubled(Sequential):
        def call(self, inputs, training=None, mask=None):
            return 2 * super().call(inputs, training=training, mask=mask)

    model = Doubled([L.Input((4,)), L.Dense(3)])
    torch.testing.assert_close(model(X), 2 * model.layers[0](X))


@pytest.mark.parametrize("built", [True, False])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies(copied, built):
    model = Sequential(([L.Input((4,))] if built else []) + [L.Dense(3), L.Dropout(0.5)])
    twin = copied(model)
    assert twin.built == built
    if built:
        torch.testing.assert_close(twin(X), model(X))
    twin.add(L.Dense(1))
    assert twin(X).shape == (5, 1) and len(model.layers) == 2
    assert model(X).shape == (5, 3)


def test_json_of_a_deferred_model_knows_its_shape_once_built():
    model = Sequential([L.Dense(3), L.Dense(2)])
    assert not model_from_json(model.to_json()).built
    model(X)
    again = model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    torch.testing.assert_close(again(X), model(X))


def test_torch_compile_and_export():
    model = Sequential([L.Dense(3, "relu"), L.BatchNormalization(), L.Dense(2)])
    x = torch.tensor(X)
    wanted = model(x)
    torch.testing.assert_close(torch.compile(model, fullgraph=True, backend="eager")(x), wanted)
    torch.testing.assert_close(torch.export.export(model, (x,)).module()(x), wanted)


def test_layers_decide_about_other_sizes():
    """As in Keras: a fully convolutional stack takes images of any size, also as a fitted model."""
    model = Sequential([L.Input((8, 8, 3)), L.Conv2D(2, 3), L.GlobalAveragePooling2D()])
    model.compile("sgd", "mse")
    for size in (8, 12):
        x = np.ones((2, size, size, 3), "float32")
        model.fit(x, np.ones((2, 2)), verbose=0)
        torch.testing.assert_close(
            torch.as_tensor(model.predict(x, verbose=0)),
            by_hand(model, torch.as_tensor(x)).detach(),
        )
    with pytest.raises(ValueError, match="conv2d"):
        model(np.ones((2, 8, 8, 4), "float32"))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"layers": []}, "must be a dictionary containing the 'name' and 'layers' keys"),
        ({"name": "m", "layers": [{}]}, "Expected a dictionary containing a 'config' key"),
        ({"name": "m", "layers": ["Dense"]}, "Expected a dictionary containing a 'config' key"),
    ],
)
def test_configs_that_are_none(config, message):
    with pytest.raises(ValueError, match=message):
        Sequential.from_config(config)


@pytest.mark.parametrize(
    "kind", [lambda a: [a, a], lambda a: {"x": a}, lambda a: a[:, :2].astype(str)]
)
def test_inputs_of_a_wrong_structure_leave_nothing_behind(kind):
    """A model that was fitted to them by mistake is fitted to right ones."""
    model = Sequential([L.Dense(2)])
    model.compile("sgd", "mse")
    x, y = np.ones((4, 3), "float32"), np.ones((4, 2), "float32")
    with pytest.raises((ValueError, KeyError)):
        model.fit(kind(x), y, verbose=0)
    assert not model.built
    model.fit(x, y, verbose=0)
    assert len(model.optimizer.variables) and len(model.trainable_variables) == 2


def test_layers_come_in_an_iterable():
    with pytest.raises(TypeError, match=r"Sequential\(\[layer\]\)"):
        Sequential(L.Dense(2))
    assert len(Sequential(L.Dense(n) for n in (1, 2)).layers) == 2


def test_from_config_takes_as_many_names_as_in_keras():
    """Keras makes a functional model, of which each takes a number, for each layer it adds."""

    def number():
        x = L.Input((2,))
        name = Model(x, x).name
        return int(name.removeprefix("functional_")) if "_" in name else 0

    model = Sequential([L.Input((4,)), L.Dense(3), L.Dense(2), L.Dense(1)])
    before = number()
    Sequential.from_config(model.get_config())
    assert number() - before == 4
