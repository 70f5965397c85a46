"""`K.*`, the functions of Keras 2's backend, against `tf.keras.backend` on the real TensorFlow.

Keras keeps these functions for its TensorFlow backend only, so its results come from a process of
their own: this file, run as a program. Without TensorFlow the comparison is left out;
`tests/legacy/test_backend.py` has results that are known beforehand.
"""

import importlib.util
import inspect
import os
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest

rng = np.random.default_rng(0)
X = rng.normal(size=(3, 4)).astype("float32")
Y = rng.normal(size=(3, 4)).astype("float32")
B3 = rng.normal(size=(3, 4, 5)).astype("float32")
C3 = rng.normal(size=(3, 5, 2)).astype("float32")
P = np.exp(X) / np.exp(X).sum(-1, keepdims=True)
T = np.eye(4, dtype="float32")[[0, 2, 3]]
IMAGE = rng.normal(size=(2, 6, 6, 3)).astype("float32")
KERNEL = rng.normal(size=(3, 3, 3, 2)).astype("float32")
STEPS = rng.dirichlet(np.ones(5), size=(3, 8)).astype("float32")
LABELS = np.array([[0, 1, 1], [2, 3, 0], [1, 0, 0]], dtype="int32")

VOLUME = rng.normal(size=(2, 3, 4, 3, 2)).astype("float32")
KERNEL1 = rng.normal(size=(3, 5, 2)).astype("float32")
KERNEL3 = rng.normal(size=(2, 2, 2, 2, 3)).astype("float32")
MASK = np.array([[1, 1, 0, 1], [0, 1, 1, 0], [1, 0, 0, 0]], dtype=bool)


def step(x, states):
    """A step of `K.rnn`; whatever comes after the state is a constant."""
    total = states[0] + x[:, :1] * (1 if len(states) == 1 else states[1])
    return total * x, [total]


# Options of `K.rnn`.
RNN = [
    {},
    {"go_backwards": lambda c: True, "constants": lambda c: [2.0]},
    {"mask": lambda c: c(MASK)},
    {"mask": lambda c: c(MASK), "go_backwards": lambda c: True, "unroll": lambda c: True},
    {"mask": lambda c: c(MASK), "zero_output_for_mask": lambda c: True},
    {"return_all_outputs": lambda c: False},
    {"input_length": lambda c: c(np.array([4, 2, 3], "int32"))},
]

