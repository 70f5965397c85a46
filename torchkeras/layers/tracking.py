"""Lists and dicts of layers and variables as attributes of a layer.

A list, tuple or dict assigned to a layer's attribute stays one of Python's own, and is mirrored into
a container module, so that what it holds is moved, trained, saved, and found in `state_dict` as
`blocks.0.kernel`. The container is registered only while there is something for it to hold.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import torch

__all__ = ["Container", "TrackedDict", "TrackedList", "track"]


class Container(torch.nn.Module):
    """Mirrors the modules and parameters of a list, tuple or dict."""

    def mirror(self, items: Iterable[tuple[Any, Any]]) -> None:
        """Hold what is a module or parameter among `items`, and nothing else."""
        self._modules.clear()
        self._parameters.clear()
        for key, value in items:
            key = str(key).replace(".", "_")
            if isinstance(value, torch.nn.Parameter):
                self._parameters[key] = value
                continue
            module = value if isinstance(value, torch.nn.Module) else container_of(value)
            if module is not None:
                self._modules[key] = module

    def is_empty(self) -> bool:
        """Return whether nothing is held."""
        return not (self._modules or self._parameters)


def container_of(value: Any) -> Container | None:
    """Return the container that mirrors a list, tuple or dict, or `None` if it holds no state."""
    container = getattr(value, "_container", None)
    if container is None and isinstance(value, tuple):
        container = Container()
        container.mirror(enumerate(value))
    return None if container is None or container.is_empty() else container


class _Tracked:
    """What tracked lists and dicts share: after every change, the container and owner follow."""

    def attach(self, owner: Any, attribute: str) -> Any:
        """Belong to attribute `attribute` of `owner`, a layer or an outer tracked object."""
        self._owner, self._attribute, self._container = owner, attribute, Container()
        self._changed()
        return self

    def _changed(self) -> None:
        if "_container" not in self.__dict__:  # a copy in the making
            return
        for key, value in self._entries():
            if type(value) in _KINDS:
                self._replace(key, _KINDS[type(value)](value).attach(self, str(key)))
        self._container.mirror(self._entries())
        self._owner._mirror(self._attribute, self._container, self)

    def _mirror(self, attribute: str, container: Container, value: Any) -> None:
        """An inner list or dict changed."""
        if "_owner" in self.__dict__ and any(item is value for _, item in self._entries()):
            self._changed()

    def _entries(self) -> list[tuple[Any, Any]]:
        raise NotImplementedError

    def _replace(self, key: Any, value: Any) -> None:
        raise NotImplementedError


class TrackedList(_Tracked, list):
    """A list whose layers and variables belong to the layer it is an attribute of."""

    def _entries(self) -> list[tuple[Any, Any]]:
        return list(enumerate(self))

    def _replace(self, key: Any, value: Any) -> None:
        list.__setitem__(self, key, value)


class TrackedDict(_Tracked, dict):
    """A dict whose layers and variables belong to the layer it is an attribute of."""

    def _entries(self) -> list[tuple[Any, Any]]:
        return list(self.items())

    def _replace(self, key: Any, value: Any) -> None:
        dict.__setitem__(self, key, value)


_KINDS: dict[type, Any] = {list: TrackedList, dict: TrackedDict}


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


def track(value: Any, owner: Any, attribute: str) -> Any:
    """Return a list or dict in its tracked form; any other value as it is."""
    kind = _KINDS.get(type(value))
    return value if kind is None else kind(value).attach(owner, attribute)
