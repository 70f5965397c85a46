"""The legacy surface as one table, from which `docs/legacy.md` is written.

    python -m torchkeras.dropin.keras2.table

It has a row for each name, argument and method that scripts for tf.keras use and Keras 3 lacks, or
means something else by.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator

from .names import CALLS, NAMES, Refused
from .objects import OBJECTS, WHERE_KERAS_2

__all__ = ["Row", "document", "main", "rows"]

_FILE = pathlib.Path(__file__).parents[3] / "docs" / "legacy.md"
_START, _END = "<!-- rows -->\n", "<!-- /rows -->\n"


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        name: Below `tf_keras`; of an argument, `function(argument)`; of a method, `Class.method`.
        until: The last version that had it.
        means: What it means now.
        where: `"both"` roots show it, or only the one that means `"Keras 2"`; or it is
            `"refused"`.
    """

    name: str
    until: str
    means: str
    where: str


def rows() -> Iterator[Row]:
    """Yield the rows: names, then calls, then what objects have."""
    for path, entry in NAMES.items():
        if isinstance(entry, Refused):
            yield Row(path, entry.until, entry.fix, "refused")
        else:
            where = "Keras 2" if entry.instead else "both"
            yield Row(path, entry.until, entry.note or "as it was", where)
    for path, old in CALLS.items():
        for argument, today in old.renamed.items():
            yield Row(f"{path}({argument})", "2.15", f"`{today}`", "both")
        for argument in old.ignored:
            yield Row(f"{path}({argument})", "2.15", "nothing: no result depends on it", "both")
        for argument, fine in old.only.items():
            means = f"may be {' or '.join(map(repr, fine))}; refused otherwise"
            yield Row(f"{path}({argument})", "2.15", means, "both")
        if old.convert is not None:
            yield Row(f"{path}(…)", "2.15", old.note or _summary(old.convert), "both")
        for argument, value in old.defaults.items():
            yield Row(f"{path}({argument})", "2.15", f"{value!r} by default", "Keras 2")
        if old.order:
            yield Row(f"{path}(*args)", "2.15", f"in the order {old.order}", "Keras 2")
    for tables, where in ((OBJECTS, "both"), (WHERE_KERAS_2, "Keras 2")):
        for cls, table in tables.items():
            for name, value in table.items():
                yield Row(f"{cls.__name__}.{name}", "2.15", _summary(value), where)


def _summary(value: object) -> str:
    means = getattr(value, "means", None) or getattr(value, "__doc__", None) or "as it was"
    return means.strip().partition("\n")[0].rstrip(".")


def document() -> str:
    """Return the table as it stands in `docs/legacy.md`."""
    lines = ["| name | until | what it means now | where |\n", "| --- | --- | --- | --- |\n"]
    alike: dict[tuple[str, str, str], list[str]] = {}
    for row in rows():
        alike.setdefault((row.until, row.means, row.where), []).append(f"`{row.name}`")
    for (until, means, where), names in alike.items():
        means = means.replace("|", "\\|")
        lines.append(f"| {', '.join(names)} | {until} | {means} | {where} |\n")
    return "".join(lines)


def main(path: pathlib.Path = _FILE) -> None:
    """Write the table into the document."""
    text = path.read_text()
    before, _, rest = text.partition(_START)
    _, _, after = rest.partition(_END)
    path.write_text(f"{before}{_START}{document()}{_END}{after}")


if __name__ == "__main__":
    main()
