"""`keras.applications`: image classifiers, with weights trained on ImageNet where asked for.

Each family is a module of its own, loaded on first use.

>>> import torchkeras as keras
>>> shape = (32, 32, 3)
>>> model = keras.applications.MobileNet(shape, alpha=0.25, weights=None, classes=10)
>>> model.output_shape
(None, 10)
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING
from typing import Any as _Any

if TYPE_CHECKING:
    from . import (
        convnext,
        densenet,
        efficientnet,
        efficientnet_v2,
        imagenet_utils,
        inception_resnet_v2,
        inception_v3,
        mobilenet,
        mobilenet_v2,
        mobilenet_v3,
        nasnet,
        resnet,
        resnet50,
        resnet_v2,
        vgg16,
        vgg19,
        xception,
    )
    from .convnext import ConvNeXtBase, ConvNeXtLarge, ConvNeXtSmall, ConvNeXtTiny, ConvNeXtXLarge
    from .densenet import DenseNet121, DenseNet169, DenseNet201
    from .efficientnet import (
        EfficientNetB0,
        EfficientNetB1,
        EfficientNetB2,
        EfficientNetB3,
        EfficientNetB4,
        EfficientNetB5,
        EfficientNetB6,
        EfficientNetB7,
    )
    from .efficientnet_v2 import (
        EfficientNetV2B0,
        EfficientNetV2B1,
        EfficientNetV2B2,
        EfficientNetV2B3,
        EfficientNetV2L,
        EfficientNetV2M,
        EfficientNetV2S,
    )
    from .inception_resnet_v2 import InceptionResNetV2
    from .inception_v3 import InceptionV3
    from .mobilenet import MobileNet
    from .mobilenet_v2 import MobileNetV2
    from .mobilenet_v3 import MobileNetV3Large, MobileNetV3Small
    from .nasnet import NASNetLarge, NASNetMobile
    from .resnet import ResNet50, ResNet101, ResNet152
    from .resnet_v2 import ResNet50V2, ResNet101V2, ResNet152V2
    from .vgg16 import VGG16
    from .vgg19 import VGG19
    from .xception import Xception

# Module -> the models it defines.
_FAMILIES = {
    "convnext": "ConvNeXtBase ConvNeXtLarge ConvNeXtSmall ConvNeXtTiny ConvNeXtXLarge",
    "densenet": "DenseNet121 DenseNet169 DenseNet201",
    "efficientnet": "EfficientNetB0 EfficientNetB1 EfficientNetB2 EfficientNetB3"
    " EfficientNetB4 EfficientNetB5 EfficientNetB6 EfficientNetB7",
    "efficientnet_v2": "EfficientNetV2B0 EfficientNetV2B1 EfficientNetV2B2 EfficientNetV2B3"
    " EfficientNetV2L EfficientNetV2M EfficientNetV2S",
    "imagenet_utils": "",
    "inception_resnet_v2": "InceptionResNetV2",
    "inception_v3": "InceptionV3",
    "mobilenet": "MobileNet",
    "mobilenet_v2": "MobileNetV2",
    "mobilenet_v3": "MobileNetV3Large MobileNetV3Small",
    "nasnet": "NASNetLarge NASNetMobile",
    "resnet": "ResNet50 ResNet101 ResNet152",
    "resnet50": "",
    "resnet_v2": "ResNet50V2 ResNet101V2 ResNet152V2",
    "vgg16": "VGG16",
    "vgg19": "VGG19",
    "xception": "Xception",
}
_HOMES = {model: module for module, models in _FAMILIES.items() for model in models.split()}

__all__ = [
    "ConvNeXtBase",
    "ConvNeXtLarge",
    "ConvNeXtSmall",
    "ConvNeXtTiny",
    "ConvNeXtXLarge",
    "DenseNet121",
    "DenseNet169",
    "DenseNet201",
    "EfficientNetB0",
    "EfficientNetB1",
    "EfficientNetB2",
    "EfficientNetB3",
    "EfficientNetB4",
    "EfficientNetB5",
    "EfficientNetB6",
    "EfficientNetB7",
    "EfficientNetV2B0",
    "EfficientNetV2B1",
    "EfficientNetV2B2",
    "EfficientNetV2B3",
    "EfficientNetV2L",
    "EfficientNetV2M",
    "EfficientNetV2S",
    "InceptionResNetV2",
    "InceptionV3",
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Large",
    "MobileNetV3Small",
    "NASNetLarge",
    "NASNetMobile",
    "ResNet101",
    "ResNet101V2",
    "ResNet152",
    "ResNet152V2",
    "ResNet50",
    "ResNet50V2",
    "VGG16",
    "VGG19",
    "Xception",
    "convnext",
    "densenet",
    "efficientnet",
    "efficientnet_v2",
    "imagenet_utils",
    "inception_resnet_v2",
    "inception_v3",
    "mobilenet",
    "mobilenet_v2",
    "mobilenet_v3",
    "nasnet",
    "resnet",
    "resnet50",
    "resnet_v2",
    "vgg16",
    "vgg19",
    "xception",
]


def __getattr__(name: str) -> _Any:
    if name in _FAMILIES:
        return _import_module(f"{__name__}.{name}")
    if name in _HOMES:
        value = getattr(_import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
