"""Run Keras scripts as they are on the oracle: the real `keras` on its torch backend.

    KERAS_BACKEND=torch python compat_tests/scripts_oracle.py compat_tests/scripts/vae.py

Scripts that say `import tensorflow as tf` need no TensorFlow here: `tensorflow.keras`, `tf_keras`
are the package's own `keras._tf_keras.keras`, and `tensorflow` is a module made below of the few
names that the scripts use. Other names of it raise an `AttributeError`. The functions of Keras 2's
backend, which the package has for TensorFlow only, are replaced by those of `keras.ops`.

With `--tensorflow` first, `tensorflow` is the real one and Keras runs on it, for scripts written
with TensorFlow itself. With `--torchkeras`, scripts run as by `python -m torchkeras run`.

Without a script it serves: each line of standard input is a JSON object `{"script", "folder",
"stdout", "stderr"}`, and is answered by a line with the script's exit status. Each script runs in a
process of its own, forked from this one after the import of Keras, which takes longer than most
scripts. `Oracle` is the client.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import runpy
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

_ROOTS = {"tensorflow.keras": "keras._tf_keras.keras", "tf_keras": "keras._tf_keras.keras"}


class _Alias(Loader):
    """Answers an import with the module of another name."""

    def __init__(self, target: str) -> None:
        self.target = target

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return importlib.import_module(self.target)

    def exec_module(self, module: ModuleType) -> None:
        pass


class _TensorFlowNames(MetaPathFinder):
    """Finds `tensorflow.keras`, `tf_keras` and what lies below them in the real Keras."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        for root, stand_in in _ROOTS.items():
            if fullname == root or fullname.startswith(root + "."):
                loader = _Alias(stand_in + fullname[len(root) :])
                return importlib.util.spec_from_loader(fullname, loader, is_package=True)
        return None


def _minimal_tensorflow() -> ModuleType:
    """`tensorflow`: constants, dtypes and seeds, as torch tensors and Keras's ops."""
    from keras import ops

    tensorflow = ModuleType("tensorflow")
    tensorflow.__path__ = []
    tensorflow.__version__ = "2.20.0"
    for dtype in ("float32", "float64", "int32", "int64", "bool"):
        setattr(tensorflow, dtype, dtype)
    tensorflow.constant = tensorflow.convert_to_tensor = ops.convert_to_tensor
    tensorflow.cast, tensorflow.square, tensorflow.sqrt = ops.cast, ops.square, ops.sqrt
    tensorflow.abs, tensorflow.reduce_mean, tensorflow.reduce_sum = ops.abs, ops.mean, ops.sum
    tensorflow.executing_eagerly = lambda: True  # Keras asks where `tensorflow` is imported
    tensorflow.random = ModuleType("tensorflow.random")
    tensorflow.random.set_seed = lambda seed: importlib.import_module("torch").manual_seed(seed)
    return tensorflow


def _replace_backend() -> None:
    """Let `K.mean` and its like, as far as the scripts use them, work on torch tensors."""
    from keras import ops

    backend = importlib.import_module("keras._tf_keras.keras.backend")
    for name in ("abs", "binary_crossentropy", "cast", "greater", "mean", "square", "sum"):
        setattr(backend, name, getattr(ops, name))
    backend.flatten = lambda x: ops.reshape(x, (-1,))
    backend.int_shape = lambda x: tuple(x.shape)


def prepare_tensorflow() -> None:
    """Import TensorFlow, and Keras on it. Forks are safe: threads start when it first computes."""
    os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3")
    os.environ.update(CUDA_VISIBLE_DEVICES="", TF_ENABLE_ONEDNN_OPTS="0")
    importlib.import_module("tensorflow.keras")
    importlib.import_module("keras")


def prepare() -> None:
    """Import Keras on torch, and make the TensorFlow names mean it."""
    os.environ["KERAS_BACKEND"] = "torch"
    sys.meta_path.insert(0, _TensorFlowNames())
    _replace_backend()
    tensorflow = _minimal_tensorflow()
    sys.modules["tensorflow"] = tensorflow
    tensorflow.keras = importlib.import_module("tensorflow.keras")
    # Keras itself shall not take the stand-in for TensorFlow.
    importlib.import_module("keras.src.utils.module_utils").tensorflow._available = False


def run_as_torchkeras(script: str) -> int:
    """What `python -m torchkeras run script.py` does."""
    status = importlib.import_module("torchkeras.cli").main(["run", script])
    sys.stdout.flush()
    return status


def run(script: str) -> int:
    """Execute a file as `__main__`, tracebacks and exit status as under Python itself."""
    sys.argv[:] = [script]
    sys.path[0] = os.path.dirname(os.path.abspath(script))
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def _serve(run: Callable[[str], int]) -> None:
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            for descriptor, name in ((1, "stdout"), (2, "stderr")):
                file = os.open(job[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                os.dup2(file, descriptor)
            os.chdir(job["folder"])
            os._exit(run(job["script"]))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


class Oracle:
    """The serving process; started with the first script.

    Args:
        options: `--tensorflow`, `--torchkeras` or nothing.
    """

    def __init__(self, *options: str) -> None:
        self.options = options
        self.process: subprocess.Popen | None = None

    def run(self, script: Path, folder: Path) -> subprocess.CompletedProcess:
        """Run a script in a folder; what it printed and its exit status."""
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, __file__, *self.options],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # TensorFlow greets; scripts write to files of theirs
                text=True,
            )
        outputs = {name: str(folder / f"oracle.{name}") for name in ("stdout", "stderr")}
        job = {"script": str(script), "folder": str(folder), **outputs}
        print(json.dumps(job), file=self.process.stdin, flush=True)
        status = int(self.process.stdout.readline())
        texts = {name: Path(path).read_text() for name, path in outputs.items()}
        return subprocess.CompletedProcess([str(script)], status, **texts)

    def close(self) -> None:
        """Let the process end."""
        if self.process is not None:
            self.process.communicate()


if __name__ == "__main__":
    scripts = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    if "--torchkeras" in sys.argv:
        importlib.import_module("torchkeras.dropin")  # and torch, which takes most of the time
        _serve(run_as_torchkeras)
    else:
        prepare_tensorflow() if "--tensorflow" in sys.argv else prepare()
        if scripts:
            sys.exit(run(scripts[0]))
        _serve(run)
