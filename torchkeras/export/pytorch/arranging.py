"""Translators of layers that join, rearrange or disturb tensors, of image sizes, of modules."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from typing import Any

import torch

from ...layers import (
    ActivityRegularization,
    AlphaDropout,
    CenterCrop,
    Concatenate,
    Dot,
    Dropout,
    Flatten,
    GaussianDropout,
    GaussianNoise,
    Identity,
    Permute,
    RepeatVector,
    Reshape,
    Resizing,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
    TimeDistributed,
    TorchModuleWrapper,
)
from ...layers.augmentation import BaseImagePreprocessingLayer
from ...layers.merging import Merge
from ...layers.regularization import BaseSpatialDropout
from ...layers.reshaping import _Cropping, _UpSampling, _ZeroPadding
from ...ops.windows import torch_padding
from ...tree import flatten
from . import helpers
from .functions import concatenate, elementwise
from .layers import activation_module, channels_layout, floating, numbers
from .source import FIRST, KERAS, ClassWriter, Value, refuse, spelled
from .translate import translate_layer, translates

__all__: list[str] = []


# Merging -----------------------------------------------------------------------------------------


def _merged_mask(writer: ClassWriter, layer: Any, values: Sequence[Value]) -> Value | None:
    masks = [x.mask for x in values]
    if any(mask is None for mask in masks):
        return None
    return functools.reduce(
        lambda a, b: writer.emit(f"{a} | {b}", a, dtype="bool", base="mask"), masks
    )


@translates(Merge)
def _merge(writer: ClassWriter, layer: Any, inputs: Sequence[Value]) -> Value:
    values = list(inputs)
    kind = next(base.__name__ for base in type(layer).__mro__ if base.__name__ in _MERGES)
    if kind in ("Maximum", "Minimum", "Multiply") and any(x.mask is not None for x in values):
        raise refuse(layer, "it gets masks", "make its inputs without `mask_zero` or `Masking`.")
    mask = _merged_mask(writer, layer, values)
    shape = layer.compute_output_shape([x.shape for x in values])
    values = _same_rank(writer, values)
    dtype = functools.reduce(_wider, [x.dtype for x in values])
    template = _MERGES[kind]
    if "{f}" in template:
        y = values[0]
        for other in values[1:]:
            y = elementwise(writer, template.replace("{f}", ""), y, other)
            y.shape = tuple(shape)
    else:
        y = elementwise(writer, f" {template} ".join(["{}"] * len(values)), *values)
        if kind == "Average":
            text = " + ".join(["{}"] * len(values))
            y = elementwise(writer, f"({text}) / {len(values)}", *values)
    y.shape, y.dtype, y.mask = tuple(shape), dtype, mask
    return y


_MERGES = {
    "Add": "+",
    "Subtract": "-",
    "Multiply": "*",
    "Average": "+",
    "Maximum": "{f}torch.maximum({}, {})",
    "Minimum": "{f}torch.minimum({}, {})",
}


def _wider(a: str, b: str) -> str:
    wide = torch.promote_types(getattr(torch, a), getattr(torch, b))
    return str(wide).removeprefix("torch.")


def _same_rank(writer: ClassWriter, values: Sequence[Value]) -> list[Value]:
    """Give all values the rank of the largest, by axes of size 1 after the batch."""
    rank = max(x.rank for x in values)
    made = []
    for x in values:
        if x.rank == rank:
            made.append(x)
            continue
        x = writer.plain(x)
        missing = rank - x.rank
        shape = (x.shape[0], *[1] * missing, *x.shape[1:])
        made.append(writer.emit(f"{x}[:, {', '.join(['None'] * missing)}]", x, shape=shape))
    return made


@translates(Concatenate)
def _concatenate(writer: ClassWriter, layer: Any, inputs: Sequence[Value]) -> Value:
    values = list(inputs)
    shape = layer.compute_output_shape([x.shape for x in values])
    dtype = functools.reduce(_wider, [x.dtype for x in values])
    y = concatenate(writer, values, layer.axis, shape, dtype)
    masks = [x.mask for x in values]
    if any(mask is not None for mask in masks):
        rank, axis = values[0].rank, layer.axis % values[0].rank
        if rank != 3 or (axis == 1 and any(mask is None for mask in masks)):
            raise refuse(layer, "it joins masks", "make its inputs without masks.")
        if axis == 1:
            texts = ", ".join(map(str, masks))
            y.mask = writer.emit(f"torch.cat(({texts}), dim=1)", masks[0], base="mask")
        elif any(mask is None for mask in masks):
            y.mask = next(m for m in masks if m is not None)
            y.mask = writer.emit(f"torch.ones_like({y.mask})", y.mask, base="mask")
        else:
            y.mask = _merged_mask(writer, layer, values)
    return y


@translates(Dot)
def _dot(writer: ClassWriter, layer: Any, inputs: Sequence[Value]) -> Value:
    a, b = (writer.plain(x) for x in inputs)
    shape = layer.compute_output_shape([a.shape, b.shape])
    i, j = layer._axis_pair(a.rank, b.rank)
    if layer.normalize:
        a, b = (
            writer.emit(f"F.normalize({a}, dim={i})", a),
            writer.emit(f"F.normalize({b}, dim={j})", b),
        )
    if a.rank == b.rank == 2:
        return writer.emit(f"({a} * {b}).sum(1, keepdim=True)", a, shape=shape)
    letters = "bcdefghijklmnopqrstuvwxyz"
    first = list("a" + letters[: a.rank - 1])
    second = list("a" + letters[a.rank - 1 : a.rank + b.rank - 2])
    second[j] = first[i]
    result = "a" + "".join(c for c in (*first[1:], *second[1:]) if c != first[i])
    equation = f"{''.join(first)},{''.join(second)}->{result}"
    return writer.emit(f"torch.einsum({spelled(equation)}, {a}, {b})", a, shape=shape)


# Reshaping ---------------------------------------------------------------------------------------


@translates(Flatten)
def _flatten(writer: ClassWriter, layer: Any, x: Value) -> Value:
    shape = layer.compute_output_shape(x.shape)
    if x.rank == 1:
        return writer.emit(f"{x}.unsqueeze(1)", x, shape=shape)
    if x.rank > 2 and layer.data_format == "channels_first":
        x = writer.plain(x)
        return writer.emit(f"{x}.movedim(1, -1).flatten(1)", x, shape=shape)
    small = x.rank > 2 and all(n == 1 for n in x.shape[1:-1])
    x = x if small else writer.plain(x)
    return writer.emit(f"{x}.flatten(1)", x, shape=shape, layout=KERAS)


@translates(Reshape)
def _reshape(writer: ClassWriter, layer: Any, x: Value) -> Value:
    shape = layer.compute_output_shape(x.shape)
    target = layer._target
    if x.rank == 2 and len(target) > 1 and all(n == 1 for n in target[:-1]):
        # One pixel: the channels come first at no cost.
        text = f"{x}[:, :, {', '.join(['None'] * (len(target) - 1))}]"
        return writer.emit(text, x, shape=shape, layout=FIRST)
    x = writer.plain(x)
    if -1 not in target:
        return writer.emit(f"{x}.reshape(-1, {', '.join(map(str, target))})", x, shape=shape)
    sizes = ", ".join([f"{x}.shape[0]", *map(str, target)])
    return writer.emit(f"{x}.reshape({sizes})", x, shape=shape)


@translates(Permute)
def _permute(writer: ClassWriter, layer: Any, x: Value) -> Value:
    x = writer.plain(x)
    order = ", ".join(map(str, (0, *layer.dims)))
    return writer.emit(f"{x}.permute({order})", x, shape=layer.compute_output_shape(x.shape))


@translates(RepeatVector)
def _repeat_vector(writer: ClassWriter, layer: Any, x: Value) -> Value:
    shape = layer.compute_output_shape(x.shape)
    return writer.emit(f"{x}.unsqueeze(1).repeat(1, {spelled(layer.n)}, 1)", x, shape=shape)


@translates(_ZeroPadding)
def _zero_padding(writer: ClassWriter, layer: Any, x: Value) -> Value:
    shape = layer.compute_output_shape(x.shape)
    x = writer.to(x, channels_layout(layer.data_format))
    sides = torch_padding(layer._ends)
    module = writer.module(layer, f"nn.ZeroPad{len(layer._ends)}d({numbers(sides)})")
    return writer.emit(f"{module}({x})", x, shape=shape)


@translates(_Cropping)
def _cropping(writer: ClassWriter, layer: Any, x: Value) -> Value:
    shape = layer.compute_output_shape(x.shape)
    x = writer.to(x, channels_layout(layer.data_format))
    cuts = (f"{a or ''}:{-b if b else ''}" for a, b in layer._ends)
    return writer.emit(f"{x}[:, :, {', '.join(cuts)}]", x, shape=shape)


_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "keras2_bicubic")


@translates(_UpSampling)
def _upsampling(writer: ClassWriter, layer: Any, x: Value) -> Value:
    shape = layer.compute_output_shape(x.shape)
    mode = getattr(layer, "interpolation", "nearest")
    if mode not in _INTERPOLATIONS:
        raise refuse(layer, f"PyTorch has no interpolation {mode!r}", "use 'bicubic'.")
    x = writer.to(x, channels_layout(layer.data_format))
    if mode == "keras2_bicubic":
        name, axes = writer.helper(helpers.resize_cubic), (2, 3)
        sides = zip(axes, layer.size, strict=True)
        size = ", ".join(f"{x}.shape[{axis}] * {factor}" for axis, factor in sides)
        return writer.emit(f"{name}({x}, ({size}))", x, shape=shape)
    text = numbers(layer._factors)
    if mode != "nearest":
        extra = f', mode="{mode}", align_corners=False'
    else:
        extra = "" if layer._mode == "nearest" else f", mode={spelled(layer._mode)}"
    module = writer.module(layer, f"nn.Upsample(scale_factor={text}{extra})")
    return writer.emit(f"{module}({x})", x, shape=shape)


@translates(Identity, ActivityRegularization)
def _identity(writer: ClassWriter, layer: Any, x: Any) -> Any:
    return x


# Noise -------------------------------------------------------------------------------------------


@translates(Dropout)
def _dropout(writer: ClassWriter, layer: Any, x: Value) -> Value:
    if layer.noise_shape is not None:
        shape = tuple(layer.noise_shape)
        if x.rank < 3 or any(n != 1 for n in shape[1:]):  # else it is the same in both layouts
            x = writer.plain(x)
        name = writer.helper(helpers.DropoutOfShape)
        text = f"{name}({spelled(layer.rate)}, {spelled(shape)})"
        return activation_module(writer, layer, x, text)
    return activation_module(writer, layer, x, f"nn.Dropout({spelled(layer.rate)})")


@translates(BaseSpatialDropout, SpatialDropout1D, SpatialDropout2D, SpatialDropout3D)
def _spatial_dropout(writer: ClassWriter, layer: Any, x: Value) -> Value:
    x = writer.to(x, channels_layout(layer.data_format))
    text = f"nn.Dropout{layer._rank}d({spelled(layer.rate)})"
    return activation_module(writer, layer, x, text)


@translates(GaussianNoise)
def _gaussian_noise(writer: ClassWriter, layer: Any, x: Value) -> Value:
    name = writer.helper(helpers.GaussianNoise)
    return activation_module(writer, layer, x, f"{name}({spelled(layer.stddev)})")


@translates(GaussianDropout)
def _gaussian_dropout(writer: ClassWriter, layer: Any, x: Value) -> Value:
    name = writer.helper(helpers.GaussianDropout)
    return activation_module(writer, layer, x, f"{name}({spelled(layer.rate)})")


@translates(AlphaDropout)
def _alpha_dropout(writer: ClassWriter, layer: Any, x: Value) -> Value:
    name = writer.helper(helpers.AlphaDropout)
    shape = layer.noise_shape
    x = x if shape is None else writer.plain(x)
    extra = "" if shape is None else f", {spelled(tuple(shape))}"
    return activation_module(writer, layer, x, f"{name}({spelled(layer.rate)}{extra})")


# Images ------------------------------------------------------------------------------------------


@translates(Resizing)
def _resizing(writer: ClassWriter, layer: Any, x: Value) -> Value:
    shape = layer.compute_output_shape(x.shape)
    mode = layer.interpolation
    if mode not in _INTERPOLATIONS:
        raise refuse(layer, f"PyTorch has no interpolation {mode!r}", "use 'bicubic'.")
    x = writer.to(floating(writer, layer, x), channels_layout(layer.data_format))
    size = spelled((layer.height, layer.width))
    if layer.crop_to_aspect_ratio or layer.pad_to_aspect_ratio:
        name = writer.helper(helpers.resize_to_aspect)
        crop = bool(layer.crop_to_aspect_ratio)
        fill = "" if crop or not layer.fill_value else f", value={spelled(layer.fill_value)}"
        x = writer.emit(f"{name}({x}, {size}, crop={crop}{fill})", x)
    if mode == "keras2_bicubic" and not layer.antialias:
        name = writer.helper(helpers.resize_cubic)
        return writer.emit(f"{name}({x}, {size})", x, shape=shape)
    extra = "" if mode == "nearest" else ", align_corners=False"
    # Smoothing, torch's curve is the same.
    mode = {"nearest": "nearest-exact", "keras2_bicubic": "bicubic"}.get(mode, mode)
    extra += ", antialias=True" if layer.antialias and extra else ""
    return writer.emit(f'F.interpolate({x}, {size}, mode="{mode}"{extra})', x, shape=shape)


@translates(CenterCrop)
def _center_crop(writer: ClassWriter, layer: Any, x: Value) -> Value:
    shape = layer.compute_output_shape(x.shape)
    x = writer.to(floating(writer, layer, x), channels_layout(layer.data_format))
    name = writer.helper(helpers.center_crop)
    return writer.emit(f"{name}({x}, {spelled((layer.height, layer.width))})", x, shape=shape)


@translates(BaseImagePreprocessingLayer)
def _augmentation(writer: ClassWriter, layer: Any, x: Value) -> Value:
    """Leave out what changes images at random, in training only."""
    if not isinstance(x, Value):
        raise refuse(layer, "it takes several inputs", "apply it to the data, before the model.")
    kind = type(layer).__name__
    if kind == "RandomCrop":
        raise refuse(layer, "it changes the size of images", "use `CenterCrop` or `Resizing`.")
    if not kind.startswith("Random") and kind not in ("AugMix", "RandAugment", "CutMix", "MixUp"):
        raise refuse(
            layer, "it is image processing that PyTorch lacks", "apply it before the model."
        )
    warnings.warn(
        f"Layer '{layer.name}' ({kind}) changes images at random in training; the PyTorch code"
        " leaves it out. Augment the data there with torchvision.transforms.v2.",
        stacklevel=2,
    )
    writer.note(f"{layer.name} ({kind}) in training: see torchvision.transforms.v2")
    return floating(writer, layer, x)


# Modules of PyTorch ------------------------------------------------------------------------------


@translates(TorchModuleWrapper)
def _torch_module(writer: ClassWriter, layer: Any, *args: Value) -> Value:
    module = layer.module
    constructor = _constructor(module)
    if constructor is None:
        raise refuse(
            layer,
            f"the source of its module ({type(module).__name__}) is not `torch.nn`'s",
            "put it into your own PyTorch code, around what is exported of the rest.",
        )
    name = writer.module(layer, constructor, dict(module.state_dict()))
    texts = ", ".join(str(writer.plain(x)) for x in args)
    shape = layer.compute_output_shape(args[0].shape)
    return writer.emit(f"{name}({texts})", args[0], shape=shape)


def _constructor(module: torch.nn.Module) -> str | None:
    """Return the expression that makes a module of `torch.nn`, if its `repr` is one."""
    kind = type(module)
    if not kind.__module__.startswith("torch.nn.modules."):
        return None
    if kind is torch.nn.Sequential:
        parts = [_constructor(part) for part in module]
        return None if None in parts else f"nn.Sequential({', '.join(parts)})"
    if list(module.children()):
        return None
    text = f"nn.{module!r}"
    try:
        made = eval(text, {"nn": torch.nn})  # noqa: S307 - of torch's own classes
    except (SyntaxError, NameError, TypeError, ValueError):
        return None
    same = {k: v.shape for k, v in made.state_dict().items()}
    return text if same == {k: v.shape for k, v in module.state_dict().items()} else None


@translates(TimeDistributed)
def _time_distributed(writer: ClassWriter, layer: Any, x: Value) -> Value:
    shape = layer.compute_output_shape(x.shape)
    mask, x = x.mask, writer.plain(x)
    flat = writer.emit(f"{x}.flatten(0, 1)", x, shape=(None, *x.shape[2:]))
    y = writer.plain(flatten(translate_layer(writer, layer.layer, flat))[0])
    sizes = f"({x}.shape[0], {x.shape[1] or f'{x}.shape[1]'})"
    y = writer.emit(f"{y}.unflatten(0, {sizes})", y, shape=shape)
    y.mask = mask
    return y
