"""TensorFlow's functions along axes: reductions, cumulative ones, order, segments, histograms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...graph.context import CONTEXT
from ...graph.infer import unknown_size
from .common import TABLE, as_dtype, axes, dtype_limits, in_tensorflow, pair, product, tensor

__all__: list[str] = []

Reduce = Callable[[Tensor, tuple[int, ...], bool], Tensor]


def _count(x: Tensor, dims: tuple[int, ...]) -> int:
    return product(x.shape[dim] for dim in dims)


def _sum(x: Tensor, dims: tuple[int, ...], keepdims: bool) -> Tensor:
    return torch.sum(x, dims, keepdim=keepdims, dtype=x.dtype)


def _mean(x: Tensor, dims: tuple[int, ...], keepdims: bool) -> Tensor:
    if x.is_floating_point() or x.is_complex():
        return torch.mean(x, dims, keepdim=keepdims)
    return torch.div(_sum(x, dims, keepdims), _count(x, dims), rounding_mode="trunc")


def _prod(x: Tensor, dims: tuple[int, ...], keepdims: bool) -> Tensor:
    for dim in sorted(dims, reverse=True):
        x = torch.prod(x, dim, keepdim=keepdims, dtype=x.dtype)
    return x


def _variance(x: Tensor, dims: tuple[int, ...], keepdims: bool) -> Tensor:
    distance = x - _mean(x, dims, True)
    return _mean((distance * distance.conj()).real, dims, keepdims)


def _norm(x: Tensor, dims: tuple[int, ...], keepdims: bool) -> Tensor:
    return torch.sqrt(_sum(x * x, dims, keepdims))


_REDUCTIONS: dict[str, Reduce] = {
    "reduce_all": lambda x, dims, keepdims: torch.all(x, dims, keepdim=keepdims),
    "reduce_any": lambda x, dims, keepdims: torch.any(x, dims, keepdim=keepdims),
    "reduce_euclidean_norm": _norm,
    "reduce_logsumexp": lambda x, dims, keepdims: torch.logsumexp(x, dims, keepdim=keepdims),
    "reduce_max": lambda x, dims, keepdims: torch.amax(x, dims, keepdim=keepdims),
    "reduce_mean": _mean,
    "reduce_min": lambda x, dims, keepdims: torch.amin(x, dims, keepdim=keepdims),
    "reduce_prod": _prod,
    "reduce_std": lambda x, dims, keepdims: torch.sqrt(_variance(x, dims, keepdims)),
    "reduce_sum": _sum,
    "reduce_variance": _variance,
}
# What they make of no axes at all, other than the tensor as it is.
_OF_NONE = {"reduce_euclidean_norm": torch.abs, "reduce_std": torch.zeros_like}
_OF_NONE["reduce_variance"] = torch.zeros_like


def _reduction(name: str, reduce: Reduce) -> None:
    def call(input_tensor: Any, axis: Any = None, keepdims: Any = False) -> Any:
        x = tensor(input_tensor)
        dims = axes(axis, x.ndim)
        if not dims:  # to torch, an empty tuple means all
            return _OF_NONE.get(name, lambda x: x)(x)
        return reduce(x, dims, bool(keepdims))

    def of_version_1(
        input_tensor: Any,
        axis: Any = None,
        keepdims: Any = None,
        reduction_indices: Any = None,
        keep_dims: Any = None,
    ) -> Any:
        axis = reduction_indices if axis is None else axis
        return call(input_tensor, axis, keepdims or keep_dims or False)

    TABLE[f"math.{name}"] = call
    TABLE[f"compat.v1.math.{name}"] = of_version_1


for _name, _reduce in _REDUCTIONS.items():
    _reduction(_name, _reduce)


@in_tensorflow("math.count_nonzero")
def _count_nonzero(input: Any, axis: Any = None, keepdims: Any = None, dtype: Any = None) -> Any:
    x = (tensor(input) != 0).to(as_dtype(dtype, torch.int64))
    return TABLE["math.reduce_sum"](x, axis, keepdims or False)


@in_tensorflow("compat.v1.math.count_nonzero")
def _count_nonzero_v1(
    input_tensor: Any = None,
    axis: Any = None,
    keepdims: Any = None,
    dtype: Any = None,
    reduction_indices: Any = None,
    keep_dims: Any = None,
    input: Any = None,
) -> Any:
    x = input if input_tensor is None else input_tensor
    return _count_nonzero(
        x, reduction_indices if axis is None else axis, keepdims or keep_dims, dtype
    )


@in_tensorflow("math.zero_fraction")
def _zero_fraction(value: Any) -> Any:
    return torch.mean((tensor(value) == 0).float())


@in_tensorflow("math.argmax", "argmax")
def _argmax(input: Any, axis: Any = None, output_type: Any = None) -> Any:
    found = torch.argmax(_comparable(tensor(input)), 0 if axis is None else int(axis))
    return found.to(as_dtype(output_type, torch.int64))


@in_tensorflow("math.argmin", "argmin")
def _argmin(input: Any, axis: Any = None, output_type: Any = None) -> Any:
    found = torch.argmin(_comparable(tensor(input)), 0 if axis is None else int(axis))
    return found.to(as_dtype(output_type, torch.int64))


def _comparable(x: Tensor) -> Tensor:
    return x.to(torch.uint8) if x.dtype is torch.bool else x


@in_tensorflow("compat.v1.math.argmax")
def _argmax_v1(input: Any, axis: Any = None, dimension: Any = None, output_type: Any = None) -> Any:
    return _argmax(input, dimension if axis is None else axis, output_type)


@in_tensorflow("compat.v1.math.argmin")
def _argmin_v1(input: Any, axis: Any = None, dimension: Any = None, output_type: Any = None) -> Any:
    return _argmin(input, dimension if axis is None else axis, output_type)


def _cumulative(
    name: str, cumulate: Callable[[Tensor, int], Tensor], start: Callable[[Tensor], Tensor]
) -> None:
    def call(x: Any, axis: Any = 0, exclusive: bool = False, reverse: bool = False) -> Any:
        x, axis = tensor(x), int(axis)
        x = torch.flip(x, (axis,)) if reverse else x
        if exclusive:
            head = x.narrow(axis, 0, x.shape[axis] - 1)
            x = torch.cat([start(x.narrow(axis, 0, 1)), head], axis)
        result = cumulate(x, axis)
        return torch.flip(result, (axis,)) if reverse else result

    TABLE[f"math.{name}"] = call


_cumulative("cumsum", lambda x, axis: torch.cumsum(x, axis, dtype=x.dtype), torch.zeros_like)
_cumulative("cumprod", lambda x, axis: torch.cumprod(x, axis, dtype=x.dtype), torch.ones_like)
_cumulative(
    "cumulative_logsumexp",
    torch.logcumsumexp,
    lambda x: torch.full_like(x, -torch.inf),
)


# Order -------------------------------------------------------------------------------------------


@in_tensorflow("math.top_k")
def _top_k(input: Any, k: Any = 1, sorted: bool = True, index_type: Any = None) -> Any:
    # A stable sort: of equal values the first ones, as in TensorFlow; `torch.topk` takes any.
    values, places = torch.sort(tensor(input), dim=-1, descending=True, stable=True)
    k = int(k)
    return values[..., :k], places[..., :k].to(as_dtype(index_type, torch.int32))


def _is_descending(direction: str) -> bool:
    if direction not in ("ASCENDING", "DESCENDING"):
        raise ValueError(f"`direction` is ASCENDING or DESCENDING. Received: {direction!r}")
    return direction == "DESCENDING"


@in_tensorflow("sort")
def _sort(values: Any, axis: Any = -1, direction: str = "ASCENDING") -> Any:
    return torch.sort(tensor(values), dim=int(axis), descending=_is_descending(direction))[0]


@in_tensorflow("argsort")
def _argsort(
    values: Any, axis: Any = -1, direction: str = "ASCENDING", stable: bool = False
) -> Any:
    down = _is_descending(direction)
    return torch.argsort(tensor(values), stable=True, dim=int(axis), descending=down).int()


@in_tensorflow("searchsorted")
def _searchsorted(
    sorted_sequence: Any, values: Any, side: str = "left", out_type: Any = None
) -> Any:
    sequence, values = pair(sorted_sequence, values)
    found = torch.searchsorted(sequence.contiguous(), values.contiguous(), side=side)
    return found.to(as_dtype(out_type, torch.int32))


@in_tensorflow("math.in_top_k")
def _in_top_k(targets: Any, predictions: Any, k: Any) -> Any:
    places, scores = tensor(targets).long(), tensor(predictions)
    own = torch.gather(scores, 1, places[:, None])
    return ((scores > own).sum(1) < int(k)) & torch.isfinite(own[:, 0])


@in_tensorflow("compat.v1.math.in_top_k")
def _in_top_k_v1(predictions: Any, targets: Any, k: Any) -> Any:
    return _in_top_k(targets, predictions, k)


@in_tensorflow("math.invert_permutation")
def _invert_permutation(x: Any) -> Any:
    x = tensor(x)
    return torch.argsort(x).to(x.dtype)


def _distinct(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the values in the order of their first appearance, where each is, and counts."""
    if CONTEXT.meta:
        size = unknown_size()
        return x.new_zeros(size), torch.zeros_like(x, dtype=torch.long), x.new_zeros(size).long()
    values, inverse, counts = torch.unique(x, return_inverse=True, return_counts=True)
    places = torch.arange(len(x), device=x.device)
    first = torch.full_like(counts, len(x)).scatter_reduce(0, inverse, places, "amin")
    order = torch.argsort(first)
    return values[order], torch.argsort(order)[inverse], counts[order]


