"""`import torchkeras`: what it loads, what it costs, what it offers, and how it says no."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import torchkeras

ROOT = Path(torchkeras.__file__).parent
LIST_NEW_MODULES = """
import sys, time, torch
before = set(sys.modules)
start = time.process_time()  # what others do on this machine is no cost of the import
import torchkeras
print(time.process_time() - start)
print(*sorted(set(sys.modules) - before))
"""


def run_python(code):
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT.parent)
    return done.stdout.splitlines()


def test_import_loads_little_and_fast():
    runs = [run_python(LIST_NEW_MODULES) for _ in range(2)]
    own = {"torchkeras", "torchkeras.config", "torchkeras.naming"}
    loaded = set(runs[0][1].split())
    assert own <= loaded
    # config and naming may only need the standard library and torch, whose context it looks into
    assert {name.partition(".")[0] for name in loaded - own} <= sys.stdlib_module_names | {"torch"}
    assert min(float(run[0]) for run in runs) < 0.15


def test_first_layer_loads_nothing_heavy():
    (heavy,) = run_python(
        "import sys, torchkeras; torchkeras.layers.Dense(1); torchkeras.Sequential\n"
        "names = {'h5py', 'keras', 'pandas', 'matplotlib', 'tensorboard', 'torch._dynamo'}\n"
        "print(sorted(names & set(sys.modules)))"
    )
    assert heavy == "[]"


def test_every_public_name_is_there():
    missing = [name for name in torchkeras.__all__ if not hasattr(torchkeras, name)]
    assert missing == []
    assert set(torchkeras.__all__) <= set(dir(torchkeras))


def test_names_are_those_of_their_modules():
    assert torchkeras.Model is torchkeras.models.Model
    assert torchkeras.layers is importlib.import_module("torchkeras.layers")
    assert torchkeras.config.floatx is importlib.import_module("torchkeras.config").floatx


def test_type_checkers_see_the_public_names():
    tree = ast.parse((ROOT / "__init__.py").read_text())
    (block,) = (
        n for n in tree.body if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.dump(n.test)
    )
    seen = {alias.name for node in block.body for alias in node.names}
    assert seen == set(torchkeras.__all__) - {"config", "version"}


def test_star_import_gives_every_name():
    names = {}
    exec("from torchkeras import *", names)
    assert set(torchkeras.__all__) <= set(names)


def test_a_mistyped_name_gets_the_nearest():
    with pytest.raises(AttributeError, match="'Sequental'.*Did you mean 'Sequential'"):
        _ = torchkeras.Sequental


def test_versions():
    assert torchkeras.version() == torchkeras.__version__
    assert torchkeras.__version__.count(".") == 2


@pytest.mark.parametrize(
    "name", ["dtype_policy", "set_dtype_policy", "enable_unsafe_deserialization"]
)
def test_config_offers_what_higher_floors_define(name):
    assert callable(getattr(torchkeras.config, name))
    assert name in torchkeras.config.__all__
    with pytest.raises(AttributeError, match="nothing_of_this"):
        _ = torchkeras.config.nothing_of_this


def test_mixed_precision_sets_the_policy_that_config_reads():
    torchkeras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        assert torchkeras.config.dtype_policy().compute_dtype == "bfloat16"
    finally:
        torchkeras.mixed_precision.set_global_policy("float32")


def test_clear_session_restarts_names_and_policy():
    torchkeras.mixed_precision.set_global_policy("float64")
    torchkeras.layers.Dense(1)
    torchkeras.backend.clear_session()
    assert torchkeras.layers.Dense(1).name == "dense"
    assert torchkeras.config.dtype_policy().name == torchkeras.config.floatx()


def test_backend_has_the_functions_of_keras_2_or_names_their_successor():
    assert float(torchkeras.backend.mean(torchkeras.backend.constant([1.0, 3.0]))) == 2.0
    with pytest.raises(AttributeError, match="use `keras.ops.einsum`"):
        _ = torchkeras.backend.einsum
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = torchkeras.backend.nonsense
