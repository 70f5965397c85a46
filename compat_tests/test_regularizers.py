"""Regularizers: values, gradients, configs, names and errors as in Keras."""

import inspect
import json

import keras
import numpy as np
import pytest
import torch
from keras import regularizers as theirs

from torchkeras import regularizers as ours

CASES = [
    ("L1", {}),
    ("L1", {"l1": 0.3}),
    ("L1", {"l1": None}),
    ("L1", {"l1": 2}),
    ("L2", {}),
    ("L2", {"l2": 0.3}),
    ("L2", {"l2": None}),
    ("L1L2", {}),
    ("L1L2", {"l1": 0.3}),
    ("L1L2", {"l2": 0.3}),
    ("L1L2", {"l1": 0.1, "l2": 0.2}),
    ("L1L2", {"l1": None, "l2": None}),
    ("OrthogonalRegularizer", {}),
    ("OrthogonalRegularizer", {"factor": 0.5, "mode": "columns"}),
]
# The same sums in another order: a few rounding errors of the result. Keras rounds the factors of
# L1 and OrthogonalRegularizer to float32, whose relative rounding error is 2**-24, about 6e-8.
RTOL = {"float64": 7e-8, "float32": 2e-6, "float16": 4e-3, "bfloat16": 3e-2}


def both(name, arguments):
    return getattr(ours, name)(**arguments), getattr(theirs, name)(**arguments)


@pytest.mark.parametrize("dtype", RTOL)
@pytest.mark.parametrize("name, arguments", CASES)
@pytest.mark.parametrize("zero_rows", [0, 1])
def test_values_and_gradients(name, arguments, dtype, zero_rows):
    if dtype == "float16" and zero_rows and name.startswith("Orth"):
        pytest.skip("Keras makes NaN of it: the inverse of its epsilon overflows")
    a, b = both(name, arguments)
    data = np.random.default_rng(0).uniform(-2, 2, (4, 6))
    data[:zero_rows] = 0
    results = []
    for regularizer in (a, b):
        x = torch.tensor(data, dtype=getattr(torch, dtype), requires_grad=True)
        y = regularizer(x)
        assert y.shape == ()
        if y.requires_grad:
            y.backward()
        results.append((y.item(), x.grad, y.dtype))
    assert results[0][0] == pytest.approx(results[1][0], rel=RTOL[dtype])
    assert results[0][2] == results[1][2] or dtype == "float64"
    if results[1][1] is None:
        assert results[0][1] is None
    else:
        torch.testing.assert_close(
            results[0][1], results[1][1], rtol=4 * RTOL[dtype], atol=RTOL[dtype], equal_nan=True
        )


@pytest.mark.parametrize("shape", [(), (5,), (2, 3, 4), (0,)])
@pytest.mark.parametrize("name", ["L1", "L2", "L1L2"])
def test_any_shape(name, shape):
    a, b = both(name, {"l1": 0.5} if "1" in name else {"l2": 0.5})
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(a(x), b(x).detach())


@pytest.mark.parametrize("name, arguments", CASES)
def test_configs_go_both_ways(name, arguments):
    a, b = both(name, arguments)
    assert a.get_config() == pytest.approx(b.get_config()) or a.get_config() == b.get_config()
    config = json.loads(json.dumps(theirs.serialize(b)))
    if name == "L1" or name.startswith("Orth"):  # Keras keeps these factors in float32
        key = "l1" if name == "L1" else "factor"
        assert config["config"][key] == np.float32(a.get_config()[key])
        config["config"][key] = a.get_config()[key]
    assert ours.serialize(a) == config
    x = torch.randn(3, 3, generator=torch.Generator().manual_seed(0))
    legacy = {"class_name": name, "config": config["config"]}
    for again in (ours.deserialize(config), ours.get(config), ours.get(legacy)):
        assert type(again) is type(a)
        torch.testing.assert_close(again(x), a(x))
    torch.testing.assert_close(theirs.get(ours.serialize(a))(x).detach(), a(x))


@pytest.mark.parametrize("name", sorted(keras.src.regularizers.ALL_OBJECTS_DICT))
def test_every_name_of_keras_is_known(name):
    a, b = ours.get(name), theirs.get(name)
    assert type(a).__name__ == type(b).__name__
    if name.lower() != "regularizer":
        assert a.get_config() == pytest.approx(b.get_config()) or a.get_config() == b.get_config()


@pytest.mark.parametrize("name", sorted(n for n in dir(theirs) if not n.startswith("_")))
def test_public_names_and_signatures(name):
    a, b = getattr(ours, name), getattr(theirs, name)
    assert name in ours.__all__
    assert a.__name__ == b.__name__
    if name != "Regularizer":
        expected = [(p.name, p.default) for p in inspect.signature(b).parameters.values()]
        assert [(p.name, p.default) for p in inspect.signature(a).parameters.values()] == expected


@pytest.mark.parametrize(
    "action",
    [
        lambda m: m.get("no_such"),
        lambda m: m.get(0.01),
        lambda m: m.L1(-1.0),
        lambda m: m.L1("0.1"),
        lambda m: m.L2(float("nan")),
        lambda m: m.L2(float("inf")),
        lambda m: m.L1L2(l1=-1),
        lambda m: m.L1L2(l2=[1]),
        lambda m: m.OrthogonalRegularizer(factor=-1),
        lambda m: m.OrthogonalRegularizer(mode="diagonals"),
        lambda m: m.OrthogonalRegularizer()(torch.ones(2, 2, 2)),
        lambda m: m.Regularizer().get_config(),
    ],
)
def test_errors_are_of_keras_type(action):
    with pytest.raises(Exception) as expected:
        action(theirs)
    with pytest.raises(expected.type):
        action(ours)


def test_classes_functions_and_none():
    def penalty(x):
        return x.sum()

    for module in (ours, theirs):
        assert module.get(None) is None
        assert module.get(penalty) is penalty
        assert isinstance(module.get(module.L2), module.L2)
        instance = module.L1(0.5)
        assert module.get(instance) is instance
    assert ours.Regularizer()(torch.ones(2)) == theirs.Regularizer()(torch.ones(2)) == 0.0
