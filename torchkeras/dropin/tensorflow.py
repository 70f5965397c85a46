"""What `import tensorflow` gives once `dropin` is installed: the little that Keras scripts use.

Tensors are `torch.Tensor`s, dtypes `torch.dtype`s, functions those of `keras.ops`, so symbolic
tensors pass as well. `keras` is `dropin/keras.py`. Every other name raises an `AttributeError` that
says what to use instead. Python integers become int32 and Python floats float32, as in TensorFlow.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

import torchkeras.ops as ops  # `from .. import ops` would import the package's root as well

from ..config import default_device
from ..dtypes import to_torch
from ..naming import explain
from ..random import set_seed
from . import keras

__all__ = [
    "Tensor",
    "abs",
    "bfloat16",
    "bool",
    "cast",
    "concat",
    "config",
    "constant",
    "convert_to_tensor",
    "exp",
    "expand_dims",
    "executing_eagerly",
    "float16",
    "float32",
    "float64",
    "function",
    "get_logger",
    "int16",
    "int32",
    "int64",
    "int8",
    "keras",
    "matmul",
    "ones",
    "ones_like",
    "random",
    "reduce_max",
    "reduce_mean",
    "reduce_min",
    "reduce_sum",
    "reshape",
    "shape",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "transpose",
    "uint8",
    "version",
    "zeros",
    "zeros_like",
]

__version__ = "2.20.0"  # the release that goes with the Keras API of `dropin/keras.py`
__path__: list[str] = []  # a package for the import system; `dropin.finder` answers below it

Tensor = torch.Tensor

bfloat16 = torch.bfloat16
float16 = torch.float16
float32 = torch.float32
float64 = torch.float64
int8 = torch.int8
int16 = torch.int16
int32 = torch.int32
int64 = torch.int64
uint8 = torch.uint8
# `bool`, which would hide Python's from the functions below, is set at the end.

# What to use instead of names that are often asked for.
_INSTEAD = {
    "GradientTape": "override `train_step` and call `loss.backward()` there",
    "Variable": "use `keras.Variable`",
    "Module": "subclass `keras.layers.Layer` or `torch.nn.Module`",
    "compat": "TensorFlow 1 code has no counterpart; write the model with `keras`",
    "data": "give `fit` arrays, a torch `DataLoader`, a generator or a `keras.utils.PyDataset`",
    "device": "use `keras.device` or `torch.device`",
    "distribute": "use torch.distributed",
    "image": "use `keras.ops.image` or torchvision",
    "io": "use Python's `open`, or Pillow for images",
    "linalg": "use `torch.linalg`",
    "lite": "export with `torch.export`",
    "random": "use `keras.random`",
    "nn": "use `keras.ops` or `torch.nn.functional`",
    "saved_model": "save with `model.save('model.keras')`",
    "signal": "use `torch.fft`",
    "strings": "use Python's strings before the data becomes tensors",
    "summary": "use `keras.callbacks.TensorBoard` or `torch.utils.tensorboard`",
}


def describe_missing(name: str) -> str:
    """Compose the message for a TensorFlow name that is not here, given as `tensorflow.a.b`."""
    _, first, *rest = name.split(".")
    last = rest[-1] if rest else first
    if first in _INSTEAD:
        fix = _INSTEAD[first]
    elif last in ops.__all__:
        fix = f"use `keras.ops.{last}`"
    elif hasattr(torch, last):
        fix = f"use `torch.{last}`"
    else:
        fix = "use `keras.ops` or PyTorch; `dir(tensorflow)` lists what there is"
    return explain(
        f"'{name}' is not provided by torchkeras, which stands in for TensorFlow here.",
        fix=fix + ".",
    )


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    raise AttributeError(describe_missing(f"tensorflow.{name}"))


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


class _Part:
    """A namespace such as `tf.random`: some names, and an error that says more for all others."""

    def __init__(self, _path: str, **names: Any) -> None:
        self.__path = _path
        self.__dict__.update(names)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise AttributeError(describe_missing(f"{self.__path}.{name}"))

    def __repr__(self) -> str:
        return f"<stand-in for {self.__path}>"


def constant(
    value: Any, dtype: Any = None, shape: Sequence[int] | None = None, name: str = "Const"
) -> torch.Tensor:
    """Make a tensor on the default device.

    Args:
        value: Number, array or nested lists of numbers and tensors.
        dtype: Of the result; by default that of an array, int32 for integers, float32 for floats.
        shape: Of the result; a single number is repeated.
        name: Ignored; tensors have no names.

    Example:
        >>> constant([1, 2]).dtype, constant(0.5).dtype
        (torch.int32, torch.float32)
    """
    tensor = _as_tensor(value, None if dtype is None else to_torch(dtype))
    if shape is None:
        return tensor
    return tensor.expand(*shape) if tensor.numel() == 1 else tensor.reshape(*shape)


def convert_to_tensor(
    value: Any, dtype: Any = None, dtype_hint: Any = None, name: str | None = None
) -> torch.Tensor:
    """Make a tensor of `value`; a tensor of the right dtype is handed back as it is.

    Args:
        value, dtype, name: As for `constant`.
        dtype_hint: Ignored.
    """
    return _as_tensor(value, None if dtype is None else to_torch(dtype))


def _as_tensor(value: Any, dtype: torch.dtype | None) -> torch.Tensor:
    if isinstance(value, torch.Tensor):
        return value if dtype is None else value.to(dtype)
    if isinstance(value, (list, tuple)) and any(isinstance(v, torch.Tensor) for v in value):
        return torch.stack([_as_tensor(v, dtype) for v in value])
    array = np.asarray(value)
    if dtype is None and not isinstance(value, (np.ndarray, np.generic)):
        dtype = {"int64": torch.int32, "float64": torch.float32}.get(array.dtype.name)
    if array.dtype.kind not in "biufc":
        raise TypeError(
            explain(
                f"tensorflow.constant: cannot make a tensor of {value!r}.",
                dtype=array.dtype,
                fix="tensors hold numbers only; keep strings in Python lists or NumPy arrays.",
            )
        )
    return torch.as_tensor(array, dtype=dtype, device=default_device())


def cast(x: Any, dtype: Any, name: str | None = None) -> Any:
    """Convert to another dtype, as `keras.ops.cast`."""
    return ops.cast(_tensor_or_symbol(x), dtype)


def shape(input: Any, out_type: Any = None, name: str | None = None) -> tuple[int | None, ...]:
    """The shape as a tuple (TensorFlow: a tensor); `None` where a symbolic tensor's is unknown."""
    return tuple(ops.shape(input))


