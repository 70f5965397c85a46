"""TensorFlow's `tf.image`: colors, flips, crops, patches. Images are `(..., H, W, C)`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ...naming import explain
from ...ops import image as ops_image
from . import resizing
from .common import as_dtype, dtype_limits, in_tensorflow, integers, pair, tensor

__all__: list[str] = []

_SPACE = (-3, -2)


@in_tensorflow("image.convert_image_dtype")
def _convert(image: Any, dtype: Any, saturate: bool = False) -> Any:
    x, dtype = tensor(image), as_dtype(dtype)
    if x.dtype is dtype:
        return x
    whole = not x.is_floating_point()
    if dtype.is_floating_point:
        return x.to(dtype) * (1 / dtype_limits(x.dtype)[1]) if whole else x.to(dtype)
    top = dtype_limits(dtype)[1]
    if whole:
        former = dtype_limits(x.dtype)[1]
        if former > top:
            return torch.div(x, (former + 1) // (top + 1), rounding_mode="trunc").to(dtype)
        return x.to(dtype) * ((top + 1) // (former + 1))
    scaled = x * (top + 0.5)
    return (scaled.clamp(0, top) if saturate else scaled).to(dtype)


def _in_floats(function: Callable[..., Tensor], x: Tensor) -> Tensor:
    """Compute with floats between 0 and 1, and give back the dtype of the image."""
    if x.is_floating_point():
        return function(x)
    return _convert(function(_convert(x, "float32")), x.dtype, True)


@in_tensorflow("image.adjust_brightness")
def _adjust_brightness(image: Any, delta: Any) -> Any:
    return _in_floats(lambda x: x + delta, tensor(image))


@in_tensorflow("image.adjust_contrast")
def _adjust_contrast(images: Any, contrast_factor: Any) -> Any:
    def change(x: Tensor) -> Tensor:
        mean = x.mean(_SPACE, keepdim=True)
        return (x - mean) * contrast_factor + mean

    return _in_floats(change, tensor(images))


@in_tensorflow("image.adjust_gamma")
def _adjust_gamma(image: Any, gamma: Any = 1, gain: Any = 1) -> Any:
    return _in_floats(lambda x: gain * x**gamma, tensor(image))


def _hsv_changed(x: Tensor, hue: Any = 0.0, saturation: Any = 1.0) -> Tensor:
    h, s, v = ops_image.rgb_to_hsv(x, data_format="channels_last").unbind(-1)
    hsv = torch.stack([(h + hue) % 1.0, (s * saturation).clamp(0, 1), v], -1)
    return ops_image.hsv_to_rgb(hsv, data_format="channels_last")


@in_tensorflow("image.adjust_hue")
def _adjust_hue(image: Any, delta: Any) -> Any:
    return _in_floats(lambda x: _hsv_changed(x, hue=delta), tensor(image))


@in_tensorflow("image.adjust_saturation")
def _adjust_saturation(image: Any, saturation_factor: Any) -> Any:
    return _in_floats(lambda x: _hsv_changed(x, saturation=saturation_factor), tensor(image))


@in_tensorflow("image.rgb_to_hsv")
def _rgb_to_hsv(images: Any) -> Any:
    return ops_image.rgb_to_hsv(tensor(images), data_format="channels_last")


@in_tensorflow("image.hsv_to_rgb")
def _hsv_to_rgb(images: Any) -> Any:
    return ops_image.hsv_to_rgb(tensor(images), data_format="channels_last")


@in_tensorflow("image.grayscale_to_rgb")
def _grayscale_to_rgb(images: Any) -> Any:
    return torch.repeat_interleave(tensor(images), 3, -1)


@in_tensorflow("image.rgb_to_grayscale")
def _rgb_to_grayscale(images: Any) -> Any:
    def change(x: Tensor) -> Tensor:
        return (x * tensor([0.2989, 0.587, 0.114], like=x)).sum(-1, keepdim=True)

    return _in_floats(change, tensor(images))


_YIQ = [[0.299, 0.59590059, 0.2115], [0.587, -0.27455667, -0.52273617],
        [0.114, -0.32134392, 0.31119955]]  # fmt: skip
_FROM_YIQ = [[1, 1, 1], [0.95598634, -0.27201283, -1.10674021],
             [0.6208248, -0.64720424, 1.70423049]]  # fmt: skip
_YUV = [[0.299, -0.14714119, 0.61497538], [0.587, -0.28886916, -0.51496512],
        [0.114, 0.43601035, -0.10001026]]  # fmt: skip
_FROM_YUV = [[1, 1, 1], [0, -0.394642334, 2.03206185], [1.13988303, -0.58062185, 0]]


def _colors(name: str, matrix: list[list[float]]) -> None:
    def call(images: Any) -> Any:
        x = tensor(images)
        return x @ tensor(matrix, like=x)

    in_tensorflow(f"image.{name}")(call)


_colors("rgb_to_yiq", _YIQ)
_colors("yiq_to_rgb", _FROM_YIQ)
_colors("rgb_to_yuv", _YUV)
_colors("yuv_to_rgb", _FROM_YUV)


# Places ------------------------------------------------------------------------------------------


@in_tensorflow("image.flip_left_right")
def _flip_left_right(image: Any) -> Any:
    return torch.flip(tensor(image), (-2,))


@in_tensorflow("image.flip_up_down")
def _flip_up_down(image: Any) -> Any:
    return torch.flip(tensor(image), (-3,))


@in_tensorflow("image.transpose")
def _transpose(image: Any) -> Any:
    return torch.transpose(tensor(image), -3, -2)


@in_tensorflow("image.rot90")
def _rot90(image: Any, k: Any = 1) -> Any:
    return torch.rot90(tensor(image), int(k), _SPACE)


@in_tensorflow("image.crop_to_bounding_box")
def _crop(
    image: Any, offset_height: Any, offset_width: Any, target_height: Any, target_width: Any
) -> Any:
    x = tensor(image).narrow(-3, int(offset_height), int(target_height))
    return x.narrow(-2, int(offset_width), int(target_width))


@in_tensorflow("image.pad_to_bounding_box")
def _pad(
    image: Any, offset_height: Any, offset_width: Any, target_height: Any, target_width: Any
) -> Any:
    x, top, left = tensor(image), int(offset_height), int(offset_width)
    right = int(target_width) - left - x.shape[-2]
    bottom = int(target_height) - top - x.shape[-3]
    if min(top, left, right, bottom) < 0:
        raise ValueError(
            f"An image of {x.shape[-3]} x {x.shape[-2]} at ({top}, {left}) does not fit into"
            f" {int(target_height)} x {int(target_width)}."
        )
    return F.pad(x, (0, 0, left, right, top, bottom))


@in_tensorflow("image.resize_with_crop_or_pad")
def _crop_or_pad(image: Any, target_height: Any, target_width: Any) -> Any:
    x = tensor(image)
    for axis, size in zip(_SPACE, (int(target_height), int(target_width)), strict=True):
        have = x.shape[axis]
        if have > size:
            x = x.narrow(axis, (have - size) // 2, size)
        elif have < size:
            before = (size - have) // 2
            x = F.pad(x, [0, 0] * (-axis - 1) + [before, size - have - before])
    return x


@in_tensorflow("image.resize_with_pad")
def _resize_with_pad(
    image: Any,
    target_height: Any,
    target_width: Any,
    method: str = "bilinear",
    antialias: bool = False,
) -> Any:
    x = tensor(image)
    height, width = int(target_height), int(target_width)
    ratio = max(x.shape[-2] / width, x.shape[-3] / height)
    inner = tuple(math.floor(n / ratio + 1e-9) for n in x.shape[-3:-1])
    made = resizing.resized(x, inner, method, antialias)
    return _pad(made, (height - inner[0]) // 2, (width - inner[1]) // 2, height, width)


@in_tensorflow("image.central_crop")
def _central_crop(image: Any, central_fraction: Any) -> Any:
    x = tensor(image)
    starts = [int((n - n * central_fraction) / 2) for n in x.shape[-3:-1]]
    sizes = [n - 2 * start for n, start in zip(x.shape[-3:-1], starts, strict=True)]
    return _crop(x, *starts, *sizes)


def _patches(images: Any, sizes: Any, strides: Any, rates: Any, padding: Any) -> Any:
    return ops_image.extract_patches(
        tensor(images),
        integers(sizes)[1:3],
        integers(strides)[1:3],
        integers(rates)[1:3],
        padding.lower(),
        "channels_last",
    )


@in_tensorflow("image.extract_patches")
def _extract_patches(images: Any, sizes: Any, strides: Any, rates: Any, padding: Any) -> Any:
    return _patches(images, sizes, strides, rates, padding)


@in_tensorflow("compat.v1.image.extract_image_patches")
def _extract_image_patches(
    images: Any,
    ksizes: Any = None,
    strides: Any = None,
    rates: Any = None,
    padding: Any = None,
    sizes: Any = None,
) -> Any:
    return _patches(images, sizes if ksizes is None else ksizes, strides, rates, padding)


@in_tensorflow("image.crop_and_resize")
def _crop_and_resize(
    image: Any,
    boxes: Any,
    box_indices: Any,
    crop_size: Any,
    method: str = "bilinear",
    extrapolation_value: Any = 0.0,
) -> Any:
    x, (height, width) = tensor(image).float(), integers(crop_size)
    boxes, which = tensor(boxes, like=x), tensor(box_indices).to(x.device).long()

    def places(low: Tensor, high: Tensor, count: int, size: int) -> Tensor:
        if count == 1:
            return (low + high)[:, None] * 0.5 * (size - 1)
        steps = torch.arange(count, device=x.device, dtype=x.dtype)
        return (
            low[:, None] * (size - 1) + steps * ((high - low) * (size - 1) / (count - 1))[:, None]
        )

    rows = places(boxes[:, 0], boxes[:, 2], height, x.shape[1])
    columns = places(boxes[:, 1], boxes[:, 3], width, x.shape[2])

    def within(place: Tensor, size: int) -> Tensor:
        return (place >= 0) & (place <= size - 1)

    inside = within(rows, x.shape[1])[:, :, None] & within(columns, x.shape[2])[:, None, :]
    weighted: Tensor | float = 0.0
    for row, row_weight in _neighbors(rows, x.shape[1], method):
        for column, column_weight in _neighbors(columns, x.shape[2], method):
            pixels = x[which[:, None, None], row[:, :, None], column[:, None, :]]
            weight = row_weight[:, :, None] * column_weight[:, None, :]
            weighted = weighted + pixels * weight[..., None]
    return torch.where(inside[..., None], weighted, tensor(extrapolation_value, like=x))


def _neighbors(place: Tensor, size: int, method: str) -> list[tuple[Tensor, Tensor]]:
    """Return the pixels that count at each place, and how much."""
    if method == "nearest":
        place = place.sign() * torch.floor(place.abs() + 0.5)
        return [(place.clamp(0, size - 1).long(), torch.ones_like(place))]
    low = torch.floor(place)
    pairs = ((low, 1 - (place - low)), (low + 1, place - low))
    return [(pixel.clamp(0, size - 1).long(), weight) for pixel, weight in pairs]


@in_tensorflow("compat.v1.image.crop_and_resize")
def _crop_and_resize_v1(
    image: Any,
    boxes: Any,
    box_ind: Any = None,
    crop_size: Any = None,
    method: str = "bilinear",
    extrapolation_value: Any = 0.0,
    box_indices: Any = None,
) -> Any:
    which = box_indices if box_ind is None else box_ind
    return _crop_and_resize(image, boxes, which, crop_size, method, extrapolation_value)


# Measures ----------------------------------------------------------------------------------------


@in_tensorflow("image.per_image_standardization")
def _standardization(image: Any) -> Any:
    x = tensor(image)
    x = x if x.is_floating_point() else x.float()
    axes = (-3, -2, -1)
    least = 1 / math.sqrt(math.prod(x.shape[-3:]))
    spread = x.std(axes, correction=0, keepdim=True).clamp_min(least)
    return (x - x.mean(axes, keepdim=True)) / spread


@in_tensorflow("image.total_variation")
def _total_variation(images: Any) -> Any:
    x = tensor(images)
    down = (x[..., 1:, :, :] - x[..., :-1, :, :]).abs().sum((-3, -2, -1))
    return down + (x[..., :, 1:, :] - x[..., :, :-1, :]).abs().sum((-3, -2, -1))


@in_tensorflow("image.image_gradients")
def _image_gradients(image: Any) -> Any:
    x = tensor(image)
    down = F.pad(x[:, 1:] - x[:, :-1], (0, 0, 0, 0, 0, 1))
    return down, F.pad(x[:, :, 1:] - x[:, :, :-1], (0, 0, 0, 1))


@in_tensorflow("image.sobel_edges")
def _sobel_edges(image: Any) -> Any:
    x = tensor(image).movedim(-1, 1)
    padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
    down = tensor([[-1.0, -2, -1], [0, 0, 0], [1, 2, 1]], like=x)
    kernels = torch.stack([down, down.T])[:, None]
    edges = F.conv2d(padded.reshape(-1, 1, *padded.shape[-2:]), kernels)
    return edges.reshape(*x.shape[:2], 2, *x.shape[2:]).permute(0, 3, 4, 1, 2)


@in_tensorflow("image.psnr")
def _psnr(a: Any, b: Any, max_val: Any) -> Any:
    limit = _convert(tensor(max_val, tensor(a).dtype), "float32")
    a, b = _convert(a, "float32"), _convert(b, "float32")
    error = ((a - b) ** 2).mean((-3, -2, -1))
    return 20 * torch.log10(limit) - 10 * torch.log10(error)


@in_tensorflow("image.ssim")
def _ssim(
    img1: Any,
    img2: Any,
    max_val: Any,
    filter_size: Any = 11,
    filter_sigma: Any = 1.5,
    k1: Any = 0.01,
    k2: Any = 0.03,
    return_index_map: bool = False,
) -> Any:
    """Structural similarity. Source: Wang et al. 2004."""
    if return_index_map:
        raise ValueError(
            explain("`return_index_map` of tf.image.ssim is not provided.", given="True")
        )
    x, y = pair(img1, img2)
    if not x.is_floating_point():
        max_val = _convert(tensor(max_val, x.dtype), "float32")
    a, b = (_convert(v, "float32").movedim(-1, -3) for v in (x, y))
    a, b = (v.reshape(-1, 1, *v.shape[-2:]) for v in (a, b))
    places = torch.arange(filter_size, device=a.device) - (filter_size - 1) / 2
    line = torch.softmax(-(places**2) / (2 * filter_sigma**2), 0)
    window = torch.outer(line, line)[None, None]
    c1, c2 = (k1 * max_val) ** 2, (k2 * max_val) ** 2
    mean_a, mean_b = F.conv2d(a, window), F.conv2d(b, window)
    product, squares = 2 * mean_a * mean_b, mean_a**2 + mean_b**2
    covariance = 2 * F.conv2d(a * b, window) - product
    variances = F.conv2d(a * a + b * b, window) - squares
    index = (product + c1) / (squares + c1) * (covariance + c2) / (variances + c2)
    return index.mean((-3, -2, -1)).reshape(*x.shape[:-3], x.shape[-1]).mean(-1)
