"""The processes of `compat_tests.keras_suite`: run test files of the installed Keras on torchkeras.

`keras` means torchkeras here (`dropin.install("keras")`); only the tests and the `testing` helpers,
which the wheel ships under `keras/src`, are Keras's own. Nothing else of the package is imported.
A line of JSON per test goes to a file as soon as it is known, so that what a crash leaves counts.

What all of them import takes some seconds, more than many files' tests: one process, the server,
imports it and forks the others, at an order on its socket.
"""

from __future__ import annotations

import functools
import gc
import importlib
import importlib.util
import json
import os
import socket
import socketserver
import sys
import tempfile
import traceback
import types
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any, NoReturn, TextIO

import pytest

import torchkeras.dropin

__all__ = ["Server", "main", "source_folder"]


def source_folder() -> Path:
    """The folder `keras/src` of the installed wheel, found without importing it."""
    spec = PathFinder.find_spec("keras")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the suite needs `pip install keras`", name="keras")
    return Path(spec.origin).parent / "src"


class WheelTests(MetaPathFinder):
    """Finds Keras's tests and test helpers in the wheel."""

    def __init__(self, source: Path) -> None:
        self.source = source

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: object = None
    ) -> ModuleSpec | None:
        """Answer for `keras.src.testing` and for the test modules."""
        if not fullname.startswith("keras.src."):
            return None
        below = fullname.removeprefix("keras.src.").replace(".", "/")
        if below == "testing":
            below = "testing/__init__"
        elif not (below.startswith("testing/") or below.endswith("_test")):
            return None
        file = self.source / f"{below}.py"
        if not file.exists():
            return None
        folder = [str(file.parent)] if file.stem == "__init__" else None
        return importlib.util.spec_from_file_location(
            fullname, file, submodule_search_locations=folder
        )


class Recorder:
    """The pytest plugin that writes down what happens to each test.

    Args:
        stream: Gets the lines of JSON.
        skip: Ids not to run, since an earlier process has their results.
    """

    def __init__(self, stream: TextIO, skip: set[str]) -> None:
        self.stream = stream
        self.skip = skip
        self.worst: dict[str, str] = {}
        self.texts: dict[str, str] = {}

    def write(self, **record: object) -> None:
        """Write one line, at once."""
        print(json.dumps(record), file=self.stream, flush=True)

    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Collector:
        """Take folders as plain ones: their `__init__` are not what `keras.src` means here."""
        return pytest.Dir.from_parent(parent, path=path)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out what has been run."""
        items[:] = [item for item in items if item.nodeid not in self.skip]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a file that cannot be imported."""
        if report.failed:
            self.write(file=report.nodeid, error=str(report.longrepr)[-4000:])

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note the test that runs, in case it does not return."""
        self.write(start=nodeid)

    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """Let jax, of which tests of dtypes ask nothing else, find them without compiling."""
        if item.parent.name.endswith("DtypeTest"):
            item.obj = _traced(item.obj)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how a test went; any failed phase fails it."""
        if report.failed or (report.when == "call" and report.nodeid not in self.worst):
            self.worst[report.nodeid] = report.outcome
        elif report.skipped:
            self.worst.setdefault(report.nodeid, "skipped")
        if report.failed:
            self.texts.setdefault(report.nodeid, report.longreprtext[-6000:])
        if report.when == "teardown":
            outcome = self.worst.get(report.nodeid, "skipped")
            self.write(test=report.nodeid, outcome=outcome, text=self.texts.get(report.nodeid, ""))


def _traced(test: Callable[[], None]) -> Callable[[], None]:
    """A test whose calls of jax are only traced, but for one that needs their values."""

    @functools.wraps(test)
    def run() -> None:
        import jax

        try:
            jax.eval_shape(test)
        except Exception:
            test()

    return run


def _conftest() -> types.ModuleType:
    """The module `conftest` of Keras's repository, as far as tests import it; no wheel has it."""
    module = types.ModuleType("conftest")

    def skip_if_backend(backend: str, reason: str) -> pytest.MarkDecorator:
        return pytest.mark.skipif(backend == "torch", reason=reason)

    module.skip_if_backend = skip_if_backend
    return module


def run(out: str, skip: str, arguments: Sequence[str]) -> int:
    """Run pytest and return its exit status.

    Args:
        out: File that gets the results.
        skip: File with a JSON list of ids not to run.
        arguments: Of pytest.
    """
    with open(out, "a") as stream:
        recorder = Recorder(stream, set(json.loads(Path(skip).read_text())))
        options = ["-c", "/dev/null", f"--rootdir={source_folder()}", "-p", "no:cacheprovider"]
        options += ["-q", "-W", "ignore", "--disable-warnings", "--tb=short", "--no-header"]
        options += ["--continue-on-collection-errors"]
        return int(pytest.main([*options, *arguments], plugins=[recorder]))


class _Order(socketserver.StreamRequestHandler):
    """Forks a process that runs tests; the answer is its number, then its exit status."""

    def handle(self) -> None:
        order = json.loads(self.rfile.readline())
        child = os.fork()
        if child == 0:
            _carry_out(order)
        self._answer(child)
        self._answer(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    def _answer(self, number: int) -> None:
        self.wfile.write(b"%d\n" % number)


def _carry_out(order: dict[str, Any]) -> NoReturn:
    """Be the process of an order: a session of its own, output to a file, other folders."""
    status = 70
    try:
        os.setsid()
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.environ.update(order["environment"])
        tempfile.tempdir = None  # which is of the server's environment
        status = run(order["out"], order["skip"], order["arguments"])
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


class Server(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    """Takes orders, several at a time.

    Args:
        listener: The file descriptor of the socket, bound and listening.
    """

    def __init__(self, listener: int) -> None:
        super().__init__("", _Order, bind_and_activate=False)
        self.socket.close()
        self.socket = socket.socket(fileno=listener)


def main(listener: str, *modules: str) -> None:
    """Import what tests need, and serve until killed.

    Args:
        listener: See `Server`.
        modules: More to import, as tests of these processes do.
    """
    torchkeras.dropin.install("keras")
    sys.modules["conftest"] = _conftest()
    sys.meta_path.insert(0, WheelTests(source_folder()))
    for module in ("keras.src.testing", *modules):
        importlib.import_module(module)
    gc.freeze()
    Server(int(listener)).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
