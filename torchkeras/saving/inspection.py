"""What a model file contains, read without building anything: `inspect_file` and its `report`.

All reading goes through the guards of loading, so a stranger's file may be looked at; text of a
file is shown without control characters, which a terminal would obey.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .assets import check_folder
from .errors import FileFormatError, file_errors_only
from .h5_guard import H5File, load_json, open_h5, read_attributes
from .legacy_training import decode
from .safetensors_file import ASSETS, OPTIMIZER, open_safetensors
from .saved_model import read_saved_model
from .sharded_h5 import ShardReader
from .sniff import ARCHIVE, CHECKPOINT, FOLDER, HDF5, SAFETENSORS, SAVED_MODEL, sniff
from .tf_bundle import Bundle, find_prefix
from .zip_guard import open_member, open_zip, read_text

__all__ = ["FileContents", "Layer", "Weight", "inspect_file", "report"]

_MAX_DEPTH = 200
# The arguments worth a place in the table, where a layer has them.
_ARGUMENTS = (
    "units filters kernel_size strides padding pool_size activation rate axis input_dim output_dim"
    " num_heads key_dim merge_mode batch_shape batch_input_shape"
).split()
_FORMATS = {
    ARCHIVE: ".keras, a zip archive",
    FOLDER: "folder with the content of a .keras file",
    SAFETENSORS: ".safetensors",
    CHECKPOINT: "TensorFlow checkpoint, weights only",
    SAVED_MODEL: "TensorFlow SavedModel",
}


@dataclasses.dataclass(frozen=True)
class Weight:
    """An array in a file: its path, shape, dtype and bytes."""

    path: str
    shape: tuple[int, ...]
    dtype: str
    size_bytes: int


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer in a configuration; `depth` counts the models that it is inside of."""

    depth: int
    name: str
    class_name: str
    arguments: Mapping[str, Any]


@dataclasses.dataclass
class FileContents:
    """What a file contains.

    Args:
        path: The file.
        format: In words.
        size_bytes: Its size; that of all its parts.
        saved_by: Versions and date, by name.
        model: Class and name of the model, if the file has one.
        layers: Its layers.
        training: How it was compiled, by argument.
        weights: The arrays of the model.
        optimizer_weights: The arrays of its optimizer.
        assets: The names and sizes of layers' files.
        names: The layers' names by their paths in the file, where it tells.
    """

    path: str
    format: str
    size_bytes: int
    saved_by: dict[str, str] = dataclasses.field(default_factory=dict)
    model: tuple[str, str] | None = None
    layers: list[Layer] = dataclasses.field(default_factory=list)
    training: dict[str, Any] = dataclasses.field(default_factory=dict)
    weights: list[Weight] = dataclasses.field(default_factory=list)
    optimizer_weights: list[Weight] = dataclasses.field(default_factory=list)
    assets: list[tuple[str, int]] = dataclasses.field(default_factory=list)
    names: dict[str, str] = dataclasses.field(default_factory=dict)

    def add_config(self, config: Any) -> None:
        """Take the model's class, layers and training from its configuration."""
        if not isinstance(config, dict):
            raise FileFormatError(self.path, "its configuration does not describe a model")
        self.model = str(config.get("class_name")), _name(config)
        self.layers = list(_layers(config, 0))
        self.add_training(config.get("compile_config"))

    def add_training(self, training: Any) -> None:
        """Take how the model was compiled."""
        if isinstance(training, dict):
            known = ("optimizer", "optimizer_config", "loss", "metrics", "weighted_metrics")
            found = {k.removesuffix("_config"): training[k] for k in known if training.get(k)}
            self.training = {key: _short(value) for key, value in found.items()}

    def add_weight(self, weight: Weight, is_optimizer: bool) -> None:
        """Take an array."""
        (self.optimizer_weights if is_optimizer else self.weights).append(weight)


