"""Shapes: reshape, permute, join, split, repeat and flip.

Sizes and axes follow NumPy. What torch can return as a view is one.
While a graph infers shapes, unknown sizes are stand-ins that need not divide or fit; `reshape` and
the splits then only account for sizes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..dtypes import result_type, to_torch
from ..graph.context import CONTEXT
from ..graph.infer import known_shape, unknown_size
from ..graph.operation import op
from .common import (
    NUMPY,
    Axes,
    DType,
    Shape,
    as_tensor,
    as_tensors,
    canonical_axes,
    canonical_axis,
)

__all__ = [
    "append",
    "array_split",
    "broadcast_to",
    "concatenate",
    "diag",
    "diagflat",
    "diagonal",
    "dsplit",
    "dstack",
    "expand_dims",
    "flip",
    "fliplr",
    "flipud",
    "hsplit",
    "hstack",
    "meshgrid",
    "moveaxis",
    "ravel",
    "repeat",
    "reshape",
    "roll",
    "rot90",
    "split",
    "squeeze",
    "stack",
    "swapaxes",
    "tile",
    "transpose",
    "tril",
    "triu",
    "unravel_index",
    "unstack",
    "view",
    "vsplit",
    "vstack",
]

_CORE = "keras.src.ops.core."


@op(path=NUMPY + "Reshape")
def reshape(x: Tensor, newshape: Shape) -> Tensor:
    """The same values in another shape.

    Args:
        x: Any tensor.
        newshape: Sizes; one may be -1 or `None`, for what remains. Beside a -1, `None` stands for
            the size of the same axis of `x`, so that `(ops.shape(x)[0], -1)` works symbolically.

    Raises:
        ValueError: There are several -1.

    Example:
        >>> reshape([1, 2, 3, 4], (2, -1)).tolist()
        [[1, 2], [3, 4]]
    """
    x = as_tensor(x)
    if type(newshape) is tuple and not CONTEXT.meta and None not in newshape:
        least = min(newshape, default=0)
        if least >= 0 or (least == -1 and newshape.count(-1) == 1):
            return torch.reshape(x, newshape)
    shape = _sizes(newshape)
    if CONTEXT.meta and any(isinstance(size, Tensor) for size in _as_sequence(newshape)):
        return x.new_zeros([unknown_size() if size in (None, -1) else size for size in shape])
    if None in shape:
        if shape.count(None) == 1 and -1 not in shape:
            shape[shape.index(None)] = -1
        else:
            shape = [x.shape[i] if size is None else size for i, size in enumerate(shape)]
    if shape.count(-1) > 1:
        raise ValueError(
            f"reshape: there can be at most one unknown dimension (-1). Received: {newshape=}"
        )
    if min(shape, default=0) < -1:
        raise ValueError(
            f"reshape: each size must be a non-negative integer, or -1. Received: {newshape=}"
        )
    if CONTEXT.meta and None in known_shape(x):
        known = math.prod(size for size in shape if size != -1)
        if known and (x.numel() % known or (-1 not in shape and x.numel() != known)):
            return x.new_zeros([x.numel() // known if size == -1 else size for size in shape])
    return torch.reshape(x, shape)


def _sizes(shape: Any) -> list[Any]:
    """Return the sizes of a shape given in any way; within inference, those of tensors are unknown.

    A tensor's values are read, so on a GPU it is better to pass numbers.
    """
    if isinstance(shape, Tensor):
        if shape.is_meta:
            return [unknown_size()] * (shape.shape[0] if shape.ndim else 1)
        return torch.atleast_1d(shape).tolist()
    return [_sizes(size)[0] if isinstance(size, Tensor) else size for size in _as_sequence(shape)]


def _as_sequence(shape: Any) -> Sequence[Any]:
    return shape if isinstance(shape, (list, tuple)) else (shape,)


@op(path=NUMPY + "Ravel")
def ravel(x: Tensor) -> Tensor:
    """The values in one axis.

    Example:
        >>> ravel([[1, 2], [3, 4]]).tolist()
        [1, 2, 3, 4]
    """
    return torch.ravel(as_tensor(x))


@op(path=NUMPY + "Squeeze")
def squeeze(x: Tensor, axis: Axes = None) -> Tensor:
    """`x` without axes of size 1.

    Args:
        x: Any tensor.
        axis: Which to drop; `None` means all of size 1.

    Example:
        >>> squeeze([[[1], [2]]], axis=0).tolist()
        [[1], [2]]
    """
    x = as_tensor(x)
    if axis is None:
        return torch.squeeze(x)
    axes = canonical_axes(axis, x.ndim)
    if CONTEXT.meta and any(x.shape[i] != 1 for i in axes):
        raise ValueError(
            f"squeeze: only axes of size 1 can be dropped. Received: axis={axis}, and x of shape"
            f" {known_shape(x)}"
        )
    return torch.squeeze(x, axes)


@op(path=NUMPY + "ExpandDims")
def expand_dims(x: Tensor, axis: int | Sequence[int]) -> Tensor:
    """`x` with axes of size 1 inserted.

    Args:
        x: Any tensor.
        axis: Where they are in the result.

    Example:
        >>> expand_dims([1, 2], axis=-1).tolist()
        [[1], [2]]
    """
    x = as_tensor(x)
    if isinstance(axis, int):
        return torch.unsqueeze(x, canonical_axis(axis, x.ndim + 1))
    for item in sorted(canonical_axes(axis, x.ndim + len(axis))):
        x = torch.unsqueeze(x, item)
    return x


@op(path=NUMPY + "Transpose")
def transpose(x: Tensor, axes: Sequence[int] | None = None) -> Tensor:
    """`x` with its axes in another order.

    Args:
        x: Any tensor.
        axes: The axis of `x` that comes at each place; `None` reverses the order.

    Example:
        >>> transpose([[1, 2], [3, 4]]).tolist()
        [[1, 3], [2, 4]]
    """
    x = as_tensor(x)
    if axes is None:
        return torch.permute(x, tuple(range(x.ndim))[::-1])
    if CONTEXT.meta:
        _check_permutation(axes, x.ndim)
    return torch.permute(x, tuple(axes))


def _check_permutation(axes: Sequence[int], ndim: int) -> None:
    """Say what is wrong with the axes of a transposition, which torch says in its own terms."""
    wrong = None
    if len(axes) != ndim:
        wrong = f"it must be a list of the same length as the input shape, {ndim}"
    elif not all(-ndim <= axis < ndim for axis in axes):
        wrong = f"Each axis in `axes` must be an integer in [{-ndim}, {ndim})"
    elif len({axis % ndim for axis in axes}) != ndim:
        wrong = "it must be a valid permutation of the axes"
    if wrong:
        raise ValueError(f"transpose: `axes` is wrong: {wrong}. Received: {axes=}")


@op(path=NUMPY + "Moveaxis")
def moveaxis(x: Tensor, source: Any, destination: Any) -> Tensor:
    """`x` with axes moved to other places; the others keep their order.

    Args:
        x: Any tensor.
        source: An axis, or several.
        destination: Where they go.

    Example:
        >>> moveaxis([[[1], [2]]], 0, -1).shape
        torch.Size([2, 1, 1])
    """
    x = as_tensor(x)
    if isinstance(source, int):
        return torch.movedim(x, canonical_axis(source, x.ndim), canonical_axis(destination, x.ndim))
    return torch.movedim(x, canonical_axes(source, x.ndim), canonical_axes(destination, x.ndim))


@op(path=NUMPY + "Swapaxes")
def swapaxes(x: Tensor, axis1: int, axis2: int) -> Tensor:
    """`x` with two axes exchanged.

    Example:
        >>> swapaxes([[1, 2], [3, 4]], 0, 1).tolist()
        [[1, 3], [2, 4]]
    """
    x = as_tensor(x)
    return torch.transpose(x, canonical_axis(axis1, x.ndim), canonical_axis(axis2, x.ndim))


@op(path=NUMPY + "BroadcastTo")
def broadcast_to(x: Tensor, shape: Shape) -> Tensor:
    """`x` repeated to a shape, without a copy.

    Example:
        >>> broadcast_to([1, 2], (2, 2)).tolist()
        [[1, 2], [1, 2]]
    """
    x = as_tensor(x)
    if CONTEXT.meta:  # an unknown size will turn out to fit
        for axis, size in enumerate(known_shape(x)):
            x = x.narrow(axis, 0, 1) if size is None else x
    return torch.broadcast_to(x, (shape,) if isinstance(shape, int) else tuple(shape))


@op(path=NUMPY + "View")
def view(x: Tensor, dtype: DType = None) -> Tensor:
    """The same memory read as another dtype.

    Example:
        >>> view([1.0], "int32").tolist()
        [1065353216]
    """
    return as_tensor(x).view(to_torch(dtype))


# Joining -----------------------------------------------------------------------------------------


@op(path=NUMPY + "Concatenate")
def concatenate(xs: Sequence[Tensor], axis: int | None = 0) -> Tensor:
    """The tensors one after another along `axis`.

    Args:
        xs: Tensors that agree in all other axes.
        axis: The axis; `None` flattens the tensors first.

    Example:
        >>> concatenate([[1, 2], [3]]).tolist()
        [1, 2, 3]
    """
    tensors = as_tensors(*xs)
    if axis is None:
        return torch.cat([tensor.reshape(-1) for tensor in tensors])
    return torch.cat(tensors, canonical_axis(axis, tensors[0].ndim) if tensors else axis)


@op(path=NUMPY + "Stack")
def stack(x: Sequence[Tensor], axis: int = 0) -> Tensor:
    """The tensors beside each other along a new axis.

    Args:
        x: Tensors of one shape.
        axis: Where the new axis is in the result.

    Example:
        >>> stack([[1, 2], [3, 4]], axis=1).tolist()
        [[1, 3], [2, 4]]
    """
    tensors = as_tensors(*x)
    return torch.stack(tensors, canonical_axis(axis, tensors[0].ndim + 1) if tensors else axis)


@op(path=NUMPY + "Append")
def append(x1: Tensor, x2: Tensor, axis: int | None = None) -> Tensor:
    """`x2` after `x1` along `axis`; both flattened for `None`.

    Example:
        >>> append([1, 2], [[3], [4]]).tolist()
        [1, 2, 3, 4]
    """
    x1, x2 = as_tensors(x1, x2)
    if axis is None:
        return torch.cat((x1.reshape(-1), x2.reshape(-1)))
    return torch.cat((x1, x2), axis)


@op(path=NUMPY + "Hstack")
def hstack(xs: Sequence[Tensor]) -> Tensor:
    """The tensors one after another along the second axis; vectors along their only one.

    Example:
        >>> hstack([[1, 2], [3]]).tolist()
        [1, 2, 3]
    """
    return torch.hstack(as_tensors(*xs))


@op(path=NUMPY + "Vstack")
def vstack(xs: Sequence[Tensor]) -> Tensor:
    """The tensors one after another along the first axis; vectors become rows.

    Example:
        >>> vstack([[1, 2], [3, 4]]).tolist()
        [[1, 2], [3, 4]]
    """
    return torch.vstack(as_tensors(*xs))


@op(path=NUMPY + "Dstack")
def dstack(xs: Sequence[Tensor]) -> Tensor:
    """The tensors one after another along the third axis.

    Example:
        >>> dstack([[1, 2], [3, 4]]).tolist()
        [[[1, 3], [2, 4]]]
    """
    return torch.dstack(as_tensors(*xs))


@op(path=NUMPY + "Meshgrid")
def meshgrid(*x: Tensor, indexing: str = "xy") -> tuple[Tensor, ...]:
    """Coordinates of a grid, one tensor per axis.

    Args:
        x: The coordinates along each axis.
        indexing: `xy` exchanges the first two axes of the result; `ij` does not.

    Example:
        >>> [grid.tolist() for grid in meshgrid([1, 2], [3])]
        [[[1, 2]], [[3, 3]]]
    """
    tensors = [tensor.reshape(-1) for tensor in as_tensors(*x)]
    return torch.meshgrid(*tensors, indexing=indexing)


# Splitting ---------------------------------------------------------------------------------------


@op(path=NUMPY + "Split")
def split(x: Tensor, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """`x` cut along `axis`.

    Args:
        x: Any tensor.
        indices_or_sections: How many equal parts; or the indices at which parts begin.
        axis: The axis.

    Raises:
        ValueError: The axis cannot be cut into so many equal parts.

    Example:
        >>> [part.tolist() for part in split([1, 2, 3, 4], [1, 2])]
        [[1], [2], [3, 4]]
    """
    x = as_tensor(x)
    axis = canonical_axis(axis, x.ndim)
    size = x.shape[axis]
    if isinstance(indices_or_sections, int):
        count = indices_or_sections
        if size % count == 0:
            return list(torch.chunk(x, count, axis))
        if known_shape(x)[axis] is not None:
            raise ValueError(
                f"split: axis {axis} of size {size} cannot be cut into {count} equal parts."
                f" Received: x.shape={tuple(x.shape)}. Use `array_split`, or give indices."
            )
        return [x.narrow(axis, i * (size // count), size // count) for i in range(count)]
    bounds = indices_or_sections
    bounds = bounds.tolist() if hasattr(bounds, "tolist") else list(bounds)
    return list(torch.tensor_split(x, bounds, axis))


@op(path=NUMPY + "ArraySplit")
def array_split(x: Tensor, indices_or_sections: int, axis: int = 0) -> list[Tensor]:
    """`x` cut along `axis` into parts that differ by at most 1 in size.

    Raises:
        TypeError: The number of parts is not an integer.
        ValueError: It is not positive.

    Example:
        >>> [part.tolist() for part in array_split([1, 2, 3], 2)]
        [[1, 2], [3]]
    """
    if not isinstance(indices_or_sections, int):
        raise TypeError(
            "Argument `indices_or_sections` must be of type `int`."
            f" Received: indices_or_sections={indices_or_sections!r}"
        )
    if indices_or_sections <= 0:
        raise ValueError(
            "Argument `indices_or_sections` must be a positive integer."
            f" Received: indices_or_sections={indices_or_sections}"
        )
    return list(torch.tensor_split(as_tensor(x), indices_or_sections, axis))


@op(path=NUMPY + "Hsplit")
def hsplit(x: Tensor, indices_or_sections: Any) -> list[Tensor]:
    """`split` along the second axis; of a vector, along its only one.

    Example:
        >>> [part.tolist() for part in hsplit([[1, 2]], 2)]
        [[[1]], [[2]]]
    """
    x = as_tensor(x)
    return split(x, indices_or_sections, min(1, x.ndim - 1))


@op(path=NUMPY + "Vsplit")
def vsplit(x: Tensor, indices_or_sections: Any) -> list[Tensor]:
    """`split` along the first axis.

    Example:
        >>> [part.tolist() for part in vsplit([[1], [2]], 2)]
        [[[1]], [[2]]]
    """
    return split(x, indices_or_sections, 0)


@op(path=NUMPY + "Dsplit")
def dsplit(x: Tensor, indices_or_sections: Any) -> list[Tensor]:
    """`split` along the third axis.

    Example:
        >>> [part.tolist() for part in dsplit([[[1, 2]]], 2)]
        [[[[1]]], [[[2]]]]
    """
    return split(x, indices_or_sections, 2)


@op(path=_CORE + "Unstack")
def unstack(x: Tensor, num: int | None = None, axis: int = 0) -> tuple[Tensor, ...]:
    """The slices of `x` along an axis, which they lack.

    Args:
        x: Any tensor.
        num: How many there are; needed only for symbolic tensors of unknown size.
        axis: The axis.

    Raises:
        ValueError: The size of the axis is unknown, and there is no `num`.

    Example:
        >>> [part.tolist() for part in unstack([[1, 2], [3, 4]])]
        [[1, 2], [3, 4]]
    """
    x = as_tensor(x)
    if known_shape(x)[canonical_axis(axis, x.ndim)] is None:
        if num is None:
            raise ValueError(
                f"unstack: Cannot infer argument `num` from shape {known_shape(x)}, of unknown size"
                f" along axis {axis}. Pass `num`."
            )
        x = x.narrow(axis, 0, num)
    return x.unbind(axis)


# Repeating and padding ---------------------------------------------------------------------------


@op(path=NUMPY + "Repeat")
def repeat(x: Tensor, repeats: Any, axis: int | None = None) -> Tensor:
    """Each value several times in a row.

    Args:
        x: Any tensor.
        repeats: How many times, for all values or for each along `axis`.
        axis: The axis; `None` flattens `x` first.

    Raises:
        ValueError: There are several counts, but not one for each value.

    Example:
        >>> repeat([1, 2], [2, 1]).tolist()
        [1, 1, 2]
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = x.reshape(-1), 0
    if isinstance(repeats, int):
        return torch.repeat_interleave(x, repeats, axis)
    if isinstance(repeats, Tensor):
        return torch.repeat_interleave(x, repeats.to(torch.int64), axis)
    size, counts = known_shape(x)[axis], np.ravel(repeats)
    if len(counts) == 1:
        return torch.repeat_interleave(x, int(counts[0]), axis)
    if size is not None and size != len(counts):
        raise ValueError(
            f"repeat: `repeats` must be one number, or one for each of the {size} along axis"
            f" {axis}. Received: {len(counts)} numbers"
        )
    if CONTEXT.meta:
        shape = list(x.shape)
        shape[axis] = unknown_size() if size is None else int(counts.sum())
        return x.new_zeros(shape)
    # Counts known on the host give the size of the result without asking the device.
    index = np.repeat(np.arange(size), counts)
    return torch.index_select(x, axis, as_tensor(index, like=x))


