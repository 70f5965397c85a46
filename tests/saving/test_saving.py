"""Saving and loading models of this library: every format, the API's arguments, and safety."""

import base64
import hashlib
import io
import json
import os
import random
import zipfile

import h5py
import numpy as np
import pytest
import safetensors.torch
import torch

import torchkeras as keras
from torchkeras.saving import FileFormatError, load_model, save_model

L = keras.layers
X = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
Y = (X[:, :1] > 0).astype("float32")
FORMATS = ["m.keras", "m.h5", "m.safetensors"]


def make(units=8):
    """Return a compiled model whose optimizer has its variables."""
    model = keras.Sequential(
        [L.Input((4,)), L.Dense(units, activation="relu"), L.BatchNormalization(), L.Dense(1)]
    )
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    model.optimizer.build(model.trainable_variables)
    return model


def trained(**kwargs):
    keras.utils.set_random_seed(1)
    model = make(**kwargs)
    for _ in range(3):
        model.train_on_batch(X, Y)
    return model


def assert_alike(a, b, go_on=True):
    for v, w in zip(a.weights, b.weights, strict=True):
        assert torch.equal(v, w)
        assert v.stride() == w.stride()
    np.testing.assert_array_equal(a.predict(X, verbose=0), b.predict(X, verbose=0))
    if go_on:
        for _ in range(2):
            assert a.train_on_batch(X, Y) == b.train_on_batch(X, Y)
        np.testing.assert_array_equal(a.predict(X, verbose=0), b.predict(X, verbose=0))


@pytest.mark.parametrize("name", FORMATS)
def test_round_trip_goes_on_training_bit_for_bit(tmp_path, name):
    model = trained()
    model.save(tmp_path / name)
    assert_alike(load_model(tmp_path / name), model)


@pytest.mark.parametrize("name", FORMATS)
def test_without_compiling(tmp_path, name):
    model = trained()
    model.save(tmp_path / name)
    loaded = load_model(tmp_path / name, compile=False)
    assert not loaded.compiled
    assert_alike(loaded, model, go_on=False)


@pytest.mark.parametrize("optimizer", ["adam", torch.optim.AdamW])
@pytest.mark.parametrize("name", [*FORMATS, "folder"])
def test_without_the_optimizer(tmp_path, name, optimizer):
    model = trained()
    model.compile(optimizer, "mse")
    model.train_on_batch(X, Y)
    zipped = {"zipped": False} if name == "folder" else {}
    model.save(tmp_path / name, include_optimizer=False, **zipped)
    assert model.get_compile_config.__self__ is model
    loaded = load_model(tmp_path / name)
    assert not loaded.compiled
    assert_alike(loaded, model, go_on=False)


@pytest.mark.parametrize("name", ["m.weights.h5", "m.safetensors"])
def test_weights_round_trip(tmp_path, name):
    model, other = trained(), make()
    model.save_weights(tmp_path / name)
    other.load_weights(tmp_path / name)
    assert_alike(other, model, go_on=False)


@pytest.mark.parametrize("name", [*FORMATS, "folder"])
def test_content_decides_not_the_name(tmp_path, name):
    model, other = trained(), make()
    model.save(tmp_path / name, **({"zipped": False} if name == "folder" else {}))
    disguised = tmp_path / "disguised.h5"
    os.rename(tmp_path / name, disguised)
    assert_alike(load_model(disguised, compile=False), model, go_on=False)
    other.load_weights(disguised)
    assert_alike(other, model, go_on=False)


def test_file_objects_and_bytes():
    model = trained()
    buffer = io.BytesIO()
    save_model(model, buffer)
    assert_alike(load_model(io.BytesIO(buffer.getvalue())), model)
    assert_alike(keras.saving.model_from_bytes(keras.saving.model_to_bytes(model)), model)


def test_large_weights_go_through_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr("torchkeras.saving.budget._IN_MEMORY", 100)
    model = trained()
    model.save(tmp_path / "m.keras")
    assert os.listdir(tmp_path) == ["m.keras"]
    assert_alike(load_model(tmp_path / "m.keras"), model)


def test_same_model_gives_the_same_bytes(tmp_path):
    model = trained()
    digests = set()
    for i in range(2):
        path = tmp_path / f"{i}.keras"
        model.save(path)
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            digests.add(hashlib.sha256(archive.read("model.weights.h5")).hexdigest())
    assert len(digests) == 1
    assert names == ["metadata.json", "config.json", "model.weights.h5"]


# Arguments ---------------------------------------------------------------------------------------


