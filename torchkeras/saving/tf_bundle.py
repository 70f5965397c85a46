"""Tensors in TensorFlow's checkpoint format: an index, and data in numbered shards beside it.

`prefix.index` is a table (see `sstable`) of keys and messages that say dtype, shape, shard, place,
size and checksum. The data of shard 0 of 2 is `prefix.data-00000-of-00002`: files are found by
their numbers, the index has no names of any.

Nothing of it is trusted: a tensor's size has to be what its shape and dtype make of it and has to
lie within its shard, no two lie in one place, and the values must have the checksum of the index.

Source: TensorFlow's `tensor_bundle.proto`, `tensor_bundle.h`.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
import struct
from typing import Any

import numpy as np
import torch

from .errors import FileFormatError
from .sstable import read_table
from .wire import (
    DTYPES,
    crc32c,
    fixed32,
    masked,
    messages,
    parts_of,
    read_varint,
    signed,
)

__all__ = [
    "Bundle",
    "Entry",
    "StoredTensor",
    "find_prefix",
    "is_checkpoint",
    "latest_checkpoint",
]

_INDEX = ".index"
_LIST = "checkpoint"  # the file in a folder of checkpoints that says which is the latest
_LIST_LIMIT = 1 << 20
_STRING = 7
_DTYPES = {**DTYPES, 14: "bfloat16", 24: "float8_e5m2", 25: "float8_e4m3fn"}
_OTHERS = {_STRING: "string", 20: "resource", 21: "variant"}
_MAX_RANK = 64
_SHARDS = 1 << 16
_AGAIN = "copy or download all of its files again, or go back to an earlier checkpoint."


# Finding it ---------------------------------------------------------------------------------------


def is_checkpoint(path: str) -> bool:
    """Whether a path is what the names of a checkpoint's files begin with."""
    return os.path.isfile(path + _INDEX)


def latest_checkpoint(folder: Any, latest_filename: str | None = None) -> str | None:
    """Return what the newest checkpoint's names begin with, as its folder's list says.

    Args:
        folder: Where it lies.
        latest_filename: The list; by default `checkpoint`.
    """
    folder = os.fspath(folder)
    path = os.path.join(folder, latest_filename or _LIST)
    if not os.path.isfile(path) or os.path.getsize(path) > _LIST_LIMIT:
        return None
    with open(path, "rb") as file:
        found = re.search(rb'^\s*model_checkpoint_path:\s*"(.*)"', file.read(), re.MULTILINE)
    return None if found is None else os.path.join(folder, _unescaped(found[1]))


def _unescaped(text: bytes) -> str:
    """Return what a quoted text means: bytes beyond ASCII stand there as octal numbers."""
    octal = re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8) & 255]), text)
    return re.sub(rb"\\(.)", rb"\1", octal).decode("utf-8", "replace")


def find_prefix(path: Any) -> str:
    """Return what the names of a checkpoint's files begin with.

    Args:
        path: That, or a folder with the list of some, or that of a SavedModel.

    Raises:
        FileFormatError: The folder has no checkpoint.
    """
    path = os.fspath(path)
    if not os.path.isdir(path):
        return path
    inside = os.path.join(path, "variables", "variables")
    if is_checkpoint(inside):
        return inside
    latest = latest_checkpoint(path)
    # Whatever folder the list names, it lay beside its checkpoints.
    prefix = None if latest is None else os.path.join(path, os.path.basename(latest))
    if prefix is None or not is_checkpoint(prefix):
        raise FileFormatError(
            path,
            "this folder's list names no checkpoint that is there",
            found=None if prefix is None else os.path.basename(prefix),
            fix="pass what the names of its files begin with, such as 'folder/ckpt-1'.",
        )
    return prefix


