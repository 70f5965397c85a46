"""Constraints: values, configs, names and errors as in Keras."""

import inspect
import json

import keras
import numpy as np
import pytest
import torch
from keras import constraints as theirs

from torchkeras import constraints as ours

CASES = [
    ("MaxNorm", {}),
    ("MaxNorm", {"max_value": 0.7, "axis": 1}),
    ("MaxNorm", {"max_value": 0.7, "axis": [0, 1, 2]}),
    ("MaxNorm", {"max_value": 0.7, "axis": None}),
    ("NonNeg", {}),
    ("UnitNorm", {}),
    ("UnitNorm", {"axis": -1}),
    ("UnitNorm", {"axis": (0, 2)}),
    ("MinMaxNorm", {}),
    ("MinMaxNorm", {"min_value": 0.8, "max_value": 0.9, "rate": 0.3, "axis": 2}),
    ("MinMaxNorm", {"min_value": 2.5, "max_value": 3.0, "axis": [0, 1]}),
    ("Constraint", {}),
]
# A norm is one sum; its rounding depends on the order of the summands. Keras rounds the bounds to
# float32 (relative error 6e-8), and half types at each step where ours do so at the end.
RTOL = {"float64": 7e-8, "float32": 2e-6, "float16": 4e-3, "bfloat16": 2e-2}


def both(name, arguments):
    return getattr(ours, name)(**arguments), getattr(theirs, name)(**arguments)


@pytest.mark.parametrize("dtype", RTOL)
@pytest.mark.parametrize("name, arguments", CASES)
def test_values(name, arguments, dtype):
    a, b = both(name, arguments)
    w = torch.tensor(
        np.random.default_rng(0).normal(size=(3, 2, 4, 5)), dtype=getattr(torch, dtype)
    )
    w[:, :, :, 0] = 0.0
    w[:, :, 1, :] = 0.0
    actual, expected = a(w), b(w)
    assert actual.dtype == w.dtype
    # Keras's NonNeg makes float32 of float64, and its half types overflow at a norm of 0.
    expected = torch.where(expected.isnan(), 0, expected).to(w.dtype)
    torch.testing.assert_close(actual, expected, rtol=RTOL[dtype], atol=RTOL[dtype])


def test_arrays_and_integers():
    w = np.array([[3, -4], [0, 0]])
    for name in ("MaxNorm", "UnitNorm", "MinMaxNorm", "NonNeg"):
        a, b = both(name, {})
        for data in (w, w.astype("float32"), w.astype("float32").tolist()):
            torch.testing.assert_close(a(data), b(data), check_dtype=name != "NonNeg")


@pytest.mark.parametrize("name, arguments", CASES)
def test_configs_go_both_ways(name, arguments):
    a, b = both(name, arguments)
    assert a.get_config() == b.get_config()
    config = ours.serialize(a)
    assert config == theirs.serialize(b)
    config = json.loads(json.dumps(config))
    w = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(0))
    legacy = {"class_name": name, "config": config["config"]}
    for again in (ours.deserialize(config), ours.get(config), ours.get(legacy)):
        assert type(again) is type(a)
        torch.testing.assert_close(again(w), theirs.get(config)(w), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("name", sorted(keras.src.constraints.ALL_OBJECTS_DICT))
def test_every_name_of_keras_is_known(name):
    a, b = ours.get(name), theirs.get(name)
    assert type(a).__name__ == type(b).__name__
    assert a.get_config() == b.get_config()


@pytest.mark.parametrize("name", sorted(n for n in dir(theirs) if not n.startswith("_")))
def test_public_names_and_signatures(name):
    a, b = getattr(ours, name), getattr(theirs, name)
    assert name in ours.__all__
    assert a.__name__ == b.__name__
    if name not in ("Constraint", "NonNeg", "non_neg"):  # these have no constructor
        expected = [(p.name, p.default) for p in inspect.signature(b).parameters.values()]
        assert [(p.name, p.default) for p in inspect.signature(a).parameters.values()] == expected


@pytest.mark.parametrize(
    "action",
    [
        lambda m: m.get("no_such"),
        lambda m: m.get(1),
        lambda m: m.MaxNorm(axes=1),
        lambda m: m.MaxNorm(axis=5)(torch.ones(2, 2)),
    ],
)
def test_errors_are_of_keras_type(action):
    with pytest.raises(Exception) as expected:
        action(theirs)
    with pytest.raises(expected.type):
        action(ours)


def test_classes_functions_and_none():
    def project(w):
        return w.clamp(max=1)

    for module in (ours, theirs):
        assert module.get(None) is None
        assert module.get(project) is project
        assert isinstance(module.get(module.NonNeg), module.NonNeg)
