"""What every data adapter offers, and the pieces they share.

An adapter turns what a user passed as data into batches of torch tensors on a device. It yields
each batch in the form in which `train_step(data)` receives it: `x` alone, `(x,)`, `(x, y)` or
`(x, y, sample_weight)`, each of them a tensor or a nested structure of tensors.
`unpack_x_y_sample_weight` takes such a batch apart.

`batches(device)` is one pass; `peek(device)` shows a first batch, to build a model from, and loses
nothing. Where a pass has more or fewer steps than there are batches, keep one iterator and draw
from it; a generator goes on where it stopped, everything else starts again with a new iterator.

Batches that the user's own code makes (generators, `PyDataset`, `DataLoader`) keep their dtypes, as
in Keras; only whole arrays have their floats cast to `floatx()`.
"""

from __future__ import annotations

import itertools
import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

from ...config import default_device, floatx
from ...dtypes import standardize_dtype, to_numpy, to_torch
from ...naming import explain
from ...tree import flatten, is_nested, lists_to_tuples, map_structure

__all__ = [
    "DataAdapter",
    "class_weight_to_sample_weights",
    "convert_batch",
    "densified",
    "holds_strings",
    "pack_x_y_sample_weight",
    "refuse_both_weights",
    "shares_dtype",
    "to_device",
    "to_tensor",
    "unpack_x_y_sample_weight",
]

# Dtypes that torch and NumPy share, as they are.
_SHARED = frozenset(map(np.dtype, "float32 float64 int32 int64 int16 int8 uint8 bool".split()))
# torch has these dtypes in name only: it indexes and computes with their signed neighbours.
_WIDENED = {np.dtype(np.uint16): np.int32, np.dtype(np.uint32): np.int64}


class DataAdapter:
    """Base class of the adapters.

    A subclass yields the batches of one pass from `_pass`; whoever drives it calls
    `on_epoch_begin`, iterates `batches(device)`, then calls `on_epoch_end`.
    """

    @property
    def num_batches(self) -> int | None:
        """Number of batches in one pass, or `None` if that is not known."""
        raise NotImplementedError

    @property
    def batch_size(self) -> int | None:
        """Number of samples in a full batch, or `None` if that is not known."""
        return None

    @property
    def has_partial_batch(self) -> bool | None:
        """Whether the last batch is smaller than the others; `None` if that is not known."""
        return None

    @property
    def partial_batch_size(self) -> int | None:
        """Number of samples in a smaller last batch, or `None` where there is none."""
        return None

    @property
    def at_hand(self) -> int:
        """Number of batches that may be drawn before the first is used, at no cost of memory."""
        return 1

    @property
    def generators(self) -> tuple[torch.Generator, ...]:
        """Random number generators of the data's own, beside the global ones."""
        return ()

    def batches(self, device: torch.device | str = "cpu", start: int = 0) -> Iterator[Any]:
        """Iterate over one pass through the data.

        Args:
            device: Where the tensors shall be. Copies from the CPU to CUDA go through pinned
                memory and do not block.
            start: How many batches to pass over, as they are done already. Then the first item is
                `None`; once it is drawn, the order of the pass is settled.

        Returns:
            An iterator over batches as `train_step` receives them.
        """
        device = _with_index(torch.device(device))
        # Keras on torch makes a `DataLoader` iterator before a pass and another one after it. Each
        # draws a number from torch's global generator, so the order of the next shuffle, and of
        # anything random that the user does with torch, depends on these draws.
        draw_loader_seed()
        return self._one_pass(device, start)

    def _one_pass(self, device: torch.device, start: int) -> Iterator[Any]:
        batches = self._pass_from(start, device)
        if start:
            yield None
        yield from batches
        if self.num_batches is not None:
            draw_loader_seed()

    def _pass_from(self, start: int, device: torch.device) -> Iterator[Any]:
        """Return the batches of a pass from one of them on; the others are drawn and dropped."""
        batches = self._pass(device)
        for _ in itertools.islice(batches, start):
            pass
        return batches

    def peek(self, device: torch.device | str = "cpu") -> Any:
        """Return a first batch on `device`, such as a model can be built from."""
        return next(self.batches(device))

    def _pass(self, device: torch.device) -> Iterator[Any]:
        raise NotImplementedError

    def get_torch_dataloader(self) -> DataLoader[Any]:
        """Return the batches as a `DataLoader`; each iteration over it is one pass."""
        return DataLoader(_Passes(self), batch_size=None)

    def get_numpy_iterator(self) -> Iterator[Any]:
        """Iterate over one pass, with NumPy arrays in place of tensors."""
        for batch in self.batches():
            yield map_structure(to_numpy, batch, none_is_leaf=False)

    get_jax_iterator = get_numpy_iterator

    def get_tf_dataset(self) -> Any:
        """Return the batches as a `tf.data.Dataset`, where TensorFlow is installed."""
        import tensorflow as tf

        def spec(tensor: torch.Tensor) -> Any:
            shape = (None,) * tensor.ndim  # batches may differ in any size
            return tf.TensorSpec(shape, standardize_dtype(tensor.dtype))

        def batches() -> Iterator[Any]:
            yield from map(lists_to_tuples, self.get_numpy_iterator())  # tf.data knows no lists

        signature = map_structure(spec, lists_to_tuples(self.peek()), none_is_leaf=False)
        return tf.data.Dataset.from_generator(batches, output_signature=signature)

    def on_epoch_begin(self) -> None:
        """Called before each pass."""

    def on_epoch_end(self) -> None:
        """Called after each pass."""


