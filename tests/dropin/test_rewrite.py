"""`torchkeras convert script.py`: imports rewritten, all else as it was."""

import json

import pytest

from torchkeras.cli import main
from torchkeras.dropin import rewrite

SCRIPT = '''"""A script."""
import os, keras  # both
import tensorflow as tf
import tensorflow.keras.layers as L
from tensorflow import keras as K, random   # split
from tensorflow.keras.models import (
    Sequential,  # the model
    load_model,
)
from keras import ops
from keras.src.backend.common.nothing import Odd

model = Sequential([L.Dense(2), keras.layers.Dense(1)])


def loss(y, p):
    from keras.losses import mean_squared_error as mse  # local

    return tf.reduce_mean(mse(y, p)) + tf.no_such_name(1)
'''
AFTER = '''"""A script."""
import os, torchkeras as keras  # both
import torchkeras.dropin.tensorflow as tf
import torchkeras.layers as L
import torchkeras as K   # split
from torchkeras.dropin.tensorflow import random
from torchkeras.models import (
    Sequential,  # the model
    load_model,
)
from torchkeras import ops
from keras.src.backend.common.nothing import Odd

model = Sequential([L.Dense(2), keras.layers.Dense(1)])


def loss(y, p):
    from torchkeras.losses import mean_squared_error as mse  # local

    return tf.reduce_mean(mse(y, p)) + tf.no_such_name(1)
'''


def test_imports_change_and_nothing_else(tmp_path, capsys):
    pytest.importorskip("libcst")
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    assert main(["convert", str(path)]) == 0
    output = capsys.readouterr()
    lines = output.out.splitlines()
    assert "-import tensorflow as tf" in lines
    assert "+import torchkeras.dropin.tensorflow as tf" in lines
    assert path.read_text() == SCRIPT
    missing = [line.partition("not mapped, ")[2] for line in output.err.splitlines()]
    assert missing == [
        "line 11: from keras.src.backend.common.nothing import Odd",
        "line 19: tf.no_such_name",
    ]
    assert main(["convert", str(path), "--write"]) == 0
    assert path.read_text() == AFTER
    capsys.readouterr()
    assert main(["convert", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: nothing to change\n"


def test_a_script_runs_without_a_hook(tmp_path):
    pytest.importorskip("libcst")
    source = (
        "import tensorflow as tf\nfrom tensorflow import keras\nfrom keras.layers import Dense\n"
        "model = keras.Sequential([keras.Input((3,)), Dense(2)])\n"
        "result = tf.reduce_sum(model(tf.ones((1, 3)))).shape\n"
    )
    result = rewrite.rewrite_source(source)
    assert not result.unmapped
    scope = {}
    exec(result.after, scope)
    assert scope["model"].count_params() == 8


def test_notebooks_keep_their_magics(tmp_path):
    pytest.importorskip("libcst")
    cells = [
        {"cell_type": "markdown", "source": ["import keras"]},
        {"cell_type": "code", "source": ["%matplotlib inline\n", "import keras\n", "!ls"]},
        {"cell_type": "code", "source": "from keras import layers", "outputs": []},
    ]
    path = tmp_path / "n.ipynb"
    path.write_text(json.dumps({"cells": cells, "nbformat": 4}, indent=1))
    assert main(["convert", str(path), "--write"]) == 0
    written = json.loads(path.read_text())
    assert written["cells"][0] == cells[0] and written["nbformat"] == 4
    assert written["cells"][1]["source"] == [
        "%matplotlib inline\n",
        "import torchkeras as keras\n",
        "!ls",
    ]
    assert written["cells"][2]["source"] == "from torchkeras import layers"


def test_what_is_wrong_is_said(tmp_path, capsys, monkeypatch):
    path = tmp_path / "broken.py"
    path.write_text("import keras as\n")
    with monkeypatch.context() as patch:
        patch.setitem(rewrite.importlib.sys.modules, "libcst", None)
        assert main(["convert", str(path)]) == 1
    assert "pip install libcst" in capsys.readouterr().err
    assert main(["convert", str(path), "model.keras"]) == 2
    assert "takes scripts and --write" in capsys.readouterr().err
    assert main(["convert", str(tmp_path / "none.py")]) == 1
    pytest.importorskip("libcst")
    assert main(["convert", str(path)]) == 1
    assert "no Python code" in capsys.readouterr().err
