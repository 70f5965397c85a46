"""Loss scaling: gradients too small for float16 are computed from a loss multiplied beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ..initializers import Constant, Zeros
from ..naming import explain, name_scope
from ..registry import builtin, deserialize_keras_object, serialize_keras_object
from ..variables import Variable
from .optimizer import Optimizer
from .plan import Group
from .state import attributes_untracked

__all__ = ["LossScaleOptimizer"]

# Older files carry the base class's arguments, at these values.
_BASE_DEFAULTS = {
    "clipnorm": None,
    "clipvalue": None,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "global_clipnorm": None,
    "gradient_accumulation_steps": None,
    "loss_scale_factor": None,
    "use_ema": False,
    "weight_decay": None,
}


@builtin("keras.optimizers.LossScaleOptimizer", "keras.mixed_precision.LossScaleOptimizer")
class LossScaleOptimizer(Optimizer):
    """Wraps an optimizer and multiplies the loss by a factor that adapts to the gradients.

    A step whose gradients overflow is skipped, and the factor halved. After `dynamic_growth_steps`
    finite steps in a row it is doubled. On a CPU the decision is an `if`. Elsewhere, where asking
    would mean to wait for the device, both outcomes are computed and `torch.where` picks one. Asked
    it is for a user's update rule, which may do anything, and for gradient accumulation, where
    computing an update at each call would cost more than waiting.

    Args:
        inner_optimizer: The optimizer that updates the variables.
        initial_scale: The factor to begin with; better too high than too low.
        dynamic_growth_steps: Finite steps between two doublings.
        name: Name of the wrapper.

    Raises:
        ValueError: An argument that belongs to the inner optimizer, or an unknown one.
    Source: Micikevicius et al. 2018, section 3.2.

    Example:
        >>> from torchkeras.optimizers.sgd import SGD
        >>> w = Variable([1.0])
        >>> optimizer = LossScaleOptimizer(SGD(0.5), initial_scale=4.0)
        >>> optimizer.apply([torch.tensor([4.0])], [w])  # the gradient of a loss times 4
        >>> w.tolist()
        [0.5]
    """

    def __init__(
        self,
        inner_optimizer: Optimizer,
        initial_scale: float = 2.0**15,
        dynamic_growth_steps: int = 2000,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if not kwargs.pop("dynamic", True):
            raise ValueError(
                "LossScaleOptimizer no longer supports `dynamic=False`. Instead, set"
                " `loss_scale_factor` on the `inner_optimizer`."
            )
        for argument, default in _BASE_DEFAULTS.items():
            value = kwargs.pop(argument, default)
            if value != default:
                raise ValueError(
                    f"LossScaleOptimizer does not support `{argument}`. Set `{argument}` on the"
                    " `inner_optimizer`."
                )
        if kwargs:
            raise ValueError(
                f"LossScaleOptimizer does not support arguments: `{'`, `'.join(kwargs)}`."
            )
        if not isinstance(inner_optimizer, Optimizer):
            raise TypeError(
                "LossScaleOptimizer: `inner_optimizer` must be an optimizer. Received:"
                f" {inner_optimizer!r}"
            )
        super().__init__(learning_rate=0.0, name=name)
        self.inner_optimizer = inner_optimizer
        self.initial_scale = initial_scale
        self.dynamic_growth_steps = dynamic_growth_steps
        # Its own scale would be applied on top of this one.
        inner_optimizer.loss_scale_factor = None

    def build(self, var_list: Sequence[torch.Tensor]) -> None:
        """Make the factor and its counter beside the variables; build the inner optimizer."""
        if self.built:
            return
        with torch.device(var_list[0].device) if var_list else torch.device("cpu"):
            self.step_counter = self.add_variable((), Zeros(), dtype="int32", name="step_counter")
            self.dynamic_scale = self.add_variable(
                (), Constant(self.initial_scale), dtype="float32", name="dynamic_scale"
            )
        # What optimizers keep beside their slots is not part of Keras's files with a loss scale.
        with attributes_untracked():
            self.inner_optimizer.build(var_list)
        super().build(var_list)

    def apply(
        self,
        grads: Sequence[Any],
        trainable_variables: Sequence[torch.Tensor] | None = None,
    ) -> None:
        """Unscale the gradients and let the inner optimizer apply them if they are all finite."""
        if not len(grads):
            return
        if not self.built:
            if trainable_variables is None:
                raise ValueError(
                    explain(
                        f"Optimizer '{self.name}' must be built before `apply(grads)` is called"
                        " without variables.",
                        fix="call `optimizer.build(trainable_variables)` first.",
                    )
                )
            trainable_variables = list(trainable_variables)
            with name_scope(self.name, caller=self):
                self.build(trainable_variables)
        with torch.no_grad():
            scale = self._scale_beside(grads)
            finite = self.check_finite(grads).to(scale.device)
            inner = self.inner_optimizer
            if self._asks_the_device(finite):
                if bool(finite):
                    inner.apply(self._unscale(grads, trainable_variables), trainable_variables)
            else:
                grads = self._unscale(grads, trainable_variables)
                inner.apply_where(finite, grads, trainable_variables)
            self._adapt(finite)

    def _asks_the_device(self, finite: torch.Tensor) -> bool:
        return finite.device.type == "cpu" or not self.inner_optimizer.can_apply_where()

    def _scale_beside(self, grads: Sequence[Any]) -> Variable:
        """Return the factor, moved with its counter to where the gradients are."""
        device = next((g.device for g in grads if isinstance(g, torch.Tensor)), None)
        if device is not None and device != self.dynamic_scale.device:
            self.dynamic_scale.data = self.dynamic_scale.data.to(device)
            self.step_counter.data = self.step_counter.data.to(device)
        return self.dynamic_scale

    def _unscale(self, grads: Sequence[Any], variables: Sequence[torch.Tensor] | None) -> list[Any]:
        variables = self._trainable_variables if variables is None else variables
        scale = self.dynamic_scale.detach()
        return [
            g if g is None or self._overwrite_variable_with_gradient(v) else g / scale.to(g.device)
            for g, v in zip(grads, variables, strict=True)
        ]

    def _adapt(self, finite: torch.Tensor) -> None:
        scale, count = self.dynamic_scale, self.step_counter
        grow = finite & (count == self.dynamic_growth_steps - 1)
        scale.copy_(torch.where(finite, torch.where(grow, scale * 2.0, scale), scale * 0.5))
        count.copy_(torch.where(finite & ~grow, count + 1, 0))

    def check_finite(self, grads: Sequence[Any]) -> torch.Tensor:
        """Return whether no gradient has an infinite or undefined element; a 0-d bool tensor."""
        present = [g for g in grads if g is not None]
        if not present:
            return torch.tensor(True)
        norms = torch._foreach_norm(present, float("inf"))
        return torch.stack([norm.to(norms[0]) for norm in norms]).isfinite().all()

    def scale_loss(self, loss: Any) -> Any:
        """Multiply the loss by the present factor."""
        return loss * (self.dynamic_scale.detach() if self.built else self.initial_scale)

    def _update_group(
        self, group: Group, grads: Sequence[torch.Tensor], learning_rate: float | torch.Tensor
    ) -> None:
        self.inner_optimizer._update_group(group, grads, learning_rate)

    # What it passes on ---------------------------------------------------------------------------

    @property
    def variables(self) -> list[Variable]:
        """The factor's state, then the inner optimizer's."""
        return [*self._variables, *self.inner_optimizer.variables]

    @property
    def learning_rate(self) -> Any:
        """The inner optimizer's learning rate."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        self.inner_optimizer.learning_rate = learning_rate

    @property
    def iterations(self) -> torch.Tensor:
        """The inner optimizer's count: skipped steps do not count."""
        return self.inner_optimizer.iterations

    def finalize_variable_values(self, var_list: Sequence[torch.Tensor]) -> None:
        """As the inner optimizer does."""
        self.inner_optimizer.finalize_variable_values(var_list)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "name": self.name,
            "inner_optimizer": serialize_keras_object(self.inner_optimizer),
            "initial_scale": self.initial_scale,
            "dynamic_growth_steps": self.dynamic_growth_steps,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> LossScaleOptimizer:
        """Make a wrapper from what `get_config` returned."""
        config = dict(config)
        inner = deserialize_keras_object(
            config.pop("inner_optimizer"), custom_objects=custom_objects
        )
        return cls(inner, **config)
