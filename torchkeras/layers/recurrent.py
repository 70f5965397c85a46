"""`LSTM`, `GRU` and `SimpleRNN`: recurrent layers on torch's fused kernels.

Letters: B batch, T time steps, D input width, U units. Inputs are `(B, T, D)`, states `(B, U)`.

The fused kernels know no masks. For them each sequence is *packed*: its steps in use move to the
front, in order, the masked ones behind them. What the kernel computes after the last step in use is
ignored, and the outputs are spread out again. All of that is a few index operations on the device,
for any pattern of masks. The host reads nothing of it, except on a CPU, where that costs nothing:
there, sequences masked at their ends only are taken as they are.

torch orders the gates of an LSTM as Keras does, `i f c o`; those of a GRU, `r z n`, must be
reordered from Keras's `z r h`.
Sources: Hochreiter & Schmidhuber 1997 (LSTM), Cho et al. 2014 (GRU), Keras 3 (semantics).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ..activations import relu as activation_relu
from ..activations import serialize as serialize_activation
from ..activations import sigmoid as activation_sigmoid
from ..activations import tanh as activation_tanh
from ..dtypes import to_torch
from ..naming import explain
from ..registry import builtin
from ._constant import Constant
from .configs import make_from
from .input_spec import InputSpec
from .recurrent_cells import GRUCell, LSTMCell, SimpleRNNCell
from .recurrent_ops import by_operator, has_operator
from .rnn import RNN, WEIGHT_OPTIONS, mirrors_cell

__all__ = ["GRU", "LSTM", "SimpleRNN", "kernel_allowed"]

# A gate with this much added to its sum is open (or, subtracted, shut) exactly, in float16 too.
_SATURATING = 1e4


_CELL_ARGUMENTS = (
    "units",
    "activation",
    "use_bias",
    *WEIGHT_OPTIONS,
    "dropout",
    "recurrent_dropout",
    "seed",
)
_LAYER_ARGUMENTS = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll")


class _OwnCellRNN(RNN):
    """Base of layers that make their cell themselves and compute it with a fused kernel.

    Subclasses say by `_fusible` whether their arguments allow the kernel, and run it in `_kernel`.
    """

    _cell_class: type
    # What stands for the kernel in a graph, if anything does.
    _operator = ""
    _config_excludes: tuple[str, ...] = ("cell", "use_cudnn")

    def _make_cell(self, given: dict[str, Any], *names: str) -> Any:
        """Make the cell from the constructor's arguments, `given`."""
        kwargs = given["kwargs"]
        arguments = {name: given[name] for name in (*_CELL_ARGUMENTS, *names)}
        if "implementation" in kwargs:
            arguments["implementation"] = kwargs.pop("implementation")
        return self._cell_class(
            **arguments,
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
            name=self._cell_name,
        )

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        super().build(sequences_shape, initial_state_shape)
        self._own_cell = type(self.cell) is self._cell_class
        self._width = sequences_shape[-1]
        self._fused = self._own_cell and not self.recurrent_dropout and self._fusible()
        # Whether the states to begin with are plain zeros unless given.
        self._zero_start = (
            self._own_cell and type(self).get_initial_state is _OwnCellRNN.get_initial_state
        )
        whole = type(self).inner_loop is _OwnCellRNN.inner_loop
        self._plain = whole and self._fused and self._zero_start and not self._drops

    def _fusible(self) -> bool:
        raise NotImplementedError

    def call(
        self,
        sequences: Tensor,
        initial_state: Any = None,
        mask: Any = None,
        training: bool | None = False,
    ) -> Any:
        if self._plain and initial_state is None and mask is None and not self.stateful:
            cell = self._modules["cell"]
            hooked = cell._forward_pre_hooks or cell._forward_hooks
            if not hooked and kernel_allowed(self, sequences):
                return self._run_whole(sequences, cell.units)
        return super().call(sequences, initial_state, mask, training)

    def _run_whole(self, sequences: Tensor, units: int) -> Any:
        """As `RNN.call`, where states begin as zeros and nothing is masked or dropped."""
        if sequences.shape[-1] != self._width or sequences.dim() != 3:
            self._refuse_shape(sequences)
        dtype = to_torch(self.compute_dtype)
        x = sequences if sequences.dtype is dtype else sequences.to(dtype)
        if self.go_backwards:
            x = x.flip(1)
        start = torch.zeros((1, x.shape[0], units), dtype=dtype, device=x.device)
        weights = self._weights()
        outputs, states = self._run_kernel(x, (start, start), weights)
        output = outputs if self.return_sequences else outputs[:, -1]
        return (output, *[state[0] for state in states]) if self.return_state else output

    def _weights(self) -> list[Tensor]:
        """Return the weights as torch's kernel takes them: two kernels, and two biases if any."""
        cell = self._modules["cell"]
        bias = cell.bias
        weights = [cell.kernel.t(), cell.recurrent_kernel.t()]
        return weights if bias is None else [*weights, bias, torch.zeros_like(bias)]

    def _run_kernel(
        self, x: Tensor, states: Sequence[Tensor], weights: list[Tensor], directions: int = 1
    ) -> tuple[Tensor, list[Tensor]]:
        """Call torch's kernel, or in a graph what stands for it; see `_torch_kernel`."""
        options = _options(weights, directions)
        if _is_in_graph():
            return by_operator(self._operator, x, states, weights, *options)
        return self._torch_kernel(x, states, weights, *options)

    def _torch_kernel(
        self, x: Tensor, states: Sequence[Tensor], weights: list[Tensor], *options: Any
    ) -> tuple[Tensor, list[Tensor]]:
        """Call torch's kernel.

        Args:
            x: `(B, T, D)`.
            states: `(directions, B, U)` each.
            weights: Of all directions.
            options: What torch wants besides: whether there are biases, and so on.

        Returns:
            The outputs `(B, T, directions * U)`, and the final states as they came in.
        """
        raise NotImplementedError

    def _hold(self, x: Tensor, weights: list[Tensor], pad: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Change the arguments of the kernel such that steps in `pad` keep the final states."""
        return x, weights

    def _kernel(
        self, x: Tensor, states: list[Tensor], pad: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """Run the fused kernel.

        Args:
            x: `(B, T, D)`, in the order to be read.
            states: `(B, U)` each.
            pad: Boolean `(B, T)`, True at steps that must not change the final states; `None`
                where only outputs count.

        Returns:
            All outputs `(B, T, U)` and the final states.
        """
        weights = self._weights()
        if pad is not None:
            x, weights = self._hold(x, weights, pad)
        states = [state.unsqueeze(0) for state in states]
        outputs, states = self._run_kernel(x, states, weights)
        return outputs, [state[0] for state in states]

    def _packed_kernel(
        self, x: Tensor, states: list[Tensor], pad: Tensor, needs_states: bool
    ) -> tuple[Tensor, list[Tensor]]:
        """Run the fused kernel over packed sequences; final states count where they are needed."""
        return self._kernel(x, states, pad if needs_states else None)

    def fuses_with(self, backward: Any) -> bool:
        """Tell whether one kernel call can compute this layer and `backward`, its mirror image."""
        pair = (self, backward)
        return (
            type(self) is type(backward)
            and all(layer._fused and not (layer._drops or layer.stateful) for layer in pair)
            and all(getattr(layer, "use_cudnn", None) is not False for layer in pair)
            and self.units == backward.units
            and self.use_bias == backward.use_bias
            and (self.go_backwards, backward.go_backwards) == (False, True)
        )

    def run_both(
        self, backward: _OwnCellRNN, sequences: Tensor, initial_state: Any
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Run this layer and `backward` over a sequence in one kernel call.

        Args:
            backward: A layer that `fuses_with` this one.
            sequences: `(B, T, D)`.
            initial_state: The states of both, those of this layer first, or `None`.

        Returns:
            The outputs of both `(B, T, 2U)` in the order of time, and the final states of each.
        """
        if sequences.shape[-1] != self._width or sequences.dim() != 3:
            self._refuse_shape(sequences)
        half = len(self.state_size)
        if not initial_state and self._zero_start and backward._zero_start:
            states = [self._zeros(sequences, 2)] * half
        else:
            given = initial_state or [None] * (2 * half)
            pairs = zip(
                self._states_for(sequences, given[:half] if initial_state else None),
                backward._states_for(sequences, given[half:] if initial_state else None),
                strict=True,
            )
            states = [torch.stack(pair) for pair in pairs]
        x = sequences.to(states[0].dtype)
        weights = [*self._weights(), *backward._weights()]
        outputs, states = self._run_kernel(x, states, weights, 2)
        return outputs, [state[0] for state in states], [state[1] for state in states]

    def _states_for(self, sequences: Tensor, given: Any) -> list[Any]:
        if given is None and self._zero_start and not self.stateful:
            return [self._zeros(sequences)] * len(self.state_size)
        states = super()._states_for(sequences, given)
        if self._own_cell:
            self._check_states(sequences, states)
        return states

    def _zeros(self, sequences: Tensor, *directions: int) -> Tensor:
        shape = (*directions, sequences.shape[0], self.cell.units)
        dtype = to_torch(self.compute_dtype)
        return torch.zeros(shape, dtype=dtype, device=sequences.device)

    # torch's kernels trust their arguments: what does not fit reads memory out of bounds.

    def _check_states(self, sequences: Tensor, states: list[Tensor]) -> None:
        expected = [(sequences.shape[0], self.cell.units)] * len(self.state_size)
        shapes = [tuple(state.shape) for state in states]
        if shapes != expected:
            raise ValueError(
                explain(
                    f"{type(self).__name__} '{self.name}': `initial_state` does not fit.",
                    given=f"states of shapes {shapes}",
                    expected=f"states of shapes {expected}",
                )
            )

    def _refuse_shape(self, sequences: Tensor) -> NoReturn:
        width = self._width
        raise ValueError(
            explain(
                f"{type(self).__name__} '{self.name}': the input has another number of features"
                " than the weights.",
                given=f"inputs of shape {tuple(sequences.shape)}",
                expected=f"inputs of shape (batch, time, {width})",
                fix=f"pass {width} features per step, or make a new layer for the new width.",
            )
        )

    def inner_loop(
        self,
        sequences: Tensor,
        initial_state: list[Any],
        mask: Tensor | None,
        training: Any = False,
    ) -> tuple[Tensor, Tensor | None, list[Any]]:
        cell = self.cell
        if not self._own_cell or cell._forward_pre_hooks or cell._forward_hooks:
            return super().inner_loop(sequences, initial_state, mask, training)
        if sequences.shape[-1] != self._width or sequences.dim() != 3:
            self._refuse_shape(sequences)
        dtype = initial_state[0].dtype
        x = sequences if sequences.dtype is dtype else sequences.to(dtype)
        input_mask = state_mask = None
        if self._drops:
            input_mask, state_mask = self._sequence_masks(x, initial_state[0], training)
        if self._fused and not isinstance(input_mask, list) and kernel_allowed(self, x):
            if input_mask is not None:
                x = x * input_mask
            return self._run_fused(x, initial_state, mask)
        if getattr(self, "use_cudnn", None) is True and not self._fused:
            raise ValueError(
                explain(
                    f"{type(self).__name__} '{self.name}': `use_cudnn=True`, but no fused kernel"
                    " computes this layer.",
                    activation=serialize_activation(self.activation),
                    recurrent_dropout=self.recurrent_dropout,
                    fix="use the default activations and no recurrent dropout, or"
                    " `use_cudnn='auto'`.",
                )
            )
        projected = cell.project(x, input_mask)
        return self._scan(cell.make_step(state_mask), projected, initial_state, mask)

    def _sequence_masks(self, x: Tensor, state: Tensor, training: Any) -> tuple[Any, Any]:
        """Return the cell's dropout masks, that of the inputs with an axis for time."""
        input_mask, state_mask = self.cell.dropout_masks(x[:, 0], state, training)
        if isinstance(input_mask, (list, tuple)):
            return [mask.unsqueeze(1) for mask in input_mask], state_mask
        return None if input_mask is None else input_mask.unsqueeze(1), state_mask

    def _run_fused(
        self, x: Tensor, states: list[Tensor], mask: Tensor | None
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        if self.go_backwards:
            x = x.flip(1)
        if mask is None:
            outputs, states = self._kernel(x, states)
            return outputs[:, -1], outputs, states
        mask = mask.flatten(1)  # a last axis of size 1 is allowed
        if self.go_backwards:
            mask = mask.flip(1)
        packed, used, pad = _pack(x, mask)
        needs_states = self.return_state or self.stateful
        outputs, final = self._packed_kernel(packed, states, pad, needs_states)
        # The step whose output stands at step t: the last one in use up to t.
        index = used - 1
        visible = mask if self.zero_output_for_mask else used > 0
        if needs_states:
            any_used = used[:, -1:] > 0
            final_output = _take_steps(outputs, index[:, -1:]).squeeze(1)
            final = [torch.where(any_used, final_output, states[0]), *final[1:]]
        if not self.return_sequences:
            index, visible = index[:, -1:], visible[:, -1:]
        outputs = _take_steps(outputs, index)
        outputs = outputs.masked_fill_(~visible.unsqueeze(-1), 0.0)
        return outputs[:, -1], outputs, final

    def get_config(self) -> dict[str, Any]:
        return {"activity_regularizer": None, **super().get_config()}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> RNN:
        """Make the layer from its config."""
        return make_from(cls, config)


def _options(weights: Sequence[Tensor], directions: int = 1) -> tuple[Any, ...]:
    """What torch's kernels are told besides: one layer, no dropout, the batch is the first axis."""
    return len(weights) > 2 * directions, 1, 0.0, torch.is_grad_enabled(), directions == 2, True


def kernel_allowed(layer: _OwnCellRNN, x: Tensor) -> bool:
    """Tell whether the fused kernel may run now.

    `torch.compile` cannot trace it (torch 2.13: "expected Tensor() for op: mkldnn_rnn_layer"): it
    is shown an operator for it, and where there is none compiles the loop; `torch.export` keeps the
    kernel as one node. With `use_cudnn=False` a GPU runs the loop.
    """
    if _is_in_graph():
        return has_operator(layer._operator, to_torch(layer.compute_dtype), x.device)
    return not (x.is_cuda and getattr(layer, "use_cudnn", None) is False)


def _is_in_graph() -> bool:
    """Whether `torch.compile` makes a graph at the moment."""
    return torch.compiler.is_dynamo_compiling() and not torch.compiler.is_exporting()


def _pack(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Move the steps in use to the front of each sequence, in order.

    Returns:
        The packed sequence, how many steps are in use up to each step `(B, T)`, and where the
        packed sequence holds masked steps `(B, T)`.
    """
    used = mask.cumsum(1)
    total = used[:, -1:]
    step = torch.arange(mask.shape[1], device=mask.device)
    slot = torch.where(mask, used - 1, total + step - used)
    if not (_readable(slot) and torch.equal(slot, step.expand_as(slot))):
        order = torch.empty_like(slot).scatter_(1, slot, step.expand_as(slot))
        x = _take_steps(x, order)
    return x, used, step >= total


def _readable(x: Tensor) -> bool:
    """Whether the host may look at values: on a CPU, and not while a program is traced."""
    traced = torch.compiler.is_compiling() or torch.jit.is_tracing()
    return x.device.type == "cpu" and not traced


def _take_steps(x: Tensor, index: Tensor) -> Tensor:
    """Return `x[b, index[b, t]]` for all t; step 0 where the index is -1.

    Selecting whole rows is several times faster than `gather` on a CPU.
    """
    size, length = x.shape[:2]
    first = torch.arange(0, size * length, length, device=x.device).unsqueeze(1)
    rows = (index.clamp_min(0) + first).flatten()
    return x.flatten(0, 1).index_select(0, rows).view(*index.shape, *x.shape[2:])


def _is_tanh(function: Any) -> bool:
    return function in (activation_tanh, torch.tanh)


def _is_sigmoid(function: Any) -> bool:
    return function in (activation_sigmoid, torch.sigmoid)


def _check_use_cudnn(value: Any) -> None:
    if value not in ("auto", True, False):
        raise ValueError(
            explain("The argument `use_cudnn` must be 'auto', True or False.", given=f"{value!r}")
        )


@builtin("keras.layers.LSTM")
@mirrors_cell(*_CELL_ARGUMENTS, "recurrent_activation", "unit_forget_bias")
class LSTM(_OwnCellRNN):
    """Long short-term memory over a sequence, on torch's fused kernel where arguments allow.

    With `activation="tanh"`, `recurrent_activation="sigmoid"` and no recurrent dropout all steps,
    masked or not, are one kernel call; else a loop over the steps computes the same.

    Args:
        units: Width U of the output and the states.
        activation: Applied to the candidate and the cell state.
        recurrent_activation: Applied to the gates.
        use_bias: Whether the gates have a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: Initial weights.
        unit_forget_bias: Whether the bias of the forget gate starts at one.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Penalties on the weights.
        activity_regularizer: Penalty on the output.
        kernel_constraint, recurrent_constraint, bias_constraint: Projections after updates.
        dropout: Fraction of the input features to drop, the same at all steps of a sequence.
        recurrent_dropout: Fraction of the state features to drop, likewise.
        seed: Of the dropout masks.
        return_sequences, return_state, go_backwards, stateful, unroll: See `RNN`.
        use_cudnn: `"auto"`; `True` demands a fused kernel; `False` forbids it on a GPU.
        zero_output_for_mask: See `RNN`.

    Shapes:
        sequences: `(B, T, D)`. mask: `(B, T)`. initial_state: `[h, c]`, each `(B, U)`.
        Result: `(B, U)` or `(B, T, U)`; with `return_state` followed by `h` and `c`.

    Raises:
        ValueError: `units` is not positive, `use_cudnn` is something else, or is True where no
            fused kernel computes the layer.

    Source: Hochreiter & Schmidhuber 1997; gates as in `keras.layers.LSTM`.

    Example:
        >>> output, h, c = LSTM(4, return_sequences=True, return_state=True)(torch.ones(2, 3, 5))
        >>> output.shape, h.shape, c.shape
        (torch.Size([2, 3, 4]), torch.Size([2, 4]), torch.Size([2, 4]))
    """

    _cell_class = LSTMCell
    _cell_name = "lstm_cell"
    _operator = "LSTM"

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
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn: bool | str = "auto",
        **kwargs: Any,
    ) -> None:
        given = dict(locals())
        _check_use_cudnn(use_cudnn)
        cell = self._make_cell(given, "recurrent_activation", "unit_forget_bias")
        own = {name: given[name] for name in (*_LAYER_ARGUMENTS, "activity_regularizer")}
        super().__init__(cell, **own, **kwargs)
        self.use_cudnn = use_cudnn
        self.input_spec = InputSpec(ndim=3)

    def _fusible(self) -> bool:
        return _is_tanh(self.activation) and _is_sigmoid(self.recurrent_activation)

    def _hold(self, x: Tensor, weights: list[Tensor], pad: Tensor) -> tuple[Tensor, list[Tensor]]:
        x, kernel = _with_hold(x, weights[0], pad)
        return x, [kernel, *weights[1:]]

    def _torch_kernel(
        self, x: Tensor, states: Sequence[Tensor], weights: list[Tensor], *options: Any
    ) -> tuple[Tensor, list[Tensor]]:
        outputs, h, c = torch.lstm(x, tuple(states), weights, *options)
        return outputs, [h, c]


def _with_hold(x: Tensor, weight: Tensor, pad: Tensor) -> tuple[Tensor, Tensor]:
    """Make the cell state pass through padded steps unchanged.

    An input feature that is 1 at padded steps shuts the input gate and opens the forget gate there,
    exactly: `sigmoid` is 0 and 1 in floating point at `_SATURATING`.
    """
    units = weight.shape[0] // 4
    hold = weight.new_zeros((4 * units, 1))
    hold[:units].fill_(-_SATURATING)
    hold[units : 2 * units].fill_(_SATURATING)
    pad = pad.unsqueeze(-1)
    # Whatever stands at masked steps, such as NaN, must not reach the sums.
    x = torch.cat([torch.where(pad, 0.0, x), pad.to(x.dtype)], -1)
    return x, torch.cat([weight, hold], 1)


@builtin("keras.layers.GRU")
@mirrors_cell(*_CELL_ARGUMENTS, "recurrent_activation", "reset_after")
class GRU(_OwnCellRNN):
    """Gated recurrent unit over a sequence, on torch's fused kernel where arguments allow.

    Args:
        units: Width U of the output and the state.
        activation: Applied to the candidate.
        recurrent_activation: Applied to the gates.
        use_bias: Whether the gates have a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: Initial weights.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Penalties on the weights.
        activity_regularizer: Penalty on the output.
        kernel_constraint, recurrent_constraint, bias_constraint: Projections after updates.
        dropout: Fraction of the input features to drop, the same at all steps of a sequence.
        recurrent_dropout: Fraction of the state features to drop, likewise.
        seed: Of the dropout masks.
        return_sequences, return_state, go_backwards, stateful, unroll: See `RNN`.
        reset_after: Whether the reset gate acts after the matrix product; needed for the kernel.
        use_cudnn: `"auto"`; `True` demands a fused kernel; `False` forbids it on a GPU.
        zero_output_for_mask: See `RNN`.

    Shapes:
        sequences: `(B, T, D)`. mask: `(B, T)`. initial_state: `(B, U)`.
        Result: `(B, U)` or `(B, T, U)`; with `return_state` followed by the state.

    Raises:
        ValueError: `units` is not positive, `use_cudnn` is something else, or is True where no
            fused kernel computes the layer.

    Source: Cho et al. 2014; gates as in `keras.layers.GRU`.

    Example:
        >>> GRU(4, return_sequences=True)(torch.ones(2, 3, 5)).shape
        torch.Size([2, 3, 4])
    """

    _cell_class = GRUCell
    _cell_name = "gru_cell"
    _operator = "GRU"

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
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: bool | str = "auto",
        **kwargs: Any,
    ) -> None:
        given = dict(locals())
        _check_use_cudnn(use_cudnn)
        cell = self._make_cell(given, "recurrent_activation", "reset_after")
        own = {name: given[name] for name in (*_LAYER_ARGUMENTS, "activity_regularizer")}
        super().__init__(cell, **own, **kwargs)
        self.use_cudnn = use_cudnn
        self.input_spec = InputSpec(ndim=3)

    def _fusible(self) -> bool:
        tanh, sigmoid = _is_tanh(self.activation), _is_sigmoid(self.recurrent_activation)
        return self.reset_after and tanh and sigmoid

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        super().build(sequences_shape, initial_state_shape)
        # The gates are `z r h` in Keras, `r z n` in torch.
        z, r, h = torch.arange(3 * self.units, device="cpu").chunk(3)
        self._gates = Constant(torch.cat([r, z, h]))

    def _weights(self) -> list[Tensor]:
        cell = self._modules["cell"]
        kernel, bias = cell.kernel, cell.bias
        gates = self._gates.on(kernel.device)
        weights = [kernel.t(), cell.recurrent_kernel.t()]
        weights = [weight.index_select(0, gates) for weight in weights]
        return weights if bias is None else [*weights, *bias.index_select(1, gates).unbind(0)]

    def _torch_kernel(
        self, x: Tensor, states: Sequence[Tensor], weights: list[Tensor], *options: Any
    ) -> tuple[Tensor, list[Tensor]]:
        # Time first, as the kernel has it inside; so it multiplies all inputs at once.
        x, options = x.transpose(0, 1).contiguous(), (*options[:-1], False)
        outputs, h = torch.gru(x, states[0], weights, *options)
        return outputs.transpose(0, 1), [h]

    def _packed_kernel(
        self, x: Tensor, states: list[Tensor], pad: Tensor, needs_states: bool
    ) -> tuple[Tensor, list[Tensor]]:
        """Leave out the padded steps where that pays: on a CPU, without gradients.

        With gradients, torch's kernel for sequences of several lengths takes three times as long as
        the one that reads them all to the end.
        """
        if torch.is_grad_enabled() or not _readable(pad):
            return super()._packed_kernel(x, states, pad, needs_states)
        lengths = (~pad).sum(1).clamp_min(1)
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        h = states[0].index_select(0, packed.sorted_indices).unsqueeze(0)
        weights = self._weights()
        options = _options(weights)[:-1]
        data, h = torch.gru(packed.data, packed.batch_sizes, h, weights, *options)
        outputs, _ = pad_packed_sequence(packed._replace(data=data), True, 0.0, x.shape[1])
        return outputs, [h[0].index_select(0, packed.unsorted_indices)]


@builtin("keras.layers.SimpleRNN")
@mirrors_cell(*_CELL_ARGUMENTS)
class SimpleRNN(_OwnCellRNN):
    """Fully connected RNN over a sequence: its output is fed back as its state.

    Args:
        units: Width U of the output and the state.
        activation: Applied to the sum of both products; the fused kernels know `tanh`, `relu`.
        use_bias: Whether there is a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: Initial weights.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Penalties on the weights.
        activity_regularizer: Penalty on the output.
        kernel_constraint, recurrent_constraint, bias_constraint: Projections after updates.
        dropout: Fraction of the input features to drop, the same at all steps of a sequence.
        recurrent_dropout: Fraction of the state features to drop, likewise.
        return_sequences, return_state, go_backwards, stateful, unroll: See `RNN`.
        seed: Of the dropout masks.
        zero_output_for_mask: See `RNN`.

    Shapes:
        sequences: `(B, T, D)`. mask: `(B, T)`. initial_state: `(B, U)`.
        Result: `(B, U)` or `(B, T, U)`; with `return_state` followed by the state.

    Raises:
        ValueError: `units` is not positive.

    Example:
        >>> SimpleRNN(4)(torch.ones(2, 3, 5)).shape
        torch.Size([2, 4])
    """

    _cell_class = SimpleRNNCell
    _cell_name = "simple_rnn_cell"
    _config_excludes = ("cell", "seed")

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
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        given = dict(locals())
        cell = self._make_cell(given)
        own = {name: given[name] for name in (*_LAYER_ARGUMENTS, "activity_regularizer")}
        super().__init__(cell, **own, **kwargs)
        self.input_spec = [InputSpec(ndim=3)]

    def _fusible(self) -> bool:
        relu = self.activation in (activation_relu, torch.relu)
        return relu or _is_tanh(self.activation)

    def _torch_kernel(
        self, x: Tensor, states: Sequence[Tensor], weights: list[Tensor], *options: Any
    ) -> tuple[Tensor, list[Tensor]]:
        run = torch.rnn_tanh if _is_tanh(self.activation) else torch.rnn_relu
        outputs, h = run(x, states[0], weights, *options)
        return outputs, [h]
