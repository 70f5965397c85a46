"""Hashes of strings and of integers, equal to TensorFlow's bit for bit.

Hashing layers put values into buckets by *fingerprints* that must never change: models and files
rely on them. `fingerprints` is FarmHash's `Fingerprint64`, `keyed_fingerprints` SipHash-2-4 under a
128-bit key, `combined` joins two fingerprints as feature crosses do.

All of it is vectorized integer arithmetic in torch. Words are 64 bits wide and unsigned, held in
`int64` tensors as bit patterns: sums, products and shifts to the left are the same for both, shifts
to the right and remainders are not, hence `_shifted` and `buckets`. Strings are hashed on the CPU,
integers, which hash as their decimal digits do, on the device they are on, without a word from the
host.

Letters: n strings, L longest length. Offsets count bytes from the beginning of a string.
Sources: FarmHash (`farmhashna`, Google, 2014); Aumasson & Bernstein 2012 (SipHash); the ops
`StringToHashBucketFast`, `StringToHashBucketStrong` and `SparseCrossHashed` of TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "buckets",
    "combined",
    "fingerprints",
    "fingerprints_of_integers",
    "keyed_fingerprints",
    "keyed_fingerprints_of_integers",
]

_DIGITS = 20  # of the longest 64-bit integer, its sign included
_CHUNK = 1 << 14  # integers hashed at a time on a CPU, which fit its cache


def _word(value: int) -> int:
    """Return the signed integer with the same 64 bits."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


# FarmHash's multipliers, and those of TensorFlow's crosses and SipHash's first state.
_K0 = _word(0xC3A5C85C97CB3127)
_K1 = _word(0xB492B66FBE98F273)
_K2 = _word(0x9AE16A3B2F90404F)
_CROSS = _word(0xC6A4A7935BD1E995)
_SIP = tuple(
    map(_word, (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573))
)


class _Text(NamedTuple):
    """Strings to hash.

    Attributes:
        lengths: Of each, in bytes.
        starts: Positions that `read` takes, of the first byte of each.
        read: Gives the little-endian words of 8 bytes at some positions. What lies behind the end
            of a string is arbitrary.
    """

    lengths: Tensor
    starts: Tensor
    read: Callable[[Tensor], Tensor]

    def at(self, offset: int | Tensor) -> Tensor:
        """Return the word at an offset in each string."""
        return self.read(self.starts + offset)

    def from_end(self, offset: int) -> Tensor:
        """Return the word that begins so many bytes before the end of each string."""
        return self.read(self.starts + (self.lengths - offset))

    def only(self, which: Tensor) -> _Text:
        """Return some of the strings."""
        return _Text(self.lengths[which], self.starts[which], self.read)


def _text_of_strings(strings: Sequence[bytes]) -> _Text:
    data = b"".join(strings)
    lengths = np.fromiter(map(len, strings), np.int64, len(strings))
    # A word begins at every byte: a view with overlapping items, which costs no memory.
    words = np.ndarray(len(data) + 1, "<i8", data + bytes(8), strides=(1,))

    def read(positions: Tensor) -> Tensor:
        return torch.from_numpy(words[positions.numpy()])

    return _Text(torch.from_numpy(lengths), torch.from_numpy(np.cumsum(lengths) - lengths), read)


def _text_of_integers(x: Tensor, digits: int) -> _Text:
    """Write integers `(n,)` in decimal, aligned on the right in rows of so many bytes."""
    x = x.long()
    rest = torch.where(x < 0, x, -x)  # not positive: -(2**63) has no positive counterpart
    columns, length = [], torch.ones_like(x)
    for _ in range(digits):
        tenth = torch.div(rest, 10, rounding_mode="trunc")
        columns.append(tenth * 10 - rest + ord("0"))
        rest = tenth
        length += rest != 0
    length += x < 0
    start = digits - length
    place = torch.arange(digits, device=x.device)
    is_sign = (place == start[:, None]) & (x < 0)[:, None]
    text = torch.where(is_sign, ord("-"), torch.stack(columns[::-1], 1))
    words = torch.nn.functional.pad(text, (0, 15))  # some words begin 8 bytes after the first
    for width in (1, 2, 4):
        words = words[:, :-width] | (words[:, width:] << (8 * width))
    rows = torch.arange(len(x), device=x.device) * words.shape[1]
    flat = words.reshape(-1)
    return _Text(length, rows + start, lambda positions: flat[positions])


def _of_integers(function: Callable[[_Text, int], Tensor], x: Tensor) -> Tensor:
    """Apply a function of decimal texts and the most digits in them to integers of any shape."""
    flat = x.reshape(-1)
    if x.device.type != "cpu" or torch.compiler.is_compiling() or not len(flat):
        return function(_text_of_integers(flat, _DIGITS), _DIGITS).reshape(x.shape)
    least, most = torch.aminmax(flat)  # free to ask on a CPU
    digits = max(len(str(int(least))), len(str(int(most))))
    parts = [function(_text_of_integers(part, digits), digits) for part in flat.split(_CHUNK)]
    return torch.cat(parts).reshape(x.shape)


