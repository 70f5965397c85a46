"""Shape rules as Keras's `operation_utils` has them, for libraries that ask.

torchkeras needs none of these: it infers shapes by running the operations themselves. Sizes may be
`None`, that is unknown, here.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import torch

from ..graph.infer import broadcast_shapes
from ..graph.keras_tensor import KerasTensor
from ..naming import explain
from ..ops.common import canonical_axis

__all__ = [
    "broadcast_shapes",
    "canonicalize_axes",
    "canonicalize_axis",
    "compute_conv_output_shape",
    "compute_expand_dims_output_shape",
    "compute_matmul_output_shape",
    "compute_pooling_output_shape",
    "compute_reshape_output_shape",
    "compute_take_along_axis_output_shape",
    "compute_transpose_output_shape",
    "reduce_shape",
    "shape_equal",
    "to_tuple_or_list",
    "validate_reshape_shape",
]

Size = int | None
Shape = Sequence[Size]


def canonicalize_axis(axis: int, num_dims: int) -> int:
    """Count an axis from the front.

    Raises:
        ValueError: It is out of range.
        TypeError: It is no integer.

    >>> canonicalize_axis(-1, 3)
    2
    """
    return canonical_axis(operator.index(axis), num_dims)


def canonicalize_axes(axis: int | Sequence[int], num_dims: int) -> tuple[int, ...]:
    """Count one or several axes from the front."""
    axes = axis if isinstance(axis, (list, tuple)) else (axis,)
    return tuple(canonicalize_axis(item, num_dims) for item in axes)


def to_tuple_or_list(value: Any) -> Any:
    """Make a tuple of an integer; return `None`, tuples and lists as they are.

    Raises:
        ValueError: It is something else.
    """
    if isinstance(value, int):
        return (value,)
    if value is None or isinstance(value, (tuple, list)):
        return value
    raise ValueError(f"`value` must be an integer, tuple or list. Received: value={value!r}")


def shape_equal(
    shape1: Shape, shape2: Shape, axis: int | Sequence[int] | None = None, allow_none: bool = True
) -> bool:
    """Tell whether two shapes agree, some axes aside.

    Args:
        shape1, shape2: The shapes.
        axis: Axes to leave out.
        allow_none: Whether an unknown size agrees with any other.

    >>> shape_equal((2, None, 3), (2, 5, 4), axis=-1)
    True
    """
    if len(shape1) != len(shape2):
        return False
    left_out = () if axis is None else (axis,) if isinstance(axis, int) else axis
    left_out = {i % len(shape1) for i in left_out}
    return all(
        a == b or i in left_out or (allow_none and None in (a, b))
        for i, (a, b) in enumerate(zip(shape1, shape2, strict=True))
    )


def compute_expand_dims_output_shape(
    input_shape: Shape, axis: int | Sequence[int] | None
) -> tuple[Size, ...]:
    """Return the shape with axes of size 1 inserted where `axis` says in the result."""
    given = (len(input_shape),) if axis is None else to_tuple_or_list(axis)
    rank = len(input_shape) + len(given)
    new = canonicalize_axes(given, rank)
    sizes = iter(input_shape)
    return tuple(1 if i in new else next(sizes) for i in range(rank))


def _windows(
    input_shape: Shape,
    window: Sequence[int],
    strides: Any,
    padding: str,
    data_format: str,
    dilation: Any = 1,
) -> tuple[Size, ...]:
    """Count the places of a window along each spatial axis.

    Raises:
        ValueError: There is none along an axis, or the padding mode is unknown.
    """
    if padding not in ("valid", "same", "causal"):
        raise ValueError(
            f"Argument `padding` must be either 'valid' or 'same'. Received: padding={padding!r}"
        )
    spatial = input_shape[1:-1] if data_format == "channels_last" else input_shape[2:]
    strides = (strides,) * len(spatial) if isinstance(strides, int) else strides
    dilation = (dilation,) * len(spatial) if isinstance(dilation, int) else dilation
    counts: list[Size] = []
    for size, extent, stride, step in zip(spatial, window, strides, dilation, strict=True):
        if size is None:
            counts.append(None)
            continue
        reach = (extent - 1) * step if padding == "valid" else 0
        count = (size - reach - 1) // stride + 1
        if count <= 0:
            raise ValueError(
                explain(
                    "Computed output size would be zero or negative.",
                    input_shape=tuple(input_shape),
                    window=tuple(window),
                    strides=tuple(strides),
                    padding=padding,
                    fix="make the window smaller, or use padding='same'.",
                )
            )
        counts.append(count)
    return tuple(counts)


def _with_channels(
    batch: Size, spatial: tuple[Size, ...], channels: Size, data_format: str
) -> tuple[Size, ...]:
    last = data_format == "channels_last"
    return (batch, *spatial, channels) if last else (batch, channels, *spatial)


def compute_pooling_output_shape(
    input_shape: Shape,
    pool_size: Sequence[int],
    strides: Any = None,
    padding: str = "valid",
    data_format: str = "channels_last",
) -> tuple[Size, ...]:
    """Return the shape that pooling gives.

    >>> compute_pooling_output_shape((None, 5, 4, 3), (2, 2))
    (None, 2, 2, 3)
    """
    strides = pool_size if strides is None else strides
    spatial = _windows(input_shape, pool_size, strides, padding, data_format)
    channels = input_shape[-1 if data_format == "channels_last" else 1]
    return _with_channels(input_shape[0], spatial, channels, data_format)


def compute_conv_output_shape(
    input_shape: Shape,
    filters: int,
    kernel_size: Sequence[int],
    strides: Any = 1,
    padding: str = "valid",
    data_format: str = "channels_last",
    dilation_rate: Any = 1,
) -> tuple[Size, ...]:
    """Return the shape that a convolution gives.

    Raises:
        ValueError: The kernel has another number of axes, or does not fit in.

    >>> compute_conv_output_shape((1, 7, 7, 3), 8, (3, 3), strides=2)
    (1, 3, 3, 8)
    """
    if len(kernel_size) != len(input_shape) - 2:
        raise ValueError(
            explain(
                "Kernel shape must have the same length as input.",
                kernel_size=tuple(kernel_size),
                input_shape=tuple(input_shape),
            )
        )
    if not isinstance(dilation_rate, int) and len(dilation_rate) != len(kernel_size):
        raise ValueError(
            explain(
                "Dilation must be one number, or one for each spatial axis of the input.",
                dilation_rate=dilation_rate,
                input_shape=tuple(input_shape),
            )
        )
    spatial = _windows(input_shape, kernel_size, strides, padding, data_format, dilation_rate)
    return _with_channels(input_shape[0], spatial, filters, data_format)


def compute_matmul_output_shape(shape1: Shape, shape2: Shape) -> tuple[Size, ...]:
    """Return the shape of a matrix product; vectors are rows on the left, columns on the right.

    Raises:
        ValueError: The inner sizes differ.

    >>> compute_matmul_output_shape((None, 2, 3), (3, 4)), compute_matmul_output_shape((3,), (3,))
    ((None, 2, 4), ())
    """
    left = (1, *shape1) if len(shape1) == 1 else tuple(shape1)
    right = (*shape2, 1) if len(shape2) == 1 else tuple(shape2)
    if None not in (left[-1], right[-2]) and left[-1] != right[-2]:
        raise ValueError(
            explain(
                "Inner dimensions (`x1.shape[-1]` and `x2.shape[-2]`) must be equal.",
                given=f"x1.shape={tuple(shape1)}, x2.shape={tuple(shape2)}",
            )
        )
    rows = () if len(shape1) == 1 else (left[-2],)
    columns = () if len(shape2) == 1 else (right[-1],)
    return (*broadcast_shapes(left[:-2], right[:-2]), *rows, *columns)


def validate_reshape_shape(newshape: Any, newshape_arg_name: str = "newshape") -> None:
    """Check the sizes of a `reshape` that are plain integers.

    Raises:
        ValueError: One is below -1, or several are -1.
    """
    if isinstance(newshape, (torch.Tensor, KerasTensor)):
        return
    known = [size for size in newshape if _is_plain(size)]
    if any(size < -1 for size in known):
        raise ValueError(
            f"Each dimension in `{newshape_arg_name}` must be a non-negative integer, or `-1` for a"
            f" single unknown dimension. Received: {newshape_arg_name}={newshape}"
        )
    if known.count(-1) > 1:
        raise ValueError(
            f"There must be at most one unknown dimension (-1) in `{newshape_arg_name}`. Received:"
            f" {newshape_arg_name}={newshape}"
        )


def _is_plain(size: Any) -> bool:
    """Whether a size is a number known now: neither symbolic nor a tensor."""
    return hasattr(size, "__index__") and not isinstance(
        size, (torch.Tensor, torch.SymInt, KerasTensor)
    )


def compute_reshape_output_shape(
    input_shape: Shape, newshape: Any, newshape_arg_name: str = "newshape"
) -> tuple[Size, ...]:
    """Return the shape that `reshape` gives, -1 filled in where it can be known.

    Raises:
        ValueError: The number of elements would change.

    >>> compute_reshape_output_shape((2, 6), (-1, 4))
    (3, 4)
    >>> compute_reshape_output_shape((None, 6), (-1, 4))
    (None, 4)
    """
    validate_reshape_shape(newshape, newshape_arg_name)
    if isinstance(newshape, (torch.Tensor, KerasTensor)):
        rank = newshape.shape[0] if len(newshape.shape) == 1 else None
        return (None,) * (rank or 1)
    sizes = tuple(size if _is_plain(size) else None for size in newshape)
    if None in sizes or None in tuple(input_shape):
        return tuple(None if size == -1 else size for size in sizes)
    total = math.prod(input_shape)
    given = math.prod(size for size in sizes if size != -1)
    divisible = -1 in sizes and given and total % given == 0
    if total != given and not divisible:
        raise ValueError(
            explain(
                "The total size of the tensor must be unchanged.",
                input_shape=tuple(input_shape),
                **{newshape_arg_name: newshape},
            )
        )
    return tuple(total // given if size == -1 else size for size in sizes)


def compute_transpose_output_shape(
    input_shape: Shape, axes: Sequence[int] | None
) -> tuple[Size, ...]:
    """Return the shape with its axes in another order; reversed for `None`.

    Raises:
        ValueError: `axes` is no permutation.
    """
    if axes is None:
        return tuple(reversed(input_shape))
    rank = len(input_shape)
    order = [axis % rank for axis in axes if -rank <= axis < rank]
    if len(axes) != rank or sorted(order) != list(range(rank)):
        raise ValueError(
            explain(
                "`axes` must be a permutation of the axes of the input.",
                axes=list(axes),
                input_shape=tuple(input_shape),
            )
        )
    return tuple(input_shape[axis] for axis in order)


def compute_take_along_axis_output_shape(
    input_shape: Shape, indices_shape: Shape, axis: int | None
) -> list[Size]:
    """Return the shape that `take_along_axis` gives; `None` looks into the flattened input.

    Raises:
        ValueError: The shapes have different ranks, or do not broadcast.
    """
    sizes = list(input_shape)
    if axis is None:
        sizes, axis = [None if None in sizes else math.prod(sizes)], 0
    if len(sizes) != len(indices_shape):
        raise ValueError(
            explain(
                "`x` and `indices` must have the same number of dimensions.",
                given=f"shapes {tuple(sizes)} and {tuple(indices_shape)}",
            )
        )
    axis = canonicalize_axis(axis, len(sizes))
    sizes[axis] = indices_shape[axis]
    return broadcast_shapes(sizes, indices_shape)


def reduce_shape(
    shape: Shape, axis: int | Sequence[int] | None = None, keepdims: bool = False
) -> tuple[Size, ...]:
    """Return the shape that a reduction gives.

    >>> reduce_shape((2, 3, 4), [-1, 0]), reduce_shape((2, 3), 1, keepdims=True)
    ((3,), (2, 1))
    """
    gone = range(len(shape)) if axis is None else canonicalize_axes(axis, len(shape))
    if keepdims:
        return tuple(1 if i in gone else size for i, size in enumerate(shape))
    return tuple(size for i, size in enumerate(shape) if i not in gone)
