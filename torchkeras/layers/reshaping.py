"""Layers that move elements: `Flatten`, `Reshape`, `Permute`, padding, cropping, repetition.

Letters: B batch, T time steps, C channels. The batch axis is never touched.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import torch
from torch.nn import functional as F

from ..config import standardize_data_format
from ..graph.keras_tensor import KerasTensor
from ..naming import explain
from ..ops.image_size import resize
from ..ops.windows import (
    standardize_tuple,
    to_channels_first,
    to_channels_last,
    torch_padding,
)
from ..registry import builtin
from .input_spec import InputSpec
from .layer import Layer

__all__ = [
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "Flatten",
    "Permute",
    "RepeatVector",
    "Reshape",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
]

Shape = Sequence["int | None"]
Tensor = torch.Tensor


class _Rearrangement(Layer):
    """Base of layers whose output has the dtype of their input, also where that is no float."""

    def compute_output_spec(self, inputs: KerasTensor, **kwargs: Any) -> KerasTensor:
        """Return the shape and dtype of the output."""
        return KerasTensor(self.compute_output_shape(inputs.shape), dtype=inputs.dtype)

    def _error(self, what: str, fix: str | None = None, **facts: Any) -> ValueError:
        return ValueError(explain(f"{type(self).__name__} '{self.name}': {what}.", fix, **facts))


@builtin("keras.layers.Flatten")
class Flatten(_Rearrangement):
    """Joins all axes but the batch.

    Args:
        data_format: With "channels_first" the channels are moved to the end before. Default:
            `config.image_data_format()`.
        kwargs: Arguments of `Layer`.
    Shapes:
        inputs: `(B, ...)`. Result: `(B, n)`; of `(B,)` inputs `(B, 1)`.

    Example:
        >>> Flatten()(torch.ones(2, 3, 4)).shape
        torch.Size([2, 12])
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(min_ndim=1)
        self._channels_first = self.data_format == "channels_first"

    def call(self, inputs: Tensor) -> Tensor:
        """Return the inputs with two axes."""
        if self._channels_first and inputs.dim() > 2:
            inputs = inputs.movedim(1, -1)
        return inputs.flatten(1) if inputs.dim() > 1 else inputs.unsqueeze(1)

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        """Return the batch size and the product of the other sizes."""
        rest = input_shape[1:]
        return (input_shape[0], None if None in rest else math.prod(rest))


