"""`DtypePolicies`: in which dtypes a layer computes and keeps its weights."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch

from ..dtype_policies import DTypePolicy, DTypePolicyMap
from ..dtype_policies import get as get_policy
from ..dtypes import to_torch
from .state import LayerState

__all__ = ["DtypePolicies"]


class DtypePolicies(LayerState):
    """The part of `Layer` that concerns its dtype policy."""

    path: str | None
    autocast: bool
    _dtype_policy: Any
    _routed: bool
    _route_forward: Callable[[], None]
    _quantize_by_policy: Callable[[Any], None]

    @property
    def dtype_policy(self) -> Any:
        """The dtypes of weights and computations."""
        return self._dtype_policy

    @dtype_policy.setter
    def dtype_policy(self, value: Any) -> None:
        policy, known = get_policy(value), self._dtype_policy
        if isinstance(known, DTypePolicyMap) and self.path:
            with contextlib.suppress(KeyError):
                del known[self.path]
            known[self.path] = policy
        else:
            known = policy
        self.__dict__.update(_dtype_policy=known, _call_plan=None)
        if self._routed or policy.quantization_mode is not None:
            self._route_forward()
            self._quantize_by_policy(policy)

    def _policy_in_force(self) -> Any:
        policy = self._dtype_policy
        if type(policy) is not DTypePolicy and isinstance(policy, DTypePolicyMap) and self.path:
            return policy[self.path]
        return policy

    @property
    def compute_dtype(self) -> str:
        """The dtype of computations."""
        policy = self._dtype_policy
        plain = type(policy) is DTypePolicy
        return policy._compute_dtype if plain else self._policy_in_force().compute_dtype

    @property
    def variable_dtype(self) -> str:
        """The dtype of weights."""
        policy = self._dtype_policy
        plain = type(policy) is DTypePolicy
        return policy._variable_dtype if plain else self._policy_in_force().variable_dtype

    @property
    def dtype(self) -> str:
        """The dtype of weights."""
        return self.variable_dtype

    @property
    def input_dtype(self) -> str:
        """The dtype that inputs are cast to."""
        return self.compute_dtype

    @property
    def quantization_mode(self) -> str | None:
        """The quantization of the layer, or `None`."""
        return self._policy_in_force().quantization_mode

    @property
    def _input_torch_dtype(self) -> torch.dtype | None:
        name = self.input_dtype if self.autocast else "string"
        dtype = to_torch(name) if name != "string" else None
        return dtype if dtype is not None and dtype.is_floating_point else None
