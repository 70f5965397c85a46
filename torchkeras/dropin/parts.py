"""Small parts of Keras's layers, graphs and tables that libraries import; torchkeras needs none.

`all_objects` makes `ALL_OBJECTS` and `ALL_OBJECTS_DICT` of `keras.src.losses` and others.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import torch

from ..dtype_policies import DTypePolicyMap, Int4DTypePolicy
from ..graph.keras_tensor import KerasTensor
from ..layers.call_spec import is_tensor
from ..layers.layer import Layer
from ..losses import Loss
from ..losses import get as get_loss
from ..metrics import Metric
from ..naming import explain, to_snake_case
from ..ops import ones, saturate_cast
from ..optimizers import Optimizer
from ..optimizers.clipping import global_norm as _global_norm
from ..quantizers.config import Int4QuantizationConfig
from ..tree import flatten, is_nested, map_structure

__all__ = [
    "BaseOptimizer",
    "CallContext",
    "CallSpec",
    "KerasSaveable",
    "all_objects",
    "check_conv_input_channels",
    "check_conv_transpose_input_channels",
    "convert_spec_to_tensor",
    "get_arguments_dict",
    "get_block_size_for_layer",
    "get_shapes_dict",
    "global_norm",
    "is_backend_tensor_or_symbolic",
    "is_shape_tuple",
    "listify_tensors",
    "might_have_unbuilt_state",
    "slice_along_axis",
]

DEFAULT_BATCH_DIM_NAME, DEFAULT_ENDPOINT_NAME = "batch", "serve"
py_all, py_any = all, any
HORIZONTAL, VERTICAL, HORIZONTAL_AND_VERTICAL = "horizontal", "vertical", "horizontal_and_vertical"

COMPLEX_TYPES = ("complex64", "complex128")
PYTHON_DTYPES_MAP = {bool: "bool", int: "int32", float: "float32", str: "string", "int": "int32"}
PYTHON_DTYPES_MAP[complex] = "complex64"
DTYPE_TO_SIZE = {
    **{f"{kind}{bits}": bits for kind in ("int", "uint") for bits in (8, 16, 32, 64)},
    **{f"float{bits}": bits for bits in (16, 32, 64)},
    "bfloat16": 16,
    "bool": 1,
}

BaseOptimizer = Optimizer


# Tables -------------------------------------------------------------------------------------------

# What a namespace registers in Keras beside or in place of its classes.
_WITH_FUNCTIONS = ("activations", "losses")
_NOT_LISTED: dict[str, frozenset[str]] = {
    "quantizers": frozenset({"GPTQConfig"}),
    "initializers": frozenset({"RandomInitializer"}),
}
_ALIASES: dict[str, dict[str, str]] = {
    "activations": {"swish": "silu", "hard_swish": "hard_silu"},
    "initializers": {
        "IdentityInitializer": "Identity",
        "STFTInitializer": "STFT",
        "OrthogonalInitializer": "Orthogonal",
        "normal": "RandomNormal",
        "uniform": "RandomUniform",
        "one": "Ones",
        "zero": "Zeros",
    },
    "losses": {
        "bce": "binary_crossentropy",
        "kld": "kl_divergence",
        "mae": "mean_absolute_error",
        "mse": "mean_squared_error",
        "mape": "mean_absolute_percentage_error",
        "msle": "mean_squared_logarithmic_error",
    },
    "metrics": {
        "bce": "BinaryCrossentropy",
        "mse": "MeanSquaredError",
        "mae": "MeanAbsoluteError",
        "mape": "MeanAbsolutePercentageError",
        "msle": "MeanSquaredLogarithmicError",
    },
}
_IN_CAPITALS = ("losses", "metrics")
_AS_WRITTEN = ("activations", "dtype_policies", "losses")


def all_objects(namespace: str, found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Make the table of what a namespace's `get` and `deserialize` know, by all its names.

    Args:
        namespace: `"losses"`, `"metrics"`, …
        found: What the namespace imports from its own folder.

    Returns: Read only: `get` does not look into it, so an entry more would be of no effect; classes
        are registered by `keras.saving.register_keras_serializable`.
    """
    objects = {
        name: value
        for name, value in found.items()
        if name not in _NOT_LISTED.get(namespace, ())
        and (inspect.isclass(value) or (namespace in _WITH_FUNCTIONS and callable(value)))
    }
    if namespace == "activations":
        objects = {name: value for name, value in objects.items() if not inspect.isclass(value)}
    table = dict(objects)
    if namespace == "optimizers":
        table = {name.lower(): value for name, value in objects.items()}
    elif namespace not in _AS_WRITTEN:
        table |= {to_snake_case(name): value for name, value in objects.items()}
    for alias, name in _ALIASES.get(namespace, {}).items():
        table[alias] = objects[name]
        if namespace in _IN_CAPITALS:
            table[alias.upper()] = objects[name]
    return types.MappingProxyType(table)


# Layers -------------------------------------------------------------------------------------------


