"""Names and classes: what a config may refer to, and how objects become configs and back.

A config is Keras 3's: `{"module", "class_name", "config", "registered_name"}`, with `build_config`
and `compile_config` where an object has them. Names in a config resolve through four tables only,
asked in this order: the `custom_objects` argument, the open `CustomObjectScope`s, what was
registered by `register_keras_serializable`, and the built-in classes and functions registered here
by `builtin`. Nothing is ever imported or looked up by a name that a file contains, so a file cannot
reach code that its reader did not offer.
"""

from __future__ import annotations

import codecs
import importlib
import inspect
import marshal
import reprlib
import sys
import threading
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
import torch

from .config import default_device
from .dtypes import standardize_dtype, to_torch
from .graph.keras_tensor import KerasTensor
from .graph.operation import OPERATIONS
from .naming import explain, nearest, to_snake_case

__all__ = [
    "GLOBAL_CUSTOM_NAMES",
    "GLOBAL_CUSTOM_OBJECTS",
    "CustomObjectScope",
    "Namespace",
    "ObjectSharingScope",
    "SafeModeScope",
    "builtin",
    "custom_object_scope",
    "deserialize_keras_object",
    "dump_code",
    "enable_unsafe_deserialization",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "in_safe_mode",
    "load_code",
    "register_keras_serializable",
    "serialize_dict",
    "serialize_keras_object",
]

T = TypeVar("T")

# Canonical and alias paths, such as "keras.layers.Dense", of everything a config may name.
_BUILTINS: dict[str, Any] = {}
# The canonical path of each class or function above.
_PATHS: dict[Any, str] = {}
# Where the classes of a Keras namespace register themselves. Only these modules are ever imported.
_HOMES = {
    "keras.activations": "torchkeras.activations",
    "keras.constraints": "torchkeras.constraints",
    "keras.distillation": "torchkeras.distillation",
    "keras.dtype_policies": "torchkeras.dtype_policies",
    "keras.initializers": "torchkeras.initializers",
    "keras.layers": "torchkeras.layers",
    "keras.losses": "torchkeras.losses",
    "keras.metrics": "torchkeras.metrics",
    "keras.models": "torchkeras.models",
    "keras.optimizers": "torchkeras.optimizers",
    "keras.quantizers": "torchkeras.quantizers",
    "keras.random": "torchkeras.initializers",
    "keras.regularizers": "torchkeras.regularizers",
    "keras.src.applications.convnext": "torchkeras.applications.convnext",
    "keras.src.applications.inception_resnet_v2": "torchkeras.applications.inception_resnet_v2",
    "keras.src.backend.torch.optimizers": "torchkeras.optimizers",
    "keras.src.layers.core.tf_op_layer": "torchkeras.layers.tensorflow",
    "keras.src.layers.preprocessing.feature_space": "torchkeras.utils.feature_space",
    "keras.src.models": "torchkeras.models",
    "keras.src.ops": "torchkeras.ops",
    "keras.src.quantizers": "torchkeras.quantizers",
    "keras.utils": "torchkeras.utils",
    "keras": "torchkeras.models",
}
# A bare function name in a config is looked for in these, as Keras writes names without a module.
_FUNCTION_HOMES = ("activations", "losses", "metrics", "initializers", "regularizers")

# What `register_keras_serializable` registered, by name, and the names.
GLOBAL_CUSTOM_OBJECTS: dict[str, Any] = {}
GLOBAL_CUSTOM_NAMES: dict[Any, str] = {}


class _State(threading.local):
    """The scopes open on this thread."""

    custom_objects: Mapping[str, Any] = types.MappingProxyType({})
    safe_mode: bool | None = None
    shared_objects: dict[int, Any] | None = None
    shared_configs: dict[int, dict[str, Any]] | None = None


_STATE = _State()


# Built-in names ----------------------------------------------------------------------------------