# Reading it ---------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """Where a tensor lies: number of its dtype, shape, shard, offset, bytes, masked checksum."""

    dtype: int = 1
    shape: tuple[int, ...] = ()
    shard: int = 0
    offset: int = 0
    size: int = 0
    crc: int = 0
    is_sliced: bool = False

    @property
    def dtype_name(self) -> str:
        """The name of its dtype."""
        return _DTYPES.get(self.dtype) or _OTHERS.get(self.dtype) or f"number {self.dtype}"


class Bundle:
    """The tensors of a checkpoint by key.

    Args:
        prefix: What the paths of its files begin with.

    Attributes:
        entries: Where each tensor lies.
        size: The bytes of all of its files that are there.

    Raises:
        FileFormatError: The index is damaged or made to do harm.
    """

    def __init__(self, prefix: Any) -> None:
        self.prefix = os.fspath(prefix)
        self.source = self.prefix + _INDEX
        _check_file(self.source, self.source, "index")
        with open(self.source, "rb") as file:
            table = read_table(file.read(), self.source)
        self.size = os.path.getsize(self.source)
        self._shards = 1
        self.entries: dict[str, Entry] = {}
        try:
            self._read_header(table.pop(b"", b""))
            for key, value in table.items():
                self.entries[key.decode()] = _entry(value)
        except ValueError as error:
            raise self._error(f"its index is damaged ({error})") from error
        self._sizes: dict[int, int] = {}
        for shard in {entry.shard for entry in self.entries.values()}:
            if shard < self._shards and os.path.isfile(self._path(shard)):
                self._sizes[shard] = os.path.getsize(self._path(shard))
        self.size += sum(self._sizes.values())
        self._check_places()

    def _error(self, problem: str, fix: str = _AGAIN, **facts: Any) -> FileFormatError:
        return FileFormatError(self.source, problem, fix=fix, **facts)

    def _read_header(self, header: bytes) -> None:
        parts = dict(parts_of(header))
        self._shards = parts.get(1, 1)
        if not isinstance(self._shards, int) or not 0 < self._shards <= _SHARDS:
            raise ValueError(f"it has {self._shards!r} shards")
        if parts.get(2, 0):
            raise self._error(
                "its bytes are in the order of another kind of processor (big endian)",
                fix="read and write it with TensorFlow on this one.",
            )

    def _path(self, shard: int) -> str:
        return f"{self.prefix}.data-{shard:05}-of-{self._shards:05}"

    def _check_places(self) -> None:
        """Refuse places that overlap: a small file would count as a large one."""
        places = sorted((e.shard, e.offset, e.offset + e.size) for e in self.entries.values())
        for (shard, _, end), (other, offset, _) in zip(places, places[1:], strict=False):
            if shard == other and offset < end:
                raise self._error("two of its tensors lie in one place")

    # Values

    def read(self, key: str) -> torch.Tensor:
        """Return the values of a tensor.

        Raises:
            FileFormatError: They are missing, damaged, or no numbers.
        """
        entry = self.entries[key]
        name = _DTYPES.get(entry.dtype)
        if name is None:
            raise self._error(f"'{key}' holds no numbers", found=entry.dtype_name)
        dtype = getattr(torch, name)
        if math.prod(entry.shape) * dtype.itemsize != entry.size:
            raise self._error(
                f"'{key}' has {entry.size} bytes, and its shape another number",
                shape=entry.shape,
                dtype=name,
            )
        data = self._data(key, entry)
        if masked(crc32c(data)) != entry.crc:
            raise self._error(f"the values of '{key}' do not fit their checksum")
        flat = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
        return flat.reshape(entry.shape)

    def strings(self, key: str) -> list[bytes]:
        """Return the values of a tensor of strings, one after the other.

        They lie behind their lengths and the checksum of those.

        Raises:
            FileFormatError: They are missing, damaged, or no strings.
        """
        entry = self.entries[key]
        if entry.dtype != _STRING:
            raise self._error(f"'{key}' holds no strings", found=entry.dtype_name)
        count = math.prod(entry.shape)
        data = bytes(self._data(key, entry)) if count <= entry.size else b""
        try:
            lengths, place = [], 0
            for _ in range(count):
                length, place = read_varint(data, place)
                lengths.append(length)
        except ValueError as error:
            raise self._error(f"the strings of '{key}' are damaged ({error})") from error
        if place + 4 + sum(lengths) != len(data):
            raise self._error(f"the strings of '{key}' are longer or shorter than their place")
        sizes = b"".join(struct.pack("<I" if n < 1 << 32 else "<Q", n) for n in lengths)
        if masked(crc32c(sizes + data[place:])) != entry.crc:
            raise self._error(f"the strings of '{key}' do not fit their checksum")
        found, place = [], place + 4
        for length in lengths:
            found.append(data[place : place + length])
            place += length
        return found

    def _data(self, key: str, entry: Entry) -> bytearray:
        if entry.is_sliced:
            raise self._error(
                f"'{key}' lies there in slices, as variables cut over several machines do",
                fix="restore it with TensorFlow, on one machine, and save it again.",
            )
        if entry.shard >= self._shards:
            raise self._error(f"'{key}' is in shard {entry.shard} of {self._shards}")
        path = self._path(entry.shard)
        _check_file(path, self.source, "part")
        if entry.offset + entry.size > os.path.getsize(path):
            raise self._error(
                f"'{key}' lies beyond the end of '{os.path.basename(path)}'", size=entry.size
            )
        data = bytearray(entry.size)
        with open(path, "rb") as file:
            file.seek(entry.offset)
            if file.readinto(data) != entry.size:
                raise self._error(f"'{os.path.basename(path)}' ends within '{key}'")
        return data


