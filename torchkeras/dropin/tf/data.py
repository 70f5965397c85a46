"""`tf.data`: lazy pipelines of tensors, which `fit`, `evaluate` and `predict` take.

A `Dataset` is the face of a node of `nodes.py`, one class per kind of source and step; what steps
compute is in `pipelines.py`. A dataset can be iterated over again and again; each time everything
runs anew, but for what is cached.
"""

from __future__ import annotations

import glob
import gzip
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from ...dtypes import to_torch
from ...naming import explain
from ...tree import flatten, map_structure
from ...utils.steps import AUTOTUNE, count_together
from ...utils.steps import ENDLESS as INFINITE_CARDINALITY
from ...utils.steps import UNKNOWN as UNKNOWN_CARDINALITY
from . import nodes
from . import pipelines as steps
from .pipelines import Caller, element_of
from .randomness import draw_seed
from .tensors import StringTensor, as_tensor

__all__ = [
    "AUTOTUNE",
    "Dataset",
    "INFINITE_CARDINALITY",
    "Options",
    "TextLineDataset",
    "UNKNOWN_CARDINALITY",
    "assume_size",
    "from_loader",
    "names_of_files",
]

_INFINITE, _UNKNOWN = INFINITE_CARDINALITY, UNKNOWN_CARDINALITY


class Options:
    """Settings of a pipeline; accepted and without effect, as all of them concern TensorFlow."""

    def __init__(self) -> None:
        self.experimental_distribute = _Settings()
        self.experimental_optimization = _Settings()
        self.threading = _Settings()
        self.autotune = _Settings()


class _Settings:
    """Takes any attribute."""


class _Elements(Iterator[Any]):
    """One pass over a dataset, with the method that TensorFlow's iterators have."""

    def __init__(self, elements: Iterator[Any]) -> None:
        self._pass = elements

    def __next__(self) -> Any:
        return steps.to_default_device(next(self._pass))

    def get_next(self) -> Any:
        """The next element."""
        return next(self)


