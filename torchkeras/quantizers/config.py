"""What `quantize` may be told: a config for each mode, and which layers it concerns.

A mode alone, such as `"int8"`, stands for its config with all defaults. `"gptq"` and `"awq"` need
data to calibrate by, hence a config.
Source: `keras.quantizers` (names, defaults, configs).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..dtype_policies import QUANTIZATION_MODES
from ..naming import explain
from ..registry import builtin, deserialize_keras_object, serialize_keras_object
from .quantizer import AbsMaxQuantizer

__all__ = [
    "AWQConfig",
    "Float8QuantizationConfig",
    "Filters",
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


@builtin("keras.quantizers.Int8QuantizationConfig")
class Int8QuantizationConfig(QuantizationConfig):
    """Weights in int8, and activations too unless told otherwise.

    Args:
        weight_quantizer: Quantizer of weights; `None` for the layer's own.
        activation_quantizer: Quantizer of activations; `None` keeps them floating, and `"default"`
            is an `AbsMaxQuantizer`.

    Raises:
        ValueError: The quantizer of weights makes other numbers than int8.
    """

    mode = "int8"  # type: ignore[assignment]

    def __init__(self, weight_quantizer: Any = None, activation_quantizer: Any = "default") -> None:
        if _is_default(activation_quantizer):
            activation_quantizer = AbsMaxQuantizer()
        super().__init__(weight_quantizer, activation_quantizer)
        self._check_integers()


@builtin("keras.quantizers.Int4QuantizationConfig")
class Int4QuantizationConfig(QuantizationConfig):
    """Weights in four bits, with a scale per block or per channel; activations stay floating.

    Args:
        weight_quantizer: Quantizer of weights; `None` for the layer's own.
        activation_quantizer: Quantizer of activations; `None` and `"default"` for none.
        block_size: Inputs that share a scale; `None` or -1 for all of a channel.

    Raises:
        ValueError: `block_size` is neither positive, nor -1 or `None`; quantizers are given
            together with blocks; or the quantizer of weights makes other numbers than -8 to 7.
    """

    mode = "int4"  # type: ignore[assignment]

    def __init__(
        self,
        weight_quantizer: Any = None,
        activation_quantizer: Any = "default",
        block_size: int | None = 128,
    ) -> None:
        if _is_default(activation_quantizer):
            activation_quantizer = None
        super().__init__(weight_quantizer, activation_quantizer)
        self.block_size = block_size
        blocks = block_size is not None and block_size != -1
        if blocks and block_size <= 0:
            raise ValueError(
                "block_size must be a positive integer, or -1 or None for whole channels."
                f" Received: block_size={block_size}"
            )
        if blocks and (weight_quantizer is not None or activation_quantizer is not None):
            raise ValueError(
                explain(
                    "Int4 sub-channel quantization (with blocks) does not support custom"
                    " quantizers.",
                    given=f"block_size={block_size}",
                    fix="pass `block_size=None`, or leave the quantizers out.",
                )
            )
        if weight_quantizer is not None and tuple(weight_quantizer.value_range) != (-8, 7):
            raise ValueError(
                "Int4QuantizationConfig requires a weight_quantizer with value_range=(-8, 7)."
                f" Received: value_range={weight_quantizer.value_range}"
            )
        self._check_integers()

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, the quantizers in their serialized form."""
        return {**super().get_config(), "block_size": self.block_size}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> QuantizationConfig:
        """Make one from what `get_config` returned; files of old know whole channels only."""
        return super().from_config({"block_size": None, **config})


@builtin("keras.quantizers.Float8QuantizationConfig")
class Float8QuantizationConfig(QuantizationConfig):
    """Training with the factors of matrix products rounded to eight-bit floats."""

    mode = "float8"  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()

    def get_config(self) -> dict[str, Any]:
        """Return no arguments: there are none."""
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Float8QuantizationConfig:
        """Make one."""
        return cls()


def _is_default(quantizer: Any) -> bool:
    return isinstance(quantizer, str) and quantizer == "default"


