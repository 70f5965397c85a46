"""Shape inference: run the real function on tensors without data.

The function runs on `meta` tensors, twice if a size is unknown, with a different stand-in for
unknown sizes each time: a size of the result that differs between the runs is unknown too. There
are thus no shape rules beside the code that computes. What cannot run on `meta` (an operation
without such a kernel, or Python that looks at values) is tried once more on small tensors of zeros.
Where the stand-ins do not fit, others are tried that most numbers divide (an unknown axis may be
split in halves), and then unknown sizes are set to known ones, also to those of arrays, as for
`(None, 3) + (2, None)`.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from ..config import default_device
from ..dtypes import standardize_dtype, to_torch
from ..naming import explain
from ..tree import flatten, map_structure
from ..variables import READING
from .context import CONTEXT
from .keras_tensor import KerasTensor
from .scopes import StatelessScope, SymbolicScope

__all__ = [
    "SIZES",
    "SizeMismatch",
    "broadcast_shapes",
    "compute_output_spec",
    "infer_elementwise",
    "infer_spec",
    "known_shape",
    "marked_sparse",
    "real_mode",
    "unknown_size",
    "without_stand_ins",
]

# Primes, so that no product or sum of a layer's own sizes is likely to look like an unknown size.
_STAND_INS = (83, 89)
# For code that divides an unknown size.
_DIVISIBLE = (840, 1680)
# All numbers that stand for an unknown size.
SIZES = (*_STAND_INS, *_DIVISIBLE)
# Attempts to set unknown sizes: each runs the function once more, and only where it failed.
_MOST_BINDINGS = 200


class SizeMismatch(ValueError):
    """Sizes that do not go together. Within inference, unknown ones are then set to known ones.

    Example:
        >>> def add_rows(x, y):
        ...     if x.shape[0] != y.shape[0]:
        ...         raise SizeMismatch("Not as many rows.")
        ...     return x + y
        >>> infer_spec(add_rows, (KerasTensor((None, 4)), KerasTensor((5, 4))), {}).shape
        (5, 4)
    """


class _Run(threading.local):
    """The run under way: its stand-in for unknown sizes, and whether the code asked for it."""

    stand_in = _STAND_INS[0]
    asked = False


_RUN = _Run()


def unknown_size() -> int:
    """Within inference, return a size for an axis of a result that depends on values.

    Example:
        >>> infer_spec(lambda x: x.new_zeros(unknown_size()), (KerasTensor((2,)),), {}).shape
        (None,)
    """
    _RUN.asked = True
    return _RUN.stand_in


class _Inference:
    """Within it, tensors are made on `device` and weights are seen as stand-ins there."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def __enter__(self) -> None:
        self._former_devices = (CONTEXT.device, CONTEXT.real_device)
        if not CONTEXT.meta:
            CONTEXT.real_device = default_device()
        CONTEXT.device = self.device
        self._former_view = CONTEXT.set_view(READING.autocast, True)
        self._device_scope = torch.device(self.device)
        self._device_scope.__enter__()
        self._no_grad = torch.no_grad()
        self._no_grad.__enter__()

    def __exit__(self, *exception: Any) -> None:
        self._no_grad.__exit__(*exception)
        self._device_scope.__exit__(*exception)
        CONTEXT.set_view(*self._former_view)
        CONTEXT.device, CONTEXT.real_device = self._former_devices


class real_mode:  # noqa: N801 - a context manager, used like a function
    """Within it, nothing is inferred: layers that are built here get real weights."""

    def __enter__(self) -> None:
        self._former_view = None
        if CONTEXT.meta:
            self._former_view = CONTEXT.set_view(None, False)
            self._device_scope = torch.device(CONTEXT.real_device)
            self._device_scope.__enter__()

    def __exit__(self, *exception: Any) -> None:
        if self._former_view is not None:
            self._device_scope.__exit__(*exception)
            CONTEXT.set_view(*self._former_view)


def known_shape(x: Any) -> tuple[int | None, ...]:
    """Return the shape of a tensor, with `None` where it is a stand-in of shape inference."""
    if CONTEXT.meta and isinstance(x, torch.Tensor):
        stand_ins = (*_STAND_INS, _RUN.stand_in)
        return tuple(None if size in stand_ins else size for size in x.shape)
    return tuple(x.shape)


def marked_sparse(x: torch.Tensor, sparse: bool = True) -> torch.Tensor:
    """Return a result within inference with or without the mark of a sparse tensor.

    Example:
        >>> infer_spec(marked_sparse, (KerasTensor((2, 3)),), {}).sparse
        True
    """
    x = x.view(x.shape)  # an object of its own, without marks
    if sparse:
        x._keras_sparse = True
    return x


def without_stand_ins(message: str) -> str:
    """Write None for the stand-ins of unknown sizes in an error of torch's."""
    return re.sub(rf"\b({'|'.join(map(str, _STAND_INS))})\b", "None", message)


