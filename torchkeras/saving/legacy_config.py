"""Configurations between Keras 3's form and the older ones.

Older forms name classes without modules, give shapes as `batch_input_shape`, connect layers by
lists `[layer, node, tensor, arguments]`, and have arguments that Keras 3 dropped. `modernize` turns
all of it into Keras 3's form, so that the registry and the models know one form only. `to_legacy`
makes the form that Keras 3 itself writes into `.h5` files.

Read: tf.keras 2.0 to 2.15, Keras 2.0 to 2.3, and Keras 1 (see `legacy_keras1`).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from ..graph.masks import FIRST_MASK
from ..graph.operation import OPERATIONS
from ..layers.bidirectional import Bidirectional
from ..layers.rnn import RNN
from ..registry import find_builtin, get_registered_object
from .errors import FileFormatError
from .legacy_keras1 import KEPT_FROM_KERAS_1, from_keras_1, is_merged_sequential, merged_sequential
from .legacy_training import (
    constructor_parameters,
    decode,
    modernize_training,
    multi_backend_version,
)

__all__ = ["OLD_VALUES", "is_old_config", "modernize", "modernize_arguments", "to_legacy"]

_GRAPHS = ("Functional", "Model", "Network", "Sequential")
# Layers of tf.keras that are not in `keras.layers`.
_MODULES = {
    "CustomScaleLayer": "keras.src.applications.inception_resnet_v2",
    "LayerScale": "keras.src.applications.convnext",
    "SlicingOpLambda": "keras.src.layers.core.tf_op_layer",
    "StochasticDepth": "keras.src.applications.convnext",
    "TFOpLambda": "keras.src.layers.core.tf_op_layer",
}
# In place of a layer's name, where the first argument of a call is no tensor.
_CONSTANT = "_CONSTANT_VALUE"
# Calls of TensorFlow's functions in a graph, of tf.keras from 2.4, and what there is no form of.
_TENSORFLOW = ("TFOpLambda", "SlicingOpLambda")
_NO_TENSORFLOW = ("ClassMethod", "InstanceMethod", "InstanceProperty", "TensorFlowOpLayer")
# What a configuration key says about the class that its value names.
_HOMES = (
    ("initializer", "keras.initializers"),
    ("regularizer", "keras.regularizers"),
    ("constraint", "keras.constraints"),
    ("learning_rate", "keras.optimizers.schedules"),
    ("dtype", "keras.dtype_policies"),
    ("layer", "keras.layers"),
    ("cell", "keras.layers"),
)
# What names meant as the value of an argument that ends so, where they mean nothing or another
# thing today.
_RADIAL = {"module": "keras.constraints", "class_name": "Keras2RadialConstraint", "config": {}}
OLD_VALUES: dict[str, dict[str, Any]] = {
    "activation": {"hard_sigmoid": "keras2_hard_sigmoid"},
    "constraint": {
        "maxnorm": "max_norm",
        "nonneg": "non_neg",
        "radial_constraint": _RADIAL,
        "RadialConstraint": _RADIAL,
        "unitnorm": "unit_norm",
    },
    "regularizer": {"l1_l2": {"class_name": "L1L2", "config": {"l1": 0.01, "l2": 0.01}}},
}
# Arguments that have another name since.
_RENAMED = {"LeakyReLU": {"alpha": "negative_slope"}}
# Arguments that no longer exist: those that never changed what is computed, or that repeat others.
_OBSOLETE = frozenset(
    "batch_input_dtype consume_less dynamic fused has_input_vocabulary has_static_table"
    " implementation input_dim input_dtype input_length renorm_clipping renorm_momentum"
    " reverse_state_order rng_type trainable".split()
)
_OBSOLETE_OF = {
    "MultiHeadAttention": ("query_shape", "key_shape", "value_shape", "softmax_robust_masking"),
    "SeparableConv1D": ("kernel_initializer", "kernel_regularizer", "kernel_constraint"),
    "SeparableConv2D": ("kernel_initializer", "kernel_regularizer", "kernel_constraint"),
    "Softmax": ("robust_masking",),
}
# Arguments that constructors take without naming them.
_UNNAMED = dict.fromkeys(("IntegerLookup", "StringLookup", "TextVectorization"), "vocabulary_size")
# Those that did change it, with the values at which they do not.
_WITHOUT_EFFECT: dict[str, tuple[Any, ...]] = {
    "adjustment": (None,),
    "groups": (1, None),
    "mode": (0, None),
    "noise_shape": (None,),
    "ragged": (False, None),
    "renorm": (False, None),
    "time_major": (False, None),
    "virtual_batch_size": (None,),
}

# Layers that compute something else today if they have the argument: they keep their class.
_LEGACY_IF = {"MultiHeadAttention": "activity_regularizer", "RandomCrop": "height"}

# Layers that ran on cuDNN only: what they are today, with what they did not let choose.
_CUDNN: dict[str, tuple[str, dict[str, Any]]] = {
    "CuDNNGRU": ("GRU", {"reset_after": True}),
    "CuDNNLSTM": ("LSTM", {}),
}

# What an argument was before Keras 2.3 that a file does not have, where it is another by default.
_MISSING: dict[str, dict[str, Any]] = {
    "GRU": {"reset_after": False},
    "GRUCell": {"reset_after": False},
    **dict.fromkeys(
        "AveragePooling1D Flatten GlobalAveragePooling1D GlobalMaxPooling1D LocallyConnected1D"
        " MaxPooling1D ZeroPadding1D".split(),
        {"data_format": "channels_last"},
    ),
}


# Models and layers -------------------------------------------------------------------------------


def modernize(
    config: Any, source: Any, version: str, custom_objects: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Turn a model's or layer's configuration from a file before Keras 3 into Keras 3's form.

    Args:
        config: The parsed configuration.
        source: The file, for messages.
        version: The version of Keras that wrote it.
        custom_objects: The user's classes, which keep their configuration as it is.

    Raises:
        FileFormatError: It has something that no longer exists.

    Example:
        >>> old = {"class_name": "Flatten", "config": {"name": "f", "batch_input_shape": [None, 2]}}
        >>> modernize(old, "m.h5", "2.3.1")["module"]
        'keras.layers'
    """
    return _Modernizer(source, version, custom_objects or {}).object(decode(config))


