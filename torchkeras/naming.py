"""Names: unique ones for objects, paths for variables, and how error messages speak of them."""

from __future__ import annotations

import contextlib
import difflib
import functools
import re
from collections.abc import Iterable, Iterator
from typing import Any

from .config import at_clear_session, get_global_attribute

__all__ = [
    "auto_name",
    "check_some_axis",
    "current_path",
    "explain",
    "get_object_name",
    "get_uid",
    "is_scope_of",
    "kept_uids",
    "name_scope",
    "nearest",
    "reset_uids",
    "to_snake_case",
    "uniquify",
]

_UIDS: dict[str, int] = {}
_ACRONYM = re.compile(r"(.)([A-Z][a-z]+)")
_CAMEL = re.compile(r"([a-z])([A-Z])")


@functools.lru_cache(maxsize=4096)
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
    _UIDS[prefix] = count = _UIDS.get(prefix, 0) + 1
    return count


@at_clear_session
def reset_uids() -> None:
    """Forget all counts: the next `Dense` layer is called `dense` again."""
    _UIDS.clear()


@contextlib.contextmanager
def kept_uids() -> Iterator[None]:
    """Within it, names may be taken that are free again behind it.

    >>> with kept_uids():
    ...     inside = uniquify("kept")
    >>> inside, uniquify("kept")
    ('kept', 'kept')
    """
    counts = _UIDS.copy()
    try:
        yield
    finally:
        _UIDS.clear()
        _UIDS.update(counts)


def uniquify(name: str) -> str:
    """Return `name`, `name_1`, `name_2`, … at successive calls."""
    _UIDS[name] = count = _UIDS.get(name, 0) + 1
    return name if count == 1 else f"{name}_{count - 1}"


def auto_name(prefix: str) -> str:
    """Make the default name of an object of the class `prefix`: `dense`, then `dense_1`, …"""
    return uniquify(to_snake_case(prefix))


class name_scope:  # noqa: N801 - a context manager, used like a function
    """Prefix the paths of variables made inside with `name`.

    Args:
        name: One part of the path.
        caller: The object that opens the scope. One that remembers where it was first opened, as
            layers do in `_parent_path`, is back there.
        deduplicate: Whether a caller within its own scope of that name opens no second one.
        override_parent: The path that takes the place of the scopes around.

    Raises:
        ValueError: `name` is no string, or contains a slash.

    >>> with name_scope("model"), name_scope("dense"):
    ...     current_path()
    'model/dense'
    """

    def __init__(
        self,
        name: str,
        caller: Any = None,
        deduplicate: bool = True,
        override_parent: str | None = None,
    ) -> None:
        if not isinstance(name, str) or "/" in name:
            raise ValueError(
                "Argument `name` must be a string and cannot contain character `/`, which"
                f" separates the parts of a path. Received: name={name!r}"
            )
        self.name = name
        self.caller = caller
        self.deduplicate = deduplicate
        if override_parent is None and deduplicate:
            override_parent = getattr(caller, "_parent_path", None)
        self.override_parent = override_parent
        self._pop_on_exit = False
        self._path = ""  # with those around it; known once it is open

    def __enter__(self) -> name_scope:
        scopes = get_global_attribute(_SCOPES, [], set_to_default=True)
        inner = scopes[-1] if scopes and self.deduplicate and self.caller is not None else None
        if inner is None or inner.caller is not self.caller or inner.name != self.name:
            parent = self.override_parent
            if parent is not None:
                parent = "/".join(filter(None, parent.split("/"))) if "/" in parent else parent
            else:
                parent = scopes[-1]._path if scopes else ""
            self._path = f"{parent}/{self.name}" if parent else self.name
            scopes.append(self)
            self._pop_on_exit = True
        return self

    def __exit__(self, *exception: object) -> None:
        # `clear_session` may have closed it.
        scopes = get_global_attribute(_SCOPES)
        if self._pop_on_exit and scopes:
            scopes.pop()
        self._pop_on_exit = False


_SCOPES = "name_scope_stack"


def is_scope_of(caller: Any) -> bool:
    """Whether the innermost open scope is that of `caller`, by its present name."""
    scopes = get_global_attribute(_SCOPES)
    return bool(scopes) and scopes[-1].caller is caller and scopes[-1].name == caller.name


def current_path() -> str:
    """Return the open name scopes joined by slashes; `""` outside of any."""
    scopes = get_global_attribute(_SCOPES)
    return scopes[-1]._path if scopes else ""


def get_object_name(obj: Any) -> str:
    """Return the name of a layer, function or other object.

    >>> get_object_name(get_object_name)
    'get_object_name'
    """
    if hasattr(obj, "name"):
        return obj.name
    return to_snake_case(getattr(obj, "__name__", type(obj).__name__))


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


def check_some_axis(owner: str, axis: Any) -> None:
    """Refuse an empty list of axes, which torch takes for all of them and NumPy for none.

    Raises:
        ValueError: It is one.

    >>> check_some_axis("Softmax", (0, 1))
    """
    if isinstance(axis, (list, tuple)) and not axis:
        raise ValueError(f"{owner}: `axis` must name at least one axis. Received: axis={axis!r}")
