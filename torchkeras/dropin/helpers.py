"""Small functions of `keras.src.utils` that libraries import; torchkeras needs none of them."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch

from ..dtypes import standardize_dtype, to_numpy
from ..naming import explain
from ..ops import cast, equal, eye, logical_and, logical_not, reshape, size, transpose
from ..registry import dump_code as func_dump
from ..registry import load_code as func_load
from ..training.data.streams import standardize_batch

__all__ = [
    "build_pos_neg_masks",
    "cast_to_common_dtype",
    "count_loc",
    "default",
    "dtype_size",
    "func_dump",
    "func_load",
    "is_continuous_axis",
    "is_default",
    "is_float",
    "make_class_weight_map_fn",
    "pythonify_logs",
    "remove_by_id",
    "remove_long_seq",
    "removeprefix",
    "removesuffix",
    "set_logging_verbosity",
    "to_list",
    "validate_string_arg",
]

F = TypeVar("F", bound=Callable[..., Any])


# Dtypes ------------------------------------------------------------------------------------------


def dtype_size(dtype: str) -> int:
    """Return the number of bits of a dtype.

    Raises:
        ValueError: It is none, or has no size.

    >>> dtype_size("bfloat16"), dtype_size("bool")
    (16, 1)
    """
    if dtype == "bool":
        return 1
    digits = str(dtype).lstrip("abcdefghijklmnopqrstuvwxyz")
    if not digits.isdigit() or "complex" in dtype:
        raise ValueError(f"Invalid dtype: {dtype}")
    return int(digits)


def is_float(dtype: str) -> bool:
    """Tell whether the name of a dtype is that of a floating one."""
    return "float" in dtype


def cast_to_common_dtype(tensors: Sequence[Any]) -> Sequence[Any]:
    """Cast tensors to the widest floating dtype among them; without one, leave them as they are.

    `float16` and `bfloat16` together make `float32`.
    """
    floats = {name for name in (standardize_dtype(x.dtype) for x in tensors) if is_float(name)}
    if not floats:
        return tensors
    widest = max(floats, key=dtype_size)
    if dtype_size(widest) == 16 and len(floats) > 1:
        widest = "float32"
    return [cast(x, widest) for x in tensors]


# Arguments and sequences -------------------------------------------------------------------------


def validate_string_arg(
    value: Any,
    allowable_strings: Collection[str],
    caller_name: str,
    arg_name: str,
    allow_none: bool = False,
    allow_callables: bool = False,
) -> None:
    """Check an argument that is one of several strings.

    Raises:
        ValueError: It is something else, and neither `None` nor a function where these may be.
    """
    fits = isinstance(value, str) and value in allowable_strings
    if fits or (allow_none and value is None) or (allow_callables and callable(value)):
        return
    raise ValueError(
        explain(
            f"Unknown value for `{arg_name}` argument of {caller_name}.",
            given=f"{arg_name}={value!r}",
            expected=f"Allowed values are: {allowable_strings}",
        )
    )


def is_continuous_axis(axis: int | Sequence[int]) -> bool:
    """Tell whether axes lie side by side, in rising or falling order.

    >>> is_continuous_axis([1, 2]), is_continuous_axis((-1, -2)), is_continuous_axis([0, 2])
    (True, True, False)
    """
    axes = [axis] if isinstance(axis, int) else list(axis)
    steps = {b - a for a, b in zip(axes, axes[1:], strict=False)}
    return steps in (set(), {1}, {-1})


def to_list(x: Any) -> list[Any]:
    """Put anything but a list into a list."""
    return x if isinstance(x, list) else [x]


def remove_long_seq(
    maxlen: int, seq: Iterable[Sequence[Any]], label: Iterable[Any]
) -> tuple[list[Any], list[Any]]:
    """Keep the sequences shorter than `maxlen`, and their labels.

    >>> remove_long_seq(2, [[1], [1, 2]], ["a", "b"])
    ([[1]], ['a'])
    """
    pairs = [(s, y) for s, y in zip(seq, label, strict=False) if len(s) < maxlen]
    return [s for s, _ in pairs], [y for _, y in pairs]


def removeprefix(x: str, prefix: str) -> str:
    """As `str.removeprefix`."""
    return x.removeprefix(prefix)


def removesuffix(x: str, suffix: str) -> str:
    """As `str.removesuffix`."""
    return x.removesuffix(suffix)


def remove_by_id(lst: list[Any], value: Any) -> None:
    """Remove the first item that is `value` itself."""
    for i, item in enumerate(lst):
        if item is value:
            del lst[i]
            return


def default(method: F) -> F:
    """Mark a method as one that subclasses need not call; see `is_default`."""
    method._is_default = True
    return method


def is_default(method: Any) -> bool:
    """Tell whether a method was marked by `default`, and not overridden by an unmarked one."""
    return getattr(method, "_is_default", False)


def make_class_weight_map_fn(class_weight: Mapping[int, float]) -> Callable[..., Any]:
    """Return a function `(x, y)` that adds the class weights to a batch as sample weights.

    It computes with torch, so not in the graphs of `tf.data.Dataset.map`.
    """

    def weigh(*batch: Any) -> Any:
        return standardize_batch(batch, "The dataset", class_weight)

    return weigh


def pythonify_logs(logs: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return logs with numbers of Python's in place of tensors, and inner dicts laid flat."""
    flat: dict[str, Any] = {}
    for key, value in sorted((logs or {}).items()):
        if isinstance(value, Mapping):
            flat.update(pythonify_logs(value))
            continue
        try:
            flat[key] = float(to_numpy(value) if isinstance(value, torch.Tensor) else value)
        except (TypeError, ValueError):  # an array, or no number at all
            flat[key] = value
    return flat


