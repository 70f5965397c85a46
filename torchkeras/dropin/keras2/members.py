"""Replacing methods: `wraps` marks what takes the former one, `without` drops arguments."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .calls import Old, drop_former

__all__ = ["without", "wraps"]


def wraps(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Mark a function that takes what there was and returns what takes its place."""
    make.wraps_former = True
    return make


def without(
    *ignored: str, positional: int | None = None, **only: tuple[Any, ...]
) -> Callable[..., Any]:
    """Make what lets a method take arguments that do nothing here, or nothing at these values.

    Args:
        ignored: Those that do nothing.
        positional: How many have had the same place ever since; others have to be named.
        only: Others, with the values.
    """
    old = Old(ignored=ignored, only=only)

    @wraps
    def wrap(former: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(former)
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            if positional is not None and len(args) > positional:
                raise TypeError(
                    f"{former.__name__} of '{self.name}': arguments after the first {positional}"
                    " have changed places; name them."
                )
            drop_former(old, f"{former.__name__} of '{self.name}'", kwargs)
            return former(self, *args, **kwargs)

        return method

    parts = [f"`{key}`, which does nothing" for key in ignored]
    parts += [f"`{key}` if it is {' or '.join(map(repr, fine))}" for key, fine in only.items()]
    wrap.means = f"Take {', '.join(parts)}."
    return wrap
