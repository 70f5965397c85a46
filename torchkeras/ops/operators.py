"""Python's operators on symbolic tensors and on variables, by Keras's rules.

They are installed from here so that the graph and variables know no ops. Plain tensors have torch's
operators, and so has a variable where these follow the same rules.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ..graph.keras_tensor import KerasTensor
from ..variables import Variable
from . import arithmetic, elementwise, indexing, products, shaping

__all__ = ["Variable"]

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
KerasTensor.__div__ = _operator(arithmetic.divide)  # names of Python 2, which Keras has kept
KerasTensor.__rdiv__ = _operator(arithmetic.divide, reflected=True)
KerasTensor.__getitem__ = lambda self, key: indexing.get_item(self, key)
KerasTensor.__round__ = lambda self, ndigits=None: elementwise.round(self, ndigits or 0)
KerasTensor.reshape = lambda self, newshape: shaping.reshape(self, newshape)
KerasTensor.squeeze = lambda self, axis=None: shaping.squeeze(self, axis)
# NumPy and torch on the left leave the operation to the right operand.
KerasTensor.__array_priority__ = 1000
KerasTensor.__array_ufunc__ = None


# Where torch's rules differ from Keras's, or where it takes no NumPy arrays. Others stay torch's
# own, which are faster: weights are added and multiplied on the hot path of users' layers.
_TORCH_FUNCTIONS = {"matmul": torch.matmul, "sub": torch.sub, "truediv": torch.true_divide}
_LOGICAL = ("and", "or", "xor")


def _variable_operator(name: str, reflected: bool = False) -> Callable[..., Any]:
    function, fast = _BINARY[name], _TORCH_FUNCTIONS.get(name)

    def operate(self: Variable, other: Any) -> Any:
        first, second = (other, self) if reflected else (self, other)
        if fast is not None and isinstance(other, torch.Tensor):
            dtype = self.dtype
            if other.dtype is dtype and dtype.is_floating_point:
                return fast(first, second)
        return function(first, second)

    return operate


for _name in ("matmul", "sub", *_LOGICAL):
    setattr(Variable, f"__{_name}__", _variable_operator(_name))
    setattr(Variable, f"__r{_name}__", _variable_operator(_name, reflected=True))
# torch multiplies by the reciprocal, which for integers is a float32.
Variable.__rtruediv__ = _variable_operator("truediv", reflected=True)
for _name, _function in _COMPARISONS.items():
    setattr(Variable, f"__{_name}__", _operator(_function))
Variable.__round__ = lambda self, ndigits=None: elementwise.round(self, ndigits or 0)
