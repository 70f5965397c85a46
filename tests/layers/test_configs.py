"""Configs derived from constructors: what they hold, and what is made of them again."""

import numpy as np
import pytest
import torch

import torchkeras as keras
from torchkeras import layers


class Block(layers.Layer):
    """Takes nothing that `Layer` takes; has a layer from the start, and one from `build`."""

    def __init__(self, units=3):
        super().__init__()
        self.units = units
        self.first = layers.Dense(units)

    def build(self, input_shape):
        self.second = layers.Dense(self.units)
        self.scale = self.add_weight((self.units,), "ones", name="scale")

    def call(self, x):
        return self.second(self.first(x)) * self.scale


class Net(keras.Model):
    """A model of such a block, and a layer that stays as it is."""

    def __init__(self):
        super().__init__()
        self.block = Block()
        self.top = layers.Dense(1)

    def call(self, x):
        return self.top(self.block(x))


class Holder(layers.Layer):
    """Keeps what it is given, and calls it, if that can be done."""

    def __init__(self, part, **kwargs):
        super().__init__(**kwargs)
        self.part = part

    def call(self, x):
        part = self.part["a"] if isinstance(self.part, dict) and "a" in self.part else self.part
        part = part[-1] if isinstance(part, (list, tuple)) else part
        return part(x) if callable(part) and not isinstance(part, dict) else x * 1.0


class Fixed(Holder):
    """The same, and takes nothing else."""

    def __init__(self, part):
        super().__init__(part)


def twice(x):
    """Double."""
    return x * 2.0


KNOWN = {"Block": Block, "Net": Net, "twice": twice}
KNOWN.update(Holder=Holder, Fixed=Fixed)
X = np.ones((4, 2), "float32")


def again(model, way, path, **options):
    """Return a model made of another by one of the ways there are."""
    if way == "clone":
        return keras.models.clone_model(model)
    if way == "json":
        return keras.models.model_from_json(model.to_json(), custom_objects=KNOWN)
    if way == "config":
        with keras.saving.custom_object_scope(KNOWN):
            return type(model).from_config(model.get_config())
    model.save(path / f"model.{way}")
    return keras.models.load_model(path / f"model.{way}", custom_objects=KNOWN, **options)


WAYS = ["clone", "json", "config", "keras", "h5"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("depth", ["layer", "sequential", "functional", "model"])
def test_frozen_layers_come_back_frozen(depth, way, tmp_path):
    if (depth, way) == ("model", "h5"):
        pytest.skip("such files do not say how a subclassed model was built")
    if depth == "model":
        model = Net()
        frozen = model  # of its block alone, the config of the model would say nothing
    else:
        frozen = block = Block()
        chain = [keras.Input((2,)), block]
        if depth == "sequential":
            chain = [keras.Input((2,)), keras.Sequential([keras.Input((2,)), block])]
        if depth == "functional":
            inputs = keras.Input((2,))
            chain = [keras.Input((2,)), keras.Model(inputs, block(inputs))]
        model = keras.Sequential([*chain, layers.Dense(1)])
    model(X)
    frozen.trainable = False
    known = len(model.trainable_weights)
    assert known == (0 if depth == "model" else 2)  # those of the last layer
    made = again(model, way, tmp_path)
    made(X)
    assert len(made.weights) == len(model.weights)
    assert len(made.trainable_weights) == known
    if depth != "model":
        before = [w.detach().clone() for w in made.weights]
        made.compile("sgd", "mse")
        made.fit(X, X[:, :1] + 3.0, verbose=0)
        moved = [not torch.equal(a, b) for a, b in zip(before, made.weights, strict=True)]
        assert sum(moved) <= 2
        made.layers[-2].trainable = True
        assert len(made.trainable_weights) == len(made.weights)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", WAYS)
def test_frozen_attention_comes_back_frozen(way, tmp_path):
    inputs = keras.Input((3, 4))
    layer = layers.MultiHeadAttention(2, 2)
    model = keras.Model(inputs, layer(inputs, inputs))
    layer.trainable = False
    assert not again(model, way, tmp_path).trainable_weights


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", WAYS)
def test_what_a_constructor_does_not_take_is_set(way, tmp_path):
    block = Block(2)
    block.dtype_policy = "mixed_bfloat16"
    block.activity_regularizer = "l2"
    model = keras.Sequential([keras.Input((2,)), block])
    made = again(model, way, tmp_path).layers[-1]
    assert made.dtype_policy.name == "mixed_bfloat16"
    assert isinstance(made.activity_regularizer, keras.regularizers.L2)
    assert made.units == 2


def test_what_a_class_fixes_is_left_to_it():
    class Fixing(layers.Dense):
        def __init__(self, units=2, **kwargs):
            super().__init__(2 * units, activation="relu", **kwargs)

    layer = Fixing(3, use_bias=False)
    made = Fixing.from_config(layer.get_config())
    assert (made.units, made.use_bias, made.activation.__name__) == (6, False, "relu")
    with pytest.raises(TypeError, match="unexpected keyword"):
        Block.from_config({"units": 3, "unit": 4})


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [Holder, Fixed])
@pytest.mark.parametrize(
    "part",
    [
        lambda: layers.Dense(2, kernel_initializer="ones"),
        lambda: [layers.ReLU(), layers.Dense(2)],
        lambda: {"a": layers.Dense(2)},
        lambda: keras.Sequential([keras.Input((2,)), layers.Dense(2)]),
        lambda: Block(2),
        lambda: twice,
        lambda: keras.activations.tanh,
        lambda: np.arange(3),
        lambda: layers.serialize(layers.Dense(3)),
        lambda: {"class_name": "mine", "config": {"a": 1}},
    ],
)
def test_arguments_that_are_objects_come_back(part, kind, way, tmp_path):
    layer = kind(part())
    model = keras.Sequential([keras.Input((2,)), layer])
    made = again(model, way, tmp_path)
    found = made.layers[-1].part
    assert type(found) is type(layer.part)
    if isinstance(found, dict) and "a" not in found:
        assert dict(found) == dict(layer.part)
    made.set_weights(model.get_weights())
    assert torch.equal(made(X), model(X))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", ["keras", "h5"])
def test_lambdas_that_are_arguments_need_safe_mode_off(way, tmp_path):
    model = keras.Sequential([keras.Input((2,)), Holder(lambda x: x * 3.0)])
    with pytest.raises(ValueError, match="safe_mode=False"):
        again(model, way, tmp_path)
    assert torch.equal(again(model, way, tmp_path, safe_mode=False)(X), model(X))
    assert torch.equal(keras.models.clone_model(model)(X), model(X))
    with pytest.raises(ValueError, match="safe_mode=False"):
        Holder.from_config(model.layers[-1].get_config())


def test_arguments_without_a_config_are_named():
    with pytest.raises(NotImplementedError, match=r"(?s)Holder 'mine'.*part=<object.*get_config"):
        Holder(object(), name="mine").get_config()


@pytest.mark.parametrize("way", ["keras", "json"])
def test_a_layer_that_its_holder_builds_comes_back(way, tmp_path):
    class Builds(Holder):
        def build(self, input_shape):
            self.part.build(input_shape)

        def call(self, x):
            return self.part(x)

    model = keras.Sequential([keras.Input((2,)), Builds(layers.Dense(3))])
    with keras.saving.custom_object_scope({"Builds": Builds}):
        made = again(model, way, tmp_path)
    made.set_weights(model.get_weights())
    assert torch.equal(made(X), model(X)) and len(made.weights) == 2
