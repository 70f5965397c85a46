"""Protobuf's encoding and checksums, against their definitions."""

import random

import numpy as np
import pytest

from torchkeras.saving import wire


def by_bits(data):
    """CRC-32C as its definition has it: division of polynomials, bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@pytest.mark.parametrize("size", [0, 1, 9, 255, 1 << 13, (1 << 15) - 1, (1 << 15) + 3, 70_001])
def test_checksums(size, monkeypatch):
    data = random.Random(size).randbytes(size)
    expected = by_bits(data)
    assert wire.crc32c(data) == wire.crc32c(bytearray(data)) == expected
    monkeypatch.setattr(wire, "_PIECE", 30_000)
    assert wire.crc32c(memoryview(data)) == expected


def test_checksums_of_the_standard():
    """RFC 3720, B.4."""
    assert wire.crc32c(bytes(32)) == 0x8A9136AA
    assert wire.crc32c(b"\xff" * 32) == 0x62A8AB43
    assert wire.crc32c(np.arange(32, dtype="u1").tobytes()) == 0x46DD794E


def test_messages():
    data = wire.field(1, b"ab") + wire.field(2, 300) + wire.field(3, -1 & 2**64 - 1)
    data += bytes([4 << 3 | 5, 1, 0, 0, 0]) + bytes([5 << 3 | 1]) + bytes(8)
    assert list(wire.parts_of(data)) == [
        (1, b"ab"),
        (2, 300),
        (3, 2**64 - 1),
        (4, b"\x01\x00\x00\x00"),
        (5, bytes(8)),
    ]
    assert wire.signed(2**64 - 1) == -1 and wire.fixed32(b"\x01\x00\x00\x00") == 1
    assert wire.integers(wire.varint(1) + wire.varint(-5)) == [1, -5]
    assert list(wire.messages(wire.field(1, b"a") + wire.field(2, b"b"), 2)) == [b"b"]


@pytest.mark.parametrize(
    "data",
    [
        b"\x80",
        b"\xff" * 20,
        b"\x0a\x05ab",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x0b",
        b"\x0d\x00",
        b"\x0a",
    ],
)
def test_broken_messages(data):
    with pytest.raises(ValueError, match="No message"):
        list(wire.parts_of(data))


def test_kinds_are_checked():
    with pytest.raises(ValueError, match="an integer where a message belongs"):
        list(wire.messages(wire.field(1, 5), 1))
    with pytest.raises(ValueError, match="four bytes"):
        wire.fixed32(5)
