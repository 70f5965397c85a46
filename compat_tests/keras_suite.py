"""Run Keras's own test suite, as its wheel ships it, on torchkeras.

    python -m compat_tests.keras_suite                        # all areas
    python -m compat_tests.keras_suite layers losses          # two of them
    python -m compat_tests.keras_suite layers/core/dense_test.py -k lora -v
    python -m compat_tests.keras_suite --check                # what CI does: the ratchet
    python -m compat_tests.keras_suite --update               # write the results to the ledger

Per area it prints how many of the tests that pass with real Keras on torch (the ledger's ids) pass
here. Test files run in processes of their own, a few to a process, under a time limit; a test that
kills or stalls its process fails, and the others go on in a new one. `keras_suite_worker` has the
servers that these processes are forks of.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib.metadata import version
from pathlib import Path

from . import ledger
from .keras_suite_worker import source_folder
from .ledger import Entry

__all__ = ["main", "run"]

ROOT = Path(__file__).parents[1]
# Tests a process gets, about: what it imports for them costs time, and a crash the rest of it.
SHARD = 150
ENVIRONMENT = {
    "KERAS_BACKEND": "torch",
    "OMP_NUM_THREADS": "1",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTHONHASHSEED": "0",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}

Results = dict[tuple[str, str], tuple[str, str]]  # (file, id) -> (outcome, traceback)


def _key(nodeid: str) -> tuple[str, str]:
    """Split pytest's id as the ledger does: `a_test.py::C::test` to `a_test.py` and `C.test`."""
    file, _, rest = nodeid.partition("::")
    return file, rest.replace("::", ".", 1)


def _plain(test: str) -> str:
    """An id without what differs between runs: addresses, and a stray bracket of the ledger's."""
    test = re.sub("0x[0-9a-f]+", "0x", test)
    return test[:-1] if test.endswith("]") and test.count("]") > test.count("[") else test


def _shards(weights: dict[str, int]) -> list[list[str]]:
    """Group files of one folder into shards of about `SHARD` tests, the largest first."""
    shards: list[tuple[int, list[str]]] = []
    folder, size, files = "", 0, []
    for file in sorted(weights):
        parent = file.rpartition("/")[0]
        if files and (parent != folder or size + weights[file] > SHARD):
            shards.append((size, files))
            size, files = 0, []
        folder, size = parent, size + weights[file]
        files.append(file)
    shards.append((size, files))
    return [files for _, files in sorted(shards, key=lambda shard: -shard[0]) if files]


class _Server:
    """A process that forks those of the shards.

    Args:
        folder: For its socket and settings.
        modules: What it imports beforehand, besides torchkeras.
    """

    def __init__(self, folder: str, *modules: str) -> None:
        self.address = os.path.join(folder, "socket" + "".join(modules))
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.address)
            listener.listen(64)
            place = listener.fileno()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "compat_tests.keras_suite_worker", str(place), *modules],
                cwd=ROOT,
                env={**os.environ, **ENVIRONMENT, "KERAS_HOME": folder},
                pass_fds=[place],
            )

    def run(self, order: dict[str, object], limit: float) -> int | None:
        """Run a process; return its exit status, or `None` if it was stopped after `limit` s."""
        with socket.socket(socket.AF_UNIX) as line, line.makefile("rb", buffering=0) as answers:
            try:
                line.connect(self.address)
                line.sendall(json.dumps(order).encode() + b"\n")
                process = int(answers.readline())
            except (OSError, ValueError) as error:
                died = f"the suite's server died with status {self.process.wait()}"
                raise ChildProcessError(died) from error
            in_time, _, _ = select.select([line], [], [], limit)
            if not in_time:
                os.killpg(process, signal.SIGKILL)
            status = int(answers.readline())
            return status if in_time else None


