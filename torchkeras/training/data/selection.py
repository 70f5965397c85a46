"""Which adapter takes which data."""

from __future__ import annotations

import types
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from ...distribution.strategy import require_shared_data
from ...naming import explain
from .adapter import DataAdapter
from .arrays import PLAIN_ARRAYS, ArrayDataAdapter, is_array_data, unrecognized
from .hugging_face import as_loader, spread
from .py_dataset import PyDataset, PyDatasetAdapter
from .streams import (
    GeneratorDataAdapter,
    IterableAdapter,
    TFDatasetAdapter,
    TorchDataLoaderAdapter,
    is_batch_iterable,
)

__all__ = ["get_data_adapter"]


def get_data_adapter(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    batch_size: int | None = None,
    steps_per_epoch: int | None = None,
    shuffle: bool | str = False,
    class_weight: Mapping[int, float] | None = None,
) -> DataAdapter:
    """Make the adapter for what `fit`, `evaluate` or `predict` was given.

    Args:
        x: Arrays or a nested structure of them, a generator, a `PyDataset`, a torch `DataLoader` or
            `Dataset`, a Hugging Face dataset, another iterable of batches, or an adapter, which is
            returned.
        y: Targets; only beside arrays. Beside a Hugging Face dataset, the name of a column.
        sample_weight: Weights of the samples; likewise.
        batch_size: Samples in a batch of arrays or of a torch `Dataset`. Default: 32.
        steps_per_epoch: Batches in a pass; decides the batch size of arrays that have none.
        shuffle: Whether to shuffle the samples; `"batch"` keeps them within their batch.
        class_weight: From class number to weight.

    Raises:
        ValueError: The data is of no known kind, or an argument does not go with its kind; or it
            should be shared among processes, and cannot be.
    """
    if isinstance(x, DataAdapter):
        return x
    require_shared_data(x)
    if type(x) in PLAIN_ARRAYS and is_array_data(y, sample_weight):
        return ArrayDataAdapter(
            x, y, sample_weight, batch_size, steps_per_epoch, shuffle, class_weight
        )
    if isinstance(x, TensorDataset) and len(x.tensors) <= 3 and y is None and sample_weight is None:
        x, y, sample_weight = (*x.tensors, None, None)[:3]
    x, y, sample_weight = spread(x, y, sample_weight)
    loader = as_loader(x, y, sample_weight, batch_size, shuffle)
    if loader is not None:
        _only_x("streamed dataset", None, None, class_weight)
        return TorchDataLoaderAdapter(loader)
    if is_array_data(x, y, sample_weight):
        return ArrayDataAdapter(
            x, y, sample_weight, batch_size, steps_per_epoch, shuffle, class_weight
        )
    if is_array_data(x):
        bad = "sample_weight" if is_array_data(y) else "y"
        raise ValueError(unrecognized(sample_weight if is_array_data(y) else y, bad))
    if isinstance(x, PyDataset):
        _only_x("PyDataset", y, sample_weight)
        if shuffle and x.num_batches is None:
            _shuffle_ignored("an endless PyDataset")
        return PyDatasetAdapter(x, class_weight, shuffle and not x._decides_order)
    if isinstance(x, DataLoader):
        _only_x("torch DataLoader", y, sample_weight, class_weight)
        if shuffle:
            _shuffle_ignored("a torch DataLoader; its `shuffle` or `sampler` decides")
        if batch_size not in (None, x.batch_size):
            warnings.warn(
                f"`batch_size={batch_size}` is ignored: the data is a torch DataLoader, which "
                f"makes batches of {x.batch_size}.",
                stacklevel=3,
            )
        return TorchDataLoaderAdapter(x)
    if isinstance(x, Dataset):
        _only_x("torch Dataset", y, sample_weight, class_weight)
        ordered = isinstance(x, IterableDataset) or not shuffle
        return TorchDataLoaderAdapter(
            DataLoader(x, batch_size=batch_size or 32, shuffle=None if ordered else True)
        )
    if isinstance(x, (types.GeneratorType, Iterator)):
        _only_x("generator", y, sample_weight, class_weight)
        if shuffle:
            _shuffle_ignored("a generator, which must yield shuffled data itself")
        return GeneratorDataAdapter(x)
    if is_batch_iterable(x):
        kind = type(x).__name__
        _only_x(kind, y, sample_weight)
        if shuffle and not getattr(x, "_decides_order", False):
            _shuffle_ignored(f"a {kind}; shuffle it before you pass it")
        if hasattr(x, "element_spec") and hasattr(x, "cardinality"):
            return TFDatasetAdapter(x, class_weight)
        return IterableAdapter(x, class_weight)
    raise ValueError(unrecognized(x, "x"))


def _only_x(
    kind: str, y: Any, sample_weight: Any, class_weight: Mapping[int, float] | None = None
) -> None:
    """Refuse arguments that have no place beside batches."""
    given = {"y": y, "sample_weight": sample_weight, "class_weight": class_weight}
    for name, value in given.items():
        if value is None:
            continue
        fix = "yield `(inputs, targets, sample_weights)` batches and leave it out."
        what = "sample_weights" if name == "sample_weight" else name
        raise ValueError(
            explain(f"When providing `x` as a {kind}, `{what}` should not be passed.", fix=fix)
        )


def _shuffle_ignored(kind: str) -> None:
    warnings.warn(f"`shuffle=True` is ignored: the data is {kind}.", stacklevel=4)
