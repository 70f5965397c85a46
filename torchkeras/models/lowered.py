"""`LoweredModel`: how a model with a generated `forward` is called."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ..graph.context import CONTEXT
from ..graph.keras_tensor import KerasTensor, any_symbolic
from ..graph.masks import get_keras_mask
from .model import Model

__all__ = ["LoweredModel", "fits", "hold"]

Tensor = torch.Tensor
_module_call = torch.nn.Module.__call__


class LoweredModel(Model):
    """A model whose instance attribute `forward` is the generated function of its flat inputs.

    A call on tensors that fit goes straight there. Anything else, such as masks that come in with
    the data, takes the full path of `Layer`, which ends in `call`. A model whose class overrides
    `call` has no such attribute, and always takes the full path.
    """

    inputs: Sequence[KerasTensor]
    # Dtype and shape of the input, where there is one.
    _entry: tuple[torch.dtype | None, Sequence[int | None]] | None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and "forward" in self.__dict__ and not CONTEXT.meta:
            x = args[0]
            entry = self._entry
            if not kwargs and isinstance(x, Tensor) and entry is not None:
                dtype, shape = entry
                if (
                    x.dtype is dtype
                    and x.dim() == len(shape)
                    and fits(x.shape, shape)
                    and get_keras_mask(x) is None
                ):
                    return self._enter((x,), None)
            if kwargs.keys() <= {"training"} and not any_symbolic(x):
                flat = self._standardize(x)
                if all(get_keras_mask(part) is None for part in flat):
                    return self._enter(flat, kwargs.get("training"))
        return self._full_call(args, kwargs)

    def _standardize(self, inputs: Any) -> tuple[Any, ...]:
        """Bring inputs into the flat order, the dtypes and the ranks of the model's."""
        raise NotImplementedError

    def _enter(self, flat: tuple[Any, ...], training: bool | None) -> Any:
        """Run the generated function, as an outermost call or inside another."""
        if training is None and (CONTEXT.entered or torch.compiler.is_compiling()):
            return _module_call(self, *flat)
        outer_training, outer_entered = CONTEXT.training, CONTEXT.entered
        if not outer_entered:
            CONTEXT.entered = True
            if CONTEXT.lossy:
                self._clear_losses()
        if training is not None:
            CONTEXT.training = training
        try:
            return _module_call(self, *flat)
        finally:
            CONTEXT.training, CONTEXT.entered = outer_training, outer_entered

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Load weights as any module does, also those of an equal model built before this one.

        Layers without a name of their own are numbered on within a process: `dense`, then `dense_1`
        in a second model. Where nothing but such numbers differs, the order decides.
        """
        own, given = list(self.state_dict()), list(state_dict)
        if set(own) != set(given) and [*map(_unnumbered, own)] == [*map(_unnumbered, given)]:
            state_dict = dict(zip(own, state_dict.values(), strict=True))
        return super().load_state_dict(state_dict, strict, assign)

    def _route_forward(self) -> None:
        """Nothing yet: `forward` is generated later, and then follows the `RematScope`."""

    def _lock_state(self) -> None:
        """Stay open: layers may be attached to the model after its graph is made."""

    def _attach_mask(
        self, inputs: Any, outputs: Any, previous_mask: Any, arguments: dict[str, Any]
    ) -> None:
        """The layers inside have attached what masks there are."""

    def _run(self, plan: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        forward = self.__dict__.pop("forward", None)  # the class's `forward` is `call`
        try:
            return super()._run(plan, args, kwargs)
        finally:
            if forward is not None:
                self.__dict__["forward"] = forward


def fits(shape: Sequence[int], expected: Sequence[int | None]) -> bool:
    """Whether a shape of the same rank agrees with the expected one, apart from the batch axis."""
    if shape[1:] == expected[1:]:
        return True
    for size, wanted in zip(shape[1:], expected[1:], strict=True):
        if wanted is not None and size != wanted:
            return False
    return True


def _unnumbered(key: str) -> str:
    """Leave the numbers of automatic names out of a key of a state dict."""
    return re.sub(r"_\d+(?=\.)", "", key)


def hold(model: Model, layer: torch.nn.Module) -> str:
    """Register a layer in a model under its name, or near to it where that is taken.

    Returns:
        The attribute it has now, which generated code spells out.
    """
    key = layer.name.replace(".", "_")
    while (
        keyword.iskeyword(key)
        or hasattr(type(model), key)
        or model._modules.get(key, layer) is not layer
    ):
        key += "_"
    model._modules[key] = layer
    return key
