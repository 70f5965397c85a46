"""`Masking`: time steps filled with one value are skipped by the layers that follow."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..dtypes import as_tensor
from ..registry import builtin, deserialize_keras_object
from .layer import Layer

__all__ = ["Masking"]


@builtin("keras.layers.Masking")
class Masking(Layer):
    """Mask the time steps whose features all equal `mask_value`, and set them to zero.

    Args:
        mask_value: The value that marks a step as missing: a number, or a tensor or list with
            one value per feature.

    Shapes:
        inputs: `(batch, time, features)`. Result: the same. Mask: `(batch, time)`.

    Example:
        >>> layer = Masking(mask_value=-1.0)
        >>> x = torch.tensor([[[5.0, -1.0], [-1.0, -1.0]]])
        >>> layer(x).tolist(), layer.compute_mask(x).tolist()
        ([[[5.0, -1.0], [0.0, 0.0]]], [[True, False]])
    """

    _keras_memory = "relaid"

    def __init__(self, mask_value: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(mask_value, dict) and mask_value.get("config") is not None:
            mask_value = deserialize_keras_object(mask_value)  # a tensor, as files hold it
        if isinstance(mask_value, str):
            raise TypeError(f"Masking: `mask_value` must be a number. Received: {mask_value!r}")
        self.mask_value = mask_value
        self.supports_masking = True
        self._build_at_init()

    def compute_mask(self, inputs: torch.Tensor, mask: Any = None) -> torch.Tensor:
        return self._differs(as_tensor(inputs))

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.where(self._differs(inputs).unsqueeze(-1), inputs, 0)

    def _relay(self, twin: Tensor) -> Tensor:
        """Do to strides what Keras does: those of what is chosen by come first."""
        return torch.where(twin.ne(0).any(-1, keepdim=True), twin, 0)

    def _differs(self, inputs: torch.Tensor) -> torch.Tensor:
        value = self.mask_value
        if not isinstance(value, (int, float)):
            value = torch.as_tensor(value, device=inputs.device)
            differs = inputs != value
        else:  # on a CPU, a cast is three times as fast as a comparison
            differs = inputs != value if value else Tensor.to(inputs, torch.bool)
        if torch.compiler.is_compiling():  # or exporting: ONNX has no views of other dtypes
            return differs.any(-1)
        # There too, the maximum of bytes is found 15 times as fast as `any` of booleans.
        return differs.view(torch.uint8).amax(-1).view(torch.bool)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return tuple(input_shape)
