"""What Keras's `backend_utils` say about the padding of transposed convolutions.

Keras converts its `padding` and `output_padding` for each engine; here `ops.windows` knows them,
and these functions answer in Keras's terms, for code that asks.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from ..layers._spatial import conv_transpose_output_shape
from ..naming import explain
from ..ops.windows import standardize_tuple, transposed_padding

__all__ = [
    "compute_conv_transpose_output_shape",
    "compute_conv_transpose_padding_args_for_jax",
    "compute_conv_transpose_padding_args_for_torch",
]

Size = int | Sequence[int]


def _is_same(padding: str) -> bool:
    if padding.lower() not in ("valid", "same"):
        raise ValueError(
            explain(
                "The `padding` argument must be one of 'valid', 'same'.",
                given=f"padding={padding!r}",
            )
        )
    return padding.lower() == "same"


def _per_axis(value: Size | None, rank: int) -> Sequence[Any]:
    return (value,) * rank if value is None or isinstance(value, int) else value


def compute_conv_transpose_output_shape(
    input_shape: Sequence[int | None],
    kernel_size: Sequence[int],
    filters: int,
    strides: Size,
    padding: str,
    output_padding: Size | None = None,
    data_format: str = "channels_last",
    dilation_rate: Size = 1,
) -> tuple[int | None, ...]:
    """Return the shape that a transposed convolution gives; unknown axes stay `None`."""
    rank = len(input_shape) - 2
    same = "same" if _is_same(padding) else "valid"
    return conv_transpose_output_shape(
        input_shape,
        filters,
        kernel_size[:rank],  # some pass the whole shape of the kernel
        standardize_tuple(strides, rank, "strides"),
        same,
        _per_axis(output_padding, rank) if output_padding is not None else None,
        data_format,
        standardize_tuple(dilation_rate, rank, "dilation_rate"),
    )


def _get_output_shape_given_tf_padding(
    input_size: int | None,
    kernel_size: int,
    strides: int,
    padding: str,
    output_padding: int | None,
    dilation_rate: int,
) -> int | None:
    """Return the size of one axis of the result."""
    sizes = compute_conv_transpose_output_shape(
        (1, input_size, 1), (kernel_size,), 1, strides, padding, output_padding, "channels_last",
        dilation_rate,
    )  # fmt: skip
    return sizes[1]


def _convert_conv_transpose_padding_args_from_keras_to_jax(
    kernel_size: int, stride: int, dilation_rate: int, padding: str, output_padding: int | None
) -> tuple[int, int]:
    """Return how far the spread-out input is padded before and after it, for one axis."""
    same = _is_same(padding)
    both, far, cut = transposed_padding(kernel_size, stride, dilation_rate, output_padding, same)
    reach = (kernel_size - 1) * dilation_rate
    return reach - both, reach - both + far - cut


def _convert_conv_transpose_padding_args_from_keras_to_torch(
    kernel_size: int, stride: int, dilation_rate: int, padding: str, output_padding: int | None
) -> tuple[int, int]:
    """Return torch's nearest `padding` and `output_padding` of one axis, without a cut after it.

    Warns where TensorFlow's padding is another one.
    """
    extent = (kernel_size - 1) * dilation_rate + 1
    if _is_same(padding):
        extra = stride - extent % 2 if output_padding is None else output_padding
        missing = extent - extent % 2 - extra
        both = max(-(-missing // 2), 0)
        far = 2 * both - missing
    else:
        both = 0
        far = max(extent, stride) - extent if output_padding is None else output_padding
    if both > 0 and far > 0:
        warnings.warn(
            "conv transpose: you might experience inconsistencies across backends with"
            f" kernel_size={kernel_size}, stride={stride}, dilation_rate={dilation_rate},"
            f" padding={padding}, output_padding={output_padding}.",
            stacklevel=2,
        )
    if far >= stride:
        warnings.warn(
            f"torch needs output_padding < stride: {far} becomes {stride - 1}.", stacklevel=2
        )
        far = stride - 1
    return both, far


def _axes(
    kernel_shape: Sequence[int],
    strides: Size,
    padding: str,
    output_padding: Size | None,
    dilation_rate: Size,
) -> Iterator[tuple[Any, ...]]:
    """Yield the arguments of the functions above for each spatial axis."""
    rank = len(kernel_shape) - 2
    extra, strides = _per_axis(output_padding, rank), _per_axis(strides, rank)
    for axis, dilation in enumerate(_per_axis(dilation_rate, rank)):
        yield kernel_shape[axis], strides[axis], dilation, padding, extra[axis]


def compute_conv_transpose_padding_args_for_jax(
    input_shape: Sequence[int | None],
    kernel_shape: Sequence[int],
    strides: Size,
    padding: str,
    output_padding: Size | None,
    dilation_rate: Size,
) -> list[tuple[int, int]]:
    """Return, per spatial axis, how far the spread-out input is padded before and after it."""
    axes = _axes(kernel_shape, strides, padding, output_padding, dilation_rate)
    return [_convert_conv_transpose_padding_args_from_keras_to_jax(*axis) for axis in axes]


def compute_conv_transpose_padding_args_for_torch(
    input_shape: Sequence[int | None],
    kernel_shape: Sequence[int],
    strides: Size,
    padding: str,
    output_padding: Size | None,
    dilation_rate: Size,
) -> tuple[list[int], list[int]]:
    """Return torch's nearest `padding` and `output_padding`, one number per spatial axis each."""
    axes = _axes(kernel_shape, strides, padding, output_padding, dilation_rate)
    pairs = [_convert_conv_transpose_padding_args_from_keras_to_torch(*axis) for axis in axes]
    return [both for both, _ in pairs], [far for _, far in pairs]
