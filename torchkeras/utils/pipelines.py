"""`Pipeline`: data in steps, with the methods of `tf.data.Dataset` that scripts for Keras use.

What `image_dataset_from_directory` and its like return is a pipeline. A step such as `map` makes
another one and changes nothing; elements are made when something iterates, anew in each pass.
`fit` takes a pipeline of batches. Elements are tensors on the CPU, NumPy arrays of strings, and
tuples, dicts or lists of these; a tuple gives the arguments of the function that `map` is given.

Datasets whose samples have numbers, `BatchDataset`s, shuffle and batch by these numbers: no sample
is touched before its batch is made.

Shuffled orders come from NumPy, so that they differ from those of `tf.data` under the same seed.
Source: `tf.data.Dataset` for names, defaults and meaning.
"""

from __future__ import annotations

import copy
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch

from ..dtypes import as_tensor, to_numpy
from ..naming import explain
from ..training.data import PyDataset
from ..training.data.py_dataset import made_ahead
from ..tree import flatten, map_structure
from . import steps
from .steps import AUTOTUNE, ENDLESS, UNKNOWN

__all__ = [
    "AUTOTUNE",
    "WORKERS",
    "BatchDataset",
    "Elements",
    "Pipeline",
    "show_as",
    "shown",
    "splits_as_other",
]

WORKERS = min(4, os.cpu_count() or 1)
_AHEAD = 2  # elements that `prefetch(AUTOTUNE)` makes ahead
_CPU = torch.device("cpu")


# What makes another library's dataset of a pipeline, and what else it said; see `show_as`.
_SHOW: list[tuple[Callable[[Pipeline], Any], bool]] = []


def show_as(convert: Callable[[Pipeline], Any] | None, splits: bool = True) -> None:
    """Let loaders return something else than the pipelines that they make.

    Args:
        convert: Makes it of a pipeline, as the stand-in for TensorFlow does; `None` for nothing.
        splits: Whether `split_dataset` returns datasets of that library, too.
    """
    _SHOW[:] = [] if convert is None else [(convert, splits)]


def splits_as_other() -> bool:
    """Whether `split_dataset` returns datasets of another library."""
    return bool(_SHOW) and _SHOW[0][1]


def shown(pipeline: Pipeline, format: str = "tf") -> Any:
    """Return what a loader returns for its pipeline, made for `"tf"` or `"grain"`."""
    return _SHOW[0][0](pipeline) if _SHOW and format == "tf" else pipeline


