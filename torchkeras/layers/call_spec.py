"""What a layer's `call` accepts, and the arguments of one call sorted by it."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from ..graph.infer import known_shape
from ..graph.keras_tensor import KerasTensor
from ..graph.masks import get_keras_mask, is_first_mask
from ..naming import explain
from ..tree import flatten, is_nested, map_structure

__all__ = [
    "CallSignature",
    "CallSpec",
    "ignores_training",
    "is_tensor",
    "place_masks",
    "shape_arguments",
    "signature_of",
    "specs_of",
]


# What has a shape; arrays are of strings, others are tensors by now.
_ARRAYS = (torch.Tensor, KerasTensor, np.ndarray)


class CallSignature:
    """The signature of a `call` method, looked at once per function.

    Attributes:
        names: Its parameters.
        takes_any: Whether there is a `**kwargs` among them.
        takes_several: Whether there is an `*args` among them.
        takes_training: Whether `training` is to be passed.
        training_default: The default of `training`.
        silent: What `training` is where nobody says anything, in inference mode: `None`, as in
            Keras, if that is the default, else false.
        takes_mask: Whether `mask` may be passed.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        parameters = list(inspect.signature(function).parameters.values())[1:]
        self.signature = inspect.Signature(parameters)
        self.names = tuple(parameter.name for parameter in parameters)
        self.takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
        self.takes_several = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        unused = getattr(function, "_ignores_training", False)
        self.takes_training = "training" in self.names and not unused
        self.takes_mask = "mask" in self.names
        training = self.signature.parameters.get("training")
        unset = training is None or training.default is inspect.Parameter.empty
        self.training_default = None if unset else training.default
        self.silent = None if not unset and training.default is None else False
        named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        self._by_name = all(p.kind in named for p in parameters)
        self._by_position = sum(p.kind is named[0] for p in parameters)
        # How many arguments by position come before `training`, if it may be given so.
        places = [i for i, p in enumerate(parameters) if p is training and p.kind is named[0]]
        self.before_training = places[0] if places else math.inf
        self._defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        rest = self.names[1:]
        alone = self._by_name and self._by_position and self._defaults.keys() >= set(rest)
        # The defaults of all but the first parameter, where that is all a call must give.
        self._after_first = {name: self._defaults[name] for name in rest} if alone else None

    def bind(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Return the arguments given, by name, and with them the defaults of the others.

        `None` where it takes `inspect.Signature.bind`: a parameter such as `*args`, or an error.
        """
        count = len(args)
        if count == 1 and not kwargs and self._after_first is not None:
            given = {self.names[0]: args[0]}
            return given, {**given, **self._after_first}
        if not self._by_name or count > self._by_position:
            return None
        given = dict(zip(self.names, args, strict=False))
        arguments = {}
        for name in self.names:
            if name in given:
                arguments[name] = given[name]
            elif name in kwargs:
                arguments[name] = given[name] = kwargs[name]
            elif name in self._defaults:
                arguments[name] = self._defaults[name]
            else:
                return None
        return (given, arguments) if len(given) == count + len(kwargs) else None


def ignores_training(call: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a `call` that accepts `training` for subclasses that pass it, but has no use for it."""
    call._ignores_training = True
    return call


def parameters_of(method: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a bound method, or of a function set in its place, but for `self`.

    Example:
        >>> list(parameters_of("".join))
        ['iterable']
    """
    function = getattr(method, "__func__", None)
    if function is None:
        return inspect.signature(method).parameters
    return dict(list(_parameters_of(function).items())[1:])


_parameters_of = functools.cache(lambda function: inspect.signature(function).parameters)


@functools.cache
def signature_of(function: Callable[..., Any]) -> CallSignature:
    """Return the analysed signature of an unbound `call` method."""
    return CallSignature(function)


def is_tensor(x: Any) -> bool:
    """Return whether `x` is a tensor, concrete or symbolic."""
    return isinstance(x, (torch.Tensor, KerasTensor))


class CallSpec:
    """The arguments of one call of a layer.

    Args:
        layer: Whose call it is.
        args: Positional arguments.
        kwargs: Keyword arguments.

    Attributes:
        arguments: All arguments by name, defaults included.
        tensors: Those that are tensors or structures of tensors.
        first: The first argument.

    Raises:
        TypeError: `call` does not accept these arguments.
    """

    _shapes: dict[str, Any] | None = None

    def __init__(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        # `mask` and what layers hand on, `training` above all, may be passed to any layer; such an
        # argument reaches `call` only if it takes it.
        names = layer._call_signature.names
        if kwargs and not layer._call_signature.takes_any:
            kwargs = {
                key: value
                for key, value in kwargs.items()
                if key in names or (key != "mask" and key not in layer._call_context_args)
            }
        quickly = layer._call_signature.bind(args, kwargs)
        if quickly is not None:
            self.given, self.arguments = quickly
        else:
            self._bind(layer, args, kwargs)
        self.first = next(iter(self.arguments.values()), None)
        self.tensors = {
            name: value
            for name, value in self.arguments.items()
            if value is not None
            and (isinstance(value, _ARRAYS) or (is_nested(value) and _has_tensor(value)))
        }

    def _bind(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        signature = layer._call_signature.signature
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(
                explain(
                    f"Layer '{layer.name}' (of type {type(layer).__name__}) cannot be called like"
                    f" this: {error}.",
                    arguments=", ".join(
                        [*(repr(a) for a in args), *(f"{k}={v!r}" for k, v in kwargs.items())]
                    ),
                    expected=f"call{signature}",
                )
            ) from None
        self.given = dict(bound.arguments)
        bound.apply_defaults()
        self.arguments: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            kind = signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_KEYWORD:
                self.arguments.update(value)
                self.given.pop(name, None)
                self.given.update(value)
            elif kind is inspect.Parameter.VAR_POSITIONAL:
                for i, item in enumerate(value):
                    self.arguments[f"{name}_{i}" if i else name] = item
            else:
                self.arguments[name] = value

    def shapes(self) -> dict[str, Any]:
        """Return the shapes of the tensor arguments as `{"<argument>_shape": shape}`."""
        if self._shapes is not None:
            return self._shapes
        self._shapes = {
            f"{name}_shape": known_shape(value)
            if isinstance(value, _ARRAYS)
            else map_structure(_shape_or_none, value)
            for name, value in self.tensors.items()
            if name != "mask"
        }
        return self._shapes


def place_masks(
    signature: CallSignature, arguments: dict[str, Any], tensors: dict[str, Any], kwargs: Any
) -> None:
    """Add to `kwargs` the masks that inputs carry, where `call` takes them and was given none.

    Args:
        signature: Of `call`.
        arguments: Those of the call, by name.
        tensors: Those of them that hold tensors.
        kwargs: What `call` will get by name.
    """
    if is_first_mask(kwargs.get("mask")):
        kwargs["mask"] = map_structure(get_keras_mask, next(iter(tensors.values())))
        return
    if len(tensors) == 1:
        if signature.takes_mask and arguments.get("mask") is None:
            kwargs["mask"] = map_structure(get_keras_mask, next(iter(tensors.values())))
        return
    for name, value in tensors.items():
        key = f"{name}_mask"
        if key in signature.names and arguments.get(key) is None:
            kwargs[key] = map_structure(get_keras_mask, value)


def _has_tensor(value: Any) -> bool:
    return any(isinstance(item, _ARRAYS) for item in flatten(value))


def _shape_or_none(x: Any) -> tuple[int | None, ...] | None:
    return known_shape(x) if isinstance(x, _ARRAYS) else None


def _shapes_taken(function: Callable[..., Any], bound: int = 0) -> tuple[list[str], bool]:
    """Return the names of the parameters, but for the first `bound`, and if there is a `**`."""
    parameters = list(inspect.signature(function).parameters.values())[bound:]
    named = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.KEYWORD_ONLY,
    )
    names = [p.name for p in parameters if p.kind in named]
    return names, any(p.kind is p.VAR_KEYWORD for p in parameters)


_shapes_taken_by = functools.cache(lambda method: _shapes_taken(method, bound=1))


def shape_arguments(
    function: Callable[..., Any], shapes: dict[str, Any], layer: Any
) -> dict[str, Any]:
    """Pick the shapes that `build` or `compute_output_shape` of a layer takes, by argument name.

    Raises:
        ValueError: The method names an argument that the call did not have.
    """
    bare = getattr(function, "__func__", None)
    names, takes_any = _shapes_taken(function) if bare is None else _shapes_taken_by(bare)
    if takes_any and not names:
        return shapes
    if len(names) == 1:
        first = next(iter(shapes.values()), None)
        return {names[0]: shapes.get(names[0], first)}
    given = {name: shapes[name] for name in names if name in shapes}
    parameters = parameters_of(function)
    missing = [
        name
        for name in names
        if name not in given and parameters[name].default is inspect.Parameter.empty
    ]
    if missing and len(missing) == len(names) and len(shapes) == 1:
        given[missing.pop(0)] = next(iter(shapes.values()))
    if missing:
        method, name = function.__name__, missing[0]
        argument = name.removesuffix("_shape")
        if name == argument:
            what = f"has argument `{name}`, which does not end in `_shape`"
        elif argument not in layer._call_signature.names:
            what = f"has argument `{name}`, but `call()` does not have argument `{argument}`"
        else:
            what = f"takes `{name}`, but the call had only {sorted(shapes)}"
        raise ValueError(
            explain(
                f"Method `{method}()` of {type(layer).__name__} '{layer.name}' {what}.",
                fix="name each argument `<argument of call>_shape`, where there are several.",
            )
        )
    return given


def specs_of(shapes: Any, dtype: str) -> Any:
    """Make a `KerasTensor` of each shape in a structure."""
    if isinstance(shapes, dict):
        return {key: specs_of(shape, dtype) for key, shape in shapes.items()}
    if shapes is None:
        return None
    if all([size is None or isinstance(size, (int, np.integer)) for size in shapes]):
        return KerasTensor(tuple(shapes), dtype)
    return type(shapes)(specs_of(shape, dtype) for shape in shapes)
