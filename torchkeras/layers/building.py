"""What a layer starts with, and what surrounds its `build`: name scope, shapes that files keep."""

from __future__ import annotations

import contextlib
import functools
import inspect
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch

from ..graph.infer import real_mode
from ..graph.operation import Operation
from ..naming import current_path, explain, kept_uids
from ..random import random_state, set_random_state
from .state import TRACKED

__all__ = [
    "InputStructureError",
    "as_shapes",
    "build_children",
    "is_recorded",
    "keep_settings",
    "module_state",
    "recorded_build",
    "refuse_dict",
    "without_trace",
]

# What `torch.nn.Module.__init__` sets, and which of it is a container of each module's own.
_MODULE = vars(torch.nn.Module())
_EMPTY = [(key, type(x)) for key, x in _MODULE.items() if isinstance(x, (dict, list, set))]


def module_state() -> dict[str, Any]:
    """Return what `torch.nn.Module.__init__` sets, in a third of its time."""
    state = _MODULE.copy()
    for key, kind in _EMPTY:
        state[key] = kind()
    return state


def keep_settings(layer: Any, **settings: Any) -> None:
    """Set attributes that no property stands for, several at the price of one."""
    for value in settings.values():
        if isinstance(value, TRACKED):
            break
    else:
        layer.__dict__.update(settings)
        return
    for name, value in settings.items():
        setattr(layer, name, value)


def recorded_build(build: Callable[..., None]) -> Callable[..., None]:
    """Wrap a `build` method: name scope, the shapes for `get_build_config`, and `built`."""

    signature = inspect.signature(build)
    parameters = list(signature.parameters.values())[1:]
    plain = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    all_plain = len(plain) == len(parameters)

    @functools.wraps(build)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> None:
        self._require_init()
        if self._building:  # `super().build(…)` within an overriding one
            build(self, *args, **kwargs)
            return
        self.__dict__["_building"] = True
        try:
            with real_mode(), self._name_scope():
                self.__dict__["_path"] = current_path()
                self._settle_policy()
                build(self, *args, **kwargs)
            if all_plain:  # as `bind` does, since the call has succeeded
                given = {**dict(zip(plain, args, strict=False)), **kwargs}
                shapes = {name: given[name] for name in plain if name in given}
            else:
                bound = signature.bind(self, *args, **kwargs).arguments
                shapes = dict(list(bound.items())[1:])
            self.__dict__["_build_shapes"] = shapes
            self.built = True
            self._adopt_stray_weights()
            if self._freezes_built and not self.trainable:
                self.trainable = False
            self._lock_state()
        finally:
            self.__dict__["_building"] = False

    wrapped._is_recorded = True
    return wrapped


class InputStructureError(ValueError, KeyError):
    """A layer that takes one tensor was called on a dict; the `KeyError` is Keras's."""

    __str__ = ValueError.__str__  # that of `KeyError` is the `repr` of the message


def refuse_dict(layer: Any, shapes: dict[str, Any], error: KeyError) -> None:
    """Raise what teaches more, if `build` failed at asking a dict for an axis.

    Args:
        layer: Whose `build` it was.
        shapes: The shapes of its inputs, by the names of its arguments.
        error: What `build` raised.

    Raises:
        InputStructureError: Instead of `KeyError: -1`.
    """
    given = next((shape for shape in shapes.values() if isinstance(shape, dict)), None)
    if given is None or not isinstance(error.args[0], (int, slice)):
        return
    raise InputStructureError(
        explain(
            f"Layer '{layer.name}' (of type {type(layer).__name__}) takes a tensor, but was called"
            " on a dict.",
            given=given,
            fix=f"pass one of its values, as in `layer(inputs[{next(iter(given), '...')!r}])`; or"
            " name the inputs by `Input(..., name=...)` in a functional model, which takes dicts.",
        )
    ) from error


def is_recorded(build: Callable[..., None]) -> bool:
    """Whether a `build` method is one that `recorded_build` returned."""
    return getattr(build, "_is_recorded", False)


def build_children(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Build the layers inside one that has no `build`, by running its `call` on symbolic inputs."""
    if all(getattr(child, "built", True) for child in layer._layers):
        return
    try:
        Operation.compute_output_spec(layer, *args, **kwargs)
    except Exception as error:
        warnings.warn(
            f"Layer '{layer.name}' (of type {type(layer).__name__}) cannot build the layers inside"
            f" it by a call on symbolic inputs ({error}). Give it a `build(input_shape)` that"
            " builds them, or call it on data first.",
            stacklevel=6,
        )


@contextlib.contextmanager
def without_trace() -> Iterator[None]:
    """Within it, copies of layers may be built: seeds and names that this takes are given back."""
    state = random_state()
    try:
        with kept_uids():
            yield
    finally:
        set_random_state(state)


def as_shapes(shape: Any) -> Any:
    """Turn the lists of a JSON file back into tuples where they are shapes."""
    if isinstance(shape, (list, tuple)):
        if all(size is None or isinstance(size, int) for size in shape):
            return tuple(shape)
        return [as_shapes(item) for item in shape]
    if isinstance(shape, dict):
        return {key: as_shapes(item) for key, item in shape.items()}
    return shape