class Dataset:
    """A sequence of elements: tensors, or tuples and dicts of tensors.

    Elements come as tensors on the default device; strings as `StringTensor`s.

    Example:
        >>> squares = Dataset.range(10).map(lambda x: x * x).batch(4)
        >>> [batch.tolist() for batch in squares]
        [[0, 1, 4, 9], [16, 25, 36, 49], [64, 81]]
    """

    _decides_order = True  # `fit` need not warn that it does not shuffle

    def __init__(self, node: nodes.Node) -> None:
        self._node = node

    def _elements(self) -> Iterator[Any]:
        """Start a pass; elements are on the CPU."""
        return self._node.elements()

    # Reading -------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Any]:
        return _Elements(self._elements())

    def __len__(self) -> int:
        count = self._node.count()
        if count < 0:
            kind = "infinite" if count == _INFINITE else "unknown"
            raise TypeError(f"The dataset is {kind}: it has no length.")
        return count

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<{type(self).__name__} element_spec={self.element_spec}>"

    @property
    def element_spec(self) -> Any:
        """Shapes and dtypes of an element, in its structure; `None` for sizes that vary."""
        return self._node.spec

    def cardinality(self, name: str | None = None) -> torch.Tensor:
        """Number of elements; -1 for endless ones, -2 if it is not known."""
        return torch.tensor(self._node.count(), dtype=torch.int64)

    def as_numpy_iterator(self) -> Iterator[Any]:
        """Iterate over the elements as NumPy arrays, numbers and `bytes`."""
        return (map_structure(nodes.as_numpy, element) for element in self._elements())

    def get_single_element(self, name: str | None = None) -> Any:
        """The only element.

        Raises:
            ValueError: There is none, or more than one.
        """
        found = list(itertools.islice(self._elements(), 2))
        if len(found) != 1:
            raise ValueError(f"Dataset had {'no' if not found else 'more than one'} element.")
        return steps.to_default_device(found[0])

    def options(self) -> Options:
        """Settings, which have no effect."""
        return Options()

    def with_options(self, options: Any, name: str | None = None) -> Dataset:
        """Return the dataset itself: settings have no effect."""
        return self

    # Sources -------------------------------------------------------------------------------------

    @staticmethod
    def from_tensor_slices(tensors: Any, name: str | None = None) -> Dataset:
        """The rows of arrays of one length, in any structure of tuples and dicts."""
        return Dataset(nodes.Slices(steps.rows_of(tensors)))

    @staticmethod
    def from_tensors(tensors: Any, name: str | None = None) -> Dataset:
        """One element."""
        return Dataset(nodes.Listed([element_of(tensors)]))

    @staticmethod
    def from_generator(
        generator: Callable[..., Any],
        output_types: Any = None,
        output_shapes: Any = None,
        args: Sequence[Any] = (),
        output_signature: Any = None,
        name: str | None = None,
    ) -> Dataset:
        """What a generator yields, started anew for each pass.

        Args:
            generator: A function that returns an iterable.
            output_types: Dtypes in the structure of an element.
            output_shapes: Likewise shapes; only for `element_spec`.
            args: Arguments of the function; it receives arrays.
            output_signature: `TensorSpec`s in place of the two.
        """
        return Dataset(
            nodes.Generated(generator, output_types, output_shapes, args or (), output_signature)
        )

    @staticmethod
    def range(*args: Any, output_type: Any = torch.int64, name: str | None = None) -> Dataset:
        """The numbers of Python's `range`."""
        numbers = torch.arange(*map(int, args), dtype=to_torch(output_type))
        return Dataset(nodes.Slices(numbers))

    @staticmethod
    def zip(*args: Any, datasets: Any = None, name: str | None = None) -> Dataset:
        """Elements of several datasets side by side, in the structure they are given in."""
        structure = datasets if datasets is not None else args[0] if len(args) == 1 else args
        if not all(isinstance(part, Dataset) for part in flatten(structure)):
            raise TypeError(
                f"The argument to Dataset.zip() must be datasets. Received: {structure!r}"
            )
        return Dataset(nodes.Zipped(map_structure(lambda dataset: dataset._node, structure)))

    @staticmethod
    def list_files(
        file_pattern: Any, shuffle: bool | None = None, seed: int | None = None, name: str = ""
    ) -> Dataset:
        """Names of files that match patterns, in an order drawn by chance unless told otherwise."""
        patterns = StringTensor(file_pattern).reshape(-1).tolist()
        found = sorted({os.fsencode(f) for p in patterns for f in glob.glob(os.fsdecode(p))})
        if not found:
            raise ValueError(
                explain(f"No files matched pattern: {file_pattern!r}.", folder=os.getcwd())
            )
        files = Dataset.from_tensor_slices(StringTensor(found))
        return files if shuffle is False else files.shuffle(len(found), seed)

    @staticmethod
    def random(
        seed: int | None = None, rerandomize_each_iteration: Any = None, name: str | None = None
    ) -> Dataset:
        """An endless stream of random int64 numbers below 2**32."""

        def numbers() -> Iterator[int]:
            generator = np.random.default_rng(draw_seed() if seed is None else seed)
            while True:
                yield generator.integers(2**32)

        return Dataset(nodes.Stream(None, lambda: map(as_tensor, numbers()), lambda: _INFINITE))

    @staticmethod
    def counter(
        start: int = 0, step: int = 1, dtype: Any = torch.int64, name: str | None = None
    ) -> Dataset:
        """An endless count."""
        dtype = to_torch(dtype)
        return Dataset(
            nodes.Stream(
                None,
                lambda: (torch.tensor(i, dtype=dtype) for i in itertools.count(start, step)),
                lambda: _INFINITE,
            )
        )

    @staticmethod
    def sample_from_datasets(
        datasets: Sequence[Dataset],
        weights: Any = None,
        seed: int | None = None,
        stop_on_empty_dataset: bool = False,
        rerandomize_each_iteration: Any = None,
    ) -> Dataset:
        """Draw each element from one of several datasets, chosen by chance with given weights."""

        def elements() -> Iterator[Any]:
            generator = np.random.default_rng(draw_seed() if seed is None else seed)
            odds = np.ones(len(datasets)) if weights is None else np.array(weights, dtype=float)
            return _sampled([d._elements() for d in datasets], odds, generator)

        def _sampled(passes: Any, odds: np.ndarray, generator: Any) -> Iterator[Any]:
            while odds.sum() > 0:
                place = generator.choice(len(passes), p=odds / odds.sum())
                element = next(passes[place], None)
                if element is not None:
                    yield element
                elif stop_on_empty_dataset:
                    return
                else:
                    odds[place] = 0

        return Dataset(nodes.Stream(None, elements, lambda: _UNKNOWN))

    @staticmethod
    def choose_from_datasets(
        datasets: Sequence[Dataset], choice_dataset: Dataset, stop_on_empty_dataset: bool = True
    ) -> Dataset:
        """Draw each element from the dataset whose number another dataset gives."""

        def elements() -> Iterator[Any]:
            passes = [d._elements() for d in datasets]
            for place in choice_dataset._elements():
                element = next(passes[int(place)], None)
                if element is not None:
                    yield element
                elif stop_on_empty_dataset:
                    return

        return Dataset(nodes.Stream(None, elements, lambda: _UNKNOWN))

    @staticmethod
    def load(*args: Any, **kwargs: Any) -> Any:
        """Refuse: the format is TensorFlow's own."""
        raise NotImplementedError(_NO_FILES)

    save = load

    # Steps that run the user's functions ---------------------------------------------------------

    def map(
        self,
        map_func: Callable[..., Any],
        num_parallel_calls: int | None = None,
        deterministic: bool | None = None,
        synchronous: bool | None = None,
        use_unbounded_threadpool: bool = False,
        name: str | None = None,
    ) -> Dataset:
        """Apply a function to each element; a tuple's parts are its arguments.

        Args:
            map_func: Takes and returns tensors, in structures. After `batch` it runs once per
                batch, which is much faster.
            num_parallel_calls: Threads; `AUTOTUNE` for one per core. The order stays.
            deterministic, synchronous, use_unbounded_threadpool: Ignored.
        """
        workers = num_parallel_calls or 1
        if workers == AUTOTUNE:
            workers = min(os.cpu_count() or 1, 8)

        def elements() -> Iterator[Any]:
            call = Caller(map_func, draw_seed())
            return steps.mapped(self._elements(), call, int(workers))

        return Dataset(nodes.Stream(self._node, elements, self._node.count))

    def filter(self, predicate: Callable[..., Any], name: str | None = None) -> Dataset:
        """Keep elements for which a function gives true."""

        def elements() -> Iterator[Any]:
            call = Caller(predicate, draw_seed())
            return (e for i, e in enumerate(self._elements()) if bool(call(e, i)))

        return Dataset(nodes.Selection(self._node, elements, lambda: _UNKNOWN))

    def take_while(self, predicate: Callable[..., Any], name: str | None = None) -> Dataset:
        """End before the first element for which a function gives false."""

        def elements() -> Iterator[Any]:
            call = Caller(predicate, draw_seed())
            return itertools.takewhile(lambda e: bool(call(e)), self._elements())

        return Dataset(nodes.Selection(self._node, elements, lambda: _UNKNOWN))

    def flat_map(self, map_func: Callable[..., Dataset], name: str | None = None) -> Dataset:
        """The elements of the datasets that a function gives, one dataset after the other."""
        return self.interleave(map_func, cycle_length=1)

    def interleave(
        self,
        map_func: Callable[..., Dataset],
        cycle_length: int | None = None,
        block_length: int | None = None,
        num_parallel_calls: int | None = None,
        deterministic: bool | None = None,
        name: str | None = None,
    ) -> Dataset:
        """Take `block_length` elements in turn from `cycle_length` of the datasets at a time.

        Args:
            map_func: Gives a dataset for an element.
            cycle_length: Default: the number of cores.
            block_length: Default: 1.
            num_parallel_calls, deterministic: Ignored; the order is that of a single thread.
        """
        cycle = cycle_length or 1
        if cycle == AUTOTUNE:
            cycle = os.cpu_count() or 1

        def elements() -> Iterator[Any]:
            call = Caller(map_func, draw_seed())
            return steps.interleaved(
                self._elements(), lambda e: call(e)._elements(), cycle, block_length or 1
            )

        return Dataset(nodes.Stream(None, elements, lambda: _UNKNOWN))

    def scan(
        self, initial_state: Any, scan_func: Callable[..., Any], name: str | None = None
    ) -> Dataset:
        """Map with a state: `(state, element) -> (state, result)`; the results are the elements."""

        def elements() -> Iterator[Any]:
            state, call = element_of(initial_state), Caller(scan_func, draw_seed())
            for number, element in enumerate(self._elements()):
                state, result = call(element, number, state)
                yield element_of(result)

        return Dataset(nodes.Stream(self._node, elements, self._node.count))

    def reduce(
        self, initial_state: Any, reduce_func: Callable[..., Any], name: str | None = None
    ) -> Any:
        """Fold the elements: `(state, element) -> state`; returns the last state."""
        state, call = element_of(initial_state), Caller(reduce_func, draw_seed())
        for number, element in enumerate(self._elements()):
            state = element_of(call(element, number, state))
        return steps.to_default_device(state)

    def apply(self, transformation_func: Callable[[Dataset], Dataset]) -> Dataset:
        """Return what a function makes of the dataset."""
        return transformation_func(self)

    def group_by_window(
        self,
        key_func: Callable[..., Any],
        reduce_func: Callable[[Any, Dataset], Dataset],
        window_size: int | None = None,
        window_size_func: Callable[[Any], Any] | None = None,
        name: str | None = None,
    ) -> Dataset:
        """Collect elements by a key; a full group becomes what a function makes of its dataset."""

        def elements() -> Iterator[Any]:
            def reduced(key: int, group: list[Any]) -> Iterator[Any]:
                dataset = Dataset(nodes.Listed(group))
                return reduce_func(as_tensor(np.int64(key)), dataset)._elements()

            groups: dict[int, list[Any]] = {}
            key_of = Caller(key_func)
            for element in self._elements():
                key = int(key_of(element))
                group = groups.setdefault(key, [])
                group.append(element)
                limit = window_size if window_size_func is None else window_size_func(key)
                if len(group) >= int(limit):
                    yield from reduced(key, group)
                    groups.pop(key)
            for key, group in groups.items():
                yield from reduced(key, group)

        return Dataset(nodes.Stream(None, elements, lambda: _UNKNOWN))

    def bucket_by_sequence_length(
        self,
        element_length_func: Callable[..., Any],
        bucket_boundaries: Sequence[int],
        bucket_batch_sizes: Sequence[int],
        padded_shapes: Any = None,
        padding_values: Any = None,
        pad_to_bucket_boundary: bool = False,
        no_padding: bool = False,
        drop_remainder: bool = False,
        name: str | None = None,
    ) -> Dataset:
        """Batch elements of similar length together, padded.

        Args:
            element_length_func: Gives the length of an element.
            bucket_boundaries: Upper limits of the lengths in all buckets but the last.
            bucket_batch_sizes: Per bucket.
            padded_shapes, padding_values, drop_remainder: As for `padded_batch`.
            pad_to_bucket_boundary: Refused.
            no_padding: Stack instead; lengths within a bucket must then be equal.
        """
        if pad_to_bucket_boundary:
            raise NotImplementedError(
                "bucket_by_sequence_length: give `padded_shapes` instead of"
                " `pad_to_bucket_boundary`."
            )

        def batch(bucket: Any, group: Dataset) -> Dataset:
            size = bucket_batch_sizes[int(bucket)]
            if no_padding:
                return group.batch(size, drop_remainder)
            return group.padded_batch(size, padded_shapes, padding_values, drop_remainder)

        return self.group_by_window(
            lambda *e: int(
                np.searchsorted(bucket_boundaries, int(element_length_func(*e)), "right")
            ),
            batch,
            window_size_func=lambda bucket: bucket_batch_sizes[int(bucket)],
        )

    # Steps that reorder --------------------------------------------------------------------------

    def shuffle(
        self,
        buffer_size: int,
        seed: int | None = None,
        reshuffle_each_iteration: bool | None = None,
        name: str | None = None,
    ) -> Dataset:
        """Draw elements at random from a buffer of the next ones.

        Args:
            buffer_size: Of the buffer; the order is drawn from all only if it holds all.
            seed: By default torch's global generator decides.
            reshuffle_each_iteration: Whether each pass has another order, as is the default.
        """
        return Dataset(
            nodes.Shuffled(
                self._node, int(buffer_size), seed, reshuffle_each_iteration is not False
            )
        )

    def repeat(self, count: int | None = None, name: str | None = None) -> Dataset:
        """Go through the dataset several times; endlessly by default."""
        return Dataset(nodes.Repeated(self._node, _INFINITE if count is None else int(count)))

    def take(self, count: int, name: str | None = None) -> Dataset:
        """The first elements; -1 for all."""
        return Dataset(nodes.Cut(self._node, 0, None if int(count) < 0 else int(count)))

    def skip(self, count: int, name: str | None = None) -> Dataset:
        """All but the first elements; -1 for none."""
        number = int(count)
        left = (number, None) if number >= 0 else (0, 0)
        return Dataset(nodes.Cut(self._node, *left))

    def shard(self, num_shards: int, index: int, name: str | None = None) -> Dataset:
        """Each `num_shards`-th element, from the one of number `index` on."""
        if not 0 <= int(index) < int(num_shards):
            raise ValueError(f"shard: index {index} is outside [0, {num_shards}).")
        return Dataset(nodes.Shard(self._node, int(num_shards), int(index)))

    def concatenate(self, dataset: Dataset, name: str | None = None) -> Dataset:
        """The elements of this dataset, then those of another one."""
        both = self._node, dataset._node
        return Dataset(
            nodes.Selection(
                self._node,
                lambda: itertools.chain.from_iterable(node.elements() for node in both),
                lambda: count_together([node.count() for node in both]),
            )
        )

    def enumerate(self, start: int = 0, name: str | None = None) -> Dataset:
        """Pairs of a number and an element."""
        return Dataset.zip(Dataset.counter(start), self)

    def unique(self, name: str | None = None) -> Dataset:
        """Leave out elements that came before."""

        def elements() -> Iterator[Any]:
            seen = set()
            for element in self._elements():
                key = tuple(str(nodes.as_numpy(leaf)) for leaf in flatten(element))
                if key not in seen:
                    seen.add(key)
                    yield element

        return Dataset(nodes.Selection(self._node, elements, lambda: _UNKNOWN))

    # Steps that group ----------------------------------------------------------------------------

    def batch(
        self,
        batch_size: int,
        drop_remainder: bool = False,
        num_parallel_calls: int | None = None,
        deterministic: bool | None = None,
        name: str | None = None,
    ) -> Dataset:
        """Stack elements along a new first axis.

        Args:
            batch_size: How many.
            drop_remainder: Whether to leave out a smaller last batch.
            num_parallel_calls, deterministic: Ignored.
        """
        return _of_batches(nodes.Batched(self._node, int(batch_size), bool(drop_remainder)))

    def padded_batch(
        self,
        batch_size: int,
        padded_shapes: Any = None,
        padding_values: Any = None,
        drop_remainder: bool = False,
        name: str | None = None,
    ) -> Dataset:
        """Stack elements of different sizes, filled up at the end of each axis.

        Args:
            batch_size: How many.
            padded_shapes: Sizes to fill up to, in the structure of an element; `None` or -1 for
                those of the largest element of the batch.
            padding_values: By default zeros and empty strings.
            drop_remainder: Whether to leave out a smaller last batch.
        """
        return _of_batches(
            nodes.PaddedBatches(
                self._node, int(batch_size), padded_shapes, padding_values, drop_remainder
            )
        )

    def unbatch(self, name: str | None = None) -> Dataset:
        """The rows of each element as elements."""
        former = self._node
        if type(former) is nodes.Batched and not former.drop_remainder:
            return Dataset(former.parent)

        def elements() -> Iterator[Any]:
            return itertools.chain.from_iterable(map(steps.unstacked, self._elements()))

        return Dataset(nodes.Stream(None, elements, lambda: _UNKNOWN))

    def rebatch(
        self, batch_size: int, drop_remainder: bool = False, name: str | None = None
    ) -> Dataset:
        """Make batches of another size."""
        return self.unbatch().batch(batch_size, drop_remainder)

    def window(
        self,
        size: int,
        shift: int | None = None,
        stride: int = 1,
        drop_remainder: bool = False,
        name: str | None = None,
    ) -> Dataset:
        """Windows over the elements, each a dataset (one per part of an element).

        Args:
            size: Elements in a window.
            shift: From the start of one window to that of the next. Default: `size`.
            stride: From one element of a window to the next.
            drop_remainder: Whether to leave out windows that are not full.
        """
        sizes = int(size), int(shift or size), int(stride)
        return Dataset(nodes.Windows(self._node, *sizes, drop_remainder, Dataset))

    # Steps that keep or fetch --------------------------------------------------------------------

    def cache(self, filename: Any = "", name: str | None = None) -> Dataset:
        """Keep the elements of the first whole pass, in memory or in a file."""
        return Dataset(nodes.Cached(self._node, os.fsdecode(filename) if filename else None))

    def snapshot(self, path: Any, *args: Any, **kwargs: Any) -> Dataset:
        """As `cache` with a file."""
        return self.cache(path)

    def prefetch(self, buffer_size: int, name: str | None = None) -> Dataset:
        """Make elements ahead, on a thread of its own, where making them takes time.

        Args:
            buffer_size: How many to keep ready; `AUTOTUNE` for a few.
        """
        return Dataset(nodes.Prefetched(self._node, int(buffer_size)))


