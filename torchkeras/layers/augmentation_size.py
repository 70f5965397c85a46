"""Images of another size: `Resizing`, `CenterCrop`, `RandomCrop`.

Sources: `keras.layers` (names, numbers drawn for a seed, configs).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..ops.image import resize
from ..random import make_default_seed, uniform
from ..registry import builtin
from .augmentation import GeometricLayer, Shape, on_host

__all__ = ["CenterCrop", "RandomCrop", "Resizing"]


class _Sizing(GeometricLayer):
    """What these layers share: a height and a width of the result."""

    _USE_BASE_FACTOR = False

    def _window(self, images: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
        images = images.narrow(self.height_axis, top, height)
        return images.narrow(self.width_axis, left, width)

    def _fitting(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Return the largest window in the middle that has the result's shape of sides."""
        rows = max(min(height, int(width * self.height / self.width)), 1)
        columns = max(min(width, int(height * self.width / self.height)), 1)
        return (height - rows) // 2, (width - columns) // 2, rows, columns

    def _move_boxes_to_window(
        self, bounding_boxes: Any, size: tuple[int, int], window: tuple[int, int, int, int]
    ) -> dict[str, Any]:
        """Move boxes into a window of the images that is then brought to the size of the result."""
        top, left, height, width = window

        sides = ((left, width, self.width), (top, height, self.height)) * 2

        def move(boxes: Tensor) -> Tensor:
            parts = zip(boxes.split(1, -1), sides, strict=True)
            moved = [(x - start).clamp(0, size) * (new / size) for x, (start, size, new) in parts]
            return torch.cat(moved, -1)

        return self._move_boxes(bounding_boxes, move, size, (self.height, self.width))


