"""Preparing arrays: `to_categorical`, `normalize`, `pad_sequences`.

Sources: `keras.utils` for names, defaults and results. Unlike there, a class outside the range and
a negative one are refused by `to_categorical`, and `normalize` works along axis 0 of an array.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from ..config import epsilon, floatx
from ..dtypes import as_tensor, to_torch
from ..naming import explain

__all__ = ["normalize", "pad_sequences", "to_categorical"]


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray | torch.Tensor:
    """Turn class numbers into rows of zeros with a one at the class.

    Args:
        x: Class numbers from 0, of any shape; a last axis of size 1 is dropped.
        num_classes: Length of the rows; by default the largest class plus one.

    Returns: Floats of shape `(*x.shape, num_classes)`: a tensor for a tensor, else a NumPy array.

    Raises:
        ValueError: A class is negative or not below `num_classes`.

    Example:
        >>> to_categorical([0, 2])
        array([[1., 0., 0.],
               [0., 0., 1.]])
    """
    if isinstance(x, torch.Tensor):
        x = x.squeeze(-1) if x.ndim > 1 and x.shape[-1] == 1 else x
        return F.one_hot(x.long(), num_classes or -1).float()
    classes = np.asarray(x).astype("int64")
    if classes.ndim > 1 and classes.shape[-1] == 1:
        classes = classes[..., 0]
    lowest, highest = (classes.min(), classes.max()) if classes.size else (0, -1)
    size = num_classes or int(highest) + 1
    if lowest < 0 or highest >= size:
        message = explain(
            f"to_categorical: class {lowest if lowest < 0 else highest} is out of range.",
            given=f"classes from {lowest} to {highest}",
            expected=f"0 to {size - 1}",
            fix="number the classes from 0, and pass num_classes above the largest.",
        )
        raise ValueError(message)
    return np.eye(size)[classes]


def normalize(x: Any, axis: int = -1, order: float = 2) -> np.ndarray | torch.Tensor:
    """Divide vectors by their norms; zero vectors stay zero.

    Args:
        x: Array or tensor.
        axis: Along which the vectors lie.
        order: Of the norm: 2 is Euclidean, 1 the sum of absolute values.

    Returns: For an array, an array; else a tensor.

    Example:
        >>> normalize(np.array([[3.0, 4.0], [0.0, 0.0]]))
        array([[0.6, 0.8],
               [0. , 0. ]])
    """
    if not isinstance(x, np.ndarray):
        x = as_tensor(x)
        x = x if x.is_floating_point() else x.to(to_torch(floatx()))
        return F.normalize(x, p=order, dim=axis, eps=epsilon())
    norm = np.linalg.norm(x, order, axis, keepdims=True)
    return x / np.where(norm == 0, 1, norm)


def pad_sequences(
    sequences: Sequence[Any],
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Bring sequences to one length by padding short ones and cutting long ones.

    Args:
        sequences: Lists or arrays of numbers, or of equally shaped samples.
        maxlen: Length in steps; by default that of the longest sequence.
        dtype: Of the result; `object` for strings.
        padding: Where short ones are filled: `"pre"` before their start, `"post"` after their end.
        truncating: Where long ones are cut: `"pre"` at the start, `"post"` at the end.
        value: What they are filled with.

    Returns: Array of shape `(len(sequences), maxlen, ...)`.

    Raises:
        ValueError: An unknown `padding` or `truncating`; something that is no sequence; samples of
            different shapes; a string as `value` for numbers.

    Example:
        >>> pad_sequences([[1, 2, 3], [4]], maxlen=2)
        array([[2, 3],
               [0, 4]], dtype=int32)
    """
    for argument, given in (("padding", padding), ("truncating", truncating)):
        if given not in ("pre", "post"):
            raise ValueError(f"pad_sequences: `{argument}` is 'pre' or 'post'. Received: {given!r}")
    lengths = [_length(sequence, where) for where, sequence in enumerate(_listed(sequences))]
    sample_shape = next((np.shape(s)[1:] for s, n in zip(sequences, lengths, strict=True) if n), ())
    if maxlen is None:
        maxlen = max(lengths, default=0)
    kind = np.dtype(dtype).kind
    if isinstance(value, str) and kind not in "OSU":
        raise ValueError(
            f"pad_sequences: `dtype` {dtype} is not compatible with `value` {value!r}, a string. "
            "Fix: pass dtype=object."
        )
    padded = np.full((len(sequences), maxlen, *sample_shape), value, dtype=dtype)
    for row, sequence in enumerate(sequences):
        # `[-0:]` would be everything, so count from the front
        start = max(0, lengths[row] - maxlen) if truncating == "pre" else 0
        kept = np.asarray(sequence[start : start + maxlen], dtype=dtype)
        if lengths[row] and kept.shape[1:] != sample_shape:
            raise ValueError(
                f"pad_sequences: samples of sequence {row} have shape {kept.shape[1:]}, "
                f"those before it {sample_shape}. Fix: give all samples one shape."
            )
        if len(kept):
            span = slice(0, len(kept)) if padding == "post" else slice(maxlen - len(kept), None)
            padded[row, span] = kept
    return padded


def _listed(sequences: Any) -> Sequence[Any]:
    if not hasattr(sequences, "__len__"):
        kind = type(sequences).__name__
        raise ValueError(f"pad_sequences: `sequences` must be a list. Received: a {kind}")
    return sequences


def _length(sequence: Any, where: int) -> int:
    try:
        return len(sequence)
    except TypeError:
        raise ValueError(
            f"pad_sequences: item {where} is no sequence: {sequence!r}. "
            "Fix: pass a list of lists or arrays."
        ) from None
