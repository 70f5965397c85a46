"""What an optimizer prepares once so that a step is a handful of calls into torch.

A `Plan` belongs to one list of variables. It sorts them into `Group`s of one device and dtype, as
torch's multi-tensor kernels want them, and of one kind, where an optimizer treats its variables
differently. It holds the lists those kernels take: the variables, their slots (momenta and the
like) and the step counts.

The fused kernels walk through memory without looking at shapes or strides, so a gradient that lies
in memory differently from its variable would be applied to the wrong elements. `Plan.accepts`
therefore compares the layout of the gradients, and the addresses of the variables, with what the
plan was made for; all of it in calls that loop in C.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import torch

from ..naming import explain

__all__ = ["Group", "HostScalar", "Plan", "same_order"]

# Others take the `_foreach` functions; `meta` has no kernel for fused SGD.
_FUSED_DEVICES = frozenset({"cpu", "cuda"})
_FUSED_DTYPES = frozenset({torch.float32, torch.float64, torch.float16, torch.bfloat16})

_strides = torch.Tensor.stride
_numel = torch.Tensor.numel
_address = torch.Tensor.data_ptr
_dtype = operator.attrgetter("dtype")


class HostScalar:
    """The number in a 0-d CPU variable, read and written through its memory.

    `item()` and an in-place `add_` cost 0.25 and 1.2 µs, this 0.04: it happens at every step.

    Args:
        variable: A 0-d variable on the CPU. Assigning to it is seen here, and the other way round.

    Example:
        >>> count = torch.tensor(3)
        >>> HostScalar(count).set(4)
        >>> count
        tensor(4)
    """

    __slots__ = ("_array", "variable")

    def __init__(self, variable: torch.Tensor) -> None:
        self.variable = variable
        # NumPy has no bfloat16; such a variable is read and written by torch.
        has_numpy = variable.dtype != torch.bfloat16
        self._array = torch.Tensor.numpy(variable.detach()) if has_numpy else None

    def get(self) -> Any:
        """Return the number."""
        return self.variable.item() if self._array is None else self._array.item()

    def set(self, value: float) -> None:
        """Overwrite the number."""
        if self._array is None:
            self.variable.detach().fill_(value)
        else:
            self._array[()] = value

    def __reduce__(self) -> tuple[type, tuple[torch.Tensor]]:
        return HostScalar, (self.variable,)


class Group:
    """The variables of a plan that share device, dtype and kind, as lists for torch's kernels.

    Attributes:
        positions: Where the group's gradients stand in the plan's list; `None` if all are its own.
        variables: Tensors that share memory with the variables and have no autograd history.
        slots: One list per kind of slot, parallel to `variables`; empty for an unused kind.
        steps: The step counts the fused Adam kernels ask for. They are infinite, which turns the
            kernels' own bias correction off: Keras's goes into the learning rate.
        fused: Whether torch's fused kernels fit: dense memory, equal strides, a known device.
        decayed: Those on which weight decay acts.
        dtype: Of the variables.
        kind: What the optimizer's `_kind_of` says of each of them.
    """

    __slots__ = ("decayed", "dtype", "fused", "kind", "positions", "slots", "steps", "variables")

    def __init__(
        self,
        positions: list[int] | None,
        variables: list[torch.Tensor],
        slots: tuple[list[torch.Tensor], ...],
        decayed: list[torch.Tensor],
        kind: Hashable,
    ) -> None:
        self.kind = kind
        self.positions = positions
        self.variables = variables
        self.slots = slots
        self.decayed = decayed
        first = variables[0]
        self.dtype = first.dtype
        self.fused = (
            first.device.type in _FUSED_DEVICES
            and first.dtype in _FUSED_DTYPES
            and all(is_dense(variable) for variable in variables)
            and all(
                slot.dtype == variable.dtype
                and slot.shape == variable.shape
                and same_order(slot, variable)
                for parallel in slots
                if parallel
                for slot, variable in zip(parallel, variables, strict=True)
            )
        )
        step = torch.full((), math.inf, dtype=torch.float32, device=first.device)
        self.steps = [step] * len(variables)

    def take(self, grads: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
        """Pick the group's gradients out of the plan's."""
        if self.positions is None:
            return grads
        return [grads[i] for i in self.positions]


class Plan:
    """The lists for updating `variables`, and the test whether gradients fit them.

    Args:
        variables: What is updated, in the order of the gradients.
        slots: The slots of each kind, parallel to `variables`; an empty list for an unused kind.
        decayed: For each variable, whether weight decay acts on it.
        kinds: For each variable, what it has in common with others of its group.
    """

    __slots__ = (
        "_addresses",
        "_device",
        "_dtypes",
        "_sizes",
        "_strides",
        "aliases",
        "complete",
        "constrained",
        "copies",
        "groups",
        "variables",
    )

    def __init__(
        self,
        variables: list[torch.Tensor],
        slots: Sequence[Sequence[torch.Tensor | None]],
        decayed: Sequence[bool],
        kinds: Sequence[Hashable],
    ) -> None:
        self.variables = variables
        self.aliases = [variable.detach() for variable in variables]
        self.constrained = [v for v in variables if getattr(v, "constraint", None) is not None]
        self.complete = False
        self.copies: list[int] = []
        self.groups = self._make_groups(slots, decayed, kinds)
        self._addresses = [*map(_address, variables)]
        self._strides: list[tuple[int, ...]] | None = None

    def _make_groups(
        self,
        slots: Sequence[Sequence[torch.Tensor | None]],
        decayed: Sequence[bool],
        kinds: Sequence[Hashable],
    ) -> list[Group]:
        members: dict[tuple[torch.device, torch.dtype, Hashable], list[int]] = {}
        for i, variable in enumerate(self.aliases):
            members.setdefault((variable.device, variable.dtype, kinds[i]), []).append(i)
        return [
            Group(
                None if len(members) == 1 else positions,
                [self.aliases[i] for i in positions],
                tuple(_pick(parallel, positions) for parallel in slots),
                [self.aliases[i] for i in positions if decayed[i]],
                kind,
            )
            for (_, _, kind), positions in members.items()
        ]

    def is_current(self) -> bool:
        """Whether the variables still are where they were when the plan was made."""
        return [*map(_address, self.variables)] == self._addresses and all(
            variable.dtype == alias.dtype
            and variable.device == alias.device
            and variable.stride() == alias.stride()
            for variable, alias in zip(self.variables, self.aliases, strict=True)
        )

    def accepts(self, grads: Sequence[Any], variables: Sequence[torch.Tensor] | None) -> bool:
        """Whether the plan is for `variables` and gradients laid out in memory as `grads` are."""
        if variables is None:
            if not self.complete:
                return False
        elif len(variables) != len(self.variables) or not all(
            map(operator.is_, variables, self.variables)
        ):
            return False
        try:
            return (
                [*map(_strides, grads)] == self._strides
                and [*map(_numel, grads)] == self._sizes
                and [*map(_dtype, grads)] == self._dtypes
                and grads[0].device == self._device
                and [*map(_address, self.variables)] == self._addresses
            )
        except (TypeError, RuntimeError):  # a `None`, an array or a sparse gradient among them
            return False

    def fit(self, grads: Iterable[Any]) -> list[torch.Tensor]:
        """Make dense tensors of the gradients and note which have to be copied into shape.

        Raises:
            ValueError: A gradient has another shape than its variable.
        """
        fitted, plain = [], True
        self.copies = []
        for i, (grad, variable) in enumerate(zip(grads, self.variables, strict=True)):
            if not isinstance(grad, torch.Tensor):
                grad, plain = torch.as_tensor(grad), False
            if grad.layout != torch.strided:
                grad, plain = grad.to_dense(), False
            if grad.shape != variable.shape:
                raise ValueError(
                    explain(
                        "A gradient has another shape than its variable"
                        f" '{getattr(variable, 'path', i)}'.",
                        gradient_shape=tuple(grad.shape),
                        variable_shape=tuple(variable.shape),
                        fix="pass gradients in the order of the variables.",
                    )
                )
            if (
                grad.dtype != variable.dtype
                or grad.device != variable.device
                or not same_order(grad, variable)
            ):
                self.copies.append(i)
            fitted.append(grad)
        if plain and fitted:
            self._strides = [*map(_strides, fitted)]
            self._sizes = [*map(_numel, fitted)]
            self._dtypes = [*map(_dtype, fitted)]
            self._device = fitted[0].device
        else:
            self._strides = None
        return fitted

    def copy(self, grads: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Copy the gradients that `fit` noted into the dtype and layout of their variables."""
        grads = list(grads)
        for i in self.copies:
            grads[i] = torch.empty_like(self.aliases[i]).copy_(grads[i])
        return grads


def _pick(slots: Sequence[torch.Tensor | None], positions: list[int]) -> list[torch.Tensor]:
    """The slots of a group; none if the optimizer keeps none of this kind for its variables."""
    if not slots or slots[positions[0]] is None:
        return []
    return [slots[i].detach() for i in positions]


def same_order(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether the elements of two tensors of one shape follow each other equally in memory.

    >>> row, square = torch.ones(1, 3), torch.ones(2, 2)
    >>> same_order(row, torch.ones(3, 1).T), same_order(square, square.T)
    (True, False)
    """
    return a.stride() == b.stride() or all(
        size == 1 or s == t for size, s, t in zip(a.shape, a.stride(), b.stride(), strict=True)
    )


def is_dense(tensor: torch.Tensor) -> bool:
    """Whether the elements fill a stretch of memory without gaps or overlaps.

    >>> is_dense(torch.ones(3, 2).T), is_dense(torch.ones(4, 2)[::2])
    (True, False)
    """
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size != 1:
            if stride != expected:
                return False
            expected *= size
    return True
