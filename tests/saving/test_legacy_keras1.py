"""Models of Keras 1 as its files have them, against what they computed by their definitions.

Each case has the text that Keras 1.2 wrote, with all of its arguments, weights in the order and the
form of then, and numbers by NumPy (`by_hand.py`). It is read as a whole `.h5`, and as JSON with
weights of a file.
"""

import io
import json

import h5py
import numpy as np
import pytest

import torchkeras as keras
from torchkeras.saving import FileFormatError, load_model
from torchkeras.saving.legacy_keras1 import _LAYERS, from_keras_1

from .by_hand import (
    conv,
    conv_lstm,
    depthwise,
    gru,
    hard_sigmoid,
    lstm,
    rnn,
    sigmoid,
    transposed,
    windows,
)
from .keras1 import NO_PENALTIES, convolution, dense, h5, layer, normal, recurrent, sequential

CASES = {}


def case(function):
    """Register a case: a function of a random generator that returns it (see `check`)."""
    CASES[function.__name__] = function
    return function


def check(config, weights, x, expected, version="1.2.2", **file):
    """Compare both ways of reading with what was computed by hand; return the model."""
    whole = load_model(h5(config, weights, version, **file))
    parts = keras.models.model_from_json(json.dumps({**config, "keras_version": version}))
    parts.load_weights(h5(config, weights, version, **file), by_name=True)
    for model in (whole, parts):
        found = model.predict(x, verbose=0)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    return whole


# Dense layers and what they are made of ----------------------------------------------------------


@case
def dense_with_penalties(random):
    w, b = normal(random, 3, 4), normal(random, 4)
    l2 = {"name": "L1L2Regularizer", "l1": 0.0, "l2": 0.01}
    norm = {"name": "MaxNorm", "m": 2, "axis": 0}
    config = sequential([3], dense("d", 4, "relu", W_regularizer=l2, W_constraint=norm))
    x = normal(random, 5, 3)
    return config, {"d": [w, b]}, x, np.maximum(x @ w + b, 0)


@case
def dense_without_a_bias(random):
    w = normal(random, 3, 4)
    config = sequential([3], dense("d", 4, "hard_sigmoid", bias=False, init="uniform"))
    x = 3 * normal(random, 5, 3)
    return config, {"d": [w]}, x, hard_sigmoid(x @ w)


@case
def dense_at_each_step(random):
    w, b = normal(random, 3, 4), normal(random, 4)
    config = sequential([6, 3], dense("d", 4, "tanh", "TimeDistributedDense"))
    x = normal(random, 5, 6, 3)
    return config, {"d": [w, b]}, x, np.tanh(x @ w + b)


@case
def time_distributed_dense(random):
    w, b = normal(random, 3, 4), normal(random, 4)
    config = sequential([6, 3], layer("TimeDistributed", "t", layer=dense("d", 4, "softplus")))
    x = normal(random, 5, 6, 3)
    return config, {"t": [w, b]}, x, np.log1p(np.exp(x @ w + b))


@case
def highway(random):
    w, carry, b, carry_b = (normal(random, *shape) for shape in ((3, 3), (3, 3), (3,), (3,)))
    options = {**NO_PENALTIES, "bias": True, "init": "glorot_uniform", "input_dim": 3}
    config = sequential([3], layer("Highway", "h", activation="relu", **options))
    x = normal(random, 5, 3)
    gate = sigmoid(x @ carry + carry_b)
    expected = gate * np.maximum(x @ w + b, 0) + (1 - gate) * x
    return config, {"h": [w, carry, b, carry_b]}, x, expected


@case
def maxout_dense(random):
    w, b = normal(random, 4, 3, 2), normal(random, 4, 2)
    options = {**NO_PENALTIES, "bias": True, "init": "glorot_uniform", "input_dim": 3}
    config = sequential([3], layer("MaxoutDense", "m", output_dim=2, nb_feature=4, **options))
    x = normal(random, 5, 3)
    return config, {"m": [w, b]}, x, np.max([x @ w[n] + b[n] for n in range(4)], 0)


@case
def prelu(random):
    alpha = normal(random, 1, 4)
    config = sequential([3, 4], layer("PReLU", "p", init="zero", shared_axes=[1]))
    x = normal(random, 5, 3, 4)
    return config, {"p": [alpha]}, x, np.where(x > 0, x, alpha * x)


@case
def rectifiers(random):
    config = sequential(
        [4],
        layer("LeakyReLU", "l", alpha=0.25),
        layer("ELU", "e", alpha=0.5),
        layer("ThresholdedReLU", "t", theta=0.3),
    )
    x = 2 * normal(random, 5, 4)
    leaky = np.where(x > 0, x, 0.25 * x)
    return config, {"l": [], "e": [], "t": []}, x, np.where(leaky > 0.3, leaky, 0)


