"""Convolutions against Keras."""

import keras
import pytest
import torch
from oracle import assert_close, assert_same_error, compare_layer, random_input, to_numpy

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
        lambda k: k.layers.Conv2D(3, 3, padding=[1, 1])(torch.ones(1, 8, 8, 3)),
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


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 2])
def test_lora(groups, rank, data_format):
    kwargs = {"filters": 4, "kernel_size": 3, "lora_rank": 2, "lora_alpha": 3, "groups": groups}
    kwargs.update(kernel_regularizer="l2", padding="same", data_format=data_format)

    def set_adapter(layer):
        layer.lora_kernel_b.assign(random_input((2, 4), seed=3))

    shape = shape_of(rank, data_format)
    ours, theirs = compare_layer(f"Conv{rank}D", kwargs, shape, prepare=set_adapter)
    assert_close(ours.kernel, theirs.kernel)
    assert_close(ours._kernel, theirs._kernel)
    assert ours.lora_enabled and ours.kernel.stride() == ours._kernel.stride()


def test_lora_errors():
    for action in (
        lambda k: k.layers.Conv2D(3, 3).enable_lora(2),
        lambda k: _built(k.layers.Conv2D(3, 3, kernel_constraint="max_norm")).enable_lora(2),
        lambda k: _built(k.layers.Conv2D(3, 3, lora_rank=2)).enable_lora(2),
    ):
        assert_same_error(action, match="ora")


def test_lora_files(tmp_path):
    """A file holds the sum of kernel and adapters, whichever side wrote it."""
    x = torch.tensor(random_input((2, 8, 8, 3)))
    for writer, reader in ((keras, torchkeras), (torchkeras, keras)):
        model = writer.Sequential([writer.Input((8, 8, 3)), writer.layers.Conv2D(4, 3)])
        model.layers[0].enable_lora(2, lora_alpha=4)
        model.layers[0].lora_kernel_b.assign(random_input((2, 4), seed=3))
        path = tmp_path / f"{writer.__name__}.weights.h5"
        model.save_weights(path)
        other = reader.Sequential([reader.Input((8, 8, 3)), reader.layers.Conv2D(4, 3)])
        other.layers[0].enable_lora(3)
        other.load_weights(path)
        assert not to_numpy(other.layers[0].lora_kernel_a).any()
        assert_close(other(x), model(x))


FILED = [
    ("Conv1D", {"filters": 3, "kernel_size": 2, "padding": "causal"}),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "groups": 2}),
    ("Conv3D", {"filters": 3, "kernel_size": 2}),
    ("Conv1DTranspose", {"filters": 3, "kernel_size": 3, "strides": 2}),
    ("Conv2DTranspose", {"filters": 3, "kernel_size": 3, "padding": "same", "strides": 2}),
    ("Conv3DTranspose", {"filters": 3, "kernel_size": 2, "output_padding": 0}),
    ("DepthwiseConv1D", {"kernel_size": 3, "depth_multiplier": 2}),
    ("DepthwiseConv2D", {"kernel_size": 3, "depth_multiplier": 2}),
    ("SeparableConv1D", {"filters": 3, "kernel_size": 3}),
    ("SeparableConv2D", {"filters": 3, "kernel_size": 3, "depth_multiplier": 2}),
    ("ConvLSTM1D", {"filters": 3, "kernel_size": 2}),
    ("ConvLSTM2D", {"filters": 3, "kernel_size": 2, "dropout": 0.1, "return_sequences": True}),
    ("AdaptiveMaxPooling2D", {"output_size": (2, 3)}),
    ("AdaptiveAveragePooling1D", {"output_size": 2}),
]


@pytest.mark.parametrize("suffix", ["keras", "weights.h5", "h5"])
@pytest.mark.parametrize(("name", "kwargs"), FILED, ids=[name for name, _ in FILED])
def test_files(name, kwargs, suffix, tmp_path):
    """What either library writes, the other reads: config, weights, and so the results."""
    rank = int(next(digit for digit in name if digit.isdigit()))
    shape = shape_of(rank, "channels_last")
    if "LSTM" in name:
        shape = (shape[0], 3, *shape[1:])
    x = torch.tensor(random_input(shape))
    for writer, reader in ((keras, torchkeras), (torchkeras, keras)):
        path = str(tmp_path / f"{writer.__name__}.{suffix}")
        models = [
            k.Sequential([k.Input(shape[1:]), getattr(k.layers, name)(**kwargs)])
            for k in (writer, reader)
        ]
        models[0].layers[0].set_weights([w + 0.1 for w in models[0].layers[0].get_weights()])
        if suffix == "weights.h5":
            models[0].save_weights(path)
            models[1].load_weights(path)
        else:
            models[0].save(path)
            models[1] = reader.models.load_model(path)
        assert_close(models[1](x), models[0](x))


def test_subclass_may_replace_the_convolution():
    def make(k):
        class Shifted(k.layers.Conv2D):
            def convolution_op(self, inputs, kernel):
                return super().convolution_op(inputs, kernel - 0.5)

        return Shifted(3, 3, padding="same", activation="relu", name="layer")

    def set_bias(layer):
        layer.bias.assign([1.0, 2.0, 3.0])

    compare_layer(make, None, (2, 5, 5, 2), config=False, prepare=set_bias)
