"""InceptionV3: branches of convolutions of several shapes, side by side.

A convolution here has a normalization without scale and an activation after it. Written as
`(filters, height, width)`; one with stride 2 does not pad.
Source: Szegedy et al. 2016, arXiv:1512.00567.
"""

from __future__ import annotations

from functools import partial

from ..graph.keras_tensor import KerasTensor
from ..layers import Activation, AveragePooling2D, Concatenate, Conv2D, MaxPooling2D
from ._builder import application, chain, channel_axis, kernels, norm, pooled
from .imagenet_utils import decode_predictions, preprocessor

__all__ = ["InceptionV3", "decode_predictions", "preprocess_input"]

Conv = tuple[int, int, int]


def _conv(
    x: KerasTensor, filters: int, height: int, width: int, strides: int = 1, padding: str = "same"
) -> KerasTensor:
    return chain(
        x,
        Conv2D(filters, (height, width), strides=strides, padding=padding, use_bias=False),
        norm(scale=False),
        Activation("relu"),
    )


def _branch(x: KerasTensor, *convs: Conv, halve: bool = False) -> KerasTensor:
    """Apply convolutions, the last one with stride 2 if the branch is to halve the image."""
    for i, conv in enumerate(convs, 1):
        last = halve and i == len(convs)
        x = _conv(x, *conv, **({"strides": 2, "padding": "valid"} if last else {}))
    return x


def _mean(x: KerasTensor, filters: int) -> KerasTensor:
    """The branch that every block of stride 1 ends with."""
    return _branch(AveragePooling2D(3, strides=1, padding="same")(x), (filters, 1, 1))


def _join(branches: list[KerasTensor], name: str | None = None) -> KerasTensor:
    return Concatenate(axis=channel_axis(), name=name)(branches)


def _mixed(x: KerasTensor, branches: list[list[Conv]], mean: int, name: str) -> KerasTensor:
    return _join([*(_branch(x, *convs) for convs in branches), _mean(x, mean)], name)


def _reduce(x: KerasTensor, branches: list[list[Conv]], name: str) -> KerasTensor:
    made = [_branch(x, *convs, halve=True) for convs in branches]
    return _join([*made, MaxPooling2D(3, strides=2)(x)], name)


def _fork(x: KerasTensor, name: str | None = None) -> KerasTensor:
    return _join([_branch(x, (384, 1, 3)), _branch(x, (384, 3, 1))], name)


def _body(x: KerasTensor) -> KerasTensor:
    x = _conv(x, 32, 3, 3, strides=2, padding="valid")
    x = _conv(x, 32, 3, 3, padding="valid")
    x = MaxPooling2D(3, strides=2)(_conv(x, 64, 3, 3))
    x = _conv(x, 80, 1, 1, padding="valid")
    x = MaxPooling2D(3, strides=2)(_conv(x, 192, 3, 3, padding="valid"))
    double = [(64, 1, 1), (96, 3, 3), (96, 3, 3)]
    for i, mean in enumerate((32, 64, 64)):
        x = _mixed(x, [[(64, 1, 1)], [(48, 1, 1), (64, 5, 5)], double], mean, f"mixed{i}")
    x = _reduce(x, [[(384, 3, 3)], double], "mixed3")
    for i, n in enumerate((128, 160, 160, 192), 4):
        single = [(n, 1, 1), (n, 1, 7), (192, 7, 1)]
        double = [(n, 1, 1), (n, 7, 1), (n, 1, 7), (n, 7, 1), (192, 1, 7)]
        x = _mixed(x, [[(192, 1, 1)], single, double], 192, f"mixed{i}")
    seven = [(192, 1, 1), (192, 1, 7), (192, 7, 1), (192, 3, 3)]
    x = _reduce(x, [[(192, 1, 1), (320, 3, 3)], seven], "mixed8")
    for i in range(2):
        branches = [_branch(x, (320, 1, 1))]
        branches += [_fork(_branch(x, (384, 1, 1)), f"mixed9_{i}")]
        branches += [_fork(_branch(x, (448, 1, 1), (384, 3, 3)))]
        x = _join([*branches, _mean(x, 192)], f"mixed{9 + i}")
    return x


InceptionV3 = application(
    "InceptionV3",
    __name__,
    _body,
    kernels(
        "inception_v3",
        "inception_v3",
        "9a0d58056eeedaa3f26cb7ebd46da564",
        "bcbd6486424b2319ff4ef7d526e38f63",
    ),
    name="inception_v3",
    size=299,
    min_size=75,
    source="Szegedy et al. 2016, arXiv:1512.00567",
    tail=partial(pooled, names=False),
)
preprocess_input = preprocessor("tf")
