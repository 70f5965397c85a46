"""One time step of the recurrent layers: `LSTMCell`, `GRUCell`, `SimpleRNNCell`, `StackedRNNCells`.

Letters: B batch, D input width, U units. Inputs are `(B, D)`, states `(B, U)`.
Gate order is Keras's because saved kernels depend on it: LSTM `i f c o`, GRU `z r h`.
The kernels of all gates lie side by side, `(D, gates * U)`, and in memory transposed, as
`torch.lstm` wants them: `kernel.t()` is contiguous.
A dropout mask is drawn once per sequence and used at every step (Gal & Ghahramani 2016).
Sources: Hochreiter & Schmidhuber 1997 (LSTM), Cho et al. 2014 (GRU), Keras 3 (defaults, masks).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..activations import get as get_activation
from ..config import default_device
from ..constraints import get as get_constraint
from ..dtypes import to_torch
from ..initializers import get as get_initializer
from ..naming import explain
from ..random import SeedGenerator
from ..random import dropout as random_dropout
from ..registry import builtin, deserialize_keras_object, serialize_keras_object
from ..regularizers import get as get_regularizer
from ..tree import flatten
from .configs import make_from
from .layer import Layer

__all__ = ["DropoutRNNCell", "GRUCell", "LSTMCell", "SimpleRNNCell", "StackedRNNCells"]

# One step: summed projections of the inputs and the states before, to output and states after.
Step = Callable[[Tensor, Sequence[Tensor]], "tuple[Tensor, list[Tensor]]"]


class DropoutRNNCell:
    """Mixin of cells with dropout: masks that stay the same for all steps of a sequence.

    The cell needs the attributes `dropout`, `recurrent_dropout` (fractions in [0, 1]) and
    `seed_generator`. With the attribute `dropout_mask_count` there are as many masks, one per
    gate, else a single one.
    """

    _dropout_mask: Any = None
    _recurrent_dropout_mask: Any = None

    def get_dropout_mask(self, step_input: Tensor) -> Any:
        """Return the mask for the inputs, drawn at the first call since the last reset."""
        if self._dropout_mask is None and self.dropout > 0:
            self._dropout_mask = self._draw(step_input, self.dropout)
        return self._dropout_mask

    def get_recurrent_dropout_mask(self, step_input: Tensor) -> Any:
        """Return the mask for the states, drawn at the first call since the last reset."""
        if self._recurrent_dropout_mask is None and self.recurrent_dropout > 0:
            self._recurrent_dropout_mask = self._draw(step_input, self.recurrent_dropout)
        return self._recurrent_dropout_mask

    def reset_dropout_mask(self) -> None:
        """Draw a new mask for the inputs next time."""
        self._dropout_mask = None

    def reset_recurrent_dropout_mask(self) -> None:
        """Draw a new mask for the states next time."""
        self._recurrent_dropout_mask = None

    def _draw(self, like: Tensor, rate: float) -> Any:
        ones = torch.ones_like(like)
        count = getattr(self, "dropout_mask_count", None)
        masks = [random_dropout(ones, rate, seed=self.seed_generator) for _ in range(count or 1)]
        return masks if count else masks[0]

    def skip_dropout_masks(self) -> None:
        """Count the draws of one sequence without making masks.

        Keras draws them in inference too; so training goes on with the same numbers after it.
        """
        if self.seed_generator._initial_seed is not None:
            draws = (self.dropout > 0) + (self.recurrent_dropout > 0)
            for _ in range(draws * (getattr(self, "dropout_mask_count", None) or 1)):
                self.seed_generator.draw()


_KINDS = (
    ("initializer", get_initializer),
    ("regularizer", get_regularizer),
    ("constraint", get_constraint),
)


class _Cell(DropoutRNNCell, Layer):
    """Arguments, weights and dropout that the cells of this file share."""

    _gates: int

    def _store(self, given: dict[str, Any]) -> None:
        """Keep the constructor's arguments, made into what they stand for."""
        self.units = given["units"]
        self.activation = get_activation(given["activation"])
        if self._gates > 1:
            self.recurrent_activation = get_activation(given["recurrent_activation"])
        self.use_bias = given["use_bias"]
        # The order matters: each random initializer and the generator draw their own seed here.
        self.seed = given["seed"]
        if self._gates == 1:
            self.seed_generator = SeedGenerator(self.seed)
        for kind, get in _KINDS:
            for weight in ("kernel", "recurrent", "bias"):
                setattr(self, f"{weight}_{kind}", get(given[f"{weight}_{kind}"]))
        self.dropout = min(1.0, max(0.0, given["dropout"]))
        self.recurrent_dropout = min(1.0, max(0.0, given["recurrent_dropout"]))
        if self._gates > 1:
            self.seed_generator = SeedGenerator(self.seed)
        self.state_size: int | list[int] = self.units
        self.output_size = self.units

    def _mask_gates(self, implementation: int) -> None:
        """Use one dropout mask per gate: with recurrent dropout, or if `implementation` is 1."""
        self.implementation = 1 if self.recurrent_dropout else implementation
        if self.implementation == 1:
            self.dropout_mask_count = self._gates

    def _add_weights(
        self, width: int, bias_shape: tuple[int, ...], bias_initializer: Callable[..., Tensor]
    ) -> None:
        columns = self._gates * self.units
        self.kernel = self.add_weight(
            name="kernel",
            shape=(width, columns),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            layout=(1, 0),
        )
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel",
            shape=(self.units, columns),
            initializer=self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
            layout=(1, 0),
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=bias_shape,
                initializer=bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def dropout_masks(self, inputs: Tensor, state: Tensor, training: Any) -> tuple[Any, Any]:
        """Return the masks for inputs and states that a step applies; `None` for no dropout."""
        if not training:
            return None, None
        inputs_mask = self.get_dropout_mask(inputs) if 0 < self.dropout < 1 else None
        states_mask = None
        if 0 < self.recurrent_dropout < 1:
            states_mask = self.get_recurrent_dropout_mask(state)
        return inputs_mask, states_mask

    def project(self, inputs: Tensor, masks: Any = None) -> Tensor:
        """Return the inputs' share of all gates, `(..., gates * U)`, of one step or of many."""
        return project(inputs, self.kernel, self.bias, masks)

    def make_step(self, masks: Any = None) -> Step:
        """Return the function of one step, its weights read once for a whole sequence.

        Args:
            masks: Dropout mask of the states, or one per gate.
        """
        raise NotImplementedError

    def call(
        self, inputs: Tensor, states: Any, training: bool | None = False
    ) -> tuple[Tensor, Any]:
        nested = isinstance(states, (list, tuple))
        states = states if nested else [states]
        inputs_mask, states_mask = self.dropout_masks(inputs, states[0], training)
        output, states = self.make_step(states_mask)(self.project(inputs, inputs_mask), states)
        return output, states if nested else states[0]

    def get_initial_state(self, batch_size: int | None = None) -> list[Tensor]:
        """Return zeros `(batch_size, units)`, one tensor per state."""
        sizes = self.state_size if isinstance(self.state_size, list) else [self.state_size]
        return [zero_state(self, batch_size, size) for size in sizes]


