"""Data in parts: `split_dataset`, and windows over a time series, `timeseries_dataset_from_array`.

Letters: T time steps of the series, L steps of a window, B windows in a batch.
Where Keras makes a `tf.data.Dataset`, these give what PyTorch and `fit` take: a split consists of
two `torch.utils.data.Subset`s, windows come as a `Pipeline`. Tensors are on the CPU.
Sources: `keras.utils` for names, defaults and which samples there are.
"""

from __future__ import annotations

import importlib
import random
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, Subset, TensorDataset

from ..dtypes import as_tensor, to_numpy
from ..naming import explain
from ..tree import map_structure
from .pipelines import BatchDataset, Pipeline, shown, splits_as_other

__all__ = ["TimeseriesDataset", "split_dataset", "timeseries_dataset_from_array"]

_CPU = torch.device("cpu")


# Splitting ----------------------------------------------------------------------------------------


def split_dataset(
    dataset: Any,
    left_size: int | float | None = None,
    right_size: int | float | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    preferred_backend: str | None = None,
) -> tuple[Any, Any]:
    """Split data into two parts, such as one for training and one for validation.

    Args:
        dataset: A torch `Dataset` with a length, an array, a list or tuple of arrays of equal
            length, what `image_dataset_from_directory` and its like return, whose elements are
            then held in memory, or a `tf.data.Dataset`.
        left_size: Of the left part: a fraction of the samples as a float, or their number. Default:
            what the right part leaves.
        right_size: Likewise.
        shuffle: Draw the samples of the parts at random. Else the left part is the beginning, the
            right one the end.
        seed: For the draw; by default torch's generator goes on, or Python's for a
            `tf.data.Dataset`.
        preferred_backend: `"torch"` or `"tensorflow"`, which needs that package. Default:
            `"tensorflow"` for a `tf.data.Dataset`, else `"torch"`.

    Returns: Two torch `Subset`s, whose samples are tuples for arrays; or two `tf.data.Dataset`s.

    Raises:
        TypeError: Data of another kind, or a size that is no number.
        ValueError: No size, one that is out of range, or arrays of different lengths.

    Example:
        >>> left, right = split_dataset(np.arange(10), left_size=0.8)
        >>> len(left), [int(x) for (x,) in right]
        (8, [8, 9])
    """
    is_tensorflow = hasattr(dataset, "element_spec") and hasattr(dataset, "unbatch")
    is_default = is_tensorflow or splits_as_other()
    backend = preferred_backend or ("tensorflow" if is_default else "torch")
    if backend not in ("torch", "tensorflow"):
        raise ValueError(
            f"`preferred_backend` is 'torch' or 'tensorflow'. Received: {preferred_backend!r}"
        )
    samples = _samples(dataset, is_tensorflow)
    left, right = _split_sizes(left_size, right_size, len(samples))
    order: Any = range(len(samples))
    if shuffle and (is_tensorflow or preferred_backend == "tensorflow"):  # drawn as there
        order = list(order)
        random.Random(random.randint(0, 10**6) if seed is None else seed).shuffle(order)
    elif shuffle:
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        order = torch.randperm(len(samples), generator=generator).tolist()
    parts = Subset(samples, order[:left]), Subset(samples, order[-right:])
    if backend == "torch":
        return parts
    batch_size = getattr(dataset, "_batch_size", None) if is_tensorflow else None
    return _as_tensorflow(parts[0], batch_size), _as_tensorflow(parts[1], batch_size)


