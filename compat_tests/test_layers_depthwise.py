"""Depthwise and separable convolutions against Keras."""

import pytest
import torch
from oracle import assert_same_error, compare_layer
from test_layers_convolutional import UNKNOWN, shape_of

FORMATS = ["channels_last", "channels_first"]
VARIANTS = [
    {},
    {"padding": "same"},
    {"padding": "SAME", "kernel_size": 2},
    {"strides": 2, "padding": "same"},
    {"strides": 3, "depth_multiplier": 2},
    {"depth_multiplier": 3, "padding": "same", "use_bias": False},
    {"dilation_rate": 2, "kernel_size": 2},
    {"dilation_rate": 2, "padding": "same", "depth_multiplier": 2},
    {"activation": "softmax", "depthwise_regularizer": "l2", "depthwise_constraint": "max_norm"},
    {"bias_initializer": "ones", "activation": "relu", "activity_regularizer": "l1"},
]


def shapes(rank, data_format):
    return [
        shape_of(rank, data_format),
        shape_of(rank, data_format, batch=None, spatial=UNKNOWN[rank]),
        shape_of(rank, data_format, spatial=(1,) * rank),
        shape_of(rank, data_format)[:-1],
    ]


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("rank", [1, 2])
def test_depthwise(rank, variant, data_format):
    kwargs = {"kernel_size": 3, "data_format": data_format, **variant}
    shape = shape_of(rank, data_format)
    output_shapes = shapes(rank, data_format)
    compare_layer(f"DepthwiseConv{rank}D", kwargs, shape, output_shapes=output_shapes)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize(
    "variant",
    [*VARIANTS, {"pointwise_regularizer": "l1", "pointwise_constraint": "non_neg"}],
    ids=str,
)
@pytest.mark.parametrize("rank", [1, 2])
def test_separable(rank, variant, data_format):
    kwargs = {"filters": 5, "kernel_size": 3, "data_format": data_format, **variant}
    shape = shape_of(rank, data_format)
    output_shapes = shapes(rank, data_format)
    compare_layer(f"SeparableConv{rank}D", kwargs, shape, output_shapes=output_shapes)


@pytest.mark.parametrize("name", ["DepthwiseConv2D", "SeparableConv2D"])
@pytest.mark.parametrize(
    "kwargs",
    [
        {"kernel_size": (3, 2), "padding": "same"},
        {"kernel_size": (1, 4), "strides": 2, "padding": "same", "depth_multiplier": 2},
        {"kernel_size": [2, 3], "dilation_rate": (1, 2)},
    ],
)
def test_unequal_axes(name, kwargs):
    if name == "SeparableConv2D":
        kwargs = {"filters": 3, **kwargs}
    compare_layer(name, kwargs, (2, 8, 7, 2))


@pytest.mark.parametrize("dtype", ["bfloat16", "float64", "mixed_float16"])
@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("name", ["DepthwiseConv2D", "SeparableConv2D"])
def test_dtypes(name, dtype, data_format):
    kwargs = {"kernel_size": 3, "data_format": data_format, "dtype": dtype}
    if name == "SeparableConv2D":
        kwargs["filters"] = 3
    # Sums of up to 36 products: a bfloat16 result may differ by a unit in its last place.
    bound = {"rtol": 4e-2, "atol": 4e-2} if "bfloat16" in dtype else {}
    compare_layer(name, kwargs, shape_of(2, data_format), **bound)


@pytest.mark.parametrize(
    "action",
    [
        lambda k: k.layers.DepthwiseConv2D(0),
        lambda k: k.layers.DepthwiseConv2D((3, 3, 3)),
        lambda k: k.layers.DepthwiseConv2D(3, strides=0),
        lambda k: k.layers.DepthwiseConv2D(3, depth_multiplier=0),
        lambda k: k.layers.DepthwiseConv2D(3, padding="causal"),
        lambda k: k.layers.DepthwiseConv2D(3, kernel_initializer="zeros"),
        lambda k: k.layers.DepthwiseConv2D(3)(torch.ones(1, 2, 8, 3)),
        lambda k: k.layers.DepthwiseConv2D(3)(torch.ones(8, 8, 3)),
        lambda k: k.layers.DepthwiseConv2D(3)(k.Input(shape=(8, 3))),
        lambda k: k.layers.SeparableConv2D(0, 3),
        lambda k: k.layers.SeparableConv2D(3, 0),
        lambda k: k.layers.SeparableConv2D(3, 3, strides=(1, 0)),
        lambda k: k.layers.SeparableConv2D(3, 3, depth_multiplier=-1),
        lambda k: k.layers.SeparableConv2D(3, 3, groups=2),
        lambda k: k.layers.SeparableConv2D(3, 3)(torch.ones(1, 2, 8, 3)),
    ],
)
def test_errors(action):
    assert_same_error(action)
