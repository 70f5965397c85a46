"""Stores of arrays and files by path: round trips, guards, and what they refuse."""

import gc
import io
import os
import zipfile

import h5py
import numpy as np
import pytest
import torch

from torchkeras.saving.assets import AssetFolder, new_asset_folder
from torchkeras.saving.errors import FileFormatError
from torchkeras.saving.saving_lib import DiskIOStore, H5IOStore, NpzIOStore, ShardedH5IOStore

A = np.arange(8, dtype="float32").reshape(2, 4)
B = np.arange(3, dtype="int32")


@pytest.mark.parametrize("place", ["path", "buffer", "archive"])
def test_arrays_come_back(tmp_path, place):
    target = {"path": tmp_path / "a.h5", "buffer": io.BytesIO(), "archive": "inner/a.h5"}[place]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        store = H5IOStore(target, archive if place == "archive" else None, mode="w")
        entry, deep = store.make("lora"), store.make("lora/0", metadata={"name": "q"})
        entry["a"], entry["rank"], entry["gone"] = A, 4, B
        deep["half"] = torch.tensor([1.5], dtype=torch.bfloat16)
        assert entry["a"].tolist() == A.tolist() and deep["half"].tolist() == [1.5]
        del entry["gone"]
        assert sorted(entry) == ["a", "rank"] and store.has_path("lora/0")
        store.close()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        with H5IOStore(target, archive if place == "archive" else None, mode="r") as store:
            entry = store.get("lora")
            assert set(entry.keys()) == {"a", "rank"} and int(entry["rank"][()]) == 4
            np.testing.assert_array_equal(entry["a"], A)
            assert store.get("lora/0")["half"].dtype is torch.bfloat16
            assert store.h5_file["lora/0/vars"].attrs["name"] == "q"
            assert store.has_path("lora/0") and not store.has_path("other")
            assert len(store.get("other")) == 0 and store


def test_half_precision_in_any_layout(tmp_path):
    value = (
        torch.arange(8.0).bfloat16().as_strided((2, 4, 1), (4, 1, 8))
    )  # as kernels of convolutions lie
    with H5IOStore(tmp_path / "a.h5", mode="w") as store:
        store.make("k")["0"] = value
    with H5IOStore(tmp_path / "a.h5", mode="r") as store:
        assert torch.equal(store.get("k")["0"], value)


def test_entry_at_the_top(tmp_path):
    with H5IOStore(tmp_path / "a.h5", mode="w") as store:
        store.make("")["0"] = A
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["vars/0"][()], A)


def test_a_store_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.h5"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), H5IOStore(path, mode="w") as store:
        store.make("x")["0"] = A
        raise RuntimeError
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.h5"]


def test_a_store_that_is_dropped_leaves_nothing(tmp_path):
    store = H5IOStore(tmp_path / "a.h5", mode="w")
    store.make("x")["0"] = A
    del store
    gc.collect()
    assert os.listdir(tmp_path) == []


def test_shards(tmp_path):
    path = tmp_path / "big.weights.json"
    with ShardedH5IOStore(path, max_shard_size=40 / 1024**3, mode="w") as store:
        entry = store.make("layer")
        entry["a"], entry["b"], entry["c"] = A, B, B
        assert store.sharding_config["weight_map"]["/layer/vars"] == [
            "big_00000.weights.h5",
            "big_00001.weights.h5",
        ]
        del entry["a"]  # from the first file, while the second is written
        assert len(entry) == 2 and "a" not in entry
        entry["a"] = A
        assert entry["a"].tolist() == A.tolist() and store.has_path("layer")
        with pytest.raises(KeyError, match="Key 'x' not found in any of the shards"):
            entry["x"]
        with pytest.raises(ValueError, match="exceeds the maximum shard size"):
            entry["large"] = np.zeros(100)
    with ShardedH5IOStore(path, mode="r") as store:
        entry = store.get("layer")
        assert sorted(entry) == ["a", "b", "c"]
        np.testing.assert_array_equal(entry["a"], A)
        with pytest.raises(ValueError, match="only allowed in write mode"):
            entry["a"] = A


