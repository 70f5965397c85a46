"""`tf.signal` and `tf.audio`: spectra and frames by torch, sound files by Python's `wave`."""

from __future__ import annotations

import io
import wave
from typing import Any, NamedTuple

import numpy as np
import torch

from ...config import default_device
from ...dtypes import to_numpy, to_torch
from .tables import named, unary
from .tensors import StringTensor, as_tensor, tensor_or_symbol

__all__ = ["AUDIO", "SIGNAL"]

t = tensor_or_symbol


def _frame(
    signal: Any,
    frame_length: int,
    frame_step: int,
    pad_end: bool = False,
    pad_value: float = 0,
    axis: int = -1,
    name: str | None = None,
) -> torch.Tensor:
    x = t(signal).movedim(axis, -1)
    if pad_end:
        count = -(-x.shape[-1] // frame_step)
        missing = max(0, (count - 1) * frame_step + frame_length - x.shape[-1])
        x = torch.nn.functional.pad(x, (0, missing), value=pad_value)
    if x.shape[-1] < frame_length:
        return x.new_zeros(*x.shape[:-1], 0, frame_length)
    return x.unfold(-1, frame_length, frame_step)


def _window(make: Any) -> Any:
    def apply(
        window_length: int, periodic: bool = True, dtype: Any = torch.float32, name: str = ""
    ) -> torch.Tensor:
        dtype = to_torch(dtype)
        return make(int(window_length), periodic=periodic, dtype=dtype, device=default_device())

    return apply


_hann_window = _window(torch.hann_window)


def _stft(
    signals: Any,
    frame_length: int,
    frame_step: int,
    fft_length: int | None = None,
    window_fn: Any = _hann_window,
    pad_end: bool = False,
    name: str | None = None,
) -> torch.Tensor:
    frames = _frame(signals, frame_length, frame_step, pad_end)
    if window_fn is not None:
        frames = frames * window_fn(frame_length, dtype=frames.dtype).to(frames.device)
    if fft_length is None:
        fft_length = 1 << (int(frame_length) - 1).bit_length()
    return torch.fft.rfft(frames, int(fft_length))


def _overlap_and_add(signal: Any, frame_step: int, name: str | None = None) -> torch.Tensor:
    """Add frames `(..., frames, length)` up, each `frame_step` after the one before."""
    x = t(signal)
    count, length = x.shape[-2:]
    size = (count - 1) * int(frame_step) + length
    flat = x.reshape(-1, count, length).transpose(1, 2)
    whole = torch.nn.functional.fold(flat, (1, size), (1, length), stride=(1, int(frame_step)))
    return whole.reshape(*x.shape[:-2], size)


def _inverse_stft(
    stfts: Any,
    frame_length: int,
    frame_step: int,
    fft_length: int | None = None,
    window_fn: Any = _hann_window,
    name: str | None = None,
) -> torch.Tensor:
    frames = torch.fft.irfft(t(stfts), None if fft_length is None else int(fft_length))
    frames = frames[..., :frame_length]
    if window_fn is not None:
        frames = frames * window_fn(frame_length, dtype=frames.dtype).to(frames.device)
    return _overlap_and_add(frames, frame_step)


def _dct(
    input: Any,
    type: int = 2,
    n: int | None = None,
    axis: int = -1,
    norm: Any = None,
    name: str = "",
) -> torch.Tensor:
    if type != 2 or n is not None or axis != -1:
        raise NotImplementedError("tf.signal.dct: type 2 over a whole last axis is what there is.")
    x = t(input)
    size = x.shape[-1]
    places = torch.arange(size, dtype=x.dtype, device=x.device)
    waves = 2 * torch.cos(torch.pi / size * (places[:, None] + 0.5) * places)
    if norm == "ortho":
        waves = waves / (2 * size) ** 0.5
        waves[:, 0] /= 2**0.5
    return x @ waves


def _mfccs(log_mel_spectrograms: Any, name: str | None = None) -> torch.Tensor:
    x = t(log_mel_spectrograms)
    return _dct(x) / (2 * x.shape[-1]) ** 0.5


def _mel_weights(
    num_mel_bins: int = 20,
    num_spectrogram_bins: int = 129,
    sample_rate: float = 8000,
    lower_edge_hertz: float = 125.0,
    upper_edge_hertz: float = 3800.0,
    dtype: Any = torch.float32,
    name: str | None = None,
) -> torch.Tensor:
    """Weights `(spectrogram bins, mel bins)` of triangles on the mel scale."""

    def mel(hertz: Any) -> torch.Tensor:
        return 1127.0 * torch.log1p(torch.as_tensor(hertz, dtype=torch.float64) / 700.0)

    bins = mel(torch.linspace(0.0, float(sample_rate) / 2, num_spectrogram_bins).double())
    edges = torch.linspace(
        float(mel(lower_edge_hertz)), float(mel(upper_edge_hertz)), num_mel_bins + 2
    ).double()
    lower, center, upper = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, None] - lower) / (center - lower)
    falling = (upper - bins[:, None]) / (upper - center)
    weights = torch.minimum(rising, falling).clamp_min(0.0)
    weights[0] = 0.0  # the bin of frequency zero belongs to no band
    return weights.to(default_device(), to_torch(dtype))


