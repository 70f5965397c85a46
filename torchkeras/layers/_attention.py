"""What attention between projected queries, keys and values needs: options, masks, the kernel.

Letters: B batch, T query positions, S key positions, N heads, K heads of keys and values (N is a
multiple of it), H width of a head. Projected queries are `(B, T, N, H)`, keys and values
`(B, S, K, H)`. Masks: True means "attend".
Fully masked queries follow Keras: without dropout they get the mean of all values, since Keras adds
a large finite number there; a layer with dropout gives them zeros.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..config import is_flash_attention_enabled
from ..constraints import get as get_constraint
from ..dtypes import as_tensor
from ..graph.masks import get_keras_mask
from ..graph.operation import Operation
from ..initializers import get as get_initializer
from ..naming import explain
from ..regularizers import get as get_regularizer
from .layer import Layer

__all__ = ["PROJECTION_OPTIONS", "ProjectedAttention", "check_positive", "unmasked"]

# What Keras adds to the scores of masked positions: finite, so that no row becomes NaN.
_MASKED = {torch.float16: -0.7 * 65500.0}
_MASKED_DEFAULT = -0.7 * 3.38953e38

# Arguments of every projection, and what makes objects of them.
PROJECTION_OPTIONS: dict[str, Callable[[Any], Any]] = {
    "kernel_initializer": get_initializer,
    "bias_initializer": get_initializer,
    "kernel_regularizer": get_regularizer,
    "bias_regularizer": get_regularizer,
    "kernel_constraint": get_constraint,
    "bias_constraint": get_constraint,
}


class ProjectedAttention(Layer):
    """Base of layers that project queries, keys and values, attend, and project back.

    A subclass makes `_softmax` and `_dropout_layer` in `build`, and writes the einsum equations of
    attention down for the cases in which torch's kernel does not serve.
    """

    # Stands before the names under which constructor arguments are kept, as in Keras.
    _prefix = "_"
    # How many axes are attended over.
    _num_axes = 1
    # Whether scores are wanted, for methods of subclasses that are not told.
    _return_attention_scores = False

    def _keep_options(self, options: Mapping[str, Any], width: int) -> None:
        """Store what the layers have in common of a constructor's `locals()`.

        Args:
            options: The arguments.
            width: Of a head.
        """
        self.supports_masking = True
        for name, get in PROJECTION_OPTIONS.items():
            setattr(self, self._prefix + name, get(options[name]))
        self._projection_regularizer = get_regularizer(options["activity_regularizer"])
        self._dropout = options["dropout"]
        self._use_bias = options["use_bias"]
        self._use_gate = options["use_gate"]
        self._sliding_window = options["sliding_window"]
        self._flash_attention = options["flash_attention"] or is_flash_attention_enabled()
        self.seed = options["seed"]
        self._scale = 1.0 / math.sqrt(float(width))
        if self._sliding_window is not None:
            check_positive(self, sliding_window=self._sliding_window)
        if self._flash_attention and self._dropout > 0.0:
            raise ValueError(
                explain(
                    f"{type(self).__name__} '{self.name}': Dropout is not supported when flash"
                    " attention is enabled.",
                    given=f"flash_attention={self._flash_attention}, dropout={self._dropout}",
                    fix="use dropout=0.0, or leave the choice of the kernel to torch.",
                )
            )

    def _get_common_kwargs_for_sublayer(self) -> dict[str, Any]:
        """Return the arguments of every projection, with initializers of its own."""
        options = {name: getattr(self, self._prefix + name) for name in PROJECTION_OPTIONS}
        for name in ("kernel_initializer", "bias_initializer"):
            options[name] = _clone(options[name])
        options["activity_regularizer"] = self._projection_regularizer
        return {**options, "dtype": self.dtype_policy}

    # Calls ---------------------------------------------------------------------------------------

    def call(
        self,
        query: Tensor,
        value: Tensor,
        key: Tensor | None = None,
        query_mask: Tensor | None = None,
        value_mask: Tensor | None = None,
        key_mask: Tensor | None = None,
        attention_mask: Tensor | None = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Any:
        if key is None:
            key = value
        own = type(self)._compute_attention is ProjectedAttention._compute_attention
        masks = (query_mask, value_mask, key_mask, attention_mask)
        # A causal mask alone is made by the kernel itself.
        causal = use_causal_mask and own and self._sliding_window is None
        causal = causal and all(mask is None for mask in masks)
        if not causal:
            attention_mask = self._compute_attention_mask(
                query,
                value,
                query_mask=query_mask,
                value_mask=value_mask,
                key_mask=key_mask,
                attention_mask=attention_mask,
                use_causal_mask=use_causal_mask,
            )
        query, key, value = unmasked(query), unmasked(key), unmasked(value)
        gate = self._gate_dense(query) if self._use_gate else None
        query = self._query_dense(query)
        key = self._key_dense(key)
        value = self._value_dense(value)
        attend = self._compute_attention if own else self._overridden_attention
        options = {"use_causal_mask": True} if causal else {}
        output, scores = attend(
            query, key, value, attention_mask, training, return_attention_scores, **options
        )
        if gate is not None:
            output = output * gate
        output = self._output_dense(output)
        return (output, scores) if return_attention_scores else output

    def _compute_attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None = None,
        training: bool | None = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend with projected tensors; subclasses may override it.

        Args:
            query, key, value: `(B, T, N, H)`, `(B, S, K, H)`, `(B, S, K, H)`.
            attention_mask: Boolean, `(B, T, S)` or broadcastable to `(B, N, T, S)`.
            training: Whether to apply dropout.
            return_attention_scores: Whether the weights are wanted.
            use_causal_mask: Whether to attend to earlier positions only.

        Returns:
            The attended values `(B, T, N, H)`, and the weights, `None` unless they were computed.
        """
        if not isinstance(query, Tensor):
            query, key, value = as_tensor(query), as_tensor(key), as_tensor(value)
        if attention_mask is not None and not isinstance(attention_mask, Tensor):
            attention_mask = as_tensor(attention_mask)
        scores_wanted = return_attention_scores or self._return_attention_scores
        if self._flash_attention and scores_wanted:
            raise ValueError(
                explain(
                    f"{type(self).__name__} '{self.name}': Returning attention scores is not"
                    " supported when flash attention is enabled. Please disable flash attention to"
                    " access attention scores.",
                    fix="leave out `return_attention_scores` or `flash_attention`.",
                )
            )
        dropout = self._dropout if training else 0.0
        # torch's kernel draws its dropout from torch's generator, as Keras does without a seed.
        seeded = dropout > 0.0 and self.seed is not None
        if query.dim() == 4 and not scores_wanted and not seeded:
            return self._fused(query, key, value, attention_mask, dropout, use_causal_mask), None
        if use_causal_mask:
            causal = self._compute_causal_mask(query, value)
            attention_mask = causal if attention_mask is None else attention_mask.bool() & causal
        repeats = query.shape[-2] // key.shape[-2]
        if repeats > 1:
            key, value = (x.repeat_interleave(repeats, dim=-2) for x in (key, value))
        scores = self._scores(query * self._scale, key)
        scores = self._masked_softmax(scores, attention_mask)
        weights = self._dropout_layer.call(scores, training=True) if dropout > 0.0 else scores
        return torch.einsum(self._combine_equation, weights, value), scores

    def _overridden_attention(self, *args: Any) -> tuple[Tensor, Tensor | None]:
        """Call a subclass's `_compute_attention` with the arguments that Keras gives it."""
        return self._compute_attention(*args)

    def _scores(self, query: Tensor, key: Tensor) -> Tensor:
        """Multiply queries by keys, `(B, N, T, S)`."""
        raise NotImplementedError

    def _fused(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        dropout: float,
        causal: bool,
    ) -> Tensor:
        """Attend by torch's kernel, which stores no scores."""
        if mask is not None and causal:
            mask, causal = mask.bool() & self._compute_causal_mask(query, value), False
        query, key, value = query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
        bias = some = None
        if mask is not None:
            mask = self._expand_mask(mask.bool(), 4)
            some = mask.any(dim=-1, keepdim=True)
            unseen = mask.logical_not()
            if torch.is_grad_enabled() and query.dtype not in _MASKED:
                # A query that may see nothing gets the mean of all values: by scores of 0, since
                # with all scores lowered log(S) is lost in the kernel's log of their exponentials,
                # and its gradients are S times too large.
                query, unseen = torch.where(some, query, 0.0), unseen & some
            bias = torch.zeros_like(mask, dtype=query.dtype).masked_fill_(
                unseen, _MASKED.get(query.dtype, _MASKED_DEFAULT)
            )
        arguments: dict[str, Any] = {
            "attn_mask": bias,
            "dropout_p": dropout,
            "is_causal": causal,
            "scale": self._scale,
        }
        if key.shape[1] != query.shape[1]:
            if bias is not None and query.is_cuda:
                # The memory-efficient kernel for masks takes as many heads of keys as of queries.
                repeats = query.shape[1] // key.shape[1]
                key, value = (x.repeat_interleave(repeats, dim=1) for x in (key, value))
            else:
                arguments["enable_gqa"] = True
        if self._flash_attention:
            with sdpa_kernel([SDPBackend.FLASH_ATTENTION]):
                output = F.scaled_dot_product_attention(query, key, value, **arguments)
        else:
            output = F.scaled_dot_product_attention(query, key, value, **arguments)
        if some is not None and self._dropout > 0.0:
            output = torch.where(some, output, 0.0)
        return output.transpose(1, 2)

    def _masked_softmax(
        self, attention_scores: Tensor, attention_mask: Tensor | None = None
    ) -> Tensor:
        """Normalize scores `(B, N, T, S)` over the keys."""
        if attention_mask is not None:
            attention_mask = self._expand_mask(attention_mask, attention_scores.dim())
        return self._softmax.call(attention_scores, mask=attention_mask)

    def _expand_mask(self, mask: Tensor, rank: int) -> Tensor:
        """Add the axes that a mask of the positions lacks, that of the heads among them."""
        axis = -2 * self._num_axes - 1
        for _ in range(rank - mask.dim()):
            mask = mask.unsqueeze(axis)
        return mask

    def compute_output_spec(
        self,
        query: Any,
        value: Any,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Return the shapes and dtypes of the outputs."""
        optional = {
            "key": key,
            "query_mask": query_mask,
            "value_mask": value_mask,
            "key_mask": key_mask,
            "attention_mask": attention_mask,
            "return_attention_scores": return_attention_scores or None,
            "training": training,
            "use_causal_mask": use_causal_mask or None,
        }
        # The `call` of a subclass need not take what was not given.
        kwargs.update((name, x) for name, x in optional.items() if x is not None)
        if return_attention_scores:
            return Operation.compute_output_spec(self, query, value, **kwargs)
        return super().compute_output_spec(query, value, **kwargs)

    # Masks ---------------------------------------------------------------------------------------

    def _compute_attention_mask(
        self,
        query: Tensor,
        value: Tensor,
        query_mask: Tensor | None = None,
        value_mask: Tensor | None = None,
        key_mask: Tensor | None = None,
        attention_mask: Tensor | None = None,
        use_causal_mask: bool = False,
    ) -> Tensor | None:
        """Return the conjunction of all masks, broadcastable to `(B, T, S)`, or `None`."""
        masks = []
        if query_mask is not None:
            masks.append(query_mask.bool().unsqueeze(-1))
        masks += [m.bool().unsqueeze(-2) for m in (value_mask, key_mask) if m is not None]
        if use_causal_mask:
            masks.append(self._compute_causal_mask(query, value))
        if self._sliding_window is not None:
            masks.append(self._compute_sliding_window_mask(query, value))
        if attention_mask is not None:
            masks.insert(0, attention_mask.bool())
        if not masks:
            return None
        result = masks[0]
        for mask in masks[1:]:
            result = result & mask
        return result

    def _compute_causal_mask(self, query: Tensor, value: Tensor | None = None) -> Tensor:
        """Return `(1, T, S)`, True where the key is not later than the query."""
        length = query.shape[1]
        keys = length if value is None else value.shape[1]
        return torch.ones((1, length, keys), dtype=torch.bool, device=query.device).tril()

    def _compute_sliding_window_mask(self, query: Tensor, value: Tensor | None = None) -> Tensor:
        """Return `(1, T, S)`, True where key and query are less than the window apart."""
        positions = torch.arange(query.shape[1], device=query.device)
        keys = positions if value is None else torch.arange(value.shape[1], device=query.device)
        distance = positions.view(1, -1, 1) - keys
        return distance.abs() < self._sliding_window

    def _same_positions(self, value_shape: Any, key_shape: Any) -> None:
        """Raise unless values and keys have the same positions."""
        if tuple(value_shape[1:-1]) != tuple(key_shape[1:-1]):
            raise ValueError(
                explain(
                    f"{type(self).__name__} '{self.name}': `value` and `key` must be equal in shape"
                    " but for batch and features.",
                    value_shape=tuple(value_shape),
                    key_shape=tuple(key_shape),
                )
            )


def check_positive(layer: Layer, **sizes: Any) -> None:
    """Raise unless every size is a positive integer."""
    for name, size in sizes.items():
        if not isinstance(size, numbers.Integral) or size <= 0:
            raise ValueError(
                explain(
                    f"{type(layer).__name__}: the argument `{name}` must be a positive integer.",
                    given=f"{name}={size!r}",
                )
            )


def unmasked(x: Tensor) -> Tensor:
    """Return `x` without the mask attached to it, which the projections have no use for."""
    return x if get_keras_mask(x) is None else x.view_as(x)


def _clone(initializer: Any) -> Any:
    if not hasattr(initializer, "get_config"):
        return initializer
    return type(initializer).from_config(initializer.get_config())
