"""TensorFlow's functions that make, join, cut and rearrange tensors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ...config import default_device
from ...ops import pad as pad_axes
from .common import TABLE, as_dtype, in_tensorflow, integers, pair, product, tensor

__all__: list[str] = []

# Sizes ------------------------------------------------------------------------------------------

# They are computed on the host, where they are needed.


def _on_host(sizes: Any, dtype: Any) -> Tensor:
    return torch.tensor(sizes, dtype=as_dtype(dtype, torch.int32), device="cpu")


@in_tensorflow("shape", "compat.v1.shape")
def _shape(input: Any, out_type: Any = None) -> Any:
    return _on_host(list(tensor(input).shape), out_type)


@in_tensorflow("shape_n")
def _shape_n(input: Any, out_type: Any = None) -> Any:
    return [_shape(x, out_type) for x in input]


@in_tensorflow("size", "compat.v1.size")
def _size(input: Any, out_type: Any = None) -> Any:
    return _on_host(product(tensor(input).shape), out_type)


@in_tensorflow("rank")
def _rank(input: Any) -> Any:
    return _on_host(tensor(input).ndim, None)


@in_tensorflow("ensure_shape")
def _ensure_shape(x: Any, shape: Any) -> Any:
    x = tensor(x)
    fits = shape is None or (
        len(shape) == x.ndim
        and all(size is None or size == own for size, own in zip(shape, x.shape, strict=True))
    )
    if not fits:
        raise ValueError(f"tf.ensure_shape: {tuple(x.shape)} is not of shape {shape}.")
    return x


@in_tensorflow("broadcast_to")
def _broadcast_to(input: Any, shape: Any) -> Any:
    return torch.broadcast_to(tensor(input), integers(shape))


@in_tensorflow("broadcast_dynamic_shape")
def _broadcast_dynamic_shape(shape_x: Any, shape_y: Any) -> Any:
    return _on_host(list(torch.broadcast_shapes(integers(shape_x), integers(shape_y))), None)


# Makers ------------------------------------------------------------------------------------------


@in_tensorflow("fill")
def _fill(dims: Any, value: Any, layout: Any = None) -> Any:
    return torch.broadcast_to(tensor(value), integers(dims)).to(default_device(), copy=True)


@in_tensorflow("zeros")
def _zeros(shape: Any, dtype: Any = None, layout: Any = None) -> Any:
    dtype = as_dtype(dtype, torch.float32)
    return torch.zeros(integers(shape), dtype=dtype, device=default_device())


@in_tensorflow("ones")
def _ones(shape: Any, dtype: Any = None, layout: Any = None) -> Any:
    dtype = as_dtype(dtype, torch.float32)
    return torch.ones(integers(shape), dtype=dtype, device=default_device())


@in_tensorflow("zeros_like")
def _zeros_like(input: Any, dtype: Any = None, layout: Any = None) -> Any:
    x = tensor(input)
    return torch.zeros_like(x, dtype=as_dtype(dtype, x.dtype))


@in_tensorflow("ones_like")
def _ones_like(input: Any, dtype: Any = None, layout: Any = None) -> Any:
    x = tensor(input)
    return torch.ones_like(x, dtype=as_dtype(dtype, x.dtype))


@in_tensorflow("compat.v1.zeros_like")
def _zeros_like_v1(tensor: Any, dtype: Any = None, optimize: bool = True) -> Any:
    return _zeros_like(tensor, dtype)


@in_tensorflow("compat.v1.ones_like")
def _ones_like_v1(tensor: Any, dtype: Any = None, optimize: bool = True) -> Any:
    return _ones_like(tensor, dtype)


@in_tensorflow("eye")
def _eye(num_rows: Any, num_columns: Any = None, batch_shape: Any = None, dtype: Any = None) -> Any:
    rows = int(num_rows)
    columns = rows if num_columns is None else int(num_columns)
    dtype = as_dtype(dtype, torch.float32)
    made = torch.eye(rows, columns, dtype=dtype, device=default_device())
    return made if batch_shape is None else made.repeat(*integers(batch_shape), 1, 1)


@in_tensorflow("range")
def _range(start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None) -> Any:
    if limit is None:
        start, limit = 0, start
    values = (start, limit, delta)
    if dtype is None:
        dtypes = [tensor(value).dtype for value in values]
        order = (torch.int32, torch.int64, torch.float16, torch.float32, torch.float64)
        dtype = max(dtypes, key=order.index)
    numbers = [value.item() if isinstance(value, Tensor) else value for value in values]
    return torch.arange(*numbers, dtype=as_dtype(dtype), device=default_device())


@in_tensorflow("linspace")
def _linspace(start: Any, stop: Any, num: Any, axis: Any = 0) -> Any:
    start, stop = pair(start, stop)
    start, stop = torch.broadcast_tensors(start, stop)
    steps = torch.arange(int(num), dtype=start.dtype, device=start.device) / max(int(num) - 1, 1)
    axis = int(axis) % (start.ndim + 1)
    steps = steps.reshape(-1, *[1] * (start.ndim - axis))
    start, stop = start.unsqueeze(axis), stop.unsqueeze(axis)
    made = start + (stop - start) * steps
    return torch.cat([made.narrow(axis, 0, int(num) - 1), stop], axis) if int(num) > 1 else made


@in_tensorflow("one_hot")
def _one_hot(
    indices: Any,
    depth: Any,
    on_value: Any = None,
    off_value: Any = None,
    axis: Any = None,
    dtype: Any = None,
) -> Any:
    given = next((v for v in (on_value, off_value) if v is not None), 1.0)
    dtype = tensor(given).dtype if dtype is None else as_dtype(dtype)
    x = tensor(indices)
    axis = -1 if axis is None else int(axis)
    places = torch.arange(int(depth), dtype=x.dtype, device=x.device)
    after = -axis - 1 if axis < 0 else x.ndim - axis
    hot = x.unsqueeze(axis) == places.reshape(-1, *[1] * after)
    on = tensor(1 if on_value is None else on_value, dtype).to(x.device)
    off = tensor(0 if off_value is None else off_value, dtype).to(x.device)
    return torch.where(hot, on, off)


@in_tensorflow("sequence_mask")
def _sequence_mask(lengths: Any, maxlen: Any = None, dtype: Any = None) -> Any:
    x = tensor(lengths)
    longest = int(x.max() if maxlen is None else maxlen)
    mask = torch.arange(longest, device=x.device) < x.unsqueeze(-1)
    return mask.to(as_dtype(dtype, torch.bool))


# Joins and cuts ----------------------------------------------------------------------------------


def _together(values: Any) -> list[Tensor]:
    """Return tensors of one dtype and on one device; constants follow the tensors."""
    if isinstance(values, Tensor):
        return list(values.unbind())
    like = next((v for v in values if isinstance(v, Tensor)), None)
    made = [tensor(value, like=like) for value in values]
    place = next((x.device for x in made if x.device.type != "cpu"), made[0].device)
    return [x.to(place) for x in made]


@in_tensorflow("concat")
def _concat(values: Any, axis: Any) -> Any:
    if isinstance(values, Tensor):
        return values
    return torch.cat(_together(values), int(axis))


@in_tensorflow("stack")
def _stack(values: Any, axis: Any = 0) -> Any:
    return torch.stack(_together(values), int(axis))


@in_tensorflow("parallel_stack")
def _parallel_stack(values: Any) -> Any:
    return torch.stack(_together(values))


@in_tensorflow("unstack")
def _unstack(value: Any, num: Any = None, axis: Any = 0) -> Any:
    return list(torch.unbind(tensor(value), int(axis)))


@in_tensorflow("split")
def _split(value: Any, num_or_size_splits: Any, axis: Any = 0, num: Any = None) -> Any:
    x, axis = tensor(value), int(axis)
    if isinstance(num_or_size_splits, int) or tensor(num_or_size_splits).ndim == 0:
        parts = int(num_or_size_splits)
        if x.shape[axis] % parts:
            raise ValueError(
                f"tf.split: axis {axis} of size {x.shape[axis]} cannot be split into {parts}."
            )
        return list(torch.split(x, x.shape[axis] // parts, axis))
    sizes = list(integers(num_or_size_splits))
    if -1 in sizes:
        sizes[sizes.index(-1)] = x.shape[axis] - sum(sizes) - 1
    return list(torch.split(x, sizes, axis))


@in_tensorflow("tile")
def _tile(input: Any, multiples: Any) -> Any:
    return torch.tile(tensor(input), integers(multiples))


@in_tensorflow("repeat")
def _repeat(input: Any, repeats: Any, axis: Any = None) -> Any:
    x = tensor(input)
    x, axis = (x.reshape(-1), 0) if axis is None else (x, int(axis))
    counts = integers(repeats)
    if len(counts) == 1:
        return torch.repeat_interleave(x, counts[0], axis)
    return torch.repeat_interleave(x, tensor(list(counts)).to(x.device), axis)


@in_tensorflow("pad", "compat.v1.pad")
def _pad(tensor: Any, paddings: Any, mode: str = "CONSTANT", constant_values: Any = 0) -> Any:
    x = TABLE["identity"](tensor)
    widths = [list(integers(pair)) for pair in paddings]
    if mode.upper() != "CONSTANT":
        return pad_axes(x, widths, mode.lower())
    flat = [width for pair in reversed(widths) for width in pair]
    if isinstance(constant_values, Tensor):
        inside = F.pad(torch.ones_like(x, dtype=torch.bool), flat, value=False)
        return torch.where(inside, F.pad(x, flat), constant_values.to(x.dtype))
    return F.pad(x, flat, value=constant_values)


# Rearrangements ----------------------------------------------------------------------------------


@in_tensorflow("reshape")
def _reshape(tensor: Any, shape: Any) -> Any:
    return torch.reshape(TABLE["identity"](tensor), integers(shape))


@in_tensorflow("expand_dims")
def _expand_dims(input: Any, axis: Any) -> Any:
    return torch.unsqueeze(tensor(input), int(axis))


@in_tensorflow("compat.v1.expand_dims")
def _expand_dims_v1(input: Any, axis: Any = None, dim: Any = None) -> Any:
    return _expand_dims(input, dim if axis is None else axis)


@in_tensorflow("squeeze")
def _squeeze(input: Any, axis: Any = None) -> Any:
    x = tensor(input)
    if axis is None or axis == []:
        return torch.squeeze(x)
    axis = integers(axis)
    if wide := [a for a in axis if x.shape[a] != 1]:
        raise ValueError(f"tf.squeeze: axis {wide[0]} has size {x.shape[wide[0]]}, not 1.")
    return torch.squeeze(x, axis)


@in_tensorflow("compat.v1.squeeze")
def _squeeze_v1(input: Any, axis: Any = None, squeeze_dims: Any = None) -> Any:
    return _squeeze(input, squeeze_dims if axis is None else axis)


@in_tensorflow("transpose", "compat.v1.transpose")
def _transpose(a: Any, perm: Any = None, conjugate: bool = False) -> Any:
    x = tensor(a)
    order = tuple(reversed(range(x.ndim))) if perm is None else integers(perm)
    x = torch.permute(x, order)
    return torch.resolve_conj(torch.conj(x)) if conjugate and x.is_complex() else x


@in_tensorflow("reverse")
def _reverse(tensor: Any, axis: Any) -> Any:
    return torch.flip(TABLE["identity"](tensor), integers(axis))


@in_tensorflow("roll")
def _roll(input: Any, shift: Any, axis: Any) -> Any:
    return torch.roll(tensor(input), integers(shift), integers(axis))


@in_tensorflow("reverse_sequence")
def _reverse_sequence(
    input: Any, seq_lengths: Any, seq_axis: Any = None, batch_axis: Any = None
) -> Any:
    x, lengths = tensor(input), tensor(seq_lengths)
    steps, rows = int(seq_axis or 0) % x.ndim, int(batch_axis or 0) % x.ndim
    ahead = x.movedim((rows, steps), (0, 1))
    places = torch.arange(ahead.shape[1], device=x.device)[None]
    lengths = lengths.to(x.device).long()[:, None]
    places = torch.where(places < lengths, lengths - 1 - places, places)
    index = places.reshape(*places.shape, *[1] * (x.ndim - 2)).expand_as(ahead)
    return torch.gather(ahead, 1, index).movedim((0, 1), (rows, steps))


@in_tensorflow("space_to_batch", "space_to_batch_nd")
def _space_to_batch(input: Any, block_shape: Any, paddings: Any) -> Any:
    x = tensor(input)
    blocks = integers(block_shape)
    if len(blocks) == 1 and len(paddings) > 1:
        blocks *= len(paddings)
    rank = len(blocks)
    widths = [[0, 0], *(list(integers(w)) for w in paddings), *[[0, 0]] * (x.ndim - rank - 1)]
    x = _pad(x, widths)
    rest = x.shape[rank + 1 :]
    sizes = [n // b for n, b in zip(x.shape[1:], blocks, strict=False)]
    split = [part for pair in zip(sizes, blocks, strict=True) for part in pair]
    x = x.reshape(x.shape[0], *split, *rest)
    inner = range(2, 2 * rank + 1, 2)
    outer = range(1, 2 * rank + 1, 2)
    x = x.permute(*inner, 0, *outer, *range(2 * rank + 1, x.ndim))
    return x.reshape(-1, *sizes, *rest)


@in_tensorflow("batch_to_space", "compat.v1.batch_to_space_nd")
def _batch_to_space(input: Any, block_shape: Any, crops: Any) -> Any:
    x = tensor(input)
    blocks = integers(block_shape)
    if len(blocks) == 1 and len(crops) > 1:
        blocks *= len(crops)
    rank = len(blocks)
    sizes, rest = x.shape[1 : rank + 1], x.shape[rank + 1 :]
    x = x.reshape(*blocks, x.shape[0] // product(blocks), *sizes, *rest)
    pairs = [axis for i in range(rank) for axis in (rank + 1 + i, i)]
    x = x.permute(rank, *pairs, *range(2 * rank + 1, x.ndim))
    x = x.reshape(x.shape[0], *(n * b for n, b in zip(sizes, blocks, strict=True)), *rest)
    for axis, crop in enumerate(crops, 1):
        before, after = integers(crop)
        x = x.narrow(axis, before, x.shape[axis] - before - after)
    return x


@in_tensorflow("compat.v1.batch_to_space")
def _batch_to_space_v1(
    input: Any, crops: Any, block_size: Any = None, block_shape: Any = None
) -> Any:
    return _batch_to_space(input, block_size if block_shape is None else block_shape, crops)


@in_tensorflow("compat.v1.nn.space_to_batch", "compat.v1.space_to_batch")
def _space_to_batch_v1(
    input: Any, paddings: Any, block_size: Any = None, block_shape: Any = None
) -> Any:
    return _space_to_batch(input, block_size if block_shape is None else block_shape, paddings)


def spaced(x: Tensor, block: int, to_depth: bool) -> Tensor:
    """Move blocks of images `(B, H, W, C)` into the channels, or back."""
    batch, height, width, depth = x.shape
    if to_depth:
        x = x.reshape(batch, height // block, block, width // block, block, depth)
        x = x.permute(0, 1, 3, 2, 4, 5)
        return x.reshape(batch, height // block, width // block, block * block * depth)
    x = x.reshape(batch, height, width, block, block, depth // block**2)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(
        batch, height * block, width * block, depth // block**2
    )
