"""What `ModelParallel` does: weights are cut over a mesh as a `LayoutMap` says.

The mesh has an axis of batches and others, of the model. Processes along the axis of batches have
other rows each, and add up their gradients, as under `DataParallel`. Along the others they have the
same rows, and each holds a part of the weights, as a `DTensor`.

A `Dense` layer or an `Embedding` computes with the parts: each process does its share of the
product, and what comes out is brought together. In other layers the weights are brought together
for the time of the call: memory is saved there, but no computation. Between layers tensors are
whole, so that any layer may follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor

from ..activations import KERNELS, gelu, linear
from ..layers import Dense, Embedding, Wrapper
from ..naming import explain
from ..tree import map_structure
from .cut import CutReplicas, Grads, called_layers
from .layout import TensorLayout
from .processes import Processes, ProcessesOfAxis
from .shards import adopt, is_cut

__all__ = ["ModelReplicas"]

Tensor = torch.Tensor

# Activations that act on each element, so on parts as well.
_BY_ELEMENT = frozenset({None, linear, gelu, *KERNELS})


class ModelReplicas(CutReplicas):
    """Copies of a model, each of which lies on all processes along some axes of a mesh.

    Args:
        processes: The job's.
        distribution: A `ModelParallel`.
    """

    def __init__(self, processes: Processes, distribution: Any) -> None:
        mesh = distribution.device_mesh
        names = tuple(mesh.axis_names)
        kind = "cuda" if processes.on_gpu else "cpu"
        grid = init_device_mesh(kind, tuple(mesh.shape), mesh_dim_names=names)
        rows = grid[distribution.batch_dim_name]
        self.axes = tuple(name for name in names if name != distribution.batch_dim_name)
        self.mesh = grid[self.axes] if self.axes else None
        self.layout_of: Callable[[Any], TensorLayout] = distribution.get_variable_layout
        self.batch_axis = distribution.batch_dim_name
        along = ProcessesOfAxis(processes, rows.get_local_rank(), rows.size(), rows.get_group())
        super().__init__(along, distribution.auto_shard_dataset)

    # Cutting -------------------------------------------------------------------------------------

    def _is_to_be_cut(self, weight: Any) -> bool:
        return not is_cut(weight) and any(self._axes_of(weight))

    def _axes_of(self, weight: Any) -> Sequence[str | None]:
        """For each axis of a weight the axis of the mesh along which it is cut.

        Raises:
            NotImplementedError: That is the axis of batches.
        """
        axes = self.layout_of(weight).axes if hasattr(weight, "path") else ()
        if self.batch_axis in axes:
            raise NotImplementedError(
                explain(
                    f"Weight '{weight.path}' is to be cut along '{self.batch_axis}', the axis of"
                    " batches.",
                    layout=axes,
                    fix="cut weights along another axis of the mesh; or cut all of them along that"
                    " of batches, by `FullyShardedDataParallel`.",
                )
            )
        return axes

    def _cut(self, model: Any) -> None:
        chosen = {id(w) for w in model.weights if self._is_to_be_cut(w)}
        if self.mesh is None or not chosen:
            return
        # Wrappers may compute with a layer without calling it.
        wrapped = {
            id(layer)
            for wrapper in model.modules()
            if isinstance(wrapper, Wrapper)
            for layer in wrapper.modules()
        }
        with_parts = [
            layer
            for layer in model.modules()
            if id(layer) not in wrapped and _computes_with_parts(layer, chosen)
        ]
        for layer in with_parts:
            chosen |= {id(w) for w in layer._parameters.values() if _takes_part(w)}
        made: dict[int, Any] = {}
        for module in model.modules():
            for name, weight in list(module._parameters.items()):
                if id(weight) in chosen:
                    if id(weight) not in made:
                        made[id(weight)] = self._parameter(weight)
                    module._parameters[name] = made[id(weight)]
        for layer in with_parts:
            layer.register_forward_pre_hook(self._to_parts)
            layer.register_forward_hook(_to_whole)
        skip = {id(layer) for layer in with_parts}
        for unit in called_layers(model):
            if id(unit) not in skip and any(_cut_places(unit, skip)):
                bringing = _BroughtTogether(unit, skip)
                unit.register_forward_pre_hook(bringing.begin, prepend=True)
                unit.register_forward_hook(bringing.end, always_call=True)

    def _parameter(self, weight: Any) -> Any:
        cut = {axis: dim for dim, axis in enumerate(self._axes_of(weight)) if axis is not None}
        placements = [Shard(cut[name]) if name in cut else Replicate() for name in self.axes]
        parts = distribute_tensor(
            weight.detach().clone(memory_format=torch.contiguous_format),
            self.mesh,
            placements,
            src_data_rank=None,
        )
        parameter = torch.nn.Parameter(parts, requires_grad=weight.requires_grad)
        return adopt(parameter, weight, rows_differ=False)

    def _to_parts(self, layer: Any, args: tuple[Any, ...]) -> Any:
        def on_mesh(x: Any) -> Any:
            if not isinstance(x, Tensor) or isinstance(x, DTensor):
                return x
            return DTensor.from_local(x, self.mesh, [Replicate()] * len(self.axes), run_check=False)

        return map_structure(on_mesh, args)

    # Updates -------------------------------------------------------------------------------------

    def gradients_of(
        self, loss: Tensor, variables: list[Any], plain: Callable[..., Any]
    ) -> Sequence[Tensor | None]:
        """Return the gradients of this process's part of the loss."""
        return plain(loss, variables)

    def _parts_of_sums(self, grads: Grads, variables: Sequence[Any]) -> list[Tensor | None]:
        return self._added_up(grads, variables, 1.0)

    def _parts_of_means(self, grads: Grads, variables: Sequence[Any]) -> list[Tensor | None]:
        return self._added_up(grads, variables, self.share.fraction)

    def _added_up(
        self, grads: Grads, variables: Sequence[Any], factor: float
    ) -> list[Tensor | None]:
        parts = [_part(grad, v) for grad, v in zip(grads, variables, strict=True)]
        if self.part.size == 1:
            return parts
        return self.sum_of(self.held(variables)).reduce(parts, factor)


