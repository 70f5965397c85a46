"""`MultiHeadAttention`, on `scaled_dot_product_attention`.

Letters: B batch, T query positions, S key positions, N heads, H width of a head, E output width.
Projected queries are `(B, T, N, H)`, keys and values `(B, S, N, H)`. Masks: True means "attend".
Fully masked queries follow Keras: without dropout they get the mean of all values, since Keras adds
a large finite number there; a layer with dropout gives them zeros.
Sources: Vaswani et al. 2017; Keras 3 (arguments, masks, names of parts).
"""

from __future__ import annotations

import math
import numbers
import string
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..config import is_flash_attention_enabled
from ..constraints import get as get_constraint
from ..graph.operation import Operation
from ..initializers import get as get_initializer
from ..naming import explain
from ..registry import builtin
from ..regularizers import get as get_regularizer
from .activation import Softmax
from .configs import serialize_value
from .core import EinsumDense
from .layer import Layer, get_keras_mask
from .regularization import Dropout

__all__ = ["MultiHeadAttention"]

Shape = Sequence["int | None"]

# What Keras adds to the scores of masked positions: finite, so that no row becomes NaN.
_MASKED = {torch.float16: -0.7 * 65500.0}
_MASKED_DEFAULT = -0.7 * 3.38953e38

# Constructor arguments kept under their names with an underscore before.
_ARGUMENTS = (
    "num_heads",
    "key_dim",
    "value_dim",
    "dropout",
    "use_bias",
    "use_gate",
    "output_shape",
    "attention_axes",
    "sliding_window",
    "kernel_initializer",
    "bias_initializer",
    "kernel_regularizer",
    "bias_regularizer",
    "kernel_constraint",
    "bias_constraint",
)


