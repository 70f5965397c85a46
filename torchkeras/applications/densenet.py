"""DenseNets: each block adds 32 feature maps to all that are there.

Between the four rows of blocks, a transition halves the number of maps, and the image.
Source: Huang et al. 2017, arXiv:1608.06993.
"""

from __future__ import annotations

from ..graph.keras_tensor import KerasTensor
from ..layers import (
    Activation,
    AveragePooling2D,
    Concatenate,
    Conv2D,
    Layer,
    MaxPooling2D,
    ZeroPadding2D,
)
from ._builder import (
    Body,
    application,
    chain,
    channel_axis,
    channels_of,
    kernels,
    norm,
    require_channels_last,
)
from .imagenet_utils import decode_predictions, preprocessor

__all__ = ["DenseNet121", "DenseNet169", "DenseNet201", "decode_predictions", "preprocess_input"]

_GROWTH = 32


def _norm_relu(norm_name: str, relu_name: str) -> list[Layer]:
    return [norm(norm_name, epsilon=1.001e-5), Activation("relu", name=relu_name)]


def _block(x: KerasTensor, name: str) -> KerasTensor:
    new = chain(
        x,
        *_norm_relu(f"{name}_0_bn", f"{name}_0_relu"),
        Conv2D(4 * _GROWTH, 1, use_bias=False, name=f"{name}_1_conv"),
        *_norm_relu(f"{name}_1_bn", f"{name}_1_relu"),
        Conv2D(_GROWTH, 3, padding="same", use_bias=False, name=f"{name}_2_conv"),
    )
    return Concatenate(axis=channel_axis(), name=f"{name}_concat")([x, new])


def _transition(x: KerasTensor, name: str) -> KerasTensor:
    return chain(
        x,
        *_norm_relu(f"{name}_bn", f"{name}_relu"),
        Conv2D(channels_of(x) // 2, 1, use_bias=False, name=f"{name}_conv"),
        AveragePooling2D(2, strides=2, name=f"{name}_pool"),
    )


def _densenet(*depths: int) -> Body:
    """Make the body of a network of so many blocks in each row."""

    def body(x: KerasTensor) -> KerasTensor:
        require_channels_last("DenseNet")
        x = chain(
            x,
            ZeroPadding2D(3),
            Conv2D(64, 7, strides=2, use_bias=False, name="conv1_conv"),
            *_norm_relu("conv1_bn", "conv1_relu"),
            ZeroPadding2D(1),
            MaxPooling2D(3, strides=2, name="pool1"),
        )
        for row, depth in enumerate(depths, 2):
            if row > 2:
                x = _transition(x, f"pool{row - 1}")
            for block in range(1, depth + 1):
                x = _block(x, f"conv{row}_block{block}")
        return chain(x, *_norm_relu("bn", "relu"))

    return body


# Name -> blocks of the rows, hashes.
_NETWORKS = {
    "DenseNet121": (
        (6, 12, 24, 16),
        ("9d60b8095a5708f2dcce2bca79d332c7", "30ee3e1110167f948a6b9946edeeb738"),
    ),
    "DenseNet169": (
        (6, 12, 32, 32),
        ("d699b8f76981ab1b30698df4c175e90b", "b8c4d4c20dd625c148057b9ff1c1176b"),
    ),
    "DenseNet201": (
        (6, 12, 48, 32),
        ("1ceb130c1ea1b78c3bf6114dbdfd8807", "c13680b51ded0fb44dff2d8f86ac8bb1"),
    ),
}
DenseNet121, DenseNet169, DenseNet201 = (
    application(
        title,
        __name__,
        _densenet(*depths),
        kernels(title.lower(), "densenet", *hashes),
        source="Huang et al. 2017, arXiv:1608.06993",
    )
    for title, (depths, hashes) in _NETWORKS.items()
)
preprocess_input = preprocessor("torch")
