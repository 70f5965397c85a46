"""`tf.random`: stateful and stateless sampling, and generators."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from ...config import default_device
from ...dtypes import to_torch
from ...graph.context import CONTEXT
from ...random import set_seed as set_all_seeds
from .arrays import ints
from .randomness import draw_seed, generator_on
from .tensors import StringTensor, as_tensor, tensor_or_symbol

__all__ = ["Generator", "RANDOM", "RANDOM_EXPERIMENTAL", "normal", "set_seed", "uniform"]

# Generators of calls with a `seed` of their own, which go on from call to call.
_OF_SEEDS: dict[int, torch.Generator] = {}


def _device() -> torch.device:
    return CONTEXT.device if CONTEXT.meta else default_device()


def _source(seed: Any) -> torch.Generator | None:
    """The generator for a stateful call; `None` is torch's."""
    device = _device()
    if device.type == "meta":
        return None
    if seed is None:
        return generator_on(device)
    if isinstance(seed, torch.Generator):
        return seed
    found = _OF_SEEDS.get(int(seed))
    if found is None or found.device != device:
        found = _OF_SEEDS[int(seed)] = torch.Generator(device).manual_seed(int(seed))
    return found


def _stateless(seed: Any) -> torch.Generator:
    """A generator for a seed of two numbers."""
    first, second = (int(part) for part in seed)
    mixed = np.random.SeedSequence([first % 2**64, second % 2**64]).generate_state(1, np.uint64)
    return torch.Generator(_device()).manual_seed(int(mixed[0] >> 1))


def set_seed(seed: int) -> None:
    """Restart what initial weights and layers draw from: torch's generator, ours and Python's.

    NumPy's is left alone: scripts make their data with it, under a seed of its own.
    """
    state = np.random.get_state()
    set_all_seeds(int(seed))
    np.random.set_state(state)
    _OF_SEEDS.clear()


def normal(
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = torch.float32,
    seed: Any = None,
    name: str | None = None,
) -> torch.Tensor:
    """Draw from a normal distribution; a `seed` starts a sequence of its own."""
    made = torch.randn(
        ints(shape), dtype=to_torch(dtype), device=_device(), generator=_source(seed)
    )
    return made * stddev + mean


def uniform(
    shape: Any,
    minval: Any = 0,
    maxval: Any = None,
    dtype: Any = torch.float32,
    seed: Any = None,
    name: str | None = None,
) -> torch.Tensor:
    """Draw floats between two limits, or integers from `minval` to below `maxval`."""
    dtype, options = to_torch(dtype), {"device": _device(), "generator": _source(seed)}
    if not dtype.is_floating_point:
        if maxval is None:
            raise ValueError(f"Must specify maxval for integer dtype {dtype}.")
        return torch.randint(int(minval), int(maxval), ints(shape), dtype=dtype, **options)
    made = torch.rand(ints(shape), dtype=dtype, **options)
    low, high = minval, 1 if maxval is None else maxval
    return made if isinstance(low, int) and (low, high) == (0, 1) else made * (high - low) + low


def truncated_normal(
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = torch.float32,
    seed: Any = None,
    name: str | None = None,
) -> torch.Tensor:
    """Draw from a normal distribution, within two standard deviations of its mean."""
    made = torch.empty(ints(shape), dtype=to_torch(dtype), device=_device())
    torch.nn.init.trunc_normal_(made, 0.0, 1.0, -2.0, 2.0, generator=_source(seed))
    return made * stddev + mean


def categorical(
    logits: Any,
    num_samples: int,
    dtype: Any = None,
    seed: Any = None,
    name: str | None = None,
) -> torch.Tensor:
    """Draw classes `(batch, num_samples)` by unnormalized log-probabilities `(batch, classes)`."""
    odds = torch.softmax(tensor_or_symbol(logits), dim=-1)
    drawn = torch.multinomial(odds, int(num_samples), replacement=True, generator=_source(seed))
    return drawn.to(to_torch(dtype or torch.int64))


def shuffle(value: Any, seed: Any = None, name: str | None = None) -> Any:
    """Reorder the rows of a tensor."""
    x = as_tensor(value)
    if isinstance(x, StringTensor):
        return x[torch.randperm(len(x), generator=_source(seed), device=_device())]
    return x[torch.randperm(len(x), generator=_source(seed), device=x.device)]


