"""How a layer's outputs lie in memory in Keras, where ours may lie otherwise.

torch draws random numbers in the order of memory, so `Dropout` needs to know it to drop the same
elements. The first call of a layer, symbolic or not, writes on its outputs a tensor without data,
`_keras_twin`, that has the strides of Keras's; `Dropout` reads it off its inputs. What a layer does
to the strides is found by doing the same to its input's twin. Later calls do nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..activations import log_sigmoid, log_softmax, softmax
from ..tree import flatten

__all__ = ["mark_memory", "order_of"]

# Their results lie in the order of their axes, on both sides.
_ROW_MAJOR_ACTIVATIONS = (softmax, log_softmax, log_sigmoid)


def order_of(arguments: Any) -> tuple[int, ...] | None:
    """The order in memory of the axes of what has the form of the first of the arguments.

    Outermost axis first; `None` where it lies as here.
    """
    twin = _twin_of(arguments)
    if twin is None:
        return None
    strides = torch.empty_like(twin).stride()
    return tuple(sorted(range(twin.dim()), key=lambda axis: -strides[axis]))


def mark_memory(layer: Any, arguments: Any, outputs: Any) -> None:
    """Write on the outputs of a call how they lie in memory in Keras."""
    flat = [output for output in flatten(outputs) if hasattr(output, "shape")]
    if layer._keras_memory == "outputs":
        twins = [_twin_of(output) for output in flatten(getattr(layer, "outputs", None) or [])]
    else:
        first = next(iter(flatten(arguments)), None)
        twins = [_twin_after(layer, first, output.shape) for output in flat]
        if layer._keras_memory == "time_major":
            twins = twins[:1]  # the others are states
    for output, twin in zip(flat, twins, strict=False):
        if twin is not None or _twin_of(output) is not None:
            output._keras_twin = twin


def _twin_of(arguments: Any) -> Tensor | None:
    """The twin of the first of the arguments."""
    return getattr(next(iter(flatten(arguments)), None), "_keras_twin", None)


def _empty(shape: Sequence[int | None], order: tuple[int, ...] | None = None) -> Tensor:
    """A twin whose axes lie in an order; an unknown size is one that most others divide."""
    sizes = [2, *(5040 if n is None else n for n in shape[1:])]
    return torch.empty_permuted(sizes, order or tuple(range(len(sizes))), device="meta")


def _channels_last(layer: Any) -> bool:
    return getattr(layer, "data_format", "channels_last") == "channels_last"


def _twin_after(layer: Any, given: Any, shape: Sequence[int | None]) -> Tensor | None:
    """The twin of an output of this shape, or `None` where it lies as here."""
    memory, rank = layer._keras_memory, len(shape)
    if memory == "time_major":
        returns_all = getattr(layer, "return_sequences", True)
        return _empty(shape, (1, 0, *range(2, rank))) if returns_all else None
    if getattr(layer, "activation", None) in _ROW_MAJOR_ACTIVATIONS:
        return None
    if memory == "row_major_first":
        return None if _channels_last(layer) else _empty(shape)
    if memory == "channels_last":
        return _empty(shape, None if _channels_last(layer) else (0, *range(2, rank), 1))
    twin = _twin_of(given)
    if memory == "row_major" or (memory == "resized" and (twin is None or twin.is_contiguous())):
        return _empty(shape)
    if memory in ("resized", "channels_first"):
        last = _channels_last(layer)
        return _empty(shape, (0, rank - 1, *range(1, rank - 1)) if last else None)
    if twin is None and memory in ("inputs", "inputs_relaid"):
        return None
    twin = _empty(given.shape) if twin is None else twin
    if memory in ("inputs", "inputs_else_row_major"):
        return torch.empty_like(twin)
    try:
        return layer._relay(twin)
    except RuntimeError:  # sizes that are not known yet do not fit
        return _empty(shape)