SIGNAL: dict[str, Any] = {
    "fft": unary(torch.fft.fft),
    "ifft": unary(torch.fft.ifft),
    "fft2d": unary(torch.fft.fft2),
    "ifft2d": unary(torch.fft.ifft2),
    "rfft": lambda input_tensor, fft_length=None, name=None: torch.fft.rfft(
        t(input_tensor), None if fft_length is None else int(as_tensor(fft_length).reshape(-1)[0])
    ),
    "irfft": lambda input_tensor, fft_length=None, name=None: torch.fft.irfft(
        t(input_tensor), None if fft_length is None else int(as_tensor(fft_length).reshape(-1)[0])
    ),
    "fftshift": lambda x, axes=None, name=None: torch.fft.fftshift(t(x), axes),
    "ifftshift": lambda x, axes=None, name=None: torch.fft.ifftshift(t(x), axes),
    "dct": _dct,
    "frame": _frame,
    "hamming_window": _window(torch.hamming_window),
    "hann_window": _hann_window,
    "inverse_stft": _inverse_stft,
    "linear_to_mel_weight_matrix": _mel_weights,
    "mfccs_from_log_mel_spectrograms": _mfccs,
    "overlap_and_add": _overlap_and_add,
    "stft": _stft,
}


# Sound files --------------------------------------------------------------------------------------


class DecodedWave(NamedTuple):
    """Samples `(samples, channels)` between -1 and 1, and how many of them a second has."""

    audio: torch.Tensor
    sample_rate: torch.Tensor


def _decode_wav(
    contents: Any, desired_channels: int = -1, desired_samples: int = -1, name: str | None = None
) -> DecodedWave:
    with wave.open(io.BytesIO(StringTensor(contents).item())) as file:
        if file.getsampwidth() != 2:
            raise ValueError(
                f"tf.audio.decode_wav: samples have 16 bits. Received: {8 * file.getsampwidth()}"
            )
        channels, rate = file.getnchannels(), file.getframerate()
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, channels)
    audio = as_tensor(samples.astype(np.float32) / 32768)
    if desired_channels > 0:
        audio = audio.expand(-1, desired_channels) if channels == 1 else audio[:, :desired_channels]
    if desired_samples > 0:
        missing = max(0, desired_samples - len(audio))
        audio = torch.nn.functional.pad(audio, (0, 0, 0, missing))[:desired_samples]
    return DecodedWave(audio, torch.tensor(rate, dtype=torch.int32))


def _encode_wav(audio: Any, sample_rate: Any, name: str | None = None) -> StringTensor:
    samples = to_numpy(as_tensor(audio))
    whole = np.clip(np.round(samples * 32768), -32768, 32767).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(int(sample_rate))
        file.writeframes(whole.tobytes())
    return StringTensor(buffer.getvalue())


AUDIO: dict[str, Any] = {"decode_wav": _decode_wav, "encode_wav": _encode_wav}

named(SIGNAL)
