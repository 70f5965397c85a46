"""Values that are drawn late or never, weights that are a file's memory, checksums."""

import gc
import io
import os
import threading
import zipfile
import zlib

import numpy as np
import pytest
import torch

import torchkeras as keras
from tests.saving.test_crash import small_disk
from torchkeras import layers as L
from torchkeras.initializers import RandomInitializer
from torchkeras.saving import FileFormatError, zip_writer
from torchkeras.saving.checksum import Checksum, combine_crc32
from torchkeras.saving.late import late_values

NAMES = ["m.keras", "m.h5", "m.safetensors"]
WIDE = 160  # 100 kB, more than what is drawn at once


class Reads(L.Layer):
    """Looks at its weight while it is built."""

    def build(self, input_shape):
        self.w = self.add_weight((WIDE, WIDE), keras.initializers.HeNormal(seed=5))
        self.mean = float(self.w.numpy().mean())

    def call(self, x):
        return x @ self.w


def layers():
    seeded = keras.initializers.GlorotUniform(seed=1)
    return [
        L.Dense(WIDE, kernel_initializer=seeded),
        L.Dense(WIDE, kernel_initializer=keras.initializers.Orthogonal(seed=2)),
        L.Reshape((4, 4, WIDE // 16)),
        L.Conv2D(512, 3, kernel_initializer=keras.initializers.RandomNormal(seed=3)),
        L.Dense(64, kernel_initializer="ones"),
    ]


def built(kinds):
    x = (None, WIDE)
    for layer in kinds:
        layer.build(x)
        x = layer.compute_output_shape(x)
    return [weight for layer in kinds for weight in layer.weights]


def make(compiled=True):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((WIDE,)), *layers()])
    if compiled:
        model.compile("adam", "mse")
        model.train_on_batch(torch.ones(2, WIDE), torch.ones(2, 2, 2, 64))
    return model


def test_late_values_are_those_drawn_at_once():
    expected = built(layers())
    with late_values() as late:
        with late.collecting():
            weights = built(layers())
        waiting = {id(key) for key in weights if key.untyped_storage()._cdata in late.pending}
        assert waiting == {id(weight) for weight in weights if weight.nbytes >= 1 << 16}
        assert len(waiting) == 4
    assert not late.pending
    for weight, value in zip(weights, expected, strict=True):
        assert weight.stride() == value.stride()
        torch.testing.assert_close(weight, value, rtol=0, atol=0)


def test_who_looks_at_a_weight_sees_its_values():
    expected = Reads()
    expected.build((None, WIDE))
    with late_values() as late:
        with late, late.collecting():
            layer = Reads()
            layer.build((None, WIDE))
        assert layer.mean == expected.mean and not late.pending


def test_failing_leaves_no_memory_without_values():
    with pytest.raises(RuntimeError, match="must match the size"), late_values() as late:
        with late, late.collecting():
            layer = L.Dense(WIDE)
            layer.build((None, WIDE))
            with torch.no_grad():
                layer.kernel.copy_(torch.ones(3))  # overwrites nothing
    assert not layer.kernel.any() and not late.pending


@pytest.mark.parametrize("name", NAMES)
def test_loading_draws_nothing_large(tmp_path, name, monkeypatch):
    model = make()
    model.save(tmp_path / name)
    for kind in (RandomInitializer, *RandomInitializer.__subclasses__()):
        if "__call__" in vars(kind):
            monkeypatch.setattr(kind, "__call__", None)
    loaded = keras.saving.load_model(tmp_path / name)
    monkeypatch.undo()
    for ours, theirs in ((loaded, model), (loaded.optimizer, model.optimizer)):
        for weight, value in zip(ours.variables, theirs.variables, strict=True):
            torch.testing.assert_close(weight.data, value.data, rtol=0, atol=0)
            assert weight.stride() == value.stride()
    x, y = torch.ones(2, WIDE), torch.ones(2, 2, 2, 64)
    assert loaded.train_on_batch(x, y) == model.train_on_batch(x, y)


