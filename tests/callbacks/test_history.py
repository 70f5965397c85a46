"""CSVLogger, TerminateOnNaN, RemoteMonitor and SwapEMAWeights."""

import csv
import http.server
import json
import sys
import threading
import types
import urllib.parse

import numpy as np
import pytest
import torch

from torchkeras import Sequential, layers, optimizers
from torchkeras.callbacks import (
    Callback,
    CallbackList,
    CSVLogger,
    RemoteMonitor,
    SwapEMAWeights,
    TerminateOnNaN,
)


def epochs(callback, logs, first=0):
    callback.on_train_begin()
    for epoch, log in enumerate(logs, first):
        callback.on_epoch_end(epoch, log)
    callback.on_train_end()


class TestCSVLogger:
    def test_rows(self, tmp_path):
        path = tmp_path / "log.csv"
        epochs(CSVLogger(path), [{"loss": 1.0, "acc": 0.5}, {"loss": 0.5, "acc": 1, "val_loss": 2}])
        with open(path, newline="") as file:
            rows = list(csv.reader(file))
        assert rows == [
            ["epoch", "acc", "loss", "val_acc", "val_loss"],
            ["0", "0.5", "1.0", "NA", "NA"],
            ["1", "1", "0.5", "NA", "2"],
        ]

    def test_append_and_separator(self, tmp_path):
        path = tmp_path / "log.csv"
        for first in (0, 1):
            epochs(CSVLogger(path, ";", append=True), [{"loss": 1.0}], first)
        assert path.read_text().split() == ["epoch;loss;val_loss", "0;1.0;NA", "1;1.0;NA"]
        epochs(CSVLogger(path), [{"loss": 2.0}])
        assert path.read_text().split() == ["epoch,loss,val_loss", "0,2.0,NA"]

    def test_readable_while_training_and_usable_again(self, tmp_path):
        path = tmp_path / "log.csv"
        logger = CSVLogger(str(path))
        logger.on_train_begin()
        logger.on_epoch_end(0, {"loss": 1.0})
        assert len(path.read_text().splitlines()) == 2
        logger.on_train_begin()
        logger.on_epoch_end(0, {"other": np.array([1, 2]), "text": "word"})
        logger.on_train_end()
        assert path.read_text().splitlines()[1] == '0,"""[1, 2]""",word,NA,NA'
        assert logger.csv_file is None


class TestTerminateOnNaN:
    @pytest.mark.parametrize("loss", [float("nan"), float("inf"), -float("inf"), torch.nan])
    def test_stops(self, capsys, loss):
        model = types.SimpleNamespace(stop_training=False)
        callbacks = CallbackList([TerminateOnNaN()], model=model)
        callbacks.on_train_batch_end(3, {"loss": torch.tensor(loss)})
        assert model.stop_training
        assert capsys.readouterr().out == "Batch 3: Invalid loss, terminating training\n"

    def test_goes_on(self):
        model = types.SimpleNamespace(stop_training=False)
        callbacks = CallbackList([TerminateOnNaN()], model=model)
        callbacks.on_train_batch_end(0, {"loss": torch.tensor(1.0)})
        callbacks.on_train_batch_end(0, {"other": torch.tensor(torch.nan)})
        callbacks.on_train_batch_end(0)
        assert not model.stop_training

    def test_raises(self):
        with pytest.raises(RuntimeError, match="batch 2"):
            TerminateOnNaN(raise_error=True).on_batch_end(2, {"loss": float("nan")})

    def test_fit_ends(self):
        model = Sequential([layers.Input((1,)), layers.Dense(1)])
        model.compile("sgd", "mse")
        x = np.full((40, 1), 1.0)
        x[12] = np.nan
        history = model.fit(
            x, x, 10, epochs=3, verbose=0, shuffle=False, callbacks=[TerminateOnNaN()]
        )
        assert len(history.epoch) == 1