def inspect_file(path: Any) -> FileContents:
    """Read what a model file contains.

    Args:
        path: A `.keras`, `.h5`, `.weights.h5`, `.weights.json` or `.safetensors` file, or a folder
            with the content of a `.keras` file or a SavedModel; what the names of a TensorFlow
            checkpoint's files begin with.

    Raises:
        FileFormatError: It is none, damaged, or made to do harm.

    Example:
        >>> import pathlib, tempfile
        >>> from torchkeras import Input, Sequential, layers
        >>> path = str(pathlib.Path(tempfile.mkdtemp()) / "m.keras")
        >>> Sequential([Input((3,)), layers.Dense(2)], name="small").save(path)
        >>> contents = inspect_file(path)
        >>> contents.model, [weight.shape for weight in contents.weights]
        (('Sequential', 'small'), [(3, 2), (2,)])
    """
    path = os.fspath(path)
    if path.endswith(".weights.json") and os.path.isfile(path):
        read, kind = _read_shards, "weights in several .h5 files"
    else:
        found = sniff(path)
        read, kind = _READERS[found], _FORMATS.get(found, "HDF5")
    size = os.path.getsize(path) if os.path.isfile(path) else 0
    contents = FileContents(path, kind, size)
    with file_errors_only(path):
        read(contents)
    return contents


# Formats -----------------------------------------------------------------------------------------


def _read_archive(contents: FileContents) -> None:
    path = contents.path
    with open(path, "rb") as stream, open_zip(stream, path) as archive:
        names = set(archive.namelist())
        if "metadata.json" in names:
            _add_metadata(contents, read_text(archive, "metadata.json", path))
        contents.add_config(load_json(read_text(archive, "config.json", path), path))
        for info in archive.infolist():
            if info.filename.startswith("assets/") and not info.is_dir():
                contents.assets.append((info.filename.removeprefix("assets/"), info.file_size))
        if "model.weights.h5" in names:
            stored = archive.getinfo("model.weights.h5").compress_size
            with (
                open_member(archive, "model.weights.h5", path) as weights,
                open_h5(path, weights, stored) as file,
            ):
                _add_groups(contents, file, None, "", 0)


def _read_folder(contents: FileContents) -> None:
    root = contents.path
    check_folder(root)
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            size = os.path.getsize(path)
            contents.size_bytes += size
            inner = os.path.relpath(path, root).replace(os.sep, "/")
            if inner.startswith("assets/"):
                contents.assets.append((inner.removeprefix("assets/"), size))
    for name, add in (("metadata.json", _add_metadata), ("config.json", _add_config)):
        path = os.path.join(root, name)
        if os.path.exists(path):
            with open(path, "rb") as stream:
                add(contents, stream.read())
    path = os.path.join(root, "model.weights.h5")
    if os.path.exists(path):
        with open_h5(path) as file:
            _add_groups(contents, file, None, "", 0)


def _read_h5(contents: FileContents) -> None:
    with open_h5(contents.path) as file:
        top = file.handle
        for key in ("keras_version", "backend"):
            found = file.attribute(top, key)
            if isinstance(found, str):
                contents.saved_by[key] = found
        text = file.attribute(top, "model_config")
        if isinstance(text, str):
            contents.format = ".h5, a whole model"
            contents.add_config(load_json(text, contents.path))
            training = file.attribute(top, "training_config")
            if isinstance(training, str):
                contents.add_training(load_json(training, contents.path))
        group = file.group("model_weights")
        if group is None and file.has_attribute("layer_names"):
            group = top
        if group is None:
            contents.format = ".weights.h5"
            _add_groups(contents, file, None, "", 0)
            return
        if not isinstance(text, str):
            contents.format = ".h5, weights only"
        for name in read_attributes(file, group, "layer_names"):
            _add_legacy(contents, file, file.group(name, group), name, False)
            contents.names[name] = name
        _add_legacy(contents, file, file.group("optimizer_weights"), "optimizer_weights", True)


def _read_safetensors(contents: FileContents) -> None:
    with open_safetensors(contents.path) as opened:
        metadata = opened.metadata
        if "keras_config" in metadata:
            contents.add_config(load_json(metadata["keras_config"], contents.path))
        else:
            contents.format = ".safetensors, weights only"
        if "keras_version" in metadata:
            contents.saved_by["keras_version"] = metadata["keras_version"]
        for name in sorted(opened.names):
            shape, dtype, size = opened.declared(name)
            if name.startswith(ASSETS):
                contents.assets.append((name.removeprefix(ASSETS), size))
            else:
                weight = Weight(name, shape, dtype, size)
                contents.add_weight(weight, name.startswith(OPTIMIZER))
        for layer in contents.layers:
            contents.names[layer.name] = layer.name


def _read_shards(contents: FileContents) -> None:
    with ShardReader(contents.path) as reader:
        for name, file in reader.files():
            contents.size_bytes += os.path.getsize(
                os.path.join(os.path.dirname(contents.path), name)
            )
            _add_groups(contents, file, None, "", 0)


