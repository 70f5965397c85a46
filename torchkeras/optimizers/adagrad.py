"""Rules with a step size per element that grows smaller with the squares of past gradients.

`Adagrad` sums them, `Adadelta` averages them, `Ftrl` sums them and keeps a regularized optimum of
all past gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch

from ..initializers import Constant
from ..registry import builtin
from .clipping import clip_by_value
from .optimizer import LearningRate, Optimizer
from .plan import Group
from .rules import Number, add_ratio_, add_scaled_, average_squares_, decay_rate
from .state import Slots

__all__ = ["Adadelta", "Adagrad", "Ftrl"]


@builtin("keras.optimizers.Adagrad", "keras.src.backend.torch.optimizers.torch_adagrad.Adagrad")
class Adagrad(Optimizer):
    """Divide the gradient by the root of the sum of its squares so far.

    `n = n + g**2`, then `w = w - learning_rate * g / sqrt(n + epsilon)`. Unlike in PyTorch,
    `epsilon` is under the root.

    Args:
        learning_rate: See `Optimizer`, also for the arguments not listed here.
        initial_accumulator_value: What the sum starts from.
        epsilon: Added to the sum, so in squared units of the gradient.
    Source: Duchi et al. 2011.

    Example:
        >>> w = torch.nn.Parameter(torch.tensor([1.0]))
        >>> Adagrad(0.1, initial_accumulator_value=5.0).apply([torch.tensor([2.0])], [w])
        >>> w.data
        tensor([0.9333])
    """

    _config_names: ClassVar = ("initial_accumulator_value", "epsilon")
    _slot_names: ClassVar = ("_accumulators",)
    # Whether epsilon is below the root, or beside it as in `keras2`.
    _epsilon_inside = True

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
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
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon
        self._accumulators: Slots = []

    def build(self, var_list: Sequence[torch.Tensor]) -> None:
        """Make the sums of squares."""
        if self.built:
            return
        super().build(var_list)
        start = Constant(self.initial_accumulator_value)
        self._accumulators = self.add_optimizer_variables(var_list, "accumulator", start)

    def _update_group(
        self, group: Group, grads: Sequence[torch.Tensor], learning_rate: Number
    ) -> None:
        (sums,) = group.slots
        torch._foreach_addcmul_(sums, grads, grads)
        roots = torch._foreach_add(sums, self.epsilon if self._epsilon_inside else 0.0)
        torch._foreach_sqrt_(roots)
        if not self._epsilon_inside:
            torch._foreach_add_(roots, self.epsilon)
        add_ratio_(group.variables, grads, roots, -learning_rate)


@builtin("keras.optimizers.Adadelta", "keras.src.backend.torch.optimizers.torch_adadelta.Adadelta")
class Adadelta(Optimizer):
    """Give steps the units of the variable: scale the gradient by typical step over typical size.

    With averages `n` of `g**2` and `d` of `s**2`, which are `rho` times the old one and `1 - rho`
    times the new value: update `n`, take the step `s = g * sqrt((d + epsilon) / (n + epsilon))`,
    update `d`, and set `w = w - learning_rate * s`.

    Args:
        learning_rate: 1.0 in the paper. See `Optimizer`, also for the arguments not listed here.
        rho: Weight of the old averages.
        epsilon: Added to the averages.
    Source: Zeiler 2012, algorithm 1.

    Example:
        >>> w = torch.nn.Parameter(torch.tensor([1.0]))
        >>> Adadelta(1.0, rho=0.75, epsilon=0.01).apply([torch.tensor([2.0])], [w])
        >>> w.data
        tensor([0.8010])
    """

    _config_names: ClassVar = ("rho", "epsilon")
    _slot_names: ClassVar = ("_accumulated_grads", "_accumulated_delta_vars")

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
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
        self.epsilon = epsilon
        self._accumulated_grads: Slots = []
        self._accumulated_delta_vars: Slots = []

    def build(self, var_list: Sequence[torch.Tensor]) -> None:
        """Make the mean squares of gradients and of steps."""
        if self.built:
            return
        super().build(var_list)
        kinds = ("accumulated_grad", "accumulated_delta_var")
        slots = self.add_optimizer_variables(var_list, kinds)
        self._accumulated_grads, self._accumulated_delta_vars = slots

    def update_step(self, grad: torch.Tensor, variable: torch.Tensor, learning_rate: Any) -> None:
        """Update one variable; its gradient is called `grad` here, as in Keras."""
        super().update_step(grad, variable, learning_rate)

    update_step.by_groups = True

    def _update_group(
        self, group: Group, grads: Sequence[torch.Tensor], learning_rate: Number
    ) -> None:
        of_grads, of_steps = group.slots
        average_squares_(of_grads, grads, self.rho)
        steps = torch._foreach_add(of_steps, self.epsilon)
        torch._foreach_div_(steps, torch._foreach_add(of_grads, self.epsilon))
        torch._foreach_sqrt_(steps)
        torch._foreach_mul_(steps, grads)
        average_squares_(of_steps, steps, self.rho)
        add_scaled_(group.variables, steps, -learning_rate)


@builtin("keras.optimizers.Ftrl")
class Ftrl(Optimizer):
    """Follow the regularized leader: the best weights for all past gradients under L1 and L2.

    With `p = -learning_rate_power`, `h = g + 2 * l2_shrinkage * w` and `c` the clipping to
    `[-l1, l1]`: `z = z + h - ((n + g**2)**p - n**p) / learning_rate * w`, `n = n + g**2`, then
    `w = (c(z) - z) / ((n**p + beta) / learning_rate + 2 * l2)`. L1 sets small weights to exactly 0.

    Args:
        learning_rate: See `Optimizer`, also for the arguments not listed here.
        learning_rate_power: Not positive. Zero means a fixed learning rate.
        initial_accumulator_value: What the sum of squares `n` starts from; not negative.
        l1_regularization_strength: Not negative.
        l2_regularization_strength: Not negative.
        l2_shrinkage_regularization_strength: Strength of an L2 penalty on the loss; not negative.
        beta: The paper's beta.

    Raises:
        ValueError: An argument has the wrong sign.
    Source: McMahan et al. 2013, algorithm 1.

    Example:
        >>> w = torch.nn.Parameter(torch.tensor([1.0, 0.0]))
        >>> optimizer = Ftrl(0.5, initial_accumulator_value=0.0, l1_regularization_strength=1.0)
        >>> optimizer.apply([torch.tensor([2.0, 1.0])], [w])
        >>> w.data
        tensor([0.2500, 0.0000])
    """

    _config_names: ClassVar = (
        "learning_rate_power",
        "initial_accumulator_value",
        "l1_regularization_strength",
        "l2_regularization_strength",
        "l2_shrinkage_regularization_strength",
        "beta",
    )
    _slot_names: ClassVar = ("_accumulators", "_linears")

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
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
        self.learning_rate_power = learning_rate_power
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        self.beta = beta
        self._accumulators: Slots = []
        self._linears: Slots = []
        for argument in self._config_names[:-1]:
            value = getattr(self, argument)
            sign = "negative" if argument == "learning_rate_power" else "positive"
            if value > 0 if sign == "negative" else value < 0:
                raise ValueError(
                    f"`{argument}` needs to be {sign} or zero. Received: {argument}={value}."
                )

    def build(self, var_list: Sequence[torch.Tensor]) -> None:
        """Make the sums of squares and the linear terms."""
        if self.built:
            return
        super().build(var_list)
        start = [Constant(self.initial_accumulator_value), "zeros"]
        slots = self.add_optimizer_variables(var_list, ("accumulator", "linear"), start)
        self._accumulators, self._linears = slots

    def _update_group(
        self, group: Group, grads: Sequence[torch.Tensor], learning_rate: Number
    ) -> None:
        sums, linears = group.slots
        weights, power = group.variables, -self.learning_rate_power
        before = torch._foreach_pow(sums, power)
        torch._foreach_addcmul_(sums, grads, grads)
        after = torch._foreach_pow(sums, power)

        torch._foreach_add_(linears, grads)
        if self.l2_shrinkage_regularization_strength:
            shrinkage = 2 * self.l2_shrinkage_regularization_strength
            torch._foreach_add_(linears, weights, alpha=shrinkage)
        sigmas = torch._foreach_sub(after, before)
        torch._foreach_div_(sigmas, learning_rate)
        torch._foreach_addcmul_(linears, sigmas, weights, value=-1.0)

        targets = clip_by_value(linears, self.l1_regularization_strength)
        torch._foreach_sub_(targets, linears)
        torch._foreach_add_(after, self.beta)
        torch._foreach_div_(after, learning_rate)
        torch._foreach_add_(after, 2 * self.l2_regularization_strength)
        torch._foreach_div_(targets, after)
        torch._foreach_copy_(weights, targets)
