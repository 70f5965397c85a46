"""Initializers: functions `(shape, dtype) -> tensor` that make the first values of weights.

Results are plain tensors on the default device. The random ones give the numbers of Keras on torch
bit for bit, for the same seed and after the same `set_random_seed`.
Fans of a kernel `(..., inputs, outputs)`: the receptive field times `inputs` and times `outputs`.
Sources: Glorot & Bengio 2010, He et al. 2015, LeCun et al. 1998, Klambauer et al. 2017,
Saxe et al. 2014 (orthogonal); `keras.initializers` (names, defaults, draws).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from .config import default_device
from .dtypes import as_tensor, to_torch
from .naming import explain
from .random import SeedGenerator, make_default_seed
from .random import normal as draw_normal
from .random import truncated_normal as draw_truncated_normal
from .random import uniform as draw_uniform
from .registry import Namespace, builtin, deserialize_keras_object, serialize_keras_object

__all__ = [
    "STFT",
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "IdentityInitializer",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "OrthogonalInitializer",
    "RandomInitializer",
    "RandomNormal",
    "RandomUniform",
    "STFTInitializer",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "compute_fans",
    "constant",
    "deserialize",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "serialize",
    "stft",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]

Shape = Sequence[int]
Seed = int | SeedGenerator | dict[str, Any] | None

# Files name the seed generators of initializers.
builtin("keras.random.SeedGenerator")(SeedGenerator)


@builtin("keras.Initializer", "keras.initializers.Initializer")
class Initializer:
    """Base class: subclasses define `__call__`, and `get_config` if they have arguments.

    Example:
        >>> class Sevens(Initializer):
        ...     def __call__(self, shape, dtype=None):
        ...         return 7 * torch.ones(shape, dtype=to_torch(dtype))
        >>> Sevens()((2,)).tolist()
        [7.0, 7.0]
    """

    # Constructor arguments that are attributes of the same name and go into the config.
    _arguments: ClassVar[tuple[str, ...]] = ()

    def __call__(self, shape: Shape, dtype: Any = None) -> torch.Tensor:
        """Make the values.

        Args:
            shape: Of the result.
            dtype: Of the result. Default: `floatx()`.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `__call__(shape, dtype)`.")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {name: getattr(self, name) for name in self._arguments}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Initializer:
        """Make one from what `get_config` returned."""
        return cls(**config)

    def clone(self) -> Initializer:
        """Another one with the same arguments; unseeded ones then differ in their numbers."""
        return type(self).from_config(self.get_config())


# Fixed values ------------------------------------------------------------------------------------


@builtin("keras.initializers.Zeros", "keras.initializers.zeros")
class Zeros(Initializer):
    """All 0.

    Example:
        >>> Zeros()((2,)).tolist()
        [0.0, 0.0]
    """

    def __call__(self, shape: Shape, dtype: Any = None) -> torch.Tensor:
        return torch.zeros(tuple(shape), dtype=to_torch(dtype), device=default_device())


@builtin("keras.initializers.Ones", "keras.initializers.ones")
class Ones(Initializer):
    """All 1.

    Example:
        >>> Ones()((2,), dtype="int32").tolist()
        [1, 1]
    """

    def __call__(self, shape: Shape, dtype: Any = None) -> torch.Tensor:
        return torch.ones(tuple(shape), dtype=to_torch(dtype), device=default_device())


