"""Layers of Keras 2 that convolve with another kernel at each place.

Keras 3 has none; models in old files and scripts do. Letters: B batch, C channels, F filters, L
places of the output, k window sizes.
Source: `tf_keras.layers.LocallyConnected1D` (arguments, shapes of the weights).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..config import standardize_data_format
from ..naming import explain
from ..ops.windows import standardize_padding, standardize_tuple
from ..registry import builtin
from ._kernel import KernelLayer
from .input_spec import InputSpec

__all__ = ["LocallyConnected1D", "LocallyConnected2D"]


class _LocallyConnected(KernelLayer):
    rank: int

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        activation: Any = None,
        use_bias: bool = True,
        implementation: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(activation=activation, **kwargs)
        self.filters = filters
        self.kernel_size = standardize_tuple(kernel_size, self.rank, "kernel_size")
        self.strides = standardize_tuple(strides, self.rank, "strides")
        self.padding = standardize_padding(padding)
        self.data_format = standardize_data_format(data_format)
        self.use_bias = use_bias
        self.implementation = implementation
        if implementation not in (1, 2, 3) or (implementation == 1 and self.padding != "valid"):
            raise ValueError(
                explain(
                    f"{type(self).__name__} '{self.name}': the `implementation` must be 1, 2 or 3,"
                    " of which 1 takes `padding='valid'` only.",
                    given=f"padding={padding!r}, implementation={implementation}",
                    fix="pass `implementation=2`, or pad with a layer before.",
                )
            )
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Make one kernel and one bias for each place."""
        *places, filters = self._places_last(self.compute_output_shape(input_shape))
        channels = self._places_last(input_shape)[-1]
        if None in (*places, channels):
            raise ValueError(
                explain(
                    f"{type(self).__name__} '{self.name}' has weights for each place, so that the"
                    " sizes of its input must be known.",
                    given=f"input_shape={tuple(input_shape)}",
                    fix="give the model's `Input` its whole shape.",
                )
            )
        if self.implementation == 1:
            window = math.prod(self.kernel_size) * channels
            self.kernel = self._add_kernel((math.prod(places), window, filters))
        else:
            self._build_whole(self._places_last(input_shape)[:-1], places, channels)
        self.bias = self._add_bias((*places, filters)) if self.use_bias else None
        self.built = True

    def _build_whole(self, sizes: Sequence[int], places: Sequence[int], channels: int) -> None:
        """Make a kernel between input and output, and note where it has the weights of windows.

        Of 2 it is `(*input, *output)`, most of which does not count; of 3 it is a list of what
        does, ordered by the output, then the input.
        """
        pixel, within = np.zeros((), int), np.ones((), bool)
        for size, count, window, stride in zip(
            sizes, places, self.kernel_size, self.strides, strict=True
        ):
            # Keras 2 centres its windows at multiples of the stride, unlike other layers.
            before = window // 2 if self.padding == "same" else 0
            steps = np.arange(count)[:, None] * stride - before + np.arange(window)
            pixel = pixel[..., None, None] * size + steps
            within = within[..., None, None] & (steps >= 0) & (steps < size)
        turn = (*range(0, 2 * self.rank, 2), *range(1, 2 * self.rank, 2))
        pixel, within = (
            x.transpose(turn).reshape(math.prod(places), -1) for x in (pixel, within)
        )  # (L, k)
        inside, outside = math.prod(sizes) * channels, math.prod(places) * self.filters
        place, channel = np.arange(len(pixel))[:, None, None], np.arange(channels)
        if self.data_format == "channels_first":
            shape = (channels, *sizes, self.filters, *places)
            ins = channel[:, None] * math.prod(sizes) + pixel[:, None]  # (L, C, k)
            outs = np.arange(self.filters) * len(pixel) + place
            within = np.broadcast_to(within[:, None], ins.shape)
        else:
            shape = (*sizes, channels, *places, self.filters)
            ins = pixel[..., None] * channels + channel  # (L, k, C)
            outs = place * self.filters + np.arange(self.filters)
            within = np.broadcast_to(within[..., None], ins.shape)
        ins, within = (x.reshape(len(pixel), -1, 1) for x in (ins, within))
        if self.implementation == 2:
            self.kernel = self._add_kernel(shape)
            index = ins * outside + outs
        else:
            index = outs * inside + ins
            used = np.sort(index[np.broadcast_to(within, index.shape)])
            self.kernel = self._add_kernel((len(used),))
            index = np.searchsorted(used, index)
        # Beyond the border is the zero that `call` puts behind the kernel.
        index = np.where(within, index, math.prod(self.kernel.shape))
        index = torch.from_numpy(index).to(self.kernel.device)
        self.register_buffer("_index", index, persistent=False)

    def call(self, inputs: Tensor) -> Tensor:
        """Return the products of each window with its own kernel."""
        kernel = self.kernel
        if self.implementation != 1:
            kernel = F.pad(kernel.flatten(), (0, 1))[self._index]
        last = self.data_format == "channels_last"
        windows = inputs if self.padding == "valid" else self._padded(inputs)
        for axis, (size, stride) in enumerate(
            zip(self.kernel_size, self.strides, strict=True), 1 if last else 2
        ):
            windows = windows.unfold(axis, size, stride)
        places = windows.shape[1:-1][: self.rank] if last else windows.shape[2 : self.rank + 2]
        if last:  # (B, L..., C, k...): the kernel counts windows' places before channels
            windows = windows.movedim(self.rank + 1, -1).flatten(1, self.rank)
        else:
            windows = windows.movedim(1, self.rank + 1).flatten(1, self.rank)
        y = torch.einsum("blk,lkf->blf", windows.flatten(2), kernel)
        y = y.unflatten(1, places)
        if self.bias is not None:
            y = y + self.bias
        return self.activation(y if last else y.movedim(-1, 1))

    def _padded(self, inputs: Tensor) -> Tensor:
        """Add what the first and last windows of `padding="same"` reach beyond the border."""
        last = self.data_format == "channels_last"
        pads = [0, 0] if last else []
        sizes = inputs.shape[1:-1] if last else inputs.shape[2:]
        for size, window, stride in reversed(
            list(zip(sizes, self.kernel_size, self.strides, strict=True))
        ):
            before = window // 2
            end = (-(-size // stride) - 1) * stride - before + window
            pads += [before, max(end - size, 0)]
        return F.pad(inputs, pads)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Return the batch, the places and the filters."""
        sizes = self._places_last(input_shape)[:-1]
        places = [
            None if n is None else -(-n // s) if self.padding == "same" else (n - k) // s + 1
            for n, k, s in zip(sizes, self.kernel_size, self.strides, strict=True)
        ]
        if self.data_format == "channels_last":
            return (input_shape[0], *places, self.filters)
        return (input_shape[0], self.filters, *places)

    def _places_last(self, shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Return a shape without its batch, channels last."""
        _, *rest = shape
        return tuple(rest if self.data_format == "channels_last" else [*rest[1:], rest[0]])


@builtin("keras._legacy.layers.LocallyConnected1D", "keras.layers.LocallyConnected1D")
class LocallyConnected1D(_LocallyConnected):
    """Convolution of time series with another kernel at each step.

    Args:
        filters: Channels of the output.
        kernel_size: Steps of a window.
        strides: Steps between windows.
        padding: "valid", or "same" unless `implementation` is 1.
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        activation, use_bias: As in `Conv1D`.
        implementation: What the kernel is: 1, one of each place, `(L, k * C, F)`; 2, one between
            all of the input and all of the output, of which what is not connected does not count;
            3, those of its elements that count.
        kwargs: Initializers, regularizers and constraints of `kernel` and `bias`, and arguments of
            `Layer`.
    Shapes: inputs `(B, steps, C)`; result `(B, L, filters)`.
    Raises:
        ValueError: Another `implementation`, or `padding="same"` with 1.

    Example:
        >>> LocallyConnected1D(2, 3)(torch.ones(1, 5, 4)).shape
        torch.Size([1, 3, 2])
    """

    rank = 1


@builtin("keras._legacy.layers.LocallyConnected2D", "keras.layers.LocallyConnected2D")
class LocallyConnected2D(_LocallyConnected):
    """Convolution of images with another kernel at each place.

    Args:
        filters: Channels of the output.
        kernel_size: Rows and columns of a window.
        strides: Rows and columns between windows.
        padding: "valid", or "same" unless `implementation` is 1.
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        activation, use_bias: As in `Conv2D`.
        implementation: What the kernel is: 1, one of each place, `(L, k * C, F)`; 2, one between
            all of the input and all of the output, of which what is not connected does not count;
            3, those of its elements that count.
        kwargs: Initializers, regularizers and constraints of `kernel` and `bias`, and arguments of
            `Layer`.
    Shapes: inputs `(B, rows, columns, C)`; result `(B, rows', columns', filters)`.
    Raises:
        ValueError: Another `implementation`, or `padding="same"` with 1.

    Example:
        >>> LocallyConnected2D(2, 3)(torch.ones(1, 5, 4, 3)).shape
        torch.Size([1, 3, 2, 2])
    """

    rank = 2
