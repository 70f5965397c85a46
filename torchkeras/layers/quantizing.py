"""What every layer knows of quantization: how it is asked for, and what a quantized layer calls.

A layer that can be quantized defines `quantize`, `quantized_build` and a method for each mode, such
as `_int8_call`. While its dtype policy is a quantized one, that method is the instance's `forward`:
a float layer pays nothing for the possibility.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NoReturn

from ..dtype_policies import QUANTIZATION_MODES, DTypePolicy, DTypePolicyMap
from ..graph.remat import RematMode
from ..naming import explain
from ..quantizers.config import validate_and_resolve_config
from .policy import DtypePolicies

__all__ = ["Quantizing"]


class Quantizing(DtypePolicies):
    """The part of `Layer` that concerns quantization."""

    name: str
    built: bool
    _remat_mode: RematMode | None
    _with_remat: Callable[[Callable[..., Any]], Callable[..., Any]]
    _is_quantized = False
    # Whether `quantize` is running.
    _quantizing = False
    # Whether the instance's `forward` is what `_route_forward` made it.
    _routed = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "quantize" in cls.__dict__:
            cls.quantize = _checked(cls.__dict__["quantize"])

    def quantize(
        self, mode: str | None = None, type_check: bool = True, config: Any = None
    ) -> None:
        """Replace the weights by quantized ones, once and for all.

        Args:
            mode: `"int8"`, `"int4"`, `"float8"`, `"gptq"` or `"awq"`.
            type_check: Whether to refuse subclasses of the layer, which may compute otherwise.
            config: A `QuantizationConfig`, in place of or besides the mode.

        Raises:
            NotImplementedError: The layer cannot be quantized, or not in this mode.
            ValueError: There is no such mode; or the layer is not built, or quantized already.
        """
        raise self._not_implemented_error(self.quantize)

    def quantized_build(self, input_shape: Any, mode: str) -> None:
        """Make the quantized weights; layers that can be quantized define it."""
        raise self._not_implemented_error(self.quantized_build)

    def quantized_call(self, *args: Any, **kwargs: Any) -> Any:
        """Compute with the quantized weights.

        Raises:
            NotImplementedError: The layer is not quantized, or cannot be.
        """
        return self._call_of_mode()(*args, **kwargs)

    def _call_of_mode(self) -> Callable[..., Any]:
        mode = self.quantization_mode
        if mode not in QUANTIZATION_MODES:
            raise self._quantization_mode_error(mode)
        return getattr(self, f"_{mode}_call")

    def _route_forward(self) -> None:
        """Let `forward` follow the dtype policy and the `RematScope` of the layer."""
        if self._routed:
            self.__dict__.pop("forward", None)
        quantized, remat = self.quantization_mode is not None, self._remat_mode is not None
        self.__dict__.update(_routed=quantized or remat, _call_plan=None)
        if not self._routed:
            return
        forward = self.forward
        if quantized:
            custom = type(self).quantized_call is not Quantizing.quantized_call
            forward = self.quantized_call if custom else self._call_of_mode()
        self.__dict__["forward"] = self._with_remat(forward)

    def _settle_policy(self) -> None:
        """Follow a map of policies, now that the layer's path is known."""
        policy = self._dtype_policy
        if type(policy) is not DTypePolicy and isinstance(policy, DTypePolicyMap):
            self._route_forward()

    def _policy_in(self, dtype: str) -> str:
        if self.quantization_mode is None:
            return dtype
        return f"{self._policy_in_force().name.partition('_from_')[0]}_from_{dtype}"

    def _quantize_by_policy(self, policy: Any) -> None:
        """Quantize a built layer that was given a quantized policy.

        Raises:
            ValueError: Its mode needs data.
        """
        mode = policy.quantization_mode
        if mode is None or self._is_quantized or self._quantizing or not self.built:
            return
        if mode == "gptq":
            raise ValueError(
                explain(
                    "Implicitly enabling GPTQ quantization by setting `dtype_policy` is not"
                    " supported: it needs data to calibrate by.",
                    given=policy.name,
                    fix="call `quantize('gptq', config=GPTQConfig(…))` on the model.",
                )
            )
        self.quantize(mode)

    def _check_quantize_args(self, mode: str, compute_dtype: str) -> None:
        """Refuse what cannot be quantized.

        Raises:
            ValueError: The layer is not built or quantized already, or overflows would result.
        """
        if not self.built:
            raise ValueError(
                explain(
                    "Cannot quantize a layer that isn't yet built."
                    f" Layer '{self.name}' (of type {type(self).__name__}) is not.",
                    fix="call it on some data first, or its `build`.",
                )
            )
        if self._is_quantized:
            raise ValueError(
                f"Layer '{self.name}' is already quantized with"
                f" dtype_policy='{self.dtype_policy.name}'. Received: mode={mode}"
            )
        if mode == "int8" and compute_dtype == "float16":
            raise ValueError(
                explain(
                    f"Quantization mode='{mode}' doesn't work well with compute_dtype='float16':"
                    " its sums overflow.",
                    fix="load the model with the policy 'mixed_bfloat16' or 'float32'.",
                )
            )

    def _not_implemented_error(self, attr: Any, msg: str | None = None) -> NotImplementedError:
        kind, name = ("method", attr.__name__) if callable(attr) else ("attribute", str(attr))
        return NotImplementedError(
            f"Layer {type(self).__name__} does not have a `{name}` {kind} implemented."
            f" {msg or ''}".rstrip()
        )

    def _quantization_mode_error(self, mode: Any) -> NotImplementedError:
        return NotImplementedError(
            f"Invalid quantization mode. Expected one of {QUANTIZATION_MODES}."
            f" Received: quantization_mode={mode}"
        )


def _checked(method: Callable[..., None]) -> Callable[..., None]:
    """Wrap a `quantize` method: the config of a mode, checks, and leave to make new weights."""

    @functools.wraps(method)
    def quantize(
        self: Quantizing, mode: str | None = None, config: Any = None, **kwargs: Any
    ) -> None:
        if self._quantizing:  # `super().quantize(…)` within an overriding one
            method(self, mode=mode, config=config, **kwargs)
            return
        config = validate_and_resolve_config(mode, config)
        self._check_quantize_args(config.mode, self.compute_dtype)
        self.__dict__["_quantizing"] = True
        try:
            with self._unlocked():
                method(self, mode=config.mode, config=config, **kwargs)
        finally:
            self.__dict__["_quantizing"] = False

    return quantize


def _missing(name: str) -> Callable[..., NoReturn]:
    """Make the method `name` of layers that cannot be quantized in its mode."""

    def call(self: Quantizing, *args: Any, **kwargs: Any) -> NoReturn:
        raise self._not_implemented_error(call)

    call.__name__ = name
    return call


Quantizing.quantize = _checked(Quantizing.quantize)  # type: ignore[method-assign]
for _mode in QUANTIZATION_MODES:
    setattr(Quantizing, f"_{_mode}_call", _missing(f"_{_mode}_call"))
