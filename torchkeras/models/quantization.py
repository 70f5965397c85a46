"""Quantization of whole models: `Model.quantize` goes through the layers, and calibrates them."""

from __future__ import annotations

import warnings
from typing import Any

from ..callbacks.progbar import Progbar
from ..layers import Layer
from ..naming import explain
from ..quantizers.calibration import awq_quantize, gptq_quantize
from ..quantizers.config import Filters, should_quantize_layer

__all__ = ["calibrate", "quantize_layers"]


def quantize_layers(
    model: Layer, mode: str | None, config: Any, filters: Filters, type_check: bool
) -> None:
    """Quantize the layers of a model that hold no others; warn of those that cannot be.

    Raises:
        ValueError: `filters` is none.
    """
    if not (filters is None or callable(filters) or isinstance(filters, (str, list, tuple))):
        raise ValueError(
            "The `filters` argument must be a regex string, a list of regex strings, or a"
            f" callable. Received: {filters!r} (of type {type(filters).__name__})"
        )
    for layer in model._flatten_layers(include_self=False):
        if layer._layers or not should_quantize_layer(layer, filters):
            continue
        try:
            layer.quantize(mode, type_check=type_check, config=config)
        except NotImplementedError as error:
            warnings.warn(str(error), stacklevel=4)


def calibrate(model: Any, mode: str, config: Any, filters: Filters) -> None:
    """Run the data of a config through a model whose layers were quantized by it.

    Raises:
        ValueError: Neither the config nor the model says how data passes the layers.
    """
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
    bar = Progbar(target=len(structure.get("sequential_blocks") or ()))
    run = gptq_quantize if mode == "gptq" else awq_quantize
    run(config, structure, filters, progress=bar.update)