@builtin("keras.initializers.Constant", "keras.initializers.constant")
class Constant(Initializer):
    """All the same value.

    Args:
        value: A number; an array or tensor is broadcast to the shape.

    Example:
        >>> Constant(2.5)((2,)).tolist()
        [2.5, 2.5]
    """

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value

    def __call__(self, shape: Shape, dtype: Any = None) -> torch.Tensor:
        device, dtype = default_device(), to_torch(dtype)
        if isinstance(self.value, (bool, int, float)):
            return torch.full(tuple(shape), self.value, dtype=dtype, device=device)
        value = as_tensor(self.value).to(device, dtype)
        return value * torch.ones(tuple(shape), dtype=dtype, device=device)

    def get_config(self) -> dict[str, Any]:
        return {"value": serialize_keras_object(self.value)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Constant:
        return cls(deserialize_keras_object(config.get("value", 0.0)))


@builtin(
    "keras.initializers.Identity",
    "keras.initializers.identity",
    "keras.initializers.IdentityInitializer",
)
class Identity(Initializer):
    """The identity matrix times a number; ones on the diagonal if not square.

    Args:
        gain: The number.

    Raises:
        ValueError: On the call, if the shape has not two axes.

    Example:
        >>> Identity(gain=3)((2, 2)).tolist()
        [[3.0, 0.0], [0.0, 3.0]]
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Shape, dtype: Any = None) -> torch.Tensor:
        if len(shape) != 2:
            raise ValueError(
                f"Identity makes matrices only. Received: shape={tuple(shape)} of rank {len(shape)}"
            )
        return self.gain * torch.eye(*shape, dtype=to_torch(dtype), device=default_device())

    def get_config(self) -> dict[str, Any]:
        # Keras writes no gain and so loses it; it does read one.
        return {} if self.gain == 1.0 else {"gain": self.gain}


@builtin(
    "keras.initializers.STFT",
    "keras.initializers.stft",
    "keras.initializers.STFTInitializer",
)
class STFT(Initializer):
    """Convolution kernels of a short-time Fourier transform, real or imaginary part.

    Args:
        side: `"real"` or `"imag"`.
        window: A name known to `scipy.signal.get_window` (needs SciPy), values of shape
            `(frame_length,)`, or `None`.
        scaling: Divide by the window's L2 norm (`"density"`), L1 norm (`"spectrum"`) or nothing
            (`None`).
        periodic: Whether a named window is periodic rather than symmetric.

    Shapes:
        `(frame_length, 1, fft_length // 2 + 1)`.

    Raises:
        ValueError: An argument is none of the above.

    Example:
        >>> STFT("real", window=None)((2, 1, 2)).squeeze().tolist()
        [[1.0, 1.0], [1.0, -1.0]]
    """

    _arguments = ("side", "window", "periodic", "scaling")

    def __init__(
        self,
        side: str = "real",
        window: Any = "hann",
        scaling: str | None = "density",
        periodic: bool = False,
    ) -> None:
        if side not in ("real", "imag"):
            raise ValueError(f"STFT: `side` must be 'real' or 'imag'. Received: {side!r}")
        if scaling not in (None, "density", "spectrum"):
            raise ValueError(
                f"STFT: `scaling` must be None, 'density' or 'spectrum'. Received: {scaling!r}"
            )
        if isinstance(window, str):
            _named_window(window, 1, periodic)  # an unknown name fails here already
        self.side = side
        self.window = window
        self.scaling = scaling
        self.periodic = periodic

    def __call__(self, shape: Shape, dtype: Any = None) -> torch.Tensor:
        frame_length, _, bins = shape
        place = {"dtype": to_torch(dtype), "device": default_device()}
        frequency = torch.arange(bins, **place).reshape(1, 1, -1) / ((bins - 1) * 2)
        time = torch.arange(frame_length, **place).reshape(-1, 1, 1)
        angle = (-2 * time) * frequency * torch.acos(torch.full((), -1, **place))
        kernel = torch.cos(angle) if self.side == "real" else torch.sin(angle)
        if self.window is None:
            return kernel
        window = self.window
        if isinstance(window, str):
            window = _named_window(window, frame_length, self.periodic)
        window = as_tensor(window).to(**place)
        if tuple(window.shape) != (frame_length,):
            raise ValueError(
                f"STFT: the window has shape {tuple(window.shape)}, expected ({frame_length},)."
            )
        window = window.reshape(-1, 1, 1)
        kernel = kernel * window
        if self.scaling == "density":
            return kernel / window.square().sum().sqrt()
        return kernel / window.abs().sum() if self.scaling == "spectrum" else kernel


def _named_window(name: str, length: int, periodic: bool) -> np.ndarray:
    try:
        from scipy.signal import get_window
    except ImportError:
        raise ImportError(
            f"STFT: the window {name!r} comes from SciPy, which is not installed. Run `pip install "
            "scipy`, or pass the window's values."
        ) from None
    return get_window(name, length, periodic)


# Random values -----------------------------------------------------------------------------------


class RandomInitializer(Initializer):
    """Base of the random initializers: takes care of the seed.

    Args:
        seed: An integer (each call gives the same values), a `SeedGenerator` (each call gives
            others), or `None` for an integer drawn at random.

    Raises:
        ValueError: Any other seed.
    """

    def __init__(self, seed: Seed = None) -> None:
        self._init_seed = seed
        if seed is None:
            seed = make_default_seed()
        elif isinstance(seed, dict):
            seed = deserialize_keras_object(seed)
        elif not isinstance(seed, (int, SeedGenerator)):
            raise ValueError(
                f"{type(self).__name__}: `seed` must be an integer, a SeedGenerator or None. "
                f"Received: {seed!r}"
            )
        self.seed = seed

    def get_config(self) -> dict[str, Any]:
        return {"seed": serialize_keras_object(self._init_seed), **super().get_config()}


@builtin("keras.initializers.RandomNormal", "keras.initializers.random_normal")
class RandomNormal(RandomInitializer):
    """Normally distributed values.

    Args:
        mean: Of the distribution.
        stddev: Its standard deviation.
        seed: See `RandomInitializer`.

    Example:
        >>> RandomNormal(mean=5.0, stddev=0.0, seed=1)((2,)).tolist()
        [5.0, 5.0]
    """

    _arguments = ("mean", "stddev")

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Seed = None) -> None:
        self.mean = mean
        self.stddev = stddev
        super().__init__(seed=seed)

    def __call__(self, shape: Shape, dtype: Any = None) -> torch.Tensor:
        return draw_normal(shape, self.mean, self.stddev, dtype=dtype, seed=self.seed)


@builtin("keras.initializers.TruncatedNormal", "keras.initializers.truncated_normal")
class TruncatedNormal(RandomInitializer):
    """Normally distributed values within two standard deviations of the mean.

    Args:
        mean: Of the distribution before truncation.
        stddev: Its standard deviation before truncation.
        seed: See `RandomInitializer`.

    Example:
        >>> bool((TruncatedNormal(stddev=1.0, seed=1)((1000,)).abs() < 2).all())
        True
    """

    _arguments = ("mean", "stddev")

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Seed = None) -> None:
        self.mean = mean
        self.stddev = stddev
        super().__init__(seed=seed)

    def __call__(self, shape: Shape, dtype: Any = None) -> torch.Tensor:
        return draw_truncated_normal(shape, self.mean, self.stddev, dtype=dtype, seed=self.seed)


@builtin("keras.initializers.RandomUniform", "keras.initializers.random_uniform")
class RandomUniform(RandomInitializer):
    """Values spread evenly over an interval.

    Args:
        minval: Lower bound, included.
        maxval: Upper bound, excluded.
        seed: See `RandomInitializer`.

    Example:
        >>> bool((RandomUniform(0.0, 1.0, seed=1)((1000,)) < 1).all())
        True
    """

    _arguments = ("minval", "maxval")

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Seed = None) -> None:
        self.minval = minval
        self.maxval = maxval
        super().__init__(seed=seed)

    def __call__(self, shape: Shape, dtype: Any = None) -> torch.Tensor:
        return draw_uniform(shape, self.minval, self.maxval, dtype=dtype, seed=self.seed)


# Standard deviation of the unit normal distribution truncated at +-2:
# sqrt(1 - 4 * pdf(2) / (cdf(2) - cdf(-2))).
_TRUNCATED_STDDEV = 0.87962566103423978


@builtin("keras.initializers.VarianceScaling", "keras.initializers.variance_scaling")
class VarianceScaling(RandomInitializer):
    """Values of variance `scale / n`, where n is a fan of the weight.

    Args:
        scale: Positive.
        mode: Which n: `"fan_in"`, `"fan_out"`, or their mean `"fan_avg"`.
        distribution: `"truncated_normal"` (also called `"normal"`), `"untruncated_normal"` or
            `"uniform"`.
        seed: See `RandomInitializer`.
        input_axes: Axes whose sizes multiply to the fan in, where the last two are not it.
        output_axes: The same for the fan out; both are given or neither.

    Raises:
        ValueError: An argument is none of the above.

    Example:
        >>> bool((VarianceScaling(3.0, distribution="uniform", seed=1)((9, 2)).abs() < 1).all())
        True
    """

    _arguments: ClassVar[tuple[str, ...]] = (
        "scale",
        "mode",
        "distribution",
        "input_axes",
        "output_axes",
    )

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Seed = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        if scale <= 0.0:
            raise ValueError(
                f"VarianceScaling: Argument `scale` must be positive float. Received: {scale}"
            )
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(
                "VarianceScaling: Invalid `mode` argument: expected 'fan_in', 'fan_out' or"
                f" 'fan_avg'. Received: {mode!r}"
            )
        distribution = distribution.lower()
        if distribution == "normal":
            distribution = "truncated_normal"
        if distribution not in ("uniform", "truncated_normal", "untruncated_normal"):
            raise ValueError(
                "VarianceScaling: Invalid `distribution` argument: expected 'truncated_normal',"
                f" 'untruncated_normal' or 'uniform'. Received: {distribution!r}"
            )
        self.scale, self.mode, self.distribution = scale, mode, distribution
        self.input_axes, self.output_axes = input_axes, output_axes
        super().__init__(seed=seed)

    def __call__(self, shape: Shape, dtype: Any = None) -> torch.Tensor:
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        fans = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2.0}
        variance = self.scale / max(1.0, fans[self.mode])
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return draw_uniform(shape, -limit, limit, dtype=dtype, seed=self.seed)
        stddev = math.sqrt(variance)
        if self.distribution == "untruncated_normal":
            return draw_normal(shape, stddev=stddev, dtype=dtype, seed=self.seed)
        stddev /= _TRUNCATED_STDDEV
        return draw_truncated_normal(shape, stddev=stddev, dtype=dtype, seed=self.seed)


class _Preset(VarianceScaling):
    """A `VarianceScaling` with a fixed scale, mode and distribution."""

    _arguments = ("input_axes", "output_axes")
    _preset: ClassVar[tuple[float, str, str]]

    def __init__(
        self,
        seed: Seed = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        self.scale, self.mode, self.distribution = self._preset  # which need no checks
        self.input_axes, self.output_axes = input_axes, output_axes
        RandomInitializer.__init__(self, seed)


@builtin("keras.initializers.GlorotUniform", "keras.initializers.glorot_uniform")
class GlorotUniform(_Preset):
    """Even over `[-a, a]`, `a = sqrt(6 / (fan_in + fan_out))`; Keras's default for kernels.

    Args:
        seed: See `RandomInitializer`.
        input_axes: See `VarianceScaling`.
        output_axes: See `VarianceScaling`.

    Example:
        >>> bool((GlorotUniform(seed=1)((3, 3)).abs() <= 1).all())
        True
    """

    _preset = (1.0, "fan_avg", "uniform")


@builtin("keras.initializers.GlorotNormal", "keras.initializers.glorot_normal")
class GlorotNormal(_Preset):
    """Truncated normal of variance `2 / (fan_in + fan_out)`; arguments as in `GlorotUniform`."""

    _preset = (1.0, "fan_avg", "truncated_normal")


@builtin("keras.initializers.LecunNormal", "keras.initializers.lecun_normal")
class LecunNormal(_Preset):
    """Truncated normal of variance `1 / fan_in`, for `selu`; arguments as in `GlorotUniform`."""

    _preset = (1.0, "fan_in", "truncated_normal")


@builtin("keras.initializers.LecunUniform", "keras.initializers.lecun_uniform")
class LecunUniform(_Preset):
    """Even over `[-a, a]`, `a = sqrt(3 / fan_in)`; arguments as in `GlorotUniform`."""

    _preset = (1.0, "fan_in", "uniform")


@builtin("keras.initializers.HeNormal", "keras.initializers.he_normal")
class HeNormal(_Preset):
    """Truncated normal of variance `2 / fan_in`, for `relu`; arguments as in `GlorotUniform`."""

    _preset = (2.0, "fan_in", "truncated_normal")


@builtin("keras.initializers.HeUniform", "keras.initializers.he_uniform")
class HeUniform(_Preset):
    """Even over `[-a, a]`, `a = sqrt(6 / fan_in)`, for `relu`; arguments as in `GlorotUniform`."""

    _preset = (2.0, "fan_in", "uniform")


def compute_fans(
    shape: Shape,
    input_axes: Sequence[int] | None = None,
    output_axes: Sequence[int] | None = None,
) -> tuple[int, int]:
    """How many inputs feed one output of a weight, and how many outputs one input feeds.

    Args:
        shape: Of the weight, `(..., inputs, outputs)`; a vector has its length for both.
        input_axes: Axes that make up the fan in, if others.
        output_axes: Axes that make up the fan out, if others.

    Example:
        >>> compute_fans((3, 3, 16, 32))
        (144, 288)
    """
    shape = tuple(shape)
    if input_axes is not None and output_axes is not None:
        fans = [math.prod(shape[axis] for axis in axes) for axes in (input_axes, output_axes)]
    elif len(shape) < 2:
        fans = [shape[0] if shape else 1] * 2
    else:
        receptive_field = math.prod(shape[:-2])
        fans = [size * receptive_field for size in shape[-2:]]
    return int(fans[0]), int(fans[1])


@builtin(
    "keras.initializers.Orthogonal",
    "keras.initializers.orthogonal",
    "keras.initializers.OrthogonalInitializer",
)
class Orthogonal(RandomInitializer):
    """Orthonormal rows or columns, whichever are fewer, of the weight seen as a matrix.

    The matrix has the last axis as columns and all others as rows; it is the Q of a random normal
    matrix, with signs such that it is distributed evenly over all orthogonal ones.

    Args:
        gain: Factor on the values.
        seed: See `RandomInitializer`.

    Raises:
        ValueError: On the call, if the shape has fewer than two axes.

    Example:
        >>> q = Orthogonal(seed=1)((3, 3))
        >>> bool(torch.allclose(q @ q.T, torch.eye(3), atol=1e-6))
        True
    """

    _arguments = ("gain",)

    def __init__(self, gain: float = 1.0, seed: Seed = None) -> None:
        self.gain = gain
        super().__init__(seed=seed)

    def __call__(self, shape: Shape, dtype: Any = None) -> torch.Tensor:
        shape = tuple(shape)
        if len(shape) < 2:
            raise ValueError(
                "Orthogonal needs a shape of two axes or more. "
                f"Received: shape={shape} of rank {len(shape)}"
            )
        rows, columns = math.prod(shape[:-1]), shape[-1]
        tall = (max(rows, columns), min(rows, columns))
        q, r = torch.linalg.qr(draw_normal(tall, dtype=dtype, seed=self.seed))
        q = q * torch.sign(torch.diagonal(r))
        if rows < columns:
            q = q.T
        return self.gain * q.reshape(shape).contiguous()


# Names -------------------------------------------------------------------------------------------

constant = Constant
glorot_normal = GlorotNormal
glorot_uniform = GlorotUniform
he_normal = HeNormal
he_uniform = HeUniform
identity = IdentityInitializer = Identity
lecun_normal = LecunNormal
lecun_uniform = LecunUniform
ones = Ones
orthogonal = OrthogonalInitializer = Orthogonal
random_normal = RandomNormal
random_uniform = RandomUniform
stft = STFTInitializer = STFT
truncated_normal = TruncatedNormal
variance_scaling = VarianceScaling
zeros = Zeros

_INITIALIZERS = Namespace("initializers", kind="initializer", base=Initializer)
for _cls, *_names in (
    (Initializer,),
    (Constant,),
    (GlorotNormal,),
    (GlorotUniform,),
    (HeNormal,),
    (HeUniform,),
    (Identity, "IdentityInitializer"),
    (LecunNormal,),
    (LecunUniform,),
    (Ones, "one"),
    (Orthogonal, "OrthogonalInitializer"),
    (RandomNormal, "normal"),
    (RandomUniform, "uniform"),
    (STFT, "STFTInitializer"),
    (TruncatedNormal,),
    (VarianceScaling,),
    (Zeros, "zero"),
):
    _INITIALIZERS.register(_cls, *_names)


def get(identifier: Any) -> Callable[..., torch.Tensor] | None:
    """The initializer that an identifier stands for.

    Args:
        identifier: `None`, a name, a config, a class, an initializer, a function `(shape, dtype)`,
            or a tensor or array with the values themselves.

    Raises:
        ValueError: It stands for none.

    Example:
        >>> get("zeros")((2,)).tolist(), get(np.array([1.0, 2.0]))((2,)).tolist()
        ([0.0, 0.0], [1.0, 2.0])
    """
    if isinstance(identifier, Initializer):
        return identifier
    if isinstance(identifier, (torch.Tensor, np.ndarray, np.generic)):
        return _values(identifier)
    return _INITIALIZERS.get(identifier)


def _values(given: torch.Tensor | np.ndarray | np.generic) -> Callable[..., torch.Tensor]:
    """An initializer that returns the given values."""

    def initialize(shape: Shape, dtype: Any = None) -> torch.Tensor:
        if tuple(shape) != tuple(given.shape):
            raise ValueError(
                explain(
                    f"Expected `shape` to be that of the values given, {tuple(given.shape)}.",
                    weight=tuple(shape),
                    values=tuple(given.shape),
                    fix=f"give values of shape {tuple(shape)}.",
                )
            )
        return as_tensor(given).to(default_device(), to_torch(dtype))

    return initialize


def serialize(initializer: Any) -> Any:
    """The config of an initializer."""
    return _INITIALIZERS.serialize(initializer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The initializer that a config describes.

    Raises:
        ValueError, TypeError: It describes none.
    """
    return _INITIALIZERS.deserialize(config, custom_objects)
