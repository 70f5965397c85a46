"""What every process of a test job runs: many small trainings, whose results it writes as JSON.

`python worker.py FOLDER` under the environment variables of `torchrun`, or `results(folder)` in a
process that is alone. The file says nothing of ranks: it is an ordinary script.
"""

import json
import os
import random
import sys
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

import torchkeras as keras
from torchkeras import layers, losses, metrics, ops, optimizers
from torchkeras.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    ModelCheckpoint,
)
from torchkeras.distribution import distribution, list_devices
from torchkeras.distribution.processes import JOB

RNG = np.random.default_rng(0)
X = RNG.normal(size=(22, 5)).astype("float32")
Y = (X[:, :2] @ [[1.0], [-2.0]] + 0.1).astype("float32")
LABELS = (Y[:, 0] > 0).astype("int64")
IMAGES = RNG.normal(size=(21, 8, 8, 3)).astype("float32")
WORDS = RNG.integers(0, 4, size=(14, 6))
CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def outcome(model, history, *more):
    """All there is to compare: results by epoch, weights, and what else was computed."""
    return {
        **history.history,
        "weights": [np.asarray(w.detach()).ravel()[:50].tolist() for w in model.weights],
        "more": [np.asarray(item, dtype="float64").tolist() for item in more],
    }


def mlp(**options):
    model = keras.Sequential(
        [keras.Input((5,)), layers.Dense(8, activation="tanh"), layers.Dense(1)]
    )
    options = {"optimizer": optimizers.Adam(0.05), "loss": "mse", "metrics": ["mae"], **options}
    model.compile(**options)
    return model


@case
def dense(folder):
    model = mlp(metrics=["mae", metrics.R2Score()])
    weights = np.linspace(0.5, 1.5, 22)
    history = model.fit(
        X, Y, 8, 3, verbose=0, sample_weight=weights, validation_data=(X[:7], Y[:7])
    )
    evaluated = model.evaluate(X, Y, 5, verbose=0)
    return outcome(model, history, evaluated, model.predict(X, 5, verbose=0))


@case
def convolutional(folder):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, activation="relu", kernel_regularizer="l2"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(3, activation="softmax", activity_regularizer="l2"),
        ]
    )
    model.compile(
        optimizers.SGD(0.1, momentum=0.9, global_clipnorm=1.0),
        "sparse_categorical_crossentropy",
        metrics=["accuracy", metrics.SparseTopKCategoricalAccuracy(2)],
    )
    history = model.fit(IMAGES, np.arange(21) % 3, 8, 3, verbose=0, class_weight={0: 2.0})
    return outcome(model, history)


