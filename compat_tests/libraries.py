"""The test suites of libraries written for Keras, on torchkeras and on Keras: docs/libraries.md.

    python -m compat_tests.libraries keras-aug                    # its tests as PyPI has them
    python -m compat_tests.libraries keras-aug -k crop --limit 600
    python -m compat_tests.libraries keras-rs --source keras-rs=../keras-rs      # of a clone
    python -m compat_tests.libraries keras-aug --update           # and write the row
    python -m compat_tests.libraries                              # write the table anew

The suite runs twice, each time in a process of its own under a time limit: as with
`torchkeras run -m pytest`, and with pytest and Keras on its torch backend. Tests that pass in only
one of them are printed. What the tests import of `keras.src.testing` is Keras's own both times, out
of the installed wheel. Unknown arguments are pytest's.

`libraries.json` beside this file has the rows; `from` and `remark` in it are written by hand, and
so is where the tests are and how they run:

- `archive`: what `pip download` gets, and whether of `sdist` or `wheel`; the package in it is the
  one tested. Without `archive` the tests are in a `repository` only, and `--source` says where a
  clone of it is.
- `take`, `replace`: patterns of the files to take, instead of all, and regular expressions to
  replace in them. These tests run on the installed package, since no archive of it has its own.
- `arguments`: of pytest.
- `stands_for`: the packages that torchkeras stands for, instead of all. `["keras"]` leaves
  TensorFlow as it is, for libraries that need it beside another backend too.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import torchkeras.dropin

from .keras_suite_worker import WheelTests, source_folder

__all__ = [
    "BEGIN",
    "DOCUMENT",
    "END",
    "compare",
    "fetch",
    "is_stale",
    "only_tests",
    "outcomes",
    "read",
    "run",
    "table",
]

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


# Where the tests are ------------------------------------------------------------------------------


def fetch(requirement: str, form: str, folder: Path) -> Path:
    """Download an archive with the installed pip and unpack it.

    Args:
        requirement: Of pip, such as "keras-aug==1.1.1".
        form: "sdist" or "wheel".
        folder: An empty one.

    Returns:
        The folder that the tests' paths begin at.
    """
    kind = {"sdist": "--no-binary", "wheel": "--only-binary"}[form]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", kind, ":all:"]
    subprocess.run([*pip, "--dest", str(folder), requirement], check=True)
    (archive,) = folder.iterdir()
    unpacked = folder / "unpacked"
    if archive.suffix == ".whl":
        shutil.unpack_archive(archive, unpacked, "zip")
        return unpacked
    shutil.unpack_archive(archive, unpacked, filter="data")
    (inner,) = unpacked.iterdir()
    return inner


def only_tests(
    folder: Path, suite: Path, take: Sequence[str], replace: dict[str, str] | None = None
) -> Path:
    """Copy tests away from the package that they are of, for the installed one to be tested.

    Args:
        folder: What has them.
        suite: The folder for them, where the package's own folder is left out of their paths.
        take: Patterns of their paths.
        replace: Regular expressions, and what to write instead.

    Returns:
        The folder.
    """
    for file in sorted({file for pattern in take for file in folder.glob(pattern)}):
        text = file.read_text(encoding="utf-8")
        for old, new in (replace or {}).items():
            text = re.sub(old, new, text, flags=re.MULTILINE)
        copy = suite.joinpath(*file.relative_to(folder).parts[1:])
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(text, encoding="utf-8")
    return suite


@contextlib.contextmanager
def _tests_of(row: dict[str, Any], source: Path | None) -> Iterator[Path]:
    """The folder with a row's tests, for as long as they run."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = source or fetch(*row["archive"], Path(scratch))
        if "take" in row:
            suite = Path(scratch) / "suite"
            folder = only_tests(folder, suite, row["take"], row.get("replace"))
        yield folder


# The runs -----------------------------------------------------------------------------------------


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


