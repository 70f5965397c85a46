"""The checksum of a part of a file, computed by several threads at a time.

Zip archives have a CRC-32 of each member. Computing it takes about as long as reading the bytes, so
it is done beside that: parts of the file are summed by threads and put together, which works since
a CRC is the remainder of a polynomial over GF(2): that of A followed by B is CRC(A) times x to the
number of bits of B, plus CRC(B).
"""

from __future__ import annotations

import dataclasses
import os
import queue
import threading
import zlib

__all__ = ["Checksum", "combine_crc32"]

_PIECE = 1 << 22
_LEAST = 1 << 18  # what is written in one go and summed at once
_MOST_THREADS = 4
_POLYNOMIAL = 0xEDB88320  # of CRC-32, x^0 in the highest bit
_ONE = 1 << 31
_BYTE = 1 << 23  # x^8


def _product(a: int, b: int) -> int:
    """Multiply two polynomials, modulo that of CRC-32."""
    product = 0
    bit = _ONE
    while bit:
        if a & bit:
            product ^= b
        b = (b >> 1) ^ _POLYNOMIAL if b & 1 else b >> 1
        bit >>= 1
    return product


def _shift(size: int) -> int:
    """Return x to the number of bits in so many bytes."""
    power, square = _ONE, _BYTE
    while size:
        if size & 1:
            power = _product(square, power)
        square = _product(square, square)
        size >>= 1
    return power


def combine_crc32(first: int, second: int, size: int) -> int:
    """Return the CRC-32 of two pieces of data, one after the other.

    Args:
        first: That of the first piece.
        second: That of the second piece.
        size: The length of the second piece, in bytes.

    Example:
        >>> combine_crc32(zlib.crc32(b"so and "), zlib.crc32(b"so"), 2) == zlib.crc32(b"so and so")
        True
    """
    return _product(_shift(size), first) ^ second


@dataclasses.dataclass(slots=True)
class _Piece:
    """A piece of the part, and its CRC-32 once it is known, or why it cannot be."""

    start: int
    end: int
    crc: int = 0
    error: OSError | None = None


class Checksum:
    """The CRC-32 of a part of an open file, which threads compute piece by piece.

    Args:
        handle: The file's descriptor. Its position is neither used nor moved.
        start: Where the part begins.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryFile() as file:
        ...     _ = file.write(b"header, data")
        ...     file.flush()
        ...     Checksum(file.fileno(), start=8).result(4) == zlib.crc32(b"data")
        True
    """

    def __init__(self, handle: int, start: int) -> None:
        self._handle, self._start = handle, start
        self._pieces: dict[int, _Piece] = {}  # by where they begin
        self._until = 0
        self._waiting: queue.SimpleQueue[_Piece | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._stopped = False

    def written(self, offset: int, size: int) -> None:
        """Tell that bytes of the file have changed; large pieces are summed from now on.

        Args:
            offset: Where they are in the part.
            size: How many there are.
        """
        end = offset + size
        if offset < self._until:
            pieces = list(self._pieces.values())
            for piece in pieces:  # such a one is summed at the end
                if piece.start < end and offset < piece.end:
                    del self._pieces[piece.start]
        if size >= _LEAST:
            self._begin(offset, end)

    def _begin(self, offset: int, end: int) -> None:
        """Give a range to the threads, in pieces."""
        self._until = max(self._until, end)
        for at in range(offset, end, _PIECE):
            piece = self._pieces[at] = _Piece(at, min(end, at + _PIECE))
            self._waiting.put(piece)
        while len(self._threads) < min(_count_threads(), len(self._pieces)):
            self._threads.append(threading.Thread(target=self._run, daemon=True))
            self._threads[-1].start()

    def _run(self) -> None:
        buffer = memoryview(bytearray(_PIECE))
        while (piece := self._waiting.get()) is not None:
            if not self._stopped:
                self._sum(buffer, piece)

    def _sum(self, buffer: memoryview, piece: _Piece) -> None:
        data = left = buffer[: piece.end - piece.start]
        place = self._start + piece.start
        try:
            while left:
                count = os.preadv(self._handle, [left], place)
                if not count:
                    raise OSError("the file ends early")
                left, place = left[count:], place + count
        except OSError as error:
            piece.error = error  # no harm if it has been written anew meanwhile, or cut off
            return
        piece.crc = zlib.crc32(data)

    def stop(self) -> None:
        """Compute no further; the threads have ended when this returns."""
        self._stopped = True
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def result(self, size: int) -> int:
        """Return the checksum of the part's first bytes; the calling thread helps to compute it.

        Args:
            size: How many.

        Raises:
            OSError: The file cannot be read, or has fewer.
        """
        position = 0
        pieces = sorted(self._pieces.items())
        self._pieces = {at: piece for at, piece in pieces if piece.end <= size}
        for at, piece in list(self._pieces.items()):
            self._begin(position, at)
            position = piece.end
        self._begin(position, size)
        for _ in (0, *self._threads):
            self._waiting.put(None)
        self._run()
        for thread in self._threads:
            thread.join()
        total, shift = 0, _shift(_PIECE)
        for _, piece in sorted(self._pieces.items()):
            if piece.error is not None:
                raise piece.error
            size = piece.end - piece.start
            total = _product(shift if size == _PIECE else _shift(size), total) ^ piece.crc
        return total


def _count_threads() -> int:
    """Return how many threads compute beside the one that does other work."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2
    return min(max(1, cores - 1), _MOST_THREADS)
