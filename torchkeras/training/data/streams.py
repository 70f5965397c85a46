"""Data that arrives batch by batch: generators, torch `DataLoader`s, other iterables."""

from __future__ import annotations

import inspect
import itertools
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch.utils.data import DataLoader

from ...naming import explain
from ...tree import flatten, is_nested
from .adapter import (
    DataAdapter,
    class_weight_to_sample_weights,
    convert_batch,
    refuse_both_weights,
)

__all__ = [
    "GeneratorDataAdapter",
    "GrainDatasetAdapter",
    "IterableAdapter",
    "TFDatasetAdapter",
    "TorchDataLoaderAdapter",
    "is_batch_iterable",
    "standardize_batch",
]


def standardize_batch(
    batch: Any, source: str, class_weight: Mapping[int, float] | None = None
) -> Any:
    """Check what the user's code made as a batch, and add class weights to it.

    Args:
        batch: A dict, one array, or a tuple or list of one to three parts.
        source: What made it, for errors.
        class_weight: From class number to weight.

    Returns:
        The dict, or a tuple of one to three parts.

    Raises:
        ValueError: Something else, or a batch that has sample weights beside `class_weight`.
    """
    if isinstance(batch, dict):
        return batch
    if _is_array(batch):
        batch = (batch,)
    elif isinstance(batch, list):
        batch = tuple(batch)
    if not isinstance(batch, tuple) or not 1 <= len(batch) <= 3:
        size = f" of {len(batch)} parts" if isinstance(batch, tuple) else ""
        raise ValueError(
            explain(
                f"{source} must return a tuple or a dict.",
                received=f"{type(batch).__name__}{size}: {str(batch)[:100]}",
                expected="(inputs,), (inputs, targets) or (inputs, targets, sample_weights)",
                fix="group several inputs into one list, tuple or dict.",
            )
        )
    if class_weight is None or len(batch) == 1:
        return batch
    if len(batch) == 3:
        refuse_both_weights(
            batch_parts=3,
            fix=f"leave out `class_weight`, or the third part of what {source} returns.",
        )
    return (*batch, class_weight_to_sample_weights(batch[1], class_weight))


def _is_array(batch: Any) -> bool:
    return isinstance(batch, torch.Tensor) or hasattr(batch, "__array__")


class GeneratorDataAdapter(DataAdapter):
    """Adapter for a Python generator of batches.

    Generators cannot start again: each pass goes on where the former one stopped.

    Args:
        generator: Yields tuples `(inputs,)`, `(inputs, targets)` or
            `(inputs, targets, sample_weights)`.

    Raises:
        ValueError: It yields nothing, or something that is no tuple.
    """

    num_batches = None

    def __init__(self, generator: Iterator[Any]) -> None:
        self._generator = generator
        self._has_started = isinstance(generator, types.GeneratorType) and (
            inspect.getgeneratorstate(generator) != inspect.GEN_CREATED
        )
        self._ahead = list(itertools.islice(generator, 1))
        if not self._ahead:
            raise ValueError(
                explain(
                    "The generator is empty: the generator must yield at least one batch.",
                    received=repr(generator),
                    fix="make a new generator for each call; one that has ended yields no more.",
                )
            )
        first = self._ahead[0]
        if not isinstance(first, tuple):
            raise ValueError(
                explain(
                    "The generator must yield a tuple, even of one part.",
                    received=f"{type(first).__name__}: {str(first)[:100]}",
                    expected="(inputs,), (inputs, targets) or (inputs, targets, sample_weights)",
                    fix="yield `(x,)` instead of `x`.",
                )
            )

    def peek(self, device: torch.device | str = "cpu") -> Any:
        """Return the next batch; the next pass begins with it all the same."""
        if not self._ahead:
            self._ahead = list(itertools.islice(self._generator, 1))
        return convert_batch(self._ahead[0], torch.device(device))

    def _pass_from(self, start: int, device: torch.device) -> Iterator[Any]:
        # One that others have drawn from already is not at its beginning: nothing is passed over.
        return super()._pass_from(0 if self._has_started else start, device)

    def _pass(self, device: torch.device) -> Iterator[Any]:
        while self._ahead:
            yield convert_batch(self._ahead.pop(0), device)
        for batch in self._generator:
            yield convert_batch(batch, device)


