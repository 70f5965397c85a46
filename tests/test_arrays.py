"""NumPy arrays that torch itself refuses, or warns of, at every place that takes arrays."""

import numpy as np
import pytest

from torchkeras import Input, Model, Variable, layers, losses, metrics, ops

PLAIN = np.arange(12, dtype="float32").reshape(3, 4) / 7


def frozen(x):
    x = x.copy()
    x.setflags(write=False)
    return x


KINDS = {
    "flipped": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "big-endian": lambda x: x.astype(">f4"),
    "read-only": frozen,
    "transposed": lambda x: x.T.copy().T,
}


def read(x):
    return ops.convert_to_numpy(x)


def assigned(x):
    variable = Variable(np.zeros((3, 4)))
    variable.assign(x)
    return variable


def with_weights(x):
    layer = layers.Dense(4)
    layer.build((None, 3))
    layer.set_weights([x, x[0]])
    return layer(np.eye(3, dtype="float32"))


def adapted(x):
    layer = layers.Normalization()
    layer.adapt(x)
    return layer(x)


def given_statistics(x):
    return layers.Normalization(mean=x[0], variance=x[1])(PLAIN)


def in_a_graph(x):
    inputs = Input((4,))
    return Model(inputs, inputs * x + ops.sum(x))(PLAIN)


PLACES = {
    "op": ops.square,
    "layer": lambda x: layers.Rescaling(2.0)(x),
    "loss": lambda x: losses.mean_squared_error(x, PLAIN * 2),
    "loss object": lambda x: losses.Huber()(PLAIN * 2, x),
    "metric": lambda x: metrics.MeanSquaredError()(x, PLAIN * 2, sample_weight=x[:, 0]),
    "variable": Variable,
    "assign": assigned,
    "set_weights": with_weights,
    "adapt": adapted,
    "mean and variance": given_statistics,
    "constant of a graph": in_a_graph,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", PLACES)
def test_it_is_read_as_a_plain_array_is(place, kind):
    array = KINDS[kind](PLAIN)
    np.testing.assert_array_equal(array, PLAIN)
    actual, expected = PLACES[place](array), PLACES[place](PLAIN)
    np.testing.assert_array_equal(read(actual), read(expected))
