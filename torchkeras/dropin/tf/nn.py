"""`tf.nn`: a table from TensorFlow's names to functions of `keras.ops` or torch."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

import torchkeras.ops as ops  # `from ... import ops` would import the package's root as well

from . import random
from .arrays import ARRAYS, ints
from .math import MATH
from .strategies import replica_loss
from .tables import activation, named
from .tensors import tensor_or_symbol

__all__ = ["NN"]

t = tensor_or_symbol

_LAYOUTS = {"N": "channels_last", "C": "channels_first"}


def _layout(data_format: str | None) -> str:
    """`NHWC` and its like as Keras's name."""
    return "channels_first" if (data_format or "NHWC")[1] == "C" else "channels_last"


def _spatial(sizes: Any, axes: int, layout: str) -> tuple[int, ...]:
    """Strides or window sizes, given for all axes, for the spatial ones or as a number."""
    sizes = ints(sizes)
    if len(sizes) == 1:
        return sizes * axes
    if len(sizes) == axes + 2:
        return sizes[2:] if layout == "channels_first" else sizes[1:-1]
    return sizes


def _convolution(axes: int) -> Any:
    def apply(
        input: Any,
        filters: Any,
        strides: Any = 1,
        padding: Any = "VALID",
        data_format: str | None = None,
        dilations: Any = None,
        name: str | None = None,
    ) -> Any:
        layout = _layout(data_format)
        if not isinstance(padding, str):
            widths = [list(pair) for pair in padding]
            input, padding = ARRAYS["pad"](input, widths), "valid"
        return ops.conv(
            t(input),
            t(filters),
            _spatial(strides, axes, layout),
            padding.lower(),
            layout,
            _spatial(dilations or 1, axes, layout),
        )

    return apply


