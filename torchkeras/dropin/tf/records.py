"""TFRecord files and the examples in them: `TFRecordDataset`, `tf.train.Example`, parsers.

A file is a sequence of records: length, its checksum, the bytes, their checksum. An example is a
message in protobuf's wire format, `{name: list of bytes, floats or integers}`; it is read and
written here, without protobuf.

Source: TensorFlow's `example.proto`, `feature.proto`, `tensor.proto`; protobuf's encoding.
"""

from __future__ import annotations

import gzip
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch

from ...dtypes import standardize_dtype, to_numpy, to_torch
from ...naming import explain
from ...saving.wire import DTYPES, field, integers, masked_crc32c, parts_of, signed, varint
from ...tree import flatten
from .arrays import ints
from .data import Dataset, names_of_files
from .modules import TensorSpec
from .nodes import Node
from .tables import named
from .tensors import StringTensor, as_tensor, is_text_dtype

__all__ = ["EXAMPLES", "PARSERS", "SOURCES", "SPARSE"]


# Files --------------------------------------------------------------------------------------------


def _records(file: BinaryIO, name: str) -> Iterator[bytes]:
    """The records of a file. Lengths are checked by their checksum, the bytes are not: it is slow.

    Raises:
        ValueError: It is no file of records, or its end is missing.
    """
    while header := file.read(12):
        length = header[:8]
        if len(header) < 12 or struct.unpack("<I", header[8:])[0] != masked_crc32c(length):
            raise ValueError(f"{name} is no TFRecord file, or compressed in another way.")
        (size,) = struct.unpack("<Q", length)
        data = _read(file, size)
        if len(data) < size or len(file.read(4)) < 4:
            raise ValueError(f"{name} ends within a record.")
        yield data


def _read(file: BinaryIO, size: int) -> bytes:
    """Read so many bytes, or what there is; a wrong size allocates nothing."""
    parts = []
    while size and (part := file.read(min(size, 1 << 24))):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


_OPENERS: dict[str, Any] = {"": open, "GZIP": gzip.open}


def _opener(compression: Any) -> Any:
    kind = getattr(compression, "compression_type", compression) or ""
    if kind not in _OPENERS:
        raise ValueError(f"compression_type is 'GZIP' or ''. Received: {compression!r}")
    return _OPENERS[kind]


class _Records(Node):
    def __init__(self, names: Node, open_file: Any) -> None:
        super().__init__()
        self._names, self._open = names, open_file

    def elements(self) -> Iterator[Any]:
        for name in self._names.elements():
            path = os.fsdecode(name.item())
            with self._open(path, "rb") as file:
                yield from map(StringTensor, _records(file, path))

    def make_spec(self) -> Any:
        return TensorSpec((), "string")


