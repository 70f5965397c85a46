"""The runner of libraries' test suites: what it reads off pytest, and that its table is current."""

import re
import shutil

import pytest

from compat_tests import libraries

PRINTED = """\
tests/test_a.py::test_one PASSED                         [ 25%]
tests/test_a.py::test_one ERROR                          [ 25%]
tests/test_a.py::test_two[f at 0x7f00aabbccdd] PASSED    [ 50%]
tests/test_a.py::C::test_three[a b] SKIPPED (no file)    [ 75%]
tests/test_a.py::test_four FAILED                        [100%]
ERROR tests/test_b.py - ModuleNotFoundError: No module named 'b'
"""


def test_outcomes_and_comparison():
    found = libraries.outcomes(PRINTED)
    assert found == {
        "tests/test_b.py": "ERROR",
        "tests/test_a.py::test_one": "ERROR",
        "tests/test_a.py::test_two[f at 0x]": "PASSED",
        "tests/test_a.py::C::test_three[a b]": "SKIPPED",
        "tests/test_a.py::test_four": "FAILED",
    }
    other = {**found, "tests/test_a.py::test_four": "PASSED"}
    row = libraries.compare({"torchkeras": other, "Keras": found})
    assert row == {
        "tests": 4,
        "torchkeras": 2,
        "Keras": 1,
        "only torchkeras": ["tests/test_a.py::test_four"],
        "only Keras": [],
    }


def test_a_suite_runs_on_torchkeras(tmp_path):
    code = "from keras import layers\nfrom keras.src.testing import TestCase\n\n\n"
    code += "class Weights(TestCase):\n    def test_weight(self):\n"
    code += "        layer = layers.Dense(1)\n        layer.build((None, 1))\n"
    code += "        assert layer.kernel.requires_grad and 'torchkeras' in str(type(layer))\n"
    (tmp_path / "test_it.py").write_text(code)
    printed, ended = libraries.run("torchkeras", tmp_path, [], 300)
    assert ended, printed
    assert libraries.outcomes(printed)["test_it.py::Weights::test_weight"] == "PASSED", printed


def test_tests_are_taken_from_beside_their_package(tmp_path):
    engine = tmp_path / "wheel" / "tuner" / "engine"
    engine.mkdir(parents=True)
    (engine / "engine.py").write_text("x = 1\n")
    (engine / "engine_test.py").write_text("from tuner import errors\nfrom tuner.engine import e\n")
    suite = libraries.only_tests(
        tmp_path / "wheel",
        tmp_path / "suite",
        ["tuner/**/*_test.py"],
        {"^from tuner import (?=errors$)": "from tuner.src import ", r"tuner\.engine": "tuner.e"},
    )
    (copy,) = (file for file in suite.rglob("*") if file.is_file())
    assert copy == tmp_path / "suite" / "engine" / "engine_test.py"
    assert copy.read_text() == "from tuner.src import errors\nfrom tuner.e import e\n"


@pytest.mark.parametrize("form", ["sdist", "wheel"])
def test_archives_are_unpacked(tmp_path, monkeypatch, form):
    (tmp_path / "lib-1.0" / "lib").mkdir(parents=True)
    (tmp_path / "lib-1.0" / "lib" / "lib_test.py").touch()

    def download(command, check):
        assert command[-1] == "lib==1.0" and check
        folder = command[command.index("--dest") + 1]
        if form == "sdist":
            shutil.make_archive(f"{folder}/lib-1.0", "gztar", tmp_path, "lib-1.0")
        else:
            name = shutil.make_archive(f"{folder}/lib-1.0", "zip", tmp_path / "lib-1.0", "lib")
            shutil.move(name, f"{folder}/lib-1.0-py3-none-any.whl")

    monkeypatch.setattr(libraries.subprocess, "run", download)
    folder = tmp_path / "archive"
    folder.mkdir()
    assert (libraries.fetch("lib==1.0", form, folder) / "lib" / "lib_test.py").exists()


def test_a_suite_that_no_archive_has_needs_a_clone(capsys):
    with pytest.raises(SystemExit):
        libraries.main(["keras-rs"])
    assert "--source keras-rs=CLONE" in capsys.readouterr().err


def test_rows_say_how_they_are_had():
    for name, row in libraries.read().items():
        assert ("archive" in row) != ("repository" in row), name
        for pattern in row.get("replace", {}):
            re.compile(pattern)


def test_table_is_current():
    assert not libraries.is_stale()
    for name, row in libraries.read().items():
        assert row["torchkeras"] >= row["Keras"], name
