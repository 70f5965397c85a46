"""Convolutions: values, memory layout, and what they must not copy."""

import numpy as np
import pytest
import scipy.signal
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from torchkeras import layers, ops


def test_conv2d_against_scipy():
    layer = layers.Conv2D(1, (3, 2), use_bias=False, dtype="float64")
    x = torch.randn(1, 6, 5, 1, dtype=torch.float64)
    y = layer(x)
    kernel = layer.kernel.detach().numpy()[:, :, 0, 0]
    expected = scipy.signal.correlate2d(x.numpy()[0, :, :, 0], kernel, mode="valid")
    np.testing.assert_allclose(y.detach().numpy()[0, :, :, 0], expected, rtol=1e-12)


def test_causal_outputs_see_no_later_input():
    layer = layers.Conv1D(2, 3, padding="causal", dilation_rate=2)
    x = torch.randn(1, 10, 4, requires_grad=True)
    layer(x)[0, 5].sum().backward()
    seen = x.grad[0].abs().sum(-1).nonzero().flatten().tolist()
    assert seen == [1, 3, 5]


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_kernels_are_channels_last_in_memory(rank):
    layer = getattr(layers, f"Conv{rank}D")(5, 3)
    layer.build((None, *[8] * rank, 4))
    assert layer.kernel.shape == (*[3] * rank, 4, 5)
    assert layer.kernel.permute(rank + 1, *range(rank + 1)).is_contiguous()
    if rank == 2:
        seen = layer.kernel.permute(3, 2, 0, 1)
        assert seen.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_channels_last_results_are_contiguous(rank):
    """Whatever comes next finds the memory as it wants it."""
    layer = getattr(layers, f"Conv{rank}D")(5, 3, padding="same", activation="relu")
    x = torch.randn(2, *[8] * rank, 4)
    assert layer(x).is_contiguous()


def test_gradients_keep_the_kernels_strides():
    layer = layers.Conv2D(5, 3)
    layer(torch.randn(2, 8, 8, 4)).sum().backward()
    assert layer.kernel.grad.stride() == layer.kernel.stride()


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("size", [8, 9])
def test_even_padding_is_left_to_the_kernel(size, strides, monkeypatch):
    from torchkeras.layers import _spatial

    calls = []
    pad = _spatial.F.pad
    monkeypatch.setattr(_spatial.F, "pad", lambda *a: calls.append(a) or pad(*a))
    layers.Conv2D(2, 3, strides=strides, padding="same")(torch.ones(1, size, size, 1))
    uneven = strides == 2 and size == 8
    assert bool(calls) == uneven


def test_same_size_for_both_formats():
    last = layers.Conv2D(3, 3, strides=2, padding="same", data_format="channels_last")
    first = layers.Conv2D(3, 3, strides=2, padding="same", data_format="channels_first")
    x = torch.randn(2, 7, 8, 4)
    y = last(x)
    first.build((None, 4, 7, 8))
    first.set_weights(last.get_weights())
    torch.testing.assert_close(first(x.permute(0, 3, 1, 2)), y.permute(0, 3, 1, 2))


def test_runs_on_meta_in_both_formats():
    with torch.device("meta"):
        for data_format in ("channels_last", "channels_first"):
            layer = layers.Conv2D(3, 3, strides=2, padding="same", data_format=data_format)
            y = layer(torch.ones(2, 8, 8, 8))
            y.sum().backward()
            assert y.device.type == layer.kernel.grad.device.type == "meta"


class Recorder(TorchDispatchMode):
    """Notes the names of all operations."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(
    "make",
    [
        lambda **o: layers.Conv2D(8, 3, padding="same", **o),
        lambda **o: layers.Conv2D(8, 3, strides=2, groups=2, activation="relu", **o),
        lambda **o: layers.Conv2DTranspose(8, 3, strides=2, padding="same", **o),
        lambda **o: layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, **o),
        lambda **o: layers.SeparableConv2D(8, 3, padding="same", **o),
        lambda **o: layers.MaxPooling2D(2, **o),
        lambda **o: layers.AdaptiveAveragePooling2D(3, **o),
    ],
)
def test_a_call_copies_neither_inputs_nor_kernels(make, data_format):
    layer = make(data_format=data_format)
    x = torch.randn(2, 8, 8, 8)
    layer(x)
    with Recorder() as recorder:
        layer(x)
    views = {
        "permute",
        "slice",
        "view",
        "_unsafe_view",
        "unsqueeze",
        "flatten",
        "transpose",
        "detach",
    }
    rest = [name for name in recorder.names if name not in views]
    kernels = {"convolution", "max_pool2d_with_indices", "_adaptive_avg_pool2d", "relu"}
    assert set(rest) <= kernels, rest
    assert 1 <= len(rest) <= 2


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Conv2DTranspose(2, 3, strides=2, padding="same"),
        lambda: layers.DepthwiseConv2D(3, padding="same"),
        lambda: layers.SeparableConv2D(2, 3),
        lambda: layers.AdaptiveMaxPooling2D(2),
        lambda: layers.Conv2D(2, 3, lora_rank=1),
    ],
)
def test_exports(make):
    layer = make()
    x = torch.randn(1, 6, 6, 2)
    expected = layer(x)
    torch.testing.assert_close(torch.export.export(layer, (x,)).module()(x), expected)


def test_errors_name_layer_and_argument():
    with pytest.raises(ValueError, match="my_conv.*groups=2, filters=3"):
        layers.Conv2D(3, 3, groups=2, name="my_conv")
    with pytest.raises(ValueError, match="(?s)window is larger.*kernel_size"):
        layers.Conv2D(3, 5)(torch.ones(1, 4, 4, 1))


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("name", ["Conv1D", "Conv2D", "Conv2DTranspose", "SeparableConv1D"])
def test_lone_filters_have_gradients(name, size, rows):
    # Few rows and one thread: torch's own kernels, which are strict about strides.
    layer = getattr(layers, name)(1, size)
    x = torch.randn(rows, *[4] * layer.rank, 2)
    layer(x)[:, 1:].sum().backward()
    weights = [w.detach().double().contiguous().requires_grad_() for w in layer.weights]
    values = dict(zip((key for key, _ in layer.named_parameters()), weights, strict=True))
    torch.func.functional_call(layer, values, (x.double(),))[:, 1:].sum().backward()
    for weight, wide in zip(layer.weights, weights, strict=True):
        torch.testing.assert_close(weight.grad.double(), wide.grad, atol=1e-5, rtol=1e-5)


def test_op_with_a_lone_filter_has_gradients():
    kernel = torch.randn(1, 2, 2, 1, requires_grad=True)
    ops.conv(torch.randn(1, 1, 5, 2), kernel).sum().backward()
    assert kernel.grad.shape == kernel.shape
