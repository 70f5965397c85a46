"""`keras.preprocessing.text`: `Tokenizer` and its functions, which scripts for Keras 2 go on using.

Words are numbered from 1, the most frequent first; 0 is left for padding. With `num_words=n` all
words keep their numbers, but only those below `n` come out. `keras.layers.TextVectorization` is
Keras 3's successor. Source: `tf.keras.preprocessing.text` for names, defaults and results.
"""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ..naming import explain

__all__ = ["Tokenizer", "hashing_trick", "one_hot", "text_to_word_sequence", "tokenizer_from_json"]

FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
_MODES = ("binary", "count", "freq", "tfidf")
# Of a config: tables that JSON writes with keys as strings, and those whose keys are numbers.
_TABLES = ("word_counts", "word_docs", "index_docs", "word_index", "index_word")
_BY_NUMBER = ("index_docs", "index_word")


def text_to_word_sequence(
    input_text: str, filters: str = FILTERS, lower: bool = True, split: str = " "
) -> list[str]:
    """Split a text into words.

    Args:
        input_text: The text.
        filters: Characters that separate words as `split` does.
        lower: Whether to make all letters small first.
        split: What separates words.

    Example:
        >>> text_to_word_sequence("Well, well: two words!")
        ['well', 'well', 'two', 'words']
    """
    text = input_text.lower() if lower else input_text
    text = text.translate({ord(character): split for character in filters})
    return list(filter(None, text.split(split)))


def _md5(word: str) -> int:
    return int(hashlib.md5(word.encode()).hexdigest(), 16)


def hashing_trick(
    text: str,
    n: int,
    hash_function: Callable[[str], int] | str | None = None,
    filters: str = FILTERS,
    lower: bool = True,
    split: str = " ",
    analyzer: Callable[[str], Sequence[str]] | None = None,
) -> list[int]:
    """Turn a text into numbers of words in `[1, n)`, by a hash; different words may share one.

    Args:
        text: The text.
        n: Size of the vocabulary, 0 included.
        hash_function: From a word to an integer; "md5", which is the same in every process, or by
            default Python's `hash`, which is not.
        filters, lower, split: As for `text_to_word_sequence`.
        analyzer: Splits the text in place of that function.

    Example:
        >>> hashing_trick("one two one", 50, hash_function="md5")
        [9, 19, 9]
    """
    number = {None: hash, "md5": _md5}.get(hash_function, hash_function)
    split_text = analyzer or (lambda t: text_to_word_sequence(t, filters, lower, split))
    return [1 + number(word) % (n - 1) for word in split_text(text)]


def one_hot(
    input_text: str,
    n: int,
    filters: str = FILTERS,
    lower: bool = True,
    split: str = " ",
    analyzer: Callable[[str], Sequence[str]] | None = None,
) -> list[int]:
    """Turn a text into numbers of words by Python's `hash`; see `hashing_trick`."""
    return hashing_trick(input_text, n, hash, filters, lower, split, analyzer)


