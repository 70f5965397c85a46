"""MobileNet: depthwise convolutions, each followed by a pointwise one.

`alpha` makes all layers narrower or wider.
Source: Howard et al. 2017, arXiv:1704.04861.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from ..config import image_data_format
from ..graph.keras_tensor import KerasTensor
from ..layers import (
    Activation,
    Conv2D,
    DepthwiseConv2D,
    Dropout,
    GlobalAveragePooling2D,
    Layer,
    ReLU,
    Reshape,
    ZeroPadding2D,
)
from ..models import Functional
from ..naming import explain
from ._builder import Release, Request, assemble, chain, describe, norm, pooled
from .imagenet_utils import Shape, decode_predictions, preprocessor, spatial_sizes

__all__ = ["MobileNet", "decode_predictions", "preprocess_input"]

# Channels and stride of each pair of convolutions.
_PAIRS = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5]
_PAIRS += [(1024, 2), (1024, 1)]
# Widths and sizes that there are trained weights for.
_ALPHAS = {1.0: "1_0", 0.75: "7_5", 0.5: "5_0", 0.25: "2_5"}
_SIZES = (128, 160, 192, 224)


def trained_size(shape: Sequence[int | None] | None, sizes: Sequence[int]) -> int:
    """Give the size of `shape` if weights were trained for it, else 224.

    Args:
        shape: Of an image, with or without the batch axis, or `None`.
        sizes: What weights were trained for.
    """
    height, width = spatial_sizes(shape, image_data_format()) if shape else (None, None)
    return height if height == width and height in sizes else 224


def check_trained(shape: Shape, alpha: float, alphas: Iterable[float], sizes: Sequence[int]) -> int:
    """Choose the size whose ImageNet weights serve a network.

    Args:
        shape: Of an image, without the batch axis.
        alpha: The width of the network.
        alphas: Those that weights were trained for.
        sizes: See `trained_size`.

    Raises:
        ValueError: There are no weights for `alpha`.
    """
    if alpha not in alphas:
        raise ValueError(
            explain(
                "There are no ImageNet weights for this `alpha`.",
                received=alpha,
                expected=", ".join(map(str, sorted(alphas))),
                fix="choose one of these, or pass `weights=None`.",
            )
        )
    size = trained_size(shape, sizes)
    sizes_asked = spatial_sizes(shape, image_data_format())
    if None not in sizes_asked and sizes_asked != (size, size):
        warnings.warn(
            f"There are no ImageNet weights for images of shape {shape}, but for squares of the"
            f" sizes {', '.join(map(str, sizes))}: those for {size} are taken.",
            stacklevel=4,
        )
    return size


def relu6(name: str) -> Layer:
    """Make the activation, which ends at 6."""
    return ReLU(6.0, name=name)


def _conv(filters: int, size: int, name: str, stride: int = 1) -> list[Layer]:
    conv = Conv2D(filters, size, strides=stride, padding="same", use_bias=False, name=name)
    return [conv, norm(f"{name}_bn", last=-1), relu6(f"{name}_relu")]


def _body(x: KerasTensor, alpha: float, depth_multiplier: int) -> KerasTensor:
    x = chain(x, *_conv(int(32 * alpha), 3, "conv1", stride=2))
    for i, (filters, stride) in enumerate(_PAIRS, 1):
        name = f"conv_dw_{i}"
        if stride == 2:
            x = ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{i}")(x)
        depthwise = DepthwiseConv2D(
            3,
            strides=stride,
            padding="same" if stride == 1 else "valid",
            depth_multiplier=depth_multiplier,
            use_bias=False,
            name=name,
        )
        x = chain(x, depthwise, norm(f"{name}_bn", last=-1), relu6(f"{name}_relu"))
        x = chain(x, *_conv(int(filters * alpha), 1, f"conv_pw_{i}"))
    return x


def _top(request: Request, dropout: float) -> Iterable[Layer]:
    yield GlobalAveragePooling2D(keepdims=True)
    yield Dropout(dropout, name="dropout")
    yield Conv2D(request.classes, 1, padding="same", name="conv_preds")
    yield Reshape((request.classes,), name="reshape_2")
    yield Activation(request.classifier_activation, name="predictions")


def MobileNet(  # noqa: N802 - Keras's name
    input_shape: Shape | None = None,
    alpha: float = 1.0,
    depth_multiplier: int = 1,
    dropout: float = 0.001,
    include_top: bool = True,
    weights: str | os.PathLike[str] | None = "imagenet",
    input_tensor: KerasTensor | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
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
    ).sized(trained_size(input_shape, _SIZES), 32)
    rows = spatial_sizes(request.input_shape, image_data_format())[0]
    if weights == "imagenet":
        if depth_multiplier != 1:
            raise ValueError(
                f"ImageNet's weights are for `depth_multiplier=1`, got {depth_multiplier}."
            )
        rows = check_trained(request.input_shape, alpha, _ALPHAS, _SIZES)
    stem = f"mobilenet_{_ALPHAS.get(alpha)}_{rows}_tf"
    return assemble(
        request.named(f"mobilenet_{alpha:0.2f}_{rows}"),
        partial(_body, alpha=alpha, depth_multiplier=depth_multiplier),
        Release((f"{stem}.h5", f"{stem}_no_top.h5"), "mobilenet"),
        top=partial(_top, dropout=dropout),
        tail=partial(pooled, names=False),
    )


describe(
    MobileNet,
    "MobileNet",
    __name__,
    224,
    32,
    "Howard et al. 2017, arXiv:1704.04861",
    alpha="Multiplies the number of channels of each layer; 0.25, 0.5, 0.75 or 1 with ImageNet's"
    " weights.",
    depth_multiplier="How many channels a depthwise convolution makes of each.",
    dropout="The share of values that the top drops in training.",
)
preprocess_input = preprocessor("tf")