@op(path=NUMPY + "Tile")
def tile(x: Tensor, repeats: Any) -> Tensor:
    """`x` several times beside itself.

    Args:
        x: Any tensor.
        repeats: How many times along each axis; missing ones at the front are 1.

    Example:
        >>> tile([1, 2], 2).tolist()
        [1, 2, 1, 2]
    """
    if isinstance(repeats, Tensor):
        repeats = repeats.tolist()
    return torch.tile(as_tensor(x), (repeats,) if isinstance(repeats, int) else tuple(repeats))


# Order -------------------------------------------------------------------------------------------


@op(path=NUMPY + "Flip")
def flip(x: Tensor, axis: Axes = None) -> Tensor:
    """`x` in reverse order along `axis`; `None` means all.

    Example:
        >>> flip([[1, 2], [3, 4]], axis=1).tolist()
        [[2, 1], [4, 3]]
    """
    x = as_tensor(x)
    return torch.flip(x, canonical_axes(axis, max(x.ndim, 1)))  # a scalar has axis 0 in torch


@op(path=NUMPY + "Fliplr")
def fliplr(x: Tensor) -> Tensor:
    """`x` in reverse order along the second axis.

    Example:
        >>> fliplr([[1, 2]]).tolist()
        [[2, 1]]
    """
    return torch.fliplr(as_tensor(x))


