"""Names of Keras 2 that scripts still use: `ThresholdedReLU`, `experimental.preprocessing`, …"""

import importlib
import warnings

import numpy as np
import pytest
import torch

from torchkeras import Input, Model, Sequential, dropin, layers, saving
from torchkeras.layers import experimental, legacy
from torchkeras.ops.image import resize

X = torch.tensor([[-3.0, -0.5, 0.0, 0.5, 1.0, 1.5]])


@pytest.fixture
def tf_layers():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        dropin.install()
    yield importlib.import_module("tensorflow.keras.layers")
    dropin.uninstall()


@pytest.mark.parametrize("name", legacy.__all__)
def test_legacy_names(tf_layers, name):
    assert getattr(tf_layers, name) is getattr(layers, name) is getattr(legacy, name)
    assert getattr(importlib.import_module("keras.src.legacy.layers"), name) is getattr(
        layers, name
    )


@pytest.mark.parametrize("name", experimental.preprocessing.__all__)
def test_experimental_preprocessing(tf_layers, name):
    module = importlib.import_module("tensorflow.keras.layers.experimental.preprocessing")
    assert module is tf_layers.experimental.preprocessing
    if name != "PreprocessingLayer":
        assert getattr(module, name) == getattr(layers, name)  # made with the rules of Keras 2


def test_experimental_einsum_dense(tf_layers):
    assert tf_layers.experimental.EinsumDense == layers.EinsumDense


@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_cudnn_names_say_what_to_use(name):
    with pytest.raises(AttributeError, match=f"CuDNN{name}.*use `{name}`"):
        getattr(layers, f"CuDNN{name}")
    with pytest.raises(AttributeError, match="'Nothing'$"):
        layers.Nothing  # noqa: B018


@pytest.mark.parametrize(("theta", "kept"), [(0.0, [0.5, 1.0, 1.5]), (1.0, [1.5])])
def test_thresholded_relu(theta, kept):
    layer = layers.ThresholdedReLU(theta)
    output = layer(X)
    assert output[output != 0].tolist() == kept
    assert layer.compute_output_shape((None, 6)) == (None, 6) and layer.supports_masking
    again = layers.ThresholdedReLU.from_config(layer.get_config())
    assert again.theta == theta and again.name == layer.name


@pytest.mark.parametrize("theta", [None, -1.0])
def test_thresholded_relu_wants_a_threshold(theta):
    with pytest.raises(ValueError, match=f"at least 0[^$]*theta={theta}"):
        layers.ThresholdedReLU(theta)


def test_thresholded_relu_in_files(tmp_path):
    model = Sequential([Input((6,)), layers.Dense(4), layers.ThresholdedReLU(0.1)])
    model.save(tmp_path / "m.keras")
    model.save(tmp_path / "m.h5")
    for file in ("m.keras", "m.h5"):
        again = saving.load_model(tmp_path / file)
        torch.testing.assert_close(again(X), model(X))


def test_thresholded_relu_of_a_config_of_keras_2():
    config = {"class_name": "ThresholdedReLU", "config": {"name": "t", "theta": 0.5}}
    config["module"] = "keras.layers"
    assert layers.deserialize(config).theta == 0.5


@pytest.mark.parametrize(("cls", "axis"), [("RandomHeight", 1), ("RandomWidth", 2)])
def test_random_sizes(cls, axis):
    cls = getattr(layers, cls)
    images = torch.arange(2 * 4 * 4 * 3.0).reshape(2, 4, 4, 3)
    expected = [2, 4, 4, 3]
    expected[axis] = 6
    assert list(cls((0.5, 0.5))(images).shape) == expected
    layer = cls(0.9, seed=1)
    sizes = {layer(images).shape[axis] for _ in range(20)}
    assert len(sizes) > 3 and sizes <= set(range(1, 8))
    again = cls.from_config(layer.get_config())
    first = cls.from_config(layer.get_config())
    assert [again(images).shape for _ in range(5)] == [first(images).shape for _ in range(5)]
    np.testing.assert_array_equal(layer(images, training=False), images)
    shape = [None, 4, 4, 3]
    shape[axis] = None
    assert layer.compute_output_shape((None, 4, 4, 3)) == tuple(shape)
    inputs = Input((4, 4, 3))
    assert Model(inputs, layer(inputs)).output_shape == tuple(shape)


@pytest.mark.parametrize("factor", [(0.5, 0.2), (-2.0, 0.0), -0.5])
def test_random_sizes_want_an_interval(factor):
    with pytest.raises(ValueError, match="two of at least -1"):
        layers.RandomHeight(factor)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("implementation", [2, 3])
