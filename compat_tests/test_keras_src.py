"""The inside of Keras: the table is the wheel's, every name can be had, and most of them work."""

import ast
import json
import subprocess
import sys

import numpy as np
import pytest

from compat_tests import keras_src, summary
from torchkeras.dropin import sources, testing


@pytest.fixture(scope="module")
def figures():
    command = [sys.executable, "-m", "compat_tests.keras_src", "--figures"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=summary.ROOT)
    return json.loads(done.stdout.splitlines()[-1])


def test_the_table_is_the_wheels():
    text = keras_src.render(keras_src.read_wheel(keras_src.wheel()))
    assert sources.TABLE.read_text(encoding="utf-8") == text, (
        "run `python -m compat_tests.keras_src --write`"
    )


def test_every_name_can_be_had(figures):
    modules, names, had, _ = figures["all"]
    assert modules == 493 and names > 8700
    assert had == names


def test_most_names_outside_of_other_engines_work(figures):
    modules, names, _, working = figures["without other engines"]
    assert modules < 493
    assert working / names >= 0.90


def read(source):
    names = keras_src._names(ast.parse(source))
    return {kind: found for kind, found in names.items() if found}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("class A: pass\ndef _f(): pass", {"classes": ["A"], "functions": ["_f"]}),
        ("A = B = 1\nC: int = 2\nD, E = 3, 4", {"constants": ["A", "B", "C", "D", "E"]}),
        ("import a.b\nimport c.d as e", {"imports": {"a": "a", "e": "c.d"}}),
        ("from a.b import c as d", {"imports": {"d": "a.b:c"}}),
        ("from a import *", {"stars": ["a"]}),
        ("try:\n import a\nexcept ImportError:\n a = None", {"imports": {"a": "a"}}),
        (
            "if x:\n from keras.src.backend.jax import f\n"
            "else:\n from keras.src.backend.torch import f",
            {"imports": {"f": "keras.src.backend.torch:f"}},
        ),
        (
            "if x:\n def f(): pass\nelse:\n from keras.src.backend.jax import f",
            {"functions": ["f"]},
        ),
        ("def f():\n g = 1\n import h", {"functions": ["f"]}),
    ],
)
def test_names_are_read_from_syntax(source, found):
    assert read(source) == found


def test_tests_are_left_out_and_stars_followed(tmp_path):
    files = {
        "__init__.py": "from keras.src.a import *",
        "a.py": "def f(): pass\ndef _g(): pass",
        "a_test.py": "def h(): pass",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert keras_src.read_wheel(tmp_path) == {
        "": {"imports": {"f": "keras.src.a:f"}},
        "a": {"functions": ["f", "_g"]},
    }


def test_what_is_wrong_is_told(tmp_path, monkeypatch):
    (tmp_path / "a.py").write_text(
        "class A: pass\ndef f(x, axis=-1): pass\ndef g(x): pass\ndef h(): pass\n"
        "def lost(): pass\nfrom keras.src.a import f as again"
    )
    module = type(sys)("a")
    module.A, module.f, module.again, module.g = 1, lambda x: 0, lambda x: 0, lambda x: 0
    module.h = keras_src.dropin.keras  # neither a function nor absent
    monkeypatch.setattr(keras_src, "_module", lambda path: module)
    assert keras_src.measure(keras_src.read_wheel(tmp_path), tmp_path) == {
        "a": {
            "A": "no classes",
            "f": "other parameters",
            "g": "",
            "h": "no functions",
            "lost": "missing",
            "again": "other parameters",
        }
    }


# keras.src.testing against Keras's ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ([], {"x": [1, 2], "y": ["A", None]}),
        (
            [[{"testcase_name": "one", "a": 1}, {"testcase_name": "two", "a": 2}]],
            {"b": [int, float]},
        ),
        ([[{"testcase_name": "p"}], [{"testcase_name": "q"}, {"testcase_name": "r"}]], {}),
    ],
)
def test_named_product_as_in_keras(args, kwargs):
    theirs = pytest.importorskip("keras.src.testing.test_utils")
    assert testing.named_product(*args, **kwargs) == list(theirs.named_product(*args, **kwargs))


def test_data_have_the_form_of_keras():
    theirs = pytest.importorskip("keras.src.testing.test_utils")
    ours = testing.get_test_data(12, 6, (2, 3), 3, random_seed=0)
    for (x, y), (other_x, other_y) in zip(
        ours, theirs.get_test_data(12, 6, (2, 3), 3, random_seed=0), strict=True
    ):
        assert x.shape == other_x.shape and x.dtype == other_x.dtype
        assert y.shape == other_y.shape and np.bincount(y).tolist() == np.bincount(other_y).tolist()


_PACKAGES = (
    "activations constraints dtype_policies initializers losses metrics optimizers quantizers"
    " regularizers"
).split()


@pytest.fixture(scope="module")
def tables():
    """The keys of our tables, from a process in which `keras` is replaced."""
    program = (
        "import importlib, json; from torchkeras import dropin; dropin.install('keras')\n"
        "def keys(p):\n"
        "    module = importlib.import_module(f'keras.src.{p}')\n"
        "    values = {getattr(v, '__name__', '') for v in module.ALL_OBJECTS}\n"
        "    pairs = {k: v.__name__ for k, v in module.ALL_OBJECTS_DICT.items()}\n"
        "    return sorted(values), pairs\n"
        f"print(json.dumps({{p: keys(p) for p in {_PACKAGES}}}))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=summary.ROOT)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("package", _PACKAGES)
def test_tables_of_objects_are_those_of_keras(tables, package):
    theirs = pytest.importorskip(f"keras.src.{package}")
    values, pairs = tables[package]
    assert values == sorted(v.__name__ for v in theirs.ALL_OBJECTS)
    assert pairs == {k: v.__name__ for k, v in theirs.ALL_OBJECTS_DICT.items()}
