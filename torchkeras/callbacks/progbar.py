"""The progress bar, and the callback that draws it. What is printed is Keras's, to the letter."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..naming import explain
from .callback import Callback, Logs
from .console import print_msg
from .logs import as_logs

__all__ = ["Progbar", "ProgbarLogger"]

_BOLD, _GREEN, _WHITE, _PLAIN = "\x1b[1m", "\x1b[32m", "\x1b[37m", "\x1b[0m"


def _bold(text: str) -> str:
    return f"{_BOLD}{text}{_PLAIN}"


def _visible_length(text: str) -> int:
    """Length without colour codes."""
    for code in (_BOLD, _GREEN, _WHITE, _PLAIN):
        text = text.replace(code, "")
    return len(text)


class Progbar:
    """Shows how far a loop has come.

    Metrics are averaged over the steps they were given for, except the stateful ones, which are
    shown as they are.

    Args:
        target: Number of steps, or `None` if unknown.
        width: Characters of the bar.
        verbose: 0 prints nothing, 1 a bar, 2 a line at the end.
        interval: Seconds between two drawings, at least.
        stateful_metrics: Names of the metrics that are not averaged.
        stateless_metrics: Names of those that are; all others are not. Not with the former.
        unit_name: What a step is called.

    Raises:
        ValueError: Both kinds of names are given.

    Example:
        >>> bar = Progbar(2, verbose=2)
        >>> bar.update(1, [("loss", 1.0)])
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        stateless_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ) -> None:
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError(
                explain(
                    "Only one of `stateful_metrics` and `stateless_metrics` can be given.",
                    stateful_metrics=stateful_metrics,
                    stateless_metrics=stateless_metrics,
                    fix="name one kind; all other metrics are of the other.",
                )
            )
        self.target = target
        self.width = width
        self.verbose = verbose
        self.interval = interval
        self.unit_name = unit_name
        self.stateful_metrics = (
            None if stateless_metrics is not None else set(stateful_metrics or ())
        )
        self.stateless_metrics = None if stateless_metrics is None else set(stateless_metrics)
        # One line drawn over and over; only consoles that cannot do so get a new line each time.
        self._one_line = (
            os.name == "posix"
            or "ipykernel" in sys.modules
            or "PYCHARM_HOSTED" in os.environ
            or bool(getattr(sys.stdout, "isatty", bool)())
        )
        self._seen = 0
        self._sums: dict[str, tuple[Any, int]] = {}  # name -> sum, number of steps in it
        self._start = time.time()
        self._first_step_end: float | None = None
        self._last_drawn = 0.0
        self._last_length = 0

    def is_due(self, current: int) -> bool:
        """Note the time of step `current`, and say whether `update` would draw the bar."""
        now = time.time()
        if current == 1:
            self._first_step_end = now
        return now - self._last_drawn >= self.interval

    def add(self, n: int, values: Iterable[tuple[str, Any]] | None = None) -> None:
        """Advance by `n` steps."""
        self.update(self._seen + n, values)

    def update(
        self,
        current: int,
        values: Iterable[tuple[str, Any]] | None = None,
        finalize: bool | None = None,
    ) -> None:
        """Advance to step `current`.

        Args:
            current: Steps done.
            values: Names and values of metrics at this step.
            finalize: Whether this is the last update. Default: whether the target is reached.
        """
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        for name, value in values or ():
            self._add_value(name, value, max(current - self._seen, 1), finalize)
        self._seen = current
        now = time.time()
        pace = self._pace(current, now)
        if self.verbose == 1:
            if not finalize and now - self._last_drawn < self.interval:
                return
            print_msg(self._line(current, now, pace, finalize), line_break=False)
        elif self.verbose == 2 and finalize and self.target:
            elapsed = f"{now - self._start:.0f}s"
            parts = [
                self._count(current),
                elapsed,
                self._per_step(pace),
                *self._metrics(signed=True),
            ]
            print_msg(" - ".join(parts) + "\n", line_break=False)
        self._last_drawn = now

    def _add_value(self, name: str, value: Any, steps: int, finalize: bool) -> None:
        averaged = (
            name not in self.stateful_metrics
            if self.stateful_metrics is not None
            else name in self.stateless_metrics
        )
        if not averaged or finalize:
            self._sums[name] = (value, 1)
            return
        total, count = self._sums.get(name, (0, 0))
        self._sums[name] = (total + value * steps, count + steps)

    def _pace(self, current: int, now: float) -> float:
        """Seconds per step; the first one, which includes preparations, is left out if possible."""
        if not current:
            return 0
        if self._first_step_end is not None and current > 1:
            pace = (now - self._first_step_end) / (current - 1)
        else:
            pace = (now - self._start) / current
        if current == 1:
            self._first_step_end = now
        return pace

    def _line(self, current: int, now: float, pace: float, finalize: bool) -> str:
        known = bool(self.target) and self.target > 0
        if known:
            done = int(self.width * (current / self.target))
            bar = _bold(self._count(current)) + " "
            bar += f"{_GREEN}{'━' * done}{_PLAIN}" if done > 0 else ""
            bar += f"{_WHITE}{'━' * (self.width - done)}{_PLAIN}"
        else:
            bar = f"{current:7d}/Unknown"
        if known and not finalize:
            clock = _countdown(pace * (self.target - current))
        else:
            clock = f"{now - self._start:.0f}s"
        line = f"{bar} {_bold(clock)} " + " - ".join([self._per_step(pace), *self._metrics()])
        length = _visible_length(line)
        erase = "\b" * self._last_length + "\r" if self._one_line else "\n"
        line = erase + line + " " * (self._last_length - length)
        self._last_length = length
        return line + "\n" if finalize else line

    def _count(self, current: int) -> str:
        width = int(math.log10(self.target)) + 1
        return f"{current:{width}d}/{self.target}"

    def _per_step(self, pace: float) -> str:
        if pace >= 1 or pace == 0:
            return f"{pace:.0f}s/{self.unit_name}"
        if pace >= 1e-3:
            return f"{pace * 1e3:.0f}ms/{self.unit_name}"
        return f"{pace * 1e6:.0f}us/{self.unit_name}"

    def _metrics(self, signed: bool = False) -> list[str]:
        """`name: value` for each metric; with `signed`, negative values count as small ones."""
        shown = []
        for name, (total, count) in self._sums.items():
            total = total if isinstance(total, float) else np.mean(total)
            mean = total / max(1, count)
            large = (mean if signed else abs(mean)) > 1e-3
            shown.append(f"{name}: {mean:.4f}" if large else f"{name}: {mean:.4e}")
        return shown


