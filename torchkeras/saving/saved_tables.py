"""The vocabularies in a SavedModel, which layers of tf.keras had learned by `adapt`.

They stand in no configuration and no checkpoint, but in constants of TensorFlow's graph: a function
that the table's object names takes them as its inputs when it fills the table. The function is not
run; the constants are read.

Source: TensorFlow's `saved_object_graph.proto`, `graph.proto`, `tensor.proto`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..layers.index_lookup import IndexLookup
from .errors import FileFormatError
from .object_graph import Match
from .tf_checkpoint import CheckpointReader
from .wire import integers, messages, parts_of, signed

__all__ = ["SAVED_MODEL_FILE", "load_tables"]

SAVED_MODEL_FILE = "saved_model.pb"
_STRING = 7
_INTEGERS = {3: (7, "<i4"), 9: (10, "<i8")}  # of which field they are, or in which bytes


def load_tables(model: Any, matched: Match, reader: CheckpointReader, folder: str) -> None:
    """Give layers the vocabulary that they had learned.

    Args:
        model: The model, for messages.
        matched: Which objects of the file its layers are.
        reader: The checkpoint in the folder.
        folder: That of the SavedModel.

    Raises:
        FileFormatError: One has no vocabulary.
    """
    lacking = [
        (layer, node, path)
        for layer, node, path in matched.objects
        if isinstance(layer, IndexLookup)
        and layer.input_vocabulary is None
        and layer.vocabulary_size() == layer._token_start_index()
    ]
    if not lacking:
        return
    with open(os.path.join(folder, SAVED_MODEL_FILE), "rb") as file:
        graph = _Graph(file.read())
    for layer, node, path in lacking:
        tokens = graph.vocabulary(path, layer.invert)
        if tokens is None:
            raise FileFormatError(
                folder,
                f"layer '{layer.name}' had learned a vocabulary, which is not in it",
                fix=f"build the model in code, give the layer its vocabulary, and load only the"
                f" weights: `{model.name}.load_weights(path)`.",
            )
        layer._check_tokens(tokens)
        layer._use(tokens)
        key = reader.value_key(reader.graph.edges(node).get("idf_weights", node))
        if layer.output_mode == "tf_idf" and key is not None:
            layer._set_idf_weights(reader.bundle.read(key))


class _Graph:
    """What a `saved_model.pb` says of its objects, functions and constants.

    Args:
        data: The file.

    Raises:
        ValueError: It is damaged.
    """

    def __init__(self, data: bytes) -> None:
        self._nodes: list[bytes] = []
        self._functions: dict[bytes, list[int]] = {}
        self._constants: dict[bytes, bytes] = {}
        for graph in messages(data, 2):
            for definition in messages(graph, 2):
                for node in messages(definition, 1):
                    self._add_constant(node)
            for objects in messages(graph, 7):
                for entry in messages(objects, 2):
                    named = dict(parts_of(entry))
                    bound = messages(_bytes(named, 2), 2)
                    self._functions[_bytes(named, 1)] = [
                        n for part in bound for n in integers(part)
                    ]
                self._nodes += messages(objects, 1)
            break  # others hold the same objects for other tags

    def _add_constant(self, node: bytes) -> None:
        parts = dict(parts_of(node))
        if parts.get(2) != b"Const":
            return
        for attribute in messages(node, 5):
            named = dict(parts_of(attribute))
            if named.get(1) == b"value":
                for tensor in messages(_bytes(named, 2), 8):
                    self._constants[_bytes(parts, 1)] = tensor

    def _edges(self, node: int) -> Mapping[str, int]:
        found = {}
        for child in messages(self._at(node), 1):
            parts = dict(parts_of(child))
            found[_bytes(parts, 2).decode()] = parts.get(1, 0)
        return found

    def _at(self, node: Any) -> bytes:
        if not isinstance(node, int) or not 0 <= node < len(self._nodes):
            raise ValueError(f"an edge leads to node {node!r} of {len(self._nodes)}")
        return self._nodes[node]

    def vocabulary(self, path: str, invert: bool) -> list[Any] | None:
        """Return the tokens of the layer at a path by their indices; `None` if it has no table."""
        node: int | None = 0
        for name in (*path.split("/"), "lookup_table", "_initialize"):
            node = self._edges(node).get(name)
            if node is None:
                return None
        for function in messages(self._at(node), 6):
            for name in messages(function, 1):
                tensors = [self._constant(bound) for bound in self._functions.get(name, ())]
                tensors = [tensor for tensor in tensors if tensor is not None]
                if len(tensors) == 2:
                    return _by_index(*(tensors[::-1] if invert else tensors))
        return None

    def _constant(self, node: int) -> list[Any] | None:
        """Return the values of a constant; `None` for the table itself."""
        for constant in messages(self._at(node), 9):
            tensor = self._constants.get(_bytes(dict(parts_of(constant)), 1))
            return None if tensor is None else _values(tensor)
        return None


def _by_index(tokens: list[Any], indices: list[Any]) -> list[Any]:
    """Return tokens in the order of their indices, which have no gaps."""
    first = min(indices, default=0)
    if sorted(indices) != list(range(first, first + len(tokens))):
        raise ValueError("the indices of a vocabulary are not consecutive")
    return [token for _, token in sorted(zip(indices, tokens, strict=True))]


def _values(tensor: bytes) -> list[Any]:
    """Return what a tensor in a graph holds: strings or integers."""
    parts = dict(parts_of(tensor))
    kind = parts.get(1)
    sizes = [dict(parts_of(size)).get(1, 0) for size in messages(_bytes(parts, 2), 2)]
    if kind == _STRING:
        found: list[Any] = list(messages(tensor, 8))
    elif kind in _INTEGERS:
        number, dtype = _INTEGERS[kind]
        found = np.frombuffer(_bytes(parts, 4), dtype).tolist()
        for other, value in parts_of(tensor):
            if other == number:
                found += integers(value) if isinstance(value, bytes) else [signed(value)]
    else:
        raise ValueError(f"a table holds values of dtype number {kind}")
    if math.prod(sizes) != len(found):
        raise ValueError(f"a table of {math.prod(sizes)} values holds {len(found)}")
    return found


def _bytes(parts: Mapping[int, Any], number: int) -> bytes:
    value = parts.get(number, b"")
    if not isinstance(value, bytes):
        raise ValueError(f"field {number} holds a number")
    return value
