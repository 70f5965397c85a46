"""How constructors and functions of Keras 2 are called, and what today's are to get.

An `Old` says in what a call differs. `alias_of` makes the class that a legacy module has in place
of one of ours: called, it translates the arguments and makes an object of ours; derived from, it
translates what reaches it by `super().__init__`. `wrapped` does so for a function.
"""

from __future__ import annotations

import copyreg
import functools
import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from ...layers import Layer
from ...naming import explain
from ...saving.legacy_config import modernize_arguments

__all__ = [
    "Old",
    "alias_of",
    "drop_former",
    "is_alias",
    "old_layer_arguments",
    "translate",
    "wrapped",
]

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Old(NamedTuple):
    """What differs between a call in Keras 2 and today's.

    Attributes:
        order: Its positional arguments, where they come in another order. Counts where Keras 2 is
            meant, not in `tensorflow.keras`.
        defaults: Values of arguments that are left out; counts likewise.
        renamed: What arguments are called today.
        ignored: Arguments that never changed a result.
        only: Arguments that did, with the values at which they do not.
        convert: Gets the arguments by name, last of all, and changes them.
        note: What a reader should know.
    """

    order: str = ""
    defaults: Mapping[str, Any] = _NOTHING
    renamed: Mapping[str, str] = _NOTHING
    ignored: tuple[str, ...] = ()
    only: Mapping[str, tuple[Any, ...]] = _NOTHING
    convert: Callable[[dict[str, Any]], None] | None = None
    note: str = ""


def translate(
    old: Old, target: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], keras_2: bool
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Turn the arguments of an old call into those of `target`.

    Raises:
        TypeError: An argument is given twice.
        ValueError: An argument that no longer exists would change the result.
    """
    if args:
        order = old.order.split() if keras_2 and old.order else _positional(target, len(args))
        named = dict(zip(order, args, strict=False))
        twice = named.keys() & kwargs.keys()
        if twice:
            raise TypeError(f"{name}() got multiple values for argument '{min(twice)}'")
        kwargs = {**named, **kwargs}
        args = args[len(named) :]
    else:
        kwargs = dict(kwargs)
    for key, today in old.renamed.items():
        if key in kwargs:
            if today in kwargs:
                raise TypeError(f"{name}() got both `{key}` and `{today}`, its name of today.")
            kwargs[today] = kwargs.pop(key)
    drop_former(old, name, kwargs)
    if keras_2:
        for key, value in old.defaults.items():
            kwargs.setdefault(key, value)
    if old.convert is not None:
        old.convert(kwargs)
    return args, kwargs


def drop_former(old: Old, name: str, kwargs: dict[str, Any]) -> None:
    """Take the arguments that no longer exist out of `kwargs`.

    Raises:
        ValueError: One of them would change the result.
    """
    for key in old.ignored:
        kwargs.pop(key, None)
    for key, harmless in old.only.items():
        value = kwargs.pop(key, harmless[0])
        if not any(value is fine or (value == fine) is True for fine in harmless):
            raise ValueError(
                explain(
                    f"{name}: `{key}` no longer exists, and {value!r} would change the result.",
                    expected=" or ".join(map(repr, harmless)),
                    fix=old.note or f"leave out `{key}`.",
                )
            )


def _positional(target: Any, count: int) -> list[str]:
    """The names of the first positional arguments of a function or class; none where open."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [p.name for p in inspect.signature(target).parameters.values() if p.kind in kinds]
    return names if len(names) >= count else []


# Classes -----------------------------------------------------------------------------------------


class _Alias(type):
    """The class of aliases, and of classes that a program derives from them."""

    _real: type
    _translate: Callable[..., tuple[tuple[Any, ...], dict[str, Any]]]

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        real = cls.__dict__.get("_real")
        if real is None:
            return super().__call__(*args, **kwargs)
        args, kwargs = cls._translate(args, kwargs)
        return real(*args, **kwargs)

    @property
    def __signature__(cls) -> inspect.Signature:
        real = cls.__dict__.get("_real")
        if real is not None:
            return inspect.signature(real)
        own = inspect.signature(cls.__init__)
        return own.replace(parameters=list(own.parameters.values())[1:])

    def __instancecheck__(cls, instance: Any) -> bool:
        real = cls.__dict__.get("_real")
        return super().__instancecheck__(instance) if real is None else isinstance(instance, real)

    def __subclasscheck__(cls, other: type) -> bool:
        real = cls.__dict__.get("_real")
        return super().__subclasscheck__(other) if real is None else issubclass(other, real)

    def __eq__(cls, other: Any) -> bool:
        return _itself(cls) is _itself(other)

    def __hash__(cls) -> int:
        real = cls.__dict__.get("_real")
        return super().__hash__() if real is None else hash(real)


def _itself(cls: Any) -> Any:
    return cls.__dict__.get("_real", cls) if isinstance(cls, _Alias) else cls


# An alias is pickled as what it stands for; other classes by their names, as ever.
copyreg.pickle(
    _Alias, lambda cls: (_itself, (_itself(cls),)) if is_alias(cls) else cls.__qualname__
)


def is_alias(cls: Any) -> bool:
    """Whether a class stands for one of ours, and is not one of a program's derived from it."""
    return isinstance(cls, _Alias) and "_real" in cls.__dict__


def alias_of(real: type, translated: Callable[..., Any]) -> type:
    """Make the class that stands for `real`.

    Args:
        real: One of ours.
        translated: Takes the arguments, a tuple and a dict, and returns those for `real`.
    """

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        args, kwargs = translated(args, kwargs)
        real.__init__(self, *args, **kwargs)

    __init__.__signature__ = inspect.signature(real.__init__)
    members = {
        "_real": real,
        "_translate": staticmethod(translated),
        "__init__": __init__,
        "__module__": real.__module__,
        "__qualname__": real.__qualname__,
        "__doc__": real.__doc__,
    }
    return _Alias(real.__name__, (real,), members)


def wrapped(function: Callable[..., Any], old: Old, keras_2: bool) -> Callable[..., Any]:
    """Return a function that is called as in Keras 2."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = translate(old, function, function.__name__, args, kwargs, keras_2)
        return function(*args, **kwargs)

    return call


# Layers ------------------------------------------------------------------------------------------

# What constructors take beside the settings that are in a layer's config.
_OF_THE_CALL = frozenset(
    {"batch_input_shape", "batch_size", "input_dim", "input_shape", "trainable", "weights"}
)


def old_layer_arguments(real: type[Layer], kwargs: dict[str, Any], keras_2: bool) -> dict[str, Any]:
    """Translate a layer's arguments as those in a file of Keras 2 are, by the same tables."""
    aside = {key: kwargs[key] for key in kwargs if key in _OF_THE_CALL}
    if "input_dim" in inspect.signature(real.__init__).parameters:  # of an `Embedding`, a setting
        aside.pop("input_dim", None)
    settings = {key: value for key, value in kwargs.items() if key not in aside}
    return {**modernize_arguments(real, settings, keras_2), **aside}
