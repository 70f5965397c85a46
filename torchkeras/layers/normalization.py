"""Normalization of each sample: over axes (layer, RMS, unit length) or groups of channels.

Letters: B batch, C channels, G groups. Statistics are computed in float32 at least; variances are
those of the population (divided by n). `BatchNormalization` has a file of its own.
"""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..constraints import get as get_constraint
from ..dtypes import to_torch
from ..initializers import get as get_initializer
from ..naming import check_some_axis, explain
from ..registry import builtin
from ..regularizers import get as get_regularizer
from ..variables import Variable
from .input_spec import InputSpec
from .layer import Layer

__all__ = [
    "GroupNormalization",
    "LayerNormalization",
    "Normalizing",
    "RMSNormalization",
    "UnitNormalization",
]

Shape = Sequence["int | None"]
_GETTERS = {
    "initializer": get_initializer,
    "regularizer": get_regularizer,
    "constraint": get_constraint,
}


class Normalizing(Layer):
    """Base of normalization layers: options of `gamma` and `beta`, and checks of `axis`."""

    def _scale_and_offset(self, options: Mapping[str, Any]) -> None:
        """Store initializers, regularizers and constraints from a constructor's `locals()`."""
        for weight in ("beta", "gamma"):
            for kind, get in _GETTERS.items():
                setattr(self, f"{weight}_{kind}", get(options[f"{weight}_{kind}"]))
        self.supports_masking = True

    def _add(self, name: str, shape: tuple[int, ...]) -> Variable:
        """Make `gamma` or `beta`. It stays in its own dtype under mixed precision."""
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=getattr(self, f"{name}_initializer"),
            regularizer=getattr(self, f"{name}_regularizer"),
            constraint=getattr(self, f"{name}_constraint"),
            autocast=False,
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return `input_shape`.

        Raises:
            ValueError: `axis` is outside of it.
        """
        axes = [self.axis] if isinstance(self.axis, int) else self.axis
        ndim = len(input_shape)
        if any(not -ndim <= axis < ndim for axis in axes):
            raise ValueError(
                explain(
                    f"{type(self).__name__} '{self.name}': `axis` is out of bounds for the input"
                    " shape.",
                    axis=self.axis,
                    input_shape=tuple(input_shape),
                    fix=f"use axes from {-ndim} to {ndim - 1}.",
                )
            )
        return input_shape


@builtin("keras.layers.LayerNormalization")
class LayerNormalization(Normalizing):
    """Normalizes each sample over `axis`, then scales by `gamma` and adds `beta`.

    Args:
        axis: The normalized axis, or several.
        epsilon: Added to the variance.
        center, scale: Whether there is a `beta`, a `gamma`.
        beta_initializer, gamma_initializer: First values of these.
        beta_regularizer, gamma_regularizer: Penalties added to the loss.
        beta_constraint, gamma_constraint: Projections after each update.
        kwargs: Arguments of `Layer`; also `rms_scaling`, which divides by the standard deviation
            without subtracting the mean (deprecated).
    Shapes:
        inputs: any. gamma, beta: the sizes of `axis`. Result: as `inputs`.
    Raises:
        TypeError: `axis` is neither an integer nor a list of them.
    Source: Ba et al. 2016; `torch.nn.functional.layer_norm` (kernel).

    Example:
        >>> LayerNormalization(epsilon=0.0)(torch.tensor([[0.0, 2.0]])).tolist()
        [[-1.0, 1.0]]
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        rms_scaling = kwargs.pop("rms_scaling", False)
        if rms_scaling:
            warnings.warn(
                "LayerNormalization: `rms_scaling=True` is deprecated. It divides by the standard"
                " deviation, not by the root mean square; use `RMSNormalization` for that.",
                stacklevel=2,
            )
        super().__init__(**kwargs)
        what = "Expected an int or a list/tuple of ints for the argument 'axis'"
        self.axis = _integer_axes(self, axis, what)
        self.epsilon = epsilon
        self.center = center
        self.scale = scale
        self.rms_scaling = rms_scaling
        self._scale_and_offset(locals())
        self.autocast = False  # inputs are widened here, and only where the kernel needs it

    def build(self, input_shape: Shape) -> None:
        """Make `gamma` and `beta` for the sizes of `axis`."""
        self.compute_output_shape(input_shape)
        # Keras's config of a built layer lists the axes, sorted.
        self.axis = [self.axis] if isinstance(self.axis, int) else sorted(self.axis)
        ndim = len(input_shape)
        self._axes = tuple(axis % ndim for axis in self.axis)
        self._shape = tuple(input_shape[axis] for axis in self.axis)
        self.gamma = self._add("gamma", self._shape) if self.scale or self.rms_scaling else None
        self.beta = self._add("beta", self._shape) if self.center and not self.rms_scaling else None
        last = self._axes == tuple(range(ndim - len(self._axes), ndim))
        self._fused = last and not self.rms_scaling
        self._broadcast = [n if i in self._axes else 1 for i, n in enumerate(input_shape)]
        self._compute_dtype = to_torch(self.compute_dtype)
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        """Return the normalized inputs."""
        x, gamma, beta = _alike(inputs, self.gamma, self.beta)
        if self._fused:
            x = F.layer_norm(x, self._shape, gamma, beta, self.epsilon)
        else:
            x = self._unfused(x, gamma, beta)
        return x if x.dtype is self._compute_dtype else x.to(self._compute_dtype)

    def _unfused(self, x: Tensor, gamma: Tensor | None, beta: Tensor | None) -> Tensor:
        """Normalize over axes that are not the last ones, or without subtracting the mean."""
        dtype = x.dtype
        x, gamma, beta = _widened(x, gamma, beta)
        variance, mean = torch.var_mean(x, self._axes, correction=0, keepdim=True)
        x = x if self.rms_scaling else x - mean
        x = x * torch.rsqrt(variance + self.epsilon)
        x = x if gamma is None else x * gamma.reshape(self._broadcast)
        x = x if beta is None else x + beta.reshape(self._broadcast)
        return x.to(dtype)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, and `rms_scaling`."""
        return {**super().get_config(), "rms_scaling": self.rms_scaling}


@builtin("keras.layers.GroupNormalization")
class GroupNormalization(Normalizing):
    """Normalizes each sample over groups of channels, then scales by `gamma` and adds `beta`.

    Args:
        groups: Number G of groups; -1 for one per channel (instance normalization).
        axis: The channels' axis.
        epsilon: Added to the variance.
        center, scale: Whether there is a `beta`, a `gamma`.
        beta_initializer, gamma_initializer: First values of these.
        beta_regularizer, gamma_regularizer: Penalties added to the loss.
        beta_constraint, gamma_constraint: Projections after each update.
        kwargs: Arguments of `Layer`.
    Shapes:
        inputs: `(B, ...)`, C on `axis`, a multiple of G. gamma, beta: `(C,)`. Result: as `inputs`.
    Raises:
        ValueError: `groups` is neither positive nor -1, or does not divide the channels.
    Source: Wu & He 2018; `torch.group_norm` (kernel).

    Example:
        >>> x = torch.tensor([[0.0, 2.0, 0.0, 6.0]])
        >>> GroupNormalization(groups=2, epsilon=0.0)(x).tolist()
        [[-1.0, 1.0, -1.0, 1.0]]
    """

    _keras_memory = "inputs_else_row_major"

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(groups, numbers.Integral) or (groups <= 0 and groups != -1):
            raise ValueError(
                explain(
                    "GroupNormalization: the argument `groups` must be a positive integer, or -1"
                    " for one group per channel.",
                    given=f"groups={groups!r}",
                )
            )
        super().__init__(**kwargs)
        self.groups = int(groups)
        self.axis = int(axis) if isinstance(axis, numbers.Integral) else axis
        self.epsilon = epsilon
        self.center = center
        self.scale = scale
        self._scale_and_offset(locals())
        self.autocast = False  # inputs are widened here, and only where the kernel needs it

    def build(self, input_shape: Shape) -> None:
        """Make `gamma` and `beta` for the channels of `input_shape`."""
        self.compute_output_shape(input_shape)
        ndim, channels = len(input_shape), input_shape[self.axis]
        axis = self.axis % ndim
        self._check_channels(axis, channels, input_shape)
        if self.groups == -1:
            self.groups = channels  # as in Keras, whose config of a built layer says so too
        self.input_spec = InputSpec(ndim=ndim, axes={self.axis: channels})
        self.gamma = self._add("gamma", (channels,)) if self.scale else None
        self.beta = self._add("beta", (channels,)) if self.center else None
        # torch wants channels on axis 1; of images it takes them where they are (channels_last).
        order = (0, axis, *(i for i in range(1, ndim) if i != axis))
        self._order = None if axis == 1 else order
        self._inverse = tuple(order.index(i) for i in range(ndim))
        self._compute_dtype = to_torch(self.compute_dtype)
        self.built = True

    def _check_channels(self, axis: int, channels: int | None, input_shape: Shape) -> None:
        what = None
        if channels is None or axis == 0:
            what = (
                f"axis {self.axis} of the input tensor should have a defined dimension but the"
                " layer received an input with shape " + str(tuple(input_shape))
            )
        elif self.groups > channels:
            what = "the number of groups cannot be more than the number of channels"
        elif channels % abs(self.groups):
            what = (
                "the groups do not come out even: `groups` times the size of one must be a multiple"
                " of the number of channels"
            )
        if what is not None:
            raise ValueError(
                explain(
                    f"GroupNormalization '{self.name}': {what}.",
                    groups=self.groups,
                    axis=self.axis,
                    input_shape=tuple(input_shape),
                )
            )

    def call(self, inputs: Tensor) -> Tensor:
        """Return the normalized inputs."""
        x, gamma, beta = _alike(inputs, self.gamma, self.beta)
        if self._order is not None:
            x = torch.permute(x, self._order)
        if not torch.is_grad_enabled():
            x = torch.group_norm(x, self.groups, gamma, beta, self.epsilon)
        else:
            # The backward kernel of torch 2.13 has no gradient for an offset without a scale; and
            # it ends the process where gradients of the weights but not of `x` are asked for, if
            # that is `channels_last`.
            x = torch.group_norm(x, self.groups, eps=self.epsilon)
            shape = (-1, *[1] * (x.dim() - 2))
            if gamma is None or beta is None:
                x = x if gamma is None else x * gamma.view(shape)
                x = x if beta is None else x + beta.view(shape)
            else:
                x = torch.addcmul(beta.view(shape), x, gamma.view(shape))
        if self._order is not None:
            x = torch.permute(x, self._inverse)
        return x if x.dtype is self._compute_dtype else x.to(self._compute_dtype)


@builtin("keras.layers.RMSNormalization")
class RMSNormalization(Normalizing):
    """Divides by the root mean square over `axis`, then multiplies by a learned `scale`.

    Args:
        axis: The normalized axis, or several.
        epsilon: Added to the mean square, so in squared units of the inputs.
        kwargs: Arguments of `Layer`.
    Shapes:
        x: any. scale: the sizes of `axis`. Result: as `x`.
    Raises:
        ValueError: `axis` is outside of the rank of `x`.
    Source: Zhang & Sennrich 2019; `torch.nn.functional.rms_norm` (kernel).

    Example:
        >>> RMSNormalization(epsilon=0.0)(torch.tensor([[3.0, -3.0]])).tolist()
        [[1.0, -1.0]]
    """

    def __init__(
        self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.axis = int(axis) if isinstance(axis, numbers.Integral) else axis
        self.epsilon = epsilon

    def build(self, input_shape: Shape) -> None:
        """Make `scale` for the sizes of `axis`."""
        self.compute_output_shape(input_shape)
        # Keras's config of a built layer lists the axes, sorted.
        self.axis = [self.axis] if isinstance(self.axis, int) else sorted(self.axis)
        ndim = len(input_shape)
        self.scale = self.add_weight(
            name="scale", shape=tuple(input_shape[axis] for axis in self.axis), initializer="ones"
        )
        last = sorted(axis % ndim for axis in self.axis)
        self._shape = tuple(input_shape[axis] for axis in last)
        order = (*(i for i in range(ndim) if i not in last), *last)
        self._order = None if order == tuple(range(ndim)) else order
        self._inverse = tuple(order.index(i) for i in range(ndim))
        self.built = True

    def call(self, x: Tensor) -> Tensor:
        """Return the normalized inputs."""
        scale, dtype = self.scale, x.dtype
        if not x.is_floating_point():
            x = x.to(scale.dtype)
        elif dtype is not scale.dtype:
            x, scale = _widened(x, scale)
        if self._order is None:
            x = F.rms_norm(x, self._shape, scale, self.epsilon)
        else:
            x = torch.permute(x, self._order)
            x = F.rms_norm(x, self._shape, scale.reshape(self._shape), self.epsilon)
            x = torch.permute(x, self._inverse)
        return x.to(dtype) if dtype.is_floating_point and x.dtype is not dtype else x


@builtin("keras.layers.UnitNormalization")
class UnitNormalization(Normalizing):
    """Divides each sample by its Euclidean length over `axis`.

    Args:
        axis: The normalized axis, or several taken together.
        kwargs: Arguments of `Layer`.
    Shapes:
        inputs: any. Result: as `inputs`; where the length is 0, so is the result.
    Raises:
        TypeError: `axis` is neither an integer nor a list of them.

    Example:
        >>> UnitNormalization()(torch.tensor([[3.0, 4.0]]))
        tensor([[0.6000, 0.8000]])
    """

    _keras_memory = "inputs"

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        what = "Invalid value for `axis` argument: expected an int or a list/tuple of ints"
        self.axis = _integer_axes(self, axis, what)
        self.supports_masking = True
        self._dim = self.axis if isinstance(self.axis, int) else tuple(self.axis)
        self._build_at_init()

    def call(self, inputs: Tensor) -> Tensor:
        """Return the normalized inputs."""
        floats = torch.is_floating_point(inputs)
        x = inputs if floats else inputs.to(to_torch(self.compute_dtype))
        return F.normalize(x, dim=self._dim)


def _integer_axes(layer: Layer, axis: Any, what: str) -> int | list[int]:
    """Return `axis` as the layer keeps it: an integer, or a list of them; else raise `what`."""
    check_some_axis(type(layer).__name__, axis)
    if isinstance(axis, numbers.Integral):
        return int(axis)
    if isinstance(axis, (list, tuple)):
        return list(axis)
    raise TypeError(explain(f"{type(layer).__name__} '{layer.name}': {what}.", given=repr(axis)))


def _alike(
    x: Tensor, gamma: Tensor | None, beta: Tensor | None
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Input and weights as they are if of one dtype, which torch's kernels want, else widened."""
    dtype = x.dtype
    if (
        dtype.is_floating_point
        and (gamma is None or gamma.dtype is dtype)
        and (beta is None or beta.dtype is dtype)
    ):
        return x, gamma, beta
    return _widened(x, gamma, beta)


def _widened(*tensors: Tensor | None) -> tuple[Any, ...]:
    """The tensors in the dtype of the first, but in float32 at least."""
    dtype = torch.promote_types(tensors[0].dtype, torch.float32)
    return tuple(None if tensor is None else tensor.to(dtype) for tensor in tensors)
