"""What layers with windows over spatial axes share: their arguments, padding, and output shapes.

Letters: B batch, C input channels, F filters, k window sizes. The window arithmetic that the ops
need too is in `ops.windows`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..activations import KERNELS, linear
from ..config import standardize_data_format
from ..naming import current_path, explain
from ..ops.windows import (
    same_padding,
    standardize_padding,
    standardize_tuple,
    to_channels_first,
    to_channels_last,
    torch_padding,
    transposed_padding,
)
from .input_spec import InputSpec
from .layer import Layer

__all__ = [
    "Padding",
    "SpatialLayer",
    "conv_output_shape",
    "conv_transpose_output_shape",
    "given_arguments",
    "pool_output_shape",
]

Shape = Sequence["int | None"]
_NOT_ARGUMENTS = ("self", "__class__", "kwargs")


def _convolve_series(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    strides: tuple[int, ...] = (1,),
    padding: tuple[int, ...] = (0,),
    dilation: tuple[int, ...] = (1,),
    groups: int = 1,
) -> Tensor:
    """`torch.conv1d` as a convolution of images one pixel high.

    Those torch convolves in channels_last format; of series it would first copy a permuted view.
    """
    steps = (1, *strides), (0, *padding), (1, *dilation)
    return torch.conv2d(x.unsqueeze(2), weight.unsqueeze(2), bias, *steps, groups).squeeze(2)


_CONVOLUTIONS: dict[int, Callable[..., Tensor]] = {
    1: _convolve_series,
    2: torch.conv2d,
    3: torch.conv3d,
}


def given_arguments(scope: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a constructor from its `locals()`, for passing them on by name."""
    own = {name: value for name, value in scope.items() if name not in _NOT_ARGUMENTS}
    return {**own, **scope["kwargs"]}


class Padding:
    """How the spatial axes are padded: a constant for torch's kernel where there is one.

    Args:
        mode: "valid", "same" or "causal".
        window, strides, dilation: Per spatial axis.

    Attributes:
        inner: Equal zeros on both sides of each axis, added inside torch's kernel; `None` where
            the zeros depend on the input's size.
        outer: Unequal zeros, constant, in the form of `F.pad`; `None` where not needed.
        constant: Whether `inner` is all there is to know.
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
        if self.constant:
            return x, self.inner
        if self.outer is not None:
            return F.pad(x, self.outer), self.inner
        pairs = [same_padding(n, *size) for n, size in zip(x.shape[2:], self.sizes, strict=True)]
        if all(before == after for before, after in pairs):
            return x, tuple(before for before, _ in pairs)
        return F.pad(x, torch_padding(pairs)), (0,) * len(pairs)


class SpatialLayer(Layer):
    """Base of layers that convolve over `rank` spatial axes, in either data format.

    Its constructor calls `_set_up_windows`, its `call` uses `_convolve` and `_activate`.
    """

    def _set_up_windows(
        self,
        rank: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int],
        padding: str,
        data_format: str | None,
        dilation_rate: int | Sequence[int],
        allow_causal: bool = False,
    ) -> None:
        """Keep the arguments under Keras's names, and work out what calls need of them.

        Raises:
            ValueError: One is out of range, or strides and dilation are both above 1.
        """
        self.rank = rank
        self.kernel_size = standardize_tuple(kernel_size, rank, "kernel_size")
        self.strides = standardize_tuple(strides, rank, "strides")
        self.dilation_rate = standardize_tuple(dilation_rate, rank, "dilation_rate")
        self.padding = standardize_padding(padding, allow_causal=allow_causal)
        if not isinstance(self.padding, str):
            raise self._error(
                "`padding` must be 'valid' or 'same'; for other amounts put a `ZeroPadding` layer"
                " before this one",
                padding=padding,
            )
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(min_ndim=rank + 2)
        last = self.data_format == "channels_last"
        self._channel_axis = -1 if last else 1
        self._to_first = to_channels_first(rank) if last else None
        self._to_last = to_channels_last(rank)
        self._zeros = Padding(self.padding, self.kernel_size, self.strides, self.dilation_rate)
        self._torch_convolution = _CONVOLUTIONS[rank]
        # From a kernel `(k..., C, F)` to torch's `(F, C, k...)`, and to how it lies in memory.
        self._kernel_axes = (rank + 1, rank, *range(rank))
        self._kernel_layout = (rank + 1, *range(rank + 1))

    def _check_strides(self) -> None:
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise self._error(
                "`strides > 1` not supported in conjunction with `dilation_rate > 1`. Received:"
                f" strides={self.strides} and dilation_rate={self.dilation_rate}"
            )

    def _check_positive(self, name: str) -> None:
        value = getattr(self, name)
        if value is not None and value <= 0:
            raise self._error(
                f"Invalid value for argument `{name}`. Expected a strictly positive value."
                f" Received {name}={value}"
            )

    def _error(self, what: str, **facts: Any) -> ValueError:
        return ValueError(explain(f"{type(self).__name__} '{self.name}': {what}.", **facts))

    def _fix_channels(self, input_shape: Shape) -> int:
        """Demand the channels of `input_shape` from now on, and return their number."""
        axis = self._channel_axis
        channels = input_shape[axis]
        if channels is None:
            raise self._error(
                "the number of input channels must be known",
                input_shape=tuple(input_shape),
                data_format=self.data_format,
            )
        self.input_spec = InputSpec(min_ndim=self.rank + 2, axes={axis: channels})
        return channels

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None, groups: int = 1) -> Tensor:
        """Convolve `x`, in the layer's data format, with a weight `(F, C / groups, k...)`."""
        if x.dtype is not weight.dtype:
            x, weight, bias = promoted(x, weight, bias)
        if self._to_first is not None:
            x = torch.permute(x, self._to_first)
        zeros = self._zeros
        padding = zeros.inner
        if not zeros.constant:
            x, padding = zeros.apply(x)
        x = self._torch_convolution(
            x, weight, bias, self.strides, padding, self.dilation_rate, groups
        )
        return x if self._to_first is None else torch.permute(x, self._to_last)

    def _activate(self, x: Tensor) -> Tensor:
        activation = self.activation
        return x if activation is linear else KERNELS.get(activation, activation)(x)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments; a regularizer of the activity is always listed, as in Keras."""
        config = super().get_config()
        config.setdefault("activity_regularizer", None)
        config.pop("rank", None)
        return config


def promoted(
    x: Tensor, weight: Tensor, bias: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return the arguments of a kernel in the dtype that `x` and `weight` promote to."""
    dtype = torch.promote_types(x.dtype, weight.dtype)
    return x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)


