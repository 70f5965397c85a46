"""The benchmarks compare like with like."""

import importlib
import json
import logging
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
    for file in FOLDER.glob("*.py"):
        sys.modules.pop(file.stem, None)


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


def test_layers_are_timed_beside_their_equals_in_torch(benchmarks):
    module, cases = benchmarks("layers"), benchmarks("layer_cases").CASES
    assert len(cases) > 95
    for name, case in cases.items():
        engines = ["torchkeras", "torch"] if case.torch is not None else ["torchkeras"]
        sizes = set()
        for engine in engines:
            prepared = module.prepare(engine, case, case.shapes[0])
            sizes.add(module.first(prepared[0]()).numel())
            module.with_backward(*prepared)()
        assert len(sizes) == 1, name


@pytest.mark.parametrize("kind", ["keras", "weights.h5", "h5", "safetensors"])
def test_files_are_timed_beside_the_same_bytes_alone(benchmarks, tmp_path, kind):
    files = benchmarks("files")
    try:
        for side in files.SIDES:
            for step in files.STEPS:
                path = str(tmp_path / f"{side}.{kind}")
                seconds, extra = files.measure(side, kind, step, path, 1)
                assert 0 < seconds < 60 and 0 <= extra < 200e6
            assert 1e6 <= os.path.getsize(path) < 1.2e6
    finally:
        logging.disable(logging.NOTSET)
        sys.modules.pop("files", None)
