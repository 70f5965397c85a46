"""Compare hand-written PyTorch, torchkeras and Keras on each of its backends, in Markdown tables.

`python -m benchmarks.run` measures everything (about half an hour), `--quick` the same roughly;
see `--help` for a choice.
Every figure comes from a fresh process. Rounds go through all models and engines in turn, so that
a slow spell of the machine meets all of them; the best of the rounds counts. One torch thread
unless `--threads` says otherwise. An engine that is not installed is left out.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from .data import CASES
from .harness import ALL_TITLES, FRAMEWORKS, chosen, heading, installed, run_process

__all__ = ["main"]

# The second figure counts what is loaded on first use as well.
IMPORT_TIME = """
import time, {0}
start = time.perf_counter()
import {1}
print(time.perf_counter() - start)
{2}
print(time.perf_counter() - start)
"""
ENGINES = ("-m", "benchmarks.engines")
FIELDS = {
    "fit": "fit_us",
    "evaluate": "evaluate_us",
    "predict": "predict_us",
    "predict, of one batch alone": "small_us",
}
FIRST_MODEL = "{0}.Sequential([{0}.Input((4,)), {0}.layers.Dense(1)])"

Results = dict[tuple[str, str], dict[str, Any]]


def keep_best(results: Results, key: tuple[str, str], new: dict[str, Any]) -> None:
    """Merge `new` into `results[key]`: of two times the shorter one, of anything else the newer."""
    old = results.get(key, {})
    times = {k: min(v, old.get(k, v)) for k, v in new.items() if k.endswith(("_us", "_s"))}
    results[key] = {**new, **times}


def collect(options: argparse.Namespace) -> Results:
    """Run all rounds."""
    results: Results = {}
    for round_number in range(1, options.rounds + 1):
        for model in options.models:
            for engine in options.engines:
                print(f"round {round_number}: {model}, {engine}", file=sys.stderr, flush=True)
                arguments = [*ENGINES, engine, model, f"--threads={options.threads}"]
                arguments += [f"--scale={options.scale}", f"--repeats={options.repeats}"]
                threads, framework = options.threads, FRAMEWORKS[engine]
                output = run_process(arguments, threads, framework, one_core=threads == 1)
                keep_best(results, (model, engine), json.loads(output.splitlines()[-1]))
        for engine in options.engines:
            framework, module = FRAMEWORKS[engine], engine.partition("-")[0]
            arguments = [*ENGINES, engine, "overhead", f"--repeats={options.repeats}"]
            output = run_process(arguments, 1, framework, one_core=True)
            keep_best(results, ("overhead", engine), json.loads(output.splitlines()[-1]))
            model = "torch.nn.Linear(4, 1)" if engine == "torch" else FIRST_MODEL.format(module)
            code = IMPORT_TIME.format(framework, module, model)
            seconds = run_process(["-c", code], 1, framework, one_core=True).split()[-2:]
            times = dict(zip(("import_s", "first_s"), map(float, seconds), strict=True))
            keep_best(results, ("import", engine), times)
    return results


def table(results: Results, options: argparse.Namespace, field: str) -> list[str]:
    """One Markdown table: a row per model, a column per engine, times and ratios to the first."""
    engines = options.engines
    lines = heading(["model"], ["batch", *(ALL_TITLES[engine] for engine in engines)])
    for model in options.models:
        base = results[model, engines[0]][field]
        cells = []
        for engine in engines:
            time_us = results[model, engine][field]
            ratio = "" if engine == engines[0] else f" ({time_us / base:.2f} x)"
            cells.append(f"{time_us:,.0f} µs{ratio}")
        lines.append(f"| {model} | {CASES[model].batch_size} | {' | '.join(cells)} |")
    return lines


def overheads(results: Results, options: argparse.Namespace) -> list[str]:
    """The Markdown table of layer calls and import times; of calls also ratios to the first."""
    lines = heading([""], [ALL_TITLES[engine] for engine in options.engines])
    rows = {
        "call of a layer that does nothing": ("overhead", "identity_us", "{:.1f} µs"),
        "call of Dense(8)": ("overhead", "dense_us", "{:.1f} µs"),
        "`model(x)` of the MLP, of a single row": ("overhead", "row_us", "{:.1f} µs"),
        "making a model of 200 `Dense(64)`": ("overhead", "building_s", "{:.3f} s"),
        "import, after that of the framework": ("import", "import_s", "{:.2f} s"),
        "import and a first model": ("import", "first_s", "{:.2f} s"),
    }
    for title, (key, field, form) in rows.items():
        base = results[key, options.engines[0]][field]
        cells = [form.format(results[key, engine][field]) for engine in options.engines]
        if field.endswith("_us"):
            ratios = [f" ({results[key, e][field] / base:.2f} x)" for e in options.engines[1:]]
            cells = [cell + ratio for cell, ratio in zip(cells, ["", *ratios], strict=True)]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return lines


def parse_options() -> argparse.Namespace:
    """Read the command line; engines that are not installed are left out."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = ",".join
    parser.add_argument("--engines", default=names(ALL_TITLES), help="comma-separated, base first")
    parser.add_argument("--models", default=names(CASES), help="comma-separated")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3, help="timed calls in each process")
    parser.add_argument("--threads", type=int, default=1, help="1 means one core, too")
    parser.add_argument("--scale", type=float, default=1.0, help="of the data; 0.1 is a quick look")
    parser.add_argument("--quick", action="store_true", help="one short round: a few minutes")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.repeats, options.scale = 1, 2, 0.1
    options.models = chosen(options.models, CASES, "models")
    options.engines = installed(chosen(options.engines, ALL_TITLES, "engines"))
    return options


def main() -> None:
    """Measure and print."""
    options = parse_options()
    results = collect(options)
    device = results[options.models[0], options.engines[0]]["device"]
    how = f"{options.threads} thread(s), best of {options.rounds} rounds"
    print(f"\nTime per batch on {device}, {how}.")
    for title, field in FIELDS.items():
        print(f"\n`{title}`:\n", *table(results, options, field), sep="\n")
    print("\nOverheads:\n", *overheads(results, options), sep="\n")


if __name__ == "__main__":
    main()
