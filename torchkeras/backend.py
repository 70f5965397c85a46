"""`keras.backend`: the settings, dtype questions and session reset that Keras 3 still offers there.

The functions of Keras 2 (`K.mean` and the like), which Keras 3 keeps in `tf.keras.backend` only,
are found here too: in `legacy/backend.py`, loaded by the first of them. For other names of
`keras.ops` an `AttributeError` says so.
"""

from __future__ import annotations

import functools
import gc
import importlib
import sys
from types import ModuleType
from typing import Any

from .config import (
    backend,
    epsilon,
    floatx,
    image_data_format,
    run_clear_session_hooks,
    set_epsilon,
    set_floatx,
    set_image_data_format,
)
from .dtypes import is_float, is_integer, result_type, standardize_dtype
from .graph.keras_tensor import is_keras_tensor
from .naming import get_uid
from .ops import __all__ as _ops

__all__ = [
    "backend",
    "clear_session",
    "epsilon",
    "floatx",
    "get_uid",
    "image_data_format",
    "is_float_dtype",
    "is_int_dtype",
    "is_keras_tensor",
    "result_type",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "standardize_dtype",
]


def clear_session(free_memory: bool = True) -> None:
    """Forget what Keras keeps between models: name counts, global seed and dtype policy, caches.

    Args:
        free_memory: Collect unreachable models now, rather than when Python next does.

    Example:
        >>> clear_session()
        >>> get_uid("dense")
        1
    """
    run_clear_session_hooks()
    if "torch._dynamo" in sys.modules:
        sys.modules["torch._dynamo"].reset()
    if free_memory:
        gc.collect()


def is_float_dtype(dtype: Any) -> bool:
    """Tell whether `dtype`, in any spelling, is a floating-point type.

    >>> is_float_dtype("bfloat16"), is_float_dtype("int8")
    (True, False)
    """
    return is_float(dtype)


def is_int_dtype(dtype: Any) -> bool:
    """Tell whether `dtype`, in any spelling, is an integer type.

    >>> is_int_dtype("uint8"), is_int_dtype("bool")
    (True, False)
    """
    return is_integer(dtype)


@functools.cache
def _keras_2() -> ModuleType:
    return importlib.import_module(f"{__package__}.legacy.backend")


def __getattr__(name: str) -> Any:
    if not name.startswith("_") and name in _keras_2().__all__:
        return getattr(_keras_2(), name)
    if name in _ops:
        raise AttributeError(f"`keras.backend.{name}` is not provided: use `keras.ops.{name}`.")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
