"""Quantization: numbers of weights and activations as small integers, or as eight-bit floats.

`layer.quantize("int8")` and `model.quantize(…)` use what is here. By file: quantizers, affine
quantization with zero points, packing of four-bit numbers, eight-bit floats, fake quantization, the
configs of the modes, and the two modes that look at data: `gptq` and `awq`, run by `calibration`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..registry import Namespace
from .config import (
    AWQConfig,
    Float8QuantizationConfig,
    GPTQConfig,
    Int4QuantizationConfig,
    Int8QuantizationConfig,
    QuantizationConfig,
)
from .fake_quant import fake_quant_with_min_max_vars
from .float8 import compute_float8_amax_history, compute_float8_scale, quantize_and_dequantize
from .int4 import pack_int4, unpack_int4
from .quantizer import (
    AbsMaxQuantizer,
    Quantizer,
    abs_max_quantize,
    abs_max_quantize_grouped_with_zero_point,
)

__all__ = [
    "AWQConfig",
    "AbsMaxQuantizer",
    "Float8QuantizationConfig",
    "GPTQConfig",
    "Int4QuantizationConfig",
    "Int8QuantizationConfig",
    "QuantizationConfig",
    "Quantizer",
    "abs_max_quantize",
    "abs_max_quantize_grouped_with_zero_point",
    "compute_float8_amax_history",
    "compute_float8_scale",
    "deserialize",
    "fake_quant_with_min_max_vars",
    "get",
    "pack_int4",
    "quantize_and_dequantize",
    "serialize",
    "unpack_int4",
]

_QUANTIZERS = Namespace("quantizers", kind="quantizer")
for _cls in (
    Quantizer,
    AbsMaxQuantizer,
    QuantizationConfig,
    Int8QuantizationConfig,
    Int4QuantizationConfig,
    Float8QuantizationConfig,
    GPTQConfig,
    AWQConfig,
):
    _QUANTIZERS.register(_cls)


def get(identifier: Any, **kwargs: Any) -> Any:
    """Return the quantizer that an identifier stands for.

    Args:
        identifier: `None`, a name, a config, a class, or a quantizer.
        kwargs: Arguments of the constructor, where a name or a class is given.

    Raises:
        ValueError: It stands for none.

    Example:
        >>> get("abs_max_quantizer", value_range=(-8, 7)).value_range
        (-8, 7)
    """
    if kwargs and isinstance(identifier, str):
        identifier = _QUANTIZERS.objects.get(identifier, identifier)
    if kwargs and isinstance(identifier, type):
        identifier = identifier(**kwargs)
    return _QUANTIZERS.get(identifier)


def serialize(initializer: Any) -> Any:
    """Return the config of a quantizer."""
    return _QUANTIZERS.serialize(initializer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the quantizer that a config describes.

    Raises:
        ValueError, TypeError: It describes none.
    """
    return _QUANTIZERS.deserialize(config, custom_objects)
