"""Activations: closed forms in float64, gradients, identifiers, and the `meta` device."""

import numpy as np
import pytest
import scipy.special
import torch

from torchkeras import activations, ops

X = np.linspace(-6, 6, 97)
CLOSED_FORMS = {
    "celu": lambda x: np.maximum(x, 0) + np.minimum(np.expm1(x), 0),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "exponential": np.exp,
    "gelu": lambda x: x * scipy.special.ndtr(x),
    "hard_shrink": lambda x: np.where(np.abs(x) > 0.5, x, 0),
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "hard_silu": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "linear": lambda x: x,
    "log_sigmoid": scipy.special.log_expit,
    "log_softmax": scipy.special.log_softmax,
    "mish": lambda x: x * np.tanh(np.logaddexp(x, 0)),
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
    "sigmoid": scipy.special.expit,
    "silu": lambda x: x * scipy.special.expit(x),
    "soft_shrink": lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0),
    "softmax": scipy.special.softmax,
    "softplus": lambda x: np.logaddexp(x, 0),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "sparse_plus": lambda x: np.where(x <= -1, 0, np.where(x < 1, (x + 1) ** 2 / 4, x)),
    "sparse_sigmoid": lambda x: np.clip((x + 1) / 2, 0, 1),
    "squareplus": lambda x: (x + np.sqrt(x**2 + 4)) / 2,
    "tanh": np.tanh,
    "tanh_shrink": lambda x: x - np.tanh(x),
}
UNARY = [*CLOSED_FORMS, "sparsemax", "glu"]


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_closed_forms(name):
    actual = getattr(activations, name)(torch.tensor(X))
    assert actual.dtype == torch.float64
    np.testing.assert_allclose(actual, CLOSED_FORMS[name](X), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", [n for n in UNARY if n not in ("sparsemax", "glu")])
def test_gradients(name):
    # Away from the kinks, which lie at multiples of a half.
    x = torch.tensor(X[X % 0.5 != 0][::3], requires_grad=True)
    assert torch.autograd.gradcheck(getattr(activations, name), x)


@pytest.mark.parametrize("slope", [0.0, 0.1])
@pytest.mark.parametrize("max_value", [None, 2.0, 6])
@pytest.mark.parametrize("threshold", [0.0, 1.0, -1.0])
def test_relu_with_arguments(slope, max_value, threshold):
    top = np.inf if max_value is None else max_value
    above = np.minimum(np.where(X > threshold, X, 0), top)
    if threshold < 0 and max_value is not None:
        above = np.maximum(above, 0)  # the bounds are 0 and `max_value`
    expected = np.where(X > threshold, above, slope * (X - threshold))
    if slope:
        expected = above - slope * np.maximum(threshold - X, 0)
    actual = activations.relu(torch.tensor(X), slope, max_value, threshold)
    np.testing.assert_allclose(actual, expected, atol=1e-12)


@pytest.mark.parametrize("axis", [0, 1, -1, (0, 1), (-1, 0), None])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_axes(name, axis):
    x = np.random.default_rng(0).normal(size=(3, 4, 5))
    expected = getattr(scipy.special, name)(x, axis=axis)
    np.testing.assert_allclose(
        getattr(activations, name)(torch.tensor(x), axis), expected, rtol=1e-12
    )


def test_gelu_threshold_and_glu():
    x = torch.tensor(X)
    inner = np.sqrt(2 / np.pi) * (X + 0.044715 * X**3)
    np.testing.assert_allclose(
        activations.gelu(x, approximate=True), 0.5 * X * (1 + np.tanh(inner)), atol=1e-12
    )
    np.testing.assert_array_equal(activations.threshold(x, 1.5, -7.0), np.where(X > 1.5, X, -7))
    halves = X[:96].reshape(2, 48)
    np.testing.assert_allclose(
        activations.glu(torch.tensor(halves), axis=0),
        halves[:1] * scipy.special.expit(halves[1:]),
        atol=1e-12,
    )


def test_sparsemax_of_one_clear_winner():
    assert activations.sparsemax([[0.0, 5.0, 1.0], [9.0, 1.0, 1.0]]).tolist() == [
        [0.0, 1.0, 0.0],
        [1.0, 0.0, 0.0],
    ]


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_on_meta_nothing_is_read_and_the_dtype_stays(name, dtype):
    x = torch.ones(4, 6, device="meta", dtype=dtype, requires_grad=True)
    y = getattr(activations, name)(x)
    assert y.is_meta and y.dtype == dtype
    y.sum().backward()
    assert x.grad.shape == x.shape


@pytest.mark.parametrize("name", UNARY)
def test_compiled(name):
    function = torch.compile(getattr(activations, name), fullgraph=True, backend="eager")
    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(function(x), getattr(activations, name)(x))


def test_names():
    assert activations.get("swish") is activations.silu is activations.swish
    assert activations.get("hard_swish") is activations.hard_silu
    assert activations.get(torch.tanh) is torch.tanh
    with pytest.raises(ValueError, match="Did you mean 'sigmoid'"):
        activations.get("sigmiod")
    with pytest.raises(ValueError, match="cannot be serialized"):
        activations.serialize(3)


def test_custom_activations_need_to_be_offered():
    def triple(x):
        return 3 * x

    config = activations.serialize(triple)
    assert activations.deserialize(config, custom_objects={"triple": triple}) is triple
    with pytest.raises((TypeError, ValueError), match="triple"):
        activations.deserialize(config)


def test_an_op_is_written_as_the_activation_of_its_name():
    assert activations.serialize(ops.relu) == "relu"
    assert activations.serialize(ops.abs)["class_name"] == "function"
