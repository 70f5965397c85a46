"""Programs of `torch.export`: a model as a graph of ATen operations with its weights, in a `.pt2`.

    program = torch.export.load("model.pt2").module()
    outputs = program(inputs)

Sizes that the signature leaves open stay open in the program, the batch size among them.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.export import ExportedProgram

from ..naming import explain, nearest
from ..saving.atomic import replacing
from ..tree import flatten
from .signature import Signature, example_inputs, open_sizes, report, to_signature

__all__ = ["export_torch", "in_inference_mode", "save_program", "trace", "warn_if_fixed"]

_OPTIONS = [
    name
    for name in inspect.signature(torch.export.export).parameters
    if name not in ("mod", "args", "kwargs")
]


def export_torch(
    model: Any,
    filepath: Any,
    input_signature: Any = None,
    verbose: bool | None = None,
    **kwargs: Any,
) -> str:
    """Write a model as a program of `torch.export`.

    Args:
        model: A built model or layer.
        filepath: Must end in `.pt2`.
        input_signature: What the model is called with; by default that is found out.
        verbose: Say where it was written; by default yes.
        kwargs: Options of `torch.export.export`. Without `dynamic_shapes`, the sizes that are
            `None` in the signature stay open. `strict` is false by default.

    Returns: The path.

    Raises:
        ValueError: Another ending, an unknown option, or unknown inputs.
        RuntimeError: The model cannot be traced.

    Example:
        >>> import tempfile
        >>> from torchkeras import Input, Sequential, layers
        >>> model = Sequential([Input((3,)), layers.Dense(2)])
        >>> path = os.path.join(tempfile.mkdtemp(), "model.pt2")
        >>> path = export_torch(model, path, verbose=False)
        >>> torch.export.load(path).module()(torch.ones(5, 3)).shape
        torch.Size([5, 2])
    """
    path = os.fspath(filepath)
    if not path.endswith(".pt2"):
        raise ValueError(
            f"A program of `torch.export` is a `.pt2` file. Received: filepath={path!r}. Fix: add"
            " that ending."
        )
    unknown = sorted(set(kwargs) - set(_OPTIONS))
    if unknown:
        raise ValueError(
            explain(
                f'Unsupported arguments for `format="torch"`: {", ".join(unknown)}.',
                expected=", ".join(_OPTIONS),
                fix=nearest(unknown[0], _OPTIONS) or None,
            )
        )
    with in_inference_mode(model):
        program = trace(model, to_signature(model, input_signature), **kwargs)
    save_program(program, path)
    if verbose is None or verbose:
        report(f"Saved a program of torch.export at '{path}'.")
    return path


def trace(
    module: torch.nn.Module,
    signature: Signature,
    dynamic_shapes: Any = None,
    strict: bool = False,
    **kwargs: Any,
) -> ExportedProgram:
    """Trace a module with inputs of a signature.

    Args:
        module: The module.
        signature: Its inputs.
        dynamic_shapes: Which sizes stay open; by default those that are `None`.
        strict: Whether `torch.export` reads the byte code of the model.
        kwargs: Further options of `torch.export.export`.

    Raises:
        RuntimeError: It cannot be traced.
    """
    args = example_inputs(signature)
    if dynamic_shapes is None:
        shapes = open_sizes(signature)
    else:
        shapes = _per_argument(dynamic_shapes, args)
    parameters = inspect.signature(module.forward).parameters.values()
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        shapes = (tuple(shapes),)  # `*args` counts as one
    try:
        program = torch.export.export(module, args, dynamic_shapes=shapes, strict=strict, **kwargs)
    except Exception as error:
        raise RuntimeError(
            explain(
                f"`torch.export` failed to trace {type(module).__name__}: {error}",
                fix="control flow that depends on values must become `torch.where` or"
                " `torch.cond`; sizes that cannot stay open must be given in `input_signature`.",
            )
        ) from error
    if dynamic_shapes is None:
        warn_if_fixed(program, signature)
    return program


def _per_argument(dynamic_shapes: Any, args: tuple[Any, ...]) -> Any:
    """Bring what Keras accepts into the form of `torch.export`: an entry for each argument."""
    if isinstance(dynamic_shapes, dict):
        return dynamic_shapes.get("args", (dynamic_shapes,))
    shapes = tuple(dynamic_shapes)
    first = shapes[0] if len(shapes) == 1 else None
    if isinstance(first, (list, tuple)) and isinstance(args[0], torch.Tensor):
        return tuple(first)  # Keras's models take `*args`, of which this is the form
    nested = len(args) == 1 and isinstance(args[0], (list, tuple))
    if nested and len(shapes) == len(args[0]) and not isinstance(first, (list, tuple)):
        return (type(args[0])(shapes),)
    return shapes


def warn_if_fixed(program: ExportedProgram, signature: Signature) -> None:
    """Warn if the model's code has decided on a size that should stay open."""
    names = program.graph_signature.user_inputs
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    for name, spec in zip(names, flatten(signature), strict=True):
        shape = getattr(values.get(name), "shape", ())
        for axis, size in enumerate(shape):
            if spec.shape[axis] is None and str(size).isdecimal():  # a number, or a symbol's value
                warnings.warn(
                    f"The size of axis {axis} of the input '{spec.name or name}' cannot stay open"
                    f" in this model; in the exported program it is {size}. Give the size you need"
                    " in `input_signature`.",
                    stacklevel=4,
                )


def save_program(program: ExportedProgram, path: str) -> None:
    """Write a program to a file, in one step."""
    content = io.BytesIO()
    with warnings.catch_warnings():
        # Said of weights with strides of their own, such as of convolutions: all are complete.
        warnings.filterwarnings("ignore", message="No complete tensor found in the group")
        torch.export.save(program, content)
    with replacing(path) as file:
        file.write(content.getbuffer())


@contextlib.contextmanager
def in_inference_mode(module: torch.nn.Module) -> Iterator[Callable[..., Any]]:
    """Put a module and all in it into inference mode, and back afterwards."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield module
    finally:
        for part, training in modes.items():
            part.training = training
