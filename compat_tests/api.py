"""The API table: every public name of `keras`, its kind and its signature, against torchkeras.

    python -m compat_tests.api                 # all of it; writes docs/compatibility.md as well
    python -m compat_tests.api layers ops.nn   # prints these namespaces only
    python -m compat_tests.api --check         # exit 1 if the document or README's block is stale

What is counted:

- A *namespace* is a module at or below `keras` that a user may import: all but `keras.src` and
  those with a leading underscore.
- A *name* is an attribute of a namespace that is no module and has no leading underscore. It counts
  once for each namespace that offers it, as each is a line that a script may hold: `keras.Layer`
  and `keras.layers.Layer` are two. It is there if `torchkeras.<namespace>` can be imported and has
  it, for the same kind of thing: a class, a function or a constant.
- A *signature* is that of a function, or of the `__init__` of a class (of its `__new__` where
  `__init__` leaves all to that), among the names that are there. It agrees if it takes all calls
  that Keras's takes and means the same by them: Keras's parameters in Keras's order with Keras's
  defaults, and parameters of our own only after those.
- A *method* is a public one of a class that is there. What a class inherits from another public
  class is counted with that one. Its signature agrees by the same rule.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import itertools
import json
import os
import pkgutil
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from . import summary

os.environ.setdefault("KERAS_BACKEND", "torch")

__all__ = [
    "Comparison",
    "compare",
    "compare_signatures",
    "imported",
    "measure",
    "namespaces",
    "public_names",
    "render",
]

_POSITIONAL = inspect.Parameter.VAR_POSITIONAL
_KEYWORD = inspect.Parameter.VAR_KEYWORD
_KEYWORD_ONLY = inspect.Parameter.KEYWORD_ONLY
_REQUIRED = inspect.Parameter.empty
# No method of Keras's: its torch backend adds it for PyTorch, which calls it in both libraries.
_OF_PYTORCH = "forward"


@dataclass
class Comparison:
    """What was found in one namespace, or in all of them; the keys of the dicts are names."""

    path: str
    names: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)  # the value: what is there instead
    signatures: dict[str, list[str]] = field(default_factory=dict)  # the value: the differences
    methods: dict[str, list[str]] = field(default_factory=dict)

    @property
    def figures(self) -> dict[str, tuple[int, int]]:
        """For names, signatures and methods: how many agree, of how many."""
        return {
            "names": (len(self.names) - len(self.missing), len(self.names)),
            "signatures": (_count_empty(self.signatures), len(self.signatures)),
            "methods": (_count_empty(self.methods), len(self.methods)),
        }


def _count_empty(found: dict[str, list[str]]) -> int:
    return sum(not differences for differences in found.values())


# Walking ------------------------------------------------------------------------------------------


def namespaces(root: ModuleType) -> Iterator[tuple[str, ModuleType]]:
    """Walk the public modules from `root` down: `("", root)`, …, `("ops", …)`, `("ops.nn", …)`."""
    pending = [root.__name__]
    while pending:
        module = importlib.import_module(pending.pop(0))
        yield module.__name__[len(root.__name__) + 1 :], module
        below = sorted(m.name for m in pkgutil.iter_modules(getattr(module, "__path__", [])))
        hidden = ("src",) if module is root else ()
        pending[:0] = [
            f"{module.__name__}.{n}" for n in below if not n.startswith("_") and n not in hidden
        ]


def public_names(module: ModuleType) -> list[str]:
    """The names that a namespace offers: no modules, none with a leading underscore."""
    names = (n for n, value in vars(module).items() if not isinstance(value, ModuleType))
    return sorted(n for n in names if not n.startswith("_"))


def kind(x: Any) -> str:
    """What a user may do with it: `"module"`, `"class"`, `"function"` or `"constant"`."""
    if isinstance(x, ModuleType):
        return "module"
    if isinstance(x, type):
        return "class"
    return "function" if callable(x) else "constant"


def measure(root: ModuleType, ours: str = "torchkeras") -> list[Comparison]:
    """Compare all namespaces of `root` with those of the package named `ours`."""
    modules = dict(namespaces(root))
    public = {id(x) for m in modules.values() for x in vars(m).values() if isinstance(x, type)}
    return [
        compare(module, imported(f"{ours}.{path}".rstrip(".")), path, public)
        for path, module in modules.items()
    ]


def imported(name: str) -> ModuleType | None:
    """Import a module; `None` if there is none of that name."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if name == error.name or name.startswith(f"{error.name}."):
            return None
        raise


