"""Tensors as TensorFlow code expects them: conversion, strings, and methods that torch lacks.

`as_tensor` makes tensors by TensorFlow's rules. Text becomes a `StringTensor`, an array of `bytes`.
`install_methods` gives `torch.Tensor` the methods of TensorFlow's tensors and lets NumPy take it;
`dropin.install` calls it, so that nothing changes outside of the runner.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from ...config import default_device
from ...dtypes import standardize_dtype, to_numpy, to_torch
from ...graph.keras_tensor import KerasTensor
from ...layers.lookup import StringLookup
from ...naming import explain
from ...variables import Variable

__all__ = [
    "StringTensor",
    "as_tensor",
    "install_methods",
    "install_methods_of_programs",
    "is_text_dtype",
    "matched",
    "methods_are_installed",
    "remove_methods",
    "tensor_or_symbol",
]


class UnconvertibleError(TypeError, ValueError):
    """What no tensor can be made of; TensorFlow raises a `ValueError`."""


class StringTensor(np.ndarray):
    """A tensor of strings: an array of `bytes`, as TensorFlow has them; text comes in as UTF-8.

    Layers that take strings take it. `numpy()` gives an array, or `bytes` for a single string.

    Args:
        values: A string, nested lists of them, or an array.

    Example:
        >>> words = StringTensor(["a", "bc"])
        >>> words[1].numpy(), (words + "!").tolist(), (words == "a").tolist()
        (b'bc', [b'a!', b'bc!'], [True, False])
    """

    def __new__(cls, values: Any) -> StringTensor:
        if isinstance(values, cls):
            return values
        if isinstance(values, (list, tuple)):
            values = [v.tolist() if isinstance(v, np.ndarray) else v for v in values]
        array = np.asarray(values, dtype=object)
        encoded = np.empty(array.shape, dtype=object)
        encoded.reshape(-1)[:] = [_as_bytes(value) for value in array.reshape(-1)]
        return encoded.view(cls)

    def numpy(self) -> Any:
        """The strings as an array, or one string as `bytes`."""
        return self.item() if self.ndim == 0 else np.asarray(self)

    def map(self, function: Callable[..., Any], *others: Any) -> Any:
        """Apply a function to each string (with those of other arrays) and make a tensor of it."""
        results = np.frompyfunc(function, 1 + len(others), 1)(np.asarray(self), *others)
        return as_tensor(results.tolist() if isinstance(results, np.ndarray) else results)

    def to_list(self) -> Any:
        """As `tolist`, which ragged tensors of TensorFlow's have by this name."""
        return self.tolist()

    def get_shape(self) -> torch.Size:
        """The shape."""
        return torch.Size(self.shape)

    def set_shape(self, shape: Any) -> None:
        """Do nothing: shapes are known."""

    def to_tensor(self, *args: Any, **kwargs: Any) -> StringTensor:
        """Return the tensor itself: where TensorFlow gives ragged ones, it is rectangular."""
        return self

    def __getitem__(self, key: Any) -> StringTensor:
        found = super().__getitem__(_plain_index(key))
        return found if isinstance(found, np.ndarray) else StringTensor(found)

    def __iter__(self) -> Iterator[StringTensor]:
        return (self[i] for i in range(len(self)))

    def __add__(self, other: Any) -> StringTensor:
        return StringTensor(np.add(np.asarray(self), np.asarray(StringTensor(other))))

    def __radd__(self, other: Any) -> StringTensor:
        return StringTensor(other) + self

    def __eq__(self, other: Any) -> Any:
        return as_tensor(np.equal(np.asarray(self), np.asarray(StringTensor(other)), dtype=bool))

    def __ne__(self, other: Any) -> Any:
        return torch.logical_not(self == other)

    __hash__ = None


def _as_bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return bytes(value)
    raise TypeError(f"A tensor of strings cannot hold {value!r}, which is no string.")


def _plain_index(key: Any) -> Any:
    if isinstance(key, torch.Tensor):
        return to_numpy(key) if key.ndim else int(key)
    return tuple(map(_plain_index, key)) if isinstance(key, tuple) else key


def is_text_dtype(dtype: Any) -> bool:
    """Whether a dtype is that of strings."""
    return dtype is not None and (dtype is str or dtype is bytes or dtype == "string")