class _Servers:
    """The servers of a run, each started when it is needed first."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._lock = threading.Lock()
        self._started: dict[tuple[str, ...], _Server] = {}

    def __enter__(self) -> _Servers:
        return self

    def __exit__(self, *error: object) -> None:
        for server in self._started.values():
            server.process.kill()
            server.process.wait()
        self._folder.cleanup()

    def find(self, files: Iterable[str]) -> _Server:
        """Return the one whose imports are those of test files."""
        texts = [(source_folder() / file).read_text() for file in files]
        needed = ("tensorflow",) if any(map(_NEEDS_TENSORFLOW, texts)) else ()
        with self._lock:
            if needed not in self._started:
                self._started[needed] = _Server(self._folder.name, *needed)
            return self._started[needed]


_NEEDS_TENSORFLOW = re.compile(r"^(import|from) tensorflow\b", re.MULTILINE).search


class _Shard:
    """Files that share a process, or several one after another where tests kill it.

    Args:
        files: Relative to `keras/src`.
        options: Of pytest.
        limit: Seconds for the shard; what has not run by then fails.
    """

    def __init__(self, files: Sequence[str], options: Sequence[str], limit: float) -> None:
        self.files, self.options, self.limit = files, options, limit
        self.results: Results = {}
        self.done: set[str] = set()

    def run(self, server: _Server) -> None:
        """Run every test, in as many processes as it takes."""
        deadline = time.monotonic() + self.limit
        while not self._attempt(server, deadline):
            pass

    def _attempt(self, server: _Server, deadline: float) -> bool:
        """Run one process; tell whether nothing is left to do."""
        with tempfile.TemporaryDirectory() as folder:
            out, skip, log = (Path(folder, name) for name in ("out", "skip", "log"))
            out.touch()
            log.touch()
            skip.write_text(json.dumps(sorted(self.done)))
            source = source_folder()
            order = {
                "out": str(out),
                "skip": str(skip),
                "log": str(log),
                "arguments": [*self.options, *(str(source / file) for file in self.files)],
                "environment": {"KERAS_HOME": folder, "TMPDIR": folder},
            }
            status = server.run(order, max(deadline - time.monotonic(), 1))
            clean = status in (0, 1, 2, 5)  # pytest's own
            if status is None:
                ended = f"stopped after {self.limit:.0f} s"
            else:
                ended = f"the process died with status {status}"
            printed = log.read_text(errors="replace")[-3000:]
            running = self._read(out.read_text().splitlines())
        text = f"{ended}\n{printed}"
        if running is not None:
            self.results[_key(running)] = ("failed", text)
            self.done.add(running)
        elif not clean:
            for file in self.files:
                self.results.setdefault((file, ""), ("failed", text))
            return True
        return clean or time.monotonic() > deadline

    def _read(self, lines: Iterable[str]) -> str | None:
        """Take in a process's results; return the test that was running when it ended, if any."""
        running = None
        for line in lines:
            record = json.loads(line)
            if "start" in record:
                running = record["start"]
            elif "test" in record:
                running = None
                self.done.add(record["test"])
                self.results[_key(record["test"])] = (record["outcome"], record["text"])
            else:
                self.results[(record["file"], "")] = ("failed", record["error"])
        return running


def run(
    files: dict[str, int], options: Sequence[str] = (), processes: int = 2, limit: float = 600
) -> Results:
    """Run test files.

    Args:
        files: Paths below `keras/src`, each with the number of its tests, about.
        options: Of pytest, as `["-k", "lora"]`.
        processes: How many at a time.
        limit: Seconds per process.

    Returns: Outcome and traceback by file and id; a file that cannot be imported has the id `""`.
    """
    shards = [_Shard(shard, options, limit) for shard in _shards(files)]
    results: Results = {}
    with _Servers() as servers, ThreadPoolExecutor(processes) as pool:
        running = [pool.submit(_timed, shard, servers) for shard in shards]
        for count, future in enumerate(as_completed(running), 1):
            shard, seconds = future.result()
            results.update(shard.results)
            name = shard.files[0] + (f" and {len(shard.files) - 1} more" * (len(shard.files) > 1))
            print(f"[{count}/{len(shards)}] {seconds:4.0f} s  {name}", file=sys.stderr)
    return results


def _timed(shard: _Shard, servers: _Servers) -> tuple[_Shard, float]:
    """Run a shard; return it with the seconds it took."""
    start = time.monotonic()
    shard.run(servers.find(shard.files))
    return shard, time.monotonic() - start


def _select(names: Sequence[str]) -> list[Entry]:
    """The ledger's entries of areas, folders or files, given as paths below `keras/src`."""
    entries = list(ledger.read())
    if not names:
        return entries
    names = [name.rstrip("/") for name in names]
    chosen = [
        entry
        for entry in entries
        if any(entry.file == name or entry.file.startswith(name + "/") for name in names)
    ]
    for name in names:
        if not any((entry.file + "/").startswith(name + "/") for entry in chosen):
            sys.exit(f"no test of the ledger lies in {name!r}; areas: {' '.join(ledger.areas())}")
    return chosen


def _namesakes() -> dict[str, list[str]]:
    """List by file of the ledger the files of the wheel that have its name, and no place there.

    The ledger's list was made where such files were one module: the first one has all the ids.
    """
    source = source_folder()
    known = {entry.file for entry in ledger.read()}
    others: dict[str, list[str]] = {}
    for path in sorted(source.rglob("*_test.py")):
        file = path.relative_to(source).as_posix()
        if file not in known and not file.startswith("backend/jax/"):
            others.setdefault(path.name, []).append(file)
    return {file: others.get(file.rpartition("/")[2], []) for file in known}


def _judge(
    entries: Iterable[Entry], results: Results, namesakes: dict[str, list[str]] | None = None
) -> list[tuple[Entry, bool, str]]:
    """Say of each entry whether it passed, and if not, why."""
    verdicts = []
    results = {(file, _plain(test)): result for (file, test), result in results.items()}
    for entry in entries:
        broken = results.get((entry.file, ""), ("", "it was not found"))[1]
        places = [entry.file, *(namesakes or {}).get(entry.file, [])]
        found = (results.get((file, _plain(entry.id))) for file in places)
        outcome, text = next((f for f in found if f is not None), ("failed", broken))
        verdicts.append((entry, outcome == "passed", text or outcome))
    return verdicts


