"""Pooling: maxima and means over windows or whole axes, each kind over one N-d base.

`BasePooling` has windows of a given size, `BaseAdaptivePooling` as many as make a given output, and
`BaseGlobalPooling` one for all.

Letters: B batch, C channels. Inputs are `(B, spatial..., C)` or, channels_first,
`(B, C, spatial...)`; channels_last inputs go to torch as permuted views, without a copy.
Means over windows that reach into padding count only the real elements, as on TensorFlow and JAX;
where one end is padded by one step more, Keras on torch counts the border's elements twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..config import floatx, standardize_data_format
from ..dtypes import to_torch
from ..naming import explain
from ..ops.windows import (
    pooling_padding,
    standardize_tuple,
    to_channels_first,
    to_channels_last,
    without_skipped,
)
from ..registry import builtin
from ._spatial import pool_output_shape
from .input_spec import InputSpec
from .layer import Layer

__all__ = [
    "AdaptiveAveragePooling1D",
    "AdaptiveAveragePooling2D",
    "AdaptiveAveragePooling3D",
    "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling2D",
    "AdaptiveMaxPooling3D",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "BaseAdaptiveAveragePooling",
    "BaseAdaptiveMaxPooling",
    "BaseAdaptivePooling",
    "BaseGlobalPooling",
    "BasePooling",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
]

Shape = Sequence["int | None"]
Size = "int | Sequence[int]"


# Each kernel takes (x, window, strides, padding, partial); `partial` keeps windows that reach over
# the far edge. In one dimension torch's own kernels would first copy a channels_last view; the 2-D
# ones have channels_last versions.


def _max_1d(x: Tensor, size: Any, strides: Any, padding: Any, partial: bool) -> Tensor:
    derived = x.requires_grad and torch.is_grad_enabled()
    if size == (2,) and not (derived or partial or padding[0]) and x.shape[2] > 1:
        # Half the time of a pooling kernel. Its gradient would go to both of two equal elements.
        return torch.maximum(x[..., : -1 : strides[0]], x[..., 1 :: strides[0]])
    window = (1, *size), (1, *strides), (0, *padding)
    return torch.max_pool2d(x.unsqueeze(2), *window, 1, partial).squeeze(2)


def _max_2d(x: Tensor, size: Any, strides: Any, padding: Any, partial: bool) -> Tensor:
    return torch.max_pool2d(x, size, strides, padding, 1, partial)


def _max_3d(x: Tensor, size: Any, strides: Any, padding: Any, partial: bool) -> Tensor:
    return torch.max_pool3d(x, size, strides, padding, 1, partial)


def _average_1d(x: Tensor, size: Any, strides: Any, padding: Any, partial: bool) -> Tensor:
    window = (1, *size), (1, *strides), (0, *padding)
    return F.avg_pool2d(x.unsqueeze(2), *window, partial, False).squeeze(2)


def _average_2d(x: Tensor, size: Any, strides: Any, padding: Any, partial: bool) -> Tensor:
    return F.avg_pool2d(x, size, strides, padding, partial, False)


def _average_3d(x: Tensor, size: Any, strides: Any, padding: Any, partial: bool) -> Tensor:
    return F.avg_pool3d(x, size, strides, padding, partial, False)


_KERNELS: dict[tuple[str, int], Callable[..., Tensor]] = {
    ("max", 1): _max_1d,
    ("max", 2): _max_2d,
    ("max", 3): _max_3d,
    ("average", 1): _average_1d,
    ("average", 2): _average_2d,
    ("average", 3): _average_3d,
}


class BasePooling(Layer):
    """Pooling over windows along `pool_dimensions` axes.

    Args:
        pool_size: Window size, one integer or one per axis.
        strides: Step between windows. Default: `pool_size`.
        pool_dimensions: Number of spatial axes.
        pool_mode: "max" or "average".
        padding: "valid" (incomplete windows are dropped) or "same".
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        kwargs: Arguments of `Layer`.
    Shapes:
        inputs: `(B, spatial..., C)` or `(B, C, spatial...)`. Result: fewer spatial steps.
    Raises:
        ValueError: An argument is out of range, or no complete window fits.
    """

    _keras_memory = "channels_first"

    def __init__(
        self,
        pool_size: Size,
        strides: Size | None,
        pool_dimensions: int,
        pool_mode: str = "max",
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.pool_size = standardize_tuple(pool_size, pool_dimensions, "pool_size")
        strides = pool_size if strides is None else strides
        self.strides = standardize_tuple(strides, pool_dimensions, "strides", allow_zero=True)
        self.pool_dimensions = pool_dimensions
        self.pool_mode = pool_mode
        if not isinstance(padding, str) or padding.lower() not in ("valid", "same"):
            raise ValueError(
                f"{type(self).__name__}: `padding` must be 'valid' or 'same'. Received: {padding!r}"
            )
        self.padding = padding
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=pool_dimensions + 2)
        if (pool_mode, pool_dimensions) not in _KERNELS:
            raise ValueError(
                explain(
                    f"{type(self).__name__} '{self.name}': `pool_mode` must be 'max' or 'average'.",
                    pool_mode=pool_mode,
                    pool_dimensions=pool_dimensions,
                )
            )
        self._pool = _KERNELS[pool_mode, pool_dimensions]
        last = self.data_format == "channels_last"
        self._to_first = to_channels_first(pool_dimensions) if last else None
        self._to_last = to_channels_last(pool_dimensions)
        self._zeros = (0,) * pool_dimensions
        self._build_at_init()

    def call(self, inputs: Tensor) -> Tensor:
        """Return the pooled inputs."""
        x = inputs if self._to_first is None else torch.permute(inputs, self._to_first)
        if self.padding == "valid":
            x = self._pool(x, self.pool_size, self.strides, self._zeros, False)
        else:
            padding, partial, skipped = pooling_padding(x.shape[2:], self.pool_size, self.strides)
            x = self._pool(x, self.pool_size, self.strides, padding, partial)
            x = without_skipped(x, skipped)
        return x if self._to_first is None else torch.permute(x, self._to_last)

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        """The input's shape with the windows' count on the spatial axes."""
        if self.padding not in ("valid", "same"):
            raise ValueError(
                explain(
                    f"{type(self).__name__} '{self.name}': `padding` must be 'valid' or 'same'.",
                    padding=repr(self.padding),
                )
            )
        return pool_output_shape(
            input_shape, self.pool_size, self.strides, self.padding, self.data_format
        )

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments of the public layers."""
        config = super().get_config()
        for name in ("pool_dimensions", "pool_mode"):
            config.pop(name, None)
        return config


