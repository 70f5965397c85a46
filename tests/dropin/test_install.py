"""`dropin.install`: the names of Keras and TensorFlow mean torchkeras, and back."""

import importlib
import subprocess
import sys
import warnings
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch

import torchkeras
from torchkeras import dropin


@pytest.fixture
def tf(installed):
    return importlib.import_module("tensorflow")


_PARTS = ["layers", "models", "callbacks", "preprocessing.sequence", "utils"]


@pytest.mark.parametrize("root", ["keras", "keras._tf_keras.keras", "keras_core"])
@pytest.mark.parametrize("part", _PARTS)
def test_submodules_are_torchkeras_own(installed, root, part):
    module = importlib.import_module(f"{root}.{part}")
    own = importlib.import_module(f"torchkeras.{part}")
    assert module is own
    assert own.__spec__.name == own.__name__ == f"torchkeras.{part}"


@pytest.mark.parametrize("root", ["tensorflow.keras", "tf_keras", "tensorflow.python.keras"])
@pytest.mark.parametrize("part", _PARTS)
def test_submodules_of_legacy_roots_show_torchkeras_own(installed, root, part):
    module = importlib.import_module(f"{root}.{part}")
    own = importlib.import_module(f"torchkeras.{part}")
    assert (
        module is importlib.import_module(f"{root}.{part}") and module.__name__ == f"{root}.{part}"
    )
    assert set(own.__all__) <= set(dir(module))
    assert all(getattr(module, name) == getattr(own, name) for name in _UNCHANGED[part])


_UNCHANGED = {
    "layers": ["Dense", "Layer", "LSTM", "Add"],
    "models": ["Model", "Sequential", "load_model", "clone_model"],
    "callbacks": ["EarlyStopping", "Callback"],
    "preprocessing.sequence": ["pad_sequences"],
    "utils": ["PyDataset", "get_file"],
}


def test_what_the_roots_have_in_common(installed):
    import keras
    import tensorflow as tf
    import tf_keras
    from tensorflow import keras as from_tensorflow

    assert tf.keras is from_tensorflow is importlib.import_module("tensorflow.keras")
    assert keras.layers.Dense is tf.keras.layers.Dense is torchkeras.layers.Dense
    assert tf_keras.layers.Dense == torchkeras.layers.Dense
    assert keras.Model is tf.keras.Model is tf_keras.Model is torchkeras.Model


def test_the_second_version_is_tensorflow_itself(tf):
    second = importlib.import_module("tensorflow.compat.v2")
    assert second is tf is tf.compat.v2
    assert tf.__spec__.name == "torchkeras.dropin.tensorflow"
    layers = importlib.import_module("tensorflow.compat.v2.keras.layers")
    assert layers.Dense is torchkeras.layers.Dense
    assert importlib.import_module("tensorflow.compat.v2.data").Dataset is tf.data.Dataset


def test_versions_are_the_api_s(installed):
    keras = importlib.import_module("keras")
    assert keras.__version__ == keras.version() == "3.15.1"
    assert torchkeras.version() == torchkeras.__version__ != keras.__version__
    for name in ("keras", "Keras-Core"):
        assert metadata.version(name) == keras.__version__
    legacy = importlib.import_module("tf_keras")
    assert metadata.version("tf-keras") == metadata.version("tf_keras") == legacy.__version__
    assert legacy.__version__.startswith("2.")
    assert importlib.import_module("tensorflow.keras").__version__ == keras.__version__
    assert metadata.version("tensorflow") == importlib.import_module("tensorflow").__version__
    assert metadata.version("numpy") == np.__version__
    assert "keras" in {distribution.name for distribution in metadata.distributions()}


def test_notebooks_load_the_aliases_as_an_extension():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        torchkeras.load_ipython_extension(None)
    assert importlib.import_module("keras").Model is torchkeras.Model
    torchkeras.unload_ipython_extension(None)
    assert not dropin.is_installed()


def test_from_imports(installed):
    names = {}
    exec(
        "from tensorflow.keras.models import Sequential, load_model\n"
        "from tensorflow.keras.layers import Dense, Dropout, Input\n"
        "from keras.callbacks import EarlyStopping\n"
        "import tensorflow.keras.backend as K\n"
        "import keras.layers as L\n",
        names,
    )
    assert names["Sequential"] is torchkeras.Sequential
    assert names["EarlyStopping"] is torchkeras.callbacks.EarlyStopping
    assert names["K"].mean is torchkeras.backend.mean
    assert names["L"] is torchkeras.layers


