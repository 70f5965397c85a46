"""What layers of Keras 2 had: shapes and tensors of calls, weights before the first call."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

from ...graph.context import CONTEXT
from ...graph.keras_tensor import KerasTensor
from ...layers import Layer
from ...layers.legacy import AddLoss, AddMetric
from ...layers.state import HiddenByAttribute
from ...metrics import Mean
from ...models import Functional, Model
from ...naming import explain
from ...saving.legacy_config import modernize_arguments
from ...tree import flatten
from .members import wraps

__all__ = ["LAYER"]


def _shape(tensors: Any) -> Any:
    if isinstance(tensors, KerasTensor):
        return tensors.shape
    shapes = [tensor.shape for tensor in flatten(tensors)]
    return shapes[0] if len(shapes) == 1 else shapes


def _at(attribute: str, convert: Callable[[Any], Any], word: str) -> Callable[..., Any]:
    def get(self: Any, node_index: int) -> Any:
        return convert(self._get_node_attribute_at_index(node_index, attribute, word))

    get.__doc__ = f"Return the {word} of one of the layer's calls on symbolic tensors."
    return get


def _same(value: Any) -> Any:
    return value


def _mask(tensors: Any) -> Any:
    masks = [getattr(tensor, "_keras_mask", None) for tensor in flatten(tensors)]
    return masks[0] if len(masks) == 1 else masks


def _shape_of(what: str) -> Callable[[Layer], Any]:
    """Return what gives the shape of a layer's "input" or "output", with the batch."""

    def get(layer: Layer) -> Any:
        if layer._inbound_nodes:
            return _shape(getattr(layer, what))
        if isinstance(layer, Model) and getattr(layer, what + "s", None):
            return _shape(getattr(layer, what + "s"))
        raise AttributeError(
            f"The layer has never been called and thus has no defined {what} shape."
        )

    get.__doc__ = f"The shape of the layer's {what}s, with the batch."
    return get


@wraps
def _add_weight(former: Callable[..., Any]) -> Callable[..., Any]:
    """Take the name first; `use_resource`, `synchronization` and their like do nothing."""
    order = ("name", "shape", "dtype", "initializer", "regularizer", "trainable", "constraint")

    @functools.wraps(former)
    def add_weight(self: Layer, *args: Any, **kwargs: Any) -> Any:
        for key in ("use_resource", "synchronization", "experimental_autocast", "caching_device"):
            kwargs.pop(key, None)
        if args and (isinstance(args[0], str) or (args[0] is None and "shape" in kwargs)):
            kwargs, args = {**dict(zip(order, args, strict=False)), **kwargs}, ()
        for key in ("partitioner", "getter", "collections"):
            if kwargs.pop(key, None) is not None:
                raise ValueError(f"add_weight of layer '{self.name}': `{key}` no longer exists.")
        if kwargs.get("aggregation") is not None and not isinstance(kwargs["aggregation"], str):
            kwargs.pop("aggregation")
        if "shape" in kwargs and kwargs["shape"] is not None:
            sizes = kwargs["shape"]
            kwargs["shape"] = sizes if isinstance(sizes, int) else tuple(int(n) for n in sizes)
        return former(self, *args, **kwargs)

    return add_weight


@wraps
def _add_loss(former: Callable[..., Any]) -> Callable[..., Any]:
    """Take `inputs`, functions within `call`, and a symbolic number of a functional model."""

    @functools.wraps(former)
    def add_loss(self: Layer, losses: Any, inputs: Any = None, **kwargs: Any) -> Any:
        if kwargs:
            raise TypeError(f"add_loss() got unexpected keyword arguments: {list(kwargs)}")
        items = list(losses) if isinstance(losses, (list, tuple)) else [losses]
        for i, item in enumerate(items):
            if callable(item) and not torch.is_tensor(item):
                if not CONTEXT.entered:
                    raise ValueError(
                        explain(
                            f"add_loss of '{self.name}': a function would be computed only once.",
                            fix="call `self.add_loss` in the layer's `call`, or give the weight a"
                            " regularizer.",
                        )
                    )
                items[i] = item()
        for symbol in [item for item in items if isinstance(item, KerasTensor)]:
            if symbol.shape:
                raise ValueError(
                    explain(
                        f"add_loss of '{self.name}': a loss is one number.",
                        given=f"a symbolic tensor of shape {symbol.shape}",
                        fix="take its mean or sum first.",
                    )
                )
            _compute_also(self, "add_loss", AddLoss(), symbol)
        numbers = [item for item in items if not isinstance(item, KerasTensor)]
        return former(self, numbers) if numbers else None

    return add_loss


def _add_metric(
    self: Layer, value: Any, name: str | None = None, aggregation: str | None = None
) -> None:
    """Keep the mean of a value, in `call` or of a symbolic tensor, as a metric of the model."""
    metric = getattr(value, "_metric_obj", None)
    if name is None and metric is None:
        raise ValueError(
            explain(
                f"add_metric of '{self.name}': a value needs a name, by which it is found again in"
                " the next call.",
                fix='say `name="..."`.',
            )
        )
    if aggregation not in (None, "mean"):
        raise ValueError(
            explain(
                f"add_metric of '{self.name}': unknown aggregation.",
                given=repr(aggregation),
                expected="None or 'mean'",
            )
        )
    if isinstance(value, KerasTensor):
        _compute_also(self, "add_metric", AddMetric(aggregation, name), value)
        return
    known = [own for own in self._metrics if own is metric or (not metric and own.name == name)]
    if not known:
        known = [metric or Mean(name=name)]
        self._note_metrics(known)
    if metric is None:  # one that was called has seen the value already
        known[0].update_state(value)


