"""`save_model`, `load_model`, `save_weights`, `load_weights`: they pick the format and do the rest.

Saving goes by the file's extension. Loading goes by the content: a `.keras` file renamed to `.h5`
still loads, and a PNG named `model.keras` is called a PNG.
"""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from ..naming import explain
from .errors import FileFormatError, file_errors_only
from .h5_guard import open_h5
from .keras_archive import (
    load_archive,
    load_archive_weights,
    load_folder,
    load_folder_weights,
    save_archive,
    save_folder,
)
from .legacy_h5 import load_h5, load_h5_weights, save_h5
from .safetensors_file import load_safetensors, load_safetensors_weights, save_safetensors
from .saved_model import load_saved_model
from .sharded_h5 import load_sharded, save_sharded
from .sniff import (
    ARCHIVE,
    CHECKPOINT,
    FOLDER,
    HDF5,
    SAFETENSORS,
    SAVED_MODEL,
    is_remote_path,
    sniff,
)
from .tf_checkpoint import load_checkpoint_weights
from .weights_h5 import load_weights as load_weights_h5
from .weights_h5 import save_weights as save_weights_h5

__all__ = [
    "WRITING",
    "ask_to_proceed_with_overwrite",
    "load_model",
    "load_weights",
    "may_write",
    "model_from_bytes",
    "model_to_bytes",
    "save_model",
    "save_weights",
]

_LOG = logging.getLogger(__name__)
_H5 = (".h5", ".hdf5")
_SHARD_MAP = ".weights.json"
_LOADERS = {
    ARCHIVE: load_archive,
    FOLDER: load_folder,
    HDF5: load_h5,
    SAFETENSORS: load_safetensors,
    SAVED_MODEL: load_saved_model,
}


class Writing:
    """Who writes files.

    Attributes:
        once: In a job of several processes, calls a function in one of them, while the others wait;
            see `distribution.processes`. `None`: every process writes its own.
        whole: Where models may be cut over processes, makes one whole for a while; see
            `distribution.shards`.
        is_first: Whether this process is the one that `once` calls a function in.
    """

    once: Callable[[Callable[[], Any]], Any] | None = None
    whole: Callable[..., AbstractContextManager[None]] | None = None
    is_first = True


WRITING = Writing()


def _written_once(save: Callable[..., None]) -> Callable[..., None]:
    """Let one process of a job write a file for all of them."""

    @functools.wraps(save)
    def write(model: Any, filepath: Any, *args: Any, **kwargs: Any) -> None:
        once = None if hasattr(filepath, "write") else WRITING.once
        with _whole(model, here=once is None or WRITING.is_first):
            if once is None:
                return save(model, filepath, *args, **kwargs)
            return once(lambda: save(model, filepath, *args, **kwargs))

    return write


def _whole(model: Any, **options: bool) -> AbstractContextManager[None]:
    """Hold ordinary variables in a model that is cut over processes, within a `with` block."""
    return contextlib.nullcontext() if WRITING.whole is None else WRITING.whole(model, **options)


