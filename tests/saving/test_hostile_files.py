"""Files that are missing, broken, of another kind, or made to do harm: one clear message each."""

import io
import json
import os
import pickle
import struct
import warnings
import zipfile

import h5py
import numpy as np
import pytest
import torch

from torchkeras.saving.budget import AllocationBudget
from torchkeras.saving.errors import FileFormatError, MissingFileError
from torchkeras.saving.h5_guard import check_depth, load_json, open_h5, read_attributes
from torchkeras.saving.sniff import (
    ARCHIVE,
    CHECKPOINT,
    FOLDER,
    HDF5,
    SAFETENSORS,
    SAVED_MODEL,
    sniff,
)
from torchkeras.saving.zip_guard import open_member, open_zip, read_member, unpack_folder


def h5_bytes(fill, **kwargs):
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", **kwargs) as file:
        fill(file)
    return buffer.getvalue()


def zip_bytes(*members, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", compression) as archive:
        warnings.simplefilter("ignore")  # duplicate names
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def torch_bytes():
    buffer = io.BytesIO()
    torch.save({"w": torch.zeros(2)}, buffer)
    return buffer.getvalue()


def npz_bytes():
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(2))
    return buffer.getvalue()


PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
FOREIGN = {
    "empty": (b"", "empty"),
    "png": (PNG, "PNG image"),
    "jpeg": (b"\xff\xd8\xff\xe0" + bytes(50), "JPEG"),
    "text": (b"hello world, this is a text\n" * 30, "text file"),
    "html": (b"<!DOCTYPE html><html></html>", "web page"),
    "json": (b'{"class_name": "Sequential"}', "model_from_json"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git lfs pull"),
    "gzip": (b"\x1f\x8b\x08" + bytes(50), "gunzip"),
    "pickle": (pickle.dumps({"a": 1}), "pickle"),
    "torch": (torch_bytes(), "PyTorch"),
    "npz": (npz_bytes(), "NumPy archive"),
    "npy": (b"\x93NUMPY\x01\x00" + bytes(80), "NumPy array"),
    "zip": (zip_bytes(("readme.txt", "x")), "not a Keras model"),
    "nested": (zip_bytes(("model/config.json", "{}")), "in a folder"),
    "tflite": (b"\x1c\x00\x00\x00TFL3" + bytes(50), "TensorFlow Lite"),
    "pdf": (b"%PDF-1.7" + bytes(50), "PDF"),
    "noise": (bytes(range(200, 256)) * 10, "unknown kind"),
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("as_stream", [False, True])
def test_foreign_files_are_named(tmp_path, kind, as_stream):
    data, words = FOREIGN[kind]
    path = tmp_path / "model.keras"
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match=words) as caught:
        sniff(io.BytesIO(data) if as_stream else path)
    assert "Fix:" in str(caught.value)
    assert as_stream or str(path) in str(caught.value)


def test_missing_file_is_both_kinds_of_error_and_suggests(tmp_path):
    (tmp_path / "model_best.keras").write_bytes(b"x")
    for kind in (FileFormatError, FileNotFoundError, ValueError, OSError, MissingFileError):
        with pytest.raises(kind, match="model_best.keras"):
            sniff(tmp_path / "model.keras")
    with pytest.raises(MissingFileError, match="does not exist either"):
        sniff(tmp_path / "no" / "model.keras")


def test_folders_and_addresses(tmp_path):
    with pytest.raises(FileFormatError, match="does not hold a model"):
        sniff(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"x")
    assert sniff(tmp_path) == SAVED_MODEL
    (tmp_path / "ckpt.index").write_bytes(b"x")
    assert sniff(tmp_path / "ckpt") == CHECKPOINT
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "metadata.json").write_text("{}")
    assert sniff(tmp_path) == FOLDER
    with pytest.raises(FileFormatError, match="remote"):
        sniff("gs://bucket/model.keras")


