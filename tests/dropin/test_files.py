"""Keras's `file_utils` and the checked readers of `saving_lib`, on files made to do harm."""

import os
import zipfile

import h5py
import numpy as np
import pytest

from torchkeras.dropin import files
from torchkeras.dropin.internals import view


def test_local_paths_are_those_of_os(tmp_path):
    folder = files.join(str(tmp_path), "a", "b")
    files.makedirs(folder)
    assert files.isdir(folder) and files.exists(folder)
    with files.File(files.join(folder, "x"), "w") as file:
        file.write("1")
    files.copy(files.join(folder, "x"), files.join(folder, "y"))
    assert sorted(files.listdir(folder)) == ["x", "y"]
    files.remove(files.join(folder, "x"))
    files.rmtree(folder)
    assert not files.exists(folder)


@pytest.mark.parametrize("use", [files.exists, files.listdir, files.File, files.makedirs])
def test_remote_paths_are_refused(use):
    with pytest.raises(ValueError, match="(?s)only local paths.*gs://bucket"):
        use("gs://bucket/model")


def test_paths_below_a_folder(tmp_path):
    base = files.resolve_path(tmp_path)
    assert files.resolve_sub_path(base, "a/b") == os.path.join(base, "a", "b")
    assert files.resolve_sub_path(base, "../a") is None


def test_groups_and_datasets(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["group/values"] = np.arange(3)
        file["soft"] = h5py.SoftLink("/group/values")
        file.create_dataset("bomb", (1 << 40,), "f4", chunks=(1 << 20,), compression="gzip")
    with h5py.File(tmp_path / "a.h5") as file:
        group = files.safe_get_h5_group(file, "group")
        assert files.safe_get_h5_dataset(group, "values")[()].tolist() == [0, 1, 2]
        assert files.safe_get_h5_dataset(file, "group/values").shape == (3,)
        for read, name in (
            (files.safe_get_h5_group, "none"),
            (files.safe_get_h5_dataset, "none"),
            (files.safe_get_h5_dataset, "none/values"),
        ):
            with pytest.raises(KeyError, match="none"):
                read(file, name)
        with pytest.raises(ValueError, match="SoftLink"):
            files.safe_get_h5_dataset(file, "soft")
        with pytest.raises(ValueError, match="shape bomb"):
            files.safe_get_h5_dataset(file, "bomb")


def test_limits_can_be_patched_through_the_view(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", bytes(100_000))
    saving_lib = view("keras.src.saving.saving_lib")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert len(saving_lib._safe_zip_read(archive, "config.json")) == 100_000
        monkeypatch.setattr(saving_lib, "_ZIP_MEMBER_BOMB_FLOOR_BYTES", 64)
        with pytest.raises(ValueError, match="decompression bomb"):
            saving_lib._safe_zip_read(archive, "config.json")


@pytest.mark.parametrize("path", ["/gcs/a", "/hdfs/a", "/placer/prod/home/a", "hdfs://a", "S3://a"])
def test_what_keras_calls_remote(path):
    assert files.is_remote_path(path)
    assert not any(files.is_remote_path(x) for x in ("a/gcs/b", "/gcsx/a", "~/a", "C:\\a"))
