"""Quantizers, which store the numbers of a tensor as small integers, and the functions they call.

A symmetric quantizer stores `round(x * scale)`, so that a number is `q / scale`. The grouped form
stores `round(x / scale) + zero`, as in `affine`, with groups along axis 0, as kernels have their
inputs.
Source: Jacob et al. 2018; Keras 3 (semantics).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..dtypes import as_tensor, to_torch
from ..naming import explain
from ..registry import builtin
from .affine import affine_parameters

__all__ = [
    "AbsMaxQuantizer",
    "Quantizer",
    "abs_max_quantize",
    "abs_max_quantize_grouped_with_zero_point",
]

Axes = int | Sequence[int]


@builtin("keras.quantizers.Quantizer", "keras.Quantizer")
class Quantizer:
    """Base class: subclasses define `__call__`, which returns quantized numbers and their scale.

    Args:
        output_dtype: Dtype of the quantized numbers.
    """

    def __init__(self, output_dtype: str = "int8") -> None:
        self.output_dtype = output_dtype

    def __call__(self, x: Any) -> Any:
        """Return `x`; subclasses quantize it."""
        return x

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Quantizer:
        """Make one from what `get_config` returned."""
        return cls(**config)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; subclasses define it.

        Raises:
            NotImplementedError: Here.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define `get_config()`.")


def abs_max_quantize(
    inputs: Any,
    axis: Axes,
    value_range: tuple[int, int] = (-127, 127),
    dtype: Any = "int8",
    epsilon: float = 1e-7,
    to_numpy: bool = False,
) -> tuple[Tensor, Tensor]:
    """Scale numbers such that the largest magnitude becomes the greatest integer, and round them.

    Args:
        inputs: The numbers.
        axis: The axis or axes along which numbers share a scale.
        value_range: The least and the greatest integer.
        dtype: Dtype of the integers.
        epsilon: Added to the largest magnitude.
        to_numpy: Whether to compute on the host, which spares a device's memory.

    Returns: The integers, and the scale in the dtype of `inputs`; they are about `inputs * scale`.

    Shapes:
        inputs: any. Integers: the same. Scale: the same with 1 along `axis`.

    Example:
        >>> q, scale = abs_max_quantize(torch.tensor([[1.0, -2.0], [0.5, 0.3]]), axis=-1)
        >>> q.tolist(), [round(s) for s in scale.flatten().tolist()]
        ([[64, -127], [127, 76]], [64, 254])
    """
    inputs = as_tensor(inputs)
    device = inputs.device
    if to_numpy:
        inputs = inputs.detach().cpu()
    least, greatest = value_range
    largest = inputs.abs().amax(axis if isinstance(axis, int) else tuple(axis), keepdim=True)
    # A number divided by a tensor would be its reciprocal times the number: rounded twice.
    dividend = torch.scalar_tensor(greatest, dtype=largest.dtype)
    scale = dividend / (largest + epsilon)
    outputs = (inputs * scale).round_().clamp_(least, greatest).to(to_torch(dtype))
    return (outputs.to(device), scale.to(device)) if to_numpy else (outputs, scale)


def abs_max_quantize_grouped_with_zero_point(
    inputs: Any,
    block_size: int,
    value_range: tuple[int, int] = (-8, 7),
    dtype: Any = "int8",
    epsilon: float = 1e-7,
    to_numpy: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Quantize a matrix with a scale and a zero point for each block of rows in each column.

    Letters: I rows (inputs), O columns (outputs), G blocks. Where the rows fill no whole number of
    blocks, zeros count as the rest; of a single block only with `to_numpy`, as in Keras.

    Args:
        inputs: The matrix, `(I, O)`.
        block_size: Rows in a block.
        value_range: The least and the greatest integer.
        dtype: Dtype of the integers.
        epsilon: Added to the range of each block.
        to_numpy: Whether to compute on the host, which spares a device's memory.

    Returns: The integers `(I, O)`, scales `(G, O)` and zero points `(G, O)` in int8.

    Example:
        >>> kernel = torch.tensor([[-8.0], [7.0], [0.0], [30.0]])
        >>> q, scale, zero = abs_max_quantize_grouped_with_zero_point(kernel, block_size=2)
        >>> q.flatten().tolist(), scale.flatten().tolist(), zero.flatten().tolist()
        ([-8, 7, -8, 7], [1.0, 2.0], [0, -8])
    """
    inputs = as_tensor(inputs)
    device = inputs.device
    if to_numpy:
        inputs = inputs.detach().cpu()
    rows = inputs.shape[0]
    if rows > block_size or to_numpy:
        inputs = F.pad(inputs, (0, 0, 0, -rows % block_size))
    blocks = inputs.unflatten(0, (-1, min(block_size, len(inputs))))
    low, high = blocks.amin(1), blocks.amax(1)
    least, greatest = value_range
    scale, zero = affine_parameters(low, high, greatest - least, value_range, least, epsilon)
    levels = torch.round(blocks / scale[:, None]) + zero[:, None]
    outputs = levels.clamp(least, greatest).to(to_torch(dtype)).flatten(0, 1)[:rows]
    return outputs.to(device), scale.to(device), zero.to(device, torch.int8)


@builtin("keras.quantizers.AbsMaxQuantizer")
class AbsMaxQuantizer(Quantizer):
    """Scales numbers such that the largest magnitude becomes the greatest integer, and rounds them.

    Args:
        axis: The axis or axes along which numbers share a scale, where a call names none.
        value_range: The least and the greatest integer.
        epsilon: Added to the largest magnitude.
        output_dtype: Dtype of the integers.

    Raises:
        ValueError: The range exceeds int8.

    Example:
        >>> q, scale = AbsMaxQuantizer(axis=0)(torch.tensor([[1.0], [-2.0]]))
        >>> q.tolist(), q.dtype
        ([[64], [-127]], torch.int8)
    """

    def __init__(
        self,
        axis: Axes | None = None,
        value_range: tuple[int, int] = (-127, 127),
        epsilon: float = 1e-7,
        output_dtype: str = "int8",
    ) -> None:
        super().__init__(output_dtype)
        self.axis = (axis,) if isinstance(axis, int) else None if axis is None else tuple(axis)
        self.value_range = value_range
        self.epsilon = epsilon
        if output_dtype == "int8" and (value_range[0] < -128 or value_range[1] > 127):
            raise ValueError(
                explain(
                    "AbsMaxQuantizer: `value_range` exceeds what int8 holds.",
                    given=f"value_range={value_range}",
                    expected="integers from -128 to 127",
                    fix="use a smaller range, or another `output_dtype`.",
                )
            )

    def __call__(
        self, x: Any, axis: Axes | None = None, to_numpy: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return the integers and the scale.

        Args:
            x: The numbers.
            axis: Along which they share a scale. Default: the constructor's; failing that, -1.
            to_numpy: Whether to compute on the host, which spares a device's memory.
        """
        axis = self.axis if axis is None else axis
        axis = -1 if axis is None else axis
        return abs_max_quantize(
            x, axis, self.value_range, self.output_dtype, self.epsilon, to_numpy
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; the axis only where there is one."""
        config = {
            "value_range": self.value_range,
            "epsilon": self.epsilon,
            "output_dtype": self.output_dtype,
        }
        return config if self.axis is None else {**config, "axis": self.axis}
