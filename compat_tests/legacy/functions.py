"""Whether what is no layer means what it meant in Keras 2.

    python -m compat_tests.legacy.functions [--only NAME]

`tf_keras`, in a process of its own, makes every activation, constraint, initializer, loss, metric,
optimizer (those of `optimizers.legacy` too), schedule and regularizer that its modules have, with
its defaults and with each argument at another value (`VALUES`), and by each name that `get` takes.
It computes with them (`evaluation.py`), and serializes them as files have them: in a layer or in
what a model was compiled with, in the form of `.h5` and in that of `.keras`. torchkeras computes
the same with what it reads, and with the same call under the runner's `tf_keras`.

Ends in `N/N`: how many of the comparisons are the same. What is refused, with an error that says
so, and what is in `LISTED` is counted apart.
"""

from __future__ import annotations

import argparse
import collections
import fnmatch
import functools
import importlib
import inspect
import json
import os
import pathlib
import pickle
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from .evaluation import differences, evaluate

__all__ = ["LISTED", "VALUES", "cases"]

# The module: the argument of a layer, or of `compile`, by which it gets into a file.
KINDS = {
    "activations": "activation",
    "constraints": "kernel_constraint",
    "initializers": "kernel_initializer",
    "losses": "loss",
    "metrics": "metrics",
    "optimizers": "optimizer",
    "optimizers.legacy": "optimizer",
    "optimizers.schedules": "learning_rate",
    "regularizers": "kernel_regularizer",
}
_HELPERS = ("deserialize", "get", "serialize")
_BASES = ("Constraint", "Initializer", "LearningRateSchedule", "Loss", "MeanMetricWrapper",
          "Metric", "Optimizer", "Reduction", "Regularizer")  # fmt: skip
_NOT_TRIED = ("args", "dtype", "fn", "jit_compile", "kwargs", "name", "seed", "x", "y_pred",
              "y_true")  # fmt: skip

