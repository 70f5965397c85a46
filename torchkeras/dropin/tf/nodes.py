"""The kinds of datasets: sources and steps, each a node that knows the ones before it.

A node says how many elements it has, of which shapes and dtypes, and starts passes over them; see
`pipelines.py` for elements and rows.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from ...dtypes import to_numpy
from ...naming import explain
from ...tree import flatten, map_structure
from ...utils.steps import (
    ENDLESS,
    UNKNOWN,
    count_batches,
    count_cut,
    count_repeated,
    count_shard,
    groups,
    repeated,
)
from . import pipelines as steps
from .modules import TensorSpec
from .pipelines import Rows, element_of
from .randomness import draw_seed
from .tensors import StringTensor, as_tensor, is_text_dtype

__all__ = [
    "Batched",
    "Cached",
    "Cut",
    "Generated",
    "Lines",
    "Listed",
    "Loaded",
    "Node",
    "PaddedBatches",
    "Prefetched",
    "Repeated",
    "Selection",
    "Shard",
    "Shuffled",
    "Slices",
    "Stream",
    "Windows",
    "Zipped",
    "as_numpy",
]


class Node:
    """A source or step.

    Args:
        parent: The step before, if there is one.
    """

    def __init__(self, parent: Node | None = None) -> None:
        self.parent = parent
        self._spec: Any = None

    def elements(self) -> Iterator[Any]:
        """Start a pass; elements are on the CPU."""
        raise NotImplementedError

    def has_rows(self) -> bool:
        """Whether `rows` gives any now."""
        return False

    def rows(self) -> Rows | None:
        """Start a pass over elements that are rows of arrays, if they are such."""
        return None

    def count(self) -> int:
        """Number of elements, `ENDLESS` or `UNKNOWN`."""
        return UNKNOWN if self.parent is None else self.parent.count()

    def make_spec(self) -> Any:
        """What `spec` is; by default read off the first element."""
        spec = map_structure(_spec_of, next(self.elements(), None))
        return spec if self.parent is None else _with_open_sizes(spec, self.parent.spec)

    @property
    def spec(self) -> Any:
        """Shapes and dtypes of an element, in its structure; `None` for sizes that vary."""
        if self._spec is None:
            self._spec = self.make_spec()
        return self._spec


def as_numpy(x: Any) -> Any:
    """A leaf of an element as an array, a number or `bytes`."""
    if isinstance(x, torch.Tensor):
        return to_numpy(x)[()]
    return x.numpy() if isinstance(x, StringTensor) else x


def _spec_of(x: Any) -> Any:
    return TensorSpec.from_tensor(x) if isinstance(x, (torch.Tensor, StringTensor)) else x


def _with_open_sizes(spec: Any, parent: Any) -> Any:
    """Leave the first size open where the former step's is: it is that of a batch."""
    is_open = any(
        isinstance(leaf, TensorSpec) and leaf.shape and leaf.shape[0] is None
        for leaf in flatten(parent)
    )

    def opened(leaf: Any) -> Any:
        if not isinstance(leaf, TensorSpec) or not leaf.shape:
            return leaf
        return TensorSpec([None, *leaf.shape[1:]], leaf.dtype)

    return map_structure(opened, spec) if is_open else spec


# Sources ------------------------------------------------------------------------------------------


class Slices(Node):
    """The rows of arrays."""

    def __init__(self, arrays: Any) -> None:
        super().__init__()
        sizes = {len(leaf) if leaf.ndim else None for leaf in flatten(arrays)}
        if len(sizes) != 1 or None in sizes:
            raise ValueError(
                explain(
                    "tf.data: the arrays must have a first axis, of one length in all of them.",
                    shapes=[tuple(leaf.shape) for leaf in flatten(arrays)],
                    fix="use `from_tensors` for a single element.",
                )
            )
        self._arrays = arrays
        (self._size,) = sizes

    def elements(self) -> Iterator[Any]:
        return steps.single_rows(self.rows())

    def has_rows(self) -> bool:
        return True

    def rows(self) -> Rows:
        return Rows(self._arrays, steps.blocks_of(self._size))

    def count(self) -> int:
        return self._size

    def make_spec(self) -> Any:
        def spec(x: Any) -> TensorSpec:
            return TensorSpec(x.shape[1:], "string" if isinstance(x, StringTensor) else x.dtype)

        return map_structure(spec, self._arrays)


