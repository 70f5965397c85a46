"""Python's operators on symbolic tensors, installed from here so that the graph knows no ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..graph.keras_tensor import KerasTensor
from . import arithmetic, elementwise, indexing, products, shaping

__all__: list[str] = []

_BINARY = {
    "add": arithmetic.add,
    "sub": arithmetic.subtract,
    "mul": arithmetic.multiply,
    "matmul": products.matmul,
    "truediv": arithmetic.true_divide,
    "floordiv": arithmetic.floor_divide,
    "mod": arithmetic.mod,
    "pow": arithmetic.power,
    "and": arithmetic.logical_and,
    "or": arithmetic.logical_or,
    "xor": arithmetic.logical_xor,
}
# `==` stays Python's: symbolic tensors are keys of dicts and members of lists.
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


def _operator(function: Callable[..., Any], reflected: bool = False) -> Callable[..., Any]:
    if reflected:
        return lambda self, other: function(other, self)
    return lambda self, *other: function(self, *other)


for _name, _function in {**_BINARY, **_COMPARISONS, **_UNARY}.items():
    setattr(KerasTensor, f"__{_name}__", _operator(_function))
for _name, _function in _BINARY.items():
    setattr(KerasTensor, f"__r{_name}__", _operator(_function, reflected=True))
KerasTensor.__getitem__ = lambda self, key: indexing.get_item(self, key)
KerasTensor.__round__ = lambda self, ndigits=None: elementwise.round(self, ndigits or 0)
KerasTensor.reshape = lambda self, newshape: shaping.reshape(self, newshape)
KerasTensor.squeeze = lambda self, axis=None: shaping.squeeze(self, axis)
# NumPy and torch on the left leave the operation to the right operand.
KerasTensor.__array_priority__ = 1000
KerasTensor.__array_ufunc__ = None
