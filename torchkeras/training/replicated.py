"""Steps of a model that trains in several processes at once, each on its rows of every batch.

A loss is a mean over rows (the default), a sum, or a mean by weights, perhaps over what a mask
lets count. What a process computes of its rows is multiplied by its *share* of the divisor: then
the sum over all processes, which is what happens to the gradients, is the loss of the whole batch.
Shares are known beforehand where all rows count alike; where masks or weights decide, the counts
are added up first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from ..callbacks.logs import as_numbers
from ..distribution.replicas import Replicas, optimizers_of
from ..graph.context import ADDING
from ..losses.loss import to_tensor
from .steps import StepLogs, TestStep, TrainStep, batch_size_of, gradients_of

__all__ = [
    "ReplicatedTestStep",
    "ReplicatedTrainStep",
    "agreed_logs",
    "between_merges",
    "gathered",
    "with_common_updates",
]

Tensor = torch.Tensor


class _Shares:
    """The factors of losses on this process's rows of a batch.

    Args:
        replicas: Tells the rows.
    """

    def __init__(self, replicas: Replicas) -> None:
        self.replicas = replicas

    @property
    def fraction(self) -> float:
        """This process's part of the rows."""
        return self.replicas.share.fraction

    def of(self, loss: Any, y_pred: Any, sample_weight: Any) -> float | Tensor:
        """Return the factor of one loss: what it divides by here, over what all divide by."""
        reduction = getattr(loss, "reduction", "sum_over_batch_size")
        mask = getattr(y_pred, "_keras_mask", None)
        counts = float(self.replicas.share.rows > 0)
        if reduction == "sum":
            return counts
        by_weight = reduction == "mean_with_sample_weight"
        if mask is None and (sample_weight is None or not by_weight):
            return self.fraction
        divisor = None if mask is None else to_tensor(mask, torch.float32, y_pred.device)
        if by_weight and sample_weight is not None:
            weight = to_tensor(sample_weight, torch.float32, y_pred.device)
            if divisor is not None and weight.dim() > divisor.dim():
                weight = weight.squeeze(-1)
            divisor = weight if divisor is None else divisor * weight
        own = divisor.sum() * counts
        whole = self.replicas.processes.sum_(own.clone())
        return own / whole.clamp(min=torch.finfo(own.dtype).tiny)


class _Replicated:
    """What the replicated steps share; beside a `TrainStep` or `TestStep`.

    Args:
        model: Compiled.
        replicas: Who else has a part of the batch.
    """

    def __init__(self, model: Any, replicas: Replicas) -> None:
        self.replicas = replicas
        self.shares = _Shares(replicas)
        super().__init__(model)

    def __call__(self, data: Any) -> StepLogs:
        self.replicas.next_share()
        with self.replicas.step_of(self.model):
            return super().__call__(data)

    def compute_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> Tensor:
        """Return this process's part of the loss of the whole batch."""
        total = None
        if self.loss is not None:
            total = self.loss.call(y, y_pred, sample_weight, self.shares)
        adds = ADDING.layers and self.model._silent_at != ADDING.version
        if total is None or self.penalized or adds:
            for loss in self.model.losses:
                loss = (loss.sum() if loss.dim() else loss) * self.shares.fraction
                total = loss if total is None else total + loss
        if total is None:  # which says what is missing
            return self.model.compute_loss(x, y, y_pred, sample_weight, training=self.training)
        return total

    def record(self, loss: Tensor, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> StepLogs:
        """Update the metrics; the parts of the loss add up to its mean, times all rows."""
        share = self.replicas.share
        if share.rows:
            self.tracker.add_mean(loss / share.fraction, batch_size_of(x))
        # Also if idle, for the variables that metrics make at the first batch: `step_of` undoes
        # all else.
        if self.metrics is not None:
            self.metrics.update_state(y, y_pred, sample_weight)
        return StepLogs(self.model)


class _Updates:
    """An optimizer as a `TrainStep` calls it, which applies the gradients of all processes.

    Args:
        optimizer: The optimizer, or `None`.
        replicas: Who adds them up.
    """

    def __init__(self, optimizer: Any, replicas: Replicas) -> None:
        self.optimizer, self.replicas = optimizer, replicas

    def scale_loss(self, loss: Tensor) -> Tensor:
        return self.optimizer.scale_loss(loss)

    def apply(self, grads: Sequence[Tensor | None], variables: list[Tensor]) -> None:
        self.replicas.update(self.optimizer, grads, variables)


class ReplicatedTrainStep(_Replicated, TrainStep):
    """One update by the gradients of all processes.

    Args:
        model: Compiled.
        replicas: Who else has a part of the batch.
    """

    def __init__(self, model: Any, replicas: Replicas) -> None:
        super().__init__(model, replicas)
        self.optimizer = _Updates(self.optimizer, replicas)

    def gradients_of(self, loss: Tensor, variables: list[Tensor]) -> Sequence[Tensor | None]:
        """Return the gradients of this process's part of the loss, on their way to the others."""
        return self.replicas.gradients_of(loss, variables, gradients_of)


class ReplicatedTestStep(_Replicated, TestStep):
    """One evaluation of this process's rows of a batch."""

    __test__ = False


def with_common_updates(
    step: Callable[[Any], Any], model: Any, replicas: Replicas
) -> Callable[[Any], Any]:
    """Let a step of the user's, for training or tests, run on this process's rows.

    Its losses are means over these; what it hands to optimizers is weighted by their number and
    summed over all processes first.
    """
    optimizers = optimizers_of(model)

    def call(data: Any) -> Any:
        replicas.next_share()
        with replicas.step_of(model), replicas.reducing(optimizers):
            return step(data)

    return call


def between_merges(
    function: Callable[[list[Any]], Any], model: Any, replicas: Replicas
) -> Callable[[list[Any]], Any]:
    """Let metrics record this process's rows only, and see to it that whoever looks sees all."""

    def call(batches: list[Any]) -> Any:
        replicas.separate(model)
        logs = function(batches)
        if not replicas.each_batch:
            return logs
        return agreed_logs(logs, model, replicas)

    return call


def agreed_logs(logs: Any, model: Any, replicas: Replicas) -> Any:
    """Bring metrics together, and return logs that are the same on all processes."""
    if isinstance(logs, StepLogs) or not isinstance(logs, Mapping):
        replicas.merge(model)
        return logs
    own = model.get_metrics_result()
    replicas.merge(model)
    if set(logs) == set(own):
        return StepLogs(model)
    return replicas.common_logs(as_numbers(logs), own, model.get_metrics_result())


def gathered(step: Callable[[Any], Any], replicas: Replicas) -> Callable[[Any], Any]:
    """Let a step of `predict` run on this process's rows, and return the outputs of all."""

    def call(data: Any) -> Any:
        replicas.next_share()
        return replicas.gather_outputs(step(data))

    return call
