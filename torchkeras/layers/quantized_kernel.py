"""Quantized `Dense` and `EinsumDense`: what they compute, and the modes that only kernels have.

Letters: R rows (inputs), C columns (outputs), G groups of rows. A kernel is a matrix `(R, C)`. In
`float8` it stays floating, and the factors of the product are rounded to eight-bit floats; scales
and histories of magnitudes are weights that the optimizer sets to their gradients. In `gptq` and
`awq` the transposed matrix `(C, R)` is stored in few bits with a scale and a zero point per group;
until the data has been seen that it is calibrated by, the floating kernel is there too, and used.
Sources: Micikevicius et al. 2022, Frantar et al. 2022, Lin et al. 2023; Keras 3 (formats).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..activations import KERNELS, linear
from ..dtype_policies import QuantizedFloat8DTypePolicy
from ..dtypes import to_torch
from ..graph.context import CONTEXT
from ..naming import explain
from ..quantizers.affine import dequantize_with_sz_map
from ..quantizers.float8 import (
    compute_float8_amax_history,
    compute_float8_scale,
    quantize_and_dequantize,
)
from ..quantizers.int4 import pack_int4, unpack_int4
from .lora import own_weight
from .quantized import Matrix, Quantizable, integer_product
from .state import assign

__all__ = ["QuantizedKernel"]

_E4M3, _E5M2 = "float8_e4m3fn", "float8_e5m2"
# Weights of the factors of a product in float8, and of the gradient of its result.
_FLOAT8 = tuple(
    f"{factor}_{part}"
    for factor in ("inputs", "kernel", "outputs_grad")
    for part in ("scale", "amax_history")
)
_CALIBRATED = ("quantized_kernel", "kernel_scale", "kernel_zero")


def _next_scale(history: Tensor, scale: Tensor, dtype: str) -> Tensor:
    return compute_float8_scale(history.amax(0), scale, torch.finfo(to_torch(dtype)).max)


class _Float8Factor(torch.autograd.Function):
    """A factor rounded to float8; the gradients of scale and history are their next values."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, history: Tensor, training: bool, dtype: str
    ) -> Tensor:
        ctx.updates = (None, None)
        if training:
            next_history = compute_float8_amax_history(x, history)
            ctx.updates = (_next_scale(history, scale, _E4M3), next_history)
        return quantize_and_dequantize(x, scale, _E4M3, dtype)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Any, ...]:
        return upstream, *ctx.updates, None, None


class _Float8Gradient(torch.autograd.Function):
    """The outputs as they are, with their gradient rounded to float8."""

    @staticmethod
    def forward(ctx: Any, outputs: Tensor, scale: Tensor, history: Tensor, dtype: str) -> Tensor:
        ctx.save_for_backward(scale, history)
        ctx.dtype = dtype
        return outputs.view_as(outputs)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Any, ...]:
        scale, history = ctx.saved_tensors
        rounded = quantize_and_dequantize(upstream, scale, _E5M2, ctx.dtype)
        next_history = compute_float8_amax_history(upstream, history)
        return rounded, _next_scale(history, scale, _E5M2), next_history, None


def _calibration_of(mode: str) -> property:
    """Make the property that tells whether a layer is calibrated in a mode; it can be set."""

    def is_calibrated(self: QuantizedKernel) -> bool:
        return self.quantization_mode == mode and self._calibrated

    def set_calibrated(self: QuantizedKernel, value: bool) -> None:
        if value:
            self._forget_kernel()

    return property(is_calibrated, set_calibrated, doc=f"Whether {mode} has seen its data.")


