"""Spectrograms of sound: `MelSpectrogram` by Fourier transforms, `STFTSpectrogram` by convolutions.

Letters: B batch, C channels, N samples, T frames, F frequency bins (`fft_length // 2 + 1`), M mel
bins. Frequencies are in hertz; the mel scale is HTK's, `1127 ln(1 + f / 700)`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..config import epsilon, standardize_data_format
from ..dtypes import as_tensor, standardize_dtype, to_torch
from ..initializers import STFT
from ..naming import explain
from ..ops.math import stft
from ..registry import builtin
from ..variables import Variable
from ._constant import Constant
from ._spatial import Padding, conv_output_shape
from .data_layer import DataLayer
from .encoding import check_option
from .input_spec import InputSpec
from .layer import Layer

__all__ = ["MelSpectrogram", "STFTSpectrogram"]

Shape = Sequence["int | None"]


def _mel(hertz: Tensor) -> Tensor:
    return 1127.0 * torch.log(1.0 + hertz / 700.0)


@builtin("keras.layers.MelSpectrogram")
class MelSpectrogram(DataLayer):
    """Turns sound into its power in bands that are as wide as the ear's, frame by frame.

    Args:
        fft_length: Samples in a Fourier transform.
        sequence_stride: Samples between frames.
        sequence_length: Samples in a frame. Default: `fft_length`.
        window: What frames are multiplied by: "hann", "hamming", values, or `None`.
        sampling_rate: Samples per second.
        num_mel_bins: The number of bands, M.
        min_freq, max_freq: The lowest and the highest frequency, in hertz. Default of the highest:
            half of the sampling rate.
        power_to_db: Whether the result is in decibels.
        top_db: How many decibels below the loudest of the batch quieter values are raised to.
        mag_exp: Power of the magnitude: 1 for itself, 2 for energy.
        min_power: The least power, before the logarithm.
        ref_power: The power that is 0 decibels.
        kwargs: Arguments of `Layer`.
    Shapes:
        inputs: `(B, N)` or `(N,)`. Result: `(B, M, T)` or `(M, T)`, with `T = 1 + N //
        sequence_stride`.
    Raises:
        ValueError: `fft_length` is below `sequence_length`.
    Source: `keras.layers.MelSpectrogram`; Young et al., The HTK Book, 5.4 (mel scale).

    Example:
        >>> MelSpectrogram(num_mel_bins=80, sequence_stride=128)(torch.zeros(2, 16000)).shape
        torch.Size([2, 80, 126])
    """

    def __init__(
        self,
        fft_length: int = 2048,
        sequence_stride: int = 512,
        sequence_length: int | None = None,
        window: Any = "hann",
        sampling_rate: int = 16000,
        num_mel_bins: int = 128,
        min_freq: float = 20.0,
        max_freq: float | None = None,
        power_to_db: bool = True,
        top_db: float = 80.0,
        mag_exp: float = 2.0,
        min_power: float = 1e-10,
        ref_power: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        sequence_length = sequence_length or fft_length
        if fft_length < sequence_length:
            raise ValueError(
                "`fft_length` must be greater than or equal to `sequence_length`. Received:"
                f" fft_length={fft_length}, sequence_length={sequence_length}"
            )
        self.window = window
        self.sequence_length = sequence_length
        self.sequence_stride = sequence_stride
        self.fft_length = fft_length
        self.sampling_rate = sampling_rate
        self.min_freq = min_freq
        self.max_freq = max_freq or int(sampling_rate / 2)
        self.num_mel_bins = num_mel_bins
        self.mag_exp = mag_exp
        self.power_to_db = power_to_db
        self.ref_power = ref_power
        self.min_power = min_power
        self.top_db = top_db
        self.__dict__["_bands"] = Constant(
            self.linear_to_mel_weight_matrix(
                num_mel_bins, fft_length // 2 + 1, sampling_rate, min_freq, self.max_freq
            )
        )

    def call(self, inputs: Any) -> Tensor:
        """Return the spectrogram."""
        double = self.compute_dtype == "float64"  # torch transforms no shorter floats than float32
        x = as_tensor(inputs, "float64" if double else "float32")
        real, imag = stft(
            x, self.sequence_length, self.sequence_stride, self.fft_length, self.window
        )
        power = real.square() + imag.square()
        if self.mag_exp != 2:
            power = power.pow(self.mag_exp / 2)
        power = power @ self._bands.like(power)
        if self.power_to_db:
            power = self._decibels(power)
        return power.transpose(-1, -2).to(to_torch(self.compute_dtype))

    def _decibels(self, power: Tensor) -> Tensor:
        reference = 10.0 * math.log10(max(abs(self.ref_power), self.min_power))
        decibels = 10.0 * power.clamp(min=self.min_power).log10() - reference
        return torch.maximum(decibels, decibels.max() - self.top_db)

    def linear_to_mel_weight_matrix(
        self,
        num_mel_bins: int = 20,
        num_spectrogram_bins: int = 129,
        sampling_rate: float = 8000,
        lower_edge_hertz: float = 125.0,
        upper_edge_hertz: float = 3800.0,
        dtype: Any = "float32",
    ) -> Tensor:
        """Return how much each frequency bin counts in each band.

        A band rises from 0 at the center of the one below to 1 at its own center, and falls to 0 at
        the center of the one above, linearly on the mel scale. Frequency 0 is in no band.

        Args:
            num_mel_bins: The number of bands, M.
            num_spectrogram_bins: The number of frequency bins, F, up to half of the sampling rate.
            sampling_rate: Samples per second.
            lower_edge_hertz, upper_edge_hertz: The lower end of the first band and the upper one of
                the last.
            dtype: Of the result.

        Returns:
            Weights `(F, M)`.

        Example:
            >>> MelSpectrogram().linear_to_mel_weight_matrix(2, 5).shape
            torch.Size([5, 2])
        """
        options = {"dtype": to_torch(dtype), "device": "cpu"}
        hertz = torch.linspace(0.0, sampling_rate / 2.0, num_spectrogram_bins, **options)
        ends = _mel(torch.tensor([lower_edge_hertz, upper_edge_hertz], **options))
        edges = torch.linspace(*ends.tolist(), num_mel_bins + 2, **options)
        lower, center, upper = edges[:-2], edges[1:-1], edges[2:]
        place = _mel(hertz)[:, None]
        rising = (place - lower) / (center - lower)
        falling = (upper - place) / (upper - center)
        weights = torch.minimum(rising, falling).clamp(min=0)
        weights[0] = 0
        return weights

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the spectrogram."""
        *batch, samples = input_shape
        frames = None if samples is None else 1 + samples // self.sequence_stride
        return (*batch, self.num_mel_bins, frames)


