"""Scaling of numbers, by given factors or by learned statistics: `Rescaling`, `Normalization`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..config import epsilon, image_data_format
from ..dtypes import as_tensor, readable, to_torch
from ..naming import explain
from ..registry import builtin, deserialize_keras_object
from ._constant import Constant
from .adapting import batches
from .configs import make_from
from .data_layer import DataLayer

__all__ = ["Normalization", "Rescaling"]

Shape = Sequence["int | None"]


@builtin("keras.layers.Rescaling")
class Rescaling(DataLayer):
    """Returns `inputs * scale + offset` in the layer's dtype.

    Args:
        scale: A number, or one per channel.
        offset: A number, or one per channel.
        kwargs: Arguments of `Layer`.
    Shapes: Result: as `inputs`, also if those are integers.

    Example:
        >>> Rescaling(1 / 255)(torch.tensor([0, 255])).tolist()
        [0.0, 1.0]
    """

    _keras_memory = "inputs"

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name, value in (("scale", scale), ("offset", offset)):
            if isinstance(value, str):
                raise TypeError(f"Rescaling: `{name}` must be a number. Received: {value!r}")
        self.__dict__.update(scale=scale, offset=offset)
        self.supports_masking = True
        self._numbers = isinstance(scale, (int, float)) and isinstance(offset, (int, float))
        # The arguments and what `call` computes with, which is made anew for new ones.
        self.__dict__["_constants"] = {}

    def call(self, inputs: Any) -> Tensor:
        """Return the rescaled inputs."""
        x = as_tensor(inputs, self.compute_dtype)
        if self._numbers:
            return x * self.scale + self.offset
        scale = self._beside("scale", x)
        if scale.dim() and image_data_format() == "channels_first":
            scale = scale.reshape(*scale.shape, *[1] * (3 - scale.dim()))
        return x * scale + self._beside("offset", x)

    def _beside(self, name: str, x: Tensor) -> Tensor:
        """Return an argument as a tensor beside `x`."""
        value = getattr(self, name)
        known, constant = self._constants.get(name, (None, None))
        if known is not value or constant is None:
            constant = Constant(value)
            self._constants[name] = (value, constant)
        return constant.like(x)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return `input_shape`."""
        return input_shape

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Rescaling:
        """Rebuild the layer; scale and offset may be arrays."""
        config = dict(config)
        for name in config.keys() & {"scale", "offset"}:
            config[name] = deserialize_keras_object(config[name], custom_objects=custom_objects)
        return make_from(cls, config)


