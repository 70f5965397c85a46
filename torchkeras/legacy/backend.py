"""The functions of Keras 2's `keras.backend`, the `K` of older scripts, on those of `keras.ops`.

`torchkeras.backend` offers them beside its own names, as `tf.keras.backend` does. Names, arguments
and defaults are Keras 2's: reductions are along `axis`, `argmax` and its like along the last one.
Arguments are tensors, symbolic tensors, variables or arrays. What `keras.ops` spells alike is that
function itself. Source: `tf.keras.backend`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import torchkeras.ops as ops  # `from .. import ops` would import the package's root as well

from ..config import floatx, standardize_data_format
from ..dtypes import to_numpy
from ..naming import explain, name_scope
from ..ops import (
    abs,
    all,
    any,
    binary_crossentropy,
    cast,
    categorical_crossentropy,
    cos,
    dot,
    dtype,
    elu,
    equal,
    exp,
    greater,
    greater_equal,
    less,
    less_equal,
    log,
    max,
    maximum,
    mean,
    min,
    minimum,
    ndim,
    not_equal,
    ones_like,
    prod,
    reshape,
    round,
    shape,
    sigmoid,
    sign,
    sin,
    softmax,
    softplus,
    softsign,
    square,
    squeeze,
    std,
    stop_gradient,
    sum,
    tanh,
    tile,
    var,
    zeros_like,
)
from ..random import dropout as random_dropout
from ..random import normal as random_normal
from ..random import truncated_normal
from ..random import uniform as random_uniform
from ..variables import Variable
from .loops import foldl, foldr, map_fn, rnn
from .losses import (
    binary_focal_crossentropy,
    categorical_focal_crossentropy,
    ctc_batch_cost,
    ctc_decode,
    ctc_label_dense_to_sparse,
    sparse_categorical_crossentropy,
)

__all__ = [
    "abs",
    "all",
    "any",
    "arange",
    "argmax",
    "argmin",
    "batch_dot",
    "batch_flatten",
    "batch_get_value",
    "batch_normalization",
    "batch_set_value",
    "bias_add",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "cast",
    "cast_to_floatx",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "clip",
    "concatenate",
    "constant",
    "conv1d",
    "conv2d",
    "conv2d_transpose",
    "conv3d",
    "cos",
    "count_params",
    "ctc_batch_cost",
    "ctc_decode",
    "ctc_label_dense_to_sparse",
    "cumprod",
    "cumsum",
    "depthwise_conv2d",
    "dot",
    "dropout",
    "dtype",
    "elu",
    "equal",
    "eval",
    "exp",
    "expand_dims",
    "eye",
    "flatten",
    "foldl",
    "foldr",
    "gather",
    "get_value",
    "gradients",
    "greater",
    "greater_equal",
    "hard_sigmoid",
    "in_top_k",
    "int_shape",
    "is_sparse",
    "l2_normalize",
    "less",
    "less_equal",
    "log",
    "map_fn",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "moving_average_update",
    "name_scope",
    "ndim",
    "not_equal",
    "one_hot",
    "ones",
    "ones_like",
    "permute_dimensions",
    "pool2d",
    "pool3d",
    "pow",
    "prod",
    "random_bernoulli",
    "random_normal",
    "random_normal_variable",
    "random_uniform",
    "random_uniform_variable",
    "relu",
    "repeat",
    "repeat_elements",
    "reshape",
    "resize_images",
    "resize_volumes",
    "reverse",
    "rnn",
    "round",
    "separable_conv2d",
    "set_value",
    "shape",
    "sigmoid",
    "sign",
    "sin",
    "softmax",
    "softplus",
    "softsign",
    "sparse_categorical_crossentropy",
    "spatial_2d_padding",
    "spatial_3d_padding",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "stop_gradient",
    "sum",
    "switch",
    "tanh",
    "temporal_padding",
    "tile",
    "to_dense",
    "transpose",
    "truncated_normal",
    "update",
    "update_add",
    "update_sub",
    "var",
    "variable",
    "zeros",
    "zeros_like",
]

Tensor = torch.Tensor
Axes = int | Sequence[int] | None


# Variables and values ----------------------------------------------------------------------------


def variable(value: Any, dtype: Any = None, name: str | None = None, constraint: Any = None) -> Any:
    """Make a variable of a value.

    Args:
        value: Number or array.
        dtype: Default: `floatx()`.
        name: Of the variable.
        constraint: Kept as its `constraint`.

    Example:
        >>> get_value(update_add(variable([1.0, 2.0]), 1.0)).tolist()
        [2.0, 3.0]
    """
    made = Variable(np.asarray(value), dtype=dtype or floatx(), name=name)
    if constraint is not None:
        made.constraint = constraint
    return made


def constant(value: Any, dtype: Any = None, shape: Sequence[int] | None = None, name: Any = None):
    """Make a tensor of a value, repeated or reshaped to `shape`; `name` is ignored."""
    tensor = ops.convert_to_tensor(value, dtype or floatx())
    if shape is None:
        return tensor
    return tensor.expand(*shape) if tensor.numel() == 1 else tensor.reshape(*shape)


def zeros(shape: Sequence[int], dtype: Any = None, name: str | None = None) -> Any:
    """Make a variable of zeros."""
    return variable(np.zeros(shape), dtype, name)


def ones(shape: Sequence[int], dtype: Any = None, name: str | None = None) -> Any:
    """Make a variable of ones."""
    return variable(np.ones(shape), dtype, name)


def eye(size: int | Sequence[int], dtype: Any = None, name: str | None = None) -> Any:
    """Make a variable of the identity matrix; `size` may be rows and columns."""
    rows, columns = (size, size) if isinstance(size, int) else size
    return variable(np.eye(rows, columns), dtype, name)


def get_value(x: Any) -> Any:
    """Return a variable or tensor as a NumPy array; what is neither comes back as it is."""
    return to_numpy(to_dense(x)) if isinstance(x, Tensor) else x


eval = get_value


def is_sparse(tensor: Any) -> bool:
    """Whether a tensor is a sparse one.

    >>> is_sparse(torch.eye(2).to_sparse()), is_sparse(torch.eye(2))
    (True, False)
    """
    return tensor.is_sparse if isinstance(tensor, Tensor) else getattr(tensor, "sparse", False)


def to_dense(tensor: Any) -> Any:
    """Return a sparse tensor as one that has a place for each value, and any other as it is."""
    return tensor.to_dense() if is_sparse(tensor) and isinstance(tensor, Tensor) else tensor


def set_value(x: Any, value: Any) -> None:
    """Give a variable, such as `optimizer.learning_rate`, another value."""
    x.assign(value)


def batch_get_value(tensors: Sequence[Any]) -> list[Any]:
    """Return several values; see `get_value`."""
    return [get_value(x) for x in tensors]


def batch_set_value(tuples: Sequence[tuple[Any, Any]]) -> None:
    """Set several variables, given as pairs of variable and value."""
    for x, value in tuples:
        x.assign(value)


def update(x: Any, new_x: Any) -> Any:
    """Give a variable another value; return it."""
    x.assign(new_x)
    return x


def update_add(x: Any, increment: Any) -> Any:
    """Add to a variable; return it."""
    x.assign_add(increment)
    return x


def update_sub(x: Any, decrement: Any) -> Any:
    """Subtract from a variable; return it."""
    x.assign_sub(decrement)
    return x


def moving_average_update(x: Any, value: Any, momentum: float) -> Any:
    """Let a variable keep the part `momentum` of itself, the rest being `value`; return it."""
    value = ops.convert_to_tensor(value, x.dtype)
    return update(x, x * momentum + value * (1 - momentum))


def cast_to_floatx(x: Any) -> Any:
    """Convert to `floatx()`: tensors to tensors, anything else to a NumPy array."""
    if isinstance(x, (np.ndarray, np.generic)) or not hasattr(x, "dtype"):
        return np.asarray(x, dtype=floatx())
    return ops.cast(x, floatx())


def int_shape(x: Any) -> tuple[int | None, ...]:
    """The shape, with `None` for sizes that are unknown."""
    return tuple(x.shape)


def count_params(x: Any) -> int:
    """Number of elements."""
    return math.prod(x.shape)


# Elementwise -------------------------------------------------------------------------------------


def pow(x: Any, a: Any) -> Any:
    """`x` to the power of `a`."""
    return ops.power(x, a)


def sqrt(x: Any) -> Any:
    """The square root, of 0 where `x` is negative."""
    return ops.sqrt(ops.maximum(x, 0.0))


def clip(x: Any, min_value: Any, max_value: Any) -> Any:
    """Move numbers outside of the bounds to them; `None` is no bound."""
    if isinstance(min_value, (int, float)) and isinstance(max_value, (int, float)):
        max_value = min_value if max_value < min_value else max_value
    return ops.clip(x, min_value, max_value)


def relu(x: Any, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """Zero below `threshold` (or a slope of `alpha` there), at most `max_value`.

    >>> relu(constant([-2.0, 0.5, 9.0]), alpha=0.5, max_value=6.0).tolist()
    [-1.0, 0.5, 6.0]
    """
    above = ops.cast(ops.greater(x, threshold), ops.dtype(x)) * x if threshold else ops.relu(x)
    if max_value is not None:
        above = ops.clip(above, 0.0, max_value)
    return above - alpha * ops.relu(threshold - x) if alpha else above


def hard_sigmoid(x: Any) -> Any:
    """`0.2 x + 0.5` between 0 and 1; `keras.ops.hard_sigmoid` is another one."""
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)


def switch(condition: Any, then_expression: Any, else_expression: Any) -> Any:
    """Take from one of two, by element or row.

    Args:
        condition: Truth values: one for all, one for each element, or one for each row.
        then_expression, else_expression: Tensors, or functions of nothing that make them.
    """
    then, otherwise = (e() if callable(e) else e for e in (then_expression, else_expression))
    condition = ops.cast(condition, "bool")
    missing = len(ops.shape(then)) - len(ops.shape(condition))
    if missing < 0:
        raise ValueError(
            explain(
                "K.switch: the condition has more axes than what it chooses from.",
                condition=ops.shape(condition),
                expressions=ops.shape(then),
            )
        )
    if len(ops.shape(condition)):
        for _ in range(missing):
            condition = ops.expand_dims(condition, -1)
    return ops.where(condition, then, otherwise)


# Along axes --------------------------------------------------------------------------------------


def argmax(x: Any, axis: int = -1) -> Any:
    """Where the largest value stands."""
    return ops.argmax(x, axis)


def argmin(x: Any, axis: int = -1) -> Any:
    """Where the smallest value stands."""
    return ops.argmin(x, axis)


def cumsum(x: Any, axis: int = 0) -> Any:
    """Sums of what came so far."""
    return ops.cumsum(x, axis)


def cumprod(x: Any, axis: int = 0) -> Any:
    """Products of what came so far."""
    return ops.cumprod(x, axis)


def l2_normalize(x: Any, axis: Axes = None) -> Any:
    """Divide by the Euclidean length along `axis`, or that of all."""
    return x * ops.rsqrt(ops.maximum(ops.sum(ops.square(x), axis, keepdims=True), 1e-12))


def in_top_k(predictions: Any, targets: Any, k: int) -> Any:
    """Whether each target is among its row's `k` largest predictions."""
    return ops.in_top_k(targets, predictions, k)