@builtin("keras.layers.MaxPooling1D", "keras.layers.MaxPool1D")
class MaxPooling1D(BasePooling):
    """Maximum over windows of time series; see `BasePooling` for the arguments.

    Args:
        pool_size: Window size.
        strides: Step between windows. Default: `pool_size`.
        padding: "valid" or "same".
        kwargs: Arguments of `BasePooling` and `Layer`.

    Example:
        >>> MaxPooling1D()(torch.ones(2, 9, 3)).shape
        torch.Size([2, 4, 3])
    """

    def __init__(
        self,
        pool_size: Size = 2,
        strides: Size | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, 1, "max", padding, data_format, name=name, **kwargs)


@builtin("keras.layers.MaxPooling2D", "keras.layers.MaxPool2D")
class MaxPooling2D(BasePooling):
    """Maximum over windows of images; see `BasePooling` for the arguments.

    Args:
        pool_size: Window size.
        strides: Step between windows. Default: `pool_size`.
        padding: "valid" or "same".
        kwargs: Arguments of `BasePooling` and `Layer`.

    Example:
        >>> MaxPooling2D()(torch.ones(2, 9, 9, 3)).shape
        torch.Size([2, 4, 4, 3])
    """

    def __init__(
        self,
        pool_size: Size = (2, 2),
        strides: Size | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, 2, "max", padding, data_format, name=name, **kwargs)