def builtin(path: str, *aliases: str) -> Callable[[T], T]:
    """Allow configs to name the decorated class or function as `path`, Keras's public path of it.

    Args:
        path: The canonical path, which files carry, such as `keras.layers.Dense`.
        aliases: Other paths that resolve to the same object.
    """

    def register(obj: T) -> T:
        for name in (path, *aliases):
            _BUILTINS[name] = obj
        _PATHS[obj] = path
        return obj

    return register


def find_builtin(path: str) -> Any:
    """Return what `builtin` or `op` registered under `path`, or `None`."""
    if path in _BUILTINS:
        return _BUILTINS[path]
    prefix = path.rpartition(".")[0]
    while prefix and prefix not in _HOMES:
        prefix = prefix.rpartition(".")[0]
    if prefix:
        importlib.import_module(_HOMES[prefix])
    return _BUILTINS.get(path, OPERATIONS.get(path))


class Namespace:
    """The objects of one kind, such as initializers, and the identifiers that stand for them.

    Args:
        name: Keras's module, such as `initializers`.
        kind: What one object is called in messages, such as `initializer`.
        base: The class of its objects, or `None` where they are functions.
    """

    def __init__(self, name: str, kind: str, base: type | None = None) -> None:
        self.name = name
        self.kind = kind
        self.base = base
        self.objects: dict[str, Any] = {}

    def register(self, obj: T, *names: str) -> T:
        """Let `obj` be found by its own name (for a class in snake case too) and by `names`."""
        self.objects[obj.__name__] = obj
        if inspect.isclass(obj):
            self.objects.setdefault(to_snake_case(obj.__name__), obj)
        for name in names:
            self.objects[name] = obj
        return obj

    def serialize(self, obj: Any) -> Any:
        """Return the config of `obj`."""
        return serialize_keras_object(obj)

    def deserialize(
        self, config: Any, custom_objects: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> Any:
        """Build the object that a name or config describes; of `None`, as Keras does, `None`.

        Raises:
            ValueError: The name is unknown.
        """
        if config is None:
            return None
        if isinstance(config, dict) and "class_name" in config:
            inner = config.get("config") or {}
            name = config["class_name"]
            if name == "function":
                return self._find(inner, custom_objects)
            located = config.get("module") or config.get("registered_name")
            if located is None and custom_object(name, custom_objects) is None:
                # Files before Keras 3 give the class alone; without a module, but with a registered
                # name, it is one of a script (`__main__`).
                cls = self._find(name, custom_objects)
                with CustomObjectScope(custom_objects or {}):
                    return cls.from_config(inner) if inspect.isclass(cls) else cls
            return deserialize_keras_object(config, custom_objects=custom_objects, **kwargs)
        if isinstance(config, str):
            return self._find(config, custom_objects)
        raise ValueError(f"Cannot build a {self.kind} from the config {config!r}.")

    def get(self, identifier: Any) -> Any:
        """Return the object that `identifier` stands for.

        Args:
            identifier: `None` (returned as it is), a name, a config, a class, or an object.

        Raises:
            ValueError: It stands for nothing.
        """
        if identifier is None:
            return None
        if isinstance(identifier, str):
            obj = self._find(identifier, None)
        elif isinstance(identifier, dict):
            obj = self.deserialize(identifier)
        else:
            obj = identifier
        if isinstance(obj, type):
            obj = obj()
        if callable(obj) or (self.base is not None and isinstance(obj, self.base)):
            return obj
        raise ValueError(
            explain(
                f"Could not interpret this {self.kind} identifier.",
                given=repr(identifier),
                expected=f"a name, a config, a class, an object or a callable ({self.kind})",
            )
        )

    def _find(self, name: Any, custom_objects: Mapping[str, Any] | None) -> Any:
        obj = custom_object(name, custom_objects) if isinstance(name, str) else None
        if obj is None:
            obj = self.objects.get(name)
        if obj is None:
            raise ValueError(
                explain(
                    f"Unknown {self.kind}: {name!r}. {nearest(name, self.objects)}".rstrip(),
                    fix=f"use one of keras.{self.name}, or pass a custom one through"
                    " `custom_objects` or `@keras.saving.register_keras_serializable()`.",
                )
            )
        return obj


# Custom names ------------------------------------------------------------------------------------


class CustomObjectScope:
    """Let configs name the given classes and functions while the scope is open.

    Args:
        custom_objects: Names and what they stand for.

    Example:
        >>> with CustomObjectScope({"Twice": int}):
        ...     get_registered_object("Twice")
        <class 'int'>
    """

    def __init__(self, custom_objects: Mapping[str, Any]) -> None:
        self.custom_objects = custom_objects or {}

    def __enter__(self) -> CustomObjectScope:
        self._outer = _STATE.custom_objects
        _STATE.custom_objects = {**self._outer, **self.custom_objects}
        return self

    def __exit__(self, *exception: object) -> None:
        _STATE.custom_objects = self._outer


custom_object_scope = CustomObjectScope


def get_custom_objects() -> dict[str, Any]:
    """Return the live dictionary of globally registered custom objects."""
    return GLOBAL_CUSTOM_OBJECTS


def register_keras_serializable(
    package: str = "Custom", name: str | None = None
) -> Callable[[T], T]:
    """Let configs name the decorated class or function as `package>name`.

    Args:
        package: A prefix that keeps libraries apart.
        name: Default: the object's own name.

    Raises:
        ValueError: A class has no `get_config`.
    """

    def register(obj: T) -> T:
        if inspect.isclass(obj) and not hasattr(obj, "get_config"):
            raise ValueError(
                "Cannot register a class that does not have a get_config() method, such as"
                f" {obj.__name__}. Define one that returns the constructor's arguments as a dict."
            )
        registered_name = f"{package}>{name or obj.__name__}"
        GLOBAL_CUSTOM_OBJECTS[registered_name] = obj
        GLOBAL_CUSTOM_NAMES[obj] = registered_name
        return obj

    return register


def get_registered_name(obj: Any) -> str:
    """Return the name under which `obj` was registered, or else its own name."""
    try:
        return GLOBAL_CUSTOM_NAMES.get(obj, obj.__name__)
    except TypeError:  # not hashable
        return obj.__name__


def get_registered_object(
    name: str,
    custom_objects: Mapping[str, Any] | None = None,
    module_objects: Mapping[str, Any] | None = None,
) -> Any:
    """Return the custom class or function called `name`, or `None`."""
    obj = custom_object(name, custom_objects)
    return obj if obj is not None else (module_objects or {}).get(name)


def custom_object(name: str, custom_objects: Mapping[str, Any] | None) -> Any:
    """Return what the user registered or offers under `name`, or `None`."""
    for table in (_STATE.custom_objects, GLOBAL_CUSTOM_OBJECTS, custom_objects or {}):
        if name in table:
            return table[name]
    return None


# Scopes of loading -------------------------------------------------------------------------------


class SafeModeScope:
    """Decide for everything loaded inside whether Python byte code from files is refused."""

    def __init__(self, safe_mode: bool = True) -> None:
        self.safe_mode = safe_mode

    def __enter__(self) -> None:
        self._outer = _STATE.safe_mode
        _STATE.safe_mode = self.safe_mode

    def __exit__(self, *exception: object) -> None:
        _STATE.safe_mode = self._outer


def in_safe_mode() -> bool | None:
    """Return the safe mode in force, or `None` where nothing set it."""
    return _STATE.safe_mode


def enable_unsafe_deserialization() -> None:
    """Allow byte code of lambdas in files to run in all later loading. Only for trusted files."""
    warnings.warn(
        "Unsafe deserialization is on: model files may now run Python code of their author.",
        stacklevel=2,
    )
    _STATE.safe_mode = False


class ObjectSharingScope:
    """Let objects that occur more than once in what is (de)serialized stay one object."""

    def __enter__(self) -> None:
        self._outer = (_STATE.shared_objects, _STATE.shared_configs)
        _STATE.shared_objects, _STATE.shared_configs = {}, {}

    def __exit__(self, *exception: object) -> None:
        _STATE.shared_objects, _STATE.shared_configs = self._outer


# Objects to configs ------------------------------------------------------------------------------


def serialize_keras_object(obj: Any) -> Any:
    """Return the config of an object: JSON values that describe it.

    Args:
        obj: An object with `get_config()`, a function, a tensor, an array, a plain value, or a
            list, tuple or dict of those.

    Raises:
        TypeError: The object has no `get_config()`.

    Example:
        >>> serialize_keras_object([1, slice(0, 2)])[1]["class_name"]
        '__slice__'
    """
    if obj is None or isinstance(obj, (str, bool, int, float)):
        return obj
    if isinstance(obj, tuple):
        return tuple(serialize_keras_object(item) for item in obj)
    if isinstance(obj, list):
        return [serialize_keras_object(item) for item in obj]
    if isinstance(obj, dict):  # other mappings, such as a DTypePolicyMap, have a config
        return serialize_dict(obj)
    special = _serialize_special(obj)
    if special is not None:
        return special
    return _serialize_instance(obj)


def serialize_dict(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Serialize the values of a dict."""
    return {key: serialize_keras_object(value) for key, value in obj.items()}


def _serialize_special(obj: Any) -> Any:
    """Serialize the values that have a form of their own; `None` for all others."""
    if isinstance(obj, bytes):
        return _special("__bytes__", value=obj.decode("utf-8"))
    if isinstance(obj, slice):
        parts = {part: serialize_keras_object(getattr(obj, part)) for part in _SLICE_PARTS}
        return _special("__slice__", **parts)
    if obj is Ellipsis:
        return _special("__ellipsis__")
    if isinstance(obj, KerasTensor):
        history = obj._keras_history
        named = [history[0].name, *history[1:]] if history else None
        return _special("__keras_tensor__", shape=obj.shape, dtype=obj.dtype, keras_history=named)
    if isinstance(obj, torch.Tensor):
        dtype = standardize_dtype(obj.dtype)
        return _special("__tensor__", value=obj.detach().cpu().tolist(), dtype=dtype)
    if isinstance(obj, np.ndarray) and obj.ndim:
        return _special("__numpy__", value=obj.tolist(), dtype=str(obj.dtype))
    if isinstance(obj, (np.generic, np.ndarray)):
        return obj.item()
    if isinstance(obj, (torch.dtype, np.dtype)):
        return standardize_dtype(obj)
    if isinstance(obj, types.FunctionType) and obj.__name__ == "<lambda>":
        warnings.warn(
            "A lambda is being serialized as byte code. Loading it needs `safe_mode=False`; prefer"
            " a named function registered by `@keras.saving.register_keras_serializable()`.",
            stacklevel=4,
        )
        return _special("__lambda__", value=dump_code(obj))
    return None


_SLICE_PARTS = ("start", "stop", "step")


def _special(class_name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": class_name, "config": config}


def _serialize_instance(obj: Any) -> dict[str, Any]:
    if isinstance(obj, (types.FunctionType, types.BuiltinFunctionType)):
        name = get_registered_name(obj)
        return {
            "module": "builtins",
            "class_name": "function",
            "config": name,
            "registered_name": "function",
        }
    if not hasattr(obj, "get_config") or inspect.isclass(obj):
        raise TypeError(
            f"Cannot serialize {obj!r} of type {type(obj).__name__}: it has no `get_config()`"
            " method. Define one that returns the constructor's arguments as a dict."
        )
    inner = obj.get_config()
    if not isinstance(inner, dict):
        raise TypeError(f"`get_config()` of {obj!r} must return a dict, got {inner!r}.")
    cls = type(obj)
    path = _PATHS.get(cls) or getattr(cls, "_keras_path", None)
    if path is not None and cls.__dict__.get("_keras_path", path) == path:
        module, _, class_name = path.rpartition(".")
        registered_name = class_name if module.startswith("keras.src") else None
    else:
        module, class_name = cls.__module__, cls.__name__
        registered_name = get_registered_name(cls)
    config = {
        "module": module,
        "class_name": class_name,
        "config": serialize_dict(inner),
        "registered_name": registered_name,
    }
    for key in ("build_config", "compile_config"):
        getter = getattr(obj, f"get_{key}", None)
        extra = getter() if getter is not None else None
        if extra is not None:
            config[key] = serialize_dict(extra)
    _note_shared(obj, config)
    return config


def _note_shared(obj: Any, config: dict[str, Any]) -> None:
    if config["module"] == "__main__":
        config["module"] = None  # it would be another module for whoever loads the file
    seen = _STATE.shared_configs
    if seen is None:
        return
    if id(obj) in seen:
        config["shared_object_id"] = seen[id(obj)]["shared_object_id"] = id(obj)
    else:
        seen[id(obj)] = config


def dump_code(func: types.FunctionType) -> tuple[Any, ...]:
    """Return a function's byte code as text, its defaults and the values it closes over."""
    code = codecs.encode(marshal.dumps(func.__code__), "base64").decode("ascii")
    closure = tuple(cell.cell_contents for cell in func.__closure__) if func.__closure__ else None
    return code, func.__defaults__, closure


def load_code(dumped: Any) -> types.FunctionType:
    """Rebuild a function from byte code; reached only where the user turned safe mode off.

    Its global names are torch, NumPy and the custom objects of the open scopes. A function among
    those that has this code and these very values is taken as it is, with the names of its module.
    """
    text, defaults, closure = dumped if isinstance(dumped, (list, tuple)) else (dumped, None, None)
    try:
        raw = codecs.decode(text.encode("ascii"), "base64")
    except ValueError:  # files of the first Kerases have the bytes themselves
        raw = text.encode("raw_unicode_escape")
    code = marshal.loads(raw)
    known = _STATE.custom_objects
    for function in known.values():
        if isinstance(function, types.FunctionType) and function.__code__ == code:
            values = [cell.cell_contents for cell in function.__closure__ or ()]
            values += function.__defaults__ or ()
            if [id(v) for v in values] == [id(v) for v in (*(closure or ()), *(defaults or ()))]:
                return function
    cells = tuple(types.CellType(value) for value in closure) if closure else None
    arguments = tuple(defaults) if defaults else None
    names = {"torch": torch, "np": np, **known}
    return types.FunctionType(code, names, code.co_name, arguments, cells)


# Configs to objects ------------------------------------------------------------------------------


def deserialize_keras_object(
    config: Any,
    custom_objects: Mapping[str, Any] | None = None,
    safe_mode: bool = True,
    **kwargs: Any,
) -> Any:
    """Build the object that a config describes.

    Args:
        config: What `serialize_keras_object` returned.
        custom_objects: Classes and functions, by the names the config uses for them.
        safe_mode: Refuse Python byte code.
        kwargs: `module_objects`, further classes and functions by their names; a string that is
            such a name gives the function, or an instance of the class. Others are accepted.

    Raises:
        TypeError: The config names a class or function that is neither built in nor offered.
        ValueError: It contains byte code and `safe_mode` is on.
    """
    if _STATE.safe_mode is not None:
        safe_mode = _STATE.safe_mode
    if config is None:
        return None
    module_objects = kwargs.get("module_objects") or {}
    if isinstance(config, str):
        obj = custom_object(config, custom_objects)
        if obj is None and config in module_objects:
            return _deserialize({"class_name": config, "config": {}}, module_objects)
        return config if obj is None else obj
    if isinstance(config, (bool, int, float)):
        return config
    with CustomObjectScope(custom_objects or {}), SafeModeScope(safe_mode):
        if isinstance(config, (list, tuple)):
            return [deserialize_keras_object(item) for item in config]
        if not isinstance(config, dict):
            raise TypeError(f"Not a config: {config!r}.")
        if "class_name" not in config or "config" not in config:
            return {key: deserialize_keras_object(value) for key, value in config.items()}
        return _deserialize(config, module_objects)


def _deserialize(config: dict[str, Any], module_objects: Mapping[str, Any]) -> Any:
    class_name, inner = config["class_name"], config["config"]
    inner = {} if inner is None else inner
    if class_name in _SPECIAL:
        return _SPECIAL[class_name](inner)
    if class_name == "function":
        if not isinstance(inner, str):
            raise TypeError(
                f"Expected 'config' to be a non-null str, the name of a function, got {inner!r}."
            )
        return _find_function(inner, config, module_objects)
    if not isinstance(inner, dict):
        raise TypeError(f"Expected 'config' to be a dict for a '{class_name}', got {inner!r}.")
    shared_id, shared = config.get("shared_object_id"), _STATE.shared_objects
    if shared_id is not None and shared is not None and shared_id in shared:
        return shared[shared_id]
    cls = _find_class(class_name, config, module_objects)
    if not hasattr(cls, "from_config"):
        if inspect.isclass(cls):
            raise TypeError(
                f"Unable to reconstruct an instance of '{class_name}': the class has no"
                " `from_config()` method."
            )
        return cls
    instance = _instantiate(cls, inner, config)
    if shared_id is not None and shared is not None:
        shared[shared_id] = instance
    return instance


def _instantiate(cls: Any, inner: dict[str, Any], config: dict[str, Any]) -> Any:
    inner = dict(inner)
    for key in getattr(cls, "function_parameters", ()):  # of an op, such as `vectorized_map`
        if isinstance(inner.get(key), dict):
            inner[key] = deserialize_keras_object(inner[key])
    try:
        instance = cls.from_config(dict(inner))
    except UnknownNameError:  # says all there is to say
        raise
    except TypeError as error:
        raise TypeError(
            explain(
                f"Could not build a '{cls.__name__}' from its config: {error}",
                config=reprlib.repr(inner),
                fix="`from_config` must accept what `get_config` returns; make sure that the"
                " objects in it are explicitly deserialized there.",
            )
        ) from error
    build_config = config.get("build_config")
    if build_config and not instance.built:
        instance.build_from_config(build_config)
    compile_config = config.get("compile_config")
    if compile_config:
        instance.compile_from_config(compile_config)
    return instance


def _find_class(class_name: str, config: dict[str, Any], module_objects: Mapping[str, Any]) -> Any:
    registered_name = config.get("registered_name") or class_name
    module = config.get("module")
    for name in (registered_name, class_name):
        obj = custom_object(name, None)
        if obj is not None:
            return obj
    if class_name in module_objects:
        return module_objects[class_name]
    obj = find_builtin(f"{module}.{class_name}") if isinstance(module, str) else None
    if obj is not None:
        _refuse_contradiction(class_name, (class_name,), config)
        return obj
    obj = _library_class(module, class_name)
    if obj is not None:
        return obj
    raise _unknown("class", class_name, config)


# Libraries that Keras looks into for classes that are not registered.
_LIBRARIES = frozenset({"keras_cv", "keras_hub", "keras_nlp"})


def _library_class(module: Any, class_name: str) -> type | None:
    """Find a class of one of these libraries by the module that a file names.

    The module must be imported already, for a file may not choose what is run; and the class must
    be the library's own and derive from a built-in one, for a module holds more than its classes.
    """
    if not isinstance(module, str) or module.partition(".")[0] not in _LIBRARIES:
        return None
    found = vars(sys.modules[module]).get(class_name) if module in sys.modules else None
    if not inspect.isclass(found) or found.__module__.partition(".")[0] not in _LIBRARIES:
        return None
    return found if any(base in _PATHS for base in found.__mro__[1:]) else None


def _refuse_contradiction(name: str, names: tuple[str, ...], config: dict[str, Any]) -> None:
    """Refuse a built-in's config that claims a registered name of its own, as no true one does."""
    claimed = config.get("registered_name")
    if claimed not in (None, "", *names):
        raise ValueError(
            explain(
                f"'{name}' resolved to a Keras built-in, but its config is that of a custom object"
                f" registered as '{claimed}'.",
                module=config.get("module"),
                fix="offer the custom object under that name in `custom_objects`, or register it;"
                " if the file comes from a stranger, do not trust it.",
            )
        )


def _find_function(name: str, config: dict[str, Any], module_objects: Mapping[str, Any]) -> Any:
    obj = custom_object(name, None)
    if obj is None:
        obj = module_objects.get(name)
    if obj is not None:
        return obj
    module = config.get("module")
    if isinstance(module, str) and module != "builtins":
        paths = [f"{module}.{name}"]
    else:
        paths = [f"keras.{home}.{name}" for home in _FUNCTION_HOMES]
    for path in paths:
        obj = find_builtin(path)
        if obj is not None:
            _refuse_contradiction(name, ("function", name), config)
            return obj
    # Keras up to 3.6 wrote a registered function by its bare name.
    for custom_name, custom in {**GLOBAL_CUSTOM_OBJECTS, **_STATE.custom_objects}.items():
        if custom_name.endswith(f">{name}"):
            return custom
    raise _unknown("function", name, config)


class UnknownNameError(TypeError, ValueError):
    """A config names a class or function that is not on offer."""


def _unknown(kind: str, name: str, config: dict[str, Any]) -> TypeError:
    module = config.get("module")
    known = [path.rpartition(".")[2] for path in _BUILTINS if path.startswith(f"{module}.")]
    return UnknownNameError(
        explain(
            f"Could not locate {kind} '{name}'. {nearest(name, known)}".rstrip(),
            module=module,
            registered_name=config.get("registered_name"),
            fix="custom classes and functions must be passed in `custom_objects`, or be imported"
            " and decorated with `@keras.saving.register_keras_serializable()` before loading.",
        )
    )


def _load_keras_tensor(inner: dict[str, Any]) -> KerasTensor:
    tensor = KerasTensor(inner["shape"], dtype=inner["dtype"])
    tensor._pre_serialization_keras_history = inner["keras_history"]
    return tensor


def _load_lambda(inner: dict[str, Any]) -> types.FunctionType:
    if in_safe_mode():
        raise ValueError(
            explain(
                "The config contains a Python lambda as byte code; loading it would be arbitrary"
                " code execution, by the author of the file.",
                fix="if you trust the file, pass `safe_mode=False` to the loading function or call"
                " `keras.config.enable_unsafe_deserialization()`.",
            )
        )
    return load_code(inner["value"])


def _load_type_spec(inner: Any) -> Any:
    if not isinstance(inner, (list, tuple)):
        raise TypeError(
            f"Expected 'config' to be a list or a tuple for a type spec, got {inner!r}."
        )
    raise TypeError(
        f"The config describes a type spec of TensorFlow's ({inner[0] if inner else ''}), which"
        " has no meaning here. Use a `keras.KerasTensor`."
    )


def _load_slice(inner: dict[str, Any]) -> slice:
    return slice(*(deserialize_keras_object(inner[part]) for part in _SLICE_PARTS))


def _load_array(inner: dict[str, Any]) -> np.ndarray:
    dtype = np.dtype(inner["dtype"])
    if dtype.kind in "US" or dtype.hasobject or dtype.kind == "V":
        # A dtype of text has a width, by which one letter can take a gigabyte.
        if dtype.kind not in "US":
            raise ValueError(f"An array of dtype '{dtype}' cannot be read from a config.")
        dtype = np.dtype(dtype.kind)
    return np.array(inner["value"], dtype=dtype)


_SPECIAL: dict[str, Callable[[dict[str, Any]], Any]] = {
    "__keras_tensor__": _load_keras_tensor,
    "__tensor__": lambda inner: torch.tensor(
        inner["value"], dtype=to_torch(inner["dtype"]), device=default_device()
    ),
    "__numpy__": _load_array,
    "__bytes__": lambda inner: inner["value"].encode("utf-8"),
    "__ellipsis__": lambda inner: Ellipsis,
    "__slice__": _load_slice,
    "__lambda__": _load_lambda,
    "__typespec__": _load_type_spec,
}


def registered_paths() -> Iterator[tuple[str, Any]]:
    """Yield every path that a config may name, with its class or function."""
    for home in set(_HOMES.values()):
        importlib.import_module(home)
    yield from _BUILTINS.items()
    yield from OPERATIONS.items()
