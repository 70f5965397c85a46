"""`SymbolicArguments`: what a call on symbolic tensors was given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..tree import flatten, map_structure
from .keras_tensor import KerasTensor

__all__ = ["SymbolicArguments", "symbolic_ones"]


def symbolic_ones(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[KerasTensor]:
    """Return the symbolic tensors among the arguments of a call, in order."""
    if len(args) == 1 and not kwargs and isinstance(args[0], KerasTensor):
        return [args[0]]
    return [x for x in flatten((args, kwargs)) if isinstance(x, KerasTensor)]


class SymbolicArguments:
    """The arguments of a call, `KerasTensor`s among them in any structure.

    Attributes:
        args, kwargs: As they were given.
        keras_tensors: The symbolic ones, in order.

    Example:
        >>> x = KerasTensor((2,), name="x")
        >>> SymbolicArguments(x, 3).fill_in({id(x): 7})
        ((7, 3), {})
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args = args
        self.kwargs = kwargs
        self._flat_arguments = flatten((args, kwargs))
        self.keras_tensors = symbolic_ones(args, kwargs)

    @property
    def _single_positional_tensor(self) -> KerasTensor | None:
        alone = len(self.args) == 1 and not self.kwargs and isinstance(self.args[0], KerasTensor)
        return self.args[0] if alone else None

    def convert(self, conversion_fn: Callable[[Any], Any]) -> tuple[Any, Any]:
        """Return the arguments with a function applied to each."""
        return map_structure(conversion_fn, self.args), map_structure(conversion_fn, self.kwargs)

    def fill_in(self, tensor_dict: Mapping[int, Any]) -> tuple[Any, Any]:
        """Return the arguments with values for the symbolic ones; `None` where there is none.

        Args:
            tensor_dict: Values by `id` of the `KerasTensor`.
        """
        return self.convert(lambda x: tensor_dict.get(id(x)) if isinstance(x, KerasTensor) else x)
