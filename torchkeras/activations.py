"""Activation functions: elementwise ones, and the softmax family along one axis.

Each takes a tensor, an array, a number or nested lists, and returns a tensor of the same shape
(`glu` halves an axis). Where torch has a fused kernel, that is what runs.
Sources: `keras.activations` (names, defaults, formulas); papers at the functions.
"""

from __future__ import annotations

import types
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .dtypes import as_tensor, to_torch
from .naming import explain
from .registry import Namespace, builtin, get_registered_name, serialize_keras_object

__all__ = [
    "celu",
    "deserialize",
    "elu",
    "exponential",
    "gelu",
    "get",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "serialize",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
    "threshold",
]


# Rectifiers --------------------------------------------------------------------------------------


@builtin("keras.activations.relu")
def relu(
    x: Tensor,
    negative_slope: float = 0.0,
    max_value: float | None = None,
    threshold: float = 0.0,
) -> Tensor:
    """`max(x, 0)`, or with arguments a piecewise linear function.

    Args:
        x: Anything numeric.
        negative_slope: Slope below the threshold.
        max_value: Upper bound of the result.
        threshold: Where the line of slope 1 begins; it is not shifted down to 0 there.

    Example:
        >>> relu(torch.tensor([-1.0, 2.0, 9.0]), negative_slope=0.5, max_value=6).tolist()
        [-0.5, 2.0, 6.0]
    """
    x = as_tensor(x)
    if threshold == 0.0:
        if max_value is None:
            return F.relu(x) if negative_slope == 0.0 else F.leaky_relu(x, negative_slope)
        positive = F.relu6(x) if max_value == 6 else x.clamp(0, max_value)
    else:
        positive = torch.where(x > threshold, x, 0)
        if max_value is not None:
            positive = positive.clamp(0, max_value)
    if negative_slope == 0.0:
        return positive
    return positive - negative_slope * F.relu(threshold - x)


@builtin("keras.activations.leaky_relu")
def leaky_relu(x: Tensor, negative_slope: float = 0.2) -> Tensor:
    """`x` where positive, `negative_slope * x` elsewhere.

    Args:
        x: Anything numeric.
        negative_slope: Slope below 0.

    Example:
        >>> leaky_relu([-5.0, 5.0]).tolist()
        [-1.0, 5.0]
    """
    return F.leaky_relu(as_tensor(x), negative_slope)


@builtin("keras.activations.relu6")
def relu6(x: Tensor) -> Tensor:
    """`min(max(x, 0), 6)`.

    Example:
        >>> relu6([-1.0, 2.0, 7.0]).tolist()
        [0.0, 2.0, 6.0]
    """
    return F.relu6(as_tensor(x))


@builtin("keras.activations.elu")
def elu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """`x` where positive, `alpha * (exp(x) - 1)` elsewhere.

    Args:
        x: Floats.
        alpha: Minus the value at -infinity.

    Source: Clevert et al. 2016.

    Example:
        >>> elu([-100.0, 1.0]).tolist()
        [-1.0, 1.0]
    """
    return F.elu(as_tensor(x), alpha)


@builtin("keras.activations.celu")
def celu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """`x` where positive, `alpha * (exp(x / alpha) - 1)` elsewhere.

    Args:
        x: Floats.
        alpha: Minus the value at -infinity.

    Source: Barron 2017.

    Example:
        >>> celu([-100.0, 1.0], alpha=2.0).tolist()
        [-2.0, 1.0]
    """
    return F.celu(as_tensor(x), alpha)


@builtin("keras.activations.selu")
def selu(x: Tensor) -> Tensor:
    """`elu` with the constants that keep mean 0 and variance 1 from layer to layer.

    Source: Klambauer et al. 2017; use it with `LecunNormal` kernels.

    Example:
        >>> round(selu(torch.tensor(1.0)).item(), 4)
        1.0507
    """
    return F.selu(as_tensor(x))


@builtin("keras.activations.threshold")
def threshold(x: Tensor, threshold: float, default_value: float) -> Tensor:
    """`x` where above `threshold`, `default_value` elsewhere.

    Args:
        x: Anything numeric.
        threshold: The bound; equal values are replaced.
        default_value: The replacement.

    Example:
        >>> threshold([-1.0, 0.5, 2.0], 0.5, 9.0).tolist()
        [9.0, 9.0, 2.0]
    """
    return F.threshold(as_tensor(x), threshold, default_value)


