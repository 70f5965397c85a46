"""`TFOpLambda`: the layer that tf.keras made of each TensorFlow function on a symbolic tensor.

Sources: `tf_keras.src.layers.core.tf_op_layer` (names, configs, arguments of calls).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ...dtypes import standardize_dtype
from ...graph.arguments import symbolic_ones
from ...graph.infer import SIZES, infer_spec
from ...graph.keras_tensor import KerasTensor, any_symbolic
from ...graph.operation import Node
from ...naming import explain, nearest
from ...registry import builtin
from ...tree import map_structure
from ..layer import Layer
from . import arrays, backend, elementwise, image, indexing, linalg, nn, random, reductions, signal
from .common import TABLE

__all__ = ["SlicingOpLambda", "TFOpLambda", "find_function"]

_FAMILIES = (arrays, backend, elementwise, image, indexing, linalg, nn, random, reductions, signal)
# What sizes are computed with while a model is built. None of them makes more numbers than it gets.
_ON_SIZES = frozenset(
    "__operators__.add __operators__.getitem cast compat.v1.floor_div math.equal"
    " math.greater math.greater_equal math.less math.less_equal math.not_equal ones_like"
    " where zeros_like concat convert_to_tensor expand_dims gather compat.v1.gather"
    " identity math.add math.floordiv math.floormod math.maximum math.minimum"
    " math.multiply math.negative math.reduce_max math.reduce_min math.reduce_prod"
    " math.reduce_sum math.subtract rank shape compat.v1.shape shape_n size compat.v1.size"
    " split squeeze compat.v1.squeeze stack unstack strided_slice slice".split()
)
_OF_SHAPES = frozenset("rank shape compat.v1.shape shape_n size compat.v1.size".split())
_MOST_SIZES = 64


def find_function(name: str) -> Callable[..., Any]:
    """Return the function that stands for one of TensorFlow's.

    Args:
        name: TensorFlow's canonical name, without `tf.`.

    Raises:
        ValueError: There is none.

    Example:
        >>> find_function("nn.relu6")(torch.tensor([9.0])).tolist()
        [6.0]
    """
    function = TABLE.get(name) if isinstance(name, str) else None
    if function is None:
        raise ValueError(
            explain(
                f"The model calls TensorFlow's `tf.{name}`, which is not provided."
                f" {nearest(str(name), TABLE)}".rstrip(),
                fix="build the model in code with `keras.ops` in its place, and load the weights"
                " with `load_weights`.",
            )
        )
    return function


@builtin("keras.src.layers.core.tf_op_layer.TFOpLambda", "keras.layers.TFOpLambda")
class TFOpLambda(Layer):
    """A call of a TensorFlow function in a functional model of tf.keras.

    It computes what the function does, by `torch`. Arguments have TensorFlow's names. As in
    tf.keras it neither casts its inputs nor hands on masks.

    Args:
        function: The function, by TensorFlow's canonical name without `tf.`.
        kwargs: Arguments of `Layer`.

    Raises:
        ValueError: The function is not provided.

    Example:
        >>> layer = TFOpLambda("math.reduce_sum")
        >>> layer(torch.ones(2, 3), axis=[1], keepdims=True).tolist()
        [[3.0], [3.0]]
    """

    def __init__(self, function: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.function = function
        self._run = find_function(function)
        self.built = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # None of what layers do for their inputs: no cast, no mask, no `training`.
        kwargs.pop("name", None)
        if any_symbolic(args, kwargs):
            outputs = self.compute_output_spec(*args, **kwargs)
            Node(self, args, kwargs, outputs)
            return outputs
        return self._run(*args, **kwargs)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Compute what the function does."""
        return self._run(*args, **kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Return `KerasTensor`s like the results; sizes are computed as far as they are known.

        Raises:
            ValueError: The arguments do not go together.
        """
        try:
            if self.function in _ON_SIZES:
                inputs = symbolic_ones(args, kwargs)
                known = all(x._keras_sizes is not None for x in inputs)
                if known or self.function in _OF_SHAPES:
                    return self._of_sizes(args, kwargs)
            return infer_spec(self._run, args, kwargs)
        except Exception as error:
            raise ValueError(
                explain(
                    f"Layer '{self.name}' cannot call TensorFlow's `tf.{self.function}`: {error}",
                    arguments=f"{args}, {kwargs}",
                )
            ) from error

    def _of_sizes(self, args: Any, kwargs: Any) -> Any:
        """Compute sizes once for each number that stands for an unknown one."""
        runs = []
        for stand_in in SIZES:

            def known(x: Any, stand_in: int = stand_in) -> Any:
                if not isinstance(x, KerasTensor):
                    return x
                if x._keras_sizes is not None:
                    return x._keras_sizes[stand_in]
                shape = [stand_in if size is None else size for size in x.shape]
                return torch.zeros(shape, device="meta")

            values, options = map_structure(known, (args, kwargs))
            with torch.device("cpu"):
                runs.append(self._run(*values, **options))

        def spec(*results: torch.Tensor) -> KerasTensor:
            made = KerasTensor(tuple(results[0].shape), standardize_dtype(results[0].dtype))
            if results[0].numel() <= _MOST_SIZES:
                made._keras_sizes = dict(zip(SIZES, results, strict=True))
            return made

        return map_structure(spec, *runs)


@builtin("keras.src.layers.core.tf_op_layer.SlicingOpLambda", "keras.layers.SlicingOpLambda")
class SlicingOpLambda(TFOpLambda):
    """As `TFOpLambda`; tf.keras made it of functions that take slices, which it writes as dicts."""