class Pipeline:
    """Base class: elements that can be iterated over again and again.

    A subclass defines `__iter__` and `_count()`.

    Example:
        >>> numbers = Elements(lambda: iter(range(5)), 5)
        >>> [batch.tolist() for batch in numbers.map(lambda i: i * 10).batch(2)]
        [[0, 10], [20, 30], [40]]
    """

    _decides_order = True

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError

    def _count(self) -> int:
        """Number of elements, `ENDLESS` or `UNKNOWN`."""
        raise NotImplementedError

    def __len__(self) -> int:
        """Number of elements; a `TypeError` where there is no end, or it is not known."""
        count = self._count()
        if count < 0:
            kind = "endless" if count == ENDLESS else "unknown"
            raise TypeError(f"The length of this {type(self).__name__} is {kind}.")
        return count

    def __bool__(self) -> bool:
        return True  # not asked for its length

    def map(
        self,
        map_func: Callable[..., Any],
        num_parallel_calls: int | None = None,
        deterministic: bool | None = None,
        synchronous: bool | None = None,
        use_unbounded_threadpool: bool = False,
        name: str | None = None,
    ) -> Pipeline:
        """Apply a function to each element.

        Args:
            map_func: Takes an element; the parts of a tuple one by one.
            num_parallel_calls: Threads that apply it ahead; `AUTOTUNE` for as many as there are
                processors, up to 4. The order stays.
            deterministic, synchronous, use_unbounded_threadpool: Not needed.
        """
        workers = WORKERS if num_parallel_calls == AUTOTUNE else num_parallel_calls or 0

        def call(element: Any) -> Any:
            with torch.no_grad():
                return map_func(*element) if isinstance(element, tuple) else map_func(element)

        return Elements(lambda: steps.mapped_ahead(call, self, workers), self._count())

    def filter(self, predicate: Callable[..., Any], name: str | None = None) -> Pipeline:
        """Keep the elements for which a function returns a true value.

        Args:
            predicate: Called as by `map`.
        """

        def holds(element: Any) -> bool:
            parts = element if isinstance(element, tuple) else (element,)
            return bool(predicate(*parts))

        return Elements(lambda: filter(holds, self), UNKNOWN)

    def batch(
        self,
        batch_size: int,
        drop_remainder: bool = False,
        num_parallel_calls: int | None = None,
        deterministic: bool | None = None,
        name: str | None = None,
    ) -> Pipeline:
        """Stack elements that follow each other.

        Args:
            batch_size: Elements in a batch.
            drop_remainder: Whether to leave out a smaller last batch.
            num_parallel_calls, deterministic: Not needed.

        Raises:
            ValueError: The size is no positive number; while iterating, shapes that differ.
        """
        _check_positive("batch", "batch_size", batch_size)

        return Elements(
            lambda: map(_stack, steps.groups(self, batch_size, drop_remainder)),
            steps.count_batches(self._count(), batch_size, drop_remainder),
        )

    def unbatch(self, name: str | None = None) -> Pipeline:
        """Take each element apart, along the first axis of its tensors."""

        def rows() -> Iterator[Any]:
            for batch in self:
                for row in zip(*map(_rows, flatten(batch)), strict=True):
                    leaves = iter(row)
                    yield map_structure(lambda _, leaves=leaves: next(leaves), batch)

        return Elements(rows, UNKNOWN)

    def shuffle(
        self,
        buffer_size: int,
        seed: int | None = None,
        reshuffle_each_iteration: bool | None = None,
        name: str | None = None,
    ) -> Pipeline:
        """Draw each next element from a buffer, at random.

        Args:
            buffer_size: Elements in the buffer; with as many as there are, all orders are possible.
            seed: For the draws; by default NumPy's generator gives one.
            reshuffle_each_iteration: Whether each pass has another order. Default: yes.

        Raises:
            ValueError: The size is no positive number.
        """
        _check_positive("shuffle", "buffer_size", buffer_size)
        drawn = _Seeded(seed, reshuffle_each_iteration)

        def elements() -> Iterator[Any]:
            random, source = drawn.for_next_pass(), iter(self)
            buffer = list(itertools.islice(source, buffer_size))
            for element in source:
                place = random.randint(len(buffer))
                yield buffer[place]
                buffer[place] = element
            random.shuffle(buffer)
            yield from buffer

        return Elements(elements, self._count())

    def take(self, count: int, name: str | None = None) -> Pipeline:
        """Keep the first `count` elements; -1 for all."""
        stop = None if count < 0 else count
        known = steps.count_cut(self._count(), 0, stop)
        return Elements(lambda: itertools.islice(iter(self), stop), known)

    def skip(self, count: int, name: str | None = None) -> Pipeline:
        """Leave out the first `count` elements; -1 for all."""
        if count < 0:
            return Elements(lambda: iter(()), 0)
        known = steps.count_cut(self._count(), count, None)
        return Elements(lambda: itertools.islice(iter(self), count, None), known)

    def repeat(self, count: int | None = None, name: str | None = None) -> Pipeline:
        """Go through the elements `count` times; without end for `None` or -1."""
        times = -1 if count is None else count
        known = steps.count_repeated(self._count(), times)
        return Elements(lambda: steps.repeated(lambda: self, times), known)

    def cache(self, filename: str = "", name: str | None = None) -> Pipeline:
        """Keep the elements in memory, once a pass has come to its end.

        Args:
            filename: Only empty: elements are not kept in files.

        Raises:
            NotImplementedError: There is a file name.
        """
        if filename:
            raise NotImplementedError(
                explain(
                    "cache: elements are kept in memory only.",
                    filename=filename,
                    fix="leave out the file name, or save arrays with `numpy.save` and load them "
                    "with `mmap_mode='r'`.",
                )
            )
        kept: list[list[Any]] = []

        def elements() -> Iterator[Any]:
            if kept:
                yield from kept[0]
                return
            seen: list[Any] = []
            for element in self:
                seen.append(element)
                yield element
            kept[:] = [seen]

        return Elements(elements, self._count())

    def prefetch(self, buffer_size: int, name: str | None = None) -> Pipeline:
        """Let a thread make the next elements while the last one is in use.

        Args:
            buffer_size: How many, at most; `AUTOTUNE` for two.
        """
        depth = _AHEAD if buffer_size == AUTOTUNE else buffer_size

        def elements() -> Iterator[Any]:
            return steps.fetched_ahead(iter(self), depth, ThreadPoolExecutor(1, "prefetch"))

        return Elements(elements, self._count())

    def concatenate(self, dataset: Pipeline, name: str | None = None) -> Pipeline:
        """Go on with the elements of another pipeline at the end."""
        known = steps.count_together([self._count(), dataset._count()])
        return Elements(lambda: itertools.chain(self, dataset), known)

    def enumerate(self, start: int = 0, name: str | None = None) -> Pipeline:
        """Make pairs of a number and an element."""

        def pairs() -> Iterator[Any]:
            for number, element in enumerate(self, start):
                yield torch.tensor(number, device=_CPU), element

        return Elements(pairs, self._count())

    def shard(self, num_shards: int, index: int, name: str | None = None) -> Pipeline:
        """Keep every `num_shards`-th element, from number `index` on."""
        known = steps.count_shard(self._count(), num_shards, index)
        return Elements(lambda: itertools.islice(iter(self), index, None, num_shards), known)

    def apply(self, transformation_func: Callable[[Pipeline], Pipeline]) -> Pipeline:
        """Return what a function makes of the pipeline."""
        return transformation_func(self)

    def cardinality(self) -> torch.Tensor:
        """Number of elements; -1 where there is no end, -2 where it is not known."""
        return torch.tensor(self._count(), device=_CPU)

    def as_numpy_iterator(self) -> Iterator[Any]:
        """Iterate over one pass, with NumPy arrays in place of tensors."""

        def convert(leaf: Any) -> Any:
            return to_numpy(leaf) if isinstance(leaf, torch.Tensor) else leaf

        return (map_structure(convert, element) for element in self)


