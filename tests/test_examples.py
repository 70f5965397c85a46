"""The examples and the README's code run, as a newcomer would start them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
DOCUMENTS = ROOT.parent / "shared" / "seed"


def run(*arguments, cwd):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("name", "epochs", "accuracy"),
    [
        ("digits", 15, 0.98),
        ("breast_cancer", 20, 0.9),
        ("text_lstm", 3, 0.9),
        ("custom_train_step", 3, 0.5),
        ("pytorch_loop", 6, 0.95),
    ],
)
def test_example(name, epochs, accuracy, tmp_path):
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    output = run(EXAMPLES / f"{name}.py", "--epochs", epochs, "--output", tmp_path, cwd=tmp_path)
    reached = re.search(r"^Held-out .*?accuracy[^:]*: ([0-9.]+)", output, re.MULTILINE)
    assert reached and float(reached[1]) >= accuracy
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory):
    """The tutorial's output and the folder it wrote its files to."""
    folder = tmp_path_factory.mktemp("tutorial")
    return run("-m", "torchkeras", "run", EXAMPLES / "tutorial.py", cwd=folder), folder


def test_tutorial_shows_the_models(tutorial):
    output, _ = tutorial
    assert output.count("Total params: 10,689") == 2
    for layer in ("dense (Dense)", "dropout (Dropout)", "input_layer"):
        assert layer in output


def test_tutorial_trains_and_evaluates(tutorial):
    output, _ = tutorial
    assert "Epoch 10/10" in output and "Epoch 1/20" in output
    # 800 samples in batches of 32 train, 200 are tested
    assert re.search(r"25/25.*accuracy: 0\.\d+ - loss: 0\.\d+ - val_accuracy: ", output)
    assert re.search(r"Test loss: 0\.\d+, Test accuracy: 0\.\d+", output)
    assert re.search(r"\[\[[01]\]\n \[[01]\]", output)


def test_tutorial_s_callbacks_speak(tutorial):
    output, _ = tutorial
    assert "Epoch 1: val_loss improved from " in output
    assert "saving model to best_model.h5" in output


def test_tutorial_s_model_is_loaded_as_it_was(tutorial):
    import torchkeras

    _, folder = tutorial
    x = np.random.default_rng(0).random((5, 100))
    for name in ("best_model.h5", "my_model.h5"):
        model = torchkeras.models.load_model(folder / name)
        assert model.count_params() == 10_689
        assert model.predict(x, verbose=0).shape == (5, 1)


@pytest.mark.skipif(not DOCUMENTS.is_dir(), reason="the document is not beside this checkout")
def test_tutorial_is_the_document_word_for_word():
    blocks = [
        block
        for path in sorted(DOCUMENTS.iterdir())
        for block in re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL)
    ]
    assert len(blocks) == 8
    assert (EXAMPLES / "tutorial.py").read_text() == "\n".join(blocks)


def test_readme_has_two_set_up_commands_and_code_that_runs(tmp_path, monkeypatch):
    text = (ROOT / "README.md").read_text()
    assert len(re.findall(r"^python3 -m venv ", text, re.MULTILINE)) == 2
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    exec(code, {"x": rng.random((64, 100)), "y": rng.integers(0, 2, (64, 1))})
    assert (tmp_path / "model.pt").exists()
