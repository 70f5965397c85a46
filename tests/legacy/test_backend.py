"""`K.*`, the functions of Keras 2's backend: results known beforehand, models, errors."""

import numpy as np
import pytest
import torch

import torchkeras
from torchkeras import backend as K
from torchkeras import layers as L
from torchkeras.legacy import backend as legacy

X = torch.tensor([[1.0, -2.0, 3.0], [0.5, 0.0, -1.0]])


@pytest.mark.parametrize("name", legacy.__all__)
def test_each_name_is_found_in_keras_backend(name):
    assert getattr(K, name) is getattr(legacy, name)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (lambda: K.argmax(X), [2, 0]),
        (lambda: K.clip(X, -1, 1), [[1, -1, 1], [0.5, 0, -1]]),
        (lambda: K.hard_sigmoid(X), [[0.7, 0.1, 1], [0.6, 0.5, 0.3]]),
        (lambda: K.relu(X, alpha=0.5, max_value=2.0), [[1, -1, 2], [0.5, 0, -0.5]]),
        (lambda: K.repeat(X[:1], 2), [[[1, -2, 3], [1, -2, 3]]]),
        (lambda: K.sqrt(torch.tensor([-1.0, 4.0])), [0, 2]),
        (lambda: K.batch_dot(X, X, axes=1), [[14], [1.25]]),
        (lambda: K.batch_dot(X[:, :, None], X[:, None]).shape, [2, 3, 3]),
        (lambda: K.l2_normalize(torch.tensor([3.0, 4.0])), [0.6, 0.8]),
        (lambda: K.switch(torch.tensor([True, False]), X, -X), [[1, -2, 3], [-0.5, 0, 1]]),
        (lambda: K.in_top_k(X, torch.tensor([0, 2]), 2), [True, False]),
        (lambda: K.bias_add(X[:, :, None], torch.ones(3), "channels_first")[0, :, 0], [2, -1, 4]),
        (lambda: K.random_bernoulli((3,), p=1.0), [1, 1, 1]),
        (lambda: K.dropout(torch.ones(3), 0.0), [1, 1, 1]),
        (lambda: K.random_normal((2, 5)).shape, [2, 5]),
        (lambda: K.random_uniform((2,), 3.0, 3.0), [3, 3]),
        (lambda: K.truncated_normal((4,), stddev=0.0), [0, 0, 0, 0]),
        (lambda: K.eval(K.random_normal_variable((2,), 1.0, 0.0, name="v")), [1, 1]),
        (lambda: K.eval(K.random_uniform_variable((2,), 3.0, 3.0)), [3, 3]),
        (lambda: K.to_dense(torch.eye(2).to_sparse()), [[1, 0], [0, 1]]),
        (lambda: K.eval(K.eye((2, 3))), [[1, 0, 0], [0, 1, 0]]),
    ],
)
def test_results(result, expected):
    np.testing.assert_allclose(np.asarray(result()), expected, rtol=1e-6)


def test_values_of_variables():
    v = K.variable([1.0, 2.0], name="v", constraint=abs)
    assert (v.name, v.constraint, v.dtype) == ("v", abs, torch.float32)
    K.set_value(v, [3.0, 4.0])
    assert K.get_value(v).tolist() == [3.0, 4.0]
    K.batch_set_value([(v, [5.0, 6.0])])
    assert K.update_sub(v, 1.0) is v
    assert K.batch_get_value([v, 7])[0].tolist() == [4.0, 5.0]
    K.moving_average_update(v, np.zeros(2), 0.5)
    assert K.eval(v).tolist() == [2.0, 2.5]
    optimizer = torchkeras.optimizers.SGD(0.5)
    K.set_value(optimizer.learning_rate, 0.25)
    assert K.get_value(optimizer.learning_rate) == 0.25


