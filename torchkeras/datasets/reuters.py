"""Reuters: news of 46 topics as lists of word numbers."""

from __future__ import annotations

import numpy as np

from .storage import Split, fetch, load_json, load_npz, shuffled, split_off
from .words import as_texts, select_words

__all__ = ["get_label_names", "get_word_index", "load_data"]

_HASH = "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916"
_INDEX_HASH = "4d44cc38712099c9e383dc6e5f11a921"
_TOPICS = """
cocoa grain veg-oil earn acq wheat copper housing money-supply coffee sugar trade reserves ship
cotton carcass crude nat-gas cpi money-fx interest gnp meal-feed alum oilseed gold tin
strategic-metal livestock retail ipi iron-steel rubber heat jobs lei bop zinc orange pet-chem dlr
gas silver wpi hog lead
"""


def load_data(
    path: str = "reuters.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> Split:
    """Load 11 228 news.

    A word's number is its rank by frequency plus `index_from`.

    Args:
        path: Name of the file in the cache.
        num_words: Words with this number or a higher one are replaced; by default the highest.
        skip_top: Words with a lower number are replaced.
        maxlen: News that are as long as this, or longer, are left out.
        test_split: Which part of them is for tests.
        seed: Of the order.
        start_char: What each text begins with; `None` for nothing.
        oov_char: What replaces words; `None` leaves them out.
        index_from: What is added to all numbers.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: arrays `(N,)` of lists of word numbers, and of
        topics; `get_label_names` says which.

    Source: Reuters-21578.
    """
    data = load_npz(fetch("reuters.npz", _HASH, path))
    texts, topics = shuffled(np.random.RandomState(seed), data["x"], data["y"])
    words, lengths, topics = select_words(
        texts, topics, num_words, skip_top, maxlen, start_char, oov_char, index_from
    )
    return split_off(as_texts(words, lengths), topics, test_split)


def get_word_index(path: str = "reuters_word_index.json") -> dict[str, int]:
    """Load the rank of each word; `load_data` adds `index_from` to it.

    Args:
        path: Name of the file in the cache.
    """
    return load_json(fetch("reuters_word_index.json", _INDEX_HASH, path))


def get_label_names() -> tuple[str, ...]:
    """The names of the topics, by their numbers.

    Example:
        >>> get_label_names()[:3]
        ('cocoa', 'grain', 'veg-oil')
    """
    return tuple(_TOPICS.split())
