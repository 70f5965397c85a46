"""Fake quantization: numbers are rounded to the levels of a range, but stay floats.

Letters: C channels. A range `[low, high]` is nudged such that zero is one of its levels.
Source: Jacob et al. 2018, section 3; `tf.quantization.fake_quant_with_min_max_vars` (rounding).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..dtypes import as_tensor
from ..graph.operation import op

__all__ = ["fake_quant_with_min_max_vars"]


def _nudge(low: Tensor, high: Tensor, least: int, greatest: int) -> tuple[Tensor, ...]:
    """Return the nudged range, the size of a level and its inverse, in float32 or wider."""
    wide = torch.promote_types(low.dtype, torch.float32)
    low, high = low.to(wide), high.to(wide)
    span = high - low
    scale = span / (greatest - least)
    # Not the reciprocal of `scale`: one rounding less.
    inverse = torch.scalar_tensor(greatest - least, dtype=wide) / span
    zero = torch.round((least - low / scale).clamp(least, greatest))
    return (least - zero) * scale, (greatest - zero) * scale, scale, inverse


class _FakeQuantization(torch.autograd.Function):
    """Rounding with the gradient of clipping, of which the ends of the range have their share."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, low: Tensor, high: Tensor, least: int, greatest: int
    ) -> Tensor:
        nudged_low, nudged_high, scale, inverse = _nudge(low, high, least, greatest)
        ctx.save_for_backward(x, nudged_low, nudged_high)
        zero = torch.floor(-nudged_low * inverse + 0.5)
        shifted = torch.clamp(x.to(scale.dtype), nudged_low, nudged_high) - nudged_low
        return (torch.floor(shifted * inverse - zero + 0.5) * scale).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        x, low, high = ctx.saved_tensors
        passed = torch.where((x >= low) & (x <= high), upstream, 0.0)
        below = torch.where(x <= low, upstream, 0.0).sum_to_size(low.shape)
        above = torch.where(x >= high, upstream, 0.0).sum_to_size(high.shape)
        return passed, below, above, None, None


@op(path="keras.src.quantizers.quantizers.FakeQuantWithMinMaxVars")
def fake_quant_with_min_max_vars(
    inputs: Tensor,
    min_vals: Tensor | float,
    max_vals: Tensor | float,
    num_bits: int = 8,
    narrow_range: bool = False,
    axis: int | None = None,
) -> Tensor:
    """Clip numbers to a range and round them to its `2**num_bits` levels.

    Gradients pass where nothing was clipped; those of what was clipped go to the end of the range.

    Args:
        inputs: The numbers.
        min_vals, max_vals: The range: scalars, or one for each channel.
        num_bits: Of the levels.
        narrow_range: Whether to leave the lowest level out.
        axis: The axis of the channels; `None` for a single range.

    Shapes:
        inputs: any. min_vals, max_vals: `()`, or `(C,)` with `axis`. Result: as inputs.

    Example:
        >>> fake_quant_with_min_max_vars(torch.tensor([-9.0, 0.2, 0.3, 199.0]), 0.0, 127.5).tolist()
        [0.0, 0.0, 0.5, 127.5]
    """
    inputs = as_tensor(inputs)
    low, high = as_tensor(min_vals, None, inputs.device), as_tensor(max_vals, None, inputs.device)
    if axis is None:
        low, high = low.reshape(()), high.reshape(())
    else:
        shape = [1] * inputs.dim()
        shape[axis] = -1
        low, high = low.reshape(shape), high.reshape(shape)
    least, greatest = int(narrow_range), 2 ** int(num_bits) - 1
    return _FakeQuantization.apply(inputs, low, high, least, greatest)
