"""Convolutions: `Conv1D`, `Conv2D`, `Conv3D` over one N-d base, `BaseConv`.

Letters: B batch, C input channels, F filters, k window sizes. Inputs are `(B, spatial..., C)` or,
channels_first, `(B, C, spatial...)`. Kernels have Keras's shape `(k..., C / groups, F)`, and lie in
memory as `(F, k..., C / groups)`: torch's `(F, C / groups, k...)` in channels_last format. Inputs
and kernels are permuted views, so that a call copies neither. channels_last kernels are used for
channels_first inputs too: on a CPU, torch is 1.1 to 3 times faster with them.
Padding 'same' pads an odd total on the far side more, as TensorFlow does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..activations import KERNELS, linear
from ..config import standardize_data_format
from ..naming import explain
from ..ops.windows import (
    same_padding,
    standardize_padding,
    standardize_tuple,
    to_channels_first,
    to_channels_last,
    torch_padding,
)
from ..registry import builtin
from ..variables import Variable
from ._kernel import KernelLayer
from ._spatial import conv_output_shape
from .input_spec import InputSpec

__all__ = ["BaseConv", "Conv1D", "Conv2D", "Conv3D"]

Shape = Sequence["int | None"]
_CONVOLUTIONS: dict[int, Callable[..., Tensor]] = {
    1: torch.conv1d,
    2: torch.conv2d,
    3: torch.conv3d,
}


def _given(scope: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a constructor from its `locals()`, for passing them on by name."""
    own = {name: value for name, value in scope.items() if name not in _NOT_ARGUMENTS}
    return {**own, **scope["kwargs"]}


_NOT_ARGUMENTS = ("self", "__class__", "kwargs")


class _Padding:
    """How the spatial axes are padded: a constant for torch's kernel where there is one.

    Attributes:
        inner: Equal zeros on both sides of each axis, added inside torch's kernel; `None` where
            the zeros depend on the input's size.
        outer: Unequal zeros, constant, in the form of `F.pad`; `None` where not needed.
    """

    def __init__(
        self, mode: str, window: Sequence[int], strides: Sequence[int], dilation: Sequence[int]
    ) -> None:
        self.sizes = tuple(zip(window, strides, dilation, strict=True))
        self.inner: tuple[int, ...] | None = (0,) * len(window)
        self.outer: tuple[int, ...] | None = None
        if mode == "causal":
            self.outer = torch_padding([((k - 1) * d, 0) for k, _, d in self.sizes])
        elif mode == "same" and all(stride == 1 for stride in strides):
            pairs = [same_padding(0, *size) for size in self.sizes]
            if all(before == after for before, after in pairs):
                self.inner = tuple(before for before, _ in pairs)
            else:
                self.outer = torch_padding(pairs)
        elif mode == "same":
            self.inner = None
        self.constant = self.inner is not None and self.outer is None

    def apply(self, x: Tensor) -> tuple[Tensor, tuple[int, ...]]:
        """Pad `x` of shape `(B, C, spatial...)`, or leave that to the kernel.

        Returns:
            The tensor, and the zeros that torch's kernel must still add.
        """
        if self.outer is not None:
            return F.pad(x, self.outer), self.inner
        pairs = [same_padding(n, *size) for n, size in zip(x.shape[2:], self.sizes, strict=True)]
        if all(before == after for before, after in pairs):
            return x, tuple(before for before, _ in pairs)
        return F.pad(x, torch_padding(pairs)), (0,) * len(pairs)


