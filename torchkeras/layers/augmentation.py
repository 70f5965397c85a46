"""`BaseImagePreprocessingLayer`, the protocol of the layers that prepare and augment images.

A layer is called on images, `(H, W, C)` or `(B, H, W, C)` (or with channels first), or on a dict
of `images` and what belongs to them: `labels`, `bounding_boxes`, `segmentation_masks`. It draws
what is random once, as a *transformation*, and applies it to each part:

    get_random_transformation(data, training, seed)    what is drawn, or `None`
    transform_images(images, transformation, training)
    transform_labels, transform_bounding_boxes, transform_segmentation_masks    likewise

These methods get batches, also where the layer is called on one image. They take arrays and, in a
`tf.data` pipeline, TensorFlow's tensors too. The layers of this library define `_draw`,
`_transform_images` and `_transform_boxes`, and inherit the rest.
Sources: `keras.layers` (names, protocol, numbers drawn for a seed, configs).
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..config import standardize_data_format
from ..dtypes import as_tensor, to_torch
from ..graph.context import CONTEXT
from ..graph.operation import Operation
from ..naming import explain
from ..random import SeedGenerator
from ..tree import map_structure
from .bounding_boxes import clip_to_image_size, convert_format, densify_bounding_boxes
from .data_layer import DataLayer, also_in_tf_graphs

__all__ = [
    "BaseImagePreprocessingLayer",
    "ColorLayer",
    "GeometricLayer",
    "ImageLayer",
    "LenientLayer",
    "affine_rows",
    "as_interval",
    "as_value_range",
    "on_host",
    "per_image",
]

Shape = Sequence[int]
_PROTOCOL = (
    "get_random_transformation",
    "transform_images",
    "transform_labels",
    "transform_bounding_boxes",
    "transform_segmentation_masks",
)
# Keys of a dict that a layer is called on, in the order of their transforms, and one of each.
_PARTS = {
    "images": "image",
    "bounding_boxes": "bounding_box",
    "labels": "label",
    "segmentation_masks": "segmentation_mask",
}


# Helpers -----------------------------------------------------------------------------------------


def _take_arrays(cls: type) -> None:
    """Let the methods of the protocol that a class defines take more than tensors."""
    for name in _PROTOCOL:
        if name in cls.__dict__:
            setattr(cls, name, _on_tensors(cls.__dict__[name]))


def _on_tensors(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let a method of the protocol take arrays, and tensors of a TensorFlow graph."""

    @functools.wraps(method)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = map_structure(_as_tensor, (args, kwargs))
        return method(*args, **kwargs)

    return also_in_tf_graphs(wrapped)


def _as_tensor(x: Any) -> Any:
    return as_tensor(x) if isinstance(x, (np.ndarray, np.generic)) else x


def beside(images: Tensor) -> Any:
    """Scope in which tensors are made where the images are; graphs know no such scopes."""
    if torch.compiler.is_compiling():
        return contextlib.nullcontext()
    return torch.device(images.device)


def _images_of(data: Any) -> Any:
    return data["images"] if isinstance(data, Mapping) else data


def affine_rows(*rows: Any) -> Tensor:
    """Return transforms `(B, 8)` for `ops.image.affine_transform` from six numbers or `(B,)`."""
    like = next(row for row in rows if isinstance(row, Tensor))
    columns = [
        row if isinstance(row, Tensor) else torch.full_like(like, row) for row in (*rows, 0.0, 0.0)
    ]
    return torch.stack(columns, -1)


def per_image(x: Tensor, rank: int = 4) -> Tensor:
    """Return numbers `(B,)` so that they go with images of that rank."""
    return x.reshape(-1, *[1] * (rank - 1))


def on_host(draw: Callable[[], Tensor]) -> float:
    """Draw a number that Python needs to know, on the CPU, so that no device is waited for."""
    if CONTEXT.meta:  # shapes are inferred: nothing may be drawn
        return 0.0
    with torch.device("cpu"):
        return draw().item()