@builtin("keras.layers.Normalization")
class Normalization(DataLayer):
    """Subtracts a mean and divides by a standard deviation, learned by `adapt` or given.

    Args:
        axis: Axis or axes that have statistics of their own; `None`: one mean and variance for all.
        mean, variance: The statistics, if known; numbers or arrays that fit `axis`.
        invert: Whether to undo the normalization instead.
        kwargs: Arguments of `Layer`.
    Shapes: Result: as `inputs`. mean, variance: the sizes of `axis`.
    Raises:
        ValueError: Only one of mean and variance is given, they differ in shape, or `axis` is
            outside of the input or of unknown size.

    Example:
        >>> layer = Normalization(axis=None)
        >>> layer.adapt(np.array([1.0, 3.0]))
        >>> layer(torch.tensor([5.0])).tolist()
        [3.0]
    """

    _keras_memory = "inputs"
    _config_excludes = ("mean", "variance")  # see `get_config`

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.axis = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        self.__dict__.update(input_mean=mean, input_variance=variance)
        self.invert = invert
        self.supports_masking = True
        self.__dict__["_constants"] = None  # the given statistics
        self._build_input_shape: tuple[int | None, ...] | None = None
        self._check_statistics()

    def _error(self, what: str, fix: str | None = None, **facts: Any) -> ValueError:
        return ValueError(explain(f"Normalization '{self.name}': {what}.", fix, **facts))

    def _check_statistics(self) -> None:
        mean, variance = self.input_mean, self.input_variance
        if (mean is None) != (variance is None):
            raise self._error(
                "both `mean` and `variance` must be set, or none of them",
                mean=mean,
                variance=variance,
            )
        if mean is None:
            return
        if np.shape(mean) != np.shape(variance):
            raise self._error(
                "`mean` and `variance` must have the same shape",
                mean_shape=np.shape(mean),
                variance_shape=np.shape(variance),
            )
        if np.ndim(mean) > len(self.axis):
            raise self._error(
                "`mean` and `variance` have more axes than `axis` names",
                mean_shape=np.shape(mean),
                axis=self.axis,
            )

    # Building ------------------------------------------------------------------------------------

    def build(self, input_shape: Shape | None) -> None:
        """Make the statistics' variables, or broadcast the given statistics."""
        if input_shape is None:
            return
        ndim = len(input_shape)
        self._build_input_shape = tuple(input_shape)
        if any(not -ndim <= axis < ndim for axis in self.axis):
            raise self._error(
                "All `axis` values must be in the range of the axes of the input",
                axis=self.axis,
                input_shape=tuple(input_shape),
            )
        self._keep_axis = tuple(sorted(axis % ndim for axis in self.axis))
        if any(input_shape[axis] is None for axis in self._keep_axis):
            raise self._error(
                "All `axis` values to be kept must have a known size in the input",
                axis=self.axis,
                input_shape=tuple(input_shape),
            )
        self._reduce_axis = tuple(i for i in range(ndim) if i not in self._keep_axis)
        self._broadcast_shape = tuple(
            n if i in self._keep_axis else 1 for i, n in enumerate(input_shape)
        )
        self._mean_and_var_shape = tuple(input_shape[axis] for axis in self._keep_axis)
        if self.input_mean is None:
            shape = self._mean_and_var_shape
            self.adapt_mean = self._statistic("mean", shape, "zeros")
            self.adapt_variance = self._statistic("variance", shape, "ones")
            # Which nothing reads, but old files have it.
            self.count = self._statistic("count", (), "zeros", dtype="int32")
        else:
            given = (self.input_mean, self.input_variance)
            self.__dict__["_constants"] = tuple(Constant(self._given(x)) for x in given)
        self.built = True

    def _statistic(self, name: str, shape: Shape, initializer: str, dtype: Any = None) -> Any:
        return self.add_weight(
            name=name, shape=shape, initializer=initializer, dtype=dtype, trainable=False
        )

    def _given(self, value: Any) -> Tensor:
        """A given statistic, its axes aligned with the last of `axis`."""
        value = value if isinstance(value, Tensor) else torch.as_tensor(readable(np.asarray(value)))
        shape = [1] * len(self._broadcast_shape)
        for axis, size in zip(reversed(self._keep_axis), reversed(value.shape), strict=False):
            shape[axis] = size
        value = value.reshape(shape)
        torch.broadcast_to(value, self._broadcast_shape)  # fails where it does not fit
        return value

    # Learning ------------------------------------------------------------------------------------

    def adapt(self, data: Any) -> None:
        """Learn mean and variance from data, replacing what was learned before.

        Args:
            data: An array or tensor; or batches of them: a `DataLoader`, torch `Dataset`,
                `PyDataset`, `tf.data.Dataset`, generator or list. Of batches that are tuples, the
                first element counts.

        Raises:
            TypeError: The data are none of these.
            ValueError: There are no data, or their shape does not fit.
        """
        if isinstance(data, (np.ndarray, Tensor)):
            self._adapt_whole(data)
        elif hasattr(data, "__iter__") or hasattr(data, "__getitem__"):
            self._adapt_batches(map(_first_of, batches(_batched(data))))
        else:
            raise TypeError(
                explain(
                    f"Normalization '{self.name}': `adapt` cannot read these data.",
                    given=type(data).__name__,
                    expected="an array, a tensor, or an iterable of batches of them",
                )
            )

    def _adapt_whole(self, x: np.ndarray | Tensor) -> None:
        self._fit_to(tuple(x.shape))
        if isinstance(x, np.ndarray) and x.dtype.kind in "iub":
            x = x.astype("float64")  # as NumPy averages integers
        x = torch.as_tensor(readable(x) if isinstance(x, np.ndarray) else x).detach()
        x = x if x.is_floating_point() else x.to(to_torch(self.variable_dtype))
        mean, variance = self._moments(x)
        self.adapt_mean.assign(mean)
        self.adapt_variance.assign(variance)

    def _moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if not self._reduce_axis:
            return x, torch.zeros_like(x)
        variance, mean = torch.var_mean(x, self._reduce_axis, correction=0)
        return mean, variance

    def _adapt_batches(self, batches: Iterator[Any]) -> None:
        """Combine the moments of batches, weighted by their sizes."""
        first = next(batches, None)
        if first is None:
            raise self._error("`adapt` received an empty iterable", "pass at least one batch.")
        count, mean, variance = 0, None, None
        for x in itertools.chain([first], batches):
            if not hasattr(x, "shape"):
                raise TypeError(
                    explain(
                        f"Normalization '{self.name}': `adapt` needs batches with a `.shape`.",
                        given=type(x).__name__,
                        expected="arrays or tensors, or tuples that begin with one",
                    )
                )
            x = torch.as_tensor(x if isinstance(x, Tensor) else readable(np.asarray(x))).detach()
            self._fit_to(tuple(x.shape))
            x = x.to(to_torch(self.compute_dtype))
            new_mean, new_variance = self._moments(x)
            new = x.numel() // max(1, new_mean.numel()) if self._reduce_axis else 1
            count += new
            if mean is None:
                mean, variance = new_mean, new_variance
                continue
            weight = new / count
            total = torch.lerp(mean, new_mean, weight)
            variance = torch.lerp(
                variance + (mean - total) ** 2, new_variance + (new_mean - total) ** 2, weight
            )
            mean = total
        self.adapt_mean.assign(mean)
        self.adapt_variance.assign(variance)

    def _fit_to(self, shape: tuple[int, ...]) -> None:
        """Build for data of this shape, or check that it fits what the layer was built for."""
        if self.input_mean is not None:
            raise self._error(
                "`adapt` would replace the given `mean` and `variance`",
                fix="leave these arguments out to learn them.",
            )
        if not self.built:
            self.build(shape)
        built_for = self._build_input_shape
        if len(shape) != len(built_for) or any(
            shape[axis] != built_for[axis] for axis in self._keep_axis
        ):
            raise self._error(
                "`adapt` was given data of an incompatible shape",
                built_for=built_for,
                data_shape=shape,
                axis=self.axis,
            )

    def finalize_state(self) -> None:
        """Do nothing: what `adapt` or loading put into the variables is used as it is."""

    def _statistics(self, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return mean and variance, to be broadcast with inputs on a device."""
        if self._constants is not None:
            mean, variance = self._constants
            return mean.on(device, dtype), variance.on(device, dtype)
        shape = self._broadcast_shape
        learned = (self.adapt_mean.reshape(shape), self.adapt_variance.reshape(shape))
        return learned[0].to(device, dtype), learned[1].to(device, dtype)

    def _statistics_to_show(self) -> tuple[Tensor | None, Tensor | None]:
        if not self.built:
            return None, None
        mean, variance = self._statistics(self._device_of_weights(), to_torch(self.compute_dtype))
        return mean.broadcast_to(shape := self._broadcast_shape), variance.broadcast_to(shape)

    @property
    def mean(self) -> Tensor | None:
        """The mean as it is broadcast with inputs; `None` before building."""
        return self._statistics_to_show()[0]

    @property
    def variance(self) -> Tensor | None:
        """The variance as it is broadcast with inputs; `None` before building."""
        return self._statistics_to_show()[1]

    # Calling -------------------------------------------------------------------------------------

    def call(self, inputs: Any) -> Tensor:
        """Return the (de)normalized inputs."""
        if not self.built:
            raise self._error("it is not built", fix="call `adapt(data)` or `build(shape)` first.")
        x = as_tensor(inputs, self.compute_dtype)
        mean, variance = self._statistics(x.device, x.dtype)
        deviation = variance.sqrt().clamp(min=epsilon())
        return mean + x * deviation if self.invert else (x - mean) / deviation

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return `input_shape`."""
        return input_shape

    # Saving --------------------------------------------------------------------------------------

    def get_build_config(self) -> dict[str, Any] | None:
        """Return the shape the layer was built for."""
        if self._build_input_shape is None:
            return None
        return {"input_shape": self._build_input_shape}

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments; the statistics as lists."""
        config: dict[str, Any] = {}
        for name in ("mean", "variance"):
            value = getattr(self, f"input_{name}")
            value = value.detach().cpu() if isinstance(value, Tensor) else value
            config[name] = np.array(value).tolist()
        return {**super().get_config(), **config}


def _first_of(batch: Any) -> Any:
    return batch[0] if isinstance(batch, (tuple, list)) else batch


def _batched(data: Any) -> Any:
    """Return a `tf.data.Dataset` of single samples in batches, as Keras does."""
    spec = getattr(data, "element_spec", None)
    spec = spec[0] if isinstance(spec, tuple) else spec
    rank = getattr(getattr(spec, "shape", None), "rank", None)
    return data.batch(128) if rank == 1 else data
