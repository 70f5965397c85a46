"""Reading HDF5 files that a stranger may have made.

HDF5 can point outside of itself (external and soft links, external storage, virtual datasets) and
can declare arrays far larger than the file. So every step looks at the kind of a link before it
follows it, at a dataset's storage before it opens the data, and at the declared size before memory
is allocated. Only numbers, booleans and fixed-length strings are read; only the filters that come
with h5py are accepted, as others would be loaded from plug-ins.

A small file can also be read as a large one if its parts are met again and again: groups with two
names, names listed twice, texts that many attributes refer to. Each part is read under one name,
and all that is read is counted.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import os
import struct
from collections.abc import Callable, Iterator
from typing import IO, Any, TypeVar

import numpy as np
import torch

from ..variables import READING
from .errors import FileFormatError, describe
from .h5_heaps import HeapCheck
from .late import unwatched, written

__all__ = ["H5File", "StoredValues", "check_depth", "load_json", "open_h5", "read_attributes"]

T = TypeVar("T")

_ATTRIBUTE_LIMIT = 1 << 16
# deflate, shuffle, fletcher32, LZF; others have a record of faults, and weights do not use them
_FILTERS = frozenset({1, 2, 3, 32000})
# Deflate cannot shrink by more than 1032; a chunk of one repeated value comes close to it.
_MAX_EXPANSION = 1100
# Above this size, values of more than so many times the file's bytes are a bomb all the same.
_BOMB_FLOOR = 64 << 20
_BOMB_EXPANSION = 100
# So many times the file's bytes of attributes may be read: each one is, at most a few times.
_TEXT_EXPANSION = 4
_MAX_DEPTH = 200
_DIRECT_FROM = 1 << 14  # smaller values are as fast by way of an array
_OPAQUE = {"bfloat16": torch.bfloat16, "float8_e4m3fn": torch.float8_e4m3fn}
_OPAQUE["float8_e5m2"] = torch.float8_e5m2


def check_depth(value: Any, file: Any, limit: int = _MAX_DEPTH) -> None:
    """Refuse nesting so deep that code walking the value would exhaust Python's stack."""
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(limit):
        children = (
            child for node in level for child in (node.values() if isinstance(node, dict) else node)
        )
        level = [child for child in children if isinstance(child, (dict, list))]
        if not level:
            return
    raise FileFormatError(
        file, f"its configuration is nested more than {limit} levels deep", fix=_DISTRUST
    )


_DISTRUST = "no saver writes such a file; get the model from a source you trust."


