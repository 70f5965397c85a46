"""What `import tensorflow` gives once `dropin` is installed: the part of it that scripts use.

Tensors are `torch.Tensor`s, dtypes `torch.dtype`s, functions those of `keras.ops` wherever they
agree, so symbolic tensors pass as well. `keras` is a face of `dropin/keras2`. The names come from
tables in the files of `dropin/tf/`, loaded when a name of theirs is first used;
`docs/tensorflow.md` lists them. Every other name raises an `AttributeError` that says what to use
instead.
"""

from __future__ import annotations

import difflib
import importlib
import sys
from types import ModuleType
from typing import Any

import torch

import torchkeras.ops as ops  # `from .. import ops` would import the package's root as well

from ..naming import explain
from .tf.tensors import install_methods_of_programs, methods_are_installed

__version__ = "2.20.0"  # the release that goes with the Keras API of `dropin/keras.py`
__path__: list[str] = []  # a package for the import system; `dropin.finder` answers below it

_TOPICS = f"{__package__}.tf"

# Where the names of a namespace are: `file` or `file:TABLE`, a dict; more than one for some.
NAMESPACES: dict[str, tuple[str, ...]] = {
    "audio": ("signal:AUDIO",),
    "autograph": (),
    "autograph.experimental": ("names:AUTOGRAPH",),
    "compat": ("system:COMPAT",),
    "compat.v1": ("system:COMPAT_V1",),
    "compat.v1.logging": ("system:COMPAT_V1_LOGGING",),
    "config": ("system:CONFIG",),
    "config.experimental": ("system:CONFIG_EXPERIMENTAL",),
    "config.optimizer": ("system:CONFIG_OPTIMIZER",),
    "config.threading": ("system:CONFIG_THREADING",),
    "data": ("names:DATA", "records:SOURCES"),
    "data.experimental": ("names:DATA_EXPERIMENTAL",),
    "debugging": ("control:DEBUGGING",),
    "distribute": ("strategies:DISTRIBUTE",),
    "distribute.experimental": ("strategies:DISTRIBUTE_EXPERIMENTAL",),
    "dtypes": ("names:DTYPES",),
    "errors": ("names:ERRORS",),
    "experimental": (),
    "image": ("image:IMAGE", "io:IMAGE_CODECS"),
    "io": ("io:IO", "records:PARSERS"),
    "io.gfile": ("io:GFILE",),
    "linalg": ("linalg:LINALG",),
    "lookup": ("lookup:LOOKUP",),
    "math": ("math:MATH",),
    "nest": ("names:NEST",),
    "nn": ("nn:NN",),
    "random": ("random:RANDOM",),
    "random.experimental": ("random:RANDOM_EXPERIMENTAL",),
    "signal": ("signal:SIGNAL",),
    "strings": ("strings:STRINGS",),
    "summary": ("system:SUMMARY",),
    "summary.experimental": ("system:SUMMARY_EXPERIMENTAL",),
    "test": ("testing:TEST",),
    "sparse": ("records:SPARSE",),
    "train": ("system:TRAIN", "records:EXAMPLES"),
    "version": ("names:VERSION",),
}
_ROOT = ("names:ROOT", "arrays:ARRAYS", "control:CONTROL", "math:CLIPPING")
# Namespaces of Keras that TensorFlow has at its root as well.
_KERAS = ("initializers", "losses", "metrics", "optimizers")

# What to use instead of names that are often asked for.
_INSTEAD = {
    "Graph": "there are no graphs: functions run at once",
    "Operation": "there are no graphs: functions run at once",
    "cluster_resolver": "start processes with `torchrun` and use `keras.distribution`",
    "compat": "TensorFlow 1 code has no counterpart; write the model with `keras`",
    "estimator": "write the model with `keras` and call `fit`",
    "experimental_connect_to_cluster": "start processes with `torchrun`",
    "feature_column": "use `keras.utils.FeatureSpace`",
    "get_variable": "use `tf.Variable`, or `add_weight` of a layer",
    "global_variables_initializer": "nothing has to be run: variables have their values",
    "layers": "use `keras.layers`",
    "lite": "export with `model.export(path, format='onnx')` or `torch.export`",
    "DenseHashTable": "use `keras.layers.StringLookup` or `IntegerLookup`",
    "logging": "use Python's `logging`",
    "make_ndarray": "use NumPy",
    "profiler": "use `torch.profiler`",
    "ragged": "pad with `padded_batch` or `keras.utils.pad_sequences`, or use masks",
    "SequenceExample": "write `Example`s, with the steps as features of equal length",
    "parse_sequence_example": "write `Example`s, with the steps as features of equal length",
    "saved_model": "save with `model.save('model.keras')`, export with `model.export(path)`",
    "sparse": "use dense tensors, or `torch.sparse`",
    "tpu": "PyTorch/XLA runs on TPUs",
    "make_csv_dataset": "read the file with pandas, then `Dataset.from_tensor_slices(dict(frame))`",
    "variable_scope": "use `tf.name_scope`",
    "CsvDataset": "use `TextLineDataset` with `tf.io.decode_csv`, or pandas",
    "gradients": "use `tf.GradientTape`",
    "numpy": "use `keras.ops`, which has NumPy's functions",
    "placeholder": "use `keras.Input`",
    "Session": "nothing has to be run: tensors have their values",
    "nce_loss": "draw negatives and use `tf.nn.sigmoid_cross_entropy_with_logits`",
    "ctc_loss": "use `keras.ops.ctc_loss`, whose arguments differ",
}
_ASK = (
    "If you need it, open an issue with the name and the lines that use it; docs/tensorflow.md has"
    " a template."
)


