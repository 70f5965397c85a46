"""Relatives of Adam: `Adamax`, `Nadam`, `Lamb` and `ScheduleFreeAdamW`.

Letters: `g` gradient, `m` mean gradient, `v` mean square, `t` number of the update, from 1. `m` and
`v` follow Adam: `m = m + (1 - beta_1) * (g - m)`, `v = v + (1 - beta_2) * (g**2 - v)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch

from ..config import floatx
from ..registry import builtin
from ..variables import Variable
from .optimizer import LearningRate, Optimizer
from .plan import Group, Plan
from .rules import Number, add_ratio_, average_, average_squares_, decay_rate, smaller
from .schedules import as_number
from .state import Slots

__all__ = ["Adamax", "Lamb", "Nadam", "ScheduleFreeAdamW"]


@builtin("keras.optimizers.Adamax", "keras.src.backend.torch.optimizers.torch_adamax.Adamax")
class Adamax(Optimizer):
    """Adam that divides by the largest recent gradient in place of the root mean square.

    `u = max(beta_2 * u, abs(g))`, then
    `w = w - learning_rate / (1 - beta_1**t) * m / (u + epsilon)`.

    Args:
        learning_rate: See `Optimizer`, also for the arguments not listed here.
        beta_1: Weight of the old mean gradient.
        beta_2: How much of the largest gradient is left after a step.
        epsilon: Added to the largest gradient.
    Source: Kingma & Ba 2014, section 7.1.

    Example:
        >>> w = torch.nn.Parameter(torch.tensor([1.0]))
        >>> Adamax(0.1).apply([torch.tensor([2.0])], [w])
        >>> w.data
        tensor([0.9000])
    """

    _config_names: ClassVar = ("beta_1", "beta_2", "epsilon")
    _slot_names: ClassVar = ("_m", "_u")

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
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
        self.beta_1 = decay_rate("beta_1", beta_1)
        self.beta_2 = decay_rate("beta_2", beta_2)
        self.epsilon = epsilon
        self._m: Slots = []
        self._u: Slots = []

    def build(self, var_list: Sequence[torch.Tensor]) -> None:
        """Make the mean gradients and the largest gradients."""
        if self.built:
            return
        super().build(var_list)
        self._m, self._u = self.add_optimizer_variables(var_list, ("momentum", "norm"))

    def _update_group(
        self, group: Group, grads: Sequence[torch.Tensor], learning_rate: Number
    ) -> None:
        means, largest = group.slots
        torch._foreach_lerp_(means, grads, 1 - self.beta_1)
        torch._foreach_mul_(largest, self.beta_2)
        torch._foreach_maximum_(largest, torch._foreach_abs(grads))
        rate = learning_rate / (1 - self.beta_1 ** (self._updates() + 1))
        add_ratio_(group.variables, means, torch._foreach_add(largest, self.epsilon), -rate)


@builtin("keras.optimizers.Nadam", "keras.src.backend.torch.optimizers.torch_nadam.Nadam")
class Nadam(Optimizer):
    """Adam with Nesterov's momentum, the weight of which grows towards `beta_1` during training.

    With `u(t) = beta_1 * (1 - 0.96**t / 2)` and `p` the product of `u(1), …, u(t)`:
    `n = u(t + 1) * m / (1 - p * u(t + 1)) + (1 - u(t)) * g / (1 - p)`, then
    `w = w - learning_rate * n / (sqrt(v / (1 - beta_2**t)) + epsilon)`.

    Args:
        learning_rate: See `Optimizer`, also for the arguments not listed here.
        beta_1: Weight of the old mean gradient.
        beta_2: Weight of the old mean square.
        epsilon: Added to the root, in units of the gradient.
    Source: Dozat 2016; schedule of the momentum: Sutskever et al. 2013.

    Example:
        >>> w = torch.nn.Parameter(torch.tensor([1.0]))
        >>> Nadam(0.1).apply([torch.tensor([2.0])], [w])
        >>> w.data
        tensor([0.8937])
    """

    _config_names: ClassVar = ("beta_1", "beta_2", "epsilon")
    _slot_names: ClassVar = ("_momentums", "_velocities")

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
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
        self.beta_1 = decay_rate("beta_1", beta_1)
        self.beta_2 = decay_rate("beta_2", beta_2)
        self.epsilon = epsilon
        self._momentums: Slots = []
        self._velocities: Slots = []

    def build(self, var_list: Sequence[torch.Tensor]) -> None:
        """Make the means, the mean squares and the product of all momenta so far."""
        if self.built:
            return
        super().build(var_list)
        kinds = ("momentum", "velocity")
        self._momentums, self._velocities = self.add_optimizer_variables(var_list, kinds)
        first = var_list[0] if var_list else None
        # Beside the variables: only their device knows which steps a loss scale skipped.
        self._u_product = Variable(
            1.0,
            dtype=floatx() if first is None else first.dtype,
            trainable=False,
            device=None if first is None else first.device,
        )

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Read the state; what a file with a loss scale lacks follows from the step count."""
        super().load_own_variables(store)
        if any(variable is self._u_product for variable in self._hidden_variables):
            self._u_product.assign(self.momentum_product(int(self.iterations)))

    def momentum_product(self, steps: int) -> torch.Tensor:
        """The product of the momenta of so many steps, for states that do not hold it."""
        product, t = torch.ones((), dtype=self._u_product.dtype), 0
        while t < steps and product > 0:
            t += 1
            product *= self._momentum_at(t)
        return product

    def _follow(self, indices: list[int]) -> None:
        super()._follow(indices)
        self._u_product.data = self._u_product.data.to(self._trainable_variables[0].device)

    def _update(self, plan: Plan, grads: Sequence[torch.Tensor]) -> None:
        self._u_product.mul_(self._momentum_at(self._updates() + 1))
        super()._update(plan, grads)

    def _momentum_at(self, t: Number) -> Number:
        return self.beta_1 * (1.0 - 0.5 * 0.96**t)

    def _update_group(
        self, group: Group, grads: Sequence[torch.Tensor], learning_rate: Number
    ) -> None:
        means, squares = group.slots
        torch._foreach_lerp_(means, grads, 1 - self.beta_1)
        average_squares_(squares, grads, self.beta_2)
        t = self._updates() + 1
        now, following = self._momentum_at(t), self._momentum_at(t + 1)
        product = as_number(self._u_product.to(grads[0].device))
        of_means = following / (1 - product * following) * learning_rate
        of_grads = (1 - now) / (1 - product) * learning_rate
        steps = torch._foreach_mul(means, of_means)
        torch._foreach_add_(steps, torch._foreach_mul(grads, of_grads))
        roots = torch._foreach_div(squares, 1 - self.beta_2**t)
        torch._foreach_sqrt_(roots)
        torch._foreach_add_(roots, self.epsilon)
        torch._foreach_addcdiv_(group.variables, steps, roots, value=-1.0)