class TestRemoteMonitor:
    @pytest.mark.parametrize("as_json", [False, True])
    def test_posts(self, monkeypatch, as_json):
        posted = []
        requests = types.ModuleType("requests")
        requests.post = lambda *args, **kwargs: posted.append((args, kwargs))
        requests.exceptions = types.SimpleNamespace(RequestException=OSError)
        monkeypatch.setitem(sys.modules, "requests", requests)
        monitor = RemoteMonitor(path="/p", field="f", headers={"h": "1"}, send_as_json=as_json)
        logs = {"loss": np.float32(1.5), "v": np.array([1, 2]), "one": np.array([3]), "x": "y"}
        monitor.on_epoch_end(2, logs)
        results = {"epoch": 2, "loss": 1.5, "v": [1, 2], "one": 3, "x": "y"}
        url = "http://localhost:9000/p"
        if as_json:
            assert posted == [((url,), {"json": results, "headers": {"h": "1"}})]
        else:
            assert posted == [((url, {"f": json.dumps(results)}), {"headers": {"h": "1"}})]

        def fail(*args, **kwargs):
            raise OSError

        requests.post = fail
        with pytest.warns(UserWarning, match="localhost:9000/p"):
            monitor.on_epoch_end(0, {})

    @pytest.mark.parametrize("as_json", [False, True])
    def test_a_server_hears_of_each_epoch(self, as_json):
        pytest.importorskip("requests")
        heard = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                text = body if as_json else urllib.parse.parse_qs(body)["results"][0]
                heard.append((self.path, self.headers["Token"], json.loads(text)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args):
                """Keep quiet."""

        with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            root = f"http://127.0.0.1:{server.server_port}"
            monitor = RemoteMonitor(root, "/epochs/", "results", {"Token": "t"}, as_json)
            model = Sequential([layers.Input((1,)), layers.Dense(1)])
            model.compile("sgd", "mse")
            history = model.fit(np.ones((4, 1)), np.ones((4, 1)), 4, 2, 0, [monitor]).history
            server.shutdown()
        expected = [{"epoch": i, "loss": loss} for i, loss in enumerate(history["loss"])]
        assert heard == [("/epochs/", "t", results) for results in expected]

    def test_missing_package(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "requests", None)
        with pytest.raises(ImportError, match="requests"):
            RemoteMonitor().on_epoch_end(0, {})


class Weights(Callback):
    """Notes the first weight at some hooks."""

    def __init__(self):
        super().__init__()
        self.seen = {}

    def note(self, hook):
        weight = float(self.model.trainable_variables[0].numpy().flat[0])
        self.seen.setdefault(hook, []).append(weight)

    def on_train_batch_end(self, batch, logs=None):
        self.note("batch")

    def on_test_begin(self, logs=None):
        self.note("test")

    def on_epoch_end(self, epoch, logs=None):
        self.note("epoch")

    def on_predict_end(self, logs=None):
        self.note("predict")


class TestSwapEMAWeights:
    def fit(self, **kwargs):
        model = Sequential([layers.Input((1,)), layers.Dense(1, use_bias=False)])
        model.compile(optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5), "mse")
        model.set_weights([np.zeros((1, 1))])
        weights = Weights()
        callbacks = [SwapEMAWeights(**kwargs), weights]
        x = np.ones((4, 1))
        model.fit(x, x, 2, 2, 0, callbacks, validation_data=(x, x), shuffle=False)
        return model, weights.seen, callbacks

    # Gradient descent on (w - 1)^2 from 0 with rate 0.1: 0.2, 0.36, 0.488, 0.5904. The averages
    # halve the distance to the weights at each step.
    STEPS = (0.2, 0.36, 0.488, 0.5904)

    def averages(self):
        average, found = 0.0, []
        for i, w in enumerate(self.STEPS):
            average = w if i == 0 else 0.5 * average + 0.5 * w
            found.append(average)
        return found

    def test_validation_uses_averages(self):
        model, seen, _ = self.fit()
        averages = self.averages()
        np.testing.assert_allclose(seen["batch"], self.STEPS, rtol=1e-6)
        np.testing.assert_allclose(seen["epoch"], self.STEPS[1::2], rtol=1e-6)
        assert seen["test"] != seen["epoch"]
        # Whatever the first average is, validation saw the ones that `fit` ends with.
        final = float(model.get_weights()[0][0, 0])
        np.testing.assert_allclose(seen["test"][-1], final, rtol=1e-6)
        assert min(averages) < seen["test"][0] < self.STEPS[1]

    def test_later_callbacks_see_averages_at_the_end_of_an_epoch(self):
        model, seen, _ = self.fit(swap_on_epoch=True)
        np.testing.assert_allclose(seen["batch"], self.STEPS, rtol=1e-6)
        np.testing.assert_allclose(seen["epoch"], seen["test"], rtol=1e-6)
        np.testing.assert_allclose(model.get_weights()[0], seen["epoch"][-1], rtol=1e-6)

    def test_prediction_ends_with_the_weights(self):
        model, _, callbacks = self.fit()
        before = model.get_weights()[0]
        model.predict(np.ones((1, 1)), verbose=0, callbacks=callbacks)
        np.testing.assert_array_equal(model.get_weights()[0], before)

    def test_needs_averages(self):
        model = Sequential([layers.Input((1,)), layers.Dense(1)])
        model.compile("sgd", "mse")
        with pytest.raises(ValueError, match="use_ema=True"):
            model.evaluate(np.ones((1, 1)), np.ones((1, 1)), callbacks=[SwapEMAWeights()])
