"""What `FullyShardedDataParallel` does: each process holds a part of every weight.

PyTorch's `fully_shard` (FSDP2) does it, layer by layer: right before a layer is called, its weights
are gathered; afterwards, and after its backward pass, they are let go of, and its gradients are
added up such that each process has the sum for its part. Gradients arrive in `.grad`, from where
the optimizer is given them.

What layers keep beside weights that are trained (moving averages, seeds) stays whole everywhere.
Source: Zhao et al. 2023, "PyTorch FSDP"; `torch.distributed.fsdp.fully_shard`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

from ..dtypes import to_torch
from ..naming import explain
from ..tree import map_structure
from .cut import CutReplicas, Grads, called_layers
from .processes import Processes
from .shards import adopt, best_cut, is_cut

__all__ = ["FullyShardedReplicas"]

Tensor = torch.Tensor
Policy = MixedPrecisionPolicy | bool


class FullyShardedReplicas(CutReplicas):
    """Copies of a model of which each process holds a part of every weight.

    Args:
        processes: The job's.
        shards_data: See `Replicas`.
        mixed_precision: See `FullyShardedDataParallel`.
        reshard_after_forward: See `FullyShardedDataParallel`.
    """

    def __init__(
        self,
        processes: Processes,
        shards_data: bool = True,
        mixed_precision: Policy = True,
        reshard_after_forward: bool | int = True,
    ) -> None:
        super().__init__(processes, shards_data)
        self.mixed_precision = mixed_precision
        self.reshard_after_forward = reshard_after_forward
        kind = "cuda" if processes.on_gpu else "cpu"
        self.mesh = init_device_mesh(kind, (processes.size,), mesh_dim_names=("shard",))

    # Cutting -------------------------------------------------------------------------------------

    def _is_to_be_cut(self, weight: Any) -> bool:
        return (
            weight.dim() > 0
            and weight.is_floating_point()
            and getattr(weight, "created_trainable", weight.requires_grad)
            and not is_cut(weight)
        )

    def _cut(self, model: Any) -> None:
        weights = {id(w): w for w in model.weights if self._is_to_be_cut(w)}
        for weight in weights.values():
            weight.data = weight.detach().contiguous()  # as FSDP2 gathers them
        device = torch.empty(0, device=self.mesh.device_type).device
        for weight in model.weights:
            if id(weight) not in weights and not is_cut(weight):
                weight.data = weight.detach().to(device)
        places: list[tuple[torch.nn.Module, str, Any]] = [
            (module, name, weight)
            for module in model.modules()
            for name, weight in module._parameters.items()
            if id(weight) in weights
        ]
        whole = {p for p in model.parameters() if id(p) not in weights and not is_cut(p)}
        units = _units(model, weights)
        for unit in units:
            self._shard(unit, whole)
        if not any(module._get_fsdp_state()._is_root for module in _sharded_modules(model)):
            self._shard(model, whole)
        # Losses are each process's part of that of the whole batch: gradients are summed.
        for module in _sharded_modules(model):
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)  # gloo knows no other
        for module, name, weight in places:
            parameter = module._parameters[name]
            if not is_cut(parameter):
                adopt(parameter, weight, rows_differ=True)

    def _shard(self, module: Any, ignored: set[Any]) -> None:
        size = self.processes.size
        module.register_forward_hook(_without_views)  # before the hook of FSDP2
        fully_shard(
            module,
            mesh=self.mesh,
            reshard_after_forward=self.reshard_after_forward,
            shard_placement_fn=lambda parameter: best_cut(parameter.shape, size),
            mp_policy=self._policy_for(module, ignored),
            ignored_params=ignored,
        )

    def _policy_for(self, module: Any, ignored: set[Any]) -> MixedPrecisionPolicy:
        """In which dtypes weights and gradients travel: in that in which all layers compute."""
        if isinstance(self.mixed_precision, MixedPrecisionPolicy):
            return self.mixed_precision
        dtypes = {getattr(part, "compute_dtype", None) for part in _owners(module, ignored)}
        if not self.mixed_precision or len(dtypes) != 1 or None in dtypes:
            return MixedPrecisionPolicy(cast_forward_inputs=False)
        dtype = to_torch(dtypes.pop())
        return MixedPrecisionPolicy(
            param_dtype=dtype,
            reduce_dtype=torch.promote_types(dtype, torch.float32),
            cast_forward_inputs=False,
        )

    # Updates -------------------------------------------------------------------------------------

    def gradients_of(
        self, loss: Tensor, variables: list[Any], plain: Callable[..., Any]
    ) -> list[Tensor | None]:
        """Return the parts of the sums of the gradients, which FSDP2 leaves in `.grad`."""
        if not loss.requires_grad:
            return plain(loss, variables)  # which says what is missing
        loss.backward()
        grads = [variable.grad for variable in variables]
        for variable in variables:
            variable.grad = None
        return grads

    own_gradients_of = gradients_of

    def _parts_of_sums(self, grads: Grads, variables: Sequence[Any]) -> list[Tensor | None]:
        parts = [
            grad.to_local() if is_cut(variable) and grad is not None else grad
            for grad, variable in zip(grads, variables, strict=True)
        ]
        # Scalars are not cut, and FSDP2 does not know of them.
        rest = [i for i, variable in enumerate(variables) if not is_cut(variable)]
        for i in rest:
            grad = torch.zeros_like(variables[i]) if parts[i] is None else parts[i]
            parts[i] = self.processes.sum_(grad.detach().clone())
        return parts

    def _parts_of_means(self, grads: Grads, variables: Sequence[Any]) -> list[Tensor | None]:
        rows, total = self.share
        if rows * self.processes.size != total:
            raise NotImplementedError(
                explain(
                    "A `train_step` of one's own needs batches that all processes share evenly"
                    " under FullyShardedDataParallel: gradients are added up before it sees them.",
                    rows=total,
                    processes=self.processes.size,
                    fix="choose a `batch_size` that they divide, and drop a shorter last batch; or"
                    " leave `train_step` as it is, and override `compute_loss`.",
                )
            )
        found = self._parts_of_sums(grads, variables)
        present = [grad for grad in found if grad is not None]
        factor = 1.0 / self.processes.size
        means = iter(torch._foreach_mul(present, factor) if present else ())
        return [None if grad is None else next(means) for grad in found]


def _without_views(module: Any, args: Any, outputs: Any) -> Any:
    """Copy outputs that are views of other tensors.

    FSDP2 gathers weights for the backward pass when the gradients of outputs arrive, and what is
    done in place to a view, as `x += y`, would hide that from it.
    """
    return map_structure(_without_view, outputs) if torch.is_grad_enabled() else outputs


def _without_view(x: Any) -> Any:
    if not isinstance(x, Tensor) or x._base is None or not x.requires_grad:
        return x
    copied = x.clone()
    mask = getattr(x, "_keras_mask", None)
    if mask is not None:
        copied._keras_mask = mask
    return copied


def _units(model: Any, weights: dict[int, Any]) -> list[Any]:
    """The layers whose weights are gathered on their own: those that models call.

    A weight that several of them have belongs to none; it is gathered for the whole model.
    """
    found = list(called_layers(model))
    users: dict[int, int] = {}
    for layer in found:
        for key in {id(weight) for weight in layer.parameters()}:
            users[key] = users.get(key, 0) + 1
    return [
        layer
        for layer in found
        if any(id(weight) in weights for weight in layer.parameters())
        and all(users[id(weight)] == 1 for weight in layer.parameters())
    ]


def _owners(module: Any, ignored: set[Any]) -> Iterator[Any]:
    """The modules that hold weights to be cut, of those that are not units themselves."""
    for part in module.modules():
        held = part._parameters.values()
        if any(p is not None and p not in ignored and not is_cut(p) for p in held):
            yield part


def _sharded_modules(model: Any) -> Iterator[FSDPModule]:
    return (module for module in model.modules() if isinstance(module, FSDPModule))
