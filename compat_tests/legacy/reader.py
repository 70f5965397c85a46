"""Reads what `writer` wrote, with torchkeras, and says what differs."""

from __future__ import annotations

import pathlib
import pickle
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

import torchkeras
from torchkeras.tree import flatten

__all__ = ["differences"]

_WEIGHTS = ("model.weights.h5", "model.ckpt")


def differences(folder: pathlib.Path) -> Iterator[tuple[str, str, str]]:
    """Yield for each file its name, a word for how it went, and details.

    The words: `same`; `refused`, with an error that says why; `warned`, another number with a
    warning; `SILENT`, another number without one; `failed`, any other exception.
    """
    found = pickle.loads((folder / "found.pickle").read_bytes())
    if "failed" in found:
        yield found["name"], "unwritten", found["failed"].strip().splitlines()[-1]
        return
    for file, why in found["refused"].items():
        yield f"{found['name']} .{file}", "unwritten", why
    for file in found["files"]:
        if file == "model.json":
            continue  # read along with the weights
        title = f"{found['name']} {file.removeprefix('model')}"
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                wrong = _compare(folder / file, found)
            except torchkeras.saving.FileFormatError as error:
                yield title, "refused", str(error).splitlines()[0]
                continue
            except Exception as error:
                yield title, "failed", f"{type(error).__name__}: {error}"[:300]
                continue
        if wrong is None:
            yield title, "same", ""
        elif caught:
            told = dict.fromkeys(str(warning.message) for warning in caught)
            yield title, "warned", "; ".join([wrong, *told])[:1000]
        else:
            yield title, "SILENT", wrong[:300]


def _compare(path: pathlib.Path, found: dict[str, Any]) -> str | None:
    custom = found["custom"] and found["custom"](torchkeras)
    if path.name in _WEIGHTS:
        text = path.with_name("model.json").read_text()
        model = torchkeras.models.model_from_json(text, custom_objects=custom)
        model.load_weights(path)
        found = {key: value for key, value in found.items() if key != "y"}
    else:
        model = torchkeras.models.load_model(path, custom_objects=custom)
    x = found["x"]
    names = [layer.name for layer in model.layers]
    if names != found["names"]:
        return f"names {names} for {found['names']}"
    wrong = _numbers("predictions", found["predictions"], _outputs(model, x), 1e-5)
    if wrong or "y" not in found:
        return wrong
    iterations = int(model.optimizer.iterations)
    if iterations != found["iterations"]:
        return f"iterations {iterations} for {found['iterations']}"
    _reset(model)
    losses = [np.asarray(model.train_on_batch(x, found["y"])) for _ in found["losses"]]
    expected = found["losses"]
    if repeated := len(set(model.output_names)) < len(model.output_names):
        # Outputs of one layer share its name in Keras 3, and so one entry of their losses.
        losses, expected = [loss[0] for loss in losses], [loss[0] for loss in expected]
    if [loss.size for loss in losses] == [np.size(loss) for loss in expected]:
        wrong = _numbers("losses", [np.asarray(expected)], [np.asarray(losses)], 1e-4)
    else:
        wrong = f"losses {losses[0]} for {expected[0]}"
    outputs = _outputs(model, x)
    logs = list(model.train_on_batch(x, found["y"], return_dict=True))
    if not repeated and sorted(logs) != sorted(found["logs"]):
        wrong = wrong or f"logs {logs} for {found['logs']}"
    return wrong or _numbers("trained", found["after"], outputs, 1e-4)


def _outputs(model: Any, x: Any) -> list[np.ndarray]:
    _reset(model)
    return [np.asarray(out.detach()) for out in flatten(model(x, training=False))]


def _reset(model: Any) -> None:
    for layer in model.layers:
        if getattr(layer, "stateful", False):
            layer.reset_state()


def _numbers(
    what: str, theirs: list[np.ndarray], ours: list[np.ndarray], tolerance: float
) -> str | None:
    if len(theirs) != len(ours):
        return f"{what}: {len(ours)} for {len(theirs)}"
    for a, b in zip(theirs, ours, strict=True):
        if a.shape != b.shape:
            return f"{what}: shape {b.shape} for {a.shape}"
        if a.dtype.kind != b.dtype.kind and what == "predictions":
            return f"{what}: {b.dtype} for {a.dtype}"
        if np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
            continue
        scale = max(float(np.abs(a).max(initial=0)), 1e-3)
        apart = float(np.abs(a.astype(np.result_type(a, "float64")) - b).max(initial=0)) / scale
        if not apart <= tolerance:
            return f"{what} differ by {apart:.2g} of the largest"
    return None
