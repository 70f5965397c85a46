"""From a recorded graph to straight-line code.

`sort_graph` orders the calls between inputs and outputs. `Lowering` writes them, one call per node,
as `Code`, the Python function that runs, or as a `torch.fx.Graph`, for those who want to look at it
or change it. Masks are computed and passed on only where a symbolic tensor carries one, and calls
that do not reach an output are left out.
"""

from __future__ import annotations

import collections
import keyword
import re
from collections.abc import Iterable
from typing import Any

import torch
from torch import fx

from ..dtypes import as_tensor
from ..naming import explain
from ..tree import flatten, map_structure
from .code import Code
from .keras_tensor import KerasTensor, any_symbolic
from .masks import get_keras_mask, is_first_mask
from .operation import Node, Operation

__all__ = [
    "DisconnectedError",
    "Lowering",
    "SortedGraph",
    "drop_dead_code",
    "sort_graph",
]


class SortedGraph:
    """The calls that lead from inputs to outputs.

    Attributes:
        nodes: In an order in which they can run.
        nodes_by_depth: By the longest way to an output.
        operations: Without repetition, inputs first, in Keras's order of `model.layers`.
        operations_by_depth: Likewise by depth.
    """

    def __init__(self, inputs: list[KerasTensor], outputs: list[KerasTensor]) -> None:
        self.nodes, order = _visit(inputs, outputs)
        depths: dict[Node, int] = {}
        operation_depths: dict[Any, int] = {}
        inside = set(self.nodes)
        for node in reversed(self.nodes):
            depth = max(depths.get(node, 0), operation_depths.get(node.operation, 0))
            depths[node] = operation_depths[node.operation] = depth
            for parent in node.parent_nodes:
                if parent in inside and depths.get(parent, 0) <= depth:
                    depths[parent] = depth + 1
        for tensor in inputs:  # an input that no output depends on
            if tensor._keras_history is None:
                continue
            operation, index, _ = tensor._keras_history
            node = operation._inbound_nodes[index]
            if node.is_input and operation not in operation_depths:
                operation_depths[operation] = 0
                order[operation] = -1
                depths[node] = 0
                self.nodes.insert(0, node)
        self.nodes_by_depth = _by_depth(depths)
        self.operations_by_depth = _by_depth(operation_depths)
        self.operations = []
        for depth in sorted(self.operations_by_depth, reverse=True):
            self.operations_by_depth[depth].sort(key=order.__getitem__)
            self.operations += self.operations_by_depth[depth]
        _check_names(self.operations)


def sort_graph(inputs: Iterable[KerasTensor], outputs: Iterable[KerasTensor]) -> SortedGraph:
    """Order the calls between `inputs` and `outputs`.

    Raises:
        DisconnectedError: An output depends on an input that is not among `inputs`.
        ValueError: Two layers share a name.
    """
    return SortedGraph(list(inputs), list(outputs))


def _visit(
    inputs: list[KerasTensor], outputs: list[KerasTensor]
) -> tuple[list[Node], dict[Any, int]]:
    """Walk from the outputs to the inputs; a call comes after all it needs."""
    given = {id(tensor) for tensor in inputs}
    finished: dict[Node, None] = {}
    order: dict[Any, int] = {}
    in_progress: set[Node] = set()
    # A stack of its own instead of recursion: models may be thousands of layers deep.
    stack: list[tuple[KerasTensor, bool]] = [(tensor, False) for tensor in reversed(outputs)]
    while stack:
        tensor, done = stack.pop()
        if tensor._keras_history is None:
            if id(tensor) in given:  # a tensor made by hand
                continue
            raise _disconnected(tensor, inputs)
        operation, index, _ = tensor._keras_history
        node = operation._inbound_nodes[index]
        if id(tensor) in given and not node.is_input:  # what led there is outside of the graph
            continue
        if done:
            in_progress.discard(node)
            finished[node] = None
            continue
        if node in finished or node in in_progress:
            continue
        order.setdefault(operation, len(order))
        in_progress.add(node)
        stack.append((tensor, True))
        if id(tensor) in given:
            continue
        if node.is_input:
            raise _disconnected(tensor, inputs)
        stack += [(argument, False) for argument in reversed(node.input_tensors)]
    return list(finished), order


def _by_depth(depths: dict[Any, int]) -> dict[int, list[Any]]:
    table: dict[int, list[Any]] = collections.defaultdict(list)
    for item, depth in depths.items():
        table[depth].append(item)
    return dict(table)


class DisconnectedError(ValueError):
    """An output of a graph depends on something else than its inputs."""


def _disconnected(tensor: KerasTensor, inputs: list[KerasTensor]) -> DisconnectedError:
    history = tensor._keras_history
    source = f" of '{history.operation.name}'" if history is not None else ""
    return DisconnectedError(
        explain(
            f"Output of the graph is not connected to `inputs`: it depends on tensor"
            f" '{tensor.name}'{source}, which does not come from them.",
            tensor=repr(tensor),
            inputs=[x.name for x in inputs],
            fix="add the `Input` it comes from to the model's inputs.",
        )
    )


