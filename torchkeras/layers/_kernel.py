"""`KernelLayer`: what dense and convolutional layers have in common around their `kernel`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..activations import get as get_activation
from ..constraints import get as get_constraint
from ..initializers import get as get_initializer
from ..regularizers import get as get_regularizer
from ..variables import Variable
from .building import keep_settings
from .layer import Layer
from .lora import LoRA, adapted_weight, plain_weight

__all__ = ["KernelLayer", "keep_options", "make_weight"]


def keep_options(
    layer: Layer, weight: str, initializer: Any, regularizer: Any, constraint: Any
) -> None:
    """Keep how a weight starts, is penalized and projected as `kernel_initializer` and so on.

    The order of calls matters: each random initializer draws its own seed here.
    """
    keep_settings(layer, **_options(weight, initializer, regularizer, constraint))


def _options(weight: str, initializer: Any, regularizer: Any, constraint: Any) -> dict[str, Any]:
    return {
        f"{weight}_initializer": get_initializer(initializer),
        f"{weight}_regularizer": get_regularizer(regularizer),
        f"{weight}_constraint": get_constraint(constraint),
    }


def make_weight(
    layer: Layer, options: str, shape: Sequence[int], name: str | None = None, **changes: Any
) -> Variable:
    """Make a weight of a layer by what `keep_options` kept.

    Args:
        layer: Whose weight it is.
        options: The name that its options were kept under.
        shape: Its shape.
        name: Default: `options`.
        changes: Arguments of `add_weight` instead of, or besides, those.
    """
    arguments = {
        "name": name or options,
        "initializer": getattr(layer, f"{options}_initializer"),
        "regularizer": getattr(layer, f"{options}_regularizer"),
        "constraint": getattr(layer, f"{options}_constraint"),
    }
    return layer.add_weight(shape=tuple(shape), **{**arguments, **changes})


class KernelLayer(LoRA):
    """Base of layers that apply a `kernel`, add a `bias` and end in an activation.

    Args:
        activation: Function, name or layer applied to the result.
        kernel_initializer, bias_initializer: First values of the weights.
        kernel_regularizer, bias_regularizer: Penalties on the weights, added to the loss.
        kernel_constraint, bias_constraint: Projections of the weights after each update.
        lora_rank, lora_alpha: Size and weight of low-rank adapters; see `enable_lora`.
        kwargs: Arguments of `Layer`.
    """

    kernel = adapted_weight("kernel")
    _kernel = plain_weight("kernel")

    def __init__(
        self,
        *,
        activation: Any = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        keep_settings(
            self,
            **_options("kernel", kernel_initializer, kernel_regularizer, kernel_constraint),
            **_options("bias", bias_initializer, bias_regularizer, bias_constraint),
            activation=get_activation(activation),
        )
        self._init_lora(lora_rank, lora_alpha)

    def _add_kernel(
        self, shape: Sequence[int], initializer: Any = None, **options: Any
    ) -> Variable:
        if initializer is not None:
            options["initializer"] = initializer
        return make_weight(self, "kernel", shape, **options)

    def _add_bias(self, shape: Sequence[int]) -> Variable:
        return make_weight(self, "bias", shape)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments; the adapters' only where they are set."""
        config = super().get_config()
        if not config.get("lora_rank"):
            config.pop("lora_rank", None)
            config.pop("lora_alpha", None)
        return config