# What to try for an argument, by its name or by `Class.name`.
VALUES: dict[str, tuple[Any, ...]] = {
    "alpha": (0.3, 0.0, 1.0),
    "approximate": (True,),
    "axis": (0, 1),
    "max_value": (0.5, 6.0),
    "threshold": (0.3, -0.5),
    "min_value": (0.1,),
    "rate": (0.4,),
    "value": (0.7, -2),
    "gain": (0.5, 2.0),
    "mean": (0.4,),
    "stddev": (0.3,),
    "minval": (-0.4, 0.0),
    "maxval": (0.4, 1.0),
    "scale": (2.0, 0.5),
    "mode": ("fan_out", "fan_avg"),
    "distribution": ("uniform", "untruncated_normal", "normal"),
    "from_logits": (True,),
    "label_smoothing": (0.2, 1.0),
    "reduction": ("none", "sum", "sum_over_batch_size"),
    "apply_class_balancing": (True,),
    "gamma": (0.0, 3.0),
    "delta": (0.3,),
    "ignore_class": (0, -1),
    "num_thresholds": (3, 50),
    "curve": ("PR",),
    "summation_method": ("minoring", "majoring"),
    "thresholds": ([0.0, 0.5, 1.0],),
    "multi_label": (True,),
    "num_labels": (),  # for predictions that are logits of several labels at once
    "label_weights": (),
    "target_class_ids": ((0,), [1]),
    "average": ("micro", "macro", "weighted"),
    "beta": (0.5, 2.0),
    "num_classes": (4,),
    "sparse_y_true": (False,),
    "sparse_y_pred": (False, True),
    "normalizer": (),
    "top_k": (1, 2),
    "class_id": (0, 1),
    "recall": (0.8,),
    "precision": (0.8,),
    "specificity": (0.3,),
    "sensitivity": (0.8,),
    "class_aggregation": (None, "variance_weighted_average"),
    "num_regressors": (1,),
    "k": (1, 2),
    "shape": ((3,),),
    "learning_rate": (0.05, 1),
    "rho": (0.5,),
    "epsilon": (1e-2, 1e-12),
    "weight_decay": (0.1,),
    "clipnorm": (0.3,),
    "clipvalue": (0.3,),
    "global_clipnorm": (0.3,),
    "use_ema": (True,),
    "ema_momentum": (),
    "ema_overwrite_frequency": (),
    "beta_2_decay": (-0.5,),
    "epsilon_1": (1e-6,),
    "epsilon_2": (1e-2,),
    "clip_threshold": (0.5,),
    "relative_step": (False,),
    "initial_accumulator_value": (0.0, 0.4),
    "beta_1": (0.5,),
    "beta_2": (0.5,),
    "adaptive_epsilon": (),  # refused by name
    "amsgrad": (True,),
    "learning_rate_power": (-0.3, 0.0),
    "l1_regularization_strength": (0.1,),
    "l2_regularization_strength": (0.1,),
    "l2_shrinkage_regularization_strength": (0.1,),
    "momentum": (0.8,),
    "centered": (True,),
    "nesterov": (True,),
    "initial_learning_rate": (1,),
    "decay_steps": (7,),
    "decay_rate": (0.3,),
    "staircase": (True,),
    "warmup_target": (),
    "warmup_steps": (),
    "first_decay_steps": (3,),
    "t_mul": (1.0, 1.5),
    "m_mul": (0.5,),
    "boundaries": (),
    "values": (),
    "end_learning_rate": (0.02,),
    "power": (0.5, 2.0),
    "cycle": (True,),
    "l1": (0.3, 0.0),
    "l2": (0.3, 0.0),
    "factor": (0.3,),
    "SGD.momentum": (0.8, 0.0),
    "OrthogonalRegularizer.mode": ("columns",),
    "Precision.thresholds": ([0.0, 0.5, 1.0], 0.7),
    "Recall.thresholds": ([0.0, 0.5, 1.0], 0.7),
    "F1Score.threshold": (0.4,),
    "FBetaScore.threshold": (0.4,),
    "BinaryAccuracy.threshold": (0.0, 0.75),
    "binary_accuracy.threshold": (0.0, 0.75),
    "OneHotIoU.num_classes": (),
    "OneHotMeanIoU.num_classes": (),
    "IoU.ignore_class": (0,),
    "MeanIoU.ignore_class": (0,),
    "OneHotIoU.ignore_class": (0,),
    "OneHotMeanIoU.ignore_class": (0,),
    "IoU.sparse_y_pred": (),
    "IoU.sparse_y_true": (),
    "MeanIoU.sparse_y_pred": (),
    "MeanIoU.sparse_y_true": (),
    "OneHotIoU.axis": (),
    "OneHotMeanIoU.axis": (),
    "IoU.axis": (),
    "MeanIoU.axis": (),
    "softmax.axis": (0, 1, -2),
}
# What a constructor cannot do without.
REQUIRED: dict[str, dict[str, Any]] = {
    "IoU": {"num_classes": 3, "target_class_ids": [0, 2]},
    "MeanIoU": {"num_classes": 3},
    "OneHotIoU": {"num_classes": 3, "target_class_ids": [0, 2]},
    "OneHotMeanIoU": {"num_classes": 3},
    "MeanRelativeError": {"normalizer": [1.0, 2.0, 0.0]},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
    "CosineDecay": {"initial_learning_rate": 0.1, "decay_steps": 10},
    "CosineDecayRestarts": {"initial_learning_rate": 0.1, "first_decay_steps": 4},
    "ExponentialDecay": {"initial_learning_rate": 0.1, "decay_steps": 4, "decay_rate": 0.5},
    "InverseTimeDecay": {"initial_learning_rate": 0.1, "decay_steps": 4, "decay_rate": 0.5},
    "PiecewiseConstantDecay": {"boundaries": [3, 7], "values": [0.1, 0.05, 0.01]},
    "PolynomialDecay": {"initial_learning_rate": 0.1, "decay_steps": 8},
}
# Arguments that count together only.
TOGETHER: dict[str, tuple[dict[str, Any], ...]] = {
    "relu": ({"alpha": 0.2, "max_value": 2.0, "threshold": 0.5},),
    "MinMaxNorm": ({"min_value": 0.5, "max_value": 0.8, "rate": 0.3},),
    "L1L2": ({"l1": 0.1, "l2": 0.2},),
    "BinaryCrossentropy": ({"from_logits": True, "label_smoothing": 0.2},),
    "CategoricalCrossentropy": ({"from_logits": True, "label_smoothing": 0.2},),
    "SparseCategoricalCrossentropy": ({"from_logits": True, "ignore_class": 1},),
    "AUC": (
        {"multi_label": True, "num_labels": 3},
        {"multi_label": True, "label_weights": [0.2, 0.3, 0.5]},
        {"multi_label": True, "num_labels": 3, "from_logits": True},
        {"curve": "PR", "summation_method": "majoring"},
        {"thresholds": [0.3, 0.6], "curve": "PR"},
    ),
    "SGD": (
        {"momentum": 0.8, "nesterov": True},
        {"momentum": 0.8, "weight_decay": 0.1, "use_ema": True},
    ),
    "RMSprop": ({"momentum": 0.8, "centered": True}, {"use_ema": True, "ema_momentum": 0.5}),
    "Adam": (
        {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 3},
        {"amsgrad": True, "weight_decay": 0.1, "clipnorm": 0.5},
    ),
    "CosineDecay": ({"warmup_target": 0.3, "warmup_steps": 3}, {"warmup_target": 0.3}),
    "PolynomialDecay": ({"cycle": True, "power": 2.0},),
    "PiecewiseConstantDecay": ({"boundaries": [1.5], "values": [1, 2]},),
}
TOGETHER["OneHotIoU"] = ({"sparse_y_pred": True},)
_LEGACY = ({"decay": 0.1}, {"lr": 0.05}, {"clipnorm": 0.3}, {"clipvalue": 0.3},
           {"global_clipnorm": 0.3})  # fmt: skip