def _countdown(seconds: float) -> str:
    whole = int(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    if seconds > 3600:
        return f"{hours}:{minutes:02d}:{whole % 60:02d}"
    return f"{whole // 60}:{whole % 60:02d}" if seconds > 60 else f"{whole}s"


class ProgbarLogger(Callback):
    """Draws a progress bar for `fit`, `evaluate` and `predict`; added when `verbose` is not 0.

    Logs are read when the bar is drawn: at most ten times a second, and at the end.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0
        self.progbar: Progbar | None = None
        self.target: int | None = None
        self.verbose: Any = 1
        self.epochs = 1
        self._in_fit = False

    def set_params(self, params: dict[str, Any]) -> None:
        """Take the verbosity, and the numbers of epochs and steps."""
        self.verbose = 1 if params["verbose"] == "auto" else params["verbose"]
        self.epochs = params["epochs"]
        self.target = params["steps"]

    def on_train_begin(self, logs: Logs = None) -> None:
        """Note that validations are part of `fit`, and silent."""
        self._in_fit = True

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Announce the epoch."""
        self._restart()
        if self.verbose and self.epochs > 1:
            print_msg(f"Epoch {epoch + 1}/{self.epochs}")

    def on_test_begin(self, logs: Logs = None) -> None:
        """Begin a bar, outside `fit`."""
        if not self._in_fit:
            self._restart()

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Begin a bar."""
        self._restart()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Draw the bar if it is time to."""
        self._advance(batch, logs)

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Draw the bar if it is time to, outside `fit`."""
        if not self._in_fit:
            self._advance(batch, logs)

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Draw the bar if it is time to; predictions are not shown."""
        self._advance(batch, None)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Draw the full bar."""
        self._finish(logs)

    def on_test_end(self, logs: Logs = None) -> None:
        """Draw the full bar, outside `fit`."""
        if not self._in_fit:
            self._finish(logs)

    def on_predict_end(self, logs: Logs = None) -> None:
        """Draw the full bar."""
        self._finish(None)

    def _restart(self) -> None:
        self.seen = 0
        self.progbar = self._new_progbar()

    def _new_progbar(self) -> Progbar:
        return Progbar(self.target, verbose=self.verbose, interval=0.1, stateless_metrics=())

    def _advance(self, batch: int, logs: Logs) -> None:
        if self.progbar is None:
            self.progbar = self._new_progbar()
        self.seen = batch + 1
        if self.verbose == 1 and self.progbar.is_due(self.seen):
            self.progbar.update(self.seen, as_logs(logs).items(), finalize=False)

    def _finish(self, logs: Logs) -> None:
        if self.progbar is None:
            self.progbar = self._new_progbar()
        if self.target is None:
            self.target = self.progbar.target = self.seen
        self.progbar.update(self.target, as_logs(logs).items(), finalize=True)
