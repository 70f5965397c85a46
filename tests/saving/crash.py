"""Savers that are killed, run out of disk or run at once: the file is one whole version, always.

`python -m tests.saving.crash --kills 300` kills a saving process with SIGKILL at so many random
moments in each format, loads what is there each time, and prints what came of it. The moments are
drawn from the time that one save takes, so that all steps of it are met.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from typing import IO, Any

import torchkeras as keras
from torchkeras.saving import load_model

__all__ = ["NAMES", "kill_savers", "main"]

# Where a save is one step.
WHOLE = ("m.keras", "m.h5", "m.safetensors", "m.weights.h5", "m.weights.json")
# An archive whose weights count as large; a folder, whose files are whole each by itself.
NAMES = (*WHOLE, "in_place.keras", "folder")
LEFTOVERS = 6  # of one killed save: the temporary file of each part

SERVER = """
import os, sys, logging
logging.disable()
import torchkeras as keras
from tests.saving.crash import build, save
from torchkeras.saving import budget
model = build()
for name in sys.stdin:
    pid = os.fork()
    if pid == 0:
        version = os.getpid() * 1000 % 1_000_000
        if "in_place" in name:
            budget._IN_MEMORY = 16
        while True:
            version += 1
            for weight in model.weights:
                weight.assign(weight * 0 + version)
            save(model, name.strip())
    print(pid, flush=True)
    os.waitpid(pid, 0)
    print("dead", flush=True)
"""


def build() -> Any:
    """A model of some 100 kB, so that a save takes several writes."""
    L = keras.layers
    model = keras.Sequential([L.Input((64,)), L.Dense(256), L.Dense(32)])
    model.compile("sgd", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def save(model: Any, path: str) -> None:
    """Save in the format that the name stands for."""
    if path.endswith("folder"):
        model.save(path, zipped=False)
    elif ".weights." in path:
        # In three files, where there may be several.
        model.save_weights(path, **({"max_shard_size": 7e-5} if path.endswith(".json") else {}))
    else:
        model.save(path)


def versions(path: str) -> set[float]:
    """Load a file; return the values of all weights."""
    if ".weights." in path:
        model = build()
        model.load_weights(path)
    else:
        model = load_model(path)
    return {float(value) for w in model.get_weights() for value in (w.min(), w.max())}


class Server:
    """A process that has imported everything; its forks save until they are killed."""

    def __enter__(self) -> Server:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        root = str(pathlib.Path(__file__).parents[2])
        environment["PYTHONPATH"] = os.pathsep.join([root, environment.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.stdin: IO[str] = self.process.stdin
        self.stdout: IO[str] = self.process.stdout
        return self

    def __exit__(self, *exception: object) -> None:
        self.stdin.close()
        self.process.wait()
        self.stdout.close()

    def kill_after(self, path: str, seconds: float) -> None:
        """Let a fork save to a path, and kill it after some time."""
        print(path, file=self.stdin, flush=True)
        pid = int(self.stdout.readline())
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
        if self.stdout.readline() != "dead\n":
            raise RuntimeError("the server of savers failed")


def kill_savers(server: Server, folder: str, name: str, kills: int, draw: random.Random) -> dict:
    """Kill savers of one format, and look at the file each time.

    Returns: How many loads there were, of how many versions, and the most leftovers.

    Raises:
        AssertionError: A file was missing, a mixture, or unreadable.
    """
    path = os.path.join(folder, name)
    model = build()
    for weight in model.weights:
        weight.assign(weight * 0)
    save(model, path)  # the first one loads modules
    start = time.perf_counter()
    save(model, path)
    takes = time.perf_counter() - start
    whole = set(os.listdir(folder))
    seen: set[frozenset[float]] = set()
    most = 0
    for _ in range(kills):
        server.kill_after(path, draw.uniform(0.0, 0.05 + 6 * takes))
        found = versions(path)
        assert name == "folder" or len(found) == 1, f"{path} is a mixture: {found}"
        seen.add(frozenset(found))
        extra = len(set(os.listdir(folder))) - len(whole)
        most = max(most, extra)
        assert extra <= LEFTOVERS, os.listdir(folder)
    save(model, path)
    left = len(os.listdir(folder)) - len(whole)
    assert left == 0, f"the next save left {os.listdir(folder)}"
    assert versions(path) == {0.0}
    return {"loads": kills, "versions": len(seen), "leftovers": most}


def main(argv: list[str] | None = None) -> int:
    """Carry out a command line; return its status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=300, help="in each format")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    print(f"{'format':15} {'kills':>6} {'versions':>9} {'leftovers':>10} {'seconds':>8}")
    with Server() as server, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in NAMES:
            with tempfile.TemporaryDirectory() as folder:
                start, draw = time.monotonic(), random.Random(options.seed)
                found = kill_savers(server, folder, name, options.kills, draw)
            took = time.monotonic() - start
            print(
                f"{name:15} {found['loads']:6} {found['versions']:9} {found['leftovers']:10}"
                f" {took:8.0f}",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
