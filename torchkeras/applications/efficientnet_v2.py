"""EfficientNetV2: EfficientNets whose first blocks are fused, and which train faster.

A fused block has one convolution in place of a pointwise and a depthwise one. Sizes B0 to B3 are
one network made wider and deeper, S, M and L have tables of their own. What is shared with
`efficientnet` is defined there.
Source: Tan & Le 2021, arXiv:2104.00298.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from ..graph.keras_tensor import KerasTensor
from ..initializers import Constant
from ..layers import Normalization, Rescaling
from ..models import Functional
from ._builder import (
    Body,
    Release,
    Request,
    assemble,
    chain,
    channel_axis,
    channels_of,
    describe,
)
from .efficientnet import Row, convolve, convolve_depthwise, excite, skip, stack, top
from .imagenet_utils import Shape, decode_predictions, preprocessor

__all__ = [
    "EfficientNetV2B0",
    "EfficientNetV2B1",
    "EfficientNetV2B2",
    "EfficientNetV2B3",
    "EfficientNetV2L",
    "EfficientNetV2M",
    "EfficientNetV2S",
    "decode_predictions",
    "preprocess_input",
]

# Kind of network -> its rows of blocks, the channels of its stem.
_ROWS = {
    "b": (
        [
            Row(3, 1, 16, 1, 1, fused=True),
            Row(3, 2, 32, 4, 2, fused=True),
            Row(3, 2, 48, 4, 2, fused=True),
            Row(3, 3, 96, 4, 2),
            Row(3, 5, 112, 6, 1),
            Row(3, 8, 192, 6, 2),
        ],
        32,
    ),
    "s": (
        [
            Row(3, 2, 24, 1, 1, fused=True),
            Row(3, 4, 48, 4, 2, fused=True),
            Row(3, 4, 64, 4, 2, fused=True),
            Row(3, 6, 128, 4, 2),
            Row(3, 9, 160, 6, 1),
            Row(3, 15, 256, 6, 2),
        ],
        24,
    ),
    "m": (
        [
            Row(3, 3, 24, 1, 1, fused=True),
            Row(3, 5, 48, 4, 2, fused=True),
            Row(3, 5, 80, 4, 2, fused=True),
            Row(3, 7, 160, 4, 2),
            Row(3, 14, 176, 6, 1),
            Row(3, 18, 304, 6, 2),
            Row(3, 5, 512, 6, 1),
        ],
        24,
    ),
    "l": (
        [
            Row(3, 4, 32, 1, 1, fused=True),
            Row(3, 7, 64, 4, 2, fused=True),
            Row(3, 7, 96, 4, 2, fused=True),
            Row(3, 10, 192, 4, 2),
            Row(3, 19, 224, 6, 1),
            Row(3, 25, 384, 6, 2),
            Row(3, 7, 640, 6, 1),
        ],
        32,
    ),
}
_convolve = partial(convolve, momentum=0.9)


def _block(x: KerasTensor, row: Row, rate: float, prefix: str) -> KerasTensor:
    inputs, channels = x, channels_of(x)
    wide = channels * row.expansion
    if row.fused:
        # without an expansion, the one convolution is the projection
        size = {"size": row.kernel, "strides": row.stride}
        if row.expansion != 1:
            x = chain(x, *_convolve(wide, prefix=f"{prefix}expand_", **size))
            size = {"size": 1}
        last = row.expansion == 1
        project = _convolve(row.filters, prefix=f"{prefix}project_", activate=last, **size)
        x = chain(x, *project)
    else:
        x = chain(
            x,
            *_convolve(wide, 1, f"{prefix}expand_"),
            *convolve_depthwise(
                row.kernel, prefix, "dwconv2", momentum=0.9, strides=row.stride, padding="same"
            ),
        )
        x = excite(x, max(1, channels // 4), prefix)
        x = chain(x, *_convolve(row.filters, 1, f"{prefix}project_", activate=False))
    same = row.stride == 1 and channels == row.filters
    return skip(x, inputs, rate, prefix) if same else x


def _preprocess(x: KerasTensor, kind: str) -> KerasTensor:
    if kind != "b" or channels_of(x) != 3:
        return Rescaling(1.0 / 128.0, offset=-1)(x)
    x = Rescaling(1.0 / 255)(x)
    variances = [deviation**2 for deviation in (0.229, 0.224, 0.225)]
    return Normalization(channel_axis(), mean=[0.485, 0.456, 0.406], variance=variances)(x)


def _efficientnet(kind: str, width: float, depth: float, preprocess: bool) -> Body:
    """Make the body of a network; see `efficientnet`."""
    rows, stem = _ROWS[kind]

    def scaled(filters: int) -> int:
        return max(8, int(filters * width + 4) // 8 * 8)

    def body(x: KerasTensor) -> KerasTensor:
        if preprocess:
            x = _preprocess(x, kind)
        x = chain(x, *_convolve(scaled(stem), 3, "stem_", strides=2))
        scaled_rows = [row._replace(filters=scaled(row.filters)) for row in rows]
        x = stack(x, scaled_rows, depth, sum(row.repeats for row in rows), _block)
        return chain(x, *_convolve(scaled(1280), 1, "top_"))

    return body


def _variant(
    title: str, width: float, depth: float, size: int, hashes: tuple[str, str]
) -> Callable[..., Functional]:
    default = title.lower().replace("v2", "v2-")
    kind = default.partition("-")[2][0]
    release = Release((f"{default}.h5", f"{default}_notop.h5"), "efficientnet_v2", hashes)

    def build(
        include_top: bool = True,
        weights: str | os.PathLike[str] | None = "imagenet",
        input_tensor: KerasTensor | None = None,
        input_shape: Shape | None = None,
        pooling: str | None = None,
        classes: int = 1000,
        classifier_activation: Any = "softmax",
        include_preprocessing: bool = True,
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
        return assemble(
            request.sized(size, 32),
            _efficientnet(kind, width, depth, include_preprocessing),
            release,
            top=partial(top, dropout=0.2, bias_initializer=Constant(0.0)),
        )

    return describe(
        build,
        title,
        __name__,
        size,
        32,
        "Tan & Le 2021, arXiv:2104.00298",
        include_preprocessing="Whether the model takes values in [0, 255] and maps them to those"
        " it was trained on itself.",
    )


# Name -> width, depth, size of the images; hashes.
_NETWORKS = {
    "EfficientNetV2B0": (
        (1.0, 1.0, 224),
        ("21ecbf6da12460d5c40bb2f29ceb2188", "893217f2bb855e2983157299931e43ff"),
    ),
    "EfficientNetV2B1": (
        (1.0, 1.1, 240),
        ("069f0534ff22adf035c89e2d9547a9dc", "0e80663031ca32d657f9caa404b6ec37"),
    ),
    "EfficientNetV2B2": (
        (1.1, 1.2, 260),
        ("424e49f28180edbde1e94797771950a7", "1dfe2e7a5d45b6632553a8961ea609eb"),
    ),
    "EfficientNetV2B3": (
        (1.2, 1.4, 300),
        ("1f1fc43bd98a6e4fd8fdfd551e02c7a0", "f6abf7b5849ac99a89b50dd3fd532856"),
    ),
    "EfficientNetV2S": (
        (1.0, 1.0, 384),
        ("e1d88a8495beba45748fedd0cecbe016", "af0682fb74e8c54910f2d4393339c070"),
    ),
    "EfficientNetV2M": (
        (1.0, 1.0, 480),
        ("a3bf6aa3276309f4fc6a34aa114c95cd", "1b8dc055df72dde80d614482840fe342"),
    ),
    "EfficientNetV2L": (
        (1.0, 1.0, 480),
        ("27e6d408b53c7ebc868fefa357689935", "b0b66b5c863aef5b46e8608fe1711615"),
    ),
}
(
    EfficientNetV2B0,
    EfficientNetV2B1,
    EfficientNetV2B2,
    EfficientNetV2B3,
    EfficientNetV2S,
    EfficientNetV2M,
    EfficientNetV2L,
) = (_variant(title, *scale, hashes) for title, (scale, hashes) in _NETWORKS.items())
preprocess_input = preprocessor(None)
