"""Lion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch

from ..registry import builtin
from .optimizer import LearningRate, Optimizer
from .plan import Group
from .rules import Number, add_scaled_, decay_rate
from .state import Slots

__all__ = ["Lion"]


@builtin("keras.optimizers.Lion", "keras.src.backend.torch.optimizers.torch_lion.Lion")
class Lion(Optimizer):
    """Move every element by the learning rate, in the direction of a momentum's sign.

    `w = w - learning_rate * sign(beta_1 * m + (1 - beta_1) * g)`, then
    `m = beta_2 * m + (1 - beta_2) * g`. Steps are larger than Adam's, so learning rates are three
    to ten times smaller and weight decays larger by as much.

    Args:
        learning_rate: See `Optimizer`, also for the arguments not listed here.
        beta_1: Weight of the momentum in the step, above 0 and at most 1.
        beta_2: Weight of the momentum in the new momentum.

    Raises:
        ValueError: `beta_1` is out of range.
    Source: Chen et al. 2023, algorithm 2.

    Example:
        >>> w = torch.nn.Parameter(torch.tensor([1.0]))
        >>> Lion(0.1).apply([torch.tensor([2.0])], [w])
        >>> w.data
        tensor([0.9000])
    """

    _config_names: ClassVar = ("beta_1", "beta_2")
    _slot_names: ClassVar = ("_momentums",)

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema,
            ema_momentum, ema_overwrite_frequency, loss_scale_factor,
            gradient_accumulation_steps, name, **kwargs,
        )  # fmt: skip
        if not 0 < beta_1 <= 1:
            raise ValueError(
                "Argument `beta_1` must be in the [0, 1] range. Otherwise, the optimizer"
                f" degenerates to SignSGD. Received: beta_1={beta_1}. (Nor may it be 0.)"
            )
        self.beta_1 = beta_1
        self.beta_2 = decay_rate("beta_2", beta_2, closed=True)
        self._momentums: Slots = []

    def build(self, var_list: Sequence[torch.Tensor]) -> None:
        """Make the momenta."""
        if self.built:
            return
        super().build(var_list)
        self._momentums = self.add_optimizer_variables(var_list, "momentum")

    def _update_group(
        self, group: Group, grads: Sequence[torch.Tensor], learning_rate: Number
    ) -> None:
        (momenta,) = group.slots
        # Not by `lerp`, whose rounding may turn the sign of what nearly cancels.
        steps = torch._foreach_mul(momenta, self.beta_1)
        torch._foreach_add_(steps, grads, alpha=1 - self.beta_1)
        torch._foreach_sign_(steps)
        add_scaled_(group.variables, steps, -learning_rate)
        torch._foreach_mul_(momenta, self.beta_2)
        torch._foreach_add_(momenta, grads, alpha=1 - self.beta_2)
