"""Python's operators on symbolic tensors, installed from here so that the graph knows no ops."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..graph.keras_tensor import KerasTensor
from ..graph.operation import op
from . import elementwise

__all__ = ["get_item"]


@op(path="keras.src.ops.numpy.GetItem")
def get_item(x: Tensor, key: Tensor) -> Tensor:
    """`x[key]`, with the indexing of PyTorch."""
    return x[tuple(key) if isinstance(key, list) else key]


_BINARY = {
    "add": elementwise.add,
    "sub": elementwise.subtract,
    "mul": elementwise.multiply,
    "truediv": elementwise.true_divide,
    "floordiv": elementwise.floor_divide,
    "mod": elementwise.mod,
    "pow": elementwise.power,
    "and": elementwise.logical_and,
    "or": elementwise.logical_or,
    "xor": elementwise.logical_xor,
}
_COMPARISONS = {
    "ne": elementwise.not_equal,
    "lt": elementwise.less,
    "le": elementwise.less_equal,
    "gt": elementwise.greater,
    "ge": elementwise.greater_equal,
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