# Smooth rectifiers -------------------------------------------------------------------------------


@builtin("keras.activations.softplus")
def softplus(x: Tensor) -> Tensor:
    """`log(1 + exp(x))`.

    Example:
        >>> round(softplus(torch.tensor(0.0)).item(), 4)
        0.6931
    """
    return F.softplus(as_tensor(x))


@builtin("keras.activations.sparse_plus")
def sparse_plus(x: Tensor) -> Tensor:
    """0 up to -1, `x` from 1 on, and the parabola `(x + 1)**2 / 4` that joins them.

    Example:
        >>> sparse_plus([-2.0, 0.0, 2.0]).tolist()
        [0.0, 0.25, 2.0]
    """
    x = as_tensor(x)
    return torch.where(x < 1, 0.25 * (x + 1).clamp(min=0) ** 2, x)


@builtin("keras.activations.squareplus")
def squareplus(x: Tensor, b: float = 4) -> Tensor:
    """`(x + sqrt(x**2 + b)) / 2`.

    Args:
        x: Floats.
        b: Width of the bend, in units of x squared.

    Source: Barron 2021.

    Example:
        >>> squareplus([0.0]).tolist()
        [1.0]
    """
    x = as_tensor(x)
    return (x + torch.sqrt(x.square() + b)) / 2


@builtin("keras.activations.silu", "keras.activations.swish")
def silu(x: Tensor) -> Tensor:
    """`x * sigmoid(x)`, also called swish.

    Source: Ramachandran et al. 2017.

    Example:
        >>> round(silu(torch.tensor(1.0)).item(), 4)
        0.7311
    """
    return F.silu(as_tensor(x))


@builtin("keras.activations.gelu")
def gelu(x: Tensor, approximate: bool = False) -> Tensor:
    """`x` times the normal distribution function at `x`.

    Args:
        x: Floats.
        approximate: Use the formula with tanh.

    Source: Hendrycks & Gimpel 2016.

    Example:
        >>> round(gelu(torch.tensor(1.0)).item(), 4)
        0.8413
    """
    return F.gelu(as_tensor(x), approximate="tanh" if approximate else "none")


@builtin("keras.activations.mish")
def mish(x: Tensor) -> Tensor:
    """`x * tanh(softplus(x))`.

    Source: Misra 2019.

    Example:
        >>> round(mish(torch.tensor(1.0)).item(), 4)
        0.8651
    """
    return F.mish(as_tensor(x))


@builtin("keras.activations.hard_silu", "keras.activations.hard_swish")
def hard_silu(x: Tensor) -> Tensor:
    """`x * hard_sigmoid(x)`, also called hard swish.

    Source: Howard et al. 2019.

    Example:
        >>> hard_silu([-4.0, 3.0]).tolist()
        [-0.0, 3.0]
    """
    return F.hardswish(as_tensor(x))


@builtin("keras.activations.glu")
def glu(x: Tensor, axis: int = -1) -> Tensor:
    """The first half of an axis times the sigmoid of the second.

    Args:
        x: Floats; the size of the axis must be even.
        axis: The axis, which the result has half of.

    Source: Dauphin et al. 2017.

    Example:
        >>> glu([3.0, 100.0]).tolist()
        [3.0]
    """
    return F.glu(as_tensor(x), axis)


# Saturating functions ----------------------------------------------------------------------------


@builtin("keras.activations.sigmoid")
def sigmoid(x: Tensor) -> Tensor:
    """`1 / (1 + exp(-x))`.

    Example:
        >>> sigmoid(0.0).item()
        0.5
    """
    return torch.sigmoid(as_tensor(x))


@builtin("keras.activations.log_sigmoid")
def log_sigmoid(x: Tensor) -> Tensor:
    """`log(sigmoid(x))`, which does not underflow.

    Example:
        >>> log_sigmoid(-1000.0).item()
        -1000.0
    """
    return F.logsigmoid(as_tensor(x))


@builtin("keras.activations.hard_sigmoid")
def hard_sigmoid(x: Tensor) -> Tensor:
    """`x / 6 + 1 / 2` between 0 and 1, and those bounds beyond.

    Example:
        >>> hard_sigmoid([-3.0, 0.0, 3.0]).tolist()
        [0.0, 0.5, 1.0]
    """
    return F.hardsigmoid(as_tensor(x))


