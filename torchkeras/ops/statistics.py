"""Order statistics, and reductions that leave NaNs out.

Quantiles are computed in `float32` at least. The conventions are those of `reductions`.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ..graph.context import CONTEXT
from ..graph.operation import op
from .common import NUMPY, Axes, DType, as_floating, as_tensor, canonical_axes
from .reductions import SUM_DTYPES, all_dims, argmax, argmin, cumulate, no_axes, prod

__all__ = [
    "median",
    "nanargmax",
    "nanargmin",
    "nancumprod",
    "nancumsum",
    "nanmax",
    "nanmean",
    "nanmedian",
    "nanmin",
    "nanpercentile",
    "nanprod",
    "nanquantile",
    "nanstd",
    "nansum",
    "nanvar",
    "percentile",
    "quantile",
]


# Order statistics --------------------------------------------------------------------------------


def _quantile(
    kernel: Any, x: Any, q: Any, axis: Axes, method: str, keepdims: bool, scale: float = 1.0
) -> Tensor:
    x = as_floating(x)
    compute = x if x.dtype in (torch.float32, torch.float64) else x.float()
    q = as_tensor(q, compute.dtype, x)
    q = q if scale == 1.0 else q / scale
    dims = canonical_axes(axis, x.ndim)
    kept = [dim for dim in range(x.ndim) if dim not in dims]
    count = math.prod(x.shape[dim] for dim in dims)
    rows = compute.permute([*kept, *dims]).reshape([*(x.shape[dim] for dim in kept), count])
    if count and (CONTEXT.meta or not rows.numel()):  # which torch may refuse for its size
        kernel(rows.new_zeros(1), q, dim=-1, interpolation=method)  # for what it says of the rest
        result = rows.new_zeros((*q.shape, *rows.shape[:-1]))
    else:
        result = kernel(rows, q, dim=-1, interpolation=method)
    if keepdims:
        shape = [1 if dim in dims else size for dim, size in enumerate(x.shape)]
        result = result.reshape(list(q.shape) + shape)
    return result.to(x.dtype)


@op(path=NUMPY + "Quantile")
def quantile(
    x: Tensor, q: Tensor, axis: Axes = None, method: str = "linear", keepdims: bool = False
) -> Tensor:
    """The values below which the fractions `q` of the data lie.

    Args:
        x: Anything numeric.
        q: Fractions in [0, 1]; their axis comes first in the result.
        axis: Axes to reduce; `None` means all.
        method: `linear`, `lower`, `higher`, `midpoint` or `nearest`.
        keepdims: Whether reduced axes stay, with size 1.

    Example:
        >>> quantile([1.0, 2.0, 4.0], [0.5, 0.75]).tolist()
        [2.0, 3.0]
    """
    return _quantile(torch.quantile, x, q, axis, method, keepdims)


@op(path=NUMPY + "Percentile")
def percentile(
    x: Tensor, q: Tensor, axis: Axes = None, method: str = "linear", keepdims: bool = False
) -> Tensor:
    """`quantile` with `q` in percent.

    Example:
        >>> percentile([1.0, 2.0, 4.0], 75).item()
        3.0
    """
    return _quantile(torch.quantile, x, q, axis, method, keepdims, 100.0)


@op(path=NUMPY + "Median")
def median(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The middle value over `axis`; the mean of both where there are two.

    Example:
        >>> median([1.0, 2.0, 4.0, 8.0]).item()
        3.0
    """
    return _quantile(torch.quantile, x, 0.5, axis, "linear", keepdims)


@op(path=NUMPY + "Nanquantile")
def nanquantile(
    x: Tensor, q: Tensor, axis: Axes = None, method: str = "linear", keepdims: bool = False
) -> Tensor:
    """`quantile` of the values that are not NaN.

    Example:
        >>> nanquantile([1.0, float("nan"), 3.0], 0.5).item()
        2.0
    """
    return _quantile(torch.nanquantile, x, q, axis, method, keepdims)


@op(path=NUMPY + "Nanpercentile")
def nanpercentile(
    x: Tensor, q: Tensor, axis: Axes = None, method: str = "linear", keepdims: bool = False
) -> Tensor:
    """`percentile` of the values that are not NaN.

    Example:
        >>> nanpercentile([1.0, float("nan"), 3.0], 50).item()
        2.0
    """
    return _quantile(torch.nanquantile, x, q, axis, method, keepdims, 100.0)


