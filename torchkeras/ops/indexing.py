"""Choosing, searching, ordering and writing by index.

Negative indices count from the end, as in NumPy; torch's kernels refuse them in places, so tensors
of indices are wrapped first. Out-of-range ones are errors on the CPU, undefined on accelerators.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..dtypes import result_type, to_torch
from ..graph.context import CONTEXT
from ..graph.infer import known_shape, unknown_size
from ..graph.operation import elementwise_op, op
from .common import (
    NUMPY,
    Shape,
    as_floating,
    as_tensor,
    as_tensors,
    canonical_axis,
    operands,
)

__all__ = [
    "argpartition",
    "argsort",
    "bincount",
    "digitize",
    "get_item",
    "histogram",
    "isin",
    "nonzero",
    "scatter",
    "scatter_update",
    "searchsorted",
    "select",
    "slice",
    "slice_update",
    "sort",
    "take",
    "take_along_axis",
    "unique",
    "where",
]

_CORE = "keras.src.ops.core."


def _wrapped(indices: Any, size: int, like: Tensor) -> Tensor:
    """Return indices as `int64`, negative ones counted from the front."""
    indices = as_tensor(indices, torch.int64, like)
    return torch.where(indices < 0, indices + size, indices)


@op(path=NUMPY + "GetItem")
def get_item(x: Tensor, key: Tensor) -> Tensor:
    """`x[key]`.

    Args:
        x: Any tensor.
        key: Integers, slices, `...`, `None` or tensors; several in a tuple or list.

    Example:
        >>> get_item(torch.tensor([[1, 2], [3, 4]]), (..., 0)).tolist()
        [1, 3]
    """
    x = as_tensor(x)
    if CONTEXT.meta:
        if isinstance(key, Tensor) and key.dtype is torch.bool:  # how many it picks, nobody knows
            return x.new_zeros((unknown_size(), *x.shape[key.ndim :]))
        key = _without_bounds(key, known_shape(x))
    # A list that a file or a call made of a tuple; a list of numbers alone is an index array.
    if isinstance(key, list) and not all(type(item) in (int, bool, list) for item in key):
        key = tuple(key)
    if type(key) is tuple:
        return x[tuple(as_tensor(k) if isinstance(k, Tensor) else k for k in key)]
    return x[as_tensor(key) if isinstance(key, Tensor) else key]


def _without_bounds(key: Any, shape: tuple[int | None, ...]) -> Any:
    """Take whole axes where the size is unknown: so is how much of it a slice leaves."""
    items = list(key) if isinstance(key, (list, tuple)) else [key]
    if builtins.sum(item is ... for item in items) > 1:
        raise ValueError(f"get_item: a key may have one ellipsis (`...`) only. Received: key={key}")
    kinds = (int, builtins.slice, type(None), type(...))
    if None not in shape or not builtins.all(isinstance(item, kinds) for item in items):
        return key
    rest = len(shape) - builtins.sum(isinstance(item, (int, builtins.slice)) for item in items)
    axis = 0
    for i, item in enumerate(items):
        if isinstance(item, builtins.slice) and axis < len(shape) and shape[axis] is None:
            items[i] = builtins.slice(None)
        axis += rest if item is ... else item is not None
    return tuple(items)


@op(path=NUMPY + "Take")
def take(x: Tensor, indices: Tensor, axis: int | None = None) -> Tensor:
    """The values of `x` at `indices` along an axis.

    Args:
        x: Any tensor.
        indices: Integers of any shape, which replaces the axis.
        axis: The axis; `None` flattens `x` first.

    Example:
        >>> take([[1, 2], [3, 4]], [1, 0, 1], axis=1).tolist()
        [[2, 1, 2], [4, 3, 4]]
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = x.reshape(-1), 0
    axis = canonical_axis(axis, x.ndim)
    if type(indices) is int:
        return x.select(axis, indices)
    indices = _wrapped(indices, x.shape[axis], x)
    if x.ndim == 2 and axis == 0:
        return torch.embedding(x, indices)
    if indices.ndim == 1:
        return torch.index_select(x, axis, indices)
    shape = x.shape[:axis] + indices.shape + x.shape[axis + 1 :]
    return torch.index_select(x, axis, indices.reshape(-1)).reshape(shape)