def _check_names(operations: list[Any]) -> None:
    counts = collections.Counter(operation.name for operation in operations)
    name, count = counts.most_common(1)[0] if counts else ("", 0)
    if count > 1:
        raise ValueError(
            f'The name "{name}" is used {count} times in the model. All operation names should be'
            " unique; pass `name=` to the layers."
        )


class Lowering:
    """A graph written as straight-line calls.

    Args:
        target: Where to write them: `Code` or `torch.fx.Graph`.
        graph: The calls.
        inputs: The symbolic inputs, flat; each becomes a parameter of the generated function.
        outputs: The symbolic outputs, in the structure the function returns.
        keys: The attribute under which the model holds each module among the operations.

    Attributes:
        constants: Tensors and functions in the arguments of calls, to be held by the model as
            `_constants`.
        held: How many there are.

    Raises:
        ValueError: An argument of a call has no name that code can spell out. Graphs come from
            files too, and names are written as they are.
    """

    def __init__(
        self,
        target: Code | fx.Graph,
        graph: SortedGraph,
        inputs: list[KerasTensor],
        outputs: Any,
        keys: dict[Any, str],
    ) -> None:
        self._target = target
        self.constants = torch.nn.Module()
        self.held = 0
        self._keys = keys
        self._values: dict[int, Any] = {}
        self._masks: dict[int, Any] = {}
        for tensor in inputs:
            self._values[id(tensor)] = self._target.placeholder(_identifier(tensor.name))
        for node in graph.nodes:
            if not node.is_input and not all([id(x) in self._values for x in node.outputs]):
                self._emit(node)
        self._emit_output(outputs)

    def _emit(self, node: Node) -> None:
        operation = node.operation
        args = tuple([self._lower(arg) for arg in node.args])
        kwargs = {key: self._lower(value) for key, value in node.kwargs.items()}
        if kwargs:
            _check_argument_names(kwargs)
        if isinstance(operation, torch.nn.Module):
            value = self._emit_module(node, args, kwargs)
        else:
            value = self._emit_function(operation, args, kwargs)
        self._unpack(node.structure, value, node)

    def _emit_function(self, operation: Operation, args: Any, kwargs: dict[str, Any]) -> Any:
        config = getattr(operation, "config", {})
        function = getattr(operation, "function", None)
        if function is None or not _is_literal(config):
            return self._target.call_function(operation.call, args, kwargs)
        _check_argument_names(config)
        return self._target.call_function(function, args, {**kwargs, **config})

    def _emit_module(self, node: Node, args: Any, kwargs: dict[str, Any]) -> Any:
        """Emit the call of a layer, with the masks of its inputs."""
        layer, key = node.operation, self._keys[node.operation]
        of_first = is_first_mask(kwargs.get("mask"))
        if of_first:
            del kwargs["mask"]
        carriers = [x for x in node.input_tensors if x._keras_mask is not None]
        masked = any(self._mask_of(x) is not None for x in carriers) if carriers else False
        if not masked and all([x._keras_mask is None for x in node.outputs]):
            return self._target.call_module(key, args, kwargs)
        if not getattr(layer, "_static_masks", False):
            # A user's layer may look for masks on tensors, inside its own layers too.
            args, kwargs = map_structure(self._with_mask, (node.args, node.kwargs))
            return self._target.call_module(key, args, kwargs)
        names = layer._call_signature.names
        tensors = {**dict(zip(names, node.args, strict=False)), **node.kwargs}
        tensors = {name: value for name, value in tensors.items() if any_symbolic(value)}
        given = len(kwargs)
        for name, value in list(tensors.items())[: 1 if of_first else None]:
            mask_name = "mask" if len(tensors) == 1 or of_first else f"{name}_mask"
            if mask_name in names and kwargs.get(mask_name) is None:
                kwargs[mask_name] = self._mask_structure(value)
        if len(kwargs) == given and not layer.creates_mask:
            return self._target.call_module(key, args, kwargs)
        # The masks travel as arguments: the layer must neither look for any nor attach any.
        module = self._target.get_attr(key)
        return self._target.call_method("call_unmasked", (module, *args), kwargs)

    def _with_mask(self, value: Any) -> Any:
        """Lower an argument so that it carries its mask."""
        lowered = self._lower(value)
        mask = self._mask_of(value) if isinstance(value, KerasTensor) else None
        if mask is None:
            return lowered
        return self._target.call_function(attach_mask, (lowered, mask))

    def _mask_structure(self, value: Any) -> Any:
        masks = map_structure(
            lambda x: self._mask_of(x) if isinstance(x, KerasTensor) else None, value
        )
        flat = flatten(masks)
        return masks if any(mask is not None for mask in flat) else None

    @staticmethod
    def _is_input(tensor: KerasTensor) -> bool:
        operation, index, _ = tensor._keras_history
        return operation._inbound_nodes[index].is_input

    def _mask_of(self, tensor: KerasTensor) -> Any:
        """Return the value that is the mask of a tensor, if any; emitted when first asked for."""
        if tensor._keras_mask is None or tensor._keras_history is None:
            return None
        if id(tensor) not in self._values or self._is_input(tensor):
            return None
        if id(tensor) not in self._masks:
            self._masks[id(tensor)] = self._emit_mask(tensor)
        return self._masks[id(tensor)]

    def _emit_mask(self, tensor: KerasTensor) -> Any:
        layer, index, part = tensor._keras_history
        node = layer._inbound_nodes[index]
        if not getattr(layer, "_static_masks", False):
            return self._target.call_function(get_keras_mask, (self._values[id(tensor)],))
        first = node.args[0] if node.args else next(iter(node.kwargs.values()))
        given = node.kwargs.get("mask")
        if given is None or is_first_mask(given):
            given = self._mask_structure(first)
        else:
            given = self._lower(given)
        if layer.passes_mask:
            masks = [mask for mask in flatten(given) if mask is not None]
            return masks[0] if masks else None
        module = self._target.get_attr(self._keys[layer])
        mask = self._target.call_method("compute_mask", (module, self._lower(first), given))
        several = len(node.outputs) > 1 or isinstance(node.structure, (list, tuple))
        return self._target.call_function(_part, (mask, part)) if several else mask

    def _lower(self, value: Any) -> Any:
        """Replace symbolic tensors by their values, and constant tensors by attributes."""
        if isinstance(value, KerasTensor):
            return self._values[id(value)]
        if isinstance(value, (list, tuple)):
            items = [self._lower(item) for item in value]
            return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
        if isinstance(value, dict):
            return {key: self._lower(item) for key, item in value.items()}
        if isinstance(value, torch.Tensor) or hasattr(value, "__array__"):
            return self._hold(value)
        # Code can name a type, but no function.
        return self._hold(value) if callable(value) and not isinstance(value, type) else value

    def _hold(self, value: Any) -> Any:
        """Let the model hold a constant."""
        key = f"c{self.held}"
        self.held += 1
        if isinstance(value, torch.nn.Parameter):
            self.constants.register_parameter(key, value)
        elif isinstance(value, torch.Tensor) or hasattr(value, "__array__"):
            self.constants.register_buffer(key, as_tensor(value), persistent=False)
        else:  # of a layer, the weights are not the model's
            object.__setattr__(self.constants, key, value)
        return self._target.get_attr(f"_constants.{key}")

    def _unpack(self, structure: Any, value: Any, node: Node) -> None:
        """Name the parts of a call's result."""
        if isinstance(structure, KerasTensor):
            self._values.setdefault(id(structure), value)
            return
        items = structure.items() if isinstance(structure, dict) else enumerate(structure)
        for key, item in items:
            if item is not None:
                self._unpack(item, self._target.call_function(_item, (value, key)), node)

    def _emit_output(self, outputs: Any) -> None:
        """Return the outputs; those with a mask carry it, for losses and metrics to see."""

        def emit(tensor: Any) -> Any:
            value = self._values[id(tensor)]
            mask = self._mask_of(tensor)
            if mask is None:
                return value
            return self._target.call_function(attach_mask, (value, mask))

        self._target.output(_in_key_order(map_structure(emit, outputs)))