class Elements(Pipeline):
    """A pipeline whose elements a function makes.

    Args:
        make: Returns an iterator over one pass.
        count: Number of elements, `ENDLESS` or `UNKNOWN`.
    """

    def __init__(self, make: Callable[[], Iterator[Any]], count: int) -> None:
        self._make, self._known = make, count

    def __iter__(self) -> Iterator[Any]:
        return self._make()

    def _count(self) -> int:
        return self._known


class _Seeded:
    """Draws for shuffled passes: other ones in each, or the same."""

    def __init__(self, seed: int | None, reshuffle: bool | None) -> None:
        self.seed = int(np.random.randint(1e6)) if seed is None else seed
        self.random = None if reshuffle is False else np.random.RandomState(self.seed)

    def for_next_pass(self) -> np.random.RandomState:
        """Return a generator at its beginning, or where the last pass left it."""
        return np.random.RandomState(self.seed) if self.random is None else self.random


def _check_positive(method: str, name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{method}: `{name}` must be a positive integer. Received: {value!r}")


def _as_leaf(x: Any) -> Any:
    """Make a tensor on the CPU of numbers; an array of objects of strings."""
    if isinstance(x, torch.Tensor):
        return x
    if isinstance(x, (str, bytes)):
        return x
    array = np.asarray(x)
    if array.dtype.kind in "OUS":
        return array.astype(object)
    return as_tensor(array, device=_CPU)


def _stack(elements: list[Any]) -> Any:
    def join(*leaves: Any) -> Any:
        if isinstance(leaves[0], torch.Tensor):
            return torch.stack(leaves)
        return _as_leaf(np.stack([np.asarray(leaf) for leaf in leaves]))

    try:
        return map_structure(join, *elements)
    except RuntimeError as error:
        raise ValueError(
            explain(
                f"batch: the elements of a batch have different shapes: {error}.",
                fix="bring them to one shape with `map` first.",
            )
        ) from error


def _rows(leaf: Any) -> Iterable[Any]:
    return leaf.unbind(0) if isinstance(leaf, torch.Tensor) else leaf


# Numbered samples ---------------------------------------------------------------------------------


class BatchDataset(Pipeline, PyDataset):
    """Samples of a known number in batches, in the order of the samples or in one drawn by chance.

    It stands where Keras has a `tf.data.Dataset`: it can be iterated over again and again, `fit`
    takes it, and keeps the order it gives. Batches are made ahead by threads.

    A subclass defines `_batch(indices)` and `_sample(index)`.

    Args:
        count: Number of samples.
        batch_size: Samples in a batch; `None` gives single samples.
        seed: For the order; `None` keeps that of the samples.
        reshuffle: Whether each pass has another order, as `tf.data` has it; else all have the same.
        workers: Threads that make batches.
    """

    def __init__(
        self,
        count: int,
        batch_size: int | None,
        seed: int | None = None,
        reshuffle: bool = True,
        workers: int = 1,
    ) -> None:
        PyDataset.__init__(self, workers=workers)
        self.batch_size = batch_size
        self._order = np.arange(count)
        self._random = None if seed is None else np.random.RandomState(seed)
        self._limit: int | None = None
        if self._random is not None and not reshuffle:
            self._order = self._random.permutation(count)
            self._random = None

    def _batch(self, indices: np.ndarray) -> Any:
        """Return the samples of these numbers, stacked."""
        raise NotImplementedError

    def _sample(self, index: int) -> Any:
        """Return one sample."""
        raise NotImplementedError

    def _count(self) -> int:
        count = -(-len(self._order) // (self.batch_size or 1))
        return count if self._limit is None else min(count, self._limit)

    def __getitem__(self, index: int) -> Any:
        """Return the batch of this number."""
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        if self.batch_size is None:
            return self._sample(int(self._order[index]))
        return self._batch(self._order[index * self.batch_size : (index + 1) * self.batch_size])

    def __iter__(self) -> Iterator[Any]:
        this_pass = copy.copy(self)  # whose order no other pass changes
        this_pass.on_epoch_begin()
        numbers = range(len(self))
        if self.workers > 1:
            return made_ahead(this_pass, numbers)
        return (this_pass[index] for index in numbers)

    def on_epoch_begin(self) -> None:
        """Choose the order of the epoch."""
        if self._random is not None:
            self._order = self._random.permutation(len(self._order))

    def take(self, count: int, name: str | None = None) -> BatchDataset:
        """Return a dataset of the first `count` batches; -1 for all of them."""
        taken = copy.copy(self)
        taken._limit = None if count < 0 else min(count, len(self))
        return taken

    def batch(self, batch_size: int, drop_remainder: bool = False, **options: Any) -> Pipeline:
        """Stack samples that follow each other; see `Pipeline.batch`."""
        if self.batch_size is not None or self._limit is not None:
            return super().batch(batch_size, drop_remainder)
        _check_positive("batch", "batch_size", batch_size)
        batched = copy.copy(self)
        batched.batch_size = batch_size
        return batched.take(len(self._order) // batch_size) if drop_remainder else batched

    def shuffle(
        self,
        buffer_size: int,
        seed: int | None = None,
        reshuffle_each_iteration: bool | None = None,
        name: str | None = None,
    ) -> Pipeline:
        """Draw each next element from a buffer, at random; see `Pipeline.shuffle`."""
        _check_positive("shuffle", "buffer_size", buffer_size)
        if self.batch_size is not None or self._limit is not None or buffer_size < len(self):
            return super().shuffle(buffer_size, seed, reshuffle_each_iteration)
        drawn = _Seeded(seed, reshuffle_each_iteration)
        shuffled = copy.copy(self)
        shuffled._random = drawn.random
        if drawn.random is None:
            shuffled._order = drawn.for_next_pass().permutation(len(self._order))
        return shuffled
