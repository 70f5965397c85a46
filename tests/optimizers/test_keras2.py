"""The rules of Keras 2's `RMSprop`, `Adagrad` and `Nadam`, by their formulas in NumPy."""

import numpy as np
import pytest
import torch

from torchkeras import optimizers
from torchkeras.optimizers import keras2
from torchkeras.registry import deserialize_keras_object, serialize_keras_object

GRADIENTS = np.random.default_rng(0).normal(0, 1e-3, (6, 3))
RATE = 0.125  # exact in float32
EPSILON = 1e-3  # as large as the gradients, so that its place counts


def run(optimizer):
    w = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    for gradient in GRADIENTS:
        optimizer.apply([torch.tensor(gradient)], [w])
    return w.detach().numpy()


def rmsprop(centered):
    w, v, m = np.ones(3), np.zeros(3), np.zeros(3)
    for g in GRADIENTS:
        v, m = 0.9 * v + 0.1 * g**2, 0.9 * m + 0.1 * g
        w = w - RATE * g / (np.sqrt(v - m**2 if centered else v) + EPSILON)
    return w


def adagrad():
    w, n = np.ones(3), np.full(3, 0.1)
    for g in GRADIENTS:
        n = n + g**2
        w = w - RATE * g / (np.sqrt(n) + EPSILON)
    return w


def nadam(growth):
    w, m, v, product = np.ones(3), np.zeros(3), np.zeros(3), 1.0
    for t, g in enumerate(GRADIENTS, 1):
        now, following = (0.9 * (1 - 0.5 * 0.96 ** (growth * i)) for i in (t, t + 1))
        product *= now
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        mean = (1 - now) * g / (1 - product) + following * m / (1 - product * following)
        w = w - RATE * mean / (np.sqrt(v / (1 - 0.999**t)) + EPSILON)
    return w


@pytest.mark.parametrize(
    ("optimizer", "expected", "today"),
    [
        (keras2.RMSprop, rmsprop(False), optimizers.RMSprop),
        (keras2.Adagrad, adagrad(), optimizers.Adagrad),
        (keras2.Nadam, nadam(0.004), optimizers.Nadam),
    ],
)
def test_rules(optimizer, expected, today):
    np.testing.assert_allclose(run(optimizer(RATE, epsilon=EPSILON)), expected, rtol=1e-9)
    assert np.abs(run(today(RATE, epsilon=EPSILON)) - expected).max() > 1e-6
    config = serialize_keras_object(optimizer(RATE, epsilon=EPSILON))
    copy = deserialize_keras_object(config)
    assert type(copy) is optimizer and isinstance(copy, today)
    np.testing.assert_allclose(run(copy), expected, rtol=1e-9)


def test_variants():
    centered = run(keras2.RMSprop(RATE, epsilon=EPSILON, centered=True))
    np.testing.assert_allclose(centered, rmsprop(True), rtol=1e-9)
    with_momentum = [cls(RATE, momentum=0.9) for cls in (keras2.RMSprop, optimizers.RMSprop)]
    np.testing.assert_array_equal(*map(run, with_momentum))
    fast = run(keras2.Nadam(RATE, epsilon=EPSILON, schedule_decay=1.0))
    np.testing.assert_allclose(fast, run(optimizers.Nadam(RATE, epsilon=EPSILON)), rtol=1e-9)