def _compute_also(model: Layer, method: str, effect: Layer, symbol: KerasTensor) -> None:
    """Let a functional model make the call of a layer on which its outputs do not depend."""
    if not isinstance(model, Functional):
        raise ValueError(
            explain(
                f"{method} of '{model.name}': a symbolic tensor can be added to a functional model"
                f" alone, not to a {type(model).__name__}.",
                fix=f"call `self.{method}` in the `call` of a layer.",
            )
        )
    model.compute_also([effect(symbol)])


def _compute_output_signature(self: Layer, input_signature: Any) -> Any:
    """Return the symbolic outputs for symbolic inputs."""
    return self.compute_output_spec(input_signature)


def _add_update(self: Layer, updates: Any) -> None:
    """Nothing: an update has happened when it is handed over."""


def _finalize_state(self: Layer) -> None:
    """Nothing: state is complete after `adapt`."""


@wraps
def _unknown_arguments(former: Callable[..., Any]) -> Callable[..., Any]:
    """Let constructors of layers take what had no effect, and initial weights."""

    @functools.wraps(former)
    def read(self: Layer, kwargs: dict[str, Any]) -> None:
        former(self, kwargs)
        kwargs.pop("dynamic", None)
        kwargs.pop("input_dtype", None)
        weights = kwargs.pop("weights", None)
        if weights is not None:
            self.__dict__["_early_weights"] = weights
        old = modernize_arguments(type(self), kwargs, keras_2=False) if kwargs else {}
        for key in [key for key in kwargs if key not in old]:
            del kwargs[key]

    return read


@wraps
def _set_weights(former: Callable[..., Any]) -> Callable[..., Any]:
    """Build a layer whose `input_shape` is known; keep what comes before, for `build`."""

    @functools.wraps(former)
    def set_weights(self: Layer, weights: Any) -> None:
        _build_by_argument(self)
        if not self.built and not self.weights and weights and not isinstance(self, Model):
            self.__dict__["_early_weights"] = weights
            return
        former(self, weights)

    return set_weights


@wraps
def _get_weights(former: Callable[..., Any]) -> Callable[..., Any]:
    """Build a layer whose `input_shape` is known."""

    @functools.wraps(former)
    def get_weights(self: Layer) -> Any:
        _build_by_argument(self)
        return former(self)

    return get_weights


def _build_by_argument(layer: Layer) -> None:
    """Build a layer that was told its `input_shape` and has not been called."""
    shape = getattr(layer, "_input_shape_arg", None)
    if not layer.built and shape is not None and not isinstance(layer, Model):
        layer.build((getattr(layer, "_input_batch_size", None), *shape))
        _take_early_weights(layer)


def _take_early_weights(layer: Layer) -> None:
    weights = layer.__dict__.pop("_early_weights", None)
    if weights is not None:
        layer.set_weights(weights)


@wraps
def _build_from(former: Callable[..., Any]) -> Callable[..., Any]:
    """Give a layer the weights that it was told before it was built."""

    @functools.wraps(former)
    def build_from(self: Layer, spec: Any) -> None:
        former(self, spec)
        if "_early_weights" in self.__dict__ and self.built:
            _take_early_weights(self)

    return build_from


LAYER: dict[str, Any] = {
    "add_loss": _add_loss,
    "add_metric": _add_metric,
    "add_update": _add_update,
    "add_weight": _add_weight,
    "compute_output_signature": _compute_output_signature,
    "dynamic": HiddenByAttribute(lambda layer: False),
    "finalize_state": _finalize_state,
    "get_input_at": _at("input_tensors", _same, "input"),
    "get_input_mask_at": _at("input_tensors", _mask, "input mask"),
    "get_input_shape_at": _at("input_tensors", _shape, "input shape"),
    "get_output_at": _at("output_tensors", _same, "output"),
    "get_output_mask_at": _at("output_tensors", _mask, "output mask"),
    "get_output_shape_at": _at("output_tensors", _shape, "output shape"),
    "get_weights": _get_weights,
    "inbound_nodes": HiddenByAttribute(lambda layer: layer._inbound_nodes),
    "input_mask": HiddenByAttribute(lambda layer: _mask(layer.input)),
    "input_shape": HiddenByAttribute(_shape_of("input")),
    "outbound_nodes": HiddenByAttribute(lambda layer: layer._outbound_nodes),
    "output_mask": HiddenByAttribute(lambda layer: _mask(layer.output)),
    "output_shape": HiddenByAttribute(_shape_of("output")),
    "set_weights": _set_weights,
    "stateful": HiddenByAttribute(lambda layer: False),
    "submodules": HiddenByAttribute(lambda layer: tuple(layer._flatten_layers(include_self=False))),
    "updates": HiddenByAttribute(lambda layer: []),
    "_build_from": _build_from,
    "_read_input_shape": _unknown_arguments,
}
