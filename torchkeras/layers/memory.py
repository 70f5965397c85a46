"""In which order the elements of a layer's outputs lie in memory in Keras, where ours may differ.

torch draws random numbers in the order of memory, so `Dropout` needs to know it to drop the same
elements. The first call of a layer, symbolic or not, writes the order of the axes on its outputs as
`_keras_order`, outermost axis first; `Dropout` reads it off its inputs. Later calls do nothing.
"""

from __future__ import annotations

from typing import Any

from ..activations import log_sigmoid, log_softmax, softmax
from ..tree import flatten

__all__ = ["mark_order", "order_of"]

Order = tuple[int, ...]
# Their results lie in the order of their axes, on both sides.
_ROW_MAJOR_ACTIVATIONS = (softmax, log_softmax, log_sigmoid)


def order_of(arguments: Any) -> Order | None:
    """The order of the axes of the first of the arguments, or `None` where it lies as here."""
    first = next(iter(flatten(arguments)), None)
    return getattr(first, "_keras_order", None)


def mark_order(layer: Any, arguments: Any, outputs: Any) -> None:
    """Write on the outputs of a call in which order they lie in memory in Keras."""
    flat = [output for output in flatten(outputs) if hasattr(output, "shape")]
    if layer._keras_memory == "outputs":
        orders = [order_of(output) for output in flatten(getattr(layer, "outputs", None) or [])]
    else:
        given = order_of(arguments)
        orders = [_order_after(layer, given, len(output.shape)) for output in flat]
        if layer._keras_memory == "time_major":
            orders = orders[:1]  # the others are states
    for output, order in zip(flat, orders, strict=False):
        if order is not None or getattr(output, "_keras_order", None) is not None:
            output._keras_order = order


def _order_after(layer: Any, given: Order | None, rank: int) -> Order | None:
    memory, row_major = layer._keras_memory, tuple(range(rank))
    if memory == "time_major":
        return (1, 0, *range(2, rank)) if getattr(layer, "return_sequences", True) else None
    if getattr(layer, "activation", None) in _ROW_MAJOR_ACTIVATIONS:
        return None
    if memory == "inputs":
        return given
    if memory == "inputs_else_row_major":
        return given or row_major
    if memory == "permuted":
        axes = (0, *layer.dims)
        return tuple(axes.index(axis) for axis in given or row_major)
    if memory == "row_major" or (memory == "resized" and given in (None, row_major)):
        return row_major
    last = getattr(layer, "data_format", "channels_last") == "channels_last"
    return (0, rank - 1, *range(1, rank - 1)) if last else None
