"""`LoweredModel`: how a model with a generated `forward` is called."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.compiler import is_compiling, is_dynamo_compiling

from ..graph.context import ADDING, CONTEXT
from ..graph.keras_tensor import KerasTensor, any_symbolic
from ..graph.masks import get_keras_mask
from ..layers.call_plan import is_hooked
from ..naming import to_snake_case
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

    _keras_memory = "outputs"

    inputs: Sequence[KerasTensor]
    # Dtype, rank and sizes of the input, but for the batch's, where there is one.
    _fast_entry: tuple[torch.dtype | None, int, Sequence[int | None]] | None

    def __dir__(self) -> list[str]:
        """Attributes, but not the layers with numbered names, which differ in an equal model."""
        numbered = {
            key
            for key, layer in self._modules.items()
            if re.fullmatch(rf"{to_snake_case(type(layer).__name__)}(_\d+)?", key)
        }
        return [name for name in super().__dir__() if name not in numbered]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and "forward" in self.__dict__ and not CONTEXT.meta:
            x = args[0]
            entry = self._fast_entry
            if not kwargs and entry is not None and isinstance(x, Tensor):
                dtype, rank, sizes = entry
                if (
                    x.dtype is dtype
                    and x.dim() == rank
                    and (x.shape[1:] == sizes or fits(x.shape[1:], sizes))
                    and getattr(x, "_keras_mask", None) is None
                ):
                    # `_enter_graph`, one call cheaper.
                    if CONTEXT.entered or is_dynamo_compiling() or is_hooked(self):
                        return self._enter_graph(args, None)
                    CONTEXT.entered = True
                    if ADDING.layers and self._silent_at != ADDING.version:
                        self._clear_losses()
                    try:
                        return self.forward(x)
                    finally:
                        CONTEXT.entered = False
            if kwargs.keys() <= {"training"} and not any_symbolic(x):
                flat = self._standardize(x)
                if all(get_keras_mask(part) is None for part in flat):
                    return self._enter_graph(flat, kwargs.get("training"))
        return self._full_call(args, kwargs)

    def _standardize(self, inputs: Any) -> tuple[Any, ...]:
        """Bring inputs into the flat order, the dtypes and the ranks of the model's."""
        raise NotImplementedError

    def _enter_graph(self, flat: tuple[Any, ...], training: bool | None) -> Any:
        """Run the generated function, as an outermost call or inside another."""
        entered = CONTEXT.entered
        if training is None and (entered or is_compiling()):
            return _module_call(self, *flat)
        if not entered:
            CONTEXT.entered = True
            if ADDING.layers and self._silent_at != ADDING.version:
                self._clear_losses()
        call = self._wrapped_call_impl if is_hooked(self) else self.forward
        if training is None:
            try:
                return call(*flat)
            finally:
                CONTEXT.entered = entered
        outer_training, CONTEXT.training = CONTEXT.training, training
        try:
            return call(*flat)
        finally:
            CONTEXT.training, CONTEXT.entered = outer_training, entered

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

    def _run_call(self, plan: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        forward = self.__dict__.pop("forward", None)  # the class's `forward` is `call`
        try:
            return super()._run_call(plan, args, kwargs)
        finally:
            if forward is not None:
                self.__dict__["forward"] = forward


def fits(sizes: Sequence[int], expected: Sequence[int | None]) -> bool:
    """Whether as many sizes agree with the expected ones, of which some may be open."""
    for size, wanted in zip(sizes, expected, strict=True):
        if wanted is not None and size != wanted:
            return False
    return True


def _unnumbered(key: str) -> str:
    """Leave the numbers of automatic names out of a key of a state dict."""
    return re.sub(r"_\d+(?=\.)", "", key)


# Attributes that models get only after their layers; a layer of such a name would be hidden.
_LATER = frozenset({"fx_graph", "lowered", "optimizer"})


def hold(model: Model, layer: torch.nn.Module) -> str:
    """Register a layer in a model under its name, or near to it where that is taken.

    Returns:
        The attribute it has now, which generated code spells out. Since names come from files too,
        it has nothing in it that could end a string there.
    """
    name = unicodedata.normalize("NFKC", layer.name)  # as Python does with names in code
    key = name
    if not name.isidentifier():
        key = "".join(c if c.isprintable() and c not in '."\\' else "_" for c in name)
    key = f"layer{key}" if key.startswith("_") else key
    while (
        keyword.iskeyword(key)
        or key in _LATER
        or key in vars(model)
        or hasattr(type(model), key)
        or model._modules.get(key, layer) is not layer
    ):
        key += "_"
    model._modules[key] = layer
    ADDING.version += 1
    return key
