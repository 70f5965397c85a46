"""`dropin.tf.records`: files of records and the examples in them."""

import gzip

import numpy as np
import pytest
import torch

from torchkeras.dropin.tf.records import EXAMPLES, PARSERS, SPARSE, TFRecordDataset
from torchkeras.dropin.tf.tensors import StringTensor
from torchkeras.saving.wire import masked_crc32c

Feature, Example, Features = (EXAMPLES[name] for name in ("Feature", "Example", "Features"))
BytesList, FloatList, Int64List = (
    EXAMPLES[name] for name in ("BytesList", "FloatList", "Int64List")
)
Fixed, Sequence, Var = (
    PARSERS[name] for name in ("FixedLenFeature", "FixedLenSequenceFeature", "VarLenFeature")
)
parse, write = PARSERS["parse_single_example"], PARSERS["TFRecordWriter"]

# Written by TensorFlow 2.20: a file with one example, {"n": [1, -2, 300], "x": [1.5]}.
FILE = bytes.fromhex(
    "290000000000000037ff5f000a270a160a016e12111a0f0a0d01feffffffffffffffff01ac020a0d"
    "0a0178120812060a040000c03f14f319fb"
)


def example(**features):
    return Example(Features(features)).SerializeToString()


@pytest.fixture
def message():
    return example(
        n=Feature(int64_list=Int64List([1, -2, 300])),
        x=Feature(float_list=FloatList([1.5, -0.25])),
        s=Feature(bytes_list=BytesList([b"a\xff", "é"])),
    )


def test_a_file_of_tensorflow_s(tmp_path):
    path = tmp_path / "data.tfrecord"
    path.write_bytes(FILE)
    (record,) = TFRecordDataset(str(path))
    found = parse(record, {"n": Fixed([3], "int64"), "x": Fixed([], "float32")})
    assert found["n"].tolist() == [1, -2, 300] and found["x"].item() == 1.5
    with write(path) as writer:
        writer.write(record)
    assert path.read_bytes() == FILE


@pytest.mark.parametrize("compression", [None, "GZIP"])
def test_files(tmp_path, message, compression):
    paths = [str(tmp_path / name) for name in ("a", "b")]
    for path in paths:
        with write(path, compression) as writer:
            writer.write(message)
            writer.write(b"")
    dataset = TFRecordDataset(paths, compression_type=compression)
    assert [record.numpy() for record in dataset] == [message, b""] * 2
    assert dataset.element_spec.dtype == "string"
    if compression:
        assert gzip.open(paths[0]).read(8) == len(message).to_bytes(8, "little")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: data[:-2], "ends within a record"),
        (lambda data: data[:9], "no TFRecord file"),
        (lambda data: b"\x01" + data[1:], "no TFRecord file"),
        (lambda data: b"plain text, which is no record", "no TFRecord file"),
    ],
)
def test_broken_files(tmp_path, message, change, says):
    path = tmp_path / "broken"
    with write(path) as writer:
        writer.write(message)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ValueError, match=says):
        list(TFRecordDataset(str(path)))


def test_a_size_that_is_too_large_allocates_nothing(tmp_path):
    path = tmp_path / "broken"
    length = (2**62).to_bytes(8, "little")
    path.write_bytes(length + masked_crc32c(length).to_bytes(4, "little") + b"few")
    with pytest.raises(ValueError, match="ends within a record"):
        list(TFRecordDataset(str(path)))


def test_unknown_compression(tmp_path):
    with pytest.raises(ValueError, match="'GZIP' or ''"):
        TFRecordDataset(str(tmp_path / "x"), compression_type="LZMA")


def test_examples(message):
    found = Example.FromString(message).features.feature
    assert found["n"].int64_list.value == [1, -2, 300]
    assert found["x"].float_list.value == [1.5, -0.25]
    assert found["s"].bytes_list.value == [b"a\xff", "é".encode()]
    assert Example.FromString(message).SerializeToString() == message


@pytest.mark.parametrize("data", [b"\xff" * 12, b"\x0a\x05ab", b"\x0b", b"\x0a\xff"])
def test_what_is_no_example(data):
    with pytest.raises(ValueError, match="No message of protobuf"):
        Example.FromString(data)


def test_parsed_features(message):
    kinds = {
        "n": Var("int64"),
        "x": Fixed([2, 1], "float32"),
        "s": Sequence([], "string", allow_missing=True),
        "missing": Fixed([2], "int64", default_value=[3, 4]),
        "none": Var("float32"),
    }
    found = parse(StringTensor(message), kinds)
    assert found["n"].tolist() == [1, -2, 300] and found["n"].dtype is torch.int64
    assert found["x"].tolist() == [[1.5], [-0.25]]
    assert found["s"].tolist() == [b"a\xff", "é".encode()]
    assert found["missing"].tolist() == [3, 4]
    assert found["none"].shape == (0,) and found["none"].dtype is torch.float32
    with pytest.raises(ValueError, match="(?s)other.*required.*default_value"):
        parse(message, {"other": Fixed([], "int64")})
    with pytest.raises(ValueError, match=r"has 2 values, its shape is \[3\]"):
        parse(message, {"x": Fixed([3], "float32")})


def test_batches_are_padded(message):
    shorter = example(n=Feature(int64_list=Int64List([5])), s=Feature(bytes_list=BytesList(["b"])))
    kinds = {"n": Var("int64"), "s": Var("string"), "x": Fixed([], "float32", 0.5)}
    with pytest.raises(ValueError, match="has 2 values"):
        PARSERS["parse_example"]([message, shorter], kinds)
    kinds.pop("x")
    found = PARSERS["parse_example"]([message, shorter], kinds)
    assert SPARSE["to_dense"](found["n"]).tolist() == [[1, -2, 300], [5, 0, 0]]
    assert found["s"].tolist() == [[b"a\xff", "é".encode()], [b"b", b""]]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "int64", "uint8", "bool"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3)])
def test_tensors(dtype, shape):
    array = (10 * np.random.default_rng(0).random(shape)).astype(dtype)
    message = PARSERS["serialize_tensor"](array)
    found = PARSERS["parse_tensor"](message, dtype)
    assert found.shape == shape
    np.testing.assert_array_equal(found.numpy(), array)
    with pytest.raises(ValueError, match="has dtype"):
        PARSERS["parse_tensor"](message, "complex64")
