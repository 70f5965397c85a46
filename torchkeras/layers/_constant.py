"""`Constant`: a tensor that a layer computes with but does not own as a weight."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["Constant"]


class Constant:
    """A tensor with its copies on other devices and in other dtypes, each made once.

    A copy from the host makes it wait for the device, so a layer must not make one per call.

    Args:
        value: The tensor, or anything that `torch.as_tensor` takes.

    Example:
        >>> Constant([1, 2]).on(torch.device("cpu"), torch.float32).tolist()
        [1.0, 2.0]
    """

    def __init__(self, value: Any) -> None:
        with torch.inference_mode(False):
            if not isinstance(value, Tensor):
                value = torch.as_tensor(value, device="cpu")
            self.value = value.detach()
        self._copies: dict[Any, Tensor] = {}

    def on(self, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
        """Return the tensor on a device, in its own dtype or another."""
        if device == self.value.device and dtype in (None, self.value.dtype):
            return self.value
        copy = self._copies.get((device, dtype))
        if copy is None:
            with torch.inference_mode(False):
                copy = self.value.to(device, dtype)
            if type(copy) is Tensor:  # not that of a tracer
                self._copies[device, dtype] = copy
        return copy

    def like(self, x: Tensor) -> Tensor:
        """Return the tensor on the device and in the dtype of `x`."""
        return self.on(x.device, x.dtype)

    def __deepcopy__(self, memo: dict[int, Any]) -> Constant:
        return Constant(self.value)  # nothing ever writes into it

    def __getstate__(self) -> dict[str, Any]:
        return {"value": self.value, "_copies": {}}