@op(path=NUMPY + "TakeAlongAxis")
def take_along_axis(x: Tensor, indices: Tensor, axis: int | None = None) -> Tensor:
    """The values of `x` at positions along an axis that differ from row to row.

    Args:
        x: Any tensor.
        indices: Integers that broadcast against `x` in all other axes.
        axis: The axis; `None` flattens both.

    Example:
        >>> take_along_axis([[1, 2], [3, 4]], [[1], [0]], axis=1).tolist()
        [[2], [3]]
    """
    x = as_tensor(x)
    axis = None if axis is None else canonical_axis(axis, x.ndim)
    indices = _wrapped(indices, x.numel() if axis is None else x.shape[axis], x)
    return torch.take_along_dim(x, indices, axis)


@elementwise_op(path=NUMPY + "Where")
def where(condition: Tensor, x1: Tensor | None = None, x2: Tensor | None = None) -> Tensor:
    """`x1` where the condition holds and `x2` elsewhere, broadcast.

    Args:
        condition: True where not zero.
        x1, x2: The values; without them, the indices at which the condition holds are returned,
            one row per axis.

    Raises:
        ValueError: Only one of `x1` and `x2` is given.

    Example:
        >>> where([True, False], 1, 2).tolist()
        [1, 2]
    """
    condition = as_tensor(condition, torch.bool)
    if x1 is None and x2 is None:
        if CONTEXT.meta:
            return condition.new_zeros((condition.ndim, unknown_size()), dtype=torch.int64)
        return torch.stack(torch.where(condition))
    if x1 is None or x2 is None:
        raise ValueError(
            "where: `x1` and `x2` either both should be `None` (to get indices), or both given."
        )
    if not isinstance(x1, Tensor) and not isinstance(x2, Tensor):
        return torch.where(condition, as_tensor(x1, like=condition), as_tensor(x2, like=condition))
    return torch.where(condition, *operands(x1, x2))


@op(path=NUMPY + "Select")
def select(condlist: Sequence[Tensor], choicelist: Sequence[Tensor], default: Tensor = 0) -> Tensor:
    """Of several values the first one whose condition holds.

    Args:
        condlist: Conditions.
        choicelist: A value for each.
        default: The value where none holds.

    Raises:
        ValueError: The lists are not lists, or empty.

    Example:
        >>> select([[True, False], [True, True]], [[1, 1], [2, 2]]).tolist()
        [1, 2]
    """
    if not isinstance(condlist, (list, tuple)) or not isinstance(choicelist, (list, tuple)):
        raise ValueError(
            "select: `condlist` and `choicelist` must be lists."
            f" Received: {type(condlist).__name__} and {type(choicelist).__name__}"
        )
    if not condlist or not choicelist:
        raise ValueError("select: `condlist` and `choicelist` must not be empty.")
    result = as_tensor(default)
    pairs = list(zip(condlist, choicelist, strict=True))
    for condition, choice in reversed(pairs):
        choice, result = as_tensors(choice, result)
        result = torch.where(as_tensor(condition, torch.bool), choice, result)
    return result


@op(path=NUMPY + "Nonzero")
def nonzero(x: Tensor) -> Tensor:
    """The indices of values that are not zero, one row per axis.

    Example:
        >>> nonzero([0, 3, 0, 4]).tolist()
        [[1, 3]]
    """
    x = as_tensor(x)
    if CONTEXT.meta:
        return x.new_zeros((x.ndim, unknown_size()), dtype=torch.int32)
    return torch.nonzero(x).T.to(torch.int32)


