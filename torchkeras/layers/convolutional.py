"""Convolutions: `Conv1D`, `Conv2D`, `Conv3D` over one N-d base, `BaseConv`.

Letters: B batch, C input channels, F filters, k window sizes. Inputs are `(B, spatial..., C)` or,
channels_first, `(B, C, spatial...)`. Kernels have Keras's shape `(k..., C / groups, F)`, and lie in
memory as `(F, k..., C / groups)`: torch's `(F, C / groups, k...)` in channels_last format. Inputs
and kernels are permuted views, so that a call copies neither. channels_last kernels are used for
channels_first inputs too: on a CPU, torch is 1.1 to 3 times faster with them.
Padding 'same' pads an odd total on the far side more, as TensorFlow does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..registry import builtin
from ._kernel import KernelLayer
from ._spatial import SpatialLayer, conv_output_shape, given_arguments

__all__ = ["BaseConv", "Conv1D", "Conv2D", "Conv3D"]

Shape = Sequence["int | None"]


class BaseConv(SpatialLayer, KernelLayer):
    """Convolution over `rank` axes; base of `Conv1D`, `Conv2D` and `Conv3D`.

    Args:
        rank: Number of spatial axes.
        filters: Number of output channels.
        kernel_size: Window size, one integer or one per axis.
        strides: Step between windows, one integer or one per axis.
        padding: "valid" (none), "same" (output has `ceil(size / stride)` steps), or for one axis
            "causal" (no output sees a later input).
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        dilation_rate: Step between the elements of a window.
        groups: Number of channel groups convolved separately.
        activation: Function, name or layer applied to the result; `None` for none.
        use_bias: Whether a bias per filter is added.
        kernel_initializer, bias_initializer: First values of the weights.
        kernel_regularizer, bias_regularizer, activity_regularizer: Penalties added to the loss.
        kernel_constraint, bias_constraint: Projections of the weights after each update.
        lora_rank, lora_alpha: Size and weight of low-rank adapters; see `enable_lora`.
        kwargs: Arguments of `Layer`.
    Shapes:
        inputs: `(B, spatial..., C)` or `(B, C, spatial...)`. Result: the same with F channels.
    Raises:
        ValueError: An argument is out of range, or channels and `groups` do not fit.
    Source: `keras.layers.Conv2D` (semantics), `torch.conv2d` (kernel).
    """

    def __init__(
        self,
        rank: int,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
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
            lora_rank=lora_rank,
            lora_alpha=lora_alpha,
            **kwargs,
        )
        self.filters = filters
        self.groups = groups
        self.use_bias = use_bias
        self._set_up_windows(
            rank, kernel_size, strides, padding, data_format, dilation_rate, allow_causal=rank == 1
        )
        self._check_arguments()
        self._own_convolution = type(self).convolution_op is not BaseConv.convolution_op

    def _check_arguments(self) -> None:
        self._check_positive("filters")
        if self.groups <= 0:
            raise self._error(
                f"The number of groups must be a positive integer. Received: groups={self.groups}"
            )
        if self.filters is not None and self.filters % self.groups:
            raise self._error(
                "The number of filters must be evenly divisible by the number of groups. Received:"
                f" groups={self.groups}, filters={self.filters}"
            )
        self._check_strides()

    def build(self, input_shape: Shape) -> None:
        """Make the kernel for the channels of `input_shape`."""
        channels = self._fix_channels(input_shape)
        self.compute_output_shape(input_shape)  # raises where no output is left
        if channels % self.groups:
            raise self._error(
                "the number of input channels must be a multiple of `groups`",
                input_shape=tuple(input_shape),
                groups=self.groups,
                data_format=self.data_format,
            )
        shape = (*self.kernel_size, channels // self.groups, self.filters)
        self.kernel = self._add_kernel(shape, layout=self._kernel_layout)
        self.bias = self._add_bias((self.filters,)) if self.use_bias else None
        self.built = True
        self._start_lora()

    def call(self, inputs: Tensor) -> Tensor:
        """Return `activation(convolution(inputs, kernel) + bias)`."""
        if self._own_convolution:
            x = self._add(self.convolution_op(inputs, self.kernel))
        else:
            weight = torch.permute(self.kernel, self._kernel_axes)
            x = self._convolve(inputs, weight, self.bias, self.groups)
        return self._activate(x)

    def convolution_op(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        """Convolve without bias and activation; subclasses may override this."""
        weight = torch.permute(kernel, self._kernel_axes)
        return self._convolve(inputs, weight, None, self.groups)

    def _add(self, x: Tensor) -> Tensor:
        if self.bias is None:
            return x
        ones = () if self.data_format == "channels_last" else (1,) * self.rank
        return x + self.bias.reshape(self.filters, *ones)

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        """The input's shape with the windows' count on the spatial axes and F channels."""
        return conv_output_shape(
            input_shape,
            self.filters,
            self.kernel_size,
            self.strides,
            self.padding,
            self.data_format,
            self.dilation_rate,
        )


@builtin("keras.layers.Conv1D", "keras.layers.Convolution1D")
class Conv1D(BaseConv):
    """Convolution along one axis, such as time; see `BaseConv` for the arguments.

    Args:
        filters: Number of output channels.
        kernel_size: Window size.
        strides: Step between windows.
        padding: "valid", "same" or "causal".
        kwargs: Arguments of `BaseConv` and `Layer`.

    Example:
        >>> Conv1D(4, 3, padding="causal")(torch.ones(2, 10, 5)).shape
        torch.Size([2, 10, 4])
    """

    _keras_memory = "channels_first"

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        groups: int = 1,
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


@builtin("keras.layers.Conv2D", "keras.layers.Convolution2D")
class Conv2D(BaseConv):
    """Convolution of images; see `BaseConv` for the arguments.

    Args:
        filters: Number of output channels.
        kernel_size: Window height and width.
        strides: Step between windows.
        padding: "valid" or "same".
        kwargs: Arguments of `BaseConv` and `Layer`.

    Example:
        >>> Conv2D(4, 3, strides=2, padding="same")(torch.ones(2, 9, 9, 3)).shape
        torch.Size([2, 5, 5, 4])
    """

    _keras_memory = "row_major_first"

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = (1, 1),
        groups: int = 1,
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


@builtin("keras.layers.Conv3D", "keras.layers.Convolution3D")
class Conv3D(BaseConv):
    """Convolution of volumes; see `BaseConv` for the arguments.

    Args:
        filters: Number of output channels.
        kernel_size: Window size along the three axes.
        strides: Step between windows.
        padding: "valid" or "same".
        kwargs: Arguments of `BaseConv` and `Layer`.

    Example:
        >>> Conv3D(4, 3)(torch.ones(2, 5, 6, 7, 3)).shape
        torch.Size([2, 3, 4, 5, 4])
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = (1, 1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = (1, 1, 1),
        groups: int = 1,
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
