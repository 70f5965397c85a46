"""MobileNetV2: narrow feature maps, which each block makes wide, convolves, and makes narrow again.

`alpha` makes all layers narrower or wider.
Source: Sandler et al. 2018, arXiv:1801.04381.
"""

from __future__ import annotations

import os
from functools import partial
from typing import Any

from ..config import image_data_format
from ..graph.keras_tensor import KerasTensor
from ..layers import Add, Conv2D, DepthwiseConv2D, Layer, ZeroPadding2D
from ..models import Functional
from ..naming import explain
from ._builder import (
    Release,
    Request,
    assemble,
    chain,
    channels_of,
    dense_top,
    describe,
    divisible,
    norm,
    pooled,
)
from .imagenet_utils import Shape, correct_pad, decode_predictions, preprocessor, spatial_sizes
from .mobilenet import check_trained, relu6, trained_size

__all__ = ["MobileNetV2", "decode_predictions", "preprocess_input"]

# Channels, blocks and first stride of each group of blocks.
_GROUPS = [(16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1)]
# Widths and sizes that there are trained weights for.
_ALPHAS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
_SIZES = (96, 128, 160, 192, 224)


def _norm(name: str) -> Layer:
    return norm(name, last=-1, epsilon=1e-3, momentum=0.999)


def _pointwise(filters: int, name: str) -> list[Layer]:
    conv = Conv2D(filters, 1, padding="same", use_bias=False, name=name)
    return [conv, _norm(f"{name}_BN")]


def _block(x: KerasTensor, number: int, filters: int, stride: int) -> KerasTensor:
    inputs, channels = x, channels_of(x)
    prefix = f"block_{number}_" if number else "expanded_conv_"
    if number:
        expand = f"{prefix}expand"
        x = chain(x, *_pointwise(6 * channels, expand), relu6(f"{expand}_relu"))
    if stride == 2:
        x = ZeroPadding2D(correct_pad(x, 3), name=f"{prefix}pad")(x)
    depthwise, padding = f"{prefix}depthwise", "same" if stride == 1 else "valid"
    x = chain(
        x,
        DepthwiseConv2D(3, strides=stride, padding=padding, use_bias=False, name=depthwise),
        _norm(f"{depthwise}_BN"),
        relu6(f"{depthwise}_relu"),
        *_pointwise(filters, f"{prefix}project"),
    )
    if stride == 1 and channels == filters:
        return Add(name=f"{prefix}add")([inputs, x])
    return x


def _body(x: KerasTensor, alpha: float) -> KerasTensor:
    filters = divisible(32 * alpha)
    x = chain(
        x,
        Conv2D(filters, 3, strides=2, padding="same", use_bias=False, name="Conv1"),
        _norm("bn_Conv1"),
        relu6("Conv1_relu"),
    )
    number = 0
    for filters, depth, stride in _GROUPS:
        for i in range(depth):
            x = _block(x, number, divisible(int(filters * alpha)), 1 if i else stride)
            number += 1
    filters = divisible(1280 * max(alpha, 1.0))
    return chain(
        x,
        Conv2D(filters, 1, use_bias=False, name="Conv_1"),
        _norm("Conv_1_bn"),
        relu6("out_relu"),
    )


def check_agreement(input_shape: Shape | None, input_tensor: Any) -> None:
    """Refuse an `input_shape` that is not that of `input_tensor`.

    Raises:
        ValueError: The widths differ, or `input_tensor` is not symbolic.
    """
    if input_shape is None or input_tensor is None:
        return
    if not isinstance(input_tensor, KerasTensor):
        raise ValueError(
            explain(
                "`input_tensor` is not a symbolic tensor.",
                received=repr(input_tensor),
                fix="make one by `keras.Input`.",
            )
        )
    widths = (spatial_sizes(s, image_data_format())[1] for s in (input_shape, input_tensor.shape))
    if len(set(widths)) > 1:
        raise ValueError(
            explain(
                "`input_shape` and `input_tensor` have different widths.",
                input_shape=input_shape,
                input_tensor=input_tensor.shape,
                fix="leave `input_shape` out.",
            )
        )


def MobileNetV2(  # noqa: N802 - Keras's name
    input_shape: Shape | None = None,
    alpha: float = 1.0,
    include_top: bool = True,
    weights: str | os.PathLike[str] | None = "imagenet",
    input_tensor: KerasTensor | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> Functional:
    check_agreement(input_shape, input_tensor)
    known = input_shape
    if known is None and isinstance(input_tensor, KerasTensor):
        known = input_tensor.shape
    request = Request(
        include_top=include_top,
        weights=weights,
        input_tensor=input_tensor,
        input_shape=input_shape,
        pooling=pooling,
        classes=classes,
        classifier_activation=classifier_activation,
        name=name,
    ).sized(trained_size(known, _SIZES), 32)
    rows = spatial_sizes(request.input_shape, image_data_format())[0]
    if weights == "imagenet":
        rows = check_trained(request.input_shape, alpha, _ALPHAS, _SIZES)
    stem = f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{float(alpha)}_{rows}"
    return assemble(
        request.named(f"mobilenetv2_{alpha:0.2f}_{rows}"),
        partial(_body, alpha=alpha),
        Release((f"{stem}.h5", f"{stem}_no_top.h5"), "mobilenet_v2"),
        top=partial(dense_top, pool=None),
        tail=partial(pooled, names=False),
    )


describe(
    MobileNetV2,
    "MobileNetV2",
    __name__,
    224,
    32,
    "Sandler et al. 2018, arXiv:1801.04381",
    alpha="Multiplies the number of channels of each layer; 0.35, 0.5, 0.75, 1, 1.3 or 1.4 with"
    " ImageNet's weights.",
)
preprocess_input = preprocessor("tf")