@builtin("keras.layers.Reshape")
class Reshape(_Rearrangement):
    """Gives each sample another shape.

    Args:
        target_shape: Without the batch axis; one size may be -1, what is left.
        kwargs: Arguments of `Layer`.
    Shapes:
        inputs: `(B, ...)`. Result: `(B, *target_shape)`.
    Raises:
        ValueError: The shape is malformed, or has another number of elements than the input.

    Example:
        >>> Reshape((-1, 2))(torch.ones(2, 6)).shape
        torch.Size([2, 3, 2])
    """

    _keras_memory = "relaid"

    def __init__(self, target_shape: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        target = tuple(target_shape)
        if not all(size is None or isinstance(size, Integral) for size in target):
            raise TypeError(
                f"Reshape: `target_shape` must be of integers. Received: {target_shape!r}"
            )
        sizes = [size for size in target if size is not None]
        if any(size < -1 for size in sizes):
            raise self._error(
                "each size must be a non-negative integer, or -1 for what is left. Received:"
                f" target_shape={target}"
            )
        if sizes.count(-1) > 1:
            raise self._error(
                f"there can be at most one unknown dimension. Received: target_shape={target}"
            )
        self.target_shape = target
        self._exact = -1 not in target and None not in target
        self._target = [-1 if size is None else size for size in target]
        self.built = True  # and open to further layers, as Keras's

    def call(self, inputs: Tensor) -> Tensor:
        """Return the inputs in the target shape."""
        batch = inputs.shape[0]
        try:
            return inputs.reshape(batch, *self._target)
        except RuntimeError:
            self.compute_output_shape(tuple(inputs.shape))  # has the better message
            raise

    def _relay(self, twin: Tensor) -> Tensor:
        """Do to strides what Keras does."""
        return twin.reshape(twin.shape[0], *self._target)

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        """Return the target shape, with -1 worked out where the input's sizes are known.

        Raises:
            ValueError: The number of elements differs.
        """
        batch, rest = input_shape[0], tuple(input_shape[1:])
        if None in rest or None in self.target_shape:
            return (batch, *(None if size == -1 else size for size in self.target_shape))
        total, known = math.prod(rest), math.prod(n for n in self.target_shape if n != -1)
        if -1 not in self.target_shape:
            fits, free = total == known, None
        else:
            fits, free = known != 0 and total % known == 0, total // known if known else None
        if not fits:
            raise self._error(
                "the total size of a sample must stay the same",
                input_shape=tuple(input_shape),
                elements=total,
                target_shape=self.target_shape,
                fix=f"choose a `target_shape` with {total} elements, or use -1 for one size.",
            )
        return (batch, *(free if size == -1 else size for size in self.target_shape))


@builtin("keras.layers.Permute")
class Permute(_Rearrangement):
    """Reorders the axes of each sample.

    Args:
        dims: The axes in their new order, counted from 1 (the batch is 0).
        kwargs: Arguments of `Layer`.
    Shapes: Result: `inputs.permute(0, *dims)`.
    Raises:
        ValueError: `dims` is no permutation of 1, 2, ….

    Example:
        >>> Permute((2, 1))(torch.ones(2, 3, 4)).shape
        torch.Size([2, 4, 3])
    """

    _keras_memory = "relaid"

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise self._error(
                f"Invalid permutation of the axes, as `dims={self.dims}` does not contain each of"
                " 1, 2, … once"
            )
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)
        self._order = (0, *self.dims)

    def call(self, inputs: Tensor) -> Tensor:
        """Return the inputs with reordered axes."""
        return torch.permute(inputs, self._order)

    def _relay(self, twin: Tensor) -> Tensor:
        """Do to strides what Keras does."""
        return twin.permute(self._order)

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        """Return the reordered shape."""
        return tuple(input_shape[axis] for axis in self._order)


@builtin("keras.layers.RepeatVector")
class RepeatVector(Layer):
    """Repeats each sample along a new axis.

    Args:
        n: How often.
        kwargs: Arguments of `Layer`.
    Shapes:
        inputs: `(B, C)`. Result: `(B, n, C)`.
    Raises:
        TypeError: `n` is no integer.
        ValueError: `n` is not positive.

    Example:
        >>> RepeatVector(3)(torch.ones(2, 4)).shape
        torch.Size([2, 3, 4])
    """

    _keras_memory = "relaid"

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n = _count(self, "n", n)
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs: Tensor) -> Tensor:
        """Return the repeated inputs."""
        return inputs.unsqueeze(1).repeat(1, self.n, 1)

    def _relay(self, twin: Tensor) -> Tensor:
        """Do to strides what Keras does: it repeats nothing in memory."""
        return twin.unsqueeze(1).expand(-1, self.n, -1)

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        """Return `(B, n, C)`."""
        return (input_shape[0], self.n, input_shape[1])


def _count(layer: Layer, name: str, value: Any) -> int:
    """`value` as a positive `int`."""
    try:
        if isinstance(value, bool):
            raise TypeError("a bool is no count")
        number = operator.index(value)
    except TypeError:
        raise TypeError(
            explain(
                f"{type(layer).__name__} '{layer.name}': Expected an integer value for `{name}`.",
                given=f"{name}={value!r} of type {type(value).__name__}",
            )
        ) from None
    if number <= 0:
        raise ValueError(
            explain(
                f"{type(layer).__name__} '{layer.name}': `{name}` should be a positive integer.",
                given=f"{name}={number}",
            )
        )
    return number


