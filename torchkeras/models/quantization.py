"""Quantization of whole models: `Model.quantize` goes through the layers, and calibrates them."""

from __future__ import annotations

import warnings
from typing import Any

from ..callbacks.progbar import Progbar
from ..layers import Layer
from ..naming import explain
from ..quantizers.calibration import awq_quantize, gptq_quantize
from ..quantizers.config import Filters, should_quantize_layer

__all__ = ["quantize_layers"]


def quantize_layers(model: Any, mode: str, config: Any, filters: Filters, type_check: bool) -> None:
    """Quantize the layers of a model that hold no others; warn of those whose weights stay.

    Where data is needed, only the layers are concerned that it passes: those of the blocks.

    Raises:
        ValueError: `filters` is none; or neither config nor model says how data passes the layers.
    """
    if not (filters is None or callable(filters) or isinstance(filters, (str, list, tuple))):
        raise ValueError(
            "The `filters` argument must be a regex string, a list of regex strings, or a"
            f" callable. Received: {filters!r} (of type {type(filters).__name__})"
        )
    calibrated = mode in ("gptq", "awq")
    structure = _structure_of(model, mode, config) if calibrated else {}
    blocks = list(structure.get("sequential_blocks") or ()) if calibrated else [model]
    for block in blocks:
        for layer in block._flatten_layers(include_self=block is not model):
            if not layer._layers and should_quantize_layer(layer, filters):
                _quantize(layer, mode, config, type_check)
    if calibrated:
        bar = Progbar(target=len(blocks))
        run = gptq_quantize if mode == "gptq" else awq_quantize
        run(config, structure, filters, progress=bar.update)


def _quantize(layer: Layer, mode: str, config: Any, type_check: bool) -> None:
    try:
        layer.quantize(mode, type_check=type_check, config=config)
    except NotImplementedError as error:
        if layer.weights:
            warnings.warn(str(error), stacklevel=5)


def _structure_of(model: Any, mode: str, config: Any) -> dict[str, Any]:
    """Return how data passes the layers, for modes that are calibrated by it."""
    structure = config.quantization_layer_structure
    if structure is None:
        structure = model.get_quantization_layer_structure(mode)
    if structure is None:
        raise ValueError(
            explain(
                f"For mode='{mode}', a valid quantization structure must be provided: a dict with"
                " the keys 'pre_block_layers' and 'sequential_blocks'.",
                fix="pass it as `quantization_layer_structure` of the config, or override"
                " `model.get_quantization_layer_structure(mode)`.",
            )
        )
    return structure
