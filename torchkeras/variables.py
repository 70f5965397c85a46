"""`Variable`: a `torch.nn.Parameter` that also answers to Keras's names.

A subclass of `Parameter` inherits its disabled `__torch_function__`: torch operations on a variable
run at full speed and return plain tensors. Two differences from Keras are deliberate: `dtype` is
the `torch.dtype`, and `shape` the `torch.Size`, because PyTorch code needs them.

`trainable` follows `requires_grad` for floating weights. Non-trainable state (statistics, seeds,
metric state) is a variable with `requires_grad=False`; as a buffer it would lose this class when a
module is moved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from .config import default_device, floatx
from .dtypes import standardize_dtype, to_numpy, to_torch
from .naming import auto_name, current_path, explain

__all__ = ["CastVariable", "Variable", "standardize_shape"]

# What a copy of a variable takes along, besides its value.
_FIELDS = (
    "_name",
    "path",
    "initializer",
    "regularizer",
    "constraint",
    "autocast",
    "aggregation",
    "synchronization",
    "overwrite_with_gradient",
    "created_trainable",
    "_trainable",
)


class Variable(torch.nn.Parameter):
    """A tensor that keeps its identity while its value changes: a weight, or other state.

    Args:
        initializer: The initial value (a number, array or tensor), or a callable
            `(shape, dtype) -> tensor`, or the name of an initializer's callable.
        shape: Needed with a callable initializer.
        dtype: A dtype name or `torch.dtype`. Default: that of the value, or `config.floatx()`.
        trainable: Whether gradients are computed for it.
        autocast: Whether layers with a mixed precision policy read it in their compute dtype.
        aggregation: How replicas of a distributed run would be combined.
        synchronization: Accepted as in Keras.
        name: Last part of `path`. Default: `variable`, `variable_1`, …
        device: Where to put it. Default: `config.default_device()`.
        layout: A permutation of the axes; the weight lies in memory such that
            `weight.permute(layout)` is contiguous.
        memory_format: The memory format of the permuted tensor, such as `torch.channels_last`.

    Raises:
        ValueError: A callable initializer without `shape`, or with a result of another shape.

    Example:
        >>> v = Variable([1.0, 2.0], name="v")
        >>> v.assign_add([1.0, 1.0]).tolist()
        [2.0, 3.0]
    """

    def __new__(
        cls,
        initializer: Any,
        shape: Sequence[int] | None = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        aggregation: str | None = None,
        synchronization: str = "auto",
        name: str | None = None,
        *,
        device: Any = None,
        layout: Sequence[int] | None = None,
        memory_format: torch.memory_format = torch.contiguous_format,
        **kwargs: Any,
    ) -> Variable:
        device = default_device() if device is None else torch.device(device)
        value = _initial_value(initializer, shape, dtype, device)
        if layout is not None:
            value = _lay_out(value, layout, memory_format)
        differentiable = value.is_floating_point() or value.is_complex()
        self = torch.Tensor._make_subclass(cls, value, bool(trainable) and differentiable)
        self._name = auto_name("variable") if name is None else name
        if not isinstance(self._name, str) or "/" in self._name:
            raise ValueError(
                explain(
                    "A variable's name must be a string without '/'.",
                    name=repr(name),
                    fix="slashes separate the parts of the path; use a name scope for those.",
                )
            )
        scope = current_path()
        self.path = f"{scope}/{self._name}" if scope else self._name
        self.initializer = initializer if callable(initializer) else None
        self.regularizer = None
        self.constraint = None
        self.autocast = autocast
        self.aggregation = "none" if aggregation is None else aggregation
        self.synchronization = synchronization
        self.overwrite_with_gradient = False
        self.created_trainable = bool(trainable)
        self._trainable = bool(trainable)
        return self

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """All is done in `__new__`; a `Parameter` has no constructor to call."""

    # Keras's names -------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The last part of `path`."""
        return self._name

    @name.setter
    def name(self, value: str) -> None:
        self._name = value

    @property
    def value(self) -> Variable:
        """The variable itself: it is the tensor."""
        return self

    @property
    def trainable(self) -> bool:
        """Whether training changes it; `requires_grad` for floating dtypes."""
        return self.requires_grad if self.is_floating_point() else self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        if self.is_floating_point() or self.is_complex():
            self.requires_grad_(self._trainable)

    def assign(self, value: Any) -> Variable:
        """Overwrite the value in place, keeping dtype, device and strides.

        Raises:
            ValueError: `value` has another shape.
        """
        value = self._as_operand(value)
        if value.shape != self.shape:
            raise ValueError(
                explain(
                    f"Variable '{self.path}': the new value has another shape.",
                    given=tuple(value.shape),
                    expected=tuple(self.shape),
                    fix=f"assign a value of shape {tuple(self.shape)}.",
                )
            )
        with torch.no_grad():
            self.copy_(value)
        return self

    def assign_add(self, value: Any) -> Variable:
        """Add `value` in place."""
        with torch.no_grad():
            return self.add_(self._as_operand(value))

    def assign_sub(self, value: Any) -> Variable:
        """Subtract `value` in place."""
        with torch.no_grad():
            return self.sub_(self._as_operand(value))

    @property
    def constraint(self) -> Callable[[torch.Tensor], torch.Tensor] | None:
        """Projection applied to the value after each update, or `None`."""
        return self._constraint

    @constraint.setter
    def constraint(self, value: Callable[[torch.Tensor], torch.Tensor] | None) -> None:
        if value is not None and not callable(value):
            raise ValueError(
                f"Variable '{self.path}': `constraint` must be callable, got {value!r}."
            )
        self._constraint = value

    @property
    def regularizer(self) -> Callable[[torch.Tensor], torch.Tensor] | None:
        """Penalty that training adds to the loss for this variable, or `None`."""
        return self._regularizer

    @regularizer.setter
    def regularizer(self, value: Callable[[torch.Tensor], torch.Tensor] | None) -> None:
        if value is not None and not callable(value):
            raise ValueError(
                f"Variable '{self.path}': `regularizer` must be callable, got {value!r}."
            )
        self._regularizer = value

    def numpy(self, *, force: bool = True) -> np.ndarray:
        """Copy the value to a NumPy array on the host."""
        return to_numpy(self, force).copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        return array if dtype is None else array.astype(dtype)

    def _as_operand(self, value: Any) -> torch.Tensor:
        if isinstance(value, torch.Tensor):
            return value.detach().to(self.device, self.dtype, non_blocking=True)
        return torch.as_tensor(np.asarray(value)).to(self.device, self.dtype)

    # Copies keep what makes it a variable --------------------------------------------------------

    def _fields(self) -> dict[str, Any]:
        names = ("_constraint" if f == "constraint" else f for f in _FIELDS)
        names = ("_regularizer" if f == "regularizer" else f for f in names)
        return {name: self.__dict__[name] for name in names if name in self.__dict__}

    def rewrap(self, data: torch.Tensor) -> Variable:
        """Make a variable of `data` that has this one's name, path and other attributes."""
        return _rebuild(type(self), data.detach(), self.requires_grad, self._fields())

    def __deepcopy__(self, memo: dict[int, Any]) -> Variable:
        if id(self) in memo:
            return memo[id(self)]
        copied = self.rewrap(self.detach().clone(memory_format=torch.preserve_format))
        memo[id(self)] = copied
        return copied

    def __reduce_ex__(self, protocol: int) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.detach(), self.requires_grad, self._fields())

    def __repr__(self) -> str:
        dtype = standardize_dtype(self.dtype)
        value = "" if self.is_meta else f", value={self.numpy()}"
        return f"<Variable path={self.path}, shape={tuple(self.shape)}, dtype={dtype}{value}>"


