"""What steps of lazy data pipelines have in common: numbers of elements, groups, passes, threads.

The pipelines are `Pipeline` beside this file and the stand-in's `tf.data.Dataset`. How elements
look, and where random numbers come from, is theirs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..training.data.py_dataset import ahead

__all__ = [
    "AUTOTUNE",
    "ENDLESS",
    "UNKNOWN",
    "count_batches",
    "count_cut",
    "count_repeated",
    "count_shard",
    "count_together",
    "fetched_ahead",
    "groups",
    "mapped_ahead",
    "repeated",
]

AUTOTUNE = -1  # in place of a number of threads or elements: choose one
ENDLESS, UNKNOWN = -1, -2  # in place of a number of elements
_END = object()


# Numbers of elements ------------------------------------------------------------------------------


def count_cut(count: int, skip: int, take: int | None) -> int:
    """How many elements are left behind the first `skip`, at most `take`."""
    if count < 0:
        return take if count == ENDLESS and take is not None else count
    left = max(0, count - skip)
    return left if take is None else min(left, take)


def count_shard(count: int, step: int, first: int) -> int:
    """How many elements are left of each `step`-th one, from number `first` on."""
    return count if count < 0 else len(range(first, count, step))


def count_repeated(count: int, times: int) -> int:
    """How many elements so many passes have; with `times` below 0, there is no end of passes."""
    if count == 0 or times == 0:
        return 0
    if times < 0 or count == ENDLESS:
        return ENDLESS
    return count if count < 0 else count * times


def count_batches(count: int, size: int, drop_remainder: bool) -> int:
    """How many batches the elements make."""
    if count < 0:
        return count
    return count // size if drop_remainder else math.ceil(count / size)


def count_together(counts: Sequence[int]) -> int:
    """How many elements several pipelines have, one after the other."""
    if ENDLESS in counts:
        return ENDLESS
    return UNKNOWN if UNKNOWN in counts else sum(counts)


# Elements -----------------------------------------------------------------------------------------


def groups(elements: Iterable[Any], size: int, drop_remainder: bool = False) -> Iterator[list[Any]]:
    """Lists of `size` elements; the last may be shorter."""
    following = iter(elements)
    while group := list(itertools.islice(following, size)):
        if len(group) == size or not drop_remainder:
            yield group


def repeated(start: Callable[[], Iterable[Any]], times: int) -> Iterator[Any]:
    """Pass after pass; with `times` below 0, until one is empty."""
    for _ in itertools.count() if times < 0 else range(times):
        element = _END
        for element in start():
            yield element
        if element is _END:
            return


def mapped_ahead(call: Callable[[Any], Any], items: Iterable[Any], workers: int) -> Iterator[Any]:
    """As `map`, in order; threads, if there are two or more, call ahead."""
    if workers < 2:
        return map(call, items)
    return ahead(ThreadPoolExecutor(workers, "map"), call, items, 2 * workers)


def fetched_ahead(elements: Iterator[Any], depth: int, pool: ThreadPoolExecutor) -> Iterator[Any]:
    """Let a pool of one thread draw up to `depth` of the next elements."""
    drawn = ahead(pool, lambda _: next(elements, _END), itertools.repeat(None), depth)
    for element in drawn:
        if element is _END:
            return
        yield element
