"""`RNN`: any cell run over the time steps of a sequence, with masks, kept states and dropout.

Letters: B batch, T time steps, U units. Inputs are `(B, T, ...)`, states `(B, U)`.
Masks `(B, T)`: True means "use this step". At a masked step the states stay as they are and the
output is that of the step before, or zeros with `zero_output_for_mask`.
Sources: Keras 3 (semantics).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..dtypes import as_tensor, to_torch
from ..graph.context import CONTEXT
from ..naming import explain, name_scope
from ..registry import builtin, deserialize_keras_object
from ..tree import flatten, map_structure, pack_sequence_as
from ..variables import Variable
from .configs import make_from
from .layer import Layer
from .recurrent_cells import (
    DropoutRNNCell,
    StackedRNNCells,
    caller,
    output_size,
    takes_training,
    zero_state,
)

__all__ = ["RNN", "WEIGHT_OPTIONS", "mirrors_cell"]

# The arguments of a recurrent cell that say how its weights start, are penalized and projected.
WEIGHT_OPTIONS = tuple(
    f"{weight}_{kind}"
    for kind in ("initializer", "regularizer", "constraint")
    for weight in ("kernel", "recurrent", "bias")
)


def mirrors_cell(*names: str) -> Callable[[type], type]:
    """Let a layer show its cell's arguments `names` as its own."""

    def decorate(cls: type) -> type:
        for name in names:
            getter = operator.attrgetter(f"cell.{name}")
            setattr(cls, name, property(getter, doc=f"The cell's `{name}`."))
        return cls

    return decorate


