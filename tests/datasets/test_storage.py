"""Reading files of data sets: the formats, and files made to do harm."""

import gzip
import os
import pickle
import struct

import numpy as np
import pytest

from torchkeras.datasets import storage


class Gadget:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_of_numbers_and_of_texts(tmp_path, save):
    texts = np.empty(2, dtype=object)
    texts[:] = [[1, 2, 3], [4]]
    save(tmp_path / "a.npz", x=np.arange(6.0).reshape(2, 3), y=texts)
    data = storage.load_npz(tmp_path / "a.npz")
    np.testing.assert_array_equal(data["x"], [[0, 1, 2], [3, 4, 5]])
    assert data["y"].tolist() == [[1, 2, 3], [4]]


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_versions_of_the_npy_format(tmp_path, version):
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for name, dtype in (("x", "int64"), ("y", object)):
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, np.arange(3, dtype=dtype), version=version)
    data = storage.load_npz(tmp_path / "a.npz")
    assert data["x"].tolist() == data["y"].tolist() == [0, 1, 2]


def test_code_in_an_npz_never_runs(tmp_path):
    harm = np.empty(1, dtype=object)
    harm[0] = Gadget(tmp_path / "harm")
    np.savez(tmp_path / "a.npz", x=harm)
    with pytest.raises(pickle.UnpicklingError, match="Refusing to load .*mkdir"):
        storage.load_npz(tmp_path / "a.npz")
    assert not (tmp_path / "harm").exists()


def test_code_in_a_batch_of_cifar_never_runs(tmp_path):
    content = {b"data": np.zeros((1, 3072), "uint8"), b"labels": [Gadget(tmp_path / "harm")]}
    (tmp_path / "batch").write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(pickle.UnpicklingError, match="Refusing to load"):
        storage.load_batch(tmp_path / "batch")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("path", ["numpy.core.multiarray", "numpy._core.multiarray"])
def test_arrays_pickled_by_any_numpy(tmp_path, path):
    content = pickle.dumps(np.arange(3), protocol=3)  # names of modules are lines
    for known in (b"numpy._core.multiarray", b"numpy.core.multiarray"):
        content = content.replace(known, path.encode())
    (tmp_path / "array").write_bytes(content)
    with open(tmp_path / "array", "rb") as file:
        assert storage.RestrictedUnpickler(file).load().tolist() == [0, 1, 2]


def test_idx(tmp_path):
    header = bytes((0, 0, 8, 2)) + struct.pack(">II", 2, 3)
    (tmp_path / "a.gz").write_bytes(gzip.compress(header + bytes(range(6))))
    x = storage.load_idx(tmp_path / "a.gz")
    assert x.dtype == "uint8" and x.flags.writeable
    assert x.tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        bytes((0, 0, 13, 1, 0, 0, 0, 0)),  # floats
        bytes((0, 0, 8, 2, 0, 0, 0, 1)),  # the second size is missing
        bytes((0, 0, 8, 1, 0, 0, 0, 9, 1)),  # eight bytes are missing
        bytes((0, 0, 8, 1, 0, 0, 0, 1, 1, 1)),  # one too many
    ],
)
def test_files_that_are_no_idx(tmp_path, content):
    (tmp_path / "a.gz").write_bytes(gzip.compress(content))
    with pytest.raises(ValueError, match="is no IDX file"):
        storage.load_idx(tmp_path / "a.gz")
