"""Dtype policies: in which dtype a layer computes and in which it keeps its weights.

`"float32"` and the like do both in one dtype; `"mixed_float16"` and `"mixed_bfloat16"` compute in
the half type and keep float32 weights. The global policy is what layers get that are not given one.
Quantized policies, such as `"int8_from_float32"`, say how the weights of a policy are quantized.
Source: `keras.dtype_policies` (names, configs, rules of the map).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

import numpy as np
import torch

from .config import at_clear_session, floatx
from .dtypes import as_tensor, is_float, standardize_dtype, to_torch
from .naming import explain
from .registry import Namespace, builtin, deserialize_keras_object, serialize_keras_object

__all__ = [
    "AWQDTypePolicy",
    "DTypePolicy",
    "DTypePolicyMap",
    "FloatDTypePolicy",
    "GPTQDTypePolicy",
    "Int4DTypePolicy",
    "QuantizedDTypePolicy",
    "QuantizedFloat8DTypePolicy",
    "deserialize",
    "dtype_policy",
    "get",
    "serialize",
    "set_dtype_policy",
]

QUANTIZATION_MODES = ("int8", "float8", "int4", "gptq", "awq")
MIXED = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}


@builtin(
    "keras.DTypePolicy",
    "keras.dtype_policies.DTypePolicy",
    "keras.mixed_precision.DTypePolicy",
    "keras.mixed_precision.Policy",
)
class DTypePolicy:
    """A pair of dtypes, one for computing and one for weights.

    Args:
        name: A dtype name, `"mixed_float16"` or `"mixed_bfloat16"`; `None` for the global policy's.

    Raises:
        TypeError: `name` is not a string.
        ValueError: It is not a policy.

    Example:
        >>> policy = DTypePolicy("mixed_bfloat16")
        >>> policy.compute_dtype, policy.variable_dtype
        ('bfloat16', 'float32')
    """

    def __init__(self, name: str | None = None) -> None:
        if name is None:
            name = dtype_policy().name
        if not isinstance(name, str):
            raise TypeError(
                "'name' must be a string, such as 'mixed_float16'. "
                f"Received: {name!r} (a {type(name).__name__})"
            )
        self._name = name
        self._compute_dtype, self._variable_dtype = _parse(name)

    @property
    def name(self) -> str:
        """The policy's name."""
        return self._name

    @property
    def compute_dtype(self) -> str:
        """Dtype to which floating inputs and weights are cast before computing."""
        return self._compute_dtype

    @property
    def variable_dtype(self) -> str:
        """Dtype in which weights are kept."""
        return self._variable_dtype

    @property
    def quantization_mode(self) -> str | None:
        """How weights are quantized; `None` where they are not."""
        return None

    def convert_input(self, x: Any, autocast: bool, dtype: Any) -> Any:
        """Make a tensor of an array, and cast floating tensors; leave other objects alone.

        Args:
            x: A tensor, symbolic or not, an array, or anything else.
            autocast: Whether to cast.
            dtype: The dtype to cast to.
        """
        if not hasattr(x, "__torch_function__"):
            if not hasattr(x, "__array__"):
                return x
            x = as_tensor(np.asarray(x))
        if (
            autocast
            and is_float(x.dtype)
            and standardize_dtype(x.dtype) != standardize_dtype(dtype)
        ):
            return (
                x.to(to_torch(dtype))
                if isinstance(x, torch.Tensor)
                else torch.Tensor.to(x, to_torch(dtype))
            )
        return x

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> DTypePolicy:
        """Make one from what `get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        name = "DTypePolicy" if type(self) is FloatDTypePolicy else type(self).__name__
        return f'<{name} "{self._name}">'

    def __eq__(self, other: object) -> bool:
        plain = (DTypePolicy, FloatDTypePolicy)
        same = type(other) in plain if type(self) in plain else type(other) is type(self)
        return same and self._name == other._name  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash(self._name)


@builtin("keras.FloatDTypePolicy", "keras.dtype_policies.FloatDTypePolicy")
class FloatDTypePolicy(DTypePolicy):
    """Another name of `DTypePolicy`, found in files."""


def _parse(name: str) -> tuple[str, str]:
    """The compute and variable dtypes of a policy's name."""
    if name in MIXED:
        return MIXED[name], "float32"
    try:
        dtype = standardize_dtype(name)
    except ValueError:
        raise ValueError(
            explain(
                f"Cannot convert {name!r} to a dtype policy.",
                expected="'mixed_float16', 'mixed_bfloat16' or a dtype name such as 'float32'",
            )
        ) from None
    return dtype, dtype


