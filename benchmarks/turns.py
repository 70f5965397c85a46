"""Whole models, torchkeras and hand-written PyTorch in one process, taking turns.

`python -m benchmarks.turns` (ten minutes) times what `benchmarks.run` times, for machines whose
clock swings so much that one process cannot be compared with the next: a call of one side is
followed by the same call of the other. The median of the ratios counts; times are the shortest.
`python -m benchmarks.turns mlp lstm` takes only those models. Each has a process of its own.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from .data import CASES, make_data
from .engines import HandWritten, KerasStyle
from .harness import chosen, heading, run_process

__all__ = ["compare", "main"]

WAYS = ("fit", "evaluate", "predict", "predict of one batch alone")
LEAST = 7  # pairs of calls


def compare(name: str, seconds: float, scale: float) -> dict[str, tuple[float, float, float]]:
    """Time a model.

    Returns: By way, microseconds per batch by hand and of torchkeras, and the median ratio.
    """
    case = CASES[name]
    steps = max(2, round(case.steps * scale))
    x, y = make_data(name, steps)
    few, size = x[: case.batch_size], case.batch_size
    sides: list[Any] = [HandWritten(name, torch.device("cpu")), KerasStyle("torchkeras", name)]
    calls: dict[str, Callable[[Any], Any]] = {
        "fit": lambda side: side.fit(x, y, size, 1),
        "evaluate": lambda side: side.evaluate(x, y, size),
        "predict": lambda side: side.predict(x, size),
        "predict of one batch alone": lambda side: side.predict(few, size),
    }
    found = {}
    for way, call in calls.items():
        times = take_turns([lambda side=side, call=call: call(side) for side in sides], seconds)
        ratio = statistics.median(ours / by_hand for by_hand, ours in times)
        by_hand, ours = (1e6 * min(side) for side in zip(*times, strict=True))
        batches = 1 if way.endswith("alone") else steps
        found[way] = by_hand / batches, ours / batches, ratio
    return found


def take_turns(calls: list[Callable[[], Any]], seconds: float) -> list[tuple[float, ...]]:
    """Time calls in turn, after one of each that warms up, for so many seconds."""
    for call in calls:
        call()
    times = []
    end = time.perf_counter() + seconds
    while len(times) < LEAST or time.perf_counter() < end:
        row = []
        for call in calls:
            start = time.perf_counter()
            call()
            row.append(time.perf_counter() - start)
        times.append(tuple(row))
    return times


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", help="default: all")
    parser.add_argument("--seconds", type=float, default=15, help="for each figure, at least")
    parser.add_argument("--scale", type=float, default=1.0, help="of the data")
    parser.add_argument("--here", help="measure this one model in this process")
    options = parser.parse_args()
    if options.here:
        torch.set_num_threads(1)
        print(json.dumps(compare(options.here, options.seconds, options.scale)))
        return
    models = chosen(",".join(options.models or CASES), CASES, "models")
    print("By hand → torchkeras, per batch, on one thread.\n")
    print("\n".join(heading(["model"], list(WAYS))), flush=True)
    settings = [f"--seconds={options.seconds}", f"--scale={options.scale}"]
    for name in models:
        output = run_process(["-m", "benchmarks.turns", "--here", name, *settings], 1)
        found = json.loads(output.splitlines()[-1])
        cells = [f"{hand:,.0f} → {ours:,.0f} µs ({r:.2f} x)" for hand, ours, r in found.values()]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
