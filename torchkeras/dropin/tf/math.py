"""`tf.math`: a table from TensorFlow's names to functions of `keras.ops` or torch."""

from __future__ import annotations

from typing import Any

import torch

import torchkeras.ops as ops  # `from ... import ops` would import the package's root as well

from ...dtypes import to_torch
from .tables import binary, is_whole, named, reduction, unary
from .tensors import as_tensor, matched, tensor_or_symbol

__all__ = ["CLIPPING", "MATH", "argmax", "argmin", "cast", "global_norm"]

t = tensor_or_symbol


def cast(x: Any, dtype: Any, name: str | None = None) -> Any:
    """Convert to another dtype, as `keras.ops.cast`."""
    return ops.cast(t(x), dtype)


def argmax(
    input: Any, axis: int | None = None, output_type: Any = torch.int64, name: str | None = None
) -> Any:
    """Return the place of the largest value along an axis, by default the first."""
    return ops.cast(ops.argmax(t(input), axis=axis or 0), output_type)


def argmin(
    input: Any, axis: int | None = None, output_type: Any = torch.int64, name: str | None = None
) -> Any:
    """Return the place of the smallest value along an axis, by default the first."""
    return ops.cast(ops.argmin(t(input), axis=axis or 0), output_type)


def _cumulative(op: Any) -> Any:
    def apply(
        x: Any, axis: int = 0, exclusive: bool = False, reverse: bool = False, name: str = ""
    ) -> Any:
        x = t(x)
        value = ops.flip(x, axis) if reverse else x
        value = op(value, axis=axis)
        if exclusive:
            start = ops.ones_like if op is ops.cumprod else ops.zeros_like
            size = value.shape[axis]
            head = ops.take(value, range(size - 1), axis=axis)
            value = ops.concatenate([start(ops.take(value, [0], axis=axis)), head], axis=axis)
        return ops.flip(value, axis) if reverse else value

    return apply


def _top_k(input: Any, k: int = 1, sorted: bool = True, name: str | None = None) -> Any:
    values, indices = ops.top_k(t(input), k=int(k), sorted=sorted)
    return TopK((values, ops.cast(indices, "int32")))


class TopK(tuple[Any, Any]):
    """Values and their places."""

    values = property(lambda self: self[0])
    indices = property(lambda self: self[1])


def _segment(op: Any) -> Any:
    def apply(data: Any, segment_ids: Any, num_segments: Any = None, name: str = "") -> Any:
        ids = t(segment_ids)
        count = int(ids.max()) + 1 if num_segments is None else int(num_segments)
        return op(t(data), ids, num_segments=count)

    return apply


def _segment_mean(data: Any, segment_ids: Any, num_segments: Any = None, name: str = "") -> Any:
    data, ids = t(data), t(segment_ids)
    count = int(ids.max()) + 1 if num_segments is None else int(num_segments)
    sums = ops.segment_sum(data, ids, num_segments=count)
    sizes = torch.bincount(ids.long(), minlength=count).clamp_min(1)
    return sums / sizes.reshape(-1, *[1] * (data.ndim - 1)).to(sums.dtype)


def _divide(x: Any, y: Any, name: str | None = None) -> Any:
    x, y = matched(x, y)
    if is_whole(x) and is_whole(y) and x.itemsize > 2:
        x, y = x.double(), y.double()  # as TensorFlow, which loses no digit
    return ops.divide(x, y)


def _pow(x: Any, y: Any, name: str | None = None) -> Any:
    return ops.power(*matched(x, y))


def _bincount(
    arr: Any,
    weights: Any = None,
    minlength: int | None = None,
    maxlength: int | None = None,
    dtype: Any = torch.int32,
    name: str | None = None,
    axis: int | None = None,
    binary_output: bool = False,
) -> Any:
    flat = t(arr)
    if axis not in (None, 0):
        counts = torch.stack([_bincount(row, None, minlength, maxlength) for row in flat])
    else:
        flat = flat.reshape(-1).long()
        keep = flat < maxlength if maxlength is not None else slice(None)
        weights = None if weights is None else t(weights).reshape(-1)[keep]
        counts = torch.bincount(flat[keep], weights, minlength=minlength or 0)
    if weights is not None:
        return counts
    return (counts > 0).to(to_torch(dtype)) if binary_output else counts.to(to_torch(dtype))


