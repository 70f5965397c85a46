"""Data adapters: whatever `fit` is given, the training loop sees batches of torch tensors."""

from .adapter import (
    DataAdapter,
    class_weight_to_sample_weights,
    pack_x_y_sample_weight,
    unpack_x_y_sample_weight,
)
from .arrays import ArrayDataAdapter, train_validation_split
from .py_dataset import PyDataset, PyDatasetAdapter
from .selection import get_data_adapter
from .streams import GeneratorDataAdapter, IterableAdapter, TorchDataLoaderAdapter

__all__ = [
    "ArrayDataAdapter",
    "DataAdapter",
    "GeneratorDataAdapter",
    "IterableAdapter",
    "PyDataset",
    "PyDatasetAdapter",
    "TorchDataLoaderAdapter",
    "class_weight_to_sample_weights",
    "get_data_adapter",
    "pack_x_y_sample_weight",
    "train_validation_split",
    "unpack_x_y_sample_weight",
]
