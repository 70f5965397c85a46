"""Eight-bit floats: numbers are scaled into the range of such a type, rounded, and scaled back.

The scale follows the largest magnitudes (amax) of the last steps, kept in a history whose first
entry is the latest.
Source: Micikevicius et al. 2022; Keras 3 (order of the history).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..dtypes import as_tensor, to_torch

__all__ = ["compute_float8_amax_history", "compute_float8_scale", "quantize_and_dequantize"]


def compute_float8_scale(amax: Any, scale: Any, dtype_max: Any, margin: int = 0) -> Tensor:
    """Return the scale by which numbers of magnitude `amax` just fit into a type.

    Args:
        amax: The largest magnitude; if it is zero or not finite, the scale stays.
        scale: The scale so far.
        dtype_max: The largest number of the type.
        margin: Powers of two of room.

    Example:
        >>> compute_float8_scale(4.48, 1.0, 448.0).item()
        0.0099...
    """
    amax = as_tensor(amax)
    scale, largest = (as_tensor(x, None, amax.device) for x in (scale, dtype_max))
    factor = (largest / amax) / 2**margin
    usable = (amax > 0.0) & torch.isfinite(amax)
    return torch.where(usable, factor, scale.reciprocal()).reciprocal()


def compute_float8_amax_history(x: Any, amax_history: Any) -> Tensor:
    """Return the history with the largest magnitude of `x` in place of the oldest one.

    Example:
        >>> history = torch.tensor([1.0, 2.0, 3.0])
        >>> compute_float8_amax_history(torch.tensor([-7.0]), history).tolist()
        [7.0, 3.0, 1.0]
    """
    history = as_tensor(amax_history)
    latest = as_tensor(x).abs().amax().to(history.dtype)
    return torch.cat([latest.view(1), history.roll(-1)[1:]])


def quantize_and_dequantize(
    inputs: Any, scale: Any, quantized_dtype: Any, compute_dtype: Any
) -> Tensor:
    """Round numbers as storing them in an eight-bit type does.

    Args:
        inputs: The numbers.
        scale: What they are divided by.
        quantized_dtype: `"float8_e4m3fn"` or `"float8_e5m2"`.
        compute_dtype: The dtype to compute in.

    Example:
        >>> quantize_and_dequantize(torch.tensor([1.03, 500.0]), 1.0, "float8_e4m3fn", "float32")
        tensor([  1., 448.])
    """
    dtype, small = to_torch(compute_dtype), to_torch(quantized_dtype)
    inputs = as_tensor(inputs)
    scale, largest = as_tensor(scale, dtype, inputs.device), torch.finfo(small).max
    x = (inputs / scale).clamp(-largest, largest)
    return x.to(small).to(dtype) * scale
