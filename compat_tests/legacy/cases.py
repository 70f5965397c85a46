"""What a case is: a model that `tf_keras` makes, what it is fed, how it is trained and saved.

This module and those with the cases are imported beside TensorFlow and beside torchkeras, and so
import neither. A module of cases has a generator that takes `tf_keras` and yields them, and stands
in `SOURCES` of `writer.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["ALL_FORMATS", "BATCH", "Case", "Integers", "draw"]

BATCH = 4
ALL_FORMATS = ("h5", "keras", "tf", "json", "ckpt")  # slow: TensorFlow traces a graph for "tf"


@dataclasses.dataclass(frozen=True)
class Integers:
    """Whole numbers below `below`, of shape `shape` without the batch."""

    shape: tuple[int, ...]
    below: int


@dataclasses.dataclass(frozen=True)
class Case:
    """A model of Keras 2.

    Attributes:
        name: What it shows, unique.
        make: Takes `tf_keras` and returns the model.
        inputs: Shapes of the inputs without the batch, or `Integers`, or arrays as they are.
        compile: Takes `tf_keras` and returns `compile`'s arguments; `None` for a model that is not
            trained, since it has nothing to train or draws random numbers in training.
        targets: Takes the outputs and returns what to train towards; by default noise like them.
        formats: How it is saved: a key of `writer.FORMATS` each.
        custom: A function of a module that takes torchkeras and returns `custom_objects`.
    """

    name: str
    make: Callable[[Any], Any]
    inputs: tuple[Any, ...]
    compile: Callable[[Any], dict[str, Any]] | None = None
    targets: Callable[[list[np.ndarray], np.random.Generator], list[np.ndarray]] | None = None
    formats: tuple[str, ...] = ("h5", "keras")
    custom: Callable[[Any], dict[str, Any]] | None = None


def draw(spec: Any, random: np.random.Generator) -> np.ndarray:
    """Draw one input."""
    if isinstance(spec, np.ndarray):
        return spec
    if isinstance(spec, Integers):
        return random.integers(0, spec.below, (BATCH, *spec.shape)).astype("int32")
    return random.normal(0, 2, (BATCH, *spec)).astype("float32")
