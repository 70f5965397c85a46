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
import tensorflow as tf
import torch
from cases import CASES, case, outcome
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


class Guided(keras.Model):
    """With a step as guides have it, whose losses are means over the rows that it is given."""

    def __init__(self, raw, *args):
        super().__init__(*args)
        self.raw = raw

    def train_step(self, data):
        x, y = data
        self.zero_grad()
        y_pred = self(x, training=True)
        loss = self.compute_loss(y=y, y_pred=y_pred)
        loss.backward()
        with torch.no_grad():
            self.optimizer.apply([v.value.grad for v in self.trainable_weights])
        if self.raw:  # beside a tracker that is called "loss" too, and not used
            return {"loss": loss, "half": loss.detach() / 2}
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
            else:
                metric.update_state(y, y_pred)
        return {metric.name: metric.result() for metric in self.metrics}


@case
def guided(folder):
    found = {}
    for raw in (False, True):
        inputs = keras.Input((5,))
        model = Guided(raw, inputs, layers.Dense(1)(layers.Dense(4, activation="tanh")(inputs)))
        model.compile(optimizers.Adam(0.05), "mse", metrics=["mae"])
        found[str(raw)] = outcome(model, model.fit(X, Y, 7, 2, verbose=0))
    return found


@case
def one_row(folder):
    """Fewer rows than processes from the start, and metrics that make variables at first sight."""
    model = keras.Sequential([keras.Input((5,)), layers.Dense(3, activation="softmax")])
    scores = [metrics.F1Score(average="macro"), metrics.AUC(multi_label=True), metrics.R2Score()]
    model.compile("adam", "categorical_crossentropy", metrics=scores)
    labels = np.eye(3, dtype="float32")[[1]]
    first = model.evaluate(X[:1], labels, verbose=0)
    history = model.fit(X[:1], labels, epochs=2, verbose=0)
    return outcome(model, history, first, model.train_on_batch(X[1:2], labels))


@case
def own_loop(folder):
    """The loop of TensorFlow's tutorial; its last batch has one row."""
    strategy = tf.distribute.MirroredStrategy()
    rows = tf.data.Dataset.from_tensor_slices((X[:13], LABELS[:13]))
    batches = strategy.experimental_distribute_dataset(rows.shuffle(13).batch(6))

    def in_turn(context):
        assert strategy.num_replicas_in_sync == context.num_replicas_in_sync
        return rows.batch(context.get_per_replica_batch_size(4))

    tests = strategy.distribute_datasets_from_function(in_turn)
    with strategy.scope():
        accuracy = tf.keras.metrics.SparseCategoricalAccuracy()
        model = keras.Sequential(
            [
                keras.Input((5,)),
                layers.Dense(4, use_bias=False, kernel_regularizer="l2"),
                # Of a single row the variance is 0; a small epsilon would make much of rounding.
                layers.BatchNormalization(synchronized=True, momentum=0.5, epsilon=0.1),
                layers.Dense(2),
            ]
        )
        optimizer = tf.keras.optimizers.Adam(0.05)
        each = losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")

    def train_step(inputs):
        x, y = inputs
        with tf.GradientTape() as tape:
            y_pred = model(x, training=True)
            loss = tf.nn.compute_average_loss(each(y, y_pred))
            loss += tf.nn.scale_regularization_loss(tf.add_n(model.losses))
        grads = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(grads, model.trainable_variables, strict=True))
        accuracy.update_state(y, y_pred)
        return loss

    found = []
    for _ in range(2):
        accuracy.reset_state()
        for batch in batches:
            parts = strategy.run(train_step, args=(batch,))
            found.append(float(strategy.reduce(tf.distribute.ReduceOp.SUM, parts, axis=None)))
        found.append(float(accuracy.result()))
    for x, _ in tests:
        logits = strategy.run(lambda x: model(x, training=False), (x,))
        found.append(float(strategy.reduce("MEAN", logits, axis=0).sum()))
        found += strategy.gather(logits, axis=0).detach().flatten().tolist()
    saved = tf.train.Checkpoint(model=model, optimizer=optimizer).save(f"{folder}/written/ckpt")
    return {"found": found, "files": len(list(Path(saved).parent.glob("ckpt-*"))),
            "weights": [weight.ravel().tolist() for weight in model.get_weights()]}  # fmt: skip


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
    few = "dense convolutional synchronized masked several_outputs unused one_row own_loop apart"
    names = few.split() if os.environ["WORLD_SIZE"] == "4" else CASES
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
