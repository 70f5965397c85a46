"""Metrics of the confusion matrix at one or many thresholds: counts, precision, recall, and more.

Letters: T thresholds, N predictions in a batch, L labels of a multi-label problem. A prediction is
positive at a threshold if it is greater. State is kept in `floatx` whatever the metric's dtype.

Evenly spaced thresholds (the default of `AUC`) cost one histogram update per batch: the histogram
of "number of thresholds below the prediction", by label, holds all four counts at every threshold.
It is turned into the variables when somebody looks. Other thresholds are compared one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..config import epsilon, floatx
from ..dtypes import to_torch
from ..losses.loss import divide_no_nan, squeeze_or_expand_to_same_rank, to_tensor, weight_error
from ..naming import explain
from ..registry import builtin
from .metric import Deferred, Metric

__all__ = [
    "FalseNegatives",
    "FalsePositives",
    "Precision",
    "PrecisionAtRecall",
    "Recall",
    "RecallAtPrecision",
    "SensitivityAtSpecificity",
    "SpecificityAtSensitivity",
    "TrueNegatives",
    "TruePositives",
    "ConfusionMetric",
]

NEG_INF = -1e10  # the score of a class outside the top k: below any threshold
SETTLE_AFTER = 2**23  # float32 counts by ones up to 2**24

# Which (prediction is positive, label is positive) a count is of.
_CELLS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "true_positives": torch.logical_and,
    "false_positives": torch.gt,
    "false_negatives": torch.lt,
    "true_negatives": lambda predicted, actual: ~(predicted | actual),
}


def parse_thresholds(name: str, thresholds: Any, default: float) -> list[float]:
    """Return the thresholds as a list.

    Raises:
        ValueError: One is `None` or outside [0, 1].
    """
    if thresholds is None:
        return [default]
    values = list(thresholds) if isinstance(thresholds, (list, tuple, np.ndarray)) else [thresholds]
    wrong = [value for value in values if value is None or not 0 <= value <= 1]
    if wrong:
        raise ValueError(f"{name}: Threshold values must be in [0, 1]. Received: {wrong}")
    return values


def is_even(thresholds: Sequence[float]) -> bool:
    """Whether the thresholds are 0 to 1 in equal steps."""
    count = len(thresholds)
    if count < 3:
        return False
    return np.allclose(thresholds, np.linspace(0.0, 1.0, count), atol=epsilon())


class ConfusionMetric(Metric):
    """Base of the metrics below: counts at thresholds, in variables named as the counts.

    Args:
        counts: Which of the four counts to keep.
        thresholds: One or more.
        even: Whether they are 0 to 1 in equal steps.
        name: See `Metric`.
        dtype: See `Metric`.
        top_k: Only the `top_k` largest predictions of a row can be positive.
        class_id: Only this column counts.
    """

    true_positives = Deferred()
    false_positives = Deferred()
    true_negatives = Deferred()
    false_negatives = Deferred()

    def __init__(
        self,
        counts: Sequence[str],
        thresholds: Sequence[float],
        even: bool,
        name: str | None = None,
        dtype: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.top_k = top_k
        self.class_id = class_id
        self._counts = tuple(counts)
        self._limits = [float(value) for value in thresholds]
        self._even = even
        self._state_dtype = to_torch(floatx())
        self._histogram: Tensor | None = None
        self._unsettled = 0
        self._cache: dict[Any, Tensor] = {}

    def _make_state(self, shape: Sequence[int]) -> None:
        for count in self._counts:
            setattr(self, count, self.add_variable(shape, "zeros", name=count))

    # Updates -------------------------------------------------------------------------------------

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch.

        Args:
            y_true: Labels; nonzero is positive.
            y_pred: Scores in [0, 1], same shape.
            sample_weight: One weight per sample, or per prediction.

        Raises:
            ValueError: Shapes that do not match.
        """
        self._add(y_true, y_pred, sample_weight)

    def _add(
        self,
        y_true: Any,
        y_pred: Any,
        sample_weight: Any = None,
        label_weights: Tensor | None = None,
        multi_label: bool = False,
    ) -> None:
        dtype = self._state_dtype
        y_pred = to_tensor(y_pred, dtype)
        y_true = to_tensor(y_true, device=y_pred.device).bool()
        y_pred, y_true = squeeze_or_expand_to_same_rank(y_pred, y_true)
        if sample_weight is not None:
            weights = to_tensor(sample_weight, dtype, y_pred.device).unsqueeze(-1)
            sample_weight = squeeze_or_expand_to_same_rank(y_true, weights, False)[1]
        if y_true.shape != y_pred.shape:
            raise ValueError(
                explain(
                    f"{type(self).__name__} '{self.name}': `y_true` and `y_pred` must have the same"
                    " shape.",
                    y_true=tuple(y_true.shape),
                    y_pred=tuple(y_pred.shape),
                    fix="one-hot encode class numbers with `keras.utils.to_categorical`.",
                )
            )
        if self.top_k is not None:
            y_pred = _keep_top(y_pred, self.top_k)
        if self.class_id is not None:
            if y_pred.dim() == 1:
                raise ValueError(
                    explain(
                        f"{type(self).__name__} '{self.name}': When class_id is provided, y_pred"
                        " must be a 2D array with shape (num_samples, num_classes), found shape:"
                        f" {tuple(y_pred.shape)}",
                    )
                )
            y_true = y_true[..., self.class_id, None]
            y_pred = y_pred[..., self.class_id, None]
        weights = self._weights(y_pred, sample_weight, label_weights)
        count = self._count_buckets if self._even else self._compare
        count(y_true, y_pred, weights, multi_label)

    def _weights(
        self, y_pred: Tensor, sample_weight: Tensor | None, label_weights: Tensor | None
    ) -> Tensor | None:
        """Weights of the shape of `y_pred`, or `None` where all are 1."""
        weights = None
        try:
            if sample_weight is not None:
                weights = sample_weight.expand(y_pred.shape)
            if label_weights is not None:
                label_weights = label_weights.unsqueeze(0).expand(y_pred.shape)
                weights = label_weights if weights is None else weights * label_weights
        except RuntimeError as error:
            wrong = sample_weight if label_weights is None else label_weights
            raise weight_error(wrong, y_pred) from error
        return weights

    def _cached(self, key: str, device: torch.device, make: Callable[[], Tensor]) -> Tensor:
        """A constant tensor, made once per device."""
        tensor = self._cache.get((key, device))
        if tensor is None:
            tensor = self._cache[key, device] = make()
        return tensor

    def _compare(
        self, y_true: Tensor, y_pred: Tensor, weights: Tensor | None, multi_label: bool
    ) -> None:
        """Count by comparing with each threshold."""
        if len(self._limits) == 1 and not multi_label:
            predicted, dims = y_pred > self._limits[0], None
        else:
            device = y_pred.device
            limits = self._cached(
                "limits",
                device,
                lambda: torch.tensor(self._limits, dtype=self._state_dtype, device=device),
            )
            if not multi_label:
                y_pred, y_true = y_pred.reshape(1, -1), y_true.reshape(1, -1)
                weights = weights if weights is None else weights.reshape(1, -1)
            limits = (
                limits.reshape(-1, *([1] * y_true.dim())) if multi_label else limits.unsqueeze(1)
            )
            predicted, dims = y_pred > limits, (1,)
        for name in self._counts:
            cells = _CELLS[name](predicted, y_true)
            if weights is not None:
                cells = cells * weights
            elif dims is None and not cells.is_cuda:
                self.__dict__[f"_{name}"].add_(cells.count_nonzero())
                continue
            self.__dict__[f"_{name}"].add_(cells.sum() if dims is None else cells.sum(dims))

    def _count_buckets(
        self, y_true: Tensor, y_pred: Tensor, weights: Tensor | None, multi_label: bool
    ) -> None:
        """Count how many samples exceed how many thresholds, for evenly spaced ones."""
        limits = self._limits
        steps = len(limits) - 1
        # A limit below 0 is always exceeded. NaN becomes the smallest integer: clamp that too.
        lowest = 1 if limits[0] < 0.0 or limits[-1] > 1.0 else 0
        device = y_pred.device
        cells = y_pred.clamp(0.0, 1.0).mul_(steps).ceil_().long().clamp_(lowest, steps)
        cells = cells.add_(y_true, alpha=steps + 2)
        shape = (2, steps + 2)
        if multi_label:
            labels = y_pred.shape[-1]
            shape = (*shape, labels)
            cells.mul_(labels).add_(
                self._cached("columns", device, lambda: torch.arange(labels, device=device))
            )
        histogram = self._histogram
        if histogram is None or histogram.device != device or torch.compiler.is_compiling():
            with torch.inference_mode(False):  # what evaluation makes, training adds to
                histogram = torch.zeros(shape, dtype=self._state_dtype, device=device)
        if weights is None:
            one = self._cached(
                "one", device, lambda: torch.ones((), dtype=self._state_dtype, device=device)
            )
            weights = one.expand(cells.numel())
        else:
            weights = weights.reshape(-1)
        histogram.view(-1).index_add_(0, cells.reshape(-1), weights)
        if torch.compiler.is_compiling():
            self._settle_histogram(histogram)
            return
        self._histogram = histogram
        self._unsettled += cells.numel()
        if self._unsettled > SETTLE_AFTER:
            self._settle()

    def _settle_histogram(self, histogram: Tensor) -> None:
        exceeding = histogram.flip(1).cumsum(1).flip(1)  # samples at this bucket or above
        negatives, positives = exceeding[:, 1:].unbind(0)
        all_negatives, all_positives = exceeding[:, 0].unbind(0)
        found = {
            "true_positives": positives,
            "false_positives": negatives,
            "true_negatives": all_negatives - negatives,
            "false_negatives": all_positives - positives,
        }
        for name in self._counts:
            self.__dict__[f"_{name}"].detach().add_(found[name])

    def _settle(self) -> None:
        if self._unsettled:
            self._unsettled = 0
            self._settle_histogram(self._histogram)
            self._histogram.zero_()

    def reset_state(self) -> None:
        """Set all counts to zero."""
        if self._unsettled:
            self._unsettled = 0
            self._histogram.zero_()
        super().reset_state()

    def _rate(self, part: Tensor, rest: Tensor) -> Tensor:
        """`part / (part + rest)`, 0 where both are 0."""
        return divide_no_nan(part.detach(), part.detach() + rest.detach())


