"""Layers of Keras 2 that convolve with another kernel at each place.

Keras 3 has none; models in old files and scripts do. Letters: B batch, C channels, F filters, L
places of the output, k window sizes.
Source: `tf_keras.layers.LocallyConnected1D` (arguments, shapes of the weights).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
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
        if self.padding != "valid" or implementation != 1:
            raise NotImplementedError(
                explain(
                    f"{type(self).__name__} '{self.name}': only `padding='valid'` and"
                    " `implementation=1` exist; the others keep their weights in another form.",
                    given=f"padding={padding!r}, implementation={implementation}",
                    fix="save the model anew with `implementation=1`, and pad with a layer before.",
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
        window = math.prod(self.kernel_size) * channels
        self.kernel = self._add_kernel((math.prod(places), window, filters))
        self.bias = self._add_bias((*places, filters)) if self.use_bias else None
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        """Return the products of each window with its own kernel."""
        axes = range(1, self.rank + 1)
        last = self.data_format == "channels_last"
        windows = inputs
        for axis, size, stride in zip(axes, self.kernel_size, self.strides, strict=True):
            windows = windows.unfold(axis if last else axis + 1, size, stride)
        places = windows.shape[1:-1][: self.rank] if last else windows.shape[2 : self.rank + 2]
        if last:  # (B, L..., C, k...): the kernel counts windows' places before channels
            windows = windows.movedim(self.rank + 1, -1).flatten(1, self.rank)
        else:
            windows = windows.movedim(1, self.rank + 1).flatten(1, self.rank)
        y = torch.einsum("blk,lkf->blf", windows.flatten(2), self.kernel)
        y = y.unflatten(1, places)
        if self.bias is not None:
            y = y + self.bias
        return self.activation(y if last else y.movedim(-1, 1))

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Return the batch, the places and the filters."""
        sizes = self._places_last(input_shape)[:-1]
        places = [
            None if n is None else (n - k) // s + 1
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
        padding: "valid" only.
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        activation, use_bias: As in `Conv1D`.
        implementation: 1 only, which is Keras 2's default.
        kwargs: Initializers, regularizers and constraints of `kernel` and `bias`, and arguments of
            `Layer`.
    Shapes: inputs `(B, steps, C)`; result `(B, L, filters)`.
    Raises:
        NotImplementedError: Another `padding` or `implementation`.

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
        padding: "valid" only.
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        activation, use_bias: As in `Conv2D`.
        implementation: 1 only, which is Keras 2's default.
        kwargs: Initializers, regularizers and constraints of `kernel` and `bias`, and arguments of
            `Layer`.
    Shapes: inputs `(B, rows, columns, C)`; result `(B, rows', columns', filters)`.
    Raises:
        NotImplementedError: Another `padding` or `implementation`.

    Example:
        >>> LocallyConnected2D(2, 3)(torch.ones(1, 5, 4, 3)).shape
        torch.Size([1, 3, 2, 2])
    """

    rank = 2
