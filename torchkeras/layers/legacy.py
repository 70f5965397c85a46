"""Layers of Keras 2 that Keras 3 keeps under `tf.keras` only: older scripts and files name them.

`MultiHeadAttention` and `RandomCrop` are those of Keras 2 where they compute something else.

Sources: `tf.keras.layers` of Keras 3 (names, arguments, configs); `keras._legacy.layers`;
`tf_keras.layers` (the two).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from ..dtypes import as_tensor
from ..metrics import Mean
from ..naming import explain
from ..ops.image import resize
from ..random import SeedGenerator, uniform
from ..registry import builtin
from ..regularizers import get as get_regularizer
from ..regularizers import serialize as serialize_regularizer
from .attention import MultiHeadAttention as TodaysAttention
from .augmentation import on_host
from .data_layer import DataLayer
from .layer import Layer
from .locally_connected import LocallyConnected1D, LocallyConnected2D

__all__ = [
    "AddLoss",
    "AddMetric",
    "LocallyConnected1D",
    "LocallyConnected2D",
    "RandomHeight",
    "RandomWidth",
    "ThresholdedReLU",
]


@builtin("keras._legacy.layers.ThresholdedReLU", "keras.layers.ThresholdedReLU")
class ThresholdedReLU(Layer):
    """The input where it is above a threshold, else 0. `ReLU` has a threshold too, and a slope.

    Args:
        theta: The threshold.
        kwargs: Arguments of `Layer`.
    Shapes: Result: as `inputs`.
    Raises:
        ValueError: `theta` is `None` or negative.

    Example:
        >>> import torch
        >>> ThresholdedReLU(1.0)(torch.tensor([-2.0, 0.5, 2.0])).tolist()
        [0.0, 0.0, 2.0]
    """

    def __init__(self, theta: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if theta is None or theta < 0:
            raise ValueError(
                explain(
                    f"ThresholdedReLU '{self.name}': `theta` must be a number of at least 0.",
                    given=f"theta={theta}",
                )
            )
        self.theta = float(theta)
        self.supports_masking = True

    def call(self, inputs: Tensor) -> Tensor:
        """Return `inputs` where above the threshold."""
        return F.threshold(inputs, self.theta, 0.0)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return `input_shape`."""
        return input_shape


class _Effect(Layer):
    """Returns its input; what a call leaves behind is all that it is for.

    Keras 2 recorded `model.add_loss(symbol)` and `model.add_metric(symbol)` of functional models as
    calls of such layers, on which no output depends; `Functional.compute_also` keeps them.
    """

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return `input_shape`."""
        return input_shape


@builtin("keras._legacy.layers.AddLoss", "keras.layers.AddLoss")
class AddLoss(_Effect):
    """Adds its input to what training minimizes.

    Args:
        unconditional: Of no effect; files of Keras 2 hold it.
        kwargs: Arguments of `Layer`.
    Shapes: inputs: `()`; result: the same.

    Example:
        >>> import torch
        >>> layer = AddLoss()
        >>> layer(torch.tensor(2.0)).item(), layer.losses[0].item()
        (2.0, 2.0)
    """

    def __init__(self, unconditional: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs, autocast=False)
        self.unconditional = unconditional

    def call(self, inputs: Tensor) -> Tensor:
        """Return `inputs`."""
        self.add_loss(inputs)
        return inputs


@builtin("keras._legacy.layers.AddMetric", "keras.layers.AddMetric")
class AddMetric(_Effect):
    """Keeps the mean of its input, as one of the metrics of the model that it is in.

    Args:
        aggregation: "mean" or `None`, which mean the same.
        metric_name: What logs call it.
        kwargs: Arguments of `Layer`.
    Shapes: inputs: any; result: the same.

    Example:
        >>> import torch
        >>> layer = AddMetric(metric_name="height")
        >>> _ = layer(torch.tensor([1.0, 3.0]))
        >>> layer.metrics[0].result().item()
        2.0
    """

    def __init__(
        self, aggregation: str | None = None, metric_name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.aggregation = aggregation
        self.metric_name = metric_name
        self.mean = Mean(name=metric_name)

    def call(self, inputs: Tensor) -> Tensor:
        """Return `inputs`."""
        self.mean.update_state(inputs)
        return inputs


@builtin("keras._legacy.layers.MultiHeadAttention")
class MultiHeadAttention(TodaysAttention):
    """Attention with a penalty on its result, and on none of its projections.

    Args:
        args, kwargs: Of `MultiHeadAttention`.
        activity_regularizer: Penalty on the result.

    Source: `tf_keras.layers.MultiHeadAttention`.
    """

    def __init__(self, *args: Any, activity_regularizer: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.activity_regularizer = get_regularizer(activity_regularizer)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        penalty = serialize_regularizer(self.activity_regularizer)
        return {**super().get_config(), "activity_regularizer": penalty}


@builtin("keras._legacy.layers.RandomCrop")
class RandomCrop(DataLayer):
    """Cuts a part out of images; the result has its size in inference too.

    In training the place is random, and the same for a batch. In inference, and of images that are
    smaller, the largest window of that shape in the middle is resized.

    Args:
        height, width: Of the result.
        seed: Of the random numbers.
        kwargs: Arguments of `Layer`.
    Shapes: Result: as the input, with `height` and `width`.

    Source: `tf_keras.layers.RandomCrop`.

    Example:
        >>> import torch
        >>> RandomCrop(2, 3)(torch.ones(4, 8, 8, 3), training=False).shape
        torch.Size([4, 2, 3, 3])
    """

    def __init__(self, height: int, width: int, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.height = height
        self.width = width
        self.seed = seed
        self.generator = SeedGenerator(seed)

    def call(self, inputs: Any, training: bool = True) -> Tensor:
        """Return the parts."""
        images, size = as_tensor(inputs, self.compute_dtype), (self.height, self.width)
        rooms = [old - new for old, new in zip(images.shape[-3:-1], size, strict=True)]
        if not training or min(rooms) < 0:
            how = {"crop_to_aspect_ratio": True, "data_format": "channels_last"}
            return resize(images, size, "bilinear", **how)
        top, left = (
            int(on_host(lambda room=room: uniform((), 0.0, room + 1.0, seed=self.generator)))
            for room in rooms
        )
        return images[..., top : top + self.height, left : left + self.width, :]

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Return the shape with `height` and `width`."""
        return (*input_shape[:-3], self.height, self.width, input_shape[-1])