def load_json(text: str | bytes, file: Any, what: str = "configuration") -> Any:
    """Parse JSON of bounded depth.

    Raises:
        FileFormatError: It is no JSON, or nested too deeply.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise FileFormatError(
            file, f"its {what} is nested too deeply to be parsed", fix=_DISTRUST
        ) from None
    except ValueError as error:  # also UnicodeDecodeError
        raise FileFormatError(
            file,
            f"its {what} is not valid JSON ({error})",
            fix="the file is damaged; copy it again or go back to an earlier one.",
        ) from error
    check_depth(value, file)
    return value


# What h5py raises for data it cannot make sense of.
_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, MemoryError)
_DAMAGE += (struct.error,)


def _guarded(method: Callable[..., T]) -> Callable[..., T]:
    """Let a method raise `FileFormatError` where h5py stumbles over the data."""

    @functools.wraps(method)
    def checked(self: H5File, *args: Any) -> T:
        try:
            return method(self, *args)
        except FileFormatError:
            raise
        except _DAMAGE as error:
            raise damaged(self.source, error, self.size) from error

    return checked


def damaged(source: Any, error: Exception, size: int) -> FileFormatError:
    """Return the error for a file that ends early or has bad bytes."""
    return FileFormatError(
        source,
        f"the HDF5 data is incomplete or damaged ({error})",
        size=f"{size} bytes",
        fix="copy or download the file again, or go back to an earlier checkpoint.",
    )


class StoredValues:
    """A dataset's values, read when an array is made of it.

    Args:
        file: Where the dataset is.
        dataset: A checked one.
    """

    def __init__(self, file: H5File, dataset: Any) -> None:
        self._file, self._dataset = file, dataset
        self.shape = tuple(dataset.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self._file.read(self._dataset), dtype)


class H5File:
    """An open HDF5 file, read step by step through checks.

    Args:
        handle: The `h5py.File`, or a group of it.
        source: Its path or file object, for messages.
        size: The length of the file in bytes; no declared size may exceed what this can hold.
        stored: The bytes it takes where it lies compressed in an archive.
        heaps: The check of its heaps; `None` if the file was opened elsewhere.
    """

    def __init__(
        self,
        handle: Any,
        source: Any,
        size: int,
        stored: int | None = None,
        heaps: HeapCheck | None = None,
    ) -> None:
        self.handle = handle
        self.heaps = heaps
        self.source = source
        self.size = size
        self.stored = size if stored is None else stored
        self._places = {_address(handle): (None, "/")}  # of groups and datasets, by address
        self._counted: set[int] = set()  # the datasets whose values are in the next
        self._values_left = max(_BOMB_FLOOR, _BOMB_EXPANSION * self.stored)
        self._text_left = _BOMB_FLOOR + _TEXT_EXPANSION * size

    @_guarded
    def group(self, path: str, parent: Any = None) -> Any:
        """Return the group at `path`, or `None` if there is none."""
        current = self.handle if parent is None else parent
        for part in path.split("/") if path else ():
            current = self._step(current, part)
            if current is None:
                return None
            if not _is_group(current):
                raise self._bad(f"'{path}' should be a group")
        return current

    @_guarded
    def names(self, group: Any = None) -> list[str]:
        """Return the names in a group."""
        return list(self.handle if group is None else group)

    @_guarded
    def has_attribute(self, name: str, node: Any = None) -> bool:
        """Return whether a group or dataset has an attribute."""
        return name in (self.handle if node is None else node).attrs

    @_guarded
    def dataset(self, parent: Any, path: str) -> Any:
        """Return the checked dataset at `path` below `parent`, or `None` if there is none."""
        head, _, name = path.rpartition("/")
        group = self.group(head, parent) if head else parent
        found = None if group is None else self._step(group, name)
        if found is None:
            return None
        if _is_group(found) or not hasattr(found, "shape"):
            raise self._bad(f"'{path}' should be a dataset")
        self._check(found, path)
        return found

    @_guarded
    def read(self, dataset: Any) -> np.ndarray | torch.Tensor:
        """Return a checked dataset's values; a tensor where NumPy lacks the dtype."""
        opaque = self._opaque(dataset)
        values = np.asarray(dataset[()])
        if opaque is not None:
            raw = np.ascontiguousarray(values).view(np.uint8)
            return torch.from_numpy(raw.reshape(-1).copy()).view(opaque).reshape(values.shape)
        return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))

    @_guarded
    def read_into(self, dataset: Any, weight: torch.Tensor) -> bool:
        """Read a checked dataset's values into the memory of a weight, without a copy in between.

        Returns:
            Whether it could: on the CPU, for equal shapes and dtypes, and values in rows.
        """
        if weight.nbytes < _DIRECT_FROM or tuple(weight.shape) != dataset.shape:
            return False
        if READING.scope is not None or not weight.is_contiguous() or weight.device.type != "cpu":
            return False
        opaque = weight.dtype if weight.dtype in _OPAQUE.values() else None
        if opaque != self._opaque(dataset):
            return False
        with unwatched():
            plain = weight.detach()
            if type(plain) is not torch.Tensor or plain.is_conj() or plain.is_neg():
                return False
            array = plain.numpy() if opaque is None else plain.view(torch.uint8).numpy()
        if opaque is not None:
            array = array.reshape(-1).view(dataset.dtype).reshape(dataset.shape)
        if array.dtype != dataset.dtype:
            return False
        dataset.read_direct(array)
        written(weight)
        return True

    @_guarded
    def dtype_name(self, dataset: Any) -> str:
        """Return the name of a checked dataset's dtype, also where NumPy lacks it."""
        return str(self._opaque(dataset) or dataset.dtype).removeprefix("torch.")

    def _step(self, group: Any, name: str) -> Any:
        from h5py import h5l

        key = name.encode()
        if not name or name == "." or not group.id.links.exists(key):
            return None
        link = group.id.links.get_info(key)
        kind = link.type
        if kind != h5l.TYPE_HARD:
            kinds = {
                h5l.TYPE_SOFT: "a soft link (SoftLink)",
                h5l.TYPE_EXTERNAL: "an external link (ExternalLink)",
            }
            raise self._bad(f"'{name}' is {kinds.get(kind, 'a user-defined link')}")
        place = (_address(group), name)
        if self._places.setdefault(link.u, place) != place:
            raise self._bad(f"'{name}' is also '{self._places[link.u][1]}' (by a hard link)")
        if self.heaps is not None:
            self.heaps.group(link.u)
        return group[name]

    def _check(self, dataset: Any, path: str) -> None:
        from h5py import h5d, h5s

        plist = dataset.id.get_create_plist()
        if plist.get_external_count():
            raise self._bad(f"'{path}' keeps its values in another file")
        if plist.get_layout() == h5d.VIRTUAL:
            raise self._bad(f"'{path}' is a virtual dataset, a view of other files")
        filters = {plist.get_filter(i)[0] for i in range(plist.get_nfilters())}
        if not filters <= _FILTERS:
            raise self._bad(f"'{path}' needs the HDF5 filter plug-ins {sorted(filters - _FILTERS)}")
        if dataset.id.get_space().get_simple_extent_type() == h5s.NULL:
            raise self._bad(f"'{path}' has no values")
        dtype = dataset.dtype
        if dtype.kind not in "biufcSV" or dtype.hasobject or dtype.names or dtype.subdtype:
            raise self._bad(f"'{path}' holds {dtype} values, not numbers")
        if dtype.kind == "V" and self._opaque(dataset) is None:
            raise self._bad(f"'{path}' holds opaque values of an unknown dtype")
        # A chunk is unpacked whole, whatever part of it is read.
        values = max(math.prod(dataset.shape), math.prod(dataset.chunks or (0,)))
        declared = values * dtype.itemsize
        stored = min(dataset.id.get_storage_size(), self.size)
        possible = declared <= stored * (_MAX_EXPANSION if filters else 1)
        address = _address(dataset)
        if address not in self._counted:
            self._counted.add(address)
            self._values_left -= declared
        if not possible or self._values_left < 0:
            raise FileFormatError(
                self.source,
                f"'{path}' declares more values than the file can hold; it is a shape bomb",
                declared=f"shape {dataset.shape}, {declared} bytes",
                stored=f"{stored} bytes",
                fix=_DISTRUST,
            )

    def _opaque(self, dataset: Any) -> torch.dtype | None:
        if dataset.dtype.kind != "V" or "dtype" not in dataset.attrs:
            return None
        name = self.attribute(dataset, "dtype")
        dtype = _OPAQUE.get(name) if isinstance(name, str) else None
        return dtype if dtype is not None and dtype.itemsize == dataset.dtype.itemsize else None

    @_guarded
    def attribute(self, node: Any, name: str) -> Any:
        """Return an attribute (text as `str`, arrays of text as lists of `str`), or `None`."""
        if name not in node.attrs:
            return None
        handle = node.attrs.get_id(name)
        # HDF5 reports an error for the storage of an empty list. Lists of strings of any length
        # refer to bytes elsewhere, and each may refer to the same ones.
        count, is_text = math.prod(handle.shape or ()), handle.dtype.hasobject
        if is_text and (handle.dtype.metadata or {}).get("vlen") not in (str, bytes):
            # HDF5 crashes on a type that is of any length, but neither text nor a list.
            raise self._bad(f"its attribute '{name}' is neither numbers nor text")
        stored = handle.get_storage_size() if count else 0
        limit = min(self.size, _ATTRIBUTE_LIMIT) if is_text else self.size
        if stored > limit or (is_text and count and self._repeats_text(node, name, count)):
            raise self._bad(f"its attribute '{name}' declares more than the file can hold")
        value = node.attrs[name]
        items = value.reshape(-1).tolist() if isinstance(value, np.ndarray) else [value]
        self._text_left -= sum(len(item) if isinstance(item, (str, bytes)) else 8 for item in items)
        if self._text_left < 0:
            raise self._bad("its attributes hold more text than the file (one text many times)")
        texts = [_text(item) for item in items]
        return texts if isinstance(value, np.ndarray) else texts[0]

    def _repeats_text(self, node: Any, name: str, count: int) -> bool:
        if self.heaps is None:
            return False
        size = self.heaps.text_size(_address(node), name.encode(), count)
        if size is None:
            raise self._bad(
                f"its attribute '{name}' is kept in a way that no version of Keras uses"
            )
        return size > max(self.size, _BOMB_FLOOR)

    def _bad(self, problem: str) -> FileFormatError:
        return FileFormatError(self.source, problem, fix=_DISTRUST)


