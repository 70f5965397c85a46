"""`export_model`: the formats of `Model.export` by their names."""

from __future__ import annotations

from typing import Any

from ..naming import explain
from .onnx import export_onnx
from .program import export_torch
from .torchscript import export_torchscript

__all__ = ["export_model"]

_EXPORTERS = {"torch": export_torch, "onnx": export_onnx, "torchscript": export_torchscript}
# Formats of Keras's that other frameworks write, and what leads there.
_ELSEWHERE = {
    "tf_saved_model": "TensorFlow's SavedModel can only be written by TensorFlow. Use"
    " format='torch', which PyTorch loads without torchkeras, or format='onnx'; or save a `.keras`"
    " file, and load it in Keras on TensorFlow.",
    "openvino": "OpenVINO reads ONNX: use format='onnx', then `openvino.convert_model(path)`.",
    "litert": "LiteRT (TFLite) is converted to from PyTorch: use format='torch', then the package"
    " litert-torch; or save a `.keras` file, and load it in Keras on TensorFlow.",
}


def export_model(
    model: Any,
    filepath: Any,
    format: str,  # noqa: A002
    verbose: bool | None = None,
    input_signature: Any = None,
    **kwargs: Any,
) -> str:
    """Write a model for inference.

    Args:
        model: A built model or layer.
        filepath: Where to.
        format: `"torch"`, `"onnx"` or `"torchscript"`.
        verbose: Say where it was written; by default yes.
        input_signature: What the model is called with; by default that is found out.
        kwargs: Options of the format; see `export_torch`, `export_onnx`,
            `export_torchscript`.

    Returns: The path.

    Raises:
        ValueError: An unknown format.
        NotImplementedError: A format of Keras's that is not written here, with what to use.
    """
    if format in _ELSEWHERE:
        raise NotImplementedError(f"format={format!r} is not available. {_ELSEWHERE[format]}")
    if format not in _EXPORTERS:
        raise ValueError(
            explain(
                f"Unrecognized format={format!r}.",
                expected=", ".join(map(repr, _EXPORTERS)),
            )
        )
    return _EXPORTERS[format](
        model, filepath, verbose=verbose, input_signature=input_signature, **kwargs
    )
