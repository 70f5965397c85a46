"""Epochs: how many batches one has, where each starts, and how to go on in the middle of one.

What data does from epoch to epoch consists of *turns*: an epoch begins and ends, a pass through the
data is set up, its first batch is drawn. The order of the batches follows from the states that the
random number generators had at these turns. So `position` has those of the last turns, and
`restore` repeats them; batches that are done already are passed over, not computed.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from numbers import Integral
from typing import Any

import torch

from ..config import default_device, max_steps_per_epoch
from ..distribution.strategy import replicas as replicas_in_force
from ..random import random_state, set_random_state
from .data import get_data_adapter
from .data.sharding import ShardedAdapter

__all__ = ["EpochIterator", "grouped", "is_due", "numbered"]

# How long a group of batches may take between which nobody looks.
SPELL_S = 0.02


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
        replicas = replicas_in_force()
        if replicas is not None and not isinstance(adapter, ShardedAdapter):
            adapter = ShardedAdapter(adapter, replicas)
            sizes = {"batches": adapter.num_batches, "rows": adapter.num_rows}
            replicas.processes.check_equal("numbers of batches or rows", sizes)
        steps_per_epoch = steps_per_epoch or None  # 0 means all there are, as in Keras
        if steps_per_epoch is not None and not isinstance(steps_per_epoch, Integral):
            raise TypeError(
                f"A number of steps must be an integer. Received: {steps_per_epoch!r}. Divide by"
                " `//` to get one."
            )
        if steps_per_epoch is not None and steps_per_epoch < 0:
            raise ValueError(f"A number of steps cannot be negative. Received: {steps_per_epoch}")
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
        # Batches of the next epoch that an interrupted run has done, and what then goes before it.
        self.done = 0
        self._then: Callable[[], None] | None = None
        # Epochs that have ended, and the random states at the last turns; if somebody keeps track.
        self._ended = 0
        self._turns: dict[str, Any] | None = None

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
        if self._then is not None:
            then, self._then = self._then, None
            then()
        if not self.done:
            self._turn("begin")
        if self.steps_per_epoch is None:
            if self._pass is None:
                self._turn("start")
                self._turn("draw")
            batches, self._pass = self._pass, None
            yield from batches
        else:
            yield from self._steps(self.steps_per_epoch)
        self.done = 0
        self._ended += 1
        self._turn("end")

    def _steps(self, count: int) -> Iterator[Any]:
        """Yield `count` batches of the running pass, or what is left of it."""
        total = self.data_adapter.num_batches
        if self._pass is None:
            self._turn("start")
        if not self._taken:
            self._turn("draw")
        for step in range(self.done, count):
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
            self._turn("start")

    # Going on where another run was --------------------------------------------------------------

    def keep_track(self) -> None:
        """Remember from now on what `position` tells."""
        self._turns = {}
        self._turn("first")

    def position(self, done: int) -> dict[str, Any]:
        """Where in the data training stands, as JSON can hold it.

        Args:
            done: Batches of the epoch that are done; 0 after its end.
        """
        turns = dict(self._turns or {})
        whole = self.steps_per_epoch is None  # each epoch is one pass
        taken = done if whole else self._taken
        if not (done if whole else self._pass is not None):
            turns.pop("start", None)
        if not taken or "start" not in turns:
            turns.pop("draw", None)
        now = random_state(*self.data_adapter.generators)
        return {
            "ended": self._ended,
            "done": done,
            "taken": taken,
            "turns": list(turns.items()),
            "now": now,
        }

    def restore(self, position: Mapping[str, Any], then: Callable[[], None]) -> None:
        """Go to where another run on the same data was.

        The random states become those of that moment; in the middle of an epoch they do so right
        before its next batch is drawn.

        Args:
            position: What `position` returned there.
            then: In the middle of an epoch, what to do right before that.
        """
        self._ended, self.done = position["ended"], position["done"]
        hooks = ["begin", "end"] * self._ended + ["begin"] * (self.done > 0)
        for turn, state in position["turns"]:
            set_random_state(state, *self.data_adapter.generators)
            # All epochs but the last begin and end now, so that data which changes itself from
            # epoch to epoch gets to where it was.
            for hook in hooks[:-2] if turn == "first" else (turn,):
                self._take(hook, position["taken"])
        self._taken = position["taken"]
        if self._turns is not None:
            self._turns = dict(position["turns"])

        def settle() -> None:
            then()
            set_random_state(position["now"], *self.data_adapter.generators)

        if self.done:
            self._then = settle
        else:
            set_random_state(position["now"], *self.data_adapter.generators)

    def _turn(self, turn: str) -> None:
        """Take a turn, and note the random state before it."""
        if self._turns is not None:
            self._turns.pop(turn, None)
            self._turns[turn] = random_state(*self.data_adapter.generators)
        self._take(turn)

    def _take(self, turn: str, skip: int = 0) -> None:
        if turn == "begin":
            self.data_adapter.on_epoch_begin()
        elif turn == "end":
            self.data_adapter.on_epoch_end()
        elif turn == "start":
            self._pass = iter(self.data_adapter.batches(self.device, skip))
            self._taken = 0
        elif turn == "draw" and skip:
            next(self._pass)


_END = object()


def numbered(iterator: EpochIterator) -> Iterator[tuple[int, int, list[Any]]]:
    """Yield the batches of an epoch in groups, with the numbers of the first and the last."""
    size = iterator.steps_per_execution
    start = iterator.done
    if size == 1:
        for number, batch in enumerate(iterator.epoch(), start):
            yield number, number, [batch]
        return
    group: list[Any] = []
    first = start
    for number, batch in enumerate(iterator.epoch(), start):
        group.append(batch)
        if len(group) == size:
            yield first, number, group
            first, group = number + 1, []
    if group:
        yield first, first + len(group) - 1, group


def grouped(
    iterator: EpochIterator, in_spells: bool = False
) -> Iterator[tuple[int, int, list[Any]]]:
    """Yield the batches of an epoch as `numbered` does, or several at a time.

    In spells, groups grow for as long as one is done within `SPELL_S` seconds, up to what the data
    has at hand. So a progress bar still moves, and what a loop does once a group costs next to
    nothing per batch.

    Args:
        in_spells: Nothing happens between two batches.
    """
    data = iterator.data_adapter
    most, total = data.at_hand, data.num_batches
    # The rest of a running pass may end anywhere.
    if iterator.steps_per_epoch is not None or iterator.steps_per_execution != 1:
        most = 1
    if not in_spells or most == 1:
        yield from numbered(iterator)
        return
    size, first = 1, iterator.done
    group: list[Any] = []
    for number, batch in enumerate(iterator.epoch(), first):
        group.append(batch)
        # The end of a pass may draw random numbers, so all is to be done by then.
        if len(group) == size or number + 1 == total:
            start = time.perf_counter()
            yield first, number, group
            passed = time.perf_counter() - start
            if 2 * passed < SPELL_S:
                size = min(2 * size, most)
            elif passed > SPELL_S and size > 1:
                size //= 2
            first, group = number + 1, []


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