def is_old_config(config: Mapping[str, Any]) -> bool:
    """Whether a config that names no version is of Keras 1 or 2.

    Those of Keras 3 name the module of their class, and the dtype policies of layers as classes.

    >>> is_old_config({"class_name": "Flatten", "config": {"dtype": "float32"}})
    True
    """
    return "module" not in config and not _names_policies(config)


def _names_policies(value: Any) -> bool:
    if isinstance(value, Mapping):
        name = value.get("class_name")
        is_policy = isinstance(name, str) and name.startswith("DTypePolicy")
        return is_policy or any(map(_names_policies, value.values()))
    return isinstance(value, (list, tuple)) and any(map(_names_policies, value))


def modernize_arguments(
    cls: type, arguments: Mapping[str, Any], keras_2: bool = True
) -> dict[str, Any]:
    """Turn what a layer's constructor was given in Keras 2 into what today's takes.

    Args:
        cls: The layer's class.
        arguments: By name. Those that no version has had are left to the constructor to refuse.
        keras_2: Whether values mean what they meant in Keras 2; else only names are translated.

    Raises:
        FileFormatError: An argument that no longer exists would change the result.
    """
    name, known = cls.__name__, constructor_parameters(cls)
    old = {*_OBSOLETE, *_OBSOLETE_OF.get(name, ()), *_WITHOUT_EFFECT, *_RENAMED.get(name, {})}
    ours = {key: value for key, value in arguments.items() if key in known or key in old}
    modernizer = _Modernizer(f"{name}(…)", "2.15.0", {})
    if keras_2:
        _, modern = modernizer._layer(name, ours, {})
    else:
        modern = modernizer._known_arguments(name, ours)
    return {**modern, **{key: arguments[key] for key in arguments if key not in ours}}


