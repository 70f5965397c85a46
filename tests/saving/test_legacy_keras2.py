"""Models of Keras 2.0 to 2.2 as their files have them, against their definitions.

Each case has the text of then, with all arguments, and numbers by NumPy (`by_hand.py`). It is read
as a whole `.h5`, and as JSON with weights of a file.
"""

import base64
import io
import json
import marshal

import h5py
import numpy as np
import pytest

import torchkeras as keras
from torchkeras.saving import FileFormatError, load_model

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
from .keras1 import h5, normal
from .keras2 import (
    convolution,
    dense,
    functional,
    input_layer,
    layer,
    named_sequential,
    node,
    options,
    recurrent,
    sequential,
)

CASES = {}
FIRST = "channels_first"


def case(*versions, **file):
    """Register a case for versions; it returns config, weights, inputs and outputs."""

    def register(function):
        for version in versions:
            CASES[f"{function.__name__} of {version}"] = (function, version, file)
        return function

    return register


def first(x):
    """Channels to the front."""
    return np.moveaxis(x, -1, 1)


@pytest.mark.parametrize("name", CASES)
def test_computes_what_it_did(name):
    function, version, file = CASES[name]
    config, weights, x, expected = function(np.random.default_rng(1))
    whole = load_model(h5(config, weights, version, **file))
    text = json.dumps({**config, "keras_version": version, "backend": "tensorflow"})
    parts = keras.models.model_from_json(text)
    parts.load_weights(h5(config, weights, version, **file))
    for model in (whole, parts):
        found = model.predict(x, verbose=0)
        found = found if isinstance(expected, list) else [found]
        for ours, theirs in zip(found, expected if len(found) > 1 else [expected], strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


# Dense layers and activations --------------------------------------------------------------------


@case("2.0.4", "2.2.2")
def dense_with_penalties(random):
    w, b = normal(random, 3, 4), normal(random, 4)
    penalty = {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.01}}
    norm = {"class_name": "MaxNorm", "config": {"max_value": 2, "axis": 0}}
    one = dense("d", 4, "relu", kernel_regularizer=penalty, kernel_constraint=norm)
    x = normal(random, 5, 3)
    return sequential([3], one), {"d": [w, b]}, x, np.maximum(x @ w + b, 0)


@case("2.2.4")
def named_stack(random):
    w, v = normal(random, 3, 4), normal(random, 4, 2)
    stack = dense("a", 4, "hard_sigmoid", use_bias=False), dense("b", 2, "selu", use_bias=False)
    x = normal(random, 5, 3)
    y = hard_sigmoid(x @ w) @ v
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    return (
        named_sequential("s", [3], *stack), {"a": [w], "b": [v]}, x,
        scale * np.where(y > 0, y, alpha * np.expm1(y)),
    )  # fmt: skip


@case("2.2.4")
def rectifiers(random):
    stack = (
        layer("LeakyReLU", "a", alpha=0.05),
        layer("ELU", "b", alpha=0.5),
        layer("ReLU", "c", max_value=6.0, negative_slope=0.25, threshold=0.5),
        layer("ThresholdedReLU", "d", theta=1.0),
        layer("Softmax", "e", axis=1),
    )
    x = 4 * normal(random, 5, 4)
    y = np.where(x > 0, x, 0.05 * x)
    y = np.where(y > 0, y, 0.5 * np.expm1(y))
    y = np.where(y >= 6, 6, np.where(y >= 0.5, y, 0.25 * (y - 0.5)))
    y = np.where(y > 1, y, 0)
    return named_sequential("s", [4], *stack), {}, x, np.exp(y) / np.exp(y).sum(1, keepdims=True)


@case("2.0.6", "2.1.6")
def constants_as_arrays(random):
    alpha = {"type": "ndarray", "value": 0.3499999940395355}
    stack = layer("LeakyReLU", "a", alpha=alpha), layer("ELU", "b", alpha={**alpha, "value": 2.0})
    x = normal(random, 5, 4)
    y = np.where(x > 0, x, 0.35 * x)
    return sequential([4], *stack), {}, x, np.where(y > 0, y, 2 * np.expm1(y))


@case("2.1.3")
def prelu(random):
    alpha = normal(random, 1, 4)
    one = {"alpha_regularizer": None, "alpha_constraint": None, "shared_axes": [1]}
    one["alpha_initializer"] = {"class_name": "Zeros", "config": {}}
    x = normal(random, 5, 3, 4)
    expected = np.where(x > 0, x, alpha * x)
    return sequential([3, 4], layer("PReLU", "p", **one)), {"p": [alpha]}, x, expected


@case("2.2.0")
def noise(random):
    stack = (
        layer("Dropout", "a", rate=0.5, noise_shape=None, seed=None),
        layer("AlphaDropout", "b", rate=0.5),
        layer("GaussianNoise", "c", stddev=0.5),
        layer("GaussianDropout", "d", rate=0.5),
        layer("SpatialDropout1D", "e", rate=0.5, noise_shape=None, seed=None),
    )
    x = normal(random, 5, 3, 4)
    return sequential([3, 4], *stack), {}, x, x


