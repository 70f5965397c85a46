"""`LayerCalibrator`: what `GPTQ` and `AWQ` share.

Letters: O outputs, I inputs, N samples. Weights are `(O, I)`, the transposed kernel.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..dtypes import as_tensor
from ..naming import explain

__all__ = ["LayerCalibrator"]


class LayerCalibrator:
    """Calibrates one layer: looks at its inputs, then quantizes its kernel.

    Args:
        layer: A `Dense` or `EinsumDense` layer.
        config: What `layer.quantize` was told.

    Raises:
        TypeError: The layer has no kernel to calibrate.
    """

    method = ""
    _mismatch = ""  # what an error says of inputs of another width

    def __init__(self, layer: Any, config: Any) -> None:
        self.original_layer = self.layer = layer
        self.config = config
        self.num_samples = 0
        weights = self._weights()
        self.columns, self.rows = weights.shape
        self._device = weights.device

    def _weights(self) -> Tensor:
        """The floating weights of the layer, `(O, I)`."""
        if not hasattr(self.layer, "kernel_to_calibrate"):
            raise TypeError(
                explain(
                    f"Unsupported layer type for {self.method}: {type(self.layer).__name__}.",
                    expected="a Dense or EinsumDense layer",
                )
            )
        return self.layer.kernel_to_calibrate().t()

    def _rows(self, inputs: Any) -> Tensor:
        """Return inputs of the layer as rows of float32, `(N, I)`.

        Raises:
            ValueError: They are None, empty, of rank below 2, or of another width than the kernel.
        """
        if inputs is None:
            raise ValueError("Input tensor cannot be None.")
        inputs = as_tensor(inputs)
        if inputs.dim() < 2:
            raise ValueError(f"Input tensor must have a rank of at least 2, not {inputs.dim()}.")
        if inputs.numel() == 0:
            raise ValueError(f"Input tensor cannot be empty. Its shape is {tuple(inputs.shape)}.")
        rows = inputs.reshape(-1, inputs.shape[-1]).to(torch.float32)
        if rows.shape[1] != self.rows:
            raise ValueError(
                explain(
                    f"The {self._mismatch} do not match input features.",
                    given=f"inputs of shape {tuple(rows.shape)}",
                    expected=f"(…, {self.rows})",
                )
            )
        return rows