def test_losses_and_layers_of_older_scripts():
    def r_squared(y_true, y_pred):
        residual = K.sum(K.square(y_true - y_pred))
        total = K.sum(K.square(y_true - K.mean(y_true)))
        return 1 - residual / (total + K.epsilon())

    inputs = L.Input((4,))
    h = L.Lambda(lambda x: K.l2_normalize(x, axis=-1))(inputs)
    h = L.Lambda(lambda x: K.concatenate([x, K.expand_dims(K.sum(x, axis=1))]))(h)
    model = torchkeras.Model(inputs, L.Dense(1)(h))
    assert model.layers[-2].output.shape == (None, 5)
    model.compile("sgd", lambda t, p: K.mean(K.abs(t - p), axis=-1), metrics=[r_squared])
    x = np.random.default_rng(0).normal(size=(16, 4))
    history = model.fit(x, x.sum(1), epochs=2, verbose=0).history
    assert history["loss"][1] < history["loss"][0] and "r_squared" in history


def test_symbolic_shapes():
    x = L.Input((6, 3))
    assert K.batch_flatten(x).shape == (None, 18)
    assert K.permute_dimensions(x, (0, 2, 1)).shape == (None, 3, 6)
    assert K.batch_dot(x, x, axes=2).shape == (None, 6, 6)
    assert K.temporal_padding(x, (2, 3)).shape == (None, 11, 3)
    assert K.int_shape(x) == (None, 6, 3) and K.ndim(x) == 3
    assert K.resize_images(L.Input((4, 5, 1)), 2, 3, "channels_last").shape == (None, 8, 15, 1)
    assert K.spatial_2d_padding(L.Input((1, 4, 5)), data_format="channels_first").shape[2:] == (
        6,
        7,
    )


def test_loops_and_ctc_take_numpy_arrays():
    x, zeros = np.array([[[1.0], [2.0], [3.0]]]), np.zeros((1, 1))

    def step(inputs, states):
        return inputs + states[0], [inputs + states[0]]

    assert K.rnn(step, x, [zeros])[1].tolist() == [[[1.0], [3.0], [6.0]]]
    masked = K.rnn(step, x, [zeros], mask=np.array([[True, False, True]]))
    assert masked[0].tolist() == [[4.0]]
    assert K.rnn(step, x, [zeros], input_length=np.array([2]))[0].tolist() == [[3.0]]
    assert isinstance(K.foldl(lambda a, b: a + b, x[0]), torch.Tensor)
    assert isinstance(K.bias_add(x, np.ones(1)), torch.Tensor)
    cost = K.ctc_batch_cost(
        np.array([[0, 1]]), np.full((1, 4, 3), 1 / 3), np.array([[4]]), np.array([[2]])
    )
    assert cost.shape == (1, 1)


def test_ctc_cost_falls_as_the_labels_become_likely():
    labels, lengths = np.array([[0, 1]]), (np.array([[4]]), np.array([[2]]))
    probabilities = torch.full((1, 4, 3), 0.05)
    for step, label in enumerate([0, 2, 1, 2]):
        probabilities[0, step, label] = 0.9
    good = K.ctc_batch_cost(labels, probabilities, *lengths)
    poor = K.ctc_batch_cost(labels, torch.full((1, 4, 3), 1 / 3), *lengths)
    assert good.shape == (1, 1) and float(good) < 0.5 < float(poor)
    assert K.ctc_decode(probabilities, np.array([4]))[0][0].tolist() == [[0, 1, -1, -1]]


@pytest.mark.parametrize(
    ("action", "error", "words"),
    [
        (lambda: K.gradients(X, [X]), NotImplementedError, "torch.autograd.grad"),
        (lambda: K.repeat(X[0], 2), ValueError, "rank 2"),
        (lambda: K.batch_dot(X, X, axes=0), ValueError, "batch axis"),
        (lambda: K.switch(X > 0, X[0], X[1]), ValueError, "more axes"),
        (lambda: K.pool2d(X, 2, pool_mode="sum"), ValueError, "pool_mode"),
    ],
)
def test_errors(action, error, words):
    with pytest.raises(error, match=words):
        action()