@builtin("keras.layers.MultiHeadAttention")
class MultiHeadAttention(Layer):
    """Several attentions side by side, each on projections of its own, projected back together.

    Args:
        num_heads: Number N of heads.
        key_dim: Width of a head's queries and keys.
        value_dim: Width of a head's values. Default: `key_dim`.
        dropout: Fraction of the attention weights to drop in training.
        use_bias: Whether the projections have biases.
        output_shape: Shape of the result beyond batch and positions. Default: the query's width.
        attention_axes: Axes to attend over. Default: all between batch and features.
        sliding_window: Attend only to positions less than this far away.
        flash_attention: Whether to insist on torch's flash attention. Default: torch chooses.
        kernel_initializer, bias_initializer: Initial weights of the projections.
        kernel_regularizer, bias_regularizer: Penalties on the weights.
        activity_regularizer: Penalty on the output of each projection.
        kernel_constraint, bias_constraint: Projections of the weights after updates.
        use_gate: Whether to multiply the attended values by a sigmoid gate made of the query.
        seed: Of the dropout.

    Shapes:
        query: `(B, T, D)`. value: `(B, S, D')`. key: `(B, S, D'')`, `value` unless given.
        attention_mask: `(B, T, S)`. query_mask: `(B, T)`; value_mask, key_mask: `(B, S)`.
        Result: `(B, T, E)`; with `return_attention_scores` also the weights, `(B, N, T, S)`.

    Raises:
        ValueError: A size is not a positive integer, or dropout with flash attention.

    Source: Vaswani et al. 2017; Qiu et al. 2025 (gate).

    Example:
        >>> layer = MultiHeadAttention(num_heads=2, key_dim=4)
        >>> layer(torch.ones(2, 3, 8), torch.ones(2, 5, 8)).shape
        torch.Size([2, 3, 8])
    """

    _config_excludes = (*_ARGUMENTS, "flash_attention", "seed")

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: int | Sequence[int] | None = None,
        attention_axes: int | Sequence[int] | None = None,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        _check_positive(num_heads=num_heads, key_dim=key_dim)
        if value_dim is not None:
            _check_positive(value_dim=value_dim)
        if sliding_window is not None:
            _check_positive(sliding_window=sliding_window)
        super().__init__(**kwargs)
        self.supports_masking = True
        self._num_heads = num_heads
        self._key_dim = key_dim
        self._value_dim = value_dim or key_dim
        self._dropout = dropout
        self._use_bias = use_bias
        self._use_gate = use_gate
        self._output_shape = _as_shape(output_shape)
        self._flash_attention = flash_attention or is_flash_attention_enabled()
        self._kernel_initializer = get_initializer(kernel_initializer)
        self._bias_initializer = get_initializer(bias_initializer)
        self._kernel_regularizer = get_regularizer(kernel_regularizer)
        self._bias_regularizer = get_regularizer(bias_regularizer)
        # For the projections; the layer's own output is not penalized.
        self._projection_regularizer = get_regularizer(activity_regularizer)
        self._kernel_constraint = get_constraint(kernel_constraint)
        self._bias_constraint = get_constraint(bias_constraint)
        self._attention_axes = _as_axes(attention_axes)
        self._sliding_window = sliding_window
        self.seed = seed
        self._inverse_sqrt_key_dim = 1.0 / math.sqrt(float(key_dim))
        if self._flash_attention and dropout > 0.0:
            raise ValueError(
                explain(
                    "MultiHeadAttention: flash attention does not support dropout.",
                    given=f"flash_attention={self._flash_attention}, dropout={dropout}",
                    fix="use dropout=0.0, or leave the choice of the kernel to torch.",
                )
            )

    @property
    def num_heads(self) -> int:
        """Number of heads."""
        return self._num_heads

    @property
    def key_dim(self) -> int:
        """Width of a head's queries and keys."""
        return self._key_dim

    @property
    def value_dim(self) -> int:
        """Width of a head's values."""
        return self._value_dim

    @property
    def dropout(self) -> float:
        """Fraction of the attention weights dropped in training."""
        return self._dropout

    @property
    def use_bias(self) -> bool:
        """Whether the projections have biases."""
        return self._use_bias

    @property
    def attention_axes(self) -> tuple[int, ...] | None:
        """The axes attended over; `None` before the layer is built, unless given."""
        return self._attention_axes

    @property
    def query_dense(self) -> Layer:
        """The projection of the queries."""
        return self._query_dense

    @property
    def key_dense(self) -> Layer:
        """The projection of the keys."""
        return self._key_dense

    @property
    def value_dense(self) -> Layer:
        """The projection of the values."""
        return self._value_dense

    @property
    def output_dense(self) -> Layer:
        """The projection of the heads' results."""
        return self._output_dense

    # Parts ---------------------------------------------------------------------------------------

    def build(self, query_shape: Shape, value_shape: Shape, key_shape: Shape | None = None) -> None:
        key_shape = value_shape if key_shape is None else key_shape
        self._check_shapes(value_shape, key_shape)
        # In Keras's order, which is that of the weights and of the seeds drawn.
        self._query_dense = self._make_projection("query", query_shape, self._key_dim)
        self._key_dense = self._make_projection("key", key_shape, self._key_dim)
        if self._use_gate:
            self._gate_dense = self._make_projection(
                "gate", query_shape, self._value_dim, activation="sigmoid"
            )
        self._value_dense = self._make_projection("value", value_shape, self._value_dim)
        self._build_attention(len(value_shape) + 1)
        self._output_dense = self._make_output_dense(
            query_shape, self._get_common_kwargs_for_sublayer(), "attention_output"
        )
        self._output_dense.build((*query_shape[:-1], self._num_heads, self._value_dim))
        self.built = True

    def _make_projection(self, name: str, shape: Shape, width: int, **kwargs: Any) -> EinsumDense:
        """Make and build the projection of an input to all heads."""
        equation, bias_axes, rank = _build_proj_equation(len(shape) - 1, 1, 2)
        dense = EinsumDense(
            equation,
            output_shape=_get_output_shape(rank - 1, [self._num_heads, width]),
            bias_axes=bias_axes if self._use_bias else None,
            name=name,
            **kwargs,
            **self._get_common_kwargs_for_sublayer(),
        )
        dense.build(shape)
        return dense

    def _get_common_kwargs_for_sublayer(self) -> dict[str, Any]:
        """Return the arguments of every projection, with initializers of its own."""
        return {
            "kernel_regularizer": self._kernel_regularizer,
            "bias_regularizer": self._bias_regularizer,
            "activity_regularizer": self._projection_regularizer,
            "kernel_constraint": self._kernel_constraint,
            "bias_constraint": self._bias_constraint,
            "dtype": self.dtype_policy,
            "kernel_initializer": _clone(self._kernel_initializer),
            "bias_initializer": _clone(self._bias_initializer),
        }

    def _make_output_dense(
        self, query_shape: Shape, common_kwargs: dict[str, Any], name: str | None = None
    ) -> EinsumDense:
        """Make the projection from all heads to the result."""
        output_shape = self._output_shape or [query_shape[-1]]
        equation, bias_axes, rank = _build_proj_equation(
            len(query_shape) - 1, bound_dims=2, output_dims=len(output_shape)
        )
        return EinsumDense(
            equation,
            output_shape=_get_output_shape(rank - 1, output_shape),
            bias_axes=bias_axes if self._use_bias else None,
            name=name,
            **common_kwargs,
        )

    def _build_attention(self, rank: int) -> None:
        """Prepare the attention between projected tensors of rank `rank`."""
        axes = self._attention_axes
        if axes is None:
            axes = tuple(range(1, rank - 2))
        self._attention_axes = tuple(axis if axis >= 0 else rank - 1 + axis for axis in axes)
        equations = _build_attention_equation(rank, self._attention_axes)
        self._dot_product_equation, self._combine_equation, scores_rank = equations
        keys = tuple(range(scores_rank - len(self._attention_axes), scores_rank))
        self._softmax = Softmax(axis=keys, dtype=self.dtype_policy)
        self._dropout_layer = Dropout(rate=self._dropout, dtype=self.dtype_policy, seed=self.seed)

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
        options: dict[str, Any] = {}
        masks = (query_mask, value_mask, key_mask, attention_mask)
        if (
            use_causal_mask
            and self._sliding_window is None
            and all(mask is None for mask in masks)
            and type(self)._compute_attention is MultiHeadAttention._compute_attention
        ):
            options["use_causal_mask"] = True  # the kernel makes that mask itself
        else:
            attention_mask = self._compute_attention_mask(
                query,
                value,
                query_mask=query_mask,
                value_mask=value_mask,
                key_mask=key_mask,
                attention_mask=attention_mask,
                use_causal_mask=use_causal_mask,
            )
        query, key, value = _unmasked(query), _unmasked(key), _unmasked(value)
        gate = self._gate_dense(query) if self._use_gate else None
        query = self._query_dense(query)
        key = self._key_dense(key)
        value = self._value_dense(value)
        output, scores = self._compute_attention(
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
            query, key, value: `(B, T, N, H)`, `(B, S, N, H)`, `(B, S, N, H)`.
            attention_mask: Boolean, `(B, T, S)` or broadcastable to `(B, N, T, S)`.
            training: Whether to apply dropout.
            return_attention_scores: Whether the weights are wanted.
            use_causal_mask: Whether to attend to earlier positions only.

        Returns:
            The attended values `(B, T, N, H)`, and the weights, `None` unless they were computed.
        """
        if self._flash_attention and return_attention_scores:
            raise ValueError(
                f"MultiHeadAttention '{self.name}': flash attention computes no attention scores;"
                " leave out `return_attention_scores` or `flash_attention`."
            )
        dropout = self._dropout if training else 0.0
        # torch's kernel draws its dropout from torch's generator, as Keras does without a seed.
        seeded = dropout > 0.0 and self.seed is not None
        if query.dim() == 4 and not return_attention_scores and not seeded:
            return self._fused(query, key, value, attention_mask, dropout, use_causal_mask), None
        if use_causal_mask:
            causal = self._compute_causal_mask(query, value)
            attention_mask = causal if attention_mask is None else attention_mask.bool() & causal
        query = query * self._inverse_sqrt_key_dim
        scores = torch.einsum(self._dot_product_equation, key, query)
        scores = self._masked_softmax(scores, attention_mask)
        weights = self._dropout_layer.call(scores, training=True) if dropout > 0.0 else scores
        return torch.einsum(self._combine_equation, weights, value), scores

    def _fused(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        dropout: float,
        causal: bool,
    ) -> Tensor:
        bias = None
        if mask is not None:
            if causal:
                mask = mask.bool() & self._compute_causal_mask(query, value)
                causal = False
            mask = self._expand_mask(mask, 4)
            bias = torch.zeros_like(mask, dtype=query.dtype).masked_fill_(
                mask.logical_not(), _MASKED.get(query.dtype, _MASKED_DEFAULT)
            )
        arguments: dict[str, Any] = {
            "attn_mask": bias,
            "dropout_p": dropout,
            "is_causal": causal,
            "scale": self._inverse_sqrt_key_dim,
        }
        query, key, value = query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
        if self._flash_attention:
            with sdpa_kernel([SDPBackend.FLASH_ATTENTION]):
                output = F.scaled_dot_product_attention(query, key, value, **arguments)
        else:
            output = F.scaled_dot_product_attention(query, key, value, **arguments)
        if mask is not None and self._dropout > 0.0:
            output = torch.where(mask.any(dim=-1, keepdim=True), output, 0.0)
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
        axis = -2 * len(self._attention_axes) - 1
        for _ in range(rank - mask.dim()):
            mask = mask.unsqueeze(axis)
        return mask

    # Masks and shapes ----------------------------------------------------------------------------

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

    def _check_shapes(self, value_shape: Shape, key_shape: Shape) -> None:
        if tuple(value_shape[1:-1]) != tuple(key_shape[1:-1]):
            raise ValueError(
                explain(
                    f"MultiHeadAttention '{self.name}': `value` and `key` must have the same shape"
                    " except for batch and features.",
                    value_shape=tuple(value_shape),
                    key_shape=tuple(key_shape),
                )
            )

    def compute_output_shape(
        self, query_shape: Shape, value_shape: Shape, key_shape: Shape | None = None
    ) -> tuple[int | None, ...]:
        self._check_shapes(value_shape, value_shape if key_shape is None else key_shape)
        if self._output_shape:
            return (*query_shape[:-1], *self._output_shape)
        return tuple(query_shape)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("return_attention_scores") or args[7:8] == (True,):
            return Operation.compute_output_spec(self, *args, **kwargs)
        return super().compute_output_spec(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        own = {name: serialize_value(getattr(self, f"_{name}")) for name in _ARGUMENTS}
        own["activity_regularizer"] = serialize_value(self._projection_regularizer)
        return {**super().get_config(), **own, "seed": self.seed}


def _check_positive(**sizes: Any) -> None:
    for name, size in sizes.items():
        if not isinstance(size, numbers.Integral) or size <= 0:
            raise ValueError(
                explain(
                    f"MultiHeadAttention: `{name}` must be a positive integer.",
                    given=f"{name}={size!r}",
                )
            )


def _as_shape(output_shape: Any) -> tuple[int, ...] | None:
    if not output_shape:
        return None
    if isinstance(output_shape, int):
        return (output_shape,)
    try:
        return tuple(output_shape)
    except TypeError:
        raise ValueError(
            "MultiHeadAttention: `output_shape` must be an int, a tuple or a list, got"
            f" {output_shape!r}."
        ) from None


def _as_axes(axes: Any) -> tuple[int, ...] | None:
    if axes is None:
        return None
    if isinstance(axes, int):
        return (axes,)
    if isinstance(axes, (list, tuple)):
        return tuple(axes)
    raise ValueError(
        f"MultiHeadAttention: `attention_axes` must be an int, a list or a tuple, got {axes!r}."
    )


def _clone(initializer: Any) -> Any:
    if not hasattr(initializer, "get_config"):
        return initializer
    return type(initializer).from_config(initializer.get_config())


def _unmasked(x: Tensor) -> Tensor:
    """Return `x` without the mask attached to it, which the projections have no use for."""
    return x if get_keras_mask(x) is None else x.view_as(x)


def _build_attention_equation(rank: int, attn_axes: Sequence[int]) -> tuple[str, str, int]:
    """Write the einsum equations of attention between projected tensors.

    Args:
        rank: Of the tensors, `(batch, <other axes>, <attention axes>, heads, channels)`.
        attn_axes: The axes attended over.

    Returns:
        The equation of the scores (keys, queries), that of the result (scores, values), and the
        rank of the scores.
    """
    target = string.ascii_lowercase[:rank]
    fresh = iter(string.ascii_lowercase[rank:])
    source = "".join(next(fresh) if axis in attn_axes else target[axis] for axis in range(rank))
    shared = "".join(target[axis] for axis in range(rank - 1) if axis not in attn_axes)
    queries = "".join(target[axis] for axis in attn_axes)
    keys = "".join(source[axis] for axis in attn_axes)
    scores = shared + queries + keys
    return f"{source},{target}->{scores}", f"{scores},{source}->{target}", len(scores)


def _build_proj_equation(free_dims: int, bound_dims: int, output_dims: int) -> tuple[str, str, int]:
    """Write the einsum equation of a projection.

    Args:
        free_dims: Number of axes that stay.
        bound_dims: Number of axes summed over.
        output_dims: Number of axes that replace them.

    Returns:
        The equation, the axes of the bias, and the rank of the result.
    """
    letters = iter(string.ascii_lowercase)
    free = "".join(next(letters) for _ in range(free_dims))
    bound = "".join(next(letters) for _ in range(bound_dims))
    new = "".join(next(letters) for _ in range(output_dims))
    return f"{free}{bound},{bound}{new}->{free}{new}", new, free_dims + output_dims


def _get_output_shape(output_rank: int, known_last_dims: Sequence[int]) -> list[int | None]:
    """Return a shape of `output_rank` sizes of which only the last are known."""
    return [None] * (output_rank - len(known_last_dims)) + list(known_last_dims)
