"""Writes TensorFlow's files without TensorFlow, also such as TensorFlow would not write."""

import dataclasses
import json
import pathlib
import struct
from typing import Any

import numpy as np

from torchkeras.saving.wire import DTYPES, crc32c, field, masked, masked_crc32c, varint

__all__ = [
    "Node",
    "graph_of",
    "model_node",
    "table",
    "tensor",
    "write_bundle",
    "write_checkpoint",
    "write_saved_model",
]


@dataclasses.dataclass(eq=False)
class Node:
    """An object in a checkpoint.

    Attributes:
        edges: Its children by name.
        value: Of a variable.
        name: What TensorFlow called that.
        slots: Of an optimizer: variable, name, node.
    """

    edges: dict[str, "Node"] = dataclasses.field(default_factory=dict)
    value: Any = None
    name: str = ""
    slots: list[tuple["Node", str, "Node"]] = dataclasses.field(default_factory=list)


def model_node(weights, **edges):
    """The node of a sequential model: a list of layers, which are arrays by attribute."""
    made = {}
    for i, layer in enumerate(weights):
        node = Node({key: Node(value=v, name=f"layer{i}/{key}") for key, v in layer.items()})
        made[f"layer-{i}"] = made[f"layer_with_weights-{i}"] = node
    return Node(made | edges)


def nodes_of(root):
    """All nodes, the root first."""
    found, waiting = {}, [root]
    while waiting:
        node = waiting.pop(0)
        if id(node) not in found:
            found[id(node)] = node
            waiting += [*node.edges.values(), *(slot for _, _, slot in node.slots)]
    return list(found.values())


def graph_of(root):
    """The message of a graph, and its tensors by key."""
    nodes = nodes_of(root)
    numbers = {id(node): i for i, node in enumerate(nodes)}
    message, tensors = b"", {}
    for i, node in enumerate(nodes):
        inner = b"".join(
            field(1, field(1, numbers[id(child)]) + field(2, name.encode()))
            for name, child in node.edges.items()
        )
        if node.value is not None:
            key = f"{i}/.ATTRIBUTES/VARIABLE_VALUE"
            tensors[key] = np.asarray(node.value)
            parts = ("VARIABLE_VALUE", node.name, key)
            inner += field(2, b"".join(field(n, p.encode()) for n, p in enumerate(parts, 1)))
        for of, name, slot in node.slots:
            ends = field(1, numbers[id(of)]), field(2, name.encode()), field(3, numbers[id(slot)])
            inner += field(3, b"".join(ends))
        message += field(1, inner)
    return message, tensors


def tensor(value):
    """The number of its dtype, its shape and its bytes."""
    if isinstance(value, bytes):
        sizes = struct.pack("<I", len(value))
        check = struct.pack("<I", masked_crc32c(sizes))
        data = varint(len(value)) + check + value
        return 7, (), data, masked(crc32c(sizes + check + value))
    number = next(n for n, name in DTYPES.items() if name == value.dtype.name)
    data = np.ascontiguousarray(value).tobytes()
    return number, value.shape, data, masked_crc32c(data)


def block(entries):
    """A block of a table, each key in full, with its kind and checksum."""
    body = b"".join(varint(0) + varint(len(k)) + varint(len(v)) + k + v for k, v in entries)
    body += struct.pack("<II", 0, 1)
    return body, b"\x00" + struct.pack("<I", masked_crc32c(body + b"\x00"))


def table(entries):
    """A table of one block."""
    data = b""
    handles = []
    for part in ([*entries], []):
        body, trailer = block(part)
        handles.append(varint(len(data)) + varint(len(body)))
        data += body + trailer
    body, trailer = block([(b"\xff", handles[0])])
    end = handles[1] + varint(len(data)) + varint(len(body))
    footer = end + bytes(40 - len(end)) + struct.pack("<Q", 0xDB4775248B80FB57)
    return data + body + trailer + footer


def entry(number, shape, offset, size, crc, shard=0, extra=b""):
    """What the index says about a tensor."""
    sizes = b"".join(field(2, field(1, n)) for n in shape)
    place = field(3, shard) + field(4, offset) + field(5, size)
    return (
        field(1, number)
        + field(2, sizes)
        + place
        + varint(6 << 3 | 5)
        + struct.pack("<I", crc)
        + extra
    )


HEADER = field(1, 1)  # one shard


def write_bundle(prefix, tensors, header=HEADER, change=lambda key, entry: entry):
    """Write an index and one shard.

    Args:
        prefix: What their names begin with.
        tensors: Arrays, or bytes for a string, by key.
        header: The message of the empty key.
        change: Takes a key and the message of its entry, and returns another.
    """
    prefix = pathlib.Path(prefix)
    prefix.parent.mkdir(parents=True, exist_ok=True)
    data, entries = b"", [(b"", header)]
    for key, value in sorted(tensors.items()):
        number, shape, content, crc = tensor(value)
        message = entry(number, shape, len(data), len(content), crc)
        entries.append((key.encode(), change(key, message)))
        data += content
    prefix.with_name(f"{prefix.name}.index").write_bytes(table(entries))
    prefix.with_name(f"{prefix.name}.data-00000-of-00001").write_bytes(data)


def write_checkpoint(prefix, root, **options):
    """Write a graph of objects and its values."""
    message, tensors = graph_of(root)
    write_bundle(prefix, {"_CHECKPOINTABLE_OBJECT_GRAPH": message, **tensors}, **options)


def write_saved_model(folder, root, metadata, kind="sequential", old=False, extra=b""):
    """Write a SavedModel.

    Args:
        folder: Its path.
        root: The node of the model.
        metadata: What tf.keras says of it, or bytes as they are; `None` for no Keras model.
        kind: What kind of object it is.
        old: Whether to write it as TensorFlow 2.0 to 2.4 did.
        extra: More of the message of the graph.
    """
    folder = pathlib.Path(folder)
    write_checkpoint(folder / "variables" / "variables", root)
    text = metadata if isinstance(metadata, bytes) else json.dumps(metadata).encode()
    identifier = f"_tf_keras_{kind}".encode()
    node = b"".join(
        field(1, field(1, number + 1) + field(2, name.encode()))
        for number, name in enumerate(root.edges)
    )
    if old:
        node += field(4, field(1, identifier) + field(3, text))
    others = field(1, b"") * len(root.edges)
    objects = field(7, field(1, node) + others + extra)
    about = field(1, field(5, b"2.4.1" if old else b"2.15.0"))
    signature = field(5, field(1, b"serving_default") + field(2, b""))
    graph = field(2, about + signature + objects)
    (folder / "saved_model.pb").write_bytes(field(1, 1) + graph)
    if metadata is not None and not old:
        entry = field(2, 0) + field(3, b"root") + field(4, identifier) + field(5, text)
        (folder / "keras_metadata.pb").write_bytes(field(1, entry))
