"""Layers that combine a list of inputs (`Add`, `Concatenate`, `Dot`, …), and functions of them.

Letters: B batch. Inputs of different rank are aligned after the batch axis: `(B, D)` meets
`(B, T, D)` as `(B, 1, D)`. Masks are those of the inputs, `(B, T)`, True for "use".
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..dtypes import as_tensor
from ..naming import explain
from ..ops.common import as_floating, promote
from ..registry import builtin
from .layer import Layer

__all__ = [
    "Add",
    "Average",
    "Concatenate",
    "Dot",
    "Maximum",
    "Merge",
    "Minimum",
    "Multiply",
    "Subtract",
    "add",
    "average",
    "concatenate",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "subtract",
]

Shapes = Sequence["Sequence[int | None]"]


class Merge(Layer):
    """Base of layers that combine a list of inputs element by element.

    Subclasses define `_merge_function(inputs)`.

    Args:
        kwargs: Arguments of `Layer`.
    Shapes:
        inputs: shapes that broadcast against each other. Result: the broadcast shape.
    Raises:
        ValueError: The inputs are not a list, or their shapes do not fit.
    """

    _creates_mask = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self._reshape_required = False

    def _merge_function(self, inputs: Sequence[Tensor]) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} must define `_merge_function(inputs)`.")

    def _error(self, what: str, fix: str | None = None, **facts: Any) -> ValueError:
        return ValueError(explain(f"{type(self).__name__} '{self.name}': {what}.", fix, **facts))

    def _check_is_list(self, shapes: Any, length: int | None = None) -> None:
        """Raise unless `shapes` is a list of shapes, of this length."""
        is_list = isinstance(shapes, (list, tuple)) and len(shapes) > 0
        if not is_list or not isinstance(shapes[0], (list, tuple)):
            raise self._error(
                "it must be called on a list of inputs",
                input_shape=shapes,
                fix="pass a list, such as `layer([a, b])`.",
            )
        if length is not None and len(shapes) != length:
            raise self._error(
                f"the layer should be called on exactly {length} inputs",
                inputs=len(shapes),
                input_shape=list(shapes),
            )

    def build(self, input_shape: Shapes) -> None:
        """Check that the shapes fit."""
        self._check_is_list(input_shape)
        batches = {shape[0] for shape in input_shape if shape} - {None}
        if len(batches) > 1:
            raise self._error("the inputs have different batch sizes", input_shape=input_shape)
        self._broadcast_shape(input_shape)
        ranks = {None if shape is None else len(shape) for shape in input_shape}
        self._reshape_required = len(ranks) > 1
        self.built = True

    def _broadcast_shape(self, shapes: Shapes) -> tuple[int | None, ...] | None:
        """Broadcast the shapes without their batch axes."""
        if any(shape is None for shape in shapes):
            return None
        rank = max(len(shape) for shape in shapes) - 1
        result: list[int | None] = [1] * rank
        for shape in shapes:
            for axis, size in enumerate(shape[1:], start=rank - len(shape) + 1):
                known = result[axis]
                if size == 1 or size == known:
                    continue
                if known == 1:
                    result[axis] = size
                elif size is None or known is None:
                    result[axis] = None
                else:
                    raise self._error(
                        "the shapes do not fit together",
                        input_shape=list(shapes),
                        fix="make the sizes of each axis equal, or 1.",
                    )
        return tuple(result)

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return the combination of `inputs`."""
        return self._merge_function(self._aligned(inputs))

    def _aligned(self, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        if not isinstance(inputs, (list, tuple)):
            raise self._error("it must be called on a list of inputs", given=type(inputs).__name__)
        if not self._reshape_required:
            return inputs
        rank = max(x.dim() for x in inputs)
        return [x[(slice(None), *[None] * (rank - x.dim()))] for x in inputs]

    def compute_output_shape(self, input_shape: Shapes) -> tuple[int | None, ...]:
        """The broadcast shape."""
        self._check_is_list(input_shape)
        batches = {shape[0] for shape in input_shape if shape} - {None}
        batch = batches.pop() if len(batches) == 1 else None
        return (batch, *self._broadcast_shape(input_shape))

    def compute_output_spec(self, inputs: Any, **kwargs: Any) -> Any:
        """Return the combination as a symbolic tensor."""
        return super().compute_output_spec(inputs, **kwargs)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return where any input is in use; no mask if an input has none."""
        if mask is None:
            return None
        self._check_masks(inputs, mask)
        if any(m is None for m in mask):
            return None
        return functools.reduce(torch.logical_or, map(as_tensor, mask))

    def _check_masks(self, inputs: Any, mask: Any) -> None:
        for name, value in (("mask", mask), ("inputs", inputs)):
            if not isinstance(value, (list, tuple)):
                raise self._error(f"`{name}` should be a list", given=type(value).__name__)
        if len(mask) != len(inputs):
            raise self._error(
                "`inputs` and `mask` should have the same length",
                inputs=len(inputs),
                mask=len(mask),
            )


def _fold(function: Callable[[Tensor, Tensor], Tensor], inputs: Sequence[Tensor]) -> Tensor:
    result = inputs[0]
    for x in inputs[1:]:
        result = function(result, x)
    return result


@builtin("keras.layers.Add")
class Add(Merge):
    """Sum of the inputs.

    Args:
        kwargs: Arguments of `Layer`.

    Example:
        >>> Add()([torch.ones(1, 2), torch.ones(1, 2)]).tolist()
        [[2.0, 2.0]]
    """

    _keras_memory = "inputs"

    def _merge_function(self, inputs: Sequence[Tensor]) -> Tensor:
        return _fold(operator.add, inputs)


@builtin("keras.layers.Subtract")
class Subtract(Merge):
    """First input minus the second.

    Args:
        kwargs: Arguments of `Layer`.

    Example:
        >>> Subtract()([torch.ones(1, 2), torch.ones(1, 2)]).tolist()
        [[0.0, 0.0]]
    """

    _keras_memory = "inputs"

    def build(self, input_shape: Shapes) -> None:
        """Check that there are two shapes, and that they fit."""
        super().build(input_shape)
        self._check_is_list(input_shape, 2)

    def _merge_function(self, inputs: Sequence[Tensor]) -> Tensor:
        if len(inputs) != 2:
            raise self._error("the layer should be called on exactly 2 inputs", inputs=len(inputs))
        return inputs[0] - inputs[1]


@builtin("keras.layers.Average")
class Average(Merge):
    """Mean of the inputs.

    Args:
        kwargs: Arguments of `Layer`.

    Example:
        >>> Average()([torch.ones(1, 2), torch.zeros(1, 2)]).tolist()
        [[0.5, 0.5]]
    """

    _keras_memory = "inputs"

    def _merge_function(self, inputs: Sequence[Tensor]) -> Tensor:
        return _fold(operator.add, inputs) / len(inputs)


class _MaskedMerge(Merge):
    """Base of merges that take the masks of the inputs into account."""

    _keras_memory = "inputs"

    def call(self, inputs: Sequence[Tensor], mask: Any = None) -> Tensor:
        """Return the combination of `inputs`."""
        inputs = self._aligned(inputs)
        if mask is None or all(m is None for m in mask):
            return self._merge_function(inputs)
        pairs = zip(inputs, mask, strict=True)
        return self._merge_masked(
            inputs, [None if m is None else m.unsqueeze(-1).expand(x.shape) for x, m in pairs]
        )

    def _merge_masked(self, inputs: Sequence[Tensor], masks: Sequence[Tensor | None]) -> Tensor:
        raise NotImplementedError


class _Extremum(_MaskedMerge):
    """Base of maximum and minimum: masked elements do not compete."""

    _function: Callable[[Tensor, Tensor], Tensor]

    def _merge_function(self, inputs: Sequence[Tensor]) -> Tensor:
        return _fold(type(self)._function, inputs)

    def _merge_masked(self, inputs: Sequence[Tensor], masks: Sequence[Tensor | None]) -> Tensor:
        result, used = inputs[0], masks[0]
        for x, mask in zip(inputs[1:], masks[1:], strict=True):
            x = x if mask is None else torch.where(mask, x, result)
            result = result if used is None else torch.where(used, result, x)
            used = None if mask is None or used is None else used | mask
            result = type(self)._function(result, x)
        return result


@builtin("keras.layers.Maximum")
class Maximum(_Extremum):
    """Element-wise maximum of the inputs.

    Args:
        kwargs: Arguments of `Layer`.

    Example:
        >>> Maximum()([torch.ones(1, 2), torch.zeros(1, 2)]).tolist()
        [[1.0, 1.0]]
    """

    _function = staticmethod(torch.maximum)


@builtin("keras.layers.Minimum")
class Minimum(_Extremum):
    """Element-wise minimum of the inputs.

    Args:
        kwargs: Arguments of `Layer`.

    Example:
        >>> Minimum()([torch.ones(1, 2), torch.zeros(1, 2)]).tolist()
        [[0.0, 0.0]]
    """

    _function = staticmethod(torch.minimum)


@builtin("keras.layers.Multiply")
class Multiply(_MaskedMerge):
    """Product of the inputs; masked elements count as 1.

    Args:
        kwargs: Arguments of `Layer`.

    Example:
        >>> Multiply()([torch.ones(1, 2), torch.zeros(1, 2)]).tolist()
        [[0.0, 0.0]]
    """

    def _merge_function(self, inputs: Sequence[Tensor]) -> Tensor:
        return _fold(operator.mul, inputs)

    def _merge_masked(self, inputs: Sequence[Tensor], masks: Sequence[Tensor | None]) -> Tensor:
        pairs = zip(inputs, masks, strict=True)
        result = _fold(operator.mul, [x if m is None else torch.where(m, x, 1) for x, m in pairs])
        if any(m is None for m in masks):
            return result
        return torch.where(_fold(torch.logical_or, masks), result, 0)


@builtin("keras.layers.Concatenate")
class Concatenate(Merge):
    """The inputs one after the other along an axis.

    Args:
        axis: The axis.
        kwargs: Arguments of `Layer`.
    Shapes:
        inputs: equal but for `axis`. Result: their sizes on `axis` added.
    Raises:
        ValueError: The inputs are not a list, or their shapes differ elsewhere.

    Example:
        >>> Concatenate()([torch.ones(1, 2), torch.zeros(1, 1)]).tolist()
        [[1.0, 1.0, 0.0]]
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def build(self, input_shape: Shapes) -> None:
        """Check that the shapes agree on all axes but one."""
        self._check_is_list(input_shape)
        if not any(shape is None for shape in input_shape):
            rank = len(input_shape[0])
            same_rank = all(len(shape) == rank for shape in input_shape)
            if not same_rank or not -rank <= self.axis < rank:
                raise self._misfit(input_shape)
            for axis in range(rank):
                sizes = {shape[axis] for shape in input_shape} - {None}
                if axis != self.axis % rank and len(sizes) > 1:
                    raise self._misfit(input_shape)
        self.built = True

    def _misfit(self, shapes: Shapes) -> ValueError:
        return self._error(
            "it requires inputs with matching shapes except for the concatenation axis",
            axis=self.axis,
            input_shape=list(shapes),
            fix="reshape or crop the inputs, or concatenate on another axis.",
        )

    def _merge_function(self, inputs: Sequence[Tensor]) -> Tensor:
        dtype = inputs[0].dtype
        if any(x.dtype is not dtype for x in inputs):
            dtype = functools.reduce(torch.promote_types, [x.dtype for x in inputs])
            inputs = [x.to(dtype) for x in inputs]
        return torch.cat(inputs, self.axis)

    def compute_output_shape(self, input_shape: Shapes) -> tuple[int | None, ...]:
        """The first shape with all sizes on `axis` added."""
        self._check_is_list(input_shape)
        result = list(input_shape[0])
        sizes = [shape[self.axis] for shape in input_shape]
        result[self.axis] = None if None in sizes else sum(sizes)
        return tuple(result)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the masks joined along `axis`; inputs without a mask are in use."""
        if mask is None:
            return None
        self._check_masks(inputs, mask)
        if all(m is None for m in mask):
            return None
        masks = []
        for x, m in zip(map(as_tensor, inputs), mask, strict=True):
            if m is None:
                masks.append(torch.ones_like(x, dtype=torch.bool))
                continue
            m = as_tensor(m)
            if m.dim() < x.dim():
                m = m.unsqueeze(-1).bool().expand(x.shape)
            masks.append(m)
        return torch.cat(masks, self.axis).any(-1)


@builtin("keras.layers.Dot")
class Dot(Merge):
    """Sum of products of two inputs along an axis of each, for every sample.

    Args:
        axes: The axis of both, or one of each; not the batch axis.
        normalize: Whether the inputs are first scaled to length 1 along it (cosine similarity).
        kwargs: Arguments of `Layer`.
    Shapes:
        inputs: `(B, a..., n, ...)` and `(B, b..., n, ...)`. Result: the batch axis, the other axes
        of the first, those of the second; `(B, 1)` if there are none.
    Raises:
        TypeError, ValueError: `axes` is malformed, or the sizes differ.

    Example:
        >>> Dot(axes=1)([torch.ones(1, 3), torch.ones(1, 3)]).tolist()
        [[3.0]]
    """

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        given = f"axes={axes!r}"
        if not isinstance(axes, (int, list, tuple)):
            raise TypeError(
                explain(
                    f"Dot '{self.name}': `axes` must be an integer or two of them.", given=given
                )
            )
        if not isinstance(axes, int) and (
            len(axes) != 2 or not all(isinstance(axis, int) for axis in axes)
        ):
            raise self._error("`axes` must be an integer or two of them", given=given)
        self.axes = axes
        self.normalize = normalize

    def _axis_pair(self, *ranks: int) -> tuple[int, int]:
        """The axis of each input, counted from the front."""
        pair = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        first, second = (a % rank if a < 0 else a for a, rank in zip(pair, ranks, strict=True))
        if first == 0 or second == 0:
            raise self._error("the batch axis 0 cannot be summed over", axes=self.axes)
        return first, second

    def build(self, input_shape: Shapes) -> None:
        """Check that there are two inputs, equal in size along the axes."""
        self._check_is_list(input_shape, 2)
        a, b = input_shape
        if a is not None and b is not None:
            i, j = self._axis_pair(len(a), len(b))
            if i >= len(a) or j >= len(b):
                raise self._error(
                    "`axes` must be axes of the inputs", axes=self.axes, input_shape=input_shape
                )
            if a[i] != b[j]:
                raise self._error(
                    "the inputs differ in size along `axes`",
                    axes=self.axes,
                    input_shape=list(input_shape),
                )
        self.built = True

    def _merge_function(self, inputs: Sequence[Tensor]) -> Tensor:
        if len(inputs) != 2:
            raise self._error("the layer should be called on exactly 2 inputs", inputs=len(inputs))
        a, b = inputs
        i, j = self._axis_pair(a.dim(), b.dim())
        if self.normalize:
            a, b = _unit_length(a, i), _unit_length(b, j)
        if a.dim() == b.dim() == 2:
            return (a * b).sum(1, keepdim=True)
        rest_a, rest_b = a.shape[:i] + a.shape[i + 1 :], b.shape[1:j] + b.shape[j + 1 :]
        a = a.movedim(i, -1).flatten(1, -2) if a.dim() > 2 else a.unsqueeze(1)
        b = b.movedim(j, 1).flatten(2) if b.dim() > 2 else b.unsqueeze(2)
        if a.dtype is not b.dtype:
            a, b = promote(a, b)
        product = torch.matmul(a, b)
        shape = rest_a + rest_b
        return product.reshape(shape if len(shape) > 1 else (*shape, 1))

    def compute_output_shape(self, input_shape: Shapes) -> tuple[int | None, ...]:
        """The batch axis and all other axes that are not summed over."""
        self._check_is_list(input_shape, 2)
        a, b = list(input_shape[0]), list(input_shape[1])
        i, j = self._axis_pair(len(a), len(b))
        rest = (*a[1:i], *a[i + 1 :], *b[1:j], *b[j + 1 :])
        return (a[0], *(rest or (1,)))

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """Return no mask."""
        return None


def _unit_length(x: Tensor, axis: int) -> Tensor:
    x = as_floating(x)  # casts of a layer leave whole numbers as they are
    square = x.square().sum(axis, keepdim=True)
    # The length counts as 1e-12 at least; its inverse would overflow in float16.
    return x * torch.rsqrt(square).clamp(max=min(1e12, torch.finfo(x.dtype).max))


# Functions ---------------------------------------------------------------------------------------


def add(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Sum of a list of tensors: `Add(**kwargs)(inputs)`.

    Example:
        >>> add([torch.ones(1, 1), torch.ones(1, 1)]).tolist()
        [[2.0]]
    """
    return Add(**kwargs)(inputs)


def subtract(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """First tensor minus the second: `Subtract(**kwargs)(inputs)`.

    Example:
        >>> subtract([torch.ones(1, 1), torch.ones(1, 1)]).tolist()
        [[0.0]]
    """
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Product of a list of tensors: `Multiply(**kwargs)(inputs)`.

    Example:
        >>> multiply([torch.ones(1, 1), torch.ones(1, 1)]).tolist()
        [[1.0]]
    """
    return Multiply(**kwargs)(inputs)


def average(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Mean of a list of tensors: `Average(**kwargs)(inputs)`.

    Example:
        >>> average([torch.ones(1, 1), torch.zeros(1, 1)]).tolist()
        [[0.5]]
    """
    return Average(**kwargs)(inputs)


def maximum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Element-wise maximum of a list of tensors: `Maximum(**kwargs)(inputs)`.

    Example:
        >>> maximum([torch.ones(1, 1), torch.zeros(1, 1)]).tolist()
        [[1.0]]
    """
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Element-wise minimum of a list of tensors: `Minimum(**kwargs)(inputs)`.

    Example:
        >>> minimum([torch.ones(1, 1), torch.zeros(1, 1)]).tolist()
        [[0.0]]
    """
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Sequence[Any], axis: int = -1, **kwargs: Any) -> Any:
    """A list of tensors one after the other: `Concatenate(axis, **kwargs)(inputs)`.

    Example:
        >>> concatenate([torch.ones(1, 1), torch.zeros(1, 1)]).tolist()
        [[1.0, 0.0]]
    """
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: Sequence[Any], axes: int | Sequence[int] = -1, **kwargs: Any) -> Any:
    """Sum of products of two tensors: `Dot(axes, **kwargs)(inputs)`.

    Example:
        >>> dot([torch.ones(1, 3), torch.ones(1, 3)]).tolist()
        [[3.0]]
    """
    return Dot(axes=axes, **kwargs)(inputs)
