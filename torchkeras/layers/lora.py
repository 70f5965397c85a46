"""Low-rank adaptation: fine-tune a frozen weight by the product of two small ones.

Letters: r rank. The weight `W` is read as `W + (alpha / r) * A @ B`, with `A` of shape
`(*W.shape[:-1], r)` and `B` of shape `(r, W.shape[-1])`. `B` starts at zero, so that nothing
changes until training. Files hold the sum in place of `W` and no adapters, as Keras's do.
Source: Hu et al. 2021; Keras 3 (semantics).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..dtypes import to_torch
from ..graph.context import CONTEXT
from ..initializers import get as get_initializer
from ..naming import explain
from ..variables import Variable
from .building import keep_settings
from .layer import Layer
from .state import WeightProperty, assign, assign_from

__all__ = ["LoRA", "adapted_weight", "own_weight", "plain_weight"]


def adapted_weight(name: str) -> property:
    """Make the property that reads the weight `name` of a `LoRA` layer, adapters included."""

    def read(self: LoRA) -> Tensor:
        weight = self._parameters.get(name)
        if weight is None:
            weight = self._absent_weight(name)
        view = CONTEXT.view
        if view is not None:
            weight = view(weight, self._static_masks)
        return self._adapted(weight) if self.lora_enabled else weight

    def write(self: LoRA, value: Tensor) -> None:
        self.__dict__[name] = value

    def delete(self: LoRA) -> None:
        self.__dict__.pop(name, None)

    # PyTorch's pruning and old weight norm put a tensor that they compute in the parameter's place.
    doc = f"The weight `{name}`, with its low-rank adapters if it has any."
    return WeightProperty(read, write, delete, doc)


def plain_weight(name: str) -> property:
    """Make the property that reads the weight `name` of a `LoRA` layer without adapters."""
    return property(lambda self: own_weight(self, name), doc=f"`{name}` without adapters.")


def own_weight(layer: LoRA, name: str) -> Tensor:
    """Return the parameter `name`, or `_name` as the `build` of a class written for Keras has it.

    Raises:
        AttributeError: There is none yet.
    """
    for key in (name, f"_{name}"):
        if layer._parameters.get(key) is not None:
            return layer._parameters[key]
        if key in layer.__dict__:
            return layer.__dict__[key]
    raise AttributeError(
        f"You must build the layer before accessing `{name}`. Layer '{layer.name}' has no such"
        " weight yet."
    )


def _freeze(weight: Tensor) -> None:
    if isinstance(weight, Variable):
        weight.trainable = False
    else:
        weight.requires_grad_(False)


class LoRA(Layer):
    """Base of layers whose main weight can be adapted by two small matrices.

    A subclass names that weight in `_lora_target`, defines the attributes `weight` by
    `adapted_weight` and `_weight` by `plain_weight`, calls `_init_lora` in its constructor and
    `_start_lora` at the end of `build`.
    """

    _lora_target = "kernel"
    lora_enabled = False

    def _init_lora(self, rank: int | None, alpha: float | None) -> None:
        alpha = rank if alpha is None else alpha
        keep_settings(self, lora_rank=rank, lora_alpha=alpha, lora_enabled=False)

    def _start_lora(self) -> None:
        """Make the adapters that the constructor asked for, once the weight is there."""
        if self.lora_rank:
            self.built = True
            self.enable_lora(self.lora_rank, self.lora_alpha)

    def enable_lora(
        self,
        rank: int,
        lora_alpha: float | None = None,
        a_initializer: Any = "he_uniform",
        b_initializer: Any = "zeros",
    ) -> None:
        """Freeze the main weight and train low-rank adapters of it instead.

        Args:
            rank: Inner size r of the adapters.
            lora_alpha: The product is scaled by `lora_alpha / rank`. Default: `rank`.
            a_initializer, b_initializer: First values of the adapters.

        Raises:
            ValueError: The weight has a constraint, is not built, or has adapters already.
        """
        target = self._lora_target
        if getattr(self, f"{target}_constraint"):
            raise self._lora_error(
                f"Lora is incompatible with {target.removesuffix('s')} constraints",
                f"make the layer without `{target}_constraint`.",
            )
        if not self.built:
            raise self._lora_error(
                "Cannot enable lora on a layer that isn't yet built",
                "call the layer once, or its `build(input_shape)`, before.",
            )
        if self.lora_enabled:
            raise self._lora_error(
                "lora is already enabled. This can only be done once per layer",
                "make a new layer for another rank.",
            )
        *outer, inner = self._target_shape()
        # In float32 whatever the weight is, so that small updates are not rounded away.
        options = {"dtype": "float32", "regularizer": getattr(self, f"{target}_regularizer")}
        for side, shape, initializer in (
            ("a", (*outer, rank), a_initializer),
            ("b", (rank, inner), b_initializer),
        ):
            name = f"lora_{target}_{side}"
            with self._unlocked():
                adapter = self.add_weight(
                    shape=shape, initializer=get_initializer(initializer), name=name, **options
                )
                setattr(self, name, adapter)
        _freeze(own_weight(self, target))
        self.lora_rank = rank
        self.lora_alpha = rank if lora_alpha is None else lora_alpha
        self.lora_enabled = True

    @property
    def trainable(self) -> bool:
        """Whether training changes the weights; of an adapted one, only the adapters."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        Layer.trainable.fset(self, value)
        if self.lora_enabled:
            _freeze(own_weight(self, self._lora_target))

    def _absent_weight(self, name: str) -> Tensor:
        """Return the main weight where no parameter has its name."""
        return own_weight(self, name)

    def _target_shape(self) -> tuple[int, ...]:
        """Return the shape of the main weight."""
        return tuple(own_weight(self, self._lora_target).shape)

    def _lora_error(self, what: str, fix: str) -> ValueError:
        return ValueError(explain(f"{type(self).__name__} '{self.name}': {what}.", fix))

    def _adapters(self) -> tuple[Tensor, Tensor]:
        target = self._lora_target
        return getattr(self, f"lora_{target}_a"), getattr(self, f"lora_{target}_b")

    def _unadapted(self) -> Tensor:
        """Return the main weight as `call` sees it, without adapters."""
        weight, view = own_weight(self, self._lora_target), CONTEXT.view
        return weight if view is None else view(weight, self._static_masks)

    def _adapted(self, weight: Tensor) -> Tensor:
        """Return the sum of `weight` and the product of its adapters, in the compute dtype."""
        a, b = self._adapters()
        scale = self.lora_alpha / self.lora_rank
        return torch.add(weight, a @ b, alpha=scale).to(to_torch(self.compute_dtype))

    # Files: the sum in place of the weight, and no adapters ---------------------------------------

    def _filed_variables(self) -> list[Any]:
        adapters = {id(adapter) for adapter in self._adapters()}
        weights = [*self._trainable_variables, *self._non_trainable_variables]
        return [weight for weight in weights if id(weight) not in adapters]

    def save_own_variables(self, store: Any) -> None:
        """Put the weights into a dict-like store, the adapters added to theirs."""
        if not self.lora_enabled:
            super().save_own_variables(store)
            return
        base = own_weight(self, self._lora_target)
        for i, weight in enumerate(self._filed_variables()):
            store[str(i)] = self._merged(weight) if weight is base else weight

    def _merged(self, weight: Tensor) -> Tensor:
        with torch.no_grad():
            return self._adapted(weight).to(weight.dtype)

    def load_own_variables(self, store: Any) -> None:
        """Take the weights from a store; adapters, if there are any, start at zero."""
        if not self.lora_enabled:
            super().load_own_variables(store)
            return
        assign_from(store, self._filed_variables())
        self._reset_adapters()

    def _reset_adapters(self) -> None:
        for adapter in self._adapters() if self.lora_enabled else ():
            assign(adapter, torch.zeros_like(adapter))
