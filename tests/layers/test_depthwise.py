"""Depthwise and separable convolutions: values, memory, errors."""

import numpy as np
import pytest
import scipy.signal
import torch

from torchkeras import layers


def test_depthwise_against_scipy():
    layer = layers.DepthwiseConv2D((3, 2), depth_multiplier=2, use_bias=False, dtype="float64")
    x = torch.randn(1, 6, 5, 3, dtype=torch.float64)
    y = layer(x).detach().numpy()[0]
    kernel = layer.kernel.detach().numpy()
    for channel in range(3):
        for i in range(2):
            image, window = x.numpy()[0, :, :, channel], kernel[:, :, channel, i]
            expected = scipy.signal.correlate2d(image, window, mode="valid")
            np.testing.assert_allclose(y[:, :, 2 * channel + i], expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_separable_is_depthwise_then_pointwise(data_format):
    options = {"padding": "same", "data_format": data_format}
    layer = layers.SeparableConv2D(4, 3, depth_multiplier=2, activation="relu", **options)
    x = torch.randn(2, 6, 6, 6)
    y = layer(x)
    first = layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False, **options)
    second = layers.Conv2D(4, 1, activation="relu", **options)
    second(first(x))
    first.set_weights([layer.depthwise_kernel])
    second.set_weights([layer.pointwise_kernel, layer.bias])
    torch.testing.assert_close(second(first(x)), y)


@pytest.mark.parametrize("rank", [1, 2])
def test_depthwise_kernels_lie_as_torch_wants_them(rank):
    layer = getattr(layers, f"DepthwiseConv{rank}D")(3, depth_multiplier=2)
    layer.build((None, *[8] * rank, 4))
    assert layer.kernel.shape == (*[3] * rank, 4, 2)
    seen = layer.kernel.permute(rank, rank + 1, *range(rank))
    assert seen.is_contiguous()
    if rank == 2:
        weight = seen.flatten(0, 1).unsqueeze(1)
        assert weight.data_ptr() == layer.kernel.data_ptr()
        assert weight.is_contiguous(memory_format=torch.channels_last)
    layer(torch.randn(2, *[8] * rank, 4)).sum().backward()
    assert layer.kernel.grad.stride() == layer.kernel.stride()


def test_errors_name_layer_and_argument():
    with pytest.raises(ValueError, match="(?s)dw.*depth_multiplier.*strictly positive"):
        layers.DepthwiseConv2D(3, depth_multiplier=0, name="dw")
    with pytest.raises(ValueError, match="filters"):
        layers.SeparableConv2D(-1, 3)
    with pytest.raises(ValueError, match="channels must be known"):
        layers.SeparableConv2D(3, 3).build((None, 4, 4, None))


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("strides", "dilation_rate"), [(1, 1), (2, 1), (1, 2)])
def test_causal_series(strides, dilation_rate, data_format):
    """As of series with zeros before them, as in Keras 2."""
    x = np.random.default_rng(0).normal(size=(2, 7, 3)).astype("float32")
    given = {"strides": strides, "dilation_rate": dilation_rate, "depth_multiplier": 2}
    causal = layers.SeparableConv1D(4, 3, padding="causal", data_format=data_format, **given)
    first = data_format == "channels_first"
    y = causal(np.moveaxis(x, -1, 1) if first else x).detach().numpy()
    plain = layers.SeparableConv1D(4, 3, **given)
    plain.build((2, 7, 3))
    plain.set_weights(causal.get_weights())
    expected = plain(np.pad(x, ((0, 0), (2 * dilation_rate, 0), (0, 0)))).detach().numpy()
    np.testing.assert_allclose(np.moveaxis(y, 1, -1) if first else y, expected, atol=1e-6)
    assert y.shape == causal.compute_output_shape((2, 3, 7) if first else (2, 7, 3))
