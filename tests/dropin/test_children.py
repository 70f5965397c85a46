"""Processes that a program starts: Keras means in them what it means in the program."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from torchkeras import dropin
from torchkeras.dropin.children import tell_children
from torchkeras.dropin.children.sitecustomize import FOLDER, VARIABLE

ROOT = Path(__file__).parents[2]
PROGRAM = """
import multiprocessing, os, subprocess, sys

def home_of_dense(_):
    from keras import layers
    return layers.Dense.__module__

if __name__ == "__main__":
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            print(pool.map(home_of_dense, [0])[0])
    code = "import importlib.metadata as m; print(m.version('tensorflow'))"
    code += "; import tensorflow as tf; print(tf.keras.layers.Dense.__module__)"
    os.chdir("/")
    subprocess.run([sys.executable, "-c", code], check=True)
"""


@pytest.fixture
def clean(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv("PYTHONPATH", raising=False)


def child(code, **environment):
    environment = {**os.environ, **environment}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_workers_and_scripts_follow(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "-m", "torchkeras", "run", "program.py"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    homes = done.stdout.split()
    assert done.returncode == 0, done.stderr
    assert all(home == "torchkeras.layers.core" for home in [*homes[:2], homes[3]])
    assert len(homes) == 4 and homes[2].startswith("2.")


def test_only_what_is_replaced_and_not_before_it_is_asked_for(clean, tmp_path):
    (tmp_path / "keras.py").write_text("")
    (tmp_path / "tf_keras.py").write_text("")
    paths = os.pathsep.join([FOLDER, str(tmp_path)])
    code = "import sys, keras; print(keras.__file__, 'torch' in sys.modules)"
    assert child(code, PYTHONPATH=paths, **{VARIABLE: "tf_keras"}) == [
        str(tmp_path / "keras.py"),
        "False",
    ]


def test_where_there_is_no_pytorch_nothing_is_replaced(clean, tmp_path):
    (tmp_path / "keras.py").write_text("")
    paths = os.pathsep.join([FOLDER, str(tmp_path)])
    code = (
        "import sys; sys.path[:] = [p for p in sys.path if 'site-packages' not in p]; "
        "import keras; print(keras.__file__)"
    )
    assert child(code, PYTHONPATH=paths, **{VARIABLE: "keras"}) == [str(tmp_path / "keras.py")]


def test_another_sitecustomize_runs_too(clean, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import builtins; builtins.ran = True")
    paths = os.pathsep.join([FOLDER, str(tmp_path)])
    assert child("print(ran)", PYTHONPATH=paths, **{VARIABLE: "keras"}) == ["True"]


def test_the_environment_is_restored(clean, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "a")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        dropin.install("keras")
        assert os.environ[VARIABLE] == "keras"
        dropin.install("tf_keras")
    assert os.environ[VARIABLE] == os.pathsep.join(["keras", "tf_keras"])
    assert os.environ["PYTHONPATH"] == os.pathsep.join([FOLDER, "a"])
    dropin.uninstall()
    assert VARIABLE not in os.environ and os.environ["PYTHONPATH"] == "a"
    monkeypatch.delenv("PYTHONPATH")
    tell_children(())
    assert "PYTHONPATH" not in os.environ
