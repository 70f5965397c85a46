"""PyTorch modules in layers and models: wrapped by themselves, and what the wrapper does."""

import base64
import copy
import io
import os
import pickle

import pytest
import torch
from torch import nn

from torchkeras import Model, layers
from torchkeras.layers import TorchModuleWrapper
from torchkeras.layers.tracking import DotNotTrackScope
from torchkeras.saving import deserialize_keras_object, serialize_keras_object
from torchkeras.variables import Variable

X = torch.linspace(-1, 1, 12).reshape(3, 4)


class Net(Model):
    """Modules of PyTorch's as attributes, and a layer."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(4, 8)
        self.norm = nn.BatchNorm1d(8)
        self.drop = nn.Dropout(0.5)
        self.head = layers.Dense(2, name="head")

    def call(self, x):
        return self.head(self.drop(self.norm(self.hidden(x))))


class Plain(nn.Module):
    """The same for PyTorch alone, without the head."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(4, 8)
        self.norm = nn.BatchNorm1d(8)


def test_attributes_become_layers():
    model = Net()
    model(X)
    wrapped = [model.hidden, model.norm, model.drop]
    assert all(isinstance(layer, TorchModuleWrapper) for layer in wrapped)
    assert model.layers == [*wrapped, model.head] and len(model.trainable_weights) == 6
    model.hidden.trainable = False
    assert len(model.trainable_weights) == 4 and not model.hidden.weight.requires_grad
    model.hidden = nn.Linear(4, 8)  # another one in its place
    assert isinstance(model.hidden, TorchModuleWrapper) and len(model.trainable_weights) == 6


def test_training_reaches_modules():
    model = Net()
    drop = model.drop
    model(X, training=False)
    assert not model.norm.running_mean.any() and drop(X, training=False).equal(X)
    model(X, training=True)
    assert model.norm.running_mean.any() and (drop(torch.ones(99), training=True) == 0).any()
    assert (drop(torch.ones(99)) == 0).any()  # as PyTorch and Keras have it, until told otherwise
    model.eval()
    assert drop(X).equal(X)


def test_modules_are_in_their_own_mode_where_nobody_says_anything():
    class HandsOn(Model):
        def __init__(self):
            super().__init__()
            self.norm = TorchModuleWrapper(nn.BatchNorm1d(4))
            self.given = []

        def call(self, x, training=None):
            self.given.append(training)
            return self.norm(x, training=training)

    model = HandsOn()
    mean = model.norm.module.running_mean
    model(X, training=False)
    assert not mean.any()
    model(X)
    assert mean.any()
    model.eval()
    before = mean.clone()
    model(X)
    assert mean.equal(before)
    model.train()
    model(X)
    assert not mean.equal(before) and model.given == [False, None, None, True]


def test_the_module_shows_through():
    layer = TorchModuleWrapper(nn.Linear(4, 3))
    assert layer.in_features == 4 and layer.weight is layer.module.weight
    with pytest.raises(AttributeError, match="nothing"):
        _ = layer.nothing
    other = nn.Linear(4, 3)
    layer.weight = other.weight  # tied
    assert layer.module.weight is other.weight and len(layer.weights) == 2
    assert copy.deepcopy(layer)(X).equal(layer(X))


def test_weights_are_variables_and_the_same_objects():
    module = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    module[0].extra = module[0].weight  # tied
    before = list(module.parameters())
    layer = TorchModuleWrapper(module, name="w")
    assert all(a is b for a, b in zip(before, layer.weights, strict=True))
    assert [v.path for v in layer.variables][:2] == ["w/0_weight", "w/0_bias"]
    layer.weights[1].assign([1.0, 2.0, 3.0])
    assert module[0].bias.tolist() == [1, 2, 3]
    layer(X, training=True).sum().backward()
    assert layer.weights[0].value.grad is module[0].weight.grad
    layer.to("meta")
    assert all(isinstance(weight, Variable) for weight in layer.weights)


def test_pickles_hold_nothing_but_pytorch():
    module = nn.Linear(4, 4)
    module.twin = module.weight
    text = base64.b64decode(TorchModuleWrapper(module).get_config()["module"])
    assert b"torchkeras" not in text
    loaded = torch.load(io.BytesIO(text), weights_only=False)
    assert type(loaded.weight) is nn.Parameter and loaded.twin is loaded.weight
    assert isinstance(module.weight, Variable)


def test_mixed_precision():
    layer = TorchModuleWrapper(nn.Linear(4, 3), dtype="mixed_bfloat16")
    for _ in range(2):
        y = layer(X)
        assert y.dtype is torch.bfloat16 and layer.weight.dtype is torch.float32
    torch.testing.assert_close(y.float(), layer.module(X), rtol=0.02, atol=0.02)
    y.sum().backward()
    assert layer.weight.grad.dtype is torch.float32


def test_what_is_not_wrapped():
    class Holder(layers.Layer):
        def __init__(self):
            super().__init__()
            self.several = nn.ModuleList([nn.Linear(4, 4)])
            self.listed = [nn.Linear(4, 4)]
            self.lazy = nn.LazyLinear(3)
            with DotNotTrackScope():
                self.outside = nn.Linear(4, 4)

        def call(self, x):
            for module in (*self.several, *self.listed, self.lazy):
                x = module(x)
            return x

    layer = Holder()
    assert layer(X).shape == (3, 3)
    kinds = [layer.several, layer.listed[0], layer.lazy, layer.outside]
    assert not any(isinstance(module, TorchModuleWrapper) for module in kinds)
    assert len(layer.trainable_weights) == 6


def test_state_dicts_of_pytorch_are_taken():
    model, plain = Net(), Plain()
    model(X, training=False)
    model.load_state_dict(plain.state_dict(), strict=False)
    assert model.hidden.weight.equal(plain.hidden.weight)
    again = Net()
    again(X, training=False)
    again.load_state_dict(model.state_dict())
    assert again(X, training=False).equal(model(X, training=False))
    bad = {"hidden.weight": plain.hidden.weight, "hidden.other": torch.ones(1)}
    with pytest.raises(RuntimeError, match="other"):
        model.load_state_dict(bad)


def test_modules_that_cannot_be_pickled():
    class Local(nn.Flatten):
        pass

    config = serialize_keras_object(TorchModuleWrapper(Local()))
    with pytest.raises(ValueError, match=r"(?s)could not be pickled.*Local"):
        deserialize_keras_object(config, safe_mode=False)
    name = config["config"]["module"]["class_name"]
    layer = deserialize_keras_object(config, custom_objects={name: Local})
    assert layer(torch.ones(2, 3, 4)).shape == (2, 12)


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_pickles_are_not_loaded_unasked(tmp_path):
    stream = io.BytesIO()
    torch.save(Evil(tmp_path / "made"), stream)
    texts = [stream.getvalue(), pickle.dumps(Evil(tmp_path / "made")), b"none"]
    for text in texts:
        config = {"name": "x", "module": base64.b64encode(text).decode()}
        for safe_mode in (None, True):
            with pytest.raises(ValueError, match=r"(?s)torch\.load.*safe_mode=False"):
                TorchModuleWrapper.from_config(config, safe_mode=safe_mode)
    assert not (tmp_path / "made").exists()
