"""Configs of layers, derived from their constructors.

A layer of this library stores each constructor argument under its own name, so its config is read
off its attributes. A user's layer without a `get_config` is described by the arguments it was made
with, by the state that every layer has (`trainable`, `dtype`), and by the settings of the class of
this library that it extends, whether or not its constructor takes them: `make_from` sees to that.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Mapping
from types import FunctionType
from typing import Any

from ..activations import serialize as serialize_activation
from ..dtype_policies import get as get_policy
from ..dtype_policies import serialize as serialize_dtype_policy
from ..graph.keras_tensor import any_symbolic
from ..graph.operation import Operation, init_config
from ..naming import explain
from ..registry import deserialize_keras_object, get_registered_name, serialize_keras_object
from ..tree import flatten

__all__ = ["base_config", "layer_config", "make_from", "objects_within", "read_arguments"]

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


def derives_config(cls: type) -> bool:
    """Whether a user's class has a constructor of its own and writes no config."""
    return not (_is_ours(_home(cls, "__init__")) or not _is_ours(_home(cls, "get_config")))


def _home(cls: type, name: str) -> type:
    return next(base for base in cls.__mro__ if name in base.__dict__)


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
    derived = derives_config(cls)
    if _home(cls, "__init__") is base and _home(cls, "get_config") is base and cls is not base:
        # A user's class with no constructor of its own: its arguments are all those of `Layer`.
        return {"activity_regularizer": None, **config, "autocast": layer.autocast}
    excluded = getattr(cls, "_config_excludes", ())  # arguments that Keras's configs leave out
    names = [name for name in config_names(cls) if name not in excluded]
    config.update(
        (name, serialize_value(getattr(layer, name)))
        for name in names
        if not derived or hasattr(layer, name)  # its constructor may have passed over ours
    )
    return _with_own_arguments(layer, config, names) if derived else config


def _with_own_arguments(layer: Any, config: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """Add to a config what the constructor of a user's class was given."""
    cls = type(layer)
    arguments = init_config(layer, drop=("name",), allow_unnamed=bool(config_names(cls)))
    parameters = inspect.signature(cls.__init__).parameters
    own: dict[str, Any] = {}
    for key, value in arguments.items():
        if key in _BASE and (key != "autocast" or names):
            if not names:
                own[key] = None  # Keras lists it, if given; its value is in `config`
        elif key not in parameters and (key in config_names(cls) or (names and key in _SHAPES)):
            continue  # went to a class of the library
        elif any_symbolic(value):
            continue  # what a functional model was made of stands for no setting
        elif isinstance(value, Operation) and any(value is getattr(layer, n, None) for n in names):
            continue  # a setting of the class it extends, which has another name there
        elif key not in config or _reworked(value, config[key]):
            own[key] = _argument(layer, key, value)
    if names:
        return {**config, **own}
    name = {"name": config["name"]} if _takes(parameters, "name") else {}
    del config["name"]
    return {**name, **own, **config}


# Arguments of `Layer` that old scripts give to the first layer.
_SHAPES = ("input_shape", "input_dim", "batch_input_shape", "batch_size")


def _reworked(given: Any, setting: Any) -> bool:
    """Whether a constructor was given one number, and gave another to the class it extends."""
    return (
        isinstance(given, (int, float)) and isinstance(setting, (int, float)) and given != setting
    )


def _takes(parameters: Mapping[str, inspect.Parameter], name: str) -> bool:
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def serialize_value(value: Any) -> Any:
    """Serialize one argument; activations become their names."""
    if isinstance(value, FunctionType):
        return serialize_activation(value)
    return serialize_keras_object(value)


# Arguments that are objects ----------------------------------------------------------------------
# A library's class knows which of its settings are configs; of a user's constructor nothing is
# known, and a dict in its config may be the user's own. So what was an object is marked.

_MARK = "from_argument"


def _argument(layer: Any, key: str, value: Any) -> Any:
    """Serialize an argument of a user's constructor.

    Raises:
        NotImplementedError: It has no config.
    """
    try:
        # What the class's own `build` builds cannot be built before it, by a config of its own.
        return _marked(value, builds=not _is_ours(_home(type(layer), "build")))
    except TypeError as error:
        raise NotImplementedError(
            explain(
                f"{type(layer).__name__} '{layer.name}' was made with an argument that cannot be"
                f" serialized: {error}",
                argument=f"{key}={value!r}",
                fix=f"override `get_config()` in {type(layer).__name__}, or `from_config()` too.",
            )
        ) from error


def _marked(value: Any, builds: bool) -> Any:
    if isinstance(value, (list, tuple)):
        items = [_marked(item, builds) for item in value]
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, dict):
        return {key: _marked(item, builds) for key, item in value.items()}
    config = serialize_keras_object(value)
    if not isinstance(config, dict):
        return config
    if builds:
        config.pop("build_config", None)
    return {**config, _MARK: True}


