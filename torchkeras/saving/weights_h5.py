"""Weights in Keras 3's HDF5 layout: `.weights.h5` files, and the member of that name in `.keras`.

Each saveable has a group at its path, and its arrays are `vars/0`, `vars/1`, … in it; the object's
name is an attribute of `vars`. Paths come from `walk`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, MutableMapping
from typing import IO, Any

import numpy as np
import torch

from .atomic import replacing
from .errors import FileFormatError
from .h5_guard import H5File, open_h5
from .walk import load_state, save_state

__all__ = [
    "H5Reader",
    "H5Writer",
    "ReadEntry",
    "load_weights",
    "read_array",
    "save_weights",
    "to_array",
    "write_array",
    "write_h5",
]

NO_VALUES = (
    "'{}' is on the 'meta' device and has no values to save.\n"
    "Fix: give the model memory with `model.to_empty(device='cpu')` and load weights first."
)
# What NumPy has no dtype for is written as opaque bytes; an attribute says which it is.
_OPAQUE = {
    torch.bfloat16: "bfloat16",
    torch.float8_e4m3fn: "float8_e4m3fn",
    torch.float8_e5m2: "float8_e5m2",
}


def to_array(value: Any) -> tuple[np.ndarray, str | None]:
    """Return a value as an array to write, and the name of its dtype if NumPy lacks it."""
    if not isinstance(value, torch.Tensor):
        return np.asarray(value), None
    path = getattr(value, "path", None)
    value = value.detach()
    if value.is_meta:
        raise ValueError(NO_VALUES.format(path or "a weight"))
    value = value.cpu()
    opaque = _OPAQUE.get(value.dtype)
    if opaque is None:
        return value.resolve_conj().resolve_neg().numpy(), None
    raw = value.contiguous().reshape(-1).view(torch.uint8).numpy()  # of stride 1, whatever its axes
    return raw.view(f"V{value.element_size()}").reshape(value.shape), opaque


def write_array(group: Any, key: str, array: np.ndarray, opaque: str | None) -> None:
    """Write what `to_array` returned as a dataset."""
    dataset = group.create_dataset(key, data=array)
    if opaque is not None:
        dataset.attrs["dtype"] = opaque


def read_array(group: Any, key: str) -> np.ndarray | torch.Tensor:
    """Return what `write_array` wrote into a file that is still open."""
    # Our own file, of no size yet: no limit.
    return H5File(group.file, "a file being written", sys.maxsize).read(group[key])


class H5Writer:
    """Writes entries into an open `h5py.File`."""

    def __init__(self, handle: Any) -> None:
        self.handle = handle

    def entry(self, path: str, name: str | None = None) -> _NewEntry:
        """Return the entry of one path; with a `name` its group is made even if it stays empty."""
        return _NewEntry(self.handle, f"{path}/vars" if path else "vars", name)

    def has(self, path: str) -> bool:
        """Return whether something was written at a path."""
        return path in self.handle


class _NewEntry(MutableMapping):
    """The arrays of one path; each is written as it is set, and not kept."""

    is_of_a_file = True

    def __init__(self, handle: Any, path: str, name: str | None) -> None:
        self._handle, self._path, self._group = handle, path, None
        if name is not None:
            self._make_group().attrs["name"] = name

    def _make_group(self) -> Any:
        if self._group is None:
            self._group = self._handle.require_group(self._path)
        return self._group

    def __setitem__(self, key: str, value: Any) -> None:
        write_array(self._make_group(), key, *to_array(value))

    def __getitem__(self, key: str) -> np.ndarray | torch.Tensor:
        if self._group is None or key not in self._group:
            raise KeyError(key)
        return read_array(self._group, key)

    def __delitem__(self, key: str) -> None:
        if self._group is None or key not in self._group:
            raise KeyError(key)
        del self._group[key]

    def __iter__(self) -> Iterator[str]:
        return iter(() if self._group is None else self._group.keys())

    def __len__(self) -> int:
        return 0 if self._group is None else len(self._group)


class H5Reader:
    """Reads entries from a checked HDF5 file."""

    def __init__(self, file: H5File) -> None:
        self.file = file
        top = file.group("vars")
        self._is_old = top is None or not file.has_attribute("name", top)

    def entry(self, path: str) -> _Entry:
        """Return the entry of one path; it is empty if the file has none."""
        group = self._find(path)
        return _Entry(self.file, None if group is None else self.file.group("vars", group))

    def has(self, path: str) -> bool:
        """Return whether there is anything at a path."""
        return self._find(path) is not None

    def _find(self, path: str) -> Any:
        found = self.file.group(path)
        if found is not None or not self._is_old:
            return found
        # tf.keras has private names (`_query_dense`) where Keras 3 has public ones.
        found = self.file.group("")
        for part in path.split("/"):
            names = (part, f"_{part}", part.lstrip("_"), _OLD_NAMES.get(part))
            steps = (self.file.group(name, found) for name in names if name)
            found = next((step for step in steps if step is not None), None)
            if found is None:
                return None
        return found


_OLD_NAMES = {"layers": "_layer_checkpoint_dependencies"}  # tf.keras 2.12 and 2.13


class ReadEntry(Mapping):
    """The arrays of one path in a file; what tries to change them is told that it cannot."""

    def __setitem__(self, key: str, value: Any) -> None:
        raise ValueError(f"Setting a value is only allowed in write mode. Received: key='{key}'")

    def __delitem__(self, key: str) -> None:
        raise ValueError(f"Deleting a value is only allowed in write mode. Received: key='{key}'")


class _Entry(ReadEntry):
    """The arrays of one path, read when they are asked for."""

    def __init__(self, file: H5File, group: Any) -> None:
        self._file, self._group = file, group
        self._names = [] if group is None else file.names(group)

    def __getitem__(self, key: str) -> np.ndarray | torch.Tensor:
        return self._file.read(self._dataset(key))

    def read_into(self, key: str, weight: torch.Tensor) -> bool:
        """Read an array into the memory of a weight; return `False` if that cannot be done."""
        return self._file.read_into(self._dataset(key), weight)

    def shape_of(self, key: str) -> tuple[int, ...]:
        """Return the shape of an array without reading it."""
        return tuple(self._dataset(key).shape)

    def _dataset(self, key: str) -> Any:
        found = None if self._group is None else self._file.dataset(self._group, key)
        if found is None:
            raise KeyError(key)
        return found

    def __contains__(self, key: object) -> bool:
        return key in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def write_h5(model: Any, stream: IO[bytes], assets: Any = None, skip: Any = None) -> None:
    """Write the state of a model into an empty file opened for reading and writing."""
    import h5py

    with h5py.File(stream, "w") as handle:
        save_state(model, H5Writer(handle), assets, skip)


def save_weights(model: Any, file: Any, skip: Any = None) -> None:
    """Write a `.weights.h5` file.

    Args:
        model: A built model.
        file: A path, or a file object opened for reading and writing.
        skip: Objects for which it is true are left out.
    """
    if hasattr(file, "write"):
        write_h5(model, file, skip=skip)
        return
    with replacing(file) as stream:
        write_h5(model, stream, skip=skip)


def load_weights(
    model: Any,
    file: Any,
    stream: IO[bytes] | None = None,
    stored: int | None = None,
    *,
    skip_mismatch: bool = False,
    skip: Any = None,
) -> None:
    """Read a `.weights.h5` file into a model.

    Args:
        model: A built model.
        file: A path, or a file object opened for reading.
        stream: Where the bytes are, if not in `file` itself.
        stored: How many bytes they take there.
        skip_mismatch: Warn about what does not fit, and leave it as it is.
        skip: Objects for which it is true are left alone.

    Raises:
        FileFormatError: The file is damaged, or does not fit the model.
    """
    with open_h5(file, stream, stored) as opened:
        if opened.group("model_weights") is not None or opened.has_attribute("layer_names"):
            raise FileFormatError(
                file,
                "the file has the layout of whole-model `.h5` files",
                fix="give it a name that ends in '.h5' and not in '.weights.h5'.",
            )
        load_state(model, H5Reader(opened), source=file, skip_mismatch=skip_mismatch, skip=skip)
