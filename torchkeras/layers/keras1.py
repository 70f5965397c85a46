"""Layers of Keras 1 without a successor, for models in its files.

Letters: B batch, I inputs, N features of a maxout, U units.
Sources: Srivastava et al. 2015 (Highway), Goodfellow et al. 2013 (Maxout); the documentation of
Keras 1.2 (names and order of the weights).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..registry import builtin
from ._kernel import KernelLayer

__all__ = ["Highway", "MaxoutDense"]


@builtin("keras._legacy.layers.Highway", "keras.layers.Highway")
class Highway(KernelLayer):
    """A dense layer and its input, weighed by a learned gate.

    Args:
        use_bias: Whether there are biases.
        activation: Function or name, applied to the dense part.
        kwargs: Initializers, regularizers and constraints of the kernels (of both) and biases, and
            arguments of `Layer`.
    Shapes: inputs `(B, I)`; result the same.

    Example:
        >>> Highway()(torch.ones(2, 3)).shape
        torch.Size([2, 3])
    """

    def __init__(self, activation: Any = None, use_bias: bool = True, **kwargs: Any) -> None:
        super().__init__(activation=activation, **kwargs)
        self.use_bias = use_bias

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Make two square kernels, and a bias for each."""
        units = input_shape[-1]
        self.kernel = self._add_kernel((units, units))
        self.carry_kernel = self._add_kernel((units, units), name="carry_kernel")
        self.bias = self._add_bias((units,)) if self.use_bias else None
        self.carry_bias = (
            self.add_weight((units,), "zeros", name="carry_bias") if self.use_bias else None
        )
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        """Return a mixture of the activation and `inputs`."""
        y, gate = inputs @ self.kernel, inputs @ self.carry_kernel
        if self.bias is not None:
            y, gate = y + self.bias, gate + self.carry_bias
        return torch.lerp(inputs, self.activation(y), torch.sigmoid(gate))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return `input_shape`."""
        return input_shape


@builtin("keras._legacy.layers.MaxoutDense", "keras.layers.MaxoutDense")
class MaxoutDense(KernelLayer):
    """The largest of several dense layers, for each unit.

    Args:
        units: How many numbers come out.
        nb_feature: How many dense layers there are.
        use_bias: Whether they have biases.
        kwargs: Initializers, regularizers and constraints of `kernel` and `bias`, and arguments of
            `Layer`.
    Shapes: inputs `(B, I)`; result `(B, U)`. kernel: `(N, I, U)`, bias: `(N, U)`.

    Example:
        >>> MaxoutDense(4)(torch.ones(2, 3)).shape
        torch.Size([2, 4])
    """

    def __init__(
        self, units: int, nb_feature: int = 4, use_bias: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.units, self.nb_feature, self.use_bias = units, nb_feature, use_bias

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Make a kernel and a bias of all features."""
        self.kernel = self._add_kernel((self.nb_feature, input_shape[-1], self.units))
        self.bias = self._add_bias((self.nb_feature, self.units)) if self.use_bias else None
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        """Return the maxima."""
        y = torch.einsum("bi,niu->bnu", inputs, self.kernel)
        return (y if self.bias is None else y + self.bias).amax(1)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Return the batch and the units."""
        return (input_shape[0], self.units)