def one_hot(indices: Any, num_classes: int) -> Any:
    """Rows of zeros with a one at the index."""
    return ops.one_hot(indices, num_classes)


# Shapes ------------------------------------------------------------------------------------------


def flatten(x: Any) -> Any:
    """All elements in one axis."""
    return ops.reshape(x, (-1,))


def batch_flatten(x: Any) -> Any:
    """All axes but the first in one."""
    return ops.reshape(x, (-1, math.prod(int_shape(x)[1:])))


def expand_dims(x: Any, axis: int = -1) -> Any:
    """Insert an axis of size 1."""
    return ops.expand_dims(x, axis)


def transpose(x: Any) -> Any:
    """The axes in reverse order."""
    return ops.transpose(x)


def permute_dimensions(x: Any, pattern: Sequence[int]) -> Any:
    """The axes in another order."""
    return ops.transpose(x, pattern)


def repeat(x: Any, n: int) -> Any:
    """`(B, D)` to `(B, n, D)`.

    Raises:
        ValueError: `x` is not a matrix.
    """
    if ops.ndim(x) != 2:
        raise ValueError(f"K.repeat: `x` must have rank 2, its shape is {int_shape(x)}.")
    return ops.repeat(ops.expand_dims(x, 1), n, axis=1)


def repeat_elements(x: Any, rep: int, axis: int) -> Any:
    """Each element `rep` times along `axis`."""
    return ops.repeat(x, rep, axis)


