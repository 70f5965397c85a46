"""Transposed convolutions against Keras."""

import itertools
import warnings

import pytest
import torch
from keras.src.backend.common import backend_utils
from oracle import assert_same_error, compare_layer
from test_layers_convolutional import UNKNOWN, shape_of

from torchkeras.dropin import padding as ours

FORMATS = ["channels_last", "channels_first"]
SPATIAL = {1: (5,), 2: (4, 3), 3: (3, 2, 4)}
VARIANTS = [
    {},
    {"padding": "same"},
    {"strides": 2},
    {"strides": 2, "padding": "same"},
    {"strides": 2, "padding": "SAME", "kernel_size": 4},
    {"strides": 2, "padding": "same", "kernel_size": 5},
    {"strides": 3, "padding": "same", "kernel_size": 2},
    {"strides": 3, "kernel_size": 1},
    {"strides": 4, "kernel_size": 2, "padding": "same"},
    {"strides": 2, "output_padding": 1},
    {"strides": 2, "output_padding": 0, "padding": "same"},
    {"strides": 2, "output_padding": 1, "padding": "same"},
    {"strides": 3, "output_padding": 2, "padding": "same", "kernel_size": 4},
    {"strides": 3, "output_padding": 1, "padding": "same", "kernel_size": 1},
    {"dilation_rate": 2, "kernel_size": 2},
    {"dilation_rate": 2, "padding": "same"},
    {"dilation_rate": 2, "padding": "same", "output_padding": 0, "use_bias": False},
    {"activation": "softmax", "kernel_regularizer": "l2", "kernel_constraint": "max_norm"},
]


def set_bias(layer):
    """Let a bias that is missing somewhere be seen."""
    if layer.bias is not None:
        layer.bias.assign(torch.arange(1.0, 1.0 + layer.filters))


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_transposed(rank, variant, data_format):
    kwargs = {"filters": 3, "kernel_size": 3, "data_format": data_format, **variant}
    shape = shape_of(rank, data_format, spatial=SPATIAL[rank])
    unknown = shape_of(rank, data_format, batch=None, spatial=UNKNOWN[rank])
    compare_layer(
        f"Conv{rank}DTranspose", kwargs, shape, output_shapes=[shape, unknown], prepare=set_bias
    )


@pytest.mark.parametrize(
    "kwargs",
    [
        {"kernel_size": (3, 2), "strides": (2, 1), "padding": "same"},
        {"kernel_size": (1, 4), "strides": (1, 3), "padding": "same"},
        {"kernel_size": [2, 3], "dilation_rate": (1, 2)},
        {"kernel_size": (5, 3), "strides": (2, 3), "output_padding": (1, 0), "padding": "same"},
        {"kernel_size": (2, 1), "strides": (3, 4), "output_padding": (0, 3)},
    ],
)
def test_unequal_axes(kwargs):
    compare_layer("Conv2DTranspose", {"filters": 3, **kwargs}, (2, 4, 5, 2), prepare=set_bias)


@pytest.mark.parametrize("dtype", ["bfloat16", "float64", "mixed_float16"])
@pytest.mark.parametrize("data_format", FORMATS)
def test_dtypes(dtype, data_format):
    kwargs = {"filters": 3, "kernel_size": 3, "strides": 2, "data_format": data_format}
    # Sums of 36 products: a bfloat16 result may differ by a unit in its last place.
    bound = {"rtol": 4e-2, "atol": 4e-2} if "bfloat16" in dtype else {}
    shape = shape_of(2, data_format, spatial=(4, 3))
    compare_layer("Conv2DTranspose", {**kwargs, "dtype": dtype}, shape, **bound)


@pytest.mark.parametrize(
    "action",
    [
        lambda k: k.layers.Conv2DTranspose(0, 3),
        lambda k: k.layers.Conv2DTranspose(3, 0),
        lambda k: k.layers.Conv2DTranspose(3, (3, 3, 3)),
        lambda k: k.layers.Conv2DTranspose(3, 3, strides=0),
        lambda k: k.layers.Conv2DTranspose(3, 3, strides=2, dilation_rate=2),
        lambda k: k.layers.Conv2DTranspose(3, 3, padding="causal"),
        lambda k: k.layers.Conv2DTranspose(3, 3, strides=2, output_padding=2),
        lambda k: k.layers.Conv2DTranspose(3, 3, output_padding=-1),
        lambda k: k.layers.Conv2DTranspose(3, 3, data_format="last"),
        lambda k: k.layers.Conv2DTranspose(3, 3, groups=2),
        lambda k: k.layers.Conv2DTranspose(4, 3)(torch.ones(8, 8, 3)),
        lambda k: k.layers.Conv2DTranspose(4, 3)(k.Input(shape=(8, 3))),
    ],
)
def test_errors(action):
    assert_same_error(action)


def test_aliases():
    for library in ("keras", "torchkeras"):
        layers = pytest.importorskip(library).layers
        for rank in (1, 2, 3):
            name = f"{rank}DTranspose"
            assert getattr(layers, f"Convolution{name}") is getattr(layers, f"Conv{name}")


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("extra", [None, 0, 1])
def test_what_keras_says_about_padding(extra, padding):
    """The functions that libraries find in `keras.src.backend.common.backend_utils`."""
    for kernel, stride, dilation in itertools.product((1, 2, 3, 4, 5), (1, 2, 3), (1, 2)):
        arguments = ((1, 5, 5, 3), (kernel, kernel, 3, 3), stride, padding, extra, dilation)
        shape = ((1, None, 5, 3), (kernel, kernel), 4, stride, padding, extra)
        results = []
        for functions in (ours, backend_utils):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torch_sides = functions.compute_conv_transpose_padding_args_for_torch(*arguments)
            jax_sides = functions.compute_conv_transpose_padding_args_for_jax(*arguments)
            size = functions.compute_conv_transpose_output_shape(*shape, dilation_rate=dilation)
            results.append((torch_sides, jax_sides, tuple(size)))
        assert results[0][1:] == results[1][1:]
        assert tuple(map(list, results[0][0])) == tuple(map(list, results[1][0]))


def test_padding_by_another_name_is_refused():
    for functions in (ours, backend_utils):
        with pytest.raises(ValueError, match="one of 'valid', 'same'"):
            functions.compute_conv_transpose_output_shape((1, 5, 1), (3,), 1, 1, "full")