# Titles whose numbers differ, as `fnmatch` has patterns: the reason.
_CLIPPED = "predictions at or beyond 0 and 1: Keras 2 adds 1e-7 within the logarithm too"
_NO_SHARES = "predictions that are no shares: Keras 2 clips them, then divides by their sum"
_COLUMN = "Keras 2 drops the column and takes the batch for classes; in `fit` both are columns"
_INFINITE = "of infinite numbers: 0 times infinity in one of the formulas"
LISTED: dict[str, str] = {
    **{
        f"*losses.*{name}*: *{label}": _CLIPPED
        for name in ("inary", "get('bce'", "get('BCE'")
        for label in ("real", "signs", "zeros and ones", "large", "zeros", "ones", "beyond 0 and 1",
                      "whole targets", "true and false")
    },
    **{
        f"*metrics.*inary*rossentropy*: *{label}": _CLIPPED
        for label in ("real", "signs", "zeros and ones", "large", "zeros", "ones", "beyond 0 and 1",
                      "whole targets", "true and false", "series", "classes", "thresholds")
    },
    **{
        f"*metrics.*parse*rossentropy*: *{label}": _NO_SHARES
        for label in ("logits", "large", "zeros", "not scaled")
    },
    **{
        f"*losses.*parse*: *{label}": _NO_SHARES
        for label in ("logits", "large", "zeros", "not scaled")
    },
    "*losses.*: a vector and a column": _COLUMN,
    "*losses.*: a column and a vector": _COLUMN,
    "*metrics.*: a vector and a column": _COLUMN,
    "*metrics.*: a column and a vector": _COLUMN,
    "*metrics.F*Score(*: plain, signs": "targets below 0",
    "*metrics.*: not numbers": "what is no number is not above a threshold",
    "*activations.*gelu*: infinite": _INFINITE,
    "*activations.*softmax*: infinite": _INFINITE,
    "*activations.*softmax*: not numbers": "TensorFlow gives 0 beside what is no number",
    "*constraints.*in*ax*orm*: infinite": _INFINITE,
    "*constraints.*on*eg*: infinite": _INFINITE,
    "*activations.relu(*threshold*: not numbers": "what is no number is not above a threshold",
    "*use_ema=True*: slots": "Keras 2 averages from the initial weights on, today the first update",
    "*use_ema=True*: finalized": "the same",
    "*optimizers.*SGD*: slots": "momenta that Keras 2 makes where there is no momentum",
    "*optimizers.get('sgd'): slots": "the same",
    "*optimizers.legacy.Ftrl(lr=*": "tf_keras takes no notice of `lr` there",
    "*CosineDecayRestarts(*t_mul=1.5): step 10*": "a restart on a step, by a rounded logarithm",
}  # fmt: skip

Case = tuple[str, str, dict[str, Any] | None]


# What is tried -----------------------------------------------------------------------------------


