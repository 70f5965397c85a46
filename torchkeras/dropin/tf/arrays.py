"""TensorFlow's functions that make, cut, join, gather and scatter tensors, by their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

import torchkeras.ops as ops  # `from ... import ops` would import the package's root as well

from ...config import default_device
from ...dtypes import to_torch
from ...graph.keras_tensor import KerasTensor
from .modules import ShapeTensor, TensorShape
from .tables import named
from .tensors import StringTensor, as_tensor, is_text_dtype, matched, tensor_or_symbol

__all__ = ["ARRAYS", "constant", "convert_to_tensor", "ints", "shape"]

t = tensor_or_symbol


def ints(sizes: Any) -> Any:
    """A shape, however it is given, as a tuple of integers."""
    if isinstance(sizes, torch.Tensor):
        return tuple(sizes.reshape(-1).tolist())
    if isinstance(sizes, (int, np.integer)):
        return (int(sizes),)
    return tuple(s if s is None or isinstance(s, KerasTensor) else int(s) for s in sizes)


def constant(
    value: Any, dtype: Any = None, shape: Sequence[int] | None = None, name: str = "Const"
) -> Any:
    """Make a tensor on the default device.

    Args:
        value: Number, string, array or nested lists of numbers, strings and tensors.
        dtype: Of the result; by default that of an array, int32 for integers, float32 for floats.
        shape: Of the result; a single number is repeated.
        name: Ignored; tensors have no names.

    Example:
        >>> constant([1, 2]).dtype, constant(0.5).dtype
        (torch.int32, torch.float32)
    """
    tensor = as_tensor(value, dtype)
    if shape is None:
        return tensor
    size = ints(shape)
    if isinstance(tensor, StringTensor):
        return StringTensor(np.resize(tensor, size))
    return tensor.expand(*size) if tensor.numel() == 1 else tensor.reshape(size)


def convert_to_tensor(
    value: Any, dtype: Any = None, dtype_hint: Any = None, name: str | None = None
) -> Any:
    """Make a tensor of `value`; a tensor of the right dtype is handed back as it is.

    Args:
        value, dtype, name: As for `constant`.
        dtype_hint: Ignored.
    """
    return value if isinstance(value, KerasTensor) else as_tensor(value, dtype)


def shape(input: Any, out_type: Any = None, name: str | None = None) -> ShapeTensor:
    """The shape as integers; `None` where a symbolic tensor's is unknown."""
    return ShapeTensor(t(input).shape)


def _size(input: Any, out_type: Any = torch.int32, name: str | None = None) -> Any:
    return torch.tensor(int(np.prod(t(input).shape)), dtype=to_torch(out_type))


def _filled(value: float) -> Any:
    def make(
        shape: Any, dtype: Any = torch.float32, name: str | None = None, layout: Any = None
    ) -> Any:
        if is_text_dtype(dtype):
            return StringTensor(np.full(ints(shape), b"", dtype=object))
        return torch.full(ints(shape), value, dtype=to_torch(dtype), device=default_device())

    return make


def _like(op: Any) -> Any:
    def make(input: Any, dtype: Any = None, name: str | None = None, layout: Any = None) -> Any:
        return op(t(input), dtype=dtype)

    return make


def _fill(dims: Any, value: Any, name: str | None = None, layout: Any = None) -> Any:
    value = as_tensor(value)
    if isinstance(value, StringTensor):
        return StringTensor(np.full(ints(dims), value.item(), dtype=object))
    return value.expand(ints(dims)).clone()


def _range(
    start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None, name: str = "range"
) -> torch.Tensor:
    if limit is None:
        start, limit = 0, start
    values = [v.item() if isinstance(v, torch.Tensor) else v for v in (start, limit, delta)]
    if dtype is None:
        found = next((v.dtype for v in (start, limit, delta) if isinstance(v, torch.Tensor)), None)
        whole = all(isinstance(v, (int, np.integer)) for v in values)
        dtype = found or (torch.int32 if whole else torch.float32)
    return torch.arange(*values, dtype=to_torch(dtype), device=default_device())