class TorchDataLoaderAdapter(DataAdapter):
    """Adapter for a `torch.utils.data.DataLoader`.

    Args:
        dataloader: Its batches go to the training step as they are, on the device; a list of parts,
            which the default collation makes, becomes a tuple.

    Raises:
        ValueError: Not a `DataLoader`.
    """

    def __init__(self, dataloader: DataLoader[Any]) -> None:
        if not isinstance(dataloader, DataLoader):
            raise ValueError(
                explain(
                    "Expected a `torch.utils.data.DataLoader`.",
                    received=f"{dataloader!r} (of type {type(dataloader)})",
                )
            )
        self._loader = dataloader

    @property
    def loader(self) -> DataLoader[Any]:
        """The loader."""
        return self._loader

    @property
    def num_batches(self) -> int | None:
        return _length(self._loader)

    @property
    def batch_size(self) -> int | None:
        return self._loader.batch_size

    @property
    def has_partial_batch(self) -> bool | None:
        if self.num_batches is None or not self.batch_size:
            return None
        return self.partial_batch_size is not None

    @property
    def partial_batch_size(self) -> int | None:
        samples = _length(self._loader.dataset)
        if samples is None or not self.batch_size or self._loader.drop_last:
            return None
        return samples % self.batch_size or None

    @property
    def generators(self) -> tuple[torch.Generator, ...]:
        loader = self._loader
        nested = getattr(loader.batch_sampler, "sampler", None)
        found = (getattr(part, "generator", None) for part in (loader, loader.sampler, nested))
        return tuple({id(g): g for g in found if isinstance(g, torch.Generator)}.values())

    def batches(self, device: torch.device | str = "cpu", start: int = 0) -> Iterator[Any]:
        """Iterate over one pass; the loader draws its own seed now, at the start of it."""
        return self._read(iter(self._loader), torch.device(device), start)

    def _read(self, loaded: Iterator[Any], device: torch.device, start: int) -> Iterator[Any]:
        for _ in itertools.islice(loaded, start):
            pass
        if start:
            yield None
        count = self.num_batches
        # As many as there are, since a sampler that is asked for more draws a further permutation.
        left = None if count is None else max(count - start, 0)
        for batch in itertools.islice(loaded, left):
            yield convert_batch(batch, device)
        if count is not None:  # Keras makes another iterator here; see `DataAdapter`
            generator = self._loader.generator
            place = "cpu" if generator is None else generator.device
            torch.empty((), dtype=torch.int64, device=place).random_(generator=generator)


class IterableAdapter(DataAdapter):
    """Adapter for an object that yields batches anew each time it is iterated over.

    Such are `tf.data` datasets and those of Hugging Face or grain, if they are batched.

    Args:
        iterable: Yields batches: a dict, one array, or one to three parts.
        class_weight: From class number to weight.
    """

    def __init__(
        self, iterable: Iterable[Any], class_weight: Mapping[int, float] | None = None
    ) -> None:
        self._iterable = iterable
        self._class_weight = class_weight

    @property
    def num_batches(self) -> int | None:
        return _length(self._iterable)

    def _pass(self, device: torch.device) -> Iterator[Any]:
        source = f"Iterating over {type(self._iterable).__name__}"
        for batch in self._iterable:
            if not _is_array(batch):  # a step is handed one alone as it is, as with arrays
                batch = standardize_batch(batch, source, self._class_weight)
            yield convert_batch(batch, device)


class TFDatasetAdapter(IterableAdapter):
    """Adapter for a `tf.data.Dataset`, where TensorFlow is installed.

    Args:
        dataset: Yields batches.
        class_weight: From class number to weight.
        distribution: Something whose `distribute_dataset` gives this process's share.

    Raises:
        ValueError: Not a dataset, or one that `class_weight` does not go with.
    """

    def __init__(
        self,
        dataset: Any,
        class_weight: Mapping[int, float] | None = None,
        distribution: Any = None,
    ) -> None:
        if not hasattr(dataset, "element_spec"):
            raise ValueError(
                explain(
                    "Expected argument `dataset` to be a tf.data.Dataset.",
                    received=f"{dataset!r} (of type {type(dataset)})",
                )
            )
        if class_weight is not None:
            _check_weighable(dataset.element_spec)
        if distribution is not None:
            dataset = distribution.distribute_dataset(dataset)
        super().__init__(dataset, class_weight)

    @property
    def num_batches(self) -> int | None:
        """The dataset's cardinality; negative ones stand for endless and unknown."""
        count = getattr(self._iterable, "cardinality", -1)
        count = int(count() if callable(count) else count)
        return count if count >= 0 else None

    def get_tf_dataset(self) -> Any:
        """Return the dataset itself."""
        return self._iterable


def _check_weighable(spec: Any) -> None:
    """Refuse elements that class weights do not go with."""
    if isinstance(spec, tuple) and len(spec) > 1 and is_nested(spec[1]):
        raise ValueError("`class_weight` is only supported for Models with a single output.")
    if isinstance(spec, tuple) and len(spec) > 2:
        refuse_both_weights(
            element_spec=spec,
            fix="leave out `class_weight`, or the third part of what the dataset yields.",
        )


class GrainDatasetAdapter(IterableAdapter):
    """Adapter for a `grain` dataset or loader, where grain is installed.

    Args:
        dataset: A `MapDataset`, `IterDataset` or `DataLoader` that yields batches.

    Raises:
        ValueError: Something else.
    """

    def __init__(self, dataset: Any) -> None:
        kinds = ("MapDataset", "IterDataset", "DataLoader")
        ancestors = type(dataset).__mro__
        if not any(c.__module__.startswith("grain") and c.__name__ in kinds for c in ancestors):
            raise ValueError(
                explain(
                    "Expected `dataset` to be a grain.MapDataset, grain.IterDataset or"
                    " grain.DataLoader. ",
                    received=f"{dataset!r} (of type {type(dataset)})",
                )
            )
        super().__init__(dataset)

    num_batches = None  # grain repeats and filters lazily: a length would promise too much

    @property
    def batch_size(self) -> int | None:
        """Samples in the first batch."""
        leaves = flatten(self.peek())
        return int(leaves[0].shape[0]) if leaves and leaves[0].ndim else None


def _length(x: Any) -> int | None:
    """`len(x)`, or `None` where `x` does not know it."""
    try:
        return len(x)
    except (TypeError, NotImplementedError):
        return None


def is_batch_iterable(x: Any) -> bool:
    """Whether `x` is an object of some library that can be iterated over again and again."""
    plain = (str, bytes, list, tuple, dict, set, frozenset, range, types.GeneratorType, Iterator)
    return not isinstance(x, (type, *plain)) and isinstance(x, Iterable)
