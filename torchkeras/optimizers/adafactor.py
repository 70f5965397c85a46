"""Adafactor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch

from ..registry import builtin
from ..variables import Variable
from .optimizer import LearningRate, Optimizer
from .plan import Group
from .rules import Number, average_, smaller
from .state import Slots

__all__ = ["Adafactor"]


@builtin("keras.optimizers.Adafactor")
class Adafactor(Optimizer):
    """Adam without momentum, whose mean squares are estimated from their row and column means.

    With `k = t**beta_2_decay` and `s = g**2 + epsilon_1`, the row means `r` and column means `c` of
    the last two axes move towards those of `s` by the fraction `k`, and `v = r * c / mean(r)`; a
    variable with fewer axes has a plain average `v` of `s`. Then `u = g / sqrt(v)`, and
    `w = w - a * u / max(1, rms(u) / clip_threshold)` with the step size
    `a = max(epsilon_2, rms(w)) * min(learning_rate, 1 / sqrt(t))`.

    Args:
        learning_rate: See `Optimizer`, also for the arguments not listed here.
        beta_2_decay: Power of `t`, negative: the weight of new squares.
        epsilon_1: Added to the squared gradient.
        epsilon_2: Smallest scale of a variable that steps are relative to.
        clip_threshold: Largest root mean square of `u`.
        relative_step: Part of the config; as in Keras, `1 / sqrt(t)` bounds the step either way.
    Source: Shazeer & Stern 2018, algorithms 4 and 5.

    Example:
        >>> w = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
        >>> Adafactor(0.1).apply([torch.tensor([2.0, 1.0])], [w])
        >>> w.data
        tensor([2.6464, 3.6464])
    """

    _config_names: ClassVar = (
        "beta_2_decay",
        "epsilon_1",
        "epsilon_2",
        "clip_threshold",
        "relative_step",
    )
    _slot_names: ClassVar = ("_r", "_c", "_v")

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
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
        self.beta_2_decay = beta_2_decay
        self.epsilon_1 = epsilon_1
        self.epsilon_2 = epsilon_2
        self.clip_threshold = clip_threshold
        self.relative_step = relative_step
        self._r: Slots = []
        self._c: Slots = []
        self._v: Slots = []

    def build(self, var_list: Sequence[torch.Tensor]) -> None:
        """Make row means, column means and mean squares."""
        if self.built:
            return
        super().build(var_list)
        for variable in var_list:
            shape = variable.shape
            self._r.append(self._make_factor(variable, shape[:-1]))
            self._c.append(self._make_factor(variable, (*shape[:-2], *shape[-1:])))
            overwritten = self._overwrite_variable_with_gradient(variable)
            self._v.append(
                None if overwritten else self.add_variable_from_reference(variable, "velocity")
            )

    def _make_factor(self, variable: torch.Tensor, shape: Sequence[int]) -> Variable | None:
        name = getattr(variable, "name", None)
        if variable.ndim < 2:  # files have a number in the place of what is not used
            factor = Variable(0, trainable=False, name=name, device=variable.device)
            self._track_attributes([factor])
            return factor
        if self._overwrite_variable_with_gradient(variable):
            return None
        with torch.device(variable.device):
            return self.add_variable(shape, dtype=variable.dtype, name=name)

    def _kind_of(self, variable: torch.Tensor) -> str:
        return "whole" if variable.ndim < 2 else "factored"

    def _update_group(
        self, group: Group, grads: Sequence[torch.Tensor], learning_rate: Number
    ) -> None:
        rows, columns, squares = group.slots
        t = self._updates() + 1
        new = torch._foreach_mul(grads, grads)
        torch._foreach_add_(new, self.epsilon_1)
        fraction = t**self.beta_2_decay
        if group.kind == "factored":
            average_(rows, [s.mean(-1) for s in new], fraction)
            average_(columns, [s.mean(-2) for s in new], fraction)
            for r, c, v in zip(rows, columns, squares, strict=True):
                r = r / r.mean(-1, keepdim=True)
                torch.mul(r.unsqueeze(-1), c.unsqueeze(-2), out=v)
        else:
            average_(squares, new, fraction)
        steps = torch._foreach_div(grads, torch._foreach_sqrt(squares))

        sizes = torch._foreach_clamp_min(_root_mean_squares(group.variables), self.epsilon_2)
        torch._foreach_mul_(sizes, smaller(learning_rate, t**-0.5))
        excess = torch._foreach_div(_root_mean_squares(steps), self.clip_threshold)
        torch._foreach_div_(sizes, torch._foreach_clamp_min(excess, 1.0))
        torch._foreach_mul_(steps, sizes)
        torch._foreach_sub_(group.variables, steps)


def _root_mean_squares(tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The root mean square of each tensor, 0-d."""
    return list(
        torch._foreach_div(torch._foreach_norm(tensors), [t.numel() ** 0.5 for t in tensors])
    )
