"""Translators of layers without a time axis of their own; recurrent layers: `sequences.py`.

Kernels are permuted from Keras's layouts to PyTorch's: dense `(D, U)` to `(U, D)`, convolutions
`(k..., C / groups, F)` to `(F, C / groups, k...)`, transposed ones `(k..., F, C)` to
`(C, F, k...)`, depthwise `(k..., C, M)` to `(C * M, 1, k...)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ...config import epsilon
from ...layers import (
    ELU,
    Activation,
    BatchNormalization,
    Dense,
    EinsumDense,
    Embedding,
    GlobalAveragePooling1D,
    GroupNormalization,
    LayerNormalization,
    LeakyReLU,
    Normalization,
    PReLU,
    ReLU,
    Rescaling,
    ReversibleEmbedding,
    RMSNormalization,
    Softmax,
    SpectralNormalization,
    UnitNormalization,
)
from ...layers.convolutional import BaseConv
from ...layers.depthwise import BaseDepthwiseConv, BaseSeparableConv
from ...layers.pooling import (
    BaseAdaptiveAveragePooling,
    BaseAdaptivePooling,
    BaseGlobalPooling,
    BasePooling,
)
from ...layers.transposed import BaseConvTranspose
from ...ops.windows import pooling_padding, same_padding, torch_padding
from . import helpers
from .functions import activate, apply_softmax
from .source import FIRST, KERAS, ClassWriter, Value, refuse, spelled
from .translate import translate_layer, translates

__all__ = ["activation_module", "channels_layout", "floating", "numbers"]


def floating(writer: ClassWriter, layer: Any, x: Value) -> Value:
    """Return a value in the dtype that a layer computes in."""
    return writer.cast(x, layer.compute_dtype)


def channels_layout(data_format: str) -> str:
    """The layout in which the channels stand on axis 1."""
    return FIRST if data_format == "channels_last" else KERAS


def _spatial_shape(x: Value, data_format: str) -> tuple[int | None, ...]:
    return x.shape[1:-1] if data_format == "channels_last" else x.shape[2:]


def numbers(values: Sequence[int]) -> str:
    """Spell sizes out: one number where they are all equal."""
    return spelled(values[0] if len(set(values)) == 1 else tuple(values))


def _arguments(*positional: str, **named: Any) -> str:
    """Spell arguments out, without those that are `None`."""
    given = [f"{name}={value}" for name, value in named.items() if value is not None]
    return ", ".join([*positional, *given])


# Dense -------------------------------------------------------------------------------------------


@translates(Dense)
def _dense(writer: ClassWriter, layer: Any, x: Value) -> Value:
    x = writer.plain(floating(writer, layer, x))
    kernel, bias = layer.kernel, layer.bias
    text = _arguments(*map(str, kernel.shape), bias=None if layer.use_bias else False)
    module = writer.module(layer, f"nn.Linear({text})", {"weight": kernel.t(), "bias": bias})
    y = writer.emit(f"{module}({x})", x, shape=(*x.shape[:-1], layer.units))
    return activate(writer, layer, layer.activation, y)


@translates(EinsumDense)
def _einsum_dense(writer: ClassWriter, layer: Any, x: Value) -> Value:
    x = writer.plain(floating(writer, layer, x))
    shape = layer.compute_output_shape(x.shape)
    kernel, bias = layer.kernel, layer.bias
    single = layer._summed_axes == 1 and len(layer._new_axes) == 1
    if single and (bias is None or tuple(bias.shape) == layer._new_axes):
        text = _arguments(*map(str, kernel.shape), bias=None if bias is not None else False)
        module = writer.module(layer, f"nn.Linear({text})", {"weight": kernel.t(), "bias": bias})
        y = writer.emit(f"{module}({x})", x, shape=shape)
    else:
        name = writer.parameter(layer, "kernel", kernel)
        text = f"torch.einsum({spelled(layer.equation)}, {x}, {name})"
        if bias is not None:
            text += f" + {writer.parameter(layer, 'bias', bias)}"
        y = writer.emit(text, x, shape=shape)
    return activate(writer, layer, layer.activation, y)


@translates(Embedding, ReversibleEmbedding)
def _embedding(writer: ClassWriter, layer: Any, x: Value, reverse: bool = False) -> Value:
    table = layer.embeddings
    module = writer.module(
        layer, f"nn.Embedding({layer.input_dim}, {layer.output_dim})", {"weight": table}
    )
    if not reverse:
        x = writer.plain(x)
        index = x if x.dtype in ("int32", "int64") else writer.cast(x, "int64")
        shape = (*x.shape, layer.output_dim)
        y = writer.emit(f"{module}({index})", shape=shape, dtype=layer.compute_dtype)
        if layer.mask_zero:
            y.mask = writer.emit(f"{x} != 0", x, dtype="bool", base="mask")
        return y
    weight = f"{module}.weight"
    if not layer.tie_weights:
        kernel = layer.reverse_embeddings.t()
        text = f"nn.Linear({layer.output_dim}, {layer.input_dim}, bias=False)"
        weight = writer.module(layer, text, {"weight": kernel}, part="reverse") + ".weight"
    y = writer.emit(f"F.linear({x}, {weight})", x, shape=(*x.shape[:-1], layer.input_dim))
    cap = layer.logit_soft_cap
    return (
        y if cap is None else writer.emit(f"{spelled(cap)} * torch.tanh({y} / {spelled(cap)})", y)
    )


# Convolutions ------------------------------------------------------------------------------------


def _same(
    writer: ClassWriter,
    x: Value,
    layer: Any,
    window: Sequence[int],
    dilation: Sequence[int],
    value: str = "",
) -> tuple[Value, str | None]:
    """Pad for 'same': by an argument of the module where both sides are equal, else before it.

    Returns: The value, and the argument `padding`.
    """
    sizes = _spatial_shape(x, layer.data_format)
    strides = layer.strides
    fixed = [s == 1 or n is not None for n, s in zip(sizes, strides, strict=True)]
    if not all(fixed):
        name = writer.helper(helpers.pad_same)
        texts = [spelled(tuple(t)) for t in (window, strides, dilation)]
        extra = f", value={value}" if value else ""
        return writer.emit(f"{name}({x}, {', '.join(texts)}{extra})", x), None
    pairs = [
        same_padding(n or 0, k, s, d)
        for n, k, s, d in zip(sizes, window, strides, dilation, strict=True)
    ]
    if all(a == b for a, b in pairs):
        before = [a for a, _ in pairs]
        return x, numbers(before) if any(before) else None
    extra = f", value={value}" if value else ""
    return writer.emit(f"F.pad({x}, {spelled(torch_padding(pairs))}{extra})", x), None


def _convolution(
    writer: ClassWriter,
    layer: Any,
    x: Value,
    channels: int,
    filters: int,
    groups: int,
    state: dict[str, Any],
    part: str = "",
) -> Value:
    x = writer.to(floating(writer, layer, x), channels_layout(layer.data_format))
    padding = None
    if layer.padding == "same":
        x, padding = _same(writer, x, layer, layer.kernel_size, layer.dilation_rate)
    elif layer.padding == "causal":
        (k,), (d,) = layer.kernel_size, layer.dilation_rate
        x = writer.emit(f"F.pad({x}, ({(k - 1) * d}, 0))", x)
    text = _arguments(
        f"nn.Conv{layer.rank}d({channels}",
        str(filters),
        f"kernel_size={numbers(layer.kernel_size)}",
        stride=None if max(layer.strides) == 1 else numbers(layer.strides),
        padding=padding,
        dilation=None if max(layer.dilation_rate) == 1 else numbers(layer.dilation_rate),
        groups=None if groups == 1 else groups,
        bias=None if state["bias"] is not None else False,
    )
    module = writer.module(layer, f"{text})", state, part)
    shape = _with_channels(x, layer.data_format, filters)
    return writer.emit(f"{module}({x})", x, shape=shape)


def _with_channels(x: Value, data_format: str, channels: int | None) -> tuple[int | None, ...]:
    """A shape with other channels, and unknown spatial sizes."""
    space = (None,) * (x.rank - 2)
    if data_format == "channels_last":
        return (x.shape[0], *space, channels)
    return (x.shape[0], channels, *space)


@translates(BaseConv)
def _conv(writer: ClassWriter, layer: Any, x: Value) -> Value:
    kernel = layer.kernel
    rank, groups = layer.rank, layer.groups
    state = {"weight": kernel.permute(rank + 1, rank, *range(rank)), "bias": layer.bias}
    channels = kernel.shape[-2] * groups
    y = _convolution(writer, layer, x, channels, layer.filters, groups, state)
    y.shape = tuple(layer.compute_output_shape(x.shape))
    return activate(writer, layer, layer.activation, y)


def _depthwise_weight(layer: Any, kernel: torch.Tensor) -> torch.Tensor:
    rank = layer.rank
    return kernel.permute(rank, rank + 1, *range(rank)).flatten(0, 1).unsqueeze(1)


@translates(BaseDepthwiseConv)
def _depthwise(writer: ClassWriter, layer: Any, x: Value) -> Value:
    channels = layer.kernel.shape[-2]
    state = {"weight": _depthwise_weight(layer, layer.kernel), "bias": layer.bias}
    filters = channels * layer.depth_multiplier
    y = _convolution(writer, layer, x, channels, filters, channels, state)
    y.shape = tuple(layer.compute_output_shape(x.shape))
    return activate(writer, layer, layer.activation, y)


@translates(BaseSeparableConv)
def _separable(writer: ClassWriter, layer: Any, x: Value) -> Value:
    kernel, point = layer.depthwise_kernel, layer.pointwise_kernel
    channels, rank = kernel.shape[-2], layer.rank
    middle = channels * layer.depth_multiplier
    state = {"weight": _depthwise_weight(layer, kernel), "bias": None}
    y = _convolution(writer, layer, x, channels, middle, channels, state, "depthwise")
    text = _arguments(
        f"nn.Conv{rank}d({middle}",
        str(layer.filters),
        "kernel_size=1",
        bias=None if layer.use_bias else False,
    )
    state = {"weight": point.permute(rank + 1, rank, *range(rank)), "bias": layer.bias}
    module = writer.module(layer, f"{text})", state, "pointwise")
    y = writer.emit(f"{module}({y})", y, shape=layer.compute_output_shape(x.shape))
    return activate(writer, layer, layer.activation, y)


@translates(BaseConvTranspose)
def _transposed(writer: ClassWriter, layer: Any, x: Value) -> Value:
    shape = layer.compute_output_shape(x.shape)
    x = writer.to(floating(writer, layer, x), channels_layout(layer.data_format))
    rank = layer.rank
    padding, extra = layer._both, layer._far
    text = _arguments(
        f"nn.ConvTranspose{rank}d({layer.kernel.shape[-1]}",
        str(layer.filters),
        f"kernel_size={numbers(layer.kernel_size)}",
        stride=None if max(layer.strides) == 1 else numbers(layer.strides),
        padding=numbers(padding) if any(padding) else None,
        output_padding=numbers(extra) if any(extra) else None,
        dilation=None if max(layer.dilation_rate) == 1 else numbers(layer.dilation_rate),
        bias=None if layer.use_bias else False,
    )
    weight = layer.kernel.permute(rank + 1, rank, *range(rank))
    module = writer.module(layer, f"{text})", {"weight": weight, "bias": layer.bias})
    y = writer.emit(f"{module}({x})", x, shape=shape)
    if layer._cut is not None:
        ends = [part.stop for part in layer._cut[1:]]
        cuts = ", ".join(":" if end is None else f":{end}" for end in ends)
        y = writer.emit(f"{y}[..., {cuts}]", y)
    return activate(writer, layer, layer.activation, y)


@translates(SpectralNormalization)
def _spectral(writer: ClassWriter, layer: Any, x: Value) -> Value:
    # In inference the kernel is what training left; PyTorch's own parametrization takes over.
    writer.note(f"{layer.name}: to go on normalizing, see torch.nn.utils.parametrizations")
    return translate_layer(writer, layer.layer, x)


# Pooling -----------------------------------------------------------------------------------------


@translates(BasePooling)
def _pooling(writer: ClassWriter, layer: Any, x: Value) -> Value:
    shape = layer.compute_output_shape(x.shape)
    x = writer.to(x, channels_layout(layer.data_format))
    rank, window, largest = layer.pool_dimensions, layer.pool_size, layer.pool_mode == "max"
    padding, partial, skipped = None, False, ()
    if layer.padding == "same":
        sizes = _spatial_shape(x, layer.data_format)
        if all(s == 1 or n is not None for n, s in zip(sizes, layer.strides, strict=True)):
            sizes = [n or 0 for n in sizes]
            before, partial, skipped = pooling_padding(sizes, window, layer.strides)
            padding = numbers(before) if any(before) else None
        elif largest:
            x, _ = _same(writer, x, layer, window, (1,) * rank, 'float("-inf")')
        else:
            raise refuse(
                layer,
                "its padding depends on sizes that are unknown, and means do not count it",
                "give the model's `Input` its spatial sizes.",
            )
    text = _arguments(
        f"nn.{'Max' if largest else 'Avg'}Pool{rank}d({numbers(window)}",
        stride=None if tuple(window) == tuple(layer.strides) else numbers(layer.strides),
        padding=padding,
        ceil_mode=partial or None,
        count_include_pad=False if not largest and (padding or partial) else None,
    )
    module = writer.module(layer, f"{text})")
    y = writer.emit(f"{module}({x})", x, shape=shape)
    if any(skipped):
        kept = ", ".join(f"{skip}:" if skip else ":" for skip in skipped)
        y = writer.emit(f"{y}[..., {kept}]", y)
    return y


@translates(BaseAdaptivePooling)
def _adaptive(writer: ClassWriter, layer: Any, x: Value) -> Value:
    shape = layer.compute_output_shape(x.shape)
    x = writer.to(x, channels_layout(layer.data_format))
    kind = "Avg" if isinstance(layer, BaseAdaptiveAveragePooling) else "Max"
    size = numbers(layer.output_size)
    module = writer.module(layer, f"nn.Adaptive{kind}Pool{len(layer.output_size)}d({size})")
    return writer.emit(f"{module}({x})", x, shape=shape)


@translates(BaseGlobalPooling)
def _global_pooling(writer: ClassWriter, layer: Any, x: Value) -> Value:
    return _pool_all(writer, layer, x)


@translates(GlobalAveragePooling1D)
def _global_average_1d(writer: ClassWriter, layer: Any, x: Value) -> Value:
    if x.mask is None:
        return _pool_all(writer, layer, x)
    if layer.keepdims or layer.data_format != "channels_last":
        raise refuse(layer, "it gets a mask", "leave out `keepdims` and `data_format`.")
    x = writer.plain(x)
    shape = layer.compute_output_shape(x.shape)
    return writer.emit(f"{writer.helper(helpers.masked_mean)}({x}, {x.mask})", x, shape=shape)


def _pool_all(writer: ClassWriter, layer: Any, x: Value) -> Value:
    shape = layer.compute_output_shape(x.shape)
    dims = tuple(sorted(x.dim(a) for a in layer._axes))
    name = "amax" if "Max" in type(layer).__name__ else "mean"
    keep = ", keepdim=True" if layer.keepdims else ""
    layout = x.layout if layer.keepdims else KERAS
    return writer.emit(
        f"{x}.{name}({spelled(dims[0] if len(dims) == 1 else dims)}{keep})",
        x,
        shape=shape,
        layout=layout,
    )


# Normalization -----------------------------------------------------------------------------------


def _affine(layer: Any, size: Sequence[int]) -> tuple[dict[str, Any], list[str], bool]:
    """Return `weight` and `bias`, those that only fill a gap, and whether there are any."""
    gamma, beta = layer.gamma, layer.beta
    if gamma is None and beta is None:
        return {}, [], False
    like = gamma if gamma is not None else beta
    state, filled = {"weight": gamma, "bias": beta}, []
    if gamma is None:
        state["weight"], filled = torch.ones(tuple(size), dtype=like.dtype), ["weight"]
    elif beta is None:
        state["bias"], filled = torch.zeros(tuple(size), dtype=like.dtype), ["bias"]
    return state, filled, True


@translates(BatchNormalization)
def _batch_norm(writer: ClassWriter, layer: Any, x: Value) -> Value:
    if layer.renorm:
        raise refuse(layer, "it has `renorm=True`", "make it without `renorm`.")
    x = floating(writer, layer, x)
    axis = layer.axis % x.rank
    if axis == x.rank - 1 and x.rank > 2:
        x = writer.to(x, FIRST)
    elif axis == 1:
        x = writer.plain(x)
    else:
        raise refuse(layer, f"it normalizes axis {axis}", "use the last axis, or axis 1.")
    if x.rank > 5:
        raise refuse(layer, f"its input has {x.rank} axes", "reshape it to 5 axes or fewer.")
    size = layer.moving_mean.shape[0]
    state, filled, affine = _affine(layer, (size,))
    state |= {"running_mean": layer.moving_mean, "running_var": layer.moving_variance}
    state["num_batches_tracked"] = torch.tensor(0)
    text = _arguments(
        f"nn.BatchNorm{max(x.rank - 2, 1)}d({size}",
        eps=spelled(layer.epsilon),
        momentum=spelled(round(1 - layer.momentum, 10)),
        affine=None if affine else False,
    )
    module = writer.module(layer, f"{text})", state, frozen=filled)
    if not layer.trainable:
        writer.notes[module.removeprefix("self.")] = "frozen in Keras: keep it in eval mode"
    return writer.emit(f"{module}({x})", x)


@translates(LayerNormalization)
def _layer_norm(writer: ClassWriter, layer: Any, x: Value) -> Value:
    if layer.rms_scaling:
        raise refuse(layer, "it has `rms_scaling=True`", "use `RMSNormalization`.")
    x = writer.plain(floating(writer, layer, x))
    state, filled, affine = _affine(layer, layer._shape)
    axes = layer._axes
    text = _arguments(
        f"nn.LayerNorm({_shape_argument(layer._shape)}",
        eps=spelled(layer.epsilon),
        elementwise_affine=None if affine else False,
    )
    module = writer.module(layer, f"{text})", state, frozen=filled)
    return _over_last_axes(writer, layer, x, axes, module)


def _shape_argument(shape: Sequence[int]) -> str:
    return spelled(shape[0] if len(shape) == 1 else tuple(shape))


def _over_last_axes(
    writer: ClassWriter, layer: Any, x: Value, axes: Sequence[int], module: str
) -> Value:
    """Call a module that works on the last axes; others are moved there and back."""
    rank = x.rank
    if tuple(axes) == tuple(range(rank - len(axes), rank)):
        return writer.emit(f"{module}({x})", x)
    if list(axes) != sorted(axes):
        raise refuse(layer, f"its axes {tuple(axes)} are in no order", "give them in order.")
    order = [*(i for i in range(rank) if i not in axes), *axes]
    back = [order.index(i) for i in range(rank)]
    text = f"{module}({x}.permute({', '.join(map(str, order))}))"
    return writer.emit(f"{text}.permute({', '.join(map(str, back))})", x)


@translates(GroupNormalization)
def _group_norm(writer: ClassWriter, layer: Any, x: Value) -> Value:
    x = floating(writer, layer, x)
    axis, channels = layer.axis % x.rank, x.shape[layer.axis]
    x = writer.to(x, FIRST) if axis == x.rank - 1 and x.rank > 2 else writer.plain(x)
    if x.dim(axis) != 1:
        raise refuse(layer, f"its channels are axis {axis}", "use the last axis, or axis 1.")
    state, filled, affine = _affine(layer, (channels,))
    text = _arguments(
        f"nn.GroupNorm({spelled(layer.groups)}",
        str(channels),
        eps=spelled(layer.epsilon),
        affine=None if affine else False,
    )
    return writer.emit(f"{writer.module(layer, f'{text})', state, frozen=filled)}({x})", x)


@translates(RMSNormalization)
def _rms_norm(writer: ClassWriter, layer: Any, x: Value) -> Value:
    x = writer.plain(floating(writer, layer, x))
    text = f"nn.RMSNorm({_shape_argument(layer._shape)}, eps={spelled(layer.epsilon)})"
    module = writer.module(layer, text, {"weight": layer.scale.reshape(layer._shape)})
    axes = [axis % x.rank for axis in layer.axis]
    return _over_last_axes(writer, layer, x, sorted(axes), module)


@translates(UnitNormalization)
def _unit_norm(writer: ClassWriter, layer: Any, x: Value) -> Value:
    x = floating(writer, layer, x)
    if isinstance(layer.axis, int):
        return writer.emit(f"F.normalize({x}, dim={x.dim(layer.axis)})", x)
    dims = tuple(x.dim(axis) for axis in layer.axis)
    return writer.emit(f"F.normalize({x}, dim={spelled(dims)})", x)


@translates(Normalization)
def _normalization(writer: ClassWriter, layer: Any, x: Value) -> Value:
    x = writer.plain(floating(writer, layer, x))
    mean, variance = layer.mean, layer.variance
    deviation = variance.sqrt().clamp(min=epsilon())
    a = writer.constant(mean, f"{layer.name}_mean")
    b = writer.constant(deviation, f"{layer.name}_std")
    return writer.emit(f"{a} + {x} * {b}" if layer.invert else f"({x} - {a}) / {b}", x)


@translates(Rescaling)
def _rescaling(writer: ClassWriter, layer: Any, x: Value) -> Value:
    x = floating(writer, layer, x)
    if layer._numbers:
        scale, offset = layer.scale, layer.offset
        text = f"{x} / {round(1 / scale)}" if _is_fraction(scale) else f"{x} * {spelled(scale)}"
        if offset:
            text += f" {'-' if offset < 0 else '+'} {spelled(abs(offset))}"
        return writer.emit(text, x)
    x = writer.plain(x)
    like = torch.zeros((), dtype=torch.float32)
    parts = [layer._beside(name, like) for name in ("scale", "offset")]
    names = [
        writer.constant(part, f"{layer.name}_{name}")
        for part, name in zip(parts, ("scale", "offset"), strict=True)
    ]
    return writer.emit(f"{x} * {names[0]} + {names[1]}", x)


def _is_fraction(scale: float) -> bool:
    """Whether dividing by an integer is the same as multiplying: 1 / 255."""
    return 0 < scale < 1 and scale == 1 / round(1 / scale)


# Activations -------------------------------------------------------------------------------------


def activation_module(writer: ClassWriter, layer: Any, x: Value, constructor: str) -> Value:
    return writer.emit(f"{writer.module(layer, constructor)}({x})", x)


@translates(Activation)
def _activation(writer: ClassWriter, layer: Any, x: Value) -> Value:
    return activate(writer, layer, layer.activation, x)


@translates(ReLU)
def _relu(writer: ClassWriter, layer: Any, x: Value) -> Value:
    slope, limit, threshold = layer.negative_slope, layer.max_value, layer.threshold
    if not threshold and not slope:
        if limit is None:
            return activation_module(writer, layer, x, "nn.ReLU()")
        if limit == 6:
            return activation_module(writer, layer, x, "nn.ReLU6()")
        return writer.emit(f"{x}.clamp(0, {spelled(limit)})", x)
    if not threshold and limit is None:
        return activation_module(writer, layer, x, f"nn.LeakyReLU({spelled(slope)})")
    upper = f"torch.where({x} > {spelled(threshold)}, {x}, 0)" if threshold else f"{x}.clamp(0)"
    if limit is not None:
        upper += f".clamp(0, {spelled(limit)})"
    if slope:
        upper += f" - {spelled(slope)} * F.relu({spelled(threshold)} - {x})"
    return writer.emit(upper, x)


@translates(LeakyReLU)
def _leaky_relu(writer: ClassWriter, layer: Any, x: Value) -> Value:
    return activation_module(writer, layer, x, f"nn.LeakyReLU({spelled(layer.negative_slope)})")


@translates(ELU)
def _elu(writer: ClassWriter, layer: Any, x: Value) -> Value:
    return activation_module(writer, layer, x, f"nn.ELU({spelled(layer.alpha)})")


@translates(PReLU)
def _prelu(writer: ClassWriter, layer: Any, x: Value) -> Value:
    alpha = layer.alpha
    if x.rank > 2 and all(n == 1 for n in alpha.shape[:-1]) and alpha.shape[-1] > 1:
        x = writer.to(x, FIRST)
    elif x.rank == 2:
        x = writer.plain(x)
    else:
        x = writer.plain(x)
        name = writer.parameter(layer, "alpha", alpha)
        return writer.emit(f"F.relu({x}) - {name} * F.relu(-{x})", x)
    text = f"nn.PReLU({alpha.numel()})"
    return writer.emit(f"{writer.module(layer, text, {'weight': alpha.flatten()})}({x})", x)


@translates(Softmax)
def _softmax(writer: ClassWriter, layer: Any, x: Value, mask: Value | None = None) -> Value:
    axis = layer.axis if isinstance(layer.axis, int) else tuple(layer.axis)
    mask = mask or x.mask
    if mask is not None:
        x, mask = writer.plain(x), writer.plain(mask)
        low = writer.emit(f"torch.where({mask}, {x}, -1e9)", x)
        return writer.emit(
            f"torch.where({mask}, {apply_softmax(writer, 'softmax', low, axis)}, 0)", x
        )
    if isinstance(axis, int):
        return activation_module(writer, layer, x, f"nn.Softmax(dim={x.dim(axis)})")
    return apply_softmax(writer, "softmax", x, axis)