def gamma(
    shape: Any,
    alpha: Any,
    beta: Any = None,
    dtype: Any = torch.float32,
    seed: Any = None,
    name: str | None = None,
) -> torch.Tensor:
    """Draw from gamma distributions: `shape` samples for each `alpha` and `beta`."""
    alpha = as_tensor(alpha, dtype)
    rate = torch.ones_like(alpha) if beta is None else as_tensor(beta, dtype)
    alpha, rate = torch.broadcast_tensors(alpha, rate)
    size = (*ints(shape), *alpha.shape)
    return torch._standard_gamma(alpha.expand(size).contiguous(), generator=_source(seed)) / rate


def poisson(
    shape: Any, lam: Any, dtype: Any = torch.float32, seed: Any = None, name: str | None = None
) -> torch.Tensor:
    """Draw from Poisson distributions: `shape` samples for each `lam`."""
    lam = as_tensor(lam, torch.float32)
    drawn = torch.poisson(lam.expand(*ints(shape), *lam.shape), generator=_source(seed))
    return drawn.to(to_torch(dtype))


def _stateless_of(function: Any) -> Any:
    def draw(shape: Any, seed: Any, *args: Any, alg: Any = None, **kwargs: Any) -> Any:
        return function(shape, *args, seed=_stateless(seed), **kwargs)

    draw.__name__ = draw.__qualname__ = f"stateless_{function.__name__}"
    draw.__doc__ = f"As `{function.__name__}`; a seed of two numbers decides alone."
    return draw


def _stateless_categorical(
    logits: Any, num_samples: int, seed: Any, dtype: Any = torch.int64, name: str | None = None
) -> torch.Tensor:
    return categorical(logits, num_samples, dtype, _stateless(seed))


def _stateless_shuffle(value: Any, seed: Any, alg: Any = None, name: str | None = None) -> Any:
    return shuffle(value, _stateless(seed))


def _split(seed: Any, num: int = 2, alg: Any = None) -> torch.Tensor:
    return uniform([int(num), 2], -(2**31), 2**31 - 1, torch.int32, _stateless(seed))


def _fold_in(seed: Any, data: Any, alg: Any = None) -> torch.Tensor:
    first, second = (int(part) for part in seed)
    return _split([first ^ (int(data) * 0x9E3779B1 % 2**31), second], 1)[0]


class Generator:
    """A source of random numbers with a state of its own.

    Args:
        seed: Where it starts; by default torch's global generator decides.

    Example:
        >>> a, b = Generator.from_seed(1), Generator.from_seed(1)
        >>> bool((a.normal([3]) == b.normal([3])).all())
        True
    """

    def __init__(self, seed: int | None = None, **options: Any) -> None:
        self._generator = torch.Generator(_device())
        self.reset_from_seed(draw_seed() if seed is None else seed)

    @classmethod
    def from_seed(cls, seed: int, alg: Any = None) -> Generator:
        """A generator that starts at a seed."""
        return cls(seed)

    @classmethod
    def from_non_deterministic_state(cls, alg: Any = None) -> Generator:
        """A generator that starts anywhere."""
        made = cls(0)
        made._generator.seed()
        return made

    def reset_from_seed(self, seed: int) -> None:
        """Start at a seed."""
        self._generator.manual_seed(int(seed))

    def normal(
        self,
        shape: Any,
        mean: Any = 0.0,
        stddev: Any = 1.0,
        dtype: Any = torch.float32,
        name: str | None = None,
    ) -> torch.Tensor:
        """As `tf.random.normal`."""
        return normal(shape, mean, stddev, dtype, self._generator)

    def uniform(
        self,
        shape: Any,
        minval: Any = 0,
        maxval: Any = None,
        dtype: Any = torch.float32,
        name: str | None = None,
    ) -> torch.Tensor:
        """As `tf.random.uniform`."""
        return uniform(shape, minval, maxval, dtype, self._generator)

    def truncated_normal(
        self,
        shape: Any,
        mean: Any = 0.0,
        stddev: Any = 1.0,
        dtype: Any = torch.float32,
        name: str | None = None,
    ) -> torch.Tensor:
        """As `tf.random.truncated_normal`."""
        return truncated_normal(shape, mean, stddev, dtype, self._generator)

    def make_seeds(self, count: int = 1) -> torch.Tensor:
        """Seeds `(2, count)` for stateless functions."""
        return self.uniform([2, count], -(2**31), 2**31 - 1, torch.int32)

    def uniform_full_int(
        self, shape: Any, dtype: Any = torch.int64, name: str = ""
    ) -> torch.Tensor:
        """Integers of the whole range of a dtype."""
        limits = torch.iinfo(to_torch(dtype))
        return self.uniform(shape, limits.min, limits.max, dtype)

    def split(self, count: int = 1) -> list[Generator]:
        """Other generators, which start where this one decides."""
        return [Generator(int(s)) for s in self.uniform([count], 0, 2**62, torch.int64)]