def _linspace(start: Any, stop: Any, num: int, name: str = "linspace", axis: int = 0) -> Any:
    return ops.linspace(t(start), t(stop), int(num), axis=axis)


def _reshape(tensor: Any, shape: Any, name: str | None = None) -> Any:
    if isinstance(tensor, StringTensor):
        return StringTensor(np.reshape(tensor, ints(shape)))
    return ops.reshape(t(tensor), ints(shape))


def _concat(values: Any, axis: int, name: str = "concat") -> Any:
    values = [t(value) for value in values]
    if isinstance(values[0], StringTensor):
        return StringTensor(np.concatenate([np.asarray(v) for v in values], axis=axis))
    return ops.concatenate(values, axis=int(axis))


def _stack(values: Any, axis: int = 0, name: str = "stack") -> Any:
    values = [t(value) for value in values]
    if isinstance(values[0], StringTensor):
        return StringTensor(np.stack([np.asarray(v) for v in values], axis=axis))
    return ops.stack(values, axis=int(axis))


def _expand_dims(input: Any, axis: int, name: str | None = None) -> Any:
    if isinstance(input, StringTensor):
        return StringTensor(np.expand_dims(np.asarray(input), axis))
    return ops.expand_dims(t(input), int(axis))


def _squeeze(input: Any, axis: Any = None, name: str | None = None) -> Any:
    if isinstance(input, StringTensor):
        return StringTensor(np.squeeze(np.asarray(input), axis))
    axis = tuple(axis) if isinstance(axis, list) else axis
    return ops.squeeze(t(input), axis or None if axis == () else axis)


def _transpose(a: Any, perm: Any = None, conjugate: bool = False, name: str = "transpose") -> Any:
    result = ops.transpose(t(a), None if perm is None else ints(perm))
    return ops.conjugate(result) if conjugate else result


def _split(
    value: Any, num_or_size_splits: Any, axis: int = 0, num: Any = None, name: str = "split"
) -> list[Any]:
    x = t(value)
    if isinstance(num_or_size_splits, int):
        return list(ops.split(x, num_or_size_splits, axis=axis))
    sizes = list(ints(num_or_size_splits))
    if -1 in sizes:
        sizes[sizes.index(-1)] = x.shape[axis] - sum(sizes) - 1
    return list(ops.split(x, np.cumsum(sizes)[:-1].tolist(), axis=axis))


def _unstack(value: Any, num: Any = None, axis: int = 0, name: str = "unstack") -> list[Any]:
    return list(ops.unstack(t(value), num, axis))


def _tile(input: Any, multiples: Any, name: str | None = None) -> Any:
    if isinstance(input, StringTensor):
        return StringTensor(np.tile(np.asarray(input), ints(multiples)))
    return ops.tile(t(input), ints(multiples))


def _repeat(input: Any, repeats: Any, axis: int | None = None, name: str | None = None) -> Any:
    repeats = repeats.tolist() if isinstance(repeats, torch.Tensor) else repeats
    return ops.repeat(t(input), repeats, axis=axis)


def _pad(
    tensor: Any,
    paddings: Any,
    mode: str = "CONSTANT",
    constant_values: Any = 0,
    name: str | None = None,
) -> Any:
    widths = np.asarray([ints(pair) for pair in paddings]).tolist()
    mode = mode.lower()
    x = t(tensor)
    if mode == "constant":
        return ops.pad(x, widths, mode, constant_values)
    return ops.pad(x, widths, mode)


def _slice(input_: Any, begin: Any, size: Any, name: str | None = None) -> Any:
    x, begin, size = t(input_), ints(begin), ints(size)
    return x[tuple(slice(b, None if s == -1 else b + s) for b, s in zip(begin, size, strict=True))]


