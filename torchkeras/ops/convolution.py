"""Convolutions, pooling, and moving values between space and channels.

Letters: B batch, C channels, F filters, and spatial axes. Kernels are `(window..., C / groups, F)`,
whatever the format of the data. Padding `same` gives `ceil(size / stride)` steps; an odd total has
its larger half after the data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..config import standardize_data_format
from ..graph.context import CONTEXT
from ..graph.infer import SizeMismatch, known_shape, unknown_size
from ..graph.operation import op
from .common import as_tensor, as_tensors
from .windows import (
    pooling_padding,
    same_padding,
    standardize_padding,
    standardize_tuple,
    to_channels_first,
    to_channels_last,
    torch_padding,
    transposed_padding,
    without_skipped,
)

__all__ = [
    "adaptive_average_pool",
    "adaptive_max_pool",
    "average_pool",
    "conv",
    "conv_transpose",
    "depth_to_space",
    "depthwise_conv",
    "fold",
    "max_pool",
    "separable_conv",
    "space_to_depth",
    "unfold",
]

Size = int | Sequence[int]
_PATH = "keras.src.ops.nn."
_CONVOLUTIONS = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}
_TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
_MAXIMA = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_MEANS = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
_ADAPTIVE_MAXIMA = {
    1: F.adaptive_max_pool1d,
    2: F.adaptive_max_pool2d,
    3: F.adaptive_max_pool3d,
}
_ADAPTIVE_MEANS = {
    1: F.adaptive_avg_pool1d,
    2: F.adaptive_avg_pool2d,
    3: F.adaptive_avg_pool3d,
}

_TO_FIRST = {rank: to_channels_first(rank) for rank in (1, 2, 3)}
_TO_LAST = {rank: to_channels_last(rank) for rank in (1, 2, 3)}


def _rank(x: Tensor, name: str) -> int:
    if x.ndim not in (3, 4, 5):
        raise ValueError(
            f"{name}: inputs must have 3, 4 or 5 axes: batch, channels, and 1 to 3 spatial ones."
            f" Received: shape={tuple(x.shape)}"
        )
    return x.ndim - 2


def _channels_differ(
    name: str, inputs: Tensor, kernel: Tensor, given: int, wanted: int
) -> SizeMismatch:
    return SizeMismatch(
        f"{name}: the input channels must match the kernel's {wanted}, or be a multiple where the"
        f" kernel has groups; there are {given}. Received: inputs.shape={tuple(inputs.shape)},"
        f" kernel.shape={tuple(kernel.shape)}"
    )


def _in_channels_first(
    function: Callable[[Tensor], Tensor], x: Tensor, data_format: str | None
) -> Tensor:
    """Apply a function on `(B, C, spatial...)` to data of either format."""
    if standardize_data_format(data_format) == "channels_first":
        return function(x)
    rank = x.ndim - 2
    return torch.permute(function(torch.permute(x, _TO_FIRST[rank])), _TO_LAST[rank])


def _kernel_first(kernel: Tensor) -> Tensor:
    """See a kernel `(window..., C, F)` as `(F, C, window...)`.

    Where F is one, the stride of its axis says nothing, but torch (2.13) takes the kernel's format
    from it, and its convolutions then fail backwards: such a kernel is copied.
    """
    rank = kernel.ndim - 2
    weight = kernel.permute(rank + 1, rank, *range(rank))
    return weight.clone(memory_format=torch.contiguous_format) if weight.shape[0] == 1 else weight


def _unknown_windows(kernel: Tensor) -> set[int]:
    """The axes of `(F, C, window...)` whose sizes inference does not know of a kernel."""
    if not CONTEXT.meta:
        return set()
    return {i + 2 for i, size in enumerate(known_shape(kernel)[:-2]) if size is None}


@op(path=_PATH + "Conv")
def conv(
    inputs: Tensor,
    kernel: Tensor,
    strides: Size = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Size = 1,
) -> Tensor:
    """Convolution over 1 to 3 spatial axes.

    Args:
        inputs: `(B, spatial..., C)` or `(B, C, spatial...)`.
        kernel: `(window..., C / groups, F)`; its channels tell the number of groups.
        strides: Step between windows, one integer or one per axis.
        padding: `valid` or `same`.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.
        dilation_rate: Step between the elements of a window.

    Raises:
        ValueError: The channels of inputs and kernel do not fit, or an argument is out of range.

    Example:
        >>> conv(torch.ones(1, 3, 1), torch.ones(2, 1, 1)).flatten().tolist()
        [2.0, 2.0]
    """
    inputs, kernel = as_tensors(inputs, kernel)
    rank = _rank(inputs, "conv")
    strides = standardize_tuple(strides, rank, "strides")
    dilation = standardize_tuple(dilation_rate, rank, "dilation_rate")
    padding = standardize_padding(padding)
    weight = _kernel_first(kernel)
    unknown = _unknown_windows(kernel)
    if unknown:  # where they are of one step, each place of the data has one in the result
        window = [1 if i in unknown else weight.shape[i] for i in range(2, weight.ndim)]
        weight = weight.new_empty(*weight.shape[:2], *window)

    def convolve(x: Tensor) -> Tensor:
        if x.shape[1] % weight.shape[1]:
            raise _channels_differ("conv", inputs, kernel, x.shape[1], weight.shape[1])
        zeros: Any = 0
        if padding == "same":
            pairs = [
                same_padding(*window)
                for window in zip(x.shape[2:], weight.shape[2:], strides, dilation, strict=True)
            ]
            zeros = [near for near, _ in pairs]
            if any(near != far for near, far in pairs):
                x, zeros = F.pad(x, torch_padding(pairs)), 0
        groups = x.shape[1] // weight.shape[1]
        y = _CONVOLUTIONS[rank](x, weight, None, strides, zeros, dilation, groups)
        if unknown and padding == "valid":
            sizes = [unknown_size() if i in unknown else y.shape[i] for i in range(2, y.ndim)]
            y = y.new_empty(*y.shape[:2], *sizes)
        return y

    return _in_channels_first(convolve, inputs, data_format)


@op(path=_PATH + "DepthwiseConv")
def depthwise_conv(
    inputs: Tensor,
    kernel: Tensor,
    strides: Size = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Size = 1,
) -> Tensor:
    """Convolution of each channel by itself.

    Args:
        inputs: `(B, spatial..., C)` or `(B, C, spatial...)`.
        kernel: `(window..., C, M)`; the result has `C * M` channels.
        strides, padding, data_format, dilation_rate: As for `conv`.

    Raises:
        ValueError: The channels of inputs and kernel differ, or an argument is out of range.

    Example:
        >>> depthwise_conv(torch.ones(1, 2, 3), torch.ones(2, 3, 1)).shape
        torch.Size([1, 1, 3])
    """
    inputs, kernel = as_tensors(inputs, kernel)
    data_format = standardize_data_format(data_format)
    channels = inputs.shape[-1 if data_format == "channels_last" else 1]
    if channels != kernel.shape[-2]:
        raise _channels_differ("depthwise_conv", inputs, kernel, channels, kernel.shape[-2])
    kernel = kernel.reshape(*kernel.shape[:-2], 1, -1)
    return conv(inputs, kernel, strides, padding, data_format, dilation_rate)


@op(path=_PATH + "SeparableConv")
def separable_conv(
    inputs: Tensor,
    depthwise_kernel: Tensor,
    pointwise_kernel: Tensor,
    strides: Size = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Size = 1,
) -> Tensor:
    """Convolution of each channel by itself, then a mixture of channels at each point.

    Args:
        inputs: `(B, spatial..., C)` or `(B, C, spatial...)`.
        depthwise_kernel: `(window..., C, M)`.
        pointwise_kernel: `(1..., C * M, F)`.
        strides, padding, data_format, dilation_rate: As for `conv`.

    Example:
        >>> separable_conv(torch.ones(1, 2, 3), torch.ones(2, 3, 1), torch.ones(1, 3, 4)).shape
        torch.Size([1, 1, 4])
    """
    x = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    pointwise_kernel = as_tensor(pointwise_kernel)
    if CONTEXT.meta:  # its windows are of one step, also where their sizes are not known
        window = [1 if size is None else size for size in known_shape(pointwise_kernel)[:-2]]
        pointwise_kernel = pointwise_kernel.new_empty(*window, *pointwise_kernel.shape[-2:])
    return conv(x, pointwise_kernel, data_format=data_format)


@op(path=_PATH + "ConvTranspose")
def conv_transpose(
    inputs: Tensor,
    kernel: Tensor,
    strides: Size = 1,
    padding: str = "valid",
    output_padding: Size | None = None,
    data_format: str | None = None,
    dilation_rate: Size = 1,
) -> Tensor:
    """The gradient of a convolution with respect to its input, used to enlarge.

    Args:
        inputs: `(B, spatial..., C)` or `(B, C, spatial...)`.
        kernel: `(window..., F, C)`.
        strides: Step between windows of the result.
        padding: `valid`, or `same` for `size * stride` steps.
        output_padding: Steps added after the data; default: what makes up that size.
        data_format, dilation_rate: As for `conv`.

    Raises:
        ValueError: The channels of inputs and kernel differ, or an argument is out of range.

    Example:
        >>> conv_transpose(torch.ones(1, 2, 1), torch.ones(2, 1, 1), 2).flatten().tolist()
        [1.0, 1.0, 1.0, 1.0]
    """
    inputs, kernel = as_tensors(inputs, kernel)
    rank = _rank(inputs, "conv_transpose")
    strides = standardize_tuple(strides, rank, "strides")
    dilation = standardize_tuple(dilation_rate, rank, "dilation_rate")
    padding = standardize_padding(padding)
    extra: Sequence[int | None] = (None,) * rank
    if output_padding is not None:
        extra = standardize_tuple(output_padding, rank, "output_padding", allow_zero=True)
    windows = zip(kernel.shape, strides, dilation, extra, strict=False)
    cuts = [transposed_padding(*window, same=padding == "same") for window in windows]
    both, far, rest = zip(*cuts, strict=True)

    def enlarge(x: Tensor) -> Tensor:
        if x.shape[1] != kernel.shape[-1]:
            raise _channels_differ("conv_transpose", inputs, kernel, x.shape[1], kernel.shape[-1])
        weight = _kernel_first(kernel)
        y = _TRANSPOSED[rank](x, weight, None, strides, both, far, 1, dilation)
        return F.pad(y, torch_padding([(0, -cut) for cut in rest])) if any(rest) else y

    return _in_channels_first(enlarge, inputs, data_format)


# Pooling -----------------------------------------------------------------------------------------


def _pool(
    kernels: dict[int, Callable[..., Tensor]],
    inputs: Any,
    pool_size: Size,
    strides: Size | None,
    padding: str,
    data_format: str | None,
    **options: Any,
) -> Tensor:
    x = as_tensor(inputs)
    rank = _rank(x, "pooling")
    windows = standardize_tuple(pool_size, rank, "pool_size")
    steps = windows if strides is None else standardize_tuple(strides, rank, "strides")
    padding = standardize_padding(padding)
    channels_last = standardize_data_format(data_format) == "channels_last"
    if channels_last:
        x = torch.permute(x, _TO_FIRST[rank])
    if padding == "same":
        border, partial, skipped = pooling_padding(x.shape[2:], windows, steps)
        x = kernels[rank](x, windows, steps, border, ceil_mode=partial, **options)
        x = without_skipped(x, skipped)
    else:
        x = kernels[rank](x, windows, steps, **options)
    return torch.permute(x, _TO_LAST[rank]) if channels_last else x


@op(path=_PATH + "MaxPool")
def max_pool(
    inputs: Tensor,
    pool_size: Size,
    strides: Size | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """The largest value of each window.

    Args:
        inputs: `(B, spatial..., C)` or `(B, C, spatial...)`.
        pool_size: Window size, one integer or one per axis.
        strides: Step between windows. Default: `pool_size`.
        padding: `valid` (incomplete windows are dropped) or `same`.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.

    Example:
        >>> max_pool([[[1.0], [3.0], [2.0], [0.0]]], 2).flatten().tolist()
        [3.0, 2.0]
    """
    return _pool(_MAXIMA, inputs, pool_size, strides, padding, data_format)


@op(path=_PATH + "AveragePool")
def average_pool(
    inputs: Tensor,
    pool_size: Size,
    strides: Size | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """The mean of each window; padding does not count.

    Args:
        inputs: `(B, spatial..., C)` or `(B, C, spatial...)`.
        pool_size, strides, padding, data_format: As for `max_pool`.

    Example:
        >>> average_pool([[[1.0], [3.0], [2.0], [0.0]]], 2).flatten().tolist()
        [2.0, 1.0]
    """
    return _pool(_MEANS, inputs, pool_size, strides, padding, data_format, count_include_pad=False)


def _adaptive_pool(
    kernels: dict[int, Callable[..., Tensor]], inputs: Any, output_size: Size, data_format: Any
) -> Tensor:
    inputs = as_tensor(inputs)
    rank = _rank(inputs, "pooling")
    size = standardize_tuple(output_size, rank, "output_size")
    return _in_channels_first(lambda x: kernels[rank](x, size), inputs, data_format)


@op(path=_PATH + "AdaptiveMaxPool")
def adaptive_max_pool(inputs: Tensor, output_size: Size, data_format: str | None = None) -> Tensor:
    """The largest value of each of so many windows that the result has a given size.

    Args:
        inputs: `(B, spatial..., C)` or `(B, C, spatial...)`.
        output_size: The spatial sizes of the result.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.

    Example:
        >>> adaptive_max_pool([[[1.0], [3.0], [2.0], [0.0]]], 2).flatten().tolist()
        [3.0, 2.0]
    """
    return _adaptive_pool(_ADAPTIVE_MAXIMA, inputs, output_size, data_format)


@op(path=_PATH + "AdaptiveAveragePool")
def adaptive_average_pool(
    inputs: Tensor, output_size: Size, data_format: str | None = None
) -> Tensor:
    """The mean of each of so many windows that the result has a given size.

    Args:
        inputs: `(B, spatial..., C)` or `(B, C, spatial...)`.
        output_size, data_format: As for `adaptive_max_pool`.

    Example:
        >>> adaptive_average_pool([[[1.0], [3.0], [2.0], [0.0]]], 2).flatten().tolist()
        [2.0, 1.0]
    """
    return _adaptive_pool(_ADAPTIVE_MEANS, inputs, output_size, data_format)


# Space and channels ------------------------------------------------------------------------------


@op(path=_PATH + "Unfold")
def unfold(
    x: Tensor, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1
) -> Tensor:
    """The windows of images, each as a column.

    Args:
        x: `(B, C, H, W)`.
        kernel_size, dilation, padding, stride: Of the windows, one integer or a pair.

    Returns:
        `(B, C * window, windows)`.

    Raises:
        ValueError: `x` has another number of axes.

    Example:
        >>> unfold(torch.ones(1, 1, 3, 3), 2).shape
        torch.Size([1, 4, 4])
    """
    x = as_tensor(x)
    if x.ndim != 4:
        raise ValueError(f"unfold: expected 4 axes. Received: shape={tuple(x.shape)}")
    return F.unfold(x, kernel_size, dilation, padding, stride)


@op(path=_PATH + "Fold")
def fold(
    x: Tensor,
    output_size: Size,
    kernel_size: Size,
    dilation: Size = 1,
    padding: Size = 0,
    stride: Size = 1,
) -> Tensor:
    """Images from windows, added up where they overlap; see `unfold`.

    Args:
        x: `(B, C * window, windows)`.
        output_size: The height and width of the images.
        kernel_size, dilation, padding, stride: Of the windows, one integer or a pair.

    Raises:
        ValueError: `x` has another number of axes.

    Example:
        >>> fold(torch.ones(1, 4, 4), 3, 2).flatten().tolist()
        [1.0, 2.0, 1.0, 2.0, 4.0, 2.0, 1.0, 2.0, 1.0]
    """
    x = as_tensor(x)
    if x.ndim != 3:
        raise ValueError(f"fold: expected a 3D tensor. Received: shape={tuple(x.shape)}")
    if CONTEXT.meta and None in known_shape(x)[1:]:  # torch wants the sizes that fit
        channels = known_shape(x)[1]
        if channels is None:
            channels = unknown_size()
        else:
            channels //= math.prod(standardize_tuple(kernel_size, 2, "kernel_size"))
        size = standardize_tuple(output_size, 2, "output_size")
        return x.new_empty(x.shape[0], channels, *size)
    return F.fold(x, output_size, kernel_size, dilation, padding, stride)


def _check_block(block_size: int) -> None:
    if block_size < 2:
        raise ValueError(f"`block_size` must be at least 2. Received: block_size={block_size}")


@op(path=_PATH + "DepthToSpace")
def depth_to_space(x: Tensor, block_size: int, data_format: str = "channels_last") -> Tensor:
    """Channels laid out as blocks of pixels.

    Args:
        x: `(B, H, W, C)` or `(B, C, H, W)`; `C` is a multiple of `block_size**2`.
        block_size: Height and width of a block.
        data_format: `channels_last` or `channels_first`.

    Raises:
        ValueError: `block_size` is below 2.

    Example:
        >>> depth_to_space([[[[1, 2, 3, 4]]]], 2).squeeze().tolist()
        [[1, 2], [3, 4]]
    """
    _check_block(block_size)
    x = as_tensor(x)

    if standardize_data_format(data_format) == "channels_first":
        return F.pixel_shuffle(x, block_size)
    batch, height, width, _ = x.shape  # here the channels of the result vary fastest
    x = x.unflatten(3, (block_size, block_size, -1)).transpose(2, 3)
    return x.reshape(batch, height * block_size, width * block_size, x.shape[-1])


@op(path=_PATH + "SpaceToDepth")
def space_to_depth(x: Tensor, block_size: int, data_format: str = "channels_last") -> Tensor:
    """Blocks of pixels laid out as channels; the inverse of `depth_to_space`.

    Args:
        x: `(B, H, W, C)` or `(B, C, H, W)`; sizes are multiples of `block_size`.
        block_size: Height and width of a block.
        data_format: `channels_last` or `channels_first`.

    Raises:
        ValueError: `block_size` is below 2.

    Example:
        >>> space_to_depth([[[[1], [2]], [[3], [4]]]], 2).flatten().tolist()
        [1, 2, 3, 4]
    """
    _check_block(block_size)
    x = as_tensor(x)

    if standardize_data_format(data_format) == "channels_first":
        return F.pixel_unshuffle(x, block_size)
    batch, height, width, channels = x.shape
    rows, columns = height // block_size, width // block_size
    x = x.reshape(batch, rows, block_size, columns, block_size, channels).transpose(2, 3)
    return x.reshape(batch, rows, columns, block_size * block_size * channels)