_GLOBAL: list[Generator] = []


def _global_generator() -> Generator:
    if not _GLOBAL:
        _GLOBAL.append(Generator())
    return _GLOBAL[0]


def _set_global_generator(generator: Generator) -> None:
    _GLOBAL[:] = [generator]


def _sampler(draw: Any, probability: Any) -> Any:
    """A function that draws classes as negative examples.

    Args:
        draw: `draw(count, range_max, seed)` gives classes.
        probability: `probability(classes, range_max)` says how often it gives each.
    """

    def sample(
        true_classes: Any,
        num_true: int,
        num_sampled: int,
        unique: bool,
        range_max: int,
        seed: Any = None,
        name: str | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        count, most = int(num_sampled), int(range_max)
        tries = count
        if unique:
            if count > most:
                raise ValueError(f"There are no {count} different classes below {most}.")
            found: dict[int, None] = {}
            tries = 0
            while len(found) < count:
                for number in draw(count, most, seed).tolist():
                    found[number] = None
                    tries += 1
                    if len(found) == count:
                        break
            drawn = torch.tensor(list(found), device=_device())
        else:
            drawn = draw(count, most, seed)

        def expected(classes: torch.Tensor) -> torch.Tensor:
            odds = probability(classes.double(), most)
            among = -torch.expm1(tries * torch.log1p(-odds)) if unique else tries * odds
            return among.float()

        return drawn, expected(as_tensor(true_classes)), expected(drawn)

    return sample


def _log_uniform(count: int, range_max: int, seed: Any) -> torch.Tensor:
    drawn = torch.rand(count, dtype=torch.float64, device=_device(), generator=_source(seed))
    classes = (torch.exp(drawn * math.log(range_max + 1)) - 1).long()
    return classes.clamp_(max=range_max - 1)


def _log_uniform_odds(classes: torch.Tensor, range_max: int) -> torch.Tensor:
    return torch.log1p(1 / (classes + 1)) / math.log(range_max + 1)


RANDOM: dict[str, Any] = {
    "Generator": Generator,
    "categorical": categorical,
    "gamma": gamma,
    "get_global_generator": _global_generator,
    "log_uniform_candidate_sampler": _sampler(_log_uniform, _log_uniform_odds),
    "normal": normal,
    "poisson": poisson,
    "set_global_generator": _set_global_generator,
    "set_seed": set_seed,
    "shuffle": shuffle,
    "split": _split,
    "fold_in": _fold_in,
    "stateless_categorical": _stateless_categorical,
    "stateless_gamma": _stateless_of(gamma),
    "stateless_normal": _stateless_of(normal),
    "stateless_poisson": _stateless_of(poisson),
    "stateless_truncated_normal": _stateless_of(truncated_normal),
    "stateless_uniform": _stateless_of(uniform),
    "truncated_normal": truncated_normal,
    "uniform": uniform,
    "uniform_candidate_sampler": _sampler(
        lambda count, range_max, seed: uniform([count], 0, range_max, torch.int64, seed),
        lambda classes, range_max: torch.full_like(classes, 1 / range_max),
    ),
}
RANDOM_EXPERIMENTAL: dict[str, Any] = {
    "Generator": Generator,
    "stateless_split": _split,
    "stateless_fold_in": _fold_in,
    "stateless_shuffle": _stateless_shuffle,
    "get_global_generator": _global_generator,
    "set_global_generator": _set_global_generator,
}
