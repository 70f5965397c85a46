"""Transposed convolutions: `Conv1DTranspose`, `Conv2DTranspose`, `Conv3DTranspose`.

Letters: B batch, C input channels, F filters, k window sizes. Inputs are `(B, spatial..., C)` or,
channels_first, `(B, C, spatial...)`. Kernels have Keras's shape `(k..., F, C)`, and lie in memory
as `(C, k..., F)`: torch's `(C, F, k...)` in channels_last format, seen without a copy.
Padding 'same' is TensorFlow's: an odd total is cut off the far side more.
Source: Zeiler et al. 2010.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..ops.windows import standardize_tuple, transposed_padding
from ..registry import builtin
from ._kernel import KernelLayer
from ._spatial import SpatialLayer, conv_transpose_output_shape, given_arguments, promoted

__all__ = ["BaseConvTranspose", "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"]

Shape = Sequence["int | None"]


def _transpose_series(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    strides: tuple[int, ...],
    padding: tuple[int, ...],
    output_padding: tuple[int, ...],
    groups: int,
    dilation: tuple[int, ...],
) -> Tensor:
    """`F.conv_transpose1d` by way of images one pixel high, as in `_spatial`."""
    steps = (1, *strides), (0, *padding), (0, *output_padding), groups, (1, *dilation)
    return F.conv_transpose2d(x.unsqueeze(2), weight.unsqueeze(2), bias, *steps).squeeze(2)


_CONVOLUTIONS: dict[int, Callable[..., Tensor]] = {
    1: _transpose_series,
    2: F.conv_transpose2d,
    3: F.conv_transpose3d,
}


class BaseConvTranspose(SpatialLayer, KernelLayer):
    """Transposed convolution over `rank` axes: the gradient of a convolution, used to enlarge.

    Args:
        rank: Number of spatial axes.
        filters: Number of output channels.
        kernel_size: Window size, one integer or one per axis.
        strides: Step between windows of the result, one integer or one per axis.
        padding: "valid" (all that the windows reach) or "same" (`size * stride` steps).
        output_padding: Steps added on the far side, fewer than `strides`. Default: what makes up
            the size above.
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        dilation_rate: Step between the elements of a window.
        activation: Function, name or layer applied to the result; `None` for none.
        use_bias: Whether a bias per filter is added.
        kernel_initializer, bias_initializer: First values of the weights.
        kernel_regularizer, bias_regularizer, activity_regularizer: Penalties added to the loss.
        kernel_constraint, bias_constraint: Projections of the weights after each update.
        kwargs: Arguments of `Layer`.
    Shapes:
        inputs: `(B, spatial..., C)` or `(B, C, spatial...)`. Result: the same with F channels.
    Raises:
        ValueError: An argument is out of range.
    Source: `keras.layers.Conv2DTranspose` (semantics), `torch.nn.functional.conv_transpose2d`.
    """

    _keras_memory = "channels_first"

    def __init__(
        self,
        rank: int,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        output_padding: int | Sequence[int] | None = None,
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        trainable: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            activation=activation,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            trainable=trainable,
            name=name,
            **kwargs,
        )
        self.filters = filters
        self.use_bias = use_bias
        self._set_up_windows(rank, kernel_size, strides, padding, data_format, dilation_rate)
        if output_padding is not None:
            output_padding = standardize_tuple(
                output_padding, rank, "output_padding", allow_zero=True
            )
        self.output_padding = output_padding
        self._check_positive("filters")
        self._check_strides()
        self._check_output_padding()
        self._transpose = _CONVOLUTIONS[rank]
        extra = (None,) * rank if output_padding is None else output_padding
        windows = zip(self.kernel_size, self.strides, self.dilation_rate, extra, strict=True)
        cuts = [transposed_padding(*window, same=self.padding == "same") for window in windows]
        # Since `output_padding` is below `strides`, torch adds all that is to be added, bias
        # included; what it cannot is to cut the far side more than the near one.
        self._both, self._far, rest = zip(*cuts, strict=True)
        self._cut = None
        if any(rest):
            self._cut = (..., *(slice(0, -steps if steps else None) for steps in rest))

    def _check_output_padding(self) -> None:
        if self.output_padding is None:
            return
        for extra, stride in zip(self.output_padding, self.strides, strict=True):
            if extra >= stride:
                raise self._error(
                    "`output_padding` must be strictly less than `strides` on every axis",
                    output_padding=self.output_padding,
                    strides=self.strides,
                )

    def build(self, input_shape: Shape) -> None:
        """Make the kernel for the channels of `input_shape`."""
        channels = self._fix_channels(input_shape)
        shape = (*self.kernel_size, self.filters, channels)
        self.kernel = self._add_kernel(shape, layout=self._kernel_layout)
        self.bias = self._add_bias((self.filters,)) if self.use_bias else None
        self.built = True
        self._start_lora()

    def call(self, inputs: Tensor) -> Tensor:
        """Return `activation(transposed_convolution(inputs, kernel) + bias)`."""
        x, kernel, bias = inputs, self.kernel, self.bias
        if x.dtype is not kernel.dtype:
            x, kernel, bias = promoted(x, kernel, bias)
        if self._to_first is not None:
            x = torch.permute(x, self._to_first)
        weight = torch.permute(kernel, self._kernel_axes)
        x = self._transpose(
            x, weight, bias, self.strides, self._both, self._far, 1, self.dilation_rate
        )
        if self._cut is not None:
            x = x[self._cut]
        return self._activate(x if self._to_first is None else torch.permute(x, self._to_last))

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        """The input's shape with the enlarged spatial axes and F channels."""
        return conv_transpose_output_shape(
            input_shape,
            self.filters,
            self.kernel_size,
            self.strides,
            self.padding,
            self.output_padding,
            self.data_format,
            self.dilation_rate,
        )


