"""Batch and layer normalization against closed forms and torch."""

import numpy as np
import pytest
import torch

from torchkeras import layers


@pytest.mark.parametrize(("shape", "axis"), [((6, 3), -1), ((4, 5, 3), -1), ((2, 3, 4, 5), 1)])
def test_batch_statistics(shape, axis):
    layer = layers.BatchNormalization(axis=axis, momentum=0.9, epsilon=1e-3, dtype="float64")
    x = torch.randn(shape, dtype=torch.float64) * 3 + 2
    y = layer(x, training=True)
    axes = tuple(i for i in range(len(shape)) if i != axis % len(shape))
    mean, variance = x.mean(axes, keepdim=True), x.var(axes, correction=0, keepdim=True)
    torch.testing.assert_close(y, (x - mean) / torch.sqrt(variance + 1e-3))
    torch.testing.assert_close(layer.moving_mean.detach(), 0.1 * mean.flatten())
    torch.testing.assert_close(layer.moving_variance.detach(), 0.9 + 0.1 * variance.flatten())
    expected = (x - 0.1 * mean) / torch.sqrt(0.9 + 0.1 * variance + 1e-3)
    torch.testing.assert_close(layer(x), expected)


def test_gradients_are_those_of_torch():
    ours, theirs = layers.BatchNormalization(epsilon=1e-5), torch.nn.BatchNorm1d(3, eps=1e-5)
    x = torch.randn(8, 3, requires_grad=True)
    weights = torch.randn(8, 3)
    (ours(x, training=True) * weights).sum().backward()
    grad, x.grad = x.grad, None
    (theirs(x) * weights).sum().backward()
    torch.testing.assert_close(grad, x.grad)
    torch.testing.assert_close(ours.gamma.grad, theirs.weight.grad)
    torch.testing.assert_close(ours.beta.grad, theirs.bias.grad)


def test_statistics_are_state_without_gradients():
    layer = layers.BatchNormalization()
    layer(torch.randn(4, 3), training=True)
    assert [w.name for w in layer.trainable_weights] == ["gamma", "beta"]
    assert [w.name for w in layer.non_trainable_weights] == ["moving_mean", "moving_variance"]
    assert not layer.moving_mean.requires_grad
    assert set(layer.state_dict()) == {"gamma", "beta", "moving_mean", "moving_variance"}


def test_train_mode_of_torch_counts_too():
    layer = layers.BatchNormalization()
    x = torch.randn(8, 3)
    layer(x)
    assert layer.moving_mean.tolist() == [0.0] * 3
    layer.train()
    layer(x)
    assert all(layer.moving_mean.detach() != 0)


def test_masked_positions_do_not_count():
    layer = layers.BatchNormalization(momentum=0.0)
    x = torch.randn(4, 5, 3)
    mask = torch.rand(4, 5) < 0.6
    mask[0, 0] = True
    layer(x, training=True, mask=mask)
    # Keras adds its epsilon of 1e-7 to the count.
    np.testing.assert_allclose(layer.moving_mean.detach(), x[mask].mean(0), rtol=1e-5, atol=1e-6)


def test_renorm_without_clipping_equals_inference_with_the_same_statistics():
    layer = layers.BatchNormalization(renorm=True, momentum=1.0, renorm_momentum=1.0, epsilon=0.0)
    x = torch.randn(64, 3)
    layer(x)
    torch.testing.assert_close(layer(x, training=True), layer(x))


def test_no_host_synchronization():
    with torch.device("meta"):
        for kwargs in ({}, {"renorm": True}, {"axis": 1}):
            layer = layers.BatchNormalization(**kwargs)
            x = torch.ones(2, 4, 5, 3, requires_grad=True)
            layer(x, training=True).sum().backward()
            assert x.grad.device.type == "meta"
        layer(torch.ones(2, 4, 5, 3), training=True, mask=torch.ones(2, 4, 5))
        layers.LayerNormalization(axis=1)(x).sum().backward()


@pytest.mark.parametrize("axis", [-1, (1, 2), 1, (0, 2)])
def test_layer_normalization(axis):
    layer = layers.LayerNormalization(axis=axis, epsilon=0.01, dtype="float64")
    x = torch.randn(3, 4, 5, dtype=torch.float64) + 1
    axes = (axis,) if isinstance(axis, int) else axis
    variance, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
    torch.testing.assert_close(layer(x), (x - mean) / torch.sqrt(variance + 0.01))


def test_half_precision_statistics_do_not_overflow():
    x = torch.full((64, 2), 300.0).half() + torch.randn(64, 2).half()
    layer = layers.BatchNormalization(momentum=0.0, dtype="mixed_float16")
    assert layer(x, training=True).isfinite().all()
    np.testing.assert_allclose(layer.moving_mean.detach(), x.float().mean(0), rtol=1e-3)
    assert layers.LayerNormalization(dtype="mixed_float16")(x * 100).isfinite().all()
