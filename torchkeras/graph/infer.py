"""Shape inference: run the real function on tensors without data.

The function runs on `meta` tensors, twice if a size is unknown, with a different stand-in for
unknown sizes each time: a size of the result that differs between the runs is unknown too. There
are thus no shape rules beside the code that computes. What cannot run on `meta` (an operation
without such a kernel, or Python that looks at values) is tried once more on small tensors of zeros.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch

from ..config import default_device
from ..dtypes import standardize_dtype, to_torch
from ..tree import flatten, map_structure
from .context import CONTEXT
from .keras_tensor import KerasTensor

__all__ = ["infer_spec", "known_shape", "real_mode", "without_stand_ins"]

# Primes, so that no product or sum of a layer's own sizes is likely to look like an unknown size.
_STAND_INS = (83, 89)


class _Inference:
    """Within it, tensors are made on `device` and weights are seen as stand-ins there."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def __enter__(self) -> None:
        self._former_devices = (CONTEXT.device, CONTEXT.real_device)
        if not CONTEXT.meta:
            CONTEXT.real_device = default_device()
        CONTEXT.device = self.device
        self._former_view = CONTEXT.set_view(CONTEXT.autocast, True)
        self._device_scope = torch.device(self.device)
        self._device_scope.__enter__()
        self._no_grad = torch.no_grad()
        self._no_grad.__enter__()

    def __exit__(self, *exception: Any) -> None:
        self._no_grad.__exit__(*exception)
        self._device_scope.__exit__(*exception)
        CONTEXT.set_view(*self._former_view)
        CONTEXT.device, CONTEXT.real_device = self._former_devices


class real_mode:  # noqa: N801 - a context manager, used like a function
    """Within it, nothing is inferred: layers that are built here get real weights."""

    def __enter__(self) -> None:
        self._former_view = None
        if CONTEXT.meta:
            self._former_view = CONTEXT.set_view(None, False)
            self._device_scope = torch.device(CONTEXT.real_device)
            self._device_scope.__enter__()

    def __exit__(self, *exception: Any) -> None:
        if self._former_view is not None:
            self._device_scope.__exit__(*exception)
            CONTEXT.set_view(*self._former_view)


def known_shape(x: Any) -> tuple[int | None, ...]:
    """Return the shape of a tensor, with `None` where it is a stand-in of shape inference."""
    if CONTEXT.meta and isinstance(x, torch.Tensor):
        return tuple(None if size in _STAND_INS else size for size in x.shape)
    return tuple(x.shape)


def without_stand_ins(message: str) -> str:
    """Write None for the stand-ins of unknown sizes in an error of torch's."""
    return re.sub(rf"\b({'|'.join(map(str, _STAND_INS))})\b", "None", message)


def infer_spec(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return what `function(*args, **kwargs)` gives, with a `KerasTensor` for each tensor.

    Args:
        function: Computes with torch.
        args: Positional arguments, `KerasTensor`s among them.
        kwargs: Keyword arguments, likewise.

    Raises:
        Exception: Whatever the function raises on tensors without data, if it fails on zeros too.
    """
    try:
        return _infer(function, args, kwargs, torch.device("meta"))
    except (NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        try:
            return _infer(function, args, kwargs, default_device())
        except Exception:
            raise error from None


def _infer(function: Callable[..., Any], args: Any, kwargs: Any, device: torch.device) -> Any:
    symbolic = [t for t in flatten((args, kwargs)) if isinstance(t, KerasTensor)]
    unknown = any(None in tensor.shape for tensor in symbolic)
    with _Inference(device):
        runs = []
        for stand_in in _STAND_INS[: 2 if unknown else 1]:
            made: dict[int, torch.Tensor] = {}

            def concrete(x: Any, size: int = stand_in, made: dict[int, Any] = made) -> Any:
                return _materialize(x, size, device, made) if isinstance(x, KerasTensor) else x

            concrete_args, concrete_kwargs = map_structure(concrete, (args, kwargs))
            runs.append(function(*concrete_args, **concrete_kwargs))
    return map_structure(_merge, *runs)


def _materialize(
    x: KerasTensor, stand_in: int, device: torch.device, made: dict[int, torch.Tensor]
) -> torch.Tensor:
    """Make the tensor without data that stands for `x`, the same one each time."""
    if id(x) not in made:
        shape = [stand_in if size is None else size for size in x.shape]
        dtype = torch.int32 if x.dtype == "string" else to_torch(x.dtype)
        tensor = torch.zeros(shape, dtype=dtype, device=device)
        if x._keras_mask is not None:
            tensor._keras_mask = _materialize(x._keras_mask, stand_in, device, made)
        made[id(x)] = tensor
    return made[id(x)]


def _merge(first: Any, second: Any = None) -> Any:
    """Turn the results of the runs into a `KerasTensor`; other values stay as they are."""
    if not isinstance(first, torch.Tensor):
        return first
    shape = tuple(first.shape)
    if isinstance(second, torch.Tensor):
        if second.dim() != first.dim():
            raise ValueError(
                "The rank of the result depends on a size that is not known yet:"
                f" {tuple(first.shape)} against {tuple(second.shape)}."
            )
        shape = tuple(a if a == b else None for a, b in zip(first.shape, second.shape, strict=True))
    spec = KerasTensor(shape, standardize_dtype(first.dtype))
    mask = getattr(first, "_keras_mask", None)
    if mask is not None:
        spec._keras_mask = _merge(mask, getattr(second, "_keras_mask", None))
    return spec