def test_star_import(installed):
    names = {}
    exec("from keras import *", names)
    assert set(torchkeras.__all__) <= set(names)
    assert names["version"]() == "3.15.1"


def test_names_of_keras_are_looked_up_when_used(installed):
    keras = importlib.import_module("keras")
    assert set(torchkeras.__all__) <= set(dir(keras))
    with pytest.raises(AttributeError, match="Did you mean 'Sequential'"):
        _ = keras.Sequental


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("import keras.nonsense", "keras.nonsense"),
        ("import tensorflow.keras.nonsense", "tensorflow.keras.nonsense"),
        ("from keras import nonsense", "keras.nonsense"),
        ("from tensorflow.keras.layers import Nonsense", "Nonsense"),
        ("import tensorflow.estimator", "tensorflow.estimator"),
        ("from tensorflow import lite", "tensorflow.lite"),
        ("import tensorflow.math.nonsense", "tensorflow.math.nonsense"),
        ("from tensorflow.compat.v1 import Session", "tensorflow.compat.v1.Session"),
        ("from tensorflow.data import FixedLengthRecordDataset", "FixedLengthRecordDataset"),
    ],
)
def test_unknown_imports_name_what_is_missing(installed, statement, named):
    with pytest.raises(ImportError, match=named):
        exec(statement, {})


def test_install_twice_and_uninstall_restore_everything():
    before = {name: module for name, module in sys.modules.items() if name.startswith("keras")}
    path = list(sys.meta_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        dropin.install()
        dropin.install()
    assert dropin.is_installed() and len(sys.meta_path) == len(path) + 1
    importlib.import_module("tensorflow.keras.layers")
    dropin.uninstall()
    dropin.uninstall()
    assert not dropin.is_installed() and sys.meta_path == path
    assert "tensorflow" not in sys.modules or "stand-in" not in (
        sys.modules["tensorflow"].__doc__ or ""
    )
    after = {name: module for name, module in sys.modules.items() if name.startswith("keras")}
    assert after == before


def test_modules_imported_before_are_put_aside_with_a_warning(monkeypatch):
    real = type(sys)("tf_keras")
    monkeypatch.setitem(sys.modules, "tf_keras", real)
    with pytest.warns(RuntimeWarning, match="tf_keras had been imported before"):
        dropin.install()
    try:
        assert importlib.import_module("tf_keras") is not real
    finally:
        dropin.uninstall()
    assert sys.modules["tf_keras"] is real


def test_tensorboard_does_not_take_the_stand_in_for_tensorflow():
    pytest.importorskip("tensorboard")
    code = (
        "import torchkeras.dropin; torchkeras.dropin.install()\n"
        "from tensorboard.compat import tf; print(tf.io.gfile.exists('/'))"
    )
    folder = Path(torchkeras.__file__).parents[1]
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.stdout.split() == ["True"], done.stderr


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("lite", "export"),
        ("ragged.constant", "padded_batch"),
        ("lerp", "torch.lerp"),
        ("cholesky", "keras.ops.cholesky"),
        ("reduce_meen", "tf.reduce_mean"),
        ("conv2d", "tf.nn.conv2d"),
        ("Session", "values"),
        ("experimental.numpy", "keras.ops"),
        ("random.nonsense", "dir"),
        ("config.experimental.nonsense", "dir"),
        ("io.parse_sequence_example", "Example"),
        ("data.experimental.make_csv_dataset", "pandas"),
        ("strings.lowr", "tf.strings.lower"),
    ],
)
def test_tensorflow_names_that_are_missing_say_what_to_use(tf, path, hint):
    parts = path.split(".")
    found, named = tf, "tensorflow"
    with pytest.raises(AttributeError) as raised:
        for part in parts:
            named += f".{part}"
            found = getattr(found, part)
    assert f"'{named}' is not provided" in str(raised.value)
    assert hint in str(raised.value) and "issue" in str(raised.value)


