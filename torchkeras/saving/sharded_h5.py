"""Weights in several `.weights.h5` files and a `.weights.json` that says which is where.

The JSON has `weight_map`, from the group of each object (`/layers/dense/vars`) to the name of its
file, or to a list of names if its arrays are spread, and `metadata` with the size of all in bytes.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from .atomic import replacing
from .errors import FileFormatError
from .h5_guard import load_json, open_h5
from .walk import load_state, save_state
from .weights_h5 import H5Reader, to_array, write_array

__all__ = ["load_sharded", "save_sharded"]

_SUFFIX = ".weights.json"


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
    with contextlib.ExitStack() as stack:
        # On success the shards take their places last to first, and the map after them.
        table = stack.enter_context(replacing(path))
        writer = _Writer(path, int(max_shard_size * 1024**3), stack)
        try:
            save_state(model, writer, skip=skip)
        finally:
            writer.finish()
        sizes = {"total_size": writer.total}
        table.write(json.dumps({"metadata": sizes, "weight_map": writer.map}, indent=4).encode())


class _Writer:
    def __init__(self, path: str, limit: int, stack: contextlib.ExitStack) -> None:
        self.folder, name = os.path.split(path)
        self.base = name.removesuffix(_SUFFIX)
        self.limit, self.stack = limit, stack
        self.map: dict[str, str | list[str]] = {}
        self.total = self.size = 0
        self.count, self.handle = 0, None
        self.begin()

    def begin(self) -> None:
        """Go on in a new file."""
        import h5py

        self.finish()
        self.name = f"{self.base}_{self.count:05}.weights.h5"
        stream = self.stack.enter_context(replacing(os.path.join(self.folder, self.name)))
        self.handle = h5py.File(stream, "w")
        self.count += 1
        self.size = 0

    def finish(self) -> None:
        """Complete the present file."""
        if self.handle is not None:
            self.handle.close()

    def entry(self, path: str, name: str | None = None) -> _NewEntry:
        """Return the entry of one path."""
        group = f"{path}/vars" if path else "vars"
        if name is not None:
            self.handle.require_group(group).attrs["name"] = name
        return _NewEntry(self, group)

    def put(self, group: str, key: str, value: Any) -> None:
        """Write one array."""
        array, opaque = to_array(value)
        if array.nbytes > self.limit:
            raise ValueError(
                f"'{group}/{key}' has {array.nbytes} bytes, more than max_shard_size allows"
                f" ({self.limit}).\nFix: pass a larger `max_shard_size` (in GB)."
            )
        if self.size + array.nbytes > self.limit:
            self.begin()
        self.size += array.nbytes
        self.total += array.nbytes
        write_array(self.handle.require_group(group), key, array, opaque)
        known = self.map.setdefault(f"/{group}", self.name)
        names = known if isinstance(known, list) else [known]
        if self.name not in names:
            self.map[f"/{group}"] = [*names, self.name]


class _NewEntry(MutableMapping):
    def __init__(self, writer: _Writer, group: str) -> None:
        self._writer, self._group, self._keys = writer, group, {}

    def __setitem__(self, key: str, value: Any) -> None:
        self._writer.put(self._group, key, value)
        self._keys[key] = None

    def __getitem__(self, key: str) -> Any:
        raise KeyError(f"'{key}' is written and can no longer be read or changed")

    __delitem__ = __getitem__

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


def load_sharded(model: Any, path: str, *, skip_mismatch: bool = False, skip: Any = None) -> None:
    """Read weights written by `save_sharded` into a model; arguments as for `load_weights`.

    Raises:
        FileFormatError: A file is missing or damaged, or does not fit the model.
    """
    with open(path, "rb") as stream:
        table = load_json(stream.read(), path)
    weight_map = table.get("weight_map") if isinstance(table, dict) else None
    if not isinstance(weight_map, dict):
        raise FileFormatError(
            path, "it has no 'weight_map'", fix="pass a file written by `save_weights`."
        )
    with contextlib.ExitStack() as stack:
        reader = _Reader(path, weight_map, stack)
        load_state(model, reader, source=path, skip_mismatch=skip_mismatch, skip=skip)


class _Reader:
    def __init__(self, path: str, table: dict[str, Any], stack: contextlib.ExitStack) -> None:
        self.path, self.table, self.stack = path, table, stack
        self.open: dict[str, H5Reader] = {}

    def _shard(self, name: Any) -> H5Reader:
        if not isinstance(name, str) or os.path.basename(name) != name or "\\" in name:
            raise FileFormatError(
                self.path,
                f"it names a file elsewhere ({name!r})",
                fix="no saver writes such a file; get the weights from a source you trust.",
            )
        if name not in self.open:
            shard = os.path.join(os.path.dirname(self.path), name)
            if not os.path.exists(shard):
                raise FileFormatError(
                    self.path, f"its part '{name}' is missing", fix="copy all parts beside it."
                )
            self.open[name] = H5Reader(self.stack.enter_context(open_h5(shard)))
        return self.open[name]

    def entry(self, path: str) -> _Entry:
        """Return the entry of one path, from all files that have a part of it."""
        names = self.table.get(f"/{path}/vars" if path else "/vars", [])
        names = names if isinstance(names, list) else [names]
        return _Entry([self._shard(name).entry(path) for name in names])

    def has(self, path: str) -> bool:
        """Return whether there is anything at a path."""
        return any(group.startswith(f"/{path}/") for group in self.table)


class _Entry(Mapping):
    def __init__(self, parts: list[Any]) -> None:
        self._of = {key: part for part in parts for key in part}

    def __getitem__(self, key: str) -> Any:
        return self._of[key][key]

    def shape_of(self, key: str) -> tuple[int, ...]:
        """Return the shape of an array without reading it."""
        return self._of[key].shape_of(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._of)

    def __len__(self) -> int:
        return len(self._of)
