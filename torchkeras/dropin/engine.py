"""What Keras's backend modules say about the engine: of torch, the one there is here.

Names that only `keras.src.backend` and its parts have; all that Keras's public API has too lives
where it belongs.
"""

from __future__ import annotations

from typing import Any

import torch

from ..config import default_device
from ..config import device as device_scope
from ..dtypes import to_torch
from ..naming import explain
from ..ops import convert_to_numpy
from .internals import view

__all__ = [
    "DEFAULT_DEVICE",
    "DynamicBackend",
    "IS_THREAD_SAFE",
    "SUPPORTS_COMPLEX_DTYPES",
    "SUPPORTS_RAGGED_TENSORS",
    "SUPPORTS_SPARSE_TENSORS",
    "convert_to_numpy",
    "device_scope",
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


class DynamicBackend:
    """The functions of the engine a layer computes with, as `keras.src.backend` has them.

    Keras's preprocessing layers go over to TensorFlow with it; here torch is the only engine that
    computes, whatever was chosen.

    Args:
        backend: The engine's name. Default: `"torch"`.

    Example:
        >>> DynamicBackend().name
        'torch'
    """

    def __init__(self, backend: str | None = None) -> None:
        self._backend = backend or "torch"

    def set_backend(self, backend: str) -> None:
        """Choose an engine.

        Raises:
            ValueError: There is none of that name.
        """
        names = ("tensorflow", "jax", "torch", "numpy", "openvino")
        if backend not in names:
            raise ValueError(f"Available backends are {names}. Received: backend={backend}")
        self._backend = backend

    def reset(self) -> None:
        """Choose torch again."""
        self._backend = "torch"

    @property
    def name(self) -> str:
        """The engine's name."""
        return self._backend

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if self._backend != "torch":
            raise NotImplementedError(
                explain(
                    f"Currently, we cannot dynamically import the {self._backend} backend: only"
                    " torch computes here.",
                    fix="leave the backend as it is, or use the other engine's own functions.",
                )
            )
        return getattr(view("keras.src.backend.torch"), name)
