"""Writing a graph of layers as the source of a plain PyTorch module, and its state dict.

`ClassWriter` collects what a class consists of while translators (`layers.py`, `sequences.py`,
`functions.py`) emit it: submodules with their weights, and the statements of `forward`.

A `Value` stands for a tensor in `forward`. Its shape is Keras's, but what the code holds may have
its channels moved to the front (layout `FIRST`), as PyTorch's convolutions want them. Layers that
do not care take what there is, so that a network is permuted where its images enter and leave.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import nn

from ...naming import explain
from ...variables import Variable

__all__ = [
    "FIRST",
    "KERAS",
    "ClassWriter",
    "Value",
    "class_name",
    "in_docstring",
    "refuse",
    "spelled",
]

# Layouts: axes as in Keras, or, of three axes and more, the last one moved to place 1.
KERAS, FIRST = "keras", "channels first"

_WIDTH = 100
_MARK = re.compile(r"⟦(\d+)⟧")


class Value:
    """A tensor in generated code; as text it is a placeholder for its name.

    Args:
        number: Its number in its class.
        shape: Keras's; `None` where unknown.
        dtype: The name.
        layout: `KERAS` or `FIRST`.
        base: What its name begins with.
        fixed: Its name or expression, where that is given.
    """

    def __init__(
        self,
        number: int,
        shape: Sequence[int | None],
        dtype: str,
        layout: str = KERAS,
        base: str = "x",
        fixed: str | None = None,
    ) -> None:
        self.number, self.shape, self.dtype = number, tuple(shape), dtype
        self.layout, self.base, self.fixed = layout, base, fixed
        self.mask: Value | None = None
        self.twin: Value | None = None  # the same in the other layout

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def dim(self, axis: int) -> int:
        """Where an axis of Keras's stands in the code's tensor."""
        axis %= self.rank
        if self.layout == KERAS:
            return axis
        return 0 if axis == 0 else 1 if axis == self.rank - 1 else axis + 1

    def __str__(self) -> str:
        return f"⟦{self.number}⟧"


class _Statement:
    def __init__(self, targets: str, expression: str, comment: str) -> None:
        self.targets, self.expression, self.comment = targets, expression, comment

    def made(self) -> list[int]:
        return [int(n) for n in _MARK.findall(self.targets)]

    def used(self) -> list[int]:
        return [int(n) for n in _MARK.findall(self.expression)]


def refuse(layer: Any, why: str, fix: str) -> NotImplementedError:
    """Return the error for something that has no form in plain PyTorch."""
    name = getattr(layer, "name", repr(layer))
    return NotImplementedError(
        explain(
            f"Layer '{name}' (of type {type(layer).__name__}) cannot be written in plain PyTorch:"
            f" {why}.",
            fix=fix,
        )
    )


class ClassWriter:
    """The class that a model becomes.

    Args:
        name: Of the class.
        helpers: Of the whole file; definitions of `helpers.py` are added to it.
        classes: Of the whole file, by the model they stand for.
    """

    def __init__(
        self,
        name: str,
        helpers: dict[Callable[..., Any], None],
        classes: dict[Any, ClassWriter],
    ) -> None:
        self.name, self.helpers, self.classes = name, helpers, classes
        self.doc = ""
        self.modules: dict[str, str] = {}  # constructors
        self.notes: dict[str, str] = {}
        self.state: dict[str, torch.Tensor] = {}
        self.frozen: set[str] = set()
        self.parameters: list[str] = []
        self.owner: Any = None  # the layer whose own code is being written
        self._keys: dict[tuple[int, str], str] = {}
        self._kept: list[Any] = []  # whose `id` is a key: they must live as long
        self._values: list[Value] = []
        self._statements: list[_Statement] = []
        self._result = ""

    # Submodules and weights ----------------------------------------------------------------------

    def module(
        self,
        layer: Any,
        constructor: str,
        state: dict[str, torch.Tensor | None] | None = None,
        part: str = "",
        frozen: Iterable[str] = (),
    ) -> str:
        """Hold a submodule, once for each layer and part of it.

        Args:
            layer: Whose submodule it is.
            constructor: The expression that makes it.
            state: Its weights by their names in it, in PyTorch's layouts; `None`s are left out.
            part: What to add to the layer's name.
            frozen: Names of weights that are not trained even if the layer is.

        Returns: The expression for it in `forward`.
        """
        known = self._keys.get((id(layer), part))
        if known is not None:
            return f"self.{known}"
        key = self._key(f"{layer.name}_{part}" if part else layer.name)
        self._keys[id(layer), part] = key
        self._kept.append(layer)
        self.modules[key] = constructor
        for name, value in (state or {}).items():
            if value is not None:
                self._store(f"{key}.{name}", value)
        trained = {id(v): v.trainable for v in getattr(layer, "variables", ())}
        if trained and not any(trained.values()):
            self.frozen.update(f"{key}.{name}" for name in state or {})
        self.frozen.update(f"{key}.{name}" for name in frozen)
        return f"self.{key}"

    def parameter(self, layer: Any, part: str, value: torch.Tensor, is_weight: bool = True) -> str:
        """Hold a weight of its own, or a buffer, and return the expression for it."""
        known = self._keys.get((id(layer), part))
        if known is not None:
            return f"self.{known}"
        trained = value.trainable if isinstance(value, Variable) else value.is_floating_point()
        kind = "nn.Parameter" if trained and is_weight else ""
        sizes = ", ".join(map(str, value.shape)) or "()"
        key = f"{layer.name}_{part}" if part else layer.name
        if isinstance(layer, Variable) and self.owner is not None:
            key = f"{self.owner.name}_{key}"
        key = self._key(key)
        self._keys[id(layer), part] = key
        self._kept.append(layer)
        dtype = "" if value.dtype == torch.float32 else f", dtype={value.dtype}"
        made = f"torch.empty({sizes}{dtype})"
        self.modules[key] = f"{kind}({made})" if kind else f"buffer {made}"
        self._store(key, value)
        return f"self.{key}"

    def constant(self, value: torch.Tensor, name: str = "constant") -> str:
        """Hold a tensor that is no weight, and return the expression for it."""
        holder = _Named(name, value)
        return self.parameter(holder, "", value.detach(), is_weight=False)

    def _store(self, key: str, value: torch.Tensor) -> None:
        copied = value.detach().clone(memory_format=torch.contiguous_format)
        self.state[key] = copied.as_subclass(torch.Tensor)

    def _key(self, name: str) -> str:
        key = re.sub(r"\W", "_", name)
        key = f"layer_{key}" if not key.isidentifier() or keyword.iskeyword(key) else key
        key = f"{key}_" if hasattr(nn.Module, key) or key in ("training", "_") else key
        base, n = key, 1
        while key in self.modules:
            n += 1
            key = f"{base}_{n}"
        return key

    def helper(self, definition: Callable[..., Any]) -> str:
        """Have a definition of `helpers.py` in the file, and return its name."""
        self.helpers[definition] = None
        return definition.__name__

    # Values and statements -----------------------------------------------------------------------

    def value(self, *args: Any, **kwargs: Any) -> Value:
        """Make a value; see `Value`."""
        made = Value(len(self._values), *args, **kwargs)
        self._values.append(made)
        return made

    def input(self, name: str, shape: Sequence[int | None], dtype: str) -> Value:
        """Add a parameter of `forward`."""
        name = re.sub(r"\W", "_", name)
        name = f"x_{name}" if not name.isidentifier() or keyword.iskeyword(name) else name
        base, n = name, 1
        while name in self.parameters or name in ("self", "torch", "nn", "F"):
            n += 1
            name = f"{base}_{n}"
        self.parameters.append(name)
        return self.value(shape, dtype, base="x" if name == "x" else name, fixed=name)

    def emit(
        self,
        expression: str,
        like: Value | None = None,
        shape: Sequence[int | None] | None = None,
        dtype: str | None = None,
        layout: str | None = None,
        base: str = "x",
        comment: str = "",
    ) -> Value:
        """Add a statement, and return what it assigns.

        Args:
            expression: With values as placeholders.
            like: Whose shape, dtype and layout the result has unless given.
            shape, dtype, layout, base: Of the result.
            comment: At the end of the line.
        """
        made = self.value(
            like.shape if shape is None else shape,
            dtype or (like.dtype if like is not None else "float32"),
            layout or (like.layout if like is not None else KERAS),
            base,
        )
        self.assign(str(made), expression, comment)
        return made

    def assign(self, targets: str, expression: str, comment: str = "") -> None:
        """Add a statement that assigns to several values, or to a structure of them."""
        self._statements.append(_Statement(targets, expression, comment))

    def note(self, text: str) -> None:
        """Add a comment, of one line whatever names are in it."""
        self._statements.append(_Statement("", "", " ".join(text.split())))

    def to(self, x: Value, layout: str) -> Value:
        """Return a value in a layout; it is permuted once, where that is first needed."""
        if x.layout == layout or x.rank < 3:
            return x
        if x.twin is None:
            rank = x.rank
            first = (0, rank - 1, *range(1, rank - 1))
            last = (0, *range(2, rank), 1)
            order = first if layout == FIRST else last
            text = "transpose(1, 2)" if rank == 3 else f"permute({', '.join(map(str, order))})"
            comment = "channels first" if layout == FIRST else "channels last"
            twin = self.emit(f"{x}.{text}", x, layout=layout, comment=comment)
            twin.mask, x.twin, twin.twin = x.mask, twin, x
        return x.twin

    def plain(self, x: Value) -> Value:
        """Return a value with its axes as in Keras."""
        return self.to(x, KERAS)

    def together(self, values: Sequence[Value]) -> list[Value]:
        """Return values in one layout, with as few permutations as possible."""
        if len({x.rank for x in values}) > 1 or values[0].rank < 3:
            return [self.plain(x) for x in values]

        def cost(layout: str) -> int:
            return sum(x.layout != layout and x.twin is None for x in values)

        first = any(x.layout == FIRST for x in values) and cost(FIRST) <= cost(KERAS)
        return [self.to(x, FIRST if first else KERAS) for x in values]

    def cast(self, x: Value, dtype: str) -> Value:
        """Return a value in a dtype."""
        if x.dtype == dtype:
            return x
        short = {"float32": "float()", "int64": "long()", "int32": "int()", "bool": "bool()"}
        made = self.emit(f"{x}.{short.get(dtype, f'to(torch.{dtype})')}", x, dtype=dtype)
        made.mask = x.mask
        return made

    def finish(self, result: str) -> None:
        """Say what `forward` returns."""
        self._result = result

    # Text ----------------------------------------------------------------------------------------

    def text(self) -> str:
        """Return the source of the class."""
        lines = [f"class {self.name}(nn.Module):", *_docstring(self.doc), ""]
        lines += ["    def __init__(self):", "        super().__init__()"]
        for key, constructor in self.modules.items():
            note = f"  # {self.notes[key]}" if key in self.notes else ""
            if constructor.startswith("buffer "):
                line = f'self.register_buffer("{key}", {constructor[7:]})'
            else:
                line = f"self.{key} = {constructor}"
            lines += wrapped(line + note, 8)
        lines += ["", *wrapped(f"def forward(self, {', '.join(self.parameters)}):", 4)]
        lines += self._body()
        return "\n".join(lines) + "\n"

    def _body(self) -> list[str]:
        statements = self._alive()
        names = self._names(statements)

        def named(text: str) -> str:
            return _MARK.sub(lambda found: names[int(found[1])], text)

        lines: list[str] = []
        for statement in statements:
            if not statement.targets:
                lines.append(f"        # {statement.comment}")
                continue
            line = f"{named(statement.targets)} = {named(statement.expression)}"
            comment = f"  # {statement.comment}" if statement.comment else ""
            lines += wrapped(line + comment, 8)
        return [*lines, *wrapped(f"return {named(self._result)}", 8)]

    def _alive(self) -> list[_Statement]:
        """Leave out statements whose results are not used."""
        needed = {int(n) for n in _MARK.findall(self._result)}
        kept = []
        for statement in reversed(self._statements):
            if not statement.targets or needed.intersection(statement.made()):
                kept.append(statement)
                needed.update(statement.used())
        return kept[::-1]

    def _names(self, statements: list[_Statement]) -> dict[int, str]:
        """Choose names: a result takes over that of an argument used for the last time."""
        last: dict[int, int] = {}
        for i, statement in enumerate(statements):
            last.update(dict.fromkeys(statement.used(), i))
        last.update(dict.fromkeys(map(int, _MARK.findall(self._result)), len(statements)))
        names: dict[int, str] = {}
        live: dict[str, int] = {}
        for value in self._values:
            if value.fixed is not None:
                names[value.number] = value.fixed
                if value.fixed in self.parameters:
                    live[value.fixed] = value.number
        for i, statement in enumerate(statements):
            dying = [
                n
                for n in dict.fromkeys(statement.used())
                if last.get(n) == i and live.get(names[n]) == n
            ]
            free = [names[n] for n in dying]
            for name in free:
                del live[name]
            for number in statement.made():
                if number not in last:
                    names[number] = "_"
                    continue
                base = self._values[number].base
                inherited = [n for n in free if re.fullmatch(rf"{re.escape(base)}\d*", n)]
                name, n = (inherited or [base])[0], 1
                while name in live or name in ("torch", "nn", "F"):
                    n += 1
                    name = f"{base}{n}"
                live[name] = number
                names[number] = name
                free = [other for other in free if other != name]
        return names


class _Named:
    """A thing with a name, to hold a constant under."""

    def __init__(self, name: str, value: Any) -> None:
        self.name, self.value = name, value


def class_name(name: str) -> str:
    """Make a class's name of a model's.

    >>> class_name("res_net-50"), class_name("2nd")
    ('ResNet50', 'Model2nd')
    """
    words = re.split(r"[\W_]+", name)
    joined = "".join(word[:1].upper() + word[1:] for word in words)
    joined = joined if joined.isidentifier() else f"Model{joined}"
    return f"{joined}Model" if keyword.iskeyword(joined) or joined in _TAKEN else joined


_TAKEN = {"Path", "Attention", "RecurrentLoop", "GaussianNoise", "GaussianDropout"}
_TAKEN |= {"AlphaDropout", "DropoutOfShape"}


def spelled(value: Any) -> str:
    """Spell a literal out as formatters do: double quotes, numbers short.

    >>> spelled((1, "a", None)), spelled(0.1)
    ('(1, "a", None)', '0.1')
    """
    if isinstance(value, str):
        return '"' + repr(value)[1:-1].replace('"', '\\"') + '"'
    if isinstance(value, tuple):
        return "(" + ", ".join(map(spelled, value)) + (",)" if len(value) == 1 else ")")
    if isinstance(value, list):
        return "[" + ", ".join(map(spelled, value)) + "]"
    if isinstance(value, float) and value != value or value in (float("inf"), -float("inf")):
        return f'float("{value}")'
    return repr(value)


def in_docstring(text: str) -> str:
    """Escape what could end a docstring: the names in it come from files too."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _docstring(text: str) -> list[str]:
    lines = in_docstring(text).split("\n")
    if len(lines) == 1:
        return [f'    """{lines[0]}"""']
    return [f'    """{lines[0]}', *(f"    {line}".rstrip() for line in lines[1:]), '    """']


