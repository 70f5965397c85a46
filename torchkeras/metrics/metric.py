"""`Metric`, the base of all metrics: state in variables, updated batch by batch, read when wanted.

Nothing here waits for the device: an update adds to variables where the data is, and a result is a
0-d tensor; turning it into a number is what synchronizes. State starts on the default device and
moves to the device of the first data. What is known on the host, such as the number of samples, is
added up there and written to its variable when somebody looks (`Deferred`): on a step's path a
Python addition replaces a kernel.

While shapes are being inferred (`CONTEXT.meta`), updates do nothing. Within a `StatelessScope` they
change the scope's values, at once: what is kept beside a variable belongs to the variable itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..config import floatx
from ..dtype_policies import get as get_dtype_policy
from ..dtypes import to_torch
from ..graph.context import CONTEXT
from ..graph.scopes import outside_scopes
from ..initializers import get as get_initializer
from ..naming import auto_name, explain, name_scope
from ..registry import builtin
from ..variables import READING, Variable

__all__ = ["Deferred", "Metric"]

_OWN_LISTS = ("_metrics", "_variables")


class Deferred:
    """A state variable as an attribute; reading it first brings the state up to date."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.slot = f"_{name}"

    def __get__(self, metric: Any, owner: type) -> Any:
        if metric is None:
            return self
        metric._settle_itself()
        try:
            return metric.__dict__[self.slot]
        except KeyError:
            raise AttributeError(f"{metric!r} has no state '{self.slot[1:]}' yet.") from None

    def __set__(self, metric: Any, value: Any) -> None:
        metric.__dict__[self.slot] = value


def _guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `update_state`: no gradients, state beside the data, nothing in shape inference."""

    @functools.wraps(method)
    def update_state(self: Metric, *args: Any, **kwargs: Any) -> Any:
        if CONTEXT.meta:
            self._meet_shapes(*args, **kwargs)
            return None
        if READING.scope is not None:
            return _in_scope(method, self, args, kwargs)
        data = args[1] if len(args) > 1 else args[0] if args else None
        if not isinstance(data, Tensor):
            tensors = (x for x in (*args, *kwargs.values()) if isinstance(x, Tensor))
            data = next(tensors, None)
        if data is not None and self._variables and data.device != self._variables[0].device:
            self._move(data.device)
        if not torch.is_grad_enabled():
            return method(self, *args, **kwargs)
        torch._C._set_grad_enabled(False)
        try:
            return method(self, *args, **kwargs)
        finally:
            torch._C._set_grad_enabled(True)

    return update_state


def _guarded_reset(method: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `reset_state`, for scopes."""

    @functools.wraps(method)
    def reset_state(self: Metric) -> Any:
        return method(self) if READING.scope is None else _in_scope(method, self, (), {})

    return reset_state


@torch.no_grad()
def _in_scope(method: Callable[..., Any], metric: Metric, args: Any, kwargs: Any) -> Any:
    """Change the values that an open `StatelessScope` has for the state."""
    metric._settle_itself()
    try:
        return method(metric, *args, **kwargs)
    finally:
        metric._settle()


