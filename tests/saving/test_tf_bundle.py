"""TensorFlow's tables and bundles: damaged and hostile ones are refused, and what they cost."""

import os
import struct
import time

import numpy as np
import pytest

from tests.saving.tf_files import (
    Node,
    block,
    entry,
    graph_of,
    model_node,
    table,
    tensor,
    write_bundle,
    write_checkpoint,
)
from torchkeras.saving import FileFormatError
from torchkeras.saving.sstable import read_table
from torchkeras.saving.tf_bundle import Bundle, StoredTensor, latest_checkpoint
from torchkeras.saving.tf_checkpoint import CheckpointReader
from torchkeras.saving.wire import DTYPES, field, masked_crc32c, varint

VALUES = np.arange(6, dtype="f4").reshape(2, 3)


@pytest.mark.parametrize("dtype", DTYPES.values())
def test_dtypes(tmp_path, dtype):
    values = np.asarray([[1, 0], [1, 1]]).astype(dtype)
    write_bundle(tmp_path / "c", {"a": values, "empty": values[:0], "scalar": values[0, 0]})
    bundle = Bundle(tmp_path / "c")
    for key, expected in (("a", values), ("empty", values[:0]), ("scalar", values[0, 0])):
        np.testing.assert_array_equal(bundle.read(key).numpy(), expected)
        assert np.asarray(StoredTensor(bundle, key)).dtype == dtype
    assert bundle.entries["a"].dtype_name == dtype


def test_strings(tmp_path):
    write_bundle(tmp_path / "c", {"a": b"some text", "n": VALUES})
    bundle = Bundle(tmp_path / "c")
    assert bundle.strings("a") == [b"some text"]
    with pytest.raises(FileFormatError, match="'a' holds no numbers"):
        bundle.read("a")
    with pytest.raises(FileFormatError, match="'n' holds no strings"):
        bundle.strings("n")


def test_keys_that_share_their_beginning():
    """As TensorFlow writes them."""
    first = varint(0) + varint(3) + varint(1) + b"abc" + b"1"
    body = first + varint(2) + varint(1) + varint(1) + b"d" + b"2" + struct.pack("<II", 0, 1)
    data = _table_of(body)
    assert read_table(data, "c.index") == {b"abc": b"1", b"abd": b"2"}


def _table_of(body, kind=b"\x00"):
    data = body + kind + struct.pack("<I", masked_crc32c(body + kind))
    index, trailer = block([(b"\xff", varint(0) + varint(len(body)))])
    end = varint(0) + varint(0) + varint(len(data)) + varint(len(index))
    footer = end + bytes(40 - len(end)) + struct.pack("<Q", 0xDB4775248B80FB57)
    return data + index + trailer + footer


def _bomb():
    """A long key, and many that repeat it: the square of the file's size in all."""
    long = b"k" * 100_000
    body = varint(0) + varint(len(long)) + varint(0) + long
    for i in range(20_000):
        body += varint(len(long)) + varint(4) + varint(0) + struct.pack(">I", i)
    return _table_of(body + struct.pack("<II", 0, 1))


TABLES = {
    "keys in disorder": table([(b"b", b""), (b"a", b"")]),
    "a key twice": table([(b"a", b""), (b"a", b"")]),
    "compressed": _table_of(struct.pack("<II", 0, 1), b"\x01"),
    "places beyond it": _table_of(struct.pack("<II", 0, 1 << 30)),
    "no places": _table_of(b""),
    "an entry beyond it": _table_of(varint(0) + varint(99) + varint(0) + struct.pack("<II", 0, 1)),
    "shares what is not there": _table_of(
        varint(9) + varint(0) + varint(0) + struct.pack("<II", 0, 1)
    ),
    "cut off": table([(b"a", b"b")])[:-1],
    "no table": b"x" * 100,
    "little": b"",
    "a footer alone": bytes(40) + struct.pack("<Q", 0xDB4775248B80FB57),
    "keys without end": _bomb(),
}


@pytest.mark.parametrize("kind", TABLES)
def test_hostile_tables(kind):
    start = time.monotonic()
    with pytest.raises(FileFormatError, match="c.index"):
        read_table(TABLES[kind], "c.index")
    assert time.monotonic() - start < 2


def test_every_flipped_bit_of_an_index_is_noticed():
    data = bytearray(table([(b"a", b"value"), (b"b", b"other")]))
    sound, noticed = read_table(bytes(data), "c.index"), 0
    for at in range(len(data) - 48):  # the footer has no checksum, only the places of blocks
        data[at] ^= 4
        try:
            assert read_table(bytes(data), "c.index") == sound  # in the block that nobody reads
        except FileFormatError:
            noticed += 1
        data[at] ^= 4
    assert noticed == len(data) - 48 - len(b"".join(block([])))


def _changed(**facts):
    number, shape, content, crc = tensor(VALUES)
    facts = {
        "number": number,
        "shape": shape,
        "offset": 0,
        "size": len(content),
        "crc": crc,
    } | facts
    return lambda key, _: entry(**facts)


