"""Xception: separable convolutions in blocks with shortcuts.

A block that halves the image has a convolution in its shortcut; the eight in the middle add what
they compute to what they get.
Source: Chollet 2017, arXiv:1610.02357.
"""

from __future__ import annotations

from functools import partial

from ..graph.keras_tensor import KerasTensor
from ..layers import Activation, Add, Conv2D, Layer, MaxPooling2D, SeparableConv2D
from ._builder import application, chain, kernels, norm, pooled
from .imagenet_utils import decode_predictions, preprocessor

__all__ = ["Xception", "decode_predictions", "preprocess_input"]

# Block -> channels after its two convolutions.
_HALVING = {2: (128, 128), 3: (256, 256), 4: (728, 728), 13: (728, 1024)}
_norm = partial(norm, last=-1)


def _relu(name: str) -> Layer:
    return Activation("relu", name=f"{name}_act")


def _separable(filters: int, name: str) -> list[Layer]:
    return [
        SeparableConv2D(filters, 3, padding="same", use_bias=False, name=name),
        _norm(f"{name}_bn"),
    ]


def _halve(x: KerasTensor, block: int) -> KerasTensor:
    first, second = _HALVING[block]
    one, two = f"block{block}_sepconv1", f"block{block}_sepconv2"
    shortcut = Conv2D(second, 1, strides=2, padding="same", use_bias=False)(x)
    shortcut = _norm()(shortcut)
    if block > 2:  # the second block gets what has been through the activation
        x = _relu(one)(x)
    x = chain(
        x,
        *_separable(first, one),
        _relu(two),
        *_separable(second, two),
        MaxPooling2D(3, strides=2, padding="same", name=f"block{block}_pool"),
    )
    return Add()([x, shortcut])


def _middle(x: KerasTensor, block: int) -> KerasTensor:
    names = [f"block{block}_sepconv{i}" for i in (1, 2, 3)]
    layers = [layer for name in names for layer in (_relu(name), *_separable(728, name))]
    return Add()([chain(x, *layers), x])


def _body(x: KerasTensor) -> KerasTensor:
    for i, filters in enumerate((32, 64), 1):
        name = f"block1_conv{i}"
        conv = Conv2D(filters, 3, strides=2 if i == 1 else 1, use_bias=False, name=name)
        x = chain(x, conv, _norm(f"{name}_bn"), _relu(name))
    for block in range(2, 14):
        x = _halve(x, block) if block in _HALVING else _middle(x, block)
    for i, filters in enumerate((1536, 2048), 1):
        name = f"block14_sepconv{i}"
        x = chain(x, *_separable(filters, name), _relu(name))
    return x


Xception = application(
    "Xception",
    __name__,
    _body,
    kernels(
        "xception",
        "xception",
        "0a58e3b7378bc2990ea3b43d5981f1f6",
        "b0042744bf5b25fce3cb969f33bebb97",
    ),
    size=299,
    min_size=71,
    source="Chollet 2017, arXiv:1610.02357",
    tail=partial(pooled, names=False),
)
preprocess_input = preprocessor("tf")
