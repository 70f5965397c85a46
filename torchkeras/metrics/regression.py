"""Regression metrics: means of the regression losses, root mean squared error, R².

Source: the losses of the same names; the cosine similarity is the loss without its minus sign.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from ..losses import (
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
)
from ..losses.loss import squeeze_or_expand_to_same_rank, symbolic, to_tensor, weight_error
from ..losses.regression import aligned, unit_vectors
from ..naming import explain
from ..registry import builtin
from .metric import Metric
from .reduction import FunctionMetric, Mean

__all__ = [
    "CosineSimilarity",
    "LogCoshError",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "R2Score",
    "RootMeanSquaredError",
    "cosine_similarity",
]


@builtin("keras.metrics.MeanSquaredError")
class MeanSquaredError(FunctionMetric):
    """Mean of `(y_true - y_pred)**2`; see `Metric` for the arguments.

    Example:
        >>> float(MeanSquaredError()([[0.0], [0.0]], [[1.0], [3.0]]))
        5.0
    """

    def __init__(self, name: str | None = "mean_squared_error", dtype: Any = None) -> None:
        super().__init__(mean_squared_error, "down", name=name, dtype=dtype)


@builtin("keras.metrics.MeanAbsoluteError")
class MeanAbsoluteError(FunctionMetric):
    """Mean of `abs(y_true - y_pred)`; see `Metric` for the arguments."""

    def __init__(self, name: str | None = "mean_absolute_error", dtype: Any = None) -> None:
        super().__init__(mean_absolute_error, "down", name=name, dtype=dtype)


@builtin("keras.metrics.MeanAbsolutePercentageError")
class MeanAbsolutePercentageError(FunctionMetric):
    """Mean of `100 * abs((y_true - y_pred) / y_true)`; see `Metric` for the arguments."""

    def __init__(
        self, name: str | None = "mean_absolute_percentage_error", dtype: Any = None
    ) -> None:
        super().__init__(mean_absolute_percentage_error, "down", name=name, dtype=dtype)


@builtin("keras.metrics.MeanSquaredLogarithmicError")
class MeanSquaredLogarithmicError(FunctionMetric):
    """Mean of the squared difference of `log(1 + y)`; see `Metric` for the arguments."""

    def __init__(
        self, name: str | None = "mean_squared_logarithmic_error", dtype: Any = None
    ) -> None:
        super().__init__(mean_squared_logarithmic_error, "down", name=name, dtype=dtype)


@builtin("keras.metrics.LogCoshError")
class LogCoshError(FunctionMetric):
    """Mean of `log(cosh(y_pred - y_true))`; see `Metric` for the arguments."""

    def __init__(self, name: str | None = "logcosh", dtype: Any = None) -> None:
        super().__init__(log_cosh, "down", name=name, dtype=dtype)


@builtin("keras.src.metrics.regression_metrics.cosine_similarity")
@symbolic
def cosine_similarity(y_true: Tensor | Any, y_pred: Tensor | Any, axis: int = -1) -> Tensor:
    """Cosine of the angle between `y_true` and `y_pred` along `axis`, one per sample.

    Example:
        >>> cosine_similarity([[3.0, 0.0]], [[2.0, 0.0]])
        tensor([1.])
    """
    y_true, y_pred = aligned("cosine_similarity", y_true, y_pred)
    return (unit_vectors(y_true, axis) * unit_vectors(y_pred, axis)).sum(axis)


@builtin("keras.metrics.CosineSimilarity")
class CosineSimilarity(FunctionMetric):
    """Mean cosine of the angle between labels and predictions.

    Args:
        name: Default: `"cosine_similarity"`.
        dtype: See `Metric`.
        axis: The axis of the vectors.
    """

    unsaved = {"axis": -1}

    def __init__(
        self, name: str | None = "cosine_similarity", dtype: Any = None, axis: int = -1
    ) -> None:
        super().__init__(cosine_similarity, "up", name=name, dtype=dtype, axis=axis)


@builtin("keras.metrics.RootMeanSquaredError")
class RootMeanSquaredError(Mean):
    """Square root of the mean of `(y_true - y_pred)**2`; see `Metric` for the arguments.

    Example:
        >>> float(RootMeanSquaredError()([[0.0, 0.0]], [[3.0, 3.0]]))
        3.0
    """

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self._direction = "down"

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch of equal shapes, up to a trailing axis of size 1."""
        y_pred = to_tensor(y_pred, self._torch_dtype)
        y_true = to_tensor(y_true, self._torch_dtype, y_pred.device)
        y_true, y_pred = aligned("root_mean_squared_error", y_true, y_pred)
        Mean.update_state(self, (y_pred - y_true).square(), sample_weight=sample_weight)

    def result(self) -> Tensor:
        """Return the root of the mean."""
        return super().result().sqrt()