def _keep_top(y_pred: Tensor, k: int) -> Tensor:
    """Replace all but the `k` largest scores of each row by a score below any threshold."""
    top = y_pred.topk(k, dim=-1)
    return torch.full_like(y_pred, NEG_INF).scatter(-1, top.indices, top.values)


# Counts ------------------------------------------------------------------------------------------


class _ConditionCount(ConfusionMetric):
    """One of the four counts, in a variable called `accumulator`."""

    count = ""
    accumulator = Deferred()

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None) -> None:
        self.init_thresholds = thresholds
        self.thresholds = parse_thresholds(type(self).__name__, thresholds, 0.5)
        even = is_even(self.thresholds)
        super().__init__([self.count], self.thresholds, even, name=name, dtype=dtype)
        self.accumulator = self.add_variable((len(self.thresholds),), "zeros", name="accumulator")
        setattr(self, self.count, self._variables[0])

    def result(self) -> Tensor:
        """Return the count: a number, or one per threshold."""
        accumulator = self.accumulator.detach()
        return accumulator[0].clone() if len(self.thresholds) == 1 else accumulator.clone()

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "thresholds": self.init_thresholds}


@builtin("keras.metrics.TruePositives")
class TruePositives(_ConditionCount):
    """The (weighted) number of positives predicted as such.

    Args:
        thresholds: A prediction above it is positive; one or several in [0, 1]. Default: 0.5.
        name: See `Metric`.
        dtype: See `Metric`.

    Example:
        >>> float(TruePositives()([0, 1, 1], [0.9, 0.9, 0.1]))
        1.0
    """

    count = "true_positives"


