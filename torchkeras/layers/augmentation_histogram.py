"""Contrast by statistics of the images: `AutoContrast`, `Equalization` and the adaptive kind.

B batch, C channels, H and W sizes of an image. Nothing here is random.
Sources: `keras.layers` (names, formulas, configs); Zuiderveld 1994 (adaptive equalization).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..ops.image_common import in_batches
from ..registry import builtin
from .augmentation import ColorLayer, as_value_range

__all__ = ["AutoContrast", "ContrastLimitedAdaptiveHistogramEqualization", "Equalization"]


def _counts(index: Tensor, bins: int) -> Tensor:
    """Count how often each of `bins` numbers occurs along the last axis."""
    counts = torch.zeros((*index.shape[:-1], bins), dtype=torch.float32, device=index.device)
    return counts.scatter_add_(-1, index, torch.ones((), device=index.device).expand(index.shape))


@builtin("keras.layers.AutoContrast")
class AutoContrast(ColorLayer):
    """Stretches each channel of each image to the whole range, in training and inference.

    Args:
        value_range: The least and the largest value of images.
        kwargs: Arguments of `BaseImagePreprocessingLayer`.
    Shapes: Result: as the input.
    Raises:
        ValueError: `value_range` is no range, or the input is no image.

    Example:
        >>> AutoContrast()(torch.tensor([[[100.0], [150.0], [200.0]]])).flatten().tolist()
        [0.0, 127.5, 255.0]
    """

    _USE_BASE_FACTOR = False

    def __init__(self, value_range: Sequence[float] = (0, 255), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.value_range = as_value_range(value_range)

    def transform_images(
        self, images: Any, transformation: Any = None, training: bool = True
    ) -> Tensor:
        """Transform a batch of images; the result has the compute dtype."""
        original = self._cast(images)
        dtype = original.dtype
        values = self._transform_value_range(original, self.value_range, (0, 255), dtype)
        axes = (self.height_axis, self.width_axis)
        low, high = values.amin(axes, keepdim=True), values.amax(axes, keepdim=True)
        flat = high == low
        scale = 255.0 / torch.where(flat, 1.0, high - low)
        values = (values * scale - low * scale).clamp(0.0, 255.0)
        values = self._transform_value_range(values, (0, 255), self.value_range, dtype)
        return torch.where(flat, original, values)


@builtin("keras.layers.Equalization")
class Equalization(ColorLayer):
    """Makes all colors equally frequent, for each channel of the whole batch, in training.

    As in Keras the images of a batch share one histogram; call the layer on single images where
    each should have its own.

    Args:
        value_range: The least and the largest value of images.
        bins: How many colors a histogram tells apart.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.
        kwargs: Arguments of `BaseImagePreprocessingLayer`.
    Shapes: Result: as the input.
    Raises:
        ValueError: `value_range` is no range, or the input is no image.

    Example:
        >>> Equalization()(torch.tensor([[[10.0], [20.0], [30.0]]])).flatten().tolist()
        [0.0, 128.0, 255.0]
    """

    _USE_BASE_FACTOR = False

    def __init__(
        self,
        value_range: Sequence[float] = (0, 255),
        bins: int = 256,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.bins = bins
        self.value_range = as_value_range(value_range)

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Tensor:
        """Transform a batch of images; the result has the compute dtype."""
        images = self._cast(images)
        if not training:
            return images
        low, high = self.value_range
        scale = 255 / (high - low)
        planes = images.movedim(self.channel_axis, 0)
        values = planes.float().flatten(1) * scale - low * scale  # (C, everything else)
        last = self.bins - 1
        counts = _counts((values * last / 255).long().clamp(0, last), self.bins)
        below = counts.cumsum(-1)
        total = below[:, -1:]
        first = torch.where(below > 0, below, total).amin(-1, keepdim=True)
        span = torch.where(total == first, 1.0, total - first)
        table = ((below - first) * 255 / span).round().clamp(0, 255)
        equalized = table.gather(-1, (values / 255 * last).clamp(0, last).long())
        alone = (counts > 0).sum(-1, keepdim=True) <= 1  # a channel of one color stays
        equalized = torch.where(alone, values, equalized) * ((high - low) / 255) + low
        return self._cast(equalized.reshape(planes.shape).movedim(0, self.channel_axis))

    def compute_output_spec(self, inputs: Any, **kwargs: Any) -> Any:
        """Infer what a call gives."""
        return super().compute_output_spec(inputs, **kwargs)


@builtin("keras.layers.ContrastLimitedAdaptiveHistogramEqualization")
class ContrastLimitedAdaptiveHistogramEqualization(ColorLayer):
    """Equalizes each image tile by tile, with limited contrast, in training and inference.

    The table of colors of a pixel is interpolated between those of the nearest four tiles.

    Args:
        value_range: The least and the largest value of images.
        clip_limit: How often a color may occur, in units of the mean and rounded down; what is
            above is spread over all colors. 0 sets no limit.
        tile_grid_size: How many tiles there are down and across.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.
        kwargs: Arguments of `BaseImagePreprocessingLayer`.
    Shapes: Result: as the input, in its dtype.
    Raises:
        ValueError: The input is no image.
    Source: Zuiderveld 1994.

    Example:
        >>> layer = ContrastLimitedAdaptiveHistogramEqualization(tile_grid_size=(1, 1))
        >>> layer(torch.full((4, 4, 1), 9.0)).shape
        torch.Size([4, 4, 1])
    """

    _USE_BASE_FACTOR = False

    def __init__(
        self,
        value_range: Sequence[float] = (0, 255),
        clip_limit: float = 4.0,
        tile_grid_size: Sequence[int] = (8, 8),
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.value_range = value_range
        self.clip_limit = clip_limit
        self.tile_grid_size = tile_grid_size

    def transform_images(
        self, images: Any, transformation: Any = None, training: bool = True
    ) -> Tensor:
        """Transform a batch of images; the result has their dtype."""
        values = self._transform_value_range(images, self.value_range, (0, 255)).float()
        values = in_batches(self._equalized, values, self.data_format)
        values = self._transform_value_range(values, (0, 255), self.value_range)
        return values.to(images.dtype)

    def _equalized(self, x: Tensor) -> Tensor:
        """Equalize `(B, C, H, W)` with values from 0 to 255."""
        colors = x.long().clamp(0, 255)
        sizes = x.shape[2:]
        grid = self.tile_grid_size
        tile = [-(-size // count) for size, count in zip(sizes, grid, strict=True)]
        short = [n * count - size for n, count, size in zip(tile, grid, sizes, strict=True)]
        # The last row and column are repeated, so that all tiles are full.
        tiles = F.pad(x, (0, short[1], 0, short[0]), mode="replicate").long().clamp(0, 255)
        tiles = tiles.unflatten(3, (grid[1], tile[1])).unflatten(2, (grid[0], tile[0]))
        tables = self._tables(tiles.transpose(3, 4).flatten(4))  # (B, C, rows, columns, 256)
        before, after, weight = zip(*map(_between_tiles, sizes, tile, grid, [x] * 2), strict=True)
        weight = (weight[0][:, None], weight[1])

        def looked_up(row: Tensor, column: Tensor) -> Tensor:
            place = (row[:, None] * grid[1] + column) * 256 + colors
            return tables.flatten(2).gather(2, place.flatten(2)).reshape(x.shape)

        rows = [
            torch.lerp(looked_up(row, before[1]), looked_up(row, after[1]), weight[1])
            for row in (before[0], after[0])
        ]
        return torch.lerp(*rows, weight[0])

    def _tables(self, tiles: Tensor) -> Tensor:
        """Return the new value of each color, for tiles `(…, pixels)`."""
        pixels = tiles.shape[-1]
        counts = _counts(tiles, 256)
        if self.clip_limit > 0:
            limited = counts.clamp(max=self.clip_limit * pixels // 256)
            counts = limited + (counts - limited).sum(-1, keepdim=True) / 256.0
        below = counts.cumsum(-1)
        least = below[..., :1]
        span = pixels - least
        return ((below - least) * 255.0 / torch.where(span == 0, 1.0, span)).clamp(0, 255)


def _between_tiles(size: int, tile: int, count: int, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return for each pixel of an axis the tiles whose middles it lies between, and how far."""
    place = (torch.arange(size, dtype=like.dtype, device=like.device) - tile / 2.0) / tile
    before = torch.floor(place)
    index = before.long()
    return index.clamp(0, count - 1), (index + 1).clamp(0, count - 1), place - before
