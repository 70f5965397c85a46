"""Where the families of `keras.ops` register how their functions are called."""

from __future__ import annotations

from collections.abc import Callable

from ._operands import Writer

__all__ = ["CALLS", "Arguments", "calls"]

Arguments = Callable[[Writer], str]

CALLS: dict[str, Arguments] = {}


def calls(*names: str) -> Callable[[Arguments], Arguments]:
    """Register a function that writes the arguments of a call of these ops."""

    def register(arguments: Arguments) -> Arguments:
        CALLS.update(dict.fromkeys(names, arguments))
        return arguments

    return register
