"""What of TensorFlow the stand-in provides: the table in docs/tensorflow.md, between two comments.

    python -m compat_tests.tf_names                # writes the table
    python -m compat_tests.tf_names --check        # exit 1 if it is stale
    python -m compat_tests.tf_names --scan FOLDER  # counts anew what packages unpacked there use

The names that count are those that a corpus of public packages for TensorFlow 2 uses, which
`tf_uses.json` lists: a *name* is what stands behind `tf.` up to the first that is no namespace, so
`tf.data.Dataset.from_tensors` is `data.Dataset`; a *use* is a place in a source file. `tf.keras` is
left out, since docs/compatibility.md is about it, and so are TensorFlow's private modules
(`tensorflow.python`) and its first version (`compat.v1`, `contrib`).
"""

from __future__ import annotations

import argparse
import ast
import collections
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import torchkeras.dropin.tensorflow as tensorflow

__all__ = ["BEGIN", "DOCUMENT", "END", "Uses", "is_stale", "read_uses", "scan", "table", "write"]

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "tensorflow.md"
USES = Path(__file__).with_name("tf_uses.json")
BEGIN, END = "<!-- names -->", "<!-- /names -->"

_LEFT_OUT = ("keras", "python", "compat.v1", "contrib")
_MOST_USED = 40  # of the missing names, in the document

# Per name: places, and packages that have any.
Uses = dict[str, tuple[int, int]]


def read_uses() -> tuple[list[str], Uses]:
    """The packages of the corpus with their versions, and what they use."""
    found = json.loads(USES.read_text(encoding="utf-8"))
    return found["packages"], {name: tuple(counts) for name, counts in found["uses"].items()}


# The corpus ---------------------------------------------------------------------------------------


def scan(folder: Path) -> Uses:
    """Count what the packages in a folder, one folder each, use of TensorFlow."""
    places: collections.Counter[str] = collections.Counter()
    packages: dict[str, set[str]] = collections.defaultdict(set)
    for path in sorted(folder.rglob("*.py")):
        try:
            names = list(_used(ast.parse(path.read_text(encoding="utf-8"))))
        except (SyntaxError, UnicodeDecodeError):  # of Python 2
            continue
        for name in names:
            places[name] += 1
            packages[name].add(path.relative_to(folder).parts[0])
    return {name: (places[name], len(packages[name])) for name in sorted(places)}


def _used(tree: ast.AST) -> Iterator[str]:
    """The names behind `tf.` in a file, however it imports TensorFlow."""
    aliases: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for part in node.names:
                if part.name in ("tensorflow", "tensorflow.compat.v2"):
                    aliases[part.asname or "tensorflow"] = ""
        elif isinstance(node, ast.ImportFrom) and not node.level:
            base = re.match(
                r"tensorflow(?:\.compat\.v2)?(?:\.(?!compat\.v2)(.+))?$", node.module or ""
            )
            for part in node.names if base else ():
                aliases[part.asname or part.name] = (
                    f"{base[1]}.{part.name}" if base[1] else part.name
                )
    parts_of = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Attribute, ast.Name)) and id(node) not in parts_of:
            chain = _chain(node, aliases)
            if chain and not f"{chain}.".startswith(tuple(f"{left}." for left in _LEFT_OUT)):
                yield chain


def _chain(node: ast.expr, aliases: dict[str, str]) -> str:
    """`tf.data.Dataset.zip` as `data.Dataset`: names of classes are the last that count."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in aliases:
        return ""
    parts = [*filter(None, aliases[node.id].split(".")), *reversed(parts)]
    if parts[:2] == ["compat", "v2"]:
        parts = parts[2:]
    end = next((i + 1 for i, part in enumerate(parts) if part[0].isupper()), len(parts))
    return ".".join(parts[:end])


# The table ----------------------------------------------------------------------------------------


def _is_provided(name: str) -> bool:
    found = tensorflow
    for part in name.split("."):
        if not isinstance(found, ModuleType):  # what a dtype or a class has is known elsewhere
            return True
        if part not in dir(found):
            return False
        found = getattr(found, part)
    return True


def _namespace(name: str) -> str:
    """The namespace that a name is counted in: `tf` for the root's."""
    return ".".join(["tf", *name.split(".")[:-1]])


