"""The block of figures in README.md, between its two HTML comments.

    python -m compat_tests.summary           # writes the block
    python -m compat_tests.summary --check   # exit 1 if it is stale

Nothing is measured here, so the block says what the files it reads say: `docs/compatibility.md` on
names and signatures, `compat_tests/ledger/` on Keras's own tests. Each script in
`compat_tests/scripts` is run by a test, so all of those there are run.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from . import ledger

__all__ = ["ROOT", "TABLE", "block", "is_stale", "write"]

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
TABLE = ROOT / "docs" / "compatibility.md"
SCRIPTS = ROOT / "compat_tests" / "scripts"
BEGIN, END = "<!-- compatibility -->", "<!-- /compatibility -->"

_UNKNOWN = "not measured"


def block(names: str, signatures: str, suite: str, scripts: str) -> str:
    """Compose the block of four figures, its comments included."""
    rows = (
        ("names of Keras's API", "their signatures", "Keras's own tests", "scripts as they are"),
        (":-:",) * 4,
        (f"[{names}](docs/compatibility.md)", signatures, suite, scripts),
    )
    return "\n".join([BEGIN, *(f"| {' | '.join(row)} |" for row in rows), END])


def current() -> str:
    """The block as the files have it now."""
    return block(*api_figures(), suite_figure(), scripts_figure())


def api_figures(table: Path | None = None) -> tuple[str, str]:
    """Names and signatures, from the last row of the table of namespaces."""
    path = table or TABLE
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    found = re.search(r"^\| \*\*all\*\* \| (\d+/\d+) \| (\d+/\d+) ", text, re.MULTILINE)
    return (_shown(found[1]), _shown(found[2])) if found else (_UNKNOWN, _UNKNOWN)


def suite_figure() -> str:
    """How many of the tests that pass with Keras itself pass; excluded ones do not."""
    counts = list(ledger.totals(ledger.read()).values())
    of = sum(sum(states.values()) for states in counts)
    return _shown(f"{sum(states['pass'] for states in counts)}/{of}") if of else _UNKNOWN


def scripts_figure(folder: Path | None = None) -> str:
    """How many scripts there are; helpers start with an underscore, tests with `test_`."""
    count = len([p for p in (folder or SCRIPTS).glob("*.py") if _is_script(p.name)])
    return f"{count}/{count}" if count else _UNKNOWN


def _is_script(name: str) -> bool:
    return not name.startswith(("_", "test_")) and name != "conftest.py"


def _shown(fraction: str) -> str:
    return "/".join(f"{int(n):,}" for n in fraction.split("/"))


def updated(readme: str, new: str) -> str:
    """Replace the block of a README, or put it after the first paragraph below the title.

    Raises:
        ValueError: There is one of the two comments only.
    """
    if (BEGIN in readme) != (END in readme):
        raise ValueError(f"README.md has only one of the comments {BEGIN} and {END}.")
    if BEGIN in readme:
        before, _, rest = readme.partition(BEGIN)
        return before + new + rest.partition(END)[2]
    title, paragraph, rest = readme.split("\n\n", 2)
    return "\n\n".join([title, paragraph, new, rest])


def is_stale() -> bool:
    """Whether README.md says something else than the files do."""
    readme = README.read_text(encoding="utf-8")
    return updated(readme, current()) != readme


def write() -> bool:
    """Bring README.md up to date; returns whether it was not."""
    stale = is_stale()
    if stale:
        README.write_text(updated(README.read_text(encoding="utf-8"), current()), encoding="utf-8")
    return stale


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m compat_tests.summary", description="Write the figures into README.md."
    )
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if stale")
    check = parser.parse_args(arguments).check
    stale = is_stale() if check else write()
    if stale:
        print("README.md: run `python -m compat_tests.summary`." if check else "wrote README.md")
    return int(check and stale)


if __name__ == "__main__":
    sys.exit(main())