@op(path=NUMPY + "Nanmedian")
def nanmedian(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """`median` of the values that are not NaN.

    Example:
        >>> nanmedian([1.0, float("nan"), 3.0]).item()
        2.0
    """
    if no_axes(axis):
        return as_tensor(x)
    return _quantile(torch.nanquantile, x, 0.5, axis, "linear", keepdims)


# Without NaNs ------------------------------------------------------------------------------------


def _without_nan(x: Any, fill: float) -> tuple[Tensor, Tensor | None]:
    """Return `x` with NaNs replaced, and where they were; integers have none."""
    x = as_tensor(x)
    if not x.is_floating_point():
        return x, None
    lost = torch.isnan(x)
    return x.masked_fill(lost, fill), lost


@op(path=NUMPY + "Nansum")
def nansum(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """`sum` of the values that are not NaN.

    Example:
        >>> nansum([1.0, float("nan"), 3.0]).item()
        4.0
    """
    x = as_tensor(x)
    target = SUM_DTYPES.get(x.dtype, x.dtype)
    if no_axes(axis):
        return torch.nan_to_num(x, 0.0).to(target)
    return torch.nansum(x, axis, keepdims, dtype=target)


@op(path=NUMPY + "Nanmean")
def nanmean(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """`mean` of the values that are not NaN.

    Example:
        >>> nanmean([1.0, float("nan"), 3.0]).item()
        2.0
    """
    x = as_tensor(x)
    return x if no_axes(axis) else torch.nanmean(as_floating(x), axis, keepdims)


@op(path=NUMPY + "Nanvar")
def nanvar(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """`var` of the values that are not NaN.

    Example:
        >>> nanvar([1.0, float("nan"), 3.0]).item()
        1.0
    """
    x = as_floating(x)
    if no_axes(axis):
        return torch.where(torch.isnan(x), x, 0.0)
    valid = ~torch.isnan(x)
    centered = torch.where(valid, x - torch.nanmean(x, axis, True), 0.0)
    return (centered.abs() ** 2).sum(axis, keepdims) / valid.sum(axis, keepdims)


@op(path=NUMPY + "Nanstd")
def nanstd(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """`std` of the values that are not NaN.

    Example:
        >>> nanstd([1.0, float("nan"), 3.0]).item()
        1.0
    """
    return torch.sqrt(nanvar(x, axis, keepdims))


@op(path=NUMPY + "Nanprod")
def nanprod(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """`prod` of the values that are not NaN.

    Example:
        >>> nanprod([2.0, float("nan"), 3.0]).item()
        6.0
    """
    return prod(_without_nan(x, 1.0)[0], axis, keepdims)


def _nan_extreme(x: Any, axis: Axes, keepdims: bool, reduce: Any, fill: float) -> Tensor:
    x, lost = _without_nan(x, fill)
    dims = all_dims(axis, x)
    result = reduce(x, dims, keepdims)
    return result if lost is None else result.masked_fill(lost.all(dims, keepdims), float("nan"))


@op(path=NUMPY + "Nanmax")
def nanmax(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """`max` of the values that are not NaN; NaN where there is none.

    Example:
        >>> nanmax([1.0, float("nan"), 3.0]).item()
        3.0
    """
    if no_axes(axis):
        return as_tensor(x)
    return _nan_extreme(x, axis, keepdims, torch.amax, float("-inf"))


@op(path=NUMPY + "Nanmin")
def nanmin(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """`min` of the values that are not NaN; NaN where there is none.

    Example:
        >>> nanmin([1.0, float("nan"), 3.0]).item()
        1.0
    """
    if no_axes(axis):
        return as_tensor(x)
    return _nan_extreme(x, axis, keepdims, torch.amin, float("inf"))


def _nan_index(x: Any, axis: int | None, keepdims: bool, search: Any, fill: float) -> Tensor:
    x, lost = _without_nan(x, fill)
    index = search(x, axis, keepdims)
    return index if lost is None else index.masked_fill(lost.all(all_dims(axis, x), keepdims), -1)


@op(path=NUMPY + "Nanargmax")
def nanargmax(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """`argmax` of the values that are not NaN; -1 where there is none.

    Example:
        >>> nanargmax([1.0, float("nan"), 3.0]).item()
        2
    """
    return _nan_index(x, axis, keepdims, argmax, float("-inf"))


@op(path=NUMPY + "Nanargmin")
def nanargmin(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """`argmin` of the values that are not NaN; -1 where there is none.

    Example:
        >>> nanargmin([1.0, float("nan"), 3.0]).item()
        0
    """
    return _nan_index(x, axis, keepdims, argmin, float("inf"))


@op(path=NUMPY + "Nancumsum")
def nancumsum(x: Tensor, axis: int | None = None, dtype: DType = None) -> Tensor:
    """`cumsum` with NaNs taken as 0.

    Example:
        >>> nancumsum([1.0, float("nan"), 3.0]).tolist()
        [1.0, 1.0, 4.0]
    """
    return cumulate(torch.cumsum, torch.nan_to_num(as_tensor(x), 0.0), axis, dtype)


@op(path=NUMPY + "Nancumprod")
def nancumprod(x: Tensor, axis: int | None = None, dtype: DType = None) -> Tensor:
    """`cumprod` with NaNs taken as 1.

    Example:
        >>> nancumprod([2.0, float("nan"), 3.0]).tolist()
        [2.0, 2.0, 6.0]
    """
    return cumulate(torch.cumprod, torch.nan_to_num(as_tensor(x), 1.0), axis, dtype)