def reverse(x: Any, axes: int | Sequence[int]) -> Any:
    """The elements in reverse order along `axes`."""
    return ops.flip(x, axes)


def concatenate(tensors: Sequence[Any], axis: int = -1) -> Any:
    """Join along an axis."""
    return ops.concatenate(tensors, axis)


def stack(x: Sequence[Any], axis: int = 0) -> Any:
    """Join along a new axis."""
    return ops.stack(x, axis)


def gather(reference: Any, indices: Any) -> Any:
    """Rows by their numbers."""
    return ops.take(reference, indices, axis=0)


def arange(start: int, stop: int | None = None, step: int = 1, dtype: Any = "int32") -> Any:
    """Numbers from `start` below `stop`."""
    return ops.arange(start, stop, step, dtype)


def temporal_padding(x: Any, padding: tuple[int, int] = (1, 1)) -> Any:
    """Add steps of zeros before and after `(B, T, D)`."""
    return ops.pad(x, ((0, 0), tuple(padding), (0, 0)))


def spatial_2d_padding(
    x: Any,
    padding: Sequence[Sequence[int]] = ((1, 1), (1, 1)),
    data_format: str | None = None,
) -> Any:
    """Add rows and columns of zeros around images."""
    pairs = [tuple(pair) for pair in padding]
    before = 2 if standardize_data_format(data_format) == "channels_first" else 1
    return ops.pad(x, [(0, 0)] * before + pairs + [(0, 0)] * (2 - before))


