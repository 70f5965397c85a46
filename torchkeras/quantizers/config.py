"""What `quantize` may be told: a config for each mode, and which layers it concerns.

A mode alone, such as `"int8"`, stands for its config with all defaults. `"gptq"` and `"awq"` need
data to calibrate by, hence a config.
Source: `keras.quantizers` (names, defaults, configs).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..dtype_policies import QUANTIZATION_MODES
from ..naming import explain
from ..registry import builtin, deserialize_keras_object, serialize_keras_object

__all__ = [
    "AWQConfig",
    "Float8QuantizationConfig",
    "GPTQConfig",
    "Int4QuantizationConfig",
    "Int8QuantizationConfig",
    "QuantizationConfig",
    "should_quantize_layer",
    "validate_and_resolve_config",
]

Filters = str | Sequence[str] | Callable[[Any], bool] | None


@builtin("keras.quantizers.QuantizationConfig")
class QuantizationConfig:
    """Base class: how weights and activations are quantized; subclasses define `mode`.

    Args:
        weight_quantizer: Quantizer of weights; `None` for the layer's own.
        activation_quantizer: Quantizer of what the weights are applied to; `None` for none.
    """

    # The quantizer of activations that `"default"` stands for.
    _default_activation_quantizer: Any = None

    def __init__(self, weight_quantizer: Any = None, activation_quantizer: Any = None) -> None:
        self.weight_quantizer = weight_quantizer
        self.activation_quantizer = activation_quantizer

    @property
    def mode(self) -> str:
        """The name of the mode.

        Raises:
            NotImplementedError: Here.
        """
        raise NotImplementedError(
            "Do not instantiate QuantizationConfig directly. Use the class of a mode, such as"
            " Int8QuantizationConfig; or define `mode` in a subclass."
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, the quantizers in their serialized form."""
        return {
            "weight_quantizer": serialize_keras_object(self.weight_quantizer),
            "activation_quantizer": serialize_keras_object(self.activation_quantizer),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> QuantizationConfig:
        """Make one from what `get_config` returned."""
        quantizers = {
            key: deserialize_keras_object(config.get(key))
            for key in ("weight_quantizer", "activation_quantizer")
        }
        return cls(**{**config, **quantizers})

    @staticmethod
    def weight_quantizer_or_default(config: QuantizationConfig | None, default: Any) -> Any:
        """Return the quantizer of weights that `config` asks for, or the default."""
        if config is None or config.weight_quantizer is None:
            return default
        return config.weight_quantizer

    @staticmethod
    def activation_quantizer_or_default(config: QuantizationConfig | None, default: Any) -> Any:
        """Return the quantizer of activations of `config`, which may be none, or the default."""
        return default if config is None else config.activation_quantizer

    def _check_integers(self) -> None:
        """Refuse a quantizer of weights that makes no int8 numbers."""
        quantizer = self.weight_quantizer
        if quantizer is not None and quantizer.output_dtype != "int8":
            raise ValueError(
                f"{type(self).__name__} requires a weight_quantizer with output_dtype='int8'."
                f" Received: output_dtype={quantizer.output_dtype!r}"
            )


def _quantizer(identifier: Any, default: Any) -> Any:
    return default if isinstance(identifier, str) and identifier == "default" else identifier
