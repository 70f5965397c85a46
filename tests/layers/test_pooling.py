"""Pooling against brute force."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchkeras import layers, ops


@given(
    size=st.integers(1, 12),
    pool=st.integers(1, 5),
    stride=st.integers(1, 4),
    padding=st.sampled_from(["valid", "same"]),
)
def test_maximum_of_every_window(size, pool, stride, padding):
    x = torch.randn(1, size, 1)
    if padding == "valid" and pool > size:
        return
    y = layers.MaxPooling1D(pool, stride, padding=padding)(x).flatten().tolist()
    values = x.flatten().tolist()
    if padding == "valid":
        starts = range(0, size - pool + 1, stride)
    else:
        steps = -(-size // stride)
        before = max(0, (steps - 1) * stride + pool - size) // 2
        starts = [i * stride - before for i in range(steps)]
    expected = [max(values[max(0, s) : s + pool]) for s in starts]
    assert y == pytest.approx(expected)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("kind", ["Average", "Max"])
def test_same_counts_each_element_once(kind, rank):
    """As TensorFlow and JAX have it, also where one end is padded by one step more."""
    reduce, op = (np.mean, ops.average_pool) if kind == "Average" else (np.max, ops.max_pool)
    for size, window, stride in itertools.product(range(5, 10), range(2, 6), range(1, 4)):
        x = -np.random.default_rng(size).random((2, *(size, 4, 3)[:rank], 2), dtype="float32")
        windows, strides = (window, 2, 3)[:rank], (stride, 1, stride)[:rank]
        expected = _pool_same(x, windows, strides, reduce)
        layer = getattr(layers, f"{kind}Pooling{rank}D")(windows, strides, padding="same")
        np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-5, atol=1e-6)
        found = op(x, windows, strides, "same", data_format="channels_last")
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-6)


def _pool_same(x, windows, strides, reduce):
    shape = x.shape[1:-1]
    steps = [-(-n // s) for n, s in zip(shape, strides, strict=True)]
    before = [
        max(0, (count - 1) * s + k - n) // 2
        for count, s, k, n in zip(steps, strides, windows, shape, strict=True)
    ]
    y = np.empty((x.shape[0], *steps, x.shape[-1]), x.dtype)
    for place in np.ndindex(*steps):
        starts = [i * s - b for i, s, b in zip(place, strides, before, strict=True)]
        part = tuple(slice(max(0, a), a + k) for a, k in zip(starts, windows, strict=True))
        y[(slice(None), *place)] = reduce(x[(slice(None), *part)], tuple(range(1, x.ndim - 1)))
    return y


@pytest.mark.parametrize("name", ["GlobalAveragePooling2D", "GlobalMaxPooling2D"])
def test_global_pooling_is_numpy(name):
    x = torch.randn(2, 3, 4, 5)
    reduce = np.mean if "Average" in name else np.max
    np.testing.assert_allclose(
        getattr(layers, name)()(x).numpy(), reduce(x.numpy(), axis=(1, 2)), rtol=1e-6, atol=1e-6
    )


def test_masked_steps_do_not_count():
    layer = layers.GlobalAveragePooling1D()
    x = torch.randn(2, 4, 3)
    mask = torch.tensor([[True, True, False, False], [False, True, True, True]])
    expected = torch.stack([x[0, :2].mean(0), x[1, 1:].mean(0)])
    torch.testing.assert_close(layer(x, mask=mask), expected)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_channels_last_results_are_contiguous(rank):
    layer = getattr(layers, f"MaxPooling{rank}D")(3, 2, padding="same")
    assert layer(torch.randn(2, *[8] * rank, 4)).is_contiguous()


@given(size=st.integers(1, 12), steps=st.integers(1, 12), maximum=st.booleans())
def test_adaptive_windows(size, steps, maximum):
    x = torch.randn(1, size, 1)
    layer = layers.AdaptiveMaxPooling1D if maximum else layers.AdaptiveAveragePooling1D
    parts = [
        x[0, i * size // steps : -(-(i + 1) * size // steps), 0].tolist() for i in range(steps)
    ]
    expected = [max(part) if maximum else sum(part) / len(part) for part in parts]
    assert layer(steps)(x).flatten().tolist() == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_adaptive_errors():
    with pytest.raises(TypeError, match="(?s)output_size.*3 integers"):
        layers.AdaptiveMaxPooling3D((1, 2))
    with pytest.raises(ValueError, match="must have length 1"):
        layers.AdaptiveMaxPooling1D((1, 2))


@pytest.mark.parametrize("kind", ["Max", "Average"])
def test_runs_on_meta(kind):
    with torch.device("meta"):
        for rank in (1, 2, 3):
            layer = getattr(layers, f"{kind}Pooling{rank}D")(3, 2, padding="same")
            x = torch.ones(2, *[8] * rank, 4, requires_grad=True)
            layer(x).sum().backward()
            assert x.grad.device.type == "meta"


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("strides", [1, 2, 3])
@pytest.mark.parametrize("size", [2, 3, 7, 8])
def test_pairs_are_the_same_without_gradients(size, strides, data_format):
    x = torch.randint(3, (2, size, size)).float()
    x[0, 0, 0] = torch.nan
    layer = layers.MaxPooling1D(2, strides, data_format=data_format)
    differentiable = layer(x.clone().requires_grad_())
    torch.testing.assert_close(layer(x), differentiable.detach(), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.bool])
def test_means_of_integers_are_floats(dtype):
    x = torch.tensor([[[0, 1], [1, 1]]]).to(dtype)
    for layer, inputs in (
        (layers.GlobalAveragePooling1D(), x),
        (layers.GlobalAveragePooling2D(), x[:, None]),
        (layers.GlobalAveragePooling3D(), x[:, None, None]),
    ):
        y = layer(inputs)
        assert y.dtype is torch.float32 and y.tolist() == [[0.5, 1.0]]
