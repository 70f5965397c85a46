"""`keras.preprocessing.sequence`: padding, and what scripts for Keras 2 go on using.

`TimeseriesGenerator` gives windows over a series, `skipgrams` and `make_sampling_table` the data of
word2vec. Source: `tf.keras.preprocessing.sequence` for names, defaults and results, random ones
included.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..naming import explain
from ..utils import PyDataset, pad_sequences

__all__ = ["TimeseriesGenerator", "make_sampling_table", "pad_sequences", "skipgrams"]

_EULER = 0.577  # the constant of Euler and Mascheroni, as precise as in the source


class TimeseriesGenerator(PyDataset):
    """Batches of windows over a series, each with the target that follows it.

    Args:
        data: The series: one entry for each step.
        targets: One for each step; a window's is that of the step after it.
        length: Steps that a window spans.
        sampling_rate: Of these every how many are in it.
        stride: Steps between the starts of windows.
        start_index, end_index: The first and the last step to use.
        shuffle: Whether to draw windows at random, with repetition.
        reverse: Whether time runs backwards in a window.
        batch_size: Windows in a batch; the last batch may have fewer.
        kwargs: Of `PyDataset`.

    Raises:
        ValueError: `data` and `targets` differ in length, or no window fits.

    Example:
        >>> series = np.arange(6)
        >>> windows, targets = TimeseriesGenerator(series, series, length=3, batch_size=2)[0]
        >>> windows.tolist(), targets.tolist()
        ([[0, 1, 2], [1, 2, 3]], [3, 4])
    """

    def __init__(
        self,
        data: Any,
        targets: Any,
        length: int,
        sampling_rate: int = 1,
        stride: int = 1,
        start_index: int = 0,
        end_index: int | None = None,
        shuffle: bool = False,
        reverse: bool = False,
        batch_size: int = 128,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if len(data) != len(targets):
            raise ValueError(
                explain(
                    "TimeseriesGenerator: data and targets must be of the same length.",
                    data=len(data),
                    targets=len(targets),
                )
            )
        self.data, self.targets = data, targets
        self.length, self.sampling_rate, self.stride = length, sampling_rate, stride
        self.shuffle, self.reverse, self.batch_size = shuffle, reverse, batch_size
        self.start_index = start_index + length
        self.end_index = len(data) - 1 if end_index is None else end_index
        if self.start_index > self.end_index:
            raise ValueError(
                explain(
                    "TimeseriesGenerator: no window fits between the first and the last step.",
                    first=f"start_index + length = {self.start_index}",
                    last=f"end_index = {self.end_index}",
                    fix="take a smaller length, or more data.",
                )
            )

    def __len__(self) -> int:
        windows = 1 + (self.end_index - self.start_index) // self.stride
        return -(-windows // self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        last = self.end_index + 1
        if self.shuffle:
            steps = np.random.randint(self.start_index, last, size=self.batch_size)
        else:
            reach = self.batch_size * self.stride
            first = self.start_index + reach * index
            steps = np.arange(first, min(first + reach, last), self.stride)
        windows = np.array([self.data[s - self.length : s : self.sampling_rate] for s in steps])
        targets = np.array([self.targets[s] for s in steps])
        return (windows[:, ::-1] if self.reverse else windows), targets

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, data and targets as JSON; `start_index` counts `length` in."""
        names = ("length", "sampling_rate", "stride", "start_index", "end_index", "shuffle")
        arrays = {name: _to_json(name, getattr(self, name)) for name in ("data", "targets")}
        settings = {name: getattr(self, name) for name in (*names, "reverse", "batch_size")}
        return {**arrays, **settings}

    def to_json(self, **kwargs: Any) -> str:
        """Return the config as JSON.

        Args:
            kwargs: Of `json.dumps`.
        """
        described = {"class_name": type(self).__name__, "config": self.get_config()}
        return json.dumps(described, **kwargs)


def _to_json(name: str, values: Any) -> str:
    try:
        return json.dumps(values.tolist() if isinstance(values, np.ndarray) else values)
    except TypeError as error:
        raise TypeError(f"TimeseriesGenerator: `{name}` cannot be written as JSON.") from error


def make_sampling_table(size: int, sampling_factor: float = 1e-5) -> np.ndarray:
    """Probabilities to keep a word, by its rank; frequent words are kept more seldom.

    Args:
        size: Number of words.
        sampling_factor: The larger, the more words are kept.

    Returns: Shape `(size,)`; entry `i` is that of the `i`-th most frequent word.

    Source: Mikolov et al. 2013, with frequencies by Zipf's law.

    Example:
        >>> make_sampling_table(3).round(4).tolist()
        [0.0032, 0.0032, 0.0055]
    """
    rank = np.maximum(np.arange(size), 1)
    rarity = rank * (np.log(rank) + _EULER) + 0.5 - 1 / (12 * rank)
    return np.minimum(1.0, np.sqrt(sampling_factor * rarity))


def skipgrams(
    sequence: Sequence[int],
    vocabulary_size: int,
    window_size: int = 4,
    negative_samples: float = 1.0,
    shuffle: bool = True,
    categorical: bool = False,
    sampling_table: np.ndarray | None = None,
    seed: int | None = None,
) -> tuple[list[list[int]], list[Any]]:
    """Pair each word with those around it (label 1) and with words drawn at random (label 0).

    Args:
        sequence: Numbers of words; 0 is no word.
        vocabulary_size: The largest number plus one.
        window_size: How far "around" reaches, to either side.
        negative_samples: Random pairs for each true one.
        shuffle: Whether to mix the pairs.
        categorical: Whether labels are `[0, 1]` and `[1, 0]` in place of 1 and 0.
        sampling_table: Probability to use a word, by its number; see `make_sampling_table`.
        seed: Of the mixing. All draws are Python's `random`.

    Returns: The pairs and their labels.

    Source: Mikolov et al. 2013.

    Example:
        >>> skipgrams([1, 2, 0, 3], 4, window_size=2, negative_samples=0, shuffle=False)
        ([[1, 2], [2, 1], [2, 3], [3, 2]], [1, 1, 1, 1])
    """
    pairs: list[list[int]] = []
    for here, word in enumerate(sequence):
        if not word:
            continue
        if sampling_table is not None and sampling_table[word] < random.random():
            continue
        around = range(max(0, here - window_size), min(len(sequence), here + window_size + 1))
        pairs += [[word, sequence[there]] for there in around if there != here and sequence[there]]
    true, false = ([0, 1], [1, 0]) if categorical else (1, 0)
    labels: list[Any] = [true] * len(pairs)
    if negative_samples > 0:
        words = [word for word, _ in pairs]
        random.shuffle(words)
        for i in range(int(len(labels) * negative_samples)):
            pairs.append([words[i % len(words)], random.randint(1, vocabulary_size - 1)])
            labels.append(false)
    if shuffle:
        seed = random.randint(0, 10_000_000) if seed is None else seed
        for items in (pairs, labels):
            random.seed(seed)
            random.shuffle(items)
    return pairs, labels
