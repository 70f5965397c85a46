"""Transposed convolutions: what they are the transpose of, and sizes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from torchkeras import layers


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("strides", [1, 2, 3])
@pytest.mark.parametrize("size", [6, 12])
def test_transpose_of_the_convolution(size, strides, padding):
    """`<conv(x), y> = <x, transposed(y)>` where the sizes fit."""
    options = {"padding": padding, "use_bias": False, "dtype": "float64"}
    forward = layers.Conv1D(3, 3, strides, **options)
    x = torch.randn(2, size + (padding == "valid" and strides == 1) * 2, 4, dtype=torch.float64)
    y = forward(x)
    back = layers.Conv1DTranspose(4, 3, strides, **options)
    g = torch.randn(y.shape, dtype=torch.float64)
    back.build(g.shape)
    back.kernel.assign(forward.kernel)
    up = back(g)[:, : x.shape[1]]
    torch.testing.assert_close((y * g).sum(), (x[:, : up.shape[1]] * up).sum())


@settings(deadline=None, max_examples=60)
@given(
    size=st.integers(1, 6),
    kernel=st.integers(1, 6),
    stride=st.integers(1, 4),
    extra=st.integers(-1, 3),
    padding=st.sampled_from(["valid", "same"]),
    bias=st.booleans(),
)
def test_the_shape_is_the_promised_one(size, kernel, stride, extra, padding, bias):
    extra = None if extra < 0 or extra >= stride else extra
    layer = layers.Conv1DTranspose(
        2, kernel, stride, padding, extra, use_bias=bias, bias_initializer="ones"
    )
    x = torch.zeros(1, size, 1)
    promised = layer.compute_output_shape(x.shape)
    if promised[1] <= 0:
        return
    y = layer(x)
    assert tuple(y.shape) == promised
    if padding == "same" and extra is None:
        assert promised[1] == size * stride
    assert bool((y == float(bias)).all())  # also at the steps that no window reaches


def test_formats_agree():
    last = layers.Conv2DTranspose(3, 3, 2, padding="same", data_format="channels_last")
    first = layers.Conv2DTranspose(3, 3, 2, padding="same", data_format="channels_first")
    x = torch.randn(2, 4, 5, 2)
    y = last(x)
    first.build((None, 2, 4, 5))
    first.set_weights(last.get_weights())
    torch.testing.assert_close(first(x.permute(0, 3, 1, 2)), y.permute(0, 3, 1, 2))


def test_the_kernel_is_channels_last_for_torch():
    layer = layers.Conv2DTranspose(5, 3)
    layer.build((None, 8, 8, 4))
    assert layer.kernel.shape == (3, 3, 5, 4)
    seen = layer.kernel.permute(3, 2, 0, 1)
    assert seen.is_contiguous(memory_format=torch.channels_last)
    layer(torch.randn(2, 8, 8, 4)).sum().backward()
    assert layer.kernel.grad.stride() == layer.kernel.stride()


def test_errors_name_layer_and_argument():
    with pytest.raises(ValueError, match="(?s)my_conv.*output_padding.*strides: "):
        layers.Conv2DTranspose(3, 3, output_padding=1, name="my_conv")
    with pytest.raises(ValueError, match="channels must be known"):
        layers.Conv2DTranspose(3, 3).build((None, 4, 4, None))
