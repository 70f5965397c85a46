"""TensorFlow's functions of each element: arithmetic, comparisons, activations, dtypes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ...naming import explain
from .common import as_dtype, dtype_limits, each, in_tensorflow, pair, tensor

__all__: list[str] = []

_NOT_WRITTEN = object()


def _of_one(function: Callable[[Tensor], Any]) -> Callable[..., Any]:
    def call(x: Any) -> Any:
        return function(tensor(x))

    return call


def _of_features(function: Callable[[Tensor], Any]) -> Callable[..., Any]:
    def call(features: Any) -> Any:
        return function(tensor(features))

    return call


def _arithmetic(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def call(x: Any, y: Any) -> Any:
        return function(*pair(x, y, numbers=True))

    return call


def _of_two(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def call(x: Any, y: Any) -> Any:
        return function(*pair(x, y))

    return call


def _where_zero(condition: Tensor, otherwise: Tensor) -> Tensor:
    return torch.where(condition, torch.zeros_like(otherwise), otherwise)


def _divide(x: Any, y: Any) -> Any:
    """True division: of wide integers in float64, of narrow ones in float32."""
    x, y = (_divisible(v) if isinstance(v, Tensor) else v for v in (x, y))
    return x / y


def _divisible(x: Tensor) -> Tensor:
    if x.is_floating_point() or x.is_complex():
        return x
    return x.double() if x.element_size() > 2 else x.float()


def _floor_divide(x: Any, y: Any) -> Any:
    return torch.floor(x / y) if x.is_floating_point() else torch.floor_divide(x, y)


def _python_2_divide(x: Any, y: Any) -> Any:
    whole = not (x.is_floating_point() or x.is_complex())
    return torch.floor_divide(x, y) if whole else x / y


def _squared_difference(x: Any, y: Any) -> Any:
    difference = x - y
    return difference * (difference.conj() if difference.is_complex() else difference)


each(
    "math",
    _of_one,
    abs=torch.abs,
    acos=torch.acos,
    acosh=torch.acosh,
    asin=torch.asin,
    asinh=torch.asinh,
    atan=torch.atan,
    atanh=torch.atanh,
    bessel_i0=torch.special.i0,
    bessel_i0e=torch.special.i0e,
    bessel_i1=torch.special.i1,
    bessel_i1e=torch.special.i1e,
    ceil=torch.ceil,
    conj=lambda x: torch.resolve_conj(torch.conj(x)),
    cos=torch.cos,
    cosh=torch.cosh,
    digamma=torch.digamma,
    erf=torch.erf,
    erfc=torch.erfc,
    erfcinv=lambda x: torch.erfinv(1 - x),
    erfinv=torch.erfinv,
    exp=torch.exp,
    expm1=torch.expm1,
    floor=torch.floor,
    is_finite=torch.isfinite,
    is_inf=torch.isinf,
    is_nan=torch.isnan,
    is_non_decreasing=lambda x: torch.all(x.reshape(-1)[1:] >= x.reshape(-1)[:-1]),
    is_strictly_increasing=lambda x: torch.all(x.reshape(-1)[1:] > x.reshape(-1)[:-1]),
    lbeta=lambda x: torch.lgamma(x).sum(-1) - torch.lgamma(x.sum(-1)),
    lgamma=torch.lgamma,
    log=torch.log,
    log1p=torch.log1p,
    log_sigmoid=F.logsigmoid,
    logical_not=torch.logical_not,
    ndtri=torch.special.ndtri,
    negative=torch.neg,
    reciprocal=torch.reciprocal,
    reciprocal_no_nan=lambda x: _where_zero(x == 0, torch.reciprocal(x)),
    rint=torch.round,
    round=torch.round,
    rsqrt=torch.rsqrt,
    sigmoid=torch.sigmoid,
    sign=torch.sgn,
    sin=torch.sin,
    sinh=torch.sinh,
    sqrt=torch.sqrt,
    square=lambda x: x * x,
    tan=torch.tan,
    tanh=torch.tanh,
)
each(
    "math.special",
    _of_one,
    bessel_j0=torch.special.bessel_j0,
    bessel_j1=torch.special.bessel_j1,
    bessel_k0=torch.special.modified_bessel_k0,
    bessel_k0e=torch.special.scaled_modified_bessel_k0,
    bessel_k1=torch.special.modified_bessel_k1,
    bessel_k1e=torch.special.scaled_modified_bessel_k1,
    bessel_y0=torch.special.bessel_y0,
    bessel_y1=torch.special.bessel_y1,
)
each("bitwise", _of_one, invert=torch.bitwise_not)
each(
    "compat.v1",
    _of_one,
    to_bfloat16=lambda x: x.bfloat16(),
    to_complex128=lambda x: x.to(torch.complex128),
    to_complex64=lambda x: x.to(torch.complex64),
    to_double=lambda x: x.double(),
    to_float=lambda x: x.float(),
    to_int32=lambda x: x.int(),
    to_int64=lambda x: x.long(),
)
each(
    "nn",
    _of_features,
    elu=F.elu,
    relu=torch.relu,
    relu6=F.relu6,
    selu=F.selu,
    softsign=F.softsign,
)
each("math", _of_features, softplus=lambda x: torch.logaddexp(x, torch.zeros_like(x)))
each(
    "math",
    _arithmetic,
    add=lambda x, y: x + y,
    divide=_divide,
    equal=lambda x, y: x == y,
    floormod=torch.remainder,
    greater=lambda x, y: x > y,
    greater_equal=lambda x, y: x >= y,
    less=lambda x, y: x < y,
    less_equal=lambda x, y: x <= y,
    multiply=lambda x, y: x * y,
    not_equal=lambda x, y: x != y,
    pow=torch.pow,
    squared_difference=_squared_difference,
    subtract=lambda x, y: x - y,
    truediv=_divide,
)
each("__operators__", _arithmetic, add=lambda x, y: x + y)
each(
    "math",
    _of_two,
    divide_no_nan=lambda x, y: _where_zero(y == 0, x / y),
    floordiv=_floor_divide,
    logical_and=torch.logical_and,
    logical_or=torch.logical_or,
    logical_xor=torch.logical_xor,
    maximum=torch.maximum,
    minimum=torch.minimum,
    multiply_no_nan=lambda x, y: _where_zero(y == 0, x * y),
    xdivy=lambda x, y: _where_zero(x == 0, x / y),
    xlog1py=torch.special.xlog1py,
    xlogy=torch.xlogy,
)
each(
    "bitwise",
    _of_two,
    bitwise_and=torch.bitwise_and,
    bitwise_or=torch.bitwise_or,
    bitwise_xor=torch.bitwise_xor,
    left_shift=torch.bitwise_left_shift,
    right_shift=torch.bitwise_right_shift,
)
each(
    "",
    _of_two,
    realdiv=lambda x, y: x / y,
    truncatediv=lambda x, y: torch.div(x, y, rounding_mode="trunc"),
    truncatemod=torch.fmod,
)
each("compat.v1", _of_two, div=_python_2_divide, floor_div=_floor_divide)


def _compared(sign: str, self: Any, other: Any) -> tuple[Any, Any]:
    if other is _NOT_WRITTEN:
        raise ValueError(
            explain(
                f"The file does not say what `{sign}` compares a tensor with: tf.keras writes only"
                " the tensor, and cannot read such a file either.",
                fix="build the model in code, and load the weights with `load_weights`.",
            )
        )
    return pair(self, other, numbers=True)


@in_tensorflow("__operators__.eq")
def _operator_eq(self: Any, other: Any = _NOT_WRITTEN) -> Any:
    x, y = _compared("==", self, other)
    return x == y


@in_tensorflow("__operators__.ne")
def _operator_ne(self: Any, other: Any = _NOT_WRITTEN) -> Any:
    x, y = _compared("!=", self, other)
    return x != y


@in_tensorflow("math.atan2")
def _atan2(y: Any, x: Any) -> Any:
    return torch.atan2(*pair(y, x))


@in_tensorflow("math.nextafter")
def _nextafter(x1: Any, x2: Any) -> Any:
    return torch.nextafter(*pair(x1, x2))


@in_tensorflow("math.igamma")
def _igamma(a: Any, x: Any) -> Any:
    return torch.special.gammainc(*pair(a, x))


@in_tensorflow("math.igammac")
def _igammac(a: Any, x: Any) -> Any:
    return torch.special.gammaincc(*pair(a, x))


@in_tensorflow("math.zeta")
def _zeta(x: Any, q: Any) -> Any:
    return torch.special.zeta(*pair(x, q))


@in_tensorflow("math.polygamma")
def _polygamma(a: Any, x: Any) -> Any:
    a, x = pair(a, x)
    sign = 1 - 2 * torch.remainder(a + 1, 2)
    general = sign * torch.exp(torch.lgamma(a + 1)) * torch.special.zeta(a + 1, x)
    return torch.where(a == 0, torch.digamma(x), general)


@in_tensorflow("math.scalar_mul", "compat.v1.math.scalar_mul")
def _scalar_mul(scalar: Any, x: Any) -> Any:
    scalar, x = pair(scalar, x, numbers=True)
    return scalar * x


@in_tensorflow("math.add_n")
def _add_n(inputs: Any) -> Any:
    if not isinstance(inputs, (list, tuple)):
        return tensor(inputs)
    total, *rest = inputs
    for value in rest:
        total, value = pair(total, value, numbers=True)
        total = total + value
    return total


@in_tensorflow("math.accumulate_n")
def _accumulate_n(inputs: Any, shape: Any = None, tensor_dtype: Any = None) -> Any:
    return _add_n(inputs)


@in_tensorflow("math.polyval")
def _polyval(coeffs: Any, x: Any) -> Any:
    x = tensor(x)
    result = torch.zeros_like(x)
    for coefficient in coeffs:
        result = result * x + coefficient
    return result


@in_tensorflow("math.angle")
def _angle(input: Any) -> Any:
    return torch.angle(tensor(input))


@in_tensorflow("math.real")
def _real(input: Any) -> Any:
    x = tensor(input)
    return torch.real(x).clone() if x.is_complex() else x


@in_tensorflow("math.imag")
def _imag(input: Any) -> Any:
    x = tensor(input)
    return torch.imag(x).clone() if x.is_complex() else torch.zeros_like(x)


@in_tensorflow("dtypes.complex")
def _complex(real: Any, imag: Any) -> Any:
    return torch.complex(*pair(real, imag))


# Activations -------------------------------------------------------------------------------------


@in_tensorflow("nn.gelu")
def _gelu(features: Any, approximate: bool = False) -> Any:
    return F.gelu(tensor(features), approximate="tanh" if approximate else "none")


@in_tensorflow("nn.silu", "nn.swish")
def _silu(features: Any, beta: Any = 1.0) -> Any:
    x = tensor(features)
    return x * torch.sigmoid(beta * x)


@in_tensorflow("nn.leaky_relu")
def _leaky_relu(features: Any, alpha: Any = 0.2) -> Any:
    x = tensor(features)
    return torch.where(x > 0, x, alpha * x)


@in_tensorflow("nn.crelu", "compat.v1.nn.crelu")
def _crelu(features: Any, axis: int = -1) -> Any:
    x = tensor(features)
    return torch.relu(torch.cat([x, -x], axis))


@in_tensorflow("nn.softmax")
def _softmax(logits: Any, axis: Any = None) -> Any:
    return torch.softmax(tensor(logits), -1 if axis is None else axis)


@in_tensorflow("nn.log_softmax")
def _log_softmax(logits: Any, axis: Any = None) -> Any:
    return torch.log_softmax(tensor(logits), -1 if axis is None else axis)


@in_tensorflow("compat.v1.nn.softmax")
def _softmax_v1(logits: Any, axis: Any = None, dim: Any = None) -> Any:
    return _softmax(logits, dim if axis is None else axis)


@in_tensorflow("compat.v1.nn.log_softmax")
def _log_softmax_v1(logits: Any, axis: Any = None, dim: Any = None) -> Any:
    return _log_softmax(logits, dim if axis is None else axis)


@in_tensorflow("clip_by_value")
def _clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any) -> Any:
    x, low = pair(t, clip_value_min)
    x, high = pair(x, clip_value_max)
    return torch.maximum(torch.minimum(x, high), low)


# Dtypes ------------------------------------------------------------------------------------------


@in_tensorflow("cast")
def _cast(x: Any, dtype: Any) -> Any:
    x, dtype = tensor(x), as_dtype(dtype)
    if x.is_complex() and not dtype.is_complex:
        x = torch.real(x)
    return x.to(dtype)


@in_tensorflow("dtypes.saturate_cast")
def _saturate_cast(value: Any, dtype: Any) -> Any:
    x, dtype = tensor(value), as_dtype(dtype)
    if dtype is torch.bool:
        return x.to(dtype)
    low, high = dtype_limits(dtype)
    own_low, own_high = dtype_limits(x.dtype)
    if x.is_floating_point() and not dtype.is_floating_point:
        x = x.double()  # whose numbers hold the limits of all but the widest integers
        return x.clamp(low, math.nextafter(high, 0) if high > 2**53 else high).to(dtype)
    return x.clamp(max(low, own_low), min(high, own_high)).to(dtype)


@in_tensorflow("bitcast")
def _bitcast(input: Any, type: Any) -> Any:
    x, dtype = tensor(input), as_dtype(type)
    if x.element_size() != dtype.itemsize:
        raise ValueError(
            explain(
                "tf.bitcast to a dtype of another width is not provided.",
                given=f"{x.dtype} to {dtype}",
            )
        )
    return x.view(dtype)


@in_tensorflow("identity")
def _identity(input: Any) -> Any:
    return tensor(input)


@in_tensorflow("identity_n")
def _identity_n(input: Any) -> Any:
    return [tensor(x) for x in input]


@in_tensorflow("tuple", "compat.v1.tuple")
def _tuple(tensors: Any, control_inputs: Any = None) -> Any:
    return [tensor(x) for x in tensors]


@in_tensorflow("stop_gradient")
def _stop_gradient(input: Any) -> Any:
    return tensor(input).detach()


@in_tensorflow("convert_to_tensor")
def _convert_to_tensor(value: Any, dtype: Any = None, dtype_hint: Any = None) -> Any:
    return tensor(value, None if dtype is None else as_dtype(dtype))


@in_tensorflow("compat.v1.convert_to_tensor")
def _convert_to_tensor_v1(
    value: Any, dtype: Any = None, preferred_dtype: Any = None, dtype_hint: Any = None
) -> Any:
    return _convert_to_tensor(value, dtype)


@in_tensorflow("debugging.check_numerics")
def _check_numerics(tensor: Any, message: str = "") -> Any:
    return tensor
