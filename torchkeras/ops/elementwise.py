"""Elementwise arithmetic, comparison and logic, with Keras's rules of dtype promotion."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..graph.operation import op
from .common import as_tensor, float_dtype, promote

__all__ = [
    "absolute",
    "add",
    "divide",
    "equal",
    "floor_divide",
    "greater",
    "greater_equal",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "mod",
    "multiply",
    "negative",
    "not_equal",
    "power",
    "subtract",
    "true_divide",
]

_PATH = "keras.src.ops.numpy."


@op(path=_PATH + "Add")
def add(x1: Tensor, x2: Tensor) -> Tensor:
    """`x1 + x2`, broadcast.

    Example:
        >>> add([1, 2], 1).tolist()
        [2, 3]
    """
    x1, x2 = promote(x1, x2)
    return torch.add(x1, x2)


@op(path=_PATH + "Subtract")
def subtract(x1: Tensor, x2: Tensor) -> Tensor:
    """`x1 - x2`, broadcast."""
    x1, x2 = promote(x1, x2)
    return torch.sub(x1, x2)


@op(path=_PATH + "Multiply")
def multiply(x1: Tensor, x2: Tensor) -> Tensor:
    """`x1 * x2`, broadcast."""
    x1, x2 = promote(x1, x2)
    return torch.mul(x1, x2)


@op(path=_PATH + "Divide")
def divide(x1: Tensor, x2: Tensor) -> Tensor:
    """`x1 / x2`, broadcast; the result is floating."""
    x1, x2 = promote(x1, x2, float)
    return torch.div(x1, x2)


@op(path=_PATH + "TrueDivide")
def true_divide(x1: Tensor, x2: Tensor) -> Tensor:
    """`x1 / x2`, broadcast; the result is floating."""
    x1, x2 = promote(x1, x2, float)
    return torch.div(x1, x2)


@op(path=_PATH + "FloorDivide")
def floor_divide(x1: Tensor, x2: Tensor) -> Tensor:
    """The quotient rounded towards minus infinity."""
    x1, x2 = promote(x1, x2)
    return torch.div(x1, x2, rounding_mode="floor")


@op(path=_PATH + "Mod")
def mod(x1: Tensor, x2: Tensor) -> Tensor:
    """The remainder of `floor_divide`; it has the sign of `x2`."""
    x1, x2 = promote(x1, x2)
    if x1.dtype is torch.bool:
        x1, x2 = x1.to(torch.int32), x2.to(torch.int32)
    return torch.remainder(x1, x2)


@op(path=_PATH + "Power")
def power(x1: Tensor, x2: Tensor) -> Tensor:
    """`x1 ** x2`, broadcast."""
    x1, x2 = promote(x1, x2)
    if x1.dtype is torch.bool:
        x1, x2 = x1.to(torch.int32), x2.to(torch.int32)
    return torch.pow(x1, x2)


@op(path=_PATH + "Negative")
def negative(x: Tensor) -> Tensor:
    """`-x`."""
    return torch.neg(as_tensor(x))


@op(path=_PATH + "Absolute")
def absolute(x: Tensor) -> Tensor:
    """The absolute value."""
    x = as_tensor(x)
    return x if x.dtype is torch.bool else torch.abs(x)


def _comparison(name: str, kernel: Any, sign: str) -> Any:
    def compare(x1: Tensor, x2: Tensor) -> Tensor:
        x1, x2 = promote(x1, x2)
        return kernel(x1, x2)

    compare.__name__ = compare.__qualname__ = name
    compare.__doc__ = f"`x1 {sign} x2`, broadcast; the result is boolean."
    class_name = "".join(part.title() for part in name.split("_"))
    return op(path=_PATH + class_name)(compare)


equal = _comparison("equal", torch.eq, "==")
not_equal = _comparison("not_equal", torch.ne, "!=")
greater = _comparison("greater", torch.gt, ">")
greater_equal = _comparison("greater_equal", torch.ge, ">=")
less = _comparison("less", torch.lt, "<")
less_equal = _comparison("less_equal", torch.le, "<=")


@op(path=_PATH + "LogicalAnd")
def logical_and(x1: Tensor, x2: Tensor) -> Tensor:
    """Whether both are true (not zero)."""
    return torch.logical_and(as_tensor(x1), as_tensor(x2))


@op(path=_PATH + "LogicalOr")
def logical_or(x1: Tensor, x2: Tensor) -> Tensor:
    """Whether one of them is true (not zero)."""
    return torch.logical_or(as_tensor(x1), as_tensor(x2))


@op(path=_PATH + "LogicalXor")
def logical_xor(x1: Tensor, x2: Tensor) -> Tensor:
    """Whether exactly one of them is true (not zero)."""
    return torch.logical_xor(as_tensor(x1), as_tensor(x2))


@op(path=_PATH + "LogicalNot")
def logical_not(x: Tensor) -> Tensor:
    """Whether it is false (zero)."""
    return torch.logical_not(as_tensor(x))


def _unary(name: str, kernel: Any, doc: str, path: str = _PATH) -> Any:
    """Make the op of a function whose result is floating."""

    def compute(x: Tensor) -> Tensor:
        x = as_tensor(x)
        return kernel(x if x.is_floating_point() or x.is_complex() else as_tensor(x, float_dtype(x)))

    compute.__name__ = compute.__qualname__ = name
    compute.__doc__ = doc
    return op(path=path + "".join(part.title() for part in name.split("_")))(compute)


exp = _unary("exp", torch.exp, "The exponential.")
log = _unary("log", torch.log, "The natural logarithm.")
sqrt = _unary("sqrt", torch.sqrt, "The square root.")
tanh = _unary("tanh", torch.tanh, "The hyperbolic tangent.")
