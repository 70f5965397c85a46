"""What the fast path of a layer's call reads: a `CallPlan`, made once where a call succeeds.

A layer keeps its plan until something that the plan depends on changes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.modules import module as _hooks

from ..dtypes import to_torch
from ..graph.masks import get_keras_mask
from ..tree import map_structure
from .call_spec import place_masks
from .input_spec import InputSpec

__all__ = ["CallPlan", "autocast_of", "cast_arguments", "is_hooked", "only_spec"]

Tensor = torch.Tensor


class CallPlan:
    """What the fast path needs to know of a built layer.

    Attributes:
        signature: That of `call`.
        takes_training: Whether `call` is to be given `training`.
        accepts_training: Whether it may be.
        most: How many positional arguments come before `training`, which is handed on by name.
        silent: What `training` is where nobody says anything, in inference mode.
        creates_mask: Whether outputs may have a mask where the inputs have none.
        cast: The dtype that floating inputs are cast to, or `None` where inputs stay as they are.
        autocast: The dtype that weights are cast to while `call` reads them, or `None`.
        checks: Whether there is anything to check of the first input.
        ndim, min_ndim, axis, size: Its input spec; `None` where free.
    """

    __slots__ = (
        "accepts_training",
        "autocast",
        "axis",
        "cast",
        "checks",
        "creates_mask",
        "min_ndim",
        "most",
        "ndim",
        "signature",
        "silent",
        "size",
        "takes_training",
    )

    def __init__(self, layer: Any) -> None:
        self.signature = signature = layer._call_signature
        self.takes_training = signature.takes_training
        self.most = signature.before_training
        self.accepts_training = "training" in signature.names or signature.takes_any
        self.silent = signature.silent
        self.creates_mask = layer.creates_mask
        self.cast = layer._input_torch_dtype if layer._convert_input_args else None
        self.autocast = autocast_of(layer)
        self.ndim = self.min_ndim = self.axis = self.size = None
        spec = only_spec(layer.input_spec)
        if isinstance(spec, InputSpec):
            self.ndim, self.min_ndim = spec.ndim, spec.min_ndim
            for axis, size in spec.axes.items():
                if size is not None:
                    self.axis, self.size = axis, size
        self.checks = (self.ndim, self.min_ndim, self.axis) != (None, None, None)

    def fits(self, x: Tensor) -> bool:
        """Whether the first input is as the input spec says."""
        return (
            (self.ndim is None or x.dim() == self.ndim)
            and (self.min_ndim is None or x.dim() >= self.min_ndim)
            and (self.axis is None or x.shape[self.axis] == self.size)
        )

    def covers(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], *, masked: bool = False
    ) -> bool:
        """Whether a call needs nothing but this plan: no conversion, no error message.

        Args:
            masked: Whether there may be masks, which `place_masks` will put where they belong.
        """
        if len(args) > self.most:
            return False
        if masked and (not args or self.signature.takes_several):
            return False
        if self.checks and not (args and isinstance(args[0], Tensor) and self.fits(args[0])):
            return False
        if kwargs and not self._accepts(kwargs, masked):
            return False
        cast = self.cast
        for arg in args:
            # The usual case, tensors and lists of them, without a function call for each.
            for x in arg if type(arg) in (list, tuple) else (arg,):
                if not isinstance(x, Tensor):
                    # Numbers by position the full call refuses.
                    nested = type(x) in (list, tuple) and self._is_plain(x, masked)
                    if x is not None and not nested:
                        return False
                elif (cast is not None and x.dtype is not cast and x.is_floating_point()) or (
                    not masked and getattr(x, "_keras_mask", None) is not None
                ):
                    return False
        return True

    def _accepts(self, kwargs: dict[str, Any], masked: bool) -> bool:
        signature = self.signature
        for key, x in kwargs.items():
            if key == "training":
                if x is not None and type(x) is not bool:
                    return False
            elif key not in signature.names and not signature.takes_any:
                return False
            elif (key == "mask" and x is not None and not masked) or not self._is_plain(x, masked):
                return False
        return True

    def _is_plain(self, x: Any, masked: bool) -> bool:
        if isinstance(x, Tensor):
            fitting = self.cast is None or x.dtype is self.cast or not x.is_floating_point()
            return fitting and (masked or getattr(x, "_keras_mask", None) is None)
        if type(x) in (list, tuple):
            return all(self._is_plain(item, masked) for item in x)
        return x is None or type(x) in (bool, int, float, str)

    def place_masks(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[dict[str, Any], Any]:
        """Add the masks of the inputs to `kwargs`; return all arguments, and the first one's mask.

        As the call that is not on the fast path, for what `covers` has let pass.
        """
        arguments = {**dict(zip(self.signature.names, args, strict=False)), **kwargs}
        tensors = {name: x for name, x in arguments.items() if _holds_tensors(x)}
        place_masks(self.signature, arguments, tensors, kwargs)
        previous = kwargs.get("mask")
        return arguments, map_structure(get_keras_mask, args[0]) if previous is None else previous


def autocast_of(layer: Any) -> torch.dtype | None:
    """Return the dtype that weights are cast to while `call` reads them, or `None`."""
    dtype = layer.compute_dtype
    return to_torch(dtype) if dtype != layer.variable_dtype and layer.autocast else None


def is_hooked(module: torch.nn.Module) -> Any:
    """Whether `Module.__call__` does more than to call `forward`."""
    state = module.__dict__
    return (
        state["_forward_hooks"]
        or state["_forward_pre_hooks"]
        or state["_backward_hooks"]
        or state["_backward_pre_hooks"]
        or _hooks._global_forward_hooks
        or _hooks._global_forward_pre_hooks
        or _hooks._global_backward_hooks
        or _hooks._global_backward_pre_hooks
        or module._compiled_call_impl is not None
        or torch._C._get_tracing_state()
    )


def _holds_tensors(x: Any) -> bool:
    if isinstance(x, (list, tuple)):
        return any(map(_holds_tensors, x))
    return isinstance(x, Tensor)


def only_spec(spec: Any) -> Any:
    """Return the input spec of a layer's one input, which may stand in a list."""
    return spec[0] if isinstance(spec, (list, tuple)) and len(spec) == 1 else spec


def cast_arguments(x: Any, dtype: torch.dtype) -> Any:
    """Return floating tensors, also those in lists and tuples, in another dtype."""
    if isinstance(x, Tensor):
        return x.to(dtype) if x.dtype is not dtype and x.is_floating_point() else x
    if isinstance(x, (list, tuple)):
        return type(x)(cast_arguments(item, dtype) for item in x)
    return x
