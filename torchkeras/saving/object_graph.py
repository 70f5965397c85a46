"""TensorFlow's graph of the objects in a checkpoint, and which of them ours are.

The file has nodes with named edges, from a model to its layers and on to their variables, and for
each variable the key of its values. Ours are followed along the file's edges: attributes by their
names, items of lists by their numbers, those of dicts by their keys, layers of a functional or
sequential model as `layer-0`, `layer-1`, … or, where some have no place here, by
`layer_with_weights-0`, …

Each object and each node is met once, so cycles (there is one in every file) end, and the walk is
as long as the model.

Source: TensorFlow's `trackable_object_graph.proto`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch

from ..layers.layer import Layer
from ..variables import Variable
from .tf_bundle import Bundle
from .walk import CONTAINERS, children_of, is_graph_model, own_variables
from .wire import messages, parts_of

__all__ = ["GRAPH_KEY", "Match", "ObjectGraph", "Slot", "match"]

GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VALUE = "VARIABLE_VALUE"
_EMPTY: Mapping[str, int] = {}
# Edges that lead to nothing of a layer's own: they repeat it, or hold what is made anew.
_ASIDE = frozenset(
    """call_and_return_all_conditional_losses call_and_return_conditional_losses idf_weights
    keras_api layer_metrics metrics non_trainable_variables num_documents optimizer
    regularization_losses root save_counter signatures states token_counts
    token_document_counts train_function train_tf_function trainable_variables variables
    _random_generator""".split()
)
# What Keras 2 called attributes of layers that have another name since.
_OLD_NAMES = {"kernel": "depthwise_kernel"}
# Nodes of optimizers and metrics, which may be attributes by any name.
_MARKS = (frozenset({"_iterations"}), frozenset({"iter"}), frozenset({"total", "count"}))


class Slot(NamedTuple):
    """What an optimizer of `optimizers.legacy` keeps for a variable: nodes, and what it is."""

    variable: int
    name: str
    node: int


class ObjectGraph:
    """The nodes of a graph, parsed one by one as they are asked for.

    Args:
        data: The message.

    Raises:
        ValueError: It is none, or has an edge to nowhere.
    """

    def __init__(self, data: bytes) -> None:
        self._nodes = list(messages(data, 1))
        self._edges: dict[int, dict[str, int]] = {}

    @classmethod
    def of(cls, bundle: Bundle) -> ObjectGraph | None:
        """Return that of a checkpoint; `None` if it has none, as those of TensorFlow 1."""
        if GRAPH_KEY not in bundle.entries:
            return None
        (data,) = bundle.strings(GRAPH_KEY)
        return cls(data)

    def __len__(self) -> int:
        return len(self._nodes)

    def edges(self, node: int) -> Mapping[str, int]:
        """Return the children of a node by name."""
        found = self._edges.get(node)
        if found is None:
            found = self._edges[node] = {}
            for child in messages(self._nodes[node], 1):
                parts = dict(parts_of(child))
                found[_text(parts.get(2, b""))] = self._known(parts.get(1, 0))
        return found

    def _known(self, node: Any) -> int:
        if not isinstance(node, int) or node >= len(self._nodes):
            raise ValueError(f"an edge leads to node {node!r} of {len(self._nodes)}")
        return node

    def attributes(self, node: int) -> dict[str, tuple[str, str]]:
        """Return the keys of a node's tensors, and the names they had, by what they are."""
        found = {}
        for attribute in messages(self._nodes[node], 2):
            parts = dict(parts_of(attribute))
            found[_text(parts.get(1, b""))] = _text(parts.get(3, b"")), _text(parts.get(2, b""))
        return found

    def key(self, node: int) -> str | None:
        """Return the key of a variable's values; `None` for a node that is no variable."""
        found = self.attributes(node).get(_VALUE)
        return None if found is None else found[0]

    def full_name(self, node: int) -> str:
        """Return the name that a variable had in TensorFlow, such as `dense/kernel`."""
        return self.attributes(node).get(_VALUE, ("", ""))[1]

    def slots(self, node: int) -> list[Slot]:
        """Return the slots of an optimizer of `optimizers.legacy`."""
        found = []
        for slot in messages(self._nodes[node], 3):
            parts = dict(parts_of(slot))
            of, target = self._known(parts.get(1, 0)), self._known(parts.get(3, 0))
            found.append(Slot(of, _text(parts.get(2, b"")), target))
        return found

    def below(self, node: int, taken: set[int]) -> Iterator[str]:
        """Yield the keys of variables below a node that belong to it and that nobody took."""
        met, waiting = {node}, [node]
        while waiting:
            at = waiting.pop()
            key = None if at in taken else self.key(at)
            if key is not None:
                yield key
            edges = self.edges(at)
            if at != node and any(marks <= edges.keys() for marks in _MARKS):
                continue
            for name, child in edges.items():
                if name not in _ASIDE and child not in met:
                    met.add(child)
                    waiting.append(child)


