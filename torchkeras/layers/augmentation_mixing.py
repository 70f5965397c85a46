"""Images put together: `MixUp`, `CutMix`; and `RandomErasing`, `MaxNumBoundingBoxes`.

B is the batch, N a number of boxes. `permutation_order` says which image of the batch goes into
which.
Sources: Zhang et al. 2018 (mix-up), Yun et al. 2019 (cut-mix), Zhong et al. 2020 (erasing);
`keras.layers` (names, numbers drawn for a seed, configs).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..dtypes import as_tensor, result_type, to_torch
from ..random import beta, normal, shuffle, uniform
from ..registry import builtin
from .augmentation import ColorLayer, ImageLayer, LenientLayer, Shape, per_image

__all__ = ["CutMix", "MaxNumBoundingBoxes", "MixUp", "RandomErasing"]

Factor = float | Sequence[float]


def _partners(x: Tensor, transformation: Any) -> Tensor:
    """Return for each element of a batch the one that is put into it."""
    order = as_tensor(transformation["permutation_order"], device=x.device)
    return x.index_select(0, order.long())


def _mixed(x: Tensor, transformation: Any, rank: int) -> Tensor:
    """Return the weighted mean of each element of a batch and its partner."""
    weight = per_image(as_tensor(transformation["mix_weight"], device=x.device), rank)
    return weight * x + (1.0 - weight) * _partners(x, transformation)


@builtin("keras.layers.MixUp")
class MixUp(LenientLayer):
    """Replaces each image, and its label, by a weighted mean with another of the batch.

    Of bounding boxes those of both images are kept.

    Args:
        alpha: Of the beta distribution of the weights; small numbers mix little.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.
        seed: Of the random numbers.
        kwargs: Arguments of `BaseImagePreprocessingLayer`.
    Shapes: Result: as the input; boxes `(B, 2 N, 4)`.
    Raises:
        ValueError: The input is no image.
    Source: Zhang et al. 2018.

    Example:
        >>> drawn = {"mix_weight": torch.tensor([0.75, 0.75]),
        ...          "permutation_order": torch.tensor([1, 0])}
        >>> MixUp().transform_labels(torch.eye(2), drawn).tolist()
        [[0.75, 0.25], [0.25, 0.75]]
    """

    _always_draws = True
    _USE_BASE_FACTOR = False

    def __init__(
        self,
        alpha: float = 0.2,
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.alpha = alpha
        self._set_seed(seed)

    def _draw(self, shape: Shape, batch: int, seed: Any) -> dict[str, Tensor]:
        order = shuffle(torch.arange(batch), seed=seed)
        weight = beta((batch,), self.alpha, self.alpha, seed=seed)
        return {"mix_weight": weight, "permutation_order": order}

    def _transform_images(self, images: Tensor, transformation: Any, _: Any) -> Tensor:
        return _mixed(images, transformation, 4).to(images.dtype)

    def transform_labels(self, labels: Any, transformation: Any, training: bool = True) -> Tensor:
        """Mix the labels."""
        if not training or transformation is None:
            return labels
        return _mixed(labels, transformation, labels.ndim)

    def _transform_boxes(self, bounding_boxes: Any, transformation: Any) -> Any:
        """Return the boxes of both images."""
        both = {}
        for name in ("boxes", "labels"):
            x = bounding_boxes[name]
            both[name] = torch.cat([x, _partners(x, transformation)], min(1, x.ndim - 1))
        return {**bounding_boxes, **both}


def _bounds(batch: int, size: int, part: Tensor, seed: Any) -> tuple[Tensor, Tensor]:
    """Draw where a part of an axis begins and ends, for each image."""
    length = part * size
    start = uniform((batch,), dtype=part.dtype, seed=seed) * (size - length)
    return start, start + length


class _Boxing(ImageLayer):
    """What both layers with a random box share."""

    _USE_BASE_FACTOR = False
    _FACTOR_BOUNDS = (0, 1)

    def _mask(self, shape: Shape, x: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor]) -> Tensor:
        """Return where images are within boxes, with one channel."""
        inside = None
        for axis, (start, end) in ((self.width_axis, x), (self.height_axis, y)):
            place = torch.arange(shape[axis], dtype=start.dtype, device=start.device)
            place = place.reshape(-1, *[1] * (-1 - axis))
            part = (place >= per_image(start)) & (place < per_image(end))
            inside = part if inside is None else inside & part
        return inside


@builtin("keras.layers.CutMix")
class CutMix(LenientLayer, _Boxing):
    """Replaces a box of each image by that of another of the batch; labels are mixed by area.

    Args:
        factor: Of the beta distribution of the boxes' areas: `f` means a number in [0, f].
        seed: Of the random numbers.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.
        kwargs: Arguments of `BaseImagePreprocessingLayer`.
    Shapes: Result: as the input. A single image stays as it is.
    Raises:
        ValueError: `factor` is outside [0, 1], or the input is no image.
        NotImplementedError: Bounding boxes are given.
    Source: Yun et al. 2019.

    Example:
        >>> CutMix(seed=0)(torch.ones(2, 4, 4, 1)).shape
        torch.Size([2, 4, 4, 1])
    """

    def __init__(
        self,
        factor: Factor = 1.0,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self._set_factor(factor)
        self._set_seed(seed)

    def _draw(self, shape: Shape, batch: int, seed: Any) -> dict[str, Tensor] | None:
        if len(shape) == 3:
            return None
        height, width = self._size(shape)
        dtype = result_type(self.compute_dtype, "float32")  # torch draws no halves
        alpha = uniform((), *self.factor, dtype=dtype, seed=seed) + 1e-6
        weight = beta((batch,), alpha, alpha, dtype=dtype, seed=seed)
        part = torch.sqrt(1.0 - weight)
        x = _bounds(batch, width, part, seed)
        y = _bounds(batch, height, part, seed)
        order = shuffle(torch.arange(batch), seed=seed)
        area = (x[1] - x[0]) * (y[1] - y[0])
        return {
            "permutation_order": order,
            "batch_masks": self._mask(shape, x, y),
            "mix_weight": 1.0 - area / (width * height),
        }

    def _transform_images(self, images: Tensor, transformation: Any, _: Any) -> Tensor:
        return torch.where(transformation["batch_masks"], _partners(images, transformation), images)

    def transform_labels(self, labels: Any, transformation: Any, training: bool = True) -> Tensor:
        """Mix the labels by area."""
        if not training or transformation is None:
            return labels
        return _mixed(labels, transformation, labels.ndim)

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Tensor:
        """Put the masks together as the images; the result has the compute dtype."""
        return self.transform_images(segmentation_masks, transformation, training)


@builtin("keras.layers.RandomErasing")
class RandomErasing(LenientLayer, _Boxing, ColorLayer):
    """Fills a box of some of the images.

    Args:
        factor: The probability for each image: `f` means a number in [0, f].
        scale: The box's height and width, squared, as parts of the image's: two numbers in [0, 1].
        fill_value: What it is filled with: a number, one per channel, or `None` for noise.
        value_range: The least and the largest value of images.
        seed: Of the random numbers.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.
        kwargs: Arguments of `BaseImagePreprocessingLayer`.
    Shapes: Result: as the input.
    Raises:
        ValueError: `factor` or `scale` is outside [0, 1], `fill_value` has not three numbers, or
            the input is no image.
    Source: Zhong et al. 2020.

    Example:
        >>> layer = RandomErasing((1.0, 1.0), scale=(1.0, 1.0), fill_value=7)
        >>> layer(torch.ones(1, 2, 1)).flatten().tolist()
        [7.0, 7.0]
    """

    def __init__(
        self,
        factor: Factor = 1.0,
        scale: Factor = (0.02, 0.33),
        fill_value: float | Sequence[float] | None = None,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self._set_factor(factor)
        self.scale = self._factor_range(scale, "scale")
        single = fill_value is None or isinstance(fill_value, (int, float))
        if not single and not (isinstance(fill_value, (tuple, list)) and len(fill_value) == 3):
            raise ValueError(
                "The `fill_value` argument should be a number (or a list of three numbers)."
                f" Received: fill_value={fill_value}"
            )
        self.fill_value = fill_value
        self.value_range = value_range
        self._set_seed(seed)

    def _draw(self, shape: Shape, batch: int, seed: Any) -> dict[str, Any]:
        dtype = self.compute_dtype
        height, width = self._size(shape)
        parts = torch.sqrt(uniform((batch, 2), *self.scale, dtype=dtype, seed=seed))
        x = _bounds(batch, width, parts[:, 0], seed)
        y = _bounds(batch, height, parts[:, 1], seed)
        chance = uniform((batch,), *self.factor, seed=seed)
        happens = uniform((batch,), seed=seed) < chance
        return {
            "apply_erasing": happens,
            "batch_masks": self._mask(shape, x, y),
            "fill_value": self._filling(shape, dtype, seed),
        }

    def _filling(self, shape: Shape, dtype: str, seed: Any) -> Tensor:
        """Return what boxes are filled with, to be broadcast to images."""
        if self.fill_value is None:
            values = normal(shape, dtype=dtype, seed=seed) * self.value_range[1]
        elif isinstance(self.fill_value, (tuple, list)):
            values = torch.stack(
                [torch.full((), x, dtype=to_torch(dtype)) for x in self.fill_value]
            )
            values = values.reshape(-1, *[1] * (-1 - self.channel_axis))
        else:
            values = torch.full((), self.fill_value, dtype=to_torch(dtype))
        return values.clamp(*self.value_range)

    def _transform_images(self, images: Tensor, transformation: Any, _: Any) -> Tensor:
        erased = transformation["batch_masks"] & per_image(
            transformation["apply_erasing"], images.ndim
        )
        return torch.where(erased, transformation["fill_value"], images)


@builtin("keras.layers.MaxNumBoundingBoxes")
class MaxNumBoundingBoxes(ColorLayer):
    """Gives each image the same number of bounding boxes, in training and inference.

    Args:
        max_number: How many.
        fill_value: What missing boxes and labels are filled up with.
        kwargs: Arguments of `BaseImagePreprocessingLayer`.
    Shapes: boxes: `(B, max_number, 4)`; labels: `(B, max_number)`; all else as the input.
    Raises:
        ValueError: The data have boxes, but the layer has no format of them.

    Example:
        >>> layer = MaxNumBoundingBoxes(3, bounding_box_format="xyxy")
        >>> boxes = {"boxes": torch.ones(2, 1, 4), "labels": torch.ones(2, 1)}
        >>> layer.transform_bounding_boxes(boxes, None)["labels"].tolist()
        [[1.0, -1.0, -1.0], [1.0, -1.0, -1.0]]
    """

    _USE_BASE_FACTOR = False

    def __init__(self, max_number: int, fill_value: float = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.max_number = int(max_number)
        self.fill_value = int(fill_value)

    def transform_images(
        self, images: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        """Return the images."""
        return images

    def transform_labels(
        self, labels: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        """Return the labels."""
        return labels

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        """Return the masks."""
        return segmentation_masks

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        """Cut off, or fill up, boxes and labels."""
        result = dict(bounding_boxes)
        for name in ("boxes", "labels"):
            x = bounding_boxes[name]
            missing = self.max_number - x.shape[1]  # negative padding cuts
            widths = [0, 0] * (x.ndim - 2) + [0, missing]
            result[name] = F.pad(x, widths, value=self.fill_value)
        return result
