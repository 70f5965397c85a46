"""Whether everything that `tf_keras` lets scripts name is met, or refused by name.

    python -m compat_tests.legacy.surface [--all]

`tf_keras`, in a process of its own, lists its public names, the arguments of its functions and
constructors, and the members of its classes with their arguments. Each is looked for under the
runner's `tf_keras`. It is the `same` as in Keras 3, `met` by the legacy surface, or `refused` by an
error that says what to use; a name that is none of these is UNMET, and printed. Ends in `N/N`.
"""

from __future__ import annotations

import argparse
import collections
import inspect
import json
import pathlib
import subprocess
import sys
import types
from collections.abc import Iterator
from typing import Any

__all__ = ["compare", "listing"]

# What Keras calls, by position, and what a program does not call by the names of its arguments.
_BY_POSITION = frozenset(
    "adapt build call compute_mask compute_output_shape compute_output_signature from_config"
    " get_initial_state reset_states update_state update_step compute_output_spec".split()
)
# Of the mixins and inner classes of Keras: not documented, and in no script.
_INNER = frozenset({"BaseLossScaleOptimizer", "BatchFromFilesMixin", "DropoutRNNCellMixin",
                    "PreprocessingLayer", "_Dict", "Trackable"})  # fmt: skip


# In the process of `tf_keras` ---------------------------------------------------------------------


def listing(keras: Any) -> dict[str, dict[str, Any]]:
    """List the public names of a package by their paths."""
    found: dict[str, dict[str, Any]] = {}
    _list(keras, keras.__name__, found, {keras})
    return found


def _list(module: Any, path: str, found: dict[str, Any], seen: set[Any]) -> None:
    for name in sorted(n for n in dir(module) if not n.startswith("_") and n != "src"):
        value, below = getattr(module, name), f"{path}.{name}"
        if isinstance(value, types.ModuleType):
            if value.__name__.startswith("tf_keras") and value not in seen:
                found[below] = {"kind": "module"}
                if "protobuf" not in below:
                    _list(value, below, found, {*seen, value})
        elif inspect.isclass(value):
            members = {}
            for key in (key for key in dir(value) if not key.startswith("_")):
                owner = next((c for c in value.__mro__ if key in vars(c)), None)
                if owner is not None and owner.__module__.startswith("tf_keras"):
                    attribute = getattr(value, key, None)
                    arguments = _arguments(attribute) if callable(attribute) else []
                    members[key] = [owner.__name__, arguments]
            found[below] = {"kind": "class", "arguments": _arguments(value), "members": members}
        elif callable(value):
            found[below] = {"kind": "function", "arguments": _arguments(value)}


def _arguments(function: Any) -> list[str]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if "VAR" not in p.kind.name and p.name != "self"]


# In the process of torchkeras ---------------------------------------------------------------------


