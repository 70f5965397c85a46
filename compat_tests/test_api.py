"""The API table: that it is up to date, and that it sees what differs."""

import sys
from types import ModuleType

import pytest

from compat_tests import api, summary


@pytest.fixture(scope="module")
def measured():
    return api.document()


def test_files_are_up_to_date(measured):
    assert api.stale_files(measured[0]) == [], "run `python -m compat_tests.api`"


def test_every_public_name_of_keras_is_counted(measured):
    assert api.total(measured[1]).figures["names"][1] == 1439
    paths = [part.path for part in measured[1]]
    assert len(paths) == len(set(paths)) and {"", "ops.nn", "legacy.saving"} <= set(paths)
    assert not any(path.startswith(("src", "_")) for path in paths)


def test_signatures_agree(measured):
    assert api.total(measured[1]).figures["signatures"][0] > 0
    differing = {n: d for n, d in api.total(measured[1]).signatures.items() if d}
    assert differing == {}


# Comparing ----------------------------------------------------------------------------------------


def plain(x, axis=-1, *, name=None):
    pass


@pytest.mark.parametrize(
    ("ours", "expected"),
    [
        (lambda x, axis=-1, *, name=None: 0, []),
        (lambda x, axis=-1, name=None: 0, []),
        (lambda x, axis=-1, name=None, out=None: 0, []),
        (lambda x, axis=-1, name=None, **kwargs: 0, []),
        (lambda x, axis=-1, name=None, *, out: 0, ["`out` is required"]),
        (lambda x, axis=1, name=None: 0, ["`axis` is 1 by default, expected -1"]),
        (lambda x, axis=None, name="a": 0, 2),
        (lambda x, axis, name=None: 0, ["`axis` is required by default, expected -1"]),
        (lambda x, *, axis=-1, name=None: 0, ["`axis` is keyword-only"]),
        (lambda x, /, axis=-1, name=None: 0, ["`x` is positional-only"]),
        (lambda x, axis=-1: 0, ["lacks `name`"]),
        (lambda x: 0, ["lacks `axis`", "lacks `name`"]),
        (lambda x, out=None, axis=-1, name=None: 0, ["parameter 2 is `out`, expected `axis`"]),
        (lambda *args, **kwargs: 0, 3),
    ],
)
def test_compare_signatures(ours, expected):
    found = api.compare_signatures(plain, ours)
    assert (len(found) if isinstance(expected, int) else found) == expected


def test_variadic_parameters_are_needed():
    def theirs(*args, **kwargs):
        pass

    assert api.compare_signatures(theirs, lambda *xs, **options: 0) == []
    assert api.compare_signatures(theirs, lambda x=0: 0) == ["lacks `*args`", "lacks `**kwargs`"]


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (1, 1, True),
        (1.0, 1, True),
        (True, 1, False),
        (0, None, False),
        ("same", "valid", False),
        ((1, 1), (1, 1), True),
        ([1], (1,), False),
        (float("nan"), float("nan"), True),
        (len, len, True),
        (object(), object(), True),  # markers of two libraries
    ],
)
def test_defaults(a, b, same):
    def theirs(x=a):
        pass

    def ours(x=b):
        pass

    assert (api.compare_signatures(theirs, ours) == []) is same


def test_constructors():
    class Plain:
        pass

    class Made:
        def __init__(self, units, name=None):
            pass

    class New:
        def __new__(cls, units, name=None):
            return super().__new__(cls)

        def __init__(self, *args, **kwargs):
            pass

    assert api.compare_signatures(Made, New) == api.compare_signatures(Plain, Plain) == []
    assert api.compare_signatures(Made, Plain) == ["lacks `units`", "lacks `name`"]
    assert api.compare_signatures(Plain, Made) == ["`units` is required"]


