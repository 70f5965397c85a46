"""What `tf.keras.backend` had for graphs and the learning phase, beside `legacy/backend.py`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

import torchkeras.ops as ops  # `from ...` would import the package's root as well

from ...config import floatx
from ...dtypes import to_numpy
from ...graph.context import CONTEXT
from ...graph.function import Function
from ...graph.keras_tensor import KerasTensor
from ...layers import Input
from ...legacy.backend import batch_normalization, random_bernoulli
from ...naming import explain
from ...naming import reset_uids as _reset_uids
from ...tree import flatten, map_structure

__all__ = [
    "function",
    "in_test_phase",
    "in_train_phase",
    "learning_phase",
    "learning_phase_scope",
    "manual_variable_initialization",
    "normalize_batch_in_training",
    "placeholder",
    "print_tensor",
    "reset_uids",
    "set_learning_phase",
]


class _Phase(int):
    """The learning phase: 0 or 1, and an input of `function` that stands for it."""


def learning_phase() -> int:
    """Return 1 while the enclosing call trains, else 0."""
    return _Phase(bool(CONTEXT.training))


def set_learning_phase(value: int) -> None:
    """Say whether calls on this thread train that do not say so themselves; loops always say.

    Raises:
        ValueError: It is neither 0 nor 1.
    """
    if value not in (0, 1):
        raise ValueError(
            explain("K.set_learning_phase: unknown phase.", given=value, expected="0 or 1")
        )
    CONTEXT.training = True if value else None


@contextlib.contextmanager
def learning_phase_scope(value: int) -> Iterator[None]:
    """Do what `set_learning_phase` does, within a `with` block."""
    former = CONTEXT.training
    set_learning_phase(value)
    try:
        yield
    finally:
        CONTEXT.training = former


def in_train_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """Return `x` in training and `alt` otherwise, or what they return if they are functions."""
    chosen = x if (learning_phase() if training is None else training) else alt
    return chosen() if callable(chosen) and not isinstance(chosen, torch.Tensor) else chosen


def in_test_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """Return `alt` in training and `x` otherwise, or what they return if they are functions."""
    return in_train_phase(alt, x, training)


def placeholder(
    shape: Sequence[int | None] | None = None,
    ndim: int | None = None,
    dtype: Any = None,
    sparse: bool = False,
    name: str | None = None,
    ragged: bool = False,
) -> KerasTensor:
    """Make a symbolic input; `shape` has the batch."""
    if ragged:
        raise ValueError("K.placeholder: there are no ragged tensors. Fix: pad, or use masks.")
    shape = (None,) * (ndim or 0) if shape is None else tuple(shape)
    return Input(batch_shape=shape, dtype=dtype or floatx(), sparse=sparse, name=name)


def function(
    inputs: Any, outputs: Any, updates: Any = None, name: str | None = None, **kwargs: Any
) -> Callable[[Any], Any]:
    """Make a function from arrays to arrays of symbolic tensors.

    Args:
        inputs: A symbolic tensor or several. `K.learning_phase()` among them makes its value in a
            call decide whether layers train.
        outputs: What is computed, likewise.
        updates: Not available: there are no graphs to update variables in.
        name: Ignored, as are other options of sessions.

    Returns: A function of the list of the inputs' values.
    """
    if updates:
        raise ValueError("K.function: `updates` are for graphs. Fix: assign in a training step.")
    given = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    symbolic = [x for x in given if not isinstance(x, _Phase)]
    run: Any = _runner(symbolic, outputs)

    def call(values: Any) -> Any:
        values = list(values) if isinstance(values, (list, tuple)) else [values]
        if len(values) != len(given):
            raise ValueError(
                explain(
                    "K.function: it was called with another number of values.",
                    given=len(values),
                    expected=len(given),
                )
            )
        training = None
        arrays = []
        for spec, value in zip(given, values, strict=True):
            if isinstance(spec, _Phase):
                training = bool(value)
            else:
                arrays.append(ops.convert_to_tensor(value, spec.dtype))
        former = CONTEXT.training
        CONTEXT.training = former if training is None else training
        try:
            with torch.no_grad():
                results = run(arrays)
        finally:
            CONTEXT.training = former
        return map_structure(to_numpy, results)

    return call


def _runner(inputs: list[Any], outputs: Any) -> Callable[[list[Any]], Any]:
    if not flatten(outputs):
        return lambda arrays: outputs
    if not inputs:
        raise ValueError("K.function: there is no symbolic input.")
    return Function(inputs, outputs)


def normalize_batch_in_training(
    x: Any, gamma: Any, beta: Any, reduction_axes: Sequence[int], epsilon: float = 1e-3
) -> tuple[Any, Any, Any]:
    """Normalize by the mean and variance of the batch; return the result, the mean, the variance.

    Raises:
        ValueError: More than one axis is left.
    """
    axes = [axis % ops.ndim(x) for axis in reduction_axes]
    (kept, *more) = [axis for axis in range(ops.ndim(x)) if axis not in axes] or [None]
    if kept is None or more:
        raise ValueError("K.normalize_batch_in_training: leave one axis, the channels.")
    mean, variance = ops.moments(x, axes)
    result = batch_normalization(x, mean, variance, beta, gamma, kept, epsilon)
    return result, mean, variance


def print_tensor(x: Any, message: str = "", summarize: int = 3) -> Any:
    """Print a tensor and return it; a symbolic one is printed at each call.

    >>> _ = print_tensor(torch.tensor([1.0]), "x =")
    x = tensor([1.])
    """
    print(message, x)
    return x


def manual_variable_initialization(value: bool) -> None:
    """Nothing: variables have their values when they are made."""


def reset_uids() -> None:
    """Number the names of layers from the beginning again."""
    _reset_uids()


random_binomial = random_bernoulli
