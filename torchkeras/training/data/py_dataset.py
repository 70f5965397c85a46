"""`PyDataset`: batches by number from the user's code, made ahead by threads or processes."""

from __future__ import annotations

import collections
import itertools
import random
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import torch

from .adapter import DataAdapter, convert_batch
from .streams import standardize_batch

__all__ = ["PyDataset", "PyDatasetAdapter", "ahead", "made_ahead"]


class PyDataset:
    """Base class for data that is made batch by batch and can be made in parallel.

    A subclass defines `__getitem__(index)`, which returns the whole batch of that number as
    `(inputs,)`, `(inputs, targets)` or `(inputs, targets, sample_weights)`, and `__len__()` or
    the property `num_batches` (`None` for endless data). It may define `on_epoch_begin()` and
    `on_epoch_end()`, for instance to shuffle.

    Args:
        workers: Threads or processes that make batches while the model trains. With one thread,
            batches are made when they are needed.
        use_multiprocessing: Use processes. They work on copies of the dataset, made anew for
            each epoch.
        max_queue_size: How many batches to make ahead at most.

    Example:
        >>> import numpy as np
        >>> class Squares(PyDataset):
        ...     def __len__(self):
        ...         return 2
        ...     def __getitem__(self, index):
        ...         return np.array([index]), np.array([index**2])
        >>> [int(y[0]) for _, y in Squares()]
        [0, 1]
    """

    # Whether the order of its batches is its own affair, so that `fit(shuffle=True)` keeps it.
    _decides_order = False

    def __init__(
        self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10
    ) -> None:
        self._workers = workers
        self._use_multiprocessing = use_multiprocessing
        self._max_queue_size = max_queue_size

    def _option(self, name: str, default: Any) -> Any:
        """A constructor argument; its default, with a warning, if the constructor never ran."""
        if name not in self.__dict__:
            warnings.warn(
                f"{type(self).__name__}.__init__ should call `super().__init__(**kwargs)`; "
                "`workers`, `use_multiprocessing` and `max_queue_size` go there, not to `fit()`.",
                stacklevel=3,
            )
            PyDataset.__init__(self)
        return self.__dict__.get(name, default)

    @property
    def workers(self) -> int:
        """Number of threads or processes."""
        return self._option("_workers", 1)

    @workers.setter
    def workers(self, value: int) -> None:
        self._workers = value

    @property
    def use_multiprocessing(self) -> bool:
        """Whether the workers are processes."""
        return self._option("_use_multiprocessing", False)

    @use_multiprocessing.setter
    def use_multiprocessing(self, value: bool) -> None:
        self._use_multiprocessing = value

    @property
    def max_queue_size(self) -> int:
        """How many batches are made ahead at most."""
        return self._option("_max_queue_size", 10)

    @max_queue_size.setter
    def max_queue_size(self, value: int) -> None:
        self._max_queue_size = value

    def __getitem__(self, index: int) -> Any:
        """Return the batch of this number."""
        raise NotImplementedError(
            f"{type(self).__name__} must define `__getitem__(self, index)`, which returns a batch."
        )

    @property
    def num_batches(self) -> int | None:
        """Number of batches in an epoch; `None` for endless data."""
        if hasattr(self, "__len__"):
            return len(self)
        raise NotImplementedError(
            f"{type(self).__name__} must define `__len__(self)` or the property `num_batches`."
        )

    def __iter__(self) -> Iterator[Any]:
        for index in self._numbers():
            yield self[index]

    def _numbers(self) -> Iterable[int]:
        try:
            count = self.num_batches
        except NotImplementedError:
            count = None
        return itertools.count() if count is None else range(count)

    def on_epoch_begin(self) -> None:
        """Called before each epoch."""

    def on_epoch_end(self) -> None:
        """Called after each epoch."""


class PyDatasetAdapter(DataAdapter):
    """Adapter for a `PyDataset`.

    Args:
        x: The dataset.
        class_weight: From class number to weight.
        shuffle: Whether to visit the batches in random order (that of Python's `random`).
    """

    def __init__(
        self,
        x: PyDataset,
        class_weight: Mapping[int, float] | None = None,
        shuffle: bool | str = False,
    ) -> None:
        self._dataset = x
        self._class_weight = class_weight
        self._shuffle = shuffle
        self._endless = itertools.count()

    @property
    def num_batches(self) -> int | None:
        return self._dataset.num_batches

    def on_epoch_begin(self) -> None:
        self._dataset.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self._dataset.on_epoch_end()

    def _order(self) -> Iterable[int]:
        count = self.num_batches
        if count is None:
            return self._endless if self._in_parallel() else itertools.count()
        if not self._shuffle:
            return range(count)
        order = list(range(count))
        random.shuffle(order)
        return order

    def _in_parallel(self) -> bool:
        workers = self._dataset.workers
        return workers > 1 or (workers == 1 and self._dataset.use_multiprocessing)

    def peek(self, device: torch.device | str = "cpu") -> Any:
        """Return a first batch without starting any workers."""
        first = 0 if self.num_batches is None else next(iter(self._order()))
        return self._finish(self._dataset[first], torch.device(device))

    def _finish(self, batch: Any, device: torch.device) -> Any:
        source = f"{type(self._dataset).__name__}.__getitem__()"
        return convert_batch(standardize_batch(batch, source, self._class_weight), device)

    def _pass_from(self, start: int, device: torch.device) -> Iterator[Any]:
        order = itertools.islice(self._order(), start, None)
        if self._in_parallel():
            found = made_ahead(self._dataset, order)
        else:
            found = (self._dataset[index] for index in order)
        return (self._finish(batch, device) for batch in found)


# The dataset that a worker process serves.
_SERVED: list[PyDataset] = []


def _serve(dataset: PyDataset) -> None:
    _SERVED[:] = [dataset]


def _served_batch(index: int) -> Any:
    return _SERVED[0][index]


def made_ahead(dataset: PyDataset, order: Iterable[int]) -> Iterator[Any]:
    """Yield batches in the given order while workers make the next ones.

    Args:
        dataset: Says how many workers of which kind, and how far ahead they go.
        order: Numbers of batches.
    """
    pool: Executor
    if dataset.use_multiprocessing:
        # `initargs` reach a forked process without being pickled, and a spawned one once only.
        pool = ProcessPoolExecutor(dataset.workers, initializer=_serve, initargs=(dataset,))
        make = _served_batch
    else:
        pool = ThreadPoolExecutor(dataset.workers, thread_name_prefix="py_dataset")
        make = dataset.__getitem__
    return ahead(pool, make, order, dataset.max_queue_size)


def ahead(
    pool: Executor, make: Callable[[Any], Any], items: Iterable[Any], depth: int
) -> Iterator[Any]:
    """Yield `make(item)` in the order of the items, while a pool makes the next ones.

    Args:
        pool: Is shut down at the end.
        make: Called by the pool's workers.
        items: Drawn here, as they are needed.
        depth: How many results to make ahead at most, at least 1.
    """
    pending: collections.deque[Future[Any]] = collections.deque()
    drawn = iter(items)
    try:
        for item in itertools.islice(drawn, max(1, depth)):
            pending.append(pool.submit(make, item))
        while pending:
            made = pending.popleft().result()
            for item in itertools.islice(drawn, 1):
                pending.append(pool.submit(make, item))
            yield made
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
