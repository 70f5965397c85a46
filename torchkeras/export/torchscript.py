"""TorchScript files, which C++ and phones load; traced from the plain PyTorch form of a model.

PyTorch keeps TorchScript for what runs on it, and develops `torch.export` instead: prefer
`format="torch"` where you can.
"""

from __future__ import annotations

import io
import os
import warnings
from typing import Any

import torch

from ..naming import explain
from ..saving.atomic import replacing
from ..tree import flatten
from .pytorch import to_torch
from .signature import example_inputs, report, to_signature

__all__ = ["export_torchscript"]


def export_torchscript(
    model: Any,
    filepath: Any,
    verbose: bool | None = None,
    input_signature: Any = None,
    **kwargs: Any,
) -> str:
    """Write a model as TorchScript; its inputs are tensors, flattened out of their structure.

    Args:
        model: Functional or Sequential, and built.
        filepath: Must end in `.pt`.
        verbose: Say where it was written; by default yes.
        input_signature: What the model is called with; by default that is found out. The batch size
            stays open, and so do other sizes that are `None`, unless the model loops over them.
        kwargs: Options of `torch.jit.trace`.

    Returns: The path.

    Raises:
        ValueError: Another ending, or unknown inputs.
        NotImplementedError: A layer has no form in plain PyTorch.
        RuntimeError: The model cannot be traced, or computes something else for another batch.

    Example:
        >>> import tempfile
        >>> from torchkeras import Input, Sequential, layers
        >>> model = Sequential([Input((3,)), layers.Dense(2)])
        >>> path = os.path.join(tempfile.mkdtemp(), "model.pt")
        >>> path = export_torchscript(model, path, verbose=False)
        >>> torch.jit.load(path)(torch.ones(5, 3)).shape
        torch.Size([5, 2])
    """
    path = os.fspath(filepath)
    if not path.endswith(".pt"):
        raise ValueError(
            f"TorchScript is a `.pt` file. Received: filepath={path!r}. Fix: add that ending."
        )
    signature = to_signature(model, input_signature)
    module = to_torch(model)
    args = tuple(flatten(list(example_inputs(signature))))
    with warnings.catch_warnings(), torch.no_grad():
        # Deprecation, and sizes that become constants: the batch's is checked below.
        warnings.simplefilter("ignore")
        try:
            traced = torch.jit.trace(
                module, args, **{"check_trace": False, "strict": False, **kwargs}
            )
            _check_batches(module, traced, args, flatten(signature))
        except Exception as error:
            raise RuntimeError(
                explain(
                    f"`torch.jit.trace` failed on '{model.name}': {error}",
                    fix="use format='torch', a program of `torch.export`.",
                )
            ) from error
        content = io.BytesIO()
        torch.jit.save(traced, content)
    with replacing(path) as file:
        file.write(content.getbuffer())
    if verbose is None or verbose:
        report(f"Saved TorchScript at '{path}'.")
    return path


def _check_batches(module: Any, traced: Any, args: tuple[torch.Tensor, ...], specs: list) -> None:
    """Raise if a batch of another size gives another result than the module's."""
    if not all(spec.shape and spec.shape[0] is None for spec in specs):
        return
    longer = [torch.cat([x, x[:1]]) for x in args]
    for expected, actual in zip(flatten(module(*longer)), flatten(traced(*longer)), strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)
