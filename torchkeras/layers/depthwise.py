"""Depthwise and separable convolutions: each channel by itself, then perhaps a mixture.

Letters: B batch, C input channels, M the depth multiplier, F filters, k window sizes. Inputs are
`(B, spatial..., C)` or, channels_first, `(B, C, spatial...)`. Depthwise kernels have Keras's shape
`(k..., C, M)`, and lie in memory as `(C, M, k...)`: torch's `(C * M, 1, k...)` of a convolution
with C groups, seen without a copy. Pointwise kernels, `(1..., C * M, F)`, lie as those of `Conv2D`.
Source: Chollet 2017 (Xception).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..activations import get as get_activation
from ..registry import builtin
from ..variables import Variable
from ._kernel import keep_options, make_weight
from ._spatial import SpatialLayer, conv_output_shape, given_arguments

__all__ = [
    "BaseDepthwiseConv",
    "BaseSeparableConv",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "SeparableConv1D",
    "SeparableConv2D",
]

Shape = Sequence["int | None"]
Size = int | Sequence[int]


class _Depthwise(SpatialLayer):
    """What both families do to each channel by itself."""

    def _set_up_windows(self, rank: int, *arguments: Any, **options: Any) -> None:
        super()._set_up_windows(rank, *arguments, **options)
        self._depthwise_axes = (rank, rank + 1, *range(rank))

    def _add_depthwise_kernel(self, channels: int, name: str) -> Variable:
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        return make_weight(self, "depthwise", shape, name, layout=self._depthwise_axes)

    def _convolve_channels(self, x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
        weight = torch.permute(kernel, self._depthwise_axes)
        if self.depth_multiplier > 1:
            weight = weight.flatten(0, 1).unsqueeze(1)
        return self._convolve(x, weight, bias, kernel.shape[-2])

    def _output_shape(self, input_shape: Shape, channels: int | None) -> tuple[int | None, ...]:
        return conv_output_shape(
            input_shape,
            channels,
            self.kernel_size,
            self.strides,
            self.padding,
            self.data_format,
            self.dilation_rate,
        )


class BaseDepthwiseConv(_Depthwise):
    """Convolution of each channel by itself over `rank` axes.

    Args:
        rank: Number of spatial axes.
        depth_multiplier: Number M of output channels per input channel.
        kernel_size: Window size, one integer or one per axis.
        strides: Step between windows, one integer or one per axis.
        padding: "valid" (none) or "same" (output has `ceil(size / stride)` steps).
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        dilation_rate: Step between the elements of a window.
        activation: Function, name or layer applied to the result; `None` for none.
        use_bias: Whether a bias per output channel is added.
        depthwise_initializer, bias_initializer: First values of the weights.
        depthwise_regularizer, bias_regularizer, activity_regularizer: Penalties added to the loss.
        depthwise_constraint, bias_constraint: Projections of the weights after each update.
        kwargs: Arguments of `Layer`.
    Shapes:
        inputs: `(B, spatial..., C)` or `(B, C, spatial...)`. Result: the same with `C * M`
        channels, those of one input channel side by side.
    Raises:
        ValueError: An argument is out of range.
    Source: `keras.layers.DepthwiseConv2D` (semantics), `torch.conv2d` (kernel).
    """

    def __init__(
        self,
        rank: int,
        depth_multiplier: int,
        kernel_size: Size,
        strides: Size = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Size = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        trainable: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            trainable=trainable, name=name, activity_regularizer=activity_regularizer, **kwargs
        )
        self.depth_multiplier = depth_multiplier
        self.activation = get_activation(activation)
        self.use_bias = use_bias
        keep_options(
            self, "depthwise", depthwise_initializer, depthwise_regularizer, depthwise_constraint
        )
        keep_options(self, "bias", bias_initializer, bias_regularizer, bias_constraint)
        self._set_up_windows(rank, kernel_size, strides, padding, data_format, dilation_rate)
        self._check_positive("depth_multiplier")

    def build(self, input_shape: Shape) -> None:
        """Make the kernel for the channels of `input_shape`."""
        channels = self._fix_channels(input_shape)
        self.compute_output_shape(input_shape)  # raises where no output is left
        self.kernel = self._add_depthwise_kernel(channels, "kernel")
        self.bias = None
        if self.use_bias:
            self.bias = make_weight(self, "bias", (self.depth_multiplier * channels,))

    def call(self, inputs: Tensor) -> Tensor:
        """Return `activation(depthwise_convolution(inputs, kernel) + bias)`."""
        return self._activate(self._convolve_channels(inputs, self.kernel, self.bias))

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        """The input's shape with the windows' count on the spatial axes and `C * M` channels."""
        channels = input_shape[self._channel_axis]
        made = None if channels is None else channels * self.depth_multiplier
        return self._output_shape(input_shape, made)


class BaseSeparableConv(_Depthwise):
    """Convolution of each channel by itself over `rank` axes, then a mixture at each point.

    Args:
        rank: Number of spatial axes.
        depth_multiplier: Number M of channels between the two steps per input channel.
        filters: Number of output channels.
        kernel_size: Window size, one integer or one per axis.
        strides: Step between windows, one integer or one per axis.
        padding: "valid" (none) or "same" (output has `ceil(size / stride)` steps); of series also
            "causal" (zeros before them only), as in Keras 2.
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        dilation_rate: Step between the elements of a window.
        activation: Function, name or layer applied to the result; `None` for none.
        use_bias: Whether a bias per filter is added.
        depthwise_initializer, pointwise_initializer, bias_initializer: First values of the weights.
        depthwise_regularizer, pointwise_regularizer, bias_regularizer, activity_regularizer:
            Penalties added to the loss.
        depthwise_constraint, pointwise_constraint, bias_constraint: Projections of the weights
            after each update.
        kwargs: Arguments of `Layer`.
    Shapes:
        inputs: `(B, spatial..., C)` or `(B, C, spatial...)`. Result: the same with F channels.
    Raises:
        ValueError: An argument is out of range.
    Source: `keras.layers.SeparableConv2D` (semantics), `torch.conv2d` (kernel).
    """

    def __init__(
        self,
        rank: int,
        depth_multiplier: int,
        filters: int,
        kernel_size: Size,
        strides: Size = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Size = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        trainable: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            trainable=trainable, name=name, activity_regularizer=activity_regularizer, **kwargs
        )
        self.depth_multiplier = depth_multiplier
        self.filters = filters
        self.activation = get_activation(activation)
        self.use_bias = use_bias
        keep_options(
            self, "depthwise", depthwise_initializer, depthwise_regularizer, depthwise_constraint
        )
        keep_options(
            self, "pointwise", pointwise_initializer, pointwise_regularizer, pointwise_constraint
        )
        keep_options(self, "bias", bias_initializer, bias_regularizer, bias_constraint)
        windows = (kernel_size, strides, padding, data_format, dilation_rate)
        self._set_up_windows(rank, *windows, allow_causal=rank == 1)
        self._check_positive("depth_multiplier")
        self._check_positive("filters")

    def build(self, input_shape: Shape) -> None:
        """Make the kernels for the channels of `input_shape`."""
        channels = self._fix_channels(input_shape)
        self.compute_output_shape(input_shape)  # raises where no output is left
        self.depthwise_kernel = self._add_depthwise_kernel(channels, "depthwise_kernel")
        self.pointwise_kernel = make_weight(
            self,
            "pointwise",
            (*[1] * self.rank, self.depth_multiplier * channels, self.filters),
            "pointwise_kernel",
            layout=self._kernel_layout,
        )
        self.bias = make_weight(self, "bias", (self.filters,)) if self.use_bias else None

    def call(self, inputs: Tensor) -> Tensor:
        """Return `activation(pointwise(depthwise_convolution(inputs)) + bias)`."""
        x = self._convolve_channels(inputs, self.depthwise_kernel, None)
        return self._activate(self._mix(x, self.pointwise_kernel, self.bias))

    def _mix(self, x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
        if self._to_first is not None:
            x = torch.permute(x, self._to_first)
        x = self._torch_convolution(x, torch.permute(kernel, self._kernel_axes), bias)
        return x if self._to_first is None else torch.permute(x, self._to_last)

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        """The input's shape with the windows' count on the spatial axes and F channels."""
        return self._output_shape(input_shape, self.filters)


@builtin("keras.layers.DepthwiseConv1D")
class DepthwiseConv1D(BaseDepthwiseConv):
    """Convolution of each channel of series by itself; see `BaseDepthwiseConv` for the arguments.

    Args:
        kernel_size: Window size.
        strides: Step between windows.
        padding: "valid" or "same".
        depth_multiplier: Number of output channels per input channel.
        kwargs: Arguments of `BaseDepthwiseConv` and `Layer`.

    Example:
        >>> DepthwiseConv1D(3, depth_multiplier=2)(torch.ones(2, 10, 5)).shape
        torch.Size([2, 8, 10])
    """

    _keras_memory = "channels_first"

    def __init__(
        self,
        kernel_size: Size,
        strides: Size = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Size = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(rank=1, **given_arguments(locals()))


@builtin("keras.layers.DepthwiseConv2D")
class DepthwiseConv2D(BaseDepthwiseConv):
    """Convolution of each channel of images by itself; see `BaseDepthwiseConv` for the arguments.

    Args:
        kernel_size: Window height and width.
        strides: Step between windows.
        padding: "valid" or "same".
        depth_multiplier: Number of output channels per input channel.
        kwargs: Arguments of `BaseDepthwiseConv` and `Layer`.

    Example:
        >>> DepthwiseConv2D(3, strides=2, padding="same")(torch.ones(2, 9, 9, 3)).shape
        torch.Size([2, 5, 5, 3])
    """

    _keras_memory = "row_major"

    def __init__(
        self,
        kernel_size: Size,
        strides: Size = (1, 1),
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Size = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(rank=2, **given_arguments(locals()))


@builtin("keras.layers.SeparableConv1D", "keras.layers.SeparableConvolution1D")
class SeparableConv1D(BaseSeparableConv):
    """Separable convolution of series; see `BaseSeparableConv` for the arguments.

    Args:
        filters: Number of output channels.
        kernel_size: Window size.
        strides: Step between windows.
        padding: "valid" or "same".
        depth_multiplier: Number of channels between the two steps per input channel.
        kwargs: Arguments of `BaseSeparableConv` and `Layer`.

    Example:
        >>> SeparableConv1D(4, 3)(torch.ones(2, 10, 5)).shape
        torch.Size([2, 8, 4])
    """

    _keras_memory = "channels_first"

    def __init__(
        self,
        filters: int,
        kernel_size: Size,
        strides: Size = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Size = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(rank=1, **given_arguments(locals()))


@builtin("keras.layers.SeparableConv2D", "keras.layers.SeparableConvolution2D")
class SeparableConv2D(BaseSeparableConv):
    """Separable convolution of images; see `BaseSeparableConv` for the arguments.

    Args:
        filters: Number of output channels.
        kernel_size: Window height and width.
        strides: Step between windows.
        padding: "valid" or "same".
        depth_multiplier: Number of channels between the two steps per input channel.
        kwargs: Arguments of `BaseSeparableConv` and `Layer`.

    Example:
        >>> SeparableConv2D(4, 3, strides=2, padding="same")(torch.ones(2, 9, 9, 3)).shape
        torch.Size([2, 5, 5, 4])
    """

    _keras_memory = "row_major_first"

    def __init__(
        self,
        filters: int,
        kernel_size: Size,
        strides: Size = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Size = (1, 1),
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(rank=2, **given_arguments(locals()))
