"""Segments, the largest `k`, logarithms of sums, distances, and Fourier transforms.

Fourier transforms take and return complex numbers as a pair of tensors: the real and the imaginary
part.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from ..graph.context import CONTEXT
from ..graph.infer import SizeMismatch, known_shape, unknown_size
from ..graph.operation import op
from .common import Axes, as_tensor, as_tensors, check_known, promote
from .elementwise import erf, erfc, erfinv, rsqrt

__all__ = [
    "cdist",
    "erf",
    "erfc",
    "erfinv",
    "extract_sequences",
    "fft",
    "fft2",
    "ifft2",
    "in_top_k",
    "irfft",
    "istft",
    "logdet",
    "logsumexp",
    "rfft",
    "rsqrt",
    "segment_max",
    "segment_min",
    "segment_prod",
    "segment_sum",
    "stft",
    "top_k",
    "view_as_complex",
    "view_as_real",
]


# Segments ----------------------------------------------------------------------------------------


def _segment(data: Any, segment_ids: Any, num_segments: int | None, reduction: str) -> Tensor:
    data, ids = as_tensors(data, segment_ids)
    if data.dtype is torch.bool:
        return _segment(data.to(torch.uint8), ids, num_segments, reduction).to(torch.bool)
    if ids.ndim > 1:
        raise ValueError(
            "Argument `segment_ids` should be an 1-D vector, one number per row of `data`."
            f" Received: segment_ids.shape={tuple(ids.shape)}. Flatten it, or use `vectorized_map`."
        )
    if ids.shape[0] != data.shape[0]:
        raise SizeMismatch(
            "Argument `segment_ids` and `data` should have same leading dimension."
            f" Received: {tuple(ids.shape)} and {tuple(data.shape)}"
        )
    ids = ids.to(torch.int64)
    count = num_segments
    if count is None:
        count = unknown_size() if CONTEXT.meta else int(ids.max()) + 1 if ids.numel() else 0
    # Ids out of range go to one segment more, which is cut off.
    ids = torch.where((ids >= 0) & (ids < count), ids, count)
    result = torch.full(
        (count + 1, *data.shape[1:]),
        _neutral(reduction, data.dtype),
        dtype=data.dtype,
        device=data.device,
    )
    if reduction == "sum":
        return result.index_add(0, ids, data)[:count]
    ids = ids.reshape(-1, *[1] * (data.ndim - 1)).expand_as(data)
    return result.scatter_reduce(0, ids, data, reduction)[:count]


def _neutral(reduction: str, dtype: torch.dtype) -> float:
    """Return what an empty segment reduces to."""
    if reduction in ("sum", "prod"):
        return 0 if reduction == "sum" else 1
    if dtype.is_floating_point:
        return -math.inf if reduction == "amax" else math.inf
    info = torch.iinfo(dtype)
    return info.min if reduction == "amax" else info.max


@op(path="keras.src.ops.math.SegmentSum")
def segment_sum(
    data: Tensor, segment_ids: Tensor, num_segments: int | None = None, sorted: bool = False
) -> Tensor:
    """The sum of all rows of each segment.

    Args:
        data: Rows along the first axis.
        segment_ids: The segment of each row; rows whose number is out of range are left out.
        num_segments: How many there are; default: as many as occur, which asks the device.
        sorted: Accepted as in Keras: whether the numbers are in order.

    Raises:
        ValueError: `segment_ids` is no vector as long as `data`.

    Example:
        >>> segment_sum([1, 2, 3], [0, 0, 1], num_segments=2).tolist()
        [3, 3]
    """
    return _segment(data, segment_ids, num_segments, "sum")


@op(path="keras.src.ops.math.SegmentMax")
def segment_max(
    data: Tensor, segment_ids: Tensor, num_segments: int | None = None, sorted: bool = False
) -> Tensor:
    """The largest value of each segment; see `segment_sum`.

    Example:
        >>> segment_max([1, 2, 3], [0, 0, 1], num_segments=2).tolist()
        [2, 3]
    """
    return _segment(data, segment_ids, num_segments, "amax")


@op(path="keras.src.ops.math.SegmentMin")
def segment_min(
    data: Tensor, segment_ids: Tensor, num_segments: int | None = None, sorted: bool = False
) -> Tensor:
    """The smallest value of each segment; see `segment_sum`.

    Example:
        >>> segment_min([1, 2, 3], [0, 0, 1], num_segments=2).tolist()
        [1, 3]
    """
    return _segment(data, segment_ids, num_segments, "amin")


@op(path="keras.src.ops.math.SegmentProd")
def segment_prod(
    data: Tensor, segment_ids: Tensor, num_segments: int | None = None, sorted: bool = False
) -> Tensor:
    """The product of the rows of each segment; see `segment_sum`.

    Example:
        >>> segment_prod([1, 2, 3], [0, 0, 1], num_segments=2).tolist()
        [2, 3]
    """
    return _segment(data, segment_ids, num_segments, "prod")


# The largest, and logarithms ---------------------------------------------------------------------


@op(path="keras.src.ops.math.TopK")
def top_k(x: Tensor, k: int, sorted: bool = True) -> tuple[Tensor, Tensor]:
    """The `k` largest values along the last axis, and where they are.

    Args:
        x: Anything numeric.
        k: How many.
        sorted: Whether they are in descending order.

    Example:
        >>> [part.tolist() for part in top_k([1, 3, 2], 2)]
        [[3, 2], [1, 2]]
    """
    return torch.topk(as_tensor(x), k, sorted=sorted)


@op(path="keras.src.ops.math.InTopK")
def in_top_k(targets: Tensor, predictions: Tensor, k: int) -> Tensor:
    """Whether the score of each target is among the `k` largest of its row; ties count.

    Args:
        targets: `(B,)` class numbers.
        predictions: `(B, C)` scores.
        k: How many.

    Example:
        >>> in_top_k([0, 1], [[0.1, 0.9], [0.3, 0.7]], 1).tolist()
        [False, True]
    """
    predictions, targets = as_tensors(predictions, targets)
    if CONTEXT.meta:  # the batch may be known of one of them only
        return torch.empty_like(targets, dtype=torch.bool)
    least = torch.topk(predictions, k).values[..., -1]
    scores = torch.take_along_dim(predictions, targets.to(torch.int64)[:, None], -1)[:, 0]
    return scores >= least


@op(path="keras.src.ops.math.Logsumexp")
def logsumexp(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The logarithm of the sum of exponentials over `axis`, without overflow.

    Args:
        x: Floats.
        axis: Axes to reduce; `None` means all.
        keepdims: Whether reduced axes stay, with size 1.

    Example:
        >>> round(logsumexp([1000.0, 1000.0]).item(), 2)
        1000.69
    """
    x = as_tensor(x)
    return torch.logsumexp(x, tuple(range(x.ndim)) if axis is None else axis, keepdims)


