"""Time every layer beside torch's own and Keras's on torch; print a Markdown table.

`python -m benchmarks.layers` measures all of `layer_cases.py` (about ten minutes); `python -m
benchmarks.layers Dense LSTM` only those. Inputs are of a size that is typical of the layer in a
model; `--sizes=small` shows what the call itself costs. Each layer has a process of its own, in
which short rounds of the engines alternate, so that a slow spell of the machine meets all; the
shortest call counts. Eager, float32, one thread. "forward" is without gradients; "and backward"
computes those of the inputs and of all weights.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .harness import TITLES, best_of, chosen, heading, installed, ratio_cell, run_process
from .layer_cases import CASES, Case

__all__ = ["main", "measure", "prepare"]

SIZES = ("small", "typical")
MODES = ("forward", "and backward")
MEMORY_FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


def make_inputs(case: Case, shape: tuple[int, ...]) -> list[Tensor]:
    """Random inputs in Keras's layout, and the mask if the layer is to have one."""
    torch.manual_seed(0)
    if case.vocabulary:
        return [torch.randint(case.vocabulary, shape)]
    inputs = [torch.randn(shape).requires_grad_() for _ in range(case.inputs)]
    if case.masked:
        lengths = torch.randint(shape[1] // 2, shape[1] + 1, (shape[0], 1))
        lengths[0] = shape[1]
        inputs.append(torch.arange(shape[1]) < lengths)
    return inputs


def channels_first(x: Tensor) -> Tensor:
    """See an input as torch wants it: images in the same memory, series contiguous."""
    x = x.detach().movedim(-1, 1)
    return (x.contiguous() if x.dim() == 3 else x).requires_grad_()


def prepare(engine: str, case: Case, shape: tuple[int, ...]) -> tuple[Callable[[], Any], Any, Any]:
    """Make a layer and its inputs.

    Returns: A function that calls it, the layer, and the inputs to derive by.
    """
    inputs = make_inputs(case, shape)
    if engine == "torch":
        layer = case.torch(shape[-1]).train(case.training)
        if case.images:
            inputs = [channels_first(x) for x in inputs]
            if inputs[0].dim() in MEMORY_FORMATS:
                layer.to(memory_format=MEMORY_FORMATS[inputs[0].dim()])
        return (lambda: layer(*inputs)), layer, inputs
    layer = case.keras(importlib.import_module(engine).layers, shape[-1])
    floats = list(inputs)
    options: dict[str, Any] = {}
    if case.masked:
        options["mask"] = inputs.pop()
    arguments = [inputs] if case.listed else inputs
    layer(*arguments, **options)  # builds it
    if engine == "torchkeras":
        layer.train(case.training)
    elif case.training:
        options["training"] = True
    return (lambda: layer(*arguments, **options)), layer, floats


def with_backward(
    call: Callable[[], Any], layer: torch.nn.Module, inputs: list[Tensor]
) -> Callable[[], Any]:
    """A function that calls a layer and computes all gradients."""
    sources = [x for x in inputs if x.requires_grad]
    sources += [weight for weight in layer.parameters() if weight.requires_grad]
    gradient = torch.ones_like(first(call()))

    def work() -> None:
        torch.autograd.grad(first(call()), sources, gradient, allow_unused=True)

    return work


def first(outputs: Any) -> Tensor:
    """The first of the outputs."""
    return outputs if isinstance(outputs, Tensor) else outputs[0]


def measure(
    name: str, engines: list[str], seconds: float, sizes: list[str]
) -> list[dict[str, dict[str, float]]]:
    """Time a layer.

    Args:
        name: One of `CASES`.
        engines: Which to compare.
        seconds: To spend on each figure.
        sizes: Which input shapes, of `SIZES`.

    Returns: For each shape the microseconds by mode and engine.
    """
    case, results = CASES[name], []
    engines = [engine for engine in engines if engine != "torch" or case.torch is not None]
    for shape in (case.shapes[SIZES.index(size)] for size in sizes):
        prepared = {engine: prepare(engine, case, shape) for engine in engines}
        counts = {engine: first(call()).numel() for engine, (call, _, _) in prepared.items()}
        if len(set(counts.values())) > 1:
            raise RuntimeError(f"{name} on {shape}: outputs of different sizes, {counts}")
        works = [{engine: call for engine, (call, _, _) in prepared.items()}]
        works.append({engine: with_backward(*parts) for engine, parts in prepared.items()})
        times = {}
        for mode, work in zip(MODES, works, strict=True):
            with torch.set_grad_enabled(mode != MODES[0]):
                times[mode] = interleaved(work, seconds)
        results.append(times)
    return results


def interleaved(works: dict[str, Callable[[], Any]], seconds: float) -> dict[str, float]:
    """Shortest call of each of the functions, in microseconds, by alternating short rounds."""
    best = {engine: best_of(work, 5) for engine, work in works.items()}
    rounds = 20
    counts = {e: max(1, min(1000, int(seconds / rounds / t))) for e, t in best.items()}
    for _ in range(rounds):
        for engine, work in works.items():
            best[engine] = min(best[engine], best_of(work, counts[engine]))
    return {engine: 1e6 * time for engine, time in best.items()}


def rows(name: str, results: list[dict[str, Any]], engines: list[str], sizes: list[str]) -> list:
    """The lines of the table for a layer, one per shape."""
    lines = []
    for size, times in zip(sizes, results, strict=True):
        shape = " × ".join(map(str, CASES[name].shapes[SIZES.index(size)]))
        cells = []
        for mode in MODES:
            base = times[mode].get("torch")
            cells += [ratio_cell(times[mode].get(e), base, e == "torch") for e in engines]
        lines.append(f"| {name} | {shape} | {' | '.join(cells)} |")
    return lines


def select(patterns: list[str]) -> list[str]:
    """The layers that the patterns name: whole names, or else all that hold them."""
    names: list[str] = []
    for pattern in patterns:
        found = [name for name in CASES if name == pattern]
        found = found or [name for name in CASES if re.search(pattern, name)]
        if not found:
            raise SystemExit(f"no layer matches {pattern!r}; there are {', '.join(CASES)}")
        names += [name for name in found if name not in names]
    return names or list(CASES)


def main() -> None:
    """Measure and print; in a process for one layer, print a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("layers", nargs="*", help="names or regular expressions; default: all")
    parser.add_argument("--engines", default=",".join(TITLES), help="comma-separated")
    parser.add_argument("--sizes", default="typical", help="small, typical or both, by a comma")
    parser.add_argument("--seconds", type=float, default=0.25, help="for each figure")
    parser.add_argument("--here", help="measure this one layer in this process")
    options = parser.parse_args()
    engines = chosen(options.engines, TITLES, "engines")
    sizes = chosen(options.sizes, SIZES, "sizes")
    if options.here:
        os.environ["KERAS_BACKEND"] = "torch"
        torch.set_num_threads(1)
        print(json.dumps(measure(options.here, engines, options.seconds, sizes)))
        return
    engines = installed(engines)
    titles = [f"{TITLES[engine]}, {mode}" for mode in MODES for engine in engines]
    print(*heading(["layer", "input"], titles), sep="\n")
    for name in select(options.layers):
        arguments = ["-m", "benchmarks.layers", f"--here={name}"]
        arguments += [f"--engines={','.join(engines)}", f"--sizes={options.sizes}"]
        arguments.append(f"--seconds={options.seconds}")
        results = json.loads(run_process(arguments, 1).splitlines()[-1])
        print(*rows(name, results, engines, sizes), sep="\n", flush=True)


if __name__ == "__main__":
    main()
