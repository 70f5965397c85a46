"""What optimizers and metrics of Keras 2 had: `lr`, slots, weights as lists, gradients."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ...layers.state import HiddenByAttribute
from ...metrics import Metric
from ...naming import explain
from ...optimizers import Optimizer
from ...saving.legacy_training import slots_by_kind
from .members import without, wraps
from .optimizers import base_rate

__all__ = ["METRIC", "OPTIMIZER"]


class _CallableList(list[Any]):
    """The variables of an optimizer, which until tf.keras 2.10 a method returned."""

    def __call__(self) -> list[Any]:
        return self


@wraps
def _variables(former: property) -> property:
    """A list that may be called, as the method that it was."""
    return property(lambda optimizer: _CallableList(former.fget(optimizer)), doc=former.__doc__)


def _get_lr(optimizer: Optimizer) -> Any:
    """The learning rate: a variable, or a schedule; before `decay`."""
    rate = base_rate(optimizer)
    return optimizer.learning_rate if rate is None else rate


def _set_lr(optimizer: Optimizer, value: Any) -> None:
    rate = base_rate(optimizer)
    if rate is None:
        optimizer.learning_rate = value
    else:
        rate.assign(value)


@wraps
def _learning_rate(former: property) -> property:
    """Before `decay`; may be set then, too."""

    def get(optimizer: Optimizer) -> Any:
        rate = base_rate(optimizer)
        return former.fget(optimizer) if rate is None else rate

    def set_rate(optimizer: Optimizer, value: Any) -> None:
        rate = base_rate(optimizer)
        if rate is None or callable(value):
            former.fset(optimizer, value)
        else:
            rate.assign(value)

    return property(get, set_rate, doc=former.__doc__)


def _get_optimizer_weights(self: Optimizer) -> list[np.ndarray]:
    """Return the step count, then the slots, kind by kind, as `optimizers.legacy` did."""
    return [variable.numpy() for variable in slots_by_kind(self)]


@wraps
def _set_optimizer_weights(former: Callable[..., Any]) -> Callable[..., Any]:
    """Take what `get_weights` returned: the step count, then slots kind by kind."""

    @functools.wraps(former)
    def set_weights(self: Optimizer, weights: Any) -> None:
        targets = slots_by_kind(self) if self.built else []
        if not targets or len(weights) != len(targets):  # those of `variables`, as in Keras 3
            former(self, weights)
            return
        for variable, value in zip(targets, weights, strict=True):
            if tuple(variable.shape) != np.shape(value):
                raise ValueError(
                    explain(
                        f"set_weights of '{self.name}': '{variable.path}' has another shape.",
                        given=np.shape(value),
                        expected=tuple(variable.shape),
                    )
                )
        for variable, value in zip(targets, weights, strict=True):
            variable.assign(value)

    return set_weights


def _get_gradients(self: Optimizer, loss: Any, params: Any) -> Any:
    """Return the gradients of a loss that has just been computed."""
    return list(torch.autograd.grad(loss, list(params), allow_unused=True))


def _compute_gradients(self: Optimizer, loss: Any, var_list: Any, tape: Any = None) -> Any:
    """Return pairs of a gradient and a variable."""
    loss = loss() if callable(loss) and not torch.is_tensor(loss) else loss
    variables = list(var_list() if callable(var_list) else var_list)
    if tape is not None:
        return list(zip(tape.gradient(loss, variables), variables, strict=True))
    grads = torch.autograd.grad(loss, variables, allow_unused=True)
    return list(zip(grads, variables, strict=True))


def _minimize(
    self: Optimizer,
    loss: Any,
    var_list: Any,
    tape: Any = None,
    grad_loss: Any = None,
    name: str | None = None,
) -> Any:
    """Compute the gradients and make a step."""
    if grad_loss is not None:
        raise ValueError("minimize: `grad_loss` no longer exists. Fix: multiply the loss by it.")
    with torch.enable_grad():
        pairs = _compute_gradients(self, loss, var_list, tape)
    return self.apply_gradients(pairs)


def _slot_names(self: Optimizer) -> list[str]:
    """Return the kinds of slots."""
    return [name.strip("_") for name in self._slot_names if getattr(self, name, None)]


def _get_slot(self: Optimizer, var: Any, slot_name: str) -> Any:
    """Return the slot of a variable.

    Raises:
        ValueError: There is no such kind.
    """
    kinds = {"m": "momentums", "v": "velocities", "rms": "velocities", "momentum": "momentums",
             "accumulator": "accumulators", "mg": "average_gradients"}  # fmt: skip
    name = kinds.get(slot_name, slot_name)
    if name not in _slot_names(self):
        raise ValueError(
            f"Optimizer '{self.name}' has no slots '{slot_name}'; it has {_slot_names(self)}."
        )
    return getattr(self, f"_{name}")[self._get_variable_index(var)]


def _aggregate_gradients(self: Optimizer, grads_and_vars: Any) -> Any:
    """Return what it is given: in a job of several processes, `apply` takes the mean."""
    return list(grads_and_vars)


@wraps
def _add_from_reference(former: Callable[..., Any]) -> Callable[..., Any]:
    """Take `model_variable`, `variable_name`, `shape` and `initial_value`."""

    @functools.wraps(former)
    def add(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        for old, new in (("model_variable", "reference_variable"), ("variable_name", "name")):
            if old in kwargs:
                kwargs[new] = kwargs.pop(old)
        shape, value = kwargs.pop("shape", None), kwargs.pop("initial_value", None)
        made = former(self, *args, **kwargs)
        if shape is not None and tuple(shape) != tuple(made.shape):
            raise ValueError(
                explain(
                    f"add_variable_from_reference of '{self.name}': another `shape` is for"
                    " `add_variable`.",
                    given=tuple(shape),
                    expected=tuple(made.shape),
                )
            )
        if value is not None:
            made.assign(value)
        return made

    return add


OPTIMIZER: dict[str, Any] = {
    "add_variable_from_reference": _add_from_reference,
    "aggregate_gradients": _aggregate_gradients,
    "apply_gradients": without(
        "experimental_aggregate_gradients", "name", "skip_gradients_aggregation"
    ),
    "compute_gradients": _compute_gradients,
    "get_gradients": _get_gradients,
    "get_slot": _get_slot,
    "get_slot_names": _slot_names,
    "get_weights": _get_optimizer_weights,
    "learning_rate": _learning_rate,
    "lr": property(_get_lr, _set_lr),
    "minimize": _minimize,
    "set_weights": _set_optimizer_weights,
    "variables": _variables,
    "weights": property(lambda optimizer: slots_by_kind(optimizer)),
    "_create_all_weights": lambda optimizer, var_list: optimizer.build(list(var_list)),
    "_decayed_lr": lambda optimizer, var_dtype=None: optimizer._get_current_learning_rate(),
}


def _set_metric_weights(self: Metric, weights: Any) -> None:
    """Give the variables other values."""
    for variable, value in zip(self.variables, weights, strict=True):
        variable.assign(value)


@wraps
def _add_metric_weight(former: Callable[..., Any]) -> Callable[..., Any]:
    """Take the name first; `aggregation`, `synchronization` and `use_resource` do nothing."""

    @functools.wraps(former)
    def add_weight(self: Metric, *args: Any, **kwargs: Any) -> Any:
        for key in ("aggregation", "synchronization", "use_resource"):
            kwargs.pop(key, None)
        if args and isinstance(args[0], str):
            kwargs, args = {**dict(zip(("name", "shape"), args, strict=False)), **kwargs}, ()
        return former(self, *args, **kwargs)

    return add_weight


@wraps
def _call_metric(former: Callable[..., Any]) -> Callable[..., Any]:
    """Let `add_metric` know whose result it gets."""

    @functools.wraps(former)
    def call(self: Metric, *args: Any, **kwargs: Any) -> Any:
        result = former(self, *args, **kwargs)
        if isinstance(result, torch.Tensor):
            result._metric_obj = self
        return result

    return call


METRIC: dict[str, Any] = {
    "__call__": _call_metric,
    "add_weight": _add_metric_weight,
    "get_weights": lambda metric: [variable.numpy() for variable in metric.variables],
    "non_trainable_variables": HiddenByAttribute(lambda metric: metric.variables),
    "non_trainable_weights": HiddenByAttribute(lambda metric: metric.variables),
    "reset_states": lambda metric: metric.reset_state(),
    "set_weights": _set_metric_weights,
    "trainable_variables": HiddenByAttribute(lambda metric: []),
    "trainable_weights": HiddenByAttribute(lambda metric: []),
    "updates": HiddenByAttribute(lambda metric: []),
    "weights": HiddenByAttribute(lambda metric: metric.variables),
}
