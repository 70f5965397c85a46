"""Colors of images: gray, and hue, saturation and value."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..graph.context import CONTEXT
from ..graph.infer import known_shape
from ..graph.operation import op
from .image_common import IMAGE_PATH, as_images, channel_axis

__all__ = ["hsv_to_rgb", "rgb_to_grayscale", "rgb_to_hsv"]


def _color_planes(images: Any, data_format: str | None) -> tuple[Tensor, int]:
    """Return images of three channels of floats, and the axis of the channels."""
    images, axis = as_images(images), channel_axis(data_format)
    if not images.is_floating_point():
        raise ValueError(
            f"Invalid images dtype: expected float dtype. Received: images.dtype={images.dtype}"
        )
    if CONTEXT.meta and known_shape(images)[axis] is None:
        images = images.narrow(axis, 0, 3)
    if images.shape[axis] != 3:
        raise ValueError(
            "Input images must have 3 channels, but received images with"
            f" {images.shape[axis]} channels. Received: images.shape={tuple(images.shape)}"
        )
    return images, axis


@op(path=IMAGE_PATH + "RGBToGrayscale")
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
    images, axis = as_images(images), channel_axis(data_format)
    if CONTEXT.meta and known_shape(images)[axis] is None:
        images = images.narrow(axis, 0, 1)
    if images.shape[axis] == 1:
        return images.clone()
    if images.shape[axis] != 3:
        raise ValueError(
            "Invalid channel size: expected 3 (RGB) or 1 (Grayscale)."
            f" Received: images.shape={tuple(images.shape)}"
        )
    red, green, blue = images.unbind(axis)
    gray = 0.2989 * red + 0.587 * green + 0.114 * blue
    return gray.to(images.dtype).unsqueeze(axis)


@op(path=IMAGE_PATH + "RGBToHSV")
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
    images, axis = _color_planes(images, data_format)
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


@op(path=IMAGE_PATH + "HSVToRGB")
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
    images, axis = _color_planes(images, data_format)
    hue, saturation, value = images.unbind(axis)
    turn = torch.remainder(hue, 1.0) * 6.0
    pure = (
        (turn - 3.0).abs() - 1.0,
        2.0 - (turn - 2.0).abs(),
        2.0 - (turn - 4.0).abs(),
    )
    planes = [value * (1.0 - saturation + saturation * part.clamp(0.0, 1.0)) for part in pure]
    return torch.stack(planes, axis)