class _Kinds(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, (Layer, Metric, Loss, Optimizer))

    def __subclasscheck__(cls, subclass: type) -> bool:
        return cls is subclass or issubclass(subclass, (Layer, Metric, Loss, Optimizer))


class KerasSaveable(metaclass=_Kinds):
    """What has state that Keras's files hold: layers, metrics, losses and optimizers.

    For `isinstance`, and as one more base of a class that derives from one of them.
    """


def is_backend_tensor_or_symbolic(x: Any, allow_none: bool = False) -> bool:
    """Tell whether `x` is a tensor, symbolic or not, or `None` where that may be."""
    return (allow_none and x is None) or is_tensor(x) or isinstance(x, KerasTensor)


def is_shape_tuple(s: Any) -> bool:
    """Tell whether `s` is a shape: a list or tuple of sizes and `None`s.

    >>> is_shape_tuple((None, 3)), is_shape_tuple([(2, 3)]), is_shape_tuple(3)
    (True, False, False)
    """
    return isinstance(s, (list, tuple)) and all(d is None or isinstance(d, int) for d in s)


def might_have_unbuilt_state(layer: Layer) -> bool:
    """Tell whether a layer holds others that are not built."""
    return any(not inner.built for inner in layer._layers)


def get_arguments_dict(
    fn: Callable[..., Any], args: Collection[Any], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a function is called with by the names of its parameters.

    >>> get_arguments_dict(lambda x, y=1, z=2: 0, (3,), {"z": 4})
    {'x': 3, 'z': 4}
    """
    return dict(inspect.signature(fn).bind(*args, **kwargs).arguments)


class CallContext:
    """Values that a layer's call hands down to the layers within.

    Args:
        entry_layer: The outermost layer.
    """

    def __init__(self, entry_layer: Any) -> None:
        self.entry_layer = entry_layer

    def get_value(self, arg_name: str, default: Any = None) -> Any:
        """Return a value, or the default if it was not set."""
        return getattr(self, arg_name, default)

    def set_value(self, arg_name: str, value: Any) -> None:
        """Set a value."""
        setattr(self, arg_name, value)


class CallSpec:
    """The arguments of a layer's call, and which of them are tensors.

    Args:
        signature: Of `call`.
        call_context_args: Names of arguments that layers hand down; `call` need not take them.
        args, kwargs: What the layer is called with.

    Raises:
        ValueError: A structure holds tensors and other things.
    """

    def __init__(
        self,
        signature: inspect.Signature,
        call_context_args: Collection[str],
        args: Collection[Any],
        kwargs: Mapping[str, Any],
    ) -> None:
        strange = {*call_context_args} - {*signature.parameters}
        handed = {name: value for name, value in kwargs.items() if name in strange}
        own = {name: value for name, value in kwargs.items() if name not in handed}
        bound = signature.bind(*args, **own)
        self.user_arguments_dict = {**handed, **bound.arguments}
        bound.apply_defaults()
        self.arguments_dict = dict(bound.arguments)
        self.argument_names = [*self.arguments_dict]
        self.tensor_arguments_dict: dict[str, Any] = {}
        self.nested_tensor_argument_names: list[str] = []
        for name, value in self.arguments_dict.items():
            if is_backend_tensor_or_symbolic(value):
                self.tensor_arguments_dict[name] = value
            elif is_nested(value) and len(value) > 0:
                leaves = flatten(value)
                if all(is_backend_tensor_or_symbolic(x, allow_none=True) for x in leaves):
                    self.tensor_arguments_dict[name] = value
                    self.nested_tensor_argument_names.append(name)
                elif any(map(is_backend_tensor_or_symbolic, leaves)):
                    raise ValueError(
                        explain(
                            "In a nested call() argument, you cannot mix tensors and non-tensors.",
                            given=f"{name}={value}",
                        )
                    )
        self.tensor_arguments_names = [*self.tensor_arguments_dict]
        self.first_arg = self.arguments_dict[self.argument_names[0]]
        self.eager = all(isinstance(x, torch.Tensor) for x in self.tensor_arguments_dict.values())


def get_shapes_dict(call_spec: Any) -> dict[str, Any]:
    """Return the shape of each tensor of a call, under its name and `_shape`; masks have none."""
    nested = call_spec.nested_tensor_argument_names
    return {
        f"{name}_shape": map_structure(_shape, value) if name in nested else _shape(value)
        for name, value in call_spec.tensor_arguments_dict.items()
        if name not in ("mask", "args", "kwargs")
    }


def _shape(x: Any) -> tuple[int | None, ...] | None:
    return None if x is None else tuple(x.shape)


def get_block_size_for_layer(layer: Layer, config: Any) -> int | None:
    """The size of the blocks in which a layer's kernel is quantized to int4; `None`: whole columns.

    Args:
        layer: The layer.
        config: What `quantize` is called with; without one the layer's policy counts.
    """
    if isinstance(config, Int4QuantizationConfig):
        return config.block_size
    policy = layer.dtype_policy
    if isinstance(policy, DTypePolicyMap):
        policy = policy[layer.path]
    if not isinstance(policy, Int4DTypePolicy) or policy.block_size == -1:
        return None
    return policy.block_size


def listify_tensors(x: Any) -> Any:
    """Return a tensor or an array as lists of numbers, and anything else as it is.

    >>> listify_tensors(torch.tensor([[1, 2]])), listify_tensors("a")
    ([[1, 2]], 'a')
    """
    return x.tolist() if isinstance(x, (torch.Tensor, np.ndarray)) else x


# Ops and losses -----------------------------------------------------------------------------------


def check_conv_input_channels(inputs: Any, kernel: Any, data_format: str) -> None:
    """Refuse a convolution of other channels than its kernel's, the last axis but one.

    Raises:
        ValueError: The numbers are known and differ.
    """
    _check_channels(inputs, kernel.shape[-2], data_format)


def check_conv_transpose_input_channels(inputs: Any, kernel: Any, data_format: str) -> None:
    """Refuse a transposed convolution of other channels than its kernel's, the last axis.

    Raises:
        ValueError: The numbers are known and differ.
    """
    _check_channels(inputs, kernel.shape[-1], data_format)


def _check_channels(inputs: Any, expected: Any, data_format: str) -> None:
    given = inputs.shape[-1 if data_format == "channels_last" else 1]
    if isinstance(given, int) and isinstance(expected, int) and given != expected:
        raise ValueError(
            explain(
                "The number of input channels must match the kernel's input channels. Received:"
                f" input channels={given}, kernel input channels={expected}.",
                data_format=data_format,
            )
        )


def slice_along_axis(
    x: Any, start: int = 0, stop: int | None = None, step: int = 1, axis: int = 0
) -> Any:
    """Slice one axis.

    >>> slice_along_axis(torch.arange(6).reshape(2, 3), 1, axis=-1).tolist()
    [[1, 2], [4, 5]]
    """
    taken = slice(start, stop, step)
    if axis < 0:
        return x[(..., taken, *[slice(None)] * (-1 - axis))]
    return x[(*[slice(None)] * axis, taken)]


def _saturate_cast(x: Any, dtype: Any, backend_module: Any = None) -> Any:
    return saturate_cast(x, dtype)


def global_norm(value_list: Any) -> torch.Tensor:
    """The Euclidean norm of all numbers in a list of tensors, some of which may be `None`."""
    return _global_norm([x for x in value_list if x is not None])


def convert_spec_to_tensor(spec: Any, replace_none_number: int | None = None) -> torch.Tensor:
    """Make a tensor of ones of a spec's shape and dtype.

    Args:
        spec: Anything with `shape` and `dtype`.
        replace_none_number: In place of unknown sizes.
    """
    sizes = [replace_none_number if size is None else size for size in spec.shape]
    return ones(tuple(sizes), spec.dtype)


def _convert_loss_to_function(loss_item: Any) -> Any:
    """Look up a loss by its name; anything else is returned as it is."""
    return get_loss(loss_item) if isinstance(loss_item, str) else loss_item


# Layouts of bounding boxes ------------------------------------------------------------------------


def _layout(name: str, *sides: str) -> type:
    numbers = {side: i for i, side in enumerate(sides)}
    return type(name, (), {"__doc__": f"What the numbers of a box in `{name}` are.", **numbers})


XYXY = _layout("XYXY", "LEFT", "TOP", "RIGHT", "BOTTOM")
REL_XYXY = _layout("REL_XYXY", "LEFT", "TOP", "RIGHT", "BOTTOM")
YXYX = _layout("YXYX", "TOP", "LEFT", "BOTTOM", "RIGHT")
REL_YXYX = _layout("REL_YXYX", "TOP", "LEFT", "BOTTOM", "RIGHT")
XYWH = _layout("XYWH", "X", "Y", "WIDTH", "HEIGHT")
REL_XYWH = _layout("REL_XYWH", "X", "Y", "WIDTH", "HEIGHT")
CENTER_XYWH = _layout("CENTER_XYWH", "X", "Y", "WIDTH", "HEIGHT")
SUPPORTED_FORMATS = (
    "xyxy",
    "yxyx",
    "xywh",
    "center_xywh",
    "center_yxhw",
    "rel_xyxy",
    "rel_yxyx",
    "rel_xywh",
    "rel_center_xywh",
)

# Examples for the docstrings of layers, which put their name in place of `{LayerName}`.
base_image_preprocessing_color_example = """
    ```python
    images = keras.random.randint((8, 64, 64, 3), 0, 256)
    layer = keras.layers.{LayerName}(value_range=(0, 255))
    augmented = layer(images, training=True)
    ```
"""
base_image_preprocessing_transform_example = """
    ```python
    images = keras.random.randint((8, 64, 64, 3), 0, 256)
    layer = keras.layers.{LayerName}(bounding_box_format="xyxy")
    boxes = {"boxes": [[[4.0, 4.0, 20.0, 20.0]]] * 8, "labels": [[1]] * 8}
    augmented = layer({"images": images, "bounding_boxes": boxes}, training=True)
    ```
"""
