"""The `.keras` format: a zip archive, or a folder, of configuration, weights and assets.

Members stand in this order and uncompressed, as Keras writes them. Building the model from a file
names classes only through the registry; see there for what that allows.
"""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import os
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from typing import IO, Any

from ..registry import ObjectSharingScope, deserialize_keras_object, serialize_keras_object
from .assets import AssetFolder, check_folder, new_asset_folder
from .atomic import replacing
from .budget import AllocationBudget, check_counts, fits_in_memory
from .errors import FileFormatError, describe, file_errors_only
from .h5_guard import load_json, open_h5
from .late import LateValues, late_values
from .legacy_config import modernize
from .legacy_training import load_optimizer_state
from .walk import load_state
from .weights_h5 import H5Reader, load_weights, write_h5
from .zip_guard import open_member, open_zip, read_text, reading_member, unpack_folder
from .zip_writer import ZipWriter

__all__ = [
    "KERAS_VERSION",
    "build_model",
    "load_archive",
    "load_archive_weights",
    "load_folder",
    "load_folder_weights",
    "model_config",
    "model_json",
    "save_archive",
    "save_folder",
]

# The version whose formats and semantics we write; real Keras reads the files as its own.
KERAS_VERSION = "3.15.1"

_CONFIG = "config.json"
_METADATA = "metadata.json"
_WEIGHTS = "model.weights.h5"
_ASSETS = "assets"


# Saving ------------------------------------------------------------------------------------------


def model_config(model: Any, compiled: bool = True) -> dict[str, Any]:
    """Return the configuration of a model, with or without how it was compiled."""
    if not compiled:  # also where that cannot be written, as with PyTorch's optimizers
        model.__dict__["get_compile_config"] = lambda: None
    try:
        with ObjectSharingScope():
            return serialize_keras_object(model)
    finally:
        if not compiled:
            del model.__dict__["get_compile_config"]


def model_json(model: Any, compiled: bool = True) -> tuple[str, str]:
    """Return `config.json` and `metadata.json` of a model."""
    saved = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    metadata = {"keras_version": KERAS_VERSION, "date_saved": saved}
    return json.dumps(model_config(model, compiled)), json.dumps(metadata)


def save_archive(model: Any, file: Any, include_optimizer: bool = True) -> None:
    """Write a model as a `.keras` archive.

    Args:
        model: The model.
        file: A path, or a file object opened for writing.
        include_optimizer: Whether to write how it was compiled, and the optimizer's state.
    """
    _warn_if_unbuilt(model)
    if hasattr(file, "write"):
        _write_archive(model, file, False, include_optimizer)
        return
    with replacing(file) as stream:
        _write_archive(model, stream, hasattr(os, "preadv"), include_optimizer)


def _write_archive(model: Any, stream: IO[bytes], in_place: bool, optimizer: bool) -> None:
    config, metadata = model_json(model, optimizer)
    archive = ZipWriter(stream)
    for name, text in ((_METADATA, metadata.encode()), (_CONFIG, config.encode())):
        archive.write(name, io.BytesIO(text), len(text))
    size = sum(v.nbytes for v in model.variables if hasattr(v, "nbytes"))
    skip = _without_optimizer(model, optimizer)
    with new_asset_folder() as assets:
        if in_place and not fits_in_memory(size):
            with archive.window(_WEIGHTS) as weights:
                write_h5(model, weights, assets, skip)
        else:
            with io.BytesIO() if fits_in_memory(size) else tempfile.TemporaryFile() as weights:
                write_h5(model, weights, assets, skip)
                size = weights.seek(0, os.SEEK_END)
                weights.seek(0)
                archive.write(_WEIGHTS, weights, size)
        for name, path in assets.files():
            with open(path, "rb") as asset:
                archive.write(f"{_ASSETS}/{name}", asset, os.path.getsize(path))
    archive.close()