def _normalization(axis):
    def make(random):
        gamma, beta, mean = (normal(random, 3) for _ in range(3))
        variance = random.uniform(0.5, 2, 3).astype("float32")
        given = {"axis": axis, "momentum": 0.9, "epsilon": 0.01, "center": True, "scale": True}
        for weight in ("beta", "gamma"):
            given |= {f"{weight}_regularizer": None, f"{weight}_constraint": None}
        for weight in ("beta", "gamma", "moving_mean", "moving_variance"):
            ones = {"class_name": "Ones" if weight[-1] == "e" else "Zeros", "config": {}}
            given[f"{weight}_initializer"] = ones
        x = normal(random, 5, 4, 6, 3)
        y = (x - mean) / np.sqrt(variance + 0.01) * gamma + beta
        x, y = (x, y) if axis == -1 else (first(x), first(y))
        one = layer("BatchNormalization", "b", **given)
        return sequential(x.shape[1:], one), {"b": [gamma, beta, mean, variance]}, x, y

    return make


CASES["normalization of the last axis"] = (_normalization(-1), "2.0.6", {})
CASES["normalization of the first axis"] = (_normalization(1), "2.0.6", {"backend": "theano"})


# Convolutions, by each backend -------------------------------------------------------------------


def _convolution_2d(backend, data_format, **given):
    def make(random):
        kernel, b = normal(random, 3, 3, 2, 4), normal(random, 4)
        one = convolution("Conv2D", "c", 4, 3, data_format=data_format, **given)
        x = normal(random, 5, 7, 9, 2)
        turned = kernel[::-1, ::-1] if backend == "theano" else kernel
        y = conv(x, turned, b, strides=given.get("strides", 1), dilation=given.get(
            "dilation_rate", 1), padding=given.get("padding", "valid"))  # fmt: skip
        x, y = (first(x), first(y)) if data_format == FIRST else (x, y)
        return sequential(x.shape[1:], one), {"c": [kernel, b]}, x, y

    return make


for _backend in ("tensorflow", "theano", "cntk"):
    for _format in ("channels_last", FIRST):
        for _given in ({"strides": [2, 1]}, {"padding": "same"}, {"dilation_rate": [2, 2]}):
            CASES[f"convolution by {_backend}, {_format}, {_given}"] = (
                _convolution_2d(_backend, _format, **_given), "2.1.6", {"backend": _backend}
            )  # fmt: skip


@case("2.0.8", backend="theano")
def causal_convolution_by_theano(random):
    kernel, b = normal(random, 3, 4, 2), normal(random, 2)
    one = convolution("Conv1D", "c", 2, 3, padding="causal", dilation_rate=[2])
    del one["config"]["data_format"]
    x = normal(random, 5, 8, 4)
    y = conv(np.pad(x, [(0, 0), (4, 0), (0, 0)]), kernel[::-1], b, dilation=2)
    return sequential([8, 4], one), {"c": [kernel, b]}, x, y


@case("2.1.6", backend="theano")
def convolution_3d_by_theano(random):
    kernel, b = normal(random, 2, 2, 2, 3, 4), normal(random, 4)
    one = convolution("Conv3D", "c", 4, 2, data_format=FIRST)
    x = normal(random, 2, 4, 5, 3, 3)
    y = conv(x, kernel[::-1, ::-1, ::-1], b)
    return sequential([3, 4, 5, 3], one), {"c": [kernel, b]}, first(x), first(y)


@case("2.2.4")
def transposed_convolution(random):
    kernel, b = normal(random, 3, 3, 2, 4), normal(random, 2)
    given = {"strides": [2, 2], "padding": "same", "output_padding": None}
    one = convolution("Conv2DTranspose", "c", 2, 3, **given)
    x = normal(random, 5, 4, 3, 4)
    return sequential([4, 3, 4], one), {"c": [kernel, b]}, x, transposed(x, kernel, b, 2, "same")


@case("2.1.3", backend="theano")
def transposed_convolution_by_theano(random):
    kernel, b = normal(random, 3, 3, 2, 4), normal(random, 2)
    one = convolution("Conv2DTranspose", "c", 2, 3, strides=[2, 2])
    x = normal(random, 5, 4, 3, 4)
    y = transposed(x, kernel[::-1, ::-1], b, 2, "valid")
    return sequential([4, 3, 4], one), {"c": [kernel, b]}, x, y


def _separable(backend):
    def make(random):
        depth, point = normal(random, 3, 3, 3, 2), normal(random, 1, 1, 6, 4)
        b = normal(random, 4)
        one = convolution("SeparableConv2D", "c", 4, 3, depth_multiplier=2)
        x = normal(random, 5, 6, 5, 3)
        return (
            sequential([6, 5, 3], one), {"c": [depth, point, b]}, x,
            conv(depthwise(x, depth), point, b),
        )  # fmt: skip

    return make


for _backend in ("tensorflow", "theano"):  # Keras turned these kernels itself
    CASES[f"separable by {_backend}"] = (_separable(_backend), "2.1.6", {"backend": _backend})


@case("2.2.4", backend="theano")
def depthwise_convolution_by_theano(random):
    kernel, b = normal(random, 3, 3, 3, 2), normal(random, 6)
    given = {"kernel_size": [3, 3], "strides": [1, 1], "padding": "valid", "use_bias": True}
    given |= {"data_format": "channels_last", "dilation_rate": [1, 1], "activation": "linear"}
    given |= {"depth_multiplier": 2, **options("depthwise", "bias")}
    x = normal(random, 5, 6, 5, 3)
    one = layer("DepthwiseConv2D", "c", **given)
    return sequential([6, 5, 3], one), {"c": [kernel, b]}, x, depthwise(x, kernel) + b


