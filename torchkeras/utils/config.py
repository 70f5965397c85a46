"""`Config`: named values, read and written as attributes or as items."""

from __future__ import annotations

import json
from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from typing import Any

from ..naming import nearest

__all__ = ["Config"]


class Config:
    """A dict whose entries are attributes too, and which can be frozen.

    Args:
        kwargs: The first entries.

    Raises:
        ValueError: It is frozen, and something would change it.
        AttributeError: An attribute that is no entry is read.

    Example:
        >>> config = Config(rate=0.1)
        >>> config.seed = 3
        >>> config["seed"], config.rate, list(config)
        (3, 0.1, ['rate', 'seed'])
        >>> config.to_json()
        '{"rate": 0.1, "seed": 3}'
    """

    _config: dict[str, Any]
    _frozen: bool

    def __init__(self, **kwargs: Any) -> None:
        self.__dict__.update(_config=kwargs, _frozen=False)

    @property
    def frozen(self) -> bool:
        """Whether changes are refused."""
        return self._frozen

    def freeze(self) -> None:
        """Refuse changes from here on."""
        self.__dict__["_frozen"] = True

    def unfreeze(self) -> None:
        """Allow changes again."""
        self.__dict__["_frozen"] = False

    def _changed(self) -> dict[str, Any]:
        """The entries, for changing them."""
        if self._frozen:
            raise ValueError(
                "Cannot mutate attribute(s) because the config is frozen. Fix: call `unfreeze()`."
            )
        return self._config

    def as_dict(self) -> dict[str, Any]:
        """A dict of the entries."""
        return dict(self._config)

    def to_json(self) -> str:
        """The entries as JSON."""
        return json.dumps(self._config)

    def keys(self) -> KeysView[str]:
        """The names, in order of insertion."""
        return self._config.keys()

    def values(self) -> ValuesView[Any]:
        """The values, in order of insertion."""
        return self._config.values()

    def items(self) -> ItemsView[str, Any]:
        """Names and values, in order of insertion."""
        return self._config.items()

    def pop(self, *args: Any) -> Any:
        """As `dict.pop`."""
        return self._changed().pop(*args)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """As `dict.update`."""
        self._changed().update(*args, **kwargs)

    def get(self, keyname: str, value: Any = None) -> Any:
        """The value of a name, or `value` where there is none."""
        return self._config.get(keyname, value)

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(type(self), name):  # a method, or a property without a setter
            object.__setattr__(self, name, value)
        else:
            self._changed()[name] = value

    def __getattr__(self, name: str) -> Any:
        entries = self.__dict__.get("_config", {})
        if name in entries:
            return entries[name]
        raise AttributeError(f"Unknown attribute: '{name}'. {nearest(name, entries)}".rstrip())

    def __delattr__(self, name: str) -> None:
        if name not in self._config:
            raise AttributeError(f"Unknown attribute: '{name}'.")
        del self._changed()[name]

    def __setitem__(self, key: str, item: Any) -> None:
        self._changed()[key] = item

    def __getitem__(self, key: str) -> Any:
        return self._config[key]

    def __delitem__(self, key: str) -> None:
        del self._changed()[key]

    def __contains__(self, item: object) -> bool:
        return item in self._config

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, sorted."""
        return iter(sorted(self._config))

    def __len__(self) -> int:
        return len(self._config)

    def __repr__(self) -> str:
        return f"<Config {self._config}>"
