"""Where the stand-in's random numbers come from.

By default from torch's global generator, which `tf.random.set_seed` restarts. A function within a
data pipeline draws by the number of its call, so that threads and prefetching change nothing.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import numpy as np
import torch

__all__ = ["draw_seed", "drawing_for", "generator_on", "use_seeds"]


class _Source(threading.local):
    """The seed by which calls on this thread draw: that of a pipeline, and the call's number."""

    seed: tuple[int, int] | None = None
    generator: torch.Generator | None = None
    seeds: np.random.Generator | None = None


_SOURCE = _Source()


@contextlib.contextmanager
def drawing_for(seed: int | None, number: int) -> Iterator[None]:
    """Let what is drawn inside depend on a seed and a number alone; `None` changes nothing."""
    if seed is None:
        yield
        return
    former = _SOURCE.seed, _SOURCE.generator
    _SOURCE.seed, _SOURCE.generator = (seed, number), None
    try:
        yield
    finally:
        _SOURCE.seed, _SOURCE.generator = former


def generator_on(device: torch.device) -> torch.Generator | None:
    """The generator to draw from now; `None` is torch's global one."""
    if _SOURCE.seed is None:
        return None
    if _SOURCE.generator is None:
        seed, number = _SOURCE.seed
        _SOURCE.generator = torch.Generator(device).manual_seed((seed * 1_000_003 + number) % 2**63)
    return _SOURCE.generator


def use_seeds(seed: int) -> None:
    """Let this thread draw its seeds by a seed, apart from torch's generator."""
    _SOURCE.seeds = np.random.default_rng(seed)


def draw_seed() -> int:
    """Draw a seed from torch's global generator on the CPU, or from this thread's own."""
    if _SOURCE.seeds is not None:
        return int(_SOURCE.seeds.integers(2**62))
    return int(torch.empty((), dtype=torch.int64, device="cpu").random_().item())
