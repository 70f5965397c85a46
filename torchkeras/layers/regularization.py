"""Layers that act in training only: dropout and noise; and a penalty on activations.

The random ones own a `seed_generator`, whose state is a variable of the model but, as in Keras, no
weight. Without a seed the elements to drop are torch's business (`torch.dropout`), as in Keras on
torch; with a seed, or a `noise_shape`, they are Keras's bit for bit.

torch draws elements in the order in which they lie in memory, and convolutions and others leave
their outputs otherwise here than in Keras. A `Dropout` in a graph knows from its input what the
order would be in Keras, and draws in that.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..config import standardize_data_format
from ..dtypes import to_torch
from ..naming import explain
from ..random import SeedGenerator, dropout, generator_for
from ..registry import builtin
from ..regularizers import L1L2
from .input_spec import InputSpec
from .layer import Layer
from .memory import order_of

__all__ = [
    "ActivityRegularization",
    "AlphaDropout",
    "BaseSpatialDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
]


class _Noise(Layer):
    """Base of layers that change their inputs at random in training, owners of `seed`."""

    _keras_memory = "inputs"

    def _seed(self, kind: str, strength: float, seed: int | None) -> None:
        """Check the argument `kind` and make the seed generator, if the layer ever draws."""
        if not 0 <= strength <= 1:
            raise self._invalid(kind, "Expected a float value between 0 and 1", strength)
        self.seed = seed
        self.supports_masking = True
        if strength > 0:
            self.seed_generator = SeedGenerator(seed)
        self._build_at_init()

    def _invalid(self, argument: str, expected: str, given: Any) -> ValueError:
        return ValueError(
            explain(
                f"{type(self).__name__} '{self.name}': Invalid value received for argument"
                f" `{argument}`. {expected}.",
                given=f"{argument}={given!r}",
            )
        )

    def _normal(self, inputs: Tensor, mean: float, stddev: float) -> Tensor:
        """Draw normal noise of the shape of the inputs, where they are."""
        return torch.normal(
            mean,
            stddev,
            size=inputs.shape,
            generator=generator_for(self.seed_generator, inputs.device),
            dtype=to_torch(self.compute_dtype),
            device=inputs.device,
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return `input_shape`."""
        return input_shape


