"""Activation layers: `Activation`, `ReLU`, `LeakyReLU`, `PReLU`, `ELU`, `Softmax`."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..activations import KERNELS, relu
from ..activations import get as get_activation
from ..constraints import get as get_constraint
from ..initializers import get as get_initializer
from ..naming import check_some_axis, explain
from ..registry import builtin
from ..regularizers import get as get_regularizer
from .input_spec import InputSpec
from .layer import Layer

__all__ = ["Activation", "ELU", "LeakyReLU", "PReLU", "ReLU", "Softmax"]

Shape = Sequence["int | None"]


class _Elementwise(Layer):
    """Base of layers whose output has the shape and the mask of their input."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self._build_at_init()

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return `input_shape`."""
        return input_shape


@builtin("keras.layers.Activation")
class Activation(_Elementwise):
    """Applies an activation function.

    Args:
        activation: A function, or the name of one in `keras.activations`.
        kwargs: Arguments of `Layer`.
    Raises:
        ValueError: No activation has that name.

    Example:
        >>> Activation("relu")(torch.tensor([-1.0, 2.0])).tolist()
        [0.0, 2.0]
    """

    _keras_memory = "inputs"

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        activation = get_activation(activation)
        if isinstance(activation, Layer):
            with self._unlocked():
                self.activation = activation
        else:
            self.activation = activation

    def call(self, inputs: Tensor) -> Tensor:
        """Return `activation(inputs)`."""
        return KERNELS.get(self.activation, self.activation)(inputs)


@builtin("keras.layers.ReLU")
class ReLU(_Elementwise):
    """`max(x, 0)`, or with its arguments: clipped above, sloped below, shifted to a threshold.

    Args:
        max_value: Upper limit; `None` for none.
        negative_slope: Slope below `threshold`.
        threshold: Where the identity begins.
        kwargs: Arguments of `Layer`.
    Shapes: Result: as `inputs`.
    Raises:
        ValueError: An argument is negative.

    Example:
        >>> ReLU(max_value=1.5)(torch.tensor([-1.0, 1.0, 2.0])).tolist()
        [0.0, 1.0, 1.5]
    """

    _keras_memory = "inputs"

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if max_value is not None:
            self._check_at_least_zero(max_value=max_value)
        self._check_at_least_zero(negative_slope=negative_slope, threshold=threshold)
        self.max_value = max_value
        self.negative_slope = negative_slope
        self.threshold = threshold
        self._plain = max_value is None and not negative_slope and not threshold

    def _check_at_least_zero(self, **values: float | None) -> None:
        for name, value in values.items():
            if value is None or value < 0:
                raise ValueError(
                    explain(
                        f"{type(self).__name__} '{self.name}': The {name} of a ReLU layer cannot"
                        f" be {'None or ' if name != 'max_value' else ''}a negative value.",
                        given=f"{name}={value}",
                    )
                )

    def call(self, inputs: Tensor) -> Tensor:
        """Return the rectified inputs."""
        if self._plain:
            return torch.relu(inputs)
        return relu(
            inputs,
            negative_slope=self.negative_slope,
            max_value=self.max_value,
            threshold=self.threshold,
        )


@builtin("keras.layers.LeakyReLU")
class LeakyReLU(_Elementwise):
    """`x` where positive, `negative_slope * x` elsewhere.

    Args:
        negative_slope: Slope below 0; also accepted as `alpha`.
        kwargs: Arguments of `Layer`.
    Shapes: Result: as `inputs`.
    Raises:
        ValueError: The slope is negative or `None`.
    Source: Maas et al. 2013.

    Example:
        >>> LeakyReLU(0.5)(torch.tensor([-1.0, 2.0])).tolist()
        [-0.5, 2.0]
    """

    _keras_memory = "inputs"

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        if "alpha" in kwargs:
            negative_slope = kwargs.pop("alpha")
            warnings.warn(
                "LeakyReLU: the argument `alpha` is called `negative_slope` now.", stacklevel=2
            )
        super().__init__(**kwargs)
        if negative_slope is None or negative_slope < 0:
            raise ValueError(
                explain(
                    f"LeakyReLU '{self.name}': The negative_slope value of a Leaky ReLU layer"
                    " cannot be None or negative.",
                    given=f"negative_slope={negative_slope}",
                )
            )
        self.negative_slope = negative_slope

    def call(self, inputs: Tensor) -> Tensor:
        """Return the inputs, negative ones scaled."""
        return F.leaky_relu(inputs, self.negative_slope)


@builtin("keras.layers.PReLU")
class PReLU(_Elementwise):
    """`x` where positive, `alpha * x` elsewhere, with a learned `alpha`.

    Args:
        alpha_initializer, alpha_regularizer, alpha_constraint: Of the slopes.
        shared_axes: Axes (the batch is 0) along which one slope serves; for images
            `[1, 2]` gives one per channel.
        kwargs: Arguments of `Layer`.
    Shapes:
        inputs: `(B, ...)`. Result: as `inputs`. alpha: `inputs.shape[1:]`, 1 on shared axes.
    Source: He et al. 2015.

    Example:
        >>> PReLU(alpha_initializer="ones")(torch.tensor([[-1.0, 2.0]])).tolist()
        [[-1.0, 2.0]]
    """

    _keras_memory = "inputs"

    def __init__(
        self,
        alpha_initializer: Any = "Zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: int | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alpha_initializer = get_initializer(alpha_initializer)
        self.alpha_regularizer = get_regularizer(alpha_regularizer)
        self.alpha_constraint = get_constraint(alpha_constraint)
        if isinstance(shared_axes, (str, Mapping)):
            raise TypeError(f"PReLU: `shared_axes` must be integers. Received: {shared_axes!r}")
        if shared_axes is not None:
            shared_axes = list(shared_axes) if hasattr(shared_axes, "__iter__") else [shared_axes]
            for axis in shared_axes:
                if not isinstance(axis, Integral):
                    raise TypeError(
                        f"PReLU: `shared_axes` must be integers. Received: {shared_axes}"
                    )
        self.shared_axes = shared_axes

    def build(self, input_shape: Shape) -> None:
        """Make `alpha` for inputs of this shape."""
        rank = len(input_shape) - 1
        if not all(-rank < axis <= rank for axis in self.shared_axes or ()):
            raise ValueError(
                explain(
                    f"PReLU {self.name!r}: `shared_axes` names an axis that is not there.",
                    shared_axes=self.shared_axes,
                    input_shape=input_shape,
                    fix=f"use axes from 1 to {rank}.",
                )
            )
        # As Keras counts, and its files: 1 is the first axis after the batch, 0 the last one, -1
        # the one before that.
        shared = {(axis - 1) % rank + 1 for axis in self.shared_axes or ()}
        shape = [1 if axis in shared else n for axis, n in enumerate(input_shape)][1:]
        self.alpha = self.add_weight(
            name="alpha",
            shape=tuple(shape),
            initializer=self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )
        axes = {i: n for i, n in enumerate(input_shape) if i and i not in shared} if shared else {}
        self.input_spec = InputSpec(ndim=len(input_shape), axes=axes)
        # torch's kernel knows one slope per element of axis 1. That is the last axis once those
        # before it are joined to the batch, if all of them are shared, or else all to it, if none.
        self._joined = None
        if all(axis in shared for axis in range(1, len(input_shape) - 1)):
            self._joined = (0, -2)
        elif not shared:
            self._joined = (1, -1)
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        """Return the inputs, negative ones scaled by `alpha`."""
        alpha = self.alpha
        if self._joined is None or inputs.dtype is not alpha.dtype or inputs.dim() < 2:
            return torch.relu(inputs) - alpha * torch.relu(-inputs)
        if inputs.dim() == 2:
            return torch.prelu(inputs, alpha)
        return torch.prelu(inputs.flatten(*self._joined), alpha.flatten()).view(inputs.shape)


@builtin("keras.layers.ELU")
class ELU(_Elementwise):
    """`x` where positive, `alpha * (exp(x) - 1)` elsewhere.

    Args:
        alpha: Minus the limit for large negative inputs.
        kwargs: Arguments of `Layer`.
    Shapes: Result: as `inputs`.
    Source: Clevert et al. 2016.

    Example:
        >>> ELU()(torch.tensor([0.0, 2.0])).tolist()
        [0.0, 2.0]
    """

    _keras_memory = "inputs"

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = alpha

    def call(self, inputs: Tensor) -> Tensor:
        """Return the inputs, negative ones bent."""
        return F.elu(inputs, self.alpha)


@builtin("keras.layers.Softmax")
class Softmax(_Elementwise):
    """Exponentials normalized to sum 1.

    Args:
        axis: Axis, or axes taken together, that sum to 1; `None`: all, the batch's too.
        kwargs: Arguments of `Layer`.
    Shapes:
        inputs: any. mask: broadcastable to `inputs`, not larger; True means "use". Result: as
        `inputs`; 0 where masked, also if a whole row is.
    Raises:
        ValueError: The mask does not broadcast to the inputs.

    Example:
        >>> Softmax()(torch.tensor([1.0, 1.0])).tolist()
        [0.5, 0.5]
    """

    def __init__(self, axis: int | Sequence[int] | None = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis
        check_some_axis("Softmax", axis)
        if axis is None:
            self._softmax = _whole_softmax
        elif isinstance(axis, (list, tuple)):
            self._softmax = (
                functools.partial(torch.softmax, dim=axis[0])
                if len(axis) == 1
                else functools.partial(_joint_softmax, dim=tuple(axis))
            )
        else:
            self._softmax = functools.partial(torch.softmax, dim=axis)

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the normalized exponentials."""
        if mask is None:
            return self._softmax(inputs)
        self._check_mask(inputs, mask)
        if mask.dtype is not torch.bool:
            mask = mask > 0.5
        low = -3e4 if inputs.dtype is torch.float16 else -1e9
        outputs = self._softmax(torch.where(mask, inputs, low))
        return torch.where(mask, outputs, 0.0)

    def _check_mask(self, inputs: Tensor, mask: Tensor) -> None:
        pairs = zip(reversed(mask.shape), reversed(inputs.shape), strict=False)
        if mask.dim() > inputs.dim() or any(m not in (1, n) for m, n in pairs):
            raise ValueError(
                explain(
                    f"Softmax '{self.name}': the mask must be broadcastable to the inputs and"
                    " must not have more dimensions or larger ones.",
                    inputs_shape=tuple(inputs.shape),
                    mask_shape=tuple(mask.shape),
                )
            )


def _whole_softmax(x: Tensor) -> Tensor:
    return torch.softmax(x.flatten(), 0).view(x.shape)


def _joint_softmax(x: Tensor, dim: tuple[int, ...]) -> Tensor:
    return torch.exp(x - torch.logsumexp(x, dim, keepdim=True))
