"""Strings as data: whatever holds them becomes a NumPy array, and that UTF-8 bytes to compute with.

torch has no tensors of strings. Layers that take strings keep them in NumPy arrays (of Python
strings, of `bytes`, or of fixed width) and work on `bytes`, as TensorFlow does: lengths, order and
hashes are those of the encoded text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..dtypes import as_tensor, to_torch
from ..graph.context import CONTEXT
from ..graph.infer import known_shape, unknown_size
from ..graph.keras_tensor import KerasTensor
from ..naming import explain

__all__ = ["as_values", "check_kind", "decoded", "encoded", "inferred", "is_text"]


def is_text(x: Any) -> bool:
    """Return whether `x` is an array of strings, as `as_values` makes them."""
    return isinstance(x, np.ndarray)


def check_kind(x: Any, dtype: str, receiver: str) -> None:
    """Raise if data are strings where numbers belong, or the other way round.

    Args:
        x: An array or a tensor, which may be symbolic.
        dtype: What belongs there.
        receiver: Where, as the beginning of a message.

    Raises:
        ValueError: They are of the other kind.
    """
    text = x.dtype == "string" if isinstance(x, KerasTensor) else is_text(as_values(x))
    if text == (dtype == "string"):
        return
    raise ValueError(
        explain(
            f"{receiver} are of the wrong kind.",
            given="strings" if text else "numbers",
            expected=dtype,
            fix="encode text as integers first (a lookup or vectorization layer, or a Python"
            " dict), or make the input with dtype='string'."
            if text
            else "convert them, for example with `.astype(str)`.",
        )
    )


def as_values(x: Any) -> Tensor | np.ndarray:
    """Return data as a tensor of numbers, or, if they are strings, as a NumPy array.

    Args:
        x: A tensor, array, pandas object, TensorFlow tensor, number or string, or nested lists.

    Raises:
        ValueError: The rows have different lengths, or something is neither string nor number.

    Example:
        >>> as_values([["a"], ["b"]]).shape, as_values([1, 2]).dtype
        ((2, 1), torch.int32)
    """
    if isinstance(x, Tensor):
        return x
    if isinstance(x, (list, tuple)):
        if not isinstance(_first_leaf(x), (str, bytes)):
            return _from_numbers(x)
        # Of fixed width, the longest string would decide about the size of all.
        return np.array(x, dtype=object)
    if type(x).__module__.startswith("tensorflow.") and hasattr(x, "numpy"):
        array = np.asarray(x.numpy())
    else:
        array = np.asarray(x)
    if array.dtype.kind in "US":
        return array
    if array.dtype.kind == "T":  # NumPy's strings of variable width
        return array.astype(object)
    if array.dtype.kind != "O":
        return as_tensor(array)
    if array.size and not isinstance(array.flat[0], (str, bytes)):
        return _from_numbers(array.tolist())
    return array


def inferred(compute_output_spec: Callable[[KerasTensor], KerasTensor], x: Any) -> Tensor | None:
    """Return what a layer gives for strings whose shape alone is known, or `None` for real data.

    While shapes are inferred, tensors of numbers stand in for strings.

    Args:
        compute_output_spec: The layer's method.
        x: The input.
    """
    if not CONTEXT.meta or not isinstance(x, Tensor):
        return None
    spec = compute_output_spec(KerasTensor(known_shape(x), "string"))
    shape = [unknown_size() if size is None else size for size in spec.shape]
    return torch.zeros(shape, dtype=to_torch(spec.dtype), device=x.device)


def _first_leaf(x: Any) -> Any:
    while isinstance(x, (list, tuple, np.ndarray)) and len(x):
        x = x[0]
    return x


def _from_numbers(x: Any) -> Tensor:
    try:
        return as_tensor(x)
    except (TypeError, ValueError) as error:
        raise ValueError(
            explain(
                f"These values are neither all strings nor all numbers: {error}",
                first_values=repr(x)[:100],
                fix="replace missing values, for example by '' or 0, and give all rows one length.",
            )
        ) from None


def encoded(strings: np.ndarray, encoding: str = "utf-8") -> list[bytes]:
    """Return the strings of an array, flat, as UTF-8.

    Args:
        strings: What `as_values` returned.
        encoding: How strings that come as `bytes` are encoded.

    Raises:
        ValueError: Something in the array is no string.

    Example:
        >>> encoded(np.array([["a"], ["é"]]))
        [b'a', b'\\xc3\\xa9']
    """
    if not isinstance(encoding, str):
        raise ValueError(
            f"`encoding` must be the name of an encoding, such as 'utf-8'. Received: {encoding!r}"
        )
    values = strings.reshape(-1).tolist()
    if strings.dtype.kind == "U":
        return [value.encode() for value in values]
    recode = encoding.lower().replace("_", "-") not in ("utf-8", "utf8")
    if strings.dtype.kind == "S" and not recode:
        return values
    try:
        return [value.encode() for value in values]
    except AttributeError:  # `bytes` among them
        return [_encoded_one(value, encoding if recode else None) for value in values]


def _encoded_one(value: Any, encoding: str | None) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value if encoding is None else value.decode(encoding).encode()
    ragged = isinstance(value, (list, tuple, np.ndarray))
    raise ValueError(
        explain(
            "The rows of these strings have different lengths."
            if ragged
            else f"{value!r} (of type {type(value).__name__}) is no string.",
            fix="give all rows one length, for example with empty strings."
            if ragged
            else "replace missing values by '', or convert with `.astype(str)`.",
        )
    )


def decoded(strings: Sequence[bytes]) -> list[str]:
    """Return UTF-8 as Python strings; what is no UTF-8 is kept in surrogates.

    Example:
        >>> decoded([b"a", "é".encode()])
        ['a', 'é']
    """
    return [value.decode("utf-8", "surrogateescape") for value in strings]