class Listed(Node):
    """Elements of a list."""

    def __init__(self, elements: list[Any]) -> None:
        super().__init__()
        self._items = elements

    def elements(self) -> Iterator[Any]:
        return iter(self._items)

    def count(self) -> int:
        return len(self._items)


class Stream(Node):
    """Elements that a function makes for each pass.

    Args:
        parent: The former step, whose open batch size elements keep, or `None`.
        elements: Starts a pass.
        count: Number of elements.
    """

    def __init__(
        self,
        parent: Node | None,
        elements: Callable[[], Iterator[Any]],
        count: Callable[[], int],
    ) -> None:
        super().__init__(parent)
        self._start = elements
        self._counted = count

    def elements(self) -> Iterator[Any]:
        return self._start()

    def count(self) -> int:
        return self._counted()


class Selection(Stream):
    """A stream of elements that are like the former step's."""

    def make_spec(self) -> Any:
        return self.parent.spec


class Generated(Node):
    """What a generator yields."""

    def __init__(
        self, generator: Any, types: Any, shapes: Any, args: Sequence[Any], signature: Any
    ) -> None:
        super().__init__()
        self._generator, self._args = generator, args
        if signature is None and types is not None:
            if shapes is None:
                shapes = map_structure(lambda _: None, types)
            signature = _signature(types, shapes)
        self._signature = signature

    def elements(self) -> Iterator[Any]:
        arguments = [as_numpy(as_tensor(argument)) for argument in self._args]
        return self._converted(iter(self._generator(*arguments)))

    def _converted(self, items: Iterator[Any]) -> Iterator[Any]:
        if self._signature is None:
            yield from map(element_of, items)
        else:
            yield from (_as_specified(item, self._signature) for item in items)

    def make_spec(self) -> Any:
        return super().make_spec() if self._signature is None else self._signature


class Loaded(Stream):
    """What a loader of `keras.utils` makes; in batches, the first size is open."""

    def __init__(self, loader: Any) -> None:
        super().__init__(None, lambda: map(element_of, loader), loader._count)
        self._is_batched = loader.batch_size is not None

    def make_spec(self) -> Any:
        spec = super().make_spec()
        return _with_open_sizes(spec, TensorSpec([None])) if self._is_batched else spec


def _signature(types: Any, shapes: Any) -> Any:
    if isinstance(types, (tuple, list)):
        return tuple(map(_signature, types, shapes))
    if isinstance(types, dict):
        return {key: _signature(dtype, shapes[key]) for key, dtype in types.items()}
    return TensorSpec(() if shapes is None else shapes, types)


def _as_specified(value: Any, spec: Any) -> Any:
    """Convert what was yielded to the dtypes of a signature."""
    if isinstance(spec, TensorSpec):
        if is_text_dtype(spec.dtype):
            return StringTensor(value)
        with torch.device("cpu"):
            return as_tensor(value, spec.dtype)
    if isinstance(spec, dict):
        return {key: _as_specified(value[key], part) for key, part in spec.items()}
    if isinstance(spec, (tuple, list)):
        if len(value) != len(spec):
            raise TypeError(
                f"`generator` yielded {len(value)} parts where {len(spec)} were expected: {spec}"
            )
        return tuple(map(_as_specified, value, spec))
    return element_of(value)


