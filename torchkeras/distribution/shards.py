"""Weights of which each process holds a part: what they are called, and how they are made whole.

A weight that has been cut is a `ShardedVariable`, a `DTensor` with the names of Keras. Beside it
there is its `shard`: an ordinary variable over the same memory, of the part alone. Optimizers see
shards only; so their slots are cut as the weights are, and their fused kernels run on them as on
any other weights.

`whole` puts ordinary variables in the place of the cut ones for a while: then a model is written to
an ordinary file, or read from one, as if it had never been cut.

This module imports DTensor, which is costly; nothing imports it before a model is cut.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch.distributed.tensor import DTensor, Partial, Shard, distribute_tensor

from ..dtypes import to_numpy
from ..regularizers import L1, L1L2, L2
from ..saving.api import WRITING
from ..variables import Variable

__all__ = [
    "Place",
    "ShardedVariable",
    "adopt",
    "best_cut",
    "cut_like",
    "install",
    "is_cut",
    "part_of",
    "places_of",
    "slots_of",
    "whole",
]

Tensor = torch.Tensor
Regularizer = Callable[[Tensor], Tensor]

# Sums over elements, which can be computed part by part.
_SUMS = (L1, L2, L1L2)


class ShardedVariable(DTensor):
    """A weight of which each process holds a part; made by `adopt` only.

    Reading its values gathers them, so all processes must do it.

    Attributes:
        shard: A variable over the memory of this process's part; optimizers change it.
        plain_regularizer: The regularizer of the variable that has been cut, or `None`.
        whole_constraint: Its constraint, or `None`.
        rows_differ: Whether the processes that hold parts of it have different rows of a batch, so
            that its gradient is the sum of theirs.
    """

    created_trainable = True
    shard: Any
    plain_regularizer: Regularizer | None
    whole_constraint: Callable[[Tensor], Tensor] | None
    rows_differ: bool

    @property
    def path(self) -> str:
        """The path of the variable that has been cut."""
        return getattr(self.shard, "path", "parameter")

    @property
    def name(self) -> str:  # type: ignore[override]
        """The last part of `path`."""
        return self.path.rpartition("/")[2]

    @property
    def value(self) -> DTensor:
        """The variable itself."""
        return self

    @property
    def trainable(self) -> bool:
        """Whether training changes it."""
        return self.requires_grad

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self.requires_grad_(bool(value))

    @property
    def regularizer(self) -> Regularizer | None:
        """A function of the weight: its penalty, of which each process weights its own copy."""
        return None if self.plain_regularizer is None else self._penalty

    def _penalty(self, weight: DTensor) -> Tensor:
        """Return the penalty; gradients are those of the sum of what all processes make of it."""
        if type(self.plain_regularizer) in _SUMS and not self._has_empty_parts():
            return self._on_all(self.plain_regularizer(weight))
        return self.plain_regularizer(self._on_all(weight))

    def _has_empty_parts(self) -> bool:
        """Whether the axis that is cut is too short for all; DTensor computes on it as a whole."""
        return any(
            placement.is_shard() and self.shape[placement.dim] < self.device_mesh.size(axis)
            for axis, placement in enumerate(self.placements)
        )

    def _on_all(self, tensor: DTensor) -> Tensor:
        """The values of a tensor; its gradient is the sum of those of processes whose rows differ.

        Others have the same gradient.
        """
        placements = [Partial()] * tensor.device_mesh.ndim if self.rows_differ else None
        return tensor.full_tensor(grad_placements=placements)

    @torch.no_grad()
    def assign(self, value: Any) -> ShardedVariable:
        """Overwrite the values by an array of the whole weight, the same on all processes."""
        self.shard.copy_(part_of(torch.as_tensor(value), self))
        return self

    def copy_(self, value: Tensor, non_blocking: bool = False) -> ShardedVariable:  # type: ignore
        """Overwrite the values by a tensor of the whole weight, or by one that is cut as it is."""
        if isinstance(value, DTensor):
            return super().copy_(value, non_blocking)
        return self.assign(value)

    def numpy(self, *, force: bool = True) -> np.ndarray:
        """Gather the values in a NumPy array; all processes must do it."""
        return to_numpy(self, force).copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        return array if dtype is None else array.astype(dtype)

    def __repr__(self) -> str:  # type: ignore[override]
        shapes = f"shape={tuple(self.shape)}, here={tuple(self.shard.shape)}"
        return f"<ShardedVariable path={self.path}, {shapes}>"


def adopt(parameter: DTensor, original: torch.nn.Parameter, rows_differ: bool) -> ShardedVariable:
    """Make a sharded variable of a parameter that is a `DTensor`, which stays the same object.

    Args:
        parameter: Whoever holds it, holds the variable then.
        original: What has been cut.
        rows_differ: See `ShardedVariable`.
    """
    parameter.__class__ = ShardedVariable
    parameter.rows_differ = rows_differ
    local = parameter._local_tensor.detach()
    parameter.plain_regularizer = getattr(original, "regularizer", None)
    parameter.whole_constraint = getattr(original, "constraint", None)
    parameter.shard = _like(original, local)
    if isinstance(original, Variable):
        parameter.shard.constraint = parameter.shard.regularizer = None
    return parameter


def _like(variable: torch.nn.Parameter, value: Tensor) -> torch.nn.Parameter:
    """A parameter over the memory of `value`, with the names and attributes of another one."""
    if isinstance(variable, Variable):
        return variable.rewrap(value)
    return torch.nn.Parameter(value, requires_grad=variable.requires_grad)


def is_cut(variable: Any) -> bool:
    """Whether a weight is a sharded variable."""
    return isinstance(variable, ShardedVariable)


@torch.no_grad()
def part_of(value: Tensor, variable: DTensor) -> Tensor:
    """Return what this process holds of a tensor that is cut as a variable is."""
    value = value.detach().to(variable.device, variable.dtype)
    cut = distribute_tensor(value, variable.device_mesh, variable.placements, src_data_rank=None)
    return cut.to_local()


@torch.no_grad()
def cut_like(slot: Tensor, variable: DTensor) -> DTensor:
    """Return a slot as the part of a tensor that is cut as its variable is."""
    return DTensor.from_local(
        slot.detach(),
        variable.device_mesh,
        variable.placements,
        run_check=False,
        shape=variable.shape,
        stride=variable.stride(),
    )


# Where they are -----------------------------------------------------------------------------------


class Place:
    """Where a module holds a sharded variable.

    Args:
        module: The module.
        name: The name of the parameter.
        variable: What is there.
    """

    def __init__(self, module: torch.nn.Module, name: str, variable: ShardedVariable) -> None:
        self.module, self.name, self.variable = module, name, variable

    def put(self, parameter: torch.nn.Parameter) -> None:
        """Put another parameter there."""
        self.module._parameters[self.name] = parameter


def places_of(model: torch.nn.Module) -> list[Place]:
    """Return all places in a model that hold sharded variables."""
    for module in model.modules():
        if hasattr(module, "reshard"):  # what a forward pass may have left whole
            module.reshard()
    return [
        Place(module, name, parameter)
        for module in model.modules()
        for name, parameter in module._parameters.items()
        if is_cut(parameter)
    ]


def slots_of(optimizer: Any, variables: Iterable[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Return the slots of an optimizer that have the shape of a variable, and the variables.

    They are in lists that are parallel to those of the variables, as Keras's optimizers and those
    of users hold them.

    Args:
        optimizer: The optimizer; it is built.
        variables: Those it was built for, or what stands for them, in their order.
    """
    variables = list(variables)
    known = {id(variable) for variable in (*optimizer._variables, *optimizer._hidden_variables)}
    found: dict[int, tuple[Tensor, Tensor]] = {}
    for kind in optimizer.__dict__.values():
        if not isinstance(kind, (list, tuple)) or len(kind) != len(variables):
            continue
        for slot, variable in zip(kind, variables, strict=True):
            if id(slot) in known and slot.shape == variable.shape:
                found[id(slot)] = (slot, variable)
    return list(found.values())