def _pairs(value: Any, rank: int, name: str) -> tuple[tuple[int, int], ...]:
    """Sizes at both ends of each of `rank` axes, from an integer, `rank` integers or pairs.

    Raises:
        ValueError: `value` is none of these, or negative.
    """
    if not hasattr(value, "__len__"):
        return tuple(
            standardize_tuple((value, value), 2, name, allow_zero=True) for _ in range(rank)
        )
    if len(value) != rank:
        raise ValueError(
            explain(
                f"`{name}` must be an integer or have {rank} elements, integers or pairs of them.",
                given=f"{name}={value!r}",
            )
        )
    return tuple(standardize_tuple(pair, 2, name, allow_zero=True) for pair in value)


# Padding -----------------------------------------------------------------------------------------


class _Window(Layer):
    """Base of padding and cropping: amounts at both ends of the spatial axes."""

    _rank: int

    def _set_up(self, data_format: str | None, ends: Sequence[tuple[int, int]]) -> None:
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self._rank + 2)
        self._first = 2 if self.data_format == "channels_first" else 1
        self._ends = tuple(ends)


class _ZeroPadding(_Window):
    """Base of zero padding."""

    _keras_memory = "inputs_relaid"

    def _set_up(self, data_format: str | None, ends: Sequence[tuple[int, int]]) -> None:
        super()._set_up(data_format, ends)
        channels = [] if self._first == 2 else [(0, 0)]
        self._zeros = torch_padding([*ends, *channels])

    def call(self, inputs: Tensor) -> Tensor:
        """Return the inputs between zeros."""
        return F.pad(inputs, self._zeros)

    def _relay(self, twin: Tensor) -> Tensor:
        """Do to strides what Keras does."""
        return F.pad(twin, self._zeros)

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        """Return the padded shape."""
        shape = list(input_shape)
        for axis, ends in enumerate(self._ends, start=self._first):
            shape[axis] = None if shape[axis] is None else shape[axis] + sum(ends)
        return tuple(shape)