class Lines(Node):
    """The lines of text files, without their ends.

    Args:
        names: Of the files.
        open_file: Opens one of them.
    """

    def __init__(self, names: Node, open_file: Callable[..., Any]) -> None:
        super().__init__()
        self._names, self._open = names, open_file

    def elements(self) -> Iterator[Any]:
        for name in self._names.elements():
            with self._open(os.fsdecode(name.item()), "rb") as file:
                for line in file:
                    yield StringTensor(line.rstrip(b"\r\n"))

    def make_spec(self) -> Any:
        return TensorSpec((), "string")


class Zipped(Node):
    """Elements of several datasets side by side."""

    def __init__(self, structure: Any) -> None:
        super().__init__()
        self._structure = structure
        self._parts = flatten(structure)

    def elements(self) -> Iterator[Any]:
        rows = self.rows()
        if rows is not None:
            return steps.single_rows(rows)
        return self._side_by_side([part.elements() for part in self._parts])

    def _side_by_side(self, passes: list[Iterator[Any]]) -> Iterator[Any]:
        for elements in zip(*passes, strict=False):
            yield self._arranged(elements)

    def _arranged(self, values: Any) -> Any:
        following = iter(values)
        return map_structure(lambda _: next(following), self._structure)

    def has_rows(self) -> bool:
        return all(isinstance(part, Slices) for part in self._parts)

    def rows(self) -> Rows | None:
        if not self.has_rows():
            return None
        arrays = self._arranged(part._arrays for part in self._parts)
        return Rows(arrays, steps.blocks_of(self.count()))

    def count(self) -> int:
        counts = [part.count() for part in self._parts]
        known = [count for count in counts if count >= 0]
        if UNKNOWN in counts:
            return UNKNOWN
        return min(known) if known else ENDLESS

    def make_spec(self) -> Any:
        return self._arranged(part.spec for part in self._parts)


# Steps --------------------------------------------------------------------------------------------


class Step(Node):
    """A step whose elements are those of the former one, in another order or fewer of them."""

    parent: Node

    def elements(self) -> Iterator[Any]:
        rows = self.rows()
        return self._streamed() if rows is None else steps.single_rows(rows)

    def _streamed(self) -> Iterator[Any]:
        raise NotImplementedError

    def has_rows(self) -> bool:
        return self.parent.has_rows()

    def rows(self) -> Rows | None:
        rows = self.parent.rows()
        return None if rows is None else Rows(rows.arrays, self._reordered(rows.blocks))

    def _reordered(self, blocks: Iterator[Any]) -> Iterator[Any]:
        raise NotImplementedError

    def make_spec(self) -> Any:
        return self.parent.spec


class Shuffled(Step):
    def __init__(self, parent: Node, size: int, seed: int | None, reshuffle: bool) -> None:
        super().__init__(parent)
        if size < 1:
            raise ValueError(f"shuffle: buffer_size must be positive. Received: {size}")
        self._size = size
        self._seeds = None if seed is None else np.random.default_rng(int(seed))
        self._fixed = None if reshuffle else self._next_seed()

    def _next_seed(self) -> int:
        return draw_seed() if self._seeds is None else int(self._seeds.integers(2**62))

    def _seed(self) -> int:
        return self._next_seed() if self._fixed is None else self._fixed

    def _streamed(self) -> Iterator[Any]:
        return steps.shuffled(self.parent.elements(), self._size, self._seed())

    def _reordered(self, blocks: Iterator[Any]) -> Iterator[Any]:
        return steps.shuffled_rows(blocks, self._size, self._seed())


class Cut(Step):
    def __init__(self, parent: Node, skip: int, take: int | None) -> None:
        super().__init__(parent)
        self._skip, self._take = skip, take

    def _streamed(self) -> Iterator[Any]:
        stop = None if self._take is None else self._skip + self._take
        return itertools.islice(self.parent.elements(), self._skip, stop)

    def _reordered(self, blocks: Iterator[Any]) -> Iterator[Any]:
        return steps.cut(blocks, self._skip, self._take) if self._take != 0 else iter(())

    def count(self) -> int:
        return count_cut(self.parent.count(), self._skip, self._take)


