"""Tensors out of nothing: constants, ranges, identity and triangular matrices, windows.

They are made on `config.default_device()` unless there is a tensor to be like.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..config import default_device, floatx
from ..dtypes import is_float, result_type, to_torch
from ..graph.operation import op
from .common import NUMPY, DType, Shape, as_tensor, as_tensors

__all__ = [
    "arange",
    "array",
    "bartlett",
    "blackman",
    "empty",
    "empty_like",
    "eye",
    "full",
    "full_like",
    "geomspace",
    "hamming",
    "hanning",
    "identity",
    "kaiser",
    "linspace",
    "logspace",
    "ones",
    "ones_like",
    "tri",
    "vander",
    "zeros",
    "zeros_like",
]


def _sizes(shape: Any) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, int) else tuple(shape)


def zeros(shape: Shape, dtype: DType = None) -> Tensor:
    """A tensor of zeros.

    Args:
        shape: Its sizes.
        dtype: Default: `floatx`.

    Example:
        >>> zeros(2).tolist()
        [0.0, 0.0]
    """
    return torch.zeros(_sizes(shape), dtype=to_torch(dtype), device=default_device())


def ones(shape: Shape, dtype: DType = None) -> Tensor:
    """A tensor of ones.

    Args:
        shape: Its sizes.
        dtype: Default: `floatx`.

    Example:
        >>> ones(2, dtype="int32").tolist()
        [1, 1]
    """
    return torch.ones(_sizes(shape), dtype=to_torch(dtype), device=default_device())


def empty(shape: Shape, dtype: DType = None) -> Tensor:
    """A tensor whose values are not set.

    Args:
        shape: Its sizes.
        dtype: Default: `floatx`.

    Example:
        >>> empty((2, 3)).shape
        torch.Size([2, 3])
    """
    return torch.empty(_sizes(shape), dtype=to_torch(dtype), device=default_device())


@op(path=NUMPY + "Full")
def full(shape: Shape, fill_value: Tensor, dtype: DType = None) -> Tensor:
    """A tensor of one value, or of values broadcast to a shape.

    Args:
        shape: Its sizes.
        fill_value: The value.
        dtype: Default: `floatx`.

    Example:
        >>> full((2, 2), 7, dtype="int32").tolist()
        [[7, 7], [7, 7]]
    """
    if isinstance(fill_value, (bool, int, float)):
        return torch.full(_sizes(shape), fill_value, dtype=to_torch(dtype), device=default_device())
    return as_tensor(fill_value, to_torch(dtype)).expand(_sizes(shape)).clone()


@op(path=NUMPY + "FullLike")
def full_like(x: Tensor, fill_value: Tensor, dtype: DType = None) -> Tensor:
    """A tensor of one value, of the shape and dtype of `x`.

    Example:
        >>> full_like([1.0, 2.0], 3).tolist()
        [3.0, 3.0]
    """
    x = as_tensor(x)
    target = x.dtype if dtype is None else to_torch(dtype)
    if isinstance(fill_value, (bool, int, float)):
        return torch.full_like(x, fill_value, dtype=target)
    return as_tensor(fill_value, target, x).expand(x.shape).clone()


def _like(name: str, class_name: str, kernel: Callable[..., Tensor], doc: str) -> Any:
    """Make the op of a kernel that makes a tensor of the shape of another."""

    def compute(x: Tensor, dtype: DType = None) -> Tensor:
        return kernel(as_tensor(x), dtype=None if dtype is None else to_torch(dtype))

    compute.__name__ = compute.__qualname__ = name
    compute.__doc__ = doc
    return op(path=NUMPY + class_name)(compute)


zeros_like = _like("zeros_like", "ZerosLike", torch.zeros_like, "Zeros in the shape of `x`.")
ones_like = _like("ones_like", "OnesLike", torch.ones_like, "Ones in the shape of `x`.")
empty_like = _like(
    "empty_like", "EmptyLike", torch.empty_like, "A tensor of the shape of `x`, its values not set."
)


@op(path=NUMPY + "Array")
def array(x: Tensor, dtype: DType = None) -> Tensor:
    """`x` as a tensor.

    Args:
        x: A tensor, array, number, or nested list of those.
        dtype: The result is cast to it.

    Example:
        >>> array([1, 2], dtype="float32").tolist()
        [1.0, 2.0]
    """
    return as_tensor(x, dtype)


# Ranges ------------------------------------------------------------------------------------------


def _kind(x: Any) -> Any:
    return getattr(x, "dtype", type(x))


@op(path=NUMPY + "Arange", keywords=("step",))
def arange(
    start: Tensor | float,
    stop: Tensor | float | None = None,
    step: Tensor | float | None = None,
    dtype: DType = None,
) -> Tensor:
    """Numbers from `start` up to but without `stop`.

    Args:
        start: The first one; the end, if there is no `stop`: then they begin at 0.
        stop: The end.
        step: The distance between them; default 1.
        dtype: Default: the common one of the arguments.

    Example:
        >>> arange(1, 7, 2).tolist()
        [1, 3, 5]
    """
    if dtype is None:
        dtype = result_type(*(_kind(x) for x in (start, stop, step) if x is not None))
    if stop is None:
        start, stop = 0, start
    step = 1 if step is None else step
    return torch.arange(start, stop, step, dtype=to_torch(dtype), device=default_device())


def _range_dtype(start: Any, stop: Any, dtype: Any) -> torch.dtype:
    return to_torch(result_type(_kind(start), _kind(stop), float) if dtype is None else dtype)


def _space(start: Any, stop: Any, num: int, endpoint: bool, axis: int) -> Tensor:
    """Return evenly spaced floats between numbers or tensors, which share a dtype."""
    parts = max(num - 1 if endpoint else num, 1)
    if not isinstance(start, Tensor):
        stop = stop if endpoint else stop - (stop - start) / parts
        return torch.linspace(start, stop, num, device=default_device(), dtype=torch.float64)
    steps = torch.arange(num, dtype=start.dtype, device=start.device) / parts
    steps = steps.reshape(-1, *[1] * start.ndim)
    return (start + steps * (stop - start)).movedim(0, axis)


def _ends(start: Any, stop: Any, target: torch.dtype) -> tuple[Any, Any]:
    """Return both ends as numbers, or as tensors of one shape."""
    if isinstance(start, (int, float)) and isinstance(stop, (int, float)):
        return start, stop
    compute = target if target.is_floating_point else torch.float32
    start, stop = (x.to(compute) for x in as_tensors(start, stop))
    return torch.broadcast_tensors(start, stop)


@op(path=NUMPY + "Linspace")
def linspace(
    start: Tensor,
    stop: Tensor,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: DType = None,
    axis: int = 0,
) -> Any:
    """Evenly spaced numbers.

    Args:
        start, stop: The first and the last one; tensors give a sequence for each pair.
        num: How many.
        endpoint: Whether `stop` is the last one; otherwise it would come next.
        retstep: Whether the distance between them is returned too.
        dtype: Default: that of the ends, if it is floating.
        axis: The axis of the sequence.

    Example:
        >>> linspace(0.0, 1.0, 5).tolist()
        [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    target = _range_dtype(start, stop, dtype)
    start, stop = _ends(start, stop, target)
    result = _space(start, stop, num, endpoint, axis).to(target)
    if not retstep:
        return result
    parts = num - 1 if endpoint else num
    return result, (stop - start) / parts if parts > 0 else float("nan")


@op(path=NUMPY + "Logspace")
def logspace(
    start: Tensor,
    stop: Tensor,
    num: int = 50,
    endpoint: bool = True,
    base: float = 10,
    dtype: DType = None,
    axis: int = 0,
) -> Tensor:
    """Numbers whose logarithms are evenly spaced.

    Args:
        start, stop: The logarithms of the first and the last one.
        num: How many.
        endpoint: Whether `base**stop` is the last one.
        base: The base of the logarithms.
        dtype: Default: that of the ends, if it is floating.
        axis: The axis of the sequence.

    Example:
        >>> logspace(0.0, 2.0, 3).tolist()
        [1.0, 10.0, 100.0]
    """
    target = _range_dtype(start, stop, dtype)
    start, stop = _ends(start, stop, target)
    return torch.pow(base, _space(start, stop, num, endpoint, axis)).to(target)


@op(path=NUMPY + "Geomspace")
def geomspace(
    start: Tensor,
    stop: Tensor,
    num: int = 50,
    endpoint: bool = True,
    dtype: DType = None,
    axis: int = 0,
) -> Tensor:
    """Numbers with a constant quotient of neighbours.

    Args:
        start, stop: The first and the last one, of the same sign.
        num: How many.
        endpoint: Whether `stop` is the last one.
        dtype: Default: that of the ends, if it is floating.
        axis: The axis of the sequence.

    Example:
        >>> geomspace(1.0, 4.0, 3)
        tensor([1.0000, 2.0000, 4.0000])
    """
    target = _range_dtype(start, stop, dtype)
    compute = target if target.is_floating_point else torch.float32
    start, stop = torch.broadcast_tensors(*(x.to(compute) for x in as_tensors(start, stop)))
    ends = (torch.log10(torch.abs(x)) for x in (start, stop))
    result = torch.pow(10.0, _space(*ends, num, endpoint, 0)) * torch.sign(start)
    return result.movedim(0, axis).to(target)


# Matrices ----------------------------------------------------------------------------------------


def eye(N: int, M: int | None = None, k: int = 0, dtype: DType = None) -> Tensor:
    """A matrix with ones on diagonal `k` and zeros elsewhere.

    Args:
        N: Rows.
        M: Columns; default: as many.
        k: The diagonal; positive ones are above the main one.
        dtype: Default: `floatx`.

    Raises:
        TypeError: A size is a float.

    Example:
        >>> eye(2, 3, k=1).tolist()
        [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    for name, size in (("N", N), ("M", M)):
        if isinstance(size, float) or (hasattr(size, "dtype") and is_float(size.dtype)):
            raise TypeError(f"Argument `{name}` must be an integer. Received: {name}={size}")
    rows, columns = int(N), int(N if M is None else M)
    target = to_torch(dtype)
    if not k:
        return torch.eye(rows, columns, dtype=target, device=default_device())
    return _diagonals(rows, columns).eq(int(k)).to(target)


def _diagonals(rows: int, columns: int) -> Tensor:
    """Return for each place of a matrix the number of its diagonal."""
    device = default_device()
    return torch.arange(columns, device=device) - torch.arange(rows, device=device)[:, None]


def identity(n: int, dtype: DType = None) -> Tensor:
    """The identity matrix.

    Args:
        n: Rows and columns.
        dtype: Default: `floatx`.

    Example:
        >>> identity(2).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    return eye(n, dtype=dtype)


def tri(N: int, M: int | None = None, k: int = 0, dtype: DType = None) -> Tensor:
    """A matrix with ones up to diagonal `k` and zeros above.

    Args:
        N: Rows.
        M: Columns; default: as many.
        k: The diagonal; positive ones are above the main one.
        dtype: Default: `floatx`.

    Example:
        >>> tri(2).tolist()
        [[1.0, 0.0], [1.0, 1.0]]
    """
    return _diagonals(int(N), int(M or N)).le(k).to(to_torch(dtype))


@op(path=NUMPY + "Vander")
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The Vandermonde matrix: powers of the values of a vector.

    Args:
        x: A vector.
        N: How many powers; default: as many as values.
        increasing: Whether powers grow from left to right.

    Raises:
        ValueError: `x` is no vector, or `N` is negative.
        TypeError: An argument has the wrong type.

    Example:
        >>> vander([1, 2, 3], increasing=True).tolist()
        [[1, 1, 1], [1, 2, 4], [1, 3, 9]]
    """
    x = as_tensor(x)
    if x.ndim != 1:
        raise ValueError(f"vander: `x` must be a vector. Received: shape={tuple(x.shape)}")
    if N is not None and not isinstance(N, int):
        raise TypeError(f"vander: `N` must be an int. Received: N={N!r}")
    if N is not None and N < 0:
        raise ValueError(f"vander: `N` must not be negative. Received: N={N}")
    if not isinstance(increasing, bool):
        raise TypeError(f"vander: `increasing` must be a bool. Received: {increasing!r}")
    powers = torch.arange(x.shape[0] if N is None else N, device=x.device)
    # `torch.vander` multiplies in place, so that it has no gradient.
    return (x[:, None] ** (powers if increasing else powers.flip(0))).to(x.dtype)


# Windows -----------------------------------------------------------------------------------------


def _window(name: str, kernel: Callable[..., Tensor], doc: str) -> Any:
    def window(x: int) -> Tensor:
        return kernel(int(x), dtype=to_torch(floatx()), device=default_device())

    window.__name__ = window.__qualname__ = name
    window.__doc__ = doc
    return window


_windows = torch.signal.windows
bartlett = _window("bartlett", _windows.bartlett, "The Bartlett (triangular) window of `x` points.")
blackman = _window("blackman", _windows.blackman, "The Blackman window of `x` points.")
hamming = _window("hamming", _windows.hamming, "The Hamming window of `x` points.")
hanning = _window("hanning", _windows.hann, "The Hann window of `x` points.")


def kaiser(x: int, beta: float) -> Tensor:
    """The Kaiser window.

    Args:
        x: How many points.
        beta: Its shape: 0 is a rectangle.

    Example:
        >>> kaiser(3, 0.0).tolist()
        [1.0, 1.0, 1.0]
    """
    options = {"dtype": to_torch(floatx()), "device": default_device()}
    return _windows.kaiser(int(x), beta=float(beta), **options)
