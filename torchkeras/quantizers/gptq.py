"""GPTQ: weights in few bits, rounded one input after the other, each making up for those before.

Letters: O outputs, I inputs, G groups, N samples. Weights are `(O, I)`, the transposed kernel. With
inputs `X (N, I)`, the error of a product depends on the rounding of its weights by the Hessian
`2/N X^T X`; what rounding a column costs is spread over the columns that follow, in the proportions
that its inverse says. Keras takes these from the inverse as it is, `GPTQ` here as the paper does,
from its Cholesky factor, for about a third of the error.
Source: Frantar et al. 2022; Keras 3 (classes, formats).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..dtypes import as_tensor
from ..naming import explain
from .affine import (
    compute_quantization_parameters,
    dequantize_with_zero_point,
    quantize_with_zero_point,
)
from .config import GPTQConfig
from .layer_calibrator import LayerCalibrator
from .quantizer import Quantizer

__all__ = ["GPTQ", "GPTQQuantizer", "gptq_quantize_matrix"]


class GPTQQuantizer(Quantizer):
    """Finds scales and zero points for a matrix as a `GPTQConfig` says.

    Args:
        config: The config.
        compute_dtype: Dtype of the greatest level.
    """

    def __init__(self, config: GPTQConfig | None = None, compute_dtype: Any = "float32") -> None:
        super().__init__()
        config = config or GPTQConfig(dataset=None, tokenizer=None)
        self.weight_bits = config.weight_bits
        self.per_channel = config.per_channel
        self.symmetric = config.symmetric
        self.group_size = config.group_size
        self.compute_dtype = compute_dtype
        self.scale: Tensor | None = None
        self.zero: Tensor | None = None
        self.maxq: Tensor | None = None

    def find_params(self, input_tensor: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Return scale, zero point and greatest level for a matrix, and keep them."""
        self.scale, self.zero, self.maxq = compute_quantization_parameters(
            input_tensor,
            bits=self.weight_bits,
            symmetric=self.symmetric,
            per_channel=self.per_channel,
            group_size=self.group_size,
            compute_dtype=self.compute_dtype,
        )
        return self.scale, self.zero, self.maxq

    def get_config(self) -> dict[str, Any]:
        """Return the settings."""
        names = ("weight_bits", "per_channel", "symmetric", "group_size")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> GPTQQuantizer:
        """Make one from what `get_config` returned."""
        return cls(GPTQConfig(dataset=None, tokenizer=None, **config))


_FOUR_BITS = functools.partial(compute_quantization_parameters, bits=4, per_channel=True)


def _stable_permutation(metric: Any) -> Tensor:
    """Return the order of falling `metric`; equal ones stay as they are."""
    return torch.argsort(as_tensor(metric), descending=True, stable=True)