class Shard(Step):
    def __init__(self, parent: Node, step: int, first: int) -> None:
        super().__init__(parent)
        self._step, self._first = step, first

    def _streamed(self) -> Iterator[Any]:
        return itertools.islice(self.parent.elements(), self._first, None, self._step)

    def _reordered(self, blocks: Iterator[Any]) -> Iterator[Any]:
        return steps.every(blocks, self._step, self._first)

    def count(self) -> int:
        return count_shard(self.parent.count(), self._step, self._first)


class Repeated(Step):
    def __init__(self, parent: Node, count: int) -> None:
        super().__init__(parent)
        self._times = count

    def _streamed(self) -> Iterator[Any]:
        return repeated(self.parent.elements, self._times)

    def rows(self) -> Rows | None:
        rows = self.parent.rows()
        return None if rows is None else Rows(rows.arrays, self._again(rows))

    def _again(self, rows: Rows) -> Iterator[Any]:
        if self.parent.count() == 0:  # of which there may be empty blocks without end
            return iter(())
        passes = itertools.chain([rows], iter(self.parent.rows, None))  # the first is started
        return repeated(lambda: next(passes).blocks, self._times)

    def count(self) -> int:
        return count_repeated(self.parent.count(), self._times)


class Batched(Node):
    def __init__(self, parent: Node, size: int, drop_remainder: bool) -> None:
        super().__init__(parent)
        if size < 1:
            raise ValueError(f"batch_size must be positive. Received: {size}")
        self.size = size
        self.drop_remainder = drop_remainder

    def elements(self) -> Iterator[Any]:
        rows = self.parent.rows()
        if rows is not None:
            return steps.batched_rows(rows, self.size, self.drop_remainder)
        return map(self._joined, self._groups())

    def _groups(self) -> Iterator[list[Any]]:
        return groups(self.parent.elements(), self.size, self.drop_remainder)

    def _joined(self, elements: list[Any]) -> Any:
        return steps.stacked(elements)

    def count(self) -> int:
        return count_batches(self.parent.count(), self.size, self.drop_remainder)

    def make_spec(self) -> Any:
        size = self.size if self.drop_remainder else None
        return map_structure(lambda s: TensorSpec([size, *s.shape], s.dtype), self.parent.spec)


class PaddedBatches(Batched):
    def __init__(
        self, parent: Node, size: int, shapes: Any, values: Any, drop_remainder: bool
    ) -> None:
        super().__init__(parent, size, drop_remainder)
        self._shapes, self._values = shapes, values

    def elements(self) -> Iterator[Any]:
        return map(self._joined, self._groups())

    def _joined(self, elements: list[Any]) -> Any:
        return steps.padded(elements, self._shapes, self._values)

    def make_spec(self) -> Any:
        def opened(spec: TensorSpec) -> TensorSpec:
            return TensorSpec([None] * (1 + len(spec.shape)), spec.dtype)

        return map_structure(opened, self.parent.spec)


