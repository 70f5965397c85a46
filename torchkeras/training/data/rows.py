"""Rows that become tensors chunk by chunk, where a tensor of all of them would be too large.

Each kind offers what an `ArrayDataAdapter` asks of a tensor: `shape`, `narrow` and `index_select`
along the first axis, slices of it, and the size of a row. They stay on the host.

Sparse matrices become dense, files that are mapped into memory get another dtype, columns of
Hugging Face datasets are read; texts stay NumPy arrays of strings. A file whose dtype torch can
use as it is needs none of this: a tensor over mapped memory reads only what is asked of it.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ...config import floatx
from ...dtypes import to_torch
from ...naming import explain
from .adapter import numpy_to_tensor

__all__ = [
    "ConvertedRows",
    "Rows",
    "SparseRows",
    "TextRows",
    "is_mapped",
    "sparse_rows",
]


class Rows:
    """Base class: `read` gives the rows of a slice or of an array of numbers.

    Args:
        shape: Of all rows together.
        row_bytes: Size of one row as a tensor.
    """

    device = torch.device("cpu")

    def __init__(self, shape: tuple[int, ...], row_bytes: int) -> None:
        self.shape, self.row_bytes = shape, row_bytes

    def read(self, rows: slice | np.ndarray) -> Any:
        """Return these rows, stacked."""
        raise NotImplementedError

    def narrow(self, dim: int, start: int, length: int) -> Any:
        """Return consecutive rows; `dim` is 0."""
        return self.read(slice(start, start + length))

    def index_select(self, dim: int, index: torch.Tensor) -> Any:
        """Return the rows of these numbers; `dim` is 0."""
        return self.read(index.numpy())

    def whole(self) -> Any:
        """Return all rows."""
        return self.read(slice(0, self.shape[0]))


class ConvertedRows(Rows):
    """Rows that a function reads as an array or tensor; floats are cast to `floatx()`.

    Args:
        source: What has the rows.
        get: Reads those of a slice or of an array of numbers from it.
        first, last: Which of the rows of the source these are.
        name: How an error calls them.
    """

    def __init__(
        self,
        source: Any,
        get: Callable[[Any, slice | np.ndarray], Any],
        first: int,
        last: int,
        name: str = "x",
    ) -> None:
        self.source, self.get, self.first, self.name = source, get, first, name
        row = self._tensor(slice(first, min(first + 1, last)))
        shape = (last - first, *row.shape[1:])
        super().__init__(shape, math.prod(shape[1:]) * row.element_size())

    def _tensor(self, rows: slice | np.ndarray) -> torch.Tensor:
        found = self.get(self.source, rows)
        if not isinstance(found, torch.Tensor):
            found = numpy_to_tensor(np.asarray(found), self.name)
        return found.to(to_torch(floatx())) if found.is_floating_point() else found

    def read(self, rows: slice | np.ndarray) -> torch.Tensor:
        """Return these rows as a tensor."""
        if isinstance(rows, slice):
            return self._tensor(slice(self.first + rows.start, self.first + rows.stop))
        return self._tensor(rows + self.first)

    def __getitem__(self, rows: slice) -> ConvertedRows:
        start, stop, _ = rows.indices(self.shape[0])
        return ConvertedRows(
            self.source, self.get, self.first + start, self.first + stop, self.name
        )


class TextRows(Rows):
    """Rows of an array of strings, which stays a NumPy array.

    Args:
        array: The strings, with samples along the first axis.
    """

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        super().__init__(array.shape, math.prod(array.shape[1:]) * array.dtype.itemsize)

    def __getitem__(self, rows: slice) -> TextRows:
        return TextRows(self.array[rows])

    def read(self, rows: slice | np.ndarray) -> TextRows:
        """Return these rows."""
        return TextRows(self.array[rows])

    def split(self, size: int) -> list[np.ndarray]:
        """Return the rows in parts of `size`, as arrays."""
        return [self.array[i : i + size] for i in range(0, len(self.array), size)]


# Sparse matrices ----------------------------------------------------------------------------------


class SparseRows(Rows):
    """Rows of a sparse matrix in compressed form, made dense when they are read.

    Letters: N rows, E entries.

    Args:
        starts: Where the entries of each row start, at last where they end: `(N + 1,)`.
        columns: Of the entries, each at most once in a row: `(E,)`.
        values: Of the entries: `(E,)`.
        width: Number of columns.
    """

    def __init__(
        self, starts: torch.Tensor, columns: torch.Tensor, values: torch.Tensor, width: int
    ) -> None:
        super().__init__((len(starts) - 1, width), width * values.element_size())
        self.starts, self.columns, self.values = starts, columns, values

    def __getitem__(self, rows: slice) -> SparseRows:
        start, stop, _ = rows.indices(self.shape[0])
        return SparseRows(self.starts[start : stop + 1], self.columns, self.values, self.shape[1])

    def read(self, rows: slice | np.ndarray) -> torch.Tensor:
        """Return these rows as a dense tensor."""
        if isinstance(rows, slice):
            starts = self.starts[rows.start : rows.stop + 1]
            counts = starts.diff()
            entries: Any = slice(int(starts[0]), int(starts[-1]))
            row = torch.arange(len(counts), device="cpu").repeat_interleave(counts)
        else:
            index = torch.from_numpy(rows)
            begin = self.starts[index]
            counts = self.starts[index + 1] - begin
            row = torch.arange(len(counts), device="cpu").repeat_interleave(counts)
            # Entries of a row lie one after the other, from where it begins.
            within = torch.arange(len(row), device="cpu") - (counts.cumsum(0) - counts)[row]
            entries = begin[row] + within
        width = self.shape[1]
        dense = torch.zeros(len(counts), width, dtype=self.values.dtype, device="cpu")
        dense.view(-1)[row * width + self.columns[entries]] = self.values[entries]
        return dense


def sparse_rows(x: Any, name: str) -> SparseRows | None:
    """Return the rows of a sparse matrix of SciPy, torch, TensorFlow or JAX; `None` for all else.

    Args:
        x: The matrix. One of rank other than 2 is none of these.
        name: How an error calls it.

    Raises:
        ValueError: A sparse tensor of torch or array of SciPy with another rank.
    """
    package, kind = type(x).__module__.partition(".")[0], type(x).__name__
    is_torch = isinstance(x, torch.Tensor) and x.layout is not torch.strided and not x.is_nested
    if not is_torch and not (package == "scipy" and hasattr(x, "tocsr")):
        parts = _coordinates(x, package, kind)
        if parts is None:
            return None
        x, is_torch = torch.sparse_coo_tensor(*parts), True
    if len(x.shape) != 2:
        raise ValueError(
            explain(
                f"`{name}` is a sparse array that has not two axes.",
                shape=tuple(x.shape),
                fix="pass a matrix, or a dense array.",
            )
        )
    if is_torch:
        x = x.detach().cpu()
        x = (x.coalesce() if x.layout is torch.sparse_coo else x).to_sparse_csr()
        starts, columns, values = x.crow_indices(), x.col_indices(), x.values()
    else:
        x = x.tocsr()
        if not x.has_canonical_format:  # entries of the same place are to be added up
            x = x.copy()
            x.sum_duplicates()
        starts, columns = (torch.from_numpy(part.astype("int64")) for part in (x.indptr, x.indices))
        values = numpy_to_tensor(x.data, name)
    if values.is_floating_point():
        values = values.to(to_torch(floatx()))
    return SparseRows(starts.long(), columns.long(), values, x.shape[1])


def _coordinates(x: Any, package: str, kind: str) -> tuple[Any, torch.Tensor, Any] | None:
    """Indices, values and shape of a sparse matrix of TensorFlow or JAX."""
    if kind not in ("SparseTensor", "BCOO") or len(x.shape) != 2:
        return None
    if package == "tensorflow":
        parts = x.indices, x.values, x.dense_shape
    elif package == "jax":
        parts = x.indices, x.data, x.shape
    else:
        return None
    indices, values, shape = map(np.asarray, parts)
    return torch.from_numpy(indices.T.astype("int64")), numpy_to_tensor(values), shape.tolist()


# Files mapped into memory -------------------------------------------------------------------------


def is_mapped(array: np.ndarray) -> bool:
    """Whether an array lies in a file that is mapped into memory, as `numpy.memmap` has it."""
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(array, mmap.mmap)
