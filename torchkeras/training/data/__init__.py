"""Data adapters: whatever `fit` is given, the training loop sees batches of torch tensors."""

from .adapter import (
    DataAdapter,
    class_weight_to_sample_weights,
    draw_loader_seed,
    pack_x_y_sample_weight,
    to_device,
    unpack_x_y_sample_weight,
)
from .arrays import ArrayDataAdapter, lone_batch, train_validation_split, whole_batch
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
    "draw_loader_seed",
    "get_data_adapter",
    "lone_batch",
    "pack_x_y_sample_weight",
    "to_device",
    "train_validation_split",
    "unpack_x_y_sample_weight",
    "whole_batch",
]
