"""The functions of Keras 2's `keras.backend`, the `K` of older scripts, on those of `keras.ops`.

`torchkeras.backend` offers them beside its own names, as `tf.keras.backend` does. Names, arguments
and defaults are Keras 2's: reductions are along `axis`, `argmax` and its like along the last one.
Arguments are tensors, symbolic tensors, variables or arrays. What `keras.ops` spells alike is that
function itself. Source: `tf.keras.backend`; the functions without a counterpart in PyTorch (sparse
tensors, graphs of TensorFlow, `rnn`) are not here.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import torchkeras.ops as ops  # `from .. import ops` would import the package's root as well
import torchkeras.random as rng

from ..config import epsilon, floatx
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
from ..variables import Variable

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
    "cast",
    "cast_to_floatx",
    "categorical_crossentropy",
    "clip",
    "concatenate",
    "constant",
    "conv1d",
    "conv2d",
    "conv3d",
    "cos",
    "count_params",
    "ctc_batch_cost",
    "ctc_decode",
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
    "random_uniform",
    "relu",
    "repeat",
    "repeat_elements",
    "reshape",
    "resize_images",
    "reverse",
    "round",
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
    return to_numpy(x) if isinstance(x, Tensor) else x


eval = get_value


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
    padding: tuple[tuple[int, int], tuple[int, int]] = ((1, 1), (1, 1)),
    data_format: str | None = None,
) -> Any:
    """Add rows and columns of zeros around images."""
    rows, columns = (tuple(side) for side in padding)
    first = data_format == "channels_first"
    none = (0, 0)
    return ops.pad(x, (none, none, rows, columns) if first else (none, rows, columns, none))


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
    return x + bias


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


conv1d = conv2d = conv3d = _conv


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


# Losses ------------------------------------------------------------------------------------------


def sparse_categorical_crossentropy(
    target: Any,
    output: Any,
    from_logits: bool = False,
    axis: int = -1,
    ignore_class: int | None = None,
) -> Any:
    """Crossentropy of class numbers; zero where the class is `ignore_class`."""
    if ignore_class is None:
        return ops.sparse_categorical_crossentropy(target, output, from_logits, axis)
    valid = ops.not_equal(target, ignore_class)
    losses = ops.sparse_categorical_crossentropy(
        ops.where(valid, target, 0), output, from_logits, axis
    )
    return ops.where(valid, losses, 0.0)


def ctc_batch_cost(y_true: Tensor, y_pred: Tensor, input_length: Any, label_length: Any) -> Tensor:
    """Connectionist temporal classification, with the last class as the blank.

    Args:
        y_true: Labels `(B, L)`.
        y_pred: Probabilities `(B, T, C)`.
        input_length: Valid steps of `y_pred`, `(B, 1)`.
        label_length: Valid labels of `y_true`, `(B, 1)`.

    Returns: Losses, `(B, 1)`.

    Source: Graves et al. 2006.
    """
    scores = torch.log(y_pred.transpose(0, 1) + epsilon()).log_softmax(-1)
    lengths = [ops.cast(n, "int64").reshape(-1) for n in (input_length, label_length)]
    blank = y_pred.shape[-1] - 1
    labels = ops.cast(y_true, "int64")
    return F.ctc_loss(scores, labels, *lengths, blank=blank, reduction="none")[:, None]


def ctc_decode(
    y_pred: Tensor,
    input_length: Any,
    greedy: bool = True,
    beam_width: int = 100,
    top_paths: int = 1,
) -> tuple[list[Tensor], Tensor]:
    """The labels that probabilities stand for, with the last class as the blank.

    Args:
        y_pred: `(B, T, C)`.
        input_length: Valid steps, `(B,)`.
        greedy: Take the likeliest class of each step; a beam search is not there.
        beam_width, top_paths: Of that search.

    Returns: A list of one tensor `(B, T)`, filled up with -1, and minus the sums of the logarithms
        of the probabilities, `(B, 1)`.
    """
    scores = torch.log(y_pred + epsilon())
    strategy = "greedy" if greedy else "beam_search"
    decoded, score = ops.ctc_decode(
        scores, input_length, strategy, beam_width, top_paths, mask_index=y_pred.shape[-1] - 1
    )
    return [path.long() for path in decoded], score


def gradients(loss: Any, variables: Sequence[Any]) -> Any:
    """Not available: PyTorch has no graph to take them from beforehand."""
    raise NotImplementedError(
        "K.gradients works on graphs, which there are none of. Fix: use"
        " `torch.autograd.grad(loss, variables)`, or `tf.GradientTape`."
    )


# Random numbers and functions --------------------------------------------------------------------


def random_normal(
    shape: Sequence[int],
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: Any = None,
    seed: int | None = None,
) -> Tensor:
    """Normally distributed numbers; see `keras.random.normal`."""
    return rng.normal(shape, mean, stddev, dtype, seed)


def random_uniform(
    shape: Sequence[int],
    minval: float = 0.0,
    maxval: float = 1.0,
    dtype: Any = None,
    seed: int | None = None,
) -> Tensor:
    """Evenly distributed numbers; see `keras.random.uniform`."""
    return rng.uniform(shape, minval, maxval, dtype, seed)


def random_bernoulli(
    shape: Sequence[int], p: float = 0.0, dtype: Any = None, seed: int | None = None
) -> Tensor:
    """Ones with the probability `p`, else zeros."""
    return ops.cast(rng.uniform(shape, seed=seed) < p, dtype or floatx())


def truncated_normal(
    shape: Sequence[int],
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: Any = None,
    seed: int | None = None,
) -> Tensor:
    """Normally distributed numbers within two `stddev`; see `keras.random.truncated_normal`."""
    return rng.truncated_normal(shape, mean, stddev, dtype, seed)


def dropout(x: Any, level: float, noise_shape: Any = None, seed: int | None = None) -> Tensor:
    """Set the part `level` to zero and divide the rest by `1 - level`."""
    return rng.dropout(x, level, noise_shape, seed)


def map_fn(fn: Callable[..., Any], elems: Any, name: str | None = None, dtype: Any = None) -> Any:
    """Apply a function to each slice along the first axis; `name` and `dtype` are ignored."""
    return ops.map(fn, elems)


def foldl(fn: Callable[..., Any], elems: Tensor, initializer: Any = None, name: Any = None) -> Any:
    """Combine the slices along the first axis from the left: `fn(so_far, slice)`.

    >>> float(foldl(lambda a, x: 2 * a + x, constant([1.0, 2.0, 3.0])))
    11.0
    """
    slices = list(elems)
    if initializer is not None:
        slices.insert(0, initializer)
    return functools.reduce(fn, slices)


def foldr(fn: Callable[..., Any], elems: Tensor, initializer: Any = None, name: Any = None) -> Any:
    """Combine the slices from the right; see `foldl`."""
    return foldl(fn, elems.flip(0), initializer)