def test_the_map_of_shards_is_json(tmp_path):
    with pytest.warns(UserWarning, match="becomes '.*big.json'"):
        with ShardedH5IOStore(tmp_path / "big.h5", mode="w") as store:
            store.make("x")["0"] = A
    assert sorted(os.listdir(tmp_path)) == ["big.json", "big_00000.weights.h5"]


@pytest.mark.parametrize("inside", [False, True])
def test_numpy_archives(tmp_path, inside):
    path = "weights.npz" if inside else tmp_path / "weights.npz"
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as outer:
        store = NpzIOStore(path, outer if inside else None, mode="w")
        store.make("layers/dense")["0"] = A
        store.make("")["top"] = B
        store.close()
    with zipfile.ZipFile(tmp_path / "outer.zip") as outer:
        with NpzIOStore(path, outer if inside else None) as store:
            np.testing.assert_array_equal(store.get("layers/dense")["0"], A)
            assert store.get("top") == B.tolist() and list(store.get("")) == ["top"]
            assert store.has_path("layers") and not store.has_path("other")


def test_numpy_archives_of_objects_are_not_unpickled(tmp_path):
    np.savez(tmp_path / "a.npz", w=np.array([{}], dtype=object))
    with NpzIOStore(tmp_path / "a.npz") as store:
        with pytest.raises(FileFormatError, match="Refusing to load npz weight 'w'"):
            store.get("w")


@pytest.mark.parametrize("inside", [False, True])
def test_files_of_layers(tmp_path, inside):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        store = DiskIOStore("assets", archive if inside else None, mode="w")
        with open(os.path.join(store.make("layers/words"), "v.txt"), "w") as file:
            file.write("hello")
        folder = store.working_dir
        assert store.has_path("layers/words") and not store.has_path("layers/other")
        store.close()
        assert not os.path.exists(folder)  # temporary
    if inside:
        with zipfile.ZipFile(tmp_path / "a.zip") as archive:
            with DiskIOStore("assets", archive, mode="r") as store:
                with open(os.path.join(store.get("layers/words"), "v.txt")) as file:
                    assert file.read() == "hello"
                assert store.get("layers/other") is None


ESCAPES = ["..", "../up", "a/../../up", "/etc", "..\\up", "C:/x", ""]


@pytest.mark.parametrize("path", ESCAPES)
def test_no_path_leads_out_of_the_folder(path):
    with new_asset_folder() as assets:
        with pytest.raises(ValueError, match="Invalid asset path"):
            assets.locate(path)


def test_no_link_leads_out_of_the_folder(tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "assets").mkdir()
    os.symlink(tmp_path / "secret", tmp_path / "assets" / "layer")
    with pytest.raises(ValueError, match="Invalid asset path"):
        AssetFolder(str(tmp_path / "assets")).get("layer")


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: H5IOStore(None, mode="w"), TypeError, "`path_or_io` should be"),
        (lambda: H5IOStore("a.h5", mode="x"), ValueError, "`mode` should be either 'w' or 'r'"),
        (lambda: H5IOStore(io.BytesIO(), archive=1), ValueError, "should be `None`"),
        (lambda: ShardedH5IOStore(None), TypeError, "`path_or_io` should be"),
        (lambda: ShardedH5IOStore("a.json", archive=1), NotImplementedError, "beside their map"),
        (lambda: H5IOStore(io.BytesIO(), mode="w").get("x"), ValueError, "only allowed in read"),
        (lambda: H5IOStore(io.BytesIO(), mode="w").make("x", 3), ValueError, "should be a dict"),
        (lambda: H5IOStore(io.BytesIO(b"junk")), FileFormatError, "incomplete or damaged"),
        (lambda: DiskIOStore("a"), ValueError, "`mode` should be"),
    ],
)
def test_what_stores_refuse(make, error, message):
    with pytest.raises(error, match=message):
        make()