def test_every_listed_tensorflow_name_is_there(tf):
    assert [name for name in tf.__all__ if not hasattr(tf, name)] == []
    assert tf.__version__ == tf.version.VERSION >= "2.16"


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (1, torch.int32),
        (1.5, torch.float32),
        ([[1, 2]], torch.int32),
        ([True], torch.bool),
        (np.arange(3), torch.int64),
        (np.ones(2), torch.float64),
    ],
)
def test_constant_has_tensorflow_s_dtypes(tf, value, dtype):
    tensor = tf.constant(value)
    assert tensor.dtype == tf.convert_to_tensor(value).dtype == dtype
    np.testing.assert_array_equal(tensor, np.asarray(value))


def test_constant_of_a_shape_and_of_tensors(tf):
    assert tf.constant(3.0, shape=(2, 3)).tolist() == [[3.0] * 3] * 2
    assert tf.constant(range(4), shape=(2, 2)).tolist() == [[0, 1], [2, 3]]
    x = torch.ones(2, requires_grad=True)
    tf.convert_to_tensor([x, 2 * x]).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]
    assert tf.constant("text").numpy() == b"text"
    with pytest.raises(TypeError, match="cannot make a tensor of"):
        tf.constant([object()])


def test_functions(tf):
    x = tf.constant([[1.0, 2.0], [3.0, 5.0]])
    assert tf.shape(x) == (2, 2)
    assert tf.cast(x, tf.int32).dtype == tf.cast([1.5], "int32").dtype == torch.int32
    assert tf.reduce_mean(x).item() == 2.75
    assert tf.reduce_sum(x, axis=1).tolist() == [3.0, 8.0]
    assert tf.reduce_max(x, axis=0, keepdims=True).tolist() == [[3.0, 5.0]]
    assert tf.reduce_min([4.0, 2.0]).item() == 2.0
    assert tf.square(x)[1, 1] == 25 and tf.sqrt(x)[0, 0] == 1 and tf.abs(-x)[0, 1] == 2
    assert tf.exp(tf.zeros((2,))).tolist() == tf.ones((2,)).tolist()
    assert tf.concat([x, x], axis=1).shape == (2, 4)
    assert tf.stack([x, x], axis=2).shape == (2, 2, 2)
    assert tf.squeeze(tf.expand_dims(x, 0)).shape == tf.reshape(x, (2, -1)).shape == (2, 2)
    assert tf.transpose(x).tolist() == x.T.tolist()
    assert torch.equal(tf.matmul(x, x, transpose_b=True), x @ x.T)
    assert tf.zeros_like(x).sum() == 0 and tf.ones_like(x).sum() == 4
    assert isinstance(x, tf.Tensor) and tf.bool is torch.bool


def test_functions_take_symbolic_tensors(tf):
    inputs = tf.keras.Input((3,))
    outputs = tf.reduce_sum(tf.cast(inputs, tf.float64), axis=-1, keepdims=True)
    assert outputs.shape == (None, 1)
    assert outputs.dtype == "float64"
    model = tf.keras.Model(inputs, outputs)
    assert model(np.ones((2, 3), "float32")).tolist() == [[3.0], [3.0]]


def test_set_seed_reaches_weights_but_not_numpy(tf):
    def draw():
        tf.random.set_seed(7)
        return tf.keras.layers.Dense(3), np.random.rand()

    np.random.seed(1)
    first, number = draw()
    second, next_number = draw()
    first.build((None, 2)), second.build((None, 2))
    assert torch.equal(first.kernel, second.kernel)
    np.random.seed(1)
    assert [number, next_number] == [np.random.rand(), np.random.rand()]


def test_function_and_devices(tf):
    @tf.function
    def double(x):
        return 2 * x

    @tf.function(jit_compile=True)
    def triple(x):
        return 3 * x

    assert double(2) == 4 and triple(2) == 6
    assert tf.executing_eagerly()
    gpus = tf.config.list_physical_devices("GPU")
    assert len(gpus) == torch.cuda.device_count()
    assert [d.name for d in tf.config.list_physical_devices("CPU")] == ["/physical_device:CPU:0"]
    tf.config.experimental.set_memory_growth(tf.config.list_physical_devices()[0], True)
    tf.get_logger().setLevel("ERROR")