@case("2.2.4")
def separable_convolution_1d(random):
    depth, point, b = normal(random, 3, 3, 2), normal(random, 1, 6, 4), normal(random, 4)
    one = convolution("SeparableConv1D", "c", 4, 3, depth_multiplier=2)
    x = normal(random, 5, 6, 3)
    y = np.einsum("blkc,kcm->blcm", windows(x, 3), depth).reshape(5, 4, 6)
    return sequential([6, 3], one), {"c": [depth, point, b]}, x, conv(y, point, b)


def _conv_lstm(backend):
    def make(random):
        stored = [normal(random, 2, 2, 3, 8), normal(random, 2, 2, 2, 8), normal(random, 8)]
        turn = slice(None, None, -1 if backend == "theano" else None)
        kernel, recurrent_kernel = (w[turn, turn] for w in stored[:2])
        one = convolution("ConvLSTM2D", "c", 2, 2)["config"]
        more = recurrent("LSTM", "c", 2, return_sequences=False)["config"]
        for name in ("units", "implementation", "unroll", "activity_regularizer"):
            del more[name]
        x = normal(random, 2, 3, 5, 4, 3)
        return (
            sequential([3, 5, 4, 3], layer("ConvLSTM2D", **{**one, **more})), {"c": stored}, x,
            conv_lstm(x, kernel, recurrent_kernel, stored[2]),
        )  # fmt: skip

    return make


for _backend in ("tensorflow", "theano"):
    CASES[f"conv lstm by {_backend}"] = (_conv_lstm(_backend), "2.0.6", {"backend": _backend})


@case("2.2.4")
def locally_connected_1d(random):
    kernel, b = normal(random, 3, 8, 2), normal(random, 3, 2)
    given = {"strides": [2], "implementation": 1}
    one = convolution("LocallyConnected1D", "c", 2, 2, **given)
    del one["config"]["dilation_rate"]
    x = normal(random, 5, 6, 4)
    y = np.einsum("blk,lkf->blf", windows(x, 2, 2).reshape(5, 3, 8), kernel) + b
    return sequential([6, 4], one), {"c": [kernel, b]}, x, y


# Shapes ------------------------------------------------------------------------------------------


@case("2.0.8")
def flattened_as_it_lies(random):
    """Until Keras 2.2, `Flatten` had no `data_format`."""
    w = normal(random, 24, 2)
    stack = layer("Flatten", "f"), dense("d", 2, use_bias=False)
    x = normal(random, 5, 2, 3, 4)
    return sequential([2, 3, 4], *stack), {"d": [w]}, x, x.reshape(5, -1) @ w


@case("2.2.4")
def flattened_with_channels_last(random):
    w = normal(random, 24, 2)
    stack = layer("Flatten", "f", data_format=FIRST), dense("d", 2, use_bias=False)
    x = normal(random, 5, 2, 3, 4)
    expected = np.moveaxis(x, 1, -1).reshape(5, -1) @ w
    return sequential([2, 3, 4], *stack), {"d": [w]}, x, expected


@case("2.1.3")
def pooled(random):
    given = {"pool_size": [2, 2], "strides": [2, 2], "padding": "valid", "data_format": FIRST}
    stack = (
        layer("ZeroPadding2D", "z", padding=[[1, 1], [0, 1]], data_format=FIRST),
        layer("MaxPooling2D", "a", **given),
        layer("AveragePooling2D", "b", **given),
        layer("UpSampling2D", "c", size=[2, 3], data_format=FIRST),
        layer("GlobalAveragePooling2D", "d", data_format=FIRST),
    )
    x = normal(random, 5, 3, 6, 7)
    y = np.pad(x, [(0, 0), (0, 0), (1, 1), (0, 1)]).reshape(5, 3, 4, 2, 4, 2).max((3, 5))
    return sequential([3, 6, 7], *stack), {}, x, y.mean((2, 3))


@case("2.1.3")
def pooled_1d(random):
    given = {"pool_size": [2], "strides": [2], "padding": "valid"}
    stack = (
        layer("ZeroPadding1D", "z", padding=[1, 2]),
        layer("Cropping1D", "c", cropping=[1, 0]),
        layer("UpSampling1D", "u", size=2),
        layer("MaxPooling1D", "a", **given),
        layer("AveragePooling1D", "b", **given),
        layer("GlobalMaxPooling1D", "d"),
    )
    x = normal(random, 5, 6, 4)
    y = np.pad(x, [(0, 0), (0, 2), (0, 0)]).reshape(5, 4, 2, 4).mean(2)
    return sequential([6, 4], *stack), {}, x, y.max(1)


@case("2.2.4")
def reshaped(random):
    stack = (
        layer("Permute", "a", dims=[3, 1, 2]),
        layer("Reshape", "b", target_shape=[-1, 6]),
        layer("Cropping1D", "c", cropping=[1, 1]),
        layer("Flatten", "d", data_format="channels_last"),
        layer("RepeatVector", "e", n=3),
    )
    x = normal(random, 5, 2, 3, 4)
    y = x.transpose(0, 3, 1, 2).reshape(5, 4, 6)[:, 1:3].reshape(5, 1, 12)
    return sequential([2, 3, 4], *stack), {}, x, y.repeat(3, 1)