def _confusion_matrix(
    labels: Any,
    predictions: Any,
    num_classes: int | None = None,
    weights: Any = None,
    dtype: Any = torch.int32,
    name: str | None = None,
) -> torch.Tensor:
    labels, predictions = t(labels).long().reshape(-1), t(predictions).long().reshape(-1)
    n = int(torch.maximum(labels.max(), predictions.max())) + 1
    n = n if num_classes is None else int(num_classes)
    weights = None if weights is None else t(weights).reshape(-1)
    counts = torch.bincount(labels * n + predictions, weights, minlength=n * n)
    return counts.reshape(n, n).to(to_torch(dtype))


def _in_top_k(targets: Any, predictions: Any, k: int, name: str | None = None) -> Any:
    return ops.in_top_k(t(targets), t(predictions), k=int(k))


def _l2_normalize(x: Any, axis: Any = None, epsilon: float = 1e-12, name: str = "") -> Any:
    x = t(x)
    total = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return x * ops.rsqrt(ops.maximum(total, epsilon))


def _softmax(logits: Any, axis: int | None = None, name: str | None = None) -> Any:
    x, axis = t(logits), -1 if axis is None else axis
    # Keras's warns about an axis of size one, which attention to a single place has.
    return torch.softmax(x, axis) if isinstance(x, torch.Tensor) else ops.softmax(x, axis=axis)


def _clip(t_: Any, low: Any, high: Any) -> Any:
    return ops.minimum(ops.maximum(t_, low), high)


def _accumulate(inputs: Any, name: str | None = None) -> Any:
    total, *rest = map(t, inputs)
    for value in rest:
        total = total + value
    return total


# Functions of `keras.ops`, by TensorFlow's names.
_OF_ONE = {
    **{
        name: name
        for name in (
            "abs angle ceil conj cos cosh erf erfc erfinv exp expm1 floor imag log log1p"
            " log_sigmoid logical_not negative real reciprocal round rsqrt sigmoid sign sin sinh"
            " softplus softsign sqrt square tan tanh"
        ).split()
    },
    "acos": "arccos",
    "acosh": "arccosh",
    "asin": "arcsin",
    "asinh": "arcsinh",
    "atan": "arctan",
    "atanh": "arctanh",
    "is_finite": "isfinite",
    "is_inf": "isinf",
    "is_nan": "isnan",
    "rint": "round",
}
_OF_TWO = {
    **{
        name: name
        for name in (
            "add divide_no_nan equal greater greater_equal less less_equal logical_and logical_or"
            " logical_xor maximum minimum mod multiply nextafter not_equal subtract"
        ).split()
    },
    "atan2": "arctan2",
    "floordiv": "floor_divide",
    "floormod": "mod",
}

