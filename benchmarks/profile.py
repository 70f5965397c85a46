"""Show where the time of a training step goes: `python -m benchmarks.profile mlp`.

Three runs of `fit` on the same data, each with other probes around the parts of a step: clocks,
whose own cost is taken off; a count of the calls of Python functions of torchkeras; and torch's
profiler, which says what was spent in torch's operators (it makes each of them about a microsecond
slower, so that its figures are for comparing parts). "rest" is what is left of a batch's time: the
loop itself, and a share of what an epoch costs once. The progress bar is on, its output thrown
away.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch.profiler import ProfilerActivity, record_function

import torchkeras
from torchkeras.callbacks import callback_list
from torchkeras.training import epochs

from . import models_keras
from .data import CASES, make_data
from .engines import HandWritten
from .harness import best_of, chosen, heading

__all__ = ["PARTS", "main", "measure"]

PARTS = ("feeding", "forward", "loss", "backward", "update", "metrics", "logs")
OURS = str(Path(torchkeras.__file__).parent)

Wrap = Callable[[str, Callable[..., Any]], Callable[..., Any]]


class Clocks:
    """Seconds and calls by part."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()

    def wrap(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Time a function on behalf of a part."""
        clock, seconds, calls = time.perf_counter, self.seconds, self.calls

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = clock()
            try:
                return function(*args, **kwargs)
            finally:
                seconds[part] += clock() - start
                calls[part] += 1

        return timed

    def net(self, part: str) -> float:
        """Seconds of a part without what the clock itself takes, which is the least it takes."""
        nothing, found = Clocks(), []
        work = nothing.wrap("nothing", lambda *args: None)
        for _ in range(2000):
            work(None)
            found.append(nothing.seconds.pop("nothing"))
        return self.seconds[part] - self.calls[part] * min(found)


class Calls:
    """Calls of Python functions of torchkeras, and of lowered graphs, by part."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.part = "rest"

    def wrap(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Count calls within a function on behalf of a part."""

        def counted(*args: Any, **kwargs: Any) -> Any:
            outer, self.part = self.part, part
            try:
                return function(*args, **kwargs)
            finally:
                self.part = outer

        return counted

    def __call__(self, frame: Any, event: str, argument: Any) -> None:
        name = frame.f_code.co_filename
        if event == "call" and (name.startswith(OURS) or "lowered graph" in name):
            self.counts[self.part] += 1


def traced(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Name a part to torch's profiler."""

    def marked(*args: Any, **kwargs: Any) -> Any:
        with record_function(part):
            return function(*args, **kwargs)

    return marked


@contextlib.contextmanager
def probes(model: Any, wrap: Wrap) -> Iterator[None]:
    """Put probes around the parts of a step for some time."""
    step, optimizer = model._settled_train_step, model.optimizer
    drawn, hook = epochs.EpochIterator.epoch, callback_list._batch_hook
    compiled = () if step.metrics is None else (step.metrics,)

    def epoch(iterator: Any) -> Iterator[Any]:
        draw = wrap("feeding", iter(drawn(iterator)).__next__)
        with contextlib.suppress(StopIteration):
            while True:
                yield draw()

    patches = (
        (epochs.EpochIterator, "epoch", epoch),
        (step, "call", wrap("forward", step.call)),
        (step, "compute_loss", wrap("loss", step.compute_loss)),
        (step, "gradients_of", wrap("backward", step.gradients_of)),
        (optimizer, "apply", wrap("update", optimizer.apply)),
        (step, "record", wrap("metrics", step.record)),
        *((metrics, "count", wrap("metrics", metrics.count)) for metrics in compiled),
        (callback_list, "_batch_hook", lambda *args: wrap("logs", hook(*args))),
    )
    with contextlib.ExitStack() as stack:
        for target, name, value in patches:
            stack.enter_context(mock.patch.object(target, name, value))
        yield


def operators(profiler: Any) -> tuple[dict[str, Counter[str]], Counter[str]]:
    """What torch's profiler saw.

    Returns: By part the `calls` that Python made and the microseconds on the `cpu` and the
        `device`; and microseconds by operator.
    """
    found: dict[str, Counter[str]] = {key: Counter() for key in ("calls", "cpu", "device")}
    by_name: Counter[str] = Counter()
    for event in profiler.events():
        if event.name in PARTS:
            continue
        part, above = "rest", event
        while above is not None and part == "rest":
            # On a device, backward runs in a thread of its own, outside of all marks.
            inner, above = above, above.cpu_parent
            if above is None and inner.name.startswith("autograd::engine"):
                part = "backward"
            elif above is not None and above.name in PARTS:
                part = above.name
        parent = event.cpu_parent
        found["calls"][part] += parent is None or parent.name in PARTS
        found["cpu"][part] += event.self_cpu_time_total
        found["device"][part] += event.self_device_time_total
        by_name[event.name] += event.self_cpu_time_total + event.self_device_time_total
    return found, by_name


def measure(name: str, steps_per_epoch: int, repeats: int) -> dict[str, Any]:
    """Measure one model.

    Returns: Per batch the microseconds, calls and operators of each part, the microseconds of the
        whole and of hand-written PyTorch, and those of the operators that take most.
    """
    case = CASES[name]
    x, y = make_data(name, steps_per_epoch)
    torch.manual_seed(0)
    model = models_keras.build(torchkeras, name)

    def fit() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            model.fit(x, y, batch_size=case.batch_size)

    fit()
    by_hand = HandWritten(name, torchkeras.config.default_device())
    by_hand.fit(x, y, case.batch_size, 1)
    by_hand_s = best_of(lambda: by_hand.fit(x, y, case.batch_size, 1), repeats)
    whole_s = best_of(fit, repeats)
    timed = []
    for _ in range(repeats):
        clocks = Clocks()
        with probes(model, clocks.wrap):
            fit()
        timed.append(clocks)
    seconds = {part: min(clocks.net(part) for clocks in timed) for part in PARTS}
    calls = Calls()
    with probes(model, calls.wrap):
        sys.setprofile(calls)
        try:
            fit()
        finally:
            sys.setprofile(None)
    activities = [ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(ProfilerActivity.CUDA)
    with probes(model, traced), torch.profiler.profile(activities=activities) as profiler:
        fit()
    seconds["rest"] = max(0.0, whole_s - sum(seconds.values()))
    by_part, by_name = operators(profiler)
    count = steps_per_epoch
    return {
        "us": {part: 1e6 * value / count for part, value in seconds.items()},
        "calls": {part: calls.counts[part] / count for part in seconds},
        "operators": {part: by_part["calls"][part] / count for part in seconds},
        "operators_us": {part: by_part["cpu"][part] / count for part in seconds},
        "device_us": {part: by_part["device"][part] / count for part in seconds},
        "whole_us": 1e6 * whole_s / count,
        "by_hand_us": 1e6 * by_hand_s / count,
        "by_operator_us": {key: value / count for key, value in by_name.most_common(10)},
    }


def table(result: dict[str, Any], name: str) -> list[str]:
    """The figures of a model as Markdown."""
    on_device = any(result["device_us"].values())
    titles = ["time", "share", "Python calls", "operators", "in operators"]
    lines = heading([f"{name}, a batch"], [*titles, *["on the device"] * on_device])
    whole = result["whole_us"]
    columns = ("calls", "operators", "operators_us", *["device_us"] * on_device)
    for part in (*PARTS, "rest"):
        time_us = result["us"][part]
        cells = [f"{time_us:,.1f} µs", f"{time_us / whole:.0%}"]
        cells += [f"{result[key][part]:,.1f}{' µs' * ('_us' in key)}" for key in columns]
        lines.append(f"| {part} | {' | '.join(cells)} |")
    totals = [sum(result[key].values()) for key in columns]
    cells = [
        f"{total:,.1f}{' µs' * ('_us' in k)}" for k, total in zip(columns, totals, strict=True)
    ]
    lines.append(f"| all of it | {whole:,.1f} µs | | {' | '.join(cells)} |")
    by_hand = result["by_hand_us"]
    ratio = f"{whole / by_hand:.2f} x" if by_hand else ""
    lines.append(f"| PyTorch by hand, no bar | {by_hand:,.1f} µs | {ratio} |{' |' * len(columns)}")
    lines += ["", *heading(["operator, by the profiler"], ["a batch"])]
    lines += [f"| {key} | {us:,.1f} µs |" for key, us in result["by_operator_us"].items()]
    return lines


def main(argv: list[str] | None = None) -> None:
    """Carry out a command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="?", default="mlp", help="comma-separated")
    parser.add_argument("--steps", type=int, default=0, help="batches; default: as in `run`")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    for name in chosen(options.models, CASES, "models"):
        result = measure(name, options.steps or CASES[name].steps, options.repeats)
        print(*table(result, name), "", sep="\n")


if __name__ == "__main__":
    main()
