"""The runner of Keras's suite and its ledger: completeness, states, and what a crash leaves."""

import json
import os

import pytest

from compat_tests import keras_suite, ledger
from compat_tests.keras_suite import _judge, _key, _Shard, _shards, _table
from compat_tests.ledger import Entry

pytestmark = pytest.mark.filterwarnings("default")  # of the processes, not of this one


def test_the_ledger_has_a_state_for_every_test_that_keras_passes():
    entries = list(ledger.read())
    assert len(entries) == len({entry.key for entry in entries}) == 11_202
    counts = ledger.totals(entries)
    assert {area: sum(states.values()) for area, states in counts.items()}["ops"] == 5_370
    assert all(entry.reason for entry in entries if entry.state == "excluded")
    assert sum(states["excluded"] for states in counts.values()) <= 0.03 * len(entries)


def test_writing_the_ledger_gives_back_what_was_read(tmp_path, monkeypatch):
    entries = list(ledger.read(["losses", "tree"]))
    entries.append(Entry("tree/other_test.py", "A.test", "excluded", "names another engine"))
    monkeypatch.setattr(ledger, "FOLDER", tmp_path / "ledger")
    ledger.write(entries, "3.15.1")
    assert ledger.areas() == ["losses", "tree"]
    assert sorted(ledger.read()) == sorted(entries)
    assert ledger.totals(ledger.read(["tree"]))["tree"]["excluded"] == 1


DEADLY = """
import os, time

def test_one():
    assert os.environ["KERAS_HOME"] == os.environ["TMPDIR"]

def test_two():
    os.kill(os.getpid(), 9)

def test_three():
    import keras
    assert keras.Model.__module__.startswith("torchkeras")
"""


def test_a_run_agrees_with_the_ledger_and_outlives_its_processes(tmp_path):
    entries = list(ledger.read(["constraints"]))
    deadly = tmp_path / "deadly_test.py"
    deadly.write_text(DEADLY)
    files = {"constraints/constraints_test.py": len(entries), str(deadly): 3}
    results = keras_suite.run(files, processes=1)
    verdicts = _judge(entries, results)
    assert all(passed == (entry.state == "pass") for entry, passed, _ in verdicts)
    assert _table(verdicts).splitlines()[-1].startswith("all ")
    found = {test: result for (_, test), result in results.items()}
    assert [found[f"test_{n}"][0] for n in ("one", "two", "three")] == [
        "passed",
        "failed",
        "passed",
    ]
    assert "status -9" in found["test_two"][1]


def test_what_stalls_is_stopped(tmp_path):
    order = {"log": str(tmp_path / "log"), "environment": {}, "out": str(tmp_path / "pipe")}
    os.mkfifo(order["out"])  # opening it waits for a reader
    with keras_suite._Servers() as servers:
        server = servers.find([])
        assert server.run(order | {"skip": "", "arguments": []}, limit=0.2) is None
        assert server.run(order | {"out": "no/such/folder"}, limit=60) == 70  # and goes on
    with pytest.raises(ChildProcessError, match="-9"):
        server.run(order, limit=1)


def test_ids_are_split_as_in_the_ledger():
    assert _key("ops/a_test.py::C::test_x_[1::2]") == ("ops/a_test.py", "C.test_x_[1::2]")
    assert _key("wrappers/sklearn_test.py::test_x") == ("wrappers/sklearn_test.py", "test_x")


def test_shards_hold_every_file_once_and_keep_folders_apart():
    weights = {"a/x_test.py": 90, "a/y_test.py": 90, "b/z_test.py": 1, "b/w_test.py": 1}
    assert _shards(weights) == [["a/x_test.py"], ["a/y_test.py"], ["b/w_test.py", "b/z_test.py"]]


def records(*lines):
    return [json.dumps(line) for line in lines]


def test_what_a_killed_process_leaves():
    shard = _Shard(["a_test.py"], [], 1)
    running = shard._read(
        records(
            {"start": "a_test.py::C::one"},
            {"test": "a_test.py::C::one", "outcome": "passed", "text": ""},
            {"start": "a_test.py::C::two"},
        )
    )
    assert running == "a_test.py::C::two"
    assert shard.results == {("a_test.py", "C.one"): ("passed", "")}
    assert shard._read(records({"file": "b_test.py", "error": "no such import"})) is None
    entries = [Entry("b_test.py", "C.one", "fail"), Entry("a_test.py", "C.three", "pass")]
    verdicts = _judge(entries, shard.results)
    assert [(ok, text) for _, ok, text in verdicts] == [
        (False, "no such import"),
        (False, "it was not found"),
    ]