def compare(
    theirs: ModuleType, ours: ModuleType | None, path: str = "", public: set[int] | None = None
) -> Comparison:
    """Compare one namespace with ours.

    Args:
        theirs: The module of Keras.
        ours: The module of torchkeras; `None` if there is none.
        path: What the namespace is called, without `keras.`.
        public: The ids of the classes that count their methods themselves.
    """
    result = Comparison(path, public_names(theirs))
    for name in result.names:
        original = getattr(theirs, name)
        mine = getattr(ours, name, result)  # the comparison itself: something nobody exports
        if mine is result:
            result.missing[name] = ""
        elif kind(mine) != kind(original):
            result.missing[name] = f"a {kind(mine)} instead of a {kind(original)}"
        elif kind(original) != "constant":
            result.signatures[name] = compare_signatures(original, mine)
            if isinstance(original, type):
                for method in _methods(original, public or set()):
                    result.methods[f"{name}.{method}"] = _compare_methods(original, mine, method)
    return result


def _methods(cls: type, public: set[int]) -> list[str]:
    """The public methods of a class that no public base of it answers for."""
    bases = cls.__mro__[1:]
    own = [cls, *itertools.takewhile(lambda base: id(base) not in public, bases)]
    package = cls.__module__.partition(".")[0]
    own = [owner for owner in own if owner.__module__.partition(".")[0] == package]
    names = {name for owner in own for name, value in vars(owner).items() if _is_method(value)}
    return sorted(name for name in names if not name.startswith("_") and name != _OF_PYTORCH)


def _is_method(x: Any) -> bool:
    return inspect.isfunction(x) or isinstance(x, (staticmethod, classmethod))


def _compare_methods(theirs: type, ours: type, name: str) -> list[str]:
    original, mine = (inspect.getattr_static(cls, name, None) for cls in (theirs, ours))
    if not _is_method(mine):
        return ["missing" if mine is None else f"no method: {type(mine).__name__}"]
    takes_self = [not isinstance(method, staticmethod) for method in (original, mine)]
    if takes_self[0] != takes_self[1]:
        return ["takes `self`" if takes_self[1] else "does not take `self`"]
    skipped = int(takes_self[0])  # `self` or `cls`
    return _compare_parameters(*(_parameters(x)[skipped:] for x in (original, mine)))


# Signatures ---------------------------------------------------------------------------------------


def compare_signatures(theirs: Callable[..., Any], ours: Callable[..., Any]) -> list[str]:
    """Say where a call that Keras's function or class takes means something else in ours.

    >>> compare_signatures(lambda x, axis=-1: 0, lambda x, axis=-1, out=None: 0)
    []
    >>> compare_signatures(lambda x, axis=-1: 0, lambda x, dim=-1: 0)
    ['parameter 2 is `dim`, expected `axis`']
    """
    try:
        return _compare_parameters(_parameters(theirs), _parameters(ours))
    except ValueError:
        return ["has no signature that Python can read"]


def _compare_parameters(
    original: list[inspect.Parameter], mine: list[inspect.Parameter]
) -> list[str]:
    differences = []
    for variadic, stars in ((_POSITIONAL, "*args"), (_KEYWORD, "**kwargs")):
        if _has(original, variadic) and not _has(mine, variadic):
            differences.append(f"lacks `{stars}`")
    expected, given = _named(original), _named(mine)
    for i, parameter in enumerate(expected):
        if i >= len(given):
            differences.append(f"lacks `{parameter.name}`")
        elif given[i].name != parameter.name:
            # one shift would be reported for each parameter behind it
            what = f"is `{given[i].name}`, expected `{parameter.name}`"
            return [*differences, f"parameter {i + 1} {what}"]
        else:
            differences += _compare_parameter(parameter, given[i])
    for extra in given[len(expected) :]:
        if extra.default is _REQUIRED:
            differences.append(f"`{extra.name}` is required")
    return differences


