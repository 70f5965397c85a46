"""Dtype policies, against Keras."""

import json

import keras
import numpy as np
import pytest
import torch
from keras import dtype_policies as theirs

from torchkeras import config
from torchkeras import dtype_policies as ours

NAMES = [
    "mixed_float16",
    "mixed_bfloat16",
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "int32",
    "uint8",
    "bool",
]


@pytest.fixture(autouse=True)
def restored():
    yield
    ours.set_dtype_policy("float32")
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cls", ["DTypePolicy", "FloatDTypePolicy"])
def test_dtypes_and_configs(name, cls):
    a, b = getattr(ours, cls)(name), getattr(theirs, cls)(name)
    for attribute in ("name", "compute_dtype", "variable_dtype", "quantization_mode"):
        assert getattr(a, attribute) == getattr(b, attribute)
    assert repr(a) == repr(b)
    config = ours.serialize(a)
    assert config == theirs.serialize(b)
    assert ours.deserialize(config) == a == ours.get(config) == ours.get(name)
    assert ours.DTypePolicy(name) == ours.FloatDTypePolicy(name)
    assert ours.DTypePolicy(name) != ours.DTypePolicy("float8_e5m2")


@pytest.mark.parametrize("identifier", [torch.float16, np.dtype("float64"), np.float32, int, None])
def test_get(identifier):
    assert ours.get(identifier).name == theirs.get(identifier).name


@pytest.mark.parametrize(
    "action",
    [
        lambda m: m.DTypePolicy("no_such"),
        lambda m: m.DTypePolicy(3),
        lambda m: m.DTypePolicy(torch.float32),
        lambda m: m.get("float99"),
        lambda m: m.get(object()),
        lambda m: m.get([]),
        lambda m: m.DTypePolicyMap(policy_map=[1]),
        lambda m: m.DTypePolicyMap(default_policy=m.DTypePolicyMap()),
        lambda m: m.DTypePolicyMap().__setitem__("a", 3.5),
        lambda m: [m.DTypePolicyMap().__delitem__("a")],
    ],
)
def test_errors_are_of_keras_type(action):
    with pytest.raises(Exception) as expected:
        action(theirs)
    with pytest.raises(expected.type):
        action(ours)


def test_global_policy():
    for module, settings in ((ours, ours), (theirs, keras.config)):
        assert settings.dtype_policy().name == "float32"
        settings.set_dtype_policy("mixed_bfloat16")
        assert settings.dtype_policy().compute_dtype == "bfloat16"
        assert module.DTypePolicy().name == "mixed_bfloat16"
        assert module.get(None) is settings.dtype_policy()
        settings.set_dtype_policy(module.DTypePolicy("float64"))
        assert settings.dtype_policy().name == "float64"
        with pytest.raises(ValueError):
            settings.set_dtype_policy(3)
        assert settings.dtype_policy().name == "float64"


def test_clear_session_restores_the_default():
    ours.set_dtype_policy("float64")
    config.run_clear_session_hooks()
    assert ours.dtype_policy().name == "float32"


@pytest.mark.parametrize("autocast", [True, False])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_convert_input(autocast, dtype):
    inputs = [
        torch.ones(2),
        torch.ones(2, dtype=torch.int32),
        np.ones(2),
        np.ones(2, int),
        1.0,
        "a",
    ]
    for x in inputs:
        a = ours.DTypePolicy("float32").convert_input(x, autocast, dtype)
        b = theirs.DTypePolicy("float32").convert_input(x, autocast, dtype)
        assert type(a) is type(b)
        if isinstance(a, torch.Tensor):
            assert a.dtype == b.dtype and torch.equal(a, b)


@pytest.mark.parametrize("default", [None, "mixed_float16"])
def test_maps(default):
    made = []
    for module in (ours, theirs):
        policies = module.DTypePolicyMap(default)
        policies["encoder/layer_0/dense"] = module.DTypePolicy("bfloat16")
        policies["encoder/.*"] = "float16"
        policies["decoder"] = module.DTypePolicy("mixed_bfloat16")
        with pytest.raises(ValueError):
            policies["decoder"] = "float32"
        made.append(policies)
    a, b = made
    assert list(a) == list(b) and len(a) == len(b)
    paths = ["encoder/layer_0/dense", "encoder/x", "decoder", "decoder/x", "", "other"]
    for path in paths:
        assert a[path].name == b[path].name
        assert (path in a) == (path in b)
    for attribute in ("name", "compute_dtype", "variable_dtype", "quantization_mode"):
        assert getattr(a, attribute) == getattr(b, attribute)
    config = json.loads(json.dumps(ours.serialize(a)))
    assert config == json.loads(json.dumps(theirs.serialize(b)))
    again = ours.deserialize(config)
    if default:
        assert again == a
    assert again["other"].name == (default or "float32")
    for policies in made:
        policies["encoder/x.*"] = "float64"
        with pytest.raises(ValueError, match="encoder/xy"):
            policies["encoder/xy"]
        del policies["decoder"]
        assert "decoder" not in policies


@pytest.mark.parametrize(
    "config",
    [
        theirs.serialize(theirs.QuantizedDTypePolicy("int8", "float32")),
        theirs.serialize(theirs.GPTQDTypePolicy("gptq/4/64", "float32")),
        "int8_from_float32",
        "float8_from_mixed_bfloat16",
    ],
)
def test_quantized_policies_say_that_they_are_not_supported(config):
    with pytest.raises(NotImplementedError, match="[Qq]uantized"):
        ours.get(config)