def _part(grad: Any, variable: Any) -> Tensor | None:
    """This process's part of a gradient, cut as its variable is."""
    if not isinstance(grad, DTensor):
        return grad
    return grad.redistribute(placements=variable.placements).to_local()


def _takes_part(weight: Any) -> bool:
    """Whether a weight of a layer that computes with parts has to be on the mesh."""
    return weight is not None and not is_cut(weight) and weight.is_floating_point()


def _computes_with_parts(layer: Any, chosen: set[int]) -> bool:
    return (
        type(layer) in (Dense, Embedding)
        and any(id(weight) in chosen for weight in layer._parameters.values())
        and getattr(layer, "activation", None) in _BY_ELEMENT
        and not layer.lora_enabled
        and layer.quantization_mode is None
    )


def _to_whole(layer: Any, args: Any, outputs: Any) -> Any:
    return map_structure(lambda x: x.full_tensor() if isinstance(x, DTensor) else x, outputs)


class _BroughtTogether:
    """Holds whole weights in a layer, for the time of a call.

    Args:
        unit: A layer that a model calls.
        skip: The ids of layers inside that compute with parts.
    """

    def __init__(self, unit: Any, skip: set[int]) -> None:
        self.unit, self.skip = unit, skip
        self._former: list[list[tuple[Any, str, Any]]] = []

    def begin(self, unit: Any, args: Any) -> None:
        """Bring the weights together."""
        places = list(_cut_places(unit, self.skip))
        self._former.append(places)
        whole = {id(weight): weight.full_tensor() for _, _, weight in places}
        for module, name, weight in places:
            module._parameters[name] = whole[id(weight)]

    def end(self, unit: Any, args: Any, outputs: Any) -> None:
        """Put the parts back."""
        for module, name, weight in self._former.pop() if self._former else ():
            module._parameters[name] = weight


def _cut_places(unit: Any, skip: set[int]) -> Iterator[tuple[Any, str, Any]]:
    for module in unit.modules():
        if id(module) not in skip:
            for name, weight in module._parameters.items():
                if is_cut(weight):
                    yield module, name, weight