# Mapped weights ----------------------------------------------------------------------------------


def is_mapped(weight, path):
    """Whether a weight's memory is a file's."""
    with open("/proc/self/maps") as maps:
        for line in maps:
            if line.rstrip().endswith(os.fspath(path)):
                start, end = (int(part, 16) for part in line.split()[0].split("-"))
                if start <= weight.data_ptr() < end:
                    return True
    return False


linux = pytest.mark.skipif(
    not os.path.exists("/proc/self/maps"), reason="Linux tells what is mapped"
)


@linux
def test_large_weights_are_the_mapped_file(tmp_path):
    path = tmp_path / "m.safetensors"
    model = make()
    model.save(path)
    before = path.read_bytes()
    loaded = keras.saving.load_model(path)
    dense, _, _, conv, _ = loaded.layers
    assert is_mapped(dense.kernel, path) and is_mapped(loaded.optimizer.variables[2], path)
    assert dense.kernel.data_ptr() % 64 == 0
    assert dense.kernel.untyped_storage().nbytes() == dense.kernel.nbytes  # `torch.save` is small
    # too small; of another order in memory
    assert not is_mapped(dense.bias, path) and not is_mapped(conv.kernel, path)
    loaded.train_on_batch(torch.ones(2, WIDE), torch.ones(2, 2, 2, 64))
    assert path.read_bytes() == before  # its changes are its own
    values = [weight.numpy() for weight in loaded.weights]
    loaded.save(path)  # over what it was loaded from
    again = keras.saving.load_model(path)
    os.unlink(path)
    for weight, other, value in zip(loaded.weights, again.weights, values, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)
        np.testing.assert_array_equal(other.numpy(), value)


@linux
def test_file_objects_and_loads_into_models_are_copied(tmp_path):
    path = tmp_path / "m.safetensors"
    model = make(compiled=False)
    model.save(path)
    with open(path, "rb") as file:
        loaded = keras.saving.load_model(file)
    model.load_weights(path)
    assert not any(is_mapped(w, path) for w in (*loaded.weights, *model.weights))
    with open(path, "r+b") as file:  # no process has it mapped
        file.truncate(0)
    gc.collect()
    np.testing.assert_array_equal(loaded.weights[0].numpy(), model.weights[0].numpy())


def test_shared_weights_are_copied_once(tmp_path):
    class Tied(L.Layer):
        def build(self, input_shape):
            self.a = self.add_weight((WIDE, WIDE), "glorot_uniform")
            self.b = self.a

        def call(self, x):
            return x @ self.a @ self.b

    model = keras.Sequential([keras.Input((WIDE,)), Tied()])
    model.save(tmp_path / "m.safetensors")
    loaded = keras.saving.load_model(tmp_path / "m.safetensors", {"Tied": Tied})
    layer = loaded.layers[0]
    assert layer.a is layer.b and torch.equal(layer.a, model.layers[0].a)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
@pytest.mark.parametrize("name", ["m.keras", "m.safetensors", "w.weights.h5"])
def test_other_dtypes(tmp_path, name, dtype):
    def of_dtype():
        return keras.Sequential([keras.Input((WIDE,)), L.Dense(2 * WIDE, dtype=dtype)])

    model, path = of_dtype(), tmp_path / name
    if name == "w.weights.h5":
        model.save_weights(path)
        loaded = of_dtype()
        version = loaded.weights[0]._version
        loaded.load_weights(path)
        assert loaded.weights[0]._version > version
    else:
        model.save(path)
        loaded = keras.saving.load_model(path)
    assert torch.equal(model.weights[0], loaded.weights[0])
    assert str(loaded.weights[0].dtype) == f"torch.{dtype}"