class _CalibratedConfig(QuantizationConfig):
    """What the modes that look at data have in common: the data, and what is run on it.

    The attributes are the arguments of the subclass. Data, tokenizer and structure are needed for
    calibration alone; configs leave them out.
    """

    _not_saved = ("dataset", "tokenizer", "quantization_layer_structure")

    def _keep(self, **arguments: Any) -> None:
        """Keep and check the arguments of the subclass."""
        self._arguments = tuple(arguments)
        vars(self).update(arguments)
        for name in ("num_samples", "sequence_length"):
            self._require(arguments[name] > 0, f"{name} must be a positive integer", name)
        size = arguments["group_size"]
        valid = size == -1 or size > 0
        sizes = "Invalid group_size. Supported values are -1 (all inputs) or a positive integer"
        self._require(valid, sizes, "group_size")

    def _require(self, condition: bool, what: str, name: str) -> None:
        if not condition:
            raise ValueError(
                f"{type(self).__name__}: {what}. Received: {name}={getattr(self, name)}"
            )

    def dtype_policy_string(self) -> str:
        """Return the mode with its numbers, as in the names of dtype policies."""
        return f"{self.mode}/{self.weight_bits}/{self.group_size}"

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, without what only calibration needs."""
        return {
            name: None if name in self._not_saved else getattr(self, name)
            for name in self._arguments
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> QuantizationConfig:
        """Make one from what `get_config` returned."""
        return cls(**config)


@builtin("keras.quantizers.GPTQConfig")
class GPTQConfig(_CalibratedConfig):
    """Weights in few bits, rounded one input after the other, each making up for those before.

    Args:
        dataset: Texts or arrays of tokens to calibrate by.
        tokenizer: Has a method `tokenize` from a text to tokens.
        weight_bits: 2, 3, 4 or 8.
        num_samples: How many sequences to look at.
        per_channel: Whether each output has its own scales.
        sequence_length: Tokens in a sequence.
        hessian_damping: What is added to the diagonal of the Hessian, as a fraction of its mean.
        group_size: Inputs that share a scale; -1 for all.
        symmetric: Whether the range of a group is as wide below zero as above.
        activation_order: Whether to begin with the inputs of greatest weight.
        quantization_layer_structure: `{"pre_block_layers": […], "sequential_blocks": […]}`: what
            tokens pass before the blocks, and the blocks in order. Default: what the model's
            `get_quantization_layer_structure` returns.

    Raises:
        ValueError: A number is outside its range.
    Source: Frantar et al. 2022.
    """

    mode = "gptq"  # type: ignore[assignment]

    def __init__(
        self,
        dataset: Any,
        tokenizer: Any,
        *,
        weight_bits: int = 4,
        num_samples: int = 128,
        per_channel: bool = True,
        sequence_length: int = 512,
        hessian_damping: float = 0.01,
        group_size: int = 128,
        symmetric: bool = False,
        activation_order: bool = False,
        quantization_layer_structure: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self._keep(
            dataset=dataset,
            tokenizer=tokenizer,
            weight_bits=weight_bits,
            num_samples=num_samples,
            per_channel=per_channel,
            sequence_length=sequence_length,
            hessian_damping=hessian_damping,
            group_size=group_size,
            symmetric=symmetric,
            activation_order=activation_order,
            quantization_layer_structure=quantization_layer_structure,
        )
        bits = weight_bits in (2, 3, 4, 8)
        self._require(bits, "Unsupported weight_bits; expected 2, 3, 4 or 8", "weight_bits")
        fraction = 0 <= hessian_damping <= 1
        self._require(fraction, "hessian_damping must be between 0 and 1", "hessian_damping")


@builtin("keras.quantizers.AWQConfig")
class AWQConfig(_CalibratedConfig):
    """Weights in four bits, scaled up before where activations are large.

    Args:
        dataset: Texts or arrays of tokens to calibrate by.
        tokenizer: Has a method `tokenize` from a text to tokens.
        weight_bits: 4.
        num_samples: How many sequences to look at.
        sequence_length: Tokens in a sequence.
        group_size: Inputs that share a scale; -1 for all.
        num_grid_points: How many powers of the activations' magnitudes to try as scales.
        quantization_layer_structure: As of `GPTQConfig`.

    Raises:
        ValueError: A number is outside its range.
    Source: Lin et al. 2023.
    """

    mode = "awq"  # type: ignore[assignment]

    def __init__(
        self,
        dataset: Any,
        tokenizer: Any,
        *,
        weight_bits: int = 4,
        num_samples: int = 128,
        sequence_length: int = 512,
        group_size: int = 128,
        num_grid_points: int = 20,
        quantization_layer_structure: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self._keep(
            dataset=dataset,
            tokenizer=tokenizer,
            weight_bits=weight_bits,
            num_samples=num_samples,
            sequence_length=sequence_length,
            group_size=group_size,
            num_grid_points=num_grid_points,
            quantization_layer_structure=quantization_layer_structure,
        )
        self._require(weight_bits == 4, "AWQ only supports 4-bit quantization", "weight_bits")
        points = num_grid_points > 0
        self._require(points, "num_grid_points must be a positive integer", "num_grid_points")


_CONFIGS: dict[str, type[QuantizationConfig]] = {
    config.mode: config  # type: ignore[misc]
    for config in (
        Int8QuantizationConfig,
        Int4QuantizationConfig,
        Float8QuantizationConfig,
        GPTQConfig,
        AWQConfig,
    )
}


def validate_and_resolve_config(mode: str | None, config: Any) -> QuantizationConfig:
    """Return the config that the arguments `mode` and `config` of `quantize` stand for.

    Args:
        mode: The name of a mode; may be left out where there is a config.
        config: A config; or the name of a mode; or `None` for the defaults of the mode.

    Raises:
        ValueError: There is no such mode, or it needs a config, or the two contradict each other.
        NotImplementedError: The config has no mode.
    """
    if isinstance(config, str):
        mode, config = config, None
    _check_mode(mode)
    if config is None:
        if mode is None:
            raise ValueError("You must provide either `mode` or `config` to `quantize`.")
        cls = _CONFIGS[mode]
        if issubclass(cls, _CalibratedConfig):
            name = cls.__name__
            raise ValueError(
                f"For {mode.upper()}, you must pass a `{name}` object in the `config` argument."
            )
        return cls()
    if not isinstance(config, QuantizationConfig):
        raise ValueError(
            "Argument `config` must be an instance of `QuantizationConfig`."
            f" Received: {config!r} (of type {type(config).__name__})"
        )
    if mode is not None and config.mode != mode:
        raise ValueError(
            f"Contradictory arguments: mode='{mode}', but a config of mode '{config.mode}'."
        )
    _check_mode(config.mode)
    cls = _CONFIGS[config.mode]
    if issubclass(cls, _CalibratedConfig) and not isinstance(config, cls):
        raise ValueError(
            f"Mode '{config.mode}' requires a valid `config` argument: a `{cls.__name__}`."
            f" Received: a {type(config).__name__}"
        )
    return config


def _check_mode(mode: str | None) -> None:
    if mode is not None and mode not in QUANTIZATION_MODES:
        raise ValueError(
            f"Invalid quantization mode. Expected one of {QUANTIZATION_MODES}."
            f" Received: mode={mode!r}"
        )


def should_quantize_layer(layer: Any, filters: Filters) -> bool:
    """Tell whether the filters of `Model.quantize` let a layer through.

    Args:
        layer: Has a `name`.
        filters: A pattern that is searched for in the name, several of which one is to be found, a
            function of the layer, or `None` for all layers.
    """
    if filters is None:
        return True
    if isinstance(filters, str):
        return re.search(filters, layer.name) is not None
    if isinstance(filters, (list, tuple)):
        return any(re.search(pattern, layer.name) for pattern in filters)
    return filters(layer)