@in_tensorflow("unique")
def _unique(x: Any, out_idx: Any = None) -> Any:
    values, places, _ = _distinct(tensor(x))
    return values, places.to(as_dtype(out_idx, torch.int32))


@in_tensorflow("unique_with_counts")
def _unique_with_counts(x: Any, out_idx: Any = None) -> Any:
    dtype = as_dtype(out_idx, torch.int32)
    values, places, counts = _distinct(tensor(x))
    return values, places.to(dtype), counts.to(dtype)


# Segments ----------------------------------------------------------------------------------------


def _in_segments(data: Tensor, ids: Tensor, count: int, how: str, start: Any) -> Tensor:
    """Reduce rows by their segment; rows of negative ones are left out."""
    inner = data.shape[ids.ndim :]
    data, ids = data.reshape(-1, *inner), ids.reshape(-1).long()
    ids = torch.where(ids < 0, count, ids)  # a segment more, cut off below
    index = ids.reshape(-1, *[1] * len(inner)).expand_as(data)
    result = torch.full((count + 1, *inner), start, dtype=data.dtype, device=data.device)
    return result.scatter_reduce(0, index, data, how)[:count]


def _sizes(ids: Tensor, count: int, like: Tensor) -> Tensor:
    ones = torch.ones(ids.shape, dtype=like.dtype, device=like.device)
    sizes = _in_segments(ones, ids, count, "sum", 0).clamp_min(1)
    return sizes.reshape(-1, *[1] * (like.ndim - 1))