@builtin("keras.layers.STFTSpectrogram")
class STFTSpectrogram(Layer):
    """Turns sound into its short-time Fourier transform, by a convolution that can be trained.

    Args:
        mode: "log", "magnitude", "psd" (power spectral density), "real", "imag", "angle", or
            "stft" (real and imaginary parts, one after the other).
        frame_length: Samples in a frame.
        frame_step: Samples between frames. Default: half of a frame.
        fft_length: Samples in a transform. Default: the least power of two that holds a frame.
        window: What frames are multiplied by: a name known to `scipy.signal.get_window` (needs
            SciPy), or values.
        periodic: Whether a named window is periodic rather than symmetric.
        scaling: Divide by the window's L2 norm ("density"), L1 norm ("spectrum") or nothing
            (`None`).
        padding: "valid", or "same" for a frame at every step.
        expand_dims: Whether frequencies get an axis of their own, as images have.
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        kwargs: Arguments of `Layer`.
    Shapes:
        inputs: `(B, N, C)`, channels_first `(B, C, N)`. Result: `(B, T, C * F)`, expanded
            `(B, T, F, C)`; channels_first `(B, C * F, T)`, expanded `(B, C, T, F)`.
    Raises:
        TypeError: The inputs are not floats.
        ValueError: An argument is out of range.
    Source: `keras.layers.STFTSpectrogram`; `scipy.signal.spectrogram` (scaling).

    Example:
        >>> layer = STFTSpectrogram(mode="psd", frame_length=256, window=[1.0] * 256)
        >>> layer(torch.zeros(2, 1024, 1)).shape
        torch.Size([2, 7, 129])
    """

    _MODES = ("log", "magnitude", "psd", "real", "imag", "angle", "stft")

    def __init__(
        self,
        mode: str = "log",
        frame_length: int = 256,
        frame_step: int | None = None,
        fft_length: int | None = None,
        window: Any = "hann",
        periodic: bool = False,
        scaling: str | None = "density",
        padding: str = "valid",
        expand_dims: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        _check_lengths(frame_length, frame_step, fft_length)
        check_option(mode, self._MODES, "mode", "STFTSpectrogram")
        check_option(scaling, ("density", "spectrum", None), "scaling", "STFTSpectrogram")
        check_option(padding, ("valid", "same"), "padding", "STFTSpectrogram")
        STFT("real", window, scaling, periodic)  # refuses an unknown window now
        super().__init__(**kwargs)
        self.frame_length = frame_length
        self.frame_step = frame_step
        self.fft_length = fft_length
        self.__dict__["window"] = window  # it may be a list of values, which is no state
        self.scaling = scaling
        self.periodic = periodic
        self.mode = mode
        self.padding = padding
        self.data_format = standardize_data_format(data_format)
        self.expand_dims = expand_dims
        self.input_spec = InputSpec(ndim=3)
        self._frame_step = frame_step or frame_length // 2
        self._fft_length = fft_length or 2 ** math.ceil(math.log2(frame_length))
        self._bins = self._fft_length // 2 + 1
        self._zeros = Padding(padding, (frame_length,), (self._frame_step,), (1,))
        # All but the first and the last bin stand for a negative frequency too.
        sides = torch.full((self._bins, 1), 2.0, device="cpu")
        sides[0] = sides[-1] = 1.0
        self.__dict__["_sides"] = Constant(sides)

    def build(self, input_shape: Shape) -> None:
        """Make the kernels of the transform's parts."""
        if self.mode != "imag":
            self.real_kernel = self._kernel("real")
        if self.mode != "real":
            self.imag_kernel = self._kernel("imag")

    def _kernel(self, side: str) -> Variable:
        return self.add_weight(
            name=f"{side}_kernel",
            shape=(self.frame_length, 1, self._bins),
            initializer=STFT(side, self.window, self.scaling, self.periodic),
            layout=(2, 1, 0),
        )

    def call(self, inputs: Tensor) -> Tensor:
        """Return the spectrogram."""
        if not inputs.is_floating_point():
            raise TypeError(
                explain(
                    "Invalid input type. Expected `float16`, `float32` or `float64`.",
                    layer=repr(self.name),
                    given=standardize_dtype(inputs.dtype),
                    fix="convert the samples, for example with `.astype('float32') / 32768`.",
                )
            )
        if self.mode in ("real", "imag"):
            kernel = self.real_kernel if self.mode == "real" else self.imag_kernel
            return self._arranged(self._transformed(inputs, kernel))
        parts = self._transformed(inputs, torch.cat([self.real_kernel, self.imag_kernel], 2))
        if self.mode == "stft":
            return self._arranged(parts)
        real, imag = parts.split(self._bins, 2)
        if self.mode == "angle":
            return self._arranged(torch.atan2(imag, real))
        power = real.square() + imag.square()
        if self.mode == "psd":
            return self._arranged(power * self._sides.like(power))
        magnitude = self._arranged(power.clamp(min=epsilon()).sqrt())
        return magnitude if self.mode == "magnitude" else magnitude.clamp(min=epsilon()).log()

    def _transformed(self, x: Tensor, kernel: Tensor) -> Tensor:
        """Return the frames' products with a kernel, `(B, C, F, T)`; all channels share it."""
        x = x.transpose(1, 2) if self.data_format == "channels_last" else x
        batch, channels, samples = x.shape
        x, padding = self._zeros.apply(x.reshape(batch * channels, 1, samples))
        x = torch.conv1d(x, kernel.to(x.dtype).permute(2, 1, 0), None, self._frame_step, padding)
        return x.reshape(batch, channels, *x.shape[1:])

    def _arranged(self, x: Tensor) -> Tensor:
        """Bring `(B, C, F, T)` into the layout of the result."""
        last = self.data_format == "channels_last"
        if self.expand_dims:
            return x.permute((0, 3, 2, 1) if last else (0, 1, 3, 2))
        x = x.flatten(1, 2)
        return x.transpose(1, 2) if last else x

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the spectrogram."""
        last = self.data_format == "channels_last"
        channels = input_shape[-1] if last else input_shape[1]
        bins = self._bins * (2 if self.mode == "stft" else 1)
        batch, *rest = conv_output_shape(
            input_shape,
            None if channels is None else bins * channels,
            (self.frame_length,),
            (self._frame_step,),
            self.padding,
            self.data_format,
            (1,),
        )
        if not self.expand_dims:
            return (batch, *rest)
        return (batch, rest[0], bins, channels) if last else (batch, channels, rest[1], bins)


def _check_lengths(frame_length: int, frame_step: int | None, fft_length: int | None) -> None:
    if frame_step is not None and not 1 <= frame_step <= frame_length:
        raise ValueError(
            "`frame_step` should be a positive integer not greater than `frame_length`. Received:"
            f" frame_step={frame_step}, frame_length={frame_length}"
        )
    if fft_length is None:
        return
    if fft_length < frame_length:
        raise ValueError(
            "`fft_length` should be not less than `frame_length`. Received:"
            f" fft_length={fft_length}, frame_length={frame_length}"
        )
    if fft_length & (fft_length - 1):
        warnings.warn(
            f"`fft_length` is recommended to be a power of two. Received: fft_length={fft_length}",
            stacklevel=3,
        )
