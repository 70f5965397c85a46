"""`DataLayer` outside of TensorFlow; `compat_tests/test_layers_augmentation.py` has the inside."""

import sys
import types

import numpy as np
import pytest
import torch

import torchkeras as keras
from torchkeras.layers.data_layer import (
    DataLayer,
    convert_tf_tensor,
    in_grain_data_pipeline,
    in_tf_graph,
)


class Noise(DataLayer):
    """A user's layer that draws."""

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, inputs):
        seed = self._get_seed_generator(self.backend._backend)
        noise = self.backend.random.normal(self.backend.shape(inputs), seed=seed)
        return self.backend.numpy.add(inputs, self.convert_weight(noise))


def test_a_users_layer():
    layer, again = Noise(seed=1), Noise(seed=1)
    x = np.zeros((2, 3), "float32")
    first = layer(x)
    assert torch.equal(first, again(x))
    assert not torch.equal(first, layer(x))
    assert layer(keras.Input((3,))).shape == (None, 3)
    assert layer.get_config()["seed"] == 1


def test_backend_is_the_ops():
    backend = DataLayer.backend
    assert backend.name == backend._backend == "torch"
    assert backend.cast(torch.ones(2), "int32").dtype is torch.int32
    assert backend.nn.relu(torch.tensor(-1.0)).item() == 0
    assert backend.image.resize(torch.ones(2, 2, 1), (4, 4)).shape == (4, 4, 1)
    with pytest.raises(AttributeError, match="no_such_op"):
        _ = backend.no_such_op


def test_a_layer_without_a_generator_says_so():
    with pytest.raises(ValueError, match="self.generator = SeedGenerator"):
        DataLayer()._get_seed_generator()


def test_without_tensorflow(monkeypatch):
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    assert not in_tf_graph()
    assert torch.equal(convert_tf_tensor(np.ones(2, "float32")), torch.ones(2))
    monkeypatch.setitem(sys.modules, "tensorflow", types.ModuleType("tensorflow"))
    assert not in_tf_graph([torch.ones(2)])  # a stand-in has no graphs


def test_grain_pipelines_compute_on_the_cpu(monkeypatch):
    monkeypatch.setitem(sys.modules, "grain", types.ModuleType("grain"))
    code = compile(
        "result = layer(x)", "/site-packages/grain/_src/python/dataset/dataset.py", "exec"
    )
    layer, x = Noise(), np.zeros((2, 3), "float32")
    with torch.device("meta"):
        assert layer(x).is_meta
        names = {"layer": layer, "x": x}
        exec(code, names)
    assert names["result"].device.type == "cpu"


def test_a_call_from_a_grain_pipeline_is_seen(monkeypatch):
    assert not in_grain_data_pipeline()
    monkeypatch.setitem(sys.modules, "grain", types.ModuleType("grain"))
    assert not in_grain_data_pipeline()
    scope = {"seen": in_grain_data_pipeline}
    code = compile("found = seen()", "site-packages/grain/_src/python/dataset/map.py", "exec")
    exec(code, scope)
    assert scope["found"]
