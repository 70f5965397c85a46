"""Affine quantization: a number is stored as `round(x / scale) + zero`, one scale per group.

Letters: O outputs (rows), I inputs (columns), G groups. Matrices are `(O, I)`; groups are runs of
`group_size` columns, so that scale and zero point are `(O, G)`. Stored numbers lie in `[0, maxq]`,
or in a signed range of as many. Dequantized, a number is `(q - zero) * scale`.
Source: Jacob et al. 2018; Keras 3 (semantics).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..dtypes import as_tensor, to_torch
from ..naming import explain

__all__ = [
    "affine_parameters",
    "compute_quantization_parameters",
    "dequantize_blocks",
    "dequantize_with_sz_map",
    "dequantize_with_zero_point",
    "quantize_with_sz_map",
    "quantize_with_zero_point",
]

# What stands for a scale of zero, by which nothing can be divided.
_TINY = 1e-8


def affine_parameters(
    low: Tensor,
    high: Tensor,
    levels: int | Tensor,
    storable: tuple[int, int],
    lowest: int = 0,
    epsilon: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Return scale and zero point that map `[low, high]` onto `levels + 1` integers.

    Equal numbers have no range; they get one of 2 around them. Where the zero point could not be
    stored, since all numbers lie on one side of zero, the range is widened until it holds zero.

    Args:
        low, high: The least and the greatest number of each group.
        levels: How many integers lie above the lowest.
        storable: The least and the greatest zero point that can be stored.
        lowest: The integer that `low` is stored as.
        epsilon: Added to the range.

    Shapes:
        low, high: any. Results: the same; the zero points are whole floats.
    """
    constant = low == high
    low, high = torch.where(constant, low - 1, low), torch.where(constant, high + 1, high)

    def fit(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        span = high - low
        scale = (span + epsilon if epsilon > 0 else span) / levels
        scale = torch.where(scale <= 0, _TINY, scale)
        return scale, torch.round(-low / scale) + lowest

    scale, zero = fit(low, high)
    one_sided = (zero < storable[0]) | (zero > storable[1])
    wide_scale, wide_zero = fit(low.clamp(max=0), high.clamp(min=0))
    scale, zero = torch.where(one_sided, wide_scale, scale), torch.where(one_sided, wide_zero, zero)
    return scale, zero.clamp(*storable)


def _group_ranges(x: Tensor, per_channel: bool, group_size: int) -> tuple[Tensor, Tensor]:
    """Return the least and the greatest numbers, `(O, G)`, or `(1, 1)` of the whole matrix."""
    if not per_channel:
        x = x.reshape(1, -1)
    elif 0 < group_size < x.shape[1]:
        x = F.pad(x, (0, -x.shape[1] % group_size)).unflatten(1, (-1, group_size))
    else:
        x = x.reshape(x.shape[0], -1)
    low, high = torch.aminmax(x, dim=-1)
    return (low, high) if low.dim() == 2 else (low[:, None], high[:, None])


def compute_quantization_parameters(
    x: Any,
    *,
    bits: int,
    symmetric: bool = False,
    per_channel: bool = False,
    group_size: int = -1,
    compute_dtype: Any = "float32",
    epsilon: float = 0.0,
    signed: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return scale, zero point and greatest level for the quantization of a matrix.

    Args:
        x: The matrix, `(O, I)`.
        bits: Width of the stored numbers.
        symmetric: Whether the range is as wide below zero as above.
        per_channel: Whether each row has its own scale; else all share one.
        group_size: Columns that share a scale, with `per_channel`; -1 for all.
        compute_dtype: Dtype of the greatest level.
        epsilon: Added to the range of each group.
        signed: Whether numbers are stored from `-2**(bits - 1)` on; else from 0.

    Returns: `scale` and `zero` of shape `(O, G)`, the latter in int8 (`signed`) or uint8, and
        `maxq`, the scalar `2**bits - 1`.

    Raises:
        ValueError: `x` is None, empty, or of rank below 2.

    Example:
        >>> scale, zero, maxq = compute_quantization_parameters(
        ...     torch.tensor([[0.0, 15.0], [-7.5, 7.5]]), bits=4, per_channel=True
        ... )
        >>> scale.tolist(), zero.tolist(), maxq.item()
        ([[1.0], [1.0]], [[0], [8]], 15.0)
    """
    x = _checked_matrix(x)
    low, high = _group_ranges(x, per_channel, group_size)
    if symmetric:
        bound = torch.maximum(low.abs(), high)
        low, high = torch.where(low < 0, -bound, low), bound
    levels, lowest = 2**bits - 1, -(2 ** (bits - 1)) if signed else 0
    maxq = torch.full((), levels, dtype=to_torch(compute_dtype), device=x.device)
    storable = (lowest, lowest + levels) if signed else (0, 255)
    scale, zero = affine_parameters(low, high, maxq, storable, lowest, epsilon)
    if symmetric:
        zero = torch.full_like(scale, (levels + 1) / 2 + lowest)
    if not per_channel:
        scale, zero = scale.repeat(x.shape[0], 1), zero.repeat(x.shape[0], 1)
    return scale, zero.to(torch.int8 if signed else torch.uint8), maxq


def _checked_matrix(x: Any) -> Tensor:
    if x is None:
        raise ValueError("The weights to quantize cannot be None.")
    x = as_tensor(x)
    if x.dim() < 2:
        raise ValueError(
            explain(
                f"The weights to quantize must have a rank of at least 2, not {x.dim()}.",
                given=f"shape {tuple(x.shape)}",
                expected="(outputs, inputs)",
            )
        )
    if x.numel() == 0:
        raise ValueError(
            explain("The weights to quantize cannot be empty.", given=f"shape {tuple(x.shape)}")
        )
    return x


def quantize_with_zero_point(input_tensor: Any, scale: Any, zero: Any, maxq: Any) -> Tensor:
    """Round numbers to the levels 0 to `maxq`; the result keeps a floating dtype.

    Args:
        input_tensor: The numbers.
        scale, zero: Of the quantization, in shapes that broadcast.
        maxq: The greatest level.

    Example:
        >>> x = torch.tensor([-1.0, 0.2, 9.0])
        >>> quantize_with_zero_point(x, torch.tensor(0.5), torch.tensor(1), 7).tolist()
        [0.0, 1.0, 7.0]
    """
    scale = as_tensor(scale)
    zero, x = _beside(scale, zero), as_tensor(input_tensor, None, scale.device)
    divisor = torch.where(scale == 0, _TINY, scale)
    levels = torch.round(x / divisor + zero)
    return torch.minimum(levels.clamp(min=0), _beside(levels, maxq))


def _beside(x: Tensor, other: Any) -> Tensor:
    """Return `other` with the dtype and the device of `x`."""
    return as_tensor(other, None, x.device).to(x)


def dequantize_with_zero_point(input_tensor: Any, scale: Any, zero: Any) -> Tensor:
    """Return the numbers that levels stand for, `(q - zero) * scale`.

    Example:
        >>> dequantize_with_zero_point(torch.tensor([0, 1, 7]), torch.tensor(0.5), 1).tolist()
        [-0.5, 0.0, 3.0]
    """
    scale = as_tensor(scale)
    return scale * (as_tensor(input_tensor, None, scale.device) - _beside(scale, zero))


def _by_index(groups: Any, axis: int, *parameters: Any) -> list[Tensor]:
    """Pick, for each index of the quantized axis, the parameters of its group."""
    tensors = [as_tensor(parameter) for parameter in parameters]
    index = as_tensor(groups).to(tensors[0].device, torch.int32)
    return [tensor.index_select(axis, index) for tensor in tensors]


def quantize_with_sz_map(
    weights_matrix: Any, scale: Any, zero: Any, g_idx: Any, maxq: Any, group_axis: int = -1
) -> Tensor:
    """Quantize a matrix whose rows or columns belong to groups.

    Args:
        weights_matrix: The numbers.
        scale, zero: Of each group, which are counted along `group_axis`.
        g_idx: The group of each index of the matrix along that axis.
        maxq: The greatest level.
        group_axis: The axis.

    Returns: The levels, in a floating dtype.
    """
    scale, zero = _by_index(g_idx, group_axis, scale, zero)
    return quantize_with_zero_point(weights_matrix, scale, zero, maxq)


def dequantize_with_sz_map(
    weights_matrix: Any, scale: Any, zero: Any, g_idx: Any, group_axis: int = -1
) -> Tensor:
    """Return the numbers of a matrix whose rows or columns belong to groups.

    Args:
        weights_matrix: The levels.
        scale, zero: Of each group, which are counted along `group_axis`.
        g_idx: The group of each index of the matrix along that axis.
        group_axis: The axis.

    Example:
        >>> levels = torch.tensor([[1, 2, 3, 4]])
        >>> scale, zero = torch.tensor([[1.0, 10.0]]), torch.tensor([[0, 2]])
        >>> dequantize_with_sz_map(levels, scale, zero, torch.tensor([0, 0, 1, 1])).tolist()
        [[1.0, 2.0, 10.0, 20.0]]
    """
    scale, zero = _by_index(g_idx, group_axis, scale, zero)
    return (as_tensor(weights_matrix) - zero.to(scale.dtype)) * scale


def dequantize_blocks(levels: Tensor, scale: Tensor, zero: Tensor, block: int) -> Tensor:
    """Return what `dequantize_with_sz_map` does for blocks of rows, with less memory touched.

    Args:
        levels: Integers, `(R, C)`.
        scale, zero: Of each block and column, `(G, C)`.
        block: Rows in a block; the last one may have fewer.
    """
    numbers, zero = levels.to(scale.dtype), zero.to(scale.dtype)
    whole = len(levels) // block
    blocks = numbers[: whole * block].unflatten(0, (whole, block))
    blocks.sub_(zero[:whole, None]).mul_(scale[:whole, None])
    numbers[whole * block :].sub_(zero[whole:]).mul_(scale[whole:])
    return numbers