# Archives ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 1 << 22, (3 << 22) + 17])
def test_checksum_of_a_part(tmp_path, size):
    data = np.random.default_rng(0).bytes(size)
    path = tmp_path / "data"
    path.write_bytes(b"before" + data + b"after")
    with open(path, "rb") as file:
        checksum = Checksum(file.fileno(), 6)
        checksum.written(0, size)
        assert checksum.result(size) == zlib.crc32(data)
        assert file.tell() == 0
        with pytest.raises(OSError, match="ends early"):
            Checksum(file.fileno(), 6).result(size + 6)
    assert combine_crc32(zlib.crc32(b"a"), zlib.crc32(data), size) == zlib.crc32(b"a" + data)


def test_checksum_of_a_file_that_grows(tmp_path):
    """Pieces come in any order, and some bytes change later."""
    random = np.random.default_rng(0)
    data = bytearray(3 << 20)
    with open(tmp_path / "data", "w+b", buffering=0) as file:
        checksum = Checksum(file.fileno(), 3)
        for start, size in [(0, 96), (2 << 20, 1 << 20), (1000, 1 << 20), (5000, 7), (2 << 20, 9)]:
            data[start : start + size] = random.bytes(size)
            file.seek(3 + start)
            file.write(data[start : start + size])
            checksum.written(start, size)
        file.truncate(3 + len(data) - 5)
        assert checksum.result(len(data) - 5) == zlib.crc32(data[:-5])


@pytest.fixture
def on_disk(monkeypatch):
    """Let weights be too large to be copied into memory."""
    for module in ("keras_archive", "zip_guard"):
        monkeypatch.setattr(f"torchkeras.saving.{module}.fits_in_memory", lambda size: False)


def test_large_archives_are_written_in_place(tmp_path, on_disk):
    path = tmp_path / "m.keras"
    model = make()
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["metadata.json", "config.json", "model.weights.h5"]
    loaded = keras.saving.load_model(path)
    other = make(compiled=False)
    other.load_weights(path)
    for weight, value, third in zip(loaded.weights, model.weights, other.weights, strict=True):
        assert torch.equal(weight, value) and torch.equal(third, value)


@pytest.mark.parametrize("load", ["model", "weights"])
def test_damage_in_large_archives(tmp_path, on_disk, load):
    path = tmp_path / "m.keras"
    model = make(compiled=False)
    model.save(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1  # among the values of a weight
    path.write_bytes(data)
    before = model.get_weights()
    with pytest.raises(FileFormatError, match="damaged.*CRC"):
        keras.saving.load_model(path) if load == "model" else model.load_weights(path)
    for weight, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)  # verified before


@pytest.mark.parametrize("limit", [None, 100, 5000])
def test_zip_archives(limit, monkeypatch):
    """Also of large sizes, of which `limit` is the least."""
    if limit is not None:
        monkeypatch.setattr(zip_writer, "_LIMIT", limit)
    stream = io.BytesIO()
    archive = zip_writer.ZipWriter(stream)
    members = {"a": b"", "dir/ü.txt": b"x" * 200, "c": os.urandom(10_000), "d": b"d"}
    for name, data in members.items():
        archive.write(name, io.BytesIO(data), len(data))
    archive.close()
    with zipfile.ZipFile(stream) as read:
        assert read.testzip() is None
        assert {name: read.read(name) for name in read.namelist()} == members
        assert all(info.date_time == (1980, 1, 1, 0, 0, 0) for info in read.infolist())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs limits of POSIX")
def test_a_full_disk_while_an_archive_is_written_in_place(tmp_path, on_disk):
    path = tmp_path / "m.keras"
    model = make(compiled=False)
    model.save(path)
    before, running = path.read_bytes(), set(threading.enumerate())
    with small_disk(len(before) // 2), pytest.raises(OSError):
        model.save(path)
    assert os.listdir(tmp_path) == ["m.keras"] and path.read_bytes() == before
    assert set(threading.enumerate()) <= running  # those of other tests may end meanwhile
