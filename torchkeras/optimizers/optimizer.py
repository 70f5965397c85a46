"""`Optimizer`, the base class: everything that does not depend on the update rule.

A step, `apply(grads, variables)`, goes: undo the loss scale, accumulate, clip, decay the weights,
update, average (EMA), constrain, count. Built-in rules define `_update_group`, which changes whole
lists of tensors by torch's fused or `_foreach` functions; rules of users define Keras's
`update_step`, which is called once per variable.

The step count and the learning rate are variables on the CPU, whatever device the model is on, so
that reading them never waits for an accelerator. The lists that kernels take are prepared once, in
a `Plan`. Gradients arrive as a list in the order of the variables; `None` marks a missing one.
"""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch

from ..graph.scopes import StatelessScope, outside_scopes
from ..naming import explain, name_scope, nearest
from ..registry import builtin, deserialize_keras_object, serialize_keras_object
from ..variables import READING, Variable
from .clipping import clip_by_global_norm, clip_by_norm, clip_by_value
from .plan import Group, Plan, same_order
from .schedules import as_number
from .state import LearningRate, OptimizerState, Slots

__all__ = ["LearningRate", "Optimizer"]


@builtin("keras.Optimizer", "keras.optimizers.Optimizer")
class Optimizer(OptimizerState):
    """Base class of optimizers.

    Args:
        learning_rate: A float, a schedule, or a callable without arguments.
        weight_decay: Before each update, weights shrink by this times the learning rate.
        clipnorm: Largest Euclidean norm of each variable's gradient.
        clipvalue: Largest absolute value of an element of a gradient.
        global_clipnorm: Largest Euclidean norm of all gradients together.
        use_ema: Keep a moving average of each variable.
        ema_momentum: Weight of the old average, in [0, 1].
        ema_overwrite_frequency: Steps between replacing the variables by their averages; `None`:
            only in `finalize_variable_values`, which `fit` calls at its end.
        loss_scale_factor: Multiplies the loss in `scale_loss` and divides the gradients.
        gradient_accumulation_steps: Update only at every so many calls, with the mean gradient.
        name: Default: the class's name in snake case, numbered.

    Raises:
        ValueError: An argument is out of range, unknown, or contradicts another.

    Example:
        >>> class PlainDescent(Optimizer):
        ...     def update_step(self, gradient, variable, learning_rate):
        ...         self.assign_sub(variable, gradient * learning_rate)
        >>> w = Variable([1.0, 2.0])
        >>> optimizer = PlainDescent(learning_rate=0.5)
        >>> optimizer.apply([torch.tensor([1.0, 1.0])], [w])
        >>> w.tolist()
        [0.5, 1.5]
    """

    # Attributes that `get_config` adds to the base class's.
    _config_names: ClassVar[tuple[str, ...]] = ()
    # Those of them that are no numbers.
    _list_names: ClassVar[tuple[str, ...]] = ()
    # Names of the attributes that hold the slots `_update_group` finds in `group.slots`.
    _slot_names: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        learning_rate: LearningRate,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if kwargs.pop("decay", None) is not None:
            warnings.warn(
                "Argument `decay` is no longer supported and will be ignored; use a schedule.",
                stacklevel=3,
            )
        if kwargs:
            raise ValueError(
                explain(
                    f"{type(self).__name__}: argument(s) not recognized: {kwargs}."
                    f" {self._hints(kwargs)}".rstrip(),
                    fix="call it `learning_rate`." if "lr" in kwargs else "remove or rename it.",
                )
            )
        super().__init__(learning_rate, name)
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self._check_arguments()
        self._model_variables_moving_average: Slots = []
        self._accumulated_gradients: Slots = []
        self._decay_exclusions: list[torch.Tensor] = []
        self._decay_exclusion_pattern: re.Pattern[str] | None = None
        self._reset_plans()

    def _hints(self, unknown: Iterable[str]) -> str:
        known = inspect.signature(type(self).__init__).parameters.keys() - {"self", "kwargs"}
        return " ".join(filter(None, (nearest(name, known) for name in unknown)))

    def _check_arguments(self) -> None:
        for name in _SCALARS:
            value = getattr(self, name)
            if isinstance(value, (str, Sequence, Mapping)):
                raise TypeError(
                    f"{type(self).__name__}: `{name}` must be a number or None. Received:"
                    f" {name}={value!r}"
                )
        steps = self.gradient_accumulation_steps
        if steps and not steps >= 2:
            raise ValueError(
                "`gradient_accumulation_steps` must be an integer >= 2. Received:"
                f" gradient_accumulation_steps={steps}"
            )
        frequency = self.ema_overwrite_frequency
        if self.use_ema and not 0 <= self.ema_momentum <= 1:
            raise ValueError(
                "`ema_momentum` must be in the range [0, 1]. Received:"
                f" ema_momentum={self.ema_momentum}"
            )
        if self.use_ema and frequency and not (isinstance(frequency, int) and frequency >= 1):
            raise ValueError(
                "`ema_overwrite_frequency` must be an integer >= 1 or None. Received:"
                f" ema_overwrite_frequency={frequency}"
            )
        names = ("clipnorm", "clipvalue", "global_clipnorm")
        limits = {n: getattr(self, n) for n in names if getattr(self, n) is not None}
        if len(limits) > 1:
            raise ValueError(
                "Only one of `clipnorm`, `clipvalue` and `global_clipnorm` can be set. Received:"
                f" {', '.join(f'{name}={limit}' for name, limit in limits.items())}"
            )

    # State ---------------------------------------------------------------------------------------

    @property
    def iterations(self) -> torch.Tensor:
        """The number of updates so far."""
        if self.gradient_accumulation_steps:
            return self._iterations // self.gradient_accumulation_steps
        return self._iterations

    def build(self, variables: Sequence[torch.Tensor]) -> None:
        """Make the optimizer's state for `variables`; subclasses extend it.

        Args:
            variables: The trainable variables, in the order in which gradients will come.
        """
        for name in self._config_names:
            value = getattr(self, name)
            if isinstance(value, (str, Sequence, Mapping)) and name not in self._list_names:
                raise TypeError(
                    f"{type(self).__name__}: `{name}` must be a number. Received: {name}={value!r}"
                )
        self._trainable_variables = list(variables)
        self._reset_plans()
        if self.use_ema:
            self._model_variables_moving_average = self.add_optimizer_variables(
                variables, "average"
            )
        if self.gradient_accumulation_steps:
            self._accumulated_gradients = [
                self.add_variable_from_reference(variable, "gradient_accumulator")
                for variable in variables
            ]
        self.built = True

    # Finding a variable's state ------------------------------------------------------------------

    def _var_key(self, variable: torch.Tensor) -> int:
        return id(variable)

    def _get_variable_index(self, variable: torch.Tensor) -> int:
        return self._indices[id(variable)]

    def _check_variables_are_known(self, variables: Iterable[torch.Tensor]) -> None:
        for variable in variables:
            if id(variable) not in self._indices:
                raise ValueError(
                    explain(
                        f"Unknown variable: {getattr(variable, 'path', variable)}. Optimizer"
                        f" '{self.name}' can only be called for the variables it was originally"
                        " built with.",
                        fix="make a new optimizer for a new set of variables, or compile again.",
                    )
                )

    @staticmethod
    def _overwrite_variable_with_gradient(variable: torch.Tensor) -> bool:
        return getattr(variable, "overwrite_with_gradient", False)

    def _reset_plans(self) -> None:
        self._plan: Plan | None = None
        self._plans: dict[tuple[int, ...], Plan] = {}
        self._indices = {id(v): i for i, v in enumerate(self._trainable_variables)}

    def _plan_for(self, variables: list[torch.Tensor]) -> Plan:
        """Return the lists prepared for these variables, made anew if they moved in memory."""
        key = tuple(map(id, variables))
        plan = self._plans.get(key)
        if plan is None or not plan.is_current():
            indices = [self._indices[i] for i in key]
            self._follow(indices)
            slots = [getattr(self, name, None) or [] for name in self._slot_names]
            plan = Plan(
                variables,
                [[kind[i] for i in indices] if kind else [] for kind in slots],
                [self._use_weight_decay(variable) for variable in variables],
                [self._kind_of(variable) for variable in variables],
            )
            plan.complete = indices == list(range(len(self._trainable_variables)))
            self._plans[key] = plan
        return plan

    def _kind_of(self, variable: torch.Tensor) -> Hashable:
        """What variables must have in common to be updated as one group; here nothing."""
        return None

    def _follow(self, indices: list[int]) -> None:
        """Move the slots to where their variables are, laid out as they are."""
        names = (*self._slot_names, "_model_variables_moving_average", "_accumulated_gradients")
        for name in names:
            kind = getattr(self, name, None) or []
            for i in indices if kind else []:
                slot, variable = kind[i], self._trainable_variables[i].detach()
                if slot is None:
                    continue
                parallel = slot.shape == variable.shape  # else a mean over some axes, say
                dtype = variable.dtype if slot.is_floating_point() else slot.dtype
                if (
                    slot.device != variable.device
                    or slot.dtype != dtype
                    or (parallel and not same_order(slot, variable))
                ):
                    like = variable if parallel else slot
                    moved = torch.empty_like(like, dtype=dtype, device=variable.device)
                    slot.data = moved.copy_(slot.detach())

    # One step ------------------------------------------------------------------------------------

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, torch.Tensor]]) -> Variable:
        """Update variables from pairs of a gradient and a variable; return the step count."""
        grads, variables = zip(*grads_and_vars, strict=True)
        self.apply(grads, variables)
        return self._iterations

    def apply(
        self,
        grads: Sequence[Any],
        trainable_variables: Sequence[torch.Tensor] | None = None,
    ) -> None:
        """Update the variables.

        Args:
            grads: Gradients in the order of the variables. `None` leaves its variable unchanged.
            trainable_variables: The variables, which the first call builds the optimizer for.
                `None`: those it was built for.

        Raises:
            ValueError: There is no gradient at all, their number is wrong, or a variable is not
                one the optimizer was built for.
        """
        if READING.scope is not None:
            self._apply_in_scope(READING.scope, grads, trainable_variables)
            return
        plan = self._plan
        if plan is None or not plan.accepts(grads, trainable_variables):
            plan, grads = self._prepare(grads, trainable_variables)
            if plan is None:
                return
        if self._device_steps is not None:
            self._read_device_steps()
            self._device_steps = None
        # As `torch.no_grad()`, which costs 1 µs.
        grad_mode = torch.is_grad_enabled()
        torch._C._set_grad_enabled(False)
        try:
            if plan.variables:
                self._step(plan, grads)
            self._clock.set(self._clock.get() + 1)
        finally:
            torch._C._set_grad_enabled(grad_mode)

    def _prepare(
        self, grads: Iterable[Any], variables: Iterable[torch.Tensor] | None
    ) -> tuple[Plan | None, Sequence[torch.Tensor]]:
        """Check the arguments of `apply`, build if need be, and bring the gradients into shape."""
        grads = list(grads)
        if not grads:
            return None, grads
        if variables is None:
            if not self.built:
                raise ValueError(
                    explain(
                        f"Optimizer '{self.name}' must be built on a list of variables before"
                        " `apply(grads)` is called without variables.",
                        fix="call `optimizer.build(trainable_variables)` first.",
                    )
                )
            variables = self._trainable_variables
        else:
            variables = list(variables)
            if not self.built:
                with name_scope(self.name, caller=self):
                    self.build(variables)
                self.built = True
            self._check_variables_are_known(variables)
        if len(grads) != len(variables):
            raise ValueError(
                explain(
                    f"Optimizer '{self.name}': gradients and variables must match one to one.",
                    gradients=len(grads),
                    variables=len(variables),
                )
            )
        pairs = self._filter_empty_gradients(grads, variables)
        whole = len(pairs) == len(variables)
        if any(self._overwrite_variable_with_gradient(variable) for _, variable in pairs):
            pairs, whole = self._overwrite_with_gradients(pairs), False
        plan = self._plan_for([variable for _, variable in pairs])
        grads = plan.fit(grad for grad, _ in pairs)
        if whole:
            self._plan = plan
        return plan, grads

    def _filter_empty_gradients(
        self, grads: list[Any], variables: list[torch.Tensor]
    ) -> list[tuple[Any, torch.Tensor]]:
        pairs = list(zip(grads, variables, strict=True))
        present = [pair for pair in pairs if pair[0] is not None]
        if not present:
            raise ValueError(
                explain(
                    "No gradients provided for any variable.",
                    optimizer=self.name,
                    fix="compute the loss from the model's outputs by differentiable operations.",
                )
            )
        if len(present) < len(pairs):
            missing = [getattr(v, "path", v.shape) for g, v in pairs if g is None]
            warnings.warn(
                f"Gradients do not exist for variables {missing} when minimizing the loss. If using"
                " `model.compile()`, did you forget to provide a `loss` argument?",
                stacklevel=4,
            )
        return present

    @torch.no_grad()
    def _overwrite_with_gradients(
        self, pairs: list[tuple[Any, torch.Tensor]]
    ) -> list[tuple[Any, torch.Tensor]]:
        """Assign gradients to the variables marked `overwrite_with_gradient`; return the others.

        Such variables are statistics (of float8 training) that arrive as gradients. While gradients
        accumulate, the largest is kept.
        """
        rest = []
        for grad, variable in pairs:
            if not self._overwrite_variable_with_gradient(variable):
                rest.append((grad, variable))
            elif not self.gradient_accumulation_steps:
                variable.assign(grad)
            else:
                largest = self._accumulated_gradients[self._get_variable_index(variable)]
                torch.maximum(largest, grad, out=largest.detach())
                if self._is_update_step():
                    variable.assign(largest)
                    largest.zero_()
        return rest

    def _is_update_step(self) -> bool:
        return (self._clock.get() + 1) % self.gradient_accumulation_steps == 0

    def _step(self, plan: Plan, grads: Sequence[torch.Tensor]) -> None:
        """Everything between the gradients' checks and the step count, without autograd."""
        if plan.copies:
            grads = plan.copy(grads)
        if self.loss_scale_factor is not None:
            grads = torch._foreach_div(grads, self.loss_scale_factor)
        if self.gradient_accumulation_steps:
            grads = self._accumulate(plan, grads)
        if grads:
            if self.clipnorm or self.clipvalue or self.global_clipnorm:
                grads = self._clip_gradients(grads)
            self._update(plan, grads)
        if self.use_ema:
            self._update_averages()
        for variable in plan.constrained:
            variable.assign(variable.constraint(variable))

    def _accumulate(self, plan: Plan, grads: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
        """Add to the sums; at an update step return the mean instead and clear all sums."""
        sums = [self._accumulated_gradients[self._get_variable_index(v)] for v in plan.variables]
        if not self._is_update_step():
            torch._foreach_add_(sums, grads)
            return ()
        steps = self.gradient_accumulation_steps
        grads = torch._foreach_div(torch._foreach_add(grads, sums), steps)
        torch._foreach_zero_(self._accumulated_gradients)
        return grads

    def _clip_gradients(self, grads: Sequence[Any]) -> Sequence[torch.Tensor]:
        grads = [g if isinstance(g, torch.Tensor) else torch.as_tensor(g) for g in grads]
        if self.clipnorm and self.clipnorm > 0:
            return clip_by_norm(grads, self.clipnorm)
        if self.global_clipnorm and self.global_clipnorm > 0:
            return clip_by_global_norm(grads, self.global_clipnorm)
        if self.clipvalue and self.clipvalue > 0:
            return clip_by_value(grads, self.clipvalue)
        return grads

    def _update(self, plan: Plan, grads: Sequence[torch.Tensor]) -> None:
        """Decay the weights and apply the update rule."""
        if self._has_own_rule():
            self._apply_weight_decay(plan.variables)
            learning_rate = self._get_current_learning_rate()
            for grad, variable in zip(grads, plan.variables, strict=True):
                self.update_step(grad, variable, learning_rate)
            return
        learning_rate = self._learning_rate_now()
        for group in plan.groups:
            self._decay_and_update(group, group.take(grads), learning_rate)
        torch._C._increment_version(plan.aliases)  # the fused kernels leave it to the caller

    def _decay_and_update(
        self, group: Group, grads: Sequence[torch.Tensor], learning_rate: float | torch.Tensor
    ) -> None:
        if group.decayed:
            self._decay(group.decayed, learning_rate, group.kind)
        self._update_group(group, grads, learning_rate)

    def _decay(
        self, variables: list[torch.Tensor], learning_rate: float | torch.Tensor, kind: Hashable
    ) -> None:
        """Shrink variables of one kind."""
        if self.weight_decay is not None:
            torch._foreach_mul_(variables, 1 - self.weight_decay * learning_rate)

    def update_step(
        self, gradient: torch.Tensor, variable: torch.Tensor, learning_rate: Any
    ) -> None:
        """Update one variable: the method in which a user's optimizer defines its rule.

        Args:
            gradient: Its gradient, of its shape and dtype.
            variable: The variable.
            learning_rate: A 0-d tensor or a number.
        """
        plan = self._plan_for([variable])
        grads = plan.fit([gradient])
        with torch.no_grad():
            for group in plan.groups:
                self._update_group(group, plan.copy(grads), as_number(learning_rate))

    update_step.by_groups = True

    def _has_own_rule(self) -> bool:
        """Whether a user's class has overridden `update_step`, which is then called as it is."""
        return not hasattr(type(self).update_step, "by_groups")

    def _update_group(
        self, group: Group, grads: Sequence[torch.Tensor], learning_rate: float | torch.Tensor
    ) -> None:
        """Update the variables of one device and dtype, weight decay included.

        Args:
            group: The lists to change.
            grads: Gradients parallel to `group.variables`, in their dtype and layout.
            learning_rate: A number, or a 0-d tensor on the variables' device.
        """
        raise NotImplementedError(
            f"Optimizer '{type(self).__name__}' must override"
            " `update_step(self, gradient, variable, learning_rate)`."
        )

    def assign(self, variable: Variable, value: Any) -> None:
        """Set a variable of the model or the optimizer."""
        variable.assign(value)

    def assign_add(self, variable: Variable, value: Any) -> None:
        """Add to a variable of the model or the optimizer."""
        variable.assign_add(value)

    def assign_sub(self, variable: Variable, value: Any) -> None:
        """Subtract from a variable of the model or the optimizer."""
        variable.assign_sub(value)

    # Weight decay --------------------------------------------------------------------------------

    def exclude_from_weight_decay(
        self,
        var_list: Iterable[torch.Tensor] | None = None,
        var_names: Iterable[str] | None = None,
    ) -> None:
        """Choose variables that weight decay leaves alone.

        Args:
            var_list: Those variables.
            var_names: Regular expressions; a variable whose name contains a match is excluded.

        Example:
            >>> optimizer = Optimizer(0.1, weight_decay=0.01)
            >>> optimizer.exclude_from_weight_decay(var_names=["bias"])
        """
        self._decay_exclusions = list(var_list or ())
        patterns = sorted(set(var_names or ()))
        self._decay_exclusion_pattern = re.compile("|".join(patterns)) if patterns else None
        self._reset_plans()

    def _use_weight_decay(self, variable: torch.Tensor) -> bool:
        if any(variable is excluded for excluded in self._decay_exclusions):
            return False
        pattern = self._decay_exclusion_pattern
        return pattern is None or pattern.search(getattr(variable, "name", None) or "") is None

    @torch.no_grad()
    def _apply_weight_decay(self, variables: Iterable[torch.Tensor]) -> None:
        kinds: dict[Hashable, list[torch.Tensor]] = {}
        for variable in variables:
            if self._use_weight_decay(variable):
                kinds.setdefault(self._kind_of(variable), []).append(variable)
        for kind, decayed in kinds.items():
            self._decay(decayed, self._learning_rate_now(), kind)

    # Moving averages of the variables ------------------------------------------------------------

    def _update_averages(self) -> None:
        updates, frequency = self._updates(), self.ema_overwrite_frequency
        pairs = self._averaged(self._trainable_variables)
        averages, variables = zip(*pairs, strict=True)
        # The first average is the variable itself.
        if isinstance(updates, torch.Tensor):
            weight = torch.where(updates > 0, 1.0 - self.ema_momentum, 1.0)
            torch._foreach_lerp_(averages, variables, [weight.to(average) for average in averages])
            for average, variable in pairs if frequency else ():
                due = (updates.to(variable.device) + 1) % frequency == 0
                variable.copy_(torch.where(due, average, variable))
            return
        torch._foreach_lerp_(averages, variables, 1.0 - self.ema_momentum if updates else 1.0)
        if frequency and (updates + 1) % frequency == 0:
            torch._foreach_copy_(variables, averages)

    def _averaged(
        self, variables: Sequence[torch.Tensor]
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        averages = self._model_variables_moving_average
        if len(variables) != len(averages):
            raise ValueError(
                explain(
                    f"Optimizer '{self.name}' keeps averages of {len(averages)} variables, but got"
                    f" {len(variables)}.",
                    fix="pass the variables for which the optimizer was built.",
                )
            )
        pairs = zip(averages, variables, strict=True)
        return [(average.detach(), v.detach()) for average, v in pairs if average is not None]

    def finalize_variable_values(self, var_list: Sequence[torch.Tensor]) -> None:
        """Finish training: with `use_ema`, set the variables to their averages."""
        if self.use_ema:
            for average, variable in self._averaged(var_list):
                variable.copy_(average)

    # Loss scale ----------------------------------------------------------------------------------

    def scale_loss(self, loss: Any) -> Any:
        """Multiply the loss by `loss_scale_factor`, if there is one."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    # Other ways of calling -----------------------------------------------------------------------

    @torch.no_grad()
    def stateless_apply(
        self,
        optimizer_variables: Sequence[torch.Tensor],
        grads: Sequence[Any],
        trainable_variables: Sequence[torch.Tensor],
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Compute an update from given values and leave all variables as they were.

        Args:
            optimizer_variables: Values for `variables`.
            grads: Gradients.
            trainable_variables: Values for the variables the optimizer was built for.

        Returns:
            The new values of the trainable variables, and of the optimizer's.

        Raises:
            ValueError: The optimizer is not built, or the numbers of values are wrong.
        """
        if not self.built:
            raise ValueError(
                explain(
                    f"To call `stateless_apply`, optimizer '{self.name}' must be built.",
                    fix="call `optimizer.build(trainable_variables)` first.",
                )
            )
        own, model = self.variables, self._trainable_variables
        for what, given, expected in (
            ("optimizer_variables", optimizer_variables, own),
            ("trainable_variables", trainable_variables, model),
        ):
            if len(given) != len(expected):
                raise ValueError(
                    f"`{what}` of `stateless_apply` must have one tensor for each variable:"
                    f" expected {len(expected)}, got {len(given)}."
                )
        holders, values = [*model, *own], [*trainable_variables, *optimizer_variables]
        former = [holder.detach().clone() for holder in holders]
        try:
            for holder, value in zip(holders, values, strict=True):
                holder.detach().copy_(torch.as_tensor(value))
            self.apply(grads)
            self._read_device_steps()
            results = [holder.detach().clone() for holder in holders]
        finally:
            for holder, value in zip(holders, former, strict=True):
                holder.detach().copy_(value)
        return results[: len(model)], results[len(model) :]

    def _apply_in_scope(
        self,
        scope: StatelessScope,
        grads: Sequence[Any],
        trainable_variables: Sequence[torch.Tensor] | None,
    ) -> None:
        """Update the values that variables have in an open `StatelessScope`."""
        own, model = self.variables, self._trainable_variables
        chosen = model if trainable_variables is None else list(trainable_variables)
        self._check_variables_are_known(chosen)
        given = {id(v): grad for v, grad in zip(chosen, grads, strict=True)}
        values = [scope.value_of(variable) for variable in (*model, *own)]
        with outside_scopes():
            updated, state = self.stateless_apply(
                values[len(model) :], [given.get(id(v)) for v in model], values[: len(model)]
            )
        for variable, value in zip((*model, *own), (*updated, *state), strict=True):
            scope.add_update((variable, value))

    def can_apply_where(self) -> bool:
        """Whether `apply_where` works: the rule is built in, and each call is an update."""
        return not (self._has_own_rule() or self.gradient_accumulation_steps)

    def apply_where(
        self,
        finite: torch.Tensor,
        grads: Sequence[Any],
        trainable_variables: Sequence[torch.Tensor] | None = None,
    ) -> None:
        """As `apply` if `finite` is true, else do nothing; without asking the device which it is.

        Args:
            finite: A 0-d bool on the variables' device.
            grads: As in `apply`.
            trainable_variables: As in `apply`.
        """
        plan, grads = self._prepare(grads, trainable_variables)
        if plan is None or not plan.variables:
            return
        steps = self._steps_on(finite.device)
        with torch.no_grad():
            host = (self._clock.variable, self._learning_rate)
            state = [*self._variables, *self._hidden_variables]
            slots = [v for v in state if not any(v is known for known in host)]
            averaged = self._trainable_variables if self.use_ema else ()  # they may be replaced
            touched = [*plan.aliases, *(v.detach() for v in averaged), *slots]
            former = [tensor.clone() for tensor in touched]
            self._step(plan, grads)
            for tensor, old in zip(touched, former, strict=True):
                tensor.copy_(torch.where(finite, tensor, old))
            steps += finite

    def _updates(self) -> int | torch.Tensor:
        """The number of updates before this one; a tensor where only a device knows it."""
        if self._device_steps is not None:
            return self._device_steps
        steps = self.gradient_accumulation_steps
        return self._clock.get() // steps if steps else self._clock.get()

    # Configs and copies --------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; the learning rate is the current one."""
        rate = self._learning_rate
        config = {
            "name": self.name,
            "learning_rate": float(rate) if torch.is_tensor(rate) else serialize_keras_object(rate),
        }
        return config | {key: getattr(self, key) for key in (*_CONFIG_NAMES, *self._config_names)}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Optimizer:
        """Make an optimizer from what `get_config` returned."""
        rate = config.get("learning_rate")
        if isinstance(rate, dict):
            rate = deserialize_keras_object(rate, custom_objects=custom_objects)
            config = {**config, "learning_rate": rate}
        return cls(**config)

    def __getstate__(self) -> dict[str, Any]:
        self._read_device_steps()
        return {key: value for key, value in self.__dict__.items() if key not in _DERIVED}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset_plans()


_CONFIG_NAMES = (
    "weight_decay",
    "clipnorm",
    "global_clipnorm",
    "clipvalue",
    "use_ema",
    "ema_momentum",
    "ema_overwrite_frequency",
    "loss_scale_factor",
    "gradient_accumulation_steps",
)
# Settings that are one number or `None`.
_SCALARS = (
    "weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "ema_momentum", "loss_scale_factor",
)  # fmt: skip
# What copies and pickles leave out, since it is made from the rest.
_DERIVED = ("_plan", "_plans", "_indices")