def compute_output_spec(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return what a function gives for symbolic tensors, changing no variable.

    Example:
        >>> compute_output_spec(torch.transpose, KerasTensor((None, 3)), 0, 1).shape
        (3, None)
    """
    with StatelessScope(), SymbolicScope():
        return infer_spec(fn, args, kwargs)


def infer_spec(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return what `function(*args, **kwargs)` gives, with a `KerasTensor` for each tensor.

    Args:
        function: Computes with torch.
        args: Positional arguments, `KerasTensor`s among them.
        kwargs: Keyword arguments, likewise.

    Raises:
        Exception: Whatever the function raises on tensors without data, if it fails on zeros too.
    """
    device = torch.device("meta")
    try:
        return _infer(function, args, kwargs, device)
    except (NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        first: Exception = error
    try:
        return _infer(function, args, kwargs, default_device())
    except Exception as error:
        if isinstance(first, NotImplementedError):  # of a kernel, which says nothing of the sizes
            first, device = error, default_device()
    if type(first) in (RuntimeError, SizeMismatch):  # torch tells of sizes by the former
        ways = ((bound, _STAND_INS) for bound in _bindings(args, kwargs))
        for bound, stand_ins in itertools.chain([({}, _DIVISIBLE)], ways):
            try:
                result = _infer(function, args, kwargs, device, bound, stand_ins)
            except Exception:  # the first error is the one that tells
                continue
            for axis, size in bound.items():  # what other sizes would change stays unknown
                for another in (size + 1, max(size - 1, 1)):
                    with contextlib.suppress(Exception):
                        other = _infer(function, args, kwargs, device, {**bound, axis: another})
                        result = map_structure(_known_in_both, result, other)
            return result
    raise first from None


def infer_elementwise(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> KerasTensor | None:
    """As `infer_spec`, for a function that works on numbers, each by itself, and broadcasts.

    The shape follows from the shapes, and one number of each tensor shows the dtype. So no kernel
    for tensors without data is needed: torch's are Python, and the first one imports its compiler,
    which takes longer than to make most models.

    Returns:
        `None` where it cannot be told so.
    """
    shapes: list[Any] = []

    def first_number(x: Any) -> Any:
        if x is None or isinstance(x, (bool, int, float)):
            return x
        shapes.append(x.shape)
        if not isinstance(x, KerasTensor):
            return x[(slice(0, 1),) * len(x.shape)]
        number = torch.zeros([1] * len(x.shape), dtype=to_torch(x.dtype), device="cpu")
        return marked_sparse(number) if x.sparse else number

    leaves = flatten((args, kwargs))
    if any(getattr(x, "_keras_mask", None) is not None for x in leaves):
        return None
    try:
        numbers = map_structure(first_number, (args, kwargs))
        shape = tuple(functools.reduce(broadcast_shapes, shapes))
        with _Inference(torch.device("cpu")):
            result = function(*numbers[0], **numbers[1])
    except Exception:  # the full inference will say what is wrong
        return None
    if not isinstance(result, torch.Tensor) or result.shape != (1,) * len(shape):
        return None
    sparse = getattr(result, "_keras_sparse", False)
    return KerasTensor(shape, standardize_dtype(result.dtype), sparse=sparse)


def broadcast_shapes(shape1: Sequence[int | None], shape2: Sequence[int | None]) -> list[Any]:
    """Return the shape that two shapes broadcast to.

    Raises:
        ValueError: They do not go together.

    >>> broadcast_shapes((5, None, 3), (1, 3))
    [5, None, 3]
    """
    rank = max(len(shape1), len(shape2))
    result: list[int | None] = []
    for a, b in zip(_padded(shape1, rank), _padded(shape2, rank), strict=True):
        if None not in (a, b) and a != b and 1 not in (a, b):
            raise ValueError(
                explain(
                    f"Cannot broadcast shape: sizes {a} and {b} do not go together.",
                    given=f"{tuple(shape1)} and {tuple(shape2)}",
                )
            )
        if a == 1 or (a is None and b != 1):
            a = b
        result.append(a)
    return result


def _padded(shape: Sequence[int | None], rank: int) -> list[int | None]:
    return [1] * (rank - len(shape)) + list(shape)


# Sizes set for axes of symbolic tensors, by the tensor's id and the axis.
_Bound = dict[tuple[int, int], int]


def _bindings(args: Any, kwargs: Any) -> Iterator[_Bound]:
    """Yield ways to set unknown sizes to known ones of the arguments, those that set few first."""
    leaves = flatten((args, kwargs))
    symbolic = [t for t in leaves if isinstance(t, KerasTensor)]
    unknown = [(id(t), i) for t in symbolic for i, size in enumerate(t.shape) if size is None]
    arrays = [x for x in leaves if isinstance(x, (KerasTensor, torch.Tensor, np.ndarray))]
    lists = [len(x) for x in (*args, *kwargs.values()) if isinstance(x, (list, tuple))]
    known = [size for x in arrays for size in x.shape if size is not None]
    sizes = list(dict.fromkeys([*known, *lists]))

    def ways(count: int) -> Iterator[_Bound]:
        for axes in itertools.combinations(reversed(unknown), count):
            for chosen in itertools.product(sizes, repeat=count):
                yield dict(zip(axes, chosen, strict=True))

    yield from ways(1)
    yield _aligned(symbolic, arrays)
    more = itertools.chain.from_iterable(ways(count) for count in range(2, len(unknown) + 1))
    yield from itertools.islice(more, _MOST_BINDINGS)


def _aligned(symbolic: Sequence[KerasTensor], arrays: Sequence[Any]) -> _Bound:
    """Set unknown sizes to those that other arrays of the same rank have on the same axis."""
    bound: _Bound = {}
    for tensor in symbolic:
        for i, size in enumerate(tensor.shape):
            others = [x.shape[i] for x in arrays if len(x.shape) == len(tensor.shape)]
            fitting = [other for other in others if other is not None]
            if size is None and fitting:
                bound[id(tensor), i] = fitting[0]
    return bound


def _infer(
    function: Callable[..., Any],
    args: Any,
    kwargs: Any,
    device: torch.device,
    bound: _Bound | None = None,
    stand_ins: tuple[int, int] = _STAND_INS,
) -> Any:
    symbolic = [t for t in flatten((args, kwargs)) if isinstance(t, KerasTensor)]
    unknown = any(None in tensor.shape for tensor in symbolic)
    outer = _RUN.stand_in, _RUN.asked
    _RUN.asked = False
    try:
        with _Inference(device):
            runs = []
            for _RUN.stand_in in stand_ins:
                made: dict[int, torch.Tensor] = {}

                def concrete(x: Any, made: dict[int, Any] = made) -> Any:
                    return _materialize(x, device, made, bound or {}) if _is_symbol(x) else x

                concrete_args, concrete_kwargs = map_structure(concrete, (args, kwargs))
                runs.append(function(*concrete_args, **concrete_kwargs))
                if not (unknown or _RUN.asked):
                    break
    finally:
        _RUN.stand_in, _RUN.asked = outer
    return map_structure(_merge, *runs)


def _is_symbol(x: Any) -> bool:
    return isinstance(x, KerasTensor)


def _materialize(
    x: KerasTensor,
    device: torch.device,
    made: dict[int, torch.Tensor],
    bound: _Bound,
) -> torch.Tensor:
    """Make the tensor without data that stands for `x`, the same one each time."""
    if x._keras_sizes is not None:
        _RUN.asked = True  # also where all shapes are known, the values may not be
        return x._keras_sizes[_RUN.stand_in]
    if id(x) not in made:
        shape = [
            bound.get((id(x), i), _RUN.stand_in) if size is None else size
            for i, size in enumerate(x.shape)
        ]
        dtype = torch.int32 if x.dtype == "string" else to_torch(x.dtype)
        tensor = torch.zeros(shape, dtype=dtype, device=device)
        if x.sparse:
            tensor._keras_sparse = True
        if x._keras_mask is not None:
            tensor._keras_mask = _materialize(x._keras_mask, device, made, bound)
        made[id(x)] = tensor
    return made[id(x)]


def _known_in_both(one: Any, other: Any) -> Any:
    """Return a result with the sizes that it has for other sizes of the arguments too."""
    if not isinstance(one, KerasTensor) or one.shape == other.shape:
        return one
    shape = (a if a == b else None for a, b in zip(one.shape, other.shape, strict=True))
    spec = KerasTensor(tuple(shape), one.dtype, sparse=one.sparse)
    spec._keras_mask = one._keras_mask
    return spec


def _merge(first: Any, second: Any = None) -> Any:
    """Turn the results of the runs into a `KerasTensor`; other values stay as they are."""
    if not isinstance(first, torch.Tensor):
        return first
    shape = tuple(first.shape)
    if isinstance(second, torch.Tensor):
        if second.dim() != first.dim():
            raise ValueError(
                "The rank of the result depends on a size that is not known yet:"
                f" {tuple(first.shape)} against {tuple(second.shape)}."
            )
        shape = tuple(a if a == b else None for a, b in zip(first.shape, second.shape, strict=True))
    sparse = getattr(first, "_keras_sparse", False)
    spec = KerasTensor(shape, standardize_dtype(first.dtype), sparse=sparse)
    mask = getattr(first, "_keras_mask", None)
    if mask is not None:
        spec._keras_mask = _merge(mask, getattr(second, "_keras_mask", None))
    return spec
