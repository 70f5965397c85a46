"""The data that `adapt` learns from, batch by batch, whatever they come in."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset, IterableDataset

__all__ = ["batches", "first_part", "is_array"]

_SAMPLES_PER_BATCH = 256


def is_array(data: Any) -> bool:
    """Return whether `data` is one array: NumPy's, torch's, pandas's or TensorFlow's."""
    return hasattr(data, "__array__")


def batches(data: Any, steps: int | None = None) -> Iterator[Any]:
    """Iterate over the batches of a data set or iterable.

    Args:
        data: A torch `Dataset` or `DataLoader`, a `PyDataset`, a `tf.data.Dataset`, or another
            iterable of batches. Of labelled data sets, the inputs are taken.
        steps: How many batches to take at most.

    Example:
        >>> list(batches(iter(["ab", "cd", "ef"]), steps=2))
        ['ab', 'cd']
    """
    return itertools.islice(_all_batches(data), steps)


def _all_batches(data: Any) -> Iterator[Any]:
    if hasattr(data, "num_batches") and hasattr(data, "__getitem__"):  # a PyDataset
        count = data.num_batches
        indices = itertools.count() if count is None else range(count)
        return (first_part(data[i]) for i in indices)
    if isinstance(data, Dataset) and not isinstance(data, IterableDataset):
        data = DataLoader(data, batch_size=_SAMPLES_PER_BATCH)
    if isinstance(data, (DataLoader, IterableDataset)) or hasattr(data, "element_spec"):
        return map(first_part, data)
    return iter(_as_iterable(data))


def _as_iterable(data: Any) -> Iterable[Any]:
    if hasattr(data, "__iter__"):
        return data
    # Such as a grain dataset, which has items and a length.
    return (data[i] for i in range(len(data)))


def first_part(batch: Any) -> Any:
    """Return the inputs of a batch that is a tuple or list of inputs, targets and weights."""
    if isinstance(batch, (tuple, list)) and batch:
        is_sample = isinstance(batch[0], (str, bytes, bool, int, float, np.generic))
        return batch if is_sample else batch[0]
    return batch
