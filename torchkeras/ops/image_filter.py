"""Filters of images, and their similarity."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ..graph.operation import op
from .common import as_floating, as_tensor
from .image_common import IMAGE_PATH, as_images, channel_axis, in_batches, in_floats

__all__ = ["blur", "gaussian_blur", "sobel_edges", "ssim"]


def _gaussian(size: int, sigma: float | Tensor, like: Tensor) -> Tensor:
    """Return `size` samples of a normal density, which sum to 1."""
    x = torch.arange(size, dtype=like.dtype, device=like.device) - (size - 1) / 2
    return torch.softmax(-0.5 * (x / sigma) ** 2, 0)


def blur(
    x: Tensor,
    kernel_size: Sequence[int],
    sigma: Sequence[float | Tensor],
    padding: str = "same",
) -> Tensor:
    """`gaussian_blur` of `(B, C, H, W)`, row by row and column by column."""
    channels = x.shape[1]
    columns = _gaussian(kernel_size[0], sigma[1], x).reshape(1, 1, -1, 1)
    rows = _gaussian(kernel_size[1], sigma[0], x).reshape(1, 1, 1, -1)
    for kernel in (columns, rows):
        x = F.conv2d(x, kernel.expand(channels, -1, -1, -1), padding=padding, groups=channels)
    return x


@op(path=IMAGE_PATH + "GaussianBlur")
def gaussian_blur(
    images: Tensor,
    kernel_size: Sequence[int] = (3, 3),
    sigma: Sequence[float] = (1.0, 1.0),
    data_format: str | None = None,
) -> Tensor:
    """Images smoothed by a Gaussian filter; around them are zeros.

    Args:
        images: One image or a batch.
        kernel_size: Height and width of the filter.
        sigma: Its standard deviations in pixels, along the width and along the height. (Keras
            documents the other order, but computes this one.)
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.

    Returns:
        As `images`.

    Raises:
        ValueError: They are neither one image nor a batch.

    Example:
        >>> gaussian_blur(torch.ones(3, 3, 1))[1, 1, 0].item()
        1.0
    """
    images = as_images(images)
    return in_floats(
        lambda x: in_batches(lambda b: blur(b, kernel_size, sigma), x, data_format), images
    )


@op(path=IMAGE_PATH + "SobelEdges")
def sobel_edges(images: Tensor, data_format: str | None = None) -> Tensor:
    """The changes of brightness along the height and along the width.

    Args:
        images: A batch.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.

    Returns:
        As `images`, with a new last axis of two: down and to the right.

    Raises:
        ValueError: It is not a batch.

    Source: Sobel & Feldman 1968.

    Example:
        >>> step = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(4, 4).reshape(1, 4, 4, 1)
        >>> sobel_edges(step)[0, 1, :, 0, 1].tolist()
        [0.0, 4.0, 4.0, -4.0]
    """
    images = as_tensor(images)
    if images.ndim != 4:
        raise ValueError(
            "Invalid images rank: expected rank 4 (a batch of images)."
            f" Received: images.shape={tuple(images.shape)}"
        )

    def edges(x: Tensor) -> Tensor:
        channels = x.shape[1]
        change = torch.arange(-1, 2, dtype=x.dtype, device=x.device)
        smooth = 2 - change.abs()
        across = torch.outer(smooth, change)
        kernels = torch.stack([across.T, across]).unsqueeze(1).repeat(channels, 1, 1, 1)
        both = F.conv2d(x, kernels, padding=1, groups=channels)
        return both.unflatten(1, (channels, 2)).movedim(2, -1)

    axis = channel_axis(data_format)
    result = in_floats(lambda x: edges(x.movedim(axis, 1)), images)
    return result.movedim(1, axis - 1)


@op(path=IMAGE_PATH + "SSIM")
def ssim(
    image1: Tensor,
    image2: Tensor,
    max_val: float = 1.0,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    data_format: str | None = None,
) -> Tensor:
    """How similar images are in brightness, contrast and structure: 1 if they are equal.

    Args:
        image1: One image or a batch.
        image2: As many, of the same shape.
        max_val: The largest value a pixel can have.
        filter_size: Of the Gaussian window that is compared, in pixels.
        filter_sigma: Its standard deviation.
        k1: Stabilizes the comparison of brightness, as a part of `max_val`.
        k2: Stabilizes that of contrast.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.

    Returns:
        One number per image.

    Raises:
        ValueError: They are neither single images nor batches.

    Source: Wang et al. 2004.

    Example:
        >>> image = torch.rand(16, 16, 3)
        >>> round(ssim(image, image).item(), 4)
        1.0
    """
    image1, image2 = as_images(image1, name="image1"), as_images(image2, name="image2")
    dtype = image1.dtype
    pair = []
    for image in (image1, image2):
        image = as_floating(image)
        image = image if image.dtype is torch.float64 else image.float()
        pair.append(image.movedim(channel_axis(data_format), -3))
    x, y = pair
    moments = torch.stack([x, y, x * x, y * y, x * y])
    planes = moments.reshape(-1, 1, *x.shape[-2:])
    means = blur(planes, (filter_size,) * 2, (filter_sigma,) * 2, padding="valid")
    mean_x, mean_y, xx, yy, xy = means.reshape(*moments.shape[:-2], *means.shape[-2:]).unbind()
    c1, c2 = (k1 * max_val) ** 2, (k2 * max_val) ** 2
    product, squares = mean_x * mean_y, mean_x**2 + mean_y**2
    similarity = (2 * product + c1) * (2 * (xy - product) + c2)
    similarity = similarity / ((squares + c1) * (xx + yy - squares + c2))
    return similarity.mean((-3, -2, -1)).to(dtype)
