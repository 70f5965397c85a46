"""Convolutions against Keras."""

import pytest
import torch
from oracle import assert_same_error, compare_layer

import torchkeras

SPATIAL = {1: (9,), 2: (8, 7), 3: (5, 6, 4)}
UNKNOWN = {1: (None,), 2: (None, 7), 3: (None, 6, None)}


def shape_of(rank, data_format, channels=4, batch=2, spatial=None):
    spatial = SPATIAL[rank] if spatial is None else spatial
    if data_format == "channels_first":
        return (batch, channels, *spatial)
    return (batch, *spatial, channels)


VARIANTS = [
    {},
    {"padding": "same"},
    {"padding": "SAME", "kernel_size": 2},
    {"strides": 2},
    {"strides": 2, "padding": "same"},
    {"strides": 3, "padding": "same", "kernel_size": 2},
    {"strides": 2, "padding": "same", "kernel_size": 1},
    {"dilation_rate": 2, "kernel_size": 2},
    {"dilation_rate": 2, "padding": "same"},
    {"groups": 2, "use_bias": False},
    {"groups": 4, "padding": "same", "activation": "relu"},
    {"activation": "softmax", "kernel_regularizer": "l2", "kernel_constraint": "max_norm"},
]


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_convolutions(rank, variant, data_format):
    kwargs = {"filters": 8, "kernel_size": 3, "data_format": data_format, **variant}
    shapes = [
        shape_of(rank, data_format),
        shape_of(rank, data_format, batch=None, spatial=UNKNOWN[rank]),
        shape_of(rank, data_format, spatial=(1,) * rank),
        shape_of(rank, data_format)[:-1],
    ]
    compare_layer(f"Conv{rank}D", kwargs, shape_of(rank, data_format), output_shapes=shapes)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("variant", [{}, {"dilation_rate": 3}, {"strides": 2}, {"kernel_size": 1}])
def test_causal(variant, data_format):
    kwargs = {"filters": 3, "kernel_size": 3, "padding": "causal", "data_format": data_format}
    compare_layer("Conv1D", {**kwargs, **variant}, shape_of(1, data_format))


@pytest.mark.parametrize(
    "kwargs",
    [
        {"kernel_size": (3, 2), "strides": (2, 1), "padding": "same"},
        {"kernel_size": (1, 4), "strides": (1, 3), "padding": "same"},
        {"kernel_size": [2, 3], "dilation_rate": (1, 2)},
        {"kernel_size": (5, 5), "padding": "same", "strides": 4},
    ],
)
def test_unequal_axes(kwargs):
    compare_layer("Conv2D", {"filters": 3, **kwargs}, (2, 8, 7, 2))


@pytest.mark.parametrize("dtype", ["bfloat16", "float64", "mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_dtypes(dtype, data_format):
    kwargs = {"filters": 3, "kernel_size": 3, "dtype": dtype, "data_format": data_format}
    # Sums of 36 products: a bfloat16 result may differ by a unit in its last place.
    bound = {"rtol": 4e-2, "atol": 4e-2} if "bfloat16" in dtype else {}
    compare_layer("Conv2D", kwargs, shape_of(2, data_format), **bound)


@pytest.mark.parametrize(
    "action",
    [
        lambda k: k.layers.Conv2D(0, 3),
        lambda k: k.layers.Conv2D(-2, 3),
        lambda k: k.layers.Conv2D(3, 0),
        lambda k: k.layers.Conv2D(3, (3, 3, 3)),
        lambda k: k.layers.Conv2D(3, "3"),
        lambda k: k.layers.Conv2D(3, 3, strides=0),
        lambda k: k.layers.Conv2D(3, 3, strides=2, dilation_rate=2),
        lambda k: k.layers.Conv2D(3, 3, padding="causal"),
        lambda k: k.layers.Conv2D(3, 3, padding="full"),
        lambda k: k.layers.Conv2D(3, 3, groups=2),
        lambda k: k.layers.Conv2D(3, 3, groups=0),
        lambda k: k.layers.Conv2D(3, 3, data_format="last"),
        lambda k: k.layers.Conv2D(4, 3, groups=2)(torch.ones(1, 8, 8, 3)),
        lambda k: k.layers.Conv2D(4, 3)(torch.ones(1, 2, 8, 3)),
        lambda k: k.layers.Conv2D(4, 3)(torch.ones(8, 8, 3)),
        lambda k: k.layers.Conv2D(4, 3)(k.Input(shape=(8, 3))),
        lambda k: k.layers.Conv2D(4, 3)(k.Input(shape=(2, 8, 3))),
        lambda k: _built(k.layers.Conv2D(4, 3))(torch.ones(1, 8, 8, 2)),
        lambda k: k.layers.Conv2D(4, 3, kernel_sise=3),
    ],
)
def test_errors(action):
    assert_same_error(action)


def _built(layer):
    layer(torch.ones(1, 8, 8, 3))
    return layer


def test_lora_raises():
    with pytest.raises(NotImplementedError, match="LoRA"):
        torchkeras.layers.Conv2D(3, 3, lora_rank=2)


def test_subclass_may_replace_the_convolution():
    def make(k):
        class Shifted(k.layers.Conv2D):
            def convolution_op(self, inputs, kernel):
                return super().convolution_op(inputs, kernel - 0.5)

        return Shifted(3, 3, padding="same", activation="relu", name="layer")

    def set_bias(layer):
        layer.bias.assign([1.0, 2.0, 3.0])

    compare_layer(make, None, (2, 5, 5, 2), config=False, prepare=set_bias)
