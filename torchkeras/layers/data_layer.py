"""`DataLayer`: a layer that also works inside the graphs of `tf.data` and in `grain` pipelines.

A `tf.data` pipeline traces its functions on symbolic TensorFlow tensors. There, a data layer puts
one call back into Python (`tf.numpy_function`) into the graph; its results have the dtypes and
shapes that the layer infers for itself. TensorFlow is never imported here: only a program that has
imported it can hand over its tensors. In a `grain` pipeline, whose workers must not touch a GPU,
the layer computes on the CPU.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ..config import default_device
from ..dtypes import as_tensor, standardize_dtype
from ..graph.infer import infer_spec
from ..graph.keras_tensor import KerasTensor
from ..naming import explain
from ..ops import core, image, linalg, math, nn, numpy
from ..random import SeedGenerator
from ..tree import flatten, map_structure, pack_sequence_as
from .call_spec import CallSpec
from .layer import Layer

__all__ = [
    "Backend",
    "DataLayer",
    "also_in_tf_graphs",
    "convert_tf_tensor",
    "in_grain_data_pipeline",
    "in_tf_graph",
    "into_tf_graph",
]

_GRAIN = os.path.join("grain", "_src", "python", "data")  # of `dataset` and of `data_loader.py`


class Backend:
    """What Keras's data layers call `self.backend`: the ops, grouped as Keras groups them.

    Example:
        >>> Backend().numpy.square(3).item(), Backend().name
        (9, 'torch')
    """

    name = _backend = "torch"
    core, image, linalg, math, nn, numpy = core, image, linalg, math, nn, numpy
    random = sys.modules[SeedGenerator.__module__]

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.modules[core.__package__], name)


class DataLayer(Layer):
    """Base of the layers that prepare data, in a model as well as in a data pipeline.

    A layer that draws random numbers keeps its `seed` and a `SeedGenerator` of it, `generator`.

    Args:
        kwargs: Arguments of `Layer`.

    Example:
        >>> class Doubled(DataLayer):
        ...     def call(self, inputs):
        ...         return self.backend.numpy.multiply(inputs, 2)
        >>> Doubled()(np.array([1.0, 2.0])).tolist()
        [2.0, 4.0]
    """

    _allow_non_tensor_positional_args = True
    # Whether all numbers that come from a TensorFlow graph are cast to the compute dtype.
    _casts_in_tf_graphs = True
    backend = Backend()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if in_tf_graph(args, kwargs):
            if self._casts_in_tf_graphs:
                args = map_structure(lambda x: _cast(x, self.compute_dtype), args)
            return into_tf_graph(super().__call__, self._spec_of_call, args, kwargs)
        if default_device().type != "cpu" and in_grain_data_pipeline():
            with torch.device("cpu"):
                return super().__call__(*args, **kwargs)
        return super().__call__(*args, **kwargs)

    def _spec_of_call(self, *args: Any, **kwargs: Any) -> Any:
        """Return what a call gives, without recording it."""
        args, kwargs = map_structure(self._convert_input, (args, kwargs))
        self._build_from(CallSpec(self, args, kwargs))
        return self.compute_output_spec(*args, **kwargs)

    def _get_seed_generator(self, backend: Any = None) -> SeedGenerator:
        """Return the generator that random layers draw from.

        Raises:
            ValueError: The constructor has set no `seed` or no `generator`.
        """
        if not hasattr(self, "seed") or not hasattr(self, "generator"):
            raise ValueError(
                f"{type(self).__name__} '{self.name}': set `self.seed` and"
                " `self.generator = SeedGenerator(seed)` in `__init__` before drawing from it."
            )
        return self.generator

    def convert_weight(self, weight: Any) -> Any:
        """Return a weight as `call` needs it, which here is as it is."""
        return weight


# TensorFlow's graphs ------------------------------------------------------------------------------


def in_tf_graph(*values: Any) -> bool:
    """Return whether TensorFlow traces a graph: with these values, or, without any, at all."""
    tf = sys.modules.get("tensorflow")
    is_symbolic = getattr(tf, "is_symbolic_tensor", None)
    if is_symbolic is None or torch.compiler.is_compiling():  # not loaded, or without graphs here
        return False
    if not values:
        return not tf.executing_eagerly()
    return any(_is_composite(x) or is_symbolic(x) for x in flatten(values))


def convert_tf_tensor(outputs: Any, dtype: Any = None) -> Any:
    """Return `outputs` as a tensor, unless TensorFlow traces a graph."""
    return outputs if in_tf_graph() else core.convert_to_tensor(outputs, dtype=dtype)


def also_in_tf_graphs(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function or method that computes on tensors take symbolic TensorFlow tensors too."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if "tensorflow" in sys.modules and in_tf_graph(args, kwargs):
            return into_tf_graph(function, functools.partial(_spec_of, function), args, kwargs)
        return function(*args, **kwargs)

    wrapped.autograph_info__ = DataLayer.autograph_info__
    return wrapped


def _spec_of(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return infer_spec(function, args, kwargs)


def _cast(x: Any, dtype: str) -> Any:
    """Return a tensor of TensorFlow's in another dtype, unless it holds no numbers."""
    tf = sys.modules["tensorflow"]
    is_numbers = tf.is_tensor(x) and x.dtype not in (tf.string, tf.resource, tf.variant)
    return tf.cast(x, dtype) if is_numbers else x