# Made whole ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def whole(model: Any, here: bool = True, change: bool = False) -> Iterator[None]:
    """Hold ordinary variables, with the values of all parts, within a `with` block.

    All processes must enter it. A model without sharded variables stays as it is.

    Args:
        model: A model, or a layer.
        here: Whether this process needs the values; the others take part in gathering them.
        change: Whether what the block writes into the variables is to be kept; then it must be the
            same on all processes.
    """
    places = places_of(model) if isinstance(model, torch.nn.Module) else []
    if not places:
        yield
        return
    optimizer = _optimizer_of(model)
    cut = {id(place.variable): place.variable for place in places}
    by_shard = {id(variable.shard): variable for variable in cut.values()}
    slots = []
    if optimizer is not None:
        for slot, shard in slots_of(optimizer, optimizer._trainable_variables):
            if id(shard) in by_shard:
                slots.append((slot, by_shard[id(shard)]))
    values = {key: _gathered(variable, here) for key, variable in cut.items()}
    of_slots = [_gathered(cut_like(slot, variable), here) for slot, variable in slots]
    if not here:
        yield
        return
    ordinary = {key: _like(cut[key].shard, value) for key, value in values.items()}
    for key, variable in cut.items():
        ordinary[key].requires_grad_(variable.requires_grad)
    classes = [(m, type(m)) for m in model.modules() if hasattr(type(m), "_orig_cls_mro_index")]
    parts = [slot.data for slot, _ in slots]
    try:
        for module, cls in classes:
            object.__setattr__(module, "__class__", cls.__mro__[cls._orig_cls_mro_index])
        for place in places:
            place.put(ordinary[id(place.variable)])
        for (slot, _), value in zip(slots, of_slots, strict=True):
            slot.data = value
        yield
    finally:
        for module, cls in classes:
            object.__setattr__(module, "__class__", cls)
        for place in places:
            place.put(place.variable)
        with torch.no_grad():
            for (slot, variable), part in zip(slots, parts, strict=True):
                if change:
                    part.copy_(part_of(slot.data, variable))
                slot.data = part
            for key, variable in cut.items():
                if change:
                    variable.assign(ordinary[key])


def _gathered(variable: DTensor, here: bool) -> Tensor | None:
    """The values of a variable on the host, so that a device never holds more than one of them."""
    value = variable.detach().full_tensor()
    # A tensor over one process is not copied.
    return value.to("cpu", copy=True) if here else None


def _optimizer_of(model: Any) -> Any:
    optimizer = getattr(model, "optimizer", None)
    return optimizer if getattr(optimizer, "built", False) else None


def best_cut(shape: torch.Size, count: int) -> Shard:
    """Return the axis along which a weight is cut into equal parts: the first one, if it may be.

    Example:
        >>> best_cut(torch.Size([3, 3, 8, 16]), 4)
        Shard(dim=2)
    """
    even = [axis for axis, size in enumerate(shape) if size % count == 0]
    return Shard(even[0] if even else 0)


def install() -> None:
    """From now on, write and read whole models."""
    WRITING.whole = whole
