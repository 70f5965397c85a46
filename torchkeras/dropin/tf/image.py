"""`tf.image`: a table from TensorFlow's names to functions of `keras.ops.image` or torch.

Images are `(..., height, width, channels)`, as in TensorFlow.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import torchkeras.ops as ops  # `from ... import ops` would import the package's root as well

from ...dtypes import to_torch
from . import random
from .arrays import ints
from .tables import named
from .tensors import tensor_or_symbol

__all__ = ["IMAGE", "ResizeMethod"]

t = tensor_or_symbol


class ResizeMethod:
    """Names of interpolations."""

    BILINEAR = "bilinear"
    NEAREST_NEIGHBOR = "nearest"
    BICUBIC = "bicubic"
    AREA = "area"
    LANCZOS3 = "lanczos3"
    LANCZOS5 = "lanczos5"
    GAUSSIAN = "gaussian"
    MITCHELLCUBIC = "mitchellcubic"


def _resize(
    images: Any,
    size: Any,
    method: str = ResizeMethod.BILINEAR,
    preserve_aspect_ratio: bool = False,
    antialias: bool = False,
    name: str | None = None,
) -> Any:
    x = t(images)
    height, width = ints(size)
    if preserve_aspect_ratio:
        scale = min(height / x.shape[-3], width / x.shape[-2])
        height, width = (max(1, round(scale * n)) for n in x.shape[-3:-1])
    if not isinstance(x, torch.Tensor):
        return ops.image.resize(x, (height, width), method, antialias)
    planes = x.movedim(-1, -3)
    batch = planes.reshape(-1, *planes.shape[-3:])
    if method == ResizeMethod.NEAREST_NEIGHBOR:
        # Pixel centers, as TensorFlow has them; dtypes stay.
        rows, columns = (
            _nearest(n, m, x.device) for n, m in zip(x.shape[-3:-1], (height, width), strict=True)
        )
        return x.index_select(-3, rows).index_select(-2, columns)
    batch = batch if batch.is_floating_point() else batch.float()
    # PyTorch's cubic curve is another one.
    method = "keras2_bicubic" if method == ResizeMethod.BICUBIC else method
    how = {"antialias": antialias, "data_format": "channels_first"}
    made = ops.image.resize(batch, (height, width), method, **how)
    return made.reshape(*planes.shape[:-2], height, width).movedim(-3, -1)


def _nearest(old: int, new: int, device: torch.device) -> torch.Tensor:
    places = (torch.arange(new, device=device) + 0.5) * (old / new)
    return places.floor().long().clamp_max(old - 1)


def _convert(image: Any, dtype: Any, saturate: bool = False, name: str | None = None) -> Any:
    x, dtype = t(image), to_torch(dtype)
    if not isinstance(x, torch.Tensor):
        return ops.cast(x, dtype)
    if x.dtype == dtype:
        return x
    whole = not x.is_floating_point()
    if dtype.is_floating_point:
        return x.to(dtype) / torch.iinfo(x.dtype).max if whole else x.to(dtype)
    top = torch.iinfo(dtype).max
    if whole:
        former = torch.iinfo(x.dtype).max
        if former > top:
            return (x // ((former + 1) // (top + 1))).to(dtype)
        return x.to(dtype) * ((top + 1) // (former + 1))
    scaled = x * (top + 0.5)
    return (scaled.clamp(0, top) if saturate else scaled).to(dtype)


def _in_floats(function: Any) -> Any:
    """Compute with floats between 0 and 1, and give back the dtype of the image."""

    def apply(image: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs.pop("name", None)
        x = t(image)
        if x.is_floating_point():
            return function(x, *args, **kwargs)
        return _convert(function(_convert(x, torch.float32), *args, **kwargs), x.dtype, True)

    return apply


def _contrast(images: Any, contrast_factor: Any, name: str | None = None) -> Any:
    def change(x: torch.Tensor, contrast_factor: Any) -> torch.Tensor:
        mean = x.mean((-3, -2), keepdim=True)
        return (x - mean) * contrast_factor + mean

    return _in_floats(change)(images, contrast_factor)


def _hsv_change(x: torch.Tensor, hue: Any = 0.0, saturation: Any = 1.0) -> torch.Tensor:
    h, s, v = ops.image.rgb_to_hsv(x, data_format="channels_last").unbind(-1)
    hsv = torch.stack([(h + hue) % 1.0, (s * saturation).clamp(0, 1), v], -1)
    return ops.image.hsv_to_rgb(hsv, data_format="channels_last")


def _hue(image: Any, delta: Any, name: str | None = None) -> Any:
    return _in_floats(lambda x: _hsv_change(x, hue=delta))(image)


def _saturation(image: Any, saturation_factor: Any, name: str | None = None) -> Any:
    return _in_floats(lambda x: _hsv_change(x, saturation=saturation_factor))(image)


def _brightness(image: Any, delta: Any, name: str | None = None) -> Any:
    return _in_floats(lambda x: x + delta)(image)


def _gamma(image: Any, gamma: Any = 1, gain: Any = 1) -> Any:
    return _in_floats(lambda x: gain * x**gamma)(image)


def _drawn(function: Any, low: float, high: float, seed: Any) -> Any:
    def draw(image: Any) -> Any:
        return function(image, random.uniform([], float(low), float(high), seed=seed))

    return draw


def _randomized(change: Any, stateless: bool) -> Any:
    """`random_*` with a range `[lower, upper]`, or with `max_delta` around zero."""

    def apply(image: Any, lower: Any = None, upper: Any = None, seed: Any = None, **kw: Any) -> Any:
        seed = random._stateless(seed) if stateless else seed
        delta = kw.pop("max_delta", None)
        low, high = (-delta, delta) if delta is not None else (lower, upper)
        return _drawn(change, low, high, seed)(image)

    def around_zero(image: Any, max_delta: float, seed: Any = None) -> Any:
        return apply(image, -max_delta, max_delta, seed)

    return around_zero if change in (_brightness, _hue) else apply


def _flip(axis: int) -> Any:
    return lambda image, name=None: ops.flip(t(image), axis=axis)


def _random_flip(axis: int, stateless: bool) -> Any:
    def apply(image: Any, seed: Any = None, name: str | None = None) -> Any:
        x = t(image)
        seed = random._stateless(seed) if stateless else seed
        chance = random.uniform([x.shape[0]] if x.ndim == 4 else [], seed=seed).to(x.device)
        chosen = (chance < 0.5).reshape(-1, *[1] * 3) if x.ndim == 4 else chance < 0.5
        return torch.where(chosen, x.flip(axis), x)

    return apply


def _crop_box(
    image: Any,
    offset_height: Any,
    offset_width: Any,
    target_height: Any,
    target_width: Any,
    name: str = "",
) -> Any:
    top, left = int(offset_height), int(offset_width)
    x, height, width = t(image), int(target_height), int(target_width)
    if top < 0 or left < 0 or top + height > x.shape[-3] or left + width > x.shape[-2]:
        raise ValueError(
            f"The box of {height} x {width} at ({top}, {left}) is not within an image of"
            f" {x.shape[-3]} x {x.shape[-2]}."
        )
    return x[..., top : top + height, left : left + width, :]


def _pad_box(
    image: Any,
    offset_height: Any,
    offset_width: Any,
    target_height: Any,
    target_width: Any,
    name: str = "",
) -> Any:
    x, top, left = t(image), int(offset_height), int(offset_width)
    right = int(target_width) - left - x.shape[-2]
    bottom = int(target_height) - top - x.shape[-3]
    if min(top, left, right, bottom) < 0:
        raise ValueError(
            f"An image of {x.shape[-3]} x {x.shape[-2]} at ({top}, {left}) does not fit into"
            f" {int(target_height)} x {int(target_width)}."
        )
    return F.pad(x, (0, 0, left, right, top, bottom))


def _crop_or_pad(image: Any, target_height: Any, target_width: Any) -> Any:
    x, sizes = t(image), (int(target_height), int(target_width))
    for axis, size in zip((-3, -2), sizes, strict=True):
        have = x.shape[axis]
        if have > size:
            x = x.narrow(axis, (have - size) // 2, size)
        elif have < size:
            before = (size - have) // 2
            widths = [0, 0] * (-axis - 1) + [before, size - have - before]
            x = F.pad(x, widths)
    return x


def _resize_with_pad(
    image: Any,
    target_height: int,
    target_width: int,
    method: str = "bilinear",
    antialias: bool = False,
) -> Any:
    x = t(image)
    height, width = int(target_height), int(target_width)
    ratio = max(x.shape[-2] / width, x.shape[-3] / height)
    new_height, new_width = (int(np.floor(n / ratio + 1e-9)) for n in x.shape[-3:-1])
    made = _resize(x, (new_height, new_width), method, antialias=antialias)
    top, left = (height - new_height) // 2, (width - new_width) // 2
    return _pad_box(made, top, left, height, width)


def _central_crop(image: Any, central_fraction: float) -> Any:
    x = t(image)
    tops = [int((n - n * central_fraction) / 2) for n in x.shape[-3:-1]]
    height, width = (n - 2 * top for n, top in zip(x.shape[-3:-1], tops, strict=True))
    return _crop_box(x, *tops, height, width)


def _random_crop(value: Any, size: Any, seed: Any = None, name: str | None = None) -> Any:
    x, sizes = t(value), ints(size)
    for axis, wanted in enumerate(sizes):
        room = x.shape[axis] - wanted
        if room < 0:
            raise ValueError(f"Need value.shape >= size, got {tuple(x.shape)} and {sizes}.")
        start = int(random.uniform([], 0, room + 1, torch.int64, seed)) if room else 0
        x = x.narrow(axis, start, wanted)
    return x


def _stateless_random_crop(
    value: Any, size: Any, seed: Any, alg: Any = None, name: str = ""
) -> Any:
    return _random_crop(value, size, random._stateless(seed))


def _crop_and_resize(
    image: Any,
    boxes: Any,
    box_indices: Any,
    crop_size: Any,
    method: str = "bilinear",
    extrapolation_value: float = 0.0,
    name: str | None = None,
) -> torch.Tensor:
    x, boxes, (height, width) = t(image).float(), t(boxes), ints(crop_size)
    picked = x[t(box_indices).long()].movedim(-1, 1)

    def line(low: Any, high: Any, count: int) -> torch.Tensor:
        """Normalized places along an axis, -1 and 1 at the centers of the first and last pixel."""
        ends = (0.0, 1.0) if count > 1 else (0.5, 0.5)
        steps = torch.linspace(*ends, count, device=x.device)
        return 2 * (low[:, None] + (high - low)[:, None] * steps) - 1

    rows = line(boxes[:, 0], boxes[:, 2], height)[:, :, None].expand(-1, -1, width)
    columns = line(boxes[:, 1], boxes[:, 3], width)[:, None, :].expand(-1, height, -1)
    grid = torch.stack([columns, rows], -1)
    made = F.grid_sample(picked, grid, mode=method, align_corners=True, padding_mode="border")
    inside = (grid.abs() <= 1).all(-1)[:, None]
    return torch.where(inside, made, made.new_tensor(extrapolation_value)).movedim(1, -1)


def _rot90(image: Any, k: int = 1, name: str | None = None) -> Any:
    x = t(image)
    return torch.rot90(x, int(k), (x.ndim - 3, x.ndim - 2))


def _transpose(image: Any, name: str | None = None) -> Any:
    return ops.swapaxes(t(image), -3, -2)


def _standardize(image: Any) -> Any:
    x = t(image)
    x = x if x.is_floating_point() else x.float()
    axes = (-3, -2, -1)
    least = 1.0 / float(np.sqrt(np.prod(x.shape[-3:])))
    deviation = x.std(axes, correction=0, keepdim=True).clamp_min(least)
    return (x - x.mean(axes, keepdim=True)) / deviation


def _total_variation(images: Any, name: str | None = None) -> Any:
    x = t(images)
    down = (x[..., 1:, :, :] - x[..., :-1, :, :]).abs().sum((-3, -2, -1))
    return down + (x[..., :, 1:, :] - x[..., :, :-1, :]).abs().sum((-3, -2, -1))


def _gradients(image: Any) -> tuple[Any, Any]:
    x = t(image)
    down = F.pad(x[:, 1:] - x[:, :-1], (0, 0, 0, 0, 0, 1))
    return down, F.pad(x[:, :, 1:] - x[:, :, :-1], (0, 0, 0, 1))


def _psnr(a: Any, b: Any, max_val: Any, name: str | None = None) -> Any:
    a, b = _convert(a, torch.float32), _convert(b, torch.float32)
    error = ((a - b) ** 2).mean((-3, -2, -1))
    return 20 * np.log10(float(max_val)) - 10 * torch.log10(error)


def _ssim(
    img1: Any,
    img2: Any,
    max_val: Any,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    return_index_map: bool = False,
) -> torch.Tensor:
    """Structural similarity. Source: Wang et al. 2004."""
    a, b = (t(x).float().movedim(-1, -3) for x in (img1, img2))
    a, b = (x.reshape(-1, 1, *x.shape[-2:]) for x in (a, b))
    places = torch.arange(filter_size, device=a.device) - (filter_size - 1) / 2
    line = torch.softmax(-(places**2) / (2 * filter_sigma**2), 0)
    window = torch.outer(line, line)[None, None]

    def smooth(x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, window)

    c1, c2 = (k1 * max_val) ** 2, (k2 * max_val) ** 2
    mean_a, mean_b = smooth(a), smooth(b)
    product = 2 * mean_a * mean_b
    squares = mean_a**2 + mean_b**2
    covariance = 2 * smooth(a * b) - product
    variances = smooth(a * a + b * b) - squares
    index = (product + c1) / (squares + c1) * (covariance + c2) / (variances + c2)
    shape = t(img1).shape
    return index.mean((-3, -2, -1)).reshape(*shape[:-3], shape[-1]).mean(-1)


def _sobel(image: Any) -> Any:
    x = t(image).movedim(-1, 1)
    padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
    down = torch.tensor([[-1.0, -2, -1], [0, 0, 0], [1, 2, 1]], dtype=x.dtype, device=x.device)
    kernels = torch.stack([down, down.T])[:, None]
    edges = F.conv2d(padded.reshape(-1, 1, *padded.shape[-2:]), kernels)
    return edges.reshape(*x.shape[:2], 2, *x.shape[2:]).permute(0, 3, 4, 1, 2)


def _extract_patches(
    images: Any, sizes: Any, strides: Any, rates: Any, padding: str, name: str | None = None
) -> Any:
    return ops.image.extract_patches(
        t(images),
        ints(sizes)[1:3],
        strides=ints(strides)[1:3],
        dilation_rate=ints(rates)[1],
        padding=padding.lower(),
        data_format="channels_last",
    )


_YUV = torch.tensor(
    [
        [0.299, -0.14714119, 0.61497538],
        [0.587, -0.28886916, -0.51496512],
        [0.114, 0.43601035, -0.10001026],
    ]
)


def _non_max_suppression(
    boxes: Any,
    scores: Any,
    max_output_size: Any,
    iou_threshold: float = 0.5,
    score_threshold: float = float("-inf"),
    name: str | None = None,
) -> torch.Tensor:
    boxes, scores = t(boxes), t(scores)
    low = torch.minimum(boxes[:, :2], boxes[:, 2:])
    high = torch.maximum(boxes[:, :2], boxes[:, 2:])
    areas = (high - low).prod(-1)
    sides = torch.minimum(high[:, None], high) - torch.maximum(low[:, None], low)
    shared = sides.clamp_min(0).prod(-1)
    overlap = (shared / (areas[:, None] + areas - shared) > float(iou_threshold)).tolist()
    kept: list[int] = []
    values = scores.tolist()
    for i in torch.argsort(scores, descending=True, stable=True).tolist():
        if len(kept) == int(max_output_size) or values[i] <= score_threshold:
            break
        if not any(overlap[i][j] for j in kept):
            kept.append(i)
    return torch.tensor(kept, dtype=torch.int32, device=scores.device)


IMAGE: dict[str, Any] = {
    "ResizeMethod": ResizeMethod,
    "adjust_brightness": _brightness,
    "adjust_contrast": _contrast,
    "adjust_gamma": _gamma,
    "adjust_hue": _hue,
    "adjust_saturation": _saturation,
    "central_crop": _central_crop,
    "convert_image_dtype": _convert,
    "crop_and_resize": _crop_and_resize,
    "crop_to_bounding_box": _crop_box,
    "extract_patches": _extract_patches,
    "flip_left_right": _flip(-2),
    "flip_up_down": _flip(-3),
    "grayscale_to_rgb": lambda images, name=None: ops.repeat(t(images), 3, axis=-1),
    "hsv_to_rgb": lambda images, name=None: ops.image.hsv_to_rgb(
        t(images), data_format="channels_last"
    ),
    "image_gradients": _gradients,
    "non_max_suppression": _non_max_suppression,
    "pad_to_bounding_box": _pad_box,
    "per_image_standardization": _standardize,
    "psnr": _psnr,
    "random_brightness": _randomized(_brightness, stateless=False),
    "random_contrast": _randomized(_contrast, stateless=False),
    "random_crop": _random_crop,
    "random_flip_left_right": _random_flip(-2, stateless=False),
    "random_flip_up_down": _random_flip(-3, stateless=False),
    "random_hue": _randomized(_hue, stateless=False),
    "random_saturation": _randomized(_saturation, stateless=False),
    "resize": _resize,
    "resize_with_crop_or_pad": _crop_or_pad,
    "resize_with_pad": _resize_with_pad,
    "rgb_to_grayscale": lambda images, name=None: _in_floats(
        lambda x: (x * x.new_tensor([0.2989, 0.587, 0.114])).sum(-1, keepdim=True)
    )(images),
    "rgb_to_hsv": lambda images, name=None: ops.image.rgb_to_hsv(
        t(images), data_format="channels_last"
    ),
    "rgb_to_yuv": lambda images: t(images) @ _YUV.to(t(images)),
    "rot90": _rot90,
    "sobel_edges": _sobel,
    "ssim": _ssim,
    "stateless_random_brightness": _randomized(_brightness, stateless=True),
    "stateless_random_contrast": _randomized(_contrast, stateless=True),
    "stateless_random_crop": _stateless_random_crop,
    "stateless_random_flip_left_right": _random_flip(-2, stateless=True),
    "stateless_random_flip_up_down": _random_flip(-3, stateless=True),
    "stateless_random_hue": _randomized(_hue, stateless=True),
    "stateless_random_saturation": _randomized(_saturation, stateless=True),
    "total_variation": _total_variation,
    "transpose": _transpose,
    "yuv_to_rgb": lambda images: t(images) @ torch.linalg.inv(_YUV).to(t(images)),
}
for _name, _function in named(IMAGE).items():
    if _function.__name__ in ("apply", "around_zero"):
        _function.__name__ = _function.__qualname__ = _name