@builtin("keras.layers.RNN")
class RNN(Layer):
    """Run a cell over the time steps of a sequence.

    Args:
        cell: An object with `call(inputs, states)`, returning the output and the new states, and
            `state_size`, a width or a list of widths; optionally `output_size` and
            `get_initial_state(batch_size)`. A list of cells is stacked.
        return_sequences: Whether to return the outputs of all steps, not only of the last.
        return_state: Whether to return the final states too.
        go_backwards: Whether to read the sequence from its end; outputs stay in reading order.
        stateful: Whether a batch starts with the final states of the batch before it.
        unroll: Accepted as in Keras; results are the same.
        zero_output_for_mask: Whether the output at masked steps is zero.

    Shapes:
        sequences: `(B, T, ...)`. mask: `(B, T)`. initial_state: a list of `(B, U)`.
        Result: `(B, U)`, or `(B, T, U)` with `return_sequences`; followed by the states with
        `return_state`.

    Raises:
        ValueError: `cell` is no cell, or a stateful layer gets another batch size than before.

    Example:
        >>> from torchkeras.layers import LSTMCell
        >>> RNN(LSTMCell(4), return_sequences=True)(torch.ones(2, 3, 5)).shape
        torch.Size([2, 3, 4])
    """

    _keras_memory = "time_major"

    _creates_mask = False

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        if isinstance(cell, (list, tuple)):
            if not cell:
                raise ValueError(f"RNN: `cell` must hold at least one cell. Received: {cell!r}")
            cell = StackedRNNCells(cell)
        for name in ("call", "state_size"):
            if name not in dir(cell):
                raise ValueError(
                    explain(
                        f"RNN: the argument `cell` has no `{name}`.",
                        given=cell,
                        fix="a cell needs `call(inputs, states)` and `state_size`.",
                    )
                )
        size = cell.state_size
        if not isinstance(size, (list, tuple, int)):
            raise ValueError(
                explain(
                    "RNN: the `state_size` of the cell must be an integer, or a list of integers"
                    " with one per state.",
                    given=size,
                )
            )
        super().__init__(**kwargs)
        self.cell = cell
        self.go_backwards = go_backwards
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.zero_output_for_mask = zero_output_for_mask
        self.stateful = stateful
        self.unroll = unroll
        self.supports_masking = True
        self.single_state = isinstance(size, int)
        self.state_size = [size] if isinstance(size, int) else list(size)
        # Outside of the layer's weights, as in Keras.
        self.__dict__["states"] = None
        self._expected_batch_size: int | None = None
        self._drops = False

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        if len(sequences_shape) < 3:
            raise ValueError(
                explain(
                    f"{type(self).__name__} '{self.name}': there are no time steps.",
                    input_shape=tuple(sequences_shape),
                    expected="(batch, timesteps, ...)",
                )
            )
        if isinstance(self.cell, Layer) and not self.cell.built:
            self.cell.build((sequences_shape[0], *sequences_shape[2:]))
            self.cell.built = True
        self._drops = _has_dropout(self.cell)
        if self.stateful:
            if self.states is None:
                self._make_states(sequences_shape)
            else:
                self.reset_state()
        self.built = True

    # States --------------------------------------------------------------------------------------

    def _make_states(self, sequences_shape: Sequence[int | None]) -> None:
        batch_size = sequences_shape[0]
        if batch_size is None:
            raise ValueError(
                explain(
                    f"{type(self).__name__} '{self.name}': with `stateful=True` the batch size must"
                    " be known.",
                    given=f"inputs of shape {tuple(sequences_shape)}",
                    fix="pass `batch_size=` to the `Input`, or `batch_shape=`.",
                )
            )

        def variable(value: Tensor) -> Variable:
            return Variable(
                value,
                dtype=self.variable_dtype,
                trainable=False,
                name="rnn_state",
                device=value.device,
            )

        with name_scope(self.name):
            states = self.get_initial_state(batch_size)
            self.__dict__["states"] = map_structure(variable, states)
        self._expected_batch_size = batch_size

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Layer:
        for state in flatten(self.states) if self.states is not None else ():
            state.data = fn(state.data)
        return super()._apply(fn, recurse)

    def reset_state(self) -> None:
        """Set the states kept between batches to zero."""
        for state in flatten(self.states) if self.states is not None else ():
            with torch.no_grad():
                state.zero_()

    def reset_states(self) -> None:
        """Set the states kept between batches to zero; the name of old scripts."""
        self.reset_state()

    def get_initial_state(self, batch_size: int | None) -> list[Any]:
        """Return the states before the first step, in a list: the cell's, or else zeros."""
        if hasattr(self.cell, "get_initial_state"):
            states = self.cell.get_initial_state(batch_size=batch_size)
            return list(states) if isinstance(states, (list, tuple)) else [states]
        return [zero_state(self, batch_size, size) for size in self.state_size]

    def _states_for(self, sequences: Tensor, given: Any) -> list[Any]:
        """Return the states to begin with, on the inputs' device and in the cell's dtype."""
        batch_size = sequences.shape[0]
        states = given
        if self.stateful:
            if self._expected_batch_size not in (None, batch_size) and not CONTEXT.meta:
                raise ValueError(
                    explain(
                        f"{type(self).__name__} '{self.name}': a stateful layer keeps one state per"
                        " sequence, so the batch size must always be the same.",
                        given=f"a batch of {batch_size}",
                        expected=f"a batch of {self._expected_batch_size}",
                        fix="drop the last, smaller batch, or make the layer without `stateful`.",
                    )
                )
            if given is None:
                # Copies: the states are overwritten in place before gradients are computed.
                states = map_structure(lambda state: state.detach().clone(), self.states)
        elif given is None:
            states = self.get_initial_state(batch_size)
        states = list(states) if isinstance(states, (list, tuple)) else [states]
        dtype = to_torch(getattr(self.cell, "compute_dtype", self.compute_dtype))
        return map_structure(lambda state: as_tensor(state).to(sequences.device, dtype), states)

    # Calls ---------------------------------------------------------------------------------------

    def call(
        self,
        sequences: Tensor,
        initial_state: Any = None,
        mask: Any = None,
        training: bool | None = False,
    ) -> Any:
        states = self._states_for(sequences, initial_state)
        if mask is not None:
            mask = _time_mask(mask)
            if mask is not None and mask.shape[:2] != sequences.shape[:2]:
                raise ValueError(
                    explain(
                        f"{type(self).__name__} '{self.name}': the mask does not fit the input.",
                        given=f"a mask of shape {tuple(mask.shape)}",
                        expected=f"a mask of shape {tuple(sequences.shape[:2])}",
                    )
                )
        if self._drops:
            self._prepare_dropout(self.cell, sequences[:, 0], states, training)
        last, outputs, states = self.inner_loop(sequences, states, mask, training)
        if self._drops:
            self._reset_dropout(self.cell)
        if self.stateful and not CONTEXT.meta:
            for kept, state in zip(flatten(self.states), flatten(states), strict=True):
                kept.assign(state)
        output = outputs if self.return_sequences else last
        dtype = to_torch(self.compute_dtype)
        if output.dtype is not dtype:
            output = output.to(dtype)
        if not self.return_state:
            return output
        return (output, *map_structure(lambda state: state.to(dtype), list(states)))

    def inner_loop(
        self,
        sequences: Tensor,
        initial_state: list[Any],
        mask: Tensor | None,
        training: Any = False,
    ) -> tuple[Tensor, Tensor | None, list[Any]]:
        """Compute all steps; subclasses may do it faster.

        Args:
            sequences: `(B, T, ...)`.
            initial_state: The states to begin with.
            mask: Boolean, `(B, T)` or with more axes, or `None`.
            training: Passed on to the cell if it takes it.

        Returns:
            The last output, all outputs (`None` without `return_sequences`), the final states.
        """
        options = {"training": training} if takes_training(self.cell) else {}
        cell = self.cell

        def step(x: Tensor, states: Sequence[Any]) -> tuple[Tensor, Any]:
            return caller(cell)(x, states, **options)

        return self._scan(step, sequences, initial_state, mask)

    def _scan(
        self,
        step: Callable[[Tensor, Sequence[Any]], tuple[Tensor, Any]],
        inputs: Tensor,
        initial_state: list[Any],
        mask: Tensor | None,
    ) -> tuple[Tensor, Tensor | None, list[Any]]:
        """Call `step` for each time step of `inputs`."""
        steps = inputs.unbind(1)
        masks = None if mask is None else mask.unbind(1)
        if self.go_backwards:
            steps = steps[::-1]
            masks = None if masks is None else masks[::-1]
        nested = any(isinstance(state, (list, tuple)) for state in initial_state)
        states: Any = tuple(initial_state)
        outputs: list[Tensor] = []
        output = previous = None
        for t, x in enumerate(steps):
            output, new = step(x, states)
            if not isinstance(new, (list, tuple)):
                new = [new]
            if masks is not None:
                if previous is None:
                    previous = torch.zeros_like(output)
                output = _select(masks[t], output, previous)
                if not self.zero_output_for_mask:
                    previous = output
                pairs = zip(flatten(new), flatten(states), strict=True)
                new = [_select(masks[t], after, before) for after, before in pairs]
            if nested:
                new = pack_sequence_as(initial_state, flatten(new))
            states = tuple(new)
            if self.return_sequences:
                outputs.append(output)
        stacked = torch.stack(outputs, 1) if self.return_sequences else None
        return output, stacked, list(states)

    def _prepare_dropout(self, cell: Any, inputs: Tensor, states: Any, training: Any) -> None:
        """Draw the dropout masks of all cells for this sequence, or only count the draws."""
        if isinstance(cell, DropoutRNNCell):
            if training:
                cell.get_dropout_mask(inputs)
                state = states[0] if isinstance(states, (list, tuple)) else states
                cell.get_recurrent_dropout_mask(state)
            elif not inputs.is_meta:  # inferring shapes draws nothing
                cell.skip_dropout_masks()
        elif isinstance(cell, StackedRNNCells):
            for inner, state in zip(cell.cells, states, strict=True):
                self._prepare_dropout(inner, inputs, state, training)
                inputs = inputs.new_empty((inputs.shape[0], output_size(inner)))

    def _reset_dropout(self, cell: Any) -> None:
        if isinstance(cell, DropoutRNNCell):
            cell.reset_dropout_mask()
            cell.reset_recurrent_dropout_mask()
        elif isinstance(cell, StackedRNNCells):
            for inner in cell.cells:
                self._reset_dropout(inner)

    # Shapes, masks, configs ----------------------------------------------------------------------

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        batch_size, length = sequences_shape[0], sequences_shape[1]
        size = getattr(self.cell, "output_size", None)
        if size is None:
            size = self.state_size[0]
        if not isinstance(size, int):
            raise ValueError(
                f"RNN '{self.name}': the cell's output_size must be an integer, got {size!r}."
            )
        shape = (batch_size, length, size) if self.return_sequences else (batch_size, size)
        if not self.return_state:
            return shape
        states = [
            [(batch_size, n) for n in entry]
            if isinstance(entry, (list, tuple))
            else (batch_size, entry)
            for entry in self.state_size
        ]
        return shape, *states

    def compute_mask(self, _: Any, mask: Any) -> Any:
        mask = flatten(mask)[0]
        output_mask = mask if self.return_sequences else None
        if self.return_state:
            return [output_mask, *(None for _ in self.state_size)]
        return output_mask

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> RNN:
        """Make the layer, cell included, from its config."""
        cell = deserialize_keras_object(config["cell"], custom_objects=custom_objects)
        return make_from(cls, {k: v for k, v in config.items() if k != "cell"}, cell)


def _has_dropout(cell: Any) -> bool:
    if isinstance(cell, StackedRNNCells):
        return any(_has_dropout(inner) for inner in cell.cells)
    return isinstance(cell, DropoutRNNCell) and bool(cell.dropout or cell.recurrent_dropout)


def _time_mask(mask: Any) -> Tensor:
    """Return the one mask of the time steps, as booleans."""
    if isinstance(mask, (list, tuple)):
        mask = mask[0]
    return mask if mask is None or mask.dtype is torch.bool else mask.to(torch.bool)


def _select(mask: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """Return `new` where the mask `(B,)` or `(B, 1)` is True, `old` elsewhere."""
    return torch.where(mask.reshape(mask.shape + (1,) * (new.dim() - mask.dim())), new, old)