def _transposed(axes: int) -> Any:
    def apply(
        input: Any,
        filters: Any,
        output_shape: Any,
        strides: Any,
        padding: str = "SAME",
        data_format: str | None = None,
        dilations: Any = None,
        name: str | None = None,
    ) -> Any:
        x, kernel, layout = t(input), t(filters), _layout(data_format)
        steps = _spatial(strides, axes, layout)
        wanted = _spatial(output_shape, axes, layout)
        first = 2 if layout == "channels_first" else 1
        extra = []
        for size, step, width, target in zip(
            x.shape[first : first + axes], steps, kernel.shape[:axes], wanted, strict=True
        ):
            # Keras's padding of the output: what lies beyond the smallest fitting size.
            least = (size - 1) * step + (width - 2 * (width // 2) if padding == "SAME" else width)
            extra.append(int(target) - least)
        return ops.conv_transpose(x, kernel, steps, padding.lower(), tuple(extra), layout)

    return apply


def _depthwise(
    input: Any,
    filter: Any,
    strides: Any,
    padding: str,
    data_format: str | None = None,
    dilations: Any = None,
    name: str | None = None,
) -> Any:
    layout = _layout(data_format)
    return ops.depthwise_conv(
        t(input),
        t(filter),
        _spatial(strides, 2, layout),
        padding.lower(),
        layout,
        _spatial(dilations or 1, 2, layout),
    )


def _separable(
    input: Any,
    depthwise_filter: Any,
    pointwise_filter: Any,
    strides: Any,
    padding: str,
    data_format: str | None = None,
    dilations: Any = None,
    name: str | None = None,
) -> Any:
    deep = _depthwise(input, depthwise_filter, strides, padding, data_format, dilations)
    return ops.conv(deep, t(pointwise_filter), 1, "valid", _layout(data_format))


def _pooling(op: Any, axes: int | None) -> Any:
    def apply(
        input: Any,
        ksize: Any,
        strides: Any,
        padding: str = "VALID",
        data_format: str | None = None,
        name: str | None = None,
    ) -> Any:
        x, layout = t(input), _layout(data_format)
        count = axes or x.ndim - 2
        window, steps = _spatial(ksize, count, layout), _spatial(strides, count, layout)
        if op is ops.average_pool and padding == "SAME":
            return _average_same(x, window, steps, layout)
        return op(x, window, steps, padding.lower(), layout)

    return apply


def _average_same(x: Any, window: Any, strides: Any, layout: str) -> Any:
    """Average over what of each window lies within the tensor."""
    first = 2 if layout == "channels_first" else 1
    widths = [(0, 0)] * len(x.shape)
    for axis, (width, stride) in enumerate(zip(window, strides, strict=True), first):
        size = x.shape[axis]
        total = max(0, (-(-size // stride) - 1) * stride + width - size)
        widths[axis] = (total // 2, total - total // 2)

    def pool(values: Any) -> Any:
        return ops.average_pool(ops.pad(values, widths), window, strides, "valid", layout)

    return pool(x) / pool(ops.ones_like(x))


def _pool(
    input: Any,
    window_shape: Any,
    pooling_type: str,
    strides: Any = None,
    padding: str = "VALID",
    data_format: str | None = None,
    dilations: Any = None,
    name: str | None = None,
) -> Any:
    op = ops.max_pool if pooling_type.upper() == "MAX" else ops.average_pool
    return _pooling(op, None)(input, window_shape, strides or 1, padding, data_format)


def _softmax_cross_entropy(labels: Any, logits: Any, axis: int = -1, name: str = "") -> Any:
    logits = t(logits)
    labels = ops.cast(t(labels), logits.dtype)
    return -ops.sum(labels * ops.log_softmax(logits, axis=axis), axis=axis)


def _sparse_cross_entropy(labels: Any, logits: Any, name: str | None = None) -> Any:
    return ops.sparse_categorical_crossentropy(t(labels), t(logits), from_logits=True)


def _sigmoid_cross_entropy(labels: Any = None, logits: Any = None, name: str = "") -> Any:
    x = t(logits)
    z = ops.cast(t(labels), x.dtype)
    return ops.maximum(x, 0) - x * z + ops.log1p(ops.exp(-ops.abs(x)))


def _weighted_cross_entropy(labels: Any, logits: Any, pos_weight: Any, name: str = "") -> Any:
    x = t(logits)
    z = ops.cast(t(labels), x.dtype)
    weight = 1 + (pos_weight - 1) * z
    soft = ops.log1p(ops.exp(-ops.abs(x))) + ops.maximum(-x, 0)
    return (1 - z) * x + weight * soft


def _moments(x: Any, axes: Any, shift: Any = None, keepdims: bool = False, name: str = "") -> Any:
    return ops.moments(t(x), axes=ints(axes), keepdims=keepdims)


def _batch_normalization(
    x: Any,
    mean: Any,
    variance: Any,
    offset: Any,
    scale: Any,
    variance_epsilon: float,
    name: str = "",
) -> Any:
    factor = ops.rsqrt(t(variance) + variance_epsilon)
    factor = factor if scale is None else factor * t(scale)
    shift = -t(mean) * factor
    return t(x) * factor + (shift if offset is None else shift + t(offset))


def _dropout(
    x: Any, rate: Any, noise_shape: Any = None, seed: int | None = None, name: str | None = None
) -> Any:
    x = t(x)
    shape = tuple(x.shape) if noise_shape is None else noise_shape
    shape = [own if size is None else size for own, size in zip(x.shape, shape, strict=True)]
    kept = random.uniform(shape, seed=seed) >= rate
    return torch.where(kept, x / (1 - rate), torch.zeros_like(x))


def _embedding_lookup(params: Any, ids: Any, max_norm: Any = None, name: str | None = None) -> Any:
    rows = ops.take(t(params), t(ids), axis=0)
    if max_norm is None:
        return rows
    norms = ops.sqrt(ops.sum(ops.square(rows), axis=-1, keepdims=True))
    return rows * max_norm / ops.maximum(norms, max_norm)


def _local_response(
    input: Any,
    depth_radius: int = 5,
    bias: float = 1,
    alpha: float = 1,
    beta: float = 0.5,
    name: str | None = None,
) -> torch.Tensor:
    x = t(input).movedim(-1, 1)
    size = 2 * depth_radius + 1  # torch divides alpha by it
    return F.local_response_norm(x, size, alpha * size, beta, bias).movedim(1, -1)


def _bias_add(value: Any, bias: Any, data_format: str | None = None, name: str = "") -> Any:
    x, b = t(value), t(bias)
    if data_format is not None and data_format[1] == "C":
        b = ops.reshape(b, (-1, *[1] * (len(x.shape) - 2)))
    return x + b


def _leaky_relu(features: Any, alpha: float = 0.2, name: str | None = None) -> Any:
    return ops.leaky_relu(t(features), negative_slope=alpha)


def _gelu(features: Any, approximate: bool = False, name: str | None = None) -> Any:
    return ops.gelu(t(features), approximate=approximate)


def _silu(features: Any, beta: float = 1.0) -> Any:
    x = t(features)
    return ops.silu(x) if beta == 1 else x * ops.sigmoid(beta * x)


def _average_loss(
    per_example_loss: Any, sample_weight: Any = None, global_batch_size: Any = None
) -> Any:
    losses = t(per_example_loss)
    losses = losses if sample_weight is None else losses * t(sample_weight)
    return replica_loss(ops.sum(losses), losses.shape[0], global_batch_size)


def _space_op(op: Any) -> Any:
    def apply(input: Any, block_size: int, data_format: str = "NHWC", name: str = "") -> Any:
        layout = "channels_first" if data_format == "NCHW" else "channels_last"
        return op(t(input), block_size, data_format=layout)

    return apply


NN: dict[str, Any] = {
    **{
        name: activation(getattr(ops, op))
        for name, op in {
            "elu": "elu",
            "relu": "relu",
            "relu6": "relu6",
            "selu": "selu",
            "sigmoid": "sigmoid",
            "softplus": "softplus",
            "softsign": "softsign",
            "tanh": "tanh",
        }.items()
    },
    "crelu": lambda features, axis=-1, name=None: ops.relu(
        ops.concatenate([t(features), -t(features)], axis=axis)
    ),
    "gelu": _gelu,
    "leaky_relu": _leaky_relu,
    "silu": _silu,
    "swish": _silu,
    **{
        name: MATH[name]
        for name in ("in_top_k l2_normalize log_softmax softmax top_k zero_fraction".split())
    },
    "avg_pool": _pooling(ops.average_pool, None),
    "avg_pool1d": _pooling(ops.average_pool, 1),
    "avg_pool2d": _pooling(ops.average_pool, 2),
    "avg_pool3d": _pooling(ops.average_pool, 3),
    "batch_normalization": _batch_normalization,
    "bias_add": _bias_add,
    "compute_average_loss": _average_loss,
    "conv1d": _convolution(1),
    "conv2d": _convolution(2),
    "conv3d": _convolution(3),
    "conv1d_transpose": _transposed(1),
    "conv2d_transpose": _transposed(2),
    "conv3d_transpose": _transposed(3),
    "depth_to_space": _space_op(ops.depth_to_space),
    "depthwise_conv2d": _depthwise,
    "dropout": _dropout,
    "embedding_lookup": _embedding_lookup,
    "l2_loss": lambda t, name=None: ops.sum(ops.square(tensor_or_symbol(t))) / 2,
    "local_response_normalization": _local_response,
    "lrn": _local_response,
    "max_pool": _pooling(ops.max_pool, None),
    "max_pool1d": _pooling(ops.max_pool, 1),
    "max_pool2d": _pooling(ops.max_pool, 2),
    "max_pool3d": _pooling(ops.max_pool, 3),
    "moments": _moments,
    "pool": _pool,
    "scale_regularization_loss": lambda regularization_loss: replica_loss(
        ops.sum(t(regularization_loss))
    ),
    "separable_conv2d": _separable,
    "sigmoid_cross_entropy_with_logits": _sigmoid_cross_entropy,
    "softmax_cross_entropy_with_logits": _softmax_cross_entropy,
    "space_to_depth": _space_op(ops.space_to_depth),
    "sparse_softmax_cross_entropy_with_logits": _sparse_cross_entropy,
    "weighted_cross_entropy_with_logits": _weighted_cross_entropy,
}

named(NN)