# Functions of `K` and of the library's `constant`.
CASES = {
    "abs": lambda K, c: K.abs(c(X)),
    "all": lambda K, c: K.all(K.greater(c(X), -1.0), axis=1),
    "any": lambda K, c: K.any(K.less(c(X), -1.0), axis=0, keepdims=True),
    "arange": lambda K, c: K.arange(2, 9, 3),
    "argmax": lambda K, c: K.argmax(c(X)),
    "argmin": lambda K, c: K.argmin(c(X), axis=0),
    "batch_dot_matrices": lambda K, c: K.batch_dot(c(X), c(Y), axes=1),
    "batch_dot_default": lambda K, c: K.batch_dot(c(B3), c(C3)),
    "batch_dot_axes": lambda K, c: K.batch_dot(c(B3), c(C3), axes=(2, 1)),
    "batch_dot_mixed": lambda K, c: K.batch_dot(c(B3), c(X), axes=1),
    "batch_flatten": lambda K, c: K.batch_flatten(c(B3)),
    "batch_normalization": lambda K, c: K.batch_normalization(
        c(X), c(X[0]), c(P[0]), c(Y[0]), c(Y[1])
    ),
    "bias_add": lambda K, c: K.bias_add(c(IMAGE), c(X[0, :3])),
    "binary_focal": lambda K, c: K.binary_focal_crossentropy(c(T), c(P), True),
    "binary_focal_logits": lambda K, c: K.binary_focal_crossentropy(
        c(T), c(X), gamma=1.0, from_logits=True
    ),
    "categorical_focal": lambda K, c: K.categorical_focal_crossentropy(c(T), c(P)),
    "categorical_focal_logits": lambda K, c: K.categorical_focal_crossentropy(
        c(T), c(X), 0.5, 1.0, True, 0
    ),
    "binary_crossentropy": lambda K, c: K.binary_crossentropy(c(T), c(P)),
    "binary_crossentropy_logits": lambda K, c: K.binary_crossentropy(c(T), c(X), True),
    "cast": lambda K, c: K.cast(K.greater(c(X), 0.0), "float32"),
    "cast_to_floatx": lambda K, c: K.cast_to_floatx(np.arange(3)),
    "categorical_crossentropy": lambda K, c: K.categorical_crossentropy(c(T), c(P)),
    "categorical_crossentropy_logits": lambda K, c: K.categorical_crossentropy(c(T), c(X), True),
    "clip": lambda K, c: K.clip(c(X), -0.5, 0.5),
    "clip_crossed": lambda K, c: K.clip(c(X), 0.5, -0.5),
    "concatenate": lambda K, c: K.concatenate([c(X), c(Y)]),
    "conv1d": lambda K, c: K.conv1d(c(B3), c(KERNEL1), padding="causal", dilation_rate=2),
    "conv1d_same": lambda K, c: K.conv1d(c(B3), c(KERNEL1), strides=2, padding="same"),
    "conv2d": lambda K, c: K.conv2d(c(IMAGE), c(KERNEL), strides=(2, 2), padding="same"),
    "conv3d": lambda K, c: K.conv3d(c(VOLUME), c(KERNEL3), padding="same"),
    **{
        f"conv2d_transpose_{padding}_{size}": lambda K, c, padding=padding, size=size: (
            K.conv2d_transpose(c(IMAGE[..., :2]), c(KERNEL), (2, size, size, 3), (2, 2), padding)
        )
        for padding, size in (("same", 11), ("same", 12), ("valid", 13), ("valid", 14))
    },
    "conv2d_transpose_dilated": lambda K, c: K.conv2d_transpose(
        c(IMAGE[..., :2]), c(KERNEL), (2, 6, 6, 3), padding="same", dilation_rate=(2, 2)
    ),
    "cos": lambda K, c: K.cos(c(X)),
    "count_params": lambda K, c: K.count_params(K.zeros((3, 4))),
    "ctc_batch_cost": lambda K, c: K.ctc_batch_cost(
        c(LABELS), c(STEPS), c(np.array([[8], [7], [5]])), c(np.array([[3], [2], [1]]))
    ),
    "ctc_decode": lambda K, c: K.ctc_decode(c(STEPS), c(np.array([8, 7, 5])))[0][0],
    "ctc_decode_score": lambda K, c: K.ctc_decode(c(STEPS), c(np.array([8, 7, 5])))[1],
    "ctc_label_dense_to_sparse": lambda K, c: K.eval(
        K.ctc_label_dense_to_sparse(c(LABELS + 1), c(np.array([3, 1, 2], "int32")))
    ),
    "cumprod": lambda K, c: K.cumprod(c(X), axis=1),
    "cumsum": lambda K, c: K.cumsum(c(X)),
    "depthwise_conv2d": lambda K, c: K.depthwise_conv2d(c(IMAGE), c(KERNEL)),
    "dot": lambda K, c: K.dot(c(X), K.transpose(c(Y))),
    "dot_many": lambda K, c: K.dot(c(X), K.permute_dimensions(c(B3), (0, 1, 2))),
    "dtype": lambda K, c: K.dtype(c(X)),
    "elu": lambda K, c: K.elu(c(X), 0.5),
    "equal": lambda K, c: K.equal(c(LABELS), 1),
    "exp": lambda K, c: K.exp(c(X)),
    "expand_dims": lambda K, c: K.expand_dims(c(X)),
    "eye": lambda K, c: K.get_value(K.eye(3)),
    "flatten": lambda K, c: K.flatten(c(B3)),
    "foldl": lambda K, c: K.foldl(lambda a, b: 2 * a - b, c(X)),
    "foldr": lambda K, c: K.foldr(lambda a, b: 2 * a - b, c(X)),
    "gather": lambda K, c: K.gather(c(X), c(np.array([2, 0, 0]))),
    "greater_equal": lambda K, c: K.greater_equal(c(X), c(Y)),
    "hard_sigmoid": lambda K, c: K.hard_sigmoid(3 * c(X)),
    "is_sparse": lambda K, c: K.is_sparse(c(X)),
    "in_top_k": lambda K, c: K.in_top_k(c(P), c(np.array([0, 1, 2])), 2),
    "int_shape": lambda K, c: K.int_shape(c(B3)),
    "l2_normalize": lambda K, c: K.l2_normalize(c(X), axis=1),
    "switch_planes": lambda K, c: K.switch(K.greater(c(B3[..., 0]), 0.0), c(B3), c(-B3)),
    "l2_normalize_all": lambda K, c: K.l2_normalize(c(X)),
    "less_equal": lambda K, c: K.less_equal(c(X), c(Y)),
    "log": lambda K, c: K.log(c(P)),
    "map_fn": lambda K, c: K.map_fn(lambda row: K.sum(row) * row, c(X)),
    "max": lambda K, c: K.max(c(X), axis=-1, keepdims=True),
    "maximum": lambda K, c: K.maximum(c(X), c(Y)),
    "mean": lambda K, c: K.mean(c(B3), axis=[1, 2]),
    "mean_of_truth": lambda K, c: K.mean(K.greater(c(X), 0.0)),
    "min": lambda K, c: K.min(c(X)),
    "minimum": lambda K, c: K.minimum(c(X), 0.1),
    "ndim": lambda K, c: K.ndim(c(B3)),
    "not_equal": lambda K, c: K.not_equal(c(LABELS), 1),
    "one_hot": lambda K, c: K.one_hot(c(LABELS), 4),
    "ones_like": lambda K, c: K.ones_like(c(X)),
    "permute_dimensions": lambda K, c: K.permute_dimensions(c(B3), (2, 0, 1)),
    "pool2d": lambda K, c: K.pool2d(c(IMAGE), (2, 2), strides=(2, 2)),
    "pool2d_avg": lambda K, c: K.pool2d(c(IMAGE), (2, 2), padding="same", pool_mode="avg"),
    "pool3d": lambda K, c: K.pool3d(c(VOLUME), (2, 2, 2), pool_mode="avg"),
    "pow": lambda K, c: K.pow(c(X), 2),
    "prod": lambda K, c: K.prod(c(X), axis=0),
    "relu": lambda K, c: K.relu(c(X)),
    "relu_all": lambda K, c: K.relu(c(X), alpha=0.1, max_value=0.9, threshold=0.3),
    "relu_leaky": lambda K, c: K.relu(c(X), alpha=0.2),
    "repeat": lambda K, c: K.repeat(c(X), 3),
    "repeat_elements": lambda K, c: K.repeat_elements(c(X), 2, axis=1),
    "reshape": lambda K, c: K.reshape(c(X), (2, -1)),
    "resize_images": lambda K, c: K.resize_images(c(IMAGE), 2, 3, "channels_last"),
    "resize_volumes": lambda K, c: K.resize_volumes(c(VOLUME), 2, 1, 3, "channels_first"),
    **{
        f"rnn_{i}": lambda K, c, options=options: [
            part
            for result in K.rnn(step, c(B3), [c(X[:, :1])], **{k: v(c) for k, v in options.items()})
            for part in (result if isinstance(result, (list, tuple)) else [result])
        ]
        for i, options in enumerate(RNN)
    },
    "rnn_time_major": lambda K, c: K.rnn(step, c(B3), [c(X[:1].T)], time_major=True)[1],
    "separable_conv2d": lambda K, c: K.separable_conv2d(
        c(IMAGE), c(KERNEL), c(np.ones((1, 1, 6, 2), "float32")), padding="same"
    ),
    "shape": lambda K, c: [int(size) for size in K.shape(c(B3))],
    "reverse": lambda K, c: K.reverse(c(B3), axes=1),
    "round": lambda K, c: K.round(2.5 * c(X)),
    "sigmoid": lambda K, c: K.sigmoid(c(X)),
    "sign": lambda K, c: K.sign(c(X)),
    "sin": lambda K, c: K.sin(c(X)),
    "softmax": lambda K, c: K.softmax(c(X)),
    "softplus": lambda K, c: K.softplus(c(X)),
    "softsign": lambda K, c: K.softsign(c(X)),
    "sparse_categorical_crossentropy": lambda K, c: K.sparse_categorical_crossentropy(
        c(np.array([0, 3, 1])), c(P)
    ),
    "sparse_categorical_crossentropy_ignored": lambda K, c: K.sparse_categorical_crossentropy(
        c(np.array([0, 3, 1])), c(P), ignore_class=3
    ),
    "spatial_2d_padding": lambda K, c: K.spatial_2d_padding(c(IMAGE), ((1, 2), (0, 3))),
    "spatial_3d_padding": lambda K, c: K.spatial_3d_padding(c(VOLUME), ((1, 0), (0, 2), (1, 1))),
    "sqrt": lambda K, c: K.sqrt(c(X)),
    "square": lambda K, c: K.square(c(X)),
    "squeeze": lambda K, c: K.squeeze(K.expand_dims(c(X), 1), 1),
    "stack": lambda K, c: K.stack([c(X), c(Y)]),
    "std": lambda K, c: K.std(c(X), axis=0),
    "stop_gradient": lambda K, c: K.stop_gradient(c(X)),
    "sum": lambda K, c: K.sum(c(X), axis=-1),
    "switch": lambda K, c: K.switch(K.greater(c(X), 0.0), c(X), c(Y)),
    "switch_one": lambda K, c: K.switch(K.greater(c(X)[0, 0], 0.0), lambda: c(X), c(Y)),
    "tanh": lambda K, c: K.tanh(c(X)),
    "temporal_padding": lambda K, c: K.temporal_padding(c(B3), (2, 1)),
    "tile": lambda K, c: K.tile(c(X), (2, 1)),
    "to_dense": lambda K, c: K.to_dense(c(X)),
    "transpose": lambda K, c: K.transpose(c(X)),
    "update": lambda K, c: K.get_value(K.update(K.variable(X), Y)),
    "update_add": lambda K, c: K.get_value(K.update_add(K.variable(X), Y)),
    "update_sub": lambda K, c: K.get_value(K.update_sub(K.ones((3, 4)), Y)),
    "moving_average": lambda K, c: K.get_value(K.moving_average_update(K.variable(X), Y, 0.9)),
    "var": lambda K, c: K.var(c(X)),
    "zeros_like": lambda K, c: K.zeros_like(c(X)),
    "batch_get_value": lambda K, c: K.batch_get_value([K.zeros((2,)), K.ones((2,))]),
    "constant": lambda K, c: K.constant(2.0, shape=(2, 3)),
}


