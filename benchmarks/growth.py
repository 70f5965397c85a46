"""Measure how time grows with batch size, dataset size, depth and width; write a plot.

`python -m benchmarks.growth` writes `docs/growth.svg` and prints the figures, in some minutes and
with up to 0.7 GB of a temporary file; `--quick` leaves the largest sizes out. Each figure is the
shortest of some repeats, and both axes are logarithmic: what grows in proportion is a straight
line, of slope 1; the slope over the upper half of the sizes stands beside each line. Time per
sample should fall with the batch size until kernels outweigh Python, and not depend on the size of
the dataset, which lies in a memory-mapped `.npy` file and is shuffled. Each line has a process of
its own, in which freed memory is kept (see `harness.KEEP_MEMORY`): given back at each step, it
would make large batches ten times as slow, by page faults.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

import torchkeras as keras

from .harness import ROOT, best_of, run_process

__all__ = ["SERIES", "Series", "main", "measure", "slope"]

FEATURES = 16


class Series(NamedTuple):
    """One line of the plot.

    Attributes:
        title: What is measured.
        size: What grows.
        sizes: How far.
        seconds: Measures one size.
        expected: The slope of the line, for large sizes; `None` if it has none.
        quick: How many of the sizes `--quick` takes.
    """

    title: str
    size: str
    sizes: tuple[int, ...]
    seconds: Callable[[int], float]
    expected: float | None
    quick: int


def mlp(depth: int = 2, width: int = 32) -> Any:
    """A compiled functional model of that many hidden layers.

    Its activations keep their size: with Keras's own initial weights they halve from layer to
    layer, and from the 250th on they are denormal numbers, which are eight times as slow.
    """
    inputs = x = keras.Input((FEATURES,))
    for _ in range(depth):
        x = keras.layers.Dense(width, "relu", kernel_initializer="he_normal")(x)
    model = keras.Model(inputs, keras.layers.Dense(1)(x))
    model.compile("adam", "mse")
    return model


def batch(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch on the default device."""
    device = keras.config.default_device()
    return torch.randn(size, FEATURES, device=device), torch.randn(size, 1, device=device)


def step_s(model: Any, size: int, repeats: int = 7) -> float:
    """Seconds of a training step."""
    data = batch(size)
    model.train_on_batch(*data)
    model.train()
    train_function = model.train_function

    def step() -> None:
        train_function([data])
        if data[0].is_cuda:
            torch.cuda.synchronize()

    return best_of(step, repeats)


def sample_s_by_batch(size: int) -> float:
    """Seconds per sample of a step."""
    return step_s(mlp(), size) / size


def sample_s_by_dataset(size: int) -> float:
    """Seconds per sample of one epoch over a file that is not read into memory."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "x.npy")
        file = np.lib.format.open_memmap(path, "w+", np.float32, (size, FEATURES))
        rows = np.random.default_rng(0).standard_normal((1000, FEATURES), dtype="float32")
        for start in range(0, size, 1000):
            file[start : start + 1000] = rows[: size - start]
        file.flush()
        x = np.load(path, mmap_mode="r")
        y = np.zeros((size, 1), "float32")
        model = mlp()
        model.fit(x[:2048], y[:2048], batch_size=1024, verbose=0)

        def fit() -> None:
            model.fit(x, y, batch_size=1024, verbose=0)

        return best_of(fit, 3 if size <= 1_000_000 else 1) / size


def step_s_by_depth(depth: int) -> float:
    """Seconds of a step."""
    return step_s(mlp(depth), 32)


def build_s_by_depth(depth: int) -> float:
    """Seconds to build and lower a model."""

    return best_of(lambda: mlp(depth), 3)


def step_s_by_width(width: int) -> float:
    """Seconds of a step."""
    return step_s(mlp(2, width), 256)


SERIES = {
    "batch": Series(
        "time per sample, training step",
        "batch size",
        tuple(2**n for n in range(0, 17, 2)),
        sample_s_by_batch,
        None,
        6,
    ),
    "dataset": Series(
        "time per sample, an epoch",
        "rows of a memory-mapped file",
        (10_000, 100_000, 1_000_000, 10_000_000),
        sample_s_by_dataset,
        0.0,
        2,
    ),
    "depth": Series(
        "time of a training step",
        "layers",
        (1, 3, 10, 30, 100, 300, 1000),
        step_s_by_depth,
        1.0,
        5,
    ),
    "building": Series(
        "time to build a model",
        "layers",
        (1, 3, 10, 30, 100, 300, 1000),
        build_s_by_depth,
        1.0,
        5,
    ),
    "width": Series(
        "time of a training step",
        "width (work grows with its square)",
        tuple(2**n for n in range(4, 13)),
        step_s_by_width,
        2.0,
        5,
    ),
}


def measure(series: Series, quick: bool) -> list[float]:
    """Return the seconds of each size."""
    sizes = series.sizes[: series.quick] if quick else series.sizes
    return [series.seconds(size) for size in sizes]


def slope(sizes: list[int], seconds: list[float]) -> float:
    """The slope in a plot with logarithmic axes, over the upper half of the sizes.

    >>> slope([1, 10, 100, 1000], [5.0, 5.0, 2.0, 20.0])
    1.0
    """
    half = min(len(sizes) // 2, len(sizes) - 2)
    x, y = ([math.log(value) for value in values[half:]] for values in (sizes, seconds))
    return float(np.polyfit(x, y, 1)[0].round(2))


def draw(results: dict[str, list[float]], path: Path) -> None:
    """Write the plot."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(results), figsize=(3.4 * len(results), 3.2))
    for axis, (name, seconds) in zip(np.atleast_1d(axes), results.items(), strict=True):
        series, sizes = SERIES[name], SERIES[name].sizes[: len(seconds)]
        axis.loglog(sizes, [1e6 * s for s in seconds], "o-", color="tab:blue")
        if series.expected is not None:
            last = 1e6 * seconds[-1]
            line = [last * (size / sizes[-1]) ** series.expected for size in sizes]
            axis.loglog(sizes, line, ":", color="gray", label=f"slope {series.expected:g}")
            axis.legend(frameon=False)
        axis.set(title=series.title, xlabel=series.size, ylabel="µs")
        axis.grid(True, alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    pyplot.close(figure)


def main(argv: list[str] | None = None) -> None:
    """Carry out a command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("series", nargs="*", default=list(SERIES), help=", ".join(SERIES))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "growth.svg")
    parser.add_argument("--here", help="measure this one in this process, and print JSON")
    options = parser.parse_args(argv)
    if options.here:
        torch.set_num_threads(options.threads)
        print(json.dumps(measure(SERIES[options.here], options.quick)))
        return
    results = {}
    for name in options.series:
        start = time.perf_counter()
        arguments = ["-m", "benchmarks.growth", f"--here={name}", f"--threads={options.threads}"]
        output = run_process([*arguments, *["--quick"] * options.quick], options.threads)
        series, seconds = SERIES[name], json.loads(output.splitlines()[-1])
        results[name] = seconds
        sizes = series.sizes[: len(seconds)]
        print(f"{series.title}, by {series.size}: slope {slope(list(sizes), seconds):g}")
        for size, value in zip(sizes, seconds, strict=True):
            print(f"  {size:>10,}  {1e6 * value:>14,.2f} µs")
        print(f"  ({time.perf_counter() - start:.0f} s)", flush=True)
    draw(results, options.out)


if __name__ == "__main__":
    main()
