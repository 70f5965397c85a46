"""Small functions of Keras's data adapters, summaries and folders that libraries import."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

from ..callbacks.console import print_msg
from ..dtypes import standardize_dtype
from ..graph.keras_tensor import KerasTensor
from ..naming import explain
from ..training.data.adapter import is_scipy_sparse
from ..tree import flatten, map_structure
from ..utils.folders import _check_split as check_validation_split_arg
from .helpers import dtype_size

__all__ = [
    "check_data_cardinality",
    "check_validation_split_arg",
    "count_params",
    "get_keras_tensor_spec",
    "get_numpy_iterator",
    "get_torch_dataloader",
    "get_training_or_validation_split",
    "index_directory",
    "index_subdirectory",
    "is_grain_dataset",
    "is_jax_array",
    "is_tensorflow_ragged",
    "is_tensorflow_sparse",
    "is_tensorflow_tensor",
    "is_tf_dataset",
    "is_torch_dataloader",
    "is_torch_dataset",
    "is_torch_tensor",
    "iter_valid_files",
    "list_to_tuple",
    "peek_and_restore",
    "raise_unsupported_arg",
    "readable_memory_size",
    "weight_memory_size",
]

NUM_BATCHES_FOR_TENSOR_SPEC = 2


# Kinds --------------------------------------------------------------------------------------------


def _has_base(x: Any, package: str, names: Collection[str]) -> bool:
    """Whether a class of an object is one of a package, which need not be installed."""
    return any(
        base.__name__ in names and base.__module__.partition(".")[0] == package
        for base in type(x).__mro__
    )


def is_tf_dataset(x: Any) -> bool:
    """Tell whether `x` is a `tf.data.Dataset` of TensorFlow itself."""
    kinds = ("DatasetV2", "DistributedDataset", "DistributedDatasetsFromFunction")
    return _has_base(x, "tensorflow", kinds)


def is_grain_dataset(x: Any) -> bool:
    """Tell whether `x` is a dataset or loader of `grain`."""
    return _has_base(x, "grain", ("MapDataset", "IterDataset", "DataLoader"))


def is_torch_dataloader(x: Any) -> bool:
    """Tell whether `x` is a `torch.utils.data.DataLoader`.

    >>> is_torch_dataloader(DataLoader([1])), is_torch_dataloader([1])
    (True, False)
    """
    return isinstance(x, DataLoader)


def is_torch_dataset(x: Any) -> bool:
    """Tell whether `x` is a `torch.utils.data.Dataset`."""
    return isinstance(x, torch.utils.data.Dataset)


def is_torch_tensor(value: Any) -> bool:
    """Tell whether a value is a tensor of PyTorch."""
    return isinstance(value, torch.Tensor)


def is_tensorflow_tensor(value: Any) -> bool:
    """Tell whether a value is a tensor of TensorFlow itself, ragged and sparse ones included."""
    return _has_base(value, "tensorflow", ("Tensor", "RaggedTensor", "SparseTensor"))


def is_tensorflow_ragged(value: Any) -> bool:
    """Tell whether a value is a ragged tensor of TensorFlow itself."""
    return _has_base(value, "tensorflow", ("RaggedTensor",))


def is_tensorflow_sparse(value: Any) -> bool:
    """Tell whether a value is a sparse tensor of TensorFlow itself."""
    return _has_base(value, "tensorflow", ("SparseTensor",))


def is_jax_array(value: Any) -> bool:
    """Tell whether a value is an array of JAX."""
    return any(_has_base(value, package, ("Array", "ArrayImpl")) for package in ("jax", "jaxlib"))


def is_jax_sparse(value: Any) -> bool:
    """Tell whether a value is a sparse array of JAX."""
    return _has_base(value, "jax", ("JAXSparse",))


# Batches ------------------------------------------------------------------------------------------


def raise_unsupported_arg(arg_name: str, arg_description: str, input_type: str) -> NoReturn:
    """Refuse an argument that belongs into the batches.

    Raises:
        ValueError: Always.
    """
    raise ValueError(
        explain(
            f"When providing `x` as a {input_type}, `{arg_name}` should not be passed.",
            fix=f"let the {input_type} yield {arg_description}.",
        )
    )


def list_to_tuple(maybe_list: Any) -> Any:
    """Return a list as a tuple, and anything else as it is."""
    return tuple(maybe_list) if isinstance(maybe_list, list) else maybe_list


def check_data_cardinality(data: Iterable[Any]) -> None:
    """Refuse inputs, targets and weights of unequal lengths.

    Raises:
        ValueError: They differ.
    """
    lengths = {
        name: [int(x.shape[0]) for x in flatten(part) if x is not None]
        for name, part in zip(("x", "y", "sample_weight"), data, strict=False)
    }
    if len({n for found in lengths.values() for n in found}) > 1:
        raise ValueError(
            explain(
                "Data cardinality is ambiguous: the arrays hold different numbers of samples.",
                **{f"{name} sizes": found for name, found in lengths.items() if found},
                fix="make sure that all arrays have the same first axis.",
            )
        )


def get_keras_tensor_spec(batches: Sequence[Any]) -> Any:
    """Return what batches of one structure have in common, a `KerasTensor` for each tensor.

    Args:
        batches: The batches; sizes in which they differ become `None`.

    Raises:
        ValueError: Tensors have no axis, or not the same number of axes in all batches.
    """

    def merge(*tensors: Any) -> KerasTensor:
        first = tensors[0] if hasattr(tensors[0], "shape") else np.array(tensors[0])
        shapes = [tuple(x.shape) for x in (first, *tensors[1:])]
        if len(first.shape) < 1 or len({len(shape) for shape in shapes}) > 1:
            raise ValueError(
                explain(
                    "When passing a dataset to a Keras model, the arrays must have at least one"
                    " axis, and as many in each batch.",
                    shapes=shapes,
                )
            )
        sizes = [found.pop() if len(found := {*axis}) == 1 else None for axis in zip(*shapes)]  # noqa: B905
        sparse = is_scipy_sparse(first) or is_tensorflow_sparse(first) or is_jax_sparse(first)
        return KerasTensor(sizes, dtype=standardize_dtype(first.dtype), sparse=sparse)

    return map_structure(merge, *batches, none_is_leaf=False)


def get_numpy_iterator(iterable: Iterable[Any]) -> Iterator[Any]:
    """Yield batches with arrays in place of tensors."""

    def convert(x: Any) -> Any:
        if isinstance(x, torch.Tensor):
            x = x.detach().cpu()
        return np.asarray(x) if hasattr(x, "__array__") else x

    for batch in iterable:
        yield map_structure(convert, batch, none_is_leaf=False)


class _Batches(IterableDataset[Any]):
    def __init__(self, iterable: Iterable[Any]) -> None:
        self.iterable = iterable

    def __iter__(self) -> Iterator[Any]:
        for batch in self.iterable:
            yield map_structure(torch.as_tensor, batch, none_is_leaf=False)


def get_torch_dataloader(iterable: Iterable[Any]) -> DataLoader[Any]:
    """Make a `DataLoader` of what yields batches; it gives them as tensors."""
    return DataLoader(_Batches(iterable), batch_size=None)


def peek_and_restore(generator: Iterator[Any]) -> tuple[Any, Iterator[Any]]:
    """Look at the first item of a generator; the second value yields it again.

    >>> first, again = peek_and_restore(iter("abc"))
    >>> first, [*again]
    ('a', ['a', 'b', 'c'])
    """
    first = next(generator)
    return first, _from(first, generator)


def _from(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


# Summaries ----------------------------------------------------------------------------------------


def count_params(weights: Iterable[Any]) -> int:
    """Count the numbers in weights."""
    return sum(math.prod(weight.shape) for weight in weights)


def weight_memory_size(weights: Iterable[Any]) -> float:
    """How many bytes weights take; each counts once."""
    bits = [
        math.prod(weight.shape) * dtype_size(standardize_dtype(weight.dtype))
        for weight in {id(weight): weight for weight in weights}.values()
    ]
    return sum(bits) / 8


def readable_memory_size(weight_memory_size: float) -> str:
    """Write a number of bytes with the unit that suits it.

    >>> readable_memory_size(3 * 1024**2)
    '3.00 MB'
    """
    units = ("B", "KB", "MB", "GB", "TB", "PB")
    step = next((i for i in range(6) if weight_memory_size < 1024 ** (i + 1)), 6)
    return f"{weight_memory_size / 1024**step:.2f} {units[min(step, 5)]}"


def highlight_number(x: Any) -> str:
    """Mark a size for `rich`; `None` has a colour of its own."""
    return f"[color({45 if x is None else 34})]{x}[/]"


def highlight_symbol(x: Any) -> str:
    """Mark the name of a class for `rich`."""
    return f"[color(33)]{x}[/]"


def bold_text(x: Any, color: int | None = None) -> str:
    """Mark a text as bold for `rich`."""
    return f"[bold][color({color})]{x}[/][/]" if color else f"[bold]{x}[/]"


# Folders ------------------------------------------------------------------------------------------


def iter_valid_files(
    directory: str, follow_links: bool, formats: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    """Yield the folder and the name of each file below a folder, sorted, by how names end."""
    for root, _, names in sorted(os.walk(directory, followlinks=follow_links)):
        for name in sorted(names):
            if name.lower().endswith(formats):
                yield root, name


def index_subdirectory(
    directory: str, class_indices: Mapping[str, int], follow_links: bool, formats: tuple[str, ...]
) -> tuple[list[str], list[int]]:
    """List the files of a class.

    Args:
        directory: The folder, named after the class.
        class_indices: The number of each class.
        follow_links: Whether to go into linked folders.
        formats: What names end in.

    Returns: The files, from the folder of all classes on, and the number of the class for each.
    """
    above, name = os.path.split(directory)
    files = [
        os.path.relpath(os.path.join(root, file), above)
        for root, file in iter_valid_files(directory, follow_links, formats)
    ]
    return files, [class_indices[name]] * len(files)


def index_directory(
    directory: str,
    labels: Any,
    formats: tuple[str, ...],
    class_names: Sequence[str] | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    follow_links: bool = False,
    verbose: bool = True,
) -> tuple[list[str], Any, Sequence[str] | None]:
    """List the files of a folder with their labels.

    Args:
        directory: The folder.
        labels: `"inferred"` for those of its folders, a list with one for each file, or `None`.
        formats: What names end in.
        class_names: The folders to look into, in this order; for inferred labels.
        shuffle: Whether to shuffle, by the same draws as Keras.
        seed: For it.
        follow_links: Whether to go into linked folders.
        verbose: Whether to say what was found.

    Returns: Paths, labels, and names of the classes.

    Raises:
        ValueError: A class has no folder, names are given without inferred labels, or there are
            other numbers of labels and files.
    """
    folders = [""]
    if labels == "inferred":
        entries = (e for e in os.scandir(directory) if e.is_dir() and not e.name.startswith("."))
        found = sorted(entry.name for entry in entries)
        folders = found if class_names is None else list(class_names)
        if not {*folders} <= {*found}:
            raise ValueError(
                "The `class_names` passed did not match the names of the subdirectories of the"
                f" target directory. Expected: {found} (or a subset of it), but received:"
                f" class_names={class_names}"
            )
    elif class_names is not None:
        raise ValueError(
            f"`class_names` cannot be specified: labels={labels!r} are not inferred. Received:"
            f" class_names={class_names}"
        )
    files, numbers = [], []
    for number, folder in enumerate(folders):
        top = os.path.join(directory, folder)
        paths = [
            os.path.join(root, name) for root, name in iter_valid_files(top, follow_links, formats)
        ]
        files += paths
        numbers += [number] * len(paths)
    names: Sequence[str] | None = folders
    if labels == "inferred":
        labels = np.array(numbers, dtype="int32")
    elif labels is None:
        names = None
    else:
        if len(labels) != len(files):
            raise ValueError(
                "Expected the lengths of `labels` to match the number of files in the target"
                f" directory. len(labels) is {len(labels)} while we found {len(files)} files in"
                f" directory {directory}."
            )
        names = [str(label) for label in sorted(set(labels))]
    if verbose:
        classes = "" if names is None else f" belonging to {len(names)} classes"
        print_msg(f"Found {len(files)} files{classes}.")
    if shuffle:
        seed = np.random.randint(1e6) if seed is None else seed
        np.random.RandomState(seed).shuffle(files)
        if labels is not None:
            np.random.RandomState(seed).shuffle(labels)
    return files, labels, names


def get_training_or_validation_split(
    samples: Any, labels: Any, validation_split: float | None, subset: str | None
) -> tuple[Any, Any]:
    """Return the samples of a subset and their labels; those for validation are the last.

    Raises:
        ValueError: The subset is neither `"training"` nor `"validation"`.
    """
    if not validation_split:
        return samples, labels
    if subset not in ("training", "validation"):
        raise ValueError(f'`subset` must be either "training" or "validation", received: {subset}')
    first = len(samples) - int(validation_split * len(samples))
    chosen = slice(first) if subset == "training" else slice(first, None)
    print_msg(f"Using {len(samples[chosen])} files for {subset}.")
    return samples[chosen], None if labels is None else labels[chosen]
