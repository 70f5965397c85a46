"""Functional models as configs, in Keras 3's format and, for reading, in the older one.

A config lists the layers with the calls of each (`inbound_nodes`), and names the input and output
tensors as `[layer, call, output]`. Calls are counted among those that belong to the model only.
"""

from __future__ import annotations

import copy
from typing import Any

from ..graph.keras_tensor import KerasHistory, KerasTensor
from ..graph.operation import Node, Operation
from ..layers.legacy import AddLoss, AddMetric
from ..naming import explain
from ..registry import (
    CustomObjectScope,
    deserialize_keras_object,
    find_builtin,
    serialize_keras_object,
)
from ..tree import flatten, map_structure

__all__ = ["functional_config", "functional_from_config", "layer_from_config"]


# Marks, in files, a `training` that was given although it is the default; Keras reads over it.
_MEANT = "training_given"


class _NotYet(Exception):
    """A call needs the result of one that has not been made yet."""


def functional_config(model: Any) -> dict[str, Any]:
    """Return the config of a functional model."""
    indices = _node_indices(model)
    layers = []
    for operation in model.operations:
        config = serialize_keras_object(operation)
        config["name"] = operation.name
        config["inbound_nodes"] = [
            _serialize_node(node, indices)
            for node in operation._inbound_nodes
            if node in indices and node.input_tensors
        ]
        layers.append(config)

    def reference(tensor: KerasTensor) -> list[Any]:
        operation, index, part = tensor._keras_history
        position = indices[operation._inbound_nodes[index]]
        return [operation.name, position + _is_functional(operation), part]

    return copy.deepcopy(
        {
            "name": model.name,
            "trainable": model.trainable,
            "layers": layers,
            "input_layers": map_structure(reference, model._inputs_struct),
            "output_layers": map_structure(reference, model._outputs_struct),
        }
    )


def _is_functional(operation: Any) -> bool:
    # Files count one more call for these: Keras's start out with one.
    return hasattr(operation, "_inputs_struct")


def _node_indices(model: Any) -> dict[Node, int]:
    """Number the calls of each operation, leaving out those of other models."""
    indices = {}
    for operation in model.operations:
        own = [node for node in operation._inbound_nodes if node in model._nodes]
        indices.update((node, i) for i, node in enumerate(own))
    return indices


def _serialize_node(node: Node, indices: dict[Node, int]) -> dict[str, Any]:
    def renumber(x: Any) -> Any:
        if not isinstance(x, KerasTensor):
            return x
        operation, index, part = x._keras_history
        stand_in = KerasTensor(x.shape, x.dtype, name=x.name)
        position = indices[operation._inbound_nodes[index]]
        stand_in._keras_history = KerasHistory(operation, position, part)
        return stand_in

    args, kwargs = map_structure(renumber, (node.args, _written_kwargs(node)))
    data = {"args": serialize_keras_object(args), "kwargs": serialize_keras_object(kwargs)}
    if _says_only_the_default(node.kwargs.get("training"), node.operation):
        data[_MEANT] = True
    return data


def _written_kwargs(node: Node) -> dict[str, Any]:
    """Return the keyword arguments of a call as Keras writes them.

    It notes what it adds to them, `mask` and the default of `training`, where the arguments needed
    no conversion: one tensor, alone and of the layer's dtype, or a layer that converts nothing.
    """
    layer, kwargs = node.operation, node.kwargs
    signature = getattr(layer, "_call_signature", None)
    tensor = node.args[0] if len(node.args) == 1 else None
    if signature is None or not isinstance(tensor, KerasTensor):
        return kwargs
    if layer._convert_input_args and (kwargs or tensor.dtype != layer.input_dtype):
        return kwargs
    added: dict[str, Any] = {}
    if signature.takes_training and signature.training_default is not None:
        added["training"] = signature.training_default
    if signature.takes_mask and tensor._keras_mask is None and len(node.input_tensors) == 1:
        added["mask"] = None
    return {**kwargs, **{key: value for key, value in added.items() if key not in kwargs}}


def functional_from_config(
    cls: type, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
) -> Any:
    """Build a functional model from its config.

    Args:
        cls: The class to make: called with `inputs`, `outputs`, `name`, `trainable` and what else
            the config holds.
        config: What `functional_config` returned, or the like of an older file.
        custom_objects: Classes and functions, by the names the config uses for them.

    Raises:
        ValueError: The calls do not form a graph.
    """
    config = dict(config)
    layer_configs = config.pop("layers")
    input_layers, output_layers = config.pop("input_layers"), config.pop("output_layers")
    name, trainable = config.pop("name", None), config.pop("trainable", None)
    created: dict[str, Any] = {}
    pending: list[tuple[Any, list[Any]]] = []
    with CustomObjectScope(custom_objects or {}):
        for layer_config in layer_configs:
            layer = layer_from_config(layer_config)
            created[layer_config["name"]] = layer
            if layer_config["inbound_nodes"]:
                pending.append((layer, list(layer_config["inbound_nodes"])))
        _make_calls(pending, created)
    model = cls(
        inputs=_tensors(input_layers, created),
        outputs=_tensors(output_layers, created),
        name=name,
        trainable=trainable,
        **config,
    )
    effects = [layer for layer in created.values() if isinstance(layer, (AddLoss, AddMetric))]
    if effects:
        model.compute_also(
            [x for layer in effects for node in layer._inbound_nodes for x in node.outputs]
        )
    return model


