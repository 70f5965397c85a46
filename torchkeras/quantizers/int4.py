"""Four-bit numbers, two to a byte: the first of a pair in the low half, the second in the high."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..dtypes import as_tensor, standardize_dtype
from ..naming import explain

__all__ = ["pack_int4", "unpack_int4"]

_DTYPES = {"int8": torch.int8, "uint8": torch.uint8}


def _check_dtype(dtype: str) -> None:
    if dtype not in _DTYPES:
        raise ValueError(f"Expected dtype to be 'int8' or 'uint8', but got {dtype!r}.")


def pack_int4(arr: Any, axis: int = 0, dtype: str = "int8") -> tuple[Tensor, tuple[int, ...], int]:
    """Pack pairs of neighbours along an axis into a byte each.

    Args:
        arr: Numbers from -8 to 7 in int8, or from 0 to 15 in uint8.
        axis: The axis, which ends up half as long; an odd one is filled up with a zero.
        dtype: `"int8"` or `"uint8"`, that of `arr`.

    Returns: The packed tensor, its shape, and how long the axis was.

    Raises:
        ValueError: Another `dtype`.
        TypeError: `arr` has not that dtype.

    Example:
        >>> packed, shape, length = pack_int4(torch.tensor([1, -2, 3], dtype=torch.int8))
        >>> packed.tolist(), shape, length
        ([-31, 3], (2,), 3)
        >>> unpack_int4(packed, length).tolist()
        [1, -2, 3]
    """
    _check_dtype(dtype)
    arr = as_tensor(arr)
    if standardize_dtype(arr.dtype) != dtype:
        raise TypeError(
            explain(
                f"Expected {dtype} numbers to pack, got {standardize_dtype(arr.dtype)}.",
                fix=f"cast them, or pass `dtype={standardize_dtype(arr.dtype)!r}`.",
            )
        )
    length = arr.shape[axis]
    last = F.pad(arr.movedim(axis, -1), (0, length % 2))
    packed = ((last[..., ::2] & 15) | (last[..., 1::2] << 4)).movedim(-1, axis).contiguous()
    return packed, tuple(packed.shape), length


def unpack_int4(packed: Any, orig_len: int, axis: int = 0, dtype: str = "int8") -> Tensor:
    """Return the numbers that `pack_int4` packed.

    Args:
        packed: Bytes, in int8 or uint8.
        orig_len: How long the axis was.
        axis: The axis.
        dtype: `"int8"` for numbers from -8 to 7, `"uint8"` for 0 to 15.

    Raises:
        ValueError: Another `dtype`.
        TypeError: `packed` holds no bytes.
    """
    _check_dtype(dtype)
    packed = as_tensor(packed)
    if standardize_dtype(packed.dtype) not in _DTYPES:
        raise TypeError(
            f"Expected int8 or uint8 tensor for unpacking, got {standardize_dtype(packed.dtype)}."
        )
    packed, axis = packed.view(_DTYPES[dtype]), axis % packed.dim()
    # Shifts keep the sign of int8, so that the low half gets its own by going up and down again.
    low = (packed << 4) >> 4 if dtype == "int8" else packed & 15
    pairs = torch.stack((low, packed >> 4), dim=axis + 1)
    return pairs.flatten(axis, axis + 1).narrow(axis, 0, orig_len)
