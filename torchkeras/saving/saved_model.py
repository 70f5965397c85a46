"""SavedModels of tf.keras: folders with `saved_model.pb`, read without TensorFlow.

A model is built from its configuration, as from an `.h5` file, and gets weights and the state of
its optimizer from the checkpoint inside. Configurations are in `keras_metadata.pb` (TensorFlow 2.5
and later) or among the objects of `saved_model.pb` (before). The graphs of TensorFlow in there are
neither run nor read; so a model of a class of its author's needs that class, and a SavedModel
without Keras's objects is refused.

Source: TensorFlow's `saved_model.proto`, `saved_object_graph.proto`; tf.keras's
`saved_metadata.proto`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..graph.keras_tensor import KerasTensor
from ..registry import SafeModeScope, get_registered_object
from .assets import check_folder
from .budget import AllocationBudget
from .errors import FileFormatError, file_errors_only
from .h5_guard import load_json
from .keras_archive import build_model
from .late import LateValues, late_values
from .legacy_config import modernize
from .legacy_training import compile_as_saved, decode
from .object_graph import Match, match
from .saved_tables import SAVED_MODEL_FILE, load_tables
from .tf_checkpoint import CheckpointReader
from .wire import messages, parts_of

__all__ = ["SavedObject", "load_saved_model", "read_saved_model"]

_METADATA = "keras_metadata.pb"
_MODEL, _GRAPH_MODEL, _SEQUENTIAL = (
    f"_tf_keras_{kind}" for kind in ("model", "network", "sequential")
)
_SHOWN = 8


class SavedObject(NamedTuple):
    """A Keras object in a SavedModel: what kind, where in it, and its description as JSON."""

    identifier: str
    path: str
    text: bytes


# Reading ------------------------------------------------------------------------------------------


def read_saved_model(folder: Any) -> dict[str, Any] | None:
    """Return the description of the Keras model in a SavedModel; `None` if it holds none.

    Its entries: `class_name`, `config`, `keras_version`, `training_config` and what else tf.keras
    wrote there, and its `identifier`, which says what kind of model it is.

    Raises:
        FileFormatError: The folder is damaged or hostile.
    """
    folder = os.fspath(folder)
    check_folder(folder)
    root = next((item for item in _objects(folder) if item.path == "root"), None)
    if root is None or root.identifier not in (_GRAPH_MODEL, _SEQUENTIAL, _MODEL):
        return None
    found = load_json(root.text, folder, "metadata")
    if not isinstance(found, dict):
        raise _damaged(folder, _METADATA, ValueError("it describes no model"))
    inner = found.get("model_config")
    if isinstance(inner, dict):  # TensorFlow 2.0 had the configuration there only
        found = {**inner, **found, "config": inner.get("config", found.get("config"))}
    return {**found, "identifier": root.identifier}


def _objects(folder: str) -> Iterator[SavedObject]:
    """Yield the Keras objects of a SavedModel."""
    path = os.path.join(folder, _METADATA)
    is_apart = os.path.isfile(path)
    path = path if is_apart else os.path.join(folder, SAVED_MODEL_FILE)
    with open(path, "rb") as file:
        data = file.read()
    try:
        yield from _objects_apart(data) if is_apart else _objects_within(data)
    except FileFormatError:
        raise
    except ValueError as error:
        raise _damaged(folder, os.path.basename(path), error) from error


def _objects_apart(data: bytes) -> Iterator[SavedObject]:
    for message in messages(data, 1):
        parts = dict(parts_of(message))
        yield SavedObject(_text(parts, 4), _text(parts, 3), _bytes(parts, 5))


def _objects_within(data: bytes) -> Iterator[SavedObject]:
    """Yield the Keras objects of TensorFlow 2.0 to 2.4, of which the first is the root."""
    for graph in messages(data, 2):
        for objects in messages(graph, 7):
            for number, node in enumerate(messages(objects, 1)):
                for kind in messages(node, 4):
                    parts = dict(parts_of(kind))
                    identifier = _text(parts, 1)
                    if identifier.startswith("_tf_keras_"):
                        path = "root" if number == 0 else f"node {number}"
                        yield SavedObject(identifier, path, _bytes(parts, 3))


def _bytes(parts: dict[int, Any], number: int) -> bytes:
    value = parts.get(number, b"")
    if not isinstance(value, bytes):
        raise ValueError(f"field {number} holds a number")
    return value


def _text(parts: dict[int, Any], number: int) -> str:
    return _bytes(parts, number).decode()


def _damaged(folder: str, name: str, error: ValueError) -> FileFormatError:
    return FileFormatError(
        folder, f"its '{name}' is damaged ({error})", fix="copy or download the folder again."
    )


def _no_keras_model(folder: str) -> FileFormatError:
    """Return the error that says what a SavedModel holds instead."""
    kinds = sorted({item.identifier.removeprefix("_tf_keras_") for item in _objects(folder)})
    with open(os.path.join(folder, SAVED_MODEL_FILE), "rb") as file:
        data = file.read()
    signatures: list[str] = []
    version, count = "", 0
    try:
        for graph in messages(data, 2):
            for about in messages(graph, 1):
                version = version or _text(dict(parts_of(about)), 5)
            signatures += [_text(dict(parts_of(entry)), 1) for entry in messages(graph, 5)]
            for objects in messages(graph, 7):
                count += sum(1 for _ in messages(objects, 1))
    except ValueError as error:
        return _damaged(folder, SAVED_MODEL_FILE, error)
    named = [name for name in signatures if not name.startswith("__")]
    return FileFormatError(
        folder,
        "this folder is a TensorFlow SavedModel that is no Keras model",
        signatures=", ".join(named[:_SHOWN]) or "none",
        objects=count,
        keras_objects=", ".join(kinds) or "none",
        tensorflow=version or "of an unknown version",
        fix="what it computes stands in graphs of TensorFlow, which run there only. Build the"
        " model in code; `torchkeras inspect` lists the weights in it.",
    )


# Building -----------------------------------------------------------------------------------------


def load_saved_model(
    folder: Any, custom_objects: Any = None, compile: bool = True, safe_mode: bool = True
) -> Any:
    """Read the Keras model of a SavedModel.

    Args:
        folder: Its path.
        custom_objects: Classes and functions by the names the file has for them.
        compile: Whether to compile the model as it was.
        safe_mode: Refuse byte code and configurations out of proportion to the weights.

    Raises:
        FileFormatError: The folder is damaged or hostile, or holds no Keras model.
    """
    found = read_saved_model(folder)
    if found is None:
        raise _no_keras_model(os.fspath(folder))
    reader = CheckpointReader(folder)
    size = reader.bundle.size
    version = str(found.get("keras_version") or "2")
    name = _class_name(folder, found, custom_objects)
    config = {"class_name": name, "config": found.get("config")}
    config = modernize(config, folder, version, custom_objects)
    with late_values() as late:
        model = build_model(folder, config, size, custom_objects, False, safe_mode, late)
        limit = AllocationBudget(folder, size, late) if safe_mode else late
        if not model.built:
            with file_errors_only(folder), SafeModeScope(safe_mode), late.collecting(), limit:
                _build(model, folder, found)
        with reader.checking(), late.watching():
            matched = match(model, 0, reader.graph)
            reader.load(model, 0, matched)
            load_tables(model, matched, reader, os.fspath(folder))
        if compile:
            _compile(model, reader, matched, found, custom_objects, safe_mode, late)
    return model


def _class_name(folder: Any, found: dict[str, Any], custom_objects: Any) -> str:
    """Return the name by which the model's class is known here."""
    name = str(found.get("class_name"))
    bare = name.rpartition(">")[2]
    for known in (name, bare):
        if get_registered_object(known, custom_objects) is not None:
            return known
    plain = {_SEQUENTIAL: "Sequential", _GRAPH_MODEL: "Functional"}.get(found["identifier"])
    if plain is None:
        raise FileFormatError(
            folder,
            f"its model is of a class of its author's, '{name}', whose code is not in it",
            fix="register the class by `keras.utils.register_keras_serializable` under that name,"
            f" or pass `custom_objects={{'{bare}': …}}`.",
        )
    if name not in (plain, "Model", "Network"):
        warnings.warn(
            f"The class '{name}' of the model in '{folder}' is not known here: it becomes a"
            f" {plain} model of the same layers, without what else the class does. Register it, or"
            f" pass `custom_objects={{'{bare}': …}}`.",
            stacklevel=4,
        )
    return plain


