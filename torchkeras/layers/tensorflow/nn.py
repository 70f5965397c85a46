"""TensorFlow's `tf.nn`: convolutions, pooling, normalizations, losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ...naming import explain
from ...ops import average_pool, conv, conv_transpose, depthwise_conv, max_pool
from ...random import dropout
from .arrays import spaced
from .common import TABLE, in_tensorflow, integers, is_first, pair, product, spatial, tensor

__all__: list[str] = []


def _layout(data_format: str | None) -> str:
    return "channels_first" if is_first(data_format) else "channels_last"


def _padded(x: Tensor, padding: Any) -> tuple[Tensor, str]:
    """Apply explicit padding; return what is left for the op to do."""
    if isinstance(padding, str):
        return x, padding.lower()
    return TABLE["pad"](x, padding), "valid"


def _convolution(axes: int | None) -> Callable[..., Any]:
    def call(
        input: Any,
        filters: Any,
        strides: Any = 1,
        padding: Any = "VALID",
        data_format: str | None = None,
        dilations: Any = None,
    ) -> Any:
        x, kernel = pair(input, filters)
        rank, first = axes or x.ndim - 2, is_first(data_format)
        x, how = _padded(x, padding)
        return conv(
            x,
            kernel,
            spatial(1 if strides is None else strides, rank, first),
            how,
            _layout(data_format),
            spatial(1 if dilations is None else dilations, rank, first),
        )

    return call


_conv2d = _convolution(2)
TABLE["nn.conv2d"] = _conv2d
TABLE["nn.conv3d"] = _convolution(3)
TABLE["nn.convolution"] = _convolution(None)


@in_tensorflow("nn.conv1d")
def _conv1d(
    input: Any,
    filters: Any,
    stride: Any,
    padding: Any,
    data_format: str | None = None,
    dilations: Any = None,
) -> Any:
    return _convolution(1)(input, filters, stride, padding, data_format, dilations)


@in_tensorflow("compat.v1.nn.conv2d")
def _conv2d_v1(
    input: Any,
    filter: Any = None,
    strides: Any = None,
    padding: Any = None,
    use_cudnn_on_gpu: bool = True,
    data_format: str = "NHWC",
    dilations: Any = 1,
    filters: Any = None,
) -> Any:
    kernel = filters if filter is None else filter
    return _conv2d(input, kernel, strides, padding, data_format, dilations)


@in_tensorflow("compat.v1.nn.conv1d")
def _conv1d_v1(
    value: Any = None,
    filters: Any = None,
    stride: Any = None,
    padding: Any = None,
    use_cudnn_on_gpu: Any = None,
    data_format: str | None = None,
    input: Any = None,
    dilations: Any = None,
) -> Any:
    x = input if value is None else value
    return _convolution(1)(x, filters, stride, padding, data_format, dilations)


@in_tensorflow("compat.v1.nn.conv3d")
def _conv3d_v1(
    input: Any,
    filter: Any = None,
    strides: Any = None,
    padding: Any = None,
    data_format: str = "NDHWC",
    dilations: Any = 1,
    filters: Any = None,
) -> Any:
    kernel = filters if filter is None else filter
    return _convolution(3)(input, kernel, strides, padding, data_format, dilations)


@in_tensorflow("compat.v1.nn.convolution")
def _convolution_v1(
    input: Any,
    filter: Any,
    padding: Any,
    strides: Any = None,
    dilation_rate: Any = None,
    data_format: str | None = None,
    filters: Any = None,
    dilations: Any = None,
) -> Any:
    rates = dilation_rate if dilations is None else dilations
    kernel = filters if filter is None else filter
    return _convolution(None)(input, kernel, strides, padding, data_format, rates)


@in_tensorflow("nn.atrous_conv2d")
def _atrous_conv2d(value: Any, filters: Any, rate: Any, padding: Any) -> Any:
    return _conv2d(value, filters, 1, padding, None, rate)


def _transposed(axes: int | None) -> Callable[..., Any]:
    def call(
        input: Any,
        filters: Any,
        output_shape: Any,
        strides: Any,
        padding: str = "SAME",
        data_format: str | None = None,
        dilations: Any = None,
    ) -> Any:
        x, kernel = pair(input, filters)
        rank, first = axes or x.ndim - 2, is_first(data_format)
        if dilations is not None and set(integers(dilations)) != {1}:
            raise ValueError(
                explain(
                    "Transposed convolutions with dilations are not provided.",
                    given=f"dilations={dilations!r}",
                )
            )
        steps = spatial(strides, rank, first)
        wanted = spatial(output_shape, rank, first)
        begin = 2 if first else 1
        extra = []
        for size, step, width, target in zip(
            x.shape[begin : begin + rank], steps, kernel.shape[:rank], wanted, strict=True
        ):
            # Keras's padding of the output: what lies beyond the smallest fitting size.
            least = (size - 1) * step + (width - 2 * (width // 2) if padding == "SAME" else width)
            extra.append(target - least)
        return conv_transpose(x, kernel, steps, padding.lower(), tuple(extra), _layout(data_format))

    return call


def _transposed_v1(axes: int) -> Callable[..., Any]:
    def call(
        value: Any = None,
        filter: Any = None,
        output_shape: Any = None,
        strides: Any = None,
        padding: str = "SAME",
        data_format: str | None = None,
        input: Any = None,
        filters: Any = None,
        dilations: Any = None,
    ) -> Any:
        x = input if value is None else value
        kernel = filters if filter is None else filter
        return _transposed(axes)(x, kernel, output_shape, strides, padding, data_format, dilations)

    return call


TABLE["compat.v1.nn.conv2d_transpose"] = _transposed_v1(2)
TABLE["compat.v1.nn.conv3d_transpose"] = _transposed_v1(3)
TABLE["nn.conv1d_transpose"] = _transposed(1)
TABLE["nn.conv2d_transpose"] = _transposed(2)
TABLE["nn.conv3d_transpose"] = _transposed(3)
TABLE["nn.conv_transpose"] = _transposed(None)


@in_tensorflow("nn.depthwise_conv2d")
def _depthwise_conv2d(
    input: Any,
    filter: Any,
    strides: Any,
    padding: Any,
    data_format: str | None = None,
    dilations: Any = None,
) -> Any:
    x, kernel = pair(input, filter)
    x, how = _padded(x, padding)
    first = is_first(data_format)
    steps = spatial(strides, 2, first)
    rates = spatial(1 if dilations is None else dilations, 2, first)
    return depthwise_conv(x, kernel, steps, how, _layout(data_format), rates)


@in_tensorflow("compat.v1.nn.separable_conv2d")
def _separable_conv2d_v1(
    input: Any,
    depthwise_filter: Any,
    pointwise_filter: Any,
    strides: Any,
    padding: Any,
    rate: Any = None,
    data_format: str | None = None,
    dilations: Any = None,
) -> Any:
    rates = rate if dilations is None else dilations
    return _separable_conv2d(
        input, depthwise_filter, pointwise_filter, strides, padding, data_format, rates
    )


@in_tensorflow("compat.v1.nn.depthwise_conv2d_native")
def _depthwise_conv2d_native(
    input: Any,
    filter: Any,
    strides: Any,
    padding: Any,
    data_format: str = "NHWC",
    dilations: Any = 1,
) -> Any:
    return _depthwise_conv2d(input, filter, strides, padding, data_format, dilations)


@in_tensorflow("compat.v1.nn.depthwise_conv2d")
def _depthwise_conv2d_v1(
    input: Any,
    filter: Any,
    strides: Any,
    padding: Any,
    rate: Any = None,
    data_format: str | None = None,
    dilations: Any = None,
) -> Any:
    rates = rate if dilations is None else dilations
    return _depthwise_conv2d(input, filter, strides, padding, data_format, rates)


@in_tensorflow("nn.separable_conv2d")
def _separable_conv2d(
    input: Any,
    depthwise_filter: Any,
    pointwise_filter: Any,
    strides: Any,
    padding: Any,
    data_format: str | None = None,
    dilations: Any = None,
) -> Any:
    deep = _depthwise_conv2d(input, depthwise_filter, strides, padding, data_format, dilations)
    return _conv2d(deep, pointwise_filter, 1, "VALID", data_format)


# Pooling -----------------------------------------------------------------------------------------


def _pooling(op: Callable[..., Tensor], axes: int | None) -> Callable[..., Any]:
    def call(
        input: Any, ksize: Any, strides: Any, padding: Any = "VALID", data_format: Any = None
    ) -> Any:
        x, first = tensor(input), is_first(data_format)
        rank = axes or x.ndim - 2
        if not isinstance(padding, str):
            raise ValueError(
                explain("Pooling with explicit padding is not provided.", given=f"{padding!r}")
            )
        window, steps = spatial(ksize, rank, first), spatial(strides, rank, first)
        return op(x, window, steps, padding.lower(), _layout(data_format))

    return call


for _kind, _op in (("avg", average_pool), ("max", max_pool)):
    TABLE[f"nn.{_kind}_pool"] = _pooling(_op, None)
    for _axes in (1, 2, 3):
        TABLE[f"nn.{_kind}_pool{_axes}d"] = _pooling(_op, _axes)


def _pooling_v1(kind: str) -> None:
    def call(
        value: Any,
        ksize: Any,
        strides: Any,
        padding: Any,
        data_format: str = "NHWC",
        input: Any = None,
    ) -> Any:
        x = input if value is None else value
        return TABLE[f"nn.{kind}_pool2d"](x, ksize, strides, padding, data_format)

    TABLE[f"compat.v1.nn.{kind}_pool"] = call


_pooling_v1("avg")
_pooling_v1("max")


@in_tensorflow("nn.pool")
def _pool(
    input: Any,
    window_shape: Any,
    pooling_type: str,
    strides: Any = None,
    padding: str = "VALID",
    data_format: str | None = None,
    dilations: Any = None,
) -> Any:
    if dilations is not None and set(integers(dilations)) != {1}:
        raise ValueError(
            explain("Pooling with dilations is not provided.", given=f"dilations={dilations!r}")
        )
    op = max_pool if pooling_type.upper() == "MAX" else average_pool
    return _pooling(op, None)(
        input, window_shape, 1 if strides is None else strides, padding, data_format
    )


@in_tensorflow("compat.v1.nn.pool")
def _pool_v1(
    input: Any,
    window_shape: Any,
    pooling_type: str,
    padding: str,
    dilation_rate: Any = None,
    strides: Any = None,
    data_format: str | None = None,
    dilations: Any = None,
) -> Any:
    rates = dilation_rate if dilations is None else dilations
    return _pool(input, window_shape, pooling_type, strides, padding, data_format, rates)


def _blocks(to_depth: bool) -> Callable[..., Any]:
    def call(input: Any, block_size: Any, data_format: str = "NHWC") -> Any:
        x = tensor(input)
        if is_first(data_format):
            return spaced(x.permute(0, 2, 3, 1), int(block_size), to_depth).permute(0, 3, 1, 2)
        return spaced(x, int(block_size), to_depth)

    return call


for _name, _to_depth in (("space_to_depth", True), ("depth_to_space", False)):
    TABLE[f"nn.{_name}"] = TABLE[f"compat.v1.nn.{_name}"] = _blocks(_to_depth)


# Normalizations ----------------------------------------------------------------------------------


@in_tensorflow("nn.bias_add")
def _bias_add(value: Any, bias: Any, data_format: str | None = None) -> Any:
    x, bias = pair(value, bias)
    return x + (bias.reshape(-1, *[1] * (x.ndim - 2)) if is_first(data_format) else bias)


@in_tensorflow("nn.moments")
def _moments(x: Any, axes: Any, shift: Any = None, keepdims: bool = False) -> Any:
    mean = TABLE["math.reduce_mean"](x, axes, keepdims)
    return mean, TABLE["math.reduce_variance"](x, axes, keepdims)


@in_tensorflow("compat.v1.nn.moments")
def _moments_v1(
    x: Any, axes: Any, shift: Any = None, keep_dims: Any = None, keepdims: Any = None
) -> Any:
    return _moments(x, axes, shift, bool(keepdims or keep_dims))


@in_tensorflow("nn.weighted_moments")
def _weighted_moments(x: Any, axes: Any, frequency_weights: Any, keepdims: bool = False) -> Any:
    x, weights = pair(x, frequency_weights)
    total = TABLE["math.reduce_sum"]
    weights = torch.broadcast_to(weights, x.shape)
    size = total(weights, axes, True)
    mean = total(weights * x, axes, True) / size
    variance = total(weights * (x - mean) ** 2, axes, True) / size
    if keepdims:
        return mean, variance
    dims = integers(axes)
    return mean.squeeze(dims), variance.squeeze(dims)


@in_tensorflow("compat.v1.nn.weighted_moments")
def _weighted_moments_v1(
    x: Any, axes: Any, frequency_weights: Any, keep_dims: Any = None, keepdims: Any = None
) -> Any:
    return _weighted_moments(x, axes, frequency_weights, bool(keepdims or keep_dims))


@in_tensorflow("nn.sufficient_statistics", "compat.v1.nn.sufficient_statistics")
def _sufficient_statistics(
    x: Any, axes: Any, shift: Any = None, keepdims: Any = False, keep_dims: Any = None
) -> Any:
    x, keep, total = tensor(x), bool(keepdims or keep_dims), TABLE["math.reduce_sum"]
    count = product(x.shape[dim] for dim in integers(axes))
    distance = x if shift is None else x - tensor(shift, like=x)
    sums = total(distance, axes, keep), total(distance * distance, axes, keep)
    counted = torch.full((), count, dtype=x.dtype, device=x.device)
    return (counted, *sums) if shift is None else (counted, *sums, tensor(shift, like=x))


@in_tensorflow("nn.normalize_moments")
def _normalize_moments(counts: Any, mean_ss: Any, variance_ss: Any, shift: Any) -> Any:
    mean_ss = tensor(mean_ss)
    divisor = 1 / tensor(counts, like=mean_ss)
    shifted = mean_ss * divisor
    variance = tensor(variance_ss) * divisor - shifted * shifted
    return (shifted if shift is None else shifted + tensor(shift, like=mean_ss)), variance


@in_tensorflow("nn.batch_normalization")
def _batch_normalization(
    x: Any, mean: Any, variance: Any, offset: Any, scale: Any, variance_epsilon: Any
) -> Any:
    x = tensor(x)
    factor = torch.rsqrt(tensor(variance, like=x) + variance_epsilon)
    factor = factor if scale is None else factor * tensor(scale, like=x)
    shift = -tensor(mean, like=x) * factor
    return x * factor + (shift if offset is None else tensor(offset, like=x) + shift)


@in_tensorflow("nn.local_response_normalization")
def _local_response_normalization(
    input: Any, depth_radius: Any = 5, bias: Any = 1, alpha: Any = 1, beta: Any = 0.5
) -> Any:
    x = tensor(input).movedim(-1, 1)
    size = 2 * int(depth_radius) + 1  # torch divides alpha by it
    return F.local_response_norm(x, size, alpha * size, beta, bias).movedim(1, -1)


@in_tensorflow("nn.l2_loss")
def _l2_loss(t: Any) -> Any:
    x = tensor(t)
    return (x * x).sum() / 2


@in_tensorflow("compat.v1.nn.xw_plus_b")
def _xw_plus_b(x: Any, weights: Any, biases: Any) -> Any:
    x, weights = pair(x, weights)
    return x @ weights + tensor(biases, like=x)


@in_tensorflow("compat.v1.nn.relu_layer")
def _relu_layer(x: Any, weights: Any, biases: Any) -> Any:
    return torch.relu(_xw_plus_b(x, weights, biases))


@in_tensorflow("nn.dropout")
def _dropout(x: Any, rate: Any, noise_shape: Any = None, seed: Any = None) -> Any:
    x = tensor(x)
    shape = x.shape if noise_shape is None else noise_shape
    shape = [own if size is None else int(size) for own, size in zip(x.shape, shape, strict=True)]
    return dropout(x, float(rate), shape) if rate else x  # `seed`: see `random.py`


@in_tensorflow("compat.v1.nn.dropout")
def _dropout_v1(
    x: Any, keep_prob: Any = None, noise_shape: Any = None, seed: Any = None, rate: Any = None
) -> Any:
    return _dropout(x, 1 - keep_prob if rate is None else rate, noise_shape, seed)


# Losses ------------------------------------------------------------------------------------------


@in_tensorflow("nn.sigmoid_cross_entropy_with_logits")
@in_tensorflow("compat.v1.nn.sigmoid_cross_entropy_with_logits")
def _sigmoid_cross_entropy(labels: Any = None, logits: Any = None) -> Any:
    labels, x = pair(labels, logits)
    return torch.relu(x) - x * labels + torch.log1p(torch.exp(-torch.abs(x)))


@in_tensorflow("nn.weighted_cross_entropy_with_logits")
def _weighted_cross_entropy(labels: Any, logits: Any, pos_weight: Any) -> Any:
    labels, x = pair(labels, logits)
    weight = 1 + (pos_weight - 1) * labels
    soft = torch.log1p(torch.exp(-torch.abs(x))) + torch.relu(-x)
    return (1 - labels) * x + weight * soft


@in_tensorflow("compat.v1.nn.weighted_cross_entropy_with_logits")
def _weighted_cross_entropy_v1(
    labels: Any = None, logits: Any = None, pos_weight: Any = None, targets: Any = None
) -> Any:
    return _weighted_cross_entropy(targets if labels is None else labels, logits, pos_weight)


@in_tensorflow("nn.softmax_cross_entropy_with_logits")
def _softmax_cross_entropy(labels: Any, logits: Any, axis: Any = -1) -> Any:
    labels, x = pair(labels, logits)
    axis = int(axis)
    scores = torch.log_softmax(x, axis)
    loss = -(labels * scores.detach()).sum(axis)
    if not x.requires_grad:
        return loss
    # TensorFlow's gradient for the logits is `softmax - labels`, also of labels whose sum is not 1:
    # that of another loss, which is added as a zero.
    simple = torch.logsumexp(x, axis) - (labels.detach() * x).sum(axis)
    return loss + (simple - simple.detach())


@in_tensorflow("compat.v1.nn.softmax_cross_entropy_with_logits")
def _softmax_cross_entropy_v1(
    labels: Any = None, logits: Any = None, dim: Any = -1, axis: Any = None
) -> Any:
    labels, x = pair(labels, logits)
    return _softmax_cross_entropy(labels.detach(), x, dim if axis is None else axis)


@in_tensorflow("compat.v1.nn.softmax_cross_entropy_with_logits_v2")
def _softmax_cross_entropy_v2(labels: Any, logits: Any, axis: Any = None, dim: Any = None) -> Any:
    given = dim if axis is None else axis
    return _softmax_cross_entropy(labels, logits, -1 if given is None else given)


@in_tensorflow("nn.sparse_softmax_cross_entropy_with_logits")
@in_tensorflow("compat.v1.nn.sparse_softmax_cross_entropy_with_logits")
def _sparse_cross_entropy(labels: Any, logits: Any) -> Any:
    scores = torch.log_softmax(tensor(logits), -1)
    places = tensor(labels).long().unsqueeze(-1)
    return -torch.gather(scores, -1, places).squeeze(-1)


@in_tensorflow("nn.log_poisson_loss")
def _log_poisson_loss(targets: Any, log_input: Any, compute_full_loss: bool = False) -> Any:
    targets, x = pair(targets, log_input)
    loss = torch.exp(x) - x * targets
    if compute_full_loss:
        stirling = targets * torch.log(targets) - targets + 0.5 * torch.log(2 * torch.pi * targets)
        within = (targets >= 0) & (targets <= 1)
        loss = loss + torch.where(within, torch.zeros_like(stirling), stirling)
    return loss


@in_tensorflow("nn.compute_average_loss")
def _compute_average_loss(
    per_example_loss: Any, sample_weight: Any = None, global_batch_size: Any = None
) -> Any:
    losses = tensor(per_example_loss)
    losses = losses if sample_weight is None else losses * tensor(sample_weight, like=losses)
    size = losses.shape[0] if global_batch_size is None else global_batch_size
    return losses.sum() / size
