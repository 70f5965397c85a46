"""`decay` of Keras 2's optimizers: the learning rate divided by `1 + decay * iterations`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...optimizers import Optimizer, schedules

__all__ = ["BaseRate", "base_rate", "with_decay", "with_decay_from_a_hundredth"]

# What optimizers start from where only `decay` is given.
_LEARNING_RATE = 0.001


def with_decay(kwargs: dict[str, Any]) -> None:
    """Turn `decay`, and a `learning_rate` that is a whole number, into what they mean today."""
    rate, decay = kwargs.get("learning_rate"), kwargs.pop("decay", None)
    if isinstance(rate, (int, np.number)) and not isinstance(rate, bool):
        rate = kwargs["learning_rate"] = float(rate)
    if decay and not callable(rate):
        made = schedules.InverseTimeDecay(_LEARNING_RATE if rate is None else rate, 1, float(decay))
        made.from_decay = True
        kwargs["learning_rate"] = made


def with_decay_from_a_hundredth(kwargs: dict[str, Any]) -> None:
    """The same for `SGD`, which starts from 0.01."""
    if kwargs.get("decay"):
        kwargs.setdefault("learning_rate", 0.01)
    with_decay(kwargs)


class BaseRate(float):
    """The learning rate before `decay`, as `optimizer.lr` gives it; `assign` changes it."""

    schedule: schedules.InverseTimeDecay

    def assign(self, value: Any) -> None:
        """Give the optimizer another learning rate."""
        self.schedule.initial_learning_rate = float(value)

    def numpy(self) -> np.float32:
        """The value now."""
        return np.float32(self.schedule.initial_learning_rate)


def base_rate(optimizer: Optimizer) -> BaseRate | None:
    """The learning rate of an optimizer with `decay`, to which that has not been applied."""
    schedule = optimizer._learning_rate
    if not getattr(schedule, "from_decay", False):
        return None
    rate = BaseRate(schedule.initial_learning_rate)
    rate.schedule = schedule
    return rate