# Walking ------------------------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write two small libraries, `fake_keras` and `fake_ours`, and forget them afterwards."""
    files = {
        "fake_keras/__init__.py": """
import os
from fake_keras.src import Layer
limit = 3
_hidden = 1
""",
        "fake_keras/src.py": """
class Operation:
    def quantize(self): pass
    def _private(self): pass
class Layer(Operation):
    def __init__(self, name=None): pass
    def build(self, shape): pass
    @classmethod
    def from_config(cls, config): pass
class Dense(Layer):
    def __init__(self, units): pass
    def call(self, x): pass
def gone(): pass
""",
        "fake_keras/layers/__init__.py": "from fake_keras.src import Dense, Layer, gone\n",
        "fake_keras/layers/deep.py": "def f(x): pass\n",
        "fake_ours/__init__.py": "from fake_ours.layers import Layer\ndef limit(): pass\n",
        "fake_ours/layers.py": """
class Layer:
    def __init__(self, name="layer"): pass
    def build(self, input_shape): pass
    def from_config(self, config): pass
    def call(self, x): pass
class Dense(Layer):
    def __init__(self, units, bias=True): pass
""",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    import fake_keras

    yield fake_keras
    for name in list(sys.modules):
        if name.startswith(("fake_keras", "fake_ours")):
            del sys.modules[name]


def test_measure_finds_what_is_missing_and_what_differs(package):
    parts = {part.path: part for part in api.measure(package, "fake_ours")}
    assert list(parts) == ["", "layers", "layers.deep"]
    assert parts[""].names == ["Layer", "limit"]
    assert parts[""].missing == {"limit": "a function instead of a constant"}
    assert parts["layers"].missing == {"gone": ""}
    assert parts["layers.deep"].missing == {"f": ""}
    wrong = ["`name` is 'layer' by default, expected None"]
    assert parts["layers"].signatures == {"Dense": [], "Layer": wrong}
    assert parts["layers"].methods == {
        "Dense.call": [],
        "Layer.build": ["parameter 1 is `input_shape`, expected `shape`"],
        "Layer.from_config": [],
        "Layer.quantize": ["missing"],
    }
    assert api.total(list(parts.values())).figures == {
        "names": (3, 6),
        "signatures": (1, 3),
        "methods": (3, 7),
    }


def test_render_lists_them(package):
    text = api.render(api.measure(package, "fake_ours"), "9.9")
    assert "| `keras.layers` | 2/3 | 1/2 | 2/4 |" in text
    assert "| **all** | 3/6 | 1/3 | 3/7 |" in text
    assert "- `limit`: a function instead of a constant" in text
    assert "- `Layer`: `name` is 'layer' by default, expected None" in text
    assert text == api.render(api.measure(package, "fake_ours"), "9.9")


def test_the_kind_of_a_name():
    module = ModuleType("m")
    kinds = [api.kind(x) for x in (module, int, len, "x", 3)]
    assert kinds == ["module", "class", "function", "constant", "constant"]


# The block of the README --------------------------------------------------------------------------

README = "# Title\n\nThe first\nparagraph.\n\n## Set up\n\nText.\n"


def test_the_block_is_put_below_the_first_paragraph_and_then_replaced():
    block = summary.block("1/2", "3/4", "5/6", "7/7")
    once = summary.updated(README, block)
    assert once == README.replace("paragraph.\n\n", f"paragraph.\n\n{block}\n\n")
    other = summary.block("2/2", "3/4", "5/6", "7/7")
    assert summary.updated(once, other) == once.replace("[1/2]", "[2/2]")
    assert summary.updated(once, block) == once
    with pytest.raises(ValueError, match="only one"):
        summary.updated(once.replace(summary.END, ""), block)


def test_figures_come_from_the_files(tmp_path):
    table = tmp_path / "table.md"
    assert summary.api_figures(table) == ("not measured", "not measured")
    table.write_text("| `keras` | 1/2 | 1/1 | 0/1 |\n| **all** | 1234/1439 | 1111/1234 | 0/1 |\n")
    assert summary.api_figures(table) == ("1,234/1,439", "1,111/1,234")
    assert summary.scripts_figure(tmp_path) == "not measured"
    for name in ("mnist.py", "gan.py", "_shared.py", "test_scripts.py", "data.csv"):
        (tmp_path / name).touch()
    assert summary.scripts_figure(tmp_path) == "2/2"


def test_the_suite_counts_excluded_tests_as_not_passed(tmp_path, monkeypatch):
    monkeypatch.setattr(summary.ledger, "FOLDER", tmp_path)
    assert summary.suite_figure() == "not measured"
    entry = summary.ledger.Entry
    states = ["pass", "pass", "fail"]
    entries = [entry("ops/a_test.py", f"T.t{i}", state) for i, state in enumerate(states)]
    entries.append(entry("layers/b_test.py", "T.t", "excluded", "needs JAX"))
    summary.ledger.write(entries, "9.9")
    assert summary.suite_figure() == "2/4"
