"""One engine, one model, one process: prints its times as a line of JSON.

`python -m benchmarks.engines ENGINE MODEL [options]`; `run.py` calls it.
`fit`, `evaluate` and `predict` are timed as a user sees them: the whole call, NumPy arrays in,
numbers out, after one call that warms up. Every engine shuffles (in `fit`), computes the loss and
(of classifiers) the accuracy of each batch and reports their means at the end of an epoch.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import models_keras, models_torch
from .data import CASES, make_data
from .harness import ALL_TITLES, FRAMEWORKS, best_of

__all__ = ["ENGINES", "measure", "overhead"]

ENGINES = tuple(ALL_TITLES)
# A deep model of small layers, to time how it is made.
DEPTH, WIDTH = 200, 64


class HandWritten:
    """The loop a careful PyTorch user writes.

    No `DataLoader` but one `index_select` per batch and array; fused Adam; no synchronization with
    the device within an epoch. Images are gathered as NHWC, where a sample is one block of memory,
    and seen as NCHW in `channels_last` format without a copy.
    """

    def __init__(self, name: str, device: torch.device) -> None:
        self.classes = CASES[name].classes
        self.device = device
        self.model = models_torch.build(name).to(device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), 1e-3, eps=1e-7, fused=True)

    def count_params(self) -> int:
        """Number of weights, batch statistics among them."""
        state = self.model.state_dict()
        return sum(w.numel() for key, w in state.items() if not key.endswith("tracked"))

    def _put(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    def _outputs(self, batch: Tensor) -> Tensor:
        return self.model(batch.permute(0, 3, 1, 2) if batch.ndim == 4 else batch)

    def _loss_and_hits(self, outputs: Tensor, y: Tensor) -> tuple[Tensor, Tensor | None]:
        if self.classes == 0:
            return F.mse_loss(outputs, y), None
        if self.classes == 2:
            return F.binary_cross_entropy(outputs, y), ((outputs > 0.5) == y).sum()
        return F.cross_entropy(outputs, y), (outputs.argmax(1) == y).sum()

    def fit(self, x: np.ndarray, y: np.ndarray, batch_size: int, epochs: int) -> dict[str, float]:
        """Train for `epochs` passes; return the last one's mean loss and accuracy."""
        inputs, labels = self._put(x), self._put(y)
        count, logs = len(inputs), {}
        optimizer = self.optimizer
        self.model.train()
        for _ in range(epochs):
            order = torch.randperm(count, device=self.device)
            total = torch.zeros((), device=self.device)
            hits = torch.zeros((), dtype=torch.int64, device=self.device)
            for index in order.split(batch_size):
                target = labels.index_select(0, index)
                outputs = self._outputs(inputs.index_select(0, index))
                loss, right = self._loss_and_hits(outputs, target)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.detach() * len(target)
                if right is not None:
                    hits += right
            logs = {"loss": total.item() / count}
            if self.classes:
                logs["accuracy"] = hits.item() / count
        return logs

    def evaluate(self, x: np.ndarray, y: np.ndarray, batch_size: int) -> dict[str, float]:
        """The mean loss and accuracy."""
        self.model.eval()
        with torch.inference_mode():
            inputs, labels = self._put(x), self._put(y)
            total = torch.zeros((), device=self.device)
            hits = torch.zeros((), dtype=torch.int64, device=self.device)
            for batch, target in zip(
                inputs.split(batch_size), labels.split(batch_size), strict=True
            ):
                loss, right = self._loss_and_hits(self._outputs(batch), target)
                total += loss * len(target)
                if right is not None:
                    hits += right
        logs = {"loss": total.item() / len(inputs)}
        if self.classes:
            logs["accuracy"] = hits.item() / len(inputs)
        return logs

    def predict(self, x: np.ndarray, batch_size: int) -> np.ndarray:
        """The model's outputs for all of `x`."""
        self.model.eval()
        with torch.inference_mode():
            outputs = [self._outputs(batch) for batch in self._put(x).split(batch_size)]
            return torch.cat(outputs).cpu().numpy()


def _keras_of(engine: str) -> Any:
    """Import what an engine's models are written in."""
    return importlib.import_module(engine.partition("-")[0])


class KerasStyle:
    """`fit`, `evaluate` and `predict` of `keras` (on one of its backends) or `torchkeras`."""

    def __init__(self, engine: str, name: str) -> None:
        keras = _keras_of(engine)
        self.model = models_keras.build(keras, name)

    def count_params(self) -> int:
        """Number of weights, batch statistics among them."""
        return self.model.count_params()

    def fit(self, x: np.ndarray, y: np.ndarray, batch_size: int, epochs: int) -> dict[str, float]:
        """Train for `epochs` passes; return the last one's logs."""
        history = self.model.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0)
        return {key: float(values[-1]) for key, values in history.history.items()}

    def evaluate(self, x: np.ndarray, y: np.ndarray, batch_size: int) -> dict[str, float]:
        """The mean loss and accuracy."""
        logs = self.model.evaluate(x, y, batch_size=batch_size, verbose=0, return_dict=True)
        return {key: float(value) for key, value in logs.items()}

    def predict(self, x: np.ndarray, batch_size: int) -> np.ndarray:
        """The model's outputs for all of `x`."""
        return self.model.predict(x, batch_size=batch_size, verbose=0)