@builtin("keras.metrics.FalsePositives")
class FalsePositives(_ConditionCount):
    """The (weighted) number of negatives predicted as positive; arguments as `TruePositives`."""

    count = "false_positives"


@builtin("keras.metrics.TrueNegatives")
class TrueNegatives(_ConditionCount):
    """The (weighted) number of negatives predicted as such; arguments as `TruePositives`."""

    count = "true_negatives"


@builtin("keras.metrics.FalseNegatives")
class FalseNegatives(_ConditionCount):
    """The (weighted) number of positives predicted as negative; arguments as `TruePositives`."""

    count = "false_negatives"


class _Ratio(ConfusionMetric):
    """True positives out of themselves and one kind of error."""

    error = ""

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.init_thresholds = thresholds
        default = 0.5 if top_k is None else NEG_INF
        self.thresholds = parse_thresholds(type(self).__name__, thresholds, default)
        super().__init__(
            ["true_positives", self.error],
            self.thresholds,
            is_even(self.thresholds),
            name=name,
            dtype=dtype,
            top_k=top_k,
            class_id=class_id,
        )
        self._direction = "up"
        self._make_state((len(self.thresholds),))

    def result(self) -> Tensor:
        """Return the ratio: a number, or one per threshold."""
        ratio = self._rate(self.true_positives, getattr(self, self.error))
        return ratio[0] if len(self.thresholds) == 1 else ratio

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"thresholds": self.init_thresholds, "top_k": self.top_k, "class_id": self.class_id}
        return {**super().get_config(), **own}


@builtin("keras.metrics.Precision")
class Precision(_Ratio):
    """Of what is predicted positive, the share that is.

    Args:
        thresholds: A prediction above it is positive; one or several in [0, 1]. Default: 0.5, or
            with `top_k` any value.
        top_k: Only the `top_k` largest predictions of a row count as positive.
        class_id: Only this column of labels and predictions counts.
        name: See `Metric`.
        dtype: See `Metric`.

    Raises:
        ValueError: A threshold outside [0, 1].

    Example:
        >>> float(Precision()([0, 1, 1], [0.9, 0.9, 0.1]))
        0.5
    """

    error = "false_positives"


