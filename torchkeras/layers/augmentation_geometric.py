"""Random positions: `RandomFlip`, `RandomRotation`, `RandomZoom` and their like.

B is the batch, N a number of boxes. Each image of a batch moves by numbers of its own, and its
boxes and masks move along. `fill_mode` is what comes from outside of an image `a b c d`: `constant`
(`k k a b c d k k`), `nearest` (`a a a b c d d d`), `reflect` (`b a a b c d d c`) or `wrap`
(`c d a b c d a b`).
Sources: `keras.layers` (names, numbers drawn for a seed, formulas, configs).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from ..dtypes import as_tensor, to_torch
from ..naming import explain
from ..ops.image import affine_transform, elastic_transform, perspective_transform
from ..ops.image_warp import compute_homography_matrix
from ..random import SeedGenerator, uniform
from ..registry import builtin
from .augmentation import (
    GeometricLayer,
    Shape,
    affine_rows,
    as_interval,
    on_host,
    per_image,
)
from .bounding_boxes import affine_transform as affine_transform_boxes

__all__ = [
    "RandomElasticTransform",
    "RandomFlip",
    "RandomPerspective",
    "RandomRotation",
    "RandomShear",
    "RandomTranslation",
    "RandomZoom",
]

Factor = float | Sequence[float]
_FILL_MODES = ("reflect", "wrap", "constant", "nearest")
_INTERPOLATIONS = ("nearest", "bilinear")


def _check(name: str, value: Any, choices: Collection[str]) -> None:
    if value not in choices:
        raise NotImplementedError(
            explain(f"Unknown `{name}` {value}.", fix=f"expected is one of {', '.join(choices)}.")
        )


def _per_box(x: Tensor, boxes: Tensor) -> Tensor:
    """Return numbers `(B,)` so that they go with boxes `(B, N, 4)`, or those of one image."""
    return per_image(x, boxes.ndim).to(boxes.dtype)


def _checked_fill(layer: Any, value: float) -> float:
    if not isinstance(value, Real):
        raise TypeError(
            f"{type(layer).__name__}: `fill_value` must be a number. Received: {value!r}"
        )
    return value


class _Warp(GeometricLayer):
    """What the affine layers share: how pixels are mixed and what lies outside."""

    _keras_memory = "row_major"
    _USE_BASE_FACTOR = False

    def _take(
        self, interpolation: str, fill_mode: str, fill_value: float, seed: int | None
    ) -> None:
        _check("fill_mode", fill_mode, _FILL_MODES)
        _check("interpolation", interpolation, _INTERPOLATIONS)
        self.fill_mode = fill_mode
        self.fill_value = _checked_fill(self, fill_value)
        self.interpolation = interpolation
        self._set_seed(seed)

    # For subclasses, under Keras's names.

    def get_transformed_x_y(self, x: Any, y: Any, transform: Tensor) -> tuple[Tensor, Tensor]:
        """Return where a point comes from, by a transform `(B, 8)` of `affine_transform`."""
        a0, a1, a2, b0, b1, b2, c0, c1 = transform.split(1, -1)
        scale = c0 * x + c1 * y + 1
        return (a0 * x + a1 * y + a2) / scale, (b0 * x + b1 * y + b2) / scale

    def get_shifted_bbox(
        self, bounding_boxes: Any, w_shift_factor: Any, h_shift_factor: Any
    ) -> dict[str, Any]:
        """Return boxes moved by `(B, 1)` to the left and `(B, 1)` up."""
        boxes = bounding_boxes["boxes"]
        left, up = (_per_box(as_tensor(x), boxes) for x in (w_shift_factor, h_shift_factor))
        return {**bounding_boxes, "boxes": boxes - torch.cat([left, up] * 2, -1)}

    def _warped(self, images: Tensor, matrix: Tensor, interpolation: str) -> Tensor:
        return affine_transform(
            images, matrix, interpolation, self.fill_mode, self.fill_value, self.data_format
        )


_FLIPS = ("horizontal", "vertical", "horizontal_and_vertical")


@builtin("keras.layers.RandomFlip")
class RandomFlip(GeometricLayer):
    """Mirrors half of the images.

    Args:
        mode: `horizontal` (left and right), `vertical`, or `horizontal_and_vertical` (both).
        seed: Of the random numbers.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.
        kwargs: Arguments of `BaseImagePreprocessingLayer`.
    Shapes: Result: as the input.
    Raises:
        ValueError: The input is no image.

    Example:
        >>> layer = RandomFlip("horizontal")
        >>> row = torch.tensor([1.0, 2.0]).reshape(1, 1, 2, 1)
        >>> layer.transform_images(row, {"flips": torch.tensor([True])}).flatten().tolist()
        [2.0, 1.0]
    """

    _USE_BASE_FACTOR = False

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        if mode not in _FLIPS:
            raise ValueError(f"RandomFlip: `mode` must be one of {_FLIPS}. Received: mode={mode!r}")
        self.mode = mode
        self._set_seed(seed)

    def _draw(self, shape: Shape, batch: int, seed: Any) -> dict[str, Any]:
        flips = uniform((batch,), seed=seed) <= 0.5
        return {"flips": per_image(flips, len(shape)), "input_shape": shape}

    def _axes(self) -> list[int]:
        axes = {"horizontal": self.width_axis, "vertical": self.height_axis}
        return [axis for name, axis in axes.items() if name in self.mode.split("_and_")]

    def _transform_images(self, images: Tensor, transformation: Any, _: Any) -> Tensor:
        flipped = images.flip(self._axes())
        return torch.where(per_image(transformation["flips"], images.ndim), flipped, images)

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Tensor:
        """Mirror the masks; the result has the compute dtype."""
        return self.transform_images(segmentation_masks, transformation, training)

    def _transform_boxes(self, bounding_boxes: Any, transformation: Any) -> Any:
        """Mirror the boxes."""
        axes = self._axes()

        def move(boxes: Tensor) -> Tensor:
            left, top, right, bottom = boxes.unbind(-1)
            if self.width_axis in axes:
                left, right = 1 - right, 1 - left
            if self.height_axis in axes:
                top, bottom = 1 - bottom, 1 - top
            flips = per_image(transformation["flips"], boxes.ndim)
            return torch.where(flips, torch.stack([left, top, right, bottom], -1), boxes)

        size = self._size(transformation["input_shape"])
        return self._move_boxes(bounding_boxes, move, size, relative=True)


@builtin("keras.layers.RandomRotation")
class RandomRotation(_Warp):
    """Turns each image about its middle.

    Args:
        factor: How far, in turns: `f` means [-f, f]; or two numbers in [-1, 1].
        fill_mode: What comes from outside; see the module.
        interpolation: `nearest` or `bilinear`.
        seed: Of the random numbers.
        fill_value: The constant of `fill_mode="constant"`.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.
        kwargs: Arguments of `BaseImagePreprocessingLayer`.
    Shapes: Result: as the input.
    Raises:
        ValueError: `factor` is outside [-1, 1], or the input is no image.
        NotImplementedError: An unknown `fill_mode` or `interpolation`.

    Example:
        >>> half = RandomRotation((0.5, 0.5), interpolation="nearest")
        >>> half(torch.tensor([[[1.0], [2.0]]])).flatten().tolist()
        [2.0, 1.0]
    """

    def __init__(
        self,
        factor: Factor,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self._set_factor(factor)
        self._take(interpolation, fill_mode, fill_value, seed)

    def _draw(self, shape: Shape, batch: int, seed: Any) -> dict[str, Any]:
        height, width = self._size(shape)
        low, high = self.factor
        angle = uniform((batch,), low * 360.0, high * 360.0, seed=seed)
        none, one = torch.zeros_like(angle), torch.ones_like(angle)
        matrix = self._compute_affine_matrix(
            0.5, 0.5, angle, none, none, one, none, none, height, width
        )
        return {
            "angle": angle,
            "rotation_matrix": matrix,
            "image_height": height,
            "image_width": width,
            "batch_size": batch,
        }

    def _transform_images(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        return self._warped(images, transformation["rotation_matrix"], interpolation)

    def _transform_boxes(self, bounding_boxes: Any, transformation: Any) -> Any:
        """Return the boxes around the turned ones."""
        size = (transformation["image_height"], transformation["image_width"])
        angle = transformation["angle"]
        none, one = torch.zeros_like(angle), torch.ones_like(angle)

        def move(boxes: Tensor) -> Tensor:
            return affine_transform_boxes(boxes, angle, none, none, one, none, none, *size)

        return self._move_boxes(bounding_boxes, move, size)


@builtin("keras.layers.RandomShear")
class RandomShear(_Warp):
    """Slants each image.

    Args:
        x_factor: How far rows move, in pixels for each row down: `f` means [-f, f].
        y_factor: How far columns move, in pixels for each column to the right.
        interpolation: `nearest` or `bilinear`.
        fill_mode: What comes from outside; see the module.
        fill_value: The constant of `fill_mode="constant"`.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.
        seed: Of the random numbers.
        kwargs: Arguments of `BaseImagePreprocessingLayer`.
    Shapes: Result: as the input.
    Raises:
        ValueError: A factor is outside [0, 1], or the input is no image.
        NotImplementedError: An unknown `fill_mode` or `interpolation`.

    Example:
        >>> layer = RandomShear(x_factor=1.0, fill_mode="constant")
        >>> drawn = {"shear_factor": torch.tensor([[1.0, 0.0]])}
        >>> layer.transform_images(torch.ones(1, 2, 2, 1), drawn).flatten().tolist()
        [1.0, 1.0, 1.0, 0.0]
    """

    def __init__(
        self,
        x_factor: Factor = 0.0,
        y_factor: Factor = 0.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.x_factor = self._reach(x_factor, "x_factor")
        self.y_factor = self._reach(y_factor, "y_factor")
        self._take(interpolation, fill_mode, fill_value, seed)

    @staticmethod
    def _reach(factor: Factor, name: str) -> tuple[float, float]:
        # Configs hold what a number has become, and that reaches below 0.
        low = 0.0 if isinstance(factor, (int, float)) else -1.0
        return as_interval(factor, name, low, 1.0)

    def _draw(self, shape: Shape, batch: int, seed: Any) -> dict[str, Any]:
        options = {"dtype": self.compute_dtype, "seed": seed}
        backwards = uniform((batch, 1), **options) > 0.5
        y, x = (
            uniform((batch, 1), *factor, **options) for factor in (self.y_factor, self.x_factor)
        )
        slant = torch.cat([x, y], 1)
        return {"shear_factor": torch.where(backwards, -slant, slant), "input_shape": shape}

    def _transform_images(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        x, y = transformation["shear_factor"].unbind(1)
        return self._warped(images, affine_rows(1.0, x, 0.0, y, 1.0, 0.0), interpolation)

    def _transform_boxes(self, bounding_boxes: Any, transformation: Any) -> Any:
        """Return boxes around the slanted ones, whose sides count as if images were square."""

        def move(boxes: Tensor) -> Tensor:
            slant_x, slant_y = transformation["shear_factor"].to(boxes.dtype).split(1, -1)
            left, top, right, bottom = boxes.unbind(-1)
            up, down = slant_x * top, slant_x * bottom
            left = torch.minimum(left - up, left - down)
            right = torch.maximum(right - up, right - down)
            near, far = slant_y * left, slant_y * right
            top = torch.minimum(top - near, top - far)
            bottom = torch.maximum(bottom - near, bottom - far)
            return torch.stack([left, top, right, bottom], -1)

        size = self._size(transformation["input_shape"])
        return self._move_boxes(bounding_boxes, move, size, relative=True)


@builtin("keras.layers.RandomTranslation")
class RandomTranslation(_Warp):
    """Moves each image.

    Args:
        height_factor: How far down, as a part of the height: `f` means [-f, f].
        width_factor: How far to the right, as a part of the width.
        fill_mode: What comes from outside; see the module.
        interpolation: `nearest` or `bilinear`.
        seed: Of the random numbers.
        fill_value: The constant of `fill_mode="constant"`.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.
        kwargs: Arguments of `BaseImagePreprocessingLayer`.
    Shapes: Result: as the input.
    Raises:
        ValueError: A factor is outside [-1, 1], or the input is no image.
        NotImplementedError: An unknown `fill_mode` or `interpolation`.

    Example:
        >>> layer = RandomTranslation(0.0, (0.5, 0.5), fill_mode="constant")
        >>> layer(torch.tensor([[[1.0], [2.0]]])).flatten().tolist()
        [0.0, 1.0]
    """

    def __init__(
        self,
        height_factor: Factor,
        width_factor: Factor,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.height_factor = height_factor
        self.height_lower, self.height_upper = as_interval(height_factor, "height_factor", -1, 1)
        self.width_factor = width_factor
        self.width_lower, self.width_upper = as_interval(width_factor, "width_factor", -1, 1)
        self._take(interpolation, fill_mode, fill_value, seed)

    def _draw(self, shape: Shape, batch: int, seed: Any) -> dict[str, Any]:
        height, width = self._size(shape)
        down = uniform((batch, 1), self.height_lower, self.height_upper, seed=seed) * height
        right = uniform((batch, 1), self.width_lower, self.width_upper, seed=seed) * width
        return {"translations": torch.cat([right, down], 1).float(), "input_shape": shape}

    def _transform_images(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        right, down = transformation["translations"].unbind(1)
        return self._warped(images, affine_rows(1.0, 0.0, -right, 0.0, 1.0, -down), interpolation)

    def _transform_boxes(self, bounding_boxes: Any, transformation: Any) -> Any:
        """Move the boxes."""
        right, down = transformation["translations"].unbind(1)

        def move(boxes: Tensor) -> Tensor:
            return self.get_shifted_bbox({"boxes": boxes}, -right, -down)["boxes"]

        return self._move_boxes(bounding_boxes, move, self._size(transformation["input_shape"]))


@builtin("keras.layers.RandomZoom")
class RandomZoom(_Warp):
    """Makes each image larger or smaller about its middle.

    Args:
        height_factor: How much smaller, as a part of the height: `f` means [-f, f]; a negative
            number makes larger.
        width_factor: The same for the width. Default: by the same number as the height.
        fill_mode: What comes from outside; see the module.
        interpolation: `nearest` or `bilinear`.
        seed: Of the random numbers.
        fill_value: The constant of `fill_mode="constant"`.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.
        kwargs: Arguments of `BaseImagePreprocessingLayer`.
    Shapes: Result: as the input.
    Raises:
        ValueError: A factor is outside (-1, 1], or the input is no image.
        NotImplementedError: An unknown `fill_mode` or `interpolation`.

    Example:
        >>> layer = RandomZoom((1.0, 1.0), fill_mode="constant", interpolation="nearest")
        >>> layer(torch.ones(4, 4, 1)).sum().item()
        4.0
    """

    def __init__(
        self,
        height_factor: Factor,
        width_factor: Factor | None = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.height_factor = height_factor
        self.height_lower, self.height_upper = self._bounds(height_factor, "height_factor")
        self.width_factor = width_factor
        if width_factor is not None:
            self.width_lower, self.width_upper = self._bounds(width_factor, "width_factor")
        self._take(interpolation, fill_mode, fill_value, seed)

    def _bounds(self, factor: Factor, name: str) -> tuple[float, float]:
        return as_interval(factor, name, -1.0, 1.0, open_below=True)

    def _draw(self, shape: Shape, batch: int, seed: Any) -> dict[str, Any]:
        down = across = uniform(
            (batch, 1), 1.0 + self.height_lower, 1.0 + self.height_upper, seed=seed
        )
        if self.width_factor is not None:
            low, high = 1.0 + self.width_lower, 1.0 + self.width_upper
            across = uniform((batch, 1), low, high, seed=seed)
        return {"height_zoom": down, "width_zoom": across, "input_shape": shape}

    def _starts(self, transformation: Any, shape: Shape) -> list[tuple[Tensor, Tensor]]:
        """Return for x and y the zoom, and where the zoomed image begins."""
        height, width = self._size(shape)
        starts = []
        for name, size in (("width_zoom", width), ("height_zoom", height)):
            zoom = transformation[name].float().flatten()
            starts.append((zoom, (size - 1.0) / 2.0 * (1.0 - zoom)))
        return starts

    def _transform_images(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        (across, left), (down, top) = self._starts(transformation, images.shape)
        return self._warped(images, affine_rows(across, 0.0, left, 0.0, down, top), interpolation)

    def get_clipped_bbox(
        self, bounding_boxes: Any, h_end: Any, h_start: Any, w_end: Any, w_start: Any
    ) -> dict[str, Any]:
        """Return boxes cut to windows, each side `(B, 1)`, and counted from their corners."""
        boxes = bounding_boxes["boxes"]
        starts, ends = (
            torch.cat([_per_box(as_tensor(x), boxes) for x in sides] * 2, -1)
            for sides in ((w_start, h_start), (w_end, h_end))
        )
        return {**bounding_boxes, "boxes": boxes.clamp(starts, ends) - starts}

    def _transform_boxes(self, bounding_boxes: Any, transformation: Any) -> Any:
        """Zoom the boxes."""
        shape = transformation["input_shape"]
        size = self._size(shape)
        starts = self._starts(transformation, shape)

        def move(boxes: Tensor) -> Tensor:
            parts = []
            for i, x in enumerate(boxes.split(1, -1)):
                zoom, start = (per_image(number, 3) for number in starts[i % 2])
                extent = size[1 - i % 2]
                parts.append(((x * extent - start) / (zoom * extent)).clamp(0, 1))
            return torch.cat(parts, -1)

        return self._move_boxes(bounding_boxes, move, size, relative=True)


@builtin("keras.layers.RandomPerspective")
class RandomPerspective(GeometricLayer):
    """Looks at some of the images from elsewhere, by moving their corners.

    Args:
        factor: The probability for each image: `f` means a number in [0, f].
        scale: How far corners move at most, as a part of their distance from the first one; in
            [0, 1].
        interpolation: `nearest` or `bilinear`.
        fill_value: What comes from outside.
        seed: Of the random numbers.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.
        kwargs: Arguments of `BaseImagePreprocessingLayer`.
    Shapes: Result: as the input.
    Raises:
        ValueError: `factor` or `scale` is outside [0, 1], or the input is no image.
        NotImplementedError: An unknown `interpolation`.

    Example:
        >>> RandomPerspective(scale=0.5, seed=0)(torch.ones(8, 8, 3)).shape
        torch.Size([8, 8, 3])
    """

    _keras_memory = "row_major"
    _USE_BASE_FACTOR = False
    _FACTOR_BOUNDS = (0, 1)

    def __init__(
        self,
        factor: Factor = 1.0,
        scale: float = 1.0,
        interpolation: str = "bilinear",
        fill_value: float = 0.0,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self._set_factor(factor)
        if not 0.0 <= scale <= 1.0:
            raise ValueError(
                "The `scale` argument should be a number in the range [0, 1]."
                f" Received: scale={scale}"
            )
        _check("interpolation", interpolation, _INTERPOLATIONS)
        self.scale = scale
        self.fill_value = _checked_fill(self, fill_value)
        self.interpolation = interpolation
        self._set_seed(seed)

    def _draw(self, shape: Shape, batch: int, seed: Any) -> dict[str, Any]:
        chance = uniform((batch,), *self.factor, seed=seed)
        happens = uniform((batch,), seed=seed) < chance
        height, width = self._size(shape)
        reach, dtype = 0.5 * self.scale, self.compute_dtype
        shift = uniform((batch, 4, 2), -reach, reach, dtype=dtype, seed=seed)
        # The corners in reading order, made on the device.
        corner = torch.arange(4, device=shift.device)
        x, y = (corner % 2) * (width - 1), (corner // 2) * (height - 1)
        start = torch.stack([x, y], -1).to(to_torch(dtype)).expand(batch, -1, -1)
        return {
            "apply_perspective": happens,
            "start_points": start,
            "end_points": start + start * shift,
            "input_shape": shape,
        }

    def _transform_images(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        moved = perspective_transform(
            images,
            transformation["start_points"],
            transformation["end_points"],
            interpolation,
            self.fill_value,
            self.data_format,
        )
        happens = per_image(transformation["apply_perspective"], images.ndim)
        return torch.where(happens, moved, images)

    def _transform_boxes(self, bounding_boxes: Any, transformation: Any) -> Any:
        """Return the boxes around the moved ones."""
        matrix = compute_homography_matrix(
            transformation["end_points"], transformation["start_points"]
        )

        def move(boxes: Tensor) -> Tensor:
            left, top, right, bottom = boxes.unbind(-1)
            x = torch.stack([left, right, left, right], -1)
            y = torch.stack([top, bottom, bottom, top], -1)
            a0, a1, a2, b0, b1, b2, c0, c1 = (_per_box(m, boxes) for m in matrix.unbind(-1))
            scale = c0 * x + c1 * y + 1.0
            x, y = (a0 * x + a1 * y + a2) / scale, (b0 * x + b1 * y + b2) / scale
            moved = torch.stack([x.amin(-1), y.amin(-1), x.amax(-1), y.amax(-1)], -1)
            happens = per_image(transformation["apply_perspective"], boxes.ndim)
            return torch.where(happens.bool(), moved, boxes)

        return self._move_boxes(bounding_boxes, move, self._size(transformation["input_shape"]))


@builtin("keras.layers.RandomElasticTransform")
class RandomElasticTransform(GeometricLayer):
    """Distorts some of the images smoothly.

    Args:
        factor: The probability for each image: `f` means a number in [0, f].
        scale: How strongly: `f` means a number in [0, f], which the images of a batch share.
        interpolation: `nearest` or `bilinear`.
        fill_mode: What comes from outside; see the module; or `mirror` (`c b a b c d c b`).
        fill_value: The constant of `fill_mode="constant"`.
        value_range: The least and the largest value of images.
        seed: Of the random numbers.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.
        kwargs: Arguments of `BaseImagePreprocessingLayer`.
    Shapes: Result: as the input.
    Raises:
        ValueError: `factor` or `scale` is outside [0, 1], or the input is no image.
        NotImplementedError: An unknown `fill_mode` or `interpolation`; bounding boxes are given.

    Example:
        >>> RandomElasticTransform(seed=0)(torch.ones(8, 8, 3)).shape
        torch.Size([8, 8, 3])
    """

    _keras_memory = "inputs_else_row_major"
    _USE_BASE_FACTOR = False
    _FACTOR_BOUNDS = (0, 1)

    def __init__(
        self,
        factor: Factor = 1.0,
        scale: Factor = 1.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self._set_factor(factor)
        self.scale = self._factor_range(scale, "scale")
        _check("interpolation", interpolation, _INTERPOLATIONS)
        _check("fill_mode", fill_mode, (*_FILL_MODES, "mirror"))
        self.interpolation = interpolation
        self.fill_mode = fill_mode
        self.fill_value = fill_value
        self.value_range = value_range
        self._set_seed(seed)

    def _draw(self, shape: Shape, batch: int, seed: Any) -> dict[str, Any] | None:
        if self.scale[1] == 0 or self.factor[1] == 0:
            return None
        chance = uniform((batch,), *self.factor, seed=seed)
        happens = uniform((batch,), seed=seed) < chance
        dtype = self.compute_dtype
        strength = on_host(lambda: uniform((), *self.scale, dtype=dtype, seed=seed))
        number = seed.draw if isinstance(seed, SeedGenerator) else lambda: seed
        return {
            "apply_transform": happens,
            "distortion_factor": strength,
            # A number, so that masks are distorted as images are.
            "seed": int(on_host(lambda: torch.tensor(number()))),
        }

    def get_elastic_transform_params(
        self, height: int, width: int, factor: float
    ) -> tuple[float, float]:
        """Return how far pixels move and how smoothly, for `ops.image.elastic_transform`."""
        return max(height, width) * 0.1 * factor, min(height, width) * 0.05 * factor

    def _transform_images(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        strength = float(transformation["distortion_factor"])
        alpha, sigma = self.get_elastic_transform_params(*self._size(images.shape), strength)
        moved = elastic_transform(
            images,
            alpha=alpha,
            sigma=sigma,
            interpolation=interpolation,
            fill_mode=self.fill_mode,
            fill_value=self.fill_value,
            seed=transformation["seed"],
            data_format=self.data_format,
        )
        happens = per_image(transformation["apply_transform"], images.ndim)
        return self._cast(torch.where(happens, moved, images).clamp(*self.value_range))
