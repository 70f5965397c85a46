"""Several optimizers for one model: `MultiOptimizer`, and `OptimizerMap`, which assigns them."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any

import torch

from ..naming import explain
from ..registry import builtin, deserialize_keras_object, serialize_keras_object
from ..variables import Variable
from .loss_scale import LossScaleOptimizer
from .optimizer import Optimizer

__all__ = ["MultiOptimizer", "OptimizerMap"]


@builtin("keras.optimizers.OptimizerMap")
class OptimizerMap(MutableMapping):
    """Which optimizer is for which variable, by the variable's path.

    Keys are paths or regular expressions that must match a whole path. An equal key wins over
    expressions; a path that nothing matches gets the default.

    Args:
        default_optimizer: For all other variables.
        optimizer_map: Optimizers by path or expression.

    Raises:
        TypeError: The default is no optimizer, or the map no dict.
        ValueError: A key is set twice or is no string, or its value is no optimizer or wraps one.

    Example:
        >>> from torchkeras.optimizers import SGD, Adam
        >>> optimizers = OptimizerMap(SGD(name="rest"))
        >>> optimizers["encoder/.*"] = Adam(name="first")
        >>> optimizers["encoder/dense/kernel"].name, optimizers["head/kernel"].name
        ('first', 'rest')
    """

    def __init__(
        self, default_optimizer: Optimizer, optimizer_map: dict[str, Optimizer] | None = None
    ) -> None:
        if not isinstance(default_optimizer, Optimizer):
            raise TypeError(
                "OptimizerMap: default_optimizer must be a Keras Optimizer instance. Received:"
                f" {default_optimizer!r}"
            )
        if optimizer_map is not None and not isinstance(optimizer_map, dict):
            raise TypeError(
                f"OptimizerMap: optimizer_map must be a dictionary. Received: {optimizer_map!r}"
            )
        self._default_optimizer = default_optimizer
        self._optimizer_map = optimizer_map or {}

    @property
    def default_optimizer(self) -> Optimizer:
        """The optimizer of the variables that no key matches."""
        return self._default_optimizer

    def __getitem__(self, key: str) -> Optimizer:
        """Return the optimizer for the variable with the path `key`.

        Raises:
            ValueError: Several expressions match it.
        """
        if key in self._optimizer_map:
            return self._optimizer_map[key]
        matching = [pattern for pattern in self._optimizer_map if re.fullmatch(pattern, key)]
        if len(matching) > 1:
            raise ValueError(
                explain(
                    f"Multiple optimizers assigned to variable {key}.",
                    matching=matching,
                    fix="make the keys of the OptimizerMap exclude each other.",
                )
            )
        return self._optimizer_map[matching[0]] if matching else self._default_optimizer

    def __setitem__(self, key: str, optimizer: Optimizer) -> None:
        if not isinstance(key, str):
            raise ValueError(f"OptimizerMap: key must be a string. Received: {key!r}")
        if key in self._optimizer_map:
            raise ValueError(
                explain(
                    f"'{key}' already exists in the OptimizerMap.",
                    value=self._optimizer_map[key].name,
                    fix="delete the key first.",
                )
            )
        _check_is_plain(
            optimizer, "optimizer must be a Keras Optimizer instance.", "optimizer cannot be {}."
        )
        self._optimizer_map[key] = optimizer

    def __delitem__(self, key: str) -> None:
        del self._optimizer_map[key]

    def __len__(self) -> int:
        return len(self._optimizer_map)

    def __iter__(self) -> Iterator[str]:
        return iter(self._optimizer_map)

    def __call__(self, variable: torch.Tensor) -> Optimizer:
        """Return the optimizer for a variable."""
        return self[variable.path]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "default_optimizer": serialize_keras_object(self._default_optimizer),
            "optimizer_map": serialize_keras_object(self._optimizer_map),
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> OptimizerMap:
        """Make a map from what `get_config` returned."""
        return cls(
            *(
                deserialize_keras_object(config[key], custom_objects=custom_objects)
                for key in ("default_optimizer", "optimizer_map")
            )
        )


@builtin("keras.optimizers.MultiOptimizer")
class MultiOptimizer(Optimizer):
    """Updates each variable by an optimizer of its own.

    It has no learning rate; those inside, in `optimizers`, have.

    Args:
        optimizer_map: An `OptimizerMap`, or a function from a variable to its optimizer.
        loss_scale_factor: Replaces the factors of the optimizers inside.
        name: Default: the class's name in snake case, numbered.

    Raises:
        ValueError: At build: an optimizer inside is none, or wraps others itself.
        AttributeError: Its learning rate is asked for or set.

    Example:
        >>> from torchkeras.optimizers import SGD
        >>> a, b = Variable([1.0], name="a"), Variable([1.0], name="b")
        >>> optimizer = MultiOptimizer(OptimizerMap(SGD(0.5), {"b": SGD(0.25)}))
        >>> optimizer.apply([torch.ones(1), torch.ones(1)], [a, b])
        >>> a.item(), b.item()
        (0.5, 0.75)
    """

    def __init__(
        self,
        optimizer_map: OptimizerMap | Callable[[torch.Tensor], Optimizer],
        loss_scale_factor: float | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(learning_rate=0.0, loss_scale_factor=loss_scale_factor, name=name)
        self._optimizer_map = optimizer_map
        self._inner_optimizers: list[Optimizer] = []
        # For each optimizer, where its variables stand among all.
        self._positions: list[list[int]] = []
        for optimizer in getattr(optimizer_map, "values", tuple)():
            self._adopt(optimizer)
        if getattr(optimizer_map, "default_optimizer", None) is not None:
            self._adopt(optimizer_map.default_optimizer)

    def _adopt(self, optimizer: Optimizer) -> int:
        """Add an optimizer, unless it is known, and return its number."""
        for i, known in enumerate(self._inner_optimizers):
            if known is optimizer:
                return i
        optimizer.loss_scale_factor = self.loss_scale_factor
        self._inner_optimizers.append(optimizer)
        return len(self._inner_optimizers) - 1

    def build(self, var_list: Sequence[torch.Tensor]) -> None:
        """Choose an optimizer for each variable, and build the optimizers."""
        if self.built:
            return
        self._var_to_optimizer_idx: dict[int, int] = {}
        for variable in var_list:
            optimizer = self._optimizer_map(variable)
            path = getattr(variable, "path", tuple(variable.shape))
            _check_is_plain(
                optimizer,
                f"Optimizer for variable {path} is not an Optimizer instance.",
                "{} cannot be used inside an MultiOptimizer.",
            )
            self._var_to_optimizer_idx[self._var_key(variable)] = self._adopt(optimizer)
        owners = [self._var_to_optimizer_idx[self._var_key(v)] for v in var_list]
        self._positions = [
            [i for i, owner in enumerate(owners) if owner == number]
            for number in range(len(self._inner_optimizers))
        ]
        for optimizer, variables in self._split(var_list):
            optimizer.build(variables)
        super().build(var_list)

    def _split(self, items: Sequence[Any]) -> Iterator[tuple[Optimizer, list[Any]]]:
        """Deal out what is parallel to the variables among the optimizers that have any."""
        for optimizer, positions in zip(self._inner_optimizers, self._positions, strict=True):
            if positions:
                yield optimizer, [items[i] for i in positions]

    @property
    def optimizers(self) -> list[Optimizer]:
        """The optimizers inside."""
        return self._inner_optimizers

    # One step ------------------------------------------------------------------------------------

    def apply(
        self,
        grads: Sequence[Any],
        trainable_variables: Sequence[torch.Tensor] | None = None,
    ) -> None:
        """Update each variable by its optimizer.

        Args:
            grads: Gradients in the order of the variables; one for each variable.
            trainable_variables: The variables, which the first call builds the optimizers for.
                `None`: those they were built for.

        Raises:
            ValueError: The number of gradients is wrong, a variable is unknown, or an optimizer
                gets no gradient at all.
        """
        grads = self._in_order(grads, trainable_variables)
        if grads:
            for optimizer, own in self._split(grads):
                optimizer.apply(own)
            self._read_device_steps()
            self._device_steps = None
            self._clock.set(self._clock.get() + 1)

    def can_apply_where(self) -> bool:
        """Whether `apply_where` works for all optimizers inside."""
        return all(optimizer.can_apply_where() for optimizer in self._inner_optimizers)

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
        grads = self._in_order(grads, trainable_variables)
        if grads:
            for optimizer, own in self._split(grads):
                optimizer.apply_where(finite, own)
            steps = self._steps_on(finite.device)
            steps += finite

    def _in_order(
        self, grads: Sequence[Any], variables: Sequence[torch.Tensor] | None
    ) -> list[Any]:
        """Check the arguments of `apply`, build if need be, and sort the gradients."""
        grads = list(grads)
        if not grads:
            return grads
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
        elif not self.built:
            variables = list(variables)
            self.build(variables)
        known = self._trainable_variables
        if not len(grads) == len(variables) == len(known):
            raise ValueError(
                explain(
                    f"Optimizer '{self.name}': gradients must match trainable variables"
                    " one-to-one.",
                    gradients=len(grads),
                    variables=len(known),
                )
            )
        if all(map(operator.is_, variables, known)):
            return grads
        self._check_variables_are_known(variables)
        by_variable = {id(v): grad for v, grad in zip(variables, grads, strict=True)}
        return [by_variable[id(v)] for v in known]

    def finalize_variable_values(self, var_list: Sequence[torch.Tensor]) -> None:
        """As the optimizers inside do, each with its variables."""
        owned: dict[int, list[torch.Tensor]] = {}
        for variable in var_list:
            owned.setdefault(self._var_to_optimizer_idx[id(variable)], []).append(variable)
        for number, variables in owned.items():
            self._inner_optimizers[number].finalize_variable_values(variables)

    def on_epoch_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Tell those inside that step schedulers of PyTorch by epoch."""
        for optimizer in self._inner_optimizers:
            if hasattr(optimizer, "on_epoch_end"):
                optimizer.on_epoch_end(logs)

    # What it passes on ---------------------------------------------------------------------------

    @property
    def variables(self) -> list[Variable]:
        """Its own step count and unused learning rate, then the state of the optimizers inside."""
        self._read_device_steps()
        inside = [v for optimizer in self._inner_optimizers for v in optimizer.variables]
        return [*self._variables, *inside]

    @property
    def loss_scale_factor(self) -> float | None:
        """The factor of the loss, which all optimizers inside have."""
        return self._loss_scale_factor

    @loss_scale_factor.setter
    def loss_scale_factor(self, value: float | None) -> None:
        self._loss_scale_factor = value
        for optimizer in self.__dict__.get("_inner_optimizers", ()):
            optimizer.loss_scale_factor = value

    @property
    def learning_rate(self) -> Any:
        """None: each optimizer inside has one of its own."""
        raise AttributeError(_NO_RATE.format("accessed"))

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        raise AttributeError(_NO_RATE.format("set"))

    @property
    def iterations(self) -> torch.Tensor:
        """The number of calls of `apply` so far."""
        return self._iterations

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "optimizer_map": serialize_keras_object(self._optimizer_map),
            "loss_scale_factor": self.loss_scale_factor,
            "name": self.name,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> MultiOptimizer:
        """Make an optimizer from what `get_config` returned."""
        chosen = deserialize_keras_object(config["optimizer_map"], custom_objects=custom_objects)
        return cls(**{**config, "optimizer_map": chosen})


_NO_RATE = (
    "Learning rate cannot be {} on a MultiOptimizer, which has several. Use `learning_rate` of"
    " those in its `optimizers`."
)


def _check_is_plain(optimizer: Any, not_one: str, wrapper: str) -> None:
    """Refuse what is no optimizer, and optimizers that wrap others."""
    if not isinstance(optimizer, Optimizer):
        raise ValueError(explain(not_one, given=repr(optimizer)))
    for cls in (LossScaleOptimizer, MultiOptimizer):
        if isinstance(optimizer, cls):
            raise ValueError(
                explain(
                    wrapper.format(cls.__name__),
                    fix="wrap the whole MultiOptimizer in a LossScaleOptimizer, or put the"
                    " optimizers themselves into the map.",
                )
            )
