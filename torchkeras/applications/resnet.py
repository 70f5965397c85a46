"""ResNets: bottlenecks of three convolutions with a shortcut around each.

A stage is a row of bottlenecks, each with four times as many channels at its end as inside; the
first of a stage has a convolution in its shortcut, and but for the first stage halves the image.
Source: He et al. 2016, arXiv:1512.03385.
"""

from __future__ import annotations

from typing import Any

from ..graph.keras_tensor import KerasTensor
from ..layers import Activation, Add, Conv2D, Layer, MaxPooling2D, ZeroPadding2D
from ._builder import Body, application, chain, kernels, norm
from .imagenet_utils import decode_predictions, preprocessor

__all__ = ["ResNet50", "ResNet101", "ResNet152", "decode_predictions", "preprocess_input"]

EPSILON = 1.001e-5


def conv_norm(filters: int, size: int, name: str, relu: bool = True, **options: Any) -> list[Layer]:
    """Make a convolution, its normalization and, if wanted, the activation."""
    layers: list[Layer] = [
        Conv2D(filters, size, name=f"{name}_conv", **options),
        norm(f"{name}_bn", epsilon=EPSILON),
    ]
    return [*layers, Activation("relu", name=f"{name}_relu")] if relu else layers


def _bottleneck(x: KerasTensor, filters: int, stride: int, first: bool, name: str) -> KerasTensor:
    shortcut = x
    if first:
        shortcut = chain(x, *conv_norm(4 * filters, 1, f"{name}_0", relu=False, strides=stride))
    x = chain(
        x,
        *conv_norm(filters, 1, f"{name}_1", strides=stride),
        *conv_norm(filters, 3, f"{name}_2", padding="same"),
        *conv_norm(4 * filters, 1, f"{name}_3", relu=False),
    )
    return Activation("relu", name=f"{name}_out")(Add(name=f"{name}_add")([shortcut, x]))


def _resnet(*depths: int) -> Body:
    """Make the body of a network of so many bottlenecks in each stage."""

    def body(x: KerasTensor) -> KerasTensor:
        x = chain(
            x,
            ZeroPadding2D(3, name="conv1_pad"),
            *conv_norm(64, 7, "conv1", strides=2),
            ZeroPadding2D(1, name="pool1_pad"),
            MaxPooling2D(3, strides=2, name="pool1_pool"),
        )
        for stage, depth in enumerate(depths):
            for block in range(depth):
                first = block == 0
                stride = 2 if first and stage else 1
                name = f"conv{stage + 2}_block{block + 1}"
                x = _bottleneck(x, 64 << stage, stride, first, name)
        return x

    return body


# Name -> bottlenecks of the stages, hashes.
_NETWORKS = {
    "ResNet50": (
        (3, 4, 6, 3),
        ("2cb95161c43110f7111970584f804107", "4d473c1dd8becc155b73f8504c6f6626"),
    ),
    "ResNet101": (
        (3, 4, 23, 3),
        ("f1aeb4b969a6efcfb50fad2f0c20cfc5", "88cf7a10940856eca736dc7b7e228a21"),
    ),
    "ResNet152": (
        (3, 8, 36, 3),
        ("100835be76be38e30d865e96f2aaae62", "ee4c566cf9a93f14d82f913c2dc6dd0c"),
    ),
}
ResNet50, ResNet101, ResNet152 = (
    application(
        title,
        __name__,
        _resnet(*depths),
        kernels(title.lower(), "resnet", *hashes),
        source="He et al. 2016, arXiv:1512.03385",
    )
    for title, (depths, hashes) in _NETWORKS.items()
)
preprocess_input = preprocessor("caffe")
