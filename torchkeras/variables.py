"""`Variable`: a `torch.nn.Parameter` that also answers to Keras's names.

A subclass of `Parameter` inherits its disabled `__torch_function__`: torch operations on a variable
run at full speed and return plain tensors. Two differences from Keras are deliberate: `dtype` is
the `torch.dtype`, and `shape` the `torch.Size`, because PyTorch code needs them.

`trainable` follows `requires_grad` for floating weights. Non-trainable state (statistics, seeds,
metric state) is a variable with `requires_grad=False`; as a buffer it would lose this class when a
module is moved.

`READING` tells how variables are read on this thread. While a `StatelessScope` is open, torch
functions see the scope's values in place of variables (see `graph/scopes.py`), and assignments go
to the scope; while none is, all of that costs nothing.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import operator
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from .config import default_device
from .dtypes import as_tensor, readable, standardize_dtype, to_numpy, to_torch
from .naming import auto_name, current_path, explain
from .tree import map_structure

__all__ = [
    "FREEZING",
    "READING",
    "CastVariable",
    "Freezing",
    "Reading",
    "Variable",
    "itself",
    "shape_equal",
    "standardize_shape",
]

_AGGREGATIONS = (None, "none", "mean", "sum", "only_first_replica")
_SYNCHRONIZATIONS = (None, "none", "on_read", "on_write", "auto")

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
    "_overwrite_with_gradient",
    "created_trainable",
    "_trainable",
    "_order",
    "_number",
)

# Numbers in the order in which variables are made, which is Keras's order of a layer's weights.
_NUMBERS = itertools.count()

_NO_CHANGE = contextlib.nullcontext()
_detach, _view = torch.Tensor.detach, torch.Tensor.view
_NEW_PARAMETER = torch.nn.Parameter.__new__.__code__


class Reading(threading.local):
    """How variables are read on this thread.

    Attributes:
        scope: The open `StatelessScope`, or `None`.
        autocast: The dtype in which floating variables are seen, or `None` for their own.
        late: While a file is loaded, the list of new variables that get no values yet (see
            `saving/late.py`), or `None`.
    """

    scope: Any = None
    autocast: torch.dtype | None = None
    late: Any = None


READING = Reading()


class Freezing:
    """What is frozen and thawed in this process, as far as a running `fit` has to know.

    Attributes:
        version: Grows when `trainable` of a layer or weight is set.
    """

    version = 0


FREEZING = Freezing()


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
        layout: A permutation of the axes; the weight lies in memory such that
            `weight.permute(layout)` is contiguous. Keras's sharding layouts are no attribute of a
            variable here.
        device: Where to put it. Default: `config.default_device()`.
        memory_format: The memory format of the permuted tensor, such as `torch.channels_last`.

    Raises:
        ValueError: A callable initializer without `shape`, or with a result of another shape.
        NotImplementedError: `layout` is no permutation but a sharding layout.

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
        aggregation: str | None = "none",
        synchronization: str | None = "auto",
        name: str | None = None,
        layout: Sequence[int] | None = None,
        *,
        device: Any = None,
        memory_format: torch.memory_format = torch.contiguous_format,
        **kwargs: Any,
    ) -> Variable:
        name = auto_name(cls.__name__) if name is None else name
        if not isinstance(name, str) or "/" in name:
            raise ValueError(
                explain(
                    "Argument `name` must be a string and cannot contain character `/`, which"
                    " separates the parts of a path.",
                    name=repr(name),
                    fix="use a name scope for the parts before the last.",
                )
            )
        if aggregation not in _AGGREGATIONS:
            raise _no_option("aggregation", aggregation, _AGGREGATIONS)
        if synchronization not in _SYNCHRONIZATIONS:
            raise _no_option("synchronization", synchronization, _SYNCHRONIZATIONS)
        at_home = device is None
        device = default_device() if at_home else torch.device(device)
        if isinstance(initializer, str):
            # By name, as the registry does: initializers are a floor above.
            initializers = importlib.import_module(f"{__package__}.initializers")
            initializer = initializers.get(initializer)
        deferred = READING.scope is not None
        late = None if deferred else READING.late
        # `predict` may be what builds a model.
        with torch.inference_mode(False) if torch.is_inference_mode_enabled() else _NO_CHANGE:
            value, laid_out = None, layout is None
            if deferred:
                value = READING.scope.room_for(initializer, shape, dtype, device)
            elif late is not None:
                value = late.room_for(initializer, shape, dtype, device, layout, memory_format)
                laid_out = laid_out or value is not None
            if value is None:
                value = _initial_value(initializer, shape, dtype, device, at_home)
            if not laid_out:
                value = _lay_out(value, layout, memory_format)
            differentiable = value.is_floating_point() or value.is_complex()
            self = torch.Tensor._make_subclass(cls, value, bool(trainable) and differentiable)
        self._describe(name, bool(trainable))
        self.initializer = initializer if callable(initializer) else None
        self.autocast = autocast
        self.aggregation = "none" if aggregation is None else aggregation
        self.synchronization = "none" if synchronization is None else synchronization
        if deferred:
            READING.scope.defer(self)
        elif late is not None:
            late.watch()
        return self

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """All is done in `__new__`; a `Parameter` has no constructor to call."""

    def _describe(self, name: str, trainable: bool) -> None:
        """Set all that is no part of the tensor."""
        scope = current_path()
        # Written directly: nothing of it is in need of a check.
        self.__dict__.update(
            _name=name,
            path=f"{scope}/{name}" if scope else name,
            initializer=None,
            _regularizer=None,
            _constraint=None,
            autocast=True,
            aggregation="none",
            synchronization="auto",
            _overwrite_with_gradient=False,
            created_trainable=trainable,
            _trainable=trainable,
            _number=next(_NUMBERS),
        )

    @classmethod
    def adopt(cls, parameter: torch.nn.Parameter, name: str) -> Variable:
        """Make a variable of a parameter of PyTorch's, which stays the same object.

        Args:
            parameter: Whoever holds it, holds the variable then.
            name: Last part of `path`.

        Example:
            >>> weight = torch.nn.Linear(2, 3).weight
            >>> Variable.adopt(weight, "weight") is weight, weight.path
            (True, 'weight')
        """
        parameter.__class__ = cls
        parameter._describe(name, parameter.requires_grad)
        return parameter

    # Keras's names -------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The last part of `path`."""
        return self._name

    @name.setter
    def name(self, value: str) -> None:
        self._name = value

    @property
    def value(self) -> torch.Tensor:
        """The variable itself: it is the tensor.

        Within a `StatelessScope`, the value there; within an `AutocastScope`, cast.
        """
        reading = READING
        value = self if reading.scope is None else reading.scope.value_of(self)
        dtype = reading.autocast
        if dtype is not None and self.autocast and value.is_floating_point():
            return value.to(dtype)
        return value

    @property
    def _value(self) -> Variable | None:
        """The variable, or `None` while a scope keeps it from being initialized."""
        scope = READING.scope
        return None if scope is not None and scope.is_deferred(self) else self

    @property
    def trainable(self) -> bool:
        """Whether training changes it; `requires_grad` for floating dtypes."""
        return self.requires_grad if self.is_floating_point() else self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        FREEZING.version += 1
        self._trainable = bool(value)
        if self.is_floating_point() or self.is_complex():
            self.requires_grad_(self._trainable)

    def assign(self, value: Any) -> Variable:
        """Overwrite the value in place, keeping dtype, device and strides.

        Raises:
            ValueError: `value` has another shape.
        """
        scope = READING.scope
        value = self._as_operand(value, attached=scope is not None)
        if value.shape != self.shape:
            raise ValueError(
                explain(
                    f"Variable '{self.path}': the shape of the target variable and the shape of the"
                    " target value in `variable.assign(value)` must match.",
                    given=tuple(value.shape),
                    expected=tuple(self.shape),
                    fix=f"assign a value of shape {tuple(self.shape)}.",
                )
            )
        if scope is not None:
            scope.add_update((self, value))
            return value
        with torch.no_grad():
            self.copy_(value)
        return self

    def assign_add(self, value: Any) -> Variable:
        """Add `value` in place."""
        if READING.scope is not None:
            return self.assign(self + self._as_operand(value, attached=True))
        with torch.no_grad():
            return self.add_(self._as_operand(value))

    def assign_sub(self, value: Any) -> Variable:
        """Subtract `value` in place."""
        if READING.scope is not None:
            return self.assign(self - self._as_operand(value, attached=True))
        with torch.no_grad():
            return self.sub_(self._as_operand(value))

    @property
    def constraint(self) -> Callable[[torch.Tensor], torch.Tensor] | None:
        """Projection applied to the value after each update, or `None`."""
        return self._constraint

    @constraint.setter
    def constraint(self, value: Callable[[torch.Tensor], torch.Tensor] | None) -> None:
        if value is not None and not callable(value):
            raise _not_callable(self, "constraint", value)
        self._constraint = value

    @property
    def regularizer(self) -> Callable[[torch.Tensor], torch.Tensor] | None:
        """Penalty that training adds to the loss for this variable, or `None`."""
        return self._regularizer

    @regularizer.setter
    def regularizer(self, value: Callable[[torch.Tensor], torch.Tensor] | None) -> None:
        if value is not None and not callable(value):
            raise _not_callable(self, "regularizer", value)
        self._regularizer = value

    @property
    def overwrite_with_gradient(self) -> bool:
        """Whether an optimizer sets the variable to its gradient, as float8 scales want it."""
        return self._overwrite_with_gradient

    @overwrite_with_gradient.setter
    def overwrite_with_gradient(self, value: bool) -> None:
        if not isinstance(value, bool):
            raise TypeError(f"`overwrite_with_gradient` must be a boolean. Received: {value!r}")
        self._overwrite_with_gradient = value

    def numpy(self, *, force: bool = True) -> np.ndarray:
        """Copy the value to a NumPy array on the host."""
        return to_numpy(self, force).copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        return array if dtype is None else array.astype(dtype)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any
    ) -> Any:
        # Without it NumPy's `mean`, `max`, … call torch's methods of these names, in vain.
        args, kwargs = map_structure(
            lambda x: x.numpy() if isinstance(x, Variable) else x, (args, kwargs)
        )
        return function(*args, **kwargs)

    def _as_operand(self, value: Any, attached: bool = False) -> torch.Tensor:
        """Return `value` with the dtype and device of the variable; `attached` keeps gradients."""
        if isinstance(value, torch.Tensor):
            value = value if attached else value.detach()
            return value.to(self.device, self.dtype, non_blocking=True)
        if torch.compiler.is_compiling():  # NumPy cannot be asked there how arrays lie in memory
            return torch.as_tensor(value).to(self.device, self.dtype)
        return torch.as_tensor(readable(np.asarray(value))).to(self.device, self.dtype)

    def _convert_to_tensor(self, value: Any, dtype: Any = None) -> torch.Tensor:
        return as_tensor(value, dtype)

    def _initialize(self, value: Any) -> None:
        self.assign(value)

    def _deferred_initialize(self) -> None:
        """Give the variable its initial value, now that no scope is open any more."""
        if READING.scope is not None:
            raise ValueError(
                explain(
                    "You are attempting to initialize a variable while in a stateless scope. This"
                    " is disallowed.",
                    variable=self.path,
                    fix="make all variables before the scope is opened.",
                )
            )
        raise ValueError(f"Variable {self.path} is already initialized.")

    # What PyTorch's tools ask of a parameter -----------------------------------------------------

    def detach(self) -> torch.Tensor:
        """The value as a plain tensor without gradients, which shares the memory.

        `torch.nn.Parameter(variable)`, as of `torch.nn.utils.parametrizations.weight_norm`, makes
        a parameter of what this returns, and demands that it is of the same class.
        """
        value = _detach(self)
        if torch.compiler.is_compiling() or sys._getframe(1).f_code is not _NEW_PARAMETER:
            return value
        return self.rewrap(value)

    def view(self, *shape: Any) -> torch.Tensor:
        """Look at the memory in another shape.

        Where the order in memory rules that out (see `layout`), the weight is laid out anew, in the
        order of its axes: PyTorch's tools, such as `parameters_to_vector` and pruning, rely on it.
        """
        try:
            return _view(self, *shape)
        except RuntimeError:
            if self.is_contiguous():
                raise
        self.straighten()
        return _view(self, *shape)

    def note_layout(self) -> None:
        """Remember the order of the axes in memory, for `restore_layout`."""
        order = sorted(range(self.dim()), key=self.stride, reverse=True)
        self.__dict__.setdefault("_order", order)

    def straighten(self) -> None:
        """Lay the value out in the order of the axes, until `restore_layout`."""
        if not self.is_contiguous():
            self.note_layout()
            self.data = self.data.contiguous()

    def restore_layout(self) -> None:
        """Lay the value out as it was at `note_layout`."""
        order = self.__dict__.pop("_order", None)
        if order is not None:
            self.data = _lay_out(self.data, order, torch.contiguous_format)

    # Python's conversions ------------------------------------------------------------------------

    def __bool__(self) -> bool:
        raise TypeError(
            "A Keras Variable cannot be used as a boolean. Compare its value, or use"
            " `variable is not None`."
        )

    def __int__(self) -> int:
        return int(self._scalar())

    def __float__(self) -> float:
        return float(self._scalar())

    def _scalar(self) -> torch.Tensor:
        if self.dim():
            raise TypeError(
                "Only scalar arrays can be converted to Python scalars."
                f" Variable '{self.path}' has shape {tuple(self.shape)}."
            )
        return self.detach()

    # Copies keep what makes it a variable --------------------------------------------------------

    def _fields(self) -> dict[str, Any]:
        names = ("_constraint" if f == "constraint" else f for f in _FIELDS)
        names = ("_regularizer" if f == "regularizer" else f for f in names)
        return {name: self.__dict__[name] for name in names if name in self.__dict__}

    def rewrap(self, data: torch.Tensor) -> Variable:
        """Make a variable of `data` that has this one's name, path and other attributes."""
        return _rebuild(type(self), data.detach(), self.requires_grad, self._fields())

    def stand_in(self, data: torch.Tensor) -> Variable:
        """Make what stands for this variable where shapes are inferred: `data`, by its name."""
        stand_in = self.rewrap(data)
        stand_in.__dict__["_stands_for"] = self
        return stand_in

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
        hidden = self.is_meta or self._value is None
        value = "" if hidden else f", value={self.numpy()}"
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


