"""Epochs: how many batches one has, and where each starts."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import torch

from .. import config
from .data import DataAdapter

__all__ = ["EpochIterator"]


class EpochIterator:
    """Draws the batches of epoch after epoch from an adapter.

    Without `steps_per_epoch`, an epoch is one pass through the data. With it, an epoch is that many
    batches of one pass that goes on from epoch to epoch and starts anew where it ends.

    Args:
        adapter: The data.
        steps_per_epoch: Batches in an epoch.
        device: Where the batches shall be.
        steps_per_execution: Batches handed out at a time.
    """

    def __init__(
        self,
        adapter: DataAdapter,
        steps_per_epoch: int | None,
        device: torch.device,
        steps_per_execution: int = 1,
    ) -> None:
        limit = config.max_steps_per_epoch()
        if limit is not None:
            steps_per_epoch = min(limit, steps_per_epoch or adapter.num_batches or limit)
        self.adapter = adapter
        self.steps_per_epoch = steps_per_epoch
        self.device = device
        self.steps_per_execution = steps_per_execution
        self._pass: Iterator[Any] | None = None

    @property
    def num_batches(self) -> int | None:
        """Batches in an epoch, or `None` if that is not known yet."""
        return self.steps_per_epoch or self.adapter.num_batches

    def epoch(self) -> Iterator[Any]:
        """Yield the batches of one epoch."""
        if self.steps_per_epoch is None:
            self.adapter.on_epoch_begin()
            yield from self.adapter.batches(self.device)
            self.adapter.on_epoch_end()
            return
        for step in range(self.steps_per_epoch):
            batch = self._next()
            if batch is _END:
                warnings.warn(
                    "Your input ran out of data; interrupting training. Make sure that your dataset"
                    " or generator can generate at least `steps_per_epoch * epochs` batches:"
                    f" {self.steps_per_epoch} were asked for, {step} came.",
                    stacklevel=4,
                )
                return
            yield batch

    def _next(self) -> Any:
        """Take a batch of the running pass, or of a new one."""
        if self._pass is None:
            self._start()
        batch = next(self._pass, _END)
        if batch is _END:
            self.adapter.on_epoch_end()
            self._start()
            batch = next(self._pass, _END)
        return batch

    def _start(self) -> None:
        self.adapter.on_epoch_begin()
        self._pass = iter(self.adapter.batches(self.device))


_END = object()
