"""Data of which each process of a job takes its part.

Every process goes through the same batches in the same order and takes its rows of each, so N
processes see what one would. How much of the rest they touch depends on the kind of data:

- arrays: nothing; the numbers of the rows are drawn for the whole pass, and only its own are read;
- a torch `Dataset`, or a plain `DataLoader` over one: nothing either; its own rows are loaded, and
  random transforms run for these only;
- a `PyDataset`, generator, stream or other iterable: everything; batches are made whole in each
  process and cut. Such data has to come out the same in all processes. Generators, and whatever
  does not know its length, agree with the others on each batch, so that an end that only some of
  them see is an error and no hang;
- a `DataLoader` with a `DistributedSampler`, or any data where the distribution's
  `auto_shard_dataset` is False: it is each process's part already.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, DistributedSampler, IterableDataset

from ...distribution.replicas import Part, Replicas, Share
from ...tree import flatten
from .adapter import DataAdapter
from .arrays import ArrayDataAdapter
from .streams import TorchDataLoaderAdapter

__all__ = ["ShardedAdapter"]


class ShardedAdapter(DataAdapter):
    """This process's part of the batches of another adapter.

    Args:
        whole: The adapter.
        replicas: Who takes which part.
    """

    def __init__(self, whole: DataAdapter, replicas: Replicas) -> None:
        self.whole, self.replicas = whole, replicas
        self._is_cut = not replicas.shards_data  # each batch is this process's part already
        self._sizes: collections.deque[int] | None = None
        self._total: int | None = None
        # A `DistributedSampler` is told the epoch, for another order in each.
        self._sampler: Any = None
        self._epoch = 0
        if self._is_cut:
            return
        if isinstance(whole, ArrayDataAdapter):
            whole.part, self._is_cut = replicas.part, True
            self._total = whole.num_samples
        elif isinstance(whole, TorchDataLoaderAdapter):
            loader = whole.loader
            sampler = getattr(loader.batch_sampler, "sampler", None)
            if isinstance(sampler, DistributedSampler):
                self._is_cut, self._sampler = True, sampler
            elif type(loader) is DataLoader and not isinstance(loader.dataset, IterableDataset):
                if loader.batch_sampler is not None:
                    parts = _PartsOfBatches(loader.batch_sampler, replicas.part)
                    self.whole = TorchDataLoaderAdapter(_with_batches(loader, parts))
                    self._is_cut, self._sizes = True, parts.sizes

    @property
    def num_batches(self) -> int | None:
        return self.whole.num_batches

    @property
    def num_rows(self) -> int | None:
        """How many rows there are in all, where that is known."""
        return self._total

    @property
    def batch_size(self) -> int | None:
        return self.whole.batch_size

    @property
    def has_partial_batch(self) -> bool | None:
        return self.whole.has_partial_batch

    @property
    def partial_batch_size(self) -> int | None:
        return self.whole.partial_batch_size

    @property
    def generators(self) -> tuple[torch.Generator, ...]:
        return self.whole.generators

    def peek(self, device: torch.device | str = "cpu") -> Any:
        return self.whole.peek(device)

    def on_epoch_begin(self) -> None:
        if self._sampler is not None:
            self._sampler.set_epoch(self._epoch)
            self._epoch += 1
        self.whole.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self.whole.on_epoch_end()

    def batches(self, device: torch.device | str = "cpu", start: int = 0) -> Iterator[Any]:
        self.replicas.begin_pass()
        self.replicas.processes.align_random_states(*self.generators)
        if self._sizes is not None:
            self._sizes.clear()
        return self._parts(self.whole.batches(device, start), start)

    def _parts(self, batches: Iterator[Any], start: int) -> Iterator[Any]:
        replicas, part, number = self.replicas, self.replicas.part, start
        if start:
            yield next(batches)  # which settles the order
            if self._sizes is not None:
                for _ in range(start):
                    self._sizes.popleft()
        if self.num_batches is None or (self._is_cut and not replicas.shards_data):
            yield from self._agreed(batches)
            return
        for batch in batches:
            if not self._is_cut:
                total = _rows(batch)
                batch, share = part.of(batch, total), part.share(total)
            elif self._sizes is not None:
                share = part.share(self._sizes.popleft())
            elif self._total is not None:
                share = part.share(min(self.batch_size, self._total - number * self.batch_size))
            else:  # parts of equal sizes, as a `DistributedSampler` makes them
                rows = _rows(batch)
                share = Share(rows, rows * part.size)
            replicas.draw(share)
            yield batch
            number += 1

    def _agreed(self, batches: Iterator[Any]) -> Iterator[Any]:
        """Batches of data that may end anywhere, each agreed upon with the other processes."""
        replicas, part = self.replicas, self.replicas.part
        while True:
            batch = next(batches, _END)
            total = None
            if batch is _END:
                share = replicas.agreed_share(None, None)
            elif self._is_cut:
                share = replicas.agreed_share(_rows(batch), None)
            else:
                total = _rows(batch)
                batch = part.of(batch, total)
                share = replicas.agreed_share(part.share(total).rows, total)
            if share is None:
                return
            replicas.draw(share)
            yield batch


_END = object()


class _PartsOfBatches:
    """A batch sampler that keeps one process's part of each batch of another one.

    Args:
        batches: The batch sampler.
        part: Which part.
    """

    def __init__(self, batches: Any, part: Part) -> None:
        self.batches, self.part = batches, part
        self.sampler = getattr(batches, "sampler", None)
        self.sizes: collections.deque[int] = collections.deque()

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[Any]]:
        for batch in self.batches:
            batch = list(batch)
            self.sizes.append(len(batch))
            first, last = self.part.bounds(len(batch))
            yield batch[first:last]


def _with_batches(loader: DataLoader[Any], batches: Any) -> DataLoader[Any]:
    """A loader like another one, over other batches."""
    return DataLoader(
        loader.dataset,
        batch_sampler=batches,
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        timeout=loader.timeout,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
        generator=loader.generator,
        prefetch_factor=loader.prefetch_factor,
        persistent_workers=loader.persistent_workers,
    )


def _rows(batch: Any) -> int:
    return next((int(leaf.shape[0]) for leaf in flatten(batch) if getattr(leaf, "ndim", 0)), 1)
