"""The three optimizers whose rule was another until tf.keras 2.10, by the path they have there.

`Adagrad`, and `RMSprop` without momentum, added epsilon to the root, not below it; the momentum of
`Nadam` grew by `schedule_decay`, near 0.004, not by 1. `optimizers.legacy` of the legacy modules
means these. The other optimizers of that time are today's.
Source: `tf_keras.optimizers.legacy` (rules, names, arguments).
"""

from __future__ import annotations

from typing import Any, ClassVar

from ..registry import builtin
from . import adagrad, adam_variants, rmsprop
from .optimizer import LearningRate
from .rules import Number

__all__ = ["Adagrad", "Nadam", "RMSprop"]


@builtin("keras.optimizers.legacy.Adagrad")
class Adagrad(adagrad.Adagrad):
    """`n = n + g**2`, then `w = w - learning_rate * g / (sqrt(n) + epsilon)`.

    Args: Those of `keras.optimizers.Adagrad`.
    """

    _epsilon_inside = False


@builtin("keras.optimizers.legacy.RMSprop")
class RMSprop(rmsprop.RMSprop):
    """As `keras.optimizers.RMSprop`; without momentum epsilon is beside the root, not below it.

    Args: Those of `keras.optimizers.RMSprop`.
    """

    _epsilon_inside = False


@builtin("keras.optimizers.legacy.Nadam")
class Nadam(adam_variants.Nadam):
    """As `keras.optimizers.Nadam`, with a momentum that grows by `schedule_decay` a step.

    Args:
        learning_rate: See `keras.optimizers.Nadam`, also for the arguments not listed here.
        schedule_decay: How fast the momentum grows; 1 in `keras.optimizers.Nadam`.
    """

    _config_names: ClassVar = (*adam_variants.Nadam._config_names, "schedule_decay")

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        schedule_decay: float = 0.004,
        **kwargs: Any,
    ) -> None:
        self.__dict__["schedule_decay"] = schedule_decay
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **kwargs)

    def _momentum_at(self, t: Number) -> Number:
        return self.beta_1 * (1.0 - 0.5 * 0.96 ** (t * self.schedule_decay))