def test_locally_connected_by_a_kernel_between_all(implementation, padding, data_format):
    """The sums over windows by loops, of weights in the two forms of Keras 2."""
    first = data_format == "channels_first"
    size, window, strides, channels, filters = (5, 4), (3, 2), (2, 1), 2, 3
    random = np.random.default_rng(0)
    x = random.normal(size=(2, *size, channels)).astype("float32")
    layer = layers.LocallyConnected2D(
        filters, window, strides, padding, data_format, implementation=implementation
    )
    given = np.moveaxis(x, -1, 1) if first else x
    layer.build(given.shape)
    bias = random.normal(size=layer.bias.shape).astype("float32")
    places = bias.shape[:-1]
    assert places == ((3, 4) if padding == "same" else (2, 3))
    whole = random.normal(size=(*size, channels, *places, filters)).astype("float32")
    expected, used = np.zeros((2, *places, filters)) + bias, np.zeros(whole.shape, bool)
    for place in np.ndindex(*places):
        starts = [
            i * step - (k // 2 if padding == "same" else 0)
            for i, step, k in zip(place, strides, window, strict=True)
        ]
        for pixel in np.ndindex(*size):
            distances = zip(pixel, starts, window, strict=True)
            if all(0 <= at - start < k for at, start, k in distances):
                product = x[(slice(None), *pixel)] @ whole[(*pixel, slice(None), *place)]
                expected[(slice(None), *place)] += product
                used[(*pixel, slice(None), *place)] = True
    order = (2, 0, 1, 5, 3, 4) if first else range(6)
    kernel, used = whole.transpose(order), used.transpose(order)
    if implementation == 3:
        kernel = kernel.reshape(size[0] * size[1] * channels, -1).T[used.reshape(40, -1).T]
    layer.set_weights([kernel, bias])
    y = layer(given).detach().numpy()
    assert y.shape == layer.compute_output_shape(given.shape)
    np.testing.assert_allclose(np.moveaxis(y, 1, -1) if first else y, expected, atol=1e-5)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("rank", [1, 2])
def test_locally_connected(rank, data_format):
    """A window's product with the kernel of its own place, by hand."""
    first = data_format == "channels_first"
    shape = (5, 4)[:rank]
    x = np.random.default_rng(0).normal(size=(2, *shape, 3)).astype("float32")
    layer = getattr(layers, f"LocallyConnected{rank}D")(
        2, 3, strides=(2, 1)[:rank], data_format=data_format, bias_initializer="random_normal"
    )
    y = layer(np.moveaxis(x, -1, 1) if first else x).detach().numpy()
    assert y.shape == layer.compute_output_shape(np.moveaxis(x, -1, 1).shape if first else x.shape)
    kernel, bias = layer.get_weights()
    for number, place in enumerate(np.ndindex(*bias.shape[:-1])):
        starts = [i * s for i, s in zip(place, (2, 1), strict=False)]
        window = x[(slice(None), *(slice(a, a + 3) for a in starts))]
        window = np.moveaxis(window, -1, 1) if first else window
        expected = window.reshape(2, -1) @ kernel[number] + bias[place]
        found = y[(slice(None), slice(None), *place) if first else (slice(None), *place)]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    with pytest.raises(ValueError, match="implementation=4"):
        type(layer)(2, 3, implementation=4)
    with pytest.raises(ValueError, match="padding='same'"):
        type(layer)(2, 3, padding="same")
    with pytest.raises(ValueError, match="sizes of its input must be known"):
        type(layer)(2, 3).build((None,) * (rank + 1) + (3,))


def test_random_crop_has_its_size_in_inference_too():
    x = np.random.default_rng(0).normal(size=(2, 6, 9, 3)).astype("float32")
    layer = legacy.RandomCrop(3, 4, seed=1)
    assert layer.name.startswith("random_crop")
    parts = {layer(x).numpy().tobytes() for _ in range(30)}
    windows = {
        np.ascontiguousarray(x[:, top : top + 3, left : left + 4]).tobytes()
        for top in range(4)
        for left in range(6)
    }
    assert len(parts) > 8 and parts <= windows
    middle = resize(x[:, :, :8], (3, 4))  # the largest window of that shape
    np.testing.assert_allclose(layer(x, training=False), middle, atol=1e-6)
    small = resize(x[:, 1:3, :3], (3, 4), crop_to_aspect_ratio=True)
    np.testing.assert_allclose(layer(x[:, 1:3, :3]), small, atol=1e-6)
    ins = Input((None, None, 3))
    assert Model(ins, layer(ins)).predict(x, verbose=0).shape == (2, 3, 4, 3)


def test_attention_whose_result_alone_is_penalized():
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
    layer = legacy.MultiHeadAttention(2, 3, activity_regularizer="l2")
    y = layer(x, x)
    (loss,) = layer.losses
    today = layers.Dense(4, activity_regularizer="l2")
    today.build((2, 3, 4))
    today.set_weights([np.eye(4), np.zeros(4)])
    today(y)
    np.testing.assert_allclose(loss.item(), today.losses[0].item(), rtol=1e-6)