def layer_from_config(config: dict[str, Any]) -> Any:
    """Build one layer of a model's config.

    Raises:
        ValueError: It describes something else than a layer or operation.
    """
    if not isinstance(config, dict) or "class_name" not in config or "config" not in config:
        raise ValueError(
            f"Expected a dictionary containing a 'config' key, and a 'class_name', got {config!r}."
        )
    if "module" not in config:  # before Keras 3
        homes = ("keras.layers", "keras", "keras.models")
        name = config["class_name"]
        home = next((h for h in homes if find_builtin(f"{h}.{name}") is not None), None)
        config = {**config, "module": home}
    layer = deserialize_keras_object(config)
    if not isinstance(layer, Operation):
        raise ValueError(
            f"The config of a model's layer gave {layer!r}, of type {type(layer).__name__}, which"
            " is neither a layer nor an operation."
        )
    return layer


def _make_calls(pending: list[tuple[Any, list[Any]]], created: dict[str, Any]) -> None:
    """Call the layers as recorded; a call waits for those whose results it uses."""
    while pending:
        waiting = []
        progress = False
        for layer, nodes in pending:
            while nodes:
                try:
                    args, kwargs = _deserialize_node(nodes[0], layer, created)
                except _NotYet:
                    break
                if not any(isinstance(x, KerasTensor) for x in flatten((args, kwargs))):
                    raise ValueError(  # it would compute at once, and no graph records that
                        f"The config calls '{layer.name}' on nothing that the model computes."
                    )
                layer(*args, **kwargs)
                nodes.pop(0)
                progress = True
            if nodes:
                waiting.append((layer, nodes))
        if not progress:
            raise ValueError(
                explain(
                    "The config of the functional model has a loop or disconnected calls.",
                    layers=[layer.name for layer, _ in waiting],
                )
            )
        pending = waiting


def _deserialize_node(data: Any, layer: Any, created: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    if isinstance(data, list):
        return _deserialize_old_node(data, created)
    args = deserialize_keras_object(data["args"])
    kwargs = deserialize_keras_object(data["kwargs"])
    if _says_only_the_default(kwargs.get("training"), layer) and not data.get(_MEANT):
        del kwargs["training"]
    if kwargs.get("mask", ...) is None:
        del kwargs["mask"]

    def revive(x: Any) -> Any:
        if not isinstance(x, KerasTensor):
            return x
        history = getattr(x, "_pre_serialization_keras_history", None)
        return x if history is None else _output(created, *history)

    return map_structure(revive, (args, kwargs))


def _says_only_the_default(training: Any, layer: Any) -> bool:
    """Whether a recorded `training` says nothing, unless the call is marked with `_MEANT`.

    Keras 3 records the default of `call`, if that is no `None`, for calls that were made without.
    Taken at its word, a `Dropout` of its files would never train again.
    """
    signature = getattr(layer, "_call_signature", None)
    return isinstance(training, bool) and training is getattr(signature, "training_default", None)


def _deserialize_old_node(data: list[Any], created: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Read a call as Keras before version 3 wrote it: `[[layer, call, output, kwargs], …]`."""
    if data and isinstance(data[0], str):  # one input, without the outer list
        data = [data]
    kwargs: dict[str, Any] = {}
    tensors = []
    for layer_name, index, part, *rest in data:
        tensors.append(_output(created, layer_name, index, part))
        if rest:
            kwargs = {key: _revive_old(value, created) for key, value in rest[0].items()}
    return [tensors[0] if len(tensors) == 1 else tensors], kwargs


def _revive_old(value: Any, created: dict[str, Any]) -> Any:
    """Replace `[layer, call, output]` in an old keyword argument by the tensor."""
    if isinstance(value, list) and len(value) == 3 and isinstance(value[0], str):
        return _output(created, *value)
    return value


def _output(created: dict[str, Any], layer_name: str, index: int, part: int) -> KerasTensor:
    if layer_name not in created:
        raise _missing(layer_name)
    nodes = created[layer_name]._inbound_nodes
    if len(nodes) <= index:
        raise _NotYet
    return nodes[index].outputs[part]


def _missing(name: str) -> ValueError:
    return ValueError(
        f"Missing node: {name}. The config of the functional model has no such layer."
    )


def _tensors(struct: Any, created: dict[str, Any]) -> Any:
    """Replace each `[layer, call, output]` by the tensor it names."""
    if isinstance(struct, (list, tuple)) and len(struct) == 3 and isinstance(struct[0], str):
        name, index, part = struct
        if name in created:
            return _output(created, name, index - _is_functional(created[name]), part)
        raise _missing(name)
    if isinstance(struct, dict):
        return {key: _tensors(value, created) for key, value in struct.items()}
    return type(struct)(_tensors(value, created) for value in struct)