@op(path="keras.src.ops.math.Logdet")
def logdet(x: Tensor) -> Tensor:
    """The logarithm of the determinant of matrices; NaN where it is negative.

    Example:
        >>> logdet([[1.0, 0.0], [0.0, 1.0]]).item()
        0.0
    """
    return torch.logdet(as_tensor(x))


@op(path="keras.src.ops.math.CDist")
def cdist(x: Tensor, y: Tensor) -> Tensor:
    """The Euclidean distances of all pairs of rows.

    Args:
        x: `(..., N, D)`.
        y: `(..., M, D)`.

    Raises:
        ValueError: One has fewer than two axes, or the rows differ in length.

    Example:
        >>> cdist([[0.0, 0.0]], [[3.0, 4.0]]).tolist()
        [[5.0]]
    """
    x, y = as_tensors(x, y)
    if x.ndim < 2 or y.ndim < 2:
        raise ValueError(
            f"cdist: expected at least 2 axes. Received: {tuple(x.shape)} and {tuple(y.shape)}"
        )
    if x.shape[-1] != y.shape[-1]:
        raise SizeMismatch(
            "cdist: the last axes must be of one size."
            f" Received: {tuple(x.shape)} and {tuple(y.shape)}"
        )
    x, y = promote(x, y, float)
    dtype = x.dtype
    compute = torch.promote_types(dtype, torch.float32)  # torch's kernel takes no half precision
    x, y = x.to(compute), y.to(compute)
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").to(dtype)


# Fourier transforms ------------------------------------------------------------------------------


def _complex(x: Sequence[Tensor], rank: int = 1) -> Tensor:
    """Make a complex tensor, of some rank at least, of its real and imaginary part."""
    if not isinstance(x, (tuple, list)) or len(x) != 2:
        raise ValueError(
            "Input `x` should be a tuple of two tensors, the real and the imaginary part."
            f" Received: x={x}"
        )
    real, imaginary = as_tensors(*x)
    if real.shape != imaginary.shape:
        raise ValueError(
            "Both the real and imaginary parts should have the same shape."
            f" Received: {tuple(real.shape)} and {tuple(imaginary.shape)}"
        )
    _check_rank(real, rank)
    if not (real.is_floating_point() and imaginary.is_floating_point()):
        raise ValueError(
            "The real and the imaginary part should be floats."
            f" Received: {real.dtype} and {imaginary.dtype}"
        )
    return torch.complex(real, imaginary)


