"""Whole arrays as data: NumPy, torch, pandas, SciPy sparse, and nested structures of them.

Every array becomes one tensor, once. A pass then takes *chunks* of several batches, either views of
consecutive rows or, when shuffled, rows gathered by one `index_select`, and splits each chunk into
batches that are views of it. A chunk is at most `CHUNK_BYTES` large (but at least one batch), so
small rows cost one gather for many batches and large ones do not pile up.

Shuffled order is that of Keras on torch for the same `torch.manual_seed`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from numbers import Real
from typing import Any

import numpy as np
import torch

from ...config import floatx
from ...dtypes import to_torch
from ...naming import explain
from ...tree import assert_same_structure, flatten, is_nested, map_structure
from .adapter import (
    DataAdapter,
    class_weight_to_sample_weights,
    densified,
    draw_loader_seed,
    holds_strings,
    is_frame,
    is_scipy_sparse,
    numpy_to_tensor,
    pack_x_y_sample_weight,
    refuse_both_weights,
    shares_dtype,
    to_device,
)
from .hugging_face import is_column, read_column, spread
from .rows import ConvertedRows, Rows, TextRows, is_mapped, sparse_rows

__all__ = [
    "PLAIN_ARRAYS",
    "ArrayDataAdapter",
    "is_array_data",
    "lone_batch",
    "train_validation_split",
    "unrecognized",
    "whole_batch",
]

CHUNK_BYTES = 1 << 20
# Data up to this size is copied to another device as a whole, where gathering is cheapest.
RESIDENT_BYTES = 256 << 20

_NAMES = ("x", "y", "sample_weight")
# What most data is, of which nothing more need be asked.
PLAIN_ARRAYS = frozenset({np.ndarray, torch.Tensor})


def is_array(x: Any) -> bool:
    """Whether `x` is one array that an `ArrayDataAdapter` takes, or `None`."""
    if x is None or type(x) in PLAIN_ARRAYS:
        return True
    known = isinstance(x, (torch.Tensor, Rows)) or is_column(x)
    return known or is_scipy_sparse(x) or hasattr(x, "__array__") or densified(x) is not x


def is_array_data(*structures: Any) -> bool:
    """Whether these are arrays, or nested structures with nothing but arrays in them."""
    unknown = [part for part in structures if part is not None and type(part) not in PLAIN_ARRAYS]
    return all(is_array(leaf) for structure in unknown for leaf in flatten(structure))


def to_rows(x: Any, name: str = "x") -> Any:
    """Turn one array into a tensor whose first axis counts samples.

    Args:
        x: An array; floats are cast to `floatx()`, a pandas Series becomes a column.
        name: How an error calls it. Only `"x"` may hold strings, which stay in NumPy arrays.

    Raises:
        ValueError: Not an array, no axis at all, or neither numbers nor strings.
    """
    kind = type(x)
    is_plain_array = kind is np.ndarray and shares_dtype(x)
    if not is_plain_array and (kind is not torch.Tensor or x.layout is not torch.strided):
        if is_column(x):
            x = read_column(x, name)
        if x is None or isinstance(x, Rows):
            return x
        sparse = sparse_rows(x, name)
        if sparse is not None:
            return sparse
        x = densified(x)
    if is_plain_array and (x.base is None or not is_mapped(x)):
        rows = numpy_to_tensor(x, name)
    elif isinstance(x, torch.Tensor):
        rows = x.detach()
    elif is_array(x):
        array = _to_numpy(x, name)
        if name == "x" and array.ndim and holds_strings(array):
            return TextRows(array)
        if array.ndim and is_mapped(array) and not _is_usable(array):
            return ConvertedRows(array, lambda array, rows: array[rows], 0, len(array), name)
        rows = numpy_to_tensor(array, name)
    else:
        raise ValueError(
            "Expected all elements of `x` to be array-like, as those of `y` and `sample_weight`."
            f" {unrecognized(x, name)}"
        )
    if rows.ndim == 0:
        raise ValueError(
            explain(
                f"`{name}` is a single number, but its first axis must count the samples.",
                received=repr(x),
                fix="pass an array of shape (samples, ...).",
            )
        )
    return rows.to(to_torch(floatx())) if rows.is_floating_point() else rows


def lone_batch(x: Any, batch_size: Any) -> torch.Tensor | None:
    """Return an array of numbers as a tensor if it makes a single batch; `None` for other data.

    Args:
        x: Any data.
        batch_size: Samples in a batch, 32 where it is `None`.
    """
    if batch_size is None:
        batch_size = 32
    fits = type(x) in PLAIN_ARRAYS and type(batch_size) is int and x.ndim
    if not fits or not 0 < x.shape[0] <= batch_size or x.dtype == object:
        return None
    rows = to_rows(x)
    return rows if isinstance(rows, torch.Tensor) else None


def whole_batch(
    x: Any, y: Any = None, sample_weight: Any = None, *, device: torch.device
) -> tuple[Any, Any, Any]:
    """Return arrays that are one batch as tensors.

    Their first axes may differ, as the model knows what they count. What there is none of stays
    `None`, so a step is handed three parts, as in Keras.

    Args:
        x: Inputs.
        y: Targets.
        sample_weight: Weights of the samples.
        device: Where the tensors shall be.

    Raises:
        ValueError: There is nothing in them, or something is no array of numbers, such as a stream
            of batches, all but the first of which would be lost.
    """
    x, y, sample_weight = spread(x, y, sample_weight)
    if not is_array_data(x, y, sample_weight):
        raise ValueError(_no_batch(x, y, sample_weight))
    x, y, sample_weight = map(_convert, (x, y, sample_weight), _NAMES)
    if sample_weight is not None:
        sample_weight = _spread_sample_weight(y, sample_weight)
    parts = (x, y, sample_weight)
    if not any(leaf is not None and leaf.shape[0] for leaf in flatten(parts)):
        raise _no_count(*parts)

    def place(rows: Any) -> Any:
        if not isinstance(rows, Rows):
            return to_device(rows, device)
        rows = _placed(rows.whole(), device)
        return rows.array if isinstance(rows, TextRows) else rows

    return map_structure(place, parts, none_is_leaf=False)


def _is_usable(array: np.ndarray) -> bool:
    """Whether a tensor can share the memory of an array, row by row and in a dtype for `fit`."""
    dtype = array.dtype
    if dtype.kind == "f" and dtype != np.dtype(floatx()):
        return False
    known = dtype.isnative and dtype not in (np.uint16, np.uint32)
    return known and 0 < array.strides[0] == max(array.strides)


def _to_numpy(x: Any, name: str) -> np.ndarray:
    if is_frame(x, "polars", "DataFrame"):
        strange = {
            column: str(dtype)
            for column, dtype in x.schema.items()
            if not dtype.is_numeric() and str(dtype) != "Boolean"
        }
        _refuse_columns(name, strange, "`.cast(polars.Float32)`")
        return x.to_numpy()
    if is_frame(x, "pandas", "DataFrame"):
        strange = {
            column: str(dtype)
            for column, dtype in x.dtypes.items()
            if getattr(dtype, "kind", "O") not in "biuf"
        }
        _refuse_columns(name, strange, "`.astype('float32')`")
        common = np.result_type(*(_plain_dtype(dtype) for dtype in x.dtypes))
        return x.to_numpy(dtype=common)
    if is_frame(x, "pandas", "Series"):
        return x.to_numpy()[:, None]
    return np.asarray(x)


def _refuse_columns(name: str, columns: dict[Any, str], convert: str) -> None:
    """Refuse a frame with columns that are not numbers, of these dtypes."""
    if columns:
        raise ValueError(
            explain(
                f"Invalid dtype: `{name}` has columns that are not numbers.",
                columns=columns,
                fix=f"encode or drop these columns, or convert with {convert}.",
            )
        )


def _plain_dtype(dtype: Any) -> np.dtype:
    """The NumPy dtype behind a pandas dtype, nullable ones included."""
    return getattr(dtype, "numpy_dtype", dtype)


def unrecognized(x: Any, name: str) -> str:
    """The message for data of no known kind."""
    fix = "convert it to one of these."
    if isinstance(x, (int, float, list, tuple)):
        fix = f"pass `np.array({name})`."
    elif is_frame(x, "polars", "LazyFrame"):
        fix = f"pass `{name}.collect()`."
    elif isinstance(x, dict) and x:  # of another kind than Python's, such as a set of splits
        fix = f"pass one of its parts, such as `{name}[{next(iter(x))!r}]`."
    return explain(
        f"Unrecognized data type: `{name}` is {_describe(x)}.",
        expected="a NumPy array, torch tensor, SciPy sparse matrix, pandas or polars DataFrame or "
        "Series, a list, tuple or dict of these, a generator, a `PyDataset`, a torch `DataLoader` "
        "or `Dataset`, or a Hugging Face dataset",
        fix=fix,
    )


def _no_batch(*parts: Any) -> str:
    """The message for data that are no single batch."""
    x, name = next(
        found for found in zip(parts, _NAMES, strict=True) if not is_array_data(found[0])
    )
    if isinstance(x, (int, float, list, tuple, dict)):
        return unrecognized(x, name)
    return explain(
        f"`{name}` is no batch of arrays, as `train_on_batch` and its sisters take one.",
        given=_describe(x),
        fix="draw a batch from it, as in `x, y = next(iter(data))`; or pass it to `fit`,"
        " `evaluate` or `predict`.",
    )


def _describe(x: Any) -> str:
    if isinstance(x, (list, tuple)) and x:
        return f"a {type(x).__name__} of {type(flatten(x)[0]).__name__} values"
    text = repr(x)
    return f"{text if len(text) <= 60 else text[:57] + '...'} (of type {type(x)})"


def _convert(structure: Any, name: str) -> Any:
    if structure is None:
        return None
    if type(structure) in PLAIN_ARRAYS:
        return to_rows(structure, name)
    return map_structure(lambda leaf: to_rows(leaf, name), structure)


class ArrayDataAdapter(DataAdapter):
    """Adapter for whole arrays.

    Args:
        x: An array, or a nested structure of arrays, with samples along the first axis.
        y: Targets, likewise.
        sample_weight: One array, or a structure of arrays like that of `y`.
        batch_size: Samples in a batch. Default: the samples divided by `steps`, else 32.
        steps: Batches in a pass; only used where `batch_size` is not given.
        shuffle: `True` permutes all samples at each pass, `"batch"` those within a batch.
        class_weight: From class number to weight; becomes `sample_weight`.

    Raises:
        ValueError: Arrays of different lengths, without samples or not of numbers; weights that do
            not fit the targets; a batch size that is no positive integer.

    Example:
        >>> adapter = ArrayDataAdapter(np.arange(5.0), np.arange(5), batch_size=2)
        >>> [y.tolist() for x, y in adapter.batches()]
        [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int | None = None,
        steps: int | None = None,
        shuffle: bool | str = False,
        class_weight: Mapping[int, float] | None = None,
    ) -> None:
        x, y = _convert(x, "x"), _convert(y, "y")
        sample_weight = _convert(sample_weight, "sample_weight")
        if class_weight is not None:
            sample_weight = _fold_class_weight(y, sample_weight, class_weight)
        elif sample_weight is not None:
            sample_weight = _spread_sample_weight(y, sample_weight)
        data = pack_x_y_sample_weight(x, y, sample_weight)
        self._leaves = [leaf for leaf in flatten(data) if leaf is not None]
        lengths = {leaf.shape[0] for leaf in self._leaves}
        if len(lengths) != 1 or 0 in lengths:
            raise _no_count(x, y, sample_weight)
        self._num_samples = int(lengths.pop())
        self._batch_size = _check_batch_size(batch_size, steps, self._num_samples)
        if isinstance(shuffle, str) and shuffle != "batch":
            raise ValueError(f'`shuffle` must be True, False or "batch". Received: {shuffle!r}')
        self._shuffle = shuffle
        if shuffle:
            self._leaves = list(map(_row_by_row, self._leaves))
        self._pack = _packer(data)
        self._row_bytes = max(1, sum(map(_row_bytes, self._leaves)))
        self._resident: tuple[torch.device, list[Any]] | None = None
        # Which rows of each batch are this process's: a `distribution.replicas.Part`.
        self.part: Any = None

    @property
    def num_samples(self) -> int:
        """Number of samples in one pass."""
        return self._num_samples

    @property
    def num_batches(self) -> int:
        return math.ceil(self._num_samples / self._batch_size)

    @property
    def batch_size(self) -> int:
        return self._batch_size

    @property
    def has_partial_batch(self) -> bool:
        return self.partial_batch_size is not None

    @property
    def partial_batch_size(self) -> int | None:
        return self._num_samples % self._batch_size or None

    @property
    def at_hand(self) -> int:
        # Within a batch, each permutation is drawn when its batch is due.
        return 1 if self._shuffle == "batch" else self._batches_in_chunk(self._batch_size)

    def _batches_in_chunk(self, batch_size: int) -> int:
        return max(1, CHUNK_BYTES // (self._row_bytes * batch_size))

    def _pass_from(self, start: int, device: torch.device) -> Iterator[Any]:
        order, batch_size = None, self._batch_size
        if self._shuffle and self._shuffle != "batch":
            generator = torch.Generator("cpu").manual_seed(draw_loader_seed())
            order = torch.randperm(self._num_samples, generator=generator, device="cpu")
        if self.part is not None and self._shuffle != "batch":
            order, batch_size = self.part.order(order, self._num_samples, batch_size)
        return self._in_order(order, start * batch_size, device, batch_size)

    def _in_order(
        self, order: torch.Tensor | None, start: int, device: torch.device, batch_size: int
    ) -> Iterator[Any]:
        pack = self._pack
        for chunk in self._chunks(self._leaves_near(device), order, start, device, batch_size):
            first = chunk[0]
            if type(first) is torch.Tensor and first.shape[0] <= batch_size:
                if not any(isinstance(rows, Rows) for rows in chunk):
                    yield pack(tuple(chunk))
                    continue
            columns = [rows.split(batch_size) for rows in chunk]
            for batch in zip(*columns, strict=True):
                yield pack(batch)

    def _chunks(
        self,
        leaves: list[Any],
        order: torch.Tensor | None,
        start: int,
        device: torch.device,
        batch_size: int,
    ) -> Iterator[list[torch.Tensor]]:
        """The samples of this pass from number `start` on, several batches at a time."""
        total = self._num_samples if order is None else len(order)
        if self._shuffle == "batch":
            # One batch at a time: each permutation is drawn when its batch is due.
            for first in range(start, total, batch_size):
                order = torch.randperm(min(batch_size, total - first), device="cpu") + first
                if self.part is not None:
                    order = self.part.of(order, len(order))
                yield [_gather(leaf, order, device) for leaf in leaves]
            return
        size = self._batches_in_chunk(batch_size) * batch_size
        if order is not None:
            for index in order[start:].split(size) if start < total else ():
                yield [_gather(leaf, index, device) for leaf in leaves]
            return
        for first in range(start, total, size):
            length = min(size, total - first)
            yield [_placed(leaf.narrow(0, first, length), device) for leaf in leaves]

    def _leaves_near(self, device: torch.device) -> list[Any]:
        """The data, on `device` if it is small enough to be kept there."""
        if self._resident is not None and self._resident[0] == device:
            return self._resident[1]
        leaves = self._leaves
        if device.type != "cpu" and self._row_bytes * self._num_samples <= RESIDENT_BYTES:
            leaves = [
                leaf if isinstance(leaf, Rows) else to_device(leaf, device) for leaf in leaves
            ]
            self._resident = (device, leaves)
        return leaves


def _placed(rows: Any, device: torch.device) -> Any:
    return rows if isinstance(rows, TextRows) else to_device(rows, device)


def _row_by_row(leaf: Any) -> Any:
    """Bring the values of each row together, where a column's are: gathering is 15 times faster."""
    if isinstance(leaf, torch.Tensor) and 0 < leaf.stride(0) < max(leaf.stride()):
        return leaf.contiguous()
    return leaf


def _row_bytes(leaf: Any) -> int:
    if isinstance(leaf, Rows):
        return leaf.row_bytes
    return math.prod(leaf.shape[1:]) * leaf.element_size()


def _gather(leaf: Any, index: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Rows of `leaf` on `device`; for CUDA gathered into pinned memory, which saves a copy."""
    if isinstance(leaf, Rows):
        return _placed(leaf.index_select(0, index), device)
    if leaf.device.type != "cpu":
        return to_device(leaf.index_select(0, to_device(index, leaf.device)), device)
    if device.type != "cuda":
        return to_device(leaf.index_select(0, index), device)
    shape = (len(index), *leaf.shape[1:])
    pinned = torch.empty(shape, dtype=leaf.dtype, device="cpu", pin_memory=True)
    torch.index_select(leaf, 0, index, out=pinned)
    return pinned.to(device, non_blocking=True)


def _packer(data: Any) -> Callable[[tuple[torch.Tensor, ...]], Any]:
    """A function from a batch's tensors, in flat order, to the structure of `data`."""
    if type(data) is torch.Tensor or not is_nested(data):
        return lambda leaves: leaves[0]
    if type(data) is tuple and not any(
        type(leaf) is not torch.Tensor and (leaf is None or is_nested(leaf)) for leaf in data
    ):
        return lambda leaves: leaves  # `zip` makes tuples already

    def pack(leaves: tuple[torch.Tensor, ...]) -> Any:
        remaining = iter(leaves)
        return map_structure(lambda leaf: None if leaf is None else next(remaining), data)

    return pack


def _fold_class_weight(y: Any, sample_weight: Any, class_weight: Mapping[int, float]) -> Any:
    if sample_weight is not None:
        refuse_both_weights()
    if y is None:
        raise ValueError(explain("`class_weight` needs targets.", y=None, fix="pass `y`."))
    labels = y.whole() if isinstance(y, Rows) else y
    return class_weight_to_sample_weights(labels, class_weight)


def _spread_sample_weight(y: Any, sample_weight: Any) -> Any:
    """Check weights against the targets; one array serves all outputs."""
    if y is None:
        warnings.warn("`sample_weight` has no effect without targets `y`.", stacklevel=4)
        return None
    if not is_nested(y):
        return sample_weight
    if is_nested(sample_weight):
        try:
            assert_same_structure(y, sample_weight)
        except ValueError as error:
            raise ValueError(
                explain(
                    "You should provide one `sample_weight` array per output, nested like `y`.",
                    y=_shapes(y),
                    sample_weight=_shapes(sample_weight),
                    fix="nest the weights like `y`, or pass one array of shape (samples,).",
                )
            ) from error
        return sample_weight
    shape = tuple(sample_weight.shape)
    if len(shape) != 1 and (len(shape) != 2 or shape[1] != 1):
        raise ValueError(
            explain(
                "For a model with multiple outputs, when providing one `sample_weight` array, it"
                " must have one number per sample.",
                sample_weight_shape=shape,
                expected_shape="(samples,)",
                fix="pass a structure with one array per output.",
            )
        )
    return map_structure(lambda _: sample_weight, y)


def _shapes(structure: Any) -> Any:
    return map_structure(lambda leaf: tuple(leaf.shape), structure, none_is_leaf=False)


def _no_count(*parts: Any) -> ValueError:
    """Say why arrays have no common length, or no samples at all."""
    sizes = {
        name: [int(leaf.shape[0]) for leaf in flatten(part) if leaf is not None]
        for name, part in zip(_NAMES, parts, strict=True)
    }
    sizes = {name: lengths for name, lengths in sizes.items() if lengths}
    if not sizes:
        return ValueError(
            explain("There is no data: `x` is None or holds no array.", fix="pass `x`.")
        )
    if len({length for lengths in sizes.values() for length in lengths}) > 1:
        facts = {f"'{name}' sizes": ", ".join(map(str, found)) for name, found in sizes.items()}
        return ValueError(
            explain(
                "Data cardinality is ambiguous: the arrays have different numbers of samples.",
                **facts,
                fix="give all arrays the same length along their first axis.",
            )
        )
    return ValueError(
        explain(
            "The data is empty: its arrays have 0 samples.",
            shapes=_shapes(parts[0]),
            fix="check how the arrays were filtered or split.",
        )
    )


def _check_batch_size(batch_size: Any, steps: int | None, total: int) -> int:
    if not batch_size:
        return math.ceil(total / steps) if steps else 32
    if not isinstance(batch_size, Real):
        raise TypeError(f"`batch_size` must be an integer. Received: batch_size={batch_size!r}")
    if isinstance(batch_size, bool) or int(batch_size) != batch_size or batch_size < 0:
        raise ValueError(
            f"`batch_size` must be a positive integer. Received: batch_size={batch_size!r}"
        )
    return int(batch_size)


def train_validation_split(arrays: Any, validation_split: float) -> tuple[Any, Any]:
    """Split arrays into the first samples, for training, and the last ones, for validation.

    Args:
        arrays: A nested structure of arrays; `None` leaves stay.
        validation_split: Which part of the samples to hold out, between 0 and 1.

    Returns:
        Two structures like `arrays`. Their tensors are views of the same memory.

    Raises:
        ValueError: Something is no array, or one of the two parts would be empty.

    Example:
        >>> (x, y), (val_x, val_y) = train_validation_split((np.arange(4), None), 0.25)
        >>> x, val_x
        (tensor([0, 1, 2]), tensor([3]))
    """
    if type(arrays) is tuple and len(arrays) <= len(_NAMES):
        arrays = spread(*arrays)[: len(arrays)]
    leaves = flatten(arrays)
    strange = [type(leaf) for leaf in leaves if not is_array(leaf)]
    if strange:
        raise ValueError(
            explain(
                "`validation_split` works for arrays and tensors only.",
                received=strange,
                fix="pass `validation_data` instead.",
            )
        )
    if all(leaf is None for leaf in leaves):
        return arrays, arrays
    if type(arrays) is tuple and len(arrays) <= len(_NAMES):
        rows: Any = tuple(map(_convert, arrays, _NAMES))
    else:
        rows = _convert(arrays, "x")
    total = next(int(leaf.shape[0]) for leaf in flatten(rows) if leaf is not None)
    split_at = math.floor(total * (1.0 - validation_split))
    if not 0 < split_at < total:
        raise ValueError(
            explain(
                f"`validation_split={validation_split}` leaves no samples for one of the parts.",
                samples=total,
                fix="pass more data, or another fraction between 0 and 1.",
            )
        )

    def part(start: int, end: int | None) -> Any:
        return map_structure(lambda leaf: leaf[start:end], rows, none_is_leaf=False)

    # A mismatch in length must still be seen by whoever batches these, so the end is left open.
    return part(0, split_at), part(split_at, None)
