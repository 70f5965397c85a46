"""What a layer owns: weights, inner layers, seeds and metrics, and how attributes hold them."""

from __future__ import annotations

import contextlib
import operator
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.modules import module as _hooks

from ..config import default_device, device
from ..constraints import get as get_constraint
from ..dtypes import readable, standardize_dtype, to_numpy, to_torch
from ..graph.context import ADDING, CONTEXT
from ..graph.operation import checked_name
from ..initializers import get as get_initializer
from ..metrics.metric import Metric
from ..naming import current_path, explain, is_scope_of, name_scope
from ..random import SeedGenerator
from ..regularizers import get as get_regularizer
from ..tree import flatten
from ..variables import FREEZING, Variable, itself
from .tracking import (
    CONTAINERS,
    Tracked,
    WeightList,
    by_number,
    children_of,
    containers_in,
    first_parameter,
    in_order_of_arrival,
    is_stateless,
    is_tracking_enabled,
    items_in,
    register_items,
    track,
)

__all__ = [
    "TRACKED",
    "HiddenByAttribute",
    "LayerState",
    "StateTracker",
    "WeightProperty",
    "assign",
    "assign_from",
]

Tensor = torch.Tensor
# What may hold or be state, and what a built layer takes no more of. Plain modules and parameters
# of PyTorch stay exchangeable, as its users expect.
_HOLDERS = (Variable, torch.nn.Module, torch.nn.Parameter, Metric, SeedGenerator)
TRACKED = (torch.nn.Module, Tensor, Metric, SeedGenerator, *CONTAINERS)
# What most attributes are, none of it state.
_SETTINGS = frozenset({type(None), bool, int, float, str, types.FunctionType})
_NO_SCOPE = contextlib.nullcontext()
_module_setattr = torch.nn.Module.__setattr__


class HiddenByAttribute:
    """A computed attribute that one of the instance, or of a subclass, hides: the name is free."""

    def __init__(self, fget: Callable[[Any], Any], name: str = "") -> None:
        self.fget = fget
        self.name = name
        self.__doc__ = fget.__doc__

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        for held in ("_parameters", "_modules"):
            if self.name in instance.__dict__.get(held, ()):
                return instance.__getattr__(self.name)
        return self.fget(instance)


class WeightProperty(property):
    """A property that reads the parameter of its own name; assigning a weight registers it."""


class _ClassDefault:
    """What a class has under a name by which its instances hold layers or weights.

    Those are found by `__getattr__`, which Python asks only for what the class does not have.
    """

    def __init__(self, name: str, value: Any) -> None:
        self._name, self._value = name, value

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is not None and any(
            self._name in instance.__dict__.get(held, ()) for held in ("_parameters", "_modules")
        ):
            return instance.__getattr__(self._name)
        return self._value


def _uncover(cls: type, name: str) -> None:
    """Let the layers or weights of instances go before the plain default of a class."""
    for base in cls.__mro__:
        if name in base.__dict__:
            default = base.__dict__[name]
            if not hasattr(type(default), "__get__"):
                setattr(base, name, _ClassDefault(name, default))
            return


