"""Constraints: projections that an optimizer applies to a weight after each update.

`axis` names the axes over which a norm runs: 0 for each output of a Dense kernel `(inputs,
outputs)`, `(0, 1, 2)` for each filter of a convolution kernel `(rows, columns, inputs, outputs)`.
Source: `keras.constraints` (names, defaults, formulas).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch

from .config import epsilon
from .dtypes import as_tensor, to_torch
from .naming import check_some_axis
from .registry import Namespace, builtin

__all__ = [
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "deserialize",
    "get",
    "max_norm",
    "min_max_norm",
    "non_neg",
    "serialize",
    "unit_norm",
]

Axis = int | Sequence[int] | None


@builtin("keras.constraints.Constraint")
class Constraint:
    """Base class: subclasses define `__call__`, and `get_config` if they have arguments.

    Example:
        >>> class AtMostOne(Constraint):
        ...     def __call__(self, w):
        ...         return w.clamp(max=1)
        >>> AtMostOne()(torch.tensor([0.5, 2.0])).tolist()
        [0.5, 1.0]
    """

    # Constructor arguments that are attributes of the same name and go into the config.
    _arguments: ClassVar[tuple[str, ...]] = ()

    def __call__(self, w: torch.Tensor) -> torch.Tensor:
        """The projection of `w`."""
        return w

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {name: getattr(self, name) for name in self._arguments}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Constraint:
        """Make one from what `get_config` returned."""
        return cls(**config)


def _rescale(
    w: Any, axis: Axis, desired: Callable[[torch.Tensor], torch.Tensor | float]
) -> torch.Tensor:
    """Give `w` the L2 norms over `axis` that `desired` makes of those it has.

    Half types are scaled in float32, where the scale of a vanishing norm does not overflow.
    """
    w = as_tensor(w)
    dtype = w.dtype if w.is_floating_point() else to_torch(None)
    wide = torch.promote_types(dtype, torch.float32)
    norms = torch.linalg.vector_norm(w.to(dtype), dim=axis, keepdim=True, dtype=wide)
    return (w * (desired(norms) / (norms + epsilon()))).to(dtype)


def _bound(name: str, value: float) -> float:
    """A bound of a norm, as it was given; `None` would be none to torch."""
    if value is None:
        raise ValueError(f"`{name}` must be a number. Received: {name}=None")
    return value


@builtin("keras.constraints.MaxNorm", "keras.constraints.max_norm")
class MaxNorm(Constraint):
    """Scale down what has a norm above a maximum.

    Args:
        max_value: The largest norm allowed.
        axis: Over which the norm runs.

    Example:
        >>> MaxNorm(1.0)(torch.tensor([[3.0], [4.0]])).squeeze().tolist()
        [0.6000..., 0.8000...]
    """

    _arguments = ("max_value", "axis")

    def __init__(self, max_value: float = 2, axis: Axis = 0) -> None:
        self.max_value = _bound("max_value", max_value)
        check_some_axis(type(self).__name__, axis)
        self.axis = axis

    def __call__(self, w: torch.Tensor) -> torch.Tensor:
        return _rescale(w, self.axis, lambda norms: norms.clamp(0, self.max_value))


@builtin("keras.constraints.NonNeg", "keras.constraints.non_neg")
class NonNeg(Constraint):
    """Replace negative numbers by 0.

    Example:
        >>> NonNeg()(torch.tensor([-1.0, 2.0])).tolist()
        [0.0, 2.0]
    """

    def __call__(self, w: torch.Tensor) -> torch.Tensor:
        return as_tensor(w).clamp(min=0)


@builtin("keras.constraints.UnitNorm", "keras.constraints.unit_norm")
class UnitNorm(Constraint):
    """Scale to norm 1.

    Args:
        axis: Over which the norm runs.

    Example:
        >>> UnitNorm()(torch.tensor([[0.0], [2.0]])).squeeze().tolist()
        [0.0, 1.0]
    """

    _arguments = ("axis",)

    def __init__(self, axis: Axis = 0) -> None:
        check_some_axis(type(self).__name__, axis)
        self.axis = axis

    def __call__(self, w: torch.Tensor) -> torch.Tensor:
        return _rescale(w, self.axis, lambda norms: 1.0)


@builtin("keras.constraints.MinMaxNorm", "keras.constraints.min_max_norm")
class MinMaxNorm(Constraint):
    """Scale norms towards an interval.

    Args:
        min_value: The smallest norm allowed.
        max_value: The largest.
        rate: How far to go, from 0 (nowhere) to 1 (into the interval).
        axis: Over which the norm runs.

    Example:
        >>> w = torch.tensor([[3.0], [4.0]])
        >>> MinMaxNorm(max_value=1.0, rate=0.5)(w).norm().item()
        3.0...
    """

    _arguments = ("min_value", "max_value", "rate", "axis")

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: Axis = 0,
    ) -> None:
        self.min_value = _bound("min_value", min_value)
        self.max_value = _bound("max_value", max_value)
        self.rate = rate
        check_some_axis(type(self).__name__, axis)
        self.axis = axis

    def __call__(self, w: torch.Tensor) -> torch.Tensor:
        def desired(norms: torch.Tensor) -> torch.Tensor:
            inside = norms.clamp(self.min_value, self.max_value)
            return inside if self.rate == 1.0 else torch.lerp(norms, inside, self.rate)

        return _rescale(w, self.axis, desired)


@builtin("keras.constraints.Keras2RadialConstraint", "keras.constraints.RadialConstraint")
class Keras2RadialConstraint(Constraint):
    """Keep convolution kernels the same along squares around their middle: Keras 3 has it no more.

    The squares have the values of the diagonal, as Keras 2 reads it: from the element before the
    middle on, which in kernels of even size is followed by the second one after it.

    Raises:
        ValueError: The kernel is not `(n, n, inputs, outputs)` with `n` above 1.

    Source: `tf_keras.constraints.RadialConstraint`.

    Example:
        >>> kernel = torch.arange(16.0).reshape(4, 4, 1, 1)
        >>> Keras2RadialConstraint()(kernel)[:2, :, 0, 0].tolist()
        [[15.0, 15.0, 15.0, 15.0], [15.0, 5.0, 5.0, 15.0]]
    """

    def __call__(self, w: torch.Tensor) -> torch.Tensor:
        """The projection of `w`."""
        w = as_tensor(w)
        if w.dim() != 4 or w.shape[0] != w.shape[1] or w.shape[0] < 2:
            raise ValueError(
                "RadialConstraint: the weight must be `(n, n, inputs, outputs)` with `n` above 1."
                f" Received: shape {tuple(w.shape)}."
            )
        size = w.shape[0]
        start, place = size // 2, torch.arange(size, device=w.device)
        if size % 2:
            away = (place - start).abs()
        else:
            away = torch.where(place < start, start - 1 - place, place - start)
        square = torch.maximum(away[:, None], away)
        if size % 2:
            source = start - 1 + square
        else:
            source = torch.where(square == 0, start - 1, start + square)
        return w[source, source]


max_norm = MaxNorm
min_max_norm = MinMaxNorm
non_neg = NonNeg
unit_norm = UnitNorm

_CONSTRAINTS = Namespace("constraints", kind="constraint", base=Constraint)
for _cls in (Constraint, MaxNorm, MinMaxNorm, NonNeg, UnitNorm):
    _CONSTRAINTS.register(_cls)


def get(identifier: Any) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """The constraint that an identifier stands for.

    Args:
        identifier: `None`, a name, a config, a class, a constraint or any function of a tensor.

    Raises:
        ValueError: It stands for none.

    Example:
        >>> get("max_norm").max_value
        2
    """
    return None if identifier is None else _CONSTRAINTS.get(identifier)


def serialize(constraint: Any) -> Any:
    """The config of a constraint."""
    return _CONSTRAINTS.serialize(constraint)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The constraint that a config describes.

    Raises:
        ValueError, TypeError: It describes none.
    """
    return _CONSTRAINTS.deserialize(config, custom_objects)
