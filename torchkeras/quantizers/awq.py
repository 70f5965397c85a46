"""AWQ: weights in four bits, scaled up before rounding where activations are large.

Letters: O outputs, I inputs, G groups. Weights are `(O, I)`, the transposed kernel. A column that
meets large inputs is multiplied by a scale before it is rounded and divided by it afterwards, so
that its error is small compared with the others'. The scales are a power of the inputs' magnitudes;
which power is best, is tried out.
Source: Lin et al. 2023; Keras 3 (classes, grid).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..dtypes import as_tensor
from .affine import (
    compute_quantization_parameters,
    dequantize_with_sz_map,
    quantize_with_sz_map,
)
from .config import AWQConfig
from .layer_calibrator import LayerCalibrator

__all__ = ["AWQ", "awq_quantize_matrix", "awq_search_optimal_scales"]


def _quantize(weights: Tensor, group_size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return levels, scales, zero points, and the group of each column."""
    columns = weights.shape[1]
    scale, zero, maxq = compute_quantization_parameters(
        weights, bits=4, per_channel=True, group_size=group_size
    )
    size = columns if group_size == -1 else group_size
    groups = torch.arange(columns, device=weights.device) // size
    return quantize_with_sz_map(weights, scale, zero, groups, maxq), scale, zero, groups


def awq_search_optimal_scales(
    weights: Any, activation_magnitudes: Any, *, num_grid_points: int = 20, group_size: int = -1
) -> Tensor:
    """Return the scales of the columns that make the error of the outputs least.

    Args:
        weights: The weights.
        activation_magnitudes: The largest magnitude of each input.
        num_grid_points: How many powers of them to try, besides the zeroth.
        group_size: Columns that share a scale of the quantization; -1 for all.

    Shapes:
        weights: `(O, I)`. activation_magnitudes, result: `(I,)`.
    """
    weights = as_tensor(weights)
    largest = as_tensor(activation_magnitudes).to(weights.device, torch.float32)
    largest = torch.where(largest < 1e-8, 1.0, largest)
    best = torch.ones_like(largest)
    least = torch.full((), torch.inf, device=weights.device)
    for i in range(num_grid_points + 1):
        scales = largest.pow(i / num_grid_points).clamp(min=1e-4)
        scales = scales / (scales.amax() * scales.amin()).sqrt().clamp(min=1e-8)
        levels, scale, zero, groups = _quantize(weights * scales, group_size)
        errors = weights - dequantize_with_sz_map(levels, scale, zero, groups) / scales
        loss = (errors * largest).square().mean()
        better = loss < least  # decided where the numbers are: no wait for the device
        best, least = torch.where(better, scales, best), torch.where(better, loss, least)
    return best


def awq_quantize_matrix(
    weights_transpose: Any,
    activation_magnitudes: Any,
    *,
    num_grid_points: int = 20,
    group_size: int = -1,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Quantize weights, scaled by what `awq_search_optimal_scales` finds.

    Args:
        weights_transpose: The weights.
        activation_magnitudes: The largest magnitude of each input.
        num_grid_points: How many powers of them to try, besides the zeroth.
        group_size: Columns that share a scale of the quantization; -1 for all.

    Shapes:
        weights_transpose: `(O, I)`. activation_magnitudes: `(I,)`.

    Returns: The levels `(O, I)`, scales and zero points `(O, G)`, the scales of the columns `(I,)`,
        and the group of each column, `(I,)` in float32.
    """
    weights = as_tensor(weights_transpose)
    scales = awq_search_optimal_scales(
        weights, activation_magnitudes, num_grid_points=num_grid_points, group_size=group_size
    )
    levels, scale, zero, groups = _quantize(weights * scales, group_size)
    return levels, scale, zero, scales, groups.float()


class AWQ(LayerCalibrator):
    """Calibrates one layer by the magnitudes of its inputs; see `LayerCalibrator`."""

    method = "AWQ"
    _mismatch = "activations"

    def __init__(self, layer: Any, config: AWQConfig | None = None) -> None:
        super().__init__(layer, config or AWQConfig(dataset=None, tokenizer=None))
        self.activation_magnitudes = torch.zeros(self.rows, device=self._device)

    def update_activation_magnitudes(self, input_batch: Any) -> None:
        """Note the largest magnitudes of a batch of inputs, `(…, I)`.

        Raises:
            ValueError: They are None, empty, or of another width than the kernel.
        """
        x = self._rows(input_batch)
        largest = x.abs().amax(0).to(self.activation_magnitudes.device)
        self.activation_magnitudes = torch.maximum(self.activation_magnitudes, largest)
        self.num_samples += len(x)

    observe = update_activation_magnitudes

    def quantize_layer(self) -> None:
        """Quantize the kernel of the layer, which uses it from then on."""
        levels, scale, zero, awq_scales, g_idx = awq_quantize_matrix(
            self._weights(),
            self.activation_magnitudes,
            num_grid_points=self.config.num_grid_points,
            group_size=self.config.group_size,
        )
        self.original_layer.set_calibrated(
            levels,
            4,
            kernel_scale=scale,
            kernel_zero=zero,
            awq_scales=awq_scales,
            g_idx=g_idx,
        )

    calibrate = quantize_layer

    def free(self) -> None:
        """Forget the magnitudes and the layer."""
        del self.activation_magnitudes, self.layer