def _segment_mean(data: Tensor, ids: Tensor, count: int) -> Tensor:
    total = _in_segments(data, ids, count, "sum", 0)
    return total / _sizes(ids, count, total)


def _segment_sqrt_n(data: Tensor, ids: Tensor, count: int) -> Tensor:
    total = _in_segments(data, ids, count, "sum", 0)
    return total / torch.sqrt(_sizes(ids, count, total))


def _segment_extreme(how: str, side: int, empty: Any) -> Callable[..., Tensor]:
    def reduce(data: Tensor, ids: Tensor, count: int) -> Tensor:
        start = dtype_limits(data.dtype)[side]
        result = _in_segments(data, ids, count, how, start)
        return result if empty is None else torch.where(result == start, empty, result)

    return reduce


def _segments(name: str, reduce: Callable[..., Tensor], sorted_too: Any = True) -> None:
    def unsorted(data: Any, segment_ids: Any, num_segments: Any) -> Any:
        return reduce(tensor(data), tensor(segment_ids), int(num_segments))

    def of_sorted(data: Any, segment_ids: Any) -> Any:
        ids = tensor(segment_ids)
        count = unknown_size() if CONTEXT.meta else int(ids[-1]) + 1
        return (reduce if sorted_too is True else sorted_too)(tensor(data), ids, count)

    TABLE[f"math.unsorted_segment_{name}"] = unsorted
    if sorted_too:
        TABLE[f"math.segment_{name}"] = of_sorted


_segments("sum", lambda data, ids, count: _in_segments(data, ids, count, "sum", 0))
_segments("prod", lambda data, ids, count: _in_segments(data, ids, count, "prod", 1))
_segments("max", _segment_extreme("amax", 0, None), _segment_extreme("amax", 0, 0))
_segments("min", _segment_extreme("amin", 1, None), _segment_extreme("amin", 1, 0))
_segments("mean", _segment_mean)
_segments("sqrt_n", _segment_sqrt_n, False)


# Counts ------------------------------------------------------------------------------------------


