"""Images, `(H, W, C)` or `(B, H, W, C)`, or with channels first: sizes, colors, patches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..config import standardize_data_format
from ..graph.operation import op
from .common import as_tensor
from .core import saturate_cast
from .windows import same_padding, standardize_padding, standardize_tuple, torch_padding

__all__ = [
    "crop_images",
    "extract_patches",
    "extract_patches_3d",
    "hsv_to_rgb",
    "pad_images",
    "resize",
    "rgb_to_grayscale",
    "rgb_to_hsv",
]

_PATH = "keras.src.ops.image."
_MODES = {"bilinear": "bilinear", "nearest": "nearest-exact", "bicubic": "bicubic"}


def _images(x: Any, rank: int = 2) -> Tensor:
    """Return images as a tensor.

    Raises:
        ValueError: They are neither one image nor a batch.
    """
    x = as_tensor(x)
    if x.ndim not in (rank + 1, rank + 2):
        raise ValueError(
            f"Invalid images rank: expected {rank + 1} axes (one image) or {rank + 2} (a batch)."
            f" Received: images.shape={tuple(x.shape)}"
        )
    return x


def _in_batches_channels_first(
    function: Callable[[Tensor], Tensor], x: Tensor, data_format: str | None, rank: int = 2
) -> Tensor:
    """Apply a function on `(B, C, spatial...)` to one image or a batch, of either format."""
    last = standardize_data_format(data_format) == "channels_last"
    single = x.ndim == rank + 1
    x = x.unsqueeze(0) if single else x
    result = function(x.movedim(-1, 1)).movedim(1, -1) if last else function(x)
    return result.squeeze(0) if single else result


@op(path=_PATH + "Resize")
def resize(
    images: Tensor,
    size: Sequence[int],
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Tensor:
    """Images in another size, in their dtype.

    Args:
        images: One image or a batch.
        size: Height and width of the result.
        interpolation: `nearest`, `bilinear` or `bicubic`.
        antialias: Whether to smooth before making smaller.
        crop_to_aspect_ratio: Whether to cut off what does not fit the new shape.
        pad_to_aspect_ratio: Whether to fill up what is missing for it.
        fill_mode: How; only `constant`.
        fill_value: With what.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.

    Raises:
        ValueError: An argument is not one of those, or both ratios are asked for.

    Example:
        >>> resize(torch.ones(2, 2, 3), (4, 6)).shape
        torch.Size([4, 6, 3])
    """
    images = _images(images)
    if len(size) != 2 or min(size) <= 0:
        raise ValueError(f"`size` must be two positive integers. Received: size={size}")
    if interpolation not in _MODES:
        raise ValueError(
            f"Invalid value for argument `interpolation`. Expected one of {sorted(_MODES)}."
            f" Received: interpolation={interpolation!r}"
        )
    if fill_mode != "constant":
        raise ValueError(f"`fill_mode` must be 'constant'. Received: fill_mode={fill_mode!r}")
    if pad_to_aspect_ratio and crop_to_aspect_ratio:
        raise ValueError(
            "Only one of `pad_to_aspect_ratio` & `crop_to_aspect_ratio` can be `True`."
        )
    mode = _MODES[interpolation]
    smooth = interpolation != "nearest"
    target = tuple(size)

    def scale(x: Tensor) -> Tensor:
        x = x if x.dtype in (torch.float32, torch.float64) else x.float()
        if crop_to_aspect_ratio:
            x = _cropped(x, target)
        elif pad_to_aspect_ratio:
            x = _padded(x, target, fill_value)
        if smooth:
            return F.interpolate(x, target, mode=mode, align_corners=False, antialias=antialias)
        return F.interpolate(x, target, mode=mode)

    result = _in_batches_channels_first(scale, images, data_format)
    if result.dtype is images.dtype:
        return result
    integer = not images.is_floating_point()
    return saturate_cast(torch.round(result) if integer else result, images.dtype)


def _cropped(x: Tensor, size: tuple[int, ...]) -> Tensor:
    """Cut images to the aspect ratio of `size`, from the middle."""
    height, width = x.shape[-2:]
    rows = max(min(height, int(width * size[0] / size[1])), 1)
    columns = max(min(width, int(height * size[1] / size[0])), 1)
    top, left = (height - rows) // 2, (width - columns) // 2
    return x[:, :, top : top + rows, left : left + columns]


def _padded(x: Tensor, size: tuple[int, ...], fill_value: float) -> Tensor:
    """Fill images up to the aspect ratio of `size`, evenly on both sides."""
    height, width = x.shape[-2:]
    top = (max(height, int(width * size[0] / size[1])) - height) // 2
    left = (max(width, int(height * size[1] / size[0])) - width) // 2
    return F.pad(x, (left, left, top, top), value=fill_value)


# Colors ------------------------------------------------------------------------------------------


def _channels(images: Any, data_format: str | None) -> tuple[Tensor, int]:
    axis = -1 if standardize_data_format(data_format) == "channels_last" else -3
    return _images(images), axis


def _check_float(images: Tensor) -> None:
    if not images.is_floating_point():
        raise ValueError(
            f"Invalid images dtype: expected floats. Received: images.dtype={images.dtype}"
        )


@op(path=_PATH + "RGBToGrayscale")
def rgb_to_grayscale(images: Tensor, data_format: str | None = None) -> Tensor:
    """The brightness of colors, as one channel.

    Args:
        images: Red, green and blue.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.

    Raises:
        ValueError: There are neither 3 channels nor 1.

    Source: ITU-R BT.601 (weights).

    Example:
        >>> rgb_to_grayscale(torch.ones(1, 1, 3)).shape
        torch.Size([1, 1, 1])
    """
    images, axis = _channels(images, data_format)
    if images.shape[axis] == 1:
        return images.clone()
    if images.shape[axis] != 3:
        raise ValueError(
            f"Invalid channel size: expected 3 (RGB) or 1 (gray). Received: {tuple(images.shape)}"
        )
    red, green, blue = images.unbind(axis)
    gray = 0.2989 * red + 0.587 * green + 0.114 * blue
    return gray.to(images.dtype).unsqueeze(axis)


@op(path=_PATH + "RGBToHSV")
def rgb_to_hsv(images: Tensor, data_format: str | None = None) -> Tensor:
    """Red, green and blue as hue, saturation and value, all in [0, 1].

    Args:
        images: Floats in [0, 1].
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.

    Raises:
        ValueError: They are no floats.

    Example:
        >>> rgb_to_hsv(torch.tensor([[[0.0, 1.0, 0.0]]])).flatten().tolist()
        [0.3333333432674408, 1.0, 1.0]
    """
    images, axis = _channels(images, data_format)
    _check_float(images)
    images = torch.where(images.abs() < torch.finfo(images.dtype).eps, 0.0, images)
    red, green, blue = images.unbind(axis)
    value = images.amax(axis)
    spread = value - images.amin(axis)
    saturation = torch.where(value > 0, spread / torch.where(value > 0, value, 1.0), 0.0)
    sixth = 1.0 / (6.0 * torch.where(spread > 0, spread, 1.0))
    from_green = sixth * (blue - red) + 2.0 / 6.0
    from_blue = sixth * (red - green) + 4.0 / 6.0
    hue = torch.where(value == green, from_green, from_blue)
    hue = torch.where(value == red, sixth * (green - blue), hue)
    hue = torch.where(spread > 0, hue, 0.0) + (hue < 0.0)
    return torch.stack((hue, saturation, value), axis)


@op(path=_PATH + "HSVToRGB")
def hsv_to_rgb(images: Tensor, data_format: str | None = None) -> Tensor:
    """The inverse of `rgb_to_hsv`.

    Args:
        images: Floats in [0, 1].
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.

    Raises:
        ValueError: They are no floats.

    Example:
        >>> hsv_to_rgb(torch.tensor([[[0.0, 1.0, 1.0]]])).flatten().tolist()
        [1.0, 0.0, 0.0]
    """
    images, axis = _channels(images, data_format)
    _check_float(images)
    hue, saturation, value = images.unbind(axis)
    turn = torch.remainder(hue, 1.0) * 6.0
    pure = (
        (turn - 3.0).abs() - 1.0,
        2.0 - (turn - 2.0).abs(),
        2.0 - (turn - 4.0).abs(),
    )
    planes = [value * (1.0 - saturation + saturation * part.clamp(0.0, 1.0)) for part in pure]
    return torch.stack(planes, axis)


# Patches -----------------------------------------------------------------------------------------


@op(path=_PATH + "ExtractPatches")
def extract_patches(
    images: Tensor,
    size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    dilation_rate: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """The windows of images, each laid out as channels.

    Args:
        images: One image or a batch; volumes, if `size` has three numbers.
        size: Of a window.
        strides: Step between windows. Default: `size`.
        dilation_rate: Step between the elements of a window.
        padding: `valid` or `same`.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.

    Raises:
        TypeError: `size` is no integer and no tuple.
        ValueError: It has another number of elements.

    Example:
        >>> extract_patches(torch.ones(4, 4, 3), 2).shape
        torch.Size([2, 2, 12])
    """
    if not isinstance(size, int):
        if not isinstance(size, (tuple, list)):
            raise TypeError(
                f"Invalid `size` argument. Expected an int or a tuple. Received: size={size!r}"
            )
        if len(size) not in (2, 3):
            raise ValueError(
                f"Invalid `size` argument. Expected 2 or 3 numbers. Received: size={size}"
            )
    rank = 2 if isinstance(size, int) else len(size)
    windows = standardize_tuple(size, rank, "size")
    steps = windows if not strides else standardize_tuple(strides, rank, "strides")
    dilation = standardize_tuple(dilation_rate, rank, "dilation_rate")
    padding = standardize_padding(padding)

    def patches(x: Tensor) -> Tensor:
        if padding == "same":
            sizes = zip(x.shape[2:], windows, steps, dilation, strict=True)
            x = F.pad(x, torch_padding([same_padding(*item) for item in sizes]))
        for i in range(rank):  # views; nothing is copied before the end
            extent = (windows[i] - 1) * dilation[i] + 1
            x = x.unfold(2 + i, extent, steps[i])[..., :: dilation[i]]
        x = x.movedim(1, -1)  # (B, spatial..., window..., C)
        return x.flatten(1 + rank).movedim(-1, 1)

    return _in_batches_channels_first(patches, _images(images, rank), data_format, rank)


def extract_patches_3d(
    volumes: Tensor,
    size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    dilation_rate: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """`extract_patches` of volumes.

    Example:
        >>> extract_patches_3d(torch.ones(4, 4, 4, 1), 2).shape
        torch.Size([2, 2, 2, 8])
    """
    size = (size,) * 3 if isinstance(size, int) else size
    return extract_patches(volumes, size, strides, dilation_rate, padding, data_format)


# Borders -----------------------------------------------------------------------------------------


def _borders(
    size: int, before: int | None, after: int | None, target: int | None, names: Sequence[str]
) -> tuple[int, int]:
    """Return how much is added before and after an axis, of which two of three facts are given."""
    given = dict(zip(names, (before, after, target), strict=True))
    if list(given.values()).count(None) != 1:
        raise ValueError(f"Must specify exactly two of {', '.join(names)}. Received: {given}")
    for name, value in given.items():
        if value is not None and value < 0:
            raise ValueError(f"{name} must be >= 0. Received: {name}={value}")
    if before is None:
        before = target - after - size
    elif after is None:
        after = target - before - size
    return before, after


@op(path=_PATH + "PadImages")
def pad_images(
    images: Tensor,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """Images with zeros around them; of each direction two numbers are given.

    Args:
        images: One image or a batch.
        top_padding, bottom_padding, target_height: Rows.
        left_padding, right_padding, target_width: Columns.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.

    Raises:
        ValueError: Not two numbers are given, one is negative, or the target is too small.

    Example:
        >>> rows = {"top_padding": 1, "target_height": 4}
        >>> pad_images(torch.ones(2, 2, 1), left_padding=0, target_width=3, **rows).shape
        torch.Size([4, 3, 1])
    """

    def pad(x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        names = ("top_padding", "bottom_padding", "target_height")
        top, bottom = _borders(height, top_padding, bottom_padding, target_height, names)
        names = ("left_padding", "right_padding", "target_width")
        left, right = _borders(width, left_padding, right_padding, target_width, names)
        if min(top, bottom, left, right) < 0:
            raise ValueError(
                "pad_images: the target is smaller than the image with its padding."
                f" Received: height={height}, width={width},"
                f" padding={(top, bottom)} and {(left, right)}"
            )
        return F.pad(x, (left, right, top, bottom))

    return _in_batches_channels_first(pad, _images(images), data_format)


@op(path=_PATH + "CropImages")
def crop_images(
    images: Tensor,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """A part of images; of each direction two numbers are given.

    Args:
        images: One image or a batch.
        top_cropping, bottom_cropping, target_height: Rows.
        left_cropping, right_cropping, target_width: Columns.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.

    Raises:
        ValueError: Not two numbers are given, one is negative, or the part is not inside.

    Example:
        >>> rows = {"top_cropping": 1, "target_height": 2}
        >>> crop_images(torch.ones(4, 4, 1), left_cropping=0, target_width=3, **rows).shape
        torch.Size([2, 3, 1])
    """

    def crop(x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        names = ("top_cropping", "bottom_cropping", "target_height")
        top, bottom = _cut(height, top_cropping, bottom_cropping, target_height, names)
        names = ("left_cropping", "right_cropping", "target_width")
        left, right = _cut(width, left_cropping, right_cropping, target_width, names)
        return x[:, :, top:bottom, left:right]

    return _in_batches_channels_first(crop, _images(images), data_format)


def _cut(
    size: int, before: int | None, after: int | None, target: int | None, names: Sequence[str]
) -> tuple[int, int]:
    """Return where the part of an axis begins and ends."""
    given = dict(zip(names, (before, after, target), strict=True))
    if list(given.values()).count(None) != 1:
        raise ValueError(f"Must specify exactly two of {', '.join(names)}. Received: {given}")
    if before is None:
        before = size - after - target
    end = before + target if target is not None else size - after
    if not 0 <= before < end <= size:
        raise ValueError(f"The part is not inside the image, of size {size}. Received: {given}")
    return before, end