@case
def noise(random):
    config = sequential(
        [6, 4],
        layer("Dropout", "a", p=0.5),
        layer("GaussianDropout", "b", p=0.5),
        layer("GaussianNoise", "c", sigma=0.5),
        layer("SpatialDropout1D", "d", p=0.5),
        layer("ActivityRegularization", "e", l1=0.1, l2=0.2),
    )
    x = normal(random, 5, 6, 4)
    return config, {}, x, x


@case
def spatial_dropouts(random):
    config = sequential(
        [3, 4, 2],
        layer("SpatialDropout2D", "a", p=0.5),
        layer("Reshape", "b", target_shape=[3, 2, 2, 2]),
        layer("SpatialDropout3D", "c", p=0.5),
    )
    x = normal(random, 5, 3, 4, 2)
    return config, {}, x, x.reshape(5, 3, 2, 2, 2)


@case
def batch_normalization(random):
    gamma, beta, mean = (normal(random, 4) for _ in range(3))
    variance = random.uniform(0.5, 2, 4).astype("float32")
    options = {"gamma_regularizer": None, "beta_regularizer": None, "momentum": 0.9}
    config = sequential(
        [4], layer("BatchNormalization", "b", epsilon=1e-5, mode=0, axis=-1, **options)
    )
    x = normal(random, 5, 4)
    expected = (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta
    return config, {"b": [gamma, beta, mean, variance]}, x, expected


# Convolutions ------------------------------------------------------------------------------------


@case
def convolution_1d(random):
    kernel, b = normal(random, 3, 1, 4, 2), normal(random, 2)
    config = sequential([7, 4], convolution("Convolution1D", "c", 2, 3, subsample_length=2))
    x = normal(random, 5, 7, 4)
    return config, {"c": [kernel, b]}, x, conv(x, kernel[:, 0], b, strides=2)


@case
def convolution_1d_of_keras_1_0(random):
    kernel, b = normal(random, 2, 4, 3, 1), normal(random, 2)  # F, I, k, 1
    config = sequential([7, 4], convolution("Convolution1D", "c", 2, 3, border_mode="same"))
    x = normal(random, 5, 7, 4)
    today = kernel[..., 0].transpose(2, 1, 0)
    return config, {"c": [kernel, b]}, x, conv(x, today, b, padding="same")


@case
def atrous_convolution_1d(random):
    kernel, b = normal(random, 3, 1, 4, 2), normal(random, 2)
    config = sequential([9, 4], convolution("AtrousConvolution1D", "c", 2, 3, atrous_rate=2))
    x = normal(random, 5, 9, 4)
    return config, {"c": [kernel, b]}, x, conv(x, kernel[:, 0], b, dilation=2)


@case
def convolution_2d(random):
    kernel, b = normal(random, 3, 3, 2, 4), normal(random, 4)
    options = {"border_mode": "same", "subsample": [2, 2], "activation": "relu"}
    config = sequential([7, 6, 2], convolution("Convolution2D", "c", 4, 3, **options))
    x = normal(random, 5, 7, 6, 2)
    expected = np.maximum(conv(x, kernel, b, strides=2, padding="same"), 0)
    return config, {"c": [kernel, b]}, x, expected


@case
def convolution_2d_filters_first(random):
    kernel, b = normal(random, 3, 3, 3, 3), normal(random, 3)  # F, I, rows, columns
    config = sequential([3, 6, 5], convolution("Convolution2D", "c", 3, 3, "th"))
    x = normal(random, 5, 3, 6, 5)
    today = conv(x.transpose(0, 2, 3, 1), kernel.transpose(2, 3, 1, 0), b)
    return config, {"c": [kernel, b]}, x, today.transpose(0, 3, 1, 2)


@case
def convolution_2d_by_theano(random):
    kernel, b = normal(random, 3, 3, 3, 2), normal(random, 2)
    config = sequential([6, 5, 3], convolution("Convolution2D", "c", 2, 3))
    x = normal(random, 5, 6, 5, 3)
    return config, {"c": [kernel, b]}, x, conv(x, kernel[::-1, ::-1], b), {"backend": "theano"}


@case
def convolution_2d_by_theano_filters_first(random):
    kernel, b = normal(random, 2, 3, 3, 3), normal(random, 2)
    config = sequential([3, 6, 5], convolution("Convolution2D", "c", 2, 3, "th"))
    x = normal(random, 5, 3, 6, 5)
    today = kernel[:, :, ::-1, ::-1].transpose(2, 3, 1, 0)
    expected = conv(x.transpose(0, 2, 3, 1), today, b).transpose(0, 3, 1, 2)
    return config, {"c": [kernel, b]}, x, expected, {"backend": "theano"}


@case
def convolution_2d_at_each_step(random):
    kernel, b = normal(random, 2, 3, 3, 3), normal(random, 2)
    inner = convolution("Convolution2D", "c", 2, 3, "th")
    config = sequential([4, 3, 6, 5], layer("TimeDistributed", "t", layer=inner))
    x = normal(random, 2, 4, 3, 6, 5)
    flat = x.reshape(8, 3, 6, 5).transpose(0, 2, 3, 1)
    expected = conv(flat, kernel.transpose(2, 3, 1, 0), b).transpose(0, 3, 1, 2)
    return config, {"t": [kernel, b]}, x, expected.reshape(2, 4, 2, 4, 3)


@case
def atrous_convolution_2d(random):
    kernel, b = normal(random, 3, 3, 2, 4), normal(random, 4)
    config = sequential(
        [7, 8, 2], convolution("AtrousConvolution2D", "c", 4, 3, atrous_rate=[2, 2])
    )
    x = normal(random, 5, 7, 8, 2)
    return config, {"c": [kernel, b]}, x, conv(x, kernel, b, dilation=2)


def _separable(order, shape):
    options = {
        "depth_multiplier": 2,
        "depthwise_regularizer": None,
        "pointwise_regularizer": None,
        "depthwise_constraint": None,
        "pointwise_constraint": None,
    }
    one = convolution("SeparableConvolution2D", "c", 4, 3, order, **options)
    for name in ("W_regularizer", "W_constraint"):
        del one["config"][name]
    return sequential(shape, one)


@case
def separable_convolution_2d(random):
    depth, point, b = normal(random, 3, 3, 3, 2), normal(random, 1, 1, 6, 4), normal(random, 4)
    x = normal(random, 5, 6, 5, 3)
    expected = conv(depthwise(x, depth), point, b)
    return _separable("tf", [6, 5, 3]), {"c": [depth, point, b]}, x, expected


@case
def separable_convolution_2d_filters_first(random):
    depth, point, b = normal(random, 2, 3, 3, 3), normal(random, 4, 6, 1, 1), normal(random, 4)
    x = normal(random, 5, 3, 6, 5)
    today = depthwise(x.transpose(0, 2, 3, 1), depth.transpose(2, 3, 1, 0))
    expected = conv(today, point.transpose(2, 3, 1, 0), b).transpose(0, 3, 1, 2)
    return _separable("th", [3, 6, 5]), {"c": [depth, point, b]}, x, expected


def _deconvolution(random, padding, size, order="tf"):
    kernel, b = normal(random, 3, 3, 2, 4), normal(random, 4)  # k, k, I, F
    shape = [None, *size, 4] if order == "tf" else [None, 4, *size]
    options = {"border_mode": padding, "subsample": [2, 2], "output_shape": shape}
    one = convolution("Deconvolution2D", "c", 4, 3, order, **options)
    x = normal(random, 5, 4, 3, 2)
    expected = transposed(x, kernel.transpose(0, 1, 3, 2), b, 2, padding)
    if order == "tf":
        return sequential([4, 3, 2], one), {"c": [kernel, b]}, x, expected
    first = {"c": [kernel.transpose(3, 2, 0, 1), b]}  # F, I, k, k
    return (
        sequential([2, 4, 3], one), first, x.transpose(0, 3, 1, 2), expected.transpose(0, 3, 1, 2)
    )  # fmt: skip


@case
def deconvolution_2d(random):
    return _deconvolution(random, "valid", [9, 7])


@case
def deconvolution_2d_same(random):
    return _deconvolution(random, "same", [8, 6])


@case
def deconvolution_2d_filters_first(random):
    return _deconvolution(random, "valid", [9, 7], "th")


@case
def convolution_3d(random):
    kernel, b = normal(random, 2, 2, 2, 3, 4), normal(random, 4)
    config = sequential([3, 4, 5, 3], convolution("Convolution3D", "c", 4, 2))
    x = normal(random, 2, 3, 4, 5, 3)
    return config, {"c": [kernel, b]}, x, conv(x, kernel, b)


@case
def convolution_3d_filters_first(random):
    kernel, b = normal(random, 4, 3, 2, 2, 2), normal(random, 4)
    config = sequential([3, 3, 4, 5], convolution("Convolution3D", "c", 4, 2, "th"))
    x = normal(random, 2, 3, 3, 4, 5)
    today = conv(np.moveaxis(x, 1, -1), kernel.transpose(2, 3, 4, 1, 0), b)
    return config, {"c": [kernel, b]}, x, np.moveaxis(today, -1, 1)


@case
def locally_connected_1d(random):
    kernel, b = normal(random, 3, 8, 2), normal(random, 3, 2)
    one = convolution("LocallyConnected1D", "c", 2, 2, subsample_length=2)
    x = normal(random, 5, 6, 4)
    y = np.einsum("blk,lkf->blf", windows(x, 2, 2).reshape(5, 3, 8), kernel) + b
    return sequential([6, 4], one), {"c": [kernel, b]}, x, y


@case
def locally_connected_2d(random):
    kernel, b = normal(random, 6, 8, 3), normal(random, 3, 2, 3)
    x = normal(random, 5, 4, 3, 2)
    y = np.einsum("blk,lkf->blf", windows(x, 2).reshape(5, 6, 8), kernel).reshape(5, 3, 2, 3) + b
    config = sequential([4, 3, 2], convolution("LocallyConnected2D", "c", 3, 2))
    return config, {"c": [kernel, b]}, x, y


# Shapes ------------------------------------------------------------------------------------------


@case
def pooling_1d(random):
    config = sequential(
        [9, 4],
        layer("MaxPooling1D", "a", pool_length=3, stride=2, border_mode="valid"),
        layer("AveragePooling1D", "b", pool_length=2, stride=2, border_mode="valid"),
    )
    x = normal(random, 5, 9, 4)
    return config, {}, x, windows(windows(x, 3, 2).max(2), 2, 2).mean(2)


@case
def pooling_2d(random):
    options = {"pool_size": [2, 2], "strides": [2, 2], "border_mode": "valid"}
    config = sequential(
        [3, 8, 6],
        layer("MaxPooling2D", "a", dim_ordering="th", **options),
        layer("AveragePooling2D", "b", dim_ordering="th", **options),
        layer("GlobalMaxPooling2D", "c", dim_ordering="th"),
    )
    x = normal(random, 5, 3, 8, 6)
    largest = x.reshape(5, 3, 4, 2, 3, 2).max((3, 5))[..., :2]
    return config, {}, x, largest.reshape(5, 3, 2, 2, 1, 2).mean((3, 5)).max((2, 3))


@case
def pooling_2d_same(random):
    options = {"pool_size": [3, 3], "strides": [2, 2], "border_mode": "same"}
    config = sequential(
        [7, 5, 3],
        layer("MaxPooling2D", "a", dim_ordering="tf", **options),
        layer("GlobalAveragePooling2D", "b", dim_ordering="tf"),
    )
    x = normal(random, 5, 7, 5, 3)
    largest = windows(x, 3, 2, padding="same", fill=-np.inf).max((3, 4))
    return config, {}, x, largest.mean((1, 2))


@case
def pooling_3d(random):
    options = {"pool_size": [2, 2, 1], "strides": [2, 2, 1], "border_mode": "valid"}
    config = sequential(
        [2, 4, 4, 3],
        layer("AveragePooling3D", "a", dim_ordering="th", **options),
        layer("MaxPooling3D", "b", dim_ordering="th", **options),
    )
    x = normal(random, 5, 2, 4, 4, 3)
    mean = x.reshape(5, 2, 2, 2, 2, 2, 3).mean((3, 5))
    return config, {}, x, mean.max((2, 3), keepdims=True)


@case
def global_pooling_and_upsampling_3d(random):
    x = normal(random, 5, 4, 3, 3, 2)
    layers = [
        layer("Cropping3D", "a", cropping=[[1, 1], [0, 1], [1, 0]], dim_ordering="tf"),
        layer("UpSampling3D", "b", size=[1, 2, 3], dim_ordering="tf"),
        layer("GlobalMaxPooling3D", "c", dim_ordering="tf"),
    ]
    return sequential(x.shape[1:], *layers), {}, x, x[:, 1:3, :2, 1:].max((1, 2, 3))


@case
def global_average_pooling_3d(random):
    x = normal(random, 5, 4, 3, 3, 2)
    one = layer("GlobalAveragePooling3D", "a", dim_ordering="th")
    return sequential(x.shape[1:], one), {}, x, x.mean((2, 3, 4))


def _padded(padding, pads, order="tf"):
    def make(random):
        one = layer("ZeroPadding2D", "z", padding=padding, dim_ordering=order)
        x = normal(random, 5, 3, 4, 2)
        data = [(0, 0), (0, 0), *pads] if order == "th" else [(0, 0), *pads, (0, 0)]
        return sequential([3, 4, 2], one), {}, x, np.pad(x, data)

    return make


CASES["zero_padding_2d"] = _padded([1, 2], [(1, 1), (2, 2)])
CASES["zero_padding_2d_filters_first"] = _padded([1, 2], [(1, 1), (2, 2)], "th")
CASES["zero_padding_2d_of_four"] = _padded([1, 2, 3, 0], [(1, 2), (3, 0)])
CASES["zero_padding_2d_by_names"] = _padded({"top_pad": 1, "right_pad": 2}, [(1, 0), (0, 2)])


@case
def zero_padding_of_other_ranks(random):
    config = sequential(
        [3, 4],
        layer("ZeroPadding1D", "a", padding={"left_pad": 1, "right_pad": 2}),
        layer("Reshape", "b", target_shape=[2, 3, 2, 2]),
        layer("ZeroPadding3D", "c", padding=[1, 0, 2], dim_ordering="tf"),
    )
    x = normal(random, 5, 3, 4)
    padded = np.pad(x, [(0, 0), (1, 2), (0, 0)]).reshape(5, 2, 3, 2, 2)
    return config, {}, x, np.pad(padded, [(0, 0), (1, 1), (0, 0), (2, 2), (0, 0)])


@case
def cropping_and_upsampling(random):
    config = sequential(
        [2, 6, 5],
        layer("Cropping2D", "a", cropping=[[1, 2], [0, 1]], dim_ordering="th"),
        layer("UpSampling2D", "b", size=[2, 1], dim_ordering="th"),
        layer("Reshape", "c", target_shape=[12, 4]),
        layer("Cropping1D", "d", cropping=[1, 2]),
        layer("UpSampling1D", "e", length=3),
    )
    x = normal(random, 5, 2, 6, 5)
    images = x[:, :, 1:4, :4].repeat(2, 2).reshape(5, 12, 4)
    return config, {}, x, images[:, 1:10].repeat(3, 1)


@case
def reshaping(random):
    config = sequential(
        [2, 3, 4],
        layer("Permute", "a", dims=[3, 1, 2]),
        layer("Flatten", "b"),
        layer("RepeatVector", "c", n=2),
        layer("Masking", "d", mask_value=9.0),
        layer("Activation", "e", activation="softsign"),
    )
    x = normal(random, 5, 2, 3, 4)
    flat = x.transpose(0, 3, 1, 2).reshape(5, 1, 24).repeat(2, 1)
    return config, {}, x, flat / (1 + np.abs(flat))


# Recurrent layers --------------------------------------------------------------------------------


def _gates(random, count, inputs=3, units=2):
    """Weights of Keras 1, and the same side by side in today's order."""
    shapes = ((inputs, units), (units, units), (units,))
    stored = [normal(random, *shape) for _ in range(count) for shape in shapes]
    order = (0, 2, 1, 3) if count == 4 else range(count)
    return stored, [np.concatenate([stored[3 * g + i] for g in order], -1) for i in range(3)]


@case
def simple_rnn(random):
    stored, weights = _gates(random, 1)
    config = sequential([4, 3], recurrent("SimpleRNN", "r", 2))
    x = normal(random, 5, 4, 3)
    return config, {"r": stored}, x, rnn(x, *weights)


@case
def lstm_of_twelve_weights(random):
    stored, weights = _gates(random, 4)
    config = sequential([4, 3], recurrent("LSTM", "r", 2))
    x = normal(random, 5, 4, 3)
    return config, {"r": stored}, x, lstm(x, *weights)


@case
def lstm_of_three_weights(random):
    _, weights = _gates(random, 4)
    config = sequential([4, 3], recurrent("LSTM", "r", 2, consume_less="gpu"))
    x = normal(random, 5, 4, 3)
    return config, {"r": weights}, x, lstm(x, *weights)


@case
def gru_of_nine_weights(random):
    stored, weights = _gates(random, 3)
    config = sequential([4, 3], recurrent("GRU", "r", 2, inner_activation="sigmoid"))
    x = normal(random, 5, 4, 3)
    return config, {"r": stored}, x, gru(x, *weights, gate=sigmoid)


@case
def gru_backwards_and_last(random):
    _, weights = _gates(random, 3)
    options = {"go_backwards": True, "return_sequences": False, "consume_less": "gpu"}
    config = sequential([4, 3], recurrent("GRU", "r", 2, **options))
    x = normal(random, 5, 4, 3)
    return config, {"r": weights}, x, gru(x, *weights, backwards=True)[:, -1]


@case
def bidirectional_lstm(random):
    (stored, weights), (stored_back, weights_back) = _gates(random, 4), _gates(random, 4)
    inner = recurrent("LSTM", "r", 2)
    config = sequential([4, 3], layer("Bidirectional", "b", merge_mode="sum", layer=inner))
    x = normal(random, 5, 4, 3)
    back = lstm(x, *weights_back, backwards=True)[:, ::-1]
    return config, {"b": stored + stored_back}, x, lstm(x, *weights) + back


@case
def embedding_with_a_mask(random):
    words, (stored, weights) = normal(random, 6, 3), _gates(random, 4)
    embedding = layer(
        "Embedding", "e", input_dim=6, output_dim=3, init="uniform", input_length=4, mask_zero=True,
        activity_regularizer=None, W_regularizer=None, W_constraint=None, dropout=0.0,
    )  # fmt: skip
    last = recurrent("LSTM", "r", 2, return_sequences=False)
    x = np.array([[1, 2, 3, 4], [5, 0, 0, 0], [3, 0, 2, 0]], "int32")
    expected = lstm(words[x], *weights, mask=x != 0)[:, -1]
    return sequential([4], embedding, last, dtype="int32"), {"e": [words], "r": stored}, x, expected


def _conv_lstm(random, order):
    shapes = {"tf": ((2, 2, 3, 2), (2, 2, 2, 2)), "th": ((2, 3, 2, 2), (2, 2, 2, 2))}[order]
    stored = [normal(random, *shape) for _ in range(4) for shape in (*shapes, (2,))]
    today = [w.transpose(2, 3, 1, 0) if w.ndim == 4 and order == "th" else w for w in stored]
    weights = [np.concatenate([today[3 * g + i] for g in (0, 2, 1, 3)], -1) for i in range(3)]
    options = convolution("Convolution2D", "", 2, 2, order)["config"]
    for name in ("name", "trainable", "bias", "activity_regularizer", "W_constraint"):
        del options[name]
    del options["b_constraint"]
    options |= {"return_sequences": False, "activation": "tanh"}
    inner = recurrent("LSTM", "c", 2, **options)
    for name in ("output_dim", "input_dim", "input_length"):
        del inner["config"][name]
    x = normal(random, 2, 3, 5, 4, 3)
    expected = conv_lstm(x, *weights)
    if order == "th":
        x, expected = np.moveaxis(x, -1, 2), np.moveaxis(expected, -1, 1)
    config = sequential(x.shape[1:], {**inner, "class_name": "ConvLSTM2D"})
    return config, {"c": stored}, x, expected


@case
def conv_lstm_2d(random):
    return _conv_lstm(random, "tf")


@case
def conv_lstm_2d_filters_first(random):
    return _conv_lstm(random, "th")


# Models ------------------------------------------------------------------------------------------


def input_layer(name, shape):
    inner = {"batch_input_shape": [None, *shape], "input_dtype": "float32", "sparse": False}
    return node(layer("InputLayer", name, **inner))


def node(one, *inbound):
    """A layer of a functional model; each of `inbound` is a call, a list of references."""
    one["config"].pop("trainable", None)
    return {**one, "name": one["config"]["name"], "inbound_nodes": [list(call) for call in inbound]}


def functional(layers, inputs, outputs):
    inner = {"name": "model_1", "layers": layers}
    inner |= {"input_layers": [[name, 0, 0] for name in inputs], "output_layers": outputs}
    return {"class_name": "Model", "config": inner}


def _merged(mode, function, **more):
    def make(random):
        w, b = normal(random, 3, 4), normal(random, 4)
        options = {"mode_type": "raw", "concat_axis": -1, "dot_axes": -1, "output_shape": None}
        options |= {"output_shape_type": "raw", "output_mask": None, "output_mask_type": "raw"}
        merge = layer("Merge", "m", mode=mode, **{**options, "arguments": {}, **more})
        layers = [
            input_layer("a", [4]),
            input_layer("b", [3]),
            node(dense("d", 4), [["b", 0, 0]]),
            node(merge, [["a", 0, 0], ["d", 0, 0]]),
        ]
        x = [normal(random, 5, 4), normal(random, 5, 3)]
        config = functional(layers, ["a", "b"], [["m", 0, 0]])
        return config, {"d": [w, b]}, x, function(x[0], x[1] @ w + b)

    return make


CASES["merge_sum"] = _merged("sum", np.add)
CASES["merge_mul"] = _merged("mul", np.multiply)
CASES["merge_ave"] = _merged("ave", lambda a, b: (a + b) / 2)
CASES["merge_max"] = _merged("max", np.maximum)
CASES["merge_concat"] = _merged("concat", lambda a, b: np.concatenate([a, b], -1), concat_axis=1)
CASES["merge_dot"] = _merged("dot", lambda a, b: (a * b).sum(-1, keepdims=True), dot_axes=[1, 1])


@case
def shared_layers(random):
    w, v, b = normal(random, 3, 4), normal(random, 8, 2), normal(random, 2)
    layers = [
        input_layer("a", [3]),
        input_layer("b", [3]),
        node(dense("d", 4, "tanh", bias=False), [["a", 0, 0]], [["b", 0, 0]]),
        node(layer("Merge", "m", mode="concat", concat_axis=-1), [["d", 0, 0], ["d", 1, 0]]),
        node(dense("e", 2, "sigmoid"), [["m", 0, 0]]),
    ]
    x = [normal(random, 5, 3), normal(random, 5, 3)]
    config = functional(layers, ["a", "b"], [["e", 0, 0]])
    joined = np.concatenate([np.tanh(x[0] @ w), np.tanh(x[1] @ w)], -1)
    return config, {"d": [w], "e": [v, b]}, x, sigmoid(joined @ v + b)


@case
def model_inside(random):
    kernel, b, (stored, weights) = normal(random, 3, 1, 4, 3), normal(random, 3), _gates(random, 4)
    inner = sequential([7, 4], convolution("Convolution1D", "c", 3, 3), recurrent("LSTM", "r", 2))
    nested = {"class_name": "Sequential", "name": "s", "config": inner["config"]}
    layers = [
        input_layer("a", [7, 4]),
        {**nested, "inbound_nodes": [[["a", 0, 0]]]},
        node(layer("Activation", "t", activation="tanh"), [["s", 1, 0]]),
    ]
    x = normal(random, 5, 7, 4)
    config = functional(layers, ["a"], [["t", 0, 0]])
    return config, {"s": [kernel, b, *stored]}, x, np.tanh(lstm(conv(x, kernel[:, 0], b), *weights))


@case
def sequential_of_branches(random):
    """The layers of branches are stored one branch after the other."""
    a, b, c, d = (normal(random, *shape) for shape in ((3, 4), (4, 4), (2, 4), (8, 1)))
    left = sequential([3], dense("l1", 4, "tanh", bias=False), dense("l2", 4, bias=False))
    right = sequential([2], dense("r1", 4, bias=False))
    merge = layer("Merge", "m", mode="concat", concat_axis=-1, layers=[left, right])
    config = {"class_name": "Sequential", "config": [merge, dense("o", 1, bias=False)]}
    x = [normal(random, 5, 3), normal(random, 5, 2)]
    joined = np.concatenate([np.tanh(x[0] @ a) @ b, x[1] @ c], -1)
    return config, {"l1": [a], "l2": [b], "r1": [c], "o": [d]}, x, joined @ d


@pytest.mark.parametrize("name", CASES)
def test_computes_what_it_did(name):
    config, weights, x, expected, *file = CASES[name](np.random.default_rng(1))
    check(config, weights, x, expected, **(file[0] if file else {}))


def test_every_class_of_the_table_is_tried():
    tried = json.dumps([CASES[name](np.random.default_rng(1))[0] for name in CASES])
    assert [name for name in _LAYERS if f'"{name}"' not in tried] == []


# What stands in a file besides layers ------------------------------------------------------------


def test_penalties_and_constraints_hold():
    config, weights, *_ = CASES["dense_with_penalties"](np.random.default_rng(1))
    model = load_model(h5(config, weights))
    kernel = weights["d"][0]
    np.testing.assert_allclose(model.losses[0].item(), 0.01 * (kernel**2).sum(), rtol=1e-5)
    constraint = model.layers[-1].kernel_constraint
    assert type(constraint).__name__ == "MaxNorm" and constraint.max_value == 2


def test_noise_keeps_its_rates():
    a, b, c, d, e = load_model(h5(CASES["noise"](np.random.default_rng(1))[0], {})).layers
    assert (a.rate, b.rate, c.stddev, d.rate, e.l1, e.l2) == (0.5, 0.5, 0.5, 0.5, 0.1, 0.2)


def test_weights_of_keras_0_have_numbers():
    w, b, v = np.ones((3, 4)), np.arange(4.0), np.ones((4, 2))
    config = sequential([3], dense("a", 4), layer("Dropout", "b", p=0.5), dense("c", 2, bias=False))
    model = keras.models.model_from_json(json.dumps({**config, "keras_version": "1.0.0"}))
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["nb_layers"] = 3
        for i, arrays in enumerate(([w, b], [], [v])):
            group = file.create_group(f"layer_{i}")
            group.attrs["nb_params"] = len(arrays)
            for k, array in enumerate(arrays):
                group.create_dataset(f"param_{k}", data=array)
    with pytest.raises(FileFormatError, match="numbers and no names"):
        model.load_weights(io.BytesIO(buffer.getvalue()), by_name=True)
    model.load_weights(io.BytesIO(buffer.getvalue()))
    found = [layer.get_weights() for layer in model.layers if layer.weights]
    for ours, theirs in zip(found, ([w, b], [v]), strict=True):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one, other)


