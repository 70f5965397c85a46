"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch

from ..registry import builtin
from .optimizer import LearningRate, Optimizer
from .plan import Group
from .rules import Number, add_ratio_, average_squares_, decay_rate
from .state import Slots

__all__ = ["Adam", "AdamW", "adam_rate", "adam_step"]


def adam_rate(learning_rate: Number, beta_1: float, beta_2: float, t: Number) -> Number:
    """Return the learning rate with both bias corrections, Keras's alpha.

    Args:
        learning_rate: The learning rate.
        beta_1: Weight of the old mean gradient.
        beta_2: Weight of the old mean square.
        t: Number of this update, from 1.

    >>> round(adam_rate(0.1, 0.9, 0.99, 1), 6)
    0.1
    """
    return learning_rate * (1 - beta_2**t) ** 0.5 / (1 - beta_1**t)


def adam_step(
    group: Group,
    grads: Sequence[torch.Tensor],
    slots: Sequence[list[torch.Tensor]],
    alpha: Number,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    decay: float = 0.0,
) -> None:
    """Update a group by Adam's rule.

    Args:
        group: The variables.
        grads: Gradients parallel to `group.variables`, in their dtype and layout.
        slots: Mean gradients, mean squares, and for AMSGrad the largest mean squares or else `[]`.
        alpha: See `adam_rate`.
        beta_1: Weight of the old mean gradient.
        beta_2: Weight of the old mean square.
        epsilon: Added to the root of the mean square.
        decay: Weights shrink by this times `alpha` beforehand; only where the fused kernel is used.
    """
    means, squares, largest = slots
    if group.fused and isinstance(alpha, float):
        kernel = torch._fused_adamw_ if decay else torch._fused_adam_
        kernel(
            group.variables,
            grads,
            means,
            squares,
            largest,
            group.steps,
            lr=alpha,
            beta1=beta_1,
            beta2=beta_2,
            weight_decay=decay,
            eps=epsilon,
            amsgrad=bool(largest),
            maximize=False,
        )
        return
    torch._foreach_lerp_(means, grads, 1 - beta_1)
    average_squares_(squares, grads, beta_2)
    if largest:
        torch._foreach_maximum_(largest, squares)
        squares = largest
    roots = torch._foreach_add(torch._foreach_sqrt(squares), epsilon)
    add_ratio_(group.variables, means, roots, -alpha)


@builtin("keras.optimizers.Adam", "keras.src.backend.torch.optimizers.torch_adam.Adam")
class Adam(Optimizer):
    """Steps of about the learning rate in size, along the mean gradient over its typical size.

    At update t: `m = m + (1 - beta_1) * (g - m)`, `v = v + (1 - beta_2) * (g**2 - v)`, then
    `w = w - alpha * m / (sqrt(v) + epsilon)` with
    `alpha = learning_rate * sqrt(1 - beta_2**t) / (1 - beta_1**t)`.

    Args:
        learning_rate: See `Optimizer`, also for the arguments not listed here.
        beta_1: Weight of the old mean gradient.
        beta_2: Weight of the old mean square.
        epsilon: The paper's "epsilon hat": added after the bias correction, unlike in PyTorch. In
            units of the gradient.
        amsgrad: Divide by the largest `v` so far.
    Source: Kingma & Ba 2014, end of section 2; AMSGrad: Reddi et al. 2018.

    Example:
        >>> w = torch.nn.Parameter(torch.tensor([1.0]))
        >>> Adam(0.1).apply([torch.tensor([2.0])], [w])
        >>> w.data
        tensor([0.9000])
    """

    _config_names: ClassVar = ("beta_1", "beta_2", "epsilon", "amsgrad")
    _slot_names: ClassVar = ("_momentums", "_velocities", "_velocity_hats")

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
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
        self.beta_1 = decay_rate("beta_1", beta_1)
        self.beta_2 = decay_rate("beta_2", beta_2)
        self.epsilon = epsilon
        self.amsgrad = amsgrad
        self._momentums: Slots = []
        self._velocities: Slots = []
        self._velocity_hats: Slots = []

    def build(self, var_list: Sequence[torch.Tensor]) -> None:
        """Make the means and mean squares, and for AMSGrad the largest mean squares."""
        if self.built:
            return
        super().build(var_list)
        kinds = ("momentum", "velocity")
        self._momentums, self._velocities = self.add_optimizer_variables(var_list, kinds)
        if self.amsgrad:
            self._velocity_hats = self.add_optimizer_variables(var_list, "velocity_hat")

    def _decay_and_update(
        self, group: Group, grads: Sequence[torch.Tensor], learning_rate: Number
    ) -> None:
        decay = 0.0
        if self.weight_decay and group.fused and len(group.decayed) == len(group.variables):
            alpha = self._alpha(learning_rate)
            if isinstance(alpha, float) and alpha:
                # The kernel multiplies the decay by the rate it is given, which is alpha.
                decay = self.weight_decay * learning_rate / alpha
        if decay:
            slots, epsilon = group.slots, self.epsilon
            adam_step(group, grads, slots, alpha, self.beta_1, self.beta_2, epsilon, decay)
        else:
            super()._decay_and_update(group, grads, learning_rate)

    def _update_group(
        self, group: Group, grads: Sequence[torch.Tensor], learning_rate: Number
    ) -> None:
        alpha = self._alpha(learning_rate)
        adam_step(group, grads, group.slots, alpha, self.beta_1, self.beta_2, self.epsilon)

    def _alpha(self, learning_rate: Number) -> Number:
        return adam_rate(learning_rate, self.beta_1, self.beta_2, self._updates() + 1)


@builtin("keras.optimizers.AdamW", "keras.src.backend.torch.optimizers.torch_adamw.AdamW")
class AdamW(Adam):
    """Adam that by default also shrinks the weights: by `weight_decay * learning_rate` a step.

    Args:
        learning_rate: See `Adam`, also for the arguments not listed here.
        weight_decay: A float; not `None`.

    Raises:
        ValueError: `weight_decay` is `None`.
    Source: Loshchilov & Hutter 2019.

    Example:
        >>> w = torch.nn.Parameter(torch.tensor([1.0]))
        >>> AdamW(0.1, weight_decay=0.5).apply([torch.tensor([0.0])], [w])
        >>> w.data
        tensor([0.9500])
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
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
        if weight_decay is None:
            raise ValueError(
                "Argument `weight_decay` must be a float. Received: weight_decay=None. Use Adam to"
                " decay nothing."
            )
        super().__init__(
            learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay, clipnorm, clipvalue,
            global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency, loss_scale_factor,
            gradient_accumulation_steps, name, **kwargs,
        )  # fmt: skip
