"""`LearningRateScheduler`, and reading learning rates."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..naming import explain
from .callback import Callback, Logs
from .console import print_msg

__all__ = [
    "LearningRateScheduler",
    "each_optimizer",
    "learning_rate_of",
    "log_learning_rates",
]


def each_optimizer(optimizer: Any) -> Iterator[tuple[Any, str]]:
    """The optimizer, or those inside if it combines several, each with a label for messages."""
    inner = getattr(optimizer, "optimizers", None)
    if inner is None:
        yield optimizer, ""
    else:
        for one in inner:
            yield one, f" {one.name}"


def learning_rate_of(optimizer: Any) -> float:
    """The learning rate as a number; that of the current step if a schedule sets it."""
    return float(optimizer.learning_rate)


def log_learning_rates(optimizer: Any, logs: dict[str, Any]) -> None:
    """Add the learning rate, or those of several optimizers by name, to `logs`."""
    for one, label in each_optimizer(optimizer):
        name = f"learning_rate_{one.name}" if label else "learning_rate"
        logs[name] = learning_rate_of(one)


class LearningRateScheduler(Callback):
    """Sets the learning rate at the start of each epoch.

    Args:
        schedule: From the epoch's number and the current learning rate (or from the number alone)
            to the new learning rate, a float.
        verbose: 1 prints each change.

    Raises:
        ValueError: The optimizer has no learning rate, or `schedule` returns no float.

    Example:
        >>> scheduler = LearningRateScheduler(lambda epoch, lr: lr * 0.9 if epoch > 5 else lr)
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Set the learning rate."""
        for optimizer, label in each_optimizer(self.model.optimizer):
            if not hasattr(optimizer, "learning_rate"):
                raise ValueError(
                    explain(
                        'Optimizer must have a "learning_rate" attribute.',
                        optimizer=type(optimizer).__name__,
                    )
                )
            rate = self._next_rate(epoch, learning_rate_of(optimizer))
            optimizer.learning_rate = rate
            if self.verbose > 0:
                print_msg(
                    f"\nEpoch {epoch + 1}: LearningRateScheduler setting{label} learning rate "
                    f"to {rate}."
                )

    def _next_rate(self, epoch: int, rate: float) -> Any:
        new = self.schedule(epoch, rate) if _takes_two(self.schedule) else self.schedule(epoch)
        if not isinstance(new, (float, np.float32, np.float64)):
            raise ValueError(
                explain(
                    "The output of the `schedule` function should be a float.",
                    received=f"{new!r} (of type {type(new).__name__})",
                    epoch=epoch,
                    fix="return `float(...)`.",
                )
            )
        return new

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Log the learning rate."""
        log_learning_rates(self.model.optimizer, {} if logs is None else logs)


def _takes_two(schedule: Callable[..., Any]) -> bool:
    """Whether `schedule` can be called with two arguments; older ones take the epoch only."""
    try:
        inspect.signature(schedule).bind(0, 0.0)
    except TypeError:
        return False
    except ValueError:  # no signature to be had
        return True
    return True