def measure(engine: str, name: str, scale: float, repeats: int) -> dict[str, Any]:
    """Time what one model does; `scale` shortens the epochs for a quick look.

    Returns: `fit_us`, `evaluate_us` and `predict_us` per batch, `small_us` of `predict` of one
        batch alone, the number of weights, and the logs of training and evaluation.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    case = CASES[name]
    steps = max(2, round(case.steps * scale))
    x, y = make_data(name, steps)
    run = HandWritten(name, device) if engine == "torch" else KerasStyle(engine, name)
    run.fit(x[: 2 * case.batch_size], y[: 2 * case.batch_size], case.batch_size, 1)
    epochs = 2
    logs: dict[str, float] = {}
    fit_s = best_of(lambda: logs.update(run.fit(x, y, case.batch_size, epochs)), repeats)
    outputs = run.predict(x, case.batch_size)
    if len(outputs) != len(x) or not np.isfinite(outputs).all():
        raise RuntimeError(f"{engine} predicted {outputs.shape} for {len(x)} samples of {name}")
    predict_s = best_of(lambda: run.predict(x, case.batch_size), 3 * repeats)
    few = x[: case.batch_size]
    small_s = best_of(lambda: run.predict(few, case.batch_size), 10 * repeats)
    found: dict[str, float] = run.evaluate(x, y, case.batch_size)
    evaluate_s = best_of(lambda: run.evaluate(x, y, case.batch_size), 3 * repeats)
    return {
        "fit_us": 1e6 * fit_s / (steps * epochs),
        "evaluate_us": 1e6 * evaluate_s / steps,
        "predict_us": 1e6 * predict_s / steps,
        "small_us": 1e6 * small_s,
        "params": run.count_params(),
        "logs": logs,
        "found": found,
        "device": str(device),
    }


def overhead(engine: str, repeats: int) -> dict[str, float]:
    """Time what a call and the making of layers cost.

    Returns: Of calls, in microseconds, of a built layer that does nothing, a built `Dense(8)`, and
        the MLP of the models on one row; and `building_s` of a model of 200 small layers.
    """
    x, row = np.zeros((2, 8), "float32"), np.zeros((1, *CASES["mlp"].shape), "float32")
    if engine == "torch":
        passing, dense = torch.nn.Identity(), torch.nn.Linear(8, 8)
        mlp, tensor = models_torch.build("mlp").eval(), torch.from_numpy
    else:
        keras = _keras_of(engine)

        class Passing(keras.layers.Layer):
            def call(self, inputs: Any) -> Any:
                return inputs

        passing, dense = Passing(), keras.layers.Dense(8)
        mlp, tensor = models_keras.build(keras, "mlp"), keras.ops.convert_to_tensor
    calls = 5000 if FRAMEWORKS[engine] == "torch" else 500
    times = {}
    subjects = (("identity", passing, x), ("dense", dense, x), ("row", mlp, row))
    with torch.no_grad():
        for label, layer, inputs in subjects:
            given = tensor(inputs)
            layer(given)

            def loop(layer: Any = layer, given: Any = given) -> None:
                for _ in range(calls):
                    layer(given)

            times[f"{label}_us"] = 1e6 * best_of(loop, repeats) / calls
    build = _deep_in_torch if engine == "torch" else lambda: _deep_in_keras(keras)
    build()
    return {**times, "building_s": best_of(build, 3 * repeats)}


def _deep_in_torch() -> Any:
    """Make a model of many small layers."""
    layers = [torch.nn.Linear(WIDTH, WIDTH) for _ in range(DEPTH)]
    return torch.nn.Sequential(*(part for layer in layers for part in (layer, torch.nn.ReLU())))


def _deep_in_keras(keras: Any) -> Any:
    """The same as a functional model."""
    x = inputs = keras.Input((WIDTH,))
    for _ in range(DEPTH):
        x = keras.layers.Dense(WIDTH, activation="relu")(x)
    return keras.Model(inputs, x)


def main() -> None:
    """Measure what the command line names and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("model", choices=(*CASES, "overhead"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    os.environ["KERAS_BACKEND"] = FRAMEWORKS[options.engine]
    torch.set_num_threads(options.threads)
    if options.model == "overhead":
        result = overhead(options.engine, options.repeats)
    else:
        result = measure(options.engine, options.model, options.scale, options.repeats)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
