"""`keras.src.api_export`: the decorator that gives a class or function of Keras its public name."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, TypeVar

__all__ = [
    "REGISTERED_NAMES_TO_OBJS",
    "REGISTERED_OBJS_TO_NAMES",
    "get_name_from_symbol",
    "get_symbol_from_name",
    "keras_export",
    "register_internal_serializable",
]

T = TypeVar("T")

# What was registered by the decorator; what torchkeras offers needs no registration.
REGISTERED_NAMES_TO_OBJS: dict[str, Any] = {}
REGISTERED_OBJS_TO_NAMES: dict[Any, str] = {}

_LIBRARY = __package__.partition(".")[0]


def register_internal_serializable(path: str | Sequence[str], symbol: Any) -> None:
    """Note the public name of an object; of several names the first is the one it goes by."""
    name = path if isinstance(path, str) else path[0]
    REGISTERED_NAMES_TO_OBJS[name] = symbol
    REGISTERED_OBJS_TO_NAMES[symbol] = name


def get_symbol_from_name(name: str) -> Any:
    """Return the object of a public name, or `None`.

    >>> get_symbol_from_name("keras.layers.Dense").__name__
    'Dense'
    """
    if name in REGISTERED_NAMES_TO_OBJS:
        return REGISTERED_NAMES_TO_OBJS[name]
    module, _, attribute = name.rpartition(".")
    package, _, below = module.partition(".")
    if package != "keras":
        return None
    try:
        return getattr(importlib.import_module(f"{_LIBRARY}.{below}".rstrip(".")), attribute, None)
    except ModuleNotFoundError:
        return None


def get_name_from_symbol(symbol: Any) -> str | None:
    """Return the public name of an object, or `None`.

    >>> get_name_from_symbol(get_symbol_from_name("keras.layers.Dense"))
    'keras.layers.Dense'
    """
    try:
        if symbol in REGISTERED_OBJS_TO_NAMES:
            return REGISTERED_OBJS_TO_NAMES[symbol]
    except TypeError:  # not hashable
        return None
    package, _, rest = getattr(symbol, "__module__", "").partition(".")
    name = f"keras.{rest.partition('.')[0]}.{getattr(symbol, '__name__', '')}"
    return name if package == _LIBRARY and get_symbol_from_name(name) is symbol else None


class keras_export:  # noqa: N801, the name is Keras's
    """Register what is decorated under a public name; it stays as it is.

    Args:
        path: The name, or several.
    """

    def __init__(self, path: str | Sequence[str]) -> None:
        self.path = path

    def __call__(self, symbol: T) -> T:
        register_internal_serializable(self.path, symbol)
        return symbol