# Recurrent layers --------------------------------------------------------------------------------


def _weights(random, gates, inputs=3, units=2):
    shapes = ((inputs, gates * units), (units, gates * units), (gates * units,))
    return [normal(random, *shape) for shape in shapes]


def _recurrent(kind, gates, reference, **more):
    def make(random):
        weights = _weights(random, gates)
        given = {key: value for key, value in more.items() if key != "by"}
        x = normal(random, 5, 4, 3)
        y = reference(x, *weights, **more.get("by", {}))
        return sequential([4, 3], recurrent(kind, "r", 2, **given)), {"r": weights}, x, y

    return make


for _implementation in (0, 1, 2):
    _more = {"implementation": _implementation, "input_dim": 3, "input_length": None}
    CASES[f"lstm, {_implementation}"] = (_recurrent("LSTM", 4, lstm, **_more), "2.0.4", {})
    CASES[f"gru, {_implementation}"] = (_recurrent("GRU", 3, gru, **_more), "2.0.4", {})
    CASES[f"rnn, {_implementation}"] = (_recurrent("SimpleRNN", 1, rnn, **_more), "2.0.4", {})
_backwards = {"go_backwards": True, "by": {"backwards": True, "gate": sigmoid}}
_backwards["recurrent_activation"] = "sigmoid"
CASES["gru backwards"] = (_recurrent("GRU", 3, gru, reset_after=False, **_backwards), "2.2.4", {})
CASES["lstm backwards"] = (_recurrent("LSTM", 4, lstm, **_backwards), "2.2.4", {})


@case("2.1.3", "2.2.4")
def gru_reset_after(random):
    kernel, recurrent_kernel, _ = _weights(random, 3)
    b = normal(random, 2, 6)
    x = normal(random, 5, 4, 3)
    return (
        sequential([4, 3], recurrent("GRU", "r", 2, reset_after=True)),
        {"r": [kernel, recurrent_kernel, b]}, x,
        gru(x, kernel, recurrent_kernel, b, reset_after=True),
    )  # fmt: skip


@case("2.1.6")
def lstm_of_cudnn(random):
    """cuDNN read each gate's kernel, as it lay in memory, as its transpose."""
    kernel, recurrent_kernel, _ = _weights(random, 4)
    b = normal(random, 16)
    given = {**options("kernel", "recurrent", "bias"), "units": 2, "unit_forget_bias": True}
    given |= {"return_sequences": True, "return_state": False, "go_backwards": False}
    one = layer("CuDNNLSTM", "r", stateful=False, **given)
    x = normal(random, 5, 4, 3)
    today = np.hstack([k.reshape(-1).reshape(2, 3).T for k in np.hsplit(kernel, 4)])
    again = np.hstack([k.T for k in np.hsplit(recurrent_kernel, 4)])
    y = lstm(x, today, again, b[:8] + b[8:], gate=sigmoid)
    return sequential([4, 3], one), {"r": [kernel, recurrent_kernel, b]}, x, y


@case("2.0.4", "2.2.4")
def bidirectional(random):
    ahead, back = _weights(random, 4), _weights(random, 4)
    inner = recurrent("LSTM", "r", 2)
    one = layer("Bidirectional", "b", merge_mode="concat", layer=inner)
    x = normal(random, 5, 4, 3)
    y = [lstm(x, *ahead), lstm(x, *back, backwards=True)[:, ::-1]]
    return sequential([4, 3], one), {"b": [*ahead, *back]}, x, np.concatenate(y, -1)


@case("2.1.6")
def masked(random):
    words, weights = normal(random, 6, 3), _weights(random, 4)
    given = {"input_dim": 6, "output_dim": 3, "mask_zero": True, "input_length": 4}
    start = {"class_name": "RandomUniform", "config": {"minval": -0.05, "maxval": 0.05}}
    given |= {"embeddings_initializer": start, "embeddings_regularizer": None}
    given |= {"embeddings_constraint": None, "activity_regularizer": None}
    last = recurrent("LSTM", "r", 2, return_sequences=False)
    x = np.array([[1, 2, 3, 4], [5, 0, 0, 0], [3, 0, 2, 0]], "int32")
    return (
        sequential([4], layer("Embedding", "e", **given), last), {"e": [words], "r": weights}, x,
        lstm(words[x], *weights, mask=x != 0)[:, -1],
    )  # fmt: skip


@case("2.1.6", backend="theano")
def convolution_at_each_step_by_theano(random):
    kernel, b = normal(random, 3, 3, 3, 2), normal(random, 2)
    inner = convolution("Conv2D", "c", 2, 3, data_format=FIRST)
    config = sequential([4, 3, 6, 5], layer("TimeDistributed", "t", layer=inner))
    x = normal(random, 2, 4, 6, 5, 3)
    y = conv(x.reshape(8, 6, 5, 3), kernel[::-1, ::-1], b).reshape(2, 4, 4, 3, 2)
    return config, {"t": [kernel, b]}, np.moveaxis(x, -1, 2), np.moveaxis(y, -1, 2)


