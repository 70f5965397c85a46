"""Time eager calls of common `keras.ops` beside the torch calls they make; print a Markdown table.

`python -m benchmarks.ops` takes about half a minute. On tensors this small a call's time is what it
costs in Python and in dispatch. Rounds go through all engines in turn, the shortest round counts,
and `over torch` is what torchkeras adds to the torch calls of a careful user.
"""

from __future__ import annotations

import argparse
import importlib
import os
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from .harness import TITLES, chosen, heading, installed

__all__ = ["OPS", "main", "measure"]

Call = Callable[[], Any]

X, Y = torch.rand(4, 8), torch.rand(4, 8)
SQUARE = torch.rand(8, 8)
IMAGES = torch.rand(1, 8, 8, 4)
INDICES = torch.tensor([2, 0, 1])
MASK = X > 0.5

# By name: the call of `keras.ops`, and the same in torch.
OPS: dict[str, tuple[Callable[[Any], Any], Call]] = {
    "add": (lambda ops: ops.add(X, Y), lambda: torch.add(X, Y)),
    "add (a number)": (lambda ops: ops.add(X, 1.0), lambda: torch.add(X, 1.0)),
    "multiply": (lambda ops: ops.multiply(X, Y), lambda: torch.mul(X, Y)),
    "divide": (lambda ops: ops.divide(X, Y), lambda: torch.div(X, Y)),
    "power (a number)": (lambda ops: ops.power(X, 2.0), lambda: torch.pow(X, 2.0)),
    "maximum (a number)": (
        lambda ops: ops.maximum(X, 0.5),
        lambda: torch.maximum(X, torch.full((), 0.5)),
    ),
    "equal": (lambda ops: ops.equal(X, Y), lambda: torch.eq(X, Y)),
    "matmul": (lambda ops: ops.matmul(X, SQUARE), lambda: torch.matmul(X, SQUARE)),
    "einsum": (
        lambda ops: ops.einsum("ij,jk->ik", X, SQUARE),
        lambda: torch.einsum("ij,jk->ik", X, SQUARE),
    ),
    "exp": (lambda ops: ops.exp(X), lambda: torch.exp(X)),
    "sqrt": (lambda ops: ops.sqrt(X), lambda: torch.sqrt(X)),
    "square": (lambda ops: ops.square(X), lambda: torch.square(X)),
    "clip": (lambda ops: ops.clip(X, 0.2, 0.8), lambda: torch.clamp(X, 0.2, 0.8)),
    "relu": (lambda ops: ops.relu(X), lambda: F.relu(X)),
    "gelu": (lambda ops: ops.gelu(X), lambda: F.gelu(X, approximate="tanh")),
    "softmax": (lambda ops: ops.softmax(X), lambda: torch.softmax(X, -1)),
    "normalize": (lambda ops: ops.normalize(X), lambda: F.normalize(X, dim=-1, eps=1e-12)),
    "sum": (lambda ops: ops.sum(X, axis=-1), lambda: torch.sum(X, -1)),
    "mean (keepdims)": (
        lambda ops: ops.mean(X, axis=-1, keepdims=True),
        lambda: torch.mean(X, -1, keepdim=True),
    ),
    "max": (lambda ops: ops.max(X, axis=-1), lambda: torch.amax(X, -1)),
    "argmax": (
        lambda ops: ops.argmax(X, axis=-1),
        lambda: torch.argmax(X, -1).to(torch.int32),
    ),
    "cumsum": (lambda ops: ops.cumsum(X, axis=-1), lambda: torch.cumsum(X, -1)),
    "reshape": (lambda ops: ops.reshape(X, (8, -1)), lambda: torch.reshape(X, (8, -1))),
    "transpose": (lambda ops: ops.transpose(X, (1, 0)), lambda: torch.permute(X, (1, 0))),
    "expand_dims": (lambda ops: ops.expand_dims(X, -1), lambda: torch.unsqueeze(X, -1)),
    "concatenate": (
        lambda ops: ops.concatenate([X, Y], axis=-1),
        lambda: torch.cat([X, Y], -1),
    ),
    "stack": (lambda ops: ops.stack([X, Y]), lambda: torch.stack([X, Y])),
    "split": (lambda ops: ops.split(X, 2, axis=-1), lambda: torch.chunk(X, 2, -1)),
    "repeat": (lambda ops: ops.repeat(X, 2, axis=0), lambda: torch.repeat_interleave(X, 2, 0)),
    "pad": (lambda ops: ops.pad(X, ((1, 1), (0, 0))), lambda: F.pad(X, (0, 0, 1, 1))),
    "take": (
        lambda ops: ops.take(X, INDICES, axis=0),
        lambda: F.embedding(torch.where(INDICES < 0, INDICES + 4, INDICES), X),
    ),
    "where": (lambda ops: ops.where(MASK, X, Y), lambda: torch.where(MASK, X, Y)),
    "cast": (lambda ops: ops.cast(X, "float16"), lambda: X.to(torch.float16)),
    "one_hot": (
        lambda ops: ops.one_hot(INDICES, 4),
        lambda: torch.eq(INDICES.unsqueeze(-1), torch.arange(4)).to(torch.float32),
    ),
    "zeros_like": (lambda ops: ops.zeros_like(X), lambda: torch.zeros_like(X)),
    "shape": (lambda ops: ops.shape(X), lambda: tuple(X.shape)),
    "max_pool": (
        lambda ops: ops.max_pool(IMAGES, 2, data_format="channels_last"),
        lambda: F.max_pool2d(IMAGES.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1),
    ),
}


def measure(calls: dict[str, Call], rounds: int, repeats: int) -> dict[str, float]:
    """Time one of each of the calls, in microseconds: the shortest of `rounds`, taken in turn."""
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            for _ in range(repeats):
                call()
            best[name] = min(best[name], 1e6 * (time.perf_counter() - start) / repeats)
    return best


def main() -> None:
    """Measure what the command line names and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ops", default=",".join(OPS), help="comma-separated")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=50, help="calls in a round")
    options = parser.parse_args()
    torch.set_num_threads(1)
    os.environ["KERAS_BACKEND"] = "torch"
    engines = installed(["torchkeras", "keras"])
    modules = {engine: importlib.import_module(engine).ops for engine in engines}
    titles = [TITLES[engine] for engine in ("torch", *engines)]
    print("\n".join(heading(["op"], [*titles, "over torch"])))
    for name in chosen(options.ops, OPS, "ops"):
        ours, theirs = OPS[name]
        calls = {"torch": theirs}
        for engine, ops in modules.items():
            calls[engine] = lambda ops=ops, ours=ours: ours(ops)
        times = measure(calls, options.rounds, options.repeats)
        over = times["torchkeras"] - times["torch"]
        cells = " | ".join(f"{time:.1f} µs" for time in times.values())
        print(f"| {name} | {cells} | {over:.1f} µs |", flush=True)


if __name__ == "__main__":
    main()
