"""The table of TensorFlow's functions, and what its rows share: dtypes, constants, sizes.

A row is a function with TensorFlow's argument names, since files give arguments by name. What
differs from `torchkeras.ops`: TensorFlow never promotes dtypes. A Python number or list beside a
tensor takes the dtype of the tensor; by itself a float is float32 and an integer int32.
Source: TensorFlow 2.21 (names, arguments, results), by `compat_tests.legacy`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from ...config import default_device
from ...dtypes import to_torch

__all__ = [
    "TABLE",
    "as_dtype",
    "axes",
    "constant",
    "dtype_limits",
    "each",
    "in_tensorflow",
    "integers",
    "is_first",
    "pair",
    "product",
    "spatial",
    "tensor",
]

# Functions by TensorFlow's canonical names, without `tf.`.
TABLE: dict[str, Callable[..., Any]] = {}


def in_tensorflow(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter the decorated function into the table."""

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            TABLE[name] = function
        return function

    return enter


def as_dtype(dtype: Any, default: torch.dtype | None = None) -> torch.dtype:
    """Return torch's dtype of a name of TensorFlow's.

    Example:
        >>> as_dtype("half"), as_dtype(None, torch.int32)
        (torch.float16, torch.int32)
    """
    if dtype is None:
        dtype = default
    aliases = {"half": "float16", "double": "float64"}
    return to_torch(aliases.get(dtype, dtype) if isinstance(dtype, str) else dtype)


def tensor(value: Any, dtype: torch.dtype | None = None, like: Tensor | None = None) -> Any:
    """Return a tensor; of a constant one with TensorFlow's dtype, or that of `like`.

    Example:
        >>> tensor([1, 2]).dtype, tensor([1, 2], like=torch.zeros(2)).dtype
        (torch.int32, torch.float32)
    """
    if isinstance(value, Tensor):
        return value if dtype is None else value.to(dtype)
    if like is not None:
        dtype = dtype or like.dtype
    if isinstance(value, (list, tuple)) and (inner := first_tensor(value)) is not None:
        like = inner if like is None else like
        return torch.stack([tensor(item, dtype, like) for item in value])
    dtype = dtype or _natural_dtype(value)
    place = default_device() if like is None else like.device
    if isinstance(value, (bool, int, float)):
        return torch.full((), value, dtype=dtype, device=place)  # on the device, without a copy
    return torch.tensor(value, dtype=dtype, device=place)


def first_tensor(value: Any) -> Tensor | None:
    """Return a tensor among nested lists, if there is one."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, (list, tuple)):
        found = (first_tensor(item) for item in value)
        return next((item for item in found if item is not None), None)
    return None


def _natural_dtype(value: Any) -> torch.dtype:
    while isinstance(value, (list, tuple)):
        if not value:
            return torch.float32
        if any(isinstance(item, float) for item in value):
            return torch.float32
        value = value[0]
    if isinstance(value, bool):
        return torch.bool
    return torch.int32 if isinstance(value, int) else torch.float32


def constant(value: Any, like: Tensor) -> Any:
    """Return what may stand beside `like`: numbers stay, lists become tensors of its dtype."""
    return value if isinstance(value, (bool, int, float)) else tensor(value, like=like)


def pair(x: Any, y: Any, numbers: bool = False) -> tuple[Any, Any]:
    """Return two operands in one dtype.

    Args:
        x: A tensor or constant.
        y: Likewise; one of the two is a tensor.
        numbers: Whether a Python number may stay one, as torch's arithmetic takes it.

    Raises:
        TypeError: They are tensors of two dtypes, which TensorFlow refuses.
    """
    convert = constant if numbers else (lambda value, like: tensor(value, like=like))
    if isinstance(x, Tensor) and isinstance(y, Tensor):
        if x.dtype != y.dtype:
            raise TypeError(
                f"TensorFlow's operations take tensors of one dtype. Received: {x.dtype} and"
                f" {y.dtype}."
            )
        if x.device != y.device:  # sizes are computed on the host
            x, y = (x, y.to(x.device)) if y.device.type == "cpu" else (x.to(y.device), y)
        return x, y
    if isinstance(x, Tensor):
        return x, convert(y, x)
    like = y if isinstance(y, Tensor) else first_tensor([x, y])
    if like is None:
        like = tensor(x)
    return convert(x, like), convert(y, like)


def integers(sizes: Any) -> tuple[int, ...]:
    """Return a shape, in whatever way it is given, as a tuple.

    Example:
        >>> integers([2, torch.tensor(3)]), integers(torch.tensor([4, 5]))
        ((2, 3), (4, 5))
    """
    if isinstance(sizes, Tensor):
        return tuple(sizes.reshape(-1).tolist())
    if isinstance(sizes, int):
        return (sizes,)
    return tuple(int(size) for size in sizes)


def axes(axis: Any, rank: int) -> tuple[int, ...]:
    """Return axes as a tuple of non-negative ones; `None` means all."""
    if axis is None:
        return tuple(range(rank))
    return tuple(a % rank if rank else a for a in integers(axis))


def each(
    names: str, family: Callable[[Callable[..., Any]], Callable[..., Any]], **rows: Any
) -> None:
    """Enter functions of one signature: `rows` by the last part of the name after `names`."""
    for name, function in rows.items():
        TABLE[f"{names}.{name}" if names else name] = family(function)


def dtype_limits(dtype: torch.dtype) -> tuple[Any, Any]:
    """Return the lowest and the highest number of a dtype."""
    info = torch.finfo(dtype) if dtype.is_floating_point else torch.iinfo(dtype)
    return info.min, info.max


def spatial(values: Any, count: int, channels_first: bool = False) -> tuple[int, ...]:
    """Return sizes of the spatial axes, given for these, for all axes or as one number."""
    sizes: Sequence[int] = integers(values)
    if len(sizes) == 1:
        return tuple(sizes) * count
    if len(sizes) == count + 2:
        return tuple(sizes[2:] if channels_first else sizes[1:-1])
    return tuple(sizes)


def is_first(data_format: str | None) -> bool:
    """Whether a layout such as `NCHW` has the channels before the spatial axes."""
    return data_format is not None and data_format.startswith("NC")


def product(values: Iterable[int]) -> int:
    """Return the product of sizes."""
    result = 1
    for value in values:
        result *= value
    return result
