"""VGG16: five blocks of 3 x 3 convolutions, each ended by a pooling, and three dense layers.

`vgg` makes the body of this network and of its sibling in `vgg19`.
Source: Simonyan & Zisserman 2015, arXiv:1409.1556.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from ..graph.keras_tensor import KerasTensor
from ..layers import Conv2D, Dense, Flatten, Layer, MaxPooling2D
from ._builder import Body, Request, application, kernels, pooled
from .imagenet_utils import decode_predictions, preprocessor

__all__ = ["VGG16", "decode_predictions", "preprocess_input"]

SOURCE = "Simonyan & Zisserman 2015, arXiv:1409.1556"


def vgg(*depths: int) -> Body:
    """Make the body of a network.

    Args:
        depths: How many convolutions each block has.
    """

    def body(x: KerasTensor) -> KerasTensor:
        for block, depth in enumerate(depths, 1):
            filters = min(32 << block, 512)
            for i in range(1, depth + 1):
                name = f"block{block}_conv{i}"
                x = Conv2D(filters, 3, padding="same", activation="relu", name=name)(x)
            x = MaxPooling2D(2, strides=2, name=f"block{block}_pool")(x)
        return x

    return body


def vgg_top(request: Request) -> Iterable[Layer]:
    """Give the classifier."""
    yield Flatten(name="flatten")
    for name in ("fc1", "fc2"):
        yield Dense(4096, activation="relu", name=name)
    yield Dense(request.classes, activation=request.classifier_activation, name="predictions")


VGG16 = application(
    "VGG16",
    __name__,
    vgg(2, 2, 3, 3, 3),
    kernels(
        "vgg16", "vgg16", "64373286793e3c8b2b4e3219cbf3544b", "6d6bbae143d832006294945121d1f1fc"
    ),
    source=SOURCE,
    top=vgg_top,
    tail=partial(pooled, names=False),
)
preprocess_input = preprocessor("caffe")