def _read_checkpoint(contents: FileContents) -> None:
    bundle = Bundle(find_prefix(contents.path))
    contents.size_bytes = bundle.size
    for key, entry in bundle.entries.items():
        path, _, kind = key.partition("/.ATTRIBUTES/")
        # Others describe the objects, or are counts of metrics.
        if kind and not path.startswith("keras_api/"):
            weight = Weight(path, entry.shape, entry.dtype_name, entry.size)
            parts = path.split("/")
            contents.add_weight(weight, parts[0] == "optimizer" or ".OPTIMIZER_SLOT" in parts)


def _read_saved_model(contents: FileContents) -> None:
    found = read_saved_model(contents.path)
    if found is None:
        contents.format = "TensorFlow SavedModel without a Keras model"
    else:
        contents.saved_by["keras_version"] = str(found.get("keras_version"))
        contents.add_config(decode(found))
        contents.add_training(found.get("training_config"))
    _read_checkpoint(contents)


_READERS = {
    ARCHIVE: _read_archive,
    FOLDER: _read_folder,
    HDF5: _read_h5,
    SAFETENSORS: _read_safetensors,
    CHECKPOINT: _read_checkpoint,
    SAVED_MODEL: _read_saved_model,
}


def _add_config(contents: FileContents, text: bytes) -> None:
    contents.add_config(load_json(text, contents.path))


def _add_metadata(contents: FileContents, text: bytes) -> None:
    metadata = load_json(text, contents.path, "metadata")
    if isinstance(metadata, dict):
        contents.saved_by |= {str(key): str(value) for key, value in metadata.items()}


def _add_groups(contents: FileContents, file: H5File, group: Any, path: str, depth: int) -> None:
    """Take the arrays in Keras 3's layout: those of an object are in its group `vars`."""
    if depth > _MAX_DEPTH:  # groups can contain each other
        raise FileFormatError(
            contents.path, f"its groups are nested more than {_MAX_DEPTH} levels deep"
        )
    for name in file.names(group):
        inner = f"{path}/{name}" if path else name
        child = file.group(name, group)
        if name != "vars":
            _add_groups(contents, file, child, inner, depth + 1)
            continue
        label = file.attribute(child, "name")
        if isinstance(label, str):
            contents.names[path] = label
        for key in file.names(child):
            weight = _weight(file, file.dataset(child, key), f"{inner}/{key}")
            contents.add_weight(weight, inner.startswith("optimizer/"))


def _add_legacy(
    contents: FileContents, file: H5File, group: Any, path: str, is_optimizer: bool
) -> None:
    """Take the arrays that a group's attribute `weight_names` lists."""
    if group is None:
        return
    for name in read_attributes(file, group, "weight_names"):
        dataset = file.dataset(group, name)
        if dataset is not None:
            contents.add_weight(_weight(file, dataset, f"{path}/{name}"), is_optimizer)


def _weight(file: H5File, dataset: Any, path: str) -> Weight:
    size = int(dataset.size or 0) * dataset.dtype.itemsize
    return Weight(path, tuple(dataset.shape), file.dtype_name(dataset), size)


# Configurations ----------------------------------------------------------------------------------


def _name(config: Any) -> str:
    inner = config.get("config") if isinstance(config, dict) else None
    return str(inner.get("name", "")) if isinstance(inner, dict) else ""


def _layers(config: Mapping[str, Any], depth: int) -> Iterator[Layer]:
    """Yield the layers of a model's configuration, of any age, and those of models inside."""
    inner = config.get("config")
    found = inner.get("layers") if isinstance(inner, dict) else inner
    for layer in found if isinstance(found, list) else ():
        if not isinstance(layer, dict):
            continue
        own = layer.get("config")
        own = own if isinstance(own, dict) else {}
        arguments = {key: _short(own[key]) for key in _ARGUMENTS if own.get(key) is not None}
        if isinstance(own.get("layer"), dict):
            arguments["layer"] = _short(own["layer"])
        name = _name(layer) or str(layer.get("name", ""))
        yield Layer(depth, name, str(layer.get("class_name")), arguments)
        yield from _layers(layer, depth + 1)


