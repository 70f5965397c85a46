"""LSTMs over series of images: `ConvLSTM1D`, `ConvLSTM2D`, `ConvLSTM3D`, their cell and base.

Letters: B batch, T time steps, C input channels, F filters, k window sizes. Inputs are
`(B, T, spatial..., C)` or, channels_first, `(B, T, C, spatial...)`; states are like one step of the
output. Gate order is Keras's because saved kernels depend on it: `i f c o`. The kernels of all
gates lie side by side, `(k..., C, 4F)`, in memory as those of `Conv2D`, so that one convolution
computes all gates, and that of the inputs all steps as well.
Source: Shi et al. 2015; Keras 3 (semantics).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..activations import get as get_activation
from ..config import default_device
from ..dtypes import to_torch
from ..initializers import get as get_initializer
from ..random import SeedGenerator
from ..registry import builtin
from ..tree import flatten
from ._kernel import keep_options, make_weight
from ._spatial import Padding, SpatialLayer, conv_output_shape, given_arguments, promoted
from .configs import make_from
from .input_spec import InputSpec
from .recurrent_cells import DropoutRNNCell, Step
from .rnn import RNN, WEIGHT_OPTIONS, mirrors_cell

__all__ = ["ConvLSTM", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "ConvLSTMCell"]

Shape = Sequence["int | None"]
Size = int | Sequence[int]
_GATES = 4


class ConvLSTMCell(DropoutRNNCell, SpatialLayer):
    """One step of an LSTM whose matrix products are convolutions.

    Args:
        rank: Number of spatial axes, at most 3.
        filters: Number F of channels of the output and of both states.
        kernel_size: Window size of both convolutions, one integer or one per axis.
        strides, padding, dilation_rate: Of the convolution of the inputs, as for `Conv2D`; that of
            the state has stride 1 and padding "same".
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        activation: Applied to the candidate and to the new cell state; `None` for none.
        recurrent_activation: Applied to the gates; `None` for none.
        use_bias: Whether the gates have a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: Initial weights.
        unit_forget_bias: Whether the bias of the forget gate starts at one.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Penalties on the weights.
        kernel_constraint, recurrent_constraint, bias_constraint: Projections after updates.
        dropout: Fraction of the inputs to drop in training.
        recurrent_dropout: Fraction of the state to drop in training.
        seed: Of the dropout masks.
        kwargs: Arguments of `Layer`.

    Shapes:
        inputs: `(B, spatial..., C)` or `(B, C, spatial...)`. states: `[h, c]`, the same with F
        channels. Result: `h, [h, c]`.

    Raises:
        ValueError: An argument is out of range, or a size other than the batch's is unknown at
            build.

    Source: Shi et al. 2015.

    Example:
        >>> cell = ConvLSTMCell(2, filters=4, kernel_size=3, padding="same")
        >>> cell.build((2, 8, 8, 3))
        >>> h, states = cell(torch.ones(2, 8, 8, 3), cell.get_initial_state(2))
        >>> h.shape, len(states)
        (torch.Size([2, 8, 8, 4]), 2)
    """

    dropout_mask_count = _GATES

    def __init__(
        self,
        rank: int,
        filters: int,
        kernel_size: Size,
        strides: Size = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Size = 1,
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
        super().__init__(**kwargs)
        # The order matters: the generator and each random initializer draw their own seed here.
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)
        if rank > 3:
            raise self._error("convolutions have at most 3 spatial axes", rank=rank)
        self._set_up_windows(rank, kernel_size, strides, padding, data_format, dilation_rate)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise self._error(
                "Specifying `strides > 1` is not compatible with `dilation_rate > 1`",
                strides=self.strides,
                dilation_rate=self.dilation_rate,
            )
        self.filters = filters
        self.activation = get_activation(activation)
        self.recurrent_activation = get_activation(recurrent_activation)
        self.use_bias = use_bias
        keep_options(self, "kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        keep_options(
            self, "recurrent", recurrent_initializer, recurrent_regularizer, recurrent_constraint
        )
        keep_options(self, "bias", bias_initializer, bias_regularizer, bias_constraint)
        self.unit_forget_bias = unit_forget_bias
        self.dropout = min(1.0, max(0.0, dropout))
        self.recurrent_dropout = min(1.0, max(0.0, recurrent_dropout))
        self.input_spec = InputSpec(ndim=rank + 2)
        self.state_size = -1  # no single number; see `get_initial_state`
        self._gate_axis = -1 if self.data_format == "channels_last" else -(rank + 1)
        ones = (1,) * rank
        self._state_zeros = Padding("same", self.kernel_size, ones, ones)

    def build(self, inputs_shape: Shape, states_shape: Any = None) -> None:
        """Make the kernels for inputs of this shape."""
        axis = self._channel_axis
        spatial = inputs_shape[1:-1] if axis == -1 else inputs_shape[2:]
        if None in inputs_shape[1:]:
            raise self._error("only the batch size may be unknown", input_shape=tuple(inputs_shape))
        self.spatial_dims = tuple(spatial)
        self.input_dim = inputs_shape[axis]
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={axis: self.input_dim})
        columns = _GATES * self.filters
        self.kernel_shape = (*self.kernel_size, self.input_dim, columns)
        layout = self._kernel_layout
        self.kernel = make_weight(self, "kernel", self.kernel_shape, layout=layout)
        shape = (*self.kernel_size, self.filters, columns)
        self.recurrent_kernel = make_weight(
            self, "recurrent", shape, "recurrent_kernel", layout=layout
        )
        self.bias = None
        if self.use_bias:
            start = self._forget_bias if self.unit_forget_bias else self.bias_initializer
            self.bias = make_weight(self, "bias", (columns,), initializer=start)

    def _forget_bias(self, shape: Any, dtype: Any = None) -> Tensor:
        parts = [
            self.bias_initializer((self.filters,), dtype=dtype),
            get_initializer("ones")((self.filters,), dtype=dtype),
            self.bias_initializer((2 * self.filters,), dtype=dtype),
        ]
        return torch.cat(parts)

    def dropout_masks(self, inputs: Tensor, state: Tensor, training: Any) -> tuple[Any, Any]:
        """Return the masks for inputs and states, one per gate; `None` for no dropout."""
        if not training:
            return None, None
        inputs_mask = self.get_dropout_mask(inputs) if 0 < self.dropout < 1 else None
        states_mask = None
        if 0 < self.recurrent_dropout < 1:
            states_mask = self.get_recurrent_dropout_mask(state)
        return inputs_mask, states_mask

    def project(self, inputs: Tensor, masks: Sequence[Tensor] | None = None) -> Tensor:
        """Return the inputs' share of all gates: images with 4F channels, of one step or of many.

        Args:
            inputs: `(B, spatial..., C)` or `(B, C, spatial...)`, or with time as second axis.
            masks: One dropout mask per gate, without time.
        """
        many = inputs.dim() == self.rank + 3
        if masks is not None and many:
            masks = [mask.unsqueeze(1) for mask in masks]
        x, groups = self._per_gate(inputs, masks)
        weight = torch.permute(self.kernel, self._kernel_axes)
        z = self._convolve(x.flatten(0, 1) if many else x, weight, self.bias, groups)
        return z.unflatten(0, inputs.shape[:2]) if many else z

    def _per_gate(self, x: Tensor, masks: Sequence[Tensor] | None) -> tuple[Tensor, int]:
        """With masks, a copy of `x` for each gate side by side, for a convolution by groups."""
        if masks is None:
            return x, 1
        return torch.cat([x * mask for mask in masks], self._gate_axis), _GATES

    def make_step(self, masks: Sequence[Tensor] | None = None) -> Step:
        """Return the function of one step, its weights read once for a whole sequence.

        Args:
            masks: One dropout mask of the state per gate.
        """
        weight = torch.permute(self.recurrent_kernel, self._kernel_axes)
        activation, gate, axis = self.activation, self.recurrent_activation, self._gate_axis

        def step(z: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
            h, groups = self._per_gate(states[0], masks)
            i, f, g, o = (z + self._recur(h, weight, groups)).chunk(_GATES, axis)
            c = gate(f) * states[1] + gate(i) * activation(g)
            h = gate(o) * activation(c)
            return h, [h, c]

        return step

    def _recur(self, h: Tensor, weight: Tensor, groups: int) -> Tensor:
        if h.dtype is not weight.dtype:
            h, weight, _ = promoted(h, weight, None)
        if self._to_first is not None:
            h = torch.permute(h, self._to_first)
        h, zeros = self._state_zeros.apply(h)
        ones = (1,) * self.rank
        h = self._torch_convolution(h, weight, None, ones, zeros, ones, groups)
        return h if self._to_first is None else torch.permute(h, self._to_last)

    def call(
        self, inputs: Tensor, states: Sequence[Tensor], training: bool | None = False
    ) -> tuple[Tensor, list[Tensor]]:
        inputs_mask, states_mask = self.dropout_masks(inputs, states[0], training)
        return self.make_step(states_mask)(self.project(inputs, inputs_mask), states)

    def compute_output_shape(self, inputs_shape: Shape, states_shape: Any = None) -> Any:
        """Return the shape of the output, and those of the two states."""
        shape = conv_output_shape(
            inputs_shape,
            self.filters,
            self.kernel_size,
            self.strides,
            self.padding,
            self.data_format,
            self.dilation_rate,
        )
        return shape, [shape, shape]

    def get_initial_state(self, batch_size: int | None = None) -> list[Tensor]:
        """Return zeros for both states; the cell must be built."""
        shape = [batch_size, *self.spatial_dims]
        shape.insert(len(shape) if self._channel_axis == -1 else 1, self.input_dim)
        shape, _ = self.compute_output_shape(shape)
        device = self.kernel.device if self.built else default_device()
        return [
            torch.zeros(shape, dtype=to_torch(self.compute_dtype), device=device) for _ in range(2)
        ]

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("activity_regularizer", None)
        return config


# Layers ------------------------------------------------------------------------------------------

_CELL_ARGUMENTS = (
    "filters",
    "kernel_size",
    "strides",
    "padding",
    "data_format",
    "dilation_rate",
    "activation",
    "recurrent_activation",
    "use_bias",
    "unit_forget_bias",
    *WEIGHT_OPTIONS,
    "dropout",
    "recurrent_dropout",
    "seed",
)


@mirrors_cell(*_CELL_ARGUMENTS)
class ConvLSTM(RNN):
    """LSTM over a series of images with `rank` spatial axes, made of convolutions.

    Args:
        rank: Number of spatial axes, at most 3.
        filters: Number F of channels of the output and of both states.
        kernel_size: Window size of both convolutions, one integer or one per axis.
        strides, padding, dilation_rate: Of the convolution of the inputs, as for `Conv2D`; that of
            the state has stride 1 and padding "same".
        data_format: "channels_last" or "channels_first". Default: `config.image_data_format()`.
        activation: Applied to the candidate and the cell state.
        recurrent_activation: Applied to the gates.
        use_bias: Whether the gates have a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: Initial weights.
        unit_forget_bias: Whether the bias of the forget gate starts at one.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Penalties on the weights.
        kernel_constraint, recurrent_constraint, bias_constraint: Projections after updates.
        dropout: Fraction of the inputs to drop, the same at all steps of a series.
        recurrent_dropout: Fraction of the state to drop, likewise.
        seed: Of the dropout masks.
        return_sequences, return_state, go_backwards, stateful: See `RNN`.
        kwargs: Arguments of `RNN` and `Layer`.

    Shapes:
        sequences: `(B, T, spatial..., C)` or `(B, T, C, spatial...)`. mask: `(B, T)`.
        initial_state: `[h, c]`, each like one step of the output.
        Result: `(B, spatial..., F)` or `(B, F, spatial...)`, with time as second axis if
        `return_sequences`; followed by `h` and `c` with `return_state`.

    Raises:
        ValueError: An argument is out of range.

    Source: Shi et al. 2015; `keras.layers.ConvLSTM2D` (semantics).
    """

    _config_excludes = ("cell", "rank")

    def __init__(
        self,
        rank: int,
        filters: int,
        kernel_size: Size,
        strides: Size = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Size = 1,
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
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        **kwargs: Any,
    ) -> None:
        given = locals()
        arguments = {name: given[name] for name in _CELL_ARGUMENTS}
        cell = ConvLSTMCell(rank, **arguments, name="conv_lstm_cell", dtype=kwargs.get("dtype"))
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            **kwargs,
        )
        self.input_spec = InputSpec(ndim=rank + 3)

    def inner_loop(
        self,
        sequences: Tensor,
        initial_state: list[Any],
        mask: Tensor | None,
        training: Any = False,
    ) -> tuple[Tensor, Tensor | None, list[Any]]:
        cell = self.cell
        if type(cell) is not ConvLSTMCell:
            return super().inner_loop(sequences, initial_state, mask, training)
        x = sequences.to(initial_state[0].dtype)
        input_masks, state_masks = cell.dropout_masks(x[:, 0], initial_state[0], training)
        step = cell.make_step(state_masks)
        if torch.is_grad_enabled():  # all steps at once: what they need is kept anyway
            return self._scan(step, cell.project(x, input_masks), initial_state, mask)

        def step_alone(x: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
            return step(cell.project(x, input_masks), states)

        return self._scan(step_alone, x, initial_state, mask)

    def compute_output_shape(self, sequences_shape: Shape, initial_state_shape: Any = None) -> Any:
        """Return the shape of the output, and of the states if they are returned."""
        batch_size, length, *image = sequences_shape
        state, _ = self.cell.compute_output_shape((batch_size, *image))
        shape = (batch_size, length, *state[1:]) if self.return_sequences else state
        return (shape, state, state) if self.return_state else shape

    def compute_mask(self, _: Any, mask: Any) -> Any:
        """Return the mask of the output; the states have none."""
        mask = flatten(mask)[0] if self.return_sequences else None
        return [mask, None, None] if self.return_state else mask

    def get_config(self) -> dict[str, Any]:
        return {"activity_regularizer": None, **super().get_config()}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> ConvLSTM:
        """Make the layer from its config."""
        return make_from(cls, config)


class _RankedConvLSTM(ConvLSTM):
    """`ConvLSTM` with the rank of the subclass."""

    _RANK: int

    def __init__(
        self,
        filters: int,
        kernel_size: Size,
        strides: Size = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Size = 1,
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
        **kwargs: Any,
    ) -> None:
        super().__init__(rank=self._RANK, **given_arguments(locals()))


@builtin("keras.layers.ConvLSTM1D")
class ConvLSTM1D(_RankedConvLSTM):
    """Convolutional LSTM over a series of rows of pixels; see `ConvLSTM` for the arguments.

    Args:
        filters: Number of output channels.
        kernel_size: Window size.
        strides: Step between windows of the input.
        padding: "valid" or "same".
        kwargs: Arguments of `ConvLSTM`, `RNN` and `Layer`.

    Example:
        >>> ConvLSTM1D(4, 3)(torch.ones(2, 3, 8, 5)).shape
        torch.Size([2, 6, 4])
    """

    _RANK = 1


@builtin("keras.layers.ConvLSTM2D")
class ConvLSTM2D(_RankedConvLSTM):
    """Convolutional LSTM over videos, series of images; see `ConvLSTM` for the arguments.

    Args:
        filters: Number of output channels.
        kernel_size: Window height and width.
        strides: Step between windows of the input.
        padding: "valid" or "same".
        kwargs: Arguments of `ConvLSTM`, `RNN` and `Layer`.

    Example:
        >>> ConvLSTM2D(4, 3, padding="same", return_sequences=True)(torch.ones(2, 3, 8, 8, 5)).shape
        torch.Size([2, 3, 8, 8, 4])
    """

    _RANK = 2


@builtin("keras.layers.ConvLSTM3D")
class ConvLSTM3D(_RankedConvLSTM):
    """Convolutional LSTM over a series of volumes; see `ConvLSTM` for the arguments.

    Args:
        filters: Number of output channels.
        kernel_size: Window size along the three axes.
        strides: Step between windows of the input.
        padding: "valid" or "same".
        kwargs: Arguments of `ConvLSTM`, `RNN` and `Layer`.

    Example:
        >>> ConvLSTM3D(4, 2)(torch.ones(1, 2, 4, 4, 4, 3)).shape
        torch.Size([1, 3, 3, 3, 4])
    """

    _RANK = 3