def _text(value: Any) -> str:
    if not isinstance(value, bytes):
        raise ValueError("a name in its graph of objects is none")
    return value.decode()


# Ours and theirs ----------------------------------------------------------------------------------


@dataclasses.dataclass
class Match:
    """Which nodes of a file a model's objects are.

    Attributes:
        variables: The node of each variable.
        objects: Layers and what else is no variable, with their nodes and paths in the file.
    """

    variables: list[tuple[Variable, int]] = dataclasses.field(default_factory=list)
    objects: list[tuple[Any, int, str]] = dataclasses.field(default_factory=list)


def match(root: Any, node: int, graph: ObjectGraph) -> Match:
    """Follow an object's attributes and a file's edges side by side.

    Args:
        root: A model, layer, variable, or a dict, list or tuple of some.
        node: Its node.
        graph: The file's.
    """
    found = Match()
    met: set[int] = set()
    nodes: set[int] = set()
    waiting = [(root, node, "")]
    while waiting:
        ours, theirs, path = waiting.pop()
        if id(ours) in met or theirs in nodes:
            continue
        met.add(id(ours))
        nodes.add(theirs)
        if isinstance(ours, Variable):
            found.variables.append((ours, theirs))
            continue
        found.objects.append((ours, theirs, path))
        edges = graph.edges(theirs)
        pairs = [
            (child, edges[name], f"{path}/{name}" if path else name)
            for child, name in _named_children(ours, edges)
        ]
        waiting.extend(reversed(pairs))
    return found


def _named_children(ours: Any, edges: Mapping[str, int]) -> Iterator[tuple[Any, str]]:
    """Yield what an object holds, with the edge of the file that leads to it."""
    if isinstance(ours, CONTAINERS):
        items = ours.items() if isinstance(ours, dict) else enumerate(ours)
        for name, child in items:
            if str(name) in edges and _counts(child):
                yield child, str(name)
        return
    if not isinstance(ours, Layer):
        held = {**vars(ours), **ours._parameters, **ours._modules}
        yield from ((held[name], name) for name in held if name in edges and _counts(held[name]))
        return
    yield from _variables(ours, edges)
    if is_graph_model(ours):
        yield from _layers(ours.layers, edges)
    for name, child in children_of(ours):
        if name == "layers" and isinstance(getattr(type(ours), name, None), property):
            continue  # a model's list of what its attributes are
        edge = next((edge for edge in (name, f"_{name}") if edge in edges), None)
        if edge is not None and edge not in _ASIDE and _counts(child):
            yield child, edge


def _counts(child: Any) -> bool:
    """Whether an object may hold variables of a model; metrics and the like start anew."""
    return isinstance(child, (Variable, torch.nn.Module, *CONTAINERS))


def _variables(layer: Layer, edges: Mapping[str, int]) -> Iterator[tuple[Variable, str]]:
    """Yield a layer's own variables, by the attributes they are or by their names."""
    attributes = {
        id(value): name
        for name, value in (*vars(layer).items(), *layer._parameters.items())
        if isinstance(value, torch.nn.Parameter)
    }
    for variable in own_variables(layer):
        names = attributes.get(id(variable)), variable.name, _OLD_NAMES.get(variable.name)
        edge = next((name for name in names if name in edges), None)
        if edge is not None and isinstance(variable, Variable):
            yield variable, edge


def _layers(layers: list[Any], edges: Mapping[str, int]) -> Iterator[tuple[Any, str]]:
    if f"layer-{len(layers) - 1}" in edges and f"layer-{len(layers)}" not in edges:
        yield from ((layer, f"layer-{i}") for i, layer in enumerate(layers))
        return
    for i, layer in enumerate(layer for layer in layers if layer.weights):
        if f"layer_with_weights-{i}" in edges:
            yield layer, f"layer_with_weights-{i}"
