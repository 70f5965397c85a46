"""What the benchmarks share: the engines, fresh processes, the best of repeated times, tables."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

__all__ = [
    "ALL_TITLES",
    "FRAMEWORKS",
    "ROOT",
    "TITLES",
    "best_of",
    "chosen",
    "heading",
    "installed",
    "ratio_cell",
    "run_process",
]

ROOT = Path(__file__).resolve().parents[1]
TITLES = {"torch": "PyTorch by hand", "torchkeras": "torchkeras", "keras": "Keras on torch"}
ALL_TITLES = {
    **TITLES,
    "keras-jax": "Keras on JAX",
    "keras-tensorflow": "Keras on TensorFlow",
}
# What each engine computes with.
FRAMEWORKS = {engine: engine.partition("-")[2] or "torch" for engine in ALL_TITLES}

# glibc gives freed memory back to the system, or not, by chance of the heap's layout, and the page
# faults that follow may double a step's time. All engines keep it, so that no figure is of chance.
KEEP_MEMORY = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")


# How many threads a process takes, in the words of torch and of TensorFlow.
THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


def run_process(
    arguments: list[str], threads: int, framework: str = "torch", one_core: bool = False
) -> str:
    """Run Python with `arguments` and the thread limits; return what it prints.

    Args:
        arguments: Those of the interpreter.
        threads: How many threads it may compute with.
        framework: What Keras is to compute with, if it is imported.
        one_core: Whether all its threads share one core, also those that JAX and TensorFlow have
            beside the ones that compute (Linux only).
    """
    limits = dict.fromkeys(THREADS, str(threads))
    limits.update(dict.fromkeys(KEEP_MEMORY, str(1 << 30)))
    if threads == 1:  # JAX knows one or all
        limits["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, **limits, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": path}
    environment["KERAS_BACKEND"] = framework
    # Imports are timed with bytecode, as installed.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, *arguments]
    pin = _pin_to_one_core if one_core and hasattr(os, "sched_setaffinity") else None
    done = subprocess.run(command, capture_output=True, text=True, env=environment, preexec_fn=pin)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stderr}")
    return done.stdout


def _pin_to_one_core() -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def best_of(work: Callable[[], Any], repeats: int) -> float:
    """Shortest time of `repeats` calls, in seconds."""
    clock, best = time.perf_counter, float("inf")
    for _ in range(repeats):
        start = clock()
        work()
        passed = clock() - start
        if passed < best:
            best = passed
    return best


def chosen(text: str, known: Iterable[str], what: str) -> list[str]:
    """The names in a comma-separated `text`.

    Raises:
        SystemExit: One of them is not in `known`.
    """
    names, known = text.split(","), list(known)
    if unknown := set(names) - set(known):
        raise SystemExit(f"unknown {what}: {sorted(unknown)}; there are {sorted(known)}")
    return names


def installed(engines: list[str]) -> list[str]:
    """Those of the engines that can be imported; says which cannot."""
    sys.path.insert(0, str(ROOT))
    found = [
        engine
        for engine in engines
        if all(map(importlib.util.find_spec, (engine.partition("-")[0], FRAMEWORKS[engine])))
    ]
    for engine in set(engines) - set(found):
        print(f"{engine} is not installed: left out", file=sys.stderr)
    return found


def heading(words: Iterable[str], columns: Iterable[str]) -> list[str]:
    """The first two lines of a Markdown table: `words` to the left, figures to the right."""
    words, columns = list(words), list(columns)
    rule = "|---" * len(words) + "|--:" * len(columns) + "|"
    return [f"| {' | '.join([*words, *columns])} |", rule]


def ratio_cell(time_us: float | None, base_us: float | None, is_base: bool) -> str:
    """A time, and how many times the base's it is."""
    if time_us is None:
        return "–"
    figure = f"{time_us:,.1f} µs" if time_us < 100 else f"{time_us:,.0f} µs"
    return figure if is_base or base_us is None else f"{figure} ({time_us / base_us:.2f} x)"
