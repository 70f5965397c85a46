"""ResNets of the second kind: normalization and activation come before each convolution.

As in `resnet`, but the first bottleneck of a stage has the convolution in its shortcut and the last
one halves the image, except in the last stage.
Source: He et al. 2016, arXiv:1603.05027.
"""

from __future__ import annotations

from ..graph.keras_tensor import KerasTensor
from ..layers import Activation, Add, Conv2D, Layer, MaxPooling2D, ZeroPadding2D
from ._builder import Body, application, chain, kernels, norm
from .imagenet_utils import decode_predictions, preprocessor
from .resnet import EPSILON, conv_norm

__all__ = ["ResNet50V2", "ResNet101V2", "ResNet152V2", "decode_predictions", "preprocess_input"]


def _norm_relu(name: str) -> list[Layer]:
    return [norm(f"{name}_bn", epsilon=EPSILON), Activation("relu", name=f"{name}_relu")]


def _bottleneck(x: KerasTensor, filters: int, stride: int, first: bool, name: str) -> KerasTensor:
    active = chain(x, *_norm_relu(f"{name}_preact"))
    shortcut = x
    if first:
        shortcut = Conv2D(4 * filters, 1, strides=stride, name=f"{name}_0_conv")(active)
    elif stride > 1:
        shortcut = MaxPooling2D(1, strides=stride)(x)
    x = chain(
        active,
        *conv_norm(filters, 1, f"{name}_1", use_bias=False),
        ZeroPadding2D(1, name=f"{name}_2_pad"),
        *conv_norm(filters, 3, f"{name}_2", strides=stride, use_bias=False),
        Conv2D(4 * filters, 1, name=f"{name}_3_conv"),
    )
    return Add(name=f"{name}_out")([shortcut, x])


def _resnet(*depths: int) -> Body:
    """Make the body of a network of so many bottlenecks in each stage."""

    def body(x: KerasTensor) -> KerasTensor:
        x = chain(
            x,
            ZeroPadding2D(3, name="conv1_pad"),
            Conv2D(64, 7, strides=2, name="conv1_conv"),
            ZeroPadding2D(1, name="pool1_pad"),
            MaxPooling2D(3, strides=2, name="pool1_pool"),
        )
        for stage, depth in enumerate(depths):
            for block in range(depth):
                halves = block == depth - 1 and stage < len(depths) - 1
                name = f"conv{stage + 2}_block{block + 1}"
                x = _bottleneck(x, 64 << stage, 2 if halves else 1, block == 0, name)
        return chain(x, *_norm_relu("post"))

    return body


# Name -> bottlenecks of the stages, hashes.
_NETWORKS = {
    "ResNet50V2": (
        (3, 4, 6, 3),
        ("3ef43a0b657b3be2300d5770ece849e0", "fac2f116257151a9d068a22e544a4917"),
    ),
    "ResNet101V2": (
        (3, 4, 23, 3),
        ("6343647c601c52e1368623803854d971", "c0ed64b8031c3730f411d2eb4eea35b5"),
    ),
    "ResNet152V2": (
        (3, 8, 36, 3),
        ("a49b44d1979771252814e80f8ec446f9", "ed17cf2e0169df9d443503ef94b23b33"),
    ),
}
ResNet50V2, ResNet101V2, ResNet152V2 = (
    application(
        title,
        __name__,
        _resnet(*depths),
        kernels(title.lower(), "resnet", *hashes),
        source="He et al. 2016, arXiv:1603.05027",
    )
    for title, (depths, hashes) in _NETWORKS.items()
)
preprocess_input = preprocessor("tf")