@_written_once
def save_model(
    model: Any, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any
) -> None:
    """Save a whole model: architecture, weights, how it was compiled, and the optimizer's state.

    Args:
        model: The model.
        filepath: A path that ends in `.keras`, `.h5` or `.safetensors`, or a file object opened for
            writing, which gets the `.keras` format.
        overwrite: Whether to replace an existing file without asking.
        zipped: `False` writes a folder with the content of a `.keras` file.
        include_optimizer: Whether to save how it was compiled, and the optimizer's state.
        save_format: `"keras"`, `"h5"` or `"tf"`, as old scripts give it; the extension decides.

    Raises:
        ValueError: The extension is unknown, or an argument.
    """
    include_optimizer = kwargs.pop("include_optimizer", True)
    save_format = kwargs.pop("save_format", None)
    if kwargs:
        raise ValueError(f"The following argument(s) are not supported: {list(kwargs)}")
    if hasattr(filepath, "write"):
        save_archive(model, filepath, include_optimizer)
        return
    if not isinstance(filepath, (str, os.PathLike)):
        raise ValueError(
            "`filepath` must be a path that ends in `.keras`, or a file object. Received:"
            f" {filepath!r} of type {type(filepath).__name__}"
        )
    path = os.fspath(filepath)
    _refuse_remote(path)
    if save_format:
        _check_save_format(save_format, path)
    if not may_write(path, overwrite):
        return
    if zipped is False:
        if path.endswith(".keras"):
            raise ValueError(
                "When using `zipped=False`, the `filepath` argument should not end in `.keras`."
                f" Received: filepath={filepath}"
            )
        save_folder(model, path, include_optimizer)
    elif path.endswith(".keras"):
        save_archive(model, path, include_optimizer)
    elif path.endswith(_H5):
        _LOG.warning(
            "You are saving your model as an HDF5 file. This file format is considered legacy. We"
            " recommend using instead the native Keras format, e.g."
            " `model.save('my_model.keras')`."
        )
        save_h5(model, path, include_optimizer)
    elif path.endswith(".safetensors"):
        save_safetensors(model, path, include_optimizer)
    else:
        raise ValueError(
            explain(
                "Invalid filepath extension for saving.",
                filepath=filepath,
                expected="a path that ends in .keras, .h5 or .safetensors",
                fix=f"use '{path}.keras', the native format.",
            )
        )


