"""Stores of arrays and files by path, for code that writes formats of its own.

`H5IOStore`, `ShardedH5IOStore`, `NpzIOStore` and `DiskIOStore` have the names and methods that
libraries know from Keras's `saving_lib` (for LoRA files, say). They are the readers and writers
behind the formats here: reading goes through the same guards, and a file takes its place when its
store is closed. An entry, what `make` and `get` return, is a mapping from keys to arrays.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import pathlib
import warnings
import zipfile
from collections.abc import Callable, Mapping, MutableMapping
from typing import IO, Any

import numpy as np

from .assets import AssetFolder, new_asset_folder
from .atomic import replacing
from .errors import FileFormatError
from .h5_guard import open_h5
from .sharded_h5 import ShardReader, ShardWriter
from .weights_h5 import H5Reader, H5Writer
from .zip_guard import open_member, open_zip, read_member, unpack_folder

__all__ = ["DiskIOStore", "H5IOStore", "NpzIOStore", "ShardedH5IOStore"]


class _Store:
    """A store that is open for writing, or for reading.

    Args:
        mode: `"w"` or `"r"`.
    """

    def __init__(self, mode: str | None) -> None:
        if mode not in ("w", "r"):
            raise ValueError(f"`mode` should be either 'w' or 'r'. Received: {mode}")
        self.mode = mode
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exception: Any) -> None:
        self._stack.__exit__(*exception)

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # not closed, so what was written is not wanted
            self._stack.__exit__(GeneratorExit, GeneratorExit(), None)

    def close(self) -> None:
        """Finish the file; what was written takes its place."""
        self._stack.close()

    def _on_success(self, write: Callable[[], Any]) -> None:
        """Let the store end with a call, unless an exception ends it."""

        def finish(kind: type | None, *details: Any) -> None:
            if kind is None:
                write()

        self._stack.push(finish)

    def _require(self, mode: str, method: str) -> None:
        if self.mode != mode:
            which = "write" if mode == "w" else "read"
            raise ValueError(f"`{method}` is only allowed in {which} mode.")


class _H5Store(_Store):
    """The part that the two stores of HDF5 files share; they set `_file`."""

    _file: Any

    def make(self, path: str, metadata: Mapping[str, Any] | None = None) -> MutableMapping:
        """Return a new entry.

        Args:
            path: Where in the file; the empty string is its top.
            metadata: Attributes of the entry's group, which is made at once then, instead of with
                its first array.
        """
        self._require("w", "make")
        if metadata is not None and not isinstance(metadata, Mapping):
            raise ValueError(f"`metadata` should be a dict or `None`. Received: {metadata}")
        entry = self._file.entry(path)
        if metadata:
            group = self._file.handle.require_group(f"{path}/vars" if path else "vars")
            group.attrs.update(metadata)
        return entry

    def get(self, path: str) -> Mapping:
        """Return the entry at a path; it is empty if there is none."""
        self._require("r", "get")
        return self._file.entry(path)

    def has_path(self, path: str) -> bool:
        """Tell whether a file has anything at a path."""
        return self._file.has(path)


class H5IOStore(_H5Store):
    """Arrays in one HDF5 file, with the layout of `.weights.h5`.

    Args:
        path_or_io: A path, or an `io.BytesIO`.
        archive: An open `zipfile.ZipFile`; `path_or_io` is then the name of a member of it.
        mode: `"w"` or `"r"`.

    Raises:
        TypeError: `path_or_io` is something else.
        ValueError: `mode` is; an `io.BytesIO` goes with no archive.
        FileFormatError: The file is damaged, or made to do harm.

    Example:
        >>> buffer = io.BytesIO()
        >>> with H5IOStore(buffer, mode="w") as store:
        ...     store.make("lora")["rank"] = 4
        >>> with H5IOStore(buffer, mode="r") as store:
        ...     int(store.get("lora")["rank"])
        4
    """

    def __init__(
        self, path_or_io: Any, archive: zipfile.ZipFile | None = None, mode: str = "r"
    ) -> None:
        super().__init__(mode)
        if isinstance(path_or_io, io.BytesIO):
            if archive is not None:
                raise ValueError(
                    "When `path_or_io` is an `io.BytesIO` object, `archive` should be `None`."
                    f" Received: archive={archive}"
                )
        elif not isinstance(path_or_io, (str, pathlib.Path)):
            raise TypeError(
                "`path_or_io` should be a `str`, `pathlib.Path` or `io.BytesIO` object. Received:"
                f" path_or_io={path_or_io} of type {type(path_or_io)}."
            )
        self.path_or_io, self.archive = path_or_io, archive
        self._file = self._reader() if mode == "r" else self._writer()

    def _reader(self) -> H5Reader:
        stream = None
        if self.archive is not None:
            name = os.fspath(self.path_or_io)
            stream = self._stack.enter_context(open_member(self.archive, name, name))
        elif isinstance(self.path_or_io, io.BytesIO):
            stream = self.path_or_io
        return H5Reader(self._stack.enter_context(open_h5(self.path_or_io, stream)))

    def _writer(self) -> H5Writer:
        import h5py

        if self.archive is not None:
            stream: Any = io.BytesIO()
            name = os.fspath(self.path_or_io)
            self._on_success(lambda: self.archive.writestr(name, stream.getvalue()))
        elif isinstance(self.path_or_io, io.BytesIO):
            stream = self.path_or_io
        else:
            stream = self._stack.enter_context(replacing(self.path_or_io))
        return H5Writer(self._stack.enter_context(h5py.File(stream, "w")))

    @property
    def h5_file(self) -> Any:
        """The open `h5py.File`."""
        return self._file.handle if self.mode == "w" else self._file.file.handle

    def __bool__(self) -> bool:
        return bool(self.h5_file)


class ShardedH5IOStore(_H5Store):
    """Arrays in several HDF5 files of bounded size, and a map of them.

    Args:
        path_or_io: The path of the map, which ends in `.json`.
        max_shard_size: The largest size of a file, in GB.
        archive: Must be `None`: the files stand beside their map.
        mode: `"w"` or `"r"`.

    Raises:
        TypeError: `path_or_io` is no path.
        ValueError: `mode` is something else; an array is larger than a file may be.
        FileFormatError: A file is missing, damaged, or made to do harm.
        NotImplementedError: There is an archive.
    """

    def __init__(
        self, path_or_io: Any, max_shard_size: float = 5, archive: None = None, mode: str = "r"
    ) -> None:
        super().__init__(mode)
        if not isinstance(path_or_io, (str, pathlib.Path)):
            raise TypeError(
                "`path_or_io` should be a `str`, `pathlib.Path` object. Received:"
                f" path_or_io={path_or_io} of type {type(path_or_io)}."
            )
        if archive is not None:
            raise NotImplementedError(
                "Sharded weights lie beside their map, not in an archive; use `H5IOStore` there."
            )
        self.path = pathlib.Path(path_or_io)
        if self.path.suffix != ".json":
            renamed = self.path.with_suffix(".json")
            warnings.warn(
                f"The map of weights in several files is a `.json` file: '{self.path}' becomes"
                f" '{renamed}'.",
                stacklevel=2,
            )
            self.path = renamed
        path = os.fspath(self.path)
        file = ShardReader(path) if mode == "r" else ShardWriter(path, float(max_shard_size))
        self._file = self._stack.enter_context(file)

    @property
    def sharding_config(self) -> dict[str, Any]:
        """What the map holds."""
        return {
            "metadata": {"total_size": getattr(self._file, "total", 0)},
            "weight_map": self._file.map,
        }


class NpzIOStore(_Store):
    """Arrays in a NumPy archive (`.npz`), under `path/key`.

    Args:
        root_path: A path.
        archive: An open `zipfile.ZipFile`; `root_path` is then the name of a member of it.
        mode: `"w"` or `"r"`.

    Raises:
        ValueError: `mode` is something else.
        FileFormatError: The file is damaged, or made to do harm.
    """

    def __init__(
        self, root_path: Any, archive: zipfile.ZipFile | None = None, mode: str = "r"
    ) -> None:
        super().__init__(mode)
        self.root_path, self.archive = os.fspath(root_path), archive
        self._entries: dict[str, dict[str, Any]] = {}
        if mode == "w":
            self._on_success(self._write)
            return
        if archive is None:
            stream: IO[bytes] = self._stack.enter_context(open(self.root_path, "rb"))
        else:
            member = open_member(archive, self.root_path, self.root_path)
            stream = self._stack.enter_context(member)
        self._zip = self._stack.enter_context(open_zip(stream, self.root_path))

    def make(self, path: str, metadata: Mapping[str, Any] | None = None) -> MutableMapping:
        """Return a new entry; metadata has no place in the format."""
        self._require("w", "make")
        return self._entries.setdefault(path, {})

    def get(self, path: str) -> Any:
        """Return the entry at a path, or the values of the array of that name."""
        self._require("r", "get")
        names = [name.removesuffix(".npy") for name in self._zip.namelist()]
        if path in names:
            return self._read(path).tolist()
        prefix = f"{path}/" if path else ""
        inside = [name for name in names if name.startswith(prefix)]
        keys = [name[len(prefix) :] for name in inside if "/" not in name[len(prefix) :]]
        return {key: self._read(prefix + key) for key in keys}

    def has_path(self, path: str) -> bool:
        """Tell whether there is anything at a path."""
        if self.mode == "w":
            return path in self._entries
        return any(n.startswith((f"{path}/", f"{path}.npy")) for n in self._zip.namelist())

    def _read(self, name: str) -> np.ndarray:
        stream = io.BytesIO(read_member(self._zip, f"{name}.npy", self.root_path))
        try:
            version = np.lib.format.read_magic(stream)
            reader = {1: "1_0", 2: "2_0"}.get(version[0], "2_0")
            shape, _, dtype = getattr(np.lib.format, f"read_array_header_{reader}")(stream)
            held = len(stream.getbuffer()) - stream.tell()
            if dtype.hasobject or math.prod(shape) * dtype.itemsize > held:
                raise ValueError(f"it declares {dtype} values of shape {shape} and holds {held} B")
            stream.seek(0)
            return np.load(stream, allow_pickle=False)
        except ValueError as error:
            raise FileFormatError(
                self.root_path,
                f"Refusing to load npz weight '{name}', which is damaged or a bomb ({error})",
                fix="get the file from a source you trust.",
            ) from error

    def _write(self) -> None:
        arrays = {
            f"{path}/{key}" if path else key: value
            for path, entry in self._entries.items()
            for key, value in entry.items()
        }
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        if self.archive is not None:
            self.archive.writestr(self.root_path, buffer.getvalue())
            return
        with replacing(self.root_path) as stream:
            stream.write(buffer.getbuffer())


class DiskIOStore(_Store):
    """Files by the path of their layer, in a folder or in an archive.

    Args:
        root_path: The folder; in an archive, the name of a folder of it.
        archive: An open `zipfile.ZipFile`.
        mode: `"w"` or `"r"`. Without an archive, what is written is temporary.

    Raises:
        ValueError: `mode` is something else; a path leads out of the folder.
        FileFormatError: The archive is damaged, or made to do harm.
    """

    def __init__(
        self, root_path: Any, archive: zipfile.ZipFile | None = None, mode: str | None = None
    ) -> None:
        super().__init__(mode)
        self.root_path, self.archive = os.fspath(root_path), archive
        if mode == "r" and archive is None:
            self._folder = AssetFolder(self.root_path)
            return
        self._folder = self._stack.enter_context(new_asset_folder())
        if archive is not None and mode == "r":
            unpack_folder(archive, self.root_path, self.working_dir, self.root_path)
        elif archive is not None:
            self._on_success(self._write)

    @property
    def working_dir(self) -> str:
        """Where the files lie while the store is open."""
        return self._folder.root

    def _full_path(self, path: str) -> str:
        return self._folder.locate(path)

    def make(self, path: str) -> str:
        """Return the folder at a path, which is made if need be."""
        return self._folder.make(path)

    def get(self, path: str) -> str | None:
        """Return the folder at a path, or `None` if there is none."""
        return self._folder.get(path)

    def has_path(self, path: str) -> bool:
        """Tell whether there is a folder at a path."""
        try:
            return self._folder.get(path) is not None
        except ValueError:
            return False

    def _write(self) -> None:
        for name, path in self._folder.files():
            self.archive.write(path, f"{self.root_path}/{name}")
