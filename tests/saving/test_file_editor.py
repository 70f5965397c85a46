"""`KerasFileEditor`: what it finds in files, changes and writes."""

import h5py
import numpy as np
import pytest
import torch

from torchkeras import Input, Model, Sequential, layers
from torchkeras.saving import FileFormatError, KerasFileEditor


def make(*names, nested=False):
    x = y = Input((2,))
    for name in names:
        y = layers.Dense(3, name=name)(y)
    if nested:
        y = Sequential([Input((3,)), layers.Dense(1), layers.BatchNormalization()])(y)
    return Model(x, y)


@pytest.fixture(params=["m.keras", "m.weights.h5"])
def saved(request, tmp_path):
    model = make("a", "b", nested=True)
    path = tmp_path / request.param
    if path.suffix == ".keras":
        model.save(path)
    else:
        model.save_weights(path)
    return model, path


def test_the_tree_of_a_file(saved, capsys):
    model, path = saved
    editor = KerasFileEditor(path)
    top = editor.weights_dict["layers"]
    assert set(top) == {"dense", "dense_1", "sequential"}
    np.testing.assert_array_equal(top["dense_1"]["1"], model.layers[2].bias.numpy())
    inner = top["sequential"]["layers"]
    assert {key: len(value) for key, value in inner.items()} == {
        "dense": 2,
        "batch_normalization": 4,
    }
    assert editor.object_metadata["layers/dense_1"] == {"name": "b"}
    assert (editor.config is None) == (editor.metadata is None) == (path.suffix != ".keras")
    assert f"Keras model file '{path}'" in capsys.readouterr().out
    editor.summary()
    out = capsys.readouterr().out
    assert "    dense_1 ('b')\n      0: shape=(3, 3), dtype=float32\n" in out
    assert "        batch_normalization" in out


def test_compare(saved, capsys):
    model, path = saved
    editor = KerasFileEditor(path)
    assert editor.compare(model) == {"status": "success", "error_count": 0, "match_count": 10}
    assert "Found 10 matching weights" in capsys.readouterr().out
    found = editor.compare(make("a", "b", "c", nested=True))
    assert found == {"status": "error", "error_count": 1, "match_count": 10}
    out = capsys.readouterr().out
    assert "Object layers/dense_2 present in reference model, missing from saved file" in out
    assert editor.compare(make("a", "b"))["error_count"] == 1
    editor.weights_dict["layers"]["dense"]["0"] = np.zeros((5, 3))
    editor.delete_weight("dense_1", "1")
    editor.add_object("layers/sequential/layers/extra", {"0": np.zeros(1)})
    assert editor.compare(model)["error_count"] == 3
    out = capsys.readouterr().out
    assert "Weight shape mismatch for layers/dense/0" in out and "shape=(5, 3)" in out
    assert "Weight layers/dense_1/1 present in reference model" in out
    assert "layers/sequential/layers/extra present in saved file" in out


def test_an_edited_file_fits_the_edited_model(saved, tmp_path):
    model, path = saved
    editor = KerasFileEditor(path)
    editor.rename_object("dense_1", "dense_2")
    editor.add_object("layers/dense_1", {"0": np.eye(3, dtype="float32")})
    editor.add_weights("layers/dense_1", {"1": torch.ones(3, dtype=torch.bfloat16)})
    editor.save(tmp_path / "new.weights.h5")
    target = make("a", "new", "b", nested=True)
    target.load_weights(tmp_path / "new.weights.h5")
    np.testing.assert_array_equal(target.get_layer("b").get_weights()[0], model.layers[2].kernel)
    np.testing.assert_array_equal(target.get_layer("new").get_weights()[1], np.ones(3))
    again = KerasFileEditor(tmp_path / "new.weights.h5")
    assert again.object_metadata["layers/dense_2"] == {"name": "b"}
    editor.delete_object("layers/sequential")
    editor.delete_object("layers/dense_1")
    editor.resave_weights(tmp_path / "new.weights.h5")
    assert set(KerasFileEditor(tmp_path / "new.weights.h5").weights_dict["layers"]) == {
        "dense",
        "dense_2",
    }


@pytest.mark.parametrize(
    ("action", "says"),
    [
        (lambda e: e.rename_object("dense_1", "a/b"), "leaf name"),
        (lambda e: e.rename_object("dence_1", "x"), "(?s)dence_1.*Did you mean 'dense_1'"),
        (lambda e: e.delete_object("dense"), "more than once.*"),
        (lambda e: e.delete_object("layers/nothing"), "layers/nothing"),
        (lambda e: e.delete_object("nothing/dense"), "'nothing' not found"),
        (lambda e: e.delete_weight("dense_1", "7"), r"Weight 7 not found.*\['0', '1'\]"),
        (lambda e: e.delete_weight("layers/dense/0", "7"), "is a weight"),
        (lambda e: e.add_object("nowhere/dense", {}), "'nowhere' not found"),
        (lambda e: e.add_object("dense_9", [1]), "should be a dict"),
        (lambda e: e.add_weights("dense_1", {"2": 3}), "should be a dict"),
        (lambda e: e.save("x.keras"), ".weights.h5"),
    ],
)
def test_mistakes(saved, action, says):
    editor = KerasFileEditor(saved[1])
    with pytest.raises(ValueError, match=says):
        action(editor)


def test_other_files(tmp_path):
    with pytest.raises(ValueError, match="expected a `.keras`"):
        KerasFileEditor("model.h5")
    (tmp_path / "m.weights.h5").write_bytes(b"nothing")
    with pytest.raises(FileFormatError, match=r"m\.weights\.h5"):
        KerasFileEditor(tmp_path / "m.weights.h5")


def test_groups_that_contain_each_other(tmp_path):
    path = tmp_path / "m.weights.h5"
    with h5py.File(path, "w") as file:
        file["layers/dense/layers"] = file["/"]["layers"] if "layers" in file else file
    with pytest.raises(FileFormatError, match="hard link"):
        KerasFileEditor(path)
