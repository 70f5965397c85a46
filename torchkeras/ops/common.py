"""What every op shares: conversion to tensors, dtype promotion, and axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..config import floatx
from ..dtypes import as_tensor as make_tensor
from ..dtypes import result_type, standardize_dtype, to_torch
from ..graph.context import CONTEXT
from ..graph.infer import known_shape
from ..tree import map_structure

__all__ = [
    "NUMPY",
    "Axes",
    "DType",
    "Shape",
    "as_floating",
    "as_tensor",
    "as_tensors",
    "canonical_axes",
    "canonical_axis",
    "check_known",
    "exact",
    "floating_dtype",
    "joint_dtype",
    "operands",
    "promote",
]

NUMPY = "keras.src.ops.numpy."  # where Keras's operation classes of this name are

Axes = int | Sequence[int] | None
# `op` writes settings of these two types into configs as a name and as a tuple.
DType = Any
Shape = int | Sequence[int]


def as_tensor(x: Any, dtype: Any = None, like: Tensor | None = None) -> Tensor:
    """Return `x` as a tensor: plain Python numbers become `int32` or `floatx`.

    `dtypes.as_tensor` does it; this adds what a graph needs: while shapes are inferred, tensors
    from elsewhere become stand-ins without data.

    Args:
        x: A tensor, array, number, or nested list of those.
        dtype: The result is cast to it.
        like: A tensor on whose device new ones are made.
    """
    if isinstance(x, Tensor):
        if CONTEXT.meta:
            x = _stand_in(x)
        if dtype is None or dtype is x.dtype:
            return x
        target = to_torch(dtype)
        return x if x.dtype is target else x.to(target)
    if CONTEXT.meta and isinstance(x, (list, tuple)):
        x = map_structure(_stand_in, x)
    return make_tensor(x, dtype, None if like is None else like.device)


def _stand_in(x: Any) -> Any:
    if isinstance(x, Tensor) and x.device != CONTEXT.device:
        return torch.zeros_like(x, device=CONTEXT.device)
    return x


def as_tensors(*values: Any) -> Sequence[Tensor]:
    """Return all as tensors, on the device of the first that is one."""
    like = None
    others = CONTEXT.meta
    for x in values:
        if not isinstance(x, Tensor):
            others = True
        elif like is None:
            like = x
    return [as_tensor(x, None, like) for x in values] if others else values


def operands(x1: Any, x2: Any) -> tuple[Any, Any]:
    """Return two operands for a torch kernel that promotes dtypes itself.

    A Python number on the right stays one where its kind does not change the dtype, so that no
    tensor is made of it; everything else becomes a tensor.
    """
    if isinstance(x1, Tensor):
        if CONTEXT.meta:
            x1 = _stand_in(x1)
        if isinstance(x2, Tensor):
            return (x1, _stand_in(x2)) if CONTEXT.meta else (x1, x2)
        kind = type(x2)
        if kind is int or kind is float or kind is bool:
            if x1.is_floating_point() or (kind is not float and x1.dtype is not torch.bool):
                return x1, x2
        return x1, as_tensor(x2, like=x1)
    if type(x2) in _WEAK and type(x1) not in _WEAK:
        return operands(as_tensor(x1), x2)
    x2 = as_tensor(x2)
    # In `float64` a number keeps all its digits; tensors of rank 0 widen nothing otherwise.
    exact_number = type(x1) is float and x2.dtype is torch.float64
    return as_tensor(x1, torch.float64 if exact_number else None, x2), x2


def promote(x1: Any, x2: Any, dtype: Any = None) -> tuple[Tensor, Tensor]:
    """Return both operands as tensors of the dtype that Keras's rules give for the pair.

    Args:
        x1: An operand; a Python number takes part by its kind only.
        x2: The other one.
        dtype: A further dtype that takes part, such as `float` for a floating result.
    """
    if isinstance(x1, Tensor) and isinstance(x2, Tensor) and x1.dtype is x2.dtype:
        if dtype is None or x1.is_floating_point():
            return as_tensor(x1), as_tensor(x2)
    like = x1 if isinstance(x1, Tensor) else x2 if isinstance(x2, Tensor) else None
    if like is x1 and type(x2) in _WEAK and x1.is_floating_point():
        x1 = as_tensor(x1)
        return x1, torch.full((), x2, dtype=x1.dtype, device=x1.device)
    if type(x1) not in _WEAK:
        x1 = as_tensor(x1, like=like)
    if type(x2) not in _WEAK:
        x2 = as_tensor(x2, like=like)
    kinds = [getattr(x1, "dtype", type(x1)), getattr(x2, "dtype", type(x2))]
    target = joint_dtype(*kinds, *([] if dtype is None else [dtype]))
    return as_tensor(x1, target, like), as_tensor(x2, target, like)


_WEAK = frozenset({bool, int, float})
# Keras's rules give 32 bits for 64; operands that have 64 keep them.
_NARROWED = ((torch.int64, torch.int32), (torch.float64, torch.float32))


def joint_dtype(*kinds: Any) -> torch.dtype:
    """Return the dtype that Keras's rules give for these, but 64 bits where one of them has 64."""
    target = to_torch(result_type(*kinds))
    for wide, narrow in _NARROWED:
        if target is narrow and wide in kinds:
            target = wide
    return target


def exact(x: Any) -> Tensor:
    """Return `x` as a tensor; of booleans, as `int32`, which arithmetic kernels want."""
    x = as_tensor(x)
    return x.to(torch.int32) if x.dtype is torch.bool else x


def as_floating(x: Any) -> Tensor:
    """Return `x` as a tensor of floats (or complex numbers); integers become `floatx`."""
    x = as_tensor(x)
    return x if x.is_floating_point() or x.is_complex() else x.to(to_torch(floating_dtype(x)))


def floating_dtype(x: Tensor) -> str:
    """Return the dtype of a floating result computed from `x`: its own, or `floatx`."""
    name = standardize_dtype(x.dtype)
    return floatx() if name == "int64" else result_type(name, float)


class AxisError(ValueError, IndexError):
    """An axis is outside the rank: the one exception to NumPy and Keras, the other to torch."""


def canonical_axis(axis: int, ndim: int) -> int:
    """Return an axis counted from the front.

    Raises:
        AxisError: It is outside the rank.
    """
    if not -ndim <= axis < ndim:
        raise AxisError(
            f"axis {axis} is out of bounds for a tensor of {ndim} axes; expected"
            f" {-ndim} <= axis < {ndim}."
        )
    return axis % ndim


def canonical_axes(axis: Axes, ndim: int) -> tuple[int, ...]:
    """Return axes counted from the front; `None` means all.

    Raises:
        ValueError: An axis is outside the rank, or given twice.
    """
    if axis is None:
        return tuple(range(ndim))
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    canonical = tuple(canonical_axis(item, ndim) for item in axes)
    if len(set(canonical)) != len(canonical):
        raise ValueError(f"An axis is given twice in {axes}.")
    return canonical


def check_known(x: Tensor, axes: int, noun: str = "dimensions") -> None:
    """Refuse, within inference, a tensor of unknown size along its last axes.

    Args:
        x: The tensor.
        axes: How many.
        noun: What the error calls them.

    Raises:
        ValueError: A size is unknown.
    """
    if CONTEXT.meta and None in known_shape(x)[-axes:]:
        which = "last dimension" if axes == 1 else f"last {axes} {noun}"
        raise ValueError(
            f"Input should have its {which} fully-defined. Received: shape={known_shape(x)}"
        )
