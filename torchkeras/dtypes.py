"""Dtype names, their `torch.dtype`s, and Keras's promotion rules.

Names are strings (`"float32"`) in the public API and `torch.dtype` inside; this module converts.
The Python types `int` and `float` are weak: they take the width of what they meet.
64-bit results are narrowed to 32 bits, and `uint16`/`uint32` live in the next wider signed torch
type, because that is what Keras on torch does; values and files depend on both.
Sources: Keras's promotion lattice, which is JAX's (JAX documentation, "Type promotion semantics").
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch

from .config import default_device, floatx
from .tree import flatten

__all__ = [
    "ALLOWED_DTYPES",
    "as_tensor",
    "is_float",
    "is_float_dtype",
    "is_int_dtype",
    "is_integer",
    "readable",
    "result_type",
    "standardize_dtype",
    "to_numpy",
    "to_torch",
]

TORCH_DTYPES: dict[str, torch.dtype] = {
    "bool": torch.bool,
    "uint8": torch.uint8,
    "uint16": torch.int32,
    "uint32": torch.int64,
    "int8": torch.int8,
    "int16": torch.int16,
    "int32": torch.int32,
    "int64": torch.int64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float32": torch.float32,
    "float64": torch.float64,
    "float8_e4m3fn": torch.float8_e4m3fn,
    "float8_e5m2": torch.float8_e5m2,
    "complex64": torch.complex64,
    "complex128": torch.complex128,
}
# In Keras's order, which its tests take their names from.
ALLOWED_DTYPES = tuple(
    "float16 float32 float64 uint8 uint16 uint32 uint64 int8 int16 int32 int64 bfloat16 bool string"
    " float8_e4m3fn float8_e5m2 complex64 complex128".split()
)
BOOL_TYPES = ("bool",)
INT_TYPES = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")
FLOAT_TYPES = ("bfloat16", "float16", "float32", "float64")
FLOAT8_TYPES = ("float8_e4m3fn", "float8_e5m2")
WEAK_TYPES = ("int", "float")

# Every dtype with the dtypes directly above it. "int" and "float" are the weak Python types.
_ABOVE: dict[str, tuple[str, ...]] = {
    "bool": ("int",),
    "int": ("uint8", "int8", "complex64"),
    "uint8": ("uint16", "int16"),
    "uint16": ("uint32", "int32"),
    "uint32": ("uint64", "int64"),
    "uint64": ("float",),
    "int8": ("int16",),
    "int16": ("int32",),
    "int32": ("int64",),
    "int64": ("float",),
    "float": ("bfloat16", "float16"),
    "bfloat16": ("float32",),
    "float16": ("float32",),
    "float32": ("float64", "complex64"),
    "float64": ("complex128",),
    "complex64": ("complex128",),
    "complex128": (),
}
_NARROWED = {
    "int64": "int32",
    "uint64": "uint32",
    "float64": "float32",
    "complex128": "complex64",
}

# Spelling -> name, for everything hashable that was asked before.
_NAMES: dict[Any, str] = {
    **{name: name for name in ALLOWED_DTYPES},
    bool: "bool",
    int: "int32",
    float: "float32",
    complex: "complex64",
    str: "string",
    "int": "int32",
}
# Spelling -> torch.dtype, for everything except None, whose meaning can change.
_TORCH: dict[Any, torch.dtype] = {
    torch.bool: torch.bool,
    torch.uint8: torch.uint8,
    torch.int8: torch.int8,
    torch.int16: torch.int16,
    torch.int32: torch.int32,
    torch.int64: torch.int64,
    torch.bfloat16: torch.bfloat16,
    torch.float16: torch.float16,
    torch.float32: torch.float32,
    torch.float64: torch.float64,
    **TORCH_DTYPES,
}


def standardize_dtype(dtype: Any) -> str:
    """Name of a dtype given in any spelling.

    Args:
        dtype: A name, a `torch.dtype`, a NumPy dtype or scalar type, a Python type, or `None`
            for `floatx()`.

    Raises:
        ValueError: Not a dtype that Keras has.

    Example:
        >>> standardize_dtype(torch.bfloat16), standardize_dtype(int), standardize_dtype(None)
        ('bfloat16', 'int32', 'float32')
    """
    if dtype is None:
        return floatx()
    try:
        return _NAMES[dtype]
    except (KeyError, TypeError):
        return _learn(dtype)


def _learn(dtype: Any) -> str:
    """Work out the name of a spelling not seen before, and remember it."""
    if isinstance(dtype, torch.dtype):
        name = str(dtype).rpartition(".")[2]
    else:  # NumPy dtypes have `name`, NumPy scalar types `__name__`
        name = getattr(dtype, "name", None) or getattr(dtype, "__name__", None) or dtype
    if not isinstance(name, str) or name not in ALLOWED_DTYPES:
        raise ValueError(
            f"Invalid dtype: {dtype!r}. Expected one of: {', '.join(sorted(ALLOWED_DTYPES))}."
        )
    try:
        _NAMES[dtype] = name
    except TypeError:  # unhashable
        pass
    return name


def to_torch(dtype: Any) -> torch.dtype:
    """The `torch.dtype` that stores a dtype given in any spelling.

    Raises:
        ValueError: Not a dtype, or one that torch cannot compute with (`"string"`, `"uint64"`).

    Example:
        >>> to_torch("float16"), to_torch("uint32")
        (torch.float16, torch.int64)
    """
    try:
        return _TORCH[floatx() if dtype is None else dtype]
    except (KeyError, TypeError):
        name = standardize_dtype(dtype)
    found = TORCH_DTYPES.get(name)
    if found is None:
        raise ValueError(f"Unsupported dtype for PyTorch: {dtype!r}.")
    try:
        _TORCH[dtype] = found
    except TypeError:  # unhashable
        pass
    return found


def is_float(dtype: Any) -> bool:
    """Whether a dtype is a real floating type (`bfloat16` and 8-bit floats included).

    Example:
        >>> is_float("bfloat16"), is_float(torch.int32)
        (True, False)
    """
    return standardize_dtype(dtype).startswith(("float", "bfloat"))


def is_integer(dtype: Any) -> bool:
    """Whether a dtype is an integer type; `bool` is not.

    Example:
        >>> is_integer("uint8"), is_integer(bool)
        (True, False)
    """
    return standardize_dtype(dtype).startswith(("int", "uint"))


is_float_dtype = is_float
is_int_dtype = is_integer


def result_type(*dtypes: Any) -> str:
    """Dtype of the result of combining values of the given dtypes, by Keras's rules.

    Args:
        dtypes: Dtypes in any spelling. `int` and `float` (the Python types) are weak; `None`
            means `floatx()`.

    Raises:
        ValueError: Not a dtype, or dtypes that do not mix implicitly (8-bit floats, strings).

    Source: Keras's promotion lattice; see the module header.

    Example:
        >>> result_type("bfloat16", int), result_type("int32", float), result_type("int8", "uint8")
        ('bfloat16', 'float32', 'int16')
    """
    try:
        return _result_type(dtypes, floatx())
    except TypeError:  # an unhashable spelling
        return _result_type(tuple(map(standardize_dtype, dtypes)), floatx())


@functools.lru_cache(maxsize=4096, typed=True)
def _result_type(dtypes: tuple[Any, ...], default: str) -> str:
    if not dtypes:
        return default
    if any(isinstance(d, str) and d in FLOAT8_TYPES for d in dtypes):
        raise ValueError(
            "There is no implicit conversions from float8 dtypes to others. Received:"
            f" {dtypes}. Cast them first."
        )
    names = [default if d is None else standardize_dtype(d) for d in dtypes]
    weak = [d is int or d is float for d in dtypes]
    precision = default[-2:]
    if all(weak):
        name = _resolve_weak_type("float" if float in dtypes else "int", precision)
    elif len(set(names)) == 1:
        name = names[0]
    else:
        names = {_respect_weak_type(n, w) for n, w in zip(names, weak, strict=True)}
        name = _least_upper_bound(*sorted(names))
        if name in WEAK_TYPES:
            name = _resolve_weak_type(name, precision)
    return _NARROWED.get(name, name)


def _type_promotion_lattice() -> dict[str, list[str]]:
    """Every dtype with those directly above it, for reading or changing."""
    return {name: list(above) for name, above in _ABOVE.items()}


def _make_lattice_upper_bounds() -> dict[str, set[str]]:
    """Find all that is at or above each dtype.

    Raises:
        ValueError: A dtype is above itself.
    """
    lattice = _type_promotion_lattice()

    def climb(name: str, below: tuple[str, ...]) -> set[str]:
        if name in below:
            raise ValueError(f"cycle detected in type promotion lattice for node {name}")
        return {name}.union(*(climb(higher, (*below, name)) for higher in lattice[name]))

    return {name: climb(name, ()) for name in lattice}


LATTICE_UPPER_BOUNDS = _make_lattice_upper_bounds()


@functools.lru_cache(512)
def _least_upper_bound(*names: str) -> str:
    """The lowest dtype that is at or above all of `names`."""
    unknown = [name for name in names if name not in LATTICE_UPPER_BOUNDS]
    if unknown:
        raise ValueError(
            f"dtype='{unknown[0]}' is not a valid dtype for Keras type promotion; cast it first."
        )
    common = set.intersection(*(LATTICE_UPPER_BOUNDS[name] for name in names))
    least = [name for name in common if common <= LATTICE_UPPER_BOUNDS[name]]
    if not least:
        raise ValueError(
            f"Input dtypes {names} have no available implicit dtype promotion path. Cast them to"
            " one dtype first."
        )
    return least[0]


def _respect_weak_type(dtype: str, weak_type: bool) -> str:
    """The weak dtype of the kind of `dtype` if `weak_type`, else `dtype`.

    Raises:
        ValueError: There is none of that kind.
    """
    if not weak_type or dtype == "bool":
        return dtype
    for kind in ("float", "int", "complex"):
        if kind in dtype:
            return kind
    raise ValueError(_bad_option("dtype", dtype, ALLOWED_DTYPES))


def _resolve_weak_type(dtype: str, precision: str = "32") -> str:
    """The dtype of the kind of `dtype` that has `precision` bits.

    Raises:
        ValueError: Neither a dtype nor a weak one, or another precision than 16, 32 or 64.
    """
    if dtype not in (*ALLOWED_DTYPES, *WEAK_TYPES):
        raise ValueError(_bad_option("dtype", dtype, (*ALLOWED_DTYPES, *WEAK_TYPES)))
    if precision not in ("16", "32", "64"):
        raise ValueError(_bad_option("precision", precision, ("16", "32", "64")))
    if dtype == "bool":
        return dtype
    kind = "uint" if dtype.startswith("uint") else "int" if dtype.startswith("int") else "float"
    return f"{kind}{precision}"


def _bad_option(name: str, value: str, options: tuple[str, ...]) -> str:
    expected = ", ".join(options)
    return f"Invalid value for argument `{name}`. Expected one of {expected}. Received: {value!r}"


def to_numpy(tensor: torch.Tensor, force: bool = True) -> np.ndarray:
    """The values of a tensor as a NumPy array, on the host; it may share their memory.

    Args:
        tensor: Of any dtype; `bfloat16`, which NumPy lacks, becomes `float32`. The parts of a
            `DTensor` are gathered.
        force: Whether to copy from another device.

    Example:
        >>> to_numpy(torch.ones(2, dtype=torch.bfloat16)).dtype
        dtype('float32')
    """
    if hasattr(tensor, "full_tensor"):
        tensor = tensor.full_tensor()
    value = tensor.detach().as_subclass(torch.Tensor)
    return (value.float() if value.dtype is torch.bfloat16 else value).numpy(force=force)


def as_tensor(x: Any, dtype: Any = None, device: torch.device | None = None) -> Any:
    """A tensor of the numbers in `x`; tensors, also symbolic ones, are returned as they are.

    Args:
        x: A tensor, number, NumPy array, anything with `__array__`, or nested lists of those.
            The memory of a writable array is shared.
        dtype: A dtype in any spelling. Default: that of `x`; Python ints become `int32` (`int64`
            where they need it) and floats `floatx()`.
        device: Where to put what is not yet a tensor. Default: `config.default_device()`.

    Raises:
        ValueError: `x` has a dtype that torch lacks, or its lists are ragged.
        TypeError: `x` holds something that is not a number.

    Example:
        >>> as_tensor([1, 2]).dtype, as_tensor([1, 2.5]).dtype
        (torch.int32, torch.float32)
    """
    if isinstance(x, torch.Tensor) or hasattr(x, "__torch_function__"):
        return x if dtype is None else x.to(to_torch(dtype))
    if device is None:
        device = default_device()
    if isinstance(x, (list, tuple)):
        leaves = flatten(x)
        if any(isinstance(leaf, torch.Tensor) for leaf in leaves):
            stacked = torch.stack([as_tensor(item, None, device) for item in x])
            return stacked if dtype is None else stacked.to(to_torch(dtype))
        if any(isinstance(leaf, _SYMBOLIC_NUMBERS) for leaf in leaves):
            return torch.as_tensor(x, dtype=dtype and to_torch(dtype), device=device)
        if dtype is None:
            dtype = result_type(*{getattr(leaf, "dtype", type(leaf)) for leaf in leaves})
        return torch.as_tensor(np.array(x), dtype=to_torch(dtype), device=device)
    if isinstance(x, (bool, int, float, complex)):
        # `full` fills on the device; `torch.tensor` would copy from the host and wait for it.
        target = _scalar_dtype(x) if dtype is None else to_torch(dtype)
        return torch.full((), x, dtype=target, device=device)
    if isinstance(x, _SYMBOLIC_NUMBERS):
        return torch.as_tensor(x, dtype=dtype and to_torch(dtype), device=device)
    return _from_array(np.asarray(x), dtype, device)


# Sizes while `torch.export` leaves them open, and what is computed from them.
_SYMBOLIC_NUMBERS = (torch.SymInt, torch.SymFloat)


def _scalar_dtype(x: complex) -> torch.dtype:
    if isinstance(x, float):
        return to_torch(floatx())
    if isinstance(x, int) and not isinstance(x, bool):
        return torch.int32 if -(2**31) <= x < 2**31 else torch.int64
    return to_torch(type(x))


def _from_array(x: np.ndarray, dtype: Any, device: torch.device) -> torch.Tensor:
    target = to_torch(x.dtype if dtype is None else dtype)
    if x.dtype.name == "bfloat16":  # an `ml_dtypes` array, which torch cannot read
        x = x.astype(np.float32)
    return torch.as_tensor(readable(x), dtype=target, device=device)


def readable(x: np.ndarray) -> np.ndarray:
    """Return an array that torch reads: a copy of flipped, read-only and byte-swapped ones.

    Example:
        >>> torch.as_tensor(readable(np.arange(3, dtype=">i4")[::-1])).tolist()
        [2, 1, 0]
    """
    if x.flags.writeable and x.dtype.isnative and min(x.strides, default=0) >= 0:
        return x
    return x.astype(x.dtype.newbyteorder("="), order="C")