class LayerState(torch.nn.Module):
    """The half of `Layer` that keeps its state; not used by itself."""

    _static_masks: bool  # set by `Layer`; true of the library's own layers
    # Set where `TorchModuleWrapper` is defined: makes a layer of a module of PyTorch's.
    _wrap_module: Callable[[Any], Any] | None = None

    def _require_init(self, error: type[Exception] = RuntimeError) -> None:
        if "_call_signature" not in self.__dict__:
            raise error(
                f"In layer '{type(self).__name__}', you forgot to call `super().__init__()` as the"
                " first statement in the `__init__()` method. Go add it!"
            )

    # Attributes ----------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        state = self.__dict__
        if name == "name" and name in state:  # the constructor has checked the first one
            value = checked_name(value, type(self).__name__)
        modules = state.get("_modules")
        held = modules is not None and (
            name in modules or name in state["_parameters"] or name in state["_buffers"]
        )
        if not held and (type(value) in _SETTINGS or not isinstance(value, TRACKED)):
            object.__setattr__(self, name, value)  # a setting: five times as fast as what follows
            return
        if isinstance(value, CONTAINERS) or (held and name in modules):
            if not held and type(value) is tuple and _SETTINGS.issuperset(map(type, value)):
                object.__setattr__(self, name, value)
            else:
                self._set_container(name, value)
            return
        if CONTEXT.view is not None:
            value = itself(value)
        if isinstance(value, _HOLDERS):
            if not self._may_hold(value):
                self.__dict__[name] = value
                return
            if hasattr(type(self), name):
                _uncover(type(self), name)
            if isinstance(value, Metric) and all(value is not known for known in self._metrics):
                self._metrics.append(value)
            if isinstance(value, Variable):
                if not held and self._is_free(name):
                    state.pop(name, None)
                    state["_parameters"][name] = value
                    return
            elif self._wrap_module is not None:
                value = self._wrap_module(value)
        _module_setattr(self, name, value)

    def _is_free(self, name: str) -> bool:
        """Whether a weight may become the parameter `name` with nothing for torch to look after."""
        found = getattr(type(self), name, None)
        hides = isinstance(found, (WeightProperty, HiddenByAttribute))
        free = (found is None or hides) and "." not in name
        # A built layer may get a weight back: see `register_parameter`.
        return free and not self.built and not _hooks._global_parameter_registration_hooks

    def _may_hold(self, *values: Any) -> bool:
        """Whether assigned values are to be registered: not before `__init__`, nor by request.

        Raises:
            ValueError: The layer is built, and a value is state that it does not have yet.
        """
        if "_call_signature" not in self.__dict__ or not is_tracking_enabled():
            return False
        if self._state_locked:
            self._check_known(values)
        for value in values:
            if isinstance(value, LayerState):
                ADDING.version += 1
        return True

    def _take_early_state(self) -> None:
        """Register what was assigned before `super().__init__()`."""
        for name, value in list(self.__dict__.items()):
            early = isinstance(value, _HOLDERS) or (
                isinstance(value, CONTAINERS) and not name.startswith("_")
            )
            if early and name != "forward":
                del self.__dict__[name]
                setattr(self, name, value)

    def _set_container(self, name: str, value: Any) -> None:
        """Assign a list, tuple or dict, or something else where one has been."""
        if hasattr(type(getattr(type(self), name, None)), "__set__"):  # a property or slot
            _module_setattr(self, name, value)
            return
        if not self._may_hold(*(flatten(value) if isinstance(value, CONTAINERS) else (value,))):
            self.__dict__[name] = value
            return
        former = self._modules.pop(name, None)
        if self._state_locked and isinstance(former, Tracked):
            # A built layer keeps its weights, such as when `build` is called once more and fails.
            for module in (former, *containers_in(former)):
                self._stray_weights.extend(module._parameters.values())
        self._parameters.pop(name, None)
        self.__dict__.pop(name, None)
        if not isinstance(value, CONTAINERS):
            setattr(self, name, value)
            return
        self.__dict__[name] = value = track(value, self, name)
        if isinstance(value, Tracked):
            self._follow(name, value)
        else:
            register_items(value, self, name)

    def _follow(self, name: str, value: Tracked) -> None:
        """Register a list or dict attribute as a child, or forget it if there is no state in it."""
        if self.__dict__.get(name) is not value or "_modules" not in self.__dict__:
            return
        if is_stateless(value):
            self._modules.pop(name, None)
        else:
            self._modules[name] = value
            self.__dict__["_in_order"] = True
            found = self._child_layers()  # attribute by attribute
            earlier = children_of(self, but=value)
            order = in_order_of_arrival(found, self._children_order, earlier)
            same = all(map(operator.is_, order, found))
            self.__dict__.update(_children_order=order, _in_order=same)
        self._note_metrics(value)

    def _note_metrics(self, value: Any) -> None:
        for item in items_in(value, set()):
            if isinstance(item, Metric) and all(item is not known for known in self._metrics):
                self._metrics.append(item)

    def __getattr__(self, name: str) -> Any:
        attributes = self.__dict__
        parameters = attributes.get("_parameters")
        if parameters is not None:
            if name in parameters:
                weight = parameters[name]
                view = CONTEXT.view
                return (
                    weight if view is None or weight is None else view(weight, self._static_masks)
                )
            modules = attributes["_modules"]
            if name in modules:
                return modules[name]
        try:
            return super().__getattr__(name)
        except AttributeError:
            found = getattr(type(self), name, None)
            if hasattr(found, "fget"):
                found.fget(self)  # the property's own words: it was this that had no value
            if name in ("built", "name", "training") or name[0] == "_" != name[1:2]:
                self._require_init(AttributeError)
            raise

    def register_parameter(self, name: str, param: torch.nn.Parameter | None) -> None:
        """Add a parameter, as `torch.nn.Module` does; PyTorch's tools that replace weights call it.

        A weight that comes back after `remove_parametrizations` or `remove_weight_norm`, be it as a
        new parameter, becomes the variable that it was. One that `torch.nn.utils.prune` takes away
        is laid out such that its functions can flatten it.
        """
        if type(param) is torch.nn.Parameter and self.built and not self._building:
            with self._name_scope():
                Variable.adopt(param, name)
            param.__dict__.update(self.__dict__.get("_taken", {}).pop(name, {}))
        if isinstance(param, Variable):
            if name == f"{param.name}_orig":
                param.straighten()
            elif name == param.name:
                param.restore_layout()
        super().register_parameter(name, param)

    def __delattr__(self, name: str) -> None:
        weight = self._parameters.get(name)
        if isinstance(weight, Variable):  # what to give it back, should it return
            weight.note_layout()
            self.__dict__.setdefault("_taken", {})[name] = weight._fields()
            # Else one that was made here comes back by itself.
            self._stray_weights[:] = [w for w in self._stray_weights if w is not weight]
        value = self.__dict__.get(name)
        if value is not None and name in self._modules:  # a list or dict stands in both
            del self._modules[name]
        super().__delattr__(name)
        self.__dict__["_children_order"] = self._child_layers()  # nothing else is to be kept alive

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> LayerState:
        """Move or cast as `torch.nn.Module` does, with weights staying variables."""
        former = dict(self._parameters)
        super()._apply(fn, recurse)
        for name, weight in self._parameters.items():
            if isinstance(former[name], Variable) and not isinstance(weight, Variable):
                self._parameters[name] = former[name].rewrap(weight)
        name = self.variable_dtype
        dtype = None if name == "string" else to_torch(name)
        if dtype is not None and dtype.is_floating_point:
            moved = fn(torch.empty(0, dtype=dtype)).dtype
            if moved != dtype:  # `model.half()` and its like
                self.dtype_policy = self._policy_in(standardize_dtype(moved))
        return self

    def _policy_in(self, dtype: str) -> str:
        """Return the name of the policy of a layer whose weights are moved to a dtype."""
        return dtype

    # The lock of built layers --------------------------------------------------------------------

    _state_locked = False

    def _lock_state(self) -> None:
        """Refuse new state from here on; called when the layer is built."""
        self.__dict__["_state_locked"] = True

    @contextlib.contextmanager
    def _unlocked(self) -> Iterator[None]:
        """Within it, a built layer may get new state on its device: adapters, quantized weights."""
        former = self._state_locked
        self.__dict__["_state_locked"] = False
        try:
            with device(self._device_of_weights()):
                yield
            self._adopt_stray_weights()  # before anything moves the layer and replaces them
        finally:
            self.__dict__["_state_locked"] = former

    def _check_known(self, values: Any) -> None:
        new = [value for value in map(itself, values) if isinstance(value, _LOCKED_OUT)]
        if not new:
            return
        known = [
            *self._own_weights(),
            *self._child_layers(),
            *self._metrics,
            *self._seed_generators,
        ]
        known_ids = {id(item) for item in known}
        for value in new:
            # A weight made by the layer may come back: `torch.nn.utils.prune` takes it away.
            own = isinstance(value, Variable) and value.path.rpartition("/")[0] == self.path
            if id(value) not in known_ids and not own:
                raise self._locked_error(value)
            if own:
                value.restore_layout()

    def _locked_error(self, value: Any = None) -> ValueError:
        return ValueError(
            explain(
                f"Layer '{self.name}': you cannot add new elements of state (variables or"
                " sub-layers) to a layer that is already built.",
                given="a weight" if value is None else repr(value),
                fix="create all state in `__init__()` or `build()`.",
            )
        )

    @property
    def _tracker(self) -> StateTracker:
        """The handle by which code written for Keras opens the lock: `layer._tracker.unlock()`."""
        return StateTracker(self)

    # Weights -------------------------------------------------------------------------------------

    _parent_path: str | None = None
    _building = False

    def _name_scope(self) -> Any:
        # Compiled code makes no variables.
        if is_scope_of(self) or torch.compiler.is_compiling():
            return _NO_SCOPE
        if self._parent_path is None:
            self.__dict__["_parent_path"] = current_path()
        return name_scope(self.name, caller=self)

    _open_name_scope = _name_scope

    def _device_of_weights(self) -> torch.device:
        weight = first_parameter(self)
        return default_device() if weight is None else weight.device

    def add_weight(
        self,
        *args: Any,
        shape: Sequence[int] | int | None = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str = "none",
        overwrite_with_gradient: bool = False,
        name: str | None = None,
        layout: Sequence[int] | None = None,
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> Variable:
        """Make a weight of the layer.

        Args:
            args: `shape`, `initializer` and `dtype`, where they are given by position.
            shape: Sizes; `()` for a scalar.
            initializer: Default: Glorot uniform for floating dtypes, zeros for others.
            dtype: Default: the layer's variable dtype.
            trainable: Whether training changes it.
            autocast: Whether it is cast to the compute dtype while the layer runs.
            regularizer: Penalty on it, added to `losses`.
            constraint: Projection after each update.
            aggregation: How replicas of a distributed run would be combined.
            overwrite_with_gradient: Accepted as in Keras.
            name: Default: numbered.
            layout: A permutation such that `weight.permute(layout)` is contiguous in memory.
            memory_format: The memory format of the permuted weight.

        Returns:
            The weight, a `torch.nn.Parameter`. Assign it to an attribute.

        Raises:
            TypeError: There are more than three positional arguments.
            ValueError: An argument is given twice; or the first is a name, as in old scripts; or
                the layer is built already.
        """
        self._require_init()
        if args:
            shape, initializer, dtype = _positional(args, shape, initializer, dtype)
        if shape is None:
            shape = ()
        elif isinstance(shape, int):
            shape = (shape,)
        dtype = self.variable_dtype if dtype is None else standardize_dtype(dtype)
        if initializer is None:
            initializer = "glorot_uniform" if "float" in dtype else "zeros"
        initializer = get_initializer(initializer)  # draws a seed; in Keras before it refuses
        if self._state_locked:
            raise self._locked_error()
        # Not `_name_scope`: a weight made in `__init__` does not settle where the layer belongs.
        with _NO_SCOPE if is_scope_of(self) else name_scope(self.name, caller=self):
            weight = Variable(
                initializer,
                shape=shape,
                dtype=dtype,
                trainable=trainable,
                autocast=autocast,
                aggregation=aggregation,
                name=name,
                layout=layout,
                memory_format=memory_format,
            )
        if regularizer is not None:
            weight.regularizer = get_regularizer(regularizer)
        if constraint is not None:
            weight.constraint = get_constraint(constraint)
        if overwrite_with_gradient is not False:
            weight.overwrite_with_gradient = overwrite_with_gradient
        if not self._trainable:
            weight.trainable = False
        self._stray_weights.append(weight)
        return weight

    def add_variable(
        self,
        shape: Sequence[int] | int,
        initializer: Any,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> Variable:
        """Make a weight of the layer, as `add_weight` does with the same arguments by name."""
        return self.add_weight(
            shape=shape,
            initializer=initializer,
            dtype=dtype,
            trainable=trainable,
            autocast=autocast,
            regularizer=regularizer,
            constraint=constraint,
            name=name,
            **kwargs,
        )

    def _track_variable(self, variable: Variable) -> None:
        """Take a variable for a weight of the layer, whether or not an attribute will hold it."""
        if self._state_locked:
            self._check_known([variable])
        self._stray_weights.append(variable)

    def _untrack_variable(self, variable: Variable) -> None:
        """Let a weight no longer belong to the layer."""
        self._stray_weights[:] = [w for w in self._stray_weights if w is not variable]
        for module in (self, *containers_in(self)):
            for key, weight in list(module._parameters.items()):
                if weight is variable:
                    del module._parameters[key]

    def _adopt_stray_weights(self) -> None:
        """Register the weights that no attribute holds, under their own names."""
        if not self._stray_weights:
            return
        held = set(map(id, self._parameters.values()))
        if not held.issuperset(map(id, self._stray_weights)):
            held = {id(weight) for weight in self.parameters()}
        for weight in self._stray_weights:
            if id(weight) in held:
                continue
            key, number = weight.name.replace(".", "_"), 0
            while key in self._parameters or key in self._modules or hasattr(self, key):
                number += 1
                key = f"{weight.name.replace('.', '_')}_{number}"
            self._parameters[key] = weight
            self.__dict__["_by_number"] = True
        self._stray_weights.clear()

    # State ---------------------------------------------------------------------------------------

    _by_number = False  # or the weights lie in the order in which they were made
    _children_order: Sequence[Any] = ()
    _in_order = True  # so do the children, attribute by attribute

    def _own_weights(self) -> list[torch.nn.Parameter]:
        """This layer's weights without those of its layers, in the order they were made."""
        if self._stray_weights:
            self._adopt_stray_weights()
        weights = {id(w): w for w in self._parameters.values() if w is not None}
        direct = len(weights)
        for module in containers_in(self) if self._modules else ():
            weights.update((id(w), w) for w in module._parameters.values() if w is not None)
        numbered = self._by_number or len(weights) > direct
        return by_number(weights.values()) if numbered else list(weights.values())

    def _ordered_weights(self) -> list[torch.nn.Parameter]:
        """Likewise, those that were made for training first."""
        weights = self._own_weights()
        others = [w for w in weights if not getattr(w, "created_trainable", w.requires_grad)]
        if not others:
            return weights
        last = set(map(id, others))
        return [*(w for w in weights if id(w) not in last), *others]

    @property
    def _trainable_variables(self) -> list[torch.nn.Parameter]:
        weights = self._own_weights()
        kept = (w for w in weights if getattr(w, "created_trainable", w.requires_grad))
        return WeightList(kept, self)

    @property
    def _non_trainable_variables(self) -> list[torch.nn.Parameter]:
        weights = self._own_weights()
        kept = (w for w in weights if not getattr(w, "created_trainable", w.requires_grad))
        return WeightList(kept, self)

    @property
    def _layers(self) -> list[Any]:
        """The child layers and other modules, in the order they were assigned."""
        return self._child_layers()

    @_layers.setter
    def _layers(self, layers: Any) -> None:
        self._assigned_layers = layers  # of a subclass that has its own list under this name

    def _child_layers(self) -> list[Any]:
        found = {}
        for child in self._modules.values():
            if isinstance(child, Tracked):
                found.update((id(item), item) for item in children_of(child))
            elif child is not None:
                found[id(child)] = child
        if self._in_order:
            return list(found.values())
        return in_order_of_arrival(list(found.values()), self._children_order)

    @property
    def _seed_generators(self) -> list[SeedGenerator]:
        found = []
        for value in self.__dict__.values():
            if isinstance(value, SeedGenerator):
                found.append(value)
            elif isinstance(value, Tracked):
                found += [v for v in items_in(value, set()) if isinstance(v, SeedGenerator)]
        return found

    def _flatten_layers(self, include_self: bool = True, recursive: bool = True) -> list[Any]:
        """Return the layers inside, outer ones first, each once."""
        seen: set[int] = {id(self)}
        found: list[Any] = [self] if include_self else []
        queue = [layer for layer in self._layers if isinstance(layer, LayerState)]
        while queue:
            layer = queue.pop(0)
            if id(layer) in seen:
                continue
            seen.add(id(layer))
            found.append(layer)
            if recursive and layer._modules:
                queue[:0] = [child for child in layer._layers if isinstance(child, LayerState)]
        return found

    @property
    def variables(self) -> list[Any]:
        """All state: weights and seeds, without metrics."""
        own = self._ordered_weights()
        own += [generator.state for generator in self._seed_generators]
        for layer in self._layers:
            own += layer.variables if isinstance(layer, LayerState) else layer.parameters()
        return _unique(own)

    @property
    def torch_params(self) -> dict[str, Any]:
        """The variables by their paths, under the name that code written for Keras reads."""
        return {_path_of(variable): variable for variable in self.variables}

    @property
    def weights(self) -> list[Any]:
        """All weights: trainable ones of the layer, its others, then those of its layers."""
        own = self._ordered_weights()
        for layer in self._layers:
            own += layer.weights if isinstance(layer, LayerState) else layer.parameters()
        return _unique(own)

    @property
    def trainable_variables(self) -> list[Any]:
        """The variables that training changes."""
        if not self.trainable:
            return []
        return [v for v in self.variables if getattr(v, "trainable", v.requires_grad)]

    @property
    def non_trainable_variables(self) -> list[Any]:
        """The variables that training does not change."""
        if not self.trainable:
            return self.variables
        return [v for v in self.variables if not getattr(v, "trainable", v.requires_grad)]

    @property
    def trainable_weights(self) -> list[Any]:
        """The weights that training changes."""
        if not self.trainable:
            return []
        return [w for w in self.weights if getattr(w, "trainable", w.requires_grad)]

    @property
    def non_trainable_weights(self) -> list[Any]:
        """The weights that training does not change."""
        if not self.trainable:
            return self.weights
        return [w for w in self.weights if not getattr(w, "trainable", w.requires_grad)]

    @property
    def metrics(self) -> list[Metric]:
        """The metrics tracked by the layer and its layers."""
        metrics = list(self._metrics)
        for layer in self._layers:
            metrics += layer.metrics if isinstance(layer, LayerState) else []
        return _unique(metrics)

    @property
    def metrics_variables(self) -> list[Any]:
        """The state of the metrics."""
        return [variable for metric in self.metrics for variable in metric.variables]

    @property
    def trainable(self) -> bool:
        """Whether training changes the weights; setting it reaches the layers inside too."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        value = bool(value)
        FREEZING.version += 1
        self.__dict__["_trainable"] = value
        for weight in self._trainable_variables:
            if isinstance(weight, Variable):
                weight.trainable = value
            else:
                weight.requires_grad_(value)
        for layer in self._layers:
            if isinstance(layer, LayerState):
                layer.trainable = value
            else:
                layer.requires_grad_(value)

    def get_weights(self) -> list[np.ndarray]:
        """Return the values of all weights as NumPy arrays."""
        return [to_numpy(weight).copy() for weight in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Overwrite the values of all weights.

        Args:
            weights: Arrays in the order of `weights`.

        Raises:
            ValueError: Their number, or the shape of one, differs.
        """
        targets = self.weights
        if len(targets) != len(weights):
            raise ValueError(
                explain(
                    f"You called `set_weights(weights)` on layer '{self.name}' with a weight list"
                    f" of length {len(weights)}, but the layer was expecting {len(targets)}"
                    " weights.",
                    expected=[(_path_of(w), tuple(w.shape)) for w in targets][:8],
                    fix="build the layer first, or pass `get_weights()` of a layer like it.",
                )
            )
        values = [
            value if isinstance(value, Tensor) else readable(np.asarray(value)) for value in weights
        ]
        for weight, value in zip(targets, values, strict=True):
            if tuple(weight.shape) != tuple(value.shape):
                raise ValueError(
                    explain(
                        f"Layer '{self.name}': weight '{_path_of(weight)}' cannot take this value.",
                        given=tuple(value.shape),
                        expected=tuple(weight.shape),
                        fix=f"pass an array of shape {tuple(weight.shape)}.",
                    )
                )
        with torch.no_grad():
            for weight, value in zip(targets, values, strict=True):
                weight.copy_(torch.as_tensor(value))

    def count_params(self) -> int:
        """Return the number of scalars in the weights.

        Raises:
            ValueError: The layer is not built.
        """
        if not self.built:
            raise ValueError(
                f"You tried to call `count_params` on layer '{self.name}', but the layer isn't"
                " built. You can build it manually via: `layer.build(input_shape)`."
            )
        return sum(weight.numel() for weight in self.weights)

    def save_own_variables(self, store: Any) -> None:
        """Put the values of the layer's own weights into a dict-like store."""
        for i, weight in enumerate([*self._trainable_variables, *self._non_trainable_variables]):
            store[str(i)] = weight

    def load_own_variables(self, store: Any) -> None:
        """Take the values of the layer's own weights from a store.

        Raises:
            ValueError: The store has another number of them, or a shape differs.
        """
        weights = [*self._trainable_variables, *self._non_trainable_variables]
        if len(store.keys()) != len(weights):
            if not weights and not self.built:
                raise ValueError(
                    explain(
                        f"Layer '{self.name}' was never built and thus it doesn't have any"
                        f" variables, but the file lists {len(store.keys())} for it.",
                        fix="create all state of inner layers in `build()` of the outer one, or"
                        " define `get_build_config` and `build_from_config`.",
                    )
                )
            raise ValueError(
                f"Layer '{self.name}' expected {len(weights)} variables, but received"
                f" {len(store.keys())} variables during loading. Expected:"
                f" {[_path_of(w) for w in weights]}"
            )
        assign_from(store, weights)


_LOCKED_OUT = (LayerState, Variable, Metric, SeedGenerator)


class StateTracker:
    """What Keras's layers have as `_tracker`, as far as it concerns the lock.

    Args:
        layer: Whose state it is.
    """

    def __init__(self, layer: LayerState) -> None:
        self._layer = layer

    @property
    def locked(self) -> bool:
        """Whether the layer refuses new state."""
        return self._layer._state_locked

    def lock(self, msg: str | None = None) -> None:
        """Refuse new state."""
        self._layer.__dict__["_state_locked"] = True

    def unlock(self) -> None:
        """Accept new state."""
        self._layer.__dict__["_state_locked"] = False

    def track(self, value: Any) -> Any:
        """Take a layer, weight or metric for one of the layer's that no attribute needs to hold.

        Returns:
            `value`.
        """
        layer = self._layer
        for item in items_in(value, set()):
            if isinstance(item, Variable):
                layer._track_variable(item)
            elif isinstance(item, Metric):
                if all(item is not known for known in layer._metrics):
                    layer._metrics.append(item)
            elif isinstance(item, LayerState) and layer._may_hold(item):
                key = item.name.replace(".", "_")
                while hasattr(layer, key):
                    key += "_"
                if all(item is not known for known in layer._child_layers()):
                    layer._modules[key] = item
        return value

    def untrack(self, value: Any) -> None:
        """Let a weight no longer belong to the layer."""
        self._layer._untrack_variable(value)


def _positional(args: tuple[Any, ...], *named: Any) -> list[Any]:
    """Merge what `add_weight` got by position into what it got by name."""
    if len(args) > len(named):
        raise TypeError(
            f"add_weight() takes at most {len(named)} positional arguments (shape, initializer,"
            f" dtype), but {len(args)} were given."
        )
    if isinstance(args[0], str):
        raise ValueError(
            "`name` must be passed as a keyword argument. Received:"
            f" add_weight('{args[0]}', …). Use: add_weight(shape=…, name='{args[0]}')."
        )
    merged = list(named)
    for i, (key, value) in enumerate(zip(("shape", "initializer", "dtype"), args, strict=False)):
        if named[i] is not None:
            raise ValueError(
                f"`{key}` was passed both positionally and as a keyword argument."
                f" Received: {value!r} and {named[i]!r}"
            )
        merged[i] = value
    return merged


def assign(weight: torch.nn.Parameter, value: Any) -> None:
    """Overwrite a weight, be it a `Variable` or a plain parameter."""
    if isinstance(weight, Variable):
        weight.assign(value)
        return
    with torch.no_grad():
        array = value if isinstance(value, Tensor) else readable(np.asarray(value))
        weight.copy_(torch.as_tensor(array))


def assign_from(store: Any, weights: Iterable[torch.nn.Parameter]) -> None:
    """Overwrite weights with what a store has as `"0"`, `"1"`, …

    Args:
        store: A mapping. One of a file may have `read_into(key, weight)`, which reads without a
            copy in between and returns whether it could.
        weights: The weights, in the store's order.
    """
    read_into = getattr(store, "read_into", None)
    for i, weight in enumerate(weights):
        if read_into is None or not read_into(str(i), weight):
            assign(weight, store[str(i)])


def _unique(items: Any) -> list[Any]:
    return list({id(item): item for item in items}.values())


def _path_of(weight: Any) -> str:
    return getattr(weight, "path", "parameter")
