"""Configs as Keras 2 wrote them: a class name and its config, without a module.

`keras.saving` has the functions of Keras 3. With these, the caller says which names there are.
Sources: `keras.legacy.saving`, `keras.utils.legacy`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from ..naming import explain, nearest
from ..registry import (
    CustomObjectScope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
)

__all__ = ["deserialize_keras_object", "serialize_keras_object"]

# Marks a config that stands for an object inside another config.
_PASSIVE = "__passive_serialization__"


def serialize_keras_object(instance: Any) -> Any:
    """Describe an object by its class's name and its config, a function or class by its name.

    Args:
        instance: The object; `None` stays `None`.

    Raises:
        ValueError: It has neither `get_config` nor a name.

    Example:
        >>> class Scale:
        ...     def get_config(self):
        ...         return {"by": 2}
        >>> serialize_keras_object(Scale())
        {'class_name': 'Scale', 'config': {'by': 2}}
    """
    if instance is None:
        return None
    instance = inspect.unwrap(instance)
    if hasattr(instance, "get_config") and not inspect.isclass(instance):
        config = {key: _serialize_entry(item) for key, item in instance.get_config().items()}
        return {"class_name": get_registered_name(type(instance)), "config": config}
    if hasattr(instance, "__name__"):
        return get_registered_name(instance)
    raise ValueError(f"Cannot serialize {instance} because it doesn't implement `get_config()`.")


def _serialize_entry(item: Any) -> Any:
    if isinstance(item, (str, dict)) or not (
        hasattr(item, "get_config") or hasattr(item, "__name__")
    ):
        return item
    serialized = serialize_keras_object(item)
    if isinstance(serialized, dict):
        serialized[_PASSIVE] = True
    return serialized


def deserialize_keras_object(
    identifier: Any,
    module_objects: Mapping[str, Any] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    printable_module_name: str = "object",
) -> Any:
    """Make the object that a name or a config stands for.

    Args:
        identifier: A config, the name of a function or of a class to make without arguments, a
            function, or `None`; the latter two are returned as they are.
        module_objects: The names there are.
        custom_objects: Names that go before those, like the ones that are registered.
        printable_module_name: What the object is called in messages.

    Raises:
        ValueError: Something else, or a name that there is not.

    Example:
        >>> deserialize_keras_object("set", module_objects={"set": set})
        set()
    """
    if identifier is None or inspect.isfunction(identifier):
        return identifier
    if isinstance(identifier, str):
        found = _find(identifier, module_objects, custom_objects, printable_module_name)
        return found() if inspect.isclass(found) else found
    if not isinstance(identifier, dict):
        raise ValueError(f"Could not interpret serialized {printable_module_name}: {identifier}")
    if "class_name" not in identifier or "config" not in identifier:
        raise ValueError(
            explain(
                f"Improper config format for {identifier}.",
                expected="a dict with `class_name` and `config`",
            )
        )
    name, config = identifier["class_name"], identifier["config"]
    cls = _find(name, module_objects, custom_objects, printable_module_name)
    if isinstance(config, dict):  # that of a `Sequential` was a list once
        config = {
            key: _deserialize_entry(key, item, module_objects, custom_objects)
            for key, item in config.items()
        }
    with CustomObjectScope(custom_objects or {}):
        if not hasattr(cls, "from_config"):
            return cls(**config)  # a function that makes the object
        if "custom_objects" in inspect.signature(cls.from_config).parameters:
            offered = {**get_custom_objects(), **(custom_objects or {})}
            return cls.from_config(config, custom_objects=offered)
        return cls.from_config(config)


def _deserialize_entry(key: str, item: Any, module_objects: Any, custom_objects: Any) -> Any:
    if isinstance(item, dict) and _PASSIVE in item:
        return deserialize_keras_object(item, module_objects, custom_objects, "config_item")
    if isinstance(item, str) and key != "name":  # a name may be that of a function by chance
        found = get_registered_object(item, custom_objects, module_objects)
        return found if inspect.isfunction(found) else item
    return item


def _find(name: str, module_objects: Any, custom_objects: Any, kind: str) -> Any:
    found = get_registered_object(name, custom_objects, module_objects)
    if found is None:
        known = [*(module_objects or {}), *(custom_objects or {})]
        raise ValueError(
            explain(
                f"Unknown {kind}: '{name}'. {nearest(name, known)}".rstrip(),
                fix="pass it in `custom_objects`, or make sure you are using a"
                " `keras.utils.custom_object_scope` that has it.",
            )
        )
    return found
