"""Jobs of several processes: they train as one process does, and their faults are told.

All jobs run once, from one process that imports torch for all of them (`launch.py`).
"""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from torchkeras.models import load_model
from torchkeras.tree import flatten_with_path

HERE = Path(__file__).parent
FEW = "dense convolutional synchronized masked several_outputs unused".split()
CASES = [(2, name) for name in [*FEW, "own_step", "batch_by_batch", "sources", "watched"]]
CASES += [(4, name) for name in FEW]
ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",  # sums come out the same bit for bit
    "PYTHONPATH": str(HERE.parents[1]),  # it need not be installed
    "TORCHKERAS_TIMEOUT_S": "120",
}


@pytest.fixture(scope="session")
def jobs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jobs")
    command = [sys.executable, str(HERE / "launch.py"), str(folder)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    statuses = json.loads((folder / "statuses.json").read_text())
    errors = {file.name: file.read_text()[-2000:] for file in folder.glob("*/err_*")}
    assert not any(map(any, statuses.values())), (statuses, errors)
    return folder


def result(jobs, size, rank=0):
    return json.loads((jobs / str(size) / f"result_{rank}.json").read_text())


@pytest.mark.parametrize(("size", "name"), CASES)
def test_several_processes_train_as_one_does(jobs, size, name):
    alone, together = (dict(flatten_with_path(result(jobs, n)[name])) for n in (1, size))
    assert alone.keys() == together.keys() and len(alone) > 10
    np.testing.assert_allclose(
        list(together.values()), list(alone.values()), rtol=0, atol=1e-5, err_msg=name
    )


@pytest.mark.parametrize("size", [2, 4])
def test_all_processes_come_to_the_same(jobs, size):
    first = result(jobs, size)
    for rank in range(1, size):
        assert result(jobs, size, rank) == first  # random states and statistics too, to the bit
    assert first["devices"] == [f"cpu:{i}" for i in range(size)]
    assert first["replicas"] == size
    assert len(set(map(tuple, first["apart"]["masks"]))) > 1
    # What is random by row is another thing in each process, so the losses are not those of one.
    assert abs(first["apart"]["loss"][0] - result(jobs, 1)["apart"]["loss"][0]) > 1e-3


def test_a_dataset_is_read_once(jobs, size=2):
    files = sorted((jobs / str(size)).glob("read_*.json"))
    read = [json.loads(file.read_text()) for file in files]
    # 22 rows twice, and those of the first batch to build the model with.
    assert len(read) == size and sum(map(len, read)) == 2 * 22 + 6
    assert set().union(*read) == set(range(22))


@pytest.mark.parametrize("size", [1, 2])
def test_one_process_prints_and_writes(jobs, size):
    printed = [(jobs / str(size) / f"out_{rank}").read_text() for rank in range(size)]
    assert printed[0].count("watched") == 6 and printed[0].count("Epoch") == 2
    assert not any(printed[1:])
    assert not any((jobs / str(size) / f"err_{rank}").read_text() for rank in range(1, size))
    with open(jobs / str(size) / "written" / "log.csv") as file:
        assert len(list(csv.reader(file))) == 3


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("fewer batches", ["different numbers of batches", "rank_0: 4", "rank_1: 2"]),
        ("another model", ["different models", "same script on the same data"]),
        ("shorter stream", ["ended before that of others", "ended_on_ranks: [1]"]),
        ("strange outputs", ["ValueError", "one row for each input"]),
        ("three devices", ["NotImplementedError", "has 3", "--nproc-per-node 3"]),
        ("own loop", ["Strategy.run", "train with `fit`"]),
        ("hanging", ["waited for the other processes in vain: rank 1 did not come", "step"]),
    ],
)
def test_faults_are_told(jobs, name, parts):
    message = json.loads((jobs / "faults" / "messages_0.json").read_text())[name]
    assert all(part in message for part in parts), message


def test_a_mirrored_strategy_is_the_job(jobs):
    assert json.loads((jobs / "faults" / "messages_0.json").read_text())["replicas"] == 2


def test_a_sharded_model_becomes_one_file(jobs):
    first, second = (
        json.loads((jobs / "sharded" / f"found_{rank}.json").read_text()) for rank in (0, 1)
    )
    assert first["local"] == [[3, 8], [4], [4, 2], [1]] and second["local"][0] == [2, 8]
    assert second["part"] == [[2.0, 3.0], [6.0, 7.0]]
    assert first["whole"] == list(range(8))
    model = load_model(jobs / "sharded" / "model.keras")
    predicted = model(np.array(first["x"], "float32")).tolist()
    np.testing.assert_allclose(predicted, first["alone"], rtol=0, atol=1e-5)


def test_a_killed_worker_comes_back_and_goes_on(jobs, tmp_path):
    command = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--max-restarts", "1"]
    command += ["--monitor-interval", "0.1", "--rdzv-backend", "c10d"]
    command += ["--rdzv-endpoint", "localhost:0", "-m", "torchkeras", "run"]
    command += [str(HERE / "resumed.py"), str(tmp_path)]
    done = subprocess.run(
        [sys.executable, *command], env=ENVIRONMENT, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert "exitcode: -9" in done.stderr  # it was killed
    assert done.stdout.split() == ["started", "again", "23"]
    resumed, whole = (np.load(folder / "end.npz") for folder in (tmp_path, jobs / "resumed"))
    assert len(whole.files) == 24
    for name in whole.files:
        np.testing.assert_array_equal(resumed[name], whole[name])
