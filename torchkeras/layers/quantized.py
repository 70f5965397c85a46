"""Weights in eight or four bits: how layers make, store, file and read them.

Letters: R rows, C columns, G groups. A weight is a matrix here, `(R, C)`; along one of its axes
numbers share a scale, the other is that of the channels. In int8 it is stored as it is, with a
scale per channel, by which integers are divided. In int4 pairs of neighbours share a byte; with
blocks there are a scale, by which integers are multiplied, and a zero point per block and channel,
and `g_idx` tells the block of each index along the shared axis.

`Quantizable` is what `Dense`, `EinsumDense` and the embeddings share, `integer_product` the
product of quantized inputs with such a matrix. What is packed lies under `_kernel`, say, so that
`kernel` can be the unpacked matrix.
Source: Jacob et al. 2018; Keras 3 (formats of weights and files, semantics).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..dtype_policies import Int4DTypePolicy
from ..dtypes import to_torch
from ..naming import explain
from ..quantizers.affine import dequantize_blocks, dequantize_with_sz_map
from ..quantizers.config import Int4QuantizationConfig, QuantizationConfig
from ..quantizers.int4 import pack_int4, unpack_int4
from ..quantizers.quantizer import AbsMaxQuantizer, abs_max_quantize_grouped_with_zero_point
from ..registry import deserialize_keras_object
from .lora import LoRA, own_weight
from .state import assign, assign_from

__all__ = ["Matrix", "Quantizable", "integer_product"]

_RANGES = {"int8": (-127, 127), "int4": (-8, 7)}


class Matrix(NamedTuple):
    """A weight that is quantized as a matrix.

    Attributes:
        name: Of the weight.
        shape: Of the matrix, floating.
        shared: The axis along which numbers share a scale, 0 or 1.
        packed: The axis along which pairs of four-bit numbers share a byte.
        zero_dtype: Of the zero points; `None` for that of the layer's weights.
    """

    name: str
    shape: tuple[int, int]
    shared: int
    packed: int = 1
    zero_dtype: str | None = "int8"

    def quantize(
        self, weight: Tensor, mode: str, block: int | None, quantizer: Any
    ) -> dict[str, Tensor]:
        """Return what stands for the matrix: the values of its quantized weights, by name."""
        values: dict[str, Tensor] = {}
        if block is None:
            quantizer = quantizer or AbsMaxQuantizer(value_range=_RANGES[mode])
            integers, scale = quantizer(weight, axis=self.shared, to_numpy=True)
            values[f"{self.name}_scale"] = scale.squeeze(self.shared)
        else:
            parts = abs_max_quantize_grouped_with_zero_point(
                weight if self.shared == 0 else weight.t(), block, to_numpy=True
            )
            integers, scale, zero = (part if self.shared == 0 else part.t() for part in parts)
            values.update({f"{self.name}_scale": scale, f"{self.name}_zero": zero})
        values[self.name] = pack_int4(integers, self.packed)[0] if mode == "int4" else integers
        return values

    def unpack(self, packed: Tensor) -> Tensor:
        """Return the integers of a packed matrix."""
        return unpack_int4(packed, self.shape[self.packed], self.packed)


def _int8_product(inputs: Tensor, matrix: Tensor) -> Tensor:
    """Multiply integers in int8; where there is no kernel for it, in float32, that may round.

    Shapes:
        inputs: `(..., R)`. matrix: `(R, C)`. Result: `(..., C)`, in int32 or float32.
    """
    rows = inputs.reshape(-1, inputs.shape[-1])
    if rows.dtype is torch.int8 and matrix.dtype is torch.int8 and _has_int8_kernel(rows, matrix):
        products = torch._int_mm(rows, matrix)
    else:
        products = rows.float() @ matrix.float()
    return products.view(*inputs.shape[:-1], matrix.shape[1])


def _has_int8_kernel(rows: Tensor, matrix: Tensor) -> bool:
    kind = rows.device.type
    if kind == "cuda":  # cuBLAS wants whole tiles, and the matrix by columns
        (n, r), c = rows.shape, matrix.shape[1]
        return n > 16 and r >= 16 and r % 8 == 0 and c % 8 == 0 and matrix.stride(0) == 1
    return kind in ("cpu", "meta")


class _StraightThrough(torch.autograd.Function):
    """Outputs that rounded inputs gave, with the gradient as of inputs that were not rounded."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, outputs: Tensor, matrix: Tensor, scale: Tensor) -> Tensor:
        ctx.save_for_backward(matrix, scale)
        return outputs.view_as(outputs)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        matrix, scale = ctx.saved_tensors
        return upstream @ (matrix.to(upstream.dtype) / scale).t(), None, None, None


