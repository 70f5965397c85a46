"""Limits on memory and work: what may be copied, and what a configuration may allocate and compute.

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
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from .errors import FileFormatError
from .late import LateValues

__all__ = ["AllocationBudget", "check_counts", "fits_in_memory"]

# Weights are copied into memory, instead of to a disk, up to this share of the machine's ...
_MEMORY_UPPER_BOUND = 0.5
_IN_MEMORY = 64 << 20  # ... and up to this size: beyond it, a second copy costs more than a disk

_PER_TENSOR = 16
_PER_TENSOR_FLOOR = 64 << 20
_TOTAL = 64
_TOTAL_FLOOR = 1 << 28
_CALLS = 100_000  # of torch operations; a model of a thousand layers needs a fifth ...
_BYTES_PER_CALL = 1000  # ... and larger files may have more of them
_OUTPUTS = 100_000  # of one operation, such as a split


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


def check_counts(config: Any, source: Any) -> None:
    """Refuse counts of absurd size in a configuration: of lists and arrays that are no tensors.

    Args:
        config: JSON of bounded depth.
        source: The file, for the message.

    Raises:
        FileFormatError: An argument such as `num_thresholds` is beyond a million.
    """
    waiting = [config]
    while waiting:
        node = waiting.pop()
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            if isinstance(value, (dict, list)):
                waiting.append(value)
            elif isinstance(value, (int, float)) and value > _COUNT_LIMIT and _is_count(key):
                raise FileFormatError(
                    source,
                    f"its configuration has {key}={value}, which no model needs",
                    fix="if you trust the file, load it with `safe_mode=False`.",
                )


def _is_count(key: Any) -> bool:
    names = ("bins", "chain_depth", "fft_length", "indices_or_sections", "repetitions")
    free = ("num_bins", "num_tokens")  # what is counted modulo them takes no memory
    return isinstance(key, str) and (key in names or (key.startswith("num_") and key not in free))


_COUNT_LIMIT = 1_000_000


class AllocationBudget(TorchDispatchMode):
    """Refuse to create tensors far larger than a file's weights while it is active.

    Args:
        source: The file, for the message.
        size: Bytes of weights in it.
        late: The weights that have no values yet, if some may wait for those of the file.

    Example:
        >>> with AllocationBudget("m.keras", size=1000):
        ...     torch.zeros(10**12)
        Traceback (most recent call last):
        torchkeras.saving.errors.FileFormatError: m.keras: its configuration asks for more memory...
    """

    def __init__(self, source: Any, size: int, late: LateValues | None = None) -> None:
        super().__init__()
        self.late = LateValues() if late is None else late
        self.source = source
        self.size = size
        self.largest = size * _PER_TENSOR + _PER_TENSOR_FLOOR
        self.left = size * _TOTAL + _TOTAL_FLOOR
        self.calls_left = _CALLS + size // _BYTES_PER_CALL

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled inside; skipping would import torch._dynamo, 1.2 s

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        self.calls_left -= 1
        if self.calls_left < 0 or _count_outputs(func, args) > _OUTPUTS:
            raise FileFormatError(
                self.source,
                "its configuration asks for more computation than building a model takes",
                operation=func.name(),
                fix="if you trust the file, load it with `safe_mode=False`.",
            )
        shape = _created_shape(func, args, kwargs)
        if shape is None:
            self._spend(_result_bytes(func, args, kwargs), operation=func.name())
        elif torch.device(kwargs.get("device") or "cpu").type != "meta":
            dtype = kwargs.get("dtype") or torch.get_default_dtype()
            self._spend(math.prod(shape) * dtype.itemsize, tensor=f"shape {tuple(shape)}")
        return self.late.run(func, args, kwargs)

    def _spend(self, nbytes: int, **facts: str) -> None:
        self.left -= nbytes
        if nbytes > self.largest or self.left < 0:
            raise FileFormatError(
                self.source,
                "its configuration asks for more memory than weights of its size explain",
                **facts,
                memory=f"{nbytes} bytes",
                weights=f"{self.size} bytes",
                fix="if you trust the file, load it with `safe_mode=False`.",
            )


def _created_shape(func: Any, args: Any, kwargs: Any) -> list[int] | None:
    """Return the shape a factory function is asked for; `None` for every other function."""
    found = _SIZE_ARGUMENTS.get(func)
    if found is None:
        names = [argument.name for argument in func._schema.arguments]
        wanted: tuple[str, ...] = _SIZES if "device" in names else ()
        if func.overloadpacket is torch.ops.aten.arange:
            wanted = ("start", "end", "step")
        found = [(names.index(name), name) for name in wanted if name in names]
        if "eye" in func.name() and len(found) == 1:
            found = found * 2  # square
        _SIZE_ARGUMENTS[func] = found
    values = [args[i] if i < len(args) else kwargs.get(name) for i, name in found]
    if found and found[-1][1] in ("end", "step"):
        start, end, step = values if len(values) == 3 else (*[0, *values][-2:], 1)
        return [max(0, math.ceil((end - start) / (step or 1)))]
    sizes = [v if isinstance(v, (list, tuple)) else [v] for v in values if v is not None]
    return [int(n) for size in sizes for n in size] if sizes else None


def _result_bytes(func: Any, args: Any, kwargs: Any) -> int:
    """Count the bytes of the tensors that a function of tensors will return, before it does."""
    if any(result.alias_info for result in func._schema.returns):  # a view, or done in place
        return 0
    if "device" in kwargs:  # to which the tensor, or one like it, goes
        if torch.device(kwargs["device"] or "cpu").type == "meta":
            return 0
        kwargs = {**kwargs, "device": "meta"}
    leaves, structure = tree_flatten((args, kwargs))
    if all(not isinstance(x, torch.Tensor) or x.is_meta for x in leaves):
        return 0
    try:
        stand_ins = [_without_data(x) if isinstance(x, torch.Tensor) else x for x in leaves]
        args, kwargs = tree_unflatten(stand_ins, structure)
        results = tree_leaves(func(*args, **kwargs))
    except Exception:  # what has no such kernel returns about what it takes, or what a number says
        return max((8 * x for x in leaves if type(x) is int and x > _COUNT_LIMIT), default=0)
    return sum(x.numel() * x.itemsize for x in results if isinstance(x, torch.Tensor))


def _without_data(x: torch.Tensor) -> torch.Tensor:
    return torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device="meta")


def _count_outputs(func: Any, args: Any) -> int:
    """Return how many tensors a function that takes one apart will return, before it does."""
    name = func.overloadpacket.__name__
    if name not in _SPLITS:
        return 1
    if name == "split_with_sizes":
        return len(args[1])
    x, dim = args[0], args[-1] if len(args) > _SPLITS[name] else 0
    size = x.shape[dim] if x.ndim else 1
    return size if name == "unbind" else int(size) // max(1, int(args[1]))


# Functions that return a part for each position, and the number of the argument before `dim`.
_SPLITS = {"unbind": 1, "split": 2, "unsafe_split": 2, "split_with_sizes": 2}
_SIZES = ("size", "n", "m", "steps", "window_length", "row", "col")
_SIZE_ARGUMENTS: dict[Any, list[tuple[int, str]]] = {}
