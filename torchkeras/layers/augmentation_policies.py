"""Several augmentations in a row: `Pipeline`, `RandAugment`, `AugMix`.

Sources: Cubuk et al. 2020 (RandAugment), Hendrycks et al. 2020 (AugMix); `keras.layers` (names,
numbers drawn for a seed, configs).
"""

from __future__ import annotations

import random as python_random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..dtypes import to_torch
from ..graph.context import CONTEXT
from ..naming import explain
from ..random import beta, gamma, randint
from ..registry import builtin, deserialize_keras_object, serialize_keras_object
from ..tree import map_structure
from .augmentation import ImageLayer, as_value_range, beside
from .augmentation_color import (
    RandomBrightness,
    RandomColorDegeneration,
    RandomContrast,
    RandomPosterization,
    RandomSharpness,
    Solarization,
)
from .augmentation_geometric import RandomRotation, RandomShear, RandomTranslation
from .augmentation_histogram import AutoContrast, Equalization
from .configs import make_from
from .data_layer import DataLayer
from .layer import Layer, get_keras_mask

__all__ = ["AugMix", "Pipeline", "RandAugment"]

Factor = float | Sequence[float]


@builtin("keras.layers.Pipeline")
class Pipeline(DataLayer):
    """Calls layers one after another, also within a `tf.data` pipeline.

    Args:
        layers: The layers.
        name: Of the layer.
    Shapes: Result: of the last layer.
    Raises:
        ValueError: A config has no list of layers.

    Example:
        >>> from torchkeras.layers import Rescaling
        >>> Pipeline([Rescaling(2.0), Rescaling(1.0, offset=1.0)])(torch.ones(2)).tolist()
        [3.0, 3.0]
    """

    _convert_input_args = False
    _casts_in_tf_graphs = False

    def __init__(self, layers: Sequence[Layer], name: str | None = None) -> None:
        super().__init__(name=name)
        self._pipeline_layers = layers

    @property
    def layers(self) -> Sequence[Layer]:
        """The layers."""
        return self._pipeline_layers

    def call(self, inputs: Any, training: bool = True, mask: Any = None) -> Any:
        """Return what the last layer returns."""
        for layer in self._pipeline_layers:
            signature = layer._call_signature
            options = {"mask": mask} if signature.takes_mask else {}
            if signature.takes_training and training is not None:
                options["training"] = training
            inputs = layer(inputs, **options)
            mask = map_structure(get_keras_mask, inputs)
        return inputs

    def get_config(self) -> dict[str, Any]:
        """The layers' configs and the name."""
        layers = [serialize_keras_object(layer) for layer in self._pipeline_layers]
        return {"layers": layers, "name": self.name}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Pipeline:
        """Make the pipeline and its layers."""
        layers = config.get("layers")
        if not isinstance(layers, (list, tuple)):
            raise ValueError(
                explain(
                    f"A `{cls.__name__}` config must have a list of configs under `layers`.",
                    given=layers,
                    fix="pass what `get_config()` returned.",
                )
            )
        made = [deserialize_keras_object(item) for item in layers]
        return make_from(cls, {**config, "layers": made})


class _Policy(ImageLayer):
    """What both policies share: a layer for each kind of augmentation, drawn from by name."""

    _USE_BASE_FACTOR = False
    _FACTOR_BOUNDS = (0, 1)

    def _make(
        self,
        names: Sequence[str],
        value_range: Sequence[float],
        interpolation: str,
        seed: int | None,
        data_format: str | None,
        options: Mapping[str, Any],
    ) -> None:
        """Keep what the layers share, and make them, in the order of `names`."""
        self.value_range = value_range
        self.interpolation = interpolation
        self._set_seed(seed)
        factor = self.factor
        seeded = {"seed": seed, "data_format": data_format, **options}
        ranged = {"value_range": value_range, **seeded}
        moving = {"interpolation": interpolation, **seeded}
        still = {"value_range": value_range, "data_format": data_format, **options}
        bits = max(1, int(8 * factor[1]))
        make: dict[str, Callable[[], Layer]] = {
            "random_shear": lambda: RandomShear(x_factor=factor, y_factor=factor, **moving),
            "random_translation": lambda: RandomTranslation(factor, factor, **moving),
            "random_rotation": lambda: RandomRotation(factor, **moving),
            "random_brightness": lambda: RandomBrightness(factor, **ranged),
            "random_color_degeneration": lambda: RandomColorDegeneration(factor, **ranged),
            "random_contrast": lambda: RandomContrast(factor, **ranged),
            "random_sharpness": lambda: RandomSharpness(factor, **ranged),
            "solarization": lambda: Solarization(factor, factor, **ranged),
            "random_posterization": lambda: RandomPosterization(bits, **ranged),
            "auto_contrast": lambda: AutoContrast(**still),
            "equalization": lambda: Equalization(**still),
        }
        for name in names:
            setattr(self, name, make[name]())


