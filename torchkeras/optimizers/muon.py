"""Muon."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, ClassVar

import torch

from ..naming import explain
from ..registry import builtin
from .adam import adam_rate, adam_step
from .optimizer import LearningRate, Optimizer
from .plan import Group
from .rules import Number, add_scaled_, decay_rate
from .state import Slots

__all__ = ["Muon"]

# The kind of the variables that Adam updates; that of the others is their shape.
_ADAM = "adam"


@builtin("keras.optimizers.Muon")
class Muon(Optimizer):
    """Momentum for matrices, each step made nearly orthogonal; AdamW for all other variables.

    `m = momentum * m + g`, and with Nesterov's form `s = g + momentum * m`, else `s = m`. From `s`
    over its norm, Newton and Schulz's iteration
    `x = muon_a * x + (muon_b * x @ x.T + muon_c * (x @ x.T) @ (x @ x.T)) @ x` makes a matrix `o`
    with all singular values near 1, and
    `w = w - learning_rate * rms_rate * sqrt(max(w.shape)) * o`.

    AdamW takes what is not a matrix, embeddings, and the variables whose path matches one of
    `exclude_layers`; name the output layer there. Matrices of one shape are updated in one batch.

    Args:
        learning_rate: See `Optimizer`, also for the arguments not listed here.
        adam_beta_1: Weight of the old mean gradient for AdamW.
        adam_beta_2: Weight of the old mean square for AdamW.
        adam_weight_decay: Weight decay of AdamW's variables; `None` for none.
        epsilon: Added to the root of the mean square by AdamW.
        weight_decay: Weight decay of Muon's own variables; `None` for none.
        exclude_layers: Regular expressions.
        exclude_embeddings: Leave variables with "embedding" in their path to AdamW.
        muon_a: Factor of `x` in the iteration.
        muon_b: Factor of `x @ x.T @ x`.
        muon_c: Factor of the fifth power.
        adam_lr_ratio: AdamW's learning rate over Muon's.
        momentum: Weight of the old momentum.
        ns_steps: Number of iterations.
        nesterov: Take Nesterov's form.
        rms_rate: Size of a step, as its root mean square over the learning rate; `None` for `o`
            as it is. 0.2 is about that of AdamW.
    Source: Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon); Liu et al. 2025.

    Example:
        >>> w = torch.nn.Parameter(torch.eye(2))
        >>> Muon(0.1, weight_decay=None, rms_rate=None).apply([torch.eye(2)], [w])
        >>> w.data.round(decimals=2)
        tensor([[0.8900, 0.0000],
                [0.0000, 0.8900]])
    """

    _config_names: ClassVar = (
        "adam_beta_1",
        "adam_beta_2",
        "epsilon",
        "exclude_layers",
        "muon_a",
        "muon_b",
        "muon_c",
        "adam_lr_ratio",
        "momentum",
        "ns_steps",
        "nesterov",
        "exclude_embeddings",
        "adam_weight_decay",
        "rms_rate",
    )
    _list_names: ClassVar = ("exclude_layers",)
    _slot_names: ClassVar = ("momentums", "adam_velocities")

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        adam_beta_1: float = 0.9,
        adam_beta_2: float = 0.999,
        adam_weight_decay: float | None = 0.004,
        epsilon: float = 1e-7,
        weight_decay: float | None = 0.004,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        exclude_layers: Iterable[str] | None = None,
        exclude_embeddings: bool = True,
        muon_a: float = 3.4445,
        muon_b: float = -4.7750,
        muon_c: float = 2.0315,
        adam_lr_ratio: float = 1,
        momentum: float = 0.95,
        ns_steps: int = 5,
        nesterov: bool = True,
        rms_rate: float | None = 0.2,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema,
            ema_momentum, ema_overwrite_frequency, loss_scale_factor,
            gradient_accumulation_steps, name, **kwargs,
        )  # fmt: skip
        self.momentum = momentum
        self.nesterov = nesterov
        self.ns_steps = ns_steps
        self.muon_a, self.muon_b, self.muon_c = muon_a, muon_b, muon_c
        self.rms_rate = rms_rate
        self.exclude_embeddings = exclude_embeddings
        self.exclude_layers = exclude_layers or []
        self.adam_lr_ratio = adam_lr_ratio
        self.adam_weight_decay = adam_weight_decay
        self.adam_beta_1 = decay_rate("adam_beta_1", adam_beta_1)
        self.adam_beta_2 = decay_rate("adam_beta_2", adam_beta_2)
        self.epsilon = epsilon
        self.momentums: Slots = []
        self.adam_velocities: Slots = []

    def build(self, var_list: Sequence[torch.Tensor]) -> None:
        """Make the momenta, and the mean squares of the variables that Adam updates."""
        if self.built:
            return
        super().build(var_list)
        for variable in var_list:
            momentum = velocity = None
            if not self._overwrite_variable_with_gradient(variable):
                momentum = self.add_variable_from_reference(variable, "momentum")
                if self._should_use_adamw(variable):
                    velocity = self.add_variable_from_reference(variable, "velocity")
            self.momentums.append(momentum)
            self.adam_velocities.append(velocity)

    def _should_use_adamw(self, variable: torch.Tensor) -> bool:
        path = getattr(variable, "path", "")
        return (
            variable.ndim != 2
            or (self.exclude_embeddings and "embedding" in path.lower())
            or any(re.search(pattern, path) for pattern in self.exclude_layers)
        )

    def _kind_of(self, variable: torch.Tensor) -> Hashable:
        return _ADAM if self._should_use_adamw(variable) else tuple(variable.shape)

    def _decay(self, variables: list[torch.Tensor], learning_rate: Number, kind: Hashable) -> None:
        decay = self.adam_weight_decay if kind == _ADAM else self.weight_decay
        if decay is not None:
            torch._foreach_mul_(variables, 1 - decay * learning_rate)

    def _update_group(
        self, group: Group, grads: Sequence[torch.Tensor], learning_rate: Number
    ) -> None:
        momenta, squares = group.slots
        if group.kind == _ADAM:
            betas, rate = (self.adam_beta_1, self.adam_beta_2), learning_rate * self.adam_lr_ratio
            alpha = adam_rate(rate, *betas, self._updates() + 1)
            adam_step(group, grads, (momenta, squares, []), alpha, *betas, self.epsilon)
            return
        torch._foreach_mul_(momenta, self.momentum)
        torch._foreach_add_(momenta, grads)
        updates = momenta
        if self.nesterov:
            updates = torch._foreach_add(grads, momenta, alpha=self.momentum)
        steps = self.zeropower_via_newtonschulz5(torch.stack(updates), self.ns_steps)
        rate = learning_rate * self._size(group.kind)
        add_scaled_(group.variables, steps.unbind(), -rate)

    def _size(self, shape: Sequence[int]) -> float:
        return 1.0 if self.rms_rate is None else math.sqrt(max(shape[0], shape[1])) * self.rms_rate

    def lr_adjust(self, x: torch.Tensor) -> torch.Tensor:
        """Scale a step for a matrix to the root mean square `rms_rate`.

        Args:
            x: The step, `(rows, columns)`, with singular values of about 1.
        """
        return x * self._size(x.shape)

    def transpose_last_axis(self, X: torch.Tensor) -> torch.Tensor:  # noqa: N803 - Keras's name
        """Exchange the last two axes."""
        return X.mT

    def zeropower_via_newtonschulz5(self, x: torch.Tensor, steps: int) -> torch.Tensor:
        """Replace the singular values of matrices by numbers near 1.

        Args:
            x: `(..., rows, columns)`.
            steps: Number of iterations.

        Raises:
            ValueError: `x` has less than two axes.

        Example:
            >>> x = torch.tensor([[0.0, 3.0], [1.0, 0.0]])
            >>> Muon().zeropower_via_newtonschulz5(x, 5).abs().round(decimals=1)
            tensor([[0.0000, 0.8000],
                    [1.1000, 0.0000]])
        """
        if x.ndim < 2:
            raise ValueError(
                explain(
                    "Muon: expected a gradient or momentum to have at least 2 dimensions.",
                    shape=tuple(x.shape),
                )
            )
        rows, columns = x.shape[-2:]
        batch = x.reshape(-1, rows, columns)
        if rows > columns:
            batch = batch.mT
        batch = batch / (torch.linalg.vector_norm(batch, dim=(-2, -1), keepdim=True) + 1e-7)
        for _ in range(steps):
            gram = batch @ batch.mT
            powers = torch.baddbmm(gram, gram, gram, beta=self.muon_b, alpha=self.muon_c)
            batch = torch.baddbmm(batch, powers, batch, beta=self.muon_a)
        return (batch.mT if rows > columns else batch).reshape(x.shape)