# Draws have other numbers; `tests/legacy` has their properties, and what returns nothing.
NO_CASE = {"batch_set_value", "set_value", "gradients", "name_scope", "truncated_normal", "dropout"}
NO_CASE |= {"random_bernoulli", "random_normal", "random_uniform"}
NO_CASE |= {"random_normal_variable", "random_uniform_variable"}


def plain(x):
    if isinstance(x, (tuple, list)):
        return type(x)(plain(item) for item in x)
    return x if isinstance(x, (int, str)) else np.asarray(x)


if __name__ == "__main__":
    os.environ.update(KERAS_BACKEND="tensorflow", CUDA_VISIBLE_DEVICES="")
    import tensorflow as tf
    from keras._tf_keras.keras import backend as K

    results = {name: plain(case(K, tf.constant)) for name, case in CASES.items()}
    with open(sys.argv[1], "wb") as file:
        pickle.dump(results, file)
    sys.exit()


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip("TensorFlow is not installed")
    path = tmp_path_factory.mktemp("backend") / "results"
    done = subprocess.run([sys.executable, __file__, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return pickle.loads(path.read_bytes())


@pytest.mark.parametrize("name", CASES)
def test_same_as_on_tensorflow(name, theirs):
    import torch

    from torchkeras import backend as K

    ours, expected = plain(CASES[name](K, torch.tensor)), theirs[name]
    if isinstance(expected, (tuple, int, str)):
        assert ours == expected
        return
    if isinstance(expected, list):
        for x, y in zip(ours, expected, strict=True):
            np.testing.assert_allclose(x, y, rtol=2e-5, atol=1e-6)
        return
    assert np.shape(ours) == np.shape(expected)
    np.testing.assert_allclose(ours, expected, rtol=2e-5, atol=1e-6)
    if isinstance(expected, np.ndarray):
        assert ours.dtype.kind == expected.dtype.kind


def test_every_function_has_a_case():
    import keras.src.legacy.backend as theirs

    from torchkeras.legacy import backend

    functions = {
        name
        for name, value in vars(theirs).items()
        if inspect.isfunction(value) and value.__module__ == theirs.__name__ and name[0] != "_"
    }
    assert set(backend.__all__) == functions
    used = set(re.findall(r"\bK\.(\w+)", inspect.getsource(sys.modules[__name__])))
    assert functions - used == NO_CASE
