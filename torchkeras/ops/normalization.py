"""Normalization, attention, cross-entropy, and encodings of class numbers.

Probabilities are clamped to `[eps, 1 - eps]`, with `eps = config.epsilon()`, before logarithms.
Masks: True means "may be attended to".
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..config import epsilon as default_epsilon
from ..config import floatx
from ..dtypes import result_type, to_torch
from ..graph.context import CONTEXT
from ..graph.infer import SizeMismatch, known_shape, marked_sparse
from ..graph.operation import op
from .common import (
    Axes,
    DType,
    as_floating,
    as_tensor,
    as_tensors,
    canonical_axes,
    canonical_axis,
    promote,
)

__all__ = [
    "batch_normalization",
    "binary_crossentropy",
    "categorical_crossentropy",
    "dot_product_attention",
    "layer_normalization",
    "moments",
    "multi_hot",
    "normalize",
    "one_hot",
    "polar",
    "psnr",
    "rms_normalization",
    "sparse_categorical_crossentropy",
]

_PATH = "keras.src.ops.nn."


@op(path=_PATH + "Moments")
def moments(
    x: Tensor, axes: Axes, keepdims: bool = False, synchronized: bool = False
) -> tuple[Tensor, Tensor]:
    """The mean and the variance over axes.

    Args:
        x: Floats.
        axes: Which.
        keepdims: Whether reduced axes stay, with size 1.
        synchronized: Accepted as in Keras; must be `False`.

    Raises:
        NotImplementedError: `synchronized` is true.

    Example:
        >>> [part.item() for part in moments([1.0, 3.0], 0)]
        [2.0, 1.0]
    """
    if synchronized:
        raise NotImplementedError(
            "moments: `synchronized=True` is not supported; use `torch.nn.SyncBatchNorm`."
        )
    axes = list(axes) if isinstance(axes, (list, tuple)) else axes
    x = as_tensor(x)
    if x.dtype is not torch.float16:
        variance, mean = torch.var_mean(x, axes, correction=0, keepdim=keepdims)
        return mean, variance
    # The squares of float16 numbers overflow early; what is still too large becomes the largest.
    limits = torch.finfo(torch.float16)
    parts = torch.var_mean(x.float(), axes, correction=0, keepdim=keepdims)
    variance, mean = (part.clamp(limits.min, limits.max).half() for part in parts)
    return mean, variance


@op(path=_PATH + "BatchNorm")
def batch_normalization(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    axis: int,
    offset: Tensor | None = None,
    scale: Tensor | None = None,
    epsilon: float = 1e-3,
) -> Tensor:
    """`(x - mean) / sqrt(variance + epsilon) * scale + offset`, with statistics per channel.

    Args:
        x: Floats.
        mean, variance: One per channel; gradients reach them.
        axis: The channels.
        offset, scale: One per channel.
        epsilon: Added to the variance.

    Raises:
        ValueError: In a graph: a vector is not as long as there are channels; otherwise torch
            raises its own error.

    Example:
        >>> batch_normalization([[1.0], [3.0]], [2.0], [1.0], -1, epsilon=0.0).tolist()
        [[-1.0], [1.0]]
    """
    x, mean, variance = as_tensors(x, mean, variance)
    shape = [1] * x.ndim
    shape[axis] = -1
    if CONTEXT.meta:
        vectors = {"mean": mean, "variance": variance, "offset": offset, "scale": scale}
        _check_vectors(known_shape(x)[axis], vectors)
    factor = torch.rsqrt(variance + epsilon)
    if scale is not None:
        factor = factor * as_tensor(scale, like=x)
    result = (x - mean.reshape(shape)) * factor.reshape(shape)
    return result if offset is None else result + as_tensor(offset, like=x).reshape(shape)


def _check_vectors(channels: int | None, vectors: dict[str, Any]) -> None:
    for name, vector in vectors.items():
        shape = (channels,) if vector is None else known_shape(as_tensor(vector))
        if len(shape) != 1 or (None not in (channels, *shape) and shape != (channels,)):
            raise ValueError(
                f"batch_normalization: `{name}` must be a vector of length {channels}, the number"
                f" of channels. Received: shape={shape}"
            )


def _over_axes(kernel: Any, x: Tensor, axis: Axes, *weights: Any) -> Tensor:
    """Apply a kernel that normalizes trailing axes to any ones."""
    dims = sorted(canonical_axes(-1 if axis is None else axis, x.ndim))
    shape = [x.shape[dim] for dim in dims]
    weights = tuple(None if w is None else as_tensor(w, x.dtype, x).reshape(shape) for w in weights)
    if dims == list(range(x.ndim - len(dims), x.ndim)):
        return kernel(x, shape, *weights)
    order = [dim for dim in range(x.ndim) if dim not in dims] + dims
    result = kernel(x.permute(order), shape, *weights)
    return result.permute(sorted(range(x.ndim), key=order.__getitem__))


def _as_wide(x: Any) -> tuple[Tensor, torch.dtype]:
    """Return `x` in at least `float32`, and the dtype it had."""
    x = as_tensor(x)
    narrow = x.dtype not in (torch.float32, torch.float64)
    return x.float() if narrow else x, x.dtype


def layer_normalization(
    x: Tensor,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    axis: Axes = -1,
    epsilon: float | None = None,
    **kwargs: Any,
) -> Tensor:
    """Make mean 0 and variance 1 over axes, then scale by `gamma` and add `beta`.

    Args:
        x: Floats; computed in `float32` at least.
        gamma, beta: Of the sizes of the axes.
        axis: Which axes.
        epsilon: Added to the variance. Default: `config.epsilon()`.
        kwargs: `rms_scaling`, deprecated: divide by the standard deviation only.

    Source: Ba et al. 2016.

    Example:
        >>> layer_normalization([1.0, 3.0], epsilon=0.0).tolist()
        [-1.0, 1.0]
    """
    rms_scaling = kwargs.pop("rms_scaling", False)
    if kwargs:
        raise TypeError(f"layer_normalization got unknown arguments: {sorted(kwargs)}")
    if rms_scaling:
        warnings.warn(
            "You passed `rms_scaling=True`, which is deprecated: it divides by the standard"
            " deviation, not by the root mean square. Use `rms_normalization`.",
            stacklevel=2,
        )
    return _layer_normalization(x, gamma, beta, axis, epsilon, rms_scaling)


@op(path=_PATH + "LayerNorm")
def _layer_normalization(
    x: Tensor,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    axis: Axes = -1,
    epsilon: float | None = None,
    rms_scaling: bool = False,
) -> Tensor:
    epsilon = default_epsilon() if epsilon is None else epsilon
    wide, dtype = _as_wide(x)

    def kernel(x: Tensor, shape: list[int], gamma: Any, beta: Any) -> Tensor:
        if not rms_scaling:
            return F.layer_norm(x, shape, gamma, beta, epsilon)
        dims = tuple(range(-len(shape), 0))
        result = x * torch.rsqrt(torch.var(x, dims, correction=0, keepdim=True) + epsilon)
        return result if gamma is None else result * gamma

    return _over_axes(kernel, wide, axis, gamma, beta).to(dtype)


@op(path=_PATH + "RMSNorm", keywords=("scale",))
def rms_normalization(
    x: Tensor, scale: Tensor | None = None, axis: Axes = -1, epsilon: float | None = None
) -> Tensor:
    """Divide by the root mean square over axes, then multiply by `scale`.

    Args:
        x: Floats; computed in `float32` at least.
        scale: Of the sizes of the axes.
        axis: Which axes.
        epsilon: Added to the mean square. Default: `config.epsilon()`.

    Source: Zhang & Sennrich 2019.

    Example:
        >>> rms_normalization([3.0, 3.0], epsilon=0.0).tolist()
        [1.0, 1.0]
    """
    epsilon = default_epsilon() if epsilon is None else epsilon
    wide, dtype = _as_wide(x)

    def kernel(x: Tensor, shape: list[int], weight: Any) -> Tensor:
        return F.rms_norm(x, shape, weight, epsilon)

    return _over_axes(kernel, wide, axis, scale).to(dtype)


@op(path=_PATH + "Normalize")
def normalize(x: Tensor, axis: Axes = -1, order: int = 2, epsilon: float | None = None) -> Tensor:
    """`x` divided by its norm along an axis.

    Args:
        x: Anything numeric.
        axis: The axis.
        order: Of the norm.
        epsilon: The least divisor. Default: `config.epsilon()`.

    Raises:
        ValueError: `order` is no positive integer, or an axis is outside the rank.

    Example:
        >>> normalize([3.0, 4.0])
        tensor([0.6000, 0.8000])
    """
    if not isinstance(order, int) or order < 1:
        raise ValueError(f"Argument `order` must be an int >= 1. Received: order={order}")
    x = as_tensor(x)
    x = as_floating(x.unsqueeze(0) if x.ndim == 0 else x)
    epsilon = default_epsilon() if epsilon is None else epsilon
    rank = x.ndim
    axis = canonical_axis(axis, rank) if type(axis) is int else canonical_axes(axis, rank)
    if order == 2:
        largest = 1.0 / epsilon
        if x.dtype is torch.float16:
            largest = min(largest, 65504.0)
        squares = torch.sum(x.square(), axis, True)
        return x * torch.rsqrt(squares).clamp(max=largest)
    return x / torch.linalg.norm(x, order, axis, True).clamp(min=epsilon)


# Attention ---------------------------------------------------------------------------------------


@op(path=_PATH + "DotProductAttention", keywords=("bias", "mask", "scale"))
def dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    scale: float | Tensor | None = None,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Tensor:
    """Values averaged by the softmax of the products of queries and keys, per head.

    Letters: B batch, T queries, S keys, N heads, K heads of keys (N is a multiple), H width.

    Args:
        query: `(B, T, N, H)`.
        key, value: `(B, S, K, H)`.
        bias: Added to the logits, `(B, N, T, S)`.
        mask: Whether a query may see a key, `(B, N, T, S)`.
        scale: Of the logits. Default: `1 / sqrt(H)`.
        is_causal: Whether a query sees only keys up to its own place.
        flash_attention: Whether flash attention must be used; `None` lets torch choose.
        attn_logits_soft_cap: Accepted as in Keras; must be `None`.

    Raises:
        ValueError: An input has another number of axes, both `bias` and `mask` are given, or
            `attn_logits_soft_cap` is.

    Source: Vaswani et al. 2017; `torch.nn.functional.scaled_dot_product_attention` (kernel).

    Example:
        >>> x = torch.ones(1, 3, 2, 4)
        >>> dot_product_attention(x, x, x, is_causal=True).shape
        torch.Size([1, 3, 2, 4])
    """
    if attn_logits_soft_cap is not None:
        raise ValueError("`attn_logits_soft_cap` is not supported on torch; leave it out.")
    query, key, value = as_tensors(query, key, value)
    if query.ndim != 4 or key.ndim != 4 or value.ndim != 4:
        raise ValueError(
            "`dot_product_attention` only supports 4D inputs. Received:"
            f" query.shape={tuple(query.shape)}, key.shape={tuple(key.shape)},"
            f" value.shape={tuple(value.shape)}."
        )
    if bias is not None and mask is not None:
        raise ValueError("Only one of `bias` and `mask` can be provided. Received both.")
    if not (query.dtype == key.dtype == value.dtype and query.is_floating_point()):
        dtype = to_torch(result_type(query.dtype, key.dtype, value.dtype, float))
        query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    if CONTEXT.meta and any(None in known_shape(x) for x in (query, key, value)):
        # As the query, of which more may be known than of the others.
        width = known_shape(value)[3]
        return query.new_empty(*query.shape[:3], query.shape[3] if width is None else width)
    added = None if bias is None else as_tensor(bias, query.dtype, query)
    if mask is not None:
        mask = as_tensor(mask, torch.bool, query)
        if is_causal:  # torch takes a mask or `is_causal`, not both
            mask = mask & mask.new_ones(query.shape[1], key.shape[1]).tril()
            is_causal = False
        # A finite number, so that rows in which all is masked are no NaNs.
        added = torch.zeros_like(mask, dtype=query.dtype)
        added = added.masked_fill(~mask, 0.7 * torch.finfo(query.dtype).min)
    query, key, value = (x.transpose(1, 2) for x in (query, key, value))
    grouped = query.shape[1] != key.shape[1]
    options = {"attn_mask": added, "is_causal": is_causal, "scale": scale, "enable_gqa": grouped}
    if flash_attention:
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.FLASH_ATTENTION):
            result = F.scaled_dot_product_attention(query, key, value, **options)
    else:
        result = F.scaled_dot_product_attention(query, key, value, **options)
    return result.transpose(1, 2)


# Cross-entropy -----------------------------------------------------------------------------------


def _shapes_differ(target: Tensor, output: Tensor) -> ValueError:
    return ValueError(
        "Arguments `target` and `output` must have the same shape. Received:"
        f" target.shape={tuple(target.shape)}, output.shape={tuple(output.shape)}"
    )


def _clamped(output: Tensor) -> Tensor:
    eps = default_epsilon()
    return output.clamp(eps, 1.0 - eps)


@op(path=_PATH + "BinaryCrossentropy")
def binary_crossentropy(target: Tensor, output: Tensor, from_logits: bool = False) -> Tensor:
    """The cross-entropy of yes/no labels, one by one.

    Args:
        target: Labels in [0, 1].
        output: Probabilities, or logits with `from_logits`; same shape.
        from_logits: Whether `output` is unnormalized.

    Raises:
        ValueError: The shapes differ.

    Example:
        >>> binary_crossentropy([1.0], [0.5])
        tensor([0.6931])
    """
    target, output = as_tensors(target, output)
    if target.shape != output.shape:
        raise _shapes_differ(target, output)
    target, output = promote(target, output, float)
    if from_logits:
        return F.binary_cross_entropy_with_logits(output, target, reduction="none")
    return F.binary_cross_entropy(_clamped(output), target, reduction="none")


@op(path=_PATH + "CategoricalCrossentropy")
def categorical_crossentropy(
    target: Tensor, output: Tensor, from_logits: bool = False, axis: int = -1
) -> Tensor:
    """The cross-entropy of distributions over classes.

    Args:
        target: Probabilities of the classes.
        output: Predicted ones, or logits with `from_logits`; same shape.
        from_logits: Whether `output` is unnormalized.
        axis: The classes.

    Raises:
        ValueError: The shapes differ, or are those of scalars.

    Example:
        >>> categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]])
        tensor([0.6931])
    """
    target, output = as_tensors(target, output)
    if target.shape != output.shape or not target.ndim:
        raise _shapes_differ(target, output)
    return -torch.sum(target * _log_probabilities(output, from_logits, axis), axis)


def _log_probabilities(output: Tensor, from_logits: bool, axis: int) -> Tensor:
    if from_logits:
        return F.log_softmax(output, axis)
    return torch.log(_clamped(output / output.sum(axis, keepdim=True)))


@op(path=_PATH + "SparseCategoricalCrossentropy")
def sparse_categorical_crossentropy(
    target: Tensor, output: Tensor, from_logits: bool = False, axis: int = -1
) -> Tensor:
    """The cross-entropy of class numbers.

    Args:
        target: Class numbers; the shape of `output` without the classes, or with size 1 there.
        output: Probabilities of the classes, or logits with `from_logits`.
        from_logits: Whether `output` is unnormalized.
        axis: The classes.

    Raises:
        ValueError: The shapes do not fit.

    Example:
        >>> sparse_categorical_crossentropy([1], [[0.5, 0.5]])
        tensor([0.6931])
    """
    target, output = as_tensors(target, output)
    if output.ndim < 1:
        raise ValueError("Argument `output` must be at least rank 1. Received a scalar.")
    if target.ndim == output.ndim and target.shape[axis] == 1:
        target = target.squeeze(axis)
    axis = axis % output.ndim
    if target.shape != output.shape[:axis] + output.shape[axis + 1 :]:
        raise SizeMismatch(
            "Arguments `target` and `output` must have the same shape up until the last dimension:"
            f" target.shape={tuple(target.shape)}, output.shape={tuple(output.shape)}"
        )
    target = target.to(torch.int64)
    if output.ndim == 1:
        log_probabilities = _log_probabilities(output[None], from_logits, 1)
        return F.nll_loss(log_probabilities, target[None], reduction="none")[0]
    output = output.movedim(axis, 1)
    if from_logits:
        return F.cross_entropy(output, target, reduction="none")
    return F.nll_loss(_log_probabilities(output, False, 1), target, reduction="none")


# Encodings and others ----------------------------------------------------------------------------


def one_hot(
    x: Tensor, num_classes: int, axis: int = -1, dtype: DType = None, sparse: bool = False
) -> Tensor:
    """1 at the place of each class number and 0 elsewhere; all 0 for numbers out of range.

    Args:
        x: Class numbers.
        num_classes: How many classes there are.
        axis: Where they are in the result.
        dtype: Default: `floatx`.
        sparse: Accepted as in Keras; must be `False`. In a graph it marks the symbolic result, and
            the error comes when the graph runs.

    Raises:
        ValueError: `sparse` is true.

    Example:
        >>> one_hot([1, 0], 2).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    return _one_hot(x, num_classes, axis, floatx() if dtype is None else dtype, sparse)


