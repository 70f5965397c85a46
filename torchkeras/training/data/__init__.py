"""Data adapters: whatever `fit` is given, the training loop sees batches of torch tensors."""

from .adapter import (
    DataAdapter,
    class_weight_to_sample_weights,
    pack_x_y_sample_weight,
    unpack_x_y_sample_weight,
)
from .arrays import ArrayAdapter, train_validation_split
from .py_dataset import PyDataset, PyDatasetAdapter
from .selection import make_adapter
from .streams import GeneratorAdapter, IterableAdapter, TorchDataLoaderAdapter

__all__ = [
    "ArrayAdapter",
    "DataAdapter",
    "GeneratorAdapter",
    "IterableAdapter",
    "PyDataset",
    "PyDatasetAdapter",
    "TorchDataLoaderAdapter",
    "class_weight_to_sample_weights",
    "make_adapter",
    "pack_x_y_sample_weight",
    "train_validation_split",
    "unpack_x_y_sample_weight",
]
