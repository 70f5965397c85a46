"""What Keras's `legacy.saving` has: JSON as Keras 2 wrote it, and `.h5` files by function."""

from __future__ import annotations

import enum
import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..legacy.saving import serialize_keras_object
from ..saving.api import may_write
from ..saving.legacy_h5 import load_h5, load_h5_weights, save_h5, write_layers
from ..saving.legacy_training import decode as decode_value

__all__ = [
    "Encoder",
    "decode",
    "get_json_type",
    "load_model_from_hdf5",
    "load_weights_from_hdf5_group",
    "load_weights_from_hdf5_group_by_name",
    "save_model_to_hdf5",
    "save_weights_to_hdf5_group",
]


# JSON --------------------------------------------------------------------------------------------


class Encoder(json.JSONEncoder):
    """Writes tuples, bytes, enums, arrays and objects with a config too; `decode` reads it.

    Example:
        >>> Encoder().encode((1, 2))
        '{"class_name": "__tuple__", "items": [1, 2]}'
        >>> decode(_)
        (1, 2)
    """

    def default(self, obj: Any) -> Any:
        """Return what stands for an object that JSON has no form for."""
        return get_json_type(obj)

    def encode(self, obj: Any) -> str:
        """Return the JSON of an object."""
        return super().encode(_mark_tuples(obj))


def _mark_tuples(value: Any) -> Any:
    if isinstance(value, tuple):
        return {"class_name": "__tuple__", "items": [_mark_tuples(item) for item in value]}
    if isinstance(value, list):
        return [_mark_tuples(item) for item in value]
    if isinstance(value, dict):
        return {key: _mark_tuples(item) for key, item in value.items()}
    return value


def get_json_type(obj: Any) -> Any:
    """Return what stands for an object that JSON has no form for.

    Raises:
        TypeError: Nothing does.
    """
    if hasattr(obj, "get_config"):
        return {**serialize_keras_object(obj), "__passive_serialization__": True}
    if isinstance(obj, (np.ndarray, np.generic)):
        return obj.tolist()
    if isinstance(obj, enum.Enum):
        return obj.value
    if isinstance(obj, bytes):
        return {"class_name": "__bytes__", "value": obj.decode()}
    if obj is Ellipsis:
        return {"class_name": "__ellipsis__"}
    if isinstance(obj, Mapping):
        return dict(obj)
    if hasattr(obj, "__name__"):  # a function or class
        return obj.__name__
    raise TypeError(f"Unable to serialize {obj!r} to JSON: its type is {type(obj).__name__}.")


def decode(json_string: str | bytes) -> Any:
    """Read the JSON of old configurations."""
    return decode_value(json.loads(json_string))


# Files -------------------------------------------------------------------------------------------


def save_model_to_hdf5(
    model: Any, filepath: Any, overwrite: bool = True, include_optimizer: bool = True
) -> None:
    """Write a whole model as an `.h5` file; `filepath` may be an open `h5py.File`."""
    is_path = isinstance(filepath, (str, os.PathLike))
    if not is_path or may_write(os.fspath(filepath), overwrite):
        save_h5(model, filepath, include_optimizer)


def load_model_from_hdf5(
    filepath: Any, custom_objects: Any = None, compile: bool = True, safe_mode: bool = True
) -> Any:
    """Read a whole model from an `.h5` file."""
    return load_h5(filepath, custom_objects, compile=compile, safe_mode=safe_mode)


def save_weights_to_hdf5_group(group: Any, model: Any) -> None:
    """Write the weights of a model's layers into an open group."""
    write_layers(group, model)


def load_weights_from_hdf5_group(group: Any, model: Any, skip_mismatch: bool = False) -> None:
    """Read the weights of a model's layers, in their order, from an open group."""
    load_h5_weights(model, group, skip_mismatch=skip_mismatch)


def load_weights_from_hdf5_group_by_name(
    group: Any, model: Any, skip_mismatch: bool = False
) -> None:
    """Read the weights of layers with the names of those in an open group."""
    load_h5_weights(model, group, by_name=True, skip_mismatch=skip_mismatch)
