"""Pooling against Keras."""

from types import SimpleNamespace

import keras
import pytest
import torch
from keras.src.layers.pooling.base_adaptive_pooling import BaseAdaptivePooling
from keras.src.layers.pooling.base_global_pooling import BaseGlobalPooling
from keras.src.layers.pooling.base_pooling import BasePooling
from oracle import assert_same_error, compare_layer, make_pair, random_input, run
from test_layers_convolutional import SPATIAL, UNKNOWN, shape_of

import torchkeras
from torchkeras.layers import pooling
from torchkeras.ops.windows import same_padding, torch_padding

KERAS_BASES = SimpleNamespace(
    BasePooling=BasePooling,
    BaseGlobalPooling=BaseGlobalPooling,
    BaseAdaptivePooling=BaseAdaptivePooling,
)


def count_once(layer):
    """Let Keras's means count each element once, as on TensorFlow and JAX.

    Where one end is padded by one step more than the other, Keras on torch repeats the border.
    """
    if not isinstance(layer, keras.layers.Layer) or layer.pool_mode == "max":
        return
    first = layer.data_format == "channels_first"

    def call(inputs):
        x = inputs if first else inputs.movedim(-1, 1)
        windows = zip(x.shape[2:], layer.pool_size, layer.strides, strict=True)
        pairs = [(0, 0)] * len(layer.strides)
        if layer.padding == "same":
            pairs = [same_padding(*window) for window in windows]
        sums = torch.nn.functional.pad(x, torch_padding(pairs))
        counts = torch.nn.functional.pad(torch.ones_like(x), torch_padding(pairs))
        for axis, (size, step) in enumerate(zip(layer.pool_size, layer.strides, strict=True)):
            sums = sums.unfold(axis + 2, size, step).sum(-1)
            counts = counts.unfold(axis + 2, size, step).sum(-1)
        return sums / counts if first else (sums / counts).movedim(1, -1)

    layer.call = call


VARIANTS = [
    {"pool_size": 2},
    {"pool_size": 3},
    {"pool_size": 2, "strides": 1},
    {"pool_size": 3, "strides": 2},
    {"pool_size": 2, "padding": "same"},
    {"pool_size": 3, "strides": 2, "padding": "same"},
    {"pool_size": 3, "strides": 1, "padding": "same"},
    {"pool_size": 2, "strides": 1, "padding": "same"},
    {"pool_size": 2, "strides": 3, "padding": "same"},
    {"pool_size": 4, "strides": 3, "padding": "same"},
]


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("kind", ["Max", "Average"])
def test_windows(kind, rank, variant, data_format):
    shapes = [
        shape_of(rank, data_format),
        shape_of(rank, data_format, batch=None, spatial=UNKNOWN[rank]),
        shape_of(rank, data_format, spatial=(1,) * rank),
    ]
    kwargs = {"data_format": data_format, **variant}
    compare_layer(
        f"{kind}Pooling{rank}D",
        kwargs,
        shape_of(rank, data_format),
        output_shapes=shapes,
        prepare=count_once,
    )


@pytest.mark.parametrize("kind", ["Max", "Average"])
@pytest.mark.parametrize(
    "kwargs",
    [
        {"pool_size": (2, 3), "strides": (1, 2), "padding": "same"},
        {"pool_size": (3, 1), "strides": (2, 1), "padding": "same"},
        {"pool_size": [1, 2], "strides": 2, "padding": "same"},
        {"pool_size": (2, 2), "strides": (1, 2), "padding": "same"},
        {"pool_size": (1, 3), "strides": (3, 1)},
    ],
)
def test_unequal_axes(kind, kwargs):
    for spatial in ((8, 7), (5, 6), (3, 4)):
        compare_layer(
            f"{kind}Pooling2D",
            kwargs,
            (2, *spatial, 3),
            symbolic=False,
            meta=False,
            prepare=count_once,
        )


@pytest.mark.parametrize("kind", ["GlobalMax", "GlobalAverage"])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_whole_axes(kind, rank, keepdims, data_format):
    unknown = shape_of(rank, data_format, batch=None, spatial=UNKNOWN[rank])
    kwargs = {"keepdims": keepdims, "data_format": data_format}
    shape = shape_of(rank, data_format)
    compare_layer(f"{kind}Pooling{rank}D", kwargs, shape, output_shapes=[shape, unknown])


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("output_size", [1, 3, "tuple", "larger"])
@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("kind", ["AdaptiveMax", "AdaptiveAverage"])
def test_adaptive(kind, rank, output_size, data_format):
    if output_size == "tuple":
        output_size = [2, 3, 4][:rank]
    elif output_size == "larger":
        output_size = 11 if rank < 3 else (5, 7, 2)
    kwargs = {"output_size": output_size, "data_format": data_format}
    shape = shape_of(rank, data_format)
    unknown = shape_of(rank, data_format, batch=None, spatial=UNKNOWN[rank])
    compare_layer(f"{kind}Pooling{rank}D", kwargs, shape, output_shapes=[shape, unknown])


