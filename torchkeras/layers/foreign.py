"""Layers around models of other engines: JAX functions, Flax modules, TensorFlow SavedModels.

torchkeras computes with PyTorch only. The names exist, so that code that mentions them can be
imported and files that contain them say what is wrong; making one raises `NotImplementedError`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from ..naming import explain
from ..registry import builtin
from .layer import Layer

__all__ = ["FlaxLayer", "JaxLayer", "TFSMLayer"]


def _refuse(name: str, what: str, fix: str) -> NoReturn:
    raise NotImplementedError(
        explain(f"{name} runs {what}, but torchkeras computes with PyTorch only.", fix=fix)
    )


class _ForeignLayer(Layer):
    """A layer that cannot be made, also not from a config."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> NoReturn:
        """Raise what the constructor raises."""
        return cls(**config)


@builtin("keras.layers.JaxLayer")
class JaxLayer(_ForeignLayer):
    """A JAX function as a layer: not supported.

    Args:
        call_fn, init_fn, params, state, seed, native_serialization_platforms: As in Keras.

    Raises:
        NotImplementedError: Always.
    """

    def __init__(
        self,
        call_fn: Callable[..., Any],
        init_fn: Callable[..., Any] | None = None,
        params: Any = None,
        state: Any = None,
        seed: int | None = None,
        native_serialization_platforms: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        _refuse("JaxLayer", "a JAX function", "write the function with `keras.ops` or torch.")

    def call(self, inputs: Any, training: bool = False) -> NoReturn:
        """Never called, since no such layer can be made."""
        raise NotImplementedError


@builtin("keras.layers.FlaxLayer")
class FlaxLayer(JaxLayer):
    """A Flax module as a layer: not supported.

    Args:
        module, method, variables: As in Keras.

    Raises:
        NotImplementedError: Always.
    """

    def __init__(
        self, module: Any, method: Any = None, variables: Any = None, **kwargs: Any
    ) -> None:
        _refuse("FlaxLayer", "a Flax module", "use a `torch.nn.Module`, which is a layer as it is.")


@builtin("keras.layers.TFSMLayer")
class TFSMLayer(_ForeignLayer):
    """A TensorFlow SavedModel as a layer: not supported.

    Args:
        filepath, call_endpoint, call_training_endpoint, trainable, name, dtype: As in Keras.

    Raises:
        NotImplementedError: Always.
    """

    def __init__(
        self,
        filepath: Any,
        call_endpoint: str = "serve",
        call_training_endpoint: str | None = None,
        trainable: bool = True,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        _refuse(
            "TFSMLayer",
            "a TensorFlow SavedModel",
            "save the model as `.keras`, `.h5` or `.weights.h5` where it was made, and load that.",
        )

    def call(self, inputs: Any, training: bool = False, **kwargs: Any) -> NoReturn:
        """Never called, since no such layer can be made."""
        raise NotImplementedError

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None, safe_mode: bool | None = None
    ) -> NoReturn:
        """Raise what the constructor raises."""
        return super().from_config(config)