def test_kinds_are_told_by_content(tmp_path):
    assert sniff(io.BytesIO(h5_bytes(lambda f: f.create_group("a")))) == HDF5
    path = tmp_path / "user_block.png"
    with h5py.File(path, "w", userblock_size=1024) as file:
        file.create_group("a")
    with open(path, "r+b") as file:
        file.write(PNG)
    assert sniff(path) == HDF5
    stream = io.BytesIO(zip_bytes(("config.json", "{}")))
    assert sniff(stream) == ARCHIVE
    assert stream.tell() == 0
    header = b'{"__metadata__":{"a":"b"}}'
    assert sniff(io.BytesIO(struct.pack("<Q", len(header)) + header)) == SAFETENSORS


def test_weights_of_an_archive_may_begin_where_a_user_block_could_end():
    weights = h5_bytes(lambda f: f.create_group("a"))
    begins = 2 * 30 + len("config.json") + len("model.weights.h5")  # two local headers
    data = zip_bytes(("config.json", " " * (1024 - begins)), ("model.weights.h5", weights))
    assert data.startswith(b"PK") and data[1024:].startswith(weights[:8])
    assert sniff(io.BytesIO(data)) == ARCHIVE


@pytest.mark.parametrize("keep", [0.02, 0.3, 0.9, 0.999])
def test_truncated_archives(keep):
    data = zip_bytes(("config.json", "{}"), ("model.weights.h5", os.urandom(10_000)))
    with pytest.raises(FileFormatError, match="incomplete or damaged"):
        sniff(io.BytesIO(data[: int(len(data) * keep)]))


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_truncated_hdf5(keep):
    data = h5_bytes(lambda f: f.create_dataset("a", data=np.random.rand(2000)))
    with pytest.raises(FileFormatError, match="incomplete or damaged"):
        with open_h5(io.BytesIO(data[: int(len(data) * keep)])) as file:
            file.read(file.dataset(file.handle, "a"))


# HDF5 --------------------------------------------------------------------------------------------


def test_plain_and_compressed_datasets_are_read():
    values = np.arange(12, dtype=">f4").reshape(3, 4)

    def fill(file):
        file.create_dataset("g/plain", data=values)
        file.create_dataset("g/gzip", data=values, compression="gzip", shuffle=True)
        file.create_dataset("g/lzf", data=values, compression="lzf", fletcher32=True)
        file.create_dataset("g/zeros", data=np.zeros((1000, 1000)), compression="gzip")
        file.create_dataset("g/scalar", data=np.float64(2))
        file.create_dataset("g/none", data=np.zeros((0, 3)))

    with open_h5(io.BytesIO(h5_bytes(fill))) as file:
        group = file.group("g")
        for name in ("plain", "gzip", "lzf"):
            array = file.read(file.dataset(group, name))
            assert array.dtype.isnative
            np.testing.assert_array_equal(array, values)
        assert file.read(file.dataset(group, "zeros")).sum() == 0
        assert file.read(file.dataset(group, "scalar")) == 2
        assert file.read(file.dataset(group, "none")).shape == (0, 3)
        assert file.read(file.dataset(file.handle, "g/plain")).shape == (3, 4)
        assert file.dataset(group, "absent") is None
        assert file.group("g/absent") is None


def soft_link(file):
    file["d"] = h5py.SoftLink("/secret")
    file["secret"] = np.zeros(3)


def external_link(file):
    file["d"] = h5py.ExternalLink("/etc/other.h5", "/x")


def external_storage(file):
    file.create_dataset("d", (4,), "u1", external=[("/etc/hostname", 0, 4)])


def virtual(file):
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "x", (4,))
    file.create_virtual_dataset("d", layout)


def strings(file):
    file.create_dataset("d", data=["a", "b"], dtype=h5py.string_dtype())


def references(file):
    file.create_dataset("d", (1,), h5py.ref_dtype)


def compound(file):
    file.create_dataset("d", data=np.zeros(2, dtype=[("a", "f4"), ("b", "i4")]))


def group_instead(file):
    file.create_group("d")


def unwritten(file):
    file.create_dataset("d", (1 << 40,), "f4")