class _RandomSize(DataLayer):
    """What both layers share; the subclass says which axis they stretch, and what it is called."""

    _axis: int
    _side: str

    def __init__(
        self,
        factor: float | Sequence[float],
        interpolation: str = "bilinear",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        low, high = factor if isinstance(factor, (tuple, list)) else (-factor, factor)
        if not -1.0 <= low <= high:
            raise ValueError(
                explain(
                    f"{type(self).__name__} '{self.name}': the `factor` argument must be a number"
                    " above 0, or two of at least -1 with the lower bound first.",
                    given=f"factor={factor}",
                )
            )
        self.factor = factor
        setattr(self, f"{self._side}_lower", low)
        setattr(self, f"{self._side}_upper", high)
        self._bounds = (1.0 + low, 1.0 + high)
        self.interpolation = interpolation
        self.seed = seed
        self.generator = SeedGenerator(seed)

    def call(self, inputs: Any, training: bool = True) -> Tensor:
        """Return the stretched images."""
        images = as_tensor(inputs, self.compute_dtype)
        if not training:
            return images
        factor = on_host(lambda: uniform((), *self._bounds, seed=self.generator))
        size = list(images.shape[-3:-1])
        size[self._axis] = max(1, int(factor * size[self._axis]))
        return resize(images, tuple(size), self.interpolation, data_format="channels_last")

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Return the shape with one size unknown."""
        shape = list(input_shape)
        shape[self._axis - 3] = None
        return tuple(shape)


@builtin("keras._legacy.layers.RandomHeight", "keras.layers.RandomHeight")
class RandomHeight(_RandomSize):
    """Gives all images of a batch another height, drawn at random, in training.

    Args:
        factor: How much higher, as a part of the height: `f` means [-f, f].
        interpolation: As of `ops.image.resize`.
        seed: Of the random numbers.
        kwargs: Arguments of `Layer`.
    Shapes: inputs: `(..., H, W, C)`; result: the same with another H.
    Raises:
        ValueError: `factor` is no interval above -1.

    Example:
        >>> import torch
        >>> RandomHeight((0.5, 0.5))(torch.ones(1, 4, 4, 3)).shape
        torch.Size([1, 6, 4, 3])
    """

    _axis, _side = 0, "height"


@builtin("keras._legacy.layers.RandomWidth", "keras.layers.RandomWidth")
class RandomWidth(_RandomSize):
    """Gives all images of a batch another width, drawn at random, in training.

    Args:
        factor: How much wider, as a part of the width: `f` means [-f, f].
        interpolation: As of `ops.image.resize`.
        seed: Of the random numbers.
        kwargs: Arguments of `Layer`.
    Shapes: inputs: `(..., H, W, C)`; result: the same with another W.
    Raises:
        ValueError: `factor` is no interval above -1.

    Example:
        >>> import torch
        >>> RandomWidth((-0.5, -0.5))(torch.ones(1, 4, 4, 3)).shape
        torch.Size([1, 4, 2, 3])
    """

    _axis, _side = 1, "width"
