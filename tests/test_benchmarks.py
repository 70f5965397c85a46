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

ROOT = Path(__file__).parents[1]


@pytest.fixture
def benchmarks(monkeypatch):
    """Import a file of the benchmarks by name."""
    monkeypatch.syspath_prepend(ROOT)
    return lambda name: importlib.import_module(f"benchmarks.{name}")


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
    command = [sys.executable, "-m", "benchmarks.engines", "torchkeras", "mlp", "--scale=0.01"]
    done = subprocess.run(
        [*command, "--repeats=1"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    result = json.loads(done.stdout)
    assert all(result[f"{what}_us"] > 0 for what in ("fit", "evaluate", "predict", "small"))
    assert result["params"] == 10_689


def test_both_sides_take_turns(benchmarks):
    found = benchmarks("turns").compare("mlp", 0.0, 0.01)
    assert list(found) == list(benchmarks("turns").WAYS)
    assert all(time > 0 for times in found.values() for time in times)


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


def test_the_profile_finds_every_part_of_a_step(benchmarks, capsys):
    profile = benchmarks("profile")
    profile.main(["mlp", "--steps=4", "--repeats=1"])
    parts = profile.measure("mlp", 4, 1)
    for part in profile.PARTS:
        assert parts["us"][part] > 0 and parts["calls"][part] > 0, part
    for part in set(profile.PARTS) - {"logs"}:
        assert parts["operators"][part] > 0 and parts["operators_us"][part] > 0, part
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines[2:11]] == [
        f"| {part}" for part in (*profile.PARTS, "rest", "all of it")
    ]


def test_growth_is_measured_and_drawn(benchmarks, tmp_path):
    growth = benchmarks("growth")
    results = {}
    for name, series in growth.SERIES.items():
        small = series._replace(sizes=series.sizes[:2] if name != "dataset" else (50, 100))
        results[name] = growth.measure(small, quick=False)
        assert len(results[name]) == 2 and min(results[name]) > 0
    growth.draw(results, tmp_path / "growth.svg")
    assert (tmp_path / "growth.svg").read_text().startswith("<?xml")
    assert growth.slope([1, 2, 4, 8], [9.0, 9.0, 1.0, 4.0]) == 2.0