def chunked_bomb(file):
    file.create_dataset("d", (1 << 40,), "f4", chunks=(1 << 20,), compression="gzip")


def empty_space(file):
    file.create_dataset("d", data=h5py.Empty("f4"))


HOSTILE = {
    soft_link: "soft link",
    external_link: "external link",
    external_storage: "another file",
    virtual: "virtual",
    strings: "not numbers",
    references: "not numbers",
    compound: "not numbers",
    group_instead: "should be a dataset",
    unwritten: "more values than the file can hold",
    chunked_bomb: "more values than the file can hold",
    empty_space: "no values",
}


@pytest.mark.parametrize("fill", HOSTILE, ids=lambda fill: fill.__name__)
def test_hostile_datasets_are_refused(fill):
    with open_h5(io.BytesIO(h5_bytes(fill))) as file:
        with pytest.raises(FileFormatError, match=HOSTILE[fill]):
            file.dataset(file.handle, "d")


@pytest.mark.parametrize("size", [8, 95, 96, 99, 100, 104])
@pytest.mark.parametrize("version", range(4))
def test_files_that_end_in_their_first_block(version, size):
    data = b"\x89HDF\r\n\x1a\n" + bytes([version, 8, 8, 0, 0, 8, 8]) + bytes(90)
    with pytest.raises(FileFormatError, match="damaged"), open_h5(io.BytesIO(data[:size])):
        pass


def test_hostile_groups_are_refused():
    def fill(file):
        file["soft"] = h5py.SoftLink("/")
        file["outside"] = h5py.ExternalLink("/etc/other.h5", "/")
        file["data"] = np.zeros(3)

    with open_h5(io.BytesIO(h5_bytes(fill))) as file:
        for name in ("soft", "outside", "data", "outside/x"):
            with pytest.raises(FileFormatError, match="link|should be a group"):
                file.group(name)


def test_declared_contiguous_size_is_checked_against_the_file():
    """A dataset whose stored size was edited to exceed the file."""
    data = bytearray(h5_bytes(lambda f: f.create_dataset("d", data=np.arange(1000, dtype="u8"))))
    for old, new in ((1000, 1 << 40), (8000, 8 << 40)):
        at = data.find(struct.pack("<Q", old))
        while at >= 0:
            data[at : at + 8] = struct.pack("<Q", new)
            at = data.find(struct.pack("<Q", old), at + 8)
    with pytest.raises(FileFormatError):
        with open_h5(io.BytesIO(bytes(data))) as file:
            file.read(file.dataset(file.handle, "d"))


def test_attributes_in_parts():
    def fill(file):
        file.attrs["names0"] = np.array([b"a", b"b"])
        file.attrs["names1"] = np.array([b"c"])
        file.attrs["whole"] = [b"x"]
        file.attrs["none"] = []

    with open_h5(io.BytesIO(h5_bytes(fill))) as file:
        assert read_attributes(file, file.handle, "names") == ["a", "b", "c"]
        assert read_attributes(file, file.handle, "whole") == ["x"]
        assert read_attributes(file, file.handle, "none") == []
        assert read_attributes(file, file.handle, "absent") == []


@pytest.mark.parametrize("kind", [0, 2, 5, 15])
def test_attributes_of_any_length_that_are_no_text(kind):
    text = b"\x19\x01\x01\x00"  # a type of any length, a text, its padding, its character set
    data = h5_bytes(lambda file: file.attrs.update(keras_version="3"))
    assert data.count(text) == 1
    data = data.replace(text, bytes([0x19, kind, 1, 0]))
    with open_h5(io.BytesIO(data)) as file, pytest.raises(FileFormatError, match="nor text"):
        file.attribute(file.handle, "keras_version")


# Archives ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/evil", "assets/../../evil", "a\\b", "C:evil", "assets//x", "./x"]
)
def test_archive_names_that_leave_the_folder(name):
    # Written past `writestr`, which would mend some of them.
    placeholder = "n" * len(name)
    data = zip_bytes((placeholder, "x")).replace(placeholder.encode(), name.encode())
    with pytest.raises(FileFormatError, match="invalid name|outside"):
        open_zip(io.BytesIO(data), "m.keras")