@builtin("keras.activations.sparse_sigmoid")
def sparse_sigmoid(x: Tensor) -> Tensor:
    """`(x + 1) / 2` between 0 and 1, and those bounds beyond.

    Example:
        >>> sparse_sigmoid([-2.0, 0.0, 2.0]).tolist()
        [0.0, 0.5, 1.0]
    """
    return (0.5 * (as_tensor(x) + 1)).clamp(0, 1)


@builtin("keras.activations.tanh")
def tanh(x: Tensor) -> Tensor:
    """Hyperbolic tangent.

    Example:
        >>> tanh(0.0).item()
        0.0
    """
    return torch.tanh(as_tensor(x))


@builtin("keras.activations.hard_tanh")
def hard_tanh(x: Tensor) -> Tensor:
    """`x` between -1 and 1, and those bounds beyond.

    Example:
        >>> hard_tanh([-2.0, 0.5, 2.0]).tolist()
        [-1.0, 0.5, 1.0]
    """
    return F.hardtanh(as_tensor(x))


@builtin("keras.activations.softsign")
def softsign(x: Tensor) -> Tensor:
    """`x / (1 + |x|)`.

    Example:
        >>> softsign([-1.0, 3.0]).tolist()
        [-0.5, 0.75]
    """
    return F.softsign(as_tensor(x))


# Shrinking functions -----------------------------------------------------------------------------


@builtin("keras.activations.hard_shrink")
def hard_shrink(x: Tensor, threshold: float = 0.5) -> Tensor:
    """0 where `|x| <= threshold`, `x` elsewhere.

    Args:
        x: Floats.
        threshold: At least 0.

    Example:
        >>> hard_shrink([-1.0, 0.5, 1.0]).tolist()
        [-1.0, 0.0, 1.0]
    """
    return F.hardshrink(as_tensor(x), threshold)


@builtin("keras.activations.soft_shrink")
def soft_shrink(x: Tensor, threshold: float = 0.5) -> Tensor:
    """`x` moved towards 0 by `threshold`, and 0 where that would cross it.

    Args:
        x: Floats.
        threshold: At least 0.

    Example:
        >>> soft_shrink([-1.0, 0.5, 1.0]).tolist()
        [-0.5, 0.0, 0.5]
    """
    return F.softshrink(as_tensor(x), threshold)


@builtin("keras.activations.tanh_shrink")
def tanh_shrink(x: Tensor) -> Tensor:
    """`x - tanh(x)`.

    Example:
        >>> tanh_shrink(0.0).item()
        0.0
    """
    return F.tanhshrink(as_tensor(x))


# Others ------------------------------------------------------------------------------------------


@builtin("keras.activations.linear")
def linear(x: Tensor) -> Tensor:
    """`x` itself.

    Example:
        >>> linear(3)
        3
    """
    return x


@builtin("keras.activations.exponential")
def exponential(x: Tensor) -> Tensor:
    """`exp(x)`; integers become floats.

    Example:
        >>> exponential(0.0).item()
        1.0
    """
    x = as_tensor(x)
    return torch.exp(x if getattr(x.dtype, "is_floating_point", True) else x.to(to_torch(None)))


@builtin("keras.activations.softmax")
def softmax(x: Tensor, axis: int | Sequence[int] | None = -1) -> Tensor:
    """`exp(x)`, divided by its sum along `axis`.

    Args:
        x: Floats.
        axis: One axis, a tuple of axes, or `None` for all.

    Example:
        >>> softmax([0.0, 0.0]).tolist()
        [0.5, 0.5]
    """
    x = as_tensor(x)
    if not isinstance(axis, int):
        return _over_axes(F.softmax, x, axis)
    if -x.ndim <= axis < x.ndim and x.shape[axis] == 1:
        warnings.warn(
            f"softmax runs over axis {axis} of a tensor of shape {tuple(x.shape)}. That axis has "
            "size 1, so the result is 1 everywhere. For one probability use sigmoid.",
            stacklevel=2,
        )
    return F.softmax(x, axis)


