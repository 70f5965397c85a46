"""Learning rate schedules: the learning rate as a function of the number of steps taken.

A schedule is called with a step (a number, or an integer tensor of any shape and device) and
returns a tensor: on the step's device, of `config.floatx()` unless the initial rate is a tensor or
a NumPy number of another floating dtype. The formulas act elementwise, so that an optimizer can
evaluate many steps by one call (`Lookahead`).

Sources: Keras 3 (arguments, formulas), Loshchilov & Hutter 2017 (cosine decay and restarts).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ..config import floatx
from ..dtypes import is_float, to_torch
from ..naming import explain
from ..registry import Namespace, builtin

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "Lookahead",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "as_number",
    "deserialize",
    "serialize",
]

_PLAIN = (int, float, str, type(None))


@builtin("keras.optimizers.schedules.LearningRateSchedule")
class LearningRateSchedule:
    """Base class: subclasses define `__call__(step)`, and `get_config` to be saved.

    Example:
        >>> class Halving(LearningRateSchedule):
        ...     def __call__(self, step):
        ...         return 0.1 / 2 ** (step // 10)
        >>> Halving()(25)
        0.025
    """

    def __call__(self, step: Any) -> Any:
        """Return the learning rate at `step`."""
        raise NotImplementedError(
            f"Learning rate schedule '{type(self).__name__}' must override `__call__(self, step)`."
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        raise NotImplementedError(
            f"Learning rate schedule '{type(self).__name__}' must override `get_config()` in order"
            " to be serializable."
        )

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LearningRateSchedule:
        """Make a schedule from what `get_config` returned."""
        return cls(**config)


SCHEDULES = Namespace(
    "optimizers.schedules", kind="learning rate schedule", base=LearningRateSchedule
)


def _schedule(cls: type[_Schedule]) -> type[_Schedule]:
    """Register a schedule of this module."""
    cls.arguments = tuple(inspect.signature(cls).parameters)
    builtin(f"keras.optimizers.schedules.{cls.__name__}")(cls)
    return SCHEDULES.register(cls)


class _Schedule(LearningRateSchedule):
    """What the schedules here have in common: attributes named as the constructor's arguments."""

    arguments: tuple[str, ...] = ()
    # Whether each element of a result depends on the same element of the step alone, to rounding.
    elementwise = True

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        state = {name.removeprefix("_"): value for name, value in vars(self).items()}
        return {name: state[name] for name in self.arguments}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LearningRateSchedule:
        """Make a schedule; the name that files of older Kerases leave open is the default."""
        named = config.get("name") is not None
        return cls(**{key: value for key, value in config.items() if named or key != "name"})


@_schedule
class ExponentialDecay(_Schedule):
    """`initial_learning_rate * decay_rate ** (step / decay_steps)`.

    Args:
        initial_learning_rate: The rate at step 0.
        decay_steps: Steps after which the rate has changed by the factor `decay_rate`.
        decay_rate: That factor.
        staircase: Let the exponent jump at whole numbers instead of growing continuously.
        name: Name of the schedule.

    Raises:
        ValueError: `decay_steps` is not positive.

    Example:
        >>> ExponentialDecay(0.1, decay_steps=10, decay_rate=0.5)(20)
        tensor(0.0250)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _positive("decay_steps", decay_steps)
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = _checked_name(name)

    def __call__(self, step: Any) -> torch.Tensor:
        exponent = _as_step(step, self.initial_learning_rate) / self.decay_steps
        if self.staircase:
            exponent = exponent.floor()
        return self.initial_learning_rate * torch.pow(self.decay_rate, exponent)


@_schedule
class InverseTimeDecay(_Schedule):
    """`initial_learning_rate / (1 + decay_rate * step / decay_steps)`.

    Args:
        initial_learning_rate: The rate at step 0.
        decay_steps: The unit in which steps are counted.
        decay_rate: Growth of the denominator per unit.
        staircase: Count whole units only.
        name: Name of the schedule.

    Raises:
        ValueError: `decay_steps` is not positive.

    Example:
        >>> InverseTimeDecay(0.1, decay_steps=10, decay_rate=1.0)(10)
        tensor(0.0500)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _positive("decay_steps", decay_steps)
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = _checked_name(name)

    def __call__(self, step: Any) -> torch.Tensor:
        units = _as_step(step, self.initial_learning_rate) / self.decay_steps
        if self.staircase:
            units = units.floor()
        return self.initial_learning_rate / (1 + self.decay_rate * units)


@_schedule
class PiecewiseConstantDecay(_Schedule):
    """`values[i]` up to and including step `boundaries[i]`, the last value afterwards.

    Args:
        boundaries: Increasing steps.
        values: Rates, one more than there are boundaries.
        name: Name of the schedule.

    Raises:
        ValueError: The lengths do not fit.

    Example:
        >>> [PiecewiseConstantDecay([10], [0.1, 0.01])(step).item() < 0.05 for step in (10, 11)]
        [False, True]
    """

    def __init__(
        self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant"
    ) -> None:
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                explain(
                    "The length of boundaries should be 1 less than the length of values.",
                    boundaries=boundaries,
                    values=values,
                    fix="give one value for each stretch before, between and after the boundaries.",
                )
            )
        self.boundaries = boundaries
        self.values = values
        self.name = _checked_name(name)

    def __call__(self, step: Any) -> torch.Tensor:
        step = _as_tensor(step)
        dtype = _rate_dtype(self.values[0])
        rate = torch.full(step.shape, float(self.values[-1]), dtype=dtype, device=step.device)
        for boundary, value in zip(reversed(self.boundaries), self.values[-2::-1], strict=True):
            rate = torch.where(step <= boundary, float(value), rate)
        return rate