def _check_rank(x: Tensor, rank: int) -> None:
    """Refuse a tensor with fewer axes."""
    if x.ndim < rank:
        raise ValueError(f"Input should have rank >= {rank}. Received: shape={tuple(x.shape)}")


def _parts(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.real, x.imag


@op(path="keras.src.ops.math.FFT")
def fft(x: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The discrete Fourier transform along the last axis.

    Example:
        >>> [part.tolist() for part in fft(([1.0, 0.0], [0.0, 0.0]))]
        [[1.0, 1.0], [0.0, 0.0]]
    """
    x = _complex(x)
    check_known(x, 1)
    return _parts(torch.fft.fft(x))


@op(path="keras.src.ops.math.FFT2")
def fft2(x: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The discrete Fourier transform along the last two axes.

    Example:
        >>> [part.tolist() for part in fft2(([[1.0, 0.0]], [[0.0, 0.0]]))]
        [[[1.0, 1.0]], [[0.0, 0.0]]]
    """
    x = _complex(x, 2)
    check_known(x, 2, "axes")
    return _parts(torch.fft.fft2(x))


@op(path="keras.src.ops.math.IFFT2")
def ifft2(x: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The inverse of `fft2`.

    Example:
        >>> [part.tolist() for part in ifft2(([[1.0, 1.0]], [[0.0, 0.0]]))]
        [[[1.0, 0.0]], [[0.0, 0.0]]]
    """
    return _parts(torch.fft.ifft2(_complex(x, 2)))


@op(path="keras.src.ops.math.RFFT")
def rfft(x: Tensor, fft_length: int | None = None) -> tuple[Tensor, Tensor]:
    """The discrete Fourier transform of real numbers along the last axis, its first half.

    Args:
        x: Floats.
        fft_length: The axis is cut or filled with zeros to this size.

    Example:
        >>> [part.tolist() for part in rfft([1.0, 1.0])]
        [[2.0, 0.0], [0.0, 0.0]]
    """
    x = as_tensor(x)
    _check_rank(x, 1)
    return _parts(torch.fft.rfft(x, fft_length))


@op(path="keras.src.ops.math.IRFFT")
def irfft(x: Sequence[Tensor], fft_length: int | None = None) -> Tensor:
    """The inverse of `rfft`.

    Args:
        x: The real and the imaginary part.
        fft_length: The size of the result; default: even.

    Example:
        >>> irfft(([2.0, 0.0], [0.0, 0.0])).tolist()
        [1.0, 1.0]
    """
    return torch.fft.irfft(_complex(x), fft_length)


@op(path="keras.src.ops.math.ExtractSequences")
def extract_sequences(x: Tensor, sequence_length: int, sequence_stride: int) -> Tensor:
    """Overlapping windows of the last axis, as a new last axis.

    Example:
        >>> extract_sequences([1, 2, 3, 4], 2, 1).tolist()
        [[1, 2], [2, 3], [3, 4]]
    """
    x = as_tensor(x)
    _check_rank(x, 1)
    return torch.unfold_copy(x, -1, sequence_length, sequence_stride)


def _window(window: Any, length: int, like: Tensor) -> Tensor:
    """Return the window that a name or a value stands for."""
    options = {"dtype": like.dtype, "device": like.device}
    if window is None:
        return torch.ones(length, **options)
    if isinstance(window, str):
        if window not in ("hann", "hamming"):
            raise ValueError(
                "If a string is passed to `window`, it must be 'hann' or 'hamming'."
                f" Received: window={window!r}"
            )
        kernel = torch.hann_window if window == "hann" else torch.hamming_window
        return kernel(length, periodic=True, **options)
    window = as_tensor(window, like.dtype, like)
    if tuple(window.shape) != (length,):
        raise SizeMismatch(
            f"The shape of `window` must be equal to ({length},). Received: {tuple(window.shape)}"
        )
    return window


@op(path="keras.src.ops.math.STFT")
def stft(
    x: Tensor,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    window: Any = "hann",
    center: bool = True,
) -> tuple[Tensor, Tensor]:
    """The spectrum of overlapping windows of the last axis.

    Args:
        x: Floats, `(..., samples)`.
        sequence_length: Samples in a window.
        sequence_stride: Samples between windows.
        fft_length: The size of each transform, at least `sequence_length`.
        window: `hann`, `hamming`, `None`, or values.
        center: Whether windows are centered on their samples; the ends are mirrored.

    Returns:
        The real and the imaginary part, `(..., windows, fft_length // 2 + 1)`.

    Raises:
        TypeError: `x` is not of `float32` or `float64`.
        ValueError: `fft_length` is too small, `sequence_stride` not positive, or `window` unknown.

    Example:
        >>> stft([1.0] * 8, 4, 2, 4)[0].shape
        torch.Size([5, 3])
    """
    x = as_tensor(x)
    if x.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"stft: expected `float32` or `float64`. Received: x.dtype={x.dtype}")
    if not isinstance(sequence_stride, Integral) or sequence_stride <= 0:
        raise ValueError(
            "stft: `sequence_stride` must be a positive integer."
            f" Received: sequence_stride={sequence_stride}"
        )
    if fft_length < sequence_length:
        raise ValueError(
            "stft: `fft_length` must equal or exceed `sequence_length`."
            f" Received: fft_length={fft_length}, sequence_length={sequence_length}"
        )
    result = torch.stft(
        x.reshape(-1, x.shape[-1]),
        fft_length,
        sequence_stride,
        sequence_length,
        _window(window, sequence_length, x),
        center=center,
        return_complex=True,
    )
    return _parts(result.reshape(*x.shape[:-1], *result.shape[-2:]).transpose(-2, -1))


@op(path="keras.src.ops.math.ISTFT")
def istft(
    x: Sequence[Tensor],
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    length: int | None = None,
    window: Any = "hann",
    center: bool = True,
) -> Tensor:
    """The inverse of `stft`: windows are added up where they overlap.

    Args:
        x: The real and the imaginary part, `(..., windows, fft_length // 2 + 1)`.
        sequence_length, sequence_stride, fft_length, window, center: As for `stft`.
        length: Samples of the result.

    Returns:
        Floats, `(..., samples)`.

    Raises:
        ValueError: `sequence_stride` is not positive, or `window` unknown.

    Example:
        >>> spectrum = stft([1.0] * 8, 4, 2, 4)
        >>> istft(spectrum, 4, 2, 4).shape
        torch.Size([8])
    """
    if not isinstance(sequence_stride, Integral) or sequence_stride <= 0:
        raise ValueError(
            "istft: `sequence_stride` must be a positive integer."
            f" Received: sequence_stride={sequence_stride}"
        )
    spectrum = _complex(x, 2)
    frames = torch.fft.irfft(spectrum, fft_length)
    if window is not None:
        weights = _window(window, sequence_length, frames)
        left = (fft_length - sequence_length) // 2
        weights = torch.nn.functional.pad(weights, (left, fft_length - sequence_length - left))
        frames = frames * _normalized(weights, sequence_stride)
    count = frames.shape[-2]
    samples = fft_length + sequence_stride * (count - 1)
    columns = frames.reshape(-1, count, fft_length).transpose(1, 2)
    sums = torch.nn.functional.fold(
        columns, (1, samples), (1, fft_length), stride=(1, sequence_stride)
    )
    sums = sums.reshape(*spectrum.shape[:-2], samples)
    start = fft_length // 2 if center else 0
    end = start + length if length is not None else samples - start
    return sums[..., start:end]


def _normalized(weights: Tensor, stride: int) -> Tensor:
    """Divide a window by the sum of the squares of all windows that meet at a sample."""
    overlaps = -(-weights.shape[0] // stride)
    squares = torch.nn.functional.pad(weights.square(), (0, overlaps * stride - weights.shape[0]))
    total = squares.reshape(overlaps, stride).sum(0).repeat(overlaps)
    return weights / total[: weights.shape[0]]


@op(path="keras.src.ops.math.ViewAsComplex")
def view_as_complex(x: Tensor) -> Tensor:
    """The complex numbers whose parts are the last axis, of size 2.

    Raises:
        ValueError: The last axis has another size.

    Example:
        >>> view_as_complex([[1.0, 2.0]]).tolist()
        [(1+2j)]
    """
    x = as_tensor(x)
    if x.ndim < 1 or known_shape(x)[-1] not in (None, 2):
        raise ValueError(
            f"Last dimension of input must be size 2. Received: shape={tuple(x.shape)}"
        )
    return torch.complex(x[..., 0].float(), x[..., 1].float())


@op(path="keras.src.ops.math.ViewAsReal")
def view_as_real(x: Tensor) -> Tensor:
    """The parts of complex numbers as a new last axis, of size 2.

    Example:
        >>> view_as_real([1 + 2j]).tolist()
        [[1.0, 2.0]]
    """
    x = as_tensor(x)
    return torch.view_as_real(x.resolve_conj() if x.is_complex() else x.to(torch.complex64))
