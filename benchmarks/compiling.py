"""Time steps as they are and compiled, and the compiler; print a Markdown table.

`python -m benchmarks.compiling` takes the models of `run.py`, some minutes. Each model has its own
process. "first" is the first step with the compiler's cache empty, "again" with the cache of that
process. Blocks of both kinds of steps alternate, and the shortest counts.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from typing import Any

import torch

import torchkeras

from . import models_keras
from .data import CASES, make_data
from .harness import best_of, chosen, heading, run_process

__all__ = ["main", "measure"]


def make_step(name: str, jit_compile: bool) -> tuple[Any, Callable[[], Any]]:
    """Make a model, and a function that trains it on the same batch again."""
    torchkeras.utils.set_random_seed(0)
    model = models_keras.build(torchkeras, name)
    device = torchkeras.config.default_device()
    x, y = (torch.from_numpy(array).to(device) for array in make_data(name, 1))
    model.jit_compile = jit_compile
    model.train_on_batch(x, y)  # makes the functions
    model.train()
    return model, lambda: model.train_function([(x, y)])


def measure(name: str, repeats: int) -> dict[str, float]:
    """Time one model.

    Returns: Seconds until a first compiled step is done, and microseconds of steps of both kinds.
    """
    _, plain = make_step(name, False)
    model, fast = make_step(name, True)
    start = time.perf_counter()
    fast()
    compile_s = time.perf_counter() - start
    if not model.jit_compile:
        raise RuntimeError(f"{name} could not be compiled")
    block = max(1, round(0.1 / best_of(plain, 3)))
    works = {"plain": plain, "compiled": fast}
    best = dict.fromkeys(works, float("inf"))
    for _ in range(repeats):
        for kind, work in works.items():
            time_s = best_of(lambda work=work: [work() for _ in range(block)], 1) / block
            best[kind] = min(best[kind], time_s)
    return {"compile_s": compile_s, **{f"{kind}_us": 1e6 * t for kind, t in best.items()}}


def main() -> None:
    """Measure and print; in a process for one model, print a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="?", default=",".join(CASES), help="comma-separated")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--here", help="measure this one model in this process")
    options = parser.parse_args()
    if options.here:
        torch.set_num_threads(options.threads)
        print(json.dumps(measure(options.here, options.repeats)))
        return
    columns = ["as it is", "compiled", "ratio", "first", "again"]
    print(*heading(["a training step"], columns), sep="\n")
    for name in chosen(options.models, CASES, "models"):
        arguments = ["-m", "benchmarks.compiling", f"--here={name}", f"--threads={options.threads}"]
        arguments.append(f"--repeats={options.repeats}")
        with tempfile.TemporaryDirectory() as folder:
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
            outputs = [run_process(arguments, options.threads) for _ in range(2)]
        first, again = (json.loads(output.splitlines()[-1]) for output in outputs)
        plain, fast = (min(first[key], again[key]) for key in ("plain_us", "compiled_us"))
        cells = [f"{plain:,.0f} µs", f"{fast:,.0f} µs", f"{fast / plain:.2f}"]
        cells += [f"{result['compile_s']:.0f} s" for result in (first, again)]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
