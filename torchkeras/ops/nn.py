"""Functions of neural networks as ops."""

from __future__ import annotations

import torch
from torch import Tensor

from ..graph.operation import op
from .common import as_tensor, floating_dtype

__all__ = ["relu", "sigmoid"]

_PATH = "keras.src.ops.nn."


@op(path=_PATH + "Relu")
def relu(x: Tensor) -> Tensor:
    """`max(x, 0)`."""
    return torch.relu(as_tensor(x))


@op(path=_PATH + "Sigmoid")
def sigmoid(x: Tensor) -> Tensor:
    """`1 / (1 + exp(-x))`."""
    x = as_tensor(x)
    return torch.sigmoid(x if x.is_floating_point() else as_tensor(x, floating_dtype(x)))
