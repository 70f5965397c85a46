"""Random numbers: seeds, the global generator, and sampling functions.

A seed is an int (the same numbers at every call), a `SeedGenerator` (new numbers at every call, the
same in every run) or `None` (the global generator, which `set_seed` restarts). A seed generator
holds two 32-bit integers, a base and a counter; their sum seeds a `torch.Generator`, so all numbers
equal those of Keras on torch bit for bit.

The counter advances both on the host, where the next draw is computed, and in the `state` variable
on the device, which files store: no draw ever waits for the device. Assigning `state` is noticed by
its version, and then it is read once. Under `torch.compile` draws from a `SeedGenerator` or from
`None` use torch's own generator, since a `torch.Generator` object cannot be traced.
Source: `keras.random` (functions and the seeds they draw).
"""

from __future__ import annotations

import base64
import functools
import random as python_random
import sys
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from .config import at_clear_session, default_device
from .dtypes import as_tensor, is_float, is_integer, to_torch
from .naming import auto_name, explain, name_scope
from .variables import Variable

__all__ = [
    "SeedGenerator",
    "beta",
    "binomial",
    "categorical",
    "draw_seed",
    "dropout",
    "gamma",
    "generator_for",
    "get_seed",
    "global_seed_generator",
    "make_default_seed",
    "normal",
    "randint",
    "random_state",
    "set_random_state",
    "set_seed",
    "shuffle",
    "truncated_normal",
    "uniform",
]

Shape = Sequence[int]


class _Global(threading.local):
    """A thread's generator for `seed=None`, made at its first use; the last set seed; and, by
    device, the torch generators that each draw seeds anew."""

    generator: SeedGenerator | None = None
    seed: int | None = None
    # Added to seeds while a process computes on its rows of a batch; see `distribution`.
    stream: int = 0

    def __init__(self) -> None:
        self.torch_generators: dict[torch.device, torch.Generator] = {}


_GLOBAL = _Global()