def _samples(dataset: Any, is_tensorflow: bool) -> Any:
    """Something with a length whose items are the samples."""
    if isinstance(dataset, Pipeline):
        return list(dataset)
    if isinstance(dataset, Dataset):
        if not hasattr(dataset, "__len__"):
            raise TypeError(
                "split_dataset: the torch `Dataset` has no length, so that it cannot be split. "
                "Fix: draw its samples into a list of arrays first."
            )
        return dataset
    if is_tensorflow:
        flat = dataset.unbatch() if hasattr(dataset, "_batch_size") else dataset
        samples = [map_structure(lambda x: as_tensor(x.numpy(), device=_CPU), s) for s in flat]
        if not samples:
            raise ValueError("split_dataset: received an empty dataset.")
        return samples
    arrays = list(dataset) if isinstance(dataset, (list, tuple)) else [dataset]
    if not arrays:
        raise ValueError("split_dataset: received an empty list. Pass a list of arrays.")
    if not all(hasattr(array, "shape") and len(array.shape) for array in arrays):
        raise TypeError(
            explain(
                "split_dataset: `dataset` must be a torch `Dataset`, a `tf.data.Dataset`, an array,"
                " or a list or tuple of arrays.",
                given=f"{type(dataset).__name__}: {str(dataset)[:80]}",
                fix="make arrays of nested lists with `numpy.array`.",
            )
        )
    lengths = [len(array) for array in arrays]
    if len(set(lengths)) > 1:
        raise ValueError(f"split_dataset: the arrays have different lengths: {lengths}.")
    return TensorDataset(*(as_tensor(array, device=_CPU) for array in arrays))


def _split_sizes(left: Any, right: Any, total: int) -> tuple[int, int]:
    """The sizes of both parts in samples."""
    if left is None and right is None:
        raise ValueError(
            "At least one of the `left_size` or `right_size` must be specified. Received: "
            "left_size=None and right_size=None"
        )
    for name, size in (("left_size", left), ("right_size", right)):
        if size is None:
            continue
        if isinstance(size, bool) or not isinstance(size, (int, float, np.integer)):
            raise TypeError(
                f"Invalid `{name}` Type. Expected: int or float or None, Received: {size!r} (of"
                f" type {type(size).__name__})."
            )
        if not 0 < size < (1 if isinstance(size, float) else total):
            raise ValueError(
                f"`{name}` should be either a positive integer smaller than {total}, or a float"
                f" within the range `[0, 1]`. Received: {name}={size}"
            )
    if isinstance(left, float) and isinstance(right, float) and left + right > 1:
        raise ValueError(
            f"The sum of `left_size` and `right_size` is greater than 1. Received: {left} + {right}"
        )
    sizes = [round(size * total) if isinstance(size, float) else size for size in (left, right)]
    if left is None:
        sizes[0] = total - sizes[1]
    if right is None:
        sizes[1] = total - sizes[0]
    if sum(sizes) > total:
        raise ValueError(
            f"The sum of `left_size` and `right_size` should be smaller than the {total} samples."
            f" Received: {sizes[0]} + {sizes[1]}"
        )
    if 0 in sizes:
        side = "left" if sizes[0] == 0 else "right"
        raise ValueError(
            f"With {total} samples, `left_size`={left} and `right_size`={right}, the {side} part"
            " would be empty. Choose other sizes."
        )
    return int(sizes[0]), int(sizes[1])


def _as_tensorflow(part: Any, batch_size: int | None) -> Any:
    tensorflow = importlib.import_module("tensorflow")
    samples = [map_structure(to_numpy, part[i]) for i in range(len(part))]
    stacked = map_structure(lambda *xs: np.stack(xs), *samples)
    dataset = tensorflow.data.Dataset.from_tensor_slices(stacked)
    return dataset if batch_size is None else dataset.batch(batch_size)


# Windows ------------------------------------------------------------------------------------------