def test_shards(tmp_path):
    model, other = trained(), make()
    path = tmp_path / "m.weights.json"
    model.save_weights(path, max_shard_size=300 / 1024**3)
    parts = sorted(n for n in os.listdir(tmp_path) if n.endswith(".weights.h5"))
    assert len(parts) > 2
    other.load_weights(path)
    assert_alike(other, model)
    with pytest.warns(UserWarning, match="becomes one"):
        model.save_weights(tmp_path / "n.weights.h5", max_shard_size=1)
    other.load_weights(tmp_path / "n.weights.json")
    with pytest.raises(ValueError, match="larger `max_shard_size`"):
        model.save_weights(path, max_shard_size=4 / 1024**3)
    other.load_weights(path)
    os.remove(tmp_path / parts[1])
    with pytest.raises(FileFormatError, match=parts[1]):
        other.load_weights(path)
    table = json.loads(path.read_text())
    table["weight_map"] = dict.fromkeys(table["weight_map"], "../m.weights.h5")
    path.write_text(json.dumps(table))
    with pytest.raises(FileFormatError, match="elsewhere"):
        other.load_weights(path)
    assert not [n for n in os.listdir(tmp_path) if n.endswith(".saving")]


@pytest.mark.parametrize("save", ["save", "save_weights"])
def test_overwrite_asks(tmp_path, monkeypatch, capsys, save):
    model = trained()
    path = tmp_path / ("m.keras" if save == "save" else "m.weights.h5")
    path.write_bytes(b"old")
    answers = iter(["maybe", "n"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(answers))
    getattr(model, save)(path, overwrite=False)
    assert path.read_bytes() == b"old"
    monkeypatch.setattr("builtins.input", lambda prompt: "Y ")
    getattr(model, save)(path, overwrite=False)
    assert path.read_bytes() != b"old"
    assert "overwrite=True" in capsys.readouterr().out


def test_extensions():
    model = trained()
    with pytest.raises(ValueError, match="m.xyz.keras"):
        model.save("m.xyz")
    with pytest.raises(ValueError, match="weights.h5"):
        model.save_weights("m.h5")
    with pytest.raises(ValueError, match="zipped=False"):
        model.save("m.keras", zipped=False)
    with pytest.raises(ValueError, match="not supported"):
        model.save("m.keras", nonsense=1)
    with pytest.raises(FileFormatError, match="remote"):
        model.save("gs://bucket/m.keras")
    with pytest.raises(ValueError, match="weights.json"):
        model.save_weights("m.h5", max_shard_size=1)
    assert not os.path.exists("m.keras")


def stack(*units):
    return keras.Sequential([L.Input((4,)), *(L.Dense(n, name=f"d{n}") for n in units)])


def test_skip_mismatch_loads_what_fits(tmp_path):
    model, other = stack(3, 5), stack(3, 6)
    for name in ("m.keras", "m.h5", "m.weights.h5"):
        (model.save_weights if "weights" in name else model.save)(tmp_path / name)
        other.set_weights([np.zeros_like(w) for w in other.get_weights()])
        with pytest.raises(FileFormatError, match="d6") as caught:
            other.load_weights(tmp_path / name)
        for part in ("kernel", "(3, 6)", "(3, 5)", str(tmp_path / name)):
            assert part in str(caught.value)
        with pytest.warns(UserWarning, match="kernel"):
            other.load_weights(tmp_path / name, skip_mismatch=True)
        assert torch.equal(other.layers[0].kernel, model.layers[0].kernel)
        assert not other.layers[1].kernel.any()


def test_skip_mismatch_of_safetensors(tmp_path):
    model, other = stack(3, 5), keras.Sequential([L.Input((4,)), L.Dense(3), L.Dense(6)])
    model.save(tmp_path / "m.safetensors")
    with pytest.raises(FileFormatError, match="kernel.*another shape"):
        other.load_weights(tmp_path / "m.safetensors")
    with pytest.warns(UserWarning, match="another shape"):
        other.load_weights(tmp_path / "m.safetensors", skip_mismatch=True)
    assert torch.equal(other.layers[0].kernel, model.layers[0].kernel)


def test_optimizer_without_variables_starts_afresh(tmp_path):
    model, other = trained(), make()
    other.compile("adam", "mse")
    model.save_weights(tmp_path / "m.weights.h5")
    with pytest.warns(UserWarning, match="optimizer"):
        other.load_weights(tmp_path / "m.weights.h5")
    assert_alike(other, model, go_on=False)


def test_by_name(tmp_path):
    source, target = stack(3, 5, 2), stack(3, 6, 2)
    source.save(tmp_path / "m.h5")
    with pytest.raises(FileFormatError, match="another shape"):
        target.load_weights(tmp_path / "m.h5")
    kept = target.get_weights()
    with pytest.raises(FileFormatError, match="d2"):
        target.load_weights(tmp_path / "m.h5", by_name=True)
    with pytest.warns(UserWarning, match="d2"):
        target.load_weights(tmp_path / "m.h5", by_name=True, skip_mismatch=True)
    assert torch.equal(target.layers[0].kernel, source.layers[0].kernel)
    np.testing.assert_array_equal(target.get_weights()[2], kept[2])
    with pytest.raises(FileFormatError, match="3 layers"):
        stack(3, 5, 2).load_weights(h5_file(tmp_path, stack(3, 5)))
    with pytest.raises(ValueError, match="by_name"):
        source.save(tmp_path / "m.keras")
        target.load_weights(tmp_path / "m.keras", by_name=True)


def h5_file(folder, model):
    model.save(folder / "other.h5")
    return folder / "other.h5"


def test_state_dicts_of_plain_pytorch(tmp_path):
    """Its layers have other names, and other orders of axes."""
    conv, linear = torch.nn.Conv2d(3, 4, 2), torch.nn.Linear(4, 4)
    plain = torch.nn.Sequential(conv, torch.nn.ReLU(), torch.nn.Flatten(), linear)
    path = tmp_path / "plain.safetensors"
    safetensors.torch.save_file({**plain.state_dict(), "steps": torch.ones(1)}, path)

    def make(units=4):
        layers = [
            L.Conv2D(4, 2, activation="relu", name="c"),
            L.Flatten(),
            L.Dense(units, name="d"),
        ]
        return keras.Sequential([L.Input((2, 2, 3)), *layers])

    model = make()
    c, d = (name.rpartition(".")[0] for name in list(model.state_dict())[::2])
    mapping = {
        f"{c}.kernel": ("0.weight", (2, 3, 1, 0)),
        f"{c}.bias": "0.bias",
        f"{d}.kernel": ("3.weight", (1, 0)),
        f"{d}.bias": "3.bias",
    }
    model.load_weights(path, mapping=mapping)
    x = torch.rand(5, 2, 2, 3)
    torch.testing.assert_close(model(x), plain(x.permute(0, 3, 1, 2)))
    with pytest.raises(FileFormatError, match="'.*kernel' has another shape") as caught:
        make(3).load_weights(path, mapping=mapping)
    assert "(4, 3)" in str(caught.value) and "(4, 4)" in str(caught.value)
    with pytest.warns(UserWarning, match="Skipped"):
        make(3).load_weights(path, mapping=mapping, skip_mismatch=True)
    with pytest.raises(FileFormatError, match="(?s)not those of the model.*3.biases"):
        model.load_weights(path, mapping={**mapping, f"{d}.bias": "3.biases"})
    with pytest.raises(ValueError, match="none of the model's: .*'x'"):
        model.load_weights(path, mapping={"x": "0.bias"})
    with pytest.raises(ValueError, match="turns '3.weight' of shape"):
        model.load_weights(path, mapping={**mapping, f"{d}.kernel": ("3.weight", (0, 0))})
    model.save(tmp_path / "m.keras")
    with pytest.raises(ValueError, match="only supports loading '.safetensors'"):
        model.load_weights(tmp_path / "m.keras", mapping=mapping)


def test_objects_to_skip(tmp_path):
    model, other = trained(), make()
    model.save_weights(tmp_path / "m.weights.h5")
    before = other.get_weights()
    keras.saving.load_weights(
        other, tmp_path / "m.weights.h5", objects_to_skip=[other.layers[0], other.optimizer]
    )
    np.testing.assert_array_equal(other.get_weights()[0], before[0])
    assert torch.equal(other.layers[-1].kernel, model.layers[-1].kernel)


def test_unbuilt_models():
    model = keras.Sequential([L.Dense(2)])
    for act in (lambda: model.save_weights("m.weights.h5"),):
        with pytest.raises(ValueError, match="not yet been built"):
            act()
    with pytest.warns(UserWarning, match="not yet been built"):
        buffer = io.BytesIO()
        save_model(model, buffer)
    loaded = load_model(io.BytesIO(buffer.getvalue()))
    assert not loaded.built


# State that is not a weight ----------------------------------------------------------------------


class Custom(L.Layer):
    """Saves text in a file of its own, one more array, and a buffer of PyTorch's."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.words = ["unset"]
        self.register_buffer("steps", torch.zeros(2))
        self.plain = torch.nn.Linear(4, 4)

    def build(self, input_shape):
        self.w = self.add_weight(shape=(4,), initializer="ones")

    def call(self, x):
        return self.plain(x) * self.w

    def save_own_variables(self, store):
        super().save_own_variables(store)
        store["more"] = np.array([3, 4])

    def load_own_variables(self, store):
        self.more = store["more"]
        self.w.assign(store["0"])

    def save_assets(self, folder):
        with open(os.path.join(folder, "words.txt"), "w") as file:
            file.write("\n".join(self.words))

    def load_assets(self, folder):
        with open(os.path.join(folder, "words.txt")) as file:
            self.words = file.read().split("\n")


@pytest.mark.parametrize("name", ["m.keras", "folder"])
def test_assets_buffers_and_plain_modules(tmp_path, name):
    layer = Custom()
    model = keras.Sequential([L.Input((4,)), layer])
    layer.words = ["a", "b"]
    layer.steps += 5
    layer.w.assign([1.0, 2.0, 3.0, 4.0])
    model.save(tmp_path / name, **({"zipped": False} if name == "folder" else {}))
    loaded = load_model(tmp_path / name, custom_objects={"Custom": Custom})
    assert loaded.layers[0].words == ["a", "b"]
    assert loaded.layers[0].more.tolist() == [3, 4]
    assert loaded.layers[0].steps.tolist() == [5, 5]
    assert torch.equal(loaded.layers[0].plain.weight, layer.plain.weight)
    assert_alike(loaded, model, go_on=False)


def test_assets_in_safetensors(tmp_path):
    layer = Custom()
    model = keras.Sequential([L.Input((4,)), layer])
    layer.words = ["a", "b"]
    layer.steps += 5
    model.save(tmp_path / "m.safetensors")
    loaded = load_model(tmp_path / "m.safetensors", custom_objects={"Custom": Custom})
    assert loaded.layers[0].words == ["a", "b"]
    assert loaded.layers[0].steps.tolist() == [5, 5]


def test_safetensors_are_readable_by_the_library(tmp_path):
    from safetensors.torch import load_file

    model = trained()
    model.save(tmp_path / "m.safetensors")
    tensors = load_file(tmp_path / "m.safetensors")
    for name, value in model.state_dict().items():
        assert torch.equal(tensors[name], value)
    kernels = keras.Sequential([L.Input((8, 8, 3)), L.Conv2D(4, 3), L.Dense(2, dtype="bfloat16")])
    kernels.save(tmp_path / "c.safetensors")
    tensors = load_file(tmp_path / "c.safetensors")
    assert tensors[next(n for n in tensors if n.endswith("kernel"))].dim() in (2, 4)
    for v, w in zip(kernels.weights, load_model(tmp_path / "c.safetensors").weights, strict=True):
        assert torch.equal(v, w) and v.stride() == w.stride() and v.dtype == w.dtype


def test_safetensors_mismatch_of_names(tmp_path):
    model = trained()
    model.save_weights(tmp_path / "m.safetensors")
    other = keras.Sequential([L.Input((4,)), L.Dense(2, name="another")])
    with pytest.raises(FileFormatError, match="another.kernel"):
        other.load_weights(tmp_path / "m.safetensors")
    with pytest.raises(FileFormatError, match="no model"):
        load_model(tmp_path / "m.safetensors")


@pytest.mark.parametrize("name", FORMATS)
def test_operations_in_the_graph(tmp_path, name):
    inputs = keras.Input((4,))
    x = L.Add()([inputs, inputs]) + keras.ops.sin(inputs) * 2.0
    model = keras.Model(inputs, L.Dense(1)(x))
    model.save(tmp_path / name)
    assert_alike(load_model(tmp_path / name), model, go_on=False)


@pytest.mark.parametrize("name", [*FORMATS, "m.weights.h5"])
def test_models_without_memory(tmp_path, name):
    with torch.device("meta"):
        model = stack(3)
    with pytest.raises(ValueError, match="to_empty"):
        (model.save_weights if "weights" in name else model.save)(tmp_path / name)
    assert os.listdir(tmp_path) == []


def test_unknown_classes_name_the_file(tmp_path):
    keras.Sequential([L.Input((4,)), Custom()]).save(tmp_path / "m.keras")
    with pytest.raises(TypeError, match="m.keras: (.|\n)*Custom(.|\n)*custom_objects"):
        load_model(tmp_path / "m.keras")


# Safety ------------------------------------------------------------------------------------------


def edited(path, edit):
    """A copy of a `.keras` file whose configuration was changed."""
    out = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "config.json":
                config = json.loads(data)
                edit(config)
                data = json.dumps(config)
            target.writestr(name, data)
    return io.BytesIO(out.getvalue())


def inner(config):
    return config["config"]["layers"][1]


GADGETS = {
    "a module of Python": {"module": "os", "class_name": "function", "config": "system"},
    "a class of Python": {"module": "subprocess", "class_name": "Popen", "config": {"args": "id"}},
    "builtins": {"module": "builtins", "class_name": "function", "config": "eval"},
    "torch": {"module": "torch", "class_name": "function", "config": "load"},
    "a downloader": {"module": "keras.utils", "class_name": "function", "config": "get_file"},
    "a loader": {"module": "keras.saving", "class_name": "function", "config": "load_model"},
    "our own module": {"module": "torchkeras.saving", "class_name": "function", "config": "sniff"},
}


@pytest.mark.parametrize("gadget", GADGETS)
def test_configurations_cannot_name_code(tmp_path, gadget):
    make().save(tmp_path / "m.keras")

    def edit(config):
        inner(config)["config"]["activation"] = {**GADGETS[gadget], "registered_name": None}

    with pytest.raises((TypeError, ValueError)):
        load_model(edited(tmp_path / "m.keras", edit))


def test_byte_code_and_pickles_need_trust(tmp_path):
    make().save(tmp_path / "m.keras")
    code = base64.b64encode(b"evil").decode()

    def add_lambda(config):
        value = {"class_name": "__lambda__", "config": {"value": [code, None, None]}}
        config["config"]["layers"][1] = {
            "module": "keras.layers",
            "class_name": "Lambda",
            "config": {"name": "l", "function": value},
            "registered_name": None,
        }

    with pytest.raises(ValueError, match="safe_mode"):
        load_model(edited(tmp_path / "m.keras", add_lambda))
    module = torch.nn.Linear(4, 4)
    model = keras.Sequential([L.Input((4,)), L.TorchModuleWrapper(module)])
    model.save(tmp_path / "t.keras")
    with pytest.raises(ValueError, match=r"(?s)torch.load.*custom_objects.*safe_mode"):
        load_model(tmp_path / "t.keras")
    assert load_model(tmp_path / "t.keras", safe_mode=False).layers[-1].weight.equal(module.weight)


def test_configuration_out_of_proportion(tmp_path):
    make().save(tmp_path / "m.keras")

    def edit(config):
        inner(config)["config"]["units"] = 10**11

    with pytest.raises(FileFormatError, match="more memory"):
        load_model(edited(tmp_path / "m.keras", edit))


def test_weights_that_point_outside(tmp_path):
    make().save_weights(tmp_path / "m.weights.h5")
    make().save(tmp_path / "m.h5")
    for name, group in (("m.weights.h5", "layers/dense"), ("m.h5", "model_weights")):
        with h5py.File(tmp_path / name, "r+") as file:
            del file[group]
            file[group] = h5py.ExternalLink("/etc/other.h5", "/x")
        with pytest.raises(FileFormatError, match="external link"):
            make().load_weights(tmp_path / name)


def test_archives_without_parts(tmp_path):
    make().save(tmp_path / "m.keras")
    for dropped in ("model.weights.h5", "metadata.json"):
        out = io.BytesIO()
        with zipfile.ZipFile(tmp_path / "m.keras") as source, zipfile.ZipFile(out, "w") as target:
            for name in source.namelist():
                if name != dropped:
                    target.writestr(name, source.read(name))
        with pytest.raises(FileFormatError, match=dropped):
            load_model(out)


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.safetensors", "m.weights.h5"])
@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_truncated_files(tmp_path, name, keep):
    model = trained()
    (model.save_weights if "weights" in name else model.save)(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(len(data) * keep)])
    load = make().load_weights if "weights" in name else load_model
    with pytest.raises(FileFormatError) as caught:
        load(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value) and "Fix:" in str(caught.value)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FORMATS)
def test_flipped_bytes(tmp_path, name):
    """Loading gives a model or says what is wrong; it never breaks in another way."""
    draw = random.Random(0)
    trained().save(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    refused = 0
    for _ in range(60):
        damaged = bytearray(data)
        for _ in range(draw.choice([1, 3, 20])):
            # Half of them where headers are.
            i = draw.randrange(len(data) if draw.random() < 0.5 else min(len(data), 3000))
            damaged[i] = draw.choice([0, 255, damaged[i] ^ 1, draw.randrange(256)])
        try:
            load_model(io.BytesIO(bytes(damaged)))
        except (FileFormatError, ValueError, TypeError) as error:
            assert "<BytesIO>" in str(error)
            refused += 1
    assert refused > 10
