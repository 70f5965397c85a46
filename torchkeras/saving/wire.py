"""Protobuf's encoding, read and written without protobuf, and the checksums of TensorFlow's files.

A message is a sequence of fields, each a number with an integer, with four or eight bytes, or with
bytes that say how many they are. What a stranger wrote is read: each length is compared with what
is left before anything is taken.

Source: protobuf's description of its encoding; CRC-32C is that of RFC 3720.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = [
    "DTYPES",
    "crc32c",
    "field",
    "fixed32",
    "integers",
    "masked",
    "masked_crc32c",
    "messages",
    "parts_of",
    "read_varint",
    "signed",
    "varint",
]

# TensorFlow's numbers of dtypes.
DTYPES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    8: "complex64",
    9: "int64",
    10: "bool",
    17: "uint16",
    18: "complex128",
    19: "float16",
    22: "uint32",
    23: "uint64",
}


# Messages -----------------------------------------------------------------------------------------


def varint(value: int) -> bytes:
    """Encode an integer of 64 bits in as many bytes as it needs.

    >>> varint(300)
    b'\\xac\\x02'
    """
    value &= 2**64 - 1
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    made.append(value)
    return bytes(made)


def field(number: int, data: bytes | int) -> bytes:
    """Encode a field of bytes, or of an integer.

    >>> field(1, b"ab"), field(2, 5)
    (b'\\n\\x02ab', b'\\x10\\x05')
    """
    if isinstance(data, int):
        return varint(number << 3) + varint(data)
    return varint(number << 3 | 2) + varint(len(data)) + data


def read_varint(data: bytes, place: int) -> tuple[int, int]:
    """Return the integer at a place, and the place after it.

    Raises:
        ValueError: There is none.
    """
    value = shift = 0
    while True:
        if place >= len(data) or shift > 63:
            raise ValueError("No message of protobuf: a number does not end.")
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7


def parts_of(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield the fields of a message: numbers with integers, or with bytes.

    Raises:
        ValueError: It is none.
    """
    place = 0
    while place < len(data):
        key, place = read_varint(data, place)
        kind = key & 7
        if kind == 0:
            value, place = read_varint(data, place)
            yield key >> 3, value
            continue
        size = {1: 8, 5: 4}.get(kind)
        if size is None:
            if kind != 2:
                raise ValueError(f"No message of protobuf: a field of kind {kind}.")
            size, place = read_varint(data, place)
        if place + size > len(data):
            raise ValueError("No message of protobuf: it ends within a field.")
        yield key >> 3, data[place : place + size]
        place += size


def messages(data: bytes, number: int) -> Iterator[bytes]:
    """Yield what the fields of one number hold, which has to be bytes.

    Raises:
        ValueError: It is an integer, or `data` is no message.
    """
    for found, value in parts_of(data):
        if found == number:
            if isinstance(value, int):
                raise ValueError(f"Field {number} holds an integer where a message belongs.")
            yield value


def integers(data: bytes) -> list[int]:
    """Return packed integers."""
    if data.isascii():  # all are below 128
        return list(data)
    found, place = [], 0
    while place < len(data):
        value, place = read_varint(data, place)
        found.append(signed(value))
    return found


def signed(value: int) -> int:
    """Return an integer of 64 bits as one with a sign."""
    return value - 2**64 if value >> 63 else value


# Checksums ----------------------------------------------------------------------------------------

_POLYNOMIAL = 0x82F63B78
_FEW = 1 << 13  # bytes that a loop sums as fast
_PIECE = 1 << 22
_LANES = 1 << 14


@functools.cache
def _table(bits: int) -> list[int]:
    """Return what a checksum becomes by its lowest bits, while it moves on by as many."""
    values = np.arange(1 << bits, dtype=np.uint32)
    for _ in range(bits):
        values = values >> 1 ^ (values & 1) * np.uint32(_POLYNOMIAL)
    return values.tolist()


@functools.cache
def _word_table() -> np.ndarray:
    return np.asarray(_table(16), np.uint32)


@functools.lru_cache(1 << 10)
def _shift(size: int) -> np.ndarray:
    """Return what each bit of a checksum becomes by so many zeros after it."""
    if size == 1:
        table = _table(8)
        return np.asarray(
            [table[bit & 255] ^ bit >> 8 for bit in (1 << i for i in range(32))], "u4"
        )
    half = _shift(size // 2)
    doubled = _shifted(half, half)
    return _shifted(doubled, _shift(1)) if size % 2 else doubled


def _shifted(sums: np.ndarray, shift: np.ndarray) -> np.ndarray:
    made = np.zeros_like(sums)
    for i in range(32):
        made ^= (sums >> np.uint32(i) & np.uint32(1)) * shift[i]
    return made


def crc32c(data: bytes | bytearray | memoryview) -> int:
    """Return the CRC-32C of bytes.

    Many of them are summed in lanes, side by side: the sum of two pieces is that of the first with
    as many zeros after it as the second has bytes, and that of the second.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    view = memoryview(data).cast("B")
    crc = 0xFFFFFFFF
    for at in range(0, len(view), _PIECE):
        piece = view[at : at + _PIECE]
        if len(piece) < _FEW:
            table = _table(8)
            for byte in piece:
                crc = table[(crc ^ byte) & 255] ^ crc >> 8
        else:
            moved = _shifted(np.asarray([crc], np.uint32), _shift(len(piece)))
            crc = int(moved[0]) ^ _sum_of_lanes(piece)
    return crc ^ 0xFFFFFFFF


def _sum_of_lanes(piece: memoryview) -> int:
    """Sum up bytes that come after nothing."""
    width = -(-len(piece) // (2 * _LANES))  # of a lane, in words
    filled = np.zeros(2 * width * _LANES, np.uint8)
    filled[len(filled) - len(piece) :] = np.frombuffer(piece, np.uint8)  # zeros before are nothing
    words = np.ascontiguousarray(filled.view("<u2").reshape(_LANES, width).T)
    table, sums = _word_table(), np.zeros(_LANES, np.uint32)
    for row in words:
        sums = table[(sums ^ row) & 0xFFFF] ^ sums >> 16
    size = 2 * width
    while len(sums) > 1:
        sums = _shifted(sums[0::2], _shift(size)) ^ sums[1::2]
        size *= 2
    return int(sums[0])


def masked(crc: int) -> int:
    """Mask a checksum as TensorFlow does, so that sums of what contains sums differ from them."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def masked_crc32c(data: bytes) -> int:
    """Return the masked CRC-32C of bytes."""
    return masked(crc32c(data))


def fixed32(value: Any) -> int:
    """Return the number that a field of four bytes holds.

    Raises:
        ValueError: It holds something else.
    """
    if not isinstance(value, bytes) or len(value) != 4:
        raise ValueError("A field of a message has no four bytes.")
    return struct.unpack("<I", value)[0]
