"""The runner of libraries' test suites: what it reads off pytest, and that its table is current."""

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


def test_table_is_current():
    assert not libraries.is_stale()
    for name, row in libraries.read().items():
        assert row["torchkeras"] >= row["Keras"], name