def _gather(
    params: Any,
    indices: Any,
    validate_indices: Any = None,
    axis: int | None = None,
    batch_dims: int = 0,
    name: str | None = None,
) -> Any:
    indices = t(indices)
    if isinstance(params, StringTensor):
        return StringTensor(np.take(np.asarray(params), np.asarray(indices), axis=axis or 0))
    x = t(params)
    if not batch_dims:
        return ops.take(x, indices, axis=0 if axis is None else int(axis))
    batch_dims = batch_dims % indices.ndim if batch_dims < 0 else batch_dims
    axis = batch_dims if axis is None else axis % x.ndim
    # One gather along the axis, with the indices' own axes in its place.
    lead, own = indices.shape[:batch_dims], indices.shape[batch_dims:]
    x = x.movedim(axis, batch_dims)
    rest = x.shape[batch_dims + 1 :]
    flat = indices.reshape(*lead, -1, *[1] * len(rest)).expand(*lead, -1, *rest).long()
    found = torch.gather(x, batch_dims, flat).reshape(*lead, *own, *rest)
    moved = list(range(batch_dims, batch_dims + len(own)))
    return found.movedim(moved, [axis + i for i in range(len(own))]) if moved else found


def _gather_nd(params: Any, indices: Any, batch_dims: int = 0, name: str | None = None) -> Any:
    x, places = t(params), t(indices).long()
    lead = [
        torch.arange(size, device=x.device).reshape(*[1] * i, size, *[1] * (places.ndim - 2 - i))
        for i, size in enumerate(x.shape[:batch_dims])
    ]
    return x[(*lead, *places.unbind(-1))]


def _scatter_nd(indices: Any, updates: Any, shape: Any, name: str | None = None) -> Any:
    updates = t(updates)
    zeros = torch.zeros(ints(shape), dtype=updates.dtype, device=updates.device)
    return zeros.index_put(t(indices).long().unbind(-1), updates, accumulate=True)


def _scattered(reduce: str | None) -> Any:
    def scatter(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Any:
        x, updates = matched(t(tensor), updates)
        places = t(indices).long().unbind(-1)
        if reduce in (None, "sum"):
            return x.index_put(places, updates, accumulate=reduce == "sum")
        if reduce == "sub":
            return x.index_put(places, -updates, accumulate=True)
        flat = torch.zeros((), dtype=torch.long, device=x.device)
        for place, size in zip(places, x.shape, strict=False):
            flat = flat * size + place
        rows = x.reshape(-1, *x.shape[len(places) :])
        values = updates.reshape(-1, *rows.shape[1:])
        index = flat.reshape(-1, *[1] * (values.ndim - 1)).expand_as(values)
        return rows.scatter_reduce(0, index, values, reduce).reshape(x.shape)

    return scatter


def _one_hot(
    indices: Any,
    depth: Any,
    on_value: Any = None,
    off_value: Any = None,
    axis: int | None = None,
    dtype: Any = None,
    name: str | None = None,
) -> Any:
    axis = -1 if axis is None else axis
    if on_value is None and off_value is None:
        return ops.one_hot(t(indices), int(depth), axis=axis, dtype=dtype or torch.float32)
    on, off = 1 if on_value is None else on_value, 0 if off_value is None else off_value
    dtype = dtype or as_tensor(on).dtype
    hot = ops.one_hot(t(indices), int(depth), axis=axis, dtype="bool")
    return ops.cast(ops.where(hot, on, off), dtype)


def _boolean_mask(tensor: Any, mask: Any, axis: int | None = None, name: str = "mask") -> Any:
    mask = t(mask)
    if isinstance(tensor, StringTensor):
        return StringTensor(np.asarray(tensor)[np.asarray(mask)])
    return t(tensor)[(*[slice(None)] * (axis or 0), mask)]


def _where(condition: Any, x: Any = None, y: Any = None, name: str | None = None) -> Any:
    condition = t(condition)
    if x is None and y is None:
        return torch.nonzero(condition)
    if isinstance(x, (str, StringTensor)) or isinstance(y, (str, StringTensor)):
        sides = (np.asarray(StringTensor(side)) for side in (x, y))
        return StringTensor(np.where(np.asarray(condition), *sides))
    return ops.where(ops.cast(condition, "bool"), *matched(x, y))


def _broadcast_to(input: Any, shape: Any, name: str | None = None) -> Any:
    return ops.broadcast_to(t(input), ints(shape))


def _meshgrid(*args: Any, indexing: str = "xy", **options: Any) -> list[Any]:
    return list(ops.meshgrid(*map(t, args), indexing=indexing))


def _reverse(tensor: Any, axis: Any, name: str | None = None) -> Any:
    return ops.flip(t(tensor), axis=ints(axis))


def _reverse_sequence(
    input: Any,
    seq_lengths: Any,
    seq_axis: int | None = None,
    batch_axis: int | None = None,
    name: str | None = None,
) -> torch.Tensor:
    x, lengths = t(input), t(seq_lengths).long()
    seq_axis, batch_axis = seq_axis or 0, batch_axis or 0
    moved = x.movedim((batch_axis, seq_axis), (0, 1)) if batch_axis != seq_axis else x
    steps = torch.arange(moved.shape[1], device=x.device)
    order = torch.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)
    rows = torch.arange(moved.shape[0], device=x.device)[:, None]
    return moved[rows, order].movedim((0, 1), (batch_axis, seq_axis))


