"""The test suites of libraries written for Keras, on torchkeras and on Keras: docs/libraries.md.

    python -m compat_tests.libraries keras-aug FOLDER             # all tests below FOLDER
    python -m compat_tests.libraries keras-aug FOLDER tests -k crop --limit 600
    python -m compat_tests.libraries keras-aug FOLDER --update    # and write the row
    python -m compat_tests.libraries                              # write the table anew

FOLDER holds the library's own tests, as its source archive has them (`pip download --no-deps
--no-binary :all: keras-aug`, unpacked) or its wheel; where it has the package too, that is the one
tested, else the installed one is. What follows are pytest's arguments. The suite runs twice, each
time in a process of its own under a time limit: as with `torchkeras run -m pytest`, and with pytest
and Keras on its torch backend. Tests that pass in only one of them are printed. What the tests
import of `keras.src.testing` is Keras's own both times, out of the installed wheel.

`libraries.json` beside this file has the rows; the remarks in it are written by hand.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import pytest

import torchkeras.dropin

from .keras_suite_worker import WheelTests, source_folder

__all__ = ["BEGIN", "DOCUMENT", "END", "compare", "is_stale", "outcomes", "read", "run", "table"]

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "libraries.md"
ROWS = Path(__file__).with_name("libraries.json")
BEGIN, END = "<!-- libraries -->", "<!-- /libraries -->"

ROOT = Path(__file__).parents[1]
ENGINES = {"torchkeras": ["-m", "compat_tests.libraries", "--inside"], "Keras": ["-m", "pytest"]}
_OPTIONS = [
    "-v",
    "--continue-on-collection-errors",
    "-p",
    "no:cacheprovider",
    "-o",
    "addopts=",
    "-o",
    "console_output_style=classic",
]
_ENVIRONMENT = {"KERAS_BACKEND": "torch", "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
_LINE = re.compile(r"^(\S+?\.py::.+?) (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b", re.MULTILINE)
_BROKEN = re.compile(r"^ERROR (\S+\.py)(?: - .*)?$", re.MULTILINE)


def outcomes(printed: str) -> dict[str, str]:
    """What pytest's `-v` says of each test; a file that cannot be imported counts as one test.

    Addresses in ids, which differ between runs, are left out.
    """
    printed = re.sub("0x[0-9a-f]{6,}", "0x", printed)
    found = {test: "ERROR" for test in _BROKEN.findall(printed)}
    for test, outcome in _LINE.findall(printed):
        # A test that passed and then failed in its teardown has two lines.
        found[test] = outcome if found.get(test) in (None, "PASSED") else found[test]
    return found


def run(engine: str, folder: Path, options: Sequence[str], limit: float) -> tuple[str, bool]:
    """Run the tests below a folder on one engine.

    Args:
        engine: A key of `ENGINES`.
        folder: The working folder.
        options: Of pytest.
        limit: Seconds.

    Returns:
        What was printed, and whether the process came to its end by itself.
    """
    folder = folder.resolve()
    path = f"{folder}{os.pathsep}{ROOT}"
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryFile() as out:
        process = subprocess.Popen(
            [sys.executable, *ENGINES[engine], *_OPTIONS, *options],
            cwd=folder,
            env={**os.environ, **_ENVIRONMENT, "KERAS_HOME": home, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            ended = process.wait(limit) in (0, 1, 2, 5)  # pytest's own; 2: some file is broken
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
            ended = False
        out.seek(0)
        return out.read().decode(errors="replace"), ended


def _inside(arguments: Sequence[str]) -> int:
    """Be the process of a run on torchkeras."""
    torchkeras.dropin.install()
    sys.meta_path.insert(0, WheelTests(source_folder()))
    importlib.import_module("keras.src.testing")
    return int(pytest.main([*arguments]))


def compare(found: dict[str, dict[str, str]]) -> dict[str, object]:
    """The numbers of a row, and the tests in which the engines differ.

    Args:
        found: The outcomes of both engines, by their names.
    """
    passed = {
        engine: {test for test, outcome in tests.items() if outcome in ("PASSED", "XPASS", "XFAIL")}
        for engine, tests in found.items()
    }
    skipped = [
        {test for test, outcome in tests.items() if outcome == "SKIPPED"}
        for tests in found.values()
    ]
    tests = set().union(*found.values()) - set.intersection(*skipped)
    return {
        "tests": len(tests),
        **{engine: len(passed[engine]) for engine in ENGINES},
        "only torchkeras": sorted(passed["torchkeras"] - passed["Keras"]),
        "only Keras": sorted(passed["Keras"] - passed["torchkeras"]),
    }


# The table ----------------------------------------------------------------------------------------


def read() -> dict[str, dict[str, str | int]]:
    """The rows, by the libraries' names."""
    return json.loads(ROWS.read_text(encoding="utf-8"))


def table() -> str:
    """The table in Markdown."""
    lines = [
        "| library | its tests | run | pass on torchkeras | on Keras | what differs |",
        "| --- | --- | --: | --: | --: | --- |",
    ]
    for name, row in read().items():
        counts = (f"{row[key]:,}" for key in ("tests", *ENGINES))
        cells = (f"{name} {row['version']}", row["from"], *counts, row["remark"])
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _document() -> tuple[str, str]:
    """The document as it is, and with its table written anew."""
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    return text, f"{before}{BEGIN}\n{table()}\n{END}{after}"


def is_stale() -> bool:
    """Whether the document's table is not that of the rows."""
    text, written = _document()
    return text != written


def _update(name: str, folder: Path, row: dict[str, object]) -> None:
    """Write a row, with the version of the package in the folder, or else of the installed one."""
    beside = list(metadata.distributions(name=name, path=[str(folder)]))
    version = (beside[0] if beside else metadata.distribution(name)).version
    rows = read()
    kept = rows.get(name, {"from": "", "remark": ""})
    counts = {key: row[key] for key in ("tests", *ENGINES)}
    rows[name] = {"version": version, "from": kept["from"], **counts, "remark": kept["remark"]}
    ROWS.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a suite on both engines, or write the table."""
    if sys.argv[1:2] == ["--inside"]:
        sys.exit(_inside(sys.argv[2:]))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("library", nargs="?", help="its name on PyPI")
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--limit", type=float, default=1800, help="seconds for each run")
    parser.add_argument("--logs", type=Path, help="keep in this folder what pytest printed")
    parser.add_argument("--update", action="store_true", help="write the row and the table")
    chosen, options = parser.parse_known_args(arguments)
    if chosen.folder is not None:
        found = {}
        for engine in ENGINES:
            printed, ended = run(engine, chosen.folder, options, chosen.limit)
            found[engine] = outcomes(printed)
            if chosen.logs is not None:
                (chosen.logs / f"{chosen.library}.{engine}.txt").write_text(printed)
            if not ended:
                print(f"{chosen.library}: {engine} did not come to its end", file=sys.stderr)
        row = compare(found)
        print(f"{chosen.library}: " + ", ".join(f"{k} {v}" for k, v in list(row.items())[:3]))
        for which in ("only torchkeras", "only Keras"):
            for test in row[which]:
                print(f"  {which}: {test}")
        if chosen.update:
            _update(chosen.library, chosen.folder, row)
    if chosen.folder is None or chosen.update:
        DOCUMENT.write_text(_document()[1], encoding="utf-8")


if __name__ == "__main__":
    main()
