"""`tf.Variable`, `tf.Module`, `tf.function` and shapes: the objects of TensorFlow programs.

A variable is Keras's `Variable`, a module a `torch.nn.Module` that collects the variables in lists
and dicts too.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.utils.checkpoint
from torch.overrides import TorchFunctionMode

from ...dtypes import standardize_dtype, to_torch
from ...layers.layer import Layer
from ...naming import explain, name_scope
from ...tree import flatten, map_structure
from ...variables import Variable as KerasVariable
from .tensors import as_tensor, is_text_dtype

__all__ = [
    "Module",
    "ShapeTensor",
    "TensorShape",
    "TensorSpec",
    "TypeSpec",
    "Variable",
    "custom_gradient",
    "function",
    "grad_pass_through",
    "name_scope_of",
    "no_gradient",
    "recompute_grad",
]


# Shapes -------------------------------------------------------------------------------------------


class TensorShape(tuple[int | None, ...]):
    """The shape of a tensor: a tuple with TensorFlow's methods.

    Args:
        dims: Sizes; `None` where unknown.

    Example:
        >>> TensorShape([None, 3]).as_list(), TensorShape([2, 3]).num_elements()
        ([None, 3], 6)
    """

    def __new__(cls, dims: Sequence[int | None] | int | None = ()) -> TensorShape:
        sizes = (dims,) if isinstance(dims, int) else tuple(dims or ())
        return super().__new__(cls, (None if size is None else int(size) for size in sizes))

    def as_list(self) -> list[int | None]:
        """The sizes as a list."""
        return list(self)

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self)

    ndims = rank
    dims = property(as_list)

    def num_elements(self) -> int | None:
        """The product of the sizes; `None` if one is unknown."""
        return int(np.prod(self, dtype=int)) if self.is_fully_defined() else None

    def is_fully_defined(self) -> bool:
        """Whether all sizes are known."""
        return None not in self

    def is_compatible_with(self, other: Sequence[int | None]) -> bool:
        """Whether both can be the shape of one tensor."""
        return len(self) == len(other) and all(
            a is None or b is None or a == b for a, b in zip(self, other, strict=True)
        )

    def concatenate(self, other: Sequence[int | None]) -> TensorShape:
        """The axes of both, one after the other."""
        return TensorShape((*self, *other))

    __add__ = concatenate

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        return TensorShape(found) if isinstance(key, slice) else found

    def __eq__(self, other: object) -> bool:
        return tuple(self) == (tuple(other) if isinstance(other, list) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = tuple.__hash__

    def __repr__(self) -> str:
        return f"TensorShape({list(self)})"


class ShapeTensor(tuple[Any, ...]):
    """What `tf.shape` gives: sizes that can be computed with, and need no tensor for it.

    Example:
        >>> ShapeTensor((2, 3)) * 2, ShapeTensor((4, 5, 1))[:-1]
        ((4, 6), (4, 5))
    """

    def numpy(self) -> np.ndarray:
        """The sizes as an array."""
        return np.array(tuple(self), dtype=np.int32)

    def _with(self, operation: str, other: Any) -> ShapeTensor:
        others = list(other) if isinstance(other, (tuple, list, np.ndarray)) else None
        if isinstance(other, torch.Tensor):
            others = other.tolist() if other.ndim else None
            other = int(other) if others is None else other
        pairs = zip(self, others or [other] * len(self), strict=True)
        return ShapeTensor(getattr(a, operation)(b) for a, b in pairs)

    def __mul__(self, other: Any) -> ShapeTensor:
        return self._with("__mul__", other)

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> ShapeTensor:
        return self._with("__floordiv__", other)

    def __add__(self, other: Any) -> ShapeTensor:
        return self._with("__add__", other)

    def __sub__(self, other: Any) -> ShapeTensor:
        return self._with("__sub__", other)

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        return ShapeTensor(found) if isinstance(key, slice) else found


class TypeSpec:
    """What describes a value; `TensorSpec` is the kind that there is."""


class TensorSpec(TypeSpec):
    """The shape and dtype of a tensor that is to come.

    Args:
        shape: Sizes; `None` where unknown.
        dtype: Its dtype.
        name: Its name.

    Example:
        >>> TensorSpec([None, 3], "int32")
        TensorSpec(shape=(None, 3), dtype=tf.int32, name=None)
    """

    def __init__(self, shape: Any, dtype: Any = torch.float32, name: str | None = None) -> None:
        self.shape = TensorShape(shape)
        self.dtype = "string" if is_text_dtype(dtype) else to_torch(dtype)
        self.name = name

    @classmethod
    def from_tensor(cls, tensor: Any, name: str | None = None) -> TensorSpec:
        """The spec of a tensor."""
        text = isinstance(tensor, np.ndarray) and tensor.dtype.kind == "O"
        return cls(tensor.shape, "string" if text else tensor.dtype, name)

    def is_compatible_with(self, other: Any) -> bool:
        """Whether a tensor or spec fits this one."""
        other = other if isinstance(other, TensorSpec) else TensorSpec.from_tensor(other)
        return self.dtype == other.dtype and self.shape.is_compatible_with(other.shape)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TensorSpec):
            return NotImplemented
        return self.shape == other.shape and self.dtype == other.dtype

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype))

    def __repr__(self) -> str:
        dtype = standardize_dtype(self.dtype)
        return f"TensorSpec(shape={tuple(self.shape)}, dtype=tf.{dtype}, name={self.name!r})"


# Variables ----------------------------------------------------------------------------------------


class _AnyVariable(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, KerasVariable)


class Variable(metaclass=_AnyVariable):
    """Makes a `keras.Variable`; every weight is an instance.

    Args:
        initial_value: A number, array, tensor, or a function that makes one.
        trainable: Whether tapes record it.
        validate_shape, caching_device, variable_def, import_scope: Ignored.
        name: Its name.
        dtype: By default int32 for Python integers, float32 for floats, else that of the value.
        constraint: Projection that optimizers apply after an update.
        synchronization, aggregation, shape: As in `keras.Variable`; ignored.

    Example:
        >>> v = Variable([1.0, 2.0])
        >>> v.assign_add([1.0, 1.0]).tolist(), isinstance(v, Variable)
        ([2.0, 3.0], True)
    """

    def __new__(
        cls,
        initial_value: Any = None,
        trainable: bool | None = None,
        validate_shape: bool = True,
        caching_device: Any = None,
        name: str | None = None,
        variable_def: Any = None,
        dtype: Any = None,
        import_scope: Any = None,
        constraint: Callable[[torch.Tensor], torch.Tensor] | None = None,
        synchronization: Any = None,
        aggregation: Any = None,
        shape: Any = None,
        **kwargs: Any,
    ) -> Any:
        value = as_tensor(initial_value() if callable(initial_value) else initial_value, dtype)
        made = KerasVariable(
            value.detach(),
            dtype=value.dtype,
            trainable=trainable is not False,
            name=None if name is None else re.sub(r"[/:].*", "", name) or None,
        )
        made.constraint = constraint
        return made


class Module(torch.nn.Module):
    """A `torch.nn.Module` that finds the variables of everything in its attributes.

    Args:
        name: By default the class's name in snake case.

    Example:
        >>> class Line(Module):
        ...     def __init__(self):
        ...         self.weights = [Variable(1.0), Variable(2.0, trainable=False)]
        >>> len(Line().variables), len(Line().trainable_variables), Line().name
        (2, 1, 'line')
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Module:
        self = super().__new__(cls)
        torch.nn.Module.__init__(self)  # subclasses need not call `super().__init__()`
        self._tf_name = None
        return self

    def __init__(self, name: str | None = None) -> None:
        self._tf_name = name

    @property
    def name(self) -> str:
        """The name it was given, or one made of its class's."""
        if self._tf_name is None:
            words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__)
            self._tf_name = words.lower()
        return self._tf_name

    @property
    def name_scope(self) -> Any:
        """A scope for the names of variables."""
        return name_scope_of(self.name)

    @property
    def variables(self) -> tuple[KerasVariable, ...]:
        """All variables, by the names of the attributes that hold them."""
        return tuple({id(v): v for v in self._find(KerasVariable)}.values())

    @property
    def trainable_variables(self) -> tuple[KerasVariable, ...]:
        """Those that are trained."""
        return tuple(v for v in self.variables if v.trainable)

    @property
    def non_trainable_variables(self) -> tuple[KerasVariable, ...]:
        """Those that are not."""
        return tuple(v for v in self.variables if not v.trainable)

    @property
    def submodules(self) -> tuple[torch.nn.Module, ...]:
        """All modules and layers inside."""
        return tuple({id(m): m for m in self._find(torch.nn.Module)}.values())

    @classmethod
    def with_name_scope(cls, method: Callable[..., Any]) -> Callable[..., Any]:
        """Decorate a method such that variables made in it are named after the module."""

        @functools.wraps(method)
        def scoped(self: Module, *args: Any, **kwargs: Any) -> Any:
            with self.name_scope:
                return method(self, *args, **kwargs)

        return scoped

    def _find(self, kind: type) -> Iterator[Any]:
        own = {k: v for k, v in vars(self).items() if k not in _TORCH_ATTRIBUTES}
        attributes = {**own, **self._parameters, **self._modules}
        for _, value in sorted(attributes.items()):
            for leaf in _leaves(value):
                if isinstance(leaf, kind):
                    yield leaf
                if isinstance(leaf, Module):
                    yield from leaf._find(kind)
                elif isinstance(leaf, Layer) and kind is KerasVariable:
                    yield from leaf.variables


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for key in sorted(value):
            yield from _leaves(value[key])
    elif isinstance(value, (list, tuple, torch.nn.ModuleList)):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


