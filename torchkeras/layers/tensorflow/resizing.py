"""TensorFlow's resizing of images, by its own curves and borders.

Each axis is resized by a matrix of weights: a row for each pixel of the result. TensorFlow has
three families: the plain kernels of `resize_bilinear` and its like (three ways to place pixels),
areas, and resampling with a curve that may be widened against aliasing.
Source: TensorFlow 2.21 (`image.resize`, `compat.v1.image.resize_*`), by `compat_tests.legacy`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ...naming import explain
from .common import TABLE, in_tensorflow, integers, tensor

__all__ = ["resized"]

# TensorFlow looks its cubic weights up in a table of so many steps.
_CUBIC_STEPS = 1024


def _keys(x: Tensor, a: float = -0.5) -> Tensor:
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return torch.where(x <= 1, near, torch.where(x < 2, far, 0.0))


def _mitchell(x: Tensor) -> Tensor:
    near = ((7 * x - 12) * x * x + 16 / 3) / 6
    far = (((-7 / 3 * x + 12) * x - 20) * x + 32 / 3) / 6
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))


def _lanczos(radius: int) -> Callable[[Tensor], Tensor]:
    def curve(x: Tensor) -> Tensor:
        return torch.where(x <= radius, torch.sinc(x) * torch.sinc(x / radius), 0.0)

    return curve


# The curves and their radii.
_CURVES: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {
    "bilinear": (lambda x: (1 - x).clamp_min(0), 1),
    "bicubic": (_keys, 2),
    "lanczos3": (_lanczos(3), 3),
    "lanczos5": (_lanczos(5), 5),
    "gaussian": (lambda x: torch.where(x < 1.5, torch.exp(-2 * x * x), 0.0), 1.5),
    "mitchellcubic": (_mitchell, 2),
}


def _curved(old: int, new: int, method: str, antialias: bool, like: Tensor) -> Tensor:
    curve, _ = _CURVES[method]
    step = old / new
    width = max(step, 1.0) if antialias else 1.0
    place = (torch.arange(new, device=like.device, dtype=like.dtype) + 0.5) * step
    pixels = torch.arange(old, device=like.device, dtype=like.dtype) + 0.5
    weights = curve((pixels - place[:, None]).abs() / width)
    return weights / weights.sum(1, keepdim=True)


def _area(old: int, new: int, like: Tensor) -> Tensor:
    step = old / new
    start = torch.arange(new, device=like.device, dtype=like.dtype)[:, None] * step
    pixels = torch.arange(old, device=like.device, dtype=like.dtype)
    end = (start + step).clamp_max(old)
    shared = torch.minimum(pixels + 1, end) - torch.maximum(pixels, start)
    return shared.clamp_min(0) / step


def _places(old: int, new: int, corners: bool, centers: bool, like: Tensor) -> Tensor:
    """Where the pixels of the result lie among those there are."""
    step = (old - 1) / (new - 1) if corners and new > 1 else old / new
    index = torch.arange(new, device=like.device, dtype=like.dtype)
    return (index + 0.5) * step - 0.5 if centers else index * step


def _linear(old: int, new: int, corners: bool, centers: bool, like: Tensor) -> Tensor:
    place = _places(old, new, corners, centers, like)
    low = torch.floor(place)
    part = (place - low)[:, None]
    rows = [torch.clamp(low + i, 0, old - 1).long() for i in (0, 1)]
    return (1 - part) * F.one_hot(rows[0], old) + part * F.one_hot(rows[1], old)


def _cubic(old: int, new: int, corners: bool, centers: bool, like: Tensor) -> Tensor:
    place = _places(old, new, corners, centers, like)
    low = torch.floor(place)
    part = torch.round((place - low) * _CUBIC_STEPS) / _CUBIC_STEPS
    result = torch.zeros(new, old, device=like.device, dtype=like.dtype)
    for i in range(-1, 3):
        weight = _keys((part - i).abs(), -0.5 if centers else -0.75)
        pixel = low + i
        if centers:  # beyond the border there is nothing, else its last pixel
            weight = torch.where((pixel >= 0) & (pixel < old), weight, 0.0)
        result = result + weight[:, None] * F.one_hot(pixel.clamp(0, old - 1).long(), old)
    return result / result.sum(1, keepdim=True) if centers else result


def _nearest(old: int, new: int, corners: bool, centers: bool, like: Tensor) -> Tensor:
    step = (old - 1) / (new - 1) if corners and new > 1 else old / new
    index = torch.arange(new, device=like.device, dtype=torch.float32)
    place = (index + 0.5) * step if centers else index * step
    place = torch.floor(place + 0.5) if corners else torch.floor(place)
    return place.long().clamp(0, old - 1)


def resized(
    images: Tensor,
    size: tuple[int, int],
    method: str,
    antialias: bool = False,
    corners: bool = False,
    centers: bool = True,
) -> Tensor:
    """Return images `(..., height, width, channels)` in another size.

    Args:
        images: The images.
        size: Height and width of the result.
        method: TensorFlow's name of an interpolation.
        antialias: Whether to widen the curve where images become smaller.
        corners: Whether the outermost pixels keep their places (`align_corners`).
        centers: Whether pixels lie at halves (`half_pixel_centers`), as everywhere in TensorFlow 2.

    Raises:
        ValueError: There is no such method.
    """
    if method == "nearest":
        for axis, new in zip((-3, -2), size, strict=True):
            rows = _nearest(images.shape[axis], new, corners, centers, images)
            images = images.index_select(axis, rows)
        return images
    if method not in _CURVES and method != "area":
        raise ValueError(
            explain(
                "There is no such way to resize images.",
                given=f"method={method!r}",
                expected=f"nearest, area, {', '.join(_CURVES)}",
            )
        )
    x = images.float() if images.dtype is not torch.float64 else images
    for axis, new in zip((-3, -2), size, strict=True):
        old = x.shape[axis]
        if method == "area":
            weights = _area(old, new, x)
        elif antialias or method not in ("bilinear", "bicubic"):
            weights = _curved(old, new, method, antialias, x)
        else:
            make = _linear if method == "bilinear" else _cubic
            weights = make(old, new, corners, centers, x)
        x = torch.einsum("on,...nwc->...owc" if axis == -3 else "on,...hnc->...hoc", weights, x)
    return x


def _fitted(x: Tensor, size: Any, preserve_aspect_ratio: bool) -> tuple[int, int]:
    """Return the size of the result: the one given, or the largest of the old shape in it."""
    height, width = integers(size)
    if not preserve_aspect_ratio:
        return height, width
    scale = min(height / x.shape[-3], width / x.shape[-2])
    return max(1, round(scale * x.shape[-3])), max(1, round(scale * x.shape[-2]))


@in_tensorflow("image.resize")
def _resize(
    images: Any,
    size: Any,
    method: str = "bilinear",
    preserve_aspect_ratio: bool = False,
    antialias: bool = False,
) -> Any:
    x = tensor(images)
    height, width = _fitted(x, size, preserve_aspect_ratio)
    if (height, width) == tuple(x.shape[-3:-1]):
        return x
    return resized(x, (height, width), method, antialias)


def _resize_v1(name: str, method: str) -> None:
    def call(
        images: Any, size: Any, align_corners: bool = False, half_pixel_centers: bool = False
    ) -> Any:
        height, width = integers(size)
        return resized(
            tensor(images), (height, width), method, False, align_corners, half_pixel_centers
        )

    TABLE[f"compat.v1.image.resize_{name}"] = call


_resize_v1("bilinear", "bilinear")
_resize_v1("bicubic", "bicubic")
_resize_v1("nearest_neighbor", "nearest")
_resize_v1("area", "area")


@in_tensorflow("compat.v1.image.resize_images")
def _resize_images(
    images: Any,
    size: Any,
    method: Any = 0,
    align_corners: bool = False,
    preserve_aspect_ratio: bool = False,
) -> Any:
    x = tensor(images)
    height, width = _fitted(x, size, preserve_aspect_ratio)
    if (height, width) == tuple(x.shape[-3:-1]):
        return x
    method = ("bilinear", "nearest", "bicubic", "area")[method] if method in range(4) else method
    return resized(x, (height, width), method, False, align_corners, False)