class _Modernizer:
    def __init__(self, source: Any, version: str, custom_objects: Mapping[str, Any]) -> None:
        self.source = source
        self.version = version
        major = version.partition(".")[0]
        self.is_keras_1 = major == "1"
        self.is_old = major in ("1", "2")
        self.multi_backend = multi_backend_version(version)
        self.is_before_2_3 = self.multi_backend is not None and self.multi_backend < (2, 3)
        self.custom_objects = custom_objects
        self._told_of_names = False

    def object(self, config: Any, home: str = "keras.layers") -> dict[str, Any]:
        if not isinstance(config, dict) or not isinstance(config.get("class_name"), str):
            raise FileFormatError(
                self.source,
                "its configuration does not describe a layer or model",
                given=repr(config)[:200],
                fix="use a file written by `model.save()`.",
            )
        config = dict(config)
        if self.is_old:
            config.pop("build_config", None)  # layers are built when the model calls them
        inner = config.get("config")
        name = config["class_name"]
        registered = config.get("registered_name") or name
        if self._is_custom(registered) or self._is_custom(name):
            config.update(module=config.get("module"), registered_name=registered)
            if isinstance(inner, dict) and "layers" in inner and "input_layers" in inner:
                config["config"] = self._functional(dict(inner))
            return config
        if self.is_before_2_3 and is_merged_sequential(config):
            config = merged_sequential(config, self.source)
            inner = config["config"]
        if config["class_name"] in _GRAPHS:
            return self._model(config, inner)
        inner = dict(inner) if isinstance(inner, dict) else {}
        if home == "keras.layers":
            name, inner = self._layer(name, inner, config)
            inner = {**(_MISSING.get(name, {}) if self.is_before_2_3 else {}), **inner}
            if self.is_old and inner.get(_LEGACY_IF.get(name)):
                home = "keras._legacy.layers"
        elif home == "keras.initializers":
            name = name.removesuffix("V2")
        elif name == "Policy":
            home, name = "keras.dtype_policies", "DTypePolicy"
        module = config.get("module")
        if self.is_old:
            module = _MODULES.get(name, home) if home == "keras.layers" else home
            if isinstance(inner.get("name"), str):
                inner["name"] = self._renamed(inner["name"])
        elif module is None:
            module = _operation_module(name, inner) or home
        config.update(
            module=module, class_name=name, config=self._values(inner), registered_name=None
        )
        return config

    def _is_custom(self, name: str) -> bool:
        return get_registered_object(name, self.custom_objects) is not None

    # Models

    def _model(self, config: dict[str, Any], inner: Any) -> dict[str, Any]:
        if config["class_name"] == "Sequential":
            config.update(module="keras", registered_name=None, config=self._sequential(inner))
        else:
            config.update(
                module="keras.src.models.functional",
                class_name="Functional",
                registered_name="Functional",
                config=self._functional(dict(inner)),
            )
        if not config.get("compile_config"):  # Keras 3 writes {} for a model inside a layer
            config.pop("compile_config", None)
        elif isinstance(config["compile_config"], dict):
            config["compile_config"] = modernize_training(
                config["compile_config"],
                self.source,
                self.custom_objects,
                self.version,
                _count(inner.get("output_layers")) if isinstance(inner, dict) else 1,
            )
        return config

    def _sequential(self, inner: Any) -> dict[str, Any]:
        if isinstance(inner, list):  # until Keras 2.2.2
            inner = {"name": "sequential", "layers": inner}
        inner = dict(inner)
        first = inner["layers"][0] if inner.get("layers") else None
        layers = [self.object(layer) for layer in inner.get("layers", ())]
        if first is not None and first.get("class_name") != "InputLayer":
            shape = (first.get("config") or {}).get("batch_input_shape")
            if isinstance(shape, (list, tuple)):
                layers.insert(0, _input_layer(shape, first))
                inner.pop("build_input_shape", None)
        inner["layers"] = layers
        inner["name"] = self._renamed(inner.get("name", "sequential"))
        return inner

    def _functional(self, inner: dict[str, Any]) -> dict[str, Any]:
        layers = inner.get("layers", ())
        names = {layer.get("name"): layer for layer in layers if isinstance(layer, dict)}
        if "name" in inner:
            inner["name"] = self._renamed(inner["name"])
        modern = []
        for layer in layers:
            new = self.object(layer)
            new["name"] = self._renamed(layer.get("name"))
            if isinstance(layer.get("config"), list):  # a `Sequential` until Keras 2.2.2
                new["config"]["name"] = new["name"]
            nodes = layer.get("inbound_nodes", ())
            calls = (self._node(node, names, new["class_name"] in _TENSORFLOW) for node in nodes)
            new["inbound_nodes"] = [self._with_states(new, call) for call in calls]
            self._check_states(layer, nodes)
            modern.append(new)
        inner["layers"] = modern
        for key in ("input_layers", "output_layers"):
            inner[key] = self._ends(inner.get(key, []), names)
        return inner

    def _check_states(self, layer: dict[str, Any], nodes: Any = ()) -> None:
        """Refuse states of stacked cells that are seen, if they stood in the order of then."""
        inner = layer.get("config")
        cell = inner.get("cell") if isinstance(inner, dict) else None
        if not isinstance(cell, dict) or cell.get("class_name") != "StackedRNNCells":
            return
        cells = cell.get("config") if isinstance(cell.get("config"), dict) else {}
        is_reversed = self.multi_backend is not None and self.multi_backend < (2, 2, 3)
        is_reversed |= bool(cells.get("reverse_state_order"))
        is_seen = inner.get("return_state") or any(len(node) > 1 for node in nodes)
        if is_reversed and is_seen and len(cells.get("cells", ())) > 1:
            raise FileFormatError(
                self.source,
                f"layer '{inner.get('name')}' takes or returns the states of its cells, which"
                " stood in reverse order",
                fix="build the model in code, with the states of the first cell first, and load"
                " only the weights.",
            )

    def _with_states(self, layer: dict[str, Any], call: dict[str, Any]) -> dict[str, Any]:
        """Give a recurrent layer its initial states by name, which stood in a list with the inputs.

        Its mask is that of the inputs, as ever in Keras 2.
        """
        cls = find_builtin(f"keras.layers.{layer['class_name']}")
        if (
            not self.is_old
            or not isinstance(cls, type)
            or not issubclass(cls, (RNN, Bidirectional))
        ):
            return call
        kwargs = {
            key: value
            for key, value in call["kwargs"].items()
            if value is not None or key not in ("constants", "initial_state")
        }
        if "constants" in kwargs or layer["config"].get("num_constants"):
            raise FileFormatError(
                self.source,
                f"layer '{layer['name']}' is called with `constants`, which Keras 3 does not have",
                fix="build the model in code and load only the weights, with `load_weights`.",
            )
        first, *rest = call["args"]
        if isinstance(first, list) and len(first) > 1:
            first, *kwargs["initial_state"] = first
        if "initial_state" in kwargs:
            kwargs.setdefault("mask", FIRST_MASK)
        return {**call, "args": [first, *rest], "kwargs": kwargs}

    def _renamed(self, name: Any) -> Any:
        """Return the name of a layer as Keras 3 admits it: parts of paths are no slashes."""
        if not self.is_old or not isinstance(name, str) or "/" not in name:
            return name
        if not self._told_of_names:
            self._told_of_names = True
            warnings.warn(
                f"Names of layers cannot contain a slash since Keras 3: '{name}' and its like are"
                f" read with underscores, as '{name.replace('/', '_')}'.",
                stacklevel=2,
            )
        return name.replace("/", "_")

    def _ends(self, ends: Any, names: Mapping[str, Any]) -> Any:
        if isinstance(ends, dict):
            return {key: self._ends(end, names) for key, end in ends.items()}
        if _is_reference(ends, names):
            name, node, index = ends[:3]
            # Nested models count their own inputs as node 0; Keras 3 does so for Functional only.
            if self.is_old and names[name].get("class_name") == "Sequential":
                node = max(node - 1, 0)
            return [self._renamed(name), node, index]
        ends = [self._ends(end, names) for end in ends]
        # tf.keras wrote a list even for a single tensor, and called the model with the tensor.
        return ends[0] if self.is_old and len(ends) == 1 else ends

    def _node(self, node: Any, names: Mapping[str, Any], keeps_lists: bool) -> Any:
        """Turn `[[layer, node, tensor, kwargs], …]` into `{"args": …, "kwargs": …}`.

        Args:
            node: The first argument of a call, in its structure; each tensor or constant of it has
                all other arguments of the call beside it.
            names: The layers of the model by their names.
            keeps_lists: Whether a list of one tensor is one, not the tensor, to the layer.
        """
        if isinstance(node, dict) and "args" in node:
            return _with_ellipses(node)
        kwargs: dict[str, Any] = {}

        def read(entry: Any) -> Any:
            if isinstance(entry, (list, tuple)) and entry and isinstance(entry[0], str):
                is_constant = entry[0] == _CONSTANT and list(entry[1:2]) == [-1]
                if len(entry) > 4 or not (is_constant or _is_reference(entry[:3], names)):
                    raise FileFormatError(
                        self.source,
                        "it connects its layers in a way that Keras 3 does not have",
                        given=repr(entry)[:200],
                        fix="build the model in code and load only the weights, with"
                        " `load_weights`.",
                    )
                if len(entry) == 4 and isinstance(entry[3], dict):
                    kwargs.update(entry[3])
                return self._argument(entry[2] if is_constant else entry[:3], names)
            if isinstance(entry, dict):
                return {key: read(item) for key, item in entry.items()}
            return [read(item) for item in entry]

        first = read(node)
        if isinstance(first, list) and len(first) == 1 and not keeps_lists:
            first = first[0]
        modern = {
            "args": [first],
            "kwargs": {key: self._argument(value, names) for key, value in kwargs.items()},
        }
        if self.is_old and isinstance(kwargs.get("training"), bool):
            modern["training_given"] = True  # else it might be the default, which Keras 3 writes
        return modern

    def _argument(self, value: Any, names: Mapping[str, Any]) -> Any:
        """Turn references to tensors within an argument of a call into today's form."""
        if _is_reference(value, names):
            return self._tensor(value, names)
        if isinstance(value, (list, tuple)):
            return [self._argument(item, names) for item in value]
        if isinstance(value, dict):
            return {key: self._argument(item, names) for key, item in value.items()}
        return {"class_name": "__ellipsis__", "config": {}} if value is Ellipsis else value

    def _tensor(self, reference: Any, names: Mapping[str, Any]) -> dict[str, Any]:
        name, node, index = reference[:3]
        if names[name].get("class_name") in _GRAPHS:
            node = max(node - 1, 0)
        history = [self._renamed(name), node, index]
        return {
            "class_name": "__keras_tensor__",
            "config": {"shape": [None], "dtype": "float32", "keras_history": history},
        }

    # Layers

    def _layer(
        self, name: str, inner: dict[str, Any], config: dict[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        if name in _NO_TENSORFLOW:
            raise FileFormatError(
                self.source,
                f"layer '{config.get('name')}' ({name}) is a TensorFlow operation"
                f" ({_operation_name(inner)}) in a form that is not read",
                fix="build the model in code with `keras.ops` in its place, and load the weights"
                " with `load_weights`.",
            )
        if self.is_keras_1 or (self.is_before_2_3 and name in KEPT_FROM_KERAS_1):
            name, inner = from_keras_1(name, inner, self.source)
        if name in _CUDNN and not self._is_custom(name):
            name, fixed = _CUDNN[name]
            inner.update(fixed)
        if name == "BatchNormalizationV1" or name == "BatchNormalizationV2":
            name = "BatchNormalization"
        shape = inner.pop("batch_input_shape", None)
        if name == "InputLayer" and shape is not None:
            inner["batch_shape"] = shape
        if not self.is_old:
            return name, inner
        axis = inner.get("axis")
        if name != "LayerNormalization" and isinstance(axis, (list, tuple)) and len(axis) == 1:
            inner["axis"] = int(axis[0])
        if name == "Lambda":
            _modernize_lambda(inner)
        for key, value in inner.items():
            values = OLD_VALUES.get(key.rpartition("_")[2])
            if values and isinstance(value, str) and not self._is_custom(value):
                inner[key] = values.get(value, value)
        if isinstance(how := inner.get("interpolation"), str):  # in any case, until Keras 3
            inner["interpolation"] = "keras2_bicubic" if how.lower() == "bicubic" else how.lower()
        if self.multi_backend is not None and inner.get("activity_regularizer"):
            warnings.warn(
                f"Layer '{inner.get('name')}' ({name}) has an activity_regularizer: its penalty is"
                " divided by the size of the batch, which Keras up to 2.3 did not do.",
                stacklevel=2,
            )
        return name, self._known_arguments(name, inner)

    def _known_arguments(self, name: str, inner: dict[str, Any]) -> dict[str, Any]:
        """Rename or drop arguments that the class no longer has; refuse those that would count."""
        cls = find_builtin(f"keras.layers.{name}")
        if cls is None:
            return inner
        renamed = _RENAMED.get(name, {})
        inner = {renamed.get(key, key): value for key, value in inner.items()}
        known = constructor_parameters(cls) | {_UNNAMED.get(name)}
        for key in [key for key in inner if key not in known]:
            value = inner.pop(key)
            harmless = key in _OBSOLETE or key in _OBSOLETE_OF.get(name, ())
            if not harmless and value not in _WITHOUT_EFFECT.get(key, ()):
                raise FileFormatError(
                    self.source,
                    f"layer '{inner.get('name')}' ({name}) has {key}={value!r}, which no longer"
                    " exists",
                    fix="build the model in code without it, and load only the weights.",
                )
        return inner

    def _values(self, inner: dict[str, Any]) -> dict[str, Any]:
        """Name the modules of classes among a layer's arguments."""
        for key, value in inner.items():
            if isinstance(value, dict) and isinstance(value.get("class_name"), str):
                home = next((home for part, home in _HOMES if part in key), None)
                is_special = value["class_name"].startswith("__")
                if home is not None and not is_special and isinstance(value.get("config"), dict):
                    inner[key] = self.object(value, home)
            elif isinstance(value, list) and key in ("cells", "layers"):
                inner[key] = [self.object(item) for item in value]
        return inner


def _operation_module(name: str, inner: dict[str, Any]) -> str | None:
    """Return the module of a graph operation such as `Add`, or `None` if it is a layer.

    Layers of the same name have a dtype in their configuration; so have some operations of names
    that no layer has, such as `Cumsum`.
    """
    if "trainable" in inner or ("dtype" in inner and find_builtin(f"keras.layers.{name}")):
        return None
    find_builtin(f"keras.src.ops.{name}")  # loads the operations
    paths = (path for path in OPERATIONS if path.rpartition(".")[2] == name)
    path = next(paths, None)
    return None if path is None else path.rpartition(".")[0]


def _with_ellipses(value: Any) -> Any:
    """Write what `decode` made of an ellipsis as a config again."""
    if isinstance(value, dict):
        return {key: _with_ellipses(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_with_ellipses(item) for item in value)
    return {"class_name": "__ellipsis__", "config": {}} if value is Ellipsis else value


def _operation_name(inner: dict[str, Any]) -> Any:
    """Return what a layer of a TensorFlow operation calls, as far as it says so."""
    node = inner.get("node_def")
    operation = re.search(r'"?op"?:\s*"(\w+)"', node) if isinstance(node, str) else None
    parts = [inner.get(key) for key in ("cls_symbol", "method_name", "attr_name")]
    return operation[1] if operation else ".".join(filter(None, parts)) or inner.get("name")


def _count(ends: Any) -> int:
    """Return how many layers are listed as ends of a model, in whatever structure."""
    if isinstance(ends, dict):
        return sum(map(_count, ends.values()))
    is_end = not isinstance(ends, (list, tuple)) or (ends and isinstance(ends[0], str))
    return 1 if is_end else sum(map(_count, ends))


def _is_reference(value: Any, names: Mapping[str, Any]) -> bool:
    return (
        isinstance(value, (list, tuple))
        and len(value) == 3
        and isinstance(value[0], str)
        and value[0] in names
        and all(isinstance(index, int) for index in value[1:])
    )


def _input_layer(shape: Iterable[int | None], first: dict[str, Any]) -> dict[str, Any]:
    inner = first.get("config") or {}
    dtype = "int32" if first.get("class_name") == "Embedding" else inner.get("dtype") or "float32"
    return {
        "module": "keras.layers",
        "class_name": "InputLayer",
        "config": {
            "batch_shape": list(shape),
            "dtype": dtype if isinstance(dtype, str) else "float32",
            "name": f"{inner.get('name', 'input')}_input",
        },
        "registered_name": None,
    }


def _modernize_lambda(inner: dict[str, Any]) -> None:
    for key in ("module", "function_type", "output_shape_type", "output_shape_module"):
        inner.pop(key, None)
    function = inner.get("function")
    if isinstance(function, (list, tuple)):  # byte code, defaults, closure
        inner["function"] = {"class_name": "__lambda__", "config": {"value": list(function)}}


# Keras 3's own `.h5` form ------------------------------------------------------------------------


def to_legacy(config: Any) -> Any:
    """Turn a layer's or model's configuration into the form of `.h5` files: no modules for layers.

    >>> to_legacy({"module": "keras.layers", "class_name": "Flatten", "config": {},
    ...            "registered_name": None})
    {'class_name': 'Flatten', 'config': {}}
    """
    name = config.get("registered_name") or config["class_name"]
    if config.get("module") == "keras.layers":
        # `GroupQueryAttention` goes by the name of its class here.
        name = getattr(find_builtin(f"keras.layers.{name}"), "__name__", name)
    legacy = {"class_name": name, "config": _with_legacy_layers(config)}
    for key in ("name", "inbound_nodes"):
        if key in config:
            legacy[key] = config[key]
    return legacy


def _with_legacy_layers(config: dict[str, Any]) -> Any:
    """The arguments of an object; the layers of models, also of those inside, without modules."""
    inner = config["config"]
    if not isinstance(inner, dict):
        return inner
    is_graph = config["class_name"] in _GRAPHS or "input_layers" in inner
    if not is_graph or not isinstance(inner.get("layers"), (list, tuple)):
        return {key: _inside(value) for key, value in inner.items()}
    layers = [to_legacy(layer) if _is_object(layer) else layer for layer in inner["layers"]]
    others = {key: _inside(value) for key, value in inner.items() if key != "layers"}
    return {key: layers if key == "layers" else others[key] for key in inner}


def _inside(value: Any) -> Any:
    if _is_object(value):
        return {**value, "config": _with_legacy_layers(value)}
    if isinstance(value, dict):
        return {key: _inside(item) for key, item in value.items()}
    return [_inside(item) for item in value] if isinstance(value, (list, tuple)) else value


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and "class_name" in value and "config" in value
