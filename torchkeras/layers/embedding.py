"""`Embedding`: rows of a trained matrix, picked by integer indices; `ReversibleEmbedding`.

Letters: V vocabulary size (`input_dim`), E width of a row (`output_dim`).
Sources: Keras 3 (arguments, masking, LoRA); Press & Wolf 2017 (one matrix both ways).
"""

from __future__ import annotations

import numbers
import warnings
from typing import Any

import torch
import torch.nn.functional as F

from ..constraints import get as get_constraint
from ..dtypes import as_tensor, result_type, to_torch
from ..graph.keras_tensor import KerasTensor
from ..initializers import get as get_initializer
from ..naming import explain
from ..quantizers.affine import dequantize_with_sz_map
from ..quantizers.config import QuantizationConfig
from ..quantizers.int4 import unpack_int4
from ..quantizers.quantizer import AbsMaxQuantizer
from ..registry import builtin
from ..regularizers import get as get_regularizer
from .lora import adapted_weight, own_weight, plain_weight
from .quantized import Matrix, Quantizable, integer_product

__all__ = ["Embedding", "ReversibleEmbedding"]

_INDEX_DTYPES = (torch.int64, torch.int32)


@builtin("keras.layers.Embedding")
class Embedding(Quantizable):
    """Replace each index by its row of the trained matrix `embeddings`.

    Args:
        input_dim: Number of rows; indices run from 0 to `input_dim - 1`, and negative ones, if at
            all, count from the end.
        output_dim: Length of a row.
        embeddings_initializer: Initial values of the matrix.
        embeddings_regularizer: Penalty on the matrix.
        embeddings_constraint: Projection of the matrix after each update.
        mask_zero: Whether index 0 is padding: later layers get a mask that is False there, and
            row 0 stands for no word.
        weights: The matrix to start from, `(input_dim, output_dim)`, or a list holding it.
        lora_rank: Freeze the matrix and train a correction of this rank instead.
        lora_alpha: The correction is scaled by `lora_alpha / lora_rank`. Default: `lora_rank`.
        quantization_config: How `quantize` quantizes the layer; a policy says that it does.
        input_length: Accepted for old code, with a warning; it has no effect.

    Shapes:
        inputs: integers of any shape `(...)`; other dtypes are truncated to int32.
        Result: `(..., output_dim)`.

    Raises:
        ValueError: A size is not a positive integer, or an index lies outside of the matrix (on a
            GPU the kernel itself stops with an assertion, also at negative indices).

    Example:
        >>> layer = Embedding(10, 4)
        >>> layer(torch.tensor([[1, 2, 3]])).shape
        torch.Size([1, 3, 4])
    """

    # The matrix given as `weights` is saved as a weight.
    _config_excludes = ("weights",)
    _lora_target = "embeddings"
    embeddings = adapted_weight("embeddings")
    _embeddings = plain_weight("embeddings")

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        input_dim = _positive_integer("input_dim", input_dim)
        output_dim = _positive_integer("output_dim", output_dim)
        if kwargs.pop("input_length", None) is not None:
            warnings.warn(
                "Embedding: `input_length` has no effect any more; leave it out.", stacklevel=2
            )
        super().__init__(**kwargs)
        self.input_dim = input_dim
        self.output_dim = output_dim
        self.embeddings_constraint = get_constraint(embeddings_constraint)
        self.embeddings_initializer = get_initializer(embeddings_initializer)
        self.embeddings_regularizer = get_regularizer(embeddings_regularizer)
        self.mask_zero = self.supports_masking = mask_zero
        self._creates_mask = bool(mask_zero)
        # Casting the few rows picked is cheaper than casting the whole matrix.
        self.autocast = False
        self._init_lora(lora_rank, lora_alpha)
        self._keep_quantization(quantization_config)
        if weights is not None:
            self.build()
            self.set_weights(weights if isinstance(weights, list) else [weights])

    def build(self, input_shape: Any = None) -> None:
        if self.built:
            return
        self._build_target((self.input_dim, self.output_dim), self._add_embeddings)
        self.built = True
        self._start_lora()

    def _add_embeddings(self, shape: Any) -> torch.Tensor:
        return self.add_weight(
            shape=shape,
            initializer=self.embeddings_initializer,
            name="embeddings",
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
        )

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        if inputs.dtype not in _INDEX_DTYPES:
            inputs = inputs.to(torch.int32)
        matrix = self._unadapted()
        try:
            outputs = torch.embedding(matrix, inputs)
        except IndexError as error:
            inputs = self._from_start(inputs, error)
            outputs = torch.embedding(matrix, inputs)
        if self.lora_enabled:
            # Of the adapters too only the rows picked, never the whole matrix.
            a, b = self._adapters()
            scale = self.lora_alpha / self.lora_rank
            outputs = torch.add(outputs, F.embedding(inputs, a) @ b, alpha=scale)
        dtype = to_torch(self.compute_dtype)
        return outputs if outputs.dtype is dtype else outputs.to(dtype)

    def _from_start(self, inputs: torch.Tensor, error: Exception) -> torch.Tensor:
        """Count negative indices from the end, as Keras does; runs only after the kernel failed.

        Raises:
            ValueError: An index lies outside of the matrix.
        """
        low, high = int(inputs.min()), int(inputs.max())
        if low >= -self.input_dim and high < self.input_dim:
            return torch.where(inputs < 0, inputs + self.input_dim, inputs)
        fix = f"use `input_dim={high + 1}` or more, or map rarer words to one common index."
        if low < 0:
            fix = "indices must not be negative; use 0 for padding, with `mask_zero=True`."
        raise ValueError(
            explain(
                f"Embedding '{self.name}': an index lies outside of the vocabulary.",
                given=f"indices from {low} to {high}",
                expected=f"indices from 0 to {self.input_dim - 1} (input_dim={self.input_dim})",
                fix=fix,
            )
        ) from error

    # Quantization --------------------------------------------------------------------------------

    def _matrices(self) -> list[Matrix]:
        return [Matrix("embeddings", (self.input_dim, self.output_dim), shared=1)]

    @property
    def variable_serialization_spec(self) -> dict[str | None, list[str]]:
        """The weights that files hold for each mode, in order, as far as the layer has them."""
        integers = ["embeddings", "embeddings_scale"]
        return {
            None: ["embeddings"],
            "int8": integers,
            "int4": [*integers, "embeddings_zero", "g_idx"],
        }

    def _int8_call(self, inputs: torch.Tensor) -> torch.Tensor:
        dtype = to_torch(self.compute_dtype)
        if inputs.dtype not in _INDEX_DTYPES:
            inputs = inputs.to(torch.int32)
        try:
            rows = F.embedding(inputs, own_weight(self, "embeddings"))
        except IndexError as error:
            inputs = self._from_start(inputs, error)
            rows = F.embedding(inputs, own_weight(self, "embeddings"))
        if self.quantization_mode == "int4":
            rows = unpack_int4(rows, self.output_dim, -1)
        scale = self.embeddings_scale[inputs]
        if "embeddings_zero" in self._parameters:
            zero = self.embeddings_zero[inputs]
            rows = dequantize_with_sz_map(rows.to(dtype), scale, zero, self.g_idx)
        else:
            rows = rows.to(dtype) / scale.unsqueeze(-1)
        if self.lora_enabled:
            a, b = self._adapters()
            return self._with_adapters(rows, F.embedding(inputs, a) @ b)
        return rows.to(dtype)

    _int4_call = _int8_call

    def quantized_build(self, embeddings_shape: Any, mode: str, config: Any = None) -> None:
        """Make the weights of a mode, without values; see `Quantizable`."""
        super().quantized_build(embeddings_shape, mode, config)

    def compute_mask(self, inputs: torch.Tensor, mask: Any = None) -> torch.Tensor | None:
        return as_tensor(inputs) != 0 if self.mask_zero else None

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return (*input_shape, self.output_dim)

    def compute_output_spec(self, inputs: Any, **kwargs: Any) -> Any:
        """Return the rows as a symbolic tensor."""
        return super().compute_output_spec(inputs, **kwargs)

    def get_config(self) -> dict[str, Any]:
        config = {"activity_regularizer": None, **super().get_config()}
        if not self.lora_rank:
            config.pop("lora_rank", None)
            config.pop("lora_alpha", None)
        return config


