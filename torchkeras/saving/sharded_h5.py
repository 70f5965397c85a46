"""Weights in several `.weights.h5` files and a `.weights.json` that says which is where.

The JSON has `weight_map`, from the group of each object (`/layers/dense/vars`) to the name of its
file, or to a list of names if its arrays are spread, and `metadata` with the size of all in bytes.

The map takes its place last, and in one step. Files that an older map lists stay untouched until
then: names are `m_00000.weights.h5`, … the first time and `m_00000-<random>.weights.h5`, … later.
Keras opens `m_00000.weights.h5` whatever the map says, so that one becomes a link to the new one.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import reprlib
from collections.abc import Iterator, MutableMapping
from typing import Any

import torch

from .atomic import remove_if_dead, replacing
from .errors import FileFormatError
from .h5_guard import H5File, load_json, open_h5
from .walk import load_state, save_state
from .weights_h5 import H5Reader, ReadEntry, read_array, to_array, write_array

__all__ = ["ShardReader", "ShardWriter", "load_sharded", "save_sharded"]


def save_sharded(model: Any, path: str, max_shard_size: float, skip: Any = None) -> None:
    """Write weights into files of bounded size.

    Args:
        model: A built model.
        path: Where the map goes; ends in `.weights.json`. The files stand beside it.
        max_shard_size: The largest size of a file, in GB.
        skip: Objects for which it is true are left out.

    Raises:
        ValueError: One array is larger than that.
    """
    with ShardWriter(path, max_shard_size) as writer:
        save_state(model, writer, skip=skip)


class ShardWriter:
    """Files of bounded size and their map; all take their places at the end of a `with` block.

    Args:
        path: Where the map goes.
        max_shard_size: The largest size of a file, in GB.
    """

    def __init__(self, path: str, max_shard_size: float) -> None:
        self.folder, name = os.path.split(path)
        self.base = os.path.splitext(name)[0].removesuffix(".weights")
        self.limit = int(max_shard_size * 1024**3)
        self.map: dict[str, str | list[str]] = {}
        self.total = self.size = 0
        self.handles: dict[str, Any] = {}
        self._stack = contextlib.ExitStack()
        # On success, in this order: the shards take their places, the map does, old shards go.
        self._stack.push(lambda kind, *_: kind is None and self._remove_old_shards(path))
        table = self._stack.enter_context(replacing(path))
        self._stack.callback(lambda: table.write(self._table()))
        self._own = os.path.basename(table.name)
        self._remove_half_shards()
        taken = any(self._shard_token(name) is not None for name in self._listing())
        self.suffix = f"-{self._token(self._own)}" if taken or self._others() else ""
        self.begin()

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, *exception: Any) -> None:
        self._stack.__exit__(*exception)

    def _table(self) -> bytes:
        table = {"metadata": {"total_size": self.total}, "weight_map": self.map}
        return json.dumps(table, indent=4).encode()

    # Old shards. A living saver has the file that becomes the map, whose random part its shards
    # bear too; one that was killed has none, since beginning to save removes it.

    def _listing(self) -> list[str]:
        return os.listdir(self.folder or ".")

    def _shard_token(self, name: str) -> str | None:
        """Return the random part of a shard's name, or `None` if it is none of ours."""
        pattern = rf"{re.escape(self.base)}_\d{{5}}(?:-([0-9a-f]{{12}}))?\.weights\.h5"
        found = re.fullmatch(pattern, name)
        return None if found is None else found[1] or ""

    @staticmethod
    def _token(saving: str) -> str:
        return saving.rsplit(".", 2)[1]

    def _others(self, names: list[str] | None = None) -> set[str]:
        """Return the random parts of other savers of this map."""
        prefix = self._own[: -len(".0123456789ab.saving")]
        names = self._listing() if names is None else names
        savers = (n for n in names if n.startswith(f"{prefix}.") and n.endswith(".saving"))
        return {self._token(name) for name in savers if name != self._own}

    def _remove_half_shards(self) -> None:
        """Remove what killed savers were writing; `replacing` looks for equal names only."""
        for name in self._listing():
            shard = re.fullmatch(r"\.(.+)\.[0-9a-f]{12}\.saving", name)
            if shard and self._shard_token(shard[1]) is not None:
                remove_if_dead(os.path.join(self.folder, name))

    def _remove_old_shards(self, path: str) -> None:
        # First who is alive, then the map: whoever finished in between is in the map.
        names = self._listing()
        others = self._others(names)
        with ShardReader(path) as reader:
            wanted = set(reader.names())
        first = f"{self.base}_00000.weights.h5"
        for name in names:
            token = self._shard_token(name)
            if token is None or name in wanted or token in others or (not token and others):
                continue
            old = os.path.join(self.folder, name)
            with contextlib.suppress(OSError):
                if name == first and self.suffix:
                    _link(os.path.join(self.folder, next(iter(self.handles))), old)
                else:
                    os.unlink(old)

    def begin(self) -> None:
        """Go on in a new file."""
        import h5py

        self.name = f"{self.base}_{len(self.handles):05}{self.suffix}.weights.h5"
        stream = self._stack.enter_context(replacing(os.path.join(self.folder, self.name)))
        self.handle = self._stack.enter_context(h5py.File(stream, "w"))
        self.handles[self.name] = self.handle
        self.size = 0

    def entry(self, path: str, name: str | None = None) -> _NewEntry:
        """Return the entry of one path."""
        group = f"{path}/vars" if path else "vars"
        if name is not None:
            self.handle.require_group(group).attrs["name"] = name
        return _NewEntry(self, group)

    def has(self, path: str) -> bool:
        """Return whether something was written at a path."""
        return any(path in handle for handle in self.handles.values())

    def put(self, group: str, key: str, value: Any) -> None:
        """Write one array."""
        array, opaque = to_array(value)
        if array.nbytes > self.limit:
            raise ValueError(
                f"'{group}/{key}' has {array.nbytes} bytes, which exceeds the maximum shard size,"
                f" {self.limit} bytes.\nFix: pass a larger `max_shard_size` (in GB)."
            )
        if self.size + array.nbytes > self.limit:
            self.handle.flush()
            self.begin()
        self.size += array.nbytes
        self.total += array.nbytes
        write_array(self.handle.require_group(group), key, array, opaque)
        known = self.map.setdefault(f"/{group}", self.name)
        names = known if isinstance(known, list) else [known]
        if self.name not in names:
            self.map[f"/{group}"] = [*names, self.name]

    def groups(self, group: str) -> Iterator[Any]:
        """Yield the parts of a group, from all files that have one."""
        for handle in self.handles.values():
            if group in handle:
                yield handle[group]