def _compare_parameter(theirs: inspect.Parameter, ours: inspect.Parameter) -> list[str]:
    differences = []
    if ours.kind is _KEYWORD_ONLY and theirs.kind is not _KEYWORD_ONLY:
        differences.append(f"`{ours.name}` is keyword-only")
    if ours.kind is inspect.Parameter.POSITIONAL_ONLY and theirs.kind is not ours.kind:
        differences.append(f"`{ours.name}` is positional-only")
    if not _same_default(theirs.default, ours.default):
        differences.append(
            f"`{ours.name}` is {_shown(ours.default)} by default, expected {_shown(theirs.default)}"
        )
    return differences


def _parameters(x: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters of a function or method, or of the constructor of a class without `self`."""
    if not isinstance(x, type):
        x = getattr(x, "__func__", x)  # of a static method or class method
        return list(inspect.signature(x).parameters.values())
    if x.__init__ is object.__init__:
        return []
    parameters = list(inspect.signature(x.__init__).parameters.values())[1:]
    if not _named(parameters) and x.__new__ is not object.__new__:
        parameters = list(inspect.signature(x.__new__).parameters.values())[1:]
    return parameters


def _named(parameters: list[inspect.Parameter]) -> list[inspect.Parameter]:
    return [p for p in parameters if p.kind not in (_POSITIONAL, _KEYWORD)]


def _has(parameters: list[inspect.Parameter], kind: Any) -> bool:
    return any(p.kind is kind for p in parameters)


def _same_default(a: Any, b: Any) -> bool:
    if isinstance(a, bool) != isinstance(b, bool):
        return False  # 1 is not True to a reader, nor in a config
    try:
        return bool(a == b) or _shown(a) == _shown(b)
    except (TypeError, ValueError):  # arrays and the like
        return _shown(a) == _shown(b)


def _shown(default: Any) -> str:
    """A default as text that is the same in each process and in either library."""
    if default is _REQUIRED:
        return "required"
    if callable(default) and hasattr(default, "__name__"):
        return default.__name__
    return re.sub(r" at 0x[0-9a-f]+|\b(torch)?keras\.[\w.]*\.", "", repr(default))


# The document -------------------------------------------------------------------------------------

_INTRODUCTION = """\
# Compatibility with Keras

Each public name of `keras` {version} against `torchkeras`, written by `python -m compat_tests.api`.

- A **name** is a class, function or constant that a module at or below `keras` offers; one that two
  modules offer counts twice. It is there if the torchkeras module of that path has it, as the same
  kind of thing.
- A **signature** is that of a function or of a class's constructor, among the names that are there.
  It agrees if it has Keras's parameters, in their order, with their defaults; parameters of our own
  come after all of those.
- A **method** is a public one of a class that is there, counted with the class that brings it. It
  agrees if it is there and its signature agrees.
"""


def total(comparisons: Sequence[Comparison]) -> Comparison:
    """All namespaces as one, names with their paths."""
    result = Comparison("")
    for part in comparisons:
        prefix = f"{_title(part)}."
        result.names += [prefix + name for name in part.names]
        result.missing |= {prefix + name: what for name, what in part.missing.items()}
        result.signatures |= {prefix + name: found for name, found in part.signatures.items()}
        result.methods |= {prefix + name: found for name, found in part.methods.items()}
    return result


def render(comparisons: Sequence[Comparison], version: str) -> str:
    """The text of `docs/compatibility.md`; it depends on nothing but the two libraries."""
    rows = ["| namespace | names | signatures | methods |", "|---|--:|--:|--:|"]
    for part in comparisons:
        if part.names:
            rows.append(_row(f"`{_title(part)}`", part))
    rows.append(_row("**all**", total(comparisons)))
    lines = [_INTRODUCTION.format(version=version), *rows, ""]
    sections = (
        ("Missing names", lambda part: part.missing),
        ("Differing signatures", lambda part: _nonempty(part.signatures)),
        ("Differing methods", lambda part: _nonempty(part.methods)),
    )
    for title, found in sections:
        lines += [f"## {title}", ""]
        listed = [line for part in comparisons for line in _listed(part, found(part))]
        lines += listed or ["None.", ""]
    return "\n".join(lines)


def _title(part: Comparison) -> str:
    return f"keras.{part.path}".rstrip(".")


def _row(title: str, part: Comparison) -> str:
    return f"| {title} | {' | '.join(f'{a}/{b}' if b else '' for a, b in part.figures.values())} |"


def _nonempty(found: dict[str, list[str]]) -> dict[str, str]:
    return {name: "; ".join(differences) for name, differences in found.items() if differences}


def _listed(part: Comparison, found: dict[str, str]) -> list[str]:
    if not found:
        return []
    said = {name: what for name, what in found.items() if what}
    plain = [f"`{name}`" for name in found if name not in said]
    lines = [f"### `{_title(part)}`", ""]
    if plain:
        lines += [", ".join(plain), ""]
    if said:
        lines += [*(f"- `{name}`: {what}" for name, what in said.items()), ""]
    return lines


def document() -> tuple[str, list[Comparison]]:
    """Compare the installed Keras with torchkeras; returns the text and the comparisons."""
    keras = importlib.import_module("keras")
    comparisons = measure(keras)
    return render(comparisons, keras.__version__) + _inside(), comparisons


_INSIDE = """
## Inside Keras: `keras.src`

Every module of Keras's source and every name in it, private ones and imports included, under
`torchkeras run` (`python -m compat_tests.keras_src`). Each can be imported. A name *works* if it
leads to a class, function or value that can be used and takes Keras's parameters; nearly all others
are placeholders, which say when they are used what they are and what to use.

| `keras.src` | modules | names | working |
|---|--:|--:|--:|
"""


def _inside() -> str:
    """The section on `keras.src`, measured in a process of its own, where `keras` is replaced."""
    command = [sys.executable, "-m", "compat_tests.keras_src", "--figures"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=summary.ROOT)
    rows = json.loads(done.stdout.splitlines()[-1]).items()
    return _INSIDE + "".join(
        f"| {title} | {modules} | {had}/{every} | {working} |\n"
        for title, (modules, every, had, working) in rows
    )


def stale_files(text: str) -> list[str]:
    """Which of the files that hold the figures are not what they should be."""
    table = summary.TABLE
    is_stale = not table.is_file() or table.read_text(encoding="utf-8") != text
    return ["docs/compatibility.md"] * is_stale + ["README.md"] * summary.is_stale()


def _report(part: Comparison) -> str:
    figures = " ".join(f"{name} {a}/{b}" for name, (a, b) in part.figures.items())
    lines = [f"{_title(part)}: {figures}"]
    for title, found in (
        ("missing", part.missing),
        ("signature", _nonempty(part.signatures)),
        ("method", _nonempty(part.methods)),
    ):
        lines += [f"  {title} {name}{what and f': {what}'}" for name, what in found.items()]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m compat_tests.api", description="Compare the API of torchkeras with Keras's."
    )
    parser.add_argument("namespaces", nargs="*", help="print these only, such as layers or ops.nn")
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if stale")
    options = parser.parse_args(arguments)
    text, comparisons = document()
    parts = {_title(part).removeprefix("keras."): part for part in comparisons}
    wanted = [name.removeprefix("keras.") for name in options.namespaces]
    unknown = set(wanted) - set(parts)
    if unknown:
        parser.error(f"no namespaces of keras: {', '.join(sorted(unknown))}")
    print(*(_report(parts[name]) for name in wanted or parts), sep="\n")
    if wanted:
        return 0
    print(_report(total(comparisons)).partition("\n")[0].replace("keras", "all", 1))
    if options.check:
        stale = stale_files(text)
        print(*(f"{name}: run `python -m compat_tests.api`" for name in stale), sep="\n")
        return int(bool(stale))
    if "docs/compatibility.md" in stale_files(text):
        summary.TABLE.parent.mkdir(exist_ok=True)
        summary.TABLE.write_text(text, encoding="utf-8")
        print("wrote docs/compatibility.md")
    summary.main([])
    return 0


if __name__ == "__main__":
    sys.exit(main())