@op(path=_PATH + "OneHot")
def _one_hot(
    x: Tensor, num_classes: int, axis: int = -1, dtype: DType = None, sparse: bool = False
) -> Tensor:
    if sparse and not CONTEXT.meta:
        raise ValueError("one_hot: torch has no sparse result. Received: sparse=True")
    x = as_tensor(x, torch.int64)
    after = -1 - axis if axis < 0 else x.ndim - axis  # how many axes follow the classes'
    classes = torch.arange(num_classes, device=x.device)
    if after:
        classes = classes.reshape(num_classes, *[1] * after)
    result = torch.eq(x.unsqueeze(axis), classes).to(to_torch(dtype))
    return marked_sparse(result) if sparse else result


def multi_hot(
    inputs: Tensor,
    num_classes: int | None = None,
    axis: int = -1,
    dtype: DType = None,
    sparse: bool = False,
    **kwargs: Any,
) -> Tensor:
    """1 at the place of each of several class numbers and 0 elsewhere.

    Args:
        inputs: Class numbers, `(..., N)`.
        num_classes: How many classes there are; formerly `num_tokens`.
        axis: Where they are in the result.
        dtype: Default: `floatx`.
        sparse: Accepted as in Keras; must be `False`.

    Raises:
        ValueError: `num_classes` is missing, or `sparse` is true.

    Example:
        >>> multi_hot([[0, 2]], 3).tolist()
        [[1.0, 0.0, 1.0]]
    """
    num_classes = kwargs.pop("num_tokens", None) if num_classes is None else num_classes
    if num_classes is None:
        raise ValueError("Argument `num_classes` must be specified.")
    return _multi_hot(inputs, num_classes, axis, floatx() if dtype is None else dtype, sparse)


