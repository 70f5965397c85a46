"""Epochs: how many batches one has, and where each starts."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from ..config import default_device, max_steps_per_epoch
from .data import get_data_adapter

__all__ = ["EpochIterator", "is_due", "numbered"]


class EpochIterator:
    """Draws the batches of epoch after epoch.

    Without `steps_per_epoch`, an epoch is one pass through the data. With it, an epoch is that many
    batches of one pass that goes on from epoch to epoch. An epoch in which the pass ends is cut
    short, with a warning; the next one starts anew.

    Args:
        x, y, sample_weight, batch_size, shuffle, class_weight: The data, as for
            `get_data_adapter`; `x` may be an adapter.
        steps_per_epoch: Batches in an epoch.
        steps_per_execution: Batches handed out at a time.
        device: Where the batches shall be; default: the default device.
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int | None = None,
        steps_per_epoch: int | None = None,
        shuffle: bool | str = False,
        class_weight: Mapping[int, float] | None = None,
        steps_per_execution: int = 1,
        device: torch.device | None = None,
    ) -> None:
        adapter = get_data_adapter(
            x, y, sample_weight, batch_size, steps_per_epoch, shuffle, class_weight
        )
        limit = max_steps_per_epoch()
        if limit is not None and limit < (steps_per_epoch or adapter.num_batches or limit + 1):
            warnings.warn(f"Limiting steps_per_epoch to {limit}", stacklevel=4)
            steps_per_epoch = limit
        self.data_adapter = adapter
        self.steps_per_epoch = steps_per_epoch
        self.device = default_device() if device is None else device
        self.steps_per_execution = steps_per_execution
        # The running pass of epochs with `steps_per_epoch`, and how many batches it has given.
        self._pass: Iterator[Any] | None = None
        self._taken = 0

    @property
    def num_batches(self) -> int | None:
        """Batches in an epoch, or `None` if that is not known yet."""
        return self.steps_per_epoch or self.data_adapter.num_batches

    def __iter__(self) -> Iterator[tuple[int, int, list[Any]]]:
        return numbered(self)

    enumerate_epoch = __iter__

    def reset(self) -> None:
        """Start anew, as at the beginning of `fit` and of each evaluation."""
        self._pass = None
        self.data_adapter.on_epoch_end()  # Keras calls the hook here as well

    def epoch(self) -> Iterator[Any]:
        """Yield the batches of one epoch."""
        self.data_adapter.on_epoch_begin()
        if self.steps_per_epoch is None:
            yield from self.data_adapter.batches(self.device)
        else:
            yield from self._steps(self.steps_per_epoch)
        self.data_adapter.on_epoch_end()

    def _steps(self, count: int) -> Iterator[Any]:
        """Yield `count` batches of the running pass, or what is left of it."""
        total = self.data_adapter.num_batches
        if self._pass is None:
            self._start()
        for step in range(count):
            batch = _END if self._taken == total else next(self._pass, _END)
            if batch is _END:
                warnings.warn(
                    "Your input ran out of data; interrupting training. Make sure that your dataset"
                    " or generator can generate at least `steps_per_epoch * epochs` batches:"
                    f" {count} were asked for, {step} came.",
                    stacklevel=5,
                )
                self._pass = None
                break
            self._taken += 1
            yield batch
        if self._taken == total:
            # Here and not when the next epoch begins: each start draws from the generator that
            # shuffles, in Keras too.
            self._start()

    def _start(self) -> None:
        self._pass = iter(self.data_adapter.batches(self.device))
        self._taken = 0


_END = object()


def numbered(iterator: EpochIterator) -> Iterator[tuple[int, int, list[Any]]]:
    """Yield the batches of an epoch in groups, with the numbers of the first and the last."""
    size = iterator.steps_per_execution
    if size == 1:
        for number, batch in enumerate(iterator.epoch()):
            yield number, number, [batch]
        return
    group: list[Any] = []
    first = 0
    for number, batch in enumerate(iterator.epoch()):
        group.append(batch)
        if len(group) == size:
            yield first, number, group
            first, group = number + 1, []
    if group:
        yield first, first + len(group) - 1, group


def is_due(epoch: int, validation_freq: Any) -> bool:
    """Whether to validate after an epoch, counted from 0."""
    if isinstance(validation_freq, int):
        return (epoch + 1) % validation_freq == 0
    if isinstance(validation_freq, (list, tuple, set)):
        return epoch + 1 in validation_freq
    raise ValueError(
        "Expected `validation_freq` to be a list or int. Received: validation_freq="
        f"{validation_freq} of the type {type(validation_freq)}."
    )
