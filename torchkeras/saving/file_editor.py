"""`KerasFileEditor`: look at the weights of a file, change what they belong to, save them again.

An object's *path* in a file is that of `walk`, such as `layers/dense_1`. In `weights_dict` an
object is a dict of its weights (`"0"`, `"1"`, …) and of the objects in it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..naming import explain, nearest
from .atomic import replacing
from .errors import FileFormatError
from .h5_guard import H5File, load_json, open_h5
from .walk import save_state
from .weights_h5 import H5Writer
from .zip_guard import open_member, open_zip, read_text

__all__ = ["KerasFileEditor"]

_MAX_DEPTH = 200


class KerasFileEditor:
    """The weights of a `.keras` or `.weights.h5` file, in memory, for looking and changing.

    Args:
        filepath: The file. It is not changed; `save` writes another.

    Raises:
        ValueError: The name has another extension; the file is damaged or hostile.

    Example:
        >>> import pathlib, tempfile, torch
        >>> from torchkeras import Sequential, layers
        >>> model = Sequential([layers.Dense(2, name="first")])
        >>> model.build((None, 3))
        >>> path = str(pathlib.Path(tempfile.mkdtemp()) / "m.weights.h5")
        >>> model.save_weights(path)
        >>> editor = KerasFileEditor(path)  # doctest: +ELLIPSIS
        Keras model file '...m.weights.h5'
        >>> editor.rename_object("dense", "dense_1")
        >>> editor.summary()
        Weights structure
          layers
            dense_1 ('first')
              0: shape=(3, 2), dtype=float32
              1: shape=(2,), dtype=float32
    """

    def __init__(self, filepath: Any) -> None:
        self.filepath = os.fspath(filepath)
        self.model = None
        self.metadata: Any = None
        self.config: Any = None
        if self.filepath.endswith(".keras"):
            with open(self.filepath, "rb") as stream, open_zip(stream, self.filepath) as archive:
                texts = [read_text(archive, name, self.filepath) for name in _TEXTS]
                self.metadata, self.config = (load_json(text, self.filepath) for text in texts)
                with (
                    open_member(archive, "model.weights.h5", self.filepath) as weights,
                    open_h5(self.filepath, weights) as file,
                ):
                    self._read(file)
        elif self.filepath.endswith(".weights.h5"):
            with open_h5(self.filepath) as file:
                self._read(file)
        else:
            raise ValueError(
                "Invalid filename: expected a `.keras` or `.weights.h5` extension. Received:"
                f" filepath={self.filepath}"
            )
        print(f"Keras model file '{self.filepath}'")
        if isinstance(self.metadata, dict):
            saved = (self.metadata.get(key, "?") for key in ("keras_version", "date_saved"))
            print("Saved with Keras {} - date: {}".format(*saved))

    def _read(self, file: H5File) -> None:
        self.object_metadata: dict[str, dict[str, Any]] = {}
        self.weights_dict = self._read_object(file, None, "", 0)

    def _read_object(self, file: H5File, group: Any, path: str, depth: int) -> dict[str, Any]:
        if depth > _MAX_DEPTH:  # groups can contain each other
            raise FileFormatError(
                file.source, f"its groups are nested more than {_MAX_DEPTH} levels deep"
            )
        found: dict[str, Any] = {}
        for name in file.names(group):
            child = file.group(name, group)
            if name == "vars":
                label = file.attribute(child, "name")
                if label is not None:
                    self.object_metadata[path] = {"name": label}
                found |= {key: file.read(file.dataset(child, key)) for key in file.names(child)}
            else:
                inner = self._read_object(file, child, _join(path, name), depth + 1)
                if inner:
                    found[name] = inner
        return found

    def summary(self) -> None:
        """Print the objects in the file, with the shapes and dtypes of their weights."""
        print("Weights structure")
        for path, key, value in _walk(self.weights_dict, ""):
            indent = "  " * (path.count("/") + 1)
            if isinstance(value, dict):
                name = self.object_metadata.get(path, {}).get("name")
                print(f"{indent}{key}" + (f" ('{name}')" if name else ""))
            else:
                print(f"{indent}{key}: shape={tuple(value.shape)}, dtype={value.dtype}")

    def compare(self, reference_model: Any) -> dict[str, Any]:
        """Print how the file differs from a model.

        Args:
            reference_model: A built model.

        Returns: `status` (`"success"` or `"error"`), `error_count` and `match_count`.
        """
        print("Running comparison")
        recorder = _Recorder()
        save_state(reference_model, recorder)
        errors: list[str] = []
        matches = _compare(self.weights_dict, recorder.tree(), "", errors)
        print(*errors, "─────────────────────", sep="\n")
        if errors:
            plural = "" if len(errors) == 1 else "s"
            print(f"Found {len(errors)} error{plural}: the file does not fit the reference model")
        else:
            plural = "" if matches == 1 else "s"
            print("Comparison successful: the file fits the reference model")
            print(f"    Found {matches} matching weight{plural}")
        status = "error" if errors else "success"
        return {"status": status, "error_count": len(errors), "match_count": matches}

    # Changes -------------------------------------------------------------------------------------

    def rename_object(self, object_name: str, new_name: str) -> None:
        """Give an object, such as a layer, another name.

        Args:
            object_name: Its name, if there is one of that name only, or its path.
            new_name: A name, without a path.
        """
        if "/" in new_name:
            raise ValueError(
                "Argument `new_name` should be a leaf name, not a full path name. Received:"
                f" new_name='{new_name}'"
            )
        parent, key, path = self._find(object_name)
        parent[new_name] = parent.pop(key)
        new_path = _join(path.rpartition("/")[0], new_name)
        for old in list(self.object_metadata):
            if f"{old}/".startswith(f"{path}/"):
                renamed = new_path + old[len(path) :]
                self.object_metadata[renamed] = self.object_metadata.pop(old)

    def delete_object(self, object_name: str) -> None:
        """Take an object, such as a layer, out.

        Args:
            object_name: Its name, if there is one of that name only, or its path.
        """
        parent, key, _ = self._find(object_name)
        del parent[key]

    def add_object(self, object_path: str, weights: Mapping[str, Any]) -> None:
        """Put an object, such as a layer, in.

        Args:
            object_path: Its whole path, such as `layers/dense_2`.
            weights: Its weights by name: `{"0": kernel, "1": bias}`.
        """
        _check_weights(weights)
        parent, _, name = object_path.rpartition("/")
        self._at(parent, object_path)[name] = dict(weights)

    def delete_weight(self, object_name: str, weight_name: str) -> None:
        """Take a weight of an object out.

        Args:
            object_name: The object's name, if there is one of that name only, or its path.
            weight_name: Such as `"0"`.
        """
        weights = self._object(object_name)
        if weight_name not in weights:
            raise ValueError(
                f"Weight {weight_name} not found in object {object_name}. Weights found:"
                f" {list(weights)}"
            )
        del weights[weight_name]

    def add_weights(self, object_name: str, weights: Mapping[str, Any]) -> None:
        """Put weights in an object.

        Args:
            object_name: The object's name, if there is one of that name only, or its path.
            weights: The weights by name: `{"0": kernel, "1": bias}`.
        """
        _check_weights(weights)
        self._object(object_name).update(weights)

    def save(self, filepath: Any) -> None:
        """Write the weights as they are now.

        Args:
            filepath: A path that ends in `.weights.h5`.
        """
        import h5py

        path = os.fspath(filepath)
        if not path.endswith(".weights.h5"):
            raise ValueError(
                "Invalid `filepath` argument: expected a `.weights.h5` extension. Received:"
                f" filepath={path}"
            )
        with replacing(path) as stream, h5py.File(stream, "w") as handle:
            writer = H5Writer(handle)
            objects = [("", self.weights_dict)]
            objects += [(p, v) for p, _, v in _walk(self.weights_dict, "") if isinstance(v, dict)]
            for inner, weights in objects:
                name = self.object_metadata.get(inner, {}).get("name")
                entry = writer.entry(inner, name)
                for key, value in weights.items():
                    if not isinstance(value, dict):
                        entry[key] = value

    def resave_weights(self, filepath: Any) -> None:
        """Write the weights as they are now; another name of `save`."""
        self.save(filepath)

    # Finding -------------------------------------------------------------------------------------

    def _find(self, name: str) -> tuple[dict[str, Any], str, str]:
        """The dict that holds an object, the object's key in it, and its path."""
        if "/" in name:
            parent_path, _, key = name.rpartition("/")
            parent = self._at(parent_path, name)
            if key not in parent:
                raise ValueError(f"Path '{name}' not found in model.")
            return parent, key, name
        paths = [path for path, key, _ in _walk(self.weights_dict, "") if key == name]
        if len(paths) == 1:
            parent_path = paths[0].rpartition("/")[0]
            return self._at(parent_path, name), name, paths[0]
        if paths:
            raise ValueError(
                explain(
                    f"Name '{name}' occurs more than once in the model.",
                    paths=", ".join(paths),
                    fix="try passing a complete path.",
                )
            )
        known = [key for _, key, value in _walk(self.weights_dict, "") if isinstance(value, dict)]
        raise ValueError(
            f"Name '{name}' does not appear in the model. {nearest(name, known)} Use"
            " `editor.summary()` to list all objects."
        )

    def _at(self, path: str, wanted: str) -> dict[str, Any]:
        """The object at a path."""
        current: Any = self.weights_dict
        for part in path.split("/") if path else ():
            current = current.get(part) if isinstance(current, dict) else None
        if not isinstance(current, dict):
            raise ValueError(f"Path '{path}' not found in model, looking for '{wanted}'.")
        return current

    def _object(self, name: str) -> dict[str, Any]:
        parent, key, path = self._find(name)
        if not isinstance(parent[key], dict):
            raise ValueError(f"'{path}' is a weight, not an object.")
        return parent[key]


