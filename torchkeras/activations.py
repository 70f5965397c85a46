"""Activation functions, and the names by which layers find them.

Each takes a tensor, an array, a number or nested lists, or a symbolic tensor, and returns one of
the same shape (`glu` halves an axis). Most are functions of `ops`; here stand those with other
arguments or defaults, and those that `ops` lacks.
Sources: `keras.activations` (names, defaults, formulas); papers at the functions.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .graph.keras_tensor import KerasTensor
from .naming import explain
from .ops import activation as kernels
from .ops.arithmetic import greater, multiply, subtract
from .ops.common import as_tensor
from .ops.elementwise import clip, exp, tanh
from .ops.indexing import where
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


# Functions of `ops` under their own names -------------------------------------------------------

celu = kernels.celu
elu = kernels.elu
glu = kernels.glu
hard_shrink = kernels.hard_shrink
hard_sigmoid = kernels.hard_sigmoid
hard_silu = hard_swish = kernels.hard_silu
hard_tanh = kernels.hard_tanh
leaky_relu = kernels.leaky_relu
log_sigmoid = kernels.log_sigmoid
log_softmax = kernels.log_softmax
relu6 = kernels.relu6
selu = kernels.selu
sigmoid = kernels.sigmoid
silu = swish = kernels.silu
soft_shrink = kernels.soft_shrink
softmax = kernels.softmax
softplus = kernels.softplus
softsign = kernels.softsign
sparse_plus = kernels.sparse_plus
sparse_sigmoid = kernels.sparse_sigmoid
sparsemax = kernels.sparsemax
squareplus = kernels.squareplus
tanh_shrink = kernels.tanh_shrink
threshold = kernels.threshold

# Functions of their own --------------------------------------------------------------------------


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
        >>> relu([-1.0, 2.0, 9.0], negative_slope=0.5, max_value=6).tolist()
        [-0.5, 2.0, 6.0]
    """
    if threshold == 0.0:
        if max_value is None:
            if negative_slope == 0.0:
                return kernels.relu(x)
            return kernels.leaky_relu(x, negative_slope)
        positive = kernels.relu6(x) if max_value == 6 else clip(x, 0.0, max_value)
    else:
        positive = where(greater(x, threshold), x, 0)
        if max_value is not None:
            positive = clip(positive, 0.0, max_value)
    if negative_slope == 0.0:
        return positive
    below = kernels.relu(subtract(threshold, x))
    return subtract(positive, multiply(below, negative_slope))


def gelu(x: Tensor, approximate: bool = False) -> Tensor:
    """`x` times the normal distribution function at `x`.

    Args:
        x: Floats.
        approximate: Use the formula with tanh.

    Source: Hendrycks & Gimpel 2016.

    Example:
        >>> round(gelu(1.0).item(), 4)
        0.8413
    """
    return kernels.gelu(x, approximate)


def mish(x: Tensor) -> Tensor:
    """`x * tanh(softplus(x))`.

    Source: Misra 2019.

    Example:
        >>> round(mish(1.0).item(), 4)
        0.8651
    """
    if isinstance(x, KerasTensor):  # Keras has no operation of this name that files could carry
        return multiply(x, tanh(softplus(x)))
    return F.mish(as_tensor(x))


def linear(x: Tensor) -> Tensor:
    """`x` itself.

    Example:
        >>> linear(3)
        3
    """
    return x


def exponential(x: Tensor) -> Tensor:
    """`exp(x)`; integers become floats.

    Example:
        >>> exponential(0.0).item()
        1.0
    """
    return exp(x)


# Names -------------------------------------------------------------------------------------------

# For layers, whose inputs are tensors already: torch's own kernel of an activation, where it has
# one.
KERNELS: dict[Any, Callable[[Tensor], Tensor]] = {
    relu: torch.relu,
    sigmoid: torch.sigmoid,
    silu: F.silu,
    tanh: torch.tanh,
}

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
    _name = _function.__name__
    builtin(*(f"keras.activations.{name}" for name in (_name, *_names)))(_function)
    _ACTIVATIONS.register(_function, *_names)


@_ACTIVATIONS.register
def keras2_hard_sigmoid(x: Any) -> Tensor:
    """Keras 2's `hard_sigmoid`, which old files mean: `clip(0.2 * x + 0.5, 0, 1)`.

    >>> keras2_hard_sigmoid(torch.tensor([-3.0, 0.0, 1.0])).tolist()
    [0.0, 0.5, 0.699999988079071]
    """
    return clip(multiply(x, 0.2) + 0.5, 0.0, 1.0)


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
    if name in _ACTIVATIONS.objects and (
        _ACTIVATIONS.objects[name] is activation
        or getattr(kernels, name, None) is activation  # `ops.relu` is read as that activation
    ):
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