def compare(theirs: dict[str, dict[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """Yield each name with `same`, `met`, `refused` or `UNMET`, and what there is to say."""
    from torchkeras.dropin.keras2.faces import face
    from torchkeras.dropin.keras2.names import CALLS, MODULES, NAMES, Met, Refused

    for full, entry in theirs.items():
        path = full.partition(".")[2]
        parent, _, name = path.rpartition(".")
        known = NAMES.get(path)
        if isinstance(known, Refused):
            yield full, "refused", known.fix
            continue
        try:
            ours = getattr(face("tf_keras", parent), name)
        except Exception as error:
            refused = _is_refusal(NAMES, path)
            yield full, "refused" if refused else "UNMET", str(error).replace("\n", " ")
            continue
        yield full, "met" if isinstance(known, Met) or path in MODULES else "same", ""
        old = CALLS.get(
            f"{MODULES.get(parent, parent).partition('.experimental')[0]}.{name}".lstrip(".")
        )
        for argument in entry.get("arguments", ()):
            yield f"{full}({argument})", *_argument(ours, argument, old, entry["kind"])
        for member, (owner, arguments) in entry.get("members", {}).items():
            if owner in _INNER:
                continue
            yield from _member(f"{full}.{member}", ours, member, owner, arguments)


def _is_refusal(names: dict[str, Any], path: str) -> bool:
    below = [entry for known, entry in names.items() if known.startswith(path + ".")]
    return bool(below) and all(hasattr(entry, "fix") for entry in below)


def _argument(ours: Any, argument: str, old: Any, kind: str) -> tuple[str, str]:
    if old is not None and (
        argument in (*old.renamed, *old.ignored, *old.only, *old.order.split())
    ):
        return "met", ""
    if old is not None and old.convert is not None and argument in inspect.getsource(old.convert):
        return "met", ""
    real = vars(ours).get("_real", ours) if kind == "class" and inspect.isclass(ours) else ours
    if argument in _accepted(real):
        return "same", ""
    if inspect.isclass(real) and _is_translated(real, argument):
        return "met", ""
    return "UNMET", "no such argument"


def _accepted(function: Any) -> set[str]:
    from torchkeras.saving.legacy_training import constructor_parameters

    if inspect.isclass(function):
        return set(constructor_parameters(function))
    try:
        names = set(inspect.signature(function).parameters)
        return names | set(inspect.signature(function, follow_wrapped=False).parameters)
    except (TypeError, ValueError):
        return set()


def _is_translated(cls: type, argument: str) -> bool:
    """Whether the tables for files know the argument of a layer."""
    from torchkeras.layers import Layer
    from torchkeras.saving.legacy_config import modernize_arguments

    if not issubclass(cls, Layer):
        return False
    if argument in ("dynamic", "weights", "input_dtype"):
        return True
    return argument not in modernize_arguments(cls, {argument: None}, keras_2=False)


def _member(
    full: str, cls: Any, name: str, owner: str, arguments: list[str]
) -> Iterator[tuple[str, str, str]]:
    from torchkeras.dropin.keras2.objects import OBJECTS, REFUSED_MEMBERS

    cls = vars(cls).get("_real", cls) if inspect.isclass(cls) else cls
    if name == "add_metric":
        yield full, "refused", "it raises, and says what to use"
        return
    for base, names in REFUSED_MEMBERS.items():
        if inspect.isclass(cls) and issubclass(cls, base) and name in names:
            yield full, "refused", names[name]
            return
    if not hasattr(cls, name) and name not in _set_in_init(cls):
        yield full, "UNMET", f"no such member (of {owner})"
        return
    met = next(
        (table[name] for base, table in OBJECTS.items() if name in table
         and inspect.isclass(cls) and issubclass(cls, base)), None,
    )  # fmt: skip
    yield full, "same" if met is None else "met", ""
    if name in _BY_POSITION or not callable(getattr(cls, name, None)):
        return
    known = _accepted(getattr(cls, name))
    means = getattr(met, "means", None) or getattr(met, "__doc__", None) or ""
    for argument in arguments:
        word = "same" if argument in known else "met" if f"`{argument}`" in means else "UNMET"
        yield f"{full}({argument})", word, "" if word != "UNMET" else "no such argument"


def _set_in_init(cls: Any) -> set[str]:
    """Names of attributes that constructors of a class and its bases set."""
    found: set[str] = set()
    for base in getattr(cls, "__mro__", ()):
        code = getattr(vars(base).get("__init__"), "__code__", None)
        found |= set(code.co_names) | {str(c) for c in code.co_consts} if code else set()
        found |= {str(c) for consts in (code.co_consts if code else ()) if isinstance(consts, tuple)
                  for c in consts}  # fmt: skip
    return found


def main() -> int:
    """List, compare, report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--all", action="store_true", help="print every name")
    parser.add_argument("--list", type=pathlib.Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.list:
        import tf_keras

        arguments.list.write_text(json.dumps(listing(tf_keras)))
        return 0
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "surface.json"
        subprocess.run([sys.executable, "-m", __spec__.name, "--list", path], check=True)
        theirs = json.loads(path.read_text())
    import torchkeras.dropin

    torchkeras.dropin.install("keras", "tf_keras")
    counts: collections.Counter[str] = collections.Counter()
    for name, word, details in compare(theirs):
        counts[word] += 1
        if word == "UNMET" or arguments.all:
            print(word, name, details)
    print(f"{counts.total() - counts['UNMET']}/{counts.total()};", dict(counts))
    return int(not counts.total() or counts["UNMET"] > 0)


if __name__ == "__main__":
    sys.exit(main())