@builtin("keras.dtype_policies.QuantizedDTypePolicy")
class QuantizedDTypePolicy(DTypePolicy):
    """The dtypes of a plain policy, and how the weights are quantized.

    Args:
        mode: `"int8"`, `"float8"`, `"int4"`, `"gptq"` or `"awq"`.
        source_name: The name of the plain policy; `None` for the global policy's.

    Raises:
        ValueError: Another mode; `"int8"` of a policy that computes in float16.

    Example:
        >>> policy = QuantizedDTypePolicy("int8", "mixed_bfloat16")
        >>> policy.name, policy.quantization_mode, policy.compute_dtype
        ('int8_from_mixed_bfloat16', 'int8', 'bfloat16')
    """

    def __init__(self, mode: str, source_name: str | None = None) -> None:
        super().__init__(source_name)
        if mode not in QUANTIZATION_MODES:
            raise ValueError(
                f"Invalid quantization mode. Expected one of {', '.join(QUANTIZATION_MODES)}."
                f" Received: mode={mode!r}"
            )
        if mode == "int8" and self._compute_dtype == "float16":
            raise ValueError(
                explain(
                    f"Quantization mode='{mode}' doesn't work well with compute_dtype='float16':"
                    " its sums overflow.",
                    fix="use 'mixed_bfloat16' or 'float32'.",
                )
            )
        self._source_name = self._name
        self._quantization_mode = mode
        self._name = f"{mode}_from_{self._source_name}"

    @property
    def quantization_mode(self) -> str:
        """How weights are quantized."""
        return self._quantization_mode

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"mode": self._quantization_mode, "source_name": self._source_name}

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.get_config() == other.get_config()

    __hash__ = DTypePolicy.__hash__


@builtin("keras.dtype_policies.QuantizedFloat8DTypePolicy")
class QuantizedFloat8DTypePolicy(QuantizedDTypePolicy):
    """Weights and inputs in float8, scaled by the largest values of the last steps.

    Args:
        mode: `"float8"`.
        source_name: The name of the plain policy; `None` for the global policy's.
        amax_history_length: Of how many steps the largest values are kept.

    Raises:
        TypeError: `amax_history_length` is no integer.
    """

    default_amax_history_length = 1024

    def __init__(
        self, mode: str, source_name: str | None = None, amax_history_length: int = 1024
    ) -> None:
        super().__init__(mode, source_name)
        if not isinstance(amax_history_length, int):
            raise TypeError(
                "`amax_history_length` must be an integer. "
                f"Received: amax_history_length={amax_history_length!r}"
            )
        self._amax_history_length = amax_history_length

    @property
    def amax_history_length(self) -> int:
        """Of how many steps the largest values are kept."""
        return self._amax_history_length

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "amax_history_length": self.amax_history_length}