@builtin("keras.metrics.R2Score")
class R2Score(Metric):
    """Coefficient of determination: the explained share of the targets' variance.

    Args:
        class_aggregation: How the D outputs are combined: `"uniform_average"`,
            `"variance_weighted_average"`, or `None` for one value each.
        num_regressors: Number of predictors, for the adjusted score; 0 for the plain one.
        name: Default: `"r2_score"`.
        dtype: See `Metric`.

    Raises:
        ValueError: An argument outside its options; on update, inputs that are not `(B, D)`.

    Example:
        >>> round(float(R2Score()([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]])), 3)
        0.571
    """

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self._direction = "up"
        options = (None, "uniform_average", "variance_weighted_average")
        if class_aggregation not in options:
            raise ValueError(
                "R2Score: Invalid value for argument `class_aggregation`. Expected one of"
                f" {options}. Received: {class_aggregation!r}"
            )
        if not num_regressors >= 0:  # not a number, either
            raise ValueError(
                "R2Score: Invalid value for argument `num_regressors`. Expected a value >= 0."
                f" Received: {num_regressors!r}"
            )
        self.class_aggregation = class_aggregation
        self.num_regressors = num_regressors
        self.num_samples = self.add_variable((), "zeros", name="num_samples")
        self._built = False

    def _build(self, y_true: Tensor, y_pred: Tensor) -> None:
        if y_true.dim() != 2 or y_pred.dim() != 2:
            raise ValueError(
                explain(
                    f"R2Score '{self.name}' expects 2D inputs with shape (batch_size, output_dim).",
                    y_true=tuple(y_true.shape),
                    y_pred=tuple(y_pred.shape),
                )
            )
        for attribute, name in (
            ("squared_sum", "squared_sum"),
            ("sum", "sum"),
            ("total_mse", "residual"),
            ("count", "count"),
        ):
            setattr(self, attribute, self.add_variable((y_pred.shape[1],), "zeros", name=name))
        self._move(y_pred.device)
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch `(B, D)`, with weights `(B,)` or `(B, D)`."""
        y_pred = to_tensor(y_pred, self._torch_dtype)
        y_true = to_tensor(y_true, self._torch_dtype, y_pred.device)
        y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
        if not self._built:
            self._build(y_true, y_pred)
        weight = to_tensor(
            1 if sample_weight is None else sample_weight, y_true.dtype, y_true.device
        )
        if weight.dim() == 1:
            weight = weight.unsqueeze(1)
        try:
            weight = weight.expand(y_true.shape)
        except RuntimeError as error:
            raise weight_error(weight, y_true) from error
        weighted = y_true * weight
        self.sum.add_(weighted.sum(0))
        self.squared_sum.add_((y_true * weighted).sum(0))
        self.total_mse.add_(((y_true - y_pred).square() * weight).sum(0))
        self.count.add_(weight.sum(0))
        self.num_samples.add_(y_true.numel())

    def result(self) -> Tensor:
        """Return the score: a number, or one per output."""
        total = self.squared_sum.detach() - self.sum.detach().square() / self.count.detach()
        scores = 1.0 - self.total_mse.detach() / total
        scores = scores.masked_fill(scores.isinf(), 0.0)
        if self.class_aggregation == "uniform_average":
            scores = scores.mean()
        elif self.class_aggregation == "variance_weighted_average":
            scores = (total * scores).sum() / total.sum()
        return self._adjusted(scores) if self.num_regressors else scores

    def _adjusted(self, scores: Tensor) -> Tensor:
        """Penalize predictors; with too few samples for that, keep the plain score."""
        freedom = self.num_samples.detach() - 1 - self.num_regressors
        if freedom.device.type == "cpu" and freedom <= 0:  # elsewhere looking would synchronize
            warnings.warn(
                f"R2Score '{self.name}': {self.num_regressors} regressors for"
                f" {int(self.num_samples)} values leave no degree of freedom; the score is not"
                " adjusted.",
                stacklevel=3,
            )
        adjusted = 1.0 - (1.0 - scores) * (self.num_samples.detach() - 1) / freedom
        return torch.where(freedom > 0, adjusted, scores)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {
            "class_aggregation": self.class_aggregation,
            "num_regressors": self.num_regressors,
        }
        return {**super().get_config(), **own}
