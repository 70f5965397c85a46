"""EfficientNets: one network, B0, made wider and deeper together, for larger and larger images.

Its blocks are those of `mobilenet_v2` with squeeze-and-excitation (see `mobilenet_v3`). The further
on a block is, the more often training skips it. Images are prepared by the network itself.
What `efficientnet_v2` shares with this family stands first.
Source: Tan & Le 2019, arXiv:1905.11946.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from ..config import image_data_format
from ..graph.keras_tensor import KerasTensor
from ..initializers import VarianceScaling
from ..layers import (
    Activation,
    Add,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    GlobalAveragePooling2D,
    Layer,
    Multiply,
    Normalization,
    Rescaling,
    Reshape,
    ZeroPadding2D,
)
from ._builder import (
    Body,
    Release,
    Request,
    application,
    chain,
    channel_axis,
    channels_of,
    divisible,
    norm,
)
from .imagenet_utils import correct_pad, decode_predictions, image_shape, preprocessor

__all__ = [
    "EfficientNetB0",
    "EfficientNetB1",
    "EfficientNetB2",
    "EfficientNetB3",
    "EfficientNetB4",
    "EfficientNetB5",
    "EfficientNetB6",
    "EfficientNetB7",
    "decode_predictions",
    "preprocess_input",
]

# Both families -----------------------------------------------------------------------------------


class Row(NamedTuple):
    """A row of equal blocks, but that only the first one has the stride."""

    kernel: int
    repeats: int
    filters: int
    expansion: int  # how much wider a block is inside
    stride: int
    fused: bool = False  # see `efficientnet_v2`


def kernel_initializer() -> VarianceScaling:
    """Make the initializer of all convolutions."""
    return VarianceScaling(2.0, mode="fan_out", distribution="truncated_normal")


def convolve(
    filters: int,
    size: int,
    prefix: str,
    activate: bool = True,
    momentum: float = 0.99,
    **options: Any,
) -> list[Layer]:
    """Make a convolution, its normalization and, if wanted, the activation.

    Args:
        filters: Channels of the result.
        size: Of the kernel.
        prefix: What the names begin with.
        activate: Whether the activation follows.
        momentum: Of the normalization.
        options: Of the convolution.
    """
    options = {"padding": "same", **options}
    init = kernel_initializer()
    name = f"{prefix}conv"
    conv = Conv2D(filters, size, use_bias=False, kernel_initializer=init, name=name, **options)
    layers = [conv, norm(f"{prefix}bn", momentum=momentum)]
    return [*layers, Activation("swish", name=f"{prefix}activation")] if activate else layers


def convolve_depthwise(
    size: int, prefix: str, name: str, momentum: float = 0.99, **options: Any
) -> list[Layer]:
    """Make a depthwise convolution with normalization and activation; see `convolve`."""
    init = kernel_initializer()
    name = f"{prefix}{name}"
    return [
        DepthwiseConv2D(size, use_bias=False, depthwise_initializer=init, name=name, **options),
        norm(f"{prefix}bn", momentum=momentum),
        Activation("swish", name=f"{prefix}activation"),
    ]


def excite(x: KerasTensor, reduced: int, prefix: str) -> KerasTensor:
    """Multiply each feature map by a number computed from the means of all.

    Args:
        x: The feature maps.
        reduced: How many numbers the means are reduced to in between.
        prefix: What the names begin with.
    """
    channels = channels_of(x)
    dense = partial(Conv2D, kernel_size=1, padding="same")
    weight = chain(
        x,
        GlobalAveragePooling2D(name=f"{prefix}se_squeeze"),
        Reshape(image_shape(1, 1, channels, image_data_format()), name=f"{prefix}se_reshape"),
        dense(
            reduced,
            activation="swish",
            kernel_initializer=kernel_initializer(),
            name=f"{prefix}se_reduce",
        ),
        dense(
            channels,
            activation="sigmoid",
            kernel_initializer=kernel_initializer(),
            name=f"{prefix}se_expand",
        ),
    )
    return Multiply(name=f"{prefix}se_excite")([x, weight])


def skip(x: KerasTensor, inputs: KerasTensor, rate: float, prefix: str) -> KerasTensor:
    """Add what a block was given to its result, which training drops for a share of the images."""
    if rate > 0:
        x = Dropout(rate, noise_shape=(None, 1, 1, 1), name=f"{prefix}drop")(x)
    return Add(name=f"{prefix}add")([x, inputs])


def stack(
    x: KerasTensor,
    rows: Sequence[Row],
    depth: float,
    total: int,
    block: Callable[[KerasTensor, Row, float, str], KerasTensor],
) -> KerasTensor:
    """Apply all blocks.

    Args:
        x: What the first one is given.
        rows: The rows of blocks.
        depth: What to multiply their numbers of blocks by.
        total: The number of blocks at which a block would be dropped for a fifth of the images.
        block: Applies one: to a tensor, with its row, share of images and prefix of names.
    """
    number = 0
    for i, row in enumerate(rows, 1):
        for j in range(math.ceil(depth * row.repeats)):
            x = block(x, row, 0.2 * number / total, f"block{i}{chr(ord('a') + j)}_")
            row = row._replace(stride=1)
            number += 1
    return x


def top(request: Request, dropout: float, **options: Any) -> Iterable[Layer]:
    """Give the classifier.

    Args:
        request: What was asked for.
        dropout: The share of values that it drops in training.
        options: Of its dense layer.
    """
    yield GlobalAveragePooling2D(name="avg_pool")
    yield Dropout(dropout, name="top_dropout")
    yield Dense(
        request.classes,
        activation=request.classifier_activation,
        kernel_initializer=VarianceScaling(1.0 / 3.0, mode="fan_out", distribution="uniform"),
        name="predictions",
        **options,
    )


# This family -------------------------------------------------------------------------------------

_ROWS = [
    Row(3, 1, 16, 1, 1),
    Row(3, 2, 24, 6, 2),
    Row(5, 2, 40, 6, 2),
    Row(3, 3, 80, 6, 2),
    Row(5, 3, 112, 6, 1),
    Row(5, 4, 192, 6, 2),
    Row(3, 1, 320, 6, 1),
]
_DEVIATIONS = (0.229, 0.224, 0.225)


def _block(x: KerasTensor, row: Row, rate: float, prefix: str) -> KerasTensor:
    inputs, channels = x, channels_of(x)
    if row.expansion != 1:
        x = chain(x, *convolve(channels * row.expansion, 1, f"{prefix}expand_"))
    padding = "same"
    if row.stride == 2:
        x = ZeroPadding2D(correct_pad(x, row.kernel), name=f"{prefix}dwconv_pad")(x)
        padding = "valid"
    x = chain(
        x,
        *convolve_depthwise(row.kernel, prefix, "dwconv", strides=row.stride, padding=padding),
    )
    x = excite(x, max(1, channels // 4), prefix)
    x = chain(x, *convolve(row.filters, 1, f"{prefix}project_", activate=False))
    same = row.stride == 1 and channels == row.filters
    return skip(x, inputs, rate, prefix) if same else x


def _efficientnet(width: float, depth: float, trained: bool = False) -> Body:
    """Make the body of a network.

    Args:
        width: What to multiply numbers of channels by.
        depth: What to multiply numbers of blocks by.
        trained: Whether it is to have ImageNet's weights.
    """

    def body(x: KerasTensor) -> KerasTensor:
        x = Rescaling(1.0 / 255.0)(x)
        x = Normalization(axis=channel_axis())(x)
        if trained:  # the files hold deviations as variances: the layer divides by their roots
            x = Rescaling([1.0 / math.sqrt(deviation) for deviation in _DEVIATIONS])(x)
        x = ZeroPadding2D(correct_pad(x, 3), name="stem_conv_pad")(x)
        x = chain(x, *convolve(divisible(32 * width), 3, "stem_", strides=2, padding="valid"))
        rows = [row._replace(filters=divisible(row.filters * width)) for row in _ROWS]
        total = sum(math.ceil(depth * row.repeats) for row in rows)
        x = stack(x, rows, depth, total, _block)
        return chain(x, *convolve(divisible(1280 * width), 1, "top_"))

    return body


# Name -> width, depth, size of the images, dropout of the top; hashes.
_NETWORKS = {
    "EfficientNetB0": (
        (1.0, 1.0, 224, 0.2),
        ("902e53a9f72be733fc0bcb005b3ebbac", "50bc09e76180e00e4465e1a485ddc09d"),
    ),
    "EfficientNetB1": (
        (1.0, 1.1, 240, 0.2),
        ("1d254153d4ab51201f1646940f018540", "74c4e6b3e1f6a1eea24c589628592432"),
    ),
    "EfficientNetB2": (
        (1.1, 1.2, 260, 0.3),
        ("b15cce36ff4dcbd00b6dd88e7857a6ad", "111f8e2ac8aa800a7a99e3239f7bfb39"),
    ),
    "EfficientNetB3": (
        (1.2, 1.4, 300, 0.3),
        ("ffd1fdc53d0ce67064dc6a9c7960ede0", "af6d107764bb5b1abb91932881670226"),
    ),
    "EfficientNetB4": (
        (1.4, 1.8, 380, 0.4),
        ("18c95ad55216b8f92d7e70b3a046e2fc", "ebc24e6d6c33eaebbd558eafbeedf1ba"),
    ),
    "EfficientNetB5": (
        (1.6, 2.2, 456, 0.4),
        ("ace28f2a6363774853a83a0b21b9421a", "38879255a25d3c92d5e44e04ae6cec6f"),
    ),
    "EfficientNetB6": (
        (1.8, 2.6, 528, 0.5),
        ("165f6e37dce68623721b423839de8be5", "9ecce42647a20130c1f39a5d4cb75743"),
    ),
    "EfficientNetB7": (
        (2.0, 3.1, 600, 0.5),
        ("8c03f828fec3ef71311cd463b6759d99", "cbcfe4450ddf6f3ad90b1b398090fe4a"),
    ),
}
(
    EfficientNetB0,
    EfficientNetB1,
    EfficientNetB2,
    EfficientNetB3,
    EfficientNetB4,
    EfficientNetB5,
    EfficientNetB6,
    EfficientNetB7,
) = (
    application(
        title,
        __name__,
        _efficientnet(width, depth),
        Release(
            (f"{title.lower()}.h5", f"{title.lower()}_notop.h5"),
            "https://storage.googleapis.com/keras-applications",
            hashes,
        ),
        trained=_efficientnet(width, depth, trained=True),
        size=size,
        source="Tan & Le 2019, arXiv:1905.11946",
        top=partial(top, dropout=dropout),
    )
    for title, ((width, depth, size, dropout), hashes) in _NETWORKS.items()
)
preprocess_input = preprocessor(None)
