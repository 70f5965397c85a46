"""Names of TensorFlow that are not functions on tensors: dtypes, aliases, errors, structures."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import torchkeras.initializers as initializers  # `from ... import` would import the root as well
import torchkeras.ops as ops
import torchkeras.tree as tree

from ...dtypes import to_numpy, to_torch
from ...graph.keras_tensor import KerasTensor
from ...naming import explain
from . import data, modules, system
from .arrays import ints
from .control import DEBUGGING, InvalidArgumentError
from .linalg import LINALG
from .math import MATH, cast
from .strings import STRINGS
from .tape import GradientTape, UnconnectedGradients
from .tensors import StringTensor, as_tensor, is_text_dtype, tensor_or_symbol

__all__ = ["AUTOGRAPH", "DATA", "DATA_EXPERIMENTAL", "DTYPES", "ERRORS", "NEST", "ROOT", "VERSION"]


class _String(str):
    """The dtype of strings, equal to that of arrays of objects."""

    name = "string"
    as_numpy_dtype = object
    is_floating = is_integer = is_bool = False

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other) is True or (
            isinstance(other, np.dtype) and other.kind in "OSU"
        )

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__

    def __repr__(self) -> str:
        return "tf.string"


STRING = _String("string")


def _as_dtype(type_value: Any) -> Any:
    return STRING if is_text_dtype(type_value) else to_torch(type_value)


_DTYPES = (
    "bfloat16 bool complex128 complex64 float16 float32 float64 int16 int32 int64 int8 uint8"
    " uint16 uint32 uint64"
).split()

DTYPES: dict[str, Any] = {
    **{name: getattr(torch, name) for name in _DTYPES},
    "DType": torch.dtype,
    "as_dtype": _as_dtype,
    "cast": cast,
    "double": torch.float64,
    "half": torch.float16,
    "saturate_cast": lambda value, dtype, name=None: ops.saturate_cast(
        tensor_or_symbol(value), to_torch(dtype)
    ),
    "string": STRING,
}


def _is_tensor(x: Any) -> bool:
    return isinstance(x, (torch.Tensor, KerasTensor, StringTensor))


def _static_value(tensor: Any, partial: bool = False) -> Any:
    """The value as an array; `None` for a symbolic tensor."""
    return None if isinstance(tensor, KerasTensor) else to_numpy(as_tensor(tensor))


# Functions of `tf.math` and `tf.linalg` that stand at the root too.
_OF_MATH = (
    "abs acos acosh add add_n argmax argmin asin asinh atan atan2 atanh cos cosh cumsum"
    " divide equal exp floor greater greater_equal less less_equal logical_and logical_not"
    " logical_or maximum minimum multiply negative not_equal pow reduce_all reduce_any"
    " reduce_logsumexp reduce_max reduce_mean reduce_min reduce_prod reduce_sum round"
    " scalar_mul sigmoid sign sin sinh sqrt square subtract tan tanh truediv"
).split()
_OF_LINALG = "einsum eye matmul norm tensordot".split()
_OF_DEBUGGING = "Assert assert_equal assert_greater assert_less assert_rank".split()


class _Absent(type):
    """The class of those that have no instances here: code asks for them with `isinstance`."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise AttributeError(_refusal(cls))

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(_refusal(cls))

    def __repr__(cls) -> str:
        return f"<tf.{cls.__name__}, of which there are none>"


def _refusal(cls: type) -> str:
    return explain(f"'tensorflow.{cls.__name__}' has no instances in torchkeras.", fix=cls.__doc__)


class SparseTensor(metaclass=_Absent):
    """Use dense tensors, or `torch.sparse`."""


class RaggedTensor(metaclass=_Absent):
    """Pad with `padded_batch` or `keras.utils.pad_sequences`, or use masks."""


class IndexedSlices(metaclass=_Absent):
    """Use dense tensors: gradients of embeddings are dense here."""


class VariableAggregation:
    """Names of ways to combine what replicas write; there is one replica."""

    NONE = "none"
    SUM = "sum"
    MEAN = "mean"
    ONLY_FIRST_REPLICA = "only_first_replica"


class VariableSynchronization:
    """Names of times to combine it."""

    AUTO = "auto"
    NONE = "none"
    ON_WRITE = "on_write"
    ON_READ = "on_read"


class AutoShardPolicy:
    """Names of ways to share data out among workers: each takes its rows of every batch."""

    OFF = "off"
    AUTO = "auto"
    FILE = "file"
    DATA = "data"
    HINT = "hint"


