"""`AUC`: the area under a ROC, precision-recall or precision-recall-gain curve.

Letters: B batch, L labels of a multi-label problem. The curve is sampled at thresholds; see
`confusion.py` for how the counts at thresholds are kept.
Sources: Davis & Goadrich 2006 (interpolated PR curve), Flach & Kull 2015 (precision-recall gain).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..config import epsilon
from ..losses.loss import divide_no_nan, to_tensor
from ..naming import explain
from ..registry import builtin
from .confusion import ConfusionMetric, is_even

__all__ = ["AUC", "AUCCurve", "AUCSummationMethod"]


class AUCCurve(str, Enum):
    """Which curve; a member equals the string it stands for."""

    ROC = "ROC"
    PR = "PR"
    PRGAIN = "PRGAIN"


class AUCSummationMethod(str, Enum):
    """How heights between two points of the curve are taken; a member equals its string."""

    INTERPOLATION = "interpolation"
    MAJORING = "majoring"
    MINORING = "minoring"


_Kind = TypeVar("_Kind", bound=Enum)


def _one_of(argument: str, value: Any, kind: type[_Kind]) -> _Kind:
    value = getattr(value, "value", value)
    for option in kind:
        text = option.value
        if isinstance(value, str) and value in (text, text.lower(), text.capitalize()):
            return option
    raise ValueError(
        explain(
            f'AUC: Invalid AUC {argument.replace("_", " ")} value: "{value}".',
            expected=[option.value for option in kind],
            fix=f"pass one of them as `{argument}`.",
        )
    )


@builtin("keras.metrics.AUC")
class AUC(ConfusionMetric):
    """Area under the ROC, precision-recall or precision-recall-gain curve, by a Riemann sum.

    Args:
        num_thresholds: How many evenly spaced thresholds sample the curve.
        curve: `"ROC"`, `"PR"` or `"PRGAIN"`.
        summation_method: `"interpolation"` (trapezoids; for PR the curve between points that
            Davis & Goadrich derive), `"minoring"` (left/lower) or `"majoring"` (upper).
        name: See `Metric`.
        dtype: See `Metric`.
        thresholds: Own thresholds in [0, 1] instead of `num_thresholds`; 0 and 1 are added.
        multi_label: Compute one area per column, then their mean.
        num_labels: Number of columns; else known at the first batch. Only with `multi_label`.
        label_weights: One weight per column: of the areas with `multi_label`, else of predictions.
        from_logits: Whether predictions still need a sigmoid.

    Raises:
        ValueError: An argument outside its options.

    Example:
        >>> float(AUC(num_thresholds=3)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9]))
        0.75
    """

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ) -> None:
        self.curve = _one_of("curve", curve, AUCCurve)
        self.summation_method = _one_of("summation_method", summation_method, AUCSummationMethod)
        self._init_from_thresholds = thresholds is not None
        if thresholds is not None:
            if isinstance(thresholds, (str, Mapping)) or any(
                isinstance(value, str) for value in thresholds
            ):
                raise TypeError(f"AUC: `thresholds` must be numbers. Received: {thresholds!r}")
            inner = sorted(float(value) for value in thresholds)
            even = is_even([0.0, *inner, 1.0])
            num_thresholds = len(inner) + 2
        elif num_thresholds <= 1:
            raise ValueError(
                "AUC: Argument `num_thresholds` must be an integer > 1."
                f" Received: {num_thresholds!r}"
            )
        else:
            inner = [i / (num_thresholds - 1) for i in range(1, num_thresholds - 1)]
            even = True
        if num_labels and not multi_label:
            raise ValueError("AUC: `num_labels` is needed only when `multi_label` is True.")
        eps = epsilon()
        counts = ["true_positives", "false_positives", "true_negatives", "false_negatives"]
        super().__init__(counts, [-eps, *inner, 1.0 + eps], even, name=name, dtype=dtype)
        self._direction = "up"
        self.num_thresholds = num_thresholds
        self.multi_label = multi_label
        self.num_labels = num_labels
        self.label_weights = None
        if label_weights is not None:
            self.label_weights = to_tensor(label_weights, self._torch_dtype)
        self._from_logits = from_logits
        self._built = False
        if not multi_label:
            self._build(None)
        elif num_labels:
            self._build((None, num_labels))

    @property
    def thresholds(self) -> list[float]:
        """The thresholds, with one just below 0 and one just above 1."""
        return list(self._limits)

    def _build(self, shape: Sequence[int | None] | None) -> None:
        """Make the state; the number of columns comes from the shape of the predictions."""
        if self.multi_label:
            if len(shape) != 2:
                raise ValueError(
                    explain(
                        f"AUC '{self.name}': with `multi_label=True`, `y_pred` must have rank 2.",
                        given=f"shape {tuple(shape)}",
                        expected="shape (num_samples, num_labels)",
                    )
                )
            self._num_labels = shape[1]
        self._make_state([self.num_thresholds, *([shape[1]] if self.multi_label else [])])
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch.

        Args:
            y_true: Labels 0 or 1.
            y_pred: Scores in [0, 1] (or logits), same shape; `(B, L)` with `multi_label`.
            sample_weight: One weight per sample.

        Raises:
            ValueError: Shapes that do not match.
        """
        y_pred = to_tensor(y_pred)
        if not self._built:
            self._build(tuple(y_pred.shape))
            self._move(y_pred.device)
        if self._from_logits:
            y_pred = y_pred.sigmoid()
        label_weights = None
        if self.label_weights is not None and not self.multi_label:
            label_weights = self._labels_weights(y_pred.device).to(self._state_dtype)
        self._add(y_true, y_pred, sample_weight, label_weights, self.multi_label)

    def _labels_weights(self, device: torch.device) -> Tensor:
        if self.label_weights.device != device:
            self.label_weights = self.label_weights.to(device)
        return self.label_weights

    def result(self) -> Tensor:
        """Return the area, a 0-d tensor."""
        if self.curve == "PR" and self.summation_method == "interpolation":
            return self.interpolate_pr_auc()
        x, y = self._curve()
        low, high = torch.minimum(y[:-1], y[1:]), torch.maximum(y[:-1], y[1:])
        heights = {"minoring": low, "majoring": high}.get(self.summation_method.value)
        if heights is None:
            heights = (low + high) / 2.0
        return self._over_labels((x[:-1] - x[1:]) * heights)

    def _curve(self) -> tuple[Tensor, Tensor]:
        """Points of the curve, by rising threshold."""
        tp, fn = self.true_positives.detach(), self.false_negatives.detach()
        fp, tn = self.false_positives.detach(), self.true_negatives.detach()
        recall = self._rate(tp, fn)
        if self.curve == "ROC":
            return self._rate(fp, tn), recall
        if self.curve == "PR":
            return recall, self._rate(tp, fp)
        odds = divide_no_nan(tp + fn, tn + fp)
        none_found = tp == 0
        recall_gain = (1.0 - odds * divide_no_nan(fn, tp)).masked_fill(none_found, 0.0)
        precision_gain = (1.0 - odds * divide_no_nan(fp, tp)).masked_fill(none_found, 1.0)
        return recall_gain.clamp(min=0.0), precision_gain

    def interpolate_pr_auc(self) -> Tensor:
        """Return the area under the PR curve between whose points Davis & Goadrich interpolate.

        Between two thresholds, true positives are linear in the number of positives.
        """
        tp, fn = self.true_positives.detach(), self.false_negatives.detach()
        positives = tp + self.false_positives.detach()
        before, after = positives[:-1], positives[1:]
        gained = tp[:-1] - tp[1:]
        slope = divide_no_nan(gained, (before - after).clamp(min=0.0))
        intercept = tp[1:] - slope * after
        both = (before > 0) & (after > 0)
        ratio = torch.where(both, divide_no_nan(before, after.clamp(min=0.0)), 1.0)
        area = slope * (gained + intercept * ratio.log())
        return self._over_labels(divide_no_nan(area, (tp[1:] + fn[1:]).clamp(min=0.0)))

    def _over_labels(self, areas: Tensor) -> Tensor:
        """Sum over thresholds, and average over labels where there are several."""
        total = areas.sum(0)
        if not self.multi_label:
            return total
        if self.label_weights is None:
            return total.mean()
        weights = self._labels_weights(total.device)
        return divide_no_nan((total * weights).sum(), weights.sum())

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        weights = self.label_weights
        own = {
            "num_thresholds": self.num_thresholds,
            "curve": self.curve.value,
            "summation_method": self.summation_method.value,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": weights if weights is None else weights.tolist(),
            "from_logits": self._from_logits,
        }
        if self._init_from_thresholds:
            own["thresholds"] = self.thresholds[1:-1]
        return {**super().get_config(), **own}