def cases(keras: Any) -> Iterator[Case]:
    """Yield the module, the name and the arguments; `None` for what `get` makes of the name.

    Raises:
        LookupError: `keras` has an argument that the tables lack.
    """
    for kind in KINDS:
        module = functools.reduce(getattr, kind.split("."), keras)
        for name, found in _public(module):
            required = REQUIRED.get(name, {})
            yield kind, name, required
            if found is None:  # another name of one before
                continue
            for argument in inspect.signature(found).parameters:
                if argument in _NOT_TRIED:
                    continue
                own = f"{name}.{argument}"
                if own not in VALUES and argument not in VALUES:
                    raise LookupError(f"`VALUES` of {__name__} lacks {own}.")
                for value in VALUES.get(own, VALUES.get(argument, ())):
                    yield kind, name, {**required, argument: value}
            for together in TOGETHER.get(name, ()):
                new = ("use_ema", "weight_decay")
                if kind != "optimizers.legacy" or not set(new) & together.keys():
                    yield kind, name, {**required, **together}
            if kind == "optimizers.legacy":
                for given in _LEGACY:
                    yield kind, name, given
        if hasattr(module, "get"):
            for name in _named(keras, kind, module):
                yield kind, name, None


def _public(module: Any) -> Iterator[tuple[str, Any]]:
    seen: set[int] = set()
    for name in sorted(dir(module)):
        value = getattr(module, name)
        if name[0] == "_" or inspect.ismodule(value) or name in (*_HELPERS, *_BASES):
            continue
        if callable(value):
            yield name, None if id(value) in seen else value
            seen.add(id(value))


def _named(keras: Any, kind: str, module: Any) -> Iterator[str]:
    """Yield the names that `get` takes: those of the module's files as well."""
    source = importlib.import_module(f"{keras.__name__}.src.{kind}")
    local = getattr(source, "LOCAL", None)
    names = {*vars(source), *vars(module), *getattr(local, "ALL_OBJECTS", ())}
    if kind == "metrics":
        names |= {*vars(source.base_metric), *vars(source.accuracy_metrics)}
    for name in sorted(names):
        if name[0] == "_" or name in (*_HELPERS, *_BASES) or REQUIRED.get(name):
            continue
        try:
            made = module.get(name)
        except Exception:
            continue
        home = getattr(type(made) if not inspect.isfunction(made) else made, "__module__", "")
        if home.startswith(f"{keras.__name__}.src.{kind.partition('.')[0]}"):
            yield name


def _title(case: Case) -> str:
    kind, name, arguments = case
    if arguments is None:
        return f"{kind}.get({name!r})"
    return f"{kind}.{name}({', '.join(f'{k}={v!r}' for k, v in arguments.items())})"


def _make(keras: Any, case: Case) -> Any:
    """Make what a case is about: an object, or a function with arguments."""
    kind, name, arguments = case
    module = functools.reduce(getattr, kind.split("."), keras)
    if arguments is None:
        return module.get(name)
    found = getattr(module, name)
    if inspect.isclass(found) or kind in ("constraints", "initializers", "regularizers"):
        return found(**arguments)
    return functools.partial(found, **arguments) if arguments else found


# TensorFlow --------------------------------------------------------------------------------------


def write(path: pathlib.Path, only: str) -> None:
    """Compute with `tf_keras`: in a process of its own, without torchkeras."""
    import tensorflow as tf
    import tf_keras

    found = []
    for case in cases(tf_keras):
        if only not in _title(case):
            continue
        try:
            made = _make(tf_keras, case)
            forms = {} if isinstance(made, functools.partial) else _forms(tf_keras, case, made)
        except Exception as error:
            found.append((case, {}, {}, repr(error)))
            continue
        results = evaluate(case[0], case[1], made, tf.constant, tf.Variable)
        found.append((case, forms, results, None))
    path.write_bytes(pickle.dumps(found))