def load_model(
    filepath: Any,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """Load a model saved by `save_model`, or by Keras 1 to 3.

    Args:
        filepath: A path to a `.keras`, `.h5` or `.safetensors` file, to the folder of an unzipped
            `.keras` file or of a SavedModel of tf.keras, or a file object opened for reading.
        custom_objects: Classes and functions by the names the file has for them.
        compile: Whether to compile the model as it was.
        safe_mode: Refuse Python byte code, and configurations out of proportion to the weights.

    Returns:
        The model, compiled if it was and `compile` is true. Large weights from the path of a
        `.safetensors` file are its mapped memory, read when they are used; saving over the file is
        fine, but no other program should write into it. Those from a file object are copied.

    Raises:
        FileFormatError: The file is missing, damaged, hostile, or of another kind.
    """
    loader = _LOADERS[_kind_with_model(filepath)]
    with file_errors_only(filepath):
        return loader(filepath, custom_objects, compile=compile, safe_mode=safe_mode)


def _kind_with_model(filepath: Any) -> str:
    kind = sniff(filepath)
    if kind == CHECKPOINT:
        raise FileFormatError(
            filepath,
            "this is a TensorFlow checkpoint, which holds weights but no model",
            fix="build the model in code and use `model.load_weights(path)`.",
        )
    return kind


@_written_once
def save_weights(
    model: Any,
    filepath: Any,
    overwrite: bool = True,
    max_shard_size: float | None = None,
    objects_to_skip: Iterable[Any] | None = None,
    **kwargs: Any,
) -> None:
    """Save the weights of a built model, and the state of its optimizer.

    Args:
        model: The model.
        filepath: A path that ends in `.weights.h5` or `.safetensors` (which gets no optimizer
            state), or a file object opened for reading and writing.
        overwrite: Whether to replace an existing file without asking.
        max_shard_size: Write several files of at most so many GB and a map of them; `filepath` then
            ends in `.weights.json`.
        objects_to_skip: Layers to leave out (`.weights.h5` only).

    Raises:
        ValueError: The extension is another, or the model is not built.
        TypeError: An argument is unknown.
    """
    if kwargs:
        raise TypeError(f"save_weights() got unexpected keyword arguments: {list(kwargs)}")
    path = filepath if hasattr(filepath, "write") else os.fspath(filepath)
    is_path = isinstance(path, str)
    if max_shard_size is not None:
        path = _shard_map(path)
    elif is_path and not path.endswith((".weights.h5", ".safetensors")):
        raise ValueError(
            explain(
                "The filename must end in `.weights.h5`.",
                filepath=filepath,
                fix=f"use '{os.path.splitext(path)[0]}.weights.h5'.",
            )
        )
    _check_built(model, "saving")
    if is_path:
        _refuse_remote(path)
        if not may_write(path, overwrite):
            return
    skip = _skipper(objects_to_skip)
    if max_shard_size is not None:
        save_sharded(model, path, max_shard_size, skip)
    elif is_path and path.endswith(".safetensors"):
        save_safetensors(model, path, include_config=False)
    else:
        save_weights_h5(model, path, skip)


def load_weights(
    model: Any,
    filepath: Any,
    skip_mismatch: bool = False,
    by_name: bool | None = None,
    objects_to_skip: Iterable[Any] | None = None,
    mapping: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> None:
    """Load weights into a built model from a file of weights or from a file of a whole model.

    Args:
        model: The model.
        filepath: A path to a `.weights.h5`, `.keras`, `.h5` or `.safetensors` file, or a file
            object opened for reading. Of TensorFlow's, what the names of a checkpoint's files begin
            with, a folder whose list (`checkpoint`) names one, or that of a SavedModel.
        skip_mismatch: Warn about layers that do not fit, and leave them as they are.
        by_name: Match layers by their names instead of their order (`.h5` only).
        objects_to_skip: Layers to leave alone (`.weights.h5` only).
        mapping: What other names the model's weights have in a `.safetensors` file, such as a state
            dict of plain PyTorch: `{"dense.bias": "fc.bias"}`. A name with a permutation of axes,
            `{"dense.kernel": ("fc.weight", (1, 0))}`, also says how the file's tensor is turned.
            Weights that it does not mention have their own names; tensors of the file that nothing
            asks for are passed over.

    Raises:
        FileFormatError: The file is missing, damaged, of another kind, or does not fit the model.
        ValueError: The model is not built, or an argument is unknown or does not apply to the
            file's kind.
    """
    if kwargs:
        raise ValueError(f"Invalid keyword arguments: {kwargs}")
    if isinstance(filepath, (str, os.PathLike)) and os.fspath(filepath).endswith(_SHARD_MAP):
        _load_sharded(model, os.fspath(filepath), skip_mismatch, by_name, objects_to_skip)
        return
    kind = sniff(filepath)
    is_weights = kind == HDF5 and _has_v3_weights(filepath)
    if by_name is not None and (kind != HDF5 or is_weights):
        raise ValueError(
            f"`by_name` only supports loading legacy '.h5' or '.hdf5' files. Received: {filepath}"
        )
    if objects_to_skip is not None and not is_weights:
        raise ValueError(
            f"`objects_to_skip` only supports loading '.weights.h5' files. Received: {filepath}"
        )
    if mapping is not None and kind != SAFETENSORS:
        raise ValueError(
            f"`mapping` only supports loading '.safetensors' files. Received: {filepath}"
        )
    _check_built(model, "loading weights into")
    with file_errors_only(filepath), _whole(model, change=True):
        if kind in (CHECKPOINT, SAVED_MODEL):
            load_checkpoint_weights(model, filepath, skip_mismatch=skip_mismatch)
        elif kind == ARCHIVE:
            load_archive_weights(model, filepath, skip_mismatch=skip_mismatch)
        elif kind == FOLDER:
            load_folder_weights(model, filepath, skip_mismatch=skip_mismatch)
        elif kind == SAFETENSORS:
            load_safetensors_weights(model, filepath, skip_mismatch=skip_mismatch, mapping=mapping)
        elif is_weights:
            skip = _skipper(objects_to_skip)
            load_weights_h5(model, filepath, skip_mismatch=skip_mismatch, skip=skip)
        else:
            load_h5_weights(model, filepath, by_name=bool(by_name), skip_mismatch=skip_mismatch)


def _shard_map(path: Any) -> str:
    """Return the path of the map of a sharded file."""
    if isinstance(path, str) and path.endswith("weights.h5"):
        warnings.warn(
            f"Weights in several files are listed in a `.json` file; '{path}' becomes one.",
            stacklevel=5,
        )
        return f"{path.removesuffix('weights.h5').removesuffix('.')}{_SHARD_MAP}"
    if not isinstance(path, str) or not path.endswith(_SHARD_MAP):
        raise ValueError(
            "The filename must end in `.weights.json` when `max_shard_size` is specified."
            f" Received: filepath={path}"
        )
    return path


def _load_sharded(
    model: Any, path: str, skip_mismatch: bool, by_name: bool | None, objects_to_skip: Any
) -> None:
    if by_name is not None:
        raise ValueError(f"`by_name` only supports loading legacy '.h5' files. Received: {path}")
    if not os.path.exists(path):
        sniff(path)  # says that it is missing
    _check_built(model, "loading weights into")
    with file_errors_only(path), _whole(model, change=True):
        load_sharded(model, path, skip_mismatch=skip_mismatch, skip=_skipper(objects_to_skip))


def model_to_bytes(model: Any) -> bytes:
    """Return a model in the `.keras` format, for instance to pickle it."""
    buffer = io.BytesIO()
    save_archive(model, buffer)
    return buffer.getvalue()


def model_from_bytes(
    data: bytes, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True
) -> Any:
    """Return the model that `model_to_bytes` was given."""
    stream = io.BytesIO(data)
    with file_errors_only(stream):
        return load_archive(stream, custom_objects, safe_mode=safe_mode)


def ask_to_proceed_with_overwrite(filepath: Any) -> bool:
    """Ask on the terminal whether to replace a file; return the answer."""
    answer = input(f"[WARNING] {filepath} already exists - overwrite? [y/n]").strip().lower()
    while answer not in ("y", "n"):
        answer = input('Enter "y" (overwrite) or "n" (cancel).').strip().lower()
    if answer == "y":
        print("[TIP] Next time specify overwrite=True!")
    return answer == "y"


def may_write(path: str, overwrite: bool) -> bool:
    """Tell whether a path is free, or its file may be replaced; without `overwrite`, ask."""
    return overwrite or not os.path.exists(path) or ask_to_proceed_with_overwrite(path)


def _check_save_format(save_format: str, path: str) -> None:
    if not path.endswith((*_H5, ".keras", ".safetensors")):
        raise ValueError(
            "The `save_format` argument is deprecated in Keras 3. Please remove this argument and"
            " pass a file path with either `.keras` or `.h5` extension. Received:"
            f" save_format={save_format}"
        )
    _LOG.warning(
        "The `save_format` argument is deprecated; the format follows from the file's extension."
        " Received: save_format=%s",
        save_format,
    )


def _refuse_remote(path: str) -> None:
    if is_remote_path(path):
        raise FileFormatError(
            path,
            "this is a remote address, and only local files are written",
            fix="save to a local path and upload that, or pass an open file object.",
        )


def _check_built(model: Any, doing: str) -> None:
    if not model.built:
        raise ValueError(
            f"You are {doing} a model that has not yet been built. Try building the model"
            " first by calling it on some data or by using `build()`."
        )


def _skipper(objects: Iterable[Any] | None) -> Any:
    if objects is None:
        return None
    ids = {id(obj) for obj in objects}
    return lambda obj: id(obj) in ids


def _has_v3_weights(file: Any) -> bool:
    """Whether an HDF5 file has the layout of `.weights.h5`."""
    with open_h5(file) as opened:
        legacy = ("layer_names", "layer_names0", "nb_layers", "model_config")
        is_legacy = any(opened.has_attribute(name) for name in legacy)
        return not is_legacy and "model_weights" not in opened.names()
