"""`Dense`, `EinsumDense`, `Identity`, `Lambda` against plain torch."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchkeras import activations, layers
from torchkeras.registry import (
    CustomObjectScope,
    deserialize_keras_object,
    serialize_keras_object,
)


@pytest.mark.parametrize("shape", [(5, 3), (2, 4, 3), (2, 1, 4, 3), (0, 3)])
@pytest.mark.parametrize("use_bias", [True, False])
def test_dense_is_a_matrix_product(shape, use_bias):
    layer = layers.Dense(2, use_bias=use_bias, bias_initializer="ones")
    x = torch.randn(shape)
    expected = x @ layer(x).new_tensor(layer.kernel.detach().numpy()) + (1 if use_bias else 0)
    torch.testing.assert_close(layer(x), expected)


def test_dense_weights_are_parameters_with_gradients():
    layer = layers.Dense(2, activation="relu")
    layer(torch.randn(4, 3)).sum().backward()
    assert {name for name, _ in layer.named_parameters()} == {"kernel", "bias"}
    assert layer.kernel.grad.shape == (3, 2) and layer.bias.grad.shape == (2,)


def test_dense_activation_is_looked_up_at_every_call():
    layer = layers.Dense(2)
    x = torch.randn(4, 3)
    plain = layer(x)
    layer.activation = activations.tanh
    torch.testing.assert_close(layer(x), torch.tanh(plain))


def test_dense_activation_may_be_a_layer():
    layer = layers.Dense(2, activation=layers.LeakyReLU(0.5))
    x = torch.randn(4, 3)
    expected = torch.nn.functional.leaky_relu(x @ layer(x).new_tensor(layer.kernel.tolist()), 0.5)
    torch.testing.assert_close(layer(x), expected)


def test_dense_names_itself_in_errors():
    with pytest.raises(ValueError, match="dense_of_mine.*units"):
        layers.Dense(0, name="dense_of_mine")


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_keeps_weights_wide(policy):
    layer = layers.Dense(2, dtype=policy)
    y = layer(torch.randn(4, 3))
    assert layer.kernel.dtype is torch.float32
    assert y.dtype is (torch.bfloat16 if policy.endswith("bfloat16") else torch.float16)
    y.float().sum().backward()
    assert layer.kernel.grad.dtype is torch.float32


@pytest.mark.parametrize(
    ("equation", "kernel", "fast"),
    [
        ("abc,cd->abd", (4, 5), 1),
        ("abc,cde->abde", (4, 5, 6), 1),
        ("abc,bcd->ad", (3, 4, 5), 2),
        ("...c,cd->...d", (4, 5), 1),
        ("abc,cd->adb", (4, 5), 0),
        ("abc,dc->abd", (5, 4), 0),
        ("abc,bd->acd", (3, 5), 0),
        ("abc,cb->abc", (4, 3), 0),
        ("ab...,bc->ac...", (3, 5), 0),
    ],
)
def test_einsum_dense_is_einsum(equation, kernel, fast):
    x = torch.randn(2, 3, 4)
    output = torch.einsum(equation, x, torch.zeros(kernel))
    outputs = equation.split("->")[1]
    partial = output.shape[2 if outputs.startswith("...") else 1 : 2 if "..." in outputs[1:] else 9]
    layer = layers.EinsumDense(equation, tuple(partial))
    y = layer(x)
    assert layer._summed_axes == fast
    assert tuple(layer.kernel.shape) == kernel
    torch.testing.assert_close(y, torch.einsum(equation, x, layer.kernel))


@given(
    batch=st.integers(1, 3),
    time=st.integers(1, 3),
    width=st.integers(1, 4),
    heads=st.integers(1, 3),
    size=st.integers(1, 3),
)
def test_einsum_dense_projects_heads_and_back(batch, time, width, heads, size):
    split = layers.EinsumDense("abc,cde->abde", (None, heads, size), bias_axes="de")
    joined = layers.EinsumDense("abde,dec->abc", (None, width), bias_axes="c")
    x = torch.randn(batch, time, width)
    y = split(x)
    torch.testing.assert_close(y, torch.einsum("abc,cde->abde", x, split.kernel))
    torch.testing.assert_close(joined(y), torch.einsum("abde,dec->abc", y, joined.kernel))


def test_identity_returns_the_very_object():
    x = torch.ones(3)
    assert layers.Identity()(x) is x


def test_lambda_needs_its_function_registered():
    def negate(x):
        return -x

    config = serialize_keras_object(layers.Lambda(negate))
    with pytest.raises((TypeError, ValueError), match="negate"):
        deserialize_keras_object(config)
    with CustomObjectScope({"negate": negate}):
        assert deserialize_keras_object(config)(torch.ones(1)).tolist() == [-1.0]


def test_lambda_code_runs_only_on_request():
    config = serialize_keras_object(layers.Lambda(lambda x: x * 3, output_shape=lambda s: s))
    with pytest.raises(ValueError, match="byte code"):
        deserialize_keras_object(config)
    layer = deserialize_keras_object(config, safe_mode=False)
    assert layer(torch.ones(1)).tolist() == [3.0]
    assert layer.compute_output_shape((None, 2)) == (None, 2)


def test_lambdas_are_pickled():
    factor = 3.0
    layer = layers.Lambda(lambda x, shift=1.0: factor * x + shift, output_shape=lambda s: s)
    again = pickle.loads(pickle.dumps(layer))
    assert again(torch.ones(2)).tolist() == [4.0, 4.0]
    assert again.compute_output_shape((2, 5)) == (2, 5) and again.name == layer.name


def test_lambda_shape_that_cannot_be_inferred():
    layer = layers.Lambda(lambda x: x[: int(np.asarray(x.detach()).sum()) + 10**9 // 0])
    with pytest.raises(NotImplementedError, match="output_shape"):
        layer.compute_output_shape((None, 2))


@pytest.mark.parametrize("base", [layers.Dense, layers.EinsumDense])
def test_call_accepts_training_from_subclasses(base):
    class Own(base):
        def call(self, inputs, training=None):
            return super().call(inputs, training=training)

    arguments = ("ab,bc->ac", 3) if base is layers.EinsumDense else (3,)
    layer, x = Own(*arguments, kernel_initializer="ones"), torch.ones(2, 4)
    assert (
        layer(x, training=True).tolist()
        == base(*arguments, kernel_initializer="ones")(x, training=False).tolist()
    )


def test_activation_may_be_taken_away():
    layer, x = layers.Dense(3, activation="relu", kernel_initializer="ones"), -torch.ones(2, 4)
    assert not layer(x).any()
    layer.activation = None
    assert (layer(x) == -4).all()