def _roll(input: Any, shift: Any, axis: Any, name: str | None = None) -> Any:
    return torch.roll(t(input), ints(shift), ints(axis))


def _sort(
    values: Any, axis: int = -1, direction: str = "ASCENDING", name: str | None = None
) -> Any:
    return torch.sort(t(values), dim=axis, descending=direction == "DESCENDING", stable=True)[0]


def _argsort(
    values: Any,
    axis: int = -1,
    direction: str = "ASCENDING",
    stable: bool = False,
    name: str | None = None,
) -> Any:
    down = direction == "DESCENDING"
    return torch.argsort(t(values), dim=axis, descending=down, stable=True).int()


def _unique_in_order(x: Any) -> tuple[Any, ...]:
    """The distinct values in the order in which they first come, where each is, and how often."""
    array = np.asarray(t(x))
    _, first, places, counts = np.unique(
        array, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    parts = (rank[places.reshape(-1)], counts[order])
    return as_tensor(array[np.sort(first)]), *(torch.from_numpy(p).int() for p in parts)


def _sequence_mask(
    lengths: Any, maxlen: Any = None, dtype: Any = torch.bool, name: str | None = None
) -> torch.Tensor:
    lengths = t(lengths)
    size = int(lengths.max()) if maxlen is None else int(maxlen)
    mask = torch.arange(size, device=lengths.device) < lengths.unsqueeze(-1)
    return mask.to(to_torch(dtype))


def _searchsorted(
    sorted_sequence: Any,
    values: Any,
    side: str = "left",
    out_type: Any = torch.int32,
    name: str | None = None,
) -> torch.Tensor:
    found = torch.searchsorted(*matched(sorted_sequence, values), side=side)
    return found.to(to_torch(out_type))


def _histogram(
    values: Any, value_range: Any, nbins: int = 100, dtype: Any = torch.int32, name: str = ""
) -> torch.Tensor:
    low, high = (float(v) for v in value_range)
    place = ((t(values).reshape(-1) - low) / (high - low) * nbins).floor().long()
    return torch.bincount(place.clamp(0, nbins - 1), minlength=nbins).to(to_torch(dtype))


def _ensure_shape(x: Any, shape: Any, name: str | None = None) -> Any:
    if not TensorShape(shape).is_compatible_with(tuple(x.shape)):
        raise ValueError(
            f"Shape of tensor {tuple(x.shape)} is not compatible with expected shape {shape}."
        )
    return x


def _strided_slice(input_: Any, begin: Any, end: Any, strides: Any = None, **options: Any) -> Any:
    strides = ints(strides) if strides is not None else (1,) * len(ints(begin))
    ranges = zip(ints(begin), ints(end), strides, strict=True)
    return t(input_)[tuple(slice(*bounds) for bounds in ranges)]


def _unravel_index(indices: Any, dims: Any, name: str | None = None) -> torch.Tensor:
    return torch.stack(torch.unravel_index(t(indices).long(), ints(dims))).to(t(indices).dtype)


def _dynamic_partition(
    data: Any, partitions: Any, num_partitions: int, name: str | None = None
) -> list[torch.Tensor]:
    data, partitions = t(data), t(partitions)
    return [data[partitions == i] for i in range(num_partitions)]


def _dynamic_stitch(indices: Any, data: Any, name: str | None = None) -> torch.Tensor:
    places = torch.cat([t(i).reshape(-1) for i in indices]).long()
    parts = [t(d).reshape(-1, *t(d).shape[t(i).ndim :]) for i, d in zip(indices, data, strict=True)]
    values = torch.cat(parts)
    made = values.new_zeros(int(places.max()) + 1, *values.shape[1:])
    made[places] = values
    return made


ARRAYS: dict[str, Any] = {
    "argsort": _argsort,
    "boolean_mask": _boolean_mask,
    "broadcast_dynamic_shape": lambda shape_x, shape_y: ShapeTensor(
        torch.broadcast_shapes(ints(shape_x), ints(shape_y))
    ),
    "broadcast_static_shape": lambda shape_x, shape_y: TensorShape(
        torch.broadcast_shapes(ints(shape_x), ints(shape_y))
    ),
    "broadcast_to": _broadcast_to,
    "complex": lambda real, imag, name=None: torch.complex(*matched(real, imag)),
    "concat": _concat,
    "constant": constant,
    "convert_to_tensor": convert_to_tensor,
    "dynamic_partition": _dynamic_partition,
    "dynamic_stitch": _dynamic_stitch,
    "ensure_shape": _ensure_shape,
    "expand_dims": _expand_dims,
    "fill": _fill,
    "gather": _gather,
    "gather_nd": _gather_nd,
    "histogram_fixed_width": _histogram,
    "identity": lambda input, name=None: ops.copy(t(input)),
    "identity_n": lambda input, name=None: [ops.copy(t(x)) for x in input],
    "linspace": _linspace,
    "meshgrid": _meshgrid,
    "one_hot": _one_hot,
    "ones": _filled(1),
    "ones_like": _like(ops.ones_like),
    "pad": _pad,
    "parallel_stack": _stack,
    "range": _range,
    "rank": lambda input, name=None: torch.tensor(t(input).ndim, dtype=torch.int32),
    "repeat": _repeat,
    "reshape": _reshape,
    "reverse": _reverse,
    "reverse_sequence": _reverse_sequence,
    "roll": _roll,
    "scatter_nd": _scatter_nd,
    "searchsorted": _searchsorted,
    "sequence_mask": _sequence_mask,
    "shape": shape,
    "size": _size,
    "slice": _slice,
    "sort": _sort,
    "split": _split,
    "squeeze": _squeeze,
    "stack": _stack,
    "stop_gradient": lambda input, name=None: ops.stop_gradient(t(input)),
    "strided_slice": _strided_slice,
    "tensor_scatter_nd_add": _scattered("sum"),
    "tensor_scatter_nd_max": _scattered("amax"),
    "tensor_scatter_nd_min": _scattered("amin"),
    "tensor_scatter_nd_sub": _scattered("sub"),
    "tensor_scatter_nd_update": _scattered(None),
    "tile": _tile,
    "transpose": _transpose,
    "unique": lambda x, out_idx=torch.int32, name=None: _unique_in_order(x)[:2],
    "unique_with_counts": lambda x, out_idx=torch.int32, name=None: _unique_in_order(x),
    "unravel_index": _unravel_index,
    "unstack": _unstack,
    "where": _where,
    "zeros": _filled(0),
    "zeros_like": _like(ops.zeros_like),
}
for _name, _value in named(ARRAYS).items():
    if _value.__name__ in ("make", "scatter"):
        _value.__name__ = _value.__qualname__ = _name
