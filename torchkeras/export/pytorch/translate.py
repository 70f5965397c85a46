"""From a model's graph to classes: the walk over calls, and the table of translators.

A translator is a function of the writer, a layer and its arguments, in which symbolic tensors have
become `Value`s; it returns what the layer returns. It is found by the class of the layer. A user's
subclass is translated like its base as long as it computes by the base's code.
"""

from __future__ import annotations

import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch

from ...graph.keras_tensor import KerasTensor
from ...graph.lower import sort_graph
from ...graph.operation import Node, Operation, TorchFunction
from ...layers import InputLayer, Lambda, Layer
from ...tree import flatten, map_structure, pack_sequence_as
from ...variables import Variable
from ..signature import get_input_signature
from .source import ClassWriter, Value, class_name, refuse, spelled

__all__ = [
    "LAYERS",
    "OPS",
    "Translator",
    "graph_of",
    "translate_layer",
    "translates",
    "write_model",
]

Translator = Callable[..., Any]

LAYERS: dict[type, Translator] = {}
OPS: dict[str, Translator] = {}  # by the name of Keras's operation class
# Methods that change what a layer computes, if a subclass overrides them.
_METHODS = ("call", "convolution_op", "_merge_function", "_compute_attention", "inner_loop")

# Modules whose layers the translators know.
_OWN = Layer.__module__.rpartition(".")[0] + "."

_USE_INSTEAD = (
    "build the model of Keras's layers and `keras.ops` or torch functions, or use"
    " `model.export(path, format='torch')`, which traces any code."
)


def translates(*classes: type) -> Callable[[Translator], Translator]:
    """Register the translator of layer classes."""

    def register(function: Translator) -> Translator:
        LAYERS.update(dict.fromkeys(classes, function))
        return function

    return register


def translator_of(layer: Any) -> Translator | None:
    """Find the translator of a layer; `None` if its class computes something of its own."""
    methods = (getattr(type(layer), name, None) for name in _METHODS)
    if not all(method is None or method.__module__.startswith(_OWN) for method in methods):
        return None
    return next((LAYERS[base] for base in type(layer).__mro__ if base in LAYERS), None)


def graph_of(model: Any) -> Any:
    """Return the functional model that a model is or consists of, or `None`."""
    functional = getattr(model, "_functional", None) or model
    if getattr(functional, "_sorted", None) is None:
        return None
    cls = type(functional)
    own = [base for base in cls.__mro__ if "call" in vars(base)][0]
    return functional if own.__module__.startswith(__package__.split(".")[0] + ".models") else None


# Whole models ------------------------------------------------------------------------------------


def write_model(
    model: Any,
    helpers: dict[Callable[..., Any], None],
    classes: dict[Any, ClassWriter],
    name: str | None = None,
) -> ClassWriter:
    """Write a model as a class, and the models in it as classes of their own.

    Args:
        model: Functional or Sequential, and built.
        helpers: Of the file; extended.
        classes: Of the file, by model; extended, inner ones first.
        name: Of the class. Default: the model's.

    Raises:
        NotImplementedError: A part of it has no form in plain PyTorch, or it is of another kind.
    """
    if model in classes:
        return classes[model]
    graph = graph_of(model) or _graph_of_code(model)
    taken = {writer.name for writer in classes.values()} | {h.__name__ for h in helpers}
    base = class_name(name or model.name)
    unique, n = base, 1
    while unique in taken:
        n += 1
        unique = f"{base}{n}"
    writer = ClassWriter(unique, helpers, classes)
    tensors: dict[int, Value] = {}
    struct = graph._inputs_struct
    names = _input_names(struct, graph.inputs)
    for tensor, label in zip(graph.inputs, names, strict=True):
        tensors[id(tensor)] = writer.input(label, tensor.shape, tensor.dtype)
    _walk(writer, graph, tensors)
    writer.finish(_spell(writer, graph._returned(), tensors))
    writer.doc = _document(model, graph, writer.parameters)
    classes[model] = writer
    return writer


