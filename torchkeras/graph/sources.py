"""Where a symbolic tensor comes from: `get_source_inputs`."""

from __future__ import annotations

from typing import Any

from .keras_tensor import KerasTensor

__all__ = ["get_source_inputs"]


def get_source_inputs(tensor: Any) -> Any:
    """Find the inputs from which a symbolic tensor is computed, each once.

    Args:
        tensor: The symbolic tensor; anything else is returned as it is.

    Returns: The list of inputs, in the order in which the calls take them.

    Example:
        >>> x = KerasTensor((2, 3), name="x")
        >>> [source.name for source in get_source_inputs(x)]
        ['x']
    """
    if not hasattr(tensor, "_keras_history"):
        return tensor
    sources: dict[int, KerasTensor] = {}
    seen: set[int] = set()
    pending = [tensor]
    while pending:
        current = pending.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        history = current._keras_history
        nodes = [] if history is None else history.operation._inbound_nodes
        if not nodes:
            sources[id(current)] = current
            continue
        node = nodes[history.node_index]
        if node.is_input:
            sources.update((id(output), output) for output in node.outputs)
        else:
            pending.extend(reversed(node.input_tensors))
    return list(sources.values())
