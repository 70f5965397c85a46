"""Window arithmetic against brute force."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchkeras.layers import _spatial
from torchkeras.ops import windows


@given(
    size=st.integers(1, 40),
    window=st.integers(1, 7),
    stride=st.integers(1, 5),
    dilation=st.integers(1, 3),
)
def test_same_padding_gives_ceil_of_size_over_stride(size, window, stride, dilation):
    before, after = windows.same_padding(size, window, stride, dilation)
    extent = (window - 1) * dilation + 1
    assert 0 <= after - before <= 1
    steps = (size + before + after - extent) // stride + 1
    assert max(steps, 0) == -(-size // stride) or extent < stride
    if before + after:  # no more zeros than needed
        assert (size + before + after - extent) % stride == 0


@given(size=st.integers(1, 30), window=st.integers(1, 6), stride=st.integers(1, 4))
def test_valid_output_counts_whole_windows(size, window, stride):
    expected = len(range(0, size - window + 1, stride))
    if expected <= 0:
        with pytest.raises(ValueError, match="zero or negative"):
            _spatial.pool_output_shape((2, size, 3), (window,), (stride,), "valid", "channels_last")
        return
    shape = _spatial.pool_output_shape((2, size, 3), (window,), (stride,), "valid", "channels_last")
    assert shape == (2, expected, 3)


def test_unknown_axes_stay_unknown():
    shape = _spatial.conv_output_shape(
        (None, 3, None, 9), 5, (2, 2), (1, 2), "valid", "channels_first", (1, 1)
    )
    assert shape == (None, 5, None, 4)


@pytest.mark.parametrize("value", [0, -1, (1, 2, 3), "3", 2.5, (1, None), None])
def test_standardize_tuple_refuses(value):
    with pytest.raises(ValueError, match="kernel_size"):
        windows.standardize_tuple(value, 2, "kernel_size")


def test_permutations_undo_each_other():
    for rank in (1, 2, 3):
        first, last = windows.to_channels_first(rank), windows.to_channels_last(rank)
        assert [first[i] for i in last] == list(range(rank + 2))