class _Passes(IterableDataset[Any]):
    """The batches of an adapter, for a `DataLoader`."""

    def __init__(self, adapter: DataAdapter) -> None:
        self.adapter = adapter

    def __iter__(self) -> Iterator[Any]:
        return self.adapter.batches(default_device())


def draw_loader_seed() -> int:
    """Draw what `torch.utils.data` draws from the global generator to seed an iterator."""
    return int(torch.empty((), dtype=torch.int64, device="cpu").random_().item())


def _with_index(device: torch.device) -> torch.device:
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return device


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Move a tensor without waiting for the copy; from the CPU to CUDA through pinned memory."""
    if tensor.device == device:
        return tensor
    if device.type == "cuda" and tensor.device.type == "cpu" and tensor.layout == torch.strided:
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def is_frame(x: Any, package: str, *names: str) -> bool:
    """Whether `x` is an instance of a class of pandas or polars; never imports these.

    Args:
        x: Anything.
        package: `"pandas"` or `"polars"`.
        names: Of the classes.
    """
    module = sys.modules.get(package)
    return module is not None and isinstance(x, tuple(getattr(module, name) for name in names))


def densified(x: Any) -> Any:
    """Return a sparse or ragged array of TensorFlow or JAX as a dense one; all else as it is."""
    package, kind = type(x).__module__.partition(".")[0], type(x).__name__
    if package == "tensorflow" and kind == "SparseTensor":
        return sys.modules["tensorflow"].sparse.to_dense(x)
    if package == "tensorflow" and kind == "RaggedTensor":
        return x.to_tensor()
    return x.todense() if package == "jax" and hasattr(x, "todense") else x


def shares_dtype(array: np.ndarray) -> bool:
    """Whether the values of an array are numbers of a dtype that torch has too."""
    return array.dtype in _SHARED


def is_scipy_sparse(x: Any) -> bool:
    """Whether `x` is a SciPy sparse matrix or array."""
    return type(x).__module__.startswith("scipy.sparse") and hasattr(x, "tocsr")


def holds_strings(array: np.ndarray) -> bool:
    """Whether all that is in an array is strings."""
    if array.dtype.kind != "O":
        return array.dtype.kind in "UST"
    return array.size > 0 and all(isinstance(value, (str, bytes)) for value in array.flat)


def numpy_to_tensor(array: np.ndarray, name: str = "x") -> torch.Tensor:
    """Turn an array into a CPU tensor that shares its memory where torch can.

    Args:
        array: Numbers or booleans.
        name: How an error calls it.

    Raises:
        ValueError: The array holds strings, objects, dates or 64-bit unsigned integers.
    """
    dtype = array.dtype
    if dtype not in _SHARED:
        if dtype.name == "bfloat16":
            return torch.from_numpy(array.astype(np.float32)).to(torch.bfloat16)
        if dtype.kind not in "biufc" or dtype == np.uint64:
            raise ValueError(_not_numbers(array, name))
        if dtype in _WIDENED:
            array = array.astype(_WIDENED[dtype])
        elif not dtype.isnative:
            array = array.astype(dtype.newbyteorder("="))
    if min(array.strides, default=0) < 0:
        array = np.ascontiguousarray(array)
    if array.flags.writeable:
        return torch.from_numpy(array)
    with warnings.catch_warnings():  # nothing here writes into batches
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(array)


def _not_numbers(array: np.ndarray, name: str) -> str:
    """The message for arrays that no tensor can hold."""
    if array.dtype == np.uint64:
        fix = "convert it with `.astype('int64')`."
    elif array.dtype.kind in "US" or isinstance(next(iter(array.flat), None), str):
        fix = "encode text as integers first (a lookup or vectorization layer, or a Python dict)."
    elif array.dtype.kind == "O":
        fix = "make all rows equally long, or convert with `.astype('float32')`."
    else:
        fix = "convert it to numbers first."
    return explain(
        f"Invalid dtype: `{name}` holds values of dtype {array.dtype}, which a tensor cannot hold.",
        shape=array.shape,
        first_value=repr(next(iter(array.flat), None)),
        fix=fix,
    )


def to_tensor(x: Any, name: str = "x") -> torch.Tensor:
    """Turn one item of a batch into a tensor with its own dtype.

    Args:
        x: A tensor, array, pandas object, SciPy sparse matrix or Python number.
        name: How an error calls it.

    Raises:
        ValueError: It does not hold numbers.
    """
    if isinstance(x, torch.Tensor):
        return x.detach()
    if isinstance(x, (bool, int, float, complex)):
        return torch.tensor(x, dtype=_scalar_dtype(x), device="cpu")
    x = x.toarray() if is_scipy_sparse(x) else densified(x)
    # A copy, since the user's code may fill the same array again for its next batch.
    return numpy_to_tensor(np.array(x), name)


def _scalar_dtype(x: complex) -> torch.dtype | None:
    if isinstance(x, bool) or isinstance(x, complex) and not isinstance(x, (int, float)):
        return None
    if isinstance(x, int):
        return torch.int32 if -(2**31) <= x < 2**31 else torch.int64
    return to_torch(floatx())


def convert_batch(batch: Any, device: torch.device) -> Any:
    """Turn what the user's code yielded into tensors on `device`; a list becomes a tuple.

    Strings among the inputs become NumPy arrays.
    """
    if type(batch) is list:
        batch = tuple(batch)

    def convert(x: Any) -> torch.Tensor:
        return to_device(to_tensor(x, "the batch"), device)

    def convert_input(x: Any) -> Any:
        if not isinstance(x, torch.Tensor):
            array = np.asarray(x)
            if array.dtype.kind in "OUST" and holds_strings(array):
                return array
        return convert(x)

    if type(batch) is not tuple:
        return map_structure(convert_input, _gather_strings(batch), none_is_leaf=False)
    inputs = map_structure(convert_input, _gather_strings(batch[:1]), none_is_leaf=False)
    return inputs + map_structure(convert, batch[1:], none_is_leaf=False)


def _gather_strings(inputs: Any) -> Any:
    """Make an array of each list of strings, which `DataLoader`s leave as it is."""
    if isinstance(inputs, dict):
        return {key: _gather_strings(value) for key, value in inputs.items()}
    if type(inputs) not in (list, tuple):
        return inputs
    if inputs and isinstance(inputs[0], (str, bytes)):
        return np.array(inputs, dtype=object)
    return type(inputs)(_gather_strings(item) for item in inputs)


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """Take a batch apart, for use in an overridden `train_step`, `test_step` or `predict_step`.

    Args:
        data: `x`, `(x,)`, `(x, y)` or `(x, y, sample_weight)`.

    Returns:
        `(x, y, sample_weight)` with `None` for what is missing.

    Raises:
        ValueError: A tuple of another length.

    Example:
        >>> unpack_x_y_sample_weight(("x", "y"))
        ('x', 'y', None)
    """
    if not isinstance(data, (tuple, list)):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ValueError(
            explain(
                f"A batch has {len(data)} parts.",
                expected="`x`, `(x,)`, `(x, y)` or `(x, y, sample_weight)`",
                fix="group several inputs into one list, tuple or dict.",
            )
        )
    x, y, sample_weight = (*data, None, None)[:3]
    return x, y, sample_weight


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """Put a batch together in the form that `fit` uses.

    Args:
        x: Inputs.
        y: Targets.
        sample_weight: Weights of the samples; dropped when there are no targets.

    Returns:
        `(x, y, sample_weight)`, `(x, y)`, or `x` (`(x,)` if `x` is a list or tuple).

    Example:
        >>> pack_x_y_sample_weight("x", "y")
        ('x', 'y')
    """
    if y is None:
        return (x,) if isinstance(x, (tuple, list)) else x
    return (x, y) if sample_weight is None else (x, y, sample_weight)


def class_weight_to_sample_weights(y: Any, class_weight: Mapping[int, float]) -> torch.Tensor:
    """Give each sample the weight of its class.

    Args:
        y: Class numbers `(samples,)` or `(samples, 1)`, or one-hot or probability rows
            `(samples, classes)`.
        class_weight: From class number to weight. Classes it leaves out weigh 1.

    Returns:
        Weights `(samples,)` of dtype `floatx()` on the device of `y`.

    Raises:
        TypeError: `y` has more than two axes.
        ValueError: A key is not a whole number, or no class of one-hot rows that wide; or there
            are several targets.

    Example:
        >>> class_weight_to_sample_weights(torch.tensor([0, 1, 2]), {0: 5.0, 1: 0.5})
        tensor([5.0000, 0.5000, 1.0000])
    """
    if is_nested(y) and any(getattr(leaf, "shape", ()) for leaf in flatten(y)):
        raise ValueError(
            explain(
                "`class_weight` is only supported for Models with a single output.",
                targets=len(flatten(y)),
                fix="pass `sample_weight` with one array per output.",
            )
        )
    y = to_tensor(y, "y")
    classes, weights = _class_table(class_weight)
    labels = y
    if y.ndim > 1:
        width = y.shape[-1]
        if width != 1:
            _check_classes(classes, width)
        labels = y.squeeze(-1) if width == 1 else _argmax(y)
    if labels.ndim != 1:
        raise TypeError(
            explain(
                "`class_weight` needs one class per sample.",
                y_shape=tuple(y.shape),
                fix="pass `sample_weight` instead.",
            )
        )
    if labels.is_floating_point():
        labels = labels.round()
    ones = torch.ones(labels.shape, dtype=to_torch(floatx()), device=y.device)
    if not classes:
        return ones
    labels = labels.long().contiguous()
    known = torch.tensor(classes, device=y.device)
    at = torch.searchsorted(known, labels).clamp_(max=len(classes) - 1)
    return torch.where(known[at] == labels, torch.tensor(weights).to(ones)[at], ones)


def refuse_both_weights(**facts: Any) -> NoReturn:
    """Raise the `ValueError` for data that has sample weights beside class weights.

    Args:
        facts: For the message, as of `explain`.
    """
    raise ValueError(
        explain(
            "You cannot `class_weight` and `sample_weight` at the same time: each says how much the"
            " samples count.",
            **{"fix": "multiply the class weights into the sample weights and pass only those."}
            | facts,
        )
    )


def _argmax(y: torch.Tensor) -> torch.Tensor:
    return (y.byte() if y.dtype == torch.bool else y).argmax(-1)  # torch has none for booleans


def _class_table(class_weight: Mapping[int, float]) -> tuple[list[int], list[float]]:
    """Class numbers in ascending order, and their weights."""
    if not isinstance(class_weight, Mapping):
        raise ValueError(
            explain(
                "`class_weight` must be a dict from class number to weight.",
                received=repr(class_weight),
                fix="pass `dict(enumerate(weights))`.",
            )
        )
    table = {}
    for key, weight in class_weight.items():
        try:
            whole = int(key) == key
        except (TypeError, ValueError):
            whole = False
        if not whole:
            raise ValueError(
                explain(
                    f"`class_weight` has the key {key!r}, which is no class number.",
                    keys=list(class_weight),
                    fix="use the integers that stand for the classes in `y`.",
                )
            )
        table[int(key)] = float(weight)
    classes = sorted(table)
    return classes, [table[c] for c in classes]


def _check_classes(classes: list[int], width: int) -> None:
    unknown = [c for c in classes if not 0 <= c < width]
    if unknown:
        raise ValueError(
            explain(
                f"`class_weight` names classes that the targets do not have: {unknown}.",
                classes_in_y=f"0 to {width - 1} (its rows have {width} columns)",
                fix="number the classes as the columns of `y`.",
            )
        )