_TORCH_ATTRIBUTES = frozenset(vars(torch.nn.Module()))


@contextlib.contextmanager
def name_scope_of(name: str | None = None, *args: Any) -> Iterator[str]:
    """Name variables that are made inside after the scope."""
    with name_scope(re.sub(r"\W", "_", name or "scope")):
        yield f"{name}/"


# Functions ----------------------------------------------------------------------------------------


class _WithGradient(torch.autograd.Function):
    """Results that are differentiated by a function that came with them."""

    @staticmethod
    def forward(ctx: Any, results: Any, differentiate: Callable[..., Any], *args: Any) -> Any:
        ctx.differentiate = differentiate
        if isinstance(results, (list, tuple)):
            return tuple(result.view_as(result) for result in results)
        return results.view_as(results)

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        return None, None, *ctx.differentiate(*upstream)


class _Reading(TorchFunctionMode):
    """Within it, the trainable variables that functions are called with are remembered."""

    def __init__(self) -> None:
        super().__init__()
        self.variables: dict[int, KerasVariable] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for x in flatten((args, kwargs or {})):
            if isinstance(x, KerasVariable) and x.requires_grad:
                self.variables[id(x)] = x
        return func(*args, **(kwargs or {}))


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a function that returns its result and a function from upstream gradients to its.

    If the latter has a parameter `variables`, it is called with the trainable variables that the
    former uses besides its arguments, and returns a pair: the gradients of the arguments and a list
    of those of the variables.

    Example:
        >>> @custom_gradient
        ... def scaled(x):
        ...     return x * 1.0, lambda upstream: upstream * 5.0
        >>> x = torch.tensor(1.0, requires_grad=True)
        >>> torch.autograd.grad(scaled(x), x)[0].item()
        5.0
    """

    @functools.wraps(f)
    def call(*args: Any, **kwargs: Any) -> Any:
        tensors = [as_tensor(x) for x in args]
        with torch.no_grad():
            results, gradient = f(*tensors, **kwargs)
        variables: list[KerasVariable] = []
        if "variables" in inspect.signature(gradient).parameters:
            with torch.no_grad(), _Reading() as reading:
                f(*tensors, **kwargs)
            given = set(map(id, tensors))
            variables = [v for key, v in reading.variables.items() if key not in given]

        def differentiate(*upstream: Any) -> Sequence[Any]:
            if not variables:
                gradients = gradient(*upstream)
                return gradients if isinstance(gradients, (list, tuple)) else (gradients,)
            gradients, of_variables = gradient(*upstream, variables=variables)
            several = isinstance(gradients, (list, tuple))
            return (*(gradients if several else (gradients,)), *of_variables)

        return _WithGradient.apply(results, differentiate, *tensors, *variables)

    return call


def grad_pass_through(f: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function whose gradient is that of the identity.

    Example:
        >>> x = torch.tensor(1.3, requires_grad=True)
        >>> torch.autograd.grad(grad_pass_through(torch.round)(x), x)[0].item()
        1.0
    """
    return custom_gradient(lambda *args, **kwargs: (f(*args, **kwargs), lambda *upstream: upstream))


