"""How training scales over the processes of one machine: `python -m benchmarks.scaling`.

Each row is one model, trained by `fit` in one process and in several, with the same batches: the
time of a step, and how much faster several are. Beside it the same model in hand-written PyTorch
under `DistributedDataParallel`. Every process has one torch thread, so N processes need N cores.
Rounds go through all jobs in turn; the best of the rounds counts.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from torchkeras import Input, Sequential, layers
from torchkeras.distribution.processes import JOB
from torchkeras.distribution.strategy import join_as_replicas

__all__ = ["main"]

# Rows of a batch, and batches of an epoch.
SIZES = {"mlp": (512, 20), "cnn": (128, 8)}


def keras_model(name: str) -> Any:
    """Return one of the models."""
    if name == "mlp":
        widths = [layers.Dense(512, activation="relu") for _ in range(4)]
        return Sequential([Input((256,)), *widths, layers.Dense(10)])
    blocks: list[Any] = []
    for width in (32, 64, 128):
        blocks += [
            layers.Conv2D(width, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
        ]
    return Sequential([Input((32, 32, 3)), *blocks, layers.Flatten(), layers.Dense(10)])


def torch_model(name: str) -> nn.Module:
    """Return the same in plain PyTorch."""
    parts: list[nn.Module] = []
    if name == "mlp":
        for inputs in (256, 512, 512, 512):
            parts += [nn.Linear(inputs, 512), nn.ReLU()]
        return nn.Sequential(*parts, nn.Linear(512, 10))
    for inputs, width in ((3, 32), (32, 64), (64, 128)):
        parts += [nn.Conv2d(inputs, width, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2)]
    model = nn.Sequential(*parts, nn.Flatten(), nn.Linear(2048, 10))
    return model.to(memory_format=torch.channels_last)


def epoch_of_fit(name: str, x: torch.Tensor, y: torch.Tensor, size: int) -> Callable[[], Any]:
    """Return what trains for one epoch by `fit`."""
    model = keras_model(name)
    if x.ndim == 4:
        x = x.permute(0, 2, 3, 1).contiguous()
    model.compile("adam", nn.CrossEntropyLoss())
    return lambda: model.fit(x, y, size, verbose=0)


def epoch_of_torch(name: str, x: torch.Tensor, y: torch.Tensor, size: int) -> Callable[[], Any]:
    """Return what trains for one epoch in a loop of PyTorch's, each process on its rows."""
    model: Any = torch_model(name)
    rank, world = 0, 1
    if JOB.processes is not None:
        rank, world = JOB.processes.rank, JOB.processes.size
        model = DistributedDataParallel(model, gradient_as_bucket_view=True)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)

    def epoch() -> None:
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
        for batch in order.split(size):
            rows = batch.chunk(world)[rank]
            loss = F.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return epoch


def work(engine: str, name: str) -> None:
    """Be one process: print the best time of a step, in milliseconds."""
    torch.set_num_threads(1)
    if int(os.environ["WORLD_SIZE"]) > 1:
        join_as_replicas()
    rows, batches = SIZES[name]
    shape = (256,) if name == "mlp" else (3, 32, 32)
    x, y = torch.randn(rows * batches, *shape), torch.randint(0, 10, (rows * batches,))
    make = epoch_of_fit if engine == "fit" else epoch_of_torch
    epoch = make(name, x, y, rows)
    epoch()
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        epoch()
        best = min(best, time.perf_counter() - start)
    if os.environ["RANK"] == "0":
        print(json.dumps(best / batches * 1e3))


def run_job(size: int, engine: str, name: str) -> float:
    """Run a job of so many processes, and return the time of a step."""
    with contextlib.closing(socket.socket()) as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    processes = []
    for rank in range(size):
        names = dict(RANK=rank, LOCAL_RANK=rank, WORLD_SIZE=size, LOCAL_WORLD_SIZE=size)
        environment = {**os.environ, **{k: str(v) for k, v in names.items()}}
        environment.update(
            MASTER_ADDR="localhost",
            MASTER_PORT=port,
            OMP_NUM_THREADS="1",
            CUDA_VISIBLE_DEVICES="",
        )
        command = [sys.executable, "-m", "benchmarks.scaling", "--work", engine, name]
        processes.append(
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        )
    printed = [process.communicate()[0] for process in processes]
    return float(json.loads(printed[0]))


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.work:
        work(*options.work)
        return
    jobs = [(n, e, m) for m in SIZES for e in ("fit", "DDP") for n in options.processes]
    best: dict[Any, float] = {}
    for _ in range(options.rounds):
        for job in jobs:
            best[job] = min(best.get(job, float("inf")), run_job(*job))
    first = options.processes[0]
    print("| Model | by | " + " | ".join(f"{n} processes" for n in options.processes) + " |")
    print("|---|---|" + "---:|" * len(options.processes))
    for name in SIZES:
        for engine in ("fit", "DDP"):
            cells = []
            for n in options.processes:
                ms = best[n, engine, name]
                gain = best[first, engine, name] / ms
                cells.append(f"{ms:.1f} ms" if n == first else f"{ms:.1f} ms ({gain:.2f} times)")
            print(f"| {name} | {engine} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