@_schedule
class PolynomialDecay(_Schedule):
    """From the initial rate down to the end rate along `(1 - step / decay_steps) ** power`.

    Args:
        initial_learning_rate: The rate at step 0.
        decay_steps: The step at which the end rate is reached.
        end_learning_rate: The rate then and afterwards.
        power: 1 is a straight line.
        cycle: Past the end, stretch the decay to the next multiple of `decay_steps` instead.
        name: Name of the schedule.

    Raises:
        ValueError: `decay_steps` is not positive.

    Example:
        >>> PolynomialDecay(0.1, decay_steps=10, end_learning_rate=0.0)(5)
        tensor(0.0500)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _positive("decay_steps", decay_steps)
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = _checked_name(name)

    def __call__(self, step: Any) -> torch.Tensor:
        step = _as_step(step, self.initial_learning_rate)
        if self.cycle:
            fraction = step / (self.decay_steps * (step / self.decay_steps).ceil().clamp(min=1))
        else:
            fraction = step.clamp(max=self.decay_steps) / self.decay_steps
        span = self.initial_learning_rate - self.end_learning_rate
        return span * (1 - fraction) ** self.power + self.end_learning_rate


@_schedule
class CosineDecay(_Schedule):
    """An optional linear warm-up, then half a cosine wave down.

    Args:
        initial_learning_rate: The rate at step 0.
        decay_steps: Length of the decay; with a warm-up it begins after that.
        alpha: The final rate, as a fraction of the rate from which the decay starts.
        name: Name of the schedule.
        warmup_target: The rate between warm-up and decay; `None`: no warm-up.
        warmup_steps: Length of the warm-up.

    Raises:
        ValueError: `decay_steps` is not positive.
    Source: Loshchilov & Hutter 2017, eq. 5, without restarts.

    Example:
        >>> warm = CosineDecay(0.0, decay_steps=10, warmup_target=0.1, warmup_steps=10)
        >>> warm(5), warm(10), warm(20)
        (tensor(0.0500), tensor(0.1000), tensor(0.))
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _positive("decay_steps", decay_steps)
        self.alpha = alpha
        self.name = _checked_name(name)
        self.warmup_target = warmup_target
        self.warmup_steps = warmup_steps

    def __call__(self, step: Any) -> torch.Tensor:
        start = self.initial_learning_rate
        step = _as_step(step, start)
        if self.warmup_target is None:
            return start * self._decay(step)
        rising = (self.warmup_target - start) * (step / self.warmup_steps) + start
        falling = self.warmup_target * self._decay(step - self.warmup_steps)
        return torch.where(step < self.warmup_steps, rising, falling)

    def _decay(self, step: torch.Tensor) -> torch.Tensor:
        angle = math.pi * (step.clamp(max=self.decay_steps) / self.decay_steps)
        return (1 - self.alpha) * (0.5 * (1.0 + angle.cos())) + self.alpha