@builtin("keras.layers.ZeroPadding1D")
class ZeroPadding1D(_ZeroPadding):
    """Zeros before and after a series.

    Args:
        padding: Zeros at both ends, or `(before, after)`.
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        kwargs: Arguments of `Layer`.
    Shapes:
        inputs: `(B, T, C)` or `(B, C, T)`. Result: more steps.

    Example:
        >>> ZeroPadding1D((1, 2))(torch.ones(1, 2, 1)).flatten().tolist()
        [0.0, 1.0, 1.0, 0.0, 0.0]
    """

    _rank = 1

    def __init__(
        self, padding: int | Sequence[int] = 1, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.padding = standardize_tuple(padding, 2, "padding", allow_zero=True)
        self._set_up(data_format, [self.padding])


@builtin("keras.layers.ZeroPadding2D")
class ZeroPadding2D(_ZeroPadding):
    """Zeros around images.

    Args:
        padding: Zeros on all sides, or `(height, width)`, or `((top, bottom), (left, right))`.
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        kwargs: Arguments of `Layer`.
    Shapes:
        inputs: `(B, H, W, C)` or `(B, C, H, W)`. Result: larger images.

    Example:
        >>> ZeroPadding2D(1)(torch.ones(1, 2, 2, 1)).shape
        torch.Size([1, 4, 4, 1])
    """

    _rank = 2

    def __init__(
        self, padding: Any = (1, 1), data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.padding = _pairs(padding, 2, "padding")
        self._set_up(data_format, self.padding)


@builtin("keras.layers.ZeroPadding3D")
class ZeroPadding3D(_ZeroPadding):
    """Zeros around volumes.

    Args:
        padding: Zeros on all sides, or one number per axis, or one pair per axis.
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        kwargs: Arguments of `Layer`.
    Shapes:
        inputs: `(B, spatial..., C)` or `(B, C, spatial...)`. Result: larger volumes.

    Example:
        >>> ZeroPadding3D(1)(torch.ones(1, 2, 2, 2, 1)).shape
        torch.Size([1, 4, 4, 4, 1])
    """

    _rank = 3

    def __init__(
        self,
        padding: Any = ((1, 1), (1, 1), (1, 1)),
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.padding = _pairs(padding, 3, "padding")
        self._set_up(data_format, self.padding)


# Cropping ----------------------------------------------------------------------------------------


class _Cropping(_Window):
    """Base of cropping."""

    _keras_memory = "inputs"

    def call(self, inputs: Tensor) -> Tensor:
        """Return the middle of the inputs."""
        for axis, (before, after) in enumerate(self._ends, start=self._first):
            left = inputs.shape[axis] - before - after
            if left <= 0:
                raise self._nothing_left(tuple(inputs.shape))
            inputs = inputs.narrow(axis, before, left)
        return inputs

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        """Return the cropped shape.

        Raises:
            ValueError: Nothing would be left.
        """
        shape = list(input_shape)
        for axis, ends in enumerate(self._ends, start=self._first):
            if shape[axis] is not None:
                shape[axis] -= sum(ends)
                if shape[axis] <= 0:
                    raise self._nothing_left(tuple(input_shape))
        return tuple(shape)

    def _nothing_left(self, shape: tuple[int | None, ...]) -> ValueError:
        return ValueError(
            explain(
                f"{self.name}: the `cropping` parameter of `{type(self).__name__}` layer must be"
                " smaller than the input. Values in `cropping` argument should be smaller than the"
                " corresponding spatial dimension of the input.",
                input_shape=shape,
                cropping=self.cropping,
            )
        )


@builtin("keras.layers.Cropping1D")
class Cropping1D(_Cropping):
    """Drops steps at both ends of a series.

    Args:
        cropping: Steps at both ends, or `(before, after)`.
        kwargs: Arguments of `Layer`.
    Shapes:
        inputs: `(B, T, C)`. Result: fewer steps.

    Example:
        >>> Cropping1D(1)(torch.ones(1, 4, 2)).shape
        torch.Size([1, 2, 2])
    """

    _rank = 1

    def __init__(self, cropping: int | Sequence[int] = (1, 1), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cropping = standardize_tuple(cropping, 2, "cropping", allow_zero=True)
        self._set_up("channels_last", [self.cropping])


@builtin("keras.layers.Cropping2D")
class Cropping2D(_Cropping):
    """Drops the border of images.

    Args:
        cropping: Rows and columns on all sides, or `(height, width)`, or
            `((top, bottom), (left, right))`.
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        kwargs: Arguments of `Layer`.
    Shapes:
        inputs: `(B, H, W, C)` or `(B, C, H, W)`. Result: smaller images.

    Example:
        >>> Cropping2D(1)(torch.ones(1, 4, 4, 2)).shape
        torch.Size([1, 2, 2, 2])
    """

    _rank = 2

    def __init__(
        self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.cropping = _pairs(cropping, 2, "cropping")
        self._set_up(data_format, self.cropping)


@builtin("keras.layers.Cropping3D")
class Cropping3D(_Cropping):
    """Drops the border of volumes.

    Args:
        cropping: Steps on all sides, or one number per axis, or one pair per axis.
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        kwargs: Arguments of `Layer`.
    Shapes:
        inputs: `(B, spatial..., C)` or `(B, C, spatial...)`. Result: smaller volumes.

    Example:
        >>> Cropping3D(1)(torch.ones(1, 4, 4, 4, 2)).shape
        torch.Size([1, 2, 2, 2, 2])
    """

    _rank = 3

    def __init__(
        self,
        cropping: Any = ((1, 1), (1, 1), (1, 1)),
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.cropping = _pairs(cropping, 3, "cropping")
        self._set_up(data_format, self.cropping)


# Upsampling --------------------------------------------------------------------------------------


class _UpSampling(Layer):
    """Base of upsampling: spatial axes, and a factor for each."""

    def _set_up(self, data_format: str | None, factors: Sequence[int]) -> None:
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=len(factors) + 2)
        self._first = 2 if self.data_format == "channels_first" else 1
        self._factors = tuple(factors)
        rank = len(self._factors)
        # torch's kernel is faster than repetition, but for series, which it would copy.
        self._scales = tuple(map(float, self._factors)) if rank > 1 else None
        # "nearest" multiplies by 1 / factor. Where that is rounded, it may miss a pixel's edge,
        # and "nearest-exact", which is slower, aims at its middle.
        exact = all(factor & (factor - 1) == 0 for factor in self._factors)
        self._mode = "nearest" if exact else "nearest-exact"
        self._to_first = to_channels_first(rank) if self._first == 1 else None
        self._to_last = to_channels_last(rank)

    def call(self, inputs: Tensor) -> Tensor:
        """Return the inputs with each step repeated."""
        if self._scales is not None and inputs.is_floating_point():
            x = inputs if self._to_first is None else torch.permute(inputs, self._to_first)
            x = F.interpolate(x, scale_factor=self._scales, mode=self._mode)
            return x if self._to_first is None else torch.permute(x, self._to_last)
        for axis, factor in enumerate(self._factors, start=self._first):
            if factor > 1:
                inputs = inputs.repeat_interleave(factor, axis)
        return inputs

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        """Return the enlarged shape."""
        shape = list(input_shape)
        for axis, factor in enumerate(self._factors, start=self._first):
            shape[axis] = None if shape[axis] is None else shape[axis] * factor
        return tuple(shape)


@builtin("keras.layers.UpSampling1D")
class UpSampling1D(_UpSampling):
    """Repeats each step of a series.

    Args:
        size: How often.
        kwargs: Arguments of `Layer`.
    Shapes:
        inputs: `(B, T, C)`. Result: `(B, T * size, C)`.
    Raises:
        TypeError: `size` is no integer.
        ValueError: It is not positive.

    Example:
        >>> UpSampling1D(2)(torch.ones(1, 3, 2)).shape
        torch.Size([1, 6, 2])
    """

    def __init__(self, size: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = _count(self, "size", size)
        self._set_up("channels_last", [self.size])


_MODES = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
_MODES += ("area", "gaussian", "mitchellcubic", "keras2_bicubic")  # of Keras 2


@builtin("keras.layers.UpSampling2D")
class UpSampling2D(_UpSampling):
    """Enlarges images by integer factors.

    Args:
        size: Factors of height and width.
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        interpolation: "nearest" (repetition), "bilinear", "bicubic", "lanczos3" or "lanczos5"; or,
            as in Keras 2, "area", "gaussian", "mitchellcubic" or "keras2_bicubic".
        kwargs: Arguments of `Layer`.
    Shapes:
        inputs: `(B, H, W, C)` or `(B, C, H, W)`. Result: larger images.
    Raises:
        ValueError: The interpolation is unknown.

    Example:
        >>> UpSampling2D(2)(torch.ones(1, 2, 3, 1)).shape
        torch.Size([1, 4, 6, 1])
    """

    def __init__(
        self,
        size: int | Sequence[int] = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.size = standardize_tuple(size, 2, "size")
        self._set_up(data_format, self.size)
        self.interpolation = interpolation.lower()
        self._keras_memory = "channels_last" if self.interpolation == "nearest" else "resized"
        if self.interpolation not in _MODES:
            raise ValueError(
                explain(
                    f"UpSampling2D '{self.name}': unknown `interpolation`.",
                    given=f"interpolation={interpolation!r}",
                    expected=" or ".join(repr(mode) for mode in _MODES),
                )
            )

    def call(self, inputs: Tensor) -> Tensor:
        """Return the enlarged images."""
        if self.interpolation == "nearest":
            return super().call(inputs)
        sides = inputs.shape[self._first : self._first + 2]
        size = [n * factor for n, factor in zip(sides, self.size, strict=True)]
        return resize(inputs, size, self.interpolation, data_format=self.data_format)


@builtin("keras.layers.UpSampling3D")
class UpSampling3D(_UpSampling):
    """Repeats each element of volumes along the three axes.

    Args:
        size: How often, one integer or one per axis.
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        kwargs: Arguments of `Layer`.
    Shapes:
        inputs: `(B, spatial..., C)` or `(B, C, spatial...)`. Result: larger volumes.

    Example:
        >>> UpSampling3D(2)(torch.ones(1, 2, 2, 2, 1)).shape
        torch.Size([1, 4, 4, 4, 1])
    """

    _keras_memory = "row_major"

    def __init__(
        self,
        size: int | Sequence[int] = (2, 2, 2),
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.size = standardize_tuple(size, 3, "size")
        self._set_up(data_format, self.size)
