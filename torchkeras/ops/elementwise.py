"""Elementwise functions of one tensor: powers, exponentials, angles, rounding, tests.

Angles are in radians. Integers become floats where the result is no integer. One factory makes the
ops that are a single torch kernel; the others stand below with what torch lacks or does otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..config import floatx
from ..dtypes import to_torch
from ..graph.operation import elementwise_op, op_alias
from .common import NUMPY, as_floating, as_tensor, exact

__all__ = [
    "abs",
    "absolute",
    "angle",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctanh",
    "bitwise_invert",
    "bitwise_not",
    "cbrt",
    "ceil",
    "clip",
    "conj",
    "conjugate",
    "copy",
    "cos",
    "cosh",
    "deg2rad",
    "erf",
    "erfc",
    "erfinv",
    "exp",
    "exp2",
    "expm1",
    "fabs",
    "floor",
    "i0",
    "imag",
    "isfinite",
    "isinf",
    "isnan",
    "isneginf",
    "isposinf",
    "isreal",
    "log",
    "log10",
    "log1p",
    "log2",
    "logical_not",
    "nan_to_num",
    "negative",
    "rad2deg",
    "real",
    "reciprocal",
    "round",
    "rsqrt",
    "sign",
    "signbit",
    "sin",
    "sinc",
    "sinh",
    "sqrt",
    "square",
    "tan",
    "tanh",
    "trunc",
]

_MATH = "keras.src.ops.math."


def _wide(x: Any) -> Tensor:
    """Return `x` as a tensor, `int64` as `float64`."""
    x = as_tensor(x)
    return x.double() if x.dtype is torch.int64 else x


def _unary(
    name: str,
    kernel: Callable[[Tensor], Tensor],
    doc: str,
    convert: Callable[[Any], Tensor] = as_tensor,
    path: str = NUMPY,
) -> Any:
    """Make the op of a torch kernel of one tensor."""

    def compute(x: Tensor) -> Tensor:
        return kernel(convert(x))

    compute.__name__ = compute.__qualname__ = name
    compute.__doc__ = doc
    class_name = "".join(part.capitalize() for part in name.split("_"))
    return elementwise_op(path=path + class_name)(compute)


arccos = _unary("arccos", torch.arccos, "The angle between 0 and π whose cosine is `x`.")
arccosh = _unary("arccosh", torch.arccosh, "The inverse of `cosh` on numbers from 1 on.")
arcsin = _unary("arcsin", torch.arcsin, "The angle between -π/2 and π/2 whose sine is `x`.")
arcsinh = _unary("arcsinh", torch.arcsinh, "The inverse of `sinh`.")
arctan = _unary("arctan", torch.arctan, "The angle between -π/2 and π/2 whose tangent is `x`.")
arctanh = _unary("arctanh", torch.arctanh, "The inverse of `tanh` on (-1, 1).")
bitwise_invert = _unary("bitwise_invert", torch.bitwise_not, "Each bit flipped; not, for booleans.")
bitwise_not = _unary("bitwise_not", torch.bitwise_not, "Each bit flipped; not, for booleans.")
cos = _unary("cos", torch.cos, "The cosine.")
cosh = _unary("cosh", torch.cosh, "The hyperbolic cosine.")
deg2rad = _unary("deg2rad", torch.deg2rad, "Degrees as radians.", _wide)
erf = _unary("erf", torch.erf, "The error function.", path=_MATH)
erfc = _unary("erfc", torch.erfc, "`1 - erf(x)`, exact for large `x`.", path=_MATH)
erfinv = _unary("erfinv", torch.erfinv, "The inverse of `erf` on (-1, 1).", path=_MATH)
exp = _unary("exp", torch.exp, "The exponential.", as_floating)
exp2 = _unary("exp2", torch.exp2, "2 to the power of `x`.", as_floating)
expm1 = _unary("expm1", torch.expm1, "`exp(x) - 1`, exact for small `x`.", as_floating)
isfinite = _unary("isfinite", torch.isfinite, "Whether it is neither infinite nor NaN.")
isinf = _unary("isinf", torch.isinf, "Whether it is infinite.")
isnan = _unary("isnan", torch.isnan, "Whether it is NaN.")
isneginf = _unary("isneginf", torch.isneginf, "Whether it is minus infinity.")
isposinf = _unary("isposinf", torch.isposinf, "Whether it is plus infinity.")
isreal = _unary("isreal", torch.isreal, "Whether the imaginary part is 0.")
log = _unary("log", torch.log, "The natural logarithm.")
log10 = _unary("log10", torch.log10, "The logarithm to base 10.")
log1p = _unary("log1p", torch.log1p, "`log(1 + x)`, exact for small `x`.")
log2 = _unary("log2", torch.log2, "The logarithm to base 2.")
logical_not = _unary("logical_not", torch.logical_not, "Whether it is false (zero).")
negative = _unary("negative", torch.neg, "`-x`.")
rad2deg = _unary("rad2deg", torch.rad2deg, "Radians as degrees.", _wide)
reciprocal = _unary("reciprocal", torch.reciprocal, "`1 / x`.")
rsqrt = _unary("rsqrt", torch.rsqrt, "`1 / sqrt(x)`.", path=_MATH)
sign = _unary("sign", torch.sign, "-1, 0 or 1.")
signbit = _unary("signbit", torch.signbit, "Whether it is negative, -0.0 included.")
sin = _unary("sin", torch.sin, "The sine.")
sinc = _unary("sinc", torch.sinc, "`sin(πx) / (πx)`, and 1 at 0.")
sinh = _unary("sinh", torch.sinh, "The hyperbolic sine.")
sqrt = _unary("sqrt", torch.sqrt, "The square root.", as_floating)
square = _unary("square", torch.square, "`x * x`.", exact)
tan = _unary("tan", torch.tan, "The tangent.")
tanh = _unary("tanh", torch.tanh, "The hyperbolic tangent.")


@elementwise_op(path=NUMPY + "Absolute")
def absolute(x: Tensor) -> Tensor:
    """The absolute value; the modulus of complex numbers.

    Example:
        >>> absolute([-1, 2]).tolist()
        [1, 2]
    """
    x = as_tensor(x)
    return x if x.dtype is torch.bool else torch.abs(x)


abs = op_alias(absolute, NUMPY + "Abs")


@elementwise_op(path=NUMPY + "Fabs")
def fabs(x: Tensor) -> Tensor:
    """The absolute value as a float.

    Raises:
        TypeError: `x` is complex.

    Example:
        >>> fabs([-1, 2]).tolist()
        [1.0, 2.0]
    """
    x = as_floating(x)
    if x.is_complex():
        raise TypeError(f"fabs does not take complex numbers. Received: x.dtype={x.dtype}")
    return torch.abs(x)


@elementwise_op(path=NUMPY + "Angle")
def angle(x: Tensor) -> Tensor:
    """The argument of a complex number, in radians; 0 or π for real ones.

    Example:
        >>> angle([1.0, -1.0])
        tensor([0.0000, 3.1416])
    """
    return torch.angle(as_tensor(x))


@elementwise_op(path=NUMPY + "Conjugate")
def conjugate(x: Tensor) -> Tensor:
    """The complex conjugate.

    Example:
        >>> conjugate([1 + 2j]).tolist()
        [(1-2j)]
    """
    return torch.conj(as_tensor(x)).resolve_conj()


conj = op_alias(conjugate, NUMPY + "Conj")


@elementwise_op(path=NUMPY + "Real")
def real(x: Tensor) -> Tensor:
    """The real part.

    Example:
        >>> real([1 + 2j]).tolist()
        [1.0]
    """
    return torch.real(as_tensor(x))


@elementwise_op(path=NUMPY + "Imag")
def imag(x: Tensor) -> Tensor:
    """The imaginary part; 0 for real numbers.

    Example:
        >>> imag([1 + 2j]).tolist()
        [2.0]
    """
    x = as_tensor(x)
    return torch.imag(x) if x.is_complex() else torch.zeros_like(x)


@elementwise_op(path=NUMPY + "Cbrt")
def cbrt(x: Tensor) -> Tensor:
    """The cube root, of negative numbers too.

    Example:
        >>> cbrt([-8.0, 27.0]).round().tolist()
        [-2.0, 3.0]
    """
    x = as_floating(_wide(x))
    return torch.sign(x) * torch.abs(x) ** (1.0 / 3.0)


@elementwise_op(path=NUMPY + "I0")
def i0(x: Tensor) -> Tensor:
    """The modified Bessel function of the first kind, of order 0.

    Example:
        >>> round(i0(0.0)).item()
        1.0
    """
    return torch.special.i0(as_floating(_wide(x)))


@elementwise_op(path=NUMPY + "Copy")
def copy(x: Tensor) -> Tensor:
    """A tensor of the same values in memory of its own.

    Example:
        >>> copy([1, 2]).tolist()
        [1, 2]
    """
    return torch.clone(as_tensor(x))


# Rounding ----------------------------------------------------------------------------------------


@elementwise_op(path=NUMPY + "Ceil")
def ceil(x: Tensor) -> Tensor:
    """The least integer from `x` on, as a float.

    Example:
        >>> ceil([1.2, -1.2]).tolist()
        [2.0, -1.0]
    """
    return torch.ceil(as_floating(x))


@elementwise_op(path=NUMPY + "Floor")
def floor(x: Tensor) -> Tensor:
    """The greatest integer up to `x`, as a float.

    Example:
        >>> floor([1.2, -1.2]).tolist()
        [1.0, -2.0]
    """
    return torch.floor(as_floating(x))


@elementwise_op(path=NUMPY + "Trunc")
def trunc(x: Tensor) -> Tensor:
    """The integer next to `x` towards 0, in the dtype of `x`.

    Example:
        >>> trunc([1.7, -1.7]).tolist()
        [1.0, -1.0]
    """
    x = as_tensor(x)
    return x if x.dtype is torch.bool else torch.trunc(x)


@elementwise_op(path=NUMPY + "Round")
def round(x: Tensor, decimals: int = 0) -> Tensor:
    """Rounded to `decimals` places, halves to even.

    Args:
        x: Anything numeric.
        decimals: Places after the point; negative ones before it.

    Example:
        >>> round([0.5, 1.5, 2.25], decimals=1)
        tensor([0.5000, 1.5000, 2.2000])
    """
    x = as_tensor(x)
    if x.is_floating_point():
        return torch.round(x, decimals=decimals)
    # torch rounds integers only to whole ones; through floats it is what Keras does.
    return torch.round(x.to(to_torch(floatx())), decimals=decimals).to(x.dtype)


@elementwise_op(path=NUMPY + "Clip")
def clip(x: Tensor, x_min: Any, x_max: Any) -> Tensor:
    """`x` with values outside `[x_min, x_max]` replaced by the bound.

    Args:
        x: Anything numeric.
        x_min, x_max: Numbers, or tensors that broadcast against `x`; `None` for no bound.

    Example:
        >>> clip([-1.0, 0.5, 3.0], 0, 1).tolist()
        [0.0, 0.5, 1.0]
    """
    x = exact(x)
    if x.is_floating_point() and _is_number(x_min) and _is_number(x_max):
        return torch.clamp(x, x_min, x_max)
    bounds = [None if bound is None else as_tensor(bound, like=x) for bound in (x_min, x_max)]
    return torch.clamp(x, *bounds)


def _is_number(x: Any) -> bool:
    kind = type(x)
    return kind is float or kind is int


@elementwise_op(path=NUMPY + "NanToNum")
def nan_to_num(
    x: Tensor, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """`x` with NaNs and infinities replaced.

    Args:
        x: Anything numeric.
        nan: What stands for NaN.
        posinf, neginf: What stands for infinities; `None` for the dtype's largest and least number.

    Example:
        >>> nan_to_num([float("nan"), float("inf")], posinf=9.0).tolist()
        [0.0, 9.0]
    """
    return torch.nan_to_num(as_tensor(x), nan, posinf, neginf)
