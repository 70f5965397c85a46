"""`keras.layers.serialize` and `deserialize`: layers to configs and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..naming import explain
from ..registry import deserialize_keras_object, serialize_keras_object
from .layer import Layer

__all__ = ["deserialize", "serialize"]


def serialize(layer: Any) -> dict[str, Any]:
    """Return the config of a layer, with its class.

    >>> config = serialize(Layer(name="nothing"))
    >>> config["class_name"], deserialize(config).name
    ('Layer', 'nothing')
    """
    return serialize_keras_object(layer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Layer:
    """Make the layer that a config describes.

    Args:
        config: What `serialize` returned.
        custom_objects: Classes and functions, by the names the config uses for them.

    Raises:
        ValueError: The config is that of something else.
        TypeError: It names a class or function that is not on offer.
    """
    layer = deserialize_keras_object(config, custom_objects=custom_objects)
    if not isinstance(layer, Layer):
        raise ValueError(
            explain(
                "`keras.layers.deserialize` was passed a `config` object that is not a"
                " `keras.layers.Layer`.",
                given=config,
                fix="use `keras.saving.deserialize_keras_object` for other objects.",
            )
        )
    return layer