SLICE = field(7, b"")
ENTRIES = {
    "damaged values": (_changed(crc=1), "do not fit their checksum"),
    "a larger shape": (_changed(shape=(1 << 40, 1 << 40)), "its shape another number"),
    "a smaller one": (_changed(shape=(2, 2)), "its shape another number"),
    "beyond the end": (_changed(shape=(1 << 38,), size=1 << 40), "beyond the end"),
    "another place": (_changed(offset=1 << 50), "beyond the end"),
    "a negative place": (_changed(offset=-8), "below 0"),
    "a negative size": (_changed(size=-8), "below 0"),
    "a negative shape": (_changed(shape=(-1,)), "below 0"),
    "many axes": (_changed(shape=(1,) * 1000), "a shape of no tensor"),
    "an unknown dtype": (_changed(number=99), "holds no numbers"),
    "another shard": (_changed(shard=1), "shard 1 of 1"),
    "a far shard": (_changed(shard=1 << 60), "shard 1152921504606846976 of 1"),
    "slices": (lambda key, message: message + SLICE, "in slices"),
    "no message": (lambda key, message: b"\xff", "damaged"),
}


@pytest.mark.parametrize("kind", ENTRIES)
def test_hostile_entries(tmp_path, kind):
    change, words = ENTRIES[kind]
    write_bundle(tmp_path / "c", {"a": VALUES}, change=change)
    with pytest.raises(FileFormatError, match=words):
        Bundle(tmp_path / "c").read("a")


def test_hostile_bundles(tmp_path):
    write_bundle(tmp_path / "c", {"a": VALUES, "b": VALUES}, change=_changed())
    with pytest.raises(FileFormatError, match="in one place"):
        Bundle(tmp_path / "c")
    write_bundle(tmp_path / "c", {"a": VALUES}, header=field(1, 1 << 40))
    with pytest.raises(FileFormatError, match="1099511627776 shards"):
        Bundle(tmp_path / "c")
    write_bundle(tmp_path / "c", {"a": VALUES}, header=field(2, 1))
    with pytest.raises(FileFormatError, match="big endian"):
        Bundle(tmp_path / "c")
    write_bundle(tmp_path / "c", {"a": VALUES}, header=field(1, 2))
    with pytest.raises(FileFormatError, match=r"'c.data-00000-of-00002' is missing"):
        Bundle(tmp_path / "c").read("a")
    os.mkfifo(tmp_path / "c.data-00000-of-00002")  # would block
    with pytest.raises(FileFormatError, match="is missing"):
        Bundle(tmp_path / "c").read("a")


def test_links(tmp_path):
    """A cache may hold links to all files of a checkpoint; none leads elsewhere."""
    write_bundle(tmp_path / "real" / "c", {"a": VALUES})
    cache, bad = tmp_path / "cache", tmp_path / "bad"
    cache.mkdir()
    for name in ("c.index", "c.data-00000-of-00001"):
        (cache / name).symlink_to(tmp_path / "real" / name)
    np.testing.assert_array_equal(Bundle(cache / "c").read("a").numpy(), VALUES)
    write_bundle(bad / "c", {"a": VALUES})
    (bad / "c.data-00000-of-00001").unlink()
    (bad / "c.data-00000-of-00001").symlink_to(tmp_path / "real" / "c.data-00000-of-00001")
    with pytest.raises(FileFormatError, match="a link to another folder"):
        Bundle(bad / "c").read("a")


def test_lists_of_checkpoints_stay_in_their_folder(tmp_path):
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "/etc/ckpt-1"\n')
    assert latest_checkpoint(tmp_path) == "/etc/ckpt-1"  # as TensorFlow says
    write_checkpoint(tmp_path / "ckpt-1", model_node([{"kernel": VALUES}]))
    assert CheckpointReader(tmp_path).bundle.prefix == str(tmp_path / "ckpt-1")


GRAPHS = {
    "no message": b"\xff",
    "an edge to nowhere": field(1, field(1, field(1, 9) + field(2, b"layer-0"))),
    "a name that is a number": field(1, field(1, field(2, 9))),
    "a name that is no text": field(1, field(1, field(1, 0) + field(2, b"\xff"))),
    "a node that is a number": field(1, 5),
    "a slot to nowhere": field(1, field(3, field(1, 1 << 40))),
    "nothing": b"",
}


@pytest.mark.parametrize("kind", GRAPHS)
def test_hostile_graphs(tmp_path, kind):
    write_bundle(tmp_path / "c", {"_CHECKPOINTABLE_OBJECT_GRAPH": GRAPHS[kind]})
    with pytest.raises(FileFormatError, match="damaged|TensorFlow 1"):
        reader = CheckpointReader(tmp_path / "c")
        with reader.checking():
            reader.graph.edges(0)
            reader.graph.slots(0)


def test_cycles_and_many_nodes_take_linear_time(tmp_path):
    """Each of many nodes leads to all of the first ones and back."""
    nodes = [Node() for _ in range(3000)]
    for i, node in enumerate(nodes):
        node.edges = {f"e{j}": nodes[(i * 7 + j) % len(nodes)] for j in range(20)}
    message, tensors = graph_of(nodes[0])
    write_bundle(tmp_path / "c", {"_CHECKPOINTABLE_OBJECT_GRAPH": message, **tensors})
    start = time.monotonic()
    reader = CheckpointReader(tmp_path / "c")
    assert list(reader.graph.below(0, set())) == []
    assert time.monotonic() - start < 5