def _is_pair(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == 2


def _bad_interval(name: str, value: Any, low: float, high: float, opening: str = "[") -> ValueError:
    return ValueError(
        f"The `{name}` argument should be a number (or a list of two numbers) in the range"
        f" {opening}{low}, {high}]. Received: {name}={value}"
    )


def as_interval(
    value: Any,
    name: str,
    low: float,
    high: float,
    symmetric: bool = True,
    open_below: bool = False,
) -> tuple[float, float]:
    """Return a number or two as an interval.

    Args:
        value: What the user gave.
        name: The argument's name, for the message.
        low, high: Bounds of the numbers.
        symmetric: Whether a number means the interval around 0, or that from 0.
        open_below: Whether `low` itself is outside.

    Raises:
        ValueError: It is no number within the bounds, nor two.

    Example:
        >>> as_interval(0.5, "x", -1, 1), as_interval([0.5, 0.25], "x", -1, 1)
        ((-0.5, 0.5), (0.25, 0.5))
    """
    numbers = value if _is_pair(value) else [value]
    for number in numbers:
        inside = isinstance(number, (int, float)) and low <= number <= high
        if not inside or (open_below and number == low):
            raise _bad_interval(name, value, low, high, "(" if open_below else "[")
    if _is_pair(value):
        least, largest = sorted(value)  # of 0 and 0.0 both, so that a config is read as written
        return least, largest
    return -abs(value) if symmetric else 0, abs(value)


def as_value_range(value_range: Any) -> list[float]:
    """Return the least and the largest value of images.

    Raises:
        ValueError: They are not two numbers.
    """
    if not _is_pair(value_range):
        raise ValueError(
            "The `value_range` argument should be a list of two numbers."
            f" Received: value_range={value_range}"
        )
    return sorted(value_range)


# Layers ------------------------------------------------------------------------------------------


class BaseImagePreprocessingLayer(DataLayer):
    """Base of the layers that prepare and augment images; see the module for the protocol.

    Args:
        factor: How strongly to transform: a number or two, within `_FACTOR_BOUNDS`.
        bounding_box_format: Format of bounding boxes, where there are some.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.
        kwargs: Arguments of `Layer`.

    Raises:
        ValueError: `factor` is outside its bounds, or the layer takes none.

    Example:
        >>> class Negative(BaseImagePreprocessingLayer):
        ...     _USE_BASE_FACTOR = False
        ...     def transform_images(self, images, transformation, training=True):
        ...         return 255 - images
        ...     def transform_labels(self, labels, transformation, training=True):
        ...         return labels
        >>> data = {"images": np.zeros((1, 2, 1)), "labels": np.array(7)}
        >>> result = Negative()(data)
        >>> result["images"].flatten().tolist(), result["labels"].item()
        ([255.0, 255.0], 7)
    """

    # Whether the constructor takes `factor`; otherwise subclasses do, if at all.
    _USE_BASE_FACTOR = True
    _FACTOR_BOUNDS: tuple[float, float] = (-1, 1)
    # Whether numbers are drawn outside of training, too, so that seeds are used up as in Keras.
    _always_draws = False
    _config_excludes: tuple[str, ...] = ("factor",)
    # The interpolation of images, where a layer interpolates.
    interpolation: str | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _take_arrays(cls)
        if "_config_excludes" in cls.__dict__:
            return
        # A config has `factor` where the constructor of the very class has it, or hands it on.
        parameters = inspect.signature(cls.__init__).parameters
        hands_on = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        takes_factor = "factor" in parameters or (cls._USE_BASE_FACTOR and hands_on)
        cls._config_excludes = () if takes_factor else ("factor",)

    def __init__(
        self,
        factor: Any = None,
        bounding_box_format: str | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.bounding_box_format = bounding_box_format
        self.data_format = standardize_data_format(data_format)
        last = self.data_format == "channels_last"
        self.height_axis, self.width_axis, self.channel_axis = (
            (-3, -2, -1) if last else (-2, -1, -3)
        )
        if self._USE_BASE_FACTOR:
            self._set_factor(factor or 0.0)
        elif factor is not None:
            raise ValueError(
                f"Layer {type(self).__name__} does not take a `factor` argument."
                f" Received: factor={factor}"
            )

    def _set_factor(self, factor: Any) -> None:
        self.factor = self._factor_range(factor)

    def _factor_range(self, factor: Any, name: str = "factor") -> tuple[float, float]:
        """Return a factor as an interval within `_FACTOR_BOUNDS`, which a number reaches from."""
        low, high = self._FACTOR_BOUNDS
        if _is_pair(factor) and factor[0] <= high and factor[1] >= low:
            least, largest = sorted(factor)
            return least, largest
        if isinstance(factor, (int, float)) and low <= factor <= high:
            return max(-abs(factor), low), abs(factor)
        raise _bad_interval(name, factor, low, high)

    def _set_seed(self, seed: int | None) -> None:
        """Keep a seed, and make the generator of all that is random."""
        self.seed = seed
        self.generator = SeedGenerator(seed)

    # What is random ------------------------------------------------------------------------------

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """Draw what is random of a call.

        Args:
            data: Images, or a dict with `images`.
            training: Whether to draw at all; some layers draw in any case, and transform nothing.
            seed: An integer or a `SeedGenerator`. Default: that of the layer.

        Returns:
            What the `transform_…` methods take; `None` if nothing is drawn.

        Raises:
            ValueError: The images are neither one nor a batch.
        """
        if not training and not self._always_draws:
            return None
        images = _images_of(data)
        batch = images.shape[0] if self._is_batched(images) else 1
        seed = getattr(self, "generator", None) if seed is None else seed
        with beside(images):
            return self._draw(tuple(images.shape), batch, seed)

    def _draw(self, shape: Shape, batch: int, seed: Any) -> Any:
        """Draw what is random for images of this shape, `batch` of them, on their device."""
        return None

    def _size(self, shape: Shape) -> tuple[int, int]:
        """Return height and width."""
        return shape[self.height_axis], shape[self.width_axis]

    # Transforms of batches -----------------------------------------------------------------------

    def _transform_images(
        self, images: Tensor, transformation: Any, interpolation: str | None
    ) -> Tensor:
        raise NotImplementedError(
            f"{type(self).__name__} defines neither `transform_images` nor `_transform_images`."
        )

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        """Transform a batch of images; the result has the compute dtype."""
        images = self._cast(images)
        if training:
            images = self._transform_images(images, transformation, self.interpolation)
        return images

    def transform_labels(self, labels: Any, transformation: Any, training: bool = True) -> Any:
        """Transform the labels of a batch."""
        raise self._undefined("transform_labels")

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        """Transform the boxes of a batch: a dict of `boxes` and `labels`."""
        raise self._undefined("transform_bounding_boxes")

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Any:
        """Transform the masks of a batch, taking the nearest pixel instead of mixing some."""
        if training:
            return self._transform_images(segmentation_masks, transformation, "nearest")
        return segmentation_masks

    def _undefined(self, method: str) -> NotImplementedError:
        return NotImplementedError(
            explain(
                f"{type(self).__name__} '{self.name}' has no `{method}`, so it cannot transform"
                f" this part of the data.",
                fix="leave the part out of the dict, or define the method in a subclass.",
            )
        )

    def _cast(self, images: Any) -> Tensor:
        return images.to(to_torch(self.compute_dtype))

    # Transforms of one ---------------------------------------------------------------------------

    def transform_single_image(self, image: Any, transformation: Any, training: bool = True) -> Any:
        """`transform_images` of one image."""
        return self._transform_single("images", image, transformation, training)

    def transform_single_label(self, label: Any, transformation: Any, training: bool = True) -> Any:
        """`transform_labels` of one label."""
        return self._transform_single("labels", label, transformation, training)

    def transform_single_bounding_box(
        self, bounding_box: Any, transformation: Any, training: bool = True
    ) -> Any:
        """`transform_bounding_boxes` of the boxes of one image."""
        return self._transform_single("bounding_boxes", bounding_box, transformation, training)

    def transform_single_segmentation_mask(
        self, segmentation_mask: Any, transformation: Any, training: bool = True
    ) -> Any:
        """`transform_segmentation_masks` of one mask."""
        return self._transform_single(
            "segmentation_masks", segmentation_mask, transformation, training
        )

    def _transform_single(self, part: str, one: Any, transformation: Any, training: bool) -> Any:
        batch = map_structure(lambda x: as_tensor(x).unsqueeze(0), one)
        transform = getattr(self, f"transform_{part}")
        result = transform(batch, transformation=transformation, training=training)
        return map_structure(lambda x: x.squeeze(0), result)

    # Calls ---------------------------------------------------------------------------------------

    def call(self, data: Any, training: bool = True) -> Any:
        """Return the transformed images, or a dict of all that is transformed."""
        if isinstance(data, (list, tuple)):
            data = as_tensor(data)
        options = {
            "transformation": self.get_random_transformation(data, training=training),
            "training": training,
        }
        batched = self._is_batched(_images_of(data))
        if not isinstance(data, Mapping):
            transform = self.transform_images if batched else self.transform_single_image
            return transform(data, **options)
        result = dict(data)
        for many, one in _PARTS.items():
            if many in data:
                part = self._dense(data[many], batched) if many == "bounding_boxes" else data[many]
                transform = getattr(self, f"transform_{many if batched else f'single_{one}'}")
                result[many] = transform(part, **options)
        return result

    def _dense(self, bounding_boxes: Any, batched: bool) -> dict[str, Any]:
        if not self.bounding_box_format:
            raise ValueError(
                explain(
                    f"{type(self).__name__} '{self.name}' was called on data with"
                    " 'bounding_boxes', but has no bounding box format.",
                    fix="give the constructor one, such as bounding_box_format='xyxy'.",
                )
            )
        return densify_bounding_boxes(bounding_boxes, is_batched=batched)

    def _is_batched(self, images: Any) -> bool:
        if len(images.shape) not in (3, 4):
            raise ValueError(
                "Expected the input image to be rank 3 or 4: one image or a batch."
                f" Received: images.shape={tuple(images.shape)}"
            )
        return len(images.shape) == 4

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments; the format of bounding boxes only where it is set."""
        config = super().get_config()
        if config.get("bounding_box_format") is None:
            config.pop("bounding_box_format", None)
        return config

    # For subclasses ------------------------------------------------------------------------------

    def _transform_value_range(
        self, images: Any, original_range: Shape, target_range: Shape, dtype: Any = "float32"
    ) -> Any:
        """Map values of one range linearly to another."""
        (low, high), (new_low, new_high) = original_range, target_range
        if (low, high) == (new_low, new_high):
            return images
        images = (as_tensor(images).to(to_torch(dtype)) - low) / (high - low)
        return images * (new_high - new_low) + new_low

    def _compute_affine_matrix(
        self,
        center_x: float,
        center_y: float,
        angle: Tensor,
        translate_x: Tensor,
        translate_y: Tensor,
        scale: Tensor,
        shear_x: Tensor,
        shear_y: Tensor,
        height: int,
        width: int,
    ) -> Tensor:
        """Return transforms `(B, 8)` for `ops.image.affine_transform`; angles are in degrees."""
        x, y = center_x * (width - 1), center_y * (height - 1)
        turn, slope_x, slope_y = (
            degrees * (math.pi / 180) for degrees in (angle, shear_x, shear_y)
        )
        cos, sin = torch.cos(turn), torch.sin(turn)
        slope_x, slope_y = torch.tan(slope_x), torch.tan(slope_y)
        rows = []
        for a, b, shift, fixed in (
            (cos + slope_x * sin, slope_x * cos - sin, translate_x, x),
            (slope_y * cos + sin, cos - slope_y * sin, translate_y, y),
        ):
            a, b = scale * a, scale * b
            rows += [a, b, shift + fixed - x * a - y * b]
        return affine_rows(*rows)


_take_arrays(BaseImagePreprocessingLayer)


class ImageLayer(BaseImagePreprocessingLayer):
    """What this library's layers share: labels stay, and `None` as a transformation means none."""

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        """Transform a batch of images; the result has the compute dtype."""
        images = self._cast(images)
        if training and transformation is not None:
            images = self._transform_images(images, transformation, self.interpolation)
        return images

    def transform_labels(self, labels: Any, transformation: Any, training: bool = True) -> Any:
        """Return the labels."""
        return labels

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        """Transform the boxes of a batch: a dict of `boxes` and `labels`."""
        if training and transformation is not None:
            return self._transform_boxes(bounding_boxes, transformation)
        return bounding_boxes

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Any:
        """Transform the masks of a batch, taking the nearest pixel instead of mixing some."""
        if training and transformation is not None:
            return self._transform_masks(segmentation_masks, transformation)
        return segmentation_masks

    def _transform_boxes(self, bounding_boxes: Any, transformation: Any) -> Any:
        raise self._undefined("transform_bounding_boxes")

    def _transform_masks(self, segmentation_masks: Any, transformation: Any) -> Any:
        return self._transform_images(segmentation_masks, transformation, "nearest")

    def compute_output_shape(self, input_shape: Any, *args: Any, **kwargs: Any) -> Any:
        """Infer the shape of the images, or the shapes of all parts, for that of the data."""
        return super().compute_output_shape(input_shape, *args, **kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Infer what a call gives: each part keeps a dtype of its own."""
        if type(self).compute_output_shape is ImageLayer.compute_output_shape:
            return Operation.compute_output_spec(self, *args, **kwargs)
        return super().compute_output_spec(*args, **kwargs)


class LenientLayer(ImageLayer):
    """Base, besides others, of the layers whose images go without a transformation, as Keras's."""

    def transform_images(
        self, images: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        """Transform a batch of images; without a transformation, only cast them."""
        return super().transform_images(images, transformation, training)


class ColorLayer(ImageLayer):
    """Base of the layers that change colors only: boxes and masks stay too."""

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        """Return the boxes."""
        return bounding_boxes

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Any:
        """Return the masks."""
        return segmentation_masks


class GeometricLayer(ImageLayer):
    """Base of the layers that move pixels: boxes and masks move along."""

    def _move_boxes(
        self,
        bounding_boxes: Any,
        move: Callable[[Tensor], Tensor],
        size: tuple[Any, Any],
        new_size: tuple[Any, Any] | None = None,
        relative: bool = False,
    ) -> dict[str, Any]:
        """Apply a function to boxes, and cut them to the images.

        Args:
            bounding_boxes: A dict of `boxes` and `labels`.
            move: Takes and returns boxes `xyxy`, or `rel_xyxy` if `relative`.
            size: Height and width of the images.
            new_size: Those of the transformed images, if different.
            relative: See `move`.
        """
        new_size = new_size or size
        inner = "rel_xyxy" if relative else "xyxy"
        boxes = convert_format(bounding_boxes, self.bounding_box_format, inner, *size)
        boxes["boxes"] = move(boxes["boxes"])
        boxes = clip_to_image_size(boxes, *new_size, bounding_box_format=inner)
        return convert_format(boxes, inner, self.bounding_box_format, *new_size)
