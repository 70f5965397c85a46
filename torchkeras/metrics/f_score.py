"""F-scores: the harmonic mean of precision and recall, per class or averaged.

Letters: B batch, C classes. Source: van Rijsbergen 1979 (F-beta).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ..config import epsilon
from ..losses.loss import to_tensor
from ..registry import builtin
from .metric import Metric

__all__ = ["F1Score", "FBetaScore"]

_AVERAGES = (None, "micro", "macro", "weighted")


def _check_float(kind: str, argument: str, value: Any) -> None:
    if not isinstance(value, float):
        raise ValueError(
            f"{kind}: Invalid `{argument}` argument value. It should be a Python float."
            f" Received: {argument}={value} of type '{type(value)}'"
        )


@builtin("keras.metrics.FBetaScore")
class FBetaScore(Metric):
    """`(1 + beta**2) * precision * recall / (beta**2 * precision + recall)`.

    Args:
        average: `None` (one score per class), `"micro"` (of the counts over all classes), `"macro"`
            (the mean over classes) or `"weighted"` (by the number of positives).
        beta: Weight of recall against precision, a float.
        threshold: A float in (0, 1]: scores above it are positive. `None`: the largest of a row is.
        name: Default: `"fbeta_score"`.
        dtype: See `Metric`.

    Raises:
        ValueError: An argument outside its range; on update, inputs that are not `(B, C)`.

    Example:
        >>> score = FBetaScore(beta=2.0, threshold=0.8, average="micro")
        >>> round(float(score([[1, 1], [1, 0]], [[0.9, 0.1], [0.2, 0.9]])), 4)
        0.3571
    """

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self._direction = "up"
        kind = type(self).__name__
        if average not in _AVERAGES:
            raise ValueError(
                f"{kind}: Invalid `average` argument value. Expected one of:"
                f" {{None, 'micro', 'macro', 'weighted'}}. Received: average={average}"
            )
        _check_float(kind, "beta", beta)
        if beta <= 0.0:
            raise ValueError(
                f"{kind}: Invalid `beta` argument value. It should be > 0. Received: beta={beta}"
            )
        if threshold is not None:
            _check_float(kind, "threshold", threshold)
            if not 0.0 < threshold <= 1.0:
                raise ValueError(
                    f"{kind}: Invalid `threshold` argument value. It should verify"
                    f" 0 < threshold <= 1. Received: threshold={threshold}"
                )
        self.average = average
        self.beta = beta
        self.threshold = threshold
        self.axis = None if average == "micro" else 0
        self._built = False

    def _build(self, y_true_shape: Sequence[int], y_pred_shape: Sequence[int]) -> None:
        shapes = (
            f"Received input shapes: y_pred.shape={tuple(y_pred_shape)} and"
            f" y_true.shape={tuple(y_true_shape)}."
        )
        expects = f"{type(self).__name__} expects 2D inputs with shape (batch_size, output_dim)"
        if len(y_true_shape) != 2 or len(y_pred_shape) != 2:
            raise ValueError(
                f"{expects}. {shapes} One-hot encode class numbers with"
                " `keras.utils.to_categorical`."
            )
        if y_true_shape[1] is None or y_pred_shape[1] is None:
            raise ValueError(f"{expects}, with output_dim fully defined (not None). {shapes}")
        shape = () if self.average == "micro" else (y_pred_shape[1],)
        for name in (
            "true_positives",
            "false_positives",
            "false_negatives",
            "intermediate_weights",
        ):
            setattr(self, name, self.add_variable(shape, "zeros", dtype=self.dtype, name=name))
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch `(B, C)`, with weights `(B,)`."""
        dtype = self._torch_dtype
        y_pred = to_tensor(y_pred, dtype)
        y_true = to_tensor(y_true, dtype, y_pred.device)
        if not self._built:
            self._build(y_true.shape, y_pred.shape)
            self._move(y_pred.device)
        if self.threshold is None:
            largest = y_pred >= y_pred.amax(-1, keepdim=True)
            chosen = (largest & (y_pred.abs() > 1e-9)).to(dtype)
        else:
            chosen = (y_pred > self.threshold).to(dtype)
        weight = None
        if sample_weight is not None:
            weight = to_tensor(sample_weight, dtype, y_pred.device).unsqueeze(1)
        for variable, values in (
            (self.true_positives, chosen * y_true),
            (self.false_positives, chosen * (1.0 - y_true)),
            (self.false_negatives, (1.0 - chosen) * y_true),
            (self.intermediate_weights, y_true),
        ):
            variable.add_((values if weight is None else values * weight).sum(self.axis))

    def result(self) -> Tensor:
        """Return the score: a number, or one per class."""
        eps = epsilon()
        found = self.true_positives.detach()
        precision = found / (found + self.false_positives.detach() + eps)
        recall = found / (found + self.false_negatives.detach() + eps)
        square = self.beta**2
        score = precision * recall / (square * precision + recall + eps) * (1.0 + square)
        if self.average == "weighted":
            weights = self.intermediate_weights.detach()
            return (score * weights / (weights.sum() + eps)).sum()
        return score if self.average is None else score.mean()

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"average": self.average, "beta": self.beta, "threshold": self.threshold}
        return {**super().get_config(), **own}


@builtin("keras.metrics.F1Score")
class F1Score(FBetaScore):
    """The harmonic mean of precision and recall; arguments as `FBetaScore`, without `beta`.

    Example:
        >>> score = F1Score(threshold=0.5)([[1, 0], [0, 1]], [[0.9, 0.6], [0.2, 0.8]])
        >>> score.round(decimals=2)
        tensor([1.0000, 0.6700])
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name=name, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {key: value for key, value in super().get_config().items() if key != "beta"}
