"""Conversions that every op shares: to tensors, to a common dtype, and of axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import config, dtypes
from ..graph.context import CONTEXT

__all__ = ["as_tensor", "canonical_axes", "float_dtype", "promote"]


def as_tensor(x: Any, dtype: Any = None) -> Tensor:
    """Return `x` as a tensor: plain Python numbers become `int32` or `floatx`.

    Args:
        x: A tensor, array, number, or nested list of those.
        dtype: A dtype name; the result is cast to it.
    """
    target = None if dtype is None else dtypes.to_torch(dtype)
    if isinstance(x, Tensor):
        if CONTEXT.meta and x.device != CONTEXT.device:
            x = torch.zeros_like(x, device=CONTEXT.device)
        return x if target is None or x.dtype is target else x.to(target)
    if target is None:
        target = _natural_dtype(x)
    if isinstance(x, (list, tuple)) and any(isinstance(item, Tensor) for item in x):
        x = torch.stack([as_tensor(item) for item in x])
        return x.to(target) if dtype is not None else x
    return torch.as_tensor(np.asarray(x), device=config.default_device()).to(target)


def _natural_dtype(x: Any) -> torch.dtype:
    if hasattr(x, "dtype"):
        return dtypes.to_torch(dtypes.standardize_dtype(x.dtype))
    kind = np.asarray(x).dtype.kind if not isinstance(x, (list, tuple)) else _list_kind(x)
    return {"b": torch.bool, "i": torch.int32, "u": torch.int32, "c": torch.complex64}.get(
        kind, dtypes.to_torch(config.floatx())
    )


def _list_kind(x: Sequence[Any]) -> str:
    if any(isinstance(item, Tensor) for item in x):
        return "f"
    return np.asarray(x).dtype.kind


def promote(x1: Any, x2: Any, dtype: str | None = None) -> tuple[Tensor, Tensor]:
    """Return both operands as tensors of the dtype that Keras's rules give for the pair.

    Args:
        x1: An operand; a Python number takes part by its kind only.
        x2: The other one.
        dtype: A further dtype that takes part, such as `float` for a true division.
    """
    if dtype is None and isinstance(x1, Tensor) and isinstance(x2, Tensor) and x1.dtype is x2.dtype:
        return as_tensor(x1), as_tensor(x2)
    kinds = [_promotion_dtype(x1), _promotion_dtype(x2)]
    result = dtypes.result_type(*kinds, *([dtype] if dtype else []))
    return as_tensor(x1, result), as_tensor(x2, result)


def _promotion_dtype(x: Any) -> Any:
    if type(x) in (bool, int, float):
        return type(x)
    if hasattr(x, "dtype"):
        return dtypes.standardize_dtype(x.dtype)
    return dtypes.standardize_dtype(_natural_dtype(x))


def float_dtype(x: Tensor) -> str:
    """Return the dtype of a floating result computed from `x`: its own, or `floatx` for integers."""
    name = dtypes.standardize_dtype(x.dtype)
    return config.floatx() if name == "int64" else dtypes.result_type(name, float)


def canonical_axes(axis: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """Return axes as non-negative numbers; `None` means all.

    Raises:
        ValueError: An axis is outside the rank, or given twice.
    """
    if axis is None:
        return tuple(range(ndim))
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    for item in axes:
        if not -ndim <= item < max(ndim, 1):
            raise ValueError(f"axis {item} is out of bounds for a tensor of {ndim} axes.")
    canonical = tuple(item % ndim if ndim else 0 for item in axes)
    if len(set(canonical)) != len(canonical):
        raise ValueError(f"An axis is given twice in {axes}.")
    return canonical
