"""Runs the scripts beside it, each in a job of several processes: `python launch.py FOLDER`.

The processes are forked from this one, which imports for all of them what they would import one by
one. Each goes through `torchkeras run` under the environment variables of `torchrun`.
"""

import contextlib
import json
import math
import os
import signal
import socket
import sys
from pathlib import Path

import h5py  # noqa: F401
import torch._dynamo  # noqa: F401
import torch.distributed.checkpoint  # noqa: F401

from torchkeras import callbacks, layers, losses, metrics, optimizers  # noqa: F401
from torchkeras.cli import main
from torchkeras.distribution import fully_sharded, model_parallel  # noqa: F401

# How models of `parts.py` are cut, alone not at all, and the cases that show something then.
ALL, FEW = "blocks files own_loss mixed", "blocks files"
PARTS = {"alone1": ALL, "fully2": ALL, "fully4": "blocks", "1x2": FEW, "2x1": "blocks"}
PARTS["2x2"] = "blocks"


def free_port():
    """A port that nobody listens on."""
    with contextlib.closing(socket.socket()) as found:
        found.bind(("localhost", 0))
        return found.getsockname()[1]


def start(size, script, folder, **environment):
    """Fork the processes of a job, and return their numbers."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    port, started = free_port(), []
    for rank in range(size):
        number = os.fork()
        if number:
            started.append(number)
            continue
        os.environ.update(
            RANK=str(rank),
            LOCAL_RANK=str(rank),
            WORLD_SIZE=str(size),
            LOCAL_WORLD_SIZE=str(size),
            MASTER_ADDR="localhost",
            MASTER_PORT=str(port),
            **environment,
        )
        for stream, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(folder / f"{name}_{rank}", os.O_WRONLY | os.O_CREAT), stream)
        status = 1
        try:
            status = main(["run", str(script), str(folder)])
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    return started


def wait(started):
    """Return the exit statuses of processes."""
    return [os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]) for number in started]


if __name__ == "__main__":
    here, folder = Path(__file__).parent, Path(sys.argv[1])
    statuses = {}
    for size in (1, 2, 4):
        statuses[size] = wait(start(size, here / "worker.py", folder / str(size)))
    for cut, names in PARTS.items():
        size = math.prod(map(int, cut.split("x"))) if "x" in cut else int(cut[-1])
        options = {"NAMES": names} | ({} if size == 1 else {"CUT": cut})
        statuses[cut] = wait(start(size, here / "parts.py", folder / cut, **options))
    workers = int(os.environ["TORCHKERAS_TEST_WORKERS"])
    statuses["resumed"] = wait(start(workers, here / "resumed.py", folder / "resumed"))
    statuses["resumed_parts"] = wait(
        start(2, here / "resumed.py", folder / "resumed_parts", CUT="fully")
    )
    # One of them dies; then both are started again, as `torchrun` does it.
    options = {"CUT": "fully", "TORCHELASTIC_RESTART_COUNT": "0"}
    died = wait(start(2, here / "resumed.py", folder / "killed_parts", **options))
    options["TORCHELASTIC_RESTART_COUNT"] = "1"
    again = wait(start(2, here / "resumed.py", folder / "killed_parts", **options))
    statuses["killed_parts"] = [died[1] + signal.SIGKILL, *again]
    started = start(2, here / "faults.py", folder / "faults", TORCHKERAS_TIMEOUT_S="3")
    statuses["faults"] = wait(started[:1])
    os.kill(started[1], signal.SIGKILL)  # as `torchrun` does with the one that hangs
    wait(started[1:])
    (folder / "statuses.json").write_text(json.dumps(statuses))