@case
def synchronized(folder):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, use_bias=False),  # of a bias the gradient is mere rounding
            layers.BatchNormalization(synchronized=True, momentum=0.5),
            layers.Activation("relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizers.Adam(0.02), "binary_crossentropy", metrics=["accuracy", "AUC"])
    # The last batch has 1 row of 3: with two processes or more some have none.
    history = model.fit(IMAGES[:19], np.arange(19) % 2, 3, 2, verbose=0, shuffle=False)
    return outcome(model, history, model.predict(IMAGES, 10, verbose=0))


@case
def masked(folder):
    words = keras.Input((6,), dtype="int64")
    hidden = layers.LSTM(6, return_sequences=True)(layers.Embedding(4, 3, mask_zero=True)(words))
    model = keras.Model(words, layers.TimeDistributed(layers.Dense(1))(hidden))
    model.compile("rmsprop", "mse", metrics=["mae"])
    targets = WORDS[..., None] / 3.0
    history = model.fit(WORDS, targets, 5, 2, verbose=0)
    return outcome(model, history, model.evaluate(WORDS, targets, 5, verbose=0))


@case
def several_outputs(folder):
    inputs = keras.Input((5,))
    hidden = layers.Dense(6, activation="relu")(inputs)
    model = keras.Model(
        inputs, {"a": layers.Dense(1, name="a")(hidden), "b": layers.Dense(2, name="b")(hidden)}
    )
    model.compile(
        optimizers.Adagrad(0.1),
        {
            "a": losses.MeanSquaredError(reduction="sum"),
            "b": losses.SparseCategoricalCrossentropy(
                from_logits=True, reduction="mean_with_sample_weight"
            ),
        },
        loss_weights={"a": 0.1, "b": 2.0},
        metrics={"b": ["accuracy"]},
    )
    weights = {"a": np.ones(22), "b": np.linspace(0, 2, 22)}
    targets = {"a": Y, "b": LABELS}
    history = model.fit(X, targets, 6, 3, verbose=0, sample_weight=weights)
    predicted = model.predict(X, 7, verbose=0)
    return outcome(model, history, predicted["a"], predicted["b"])


class Pair(keras.Model):
    """Two networks with an optimizer each, trained by a step of their own."""

    def __init__(self):
        super().__init__()
        self.first, self.second = layers.Dense(3), layers.Dense(1)
        self.tracker = metrics.Mean(name="distance")

    def build(self, shape):
        self.first.build((None, 5))
        self.second.build((None, 3))
        self.built = True

    def compile(self, one, two):
        super().compile()
        self.one, self.two = one, two

    def train_step(self, data):
        x, y = data
        for layer, optimizer in ((self.first, self.one), (self.second, self.two)):
            self.zero_grad()
            loss = ops.mean((self.second(self.first(x)) - y) ** 2)
            loss.backward()
            variables = layer.trainable_weights
            with torch.no_grad():
                optimizer.apply([v.grad for v in variables], variables)
        self.tracker.update_state(loss.detach(), sample_weight=x.shape[0])
        return {"distance": self.tracker.result(), "constant": 2.0}


@case
def own_step(folder):
    model = Pair()
    model.build((None, 5))
    model.compile(optimizers.SGD(0.05), optimizers.Adam(0.05))
    return outcome(model, model.fit(X, Y, 7, 3, verbose=0))


@case
def batch_by_batch(folder):
    model = mlp()
    logs = [model.train_on_batch(X[i : i + 3], Y[i : i + 3]) for i in range(0, 22, 3)]
    tested = model.test_on_batch(X[:5], Y[:5])
    history = model.fit(X, Y, 22, 1, verbose=0)
    return outcome(model, history, logs, tested, model.predict_on_batch(X[:3]))


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        rows = slice(6 * index, 6 * index + 6)
        return X[rows], Y[rows]


class Rows(Dataset):
    def __init__(self):
        self.read = []

    def __len__(self):
        return 22

    def __getitem__(self, index):
        self.read.append(index)
        return X[index], Y[index]


def stream():
    while True:
        for i in range(0, 22, 6):
            yield X[i : i + 6], Y[i : i + 6]


@case
def sources(folder):
    """Every kind of data; what was read of a torch `Dataset` is not compared, but looked at."""
    found, rows = {}, Rows()
    kinds = {
        "PyDataset": (Batches(), {}),
        "generator": (stream(), {"steps_per_epoch": 4}),
        "ending": ((batch for _, batch in zip(range(4), stream(), strict=False)), {}),
        "loader": (DataLoader(rows, 6, shuffle=True), {}),
        "dataset": (Rows(), {"batch_size": 6}),
        "batches": (X, {"y": Y, "batch_size": 6, "shuffle": "batch"}),
        "executions": (X, {"y": Y, "batch_size": 4, "steps_per_epoch": 4}),
        "split": (X, {"y": Y, "validation_split": 0.3}),
    }
    for name, (data, options) in kinds.items():
        keras.utils.set_random_seed(3)
        model = mlp(steps_per_execution=3) if name == "executions" else mlp()
        epochs = 1 if name == "ending" else 2
        found[name] = outcome(model, model.fit(data, epochs=epochs, verbose=0, **options))
    found["loader"]["more"] = model.predict(DataLoader(X, 4), verbose=0).tolist()
    Path(folder, f"read_{os.environ.get('RANK', 0)}.json").write_text(json.dumps(rows.read))
    return found


class Watcher(Callback):
    """Reads results at every batch, and stops in the middle of an epoch."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(logs["loss"])
        print("watched", flush=True)
        # What only one process wishes is done by all.
        alone = "RANK" not in os.environ
        if len(self.seen) == 6 and (alone or os.environ["RANK"] == "0"):
            self.model.stop_training = True


@case
def watched(folder):
    watcher = Watcher()
    model = mlp(optimizer=optimizers.Lion(0.01, gradient_accumulation_steps=2))
    written = Path(folder, "written")
    history = model.fit(
        X,
        Y,
        6,
        9,
        verbose=2,
        callbacks=[
            watcher,
            CSVLogger(written / "log.csv"),
            ModelCheckpoint(written / "best.keras", monitor="loss", save_best_only=True),
            EarlyStopping("loss"),
            LambdaCallback(on_epoch_end=lambda epoch, logs: None),
        ],
    )
    loaded = keras.models.load_model(written / "best.keras")
    return outcome(model, history, watcher.seen, loaded.predict(X, verbose=0))


@case
def unused(folder):
    """Weights that a loss depends on in some processes only, or in none."""

    class Sometimes(keras.Model):
        def __init__(self):
            super().__init__()
            self.always, self.rarely, self.never = (layers.Dense(1) for _ in range(3))

        def build(self, shape):
            for layer in (self.always, self.rarely, self.never):
                layer.build(shape)
            self.built = True

        def call(self, x):
            y = self.always(x)
            if bool((x[:, 0] > 1.5).any()):  # the row that has this is on one process
                y = y + self.rarely(x * (x[:, :1] > 1.5))
            return y

    model = Sometimes()
    model.build((None, 5))
    model.compile(optimizers.Adam(0.1), "mse")
    model.train_on_batch(X, Y)  # all rows at once: one process has the row
    return outcome(model, model.fit(X, Y, 22, 1, verbose=0, shuffle=False))


class Seen(layers.Layer):
    """Notes where zeros are in the first rows of the last batch that was trained on."""

    def call(self, x, training=False):
        if training:
            self.mask = (x[:3] == 0).flatten().tolist()
        return x


@case
def apart(folder):
    """What processes do not share: the noise on their rows; they agree on all else."""
    seen = Seen()
    model = keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dropout(0.5, seed=1),
            seen,
            layers.BatchNormalization(momentum=0.5),
            layers.Dense(1),
        ]
    )
    model.compile("sgd", "mse")
    history = model.fit(X, Y, 8, 2, verbose=0)
    masks = [seen.mask] if JOB.processes is None else JOB.processes.gather(seen.mask)
    return {
        **outcome(model, history),
        "masks": masks,
        "random": [random.random(), float(torch.rand(()))],
    }


def results(folder):
    """Run all cases."""
    Path(folder, "written").mkdir(exist_ok=True)
    found = {
        "devices": list_devices("cpu"),
        "replicas": getattr(distribution(), "num_model_replicas", 1),
    }
    # Four processes do what is special with many: uneven parts, and some without rows.
    few = "dense convolutional synchronized masked several_outputs unused apart".split()
    names = few if os.environ["WORLD_SIZE"] == "4" else CASES
    for name in names:
        function = CASES[name]
        keras.utils.set_random_seed(7)
        if JOB.processes is not None:
            JOB.processes.doing = name
        found[name] = function(folder)
    return found


if __name__ == "__main__":
    Path(sys.argv[1], f"result_{os.environ['RANK']}.json").write_text(
        json.dumps(results(sys.argv[1]))
    )
