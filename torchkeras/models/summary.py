"""`print_summary`: a model's layers, shapes and parameters as Keras 3 prints them."""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Callable, Sequence
from typing import Any

from ..callbacks.console import print_msg
from ..config import is_interactive_logging_enabled
from ..naming import explain
from ..tree import map_shape_structure
from .text_table import (
    PLAIN,
    Style,
    console_width,
    draw_table,
    draw_text,
    terminal_colors,
)

__all__ = ["print_summary"]

_BOLD = Style(bold=True)
_NUMBER = Style(color=34)
_UNKNOWN = Style(color=45)
_CLASS = Style(color=33)
_YES, _NO = Style(True, 34), Style(True, 9)

Pieces = list[tuple[str, Style]]


def print_summary(
    model: Any,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    print_fn: Callable[[str], Any] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Sequence[str] | None = None,
) -> None:
    """Print a table of the layers of a model, and its numbers of parameters.

    Args:
        model: The model.
        line_length: Characters in a line of the table. Default: what the terminal has, up to 88,
            or 108 for models that are no chain of layers.
        positions: Where the columns end, as fractions of the line.
        print_fn: Called with the whole text. Default: it is printed, in colour on a terminal.
        expand_nested: Also list the layers inside models that are layers.
        show_trainable: Add a column that says which layers are trained.
        layer_range: Names, or regular expressions for the names, of the first and the last layer
            to list.

    Raises:
        ValueError: The line is too short, `positions` has too few entries, or `layer_range` is no
            pair of strings that match layers.
    """
    is_chain = _is_chain(model)
    table = _Table(model, is_chain, show_trainable)
    terminal = shutil.get_terminal_size().columns - 4
    default_length = (88 if is_chain else 108) + (12 if show_trainable else 0)
    line_length = line_length or min(default_length, terminal)
    widths = table.widths(positions, line_length)
    layers = _rows_of(model)
    rows = [
        row
        for layer in layers[_range_of(layers, layer_range)]
        for row in table.rows(layer, expand_nested)
    ]
    colors = None if print_fn or not is_interactive_logging_enabled() else terminal_colors()
    width = console_width()
    text = draw_text([(f'Model: "{model.name}"', _BOLD)], width, colors)
    text += draw_table(table.header, rows, table.alignment, widths, line_length, width, colors)
    text += "".join(draw_text(line, width, colors) for line in _totals(model))
    if print_fn:
        print_fn(text)
    else:
        print_msg(text, line_break=False)


def _is_functional(model: Any) -> bool:
    return hasattr(model, "operations") and hasattr(model, "_nodes_by_depth")


def _rows_of(model: Any) -> list[Any]:
    """What gets a row: a functional model's operations, or the layers of another one."""
    return list(model.operations if _is_functional(model) else model.layers)


def _is_chain(model: Any) -> bool:
    """Whether each layer takes only what the one before it made."""
    if not _is_functional(model):
        return True
    levels = model._nodes_by_depth.values()
    if any(len(nodes) > 1 or len(nodes[0].input_tensors) > 1 for nodes in levels if nodes):
        return False
    own = {id(node) for nodes in levels for node in nodes}
    uses = (sum(id(node) in own for node in layer._inbound_nodes) for layer in model.layers)
    return all(count <= 1 for count in uses)


class _Table:
    """The columns of the table, and the cells of its rows."""

    def __init__(self, model: Any, is_chain: bool, show_trainable: bool) -> None:
        self.is_chain = is_chain
        self.show_trainable = show_trainable
        self.header = ["Layer (type)", "Output Shape", "Param #"]
        self.alignment = ["left", "left", "right"]
        if not is_chain:
            self.header.append("Connected to")
            self.alignment.append("left")
            self.nodes = {id(n) for nodes in model._nodes_by_depth.values() for n in nodes}
        if show_trainable:
            self.header.append("Trainable")
            self.alignment.append("center")

    def widths(self, positions: Sequence[float] | None, line_length: int) -> list[int]:
        """Widths of the columns, which end at `positions` of a line."""
        fractions = list(
            positions or ([0.45, 0.80, 1.0] if self.is_chain else [0.3, 0.56, 0.74, 1])
        )
        if self.show_trainable:
            fractions = [p * 0.90 for p in fractions] + [1.0]
        if len(fractions) < len(self.header):
            raise ValueError(
                explain(
                    f"`positions` must have one entry per column, so {len(self.header)}.",
                    positions=positions,
                    columns=self.header,
                    fix="pass increasing fractions of the line, the last of them 1.0.",
                )
            )
        ends = [0, *(int(p * line_length) for p in fractions)]
        widths = [end - start for start, end in zip(ends[:-1], ends[1:], strict=True)]
        if min(widths) < 4:
            raise ValueError(
                explain(
                    "Insufficient console width to print summary: a column is narrower than 4.",
                    line_length=line_length,
                    column_widths=widths,
                    fix="pass a larger `line_length`, or other `positions`.",
                )
            )
        return widths[: len(self.header)]

    def rows(self, layer: Any, expand_nested: bool, level: int = 0) -> list[list[Pieces]]:
        """The row of a layer, and those of the layers inside it."""
        rows = [self._cells(layer, "   " * level + "└ " if level else "")]
        if expand_nested:
            for inner in getattr(layer, "layers", None) or ():
                rows += self.rows(inner, True, level + 1)
        return rows

    def _cells(self, layer: Any, prefix: str) -> list[Pieces]:
        name = [(f"{prefix}{layer.name} (", PLAIN), (type(layer).__name__, _CLASS), (")", PLAIN)]
        cells = [name, _output_shape(layer), _parameters(layer)]
        if not self.is_chain:
            cells.append(self._connections(layer))
        if self.show_trainable:
            has_weights = len(getattr(layer, "weights", ())) > 0
            mark = ("Y", _YES) if has_weights and layer.trainable else ("N", _NO)
            cells.append([mark if has_weights else ("-", _BOLD)])
        return cells

    def _connections(self, layer: Any) -> Pieces:
        """Where the inputs come from: `name[call][output]`."""
        pieces: Pieces = []
        for node in layer._inbound_nodes:
            for tensor in node.input_tensors if id(node) in self.nodes else ():
                source = tensor._keras_history
                pieces += [
                    (f"{', ' if pieces else ''}{source.operation.name}[", PLAIN),
                    (str(source.node_index), _NUMBER),
                    ("][", PLAIN),
                    (str(source.tensor_index), _NUMBER),
                    ("]", PLAIN),
                ]
        return pieces or [("-", PLAIN)]