# Labels ------------------------------------------------------------------------------------------


def build_pos_neg_masks(
    query_labels: Any, key_labels: Any, remove_diagonal: bool = True
) -> tuple[Any, Any]:
    """Say for each query which keys have its label, and which have another.

    Args:
        query_labels: `(Q,)` or `(Q, 1)`.
        key_labels: `(K,)` or `(K, 1)`.
        remove_diagonal: Whether no query is its own key.

    Returns: Two masks `(Q, K)`.
    """
    queries, keys = reshape(query_labels, (-1, 1)), reshape(key_labels, (-1, 1))
    same = equal(queries, transpose(keys))
    other = logical_not(same)
    if remove_diagonal:
        diagonal = eye(size(queries), size(keys), dtype="bool")
        same = logical_and(same, logical_not(diagonal))
    return same, other


# Messages and files ------------------------------------------------------------------------------


def set_logging_verbosity(level: str) -> None:
    """Choose from which level on messages are logged.

    Args:
        level: `"FATAL"`, `"ERROR"`, `"WARNING"`, `"INFO"` or `"DEBUG"`.

    Raises:
        ValueError: Another one.
    """
    levels = ("FATAL", "ERROR", "WARNING", "INFO", "DEBUG")
    if level not in levels:
        raise ValueError(
            explain(
                "Please pass a valid level for logging verbosity.",
                given=repr(level),
                expected=", ".join(map(repr, levels)),
            )
        )
    logging.getLogger(__package__.partition(".")[0]).setLevel(getattr(logging, level))


def count_loc(
    directory: str,
    exclude: Sequence[str] = ("_test",),
    extensions: Sequence[str] = (".py",),
    verbose: int = 0,
) -> int:
    """Count the lines of code in a folder: neither blank, nor comments, nor docstrings.

    Args:
        directory: The folder, with those inside.
        exclude: Endings of names, without extension, of folders and files to leave out.
        extensions: Of the files to look into.
        verbose: Whether to name the files.
    """
    lines = 0
    for root, _, names in os.walk(directory):
        if root.endswith(tuple(exclude)):
            continue
        for name in names:
            stem, extension = os.path.splitext(name)
            if extension not in extensions or stem.endswith(tuple(exclude)):
                continue
            path = os.path.join(root, name)
            if verbose:
                print(f"Count LoCs in {path}")
            with open(path, encoding="utf-8") as file:
                lines += sum(1 for _ in _code_lines(file))
    return lines


def _code_lines(lines: Iterable[str]) -> Iterator[str]:
    inside = False
    for line in map(str.strip, lines):
        quoted = line.startswith('"""')
        if inside:
            inside = not line.endswith('"""')
        elif quoted:
            inside = line == '"""' or not line.endswith('"""')
        elif line and not line.startswith("#"):
            yield line