def as_tensor(value: Any, dtype: Any = None) -> Any:
    """Make a tensor of numbers, or a `StringTensor` of strings; tensors are only cast.

    Python integers become int32 and Python floats float32; arrays keep their dtype.

    Args:
        value: A tensor, number, string, array, or nested lists of those.
        dtype: Of the result.

    Raises:
        UnconvertibleError: The values are neither numbers nor strings.

    Example:
        >>> as_tensor([1, 2]).dtype, as_tensor(0.5).dtype
        (torch.int32, torch.float32)
    """
    if isinstance(value, torch.Tensor):
        return value if dtype is None else value.to(to_torch(dtype))
    if isinstance(value, StringTensor):
        return value
    if isinstance(value, (str, bytes)) or is_text_dtype(dtype):
        return StringTensor(value)
    if isinstance(value, (list, tuple)) and any(isinstance(v, torch.Tensor) for v in value):
        parts = [as_tensor(v, dtype) for v in value]
        first = max(parts, key=lambda p: p.is_floating_point())
        return torch.stack([p.to(first.device, first.dtype) for p in parts])
    array = np.asarray(value)
    if array.dtype.kind in "USO" and _all_text(array):
        return StringTensor(array)
    if array.dtype.kind not in "biufcV":
        raise UnconvertibleError(
            explain(
                f"tensorflow.constant: cannot make a tensor of {value!r}.",
                dtype=array.dtype,
                fix="tensors hold numbers or strings; make all rows equally long.",
            )
        )
    if dtype is None:
        if array.dtype.kind in "iuf" and not isinstance(value, (np.ndarray, np.generic)):
            dtype = _weak_dtype(array) if _holds_no_array(value) else None
        dtype = dtype or array.dtype.name
    if array.dtype.name == "bfloat16":  # an `ml_dtypes` array, which torch cannot read
        array = array.astype(np.float32)
    elif not array.flags.writeable or any(stride < 0 for stride in array.strides):
        array = array.copy()
    return torch.as_tensor(array, dtype=to_torch(dtype), device=default_device())


def _weak_dtype(array: np.ndarray) -> str:
    """What Python's numbers become, read as an array: 32 bits where these hold them."""
    if array.dtype.kind == "f":
        return "float32"
    fits = array.size == 0 or (-(2**31) <= array.min() and array.max() < 2**31)
    return "int32" if fits and array.dtype.kind == "i" else array.dtype.name


def _all_text(array: np.ndarray) -> bool:
    return array.dtype.kind in "US" or (
        array.size > 0 and all(isinstance(v, (str, bytes)) for v in array.flat)
    )


def _holds_no_array(value: Any) -> bool:
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return not isinstance(value, (np.ndarray, np.generic))


def tensor_or_symbol(x: Any) -> Any:
    """A symbolic tensor as it is, everything else as a tensor."""
    if isinstance(x, (torch.Tensor, KerasTensor)):
        return x
    return as_tensor(x)


def matched(x: Any, y: Any) -> tuple[Any, Any]:
    """Two operands as tensors; numbers and arrays take the dtype of the tensor beside them."""
    if isinstance(x, (torch.Tensor, KerasTensor)):
        return x, _beside(y, x)
    if isinstance(y, (torch.Tensor, KerasTensor)):
        return _beside(x, y), y
    return as_tensor(x), as_tensor(y)


def _beside(value: Any, tensor: Any) -> Any:
    if isinstance(value, (torch.Tensor, KerasTensor)):
        return value
    if isinstance(tensor, torch.Tensor):
        whole = not tensor.is_floating_point() and not tensor.is_complex()
        if whole and np.asarray(value).dtype.kind in "fc":
            return as_tensor(value)
        return as_tensor(value, tensor.dtype)
    return value if isinstance(value, (bool, int, float)) else as_tensor(value, tensor.dtype)


# Methods that TensorFlow's tensors have -----------------------------------------------------------


class Number(np.ndarray):
    """An array of rank 0 that can be formatted, rounded and hashed as the number it holds.

    TensorFlow gives a NumPy scalar. An array goes on sharing memory with the tensor, which other
    code that asks for one relies on.

    Example:
        >>> x = np.array(0.125).view(Number)
        >>> f"{x:.2f}", round(x, 1), {x: 1}[0.125]
        ('0.12', 0.1, 1)
    """

    def __format__(self, spec: str) -> str:
        return format(self[()], spec)

    def __round__(self, ndigits: int | None = None) -> Any:
        return round(self.item(), ndigits)

    def __hash__(self) -> int:
        return hash(self.item())

    def __repr__(self) -> str:
        return repr(self[()])


def _as_number(array: np.ndarray) -> np.ndarray:
    return array if array.ndim else array.view(Number)


_torch_numpy = torch.Tensor.numpy
_torch_getitem = torch.Tensor.__getitem__
_variable_numpy = Variable.numpy

_OPERATORS = {
    np.add: torch.add,
    np.subtract: torch.sub,
    np.multiply: torch.mul,
    np.true_divide: torch.true_divide,
    np.floor_divide: torch.floor_divide,
    np.remainder: torch.remainder,
    np.power: torch.pow,
    np.matmul: torch.matmul,
    np.greater: torch.gt,
    np.greater_equal: torch.ge,
    np.less: torch.lt,
    np.less_equal: torch.le,
    np.equal: torch.eq,
    np.not_equal: torch.ne,
}