@_schedule
class CosineDecayRestarts(_Schedule):
    """Cosine decays in a row, each `t_mul` times as long and `m_mul` times as high as the last.

    Args:
        initial_learning_rate: The rate at step 0.
        first_decay_steps: Length of the first decay.
        t_mul: Factor of the lengths.
        m_mul: Factor of the heights.
        alpha: The lowest rate, as a fraction of the initial rate.
        name: Name of the schedule.

    Raises:
        ValueError: `first_decay_steps` is not positive.
    Source: Loshchilov & Hutter 2017, section 3.

    Example:
        >>> CosineDecayRestarts(0.1, first_decay_steps=10)(10)
        tensor(0.1000)
    """

    # The restart number is a floor of logarithms, which vectorized kernels may round otherwise.
    elementwise = False

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: int,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = _positive("first_decay_steps", first_decay_steps)
        self._t_mul = t_mul
        self._m_mul = m_mul
        self.alpha = alpha
        self.name = _checked_name(name)

    def __call__(self, step: Any) -> torch.Tensor:
        fraction = _as_step(step, self.initial_learning_rate) / self.first_decay_steps
        ratio = self._t_mul
        if ratio == 1.0:
            restart = fraction.floor()
            fraction = fraction - restart
        else:
            # With lengths 1, r, r^2, … the restart i happens at (1 - r^i) / (1 - r).
            log_ratio = torch.log(fraction.new_tensor(ratio))
            restart = ((1.0 - fraction * (1.0 - ratio)).log() / log_ratio).floor()
            length = torch.pow(ratio, restart)
            fraction = (fraction - (1.0 - length) / (1.0 - ratio)) / length
        height = 0.5 * torch.pow(self._m_mul, restart)
        wave = height * (1.0 + (math.pi * fraction).cos())
        return self.initial_learning_rate * ((1 - self.alpha) * wave + self.alpha)


def serialize(learning_rate_schedule: LearningRateSchedule) -> dict[str, Any]:
    """Return the config of a schedule."""
    return SCHEDULES.serialize(learning_rate_schedule)


def deserialize(
    config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> LearningRateSchedule:
    """Make a schedule from its config.

    Example:
        >>> deserialize(serialize(ExponentialDecay(0.1, 10, 0.9))).decay_steps
        10
    """
    return SCHEDULES.deserialize(config, custom_objects)


class Lookahead:
    """Reads a schedule's rate as a Python number, evaluating elementwise ones many steps at a time.

    One evaluation costs 5 to 30 µs whether for one step or for 256. A schedule whose attributes
    changed since is evaluated anew; one with tensors or objects as attributes, or with a `__call__`
    of the user's, is evaluated at every step.
    """

    size = 256

    def __init__(self, schedule: LearningRateSchedule) -> None:
        self.schedule = schedule
        self._first = 0
        self._rates: list[float] = []
        self._state: dict[str, Any] = {}

    def at(self, step: torch.Tensor, number: int) -> float | torch.Tensor:
        """Return the rate at `step`, a CPU tensor that holds `number`."""
        index = number - self._first
        if 0 <= index < len(self._rates) and vars(self.schedule) == self._state:
            return self._rates[index]
        self._rates = []
        if not self._may_look_ahead():
            return as_number(self.schedule(step))
        self._first = number
        self._state = {
            name: list(value) if isinstance(value, list) else value
            for name, value in vars(self.schedule).items()
        }
        self._rates = self.schedule(torch.arange(number, number + self.size, device="cpu")).tolist()
        return self._rates[0]

    def _may_look_ahead(self) -> bool:
        cls = type(self.schedule)
        return (
            cls in _BUILTIN
            and cls.elementwise
            and all(
                all(type(item) in _PLAIN for item in value)
                if isinstance(value, (list, tuple))
                else isinstance(value, _PLAIN)
                for value in vars(self.schedule).values()
            )
        )


def as_number(rate: Any) -> float | torch.Tensor:
    """Make a Python number of a learning rate, unless that would wait for a device."""
    if isinstance(rate, torch.Tensor) and rate.device.type != "cpu":
        return rate
    return float(rate.detach() if isinstance(rate, torch.Tensor) else rate)


def _checked_name(name: str) -> str:
    if not isinstance(name, str) or "/" in name:
        raise ValueError(
            "Argument `name` of a schedule must be a string and cannot contain character `/`."
            f" Received: name={name!r}"
        )
    return name


def _positive(name: str, value: Any) -> Any:
    if value <= 0:
        raise ValueError(f"Argument `{name}` must be > 0. Received: {name}={value}")
    return value


def _rate_dtype(rate: Any) -> torch.dtype:
    """The dtype of a schedule that starts from `rate`."""
    dtype = getattr(rate, "dtype", None)
    if dtype is None or not is_float(dtype):
        dtype = floatx()
    return to_torch(dtype)


def _as_step(step: Any, rate: Any) -> torch.Tensor:
    return _as_tensor(step).to(_rate_dtype(rate))


def _as_tensor(step: Any) -> torch.Tensor:
    return (step if isinstance(step, torch.Tensor) else torch.tensor(step, device="cpu")).detach()


_BUILTIN = frozenset(
    {ExponentialDecay, InverseTimeDecay, PiecewiseConstantDecay, PolynomialDecay, CosineDecay}
)