@in_tensorflow("math.bincount")
def _bincount(
    arr: Any,
    weights: Any = None,
    minlength: Any = None,
    maxlength: Any = None,
    dtype: Any = None,
    axis: Any = None,
    binary_output: bool = False,
) -> Any:
    x = tensor(arr)
    rows = x.reshape(1, -1) if axis is None or x.ndim == 1 else x
    if minlength is not None and minlength == maxlength:
        size = int(minlength)
    elif CONTEXT.meta:
        size = unknown_size()
    else:
        size = max(int(x.max()) + 1 if x.numel() else 0, int(minlength or 0))
        size = size if maxlength is None else min(size, int(maxlength))
    amounts = torch.ones_like(rows, dtype=as_dtype(dtype, torch.int32))
    if weights is not None:
        amounts = tensor(weights).reshape(rows.shape)
    within = rows < size
    index = torch.where(within, rows, size).long()
    counts = torch.zeros(rows.shape[0], size + 1, dtype=amounts.dtype, device=x.device)
    counts = counts.scatter_add(1, index, amounts)[:, :size]
    if binary_output:
        counts = (counts > 0).to(counts.dtype)
    return counts[0] if rows is not x else counts


@in_tensorflow("math.confusion_matrix")
def _confusion_matrix(
    labels: Any, predictions: Any, num_classes: Any = None, weights: Any = None, dtype: Any = None
) -> Any:
    labels, predictions = tensor(labels).long(), tensor(predictions).long()
    if num_classes is not None:
        n = int(num_classes)
    else:
        n = unknown_size() if CONTEXT.meta else int(torch.maximum(labels, predictions).max()) + 1
    dtype = as_dtype(dtype, torch.int32)
    amounts = torch.ones_like(labels, dtype=dtype)
    if weights is not None:
        amounts = tensor(weights).to(dtype).expand_as(labels)
    counts = torch.zeros(n * n, dtype=dtype, device=labels.device)
    return counts.scatter_add(0, labels * n + predictions, amounts).reshape(n, n)


def _bins(values: Any, value_range: Any, nbins: Any) -> Tensor:
    x = tensor(values)
    low, high = tensor(value_range, like=x).unbind()
    place = torch.floor(int(nbins) * (x - low) / (high - low))
    return place.clamp(0, int(nbins) - 1).long()


@in_tensorflow("histogram_fixed_width_bins")
def _histogram_bins(values: Any, value_range: Any, nbins: Any = 100, dtype: Any = None) -> Any:
    return _bins(values, value_range, nbins).to(as_dtype(dtype, torch.int32))


@in_tensorflow("histogram_fixed_width")
def _histogram(values: Any, value_range: Any, nbins: Any = 100, dtype: Any = None) -> Any:
    places = _bins(values, value_range, nbins).reshape(-1)
    dtype = as_dtype(dtype, torch.int32)
    counts = torch.zeros(int(nbins), dtype=dtype, device=places.device)
    return counts.scatter_add(0, places, torch.ones_like(places, dtype=dtype))


# Norms -------------------------------------------------------------------------------------------


@in_tensorflow("math.l2_normalize")
def _l2_normalize(x: Any, axis: Any = None, epsilon: Any = 1e-12, dim: Any = None) -> Any:
    x = tensor(x)
    dims = axes(dim if axis is None else axis, x.ndim)
    return x * torch.rsqrt(_sum(x * x, dims, True).clamp_min(epsilon))


@in_tensorflow("clip_by_norm")
def _clip_by_norm(t: Any, clip_norm: Any, axes: Any = None) -> Any:
    x = tensor(t)
    squares = TABLE["math.reduce_sum"](x * x, axes, True)
    positive = squares > 0
    norm = torch.where(positive, torch.sqrt(torch.where(positive, squares, 1)), squares)
    limit = tensor(clip_norm, like=x)
    return x * limit / torch.maximum(norm, limit)


@in_tensorflow("compat.v1.clip_by_average_norm")
def _clip_by_average_norm(t: Any, clip_norm: Any) -> Any:
    x = tensor(t)
    limit = tensor(clip_norm, like=x)
    average = torch.sqrt((x * x).sum()) / x.numel()
    return x * limit * torch.minimum(1 / average, 1 / limit)


@in_tensorflow("linalg.global_norm")
def _global_norm(t_list: Any) -> Any:
    squares = [torch.sum(tensor(x) ** 2) for x in t_list if x is not None]
    return torch.sqrt(torch.stack(squares).sum())


@in_tensorflow("clip_by_global_norm")
def _clip_by_global_norm(t_list: Any, clip_norm: Any, use_norm: Any = None) -> Any:
    norm = _global_norm(t_list) if use_norm is None else tensor(use_norm)
    limit = tensor(clip_norm, like=norm)
    scale = limit * torch.minimum(1 / norm, 1 / limit)
    return [tensor(x) * scale for x in t_list], norm
