"""`torchkeras convert script.py`: the imports of Keras and TensorFlow in a script, rewritten.

For those who want no import hook. Only imports change, by libcst: comments and layout stay.
`import keras` becomes `import torchkeras as keras`, `import tensorflow as tf` an import of the
stand-in. Names that do not exist there are listed with their lines, and so is what stays as it is.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import json
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..naming import explain

__all__ = ["Rewritten", "rewrite_file", "rewrite_source"]

_KERAS, _TENSORFLOW = "torchkeras", "torchkeras.dropin.tensorflow"
_ROOTS = ("tensorflow.keras", "keras", "tf_keras", "keras_core")


class Rewritten(NamedTuple):
    """A script after its imports were rewritten.

    Attributes:
        before, after: Its source.
        unmapped: What could not be mapped, as `line N: …`.
    """

    before: str
    after: str
    unmapped: list[str]

    def diff(self, name: str) -> str:
        """Return the changes as a unified diff."""
        lines = (text.splitlines(True) for text in (self.before, self.after))
        return "".join(difflib.unified_diff(*lines, name, name))


def _target(name: str) -> str | None:
    """Name the module that stands in for another, or `None` if nothing does."""
    for root in _ROOTS:
        if name == root or name.startswith(f"{root}."):
            return _KERAS + name[len(root) :]
    return _TENSORFLOW if name == "tensorflow" else None


def _concerns(name: str) -> bool:
    return name.partition(".")[0] in ("keras", "tensorflow", "tf_keras", "keras_core")


def rewrite_source(source: str) -> Rewritten:
    """Rewrite the imports of a script.

    Args:
        source: Python code.

    Raises:
        ImportError: libcst is not installed.
        ValueError: It is no Python code.
    """
    cst = _libcst()
    try:
        module = cst.parse_module(source)
    except cst.ParserSyntaxError as error:
        raise ValueError(f"The script is no Python code that libcst can read: {error}") from error
    after = module.visit(_transformer(cst)).code
    return Rewritten(source, after, sorted(set(_unmapped(source)), key=_line_number))


def _libcst() -> Any:
    try:
        return importlib.import_module("libcst")
    except ImportError as error:
        raise ImportError(
            "Rewriting scripts requires libcst.\nFix: `pip install libcst`, or run the script as it"
            " is with `torchkeras run`."
        ) from error


def _transformer(cst: Any) -> Any:
    """Make the visitor that replaces import statements."""

    def dotted(node: Any) -> str:
        return "" if node is None else cst.Module([]).code_for_node(node)

    def name(text: str) -> Any:
        return cst.parse_expression(text)

    def alias(text: str, bound: str) -> Any:
        wanted = cst.AsName(
            name(bound),
            whitespace_before_as=cst.SimpleWhitespace(" "),
            whitespace_after_as=cst.SimpleWhitespace(" "),
        )
        return cst.ImportAlias(name(text), None if text == bound else wanted)

    def imported(item: Any) -> Any:
        """Rewrite one item of `import a.b as c, …`."""
        given = dotted(item.name)
        target = _target(given)
        if target is None or not _exists(target):
            return item
        if item.asname is not None:
            return item.with_changes(name=name(target))
        # Without `as`, the first part of the name is bound: `import keras.layers` binds `keras`.
        root = given.partition(".")[0]
        whole = _TENSORFLOW if root == "tensorflow" else _KERAS
        return item.with_changes(name=name(whole), asname=alias(whole, root).asname)

    class Imports(cst.CSTTransformer):
        def leave_Import(self, original: Any, updated: Any) -> Any:
            names = [imported(item) for item in updated.names]
            return updated.with_changes(names=names)

        def leave_SimpleStatementLine(self, original: Any, updated: Any) -> Any:
            if len(updated.body) != 1 or not isinstance(updated.body[0], cst.ImportFrom):
                return updated
            statement = updated.body[0]
            given = dotted(statement.module)
            if statement.relative or not _concerns(given):
                return updated
            target = _target(given)
            if target is None or not _exists(target):
                return updated
            if given != "tensorflow" or isinstance(statement.names, cst.ImportStar):
                changed = statement.with_changes(module=name(target))
                return updated.with_changes(body=[changed])
            # `from tensorflow import keras, data`: two statements
            keras = [n for n in statement.names if dotted(n.name) == "keras"]
            others = [n for n in statement.names if dotted(n.name) != "keras"]
            made = []
            for item in keras:
                bound = dotted(item.asname.name) if item.asname else "keras"
                made.append(cst.Import([alias(_KERAS, bound)]))
            if others:
                others[-1] = others[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
                made.append(statement.with_changes(module=name(target), names=others))
            lines = [updated.with_changes(body=[made[0]])]
            lines += [cst.SimpleStatementLine([extra]) for extra in made[1:]]
            return cst.FlattenSentinel(lines)

    return Imports()


# What is not there -------------------------------------------------------------------------------


def _unmapped(source: str) -> Iterator[str]:
    """Say which names of the script nothing stands in for, with their lines."""
    tree = ast.parse(source)
    bound: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for item in node.names:
                if not _concerns(item.name):
                    continue
                target = _target(item.name)
                if target is None or not _exists(target):
                    yield f"line {node.lineno}: import {item.name}"
                elif item.asname:
                    bound[item.asname] = target
                else:
                    root = item.name.partition(".")[0]
                    bound[root] = _TENSORFLOW if root == "tensorflow" else _KERAS
        elif isinstance(node, ast.ImportFrom) and not node.level and _concerns(node.module or ""):
            target = _target(node.module)
            for item in node.names:
                if target is None or (item.name != "*" and not _exists(target, item.name)):
                    yield f"line {node.lineno}: from {node.module} import {item.name}"
                else:
                    bound[item.asname or item.name] = f"{target}.{item.name}"
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and id(node) not in inner:
            yield from _missing_attribute(node, bound)


def _missing_attribute(node: ast.Attribute, bound: dict[str, str]) -> Iterator[str]:
    text = ast.unparse(node)
    root, *names = text.split(".") if text.replace(".", "").isidentifier() else [""]
    if root in bound and not _exists(bound[root], *names):
        yield f"line {node.lineno}: {text}"


def _exists(target: str, *names: str) -> bool:
    """Whether a chain of names leads anywhere; beyond modules it is not followed."""
    found = _find(target)
    for name in names:
        if found is None or not isinstance(found, type(os)):
            return found is not None
        try:
            found = getattr(found, name)
        except (AttributeError, ImportError):
            found = _find(f"{found.__name__}.{name}")
    return found is not None


def _find(target: str) -> Any:
    """Import a module, or the attribute of one; `None` if there is none."""
    try:
        return importlib.import_module(target)
    except ImportError:
        pass
    home, _, name = target.rpartition(".")
    parent = _find(home) if home else None
    try:
        return None if parent is None else getattr(parent, name)
    except (AttributeError, ImportError):
        return None


def _line_number(entry: str) -> tuple[int, str]:
    return int(entry.split()[1].rstrip(":")), entry


# Files -------------------------------------------------------------------------------------------


def rewrite_file(path: str, write: bool = False) -> list[Rewritten]:
    """Rewrite the imports of a script, or of the cells of a notebook.

    Args:
        path: Ends in `.py` or `.ipynb`.
        write: Whether to change the file.

    Returns: What became of the script, or of each cell that has code.

    Raises:
        ImportError: libcst is not installed.
        ValueError: It is neither, or no code.
    """
    with open(path, encoding="utf-8", newline="") as file:
        text = file.read()
    if path.endswith(".ipynb"):
        return _rewrite_notebook(path, text, write)
    if not path.endswith(".py"):
        raise ValueError(explain("Not a script.", given=path, expected="a .py or .ipynb file"))
    result = rewrite_source(text)
    if write and result.after != text:
        _write(path, result.after)
    return [result]


def _rewrite_notebook(path: str, text: str, write: bool) -> list[Rewritten]:
    notebook = json.loads(text)
    results = []
    for cell in notebook.get("cells", []):
        if cell.get("cell_type") != "code":
            continue
        source = cell["source"]
        whole = source if isinstance(source, str) else "".join(source)
        lines = whole.splitlines(True)
        # Magics (`%`, `!`) are no Python: they stand aside meanwhile.
        hidden = [f"#torchkeras:{x}" if x.lstrip().startswith(("%", "!")) else x for x in lines]
        done = rewrite_source("".join(hidden))
        after = done.after.replace("#torchkeras:", "")
        results.append(Rewritten(whole, after, done.unmapped))
        cell["source"] = after if isinstance(source, str) else after.splitlines(True)
    if write and any(result.before != result.after for result in results):
        indent = 1 if text.startswith("{\n ") else None
        _write(path, json.dumps(notebook, indent=indent, ensure_ascii=False) + "\n")
    return results


def _write(path: str, text: str) -> None:
    temporary = f"{path}.part"
    with open(temporary, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    os.replace(temporary, path)