class BaseConv(KernelLayer):
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
            **kwargs,
        )
        self.rank = rank
        self.filters = filters
        self.groups = groups
        self.kernel_size = standardize_tuple(kernel_size, rank, "kernel_size")
        self.strides = standardize_tuple(strides, rank, "strides")
        self.dilation_rate = standardize_tuple(dilation_rate, rank, "dilation_rate")
        self.padding = standardize_padding(padding, allow_causal=rank == 1)
        self.data_format = standardize_data_format(data_format)
        self.use_bias = use_bias
        self.input_spec = InputSpec(min_ndim=rank + 2)
        self._check_arguments()
        self._convolve = _CONVOLUTIONS[rank]
        self._kernel_axes = (rank + 1, rank, *range(rank))
        last = self.data_format == "channels_last"
        self._to_first = to_channels_first(rank) if last else None
        self._to_last = to_channels_last(rank)
        self._zeros = _Padding(self.padding, self.kernel_size, self.strides, self.dilation_rate)
        self._own_convolution = type(self).convolution_op is not BaseConv.convolution_op

    def _check_arguments(self) -> None:
        facts = {"filters": self.filters, "groups": self.groups}
        if self.filters is not None and self.filters <= 0:
            raise self._error("`filters` must be positive", **facts)
        if self.groups <= 0:
            raise self._error("`groups` must be positive", **facts)
        if self.filters is not None and self.filters % self.groups:
            raise self._error("`filters` must be a multiple of `groups`", **facts)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise self._error(
                "`strides > 1` cannot be combined with `dilation_rate > 1`",
                strides=self.strides,
                dilation_rate=self.dilation_rate,
            )

    def _error(self, what: str, **facts: Any) -> ValueError:
        return ValueError(explain(f"{type(self).__name__} '{self.name}': {what}.", **facts))

    def build(self, input_shape: Shape) -> None:
        """Make the kernel for the channels of `input_shape`."""
        axis = -1 if self.data_format == "channels_last" else 1
        channels = input_shape[axis]
        self.compute_output_shape(input_shape)  # raises where no output is left
        if channels is None or channels % self.groups:
            raise self._error(
                "the number of input channels must be known and a multiple of `groups`",
                input_shape=tuple(input_shape),
                groups=self.groups,
                data_format=self.data_format,
            )
        self.input_spec = InputSpec(min_ndim=self.rank + 2, axes={axis: channels})
        self.kernel = self._add_conv_kernel(channels // self.groups, self.filters)
        self.bias = self._add_bias((self.filters,)) if self.use_bias else None
        self.built = True

    def _add_conv_kernel(self, channels: int, filters: int) -> Variable:
        layout = (self.rank + 1, *range(self.rank + 1))  # filters outermost, channels innermost
        return self._add_kernel((*self.kernel_size, channels, filters), layout=layout)

    def call(self, inputs: Tensor) -> Tensor:
        """Return `activation(convolution(inputs, kernel) + bias)`."""
        if self._own_convolution:
            x = self._add(self.convolution_op(inputs, self.kernel))
        else:
            x = self._convolution(inputs, self.kernel, self.bias)
        activation = self.activation
        return x if activation is linear else KERNELS.get(activation, activation)(x)

    def convolution_op(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        """Convolve without bias and activation; subclasses may override this."""
        return self._convolution(inputs, kernel, None)

    def _convolution(self, x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
        if x.dtype is not kernel.dtype:
            dtype = torch.promote_types(x.dtype, kernel.dtype)
            x, kernel = x.to(dtype), kernel.to(dtype)
            bias = None if bias is None else bias.to(dtype)
        if self._to_first is not None:
            x = torch.permute(x, self._to_first)
        zeros = self._zeros
        padding = zeros.inner
        if not zeros.constant:
            x, padding = zeros.apply(x)
        kernel = torch.permute(kernel, self._kernel_axes)
        x = self._convolve(x, kernel, bias, self.strides, padding, self.dilation_rate, self.groups)
        return x if self._to_first is None else torch.permute(x, self._to_last)

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

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments; a regularizer of the activity is always listed, as in Keras."""
        config = super().get_config()
        config.setdefault("activity_regularizer", None)
        config.pop("rank", None)
        return config


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
        super().__init__(rank=1, **_given(locals()))


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
        super().__init__(rank=2, **_given(locals()))


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
        super().__init__(rank=3, **_given(locals()))