def test_statistics_of_keras_0_are_refused():
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["nb_layers"] = 1
        for k in range(4):
            file.create_group("layer_0") if k == 0 else None
            file["layer_0"].create_dataset(f"param_{k}", data=np.ones(3))
    model = keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization(name="b")])
    with pytest.raises(FileFormatError, match="'b'.*standard deviations"):
        model.load_weights(io.BytesIO(buffer.getvalue()))


def test_a_file_that_does_not_tell_its_backend_is_said_to():
    config, weights, x, expected = CASES["convolution_2d"](np.random.default_rng(1))
    with pytest.warns(UserWarning, match="whether TensorFlow or Theano trained 'c'"):
        model = load_model(h5(config, weights, backend=None))
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-5)


def test_dropped_words_are_told_of():
    one = layer("Embedding", "e", input_dim=6, output_dim=3, dropout=0.2)
    with pytest.warns(UserWarning, match="'e' .Embedding. left out words"):
        keras.models.model_from_json(json.dumps({**sequential([4], one), "keras_version": "1.1.0"}))


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (layer("Merge", "m", mode="cos"), "'m' of Keras 1 merges by mode='cos'"),
        (layer("Merge", "m", mode="f", mode_type="lambda"), "'m' of Keras 1 merges by mode='f'"),
        (layer("BatchNormalization", "b", mode=1, axis=-1), "'b' .* has mode=1"),
        (layer("BatchNormalization", "b", mode=2, axis=-1), "'b' .* has mode=2"),
        (
            dense("d", 2, W_regularizer={"name": "EigenvalueRegularizer", "k": 1.0}),
            "'d' of Keras 1 has kernel_regularizer='EigenvalueRegularizer'",
        ),
        (
            convolution(
                "Convolution2D",
                "c",
                2,
                3,
                "th",
                W_constraint={"name": "MaxNorm", "m": 2, "axis": 0},
            ),
            r"'c' of Keras 1 has kernel_constraint=MaxNorm\(axis=0\)",
        ),
        (
            convolution(
                "Deconvolution2D", "c", 2, 3, subsample=[2, 2], output_shape=[None, 10, 7, 2]
            ),
            "'c' of Keras 1 has output_shape",
        ),
        (dense("d", 2, W_learning_rate_multiplier=2.0), "W_learning_rate_multiplier=2.0"),
        (layer("SReLU", "s", t_left_init="zero"), "SReLU"),
        (layer("ParametricSoftplus", "s", alpha_init=0.2), "ParametricSoftplus"),
    ],
)
def test_what_is_gone_is_refused_by_its_name(one, message):
    text = json.dumps({**sequential([4, 4, 2], one), "keras_version": "1.2.2"})
    with pytest.raises((FileFormatError, TypeError), match=message):
        keras.models.model_from_json(text)
    with pytest.raises(FileFormatError, match=message):
        load_model(h5(sequential([4, 4, 2], one), {}))