def test_archive_with_a_name_twice():
    data = zip_bytes(("config.json", "{}"), ("Config.json", "{}"))
    with pytest.raises(FileFormatError, match="twice"):
        open_zip(io.BytesIO(data), "m.keras")


def test_archive_with_a_link():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("assets/link")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(FileFormatError, match="symbolic link"):
        open_zip(buffer, "m.keras")


def test_archive_member_that_declares_too_much():
    data = bytearray(zip_bytes(("config.json", b"x" * 1000)))
    for size in (b"\xe8\x03\x00\x00",):  # 1000, the first of the pair is the stored size
        at = data.rfind(size)
        data[at : at + 4] = (1 << 31).to_bytes(4, "little")
    with pytest.raises(FileFormatError, match="stored bytes can hold"):
        open_zip(io.BytesIO(bytes(data)), "m.keras")


def test_archive_members_that_overlap():
    data = zip_bytes(("a", os.urandom(1000)), ("b", os.urandom(1000)))
    short = data[:500] + data[1100:]  # the directory still claims 2000 bytes
    with pytest.raises(FileFormatError):
        archive = open_zip(io.BytesIO(short), "m.keras")
        read_member(archive, "a", "m.keras")


def test_flipped_bit_is_found():
    data = bytearray(zip_bytes(("config.json", b"y" * 1000)))
    data[500] ^= 1
    with open_zip(io.BytesIO(bytes(data)), "m.keras") as archive:
        with pytest.raises(FileFormatError, match="CRC"):
            read_member(archive, "config.json", "m.keras")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_large_members_are_read_in_place(monkeypatch, compression):
    monkeypatch.setattr("torchkeras.saving.budget._IN_MEMORY", 100)
    payload = np.random.default_rng(0).integers(0, 9, 5000, dtype=np.uint8).tobytes()
    data = zip_bytes(("first", "z" * 77), ("big", payload), compression=compression)
    with open_zip(io.BytesIO(data), "m") as archive, open_member(archive, "big", "m") as member:
        assert member.seek(0, os.SEEK_END) == 5000
        member.seek(1234)
        assert member.read(100) == payload[1234:1334]
        member.seek(-10, os.SEEK_CUR)
        assert member.read() == payload[1324:]
        assert member.read(1) == b""


def test_flipped_bit_in_a_large_member_is_found(monkeypatch):
    monkeypatch.setattr("torchkeras.saving.budget._IN_MEMORY", 100)
    data = bytearray(zip_bytes(("big", bytes(5000))))
    data[2000] ^= 1
    with open_zip(io.BytesIO(bytes(data)), "m") as archive:
        with pytest.raises(FileFormatError, match="CRC"):
            open_member(archive, "big", "m")


ZEROS = bytes(200_000)  # deflate makes 200 bytes of them


def test_large_members_that_shrink_too_well_are_bombs(monkeypatch, tmp_path):
    data = zip_bytes(("assets/a", ZEROS), compression=zipfile.ZIP_DEFLATED)
    open_zip(io.BytesIO(data), "m.keras").close()  # small ones may be anything deflate can do
    monkeypatch.setattr("torchkeras.saving.zip_guard._ZIP_MEMBER_BOMB_FLOOR_BYTES", 1000)
    with pytest.raises(FileFormatError, match="'assets/a' unpacks to 200000.*decompression bomb"):
        open_zip(io.BytesIO(data), "m.keras")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        with pytest.raises(FileFormatError, match="decompression bomb"):
            read_member(archive, "assets/a", "m.keras")
    monkeypatch.setattr("torchkeras.saving.zip_guard._ZIP_MEMBER_BOMB_FLOOR_BYTES", 1 << 32)
    monkeypatch.setattr("torchkeras.saving.zip_guard._ZIP_EXTRACT_BOMB_FLOOR_BYTES", 1000)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        with pytest.raises(FileFormatError, match="decompression bomb"):
            unpack_folder(archive, "assets", str(tmp_path), "m.keras")