ROOT: dict[str, Any] = {
    **DTYPES,
    **{name: MATH[name] for name in _OF_MATH},
    **{name: LINALG[name] for name in _OF_LINALG},
    **{name: DEBUGGING[name] for name in _OF_DEBUGGING},
    "GradientTape": GradientTape,
    "IndexedSlices": IndexedSlices,
    "Module": modules.Module,
    "RaggedTensor": RaggedTensor,
    "SparseTensor": SparseTensor,
    "Tensor": torch.Tensor,
    "TensorShape": modules.TensorShape,
    "TensorSpec": modules.TensorSpec,
    "TypeSpec": modules.TypeSpec,
    "UnconnectedGradients": UnconnectedGradients,
    "Variable": modules.Variable,
    "VariableAggregation": VariableAggregation,
    "VariableSynchronization": VariableSynchronization,
    "as_string": STRINGS["as_string"],
    "broadcast_static_shape": lambda shape_x, shape_y: modules.TensorShape(
        torch.broadcast_shapes(ints(shape_x), ints(shape_y))
    ),
    "cast": cast,
    "constant_initializer": initializers.Constant,
    "control_dependencies": lambda control_inputs: modules.name_scope_of("control"),
    "custom_gradient": modules.custom_gradient,
    "device": system.device,
    "executing_eagerly": lambda: True,
    "function": modules.function,
    "get_logger": system.get_logger,
    "get_static_value": _static_value,
    "grad_pass_through": modules.grad_pass_through,
    "init_scope": lambda: modules.name_scope_of("init"),
    "is_tensor": _is_tensor,
    "name_scope": modules.name_scope_of,
    "newaxis": None,
    "no_gradient": modules.no_gradient,
    "ones_initializer": initializers.Ones,
    "random_normal_initializer": initializers.RandomNormal,
    "random_uniform_initializer": initializers.RandomUniform,
    "recompute_grad": modules.recompute_grad,
    "zeros_initializer": initializers.Zeros,
}

AUTOGRAPH: dict[str, Any] = {
    "do_not_convert": lambda func=None: (lambda f: f) if func is None else func,
    "set_loop_options": lambda **options: None,
}
DATA: dict[str, Any] = {
    "AUTOTUNE": data.AUTOTUNE,
    "Dataset": data.Dataset,
    "INFINITE_CARDINALITY": data.INFINITE_CARDINALITY,
    "Options": data.Options,
    "TextLineDataset": data.TextLineDataset,
    "UNKNOWN_CARDINALITY": data.UNKNOWN_CARDINALITY,
}
DATA_EXPERIMENTAL: dict[str, Any] = {
    "AUTOTUNE": data.AUTOTUNE,
    "AutoShardPolicy": AutoShardPolicy,
    "Counter": data.Dataset.counter,
    "INFINITE_CARDINALITY": data.INFINITE_CARDINALITY,
    "UNKNOWN_CARDINALITY": data.UNKNOWN_CARDINALITY,
    "assert_cardinality": lambda expected_cardinality: data.assume_size(expected_cardinality),
    "bucket_by_sequence_length": lambda *args, **kwargs: (
        lambda dataset: dataset.bucket_by_sequence_length(*args, **kwargs)
    ),
    "cardinality": lambda dataset: dataset.cardinality(),
    "choose_from_datasets": data.Dataset.choose_from_datasets,
    "get_single_element": lambda dataset: dataset.get_single_element(),
    "group_by_window": lambda *args, **kwargs: (
        lambda dataset: dataset.group_by_window(*args, **kwargs)
    ),
    "prefetch_to_device": lambda device, buffer_size=2: lambda dataset: dataset.prefetch(2),
    "sample_from_datasets": data.Dataset.sample_from_datasets,
    "take_while": lambda predicate: lambda dataset: dataset.take_while(predicate),
    "unbatch": lambda: lambda dataset: dataset.unbatch(),
    "unique": lambda: lambda dataset: dataset.unique(),
}
ERRORS: dict[str, Any] = {
    "AbortedError": RuntimeError,
    "FailedPreconditionError": RuntimeError,
    "InternalError": RuntimeError,
    "InvalidArgumentError": InvalidArgumentError,
    "NotFoundError": FileNotFoundError,
    "OpError": Exception,
    "OutOfRangeError": StopIteration,
    "ResourceExhaustedError": torch.OutOfMemoryError,
    "UnimplementedError": NotImplementedError,
}
NEST: dict[str, Any] = {
    "assert_same_structure": lambda nest1, nest2, check_types=True, expand_composites=False: (
        tree.assert_same_structure(nest1, nest2)
    ),
    "flatten": lambda structure, expand_composites=False: tree.flatten(structure),
    "is_nested": tree.is_nested,
    "map_structure": lambda func, *structure, **kwargs: tree.map_structure(func, *structure),
    "pack_sequence_as": lambda structure, flat_sequence, expand_composites=False: (
        tree.pack_sequence_as(structure, flat_sequence)
    ),
}
VERSION: dict[str, Any] = {"VERSION": "2.20.0", "GIT_VERSION": "torchkeras"}