@builtin("keras.activations.log_softmax")
def log_softmax(x: Tensor, axis: int | Sequence[int] | None = -1) -> Tensor:
    """`log(softmax(x))`, which does not underflow.

    Args:
        x: Floats.
        axis: One axis, a tuple of axes, or `None` for all.

    Example:
        >>> log_softmax([0.0, -1000.0]).tolist()
        [0.0, -1000.0]
    """
    x = as_tensor(x)
    if isinstance(axis, int):
        return F.log_softmax(x, axis)
    return _over_axes(F.log_softmax, x, axis)


def _over_axes(function: Callable[..., Tensor], x: Tensor, axes: Sequence[int] | None) -> Tensor:
    """Apply a function of one axis to several axes, seen as one; `None` means all."""
    axes = range(x.ndim) if axes is None else [axis % x.ndim for axis in axes]
    order = [axis for axis in range(x.ndim) if axis not in axes] + list(axes)
    moved = x.permute(order)
    result = function(moved.flatten(x.ndim - len(axes)), -1).reshape(moved.shape)
    return result.permute(sorted(range(x.ndim), key=order.__getitem__))


@builtin("keras.activations.sparsemax")
def sparsemax(x: Tensor, axis: int = -1) -> Tensor:
    """Like softmax, but small values become exactly 0.

    Args:
        x: Floats.
        axis: The axis along which values compete.

    Source: Martins & Astudillo 2016, as `keras.activations.sparsemax` computes it: its threshold
    adds up all partial sums of the support, not the last one alone, so that where several values
    survive the result sums to less than 1. Numbers agree with Keras.

    Example:
        >>> sparsemax([0.0, 3.0, 1.0]).tolist()
        [0.0, 1.0, 0.0]
    """
    x = as_tensor(x)
    ordered = x.sort(dim=axis, descending=True).values
    sums = ordered.cumsum(axis)
    size = x.shape[axis]
    ranks = torch.arange(1, size + 1, device=x.device, dtype=x.dtype)
    ranks = ranks.reshape([size if i == axis % x.ndim else 1 for i in range(x.ndim)])
    support = ordered > (sums - 1) / ranks
    chosen = torch.where(support, sums, 0.0).sum(axis, keepdim=True)
    return (x - (chosen - 1) / support.sum(axis, keepdim=True)).clamp(min=0)


hard_swish = hard_silu
swish = silu

# Names -------------------------------------------------------------------------------------------

_ACTIVATIONS = Namespace("activations", kind="activation function")
for _function, *_names in (
    (celu,),
    (elu,),
    (exponential,),
    (gelu,),
    (glu,),
    (hard_shrink,),
    (hard_sigmoid,),
    (hard_silu, "hard_swish"),
    (hard_tanh,),
    (leaky_relu,),
    (linear,),
    (log_sigmoid,),
    (log_softmax,),
    (mish,),
    (relu,),
    (relu6,),
    (selu,),
    (sigmoid,),
    (silu, "swish"),
    (soft_shrink,),
    (softmax,),
    (softplus,),
    (softsign,),
    (sparse_plus,),
    (sparse_sigmoid,),
    (sparsemax,),
    (squareplus,),
    (tanh,),
    (tanh_shrink,),
    (threshold,),
):
    _ACTIVATIONS.register(_function, *_names)


def get(identifier: Any) -> Callable[..., Any]:
    """The activation function that an identifier stands for.

    Args:
        identifier: `None` for `linear`, a name, a config, or any callable.

    Raises:
        ValueError: It stands for none.

    Example:
        >>> get("swish") is silu, get(None) is linear
        (True, True)
    """
    return linear if identifier is None else _ACTIVATIONS.get(identifier)


def serialize(activation: Any) -> Any:
    """The name of a built-in activation, or the config of another one.

    Raises:
        ValueError: It has neither.
    """
    name = getattr(activation, "__name__", None)
    if name is not None and _ACTIVATIONS.objects.get(name) is activation:
        return name
    config = serialize_keras_object(activation)
    if not isinstance(config, dict) or "config" not in config:
        raise ValueError(
            explain(
                "This activation cannot be serialized.",
                given=repr(activation),
                fix="use a name from keras.activations, or register the function with "
                "`@keras.saving.register_keras_serializable()`.",
            )
        )
    if isinstance(activation, types.FunctionType) and isinstance(config["config"], str):
        config["config"] = get_registered_name(activation)
    return config


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The activation function that a name or config describes.

    Raises:
        ValueError, TypeError: It describes none.
    """
    return _ACTIVATIONS.deserialize(config, custom_objects)