def test_many_small_bombs_are_one(monkeypatch):
    members = [(f"assets/{i}", ZEROS) for i in range(20)]
    data = zip_bytes(*members, compression=zipfile.ZIP_DEFLATED)
    monkeypatch.setattr("torchkeras.saving.zip_guard._ZIP_EXTRACT_BOMB_FLOOR_BYTES", 300_000)
    with pytest.raises(FileFormatError, match="the archive unpacks to 4000000"):
        open_zip(io.BytesIO(data), "m.keras")


def test_what_models_hold_is_no_bomb(monkeypatch):
    monkeypatch.setattr("torchkeras.saving.zip_guard._ZIP_MEMBER_BOMB_FLOOR_BYTES", 1000)
    values = np.random.default_rng(0).normal(size=10_000).astype("float32").tobytes()
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        data = zip_bytes(("model.weights.h5", values), compression=compression)
        with open_zip(io.BytesIO(data), "m") as archive:
            assert read_member(archive, "model.weights.h5", "m") == values


def test_unpacking_a_folder(tmp_path):
    data = zip_bytes(("assets/a/v.txt", "1"), ("assets/w.txt", "2"), ("config.json", "{}"))
    with open_zip(io.BytesIO(data), "m") as archive:
        assert unpack_folder(archive, "assets", str(tmp_path), "m")
        assert not unpack_folder(archive, "other", str(tmp_path), "m")
    assert (tmp_path / "a" / "v.txt").read_text() == "1"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "w.txt"]


# Configurations ----------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [201, 5_000, 200_000])
def test_deep_json_is_refused(depth):
    with pytest.raises(FileFormatError, match="nested"):
        load_json("[" * depth + "]" * depth, "m.keras")


def test_depth_and_damage():
    check_depth(json.loads('{"a": ' * 150 + "1" + "}" * 150), "m")
    check_depth(3, "m")
    for text in ("{", b"\xff\xfe{", ""):
        with pytest.raises(FileFormatError, match="not valid JSON"):
            load_json(text, "m.keras")


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.zeros(10**12),
        lambda: torch.eye(10**6),
        lambda: torch.arange(10**12),
        lambda: torch.ones(1).new_full((10**11,), 1.0),
        lambda: torch.empty(10**6, 10**6).normal_(),
        lambda: torch.randn((10**6, 10**6), dtype=torch.float16),
        lambda: torch.arange(-(10**12), 0),
        lambda: torch.linspace(0, 1, 10**12),
        lambda: torch.tril_indices(10**6, 10**6),
        lambda: torch.hann_window(10**12),
        lambda: torch.ones(10**5, 1) @ torch.ones(1, 10**5),
        lambda: torch.ones(1).expand(10**11).clone(),
        lambda: torch.ones(1).expand(10**11).double(),
        lambda: torch.zeros_like(torch.ones(1).expand(10**11)),
        lambda: torch.ones(2).repeat(10**11),
        lambda: torch.nn.functional.pad(torch.ones(2), (0, 10**11)),
        lambda: torch.histogram(torch.ones(2), 10**11),
        lambda: torch.ones(2).bincount(minlength=10**11),
    ],
)
def test_budget_refuses_before_allocating(make):
    with AllocationBudget("m.keras", 10_000), pytest.raises(FileFormatError, match="safe_mode"):
        make()


def test_budget_counts_the_total():
    with AllocationBudget("m.keras", 0), pytest.raises(FileFormatError):
        for _ in range(20):  # freed at once, so this takes little memory
            torch.empty(60 << 20, dtype=torch.uint8)


def test_budget_lets_ordinary_work_through():
    with AllocationBudget("m.keras", 10_000):
        layer = torch.nn.LSTM(8, 8)
        layer(torch.randn(2, 3, 8))
        torch.empty(10**12, device="meta")