def _tensor_or_symbol(x: Any) -> Any:
    return x if hasattr(x, "shape") and hasattr(x, "dtype") else _as_tensor(x, None)


def _reduction(op: Callable[..., Any], name: str) -> Callable[..., Any]:
    def reduce(
        input_tensor: Any,
        axis: int | Sequence[int] | None = None,
        keepdims: bool = False,
        name: str | None = None,
    ) -> Any:
        return op(_tensor_or_symbol(input_tensor), axis=axis, keepdims=keepdims)

    reduce.__name__ = reduce.__qualname__ = name
    reduce.__doc__ = f"Reduce over `axis`, or over all axes, as `keras.ops.{op.__name__}`."
    return reduce


reduce_max = _reduction(ops.max, "reduce_max")
reduce_mean = _reduction(ops.mean, "reduce_mean")
reduce_min = _reduction(ops.min, "reduce_min")
reduce_sum = _reduction(ops.sum, "reduce_sum")


def _elementwise(op: Callable[[Any], Any]) -> Callable[..., Any]:
    def apply(x: Any, name: str | None = None) -> Any:
        return op(_tensor_or_symbol(x))

    apply.__name__ = apply.__qualname__ = op.__name__
    apply.__doc__ = f"As `keras.ops.{op.__name__}`."
    return apply


abs = _elementwise(ops.abs)  # noqa: A001
exp = _elementwise(ops.exp)
sqrt = _elementwise(ops.sqrt)
square = _elementwise(ops.square)


def concat(values: Sequence[Any], axis: int, name: str = "concat") -> Any:
    """Join along an existing axis, as `keras.ops.concatenate`."""
    return ops.concatenate([_tensor_or_symbol(value) for value in values], axis=axis)


def stack(values: Sequence[Any], axis: int = 0, name: str = "stack") -> Any:
    """Join along a new axis, as `keras.ops.stack`."""
    return ops.stack([_tensor_or_symbol(value) for value in values], axis=axis)