def table() -> str:
    """The generated part of the document, its comments included."""
    packages, uses = read_uses()
    provided = {name for name in uses if _is_provided(name)}
    spaces = ["", *sorted(tensorflow.NAMESPACES)]
    lines = [
        BEGIN,
        f"{len(packages)} packages use {len(uses)} names in {_total(uses, uses):,} places; provided"
        f" are {len(provided)} of these names, which is {_percent(provided, uses)} of the places.",
        "",
        "| namespace | names provided | of names used | of places |",
        "| --- | --: | --: | --: |",
    ]
    for space in spaces:
        title = f"tf.{space}" if space else "tf"
        used = {name: uses[name] for name in uses if _namespace(name) == title}
        have = [name for name in used if name in provided]
        of = f"{len(have)}/{len(used)} | {_percent(have, used)}" if used else "– | –"
        lines.append(f"| `{title}` | {len(_own(space))} | {of} |")
    lines += ["", "### The names", ""]
    lines += [f"- `{'tf.' + s if s else 'tf'}`: {_listed(_own(s))}" for s in spaces if _own(s)]
    missing = sorted(set(uses) - provided, key=lambda name: (-uses[name][1], -uses[name][0], name))
    lines += [
        "",
        "### Used, but not provided",
        "",
        f"The first {_MOST_USED} of {len(missing)}, by the number of packages that use them:",
        "",
        *_suggestions(missing[:_MOST_USED]),
        END,
    ]
    return "\n".join(lines)


def _total(names: Sequence[str] | set[str] | Uses, uses: Uses) -> int:
    return sum(uses[name][0] for name in names)


def _percent(names: Sequence[str] | set[str], uses: Uses) -> str:
    return f"{100 * _total(names, uses) / _total(uses, uses):.1f} %"


def _own(space: str) -> list[str]:
    """The names in a namespace that are no namespaces."""
    inner = f"{space}." if space else ""
    return [
        name
        for name in tensorflow.names_of(space)
        if f"{inner}{name}" not in tensorflow.NAMESPACES and not name.startswith("_")
    ]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _suggestions(names: Sequence[str]) -> Iterator[str]:
    """Lines with the names that have one suggestion in common."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(tensorflow.suggestion(name), []).append(f"tf.{name}")
    for fix, alike in groups.items():
        hint = fix.replace("did you mean", "perhaps").removesuffix("?")
        yield f"- {_listed(alike)}: {hint}."


# The document -------------------------------------------------------------------------------------


def _updated(text: str) -> str:
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{DOCUMENT.name} lacks the comments {BEGIN} and {END}.")
    return before + table() + after


def is_stale() -> bool:
    """Whether the document says something else than the stand-in does."""
    text = DOCUMENT.read_text(encoding="utf-8")
    return _updated(text) != text


def write() -> bool:
    """Bring the document up to date; returns whether it was not."""
    stale = is_stale()
    if stale:
        DOCUMENT.write_text(_updated(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
    return stale


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m compat_tests.tf_names", description="Write the table of `tf.*` names."
    )
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if stale")
    parser.add_argument("--scan", type=Path, metavar="FOLDER", help="count uses in packages anew")
    options = parser.parse_args(arguments)
    if options.scan:
        packages = sorted(path.name for path in options.scan.iterdir() if path.is_dir())
        lines = [f'  "{name}": {json.dumps(counts)}' for name, counts in scan(options.scan).items()]
        body = ",\n".join(lines)
        USES.write_text(f'{{"packages": {json.dumps(packages)},\n"uses": {{\n{body}\n}}}}\n')
    stale = is_stale() if options.check else write()
    if stale:
        said = "run `python -m compat_tests.tf_names`." if options.check else "written."
        print(f"docs/tensorflow.md: {said}")
    return int(options.check and stale)


if __name__ == "__main__":
    sys.exit(main())
