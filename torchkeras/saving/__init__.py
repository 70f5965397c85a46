"""Model files. Saving replaces a file in one step or not at all; loading runs no code of a file."""

from ..registry import (
    CustomObjectScope,
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    serialize_keras_object,
)
from .api import (
    ask_to_proceed_with_overwrite,
    load_model,
    load_weights,
    model_from_bytes,
    model_to_bytes,
    save_model,
    save_weights,
)
from .errors import FileFormatError, MissingFileError
from .file_editor import KerasFileEditor

__all__ = [
    "CustomObjectScope",
    "FileFormatError",
    "KerasFileEditor",
    "MissingFileError",
    "ask_to_proceed_with_overwrite",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "load_model",
    "load_weights",
    "model_from_bytes",
    "model_to_bytes",
    "register_keras_serializable",
    "save_model",
    "save_weights",
    "serialize_keras_object",
]
