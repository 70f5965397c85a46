"""Limits on memory: what may be copied into it, and what a configuration may allocate.

The configuration in a file can ask for weights of any size, while the file holds only a few bytes
of them. Every weight of a saved model is in its file, so building it cannot need much more memory
than the file has: initializers work on a copy or two, optimizers add a few slots per weight.
"""

from __future__ import annotations

import functools
import math
import os
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from .errors import FileFormatError

__all__ = ["AllocationBudget", "fits_in_memory"]

# Weights are copied into memory, instead of to a disk, up to this share of the machine's ...
_MEMORY_UPPER_BOUND = 0.5
_IN_MEMORY = 64 << 20  # ... and up to this size: beyond it, a second copy costs more than a disk

_PER_TENSOR = 16
_PER_TENSOR_FLOOR = 64 << 20
_TOTAL = 64
_TOTAL_FLOOR = 1 << 30


def fits_in_memory(size: int) -> bool:
    """Tell whether so many bytes of weights are better copied into memory than to a disk.

    >>> fits_in_memory(0), fits_in_memory(1 << 60)
    (True, False)
    """
    return size <= min(_IN_MEMORY, _MEMORY_UPPER_BOUND * _physical_memory())


@functools.cache
def _physical_memory() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows
        return 1 << 30


class AllocationBudget(TorchDispatchMode):
    """Refuse to create tensors far larger than a file's weights while it is active.

    Args:
        source: The file, for the message.
        size: Bytes of weights in it.

    Example:
        >>> with AllocationBudget("m.keras", size=1000):
        ...     torch.zeros(10**12)
        Traceback (most recent call last):
        torchkeras.saving.errors.FileFormatError: m.keras: its configuration asks for more memory...
    """

    def __init__(self, source: Any, size: int) -> None:
        super().__init__()
        self.source = source
        self.size = size
        self.largest = size * _PER_TENSOR + _PER_TENSOR_FLOOR
        self.left = size * _TOTAL + _TOTAL_FLOOR

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled inside; skipping would import torch._dynamo, 1.2 s

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        shape = _created_shape(func, args, kwargs)
        if shape is not None and torch.device(kwargs.get("device") or "cpu").type != "meta":
            dtype = kwargs.get("dtype") or torch.get_default_dtype()
            nbytes = math.prod(shape) * dtype.itemsize
            self.left -= nbytes
            if nbytes > self.largest or self.left < 0:
                raise FileFormatError(
                    self.source,
                    "its configuration asks for more memory than weights of its size explain",
                    tensor=f"shape {tuple(shape)}, {nbytes} bytes",
                    weights=f"{self.size} bytes",
                    fix="if you trust the file, load it with `safe_mode=False`.",
                )
        return func(*args, **kwargs)


def _created_shape(func: Any, args: Any, kwargs: Any) -> list[int] | None:
    """Return the shape a factory function is asked for; `None` for every other function."""
    found = _SIZE_ARGUMENTS.get(func)
    if found is None:
        names = [argument.name for argument in func._schema.arguments]
        wanted = ("size", "n", "m", "end") if "device" in names else ()
        found = [(names.index(name), name) for name in wanted if name in names]
        if "eye" in func.name() and len(found) == 1:
            found = found * 2  # square
        _SIZE_ARGUMENTS[func] = found
    values = [args[i] if i < len(args) else kwargs.get(name) for i, name in found]
    sizes = [v if isinstance(v, (list, tuple)) else [v] for v in values if v is not None]
    return [int(n) for size in sizes for n in size] if sizes else None


_SIZE_ARGUMENTS: dict[Any, list[tuple[int, str]]] = {}