def _int32(x: int) -> int:
    """`x` modulo 2**32, as the signed integer that the state variable holds."""
    return ((x & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000


class SeedGenerator:
    """A source of seeds: gives another one at each call, and the same sequence in each run.

    Args:
        seed: Where the sequence starts; drawn at random if `None`.
        name: Default: `seed_generator`, `seed_generator_1`, …

    Raises:
        ValueError: `seed` is not an integer.

    Example:
        >>> seeds = SeedGenerator(seed=3)
        >>> seeds.next().tolist(), seeds.next().tolist()
        ([3, 0], [3, 1])
        >>> bool((normal((2,), seed=seeds) == normal((2,), seed=seeds)).any())
        False
    """

    def __init__(self, seed: int | None = None, name: str | None = None, **kwargs: Any) -> None:
        kwargs.pop("backend", None)
        if kwargs:
            raise ValueError(f"SeedGenerator: Unrecognized keyword arguments: {sorted(kwargs)}.")
        self.name = auto_name(type(self).__name__) if name is None else name
        self._initial_seed = seed
        if seed is None:
            seed = make_default_seed()
        if not isinstance(seed, int):
            raise ValueError(
                f"SeedGenerator '{self.name}': Argument `seed` must be an integer."
                f" Received: {seed!r}"
            )
        self._base, self._count = _int32(seed), 0
        # A tensor made in inference mode would have no version to notice assignments by.
        with torch.inference_mode(False), name_scope(self.name):
            self.state = Variable(
                functools.partial(_first_state, self._base),
                shape=(2,),
                dtype="int32",
                trainable=False,
                name="seed_generator_state",
            )
        self._noted = (self.state, self.state._version)

    def next(self, ordered: bool = True) -> torch.Tensor:
        """The current seed, as an int32 tensor `(2,)`; then go on to the next.

        Args:
            ordered: Count up; otherwise jump about, so that seeds of neighbours differ much.
        """
        self._synchronize()
        seed = self.state.detach().clone()
        self._advance(ordered)
        return seed

    def draw(self, ordered: bool = True) -> int:
        """The current seed as one 32-bit number, from the host's copy; then go on to the next."""
        self._synchronize()
        seed = (self._base + self._count + _GLOBAL.stream) & 0xFFFFFFFF
        self._advance(ordered)
        return seed

    def _synchronize(self) -> None:
        state, version = self._noted
        if (self.state is not state or self.state._version != version) and not self.state.is_meta:
            self._base, self._count = self.state.tolist()

    def _advance(self, ordered: bool) -> None:
        state = self.state  # it needs no gradient, hence no `no_grad`
        if ordered:
            self._count = _int32(self._count + 1)
            state.add_(_increment(state.device))
        else:
            self._base = _int32(_int32(self._base + 1) * 5387) % 933199
            self._count = _int32(_int32(self._count + 1) * 5387) % 933199
            state.add_(1).mul_(5387).remainder_(933199)
        self._noted = (state, state._version)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"seed": self._initial_seed, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SeedGenerator:
        """Make one from what `get_config` returned."""
        return cls(**config)


@functools.cache
def _increment(device: torch.device) -> torch.Tensor:
    """What goes from one ordered state to the next."""
    with torch.inference_mode(False):
        step = torch.zeros(2, dtype=torch.int32, device=device)
        step[1].fill_(1)
    return step


def _first_state(base: int, shape: Shape, dtype: Any = None) -> torch.Tensor:
    return torch.tensor([base, 0], dtype=torch.int32)


def make_default_seed() -> int:
    """A seed from Python's own generator, for things that were not given one."""
    return python_random.randint(1, int(1e9))


def global_seed_generator() -> SeedGenerator:
    """This thread's generator behind `seed=None`."""
    if _GLOBAL.generator is None:
        with torch.device("cpu"):
            _GLOBAL.generator = SeedGenerator()
    return _GLOBAL.generator


def set_seed(seed: int) -> None:
    """Restart all random number generators: Python's, NumPy's, torch's and the global one here.

    Where a real TensorFlow has been imported, its global seed is set too, since `tf.data` shuffles
    by it.

    Args:
        seed: An integer from 0 to 2**32 - 1.

    Raises:
        ValueError: Not an integer.

    Example:
        >>> set_seed(0)
        >>> a = normal((2,))
        >>> set_seed(0)
        >>> bool((a == normal((2,))).all())
        True
    """
    if not isinstance(seed, int):
        raise ValueError(f"`seed` must be an integer. Received: {seed!r} (a {type(seed).__name__})")
    python_random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None and tensorflow.__name__ == "tensorflow":  # not the drop-in's
        tensorflow.random.set_seed(seed)
    # The next generator takes its seed from Python's, when it is first needed.
    _GLOBAL.generator, _GLOBAL.seed = None, seed


def set_stream(number: int) -> None:
    """Let seed generators on this thread draw other numbers, though their states stay the same.

    Args:
        number: 0 for the usual numbers; each other one stands for others.
    """
    _GLOBAL.stream = number * 0x9E3779B1 & 0xFFFFFFFF


def get_seed() -> int | None:
    """The seed last given to `set_seed` on this thread, or `None`."""
    return _GLOBAL.seed


def random_state(*generators: torch.Generator) -> dict[str, Any]:
    """The states of all random number generators, as JSON can hold them.

    Args:
        generators: Generators of torch to include beside the global ones of torch, NumPy, Python
            and this module.

    Example:
        >>> state = random_state()
        >>> a = (torch.rand(1), np.random.random(), normal((1,)))
        >>> set_random_state(state)
        >>> a == (torch.rand(1), np.random.random(), normal((1,)))
        True
    """
    name, keys, *position = np.random.get_state()
    version, words, gauss = python_random.getstate()
    own = _GLOBAL.generator
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return {
        "torch": _to_text(torch.get_rng_state()),
        "cuda": [_to_text(state) for state in cuda],
        "numpy": [name, _to_text(keys), *position],
        "python": [version, _to_text(np.array(words, dtype=np.uint32)), gauss],
        "global": own and [own.name, own.state.tolist()],
        "others": [_to_text(generator.get_state()) for generator in generators],
    }


def set_random_state(state: dict[str, Any], *generators: torch.Generator) -> None:
    """Bring all random number generators to what `random_state` returned.

    Args:
        state: What it returned, or the same read from JSON.
        generators: Those it was given.
    """
    torch.set_rng_state(_from_text(state["torch"]))
    if state["cuda"] and torch.cuda.device_count() >= len(state["cuda"]):
        torch.cuda.set_rng_state_all([_from_text(text) for text in state["cuda"]])
    name, keys, *position = state["numpy"]
    np.random.set_state((name, _from_text(keys).numpy().view(np.uint32), *position))
    version, words, gauss = state["python"]
    python_random.setstate((version, (*_from_text(words).numpy().view(np.uint32).tolist(),), gauss))
    _GLOBAL.generator = None  # the next one takes its seed from Python's
    if state["global"]:
        name, numbers = state["global"]
        with torch.device("cpu"):
            _GLOBAL.generator = SeedGenerator(0, name)
        _GLOBAL.generator.state.assign(numbers)
    for generator, text in zip(generators, state["others"], strict=True):
        generator.set_state(_from_text(text))


def _to_text(state: Any) -> str:
    return base64.b64encode(np.asarray(state).tobytes()).decode()


def _from_text(text: str) -> torch.Tensor:
    return torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.uint8)


@at_clear_session
def _forget() -> None:
    _GLOBAL.generator = _GLOBAL.seed = None


def _seed_value(seed: int | SeedGenerator | None) -> int:
    """The next 32-bit number for a torch generator."""
    if isinstance(seed, SeedGenerator):
        return seed.draw()
    if isinstance(seed, int):
        return seed & 0xFFFFFFFF
    if seed is None:
        return global_seed_generator().draw(ordered=False)
    raise _bad_seed(seed)


def _bad_seed(seed: Any) -> ValueError:
    return ValueError(
        "Argument `seed` must be either an integer, a SeedGenerator or None. "
        f"Received: {seed!r} (a {type(seed).__name__})"
    )


def draw_seed(seed: int | SeedGenerator | None) -> torch.Tensor:
    """The next seed of any kind of seed, as an int32 tensor `(2,)`.

    Raises:
        ValueError: `seed` is neither an integer nor a `SeedGenerator` nor `None`.

    Example:
        >>> draw_seed(5).tolist()
        [5, 0]
    """
    if isinstance(seed, SeedGenerator):
        return seed.next()
    if isinstance(seed, int):
        return torch.tensor([_int32(seed), 0], dtype=torch.int32, device=default_device())
    if seed is None:
        return global_seed_generator().next(ordered=False)
    raise _bad_seed(seed)


def generator_for(
    seed: int | SeedGenerator | None, device: torch.device | str
) -> torch.Generator | None:
    """A freshly seeded torch generator for one draw, to be used at once: the next call reseeds it.

    Args:
        seed: An integer, a `SeedGenerator` or `None`.
        device: Where the numbers are made.

    Returns:
        `None` on `meta`, where nothing is drawn, and under `torch.compile`.

    Raises:
        ValueError: `seed` is something else.
    """
    device = torch.device(device)
    if device.type == "meta" or (torch.compiler.is_compiling() and not isinstance(seed, int)):
        return None
    generator = _GLOBAL.torch_generators.get(device)
    if generator is None:
        generator = _GLOBAL.torch_generators[device] = torch.Generator(device=device)
    return generator.manual_seed(_seed_value(seed))


# Sampling ----------------------------------------------------------------------------------------


def normal(
    shape: Shape,
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: Any = None,
    seed: int | SeedGenerator | None = None,
) -> torch.Tensor:
    """Normally distributed numbers.

    Args:
        shape: Of the result.
        mean: Of the distribution.
        stddev: Its standard deviation.
        dtype: A float type. Default: `floatx()`.
        seed: An integer, a `SeedGenerator` or `None`.

    Example:
        >>> normal((2, 3), seed=1).shape
        torch.Size([2, 3])
    """
    device = default_device()
    return torch.normal(
        mean,
        stddev,
        size=tuple(shape),
        generator=generator_for(seed, device),
        dtype=to_torch(dtype),
        device=device,
    )


def uniform(
    shape: Shape,
    minval: float = 0.0,
    maxval: float = 1.0,
    dtype: Any = None,
    seed: int | SeedGenerator | None = None,
) -> torch.Tensor:
    """Numbers spread evenly over `[minval, maxval)`.

    Args:
        shape: Of the result.
        minval: Lower bound, included.
        maxval: Upper bound, excluded.
        dtype: A float type. Default: `floatx()`. For integers use `randint`.
        seed: An integer, a `SeedGenerator` or `None`.

    Raises:
        ValueError: `dtype` is not a float type.

    Example:
        >>> x = uniform((100,), minval=2.0, maxval=3.0, seed=1)
        >>> bool(((x >= 2) & (x < 3)).all())
        True
    """
    if dtype and not is_float(dtype):
        raise ValueError(
            "`keras.random.uniform` requires a floating point `dtype`; for integers call"
            f" `randint`. Received: {dtype=}"
        )
    device = default_device()
    x = torch.rand(
        tuple(shape) or (1,),
        generator=generator_for(seed, device),
        dtype=to_torch(dtype),
        device=device,
    )
    plain = isinstance(maxval, (int, float)) and isinstance(minval, (int, float))
    x = x.mul_(maxval - minval).add_(minval) if plain else (maxval - minval) * x + minval
    return x if len(shape) else x[0]


def randint(
    shape: Shape,
    minval: int,
    maxval: int,
    dtype: Any = "int32",
    seed: int | SeedGenerator | None = None,
) -> torch.Tensor:
    """Integers spread evenly over `minval`, …, `maxval - 1`.

    Args:
        shape: Of the result.
        minval: Lower bound, included.
        maxval: Upper bound, excluded.
        dtype: An integer type.
        seed: An integer, a `SeedGenerator` or `None`.

    Raises:
        ValueError: `dtype` is not an integer type.

    Example:
        >>> bool((randint((50,), 0, 3, seed=1) < 3).all())
        True
    """
    if dtype and not is_integer(dtype):
        raise ValueError(
            "`keras.random.randint` requires an integer `dtype`; for floats call `uniform`."
            f" Received: {dtype=}"
        )
    device = default_device()
    return torch.randint(
        minval,
        maxval,
        tuple(shape),
        generator=generator_for(seed, device),
        dtype=to_torch(dtype),
        device=device,
    )


def truncated_normal(
    shape: Shape,
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: Any = None,
    seed: int | SeedGenerator | None = None,
) -> torch.Tensor:
    """Normally distributed numbers, redrawn when more than two deviations from the mean.

    Args:
        shape: Of the result.
        mean: Of the distribution before truncation.
        stddev: Its standard deviation before truncation.
        dtype: A float type. Default: `floatx()`.
        seed: An integer, a `SeedGenerator` or `None`.

    Source: Keras's torch backend, which draws four candidates for each number and takes the first
    that is within bounds (the first of all in the one case in 232,000 where none is).

    Example:
        >>> float(truncated_normal((1000,), seed=1).abs().max()) < 2
        True
    """
    candidates = normal((*shape, 4), dtype=dtype, seed=seed)
    first = (candidates.abs() < 2).max(-1, keepdim=True).indices
    return candidates.gather(-1, first).squeeze(-1).mul_(stddev).add_(mean)


def categorical(
    logits: Any,
    num_samples: int,
    dtype: Any = "int32",
    seed: int | SeedGenerator | None = None,
) -> torch.Tensor:
    """Class numbers, drawn with replacement in proportion to `exp(logits)`.

    Args:
        logits: `(batch, classes)`, unnormalized log-probabilities.
        num_samples: How many to draw for each row.
        dtype: An integer type.
        seed: An integer, a `SeedGenerator` or `None`.

    Returns:
        `(batch, num_samples)`.

    Raises:
        ValueError: `logits` is not of rank 2.

    Example:
        >>> categorical([[0.0, -1e9], [-1e9, 0.0]], 3, seed=1).tolist()
        [[0, 0, 0], [1, 1, 1]]
    """
    logits = as_tensor(logits)
    if logits.ndim != 2:
        raise ValueError(
            explain(
                "`logits` must have two axes, (batch, classes).",
                given=tuple(logits.shape),
                fix="reshape it to rank 2.",
            )
        )
    return torch.multinomial(
        torch.softmax(logits, dim=-1),
        num_samples,
        replacement=True,
        generator=generator_for(seed, logits.device),
    ).to(to_torch(dtype))


def dropout(
    inputs: Any,
    rate: float,
    noise_shape: Sequence[int | None] | None = None,
    seed: int | SeedGenerator | None = None,
) -> torch.Tensor:
    """Set a random part of the numbers to zero and divide the others by `1 - rate`.

    Args:
        inputs: Numbers.
        rate: The share to set to zero, in [0, 1].
        noise_shape: Shape of the mask, broadcast to that of `inputs`; `None` sizes are those of
            `inputs`.
        seed: An integer, a `SeedGenerator` or `None`. With `None`, or a generator that was made
            without a seed, and no `noise_shape`, torch's own generator is used: it is faster.

    Example:
        >>> sorted({float(x) for x in dropout(torch.ones(100), 0.5, seed=1)})
        [0.0, 2.0]
    """
    inputs = as_tensor(inputs)
    if rate == 0.0:
        return inputs
    if rate == 1.0:
        return torch.zeros_like(inputs)
    unseeded = seed is None or (isinstance(seed, SeedGenerator) and seed._initial_seed is None)
    if unseeded and noise_shape is None:
        return F.dropout(inputs, p=rate)
    keep = 1.0 - rate
    if noise_shape is None:
        shape: Shape = inputs.shape
    else:
        if len(noise_shape) != inputs.dim():
            raise ValueError(
                f"`noise_shape` must have as many axes as the inputs. Received: {noise_shape},"
                f" inputs of shape {tuple(inputs.shape)}"
            )
        shape = [
            size if given is None else given
            for given, size in zip(noise_shape, inputs.shape, strict=True)
        ]
    # `bernoulli_(p)` would save the filled tensor, but it draws other numbers than Keras.
    mask = torch.full(shape, keep, device=inputs.device, dtype=torch.float32)
    mask = torch.bernoulli(mask, generator=generator_for(seed, inputs.device))
    # By infinity where dropped: on a CPU several times as fast as `where`, and equal to it.
    divisor = keep / mask.to(torch.promote_types(inputs.dtype, torch.float32))
    outputs = inputs / divisor
    return outputs.to(inputs.dtype) if inputs.is_floating_point() else outputs


def shuffle(x: Any, axis: int = 0, seed: int | SeedGenerator | None = None) -> torch.Tensor:
    """Permute the slices of `x` along `axis` at random.

    Args:
        x: Anything of at least `axis + 1` axes.
        axis: The axis to permute; slices before it are permuted independently.
        seed: An integer, a `SeedGenerator` or `None`.

    Example:
        >>> sorted(shuffle([3, 1, 2], seed=1).tolist())
        [1, 2, 3]
    """
    x = as_tensor(x)
    lead = x.shape[: axis + 1]
    order = torch.rand(
        lead, generator=generator_for(seed, x.device), device=x.device, dtype=torch.float32
    ).argsort(axis)
    order = order.reshape(*lead, *[1] * (x.ndim - len(lead))).expand(x.shape)
    return x.gather(axis, order)


def gamma(
    shape: Shape,
    alpha: Any,
    dtype: Any = None,
    seed: int | SeedGenerator | None = None,
) -> torch.Tensor:
    """Gamma-distributed numbers with rate 1.

    Args:
        shape: Of the result.
        alpha: Positive shape parameter of the distribution, broadcast to `shape`.
        dtype: A float type. Default: `floatx()`.
        seed: An integer, a `SeedGenerator` or `None`.

    Raises:
        ValueError: An `alpha` on the host is not positive.

    Example:
        >>> bool((gamma((5,), 2.0, seed=1) > 0).all())
        True
    """
    alpha = _parameter("alpha", alpha, shape)
    x = torch._standard_gamma(alpha, generator=generator_for(seed, alpha.device))
    return x.clamp_(min=torch.finfo(x.dtype).tiny).to(to_torch(dtype))


def binomial(
    shape: Shape,
    counts: Any,
    probabilities: Any,
    dtype: Any = None,
    seed: int | SeedGenerator | None = None,
) -> torch.Tensor:
    """Numbers of successes in `counts` independent trials.

    Args:
        shape: Of the result.
        counts: How many trials, broadcast to `shape`.
        probabilities: Of success in one trial, broadcast to `shape`.
        dtype: Of the result. Default: `floatx()`.
        seed: An integer, a `SeedGenerator` or `None`.

    Raises:
        ValueError: A probability on the host is outside [0, 1], or a count negative.

    Example:
        >>> binomial((3,), 4, 1.0, seed=1).tolist()
        [4.0, 4.0, 4.0]
    """
    probabilities = _parameter("probabilities", probabilities, shape, low=0.0, high=1.0)
    counts = _parameter("counts", counts, shape, low=0.0).to(probabilities.dtype)
    if probabilities.is_meta:  # torch has no such kernel
        return torch.empty_like(probabilities, dtype=to_torch(dtype))
    generator = generator_for(seed, probabilities.device)
    return torch.binomial(counts, probabilities, generator=generator).to(to_torch(dtype))


def beta(
    shape: Shape,
    alpha: Any,
    beta: Any,
    dtype: Any = None,
    seed: int | SeedGenerator | None = None,
) -> torch.Tensor:
    """Beta-distributed numbers, in (0, 1).

    Args:
        shape: Of the result.
        alpha: Positive first parameter, broadcast to `shape`.
        beta: Positive second parameter, broadcast to `shape`.
        dtype: A float type. Default: `floatx()`.
        seed: An integer, a `SeedGenerator` or `None`.

    Raises:
        ValueError: A parameter on the host is not positive.

    Example:
        >>> x = beta((5,), 2.0, 3.0, seed=1)
        >>> bool(((x > 0) & (x < 1)).all())
        True
    """
    concentrations = torch.stack(
        [_parameter("alpha", alpha, shape), _parameter("beta", beta, shape)], -1
    )
    if concentrations.is_meta:  # torch has no such kernel
        return torch.empty(tuple(shape), dtype=to_torch(dtype), device="meta")
    generator = generator_for(seed, concentrations.device)
    return torch._sample_dirichlet(concentrations, generator=generator)[..., 0].to(to_torch(dtype))


def _parameter(
    name: str, value: Any, shape: Shape, low: float | None = None, high: float = float("inf")
) -> torch.Tensor:
    """Check a distribution's parameter and broadcast it; without `low` it must be positive.

    Values on another device are not checked: that would wait for it. Nor are those in a graph.
    """
    x = as_tensor(value)
    if not x.is_floating_point():
        x = x.to(to_torch(None))
    if x.device.type == "cpu" and not torch.compiler.is_compiling():
        valid = x > 0 if low is None else (x >= low) & (x <= high)
        if not valid.all():
            expected = "positive" if low is None else f"in [{low}, {high}]"
            raise ValueError(f"`{name}` must be {expected}. Received: {value!r}")
    return x.expand(tuple(shape))
