"""`clone_model`: the same architecture with new weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..graph.keras_tensor import KerasTensor
from ..layers import Input, InputLayer, Layer
from ..layers.configs import objects_within
from ..naming import explain
from ..registry import (
    CustomObjectScope,
    SafeModeScope,
    deserialize_keras_object,
    serialize_keras_object,
)
from ..tree import assert_same_structure, flatten, lists_to_tuples, map_structure
from .functional import Functional, constructs_functional
from .model import Model
from .sequential import Sequential

__all__ = ["clone_model"]


def clone_model(
    model: Model,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Layer] | None = None,
    call_function: Callable[..., Any] | None = None,
    recursive: bool = False,
    **kwargs: Any,
) -> Model:
    """Return a model like `model`, with layers and weights of its own, compiled as `model` is.

    Args:
        model: A functional or sequential model, or one, or a layer, with `get_config` and
            `from_config`.
        input_tensors: Symbolic tensors to build the clone on, in the structure of the inputs.
        clone_function: Makes the layer that takes the place of a layer. Default: a new one from its
            config.
        call_function: Called as `call_function(layer, *args, **kwargs)` in place of each call of a
            layer; functional models only.
        recursive: Apply `clone_function` inside inner models too.

    Raises:
        ValueError: An argument does not go with the kind of model.

    Example:
        >>> from torchkeras.layers import Dense
        >>> clone_model(Sequential([Input((2,)), Dense(3)])).output_shape
        (None, 3)
    """
    cache = kwargs.pop("cache", None)
    if kwargs:
        raise ValueError(f"Unexpected keyword argument(s): {tuple(kwargs)}")
    if not isinstance(model, Layer):
        raise ValueError(
            explain(
                "`clone_model` clones models and layers.",
                given=f"{model!r} of type {type(model).__name__}",
            )
        )
    clone = _Cloner(clone_function, call_function, recursive, {} if cache is None else cache)
    if isinstance(model, Sequential):
        if call_function is not None:
            raise ValueError(
                "`call_function` does not go with a Sequential model, whose layers are listed, not"
                f" called. Received: call_function={call_function}"
            )
        copy = _clone_sequential(model, clone, input_tensors)
        copy._compile_like(model)
        return copy
    if isinstance(model, Functional):
        plain = clone_function is None and call_function is None and input_tensors is None
        copy = _revived(model) if plain else None
        if copy is None:
            copy = _clone_functional(model, clone, input_tensors)
        copy._compile_like(model)
        return copy
    if input_tensors is not None or clone_function is not None or call_function is not None:
        raise ValueError(
            explain(
                f"The layers inside '{model.name}' (of type {type(model).__name__}), which is a"
                " subclass of `Model` or `Layer`, are not known: only its config can be cloned.",
                fix="leave `input_tensors`, `clone_function` and `call_function` out.",
            )
        )
    # By way of a full config, which says also how to build and to compile it.
    with SafeModeScope(False):
        return deserialize_keras_object(serialize_keras_object(model), objects_within(model))


def _revived(model: Functional) -> Model | None:
    """Make a user's functional model anew by its own constructor, which knows its methods.

    Returns:
        `None` for others, and where the config does not say all that the constructor wants.
    """
    if type(model).get_config is Functional.get_config and constructs_functional(type(model)):
        return None
    with SafeModeScope(False), CustomObjectScope(objects_within(model)):
        try:
            return type(model).from_config(model.get_config())
        except TypeError:
            return None


class _Cloner:
    """Clones each layer once, as the user wants it."""

    def __init__(
        self, clone_function: Any, call_function: Any, recursive: bool, cache: Any
    ) -> None:
        self.clone_function = clone_function
        self.call_function = call_function
        self.recursive = recursive
        self.cache: dict[int, Any] = cache

    def __call__(self, layer: Any) -> Any:
        if id(layer) not in self.cache:
            self.cache[id(layer)] = self._clone(layer)
        return self.cache[id(layer)]

    def _clone(self, layer: Any) -> Any:
        if self.recursive and isinstance(layer, (Functional, Sequential)):
            return clone_model(
                layer,
                clone_function=self.clone_function,
                call_function=self.call_function if isinstance(layer, Functional) else None,
                recursive=True,
                cache=self.cache,
            )
        is_layer = isinstance(layer, Layer)
        if self.clone_function is not None and is_layer and not isinstance(layer, InputLayer):
            return self.clone_function(layer)
        known = objects_within(layer) if is_layer else {}
        # Lambdas and modules in the config are of this very program.
        with SafeModeScope(False), CustomObjectScope(known):
            return type(layer).from_config(layer.get_config())


def _clone_sequential(model: Sequential, clone: _Cloner, input_tensors: Any) -> Sequential:
    stack = list(model._stacked_layers)
    if input_tensors is not None:
        tensors = flatten(input_tensors)
        if len(tensors) != 1 or not isinstance(tensors[0], KerasTensor):
            raise ValueError(
                "Argument `input_tensors` of a Sequential model must be one symbolic tensor."
                f" Received: input_tensors={input_tensors}"
            )
        name = next((x.name for x in stack if isinstance(x, InputLayer)), None)
        entry = Input(tensor=tensors[0], name=name)  # by the name that the model's own has
        layers = [entry, *(clone(x) for x in stack if not isinstance(x, InputLayer))]
    else:
        layers = [clone(layer) for layer in stack]
    if type(model).__init__ is Sequential.__init__:
        return type(model)(layers, name=model.name, trainable=model.trainable)
    return Sequential(layers, name=model.name, trainable=model.trainable)


def _fits_inputs(model: Functional, input_tensors: Any, entries: list[Any]) -> bool:
    """Whether tensors can take the place of a model's inputs; one alone may be in a list."""
    if len(entries) != len(model.inputs) or not all(isinstance(x, KerasTensor) for x in entries):
        return False
    structs = [lists_to_tuples(x) for x in (model.input, input_tensors)]
    try:
        assert_same_structure(*structs)
    except (TypeError, ValueError):
        return len(entries) == 1
    return True


def _clone_functional(model: Functional, clone: _Cloner, input_tensors: Any) -> Model:
    if input_tensors is None:
        entries = [Input(batch_shape=x.shape, dtype=x.dtype, name=x.name) for x in model.inputs]
    else:
        entries = flatten(input_tensors)
        if not _fits_inputs(model, input_tensors, entries):
            raise ValueError(
                explain(
                    "`input_tensors` must have the same structure as model.input, and be symbolic"
                    " tensors.",
                    given=input_tensors,
                    expected=model.input,
                )
            )
    values = {id(x): entry for x, entry in zip(model.inputs, entries, strict=True)}

    def value_of(x: Any) -> Any:
        return values[id(x)] if isinstance(x, KerasTensor) else x

    by_depth = model._sorted.nodes_by_depth  # the order in which Keras draws new weights
    for node in (node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]):
        if all(id(x) in values for x in node.outputs):
            continue
        args, kwargs = map_structure(value_of, (node.args, node.kwargs))
        operation = clone(node.operation)
        if clone.call_function is not None:
            results = clone.call_function(operation, *args, **kwargs)
        else:
            results = operation(*args, **kwargs)
        values.update(
            (id(x), result) for x, result in zip(node.outputs, flatten(results), strict=True)
        )
    inputs = map_structure(value_of, model.input)
    outputs = map_structure(value_of, model.output)
    cls = type(model) if constructs_functional(type(model)) else Functional
    copy = cls(inputs, outputs, name=model.name)
    if model._computed_also:
        copy.compute_also([value_of(x) for x in model._computed_also])
    return copy