def _check_units(cls: type, units: Any) -> None:
    if units <= 0:
        raise ValueError(
            explain(
                f"{cls.__name__}: `units` must be a positive integer.",
                given=units,
                fix="pass the width of the output, such as 64.",
            )
        )


def zero_state(cell: Layer, batch_size: int | None, size: int) -> Tensor:
    """Make zeros `(batch_size, size)` where the weights of `cell` are, in its compute dtype."""
    weight = getattr(cell, "kernel", None) if cell.built else None
    device = default_device() if weight is None else weight.device
    return torch.zeros((batch_size, size), dtype=to_torch(cell.compute_dtype), device=device)


# Arithmetic of all gates at once -----------------------------------------------------------------


def project(x: Tensor, kernel: Tensor, bias: Tensor | None, masks: Any = None) -> Tensor:
    """Return `x @ kernel + bias`; `masks` is a dropout mask for all gates, or one for each.

    Shapes:
        x: `(..., D)`. kernel: `(D, gates * U)`. Result: `(..., gates * U)`.
    """
    if isinstance(masks, (list, tuple)):
        z = _per_gate(x, kernel, masks)
        return z if bias is None else z + bias
    if masks is not None:
        x = x * masks
    return F.linear(x, kernel.t(), bias)


def recur(z: Tensor, h: Tensor, kernel: Tensor, masks: Any = None) -> Tensor:
    """Return `z + h @ kernel`; `masks` is a dropout mask for all gates, or one for each."""
    if isinstance(masks, (list, tuple)):
        return z + _per_gate(h, kernel, masks)
    if masks is not None:
        h = h * masks
    return torch.addmm(z, h, kernel)