class CastVariable(torch.Tensor):
    """A variable as a layer sees it that computes in another dtype.

    It is the cast value, through which gradients flow, with the names and methods of the variable.

    Example:
        >>> v = Variable([1.5], name="v")
        >>> seen = CastVariable.of(v, torch.bfloat16)
        >>> seen.assign_add([1.0]).tolist(), seen.dtype, seen.name
        ([2.5], torch.bfloat16, 'v')
    """

    __torch_function__ = torch._C._disabled_torch_function_impl
    variable: Variable

    @classmethod
    def of(cls, variable: Variable, dtype: torch.dtype) -> CastVariable:
        """Cast a variable."""
        self = variable.to(dtype).as_subclass(cls)
        self.variable = variable
        return self

    @property
    def value(self) -> CastVariable:
        """The cast value."""
        return self

    @property
    def name(self) -> str:
        """The name of the variable."""
        return self.variable.name

    @property
    def trainable(self) -> bool:
        """Whether training changes the variable."""
        return self.variable.trainable

    def assign(self, value: Any) -> Variable:
        """Overwrite the variable."""
        return self.variable.assign(value)

    def assign_add(self, value: Any) -> Variable:
        """Add to the variable."""
        return self.variable.assign_add(value)

    def assign_sub(self, value: Any) -> Variable:
        """Subtract from the variable."""
        return self.variable.assign_sub(value)

    def numpy(self, *, force: bool = True) -> np.ndarray:
        """Copy the cast value to a NumPy array on the host."""
        return to_numpy(self, force).copy()

    def __getattr__(self, name: str) -> Any:
        # `path`, `regularizer`, `constraint`, …
        if name == "variable" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.variable, name)


