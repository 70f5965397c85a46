"""Lists, tuples and dicts of layers and variables as attributes of a layer.

What is assigned to an attribute stays one of Python's own kinds, and is a `torch.nn.Module`
besides: what it holds is moved, trained and saved with its owner, and found in `state_dict` (and by
`get_submodule`, `torch.func`, `torch.export`) as `blocks.0.kernel`. It is registered as a child of
its owner only while there is state in it.

`_items` mirrors the items in a plain list or dict, and the methods that read go there, because
`torch.compile` cannot look into a subclass of `list` that is a module.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

__all__ = ["Tracked", "TrackedDict", "TrackedList", "TrackedTuple", "track"]


class Tracked(torch.nn.Module):
    """What the three kinds share: after every change, registered children and owner follow."""

    def attach(self, owner: Any, attribute: str) -> Any:
        """Belong to attribute `attribute` of `owner`, a layer or an outer tracked object."""
        # Written directly: torch would note a weak reference, which a tuple cannot have, and the
        # owner is no child of what it owns.
        self.__dict__.update(torch.nn.Module().__dict__)
        self.__dict__.update(_owner=owner, _attribute=attribute, training=owner.training)
        self._changed()
        return self

    def _changed(self) -> None:
        if "_owner" not in self.__dict__:  # a copy in the making
            return
        self._track_items()
        self.__dict__["_items"] = items = self._plain()
        self._modules.clear()
        self._parameters.clear()
        for key, value in items.items() if isinstance(items, dict) else enumerate(items):
            key = str(key).replace(".", "_")
            if isinstance(value, torch.nn.Parameter):
                self._parameters[key] = value
            elif isinstance(value, torch.nn.Module) and not is_stateless(value):
                self._modules[key] = value
        self._owner._follow(self._attribute, self)

    def _follow(self, attribute: str, value: Tracked) -> None:
        """An inner list or dict changed."""
        if any(item is value for item in self._values()):
            self._changed()

    def _plain(self) -> Any:
        """Return the items in a plain list or dict."""
        raise NotImplementedError

    def _values(self) -> list[Any]:
        plain = self._plain()
        return list(plain.values()) if isinstance(plain, dict) else plain

    def _track_items(self) -> None:
        """Turn plain lists, tuples and dicts among the items into tracked ones."""

    def __iter__(self) -> Any:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, key: Any) -> Any:
        return self._items[key]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"A {type(self).__name__} of layers cannot be called.")


class TrackedList(Tracked, list):
    """A list whose layers and variables belong to the layer it is an attribute of."""

    __hash__ = object.__hash__
    __eq__ = list.__eq__
    __repr__ = list.__repr__

    def __init__(self, items: Any) -> None:
        list.__init__(self, items)

    def _plain(self) -> list[Any]:
        return list.__getitem__(self, slice(None))

    def _track_items(self) -> None:
        for i, value in enumerate(self._plain()):
            list.__setitem__(self, i, track(value, self, str(i)))


class TrackedTuple(Tracked, tuple):
    """A tuple whose layers and variables belong to the layer it is an attribute of."""

    __hash__ = object.__hash__
    __eq__ = tuple.__eq__
    __repr__ = tuple.__repr__

    def __init__(self, items: Any) -> None:
        """A tuple is filled when it is made."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Written directly: where `torch.compile` is loaded, torch notes a weak reference here.
        self.__dict__.update(state)

    def _plain(self) -> list[Any]:
        return list(tuple.__iter__(self))


class TrackedDict(Tracked, dict):
    """A dict whose layers and variables belong to the layer it is an attribute of."""

    __hash__ = object.__hash__
    __eq__ = dict.__eq__
    __repr__ = dict.__repr__

    def __init__(self, items: Any) -> None:
        dict.__init__(self, items)

    def _plain(self) -> dict[Any, Any]:
        return dict(dict.items(self))

    def _track_items(self) -> None:
        for key, value in self._plain().items():
            dict.__setitem__(self, key, track(value, self, str(key)))

    def keys(self) -> Any:
        """The keys."""
        return self._items.keys()

    def values(self) -> Any:
        """The values."""
        return self._items.values()

    def items(self) -> Any:
        """Pairs of keys and values."""
        return self._items.items()

    def get(self, key: Any, default: Any = None) -> Any:
        """Return a value, or the default."""
        return self._items.get(key, default)


_KINDS: dict[type, Any] = {list: TrackedList, dict: TrackedDict, tuple: TrackedTuple}


def _following(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def changing(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = method(self, *args, **kwargs)
        self._changed()
        return result

    return changing


for _kind, _methods in (
    (list, "append extend insert remove pop clear reverse sort"),
    (list, "__setitem__ __delitem__ __iadd__ __imul__"),
    (dict, "__setitem__ __delitem__ pop popitem clear update setdefault __ior__"),
):
    for _name in _methods.split():
        setattr(_KINDS[_kind], _name, _following(getattr(_kind, _name)))


def is_stateless(module: torch.nn.Module) -> bool:
    """Whether a tracked object holds no layers and no parameters."""
    return isinstance(module, Tracked) and not (module._modules or module._parameters)


def track(value: Any, owner: Any, attribute: str) -> Any:
    """Return a list or dict, or a tuple with state in it, in tracked form; else `value` itself."""
    kind = _KINDS.get(type(value))
    if kind is None:
        return value
    if kind is TrackedTuple:
        items = [track(item, owner, "") for item in value]
        if not any(_is_state(item) for item in items):
            return value
        return TrackedTuple(items).attach(owner, attribute)
    return kind(value).attach(owner, attribute)


def _is_state(value: Any) -> bool:
    if isinstance(value, Tracked):
        return not is_stateless(value)
    return isinstance(value, (torch.nn.Module, torch.nn.Parameter))
