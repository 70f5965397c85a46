"""Tables between the tokens of a vocabulary and their indices, and files of tokens.

A token's index is its place in the table plus `start`. Tokens are `bytes` (UTF-8) or integers.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..naming import explain
from ._constant import Constant
from .strings import decoded

__all__ = ["IntegerTable", "StringTable", "read_lines", "write_lines"]

_DENSE = 8  # places in a table of integers, at most, for each of them


class StringTable:
    """Strings and their indices.

    Args:
        tokens: Without repetitions.
        start: The index of the first one.
        special: Other strings to be found, with their indices.

    Example:
        >>> StringTable([b"a", b"b"], start=1).find([b"b", b"z"], missing=0).tolist()
        [2, 0]
    """

    def __init__(
        self, tokens: Sequence[bytes], start: int, special: Mapping[bytes, int] | None = None
    ) -> None:
        self.tokens = list(tokens)
        self.start = start
        self._indices = dict(zip(self.tokens, itertools.count(start), strict=False))
        self._indices.update(special or {})
        self._names: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    def find(self, values: Sequence[bytes], missing: int) -> Tensor:
        """Return the indices of some tokens, on the CPU; `missing` for those that are not there."""
        found = map(self._indices.get, values, itertools.repeat(missing))
        return torch.from_numpy(np.fromiter(found, np.int64, len(values)))

    def at(self, indices: Tensor, missing: Any) -> np.ndarray:
        """Return the strings at some indices; `missing` for an index that no token has."""
        if self._names is None:
            self._names = np.array([*decoded(self.tokens), None], dtype=object)
        places = indices.cpu().numpy() - self.start
        outside = (places < 0) | (places >= len(self))
        names = self._names[np.where(outside, len(self), places)]
        return np.where(outside, missing, names)

    def names(self) -> list[Any]:
        """Return the tokens as Python strings."""
        return decoded(self.tokens)


class IntegerTable:
    """Integers and their indices; looked up on the device that the values are on.

    Where the integers are close together, as numbers of items are, a table of the whole range is
    read at their places; otherwise they are searched for.

    Args:
        tokens: Without repetitions.
        start: The index of the first one.

    Example:
        >>> IntegerTable([30, 10], start=1).find(torch.tensor([10, 20]), missing=0).tolist()
        [2, 0]
    """

    def __init__(self, tokens: Sequence[int], start: int) -> None:
        self.start = start
        self._tokens = np.asarray(tokens, dtype=np.int64)
        self._count = len(self._tokens)  # graphs do without the array
        self._by_index = Constant(self._tokens)
        if not len(self):
            return
        self._least = int(self._tokens.min())
        self._span = int(self._tokens.max()) - self._least + 1
        self._dense = self._span <= _DENSE * len(self)
        if self._dense:
            indices = np.full(self._span, -1)
            indices[self._tokens - self._least] = np.arange(start, start + len(self))
            self._indices = Constant(indices)
        else:
            order = np.argsort(self._tokens)
            self._sorted = Constant(self._tokens[order])
            self._indices = Constant(order + start)

    @property
    def tokens(self) -> list[int]:
        """The integers in the order of their indices."""
        return self._tokens.tolist()

    def __len__(self) -> int:
        return self._count

    def find(self, values: Tensor, missing: int) -> Tensor:
        """Return the indices of some tokens; `missing` for those that are not there."""
        if not len(self):
            return torch.full_like(values, missing)
        indices = self._indices.on(values.device)
        if self._dense:
            places = (values - self._least).clamp_(-1, self._span)  # one on either side is outside
            inside = (places >= 0) & (places < self._span)
            found = indices[places.clamp_(0, self._span - 1)]
            return torch.where(inside & (found >= 0), found, missing)
        known = self._sorted.on(values.device)
        places = torch.searchsorted(known, values.contiguous()).clamp_(max=len(self) - 1)
        return torch.where(known[places] == values, indices[places], missing)

    def at(self, indices: Tensor, missing: int) -> Tensor:
        """Return the integers at some indices; `missing` for an index that no token has."""
        if not len(self):
            return torch.full_like(indices, missing)
        places = indices - self.start
        inside = (places >= 0) & (places < len(self))
        tokens = self._by_index.on(indices.device)[places.clamp(0, len(self) - 1)]
        return torch.where(inside, tokens, missing)

    def names(self) -> list[Any]:
        """Return the tokens as Python integers."""
        return self.tokens


def read_lines(path: Any) -> list[bytes]:
    """Return the lines of a text file, without an empty one after the last.

    Line ends of other systems are taken off; nothing else separates lines.
    """
    with open(path, "rb") as file:
        text = file.read()
    lines = text.replace(b"\r\n", b"\n").split(b"\n")
    if not lines[-1]:
        lines.pop()
    return lines


def write_lines(path: Any, lines: Iterable[Any], owner: str) -> None:
    """Write tokens into a text file, one a line.

    Raises:
        ValueError: A token contains a line end, so that it could not be read back.
    """
    texts = [str(line) for line in lines]
    broken = next((text for text in texts if "\n" in text), None)
    if broken is not None:
        raise ValueError(
            explain(
                f"{owner}: a token of the vocabulary contains a line end, and its file has one"
                " token a line.",
                token=repr(broken),
                fix="pass the tokens as `vocabulary=` to the constructor: the config keeps them.",
            )
        )
    with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        file.write("\n".join(texts))
