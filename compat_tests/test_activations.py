"""Activations: values, gradients, names, configs and errors as in Keras."""

import inspect
import warnings

import keras
import numpy as np
import pytest
import torch
from keras import activations as theirs

from torchkeras import activations as ours

FUNCTIONS = sorted(keras.src.activations.ALL_OBJECTS_DICT)
ARGUMENTS = {
    "threshold": [(0.3, -5.0), (-1.0, 2.0)],
    "relu": [
        (),
        (0.3,),
        (0.0, 1.5),
        (0.0, 6),
        (0.2, 6),
        (0.0, None, 0.7),
        (0.1, None, 0.7),
        (0.1, 1.5, 0.7),
        (0.1, 1.5, -0.7),
        (0.0, 0.5, 0.7),
    ],
    "leaky_relu": [(), (0.01,)],
    "elu": [(), (0.5,)],
    "celu": [(), (0.5,)],
    "gelu": [(), (True,)],
    "squareplus": [(), (0.5,)],
    "hard_shrink": [(), (0.1,)],
    "soft_shrink": [(), (0.1,)],
    "softmax": [(), (0,), (None,), ((0, 2),), ((1, 2),), (-2,)],
    "log_softmax": [(), (0,), (None,), ((0, 2),)],
    "sparsemax": [(), (0,), (1,)],
    "glu": [(), (0,)],
}
CASES = [(name, args) for name in FUNCTIONS for args in ARGUMENTS.get(name, [()])]
# Both run torch kernels; formulas of several steps may differ by a few rounding errors.
TOLERANCE = {"float32": 2e-6, "float64": 1e-12, "bfloat16": 2e-2, "float16": 3e-3}


def data(dtype, shape=(2, 3, 4)):
    x = np.random.default_rng(0).normal(scale=2.0, size=shape)
    return torch.tensor(x, dtype=getattr(torch, dtype))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name, args", CASES)
def test_values_and_gradients(name, args, dtype):
    results = []
    for module in (ours, theirs):
        x = data(dtype).requires_grad_()
        y = getattr(module, name)(x, *args)
        weights = torch.linspace(-1, 1, y.numel(), dtype=torch.float64).reshape(y.shape)
        (gradient,) = torch.autograd.grad((y.double() * weights).sum(), x)
        results.append((y, gradient))
    bounds = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    exact_dtype = not (name == "relu" and dtype == "float64")  # Keras's clip narrows to float32
    torch.testing.assert_close(results[0][0], results[1][0], check_dtype=exact_dtype, **bounds)
    torch.testing.assert_close(results[0][1], results[1][1], **bounds)


@pytest.mark.parametrize("name, args", CASES)
def test_special_values(name, args):
    x = torch.tensor(
        [-np.inf, -1e4, -3.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 3.0, 1e4, np.inf, np.nan]
    )
    if "softmax" in name or name in ("sparsemax", "glu"):
        x = x[1:11].reshape(2, 5).repeat(2, 2)
        args = args if not args or args[0] in (0, -1, None) else ()
    actual, expected = (getattr(module, name)(x, *args) for module in (ours, theirs))
    if name == "sparse_plus":  # at -inf Keras's parabola is evaluated too, but not chosen
        assert not actual[:12].isnan().any()
    torch.testing.assert_close(actual, expected, rtol=2e-6, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("name, args", CASES)
def test_arrays_lists_and_float64_arrays(name, args):
    x = data("float32").numpy()
    values = [x, x.astype("float64"), x[::-1]]
    if name not in ("softmax", "log_softmax"):  # Keras's refuse lists
        values.append(x.tolist())
    for value in values:
        actual, expected = (getattr(module, name)(value, *args) for module in (ours, theirs))
        if name == "linear":
            assert actual is expected is value
            continue
        torch.testing.assert_close(
            actual, expected, rtol=2e-6, atol=2e-6, check_dtype=name != "relu"
        )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_integer_input(name):
    args = ARGUMENTS["threshold"][1] if name == "threshold" else ()
    x = torch.tensor([[-2, 0, 1, 3]], dtype=torch.int32)
    try:
        expected = getattr(theirs, name)(x, *args)
    except Exception as error:
        with pytest.raises((type(error), NotImplementedError)):
            getattr(ours, name)(x, *args)
    else:
        actual = getattr(ours, name)(x, *args)
        torch.testing.assert_close(actual, expected, check_dtype=name != "sparsemax")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_names_configs_and_signatures(name):
    a, b = ours.get(name), theirs.get(name)
    assert a.__name__ == b.__name__
    assert a is getattr(ours, name)
    assert ours.serialize(a) == theirs.serialize(b) == a.__name__
    assert ours.deserialize(name) is a
    full = keras.saving.serialize_keras_object(b)
    assert ours.get(full) is a and ours.deserialize(full) is a
    expected = [(p.name, p.default) for p in inspect.signature(b).parameters.values()]
    assert [(p.name, p.default) for p in inspect.signature(a).parameters.values()] == expected


def test_public_names():
    assert set(ours.__all__) == {n for n in dir(theirs) if not n.startswith("_")}


def test_custom_functions():
    def double(x):
        return 2 * x

    for module in (ours, theirs):
        assert module.get(double) is double
        assert module.get(None) is module.linear
    assert ours.serialize(double) == theirs.serialize(double)


def test_layers_as_activations():
    layer = keras.layers.LeakyReLU()
    assert ours.get(layer) is theirs.get(layer) is layer


@pytest.mark.parametrize(
    "action",
    [
        lambda m: m.get("no_such"),
        lambda m: m.get(3),
        lambda m: m.get([]),
        lambda m: m.relu("text"),
        lambda m: m.glu(torch.ones(3)),
    ],
)
def test_errors_are_of_keras_type(action):
    with pytest.raises(Exception) as expected:
        action(theirs)
    with pytest.raises(expected.type):
        action(ours)


def test_softmax_over_one_value_warns():
    for module in (ours, theirs):
        with pytest.warns(UserWarning, match="size 1"):
            module.softmax(torch.ones(3, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours.softmax(torch.ones(3, 2))
