"""`Bidirectional`: a recurrent layer that reads its sequence from both ends."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..dtypes import to_torch
from ..naming import explain
from ..registry import builtin, deserialize_keras_object, serialize_keras_object
from .configs import make_from, serialize_value
from .layer import Layer
from .recurrent import GRU, LSTM, kernel_allowed

__all__ = ["Bidirectional"]

_MERGE_MODES = ("sum", "mul", "ave", "concat", None)


@builtin("keras.layers.Bidirectional")
class Bidirectional(Layer):
    """Run a recurrent layer forwards and a second one backwards, and merge their outputs.

    Args:
        layer: A recurrent layer, such as `LSTM`; two copies of it are made.
        merge_mode: `"sum"`, `"mul"`, `"ave"`, `"concat"` (along the features), or `None` for both
            outputs as they are.
        weights: Initial weights, those of the forward layer first.
        backward_layer: The layer that reads backwards, if it is not to be a copy.

    Shapes:
        sequences: `(B, T, D)`. mask: `(B, T)`. initial_state: the states of both, forward first.
        Result: `(B, 2U)` for `"concat"`, or `(B, T, 2U)`; followed by the states of both if the
        layer returns them.

    Raises:
        ValueError: A layer is none, `merge_mode` is something else, or the layers do not match.

    Source: Schuster & Paliwal 1997.

    Example:
        >>> from torchkeras.layers import LSTM
        >>> Bidirectional(LSTM(4, return_sequences=True))(torch.ones(2, 3, 5)).shape
        torch.Size([2, 3, 8])
    """

    _keras_memory = "row_major"

    _creates_mask = False
    _config_excludes = ("layer", "weights", "backward_layer")
    _may_fuse = False  # until built
    _result_dtype: torch.dtype | None = None  # set if a part computes in another

    def __init__(
        self,
        layer: Layer,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Layer | None = None,
        **kwargs: Any,
    ) -> None:
        given = {"layer": layer}
        if backward_layer is not None:
            given["backward_layer"] = backward_layer
        for name, value in given.items():
            if not isinstance(value, Layer):
                raise ValueError(
                    explain(
                        f"Bidirectional: the argument `{name}` must be a layer.",
                        given=f"{value!r} (of type {type(value).__name__})",
                    )
                )
        if merge_mode not in _MERGE_MODES:
            raise ValueError(
                explain(
                    "Bidirectional: unknown `merge_mode`.",
                    given=repr(merge_mode),
                    expected=f"one of {_MERGE_MODES}",
                )
            )
        super().__init__(**kwargs)
        self.forward_layer = _copy(layer, "forward")
        if backward_layer is None:
            backward_layer = _copy(layer, "backward", go_backwards=True)
        self.backward_layer = backward_layer
        self._check_match()
        for part in (self.forward_layer, self.backward_layer):
            if hasattr(layer, "use_cudnn"):  # not in configs
                part.use_cudnn = layer.use_cudnn
            if getattr(part, "zero_output_for_mask", None) is not None:
                # So that steps masked in one direction add nothing of an older step.
                part.zero_output_for_mask = part.return_sequences
        self.merge_mode = merge_mode
        self._initial_weights = list(weights) if weights else None
        self.stateful = layer.stateful
        self.return_sequences = layer.return_sequences
        self.return_state = layer.return_state
        self.supports_masking = True
        self.input_spec = layer.input_spec

    def _check_match(self) -> None:
        forward, backward = self.forward_layer, self.backward_layer
        if forward.go_backwards == backward.go_backwards:
            raise ValueError(
                explain(
                    "Bidirectional: one of the two layers must go backwards.",
                    forward_layer=f"go_backwards={forward.go_backwards}",
                    backward_layer=f"go_backwards={backward.go_backwards}",
                )
            )
        for name in ("stateful", "return_sequences", "return_state"):
            values = getattr(forward, name), getattr(backward, name)
            if values[0] != values[1]:
                raise ValueError(
                    explain(
                        f"Bidirectional: the two layers differ in `{name}`.",
                        forward_layer=values[0],
                        backward_layer=values[1],
                    )
                )

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        for part in (self.forward_layer, self.backward_layer):
            if not part.built:
                part.build(sequences_shape)
        self.built = True
        forward, backward = self.forward_layer, self.backward_layer
        dtypes = {forward.compute_dtype, backward.compute_dtype}
        if dtypes != {self.compute_dtype} and "float64" not in dtypes:  # that is never lowered
            self._result_dtype = to_torch(self.compute_dtype)
        # Layers of other dtypes than this one's must be called to have their inputs cast.
        policies = {layer.dtype_policy.name for layer in (self, forward, backward)}
        self._may_fuse = (
            hasattr(forward, "fuses_with") and len(policies) == 1 and forward.fuses_with(backward)
        )
        if self._may_fuse:
            for part in (forward, backward):  # compiled code will call them, and cannot plan itself
                part._make_plan()
        if self._initial_weights is not None:
            self.set_weights(self._initial_weights)
            self._initial_weights = None

    def call(
        self,
        sequences: Tensor,
        initial_state: Any = None,
        mask: Any = None,
        training: bool | None = None,
    ) -> Any:
        if self._fuses(mask, initial_state) and kernel_allowed(self.forward_layer, sequences):
            return self._call_fused(sequences, initial_state)
        forward_state = backward_state = None
        if initial_state is not None:
            half = len(initial_state) // 2
            forward_state, backward_state = initial_state[:half], initial_state[half:]
        y = _run(self.forward_layer, sequences, forward_state, mask, training)
        y_rev = _run(self.backward_layer, sequences, backward_state, mask, training)
        states: tuple[Any, ...] = ()
        if self.return_state:
            states = (*y[1:], *y_rev[1:])
            y, y_rev = y[0], y_rev[0]
        if self._result_dtype is not None:
            y, y_rev = y.to(self._result_dtype), y_rev.to(self._result_dtype)
        if self.return_sequences:
            y_rev = y_rev.flip(1)
        if self.merge_mode is None:
            return (y, y_rev, *states)
        output = _merge(self.merge_mode, y, y_rev)
        return (output, *states) if self.return_state else output

    # Both directions in one kernel call ----------------------------------------------------------

    def _fuses(self, mask: Any, initial_state: Any) -> bool:
        if not self._may_fuse or mask is not None:
            return False
        if initial_state is not None and len(initial_state) != 2 * len(
            self.forward_layer.state_size
        ):
            return False
        pair = (self.forward_layer, self.backward_layer)
        return not any(
            part._forward_hooks or part._forward_pre_hooks or part._activity_regularizer
            for part in (*pair, pair[0].cell, pair[1].cell)
        )

    def _call_fused(self, sequences: Tensor, initial_state: Any) -> Any:
        forward, backward = self.forward_layer, self.backward_layer
        outputs, *final = forward.run_both(backward, sequences, initial_state)
        states = (*final[0], *final[1]) if self.return_state else ()
        if self.merge_mode == "concat" and self.return_sequences:
            return (outputs, *states) if self.return_state else outputs
        y, y_rev = outputs.chunk(2, -1) if self.return_sequences else (final[0][0], final[1][0])
        if self.merge_mode is None:
            return (y, y_rev, *states)
        output = _merge(self.merge_mode, y, y_rev)
        return (output, *states) if self.return_state else output

    def _can_attempt_fused_lstm(self, mask: Any = None, initial_state: Any = None) -> bool:
        """Tell whether one kernel call computes both layers, if they are LSTMs."""
        return isinstance(self.forward_layer, LSTM) and self._fuses(mask, initial_state)

    def _can_attempt_fused_gru(self, mask: Any = None, initial_state: Any = None) -> bool:
        """Tell whether one kernel call computes both layers, if they are GRUs."""
        return isinstance(self.forward_layer, GRU) and self._fuses(mask, initial_state)

    # States --------------------------------------------------------------------------------------

    @property
    def states(self) -> tuple[Any, ...] | None:
        """The states kept between batches, forward first; `None` if there are none."""
        forward, backward = self.forward_layer.states, self.backward_layer.states
        return (*forward, *backward) if forward and backward else None

    def reset_state(self) -> None:
        """Set the states kept between batches to zero.

        Raises:
            AttributeError: The layer is not stateful.
        """
        if not self.stateful:
            raise AttributeError(f"Bidirectional '{self.name}' is not stateful: nothing to reset.")
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    def reset_states(self) -> None:
        """Set the states kept between batches to zero; the name of old scripts."""
        self.reset_state()

    # Shapes, masks, configs ----------------------------------------------------------------------

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        shape = self.forward_layer.compute_output_shape(sequences_shape)
        states: tuple[Any, ...] = ()
        if self.return_state:
            shape, states = shape[0], (*shape[1:], *shape[1:])
        if self.merge_mode is None:
            return (shape, shape, *states)
        if self.merge_mode == "concat":
            shape = (*shape[:-1], 2 * shape[-1])
        return (tuple(shape), *states) if self.return_state else tuple(shape)

    def compute_mask(self, _: Any, mask: Any) -> Any:
        if isinstance(mask, (list, tuple)):
            mask = mask[0]
        mask = mask if self.return_sequences else None
        return (mask, mask) if self.merge_mode is None else mask

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "merge_mode": serialize_value(self.merge_mode),
            "layer": serialize_keras_object(self.forward_layer),
            "backward_layer": serialize_keras_object(self.backward_layer),
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Bidirectional:
        """Make the layer, and those inside, from its config."""
        config = dict(config)
        for name in ("layer", "backward_layer"):
            if config.get(name) is not None:
                config[name] = deserialize_keras_object(config[name], custom_objects=custom_objects)
        return make_from(cls, config)


def _copy(layer: Layer, direction: str, **changes: Any) -> Any:
    """Make a fresh layer with the config of `layer`, named after its direction."""
    config = serialize_keras_object(layer)
    name = layer.name.removeprefix(f"{direction}_")
    config["config"].update(name=f"{direction}_{name}", **changes)
    return deserialize_keras_object(config)


def _run(layer: Any, sequences: Tensor, state: Any, mask: Any, training: Any) -> Any:
    signature = layer._call_signature
    options: dict[str, Any] = {"initial_state": state}
    if signature.takes_training:
        options["training"] = training
    if signature.takes_mask:
        options["mask"] = mask
    # Once a call has shown that none has side effects, calls go the short way.
    call = layer if layer._call_plan is None else layer.call_unmasked
    return call(sequences, **options)


def _merge(mode: str, y: Tensor, y_rev: Tensor) -> Tensor:
    if mode == "concat":
        return torch.cat([y, y_rev], -1)
    if mode == "mul":
        return y * y_rev
    return y + y_rev if mode == "sum" else (y + y_rev) / 2