@builtin("keras.layers.Resizing")
class Resizing(_Sizing):
    """Brings images to a size, in training and inference.

    Args:
        height, width: Of the result.
        interpolation: `nearest`, `bilinear`, `bicubic`, `lanczos3` or `lanczos5`; or, as in
            Keras 2, `area`, `gaussian`, `mitchellcubic` or `keras2_bicubic`.
        crop_to_aspect_ratio: Whether to cut off what does not fit the new shape.
        pad_to_aspect_ratio: Whether to fill up what is missing for it.
        fill_mode: How; only `constant`.
        fill_value: With what.
        antialias: Whether to smooth before making smaller.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.
        kwargs: Arguments of `BaseImagePreprocessingLayer`.
    Shapes: Result: as the input, with `height` and `width`; in its dtype.
    Raises:
        ValueError: The input is no image, or an argument of a call of `ops.image.resize` is wrong.

    Example:
        >>> Resizing(4, 6)(torch.ones(2, 8, 8, 3)).shape
        torch.Size([2, 4, 6, 3])
    """

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.height = height
        self.width = width
        self.interpolation = interpolation
        self.crop_to_aspect_ratio = crop_to_aspect_ratio
        self.pad_to_aspect_ratio = pad_to_aspect_ratio
        self.fill_mode = fill_mode
        self.fill_value = fill_value
        self.antialias = bool(antialias)

    def get_random_transformation(
        self, data: Any, training: bool = True, seed: Any = None
    ) -> tuple[int, int]:
        """Return height and width of the images."""
        return self._size((data["images"] if isinstance(data, dict) else data).shape)

    def _transform_images(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        return resize(
            images,
            (self.height, self.width),
            interpolation=interpolation,
            antialias=self.antialias,
            crop_to_aspect_ratio=self.crop_to_aspect_ratio,
            pad_to_aspect_ratio=self.pad_to_aspect_ratio,
            fill_mode=self.fill_mode,
            fill_value=self.fill_value,
            data_format=self.data_format,
        )

    def transform_images(
        self, images: Any, transformation: Any = None, training: bool = True
    ) -> Tensor:
        """Resize a batch of images, in their dtype."""
        return self._transform_images(images, transformation, self.interpolation)

    def transform_labels(
        self, labels: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        """Return the labels."""
        return labels

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Tensor:
        """Resize a batch of masks, taking the nearest pixel."""
        return self._transform_images(segmentation_masks, transformation, "nearest")

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        """Scale the boxes; those that are all 0 or all -1 mean none, and become 0."""
        height, width = transformation
        boxes = bounding_boxes["boxes"]
        none = ((boxes == -1).all(-1) | (boxes == 0).all(-1)).unsqueeze(-1)
        scale_x, scale_y, left, top = self._placement(height, width)

        sides = ((scale_x, left), (scale_y, top)) * 2

        def move(boxes: Tensor) -> Tensor:
            parts = zip(boxes.split(1, -1), sides, strict=True)
            return torch.cat([x * scale + start for x, (scale, start) in parts], -1)

        moved = self._move_boxes(bounding_boxes, move, (height, width), (self.height, self.width))
        return {**moved, "boxes": moved["boxes"].masked_fill(none, 0.0)}

    def _placement(self, height: float, width: float) -> tuple[float, float, float, float]:
        """Return how x and y are scaled, and where the image begins in the result."""
        ratio_y, ratio_x = self.height / height, self.width / width
        if self.pad_to_aspect_ratio:
            ratio_x = ratio_y = min(ratio_x, ratio_y)
        elif self.crop_to_aspect_ratio:
            ratio_x = ratio_y = max(ratio_x, ratio_y)
        else:
            return ratio_x, ratio_y, 0, 0
        left, top = self.width - width * ratio_x, self.height - height * ratio_y
        if self.crop_to_aspect_ratio:  # what is cut off is rounded down
            return ratio_x, ratio_y, -(-left // 2), -(-top // 2)
        return ratio_x, ratio_y, left // 2, top // 2


@builtin("keras.layers.CenterCrop")
class CenterCrop(_Sizing):
    """Cuts out the middle of images, in training and inference.

    Where an image is smaller than that, the largest window of the same shape is resized.

    Args:
        height, width: Of the result.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.
        kwargs: Arguments of `BaseImagePreprocessingLayer`.
    Shapes: Result: as the input, with `height` and `width`.
    Raises:
        ValueError: The input is no image.

    Example:
        >>> CenterCrop(1, 1)(torch.arange(9.0).reshape(3, 3, 1)).item()
        4.0
    """

    def __init__(
        self, height: int, width: int, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.height = height
        self.width = width

    def get_random_transformation(
        self, data: Any, training: bool = True, seed: Any = None
    ) -> dict[str, Any]:
        """Return the shape of the images."""
        images = data["images"] if isinstance(data, dict) else data
        self._is_batched(images)
        return {"input_shape": tuple(images.shape)}

    def _crop(self, images: Tensor, interpolation: str) -> Tensor:
        images = self._cast(images)
        height, width = self._size(images.shape)
        if height >= self.height and width >= self.width:
            top, left = (height - self.height) // 2, (width - self.width) // 2
            return self._window(images, top, left, self.height, self.width)
        images = self._window(images, *self._fitting(height, width))
        size = (self.height, self.width)
        return resize(images, size, interpolation, data_format=self.data_format)

    def transform_images(
        self, images: Any, transformation: Any = None, training: bool = True
    ) -> Tensor:
        """Crop a batch of images; the result has the compute dtype."""
        return self._crop(images, "bilinear")

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Tensor:
        """Crop a batch of masks; the result has the compute dtype."""
        return self._crop(segmentation_masks, "nearest")

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        """Move the boxes into the window."""
        height, width = self._size(transformation["input_shape"])
        if height >= self.height and width >= self.width:
            start = (int((height - self.height) / 2), int((width - self.width) / 2))
            window = (*start, self.height, self.width)
        else:
            window = self._fitting(height, width)
        return self._move_boxes_to_window(bounding_boxes, (height, width), window)


@builtin("keras.layers.RandomCrop")
class RandomCrop(_Sizing):
    """Cuts a part out of images, at a random place that a batch shares, in training.

    Where an image is not larger than that in both directions, the largest window of the same shape
    in the middle is resized.

    Args:
        height, width: Of the result.
        seed: Of the random numbers.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.
        name: Of the layer.
        kwargs: Arguments of `BaseImagePreprocessingLayer`.
    Shapes: Result: as the input, with `height` and `width`; as the input in inference.
    Raises:
        ValueError: The input is no image.

    Example:
        >>> RandomCrop(2, 3, seed=0)(torch.ones(4, 8, 8, 3)).shape
        torch.Size([4, 2, 3, 3])
    """

    def __init__(
        self,
        height: int,
        width: int,
        seed: int | None = None,
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, name=name, **kwargs)
        self.height = height
        self.width = width
        shown = make_default_seed() if seed is None else seed
        self._set_seed(seed)
        self.seed = shown

    def _draw(self, shape: Shape, batch: int, seed: Any) -> tuple[int, int, int, int]:
        """Return where the part begins, and height and width of the images."""
        height, width = self._size(shape)
        if height > self.height and width > self.width:
            top, left = (
                int(on_host(lambda room=room: uniform((), 0, float(room + 1), seed=seed)))
                for room in (height - self.height, width - self.width)
            )
        else:
            top, left, _, _ = self._fitting(height, width)
        return top, left, height, width

    def _transform_images(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        top, left = transformation[:2]
        height, width = self._size(images.shape)
        rows, columns = min(self.height, height - top), min(self.width, width - left)
        images = self._window(self._cast(images), top, left, rows, columns)
        size = (self.height, self.width)
        if (rows, columns) == size:
            return images
        return resize(images, size, interpolation, data_format=self.data_format)

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Tensor:
        """Crop a batch of images; the result has the compute dtype."""
        if training and transformation is not None:
            return self._transform_images(images, transformation, "bilinear")
        return self._cast(images)

    def _transform_boxes(self, bounding_boxes: Any, transformation: Any) -> Any:
        """Move the boxes into the window."""
        top, left, *size = transformation
        # Who passes a place alone has images that are larger than the part.
        height, width = size or (top + self.height, left + self.width)
        window = (top, left, min(self.height, height - top), min(self.width, width - left))
        return self._move_boxes_to_window(bounding_boxes, (height, width), window)
