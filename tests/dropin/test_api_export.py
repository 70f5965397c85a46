"""`keras.src.api_export`: names for objects, objects for names."""

import pytest

import torchkeras
from torchkeras.dropin import api_export


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(api_export, "REGISTERED_NAMES_TO_OBJS", {})
    monkeypatch.setattr(api_export, "REGISTERED_OBJS_TO_NAMES", {})


def test_the_decorator_registers_and_changes_nothing():
    class Mine:
        pass

    assert api_export.keras_export(["keras.layers.Mine", "keras.Mine"])(Mine) is Mine
    assert api_export.get_symbol_from_name("keras.layers.Mine") is Mine
    assert api_export.get_name_from_symbol(Mine) == "keras.layers.Mine"


def test_our_own_objects_need_no_registration():
    assert api_export.get_symbol_from_name("keras.ops.add") is torchkeras.ops.add
    assert api_export.get_symbol_from_name("keras.Model") is torchkeras.Model
    assert api_export.get_name_from_symbol(torchkeras.layers.Dense) == "keras.layers.Dense"


@pytest.mark.parametrize("name", ["keras.layers.Dens", "keras.nothing.Dense", "os.system", "Dense"])
def test_unknown_names_lead_to_nothing(name):
    assert api_export.get_symbol_from_name(name) is None


@pytest.mark.parametrize(
    "symbol", [int, [], 3, lambda x: x], ids=["class", "list", "int", "lambda"]
)
def test_unknown_objects_have_no_name(symbol):
    assert api_export.get_name_from_symbol(symbol) is None