def _of_batches(node: Any) -> Dataset:
    """A dataset of batches, which says how large they are; `split_dataset` takes them apart."""
    dataset = Dataset(node)
    dataset._batch_size = node.size
    return dataset


def assume_size(count: int) -> Callable[[Dataset], Dataset]:
    """Return a step that states the number of elements of a dataset."""
    return lambda dataset: Dataset(
        nodes.Selection(dataset._node, dataset._elements, lambda: int(count))
    )


_NO_FILES = explain(
    "tf.data: datasets are not saved in TensorFlow's format.",
    fix="use `cache(filename)`, or save arrays with `numpy.savez`.",
)


class TextLineDataset(Dataset):
    """The lines of text files, without their ends.

    Args:
        filenames: A name, names, or a dataset of names.
        compression_type: `"GZIP"` or nothing.
        buffer_size, num_parallel_reads: Ignored.
    """

    def __init__(
        self,
        filenames: Any,
        compression_type: str | None = None,
        buffer_size: int | None = None,
        num_parallel_reads: int | None = None,
        name: str | None = None,
    ) -> None:
        if compression_type not in (None, "", "GZIP"):
            raise ValueError(f"compression_type is 'GZIP' or ''. Received: {compression_type!r}")
        opener = gzip.open if compression_type else open
        super().__init__(nodes.Lines(names_of_files(filenames), opener))


def names_of_files(filenames: Any) -> nodes.Node:
    """The node of a name, of names, or of a dataset of names."""
    if isinstance(filenames, Dataset):
        return filenames._node
    return nodes.Listed(list(StringTensor(filenames).reshape(-1)))


def from_loader(loader: Any) -> Dataset:
    """Make a dataset of what a loader of `keras.utils` returns, such as that of images.

    Args:
        loader: A `torchkeras.utils.pipelines.BatchDataset`.
    """
    made = Dataset(nodes.Loaded(loader))
    for name in ("class_names", "file_paths"):
        if hasattr(loader, name):
            setattr(made, name, getattr(loader, name))
    return made
