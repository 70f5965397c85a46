"""Reductions over axes, and cumulative sums and products.

`axis` is one axis, several, or `None` for all; an empty tuple reduces nothing. Sums and products of
narrow integers are `int32`. Means of integers are floats; variances have no Bessel correction.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..dtypes import result_type, to_torch
from ..graph.operation import op
from .common import NUMPY, Axes, DType, as_floating, as_tensor, canonical_axes, canonical_axis

__all__ = [
    "all",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "average",
    "corrcoef",
    "count_nonzero",
    "cumprod",
    "cumsum",
    "diff",
    "max",
    "mean",
    "min",
    "prod",
    "ptp",
    "std",
    "sum",
    "trapezoid",
    "var",
]

SUM_DTYPES = {
    torch.bool: torch.int32,
    torch.uint8: torch.int32,
    torch.int8: torch.int32,
    torch.int16: torch.int32,
    torch.int32: torch.int32,
    torch.int64: torch.int64,
}


def no_axes(axis: Axes) -> bool:
    """Return whether `axis` is an empty sequence, which torch takes for all axes."""
    return (type(axis) is tuple or type(axis) is list) and not axis


def all_dims(axis: Axes, x: Tensor) -> Any:
    """Return axes for kernels that do not take `None`."""
    return tuple(range(x.ndim)) if axis is None else axis


@op(path=NUMPY + "Sum")
def sum(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The sum over `axis`.

    Args:
        x: Anything numeric.
        axis: Axes to sum over; `None` means all.
        keepdims: Whether reduced axes stay, with size 1.

    Example:
        >>> sum([[1, 2], [3, 4]], axis=0).tolist()
        [4, 6]
    """
    x = as_tensor(x)
    if no_axes(axis):
        return x
    if x.is_floating_point():
        return torch.sum(x, axis, keepdims)
    return torch.sum(x, axis, keepdims, dtype=SUM_DTYPES.get(x.dtype))


