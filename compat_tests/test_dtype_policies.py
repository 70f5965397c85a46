"""Dtype policies, against Keras."""

import json

import keras
import numpy as np
import pytest
import torch
from keras import dtype_policies as theirs

import torchkeras
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


QUANTIZED = [
    ("QuantizedDTypePolicy", ("int8", "float32")),
    ("QuantizedDTypePolicy", ("int8",)),
    ("QuantizedDTypePolicy", ("int4", "mixed_bfloat16")),
    ("QuantizedFloat8DTypePolicy", ("float8", "mixed_bfloat16")),
    ("QuantizedFloat8DTypePolicy", ("float8", "float32", 16)),
    ("Int4DTypePolicy", ("int4/128", "float32")),
    ("Int4DTypePolicy", ("int4/-1", "bfloat16")),
    ("GPTQDTypePolicy", ("gptq/3/64", "float32")),
    ("AWQDTypePolicy", ("awq/4/-1", "mixed_bfloat16")),
]
FIELDS = (
    "name",
    "compute_dtype",
    "variable_dtype",
    "quantization_mode",
    "mode",
    "weight_bits",
    "group_size",
    "block_size",
    "amax_history_length",
)


@pytest.mark.parametrize(("cls", "arguments"), QUANTIZED)
def test_quantized_policies(cls, arguments):
    a, b = getattr(ours, cls)(*arguments), getattr(theirs, cls)(*arguments)
    assert {f: getattr(a, f, None) for f in FIELDS} == {f: getattr(b, f, None) for f in FIELDS}
    assert repr(a) == repr(b)
    config = ours.serialize(a)
    assert config == theirs.serialize(b)
    assert ours.deserialize(config) == a
    assert type(ours.get(a.name)) is type(a) and type(theirs.get(a.name)) is type(b)
    assert a != ours.QuantizedDTypePolicy("int8", "float64")
    policies = ours.DTypePolicyMap("float32", {"dense": a})
    assert ours.deserialize(ours.serialize(policies)) == policies


@pytest.mark.parametrize(
    "action",
    [
        lambda m: m.QuantizedDTypePolicy("int2"),
        lambda m: m.QuantizedDTypePolicy("int8", "mixed_float16"),
        lambda m: m.QuantizedFloat8DTypePolicy("float8", "float32", "16"),
        lambda m: m.Int4DTypePolicy("int4", "float32"),
        lambda m: m.Int4DTypePolicy("int4/x", "float32"),
        lambda m: m.Int4DTypePolicy("int4/0", "float32"),
        lambda m: m.GPTQDTypePolicy("gptq/5/8", "float32"),
        lambda m: m.GPTQDTypePolicy("gptq/4/-2", "float32"),
        lambda m: m.AWQDTypePolicy("awq/3/8", "float32"),
        lambda m: m.AWQDTypePolicy("gptq/4/8", "float32"),
        lambda m: m.get("int8_from_float99"),
        lambda m: m.get("gptq_from_float32"),
    ],
)
def test_quantized_policies_that_do_not_exist(action):
    with pytest.raises((TypeError, ValueError)) as expected:
        action(theirs)
    with pytest.raises(expected.type):
        action(ours)


def test_set_dtype_policy_takes_quantized_ones():
    ours.set_dtype_policy("int8_from_float32")
    assert ours.dtype_policy() == ours.QuantizedDTypePolicy("int8", "float32")
    assert torchkeras.layers.Dense(2).dtype_policy == ours.dtype_policy()
