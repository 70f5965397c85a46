"""One engine, one model, one process: prints its times as a line of JSON.

`python -m benchmarks.engines ENGINE MODEL [options]`; `run.py` calls it.
`fit` and `predict` are timed as a user sees them: the whole call, NumPy arrays in, numbers out,
after one call that warms up. Every engine shuffles, computes the loss and (of classifiers) the
accuracy of each batch and reports their means at the end of an epoch.
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
from .harness import TITLES, best_of

__all__ = ["ENGINES", "measure", "overhead"]

ENGINES = tuple(TITLES)


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

    def predict(self, x: np.ndarray, batch_size: int) -> np.ndarray:
        """The model's outputs for all of `x`."""
        self.model.eval()
        with torch.inference_mode():
            outputs = [self._outputs(batch) for batch in self._put(x).split(batch_size)]
            return torch.cat(outputs).cpu().numpy()


class KerasStyle:
    """`fit` and `predict` of `keras` (on torch) or `torchkeras`."""

    def __init__(self, engine: str, name: str) -> None:
        keras = importlib.import_module(engine)
        self.model = models_keras.build(keras, name)

    def count_params(self) -> int:
        """Number of weights, batch statistics among them."""
        return self.model.count_params()

    def fit(self, x: np.ndarray, y: np.ndarray, batch_size: int, epochs: int) -> dict[str, float]:
        """Train for `epochs` passes; return the last one's logs."""
        history = self.model.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0)
        return {key: float(values[-1]) for key, values in history.history.items()}

    def predict(self, x: np.ndarray, batch_size: int) -> np.ndarray:
        """The model's outputs for all of `x`."""
        return self.model.predict(x, batch_size=batch_size, verbose=0)


def measure(engine: str, name: str, scale: float, repeats: int) -> dict[str, Any]:
    """Time `fit` and `predict` of one model; `scale` shortens the epochs for a quick look.

    Returns: `fit_us` and `predict_us` per batch, the number of weights and the logs of training.
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
    return {
        "fit_us": 1e6 * fit_s / (steps * epochs),
        "predict_us": 1e6 * predict_s / steps,
        "params": run.count_params(),
        "logs": logs,
        "device": str(device),
    }


def overhead(engine: str, repeats: int) -> dict[str, float]:
    """Time of calling a built layer that does nothing, and a built `Dense(8)`, in microseconds."""
    x = torch.zeros(2, 8)
    if engine == "torch":
        passing, dense = torch.nn.Identity(), torch.nn.Linear(8, 8)
    else:
        keras = importlib.import_module(engine)

        class Passing(keras.layers.Layer):
            def call(self, inputs: Any) -> Any:
                return inputs

        passing, dense = Passing(), keras.layers.Dense(8)
    calls = 5000
    times = {}
    with torch.no_grad():
        for label, layer in (("identity_us", passing), ("dense_us", dense)):
            layer(x)

            def loop(layer: Any = layer) -> None:
                for _ in range(calls):
                    layer(x)

            times[label] = 1e6 * best_of(loop, repeats) / calls
    return times


def main() -> None:
    """Measure what the command line names and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("model", choices=(*CASES, "overhead"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    os.environ["KERAS_BACKEND"] = "torch"
    torch.set_num_threads(options.threads)
    if options.model == "overhead":
        result = overhead(options.engine, options.repeats)
    else:
        result = measure(options.engine, options.model, options.scale, options.repeats)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
