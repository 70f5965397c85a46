"""Every row of the legacy surface holds, and the document shows them all."""

import importlib
import inspect

import pytest

import torchkeras
from torchkeras import dropin
from torchkeras.dropin.keras2 import names, objects, table
from torchkeras.dropin.keras2.calls import is_alias, translate
from torchkeras.dropin.keras2.names import CALLS, MODULES, NAMES, Met, Refused
from torchkeras.saving.legacy_training import constructor_parameters

REFUSED = [path for path, entry in NAMES.items() if isinstance(entry, Refused)]
MET = [path for path, entry in NAMES.items() if isinstance(entry, Met)]
MEMBERS = [(cls, name) for cls, names_ in objects.OBJECTS.items() for name in names_]
NO_MEMBERS = [(cls, name) for cls, names_ in objects.REFUSED_MEMBERS.items() for name in names_]


def look_up(root, path):
    found = importlib.import_module(root)
    for part in path.split("."):
        found = getattr(found, part)
    return found


def test_the_document_shows_all_rows(tmp_path):
    text = table._FILE.read_text()
    copy = tmp_path / "legacy.md"
    copy.write_text(text)
    table.main(copy)
    assert copy.read_text() == text, "run `python -m torchkeras.dropin.keras2.table`"
    assert all(f"`{row.name}`" in text for row in table.rows())


@pytest.mark.parametrize("root", ["tf_keras", "tensorflow.keras"])
def test_names_that_are_refused_say_what_to_use(root):
    for path in REFUSED:
        with pytest.raises(AttributeError, match="is not provided") as raised:
            look_up(root, path)
        assert NAMES[path].fix in str(raised.value) and path in str(raised.value)


@pytest.mark.parametrize("root", ["tf_keras", "tensorflow.keras"])
def test_names_that_are_met_are_there(root):
    for path in MET:
        entry = NAMES[path]
        found, meant = look_up(root, path), names.find(entry)
        if root == "tf_keras" or not entry.instead:
            assert inspect.unwrap(found) is meant or found == meant
        else:
            assert found is not meant


def test_modules_are_there():
    for path, ours in MODULES.items():
        for root in ("tf_keras", "tensorflow.keras", "tensorflow.python.keras"):
            module = importlib.import_module(f"{root}.{path}")
            shown = importlib.import_module(f"torchkeras.{ours}")
            assert set(shown.__all__) <= set(dir(module))


def test_keras_has_none_of_it():
    keras = importlib.import_module("keras")
    for path in MET:
        if NAMES[path].instead or path in ("callbacks.ModelCheckpoint", *LEGACY_WARNINGS):
            continue
        try:
            look_up("keras", path)
        except (AttributeError, ImportError):
            continue
        raise AssertionError(path)
    assert keras.activations.hard_sigmoid is torchkeras.activations.hard_sigmoid
    for name in LEGACY_WARNINGS:
        with pytest.raises(ImportError):
            look_up("keras", name)()


_OPTIMIZERS = ("SGD", "Adagrad", "Adam", "Ftrl", "Optimizer", "RMSprop")
LEGACY_WARNINGS = [f"optimizers.legacy.{name}" for name in _OPTIMIZERS]


def _real(path):
    found = look_up("tf_keras", path)
    if is_alias(found):
        return found._real
    return inspect.unwrap(found)


def _accepted(real):
    if inspect.isclass(real):
        known = set(constructor_parameters(real)) | {
            "batch_input_shape",
            "input_shape",
            "input_dim",
        }
        return known | set(inspect.signature(real).parameters)
    return set(inspect.signature(real).parameters)


@pytest.mark.parametrize("path", CALLS)
def test_calls(path):
    old, real = CALLS[path], _real(path)
    accepted, value = _accepted(real) | {"period"}, object()
    plain = old._replace(convert=None)
    for key, today in old.renamed.items():
        assert translate(plain, real, "f", (), {key: value}, False)[1] == {today: value}
        assert today in accepted or "kwargs" in accepted
        with pytest.raises(TypeError, match=key):
            translate(plain, real, "f", (), {key: 1, today: 2}, False)
    for key in old.ignored:
        assert translate(plain, real, "f", (), {key: value}, False)[1] == {}
    for key, fine in old.only.items():
        for harmless in fine:
            assert translate(plain, real, "f", (), {key: harmless}, False)[1] == {}
        with pytest.raises(ValueError, match=key):
            translate(plain, real, "f", (), {key: "another"}, False)
    assert translate(plain, real, "f", (), {}, True)[1] == dict(old.defaults)
    assert translate(plain, real, "f", (), {}, False)[1] == {}
    order = [name for name in old.order.split() if name not in old.only]
    if order:
        values = {name: [i] for i, name in enumerate(old.order.split())}
        values |= {name: fine[0] for name, fine in old.only.items() if name in values}
        args, kwargs = translate(plain, real, "f", tuple(values.values()), {}, True)
        assert not args and set(kwargs) - set(old.defaults) <= accepted | {"kwargs", *order}
        for name in set(order) - set(old.ignored):
            assert kwargs[old.renamed.get(name, name)] == values[name]


def test_members_are_there_and_go():
    before = {(cls, name): inspect.getattr_static(cls, name, None) for cls, name in MEMBERS}
    importlib.import_module("tf_keras")
    now = {(cls, name): inspect.getattr_static(cls, name, None) for cls, name in MEMBERS}
    assert all(now.values())
    assert [key for key in now if now[key] is before[key]] == []
    dropin.uninstall()
    after = {(cls, name): inspect.getattr_static(cls, name, None) for cls, name in MEMBERS}
    assert after == before


def test_members_that_are_refused_say_what_to_use(old):
    made = {
        "Layer": old.layers.Dense(1),
        "Model": old.Sequential(),
        "Optimizer": old.optimizers.SGD(),
        "Metric": old.metrics.Mean(),
        "Normalization": old.layers.Normalization(),
        "Reduction": old.losses.Reduction(),
        "CallbackList": old.callbacks.CallbackList(),
    }
    for cls, name in NO_MEMBERS:
        fix = objects.REFUSED_MEMBERS[cls][name]
        if hasattr(made[cls.__name__], name):
            raise AssertionError(name)
        with pytest.raises(AttributeError) as raised:
            getattr(made[cls.__name__], name)
        assert fix in str(raised.value)