@builtin("keras.optimizers.Lamb")
class Lamb(Optimizer):
    """Adam whose step for each variable is as long as the variable times the learning rate.

    `s = m / (1 - beta_1**t) / (sqrt(v / (1 - beta_2**t)) + epsilon)`, then
    `w = w - learning_rate * norm(w) / norm(s) * s`; without the norms where one of them is zero.
    Made for very large batches.

    Args:
        learning_rate: See `Optimizer`, also for the arguments not listed here.
        beta_1: Weight of the old mean gradient.
        beta_2: Weight of the old mean square.
        epsilon: Added to the root, in units of the gradient.
    Source: You et al. 2020, algorithm 2; weight decay is the base class's, outside the norms.

    Example:
        >>> w = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
        >>> Lamb(0.1).apply([torch.tensor([2.0, 0.0])], [w])
        >>> w.data
        tensor([2.5000, 4.0000])
    """

    _config_names: ClassVar = ("beta_1", "beta_2", "epsilon")
    _slot_names: ClassVar = ("_momentums", "_velocities")

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
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
        self.beta_1 = decay_rate("beta_1", beta_1)
        self.beta_2 = decay_rate("beta_2", beta_2)
        self.epsilon = epsilon
        self._momentums: Slots = []
        self._velocities: Slots = []

    def build(self, var_list: Sequence[torch.Tensor]) -> None:
        """Make the means and mean squares."""
        if self.built:
            return
        super().build(var_list)
        kinds = ("momentum", "velocity")
        self._momentums, self._velocities = self.add_optimizer_variables(var_list, kinds)

    def _update_group(
        self, group: Group, grads: Sequence[torch.Tensor], learning_rate: Number
    ) -> None:
        means, squares = group.slots
        torch._foreach_lerp_(means, grads, 1 - self.beta_1)
        average_squares_(squares, grads, self.beta_2)
        t = self._updates() + 1
        roots = torch._foreach_div(squares, 1 - self.beta_2**t)
        torch._foreach_sqrt_(roots)
        torch._foreach_add_(roots, self.epsilon)
        steps = torch._foreach_div(means, 1 - self.beta_1**t)
        torch._foreach_div_(steps, roots)
        of_weights = torch.stack(torch._foreach_norm(group.variables))
        of_steps = torch.stack(torch._foreach_norm(steps))
        usable = (of_weights > 0) & (of_steps > 0)
        rates = torch.where(usable, of_weights / of_steps, 1.0) * learning_rate
        torch._foreach_mul_(steps, rates.unbind())
        torch._foreach_sub_(group.variables, steps)


