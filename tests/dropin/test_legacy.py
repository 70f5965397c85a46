"""Keras's `legacy.saving`: JSON of Keras 2, and `.h5` files by function."""

import enum
import json

import h5py
import numpy as np
import pytest

from torchkeras import Sequential, layers
from torchkeras.dropin import legacy


class Colour(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": (1, [2, (3,)])}, {"a": (1, [2, (3,)])}),
        (b"abc", b"abc"),
        ([Ellipsis], [Ellipsis]),
        ({"c": Colour.RED}, {"c": "red"}),
        (np.arange(3), [0, 1, 2]),
        (np.float32(0.5), 0.5),
        (len, "len"),
    ],
)
def test_values_come_back(value, expected):
    assert legacy.decode(legacy.Encoder().encode(value)) == expected


def test_objects_are_written_as_their_configs():
    written = json.loads(legacy.Encoder().encode(layers.Dense(2, name="d")))
    assert written["class_name"] == "Dense" and written["config"]["units"] == 2


def test_what_has_no_form():
    with pytest.raises(TypeError, match="Unable to serialize .* to JSON"):
        legacy.Encoder().encode(object())


def model():
    made = Sequential([layers.Dense(3, name="first"), layers.Dense(1, name="second")])
    made.build((None, 2))
    return made


def test_models_by_function(tmp_path, monkeypatch):
    first, x = model(), np.ones((2, 2), "float32")
    path = tmp_path / "new" / "m.h5"
    legacy.save_model_to_hdf5(first, path)
    second = legacy.load_model_from_hdf5(path, compile=False)
    np.testing.assert_array_equal(second.predict(x, verbose=0), first.predict(x, verbose=0))
    monkeypatch.setattr("builtins.input", lambda question: "n")
    before = path.read_bytes()
    legacy.save_model_to_hdf5(model(), path, overwrite=False)
    assert path.read_bytes() == before


def test_weights_in_an_open_group(tmp_path):
    first, second, third = model(), model(), model()
    with h5py.File(tmp_path / "w.h5", "w") as file:
        legacy.save_weights_to_hdf5_group(file.create_group("inner"), first)
    with h5py.File(tmp_path / "w.h5") as file:
        legacy.load_weights_from_hdf5_group(file["inner"], second)
        legacy.load_weights_from_hdf5_group_by_name(file["inner"], third)
    for loaded in (second, third):
        for a, b in zip(loaded.get_weights(), first.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