def standardize_shape(shape: Any) -> tuple[int | None, ...]:
    """Check a shape and return it as a tuple of `int`s, with `None` where a size is unknown.

    Raises:
        ValueError: `shape` is no sequence, or an entry is negative or no integer.
    """
    try:
        sizes = tuple(shape)
    except TypeError:
        raise ValueError(f"A shape must be a sequence of integers, got {shape!r}.") from None
    for size in sizes:
        if size is not None and (
            not hasattr(size, "__index__") or isinstance(size, bool) or size < 0
        ):
            raise ValueError(
                f"A shape must consist of non-negative integers or None, got {size!r} in {sizes}."
            )
    return tuple(size if size is None else int(size) for size in sizes)


def _rebuild(
    cls: type, data: torch.Tensor, requires_grad: bool, fields: dict[str, Any]
) -> Variable:
    variable = torch.Tensor._make_subclass(cls, data, requires_grad)
    variable.__dict__.update(fields)
    return variable


def _initial_value(initializer: Any, shape: Any, dtype: Any, device: torch.device) -> torch.Tensor:
    if not callable(initializer):
        if isinstance(initializer, torch.Tensor):
            value = initializer.detach()
            value = value.to(device, None if dtype is None else to_torch(dtype), copy=True)
        else:
            array = np.asarray(initializer)
            if dtype is None:
                plain_float = array.dtype == np.float64 and not isinstance(initializer, np.ndarray)
                dtype = floatx() if plain_float else array.dtype
            value = torch.tensor(array, dtype=to_torch(dtype), device=device)
        if shape is not None and tuple(value.shape) != standardize_shape(shape):
            raise ValueError(
                f"The initial value has shape {tuple(value.shape)}, expected {tuple(shape)}."
            )
        return value
    if shape is None:
        raise ValueError(
            explain(
                "A variable with a callable initializer needs a shape.",
                initializer=initializer,
                fix="pass `shape=(...)`.",
            )
        )
    shape = standardize_shape(shape)
    if None in shape:
        raise ValueError(
            explain(
                f"The shape of a variable of '{current_path()}' must be known entirely.",
                given=shape,
                fix="give the sizes that are None, for example in the shape of the model's Input.",
            )
        )
    name = standardize_dtype(dtype)
    with torch.device(device):
        value = initializer(shape, dtype=name)
    if not isinstance(value, torch.Tensor):
        value = torch.as_tensor(np.asarray(value))
    if tuple(value.shape) != shape:
        raise ValueError(
            explain(
                "The initializer returned another shape than it was asked for.",
                initializer=initializer,
                given=tuple(value.shape),
                expected=shape,
            )
        )
    return value.detach().to(device, to_torch(name))


def _lay_out(
    value: torch.Tensor, layout: Sequence[int], memory_format: torch.memory_format
) -> torch.Tensor:
    """Copy `value` so that its permutation by `layout` has `memory_format`."""
    inverse = sorted(range(len(layout)), key=layout.__getitem__)
    stored = value.permute(*layout).contiguous(memory_format=memory_format)
    return stored.permute(*inverse)
