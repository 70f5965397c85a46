"""Hugging Face datasets as data for `fit`; the package `datasets` is never imported from here.

A dataset stands for a dict of its columns, each of which is an array: `fit(dataset, y="label")`
takes one of them for the targets, `fit(dataset["text"], dataset["label"])` gives both by
themselves. Columns that are small are read as a whole, once; of others the rows that a batch needs.
Where a dataset has a transform of its own, or is a stream, its batches are made by a `DataLoader`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, default_collate

from ...naming import explain, nearest
from .rows import ConvertedRows

__all__ = ["Column", "as_loader", "is_column", "is_table", "read_column", "spread"]

# Columns up to this size are read as a whole.
WHOLE_BYTES = 256 << 20


@dataclass(frozen=True)
class Column:
    """A column of a dataset, with the attributes of `datasets.Column`."""

    source: Any
    column_name: str


def _kind(name: str) -> Any:
    """A class of the package `datasets`, or no class at all if that has not been imported."""
    package = sys.modules.get("datasets")
    found = getattr(package, name, None)
    return found or getattr(getattr(package, "arrow_dataset", None), name, None) or ()


def is_table(x: Any) -> bool:
    """Whether `x` is a dataset whose rows can be read by their numbers."""
    return isinstance(x, _kind("Dataset"))


def _is_stream(x: Any) -> bool:
    return isinstance(x, _kind("IterableDataset"))


def is_column(x: Any) -> bool:
    """Whether `x` is a column of such a dataset."""
    return isinstance(x, Column) or (isinstance(x, _kind("Column")) and is_table(x.source))


def _is_transformed(dataset: Any) -> bool:
    return is_table(dataset) and dataset.format["type"] == "custom"


def spread(x: Any, y: Any = None, sample_weight: Any = None) -> tuple[Any, Any, Any]:
    """Put the columns of a dataset in its place; all other data is returned as it is.

    Args:
        x: The data, a dataset or not.
        y: Beside a dataset, the name of the column with the targets, or a list of names.
        sample_weight: Likewise the name of a column.

    Returns: `(x, y, sample_weight)`, with a dict of the other columns for `x`, or the only one that
        is left.

    Raises:
        ValueError: The dataset has no column of that name.
    """
    if not is_table(x) or _is_transformed(x):
        return x, y, sample_weight
    columns = {name: Column(x, name) for name in x.column_names}
    y, sample_weight = _take(columns, y, "y"), _take(columns, sample_weight, "sample_weight")
    return _alone(columns), y, sample_weight


def _is_name(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, (list, tuple)) and bool(value) and all(map(_is_name, value))
    )


def _take(columns: dict[str, Any], name: Any, argument: str) -> Any:
    """Remove a column, or a list of them, and return it; what is no name is returned as it is."""
    if not _is_name(name):
        return name
    if not isinstance(name, str):
        return type(name)(_take(columns, part, argument) for part in name)
    if name not in columns:
        raise ValueError(
            explain(
                f"`{argument}` names a column that the dataset does not have: {name!r}.",
                columns=", ".join(map(repr, columns)),
                fix=nearest(name, columns) or "pass the name of a column.",
            )
        )
    return columns.pop(name)


def _alone(columns: dict[str, Any]) -> Any:
    return next(iter(columns.values())) if len(columns) == 1 else columns


def read_column(column: Any, name: str) -> Any:
    """Return a column as an array if it is small, else its rows.

    Args:
        column: Numbers, lists of equal length, images of equal size, or strings.
        name: How an error calls it.
    """
    dataset, key = column.source, column.column_name
    if not _is_transformed(dataset):
        dataset = dataset.select_columns([key]).with_format("numpy")
        head = np.asarray(dataset[:1][key])
        if head.dtype.kind in "UST":  # an array of them would give each the size of the longest
            return np.array(dataset.with_format(None)[:][key], dtype=object)
        if head.nbytes * len(dataset) <= WHOLE_BYTES:
            return dataset[:][key]

    def get(source: Any, rows: slice | np.ndarray) -> Any:
        found = source[rows][key]
        is_list = isinstance(found, list) and found and isinstance(found[0], torch.Tensor)
        return torch.stack(found) if is_list else found

    return ConvertedRows(dataset, get, 0, len(dataset), f"{name}[{key!r}]")


# Streams and transforms ---------------------------------------------------------------------------


class _Transformed(Dataset[Any]):
    """A dataset with a transform, which is asked for the rows of a whole batch at once."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[index]

    def __getitems__(self, indices: Sequence[int]) -> Any:
        return self.dataset[list(indices)]


def as_loader(
    x: Any, y: Any, sample_weight: Any, batch_size: int | None, shuffle: Any
) -> DataLoader[Any] | None:
    """Return a loader of batches for a stream or a dataset with a transform; `None` for others.

    Args:
        x: The data.
        y, sample_weight: Names of columns, as for `spread`.
        batch_size: Rows in a batch. Default: 32.
        shuffle: Whether to draw rows in random order; streams keep theirs.

    Raises:
        ValueError: There is no column of a name.
    """
    is_stream = _is_stream(x)
    if not is_stream and not _is_transformed(x):
        return None

    def parts(batch: Any) -> Any:
        columns = default_collate(batch) if is_stream else _stacked(batch)
        targets = _take(columns, y, "y")
        weights = _take(columns, sample_weight, "sample_weight")
        inputs = _alone(columns)
        if targets is None:
            return inputs if isinstance(inputs, dict) else (inputs,)
        return (inputs, targets) if weights is None else (inputs, targets, weights)

    rows = x.with_format("numpy") if is_stream else _Transformed(x)
    order = None if is_stream or not shuffle else True
    return DataLoader(rows, batch_size=batch_size or 32, shuffle=order, collate_fn=parts)


def _stacked(batch: dict[str, Any]) -> dict[str, Any]:
    """The columns of a batch as arrays and tensors; images of Pillow become arrays."""

    def stack(values: Any) -> Any:
        if isinstance(values, list) and values and isinstance(values[0], torch.Tensor):
            return torch.stack(values)
        return values if isinstance(values, torch.Tensor) else np.asarray(values)

    return {name: stack(values) for name, values in batch.items()}
