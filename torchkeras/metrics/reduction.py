"""Metrics that add up: `Sum`, `Mean`, and `MeanMetricWrapper`, the mean of a function.

Letters: B samples (the first axis of the values). `Mean` keeps `total` and `count`; each batch adds
its B per-sample means, whatever the other axes are, and `count` grows by B, or by the weights' sum.

Speed: most metrics are means of a function, and most steps have no weights. A function may declare
a kernel of its mean (`losses.loss.mean_kernel`) or, if its values are 0 and 1, of its matches
(`matcher`): then a batch costs those kernels plus one addition.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.compiler import is_compiling, is_dynamo_compiling

from ..graph.context import CONTEXT
from ..losses import is_loss
from ..losses.loss import (
    MEAN_KERNELS,
    apply_mask,
    divide_no_nan,
    squeeze_or_expand_to_same_rank,
    to_tensor,
    weight_error,
)
from ..naming import check_some_axis
from ..registry import builtin, deserialize_keras_object, serialize_keras_object
from ..variables import READING
from .metric import Deferred, Metric

__all__ = ["Mean", "MeanMetricWrapper", "Sum", "matcher", "reduce_to_samplewise_values"]

F = TypeVar("F", bound=Callable[..., Any])

# Metric function with values 0 and 1 -> function that returns them as bools.
MATCHERS: dict[Callable[..., Any], Callable[..., Tensor]] = {}


def matcher(function: Callable[..., Any]) -> Callable[[F], F]:
    """Declare that the decorated function returns the values of `function` as a bool tensor."""

    def declare(matches: F) -> F:
        MATCHERS[function] = matches
        return matches

    return declare


def reduce_to_samplewise_values(
    values: Any, sample_weight: Any, reduce_fn: Callable[..., Tensor], dtype: torch.dtype
) -> tuple[Tensor, Tensor | None]:
    """Weight values and reduce all axes but the first, of the values and of the weights.

    Args:
        values: Shape `(B, ...)`; a `_keras_mask` on them joins the weights.
        sample_weight: `None`, or broadcastable to the leading axes of `values`.
        reduce_fn: `torch.sum` or `torch.mean`.
        dtype: Dtype of the results.

    Raises:
        ValueError: The weights do not fit.
    """
    mask = getattr(values, "_keras_mask", None)
    values = to_tensor(values).to(dtype)
    if sample_weight is not None:
        sample_weight = to_tensor(sample_weight, dtype, values.device)
        sample_weight = apply_mask(sample_weight, mask, dtype, "sum")
        values, sample_weight = squeeze_or_expand_to_same_rank(values, sample_weight)
        rank = sample_weight.dim()
        if values.dim() > rank:
            values = reduce_fn(values, dim=tuple(range(rank, values.dim())))
        try:
            sample_weight = sample_weight.expand(values.shape)
        except RuntimeError as error:
            raise weight_error(sample_weight, values) from error
        values = values * sample_weight
        if rank > 1:
            sample_weight = reduce_fn(sample_weight, dim=tuple(range(1, rank)))
    if values.dim() > 1:
        values = reduce_fn(values, dim=tuple(range(1, values.dim())))
    return values, sample_weight


@builtin("keras.metrics.Sum")
class Sum(Metric):
    """The (weighted) sum of all values.

    Args:
        name: Default: `"sum"`.
        dtype: See `Metric`.

    Example:
        >>> float(Sum()([1.0, 2.0], sample_weight=[1.0, 0.5]))
        2.0
    """

    def __init__(self, name: str | None = "sum", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), "zeros", dtype=self.dtype, name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add values `(B, ...)`, multiplied by weights."""
        if sample_weight is None:
            self.total.add_(to_tensor(values).sum(dtype=self._torch_dtype))
        else:
            values, _ = reduce_to_samplewise_values(
                values, sample_weight, torch.sum, self._torch_dtype
            )
            self.total.add_(values.sum())

    def result(self) -> Tensor:
        """Return the sum."""
        return self.total.detach().clone()