def objects_within(layer: Any) -> dict[str, Any]:
    """Return what a copy of a layer by way of its config may have to look up, by name.

    These are the functions that it was made with, and the classes of the layers in it.
    """
    inside = list(layer._flatten_layers())
    given = [x for one in inside for x in flatten(one.__dict__["_init_arguments"])]
    functions = [x for x in given if isinstance(x, FunctionType)]
    classes = {type(inner) for inner in inside if not _is_ours(type(inner))}
    known = {get_registered_name(x): x for x in (*functions, *classes)}
    # Several lambdas have one name; they are found by their code.
    return known | {f"<lambda {i}>": x for i, x in enumerate(functions)}


def read_arguments(cls: type, config: Mapping[str, Any]) -> dict[str, Any]:
    """Make the objects that a config of `layer_config` marks as arguments.

    Args:
        cls: The class whose config it is.
        config: The config; one whose objects have been made stays as it is.

    Raises:
        TypeError: One of them is of a class or function that is not on offer.
        ValueError: One of them is byte code, and safe mode is on.
    """
    if not derives_config(cls):
        return dict(config)
    return {key: _read(value) for key, value in config.items()}


def _read(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        items = [_read(item) for item in value]
        return items if isinstance(value, list) else tuple(items)
    if not isinstance(value, dict):
        return value
    if value.get(_MARK) is True:
        return deserialize_keras_object({k: v for k, v in value.items() if k != _MARK})
    return {key: _read(item) for key, item in value.items()}


# Objects of configs ------------------------------------------------------------------------------


def make_from(cls: type, config: Mapping[str, Any], *first: Any) -> Any:
    """Call the constructor of a layer or model with a config, and set what it does not take.

    Args:
        cls: The class. Of a user's class without `get_config` the config names what the constructor
            has no parameter for.
        config: What `get_config` returned, with the objects in it made.
        first: Arguments that go by position, whatever the constructor of a subclass calls them.
    """
    arguments = read_arguments(cls, config)
    later: dict[str, Any] = {}
    if derives_config(cls):
        parameters = inspect.signature(cls.__init__).parameters
        settings = (*_BASE, *config_names(cls))
        later = {k: v for k, v in arguments.items() if k in settings and not _takes(parameters, k)}
        arguments = {key: value for key, value in arguments.items() if key not in later}
        layer = _constructed(cls, first, arguments, parameters)
    else:
        layer = cls(*first, **arguments)
    if isinstance(later.get("name"), str):
        layer.name = later["name"]
    if later.get("activity_regularizer") is not None:
        layer.activity_regularizer = later["activity_regularizer"]
    if later.get("dtype") is not None:
        policy = get_policy(later["dtype"])
        if policy != layer.dtype_policy:
            layer.dtype_policy = policy
    trainable = config.get("trainable")
    if trainable is False and ("trainable" in later or _is_ours(cls)):
        # A constructor that takes it freezes what the layer itself holds. The layers that it has
        # made, and those that `build` will make, were frozen as well (Keras thaws those of
        # `MultiHeadAttention`); for a user's class that takes it, Keras's rule holds.
        layer.trainable = False
        layer.__dict__["_freezes_built"] = True
    elif "trainable" in later and not layer.trainable:
        layer.trainable = True
    return layer


def _constructed(
    cls: type,
    first: tuple[Any, ...],
    arguments: dict[str, Any],
    parameters: Mapping[str, inspect.Parameter],
) -> Any:
    """Call a constructor that hands its `**kwargs` on, with settings of its own besides."""
    while True:
        try:
            return cls(*first, **arguments)
        except TypeError as error:
            twice = re.search(r"multiple values for (?:keyword )?argument '(\w+)'", str(error))
            if twice is None or twice[1] not in arguments or twice[1] in parameters:
                raise
            # The class fixes this setting; the config lists it with the others.
            del arguments[twice[1]]
