"""`keras.src…` under the drop-in: the table, the views, and patching through them."""

import importlib
import subprocess
import sys
import warnings
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch

import torchkeras
from torchkeras import dropin
from torchkeras.dropin import internals

ROOT = Path(torchkeras.__file__).parents[1]


@pytest.fixture(autouse=True)
def installed():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        dropin.install("keras")
    yield
    dropin.uninstall()


def names_of(path):
    return importlib.import_module(f"keras.src.{path}".rstrip("."))


def test_every_path_of_the_table_imports():
    for path in internals._PATHS:
        assert names_of(path).__name__ == f"keras.src.{path}".rstrip(".")


def test_every_module_of_the_table_exists():
    modules = {module for modules in internals._PATHS.values() for module in modules}
    missing = set()
    for module in modules:
        try:
            importlib.import_module(f"torchkeras.{module}".rstrip("."))
        except ModuleNotFoundError:
            missing.add(module)
    assert missing <= {
        "legacy",
        "testing",
        "trainers",
    }  # the first parts of paths, whose names lie elsewhere


@pytest.mark.parametrize(
    ("path", "name", "ours"),
    [
        ("layers.core.dense", "Dense", "layers.Dense"),
        ("layers.layer", "Layer", "layers.Layer"),
        ("layers", "LayerNormalization", "layers.LayerNormalization"),
        ("backend", "standardize_dtype", "backend.standardize_dtype"),
        ("backend.common.keras_tensor", "KerasTensor", "KerasTensor"),
        ("saving.serialization_lib", "deserialize_keras_object", "saving.deserialize_keras_object"),
        ("saving.saving_lib", "save_model", "saving.saving_lib.save_model"),
        ("random.seed_generator", "SeedGenerator", "random.SeedGenerator"),
        ("losses.losses", "Huber", "losses.Huber"),
        ("", "Sequential", "Sequential"),
    ],
)
def test_names_are_ours(path, name, ours):
    module, _, attribute = f"torchkeras.{ours}".rpartition(".")
    assert getattr(names_of(path), name) is getattr(importlib.import_module(module), attribute)


def test_import_statements_of_all_forms():
    names = {}
    exec(
        "from keras.src.ops import *\n"  # which binds `name_scope`, too
        "import keras\n"
        "import keras.src.layers.core.dense as dense\n"
        "from keras.src import backend, ops as src_ops\n"
        "from keras.src.layers.core import dense as again\n"
        "from keras.src.backend.common import name_scope\n"
        "from keras.src.backend.common.name_scope import name_scope as same\n",
        names,
    )
    assert names["dense"] is names["again"] is names["keras"].src.layers.core.dense
    # a function and a file of one name: the file wins, as in Keras
    assert names["name_scope"] is names_of("backend.common.name_scope")
    assert names["name_scope"].name_scope is names["same"] is torchkeras.name_scope
    assert names["src_ops"].numpy is importlib.import_module("keras.src.ops.numpy")
    assert names["relu"] is torchkeras.ops.relu
    assert names["backend"].backend() == "torch"


def test_operations_are_classes_there():
    layer = names_of("ops.numpy").Max(axis=1)
    assert isinstance(layer, torchkeras.Operation)
    assert type(torchkeras.ops.max(torchkeras.Input((3,)))._keras_history.operation) is type(layer)


def test_patching_reaches_what_torchkeras_calls():
    from torchkeras.callbacks import console

    original = console.print_msg
    with mock.patch("keras.src.utils.io_utils.print_msg") as patched:
        assert console.print_msg is patched
    assert console.print_msg is original


def test_unknown_names_and_paths_say_so():
    with pytest.raises(AttributeError, match=r"'keras\.src\.layers\.layer' has no 'Lair'"):
        _ = names_of("layers.layer").Lair
    with pytest.raises(ModuleNotFoundError, match=r"keras\.src\.nonsense"):
        importlib.import_module("keras.src.nonsense")
    assert not hasattr(names_of("layers"), "__wrapped__")


def test_other_packages_stay_what_they_are():
    code = (
        "import sys, types; sys.modules['tensorflow'] = real = types.ModuleType('tensorflow')\n"
        "import torchkeras.dropin as dropin; dropin.install('keras')\n"
        "import keras, tensorflow; print(tensorflow is real, keras.__version__)\n"
        "dropin.install('tf_keras'); import tf_keras; print(tf_keras.Model is keras.Model)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.split() == ["True", "3.15.1", "True"], done.stderr


def test_a_package_without_stand_in_is_refused():
    known = "keras, keras_core, tensorflow, tf_keras"
    with pytest.raises(ValueError, match=f"no stand-in for jax(.|\n)*{known}"):
        dropin.install("jax")


def test_backends_by_name():
    backend = names_of("utils.backend_utils").DynamicBackend()
    assert backend.numpy.log10([10.0, 100.0]).tolist() == [1.0, 2.0]
    backend.set_backend("jax")
    assert backend.name == "jax"
    with pytest.raises(NotImplementedError, match="jax backend"):
        _ = backend.numpy
    backend.reset()
    assert backend.name == "torch" and float(backend.convert_to_tensor(2.0)) == 2
    with pytest.raises(ValueError, match="Available backends"):
        backend.set_backend("mlx")


def test_snapshots_of_tensors():
    x = torch.zeros(2)
    before = names_of("backend").convert_to_numpy(x)
    x += 1
    assert before.tolist() == [0, 0]


def test_epochs_in_arrays():
    epochs = names_of("trainers.epoch_iterator").EpochIterator
    iterator = epochs(np.arange(4.0), np.arange(4), batch_size=3, steps_per_execution=2)
    ((first, last, batches),) = iterator.enumerate_epoch()
    assert (first, last, len(batches)) == (0, 1, 2)
    assert all(isinstance(x, np.ndarray) for batch in batches for x in batch)


def test_class_weights_for_batches():
    adapter = names_of("trainers.data_adapters.tf_dataset_adapter")
    weigh = adapter.make_class_weight_map_fn({0: 0.5, 1: 2.0})
    x, y = np.ones((2, 1)), np.array([1, 0])
    assert weigh(x, y)[2].tolist() == [2, 0.5]
    with pytest.raises(ValueError, match="at the same time"):
        weigh(x, y, np.ones(2))
    with pytest.raises(ValueError, match="single output"):
        weigh(x, (y, y))