def recompute_grad(f: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function that keeps nothing for its gradient but computes it again.

    Example:
        >>> x = torch.tensor(2.0, requires_grad=True)
        >>> torch.autograd.grad(recompute_grad(lambda x: x**3)(x), x)[0].item()
        12.0
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        # Views stay sources when a tape that has ended no longer watches what it watched.
        args = [x.view_as(x) if isinstance(x, torch.Tensor) else x for x in args]
        return torch.utils.checkpoint.checkpoint(f, *args, use_reentrant=False, **kwargs)

    return call


def function(func: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Decorate a function; it runs as it is, with NumPy arguments as tensors.

    Args:
        func: The function; `None` where the decorator is called with options.
        options: TensorFlow's (`input_signature`, `jit_compile`, …), which have nothing to act on:
            PyTorch runs each call at once. Compile a model with `jit_compile=True`.

    Example:
        >>> function(lambda x: 2 * x)(np.ones(2, "float32")).tolist()
        [2.0, 2.0]
    """
    if func is None:
        return functools.partial(function, **options)

    @functools.wraps(func)
    def call(*args: Any, **kwargs: Any) -> Any:
        if any(map(_holds_array, (*args, *kwargs.values()))):
            args, kwargs = map_structure(_convert_array, (args, kwargs))
        return func(*args, **kwargs)

    call.python_function = func
    call.get_concrete_function = _no_graph
    call.input_signature = options.get("input_signature")
    return call


def _holds_array(x: Any) -> bool:
    kind = type(x)
    if kind is tuple or kind is list or kind is dict:
        return any(type(leaf) is np.ndarray for leaf in flatten(x))
    return kind is np.ndarray


def _convert_array(x: Any) -> Any:
    return as_tensor(x) if type(x) is np.ndarray else x


def _no_graph(*args: Any, **kwargs: Any) -> Any:
    raise NotImplementedError(
        explain(
            "tf.function: there are no concrete functions, since PyTorch has no graph of TensorFlow"
            " to give.",
            fix="call the function itself; export a model with `model.export(path)`.",
        )
    )


def no_gradient(*args: Any, **kwargs: Any) -> None:
    """Do nothing; for declarations that autograd needs not."""
