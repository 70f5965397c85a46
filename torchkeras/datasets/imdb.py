"""IMDB: reviews of films, for or against, as lists of word numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..naming import explain
from .storage import Split, fetch, load_json, load_npz, shuffled
from .words import as_texts, select_words

__all__ = ["get_word_index", "load_data"]

_HASH = "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"
_INDEX_HASH = "bfafd718b763782e994055a2d397834f"


def load_data(
    path: str = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
    **kwargs: Any,
) -> Split:
    """Load 25 000 reviews for training and 25 000 for tests.

    A word's number is its rank by frequency plus `index_from`.

    Args:
        path: Name of the file in the cache.
        num_words: Words with this number or a higher one are replaced; by default the highest.
        skip_top: Words with a lower number are replaced.
        maxlen: Reviews that are as long as this, or longer, are left out.
        seed: Of the order.
        start_char: What each review begins with; `None` for nothing.
        oov_char: What replaces words; `None` leaves them out.
        index_from: What is added to all numbers.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: arrays `(N,)` of lists of word numbers, and of 1
        (for) or 0 (against).

    Raises:
        ValueError: `maxlen` leaves nothing over.
        TypeError: An unknown argument.

    Source: Maas et al. 2011.
    """
    if kwargs:
        raise TypeError(f"imdb.load_data: unknown arguments {sorted(kwargs)}.")
    data = load_npz(fetch("imdb.npz", _HASH, path))
    rng = np.random.RandomState(seed)
    x_train, y_train = shuffled(rng, data["x_train"], data["y_train"])
    x_test, y_test = shuffled(rng, data["x_test"], data["y_test"])
    first = _count_short(x_train, maxlen, start_char)
    words, lengths, labels = select_words(
        [*x_train, *x_test],
        np.concatenate([y_train, y_test]),
        num_words,
        skip_top,
        maxlen,
        start_char,
        oov_char,
        index_from,
    )
    if maxlen and not 0 < first < len(labels):
        raise ValueError(
            explain(
                f"imdb.load_data: no sequence is shorter than maxlen={maxlen}, so no sequence was"
                " kept.",
                fix="increase `maxlen`.",
            )
        )
    x = as_texts(words, lengths)
    return (x[:first], labels[:first]), (x[first:], labels[first:])


def _count_short(texts: Any, maxlen: int | None, start_char: int | None) -> int:
    """How many texts `maxlen` leaves."""
    extra = start_char is not None
    return sum(len(text) + extra < maxlen for text in texts) if maxlen else len(texts)


def get_word_index(path: str = "imdb_word_index.json") -> dict[str, int]:
    """Load the rank of each word; `load_data` adds `index_from` to it.

    Args:
        path: Name of the file in the cache.
    """
    return load_json(fetch("imdb_word_index.json", _INDEX_HASH, path))
