"""Regularizers: penalties on a weight or an output, added to the loss.

Each is a function `x -> scalar tensor` that keeps the dtype and device of `x`.
Source: `keras.regularizers` (names, defaults, formulas).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch

from .config import epsilon
from .dtypes import as_tensor
from .naming import explain
from .registry import Namespace, builtin

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "OrthogonalRegularizer",
    "Regularizer",
    "deserialize",
    "get",
    "l1",
    "l1_l2",
    "l2",
    "orthogonal_regularizer",
    "serialize",
]


@builtin("keras.Regularizer", "keras.regularizers.Regularizer")
class Regularizer:
    """Base class: subclasses define `__call__` and `get_config`.

    Example:
        >>> class Sum(Regularizer):
        ...     def __call__(self, x):
        ...         return 0.1 * x.sum()
        >>> round(Sum()(torch.ones(2)).item(), 3)
        0.2
    """

    # Constructor arguments that are attributes of the same name and go into the config.
    _arguments: ClassVar[tuple[str, ...] | None] = None

    def __call__(self, x: torch.Tensor) -> torch.Tensor | float:
        """The penalty for `x`."""
        return 0.0

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        if self._arguments is None:
            raise NotImplementedError(f"{type(self).__name__} does not define `get_config()`.")
        return {name: getattr(self, name) for name in self._arguments}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Regularizer:
        """Make one from what `get_config` returned."""
        return cls(**config)


def validate_float_arg(value: Any, name: str) -> float:
    """Check that a factor is a non-negative, finite number.

    Args:
        value: What was given.
        name: The argument, for the message, as `"L1.l1"`.

    Raises:
        ValueError: It is none.
    """
    if isinstance(value, (float, int)) and math.isfinite(value) and value >= 0:
        return float(value)
    raise ValueError(
        explain(
            f"{name}: expected a non-negative float (finite).",
            given=repr(value),
            fix="use 0 for no penalty.",
        )
    )


@builtin("keras.regularizers.L1L2", "keras.regularizers.l1_l2")
class L1L2(Regularizer):
    """`l1 * sum(|x|) + l2 * sum(x**2)`.

    Args:
        l1: Factor of the absolute values.
        l2: Factor of the squares.

    Raises:
        ValueError: A factor is negative or not finite.

    Example:
        >>> L1L2(l1=1.0, l2=1.0)(torch.tensor([-2.0, 1.0])).item()
        8.0
    """

    _arguments = ("l1", "l2")

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0) -> None:
        self.l1 = validate_float_arg(0.0 if l1 is None else l1, "L1L2.l1")
        self.l2 = validate_float_arg(0.0 if l2 is None else l2, "L1L2.l2")

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        x = as_tensor(x)
        if self.l1 and self.l2:
            return self.l1 * x.abs().sum() + self.l2 * x.square().sum()
        if self.l1:
            return self.l1 * x.abs().sum()
        return self.l2 * x.square().sum() if self.l2 else x.new_zeros(())


@builtin("keras.regularizers.L1", "keras.regularizers.l1")
class L1(Regularizer):
    """`l1 * sum(|x|)`.

    Args:
        l1: The factor.

    Raises:
        ValueError: It is negative or not finite.

    Example:
        >>> L1(0.5)(torch.tensor([-2.0, 2.0])).item()
        2.0
    """

    _arguments = ("l1",)

    def __init__(self, l1: float | None = 0.01) -> None:
        self.l1 = validate_float_arg(0.01 if l1 is None else l1, "L1.l1")

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self.l1 * as_tensor(x).abs().sum()


@builtin("keras.regularizers.L2", "keras.regularizers.l2")
class L2(Regularizer):
    """`l2 * sum(x**2)`.

    Args:
        l2: The factor.

    Raises:
        ValueError: It is negative or not finite.

    Example:
        >>> L2(0.5)(torch.tensor([-2.0, 2.0])).item()
        4.0
    """

    _arguments = ("l2",)

    def __init__(self, l2: float | None = 0.01) -> None:
        self.l2 = validate_float_arg(0.01 if l2 is None else l2, "L2.l2")

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self.l2 * as_tensor(x).square().sum()


@builtin(
    "keras.regularizers.OrthogonalRegularizer",
    "keras.regularizers.orthogonal_regularizer",
)
class OrthogonalRegularizer(Regularizer):
    """Mean |cosine| between different rows (or columns) of a matrix, times a factor.

    Args:
        factor: The factor.
        mode: `"rows"` or `"columns"`: which shall become orthogonal to each other.

    Raises:
        ValueError: `factor` is negative or not finite, `mode` is neither, or, on the call, `x` is
            not a matrix.

    Example:
        >>> OrthogonalRegularizer(factor=1.0)(torch.eye(3)).item()
        0.0
    """

    _arguments = ("factor", "mode")

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = validate_float_arg(factor, "OrthogonalRegularizer.factor")
        if mode not in ("rows", "columns"):
            raise ValueError(
                'Invalid value for argument `mode`. Expected one of {"rows", "columns"}. '
                f"Received: mode={mode}"
            )
        self.mode = mode

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        inputs = as_tensor(inputs)
        if inputs.ndim != 2:
            raise ValueError(
                "Inputs to OrthogonalRegularizer must have rank 2. "
                f"Received: inputs.shape={tuple(inputs.shape)}"
            )
        if inputs.dtype in (torch.float16, torch.bfloat16):
            inputs = inputs.float()  # 1 / epsilon is beyond float16
        rows = inputs if self.mode == "rows" else inputs.T
        inverse_norm = rows.square().sum(1, keepdim=True).rsqrt()
        rows = rows * inverse_norm.clamp(max=1.0 / epsilon())
        count = rows.shape[0]
        others = 1.0 - torch.eye(count, dtype=rows.dtype, device=rows.device)
        pairs = count * (count - 1.0) / 2.0
        return self.factor * 0.5 * ((rows @ rows.T) * others).abs().sum() / pairs


l1 = L1
l1_l2 = L1L2
l2 = L2
orthogonal_regularizer = OrthogonalRegularizer

_REGULARIZERS = Namespace("regularizers", kind="regularizer", base=Regularizer)
for _cls in (Regularizer, L1, L2, L1L2, OrthogonalRegularizer):
    _REGULARIZERS.register(_cls)
_REGULARIZERS.register(L1L2, "l1l2", "l1_l2")


def get(identifier: Any) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """The regularizer that an identifier stands for.

    Args:
        identifier: `None`, a name, a config, a class, a regularizer or any function of a tensor.

    Raises:
        ValueError: It stands for none.

    Example:
        >>> get("l2").l2
        0.01
    """
    return None if identifier is None else _REGULARIZERS.get(identifier)


def serialize(regularizer: Any) -> Any:
    """The config of a regularizer."""
    return _REGULARIZERS.serialize(regularizer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The regularizer that a config describes.

    Raises:
        ValueError, TypeError: It describes none.
    """
    return _REGULARIZERS.deserialize(config, custom_objects)
