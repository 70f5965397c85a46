"""TensorFlow's functions that pick and place: slices, gather, scatter, masks, conditions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...graph.context import CONTEXT
from ...graph.infer import unknown_size
from .common import TABLE, in_tensorflow, integers, pair, tensor

__all__: list[str] = []


@in_tensorflow("__operators__.getitem")
def _getitem(tensor: Any, slice_spec: Any, var: Any = None) -> Any:
    x = TABLE["identity"](tensor)
    if isinstance(slice_spec, Tensor) and slice_spec.dtype is torch.bool:
        return _boolean_mask(x, slice_spec)
    return _picked(x, list(slice_spec) if isinstance(slice_spec, (list, tuple)) else [slice_spec])


def _picked(x: Tensor, parts: list[Any]) -> Tensor:
    """Apply the parts of a subscript to the axes in turn."""
    for i, part in enumerate(parts):
        if part is Ellipsis:
            after = sum(p is not None for p in parts[i + 1 :])
            before = sum(p is not None for p in parts[:i])
            parts = [*parts[:i], *[slice(None)] * (x.ndim - before - after), *parts[i + 1 :]]
            break
    axis = 0
    for part in parts:
        if part is None:
            x = x.unsqueeze(axis)
            axis += 1
        elif isinstance(part, (slice, dict)):
            x = _sliced(x, axis, *_bounds(part))
            axis += 1
        else:
            x = x.select(axis, int(part))
    return x


def _bounds(part: Any) -> list[int | None]:
    values = (
        [part[key] for key in ("start", "stop", "step")]
        if isinstance(part, dict)
        else [part.start, part.stop, part.step]
    )
    return [None if value is None else int(value) for value in values]


def _sliced(x: Tensor, axis: int, start: Any, stop: Any, step: Any) -> Tensor:
    start, stop, step = slice(start, stop, step).indices(x.shape[axis])
    count = len(range(start, stop, step))
    if step > 0:
        inner = x.narrow(axis, start if count else 0, (count - 1) * step + 1 if count else 0)
        return inner[(slice(None),) * axis + (slice(None, None, step),)] if step > 1 else inner
    places = torch.arange(count, device=x.device) * step + start
    return x.index_select(axis, places)


@in_tensorflow("strided_slice")
def _strided_slice(
    input_: Any,
    begin: Any,
    end: Any,
    strides: Any = None,
    begin_mask: int = 0,
    end_mask: int = 0,
    ellipsis_mask: int = 0,
    new_axis_mask: int = 0,
    shrink_axis_mask: int = 0,
    var: Any = None,
) -> Any:
    begin, end = integers(begin), integers(end)
    steps = [1] * len(begin) if strides is None else integers(strides)
    parts: list[Any] = []
    for i, (first, last, step) in enumerate(zip(begin, end, steps, strict=True)):
        bit = 1 << i
        if ellipsis_mask & bit:
            parts.append(Ellipsis)
        elif new_axis_mask & bit:
            parts.append(None)
        elif shrink_axis_mask & bit:
            parts.append(first)
        else:
            parts.append(
                slice(None if begin_mask & bit else first, None if end_mask & bit else last, step)
            )
    return _picked(tensor(input_), parts)


@in_tensorflow("slice")
def _slice(input_: Any, begin: Any, size: Any) -> Any:
    x = tensor(input_)
    for axis, (first, count) in enumerate(zip(integers(begin), integers(size), strict=True)):
        x = x.narrow(axis, first, x.shape[axis] - first if count == -1 else count)
    return x


@in_tensorflow("boolean_mask", "compat.v1.boolean_mask")
def _boolean_mask(tensor: Any, mask: Any, axis: Any = None) -> Any:
    x = TABLE["identity"](tensor)
    mask = TABLE["cast"](mask, "bool").to(x.device)
    first = 0 if axis is None else int(axis)
    x = x.flatten(first, first + mask.ndim - 1)
    if CONTEXT.meta:
        return x.new_zeros(*x.shape[:first], unknown_size(), *x.shape[first + 1 :])
    return x.index_select(first, mask.flatten().nonzero()[:, 0])


@in_tensorflow("where")
def _where(condition: Any, x: Any = None, y: Any = None) -> Any:
    condition = TABLE["cast"](condition, "bool")
    if x is None and y is None:
        if CONTEXT.meta:
            shape = (unknown_size(), condition.ndim)
            return torch.zeros(shape, dtype=torch.int64, device=condition.device)
        return condition.nonzero()
    x, y = pair(x, y)
    return torch.where(condition, x.to(condition.device), y.to(condition.device))


@in_tensorflow("compat.v1.where")
def _where_v1(condition: Any, x: Any = None, y: Any = None) -> Any:
    condition = TABLE["cast"](condition, "bool")
    if x is not None and condition.ndim == 1:
        x, y = pair(x, y)  # a condition of rank 1 picks rows
        condition = condition.reshape(-1, *[1] * (x.ndim - 1))
    return _where(condition, x, y)


# Gather and scatter ------------------------------------------------------------------------------


def _gathered(params: Any, indices: Any, axis: Any, batch_dims: Any) -> Tensor:
    x = tensor(params)
    places = tensor(indices).to(x.device).long()
    batch = int(batch_dims) % (places.ndim or 1) if int(batch_dims) < 0 else int(batch_dims)
    axis = batch if axis is None else int(axis) % x.ndim
    lead, own = places.shape[:batch], places.shape[batch:]
    if not batch:
        found = x.index_select(axis, places.reshape(-1))
        return found.reshape(*x.shape[:axis], *own, *x.shape[axis + 1 :])
    # One gather along the axis, with the indices' own axes in its place.
    x = x.movedim(axis, batch)
    rest = x.shape[batch + 1 :]
    flat = places.reshape(*lead, -1, *[1] * len(rest)).expand(*lead, -1, *rest)
    found = torch.gather(x, batch, flat).reshape(*lead, *own, *rest)
    moved = list(range(batch, batch + len(own)))
    return found.movedim(moved, [axis + i for i in range(len(own))])


@in_tensorflow("gather", "compat.v1.gather")
def _gather(
    params: Any,
    indices: Any,
    validate_indices: Any = None,
    axis: Any = None,
    batch_dims: Any = 0,
) -> Any:
    return _gathered(params, indices, axis, batch_dims)


@in_tensorflow("compat.v1.batch_gather")
def _batch_gather(params: Any, indices: Any) -> Any:
    places = tensor(indices)
    return _gathered(params, places, places.ndim - 1, places.ndim - 1)


@in_tensorflow("nn.embedding_lookup")
def _embedding_lookup(params: Any, ids: Any, max_norm: Any = None) -> Any:
    rows = _gathered(params, ids, 0, 0)
    if max_norm is None:
        return rows
    return TABLE["clip_by_norm"](rows, max_norm, [-1])


@in_tensorflow("compat.v1.nn.embedding_lookup")
def _embedding_lookup_v1(
    params: Any,
    ids: Any,
    partition_strategy: str = "mod",
    validate_indices: bool = True,
    max_norm: Any = None,
) -> Any:
    return _embedding_lookup(params, ids, max_norm)  # how parts are told apart, of which is one


@in_tensorflow("gather_nd", "compat.v1.gather_nd")
def _gather_nd(params: Any, indices: Any, batch_dims: Any = 0, bad_indices_policy: str = "") -> Any:
    x = tensor(params)
    places = tensor(indices).to(x.device).long()
    batch = int(batch_dims)
    lead = [
        torch.arange(size, device=x.device).reshape(*[1] * i, size, *[1] * (places.ndim - 2 - i))
        for i, size in enumerate(x.shape[:batch])
    ]
    return x[(*lead, *places.unbind(-1))]


@in_tensorflow("scatter_nd")
def _scatter_nd(indices: Any, updates: Any, shape: Any, bad_indices_policy: str = "") -> Any:
    updates = tensor(updates)
    zeros = torch.zeros(integers(shape), dtype=updates.dtype, device=updates.device)
    return _placed(zeros, indices, updates, "sum")


def _placed(x: Tensor, indices: Any, updates: Tensor, how: str | None) -> Tensor:
    places = tensor(indices).to(x.device).long().unbind(-1)
    if how in (None, "sum"):
        return x.index_put(places, updates, accumulate=how == "sum")
    flat = torch.zeros((), dtype=torch.long, device=x.device)
    for place, size in zip(places, x.shape, strict=False):
        flat = flat * size + place
    rows = x.reshape(-1, *x.shape[len(places) :])
    values = updates.reshape(-1, *rows.shape[1:])
    index = flat.reshape(-1, *[1] * (values.ndim - 1)).expand_as(values)
    return rows.scatter_reduce(0, index, values, how).reshape(x.shape)


def _update(name: str, how: str | None, sign: int = 1) -> None:
    def call(tensor: Any, indices: Any, updates: Any, bad_indices_policy: str = "") -> Any:
        x, updates = pair(tensor, updates)
        return _placed(x, indices, updates if sign == 1 else -updates, how)

    TABLE[f"tensor_scatter_nd_{name}"] = call


_update("update", None)
_update("add", "sum")
_update("sub", "sum", -1)
_update("max", "amax")
_update("min", "amin")


@in_tensorflow("unravel_index")
def _unravel_index(indices: Any, dims: Any) -> Any:
    x = tensor(indices)
    return torch.stack(list(torch.unravel_index(x, integers(dims)))).to(x.dtype)


@in_tensorflow("dynamic_partition")
def _dynamic_partition(data: Any, partitions: Any, num_partitions: Any) -> Any:
    x, part = tensor(data), tensor(partitions)
    return [_boolean_mask(x, part == i) for i in range(int(num_partitions))]


@in_tensorflow("dynamic_stitch")
def _dynamic_stitch(indices: Any, data: Any) -> Any:
    data = [tensor(x) for x in data]
    places = [tensor(i).to(x.device).long() for i, x in zip(indices, data, strict=True)]
    inner = data[0].shape[places[0].ndim :]
    place = torch.cat([i.reshape(-1) for i in places])
    rows = torch.cat([x.reshape(-1, *inner) for x in data])
    size = unknown_size() if CONTEXT.meta else int(place.max()) + 1
    result = rows.new_zeros(size, *inner)
    # The last of several rows for a place counts: they are written in turn where there are such.
    if CONTEXT.meta or len(torch.unique(place)) == len(place):
        return result.index_copy(0, place, rows)
    order = torch.zeros(size, dtype=torch.long, device=place.device)
    order = order.scatter_reduce(0, place, torch.arange(len(place), device=place.device), "amax")
    return rows[order]
