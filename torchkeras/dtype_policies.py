"""Dtype policies: in which dtype a layer computes and in which it keeps its weights.

`"float32"` and the like do both in one dtype; `"mixed_float16"` and `"mixed_bfloat16"` compute in
the half type and keep float32 weights. The global policy is what layers get that are not given one.
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
    "DTypePolicy",
    "DTypePolicyMap",
    "FloatDTypePolicy",
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
                "A policy's `name` must be a string such as 'mixed_float16'. "
                f"Received: {name!r} (a {type(name).__name__})"
            )
        if name.startswith(QUANTIZATION_MODES) and "_from_" in name:
            raise _not_quantized(name)
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
        """How weights are quantized; `None` here, they are not."""
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


def _not_quantized(name: str) -> NotImplementedError:
    return NotImplementedError(
        explain(
            "Quantized dtype policies are not supported.",
            given=repr(name),
            fix="use a float policy such as 'float32' or 'mixed_bfloat16'.",
        )
    )


def _quantized_class(name: str, path: str) -> type:
    """A stand-in under which configs of quantized policies end in a clear error."""

    def __init__(self: Any, mode: str | None = None, *args: Any, **kwargs: Any) -> None:
        raise _not_quantized(f"{name}({mode!r})")

    doc = f"`{path}`: not supported, its constructor says so."
    cls = type(name, (DTypePolicy,), {"__init__": __init__, "__doc__": doc})
    return builtin(path)(cls)


_QUANTIZED = {
    name: _quantized_class(name, f"keras.dtype_policies.{name}")
    for name in (
        "AWQDTypePolicy",
        "GPTQDTypePolicy",
        "Int4DTypePolicy",
        "QuantizedDTypePolicy",
        "QuantizedFloat8DTypePolicy",
    )
}
AWQDTypePolicy = _QUANTIZED["AWQDTypePolicy"]
GPTQDTypePolicy = _QUANTIZED["GPTQDTypePolicy"]
Int4DTypePolicy = _QUANTIZED["Int4DTypePolicy"]
QuantizedDTypePolicy = _QUANTIZED["QuantizedDTypePolicy"]
QuantizedFloat8DTypePolicy = _QUANTIZED["QuantizedFloat8DTypePolicy"]


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
        NotImplementedError: The name of a quantized policy.
    """
    if isinstance(policy, str):
        policy = DTypePolicy(policy)
    if not isinstance(policy, DTypePolicy):
        raise ValueError(
            "A policy must be a DTypePolicy or its name, such as 'mixed_float16'. "
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
                "`policy_map` must be a dict of paths and policies. "
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

    def __getitem__(self, key: str) -> DTypePolicy:
        if key in self._policy_map:
            return self._policy_map[key]
        matching = [pattern for pattern in self._policy_map if re.fullmatch(pattern, key)]
        if len(matching) > 1:
            raise ValueError(
                explain(
                    f"Path '{key}' matches several keys of the DTypePolicyMap.",
                    keys=matching,
                    fix="make the patterns exclude each other, or add the path itself as a key.",
                )
            )
        return self._policy_map[matching[0]] if matching else self.default_policy

    def __setitem__(self, key: str, policy: Any) -> None:
        if key in self._policy_map:
            raise ValueError(
                f"The DTypePolicyMap has '{key}' already, as {self._policy_map[key]}. "
                "Delete it first."
            )
        try:
            self._policy_map[key] = get(policy)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"The value for '{key}' is no dtype policy: {policy!r} (a {type(policy).__name__})."
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
                policy["config"]["name"] = None
        return {"default_policy": self._default_policy_arg, "policy_map": policies}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> DTypePolicyMap:
        """Make one from what `get_config` returned."""
        policies = deserialize_keras_object(config["policy_map"], custom_objects=custom_objects)
        return cls(**{**config, "policy_map": policies})


_POLICIES = Namespace("dtype_policies", kind="dtype policy", base=DTypePolicy)
for _cls in (DTypePolicy, FloatDTypePolicy, DTypePolicyMap, *_QUANTIZED.values()):
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
        return DTypePolicy(identifier)
    try:
        return DTypePolicy(standardize_dtype(identifier))
    except ValueError:
        raise ValueError(
            explain(
                "Cannot interpret the `dtype` argument.",
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