class Tokenizer:
    """Numbers words by their frequency, and turns texts into such numbers.

    Args:
        num_words: Only numbers below this one come out; `None` for all.
        filters, lower, split: As for `text_to_word_sequence`.
        char_level: Whether every character is a word.
        oov_token: Stands for words that were not seen in `fit_on_texts`, as number 1; by default
            these are left out.
        analyzer: Splits a text in place of `text_to_word_sequence`.
        kwargs: `document_count`, of an earlier tokenizer.

    Raises:
        TypeError: Another keyword.

    Texts that are lists are taken as lists of words already.

    Example:
        >>> tokenizer = Tokenizer(oov_token="?")
        >>> tokenizer.fit_on_texts(["the cat", "The dog"])
        >>> tokenizer.word_index
        {'?': 1, 'the': 2, 'cat': 3, 'dog': 4}
        >>> tokenizer.texts_to_sequences(["the bird"])
        [[2, 1]]
    """

    def __init__(
        self,
        num_words: int | None = None,
        filters: str = FILTERS,
        lower: bool = True,
        split: str = " ",
        char_level: bool = False,
        oov_token: str | None = None,
        analyzer: Callable[[str], Sequence[str]] | None = None,
        **kwargs: Any,
    ) -> None:
        if "nb_words" in kwargs:
            warnings.warn("Tokenizer: `nb_words` is now called `num_words`.", stacklevel=2)
            num_words = kwargs.pop("nb_words")
        self.document_count: int = kwargs.pop("document_count", 0)
        if kwargs:
            raise TypeError(f"Tokenizer: unrecognized keyword arguments: {sorted(kwargs)}.")
        self.num_words = num_words
        self.filters = filters
        self.lower = lower
        self.split = split
        self.char_level = char_level
        self.oov_token = oov_token
        self.analyzer = analyzer
        self.word_counts: OrderedDict[str, int] = OrderedDict()
        self.word_docs: defaultdict[str, int] = defaultdict(int)
        self.index_docs: defaultdict[int, int] = defaultdict(int)
        self.word_index: dict[str, int] = {}
        self.index_word: dict[int, str] = {}

    def _words(self, text: Any) -> Sequence[str]:
        if self.char_level or isinstance(text, list):
            if not self.lower:
                return text
            return [part.lower() for part in text] if isinstance(text, list) else text.lower()
        if self.analyzer is not None:
            return self.analyzer(text)
        return text_to_word_sequence(text, self.filters, self.lower, self.split)

    @property
    def _oov(self) -> int | None:
        return None if self.oov_token is None else self.word_index.get(self.oov_token)

    def _is_left_out(self, number: int) -> bool:
        return bool(self.num_words) and number >= self.num_words

    def fit_on_texts(self, texts: Iterable[Any]) -> None:
        """Count the words of texts, and number all words seen so far."""
        for text in texts:
            self.document_count += 1
            words = self._words(text)
            for word in words:
                self.word_counts[word] = self.word_counts.get(word, 0) + 1
            for word in set(words):
                self.word_docs[word] += 1
        ranked = sorted(self.word_counts, key=self.word_counts.__getitem__, reverse=True)
        first = [] if self.oov_token is None else [self.oov_token]
        self.word_index = {word: i for i, word in enumerate(first + ranked, start=1)}
        self.index_word = {number: word for word, number in self.word_index.items()}
        for word, count in self.word_docs.items():
            self.index_docs[self.word_index[word]] = count

    def fit_on_sequences(self, sequences: Iterable[Sequence[int]]) -> None:
        """Count in how many sequences each number occurs; needed by "tfidf" where there are no
        texts."""
        for sequence in sequences:
            self.document_count += 1
            for number in set(sequence):
                self.index_docs[number] += 1

    def texts_to_sequences(self, texts: Iterable[Any]) -> list[list[int]]:
        """Return the numbers of each text's words."""
        return list(self.texts_to_sequences_generator(texts))

    def texts_to_sequences_generator(self, texts: Iterable[Any]) -> Iterator[list[int]]:
        """Yield what `texts_to_sequences` returns, text by text."""
        for text in texts:
            numbers = (self._number(word) for word in self._words(text))
            yield [number for number in numbers if number is not None]

    def _number(self, word: str) -> int | None:
        number = self.word_index.get(word)
        return self._oov if number is None or self._is_left_out(number) else number

    def sequences_to_texts(self, sequences: Iterable[Iterable[int]]) -> list[str]:
        """Return the words of numbers, joined by spaces."""
        return list(self.sequences_to_texts_generator(sequences))

    def sequences_to_texts_generator(self, sequences: Iterable[Iterable[int]]) -> Iterator[str]:
        """Yield what `sequences_to_texts` returns, sequence by sequence."""
        for sequence in sequences:
            words = (self._word(number) for number in sequence)
            yield " ".join(word for word in words if word is not None)

    def _word(self, number: int) -> str | None:
        word = self.index_word.get(number)
        if word is None:
            return self.oov_token
        if self._is_left_out(number):
            return None if self._oov is None else self.index_word[self._oov]
        return word

    def texts_to_matrix(self, texts: Iterable[Any], mode: str = "binary") -> np.ndarray:
        """Return a row for each text; see `sequences_to_matrix`."""
        return self.sequences_to_matrix(self.texts_to_sequences(texts), mode)

    def sequences_to_matrix(
        self, sequences: Sequence[Sequence[int]], mode: str = "binary"
    ) -> np.ndarray:
        """Return a row for each sequence, with a column for each number below `num_words`.

        Args:
            sequences: Of numbers of words.
            mode: What stands there: "binary" for whether the word occurs, "count" how often, "freq"
                in which part of the sequence, "tfidf" the count weighed by the word's rarity.

        Raises:
            ValueError: Another mode, no words to number, or no documents for "tfidf".
        """
        if mode not in _MODES:
            raise ValueError(
                explain("Tokenizer: unknown mode.", given=mode, expected=f"one of {_MODES}")
            )
        columns = self.num_words or len(self.word_index) + 1
        if not self.num_words and not self.word_index:
            raise ValueError("Tokenizer: set `num_words`, or call `fit_on_texts` first.")
        if mode == "tfidf" and not self.document_count:
            raise ValueError("Tokenizer: mode 'tfidf' needs `fit_on_texts` first.")
        matrix = np.zeros((len(sequences), columns))
        for row, sequence in zip(matrix, sequences, strict=True):
            for number, count in Counter(sequence).items():
                if number < columns:
                    row[number] = self._weight(number, count, len(sequence), mode)
        return matrix

    def _weight(self, number: int, count: int, length: int, mode: str) -> float:
        if mode == "tfidf":
            rarity = self.document_count / (1 + self.index_docs.get(number, 0))
            return (1 + math.log(count)) * math.log(1 + rarity)
        return {"binary": 1, "count": count, "freq": count / length}[mode]

    def get_config(self) -> dict[str, Any]:
        """Return settings and counts, the tables as JSON."""
        names = ("num_words", "filters", "lower", "split", "char_level", "oov_token")
        config = {name: getattr(self, name) for name in (*names, "document_count")}
        return {**config, **{name: json.dumps(getattr(self, name)) for name in _TABLES}}

    def to_json(self, **kwargs: Any) -> str:
        """Return all as JSON, for `tokenizer_from_json`.

        Args:
            kwargs: Of `json.dumps`.
        """
        return json.dumps({"class_name": "Tokenizer", "config": self.get_config()}, **kwargs)


def tokenizer_from_json(json_string: str) -> Tokenizer:
    """Rebuild a `Tokenizer` from what its `to_json` returned.

    >>> tokenizer = Tokenizer()
    >>> tokenizer.fit_on_texts(["a b a"])
    >>> tokenizer_from_json(tokenizer.to_json()).word_index
    {'a': 1, 'b': 2}
    """
    config = json.loads(json_string)["config"]
    tables = {name: json.loads(config.pop(name)) for name in _TABLES}
    tokenizer = Tokenizer(**config)
    for name, table in tables.items():
        if name in _BY_NUMBER:
            table = {int(number): value for number, value in table.items()}
        getattr(tokenizer, name).update(table)
    return tokenizer