@builtin("keras.layers.Conv1DTranspose", "keras.layers.Convolution1DTranspose")
class Conv1DTranspose(BaseConvTranspose):
    """Transposed convolution of series; see `BaseConvTranspose` for the arguments.

    Args:
        filters: Number of output channels.
        kernel_size: Window size.
        strides: Step between windows of the result.
        padding: "valid" or "same".
        kwargs: Arguments of `BaseConvTranspose` and `Layer`.

    Example:
        >>> Conv1DTranspose(4, 3, strides=2, padding="same")(torch.ones(2, 5, 3)).shape
        torch.Size([2, 10, 4])
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        output_padding: int | Sequence[int] | None = None,
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(rank=1, **given_arguments(locals()))


@builtin("keras.layers.Conv2DTranspose", "keras.layers.Convolution2DTranspose")
class Conv2DTranspose(BaseConvTranspose):
    """Transposed convolution of images; see `BaseConvTranspose` for the arguments.

    Args:
        filters: Number of output channels.
        kernel_size: Window height and width.
        strides: Step between windows of the result.
        padding: "valid" or "same".
        kwargs: Arguments of `BaseConvTranspose` and `Layer`.

    Example:
        >>> Conv2DTranspose(4, 3, strides=2, padding="same")(torch.ones(2, 5, 6, 3)).shape
        torch.Size([2, 10, 12, 4])
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = (1, 1),
        padding: str = "valid",
        output_padding: int | Sequence[int] | None = None,
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(rank=2, **given_arguments(locals()))


@builtin("keras.layers.Conv3DTranspose", "keras.layers.Convolution3DTranspose")
class Conv3DTranspose(BaseConvTranspose):
    """Transposed convolution of volumes; see `BaseConvTranspose` for the arguments.

    Args:
        filters: Number of output channels.
        kernel_size: Window size along the three axes.
        strides: Step between windows of the result.
        padding: "valid" or "same".
        kwargs: Arguments of `BaseConvTranspose` and `Layer`.

    Example:
        >>> Conv3DTranspose(4, 2, strides=2)(torch.ones(2, 3, 4, 5, 3)).shape
        torch.Size([2, 6, 8, 10, 4])
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = (1, 1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        output_padding: int | Sequence[int] | None = None,
        dilation_rate: int | Sequence[int] = (1, 1, 1),
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(rank=3, **given_arguments(locals()))
