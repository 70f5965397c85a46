"""Runs the scripts beside it, each in a job of several processes: `python launch.py FOLDER`.

The processes are forked from this one, which has imported torch once for all of them. Each goes
through `torchkeras run` under the environment variables of `torchrun`.
"""

import contextlib
import json
import os
import signal
import socket
import sys
from pathlib import Path

from torchkeras import callbacks, layers, losses, metrics, optimizers  # noqa: F401 - before forking
from torchkeras.cli import main


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
    statuses["resumed"] = wait(start(2, here / "resumed.py", folder / "resumed"))
    statuses["sharded"] = wait(start(2, here / "sharded.py", folder / "sharded"))
    started = start(2, here / "faults.py", folder / "faults", TORCHKERAS_TIMEOUT_S="3")
    statuses["faults"] = wait(started[:1])
    os.kill(started[1], signal.SIGKILL)  # as `torchrun` does with the one that hangs
    wait(started[1:])
    (folder / "statuses.json").write_text(json.dumps(statuses))
