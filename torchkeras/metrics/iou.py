"""Intersection over union of predicted and true classes, for segmentation.

State is one confusion matrix, rows true and columns predicted, in `int32` unless told otherwise.
Labels and predictions outside `[0, num_classes)` do not count.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from ..config import epsilon
from ..losses.loss import to_tensor
from ..registry import builtin
from .metric import Metric

__all__ = ["BinaryIoU", "IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU"]


@builtin("keras.metrics.IoU")
class IoU(Metric):
    """Mean intersection over union of some classes.

    Args:
        num_classes: Number of classes.
        target_class_ids: The classes to average over; those that never occur do not count.
        name: See `Metric`.
        dtype: Dtype of the confusion matrix. Default: `"int"`.
        ignore_class: A label that does not count.
        sparse_y_true: Whether labels are class numbers; else they are one-hot in `axis`.
        sparse_y_pred: Whether predictions are class numbers; else they are scores in `axis`.
        axis: The axis of the classes where not sparse.

    Raises:
        ValueError: A target class is not below `num_classes`.

    Example:
        >>> round(float(IoU(num_classes=2, target_class_ids=[0])([0, 0, 1, 1], [0, 1, 0, 1])), 4)
        0.3333
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(name=name, dtype=dtype or "int")
        if max(target_class_ids) >= num_classes:
            raise ValueError(
                f"{type(self).__name__}: target class {max(target_class_ids)} is not in"
                f" [0, {num_classes})."
            )
        self._direction = "up"
        self.num_classes = num_classes
        self.target_class_ids = list(target_class_ids)
        if not (ignore_class is None or isinstance(ignore_class, Integral)):
            raise ValueError(
                "`ignore_class` must be None or the number of a class. Received:"
                f" ignore_class={ignore_class!r}"
            )
        self.ignore_class = ignore_class
        self.sparse_y_true = sparse_y_true
        self.sparse_y_pred = sparse_y_pred
        self.axis = axis
        self.total_cm = self.add_variable(
            (num_classes, num_classes), "zeros", dtype=self.dtype, name="total_confusion_matrix"
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch.

        Args:
            y_true: Class numbers of any shape, or one-hot.
            y_pred: Class numbers of the same shape, or scores.
            sample_weight: One weight per prediction.
        """
        y_pred = to_tensor(y_pred)
        y_true = to_tensor(y_true, device=y_pred.device)
        if not self.sparse_y_true:
            y_true = y_true.argmax(self.axis)
        if not self.sparse_y_pred:
            y_pred = y_pred.argmax(self.axis)
        y_true = y_true.reshape(-1).to(self._torch_dtype).long()
        y_pred = y_pred.reshape(-1).to(self._torch_dtype).long()
        classes = self.num_classes
        counts = (y_true >= 0) & (y_true < classes) & (y_pred >= 0) & (y_pred < classes)
        if self.ignore_class is not None:
            counts = counts & (y_true != self.ignore_class)
        cells = (y_true * classes + y_pred).masked_fill(~counts, 0)
        weights = counts.to(self._torch_dtype)
        if sample_weight is not None:
            weights = weights * self._weights(sample_weight, weights)
        self.total_cm.view(-1).index_add_(0, cells, weights)

    def _weights(self, sample_weight: Any, like: Tensor) -> Tensor:
        sample_weight = to_tensor(sample_weight, device=like.device)
        if sample_weight.is_floating_point() and not like.is_floating_point():
            warnings.warn(
                f"{type(self).__name__} '{self.name}': `sample_weight` is float, the counts are"
                f" {self.dtype}: casting drops the fractions. Pass integer weights, or a float"
                " `dtype`.",
                stacklevel=4,
            )
        return sample_weight.to(like.dtype).reshape(-1).expand(like.shape)

    def result(self) -> Tensor:
        """Return the mean over the target classes that occur."""
        matrix = self.total_cm.detach()
        right = matrix.diagonal().to(torch.float32)
        union = (matrix.sum(0) + matrix.sum(1)).to(torch.float32) - right
        if self.target_class_ids != list(range(self.num_classes)):
            # One by one: a tensor of the numbers would be a copy that the host waits for.
            right = torch.stack([right[i] for i in self.target_class_ids])
            union = torch.stack([union[i] for i in self.target_class_ids])
        occurs = union > 1e-9
        eps = epsilon()
        ratios = torch.where(occurs, right / (union + eps), 0.0)
        return ratios.sum() / (occurs.sum() + eps)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        names = ("num_classes", "target_class_ids", "ignore_class", "axis")
        names = (*names, "sparse_y_true", "sparse_y_pred")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def _config_without(self, *names: str) -> dict[str, Any]:
        return {key: value for key, value in IoU.get_config(self).items() if key not in names}


@builtin("keras.metrics.BinaryIoU")
class BinaryIoU(IoU):
    """`IoU` of two classes, predictions being probabilities of class 1.

    Args:
        target_class_ids: Any of 0 and 1.
        threshold: From it on a prediction is a 1.
        name: See `Metric`.
        dtype: See `IoU`.
    """

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        if isinstance(threshold, (str, Sequence)):
            raise TypeError(f"BinaryIoU: `threshold` must be a number. Received: {threshold!r}")
        super().__init__(2, target_class_ids, name=name, dtype=dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch of labels 0 or 1 and probabilities of the same shape."""
        super().update_state(y_true, to_tensor(y_pred) >= self.threshold, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = Metric.get_config(self)
        return {**own, "target_class_ids": self.target_class_ids, "threshold": self.threshold}


@builtin("keras.metrics.MeanIoU")
class MeanIoU(IoU):
    """`IoU` of all classes; arguments as there, without `target_class_ids`.

    Example:
        >>> round(float(MeanIoU(num_classes=2)([0, 0, 1, 1], [0, 1, 0, 1])), 4)
        0.3333
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes,
            range(num_classes),
            name=name,
            dtype=dtype,
            ignore_class=ignore_class,
            sparse_y_true=sparse_y_true,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return self._config_without("target_class_ids")


@builtin("keras.metrics.OneHotIoU")
class OneHotIoU(IoU):
    """`IoU` of one-hot labels; arguments as there, predictions being scores by default."""

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes,
            target_class_ids,
            name=name,
            dtype=dtype,
            ignore_class=ignore_class,
            sparse_y_true=False,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return self._config_without("sparse_y_true")


@builtin("keras.metrics.OneHotMeanIoU")
class OneHotMeanIoU(MeanIoU):
    """`MeanIoU` of one-hot labels; arguments as there, predictions being scores by default."""

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes,
            name=name,
            dtype=dtype,
            ignore_class=ignore_class,
            sparse_y_true=False,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return self._config_without("target_class_ids", "sparse_y_true")
