"""What an enclosing call tells the calls inside it.

Layers read three things from their surroundings: whether the enclosing call trains, to which dtype
weights are cast while a layer of a mixed precision policy runs (`READING.autocast`), and whether
only shapes are being inferred. They live in thread-local objects, since models may run on several
threads at once.
"""

from __future__ import annotations

import threading
import types
from collections.abc import Callable, Mapping
from typing import Any

import torch

from ..dtypes import is_float, standardize_dtype, to_torch
from ..variables import READING, CastVariable, Variable

__all__ = ["ADDING", "CONTEXT", "Adding", "AutocastScope", "Context", "get_autocast_scope"]


class Context(threading.local):
    """State of the calls in progress on this thread.

    Attributes:
        training: The `training` argument of the enclosing call; `None` when none was given.
        arguments: Other arguments that layers hand on to those inside, by name; see
            `Layer._register_call_context_args`.
        meta: Shapes are being inferred: nothing may change any state, and weights read as
            attributes of a layer come out as stand-ins on `device`.
        device: Where the stand-ins of shape inference are: `meta`, rarely a real device.
        real_device: The device on which layers built during shape inference put their weights.
        view: What reading a weight as a layer's attribute applies to it, or `None`. Derived from
            `READING.autocast` and `meta`, so that the common case costs one test.
        plain: The layer that is running only computes with weights: it is one of the library's. A
            user's may call the methods of a variable, also on the weights of a layer inside.
        entered: An outermost call is open; it has cleared the losses of the one before.
        idle: The batch is another process's: what is computed here must not count in statistics
            that processes take together; see `distribution`.
        share: In a step of one of several processes: its part of the batch's rows.
    """

    training: bool | None = None
    arguments: Mapping[str, Any] = types.MappingProxyType({})
    meta: bool = False
    device: torch.device | None = None
    real_device: torch.device | None = None
    view: Callable[[torch.Tensor, bool], torch.Tensor] | None = None
    plain: bool = False
    entered: bool = False
    idle: bool = False
    share: float | None = None

    def set_view(
        self, autocast: torch.dtype | None, meta: bool, plain: bool | None = None
    ) -> tuple[torch.dtype | None, bool, bool]:
        """Set how weights are seen, and return the former setting for restoring it."""
        former = (READING.autocast, self.meta, self.plain)
        READING.autocast, self.meta = autocast, meta
        if plain is not None:
            self.plain = plain
        self.view = None if autocast is None and not meta else self._see
        return former

    def _see(self, weight: torch.Tensor, plain: bool) -> torch.Tensor:
        """Return what a layer gets for a weight.

        It has the methods of a variable, unless both the layer that has the weight (`plain`) and
        the one that is running are the library's.
        """
        dtype, autocast = weight.dtype, READING.autocast
        if (
            autocast is not None
            and weight.is_floating_point()
            and getattr(weight, "autocast", True)
        ):
            dtype = autocast
        bare = (plain and self.plain) or not isinstance(weight, Variable)
        if self.meta:
            stand_in = torch.zeros_like(weight, dtype=dtype, device=self.device)
            return stand_in if bare else weight.stand_in(stand_in)
        if bare or dtype is weight.dtype or torch.compiler.is_compiling():
            return weight.to(dtype)
        return CastVariable.of(weight, dtype)


CONTEXT = Context()


class Adding:
    """What layers of this process add losses, as far as models have to know.

    A model that has found none inside notes the `version` of that moment, and looks again only when
    it has changed; so layers of one model that add losses do not slow down another.

    Attributes:
        layers: How many layers have ever added a loss.
        version: Grows when a layer adds its first one, and when a layer gets into another.
    """

    layers = 0
    version = 0


ADDING = Adding()


class AutocastScope:
    """Within it, floating variables are seen in another dtype, as in a mixed precision layer.

    Args:
        dtype: A floating dtype; `None` shows variables as they are.

    Raises:
        ValueError: Another kind of dtype.

    Example:
        >>> v = Variable([1.5])
        >>> with AutocastScope("float16"):
        ...     v.value.dtype
        torch.float16
    """

    def __init__(self, dtype: Any) -> None:
        if dtype is not None and not is_float(dtype):
            raise ValueError(
                "`AutocastScope` can only be used with a floating-point target dtype, such as"
                f" 'float16'. Received: dtype={dtype}"
            )
        self.dtype = None if dtype is None else standardize_dtype(dtype)

    def maybe_cast(self, value: torch.Tensor) -> torch.Tensor:
        """Cast a floating tensor; return any other as it is."""
        if self.dtype is None or not is_float(value.dtype):
            return value
        return value.to(to_torch(self.dtype))

    def __enter__(self) -> AutocastScope:
        dtype = None if self.dtype is None else to_torch(self.dtype)
        self._former = CONTEXT.set_view(dtype, CONTEXT.meta)
        return self

    def __exit__(self, *exception: Any) -> None:
        CONTEXT.set_view(*self._former)


def get_autocast_scope() -> AutocastScope | None:
    """Return a scope with the dtype in which variables are seen now, or `None`."""
    return None if READING.autocast is None else AutocastScope(READING.autocast)
