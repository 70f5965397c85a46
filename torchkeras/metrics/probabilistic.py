"""Means of the losses on probabilities and margins, and the correlations.

Sources: the losses of the same names; Lin 1989 (concordance correlation).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..config import epsilon
from ..losses import (
    binary_crossentropy,
    categorical_crossentropy,
    categorical_hinge,
    hinge,
    kl_divergence,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from ..losses.loss import symbolic
from ..losses.regression import aligned
from ..registry import builtin
from .reduction import FunctionMetric

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "ConcordanceCorrelation",
    "Hinge",
    "KLDivergence",
    "PearsonCorrelation",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "concordance_correlation",
    "pearson_correlation",
]


@builtin("keras.metrics.BinaryCrossentropy")
class BinaryCrossentropy(FunctionMetric):
    """Mean cross-entropy of yes/no labels.

    Args:
        name: Default: `"binary_crossentropy"`.
        dtype: See `Metric`.
        from_logits: Whether predictions are unnormalized.
        label_smoothing: Labels move this fraction of the way to 0.5.
    """

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ) -> None:
        super().__init__(
            binary_crossentropy,
            "down",
            name=name,
            dtype=dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
        )


@builtin("keras.metrics.CategoricalCrossentropy")
class CategoricalCrossentropy(FunctionMetric):
    """Mean cross-entropy of one-hot labels.

    Args:
        name: Default: `"categorical_crossentropy"`.
        dtype: See `Metric`.
        from_logits: Whether predictions are unnormalized.
        label_smoothing: This fraction of each target is spread evenly over the classes.
        axis: The axis of the classes.
    """

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ) -> None:
        super().__init__(
            categorical_crossentropy,
            "down",
            name=name,
            dtype=dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


@builtin("keras.metrics.SparseCategoricalCrossentropy")
class SparseCategoricalCrossentropy(FunctionMetric):
    """Mean cross-entropy of class numbers.

    Args:
        name: Default: `"sparse_categorical_crossentropy"`.
        dtype: See `Metric`.
        from_logits: Whether predictions are unnormalized.
        ignore_class: A label whose samples count as 0.
        axis: The axis of the classes.
    """

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(
            sparse_categorical_crossentropy,
            "down",
            name=name,
            dtype=dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )


@builtin("keras.metrics.KLDivergence")
class KLDivergence(FunctionMetric):
    """Mean Kullback-Leibler divergence; see `Metric` for the arguments."""

    def __init__(self, name: str | None = "kl_divergence", dtype: Any = None) -> None:
        super().__init__(kl_divergence, "down", name=name, dtype=dtype)


@builtin("keras.metrics.Poisson")
class Poisson(FunctionMetric):
    """Mean Poisson loss; see `Metric` for the arguments."""

    def __init__(self, name: str | None = "poisson", dtype: Any = None) -> None:
        super().__init__(poisson, "down", name=name, dtype=dtype)


@builtin("keras.metrics.Hinge")
class Hinge(FunctionMetric):
    """Mean hinge loss; see `Metric` for the arguments."""

    def __init__(self, name: str | None = "hinge", dtype: Any = None) -> None:
        super().__init__(hinge, "down", name=name, dtype=dtype)


@builtin("keras.metrics.SquaredHinge")
class SquaredHinge(FunctionMetric):
    """Mean squared hinge loss; see `Metric` for the arguments."""

    def __init__(self, name: str | None = "squared_hinge", dtype: Any = None) -> None:
        super().__init__(squared_hinge, "down", name=name, dtype=dtype)


@builtin("keras.metrics.CategoricalHinge")
class CategoricalHinge(FunctionMetric):
    """Mean categorical hinge loss; see `Metric` for the arguments."""

    def __init__(self, name: str | None = "categorical_hinge", dtype: Any = None) -> None:
        super().__init__(categorical_hinge, "down", name=name, dtype=dtype)


@builtin("keras.metrics.pearson_correlation")
@symbolic
def pearson_correlation(y_true: Tensor | Any, y_pred: Tensor | Any, axis: int = -1) -> Tensor:
    """Correlation of `y_true` and `y_pred` along `axis`, from -1 to 1.

    Raises:
        ValueError: The shapes do not combine.

    Example:
        >>> pearson_correlation([[0.0, 1.0]], [[5.0, 3.0]])
        tensor([-1.])
    """
    y_true, y_pred = aligned("pearson_correlation", y_true, y_pred)
    standardized = []
    for values in (y_true, y_pred):
        centred = values - values.mean(axis, keepdim=True)
        standardized.append(centred / centred.std(axis, correction=0, keepdim=True))
    return (standardized[0] * standardized[1]).mean(axis)


@builtin("keras.metrics.concordance_correlation")
@symbolic
def concordance_correlation(y_true: Tensor | Any, y_pred: Tensor | Any, axis: int = -1) -> Tensor:
    """Correlation that also drops with differences of mean and variance, along `axis`.

    Raises:
        ValueError: The shapes do not combine.
    """
    y_true, y_pred = aligned("concordance_correlation", y_true, y_pred)
    true_mean, pred_mean = y_true.mean(axis, keepdim=True), y_pred.mean(axis, keepdim=True)
    spread = y_true.var(axis, correction=0, keepdim=True) + y_pred.var(
        axis, correction=0, keepdim=True
    )
    spread = spread + (true_mean - pred_mean).square() + epsilon()
    return (2.0 * (y_true - pred_mean) * (y_pred - pred_mean) / spread).mean(axis)


@builtin("keras.metrics.PearsonCorrelation")
class PearsonCorrelation(FunctionMetric):
    """Mean correlation of labels and predictions.

    Args:
        name: Default: `"pearson_correlation"`.
        dtype: See `Metric`.
        axis: The axis over which each correlation is taken.
    """

    def __init__(
        self, name: str | None = "pearson_correlation", dtype: Any = None, axis: int = -1
    ) -> None:
        super().__init__(pearson_correlation, "up", name=name, dtype=dtype, axis=axis)


@builtin("keras.metrics.ConcordanceCorrelation")
class ConcordanceCorrelation(FunctionMetric):
    """Mean concordance correlation of labels and predictions; arguments as `PearsonCorrelation`."""

    def __init__(
        self, name: str | None = "concordance_correlation", dtype: Any = None, axis: int = -1
    ) -> None:
        super().__init__(concordance_correlation, "up", name=name, dtype=dtype, axis=axis)