@builtin("keras.metrics.Recall")
class Recall(_Ratio):
    """Of what is positive, the share that is predicted so; arguments as `Precision`.

    Example:
        >>> float(Recall()([0, 1, 1, 1, 1], [0.9, 0.9, 0.1, 0.1, 0.1]))
        0.25
    """

    error = "false_negatives"


# One rate under a constraint on another ----------------------------------------------------------


class _AtConstraint(ConfusionMetric):
    """The best of one rate over the thresholds at which another one reaches a value."""

    argument = ""

    def __init__(
        self,
        value: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        kind = type(self).__name__
        if not 0 <= value <= 1:
            raise ValueError(
                f"{kind}: `{self.argument}` must be in the range [0, 1]. Received: {value!r}"
            )
        if not isinstance(num_thresholds, Integral):
            raise TypeError(
                f"{kind}: Argument `num_thresholds` must be an integer > 0."
                f" Received: {num_thresholds!r}"
            )
        if num_thresholds <= 0:
            raise ValueError(
                f"{kind}: Argument `num_thresholds` must be an integer > 0."
                f" Received: {num_thresholds!r}"
            )
        setattr(self, self.argument, value)
        self.value = value
        self.num_thresholds = num_thresholds
        self.thresholds = [0.5]
        if num_thresholds > 1:
            self.thresholds = [i / (num_thresholds - 1) for i in range(num_thresholds)]
        counts = ["true_positives", "false_positives", "true_negatives", "false_negatives"]
        super().__init__(
            counts, self.thresholds, num_thresholds > 1, name=name, dtype=dtype, class_id=class_id
        )
        self._direction = "up"
        self._make_state((len(self.thresholds),))

    def _best(self, constrained: Tensor, rate: Tensor) -> Tensor:
        return torch.where(constrained >= self.value, rate, 0.0).max()

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"num_thresholds": self.num_thresholds, "class_id": self.class_id}
        return {**super().get_config(), **own, self.argument: self.value}


@builtin("keras.metrics.SensitivityAtSpecificity")
class SensitivityAtSpecificity(_AtConstraint):
    """The best sensitivity (recall of positives) at thresholds with at least this specificity.

    Args:
        specificity: The least recall of negatives, in [0, 1].
        num_thresholds: How many evenly spaced thresholds to try.
        class_id: Only this column counts.
        name: See `Metric`.
        dtype: See `Metric`.

    Raises:
        ValueError: An argument outside its range.

    Example:
        >>> float(SensitivityAtSpecificity(0.5)([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.8]))
        1.0
    """

    argument = "specificity"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(specificity, num_thresholds, class_id, name=name, dtype=dtype)

    def result(self) -> Tensor:
        """Return the best sensitivity."""
        specificity = self._rate(self.true_negatives, self.false_positives)
        return self._best(specificity, self._rate(self.true_positives, self.false_negatives))


@builtin("keras.metrics.SpecificityAtSensitivity")
class SpecificityAtSensitivity(_AtConstraint):
    """The best specificity at thresholds with at least this `sensitivity`.

    Other arguments as `SensitivityAtSpecificity`.
    """

    argument = "sensitivity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(sensitivity, num_thresholds, class_id, name=name, dtype=dtype)

    def result(self) -> Tensor:
        """Return the best specificity."""
        sensitivity = self._rate(self.true_positives, self.false_negatives)
        return self._best(sensitivity, self._rate(self.true_negatives, self.false_positives))


@builtin("keras.metrics.PrecisionAtRecall")
class PrecisionAtRecall(_AtConstraint):
    """The best precision at thresholds with at least this `recall`.

    Other arguments as `SensitivityAtSpecificity`.
    """

    argument = "recall"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(recall, num_thresholds, class_id, name=name, dtype=dtype)

    def result(self) -> Tensor:
        """Return the best precision."""
        recall = self._rate(self.true_positives, self.false_negatives)
        return self._best(recall, self._rate(self.true_positives, self.false_positives))


@builtin("keras.metrics.RecallAtPrecision")
class RecallAtPrecision(_AtConstraint):
    """The best recall at thresholds with at least this `precision`.

    Other arguments as `SensitivityAtSpecificity`.
    """

    argument = "precision"

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(precision, num_thresholds, class_id, name=name, dtype=dtype)

    def result(self) -> Tensor:
        """Return the best recall."""
        precision = self._rate(self.true_positives, self.false_positives)
        return self._best(precision, self._rate(self.true_positives, self.false_negatives))