def describe_missing(name: str) -> str:
    """Compose the message for a TensorFlow name that is not here, given as `tensorflow.a.b`."""
    fix = suggestion(name.partition(".")[2])
    return explain(
        f"'{name}' is not provided by torchkeras, which stands in for TensorFlow here.",
        fix=f"{fix}. {_ASK}".replace("?.", "?"),
    )


def suggestion(path: str) -> str:
    """What to use instead of a name that is not here, given as `a.b` for `tf.a.b`."""
    *parents, last = parts = path.split(".")
    found = next((_INSTEAD[part] for part in reversed(parts) if part in _INSTEAD), None)
    if found is not None:
        return found
    if last in ops.__all__:
        return f"use `keras.ops.{last}`"
    near = _nearest(".".join(parents), last)
    if near is not None:
        return f"did you mean `{near}`?"
    if hasattr(torch, last) and last.islower():
        return f"use `torch.{last}`"
    return "use `keras.ops` or PyTorch; `dir(tensorflow)` lists what there is"


def _nearest(path: str, name: str) -> str | None:
    """A provided name that is spelled alike or stands elsewhere, as `tf.a.b`."""
    places = {
        candidate: f"tf.{space}.{candidate}" if space else f"tf.{candidate}"
        for space in sorted({*NAMESPACES, ""} - {path}) + [path]
        if space in NAMESPACES or not space
        for candidate in names_of(space)
    }
    alike = difflib.get_close_matches(name, list(places), 1, 0.8)
    return places[alike[0]] if alike else None


def names_of(namespace: str) -> list[str]:
    """The names in a namespace, such as `"math"`; the root is `""`."""
    tables = _ROOT if not namespace else NAMESPACES[namespace]
    inner = namespace + "." if namespace else ""
    below = {
        space[len(inner) :].partition(".")[0] for space in NAMESPACES if space.startswith(inner)
    }
    own = {*_KERAS, "keras", "__version__"} if not namespace else set()
    return sorted(set().union(below, own, *map(_table, tables)))


def _table(place: str) -> dict[str, Any]:
    file, _, name = place.partition(":")
    return getattr(importlib.import_module(f"{_TOPICS}.{file}"), name)


def _find(namespace: str, name: str) -> Any:
    """Look a name up.

    Raises:
        AttributeError: There is none.
    """
    for place in NAMESPACES[namespace] if namespace else _ROOT:
        table = _table(place)
        if name in table:
            return table[name]
    path = f"{namespace}.{name}" if namespace else name
    if path in NAMESPACES:
        return _Namespace(path)
    if path == "compat.v2":
        return sys.modules[__name__]
    raise AttributeError(describe_missing(f"tensorflow.{path}"))


class _Namespace(ModuleType):
    """A namespace such as `tf.random`: its names are looked up when first used."""

    def __init__(self, path: str) -> None:
        super().__init__(f"tensorflow.{path}", f"The stand-in for `tf.{path}`.")
        self.__dict__["_path"] = path
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = _find(self._path, name)
        setattr(self, name, found)
        return found

    def __dir__(self) -> list[str]:
        return names_of(self._path)

    def __repr__(self) -> str:
        return f"<stand-in for tensorflow.{self._path}>"


def __getattr__(name: str) -> Any:
    if name == "__all__":
        return names_of("")
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "GradientTape":  # never kept here: the first use under the runner has an effect
        return _tape(methods_are_installed())
    if name == "keras" or name in _KERAS:
        faces = importlib.import_module(f"{__package__}.keras2.faces")
        return faces.face("tensorflow.keras", "" if name == "keras" else name)
    found = _find("", name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return names_of("")


def begin() -> None:
    """Called when a program imports TensorFlow: one that uses tapes records within these only."""
    install_methods_of_programs()
    if importlib.import_module(f"{_TOPICS}.tape").uses_tapes():
        _tape(switch=True)


def _tape(switch: bool) -> Any:
    tape = importlib.import_module(f"{_TOPICS}.tape")
    if switch:
        tape.record_within_tapes_only()
    return tape.GradientTape