@builtin("keras.layers.RandAugment")
class RandAugment(_Policy):
    """Applies a few augmentations, drawn at random for the whole batch, in training.

    Args:
        value_range: The least and the largest value of images.
        num_ops: How many augmentations.
        factor: How strong they are: `f` means [0, f].
        interpolation: `nearest` or `bilinear`.
        seed: Of the random numbers.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.
        kwargs: Arguments of `BaseImagePreprocessingLayer`.
    Shapes: Result: as the input.
    Raises:
        ValueError: `factor` is outside [0, 1], or the input is no image of colors.
    Source: Cubuk et al. 2020.

    Example:
        >>> RandAugment(seed=0)(torch.ones(2, 4, 4, 3)).shape
        torch.Size([2, 4, 4, 3])
    """

    _keras_memory = "row_major"
    _AUGMENT_LAYERS = (
        "random_shear",
        "random_translation",
        "random_rotation",
        "random_brightness",
        "random_color_degeneration",
        "random_contrast",
        "random_sharpness",
        "random_posterization",
        "solarization",
        "auto_contrast",
        "equalization",
    )
    # The order in which they are made, and hence draw their seeds where none is given.
    _MADE = (*_AUGMENT_LAYERS[:7], "solarization", "random_posterization", *_AUGMENT_LAYERS[9:])

    def __init__(
        self,
        value_range: Sequence[float] = (0, 255),
        num_ops: int = 2,
        factor: Factor = 0.5,
        interpolation: str = "bilinear",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self._set_factor(factor)
        self.num_ops = num_ops
        self._make(self._MADE, value_range, interpolation, seed, data_format, kwargs)

    def get_random_transformation(
        self, data: Any, training: bool = True, seed: Any = None
    ) -> dict[str, Any] | None:
        """Draw which augmentations to apply, and what is random of each."""
        if not training:
            return None
        seed = self.generator if seed is None else seed
        with torch.device("meta" if CONTEXT.meta else "cpu"):  # Python reads them
            chosen = randint((self.num_ops,), 0, len(self._AUGMENT_LAYERS), seed=seed)
        return {
            "layer_idxes": chosen,
            "transforms": {
                name: getattr(self, name).get_random_transformation(data, seed=seed)
                for name in self._AUGMENT_LAYERS
            },
        }

    def _apply(self, method: str, x: Any, transformation: Any) -> Any:
        """Call a method of each chosen layer, one after another."""
        chosen = transformation["layer_idxes"]
        for index in [] if chosen.is_meta else chosen.tolist():
            name = self._AUGMENT_LAYERS[index]
            x = getattr(getattr(self, name), method)(x, transformation["transforms"][name])
        return x

    def _transform_images(self, images: Tensor, transformation: Any, _: Any) -> Tensor:
        return self._cast(self._apply("transform_images", images, transformation))

    def _transform_boxes(self, bounding_boxes: Any, transformation: Any) -> Any:
        """Move the boxes as the images."""
        return self._apply("transform_bounding_boxes", bounding_boxes, transformation)

    def _transform_masks(self, segmentation_masks: Any, transformation: Any) -> Any:
        """Move the masks as the images."""
        return self._apply("transform_segmentation_masks", segmentation_masks, transformation)


@builtin("keras.layers.AugMix")
class AugMix(_Policy):
    """Mixes images with several chains of augmentations of them, in training.

    Args:
        value_range: The least and the largest value of images.
        num_chains: How many chains.
        chain_depth: How many augmentations a chain has at most.
        factor: How strong they are: `f` means [0, f].
        alpha: Of the distributions of the weights.
        all_ops: Whether to use changes of brightness, contrast, colors and sharpness too.
        interpolation: `nearest` or `bilinear`.
        seed: Of the random numbers; which augmentations a chain has, Python's `random` draws.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.
        kwargs: Arguments of `BaseImagePreprocessingLayer`.
    Shapes: Result: as the input.
    Raises:
        ValueError: `factor` is outside [0, 1], or the input is no image of colors.
    Source: Hendrycks et al. 2020.

    Example:
        >>> AugMix(seed=0)(torch.ones(2, 4, 4, 3)).shape
        torch.Size([2, 4, 4, 3])
    """

    _SOME = (
        "random_shear",
        "random_translation",
        "random_rotation",
        "random_posterization",
        "solarization",
        "auto_contrast",
        "equalization",
    )
    _MORE = (
        "random_brightness",
        "random_color_degeneration",
        "random_contrast",
        "random_sharpness",
    )
    # The order in which they are made, and hence draw their seeds where none is given.
    _MADE = (*_SOME[:3], "solarization", "random_posterization", *_SOME[5:])

    def __init__(
        self,
        value_range: Sequence[float] = (0, 255),
        num_chains: int = 3,
        chain_depth: int = 3,
        factor: Factor = 0.3,
        alpha: float = 1.0,
        all_ops: bool = True,
        interpolation: str = "bilinear",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self._set_factor(factor)
        self.num_chains, self.chain_depth = num_chains, chain_depth
        self.alpha = alpha
        self.all_ops = all_ops
        more = self._MORE if all_ops else ()
        self.__dict__["_augment_layers"] = [*self._SOME, *more]
        self._make((*self._MADE, *more), value_range, interpolation, seed, data_format, kwargs)

    def get_random_transformation(
        self, data: Any, training: bool = True, seed: Any = None
    ) -> dict[str, Any] | None:
        """Draw the chains, their weights, and what is random of each augmentation."""
        if not training:
            return None
        images = data["images"] if isinstance(data, dict) else data
        seed = self.generator if seed is None else seed
        with beside(images):
            weights = gamma((self.num_chains,), self.alpha, seed=seed)
            original = beta((), self.alpha, self.alpha, seed=seed)
        return {
            "chain_mixing_weights": weights / weights.sum(-1, keepdim=True),
            "weight_sample": original,
            "chain_transforms": [self._chain(data, seed) for _ in range(self.num_chains)],
        }

    def _chain(self, data: Any, seed: Any) -> list[dict[str, Any]]:
        chain = []
        for _ in range(0 if CONTEXT.meta else self.chain_depth):
            name = python_random.choice([*self._augment_layers, None])
            if name is not None:
                drawn = getattr(self, name).get_random_transformation(data, seed=seed)
                chain.append({"layer_name": name, "transformation": drawn})
        return chain

    def _mix(self, method: str, x: Tensor, transformation: Any) -> Tensor:
        dtype = to_torch(self.compute_dtype)
        weights = transformation["chain_mixing_weights"].to(dtype)
        original = transformation["weight_sample"].to(dtype)
        mixed = torch.zeros_like(x)
        for weight, chain in zip(weights, transformation["chain_transforms"], strict=True):
            changed = x
            for step in chain:
                layer = getattr(self, step["layer_name"])
                changed = getattr(layer, method)(changed, step["transformation"])
            mixed = mixed + changed * weight
        return original * x + (1 - original) * mixed

    def _transform_images(self, images: Tensor, transformation: Any, _: Any) -> Tensor:
        mixed = self._mix("transform_images", images, transformation)
        return self._cast(mixed.clamp(*as_value_range(self.value_range)))

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        """Return the boxes, which the original images still show."""
        return bounding_boxes

    def _transform_masks(self, segmentation_masks: Any, transformation: Any) -> Any:
        """Mix the masks as the images."""
        return self._mix("transform_segmentation_masks", segmentation_masks, transformation)