@builtin("keras.layers.ReversibleEmbedding")
class ReversibleEmbedding(Embedding):
    """An `Embedding` that also maps rows back to one number per index, as language models do.

    Args:
        input_dim: Number of rows V.
        output_dim: Length of a row E.
        tie_weights: Whether the way back uses the same matrix; else one of its own.
        embeddings_initializer: Initial values of the matrix, or of both.
        embeddings_regularizer: Penalty on the matrix.
        embeddings_constraint: Projection of the matrix after each update.
        mask_zero: Whether index 0 is padding; see `Embedding`.
        reverse_dtype: The dtype in which the way back is computed. Default: that which inputs and
            matrix promote to.
        logit_soft_cap: A bound c of the results of the way back, by `c * tanh(x / c)`.
        kwargs: Arguments of `Embedding` and `Layer`.

    Shapes:
        inputs: integers `(...)`, result `(..., E)`; with `reverse=True` floats `(..., E)`, result
        `(..., V)`. reverse_embeddings: `(E, V)`.

    Source: Press & Wolf 2017; `keras.layers.ReversibleEmbedding`.

    Example:
        >>> layer = ReversibleEmbedding(10, 4)
        >>> layer(layer(torch.tensor([[1, 2, 3]])), reverse=True).shape
        torch.Size([1, 3, 10])
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        tie_weights: bool = True,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        reverse_dtype: Any = None,
        logit_soft_cap: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            input_dim,
            output_dim,
            embeddings_initializer=embeddings_initializer,
            embeddings_regularizer=embeddings_regularizer,
            embeddings_constraint=embeddings_constraint,
            mask_zero=mask_zero,
            **kwargs,
        )
        self.tie_weights = tie_weights
        self.reverse_dtype = reverse_dtype
        self.logit_soft_cap = logit_soft_cap

    def build(self, input_shape: Any = None) -> None:
        if self.built:
            return
        super().build(input_shape)
        if not self.tie_weights and self.quantization_mode is None:
            self.reverse_embeddings = self.add_weight(
                shape=(self.output_dim, self.input_dim),
                initializer=self.embeddings_initializer,
                name="reverse_embeddings",
            )

    def call(self, inputs: torch.Tensor, reverse: bool = False) -> torch.Tensor:
        if not reverse:
            return super().call(inputs)
        kernel = self.embeddings if self.tie_weights else self.reverse_embeddings.t()
        dtype = self._torch_reverse_dtype(inputs)
        return self._capped(F.linear(inputs.to(dtype), kernel.to(dtype)))

    def _torch_reverse_dtype(self, inputs: torch.Tensor) -> torch.dtype:
        if self.reverse_dtype is not None:
            return to_torch(self.reverse_dtype)
        return to_torch(result_type(inputs.dtype, self.compute_dtype))

    def _capped(self, logits: torch.Tensor) -> torch.Tensor:
        cap = self.logit_soft_cap
        return logits if cap is None else torch.tanh(logits / cap) * cap

    # Quantization --------------------------------------------------------------------------------

    def _matrices(self) -> list[Matrix]:
        shape = (self.output_dim, self.input_dim)
        reverse = Matrix("reverse_embeddings", shape, shared=0, packed=0, zero_dtype=None)
        return super()._matrices() + ([] if self.tie_weights else [reverse])

    @property
    def variable_serialization_spec(self) -> dict[str | None, list[str]]:
        """The weights that files hold for each mode, in order, as far as the layer has them."""
        own = ["reverse_embeddings", "reverse_embeddings_scale", "reverse_embeddings_zero"]
        return {
            mode: names + ([] if self.tie_weights else own)
            for mode, names in super().variable_serialization_spec.items()
        }

    def quantized_build(self, embeddings_shape: Any, mode: str, config: Any = None) -> None:
        """Make the weights of a mode, without values; see `Quantizable`."""
        super().quantized_build(embeddings_shape, mode, config)
        # The way back is a product, whose inputs are rounded unless a config says otherwise.
        self.inputs_quantizer = QuantizationConfig.activation_quantizer_or_default(
            config, AbsMaxQuantizer(axis=-1)
        )

    def _int8_call(self, inputs: torch.Tensor, reverse: bool = False) -> torch.Tensor:
        return self._reverse(inputs) if reverse else super()._int8_call(inputs)

    _int4_call = _int8_call

    def _reverse(self, inputs: torch.Tensor) -> torch.Tensor:
        """Go the way back with quantized weights."""
        dtype = self._torch_reverse_dtype(inputs)
        inputs = inputs.to(dtype)
        matrix = self._matrices()[-1]
        weights = [own_weight(self, matrix.name)]
        if self.quantization_mode == "int4":
            weights = [matrix.unpack(weights[0])]
        names = (f"{matrix.name}_{part}" for part in ("scale", "zero"))
        weights += [self._parameters[name] for name in names if name in self._parameters]
        if self.tie_weights:
            weights = [w.t() for w in weights]
        if len(weights) == 3:
            kernel = self._of_blocks(*weights, axis=0)
            logits = self._rounded(inputs) @ kernel.to(dtype)
        else:
            logits = integer_product(inputs, *weights, self.inputs_quantizer).to(dtype)
        if self.lora_enabled and self.tie_weights:
            a, b = self._adapters()
            adapted = inputs @ b.t().to(dtype) @ a.t().to(dtype)
            logits = torch.add(logits, adapted, alpha=self.lora_alpha / self.lora_rank)
        return self._capped(logits)

    def _attach_mask(
        self, inputs: Any, outputs: Any, previous_mask: Any, arguments: dict[str, Any]
    ) -> None:
        # Only indices can be padding; the way back passes no mask on either.
        if not arguments.get("reverse"):
            super()._attach_mask(inputs, outputs, previous_mask, arguments)

    def compute_output_shape(
        self, input_shape: Any, reverse: bool = False
    ) -> tuple[int | None, ...]:
        if reverse:
            return (*input_shape[:-1], self.input_dim)
        return super().compute_output_shape(input_shape)

    def compute_output_spec(self, inputs: Any, reverse: bool = False) -> KerasTensor:
        shape = self.compute_output_shape(inputs.shape, reverse)
        return KerasTensor(shape, dtype=self.compute_dtype)


def _positive_integer(name: str, value: Any) -> int:
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value <= 0:
        raise ValueError(
            explain(
                f"Embedding: `{name}` must be a positive integer.",
                given=f"{value!r} (of type {type(value).__name__})",
            )
        )
    return int(value)
