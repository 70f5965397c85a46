"""`keras.utils.legacy`: the functions of `keras.legacy.saving` under another name."""

from ..legacy.saving import deserialize_keras_object, serialize_keras_object

__all__ = ["deserialize_keras_object", "serialize_keras_object"]
