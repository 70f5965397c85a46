"""What goes wrong in a job, on purpose: each message that comes of it is written down."""

import json
import os
import sys
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

RANK = int(os.environ["RANK"])
X, Y = np.ones((8, 3), "float32"), np.ones((8, 1), "float32")
messages = {}


def attempt(name, function):
    try:
        function()
    except Exception as error:
        messages[name] = f"{type(error).__name__}: {error}"


def model(units=4):
    layers = [keras.Input((3,)), keras.layers.Dense(units), keras.layers.Dense(1)]
    found = keras.Sequential(layers)
    found.compile("sgd", "mse")
    return found


def stream():
    for _ in range(5 - RANK):
        yield X, Y


class Hanging(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        if batch == 1 and RANK == 1:
            time.sleep(60)


attempt("fewer batches", lambda: model().fit(X[: 8 - 4 * RANK], Y[: 8 - 4 * RANK], 2, verbose=0))
attempt("fewer rows", lambda: model().fit(X[: 8 - RANK], Y[: 8 - RANK], 8, verbose=0))
attempt("another model", lambda: model(4 + RANK).fit(X, Y, verbose=0))
attempt("shorter stream", lambda: model().fit(stream(), verbose=0))
attempt(
    "strange outputs",
    lambda: keras.Sequential([keras.layers.Lambda(lambda x: x[:1])]).predict(X, verbose=0),
)
mesh = keras.distribution.DataParallel(devices=["cpu:0", "cpu:1", "cpu:2"])
with mesh.scope():
    attempt("three devices", lambda: model().fit(X, Y, verbose=0))
strategy = tf.distribute.MirroredStrategy()
with strategy.scope():
    model().fit(X, Y, 8 // strategy.num_replicas_in_sync, verbose=0)
messages["replicas"] = strategy.num_replicas_in_sync
attempt("hanging", lambda: model().fit(X, Y, 2, verbose=0, callbacks=[Hanging()]))
Path(sys.argv[1], f"messages_{RANK}.json").write_text(json.dumps(messages))
