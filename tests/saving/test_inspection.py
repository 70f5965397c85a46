"""`inspect_file` and `convert_file`, and the commands: every format, and text that is no trap."""

import itertools
import json
import zipfile

import numpy as np
import pytest
import torch

import torchkeras as keras
from torchkeras.cli import main
from torchkeras.saving import FileFormatError, load_model
from torchkeras.saving.conversion import convert_file
from torchkeras.saving.inspection import inspect_file, report

L = keras.layers
WHOLE = ["m.keras", "m.h5", "m.safetensors", "folder/"]
WEIGHTS = ["w.weights.h5", "w.weights.json", "w.safetensors"]
X = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with one model in every format, and the model."""
    keras.utils.set_random_seed(0)
    inner = keras.Sequential([L.Input((4,)), L.Dense(3, name="deep")], name="inner")
    inputs = keras.Input((4,), name="x")
    outputs = L.Dense(2, activation="relu", name="last")(L.BatchNormalization()(inner(inputs)))
    model = keras.Model(inputs, outputs, name="whole")
    model.words = L.StringLookup(vocabulary=["a", "b"])
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    model.train_on_batch(X, X[:, :2])
    folder = tmp_path_factory.mktemp("made")
    model.save(folder / "m.keras")
    model.save(folder / "m.h5")
    model.save(folder / "m.safetensors")
    model.save(folder / "folder", zipped=False)
    model.save_weights(folder / "w.weights.h5")
    model.save_weights(folder / "w.safetensors")
    model.save_weights(folder / "w.weights.json", max_shard_size=2e-7)
    return folder, model


@pytest.mark.parametrize("name", WHOLE + WEIGHTS)
def test_contents(made, name):
    folder, model = made
    contents = inspect_file(folder / name)
    assert sorted(w.shape for w in contents.weights) == sorted(
        tuple(w.shape) for w in model.weights
    )
    assert {w.dtype for w in contents.weights} == {"float32"}
    assert sum(w.size_bytes for w in contents.weights) == sum(w.nbytes for w in model.weights)
    state = [] if name == "w.safetensors" else model.optimizer.variables
    assert len(contents.optimizer_weights) == len(state)
    if name in WEIGHTS:
        assert contents.model is None and contents.layers == []
        return
    assert contents.model == ("Functional", "whole")
    layers = [(layer.depth, layer.name, layer.class_name) for layer in contents.layers]
    assert (0, "last", "Dense") in layers and (1, "deep", "Dense") in layers
    assert contents.training["optimizer"] == "Adam" and contents.training["loss"] == "mse"
    if name == "folder/":
        assert contents.saved_by["keras_version"] == "3.15.1"


@pytest.mark.parametrize("name", WHOLE)
def test_report(made, name):
    folder, model = made
    lines = report(inspect_file(folder / name)).splitlines()
    (last,) = (line for line in lines if line.startswith("last "))
    assert last.split() == ["last", "Dense", "units=2,", "activation=relu", "8"]
    assert any(line.startswith("  deep ") for line in lines)
    assert any("model" in line and "Functional 'whole', 6 layers" in line for line in lines)
    assert all(len(line) <= 200 and line == line.rstrip() for line in lines)


def test_assets_are_listed(tmp_path):
    model = keras.Sequential([L.Input((1,), dtype="string"), L.StringLookup()])
    model.layers[0].adapt(np.array([["a"], ["b"]]))
    model.save(tmp_path / "m.keras")
    assert [name for name, _ in inspect_file(tmp_path / "m.keras").assets] != []
    assert "vocabulary" in report(inspect_file(tmp_path / "m.keras"))


def test_text_of_a_file_cannot_command_a_terminal(made, tmp_path):
    folder, _ = made
    with zipfile.ZipFile(folder / "m.keras") as source:
        config = json.loads(source.read("config.json"))
        config["config"]["name"] = "\x1b]0;owned\x07\n" + "x" * 1000
        config["config"]["layers"][1]["config"]["name"] = "\x1b[2J‮"
        with zipfile.ZipFile(tmp_path / "m.keras", "w") as target:
            target.writestr("config.json", json.dumps(config))
    text = report(inspect_file(tmp_path / "m.keras"))
    assert all(c.isprintable() or c == "\n" for c in text)
    assert max(map(len, text.splitlines())) < 200


def test_other_files_are_named(tmp_path, capsys):
    (tmp_path / "m.keras").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(FileFormatError, match="PNG"):
        inspect_file(tmp_path / "m.keras")
    assert main(["inspect", str(tmp_path / "m.keras")]) == 1
    shown = capsys.readouterr()
    assert shown.out == "" and "PNG" in shown.err and "Traceback" not in shown.err


# Converting --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("source", "target"), list(itertools.permutations(WHOLE, 2)))
def test_whole_models(made, tmp_path, source, target):
    folder, model = made
    end = {"folder/": "out/"}.get(target, target)
    convert_file(folder / source, f"{tmp_path}/{end}")
    loaded = load_model(f"{tmp_path}/{end}".rstrip("/"))
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    assert loaded.loss == "mse"
    for ours, theirs in zip(loaded.optimizer.variables, model.optimizer.variables, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("source", [*WHOLE[:1], *WEIGHTS])
@pytest.mark.parametrize("target", WEIGHTS)
def test_weights(made, tmp_path, source, target):
    folder, model = made
    convert_file(folder / source, tmp_path / target)
    fresh = keras.Model.from_config(model.get_config())
    if source != "w.safetensors":  # which has no optimizer
        fresh.compile("adam", "mse")
        fresh.optimizer.build(fresh.trainable_variables)
    fresh.load_weights(tmp_path / target)
    for ours, theirs in zip(fresh.weights, model.weights, strict=True):
        assert torch.equal(ours, theirs)
    if source != "w.safetensors":
        assert int(fresh.optimizer.iterations) == 1


def test_weights_alone_need_a_model_for_some_formats(made, tmp_path):
    folder, model = made
    for target in ("m.keras", "m.h5", "out/"):
        with pytest.raises(FileFormatError, match="--model"):
            convert_file(folder / "w.weights.h5", f"{tmp_path}/{target}")
    convert_file(folder / "w.weights.h5", tmp_path / "m.keras", model=folder / "m.h5")
    loaded = load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))


def test_without_the_optimizer(made, tmp_path):
    folder, _ = made
    for source, target in (
        ("m.keras", "m.h5"),
        ("m.h5", "a.weights.h5"),
        ("w.weights.h5", "b.weights.h5"),
    ):
        convert_file(folder / source, tmp_path / target, include_optimizer=False)
        assert inspect_file(tmp_path / target).optimizer_weights == []


def test_the_command(made, tmp_path, capsys, monkeypatch):
    folder, _ = made
    target = str(tmp_path / "m.safetensors")
    assert main(["convert", str(folder / "m.keras"), target]) == 0
    assert main(["convert", str(folder / "m.keras"), target]) == 1
    assert "--force" in capsys.readouterr().err
    assert main(["convert", str(folder / "m.keras"), target, "--force", "--no-optimizer"]) == 0
    assert main(["convert", str(folder / "m.keras"), str(tmp_path / "m.png")]) == 1
    assert "extension" in capsys.readouterr().err
    assert main(["inspect", target, str(folder / "m.h5")]) == 0
    assert capsys.readouterr().out.count("Functional 'whole'") == 2
    assert main(["convert", "--help"]) == 0
    assert "--import" in capsys.readouterr().out
    assert main(["inspect"]) == 2
