"""Sorted tables of keys and values, as LevelDB writes them: the index of a TensorFlow checkpoint.

A file is blocks and a footer of 48 bytes, which says where the block lies that says where the
others lie. A block is entries, of which each repeats the beginning of the key before, then places
of some entries; five bytes after it are how it is compressed and its checksum.

Source: LevelDB's `doc/table_format.md`; TensorFlow's `lib/io/format.h`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from .errors import FileFormatError
from .wire import masked_crc32c, read_varint

__all__ = ["FOOTER", "is_table", "read_table"]

FOOTER = 48
_MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)
_TRAILER = 5
_COMPRESSIONS = {1: "Snappy", 2: "Zstandard"}
# A key may repeat the one before with three bytes: so many bytes of keys for each of the file.
_KEYS_PER_BYTE = 64
_KEYS_FLOOR = 1 << 20


def is_table(end: bytes) -> bool:
    """Whether a file with these last bytes is a table."""
    return len(end) >= FOOTER and end.endswith(_MAGIC)


def read_table(data: bytes, source: Any) -> dict[bytes, bytes]:
    """Return the keys and values of a table.

    Args:
        data: The whole file.
        source: Its path, for messages.

    Raises:
        FileFormatError: It is damaged, made to do harm, or compressed.
    """
    try:
        return _read(data, source)
    except (ValueError, struct.error) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(
            source,
            f"it is no index of a TensorFlow checkpoint, or damaged ({error})",
            size=f"{len(data)} bytes",
            fix="copy or download it again, or go back to an earlier checkpoint.",
        ) from error


def _read(data: bytes, source: Any) -> dict[bytes, bytes]:
    if not is_table(data):
        raise ValueError("it does not end as one")
    footer = data[-FOOTER:]
    _, place = _handle(footer, 0)  # of what other tables say about themselves
    where, _ = _handle(footer, place)
    found: dict[bytes, bytes] = {}
    left = _KEYS_FLOOR + _KEYS_PER_BYTE * len(data)
    last, used = b"", 0
    for _, handle in _entries(_block(data, where, source), left):
        block, _ = _handle(handle, 0)
        used += sum(block)
        if used > len(data):
            raise ValueError("its blocks take more than there is")
        for key, value in _entries(_block(data, block, source), left):
            left -= len(key)
            if found and key <= last:
                raise ValueError("its keys are in disorder")
            found[key], last = value, key
    return found


def _handle(data: bytes, place: int) -> tuple[tuple[int, int], int]:
    """Return where a block lies: offset and size; and the place after that."""
    offset, place = read_varint(data, place)
    size, place = read_varint(data, place)
    return (offset, size), place


def _block(data: bytes, where: tuple[int, int], source: Any) -> bytes:
    offset, size = where
    end = offset + size
    if end + _TRAILER > len(data) - FOOTER:
        raise ValueError("a block reaches beyond its end")
    kind, (crc,) = data[end], struct.unpack("<I", data[end + 1 : end + _TRAILER])
    if masked_crc32c(data[offset : end + 1]) != crc:
        raise ValueError("a block does not fit its checksum")
    if kind:
        raise FileFormatError(
            source,
            f"its blocks are compressed ({_COMPRESSIONS.get(kind, f'kind {kind}')}), which"
            " TensorFlow does not do to a checkpoint",
            fix="write it again with TensorFlow.",
        )
    return data[offset:end]


def _entries(block: bytes, left: int) -> Iterator[tuple[bytes, bytes]]:
    (places,) = struct.unpack("<I", block[-4:])
    end = len(block) - 4 * (places + 1)
    if end < 0:
        raise ValueError("a block lists more places than it has")
    key, place = b"", 0
    while place < end:
        shared, place = read_varint(block, place)
        new, place = read_varint(block, place)
        size, place = read_varint(block, place)
        if shared > len(key) or place + new + size > end:
            raise ValueError("an entry reaches beyond its block")
        key = key[:shared] + block[place : place + new]
        left -= len(key)
        if left < 0:
            raise ValueError("its keys repeat each other more than any saver's")
        place += new
        yield key, block[place : place + size]
        place += size
