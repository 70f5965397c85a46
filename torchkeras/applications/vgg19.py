"""VGG19: `vgg16` with a fourth convolution in the last three blocks.

Source: Simonyan & Zisserman 2015, arXiv:1409.1556.
"""

from __future__ import annotations

from functools import partial

from ._builder import application, kernels, pooled
from .imagenet_utils import decode_predictions, preprocessor
from .vgg16 import SOURCE, vgg, vgg_top

__all__ = ["VGG19", "decode_predictions", "preprocess_input"]

VGG19 = application(
    "VGG19",
    __name__,
    vgg(2, 2, 4, 4, 4),
    kernels(
        "vgg19", "vgg19", "cbe5617147190e668d6c5d5026f83318", "253f8cb515780f3b799900260a226db6"
    ),
    source=SOURCE,
    top=vgg_top,
    tail=partial(pooled, names=False),
)
preprocess_input = preprocessor("caffe")