def integer_product(inputs: Tensor, matrix: Tensor, scale: Tensor, quantizer: Any) -> Tensor:
    """Multiply by a matrix of integers that stands for `matrix / scale`.

    Args:
        inputs: Floats.
        matrix: Integers in int8.
        scale: Of its columns.
        quantizer: What makes integers of the inputs; `None` to leave them floating.

    Shapes:
        inputs: `(..., R)`. matrix: `(R, C)`. scale: `(C,)`. Result: `(..., C)`.

    Gradients flow to the inputs only, as if they had not been rounded.
    """
    if quantizer is None:
        return (inputs @ matrix.to(inputs.dtype)) / scale
    integers, inputs_scale = quantizer(inputs.detach(), axis=-1)
    outputs = _int8_product(integers, matrix).to(inputs.dtype) / (scale * inputs_scale)
    if inputs.requires_grad and torch.is_grad_enabled():
        return _StraightThrough.apply(inputs, outputs, matrix, scale)
    return outputs


class Quantizable(LoRA):
    """Base of layers whose main weight, `_lora_target`, can be quantized.

    A subclass calls `_keep_quantization` in its constructor and `_build_target` in `build`, lists
    its matrices in `_matrices`, and defines `_int8_call` and so on for `_quantization_modes`.
    """

    quantization_config: Any
    g_idx: Tensor
    inputs_quantizer: Any = None
    # Axes of the inputs along which their numbers share a scale.
    _inputs_axes: tuple[int, ...] = (-1,)
    _quantization_modes: tuple[str, ...] = ("int8", "int4")
    # The shape of the floating weight; set where quantized ones are made.
    _float_shape: tuple[int, ...] = ()
    _main_matrix: Matrix
    _int4_block_size: int | None = None
    # Whether blocks are not runs of indices, as a file may have it.
    _has_mixed_blocks = False

    def _keep_quantization(self, config: Any) -> None:
        """Keep the constructor's argument `quantization_config`, which may be a serialized one."""
        if isinstance(config, dict):
            config = deserialize_keras_object(config)
        self.quantization_config = config

    def _matrices(self) -> list[Matrix]:
        """Return the weights that are quantized, the main one first."""
        raise NotImplementedError

    def _as_matrix(self, weight: Tensor, mode: str) -> Tensor:
        """Return the main weight, floating or in int8, as the matrix that is quantized."""
        return weight

    def _from_matrix(self, matrix: Tensor, mode: str) -> Tensor:
        """Return the main weight of the matrix."""
        return matrix

    def _int8_layout(self, matrix: Matrix) -> tuple[int, ...] | None:
        """Return the axes of a weight as they follow each other in memory: columns first."""
        return (1, 0) if matrix.shared == 0 else None

    def _int8_scale_shape(self, matrix: Matrix) -> tuple[int, ...]:
        return (matrix.shape[1 - matrix.shared],)

    # Making quantized weights --------------------------------------------------------------------

    def _build_target(self, shape: Sequence[int], make: Callable[[Sequence[int]], Tensor]) -> None:
        """Make the main weight as the policy wants it: quantized, floating, or both.

        Args:
            shape: Its shape.
            make: Makes the floating weight.
        """
        mode = self.quantization_mode
        if mode is not None:
            self.quantized_build(shape, mode, self.quantization_config)
        if mode in (None, "float8"):
            setattr(self, self._lora_target, make(shape))

    def quantized_build(self, kernel_shape: Any, mode: str, config: Any = None) -> None:
        """Make the weights of a mode, without values.

        Args:
            kernel_shape: The shape of the floating weight.
            mode: How it is quantized.
            config: A `QuantizationConfig`, or `None` for what the dtype policy says.

        Raises:
            NotImplementedError: The layer has no such mode.
        """
        if mode not in self._quantization_modes:
            raise self._quantization_mode_error(mode)
        self._keep_shape(kernel_shape)
        getattr(self, f"_{mode}_build")(config)
        self.__dict__["_is_quantized"] = True

    def _keep_shape(self, shape: Sequence[int]) -> None:
        """Note the shape of the floating weight, and what follows from it."""
        self._float_shape = tuple(shape)
        self.__dict__["_main_matrix"] = self._matrices()[0]

    def _int8_build(self, config: Any) -> None:
        self.inputs_quantizer = QuantizationConfig.activation_quantizer_or_default(
            config, AbsMaxQuantizer()
        )
        for i, matrix in enumerate(self._matrices()):
            shape = matrix.shape if i else self._float_shape
            self._add_integers(matrix.name, shape, layout=self._int8_layout(matrix))
            self._add_scale(matrix.name, self._int8_scale_shape(matrix))

    def _int4_build(self, config: Any) -> None:
        self.inputs_quantizer = QuantizationConfig.activation_quantizer_or_default(config, None)
        self._int4_block_size = self._block_size(config)
        block = _as_block(self._int4_block_size)
        self._orig_output_dim = self._main_matrix.shape[1]
        for i, matrix in enumerate(self._matrices()):
            name, shape, shared = matrix.name, list(matrix.shape), matrix.shared
            stored = [*shape]
            stored[matrix.packed] = (shape[matrix.packed] + 1) // 2
            self._add_integers(name, stored, attribute=f"_{name}" if i == 0 else name)
            if block is None:
                self._add_scale(name, (shape[1 - shared],))
                continue
            parameters = [*shape]
            parameters[shared] = math.ceil(shape[shared] / block)
            self._add_scale(name, parameters)
            zero = self._add_fixed(f"{name}_zero", parameters, "zeros", matrix.zero_dtype)
            setattr(self, f"{name}_zero", zero)
            if i == 0:
                numbers = functools.partial(_block_numbers, block=block)
                self.g_idx = self._add_fixed("g_idx", (shape[shared],), numbers, "float32")

    def _add_fixed(
        self, name: str, shape: Sequence[int], initializer: Any, dtype: Any = None, **options: Any
    ) -> Tensor:
        """Make a weight that is not trained."""
        return self.add_weight(
            name=name,
            shape=tuple(shape),
            initializer=initializer,
            dtype=dtype,
            trainable=False,
            **options,
        )

    def _add_integers(
        self, name: str, shape: Sequence[int], attribute: str | None = None, layout: Any = None
    ) -> None:
        weight = self._add_fixed(name, shape, "zeros", "int8", layout=layout)
        setattr(self, attribute or name, weight)

    def _add_scale(self, name: str, shape: Sequence[int]) -> None:
        name = f"{name}_scale"
        setattr(self, name, self._add_fixed(name, shape, "ones"))

    def _block_size(self, config: Any) -> int | None:
        """Return the block size that a config asks for, or else the policy; `None` for neither."""
        if isinstance(config, Int4QuantizationConfig):
            return config.block_size
        policy = self._policy_in_force()
        return _as_block(policy.block_size) if isinstance(policy, Int4DTypePolicy) else None

    # Quantizing ----------------------------------------------------------------------------------

    def quantize(
        self, mode: str | None = None, type_check: bool = True, config: Any = None
    ) -> None:
        """Replace the weights by quantized ones, once and for all; see `Layer.quantize`."""
        if type_check and not self._static_masks:  # a subclass of somebody else
            raise self._not_implemented_error(
                self.quantize, "Pass `type_check=False` if it computes as its base does."
            )
        if mode not in self._quantization_modes:
            raise self._quantization_mode_error(mode)
        self.quantization_config = config
        shape = own_weight(self, self._lora_target).shape
        self._keep_shape(shape)
        values = self._quantized_values(mode, config)
        for name in values:
            if name in self._parameters:
                self._untrack_variable(self._parameters[name])
        self.quantized_build(shape, mode, config)
        for name, value in self._in_stored_form(values, mode).items():
            assign(own_weight(self, name), value)
        policy = self._policy_in_force()
        if policy.quantization_mode is None:
            self.dtype_policy = f"{self._policy_prefix(mode, config)}_from_{policy.name}"

    def _policy_prefix(self, mode: str, config: Any) -> str:
        """Return the mode as names of policies have it, with its numbers."""
        if mode == "int4":
            return f"int4/{_as_block(self._int4_block_size) or -1}"
        return mode

    def _quantized_values(self, mode: str, config: Any) -> dict[str, Tensor]:
        """Quantize the layer's floating weights."""
        values: dict[str, Tensor] = {}
        if mode not in _RANGES:
            return values
        block = _as_block(self._block_size(config)) if mode == "int4" else None
        quantizer = QuantizationConfig.weight_quantizer_or_default(config, None)
        for i, matrix in enumerate(self._matrices()):
            weight = own_weight(self, matrix.name).detach()
            weight = weight if i else self._as_matrix(weight, mode)
            values.update(matrix.quantize(weight, mode, block, quantizer))
        return values

    def _in_stored_form(self, values: dict[str, Tensor], mode: str) -> dict[str, Tensor]:
        """Bring the values of the main weight's matrix into the shapes of the weights."""
        name = self._lora_target
        if mode == "int8":
            scale = values[f"{name}_scale"].reshape(self._int8_scale_shape(self._main_matrix))
            values = {**values, name: self._from_matrix(values[name], mode), f"{name}_scale": scale}
        return values

    # Reading -------------------------------------------------------------------------------------

    def _absent_weight(self, name: str) -> Tensor:
        if self.quantization_mode == "int4":
            return self._from_matrix(self._integers(), "int4")
        return super()._absent_weight(name)

    def _integers(self) -> Tensor:
        """Return the integers of the main weight, as a matrix."""
        weight = own_weight(self, self._lora_target)
        if self.quantization_mode == "int8":
            return self._as_matrix(weight, "int8")
        return self._main_matrix.unpack(weight)

    def _dequantized(self) -> Tensor:
        """Return the main weight in floats, in the compute dtype."""
        matrix, dtype = self._main_matrix, to_torch(self.compute_dtype)
        name, shared = matrix.name, matrix.shared
        integers, scale = self._integers(), getattr(self, f"{name}_scale")
        if f"{name}_zero" in self._parameters:
            weight = self._of_blocks(integers, scale, getattr(self, f"{name}_zero"), shared)
        else:
            weight = integers.to(dtype) / scale.reshape(-1).unsqueeze(shared)
        return self._from_matrix(weight.to(dtype), self.quantization_mode)

    def _of_blocks(self, integers: Tensor, scale: Tensor, zero: Tensor, axis: int) -> Tensor:
        """Return the floats that integers in four bits with blocks stand for."""
        block = _as_block(self._int4_block_size)
        if axis or self._has_mixed_blocks or block is None:
            return dequantize_with_sz_map(integers, scale, zero, self.g_idx, axis)
        return dequantize_blocks(integers, scale, zero, block)

    def _rounded(self, inputs: Tensor) -> Tensor:
        """Return inputs as their quantizer rounds them; gradients pass as if it did not."""
        if self.inputs_quantizer is None:
            return inputs
        integers, scale = self.inputs_quantizer(inputs.detach(), axis=self._inputs_axes)
        return inputs + (integers.to(inputs.dtype) / scale - inputs).detach()

    # Adapters ------------------------------------------------------------------------------------

    def enable_lora(
        self,
        rank: int,
        lora_alpha: float | None = None,
        a_initializer: Any = "he_uniform",
        b_initializer: Any = "zeros",
    ) -> None:
        """Freeze the main weight and train low-rank adapters of it instead; see `LoRA`.

        Raises:
            NotImplementedError: The layer is quantized in a mode that is calibrated by data.
        """
        if self.quantization_mode in ("gptq", "awq"):
            raise NotImplementedError(
                f"lora is not supported with {self.quantization_mode.upper()} quantization. Enable"
                " it in a layer quantized to int8 or int4."
            )
        super().enable_lora(rank, lora_alpha, a_initializer, b_initializer)

    def _target_shape(self) -> tuple[int, ...]:
        return self._float_shape or super()._target_shape()

    def _with_adapters(self, outputs: Tensor, adapted: Tensor) -> Tensor:
        """Add what the adapters make of the inputs to what the frozen weight makes of them."""
        scale = self.lora_alpha / self.lora_rank
        return torch.add(outputs, adapted, alpha=scale).to(to_torch(self.compute_dtype))

    # Files ---------------------------------------------------------------------------------------

    @property
    def variable_serialization_spec(self) -> dict[str | None, list[str]]:
        """The weights that files hold for each mode, in order, as far as the layer has them."""
        raise NotImplementedError

    def _filed_names(self) -> list[str]:
        mode = self.quantization_mode
        names = self.variable_serialization_spec.get(mode)
        if names is None:
            raise self._quantization_mode_error(mode)
        return [name for name in names if self._has(name)]

    def _has(self, name: str) -> bool:
        return any(self._parameters.get(key) is not None for key in (name, f"_{name}"))

    def save_own_variables(self, store: Any) -> None:
        """Put the weights into a dict-like store, adapters added to the weight they adapt."""
        mode = self.quantization_mode
        if mode is None or not self.built:
            super().save_own_variables(store)
            return
        merged = self._merged_values(mode) if self.lora_enabled and mode in _RANGES else {}
        for i, name in enumerate(self._filed_names()):
            store[str(i)] = merged.get(name, own_weight(self, name))

    def _merged_values(self, mode: str) -> Mapping[str, Tensor]:
        """Quantize the main weight anew, with its adapters."""
        matrix = self._main_matrix
        with torch.no_grad():
            weight = self._as_matrix(self._adapted(self._dequantized()), mode)
            block = _as_block(self._int4_block_size) if mode == "int4" else None
            return self._in_stored_form(matrix.quantize(weight, mode, block, None), mode)

    def load_own_variables(self, store: Any) -> None:
        """Take the weights from a store; adapters, if there are any, start at zero.

        Raises:
            ValueError: The store has another number of them, or a shape differs.
        """
        if self.quantization_mode is None or not self.built:
            super().load_own_variables(store)
            return
        names = self._filed_names()
        if not self.lora_enabled and len(store.keys()) != len(names):
            raise ValueError(
                explain(
                    f"Layer '{self.name}' expected {len(names)} variables, but received"
                    f" {len(store.keys())} variables during loading.",
                    expected=names,
                    quantization_mode=self.quantization_mode,
                    fix="quantize the model as the one that was saved.",
                )
            )
        assign_from(store, [own_weight(self, name) for name in names])
        if self._int4_block_size is not None and "g_idx" in names:
            groups = torch.arange(len(self.g_idx), device=self.g_idx.device)
            regular = torch.equal(self.g_idx.int(), (groups // self._int4_block_size).int())
            self.__dict__["_has_mixed_blocks"] = not regular
        self._reset_adapters()


def _as_block(size: int | None) -> int | None:
    """Return a block size with `None` for whole channels."""
    return None if size == -1 else size


def _block_numbers(shape: Sequence[int], dtype: Any, block: int) -> Tensor:
    """Number the blocks: the first value of `g_idx`."""
    return (torch.arange(*shape) // block).to(to_torch(dtype))
