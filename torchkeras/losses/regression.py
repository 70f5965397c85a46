"""Regression losses: squared, absolute, relative and logarithmic errors, Huber, log-cosh, cosine.

Letters: B batch, D values per sample. All functions take `(B, ..., D)` twice, align ranks that
differ by a trailing axis of size 1, and reduce the last axis; broadcasting is allowed, as in Keras.
Sources: Huber 1964; the other definitions are Keras's.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..config import epsilon
from ..registry import builtin
from .loss import (
    FunctionLoss,
    check_broadcast,
    mean_kernel,
    prepare,
    same_size,
    squeeze_or_expand_to_same_rank,
    symbolic,
)

__all__ = [
    "CosineSimilarity",
    "Huber",
    "LogCosh",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "cosine_similarity",
    "huber",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "unit_vectors",
]

# The kernels under `torch.nn.functional`: its wrappers broadcast first, which costs 2 µs a call.
_nn = torch._C._nn
MEAN = 1  # torch's number for reduction="mean"


def aligned(name: str, y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
    """Convert both, align their ranks and check that they combine elementwise."""
    y_true, y_pred = squeeze_or_expand_to_same_rank(*prepare(y_true, y_pred))
    check_broadcast(name, y_true, y_pred)
    return y_true, y_pred


@builtin("keras.losses.mean_squared_error", "keras.metrics.mean_squared_error")
@symbolic
def mean_squared_error(y_true: Tensor | Any, y_pred: Tensor | Any) -> Tensor:
    """Mean over the last axis of `(y_true - y_pred)**2`.

    Args:
        y_true: Targets `(B, ..., D)`.
        y_pred: Predictions, same shape.

    Returns:
        One value per sample, `(B, ...)`, in squared units of `y`.

    Raises:
        ValueError: The shapes do not combine.

    Example:
        >>> mean_squared_error([[0.0, 1.0]], [[2.0, 1.0]])
        tensor([2.])
    """
    y_true, y_pred = aligned("mean_squared_error", y_true, y_pred)
    return (y_true - y_pred).square().mean(-1)


@mean_kernel(mean_squared_error)
def _mean_squared_error(y_true: Tensor, y_pred: Tensor) -> Tensor | None:
    y_true = same_size(y_true, y_pred)
    return None if y_true is None else _nn.mse_loss(y_pred, y_true, MEAN)


@builtin("keras.losses.mean_absolute_error", "keras.metrics.mean_absolute_error")
@symbolic
def mean_absolute_error(y_true: Tensor | Any, y_pred: Tensor | Any) -> Tensor:
    """Mean over the last axis of `abs(y_true - y_pred)`.

    Args:
        y_true: Targets `(B, ..., D)`.
        y_pred: Predictions, same shape.

    Returns:
        One value per sample, `(B, ...)`, in units of `y`.

    Raises:
        ValueError: The shapes do not combine.

    Example:
        >>> mean_absolute_error([[0.0, 1.0]], [[2.0, 1.0]])
        tensor([1.])
    """
    y_true, y_pred = aligned("mean_absolute_error", y_true, y_pred)
    return (y_true - y_pred).abs().mean(-1)


@mean_kernel(mean_absolute_error)
def _mean_absolute_error(y_true: Tensor, y_pred: Tensor) -> Tensor | None:
    y_true = same_size(y_true, y_pred)
    return None if y_true is None else _nn.l1_loss(y_pred, y_true, MEAN)


@builtin(
    "keras.losses.mean_absolute_percentage_error", "keras.metrics.mean_absolute_percentage_error"
)
@symbolic
def mean_absolute_percentage_error(y_true: Tensor | Any, y_pred: Tensor | Any) -> Tensor:
    """Mean over the last axis of `100 * abs((y_true - y_pred) / y_true)`, in percent.

    Args:
        y_true: Targets `(B, ..., D)`; magnitudes below `epsilon()` count as `epsilon()`.
        y_pred: Predictions, same shape.

    Returns:
        One value per sample, `(B, ...)`.

    Raises:
        ValueError: The shapes do not combine.

    Example:
        >>> mean_absolute_percentage_error([[4.0]], [[5.0]])
        tensor([25.])
    """
    y_true, y_pred = aligned("mean_absolute_percentage_error", y_true, y_pred)
    return 100.0 * ((y_true - y_pred) / y_true.abs().clamp(min=epsilon())).abs().mean(-1)


@builtin(
    "keras.losses.mean_squared_logarithmic_error", "keras.metrics.mean_squared_logarithmic_error"
)
@symbolic
def mean_squared_logarithmic_error(y_true: Tensor | Any, y_pred: Tensor | Any) -> Tensor:
    """Mean over the last axis of `(log(1 + y_true) - log(1 + y_pred))**2`.

    Args:
        y_true: Targets `(B, ..., D)`; values below `epsilon()` count as `epsilon()`.
        y_pred: Predictions, same shape and rule.

    Returns:
        One value per sample, `(B, ...)`.

    Raises:
        ValueError: The shapes do not combine.

    Example:
        >>> mean_squared_logarithmic_error([[1.0]], [[1.0]])
        tensor([0.])
    """
    y_true, y_pred = aligned("mean_squared_logarithmic_error", y_true, y_pred)
    eps = epsilon()
    return (y_pred.clamp(min=eps).log1p() - y_true.clamp(min=eps).log1p()).square().mean(-1)


@builtin("keras.losses.huber", "keras.metrics.huber")
@symbolic
def huber(y_true: Tensor | Any, y_pred: Tensor | Any, delta: float = 1.0) -> Tensor:
    """Half the squared error up to `delta`, linear beyond it, averaged over the last axis.

    Args:
        y_true: Targets `(B, ..., D)`.
        y_pred: Predictions, same shape.
        delta: Where the two branches meet, in units of `y`.

    Returns:
        One value per sample, `(B, ...)`.

    Raises:
        ValueError: The shapes do not combine.

    Example:
        >>> huber([[0.0, 0.0]], [[1.0, 3.0]])
        tensor([1.5000])
    """
    y_true, y_pred = aligned("huber", y_true, y_pred)
    error = (y_pred - y_true).abs()
    linear = delta * error - 0.5 * delta**2
    return torch.where(error <= delta, 0.5 * error.square(), linear).mean(-1)


@mean_kernel(huber)
def _huber(y_true: Tensor, y_pred: Tensor, delta: float = 1.0) -> Tensor | None:
    y_true = same_size(y_true, y_pred)
    if y_true is None or isinstance(delta, Tensor) or delta <= 0:
        return None
    return _nn.huber_loss(y_pred, y_true, MEAN, delta)


@builtin("keras.losses.log_cosh", "keras.metrics.log_cosh")
@symbolic
def log_cosh(y_true: Tensor | Any, y_pred: Tensor | Any) -> Tensor:
    """Mean over the last axis of `log(cosh(y_pred - y_true))`.

    Args:
        y_true: Targets `(B, ..., D)`.
        y_pred: Predictions, same shape.

    Returns:
        One value per sample, `(B, ...)`.

    Raises:
        ValueError: The shapes do not combine.

    Example:
        >>> log_cosh([[0.0]], [[0.0]])
        tensor([0.])
    """
    y_true, y_pred = aligned("log_cosh", y_true, y_pred)
    error = y_pred - y_true
    return (error + F.softplus(-2.0 * error) - math.log(2.0)).mean(-1)


def unit_vectors(x: Tensor, axis: int = -1) -> Tensor:
    """Divide by the Euclidean norm over `axis`; norms below `epsilon()` count as `epsilon()`."""
    return x * x.square().sum(axis, keepdim=True).clamp(min=epsilon() ** 2).rsqrt()


@builtin("keras.losses.cosine_similarity")
@symbolic
def cosine_similarity(y_true: Tensor | Any, y_pred: Tensor | Any, axis: int = -1) -> Tensor:
    """Negative cosine of the angle between `y_true` and `y_pred` along `axis`.

    Args:
        y_true: Targets `(B, ..., D)`.
        y_pred: Predictions, same shape.
        axis: The axis of the vectors.

    Returns:
        -1 (same direction) to 1 (opposite), the shape without `axis`.

    Raises:
        ValueError: The shapes do not combine.

    Example:
        >>> cosine_similarity([[3.0, 0.0]], [[0.0, 2.0]])
        tensor([-0.])
    """
    y_true, y_pred = aligned("cosine_similarity", y_true, y_pred)
    return -(unit_vectors(y_true, axis) * unit_vectors(y_pred, axis)).sum(axis)


@builtin("keras.losses.MeanSquaredError")
class MeanSquaredError(FunctionLoss):
    """`mean_squared_error` with reduction and weights; see `Loss` for the arguments.

    Example:
        >>> MeanSquaredError()([[0.0], [0.0]], [[1.0], [3.0]])
        tensor(5.)
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_squared_error, reduction=reduction, name=name, dtype=dtype)


