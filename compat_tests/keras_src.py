"""The inside of Keras: every module and name of `keras/src` against what the drop-in gives for it.

    python -m compat_tests.keras_src            # prints the figures, and what is a placeholder
    python -m compat_tests.keras_src --write    # writes torchkeras/dropin/keras_src.json as well
    python -m compat_tests.keras_src --check    # exit 1 if that file is not the wheel's
    python -m compat_tests.keras_src --figures  # as JSON, for docs/compatibility.md

The table holds names alone, read from the syntax trees of the installed wheel: what each module
defines (classes, functions, other values), and what it imports and from where. `dropin.internals`
answers from it. A name *works* if it leads to something that can be used, is of Keras's kind (a
class, a function) and takes the parameters of Keras's. What modules import from other packages
works where those are installed, and is counted so.
"""

from __future__ import annotations

import argparse
import ast
import collections
import importlib
import importlib.util
import inspect
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from torchkeras import dropin
from torchkeras.dropin.absent import is_absent
from torchkeras.dropin.sources import ENGINES, TABLE

__all__ = ["figures", "measure", "read_wheel", "render", "takes", "wheel"]

_KINDS = {"class": "classes", "function": "functions", "constant": "constants"}


# The wheel ----------------------------------------------------------------------------------------


def read_wheel(root: Path) -> dict[str, dict[str, Any]]:
    """Read the names of each module below `keras/src`, its tests apart.

    Returns: By path below `keras.src`, `{"classes": [...], "functions": [...], "constants": [...],
        "imports": {name: origin}}`. An origin is `"numpy"` or `"keras.src.backend:KerasTensor"`.
    """
    table = {}
    for file in sorted(root.rglob("*.py")):
        parts = [*file.relative_to(root).with_suffix("").parts]
        if file.stem.endswith("_test") or file.stem == "conftest":
            continue
        if parts[-1] == "__init__":
            parts.pop()
        table[".".join(parts)] = _names(ast.parse(file.read_text(encoding="utf-8")))
    for path, names in table.items():
        for star in names.pop("stars"):
            if not star.startswith(tuple(f"keras.src.{engine}" for engine in ENGINES)):
                _expand(table, path, star)
    return {path: {k: v for k, v in names.items() if v} for path, names in sorted(table.items())}


def _expand(table: dict[str, dict[str, Any]], path: str, star: str) -> None:
    """Enter the public names of a module that another one imports by `*`."""
    theirs, mine = table[star.removeprefix("keras.src.")], table[path]
    known = {name for found in mine.values() for name in found}
    for found in theirs.values():
        for name in found:
            if not name.startswith("_") and name not in known:
                mine["imports"][name] = f"{star}:{name}"


def _names(tree: ast.Module) -> dict[str, Any]:
    found: dict[str, Any] = {"classes": [], "functions": [], "constants": [], "imports": {}}
    found["stars"] = []
    kinds: dict[str, str] = {}
    for name, kind, origin in _bindings(tree.body):
        if kind == "star":
            found["stars"].append(origin)
        elif kind != "import":
            kinds[name] = _KINDS[kind]
            found["imports"].pop(name, None)
        elif not _is_of_another_engine(origin) or name not in kinds:
            # Of one name for several engines that of torch counts.
            if not (name in found["imports"] and _is_of_another_engine(origin)):
                found["imports"][name] = origin
                kinds.pop(name, None)
    for name, kind in kinds.items():
        found[kind].append(name)
    return found


def _is_of_another_engine(origin: str) -> bool:
    return origin.startswith(tuple(f"keras.src.{engine}" for engine in ENGINES))


