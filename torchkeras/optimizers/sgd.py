"""Gradient descent with momentum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch

from ..registry import builtin
from .optimizer import LearningRate, Optimizer
from .plan import Group
from .state import Slots

__all__ = ["SGD"]


@builtin("keras.optimizers.SGD", "keras.src.backend.torch.optimizers.torch_sgd.SGD")
class SGD(Optimizer):
    """Gradient descent, with momentum or Nesterov's momentum if asked for.

    Without momentum `w = w - learning_rate * g`. With it, `m = momentum * m - learning_rate * g`
    and `w = w + m`, or after Nesterov `w = w + momentum * m - learning_rate * g`. The learning rate
    is inside `m`: unlike in PyTorch, a new one does not rescale past steps.

    Args:
        learning_rate: See `Optimizer`, also for the arguments not listed here.
        momentum: In [0, 1], a float.
        nesterov: Take Nesterov's form.

    Raises:
        ValueError: `momentum` is out of range.
    Source: Sutskever et al. 2013.

    Example:
        >>> w = torch.nn.Parameter(torch.tensor([1.0]))
        >>> SGD(0.1, momentum=0.9).apply([torch.tensor([2.0])], [w])
        >>> w.data
        tensor([0.8000])
    """

    _config_names: ClassVar = ("momentum", "nesterov")
    _slot_names: ClassVar = ("momentums",)

    def __init__(
        self,
        learning_rate: LearningRate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
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
        if not isinstance(momentum, float) or not 0 <= momentum <= 1:
            raise ValueError(
                f"SGD: `momentum` must be a float between [0, 1], got momentum={momentum!r}."
            )
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema,
            ema_momentum, ema_overwrite_frequency, loss_scale_factor,
            gradient_accumulation_steps, name, **kwargs,
        )  # fmt: skip
        self.momentum = momentum
        self.nesterov = nesterov
        self.momentums: Slots = []

    def build(self, variables: Sequence[torch.Tensor]) -> None:
        """Make the momenta."""
        if self.built:
            return
        super().build(variables)
        if self.momentum != 0:
            self.momentums = self.add_optimizer_variables(variables, "momentum")

    def _update_group(
        self, group: Group, grads: Sequence[torch.Tensor], learning_rate: float | torch.Tensor
    ) -> None:
        if isinstance(learning_rate, torch.Tensor):
            grads, learning_rate = torch._foreach_mul(grads, learning_rate), 1.0
        (momenta,) = group.slots
        # torch's kernel leaves float16 and bfloat16 unchanged on CPUs (pytorch/pytorch#191763),
        # and cannot be in a graph.
        if not group.fused or group.dtype.itemsize < 4 or torch.compiler.is_compiling():
            self._update_unfused(group.variables, momenta, grads, learning_rate)
            return
        # torch has b = momentum * b + (1 - dampening) * g and w = w - lr * b. With 1 - dampening
        # = -learning_rate its b is Keras's m, and lr = -1 adds it. Nesterov's form in torch adds
        # the bare g once more, which must hold the learning rate by itself then.
        rate, dampening = learning_rate, 0.0
        if momenta:
            rate, dampening = -1.0, 1.0 + learning_rate
            if self.nesterov:
                grads, dampening = torch._foreach_mul(grads, -learning_rate), 0.0
        torch._fused_sgd_(
            group.variables,
            grads,
            momenta,
            weight_decay=0.0,
            momentum=self.momentum if momenta else 0.0,
            lr=rate,
            dampening=dampening,
            nesterov=bool(self.nesterov and momenta),
            maximize=False,
            is_first_step=False,
        )

    def _update_unfused(
        self,
        variables: list[torch.Tensor],
        momenta: list[torch.Tensor],
        grads: Sequence[torch.Tensor],
        learning_rate: float,
    ) -> None:
        if not momenta:
            torch._foreach_add_(variables, grads, alpha=-learning_rate)
            return
        torch._foreach_mul_(momenta, self.momentum)
        torch._foreach_add_(momenta, grads, alpha=-learning_rate)
        if self.nesterov:
            torch._foreach_add_(variables, grads, alpha=-learning_rate)
            torch._foreach_add_(variables, momenta, alpha=self.momentum)
        else:
            torch._foreach_add_(variables, momenta)