def _cell(kind, units):
    inner = recurrent(kind, f"{kind}_{units}", units)["config"]
    for name in ("return_sequences", "return_state", "go_backwards", "stateful", "unroll",
                 "activity_regularizer"):  # fmt: skip
        del inner[name]
    return {"class_name": f"{kind}Cell", "config": inner}


def _stacked(**more):
    cells = {"class_name": "StackedRNNCells"}
    cells["config"] = {"cells": [_cell("LSTM", 2), _cell("LSTM", 3)]}
    given = {"return_sequences": True, "return_state": False, "go_backwards": False}
    return layer("RNN", "r", cell=cells, stateful=False, unroll=False, **{**given, **more})


@case("2.1.6", "2.2.4")
def stacked_cells(random):
    a, b = _weights(random, 4), _weights(random, 4, 2, 3)
    x = normal(random, 5, 4, 3)
    return sequential([4, 3], _stacked()), {"r": [*a, *b]}, x, lstm(lstm(x, *a), *b)


# Graphs ------------------------------------------------------------------------------------------


def _merging(kind, function, **given):
    def make(random):
        w, b = normal(random, 3, 4), normal(random, 4)
        layers = [
            input_layer("a", [4]),
            input_layer("b", [3]),
            node(dense("d", 4), [["b", 0, 0]]),
            node(layer(kind, "m", **given), [["a", 0, 0], ["d", 0, 0]]),
        ]
        x = [normal(random, 5, 4), normal(random, 5, 3)]
        config = functional(layers, ["a", "b"], [["m", 0, 0]])
        return config, {"d": [w, b]}, x, function(x[0], x[1] @ w + b)

    return make


def _joined(a, b):
    return np.concatenate([a, b], -1)


def _cosine(a, b):
    norms = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return ((a * b).sum(-1) / norms)[:, None]


for _kind, _function, _given in (
    ("Add", np.add, {}), ("Subtract", np.subtract, {}), ("Multiply", np.multiply, {}),
    ("Average", lambda a, b: (a + b) / 2, {}), ("Maximum", np.maximum, {}),
    ("Minimum", np.minimum, {}), ("Concatenate", _joined, {"axis": -1}),
    ("Dot", _cosine, {"axes": -1, "normalize": True}),
):  # fmt: skip
    CASES[_kind] = (_merging(_kind, _function, **_given), "2.2.0", {})
_raw = {"mode_type": "raw", "concat_axis": -1, "dot_axes": -1, "output_shape": None}
_raw |= {"output_shape_type": "raw", "output_mask": None, "output_mask_type": "raw"}
for _mode, _function in (("concat", _joined), ("ave", lambda a, b: (a + b) / 2)):
    _given = {**_raw, "arguments": {}, "mode": _mode}
    CASES[f"Merge {_mode}"] = (_merging("Merge", _function, **_given), "2.0.6", {})


def _old_dense(kind, name, **more):
    given = {"init": options("kernel")["kernel_initializer"], "bias": True, "input_dim": 3}
    for weight in "Wb":
        given |= {f"{weight}_regularizer": None, f"{weight}_constraint": None}
    return layer(kind, name, activity_regularizer=None, **given, **more)


@case("2.0.6", "2.2.4")
def layers_kept_from_keras_1(random):
    w, carry, b, carry_b = (normal(random, *shape) for shape in ((3, 3), (3, 3), (3,), (3,)))
    v, c = normal(random, 4, 3, 2), normal(random, 4, 2)
    stack = (
        _old_dense("Highway", "h", activation="relu"),
        _old_dense("MaxoutDense", "m", output_dim=2, nb_feature=4),
    )
    x = normal(random, 5, 3)
    gate = sigmoid(x @ carry + carry_b)
    y = gate * np.maximum(x @ w + b, 0) + (1 - gate) * x
    expected = np.max([y @ v[n] + c[n] for n in range(4)], 0)
    return sequential([3], *stack), {"h": [w, carry, b, carry_b], "m": [v, c]}, x, expected


@case("2.0.6")
def branches(random):
    a, c, d = normal(random, 3, 4), normal(random, 2, 4), normal(random, 8, 1)
    left = sequential([3], dense("l", 4, "tanh", use_bias=False))
    right = sequential([2], dense("r", 4, use_bias=False))
    merge = layer("Merge", "m", mode="concat", **_raw, arguments={}, layers=[left, right])
    config = {"class_name": "Sequential", "config": [merge, dense("o", 1, use_bias=False)]}
    x = [normal(random, 5, 3), normal(random, 5, 2)]
    joined = np.concatenate([np.tanh(x[0] @ a), x[1] @ c], -1)
    return config, {"l": [a], "r": [c], "o": [d]}, x, joined @ d


@case("2.0.4", "2.2.4")
def shared_layer_and_two_outputs(random):
    w, v = normal(random, 3, 4), normal(random, 8, 2)
    layers = [
        input_layer("a", [3]),
        input_layer("b", [3]),
        node(dense("d", 4, "tanh", use_bias=False), [["a", 0, 0]], [["b", 0, 0]]),
        node(layer("Concatenate", "m", axis=-1), [["d", 0, 0], ["d", 1, 0]]),
        node(dense("e", 2, "sigmoid", use_bias=False), [["m", 0, 0]]),
    ]
    x = [normal(random, 5, 3), normal(random, 5, 3)]
    config = functional(layers, ["a", "b"], [["e", 0, 0], ["d", 1, 0]])
    left, right = np.tanh(x[0] @ w), np.tanh(x[1] @ w)
    expected = [sigmoid(np.concatenate([left, right], -1) @ v), right]
    return config, {"d": [w], "e": [v]}, x, expected