@op(path=NUMPY + "Mean")
def mean(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The mean over `axis`; a float.

    Args:
        x: Anything numeric.
        axis: Axes to average over; `None` means all.
        keepdims: Whether reduced axes stay, with size 1.

    Example:
        >>> mean([[1, 2], [3, 4]], axis=0).tolist()
        [2.0, 3.0]
    """
    x = as_tensor(x)
    if no_axes(axis):
        return x
    if not x.is_floating_point():
        x = _as_statistics(x)
    return torch.mean(x, axis, keepdims)


def _as_statistics(x: Tensor) -> Tensor:
    """Turn integers into `float32`, whatever `floatx` is, as Keras does for statistics."""
    return x if x.is_floating_point() or x.is_complex() else x.to(torch.float32)


@op(path=NUMPY + "Var")
def var(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The variance over `axis`: the mean squared distance from the mean.

    Args:
        x: Anything numeric.
        axis: Axes to reduce; `None` means all.
        keepdims: Whether reduced axes stay, with size 1.

    Example:
        >>> var([1.0, 3.0]).item()
        1.0
    """
    x = as_floating(x)
    if no_axes(axis):
        return torch.zeros_like(x)
    return torch.var(x, axis, correction=0, keepdim=keepdims)


@op(path=NUMPY + "Std")
def std(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The standard deviation over `axis`: the square root of `var`.

    Args:
        x: Anything numeric.
        axis: Axes to reduce; `None` means all.
        keepdims: Whether reduced axes stay, with size 1.

    Example:
        >>> std([1.0, 3.0]).item()
        1.0
    """
    x = _as_statistics(as_tensor(x))
    if no_axes(axis):
        return torch.zeros_like(x)
    return torch.std(x, axis, correction=0, keepdim=keepdims)


@op(path=NUMPY + "Prod")
def prod(x: Tensor, axis: Axes = None, keepdims: bool = False, dtype: DType = None) -> Tensor:
    """The product over `axis`.

    Args:
        x: Anything numeric.
        axis: Axes to reduce; `None` means all.
        keepdims: Whether reduced axes stay, with size 1.
        dtype: The dtype of the result.

    Example:
        >>> prod([[1, 2], [3, 4]], axis=1).tolist()
        [2, 12]
    """
    x = as_tensor(x)
    target = SUM_DTYPES.get(x.dtype, x.dtype) if dtype is None else to_torch(dtype)
    if no_axes(axis):
        return x.to(target)
    if axis is None:  # at once, for which torch multiplies halves in float32
        result = torch.prod(x, dtype=target)
        return result.reshape([1] * x.ndim) if keepdims else result
    for dim in sorted(canonical_axes(axis, x.ndim), reverse=True):  # torch takes one axis at a time
        x = torch.prod(x, dim, keepdims, dtype=target)
    return x.to(target)  # a scalar has no axes


def _extreme(x: Tensor, axis: Axes, keepdims: bool, initial: Any, name: str) -> Tensor:
    reduce, combine = _EXTREMES[name]
    x = as_tensor(x)
    if no_axes(axis):
        result = x
    elif x.numel() or 0 not in [x.shape[i] for i in canonical_axes(axis, x.ndim)]:
        result = reduce(x, all_dims(axis, x), keepdims)
    elif initial is None:
        raise ValueError(
            f"Cannot compute the {name} of an empty tensor. Received: shape={tuple(x.shape)}."
            " Pass `initial` for a value to start from."
        )
    else:
        dims = canonical_axes(axis, x.ndim)
        shape = [1 if i in dims else size for i, size in enumerate(x.shape)]
        result = torch.full(shape, initial, dtype=x.dtype, device=x.device)
        result = result if keepdims else result.squeeze(dims)
    return result if initial is None else combine(result, as_tensor(initial, x.dtype, x))


_EXTREMES = {"max": (torch.amax, torch.maximum), "min": (torch.amin, torch.minimum)}


@op(path=NUMPY + "Max")
def max(x: Tensor, axis: Axes = None, keepdims: bool = False, initial: Any = None) -> Tensor:
    """The largest value over `axis`.

    Args:
        x: Anything numeric.
        axis: Axes to reduce; `None` means all.
        keepdims: Whether reduced axes stay, with size 1.
        initial: A value that takes part; needed where `x` is empty.

    Raises:
        ValueError: `x` is empty, and there is no `initial`.

    Example:
        >>> max([[1, 4], [3, 2]], axis=1).tolist()
        [4, 3]
    """
    if initial is None and isinstance(x, Tensor) and x.numel() and not no_axes(axis):
        x = as_tensor(x)
        return torch.amax(x, all_dims(axis, x), keepdims)
    return _extreme(x, axis, keepdims, initial, "max")


@op(path=NUMPY + "Min")
def min(x: Tensor, axis: Axes = None, keepdims: bool = False, initial: Any = None) -> Tensor:
    """The smallest value over `axis`.

    Args:
        x: Anything numeric.
        axis: Axes to reduce; `None` means all.
        keepdims: Whether reduced axes stay, with size 1.
        initial: A value that takes part; needed where `x` is empty.

    Raises:
        ValueError: `x` is empty, and there is no `initial`.

    Example:
        >>> min([[1, 4], [3, 2]], axis=1).tolist()
        [1, 2]
    """
    if initial is None and isinstance(x, Tensor) and x.numel() and not no_axes(axis):
        x = as_tensor(x)
        return torch.amin(x, all_dims(axis, x), keepdims)
    return _extreme(x, axis, keepdims, initial, "min")


@op(path=NUMPY + "Amax")
def amax(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The largest value over `axis`; see `max`.

    Example:
        >>> amax([[1, 4], [3, 2]]).item()
        4
    """
    return _extreme(x, axis, keepdims, None, "max")


@op(path=NUMPY + "Amin")
def amin(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The smallest value over `axis`; see `min`.

    Example:
        >>> amin([[1, 4], [3, 2]]).item()
        1
    """
    return _extreme(x, axis, keepdims, None, "min")


@op(path=NUMPY + "Ptp")
def ptp(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The largest value over `axis` minus the smallest.

    Example:
        >>> ptp([[1, 4], [3, 2]], axis=1).tolist()
        [3, 1]
    """
    x = as_tensor(x)
    if no_axes(axis):
        return torch.zeros_like(x)
    dims = all_dims(axis, x)
    return torch.amax(x, dims, keepdims) - torch.amin(x, dims, keepdims)


@op(path=NUMPY + "All")
def all(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Whether all values over `axis` are true (not zero).

    Example:
        >>> all([[True, False], [True, True]], axis=1).tolist()
        [False, True]
    """
    x = as_tensor(x)
    if no_axes(axis):
        return x.to(torch.bool)
    return torch.all(x, all_dims(axis, x), keepdims).to(torch.bool)  # uint8 stays uint8 in torch


@op(path=NUMPY + "Any")
def any(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Whether one of the values over `axis` is true (not zero).

    Example:
        >>> any([[True, False], [False, False]], axis=1).tolist()
        [True, False]
    """
    x = as_tensor(x)
    if no_axes(axis):
        return x.to(torch.bool)
    return torch.any(x, all_dims(axis, x), keepdims).to(torch.bool)


@op(path=NUMPY + "CountNonzero")
def count_nonzero(x: Tensor, axis: Axes = None) -> Tensor:
    """How many values over `axis` are not zero.

    Example:
        >>> count_nonzero([[0, 1], [2, 3]], axis=0).tolist()
        [1, 2]
    """
    x = as_tensor(x)
    if no_axes(axis):
        return torch.ne(x, 0).to(torch.int32)
    return torch.count_nonzero(x, axis).to(torch.int32)


def _ordered(x: Any) -> Tensor:
    """Return a tensor that torch can sort and search: booleans as `uint8`."""
    x = as_tensor(x)
    return x.to(torch.uint8) if x.dtype is torch.bool else x


@op(path=NUMPY + "Argmax")
def argmax(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The index of the largest value along `axis`; of the flattened tensor for `None`.

    Example:
        >>> argmax([[1, 4], [3, 2]], axis=1).tolist()
        [1, 0]
    """
    return torch.argmax(_ordered(x), axis, keepdims).to(torch.int32)


@op(path=NUMPY + "Argmin")
def argmin(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The index of the smallest value along `axis`; of the flattened tensor for `None`.

    Example:
        >>> argmin([[1, 4], [3, 2]], axis=1).tolist()
        [0, 1]
    """
    return torch.argmin(_ordered(x), axis, keepdims).to(torch.int32)


@op(path=NUMPY + "Average", keywords=("weights",))
def average(x: Tensor, axis: Axes = None, weights: Tensor | None = None) -> Tensor:
    """The mean over `axis`, weighted if `weights` are given.

    Args:
        x: Anything numeric.
        axis: Axes to reduce; `None` means all.
        weights: One weight per value, of the shape of `x` or of its reduced axis.

    Example:
        >>> average([1.0, 3.0], weights=[3.0, 1.0]).item()
        1.5
    """
    x = as_tensor(x)
    weights = None if weights is None else as_tensor(weights, like=x)
    kinds = [x.dtype, float] + ([] if weights is None else [weights.dtype])
    target = x.dtype if weights is None and x.is_floating_point() else to_torch(result_type(*kinds))
    x = x.to(target)
    if no_axes(axis):
        return x
    if weights is None:
        return torch.mean(x, axis)
    weights = weights.to(target)
    if weights.ndim == 1 and x.ndim > 1 and isinstance(axis, int):
        shape = [1] * x.ndim
        shape[axis] = -1
        weights = weights.reshape(shape)
    weights = weights.expand_as(x)
    return torch.sum(x * weights, axis) / torch.sum(weights, axis)


# Cumulative --------------------------------------------------------------------------------------


def cumulate(kernel: Any, x: Any, axis: int | None, dtype: Any) -> Tensor:
    x = as_tensor(x)
    if axis is None:
        x, axis = x.reshape(-1), 0
    elif no_axes(axis):  # as in a reduction: nothing is cumulated
        return x if dtype is None else x.to(to_torch(dtype))
    rank = x.ndim or 1
    axis = canonical_axis(axis, rank) if type(axis) is int else canonical_axes(axis, rank)[0]
    target = x.dtype if dtype is None else to_torch(dtype)
    return kernel(x, axis, dtype=torch.int32 if target is torch.bool else target)


@op(path=NUMPY + "Cumsum")
def cumsum(x: Tensor, axis: int | None = None, dtype: DType = None) -> Tensor:
    """The sum of all values up to each position along `axis`; of the flattened tensor for `None`.

    Example:
        >>> cumsum([1, 2, 3]).tolist()
        [1, 3, 6]
    """
    return cumulate(torch.cumsum, x, axis, dtype)


@op(path=NUMPY + "Cumprod")
def cumprod(x: Tensor, axis: int | None = None, dtype: DType = None) -> Tensor:
    """The product of all values up to each position along `axis`.

    Example:
        >>> cumprod([1, 2, 3]).tolist()
        [1, 2, 6]
    """
    return cumulate(torch.cumprod, x, axis, dtype)


@op(path=NUMPY + "Diff")
def diff(a: Tensor, n: int = 1, axis: int = -1) -> Tensor:
    """The `n`-th difference of neighbours along `axis`.

    Example:
        >>> diff([1, 4, 9]).tolist()
        [3, 5]
    """
    a = as_tensor(a)
    return torch.diff(a, n, canonical_axis(axis, a.ndim))


@op(path=NUMPY + "Trapezoid")
def trapezoid(y: Tensor, x: Any = None, dx: float = 1.0, axis: int = -1) -> Tensor:
    """The integral along `axis` by the trapezoidal rule.

    Args:
        y: Values of the function.
        x: Where they are taken; `None` for steps of `dx`.
        dx: The distance between them.
        axis: The axis.

    Example:
        >>> trapezoid([1.0, 2.0, 3.0]).item()
        4.0
    """
    y = as_tensor(y)
    y = as_floating(y) if y.dtype is torch.bool else y
    if x is not None:
        return torch.trapezoid(y, as_tensor(x, like=y), dim=axis)
    return torch.trapezoid(y, dx=dx, dim=axis)


@op(path=NUMPY + "Corrcoef")
def corrcoef(x: Tensor) -> Tensor:
    """The matrix of correlation coefficients of the rows of `x`.

    Raises:
        ValueError: `x` has more than two axes.

    Example:
        >>> corrcoef([[1.0, 3.0], [3.0, 1.0]]).round().tolist()
        [[1.0, -1.0], [-1.0, 1.0]]
    """
    x = as_tensor(x)
    x = x.double() if x.dtype is torch.int64 else as_floating(x)
    if x.ndim > 2:
        raise ValueError(f"corrcoef: `x` must be rows. Received: shape={tuple(x.shape)}")
    # `torch.corrcoef` looks at values, for which a GPU would be waited for.
    rows = torch.atleast_2d(x)
    rows = rows - rows.mean(-1, keepdim=True)
    rows = rows / torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    result = rows @ rows.mH
    result = result if x.is_complex() else result.clamp(-1.0, 1.0)
    return result if x.ndim == 2 else result[0, 0]