@op(path=NUMPY + "Flipud")
def flipud(x: Tensor) -> Tensor:
    """`x` in reverse order along the first axis.

    Example:
        >>> flipud([[1], [2]]).tolist()
        [[2], [1]]
    """
    return torch.flipud(as_tensor(x))


@op(path=NUMPY + "Rot90")
def rot90(array: Tensor, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Tensor:
    """`array` turned by `k` quarters of a circle in the plane of two axes.

    Args:
        array: At least two axes.
        k: Quarters, from the first axis towards the second.
        axes: The plane.

    Raises:
        ValueError: `array` has fewer than two axes, or the axes are no two different ones of it.

    Example:
        >>> rot90([[1, 2], [3, 4]]).tolist()
        [[2, 4], [1, 3]]
    """
    array = as_tensor(array)
    if array.ndim < 2:
        raise ValueError(f"rot90: expected at least 2 axes. Received: array.ndim={array.ndim}")
    if len(axes) != 2 or axes[0] == axes[1]:
        raise ValueError(f"rot90: `axes` must be two different axes. Received: axes={axes}")
    return torch.rot90(array, k, canonical_axes(axes, array.ndim))


@op(path=NUMPY + "Roll")
def roll(x: Tensor, shift: Any, axis: Axes = None) -> Tensor:
    """`x` moved along `axis`; what leaves at the end comes in at the front.

    Example:
        >>> roll([1, 2, 3], 1).tolist()
        [3, 1, 2]
    """
    if isinstance(axis, (list, tuple)) and isinstance(shift, int):
        shift = (shift,) * len(axis)
    return torch.roll(as_tensor(x), shift, axis)


# Diagonals ---------------------------------------------------------------------------------------


@op(path=NUMPY + "Tril")
def tril(x: Tensor, k: int = 0) -> Tensor:
    """The lower triangle of matrices up to diagonal `k`; zeros above.

    Example:
        >>> tril([[1, 2], [3, 4]]).tolist()
        [[1, 0], [3, 4]]
    """
    return torch.tril(as_tensor(x), k)


@op(path=NUMPY + "Triu")
def triu(x: Tensor, k: int = 0) -> Tensor:
    """The upper triangle of matrices from diagonal `k` on; zeros below.

    Example:
        >>> triu([[1, 2], [3, 4]]).tolist()
        [[1, 2], [0, 4]]
    """
    return torch.triu(as_tensor(x), k)


@op(path=NUMPY + "Diag")
def diag(x: Tensor, k: int = 0) -> Tensor:
    """The matrix with a vector on diagonal `k`, or that diagonal of a matrix.

    Example:
        >>> diag([1, 2]).tolist()
        [[1, 0], [0, 2]]
    """
    x = as_tensor(x)
    if CONTEXT.meta and x.ndim == 2 and None in known_shape(x):
        return x.new_zeros(unknown_size())
    return torch.diag(x, k)


@op(path=NUMPY + "Diagflat")
def diagflat(x: Tensor, k: int = 0) -> Tensor:
    """The matrix with all values of `x` on diagonal `k`.

    Example:
        >>> diagflat([[1, 2]]).tolist()
        [[1, 0], [0, 2]]
    """
    return torch.diagflat(as_tensor(x), k)


@op(path=NUMPY + "Diagonal")
def diagonal(x: Tensor, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """A diagonal in the plane of two axes; it is the last axis of the result.

    Raises:
        ValueError: The axes are the same.

    Example:
        >>> diagonal([[1, 2], [3, 4]]).tolist()
        [1, 4]
    """
    x = as_tensor(x)
    if canonical_axis(axis1, x.ndim) == canonical_axis(axis2, x.ndim):
        raise ValueError(
            f"`axis1` and `axis2` cannot be the same. Received: axis1={axis1}, axis2={axis2}"
        )
    result = torch.diagonal(x, offset, axis1, axis2)
    if CONTEXT.meta and None in (known_shape(x)[axis1], known_shape(x)[axis2]):
        return x.new_zeros(*result.shape[:-1], unknown_size())
    return result


@op(path=NUMPY + "UnravelIndex")
def unravel_index(indices: Tensor, shape: Shape) -> tuple[Tensor, ...]:
    """The index along each axis of positions in a flattened tensor.

    Example:
        >>> [index.tolist() for index in unravel_index([1, 5], (2, 3))]
        [[0, 1], [1, 2]]
    """
    indices = as_tensor(indices)
    target = to_torch(result_type(indices.dtype))
    if CONTEXT.meta:  # symbolic tensors are floats unless told otherwise; the graph's run will tell
        indices = indices.to(torch.int64)
    return tuple(index.to(target) for index in torch.unravel_index(indices, tuple(shape)))