def read_attributes(file: H5File, node: Any, name: str) -> list[str]:
    """Read a list of names that may be cut into `name0`, `name1`, … (attributes hold 64 KB).

    Raises:
        FileFormatError: A name is listed twice.
    """
    whole = file.attribute(node, name)
    names: list[str] = list(whole if isinstance(whole, list) else [whole] if whole else [])
    part = 0
    while whole is None and (chunk := file.attribute(node, f"{name}{part}")) is not None:
        names.extend(chunk if isinstance(chunk, list) else [chunk])
        part += 1
    if len(set(names)) != len(names):
        raise FileFormatError(file.source, f"its list '{name}' has a name twice", fix=_DISTRUST)
    return names


@contextlib.contextmanager
def open_h5(
    source: Any, stream: IO[bytes] | None = None, stored: int | None = None
) -> Iterator[H5File]:
    """Open an HDF5 file for checked reading.

    Args:
        source: A path, a file object opened for reading, or an open `h5py` group.
        stream: Where the bytes are, if not in `source` itself (a member of an archive).
        stored: How many bytes they take there.

    Raises:
        FileFormatError: It is no HDF5 file, or is incomplete.
    """
    import h5py

    if isinstance(source, h5py.Group):
        yield H5File(source, source.file.filename, source.file.id.get_filesize())
        return
    owned = None
    if stream is None:
        stream = owned = source if hasattr(source, "read") else open(source, "rb")  # noqa: SIM115
    try:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        heaps = HeapCheck(stream)
        try:
            heaps.root()
            stream.seek(0)
            handle = h5py.File(stream, "r")
            opened = H5File(handle, describe(source), size, stored, heaps)
        except _DAMAGE as error:
            raise damaged(source, error, size) from error
        with handle:
            yield opened
    finally:
        if owned is not None and owned is not source:
            owned.close()


def _address(node: Any) -> int:
    """Return where in its file an open group or dataset is."""
    from h5py import h5o

    return h5o.get_info(node.id).addr


def _is_group(node: Any) -> bool:
    return hasattr(node, "create_group")


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