class _GroupedPolicy(QuantizedDTypePolicy):
    """A quantized policy whose mode has numbers in it, such as `"gptq/4/128"`.

    Subclasses give the fields of the mode behind its name, with a predicate for each.
    """

    _mode_name = ""
    _mode_fields: tuple[tuple[str, str, Any], ...] = ()

    def __init__(self, mode: str, source_name: str | None = None) -> None:
        name, *numbers = mode.split("/")
        names = [field for field, _, _ in self._mode_fields]
        form = "/".join([self._mode_name, *(f"<{field}>" for field in names)])
        title = f"Invalid mode for {type(self).__name__}."
        if name != self._mode_name or len(numbers) != len(names):
            raise ValueError(f"{title} Expected format '{form}', but got '{mode}'.")
        for (field, expected, is_valid), text in zip(self._mode_fields, numbers, strict=True):
            try:
                number = int(text)
            except ValueError:
                fields = " and ".join(f"<{field}>" for field in names)
                must = "must be an integer" if len(names) == 1 else "must be integers"
                raise ValueError(
                    f"{title} {fields} {must}. Expected format '{form}', but got '{mode}'."
                ) from None
            if not is_valid(number):
                raise ValueError(
                    f"Invalid {field} in mode. {expected}, but got {number} from '{mode}'."
                )
            setattr(self, field, number)
        super().__init__(name, source_name)
        self.mode = name
        self._full_mode = mode
        self._name = f"{mode}_from_{self._source_name}"

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"mode": self._full_mode, "source_name": self._source_name}


def _is_size(number: int) -> bool:
    return number == -1 or number > 0


@builtin("keras.dtype_policies.Int4DTypePolicy")
class Int4DTypePolicy(_GroupedPolicy):
    """Weights in four bits, with a scale per block.

    Args:
        mode: `"int4/<block_size>"`; a block of -1 is a whole channel.
        source_name: The name of the plain policy; `None` for the global policy's.

    Raises:
        ValueError: `mode` has another form, or a block size of 0 or below -1.

    Example:
        >>> Int4DTypePolicy("int4/128", "float32").block_size
        128
    """

    _mode_name = "int4"
    _mode_fields = (
        ("block_size", "Supported values are -1 (a channel) or a positive integer", _is_size),
    )


@builtin("keras.dtype_policies.GPTQDTypePolicy")
class GPTQDTypePolicy(_GroupedPolicy):
    """Weights in few bits, rounded such that the layer's outputs change least.

    Args:
        mode: `"gptq/<weight_bits>/<group_size>"` with 2, 3, 4 or 8 bits; a group of -1 is the whole
            tensor.
        source_name: The name of the plain policy; `None` for the global policy's.

    Raises:
        ValueError: `mode` has another form, or a number that is not supported.
    Source: Frantar et al. 2022.
    """

    _mode_name = "gptq"
    _mode_fields = (
        ("weight_bits", "Supported values are 2, 3, 4, and 8", (2, 3, 4, 8).__contains__),
        ("group_size", "Supported values are -1 (the tensor) or a positive integer", _is_size),
    )


@builtin("keras.dtype_policies.AWQDTypePolicy")
class AWQDTypePolicy(_GroupedPolicy):
    """Weights in four bits, scaled by the size of the activations they meet.

    Args:
        mode: `"awq/4/<group_size>"`; a group of -1 is a whole channel.
        source_name: The name of the plain policy; `None` for the global policy's.

    Raises:
        ValueError: `mode` has another form, or a number that is not supported.
    Source: Lin et al. 2023.
    """

    _mode_name = "awq"
    _mode_fields = (
        ("weight_bits", "AWQ only supports 4-bit quantization", lambda bits: bits == 4),
        ("group_size", "Supported values are -1 (a channel) or a positive integer", _is_size),
    )


_QUANTIZED = {
    "int8": QuantizedDTypePolicy,
    "float8": QuantizedFloat8DTypePolicy,
    "int4": QuantizedDTypePolicy,
    "int4/": Int4DTypePolicy,
    "gptq": GPTQDTypePolicy,
    "awq": AWQDTypePolicy,
}


def _by_name(name: str) -> DTypePolicy:
    """The policy of a name, plain or quantized; `"int8"` alone is a plain one."""
    if name.startswith(QUANTIZATION_MODES) and name not in QUANTIZATION_MODES:
        return _get_quantized_dtype_policy_by_str(name)
    return DTypePolicy(name)


