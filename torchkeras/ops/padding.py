"""`pad`, in all modes of `numpy.pad` that need no function of the caller's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..graph.context import CONTEXT
from ..graph.operation import op
from .common import NUMPY, as_tensor

__all__ = ["pad"]


@op(path=NUMPY + "Pad", keywords=("constant_values",))
def pad(
    x: Tensor, pad_width: Any, mode: str = "constant", constant_values: Tensor | None = None
) -> Tensor:
    """`x` with values added around it.

    Args:
        x: Any tensor.
        pad_width: How many before and after: an integer, a pair, or a pair per axis.
        mode: As of `numpy.pad`. `constant`; copies of values: `reflect` (mirrored at the edge
            values), `symmetric` (mirrored with them), `edge` or `replicate`, `wrap` or `circular`;
            `maximum`, `minimum`, `mean` or `median` along the axis; `linear_ramp` (down to 0);
            `empty` (any values).
        constant_values: What is added in mode `constant`; default 0.

    Raises:
        ValueError: There are not as many pairs as axes, the mode is none of these, a width is
            negative in one that copies or computes, or `constant_values` is given in such a mode.

    Example:
        >>> pad([1, 2, 3], 1, mode="symmetric").tolist()
        [1, 1, 2, 3, 3]
    """
    x = as_tensor(x)
    sides = _pad_sides(pad_width, x.ndim)
    if mode == "constant":
        if constant_values is None:
            return torch.constant_pad_nd(x, sides)
        if isinstance(constant_values, Tensor) and constant_values.ndim == 0:
            kept = F.pad(torch.ones_like(x, dtype=torch.bool), sides)
            return torch.where(kept, F.pad(x, sides), constant_values.to(x.dtype))
        return torch.constant_pad_nd(x, sides, constant_values)
    if constant_values is not None:
        raise ValueError(
            "Argument `constant_values` can only be provided when `mode == 'constant'`."
            f" Received: mode={mode!r}"
        )
    if mode not in _PADDING or min(sides, default=0) < 0:
        raise ValueError(
            f"pad: mode '{mode}' takes widths from 0 up; modes are 'constant' and"
            f" {', '.join(map(repr, _PADDING))}. Received: mode={mode!r}, pad_width={pad_width}"
        )
    for axis in range(x.ndim):
        before, after = sides[-2 * axis - 2], sides[-2 * axis - 1]
        if before or after:
            x = _PADDING[mode](x, axis, before, after)
    return x


def _pad_by_copies(numpy_mode: str) -> Callable[[Tensor, int, int, int], Tensor]:
    """Pad by values from other places, which NumPy finds."""

    def padded(x: Tensor, axis: int, before: int, after: int) -> Tensor:
        if CONTEXT.meta:
            shape = list(x.shape)
            shape[axis] += before + after
            return x.new_zeros(shape)
        index = np.pad(np.arange(x.shape[axis]), (before, after), mode=numpy_mode)
        return torch.index_select(x, axis, as_tensor(index, like=x))

    return padded


def _pad_by_statistic(
    statistic: Callable[[Tensor, int], Tensor],
) -> Callable[[Tensor, int, int, int], Tensor]:
    """Pad by one value for each row along the axis."""

    def padded(x: Tensor, axis: int, before: int, after: int) -> Tensor:
        value = statistic(x, axis)
        if not x.is_floating_point():
            value = value.round()
        value = value.to(x.dtype).unsqueeze(axis)
        left, right = list(x.shape), list(x.shape)
        left[axis], right[axis] = before, after
        return torch.cat([value.expand(left), x, value.expand(right)], axis)

    return padded


def _pad_by_ramp(x: Tensor, axis: int, before: int, after: int) -> Tensor:
    """Pad by values that go from those at the edges to 0."""

    def ramp(edge: int, steps: Tensor, width: int) -> Tensor:
        shape = [1] * x.ndim
        shape[axis] = width
        values = x.narrow(axis, edge, 1) * (steps / max(width, 1)).view(shape)
        return values.floor().to(x.dtype) if not x.is_floating_point() else values.to(x.dtype)

    up = torch.arange(before, device=x.device)
    down = torch.arange(after - 1, -1, -1, device=x.device)
    last = x.shape[axis] - 1
    return torch.cat([ramp(0, up, before), x, ramp(last, down, after)], axis)


def _mean(x: Tensor, axis: int) -> Tensor:
    return x.mean(axis, dtype=None if x.is_floating_point() else torch.float64)


def _median(x: Tensor, axis: int) -> Tensor:
    return torch.quantile(x if x.dtype == torch.float64 else x.float(), 0.5, axis)


_COPIES = {"reflect": "reflect", "symmetric": "symmetric", "edge": "edge", "wrap": "wrap"}
_COPIES |= {"replicate": "edge", "circular": "wrap", "empty": "edge"}
_STATISTICS = {"maximum": torch.amax, "minimum": torch.amin, "mean": _mean, "median": _median}
_PADDING: dict[str, Callable[[Tensor, int, int, int], Tensor]] = {
    **{mode: _pad_by_copies(name) for mode, name in _COPIES.items()},
    **{mode: _pad_by_statistic(statistic) for mode, statistic in _STATISTICS.items()},
    "linear_ramp": _pad_by_ramp,
}


def _pad_sides(pad_width: Any, ndim: int) -> list[int]:
    """Return how much to pad before and after each axis in torch's order: the last axis first."""
    if isinstance(pad_width, int):
        return [pad_width, pad_width] * ndim
    rows = pad_width if isinstance(pad_width, (list, tuple)) else pad_width.tolist()
    if len(rows) and isinstance(rows[0], int):
        rows = [rows]
    sides: list[int] = []
    try:
        for before, after in reversed(rows):  # faster than a comprehension, which is a call
            sides += (before, after)
        if len(rows) == ndim:
            return sides
        if len(rows) == 1:
            return sides * ndim
    except ValueError:  # not two in each
        pass
    raise ValueError(
        f"`pad_width` must be an integer, a pair, or {ndim} pairs, one per axis of the input."
        f" Received: pad_width={pad_width}"
    )
