"""Functions of Keras 2's backend that call a function for each slice or step: `K.rnn`, `K.foldl`.

Letters: B batch, T time steps. Sequences are `(B, T, ...)`, or `(T, B, ...)` with `time_major`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import torch

from ..ops import convert_to_tensor
from ..ops import map as map_slices
from ..tree import flatten, map_structure

__all__ = ["foldl", "foldr", "map_fn", "rnn"]

Tensor = torch.Tensor


def map_fn(fn: Callable[..., Any], elems: Any, name: str | None = None, dtype: Any = None) -> Any:
    """Apply a function to each slice along the first axis; `name` and `dtype` are ignored."""
    return map_slices(fn, elems)


def foldl(fn: Callable[..., Any], elems: Tensor, initializer: Any = None, name: Any = None) -> Any:
    """Combine the slices along the first axis from the left: `fn(so_far, slice)`.

    >>> float(foldl(lambda a, x: 2 * a + x, torch.tensor([1.0, 2.0, 3.0])))
    11.0
    """
    slices = list(convert_to_tensor(elems))
    if initializer is not None:
        slices.insert(0, initializer)
    return functools.reduce(fn, slices)


def foldr(fn: Callable[..., Any], elems: Tensor, initializer: Any = None, name: Any = None) -> Any:
    """Combine the slices from the right; see `foldl`."""
    return foldl(fn, convert_to_tensor(elems).flip(0), initializer)


def rnn(
    step_function: Callable[[Any, tuple[Any, ...]], tuple[Any, Any]],
    inputs: Any,
    initial_states: Sequence[Any],
    go_backwards: bool = False,
    mask: Tensor | None = None,
    constants: Sequence[Any] | None = None,
    unroll: bool = False,
    input_length: int | Tensor | None = None,
    time_major: bool = False,
    zero_output_for_mask: bool = False,
    return_all_outputs: bool = True,
) -> tuple[Any, Any, tuple[Any, ...]]:
    """Call a function for each time step, carrying states on.

    Args:
        step_function: Takes the inputs of a step, and the states followed by the constants;
            returns an output and the next states.
        inputs: Sequences, in any structure.
        initial_states: The first states.
        go_backwards: Whether to begin at the last step; outputs then stand in that order too.
        mask: `(B, T)`: where it is false, states stay and the output is that of the step before.
        constants: Passed to each step, after the states.
        unroll: Accepted as in Keras 2.
        input_length: The number of steps of each sample, `(B,)`, in place of a mask.
        time_major: Whether time is the first axis.
        zero_output_for_mask: Whether the output is zero where the mask is false.
        return_all_outputs: Whether outputs of all steps are returned; else those of the last one.

    Returns:
        The last output, the outputs of all steps, and the last states.

    Example:
        >>> def add(x, states):
        ...     return states[0] + x, [states[0] + x]
        >>> rnn(add, torch.tensor([[[1.0], [2.0], [3.0]]]), [torch.zeros(1, 1)])[1].tolist()
        [[[1.0], [3.0], [6.0]]]
    """

    def time_first(x: Tensor) -> Tensor:
        x = convert_to_tensor(x)
        x = x if time_major else x.transpose(0, 1)
        return x.flip(0) if go_backwards else x

    inputs = map_structure(time_first, inputs)
    steps = len(flatten(inputs)[0])
    if mask is not None:
        mask = time_first(mask).to(torch.bool)
    elif input_length is not None and not isinstance(input_length, int):
        input_length = convert_to_tensor(input_length)
        times = torch.arange(steps, device=input_length.device)[:, None]
        if go_backwards:
            times = input_length.max() - 1 - times
        mask = times < input_length
    states = map_structure(convert_to_tensor, tuple(initial_states))
    constants = tuple(constants or ())
    outputs: list[Any] = []
    last: Any = None
    for step in range(steps):
        output, new = step_function(map_structure(itemgetter(step), inputs), states + constants)
        new = tuple(new)
        if mask is not None:
            choose = functools.partial(_where, mask[step])
            if last is None or zero_output_for_mask:
                last = map_structure(torch.zeros_like, output)
            output, new = map_structure(choose, (output, new), (last, states))
        last, states = output, new
        if not return_all_outputs:
            outputs.clear()
        outputs.append(output)
    stacked = map_structure(lambda *items: torch.stack(items, 0 if time_major else 1), *outputs)
    return last, stacked, states


def _where(mask: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return torch.where(mask.reshape(-1, *[1] * (new.ndim - 1)), new, old)
