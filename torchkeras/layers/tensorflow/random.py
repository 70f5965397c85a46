"""TensorFlow's random numbers: drawn anew at each call, other ones than TensorFlow's.

A `seed` there names a sequence, of which each call takes the next numbers. Here all are of the
global sequence, which `keras.utils.set_random_seed` restarts: an integer given to our own functions
would mean the same numbers at every call.
"""

from __future__ import annotations

from typing import Any

from ...dtypes import standardize_dtype
from ...random import normal, randint, shuffle, truncated_normal, uniform
from .common import as_dtype, in_tensorflow, integers, tensor

__all__: list[str] = []


@in_tensorflow("random.normal")
def _normal(
    shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = "float32", seed: Any = None
) -> Any:
    return normal(integers(shape), 0.0, 1.0, _name(dtype)) * stddev + mean


@in_tensorflow("random.truncated_normal")
def _truncated_normal(
    shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = "float32", seed: Any = None
) -> Any:
    return truncated_normal(integers(shape), 0.0, 1.0, _name(dtype)) * stddev + mean


@in_tensorflow("random.uniform")
def _uniform(
    shape: Any, minval: Any = 0, maxval: Any = None, dtype: Any = "float32", seed: Any = None
) -> Any:
    if not as_dtype(dtype).is_floating_point:
        return randint(integers(shape), int(minval), int(maxval), _name(dtype))
    maxval = 1 if maxval is None else maxval
    return uniform(integers(shape), 0.0, 1.0, _name(dtype)) * (maxval - minval) + minval


@in_tensorflow("random.shuffle")
def _shuffle(value: Any, seed: Any = None) -> Any:
    return shuffle(tensor(value), 0)


def _name(dtype: Any) -> str:
    return standardize_dtype(as_dtype(dtype))
