"""`Wrapper`, the base of layers around one other layer, and `TimeDistributed`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..naming import explain
from ..registry import builtin, deserialize_keras_object
from ..tree import flatten
from .configs import make_from
from .layer import Layer

__all__ = ["TimeDistributed", "Wrapper"]


@builtin("keras.layers.Wrapper")
class Wrapper(Layer):
    """Base of layers that change what another layer does.

    Args:
        layer: The layer inside.

    Raises:
        ValueError: `layer` is not a layer.

    Example:
        >>> class Twice(Wrapper):
        ...     def call(self, x):
        ...         return self.layer(self.layer(x))
        >>> Twice(Layer(name="inside")).layer.name
        'inside'
    """

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        if not isinstance(layer, Layer):
            raise ValueError(
                explain(
                    f"Layer {layer!r} supplied to Wrapper isn't a supported layer type. Please"
                    " ensure wrapped layer is a valid Keras layer.",
                    wrapper=type(self).__name__,
                    given=f"an object of type {type(layer).__name__}",
                    fix="pass an instance of a subclass of `keras.layers.Layer`.",
                )
            )
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape: Any = None) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)
            self.layer.built = True
        self.built = True

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Wrapper:
        """Make the wrapper, and the layer inside, from its config."""
        layer = deserialize_keras_object(config["layer"], custom_objects=custom_objects)
        return make_from(cls, {k: v for k, v in config.items() if k != "layer"}, layer)


@builtin("keras.layers.TimeDistributed")
class TimeDistributed(Wrapper):
    """Apply a layer to every time step of its input, with the same weights.

    Where the layer treats the samples of a batch one by one, all steps are one large batch; a layer
    with state, randomness or code of the user's is called step by step.

    Args:
        layer: The layer for one step.

    Shapes:
        inputs: `(batch, time, ...)`, or a structure of such. mask: `(batch, time, ...)`.
        Result: `(batch, time, ...)`, as the layer makes of `(batch, ...)`.

    Raises:
        ValueError: `layer` is not a layer, the input has less than 3 axes, or a mask does not fit.

    Example:
        >>> from torchkeras.layers import Dense
        >>> TimeDistributed(Dense(2))(torch.ones(4, 3, 5)).shape
        torch.Size([4, 3, 2])
    """

    _keras_memory = "time_major"

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def _step_shape(self, input_shape: Any) -> Any:
        if not isinstance(input_shape, (tuple, list)) or len(input_shape) < 3:
            raise ValueError(
                explain(
                    f"TimeDistributed '{self.name}': the input must have at least 3 axes, batch and"
                    " time first.",
                    given=input_shape,
                )
            )
        return (input_shape[0], *input_shape[2:])

    def build(self, input_shape: Any) -> None:
        super().build(self._step_shape(input_shape))
        self._pure = all(_is_pure(layer) for layer in self.layer._flatten_layers())
        self._random = any(layer._seed_generators for layer in self.layer._flatten_layers())

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        shape = self.layer.compute_output_shape(self._step_shape(input_shape))
        return (shape[0], input_shape[1], *shape[1:])

    def call(self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None) -> Any:
        if mask is not None:
            self._check_mask(mask, inputs)
        signature = self.layer._call_signature
        quantized = self.layer.quantization_mode is not None
        compute = self.layer.quantized_call if quantized else self.layer.call
        options: dict[str, Any] = {"training": training} if signature.takes_training else {}
        takes_mask = signature.takes_mask and mask is not None
        if self._pure and not (training and self._random):
            if takes_mask:
                options["mask"] = mask.flatten(0, 1)
            outputs = compute(inputs.flatten(0, 1), **options)
            return outputs.unflatten(0, inputs.shape[:2])
        steps = []
        for t, x in enumerate(inputs.unbind(1)):
            if takes_mask:
                options["mask"] = mask[:, t]
            steps.append(compute(x, **options))
        return torch.stack(steps, 1)

    def _check_mask(self, mask: Tensor, inputs: Tensor) -> None:
        if mask.dim() < 2 or mask.shape[:2] != inputs.shape[:2]:
            raise ValueError(
                explain(
                    f"TimeDistributed '{self.name}': The `mask` passed to the `TimeDistributed`"
                    " layer has a shape whose first axes, batch and time, are not the input's.",
                    mask_shape=tuple(mask.shape),
                    input_shape=tuple(inputs.shape),
                )
            )


# Layers that run code of the user's, which may look at the batch as a whole.
_OPAQUE = ("Lambda", "TorchModuleWrapper")


def _is_pure(layer: Any) -> bool:
    """Tell whether a layer treats each sample by itself and keeps no state, as far as we know."""
    ours = type(layer).__module__.startswith(f"{__package__}.")
    states = layer._non_trainable_variables or flatten(getattr(layer, "states", None)) != [None]
    return ours and type(layer).__name__ not in _OPAQUE and not states