def _graph_of_code(model: Any) -> Any:
    """Trace a model whose `call` is the user's."""
    try:
        signature = get_input_signature(model)
    except (TypeError, ValueError) as error:
        raise NotImplementedError(f"{error}\nOnly then it can be written in PyTorch.") from error
    names = list(model._call_signature.names)
    inputs = []
    for name, argument in zip(names, signature, strict=False):
        specs = flatten(argument)
        labels = [spec.name or (name if len(specs) == 1 else f"{name}_{i}")
                  for i, spec in enumerate(specs)]  # fmt: skip
        tensors = [
            KerasTensor(s.shape, s.dtype, name=n) for s, n in zip(specs, labels, strict=True)
        ]
        inputs.append(pack_sequence_as(argument, tensors))
    return trace_call(model, inputs, {})


def trace_call(layer: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Record what a layer's `call` does to symbolic tensors.

    Args:
        layer: A layer whose `call` is the user's.
        args, kwargs: Symbolic tensors and other arguments.

    Returns: What a functional model has of a graph, as far as this file reads it.

    Raises:
        NotImplementedError: It looks at values, or does what cannot be recorded.
    """
    inputs = flatten([list(args), list(kwargs.values())])
    inputs = [x for x in inputs if isinstance(x, KerasTensor)]
    signature = layer._call_signature
    parts = list(layer._flatten_layers())
    before = [len(part._inbound_nodes) for part in parts]
    options = dict(kwargs)
    if signature.takes_training:
        options["training"] = False
    try:
        outputs = layer.call(*args, **options)
        if not all(isinstance(x, KerasTensor) for x in flatten(outputs)):
            raise TypeError("it returns something else than tensors that depend on its inputs")
        nodes = sort_graph(inputs, flatten(outputs))
    except Exception as error:
        why = "its `call` is Python code that cannot be recorded on symbolic tensors"
        raise refuse(layer, f"{why} ({type(error).__name__}: {error})", _USE_INSTEAD) from error
    finally:
        for part, count in zip(parts, before, strict=True):
            del part._inbound_nodes[count:]
    if signature.takes_training:
        warnings.warn(
            f"Layer '{layer.name}' (of type {type(layer).__name__}) takes `training`; the PyTorch"
            " code has what it does in inference.",
            stacklevel=2,
        )
    return types.SimpleNamespace(
        inputs=inputs,
        _inputs_struct=inputs,
        _sorted=nodes,
        _returned=lambda: outputs,
    )


def _input_names(struct: Any, inputs: list[KerasTensor]) -> list[str]:
    if len(inputs) == 1:
        return ["x"]
    if isinstance(struct, dict) and all(isinstance(x, KerasTensor) for x in struct.values()):
        keys = {id(x): str(key) for key, x in struct.items()}
        return [keys[id(x)] for x in inputs]
    return [
        tensor.name if tensor._keras_history is None else tensor._keras_history.operation.name
        for tensor in inputs
    ]


def _document(model: Any, graph: Any, parameters: list[str]) -> str:
    lines = [f"The model '{model.name}'.", "", "Args:"]
    for name, tensor in zip(parameters, graph.inputs, strict=True):
        lines.append(f"    {name}: {_shape_text(tensor)}.")
    outputs = flatten(graph._returned())
    if len(outputs) == 1:
        lines += ["", f"Returns: {_shape_text(outputs[0])}."]
    return "\n".join(lines)


def _shape_text(tensor: KerasTensor) -> str:
    sizes = ["batch" if i == 0 and n is None else "any" if n is None else str(n)
             for i, n in enumerate(tensor.shape)]  # fmt: skip
    return f"{tensor.dtype}, ({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


def _spell(writer: ClassWriter, outputs: Any, tensors: dict[int, Value]) -> str:
    """Spell out a structure of outputs."""
    if isinstance(outputs, KerasTensor):
        return str(writer.plain(tensors[id(outputs)]))
    if isinstance(outputs, dict):
        items = (f"{spelled(k)}: {_spell(writer, outputs[k], tensors)}" for k in sorted(outputs))
        return "{" + ", ".join(items) + "}"
    items = ", ".join(_spell(writer, item, tensors) for item in outputs)
    if isinstance(outputs, tuple):
        return f"({items},)" if len(outputs) == 1 else f"({items})"
    return f"[{items}]"


def _walk(writer: ClassWriter, graph: Any, tensors: dict[int, Value]) -> None:
    """Translate the calls of a graph, in order."""
    for node in graph._sorted.nodes:
        if node.is_input or all(id(x) in tensors for x in node.outputs):
            continue
        results = _translate_node(writer, node, tensors)
        symbols = flatten(node.structure)
        for symbol, value in zip(symbols, flatten(results), strict=True):
            value = (
                value if isinstance(value, Value) else writer.emit(str(value), shape=symbol.shape)
            )
            if value.number in {v.number for v in tensors.values()}:
                # An identity: the shapes of the two are equal, and their masks may differ.
                value = _alias(writer, value)
            value.shape = tuple(symbol.shape)
            value.mask = _mask_of(node, symbol, value, tensors)
            if value.twin is not None:
                value.twin.mask = value.mask
            tensors[id(symbol)] = value


def _alias(writer: ClassWriter, value: Value) -> Value:
    """Return another `Value` for the same tensor of the code."""
    made = Value(value.number, value.shape, value.dtype, value.layout, value.base, value.fixed)
    made.twin, made.mask = value.twin, value.mask
    return made


def _mask_of(node: Node, symbol: KerasTensor, value: Value, tensors: dict[int, Value]) -> Any:
    """Find the mask of a result: the translator's, or that of the first argument passed on."""
    if symbol._keras_mask is None:
        return None
    if getattr(node.operation, "passes_mask", False):
        masks = [tensors[id(x)].mask for x in node.input_tensors]
        return next((mask for mask in masks if mask is not None), None)
    return value.mask


def _translate_node(writer: ClassWriter, node: Node, tensors: dict[int, Value]) -> Any:
    def lowered(argument: Any) -> Any:
        if isinstance(argument, KerasTensor):
            return tensors[id(argument)]
        return argument

    args, kwargs = map_structure(lowered, (list(node.args), dict(node.kwargs)))
    args = list(args)
    operation = node.operation
    if isinstance(operation, Layer):
        if kwargs.pop("training", None):
            raise refuse(
                operation,
                "its call has `training=True` in the graph",
                "leave that out, and call `.train()` on its module in PyTorch.",
            )
        masked = any(x._keras_mask is not None for x in node.outputs)
        return translate_layer(writer, operation, *args, masked=masked, **kwargs)
    if isinstance(operation, TorchFunction):
        return OPS["TorchFunction"](writer, operation, *args, symbol=node.structure, **kwargs)
    translator = OPS.get(_op_name(operation))
    if translator is None:
        raise NotImplementedError(
            f"The operation '{_op_name(operation)}' cannot be written in plain PyTorch yet.\nFix:"
            " use a torch function in its place, such as `torch.relu`, which is written as it is;"
            " or use `model.export(path, format='torch')`, which traces any code."
        )
    config = getattr(operation, "config", {})
    while args and args[-1] is None:  # a tensor that the call left out
        args = args[:-1]
    return translator(writer, *args, symbol=node.structure, **{**config, **kwargs})


def _op_name(operation: Operation) -> str:
    path = getattr(type(operation), "_keras_path", "") or type(operation).__name__
    return path.rpartition(".")[2]


# Layers ------------------------------------------------------------------------------------------


def translate_layer(
    writer: ClassWriter, layer: Any, *args: Any, masked: bool = False, **kwargs: Any
) -> Any:
    """Write the call of a layer, which may be a model.

    Args:
        writer: Of the class it stands in.
        layer: The layer.
        args: Its arguments, with `Value`s for tensors.
        masked: Whether its results carry masks.
        kwargs: Likewise.

    Raises:
        NotImplementedError: It has no form in plain PyTorch.
    """
    if isinstance(layer, InputLayer):
        return args[0]
    if graph_of(layer) is not None:
        return _inner_model(writer, layer, args, kwargs, masked)
    translator = translator_of(layer)
    if isinstance(layer, Lambda):
        raise refuse(layer, "it holds Python code", "make it a `Layer` subclass of your own.")
    if translator is None and type(layer).__module__.startswith(_OWN):
        raise refuse(layer, "there is no counterpart in torch.nn", _USE_INSTEAD)
    if layer.quantization_mode is not None:
        raise refuse(
            layer,
            f"it is quantized ({layer.quantization_mode})",
            "export the model before `quantize`, and quantize it in PyTorch (package torchao).",
        )
    if layer.compute_dtype != layer.variable_dtype and layer.weights:
        raise refuse(
            layer,
            f"it computes in {layer.compute_dtype} with weights in {layer.variable_dtype}",
            "set the dtype policy 'float32', and use `torch.autocast` in PyTorch.",
        )
    if translator is None:
        return _own_code(writer, layer, args, kwargs)
    try:
        return translator(writer, layer, *args, **kwargs)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise refuse(
            layer, f"it is called with arguments that have no form there ({error})", _USE_INSTEAD
        ) from error


def _own_code(writer: ClassWriter, layer: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Write what a layer of the user's does, call by call."""
    tensors: dict[int, Value] = {}

    def symbolic(argument: Any) -> Any:
        if not isinstance(argument, Value):
            return argument
        made = KerasTensor(argument.shape, argument.dtype)
        tensors[id(made)] = argument
        kept.append(made)
        return made

    kept: list[KerasTensor] = []
    args, kwargs = map_structure(symbolic, (list(args), dict(kwargs)))
    graph = trace_call(layer, args, kwargs)
    outer, writer.owner = writer.owner, layer
    _walk(writer, graph, tensors)
    writer.owner = outer
    return map_structure(lambda tensor: tensors[id(tensor)], graph._returned())


def _inner_model(
    writer: ClassWriter, model: Any, args: tuple[Any, ...], kwargs: dict[str, Any], masked: bool
) -> Any:
    """Write the call of a model within a model: a submodule, or, where masks pass, its calls."""
    graph = graph_of(model)
    inputs = args[0] if args else kwargs.get("inputs")
    if isinstance(graph._inputs_struct, dict) and isinstance(inputs, dict):
        inputs = {key: inputs[key] for key in graph._inputs_struct}
    values = flatten(inputs)
    if masked or any(x.mask is not None for x in values):
        tensors = {id(t): x for t, x in zip(graph.inputs, values, strict=True)}
        _walk(writer, graph, tensors)
        return map_structure(lambda tensor: tensors[id(tensor)], graph._returned())
    inner = write_model(model, writer.helpers, writer.classes)
    state = {f"{key}": value for key, value in inner.state.items()}
    module = writer.module(model, f"{inner.name}()", state)
    key = module.removeprefix("self.")
    writer.frozen.update(f"{key}.{name}" for name in inner.frozen)
    call = f"{module}({', '.join(str(writer.plain(x)) for x in values)})"
    returned = graph._returned()

    def result(tensor: KerasTensor) -> Value:
        return writer.value(tensor.shape, tensor.dtype)

    made = map_structure(result, returned)
    if isinstance(made, Value):
        writer.assign(str(made), call)
    elif isinstance(made, dict):
        whole = writer.emit(call, shape=(), base="outputs")
        for name, value in made.items():
            writer.assign(str(value), f"{whole}[{spelled(name)}]")
    else:
        writer.assign(", ".join(map(str, flatten(made))), call)
    return made


def constants(writer: ClassWriter, argument: Any, name: str = "constant") -> str:
    """Spell an argument out: values as placeholders, tensors as buffers."""
    if isinstance(argument, Value):
        return str(writer.plain(argument))
    if isinstance(argument, (list, tuple)):
        items = [constants(writer, item, name) for item in argument]
        if isinstance(argument, tuple):
            return "(" + ", ".join(items) + (",)" if len(items) == 1 else ")")
        return "[" + ", ".join(items) + "]"
    if isinstance(argument, torch.dtype):
        return str(argument)
    if isinstance(argument, Variable):
        return writer.parameter(argument, "", argument)
    if isinstance(argument, torch.Tensor) or hasattr(argument, "__array__"):
        return writer.constant(torch.as_tensor(argument), name)
    return spelled(argument)
