"""The steps of a `tf.data` pipeline: each is a generator over elements, or over rows of arrays.

An element is a tensor, or tuples and dicts of tensors. Steps compute on the CPU and under
`no_grad`; nothing runs before somebody iterates.

Rows: a pipeline that starts with arrays and only reorders them (`shuffle`, `repeat`, `take`,
`skip`, `shard`, a filled `cache`) is described by its arrays and a stream of blocks of row numbers,
so that `batch` makes each batch by one `index_select`: no Python runs per sample.

Letters: n rows of the arrays, B rows of a batch.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch

from ...config import default_device
from ...tree import flatten, map_structure
from ...utils.steps import fetched_ahead, groups, mapped_ahead
from .modules import ShapeTensor
from .randomness import draw_seed, drawing_for, use_seeds
from .tensors import StringTensor, as_tensor

__all__ = [
    "Caller",
    "Rows",
    "batched_rows",
    "blocks_of",
    "cut",
    "element_of",
    "every",
    "interleaved",
    "mapped",
    "padded",
    "prefetched",
    "rows_of",
    "shuffled",
    "shuffled_rows",
    "single_rows",
    "stacked",
    "to_default_device",
    "unstacked",
]

_CPU = torch.device("cpu")
_BLOCK = 65536  # row numbers that a step handles at once

Block = torch.Tensor | range


class Rows(NamedTuple):
    """Arrays with a common first axis, and which of their rows come, in blocks.

    Attributes:
        arrays: In the structure of an element.
        blocks: Row numbers: ranges, or tensors of int64.
    """

    arrays: Any
    blocks: Iterator[Block]


# Elements -----------------------------------------------------------------------------------------


def element_of(value: Any) -> Any:
    """What user code gave, as an element: numbers, arrays and lists become tensors on the CPU."""
    if isinstance(value, torch.Tensor):
        return value if value.device == _CPU else value.cpu()
    if isinstance(value, tuple) and not isinstance(value, ShapeTensor):
        parts = map(element_of, value)
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, dict):
        return {key: element_of(part) for key, part in value.items()}
    if isinstance(value, ShapeTensor):
        value = list(value)
    if value is None or hasattr(value, "_elements"):  # an element may be a dataset
        return value
    with torch.device(_CPU):
        return as_tensor(value)


def rows_of(value: Any) -> Any:
    """As `element_of`, for arrays whose rows are elements; lists of arrays are arrays too."""
    if isinstance(value, tuple):
        parts = map(rows_of, value)
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, dict):
        return {key: rows_of(part) for key, part in value.items()}
    if hasattr(value, "to_numpy"):  # pandas
        value = value.to_numpy()
    return element_of(value)


def stacked(elements: list[Any]) -> Any:
    """Stack elements along a new first axis."""

    def stack(*leaves: Any) -> Any:
        if isinstance(leaves[0], StringTensor):
            return StringTensor(np.stack([np.asarray(leaf) for leaf in leaves]))
        return torch.stack(leaves)

    return map_structure(stack, *elements)


def to_default_device(element: Any) -> Any:
    """Move an element to where models are."""
    device = default_device()
    if device == _CPU:
        return element
    return map_structure(
        lambda x: x.to(device, non_blocking=True) if isinstance(x, torch.Tensor) else x, element
    )


class Caller:
    """Calls a user's function on elements: tuples are unpacked, and nothing is recorded.

    Args:
        function: Takes the parts of an element.
        seed: Each call draws random numbers by this seed and its own number.
    """

    def __init__(self, function: Callable[..., Any], seed: int | None = None) -> None:
        self._function = function
        self._seed = seed
        self._elsewhere = default_device() != _CPU

    def __call__(self, element: Any, number: int = 0, *before: Any) -> Any:
        """Return what the function gives for an element, not converted.

        A list, such as that of `tf.io.decode_csv`, holds the parts of an element as a tuple does.

        Args:
            element: Its parts are the arguments, after `before`.
            number: Of the call.
        """
        plain = isinstance(element, tuple) and not before and not hasattr(element, "_fields")
        arguments = element if plain else (*before, element)
        with torch.no_grad(), drawing_for(self._seed, number):
            if self._elsewhere:
                with torch.device(_CPU):
                    made = self._function(*arguments)
            else:
                made = self._function(*arguments)
        return tuple(made) if type(made) is list else made


def mapped(elements: Iterator[Any], call: Caller, workers: int) -> Iterator[Any]:
    """Apply a function to each element, in order; on several threads if there are `workers`."""
    applied = mapped_ahead(
        lambda numbered: call(numbered[1], numbered[0]), enumerate(elements), workers
    )
    return map(element_of, applied)


# Row numbers --------------------------------------------------------------------------------------


def blocks_of(count: int) -> Iterator[Block]:
    """All row numbers in order."""
    for start in range(0, count, _BLOCK):
        yield range(start, min(start + _BLOCK, count))


def cut(blocks: Iterator[Block], skip: int, take: int | None) -> Iterator[Block]:
    """Leave out the first `skip` rows, and all after `take` more."""
    for block in blocks:
        if skip >= len(block):
            skip -= len(block)
            continue
        block, skip = block[skip:], 0
        if take is not None:
            block = block[:take]
            take -= len(block)
        if len(block):
            yield block
        if take == 0:
            return


def every(blocks: Iterator[Block], step: int, first: int) -> Iterator[Block]:
    """Each `step`-th row, from the one of number `first` on."""
    for block in blocks:
        yield block[first::step]
        first = (first - len(block)) % step


def shuffled_rows(blocks: Iterator[Block], buffer_size: int, seed: int) -> Iterator[Block]:
    """Draw rows at random from a buffer that holds the next `buffer_size` of them."""
    numbers = itertools.chain.from_iterable(
        block if isinstance(block, range) else block.tolist() for block in blocks
    )
    first = list(itertools.islice(numbers, buffer_size))
    rest = next(numbers, None)
    generator = np.random.default_rng(seed)
    if rest is None:  # the buffer holds them all
        order = np.array(first, dtype=np.int64)[generator.permutation(len(first))]
        yield from torch.from_numpy(order).split(_BLOCK)
        return
    drawn = shuffled(itertools.chain(first, [rest], numbers), buffer_size, seed)
    for part in groups(drawn, 4096):
        yield torch.tensor(part, dtype=torch.int64)


def shuffled(elements: Iterable[Any], buffer_size: int, seed: int) -> Iterator[Any]:
    """Draw elements at random from a buffer that holds the next `buffer_size` of them."""
    generator = np.random.default_rng(seed)
    elements = iter(elements)
    buffer = list(itertools.islice(elements, buffer_size))
    full = len(buffer)
    while True:
        places = generator.integers(0, max(full, 1), 1024).tolist()
        drawn = 0
        for place, element in zip(places, elements, strict=False):
            yield buffer[place]
            buffer[place] = element
            drawn += 1
        if drawn < len(places):
            break
    yield from (buffer[i] for i in generator.permutation(len(buffer)).tolist())


# Batches ------------------------------------------------------------------------------------------


def batched_rows(rows: Rows, size: int, drop_remainder: bool) -> Iterator[Any]:
    """The rows in batches: one `index_select` per batch and array, or a view of adjacent rows."""
    pending: list[Block] = []
    count = 0
    for block in rows.blocks:
        while count + len(block) >= size:
            pending.append(block[: size - count])
            block = block[size - count :]
            yield _gathered(rows.arrays, pending)
            pending, count = [], 0
        if len(block):
            pending.append(block)
            count += len(block)
    if pending and not drop_remainder:
        yield _gathered(rows.arrays, pending)


def _gathered(arrays: Any, blocks: list[Block]) -> Any:
    if len(blocks) == 1 and isinstance(blocks[0], range) and blocks[0].step == 1:
        start, stop = blocks[0].start, blocks[0].stop
        return map_structure(lambda x: x[start:stop], arrays)
    parts = [torch.arange(b.start, b.stop, b.step) if isinstance(b, range) else b for b in blocks]
    indices = parts[0] if len(parts) == 1 else torch.cat(parts)

    def take(x: Any) -> Any:
        return x[indices] if isinstance(x, StringTensor) else x.index_select(0, indices)

    return map_structure(take, arrays)


def single_rows(rows: Rows) -> Iterator[Any]:
    """The rows one by one: some are gathered at once, and taken apart."""
    for block in rows.blocks:
        for start in range(0, len(block), 256):
            yield from unstacked(_gathered(rows.arrays, [block[start : start + 256]]))


def unstacked(batch: Any) -> Iterator[Any]:
    """The rows of an element."""
    if isinstance(batch, torch.Tensor):
        return iter(batch.unbind(0))
    if isinstance(batch, dict):
        columns = zip(*map(unstacked, batch.values()), strict=True)
        return (dict(zip(batch, row, strict=True)) for row in columns)
    if isinstance(batch, tuple):
        columns = zip(*map(unstacked, batch), strict=True)
        return map(batch._make, columns) if hasattr(batch, "_make") else columns
    return iter(batch)


def padded(elements: list[Any], shapes: Any, values: Any) -> Any:
    """Stack elements of different sizes, filled up at the end of each axis.

    Args:
        elements: Of one structure.
        shapes: The sizes to fill up to, `None` or -1 for those of the largest element, in the
            structure of an element; `None` for all axes.
        values: To fill with, likewise; `None` for zeros and empty strings.
    """
    flat = [flatten(element) for element in elements]
    count = len(flat[0])
    all_shapes = _per_leaf(shapes, count) if shapes is not None else [None] * count
    all_values = flatten(values) if isinstance(values, (tuple, list, dict)) else [values] * count
    columns = [
        _pad_column([leaves[i] for leaves in flat], all_shapes[i], all_values[i])
        for i in range(count)
    ]
    leaves = iter(columns)
    return map_structure(lambda _: next(leaves), elements[0])


def _per_leaf(shapes: Any, count: int) -> list[Any]:
    """The shapes of an element's leaves; a shape is a list or tuple of sizes."""
    if isinstance(shapes, dict):
        return [s for key in sorted(shapes) for s in _per_leaf(shapes[key], 1)]
    if hasattr(shapes, "as_list") or all(s is None or isinstance(s, int) for s in shapes):
        return [shapes] * count
    return [s for part in shapes for s in _per_leaf(part, 1)]