@op(path=NUMPY + "IsIn")
def isin(x1: Tensor, x2: Tensor, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each value of `x1` is one of those of `x2`.

    Args:
        x1: The values asked for.
        x2: The set.
        assume_unique: Whether neither has a value twice; faster.
        invert: Whether to ask if it is not.

    Example:
        >>> isin([1, 2, 3], [2, 5]).tolist()
        [False, True, False]
    """
    x1, x2 = as_tensors(x1, x2)
    if x1.dtype is not x2.dtype or x1.dtype is torch.bool:
        target = to_torch(result_type(x1.dtype, x2.dtype, int))
        x1, x2 = x1.to(target), x2.to(target)
    return torch.isin(x1, x2, assume_unique=assume_unique, invert=invert)


# Order -------------------------------------------------------------------------------------------


@op(path=NUMPY + "Sort")
def sort(x: Tensor, axis: int | None = -1) -> Tensor:
    """The values in ascending order along `axis`; of the flattened tensor for `None`.

    Example:
        >>> sort([3, 1, 2]).tolist()
        [1, 2, 3]
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = x.reshape(-1), 0
    return torch.sort(x, canonical_axis(axis, max(x.ndim, 1))).values


def _orderable(x: Any, axis: int | None) -> tuple[Tensor, int]:
    x = as_tensor(x)
    x = x.to(torch.uint8) if x.dtype is torch.bool else x
    return (x.reshape(-1), 0) if axis is None else (x, canonical_axis(axis, max(x.ndim, 1)))


@op(path=NUMPY + "Argsort")
def argsort(x: Tensor, axis: int | None = -1) -> Tensor:
    """The indices that put `x` in ascending order along `axis`; equal values keep their order.

    Example:
        >>> argsort([3, 1, 2]).tolist()
        [1, 2, 0]
    """
    x, axis = _orderable(x, axis)
    return torch.argsort(x, dim=axis, stable=True).to(torch.int32)


@op(path=NUMPY + "Argpartition")
def argpartition(x: Tensor, kth: int, axis: int | None = -1) -> Tensor:
    """Indices by which the value at place `kth` is the one sorting would put there.

    Smaller values come before it, larger ones after it; torch has no faster way than sorting.

    Raises:
        ValueError: `kth` is no integer.

    Example:
        >>> argpartition([3, 1, 2], 0).tolist()[0]
        1
    """
    if not isinstance(kth, int):
        raise ValueError(f"argpartition: `kth` must be an integer. Received: kth={kth!r}")
    x, axis = _orderable(x, axis)
    return torch.argsort(x, dim=axis, stable=True).to(torch.int32)


@op(path=NUMPY + "SearchSorted")
def searchsorted(sorted_sequence: Tensor, values: Tensor, side: str = "left") -> Tensor:
    """Where values would be inserted in a sorted vector to keep it sorted.

    Args:
        sorted_sequence: A vector in ascending order.
        values: What to insert.
        side: `left` of equal values or `right` of them.

    Raises:
        ValueError: `sorted_sequence` is no vector.

    Example:
        >>> searchsorted([1, 3, 5], [3, 4]).tolist()
        [1, 2]
    """
    sorted_sequence, values = as_tensors(sorted_sequence, values)
    if sorted_sequence.ndim != 1:
        raise ValueError(
            "`searchsorted` takes a vector as its sorted sequence; use `vectorized_map` for more."
            f" Received: sorted_sequence.shape={tuple(sorted_sequence.shape)}"
        )
    return torch.searchsorted(sorted_sequence, values, side=side, out_int32=True)


@op(path=NUMPY + "Digitize")
def digitize(x: Tensor, bins: Tensor) -> Tensor:
    """The number of the bin that each value falls into.

    Args:
        x: Anything numeric.
        bins: The lower edges of bins 1, 2, …, ascending.

    Raises:
        ValueError: `bins` is no vector.

    Example:
        >>> digitize([0.0, 1.0, 5.0], [1.0, 3.0]).tolist()
        [0, 1, 2]
    """
    x, bins = as_tensors(x, bins)
    x = x.to(torch.uint8) if x.dtype is torch.bool else x
    if bins.ndim != 1:
        raise ValueError(f"digitize: `bins` must be a vector. Received: shape={tuple(bins.shape)}")
    return torch.bucketize(x, bins, right=True, out_int32=True)


@op(path=NUMPY + "Bincount")
def bincount(x: Tensor, weights: Any = None, minlength: int = 0, sparse: bool = False) -> Tensor:
    """How often each integer occurs.

    Args:
        x: Integers from 0 on: a vector, or rows that are counted one by one.
        weights: What each occurrence counts; default 1.
        minlength: The least number of counts.
        sparse: Accepted as in Keras; must be `False`.

    Raises:
        ValueError: `sparse` is true.

    Example:
        >>> bincount([0, 1, 1, 3]).tolist()
        [1, 2, 0, 1]
    """
    if sparse:
        raise ValueError("bincount: torch has no sparse result. Received: sparse=True")
    x = as_tensor(x)
    target = torch.int32
    if weights is not None:
        weights = as_tensor(weights, like=x)
        target = to_torch(result_type(x.dtype, weights.dtype))
    if CONTEXT.meta:
        size = unknown_size()
    else:
        size = max(minlength, int(x.max()) + 1 if x.numel() else 0)
    counts = torch.zeros(*x.shape[:-1], size, dtype=target, device=x.device)
    ones = torch.ones_like(x, dtype=target) if weights is None else weights.to(target)
    return counts.scatter_add(-1, x.to(torch.int64), ones)


@op(path=NUMPY + "Histogram")
def histogram(
    x: Tensor, bins: int = 10, range: tuple[float, float] | None = None
) -> tuple[Tensor, Tensor]:
    """Counts of values in bins of equal width, and the edges of the bins.

    Args:
        x: A vector.
        bins: How many bins.
        range: The lower and upper edge; default: the extreme values.

    Raises:
        TypeError: `bins` is no integer.
        ValueError: `bins` is negative, `range` is no ascending pair, or `x` is no vector.

    Example:
        >>> [part.tolist() for part in histogram([1.0, 2.0, 2.0], bins=2)]
        [[1.0, 2.0], [1.0, 1.5, 2.0]]
    """
    if not isinstance(bins, int):
        raise TypeError(f"histogram: `bins` must be an integer. Received: bins={bins!r}")
    if bins < 0:
        raise ValueError(
            f"histogram: Argument `bins` should be a non-negative integer. Received: bins={bins}"
        )
    if range and (not isinstance(range, tuple) or len(range) != 2):
        raise ValueError(
            f"histogram: Argument `range` must be a tuple of two elements. Received: range={range}"
        )
    if range and range[1] < range[0]:
        raise ValueError(
            "histogram: The second element of `range` must be greater than the first."
            f" Received: range={range}"
        )
    x = as_floating(x)
    if x.ndim > 1:
        raise ValueError(
            f"histogram: Input tensor must be 1-dimensional. Received: shape={tuple(x.shape)}"
        )
    return tuple(torch.histogram(x, bins, range=range or None))


@op(path=NUMPY + "Unique")
def unique(
    x: Tensor,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """The different values of `x`, or its different slices along an axis.

    Args:
        x: Any tensor.
        sorted: Whether they are in ascending order.
        return_index: Whether to return where each occurs first.
        return_inverse: Whether to return which of them each value of `x` is.
        return_counts: Whether to return how often each occurs.
        axis: The axis; `None` means all values.
        size: Their number, for a result of a fixed shape: more are cut off, fewer filled up.
        fill_value: What fills up; default 0.

    Returns:
        The values, or a tuple of them and what else was asked for.

    Example:
        >>> unique([3, 1, 3]).tolist()
        [1, 3]
    """
    x = as_tensor(x)
    dim = 0 if axis is None else canonical_axis(axis, x.ndim)
    if CONTEXT.meta:
        return _unique_spec(x, axis, dim, size, (return_index, return_inverse, return_counts))
    values, inverse, counts = torch.unique(
        x, sorted=sorted, return_inverse=True, return_counts=True, dim=axis
    )
    flat = inverse.reshape(-1)
    places = torch.arange(flat.numel(), device=x.device)
    first = flat.new_empty(values.shape[dim])
    first = first.scatter_reduce(0, flat, places, "amin", include_self=False)
    if size is not None:
        values = _fit(values, size, dim, 0 if fill_value is None else fill_value)
        first, counts = _fit(first, size, 0, 1), _fit(counts, size, 0, 0)
    extras = ((return_index, first), (return_inverse, inverse), (return_counts, counts))
    chosen = [extra for wanted, extra in extras if wanted]
    return (values, *chosen) if chosen else values


def _unique_spec(
    x: Tensor, axis: int | None, dim: int, size: int | None, extras: tuple[bool, bool, bool]
) -> Any:
    """What `unique` returns of a tensor without data; how many of several differ is not known."""
    of = x.numel() if axis is None else x.shape[dim]
    if size is None:
        size = of if of in (0, 1) else unknown_size()
    count = size
    values = x.new_zeros([count if i == dim else n for i, n in enumerate(x.shape)])
    if axis is None:
        values = x.new_zeros(count)
    index = x.new_zeros(count, dtype=torch.int64)
    inverse = x.new_zeros(x.shape if axis is None else x.shape[dim], dtype=torch.int64)
    chosen = [e for e, wanted in zip((index, inverse, index), extras, strict=True) if wanted]
    return (values, *chosen) if chosen else values


def _fit(x: Tensor, size: int, dim: int, fill: Any) -> Tensor:
    """Cut or fill an axis to a size."""
    if x.shape[dim] >= size:
        return x.narrow(dim, 0, size)
    padding = [0, 0] * (x.ndim - 1 - dim) + [0, size - x.shape[dim]]
    return F.pad(x, padding, value=fill)


# Slices and writing ------------------------------------------------------------------------------


@op(path=_CORE + "Slice")
def slice(inputs: Tensor, start_indices: Tensor, shape: Shape) -> Tensor:
    """The part of a tensor that begins at given indices and has a given shape.

    Args:
        inputs: Any tensor.
        start_indices: The first index along each axis; numbers, or a tensor of them.
        shape: The sizes; -1 for all that is left.

    Raises:
        ValueError: There is not one index and one size per axis.

    Example:
        >>> slice([[1, 2, 3], [4, 5, 6]], (0, 1), (2, 2)).tolist()
        [[2, 3], [5, 6]]
    """
    inputs = as_tensor(inputs)
    starts, sizes = _starts(start_indices, inputs), list(shape)
    if not len(starts) == len(sizes) == inputs.ndim:
        raise ValueError(
            "slice: the number of dimensions in `start_indices` must match the number of dimensions"
            " in `inputs`, and the number of dimensions in `inputs` must match the number of"
            f" dimensions in `shape`. Received: {len(starts)}, {inputs.ndim} and {len(sizes)}"
        )
    for dim, (start, size) in enumerate(zip(starts, sizes, strict=True)):
        if size == -1:
            size = _left(start, inputs.shape[dim])
        if isinstance(start, Tensor):  # by index, so that the device need not be asked
            places = torch.arange(size, device=inputs.device) + start
            inputs = torch.index_select(inputs, dim, places)
        else:
            start = start if start >= 0 else start + inputs.shape[dim]
            inputs = inputs[(builtins.slice(None),) * dim + (builtins.slice(start, start + size),)]
    return inputs


def _left(start: Any, size: int) -> int:
    """Return how much of an axis comes from `start` on; a tensor's value is read."""
    if isinstance(start, Tensor):
        start = unknown_size() if CONTEXT.meta else int(start)
        return start if CONTEXT.meta else size - start
    return -start if start < 0 else size - start


def _starts(start_indices: Any, like: Tensor) -> list[Any]:
    """Return the first index along each axis, as numbers where they are known."""
    if isinstance(start_indices, Tensor):
        return list(as_tensor(start_indices).unbind(0))
    if hasattr(start_indices, "tolist"):
        return start_indices.tolist()
    return [as_tensor(s) if isinstance(s, Tensor) else int(s) for s in start_indices]


@op(path=_CORE + "SliceUpdate")
def slice_update(inputs: Tensor, start_indices: Tensor, updates: Tensor) -> Tensor:
    """A copy of a tensor in which a part is replaced.

    Args:
        inputs: Any tensor.
        start_indices: The first index along each axis; numbers, or a tensor of them.
        updates: The part, as many axes as `inputs`.

    Example:
        >>> slice_update([0, 0, 0], [1], [5, 6]).tolist()
        [0, 5, 6]
    """
    inputs = as_tensor(inputs)
    updates = as_tensor(updates, inputs.dtype, inputs)
    index = []
    for dim, start in enumerate(_starts(start_indices, inputs)):
        size = updates.shape[dim]
        if isinstance(start, Tensor):
            places = torch.arange(size, device=inputs.device) + start
        else:
            start = start if start >= 0 else start + inputs.shape[dim]
            places = builtins.slice(start, start + size)
        index.append(places)
    if any(isinstance(places, Tensor) for places in index):
        grids = [
            torch.arange(p.start, p.stop, device=inputs.device) if type(p) is _SLICE else p
            for p in index
        ]
        grids = [
            places.reshape(-1, *[1] * (len(grids) - 1 - dim)) for dim, places in enumerate(grids)
        ]
        return inputs.index_put(tuple(grids), updates)
    result = inputs.clone()
    result[tuple(index)] = updates
    return result


_SLICE = builtins.slice


@op(path=_CORE + "Scatter")
def scatter(indices: Tensor, values: Tensor, shape: Shape) -> Tensor:
    """Zeros with values added at indices.

    Args:
        indices: `(..., K)`: the first `K` coordinates of each place.
        values: What is added there; repeated places add up.
        shape: The sizes of the result.

    Example:
        >>> scatter([[0], [2], [2]], [1.0, 2.0, 3.0], (3,)).tolist()
        [1.0, 0.0, 5.0]
    """
    values = as_tensor(values)
    indices = as_tensor(indices, torch.int64, values)
    depth = indices.shape[-1]
    zeros = torch.zeros(tuple(shape), dtype=values.dtype, device=values.device)
    rows = values.reshape(-1, *shape[depth:])
    return zeros.index_put(indices.reshape(-1, depth).unbind(1), rows, accumulate=True)


_REDUCTIONS = {"max": "amax", "min": "amin", "mul": "prod"}


@op(path=_CORE + "ScatterUpdate")
def scatter_update(
    inputs: Tensor, indices: Tensor, updates: Tensor, reduction: str | None = None
) -> Tensor:
    """A copy of a tensor with values written at indices.

    Args:
        inputs: Any tensor.
        indices: `(N, K)`: the first `K` coordinates of each place.
        updates: What is written there.
        reduction: How it meets what is there: `None` replaces; `add`, `max`, `min`, `mul`.

    Raises:
        ValueError: `reduction` is another word.

    Example:
        >>> scatter_update([1, 2, 3], [[0], [2]], [10, 30], reduction="add").tolist()
        [11, 2, 33]
    """
    inputs = as_tensor(inputs)
    indices = as_tensor(indices, torch.int64, inputs)
    updates = as_tensor(updates, inputs.dtype, inputs)
    reduction = reduction if reduction is None else reduction.lower()
    places = indices.unbind(1)
    if reduction is None or reduction == "add":
        return inputs.index_put(places, updates, accumulate=reduction == "add")
    if reduction not in _REDUCTIONS:
        raise ValueError(
            f"Invalid reduction: {reduction!r}. Supported: None, 'add', 'max', 'min', 'mul'."
        )
    # One kernel for all rows: the leading axes become one, and their indices one number.
    depth = indices.shape[1]
    sizes, rest = inputs.shape[:depth], inputs.shape[depth:]
    strides = [math.prod(sizes[i + 1 :]) for i in builtins.range(depth)]
    row = sum(_wrapped(p, n, p) * s for p, n, s in zip(places, sizes, strides, strict=True))
    row = row.reshape(-1, *[1] * len(rest)).expand(-1, *rest)
    flat = inputs.reshape(-1, *rest)
    updates = updates.expand(row.shape)
    return flat.scatter_reduce(0, row, updates, _REDUCTIONS[reduction]).reshape(inputs.shape)
