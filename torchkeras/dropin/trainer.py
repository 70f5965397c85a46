"""The trainer and its epochs under the names of Keras's own, and of its torch backend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from ..dtypes import to_numpy
from ..training.epochs import EpochIterator as TorchEpochIterator
from ..training.epochs import numbered
from ..training.trainer import Trainer as TorchTrainer
from ..tree import map_structure

__all__ = ["EpochIterator", "TorchEpochIterator", "TorchTrainer"]


class EpochIterator(TorchEpochIterator):
    """Draws epochs like `TorchEpochIterator`, in NumPy arrays."""

    def __iter__(self) -> Iterator[tuple[int, int, list[Any]]]:
        for first, last, batches in numbered(self):
            yield first, last, map_structure(_to_array, batches, none_is_leaf=False)

    enumerate_epoch = __iter__


def _to_array(x: Any) -> Any:
    return to_numpy(x) if isinstance(x, torch.Tensor) else x
