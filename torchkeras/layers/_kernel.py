"""`KernelLayer`: what dense and convolutional layers have in common around their `kernel`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from ..activations import get as get_activation
from ..constraints import get as get_constraint
from ..initializers import get as get_initializer
from ..naming import explain
from ..regularizers import get as get_regularizer
from ..variables import Variable
from .layer import Layer

__all__ = ["KernelLayer"]


class KernelLayer(Layer):
    """Base of layers that apply a `kernel`, add a `bias` and end in an activation.

    Args:
        activation: Function, name or layer applied to the result.
        kernel_initializer, bias_initializer: First values of the weights.
        kernel_regularizer, bias_regularizer: Penalties on the weights, added to the loss.
        kernel_constraint, bias_constraint: Projections of the weights after each update.
        lora_rank, lora_alpha: Accepted as in Keras; not supported yet.
        kwargs: Arguments of `Layer`.

    Raises:
        NotImplementedError: `lora_rank` is given.
    """

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
        self.kernel_initializer = get_initializer(kernel_initializer)
        self.kernel_regularizer = get_regularizer(kernel_regularizer)
        self.kernel_constraint = get_constraint(kernel_constraint)
        self.bias_initializer = get_initializer(bias_initializer)
        self.bias_regularizer = get_regularizer(bias_regularizer)
        self.bias_constraint = get_constraint(bias_constraint)
        self.activation = get_activation(activation)
        self.lora_rank = lora_rank
        self.lora_alpha = lora_alpha
        self.lora_enabled = False
        if lora_rank:
            self.enable_lora(lora_rank, lora_alpha)

    def _add_kernel(
        self, shape: Sequence[int], initializer: Any = None, **options: Any
    ) -> Variable:
        return self.add_weight(
            name="kernel",
            shape=tuple(shape),
            initializer=initializer or self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            **options,
        )

    def _add_bias(self, shape: Sequence[int]) -> Variable:
        return self.add_weight(
            name="bias",
            shape=tuple(shape),
            initializer=self.bias_initializer,
            regularizer=self.bias_regularizer,
            constraint=self.bias_constraint,
        )

    @property
    def _kernel(self) -> Variable:
        """The kernel under the name that subclasses written for Keras read."""
        return self.kernel

    def enable_lora(self, rank: int, lora_alpha: float | None = None, **kwargs: Any) -> NoReturn:
        """Low-rank adapters inside layers are not supported.

        Raises:
            NotImplementedError: Always.
        """
        self._unsupported("LoRA", f"lora_rank={rank}")

    def quantize(self, mode: str | None = None, **kwargs: Any) -> NoReturn:
        """Quantized layers are not supported.

        Raises:
            NotImplementedError: Always.
        """
        self._unsupported("quantization", f"mode={mode!r}")

    def _unsupported(self, feature: str, given: str) -> NoReturn:
        raise NotImplementedError(
            explain(
                f"{type(self).__name__} '{self.name}': {feature} is not supported.",
                given=given,
                fix="leave the argument out.",
            )
        )

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments; the adapters' only where they are set."""
        config = super().get_config()
        for name in ("lora_rank", "lora_alpha"):
            if config.get(name) is None:
                config.pop(name, None)
        return config
