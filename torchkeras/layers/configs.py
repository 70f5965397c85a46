"""Configs of layers, derived from their constructors.

A layer of this library stores each constructor argument under its own name, so its config is read
off its attributes. A user's layer without a `get_config` is described by the arguments it was made
with.
"""

from __future__ import annotations

import functools
import inspect
from types import FunctionType
from typing import Any

from ..activations import serialize as serialize_activation
from ..dtype_policies import serialize as serialize_dtype_policy
from ..graph.keras_tensor import any_symbolic
from ..graph.operation import init_config
from ..registry import serialize_keras_object

__all__ = ["base_config", "layer_config"]

_BASE = ("name", "trainable", "dtype", "autocast", "activity_regularizer")


@functools.cache
def config_names(cls: type) -> tuple[str, ...]:
    """Return the constructor arguments of the library's classes among the bases of `cls`."""
    names: dict[str, None] = {}
    for base in cls.__mro__:
        init = base.__dict__.get("__init__")
        if init is None or not _is_ours(base):
            continue
        for name, parameter in list(inspect.signature(init).parameters.items())[1:]:
            named = parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
            if named and name not in _BASE:
                names[name] = None
    return tuple(names)


def _is_ours(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == "torchkeras"


def base_config(layer: Any) -> dict[str, Any]:
    """Return the part of a config that describes the arguments of `Layer` itself."""
    config = {
        "name": layer.name,
        "trainable": layer._trainable,
        "dtype": serialize_dtype_policy(layer.dtype_policy),
    }
    if layer._activity_regularizer is not None:
        config["activity_regularizer"] = serialize_value(layer._activity_regularizer)
    return config


def layer_config(layer: Any, base: type) -> dict[str, Any]:
    """Return the config of a layer.

    Args:
        layer: The layer.
        base: The class `Layer`, whose own arguments stand first.

    Raises:
        NotImplementedError: An argument of a user's class cannot be serialized.
    """
    config = base_config(layer)
    cls = type(layer)
    own_init = next(c for c in cls.__mro__ if "__init__" in c.__dict__)
    own_config = next(c for c in cls.__mro__ if "get_config" in c.__dict__)
    derived = not _is_ours(own_init) and _is_ours(own_config)
    handed_on = derived and config_names(cls) and _takes_unnamed(own_init)
    if derived and not handed_on:
        # The whole class is the user's, and writes no config.
        arguments = init_config(layer, drop=_BASE)
        # The tensors that a functional model was made of stand for no setting.
        arguments = {k: v for k, v in arguments.items() if not any_symbolic(v)}
        parameters = inspect.signature(own_init.__init__).parameters
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            config = {key: value for key, value in config.items() if key in parameters}
        try:
            return {**config, **{k: serialize_value(v) for k, v in arguments.items()}}
        except TypeError as error:
            raise NotImplementedError(
                f"{cls.__name__} '{layer.name}' was made with arguments that cannot be serialized,"
                f" so it must override `get_config()`. {error}"
            ) from error
    if own_init is base and own_config is base and not _is_ours(cls):
        # A user's class with no constructor of its own: its arguments are all those of `Layer`.
        return {"activity_regularizer": None, **config, "autocast": layer.autocast}
    excluded = getattr(cls, "_config_excludes", ())  # arguments that Keras's configs leave out
    for name in config_names(cls):
        if name in excluded:
            continue
        config[name] = serialize_value(getattr(layer, name))
    if handed_on:  # `*args` went to a class of the library, which knows them by name
        own = init_config(layer, drop=_BASE, only_named=True)
        config.update((key, serialize_value(value)) for key, value in own.items())
    return config


def _takes_unnamed(cls: type) -> bool:
    parameters = inspect.signature(cls.__init__).parameters.values()
    return any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters)


def serialize_value(value: Any) -> Any:
    """Serialize one argument; activations become their names."""
    if isinstance(value, FunctionType):
        return serialize_activation(value)
    return serialize_keras_object(value)
