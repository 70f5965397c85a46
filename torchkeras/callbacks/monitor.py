"""Callbacks that watch a metric: `EarlyStopping`, `ReduceLROnPlateau`, and their base class."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..naming import explain
from ..ops import greater, less
from .callback import Callback, Logs
from .console import print_msg
from .schedule import each_optimizer, learning_rate_of, log_learning_rates

__all__ = ["EarlyStopping", "MonitorCallback", "ReduceLROnPlateau"]


class MonitorCallback(Callback):
    """Base class of callbacks that tell whether a metric has improved.

    Args:
        monitor: Name of the metric in `logs`.
        mode: `"min"` or `"max"`: which way is better; `"auto"` asks the metric of that name.
        baseline: The value to improve on at first; without one, any value is an improvement.
        min_delta: How much a value must differ at least to be an improvement.

    Raises:
        ValueError: At the first epoch's end, if `mode` is `"auto"` and no metric tells.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        mode: str = "auto",
        baseline: float | None = None,
        min_delta: float = 0,
    ) -> None:
        super().__init__()
        if mode not in ("auto", "min", "max"):
            warnings.warn(
                f"{type(self).__name__} mode {mode!r} is unknown; it is taken as 'auto'. "
                "Expected one of: 'auto', 'min', 'max'.",
                stacklevel=3,
            )
            mode = "auto"
        self.monitor = monitor
        self.mode = mode
        self.best = baseline
        self.min_delta = abs(min_delta)
        self.monitor_op: Callable[[Any, Any], Any] | None = None

    def _settle(self) -> None:
        """Decide which way is better; at the first use, since metrics are built late."""
        if self.monitor_op is None:
            self._set_monitor_op()

    def _set_monitor_op(self) -> None:
        mode = self.mode if self.mode != "auto" else self._direction()
        if mode == "min":
            self.monitor_op = less
            self.min_delta = -self.min_delta
        else:
            self.monitor_op = greater

    def _direction(self) -> str:
        name = self.monitor.removeprefix("val_")
        metrics = list(_all_metrics(self.model))
        exact = [metric for metric in metrics if metric.name == name]
        # Those of a model with several outputs stand in `logs` behind the name of their output.
        prefixed = [metric for metric in metrics if name.endswith(f"_{metric.name}")]
        for metric in exact or prefixed:
            direction = getattr(metric, "_direction", None)
            if direction is not None:
                return "max" if direction == "up" else "min"
        if name == "loss" or name.endswith("_loss"):
            return "min"
        raise ValueError(
            explain(
                f"{type(self).__name__} cannot tell whether `{self.monitor}` should be maximized "
                "or minimized.",
                monitor=repr(self.monitor),
                metrics_of_the_model=sorted({metric.name for metric in metrics}),
                fix="pass `mode='max'` if more is better, or `mode='min'` if less is.",
            )
        )

    def _is_improvement(self, value: Any, reference: Any) -> bool:
        if reference is None:
            return True
        self._settle()
        return bool(self.monitor_op(value - self.min_delta, reference))


def _all_metrics(model: Any) -> Iterator[Any]:
    """Metrics of a model, those inside collections of metrics included."""
    stack = list(getattr(model, "metrics", None) or ())
    while stack:
        metric = stack.pop(0)
        inner = getattr(metric, "metrics", None)
        if inner:
            stack = list(inner) + stack
        elif getattr(metric, "name", None) is not None:
            yield metric


