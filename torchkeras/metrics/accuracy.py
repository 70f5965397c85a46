"""The accuracy family: how often predictions equal labels, by threshold, largest class, or top k.

Letters: B batch, C classes. Functions return 1.0 or 0.0 per label in `floatx`; their matchers
return the same as bools, which is what the metrics add up.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.compiler import is_compiling

from ..config import floatx
from ..dtypes import to_torch
from ..losses.loss import shape_error, squeeze_or_expand_to_same_rank, symbolic, to_tensor
from ..registry import builtin
from .reduction import FunctionMetric, matcher

__all__ = [
    "Accuracy",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy",
    "accuracy",
    "binary_accuracy",
    "categorical_accuracy",
    "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
]


def _both(y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
    if not isinstance(y_pred, Tensor):
        y_pred = to_tensor(y_pred, device=y_true.device if isinstance(y_true, Tensor) else None)
    return to_tensor(y_true, device=y_pred.device), y_pred


def _equal(name: str, labels: Tensor, predicted: Tensor, y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Compare; if the shapes do not allow it, explain in terms of what the metric was given."""
    try:
        return torch.eq(labels, predicted)
    except RuntimeError as error:
        raise shape_error(name, y_true, y_pred) from error


def _largest(y_true: Tensor) -> Tensor:
    """Class numbers of one-hot labels; torch has no `argmax` of bools."""
    return (y_true.byte() if y_true.dtype is torch.bool else y_true).argmax(-1)


def _as_values(matches: Tensor) -> Tensor:
    return matches.to(to_torch(floatx()))


def accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where `y_pred` equals `y_true`, else 0.

    Example:
        >>> accuracy([1, 2], [1, 3])
        tensor([1., 0.])
    """
    return _as_values(_equal_matches(y_true, y_pred))


@matcher(accuracy)
def _equal_matches(y_true: Any, y_pred: Any) -> Tensor:
    y_true, y_pred = squeeze_or_expand_to_same_rank(*_both(y_true, y_pred))
    return _equal("accuracy", y_true.to(y_pred.dtype), y_pred, y_true, y_pred)


@builtin("keras.metrics.binary_accuracy")
@symbolic
def binary_accuracy(y_true: Tensor | Any, y_pred: Tensor | Any, threshold: float = 0.5) -> Tensor:
    """1 where `y_pred > threshold` equals the 0/1 label, else 0.

    Args:
        y_true: Labels 0 or 1.
        y_pred: Probabilities, same shape up to a trailing axis of size 1.
        threshold: Above it a prediction is a 1.

    Returns:
        One value per label.

    Raises:
        ValueError: The shapes do not combine.

    Example:
        >>> binary_accuracy([1, 0, 1], [0.9, 0.2, 0.3])
        tensor([1., 1., 0.])
    """
    return _as_values(_binary_matches(y_true, y_pred, threshold))


@matcher(binary_accuracy)
def _binary_matches(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Tensor:
    if isinstance(y_true, Tensor) and isinstance(y_pred, Tensor) and y_true.shape == y_pred.shape:
        try:
            if threshold == 0.5 and y_pred.dtype is torch.float32 and y_pred.is_cpu:
                if not is_compiling():
                    return torch.eq(y_true, torch.gt(y_pred, _HALF))
            return torch.eq(y_true, y_pred > threshold)
        except RuntimeError:  # on different devices, say
            pass
    y_true, y_pred = _both(y_true, y_pred)
    if y_true.dim() != y_pred.dim():
        y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
    return _equal("binary_accuracy", y_true, y_pred > threshold, y_true, y_pred)


# Compared with a tensor, small batches take half the time: torch makes one of a number anew.
_HALF = torch.tensor(0.5, device="cpu")


@builtin("keras.metrics.categorical_accuracy")
@symbolic
def categorical_accuracy(y_true: Tensor | Any, y_pred: Tensor | Any) -> Tensor:
    """1 where the largest of the C predictions is at the one-hot label, else 0.

    Args:
        y_true: One-hot labels `(B, ..., C)`.
        y_pred: Scores `(B, ..., C)`.

    Returns:
        One value per sample, `(B, ...)`.

    Example:
        >>> categorical_accuracy([[0, 1], [1, 0]], [[0.1, 0.9], [0.2, 0.8]])
        tensor([1., 0.])
    """
    return _as_values(_categorical_matches(y_true, y_pred))


@matcher(categorical_accuracy)
def _categorical_matches(y_true: Any, y_pred: Any) -> Tensor:
    y_true, y_pred = _both(y_true, y_pred)
    labels, predicted = _largest(y_true), y_pred.argmax(-1)
    if labels.dim() == y_pred.dim():
        labels = labels.squeeze(-1)
        return _equal("categorical_accuracy", labels, predicted, y_true, y_pred).unsqueeze(-1)
    return _equal("categorical_accuracy", labels, predicted, y_true, y_pred)


@builtin("keras.metrics.sparse_categorical_accuracy")
@symbolic
def sparse_categorical_accuracy(y_true: Tensor | Any, y_pred: Tensor | Any) -> Tensor:
    """1 where the largest of the C predictions is at the class number, else 0.

    Args:
        y_true: Class numbers `(B, ...)` or `(B, ..., 1)`.
        y_pred: Scores `(B, ..., C)`.

    Returns:
        One value per sample, `(B, ...)`.

    Raises:
        ValueError: The shapes do not match.

    Example:
        >>> sparse_categorical_accuracy([1, 0], [[0.1, 0.9], [0.2, 0.8]])
        tensor([1., 0.])
    """
    return _as_values(_sparse_matches(y_true, y_pred))


@matcher(sparse_categorical_accuracy)
def _sparse_matches(y_true: Any, y_pred: Any) -> Tensor:
    y_true, y_pred = _both(y_true, y_pred)
    labels = y_true
    if labels.dim() == y_pred.dim() and labels.shape[-1] == 1:
        labels = labels.squeeze(-1)
    matches = _equal("sparse_categorical_accuracy", labels, y_pred.argmax(-1), y_true, y_pred)
    return matches.squeeze(-1) if matches.dim() > 1 and matches.shape[-1] == 1 else matches


@builtin("keras.metrics.top_k_categorical_accuracy")
@symbolic
def top_k_categorical_accuracy(y_true: Tensor | Any, y_pred: Tensor | Any, k: int = 5) -> Tensor:
    """1 where the one-hot label is among the `k` largest predictions, else 0.

    Args:
        y_true: One-hot labels `(B, ..., C)`.
        y_pred: Scores `(B, ..., C)`.
        k: How many; at most C.

    Returns:
        One value per sample, `(B, ...)`.
    """
    return _as_values(_top_k_matches(y_true, y_pred, k))


@matcher(top_k_categorical_accuracy)
def _top_k_matches(y_true: Any, y_pred: Any, k: int = 5) -> Tensor:
    y_true, y_pred = _both(y_true, y_pred)
    return _in_top_k(_largest(y_true), y_pred, k)


@builtin("keras.metrics.sparse_top_k_categorical_accuracy")
@symbolic
def sparse_top_k_categorical_accuracy(
    y_true: Tensor | Any, y_pred: Tensor | Any, k: int = 5, from_sorted_ids: bool = False
) -> Tensor:
    """1 where the class number is among the `k` largest predictions, else 0.

    Args:
        y_true: Class numbers `(B, ...)`.
        y_pred: Scores `(B, ..., C)`; with `from_sorted_ids` class numbers, best first.
        k: How many; at most C.
        from_sorted_ids: Whether `y_pred` holds class numbers.

    Returns:
        One value per sample, `(B, ...)`.

    Example:
        >>> sparse_top_k_categorical_accuracy([2], [[0.5, 0.2, 0.3]], k=2)
        tensor([1.])
    """
    return _as_values(_sparse_top_k_matches(y_true, y_pred, k, from_sorted_ids))


@matcher(sparse_top_k_categorical_accuracy)
def _sparse_top_k_matches(
    y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False
) -> Tensor:
    y_true, y_pred = _both(y_true, y_pred)
    if not from_sorted_ids:
        return _in_top_k(y_true.long(), y_pred, k)
    flat = y_pred.reshape(-1, y_pred.shape[-1])[:, :k]
    return (y_true.reshape(-1, 1) == flat).any(1).reshape(y_true.shape)


def _in_top_k(labels: Tensor, y_pred: Tensor, k: int) -> Tensor:
    """Whether the score of the label reaches the k-th largest; ties count, as in Keras."""
    flat = y_pred.reshape(-1, y_pred.shape[-1])
    of_label = flat.gather(1, labels.reshape(-1, 1)).squeeze(1)
    return (of_label.unsqueeze(1) >= flat.topk(k, dim=1).values).any(1).reshape(labels.shape)


@builtin("keras.metrics.Accuracy")
class Accuracy(FunctionMetric):
    """How often predictions equal labels.

    Args:
        name: Default: `"accuracy"`.
        dtype: See `Metric`.

    Example:
        >>> float(Accuracy()([1, 2, 3, 4], [1, 2, 3, 0]))
        0.75
    """

    def __init__(self, name: str | None = "accuracy", dtype: Any = None) -> None:
        super().__init__(accuracy, "up", name=name, dtype=dtype)


@builtin("keras.metrics.BinaryAccuracy")
class BinaryAccuracy(FunctionMetric):
    """How often `y_pred > threshold` equals the 0/1 label.

    Args:
        name: Default: `"binary_accuracy"`.
        dtype: See `Metric`.
        threshold: Above it a prediction is a 1.
    """

    def __init__(
        self, name: str | None = "binary_accuracy", dtype: Any = None, threshold: float = 0.5
    ) -> None:
        super().__init__(binary_accuracy, "up", name=name, dtype=dtype, threshold=threshold)


@builtin("keras.metrics.CategoricalAccuracy")
class CategoricalAccuracy(FunctionMetric):
    """How often the largest prediction is at the one-hot label; see `Metric` for the arguments."""

    def __init__(self, name: str | None = "categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(categorical_accuracy, "up", name=name, dtype=dtype)


@builtin("keras.metrics.SparseCategoricalAccuracy")
class SparseCategoricalAccuracy(FunctionMetric):
    """How often the largest prediction is at the class number; see `Metric` for the arguments."""

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(sparse_categorical_accuracy, "up", name=name, dtype=dtype)


@builtin("keras.metrics.TopKCategoricalAccuracy")
class TopKCategoricalAccuracy(FunctionMetric):
    """How often the one-hot label is among the `k` largest predictions.

    Args:
        k: How many.
        name: Default: `"top_k_categorical_accuracy"`.
        dtype: See `Metric`.
    """

    def __init__(
        self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: Any = None
    ) -> None:
        super().__init__(top_k_categorical_accuracy, "up", name=name, dtype=dtype, k=k)


@builtin("keras.metrics.SparseTopKCategoricalAccuracy")
class SparseTopKCategoricalAccuracy(FunctionMetric):
    """How often the class number is among the `k` largest predictions.

    Args:
        k: How many.
        name: Default: `"sparse_top_k_categorical_accuracy"`.
        dtype: See `Metric`.
        from_sorted_ids: Whether predictions are class numbers, best first.
    """

    unsaved = {"from_sorted_ids": False}

    def __init__(
        self,
        k: int = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ) -> None:
        super().__init__(
            sparse_top_k_categorical_accuracy,
            "up",
            name=name,
            dtype=dtype,
            k=k,
            from_sorted_ids=from_sorted_ids,
        )
