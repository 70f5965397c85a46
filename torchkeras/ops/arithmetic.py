"""Elementwise functions of two tensors: arithmetic, comparison, logic, bits.

torch's kernels promote dtypes by rules that agree with Keras's lattice, so most ops only make
tensors of their operands. A Python number takes part by its kind: `int8 + 1` is `int8`, and
`int8 + 1.0` is `floatx`. A tensor of rank 0 does not widen others, as everywhere in torch. Results
of 64 bits stay so, where Keras on torch narrows them in some functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..dtypes import is_integer, result_type, to_torch
from ..graph.context import CONTEXT
from ..graph.operation import elementwise_op, op
from .common import NUMPY, as_tensors, operands, promote

__all__ = [
    "add",
    "allclose",
    "arctan2",
    "bitwise_and",
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "divide",
    "divide_no_nan",
    "equal",
    "floor_divide",
    "fmax",
    "fmin",
    "fmod",
    "gcd",
    "greater",
    "greater_equal",
    "heaviside",
    "hypot",
    "isclose",
    "lcm",
    "ldexp",
    "left_shift",
    "less",
    "less_equal",
    "logaddexp",
    "logaddexp2",
    "logical_and",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "mod",
    "multiply",
    "nextafter",
    "not_equal",
    "power",
    "right_shift",
    "subtract",
    "true_divide",
]


@elementwise_op(path=NUMPY + "Add")
def add(x1: Tensor, x2: Tensor) -> Tensor:
    """`x1 + x2`, broadcast.

    Example:
        >>> add([1, 2], 1).tolist()
        [2, 3]
    """
    x1, x2 = operands(x1, x2)
    return torch.add(x1, x2)


@elementwise_op(path=NUMPY + "Subtract")
def subtract(x1: Tensor, x2: Tensor) -> Tensor:
    """`x1 - x2`, broadcast.

    Example:
        >>> subtract(1, [1, 2]).tolist()
        [0, -1]
    """
    x1, x2 = operands(x1, x2)
    # torch refuses booleans; Keras lets them count as the other dtype.
    if not isinstance(x2, Tensor):
        return torch.sub(x1, int(x2) if type(x2) is bool else x2)
    if x1.dtype is torch.bool:
        x1 = x1.to(x2.dtype)
    elif x2.dtype is torch.bool:
        x2 = x2.to(x1.dtype)
    return torch.sub(x1, x2)


@elementwise_op(path=NUMPY + "Multiply")
def multiply(x1: Tensor, x2: Tensor) -> Tensor:
    """`x1 * x2`, broadcast.

    Example:
        >>> multiply([1, 2], [[3], [4]]).tolist()
        [[3, 6], [4, 8]]
    """
    x1, x2 = operands(x1, x2)
    return torch.mul(x1, x2)


@elementwise_op(path=NUMPY + "Divide")
def divide(x1: Tensor, x2: Tensor) -> Tensor:
    """`x1 / x2`, broadcast; the result is floating.

    Example:
        >>> divide([1, 2], 2).tolist()
        [0.5, 1.0]
    """
    x1, x2 = operands(x1, x2)
    return torch.div(x1, x2)


@elementwise_op(path=NUMPY + "TrueDivide")
def true_divide(x1: Tensor, x2: Tensor) -> Tensor:
    """`x1 / x2`, broadcast; the result is floating.

    Example:
        >>> true_divide(1, [2, 4]).tolist()
        [0.5, 0.25]
    """
    x1, x2 = operands(x1, x2)
    return torch.div(x1, x2)


@elementwise_op(path=NUMPY + "DivideNoNan")
def divide_no_nan(x1: Tensor, x2: Tensor) -> Tensor:
    """`x1 / x2`, broadcast, and 0 where `x2` is 0; gradients are finite there too.

    Example:
        >>> divide_no_nan([1.0, 0.0], [0.0, 2.0]).tolist()
        [0.0, 0.0]
    """
    x1, x2 = promote(x1, x2, float)
    empty = x2 == 0
    return torch.div(x1, x2.masked_fill(empty, 1)).masked_fill(empty, 0)


@elementwise_op(path=NUMPY + "FloorDivide")
def floor_divide(x1: Tensor, x2: Tensor) -> Tensor:
    """The quotient rounded towards minus infinity.

    Example:
        >>> floor_divide([7, -7], 2).tolist()
        [3, -4]
    """
    x1, x2 = promote(x1, x2)
    if x1.dtype is torch.bool:
        return torch.floor_divide(x1.to(torch.int32), x2.to(torch.int32)).to(torch.bool)
    return torch.floor_divide(x1, x2)


@elementwise_op(path=NUMPY + "Mod")
def mod(x1: Tensor, x2: Tensor) -> Tensor:
    """The remainder of `floor_divide`; it has the sign of `x2`.

    Example:
        >>> mod([7, -7], 3).tolist()
        [1, 2]
    """
    x1, x2 = _counted(*operands(x1, x2))
    return torch.remainder(x1, x2)


@elementwise_op(path=NUMPY + "Fmod")
def fmod(x1: Tensor, x2: Tensor) -> Tensor:
    """The remainder of the division rounded towards zero; it has the sign of `x1`.

    Example:
        >>> fmod([7, -7], 3).tolist()
        [1, -1]
    """
    x1, x2 = _counted(*operands(x1, x2))
    return torch.fmod(x1, x2)


def _counted(x1: Tensor, x2: Any) -> tuple[Tensor, Any]:
    """Turn a pair of booleans into integers."""
    if x1.dtype is torch.bool and isinstance(x2, Tensor) and x2.dtype is torch.bool:
        return x1.to(torch.int32), x2.to(torch.int32)
    return x1, x2


@elementwise_op(path=NUMPY + "Power")
def power(x1: Tensor, x2: Tensor) -> Tensor:
    """`x1 ** x2`, broadcast.

    Example:
        >>> power([2, 3], 2).tolist()
        [4, 9]
    """
    x1, x2 = operands(x1, x2)
    return torch.pow(x1, x2)


# Comparison --------------------------------------------------------------------------------------


@elementwise_op(path=NUMPY + "Equal")
def equal(x1: Tensor, x2: Tensor) -> Tensor:
    """Whether `x1 == x2`, broadcast.

    Example:
        >>> equal([1, 2], 2).tolist()
        [False, True]
    """
    x1, x2 = operands(x1, x2)
    return torch.eq(x1, x2)


@elementwise_op(path=NUMPY + "NotEqual")
def not_equal(x1: Tensor, x2: Tensor) -> Tensor:
    """Whether `x1 != x2`, broadcast.

    Example:
        >>> not_equal([1, 2], 2).tolist()
        [True, False]
    """
    x1, x2 = operands(x1, x2)
    return torch.ne(x1, x2)


@elementwise_op(path=NUMPY + "Greater")
def greater(x1: Tensor, x2: Tensor) -> Tensor:
    """Whether `x1 > x2`, broadcast.

    Example:
        >>> greater([1, 2, 3], 2).tolist()
        [False, False, True]
    """
    x1, x2 = operands(x1, x2)
    return torch.gt(x1, x2)


@elementwise_op(path=NUMPY + "GreaterEqual")
def greater_equal(x1: Tensor, x2: Tensor) -> Tensor:
    """Whether `x1 >= x2`, broadcast.

    Example:
        >>> greater_equal([1, 2, 3], 2).tolist()
        [False, True, True]
    """
    x1, x2 = operands(x1, x2)
    return torch.ge(x1, x2)


@elementwise_op(path=NUMPY + "Less")
def less(x1: Tensor, x2: Tensor) -> Tensor:
    """Whether `x1 < x2`, broadcast.

    Example:
        >>> less([1, 2, 3], 2).tolist()
        [True, False, False]
    """
    x1, x2 = operands(x1, x2)
    return torch.lt(x1, x2)


@elementwise_op(path=NUMPY + "LessEqual")
def less_equal(x1: Tensor, x2: Tensor) -> Tensor:
    """Whether `x1 <= x2`, broadcast.

    Example:
        >>> less_equal([1, 2, 3], 2).tolist()
        [True, True, False]
    """
    x1, x2 = operands(x1, x2)
    return torch.le(x1, x2)


@elementwise_op(path=NUMPY + "Isclose")
def isclose(
    x1: Tensor,
    x2: Tensor,
    rtol: float | Tensor = 1e-5,
    atol: float | Tensor = 1e-8,
    equal_nan: bool = False,
) -> Tensor:
    """Whether `|x1 - x2| <= atol + rtol * |x2|`; exact equality for integers.

    Args:
        x1, x2: Numbers to compare, broadcast.
        rtol: Tolerance relative to `x2`.
        atol: Absolute tolerance.
        equal_nan: Whether two NaNs are close.

    Example:
        >>> isclose([1.0, 2.0], [1.0, 2.1]).tolist()
        [True, False]
    """
    x1, x2 = promote(x1, x2)
    if not x1.is_floating_point():
        return torch.eq(x1, x2)
    return torch.isclose(x1, x2, rtol, atol, equal_nan)


@op(path=NUMPY + "AllClose")
def allclose(
    x1: Tensor, x2: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    """Whether all pairs are close, in the sense of `isclose`.

    Args:
        x1, x2: Numbers to compare, broadcast.
        rtol: Tolerance relative to `x2`.
        atol: Absolute tolerance.
        equal_nan: Whether two NaNs are close.

    Example:
        >>> allclose([1.0, 2.0], [1.0, 2.1]).item()
        False
    """
    return isclose(x1, x2, rtol, atol, equal_nan).all()


# Of two values -----------------------------------------------------------------------------------


@elementwise_op(path=NUMPY + "Maximum")
def maximum(x1: Tensor, x2: Tensor) -> Tensor:
    """The larger one of each pair; NaN where one is NaN.

    Example:
        >>> maximum([1, 5], 3).tolist()
        [3, 5]
    """
    x1, x2 = promote(x1, x2)
    return torch.maximum(x1, x2)


@elementwise_op(path=NUMPY + "Minimum")
def minimum(x1: Tensor, x2: Tensor) -> Tensor:
    """The smaller one of each pair; NaN where one is NaN.

    Example:
        >>> minimum([1, 5], 3).tolist()
        [1, 3]
    """
    x1, x2 = promote(x1, x2)
    return torch.minimum(x1, x2)


@elementwise_op(path=NUMPY + "Fmax")
def fmax(x1: Tensor, x2: Tensor) -> Tensor:
    """The larger one of each pair; the other one where one is NaN.

    Example:
        >>> fmax([float("nan"), 5.0], 3.0).tolist()
        [3.0, 5.0]
    """
    x1, x2 = promote(x1, x2)
    return torch.fmax(x1, x2)


@elementwise_op(path=NUMPY + "Fmin")
def fmin(x1: Tensor, x2: Tensor) -> Tensor:
    """The smaller one of each pair; the other one where one is NaN.

    Example:
        >>> fmin([float("nan"), 5.0], 3.0).tolist()
        [3.0, 3.0]
    """
    x1, x2 = promote(x1, x2)
    return torch.fmin(x1, x2)


@elementwise_op(path=NUMPY + "Arctan2")
def arctan2(x1: Tensor, x2: Tensor) -> Tensor:
    """The angle of the point `(x2, x1)`, in radians, between -π and π.

    Example:
        >>> round(arctan2(1.0, -1.0).item(), 4)
        2.3562
    """
    return torch.arctan2(*promote(x1, x2, float))


@elementwise_op(path=NUMPY + "Hypot")
def hypot(x1: Tensor, x2: Tensor) -> Tensor:
    """`sqrt(x1**2 + x2**2)`, without overflow.

    Example:
        >>> hypot(3.0, [4.0]).tolist()
        [5.0]
    """
    return torch.hypot(*promote(x1, x2, float))


@elementwise_op(path=NUMPY + "Heaviside")
def heaviside(x1: Tensor, x2: Tensor) -> Tensor:
    """0 where `x1 < 0`, `x2` where it is 0, and 1 beyond.

    Example:
        >>> heaviside([-1.0, 0.0, 2.0], 0.5).tolist()
        [0.0, 0.5, 1.0]
    """
    x1, x2 = as_tensors(x1, x2)
    both_bool = x1.dtype is x2.dtype is torch.bool
    return torch.heaviside(*promote(x1, x2, None if both_bool else float))


@elementwise_op(path=NUMPY + "Logaddexp")
def logaddexp(x1: Tensor, x2: Tensor) -> Tensor:
    """`log(exp(x1) + exp(x2))`, without overflow.

    Example:
        >>> round(logaddexp(1000.0, 1000.0).item(), 2)
        1000.69
    """
    return torch.logaddexp(*promote(x1, x2, float))


@elementwise_op(path=NUMPY + "Logaddexp2")
def logaddexp2(x1: Tensor, x2: Tensor) -> Tensor:
    """`log2(2**x1 + 2**x2)`, without overflow.

    Example:
        >>> logaddexp2(1000.0, 1000.0).item()
        1001.0
    """
    return torch.logaddexp2(*promote(x1, x2, float))


@elementwise_op(path=NUMPY + "Ldexp")
def ldexp(x1: Tensor, x2: Tensor) -> Tensor:
    """`x1 * 2**x2`, with integer `x2`.

    Raises:
        TypeError: `x2` is not an integer.

    Example:
        >>> ldexp([1.0, 3.0], 2).tolist()
        [4.0, 12.0]
    """
    x1, x2 = as_tensors(x1, x2)
    if not is_integer(x2.dtype) and not CONTEXT.meta:  # a graph's run will tell
        raise TypeError(f"ldexp: the exponent `x2` must be an integer. Received: dtype={x2.dtype}")
    return torch.ldexp(x1, x2).to(to_torch(result_type(x1.dtype, x2.dtype, float)))


@elementwise_op(path=NUMPY + "Nextafter")
def nextafter(x1: Tensor, x2: Tensor) -> Tensor:
    """The next `float64` after `x1` towards `x2`, cast to the common dtype as Keras does.

    Example:
        >>> nextafter(1.0, 2.0).item()
        1.0
    """
    x1, x2 = as_tensors(x1, x2)
    target = to_torch(result_type(x1.dtype, x2.dtype, float))
    return torch.nextafter(x1.double(), x2.double()).to(target)


@elementwise_op(path=NUMPY + "Gcd")
def gcd(x1: Tensor, x2: Tensor) -> Tensor:
    """The greatest common divisor of integers.

    Example:
        >>> gcd([12, 7], 18).tolist()
        [6, 1]
    """
    return torch.gcd(*_of_torch(*as_tensors(x1, x2)))


@elementwise_op(path=NUMPY + "Lcm")
def lcm(x1: Tensor, x2: Tensor) -> Tensor:
    """The least common multiple of integers.

    Example:
        >>> lcm([4, 7], 6).tolist()
        [12, 42]
    """
    return torch.lcm(*_of_torch(*as_tensors(x1, x2)))


# Logic and bits ----------------------------------------------------------------------------------


@elementwise_op(path=NUMPY + "LogicalAnd")
def logical_and(x1: Tensor, x2: Tensor) -> Tensor:
    """Whether both are true (not zero).

    Example:
        >>> logical_and([True, False], True).tolist()
        [True, False]
    """
    return torch.logical_and(*as_tensors(x1, x2))


@elementwise_op(path=NUMPY + "LogicalOr")
def logical_or(x1: Tensor, x2: Tensor) -> Tensor:
    """Whether one of them is true (not zero).

    Example:
        >>> logical_or([True, False], False).tolist()
        [True, False]
    """
    return torch.logical_or(*as_tensors(x1, x2))


@elementwise_op(path=NUMPY + "LogicalXor")
def logical_xor(x1: Tensor, x2: Tensor) -> Tensor:
    """Whether exactly one of them is true (not zero).

    Example:
        >>> logical_xor([True, False], True).tolist()
        [False, True]
    """
    return torch.logical_xor(*as_tensors(x1, x2))


_UNSIGNED = {torch.uint16, torch.uint32, torch.uint64}


def _of_torch(x1: Tensor, x2: Any) -> tuple[Tensor, Any]:
    """Two operands that torch takes: its unsigned dtypes go with no other."""
    if isinstance(x2, Tensor) and x1.dtype is not x2.dtype and {x1.dtype, x2.dtype} & _UNSIGNED:
        return promote(x1, x2)
    return x1, x2


def _bitwise(name: str, class_name: str, kernel: Callable[..., Tensor], doc: str) -> Any:
    """Make the op of a kernel on the bits of integers."""

    def compute(x: Tensor, y: Tensor) -> Tensor:
        return kernel(*_of_torch(*operands(x, y)))

    compute.__name__ = compute.__qualname__ = name
    compute.__doc__ = doc
    return elementwise_op(path=NUMPY + class_name)(compute)


bitwise_and = _bitwise("bitwise_and", "BitwiseAnd", torch.bitwise_and, "Bits that both have.")
bitwise_or = _bitwise("bitwise_or", "BitwiseOr", torch.bitwise_or, "Bits that one of them has.")
bitwise_xor = _bitwise(
    "bitwise_xor", "BitwiseXor", torch.bitwise_xor, "Bits that exactly one of them has."
)
bitwise_left_shift = _bitwise(
    "bitwise_left_shift",
    "BitwiseLeftShift",
    torch.bitwise_left_shift,
    "`x` with its bits moved up by `y`.",
)
bitwise_right_shift = _bitwise(
    "bitwise_right_shift",
    "BitwiseRightShift",
    torch.bitwise_right_shift,
    "`x` with its bits moved down by `y`.",
)
left_shift = _bitwise(
    "left_shift", "LeftShift", torch.bitwise_left_shift, "`x` with its bits moved up by `y`."
)
right_shift = _bitwise(
    "right_shift", "RightShift", torch.bitwise_right_shift, "`x` with its bits moved down by `y`."
)
