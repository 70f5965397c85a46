"""Attention without projections: `Attention` (dot products) and `AdditiveAttention`.

Letters: B batch, T query positions, S key positions, D width. Masks: True means "use"; those of the
queries blank the result, those of the values take positions out of the softmax.
Masked scores are Keras's: lowered by a large number, so that a row without any position to attend
to gets a mean of values and no NaN.
Sources: Luong et al. 2015; Bahdanau et al. 2015; Keras 3 (arguments, masks).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..dtypes import as_tensor
from ..graph.operation import Operation
from ..naming import explain
from ..random import SeedGenerator, dropout
from ..registry import builtin
from .layer import Layer

__all__ = ["AdditiveAttention", "Attention"]

Shapes = Sequence["Sequence[int | None]"]

# By how much masked scores are lowered; 65504 is the largest float16.
_LOWERED = {torch.float16: 65504.0}
_LOWERED_DEFAULT = 1e9


@builtin("keras.layers.Attention")
class Attention(Layer):
    """Values averaged by the softmax of the products of queries and keys.

    Args:
        use_scale: Whether the scores are multiplied by a learned number.
        score_mode: "dot" for products; "concat" for a learned number times the sum of
            `tanh(query + key)`.
        dropout: Fraction of the attention weights to drop in training.
        seed: Of the dropout.
        kwargs: Arguments of `Layer`.

    Shapes:
        inputs: a list `[query, value]` or `[query, value, key]` of `(B, T, D)`, `(B, S, E)` and
        `(B, S, D)`; without a key, values are keys. mask: a list `[query_mask, value_mask]` of
        `(B, T)` and `(B, S)`, either may be `None`.
        Result: `(B, T, E)`; with `return_attention_scores` also the weights, `(B, T, S)`.

    Raises:
        ValueError: `score_mode` is unknown, or the inputs or masks are no list of 2 or 3.

    Example:
        >>> Attention()([torch.ones(1, 3, 4), torch.ones(1, 5, 4)]).shape
        torch.Size([1, 3, 4])
    """

    _creates_mask = False

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.use_scale = use_scale
        self.score_mode = score_mode
        self.dropout = dropout
        self.seed = seed
        if dropout > 0:
            self.seed_generator = SeedGenerator(seed)
        if score_mode not in ("dot", "concat"):
            raise ValueError(
                explain(
                    f"{type(self).__name__} '{self.name}': Invalid value for argument score_mode."
                    " Expected one of {'dot', 'concat'}.",
                    given=f"score_mode={score_mode!r}",
                )
            )

    def build(self, input_shape: Shapes) -> None:
        """Make the numbers that scores are multiplied by."""
        self._validate_inputs(input_shape)
        self.scale = self._number("scale") if self.use_scale else None
        concat = self.score_mode == "concat"
        self.concat_score_weight = self._number("concat_score_weight") if concat else None
        self.built = True

    def _number(self, name: str) -> Tensor:
        return self.add_weight(name=name, shape=(), initializer="ones", dtype=self.dtype)

    def call(
        self,
        inputs: Sequence[Tensor],
        mask: Sequence[Tensor | None] | None = None,
        training: bool = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        """Return the averaged values, and the weights of the averages if they are asked for."""
        self._validate_inputs(inputs, mask)
        query, value = inputs[0], inputs[1]
        key = inputs[2] if len(inputs) > 2 else value
        query_mask, value_mask = (mask[0], mask[1]) if mask else (None, None)
        if self._is_fusable(training, return_attention_scores):
            output = self._fused(query, key, value, value_mask, training, use_causal_mask)
        else:
            scores = self._calculate_scores(query, key)
            scores_mask = self._calculate_score_mask(scores, value_mask, use_causal_mask)
            output, weights = self._apply_scores(scores, value, scores_mask, training)
        if query_mask is not None:
            output = torch.where(query_mask.bool().unsqueeze(-1), output, 0.0)
        return (output, weights) if return_attention_scores else output

    # torch's kernel, which stores no scores -------------------------------------------------------

    def _is_fusable(self, training: bool, scores_wanted: bool) -> bool:
        cls = type(self)
        return (
            self.score_mode == "dot"
            and not scores_wanted
            # The kernel draws its dropout from torch's generator, as Keras does without a seed.
            and not (training and self.dropout > 0 and self.seed is not None)
            and cls._calculate_scores is Attention._calculate_scores
            and cls._calculate_score_mask is Attention._calculate_score_mask
            and cls._apply_scores is Attention._apply_scores
        )

    def _fused(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        value_mask: Tensor | None,
        training: bool,
        causal: bool,
    ) -> Tensor:
        if self.scale is not None:
            query = query * self.scale
        bias = None
        if value_mask is not None:
            mask = value_mask.bool().unsqueeze(-2)
            if causal:
                mask, causal = mask & _causal_mask(query.shape[-2], key.shape[-2], mask), False
            unseen = mask.logical_not()
            if torch.is_grad_enabled() and query.dtype not in _LOWERED:
                # For exact gradients where a query may see nothing; see `ProjectedAttention`.
                some = mask.any(-1, keepdim=True)
                query, unseen = torch.where(some, query, 0.0), unseen & some
            lowered = _LOWERED.get(query.dtype, _LOWERED_DEFAULT)
            bias = torch.zeros_like(mask, dtype=query.dtype).masked_fill_(unseen, -lowered)
        # With an axis for one head the kernel is the fast one.
        plain = query.dim() == 3
        if plain:
            query, key, value = query.unsqueeze(1), key.unsqueeze(1), value.unsqueeze(1)
            bias = None if bias is None else bias.unsqueeze(1)
        output = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=bias,
            dropout_p=self.dropout if training else 0.0,
            is_causal=causal,
            scale=1.0,
        )
        return output.squeeze(1) if plain else output

    # The steps by themselves, which subclasses may override ---------------------------------------

    def _calculate_scores(self, query: Tensor, key: Tensor) -> Tensor:
        """Return the scores `(B, T, S)`."""
        query, key = as_tensor(query), as_tensor(key)
        if self.score_mode == "dot":
            scores = torch.matmul(query, key.transpose(-2, -1))
            return scores if self.scale is None else scores * self.scale
        sums = query.unsqueeze(-2) + key.unsqueeze(-3)
        sums = sums if self.scale is None else sums * self.scale
        return self.concat_score_weight * torch.tanh(sums).sum(-1)

    def _calculate_score_mask(
        self, scores: Tensor, v_mask: Tensor | None, use_causal_mask: bool
    ) -> Tensor | None:
        """Return the positions that count: `(B, S)`, or `(B, T, S)` with a causal mask."""
        if not use_causal_mask:
            return v_mask
        causal = _causal_mask(*scores.shape[-2:], as_tensor(scores)).unsqueeze(0)
        return causal if v_mask is None else as_tensor(v_mask).bool().unsqueeze(-2) & causal

    def _apply_scores(
        self,
        scores: Tensor,
        value: Tensor,
        scores_mask: Tensor | None = None,
        training: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Return the averaged values and the weights, the softmax of the scores."""
        scores, value = as_tensor(scores), as_tensor(value)
        if scores_mask is not None:
            scores_mask = as_tensor(scores_mask)
            if scores_mask.dim() == 2:
                scores_mask = scores_mask.unsqueeze(-2)
            lowered = scores - _LOWERED.get(scores.dtype, _LOWERED_DEFAULT)
            scores = torch.where(scores_mask.bool(), scores, lowered)
        weights = torch.softmax(scores, -1)
        if training and self.dropout > 0:
            weights = dropout(weights, self.dropout, seed=self.seed_generator)
        return torch.matmul(weights, value), weights

    # Masks, shapes, checks ------------------------------------------------------------------------

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask of the queries."""
        self._validate_inputs(inputs, mask)
        return mask[0] if mask else None

    def compute_output_shape(self, input_shape: Shapes) -> tuple[int | None, ...]:
        """The queries' shape with the width of the values."""
        return (*input_shape[0][:-1], input_shape[1][-1])

    def compute_output_spec(
        self,
        inputs: Any,
        mask: Any = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Return the shapes and dtypes of the outputs."""
        kwargs.update(
            mask=mask, training=bool(training), return_attention_scores=return_attention_scores
        )
        if return_attention_scores:
            kwargs["use_causal_mask"] = use_causal_mask
            return Operation.compute_output_spec(self, inputs, **kwargs)
        return super().compute_output_spec(inputs, **kwargs)

    def _validate_inputs(self, inputs: Any, mask: Any = None) -> None:
        """Raise unless `inputs` is a list of 2 or 3, and so is `mask` if it is given."""
        what = None
        if not isinstance(inputs, list):
            what = "it must be called on a list of inputs"
        elif not 2 <= len(inputs) <= 3:
            what = "it takes inputs of length 2 or 3"
        elif mask is not None and not isinstance(mask, list):
            what = "the layer mask must be a list"
        elif mask is not None and not 2 <= len(mask) <= 3:
            what = "it takes a mask of length 2 or 3"
        if what is not None:
            raise ValueError(
                explain(
                    f"{type(self).__name__} '{self.name}': {what}.",
                    inputs=_description(inputs),
                    mask=_description(mask),
                    expected="[query, value] or [query, value, key]; [query_mask, value_mask]",
                )
            )


@builtin("keras.layers.AdditiveAttention")
class AdditiveAttention(Attention):
    """Values averaged by the softmax of a weighted sum of `tanh(query + key)`.

    Args:
        use_scale: Whether the D summands have learned weights.
        dropout: Fraction of the attention weights to drop in training.
        kwargs: Arguments of `Attention` and `Layer`.

    Shapes: As of `Attention`. scale: `(D,)`.

    Source: Bahdanau et al. 2015.

    Example:
        >>> AdditiveAttention()([torch.ones(1, 3, 4), torch.ones(1, 5, 4)]).shape
        torch.Size([1, 3, 4])
    """

    _config_excludes = ("score_mode",)

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(use_scale=use_scale, dropout=dropout, **kwargs)

    def build(self, input_shape: Shapes) -> None:
        """Make the weights of the summands."""
        self._validate_inputs(input_shape)
        self.scale = None
        if self.use_scale:
            self.scale = self.add_weight(
                name="scale",
                shape=(input_shape[0][-1],),
                initializer="glorot_uniform",
                dtype=self.dtype,
            )
        self.built = True

    def _calculate_scores(self, query: Tensor, key: Tensor) -> Tensor:
        sums = torch.tanh(as_tensor(query).unsqueeze(-2) + as_tensor(key).unsqueeze(-3))
        return sums.sum(-1) if self.scale is None else torch.matmul(sums, self.scale)


def _causal_mask(queries: int, keys: int, like: Tensor) -> Tensor:
    """Return `(T, S)`, True where the key is not later than the query, where `like` is."""
    return torch.ones((queries, keys), dtype=torch.bool, device=like.device).tril()


def _description(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} of {len(value)}"
    return "None" if value is None else f"a {type(value).__name__}"