def _inside(backend, as_sequential):
    """A model within a model, called twice; its kernels are stored with its trained weights."""

    def make(random):
        kernel, b, w = normal(random, 3, 3, 2, 2), normal(random, 2), normal(random, 8, 2)
        stack = (
            convolution("Conv2D", "c", 2, 3),
            layer("Flatten", "f"),
            dense("d", 2, use_bias=False),
        )
        if as_sequential:
            inner = {**sequential([4, 4, 2], *stack), "name": "s"}
        else:
            c, f, d = stack
            graph = [input_layer("i", [4, 4, 2]), node(c, [["i", 0, 0]])]
            graph += [node(f, [["c", 0, 0]]), node(d, [["f", 0, 0]])]
            inner = {**functional(graph, ["i"], [["d", 0, 0]], "s"), "name": "s"}
        layers = [
            input_layer("a", [4, 4, 2]),
            input_layer("b", [4, 4, 2]),
            node(inner, [["a", 0, 0]], [["b", 0, 0]]),
            node(layer("Subtract", "t"), [["s", 1, 0], ["s", 2, 0]]),
        ]
        x = [normal(random, 5, 4, 4, 2), normal(random, 5, 4, 4, 2)]
        turned = kernel[::-1, ::-1] if backend == "theano" else kernel
        ys = [conv(one, turned, b).reshape(5, 8) @ w for one in x]
        config = functional(layers, ["a", "b"], [["t", 0, 0]])
        return config, {"s": [kernel, b, w]}, x, ys[0] - ys[1]

    return make


for _backend in ("tensorflow", "theano"):
    for _is in (True, False):
        CASES[f"inside by {_backend}, {_is}"] = (
            _inside(_backend, _is),
            "2.1.6",
            {"backend": _backend},
        )


def _with_states(steps, states, kernel, recurrent_kernel, bias):
    h, c = states
    found = []
    for t in range(steps.shape[1]):
        i, f, g, o = np.split(steps[:, t] @ kernel + h @ recurrent_kernel + bias, 4, -1)
        c = hard_sigmoid(f) * c + hard_sigmoid(i) * np.tanh(g)
        h = hard_sigmoid(o) * np.tanh(c)
        found.append(h)
    return np.stack(found, 1), (h, c)


@case("2.0.6", "2.2.4")
def encoder_and_decoder(random):
    """A call with initial states is one with a list of inputs."""
    encoder, decoder = _weights(random, 4), _weights(random, 4)
    layers = [
        input_layer("a", [4, 3]),
        input_layer("b", [5, 3]),
        node(recurrent("LSTM", "e", 2, return_state=True), [["a", 0, 0]]),
        node(recurrent("LSTM", "d", 2), [["b", 0, 0], ["e", 0, 1], ["e", 0, 2]]),
    ]
    x = [normal(random, 2, 4, 3), normal(random, 2, 5, 3)]
    config = functional(layers, ["a", "b"], [["d", 0, 0]])
    _, states = _with_states(x[0], np.zeros((2, 2, 2)), *encoder)
    return config, {"e": encoder, "d": decoder}, x, _with_states(x[1], states, *decoder)[0]


@case("2.2.4")
def states_of_both_directions(random):
    ahead, back = _weights(random, 4), _weights(random, 4)
    inner = recurrent("LSTM", "r", 2)
    names = ["h", "c", "k", "d"]
    both = layer("Bidirectional", "b", merge_mode="concat", layer=inner)
    calls = [["a", 0, 0], *([name, 0, 0] for name in names)]
    layers = [input_layer("a", [4, 3]), *(input_layer(name, [2]) for name in names)]
    config = functional([*layers, node(both, calls)], ["a", *names], [["b", 0, 0]])
    x, *states = normal(random, 2, 4, 3), *(normal(random, 2, 2) for _ in names)
    first, _ = _with_states(x, states[:2], *ahead)
    second, _ = _with_states(x[:, ::-1], states[2:], *back)
    expected = np.concatenate([first, second[:, ::-1]], -1)
    return config, {"b": [*ahead, *back]}, [x, *states], expected


# What stands in a file besides weights -----------------------------------------------------------


def test_layers_of_one_dimension_do_not_follow_the_users_setting():
    before = keras.config.image_data_format()
    keras.config.set_image_data_format(FIRST)
    try:
        for name in ("pooled_1d of 2.1.3", "flattened_as_it_lies of 2.0.8"):
            test_computes_what_it_did(name)
    finally:
        keras.config.set_image_data_format(before)


def test_states_are_kept_and_reset():
    random = np.random.default_rng(1)
    weights, x = _weights(random, 4), normal(random, 2, 6, 3)
    one = recurrent("LSTM", "r", 2, stateful=True)
    model = load_model(h5(sequential([3, 3], one, batch=2), {"r": weights}, "2.1.6"))
    expected = lstm(x, *weights)
    for _ in range(2):
        parts = [np.asarray(model(part).detach()) for part in (x[:, :3], x[:, 3:])]
        np.testing.assert_allclose(np.concatenate(parts, 1), expected, rtol=1e-4, atol=1e-5)
        model.layers[-1].reset_state()