def save_folder(model: Any, folder: Any, include_optimizer: bool = True) -> None:
    """Write a model as a folder; each file in it is replaced atomically."""
    _warn_if_unbuilt(model)
    os.makedirs(folder, exist_ok=True)
    config, metadata = model_json(model, include_optimizer)
    with new_asset_folder() as assets:
        with replacing(os.path.join(folder, _WEIGHTS)) as stream:
            write_h5(model, stream, assets, _without_optimizer(model, include_optimizer))
        for name, text in ((_CONFIG, config), (_METADATA, metadata)):
            with replacing(os.path.join(folder, name)) as stream:
                stream.write(text.encode())
        for name, path in assets.files():
            target = os.path.join(folder, _ASSETS, *name.split("/"))
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(path, "rb") as asset, replacing(target) as stream:
                shutil.copyfileobj(asset, stream)


def _without_optimizer(model: Any, include_optimizer: bool) -> Any:
    optimizer = getattr(model, "optimizer", None)
    if include_optimizer or optimizer is None:
        return None
    return lambda saveable: saveable is optimizer


def _warn_if_unbuilt(model: Any) -> None:
    if not model.built:
        warnings.warn(
            "You are saving a model that has not yet been built. It might not contain any weights"
            " yet. Consider building the model first by calling it on some data.",
            stacklevel=4,
        )


# Loading -----------------------------------------------------------------------------------------


def load_archive(
    file: Any, custom_objects: Any = None, compile: bool = True, safe_mode: bool = True
) -> Any:
    """Read a `.keras` archive.

    Args:
        file: A path, or a file object opened for reading.
        custom_objects: Classes and functions by the names the file has for them.
        compile: Whether to compile the model as it was.
        safe_mode: Refuse byte code and configurations out of proportion to the weights.

    Raises:
        FileFormatError: The archive is damaged, hostile, or does not fit what it describes.
    """
    with _opened(file) as stream, open_zip(stream, file) as archive:
        metadata = load_json(read_text(archive, _METADATA, file), file, "metadata")
        config = load_json(read_text(archive, _CONFIG, file), file)
        names = set(archive.namelist())
        if _WEIGHTS not in names:
            raise _without_weights(file)
        stored = archive.getinfo(_WEIGHTS).compress_size
        with (
            _unpacked(archive, file) as assets,
            reading_member(archive, _WEIGHTS, file) as weights,
        ):
            return _assemble(
                file, config, metadata, weights, assets, custom_objects, compile, safe_mode, stored
            )


def load_folder(
    folder: Any, custom_objects: Any = None, compile: bool = True, safe_mode: bool = True
) -> Any:
    """Read a model saved by `save_folder`; arguments as for `load_archive`."""

    def read(name: str) -> Any:
        path = os.path.join(folder, name)
        if not os.path.exists(path):
            return {}
        with open(path, "rb") as stream:
            return load_json(stream.read(), path)

    path = _folder_weights(folder)
    assets = os.path.join(folder, _ASSETS)
    reader = AssetFolder(assets) if os.path.isdir(assets) else None
    with open(path, "rb") as weights:
        return _assemble(
            folder,
            read(_CONFIG),
            read(_METADATA),
            weights,
            reader,
            custom_objects,
            compile,
            safe_mode,
        )


def load_folder_weights(model: Any, folder: Any, *, skip_mismatch: bool = False) -> None:
    """Read only the weights of a folder into a model."""
    load_weights(model, _folder_weights(folder), skip_mismatch=skip_mismatch)


def _folder_weights(folder: Any) -> str:
    """Return the path of a folder's weights, after a look at all that is in the folder."""
    check_folder(os.fspath(folder))
    path = os.path.join(folder, _WEIGHTS)
    if not os.path.exists(path):
        raise _without_weights(folder)
    return path