class QuantizedKernel(Quantizable):
    """Base of layers that multiply by a `kernel`, which may be quantized.

    A subclass whose kernel is a matrix as it lies in memory says how many of the last axes of the
    inputs it meets (`_summed_axes`), and what axes take their place (`_new_axes`). With
    `_summed_axes = 0` it defines `_product` and `_adapter_product` for kernels of any shape.
    """

    bias: Tensor | None
    activation: Callable[[Tensor], Tensor] | None
    kernel_scale: Tensor
    kernel_zero: Tensor
    quantized_kernel: Tensor
    awq_scales: Tensor
    _quantization_modes = ("int8", "int4", "float8", "gptq", "awq")
    _summed_axes = 1
    _new_axes: tuple[int, ...] = ()
    # How the zero points of calibrated modes are named in paths.
    _zero_name = "kernel_zero"

    def _matrices(self) -> list[Matrix]:
        return [Matrix("kernel", self._matrix_size(), shared=0)]

    def _matrix_size(self) -> tuple[int, int]:
        """Return the size of the kernel as a matrix."""
        r, c = self._float_shape
        return r, c

    @property
    def variable_serialization_spec(self) -> dict[str | None, list[str]]:
        """The weights that files hold for each mode, in order, as far as the layer has them."""
        return {
            None: ["kernel", "bias"],
            "int8": ["kernel", "bias", "kernel_scale"],
            "int4": ["kernel", "bias", "kernel_scale", "kernel_zero", "g_idx"],
            "float8": ["kernel", "bias", *_FLOAT8],
            "gptq": ["bias", *_CALIBRATED, "g_idx"],
            "awq": ["bias", *_CALIBRATED, "awq_scales", "g_idx"],
        }

    # Parts of a call -----------------------------------------------------------------------------

    def _as_rows(self, inputs: Tensor) -> Tensor:
        """Return floating inputs with the summed axes as one, the last."""
        if not inputs.is_floating_point():
            inputs = inputs.to(to_torch(self.compute_dtype))
        return inputs if self._summed_axes <= 1 else inputs.flatten(-self._summed_axes)

    def _as_outputs(self, rows: Tensor) -> Tensor:
        """Return `(..., C)` with the kernel's axes in place of C."""
        axes = self._new_axes
        return rows if len(axes) == 1 else rows.reshape(rows.shape[:-1] + axes)

    def _product(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        """Multiply by a floating kernel."""
        matrix = kernel.reshape(-1, math.prod(self._new_axes))
        return self._as_outputs(torch.matmul(self._as_rows(inputs), matrix))

    def _adapter_product(self, inputs: Tensor) -> Tensor:
        """Multiply by the adapters."""
        a, b = self._adapters()
        axes = (*self._new_axes[:-1], a.shape[-1])
        rows = torch.matmul(self._as_rows(inputs), a.reshape(-1, math.prod(axes)))
        return torch.matmul(rows.unflatten(-1, axes), b)

    def _finish(self, inputs: Tensor, outputs: Tensor, bias: Tensor | None) -> Tensor:
        """Add adapters and bias, and activate."""
        if self.lora_enabled:
            outputs = self._with_adapters(outputs, self._adapter_product(inputs))
        if bias is not None:
            outputs = outputs + bias
        activation = self.activation
        if activation is linear or activation is None:
            return outputs
        return KERNELS.get(activation, activation)(outputs)

    # Calls, one for each mode --------------------------------------------------------------------

    def _int8_call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if self._summed_axes == 0 or "kernel_zero" in self._parameters:
            outputs = self._product(self._rounded(inputs), self._dequantized())
        else:
            rows, scale = self._as_rows(inputs), self.kernel_scale.reshape(-1)
            products = integer_product(rows, self._integers(), scale, self.inputs_quantizer)
            outputs = self._as_outputs(products)
        return self._finish(inputs, outputs, self.bias)

    _int4_call = _int8_call

    def _float8_call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if self.lora_enabled:
            raise NotImplementedError(
                "Layers with LoRA cannot compute in float8. Use int8 or int4, or leave LoRA out."
            )
        if training is None:
            training = self.training if CONTEXT.training is None else CONTEXT.training
        dtype = self.compute_dtype
        scales = [getattr(self, name) for name in _FLOAT8]
        factors = (inputs, *scales[:2]), (self._unadapted(), *scales[2:4])
        rounded = [_Float8Factor.apply(*factor, training, dtype) for factor in factors]
        outputs = _Float8Gradient.apply(self._product(*rounded), *scales[4:], dtype)
        bias = self.bias
        if bias is not None and dtype == "float32":
            bias = bias.to(torch.bfloat16).to(bias.dtype)  # as fused kernels for float8 add it
        return self._finish(inputs, outputs, bias)

    def _gptq_call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if not self._calibrated:
            return self.call(inputs)
        return self._finish(inputs, self._product(inputs, self._calibrated_kernel()), self.bias)

    _awq_call = _gptq_call

    # float8 --------------------------------------------------------------------------------------

    def _float8_build(self, config: Any) -> None:
        policy = self._policy_in_force()
        default = QuantizedFloat8DTypePolicy.default_amax_history_length
        length = getattr(policy, "amax_history_length", default)
        for name in _FLOAT8:
            scale = name.endswith("scale")
            weight = self.add_weight(
                name=name,
                shape=() if scale else (length,),
                initializer="ones" if scale else "zeros",
                dtype="float32",
                autocast=False,
                overwrite_with_gradient=True,
            )
            setattr(self, name, weight)

    # Calibrated modes ----------------------------------------------------------------------------

    def _gptq_build(self, config: Any) -> None:
        self._calibrated_build(config)

    def _awq_build(self, config: Any) -> None:
        self._calibrated_build(config)

    def _calibrated_build(self, config: Any) -> None:
        (r, c), (bits, group) = self._calibrated_size(), self._bits_and_group(config)
        groups = 1 if group == -1 else math.ceil(r / group)
        self.quantized_kernel = self._add_fixed(
            "kernel", ((c + 1) // 2 if bits == 4 else c, r), "zeros", "uint8"
        )
        self.kernel_scale = self._add_fixed("kernel_scale", (c, groups), "ones")
        self.kernel_zero = self._add_fixed(self._zero_name, (c, groups), "zeros", "uint8")
        if "awq" in (self.quantization_mode, getattr(config, "mode", None)):
            self.awq_scales = self._add_fixed("awq_scales", (r,), "ones")
        self.g_idx = self._add_fixed("g_idx", (r,), "zeros", "float32")

    def _calibrated_size(self) -> tuple[int, int]:
        """Return rows and columns of the kernel as calibrated modes see it."""
        return self._matrix_size()

    def _bits_and_group(self, config: Any) -> tuple[int, int]:
        """Return the width of the stored numbers and the size of groups, by config or policy."""
        source = self._policy_in_force() if config is None else config
        try:
            return source.weight_bits, source.group_size
        except AttributeError:
            raise ValueError(
                explain(
                    f"Layer '{self.name}': the group size of this quantization must be specified.",
                    given=repr(source),
                    fix="pass a `GPTQConfig` or `AWQConfig`, or use a dtype policy such as"
                    " 'gptq/4/128_from_float32'.",
                )
            ) from None

    def _policy_prefix(self, mode: str, config: Any) -> str:
        calibrated = mode in ("gptq", "awq")
        return config.dtype_policy_string() if calibrated else super()._policy_prefix(mode, config)

    @property
    def _calibrated(self) -> bool:
        """Whether the floating kernel is gone: what is calibrated, or awaits values from a file."""
        return "kernel" not in self._parameters

    is_gptq_calibrated = _calibration_of("gptq")
    is_awq_calibrated = _calibration_of("awq")

    def _unpacked_kernel(self) -> Tensor:
        """Return the integers of a calibrated kernel, `(C, R)`."""
        c = self._calibrated_size()[1]
        packed = self.quantized_kernel
        return packed if len(packed) == c else unpack_int4(packed, c, 0, "uint8")

    def _calibrated_kernel(self) -> Tensor:
        """Return a calibrated kernel in floats."""
        levels = self._unpacked_kernel()
        kernel = dequantize_with_sz_map(levels, self.kernel_scale, self.kernel_zero, self.g_idx).t()
        if self.quantization_mode == "awq":
            kernel = kernel / self.awq_scales[:, None]
        return kernel.reshape(self._float_shape)

    def _absent_weight(self, name: str) -> Tensor:
        if "quantized_kernel" in self._parameters:
            return self._unpacked_kernel()
        return super()._absent_weight(name)

    def kernel_to_calibrate(self) -> Tensor:
        """Return the floating kernel as a matrix `(R, C)`, for `quantizers.gptq` and `awq`."""
        kernel = own_weight(self, "kernel").detach()
        self._keep_shape(kernel.shape)
        return kernel.reshape(self._calibrated_size())

    def rows_to_calibrate(self, inputs: Tensor) -> Tensor:
        """Return inputs with the axes that meet the rows of the kernel as one, the last."""
        return self._as_rows(inputs)

    def set_calibrated(self, levels: Tensor, bits: int, **parameters: Tensor) -> None:
        """Take what calibration made, in place of the floating kernel.

        Args:
            levels: The integers, `(C, R)`.
            bits: Of the integers.
            parameters: Values of the other weights, by name.
        """
        levels = levels.to(torch.uint8)
        assign(self.quantized_kernel, pack_int4(levels, 0, "uint8")[0] if bits == 4 else levels)
        for name, value in parameters.items():
            assign(getattr(self, name), value)
        self._forget_kernel()

    def _forget_kernel(self) -> None:
        """Use the quantized kernel from here on."""
        if "kernel" in self._parameters:
            self._untrack_variable(self._parameters["kernel"])

    def save_own_variables(self, store: Any) -> None:
        """Put the weights into a store; of calibrated modes, the quantized ones only.

        Raises:
            ValueError: The layer awaits its data, without which it has no quantized weights.
        """
        if self.quantization_mode in ("gptq", "awq") and self.built and not self._calibrated:
            raise ValueError(
                explain(
                    f"Layer '{self.name}' is to be quantized by {self.quantization_mode.upper()},"
                    " but has not seen the data for it. Files hold quantized weights only.",
                    fix="call `model.quantize(config=…)` with a dataset, before saving.",
                )
            )
        super().save_own_variables(store)

    def load_own_variables(self, store: Any) -> None:
        """Take the weights from a store; files hold calibrated layers only."""
        super().load_own_variables(store)
        if self.built and self.quantization_mode in ("gptq", "awq"):
            self._forget_kernel()
