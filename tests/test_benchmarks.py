"""The benchmarks compare like with like."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import torchkeras

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def benchmarks(monkeypatch):
    """Import a file of the benchmarks by name."""
    monkeypatch.syspath_prepend(FOLDER)
    yield importlib.import_module
    for name in ("data", "engines", "harness", "models_keras", "models_torch", "ops"):
        sys.modules.pop(name, None)


# torch's recurrent layers have two bias vectors, of which Keras's LSTM has one and its GRU both.
MORE_IN_TORCH = {"lstm": 2 * 4 * 64}
NAMES = ["mlp", "cnn", "lstm", "gru", "transformer", "resnet", "embedding", "autoencoder"]


@pytest.mark.parametrize("name", NAMES)
def test_both_styles_are_the_same_model(benchmarks, name):
    case = benchmarks("data").CASES[name]
    by_hand = benchmarks("engines").HandWritten(name, torch.device("cpu"))
    keras_style = benchmarks("models_keras").build(torchkeras, name)
    assert by_hand.count_params() == keras_style.count_params() + MORE_IN_TORCH.get(name, 0)
    x, y = benchmarks("data").make_data(name, 1)
    assert x.shape == (case.batch_size, *case.shape)
    ours = keras_style.predict(x, batch_size=case.batch_size, verbose=0)
    assert ours.shape == by_hand.predict(x, case.batch_size).shape
    logs = by_hand.fit(x, y, case.batch_size, 1)
    assert np.isfinite(logs["loss"]) and 0 <= logs.get("accuracy", 0) <= 1


def test_one_measurement():
    command = [sys.executable, FOLDER / "engines.py", "torchkeras", "mlp", "--scale=0.01"]
    environment = {**os.environ, "PYTHONPATH": str(FOLDER.parent)}
    done = subprocess.run(
        [*command, "--repeats=1"], capture_output=True, text=True, check=True, env=environment
    )
    result = json.loads(done.stdout)
    assert result["fit_us"] > 0 and result["predict_us"] > 0
    assert result["params"] == 10_689


def test_ops_are_timed_beside_the_same_in_torch(benchmarks):
    table = benchmarks("ops").OPS
    assert len(table) > 30
    for name, (ours, theirs) in table.items():
        actual, expected = ours(torchkeras.ops), theirs()
        expected = list(expected) if name == "split" else expected
        torch.testing.assert_close(actual, expected, msg=lambda text, name=name: f"{name}: {text}")
