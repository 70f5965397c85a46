"""`Function`: the calls between symbolic tensors as a function; and running such calls one by one.

Models lower their graph to generated code instead (`lower.py`). What is here serves graphs without
layers of their own, graphs run with something else than the operations themselves, such as shape
inference, and libraries that walk graphs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..naming import explain
from ..tree import (
    assert_same_structure,
    flatten,
    map_shape_structure,
    map_structure,
    pack_sequence_as,
)
from .keras_tensor import KerasTensor
from .lower import SortedGraph, sort_graph
from .operation import Operation

__all__ = ["Function", "make_node_key", "map_graph", "run_through_graph"]


def run_through_graph(
    graph: SortedGraph,
    inputs: Sequence[KerasTensor],
    values: Sequence[Any],
    outputs: Any,
    operation_fn: Callable[[Any], Callable[..., Any]] | None = None,
    call_fn: Callable[..., Any] | None = None,
) -> Any:
    """Make the calls of a graph again.

    Args:
        graph: The calls, sorted.
        inputs: The symbolic tensors that are given.
        values: What is given for them.
        outputs: The symbolic tensors that are wanted, in any structure.
        operation_fn: Returns what to call in place of an operation. Default: itself.
        call_fn: Calls it: `call_fn(operation, *args, **kwargs)`.

    Returns: What the calls gave for `outputs`, in their structure.
    """
    known = {id(tensor): value for tensor, value in zip(inputs, values, strict=True)}
    for node in graph.nodes:
        if node.is_input or all(id(tensor) in known for tensor in node.outputs):
            continue
        if any(id(tensor) not in known for tensor in node.input_tensors):
            continue
        args, kwargs = node.arguments.fill_in(known)
        operation = node.operation if operation_fn is None else operation_fn(node.operation)
        results = (
            operation(*args, **kwargs) if call_fn is None else call_fn(operation, *args, **kwargs)
        )
        for tensor, value in zip(node.outputs, flatten(results), strict=False):
            known[id(tensor)] = value
    return pack_sequence_as(outputs, [known[id(tensor)] for tensor in flatten(outputs)])


class Function(Operation):
    """The computation that leads from symbolic inputs to symbolic outputs, as an operation.

    It keeps no state and is no layer: a functional `Model` is both.

    Args:
        inputs: Symbolic tensors, in any structure; a `KerasTensor` without history will do.
        outputs: Symbolic tensors computed from them, in any structure.
        name: Default: `function`, `function_1`, …

    Raises:
        ValueError: One of them is empty, or an output does not come from the inputs.

    Example:
        >>> import torch
        >>> x = KerasTensor((None, 2))
        >>> function = Function(x, torch.relu(x) + 1)
        >>> function(torch.tensor([[-1.0, 2.0]])).tolist()
        [[1.0, 3.0]]
    """

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None) -> None:
        super().__init__(name=name)
        self._inputs_struct = map_structure(lambda x: x, inputs)
        self._outputs_struct = map_structure(lambda x: x, outputs)
        self._inputs: list[KerasTensor] = flatten(inputs)
        self._outputs: list[KerasTensor] = flatten(outputs)
        for what, tensors in (("inputs", self._inputs), ("outputs", self._outputs)):
            if not tensors:
                raise ValueError(
                    explain(
                        f"`{what}` argument cannot be empty.",
                        inputs=inputs,
                        outputs=outputs,
                        fix="pass at least one symbolic tensor.",
                    )
                )
        self._sorted = sort_graph(self._inputs, self._outputs)
        self._nodes, self._nodes_by_depth, self._operations, self._operations_by_depth = _described(
            self._sorted
        )

    @property
    def operations(self) -> list[Any]:
        """The operations called, from inputs to outputs."""
        return list(self._operations)

    @property
    def inputs(self) -> list[KerasTensor]:
        """The symbolic inputs, flat."""
        return self._inputs

    @property
    def outputs(self) -> list[KerasTensor]:
        """The symbolic outputs, flat."""
        return self._outputs

    def call(self, inputs: Any) -> Any:
        """Compute the outputs of other inputs.

        Raises:
            ValueError: They have another structure or shape.
        """
        self._assert_input_compatibility(inputs)
        return self._run_through_graph(inputs)

    def compute_output_spec(self, inputs: Any) -> Any:
        """Return the outputs as symbolic tensors, for symbolic inputs of any admissible shape."""
        self._assert_input_compatibility(inputs)
        if [x.shape for x in flatten(inputs)] == [x.shape for x in self._inputs]:
            return map_structure(lambda x: KerasTensor(x.shape, x.dtype), self._outputs_struct)
        return self._run_through_graph(inputs, lambda operation: operation.compute_output_spec)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shapes of the outputs for shapes of the inputs."""
        dtypes = iter([x.dtype for x in self._inputs])
        specs = map_shape_structure(lambda shape: KerasTensor(shape, next(dtypes)), input_shape)
        return map_structure(lambda x: x.shape, self.compute_output_spec(specs))

    def _run_through_graph(
        self,
        inputs: Any,
        operation_fn: Callable[[Any], Callable[..., Any]] | None = None,
        call_fn: Callable[..., Any] | None = None,
    ) -> Any:
        """Make the calls again, on other inputs; see `run_through_graph`."""
        values = flatten(inputs)
        return run_through_graph(
            self._sorted, self._inputs, values, self._outputs_struct, operation_fn, call_fn
        )

    def _assert_input_compatibility(self, inputs: Any) -> None:
        try:
            assert_same_structure(inputs, self._inputs_struct)
        except ValueError:
            raise ValueError(
                explain(
                    f"Function '{self.name}' was called with an invalid input structure.",
                    given=repr(inputs),
                    expected=self._inputs_struct,
                )
            ) from None
        for x, spec in zip(flatten(inputs), self._inputs, strict=True):
            same_rank = len(x.shape) == len(spec.shape)
            pairs = zip(x.shape, spec.shape, strict=False)
            if not same_rank or any(None not in (a, b) and a != b for a, b in pairs):
                raise ValueError(
                    explain(
                        f"Function '{self.name}' was passed incompatible inputs: '{spec.name}' has"
                        " another shape.",
                        given=tuple(x.shape),
                        expected=spec.shape,
                    )
                )


def make_node_key(op: Any, node_index: int) -> str:
    """Name one call of an operation, as the keys of `Function._nodes` do."""
    return f"{id(op)}_ib-{node_index}"


def map_graph(inputs: Any, outputs: Any) -> tuple[set[str], dict[int, Any], list[Any], Any]:
    """Sort the calls between symbolic tensors.

    Returns: The keys of the calls, the calls by depth, the operations, and those by depth. Depth is
        the longest way to an output.
    """
    return _described(sort_graph(flatten(inputs), flatten(outputs)))


def _described(graph: SortedGraph) -> tuple[set[str], dict[int, Any], list[Any], Any]:
    keys = {
        make_node_key(node.operation, node.operation._inbound_nodes.index(node))
        for node in graph.nodes
    }
    return keys, graph.nodes_by_depth, graph.operations, graph.operations_by_depth
