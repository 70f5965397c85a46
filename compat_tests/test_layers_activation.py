"""Activation layers against Keras."""

import keras
import numpy as np
import pytest
import torch
from oracle import assert_close, assert_same_error, compare_layer, make_pair, random_input

import torchkeras

SHAPES = [(2, 3), (2, 3, 4), (2, 3, 4, 2), (3,)]
LAYERS = [
    ("Activation", {"activation": "relu"}),
    ("Activation", {"activation": "gelu"}),
    ("Activation", {"activation": None}),
    ("Activation", {"activation": "softmax"}),
    ("ReLU", {}),
    ("ReLU", {"max_value": 1.0}),
    ("ReLU", {"negative_slope": 0.2}),
    ("ReLU", {"max_value": 1.0, "negative_slope": 0.2, "threshold": 0.5}),
    ("ReLU", {"threshold": 0.5}),
    ("LeakyReLU", {}),
    ("LeakyReLU", {"negative_slope": 0.0}),
    ("ELU", {}),
    ("ELU", {"alpha": 0.5}),
    ("PReLU", {"alpha_initializer": "ones"}),
    ("PReLU", {"alpha_initializer": "glorot_uniform", "alpha_regularizer": "l2"}),
    ("Softmax", {}),
    ("Softmax", {"axis": 0}),
    ("Softmax", {"axis": [-1]}),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("name", "kwargs"), LAYERS, ids=str)
def test_layers(name, kwargs, shape):
    if name == "PReLU" and ("glorot_uniform" in kwargs.values() or len(shape) == 1):
        shape = (2, 3, 4)
    if kwargs.get("activation") == "softmax" and len(shape) == 1:
        shape = (2, 3)
    # Keras forgets `alpha` of ELU in its config.
    compare_layer(
        name, kwargs, shape, output_shapes=[shape, (None, *shape[1:])], config=name != "ELU"
    )


def test_elu_keeps_alpha_which_keras_forgets():
    config = torchkeras.layers.ELU(alpha=0.5).get_config()
    assert torchkeras.layers.ELU.from_config(config).alpha == 0.5


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "mixed_float16"])
@pytest.mark.parametrize(
    ("name", "kwargs"),
    [("ReLU", {}), ("LeakyReLU", {}), ("PReLU", {}), ("Softmax", {}), ("ELU", {})],
)
def test_dtypes(name, kwargs, dtype):
    compare_layer(name, {**kwargs, "dtype": dtype}, (2, 3, 4), config=name != "ELU")


@pytest.mark.parametrize("shared_axes", [None, [1], [1, 2], 2, (1, 3)])
def test_prelu_shared_axes(shared_axes):
    kwargs = {"alpha_initializer": "glorot_uniform", "shared_axes": shared_axes}
    compare_layer("PReLU", kwargs, (2, 3, 4, 5), output_shapes=[(None, 3, 4, 5)])


@pytest.mark.parametrize("axis", [-1, 0, (0, 1), [1, 2], (2,)])
def test_softmax_axes(axis):
    compare_layer("Softmax", {"axis": axis}, (2, 3, 4))


@pytest.mark.parametrize("axis", [-1, 1, (1, 2)])
@pytest.mark.parametrize("mask_shape", [(2, 3, 4), (1, 3, 4), (3, 4), (4,), (2, 1, 4), (2, 3, 1)])
@pytest.mark.parametrize("mask_dtype", ["bool", "float32"])
def test_softmax_mask(axis, mask_shape, mask_dtype):
    mask = random_input(mask_shape, "bool", seed=5).astype(mask_dtype)
    compare_layer("Softmax", {"axis": axis}, (2, 3, 4), mask=mask)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_softmax_mask_in_half_precision(dtype):
    mask = random_input((2, 3, 4), "bool", seed=5)
    mask[0, 0] = False
    compare_layer("Softmax", {"dtype": dtype}, (2, 3, 4), mask=mask)


@pytest.mark.parametrize("name", ["ReLU", "Softmax", "Activation"])
def test_masks_pass_through(name):
    kwargs = {"activation": "relu"} if name == "Activation" else {}
    for layer in make_pair(name, kwargs):
        x = torch.ones(2, 3)
        x._keras_mask = torch.tensor([[True, False, True]] * 2)
        assert layer(x)._keras_mask.tolist() == [[True, False, True]] * 2


@pytest.mark.parametrize(
    "action",
    [
        lambda k: k.layers.Activation("no_such"),
        lambda k: k.layers.ReLU(max_value=-1),
        lambda k: k.layers.ReLU(negative_slope=-1),
        lambda k: k.layers.ReLU(negative_slope=None),
        lambda k: k.layers.ReLU(threshold=-1),
        lambda k: k.layers.ReLU(threshold=None),
        lambda k: k.layers.LeakyReLU(-0.1),
        lambda k: k.layers.LeakyReLU(None),
        lambda k: k.layers.Softmax()(torch.ones(1, 3), mask=torch.ones(2, 3)),
        lambda k: k.layers.Softmax()(torch.ones(1, 3), mask=torch.ones(1, 1, 3)),
        lambda k: _built(k.layers.PReLU(shared_axes=[1]))(torch.ones(2, 3, 5)),
    ],
)
def test_errors(action):
    assert_same_error(action)


def _built(layer):
    layer(torch.ones(2, 3, 4))
    return layer


def test_leaky_relu_takes_alpha():
    for library in (keras, torchkeras):
        with pytest.warns(UserWarning, match="alpha"):
            layer = library.layers.LeakyReLU(alpha=0.5)
        assert_close(layer(np.array([-1.0], "float32")), torch.tensor([-0.5]))


@pytest.mark.parametrize("input_dtype", ["int32"])
def test_integer_inputs(input_dtype):
    compare_layer("ReLU", {}, (2, 3), input_dtype=input_dtype)


@pytest.mark.parametrize("axes", [[1], [-1], [0], [1, 2], 2])
def test_prelu_counts_shared_axes_as_keras(axes):
    compare_layer("PReLU", {"shared_axes": axes, "alpha_initializer": "ones"}, (2, 4, 3, 5))
