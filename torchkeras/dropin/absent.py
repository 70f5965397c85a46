"""What stands for an internal name of Keras that has no equivalent here: it raises when it is used.

A library's first lines often import more than its code uses. With a placeholder they run, and what
is used says what it is and what to use in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..naming import explain

__all__ = ["absent", "is_absent"]


class _Absent(type):
    """The class of placeholders; each is a class itself, so that `isinstance` can ask for it."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> _Absent:
        for base in bases:
            if isinstance(base, _Absent):
                raise NotImplementedError(base._said("cannot be subclassed"))
        return super().__new__(mcs, name, bases, namespace)

    def _said(cls, what: str) -> str:
        values = type.__getattribute__(cls, "__dict__")
        return explain(f"`{values['_path']}` {what}: {values['_reason']}", fix=values["_fix"])

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)  # asked by Python, by mocks and by collectors of tests
        raise AttributeError(cls._said(f"has no attribute `{name}`"))

    def __setattr__(cls, name: str, value: Any) -> None:
        raise AttributeError(cls._said(f"takes no attribute `{name}`"))

    def __eq__(cls, other: object) -> bool:
        if isinstance(other, type):  # `Operation in cls.__mro__` compares classes
            return cls is other
        raise NotImplementedError(cls._said("has no value to compare or to test"))

    def __hash__(cls) -> int:
        return id(cls)

    def __instancecheck__(cls, instance: Any) -> bool:
        return False

    def __subclasscheck__(cls, subclass: type) -> bool:
        return subclass is cls

    def __repr__(cls) -> str:
        return f"<no equivalent of {type.__getattribute__(cls, '__dict__')['_path']}>"


def _refuse(what: str) -> Callable[..., Any]:
    def refuse(cls: _Absent, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(cls._said(what))

    return refuse


_USES = {
    "cannot be called": "call",
    "cannot be iterated over": "iter len contains",
    "has no items": "getitem setitem delitem",
    "has no value to compare or to test": "lt le gt ge bool",
    "is no number": "add radd sub rsub mul rmul truediv rtruediv floordiv rfloordiv mod rmod pow"
    " rpow matmul rmatmul neg pos abs int float index",
    "is no context": "enter exit",
}
for _what, _methods in _USES.items():
    for _method in _methods.split():
        setattr(_Absent, f"__{_method}__", _refuse(_what))


def absent(path: str, reason: str, fix: str) -> type:
    """Make the placeholder for a name.

    Args:
        path: The name with its module, as `"keras.src.backend.jax.trainer.JAXTrainer"`.
        reason: Why there is no equivalent.
        fix: What to use.

    >>> lost = absent("keras.src.a.lost", "it is not needed here.", "use `keras.ops`.")
    >>> isinstance(3, lost)
    False
    >>> lost(3)
    Traceback (most recent call last):
        ...
    NotImplementedError: `keras.src.a.lost` cannot be called: it is not needed here.
    Fix: use `keras.ops`.
    """
    name = path.rpartition(".")[2]
    return _Absent(name, (), {"_path": path, "_reason": reason, "_fix": fix})


def is_absent(x: Any) -> bool:
    """Tell whether `x` is a placeholder."""
    return isinstance(x, _Absent)
