"""Plants silent faults in how old files are read, and says whether the comparison notices each.

`python -m compat_tests.legacy --control` runs it in a process of its own, since it patches
torchkeras: on the files of the cases that a fault concerns.
"""

from __future__ import annotations

import collections
import contextlib
import pathlib
import pickle
import sys
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import numpy as np
import torch

from torchkeras import activations
from torchkeras.saving import (
    h5_guard,
    keras_archive,
    legacy_config,
    legacy_h5,
    legacy_training,
    tf_bundle,
    tf_checkpoint,
)

from .reader import differences

__all__ = ["FAULTS"]

_Modernizer = legacy_config._Modernizer


def _without(argument: str) -> Any:
    values = _Modernizer._values

    def less(self: Any, inner: dict[str, Any]) -> dict[str, Any]:
        return values(self, {key: inner[key] for key in inner if key != argument})

    return mock.patch.object(_Modernizer, "_values", less)


def _known_only() -> Any:
    def known_arguments(self: Any, name: str, inner: dict[str, Any]) -> dict[str, Any]:
        cls = legacy_config.find_builtin(f"keras.layers.{name}")
        known = inner if cls is None else legacy_config.constructor_parameters(cls)
        return {key: value for key, value in inner.items() if key in known}

    return mock.patch.object(_Modernizer, "_known_arguments", known_arguments)


@contextlib.contextmanager
def _backwards() -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for cls in (h5_guard.H5File, tf_bundle.Bundle):
            stack.enter_context(mock.patch.object(cls, "read", _reversed(cls.read)))
        yield


def _reversed(read: Callable[..., Any]) -> Callable[..., Any]:
    def reversed_columns(self: Any, which: Any) -> Any:
        value = read(self, which)
        if isinstance(value, torch.Tensor):
            return value.flip(-1) if value.ndim > 1 else value
        has_columns = isinstance(value, np.ndarray) and value.ndim > 1
        return value[..., ::-1].copy() if has_columns else value

    return reversed_columns


def _todays_hard_sigmoid() -> Any:
    new = {"keras2_hard_sigmoid": activations.hard_sigmoid}
    return mock.patch.dict(activations._ACTIVATIONS.objects, new)


def _no_state(module: Any) -> Any:
    return mock.patch.object(module, "load_optimizer_state", lambda *_: True)


def _names_of_functions() -> Any:
    return mock.patch.object(legacy_training, "_named", lambda function, name: function)


# What is wrong: how it is made so, and the case and the files that have to differ silently.
FAULTS: dict[str, tuple[Callable[[], Any], str, str]] = {
    "an argument with another name today is dropped": (_known_only, "LeakyReLU(alpha=0.05)", ""),
    "epsilon is today's": (lambda: _without("epsilon"), "BatchNormalization(epsilon=0.1)", ""),
    "momentum is today's": (lambda: _without("momentum"), "BatchNormalization(momentum=0.5)", ""),
    "kernels are read with their columns backwards": (_backwards, "LSTM", ""),
    "hard_sigmoid is today's": (
        _todays_hard_sigmoid,
        "Activation(activation='hard_sigmoid')",
        "",
    ),
    "the optimizer of .h5 starts afresh": (lambda: _no_state(legacy_h5), "Adam({})", ".h5"),
    "that of .keras starts afresh": (lambda: _no_state(keras_archive), "Adam({})", ".keras"),
    "that of a SavedModel starts afresh": (lambda: _no_state(tf_checkpoint), "Adam({})", ".tf"),
    "metrics go by the names of their functions": (_names_of_functions, "metric mae", ".h5"),
}


def main() -> int:
    """Plant each fault in turn; fail if one is not noticed."""
    folders: dict[str, pathlib.Path] = {}
    for folder in sorted(pathlib.Path(sys.argv[1]).iterdir()):
        folders[pickle.loads((folder / "found.pickle").read_bytes())["name"]] = folder
    noticed = 0
    for fault, (plant, case, files) in FAULTS.items():
        words = []
        for faulty in (False, True):
            with plant() if faulty else contextlib.nullcontext():
                found = [word for title, word, _ in differences(folders[case]) if files in title]
            words.append(collections.Counter(found))
        sound, faulty = words
        seen = sound["same"] == sound.total() > 0 and faulty["SILENT"] == faulty.total()
        noticed += seen
        print("noticed:" if seen else f"NOT NOTICED ({dict(faulty)}):", fault, flush=True)
    print(f"{noticed}/{len(FAULTS)} planted faults are noticed")
    return int(noticed < len(FAULTS))


if __name__ == "__main__":
    sys.exit(main())
