"""RMSprop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch

from ..registry import builtin
from .optimizer import LearningRate, Optimizer
from .plan import Group
from .rules import Number, add_ratio_, average_squares_, decay_rate
from .state import Slots

__all__ = ["RMSprop"]


@builtin("keras.optimizers.RMSprop", "keras.src.backend.torch.optimizers.torch_rmsprop.RMSprop")
class RMSprop(Optimizer):
    """Divide the gradient by the root of a moving average of its square.

    `v = rho * v + (1 - rho) * g**2`, then
    `w = w - learning_rate * g / sqrt(v + epsilon)`. Unlike in PyTorch, `epsilon` is under the root.

    Args:
        learning_rate: See `Optimizer`, also for the arguments not listed here.
        rho: Weight of the old average.
        momentum: If positive, steps are summed with this factor for the past ones.
        epsilon: Added to `v`, so in squared units of the gradient.
        centered: Divide by the root of the variance: subtract the squared mean gradient from `v`.
    Source: Tieleman & Hinton 2012; centered: Graves 2013.

    Example:
        >>> w = torch.nn.Parameter(torch.tensor([1.0]))
        >>> RMSprop(0.1, rho=0.75).apply([torch.tensor([2.0])], [w])
        >>> w.data
        tensor([0.8000])
    """

    _config_names: ClassVar = ("rho", "momentum", "epsilon", "centered")
    _slot_names: ClassVar = ("_velocities", "_momentums", "_average_gradients")
    # Whether epsilon is below the root, or beside it as in `keras2`.
    _epsilon_inside = True

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
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
        self.rho = decay_rate("rho", rho, closed=True)
        self.momentum = momentum
        self.epsilon = epsilon
        self.centered = centered
        self._velocities: Slots = []
        self._momentums: Slots = []
        self._average_gradients: Slots = []

    def build(self, var_list: Sequence[torch.Tensor]) -> None:
        """Make the averages of squares, and the momenta and mean gradients that are used."""
        if self.built:
            return
        super().build(var_list)
        self._velocities = self.add_optimizer_variables(var_list, "velocity")
        if self.momentum > 0:
            self._momentums = self.add_optimizer_variables(var_list, "momentum")
        if self.centered:
            self._average_gradients = self.add_optimizer_variables(var_list, "average_gradient")

    def _update_group(
        self, group: Group, grads: Sequence[torch.Tensor], learning_rate: Number
    ) -> None:
        squares, momenta, means = group.slots
        average_squares_(squares, grads, self.rho)
        inside = self._epsilon_inside or bool(momenta)
        roots = torch._foreach_add(squares, self.epsilon if inside else 0.0)
        if self.centered:
            torch._foreach_lerp_(means, grads, 1 - self.rho)
            torch._foreach_addcmul_(roots, means, means, value=-1.0)
        torch._foreach_sqrt_(roots)
        if not inside:
            torch._foreach_add_(roots, self.epsilon)
        if momenta:
            torch._foreach_mul_(momenta, self.momentum)
            add_ratio_(momenta, grads, roots, learning_rate)
            torch._foreach_sub_(group.variables, momenta)
        else:
            add_ratio_(group.variables, grads, roots, -learning_rate)