class StoredTensor:
    """A tensor of a bundle, read when an array is made of it.

    Args:
        bundle: Where it is.
        key: Its key.
    """

    def __init__(self, bundle: Bundle, key: str) -> None:
        self.bundle, self.key = bundle, key
        self.shape = bundle.entries[key].shape

    def read(self) -> torch.Tensor:
        """Return its values."""
        return self.bundle.read(self.key)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        values = self.read()
        if values.dtype in (torch.bfloat16, torch.float8_e5m2, torch.float8_e4m3fn):
            values = values.float()
        return np.asarray(values.numpy(), dtype)


def _check_file(path: str, source: str, what: str) -> None:
    """Refuse what is missing, no file, or a link to another folder than the index lies in."""
    if not os.path.isfile(path):
        raise FileFormatError(
            source,
            f"its {what} '{os.path.basename(path)}' is missing",
            fix="copy all of its files to one folder.",
        )
    # A cache may hold links to all of them in one folder.
    folders = {os.path.realpath(os.path.dirname(source) or ".")}
    folders.add(os.path.dirname(os.path.realpath(source)))
    if os.path.dirname(os.path.realpath(path)) not in folders:
        raise FileFormatError(
            source,
            f"its {what} '{os.path.basename(path)}' is a link to another folder",
            fix="if you trust it, copy the file it means there (`cp -L`).",
        )


def _entry(data: bytes) -> Entry:
    numbers = {1: "dtype", 3: "shard", 4: "offset", 5: "size"}
    found: dict[str, Any] = {}
    for number, value in parts_of(data):
        if number in numbers and isinstance(value, int):
            found[numbers[number]] = signed(value)
        elif number == 2 and isinstance(value, bytes):
            found["shape"] = _shape(value)
        elif number == 6:
            found["crc"] = fixed32(value)
        elif number == 7:
            found["is_sliced"] = True
    entry = Entry(**found)
    if min(entry.dtype, entry.shard, entry.offset, entry.size, *entry.shape, 0) < 0:
        raise ValueError(f"a number below 0 in {entry}")
    return entry


def _shape(data: bytes) -> tuple[int, ...]:
    sizes = []
    for dimension in messages(data, 2):
        size = dict(parts_of(dimension)).get(1, 0)
        if not isinstance(size, int) or len(sizes) == _MAX_RANK:
            raise ValueError("a shape of no tensor")
        sizes.append(signed(size))
    return tuple(sizes)
