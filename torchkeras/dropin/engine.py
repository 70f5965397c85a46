"""What Keras's backend modules say about the engine: of torch, the one there is here.

Names that only `keras.src.backend` and its parts have; all that Keras's public API has too lives
where it belongs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..config import default_device
from ..dtypes import to_numpy, to_torch

__all__ = [
    "DEFAULT_DEVICE",
    "IS_THREAD_SAFE",
    "SUPPORTS_COMPLEX_DTYPES",
    "SUPPORTS_RAGGED_TENSORS",
    "SUPPORTS_SPARSE_TENSORS",
    "convert_to_numpy",
    "get_device",
    "is_tensor",
    "random_seed_dtype",
    "to_torch_dtype",
]

IS_THREAD_SAFE = True
SUPPORTS_COMPLEX_DTYPES = True
SUPPORTS_RAGGED_TENSORS = False
SUPPORTS_SPARSE_TENSORS = False

DEFAULT_DEVICE = default_device().type
to_torch_dtype = to_torch


def get_device() -> str:
    """The device on which new tensors are made, as a string: `"cpu"`, `"cuda:0"`, `"meta"`."""
    return str(default_device())


def random_seed_dtype() -> str:
    """The dtype of a seed's state: torch has no arithmetic on uint32."""
    return "int32"


def is_tensor(x: Any) -> bool:
    """Tell whether `x` is a tensor of the engine."""
    return isinstance(x, torch.Tensor)


def convert_to_numpy(x: Any) -> Any:
    """Copy a tensor of any device, dtype and history, or a structure NumPy takes, to an array."""
    return to_numpy(x) if isinstance(x, torch.Tensor) else np.asarray(x)