@builtin("keras.metrics.Mean")
class Mean(Metric):
    """The (weighted) mean of all values.

    Args:
        name: Default: `"mean"`.
        dtype: See `Metric`.

    Example:
        >>> float(Mean()([1.0, 2.0, 6.0]))
        3.0
    """

    count = Deferred()

    def __init__(self, name: str | None = "mean", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self._pending: float = 0
        self.total = self.add_variable((), "zeros", dtype=self.dtype, name="total")
        self.count = self.add_variable((), "zeros", dtype=self.dtype, name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add values `(B, ...)`.

        Args:
            values: The first axis is that of the samples; others are averaged.
            sample_weight: One weight per sample, one per value, or a single one.
        """
        if sample_weight is None:
            values = to_tensor(values)
            if values.dim() == 0:
                share = CONTEXT.share  # of the one value that all processes make together
                if share is None:
                    self.add_sum(values, 1)
                else:
                    self.add_mean(values, share)
            elif values.numel():
                self.add_mean(values.mean(dtype=self._torch_dtype), values.shape[0])
        elif isinstance(sample_weight, (int, float)) and isinstance(values, Tensor):
            mean = values if values.dim() == 0 else values.mean(dtype=self._torch_dtype)
            self.add_mean(mean, sample_weight)
        else:
            values, sample_weight = reduce_to_samplewise_values(
                values, sample_weight, torch.mean, self._torch_dtype
            )
            self.add_sum(values.sum(), sample_weight.sum())

    def add_sum(self, total: Tensor, count: float | Tensor) -> None:
        """Add `count` values whose sum is `total`; for loops that have both already.

        Args:
            total: A 0-d tensor without gradient; the state moves to its device.
            count: A number (best: it costs no kernel) or a 0-d tensor.
        """
        if total.device != self.total.device:
            self._move(total.device)
        self.total.add_(total)
        self._add_count(count)

    def add_mean(self, mean: Tensor, count: float) -> None:
        """Add `count` values whose mean is `mean`, in one kernel."""
        if mean.device != self.total.device:
            self._move(mean.device)
        self.total.add_(mean, alpha=count)
        if is_dynamo_compiling():  # `_add_count`, one call cheaper
            self._count.add_(count)
        else:
            self.__dict__["_pending"] += count

    def _add_count(self, count: float | Tensor) -> None:
        if isinstance(count, Tensor) or is_compiling():
            self._count.add_(count)
        else:
            self.__dict__["_pending"] += count  # past `__setattr__`, which looks for state

    def _settle(self) -> None:
        if self._pending:
            self._count.detach().add_(self._pending)
            self.__dict__["_pending"] = 0

    def reset_state(self) -> None:
        """Forget all values."""
        self.__dict__["_pending"] = 0
        self.total.detach().zero_()
        self._count.detach().zero_()

    def result(self) -> Tensor:
        """Return the mean; 0 before the first value."""
        total, count = self.total.detach(), self.count.detach()
        # On the host a look at the count costs less than the kernels that do without.
        if count.is_cpu and type(count) is Tensor and READING.scope is None and not is_compiling():
            return total / count if count.item() else torch.zeros_like(total)
        return divide_no_nan(total, count)


@builtin("keras.metrics.MeanMetricWrapper")
class MeanMetricWrapper(Mean):
    """The mean of a function of labels and predictions.

    Args:
        fn: A function `(y_true, y_pred, **kwargs)` that returns one value per sample.
        name: See `Metric`.
        dtype: See `Metric`.
        **kwargs: Further arguments for `fn`.

    Example:
        >>> metric = MeanMetricWrapper(lambda y, p: (y - p).abs(), name="distance")
        >>> float(metric(torch.zeros(2), torch.tensor([1.0, 3.0])))
        2.0
    """

    def __init__(
        self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self._fn = fn
        self._fn_kwargs = kwargs
        hashable = getattr(fn, "__hash__", None) is not None
        self._mean_kernel = MEAN_KERNELS.get(fn) if hashable else None
        self._matcher = MATCHERS.get(fn) if hashable else None
        if is_loss(fn):
            self._direction = "down"

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch of labels and predictions; a `_keras_mask` on `y_pred` joins the weights."""
        mask = getattr(y_pred, "_keras_mask", None)
        if sample_weight is None and mask is None and isinstance(y_pred, Tensor):
            if self._matcher is not None:
                return self.add_matches(y_true, y_pred)
            if (
                self._mean_kernel is not None
                and isinstance(y_true, Tensor)
                and y_pred.is_floating_point()
                and y_pred.numel()
                and y_true.device == y_pred.device
            ):
                mean = self._mean_kernel(y_true, y_pred, **self._fn_kwargs)
                if mean is not None:
                    # The function would reduce the last axis, so of a vector remains one value.
                    vector = y_pred.dim() == 1 and y_true.dim() == 1
                    return self.add_mean(mean, 1 if vector else y_pred.shape[0])
        values = self._fn(y_true, y_pred, **self._fn_kwargs)
        if mask is not None:
            if sample_weight is not None:
                sample_weight = to_tensor(sample_weight, self._torch_dtype, mask.device)
            sample_weight = apply_mask(sample_weight, mask, self._torch_dtype, "sum")
        Mean.update_state(self, values, sample_weight=sample_weight)

    @property
    def adds_matches(self) -> bool:
        """Whether an update without weights and masks may go straight to `add_matches`."""
        updates = type(self).update_state is MeanMetricWrapper.update_state
        return updates and self._matcher is not None and "update_state" not in self.__dict__

    def add_matches(self, y_true: Any, y_pred: Any) -> None:
        """Add a batch to a metric of a function whose values are 0 and 1."""
        matches = self._matcher(y_true, y_pred, **self._fn_kwargs)
        self._add(matches, matches.shape[0] if matches.dim() else 1)

    def add_hits(self, y_true: Tensor, y_pred: Tensor) -> bool:
        """Likewise several batches in one, if there is one value in each of its rows.

        Returns:
            Whether they were added: with more values, sums would be rounded otherwise.
        """
        rows = y_pred.shape[0]
        try:
            matches = self._matcher(y_true, y_pred, **self._fn_kwargs)
        except (RuntimeError, ValueError):  # the batch that is at fault says why
            return False
        if matches.shape[:1] != (rows,) or matches.numel() != rows:
            return False
        self._add(matches, rows)
        return True

    def _add(self, matches: Tensor, rows: int) -> None:
        if matches.device != self.total.device:
            self._move(matches.device)
        size = matches.numel()
        # The faster of the two.
        hits = matches.sum() if matches.is_cuda else matches.count_nonzero()
        if size == rows or not size:
            self.total.add_(hits)
        else:
            self.total.add_(hits, alpha=rows / size)
        if is_dynamo_compiling():  # `_add_count`, one call cheaper
            self._count.add_(rows)
        else:
            self.__dict__["_pending"] += rows

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, the function among them."""
        fn = {"fn": serialize_keras_object(self._fn)}
        return {**super().get_config(), **fn, **serialize_keras_object(self._fn_kwargs)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        """Make a metric from what `get_config` returned."""
        return cls(**(deserialize_keras_object(config) if "fn" in config else config))


class FunctionMetric(MeanMetricWrapper):
    """Base of the named means: the function's arguments are attributes and make up the config.

    `unsaved` names arguments that Keras leaves out of its configs; they are written only where they
    differ from their default.
    """

    unsaved: dict[str, Any] = {}

    def __init__(self, fn: Callable[..., Any], direction: str, **kwargs: Any) -> None:
        super().__init__(fn, **kwargs)
        check_some_axis(type(self).__name__, kwargs.get("axis"))
        for name, value in self._fn_kwargs.items():
            setattr(self, name, value)
        self._direction = direction

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        arguments = {
            name: value
            for name, value in self._fn_kwargs.items()
            if name not in self.unsaved or value != self.unsaved[name]
        }
        return {**Metric.get_config(self), **arguments}
