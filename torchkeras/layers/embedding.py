"""`Embedding`: rows of a trained matrix, picked by integer indices.

Letters: V vocabulary size (`input_dim`), E width of a row (`output_dim`).
Sources: Keras 3 (arguments, masking, LoRA); Hu et al. 2021 (LoRA).
"""

from __future__ import annotations

import numbers
import warnings
from collections.abc import MutableMapping
from typing import Any

import torch
import torch.nn.functional as F

from ..constraints import get as get_constraint
from ..dtypes import to_torch
from ..initializers import get as get_initializer
from ..naming import explain
from ..registry import builtin
from ..regularizers import get as get_regularizer
from .layer import Layer

__all__ = ["Embedding"]

_INDEX_DTYPES = (torch.int64, torch.int32)


@builtin("keras.layers.Embedding")
class Embedding(Layer):
    """Replace each index by its row of the trained matrix `embeddings`.

    Args:
        input_dim: Number of rows; indices run from 0 to `input_dim - 1`.
        output_dim: Length of a row.
        embeddings_initializer: Initial values of the matrix.
        embeddings_regularizer: Penalty on the matrix.
        embeddings_constraint: Projection of the matrix after each update.
        mask_zero: Whether index 0 is padding: later layers get a mask that is False there, and
            row 0 stands for no word.
        weights: The matrix to start from, `(input_dim, output_dim)`, or a list holding it.
        lora_rank: Freeze the matrix and train a correction of this rank instead.
        lora_alpha: The correction is scaled by `lora_alpha / lora_rank`. Default: `lora_rank`.
        quantization_config: Not supported yet; only `None`.
        input_length: Accepted for old code, with a warning; it has no effect.

    Shapes:
        inputs: integers of any shape `(...)`; other dtypes are truncated to int32.
        Result: `(..., output_dim)`.

    Raises:
        ValueError: A size is not a positive integer, or an index lies outside of the matrix (on a
            GPU the kernel itself stops with an assertion).

    Example:
        >>> layer = Embedding(10, 4)
        >>> layer(torch.tensor([[1, 2, 3]])).shape
        torch.Size([1, 3, 4])
    """

    # The matrix given as `weights` is saved as a weight.
    _config_excludes = ("weights",)

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
        if quantization_config is not None:
            raise NotImplementedError(
                "Embedding: `quantization_config` is not supported yet; pass None and keep the"
                " embeddings in floating point."
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
        self.lora_rank = lora_rank
        self.lora_alpha = lora_rank if lora_alpha is None else lora_alpha
        self.lora_enabled = False
        self.quantization_config = quantization_config
        if weights is not None:
            self.build()
            self.set_weights(weights if isinstance(weights, list) else [weights])

    def build(self, input_shape: Any = None) -> None:
        if self.built:
            return
        self.embeddings = self.add_weight(
            shape=(self.input_dim, self.output_dim),
            initializer=self.embeddings_initializer,
            name="embeddings",
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
        )
        self.built = True
        if self.lora_rank:
            self.enable_lora(self.lora_rank, self.lora_alpha)

    @property
    def _embeddings(self) -> torch.Tensor:
        return self.embeddings

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        if inputs.dtype not in _INDEX_DTYPES:
            inputs = inputs.to(torch.int32)
        try:
            outputs = F.embedding(inputs, self.embeddings)
        except IndexError as error:
            raise ValueError(self._explain_range(inputs)) from error
        if self.lora_enabled:
            delta = F.embedding(inputs, self.lora_embeddings_a) @ self.lora_embeddings_b
            outputs = outputs + delta * (self.lora_alpha / self.lora_rank)
        dtype = to_torch(self.compute_dtype)
        return outputs if outputs.dtype is dtype else outputs.to(dtype)

    def _explain_range(self, inputs: torch.Tensor) -> str:
        """Word the error for indices outside of the matrix; runs only after the kernel failed."""
        low, high = int(inputs.min()), int(inputs.max())
        fix = f"use `input_dim={high + 1}` or more, or map rarer words to one common index."
        if low < 0:
            fix = "indices must not be negative; use 0 for padding, with `mask_zero=True`."
        return explain(
            f"Embedding '{self.name}': an index lies outside of the vocabulary.",
            given=f"indices from {low} to {high}",
            expected=f"indices from 0 to {self.input_dim - 1} (input_dim={self.input_dim})",
            fix=fix,
        )

    def compute_mask(self, inputs: torch.Tensor, mask: Any = None) -> torch.Tensor | None:
        return inputs != 0 if self.mask_zero else None

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return (*input_shape, self.output_dim)

    def enable_lora(
        self,
        rank: int,
        lora_alpha: float | None = None,
        a_initializer: Any = "he_uniform",
        b_initializer: Any = "zeros",
    ) -> None:
        """Freeze the matrix and train `a @ b`, of rank `rank`, added to it.

        Args:
            rank: Columns of `a` and rows of `b`.
            lora_alpha: The product is scaled by `lora_alpha / rank`. Default: `rank`.
            a_initializer: Initial values of `a`, `(input_dim, rank)`.
            b_initializer: Initial values of `b`, `(rank, output_dim)`.

        Raises:
            ValueError: The layer has a constraint, is not built, or has LoRA already.
        """
        if self.embeddings_constraint is not None:
            raise ValueError(
                f"Embedding '{self.name}': LoRA cannot keep `embeddings_constraint`; make the layer"
                " without the constraint."
            )
        if not self.built:
            raise ValueError(f"Embedding '{self.name}': build the layer before `enable_lora`.")
        if self.lora_enabled:
            raise ValueError(f"Embedding '{self.name}': LoRA is already enabled.")
        for name, shape, initializer in (
            ("lora_embeddings_a", (self.input_dim, rank), a_initializer),
            ("lora_embeddings_b", (rank, self.output_dim), b_initializer),
        ):
            weight = self.add_weight(
                name=name,
                shape=shape,
                initializer=get_initializer(initializer),
                dtype="float32",
                regularizer=self.embeddings_regularizer,
            )
            setattr(self, name, weight)
        self.embeddings.trainable = False
        self.lora_enabled = True
        self.lora_rank = rank
        self.lora_alpha = rank if lora_alpha is None else lora_alpha

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Write the matrix, with the LoRA correction added to it."""
        if not self.built:
            return
        merged = self.embeddings.detach()
        if self.lora_enabled:
            delta = self.lora_embeddings_a.detach() @ self.lora_embeddings_b.detach()
            merged = merged + (delta * (self.lora_alpha / self.lora_rank)).to(merged.dtype)
        store["0"] = merged

    def load_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Read the matrix; a LoRA correction is part of it, so it starts again from zero."""
        if not self.lora_enabled:
            super().load_own_variables(store)
            return
        self.embeddings.assign(store["0"])
        for weight in (self.lora_embeddings_a, self.lora_embeddings_b):
            weight.assign(torch.zeros_like(weight))

    def get_config(self) -> dict[str, Any]:
        config = {"activity_regularizer": None, **super().get_config()}
        if not self.lora_rank:
            config.pop("lora_rank", None)
            config.pop("lora_alpha", None)
        return config


def _positive_integer(name: str, value: Any) -> int:
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value <= 0:
        raise ValueError(
            explain(
                f"Embedding: `{name}` must be a positive integer.",
                given=f"{value!r} (of type {type(value).__name__})",
            )
        )
    return int(value)
