"""MobileNetV3: blocks as in `mobilenet_v2`, with hard swish and squeeze-and-excitation.

Squeeze-and-excitation multiplies each feature map by a number computed from the means of all.
Images are prepared by the network itself. `minimalistic` networks do without the new parts.
Source: Howard et al. 2019, arXiv:1905.02244.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from ..config import image_data_format
from ..graph.keras_tensor import KerasTensor
from ..layers import (
    Activation,
    Add,
    Conv2D,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Layer,
    Multiply,
    ReLU,
    Rescaling,
    ZeroPadding2D,
)
from ..models import Functional
from ..naming import explain
from ._builder import (
    Release,
    Request,
    assemble,
    chain,
    channels_of,
    describe,
    divisible,
    norm,
)
from .imagenet_utils import (
    Shape,
    correct_pad,
    decode_predictions,
    image_shape,
    preprocessor,
    spatial_sizes,
)
from .mobilenet_v2 import check_agreement

__all__ = ["MobileNetV3Large", "MobileNetV3Small", "decode_predictions", "preprocess_input"]


class _Block(NamedTuple):
    """A row of the tables below."""

    expansion: float  # how much wider the block is inside
    filters: int
    kernel: int  # of the depthwise convolution
    stride: int
    excite: bool
    swish: bool  # hard swish, else ReLU


_SMALL = [
    _Block(1, 16, 3, 2, True, False),
    _Block(72 / 16, 24, 3, 2, False, False),
    _Block(88 / 24, 24, 3, 1, False, False),
    _Block(4, 40, 5, 2, True, True),
    *[_Block(6, 40, 5, 1, True, True)] * 2,
    *[_Block(3, 48, 5, 1, True, True)] * 2,
    _Block(6, 96, 5, 2, True, True),
    *[_Block(6, 96, 5, 1, True, True)] * 2,
]
_LARGE = [
    _Block(1, 16, 3, 1, False, False),
    _Block(4, 24, 3, 2, False, False),
    _Block(3, 24, 3, 1, False, False),
    _Block(3, 40, 5, 2, True, False),
    *[_Block(3, 40, 5, 1, True, False)] * 2,
    _Block(6, 80, 3, 2, False, True),
    _Block(2.5, 80, 3, 1, False, True),
    *[_Block(2.3, 80, 3, 1, False, True)] * 2,
    *[_Block(6, 112, 3, 1, True, True)] * 2,
    _Block(6, 160, 5, 2, True, True),
    *[_Block(6, 160, 5, 1, True, True)] * 2,
]
# Variant -> hashes.
_HASHES = {
    "large_224_0.75": ("765b44a33ad4005b3ac83185abf1d0eb", "40af19a13ebea4e2ee0c676887f69a2e"),
    "large_224_1.0": ("59e551e166be033d707958cf9e29a6a7", "07fb09a5933dd0c8eaafa16978110389"),
    "large_minimalistic_224_1.0": (
        "675e7b876c45c57e9e63e6d90a36599c",
        "ec5221f64a2f6d1ef965a614bdae7973",
    ),
    "small_224_0.75": ("cb65d4e5be93758266aa0a7f2c6708b7", "ebdb5cc8e0b497cd13a7c275d475c819"),
    "small_224_1.0": ("8768d4c2e7dee89b9d02b2d03d65d862", "d3e8ec802a04aa4fc771ee12a9a9b836"),
    "small_minimalistic_224_1.0": (
        "99cd97fb2fcdad2bf028eb838de69e37",
        "cde8136e733e811080d9fcd8a252f7e4",
    ),
}


def _activation(swish: bool) -> Layer:
    return Activation("hard_swish") if swish else ReLU()


def _norm(name: str) -> Layer:
    return norm(name, last=-1, epsilon=1e-3, momentum=0.999)


def _pointwise(filters: int, name: str, norm_name: str) -> list[Layer]:
    conv = Conv2D(filters, 1, padding="same", use_bias=False, name=name)
    return [conv, _norm(norm_name)]


def _excite(x: KerasTensor, filters: int, prefix: str) -> KerasTensor:
    prefix = f"{prefix}squeeze_excite_"
    weight = chain(
        x,
        GlobalAveragePooling2D(keepdims=True, name=f"{prefix}avg_pool"),
        Conv2D(divisible(filters / 4), 1, padding="same", name=f"{prefix}conv"),
        ReLU(name=f"{prefix}relu"),
        Conv2D(filters, 1, padding="same", name=f"{prefix}conv_1"),
    )
    weight = ReLU(6.0)(weight + 3.0) * (1.0 / 6.0)  # a hard sigmoid
    return Multiply(name=f"{prefix}mul")([x, weight])


def _block(x: KerasTensor, number: int, row: _Block) -> KerasTensor:
    inputs, channels = x, channels_of(x)
    wide = divisible(channels * row.expansion)
    prefix = f"expanded_conv_{number}_" if number else "expanded_conv_"
    if number:
        name = f"{prefix}expand"
        x = chain(x, *_pointwise(wide, name, f"{name}_bn"), _activation(row.swish))
    depthwise, padding = f"{prefix}depthwise", "same"
    if row.stride == 2:
        x = ZeroPadding2D(correct_pad(x, row.kernel), name=f"{depthwise}_pad")(x)
        padding = "valid"
    x = chain(
        x,
        DepthwiseConv2D(
            row.kernel, strides=row.stride, padding=padding, use_bias=False, name=depthwise
        ),
        _norm(f"{depthwise}_bn"),
        _activation(row.swish),
    )
    if row.excite:
        x = _excite(x, wide, prefix)
    x = chain(x, *_pointwise(row.filters, f"{prefix}project", f"{prefix}project_bn"))
    if row.stride == 1 and channels == row.filters:
        return Add(name=f"{prefix}add")([inputs, x])
    return x


def _body(
    x: KerasTensor, rows: Iterable[_Block], alpha: float, minimalistic: bool, preprocess: bool
) -> KerasTensor:
    if preprocess:
        x = Rescaling(1.0 / 127.5, offset=-1.0)(x)
    x = chain(
        x,
        Conv2D(16, 3, strides=2, padding="same", use_bias=False, name="conv"),
        _norm("conv_bn"),
        _activation(not minimalistic),
    )
    for number, row in enumerate(rows):
        row = row._replace(filters=divisible(row.filters * alpha))
        if minimalistic:
            row = row._replace(kernel=3, excite=False, swish=False)
        x = _block(x, number, row)
    last = _pointwise(divisible(channels_of(x) * 6), "conv_1", "conv_1_bn")
    return chain(x, *last, _activation(not minimalistic))


def _top(request: Request, features: int, dropout_rate: float, swish: bool) -> Iterable[Layer]:
    yield GlobalAveragePooling2D(keepdims=True)
    yield Conv2D(features, 1, padding="same", name="conv_2")
    yield _activation(swish)
    if dropout_rate > 0:
        yield Dropout(dropout_rate)
    yield Conv2D(request.classes, 1, padding="same", name="logits")
    yield Flatten()
    yield Activation(request.classifier_activation, name="predictions")


def _choose_shape(request: Request) -> Shape:
    """Take the shape of the image from where it is given."""
    shape, data_format = request.input_shape, image_data_format()
    if shape is None:
        tensor = request.input_tensor
        known = spatial_sizes(tensor.shape, data_format) if tensor is not None else (None, None)
        shape = image_shape(*known, 3, data_format)
    if any(size is not None and size < 32 for size in spatial_sizes(shape, data_format)):
        raise ValueError(f"Input size must be at least 32x32, got input_shape={shape}.")
    return tuple(shape)


def _check_trained(shape: Shape, alpha: float, minimalistic: bool) -> None:
    alphas = (1.0,) if minimalistic else (0.75, 1.0)
    if alpha not in alphas:
        raise ValueError(
            explain(
                "There are no ImageNet weights for this `alpha`.",
                received=alpha,
                expected=" or ".join(map(str, alphas)),
                minimalistic=minimalistic,
            )
        )
    sizes = spatial_sizes(shape, image_data_format())
    if None not in sizes and sizes != (224, 224):
        warnings.warn(
            f"ImageNet's weights were trained on squares of size 224; they are taken for {shape}.",
            stacklevel=4,
        )


def _variant(title: str, kind: str, rows: list[_Block], features: int) -> Callable[..., Functional]:
    def build(
        input_shape: Shape | None = None,
        alpha: float = 1.0,
        minimalistic: bool = False,
        include_top: bool = True,
        weights: str | os.PathLike[str] | None = "imagenet",
        input_tensor: KerasTensor | None = None,
        classes: int = 1000,
        pooling: str | None = None,
        dropout_rate: float = 0.2,
        classifier_activation: Any = "softmax",
        include_preprocessing: bool = True,
        name: str = title,
    ) -> Functional:
        check_agreement(input_shape, input_tensor)
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
        request = request.shaped(_choose_shape(request))
        if weights == "imagenet":
            _check_trained(request.input_shape, alpha, minimalistic)
        variant = f"{kind}{'_minimalistic' if minimalistic else ''}_224_{alpha}"
        stem = f"weights_mobilenet_v3_{variant}_float"
        files = (f"{stem}.h5", f"{stem}_no_top_v2.h5")
        wide = divisible(features * alpha) if alpha > 1 else features
        return assemble(
            request,
            partial(
                _body,
                rows=rows,
                alpha=alpha,
                minimalistic=minimalistic,
                preprocess=include_preprocessing,
            ),
            Release(files, "mobilenet_v3", _HASHES.get(variant, (None, None))),
            top=partial(_top, features=wide, dropout_rate=dropout_rate, swish=not minimalistic),
        )

    return describe(
        build,
        title,
        __name__,
        224,
        32,
        "Howard et al. 2019, arXiv:1905.02244",
        alpha="Multiplies the number of channels of each layer; 0.75 or 1 with ImageNet's weights,"
        " 1 if minimalistic.",
        minimalistic="Whether to use ReLU and small kernels only, and no squeeze-and-excitation.",
        dropout_rate="The share of values that the top drops in training.",
        include_preprocessing="Whether the model maps values from [0, 255] to [-1, 1] itself.",
    )


MobileNetV3Small = _variant("MobileNetV3Small", "small", _SMALL, 1024)
MobileNetV3Large = _variant("MobileNetV3Large", "large", _LARGE, 1280)
preprocess_input = preprocessor(None)
