"""Losses: what training minimizes. A loss is a function; its class adds reduction and weights.

`get` finds one by name, config, class or object, and takes PyTorch's losses and plain functions;
`resolve` is what `compile` uses: it also knows "crossentropy", and always returns a `Loss`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..naming import to_snake_case
from ..registry import Namespace
from .crossentropy import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    KLDivergence,
    Poisson,
    SparseCategoricalCrossentropy,
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
    kl_divergence,
    poisson,
    sparse_categorical_crossentropy,
)
from .hinge import (
    CategoricalHinge,
    Hinge,
    SquaredHinge,
    categorical_hinge,
    hinge,
    squared_hinge,
)
from .loss import Loss, LossFunctionWrapper
from .regression import (
    CosineSimilarity,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    cosine_similarity,
    huber,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
)
from .structured import CTC, Circle, Dice, Tversky, circle, ctc, dice, tversky
from .torch_loss import TorchLoss, is_torch_loss

__all__ = [
    "ALIASES",
    "CTC",
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "CategoricalHinge",
    "Circle",
    "CosineSimilarity",
    "Dice",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "LossFunctionWrapper",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "TorchLoss",
    "Tversky",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "circle",
    "cosine_similarity",
    "ctc",
    "deserialize",
    "dice",
    "get",
    "hinge",
    "huber",
    "is_loss",
    "is_torch_loss",
    "kl_divergence",
    "label_kind",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "object_name",
    "poisson",
    "resolve",
    "serialize",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "tversky",
]

Shape = Sequence[int | None]

_LOSSES = Namespace("losses", kind="loss", base=Loss)
for _loss in (
    *(Loss, LossFunctionWrapper, TorchLoss, KLDivergence, Poisson, BinaryCrossentropy),
    *(BinaryFocalCrossentropy, CategoricalCrossentropy, CategoricalFocalCrossentropy),
    *(CategoricalGeneralizedCrossEntropy, SparseCategoricalCrossentropy, MeanSquaredError),
    *(MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredLogarithmicError),
    *(CosineSimilarity, LogCosh, Huber, Hinge, SquaredHinge, CategoricalHinge),
    *(Dice, Tversky, Circle, CTC),
):
    _LOSSES.register(_loss)
# Short names of functions, which `tf.keras.losses` and `tf.keras.metrics` offer too.
ALIASES: dict[str, Callable[..., Any]] = {}
# Functions last: in Keras the snake-case names are theirs.
for _function, *_names in (
    (kl_divergence, "kld", "KLD", "kullback_leibler_divergence"),
    (mean_squared_error, "mse", "MSE"),
    (mean_absolute_error, "mae", "MAE"),
    (mean_absolute_percentage_error, "mape", "MAPE"),
    (mean_squared_logarithmic_error, "msle", "MSLE"),
    (binary_crossentropy, "bce", "BCE"),
    (log_cosh, "logcosh"),
    *((poisson,), (binary_focal_crossentropy,), (categorical_crossentropy,)),
    *((categorical_focal_crossentropy,), (categorical_generalized_cross_entropy,)),
    *((sparse_categorical_crossentropy,), (cosine_similarity,), (huber,), (hinge,)),
    *((squared_hinge,), (categorical_hinge,), (dice,), (tversky,), (circle,), (ctc,)),
):
    _LOSSES.register(_function, *_names)
    ALIASES.update(dict.fromkeys(_names, _function))


class Reduction:
    """The reductions by Keras 2's names, which `tf.keras.losses` has to this day.

    >>> MeanSquaredError(Reduction.SUM)([[1.0], [2.0]], [[0.0], [0.0]]).item()
    5.0
    """

    AUTO = "auto"
    NONE = "none"
    SUM = "sum"
    SUM_OVER_BATCH_SIZE = "sum_over_batch_size"


def __getattr__(name: str) -> Any:
    if name in ALIASES:
        return ALIASES[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def is_loss(obj: Any) -> bool:
    """Whether `obj` is one of Keras's losses: a function, or an object of one of the classes."""
    return any(obj is known or type(obj) is known for known in _LOSSES.objects.values())


def serialize(loss: Any) -> Any:
    """Return the config of a loss object or function.

    Example:
        >>> serialize(mean_squared_error)["config"]
        'mean_squared_error'
    """
    return _LOSSES.serialize(loss)


def deserialize(name: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Build the loss that a name or config describes.

    Args:
        name: A name, or what `serialize` returned.
        custom_objects: Classes and functions the config may name.

    Raises:
        ValueError: Nothing is called that.
    """
    return _LOSSES.deserialize(name, custom_objects)


def get(identifier: Any) -> Loss | Callable[..., Any] | None:
    """Return the loss function or object that `identifier` stands for.

    Args:
        identifier: `None`, a name, a config, a class, a loss object, a function
            `(y_true, y_pred)`, or a loss module (or its class) of PyTorch.

    Raises:
        ValueError: It stands for nothing; the message names the nearest name.

    Example:
        >>> get("mse").__name__
        'mean_squared_error'
    """
    obj = _LOSSES.get(identifier)
    return TorchLoss(obj) if is_torch_loss(obj) else obj


def label_kind(y_true_shape: Shape, y_pred_shape: Shape) -> str:
    """Tell from the shapes what labels are: `"binary"`, `"sparse"` class numbers, `"categorical"`.

    Args:
        y_true_shape: Shape of the labels, batch included; `None` for unknown sizes.
        y_pred_shape: Shape of the predictions.

    Example:
        >>> label_kind((32,), (32, 10))
        'sparse'
    """
    y_true_shape, y_pred_shape = tuple(y_true_shape), tuple(y_pred_shape)
    classes = y_pred_shape[-1] if y_pred_shape else 1
    if classes == 1:
        return "binary"
    if len(y_true_shape) < len(y_pred_shape) or y_true_shape[-1] == 1:
        return "sparse"
    return "categorical"


def object_name(obj: Any) -> str:
    """Name of a loss, metric or function: its `name`, or its own or its class's in snake case."""
    name = getattr(obj, "name", None)
    if name is None:
        name = to_snake_case(getattr(obj, "__name__", type(obj).__name__))
    return name


_CROSSENTROPY = {
    "binary": binary_crossentropy,
    "sparse": sparse_categorical_crossentropy,
    "categorical": categorical_crossentropy,
}


def resolve(identifier: Any, y_true_shape: Shape, y_pred_shape: Shape) -> Loss | None:
    """Return the `Loss` object that an entry of `compile(loss=...)` stands for.

    Args:
        identifier: As for `get`, or "crossentropy" / "ce", chosen by the shapes.
        y_true_shape: Shape of the labels.
        y_pred_shape: Shape of the predictions.

    Returns:
        A `Loss`; for a function, a `LossFunctionWrapper` named after it or the given name.

    Example:
        >>> resolve("ce", (32,), (32, 10)).fn.__name__
        'sparse_categorical_crossentropy'
    """
    if isinstance(identifier, str) and identifier.lower() in ("crossentropy", "ce"):
        loss = _CROSSENTROPY[label_kind(y_true_shape, y_pred_shape)]
    else:
        loss = get(identifier)
    if loss is None or isinstance(loss, Loss):
        return loss
    name = identifier if isinstance(identifier, str) else object_name(loss)
    return LossFunctionWrapper(loss, name=name)