# Unsigned words ----------------------------------------------------------------------------------


def _shifted(x: Tensor, bits: int) -> Tensor:
    """Shift unsigned words to the right."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _rotated(x: Tensor, bits: int) -> Tensor:
    """Rotate words to the right."""
    return _shifted(x, bits) | (x << (64 - bits))


def _mixed(x: Tensor) -> Tensor:
    return x ^ _shifted(x, 47)


def buckets(words: Tensor, count: int) -> Tensor:
    """Return the remainders of unsigned words.

    Args:
        words: Fingerprints.
        count: The divisor, below 2**62.

    Example:
        >>> buckets(fingerprints([b"a", b"b"]), 10).tolist()
        [9, 2]
    """
    half = _shifted(words, 1)  # fits a signed integer, of which torch knows the remainder
    return ((half % count) * 2 + (words & 1)) % count


# FarmHash ----------------------------------------------------------------------------------------


def _pair(u: Tensor, v: Tensor, multiplier: Tensor) -> Tensor:
    a = _mixed((u ^ v) * multiplier)
    return _mixed((v ^ a) * multiplier) * multiplier


def _upto_3(text: _Text) -> Tensor:
    n = text.lengths
    first, middle, last = text.at(0), text.at(n >> 1), text.from_end(1)
    y = (first & 255) + ((middle & 255) << 8)
    z = n + ((last & 255) << 2)
    return torch.where(n > 0, _mixed(y * _K2 ^ z * _K0) * _K2, _K2)


def _upto_7(text: _Text) -> Tensor:
    n, low = text.lengths, (1 << 32) - 1
    return _pair(n + ((text.at(0) & low) << 3), text.from_end(4) & low, n * 2 + _K2)


def _upto_16(text: _Text) -> Tensor:
    multiplier = text.lengths * 2 + _K2
    a, b = text.at(0) + _K2, text.from_end(8)
    c = _rotated(b, 37) * multiplier + a
    d = (_rotated(a, 25) + b) * multiplier
    return _pair(c, d, multiplier)


def _upto_32(text: _Text) -> Tensor:
    multiplier = text.lengths * 2 + _K2
    a, b = text.at(0) * _K1, text.at(8)
    c, d = text.from_end(8) * multiplier, text.from_end(16) * _K2
    u = _rotated(a + b, 43) + _rotated(c, 30) + d
    return _pair(u, a + _rotated(b + _K2, 18) + c, multiplier)


def _upto_64(text: _Text) -> Tensor:
    multiplier = text.lengths * 2 + _K2
    a, b = text.at(0) * _K2, text.at(8)
    c, d = text.from_end(8) * multiplier, text.from_end(16) * _K2
    y = _rotated(a + b, 43) + _rotated(c, 30) + d
    z = _pair(y, a + _rotated(b + _K2, 18) + c, multiplier)
    e, f = text.at(16) * multiplier, text.at(24)
    g = (y + text.from_end(32)) * multiplier
    h = (z + text.from_end(24)) * multiplier
    u = _rotated(e + f, 43) + _rotated(g, 30) + h
    return _pair(u, e + _rotated(f + a, 18) + g, multiplier)


def _beyond_64(text: _Text) -> Tensor:
    """Take in blocks of 64 bytes, of ever fewer strings, and once more the last 64 bytes."""
    order = torch.argsort(text.lengths, descending=True)
    text = text.only(order)
    y = torch.full_like(text.lengths, _word(81 * _K1 + 113))
    zero = torch.zeros_like(y)
    x, z = text.at(0) + _word(81 * _K2), _mixed(y * _K2 + 113) * _K2
    state = torch.stack([x, y, z, zero, zero, zero, zero])
    blocks = torch.bincount((text.lengths - 1) // 64).flip(0).cumsum(0).flip(0)
    for i, count in enumerate(blocks[1:].tolist()):  # so many strings have more than i blocks
        rest = _Text(text.lengths[:count], text.starts[:count] + 64 * i, text.read)
        state[:, :count] = torch.stack(_taken_in(rest, state[:, :count], _K1))
    x, y, z, v0, v1, w0, w1 = state
    multiplier = ((z & 255) << 1) + _K1
    w0 = w0 + ((text.lengths - 1) & 63)
    v0 = v0 + w0
    tail = _Text(text.lengths, text.starts + (text.lengths - 64), text.read)
    state = _taken_in(tail, (x, y, z, v0, v1, w0 + v0, w1), multiplier, weight=9)
    x, y, z, v0, v1, w0, w1 = state
    first = _pair(v0, w0, multiplier) + _mixed(y) * _K0 + z
    result = torch.empty_like(first)
    result[order] = _pair(first, _pair(v1, w1, multiplier) + x, multiplier)
    return result


def _taken_in(
    text: _Text, state: Sequence[Tensor] | Tensor, multiplier: int | Tensor, weight: int = 1
) -> tuple[Tensor, ...]:
    """Mix 64 bytes at the start of each string into the state."""
    x, y, z, v0, v1, w0, w1 = state
    x = _rotated(x + y + v0 + text.at(8), 37) * multiplier ^ w1 * weight
    y = _rotated(y + v1 + text.at(48), 42) * multiplier + v0 * weight + text.at(40)
    z = _rotated(z + w0, 33) * multiplier
    v = _half(text, 0, v1 * multiplier, x + w0)
    w = _half(text, 32, z + w1, y + text.at(16))
    return z, y, x, *v, *w


def _half(text: _Text, offset: int, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Mix 32 bytes into two words."""
    words = [text.at(offset + i) for i in (0, 8, 16, 24)]
    a = a + words[0]
    b = _rotated(b + a + words[3], 21)
    total = a + words[1] + words[2]
    return total + words[3], b + _rotated(total, 44) + a