def test_adaptive_windows_of_unequal_size():
    x = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]).reshape(1, 7, 1)
    for layer in make_pair("AdaptiveAveragePooling1D", {"output_size": 3}):
        assert layer(x).flatten().tolist() == [2.0, 4.0, 6.0]  # steps 0-2, 2-4, 4-6


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "mixed_float16"])
@pytest.mark.parametrize(
    "name",
    [
        "MaxPooling2D",
        "AveragePooling2D",
        "GlobalMaxPooling2D",
        "GlobalAveragePooling2D",
        "AdaptiveMaxPooling2D",
        "AdaptiveAveragePooling2D",
    ],
)
def test_dtypes(name, dtype):
    kwargs = {"pool_size": 3, "dtype": dtype}
    if "Global" in name:
        del kwargs["pool_size"]
    if "Adaptive" in name:
        kwargs["output_size"] = kwargs.pop("pool_size")
    # Keras rounds float64 means to float32.
    bound = {"rtol": 1e-5, "atol": 1e-6} if dtype == "float64" else {}
    compare_layer(name, kwargs, (2, 6, 6, 3), **bound)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_default_windows(rank):
    compare_layer(f"MaxPooling{rank}D", {}, shape_of(rank, "channels_last"))


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("mask_dtype", ["bool", "float32", "int32"])
def test_masked_mean(keepdims, data_format, mask_dtype):
    mask = random_input((3, 9), "bool", seed=3).astype(mask_dtype)
    mask[:, 0] = 1
    kwargs = {"keepdims": keepdims, "data_format": data_format}
    compare_layer("GlobalAveragePooling1D", kwargs, shape_of(1, data_format, batch=3), mask=mask)


def test_masked_mean_takes_the_attached_mask_and_drops_it():
    outputs = []
    for layer in make_pair("GlobalAveragePooling1D"):
        x = torch.arange(6.0).reshape(1, 3, 2)
        x._keras_mask = torch.tensor([[True, False, True]])
        y = layer(x)
        assert getattr(y, "_keras_mask", None) is None
        outputs.append(y.tolist())
    assert outputs[0] == outputs[1] == [[2.0, 3.0]]


def test_a_fully_masked_series_is_not_a_number_in_both():
    ours, theirs = make_pair("GlobalAveragePooling1D")
    mask = torch.zeros(2, 9, dtype=torch.bool)
    for layer in (ours, theirs):
        result = run(layer, random_input((2, 9, 4)), gradients=False, mask=mask)
        assert result.outputs.isnan().all()


@pytest.mark.parametrize(
    "action",
    [
        lambda k: k.layers.MaxPooling2D(0),
        lambda k: k.layers.MaxPooling2D((2, 2, 2)),
        lambda k: k.layers.MaxPooling2D("2"),
        lambda k: k.layers.MaxPooling2D(2, strides=-1),
        lambda k: k.layers.MaxPooling2D(2, data_format="last"),
        lambda k: k.layers.MaxPooling2D(9)(k.Input(shape=(4, 4, 1))),
        lambda k: k.layers.MaxPooling2D(2, padding="full").compute_output_shape((1, 4, 4, 1)),
        lambda k: k.layers.MaxPooling2D(2)(torch.ones(4, 4, 1)),
        lambda k: k.layers.GlobalAveragePooling2D()(torch.ones(4, 4, 1)),
        lambda k: k.layers.GlobalAveragePooling2D(data_format="last"),
        lambda k: k.layers.AdaptiveMaxPooling1D((2, 3)),
        lambda k: k.layers.AdaptiveMaxPooling1D("2"),
        lambda k: k.layers.AdaptiveMaxPooling2D((2,)),
        lambda k: k.layers.AdaptiveAveragePooling2D(2.5),
        lambda k: k.layers.AdaptiveAveragePooling3D((2, 2)),
        lambda k: k.layers.AdaptiveAveragePooling3D(2, data_format="last"),
    ],
)
def test_errors(action):
    assert_same_error(action)


def test_aliases():
    for library in (keras, torchkeras):
        for rank in (1, 2, 3):
            for short, name in (
                ("MaxPool", "MaxPooling"),
                ("AvgPool", "AveragePooling"),
                ("GlobalMaxPool", "GlobalMaxPooling"),
                ("GlobalAvgPool", "GlobalAveragePooling"),
            ):
                layers = library.layers
                assert getattr(layers, f"{short}{rank}D") is getattr(layers, f"{name}{rank}D")


def test_subclasses_of_the_bases():
    """What libraries do: a pooling layer over one of the bases."""
    x = random_input((2, 6, 6, 3))
    for name, arguments in (
        ("BasePooling", {"pool_size": 2, "strides": 2, "pool_dimensions": 2, "pool_mode": "max"}),
        ("BaseGlobalPooling", {"pool_dimensions": 2}),
        ("BaseAdaptivePooling", {"output_size": (2, 2)}),
    ):
        shapes = []
        for home in (pooling, KERAS_BASES):
            layer = getattr(home, name)(**arguments)
            shapes.append(layer.compute_output_shape(x.shape))
            assert layer.data_format == "channels_last"
        assert tuple(shapes[0]) == tuple(shapes[1])


def test_spatial_sizes_are_odd_and_even():
    assert {n % 2 for sizes in SPATIAL.values() for n in sizes} == {0, 1}
