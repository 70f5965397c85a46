"""NASNets: two kinds of cells that a search found, repeated.

A cell takes two sets of feature maps, what it is given (*given*) and what the cell before it was
given (*before*), which is first made to fit. It applies pairs of operations, adds those of a pair,
and puts the sums side by side. A *normal* cell keeps the size of the maps, a *reduction* halves it.
How a reduction pads depends on the size. Where it is unknown, it is taken for even, and so must be:
images of 65, 129, 257, … pixels fit, those of 331 need their `input_shape` told. Unlike in Keras,
NASNetLarge without its top takes images of its own size by default, as NASNetMobile does, and
networks for unknown sizes can be used; NASNetMobile can be had on torch.
Source: Zoph et al. 2018, arXiv:1707.07012.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from ..config import image_data_format
from ..graph.keras_tensor import KerasTensor
from ..layers import (
    Activation,
    Add,
    AveragePooling2D,
    Concatenate,
    Conv2D,
    Cropping2D,
    Layer,
    MaxPooling2D,
    SeparableConv2D,
    ZeroPadding2D,
)
from ..models import Functional
from ..naming import explain, name_scope
from ._builder import (
    Body,
    Release,
    Request,
    assemble,
    chain,
    dense_top,
    describe,
    norm,
    pooled,
    require_channels_last,
)
from .imagenet_utils import Shape, correct_pad, decode_predictions, image_shape, preprocessor

__all__ = ["NASNetLarge", "NASNetMobile", "decode_predictions", "preprocess_input"]


class _Maps(NamedTuple):
    """Feature maps, and how often their size has been halved, which is known where it is not."""

    x: KerasTensor
    halvings: int

    def differs(self, other: _Maps) -> bool:
        """Whether the widths are not the same."""
        widths = self.x.shape[2], other.x.shape[2]
        return self.halvings != other.halvings if None in widths else widths[0] != widths[1]


def _norm(name: str) -> Layer:
    return norm(name, last=-1, momentum=0.9997, epsilon=1e-3)


def _pointwise(filters: int, name: str) -> Layer:
    return Conv2D(
        filters, 1, padding="same", use_bias=False, kernel_initializer="he_normal", name=name
    )


def _mean(name: str) -> Layer:
    return AveragePooling2D(3, strides=1, padding="same", name=name)


def _join(parts: list[KerasTensor], name: str | None = None) -> KerasTensor:
    return Concatenate(axis=-1, name=name)(parts)


def _separable(x: KerasTensor, filters: int, size: int, name: str, stride: int = 1) -> KerasTensor:
    """Apply two separable convolutions, each behind an activation."""
    with name_scope(f"separable_conv_block_{name}"):
        x = Activation("relu")(x)
        if stride == 2:
            x = ZeroPadding2D(correct_pad(x, size), name=f"separable_conv_1_pad_{name}")(x)
        first = SeparableConv2D(
            filters,
            size,
            strides=stride,
            padding="same" if stride == 1 else "valid",
            use_bias=False,
            name=f"separable_conv_1_{name}",
        )
        x = chain(x, first, _norm(f"separable_conv_1_bn_{name}"), Activation("relu"))
        second = SeparableConv2D(
            filters, size, padding="same", use_bias=False, name=f"separable_conv_2_{name}"
        )
        return chain(x, second, _norm(f"separable_conv_2_bn_{name}"))


def _halve(x: KerasTensor, filters: int, name: str) -> KerasTensor:
    """Take every other pixel, twice, a pixel apart, for a half of the channels each."""
    x = Activation("relu", name=f"adjust_relu_1_{name}")(x)
    halves = []
    for i, shift in enumerate(
        ([], [ZeroPadding2D(((0, 1), (0, 1))), Cropping2D(((1, 0), (1, 0)))]), 1
    ):
        pool = AveragePooling2D(1, strides=2, name=f"adjust_avg_pool_{i}_{name}")
        halves.append(chain(x, *shift, pool, _pointwise(filters // 2, f"adjust_conv_{i}_{name}")))
    return _norm(f"adjust_bn_{name}")(_join(halves))


def _adjust(before: _Maps | None, given: _Maps, filters: int, name: str) -> KerasTensor:
    """Make what the cell before was given fit this cell."""
    with name_scope("adjust_block"):
        if before is None:
            return given.x
        if before.differs(given):
            with name_scope(f"adjust_reduction_block_{name}"):
                return _halve(before.x, filters, name)
        if before.x.shape[-1] != filters:
            with name_scope(f"adjust_projection_block_{name}"):
                conv = _pointwise(filters, f"adjust_conv_projection_{name}")
                return chain(before.x, Activation("relu"), conv, _norm(f"adjust_bn_{name}"))
        return before.x


def _enter(given: _Maps, filters: int, kind: str, name: str) -> KerasTensor:
    """Bring what a cell is given to its number of channels."""
    conv = _pointwise(filters, f"{kind}_conv_1_{name}")
    return chain(given.x, Activation("relu"), conv, _norm(f"{kind}_bn_1_{name}"))


def _normal(given: _Maps, before: _Maps | None, filters: int, name: str) -> _Maps:
    def separable(x: KerasTensor, size: int, side: str) -> KerasTensor:
        return _separable(x, filters, size, f"normal_{side}_{name}")

    def mean(x: KerasTensor, side: str) -> KerasTensor:
        return _mean(f"normal_{side}_{name}")(x)

    with name_scope(f"normal_A_block_{name}"):
        p = _adjust(before, given, filters, name)
        h = _enter(given, filters, "normal", name)
        pairs: list[Callable[[], list[KerasTensor]]] = [
            lambda: [separable(h, 5, "left1"), separable(p, 3, "right1")],
            lambda: [separable(p, 5, "left2"), separable(p, 3, "right2")],
            lambda: [mean(h, "left3"), p],
            lambda: [mean(p, "left4"), mean(p, "right4")],
            lambda: [separable(h, 3, "left5"), h],
        ]
        sums = []
        for i, pair in enumerate(pairs, 1):
            with name_scope(f"block_{i}"):
                sums.append(Add(name=f"normal_add_{i}_{name}")(pair()))
        return _Maps(_join([p, *sums], f"normal_concat_{name}"), given.halvings)


def _reduction(given: _Maps, before: _Maps | None, filters: int, name: str) -> _Maps:
    def separable(x: KerasTensor, size: int, side: str, stride: int = 2) -> KerasTensor:
        return _separable(x, filters, size, f"reduction_{side}_{name}", stride)

    with name_scope(f"reduction_A_block_{name}"):
        p = _adjust(before, given, filters, name)
        h = _enter(given, filters, "reduction", name)
        padded = ZeroPadding2D(correct_pad(h, 3), name=f"reduction_pad_1_{name}")(h)

        def pool(layer: type[Layer], side: str) -> KerasTensor:
            return layer(3, strides=2, name=f"reduction_{side}_{name}")(padded)

        with name_scope("block_1"):
            parts = [separable(h, 5, "left1"), separable(p, 7, "right1")]
            one = Add(name=f"reduction_add_1_{name}")(parts)
        with name_scope("block_2"):
            parts = [pool(MaxPooling2D, "left2"), separable(p, 7, "right2")]
            two = Add(name=f"reduction_add_2_{name}")(parts)
        with name_scope("block_3"):
            parts = [pool(AveragePooling2D, "left3"), separable(p, 5, "right3")]
            three = Add(name=f"reduction_add3_{name}")(parts)
        with name_scope("block_4"):
            four = Add()([two, _mean(f"reduction_left4_{name}")(one)])
        with name_scope("block_5"):
            parts = [separable(one, 3, "left4", 1), pool(MaxPooling2D, "right5")]
            five = Add(name=f"reduction_add4_{name}")(parts)
        joined = _join([two, three, four, five], f"reduction_concat_{name}")
        return _Maps(joined, given.halvings + 1)


def _nasnet(filters: int, cells: int, stem: int, skip_reduction: bool) -> Body:
    """Make the body of a network.

    Args:
        filters: The channels of each operation in the first row of normal cells; each further row
            has twice as many.
        cells: How many normal cells each of the three rows has.
        stem: The channels of the first convolution.
        skip_reduction: Whether the first normal cell of a row is also given what the reduction
            before it was given as its *before*, in place of what it was given.
    """

    def body(x: KerasTensor) -> KerasTensor:
        require_channels_last("NASNet")
        conv = Conv2D(
            stem, 3, strides=2, use_bias=False, name="stem_conv1", kernel_initializer="he_normal"
        )
        before, given = None, _Maps(chain(x, conv, _norm("stem_bn1")), 0)
        before, given = given, _reduction(given, before, filters // 4, "stem_1")
        before, given = given, _reduction(given, before, filters // 2, "stem_2")
        for row in range(3):
            wide = filters << row
            if row:
                reduced = _reduction(given, before, wide, f"reduce_{row * cells}")
                before, given = (before if skip_reduction else given), reduced
            for i in range(cells):
                number = row * cells + i + (row > 0)
                before, given = given, _normal(given, before, wide, str(number))
        return Activation("relu")(given.x)

    return body


def _variant(title: str, size: int, body: Body, release: Release) -> Callable[..., Functional]:
    default = title.lower().replace("nasnet", "nasnet_")

    def build(
        input_shape: Shape | None = None,
        include_top: bool = True,
        weights: str | os.PathLike[str] | None = "imagenet",
        input_tensor: KerasTensor | None = None,
        pooling: str | None = None,
        classes: int = 1000,
        classifier_activation: Any = "softmax",
        name: str = default,
    ) -> Functional:
        if input_shape is None and input_tensor is None:
            input_shape = image_shape(size, size, 3, image_data_format())
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
        if weights == "imagenet" and input_shape is not None and None in input_shape:
            raise ValueError(
                explain(
                    "With ImageNet's weights, all sizes of `input_shape` must be known.",
                    received=input_shape,
                    fix="pass numbers, or leave it out.",
                )
            )
        return assemble(
            request.sized(size, 32),
            body,
            release,
            top=partial(dense_top, pool=None),
            tail=partial(pooled, names=False),
        )

    source = "Zoph et al. 2018, arXiv:1707.07012"
    return describe(build, title, __name__, size, 32, source, free="too")


NASNetMobile = _variant(
    "NASNetMobile",
    224,
    _nasnet(44, 4, 32, skip_reduction=False),
    Release(
        ("nasnet_mobile.h5", "nasnet_mobile_no_top.h5"),
        "nasnet",
        ("020fb642bf7360b370c678b08e0adf61", "1ed92395b5b598bdda52abe5c0dbfd63"),
        remote=("NASNet-mobile.h5", "NASNet-mobile-no-top.h5"),
    ),
)
NASNetLarge = _variant(
    "NASNetLarge",
    331,
    _nasnet(168, 6, 96, skip_reduction=True),
    Release(
        ("nasnet_large.h5", "nasnet_large_no_top.h5"),
        "nasnet",
        ("11577c9a518f0070763c2b964a382f17", "d81d89dc07e6e56530c4e77faddd61b5"),
        remote=("NASNet-large.h5", "NASNet-large-no-top.h5"),
    ),
)
preprocess_input = preprocessor("tf")
