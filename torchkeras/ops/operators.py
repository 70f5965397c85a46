"""Python's operators on symbolic tensors, installed from here so that the graph knows no ops."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..graph.keras_tensor import KerasTensor
from ..graph.operation import op
from . import arithmetic, elementwise

__all__ = ["get_item"]


@op(path="keras.src.ops.numpy.GetItem")
def get_item(x: Tensor, key: Tensor) -> Tensor:
    """`x[key]`, with the indexing of PyTorch."""
    return x[tuple(key) if isinstance(key, list) else key]


_BINARY = {
    "add": arithmetic.add,
    "sub": arithmetic.subtract,
    "mul": arithmetic.multiply,
    "truediv": arithmetic.true_divide,
    "floordiv": arithmetic.floor_divide,
    "mod": arithmetic.mod,
    "pow": arithmetic.power,
    "and": arithmetic.logical_and,
    "or": arithmetic.logical_or,
    "xor": arithmetic.logical_xor,
}
_COMPARISONS = {
    "ne": arithmetic.not_equal,
    "lt": arithmetic.less,
    "le": arithmetic.less_equal,
    "gt": arithmetic.greater,
    "ge": arithmetic.greater_equal,
}
_UNARY = {
    "neg": elementwise.negative,
    "abs": elementwise.absolute,
    "invert": elementwise.logical_not,
}


def _reflected(function: Any) -> Any:
    return lambda self, other: function(other, self)


for _name, _function in {**_BINARY, **_COMPARISONS, **_UNARY}.items():
    setattr(KerasTensor, f"__{_name}__", lambda self, *other, f=_function: f(self, *other))
for _name, _function in _BINARY.items():
    setattr(KerasTensor, f"__r{_name}__", _reflected(_function))
KerasTensor.__getitem__ = lambda self, key: get_item(self, key)
