"""What every optimizer holds: a step count, a learning rate, slots, and their way to files."""

from __future__ import annotations

import contextlib
import re
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch

from ..config import floatx
from ..dtypes import standardize_dtype, to_numpy
from ..initializers import get as get_initializer
from ..naming import auto_name, explain, name_scope
from ..variables import READING, Variable
from .plan import HostScalar
from .schedules import LearningRateSchedule, Lookahead, as_number

__all__ = ["LearningRate", "OptimizerState", "Slots", "attributes_untracked"]

LearningRate = float | LearningRateSchedule | Callable[[], Any]
Slots = list[Variable | None]

# Attributes that hold variables of the model, which are no state of the optimizer.
_OF_THE_MODEL = frozenset({"_trainable_variables", "_decay_exclusions"})


class _Tracking(threading.local):
    """Whether variables become part of an optimizer's state by being assigned to an attribute."""

    of_attributes = True


_TRACKING = _Tracking()


@contextlib.contextmanager
def attributes_untracked() -> Iterator[None]:
    """Inside, only variables that `add_variable` and its like make become part of the state."""
    before, _TRACKING.of_attributes = _TRACKING.of_attributes, False
    try:
        yield
    finally:
        _TRACKING.of_attributes = before


class OptimizerState:
    """The variables of an optimizer and its learning rate.

    Args:
        learning_rate: A float, a schedule, or a callable without arguments.
        name: Default: the class's name in snake case, numbered.

    Raises:
        ValueError: The learning rate is something else.
    """

    def __init__(self, learning_rate: LearningRate, name: str | None) -> None:
        object.__setattr__(self, "_variables", [])
        # What steps change, yet is in no file: see `attributes_untracked`.
        object.__setattr__(self, "_hidden_variables", [])
        self.name = auto_name(type(self).__name__) if name is None else name
        self.built = False
        self._trainable_variables: list[torch.Tensor] = []
        # The step count while only a device knows which steps were skipped (`apply_where`).
        self._device_steps: torch.Tensor | None = None
        self._device_steps_from = 0
        self._clock = HostScalar(self._host_variable(0, "iteration", "int32"))
        if not callable(learning_rate):
            if not isinstance(learning_rate, float):
                raise ValueError(
                    explain(
                        f"{type(self).__name__}: argument `learning_rate` should be float, or an"
                        " instance of LearningRateSchedule, or a callable without arguments.",
                        given=repr(learning_rate),
                        fix="write 1.0 instead of 1." if isinstance(learning_rate, int) else None,
                    )
                )
            learning_rate = self._host_variable(learning_rate, "learning_rate", floatx())
        self._learning_rate = learning_rate

    # The step count ------------------------------------------------------------------------------

    @property
    def _iterations(self) -> Variable:
        """The number of calls of `apply` so far."""
        self._read_device_steps()
        return self._clock.variable

    def _read_device_steps(self) -> None:
        """Bring the step count from the device; this waits for the device."""
        steps = self._device_steps
        if steps is not None and not steps.is_meta and self._clock.get() == self._device_steps_from:
            self._device_steps_from = int(steps.item())
            self._clock.set(self._device_steps_from)

    def _steps_on(self, device: torch.device) -> torch.Tensor:
        """Return the step count as a tensor on `device`, which is the true one from now on."""
        number = self._clock.get()
        steps = self._device_steps
        if steps is None or steps.device != device:
            self._read_device_steps()
            steps = torch.full((), self._clock.get(), dtype=torch.float64, device=device)
            self._device_steps_from = self._clock.get()
        elif number != self._device_steps_from:  # somebody assigned to `iterations`
            steps.fill_(number)
            self._device_steps_from = number
        self._device_steps = steps
        return steps

    # The learning rate ---------------------------------------------------------------------------

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the next step: a variable, or a schedule's or callable's result."""
        return self._get_current_learning_rate()

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        current = self._learning_rate
        if callable(learning_rate):
            self._learning_rate = learning_rate
            if isinstance(current, Variable):
                self._untrack_variable(current)
        elif not isinstance(current, Variable):
            what = (
                "LearningRateSchedule" if isinstance(current, LearningRateSchedule) else "callable"
            )
            raise TypeError(
                explain(
                    f"This optimizer was created with a `{what}` as its learning rate, hence its"
                    " learning rate is not settable.",
                    optimizer=self.name,
                    given=learning_rate,
                    fix="create the optimizer with a float `learning_rate`.",
                )
            )
        else:
            current.assign(learning_rate)

    def _get_current_learning_rate(self) -> Any:
        rate = self._learning_rate
        if isinstance(rate, LearningRateSchedule):
            return rate(self._iterations)
        return rate() if callable(rate) else rate

    def _learning_rate_now(self) -> float | torch.Tensor:
        """The learning rate for the update rule: a number, unless only a device knows the step."""
        if self._rate is not None:
            return self._rate.get()
        if self._lookahead is None:
            return as_number(self._learning_rate())
        if self._device_steps is not None:
            return as_number(self._learning_rate(self._device_steps))
        return self._lookahead.at(self._clock.variable, self._clock.get())

    # Variables -----------------------------------------------------------------------------------

    @property
    def variables(self) -> list[Variable]:
        """The state: step count, learning rate (unless scheduled), then the slots."""
        self._read_device_steps()
        return self._variables[:]

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str = "none",
        layout: Any = None,
        name: str | None = None,
    ) -> Variable:
        """Make a variable that belongs to the optimizer's state.

        Args:
            shape: Its shape, fully known.
            initializer: An initializer or its name.
            dtype: Default: `config.floatx()`.
            aggregation: As in `Variable`.
            layout: As in `Variable`.
            name: Last part of its path.
        """
        self._check_initialized()
        with name_scope(self.name, caller=self):
            variable = Variable(
                get_initializer(initializer),
                shape=tuple(shape),
                dtype=dtype,
                trainable=False,
                aggregation=aggregation,
                name=name,
                layout=layout,
            )
        self._track_variable(variable)
        return variable

    def add_variable_from_reference(
        self,
        reference_variable: torch.Tensor,
        name: str | None = None,
        initializer: Any = "zeros",
    ) -> Variable:
        """Make a variable with another one's shape, dtype, device and place of axes in memory.

        Args:
            reference_variable: A model's variable.
            name: What it is, such as `momentum`; the path also names the reference.
            initializer: An initializer or its name.
        """
        self._check_initialized()
        path = getattr(reference_variable, "path", None) or "variable"
        name = f"{re.sub('[/:]', '_', path)}_{name or 'var'}"
        late = READING.late if initializer == "zeros" and READING.scope is None else None
        value = None if late is None else late.room_like(reference_variable)
        with name_scope(self.name, caller=self):
            if value is not None:
                variable = Variable.adopt(torch.nn.Parameter(value, requires_grad=False), name)
                late.watch()
            else:
                value = torch.zeros_like(reference_variable, requires_grad=False)
                if initializer != "zeros":
                    fill = get_initializer(initializer)
                    with torch.device(value.device):
                        value.copy_(fill(tuple(value.shape), dtype=standardize_dtype(value.dtype)))
                variable = Variable(value, trainable=False, name=name, device=value.device)
        self._track_variable(variable)
        return variable

    def add_optimizer_variables(
        self,
        trainable_variables: Iterable[torch.Tensor],
        name: str | Sequence[str],
        initializer: Any = "zeros",
    ) -> Slots | tuple[Slots, ...]:
        """Make one slot, or one of each of several kinds, for every variable.

        Args:
            trainable_variables: The model's variables.
            name: The kind, or a list of kinds.
            initializer: One for all kinds, or a list with one for each.

        Returns:
            A list parallel to the variables (with `None` for those that gradients overwrite), or a
            tuple of such lists if `name` is a list.

        Raises:
            ValueError: The lists of names and initializers differ in length.
        """
        names = [name] if isinstance(name, str) else list(name)
        several = isinstance(initializer, (list, tuple))
        fills = list(initializer) if several else [initializer] * len(names)
        if len(fills) != len(names):
            raise ValueError(
                explain(
                    "The number of provided names must match the number of provided initializers.",
                    names=names,
                    initializers=fills,
                )
            )
        slots: tuple[Slots, ...] = tuple([] for _ in names)
        for variable in trainable_variables:
            overwritten = self._overwrite_variable_with_gradient(variable)
            # Variable by variable, not kind by kind: files depend on the order.
            for kind, kind_name, fill in zip(slots, names, fills, strict=True):
                kind.append(
                    None
                    if overwritten
                    else self.add_variable_from_reference(variable, kind_name, fill)
                )
        return slots[0] if isinstance(name, str) else slots

    def _host_variable(self, value: float, name: str, dtype: str) -> Variable:
        with name_scope(self.name, caller=self):
            variable = Variable(
                value,
                dtype=dtype,
                trainable=False,
                name=name,
                device="cpu",
                aggregation="only_first_replica",
            )
        self._track_variable(variable)
        return variable

    def _track_variable(self, variable: Variable) -> None:
        self._variables.append(variable)

    def _track_attributes(self, variables: Sequence[Variable]) -> None:
        """Track variables that were not made by `add_variable`."""
        if variables:
            known = {id(variable) for variable in (*self._variables, *self._hidden_variables)}
            tracked = self._variables if _TRACKING.of_attributes else self._hidden_variables
            tracked.extend(variable for variable in variables if id(variable) not in known)

    def _untrack_variable(self, variable: Variable) -> None:
        self._variables[:] = [known for known in self._variables if known is not variable]

    def _check_initialized(self) -> None:
        if "_variables" not in self.__dict__:
            raise RuntimeError(
                f"In optimizer '{type(self).__name__}', you forgot to call `super().__init__()` as"
                " the first statement in the `__init__()` method. Go add it!"
            )

    def __setattr__(self, name: str, value: Any) -> None:
        self._check_initialized()
        if name == "_learning_rate":
            object.__setattr__(self, "_rate", HostScalar(value) if torch.is_tensor(value) else None)
            scheduled = isinstance(value, LearningRateSchedule)
            object.__setattr__(self, "_lookahead", Lookahead(value) if scheduled else None)
        elif name not in _OF_THE_MODEL:
            items = value if isinstance(value, (list, tuple)) else (value,)
            self._track_attributes([item for item in items if isinstance(item, Variable)])
        object.__setattr__(self, name, value)

    # State in and out ----------------------------------------------------------------------------

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set the state from a list of arrays in the order of `variables`.

        Raises:
            ValueError: The optimizer is not built, or a shape is wrong.
        """
        if not self.built:
            raise ValueError(
                explain(
                    f"You are calling `set_weights()` on optimizer '{self.name}', which has not"
                    " been built.",
                    fix="call `optimizer.build(trainable_variables)` first.",
                )
            )
        for variable, weight in zip(self.variables, weights, strict=False):
            if tuple(variable.shape) != tuple(weight.shape):
                raise ValueError(
                    explain(
                        f"Optimizer variable '{variable.path}' got a weight of another shape.",
                        given=tuple(weight.shape),
                        expected=tuple(variable.shape),
                    )
                )
            variable.assign(weight)

    def save_own_variables(self, store: Any) -> None:
        """Write the state into `store`, a mapping from `"0"`, `"1"`, … to arrays."""
        # Stores of files are done with the values before the optimizer goes on.
        shared = getattr(store, "is_of_a_file", False)
        for i, variable in enumerate(self.variables):
            store[str(i)] = to_numpy(variable) if shared else variable.numpy()

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Read the state from `store`; with a warning leave it as it is if the number differs."""
        variables = self.variables
        if len(store.keys()) != len(variables):
            hint = "" if variables else " It has not been called or built yet."
            warnings.warn(
                f"Skipping variable loading for optimizer '{self.name}', because it has"
                f" {len(variables)} variables whereas the saved optimizer has"
                f" {len(store.keys())} variables.{hint}",
                stacklevel=2,
            )
            return
        read_into = getattr(store, "read_into", None)  # of files: without a copy in between
        for i, variable in enumerate(variables):
            if read_into is None or not read_into(str(i), variable):
                variable.assign(store[str(i)])