def _get_quantized_dtype_policy_by_str(policy: str) -> QuantizedDTypePolicy:
    """The quantized policy of a name, by the name that Keras has for this function."""
    if not isinstance(policy, str):
        raise TypeError(f"`policy` must be a string. Received: policy={policy!r}")
    if not policy.startswith(QUANTIZATION_MODES):
        raise ValueError(
            f"`policy` {policy!r} is incompatible with the current supported quantization: names"
            f" begin with {', '.join(QUANTIZATION_MODES)}."
        )
    mode, *source = policy.split("_from_")
    if len(source) != 1:
        raise ValueError(
            "Cannot convert `policy` into a valid pair of mode and source, as in"
            f" 'int8_from_float32'. Received: policy={policy!r}"
        )
    algorithm, slash, _ = mode.partition("/")
    cls = _QUANTIZED.get("int4/" if slash and algorithm == "int4" else algorithm)
    return (cls or QuantizedDTypePolicy)(mode, source[0])


class _State(threading.local):
    """The global policy of a thread; `None` until it is set or asked for."""

    policy: DTypePolicy | None = None


_STATE = _State()


def dtype_policy() -> DTypePolicy:
    """The policy of layers that are not given one; `floatx()` unless set.

    Example:
        >>> dtype_policy()
        <DTypePolicy "float32">
    """
    if _STATE.policy is None:
        _STATE.policy = DTypePolicy(floatx())
    return _STATE.policy


def set_dtype_policy(policy: str | DTypePolicy) -> None:
    """Choose the policy of layers that are not given one.

    Args:
        policy: A policy or its name.

    Raises:
        ValueError: Neither a policy nor the name of one.
    """
    if isinstance(policy, str):
        policy = _by_name(policy)
    if not isinstance(policy, DTypePolicy):
        raise ValueError(
            "Invalid `policy` argument: not a DTypePolicy, nor the name of one, such as"
            " 'mixed_float16'. "
            f"Received: {policy!r} (a {type(policy).__name__})"
        )
    _STATE.policy = policy


@at_clear_session
def _forget() -> None:
    _STATE.policy = None


