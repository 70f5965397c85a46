"""`rearrange`: reshape and transpose by a pattern of axis names.

Source: Rogozhnikov 2022, "Einops: clear and reliable tensor manipulations"; `keras.ops.rearrange`.
"""

from __future__ import annotations

import math
import re
from typing import Any

from torch import Tensor

from ..graph.keras_tensor import any_symbolic
from ..graph.operation import OPERATIONS, Operation
from .common import as_tensor

__all__ = ["rearrange"]


def _groups(side: str) -> list[list[str]]:
    """Return the names that make up each axis on one side of a pattern."""
    return [part.strip("()").split() for part in re.findall(r"\([^)]*\)|\S+", side)]


def rearrange(tensor: Tensor, pattern: str, **axes_lengths: int) -> Tensor:
    """The same values with axes split, moved and merged as a pattern says.

    Args:
        tensor: Any tensor.
        pattern: Names of its axes, `->`, and the names in their new order; parentheses around
            several that are one axis.
        axes_lengths: Sizes of axes that are split; one of each may be left out.

    Raises:
        ValueError: The pattern does not fit the tensor, or its sides have not the same names.

    Example:
        >>> rearrange([[1, 2], [3, 4]], "a b -> (b a)").tolist()
        [1, 3, 2, 4]
    """
    if any_symbolic(tensor):
        return Rearrange().symbolic_call(tensor, pattern, **axes_lengths)
    tensor = as_tensor(tensor)
    given, _, wanted = pattern.partition("->")
    before, after = _groups(given), _groups(wanted)
    names = [name for group in before for name in group]
    order = [name for group in after for name in group]
    if len(before) != len(tensor.shape) or sorted(names) != sorted(order):
        raise ValueError(
            f"rearrange: the pattern {pattern!r} does not fit a tensor of shape"
            f" {tuple(tensor.shape)}, or has not the same names on both sides."
        )
    sizes: dict[str, int] = dict(axes_lengths)
    for group, size in zip(before, tensor.shape, strict=True):
        open_names = [name for name in group if name not in sizes]
        if len(open_names) > 1:
            raise ValueError(f"rearrange: give the sizes of all but one of {group}.")
        if open_names:
            rest = math.prod(sizes[name] for name in group if name != open_names[0])
            sizes[open_names[0]] = size // rest
    split = tensor.reshape([sizes[name] for name in names])
    moved = split.permute([names.index(name) for name in order])
    return moved.reshape([math.prod(sizes[name] for name in group) for group in after])


class Rearrange(Operation):
    """`rearrange` in a graph. No `@op` makes it: in files the pattern is no setting of it."""

    _keras_path = "keras.src.ops.einops.Rearrange"
    config_parameters: dict[str, Any] = {}

    def call(self, tensor: Tensor, pattern: str, **axes_lengths: int) -> Tensor:
        return rearrange(tensor, pattern, **axes_lengths)


OPERATIONS[Rearrange._keras_path] = rearrange.operation = Rearrange
