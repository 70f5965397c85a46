"""TensorFlow's `tf.signal`: spectra, frames, windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ...config import default_device
from .common import TABLE, as_dtype, in_tensorflow, integers, tensor

__all__: list[str] = []


def _spectrum(axes: int, function: Callable[..., Tensor]) -> Callable[[Any], Tensor]:
    dims = tuple(range(-axes, 0))

    def call(input: Any) -> Tensor:
        return function(tensor(input), dim=dims)

    return call


for _axes, _end in ((1, ""), (2, "2d"), (3, "3d")):
    in_tensorflow(f"signal.fft{_end}")(_spectrum(_axes, torch.fft.fftn))
    in_tensorflow(f"signal.ifft{_end}")(_spectrum(_axes, torch.fft.ifftn))


def _real_spectrum(axes: int, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    dims = tuple(range(-axes, 0))

    def call(input_tensor: Any, fft_length: Any = None) -> Tensor:
        size = None if fft_length is None else integers(fft_length)
        return function(tensor(input_tensor), s=size, dim=dims)

    return call


for _axes, _end in ((1, ""), (2, "2d"), (3, "3d")):
    in_tensorflow(f"signal.rfft{_end}")(_real_spectrum(_axes, torch.fft.rfftn))
    in_tensorflow(f"signal.irfft{_end}")(_real_spectrum(_axes, torch.fft.irfftn))


@in_tensorflow("signal.fftshift")
def _fftshift(x: Any, axes: Any = None) -> Any:
    return torch.fft.fftshift(tensor(x), None if axes is None else integers(axes))


@in_tensorflow("signal.ifftshift")
def _ifftshift(x: Any, axes: Any = None) -> Any:
    return torch.fft.ifftshift(tensor(x), None if axes is None else integers(axes))


def _window(name: str, make: Callable[..., Tensor]) -> None:
    def call(window_length: Any, periodic: Any = True, dtype: Any = None) -> Any:
        dtype = as_dtype(dtype, torch.float32)
        size = int(window_length)
        periodic = bool(periodic) and size % 2 == 0  # of odd windows it has no effect there
        return make(size, periodic=periodic, dtype=dtype, device=default_device())

    in_tensorflow(f"signal.{name}_window")(call)


_window("hann", torch.hann_window)
_window("hamming", torch.hamming_window)


@in_tensorflow("signal.frame")
def _frame(
    signal: Any,
    frame_length: Any,
    frame_step: Any,
    pad_end: bool = False,
    pad_value: Any = 0,
    axis: Any = -1,
) -> Any:
    x, length, step = tensor(signal), int(frame_length), int(frame_step)
    axis = int(axis) % x.ndim
    x = x.movedim(axis, -1)
    if pad_end:
        count = -(-x.shape[-1] // step)
        missing = max(0, (count - 1) * step + length - x.shape[-1])
        x = F.pad(x, (0, missing), value=pad_value)
    if x.shape[-1] < length:
        x = x.new_zeros(*x.shape[:-1], 0, length)
    else:
        x = x.unfold(-1, length, step)
    return x.movedim((-2, -1), (axis, axis + 1))


def _windowed(frames: Tensor, window_fn: Any) -> Tensor:
    """Multiply frames by TensorFlow's default window; a file cannot tell of another one."""
    if window_fn is None:
        return frames
    window = TABLE["signal.hann_window"](frames.shape[-1], dtype=frames.dtype)
    return frames * window.to(frames.device)


_HANN = object()


@in_tensorflow("signal.stft")
def _stft(
    signals: Any,
    frame_length: Any,
    frame_step: Any,
    fft_length: Any = None,
    window_fn: Any = _HANN,
    pad_end: bool = False,
) -> Any:
    frames = _windowed(_frame(signals, frame_length, frame_step, pad_end), window_fn)
    size = 1 << (int(frame_length) - 1).bit_length() if fft_length is None else int(fft_length)
    return torch.fft.rfft(frames, size)


@in_tensorflow("signal.inverse_stft")
def _inverse_stft(
    stfts: Any,
    frame_length: Any,
    frame_step: Any,
    fft_length: Any = None,
    window_fn: Any = _HANN,
) -> Any:
    size = 1 << (int(frame_length) - 1).bit_length() if fft_length is None else int(fft_length)
    frames = torch.fft.irfft(tensor(stfts), size)[..., : int(frame_length)]
    return _overlap_and_add(_windowed(frames, window_fn), frame_step)


@in_tensorflow("signal.overlap_and_add")
def _overlap_and_add(signal: Any, frame_step: Any) -> Any:
    x, step = tensor(signal), int(frame_step)
    count, length = x.shape[-2:]
    size = (count - 1) * step + length
    flat = x.reshape(-1, count, length).transpose(1, 2)
    whole = F.fold(flat, (1, size), (1, length), stride=(1, step))
    return whole.reshape(*x.shape[:-2], size)