# Output shapes -----------------------------------------------------------------------------------


def conv_output_shape(
    shape: Shape,
    filters: int | None,
    kernel_size: Sequence[int],
    strides: Sequence[int],
    padding: str,
    data_format: str,
    dilation_rate: Sequence[int],
) -> tuple[int | None, ...]:
    """Shape that a convolution gives; unknown axes stay `None`.

    Raises:
        ValueError: The rank is wrong, or an output axis would be empty.
    """
    windows = [(k - 1) * d + 1 for k, d in zip(kernel_size, dilation_rate, strict=True)]
    facts = {
        "input_shape": tuple(shape),
        "kernel_size": tuple(kernel_size),
        "strides": tuple(strides),
        "dilation_rate": tuple(dilation_rate),
        "padding": repr(padding),
        "data_format": repr(data_format),
    }
    return _window_output_shape(shape, filters, windows, strides, padding, data_format, facts)


def conv_transpose_output_shape(
    shape: Shape,
    filters: int,
    kernel_size: Sequence[int],
    strides: Sequence[int],
    padding: str,
    output_padding: Sequence[int] | None,
    data_format: str,
    dilation_rate: Sequence[int],
) -> tuple[int | None, ...]:
    """Shape that a transposed convolution gives; unknown axes stay `None`."""
    last = data_format == "channels_last"
    spatial = shape[1:-1] if last else shape[2:]
    if len(spatial) != len(kernel_size):
        raise ValueError(
            f"A transposed convolution over {len(kernel_size)} axes expected inputs of rank"
            f" {len(kernel_size) + 2}. Received: input_shape={tuple(shape)}"
        )
    extra = (None,) * len(kernel_size) if output_padding is None else output_padding
    sizes: list[int | None] = []
    windows = zip(kernel_size, strides, dilation_rate, extra, strict=True)
    for size, (window, stride, dilation, more) in zip(spatial, windows, strict=True):
        both, far, cut = transposed_padding(window, stride, dilation, more, padding == "same")
        full = None if size is None else (size - 1) * stride + (window - 1) * dilation + 1
        sizes.append(None if full is None else full - 2 * both + far - cut)
    return (shape[0], *sizes, filters) if last else (shape[0], filters, *sizes)


def pool_output_shape(
    shape: Shape, pool_size: Sequence[int], strides: Sequence[int], padding: str, data_format: str
) -> tuple[int | None, ...]:
    """Shape that pooling gives; unknown axes stay `None`.

    Raises:
        ValueError: The rank is wrong, or an output axis would be empty.
    """
    channels = shape[-1] if data_format == "channels_last" else shape[1]
    facts = {
        "input_shape": tuple(shape),
        "pool_size": tuple(pool_size),
        "strides": tuple(strides),
        "padding": repr(padding),
        "data_format": repr(data_format),
    }
    return _window_output_shape(shape, channels, pool_size, strides, padding, data_format, facts)


def _window_output_shape(
    shape: Shape,
    channels: int | None,
    windows: Sequence[int],
    strides: Sequence[int],
    padding: str,
    data_format: str,
    facts: dict[str, Any],
) -> tuple[int | None, ...]:
    name = current_path().rpartition("/")[2]
    layer = f"Layer '{name}'" if name else "The layer"
    last = data_format == "channels_last"
    spatial = shape[1:-1] if last else shape[2:]
    if len(spatial) != len(windows):
        raise ValueError(
            explain(
                f"{layer} expects inputs with {len(windows) + 2} axes, got {len(shape)}.",
                **facts,
                fix="the axes are the batch, the spatial ones and the channels; add with"
                " `x[None]` or `x[..., None]` what is missing.",
            )
        )
    sizes: list[int | None] = []
    for size, window, stride in zip(spatial, windows, strides, strict=True):
        if size is None:
            sizes.append(None)
            continue
        used = size - window + 1 if padding == "valid" else size
        sizes.append(-(-used // stride))
        if sizes[-1] <= 0 and padding == "valid":
            raise ValueError(
                explain(
                    f"{layer}: the window is larger than the input. Computed output size would be"
                    " zero or negative.",
                    **facts,
                    fix="use a smaller window, padding='same', or larger inputs"
                    " (or check `data_format`).",
                )
            )
    return (shape[0], *sizes, channels) if last else (shape[0], channels, *sizes)
