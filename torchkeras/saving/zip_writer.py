"""Writing zip archives of members that are not compressed, with room for one that grows in place.

HDF5 files are written here and there, not from their beginning to their end, and the library
`zipfile` takes members in order only. With `ZipWriter.window` such a file is written where it is to
be in the archive, which saves writing it a second time. What is written is the same, byte for byte,
as by `zipfile`.
Layout: for each member a header, its name and its bytes; then the directory; then its position.
Source: APPNOTE.TXT of PKWARE, version 6.3, sections 4.3 and 4.5.3 (sizes above 4 GB).
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
import zlib
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

from .checksum import Checksum

__all__ = ["Window", "ZipWriter"]

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_DATE = 0x21  # the first of January 1980, the earliest there is
_UNIX = 3 << 8
_LIMIT = (1 << 31) - 1  # above it, numbers go into a field for large ones
_FULL, _MANY = 0xFFFFFFFF, 0xFFFF
_MODE = 0o600 << 16


class _Member(NamedTuple):
    name: bytes
    flags: int
    crc: int
    size: int
    offset: int
    is_large: bool

    def local(self) -> bytes:
        """Return the header before its bytes."""
        extra = struct.pack("<2H2Q", 1, 16, self.size, self.size) if self.is_large else b""
        size = _FULL if self.is_large else self.size
        head = _LOCAL.pack(
            b"PK\3\4", self.version, self.flags, 0, 0, _DATE, self.crc, size, size,
            len(self.name), len(extra),
        )  # fmt: skip
        return head + self.name + extra

    def central(self) -> bytes:
        """Return its entry in the directory."""
        large = [self.size, self.size] if self.size > _LIMIT else []
        size = _FULL if large else self.size
        offset = _FULL if self.offset > _LIMIT else self.offset
        large += [self.offset] if offset == _FULL else []
        extra = struct.pack(f"<2H{len(large)}Q", 1, 8 * len(large), *large) if large else b""
        version = max(self.version, 45 if large else 20)
        head = _CENTRAL.pack(
            b"PK\1\2", _UNIX | version, version, self.flags, 0, 0, _DATE, self.crc, size, size,
            len(self.name), len(extra), 0, 0, 0, _MODE, offset,
        )  # fmt: skip
        return head + self.name + extra

    @property
    def version(self) -> int:
        """The version of the format that one needs to read it, times ten."""
        return 45 if self.is_large else 20


class ZipWriter:
    """Writes an archive; `close` ends it.

    Args:
        stream: An empty file opened for writing, and for reading too if `window` is used.

    Example:
        >>> import zipfile
        >>> file = io.BytesIO()
        >>> archive = ZipWriter(file)
        >>> archive.write("a.txt", io.BytesIO(b"some text"), 9)
        >>> archive.close()
        >>> zipfile.ZipFile(file).read("a.txt")
        b'some text'
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._members: list[_Member] = []
        self._position = 0

    def _begin(self, name: str, is_large: bool) -> _Member:
        flags = 0 if name.isascii() else 0x800
        return _Member(name.encode(), flags, 0, 0, self._position, is_large)

    def write(self, name: str, data: IO[bytes], size: int) -> None:
        """Add a member.

        Args:
            name: Its path in the archive.
            data: A file opened for reading, at the beginning of the bytes; it is read twice.
            size: How many there are.
        """
        start, crc = data.tell(), 0
        for chunk in _chunks(data):
            crc = zlib.crc32(chunk, crc)
        data.seek(start)
        member = self._begin(name, size > _LIMIT)._replace(crc=crc, size=size)
        header = member.local()
        self._stream.write(header)
        for chunk in _chunks(data):
            self._stream.write(chunk)
        self._members.append(member)
        self._position += len(header) + size

    @contextlib.contextmanager
    def window(self, name: str) -> Iterator[Window]:
        """Let a block write the bytes of the member of this name, in any order."""
        member = self._begin(name, True)  # nobody knows yet
        self._stream.write(member.local())
        self._stream.flush()
        start = self._position + len(member.local())
        handle = self._stream.fileno()
        checksum = Checksum(handle, start)
        try:
            window = Window(self._stream, start, None, checksum)
            yield window
            size = window.seek(0, os.SEEK_END)
            self._stream.flush()
            os.fsync(handle)  # it has to be done, and the checksum takes time as well
            crc = checksum.result(size)
        except BaseException:
            checksum.stop()
            raise
        self._stream.seek(member.offset)
        member = member._replace(crc=crc, size=size)
        self._stream.write(member.local())
        self._position = self._stream.seek(start + size)
        self._members.append(member)

    def close(self) -> None:
        """Write the directory."""
        start, count = self._position, len(self._members)
        directory = b"".join(member.central() for member in self._members)
        size = len(directory)
        self._stream.write(directory)
        if count > _MANY or start > _LIMIT or size > _LIMIT:
            self._stream.write(
                _END_64.pack(b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, start)
                + _LOCATOR_64.pack(b"PK\6\7", 0, start + size, 1)
            )
            count, start, size = min(count, _MANY), min(start, _FULL), min(size, _FULL)
        self._stream.write(_END.pack(b"PK\5\6", 0, 0, count, count, size, start, 0))


def _chunks(data: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: data.read(1 << 20), b"")


class Window(io.RawIOBase):
    """A part of an open file, as a file.

    Args:
        stream: The file.
        start: Where the part begins.
        size: Its length, for reading; `None` if it ends with the file, for writing as well.
        checksum: What is told of all that is written.
    """

    def __init__(
        self, stream: IO[bytes], start: int, size: int | None, checksum: Checksum | None = None
    ) -> None:
        self._stream, self._start, self._size, self._position = stream, start, size, 0
        self._checksum = checksum

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return self._size is None

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def _end(self) -> int:
        if self._size is not None:
            return self._size
        return max(0, self._stream.seek(0, os.SEEK_END) - self._start)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = 0
        if whence != os.SEEK_SET:
            base = self._end() if whence == os.SEEK_END else self._position
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        count = len(view)
        if self._size is not None:
            count = max(0, min(count, self._size - self._position))
        self._stream.seek(self._start + self._position)
        read = self._stream.readinto(view[:count])
        self._position += read
        return read

    def write(self, data: Any) -> int:
        self._stream.seek(self._start + self._position)
        written = self._stream.write(data)
        if self._checksum is not None:
            self._stream.flush()  # for threads that read the file
            self._checksum.written(self._position, written)
        self._position += written
        return written

    def truncate(self, size: int | None = None) -> int:
        size = self._position if size is None else size
        self._stream.truncate(self._start + size)
        return size

    def flush(self) -> None:
        if self.writable():
            self._stream.flush()