_TEXTS = ("metadata.json", "config.json")


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def _walk(tree: dict[str, Any], path: str) -> Iterator[tuple[str, str, Any]]:
    """Yield path, key and value of everything in a tree, an object before what is in it."""
    for key, value in tree.items():
        inner = _join(path, key)
        yield inner, key, value
        if isinstance(value, dict):
            yield from _walk(value, inner)


def _check_weights(weights: Any) -> None:
    if not isinstance(weights, Mapping) or not all(hasattr(w, "shape") for w in weights.values()):
        raise ValueError(
            "Argument `weights` should be a dict where keys are weight names (usually '0', '1',"
            f" etc.) and values are NumPy arrays. Received: weights={weights!r}"
        )


class _Recorder:
    """Takes what `save_state` writes and keeps it, by path."""

    def __init__(self) -> None:
        self.entries: dict[str, dict[str, Any]] = {}

    def entry(self, path: str, name: str | None = None) -> dict[str, Any]:
        """Return where the arrays of one path go."""
        return self.entries.setdefault(path, {})

    def tree(self) -> dict[str, Any]:
        """Return all of it in the form of `KerasFileEditor.weights_dict`."""
        root: dict[str, Any] = {}
        for path, values in self.entries.items():
            if values:
                current = root
                for part in path.split("/") if path else ():
                    current = current.setdefault(part, {})
                current.update(values)
        return root


def _compare(saved: Any, model: Any, path: str, errors: list[str]) -> int:
    """Add how two trees differ to `errors`; return how many weights agree."""
    matches = 0
    for key in dict.fromkeys([*model, *saved]):
        inner = _join(path, key)
        kind = "Object" if isinstance(model.get(key, saved.get(key)), dict) else "Weight"
        if key not in saved:
            errors.append(f"...{kind} {inner} present in reference model, missing from saved file")
        elif key not in model:
            errors.append(f"...{kind} {inner} present in saved file, missing from reference model")
        elif isinstance(model[key], dict) and isinstance(saved[key], dict):
            matches += _compare(saved[key], model[key], inner, errors)
        elif (shapes := (_shape(saved[key]), _shape(model[key])))[0] != shapes[1]:
            errors.append(
                f"...Weight shape mismatch for {inner}\n"
                f"    In reference model: shape={shapes[1]}\n"
                f"    In saved file: shape={shapes[0]}"
            )
        else:
            matches += 1
    return matches


def _shape(value: Any) -> Any:
    return "an object" if isinstance(value, dict) else tuple(np.shape(value))