def itself(value: Any) -> Any:
    """Return the variable where `value` is what a layer sees of one, else `value`.

    Example:
        >>> v = Variable([1.5])
        >>> itself(CastVariable.of(v, torch.bfloat16)) is v
        True
    """
    if isinstance(value, CastVariable):
        return value.variable
    return value.__dict__.get("_stands_for", value) if isinstance(value, Variable) else value


def standardize_shape(shape: Any) -> tuple[int | None, ...]:
    """Check a shape and return it as a tuple of `int`s, with `None` where a size is unknown.

    Raises:
        ValueError: `shape` is no sequence, or an entry is negative or no integer.
    """
    if shape is None:
        raise ValueError("Undefined shapes are not supported. Received: shape=None")
    if not hasattr(shape, "__iter__"):
        raise ValueError(f"Cannot convert '{shape}' to a shape. Expected a sequence of integers.")
    return tuple(
        [size if type(size) is int and size >= 0 else _size(size, shape) for size in shape]
    )


def _size(size: Any, shape: Any) -> int | None:
    """Check one entry of a shape; a size that `torch.export` leaves open is unknown."""
    if size is None or isinstance(size, torch.SymInt):
        return None
    try:
        if isinstance(size, (bool, np.bool_)):
            raise TypeError
        size = operator.index(size)
    except Exception:
        raise ValueError(
            f"Cannot convert '{shape}' to a shape. Found invalid dimension '{size}' of type"
            f" '{type(size)}'. Expected integers of at least 0, or None."
        ) from None
    if size < 0:
        raise ValueError(
            f"Cannot convert '{shape}' to a shape. Negative dimensions are not allowed."
        )
    return size