def test_states_of_stacked_cells_in_reverse_order_are_refused():
    config = functional(
        [input_layer("a", [4, 3]), node(_stacked(return_state=True), [["a", 0, 0]])],
        ["a"],
        [["r", 0, 1]],
    )
    with pytest.raises(FileFormatError, match="'r' takes or returns the states"):
        load_model(h5(config, {}, "2.2.2"))
    random = np.random.default_rng(1)
    a, b = _weights(random, 4), _weights(random, 4, 2, 3)
    model = load_model(h5(config, {"r": [*a, *b]}, "2.2.4"))
    x = normal(random, 5, 4, 3)
    last = lstm(x, *a)[:, -1]
    np.testing.assert_allclose(model.predict(x, verbose=0), last, rtol=1e-4, atol=1e-5)


def _lambda(function, kind):
    given = {"function": function, "function_type": kind, "output_shape": None}
    given |= {"output_shape_type": "raw", "arguments": {}}
    return sequential([3], layer("Lambda", "l", **given))


def test_code_runs_only_where_it_is_trusted():
    code = marshal.dumps((lambda x: 2 * x + 1).__code__)
    for text in (base64.b64encode(code).decode() + "\n", code.decode("raw_unicode_escape")):
        config = _lambda([text, None, None], "lambda")
        with pytest.raises(ValueError, match="safe_mode"):
            load_model(h5(config, {}, "2.0.6"))
        model = load_model(h5(config, {}, "2.0.6"), safe_mode=False)
        np.testing.assert_allclose(model.predict(np.ones((2, 3)), verbose=0), 3)
    named = h5(_lambda("double", "function"), {}, "2.2.4")
    model = load_model(named, custom_objects={"double": lambda x: 2 * x})
    np.testing.assert_allclose(model.predict(np.ones((2, 3)), verbose=0), 2)


def test_what_trains_otherwise_is_told_of():
    penalty = {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.01}}
    config = sequential([3], dense("d", 4, activity_regularizer=penalty))
    w, b = np.ones((3, 4)), np.ones(4)
    with pytest.warns(UserWarning, match="'d' .*activity_regularizer.* size of the batch"):
        load_model(h5(config, {"d": [w, b]}, "2.2.4"))
    one = convolution("Conv2D", "c", 4, 3, strides=[2, 2], padding="same")
    given = [np.ones((3, 3, 2, 4)), np.ones(4)]
    with pytest.warns(UserWarning, match=r"\['c'\] give other numbers at borders"):
        load_model(h5(sequential([8, 8, 2], one), {"c": given}, "2.1.6", backend="theano"))


# Training ----------------------------------------------------------------------------------------


def _compiled(config, weights, optimizer, state, version="2.1.6", **training):
    """A file with how the model was compiled, and slots under the names that TensorFlow gave."""
    buffer = h5(config, weights, version)
    given = {"loss": "mean_squared_error", "metrics": [], "sample_weight_mode": None}
    given |= {"loss_weights": None, "optimizer_config": optimizer, **training}
    with h5py.File(buffer, "r+") as file:
        file.attrs["training_config"] = json.dumps(given).encode()
        if state:
            group = file.create_group("optimizer_weights")
            names = [f"Variable_{i}:0" for i in range(len(state))]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, value in zip(names, state, strict=True):
                group.create_dataset(name, data=value)
    return load_model(io.BytesIO(buffer.getvalue()))


def _sgd(w, g, slots, t):
    rate = 0.1 / (1 + 0.5 * t)
    velocity = 0.9 * slots[0] - rate * g
    return w + 0.9 * velocity - rate * g, [velocity]


def _adam(w, g, slots, t):
    rate = 0.1 / (1 + 0.5 * t) * np.sqrt(1 - 0.99 ** (t + 1)) / (1 - 0.8 ** (t + 1))
    m, v = 0.8 * slots[0] + 0.2 * g, 0.99 * slots[1] + 0.01 * g**2
    return w - rate * m / (np.sqrt(v) + 1e-3), [m, v]


def _rmsprop(w, g, slots, t):
    mean = 0.8 * slots[0] + 0.2 * g**2
    return w - 0.1 / (1 + 0.5 * t) * g / (np.sqrt(mean) + 1e-3), [mean]


def _adagrad(w, g, slots, t):
    total = slots[0] + g**2
    return w - 0.1 / (1 + 0.5 * t) * g / (np.sqrt(total) + 1e-3), [total]


