"""Run programs on both libraries and tell where they part."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from .compare import Difference, compare, tolerance_of
from .drawing import HANDOVER, parts_of
from .engines import Engine, Transcript
from .reducing import reduced

__all__ = ["Memory", "Pair"]

_VERSIONS = f"{version('keras')} {version('torch')} {version('numpy')}"


class Memory:
    """Transcripts of Keras, kept in a file, since its runs take most of the time.

    Args:
        path: The file; `None` keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._database = sqlite3.connect(path or ":memory:", timeout=60, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("CREATE TABLE IF NOT EXISTS runs (key TEXT PRIMARY KEY, run TEXT)")

    def run(self, engine: Engine, source: str, folder: Path) -> Transcript:
        """The transcript of a part that reads and leaves no files, run only if it is not known."""
        key = hashlib.sha256(f"{_VERSIONS}\n{source}".encode()).hexdigest()
        row = self._database.execute("SELECT run FROM runs WHERE key = ?", (key,)).fetchone()
        if row is not None:
            return Transcript.from_json(row[0])
        transcript = engine.run(source, folder)
        text = json.dumps(asdict(transcript))
        self._database.execute("INSERT OR REPLACE INTO runs VALUES (?, ?)", (key, text))
        return transcript


class Pair:
    """Both libraries, ready to run programs.

    Args:
        memory: Where Keras's transcripts are kept.
        preload: Modules to import before programs are run.
        root: The folder to import torchkeras from.
    """

    def __init__(
        self, memory: Memory, preload: tuple[str, ...] = (), root: Path | None = None
    ) -> None:
        self._memory = memory
        self._keras = Engine("keras", preload)
        self._torchkeras = Engine("torchkeras", preload, **({"root": root} if root else {}))

    def close(self) -> None:
        """Stop the servers."""
        self._keras.close()
        self._torchkeras.close()

    def difference(self, program: str) -> tuple[Difference | None, bool]:
        """Where the runs of a program part first, and whether Keras ran it to its end."""
        with tempfile.TemporaryDirectory() as scratch:
            parts = parts_of(program)
            tolerance = tolerance_of(program)
            if len(parts) == 1:
                return self._single(program, Path(scratch), tolerance)
            return self._handed_over(parts, Path(scratch), tolerance)

    def _single(
        self, source: str, scratch: Path, tolerance: float
    ) -> tuple[Difference | None, bool]:
        folders = [scratch / name for name in ("keras", "torchkeras")]
        for folder in folders:
            folder.mkdir()
        theirs = self._memory.run(self._keras, source, folders[0])
        ours = self._torchkeras.run(source, folders[1])
        ended = theirs.failure is None and theirs.status == 0
        return compare(source, theirs, ours, tolerance), ended

    def _handed_over(
        self, parts: list[str], scratch: Path, tolerance: float
    ) -> tuple[Difference | None, bool]:
        """Each library's files are opened by both; Keras's own reading is what to expect."""
        writers = {"keras": self._keras, "torchkeras": self._torchkeras}
        written = {}
        for name, engine in writers.items():
            (scratch / name).mkdir()
            written[name] = engine.run(parts[0], scratch / name)
        theirs = written["keras"]
        found = compare(parts[0], theirs, written["torchkeras"], tolerance)
        if found is not None or theirs.failure is not None or theirs.status:
            return found, False
        expected = None
        for writer, reader in (
            ("keras", "keras"),
            ("keras", "torchkeras"),
            ("torchkeras", "torchkeras"),
            ("torchkeras", "keras"),
        ):
            folder = scratch / f"{writer}_{reader}"
            shutil.copytree(scratch / writer, folder)
            read = writers[reader].run(parts[1], folder)
            if expected is None:
                expected = read
                continue
            found = compare(parts[1], expected, read, tolerance, f"{writer} > {reader}")
            if found is not None:
                return found, False
        return None, expected.failure is None and expected.status == 0

    def is_stable(self, program: str) -> bool:
        """Whether two runs on Keras give the same."""
        with tempfile.TemporaryDirectory() as scratch:
            runs: list[list[Transcript]] = []
            for i in range(2):
                folder = Path(scratch) / str(i)
                folder.mkdir()
                runs.append([self._keras.run(part, folder) for part in parts_of(program)])
            tolerance = tolerance_of(program)
            return all(compare("", a, b, tolerance) is None for a, b in zip(*runs, strict=True))

    def reduce(
        self, program: str, difference: Difference, seconds: float, is_known: Callable[..., object]
    ) -> str:
        """A program of few lines that differs in the same way."""
        parts = parts_of(program)
        share = seconds / len(parts)
        for i in range(len(parts)):

            def fails(source: str, i: int = i) -> bool:
                changed = [*parts[:i], source, *parts[i + 1 :]]
                found, _ = self.difference(f"\n{HANDOVER}\n".join(changed))
                return (
                    found is not None
                    and found.signature == difference.signature
                    and not is_known(found)
                )

            parts[i] = reduced(parts[i], fails, share)
        return f"\n{HANDOVER}\n".join(parts)