def _table(verdicts: Sequence[tuple[Entry, bool, str]]) -> str:
    """Lay out the counts per area."""
    passed = Counter(entry.area for entry, ok, _ in verdicts if ok)
    excluded = Counter(entry.area for entry, ok, _ in verdicts if entry.state == "excluded")
    counts = Counter(entry.area for entry, _, _ in verdicts)
    lines = [f"{'area':<16}{'passed / of':>15}{'':>9}  excluded"]
    for area in [*sorted(counts), "all"]:
        p, e, n = (c.total() if area == "all" else c[area] for c in (passed, excluded, counts))
        lines.append(f"{area:<16}{f'{p} / {n}':>15}{p / max(n, 1):>9.1%}  {e or ''}".rstrip())
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out the command line; the exit status says whether the ratchet held (`--check`)."""
    parser = argparse.ArgumentParser(prog="python -m compat_tests.keras_suite")
    parser.add_argument("names", nargs="*", metavar="AREA", help="area, folder or file; all")
    parser.add_argument("-k", metavar="EXPR", help="only tests that match, as with pytest")
    parser.add_argument("-n", type=int, default=os.cpu_count(), metavar="PROCS")
    parser.add_argument("-v", action="store_true", help="show each failure with its traceback")
    parser.add_argument("--limit", type=float, default=900, metavar="S", help="per process")
    parser.add_argument("--update", action="store_true", help="write the results to the ledger")
    parser.add_argument("--check", action="store_true", help="fail if what passed fails now")
    options = parser.parse_args(argv)
    entries = _select(options.names)
    namesakes = _namesakes()

    def measure(chosen: Iterable[Entry]) -> Results:
        files = Counter(entry.file for entry in chosen)
        files.update(dict.fromkeys((n for file in list(files) for n in namesakes[file]), 1))
        return run(files, ["-k", options.k] if options.k else [], options.n, options.limit)

    results = measure(entries)
    if options.k:
        ran = {_plain(test) for _, test in results}
        entries = [entry for entry in entries if _plain(entry.id) in ran]
    verdicts = _judge(entries, results, namesakes)
    if options.check and (lost := _lost(verdicts)):
        # Some of Keras's tests are random, or look at clocks: what fails twice is lost.
        print(f"{len(lost)} that passed failed; once more", file=sys.stderr)
        again = measure(entry for entry, _ in lost)
        results.update((test, found) for test, found in again.items() if found[0] == "passed")
        verdicts = _judge(entries, results, namesakes)
    if not options.check:
        _report(
            "FAIL", [(e, t) for e, ok, t in verdicts if not ok and e.state != "excluded"], options.v
        )
    print(_table(verdicts))
    if options.update:
        _update(verdicts)
    lost = _lost(verdicts)
    won = [entry for entry, ok, _ in verdicts if entry.state != "pass" and ok]
    if won and not options.update:
        print(f"{len(won)} pass that the ledger does not count yet: run again with --update")
    if options.check:
        _report("LOST", lost, tracebacks=True)
    return int(bool(lost) and options.check)


def _lost(verdicts: Iterable[tuple[Entry, bool, str]]) -> list[tuple[Entry, str]]:
    """Pick what the ledger calls pass and fails, with its traceback."""
    return [(entry, text) for entry, ok, text in verdicts if entry.state == "pass" and not ok]


def _report(word: str, failures: Iterable[tuple[Entry, str]], tracebacks: bool) -> None:
    """Print failures, a text that several tests share (a file that cannot be imported) once."""
    tests: dict[tuple[str, str], list[str]] = {}
    for entry, text in failures:
        tests.setdefault((entry.file, text), []).append(entry.id)
    for (file, text), ids in tests.items():
        names = ids[0] if len(ids) == 1 else f"{len(ids)} tests"
        print(f"{word} {file} {names}: {_last_line(text)}")
        if tracebacks:
            print(text)


def _last_line(text: str) -> str:
    """The line of a traceback that says most."""
    errors = [line for line in text.splitlines() if line.startswith("E  ")]
    return (errors or text.splitlines() or [""])[0].removeprefix("E").strip()[:160]


def _update(verdicts: Iterable[tuple[Entry, bool, str]]) -> None:
    """Write the results to the ledger; excluded tests stay so unless they pass."""
    new = {entry.key: entry for entry in ledger.read()}
    for entry, ok, _ in verdicts:
        if ok:
            new[entry.key] = Entry(entry.file, entry.id, "pass")
        elif entry.state == "pass":
            new[entry.key] = Entry(entry.file, entry.id, "fail")
    ledger.write(new.values(), version("keras"))


if __name__ == "__main__":
    sys.exit(main())