def _is_composite(x: Any) -> bool:
    """Whether `x` is a ragged tensor, which consists of several."""
    tf = sys.modules["tensorflow"]
    return isinstance(x, tf.RaggedTensor) and not tf.executing_eagerly()


def into_tf_graph(
    function: Callable[..., Any],
    spec_of: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Put `function(*args, **kwargs)` into the graph that TensorFlow traces.

    Args:
        function: Computes with torch.
        spec_of: Gives its result for the same arguments with `KerasTensor`s in them.
        args, kwargs: Its arguments, with symbolic TensorFlow tensors in them.
    """
    tf = sys.modules["tensorflow"]
    structure = (args, kwargs)
    leaves = [x.to_tensor() if _is_composite(x) else x for x in flatten(structure)]
    places = [i for i, x in enumerate(leaves) if tf.is_symbolic_tensor(x)]

    def filled(values: Any) -> Any:
        new = list(leaves)
        for place, value in zip(places, values, strict=True):
            new[place] = value
        return pack_sequence_as(structure, new)

    symbolic_args, symbolic_kwargs = filled([_as_keras_tensor(leaves[i]) for i in places])
    spec = spec_of(*symbolic_args, **symbolic_kwargs)
    outputs = flatten(spec)
    wanted = [i for i, x in enumerate(outputs) if isinstance(x, KerasTensor)]
    dtypes = [tf.as_dtype(outputs[i].dtype) for i in wanted]

    def compute(*arrays: np.ndarray) -> list[np.ndarray]:
        with torch.no_grad(), torch.device("cpu"):
            concrete_args, concrete_kwargs = filled(map(_from_tf, arrays))
            results = flatten(function(*concrete_args, **concrete_kwargs))
        pairs = zip(wanted, dtypes, strict=True)
        return [_to_tf(results[i], dtype.as_numpy_dtype) for i, dtype in pairs]

    results = tf.numpy_function(compute, [leaves[i] for i in places], dtypes)
    for i, result in zip(wanted, results, strict=True):
        result.set_shape(outputs[i].shape)
        outputs[i] = result
    return pack_sequence_as(spec, outputs)


def _as_keras_tensor(x: Any) -> KerasTensor:
    if x.shape.rank is None:
        raise ValueError(
            explain(
                f"A layer in a tf.data pipeline was given the tensor '{x.name}' of unknown rank.",
                fix="call `set_shape` on it first, with `None` for the sizes that vary.",
            )
        )
    return KerasTensor(tuple(x.shape), x.dtype.name)


def _from_tf(x: Any) -> Any:
    """Return what TensorFlow hands over as a tensor; strings stay a NumPy array."""
    x = np.asarray(x)
    if x.dtype.kind in "OSU":
        return x
    if standardize_dtype(x.dtype) == "bfloat16":
        return torch.as_tensor(x.astype("float32")).to(torch.bfloat16)
    return as_tensor(x if x.flags.writeable else x.copy())


def _to_tf(x: Any, dtype: Any) -> np.ndarray:
    if isinstance(x, torch.Tensor):
        x = x.float() if x.dtype is torch.bfloat16 else x
        x = x.resolve_conj().resolve_neg().numpy()
    return np.asarray(x, dtype=dtype)


def in_grain_data_pipeline() -> bool:
    """Return whether the call comes from a `grain` pipeline."""
    frame = sys._getframe(1) if "grain" in sys.modules else None
    while frame is not None:
        if _GRAIN in frame.f_code.co_filename:
            return True
        frame = frame.f_back
    return False
