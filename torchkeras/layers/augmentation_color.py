"""Random colors: `RandomBrightness`, `RandomContrast`, `RandomHue` and their like.

B is the batch. Each image of a batch is changed by a number of its own. `value_range` is the least
and the largest value that images can have; layers that take it keep them inside.
Sources: `keras.layers` (names, numbers drawn for a seed, formulas, configs).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..config import epsilon
from ..ops.image import hsv_to_rgb, rgb_to_grayscale, rgb_to_hsv
from ..ops.image_common import in_batches
from ..ops.image_filter import blur
from ..random import randint, uniform
from ..registry import builtin
from .augmentation import (
    ColorLayer,
    LenientLayer,
    Shape,
    as_interval,
    as_value_range,
    per_image,
)

__all__ = [
    "RandomBrightness",
    "RandomColorDegeneration",
    "RandomColorJitter",
    "RandomContrast",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHue",
    "RandomInvert",
    "RandomPosterization",
    "RandomSaturation",
    "RandomSharpness",
    "Solarization",
]

Factor = float | Sequence[float]


class _Factored(ColorLayer):
    """What most of these layers share: a factor, a range of values and a seed."""

    _USE_BASE_FACTOR = False
    _FACTOR_BOUNDS = (0, 1)

    def _take(self, factor: Any, value_range: Any, seed: int | None) -> None:
        self._set_factor(factor)
        self.value_range = as_value_range(value_range)
        self._set_seed(seed)

    def _uniform(self, batch: int, seed: Any, **options: Any) -> Tensor:
        """Draw a number within the factor for each image."""
        low, high = self.factor
        return uniform((batch,), low, high, seed=seed, **options)

    def _clip(self, images: Tensor) -> Tensor:
        return images.clamp(*self.value_range)

    def _happens(self, batch: int, seed: Any) -> Tensor:
        """Draw for each image whether something happens, with the factor as its probability."""
        chance = self._uniform(batch, seed)
        return uniform((batch,), seed=seed) < chance


class _Lenient(LenientLayer, _Factored):
    """Those that have these three arguments and no others."""

    def __init__(
        self,
        factor: Factor,
        value_range: Sequence[float] = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self._take(factor, value_range, seed)


@builtin("keras.layers.RandomBrightness")
class RandomBrightness(_Factored):
    """Adds a number to each image.

    Args:
        factor: How much, as a part of the range: `f` means [-f, f]; or two numbers in [-1, 1].
        value_range: The least and the largest value of images.
        seed: Of the random numbers.
        kwargs: Arguments of `BaseImagePreprocessingLayer`.
    Shapes: Result: as the input.
    Raises:
        ValueError: An argument is none of those, or the input is no image.

    Example:
        >>> RandomBrightness((0.5, 0.5), value_range=(0, 1))(torch.zeros(1, 1, 1)).item()
        0.5
    """

    _FACTOR_BOUNDS = (-1, 1)

    def __init__(
        self,
        factor: Factor,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._take(factor, value_range, seed)

    def _draw(self, shape: Shape, batch: int, seed: Any) -> dict[str, Tensor]:
        low, high = self.value_range
        return {"rgb_delta": per_image(self._uniform(batch, seed), len(shape)) * (high - low)}

    def _transform_images(self, images: Tensor, transformation: Any, _: Any) -> Tensor:
        return self._clip(images + transformation["rgb_delta"].to(images.dtype))


@builtin("keras.layers.RandomContrast")
class RandomContrast(_Factored):
    """Scales the distance of each image's colors from their mean.

    Args:
        factor: `f` means by a number in [1, 1 + f]; `(a, b)` means by one in [1 - a, 1 + b].
        value_range: The least and the largest value of images.
        seed: Of the random numbers.
        kwargs: Arguments of `BaseImagePreprocessingLayer`.
    Shapes: Result: as the input.
    Raises:
        ValueError: `factor` is outside [0, 1], or the input is no image.

    Example:
        >>> stripes = torch.tensor([1.0, 3.0]).reshape(1, 2, 1)
        >>> RandomContrast(0.0)(stripes).flatten().tolist()
        [1.0, 3.0]
    """

    def __init__(
        self,
        factor: Factor,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._set_factor(factor)
        self.value_range = value_range
        self._set_seed(seed)

    def _draw(self, shape: Shape, batch: int, seed: Any) -> dict[str, Tensor]:
        low, high = self.factor
        number = uniform((batch,), 1.0 - low, 1.0 + high, dtype=self.compute_dtype, seed=seed)
        return {"contrast_factor": per_image(number, len(shape))}

    def _transform_images(self, images: Tensor, transformation: Any, _: Any) -> Tensor:
        mean = images.mean((self.height_axis, self.width_axis), keepdim=True)
        return self._clip((images - mean) * transformation["contrast_factor"] + mean)


@builtin("keras.layers.RandomColorDegeneration")
class RandomColorDegeneration(_Lenient):
    """Moves the colors of each image towards gray.

    Args:
        factor: How far: 0 changes nothing, 1 gives gray, a negative number makes colors stronger;
            `f` means a number in [-f, f].
        value_range: The least and the largest value of images.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.
        seed: Of the random numbers.
        kwargs: Arguments of `BaseImagePreprocessingLayer`.
    Shapes: Result: as the input, of 3 channels.
    Raises:
        ValueError: `factor` is outside [-1, 1], or the input is no image of colors.

    Example:
        >>> RandomColorDegeneration((1.0, 1.0))(torch.ones(1, 1, 3)).shape
        torch.Size([1, 1, 3])
    """

    _FACTOR_BOUNDS = (-1, 1)

    _always_draws = True

    def _draw(self, shape: Shape, batch: int, seed: Any) -> dict[str, Tensor]:
        return {"factor": per_image(self._uniform(batch, seed), len(shape))}

    def _transform_images(self, images: Tensor, transformation: Any, _: Any) -> Tensor:
        gray = rgb_to_grayscale(images, data_format=self.data_format)
        factor = transformation["factor"].to(images.dtype)
        return self._clip(images + factor * (gray - images))


@builtin("keras.layers.RandomGrayscale")
class RandomGrayscale(ColorLayer):
    """Makes some of the images gray.

    Args:
        factor: The probability for each image.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.
        seed: Of the random numbers.
        kwargs: Arguments of `BaseImagePreprocessingLayer`.
    Shapes: Result: as the input, of 3 channels.
    Raises:
        ValueError: `factor` is outside [0, 1], or the input is no image of colors.

    Example:
        >>> gray = RandomGrayscale(1.0)(torch.tensor([[[1.0, 0.0, 0.0]]]))
        >>> gray.flatten().tolist() == [gray[0, 0, 0].item()] * 3
        True
    """

    _always_draws = True
    _USE_BASE_FACTOR = False

    def __init__(
        self,
        factor: float = 0.5,
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        if factor < 0 or factor > 1:
            raise ValueError(f"`factor` should be between 0 and 1. Received: factor={factor}")
        self.factor = factor
        self._set_seed(seed)

    def get_random_transformation(
        self, images: Any, training: bool = True, seed: Any = None
    ) -> Any:
        """Draw which images become gray."""
        return super().get_random_transformation(images, training, seed)

    def _draw(self, shape: Shape, batch: int, seed: Any) -> Tensor:
        return per_image(uniform((batch,), seed=seed) < self.factor, len(shape))

    def _transform_images(self, images: Tensor, transformation: Any, _: Any) -> Tensor:
        return torch.where(transformation, rgb_to_grayscale(images, self.data_format), images)

    # Keras's names of the arguments.

    def transform_labels(
        self, labels: Any, transformations: Any = None, training: bool = True, **kwargs: Any
    ) -> Any:
        """Return the labels."""
        return labels

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any = None, training: bool = True, **kwargs: Any
    ) -> Any:
        """Return the boxes."""
        return bounding_boxes

    def transform_segmentation_masks(
        self,
        segmentation_masks: Any,
        transformations: Any = None,
        training: bool = True,
        **kwargs: Any,
    ) -> Any:
        """Return the masks."""
        return segmentation_masks

    def compute_output_spec(self, inputs: Any, **kwargs: Any) -> Any:
        """Infer what a call gives."""
        return super().compute_output_spec(inputs, **kwargs)


@builtin("keras.layers.RandomHue")
class RandomHue(LenientLayer, _Factored):
    """Turns the hue of each image.

    Args:
        factor: How far, as a part of half the circle, either way: `f` means [0, f].
        value_range: The least and the largest value of images.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.
        seed: Of the random numbers.
        kwargs: Arguments of `BaseImagePreprocessingLayer`.
    Shapes: Result: as the input, of 3 channels.
    Raises:
        ValueError: `factor` is outside [0, 1], or the input is no image of colors.

    Example:
        >>> RandomHue((1.0, 1.0))(torch.tensor([[[255.0, 0.0, 0.0]]])).flatten().tolist()
        [0.0, 255.0, 255.0]
    """

    _always_draws = True

    def __init__(
        self,
        factor: Factor,
        value_range: Sequence[float] = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self._set_factor(factor)
        self.value_range = value_range
        self._set_seed(seed)

    def _draw(self, shape: Shape, batch: int, seed: Any) -> dict[str, Tensor]:
        backwards = uniform((batch,), seed=seed) > 0.5
        turn = self._uniform(batch, seed)
        return {"factor": torch.where(backwards, -turn, turn) * 0.5}

    def _transform_images(self, images: Tensor, transformation: Any, _: Any) -> Tensor:
        values = self._transform_value_range(images, self.value_range, (0, 1))
        hue, *others = rgb_to_hsv(values, self.data_format).unbind(self.channel_axis)
        hue = hue + transformation["factor"].to(hue.dtype).reshape(-1, 1, 1)
        hue = hue - (hue > 1.0).to(hue.dtype) + (hue < 0.0).to(hue.dtype)
        colors = torch.stack([hue, *others], self.channel_axis)
        colors = hsv_to_rgb(colors, self.data_format).clamp(0, 1)
        return self._transform_value_range(colors, (0, 1), self.value_range).to(images.dtype)


@builtin("keras.layers.RandomSaturation")
class RandomSaturation(_Lenient):
    """Multiplies the saturation of each image.

    Args:
        factor: How strong it becomes: 0 is gray, 0.5 as it was, 1 the most; `f` means [-f, f],
            where negative numbers give the opposite colors.
        value_range: The least and the largest value of images.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.
        seed: Of the random numbers.
        kwargs: Arguments of `BaseImagePreprocessingLayer`.
    Shapes: Result: as the input, of 3 channels.
    Raises:
        ValueError: `factor` is outside [-1, 1], or the input is no image of colors.

    Example:
        >>> RandomSaturation((0.0, 0.0))(torch.tensor([[[0.5, 0.0, 0.0]]])).flatten().tolist()
        [0.5, 0.5, 0.5]
    """

    _always_draws = True
    _FACTOR_BOUNDS = (-1, 1)

    def _draw(self, shape: Shape, batch: int, seed: Any) -> dict[str, Tensor]:
        number = self._uniform(batch, seed)
        return {"factor": number / (1 - number + epsilon())}

    def _transform_images(self, images: Tensor, transformation: Any, _: Any) -> Tensor:
        planes = rgb_to_hsv(images, self.data_format).unbind(self.channel_axis)
        hue, saturation, value = planes
        factor = transformation["factor"].to(images.dtype).reshape(-1, 1, 1)
        planes = [hue, self._clip(saturation * factor), value]
        return hsv_to_rgb(torch.stack(planes, self.channel_axis), self.data_format)


@builtin("keras.layers.RandomInvert")
class RandomInvert(_Factored):
    """Subtracts some of the images from the largest value.

    Args:
        factor: The probability for each image: `f` means a number in [0, f].
        value_range: The least and the largest value of images.
        seed: Of the random numbers.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.
        kwargs: Arguments of `BaseImagePreprocessingLayer`.
    Shapes: Result: as the input.
    Raises:
        ValueError: `factor` is outside [0, 1], or the input is no image.

    Example:
        >>> RandomInvert((1.0, 1.0))(torch.tensor([[[5.0]]])).item()
        250.0
    """

    def __init__(
        self,
        factor: Factor = 1.0,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self._set_factor(factor)
        self.value_range = value_range
        self._set_seed(seed)

    def _draw(self, shape: Shape, batch: int, seed: Any) -> dict[str, Tensor]:
        return {"apply_inversion": self._happens(batch, seed)}

    def _transform_images(self, images: Tensor, transformation: Any, _: Any) -> Tensor:
        inverted = self.value_range[1] - images
        return torch.where(
            per_image(transformation["apply_inversion"], images.ndim), inverted, images
        )


@builtin("keras.layers.RandomPosterization")
class RandomPosterization(_Lenient):
    """Drops the low bits of each image's colors.

    Args:
        factor: How many of 8 bits to keep: `f` means from 1 to f.
        value_range: The least and the largest value of images.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.
        seed: Of the random numbers.
        kwargs: Arguments of `BaseImagePreprocessingLayer`.
    Shapes: Result: as the input.
    Raises:
        ValueError: `factor` is outside [1, 8], or the input is no image.

    Example:
        >>> RandomPosterization((1, 1))(torch.tensor([[[100.0], [200.0]]])).flatten().tolist()
        [0.0, 128.0]
    """

    _always_draws = True
    _FACTOR_BOUNDS = (1, 8)

    def _draw(self, shape: Shape, batch: int, seed: Any) -> dict[str, Tensor]:
        low, high = self.factor
        if low == high:
            return {"shift_factor": torch.full((batch,), int(8 - low), dtype=torch.uint8)}
        return {"shift_factor": 8 - randint((batch,), low, high, dtype="uint8", seed=seed)}

    def _transform_images(self, images: Tensor, transformation: Any, _: Any) -> Tensor:
        dtype = images.dtype
        shift = per_image(transformation["shift_factor"], images.ndim)
        bits = self._transform_value_range(images, self.value_range, (0, 255), dtype)
        bits = bits.to(torch.uint8) >> shift << shift
        return self._transform_value_range(bits.to(dtype), (0, 255), self.value_range, dtype)


@builtin("keras.layers.RandomSharpness")
class RandomSharpness(_Lenient):
    """Smooths or sharpens each image.

    Args:
        factor: 0 smooths, 0.5 changes nothing, 1 sharpens; `f` means a number in [0, f].
        value_range: The least and the largest value of images.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.
        seed: Of the random numbers.
        kwargs: Arguments of `BaseImagePreprocessingLayer`.
    Shapes: Result: as the input.
    Raises:
        ValueError: `factor` is outside [0, 1], or the input is no image.

    Example:
        >>> RandomSharpness((0.5, 0.5))(torch.ones(1, 3, 1)).flatten().tolist()
        [1.0, 1.0, 1.0]
    """

    _always_draws = True

    def _draw(self, shape: Shape, batch: int, seed: Any) -> dict[str, Tensor]:
        return {"factor": self._uniform(batch, seed)}

    def _transform_images(self, images: Tensor, transformation: Any, _: Any) -> Tensor:
        def smooth(x: Tensor) -> Tensor:
            channels = x.shape[1]
            kernel = torch.full((channels, 1, 3, 3), 1 / 13, dtype=x.dtype, device=x.device)
            kernel[:, :, 1, 1] = 5 / 13
            return F.conv2d(x, kernel, padding=1, groups=channels)

        smoothed = in_batches(smooth, images, self.data_format)
        part = 1.0 - per_image(transformation["factor"] * 2, images.ndim).to(images.dtype)
        return self._clip(images + part * (smoothed - images))


@builtin("keras.layers.RandomGaussianBlur")
class RandomGaussianBlur(LenientLayer, _Factored):
    """Smooths some of the images by a Gaussian filter.

    Args:
        factor: The probability for each image: `f` means a number in [0, f].
        kernel_size: Of the filter, odd; or height and width.
        sigma: Its standard deviation in pixels: `f` means a number in [0, f].
        value_range: The least and the largest value of images.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.
        seed: Of the random numbers.
        kwargs: Arguments of `BaseImagePreprocessingLayer`.
    Shapes: Result: as the input.
    Raises:
        ValueError: `factor` or `sigma` is outside [0, 1], `kernel_size` is even, or the input is no
            image.

    Example:
        >>> RandomGaussianBlur(1.0, kernel_size=3, sigma=1.0, seed=0)(torch.ones(3, 3, 1)).shape
        torch.Size([3, 3, 1])
    """

    def __init__(
        self,
        factor: Factor = 1.0,
        kernel_size: int | Sequence[int] = 3,
        sigma: Factor = 1.0,
        value_range: Sequence[float] = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self._set_factor(factor)
        sizes = kernel_size if isinstance(kernel_size, (tuple, list)) else (kernel_size,) * 2
        if len(sizes) != 2 or not all(isinstance(n, (int, float)) and n % 2 == 1 for n in sizes):
            raise ValueError(
                "`kernel_size` must be an odd number, or two of them."
                f" Received: kernel_size={kernel_size}"
            )
        self.kernel_size = tuple(sizes)
        self.sigma = self._factor_range(sigma, "sigma")
        self.value_range = value_range
        self._set_seed(seed)

    def _draw(self, shape: Shape, batch: int, seed: Any) -> dict[str, Tensor]:
        happens = self._happens(batch, seed)
        sigma = uniform((2,), *self.sigma, dtype=self.compute_dtype, seed=seed) + 1e-6
        return {"should_apply_blur": happens, "blur_factor": sigma}

    def _transform_images(self, images: Tensor, transformation: Any, _: Any) -> Tensor:
        sigma = transformation["blur_factor"]
        blurred = in_batches(lambda x: blur(x, self.kernel_size, sigma), images, self.data_format)
        happens = per_image(transformation["should_apply_blur"], images.ndim)
        return self._clip(torch.where(happens, blurred, images))


@builtin("keras.layers.Solarization")
class Solarization(ColorLayer):
    """Adds a number to each image, then inverts what is above a threshold.

    Args:
        addition_factor: What is added, as a part of the range: `f` means [0, f].
        threshold_factor: The threshold, as a part of the range: `f` means [0, f].
        value_range: The least and the largest value of images.
        seed: Of the random numbers.
        kwargs: Arguments of `BaseImagePreprocessingLayer`.
    Shapes: Result: as the input.
    Raises:
        ValueError: A factor is outside [0, 1], or `value_range` is no range.

    Example:
        >>> Solarization()(torch.tensor([[[5.0]]])).item()
        250.0
    """

    _USE_BASE_FACTOR = False

    def __init__(
        self,
        addition_factor: Factor = 0.0,
        threshold_factor: Factor = 0.0,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.addition_factor = as_interval(addition_factor, "addition_factor", 0, 1.0, False)
        self.threshold_factor = as_interval(threshold_factor, "threshold_factor", 0, 1.0, False)
        self.value_range = as_value_range(value_range)
        self._set_seed(seed)

    def _draw(self, shape: Shape, batch: int, seed: Any) -> dict[str, Tensor]:
        drawn = []
        for low, high in (self.addition_factor, self.threshold_factor):
            number = uniform((batch,), low, high * 255, dtype=self.compute_dtype, seed=seed)
            drawn.append(per_image(number, len(shape)))
        return dict(zip(("additions", "thresholds"), drawn, strict=True))

    def _transform_images(self, images: Tensor, transformation: Any, _: Any) -> Tensor:
        dtype = images.dtype
        values = self._transform_value_range(images, self.value_range, (0, 255), dtype)
        values = (values + transformation["additions"]).clamp(0, 255)
        values = torch.where(values < transformation["thresholds"], values, 255 - values)
        return self._transform_value_range(values, (0, 255), self.value_range, dtype)


@builtin("keras.layers.RandomColorJitter")
class RandomColorJitter(ColorLayer):
    """Changes brightness, contrast, saturation and hue of each image, in this order.

    Args:
        value_range: The least and the largest value of images.
        brightness_factor: As of `RandomBrightness`; `None` leaves it.
        contrast_factor: As of `RandomContrast`.
        saturation_factor: As of `RandomSaturation`.
        hue_factor: As of `RandomHue`.
        seed: Of the random numbers.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.
        kwargs: Arguments of `BaseImagePreprocessingLayer`.
    Shapes: Result: as the input.
    Raises:
        ValueError: A factor is outside its bounds.

    Example:
        >>> RandomColorJitter(brightness_factor=(1.0, 1.0))(torch.zeros(1, 1, 3)).max().item()
        255.0
    """

    _config_excludes = ("factor",)

    def __init__(
        self,
        value_range: Sequence[float] = (0, 255),
        brightness_factor: Factor | None = None,
        contrast_factor: Factor | None = None,
        saturation_factor: Factor | None = None,
        hue_factor: Factor | None = None,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.value_range = value_range
        self._set_seed(seed)
        kinds = {
            "brightness": RandomBrightness,
            "contrast": RandomContrast,
            "saturation": RandomSaturation,
            "hue": RandomHue,
        }
        factors = (brightness_factor, contrast_factor, saturation_factor, hue_factor)
        for (name, kind), factor in zip(kinds.items(), factors, strict=True):
            setattr(self, f"{name}_factor", factor)
            options = {"value_range": value_range, "seed": seed, "data_format": self.data_format}
            layer = None if factor is None else kind(factor, **options)
            setattr(self, f"random_{name}", layer)

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        """Transform a batch of images, drawing what is random."""
        images = self._cast(images)
        for name in ("brightness", "contrast", "saturation", "hue") if training else ():
            layer = getattr(self, f"random_{name}")
            if layer is not None:
                drawn = layer.get_random_transformation(images, seed=self.generator)
                images = self._cast(layer.transform_images(images, drawn))
        return images