def expand_dims(input: Any, axis: int, name: str | None = None) -> Any:
    """Insert an axis of size 1, as `keras.ops.expand_dims`."""
    return ops.expand_dims(_tensor_or_symbol(input), axis)


def squeeze(input: Any, axis: int | Sequence[int] | None = None, name: str | None = None) -> Any:
    """Remove axes of size 1, as `keras.ops.squeeze`."""
    return ops.squeeze(_tensor_or_symbol(input), axis)


def reshape(tensor: Any, shape: Sequence[int], name: str | None = None) -> Any:
    """Give another shape, as `keras.ops.reshape`."""
    return ops.reshape(_tensor_or_symbol(tensor), shape)


def transpose(
    a: Any, perm: Sequence[int] | None = None, conjugate: bool = False, name: str = "transpose"
) -> Any:
    """Permute the axes, reversing them by default, as `keras.ops.transpose`."""
    result = ops.transpose(_tensor_or_symbol(a), perm)
    return ops.conjugate(result) if conjugate else result


def matmul(a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False) -> Any:
    """Multiply matrices, as `keras.ops.matmul`."""
    a, b = _tensor_or_symbol(a), _tensor_or_symbol(b)
    a = ops.swapaxes(a, -1, -2) if transpose_a else a
    b = ops.swapaxes(b, -1, -2) if transpose_b else b
    return ops.matmul(a, b)


def zeros(shape: Sequence[int], dtype: Any = float32, name: str | None = None) -> torch.Tensor:
    """Make a tensor of zeros on the default device."""
    return torch.zeros(*shape, dtype=to_torch(dtype), device=default_device())


def ones(shape: Sequence[int], dtype: Any = float32, name: str | None = None) -> torch.Tensor:
    """Make a tensor of ones on the default device."""
    return torch.ones(*shape, dtype=to_torch(dtype), device=default_device())


def zeros_like(input: Any, dtype: Any = None, name: str | None = None) -> Any:
    """Zeros of the shape of `input`, as `keras.ops.zeros_like`."""
    return ops.zeros_like(_tensor_or_symbol(input), dtype=dtype)


def ones_like(input: Any, dtype: Any = None, name: str | None = None) -> Any:
    """Ones of the shape of `input`, as `keras.ops.ones_like`."""
    return ops.ones_like(_tensor_or_symbol(input), dtype=dtype)


def function(func: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Return `func` itself: PyTorch runs it eagerly, with the same results.

    Args:
        func: The decorated function; `None` where the decorator was called with options.
        options: TensorFlow's tracing options, which have nothing to act on.
    """
    return (lambda decorated: decorated) if func is None else func


def executing_eagerly() -> bool:
    """Always true."""
    return True


def get_logger() -> logging.Logger:
    """The logger named `tensorflow`, on which scripts set a level."""
    return logging.getLogger("tensorflow")


def _set_seed(seed: int) -> None:
    """Restart what initial weights and layers draw from: torch's generator, ours and Python's.

    NumPy's is left alone: scripts make their data with it, under a seed of its own.
    """
    state = np.random.get_state()
    set_seed(seed)
    np.random.set_state(state)


class PhysicalDevice(NamedTuple):
    """A device as TensorFlow lists it."""

    name: str
    device_type: str


def _list_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """The CPU and each CUDA device (called GPU, as in TensorFlow), or those of one type."""
    gpus = [("GPU", i) for i in range(torch.cuda.device_count())]
    devices = [PhysicalDevice(f"/physical_device:{t}:{i}", t) for t, i in [("CPU", 0), *gpus]]
    return [d for d in devices if device_type in (None, d.device_type)]


def _set_memory_growth(device: PhysicalDevice, enable: bool) -> None:
    """Accept the setting: PyTorch's allocator always grows as needed."""


config = _Part(
    "tensorflow.config",
    list_physical_devices=_list_devices,
    experimental=_Part(
        "tensorflow.config.experimental",
        list_physical_devices=_list_devices,
        set_memory_growth=_set_memory_growth,
    ),
)
random = _Part("tensorflow.random", set_seed=_set_seed)
version = _Part("tensorflow.version", VERSION=__version__)

globals()["bool"] = torch.bool
