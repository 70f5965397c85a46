"""Metrics: what training reports. A metric keeps state in variables and adds one batch at a time.

`get` finds one by name, config, class or object. `resolve` is what `compile` uses: it also knows
"accuracy" and "crossentropy", which depend on shapes, wraps plain functions, and names the metric
as logs will.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..losses import (
    ALIASES,
    TorchLoss,
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    hinge,
    huber,
    is_torch_loss,
    kl_divergence,
    label_kind,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    object_name,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from ..registry import Namespace
from . import accuracy as _accuracy
from . import auc as _auc
from . import confusion as _confusion
from . import f_score as _f_score
from . import iou as _iou
from . import probabilistic as _probabilistic
from . import reduction as _reduction
from . import regression as _regression
from .accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from .auc import AUC
from .confusion import (
    FalseNegatives,
    FalsePositives,
    Precision,
    PrecisionAtRecall,
    Recall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
    TrueNegatives,
    TruePositives,
)
from .f_score import F1Score, FBetaScore
from .iou import BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU
from .metric import Metric
from .probabilistic import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    ConcordanceCorrelation,
    Hinge,
    KLDivergence,
    PearsonCorrelation,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
    concordance_correlation,
    pearson_correlation,
)
from .reduction import Mean, MeanMetricWrapper, Sum
from .regression import (
    CosineSimilarity,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    R2Score,
    RootMeanSquaredError,
)

__all__ = [
    "AUC",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "BinaryIoU",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "ConcordanceCorrelation",
    "CosineSimilarity",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "Hinge",
    "IoU",
    "KLDivergence",
    "LogCoshError",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanIoU",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "OneHotIoU",
    "OneHotMeanIoU",
    "PearsonCorrelation",
    "Poisson",
    "Precision",
    "PrecisionAtRecall",
    "R2Score",
    "Recall",
    "RecallAtPrecision",
    "RootMeanSquaredError",
    "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SpecificityAtSensitivity",
    "SquaredHinge",
    "Sum",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
    "binary_accuracy",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "concordance_correlation",
    "deserialize",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "pearson_correlation",
    "poisson",
    "resolve",
    "resolve_accuracy",
    "resolve_crossentropy",
    "serialize",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
    "squared_hinge",
    "top_k_categorical_accuracy",
]

_ALIASES = {
    "BinaryCrossentropy": ("bce", "BCE"),
    "MeanSquaredError": ("mse", "MSE"),
    "MeanAbsoluteError": ("mae", "MAE"),
    "MeanAbsolutePercentageError": ("mape", "MAPE"),
    "MeanSquaredLogarithmicError": ("msle", "MSLE"),
    "LogCoshError": ("logcosh",),
    "KLDivergence": ("kld", "KLD"),
}
_METRICS = Namespace("metrics", kind="metric", base=Metric)
_METRICS.register(Metric)
for _module in (
    *(_reduction, _accuracy, _auc, _confusion, _f_score, _iou, _probabilistic, _regression),
):
    for _name in _module.__all__:
        _object = getattr(_module, _name)
        if inspect.isclass(_object) and _name in __all__:
            _METRICS.register(_object, *_ALIASES.get(_name, ()))

Shape = Sequence[int | None]


def serialize(metric: Any) -> Any:
    """Return the config of a metric object or function."""
    return _METRICS.serialize(metric)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Build the metric that a name or config describes.

    Args:
        config: A name, or what `serialize` returned.
        custom_objects: Classes and functions the config may name.

    Raises:
        ValueError: Nothing is called that.
    """
    return _METRICS.deserialize(config, custom_objects)


def get(identifier: Any) -> Metric | Callable[..., Any] | None:
    """Return the metric object or function that `identifier` stands for.

    Args:
        identifier: `None`, a name, a config, a class, a metric object, or a function
            `(y_true, y_pred)`.

    Raises:
        ValueError: It stands for nothing; the message names the nearest name.

    Example:
        >>> get("mse")
        <MeanSquaredError name=mean_squared_error>
    """
    return _METRICS.get(identifier)


_ACCURACIES = {
    "binary": BinaryAccuracy,
    "sparse": SparseCategoricalAccuracy,
    "categorical": CategoricalAccuracy,
}
_CROSSENTROPIES = {
    "binary": BinaryCrossentropy,
    "sparse": SparseCategoricalCrossentropy,
    "categorical": CategoricalCrossentropy,
}


def resolve_accuracy(
    y_true_shape: Shape, y_pred_shape: Shape, name: str | None = "accuracy"
) -> Metric:
    """Make the accuracy that fits the shapes, by Keras's rule.

    Args:
        y_true_shape: Shape of the labels.
        y_pred_shape: Shape of the predictions. One column is binary; labels with fewer axes than
            these, or with one column, are class numbers; else labels are one-hot.
        name: Name of the metric.

    Example:
        >>> resolve_accuracy((None,), (None, 10))
        <SparseCategoricalAccuracy name=accuracy>
    """
    return _ACCURACIES[label_kind(y_true_shape, y_pred_shape)](name=name)


def resolve_crossentropy(
    y_true_shape: Shape, y_pred_shape: Shape, name: str | None = "crossentropy"
) -> Metric:
    """Make the cross-entropy that fits the shapes; see `resolve_accuracy`."""
    return _CROSSENTROPIES[label_kind(y_true_shape, y_pred_shape)](name=name)


def resolve(identifier: Any, y_true_shape: Shape, y_pred_shape: Shape) -> Metric:
    """Return the `Metric` that an entry of `compile(metrics=...)` stands for, named for logs.

    Args:
        identifier: As for `get`, or "accuracy"/"acc", "crossentropy"/"ce" in any case.
        y_true_shape: Shape of the labels.
        y_pred_shape: Shape of the predictions.

    Returns:
        A metric called as the given name, or as the given object.

    Raises:
        ValueError: `identifier` is `None`, or stands for nothing.
    """
    if identifier is None:
        raise ValueError("Expected a metric, received None.")
    lower = identifier.lower() if isinstance(identifier, str) else None
    if lower in ("accuracy", "acc"):
        return resolve_accuracy(y_true_shape, y_pred_shape, name=identifier)
    if lower in ("crossentropy", "ce"):
        return resolve_crossentropy(y_true_shape, y_pred_shape, name=identifier)
    metric = get(identifier)
    if is_torch_loss(metric):
        metric = TorchLoss(metric)
    name = identifier if isinstance(identifier, str) else object_name(metric)
    if not isinstance(metric, Metric):
        metric = MeanMetricWrapper(metric)
    metric.name = name
    return metric


def __getattr__(name: str) -> Any:
    if name in ALIASES:
        return ALIASES[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