@builtin("keras.metrics.Metric", "keras.Metric")
class Metric:
    """Base of metrics: subclasses make variables in `__init__` and write the two methods below.

    `update_state(...)` adds a batch to the variables, `result()` computes the value from them.

    Args:
        dtype: Dtype of the computation, or a dtype policy. Default: `floatx`.
        name: Default: made from the class's name.

    Example:
        >>> class Largest(Metric):
        ...     def __init__(self, **kwargs):
        ...         super().__init__(**kwargs)
        ...         self.largest = self.add_variable((), "zeros", name="largest")
        ...     def update_state(self, y_true, y_pred, sample_weight=None):
        ...         self.largest.assign(torch.maximum(self.largest, y_pred.max()))
        ...     def result(self):
        ...         return self.largest
        >>> float(Largest()(torch.zeros(2), torch.tensor([1.0, 3.0])))
        3.0
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "update_state" in cls.__dict__:
            cls.update_state = _guarded(cls.__dict__["update_state"])
        if "reset_state" in cls.__dict__:
            cls.reset_state = _guarded_reset(cls.__dict__["reset_state"])

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        self._metrics: list[Metric] = []
        self._variables: list[Variable] = []
        self.name = name or auto_name(type(self).__name__)
        self._dtype_policy = get_dtype_policy(dtype or floatx())
        self._dtype = self._dtype_policy.compute_dtype
        self._torch_dtype = to_torch(self._dtype)

    # What subclasses define ----------------------------------------------------------------------

    def _meet_shapes(self, *args: Any, **kwargs: Any) -> None:
        """Do what depends on the shapes that `update_state` was given within shape inference."""

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Add a batch to the state."""
        raise NotImplementedError(f"{type(self).__name__} must define `update_state`.")

    def result(self) -> Any:
        """Compute the value: a tensor, or a dict of tensors."""
        raise NotImplementedError(f"{type(self).__name__} must define `result`.")

    def reset_state(self) -> None:
        """Set all state to zeros."""
        for variable in self.variables:
            variable.detach().zero_()

    def _settle(self) -> None:
        """Write what is kept beside the variables into them."""

    def _settle_itself(self) -> None:
        """Likewise, into the variables themselves where a `StatelessScope` has values for them."""
        if READING.scope is None:
            self._settle()
        else:
            with outside_scopes():
                self._settle()

    # State ---------------------------------------------------------------------------------------

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any,
        dtype: Any = None,
        aggregation: str = "sum",
        name: str | None = None,
    ) -> Variable:
        """Make a state variable.

        Args:
            shape: Its shape.
            initializer: A name, initializer or callable.
            dtype: Default: `floatx`.
            aggregation: How replicas would be combined.
            name: Last part of its path.

        Raises:
            RuntimeError: The subclass has not called `super().__init__()` yet.
        """
        self._check_super_called()
        with name_scope(self.name.replace("/", ">")):
            variable = Variable(
                get_initializer("zeros" if initializer is None else initializer),
                shape=tuple(shape),
                dtype=dtype,
                trainable=False,
                aggregation=aggregation,
                synchronization="on_read",
                name=name,
            )
        self._variables.append(variable)
        return variable

    def add_weight(
        self,
        shape: Sequence[int] = (),
        initializer: Any = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> Variable:
        """Make a state variable; the older name of `add_variable`."""
        return self.add_variable(shape, initializer, dtype=dtype, name=name)

    @property
    def variables(self) -> list[Variable]:
        """The state, up to date, with that of metrics held as attributes."""
        self._settle_itself()
        variables = list(self._variables)
        for metric in self._metrics:
            variables.extend(metric.variables)
        return variables

    @property
    def dtype(self) -> str:
        """Name of the dtype of the computation."""
        return self._dtype

    def _move(self, device: torch.device) -> None:
        """Put the state on `device`; what is on `meta` has no values and becomes zeros."""
        for variable in self.variables:
            if variable.device == device:
                continue
            if variable.is_meta or device.type == "meta":
                moved = variable.rewrap(torch.zeros_like(variable, device=device))
                torch.utils.swap_tensors(variable, moved)
            else:
                variable.data = variable.data.to(device)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, (Metric, Variable, list, tuple, dict)) and name not in _OWN_LISTS:
            self._track(value)
        object.__setattr__(self, name, value)

    def _track(self, value: Any) -> None:
        """Find variables and metrics in an attribute's value."""
        if isinstance(value, Metric):
            self._check_super_called()
            if all(value is not known for known in self._metrics):
                self._metrics.append(value)
        elif isinstance(value, Variable):
            self._check_super_called()
            if all(value is not known for known in self._variables):
                self._variables.append(value)
        elif isinstance(value, (list, tuple, dict)):
            for item in value.values() if isinstance(value, dict) else value:
                self._track(item)

    def _check_super_called(self) -> None:
        if "_variables" not in self.__dict__:
            raise RuntimeError(
                explain(
                    f"{type(self).__name__}: state was made before the base class was set up.",
                    fix="call `super().__init__()` first in `__init__()`.",
                )
            )

    # Pure functions of the state -----------------------------------------------------------------

    def stateless_update_state(
        self, metric_variables: Sequence[Tensor], *args: Any, **kwargs: Any
    ) -> list[Tensor]:
        """Return the state that an update makes of `metric_variables`, changing nothing.

        Args:
            metric_variables: One tensor per entry of `variables`.
            *args: As for `update_state`.
            **kwargs: As for `update_state`.

        Raises:
            ValueError: Another number of tensors.
        """

        def update() -> list[Tensor]:
            self.update_state(*args, **kwargs)
            return [variable.detach().clone() for variable in self.variables]

        return self._with_state(metric_variables, update)

    def stateless_result(self, metric_variables: Sequence[Tensor]) -> Any:
        """Return the value that belongs to the state `metric_variables`.

        Raises:
            ValueError: Another number of tensors than `variables` has.
        """
        return self._with_state(metric_variables, self.result)

    def stateless_reset_state(self) -> list[Tensor]:
        """Return the state after a reset, changing nothing."""

        def reset() -> list[Tensor]:
            self.reset_state()
            return [variable.detach().clone() for variable in self.variables]

        return self._with_state([variable.detach() for variable in self.variables], reset)

    def _with_state(self, values: Sequence[Tensor], function: Callable[[], Any]) -> Any:
        variables = self.variables
        if len(values) != len(variables):
            raise ValueError(
                explain(
                    f"{type(self).__name__}: `metric_variables` must have one tensor per variable.",
                    given=len(values),
                    expected=f"{len(variables)}: {[variable.path for variable in variables]}",
                )
            )
        saved = [variable.detach().clone() for variable in variables]
        try:
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
            result = function()
            return result.clone() if isinstance(result, Tensor) else result
        finally:
            # Read anew: an update may have moved or made variables.
            for variable, value in zip(self.variables, saved, strict=False):
                variable.assign(value)

    # The rest ------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._check_super_called()
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        """Make a metric from what `get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"
