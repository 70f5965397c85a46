"""`clone_model`: new weights, the same architecture; clone and call functions."""

import copy
import pickle

import numpy as np
import pytest
import torch

from torchkeras import layers as L
from torchkeras.metrics import MeanAbsoluteError
from torchkeras.models import Functional, Model, Sequential, clone_model
from torchkeras.optimizers import SGD
from torchkeras.random import set_seed
from torchkeras.saving import load_model

X = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")


def functional():
    x = L.Input((3,), name="x")
    shared = L.Dense(3, name="shared", kernel_regularizer="l2")
    h = torch.tanh(shared(x)) + shared(shared(x))
    return Model(x, {"out": L.Dense(2, name="tail")(h), "h": h}, name="model")


def sequential():
    return Sequential([L.Input((3,)), L.Dense(4, name="a"), L.Dense(2, name="b")], name="stack")


@pytest.mark.parametrize("make", [functional, sequential])
def test_clones_have_weights_of_their_own(make):
    model = make()
    clone = clone_model(model)
    assert type(clone) is type(model) and clone.name == model.name
    assert [w.path for w in clone.weights] == [w.path for w in model.weights]
    assert not {id(w) for w in clone.weights} & {id(w) for w in model.weights}
    clone.set_weights(model.get_weights())
    torch.testing.assert_close(clone(X), model(X))


def test_the_same_seed_gives_the_same_clone():
    set_seed(3)
    model = functional()
    set_seed(3)
    clone = clone_model(model)
    for a, b in zip(model.get_weights(), clone.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_calls_are_cloned_with_the_layers_shared():
    clone = clone_model(functional())
    assert len(clone.get_layer("shared")._inbound_nodes) == 3
    assert len(clone.losses) == 1


def test_clone_function_sees_layers_but_inputs():
    seen = []

    def widen(layer):
        seen.append(layer.name)
        config = layer.get_config()
        if layer.name == "a":
            config["units"] = 7
        return type(layer).from_config(config)

    clone = clone_model(sequential(), clone_function=widen)
    assert seen == ["a", "b"]
    assert [tuple(w.shape) for w in clone.weights] == [(3, 7), (7,), (7, 2), (2,)]


def test_call_function_stands_in_for_calls():
    def twice(layer, *args, **kwargs):
        result = layer(*args, **kwargs)
        return result * 2 if isinstance(layer, L.Dense) else result

    x = L.Input((3,))
    model = Model(x, L.Dense(2)(x))
    clone = clone_model(model, call_function=twice)
    clone.set_weights(model.get_weights())
    torch.testing.assert_close(clone(X), 2 * model(X))


def test_other_inputs():
    new = L.Input((3,), name="other")
    for make in (functional, sequential):
        clone = clone_model(make(), input_tensors=new)
        assert clone.inputs[0].name == "other"
    first = [m.get_config()["layers"][0]["config"]["name"] for m in (sequential(), clone)]
    assert "other" not in first
    with pytest.raises(ValueError, match="input_tensors"):
        clone_model(functional(), input_tensors=[new, new])
    with pytest.raises(ValueError, match="input_tensors"):
        clone_model(sequential(), input_tensors=X)


def test_inner_models():
    x = L.Input((3,))
    model = Model(x, sequential()(x))
    seen = []

    def same(layer):
        seen.append(layer.name)
        return type(layer).from_config(layer.get_config())

    clone_model(model, clone_function=same)
    assert seen == ["stack"]
    seen.clear()
    clone = clone_model(model, clone_function=same, recursive=True)
    assert seen == ["a", "b"]
    assert clone(X).shape == (4, 2)


def test_trainable_is_kept():
    model = sequential()
    model.layers[0].trainable = False
    assert [layer.trainable for layer in clone_model(model).layers] == [False, True]


def test_subclasses_are_cloned_by_their_config():
    class Mine(Model):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = units

        def call(self, x):
            return x

    assert clone_model(Mine(3)).units == 3
    with pytest.raises(ValueError, match="subclass of `Model`"):
        clone_model(Mine(3), clone_function=lambda layer: layer)


def test_layers_are_cloned_by_their_config():
    layer = L.Dense(3, name="one")
    layer.build((None, 2))
    clone = clone_model(layer)
    assert clone is not layer and clone.name == "one"
    assert clone.built and clone.kernel.shape == (2, 3)
    assert not torch.equal(clone.kernel, layer.kernel)
    assert not clone_model(L.Dense(3)).built


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: clone_model(3), "clones models"),
        (lambda: clone_model(sequential(), call_function=lambda f, *a: f(*a)), "Sequential"),
        (lambda: clone_model(sequential(), nonsense=1), "nonsense"),
    ],
)
def test_errors(action, message):
    with pytest.raises(ValueError, match=message):
        action()