def run(
    engine: str, folder: Path, options: Sequence[str], limit: float, stands_for: Sequence[str] = ()
) -> tuple[str, bool]:
    """Run the tests below a folder on one engine.

    Args:
        engine: A key of `ENGINES`.
        folder: The working folder.
        options: Of pytest.
        limit: Seconds.
        stands_for: The packages that torchkeras stands for; none means all.

    Returns:
        What was printed, and whether the process came to its end by itself.
    """
    folder = folder.resolve()
    path = f"{folder}{os.pathsep}{ROOT}"
    command = [*ENGINES[engine], *([",".join(stands_for)] if engine == "torchkeras" else [])]
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryFile() as out:
        process = subprocess.Popen(
            [sys.executable, *command, *_OPTIONS, *options],
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


def _inside(stands_for: str, arguments: Sequence[str]) -> int:
    """Be the process of a run on torchkeras."""
    torchkeras.dropin.install(*filter(None, stands_for.split(",")))
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
        "| library | its tests | where they are | run | pass on torchkeras | on Keras | remarks |",
        "| --- | --- | --- | --: | --: | --: | --- |",
    ]
    for name, row in read().items():
        counts = (f"{row[key]:,}" for key in ("tests", *ENGINES))
        where = "PyPI, `{}`, {}".format(*row["archive"]) if "archive" in row else row["repository"]
        cells = (f"{name} {row['version']}", row["from"], where, *counts, row["remark"])
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


def _version(name: str, row: dict[str, Any], folder: Path) -> str:
    """The version that was tested: the archive's, that in the folder, or the installed one's."""
    if "archive" in row and "take" not in row:
        return row["archive"][0].partition("==")[2]
    beside = list(metadata.distributions(name=name, path=[str(folder)]))
    return (beside[0] if beside else metadata.distribution(name)).version


def _update(name: str, folder: Path, counts: dict[str, object]) -> None:
    """Write what was counted into a row."""
    rows = read()
    row = rows.setdefault(name, {"from": "", "remark": ""})
    row["version"] = _version(name, row, folder)
    row.update((key, counts[key]) for key in ("tests", *ENGINES))
    ROWS.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _measure(name: str, row: dict[str, Any], chosen: argparse.Namespace, more: list[str]) -> None:
    """Run the suite of a library on both engines, and print in what they differ."""
    options = [*row.get("arguments", ()), *more]
    with _tests_of(row, chosen.source.get(name)) as folder:
        found = {}
        for engine in ENGINES:
            printed, ended = run(engine, folder, options, chosen.limit, row.get("stands_for", ()))
            found[engine] = outcomes(printed)
            if chosen.logs is not None:
                (chosen.logs / f"{name}.{engine}.txt").write_text(printed)
            if not ended:
                print(f"{name}: {engine} did not come to its end", file=sys.stderr)
        counts = compare(found)
        print(f"{name}: " + ", ".join(f"{k} {v}" for k, v in list(counts.items())[:3]))
        for which in ("only torchkeras", "only Keras"):
            for test in counts[which]:
                print(f"  {which}: {test}")
        if chosen.update:
            _update(name, folder, counts)


def _source(text: str) -> tuple[str, Path]:
    """Read `NAME=FOLDER`."""
    name, _, folder = text.partition("=")
    if not Path(folder or "?").is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FOLDER, of a folder that is there")
    return name, Path(folder)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run suites on both engines, or write the table."""
    if sys.argv[1:2] == ["--inside"]:
        sys.exit(_inside(sys.argv[2], sys.argv[3:]))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("library", nargs="*", help="their names in the table")
    parser.add_argument(
        "--source",
        action="append",
        type=_source,
        default=[],
        metavar="NAME=FOLDER",
        help="a library's unpacked archive, or a clone of its repository",
    )
    parser.add_argument("--limit", type=float, default=1800, help="seconds for each run")
    parser.add_argument("--logs", type=Path, help="keep in this folder what pytest printed")
    parser.add_argument("--update", action="store_true", help="write the rows and the table")
    chosen, options = parser.parse_known_args(arguments)
    chosen.source = dict(chosen.source)
    rows = read()
    for name in chosen.library:
        row = rows.get(name, {})
        if "archive" not in row and name not in chosen.source:
            where = row.get("repository", "its repository")
            parser.error(f"{name}: no archive has its tests; give --source {name}=CLONE of {where}")
        _measure(name, row, chosen, options)
    if not chosen.library or chosen.update:
        DOCUMENT.write_text(_document()[1], encoding="utf-8")


if __name__ == "__main__":
    main()
