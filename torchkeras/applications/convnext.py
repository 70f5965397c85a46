"""ConvNeXts: convolutional networks in the manner of transformers.

A block is a wide depthwise convolution, a normalization and two dense layers, added to what it was
given; four rows of blocks, each behind a convolution that halves the image (the first quarters it).
Images are prepared by the network itself.
Source: Liu et al. 2022, arXiv:2201.03545.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..graph.keras_tensor import KerasTensor
from ..initializers import Constant
from ..layers import (
    Activation,
    Conv2D,
    Dense,
    GlobalAveragePooling2D,
    Layer,
    LayerNormalization,
    Normalization,
)
from ..models import Functional, Sequential
from ..random import uniform
from ..registry import builtin
from ._builder import (
    Body,
    Release,
    Request,
    assemble,
    chain,
    channels_of,
    describe,
    pooled,
    require_channels_last,
)
from .imagenet_utils import Shape, decode_predictions, preprocessor

__all__ = [
    "ConvNeXtBase",
    "ConvNeXtLarge",
    "ConvNeXtSmall",
    "ConvNeXtTiny",
    "ConvNeXtXLarge",
    "decode_predictions",
    "preprocess_input",
]


@builtin("keras.src.applications.convnext.StochasticDepth")
class StochasticDepth(Layer):
    """In training, set some samples to zero, and scale the others so that the mean stays.

    Args:
        drop_path_rate: The share of samples.

    Shapes:
        x: `(batch, ...)`, as the result.

    Example:
        >>> StochasticDepth(0.5)(torch.ones(2)).tolist()
        [1.0, 1.0]

    Source: Huang et al. 2016, arXiv:1603.09382.
    """

    def __init__(self, drop_path_rate: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.drop_path_rate = drop_path_rate

    def call(self, x: Tensor, training: bool | None = None) -> Tensor:
        """Drop samples, in training."""
        if not training:
            return x
        kept = 1 - self.drop_path_rate
        draws = uniform((x.shape[0],) + (1,) * (x.ndim - 1))
        return x / kept * torch.floor(kept + draws)


@builtin("keras.src.applications.convnext.LayerScale")
class LayerScale(Layer):
    """Multiply each channel by a learned number.

    Args:
        init_values: What the numbers start from.
        projection_dim: How many channels there are.

    Shapes:
        x: `(..., projection_dim)`, as the result.

    Example:
        >>> LayerScale(0.5, 2)(torch.ones(1, 2)).tolist()
        [[0.5, 0.5]]

    Source: Touvron et al. 2021, arXiv:2103.17239.
    """

    def __init__(self, init_values: float, projection_dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.init_values = init_values
        self.projection_dim = projection_dim

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Make the numbers."""
        self.gamma = self.add_weight((self.projection_dim,), Constant(self.init_values))

    def call(self, x: Tensor) -> Tensor:
        """Multiply."""
        return x * self.gamma


def _norm(name: str | None = None) -> Layer:
    return LayerNormalization(epsilon=1e-6, name=name)


def _block(x: KerasTensor, width: int, name: str) -> KerasTensor:
    return x + chain(
        x,
        Conv2D(width, 7, padding="same", groups=width, name=f"{name}_depthwise_conv"),
        _norm(f"{name}_layernorm"),
        Dense(4 * width, name=f"{name}_pointwise_conv_1"),
        Activation("gelu", name=f"{name}_gelu"),
        Dense(width, name=f"{name}_pointwise_conv_2"),
        LayerScale(1e-6, width, name=f"{name}_layer_scale"),
        Activation("linear", name=f"{name}_identity"),
    )


def _shrink(stage: int, width: int, name: str) -> Layer:
    """Make what stands in front of a row of blocks."""
    if stage == 0:
        conv = Conv2D(width, 4, strides=4, name=f"{name}_stem_conv")
        return Sequential([conv, _norm(f"{name}_stem_layernorm")], name=f"{name}_stem")
    i = stage - 1
    layers = [
        _norm(f"{name}_downsampling_layernorm_{i}"),
        Conv2D(width, 2, strides=2, name=f"{name}_downsampling_conv_{i}"),
    ]
    return Sequential(layers, name=f"{name}_downsampling_block_{i}")


