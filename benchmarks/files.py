"""Time saving and loading a model in each format beside the same bytes alone; print a table.

`python -m benchmarks.files` takes a model of 1 GB, five rounds, a folder for temporary files, and
some minutes; `--mb 100 --rounds 1` is quick. What is compared with: the arrays written and read by
h5py, or by the safetensors library, with nothing else in the file. Writing ends with fsync in both,
as saving here does, and is of a file that was not there: saving never writes over an old one, so
that both need as many new pages. Reading is of a file that the system has in memory. Each step runs
in a process of its own; rounds of both sides alternate, and the shortest time counts. "Peak" is the
memory that a process took at most beyond what it had before the step, in sizes of the model; it
counts the model that a load returns, but not pages of a mapped file, which the system can drop at
any time.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from typing import Any

from .harness import heading, run_process

__all__ = ["main", "measure"]

FORMATS = ("keras", "weights.h5", "h5", "safetensors")
SIDES = ("alone", "torchkeras")
STEPS = ("save", "load")


def build(megabytes: int) -> Any:
    """A model of some large layers and some small ones."""
    import torchkeras as keras

    width = max(8, round((megabytes * 1e6 / 4 / 8) ** 0.5))
    layers = [keras.Input((width,))]
    for _ in range(8):
        layers += [keras.layers.Dense(width), keras.layers.LayerNormalization()]
    return keras.Sequential(layers)


def memory(key: str) -> int:
    """Bytes of memory that belong to this process alone; 0 where one cannot tell."""
    try:
        with open("/proc/self/status") as file:
            fields = dict(line.split(":", 1) for line in file)
    except OSError:
        return 0
    return int(fields[key].split()[0]) << 10


class Peak:
    """Watches a step's memory from another thread."""

    def __enter__(self) -> Peak:
        import threading

        self.before = self.most = memory("RssAnon")
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self) -> None:
        """Look every few milliseconds."""
        while not self.ended.wait(0.003):
            self.most = max(self.most, memory("RssAnon"))

    def __exit__(self, *exception: object) -> None:
        self.ended.set()
        self.thread.join()
        self.most = max(self.most, memory("RssAnon"))

    @property
    def extra(self) -> int:
        """Bytes beyond those before the step."""
        return self.most - self.before


def alone(kind: str, step: str, path: str, model: Any) -> Any:
    """Write or read the arrays of a model with a library for files only."""
    import h5py
    import safetensors.torch

    tensors = {f"w{i}": weight.detach().contiguous() for i, weight in enumerate(model.weights)}
    if kind == "safetensors" and step == "save":
        safetensors.torch.save_file(tensors, path)
        with open(path, "rb") as file:
            os.fsync(file.fileno())
    elif kind == "safetensors":
        # Into new memory, as a model that is built has its own.
        with safetensors.safe_open(path, "pt") as file:
            return [file.get_tensor(name).clone() for name in tensors]
    elif step == "save":
        with open(path, "w+b") as file:
            with h5py.File(file, "w") as handle:
                for name, tensor in tensors.items():
                    handle.create_dataset(name, data=tensor.numpy())
            file.flush()
            os.fsync(file.fileno())
    else:
        with h5py.File(path, "r") as handle:
            if kind != "weights.h5":
                return [handle[name][()] for name in tensors]
            for name, tensor in tensors.items():  # into memory that is there
                handle[name].read_direct(tensor.numpy())
    return None


def ours(kind: str, step: str, path: str, model: Any) -> Any:
    """Save or load as a user does."""
    import torchkeras as keras

    if kind == "weights.h5":
        (model.save_weights if step == "save" else model.load_weights)(path)
        return model
    return model.save(path) if step == "save" else keras.saving.load_model(path)


def measure(side: str, kind: str, step: str, path: str, megabytes: int) -> tuple[float, int]:
    """Carry out one step once; return seconds and bytes of extra memory."""
    import logging

    import torchkeras  # noqa: F401 - not part of the step

    logging.disable()
    # Where a load returns a new model, another one only says how many arrays there are.
    is_new = step == "load" and kind != "weights.h5"
    model = build(1 if is_new else megabytes)
    warm = path + ".warm"  # imports what the step does
    ours(kind, "save", f"{warm}.{kind}", build(1))
    ours(kind, "load", f"{warm}.{kind}", build(1))
    if step == "save" and os.path.exists(path):
        os.remove(path)
    with Peak() as peak:
        start = time.perf_counter()
        result = (ours if side == "torchkeras" else alone)(kind, step, path, model)
        seconds = time.perf_counter() - start
    del result
    return seconds, peak.extra


def table(megabytes: int, rounds: int, kinds: list[str]) -> list[str]:
    """Measure everything; return the lines of a table."""
    columns = ["alone", "torchkeras", "times", "peak alone", "peak"]
    lines = heading(["format", "step"], columns)
    size = megabytes * 1e6
    for kind in kinds:
        with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
            for step in STEPS:
                found: dict[str, list[tuple[float, int]]] = {side: [] for side in SIDES}
                for _ in range(rounds):
                    for side in SIDES:
                        path = os.path.join(folder, f"{side}.{kind}")
                        command = ["--one", side, kind, step, path, str(megabytes)]
                        output = run_process(["-m", "benchmarks.files", *command], 1)
                        found[side].append(tuple(json.loads(output.splitlines()[-1])))
                seconds = {side: min(time for time, _ in found[side]) for side in SIDES}
                extra = {side: max(peak for _, peak in found[side]) / size for side in SIDES}
                cells = [f"{seconds[side]:.2f} s" for side in SIDES]
                cells.append(f"{seconds['torchkeras'] / seconds['alone']:.2f}")
                cells += [f"{extra[side]:.2f}" for side in SIDES]
                lines.append(f"| .{kind} | {step} | {' | '.join(cells)} |")
                print(lines[-1], file=sys.stderr)
    return lines


def main(argv: list[str] | None = None) -> None:
    """Carry out a command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mb", type=int, default=1000, help="size of the model")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--formats", default=",".join(FORMATS))
    parser.add_argument("--one", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.one:
        side, kind, step, path, megabytes = options.one
        print(json.dumps(measure(side, kind, step, path, int(megabytes))))
        return
    print("\n".join(table(options.mb, options.rounds, options.formats.split(","))))


if __name__ == "__main__":
    main()