@builtin("keras.layers.Dropout")
class Dropout(_Noise):
    """In training, sets a random fraction of the elements to 0 and scales up the others.

    Args:
        rate: Fraction that is dropped.
        noise_shape: Shape of the random mask, broadcast to the inputs; `None` entries mean the
            size of the input there. `(None, 1, None)` drops whole series of `(B, T, C)` inputs.
        seed: Integer seed.
        kwargs: Arguments of `Layer`.
    Shapes: Result: as `inputs`.
    Raises:
        ValueError: An argument is out of range.
    Source: Srivastava et al. 2014.

    Example:
        >>> Dropout(0.5)(torch.ones(3)).tolist()
        [1.0, 1.0, 1.0]
    """

    # The orders of the draws, by the inputs' rank, where they are not those of their memory.
    _orders: dict[int, tuple[int, ...]] = {}

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._seed("rate", rate, seed)
        self.rate = rate
        self.noise_shape = self._validate_noise_shape(noise_shape)
        self._unseeded = seed is None and noise_shape is None and 0 < rate < 1
        if not self._unseeded:
            self._keras_memory = "inputs_relaid"

    def _validate_noise_shape(self, noise_shape: Any) -> tuple[int | None, ...] | None:
        if noise_shape is None:
            return None
        if isinstance(noise_shape, str) or not isinstance(noise_shape, Iterable):
            raise self._invalid("noise_shape", "Expected a tuple or list of integers", noise_shape)
        try:
            shape = tuple(None if n is None else operator.index(n) for n in noise_shape)
        except TypeError:
            expected = "Expected all elements to be integers or None"
            raise self._invalid("noise_shape", expected, noise_shape) from None
        if any(n is not None and n <= 0 for n in shape):
            expected = "Expected all dimensions to be positive integers or None"
            raise self._invalid("noise_shape", expected, noise_shape)
        return shape

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Return the inputs, in training with random elements dropped."""
        if not training or self.rate <= 0:
            return inputs
        if self._unseeded:
            order = self._orders.get(inputs.dim()) if self._orders else None
            if order is None or inputs.device.type != "cpu":
                return torch.dropout(inputs, self.rate, True)
            return self._dropped_in_order(inputs, order)
        return dropout(
            inputs, self.rate, noise_shape=self._get_noise_shape(inputs), seed=self.seed_generator
        )

    def _dropped_in_order(self, inputs: Tensor, order: tuple[int, ...]) -> Tensor:
        """Drop elements that torch chooses where the axes lie in memory in another order."""
        # Bytes are quicker to bring into the order of the inputs; the draws are the same.
        kept = inputs.new_empty([inputs.shape[axis] for axis in order], dtype=torch.uint8)
        kept = kept.bernoulli_(1 - self.rate).permute([order.index(i) for i in range(len(order))])
        return inputs * torch.empty_like(inputs).copy_(kept).div_(1 - self.rate)

    def _full_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        order = order_of((args, kwargs)) if self._unseeded else None
        if order is not None:
            self.__dict__["_orders"] = {**self._orders, len(order): order}
        return super()._full_call(args, kwargs)

    def _relay(self, twin: Tensor) -> Tensor:
        """Do to strides what Keras does in training: those of what is chosen by come first."""
        if self.rate in (0, 1):
            return torch.empty_like(twin)
        shape = self._get_noise_shape(twin) or twin.shape
        sizes = [n or m for n, m in zip(shape, twin.shape, strict=True)]
        kept = torch.empty(sizes, dtype=torch.bool, device="meta").expand_as(twin)
        return torch.where(kept, torch.empty_like(twin), 0)

    def _get_noise_shape(self, inputs: Tensor) -> tuple[int | None, ...] | None:
        """Return the shape of the random mask; subclasses may override it."""
        return self.noise_shape


class BaseSpatialDropout(Dropout):
    """Base of dropout of whole channels."""

    _keras_memory = "inputs_relaid"
    _rank = 1

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(rate, seed=seed, name=name, dtype=dtype)
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self._rank + 2)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Return the inputs, in training with random channels dropped."""
        if not training or self.rate <= 0:
            return inputs
        # Scaling a factor per channel instead of the inputs costs one pass over these less.
        shape = self._get_noise_shape(inputs)
        ones = inputs.new_ones(shape)
        return inputs * dropout(ones, self.rate, noise_shape=shape, seed=self.seed_generator)

    def _get_noise_shape(self, inputs: Tensor) -> tuple[int, ...]:
        ones = (1,) * self._rank
        if self.data_format == "channels_first":
            return (inputs.shape[0], inputs.shape[1], *ones)
        return (inputs.shape[0], *ones, inputs.shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments; Keras lists the dtype by name here, and no `trainable`."""
        config = {"rate": self.rate, "seed": self.seed, "name": self.name, "dtype": self.dtype}
        return {**config, "data_format": self.data_format}


@builtin("keras.layers.SpatialDropout1D")
class SpatialDropout1D(BaseSpatialDropout):
    """In training, drops whole channels of time series.

    Args:
        rate: Fraction that is dropped.
        seed: Integer seed.
        name, dtype: As for `Layer`.
    Shapes:
        inputs: `(B, T, C)`. Result: as `inputs`.
    Source: Tompson et al. 2014.

    Example:
        >>> SpatialDropout1D(0.5)(torch.ones(1, 2, 3)).shape
        torch.Size([1, 2, 3])
    """

    def __init__(
        self, rate: float, seed: int | None = None, name: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__(rate, "channels_last", seed=seed, name=name, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        config = super().get_config()
        del config["data_format"]
        return config


@builtin("keras.layers.SpatialDropout2D")
class SpatialDropout2D(BaseSpatialDropout):
    """In training, drops whole channels of images.

    Args:
        rate: Fraction that is dropped.
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        seed: Integer seed.
        name, dtype: As for `Layer`.
    Shapes:
        inputs: `(B, H, W, C)` or `(B, C, H, W)`. Result: as `inputs`.
    Source: Tompson et al. 2014.

    Example:
        >>> SpatialDropout2D(0.5)(torch.ones(1, 2, 2, 3)).shape
        torch.Size([1, 2, 2, 3])
    """

    _rank = 2


@builtin("keras.layers.SpatialDropout3D")
class SpatialDropout3D(BaseSpatialDropout):
    """In training, drops whole channels of volumes.

    Args:
        rate: Fraction that is dropped.
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        seed: Integer seed.
        name, dtype: As for `Layer`.
    Shapes:
        inputs: `(B, spatial..., C)` or `(B, C, spatial...)`. Result: as `inputs`.
    Source: Tompson et al. 2014.

    Example:
        >>> SpatialDropout3D(0.5)(torch.ones(1, 2, 2, 2, 3)).shape
        torch.Size([1, 2, 2, 2, 3])
    """

    _rank = 3


@builtin("keras.layers.GaussianNoise")
class GaussianNoise(_Noise):
    """In training, adds normal noise.

    Args:
        stddev: Standard deviation of the noise, in units of the inputs.
        seed: Integer seed.
        kwargs: Arguments of `Layer`.
    Shapes: Result: as `inputs`.
    Raises:
        ValueError: `stddev` is not from 0 to 1.

    Example:
        >>> GaussianNoise(0.5)(torch.ones(2)).tolist()
        [1.0, 1.0]
    """

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._seed("stddev", stddev, seed)
        self.stddev = stddev

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Return the inputs, in training with noise."""
        if not training or self.stddev <= 0:
            return inputs
        return inputs + self._normal(inputs, 0.0, self.stddev)


@builtin("keras.layers.GaussianDropout")
class GaussianDropout(_Noise):
    """In training, multiplies by normal noise of mean 1.

    Args:
        rate: Sets the standard deviation to `sqrt(rate / (1 - rate))`, that of `Dropout`'s factors.
        seed: Integer seed.
        kwargs: Arguments of `Layer`.
    Shapes: Result: as `inputs`.
    Raises:
        ValueError: `rate` is not from 0 to 1.
    Source: Srivastava et al. 2014, section 10.

    Example:
        >>> GaussianDropout(0.5)(torch.ones(2)).tolist()
        [1.0, 1.0]
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._seed("rate", rate, seed)
        self.rate = rate

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Return the inputs, in training times noise."""
        if not training or self.rate <= 0:
            return inputs
        stddev = math.sqrt(self.rate / (1.0 - self.rate))
        return inputs * self._normal(inputs, 1.0, stddev)


# The value to which SELU sends minus infinity: minus its scale times its alpha.
_SELU_LIMIT = -1.0507009873554804934193349852946 * 1.6732632423543772848170429916717


@builtin("keras.layers.AlphaDropout")
class AlphaDropout(_Noise):
    """Dropout for SELU networks: keeps mean 0 and variance 1.

    Args:
        rate: Fraction that is dropped.
        noise_shape: Shape of the random mask, broadcast to the inputs; `None` entries mean the
            size of the input there.
        seed: Integer seed.
        kwargs: Arguments of `Layer`.
    Shapes: Result: as `inputs`.
    Raises:
        ValueError: `rate` is not from 0 to 1.
    Source: Klambauer et al. 2017.

    Example:
        >>> AlphaDropout(0.5)(torch.ones(2)).tolist()
        [1.0, 1.0]
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._seed("rate", rate, seed)
        self.rate = rate
        self.noise_shape = noise_shape

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Return the inputs, in training with random elements replaced and all rescaled."""
        if not training or self.rate <= 0:
            return inputs
        shape = inputs.shape
        if self.noise_shape is not None:
            pairs = zip(shape, self.noise_shape, strict=True)
            shape = tuple(n if given is None else given for n, given in pairs)
        generator = generator_for(self.seed_generator, inputs.device)
        draws = torch.rand(shape, generator=generator, dtype=to_torch(None), device=inputs.device)
        inputs = inputs if inputs.is_floating_point() else inputs.to(draws.dtype)
        kept = (draws >= self.rate).to(inputs.dtype)
        scale = ((1 - self.rate) * (1 + self.rate * _SELU_LIMIT**2)) ** -0.5
        offset = -scale * _SELU_LIMIT * self.rate
        # scale * (inputs * kept + limit * (1 - kept)) + offset
        dropped = (kept * (-scale * _SELU_LIMIT)).add_(scale * _SELU_LIMIT + offset)
        return torch.addcmul(dropped, inputs, kept.mul_(scale))


@builtin("keras.layers.ActivityRegularization")
class ActivityRegularization(Layer):
    """Returns its inputs and adds a penalty on their size to the loss.

    Args:
        l1: Factor of the sum of absolute values, in units of the loss per unit of the inputs.
        l2: Factor of the sum of squares.
        kwargs: Arguments of `Layer`.
    Shapes: Result: as `inputs`.

    Example:
        >>> ActivityRegularization(l1=0.1)(torch.ones(2)).tolist()
        [1.0, 1.0]
    """

    _keras_memory = "inputs"

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=L1L2(l1=l1, l2=l2), **kwargs)
        self.supports_masking = True
        self.l1 = l1
        self.l2 = l2
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        """Return `inputs`."""
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return `input_shape`."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        config = super().get_config()
        config.pop("activity_regularizer", None)
        return config