def _bindings(body: list[ast.stmt]) -> Iterator[tuple[str, str, str]]:
    """Yield the names that statements of a module bind, each with its kind and where it is from."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield node.name, "class", ""
        elif isinstance(node, ast.FunctionDef):
            yield node.name, "function", ""
        elif isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                yield alias.asname or top, "import", alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                kind = "star" if alias.name == "*" else "import"
                origin = node.module if kind == "star" else f"{node.module}:{alias.name}"
                yield alias.asname or alias.name, kind, str(origin)
        elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                for part in ast.walk(target):
                    if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                        yield part.id, "constant", ""
        for handler in getattr(node, "handlers", []):
            yield from _bindings(handler.body)  # first: what is tried counts, not what replaces it
        for field in ("body", "orelse", "finalbody"):
            if isinstance(node, (ast.If, ast.Try, ast.With, ast.For, ast.While)):
                yield from _bindings(getattr(node, field, []))


# What the drop-in gives ---------------------------------------------------------------------------


def measure(table: dict[str, dict[str, Any]], root: Path) -> dict[str, dict[str, str]]:
    """Look up each name under the drop-in.

    Args:
        table: Of `read_wheel`.
        root: Where it was read, for the parameters of functions and classes.

    Returns: By path, for each name: `""` if it works, `"placeholder"`, or what is wrong.
    """
    expected = _parameters(root)
    return {
        path: {
            name: ""
            if _is_foreign(kind, found, name)
            else _judge(table, path, name, kind, expected)
            for kind, found in names.items()
            for name in found
        }
        for path, names in table.items()
    }


def _is_foreign(kind: str, found: Any, name: str) -> bool:
    return kind == "imports" and not found[name].startswith("keras.src")


def _module(path: str) -> ModuleType:
    return importlib.import_module(f"keras.src.{path}".rstrip("."))


def _judge(
    table: dict[str, dict[str, Any]],
    path: str,
    name: str,
    kind: str,
    expected: dict[str, ast.arguments],
) -> str:
    try:
        value = getattr(_module(path), name)
    except AttributeError:
        return "missing"
    if is_absent(value):
        return "placeholder"
    is_class = isinstance(value, type)
    fits = {"classes": is_class, "functions": callable(value) and not is_class}
    if not fits.get(kind, True):
        return f"no {kind}"
    theirs = expected.get(_definition(table, path, name))
    return "" if theirs is None or takes(value, theirs) else "other parameters"


def _definition(table: dict[str, dict[str, Any]], path: str, name: str) -> str:
    """Follow imports within Keras to where a name is defined, as `"layers.core.dense.Dense"`."""
    seen = set()
    while (path, name) not in seen:  # of a package that is a function too, the import is of itself
        seen.add((path, name))
        origin = table.get(path, {}).get("imports", {}).get(name, "")
        module, _, attribute = origin.partition(":")
        if module.startswith("keras.src.") and attribute:
            path, name = module.removeprefix("keras.src."), attribute
    return f"{path}.{name}"


def _parameters(root: Path) -> dict[str, ast.arguments]:
    """The parameters of each function of Keras, and of each class with an `__init__` of its own."""
    found = {}
    for file in root.rglob("*.py"):
        path = ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                found[f"{path}.{node.name}"] = node.args
            elif isinstance(node, ast.ClassDef):
                for method in node.body:
                    if isinstance(method, ast.FunctionDef) and method.name == "__init__":
                        del (method.args.posonlyargs or method.args.args)[0]
                        found[f"{path}.{node.name}"] = method.args
    return found


def takes(value: Any, parameters: ast.arguments) -> bool:
    """Tell whether a function can be called with another's parameters, by place and by name.

    >>> parameters = ast.parse("def f(x, axis=-1): ...").body[0].args
    >>> takes(lambda x, axis=0, more=1: 0, parameters)
    True
    >>> takes(lambda x: 0, parameters), takes(lambda x, axis, more: 0, parameters)
    (False, False)
    """
    try:
        ours = inspect.signature(value)
    except (ValueError, TypeError):  # written in C
        return True
    places = [x.arg for x in (*parameters.posonlyargs, *parameters.args)]
    named = [x.arg for x in parameters.kwonlyargs]
    required = {n for n, d in zip(named, parameters.kw_defaults, strict=True) if d is None}
    least = places[: len(places) - len(parameters.defaults)]
    only_places = len(parameters.posonlyargs)
    calls = [
        (places, {*named}),
        (places[:only_places], {*places[only_places:], *named}),
        (least, required),
    ]
    try:
        for arguments, keywords in calls:
            ours.bind(*arguments, **dict.fromkeys(keywords))
    except TypeError:
        return False
    return True


def figures(found: dict[str, dict[str, str]]) -> tuple[int, int, int]:
    """How many names there are, how many of them can be had, and how many of those work.

    >>> figures({"ops": {"add": "", "_f": "placeholder"}, "layers": {"Lost": "missing"}})
    (3, 2, 1)
    """
    states = [state for names in found.values() for state in names.values()]
    return len(states), len(states) - states.count("missing"), states.count("")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m compat_tests.keras_src",
        description="Compare the inside of Keras with what the drop-in gives for it.",
    )
    parser.add_argument("--write", action="store_true", help="write the table of names")
    parser.add_argument("--check", action="store_true", help="exit 1 if that table is stale")
    parser.add_argument("--figures", action="store_true", help="print the figures as JSON")
    options = parser.parse_args(arguments)
    root = wheel()
    table = read_wheel(root)
    text = render(table)
    if options.write:
        TABLE.write_text(text, encoding="utf-8")
    if options.check:
        stale = TABLE.read_text(encoding="utf-8") != text
        print("stale: run `python -m compat_tests.keras_src --write`" if stale else "up to date")
        return int(stale)
    dropin.install("keras", "tensorflow")
    found = measure(table, root)
    core = {path: names for path, names in found.items() if not path.startswith(ENGINES)}
    parts = {"all": found, "without other engines": core}
    if options.figures:
        print(json.dumps({title: (len(part), *figures(part)) for title, part in parts.items()}))
        return 0
    for path, names in core.items():
        for state in sorted({*names.values()} - {""}):
            those = " ".join(name for name in names if names[name] == state)
            print(f"keras.src.{path} {state}: {those}")
    for title, part in parts.items():
        every, had, working = figures(part)
        print(f"{title}: {len(part)} modules, {every} names, {had} had, {working} working")
    return 0


def wheel() -> Path:
    """The folder `keras/src` of the installed Keras, which is not imported."""
    spec = importlib.util.find_spec("keras")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("Keras is not installed; get it with `pip install keras`.")
    return Path(spec.origin).parent / "src"


def render(table: dict[str, dict[str, Any]]) -> str:
    """The table as text, a module a line: names in one string, imports by where they are from."""
    rows = ",\n".join(f"{json.dumps(path)}: {_row(names)}" for path, names in table.items())
    return f"{{\n{rows}\n}}\n"


def _row(names: dict[str, Any]) -> str:
    imports: dict[str, list[str]] = collections.defaultdict(list)
    for name, origin in names.get("imports", {}).items():
        module, _, attribute = origin.partition(":")
        imports[module].append(name if attribute == name else f"{attribute}={name}")
    row: dict[str, Any] = {kind: " ".join(names[kind]) for kind in names if kind != "imports"}
    if imports:
        row["imports"] = {module: " ".join(those) for module, those in imports.items()}
    return json.dumps(row)


if __name__ == "__main__":
    sys.exit(main())
