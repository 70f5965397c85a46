"""How TensorFlow's functions are made from those of `keras.ops`: families of one signature each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from .tensors import matched, tensor_or_symbol

__all__ = ["activation", "binary", "is_whole", "named", "reduction", "unary"]

t = tensor_or_symbol


def unary(op: Callable[..., Any]) -> Callable[..., Any]:
    """`f(x)` of one tensor."""

    def apply(x: Any, name: str | None = None) -> Any:
        return op(t(x))

    return _like(op, apply)


def activation(op: Callable[..., Any]) -> Callable[..., Any]:
    """`f(features)` of one tensor, as in `tf.nn`."""

    def apply(features: Any, name: str | None = None) -> Any:
        return op(t(features))

    return _like(op, apply)


def binary(op: Callable[..., Any]) -> Callable[..., Any]:
    """`f(x, y)`: numbers and arrays take the dtype of the tensor beside them."""

    def apply(x: Any, y: Any, name: str | None = None) -> Any:
        return op(*matched(x, y))

    return _like(op, apply)


def reduction(op: Callable[..., Any], keeps_integers: bool = False) -> Callable[..., Any]:
    """`f(input_tensor, axis, keepdims)`, over all axes by default.

    Args:
        op: Of `keras.ops`.
        keeps_integers: Whether the result of integers is an integer too, cut off.
    """

    def reduce(
        input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None
    ) -> Any:
        x = t(input_tensor)
        axis = axis.tolist() if isinstance(axis, torch.Tensor) else axis
        result = op(x, axis=axis, keepdims=bool(keepdims))
        if (
            isinstance(x, torch.Tensor)
            and result.dtype != x.dtype
            and (keeps_integers or op.__name__ in ("sum", "prod"))
        ):
            return result.to(x.dtype)
        return result

    return _like(op, reduce)


def is_whole(x: Any) -> bool:
    """Whether a tensor holds integers."""
    return isinstance(x, torch.Tensor) and not (x.is_floating_point() or x.is_complex())


def _like(op: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    function.__doc__ = f"As `keras.ops.{getattr(op, '__name__', '')}`."
    return function


def named(table: dict[str, Any]) -> dict[str, Any]:
    """Give the functions of a table the names under which they stand there."""
    for name, value in table.items():
        if callable(value) and getattr(value, "__name__", "") in ("<lambda>", "apply", "reduce"):
            value.__name__ = value.__qualname__ = name
    return table