def load_archive_weights(model: Any, file: Any, *, skip_mismatch: bool = False) -> None:
    """Read only the weights of a `.keras` archive into a model."""
    with _opened(file) as stream, open_zip(stream, file) as archive:
        if _WEIGHTS not in archive.namelist():
            raise _without_weights(file)
        stored = archive.getinfo(_WEIGHTS).compress_size
        with open_member(archive, _WEIGHTS, file) as weights:
            load_weights(model, file, weights, stored, skip_mismatch=skip_mismatch)


def build_model(
    source: Any,
    config: Any,
    weights_size: int,
    custom_objects: Any = None,
    compile: bool = True,
    safe_mode: bool = True,
    late: LateValues | None = None,
) -> Any:
    """Build the model that a file's configuration describes, with weights still to be loaded.

    Args:
        source: The file, for messages.
        config: The configuration, in Keras 3's form.
        weights_size: Bytes of weights in the file; limits what building may allocate.
        late: Where weights go whose first values can wait, if the file's are loaded right after.

    Raises:
        FileFormatError: It describes no model.
    """
    if not isinstance(config, dict) or "class_name" not in config or "config" not in config:
        raise FileFormatError(
            source,
            "its configuration does not describe a model",
            expected="an object with 'class_name' and 'config'",
            fix="use a file written by `model.save()`.",
        )
    config = dict(config)
    if not compile:
        config.pop("compile_config", None)
    if safe_mode:
        check_counts(config, source)
    waiting = contextlib.nullcontext() if late is None else late.collecting()
    limit = AllocationBudget(source, weights_size, late) if safe_mode else late
    with file_errors_only(source), ObjectSharingScope(), waiting, limit or contextlib.nullcontext():
        model = deserialize_keras_object(config, custom_objects, safe_mode=safe_mode)
    if not hasattr(model, "layers") and not hasattr(model, "load_own_variables"):
        raise FileFormatError(
            source,
            f"its configuration describes a {type(model).__name__}, not a model",
            fix="use a file written by `model.save()`.",
        )
    return model


def _assemble(
    source: Any,
    config: Any,
    metadata: Any,
    weights: IO[bytes],
    assets: Any,
    custom_objects: Any,
    compile: bool,
    safe_mode: bool,
    stored: int | None = None,
) -> Any:
    size = weights.seek(0, os.SEEK_END)
    if stored is not None:  # what a bomb unpacks to allows nothing
        size = min(size, stored)
    version = str(metadata.get("keras_version", "3")) if isinstance(metadata, dict) else "3"
    is_old = version.partition(".")[0] in ("1", "2")
    if is_old:
        config = modernize(config, source, version, custom_objects)
    with contextlib.ExitStack() as stack:
        late = stack.enter_context(late_values())
        model = build_model(source, config, size, custom_objects, compile, safe_mode, late)
        file = stack.enter_context(open_h5(source, weights, stored))
        stack.enter_context(late.watching())
        reader = H5Reader(file)
        optimizer = getattr(model, "optimizer", None) if is_old else None
        load_state(
            model,
            reader,
            assets,
            source=describe(source),
            skip=lambda saveable: saveable is optimizer,
        )
        if optimizer is not None and is_old:
            entry = reader.entry("optimizer")
            values = [entry[str(i)] for i in range(len(entry))]
            load_optimizer_state(optimizer, values, None, version)
    return model


@contextlib.contextmanager
def _opened(file: Any) -> Iterator[IO[bytes]]:
    if hasattr(file, "read"):
        yield file
        return
    with open(file, "rb") as stream:
        yield stream


@contextlib.contextmanager
def _unpacked(archive: zipfile.ZipFile, source: Any) -> Iterator[AssetFolder | None]:
    if not any(name.startswith(f"{_ASSETS}/") for name in archive.namelist()):
        yield None
        return
    with new_asset_folder() as assets:
        unpack_folder(archive, _ASSETS, assets.root, source)
        yield assets


def _without_weights(source: Any) -> FileFormatError:
    return FileFormatError(
        source, f"it has no '{_WEIGHTS}'", fix="save the model again with `model.save()`."
    )