@op(path=_PATH + "MultiHot")
def _multi_hot(
    inputs: Tensor,
    num_classes: int | None = None,
    axis: int = -1,
    dtype: DType = None,
    sparse: bool = False,
) -> Tensor:
    inputs = as_tensor(inputs)
    result = one_hot(inputs, num_classes, axis, dtype, sparse).amax(1 if inputs.ndim > 1 else 0)
    return marked_sparse(result) if sparse else result


@op(path=_PATH + "PSNR")
def psnr(x1: Tensor, x2: Tensor, max_val: float) -> Tensor:
    """The peak signal-to-noise ratio of two images, in decibels.

    Args:
        x1, x2: Images of one shape.
        max_val: The largest value that pixels may have.

    Raises:
        ValueError: The shapes differ.

    Example:
        >>> psnr(torch.zeros(2, 2), torch.ones(2, 2), 10.0).item()
        20.0
    """
    x1, x2 = as_tensors(x1, x2)
    if x1.shape != x2.shape:
        raise SizeMismatch(
            f"psnr: the shapes must match. Received: {tuple(x1.shape)} and {tuple(x2.shape)}"
        )
    peak = as_tensor(max_val, x1.dtype, x1)
    return 20 * torch.log10(peak) - 10 * torch.log10((x1 - x2).square().mean())


@op(path=_PATH + "Polar")
def polar(abs_: Tensor, angle: Tensor) -> Tensor:
    """The complex numbers of given moduli and angles.

    Example:
        >>> polar([2.0], [0.0]).tolist()
        [(2+0j)]
    """
    abs_, angle = promote(abs_, angle, float)
    compute = torch.promote_types(abs_.dtype, torch.float32)  # no complex halves
    return torch.polar(abs_.to(compute), angle.to(compute))
