"""Jobs of several processes: they train as one process does, and their faults are told.

All jobs run once, from one process that imports torch for all of them (`launch.py`).
"""

import csv
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from torchkeras.distribution import load_checkpoint
from torchkeras.models import load_model
from torchkeras.tree import flatten_with_path

HERE = Path(__file__).parent
# As in `launch.py`, which is imported by processes only that are forked.
ALL, FEW = "blocks files own_loss mixed", "blocks files"
PARTS = {"fully2": ALL, "fully4": "blocks", "1x2": FEW, "2x1": "blocks", "2x2": "blocks"}
FEW = "dense convolutional synchronized masked several_outputs unused one_row own_loop".split()
MORE = "own_step guided batch_by_batch sources watched".split()
CASES = [(2, name) for name in [*FEW, *MORE]]
CASES += [(4, name) for name in FEW]
# Of which one is killed. Starting four twice takes half a minute longer, so four are asked for:
#     TORCHKERAS_TEST_WORKERS=4 python -m pytest tests/distribution -k killed_worker
WORKERS = os.environ.get("TORCHKERAS_TEST_WORKERS", "2")
ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",  # sums come out the same bit for bit
    "PYTHONPATH": str(HERE.parents[1]),  # it need not be installed
    "TORCHKERAS_TIMEOUT_S": "120",
    "TORCHKERAS_TEST_WORKERS": WORKERS,
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


@pytest.mark.parametrize(
    ("cut", "name"),
    [(cut, name) for cut, names in PARTS.items() for name in names.split()],
)
def test_models_that_are_cut_train_as_whole_ones_do(jobs, cut, name):
    alone, together = (
        dict(flatten_with_path(json.loads((jobs / f / "parts_0.json").read_text())[name]))
        for f in ("alone1", cut)
    )
    assert alone.keys() == together.keys() and len(alone) > 10
    # A step of bfloat16 is 2**-8; results of batches are rounded to it.
    atol = 2**-6 if name == "mixed" else 1e-5
    np.testing.assert_allclose(
        list(together.values()), list(alone.values()), rtol=0, atol=atol, err_msg=name
    )


@pytest.mark.parametrize("cut", ["fully2", "1x2"])
def test_each_process_holds_a_part(jobs, cut):
    first, second = (json.loads((jobs / cut / f"parts_{rank}.json").read_text()) for rank in (0, 1))
    assert first["blocks"] == second["blocks"]
    kernel = [3, 8] if cut == "fully2" else [6, 4]
    held = first["held"]
    assert held["weights"][:2] == [kernel, [4]] and "ShardedVariable" in held["types"]
    assert held["slots"] == [shape for shape in held["weights"] for _ in range(2)]
    assert second["held"]["weights"][-1] == ([0] if cut == "fully2" else [1])
    if cut == "1x2":
        assert second["numbers"] == [[[2.0, 3.0], [6.0, 7.0]], [[0, 1, 2, 3], [4, 5, 6, 7]]]
    for name in ("Muon", "LossScaleOptimizer"):
        assert "AdamW" in first["refused"][name]
    assert "train with `fit`" in first["refused"]["own loop"]


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
        ("fewer batches", ["different numbers of batches", "'batches': 4", "'batches': 2"]),
        ("fewer rows", ["different numbers of batches or rows", "'rows': 8", "'rows': 7"]),
        ("another model", ["different models", "same script on the same data"]),
        ("shorter stream", ["ended before that of others", "ended_on_ranks: [1]"]),
        ("strange outputs", ["ValueError", "one row for each input"]),
        ("three devices", ["NotImplementedError", "has 3", "--nproc-per-node 3"]),
        ("hanging", ["waited for the other processes in vain: rank 1 did not come", "step"]),
    ],
)
def test_faults_are_told(jobs, name, parts):
    message = json.loads((jobs / "faults" / "messages_0.json").read_text())[name]
    assert all(part in message for part in parts), message


def test_a_mirrored_strategy_is_the_job(jobs):
    assert json.loads((jobs / "faults" / "messages_0.json").read_text())["replicas"] == 2


def test_one_process_reads_what_several_have_written(jobs):
    """Whole models from their files, and the parts that two have left as a checkpoint."""
    expected = json.loads((jobs / "alone1" / "parts_0.json").read_text())["files"]
    folder = jobs / "fully2"
    model = load_model(folder / "best.keras")
    assert type(model.layers[0]).__name__ == "Dense" and model.optimizer.iterations == 8
    found = [weight.ravel() for weight in load_model(folder / "model.safetensors").get_weights()]
    model.load_weights(folder / "model.weights.h5")
    for weight, other in zip(model.get_weights(), found, strict=True):
        np.testing.assert_array_equal(weight.ravel(), other)
    load_checkpoint(model, folder / "checkpoint")
    for weight, values in zip(model.get_weights(), expected["weights"], strict=True):
        np.testing.assert_allclose(weight.ravel()[:60], values, rtol=0, atol=1e-5)


def test_a_checkpoint_runs_no_code(jobs, tmp_path):
    model = load_model(jobs / "fully2" / "best.keras")
    (tmp_path / ".metadata").write_bytes(pickle.dumps(Path("x").exists))
    with pytest.raises(ValueError, match="not loaded: it holds builtins.getattr"):
        load_checkpoint(model, tmp_path)
    with pytest.raises(ValueError, match="no checkpoint: it has no file .metadata"):
        load_checkpoint(model, tmp_path / "elsewhere")
    model.pop()
    model.build()
    with pytest.raises(ValueError, match="checkpoint of another model"):
        load_checkpoint(model, jobs / "fully2" / "checkpoint")


@pytest.mark.parametrize("rank", [0, 1])
def test_parts_are_backed_up_and_come_back(jobs, rank):
    """After a SIGKILL in the middle of an epoch, bit for bit."""
    again, whole = (
        np.load(jobs / name / f"end_{rank}.npz") for name in ("killed_parts", "resumed_parts")
    )
    # The kernel, which reading gathers, and the parts of its two moments.
    shapes = [whole[name].shape for name in whole.files]
    assert shapes.count((4, 8)) == 1 and shapes.count((2, 8)) == 2
    for name in whole.files:
        np.testing.assert_array_equal(again[name], whole[name])


def test_a_killed_worker_comes_back_and_goes_on(jobs, tmp_path):
    command = ["-m", "torch.distributed.run", "--nproc-per-node", WORKERS, "--max-restarts", "1"]
    command += ["--monitor-interval", "0.1", "--rdzv-backend", "c10d"]
    command += ["--rdzv-endpoint", "localhost:0", "-m", "torchkeras", "run"]
    command += [str(HERE / "resumed.py"), str(tmp_path)]
    done = subprocess.run(
        [sys.executable, *command], env=ENVIRONMENT, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert "exitcode: -9" in done.stderr  # it was killed
    assert done.stdout.split() == ["started", "again", "23"]
    resumed, whole = (np.load(folder / "end_0.npz") for folder in (tmp_path, jobs / "resumed"))
    assert len(whole.files) == 24
    for name in whole.files:
        np.testing.assert_array_equal(resumed[name], whole[name])