def _pad_column(leaves: list[Any], shape: Any, value: Any) -> Any:
    largest = [max(sizes) for sizes in zip(*(leaf.shape for leaf in leaves), strict=True)]
    wanted = [s for s in shape] if shape is not None else [None] * len(largest)
    sizes = [m if w in (None, -1) else int(w) for w, m in zip(wanted, largest, strict=True)]
    if any(m > s for m, s in zip(largest, sizes, strict=True)):
        raise ValueError(f"padded_batch: an element of shape {largest} is larger than {sizes}.")
    if isinstance(leaves[0], StringTensor):
        made: Any = np.full((len(leaves), *sizes), b"" if value is None else value, dtype=object)
    else:
        fill = 0 if value is None else value
        made = torch.full((len(leaves), *sizes), fill, dtype=leaves[0].dtype)
    for i, leaf in enumerate(leaves):
        made[(i, *(slice(size) for size in leaf.shape))] = leaf
    return StringTensor(made) if isinstance(made, np.ndarray) else made


# Order of elements --------------------------------------------------------------------------------


def interleaved(
    inputs: Iterator[Any], open_one: Callable[[Any], Iterator[Any]], cycle: int, block: int
) -> Iterator[Any]:
    """Take `block` elements in turn from each of `cycle` open datasets, and open the next ones."""
    slots: list[Iterator[Any] | None] = [None] * cycle
    exhausted = False
    while True:
        progressed = False
        for place in range(cycle):
            if slots[place] is None and not exhausted:
                following = next(inputs, _END)
                exhausted = following is _END
                if not exhausted:
                    slots[place] = open_one(following)
            if slots[place] is None:
                continue
            progressed = True
            part = list(itertools.islice(slots[place], block))
            yield from part
            if len(part) < block:
                slots[place] = None
        if not progressed and exhausted:
            return


_END = object()


def prefetched(make: Callable[[], Iterator[Any]], size: int) -> Iterator[Any]:
    """Let a thread of its own make elements ahead, up to `size` of them.

    Args:
        make: Starts the iteration, on this thread, so that seeds are drawn in order.
        size: How many to keep ready.
    """
    elements = make()
    # Later passes start on its thread.
    pool = ThreadPoolExecutor(1, "tf.data prefetch", use_seeds, (draw_seed(),))
    yield from fetched_ahead(elements, size, pool)
