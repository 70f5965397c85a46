"""Names: unique ones for objects, paths for variables, and how error messages speak of them."""

from __future__ import annotations

import collections
import contextlib
import difflib
import re
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from .config import at_clear_session

__all__ = [
    "auto_name",
    "current_path",
    "explain",
    "get_uid",
    "name_scope",
    "nearest",
    "reset_uids",
    "to_snake_case",
    "uniquify",
]

_UIDS: collections.Counter[str] = collections.Counter()
_ACRONYM = re.compile(r"(.)([A-Z][a-z]+)")
_CAMEL = re.compile(r"([a-z])([A-Z])")


def to_snake_case(name: str) -> str:
    """Turn a class name into the form used in object names.

    >>> to_snake_case("MaxPooling2D")
    'max_pooling2d'
    """
    name = re.sub(r"\W+", "", name)
    name = _ACRONYM.sub(r"\1_\2", name)
    return _CAMEL.sub(r"\1_\2", name).lower()


def get_uid(prefix: str = "") -> int:
    """Count how often `prefix` has been asked for, starting at 1."""
    _UIDS[prefix] += 1
    return _UIDS[prefix]


@at_clear_session
def reset_uids() -> None:
    """Forget all counts: the next `Dense` layer is called `dense` again."""
    _UIDS.clear()


def uniquify(name: str) -> str:
    """Return `name`, `name_1`, `name_2`, … at successive calls."""
    count = get_uid(name) - 1
    return f"{name}_{count}" if count else name


def auto_name(class_name: str) -> str:
    """Make the default name of an object of class `class_name`: `dense`, then `dense_1`, …"""
    return uniquify(to_snake_case(class_name))


class _Scopes(threading.local):
    """The names of the objects being built on this thread, outermost first, and whose they are."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.callers: list[Any] = [None]


_SCOPES = _Scopes()


@contextlib.contextmanager
def name_scope(name: str, caller: Any = None) -> Iterator[None]:
    """Prefix the paths of variables made inside with `name`.

    Args:
        name: One part of the path.
        caller: The object that opens the scope; within its own scope it opens no second one.

    >>> with name_scope("model"), name_scope("dense"):
    ...     current_path()
    'model/dense'
    """
    if caller is not None and _SCOPES.callers[-1] is caller:
        yield
        return
    _SCOPES.names.append(name)
    _SCOPES.callers.append(caller)
    try:
        yield
    finally:
        _SCOPES.names.pop()
        _SCOPES.callers.pop()


def current_path() -> str:
    """Return the open name scopes joined by slashes; `""` outside of any."""
    return "/".join(_SCOPES.names)


def nearest(name: str, options: Iterable[str]) -> str:
    """Suggest the option closest to a mistyped `name`, or nothing if none is close.

    >>> nearest("adma", ["adam", "sgd"])
    "Did you mean 'adam'?"
    """
    options = sorted({str(option) for option in options})
    folded = {option.lower(): option for option in reversed(options)}
    matches = difflib.get_close_matches(str(name).lower(), folded, n=1, cutoff=0.6)
    return f"Did you mean {folded[matches[0]]!r}?" if matches else ""


def explain(message: str, fix: str | None = None, **facts: Any) -> str:
    """Compose an error message: what is wrong, the facts, and how to mend it.

    >>> print(explain("Wrong rank.", shape=(3,), fix="add an axis."))
    Wrong rank.
      shape: (3,)
    Fix: add an axis.
    """
    lines = [message, *(f"  {name}: {value}" for name, value in facts.items())]
    if fix:
        lines.append(f"Fix: {fix}")
    return "\n".join(lines)