def test_a_clone_is_functional():
    assert isinstance(clone_model(functional()), Functional)


def off_by(y_true, y_pred):
    return (y_true - y_pred).abs().mean()


@pytest.mark.parametrize("make", [functional, sequential])
def test_a_clone_is_compiled_with_an_optimizer_and_metrics_of_its_own(make):
    model = make()
    metrics = [MeanAbsoluteError(), "mse"]
    metrics = {"out": metrics} if make is functional else metrics
    loss = {"out": off_by, "h": off_by} if make is functional else off_by
    model.compile(SGD(0.25, momentum=0.5), loss=loss, metrics=metrics)
    clone = clone_model(model)
    assert clone.compiled and clone.loss == loss  # not through a config: it has no known name
    assert clone.optimizer is not model.optimizer
    assert clone.optimizer.get_config() == model.optimizer.get_config()
    assert {id(v) for v in clone.optimizer._trainable_variables} == {
        id(v) for v in clone.trainable_variables
    }
    before = clone.get_weights()
    y = np.zeros((4, 2))
    model.fit(X, {"out": y, "h": np.zeros((4, 3))} if make is functional else y, verbose=0)
    for a, b in zip(before, clone.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_clone_of_a_model_with_an_optimizer_of_pytorch_s_is_not_compiled():
    model = sequential()
    model.compile(torch.optim.SGD(model.parameters(), lr=0.1), "mse")
    assert not clone_model(model).compiled
    model.compile("sgd", "mse")
    assert clone_model(model).compiled
    assert not clone_model(sequential()).compiled


def test_input_tensors_of_another_structure():
    x, y = L.Input((3,)), L.Input((3,))
    model = Model({"x": x, "y": y}, x + y)
    clone = clone_model(model, input_tensors={"x": L.Input((3,)), "y": L.Input((3,))})
    assert list(clone.input) == ["x", "y"]
    with pytest.raises(ValueError, match="must have the same structure as model.input"):
        clone_model(model, input_tensors=(x, y))


def test_a_copy_goes_on_with_its_own_steps():
    model = Sequential([L.Input((2,)), L.Dense(1)])
    model.compile("sgd", "mse")
    x, y = torch.ones(4, 2), torch.ones(4, 1)
    model.fit(x, y, verbose=0)
    before = model.get_weights()
    copied = copy.deepcopy(model)
    copied.fit(x, y, verbose=0)
    for kept, weight in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, weight)


def test_inputs_of_clones_are_named_after_the_tensors():
    unnamed, named = L.Input((2,)), L.Input((2,), name="left")
    model = Functional([unnamed, named], L.Add()([unnamed, named]))
    assert unnamed.name.startswith("keras_tensor") and named.name == "left"
    assert [layer.name for layer in clone_model(model).layers[:2]] == [unnamed.name, "left"]


@pytest.mark.parametrize("make", [functional, sequential])
def test_a_plain_copy_is_a_model_of_its_own(make):
    """A shallow one shared its weights, and its original had no config any more."""
    model = make()
    expected, config = model(X), model.get_config()
    twin = copy.copy(model)
    for weight in twin.weights:
        weight.assign(weight * 0)
    torch.testing.assert_close(model(X), expected)
    assert model.get_config() == config == twin.get_config()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
@pytest.mark.parametrize("make", [functional, sequential])
def test_models_with_renamed_layers_can_be_copied(make, copied):
    model = make()
    model.layers[-1].name = "renamed"
    twin = copied(model)
    torch.testing.assert_close(twin(X), model(X))
    assert list(twin.state_dict()) == list(model.state_dict())
    assert twin.layers[-1].name == "renamed"


OFFSET = 2.0


def test_clones_hold_the_lambdas_of_the_program():
    """Made from byte code, they knew no name of their module."""
    made = [lambda x, by=by: x * by + OFFSET for by in (1.0, 3.0)]
    made.append((lambda y: lambda x: torch.tanh(x) - y)(0.5))
    model = Sequential([L.Input((3,)), *(L.Lambda(function) for function in made)])
    clone = clone_model(model)
    assert [layer.function for layer in clone.layers] == made
    torch.testing.assert_close(clone(X), model(X))
    x = L.Input((3,))
    torch.testing.assert_close(clone_model(Model(x, model(x)))(X), model(X))


def test_lambdas_in_files_find_custom_objects(tmp_path):
    model = Sequential([L.Input((3,)), L.Lambda(lambda x: x * OFFSET)])
    model.save(tmp_path / "model.keras")
    again = load_model(tmp_path / "model.keras", {"OFFSET": OFFSET}, safe_mode=False)
    torch.testing.assert_close(again(X), model(X))
