"""`BatchNormalization`: normalization over the batch, with moving statistics for inference.

Letters: B batch, C channels. Statistics are computed in float32 at least. All variances are those
of the population (divided by n), as in Keras; torch's own running variance divides by n - 1, so the
moving statistics are updated here from what the fused kernel returns.
`momentum` is Keras's: the part of the old value that stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..config import epsilon as config_epsilon
from ..dtypes import to_torch
from ..graph.context import CONTEXT
from ..initializers import get as get_initializer
from ..naming import explain
from ..registry import builtin
from ..variables import Variable
from .input_spec import InputSpec
from .normalization import Normalizing

__all__ = ["BatchNormalization"]

Shape = Sequence["int | None"]
_HALF = (torch.float16, torch.bfloat16)


@builtin("keras.layers.BatchNormalization")
class BatchNormalization(Normalizing):
    """Normalizes each channel over the batch, then scales by `gamma` and adds `beta`.

    In training the batch's own mean and variance serve, and moving averages of them are kept. In
    inference, and always if `trainable` is False, the moving averages serve.

    Args:
        axis: The channels' axis.
        momentum: Part of the old moving average that each training step keeps.
        epsilon: Added to the variance.
        center, scale: Whether there is a `beta`, a `gamma`.
        beta_initializer, gamma_initializer: First values of these.
        moving_mean_initializer, moving_variance_initializer: First values of the averages.
        beta_regularizer, gamma_regularizer: Penalties added to the loss.
        beta_constraint, gamma_constraint: Projections after each update.
        renorm: Whether training is corrected towards the moving averages (batch renormalization).
        renorm_clipping: Limits `rmin`, `rmax`, `dmax` of that correction.
        renorm_momentum: As `momentum`, for the averages that the correction uses.
        synchronized: Whether the statistics of a batch are those of all ranks together, where
            training runs on several (`torch.distributed`).
        kwargs: Arguments of `Layer`.
    Shapes:
        inputs: any, C on `axis`. mask: `inputs` without the last axis; masked positions do not
        count in the statistics. Result: as `inputs`.
    Raises:
        ValueError: An argument is out of range, or the mask has another rank.
    Source: Ioffe & Szegedy 2015; Ioffe 2017 (renorm); defaults from Keras.

    Example:
        >>> x = torch.tensor([[0.0], [2.0]])
        >>> BatchNormalization(epsilon=0.0)(x, training=True).tolist()
        [[-1.0], [1.0]]
    """

    _keras_memory = "inputs"

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: Mapping[str, float] | None = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.axis = int(axis)
        self.momentum = float(momentum)
        self.epsilon = float(epsilon)
        self.center = center
        self.scale = scale
        self._scale_and_offset(locals())
        self.moving_mean_initializer = get_initializer(moving_mean_initializer)
        self.moving_variance_initializer = get_initializer(moving_variance_initializer)
        self.renorm = renorm
        self.renorm_clipping = renorm_clipping or {} if renorm else renorm_clipping
        self.renorm_momentum = renorm_momentum
        self.synchronized = synchronized
        if renorm:
            self._check_clipping(self.renorm_clipping)

    def _check_clipping(self, limits: Mapping[str, float]) -> None:
        low, high, d = limits.get("rmin"), limits.get("rmax"), limits.get("dmax")
        if set(limits) - {"rmax", "rmin", "dmax"}:
            raise self._error("Received invalid keys in `renorm_clipping`", limits)
        if low is not None and high is not None and high < low:
            raise self._error("rmax should be at least rmin in `renorm_clipping`", limits)
        if d is not None and d < 0:
            raise self._error("dmax should be non-negative in `renorm_clipping`", limits)

    def _error(self, what: str, limits: Mapping[str, float]) -> ValueError:
        return ValueError(
            explain(
                f"BatchNormalization '{self.name}': {what}.",
                given=dict(limits),
                expected="keys of 'rmin', 'rmax', 'dmax', with rmin <= rmax and dmax >= 0",
            )
        )

    def build(self, input_shape: Shape) -> None:
        """Make the weights and moving statistics for the channels of `input_shape`."""
        ndim = len(input_shape)
        self.compute_output_shape(input_shape)
        channels = input_shape[self.axis]
        shape = (channels,)
        self.gamma = self._add("gamma", shape) if self.scale else None
        self.beta = self._add("beta", shape) if self.center else None
        self.moving_mean = self._statistic("moving_mean", shape, self.moving_mean_initializer)
        self.moving_variance = self._statistic(
            "moving_variance", shape, self.moving_variance_initializer
        )
        if self.renorm:
            deviation = _root_of(self.moving_variance_initializer)
            self.moving_stddev = self._statistic("moving_stddev", shape, deviation)
            self.renorm_mean = self._statistic("renorm_mean", shape, self.moving_mean_initializer)
            self.renorm_stddev = self._statistic("renorm_stddev", shape, deviation)
        self.input_spec = InputSpec(ndim=ndim, axes={self.axis: channels})
        axis = self.axis % ndim
        self._reduction_axes = [i for i in range(ndim) if i != axis]
        # torch wants channels on axis 1. Of three axes a flat view is faster than a permuted one.
        self._flatten = ndim == 3 and axis == 2
        order = (0, axis, *range(1, axis), *range(axis + 1, ndim)) if ndim > 1 else None
        self._permute = None if axis == 1 or self._flatten or axis == 0 else order
        self._restore = None if order is None else tuple(order.index(i) for i in range(ndim))
        own_moments = type(self)._moments is not BatchNormalization._moments  # of a subclass
        self._fused = axis != 0 and not self.renorm and not own_moments
        self.built = True

    def _statistic(self, name: str, shape: tuple[int, ...], initializer: Any) -> Variable:
        return self.add_weight(
            name=name, shape=shape, initializer=initializer, trainable=False, autocast=False
        )

    def call(
        self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """Return the normalized inputs; in training, also update the moving statistics."""
        train = training and self._trainable
        if mask is not None:
            self._check_mask(inputs, mask)
        if not self._fused or (train and (mask is not None or self._spread_out())):
            return self._unfused(inputs, train, mask)
        weights = self.gamma, self.beta, self.moving_mean, self.moving_variance
        x, statistics = inputs, weights[2:]
        if x.dtype is not statistics[0].dtype or x.dtype in _HALF:
            if not x.is_floating_point():
                return self._unfused(inputs, train, mask)
            x, *weights = self._widened(x, *weights)
        if self._flatten:
            x = x.reshape(-1, inputs.shape[2])
        elif self._permute is not None:
            x = torch.permute(x, self._permute)
        gamma, beta, mean, variance = weights
        if train:
            x, mean, inverse_deviation = torch.native_batch_norm(
                x, gamma, beta, None, None, True, 0.0, self.epsilon
            )
            self._update(statistics, mean, inverse_deviation.pow(-2).sub_(self.epsilon))
        else:
            x = torch.batch_norm(x, gamma, beta, mean, variance, False, 0.0, self.epsilon, True)
        if self._flatten:
            return x.view(inputs.shape)
        return x if self._permute is None else torch.permute(x, self._restore)

    def _widened(self, x: Tensor, *weights: Tensor | None) -> tuple[Tensor | None, ...]:
        """Input and weights in dtypes that torch's kernel combines: equal, or half and float32."""
        wide = torch.promote_types(x.dtype, torch.float32)
        return (x, *(None if weight is None else weight.to(wide) for weight in weights))

    def _update(self, statistics: tuple[Tensor, Tensor], mean: Tensor, variance: Tensor) -> None:
        """Move the moving statistics towards those of a batch."""
        dtype = statistics[0].dtype
        if mean.dtype is not dtype:
            mean, variance = mean.to(dtype), variance.to(dtype)
        torch._foreach_lerp_(statistics, [mean, variance], 1.0 - self.momentum)

    # What torch's kernel cannot do: masks, renorm, several ranks, channels on the batch axis ------

    def _spread_out(self) -> bool:
        return self.synchronized and _in_group()

    def _check_mask(self, inputs: Tensor, mask: Tensor) -> None:
        if mask.dim() != inputs.dim() - 1:
            raise ValueError(
                explain(
                    f"BatchNormalization '{self.name}': the mask must have one dimension less than"
                    " the inputs.",
                    mask_shape=tuple(mask.shape),
                    inputs_shape=tuple(inputs.shape),
                )
            )

    def _unfused(self, inputs: Tensor, train: bool, mask: Tensor | None) -> Tensor:
        x = inputs.to(torch.promote_types(inputs.dtype, torch.float32))
        gamma, beta, mean, variance = (
            None if weight is None else weight.to(x.dtype)
            for weight in (self.gamma, self.beta, self.moving_mean, self.moving_variance)
        )
        if train:
            mean, variance = self._moments(x, mask)
            if self.renorm:
                gamma, beta = self._renormalize(mean, variance, gamma, beta)
            else:
                statistics = self.moving_mean, self.moving_variance
                self._update(statistics, mean.detach(), variance.detach())
        shape = [1] * x.dim()
        shape[self.axis] = -1
        factor = torch.rsqrt(variance + self.epsilon)
        factor = (factor if gamma is None else factor * gamma).view(shape)
        x = (x - mean.view(shape)) * factor
        x = x if beta is None else x + beta.view(shape)
        return x.to(inputs.dtype if inputs.is_floating_point() else to_torch(self.compute_dtype))

    def _moments(self, inputs: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the mean and variance of each channel in a batch; subclasses may override it."""
        # A tuple: in graphs, `sum` takes no list that is an attribute.
        x, axes, spread_out = inputs, tuple(self._reduction_axes), self._spread_out()
        if mask is None and not spread_out:
            variance, mean = torch.var_mean(x, axes, correction=0)
            return mean, variance
        used = x.new_ones((), dtype=torch.bool) if mask is None else mask.unsqueeze(-1).bool()
        if spread_out and CONTEXT.idle:  # computes on a row that is another rank's
            used = torch.zeros_like(used)
        used = used.expand(x.shape)
        count = used.sum(axes, keepdim=True, dtype=x.dtype)
        total = torch.where(used, x, 0.0).sum(axes, keepdim=True)
        if spread_out:
            count, total = _sum_over_ranks(torch.stack([count, total]))
        count = count + config_epsilon()
        mean = total / count
        deviation = torch.where(used, x - mean, 0.0).square().sum(axes, keepdim=True)
        if spread_out:
            deviation = _sum_over_ranks(deviation)
        return mean.flatten(), (deviation / count).flatten()

    def _renormalize(
        self, mean: Tensor, variance: Tensor, gamma: Tensor | None, beta: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Fold the correction `x * r + d` into scale and offset, and update all statistics."""
        with torch.no_grad():
            deviation = torch.sqrt(variance + self.epsilon)
            reference = self.renorm_stddev.to(mean.dtype).clamp(min=self.epsilon**0.5)
            r = deviation / reference
            d = (mean - self.renorm_mean.to(mean.dtype)) / reference
            low, high, limit = (self.renorm_clipping.get(k) for k in ("rmin", "rmax", "dmax"))
            if low is not None or high is not None:
                r = r.clamp(low, high)
            if limit is not None:
                d = d.clamp(-limit, limit)
            self._update_renorm(mean, deviation)
        scale = r if gamma is None else r * gamma
        offset = d if gamma is None else d * gamma
        return scale, offset if beta is None else offset + beta

    def _update_renorm(self, mean: Tensor, deviation: Tensor) -> None:
        for statistic, value, momentum in (
            (self.renorm_mean, mean, self.renorm_momentum),
            (self.renorm_stddev, deviation, self.renorm_momentum),
            (self.moving_mean, mean, self.momentum),
            (self.moving_stddev, deviation, self.momentum),
        ):
            statistic.lerp_(value.to(statistic.dtype), 1.0 - momentum)
        # Rounding may make the difference negative.
        self.moving_variance.copy_(torch.relu(self.moving_stddev.square() - self.epsilon))


def _in_group() -> bool:
    """Tell whether this process is one of several ranks."""
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return False
    return distributed.get_world_size() > 1


class _SumOverRanks(torch.autograd.Function):
    """Sum over ranks; so is its gradient, since every rank's loss depends on every rank's input."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.clone(memory_format=torch.contiguous_format)
        torch.distributed.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _SumOverRanks.apply(gradient)


_sum_over_ranks: Callable[[Tensor], Tensor] = _SumOverRanks.apply


def _root_of(initializer: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """An initializer of standard deviations from one of variances."""

    def root(shape: Sequence[int], dtype: Any = None) -> Tensor:
        return torch.sqrt(initializer(shape, dtype=dtype))

    return root