@builtin("keras.dtype_policies.DTypePolicyMap")
class DTypePolicyMap(DTypePolicy, MutableMapping):
    """Policies by layer path, for models whose layers have different ones.

    A path is looked up as it is; failing that, keys are tried as regular expressions for the whole
    path; failing that, the default policy is returned.

    Args:
        default_policy: Policy of paths that no key matches; `None` for the global one.
        policy_map: Paths or patterns and their policies.

    Raises:
        ValueError: The default is itself a map.
        TypeError: `policy_map` is not a dict.

    Example:
        >>> policies = DTypePolicyMap("float32", {"encoder/.*": DTypePolicy("bfloat16")})
        >>> policies["encoder/dense"].name, policies["decoder/dense"].name
        ('bfloat16', 'float32')
    """

    def __init__(
        self,
        default_policy: str | DTypePolicy | None = None,
        policy_map: dict[str, DTypePolicy] | None = None,
    ) -> None:
        if isinstance(default_policy, DTypePolicyMap):
            raise ValueError("`default_policy` must be a single policy, not a DTypePolicyMap.")
        if policy_map is not None and not isinstance(policy_map, dict):
            raise TypeError(
                "If specified, `policy_map` must be a dict. It holds paths and policies. "
                f"Received: {policy_map!r} (a {type(policy_map).__name__})"
            )
        self._default_policy_arg = default_policy
        self._policy_map = policy_map or {}

    @property
    def default_policy(self) -> DTypePolicy:
        """The policy of paths that no key matches."""
        return get(self._default_policy_arg)

    @property
    def name(self) -> str:
        """`map_` and the name of the default policy."""
        return f"map_{self.default_policy.name}"

    @property
    def compute_dtype(self) -> str:
        """That of the default policy."""
        return self.default_policy.compute_dtype

    @property
    def variable_dtype(self) -> str:
        """That of the default policy."""
        return self.default_policy.variable_dtype

    @property
    def quantization_mode(self) -> str | None:
        """That of the default policy."""
        return self.default_policy.quantization_mode

    def __getitem__(self, key: str) -> DTypePolicy:
        if key in self._policy_map:
            return self._policy_map[key]
        matching = [pattern for pattern in self._policy_map if re.fullmatch(pattern, key)]
        if len(matching) > 1:
            raise ValueError(
                explain(
                    f"Path '{key}' matches multiple dtype policy keys of the DTypePolicyMap.",
                    keys=matching,
                    fix="make the patterns exclude each other, or add the path itself as a key.",
                )
            )
        return self._policy_map[matching[0]] if matching else self.default_policy

    def __setitem__(self, key: str, policy: Any) -> None:
        if key in self._policy_map:
            raise ValueError(
                f"{key} already exist in the DTypePolicyMap, as {self._policy_map[key]}. "
                "Delete it first."
            )
        try:
            self._policy_map[key] = get(policy)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"Cannot interpret the assigned value for '{key}' as a dtype policy:"
                f" {policy!r} (a {type(policy).__name__})."
            ) from error

    def __delitem__(self, key: str) -> None:
        del self._policy_map[key]

    def __contains__(self, key: object) -> bool:
        return key in self._policy_map

    def __len__(self) -> int:
        return len(self._policy_map)

    def __iter__(self) -> Iterator[str]:
        return iter(self._policy_map)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DTypePolicyMap):
            return False
        return (self.name, self._policy_map) == (other.name, other._policy_map)

    __hash__ = DTypePolicy.__hash__

    def __repr__(self) -> str:
        mapping = [(key, policy.name) for key, policy in self._policy_map.items()]
        return f"<DTypePolicyMap default_policy={self.default_policy.name}, mapping={mapping}>"

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; the policies in their serialized form."""
        policies = serialize_keras_object(self._policy_map)
        if self._default_policy_arg is None:
            # Such a file adapts to its reader's global policy: names are left out, as in Keras.
            for policy in policies.values():
                key = "source_name" if "source_name" in policy["config"] else "name"
                policy["config"][key] = None
        return {"default_policy": self._default_policy_arg, "policy_map": policies}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> DTypePolicyMap:
        """Make one from what `get_config` returned."""
        policies = deserialize_keras_object(config["policy_map"], custom_objects=custom_objects)
        return cls(**{**config, "policy_map": policies})


_POLICIES = Namespace("dtype_policies", kind="dtype policy", base=DTypePolicy)
for _cls in (DTypePolicy, FloatDTypePolicy, DTypePolicyMap, *dict.fromkeys(_QUANTIZED.values())):
    _POLICIES.register(_cls)


def get(identifier: Any) -> DTypePolicy:
    """The policy that a name, dtype, config or policy stands for.

    Args:
        identifier: A policy, its name, its config, a dtype in any spelling, or `None` for the
            global policy.

    Raises:
        ValueError: It stands for none.

    Example:
        >>> get("mixed_float16").compute_dtype, get(torch.float64).name
        ('float16', 'float64')
    """
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return _by_name(identifier)
    try:
        return DTypePolicy(standardize_dtype(identifier))
    except ValueError:
        raise ValueError(
            explain(
                "Cannot interpret `dtype` argument.",
                given=repr(identifier),
                expected="a dtype, a policy's name, a DTypePolicy or its config",
            )
        ) from None


def serialize(dtype_policy: DTypePolicy) -> dict[str, Any]:
    """The config of a policy."""
    return _POLICIES.serialize(dtype_policy)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The policy that a config describes.

    Raises:
        ValueError, TypeError: It describes none.
    """
    return _POLICIES.deserialize(config, custom_objects)
