"""Run parts of programs on Keras or torchkeras, each in a process forked after the imports.

`Engine("keras")` and `Engine("torchkeras")` each start this file as a server. A job is a line of
JSON, `{"source", "folder", "seconds"}`; the answer is a `Transcript` as JSON. The child runs the
source as `__main__` in the folder, its output is caught, and so is the exception that ends it.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

__all__ = ["ENGINES", "Engine", "Failure", "Transcript"]

ENGINES = ("keras", "torchkeras")
_ROOT = Path(__file__).resolve().parents[2]
# Loaded before the forks, since nearly every program would load them after it. Keras imports
# TensorFlow when it first meets an array or a file.
_WARM = (
    "keras keras.activations keras.callbacks keras.constraints keras.dtype_policies"
    " keras.initializers keras.layers keras.losses keras.metrics keras.models keras.ops"
    " keras.optimizers keras.random keras.regularizers keras.saving keras.utils"
    " h5py numpy.random tensorflow torch._dynamo torch.utils.data"
).split()


@dataclass(frozen=True)
class Failure:
    """The exception that ended a part.

    Args:
        kinds: The names of its class and of that one's bases.
        message: Its text.
        line: The line of the program in which it was raised, counted from one.
        where: The innermost frame, for reports.
    """

    kinds: tuple[str, ...]
    message: str
    line: int
    where: str


@dataclass(frozen=True)
class Transcript:
    """What a part printed, and how it ended.

    Args:
        output: Its standard output.
        failure: The exception, if one ended it.
        status: The exit status of its process, negative for a signal.
    """

    output: str
    failure: Failure | None = None
    status: int = 0

    @classmethod
    def from_json(cls, text: str) -> Transcript:
        """Rebuild what `json.dumps(asdict(transcript))` wrote."""
        values = json.loads(text)
        failure = values.pop("failure")
        if failure is not None:
            failure = Failure(**{**failure, "kinds": tuple(failure["kinds"])})
        return cls(failure=failure, **values)


class Engine:
    """The serving process of one library.

    Args:
        name: Of `ENGINES`.
        preload: Further modules to import before the forks.
        root: The folder to import torchkeras from.
    """

    def __init__(self, name: str, preload: tuple[str, ...] = (), root: Path = _ROOT) -> None:
        environment = {
            **os.environ,
            "KERAS_BACKEND": "torch",
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": str(root),
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "TF_ENABLE_ONEDNN_OPTS": "0",
            "COLUMNS": "100",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", __file__, name, *preload],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )

    def run(self, source: str, folder: Path, seconds: int = 60) -> Transcript:
        """Run a part in a folder, for at most so many seconds."""
        job = {"source": source, "folder": str(folder), "seconds": seconds}
        print(json.dumps(job), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"The server of programs ended: {self._process.args}")
        return Transcript.from_json(answer)

    def close(self) -> None:
        """Let the process end."""
        self._process.communicate()


def _load(name: str, preload: list[str]) -> None:
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    if name == "torchkeras":
        importlib.import_module("torchkeras.dropin").install()
    for module in (*_WARM, *preload):
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # what is there before the forks stays shared between them


def _execute(source: str) -> Failure | None:
    main = type(sys)("__main__")
    main.__file__ = "program.py"
    sys.modules["__main__"] = main
    try:
        exec(compile(source, "program.py", "exec"), main.__dict__)
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == "program.py"]
        kinds = tuple(cls.__name__ for cls in type(error).__mro__ if cls is not object)
        where = f"{frames[-1].filename}:{frames[-1].lineno}"
        line = getattr(error, "lineno", None) if isinstance(error, SyntaxError) else None
        return Failure(kinds, str(error), lines[0] if lines else line or 0, where)
    return None


def _run_child(job: dict[str, Any], outcome: str, output: str) -> None:
    signal.alarm(job["seconds"])
    for descriptor, path in ((1, output), (2, os.devnull)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    os.chdir(job["folder"])
    failure = _execute(job["source"])
    sys.stdout.flush()
    if failure is not None:
        Path(outcome).write_text(json.dumps(asdict(failure)))
    os._exit(0)


def _serve(answers: TextIO) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        outcome, output = os.path.join(scratch, "outcome"), os.path.join(scratch, "output")
        for line in sys.stdin:
            job = json.loads(line)
            Path(outcome).unlink(missing_ok=True)
            child = os.fork()
            if child == 0:
                os.close(answers.fileno())  # what a program writes there is no answer
                try:
                    _run_child(job, outcome, output)
                finally:
                    os._exit(70)  # what the child itself could not report
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            failure = None
            if os.path.exists(outcome):
                failure = json.loads(Path(outcome).read_text())
            text = Path(output).read_text(errors="replace") if os.path.exists(output) else ""
            answer = {"output": text, "failure": failure, "status": status}
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    sys.path.pop(0)  # the folder of this file is no place to import from
    answers = os.fdopen(os.dup(1), "w")  # where nothing that is imported prints
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    _load(sys.argv[1], sys.argv[2:])
    _serve(answers)