def drop_dead_code(graph: fx.Graph) -> fx.Graph:
    """Leave out what only gives a result that nobody uses, as `Code` does."""
    for node in reversed(list(graph.nodes)):
        if not node.users and node.op in ("call_function", "call_method", "get_attr"):
            graph.erase_node(node)
    return graph


def _check_argument_names(names: Iterable[str]) -> None:
    for name in names:
        if not name.isidentifier() or keyword.iskeyword(name):
            raise ValueError(
                explain(
                    "A call in the graph has an argument whose name is no Python name.",
                    given=name,
                    fix="rename it, or take it from `**kwargs` under another name.",
                )
            )


def _in_key_order(outputs: Any) -> Any:
    """Sort the dicts in a structure by key, as the outputs of Keras's functional models are."""
    if isinstance(outputs, dict):
        return {key: _in_key_order(outputs[key]) for key in sorted(outputs)}
    if type(outputs) in (list, tuple):
        return type(outputs)(_in_key_order(item) for item in outputs)
    return outputs


def _item(value: Any, key: Any) -> Any:
    return value[key]


def attach_mask(value: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Let an output of a model carry its mask."""
    if mask is not None:
        value._keras_mask = mask
    return value


def _part(masks: Any, index: int) -> Any:
    """Return one of several masks; a single one holds for all."""
    if not isinstance(masks, (list, tuple)):
        return masks
    return masks[index] if index < len(masks) else None


def _identifier(name: str) -> str:
    name = re.sub(r"\W", "_", name, flags=re.ASCII)
    free = name.isidentifier() and not keyword.iskeyword(name) and name != "self"
    return name if free else f"input_{name}"


def _is_literal(value: Any) -> bool:
    """Return whether generated code can spell a value out."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_literal(item) for key, item in value.items())
    if type(value) in (list, tuple):
        return all(_is_literal(item) for item in value)
    if isinstance(value, slice):
        return all(_is_literal(part) for part in (value.start, value.stop, value.step))
    return value is None or value is Ellipsis or type(value) in (bool, int, float, str, torch.dtype)
