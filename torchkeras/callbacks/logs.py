"""What callbacks get as `logs`: a dict of Python numbers that is filled when somebody looks.

The training loop keeps losses and metrics on the device. Turning them into numbers waits for the
device, so it happens only if a callback reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from ..dtypes import to_numpy

__all__ = ["LazyLogs", "as_logs", "as_numbers", "read"]


def as_numbers(logs: Mapping[str, Any]) -> dict[str, Any]:
    """Sort logs by name, lift nested ones to the top, and turn single numbers into floats.

    Args:
        logs: From name to a number, tensor, array or further logs. What is no single number stays.

    Example:
        >>> as_numbers({"loss": torch.tensor(1.5), "acc": 1, "more": {"note": "x"}})
        {'acc': 1.0, 'loss': 1.5, 'note': 'x'}
    """
    numbers: dict[str, Any] = {}
    for name in sorted(logs):
        value = logs[name]
        if isinstance(value, Mapping):
            numbers.update(as_numbers(value))
        else:
            numbers[name] = _as_number(value)
    return numbers


def read(logs: Mapping[str, Any]) -> dict[str, Any]:
    """Read the numbers of logs; nested ones stay nested, which decides where they are sorted to.

    Example:
        >>> read({"loss": torch.tensor(1.5), "more": {"acc": torch.tensor(1.0)}})
        {'loss': 1.5, 'more': {'acc': 1.0}}
    """
    return {name: read(x) if isinstance(x, Mapping) else _as_number(x) for name, x in logs.items()}


def _as_number(value: Any) -> Any:
    if type(value) is float:
        return value
    if isinstance(value, torch.Tensor):
        if type(value) is torch.Tensor and value.dim() == 0 and value.is_floating_point():
            return value.item()
        value = to_numpy(value)
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


def _filled(name: str) -> Callable[..., Any]:
    """The method `name` of `dict`, called on a filled dict."""
    method = getattr(dict, name)

    def call(self: LazyLogs, *args: Any, **kwargs: Any) -> Any:
        if self._source is not None:
            self.fill()
        return method(self, *args, **kwargs)

    call.__name__ = name
    return call


class LazyLogs(dict):
    """A dict that takes its items from a mapping at the first use.

    Args:
        source: The mapping; reading its values may wait for the device. Its names must be cheap.

    Example:
        >>> logs = LazyLogs({"loss": torch.tensor(2.0)})
        >>> logs["lr"] = 0.1
        >>> logs
        {'loss': 2.0, 'lr': 0.1}
    """

    __slots__ = ("_source",)

    def __init__(self, source: Mapping[str, Any]) -> None:
        # The names are there from the start: some C code asks for a dict's size directly.
        super().__init__(dict.fromkeys(source))
        self._source: Mapping[str, Any] | None = source

    def fill(self) -> None:
        """Read all values now."""
        source, self._source = self._source, None
        if source is not None:
            dict.clear(self)
            dict.update(self, as_numbers(source))

    for _name in (
        *("__contains__", "__delitem__", "__eq__", "__getitem__", "__ior__", "__iter__", "__len__"),
        *("__ne__", "__or__", "__repr__", "__reversed__", "__ror__", "__setitem__", "clear"),
        *("copy", "get", "items", "keys", "pop", "popitem", "setdefault", "update", "values"),
    ):
        locals()[_name] = _filled(_name)
    del _name

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        return dict.__len__(self) > 0

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


def as_logs(logs: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a callback gets for these logs."""
    if not logs:
        return {}
    return logs if isinstance(logs, LazyLogs) else LazyLogs(logs)
