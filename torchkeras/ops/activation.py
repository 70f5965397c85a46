"""Activation functions: elementwise ones, and the softmax family along one axis.

Each takes a tensor, an array, a number or nested lists, and returns a tensor of the same shape
(`glu` halves an axis). Where torch has a fused kernel, that is what runs. `torchkeras.activations`
takes its functions from here.
Sources: `keras.activations` (names, defaults, formulas); papers at the functions.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ..graph.operation import elementwise_op, op
from .common import as_tensor, canonical_axis

__all__ = [
    "celu",
    "elu",
    "gelu",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "relu",
    "relu6",
    "selu",
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
    "tanh_shrink",
    "threshold",
]

_PATH = "keras.src.ops.nn."


# Rectifiers --------------------------------------------------------------------------------------


@elementwise_op(path=_PATH + "Relu")
def relu(x: Tensor) -> Tensor:
    """`max(x, 0)`.

    Args:
        x: Anything numeric.

    Example:
        >>> relu([-1.0, 2.0]).tolist()
        [0.0, 2.0]
    """
    return torch.relu(as_tensor(x))


@elementwise_op(path=_PATH + "LeakyRelu")
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


@elementwise_op(path=_PATH + "Relu6")
def relu6(x: Tensor) -> Tensor:
    """`min(max(x, 0), 6)`.

    Example:
        >>> relu6([-1.0, 2.0, 7.0]).tolist()
        [0.0, 2.0, 6.0]
    """
    return F.relu6(as_tensor(x))


@elementwise_op(path=_PATH + "Elu")
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


@elementwise_op(path=_PATH + "Celu")
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


@elementwise_op(path=_PATH + "Selu")
def selu(x: Tensor) -> Tensor:
    """`elu` with the constants that keep mean 0 and variance 1 from layer to layer.

    Source: Klambauer et al. 2017; use it with `LecunNormal` kernels.

    Example:
        >>> round(selu(torch.tensor(1.0)).item(), 4)
        1.0507
    """
    return F.selu(as_tensor(x))


@elementwise_op(path=_PATH + "Threshold")
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


@elementwise_op(path=_PATH + "Softplus")
def softplus(x: Tensor) -> Tensor:
    """`log(1 + exp(x))`.

    Example:
        >>> round(softplus(torch.tensor(0.0)).item(), 4)
        0.6931
    """
    return F.softplus(as_tensor(x))


@elementwise_op(path=_PATH + "SparsePlus")
def sparse_plus(x: Tensor) -> Tensor:
    """0 up to -1, `x` from 1 on, and the parabola `(x + 1)**2 / 4` that joins them.

    Example:
        >>> sparse_plus([-2.0, 0.0, 2.0]).tolist()
        [0.0, 0.25, 2.0]
    """
    x = as_tensor(x)
    return torch.where(x < 1, 0.25 * (x + 1).clamp(min=0) ** 2, x)


@elementwise_op(path=_PATH + "Squareplus")
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


@elementwise_op(path=_PATH + "Silu")
def silu(x: Tensor) -> Tensor:
    """`x * sigmoid(x)`, also called swish.

    Source: Ramachandran et al. 2017.

    Example:
        >>> round(silu(torch.tensor(1.0)).item(), 4)
        0.7311
    """
    return F.silu(as_tensor(x))


swish = silu


@elementwise_op(path=_PATH + "Gelu")
def gelu(x: Tensor, approximate: bool = True) -> Tensor:
    """`x` times the normal distribution function at `x`.

    Args:
        x: Floats.
        approximate: Use the formula with tanh.

    Source: Hendrycks & Gimpel 2016.

    Example:
        >>> round(gelu(torch.tensor(1.0)).item(), 4)
        0.8412
    """
    return F.gelu(as_tensor(x), approximate="tanh" if approximate else "none")


@elementwise_op(path=_PATH + "HardSilu")
def hard_silu(x: Tensor) -> Tensor:
    """`x * hard_sigmoid(x)`, also called hard swish.

    Source: Howard et al. 2019.

    Example:
        >>> hard_silu([-4.0, 3.0]).tolist()
        [-0.0, 3.0]
    """
    return F.hardswish(as_tensor(x))


hard_swish = hard_silu


@op(path=_PATH + "Glu")
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


@elementwise_op(path=_PATH + "Sigmoid")
def sigmoid(x: Tensor) -> Tensor:
    """`1 / (1 + exp(-x))`.

    Example:
        >>> sigmoid(0.0).item()
        0.5
    """
    return torch.sigmoid(as_tensor(x))


@elementwise_op(path=_PATH + "LogSigmoid")
def log_sigmoid(x: Tensor) -> Tensor:
    """`log(sigmoid(x))`, which does not underflow.

    Example:
        >>> log_sigmoid(-1000.0).item()
        -1000.0
    """
    return F.logsigmoid(as_tensor(x))


@elementwise_op(path=_PATH + "HardSigmoid")
def hard_sigmoid(x: Tensor) -> Tensor:
    """`x / 6 + 1 / 2` between 0 and 1, and those bounds beyond.

    Example:
        >>> hard_sigmoid([-3.0, 0.0, 3.0]).tolist()
        [0.0, 0.5, 1.0]
    """
    return F.hardsigmoid(as_tensor(x))


@elementwise_op(path=_PATH + "SparseSigmoid")
def sparse_sigmoid(x: Tensor) -> Tensor:
    """`(x + 1) / 2` between 0 and 1, and those bounds beyond.

    Example:
        >>> sparse_sigmoid([-2.0, 0.0, 2.0]).tolist()
        [0.0, 0.5, 1.0]
    """
    return (0.5 * (as_tensor(x) + 1)).clamp(0, 1)


@elementwise_op(path=_PATH + "HardTanh")
def hard_tanh(x: Tensor) -> Tensor:
    """`x` between -1 and 1, and those bounds beyond.

    Example:
        >>> hard_tanh([-2.0, 0.5, 2.0]).tolist()
        [-1.0, 0.5, 1.0]
    """
    return F.hardtanh(as_tensor(x))


@elementwise_op(path=_PATH + "Softsign")
def softsign(x: Tensor) -> Tensor:
    """`x / (1 + |x|)`.

    Example:
        >>> softsign([-1.0, 3.0]).tolist()
        [-0.5, 0.75]
    """
    return F.softsign(as_tensor(x))


# Shrinking functions -----------------------------------------------------------------------------


@elementwise_op(path=_PATH + "HardShrink")
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


@elementwise_op(path=_PATH + "SoftShrink")
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


@elementwise_op(path=_PATH + "TanhShrink")
def tanh_shrink(x: Tensor) -> Tensor:
    """`x - tanh(x)`.

    Example:
        >>> tanh_shrink(0.0).item()
        0.0
    """
    return F.tanhshrink(as_tensor(x))


# Along an axis -----------------------------------------------------------------------------------


@op(path=_PATH + "Softmax")
def softmax(x: Tensor, axis: int | Sequence[int] | None = -1) -> Tensor:
    """`exp(x)`, divided by its sum along `axis`.

    Args:
        x: Floats.
        axis: One axis, a tuple of axes, or `None` for all.

    Raises:
        ValueError: An axis is outside the rank (Keras: in a graph; outside of one an IndexError).

    Example:
        >>> softmax([0.0, 0.0]).tolist()
        [0.5, 0.5]
    """
    x = as_tensor(x)
    if not isinstance(axis, int):
        return _over_axes(F.softmax, x, axis)
    place = canonical_axis(axis, x.ndim or 1)
    if x.ndim and x.shape[place] == 1:
        warnings.warn(
            f"You are using a softmax over axis {axis} of a tensor of shape {tuple(x.shape)}. This"
            " axis has size 1. The softmax operation will always return the value 1, which is"
            " likely not what you intended. Did you mean to use a sigmoid instead? For one"
            " probability per row, it is the function to use.",
            stacklevel=3,
        )
    return F.softmax(x, axis)


@op(path=_PATH + "LogSoftmax")
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


@op(path=_PATH + "Sparsemax")
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