def _numpy(self: torch.Tensor, *, force: bool | None = None) -> Any:
    """The values on the host, with or without a gradient."""
    if force is not None:
        return _torch_numpy(self, force=force)
    return _as_number(to_numpy(self))


def _numpy_of_variable(self: Variable, *, force: bool = True) -> Any:
    return _as_number(_variable_numpy(self, force=force))


def _array(self: torch.Tensor, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
    return np.array(to_numpy(self), dtype=dtype, copy=copy)


def _array_ufunc(self: torch.Tensor, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
    """`array * tensor` is a tensor, through which gradients flow; `np.sqrt(tensor)` is an array."""
    operator = _OPERATORS.get(ufunc)
    if operator is not None and method == "__call__" and not options and len(inputs) == 2:
        return operator(*matched(*inputs))
    return getattr(ufunc, method)(*map(_host, inputs), **options)


def _array_function(self: torch.Tensor, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
    """NumPy's functions see an array."""
    return func(*map(_host, args), **{key: _host(value) for key, value in kwargs.items()})


def _host(x: Any) -> Any:
    if isinstance(x, torch.Tensor):
        return to_numpy(x)
    return type(x)(map(_host, x)) if type(x) in (list, tuple) else x


def _getitem(self: torch.Tensor, key: Any) -> torch.Tensor:
    """Torch's own, and slices that go backwards: `image[..., ::-1]`."""
    try:
        return _torch_getitem(self, key)
    except ValueError:
        keys = key if isinstance(key, tuple) else (key,)
        if not any(isinstance(k, slice) and (k.step or 1) < 0 for k in keys):
            raise
    return _torch_getitem(*_turned(self, keys))


def _turned(x: torch.Tensor, keys: tuple[Any, ...]) -> tuple[torch.Tensor, tuple[Any, ...]]:
    """Reverse the axes that slices go through backwards; these then go forwards."""
    taken = [
        0 if k is None else k.ndim if getattr(k, "dtype", 0) is torch.bool else 1 for k in keys
    ]
    forwards: list[Any] = []
    axis = 0
    for key, count in zip(keys, taken, strict=True):
        if key is Ellipsis:
            axis = x.ndim - sum(taken[len(forwards) + 1 :])
        elif isinstance(key, slice) and (key.step or 1) < 0:
            size = x.shape[axis]
            places = range(size)[key]
            x = x.flip(axis)
            start = size - 1 - places.start
            key = slice(
                start,
                start - places.step * (len(places) - 1) + 1 if places else start,
                -places.step,
            )
        forwards.append(key)
        axis += 0 if key is Ellipsis else count
    return x, tuple(forwards)


def _beside_lists(name: str) -> Callable[[torch.Tensor, Any], Any]:
    """An operator of tensors that takes lists too: `image - [123.7, 116.8, 103.9]`."""
    operator = getattr(torch.Tensor, name)

    def operate(self: torch.Tensor, other: Any) -> Any:
        if type(other) is list or type(other) is tuple:
            other = _beside(other, self)
        return operator(self, other)

    return operate


_look_up = StringLookup.__call__


def _looked_up(self: StringLookup, *args: Any, **kwargs: Any) -> Any:
    """Tokens as a tensor of strings, not as the list that Keras on torch gives."""
    found = _look_up(self, *args, **kwargs)
    return StringTensor(found) if isinstance(found, (list, np.ndarray)) else found


def _set_shape(self: torch.Tensor, shape: Any) -> None:
    """Check a shape; `None` stands for any size."""
    agrees = len(shape) == self.ndim and all(
        a in (None, -1, b) for a, b in zip(shape, self.shape, strict=False)
    )
    if shape is not None and not agrees:
        raise ValueError(
            f"Tensor's shape {tuple(self.shape)} is not compatible with supplied shape {shape}."
        )


def _assigned(write: Callable[[torch.Tensor, torch.Tensor], Any]) -> Callable[..., torch.Tensor]:
    """A method that writes into a part of a variable: `v[0].assign(1.0)`."""

    def assign(self: torch.Tensor, value: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        if not isinstance(self._base, Variable):
            raise TypeError(
                explain(
                    "assign: the tensor is no part of a variable.",
                    fix="assign to a variable, or to a slice of one, such as `v[1:3]`.",
                )
            )
        with torch.no_grad():
            write(self, as_tensor(value, self.dtype))
        return self

    return assign


def _scattered(accumulate: bool, sign: int = 1) -> Callable[..., Variable]:
    """A method of variables that writes rows or single elements."""

    def scatter(self: Variable, indices: Any, updates: Any, name: str | None = None) -> Variable:
        places = as_tensor(indices).long().unbind(-1)
        with torch.no_grad():
            self.index_put_(places, sign * as_tensor(updates, self.dtype), accumulate)
        return self

    return scatter


_TENSOR_METHODS: dict[str, Any] = {
    "numpy": _numpy,
    "__array__": _array,
    "__getitem__": _getitem,
    "__array_ufunc__": _array_ufunc,
    "__array_function__": _array_function,
    # Without torch's warning about the gradient.
    "__float__": lambda self: float(to_numpy(self)[()]),
    "assign": _assigned(torch.Tensor.copy_),
    "assign_add": _assigned(torch.Tensor.add_),
    "assign_sub": _assigned(torch.Tensor.sub_),
    "get_shape": lambda self: self.shape,
    "set_shape": _set_shape,
    "ref": lambda self: id(self),
    "to_tensor": lambda self, *args, **kwargs: self,  # of a ragged one, which none is here
}
_VARIABLE_METHODS: dict[str, Any] = {
    "numpy": _numpy_of_variable,
    "read_value": lambda self: self.clone(),  # later assignments do not change it
    "scatter_nd_add": _scattered(accumulate=True),
    "scatter_nd_sub": _scattered(accumulate=True, sign=-1),
    "scatter_nd_update": _scattered(accumulate=False),
}
_SIZE_METHODS: dict[str, Any] = {
    "concatenate": lambda self, other: torch.Size((*self, *other)),
    "is_compatible_with": lambda self, other: (
        len(self) == len(other) and all(b in (None, a) for a, b in zip(self, other, strict=True))
    ),
    "as_list": lambda self: list(self),
    "num_elements": lambda self: self.numel(),
    "is_fully_defined": lambda self: True,
    "rank": property(len),
    "ndims": property(len),
    "dims": property(list),
}


def _limits(dtype: torch.dtype) -> Any:
    if dtype.is_floating_point:
        return torch.finfo(dtype)
    return torch.iinfo(dtype)


_DTYPE_METHODS: dict[str, Any] = {
    "name": property(lambda self: str(self).rpartition(".")[2]),
    "as_numpy_dtype": property(lambda self: np.dtype(standardize_dtype(self)).type),
    "base_dtype": property(lambda self: self),
    "is_floating": property(lambda self: self.is_floating_point),
    "is_integer": property(
        lambda self: not (self.is_floating_point or self.is_complex or self is torch.bool)
    ),
    "is_bool": property(lambda self: self is torch.bool),
    "max": property(lambda self: _limits(self).max),
    "min": property(lambda self: _limits(self).min),
    "size": property(lambda self: self.itemsize),
}
# What only programs get that import TensorFlow, since others pay for it or mean Keras on torch.
# Not `==`, which is `False` beside a list that holds something else.
_BESIDE_LISTS = "add sub mul truediv floordiv mod pow radd rsub rmul rtruediv lt le gt ge".split()
_OPERATORS_BESIDE_LISTS = {
    name: _beside_lists(name) for name in map("__{}__".format, _BESIDE_LISTS)
}
_LOOKUP_METHODS = {"__call__": _looked_up}
# What the classes had before, by class and name; empty while nothing is installed.
_FORMER: dict[tuple[type, str], Any] = {}
_MISSING = object()


def install_methods() -> None:
    """Give torch's tensors, shapes and dtypes the attributes of TensorFlow's, until removed."""
    if not _FORMER:
        _install(torch.Tensor, _TENSOR_METHODS)
        _install(Variable, _VARIABLE_METHODS)
        _install(torch.Size, _SIZE_METHODS)
        _install(torch.dtype, _DTYPE_METHODS)


def install_methods_of_programs() -> None:
    """Add what a program needs that imports TensorFlow; nothing where nothing is installed."""
    if _FORMER and (StringLookup, "__call__") not in _FORMER:
        _install(torch.Tensor, _OPERATORS_BESIDE_LISTS)
        _install(StringLookup, _LOOKUP_METHODS)


def _install(cls: type, table: dict[str, Any]) -> None:
    for name, value in table.items():
        _FORMER[cls, name] = cls.__dict__.get(name, _MISSING)
        _set(cls, name, value)


def methods_are_installed() -> bool:
    """Whether `install_methods` is in effect."""
    return bool(_FORMER)


def remove_methods() -> None:
    """Undo `install_methods`."""
    for (cls, name), value in _FORMER.items():
        _set(cls, name, value)
    _FORMER.clear()


def _set(cls: type, name: str, value: Any) -> None:
    """Set or remove an attribute of a class, of one written in C (`torch.Size`) too."""
    if cls not in (torch.Size, torch.dtype):
        if value is _MISSING:
            delattr(cls, name)
        else:
            setattr(cls, name, value)
        return
    (attributes,) = gc.get_referents(cls.__dict__)  # the dict behind the read-only view
    if value is _MISSING:
        attributes.pop(name, None)
    else:
        attributes[name] = value
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(cls))