class EarlyStopping(MonitorCallback):
    """Stops training when a metric no longer improves.

    Args:
        monitor: Name of the metric.
        min_delta: Smallest change that counts as an improvement.
        patience: Epochs without improvement after which to stop.
        verbose: 1 prints when training stops.
        mode: `"min"`, `"max"` or `"auto"`; see `MonitorCallback`.
        baseline: Value that must be improved on to go on for longer than `patience`.
        restore_best_weights: Give the model its best weights when training ends.
        start_from_epoch: Epochs to let pass before watching.

    Example:
        >>> EarlyStopping(monitor="val_accuracy", patience=3, restore_best_weights=True).patience
        3
    """

    _carried = ("best", "best_epoch", "best_weights", "stopped_epoch", "wait")

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self._forget()

    def _forget(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best = None
        self.best_epoch = 0
        self.best_weights: Any = None

    def on_train_begin(self, logs: Logs = None) -> None:
        """Start afresh."""
        self._forget()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Compare with the best epoch so far."""
        self._settle()
        current = self.get_monitor_value(logs)
        if epoch < self.start_from_epoch or current is None:
            return
        if self.best_weights is None and self.restore_best_weights:
            self._remember(epoch)
        self.wait += 1
        if self._is_improvement(current, self.best):
            self.best = current
            self._remember(epoch)
            if self.baseline is None or self._is_improvement(current, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def _remember(self, epoch: int) -> None:
        self.best_epoch = epoch
        if self.restore_best_weights:
            self.best_weights = self.model.get_weights()

    def on_train_end(self, logs: Logs = None) -> None:
        """Report, and restore weights."""
        if self.stopped_epoch > 0 and self.verbose > 0:
            print_msg(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose > 0:
                best = self.best_epoch + 1
                print_msg(f"Restoring model weights from the end of the best epoch: {best}.")
            self.model.set_weights(self.best_weights)

    def get_monitor_value(self, logs: Logs) -> Any:
        """The metric's value; warns if it is missing."""
        logs = logs or {}
        value = logs.get(self.monitor)
        if value is None:
            warnings.warn(
                f"Early stopping conditioned on metric `{self.monitor}` which is not available. "
                f"Available metrics are: {','.join(logs)}",
                stacklevel=3,
            )
        return value


class ReduceLROnPlateau(MonitorCallback):
    """Lowers the learning rate when a metric no longer improves.

    Args:
        monitor: Name of the metric.
        factor: What the learning rate is multiplied by; below 1.
        patience: Epochs without improvement after which to lower it.
        verbose: 1 prints each change.
        mode: `"min"`, `"max"` or `"auto"`; see `MonitorCallback`.
        min_delta: Smallest change that counts as an improvement.
        cooldown: Epochs after a change during which nothing is counted.
        min_lr: Learning rate below which it does not go.

    Raises:
        ValueError: `factor` is 1 or more.
    """

    _carried = ("best", "cooldown_counter", "wait")

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        if kwargs:
            warnings.warn(
                f"ReduceLROnPlateau ignores the arguments {sorted(kwargs)}.", stacklevel=2
            )
        if factor >= 1.0:
            raise ValueError(
                explain(
                    f"ReduceLROnPlateau: the factor {factor} would not reduce the learning rate.",
                    factor=factor,
                    fix="pass a factor below 1, such as 0.1.",
                )
            )
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.min_lr = min_lr
        self.wait = 0
        self.cooldown_counter = 0

    def on_train_begin(self, logs: Logs = None) -> None:
        """Start afresh."""
        self.best = None
        self.wait = 0
        self.cooldown_counter = 0

    def in_cooldown(self) -> bool:
        """Whether the last change is too recent for another one."""
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Log the learning rate, and lower it if it is time to."""
        self._settle()
        logs = {} if logs is None else logs
        log_learning_rates(self.model.optimizer, logs)
        current = logs.get(self.monitor)
        if current is None:
            warnings.warn(
                f"Learning rate reduction is conditioned on metric `{self.monitor}` which is not "
                f"available. Available metrics are: {','.join(logs)}.",
                stacklevel=2,
            )
            return
        cooling = self.in_cooldown()
        self.cooldown_counter -= cooling
        improved = self._is_improvement(current, self.best)
        self.best = current if improved else self.best
        if improved or self.in_cooldown():
            self.wait = 0
            return
        self.wait = 1 if cooling else self.wait + 1
        if self.wait >= self.patience and self._reduce(epoch):
            self.cooldown_counter = self.cooldown
            self.wait = 0

    def _reduce(self, epoch: int) -> bool:
        """Lower the learning rate of each optimizer that is above the limit."""
        reduced = False
        for optimizer, label in each_optimizer(self.model.optimizer):
            old = learning_rate_of(optimizer)
            if old > np.float32(self.min_lr):
                new = max(old * self.factor, self.min_lr)
                optimizer.learning_rate = new
                reduced = True
                if self.verbose > 0:
                    print_msg(
                        f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing{label} learning rate "
                        f"to {new}."
                    )
        return reduced
