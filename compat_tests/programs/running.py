"""Run programs on both libraries and tell where they part."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import tempfile
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

from .compare import Difference, compare, differences, tolerance_of
from .drawing import HANDOVER, parts_of
from .engines import Engine, Transcript
from .reasons import reason_for
from .reducing import reduced

__all__ = ["Memory", "Pair", "Verdict"]

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


@dataclass
class Verdict:
    """How the runs of a program compare.

    Args:
        difference: The first that no reason explains.
        reasons: Sentences of those that explained others before it.
        ended: Whether Keras ran the program to its end.
    """

    difference: Difference | None = None
    reasons: list[str] = field(default_factory=list)
    ended: bool = False

    def take(
        self, source: str, theirs: Transcript, ours: Transcript, tolerance: float, route: str = ""
    ) -> bool:
        """Compare two runs of a part; whether all that differs has a reason."""
        for difference in differences(source, theirs, ours, tolerance, route):
            reason = reason_for(difference)
            if reason is None:
                self.difference = difference
                return False
            self.reasons.append(reason.sentence)
        self.ended = _is_whole(theirs)
        return True


def _is_whole(transcript: Transcript) -> bool:
    return transcript.failure is None and transcript.status == 0


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

    def judge(self, program: str) -> Verdict:
        """How the runs of a program compare."""
        with tempfile.TemporaryDirectory() as scratch:
            parts, verdict = parts_of(program), Verdict()
            tolerance = tolerance_of(program)
            if len(parts) == 1:
                self._single(verdict, program, Path(scratch), tolerance)
            else:
                self._handed_over(verdict, parts, Path(scratch), tolerance)
            return verdict

    def _single(self, verdict: Verdict, source: str, scratch: Path, tolerance: float) -> None:
        folders = [scratch / name for name in ("keras", "torchkeras")]
        for folder in folders:
            folder.mkdir()
        theirs = self._memory.run(self._keras, source, folders[0])
        ours = self._torchkeras.run(source, folders[1])
        verdict.take(source, theirs, ours, tolerance)

    def _handed_over(
        self, verdict: Verdict, parts: list[str], scratch: Path, tolerance: float
    ) -> None:
        """Each library's files are opened by both; Keras's own reading is what to expect."""
        writers = {"keras": self._keras, "torchkeras": self._torchkeras}
        written = {}
        for name, engine in writers.items():
            (scratch / name).mkdir()
            written[name] = engine.run(parts[0], scratch / name)
        if not verdict.take(parts[0], *written.values(), tolerance) or not all(
            map(_is_whole, written.values())
        ):
            return
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
            elif not verdict.take(parts[1], expected, read, tolerance, f"{writer} > {reader}"):
                return

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

    def reduce(self, program: str, difference: Difference, seconds: float) -> str:
        """A program of few lines that differs in the same way."""
        parts = parts_of(program)
        share = seconds / len(parts)
        for i in range(len(parts)):

            def fails(source: str, i: int = i) -> bool:
                changed = [*parts[:i], source, *parts[i + 1 :]]
                found = self.judge(f"\n{HANDOVER}\n".join(changed)).difference
                return found is not None and found.signature == difference.signature

            parts[i] = reduced(parts[i], fails, share)
        return f"\n{HANDOVER}\n".join(parts)