class TimeseriesDataset(BatchDataset):
    """Windows over a time series: batches `(B, L, ...)`, and targets `(B, ...)` if there are any.

    Args:
        data: The series, `(T, ...)`.
        targets: What belongs to the window that starts at each step, `(T, ...)`; or `None`.
        starts: The steps at which windows start.
        steps: Which steps a window has, counted from its start: `(L,)`.
        options: Those of `BatchDataset`.
    """

    def __init__(
        self,
        data: torch.Tensor,
        targets: torch.Tensor | None,
        starts: np.ndarray,
        steps: np.ndarray,
        **options: Any,
    ) -> None:
        super().__init__(len(starts), **options)
        self._data, self._targets = data, targets
        self._starts, self._steps = torch.from_numpy(starts), torch.from_numpy(steps)

    def _batch(self, indices: np.ndarray) -> Any:
        starts = self._starts[torch.from_numpy(indices)]
        windows = self._data[starts[:, None] + self._steps]
        return windows if self._targets is None else (windows, self._targets[starts])

    def _sample(self, index: int) -> Any:
        start = self._starts[index]
        window = self._data[start + self._steps]
        return window if self._targets is None else (window, self._targets[start])


def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
    format: str = "tf",
) -> Any:
    """Make batches of windows that slide over a time series.

    Args:
        data: The series, `(T, ...)`.
        targets: `targets[i]` belongs to the window that starts at step `i`. `None` for none.
        sequence_length: Steps of a window.
        sequence_stride: Steps from the start of a window to that of the next.
        sampling_rate: Steps of the series from one step of a window to the next.
        batch_size: Windows in a batch; `None` gives single windows.
        shuffle: Whether their order is random.
        seed: For that order; by default NumPy's generator gives one.
        start_index, end_index: The steps to use, up to but without `end_index`.
        format: `"tf"` shuffles each pass anew, `"grain"` gives all passes the same order, as these
            libraries do; the dataset is neither's.

    Returns: A dataset of batches `(B, L, ...)`, or of pairs of these and targets `(B, ...)`.

    Raises:
        ValueError: An index, rate or stride out of range, or another `format`.

    Example:
        >>> windows = timeseries_dataset_from_array(np.arange(6), None, 3, batch_size=2)
        >>> [batch.tolist() for batch in windows]
        [[[0, 1, 2], [1, 2, 3]], [[2, 3, 4], [3, 4, 5]]]
    """
    total = len(data)
    _check_window_arguments(total, start_index, end_index, sampling_rate, sequence_stride)
    if format not in ("tf", "grain"):
        raise ValueError(f'`format` should be either "tf" or "grain". Received: format={format}')
    first, last = start_index or 0, total if end_index is None else end_index
    count = last - first - (sequence_length - 1) * sampling_rate
    if targets is not None:
        count = min(count, len(targets) - first)
    if shuffle and seed is None:
        seed = int(np.random.randint(1e6))
    windows = TimeseriesDataset(
        as_tensor(data, device=_CPU)[first:last],
        None if targets is None else as_tensor(targets, device=_CPU)[first:last],
        starts=np.arange(0, count, sequence_stride, dtype="int64"),
        steps=np.arange(0, sequence_length * sampling_rate, sampling_rate, dtype="int64"),
        batch_size=batch_size,
        seed=seed if shuffle else None,
        reshuffle=format == "tf",
    )
    return shown(windows, format)


def _check_window_arguments(
    total: int, start: int | None, end: int | None, sampling_rate: int, sequence_stride: int
) -> None:
    if start and not 0 <= start < total:
        bound = "must be 0 or greater" if start < 0 else "must be lower than the length of the data"
        raise ValueError(f"`start_index` {bound}, {total}. Received: start_index={start}")
    if end is not None:
        if end <= (start or 0):
            raise ValueError(
                "`end_index` must be higher than 0 and higher than `start_index`. Received:"
                f" start_index={start} and end_index={end}"
            )
        if end >= total:
            raise ValueError(
                "`end_index` must be lower than the length of the data. Received:"
                f" end_index={end}, for data of length {total}"
            )
    for name, value in (("sampling_rate", sampling_rate), ("sequence_stride", sequence_stride)):
        if value <= 0:
            raise ValueError(f"`{name}` must be higher than 0. Received: {name}={value}")
        if value >= total:
            raise ValueError(
                f"`{name}` must be lower than the length of the data. Received: {name}={value},"
                f" for data of length {total}"
            )