class Windows(Node):
    def __init__(
        self,
        parent: Node,
        size: int,
        shift: int,
        stride: int,
        drop_remainder: bool,
        face: Callable[[Node], Any],
    ) -> None:
        super().__init__(parent)
        self._size, self._shift, self._stride, self._face = size, shift, stride, face
        self.drop_remainder = drop_remainder

    def elements(self) -> Iterator[Any]:
        return self._windows(self.parent.elements())

    def _windows(self, elements: Iterator[Any]) -> Iterator[Any]:
        span = (self._size - 1) * self._stride + 1
        held: list[Any] = []
        while True:
            held += itertools.islice(elements, span - len(held))
            window = held[:: self._stride]
            if not window or (len(window) < self._size and self.drop_remainder):
                return
            yield map_structure(lambda *leaves: self._face(Listed(list(leaves))), *window)
            for _ in itertools.islice(elements, max(0, self._shift - len(held))):
                pass
            held = held[self._shift :]

    def count(self) -> int:
        count = self.parent.count()
        if count < 0:
            return count
        if self.drop_remainder:
            span = (self._size - 1) * self._stride + 1
            return max(0, (count - span) // self._shift + 1)
        return math.ceil(count / self._shift)

    def make_spec(self) -> Any:
        return next(self.elements(), None)


class Cached(Step):
    """Keeps the elements of the first whole pass; equal shapes are kept as arrays."""

    def __init__(self, parent: Node, filename: str | None) -> None:
        super().__init__(parent)
        self._file = None if filename is None else filename + ".cache.pt"
        self._kept: list[Any] | None = None
        self._arrays: Any = None

    def _streamed(self) -> Iterator[Any]:
        return self._filling(self.parent.elements()) if self._kept is None else iter(self._kept)

    def _filling(self, elements: Iterator[Any]) -> Iterator[Any]:
        kept = []
        for element in elements:
            kept.append(element)
            yield element
        if self._file is not None:
            torch.save([_to_file(element) for element in kept], self._file)
        self._keep(kept)

    def _keep(self, kept: list[Any]) -> None:
        self._kept = kept
        shapes = {tuple(tuple(leaf.shape) for leaf in flatten(element)) for element in kept}
        if len(shapes) == 1 and not any(hasattr(x, "_elements") for x in flatten(kept[0])):
            self._arrays = steps.stacked(kept)
            self._kept = []

    def has_rows(self) -> bool:
        if self._kept is None and self._file is not None and os.path.exists(self._file):
            self._keep([_from_file(x) for x in torch.load(self._file, weights_only=True)])
        # Arrays as they were given are in memory anyhow.
        plain = self._file is None and isinstance(self.parent, (Slices, Zipped))
        return self._arrays is not None or (plain and self.parent.has_rows())

    def rows(self) -> Rows | None:
        if not self.has_rows():
            return None
        if self._arrays is None:
            return self.parent.rows()
        return Rows(self._arrays, steps.blocks_of(len(flatten(self._arrays)[0])))


def _to_file(x: Any) -> Any:
    """An element as `torch.load` takes it without running code: strings become their bytes."""
    if isinstance(x, StringTensor):
        values = x.reshape(-1).tolist()
        text = torch.frombuffer(bytearray(b"".join(values) + b"\0"), dtype=torch.uint8)
        return {_TEXT: text, "sizes": [*map(len, values)], "shape": x.shape}
    if isinstance(x, dict):
        return {key: _to_file(value) for key, value in x.items()}
    return tuple(map(_to_file, x)) if isinstance(x, tuple) else x.clone()


def _from_file(x: Any) -> Any:
    if isinstance(x, dict) and _TEXT in x:
        ends = list(itertools.accumulate(x["sizes"]))
        text = x[_TEXT].numpy(force=True).tobytes()
        values = [text[end - size : end] for size, end in zip(x["sizes"], ends, strict=True)]
        array = np.empty(len(values), dtype=object)
        array[:] = values
        return StringTensor(array.reshape(x["shape"]))
    if isinstance(x, dict):
        return {key: _from_file(value) for key, value in x.items()}
    return tuple(map(_from_file, x)) if isinstance(x, tuple) else x


_TEXT = "__text__"


class Prefetched(Step):
    def __init__(self, parent: Node, size: int) -> None:
        super().__init__(parent)
        self._ahead = 2 if size < 1 else size

    def elements(self) -> Iterator[Any]:
        if _is_cheap(self.parent):  # a thread would cost more than it saves
            return self.parent.elements()
        return steps.prefetched(self.parent.elements, self._ahead)

    def rows(self) -> Rows | None:
        return self.parent.rows()


def _is_cheap(node: Node) -> bool:
    """Whether no code of the user's runs for the elements."""
    while isinstance(node, (Batched, Prefetched)) and not isinstance(node, PaddedBatches):
        node = node.parent
    return node.has_rows()
