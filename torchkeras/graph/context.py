"""What an enclosing call tells the calls inside it.

Layers read three things from their surroundings: whether the enclosing call trains, to which dtype
weights are cast while a layer of a mixed precision policy runs, and whether only shapes are being
inferred. They live in one thread-local object, since models may run on several threads at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch

from ..variables import CastVariable, Variable

__all__ = ["CONTEXT", "Context"]


class Context(threading.local):
    """State of the calls in progress on this thread.

    Attributes:
        training: The `training` argument of the enclosing call; `None` when none was given.
        autocast: The dtype that floating weights take while they are read, or `None`.
        meta: Shapes are being inferred: nothing may change any state, and weights read as
            attributes of a layer come out as stand-ins on `device`.
        device: Where the stand-ins of shape inference are: `meta`, rarely a real device.
        real_device: The device on which layers built during shape inference put their weights.
        view: What reading a weight as a layer's attribute applies to it, or `None`. Derived from
            `autocast` and `meta`, so that the common case costs one test.
        entered: An outermost call is open; it has cleared the losses of the one before.
        lossy: Weak references to layers that have received losses through `add_loss` since they
            were last cleared.
    """

    training: bool | None = None
    autocast: torch.dtype | None = None
    meta: bool = False
    device: torch.device | None = None
    real_device: torch.device | None = None
    view: Callable[[torch.Tensor, bool], torch.Tensor] | None = None
    entered: bool = False

    def __init__(self) -> None:
        self.lossy: list[Any] = []

    def set_view(self, autocast: torch.dtype | None, meta: bool) -> tuple[torch.dtype | None, bool]:
        """Set how weights are seen, and return the former setting for restoring it."""
        former = (self.autocast, self.meta)
        self.autocast, self.meta = autocast, meta
        self.view = None if autocast is None and not meta else self._see
        return former

    def _see(self, weight: torch.Tensor, plain: bool) -> torch.Tensor:
        """Return what a layer gets for a weight; if not `plain`, with the methods of a variable."""
        dtype = weight.dtype
        if (
            self.autocast is not None
            and weight.is_floating_point()
            and getattr(weight, "autocast", True)
        ):
            dtype = self.autocast
        bare = plain or not isinstance(weight, Variable)
        if self.meta:
            stand_in = torch.zeros_like(weight, dtype=dtype, device=self.device)
            return stand_in if bare else weight.rewrap(stand_in)
        if bare or dtype is weight.dtype or torch.compiler.is_compiling():
            return weight.to(dtype)
        return CastVariable.of(weight, dtype)


CONTEXT = Context()
