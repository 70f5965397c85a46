"""ONNX files, through `torch.onnx`; needs the packages onnx and onnxscript."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import warnings
from collections.abc import Iterator
from typing import Any

import torch

from ..naming import explain
from ..saving.atomic import replacing
from ..tree import flatten, pack_sequence_as
from .program import in_inference_mode, warn_if_fixed
from .signature import Signature, example_inputs, open_sizes, report, to_signature

__all__ = ["export_onnx"]

_PACKAGES = ("onnx", "onnxscript")


def export_onnx(
    model: Any,
    filepath: Any,
    verbose: bool | None = None,
    input_signature: Any = None,
    opset_version: int | None = None,
    **kwargs: Any,
) -> str:
    """Write a model as an ONNX file; its inputs are tensors, flattened out of their structure.

    Args:
        model: A built model or layer.
        filepath: Where to; usually it ends in `.onnx`.
        verbose: Say where it was written; by default yes.
        input_signature: What the model is called with; by default that is found out. Sizes that
            are `None` stay open. Names of specs are names of inputs.
        opset_version: Of the operators; by default torch's. Others are converted to.
        kwargs: Further options of `torch.onnx.export`.

    Returns: The path.

    Raises:
        ImportError: onnx or onnxscript is not installed.
        ValueError: The inputs are unknown.
        RuntimeError: The model cannot be traced, or has an operation that ONNX has not.
    """
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f"Exporting to ONNX requires {' and '.join(missing)}. Fix: `pip install"
            f" {' '.join(_PACKAGES)}`, or use format='torch'."
        )
    signature = to_signature(model, input_signature)
    specs = flatten(signature)
    names = [spec.name or f"input_{i}" for i, spec in enumerate(specs)]
    options: dict[str, Any] = {"input_names": names, "opset_version": opset_version, **kwargs}
    with in_inference_mode(model), _quietly():
        try:
            program = torch.onnx.export(
                _Flat(model, signature),
                tuple(flatten(list(example_inputs(signature)))),
                dynamo=True,
                dynamic_shapes=(tuple(flatten_sizes(signature)),),
                verbose=False,
                **options,
            )
        except Exception as error:
            raise RuntimeError(
                explain(
                    f"`torch.onnx` failed to export '{model.name}': {error}",
                    fix="control flow that depends on values must become `torch.where`;"
                    " format='torch' has all operations.",
                )
            ) from error
    warn_if_fixed(program.exported_program, signature)
    version = program.model.opset_imports[""]
    if opset_version not in (None, version):
        warnings.warn(
            f"The model has no form in opset {opset_version}; the file has opset {version}.",
            stacklevel=2,
        )
    path = os.fspath(filepath)
    with replacing(path) as file:
        file.write(program.model_proto.SerializeToString())
    if verbose is None or verbose:
        report(f"Saved an ONNX model at '{path}'.")
    return path


def flatten_sizes(signature: Signature) -> list[dict[int, Any]]:
    """The open sizes of each input; a dict of sizes is a leaf."""
    return [open_sizes([spec])[0] for spec in flatten(signature)]


class _Flat(torch.nn.Module):
    """Calls a model with flat inputs in the structure it takes."""

    def __init__(self, model: torch.nn.Module, signature: Signature) -> None:
        super().__init__()
        self.model = model
        self.signature = signature

    def forward(self, *flat: torch.Tensor) -> Any:
        return self.model(*pack_sequence_as(self.signature, flat))


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Leave out what no caller can act on: what torch says of packages that are not installed."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