def _convnext(depths: Sequence[int], width: int, name: str, preprocess: bool) -> Body:
    """Make the body of a network.

    Args:
        depths: How many blocks each row has.
        width: Channels of the first row; each further one has twice as many.
        name: What names of layers begin with.
        preprocess: Whether the body prepares the image.
    """

    def body(x: KerasTensor) -> KerasTensor:
        require_channels_last("ConvNeXt")
        if preprocess and channels_of(x) == 3:
            means = [255 * mean for mean in (0.485, 0.456, 0.406)]
            variances = [(255 * deviation) ** 2 for deviation in (0.229, 0.224, 0.225)]
            label = f"{name}_prestem_normalization"
            x = Normalization(mean=means, variance=variances, name=label)(x)
        shrinking = [_shrink(stage, width << stage, name) for stage in range(len(depths))]
        for stage, depth in enumerate(depths):
            x = shrinking[stage](x)
            for block in range(depth):
                x = _block(x, width << stage, f"{name}_stage_{stage}_block_{block}")
        return x

    return body


def _top(request: Request) -> Iterable[Layer]:
    head = f"{request.name}_head"
    yield GlobalAveragePooling2D(name=f"{head}_gap")
    yield _norm(f"{head}_layernorm")
    activation = request.classifier_activation
    yield Dense(request.classes, activation=activation, name=f"{head}_dense")


def _tail(request: Request) -> Iterable[Layer]:
    yield from pooled(request, names=False)
    yield _norm()


def _variant(
    title: str, depths: Sequence[int], width: int, hashes: tuple[str, str]
) -> Callable[..., Functional]:
    default = title.lower().replace("next", "next_")
    release = Release((f"{default}.h5", f"{default}_notop.h5"), "convnext", hashes)

    def build(
        include_top: bool = True,
        include_preprocessing: bool = True,
        weights: str | os.PathLike[str] | None = "imagenet",
        input_tensor: KerasTensor | None = None,
        input_shape: Shape | None = None,
        pooling: str | None = None,
        classes: int = 1000,
        classifier_activation: Any = "softmax",
        name: str = default,
    ) -> Functional:
        request = Request(
            include_top=include_top,
            weights=weights,
            input_tensor=input_tensor,
            input_shape=input_shape,
            pooling=pooling,
            classes=classes,
            classifier_activation=classifier_activation,
            name=name,
        )
        body = _convnext(depths, width, name, include_preprocessing)
        return assemble(request.sized(224, 32), body, release, top=_top, tail=_tail)

    return describe(
        build,
        title,
        __name__,
        224,
        32,
        "Liu et al. 2022, arXiv:2201.03545",
        include_preprocessing="Whether the model takes values in [0, 255] and normalizes them"
        " itself.",
    )


# Name -> blocks of the rows, channels of the first row; hashes.
_NETWORKS = {
    "ConvNeXtTiny": (
        ((3, 3, 9, 3), 96),
        (
            "8ae6e78ce2933352b1ef4008e6dd2f17bc40771563877d156bc6426c7cf503ff",
            "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
        ),
    ),
    "ConvNeXtSmall": (
        ((3, 3, 27, 3), 96),
        (
            "ce1277d8f1ee5a0ef0e171469089c18f5233860ceaf9b168049cb9263fd7483c",
            "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab",
        ),
    ),
    "ConvNeXtBase": (
        ((3, 3, 27, 3), 128),
        (
            "52cbb006d3dadd03f6e095a8ca1aca47aecdd75acb4bc74bce1f5c695d0086e6",
            "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45",
        ),
    ),
    "ConvNeXtLarge": (
        ((3, 3, 27, 3), 192),
        (
            "070c5ed9ed289581e477741d3b34beffa920db8cf590899d6d2c67fba2a198a6",
            "96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd",
        ),
    ),
    "ConvNeXtXLarge": (
        ((3, 3, 27, 3), 256),
        (
            "c1f5ccab661354fc3a79a10fa99af82f0fbf10ec65cb894a3ae0815f17a889ee",
            "de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05",
        ),
    ),
}
ConvNeXtTiny, ConvNeXtSmall, ConvNeXtBase, ConvNeXtLarge, ConvNeXtXLarge = (
    _variant(title, *sizes, hashes) for title, (sizes, hashes) in _NETWORKS.items()
)
preprocess_input = preprocessor(None)
