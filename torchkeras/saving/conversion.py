"""From one format of model files to another: `convert_file`, which the command line offers.

A file with a whole model is loaded and saved. A file of weights alone goes into another such file
array by array, by the paths that Keras 3 gives them, without a model; older ones (`.h5`, where
order decides) and the way to a whole model need a file whose model has those weights.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from .api import load_model, load_weights, save_model, save_weights
from .atomic import replacing
from .errors import FileFormatError, file_errors_only
from .h5_guard import open_h5
from .inspection import FileContents, inspect_file
from .keras_archive import KERAS_VERSION
from .safetensors_file import ASSETS, OPTIMIZER, open_safetensors, write_safetensors
from .sharded_h5 import ShardReader, ShardWriter
from .weights_h5 import H5Reader, H5Writer

__all__ = ["convert_file"]

_WEIGHTS_ONLY = (".weights.h5", ".weights.json")
_OPTIMIZER_PATH = "optimizer/vars/"
_SHARD_GB = 4.0


def convert_file(
    source: Any,
    target: Any,
    *,
    model: Any = None,
    custom_objects: Mapping[str, Any] | None = None,
    safe_mode: bool = True,
    include_optimizer: bool = True,
    max_shard_size: float | None = None,
) -> None:
    """Write what a model file contains in another format.

    Args:
        source: A file of any format that `load_model` or `load_weights` reads.
        target: Its ending says the format: `.keras`, `.h5`, `.safetensors`, `.weights.h5`,
            `.weights.json` (several files), or `/` for a folder. An existing file is replaced.
        model: A file with a model for the weights in `source`, where that has none.
        custom_objects: Classes and functions by the names the files have for them.
        safe_mode: Refuse Python byte code; see `load_model`.
        include_optimizer: Whether to write the optimizer's state.
        max_shard_size: The largest size of a file, in GB, where there are several.

    Raises:
        FileFormatError: A file is damaged or hostile, or the weights need a model.
        ValueError: The ending is unknown.

    Example:
        >>> import pathlib, tempfile
        >>> from torchkeras import Input, Sequential, layers
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> Sequential([Input((3,)), layers.Dense(2)]).save(folder / "m.keras")
        >>> convert_file(folder / "m.keras", folder / "m.weights.h5")
        >>> convert_file(folder / "m.weights.h5", folder / "m.safetensors")
        >>> sorted(path.name for path in folder.iterdir())
        ['m.keras', 'm.safetensors', 'm.weights.h5']
    """
    source, target = os.fspath(source), os.fspath(target)
    shards = max_shard_size if max_shard_size is not None else _SHARD_GB
    contents = inspect_file(source)
    whole = contents.model is not None
    if not whole and model is None:
        _convert_weights(contents, target, include_optimizer, shards)
        return
    options = {"custom_objects": custom_objects, "safe_mode": safe_mode}
    loaded = load_model(source if whole else model, compile=include_optimizer, **options)
    if not whole:
        load_weights(loaded, source)
    optimizer = getattr(loaded, "optimizer", None)
    if target.endswith(_WEIGHTS_ONLY):
        skip = None if include_optimizer or optimizer is None else [optimizer]
        size = shards if target.endswith(".json") else None
        save_weights(loaded, target, max_shard_size=size, objects_to_skip=skip)
    elif target.endswith(("/", os.sep)):
        save_model(loaded, target.rstrip("/" + os.sep), zipped=False)
    else:
        save_model(loaded, target, include_optimizer=include_optimizer and optimizer is not None)


# Weights without a model -------------------------------------------------------------------------

Arrays = Iterator[tuple[str, Any]]


def _convert_weights(
    contents: FileContents, target: str, include_optimizer: bool, shards: float
) -> None:
    source = contents.path
    if not target.endswith((*_WEIGHTS_ONLY, ".safetensors")):
        raise _needs_model(source, "it holds weights but no model")
    with file_errors_only(source):
        arrays = ((p, v) for p, v in _arrays(contents) if include_optimizer or not _is_state(p))
        if target.endswith(".safetensors"):
            _write_tensors(dict(arrays), target)
        elif target.endswith(".json"):
            with ShardWriter(target, shards) as writer:
                _write_entries(arrays, writer, {})
        else:
            import h5py

            with replacing(target) as stream, h5py.File(stream, "w") as handle:
                _write_entries(arrays, H5Writer(handle), contents.names)


def _arrays(contents: FileContents) -> Arrays:
    """Yield the arrays of a file by their paths, such as `layers/dense/vars/0`."""
    source = contents.path
    if source.endswith(".weights.json"):
        with ShardReader(source) as shards:
            for _, file in shards.files():
                yield from _h5_arrays(contents, H5Reader(file), skip_missing=True)
    elif contents.format.startswith(".safetensors"):
        with open_safetensors(source) as opened:
            paths = opened.keras_paths()
            unnamed = [n for n in opened.names if not n.startswith(OPTIMIZER) and n not in paths]
            if unnamed:
                raise _needs_model(
                    source, f"its tensor '{sorted(unnamed)[0]}' has no path of Keras"
                )
            for name in sorted(opened.names):
                if name.startswith(OPTIMIZER):
                    yield _OPTIMIZER_PATH + name.removeprefix(OPTIMIZER), opened.tensor(name)
                elif not name.startswith(ASSETS):
                    yield paths[name], opened.tensor(name)
    elif contents.format == ".weights.h5":
        with open_h5(source) as file:
            yield from _h5_arrays(contents, H5Reader(file))
    else:
        raise _needs_model(source, "its weights have no paths of Keras 3")


def _h5_arrays(contents: FileContents, reader: H5Reader, skip_missing: bool = False) -> Arrays:
    for weight in (*contents.weights, *contents.optimizer_weights):
        path, _, key = weight.path.rpartition("/")
        entry = reader.entry(path.removesuffix("vars").removesuffix("/"))
        if key in entry or not skip_missing:
            yield weight.path, entry[key]


def _write_entries(arrays: Arrays, writer: Any, names: Mapping[str, str]) -> None:
    for path, value in arrays:
        group, _, key = path.rpartition("/")
        owner = group.removesuffix("vars").removesuffix("/")
        writer.entry(owner, names.get(owner, owner.rpartition("/")[2]))[key] = value


def _write_tensors(arrays: Mapping[str, Any], target: str) -> None:
    tensors, paths = {}, {}
    for path, value in arrays.items():
        if _is_state(path):
            name = OPTIMIZER + path.removeprefix(_OPTIMIZER_PATH)
        else:
            name = path.replace("/vars/", ".").replace("/", ".")
            paths[name] = path
        tensors[name] = torch.as_tensor(value)
    metadata = {"format": "pt", "keras_version": KERAS_VERSION, "keras_paths": json.dumps(paths)}
    with replacing(target) as stream:
        write_safetensors(stream, tensors, metadata)


def _is_state(path: str) -> bool:
    return path.startswith(_OPTIMIZER_PATH)


def _needs_model(source: str, problem: str) -> FileFormatError:
    return FileFormatError(
        source,
        problem,
        fix="give a file with the model, as `--model FILE` on the command line, or convert to"
        " '.weights.h5', '.weights.json' or '.safetensors'.",
    )
