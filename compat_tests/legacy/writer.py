"""Writes the cases with `tf_keras`: run in a process of its own, without torchkeras."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import logging
import os
import pathlib
import pickle
import time
import traceback
import warnings
import zlib
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np  # noqa: E402

from .cases import Case, draw  # noqa: E402
from .graphs import graph_cases  # noqa: E402
from .layers import layer_cases  # noqa: E402
from .operations import operation_cases  # noqa: E402
from .training import training_cases  # noqa: E402

STEPS_BEFORE, STEPS_AFTER = 2, 5
# Each takes `tf_keras` and yields cases.
SOURCES = (
    graph_cases,
    layer_cases,
    operation_cases,
    training_cases,
)
# How a model gets to a path that ends in the key. Weights are read into a model of `model.json`.
FORMATS: dict[str, Callable[[Any, pathlib.Path], Any]] = {
    "h5": lambda model, path: model.save(path),
    "keras": lambda model, path: model.save(path),
    "tf": lambda model, path: model.save(path, save_format="tf"),
    "json": lambda model, path: path.write_text(model.to_json()),
    "weights.h5": lambda model, path: model.save_weights(path),
    "ckpt": lambda model, path: model.save_weights(path, save_format="tf"),
}


def write(keras: Any, case: Case, folder: pathlib.Path) -> dict[str, Any]:
    """Make, train and save the model of a case, and return what it computed."""
    random = np.random.default_rng(zlib.crc32(case.name.encode()))
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    model = case.make(keras)
    x = [draw(spec, random) for spec in case.inputs]
    x = x if len(x) > 1 else x[0]
    for layer in model.weights and model.layers:
        if all(weight.dtype.kind == "f" for weight in layer.get_weights()):
            layer.set_weights([random.uniform(0.1, 0.9, w.shape) for w in layer.get_weights()])
    found: dict[str, Any] = {"x": x, "names": [layer.name for layer in model.layers]}
    found["custom"] = case.custom
    if case.compile is not None and model.trainable_weights:
        outputs = _outputs(keras, model, x)
        y = [random.normal(size=out.shape).astype("float32") for out in outputs]
        if case.targets is not None:
            y = case.targets(outputs, random)
        found["y"] = y if len(y) > 1 else y[0]
        model.compile(**case.compile(keras), run_eagerly=True)
        for _ in range(STEPS_BEFORE):
            logs = model.train_on_batch(x, found["y"], return_dict=True)
        found["logs"] = list(logs)
        found["iterations"] = int(model.optimizer.iterations.numpy())
    _reset(model)
    found["predictions"] = _outputs(keras, model, x)
    _reset(model)
    found["files"], found["refused"] = [], {}
    for ending in case.formats:
        path = folder / f"model.{ending}"
        try:
            FORMATS[ending](model, path)
            found["files"].append(path.name)
        except Exception as error:
            found["refused"][ending] = repr(error)[:200]
    if "y" in found:
        found["losses"] = [
            np.asarray(model.train_on_batch(x, found["y"])).tolist() for _ in range(STEPS_AFTER)
        ]
        _reset(model)
        found["after"] = _outputs(keras, model, x)
    return found


def _reset(model: Any) -> None:
    if hasattr(model, "reset_states"):
        model.reset_states()


def _outputs(keras: Any, model: Any, x: Any) -> list[np.ndarray]:
    flat = keras.src.engine.base_layer.tf.nest.flatten(model(x, training=False))
    return [np.asarray(out.numpy() if hasattr(out, "numpy") else out) for out in flat]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--formats", default="")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    import tf_keras

    tf_keras.utils.disable_interactive_logging()
    cases = itertools.chain.from_iterable(source(tf_keras) for source in SOURCES)
    for number, case in enumerate(cases):
        if arguments.only and arguments.only not in case.name:
            continue
        if arguments.formats:
            case = dataclasses.replace(case, formats=tuple(arguments.formats.split(",")))
        folder = arguments.folder / f"{number:04}"
        folder.mkdir(parents=True, exist_ok=True)
        began = time.perf_counter()
        try:
            found = write(tf_keras, case, folder)
        except Exception:
            found = {"failed": traceback.format_exc(limit=-3)}
        found["name"] = case.name
        found["seconds"] = time.perf_counter() - began
        (folder / "found.pickle").write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main()