class TFRecordDataset(Dataset):
    """The records of TFRecord files, as strings.

    Args:
        filenames: A name, names, or a dataset of names.
        compression_type: `"GZIP"` or nothing.
        buffer_size, num_parallel_reads: Ignored.
    """

    def __init__(
        self,
        filenames: Any,
        compression_type: str | None = None,
        buffer_size: int | None = None,
        num_parallel_reads: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(_Records(names_of_files(filenames), _opener(compression_type)))


class TFRecordOptions:
    """How a file is written.

    Args:
        compression_type: `"GZIP"` or nothing.
        options: Ignored.
    """

    def __init__(self, compression_type: str | None = None, **options: Any) -> None:
        self.compression_type = compression_type


class TFRecordWriter:
    """Writes records to a file; a context manager.

    Args:
        path: Of the file, which is replaced.
        options: `TFRecordOptions`, or `"GZIP"`.
    """

    def __init__(self, path: Any, options: Any = None) -> None:
        self._file = _opener(options)(os.fspath(path), "wb")

    def write(self, record: Any) -> None:
        """Add a record."""
        data = StringTensor(record).item()
        length = struct.pack("<Q", len(data))
        checks = (struct.pack("<I", masked_crc32c(part)) for part in (length, data))
        self._file.write(b"".join((length, next(checks), data, next(checks))))

    def flush(self) -> None:
        """Write what is pending."""
        self._file.flush()

    def close(self) -> None:
        """End the file."""
        self._file.close()

    def __enter__(self) -> TFRecordWriter:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()


# Examples -----------------------------------------------------------------------------------------


class BytesList(NamedTuple):
    """Strings of a feature."""

    value: Sequence[bytes] = ()

    def encoded(self) -> bytes:
        """The message."""
        return b"".join(field(1, StringTensor(v).item()) for v in self.value)


class FloatList(NamedTuple):
    """Numbers of a feature."""

    value: Sequence[float] = ()

    def encoded(self) -> bytes:
        """The message."""
        return field(1, np.asarray(self.value, "<f4").tobytes()) if len(self.value) else b""


class Int64List(NamedTuple):
    """Integers of a feature."""

    value: Sequence[int] = ()

    def encoded(self) -> bytes:
        """The message."""
        return field(1, b"".join(varint(int(v)) for v in self.value)) if len(self.value) else b""


class Feature(NamedTuple):
    """One of three lists."""

    bytes_list: BytesList = BytesList()
    float_list: FloatList = FloatList()
    int64_list: Int64List = Int64List()

    def encoded(self) -> bytes:
        """The message."""
        number = next((i for i, part in enumerate(self, 1) if len(part.value)), None)
        return b"" if number is None else field(number, self[number - 1].encoded())

    @classmethod
    def decoded(cls, data: bytes) -> Feature:
        """The feature of a message."""
        kind, values = 1, []
        for kind, content in parts_of(data):
            for _, value in parts_of(content):
                if kind == 1:
                    values.append(value)
                elif kind == 2:
                    values += np.frombuffer(value, "<f4").tolist()
                else:
                    values += integers(value) if isinstance(value, bytes) else [signed(value)]
        made: tuple[Any, ...] = (BytesList, FloatList, Int64List)
        return cls(**{cls._fields[kind - 1]: made[kind - 1](values)})

    @property
    def values(self) -> Sequence[Any]:
        """What the list holds that is not empty."""
        return next((part.value for part in self if len(part.value)), ())


class Features:
    """Features by name.

    Args:
        feature: `{name: Feature}`.
    """

    def __init__(self, feature: Mapping[str, Feature] | None = None) -> None:
        self.feature = dict(feature or {})


class Example:
    """What a record of training data holds.

    Args:
        features: By name.

    Example:
        >>> made = Example(Features({"n": Feature(int64_list=Int64List([1, -2]))}))
        >>> Example.FromString(made.SerializeToString()).features.feature["n"].int64_list.value
        [1, -2]
    """

    def __init__(self, features: Features | None = None) -> None:
        self.features = features or Features()

    def SerializeToString(self) -> bytes:  # noqa: N802, the name is protobuf's
        """The example as a message."""
        entries = (
            field(1, field(1, name.encode()) + field(2, feature.encoded()))
            for name, feature in sorted(self.features.feature.items())
        )
        return field(1, b"".join(entries))

    def ParseFromString(self, serialized: bytes) -> int:  # noqa: N802
        """Take over what a message says; returns its size."""
        self.features = Features(
            {name: Feature.decoded(data) for name, data in _entries(serialized)}
        )
        return len(serialized)

    @classmethod
    def FromString(cls, serialized: bytes) -> Example:  # noqa: N802
        """The example of a message."""
        made = cls()
        made.ParseFromString(serialized)
        return made


def _entries(serialized: bytes) -> Iterator[tuple[str, bytes]]:
    """Names and messages of the features in an example."""
    for _, features in parts_of(serialized):
        for _, entry in parts_of(features):
            parts = dict(parts_of(entry))
            yield parts.get(1, b"").decode(), parts.get(2, b"")


# Parsers ------------------------------------------------------------------------------------------


class FixedLenFeature(NamedTuple):
    """A feature of one shape.

    Attributes:
        shape: Of its tensor.
        dtype: float32, int64 or string.
        default_value: Where it is missing; without one that is an error.
    """

    shape: Any
    dtype: Any
    default_value: Any = None


class FixedLenSequenceFeature(NamedTuple):
    """Any number of tensors of one shape; `allow_missing` gives none where it is missing."""

    shape: Any
    dtype: Any
    allow_missing: bool = False
    default_value: Any = None


class VarLenFeature(NamedTuple):
    """Any number of values: a vector, where TensorFlow gives a sparse one; padded in batches."""

    dtype: Any


def _tensor(values: Any, dtype: Any, shape: tuple[int, ...]) -> Any:
    if is_text_dtype(dtype):
        made = np.empty(len(values), dtype=object)
        made[:] = list(values)
        return StringTensor(made.reshape(shape))
    return as_tensor(np.asarray(values, standardize_dtype(to_torch(dtype))).reshape(shape))


def _parsed(name: str, values: Sequence[Any] | None, kind: Any) -> Any:
    if isinstance(kind, VarLenFeature):
        return _tensor(values or (), kind.dtype, (-1,) if values else (0,))
    shape = ints(kind.shape)
    if isinstance(kind, FixedLenSequenceFeature):
        return _tensor(values or (), kind.dtype, (-1, *shape) if values else (0, *shape))
    if values is None or (not values and 0 not in shape):
        if kind.default_value is None:
            raise ValueError(
                explain(
                    f"Feature: {name} (data type: {kind.dtype}) is required but not found.",
                    fix="give `FixedLenFeature` a `default_value`.",
                )
            )
        values = np.broadcast_to(
            np.asarray(flatten(kind.default_value), dtype=object), int(np.prod(shape))
        ).tolist()
    if len(values) != int(np.prod(shape)):
        raise ValueError(f"Feature {name} has {len(values)} values, its shape is {list(shape)}.")
    return _tensor(values, kind.dtype, shape)


def _parse_single(
    serialized: Any, features: Mapping[str, Any], example_names: Any = None, name: Any = None
) -> dict[str, Any]:
    found = dict(_entries(StringTensor(serialized).item()))
    return {
        key: _parsed(key, Feature.decoded(found[key]).values if key in found else None, kind)
        for key, kind in sorted(features.items())
    }


def _parse_batch(
    serialized: Any, features: Mapping[str, Any], example_names: Any = None, name: Any = None
) -> dict[str, Any]:
    texts = StringTensor(serialized)
    if texts.ndim == 0:
        return _parse_single(texts, features)
    rows = [_parse_single(text, features) for text in texts]
    return {key: _stacked([row[key] for row in rows]) for key in sorted(features)}


def _stacked(values: list[Any]) -> Any:
    """Stack rows, the shorter ones filled up."""
    if not values[0].ndim:
        return StringTensor(values) if isinstance(values[0], StringTensor) else torch.stack(values)
    if not isinstance(values[0], StringTensor):
        return torch.nn.utils.rnn.pad_sequence(values, batch_first=True)
    made = np.full((len(values), max(map(len, values)), *values[0].shape[1:]), b"", dtype=object)
    for row, value in zip(made, values, strict=True):
        row[: len(value)] = value
    return StringTensor(made)


def _serialize_tensor(tensor: Any, name: str | None = None) -> StringTensor:
    array = to_numpy(as_tensor(tensor))
    number = next((n for n, dtype in DTYPES.items() if dtype == array.dtype.name), None)
    if number is None:
        raise ValueError(f"tf.io.serialize_tensor: {array.dtype} is not provided.")
    sizes = b"".join(field(2, varint(8) + varint(size)) for size in array.shape)
    content = np.ascontiguousarray(array).tobytes()
    return StringTensor(varint(8) + varint(number) + field(2, sizes) + field(4, content))


def _parse_tensor(serialized: Any, out_type: Any, name: str | None = None) -> torch.Tensor:
    parts = dict(parts_of(StringTensor(serialized).item()))
    dtype = DTYPES.get(parts.get(1, 0))
    if dtype is None or to_torch(dtype) != to_torch(out_type):
        raise ValueError(f"tf.io.parse_tensor: the tensor has dtype {dtype}, not {out_type}.")
    shape = [dict(parts_of(size)).get(1, 0) for _, size in parts_of(parts.get(2, b""))]
    return as_tensor(np.frombuffer(parts.get(4, b""), dtype).reshape(shape))


EXAMPLES: dict[str, Any] = {
    "BytesList": BytesList,
    "Example": Example,
    "Feature": Feature,
    "Features": Features,
    "FloatList": FloatList,
    "Int64List": Int64List,
}
SOURCES: dict[str, Any] = {"TFRecordDataset": TFRecordDataset}
# Where TensorFlow's parsers give sparse tensors, ours are dense ones.
SPARSE: dict[str, Any] = {
    "to_dense": lambda sp_input, default_value=None, validate_indices=True, name=None: as_tensor(
        sp_input
    ),
}
PARSERS: dict[str, Any] = {
    "FixedLenFeature": FixedLenFeature,
    "FixedLenSequenceFeature": FixedLenSequenceFeature,
    "TFRecordOptions": TFRecordOptions,
    "TFRecordWriter": TFRecordWriter,
    "VarLenFeature": VarLenFeature,
    "parse_example": _parse_batch,
    "parse_single_example": _parse_single,
    "parse_tensor": _parse_tensor,
    "serialize_tensor": _serialize_tensor,
}

named(PARSERS)
named(SPARSE)