# The longest strings that each function hashes.
_BY_LENGTH = ((3, _upto_3), (7, _upto_7), (16, _upto_16), (32, _upto_32), (64, _upto_64))


def fingerprints(strings: Sequence[bytes]) -> Tensor:
    """Hash strings with FarmHash's `Fingerprint64`.

    Args:
        strings: n strings.

    Returns:
        Words `(n,)` on the CPU.

    Example:
        >>> fingerprints([b"", b"torch"]).tolist()
        [-7286425919675154353, 6068122607672459334]
    """
    text = _text_of_strings(strings)
    result = torch.empty_like(text.lengths)
    shortest = 0
    for longest, function in (*_BY_LENGTH, (1 << 62, _beyond_64)):
        which = ((text.lengths >= shortest) & (text.lengths <= longest)).nonzero()[:, 0]
        if len(which):
            result[which] = function(text.only(which))
        shortest = longest + 1
    return result


def fingerprints_of_integers(x: Tensor) -> Tensor:
    """Hash integers as their decimal digits, with FarmHash's `Fingerprint64`.

    Args:
        x: Integers of any shape.

    Returns:
        Words of the same shape, on the same device.

    Example:
        >>> torch.equal(fingerprints_of_integers(torch.tensor([-7])), fingerprints([b"-7"]))
        True
    """
    return _of_integers(_fingerprints_upto, x)


def _fingerprints_upto(text: _Text, digits: int) -> Tensor:
    result, shortest = torch.zeros_like(text.lengths), 1
    for longest, function in _BY_LENGTH:
        if shortest <= digits:
            result = torch.where(text.lengths >= shortest, function(text), result)
        shortest = longest + 1
    return result


def combined(first: Tensor, second: Tensor) -> Tensor:
    """Join two fingerprints into one, as TensorFlow's feature crosses do."""
    result = (first ^ _CROSS ^ (_mixed(second * _CROSS) * _CROSS)) * _CROSS
    return _mixed(_mixed(result) * _CROSS)


# SipHash -----------------------------------------------------------------------------------------


def _sip_round(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> tuple[Tensor, ...]:
    a, c = a + b, c + d
    b, d = _rotated(b, 64 - 13) ^ a, _rotated(d, 64 - 16) ^ c
    a, c = _rotated(a, 32) + d, c + b
    b, d = _rotated(b, 64 - 17) ^ c, _rotated(d, 64 - 21) ^ a
    return a, b, _rotated(c, 32), d


def _sip_hash(text: _Text, key: Sequence[int], words: int) -> Tensor:
    """Hash strings of at most `words` whole words."""
    n = text.lengths
    state = [torch.full_like(n, _word(key[i % 2]) ^ _SIP[i]) for i in range(4)]
    whole = n >> 3

    def absorb(word: Tensor, now: Tensor) -> None:
        a, b, c, d = state
        new = _sip_round(*_sip_round(a, b, c, d ^ word))
        new = (new[0] ^ word, *new[1:])
        state[:] = [torch.where(now, n, o) for n, o in zip(new, state, strict=True)]

    for i in range(words):
        absorb(text.at((whole > i) * 8 * i), whole > i)
    left = (n & 7) * 8
    last = text.at(whole * 8) & ((torch.ones_like(n) << left) - 1)
    absorb(last | (n << 56), n >= 0)
    a, b, c, d = state
    c = c ^ 255
    for _ in range(4):
        a, b, c, d = _sip_round(a, b, c, d)
    return a ^ b ^ c ^ d


def keyed_fingerprints(strings: Sequence[bytes], key: Sequence[int]) -> Tensor:
    """Hash strings with SipHash-2-4.

    Args:
        strings: n strings.
        key: Two integers of 64 bits.

    Returns:
        Words `(n,)` on the CPU.

    Example:
        >>> keyed_fingerprints([b"torch"], (1, 2)).tolist()
        [-6958282868683733777]
    """
    text = _text_of_strings(strings)
    return _sip_hash(text, key, int(text.lengths.max()) >> 3 if strings else 0)


def keyed_fingerprints_of_integers(x: Tensor, key: Sequence[int]) -> Tensor:
    """Hash integers as their decimal digits, with SipHash-2-4.

    Args:
        x: Integers of any shape.
        key: Two integers of 64 bits.

    Returns:
        Words of the same shape, on the same device.
    """
    return _of_integers(lambda text, digits: _sip_hash(text, key, digits >> 3), x)
