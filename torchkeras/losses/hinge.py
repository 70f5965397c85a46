"""Hinge losses, for targets of -1 and 1 (or 0 and 1, which are converted).

Letters: B batch, D values per sample.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..registry import builtin
from .loss import FunctionLoss, check_broadcast, prepare, symbolic

__all__ = [
    "CategoricalHinge",
    "Hinge",
    "SquaredHinge",
    "categorical_hinge",
    "hinge",
    "squared_hinge",
]


def _positive_part(x: Tensor) -> Tensor:
    return torch.maximum(x, x.new_zeros(()))  # at 0 the gradient is 1/2, as in Keras; `clamp`: 1


def _margins(name: str, y_true: Any, y_pred: Any) -> Tensor:
    """Compute `max(1 - y_true * y_pred, 0)`, labels 0 and 1 read as -1 and 1."""
    y_true, y_pred = prepare(y_true, y_pred)
    check_broadcast(name, y_true, y_pred)
    zero_or_one = ((y_true == 0) | (y_true == 1)).all()  # stays on the device
    signs = torch.where(zero_or_one, 2.0 * y_true - 1.0, y_true)
    return _positive_part(1.0 - signs * y_pred)


@builtin("keras.losses.hinge", "keras.metrics.hinge")
@symbolic
def hinge(y_true: Tensor | Any, y_pred: Tensor | Any) -> Tensor:
    """Mean over the last axis of `max(1 - y_true * y_pred, 0)`.

    Args:
        y_true: -1 or 1; if all are 0 or 1, these are converted. `(B, ..., D)`.
        y_pred: Scores, same shape.

    Returns:
        One value per sample, `(B, ...)`.

    Raises:
        ValueError: The shapes do not combine.

    Example:
        >>> hinge([[1.0, -1.0]], [[0.5, -2.0]])
        tensor([0.2500])
    """
    return _margins("hinge", y_true, y_pred).mean(-1)


@builtin("keras.losses.squared_hinge", "keras.metrics.squared_hinge")
@symbolic
def squared_hinge(y_true: Tensor | Any, y_pred: Tensor | Any) -> Tensor:
    """Mean over the last axis of `max(1 - y_true * y_pred, 0)**2`.

    Args:
        y_true: -1 or 1; if all are 0 or 1, these are converted. `(B, ..., D)`.
        y_pred: Scores, same shape.

    Returns:
        One value per sample, `(B, ...)`.

    Raises:
        ValueError: The shapes do not combine.
    """
    return _margins("squared_hinge", y_true, y_pred).square().mean(-1)


@builtin("keras.losses.categorical_hinge", "keras.metrics.categorical_hinge")
@symbolic
def categorical_hinge(y_true: Tensor | Any, y_pred: Tensor | Any) -> Tensor:
    """`max(1 + best wrong score - true score, 0)` over the classes in the last axis.

    Args:
        y_true: One-hot labels `(B, ..., D)`.
        y_pred: Scores, same shape.

    Returns:
        One value per sample, `(B, ...)`.

    Raises:
        ValueError: The shapes do not combine.
    """
    y_true, y_pred = prepare(y_true, y_pred)
    check_broadcast("categorical_hinge", y_true, y_pred)
    right = (y_true * y_pred).sum(-1)
    wrong = ((1.0 - y_true) * y_pred).amax(-1)
    return _positive_part(wrong - right + 1.0)


@builtin("keras.losses.Hinge")
class Hinge(FunctionLoss):
    """`hinge` with reduction and weights; see `Loss` for the arguments."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "hinge",
        dtype: Any = None,
    ) -> None:
        super().__init__(hinge, reduction=reduction, name=name, dtype=dtype)


@builtin("keras.losses.SquaredHinge")
class SquaredHinge(FunctionLoss):
    """`squared_hinge` with reduction and weights; see `Loss` for the arguments."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "squared_hinge",
        dtype: Any = None,
    ) -> None:
        super().__init__(squared_hinge, reduction=reduction, name=name, dtype=dtype)


@builtin("keras.losses.CategoricalHinge")
class CategoricalHinge(FunctionLoss):
    """`categorical_hinge` with reduction and weights; see `Loss` for the arguments."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_hinge",
        dtype: Any = None,
    ) -> None:
        super().__init__(categorical_hinge, reduction=reduction, name=name, dtype=dtype)