def _build(model: Any, folder: Any, found: dict[str, Any]) -> None:
    """Make the weights of a model that is no graph, from what it was called with."""
    spec = decode(found.get("full_save_spec"))
    if isinstance(spec, (list, tuple)) and len(spec) == 2:
        args, kwargs = _inputs(spec[0]), _inputs(spec[1])
        if args or kwargs:
            model(*args, **kwargs)
            return
    shape = decode(found.get("build_input_shape"))
    if shape is not None:
        model.build(shape)
        return
    raise FileFormatError(
        folder,
        "its model had never been called, so that it had no weights",
        fix="build the model in code.",
    )


def _inputs(spec: Any) -> Any:
    """Return symbolic tensors for TensorFlow's specifications of tensors; other values stay."""
    if isinstance(spec, (list, tuple)):
        return [_inputs(item) for item in spec]
    if not isinstance(spec, dict):
        return spec
    if spec.get("class_name") != "TypeSpec":
        return {key: _inputs(item) for key, item in spec.items()}
    kind, parts = spec.get("type_spec"), spec.get("serialized")
    if kind != "tf.TensorSpec" or not isinstance(parts, (list, tuple)) or len(parts) < 2:
        raise ValueError(f"the model takes {kind}, for which there is no tensor here")
    return KerasTensor(tuple(parts[0]), str(parts[1]))


def _compile(
    model: Any,
    reader: CheckpointReader,
    matched: Match,
    found: dict[str, Any],
    custom_objects: Any,
    safe_mode: bool,
    late: LateValues,
) -> None:
    source = reader.source
    with reader.checking():
        node = reader.optimizer_node(0)
    limit = AllocationBudget(source, reader.bundle.size, late) if safe_mode else late
    with SafeModeScope(safe_mode), late.collecting(), limit:
        compile_as_saved(model, found.get("training_config"), source, custom_objects, safe_mode)
        optimizer = getattr(model, "optimizer", None)
        if node is not None and optimizer is not None and not optimizer.built:
            optimizer.build(model.trainable_variables)
    if node is not None and optimizer is not None:
        with reader.checking(), late.watching():
            reader.load_optimizer(optimizer, node, model.trainable_variables, matched)
