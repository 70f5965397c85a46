"""Window arithmetic that convolutions and pooling share: argument checks and padding.

Letters: B batch, C channels, and spatial axes. torch wants `(B, C, spatial...)`. A channels_last
tensor seen through `to_channels_first` is what torch calls `memory_format=channels_last`: the view
costs no copy, and torch's kernels are at their best there.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from ..naming import explain

__all__ = [
    "pooling_padding",
    "same_padding",
    "standardize_padding",
    "standardize_tuple",
    "to_channels_first",
    "to_channels_last",
    "torch_padding",
    "transposed_padding",
    "without_skipped",
]


def to_channels_first(rank: int) -> tuple[int, ...]:
    """Permutation from `(B, spatial..., C)` to `(B, C, spatial...)` for `rank` spatial axes.

    >>> to_channels_first(2)
    (0, 3, 1, 2)
    """
    return (0, rank + 1, *range(1, rank + 1))


def to_channels_last(rank: int) -> tuple[int, ...]:
    """Permutation from `(B, C, spatial...)` to `(B, spatial..., C)`.

    >>> to_channels_last(2)
    (0, 2, 3, 1)
    """
    return (0, *range(2, rank + 2), 1)


def standardize_tuple(value: Any, n: int, name: str, allow_zero: bool = False) -> tuple[int, ...]:
    """An integer or `n` of them as a tuple of `n` integers.

    Args:
        value: What the user gave.
        n: How many are needed.
        name: The argument's name, for the message.
        allow_zero: Whether 0 is in range.

    Raises:
        ValueError: Not `n` integers, or one is out of range.

    Example:
        >>> standardize_tuple(3, 2, "kernel_size")
        (3, 3)
    """
    if type(value) is int and value > 0:
        return (value,) * n
    try:
        items = (value,) * n if not hasattr(value, "__iter__") else tuple(value)
        result = tuple(operator.index(item) for item in items)
    except TypeError:
        result = ()
    bad = {item for item in result if item < (0 if allow_zero else 1)}
    if len(result) != n or bad:
        what = f"The `{name}` argument must be a tuple of {n} integers. Received {name}={value!r}"
        if bad:
            bound = ">= 0" if allow_zero else "> 0"
            what += f", including values {bad} that do not satisfy `value {bound}`"
        fix = f"pass for example {name}=1 or {name}={(1,) * n}."
        raise ValueError(explain(f"{what}.", fix=fix))
    return result


def standardize_padding(value: Any, allow_causal: bool = False) -> Any:
    """The padding mode in lower case.

    Raises:
        ValueError: Not one of the modes.

    Example:
        >>> standardize_padding("SAME")
        'same'
    """
    if value == "valid" or value == "same" or isinstance(value, (list, tuple)):
        return value
    options = ("valid", "same", "causal") if allow_causal else ("valid", "same")
    padding = value.lower() if isinstance(value, str) else value
    if padding not in options:
        raise ValueError(
            explain(
                "Unknown padding mode.",
                given=f"padding={value!r}",
                expected=" or ".join(repr(option) for option in options),
            )
        )
    return padding


def same_padding(size: int, window: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Zeros before and after an axis so that the output has `ceil(size / stride)` steps.

    An odd total puts the larger half after the data, as TensorFlow does.

    >>> same_padding(5, window=3, stride=2), same_padding(4, window=3, stride=2)
    ((1, 1), (0, 1))
    """
    extent = (window - 1) * dilation
    total = extent if stride == 1 else max(0, (-(-size // stride) - 1) * stride + extent + 1 - size)
    return total // 2, total - total // 2


def pooling_padding(
    sizes: Sequence[int], windows: Sequence[int], strides: Sequence[int]
) -> tuple[list[int], bool, tuple[int, ...]]:
    """How torch's pooling is told to pad for `same`, so that no padding counts, in means neither.

    torch pads both ends alike. Where the far end needs one step more, the last window is partial if
    the stride is above 1; else both ends get that step, and the first window is to be left out.

    Returns:
        torch's `padding` and `ceil_mode`, and the first window to keep on each axis.

    >>> pooling_padding([8], [3], [2]), pooling_padding([8], [2], [1])
    (([0], True, (0,)), ([1], False, (1,)))
    """
    pairs = [same_padding(*window) for window in zip(sizes, windows, strides, strict=True)]
    skipped = tuple(
        int(near != far and stride == 1) for (near, far), stride in zip(pairs, strides, strict=True)
    )
    partial = any(far - near > skip for (near, far), skip in zip(pairs, skipped, strict=True))
    return [near + skip for (near, _), skip in zip(pairs, skipped, strict=True)], partial, skipped


def without_skipped(x: Any, skipped: tuple[int, ...]) -> Any:
    """The result of a pooling, `(B, C, spatial...)`, from the first windows on that are kept."""
    return x[(..., *(slice(skip, None) for skip in skipped))] if any(skipped) else x


def torch_padding(pairs: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """Padding pairs per axis as `torch.nn.functional.pad` wants them: last axis first.

    >>> torch_padding([(1, 2), (3, 4)])
    (3, 4, 1, 2)
    """
    return tuple(side for pair in reversed(pairs) for side in pair)


def transposed_padding(
    window: int, stride: int, dilation: int, extra: int | None, same: bool
) -> tuple[int, int, int]:
    """How torch's transposed convolution is told to give the size that Keras wants on one axis.

    The full result has `(size - 1) * stride + extent` steps, `extent` being that of one window.
    Keras wants for `valid` that many (but no fewer than `size * stride`), for `same`
    `size * stride`; with `extra`, these are `full + extra` and
    `(size - 1) * stride + extent % 2 + extra`. torch itself cuts both ends evenly, and can put back
    fewer than `stride` (or `dilation`) steps at the far end.

    Args:
        extra: Keras's `output_padding`, or `None`.

    Returns:
        torch's `padding` and `output_padding`, and what is left to cut off the far end (zeros to
        add there, if negative).

    >>> transposed_padding(4, stride=2, dilation=1, extra=None, same=True)
    (1, 0, 0)
    >>> transposed_padding(3, stride=2, dilation=1, extra=None, same=True)
    (0, 0, 1)
    """
    extent = (window - 1) * dilation + 1
    if same:
        total = stride + extent - 2 if extra is None else extent + extent % 2 - 2 + extra
        near = min(total - total // 2, extent - 1)
        before, after = extent - 1 - near, extent - 1 - (total - near)
    else:
        before, after = 0, -(max(extent, stride) - extent if extra is None else extra)
    missing = before - after
    if 0 < missing < max(stride, dilation):
        return before, missing, 0
    return before, 0, -missing
