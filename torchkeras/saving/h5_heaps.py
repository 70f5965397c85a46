"""Two kinds of heaps in HDF5 files, looked at before the library follows what leads into them.

The names in a group of the old style are in a *local heap*, whose free blocks form a list. A list
that leads back into itself makes the HDF5 library allocate memory without end, in C, where nothing
can stop it. `HeapCheck` follows each list first, with a limit.

Texts of any length are in *global heaps*; an attribute with a list of them refers to each by its
length, the heap's address and a number. All may refer to the same one, which the library copies for
each: `HeapCheck` adds up the lengths first. A text of no size in such a heap keeps the library in a
loop.

Layout (all numbers little-endian, 8 bytes unless named): the superblock has the address of the root
group's object header; a header has messages, of which type 17 has the addresses of the group's
B-tree and heap; a heap is "HEAP", version (1), 3 bytes, size of its data, offset of the first free
block (1 if none), address of the data; a free block begins with the offset of the next one (1 for
the last) and its own size. An attribute is a message of type 12: version, flags, the sizes of its
name, datatype and dataspace, those three (each padded to 8 bytes in version 1), the data.
Source: https://docs.hdfgroup.org/documentation/hdf5/latest/_f_m_t11.html
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO

__all__ = ["HeapCheck"]

_ATTRIBUTE, _CONTINUATION, _SYMBOL_TABLE = 12, 16, 17
_REFERENCE = 16  # bytes: length (4), address (8), number (4)
_MAX_PARTS = 1000  # of one object header
_END = 1


class HeapCheck:
    """Checks the heaps of groups, each once.

    Args:
        stream: The HDF5 file.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._checked: set[int] = set()
        self._base = 0

    def root(self) -> None:
        """Check the root group, before the library opens the file.

        Raises:
            ValueError: Its heap is damaged.
        """
        start = 0
        while (head := self._read(start, 100))[:8] != b"\x89HDF\r\n\x1a\n":
            start = max(512, 2 * start)  # where a signature can be after a user block
            if not head:
                return
        if len(head) < 100:  # what version 1 needs
            return  # no file of Keras is so short, nor is one that the library opens
        version = head[8]
        if version in (0, 1):
            base, root, heap = 24 + 4 * version, 64 + 4 * version, 88 + 4 * version
            widths = head[13], head[14]
        elif version in (2, 3):
            base, root, heap, widths = 12, 36, None, (head[9], head[10])
        else:
            return  # the library refuses it
        if widths != (8, 8):
            raise ValueError(f"addresses of {widths} bytes are not supported")
        (self._base,) = struct.unpack_from("<Q", head, base)
        if heap is not None:
            self._check_heap(struct.unpack_from("<Q", head, heap)[0])
        self.group(struct.unpack_from("<Q", head, root)[0])

    def group(self, address: int) -> None:
        """Check the heap of the group whose object header is at an address, if it is one.

        Raises:
            ValueError: The heap is damaged.
        """
        if address in self._checked:
            return
        self._checked.add(address)
        for kind, data in self._messages(address):
            if kind == _SYMBOL_TABLE and len(data) >= 16:
                self._check_heap(struct.unpack_from("<Q", data, 8)[0])

    def text_size(self, address: int, name: bytes, count: int) -> int | None:
        """Return the length of all texts in an attribute, or `None` if it is not found.

        Args:
            address: Where the object header of its group or dataset is.
            name: The attribute's name.
            count: How many texts it has.
        """
        sizes = []
        for kind, message in self._messages(address):
            data = _attribute_data(message, name) if kind == _ATTRIBUTE else None
            if data is not None and len(data) >= count * _REFERENCE:
                references = struct.iter_unpack("<IQI", data[: count * _REFERENCE])
                lengths, heaps, _ = zip(*references, strict=True)
                for heap in set(heaps):
                    self._check_texts(heap)
                sizes.append(sum(lengths))
        return max(sizes, default=None)

    def _check_texts(self, address: int) -> None:
        head = self._at(address, 16)
        if address in self._checked or len(head) < 16 or head[:4] != b"GCOL":
            return  # the library refuses it
        self._checked.add(address)
        (size,) = struct.unpack_from("<Q", head, 8)
        at = 16
        while at + 16 <= size:
            text = self._at(address + at, 16)
            if len(text) < 16:
                raise ValueError("a heap of texts leads out of the file")
            number, _, length = struct.unpack("<H6sQ", text)
            # What is free has the number 0, and its size is that of all of it.
            step = 16 + -(-length // 8) * 8 if number else length
            if step < 16 or at + step > size:
                raise ValueError("a heap of texts has one of a wrong size")
            at += step

    def _messages(self, address: int) -> Iterator[tuple[int, bytes]]:
        head = self._at(address, 40)
        if head[:4] == b"OHDR" and len(head) == 40:
            flags = head[5]
            at = 6 + (16 if flags & 32 else 0) + (4 if flags & 16 else 0)
            width = 1 << (flags & 3)
            parts = [(address + at + width, int.from_bytes(head[at : at + width], "little"))]
            form, length, before, after = "<BH", 6 if flags & 4 else 4, 4, 4
        elif len(head) >= 16 and head[0] == 1:
            parts = [(address + 16, struct.unpack_from("<I", head, 8)[0])]
            form, length, before, after = "<HH", 8, 0, 0
        else:
            return
        for i, (position, size) in enumerate(parts):
            block = self._at(position, min(size, 1 << 20))
            if i:  # of the new style, continuations have a signature and a checksum
                block = block[before : len(block) - after]
            at = 0
            while at + length <= len(block):
                kind, size = struct.unpack_from(form, block, at)
                data = block[at + length : at + length + size]
                if kind == _CONTINUATION and len(data) >= 16:
                    parts.append(struct.unpack_from("<QQ", data))
                    if len(parts) > _MAX_PARTS:
                        raise ValueError("an object header goes on and on")
                yield kind, data
                at += length + size

    def _check_heap(self, address: int) -> None:
        head = self._at(address, 32)
        if len(head) < 32 or head[:4] != b"HEAP":
            return  # the library refuses it
        size, offset, data = struct.unpack_from("<QQQ", head, 8)
        seen: set[int] = set()
        while offset != _END:
            if offset in seen or offset + 16 > size:
                raise ValueError("the free list of a heap is no list")
            seen.add(offset)
            block = self._at(data + offset, 8)
            if len(block) < 8:
                raise ValueError("the free list of a heap leads out of the file")
            (offset,) = struct.unpack("<Q", block)

    def _at(self, address: int, size: int) -> bytes:
        return self._read(self._base + address, size)

    def _read(self, position: int, size: int) -> bytes:
        if position >= 1 << 62:  # "undefined", or nonsense
            return b""
        self._stream.seek(position)
        return self._stream.read(size)


def _attribute_data(message: bytes, name: bytes) -> bytes | None:
    """Return an attribute's data if it has a name."""
    if len(message) < 9 or message[0] not in (1, 2, 3):
        return None
    start = 9 if message[0] == 3 else 8
    sizes = struct.unpack_from("<HHH", message, 2)
    if message[start : start + sizes[0]].rstrip(b"\0") != name:
        return None
    return message[start + sum(-(-size // 8) * 8 if message[0] == 1 else size for size in sizes) :]