def spatial_3d_padding(
    x: Any,
    padding: Sequence[Sequence[int]] = ((1, 1), (1, 1), (1, 1)),
    data_format: str | None = None,
) -> Any:
    """Add planes, rows and columns of zeros around volumes."""
    return spatial_2d_padding(x, padding, data_format)


def resize_images(
    x: Any,
    height_factor: int,
    width_factor: int,
    data_format: str,
    interpolation: str = "nearest",
) -> Any:
    """Enlarge images by whole factors."""
    first = data_format == "channels_first"
    height, width = int_shape(x)[2:4] if first else int_shape(x)[1:3]
    return ops.image.resize(
        x,
        (height * height_factor, width * width_factor),
        interpolation=interpolation,
        data_format=data_format,
    )


def resize_volumes(
    x: Any, depth_factor: int, height_factor: int, width_factor: int, data_format: str
) -> Any:
    """Enlarge volumes by whole factors, each value several times."""
    first = 2 if standardize_data_format(data_format) == "channels_first" else 1
    for axis, factor in enumerate((depth_factor, height_factor, width_factor), first):
        x = ops.repeat(x, factor, axis)
    return x


# Products, convolutions, normalization -----------------------------------------------------------


def batch_dot(x: Any, y: Any, axes: int | Sequence[int] | None = None) -> Any:
    """Products of each sample of `x` with that of `y`, summed over an axis of each.

    Args:
        x: `(B, ...)`.
        y: `(B, ...)`.
        axes: The axis of both, or one of each. Default: the last of `x` with the second to last of
            `y`, or its last where `y` is a matrix.

    Returns: The batch axis, the other axes of `x`, those of `y`; `(B, 1)` if there are none.

    Raises:
        ValueError: The batch axis is named, or there is no other.

    Example:
        >>> batch_dot(constant([[1.0, 2.0]]), constant([[3.0, 4.0]]), axes=1).tolist()
        [[11.0]]
    """
    rank_x, rank_y = ops.ndim(x), ops.ndim(y)
    if axes is None:
        axes = (rank_x - 1, rank_y - 1 if rank_y == 2 else rank_y - 2)
    pair = (axes, axes) if isinstance(axes, int) else tuple(axes)
    i, j = pair[0] % rank_x, pair[1] % rank_y
    if i == 0 or j == 0:
        raise ValueError(
            explain(
                "K.batch_dot: the batch axis 0 cannot be summed over.",
                axes=axes,
                shapes=(int_shape(x), int_shape(y)),
                fix="both need an axis beside that of the batch; see `K.expand_dims(x, 0)`.",
            )
        )
    letters = iter("cdefghijklmnopqrstuvwxyz")
    of_x = ["b", *(next(letters) for _ in range(rank_x - 1))]
    of_y = ["b", *(next(letters) for _ in range(rank_y - 1))]
    of_x[i] = of_y[j] = "a"
    left = [letter for letter in (*of_x, *of_y[1:]) if letter != "a"]
    result = ops.einsum(f"{''.join(of_x)},{''.join(of_y)}->{''.join(left)}", x, y)
    return ops.expand_dims(result, 1) if len(left) == 1 else result


def bias_add(x: Any, bias: Any, data_format: str | None = None) -> Any:
    """Add a bias of the size of the channel axis, or of all axes but the batch's."""
    if ops.ndim(bias) == 1 and data_format == "channels_first":
        bias = ops.reshape(bias, (-1, *(1,) * (ops.ndim(x) - 2)))
    return ops.add(x, bias)