def _short(value: Any) -> Any:
    """Return a configuration's value as a line can show it."""
    if isinstance(value, dict) and "class_name" in value:
        inner = value.get("config")
        return inner if isinstance(inner, str) else value["class_name"]
    if isinstance(value, dict):
        return {key: _short(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_short(item) for item in value]
    return value


# Text --------------------------------------------------------------------------------------------


def report(contents: FileContents) -> str:
    """Return the contents of a file as text: what it is, its architecture, its arrays."""
    lines = [_clean(contents.path, 200)]
    facts = {"format": f"{contents.format}, {_bytes(contents.size_bytes)}"}
    facts |= {key.replace("_", " "): value for key, value in contents.saved_by.items()}
    if contents.model:
        kind, name = contents.model
        count = len(contents.layers)
        facts["model"] = f"{kind} '{name}', {count} layer{'s' * (count != 1)}"
    facts |= {key.replace("_", " "): value for key, value in contents.training.items()}
    facts["weights"] = _total(contents.weights)
    if contents.optimizer_weights:
        facts["optimizer state"] = _total(contents.optimizer_weights)
    width = max(map(len, facts))
    lines += [f"  {key:{width}}  {_clean(value, 120)}" for key, value in facts.items()]
    if contents.layers:
        lines += ["", *_table(("layer", "class", "arguments", "parameters"), _layer_rows(contents))]
    if contents.weights:
        lines += ["", *_table(("weight", "shape", "dtype", "bytes"), _rows(contents.weights))]
    if contents.optimizer_weights:
        rows = _rows(contents.optimizer_weights)
        lines += ["", *_table(("optimizer state", "shape", "dtype", "bytes"), rows)]
    if contents.assets:
        rows = ((name, f"{size:,}") for name, size in contents.assets)
        lines += ["", *_table(("asset", "bytes"), rows)]
    return "\n".join(lines)


def _layer_rows(contents: FileContents) -> Iterator[tuple[str, ...]]:
    counts: dict[str, int] = {}
    for weight in contents.weights:
        for owner in _owners(weight.path, contents.names):
            counts[owner] = counts.get(owner, 0) + math.prod(weight.shape)
    for layer in contents.layers:
        arguments = ", ".join(f"{key}={value}" for key, value in layer.arguments.items())
        count = counts.get(layer.name)
        indent = "  " * layer.depth
        yield f"{indent}{layer.name}", layer.class_name, arguments, f"{count:,}" if count else ""


def _owners(path: str, names: Mapping[str, str]) -> set[str]:
    """Return the names of the layers that an array is in: its own and those around."""
    if "/" in path:
        parts = path.split("/", _MAX_DEPTH)
        prefixes = ("/".join(parts[:end]) for end in range(1, len(parts)))
    else:  # names of tensors, such as `inner.dense.kernel`
        prefixes = iter(path.split(".")[:-1])
    return {names[prefix] for prefix in prefixes if prefix in names}


def _rows(weights: Iterable[Weight]) -> Iterator[tuple[str, ...]]:
    for weight in weights:
        yield weight.path, str(weight.shape), weight.dtype, f"{weight.size_bytes:,}"


def _table(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Lay out rows; the last column is of numbers."""
    cells = [titles, *(tuple(_clean(cell, 60) for cell in row) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(titles))]

    def line(row: tuple[str, ...]) -> str:
        left = (f"{cell:{width}}" for cell, width in zip(row[:-1], widths[:-1], strict=True))
        return f"{'  '.join(left)}  {row[-1]:>{widths[-1]}}".rstrip()

    rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
    return [line(cells[0]), rule, *map(line, cells[1:])]


def _total(weights: list[Weight]) -> str:
    values = sum(math.prod(weight.shape) for weight in weights)
    size = _bytes(sum(weight.size_bytes for weight in weights))
    return f"{len(weights)} arrays, {values:,} values, {size}"


def _bytes(size: int) -> str:
    """Show a size as people read it.

    >>> _bytes(999), _bytes(123456)
    ('999 B', '123.5 kB')
    """
    if size < 1000:
        return f"{size} B"
    value = float(size)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 1000 or unit == "TB":
            return f"{value:.1f} {unit}"
    raise AssertionError


def _clean(value: Any, limit: int) -> str:
    """Return text without what a terminal obeys, cut to a length."""
    try:
        text = str(value)
    except ValueError:  # a number of thousands of digits
        text = "?"
    text = "".join(c if c.isprintable() else "?" for c in text[: limit + 1])
    return f"{text[: limit - 1]}…" if len(text) > limit else text
