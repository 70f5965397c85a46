"""Scopes in which variables keep their values: `StatelessScope`, and the mark `SymbolicScope`.

Within a `StatelessScope` a variable is worth what the scope says, and what changes it changes the
scope's value only. The scope is a `TorchFunctionMode`: torch hands it every function called on this
thread, and it puts values in the place of variables. So any code that computes with weights, be it
a layer's or a user's, sees the scope's values, gradients flow to them, and code outside of scopes
pays nothing.

Code may also change state in place, through aliases even (`state.detach().add_(1)`). So that the
caller's tensors are left alone, state that is not trained is copied when it is first touched, and
any other variable when a function in place is called on it.
Source: `keras.StatelessScope` (semantics).
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from ..config import get_global_attribute, set_global_attribute
from ..dtypes import as_tensor, standardize_dtype, to_torch
from ..naming import explain
from ..variables import READING, Variable, shape_equal, standardize_shape
from .context import CONTEXT

__all__ = [
    "StatelessScope",
    "SymbolicScope",
    "get_stateless_scope",
    "get_symbolic_scope",
    "in_stateless_scope",
    "in_symbolic_scope",
    "outside_scopes",
]

Tensor = torch.Tensor
_serial_numbers = itertools.count(1)


class StatelessScope(TorchFunctionMode):
    """Within it, variables have given values, and none of them is changed.

    Args:
        state_mapping: Pairs of a variable and its value in the scope, of the same shape.
        collect_losses: Whether what layers pass to `add_loss` is kept in `losses` of the scope.
        initialize_variables: Accepted as in Keras. Variables made in a scope get their initial
            values when the outermost scope closes; nothing here could forbid it.

    Raises:
        ValueError: A key is not a variable, or a value has another shape.

    Example:
        >>> v = Variable([1.0, 2.0])
        >>> with StatelessScope([(v, torch.tensor([5.0, 5.0]))]) as scope:
        ...     v.assign_add([1.0, 1.0])
        ...     (v * 2).tolist()
        tensor([6., 6.])
        [12.0, 12.0]
        >>> v.tolist(), scope.get_current_value(v).tolist()
        ([1.0, 2.0], [6.0, 6.0])
    """

    def __init__(
        self,
        state_mapping: Iterable[tuple[Variable, Any]] | None = None,
        collect_losses: bool = False,
        initialize_variables: bool = True,
    ) -> None:
        super().__init__()
        self.collect_losses = collect_losses
        self.initialize_variables = initialize_variables
        self.losses: list[Any] = []
        self._losses_of: dict[int, list[Any]] = {}
        self.state_mapping: dict[int, Tensor] = {}
        # The ids of variables whose value belongs to the scope alone.
        self._owned: set[int] = set()
        # Variables that have no value yet, and what they are taken for, by id.
        self._deferred: dict[int, Variable] = {}
        self._placeholders: dict[int, Tensor] = {}
        # Kept alive, since they are known by their ids.
        self._variables: list[Variable] = []
        self._serial = next(_serial_numbers)
        for variable, value in state_mapping or ():
            self._map(variable, value)

    def _map(self, variable: Variable, value: Any) -> None:
        if not isinstance(variable, Variable):
            raise ValueError(
                explain(
                    "Invalid reference variable in StatelessScope: all keys in argument `mapping`"
                    " must be Variable instances.",
                    given=repr(variable),
                    fix="pass pairs of a `keras.Variable` and a tensor.",
                )
            )
        value = as_tensor(value, variable.dtype)
        if not shape_equal(value.shape, variable.shape):
            raise ValueError(
                explain(
                    "Invalid variable value in StatelessScope: all values in argument `mapping`"
                    " must be tensors with a shape that matches that of the variable.",
                    variable=variable.path,
                    given=tuple(value.shape),
                    expected=tuple(variable.shape),
                )
            )
        self.add_update((variable, value))

    # What variables and layers ask ---------------------------------------------------------------

    def add_loss(self, loss: Any, owner: Any = None) -> None:
        """Keep a loss, of a layer if one is given."""
        self.losses.append(loss)
        self._losses_of.setdefault(id(owner), []).append(loss)

    def losses_of(self, owner: Any) -> list[Any]:
        """Return the losses of a layer."""
        return self._losses_of.get(id(owner), [])

    def clear_losses(self, owners: Iterable[Any]) -> None:
        """Forget the losses of layers."""
        gone = {id(loss) for owner in owners for loss in self._losses_of.pop(id(owner), ())}
        self.losses[:] = [loss for loss in self.losses if id(loss) not in gone]

    def add_update(self, update: tuple[Variable, Tensor]) -> None:
        """Give a variable a new value in the scope."""
        variable, value = update
        self.state_mapping[id(variable)] = value
        self._owned.discard(id(variable))
        self._variables.append(variable)

    def get_current_value(self, variable: Variable) -> Tensor | None:
        """Return the value of a variable in the scope; `None` where the scope has none."""
        return self.state_mapping.get(id(variable))

    def value_of(self, variable: Variable, owned: bool = False) -> Tensor:
        """Return what stands for a variable.

        Args:
            variable: Which one.
            owned: Whether the value is about to be changed in place.
        """
        key = id(variable)
        value = self.state_mapping.get(key)
        if value is None:
            value = self._placeholder(variable)
        if value is None:
            value = variable if self._outer is None else self._outer.value_of(variable)
        if key in self._owned or not (owned or not variable.created_trainable):
            return value
        with torch._C.DisableTorchFunction():
            source = value.detach() if value is variable else value
            value = source.clone(memory_format=torch.preserve_format)
        self.add_update((variable, value))
        self._owned.add(key)
        return value

    # Variables made in the scope -----------------------------------------------------------------

    def room_for(self, initializer: Any, shape: Any, dtype: Any, device: torch.device) -> Tensor:
        """Return memory for a new variable; it is initialized when no scope is open any more.

        Raises:
            ValueError: It is made of a value, which a scope could not undo.
        """
        if not callable(initializer):
            raise ValueError(
                explain(
                    "You are attempting to create a variable while in a stateless scope. This is"
                    " disallowed for variables made of a value.",
                    given=repr(initializer),
                    fix="make it before, in `__init__` or `build` of a layer; or by `add_weight`"
                    " with a shape and an initializer.",
                )
            )
        sizes = standardize_shape(shape)
        if None in sizes:
            raise ValueError(f"The shape of a variable must be known entirely, got {sizes}.")
        return torch.empty(sizes, dtype=to_torch(dtype), device=device)

    def defer(self, variable: Variable) -> None:
        """Note a new variable, to be initialized when no scope is open any more."""
        self._deferred[id(variable)] = variable

    def is_deferred(self, variable: Variable) -> bool:
        """Tell whether a variable has been made in this scope or one around it."""
        if id(variable) in self._deferred:
            return True
        return self._outer is not None and self._outer.is_deferred(variable)

    def _placeholder(self, variable: Variable) -> Tensor | None:
        """Return what a variable that is not initialized yet is taken for."""
        if id(variable) not in self._deferred:
            return None
        if id(variable) not in self._placeholders:
            self._placeholders[id(variable)] = _initial_value(variable)
        return self._placeholders[id(variable)]

    # The scope as such ---------------------------------------------------------------------------

    _outer: StatelessScope | None = None

    def __enter__(self) -> StatelessScope:
        self._outer = READING.scope
        super().__enter__()
        READING.scope = self
        return self

    def __exit__(self, *exception: Any) -> None:
        outer = READING.scope = self._outer
        super().__exit__(*exception)
        if outer is not None:
            outer._deferred.update(self._deferred)
        else:
            for variable in self._deferred.values():
                with torch.no_grad():
                    variable.copy_(_initial_value(variable))
        self._deferred = {}

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if function in _own_properties():
            return function(*args, **kwargs)
        in_place = _is_in_place(function)
        target = args[0] if in_place and args else None
        replace = functools.partial(self._replace, owned=in_place)
        result = function(*map(replace, args), **{k: replace(v) for k, v in kwargs.items()})
        if function == _VERSION and id(args[0]) in self.state_mapping:
            # Those who note versions must not take the value here for the one outside.
            return -((self._serial << 32) + result)
        return target if isinstance(target, Variable) and isinstance(result, Tensor) else result

    def _replace(self, x: Any, owned: bool) -> Any:
        """Put values in the place of the variables in an argument."""
        kind = type(x)
        if issubclass(kind, Variable):
            return self.value_of(x, owned)
        if kind is list or kind is tuple:
            return kind(self._replace(item, owned) for item in x)
        if kind is dict:
            return {key: self._replace(item, owned) for key, item in x.items()}
        return x


def _initial_value(variable: Variable) -> Tensor:
    dtype = standardize_dtype(variable.dtype)
    with torch.device(variable.device), torch.no_grad():
        value = variable.initializer(tuple(variable.shape), dtype=dtype)
    return as_tensor(value, dtype).detach().to(variable.device)


_VERSION = Tensor._version.__get__


@functools.cache
def _own_properties() -> frozenset[Any]:
    """What a variable answers for itself also where it has another value."""
    return frozenset(
        (
            Tensor.requires_grad.__get__,
            Tensor.requires_grad.__set__,
            Tensor.requires_grad_,
            Tensor.is_leaf.__get__,
            Tensor.grad_fn.__get__,
        )
    )


@functools.cache
def _is_in_place(function: Callable[..., Any]) -> bool:
    """Tell by its name whether a function changes its arguments, as `add_` and `__setitem__` do."""
    name = getattr(function, "__name__", "")
    if name == "__set__":
        return function == Tensor.data.__set__
    return name == "__setitem__" or (name.endswith("_") and not name.endswith("__"))


def get_stateless_scope() -> StatelessScope | None:
    """Return the innermost open `StatelessScope` of this thread, or `None`."""
    return READING.scope


def in_stateless_scope() -> bool:
    """Tell whether a `StatelessScope` is open on this thread."""
    return READING.scope is not None


@contextlib.contextmanager
def outside_scopes() -> Iterator[None]:
    """Within it, variables are themselves, whatever scopes are open around."""
    scope, READING.scope = READING.scope, None
    try:
        with torch._C.DisableTorchFunction():
            yield
    finally:
        READING.scope = scope


class SymbolicScope:
    """Mark that code runs to find out shapes rather than to compute.

    Example:
        >>> with SymbolicScope():
        ...     in_symbolic_scope()
        True
    """

    def __enter__(self) -> SymbolicScope:
        self._outer = get_symbolic_scope()
        set_global_attribute("symbolic_scope", self)
        return self

    def __exit__(self, *exception: Any) -> None:
        set_global_attribute("symbolic_scope", self._outer)


def get_symbolic_scope() -> SymbolicScope | None:
    """Return the innermost open `SymbolicScope` of this thread, or `None`."""
    return get_global_attribute("symbolic_scope")


def in_symbolic_scope() -> bool:
    """Tell whether shapes are being inferred on this thread, or a `SymbolicScope` is open."""
    return CONTEXT.meta or get_symbolic_scope() is not None