def _conv(
    x: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Any:
    """Convolve with a kernel `(*sizes, in, out)`; see `keras.ops.conv`."""
    return ops.conv(x, kernel, strides, padding, data_format, dilation_rate)


conv2d = conv3d = _conv


def conv1d(
    x: Any,
    kernel: Any,
    strides: int = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: int = 1,
) -> Any:
    """Convolve sequences; with the padding "causal", no step sees a later one."""
    if padding == "causal":
        x, padding = temporal_padding(x, (dilation_rate * (len(kernel) - 1), 0)), "valid"
    return _conv(x, kernel, strides, padding, data_format, dilation_rate)


def conv2d_transpose(
    x: Any,
    kernel: Any,
    output_shape: Sequence[int | None],
    strides: Sequence[int] = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Sequence[int] = (1, 1),
) -> Tensor:
    """What the gradient of a convolution does: from the shape of its result to that of its input.

    Args:
        x: Images.
        kernel: `(*sizes, out, in)`.
        output_shape: The shape of the result, with the batch and the channels.
        strides, padding, dilation_rate: Of the convolution.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.
    """
    last = standardize_data_format(data_format) == "channels_last"
    x = x.permute(0, 3, 1, 2) if last else x
    y = F.conv_transpose2d(
        x, kernel.permute(3, 2, 0, 1), stride=tuple(strides), dilation=tuple(dilation_rate)
    )
    cuts: list[int] = []
    for size, full in zip(
        output_shape[1:3] if last else output_shape[2:], y.shape[2:], strict=True
    ):
        before = (full - size) // 2 if padding.lower() == "same" and full > size else 0
        cuts = [-before, size + before - full, *cuts]
    y = F.pad(y, cuts)
    return y.permute(0, 2, 3, 1) if last else y


def separable_conv2d(
    x: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1),
) -> Any:
    """Convolve each channel, then mix the channels; see `keras.ops.separable_conv`."""
    kernels = depthwise_kernel, pointwise_kernel
    return ops.separable_conv(x, *kernels, strides, padding, data_format, dilation_rate)


def depthwise_conv2d(
    x: Any,
    depthwise_kernel: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1),
) -> Any:
    """Convolve each channel with kernels of its own; see `keras.ops.depthwise_conv`."""
    return ops.depthwise_conv(x, depthwise_kernel, strides, padding, data_format, dilation_rate)


def _pool(
    x: Any,
    pool_size: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    pool_mode: str = "max",
) -> Any:
    """Take the largest or ("avg") the mean value of each window."""
    pool = {"max": ops.max_pool, "avg": ops.average_pool}.get(pool_mode)
    if pool is None:
        raise ValueError(f"K.pool: `pool_mode` must be 'max' or 'avg', got {pool_mode!r}.")
    return pool(x, pool_size, strides, padding, data_format)


pool2d = pool3d = _pool


def batch_normalization(
    x: Any, mean: Any, var: Any, beta: Any, gamma: Any, axis: int = -1, epsilon: float = 1e-3
) -> Any:
    """Normalize by a given mean and variance, then scale by `gamma` and shift by `beta`."""
    return ops.batch_normalization(x, mean, var, axis, beta, gamma, epsilon)


def gradients(loss: Any, variables: Sequence[Any]) -> Any:
    """Not available: PyTorch has no graph to take them from beforehand."""
    raise NotImplementedError(
        "K.gradients works on graphs, which there are none of. Fix: use"
        " `torch.autograd.grad(loss, variables)`, or `tf.GradientTape`."
    )


# Random numbers ----------------------------------------------------------------------------------


def random_normal_variable(
    shape: Sequence[int],
    mean: float,
    scale: float,
    dtype: Any = None,
    name: str | None = None,
    seed: int | None = None,
) -> Any:
    """Make a variable of normally distributed numbers."""
    return variable(random_normal(shape, mean, scale, dtype, seed), dtype, name)


def random_uniform_variable(
    shape: Sequence[int],
    low: float,
    high: float,
    dtype: Any = None,
    name: str | None = None,
    seed: int | None = None,
) -> Any:
    """Make a variable of evenly distributed numbers."""
    return variable(random_uniform(shape, low, high, dtype, seed), dtype, name)


def random_bernoulli(
    shape: Sequence[int], p: float = 0.0, dtype: Any = None, seed: int | None = None
) -> Tensor:
    """Ones with the probability `p`, else zeros."""
    return ops.cast(random_uniform(shape, seed=seed) < p, dtype or floatx())


def dropout(x: Any, level: float, noise_shape: Any = None, seed: int | None = None) -> Tensor:
    """Set the part `level` to zero and divide the rest by `1 - level`."""
    return random_dropout(x, level, noise_shape, seed)