@builtin("keras.layers.MaxPooling3D", "keras.layers.MaxPool3D")
class MaxPooling3D(BasePooling):
    """Maximum over windows of volumes; see `BasePooling` for the arguments.

    Args:
        pool_size: Window size.
        strides: Step between windows. Default: `pool_size`.
        padding: "valid" or "same".
        kwargs: Arguments of `BasePooling` and `Layer`.

    Example:
        >>> MaxPooling3D()(torch.ones(2, 9, 9, 9, 3)).shape
        torch.Size([2, 4, 4, 4, 3])
    """

    def __init__(
        self,
        pool_size: Size = (2, 2, 2),
        strides: Size | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, 3, "max", padding, data_format, name=name, **kwargs)


@builtin("keras.layers.AveragePooling1D", "keras.layers.AvgPool1D")
class AveragePooling1D(BasePooling):
    """Mean over windows of time series; see `BasePooling` for the arguments.

    Args:
        pool_size: Window size.
        strides: Step between windows. Default: `pool_size`.
        padding: "valid" or "same".
        kwargs: Arguments of `BasePooling` and `Layer`.

    Example:
        >>> AveragePooling1D(2)(torch.ones(2, 9, 3)).shape
        torch.Size([2, 4, 3])
    """

    def __init__(
        self,
        pool_size: Size,
        strides: Size | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            pool_size, strides, 1, "average", padding, data_format, name=name, **kwargs
        )


@builtin("keras.layers.AveragePooling2D", "keras.layers.AvgPool2D")
class AveragePooling2D(BasePooling):
    """Mean over windows of images; see `BasePooling` for the arguments.

    Args:
        pool_size: Window size.
        strides: Step between windows. Default: `pool_size`.
        padding: "valid" or "same".
        kwargs: Arguments of `BasePooling` and `Layer`.

    Example:
        >>> AveragePooling2D(2)(torch.ones(2, 9, 9, 3)).shape
        torch.Size([2, 4, 4, 3])
    """

    def __init__(
        self,
        pool_size: Size,
        strides: Size | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            pool_size, strides, 2, "average", padding, data_format, name=name, **kwargs
        )


@builtin("keras.layers.AveragePooling3D", "keras.layers.AvgPool3D")
class AveragePooling3D(BasePooling):
    """Mean over windows of volumes; see `BasePooling` for the arguments.

    Args:
        pool_size: Window size.
        strides: Step between windows. Default: `pool_size`.
        padding: "valid" or "same".
        kwargs: Arguments of `BasePooling` and `Layer`.

    Example:
        >>> AveragePooling3D(2)(torch.ones(2, 9, 9, 9, 3)).shape
        torch.Size([2, 4, 4, 4, 3])
    """

    def __init__(
        self,
        pool_size: Size,
        strides: Size | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            pool_size, strides, 3, "average", padding, data_format, name=name, **kwargs
        )


# A given output ----------------------------------------------------------------------------------


class BaseAdaptivePooling(Layer):
    """Pooling over as many windows per axis as make an output of a given size.

    Output step `i` of `n` covers the input from `floor(i * size / n)` on, up to but not including
    `ceil((i + 1) * size / n)`.

    Args:
        output_size: The spatial sizes of the output, one per axis.
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        kwargs: Arguments of `Layer`.
    Shapes:
        inputs: `(B, spatial..., C)` or `(B, C, spatial...)`. Result: `output_size` in place of the
        spatial sizes.
    Raises:
        TypeError: `output_size` is neither an integer nor a sequence, or not as long as the axes.
    """

    # torch's kernels by the number of spatial axes.
    _kernels: dict[int, Callable[..., Tensor]]

    _keras_memory = "channels_first"

    def __init__(
        self, output_size: Sequence[int], data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.output_size = tuple(output_size)
        self.data_format = standardize_data_format(data_format)
        rank = len(self.output_size)
        last = self.data_format == "channels_last"
        self._to_first = to_channels_first(rank) if last else None
        self._to_last = to_channels_last(rank)

    def call(self, inputs: Tensor) -> Tensor:
        """Return the pooled inputs."""
        pool = self._kernels[len(self.output_size)]
        if self._to_first is None:
            return pool(inputs, self.output_size)
        x = pool(torch.permute(inputs, self._to_first), self.output_size)
        return torch.permute(x, self._to_last)

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        """The input's shape with `output_size` on the spatial axes."""
        if self.data_format == "channels_last":
            return (input_shape[0], *self.output_size, input_shape[-1])
        return (input_shape[0], input_shape[1], *self.output_size)


class BaseAdaptiveAveragePooling(BaseAdaptivePooling):
    """Means over as many windows as make a given output; see `BaseAdaptivePooling`."""

    _kernels = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}


