"""`keras.backend`: the settings, dtype questions and session reset that Keras 3 still offers there.

The functions of old `keras.backend` (`K.mean` and the like) are `keras.ops` in Keras 3; asking for
one raises an `AttributeError` that names its successor.
"""

from __future__ import annotations

import gc
import sys
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


def __getattr__(name: str) -> Any:
    if name in _ops:
        raise AttributeError(f"`keras.backend.{name}` is not provided: use `keras.ops.{name}`.")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
