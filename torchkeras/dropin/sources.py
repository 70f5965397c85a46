"""The names of Keras's modules, `keras_src.json`, and what a name leads to that no module here has.

The file is read from Keras's wheel by `python -m compat_tests.keras_src --write`; it holds names
alone. `internals` looks here for what it does not find in our modules: an import leads to what it
imports, a name of another engine to that of torch, and anything else to a placeholder that raises
when it is used.
"""

from __future__ import annotations

import functools
import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .absent import absent
from .parts import all_objects

__all__ = ["ENGINES", "TABLE", "find", "has_module", "names", "public_names"]

TABLE = Path(__file__).with_name("keras_src.json")
ENGINES = ("backend.jax", "backend.numpy", "backend.openvino", "backend.tensorflow")

_ROOT = "keras.src"
_TORCH = "backend.torch"
_PUBLIC = "use the public API of `keras`, or PyTorch itself."


@functools.cache
def _table() -> dict[str, dict[str, Any]]:
    return json.loads(TABLE.read_text(encoding="utf-8"))


def has_module(path: str) -> bool:
    """Tell whether Keras has a module of this path below `keras.src`."""
    return path in _table()


@functools.cache
def _module(path: str) -> dict[str, str]:
    """Each name of a module, with where an import statement takes it from (`""` if defined there).

    Imports are written `{"keras.src": "backend ops", "": "numpy=np"}` in the file.
    """
    row = _table().get(path, {})
    defined = {name: "" for kind in row if kind != "imports" for name in row[kind].split()}
    imported = {
        alias or name: f"{module}:{name}" if name else module
        for module, names in row.get("imports", {}).items()
        for name, _, alias in (entry.partition("=") for entry in names.split())
    }
    return defined | imported


def names(path: str) -> frozenset[str]:
    """All names of a module of Keras, private ones included; empty for an unknown module."""
    return frozenset(_module(path))


def public_names(path: str) -> list[str]:
    """The names that `from keras.src.<path> import *` gives."""
    return sorted(name for name in names(path) if not name.startswith("_"))


def find(path: str, name: str) -> Any:
    """Find what a name of a module of Keras leads to, where no module of ours has it.

    Args:
        path: The module's path below `keras.src`.
        name: One of `names(path)`.
    """
    origin = _module(path)[name]
    if origin:
        return _imported(path, name, origin)
    if name in ("ALL_OBJECTS", "ALL_OBJECTS_DICT"):
        table = _objects(path)
        return table if name == "ALL_OBJECTS_DICT" else frozenset(table.values())
    public = name.removeprefix("_")
    if path.startswith("ops.") and public != name and public in names(path):
        # What an op runs on tensors; ours is one definition.
        return getattr(importlib.import_module(f"{_ROOT}.{path}"), public)
    full = ".".join(filter(None, (_ROOT, path, name)))
    engine = next((e for e in ENGINES if path == e or path.startswith(e + ".")), None)
    if engine is None:
        return absent(full, "torchkeras has no equivalent of this internal name.", _PUBLIC)
    counterpart = _TORCH + path.removeprefix(engine)
    if name in names(counterpart):
        return getattr(importlib.import_module(f"{_ROOT}.{counterpart}"), name)
    return absent(full, "it belongs to another engine; torch is the only one here.", _PUBLIC)


@functools.cache
def _objects(path: str) -> Mapping[str, Any]:
    """The table of what the functions `get` and `deserialize` of a package know."""
    folder = f"{_ROOT}.{path}."
    package = importlib.import_module(folder.rstrip("."))
    listed = [name for name, origin in _module(path).items() if origin.startswith(folder)]
    return all_objects(path, {name: getattr(package, name) for name in listed})


def _imported(path: str, name: str, origin: str) -> Any:
    """Follow an import statement: `"numpy"`, or `"keras.src.backend:KerasTensor"`."""
    module, _, attribute = origin.partition(":")
    try:
        if f"{module}.{attribute}".startswith(_ROOT + ".") and has_module(
            f"{module}.{attribute}".removeprefix(_ROOT + ".")
        ):
            return importlib.import_module(f"{module}.{attribute}")
        found = importlib.import_module(module)
        return getattr(found, attribute) if attribute else found
    except (ImportError, AttributeError):
        package = module.partition(".")[0]
        reason = f"Keras takes it from `{origin.replace(':', '.')}`, which is not there."
        return absent(
            ".".join(filter(None, (_ROOT, path, name))), reason, f"install the package `{package}`."
        )
