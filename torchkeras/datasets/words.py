"""What IMDB and Reuters share: texts as lists of word numbers, of which some are replaced.

A word's number is its rank by frequency; 0 pads, and `index_from` numbers are kept free in front.
All texts are one array here, W words long, with the lengths of the N texts beside it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["as_texts", "select_words"]


def select_words(
    texts: Sequence[Sequence[int]],
    labels: Any,
    num_words: int | None,
    skip_top: int,
    maxlen: int | None,
    start_char: int | None,
    oov_char: int | None,
    index_from: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Renumber texts, drop long ones, and replace words.

    Args:
        texts: Word numbers, from 1.
        labels: `(N,)`.
        num_words: Words with this number or a higher one are replaced; by default the highest.
        skip_top: Words with a lower number are replaced.
        maxlen: Texts that are as long as this, or longer, are left out.
        start_char: What each text begins with; `None` for nothing.
        oov_char: What replaces words; `None` leaves them out.
        index_from: What is added to all numbers.

    Returns: The words `(W,)`, the lengths `(N,)` and the labels `(N,)`.
    """
    labels, index_from = np.asarray(labels), index_from or 0
    lengths = np.fromiter(map(len, texts), "int64", len(texts))
    words = np.fromiter(itertools.chain.from_iterable(texts), "int64", int(lengths.sum()))
    if start_char is not None:
        starts = np.cumsum(lengths) - lengths
        words = np.insert(words + index_from, starts, start_char)
        lengths = lengths + 1
    else:
        words = words + index_from
    if maxlen:
        short = lengths < maxlen
        words = words[np.repeat(short, lengths)]
        lengths, labels = lengths[short], labels[short]
    if not num_words and len(words):
        num_words = words.max()
    kept = (words >= skip_top) & (words < (num_words or 0))
    if oov_char is not None:
        return np.where(kept, words, oov_char), lengths, labels
    texts_of_words = np.repeat(np.arange(len(lengths)), lengths)
    return words[kept], np.bincount(texts_of_words[kept], minlength=len(lengths)), labels


def as_texts(words: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Cut words into an array `(N,)` of lists.

    Example:
        >>> as_texts(np.array([1, 2, 3]), np.array([2, 1])).tolist()
        [[1, 2], [3]]
    """
    flat, ends = words.tolist(), np.cumsum(lengths).tolist()
    texts = np.empty(len(lengths), dtype=object)
    texts[:] = [flat[a:b] for a, b in zip([0, *ends], ends, strict=False)]
    return texts