MATH: dict[str, Any] = {
    **{name: unary(getattr(ops, op)) for name, op in _OF_ONE.items()},
    **{
        name: unary(function)
        for name, function in {
            "digamma": torch.digamma,
            "lgamma": torch.lgamma,
            "ndtri": torch.special.ndtri,
            "bessel_i0": torch.special.i0,
            "bessel_i0e": torch.special.i0e,
            "bessel_i1": torch.special.i1,
            "bessel_i1e": torch.special.i1e,
        }.items()
    },
    **{name: binary(getattr(ops, op)) for name, op in _OF_TWO.items()},
    "divide": _divide,
    "truediv": _divide,
    "pow": _pow,
    "squared_difference": binary(lambda x, y: ops.square(ops.subtract(x, y))),
    "reciprocal_no_nan": unary(lambda x: ops.where(x == 0, ops.zeros_like(x), 1 / x)),
    "multiply_no_nan": binary(lambda x, y: ops.where(y == 0, ops.zeros_like(x), x * y)),
    "xlogy": binary(torch.xlogy),
    "xdivy": binary(lambda x, y: ops.where(x == 0, ops.zeros_like(x), x / y)),
    "igamma": lambda a, x, name=None: torch.special.gammainc(*matched(a, x)),
    "igammac": lambda a, x, name=None: torch.special.gammaincc(*matched(a, x)),
    "lbeta": lambda x, name=None: torch.lgamma(t(x)).sum(-1) - torch.lgamma(t(x).sum(-1)),
    "polyval": lambda coeffs, x, name=None: _horner(coeffs, t(x)),
    # Reductions
    "reduce_all": reduction(ops.all),
    "reduce_any": reduction(ops.any),
    "reduce_max": reduction(ops.max),
    "reduce_mean": reduction(ops.mean, keeps_integers=True),
    "reduce_min": reduction(ops.min),
    "reduce_prod": reduction(ops.prod),
    "reduce_sum": reduction(ops.sum),
    "reduce_std": reduction(ops.std),
    "reduce_variance": reduction(ops.var),
    "reduce_logsumexp": reduction(ops.logsumexp),
    "reduce_euclidean_norm": reduction(
        lambda x, axis, keepdims: ops.sqrt(ops.sum(ops.square(x), axis, keepdims))
    ),
    "count_nonzero": lambda input, axis=None, keepdims=False, dtype=torch.int64, name=None: (
        reduction(ops.sum)(ops.cast(ops.not_equal(t(input), 0), dtype), axis, keepdims)
    ),
    "argmax": argmax,
    "argmin": argmin,
    "cumsum": _cumulative(ops.cumsum),
    "cumprod": _cumulative(ops.cumprod),
    "cumulative_logsumexp": lambda x, axis=0, name=None: torch.logcumsumexp(t(x), axis),
    "bincount": _bincount,
    "confusion_matrix": _confusion_matrix,
    "top_k": _top_k,
    "in_top_k": _in_top_k,
    "l2_normalize": _l2_normalize,
    "segment_sum": _segment(ops.segment_sum),
    "segment_max": _segment(ops.segment_max),
    "segment_mean": _segment_mean,
    "unsorted_segment_sum": _segment(ops.segment_sum),
    "unsorted_segment_max": _segment(ops.segment_max),
    "unsorted_segment_min": _segment(ops.segment_min),
    "unsorted_segment_prod": _segment(ops.segment_prod),
    "unsorted_segment_mean": _segment_mean,
    "accumulate_n": _accumulate,
    "add_n": _accumulate,
    "scalar_mul": lambda scalar, x, name=None: t(x) * scalar,
    "invert_permutation": lambda x, name=None: torch.argsort(t(x)).to(t(x).dtype),
    "softmax": _softmax,
    "log_softmax": lambda logits, axis=None, name=None: ops.log_softmax(
        t(logits), axis=-1 if axis is None else axis
    ),
    "zero_fraction": lambda value, name=None: (t(value) == 0).float().mean(),
    "approx_max_k": lambda operand, k, name=None: _top_k(operand, k),
    "sobol_sample": lambda dim, num_results, skip=0, dtype=torch.float32, name=None: (
        torch.quasirandom.SobolEngine(dim).fast_forward(skip + 1).draw(num_results, dtype=dtype)
    ),
}


def _horner(coeffs: Any, x: Any) -> Any:
    result = ops.zeros_like(x)
    for coefficient in coeffs:
        result = result * x + coefficient
    return result


def _by_norm(tensors: Any, norm: Any, clip_norm: Any) -> list[Any]:
    scale = clip_norm / torch.clamp_min(norm, float(clip_norm))
    return [None if x is None else x * scale for x in tensors]


def global_norm(t_list: Any, name: str | None = None) -> torch.Tensor:
    norms = [torch.linalg.vector_norm(as_tensor(x)) for x in t_list if x is not None]
    return torch.linalg.vector_norm(torch.stack(norms))


def _clip_by_global_norm(
    t_list: Any, clip_norm: Any, use_norm: Any = None, name: str | None = None
) -> tuple[list[Any], Any]:
    norm = global_norm(t_list) if use_norm is None else as_tensor(use_norm)
    return _by_norm(t_list, norm, clip_norm), norm


def _clip_by_norm(t: Any, clip_norm: Any, axes: Any = None, name: str | None = None) -> Any:
    x = tensor_or_symbol(t)
    norm = ops.sqrt(ops.sum(ops.square(x), axis=axes, keepdims=True))
    return x * clip_norm / ops.maximum(norm, clip_norm)


def _clip_by_value(
    t: Any, clip_value_min: Any, clip_value_max: Any, name: str | None = None
) -> Any:
    return _clip(tensor_or_symbol(t), clip_value_min, clip_value_max)


CLIPPING: dict[str, Any] = {
    "clip_by_global_norm": _clip_by_global_norm,
    "clip_by_norm": _clip_by_norm,
    "clip_by_value": _clip_by_value,
}

named(MATH)
named(CLIPPING)