def _per_gate(x: Tensor, kernel: Tensor, masks: Sequence[Tensor]) -> Tensor:
    kernels = kernel.chunk(len(masks), 1)
    return torch.cat([(x * m) @ k for m, k in zip(masks, kernels, strict=True)], -1)


# Cells -------------------------------------------------------------------------------------------


@builtin("keras.layers.LSTMCell")
class LSTMCell(_Cell):
    """One step of an LSTM.

    Args:
        units: Width U of the output and of both states.
        activation: Applied to the candidate and to the new cell state; `None` for none.
        recurrent_activation: Applied to the gates; `None` for none.
        use_bias: Whether the gates have a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: Initial weights.
        unit_forget_bias: Whether the bias of the forget gate starts at one.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Penalties on the weights.
        kernel_constraint, recurrent_constraint, bias_constraint: Projections after updates.
        dropout: Fraction of the input features to drop in training.
        recurrent_dropout: Fraction of the state features to drop in training.
        seed: Of the dropout masks.

    Shapes:
        inputs: `(B, D)`. states: `[h, c]`, each `(B, U)`. Result: `h, [h, c]`.

    Raises:
        ValueError: `units` is not positive.

    Source: Hochreiter & Schmidhuber 1997; Jozefowicz et al. 2015 (forget bias).

    Example:
        >>> cell = LSTMCell(3)
        >>> h, states = cell(torch.ones(2, 5), cell.get_initial_state(2))
        >>> h.shape, len(states)
        (torch.Size([2, 3]), 2)
    """

    _gates = 4

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        given = dict(locals())
        _check_units(type(self), units)
        implementation = kwargs.pop("implementation", 2)
        super().__init__(**kwargs)
        self._store(given)
        self._mask_gates(implementation)
        self.unit_forget_bias = unit_forget_bias
        self.state_size = [units, units]

    def build(self, input_shape: Any) -> None:
        start = self._forget_bias if self.unit_forget_bias else self.bias_initializer
        self._add_weights(input_shape[-1], (4 * self.units,), start)
        self.built = True

    def _forget_bias(self, shape: Any, dtype: Any = None) -> Tensor:
        parts = [
            self.bias_initializer((self.units,), dtype=dtype),
            get_initializer("ones")((self.units,), dtype=dtype),
            self.bias_initializer((2 * self.units,), dtype=dtype),
        ]
        return torch.cat(parts)

    def make_step(self, masks: Any = None) -> Step:
        kernel, activation, gate = self.recurrent_kernel, self.activation, self.recurrent_activation

        def step(z: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
            i, f, g, o = recur(z, states[0], kernel, masks).chunk(4, -1)
            c = gate(f) * states[1] + gate(i) * activation(g)
            h = gate(o) * activation(c)
            return h, [h, c]

        return step


@builtin("keras.layers.GRUCell")
class GRUCell(_Cell):
    """One step of a GRU.

    Args:
        units: Width U of the output and the state.
        activation: Applied to the candidate; `None` for none.
        recurrent_activation: Applied to the gates; `None` for none.
        use_bias: Whether the gates have a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: Initial weights.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Penalties on the weights.
        kernel_constraint, recurrent_constraint, bias_constraint: Projections after updates.
        dropout: Fraction of the input features to drop in training.
        recurrent_dropout: Fraction of the state features to drop in training.
        reset_after: Whether the reset gate acts after the matrix product (as in cuDNN and torch);
            then the bias is `(2, 3U)`, a row for the inputs and a row for the state.
        seed: Of the dropout masks.

    Shapes:
        inputs: `(B, D)`. states: `[h]` or `h`, `(B, U)`. Result: `h` and the states.

    Raises:
        ValueError: `units` is not positive.

    Source: Cho et al. 2014.

    Example:
        >>> cell = GRUCell(3)
        >>> h, states = cell(torch.ones(2, 5), cell.get_initial_state(2))
        >>> h.shape
        torch.Size([2, 3])
    """

    _gates = 3

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        given = dict(locals())
        _check_units(type(self), units)
        implementation = kwargs.pop("implementation", 2)
        super().__init__(**kwargs)
        self._store(given)
        self._mask_gates(implementation)
        self.reset_after = reset_after

    def build(self, input_shape: Any) -> None:
        columns = 3 * self.units
        bias_shape = (2, columns) if self.reset_after else (columns,)
        self._add_weights(input_shape[-1], bias_shape, self.bias_initializer)
        self.built = True

    def biases(self) -> tuple[Tensor | None, Tensor | None]:
        """Return the bias of the inputs and that of the state."""
        if self.bias is None:
            return None, None
        return tuple(self.bias.unbind(0)) if self.reset_after else (self.bias, None)

    def project(self, inputs: Tensor, masks: Any = None) -> Tensor:
        return project(inputs, self.kernel, self.biases()[0], masks)

    def make_step(self, masks: Any = None) -> Step:
        kernel, activation, gate = self.recurrent_kernel, self.activation, self.recurrent_activation
        bias, units = self.biases()[1], self.units
        per_gate = isinstance(masks, (list, tuple))
        gate_masks, last_mask = (masks[:2], masks[2]) if per_gate else (None, None)

        def reset_after(z: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
            h = states[0]
            inner = project(h, kernel, bias, masks)
            x_gates, x_h = z.split([2 * units, units], -1)
            h_gates, h_h = inner.split([2 * units, units], -1)
            update, reset = gate(x_gates + h_gates).chunk(2, -1)
            return mix(update, h, activation(x_h + reset * h_h))

        def reset_before(z: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
            h = states[0]
            x_gates, x_h = z.split([2 * units, units], -1)
            update, reset = gate(recur(x_gates, h, kernel[:, : 2 * units], gate_masks)).chunk(2, -1)
            kept = reset * h if last_mask is None else reset * (h * last_mask)
            return mix(update, h, activation(recur(x_h, kept, kernel[:, 2 * units :])))

        def mix(update: Tensor, h: Tensor, new: Tensor) -> tuple[Tensor, list[Tensor]]:
            h = update * h + (1 - update) * new
            return h, [h]

        return reset_after if self.reset_after else reset_before


@builtin("keras.layers.SimpleRNNCell")
class SimpleRNNCell(_Cell):
    """One step of a fully connected RNN: `activation(x @ kernel + bias + h @ recurrent_kernel)`.

    Args:
        units: Width U of the output and the state.
        activation: Applied to the sum; `None` for none.
        use_bias: Whether there is a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: Initial weights.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Penalties on the weights.
        kernel_constraint, recurrent_constraint, bias_constraint: Projections after updates.
        dropout: Fraction of the input features to drop in training.
        recurrent_dropout: Fraction of the state features to drop in training.
        seed: Of the dropout masks.

    Shapes:
        inputs: `(B, D)`. states: `[h]` or `h`, `(B, U)`. Result: `h` and the states.

    Raises:
        ValueError: `units` is not positive.

    Example:
        >>> cell = SimpleRNNCell(3)
        >>> h, states = cell(torch.ones(2, 5), cell.get_initial_state(2))
        >>> h.shape
        torch.Size([2, 3])
    """

    _gates = 1

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        given = dict(locals())
        _check_units(type(self), units)
        super().__init__(**kwargs)
        self._store(given)

    def build(self, input_shape: Any) -> None:
        self._add_weights(input_shape[-1], (self.units,), self.bias_initializer)
        self.built = True

    def call(
        self, sequence: Tensor, states: Any, training: bool | None = False
    ) -> tuple[Tensor, Any]:
        return super().call(sequence, states, training)  # Keras names the first argument so here

    def dropout_masks(self, inputs: Tensor, state: Tensor, training: Any) -> tuple[Any, Any]:
        if not training:
            return None, None
        return self.get_dropout_mask(inputs), self.get_recurrent_dropout_mask(state)

    def make_step(self, masks: Any = None) -> Step:
        kernel, activation = self.recurrent_kernel, self.activation

        def step(z: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
            h = activation(recur(z, states[0], kernel, masks))
            return h, [h]

        return step


@builtin("keras.layers.StackedRNNCells")
class StackedRNNCells(Layer):
    """Several cells, each fed with the output of the one before, as one cell.

    Args:
        cells: Objects with `call(inputs, states)` and `state_size`.

    Shapes:
        inputs: `(B, D)`. states: one entry per cell, in that cell's form.

    Raises:
        ValueError: A cell lacks `call` or `state_size`.

    Example:
        >>> cell = StackedRNNCells([LSTMCell(3), LSTMCell(4)])
        >>> cell.state_size, cell.output_size
        ([[3, 3], [4, 4]], 4)
    """

    def __init__(self, cells: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for cell in cells:
            for name in ("call", "state_size"):
                if name not in dir(cell):
                    raise ValueError(
                        explain(
                            f"StackedRNNCells: a cell has no `{name}`.",
                            given=cell,
                            fix="a cell needs `call(inputs, states)` and `state_size`.",
                        )
                    )
        self.cells = cells

    @property
    def state_size(self) -> list[Any]:
        """One entry per cell: a width, or a list of widths."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        """Width of the last cell's output."""
        return output_size(self.cells[-1])

    def get_initial_state(self, batch_size: int | None = None) -> list[Any]:
        """Return one entry per cell: its initial state, zeros unless the cell says otherwise."""
        states: list[Any] = []
        for cell in self.cells:
            if hasattr(cell, "get_initial_state"):
                states.append(cell.get_initial_state(batch_size=batch_size))
            elif isinstance(cell.state_size, int):
                states.append(zero_state(self, batch_size, cell.state_size))
            else:
                states.append([zero_state(self, batch_size, size) for size in cell.state_size])
        return states

    def build(self, input_shape: Any) -> None:
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                cell.build(input_shape)
                cell.built = True
            input_shape = (flatten(input_shape)[0], output_size(cell))
        self.built = True

    def call(
        self, inputs: Tensor, states: Sequence[Any], training: bool | None = False, **kwargs: Any
    ) -> tuple[Tensor, Any]:
        new_states = []
        for cell, state in zip(self.cells, states, strict=False):
            nested = isinstance(state, (list, tuple))
            options = {**kwargs, "training": training} if takes_training(cell) else kwargs
            inputs, state = caller(cell)(inputs, list(state) if nested else [state], **options)
            if not nested and isinstance(state, (list, tuple)) and len(state) == 1:
                state = state[0]
            new_states.append(state)
        return inputs, new_states[0] if len(new_states) == 1 else new_states

    def get_config(self) -> dict[str, Any]:
        cells = [serialize_keras_object(cell) for cell in self.cells]
        return {**Layer.get_config(self), "cells": cells}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> StackedRNNCells:
        """Make the layer, cells included, from its config."""
        cells = [
            deserialize_keras_object(cell, custom_objects=custom_objects)
            for cell in config["cells"]
        ]
        return make_from(cls, {k: v for k, v in config.items() if k != "cells"}, cells)


def output_size(cell: Any) -> int:
    """Return the width of a cell's output: its `output_size`, or else its first state's."""
    size = getattr(cell, "output_size", None)
    if size is None:
        size = cell.state_size[0] if isinstance(cell.state_size, (list, tuple)) else cell.state_size
    return size


def caller(cell: Any) -> Callable[..., Any]:
    """Return the cheapest way to call a cell once more in the course of a sequence.

    A layer that was called before, and whose calls have no side effects, has a plan; then what
    `__call__` looks after per call has been settled.
    """
    if isinstance(cell, Layer):
        return cell if cell._call_plan is None else cell.call_unmasked
    return cell if callable(cell) else cell.call


def takes_training(cell: Any) -> bool:
    """Tell whether a cell is a layer whose `call` has a `training` argument."""
    return isinstance(cell, Layer) and cell._call_signature.takes_training