@pytest.mark.parametrize("version", ["2.0.5", "2.1.6"])
@pytest.mark.parametrize(
    ("kind", "given", "step", "slots", "counts"),
    [
        ("SGD", {"momentum": 0.9, "nesterov": True}, _sgd, 1, True),
        ("Adam", {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-3}, _adam, 2, True),
        ("RMSprop", {"rho": 0.8, "epsilon": 1e-3}, _rmsprop, 1, False),
        ("Adagrad", {"epsilon": 1e-3}, _adagrad, 1, False),
    ],
)
def test_training_goes_on(kind, given, step, slots, counts, version):
    """Two steps from slots of before; Keras sorted them by the names of weights until 2.0.5."""
    random = np.random.default_rng(1)
    w, v = normal(random, 3, 3), normal(random, 3, 3)
    config = sequential([3], dense("b", 3, use_bias=False), dense("a", 3, use_bias=False))
    state = [[np.abs(normal(random, 3, 3)) for _ in range(slots)] for _ in range(2)]
    order = (1, 0) if version == "2.0.5" else (0, 1)
    stored = [state[i][k] for k in range(slots) for i in order]
    t = 7 if counts else 0
    optimizer = {"class_name": kind, "config": {"lr": 0.1, "decay": 0.5, **given}}
    model = _compiled(
        config, {"b": [w], "a": [v]}, optimizer, [np.float32(t)] * counts + stored, version
    )
    x, y = normal(random, 4, 3), normal(random, 4, 3)
    for i in range(2):
        error = 2 * (x @ w @ v - y) / y.size
        loss = ((x @ w @ v - y) ** 2).mean()
        found = model.train_on_batch(x, y)
        np.testing.assert_allclose(found, loss, rtol=1e-4)
        gradients = x.T @ (error @ v.T), (x @ w).T @ error
        w, state[0] = step(w, gradients[0], state[0], t + i)
        v, state[1] = step(v, gradients[1], state[1], t + i)
    for ours, theirs in zip(model.get_weights(), (w, v), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


_TWO = functional(
    [
        input_layer("i", [3]),
        node(dense("a", 2, use_bias=False), [["i", 0, 0]]),
        node(dense("b", 2, use_bias=False), [["i", 0, 0]]),
    ],
    ["i"],
    [["a", 0, 0], ["b", 0, 0]],
)
_PLAIN = {"class_name": "SGD", "config": {"lr": 0.1, "momentum": 0.0, "decay": 0.0}}


@pytest.mark.parametrize("loss", ["mse", ["mse", "mae"], {"a": "mse", "b": "mae"}])
@pytest.mark.parametrize("loss_weights", [None, [1.0, 0.5], {"a": 1.0, "b": 0.5}])
def test_losses_and_metrics_of_two_outputs(loss, loss_weights):
    """Metrics in a plain list are metrics of each output."""
    random = np.random.default_rng(1)
    w, v, x = normal(random, 3, 2), normal(random, 3, 2), normal(random, 4, 3)
    y = [normal(random, 4, 2), normal(random, 4, 2)]
    model = _compiled(
        _TWO, {"a": [w], "b": [v]}, {**_PLAIN, "config": {**_PLAIN["config"], "nesterov": False}},
        [], loss=loss, loss_weights=loss_weights, metrics=["mae", "mse"], sample_weight_mode=None,
    )  # fmt: skip
    logs = model.train_on_batch(x, y, return_dict=True)
    first, second = x @ w - y[0], x @ v - y[1]
    b_loss = (second**2).mean() if loss == "mse" else np.abs(second).mean()
    weight = 1 if loss_weights is None else 0.5
    expected = {
        "loss": (first**2).mean() + weight * b_loss,
        "a_loss": (first**2).mean(),
        "b_loss": b_loss,
        "a_mae": np.abs(first).mean(),
        "a_mse": (first**2).mean(),
        "b_mae": np.abs(second).mean(),
        "b_mse": (second**2).mean(),
    }
    assert logs.keys() == expected.keys()
    np.testing.assert_allclose([logs[key] for key in expected], list(expected.values()), rtol=1e-5)


@pytest.mark.parametrize(("version", "sign"), [("2.2.4", -1), ("2.3.1", 1), ("2.4.0", 1)])
def test_the_cosine_has_the_sign_of_then(version, sign):
    config, x = sequential([3], dense("d", 3, use_bias=False)), np.ones((2, 3), "float32")
    given = {"loss": "cosine_proximity", "metrics": ["cosine_proximity"]}
    model = _compiled(config, {"d": [np.eye(3)]}, _PLAIN, [], version, **given)
    found = model.evaluate(x, x, verbose=0, return_dict=True)
    np.testing.assert_allclose([found["loss"], found["cosine_proximity"]], [-1, sign], rtol=1e-5)


def test_the_cosine_that_was_a_mean_is_told_of():
    config = sequential([3], dense("d", 3, use_bias=False))
    with pytest.warns(UserWarning, match="'cosine_proximity', which was the mean"):
        _compiled(config, {"d": [np.eye(3)]}, _PLAIN, [], "2.0.8", loss="cosine_proximity")


def test_weights_of_steps_need_no_mode():
    random = np.random.default_rng(1)
    w, x = normal(random, 3, 2), normal(random, 4, 5, 3)
    y, weights = normal(random, 4, 5, 2), random.uniform(size=(4, 5)).astype("float32")
    config = sequential([5, 3], layer("TimeDistributed", "t", layer=dense("d", 2, use_bias=False)))
    given = {"sample_weight_mode": "temporal", "metrics": None}
    model = _compiled(config, {"t": [w]}, _PLAIN, [], **given)
    expected = (((x @ w - y) ** 2).mean(-1) * weights).mean()
    found = model.train_on_batch(x, y, sample_weight=weights)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