def test_branches_that_cannot_be_laid_open_are_refused():
    left = sequential([3], dense("same", 4))
    for branches in ([left, left], [left, {"class_name": "Model", "config": {}}]):
        merge = layer("Merge", "m", mode="concat", concat_axis=-1, layers=branches)
        config = {"class_name": "Sequential", "config": [merge]}
        with pytest.raises(FileFormatError, match="two branches|merges what is no"):
            load_model(h5(config, {}))


def test_training_goes_on_as_it_was_compiled():
    config, weights, *_ = CASES["dense_without_a_bias"](np.random.default_rng(1))
    buffer = h5(config, weights)
    training = {
        "optimizer_config": {
            "class_name": "Adam",
            "config": {"lr": 0.005, "beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-8, "decay": 0.0},
        },
        "loss": "categorical_crossentropy",
        "metrics": ["accuracy"],
        "sample_weight_mode": None,
        "loss_weights": None,
    }
    with h5py.File(buffer, "r+") as file:
        file.attrs["training_config"] = json.dumps(training).encode()
    model = load_model(io.BytesIO(buffer.getvalue()))
    optimizer = model.optimizer
    assert float(optimizer.learning_rate) == pytest.approx(0.005)
    assert (optimizer.beta_2, optimizer.epsilon) == (0.99, 1e-8)
    assert model.loss == "categorical_crossentropy"


def test_names_of_classes_without_changes_are_kept():
    assert from_keras_1("Flatten", {"name": "f"}, "m.h5") == ("Flatten", {"name": "f"})
