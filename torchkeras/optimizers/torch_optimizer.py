"""`TorchOptimizer`: any `torch.optim` optimizer in the place of a Keras one."""

from __future__ import annotations

import functools
import inspect
import json
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from ..naming import auto_name, explain
from .optimizer import Optimizer

__all__ = ["TorchOptimizer", "is_torch_optimizer"]

Factory = Callable[[list[torch.Tensor]], torch.optim.Optimizer]


def is_torch_optimizer(obj: Any) -> bool:
    """Whether `obj` is of `torch.optim`: an optimizer, a class or partial of one, a scheduler.

    >>> is_torch_optimizer(functools.partial(torch.optim.SGD, lr=0.1)), is_torch_optimizer("sgd")
    (True, False)
    """
    if isinstance(obj, functools.partial):
        obj = obj.func
    if inspect.isclass(obj):
        return issubclass(obj, torch.optim.Optimizer)
    return isinstance(obj, (torch.optim.Optimizer, LRScheduler))


class TorchOptimizer(Optimizer):
    """Lets `compile` take an optimizer of PyTorch.

    Args:
        optimizer: A class of `torch.optim` or a `functools.partial` of one, which is called with
            the trainable variables at build; or an optimizer of the model's parameters, whose
            groups are kept; or a scheduler, which stands for its optimizer and itself.
        scheduler: A scheduler of `torch.optim.lr_scheduler`, or a list of them.
        interval: When they step: `"epoch"`, as `on_epoch_end` is called by training, or `"step"`.
        name: Default: the class's name in snake case, numbered.

    Raises:
        ValueError: Not a torch optimizer, or one whose `step` needs a closure.

    Example:
        >>> w = torch.nn.Parameter(torch.tensor([1.0]))
        >>> optimizer = TorchOptimizer(functools.partial(torch.optim.SGD, lr=0.5))
        >>> optimizer.apply([torch.tensor([1.0])], [w])
        >>> w.data, float(optimizer.learning_rate)
        (tensor([0.5000]), 0.5)
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer | LRScheduler | Factory,
        scheduler: LRScheduler | Sequence[LRScheduler] | None = None,
        interval: str = "epoch",
        name: str | None = None,
    ) -> None:
        schedulers = list(scheduler) if isinstance(scheduler, (list, tuple)) else [scheduler]
        if isinstance(optimizer, LRScheduler):
            schedulers.insert(0, optimizer)
            optimizer = optimizer.optimizer
        schedulers = [item for item in schedulers if item is not None]
        _check_arguments(optimizer, schedulers, interval)
        made = isinstance(optimizer, torch.optim.Optimizer)
        cls = type(optimizer) if made else getattr(optimizer, "func", optimizer)
        super().__init__(learning_rate=0.0, name=name or auto_name(cls.__name__))
        self.schedulers = schedulers
        self.interval = interval
        self._factory = None if made else optimizer
        self.optimizer: torch.optim.Optimizer | None = None
        # The rate when the variable and the first parameter group last agreed.
        self._agreed = (0.0, 0.0)
        if made:
            self._adopt(optimizer)
        else:
            self._rate.set(_default_rate(optimizer))

    def _adopt(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer
        self._rate.set(float(optimizer.param_groups[0].get("lr", 0.0)))
        self._agreed = (self._rate.get(), optimizer.param_groups[0].get("lr", 0.0))

    def build(self, variables: Sequence[torch.Tensor]) -> None:
        """Make the torch optimizer, or check that the given one holds the model's parameters.

        Raises:
            ValueError: It holds others.
        """
        if self.built:
            return
        super().build(variables)
        if self.optimizer is None:
            rate = self._rate.get()
            self._adopt(self._factory(list(variables)))
            if rate not in (0.0, self._rate.get()):  # it was set before the build
                self._rate.set(rate)
            return
        known = {id(variable) for variable in variables}
        held = [p for group in self.optimizer.param_groups for p in group["params"]]
        strange = [p for p in held if p.requires_grad and id(p) not in known]
        if strange:
            raise ValueError(
                explain(
                    f"Optimizer '{self.name}' holds parameters that are not the model's trainable"
                    " variables.",
                    shapes=[tuple(p.shape) for p in strange[:5]],
                    unknown=f"{len(strange)} of {len(held)}",
                    fix="make it from `model.parameters()` of the built model, or pass its class or"
                    " a `functools.partial` of it.",
                )
            )

    # One step ------------------------------------------------------------------------------------

    def apply(
        self,
        grads: Sequence[torch.Tensor | None],
        trainable_variables: Sequence[torch.Tensor] | None = None,
    ) -> None:
        """Put the gradients on the variables, let the torch optimizer step, and remove them."""
        grads = list(grads)
        if not grads:
            return
        if trainable_variables is not None and not self.built:
            self.build(list(trainable_variables))
        variables = self._trainable_variables
        if trainable_variables is not None:
            variables = list(trainable_variables)
            self._check_variables_are_known(variables)
        if not self.built or len(grads) != len(variables):
            raise ValueError(
                explain(
                    f"Optimizer '{self.name}': gradients and variables must match one to one.",
                    gradients=len(grads),
                    variables=len(variables) if self.built else "none; the optimizer is not built",
                )
            )
        pairs = self._filter_empty_gradients(grads, variables)
        self._exchange_rates()
        before = [variable.grad for variable in self._trainable_variables]
        try:
            for variable in self._trainable_variables:
                variable.grad = None
            for grad, variable in pairs:
                variable.grad = grad
            self.optimizer.step()
        finally:
            for variable, grad in zip(self._trainable_variables, before, strict=True):
                variable.grad = grad
        with torch.no_grad():
            for _, variable in pairs:
                if getattr(variable, "constraint", None) is not None:
                    variable.copy_(variable.constraint(variable))
        self._clock.set(self._clock.get() + 1)
        if self.interval == "step":
            self.step_schedulers()

    def on_epoch_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Step the schedulers that step by epoch; training calls it at the end of each.

        Args:
            logs: Metrics of the epoch. `ReduceLROnPlateau` gets `val_loss`, or else `loss`.
        """
        if self.interval == "epoch":
            self.step_schedulers(logs)

    def step_schedulers(self, logs: Mapping[str, Any] | None = None) -> None:
        """Step all schedulers now."""
        self._exchange_rates()
        for scheduler in self.schedulers:
            if isinstance(scheduler, ReduceLROnPlateau):
                loss = (logs or {}).get("val_loss", (logs or {}).get("loss"))
                if loss is None:
                    raise ValueError(
                        f"Optimizer '{self.name}': ReduceLROnPlateau needs 'val_loss' or 'loss' in"
                        " the logs, and steps by epoch only."
                    )
                scheduler.step(float(loss))
            else:
                scheduler.step()
        self._exchange_rates()

    # The learning rate ---------------------------------------------------------------------------

    def _exchange_rates(self) -> None:
        """Carry a new rate from the variable to the parameter groups, or the other way.

        The variable stands for the first group's rate; the others keep their ratio to it.
        """
        if self.optimizer is None:
            return
        groups = self.optimizer.param_groups
        mine, theirs = self._rate.get(), groups[0].get("lr", 0.0)
        if mine != self._agreed[0]:
            factor = mine / float(theirs) if theirs else None
            for group in groups:
                rate = mine if factor is None else float(group["lr"]) * factor
                if isinstance(group.get("lr"), torch.Tensor):
                    group["lr"].fill_(rate)
                else:
                    group["lr"] = rate
        elif theirs is not self._agreed[1]:
            self._rate.set(float(theirs))
        self._agreed = (self._rate.get(), groups[0].get("lr", 0.0))

    def _get_current_learning_rate(self) -> Any:
        self._exchange_rates()
        return self._learning_rate

    # State in and out ----------------------------------------------------------------------------

    @property
    def variables(self) -> list[torch.Tensor]:
        """Step count and learning rate, then the tensors of the torch optimizer's state."""
        self._exchange_rates()
        tensors = [value for _, value in self._state_items() if isinstance(value, torch.Tensor)]
        return [*self._variables, *tensors]

    def _state_items(self) -> Iterable[tuple[str, Any]]:
        """Yield each entry of the state with a name such as `3.exp_avg`."""
        state = {} if self.optimizer is None else self.optimizer.state_dict()["state"]
        for index in sorted(state):
            for key, value in sorted(state[index].items()):
                yield f"{index}.{key}", value

    def _scheduled(self) -> list[dict[str, Any]]:
        """What schedulers count and change: their attributes, and the parameter groups."""
        inner = [inner for s in self.schedulers for inner in getattr(s, "_schedulers", ())]
        return [vars(s) for s in (*self.schedulers, *inner)] + self.optimizer.param_groups

    def save_own_variables(self, store: Any) -> None:
        """Write step count, rates, and the states of optimizer and schedulers into `store`."""
        self._exchange_rates()
        store["iteration"] = self._iterations.numpy()
        groups = [] if self.optimizer is None else self.optimizer.param_groups
        rates = [float(group.get("lr", 0.0)) for group in groups] or [self._rate.get()]
        store["learning_rates"] = np.asarray(rates, dtype="float64")
        if self.schedulers:
            text = json.dumps([_numbers_in(part) for part in self._scheduled()])
            store["schedulers"] = np.frombuffer(text.encode(), dtype=np.uint8)
        for name, value in self._state_items():
            if isinstance(value, torch.Tensor):
                value = value.detach().cpu()
                value = value.float() if value.dtype == torch.bfloat16 else value
                store[name] = value.numpy()
            elif isinstance(value, (bool, int, float)):
                store[name] = np.asarray(value)

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Read what `save_own_variables` wrote, into a built optimizer of the same class."""
        if self.optimizer is None or "learning_rates" not in store.keys():
            warnings.warn(
                f"Skipping variable loading for optimizer '{self.name}': "
                + (
                    "it has not been built yet."
                    if self.optimizer is None
                    else "the file was not written with a torch optimizer."
                ),
                stacklevel=2,
            )
            return
        state: dict[int, dict[str, Any]] = {}
        for name in store.keys():
            index, dot, key = name.partition(".")
            if dot:
                state.setdefault(int(index), {})[key] = torch.as_tensor(np.array(store[name]))
        groups = self.optimizer.state_dict()["param_groups"]
        for group, rate in zip(groups, np.asarray(store["learning_rates"]), strict=False):
            if "lr" in group and not isinstance(group["lr"], torch.Tensor):
                group["lr"] = float(rate)
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        self._clock.set(int(np.asarray(store["iteration"])))
        if "schedulers" in store.keys():
            states = json.loads(np.asarray(store["schedulers"]).tobytes())
            for part, known in zip(self._scheduled(), states, strict=False):
                _set_numbers(part, known)
        self._adopt(self.optimizer)

    def get_config(self) -> dict[str, Any]:
        """Refuse: a file has no words for a torch optimizer."""
        raise NotImplementedError(
            explain(
                f"Optimizer '{self.name}' is PyTorch's and has no Keras config, so it cannot be"
                " part of a saved or serialized model.",
                fix="save with `include_optimizer=False` or save the weights only and compile again"
                " after loading, or use the optimizer of this name in `keras.optimizers`.",
            )
        )


def _numbers_in(values: Mapping[str, Any]) -> dict[str, Any]:
    """The entries that are numbers or sequences of them; others, such as functions, stay as made.

    >>> _numbers_in({"last_epoch": 3, "base_lrs": [0.1], "optimizer": object()})
    {'last_epoch': 3, 'base_lrs': [0.1]}
    """

    def are_numbers(value: Any) -> bool:
        items = value if isinstance(value, (list, tuple)) else [value]
        return all(isinstance(item, (bool, int, float)) for item in items)

    return {name: value for name, value in values.items() if are_numbers(value)}


def _set_numbers(values: dict[str, Any], numbers: Mapping[str, Any]) -> None:
    """Set the entries that `values` has as numbers too."""
    for name in _numbers_in(values).keys() & numbers.keys():
        kind = type(values[name])
        values[name] = kind(numbers[name]) if kind in (list, tuple) else numbers[name]


def _check_arguments(optimizer: Any, schedulers: Sequence[Any], interval: str) -> None:
    if not is_torch_optimizer(optimizer):
        raise ValueError(
            explain(
                "TorchOptimizer needs an optimizer of `torch.optim`: an object, a class or a"
                " `functools.partial` of a class.",
                given=repr(optimizer),
            )
        )
    if interval not in ("epoch", "step"):
        raise ValueError(f"`interval` must be 'epoch' or 'step', got {interval!r}.")
    for scheduler in schedulers:
        if getattr(scheduler, "optimizer", None) is not optimizer:
            raise ValueError(
                explain(
                    "A scheduler must belong to the optimizer it is passed with.",
                    scheduler=scheduler,
                    fix="make both from the model's parameters and pass the two objects.",
                )
            )
    cls = getattr(optimizer, "func", optimizer)
    closure = inspect.signature(cls.step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        name = getattr(cls, "__name__", type(cls).__name__)
        raise ValueError(
            f"`{name}` evaluates the loss several times a step through a closure, which training by"
            " gradients does not have. Use it in a PyTorch loop of your own."
        )


def _default_rate(factory: Any) -> float:
    """The learning rate a class or partial will give its optimizer, as far as it can be told."""
    if isinstance(factory, functools.partial):
        if "lr" in factory.keywords:
            return float(factory.keywords["lr"])
        factory = factory.func
    parameter = inspect.signature(factory).parameters.get("lr")
    default = None if parameter is None else parameter.default
    return float(default) if isinstance(default, (int, float, torch.Tensor)) else 0.0
