"""`Code`: a straight-line Python function, written call by call.

It has those methods of `torch.fx.Graph` that `Lowering` uses, at a fifth of the time: no nodes that
could be changed later, and no look at what the generated text means. Names and values come from
files too, so nothing is spelled out but names that are Python's and plain literals; anything else,
each function called among them, is a global of the function under a name of ours.
"""

from __future__ import annotations

import builtins
import keyword
import math
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["Code"]

_LITERALS = frozenset({type(None), bool, int, str})


class _Value:
    """The result of a call in the code, or something that can be written in its place.

    Attributes:
        text: The variable that holds it; known when the code is written.
        fixed: Whether the text stands for it anywhere.
    """

    __slots__ = ("fixed", "text")

    def __init__(self, text: str = "", fixed: bool = False) -> None:
        self.text, self.fixed = text, fixed


class Code:
    """A function of `self` and its parameters, as a list of calls.

    Example:
        >>> code = Code()
        >>> x = code.placeholder("x")
        >>> code.output(code.call_function(max, (x, 3)))
        >>> code.compile("<example>")(None, 2)
        3
    """

    def __init__(self) -> None:
        self._globals: dict[str, Any] = {}
        self._parameters: list[str] = []
        # Result, what is called, arguments, and whether it is needed for its result alone.
        self._lines: list[tuple[_Value, str, tuple[Any, ...], dict[str, Any], bool]] = []
        self._returned: Any = None
        self._calls_modules = False

    def placeholder(self, name: str) -> _Value:
        """Add a parameter, whose name is a Python name."""
        if name.startswith("_") or name in self._parameters:
            name = f"input_{name}"
        while name in self._parameters:
            name += "_"
        self._parameters.append(name)
        return _Value(name)

    def get_attr(self, path: str) -> _Value:
        """Refer to an attribute of `self`, or of an attribute of it."""
        return _Value(self._attribute(path), fixed=True)

    def call_module(self, key: str, args: Any = (), kwargs: Any = None) -> _Value:
        """Call a module that `self` has under a key, whether or not anything uses the result."""
        self._calls_modules = True
        return self._add(f"_modules[{key!r}]", args, kwargs, False)

    def call_function(self, function: Any, args: Any = (), kwargs: Any = None) -> _Value:
        """Call a function; left out if nothing uses the result."""
        return self._add(self._global(function), args, kwargs, True)

    def call_method(self, name: str, args: Any, kwargs: Any = None) -> _Value:
        """Call a method of an attribute; left out if nothing uses the result."""
        return self._add(f"{args[0].text}.{name}", args[1:], kwargs, True)

    def output(self, value: Any) -> None:
        """Set what is returned."""
        self._returned = value

    def compile(self, file_name: str) -> Callable[..., Any]:
        """Return the function."""
        source = self._source()
        namespace = dict(self._globals)
        exec(compile(source, file_name, "exec"), namespace)
        return namespace["forward"]

    def _add(
        self, called: str, args: tuple[Any, ...], kwargs: dict[str, Any] | None, droppable: bool
    ) -> _Value:
        value = _Value()
        self._lines.append((value, called, args, kwargs or {}, droppable))
        return value

    def _attribute(self, path: str) -> str:
        if path.isidentifier() and not keyword.iskeyword(path):
            return f"self.{path}"
        text = "self"
        for part in path.split("."):
            if part.isidentifier() and not keyword.iskeyword(part):
                text = f"{text}.{part}"
            else:
                text = f"{self._global(builtins.getattr)}({text}, {part!r})"
        return text

    def _global(self, value: Any) -> str:
        name = f"_global{len(self._globals)}"
        self._globals[name] = value
        return name

    def _source(self) -> str:
        """Write the function; a variable is taken over or cleared where its value is last used."""
        alive = set(_values(self._returned))
        lines = []
        for line in reversed(self._lines):
            value, _, args, kwargs, droppable = line
            if value not in alive and droppable:
                continue
            last_used = []
            for used in args if _is_one_value(args, kwargs) else _values((args, kwargs)):
                if used not in alive:
                    alive.add(used)
                    last_used.append(used)
            lines.append((line, value in alive, last_used))
        parameters = ", ".join(("self", *self._parameters))
        source = [f"def forward({parameters}):"]
        if self._calls_modules:  # `self.key` would be looked for everywhere else first
            source.append(" _modules = self._modules")
        for (value, called, args, kwargs, _), needed, last_used in reversed(lines):
            parts = [self._write(arg) for arg in args]
            if kwargs:
                parts += [f"{key}={self._write(arg)}" for key, arg in kwargs.items()]
            text = f"{called}({', '.join(parts)})"
            if needed:
                free = last_used.pop().text if last_used else f"_value{len(source)}"
                value.text = free
                text = f"{free} = {text}"
            for used in last_used:
                text += f"; {used.text} = None"
            source.append(f" {text}")
        source.append(f" return {self._write(self._returned)}")
        return "\n".join(source)

    def _write(self, x: Any) -> str:
        """Write an argument: a value, a literal, a structure of them, or the name of a global."""
        kind = type(x)
        if kind is _Value:
            return x.text
        if kind in _LITERALS or (kind is float and math.isfinite(x)):
            return repr(x)
        if kind is slice:
            return self._write_call(slice, (x.start, x.stop, x.step))
        if isinstance(x, tuple) and hasattr(x, "_fields"):
            return self._write_call(kind, x)
        if isinstance(x, tuple):
            return f"({''.join([f'{self._write(item)}, ' for item in x])})"
        if isinstance(x, list):
            return f"[{', '.join([self._write(item) for item in x])}]"
        if isinstance(x, dict):
            items = [f"{self._write(key)}: {self._write(item)}" for key, item in x.items()]
            return f"{{{', '.join(items)}}}"
        return self._global(x)

    def _write_call(self, kind: type, parts: tuple[Any, ...]) -> str:
        return f"{self._global(kind)}({', '.join([self._write(part) for part in parts])})"


def _is_one_value(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call takes the result of another and nothing else, as most do."""
    return len(args) == 1 and not kwargs and type(args[0]) is _Value and not args[0].fixed


def _values(x: Any) -> Iterator[_Value]:
    """Yield the results of calls in a structure."""
    kind = type(x)
    if kind is _Value:
        if not x.fixed:
            yield x
    elif isinstance(x, (tuple, list)):
        for item in x:
            yield from _values(item)
    elif isinstance(x, dict):
        for item in x.values():
            yield from _values(item)
    elif kind is slice:
        yield from _values((x.start, x.stop, x.step))