def _parameters(layer: Any) -> Pieces:
    if not hasattr(layer, "built"):
        return [("0", _NUMBER)]
    if not layer.built:
        return [("0", _NUMBER), (" (unbuilt)", PLAIN)]
    return [(f"{layer.count_params():,}", _NUMBER)]


def _output_shape(layer: Any) -> Pieces:
    """What the layer returns: of its last symbolic call, or for the shapes it was built with."""
    unknown = [("?", PLAIN)]
    if layer._inbound_nodes:
        return _shapes([tensor.shape for tensor in layer._inbound_nodes[-1].outputs])
    build_shapes = getattr(layer, "_build_shapes", None)
    if not build_shapes:
        return unknown
    try:
        argument = getattr(layer, "_output_shape_is_argument", False)
        if hasattr(layer, "output_shape") and not argument:
            shape = layer.output_shape
            # Keras writes several shapes as one here, whose sizes are tuples.
            return _shapes(shape) if isinstance(shape, dict) else _shape(shape)
        return _shapes(layer.compute_output_shape(**build_shapes))
    except (NotImplementedError, TypeError, ValueError):  # the layer cannot tell
        return unknown


def _shapes(structure: Any) -> Pieces:
    """A shape, or several in the lists, tuples or dicts they are in."""
    if _is_shape(structure):
        return _shape(structure)
    if isinstance(structure, dict):
        items = [[(f"{key}: ", PLAIN), *_shapes(value)] for key, value in structure.items()]
    else:
        items = [_shapes(value) for value in structure]
    if len(items) == 1:
        flat = map_shape_structure(tuple, structure)
        return _shape(next(iter(flat.values() if isinstance(flat, dict) else flat)))
    left, right = "{}" if isinstance(structure, dict) else "()" if _is_tuple(structure) else "[]"
    return [(left, PLAIN), *_joined(items), (right, PLAIN)]


def _is_tuple(structure: Any) -> bool:
    return isinstance(structure, tuple)


def _is_shape(structure: Any) -> bool:
    return isinstance(structure, (tuple, list)) and all(
        d is None or isinstance(d, int) for d in structure
    )


def _shape(shape: Sequence[Any]) -> Pieces:
    sizes: list[Pieces] = [[(str(d), _UNKNOWN if d is None else _NUMBER)] for d in shape]
    return [("(", PLAIN), *_joined(sizes), (")", PLAIN)]


def _joined(items: list[Pieces]) -> Pieces:
    """Items with commas between them."""
    pieces: Pieces = []
    for i, item in enumerate(items):
        pieces += [(", ", PLAIN), *item] if i else item
    return pieces


def _range_of(layers: Sequence[Any], layer_range: Sequence[str] | None) -> slice:
    """From the first layer whose name matches the first pattern to the last of the second."""
    if layer_range is None:
        return slice(None)
    if len(layer_range) != 2 or not all(isinstance(name, str) for name in layer_range):
        raise ValueError(
            explain(
                "`layer_range` must be two strings: names of the first and the last layer.",
                layer_range=layer_range,
            )
        )
    first, last = (
        [i for i, layer in enumerate(layers) if re.match(pattern, layer.name)]
        for pattern in layer_range
    )
    if not first or not last:
        raise ValueError(
            explain(
                "`layer_range` matches no layer.",
                layer_range=layer_range,
                layers=[layer.name for layer in layers],
            )
        )
    if first[0] > last[-1]:  # named in the wrong order
        return slice(last[0], first[-1] + 1)
    return slice(first[0], last[-1] + 1)


def _totals(model: Any) -> list[Pieces]:
    """The lines under the table."""
    trainable = _count(model.trainable_weights)
    frozen = _count(model.non_trainable_weights)
    optimizer = getattr(model, "optimizer", None) if getattr(model, "compiled", False) else None
    is_built = optimizer is not None and getattr(optimizer, "built", False)
    slots = _count(optimizer.variables) if is_built else (0, 0.0)
    total = tuple(map(sum, zip(trainable, frozen, slots, strict=True)))
    lines = [("Total", total), ("Trainable", trainable), ("Non-trainable", frozen)]
    if is_built:
        lines.append(("Optimizer", slots))
    return [
        [(f" {name} params: ", _BOLD), (f"{count:,}", _NUMBER), (f" ({_size(size)})", PLAIN)]
        for name, (count, size) in lines
    ]


def _count(weights: Sequence[Any]) -> tuple[int, float]:
    """Number of scalars in the weights, and their size in bytes (each weight once)."""
    distinct = {id(w): w for w in weights}.values()
    size = sum(math.prod(w.shape) * w.dtype.itemsize for w in distinct)
    return sum(math.prod(w.shape) for w in weights), float(size)


def _size(size_bytes: float) -> str:
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size_bytes < 1024:
            return f"{size_bytes:.2f} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.2f} PB"
