"""`MultiHeadAttention` and `GroupedQueryAttention`, on `scaled_dot_product_attention`.

Letters: B batch, T query positions, S key positions, N heads, H width of a head, E output width.
Projected queries are `(B, T, N, H)`, keys and values `(B, S, N, H)`. Masks: True means "attend".
What both have in common is in `_attention.py`; attention without projections in `dot_attention.py`.
Sources: Vaswani et al. 2017; Ainslie et al. 2023 (groups); Keras 3 (arguments, names of parts).
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..naming import explain
from ..registry import builtin
from ._attention import ProjectedAttention, check_positive
from .activation import Softmax
from .configs import serialize_value
from .core import EinsumDense
from .layer import Layer
from .regularization import Dropout

__all__ = ["GroupedQueryAttention", "MultiHeadAttention"]

Shape = Sequence["int | None"]

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
class MultiHeadAttention(ProjectedAttention):
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
        super().__init__(**kwargs)
        check_positive(self, num_heads=num_heads, key_dim=key_dim)
        if value_dim is not None:
            check_positive(self, value_dim=value_dim)
        self._num_heads = num_heads
        self._key_dim = key_dim
        self._value_dim = value_dim or key_dim
        self._output_shape = _as_shape(output_shape)
        self._attention_axes = _as_axes(attention_axes)
        # The activity regularizer is for the projections; the layer's own output is not penalized.
        self._keep_options(locals(), key_dim)
        self._inverse_sqrt_key_dim = self._scale

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
        self._same_positions(value_shape, key_shape)
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
        if not axes:
            raise ValueError(
                explain(
                    f"MultiHeadAttention '{self.name}': there is no axis to attend over.",
                    value_rank=rank - 1,
                    expected="inputs of shape (batch, positions, features)",
                    attention_axes=self._attention_axes,
                )
            )
        self._attention_axes = tuple(axis if axis >= 0 else rank - 1 + axis for axis in axes)
        equations = _build_attention_equation(rank, self._attention_axes)
        self._dot_product_equation, self._combine_equation, scores_rank = equations
        keys = tuple(range(scores_rank - len(self._attention_axes), scores_rank))
        self._softmax = Softmax(axis=keys, dtype=self.dtype_policy)
        self._dropout_layer = Dropout(rate=self._dropout, dtype=self.dtype_policy, seed=self.seed)

    @property
    def _num_axes(self) -> int:
        return len(self._attention_axes)

    def _scores(self, query: Tensor, key: Tensor) -> Tensor:
        return torch.einsum(self._dot_product_equation, key, query)

    # Shapes and configs --------------------------------------------------------------------------

    def compute_output_shape(
        self, query_shape: Shape, value_shape: Shape, key_shape: Shape | None = None
    ) -> tuple[int | None, ...]:
        self._same_positions(value_shape, value_shape if key_shape is None else key_shape)
        if self._output_shape:
            return (*query_shape[:-1], *self._output_shape)
        return tuple(query_shape)

    def get_config(self) -> dict[str, Any]:
        own = {name: serialize_value(getattr(self, f"_{name}")) for name in _ARGUMENTS}
        own["activity_regularizer"] = serialize_value(self._projection_regularizer)
        return {**super().get_config(), **own, "seed": self.seed}


@builtin("keras.layers.GroupQueryAttention", "keras.layers.GroupedQueryAttention")
class GroupedQueryAttention(ProjectedAttention):
    """`MultiHeadAttention` whose queries share heads of keys and values in groups.

    One head of keys is multi-query attention; as many as of queries, multi-head attention.

    Args:
        head_dim: Width H of a head.
        num_query_heads: Number N of heads of queries.
        num_key_value_heads: Number K of heads of keys and values; N is a multiple of it.
        dropout: Fraction of the attention weights to drop in training.
        use_bias: Whether the projections have biases.
        sliding_window: Attend only to positions less than this far away.
        flash_attention: Whether to insist on torch's flash attention. Default: torch chooses.
        kernel_initializer, bias_initializer: Initial weights of the projections.
        kernel_regularizer, bias_regularizer: Penalties on the weights.
        activity_regularizer: Penalty on the output of each projection, and on the result.
        kernel_constraint, bias_constraint: Projections of the weights after updates.
        use_gate: Whether to multiply the attended values by a sigmoid gate made of the query.
        seed: Of the dropout.

    Shapes:
        query: `(B, T, E)`. value: `(B, S, E)`. key: `(B, S, D)`, `value` unless given.
        attention_mask: `(B, T, S)`. query_mask: `(B, T)`; value_mask, key_mask: `(B, S)`.
        Result: `(B, T, E)`; with `return_attention_scores` also the weights, `(B, N, T, S)`.

    Raises:
        ValueError: N is not a multiple of K, or dropout with flash attention.

    Source: Ainslie et al. 2023; Qiu et al. 2025 (gate).

    Example:
        >>> layer = GroupedQueryAttention(head_dim=4, num_query_heads=4, num_key_value_heads=2)
        >>> layer(torch.ones(2, 3, 8), torch.ones(2, 5, 8)).shape
        torch.Size([2, 3, 8])
    """

    _prefix = ""
    _config_excludes = ("flash_attention",)

    def __init__(
        self,
        head_dim: int,
        num_query_heads: int,
        num_key_value_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
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
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        check_positive(self, num_query_heads=num_query_heads)
        if num_query_heads % num_key_value_heads:
            raise ValueError(
                explain(
                    f"GroupedQueryAttention '{self.name}': `num_query_heads` must be a multiple of"
                    " `num_key_value_heads`.",
                    given=f"{num_query_heads} and {num_key_value_heads}",
                )
            )
        self.head_dim = head_dim
        self.num_query_heads = num_query_heads
        self.num_key_value_heads = num_key_value_heads
        self.num_repeats = num_query_heads // num_key_value_heads
        self._keep_options(locals(), head_dim)
        self._inverse_sqrt_head_dim = self._scale

    @property
    def dropout(self) -> float:
        """Fraction of the attention weights dropped in training."""
        return self._dropout

    @property
    def use_bias(self) -> bool:
        """Whether the projections have biases."""
        return self._use_bias

    @property
    def use_gate(self) -> bool:
        """Whether a gate multiplies the attended values."""
        return self._use_gate

    @property
    def sliding_window(self) -> int | None:
        """The distance of positions from which on they are not attended to."""
        return self._sliding_window

    def build(self, query_shape: Shape, value_shape: Shape, key_shape: Shape | None = None) -> None:
        key_shape = value_shape if key_shape is None else key_shape
        self.feature_dim = query_shape[-1]
        # In Keras's order, which is that of the weights and of the seeds drawn.
        self._query_dense = self._make_projection("query", self.num_query_heads, query_shape)
        self._key_dense = self._make_projection("key", self.num_key_value_heads, key_shape)
        if self._use_gate:
            self._gate_dense = self._make_projection(
                "gate", self.num_query_heads, query_shape, activation="sigmoid"
            )
        self._value_dense = self._make_projection("value", self.num_key_value_heads, value_shape)
        self._softmax = Softmax(axis=-1, dtype=self.dtype_policy)
        self._dropout_layer = Dropout(rate=self._dropout, dtype=self.dtype_policy, seed=self.seed)
        self._dot_product_equation = "bquh,bkuh->buqk"
        self._combine_equation = "buqk,bkuh->bquh"
        self._output_dense = EinsumDense(
            "bquh,uhm->bqm",
            output_shape=(None, self.feature_dim),
            bias_axes="m" if self._use_bias else None,
            name="attention_output",
            **self._get_common_kwargs_for_sublayer(),
        )
        self._output_dense.build((None, None, self.num_query_heads, self.head_dim))
        self.built = True

    def _make_projection(self, name: str, heads: int, shape: Shape, **kwargs: Any) -> EinsumDense:
        dense = EinsumDense(
            "bqm,muh->bquh",
            output_shape=(None, heads, self.head_dim),
            bias_axes="uh" if self._use_bias else None,
            name=name,
            **kwargs,
            **self._get_common_kwargs_for_sublayer(),
        )
        dense.build(shape)
        return dense

    def _scores(self, query: Tensor, key: Tensor) -> Tensor:
        return torch.einsum(self._dot_product_equation, query, key)

    def _overridden_attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        training: bool | None,
        return_attention_scores: bool,
    ) -> tuple[Tensor, Tensor | None]:
        # Keras's method gets as many heads of keys as of queries, and reads an attribute.
        self._return_attention_scores = return_attention_scores
        key = key.repeat_interleave(self.num_repeats, dim=2)
        value = value.repeat_interleave(self.num_repeats, dim=2)
        return self._compute_attention(
            query, key, value, attention_mask=attention_mask, training=training
        )

    def compute_output_shape(
        self, query_shape: Shape, value_shape: Shape, key_shape: Shape | None = None
    ) -> tuple[int | None, ...]:
        if query_shape[-1] != value_shape[-1]:
            raise ValueError(
                explain(
                    f"GroupedQueryAttention '{self.name}': the widths of `query` and `value` must"
                    " be equal.",
                    query_shape=tuple(query_shape),
                    value_shape=tuple(value_shape),
                )
            )
        self._same_positions(value_shape, value_shape if key_shape is None else key_shape)
        return tuple(query_shape)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments; a regularizer of the activity is always listed, as in Keras."""
        return {"activity_regularizer": None, **super().get_config()}


def _as_shape(output_shape: Any) -> tuple[int, ...] | None:
    if not output_shape:
        return None
    if isinstance(output_shape, int):
        return (output_shape,)
    try:
        return tuple(output_shape)
    except TypeError:
        raise ValueError(
            f"MultiHeadAttention: Invalid `output_shape`: {output_shape!r}. Pass an int, a tuple or"
            " a list."
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