def wrapped(line: str, indent: int) -> list[str]:
    """Break a line that is too long at the commas of its outermost call, as formatters do."""
    margin = " " * indent
    code, _, comment = line.partition("  # ")
    if indent + len(code) <= _WIDTH:
        return [margin + line]
    start = _outermost(code)
    if start is None:
        return [margin + line]
    end = _closing(code, start)
    parts = _parts(code[start + 1 : end])
    if not parts:
        return [margin + line]
    head, tail = code[: start + 1], code[end:]
    # Parentheses that only group would become a tuple by a comma.
    groups = len(parts) == 1 and not re.match(r"[\w\])]", code[start - 1 : start] or "=")
    joined = ", ".join(parts)
    if groups or indent + 4 + len(joined) <= _WIDTH:
        inner = [margin + "    " + joined]
    else:
        inner = [line for part in parts for line in wrapped(f"{part},", indent + 4)]
    return [margin + head, *inner, margin + tail + (f"  # {comment}" if comment else "")]


def _outermost(code: str) -> int | None:
    """Where the last bracket on the lowest level opens that holds enough to be broken."""
    depth, found = 0, None
    for i, c in enumerate(code):
        if c in "([{":
            if depth == 0 and _closing(code, i) - i > 2:
                found = i
            depth += 1
        elif c in ")]}":
            depth -= 1
    return found


def _closing(code: str, start: int) -> int:
    depth = 0
    for i in range(start, len(code)):
        depth += (code[i] in "([{") - (code[i] in ")]}")
        if depth == 0:
            return i
    raise ValueError(f"Unbalanced brackets in {code!r}.")


def _parts(text: str) -> list[str]:
    parts, depth, start, quoted = [], 0, 0, False
    for i, c in enumerate(text):
        quoted ^= c == '"'
        depth += (c in "([{") - (c in ")]}")
        if c == "," and depth == 0 and not quoted:
            parts.append(text[start:i].strip())
            start = i + 1
    return [part for part in (*parts, text[start:].strip()) if part]