@builtin("keras.losses.MeanAbsoluteError")
class MeanAbsoluteError(FunctionLoss):
    """`mean_absolute_error` with reduction and weights; see `Loss` for the arguments."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_absolute_error, reduction=reduction, name=name, dtype=dtype)


@builtin("keras.losses.MeanAbsolutePercentageError")
class MeanAbsolutePercentageError(FunctionLoss):
    """`mean_absolute_percentage_error` with reduction and weights; see `Loss` for the arguments."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_percentage_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            mean_absolute_percentage_error, reduction=reduction, name=name, dtype=dtype
        )


@builtin("keras.losses.MeanSquaredLogarithmicError")
class MeanSquaredLogarithmicError(FunctionLoss):
    """`mean_squared_logarithmic_error` with reduction and weights; see `Loss` for the arguments."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_logarithmic_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            mean_squared_logarithmic_error, reduction=reduction, name=name, dtype=dtype
        )


@builtin("keras.losses.Huber")
class Huber(FunctionLoss):
    """`huber` with reduction and weights; see `Loss` for the other arguments.

    Args:
        delta: Where the quadratic and the linear branch meet, in units of `y`.
    """

    omitted = {"delta": 1.0}

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(huber, reduction=reduction, name=name, dtype=dtype, delta=delta)


@builtin("keras.losses.LogCosh")
class LogCosh(FunctionLoss):
    """`log_cosh` with reduction and weights; see `Loss` for the arguments."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "log_cosh",
        dtype: Any = None,
    ) -> None:
        super().__init__(log_cosh, reduction=reduction, name=name, dtype=dtype)


@builtin("keras.losses.CosineSimilarity")
class CosineSimilarity(FunctionLoss):
    """`cosine_similarity` with reduction and weights; see `Loss` for the other arguments.

    Args:
        axis: The axis of the vectors.
    """

    omitted = {"axis": -1}

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "cosine_similarity",
        dtype: Any = None,
    ) -> None:
        super().__init__(cosine_similarity, reduction=reduction, name=name, dtype=dtype, axis=axis)
