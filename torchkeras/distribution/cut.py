"""Copies of a model whose weights are cut over the processes, and their optimizers.

`CutReplicas` is what `FullyShardedDataParallel` and `ModelParallel` have in common. Models are made
whole, as always; when they are first trained, tested or asked for predictions they are cut, and
from then on their weights are `ShardedVariable`s. Optimizers are given the shards.

All that an optimizer does element by element is right on shards as it is. What looks at a whole
gradient or weight is done around it: norms for clipping are added up over the processes, and
constraints are given whole weights. Optimizers whose rule itself looks at whole tensors raise.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist

from ..naming import explain
from ..optimizers import Adafactor, Lamb, LossScaleOptimizer, MultiOptimizer, Muon
from ..optimizers.clipping import clip_by_global_norm, clip_by_norm
from ..optimizers.torch_optimizer import TorchOptimizer
from .processes import Processes
from .replicas import Replicas
from .shards import cut_like, install, is_cut, part_of, places_of, slots_of

__all__ = ["CutReplicas", "called_layers"]

Tensor = torch.Tensor
Grads = Sequence[Tensor | None]

# Their rules look at whole tensors, or hold other optimizers that would have to be told.
_OF_WHOLE_TENSORS = (Adafactor, Lamb, LossScaleOptimizer, MultiOptimizer, Muon, TorchOptimizer)


class CutReplicas(Replicas):
    """Copies of a model that share their weights out among the processes of each copy, or of all.

    Args:
        processes: Each with another part of every batch.
        shards_data: See `Replicas`.
    """

    is_cut = True

    def __init__(self, processes: Processes, shards_data: bool = True) -> None:
        super().__init__(processes, shards_data)
        install()

    # Cutting -------------------------------------------------------------------------------------

    def prepare(self, model: Any) -> None:
        """Cut a built model, unless that has been done, and fit its optimizer to it."""
        if not model.built:
            return
        places_of(model)  # which ends what a forward pass has left
        if any(self._is_to_be_cut(weight) for weight in model.weights):
            self.processes.spread(self._replicated(model))
            with torch.no_grad():
                self._cut(model)
        optimizer = getattr(model, "optimizer", None)
        if optimizer is not None:
            self._fit(optimizer, model)

    def _is_to_be_cut(self, weight: Any) -> bool:
        raise NotImplementedError

    def _cut(self, model: Any) -> None:
        raise NotImplementedError

    def _fit(self, optimizer: Any, model: Any) -> None:
        """Let an optimizer have the shards, and cut the slots that it has."""
        if isinstance(optimizer, _OF_WHOLE_TENSORS):
            raise NotImplementedError(
                explain(
                    f"{type(optimizer).__name__} cannot train weights that are cut: its rule looks"
                    " at whole tensors, of which each process has a part.",
                    optimizer=optimizer.name,
                    fix="use an optimizer that goes element by element, such as AdamW (with"
                    " `mixed_bfloat16`, which needs no loss scale), or `DataParallel`.",
                )
            )
        variables = model.trainable_variables
        shards = self.held(variables)
        if not optimizer.built:
            if variables:
                optimizer.build(shards)
            return
        former = optimizer._trainable_variables
        if all(map(operator.is_, former, shards)) or not any(map(is_cut, variables)):
            return
        known = {id(variable) for variable in former}
        if any(is_cut(v) and id(v.shard) in known for v in variables):
            return  # built for these shards, of which some are frozen by now
        if [tuple(v.shape) for v in former] != [tuple(v.shape) for v in variables]:
            raise NotImplementedError(
                explain(
                    f"Optimizer '{optimizer.name}' was built for other weights than those that"
                    f" model '{model.name}' trains, so its state cannot be cut as they are.",
                    fix="freeze and unfreeze layers before the optimizer is built, or compile the"
                    " model again.",
                )
            )
        for slot, whole in slots_of(optimizer, former):
            variable = variables[next(i for i, v in enumerate(former) if v is whole)]
            if is_cut(variable):
                slot.data = part_of(slot, variable).clone()
        excluded = {id(v): shard for v, shard in zip(former, shards, strict=True)}
        optimizer._decay_exclusions = [excluded.get(id(v), v) for v in optimizer._decay_exclusions]
        optimizer._trainable_variables = list(shards)
        optimizer._reset_plans()

    def held(self, variables: Sequence[Any]) -> list[Any]:
        """Return what optimizers are given in the place of some variables of a model."""
        return [variable.shard if is_cut(variable) else variable for variable in variables]

    def _replicated(self, model: Any) -> list[Any]:
        """The variables of which all processes hold all."""
        optimizer = getattr(model, "optimizer", None)
        found = [variable for variable in model.variables if not is_cut(variable)]
        if optimizer is not None and optimizer.built:
            parts = self.cut_slots(optimizer, model)
            found += [v for v in optimizer.variables if id(v) not in parts]
        return found

    def cut_slots(self, optimizer: Any, model: Any) -> dict[int, Any]:
        """Return, by the `id` of each slot of which this is a part, the slot as a `DTensor`."""
        cut = {id(v.shard): v for v in model.variables if is_cut(v)}
        return {
            id(slot): cut_like(slot, cut[id(shard)])
            for slot, shard in slots_of(optimizer, optimizer._trainable_variables)
            if id(shard) in cut
        }

    # Updates -------------------------------------------------------------------------------------

    def update(self, optimizer: Any, grads: Grads, variables: Sequence[Any]) -> None:
        """Let an optimizer apply this process's parts of the sums of gradients."""
        grads = self._parts_of_sums(grads, variables)
        with self._clipping_whole(optimizer, grads, variables):
            optimizer.apply(grads, self.held(variables))
        self._constrain(variables)

    def _parts_of_sums(self, grads: Grads, variables: Sequence[Any]) -> list[Tensor | None]:
        """Return the parts of the sums over all processes."""
        raise NotImplementedError

    def _applying(self, optimizer: Any, weighted: bool = True) -> Callable[..., None]:
        plain = optimizer.apply

        def apply(grads: Sequence[Any], trainable_variables: Any = None) -> None:
            grads = list(grads)
            variables = trainable_variables
            if variables is None:
                variables = optimizer._trainable_variables
            variables = list(variables)
            if not grads:
                return
            grads = self._parts_of_means(grads, variables)
            with self._clipping_whole(optimizer, grads, variables):
                plain(grads, self.held(variables))
            self._constrain(variables)

        return apply

    def _parts_of_means(self, grads: Grads, variables: Sequence[Any]) -> list[Tensor | None]:
        """As `_parts_of_sums`, of gradients of means over each process's rows."""
        raise NotImplementedError

    @contextmanager
    def _clipping_whole(
        self, optimizer: Any, grads: Grads, variables: Sequence[Any]
    ) -> Iterator[None]:
        """Let an optimizer clip by norms of whole gradients."""
        if not (optimizer.clipnorm or optimizer.global_clipnorm):
            yield
            return
        present = [v for v, grad in zip(variables, grads, strict=True) if grad is not None]

        def clip(grads: Sequence[Tensor]) -> list[Tensor]:
            norms = self._norms(grads, present)
            if optimizer.clipnorm:
                return clip_by_norm(grads, optimizer.clipnorm, norms)
            return clip_by_global_norm(grads, optimizer.global_clipnorm, norms)

        optimizer.__dict__["_clip_gradients"] = clip
        try:
            yield
        finally:
            del optimizer.__dict__["_clip_gradients"]

    def _norms(self, grads: Sequence[Tensor], variables: Sequence[Any]) -> list[Tensor]:
        """The Euclidean norms of whole gradients, from their parts."""
        squares = torch.stack([norm.square() for norm in torch._foreach_norm(grads)])
        cut = next(filter(is_cut, variables), None)
        for axis in range(0 if cut is None else cut.device_mesh.ndim):
            here = [is_cut(v) and v.placements[axis].is_shard() for v in variables]
            chosen = torch.tensor(here, device=squares.device)
            parts = torch.where(chosen, squares, 0.0)
            group = cut.device_mesh.get_group(axis)
            self.processes.wait(dist.all_reduce(parts, group=group, async_op=True))
            squares = torch.where(chosen, parts, squares)
        return list(squares.sqrt().unbind())

    def _constrain(self, variables: Sequence[Any]) -> None:
        for variable in variables:
            constraint = variable.whole_constraint if is_cut(variable) else None
            if constraint is not None:
                with torch.no_grad():
                    variable.assign(constraint(variable.full_tensor()))


def called_layers(model: Any) -> Iterator[Any]:
    """The layers that a model calls, and those that models in it call."""
    for layer in model._layers:
        if hasattr(layer, "make_train_function"):
            yield from called_layers(layer)
        else:
            yield layer