@builtin("keras.optimizers.ScheduleFreeAdamW")
class ScheduleFreeAdamW(Optimizer):
    """Adam without a schedule: train the average of the weights that the steps lead to.

    Steps move `z`, which starts as the weights:
    `z = z - learning_rate * g / (sqrt(v / (1 - beta_2**t)) + epsilon)`; the weights, at which
    gradients are taken, are the average of all `z`: `w = w + (z - w) / t`.

    In the paper, gradients are taken between `z` and the average, at the fraction `beta_1`. Keras
    on PyTorch and on TensorFlow reads the old `z` only when it is overwritten by the new one, with
    which `beta_1` cancels out; numbers here are those of Keras on PyTorch.

    Args:
        learning_rate: See `Optimizer`, also for the arguments not listed here.
        beta_1: Not 0. Without effect, see above.
        beta_2: Weight of the old mean square.
        epsilon: Added to the root, in units of the gradient.
        warmup_steps: Number of updates during which the learning rate grows linearly to its value.
    Source: Defazio et al. 2024, algorithm 1, with the difference above.

    Example:
        >>> w = torch.nn.Parameter(torch.tensor([1.0]))
        >>> optimizer = ScheduleFreeAdamW(0.1)
        >>> for _ in range(2):
        ...     optimizer.apply([torch.tensor([2.0])], [w])
        >>> w.data
        tensor([0.8500])
    """

    _config_names: ClassVar = ("beta_1", "beta_2", "epsilon", "warmup_steps")
    _slot_names: ClassVar = ("_momentums", "_velocities")

    def __init__(
        self,
        learning_rate: LearningRate = 0.0025,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        warmup_steps: int = 0,
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
        self.warmup_steps = warmup_steps
        self._momentums: Slots = []
        self._velocities: Slots = []

    def build(self, var_list: Sequence[torch.Tensor]) -> None:
        """Make the points that steps move, which start as the variables, and the mean squares."""
        if self.built:
            return
        super().build(var_list)
        kinds = ("momentum", "velocity")
        self._momentums, self._velocities = self.add_optimizer_variables(var_list, kinds)
        for point, variable in zip(self._momentums, var_list, strict=True):
            if point is not None:
                point.assign(variable)

    def _update_group(
        self, group: Group, grads: Sequence[torch.Tensor], learning_rate: Number
    ) -> None:
        points, squares = group.slots
        t = self._updates() + 1
        if self.warmup_steps > 0:
            learning_rate = learning_rate * smaller(t / self.warmup_steps, 1.0)
        average_squares_(squares, grads, self.beta_2)
        roots = torch._foreach_div(squares, 1 - self.beta_2**t)
        torch._foreach_sqrt_(roots)
        torch._foreach_add_(roots, self.epsilon)
        add_ratio_(points, grads, roots, -learning_rate)
        average_(group.variables, points, 1 / t)