def _forms(keras: Any, case: Case, made: Any) -> dict[str, Any]:
    """Return the configuration of what holds `made`, in the form of `.h5` and of `.keras`."""
    from tf_keras.src.saving.legacy.saved_model import json_utils
    from tf_keras.src.saving.legacy.saving_utils import model_metadata

    kind, name, arguments = case
    argument = KINDS[kind]
    given = name if arguments is None else made
    forms: dict[str, Callable[[], Any]]
    if argument in ("loss", "metrics", "optimizer", "learning_rate"):
        model = keras.Sequential([keras.layers.Dense(3, input_shape=(3,))])
        if argument == "learning_rate":
            argument, given = "optimizer", keras.optimizers.Adam(learning_rate=given)
        given = {argument: [given] if argument == "metrics" else given}
        model.compile(**{"optimizer": "sgd", "loss": "mse", **given})
        forms = {
            "h5": lambda: model_metadata(model)["training_config"],
            "keras": model.get_compile_config,
        }
    else:
        layer = keras.layers.Dense(3, name="d", **{argument: given})
        forms = {
            "h5": lambda: keras.layers.serialize(layer, use_legacy_format=True),
            "keras": lambda: keras.layers.serialize(layer),
        }
    found = {}
    for form, config in forms.items():
        try:
            found[form] = json.loads(json.dumps(config(), default=json_utils.get_json_type))
        except Exception as error:  # what Keras 2 cannot save
            print(f"{_title(case)}: tf_keras cannot write it into .{form}: {error}"[:200])
    return found


# torchkeras --------------------------------------------------------------------------------------


def read(kind: str, config: Any) -> Any:
    """Make the object that is in a configuration of a file of Keras 2."""
    import torchkeras
    from torchkeras.saving.legacy_config import modernize
    from torchkeras.saving.legacy_training import modernize_training

    argument = KINDS[kind]
    if argument not in ("loss", "metrics", "optimizer", "learning_rate"):
        layer = torchkeras.layers.deserialize(modernize(config, "the file", "2.15.0"))
        return getattr(layer, argument)
    held = "optimizer" if argument == "learning_rate" else argument
    value = modernize_training(config, "the file")[held]
    value = value[0] if held == "metrics" else value
    get = {"loss": "losses", "metrics": "metrics", "optimizer": "optimizers"}[held]
    made = getattr(torchkeras, get).get(value)
    return made._learning_rate if argument == "learning_rate" else made


def compare(path: pathlib.Path, progress: Callable[[str], Any] = print) -> bool:
    """Compute the same with torchkeras, print what differs, and return whether nothing does."""
    import torch

    import torchkeras
    import torchkeras.dropin

    torchkeras.dropin.install("keras", "tf_keras")
    alias = importlib.import_module("tf_keras")
    counts: collections.Counter[str] = collections.Counter()
    unmet = set(LISTED)
    for case, forms, results, refused in pickle.loads(path.read_bytes()):
        if refused is not None:
            counts["refused by tf_keras"] += 1
            continue
        ways: dict[str, Callable[[], Any]] = {"tf_keras": functools.partial(_make, alias, case)}
        for form, config in forms.items():
            ways[form] = functools.partial(read, case[0], config)
        for way, make in ways.items():
            title = f"{way} {_title(case)}"
            try:
                made = make()
            except Exception as error:
                counts["refused"] += 1
                progress(f"refused {title}: {type(error).__name__}: {error}".replace("\n", " "))
                continue
            ours = evaluate(case[0], case[1], made, torch.from_numpy, torchkeras.Variable)
            for label, word, details in differences(case[0], results, ours):
                listed = next(
                    (p for p in LISTED if fnmatch.fnmatchcase(f"{title}: {label}", p)), None
                )
                if word == "DIFFERENT" and listed is not None:
                    unmet.discard(listed)
                    word = "listed"
                counts[word] += 1
                if word in ("DIFFERENT", "refused"):
                    progress(f"{word} {title}: {label}: {details}")
    for pattern in unmet:
        progress(f"listed, but the same: {pattern}")
    progress(f"{dict(counts)}")
    total = counts["same"] + counts["DIFFERENT"]
    progress(f"{counts['same']}/{total}")
    return bool(total) and not counts["DIFFERENT"]


def main() -> int:
    """Let TensorFlow compute, compare."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="cases whose title contains this")
    parser.add_argument("--write", type=pathlib.Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.write is not None:
        write(arguments.write, arguments.only)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "found.pickle"
        command = [sys.executable, "-m", f"{__package__}.functions", "--write", str(path)]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
        subprocess.run([*command, "--only", arguments.only], check=True, env=environment)
        return int(not compare(path))


if __name__ == "__main__":
    sys.exit(main())
