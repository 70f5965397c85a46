"""`KerasTensor`: the shape and dtype of a tensor that a model will compute later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from ..dtypes import standardize_dtype
from ..naming import uniquify
from ..variables import standardize_shape

__all__ = [
    "KerasHistory",
    "KerasTensor",
    "any_symbolic",
    "any_symbolic_tensors",
    "is_keras_tensor",
]


class KerasHistory(NamedTuple):
    """Where a symbolic tensor comes from.

    Attributes:
        operation: The layer or op that produces it.
        node_index: Which of the operation's calls.
        tensor_index: Which output of that call.
    """

    operation: Any
    node_index: int
    tensor_index: int


def _fixed(name: str, doc: str) -> property:
    """Make a property that is set once, by the constructor."""

    def refuse(self: KerasTensor, value: Any) -> None:
        raise AttributeError(
            f"The `{name}` attribute of KerasTensor is immutable. Make a new KerasTensor for"
            f" `{name}={value!r}`."
        )

    attribute = f"_{name}"
    # A function of Python, which `torch.compile` can look into.
    return property(lambda self: getattr(self, attribute), refuse, doc=doc)


class KerasTensor:
    """A symbolic tensor: what `Input()` and calls on symbolic tensors return.

    Layers, `keras.ops`, Python's operators, and functions of `torch` and `torch.nn.functional` may
    be called on it; each call is recorded as a node of the graph.

    Args:
        shape: Sizes; `None` where unknown until data arrives.
        dtype: A dtype name.
        sparse: A mark, as in Keras. Layers compute on dense tensors.
        ragged: Likewise; not together with `sparse`.
        record_history: Whether calls on it are recorded.
        name: Default: `keras_tensor`, `keras_tensor_1`, …

    Raises:
        ValueError: `shape` or `dtype` is none, or it is both sparse and ragged.

    Example:
        >>> KerasTensor((None, 3), "float32", name="x")
        <KerasTensor shape=(None, 3), dtype=float32, sparse=False, ragged=False, name=x>
    """

    # Set by `operation.py`, which is above this file: records `torch` functions as nodes.
    record_torch_function: Callable[..., Any]
    # Of a tensor that holds sizes: its values, by the number that stands for an unknown size.
    _keras_sizes: dict[int, torch.Tensor] | None = None

    def __init__(
        self,
        shape: Sequence[int | None],
        dtype: Any = "float32",
        sparse: bool = False,
        ragged: bool = False,
        record_history: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if sparse and ragged:
            raise ValueError(
                "A KerasTensor cannot have `sparse=True` and `ragged=True` at the same time."
            )
        if kwargs:
            unknown = kwargs.keys() - {"ragged_rank", "row_splits_dtype"}
            if unknown:
                raise TypeError(f"KerasTensor has no such arguments: {', '.join(sorted(unknown))}.")
        self._shape = standardize_shape(shape)
        self._dtype = standardize_dtype(dtype)
        self._sparse = bool(sparse)
        self._ragged = bool(ragged)
        self._ragged_rank = kwargs.get("ragged_rank")
        self._row_splits_dtype = kwargs.get("row_splits_dtype")
        self.record_history = record_history
        self.name = name or uniquify("keras_tensor")
        self._keras_history: KerasHistory | None = None
        self._keras_mask: KerasTensor | None = None

    shape = _fixed("shape", "The sizes; `None` where unknown.")
    dtype = _fixed("dtype", "The name of the dtype.")
    sparse = _fixed("sparse", "Whether it is marked as sparse.")
    ragged = _fixed("ragged", "Whether it is marked as ragged.")
    ragged_rank = _fixed("ragged_rank", "The number of ragged axes, as it was given.")
    row_splits_dtype = _fixed("row_splits_dtype", "The dtype of row splits, as it was given.")

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def dim(self) -> int:
        """The number of axes, by PyTorch's name."""
        return len(self.shape)

    def size(self, dim: int | None = None) -> Any:
        """The sizes, or one of them, by PyTorch's name."""
        return self.shape if dim is None else self.shape[dim]

    @classmethod
    def __torch_function__(
        cls, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return cls.record_torch_function(function, args, kwargs or {})

    def __getstate__(self) -> dict[str, Any]:
        # A copy belongs to no graph; a model's copy records its calls anew.
        return {**self.__dict__, "_keras_history": None}

    def _no_value(self, what: str) -> str:
        return (
            f"{self!r} doesn't have any actual numerical value, so it {what}. A symbolic tensor may"
            " only be passed to layers, `keras.ops`, operators and `torch` functions; other code"
            " belongs in the `call` method of a layer."
        )

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise ValueError(self._no_value("cannot be converted to a NumPy array"))

    def __tf_tensor__(self, *args: Any, **kwargs: Any) -> Any:
        raise ValueError(self._no_value("cannot be used as input to a TensorFlow function"))

    def __jax_array__(self) -> Any:
        raise ValueError(self._no_value("cannot be used as input to a JAX function"))

    def __bool__(self) -> bool:
        raise TypeError(self._no_value("cannot be used as a boolean"))

    def __int__(self) -> int:
        raise ValueError(self._no_value("cannot be converted to an int"))

    def __float__(self) -> float:
        raise ValueError(self._no_value("cannot be converted to a float"))

    def __iter__(self) -> Any:
        raise NotImplementedError(self._no_value("cannot be iterated over"))

    def __repr__(self) -> str:
        return (
            f"<KerasTensor shape={self.shape}, dtype={self.dtype}, sparse={self.sparse},"
            f" ragged={self.ragged}, name={self.name}>"
        )


def is_keras_tensor(x: Any) -> bool:
    """Return whether `x` is symbolic."""
    return isinstance(x, KerasTensor)


def any_symbolic_tensors(args: Any = None, kwargs: Any = None) -> bool:
    """Return whether a `KerasTensor` is among the arguments of a call."""
    return any_symbolic(args or (), kwargs or {})


# What most arguments are: neither symbolic nor a container.
_PLAIN = frozenset({torch.Tensor, int, float, bool, str, type(None)})


def any_symbolic(*values: Any) -> bool:
    """Return whether a `KerasTensor` is among the values or in lists, tuples and dicts of them."""
    for value in values:
        kind = type(value)
        if kind in _PLAIN:
            continue
        if kind is tuple or kind is list or issubclass(kind, (list, tuple)):
            # Long ones are numbers as a rule, which `issuperset` sees faster than a loop.
            if len(value) > 8 and _PLAIN.issuperset(map(type, value)):
                continue
            if any_symbolic(*value):
                return True
        elif issubclass(kind, KerasTensor):
            return True
        elif issubclass(kind, dict) and value and any_symbolic(*value.values()):
            return True
    return False
