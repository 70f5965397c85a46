"""Input signatures: what an exported model is called with, and which sizes stay open.

A signature is a list of the positional arguments of a call, each a spec or a structure of specs. A
spec is an `InputSpec`, in which `None` is a size that stays open; a symbolic tensor or a tensor
stands for itself with an open batch axis.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch.export import Dim

from ..config import default_device, is_interactive_logging_enabled
from ..dtypes import standardize_dtype, to_torch
from ..graph.keras_tensor import KerasTensor
from ..layers import InputSpec, Layer
from ..naming import explain
from ..tree import map_shape_structure, map_structure

__all__ = [
    "Signature",
    "example_inputs",
    "get_input_signature",
    "make_input_spec",
    "open_sizes",
    "report",
    "to_signature",
]

Signature = list[Any]

_LOGGER = logging.getLogger("torchkeras")
# Examples of open sizes. One would be taken for a constant; other axes may be reduced many times.
_BATCH, _SIZE = 2, 64


def get_input_signature(model: Any) -> Signature:
    """Find out what a model, or a layer, is called with.

    Args:
        model: Functional, or built by a call or with shapes.

    Raises:
        TypeError: It is no layer.
        ValueError: It is not built, or its inputs are not known.

    Example:
        >>> from torchkeras import Input, Sequential, layers
        >>> get_input_signature(Sequential([Input((3,), name="x"), layers.Dense(1)]))
        [InputSpec(dtype=float32, shape=(None, 3), ndim=2)]
    """
    if not isinstance(model, Layer):
        raise TypeError(
            explain(
                "Only a `keras.Model` or a layer can be exported.",
                given=f"{model!r} (of type {type(model).__name__})",
                fix="a `torch.nn.Module` is exported with `torch.export.export`.",
            )
        )
    if not model.built:
        raise ValueError(
            f"Model '{model.name}' has not yet been built, so its inputs are unknown. Fix: call it"
            " on data, or give it an `Input`, before exporting it."
        )
    if getattr(model, "inputs", None) is not None:
        return [map_structure(make_input_spec, model.input)]
    shapes = model._build_shapes or {}
    if not shapes or None in shapes.values():
        raise ValueError(
            f"Model '{model.name}' has never been called, so its inputs are unknown. Fix: call it"
            " on data before exporting it, or pass `input_signature`."
        )

    def spec(shape: Sequence[int | None]) -> InputSpec:
        return InputSpec(shape=(None, *shape[1:]), dtype=model.input_dtype)

    return [map_shape_structure(spec, shape) for shape in shapes.values()]


def make_input_spec(x: Any) -> InputSpec:
    """Make an `InputSpec` of a symbolic tensor or a tensor; one that is complete stays as it is.

    Raises:
        ValueError: A spec has no shape or no dtype.
        TypeError: It is something else.
    """
    if isinstance(x, InputSpec):
        if x.shape is None or x.dtype is None:
            raise ValueError(
                f"The `shape` and `dtype` of an input spec must be given, unlike in {x}."
            )
        return x
    if isinstance(x, (KerasTensor, torch.Tensor)):
        shape = (None, *tuple(x.shape)[1:])
        return InputSpec(standardize_dtype(x.dtype), shape, name=getattr(x, "name", None))
    raise TypeError(
        explain(
            "Unsupported type in an input signature.",
            given=f"{x!r} (of type {type(x).__name__})",
            expected="`keras.InputSpec`, a symbolic tensor or a tensor",
        )
    )


def to_signature(model: Any, signature: Any) -> Signature:
    """Complete a signature given by a user, or find the model's."""
    if signature is None:
        return get_input_signature(model)
    arguments = signature if isinstance(signature, (list, tuple)) else [signature]
    return [map_structure(make_input_spec, argument) for argument in arguments]


def example_inputs(signature: Signature) -> tuple[Any, ...]:
    """Make tensors of ones to trace a model with; each is another object, as in a real call."""

    def example(spec: InputSpec) -> torch.Tensor:
        sizes = ((_SIZE if i else _BATCH) if n is None else n for i, n in enumerate(spec.shape))
        return torch.ones(tuple(sizes), dtype=to_torch(spec.dtype), device=default_device())

    return tuple(map_structure(example, argument) for argument in signature)


def open_sizes(signature: Signature) -> tuple[Any, ...]:
    """Say which sizes stay open, as `dynamic_shapes` of `torch.export`."""

    def sizes(spec: InputSpec) -> dict[int, Any]:
        return {i: Dim.AUTO for i, size in enumerate(spec.shape) if size is None}

    return tuple(map_structure(sizes, argument) for argument in signature)


def report(message: str) -> None:
    """Print a message, or log it where interactive logging is off."""
    if is_interactive_logging_enabled():
        print(message, flush=True)
    else:
        _LOGGER.info(message)