def gptq_quantize_matrix(
    weights_transpose: Any,
    inv_hessian: Any,
    *,
    blocksize: int = 128,
    group_size: int = -1,
    activation_order: bool = False,
    order_metric: Any = None,
    compute_scale_zero: Callable[[Tensor], tuple[Any, Any, Any]] | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Quantize weights column by column, spreading each column's error over those that follow.

    Args:
        weights_transpose: The weights.
        inv_hessian: In row j, from the diagonal on, how the error of column j is spread.
        blocksize: Columns whose errors reach the columns beyond them together.
        group_size: Columns that share scales; -1 for all.
        activation_order: Whether to begin with the columns of greatest `order_metric`.
        order_metric: A number for each column. Default: the inverse diagonal of `inv_hessian`.
        compute_scale_zero: Returns scale, zero point and greatest level for columns. Default: of
            four bits, for each row.

    Shapes:
        weights_transpose: `(O, I)`. inv_hessian: `(I, I)`.

    Returns: The levels `(O, I)` in int32, scales and zero points `(O, G)`, and the group of each
        column, `(I,)` in float32.
    """
    weights, inverse = as_tensor(weights_transpose), as_tensor(inv_hessian)
    find = compute_scale_zero or _FOUR_BITS
    columns = weights.shape[1]
    order = torch.arange(columns, device=weights.device)
    if activation_order:
        metric = 1 / (inverse.diagonal() + 1e-12) if order_metric is None else order_metric
        order = _stable_permutation(torch.nan_to_num(as_tensor(metric).float(), 0.0, 0.0, 0.0))
        inverse = inverse[order][:, order]
    weights = weights[:, order].clone()
    levels = torch.empty_like(weights, dtype=torch.int32)
    group = columns if group_size == -1 else group_size
    scales, zeros = [], []
    for start in range(0, columns, blocksize):
        end = min(start + blocksize, columns)
        block, spread = weights[:, start:end].clone(), inverse[start:end, start:end]
        errors = torch.empty_like(block)
        for i in range(end - start):
            if (start + i) % group == 0:
                scale, zero, maxq = find(weights[:, start + i : start + i + group])
                scales.append(scale)
                zeros.append(zero)
            column = block[:, i : i + 1]
            level = quantize_with_zero_point(column, scale, zero, maxq)
            levels[:, start + i] = level[:, 0]
            error = (column - dequantize_with_zero_point(level, scale, zero)) / spread[i, i]
            errors[:, i : i + 1] = error
            block[:, i + 1 :] -= error * spread[i, i + 1 :]
        weights[:, end:] -= errors @ inverse[start:end, end:]
    groups = (torch.arange(columns, device=weights.device) // group).float()
    back = torch.argsort(order)
    return levels[:, back], torch.cat(scales, 1), torch.cat(zeros, 1), groups[back]


def _spread(hessian: Tensor) -> Tensor:
    """Return how the error of each column is spread, columns before it being fixed already.

    Row j of the inverse Hessian tells it for the first column. After each column its row and column
    are eliminated from the Hessian; the Cholesky factor of the inverse holds what row j is then.

    Raises:
        ValueError: The Hessian is singular.
    """
    try:
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(hessian))
        return torch.linalg.cholesky(inverse, upper=True)
    except torch.linalg.LinAlgError as error:
        raise ValueError(
            explain(
                f"GPTQ: the Hessian of a layer's inputs cannot be inverted: {error}",
                fix="use more or other calibration data, or a greater `hessian_damping`.",
            )
        ) from error


class GPTQ(LayerCalibrator):
    """Calibrates one layer by the Hessian of its inputs; see `LayerCalibrator`."""

    method = "GPTQ"
    _mismatch = "dimensions of the Hessian"

    def __init__(self, layer: Any, config: GPTQConfig | None = None) -> None:
        super().__init__(layer, config or GPTQConfig(dataset=None, tokenizer=None))
        self.quantizer = GPTQQuantizer(self.config, compute_dtype=layer.variable_dtype)
        self.hessian = torch.zeros(self.rows, self.rows, device=self._device)

    def update_hessian_with_batch(self, input_batch: Any) -> None:
        """Take a batch of inputs, `(…, I)`, into the mean that the Hessian is.

        Raises:
            ValueError: They are None, empty, or of another width than the kernel.
        """
        x = self._rows(input_batch)
        gram = x.t() @ x
        total = self.num_samples + len(x)
        mean = (gram + gram.t()) / total  # twice the mean of the symmetric part
        self.hessian = self.hessian * (self.num_samples / total) + mean
        self.num_samples = total

    observe = update_hessian_with_batch

    def quantize_and_correct_layer(self, blocksize: int = 128) -> None:
        """Quantize the kernel of the layer, which uses it from then on.

        Args:
            blocksize: Columns whose errors reach the columns beyond them together.
        """
        weights, hessian = self._weights(), self.hessian.clone()
        diagonal = hessian.diagonal()
        diagonal[diagonal == 0] = 1.0  # inputs that were always zero
        diagonal += self.config.hessian_damping * diagonal.mean()
        order = torch.arange(self.rows, device=weights.device)
        if self.config.activation_order:
            order = _stable_permutation(diagonal)
        levels, scale, zero, g_idx = gptq_quantize_matrix(
            weights[:, order],
            _spread(hessian[order][:, order]),
            blocksize=blocksize,
            group_size=self.config.group_size,
            compute_scale_zero=self.quantizer.find_params,
        )
        back = torch.argsort(order)
        levels, g_idx = levels[:, back], g_idx[back]
        self.original_layer.set_calibrated(
            levels, self.config.weight_bits, kernel_scale=scale, kernel_zero=zero, g_idx=g_idx
        )

    calibrate = quantize_and_correct_layer

    def free(self) -> None:
        """Forget the Hessian and the layer."""
        del self.hessian, self.layer
