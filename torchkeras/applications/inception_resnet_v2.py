"""InceptionResNetV2: Inception's branches, added to what they start from.

A convolution here has a normalization without scale and an activation after it. Written as
`(filters, size)`, size a number or height and width; one with stride 2 does not pad.
Source: Szegedy et al. 2017, arXiv:1602.07261.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor

from ..graph.keras_tensor import KerasTensor
from ..layers import Activation, AveragePooling2D, Concatenate, Conv2D, Layer, MaxPooling2D
from ..registry import builtin
from ._builder import application, chain, channel_axis, channels_of, kernels, norm, pooled
from .imagenet_utils import decode_predictions, preprocessor

__all__ = ["InceptionResNetV2", "decode_predictions", "preprocess_input"]

Conv = tuple[int, "int | tuple[int, int]"]

# Kind of block -> its branches.
_BLOCKS: dict[str, list[list[Conv]]] = {
    "block35": [[(32, 1)], [(32, 1), (32, 3)], [(32, 1), (48, 3), (64, 3)]],
    "block17": [[(192, 1)], [(128, 1), (160, (1, 7)), (192, (7, 1))]],
    "block8": [[(192, 1)], [(192, 1), (224, (1, 3)), (256, (3, 1))]],
}


@builtin("keras.src.applications.inception_resnet_v2.CustomScaleLayer")
class CustomScaleLayer(Layer):
    """Add to the first of two tensors a multiple of the second.

    Args:
        scale: What to multiply by.

    Shapes:
        inputs: two of one shape, which is the result's.

    Example:
        >>> import torch
        >>> CustomScaleLayer(0.5)([torch.ones(2), torch.ones(2)]).tolist()
        [1.5, 1.5]
    """

    def __init__(self, scale: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, inputs: list[Tensor]) -> Tensor:
        """Compute the sum."""
        return inputs[0] + inputs[1] * self.scale


def _conv(
    x: KerasTensor, filters: int, size: Any, name: str | None = None, **options: Any
) -> KerasTensor:
    options = {"padding": "same", **options}
    return chain(
        x,
        Conv2D(filters, size, use_bias=False, name=name, **options),
        norm(name and f"{name}_bn", scale=False),
        Activation("relu", name=name and f"{name}_ac"),
    )


def _branch(x: KerasTensor, *convs: Conv, halve: bool = False) -> KerasTensor:
    """Apply convolutions, the last one with stride 2 if the branch is to halve the image."""
    for i, conv in enumerate(convs, 1):
        last = halve and i == len(convs)
        x = _conv(x, *conv, **({"strides": 2, "padding": "valid"} if last else {}))
    return x


def _join(branches: list[KerasTensor], name: str) -> KerasTensor:
    return Concatenate(axis=channel_axis(), name=name)(branches)


def _reduce(x: KerasTensor, branches: list[list[Conv]], name: str) -> KerasTensor:
    made = [_branch(x, *convs, halve=True) for convs in branches]
    return _join([*made, MaxPooling2D(3, strides=2)(x)], name)


def _block(x: KerasTensor, kind: str, number: int, scale: float, relu: bool = True) -> KerasTensor:
    name = f"{kind}_{number}"
    mixed = _join([_branch(x, *convs) for convs in _BLOCKS[kind]], f"{name}_mixed")
    up = Conv2D(channels_of(x), 1, padding="same", name=f"{name}_conv")(mixed)
    x = CustomScaleLayer(scale)([x, up])
    return Activation("relu", name=f"{name}_ac")(x) if relu else x


def _body(x: KerasTensor) -> KerasTensor:
    x = _conv(x, 32, 3, strides=2, padding="valid")
    x = _conv(x, 32, 3, padding="valid")
    x = MaxPooling2D(3, strides=2)(_conv(x, 64, 3))
    x = _conv(x, 80, 1, padding="valid")
    x = MaxPooling2D(3, strides=2)(_conv(x, 192, 3, padding="valid"))

    branches = [_branch(x, (96, 1)), _branch(x, (48, 1), (64, 5))]
    branches += [_branch(x, (64, 1), (96, 3), (96, 3))]
    branches += [_branch(AveragePooling2D(3, strides=1, padding="same")(x), (64, 1))]
    x = _join(branches, "mixed_5b")
    for i in range(1, 11):
        x = _block(x, "block35", i, 0.17)
    x = _reduce(x, [[(384, 3)], [(256, 1), (256, 3), (384, 3)]], "mixed_6a")
    for i in range(1, 21):
        x = _block(x, "block17", i, 0.1)
    thirds = [[(256, 1), (384, 3)], [(256, 1), (288, 3)], [(256, 1), (288, 3), (320, 3)]]
    x = _reduce(x, thirds, "mixed_7a")
    for i in range(1, 10):
        x = _block(x, "block8", i, 0.2)
    x = _block(x, "block8", 10, 1.0, relu=False)
    return _conv(x, 1536, 1, name="conv_7b")


InceptionResNetV2 = application(
    "InceptionResNetV2",
    __name__,
    _body,
    kernels(
        "inception_resnet_v2",
        "inception_resnet_v2",
        "e693bd0210a403b3192acc6073ad2e96",
        "d19885ff4a710c122648d3b5c3b684e4",
    ),
    name="inception_resnet_v2",
    size=299,
    min_size=75,
    source="Szegedy et al. 2017, arXiv:1602.07261",
    tail=partial(pooled, names=False),
)
preprocess_input = preprocessor("tf")