class BaseAdaptiveMaxPooling(BaseAdaptivePooling):
    """Maxima over as many windows as make a given output; see `BaseAdaptivePooling`."""

    _kernels = {1: F.adaptive_max_pool1d, 2: F.adaptive_max_pool2d, 3: F.adaptive_max_pool3d}


def _output_size(value: Any, rank: int) -> tuple[int, ...]:
    """Return the output's size on each of `rank` axes.

    Raises:
        TypeError: `value` is no integer and no sequence of `rank` elements.
        ValueError: It is a sequence of another length than one, for one axis.
    """
    if isinstance(value, int):
        value = (value,) * rank
    if isinstance(value, (tuple, list)) and len(value) == rank:
        if 0 in value:
            raise ValueError(f"`output_size` must be positive. Received: output_size={value}")
        return tuple(value)
    wrong_length = rank == 1 and isinstance(value, (tuple, list))
    raise (ValueError if wrong_length else TypeError)(
        explain(
            f"`output_size` must be an integer or a tuple of {rank}"
            f" integer{'s' if rank > 1 else ''}; it must have length {rank}.",
            given=f"output_size={value!r} of type {type(value).__name__}",
        )
    )


@builtin("keras.layers.AdaptiveAveragePooling1D")
class AdaptiveAveragePooling1D(BaseAdaptiveAveragePooling):
    """Mean over parts of series, as many as wanted; see `BaseAdaptivePooling`.

    Args:
        output_size: Steps of the output.
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        kwargs: Arguments of `Layer`.

    Example:
        >>> AdaptiveAveragePooling1D(2)(torch.ones(2, 9, 3)).shape
        torch.Size([2, 2, 3])
    """

    def __init__(self, output_size: Size, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(_output_size(output_size, 1), data_format, **kwargs)


@builtin("keras.layers.AdaptiveAveragePooling2D")
class AdaptiveAveragePooling2D(BaseAdaptiveAveragePooling):
    """Mean over parts of images, as many as wanted; see `BaseAdaptivePooling`.

    Args:
        output_size: Height and width of the output.
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        kwargs: Arguments of `Layer`.

    Example:
        >>> AdaptiveAveragePooling2D((2, 4))(torch.ones(2, 9, 9, 3)).shape
        torch.Size([2, 2, 4, 3])
    """

    def __init__(self, output_size: Size, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(_output_size(output_size, 2), data_format, **kwargs)


@builtin("keras.layers.AdaptiveAveragePooling3D")
class AdaptiveAveragePooling3D(BaseAdaptiveAveragePooling):
    """Mean over parts of volumes, as many as wanted; see `BaseAdaptivePooling`.

    Args:
        output_size: Spatial sizes of the output.
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        kwargs: Arguments of `Layer`.

    Example:
        >>> AdaptiveAveragePooling3D(2)(torch.ones(2, 9, 9, 9, 3)).shape
        torch.Size([2, 2, 2, 2, 3])
    """

    def __init__(self, output_size: Size, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(_output_size(output_size, 3), data_format, **kwargs)


@builtin("keras.layers.AdaptiveMaxPooling1D")
class AdaptiveMaxPooling1D(BaseAdaptiveMaxPooling):
    """Maximum over parts of series, as many as wanted; see `BaseAdaptivePooling`.

    Args:
        output_size: Steps of the output.
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        kwargs: Arguments of `Layer`.

    Example:
        >>> AdaptiveMaxPooling1D(2)(torch.ones(2, 9, 3)).shape
        torch.Size([2, 2, 3])
    """

    def __init__(self, output_size: Size, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(_output_size(output_size, 1), data_format, **kwargs)


@builtin("keras.layers.AdaptiveMaxPooling2D")
class AdaptiveMaxPooling2D(BaseAdaptiveMaxPooling):
    """Maximum over parts of images, as many as wanted; see `BaseAdaptivePooling`.

    Args:
        output_size: Height and width of the output.
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        kwargs: Arguments of `Layer`.

    Example:
        >>> AdaptiveMaxPooling2D((2, 4))(torch.ones(2, 9, 9, 3)).shape
        torch.Size([2, 2, 4, 3])
    """

    def __init__(self, output_size: Size, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(_output_size(output_size, 2), data_format, **kwargs)


@builtin("keras.layers.AdaptiveMaxPooling3D")
class AdaptiveMaxPooling3D(BaseAdaptiveMaxPooling):
    """Maximum over parts of volumes, as many as wanted; see `BaseAdaptivePooling`.

    Args:
        output_size: Spatial sizes of the output.
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        kwargs: Arguments of `Layer`.

    Example:
        >>> AdaptiveMaxPooling3D(2)(torch.ones(2, 9, 9, 9, 3)).shape
        torch.Size([2, 2, 2, 2, 3])
    """

    def __init__(self, output_size: Size, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(_output_size(output_size, 3), data_format, **kwargs)


# Whole axes --------------------------------------------------------------------------------------


class BaseGlobalPooling(Layer):
    """Pooling over all spatial axes.

    Args:
        pool_dimensions: Number of spatial axes.
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        keepdims: Whether the spatial axes stay, with size 1.
        kwargs: Arguments of `Layer`.
    Shapes:
        inputs: `(B, spatial..., C)` or `(B, C, spatial...)`. Result: `(B, C)`, or with `keepdims`
        the rank of `inputs`.
    """

    def __init__(
        self,
        pool_dimensions: int,
        data_format: str | None = None,
        keepdims: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pool_dimensions = pool_dimensions
        self.data_format = standardize_data_format(data_format)
        self.keepdims = keepdims
        self.input_spec = InputSpec(ndim=pool_dimensions + 2)
        first = 1 if self.data_format == "channels_last" else 2
        self._axes = tuple(range(first, first + pool_dimensions))
        self._build_at_init()

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        """The input's shape without its spatial axes."""
        kept = [1 if axis in self._axes else n for axis, n in enumerate(input_shape)]
        dropped = [n for axis, n in enumerate(input_shape) if axis not in self._axes]
        return tuple(kept if self.keepdims else dropped)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments of the public layers."""
        config = super().get_config()
        config.pop("pool_dimensions", None)
        return config


def _as_floating(x: Tensor) -> Tensor:
    """Return integers and truth values as numbers that have means."""
    return x if x.is_floating_point() or x.is_complex() else x.to(to_torch(floatx()))


class _GlobalAverage(BaseGlobalPooling):
    def call(self, inputs: Tensor) -> Tensor:
        """Return the means."""
        return _as_floating(inputs).mean(self._axes, self.keepdims)


class _GlobalMax(BaseGlobalPooling):
    def call(self, inputs: Tensor) -> Tensor:
        """Return the maxima."""
        return inputs.amax(self._axes, self.keepdims)


@builtin("keras.layers.GlobalAveragePooling1D", "keras.layers.GlobalAvgPool1D")
class GlobalAveragePooling1D(BaseGlobalPooling):
    """Mean over time; masked steps do not count.

    Args:
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        keepdims: Whether the time axis stays, with size 1.
        kwargs: Arguments of `Layer`.
    Shapes:
        inputs: `(B, T, C)` or `(B, C, T)`. mask: `(B, T)`, True means "use". Result: `(B, C)`.

    Example:
        >>> GlobalAveragePooling1D()(torch.ones(2, 5, 3)).shape
        torch.Size([2, 3])
    """

    _creates_mask = False

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(1, data_format=data_format, keepdims=keepdims, **kwargs)
        self.supports_masking = True

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the means of the steps in use."""
        inputs = _as_floating(inputs)
        if mask is None:
            return inputs.mean(self._axes, self.keepdims)
        used = mask.unsqueeze(3 - self._axes[0]).bool()
        total = torch.where(used, inputs, 0).sum(self._axes, self.keepdims)
        return total / used.sum(self._axes, self.keepdims, dtype=inputs.dtype)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """Return no mask: the masked axis is gone."""
        return None


@builtin("keras.layers.GlobalAveragePooling2D", "keras.layers.GlobalAvgPool2D")
class GlobalAveragePooling2D(_GlobalAverage):
    """Mean over height and width; see `BaseGlobalPooling` for the shapes.

    Args:
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        keepdims: Whether the pooled axes stay, with size 1.
        kwargs: Arguments of `Layer`.

    Example:
        >>> GlobalAveragePooling2D()(torch.ones(2, 9, 9, 3)).shape
        torch.Size([2, 3])
    """

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(2, data_format=data_format, keepdims=keepdims, **kwargs)


@builtin("keras.layers.GlobalAveragePooling3D", "keras.layers.GlobalAvgPool3D")
class GlobalAveragePooling3D(_GlobalAverage):
    """Mean over the three spatial axes; see `BaseGlobalPooling` for the shapes.

    Args:
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        keepdims: Whether the pooled axes stay, with size 1.
        kwargs: Arguments of `Layer`.

    Example:
        >>> GlobalAveragePooling3D()(torch.ones(2, 9, 9, 9, 3)).shape
        torch.Size([2, 3])
    """

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(3, data_format=data_format, keepdims=keepdims, **kwargs)


@builtin("keras.layers.GlobalMaxPooling1D", "keras.layers.GlobalMaxPool1D")
class GlobalMaxPooling1D(_GlobalMax):
    """Maximum over time; see `BaseGlobalPooling` for the shapes.

    Args:
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        keepdims: Whether the pooled axes stay, with size 1.
        kwargs: Arguments of `Layer`.

    Example:
        >>> GlobalMaxPooling1D()(torch.ones(2, 9, 3)).shape
        torch.Size([2, 3])
    """

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(1, data_format=data_format, keepdims=keepdims, **kwargs)


@builtin("keras.layers.GlobalMaxPooling2D", "keras.layers.GlobalMaxPool2D")
class GlobalMaxPooling2D(_GlobalMax):
    """Maximum over height and width; see `BaseGlobalPooling` for the shapes.

    Args:
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        keepdims: Whether the pooled axes stay, with size 1.
        kwargs: Arguments of `Layer`.

    Example:
        >>> GlobalMaxPooling2D()(torch.ones(2, 9, 9, 3)).shape
        torch.Size([2, 3])
    """

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(2, data_format=data_format, keepdims=keepdims, **kwargs)


@builtin("keras.layers.GlobalMaxPooling3D", "keras.layers.GlobalMaxPool3D")
class GlobalMaxPooling3D(_GlobalMax):
    """Maximum over the three spatial axes; see `BaseGlobalPooling` for the shapes.

    Args:
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        keepdims: Whether the pooled axes stay, with size 1.
        kwargs: Arguments of `Layer`.

    Example:
        >>> GlobalMaxPooling3D()(torch.ones(2, 9, 9, 9, 3)).shape
        torch.Size([2, 3])
    """

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(3, data_format=data_format, keepdims=keepdims, **kwargs)