def _link(target: str, path: str) -> None:
    """Let a path mean another file as well, in one step."""
    beside = f"{path}.link"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(beside)
    os.link(target, beside)
    os.replace(beside, path)


class _NewEntry(MutableMapping):
    """The arrays of one path, written as they are set, into one file or several."""

    is_of_a_file = True

    def __init__(self, writer: ShardWriter, group: str) -> None:
        self._writer, self._group = writer, group

    def _part(self, key: str) -> Any:
        part = next((part for part in self._writer.groups(self._group) if key in part), None)
        if part is None:
            shards = list(self._writer.handles)
            raise KeyError(f"Key '{key}' not found in any of the shards: {shards}")
        return part

    def __setitem__(self, key: str, value: Any) -> None:
        self._writer.put(self._group, key, value)

    def __getitem__(self, key: str) -> Any:
        return read_array(self._part(key), key)

    def __delitem__(self, key: str) -> None:
        del self._part(key)[key]

    def __iter__(self) -> Iterator[str]:
        return (key for part in self._writer.groups(self._group) for key in part)

    def __len__(self) -> int:
        return sum(map(len, self._writer.groups(self._group)))


def load_sharded(model: Any, path: str, *, skip_mismatch: bool = False, skip: Any = None) -> None:
    """Read weights written by `save_sharded` into a model; arguments as for `load_weights`.

    Raises:
        FileFormatError: A file is missing or damaged, or does not fit the model.
    """
    with ShardReader(path) as reader:
        load_state(model, reader, source=path, skip_mismatch=skip_mismatch, skip=skip)


class ShardReader:
    """The files that a map lists, opened as they are needed, to the end of a `with` block.

    Args:
        path: The map.

    Raises:
        FileFormatError: It is no such map.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        with open(path, "rb") as stream:
            table = load_json(stream.read(), path)
        self.map = table.get("weight_map") if isinstance(table, dict) else None
        if not isinstance(self.map, dict):
            raise FileFormatError(
                path, "it has no 'weight_map'", fix="pass a file written by `save_weights`."
            )
        self.open: dict[str, H5Reader] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> ShardReader:
        return self

    def __exit__(self, *exception: Any) -> None:
        self._stack.__exit__(*exception)

    def _shard(self, name: Any) -> H5Reader:
        if not isinstance(name, str) or os.path.basename(name) != name or "\\" in name:
            raise FileFormatError(
                self.path,
                f"it names a file elsewhere ({reprlib.repr(name)})",
                fix="no saver writes such a file; get the weights from a source you trust.",
            )
        if name not in self.open:
            shard = os.path.join(os.path.dirname(self.path), name)
            if not os.path.isfile(shard):  # nor may it be a pipe
                raise FileFormatError(
                    self.path, f"its part '{name}' is missing", fix="copy all parts beside it."
                )
            # A cache may hold links to all of them in one folder.
            folders = {os.path.realpath(os.path.dirname(self.path) or ".")}
            folders.add(os.path.dirname(os.path.realpath(self.path)))
            if os.path.dirname(os.path.realpath(shard)) not in folders:
                raise FileFormatError(
                    self.path,
                    f"its part '{name}' is a link to another folder",
                    fix="if you trust it, copy the file it means there (`cp -L`).",
                )
            self.open[name] = H5Reader(self._stack.enter_context(open_h5(shard)))
        return self.open[name]

    def names(self) -> list[str]:
        """Return the names of the files that the map lists."""
        listed = (names if isinstance(names, list) else [names] for names in self.map.values())
        return list(dict.fromkeys(str(name) for names in listed for name in names))

    def files(self) -> Iterator[tuple[str, H5File]]:
        """Yield the name of each file that the map lists, and the file."""
        for name in self.names():
            yield name, self._shard(name).file

    def entry(self, path: str) -> _Entry:
        """Return the entry of one path, from all files that have a part of it."""
        names = self.map.get(f"/{path}/vars" if path else "/vars", [])
        names = names if isinstance(names, list) else [names]
        return _Entry([self._shard(name).entry(path) for name in names])

    def has(self, path: str) -> bool:
        """Return whether there is anything at a path."""
        return any(group.startswith(f"/{path}/") for group in self.map)


class _Entry(ReadEntry):
    def __init__(self, parts: list[Any]) -> None:
        self._of = {key: part for part in parts for key in part}

    def __getitem__(self, key: str) -> Any:
        return self._of[key][key]

    def read_into(self, key: str, weight: torch.Tensor) -> bool:
        """Read an array into the memory of a weight; return `False` if that cannot be done."""
        return self._of[key].read_into(key, weight)

    def shape_of(self, key: str) -> tuple[int, ...]:
        """Return the shape of an array without reading it."""
        return self._of[key].shape_of(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._of)

    def __len__(self) -> int:
        return len(self._of)