def shape_equal(a_shape: Sequence[int | None], b_shape: Sequence[int | None]) -> bool:
    """Tell whether two shapes agree; `None` agrees with any size.

    >>> shape_equal((None, 3), (2, 3)), shape_equal((2, 3), (2, 4)), shape_equal((2,), (2, 1))
    (True, False, False)
    """
    if len(a_shape) != len(b_shape):
        return False
    return all(a is None or b is None or a == b for a, b in zip(a_shape, b_shape, strict=True))


def _no_option(name: str, value: Any, options: Sequence[Any]) -> ValueError:
    return ValueError(
        f"Invalid value for argument `{name}`. Expected one of"
        f" {', '.join(map(repr, options))}. Received: {name}={value!r}"
    )


def _not_callable(variable: Variable, attribute: str, value: Any) -> ValueError:
    return ValueError(
        f"Invalid value for attribute `{attribute}` of variable '{variable.path}'. Expected a"
        f" callable or `None`. Received: {attribute}={value!r}"
    )


def _rebuild(
    cls: type, data: torch.Tensor, requires_grad: bool, fields: dict[str, Any]
) -> Variable:
    variable = torch.Tensor._make_subclass(cls, data, requires_grad)
    variable.__dict__.update(fields)
    return variable


def _initial_value(
    initializer: Any, shape: Any, dtype: Any, device: torch.device, at_home: bool
) -> torch.Tensor:
    """Make the first value of a variable; `at_home`: `device` is known to be the default one."""
    if not callable(initializer):
        if isinstance(initializer, torch.Tensor):
            value = initializer.detach()
            value = value.to(device, None if dtype is None else to_torch(dtype), copy=True)
        else:
            value = as_tensor(initializer, dtype, device)
            if not isinstance(initializer, (int, float, list, tuple)):  # memory may be shared
                value = value.clone()
        if shape is not None and tuple(value.shape) != standardize_shape(shape):
            raise ValueError(
                f"The initial value has shape {tuple(value.shape)}, expected {tuple(shape)}."
            )
        return value
    if shape is None:
        raise ValueError(
            explain(
                "When creating a Variable from an initializer, the `shape` argument should be"
                " specified.",
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
    kind = to_torch(name)
    there = device.type == "cpu" and not torch._C._len_torch_function_stack()
    if there and (at_home or device == default_device()):
        value = initializer(shape, dtype=name)  # without the scope's look at each call of torch
    else:
        with torch.device(device):
            value = initializer(shape, dtype=name)
    if not isinstance(value, torch.Tensor):
        value = torch.as_tensor(readable(np.asarray(value)))
    if tuple(value.shape) != shape:
        raise ValueError(
            explain(
                "The initializer returned another shape than it was asked for.",
                initializer=initializer,
                given=tuple(value.shape),
                expected=shape,
            )
        )
    fits = value.dtype is kind and value.device == device and not value.requires_grad
    return value if fits else value.detach().to(device, kind)


def _lay_out(
    value: torch.Tensor, layout: Sequence[int], memory_format: torch.memory_format
) -> torch.Tensor:
    """Copy `value` so that its permutation by `layout` has `memory_format`."""
    if not isinstance(layout, Sequence) or sorted(layout) != list(range(value.ndim)):
        raise NotImplementedError(
            explain(
                "A variable's `layout` is a permutation of its axes.",
                given=repr(layout),
                fix="shard a model as a whole with `torch.distributed.tensor` or FSDP.",
            )
        )
    inverse = sorted(range(len(layout)), key=layout.__getitem__)
    # `contiguous` would leave axes of size one any stride; by those torch tells the format of a
    # kernel, and its convolutions fail backwards where that does not fit the gradient's.
    stored = value.permute(*layout).clone(memory_format=memory_format)
    return stored.permute(*inverse)
