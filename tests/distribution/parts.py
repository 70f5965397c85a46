"""Trainings of models that are cut over processes: `python parts.py FOLDER`, in a job or alone.

An ordinary script, but for the line that sets the distribution: the environment variable `CUT` says
which. Alone it sets none, and gives what the others are compared with.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
import torch
from cases import CASES, case, outcome

import torchkeras as keras
from torchkeras import callbacks, layers, optimizers
from torchkeras import distribution as spread
from torchkeras.dropin.tf.strategies import Strategy
from torchkeras.dropin.tf.tape import GradientTape

RANK, SIZE = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
CUT, FOLDER = os.environ.get("CUT"), Path(sys.argv[1])
RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 6)).astype("float32")
Y = (X[:, :2] @ [[1.0], [-2.0]] + 0.1).astype("float32")
WORDS = RNG.integers(0, 8, size=(20, 4))


def mlp(name="mlp", **options):
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, activation="tanh", name="hidden"),
            layers.BatchNormalization(synchronized=True, momentum=0.5, name="normal"),
            layers.Dense(1, name="out"),
        ],
        name=name,
    )
    options = {"optimizer": optimizers.Adam(0.05), "loss": "mse", "metrics": ["mae"], **options}
    model.compile(**options)
    return model


@case
def blocks():
    """Attention, a model in the model, a layer that is called twice, penalties, constraints."""
    words, numbers = keras.Input((4,), dtype="int64"), keras.Input((6,))
    hidden = layers.Embedding(8, 8)(words)
    hidden = layers.TimeDistributed(layers.Dense(8, name="hidden"))(hidden)
    attended = layers.MultiHeadAttention(2, 4, kernel_constraint="max_norm")(hidden, hidden)
    hidden = layers.LayerNormalization()(hidden + attended)
    recurrent = layers.LSTM(6, name="lstm")(hidden)
    inner = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(6, activation="relu", kernel_regularizer="l1_l2", name="hidden"),
            layers.Dense(6, kernel_regularizer=keras.regularizers.OrthogonalRegularizer(0.1)),
        ]
    )
    twice = layers.Dense(6, name="twice", kernel_constraint=keras.constraints.MaxNorm(0.9))
    merged = twice(inner(numbers)) + twice(recurrent)
    # A bias of one number: all processes but one have an empty part.
    outputs = layers.Dense(1, bias_regularizer="l1")(merged)
    model = keras.Model([words, numbers], outputs)
    model.compile(optimizers.AdamW(0.02, use_ema=True, global_clipnorm=0.5), "mse", metrics=["mae"])
    history = model.fit(
        [WORDS, X], Y, 7, 2, verbose=0, validation_data=([WORDS, X], Y),
        callbacks=[callbacks.SwapEMAWeights(swap_on_epoch=True)],
    )  # fmt: skip
    predicted = model.predict([WORDS, X], 7, verbose=0)
    return outcome(model, history, model.evaluate([WORDS, X], Y, 5, verbose=0), predicted)


@case
def files():
    """What is written is read again by a whole model, which goes on; and by one that is cut."""
    model = mlp()
    model.predict(X, verbose=0)
    first = model.fit(
        X, Y, 6, 2, verbose=0,
        callbacks=[callbacks.ModelCheckpoint(FOLDER / "best.keras", "loss", save_best_only=True)],
    )  # fmt: skip
    model.save_weights(FOLDER / "model.weights.h5")
    model.save(FOLDER / "model.safetensors")
    loaded = keras.models.load_model(FOLDER / "best.keras")
    predicted = loaded.predict(X, verbose=0)
    second = loaded.fit(X, Y, 6, 1, verbose=0, shuffle=False)
    model.load_weights(FOLDER / "model.weights.h5")
    third = model.fit(X, Y, 6, 1, verbose=0, shuffle=False)
    spread.save_checkpoint(model, FOLDER / "checkpoint")
    other = mlp()
    spread.load_checkpoint(other, FOLDER / "checkpoint")
    fourth = other.fit(X, Y, 6, 1, verbose=0, shuffle=False)
    other.set_weights([0.5 * weight for weight in other.get_weights()])
    return outcome(
        model, first, second.history["loss"], third.history["loss"], fourth.history["loss"],
        predicted, *[weight.ravel() for weight in other.get_weights()],
    )  # fmt: skip


class OwnLoss(keras.Model):
    """Overrides the loss; has a weight of its own, one of them a scalar."""

    def __init__(self):
        super().__init__()
        self.inner = layers.Dense(4, activation="relu")
        self.frozen = layers.Dense(4)
        self.frozen.trainable = False

    def build(self, shape):
        self.inner.build(shape)
        self.frozen.build((None, 4))
        self.mixing = self.add_weight(shape=(4, 1), name="mixing")
        self.shift = self.add_weight(shape=(), name="shift")
        self.built = True

    def call(self, x):
        return self.frozen(self.inner(x)) @ self.mixing + self.shift

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return (y - y_pred).abs().mean()


class Taped(keras.Model):
    """With a step as TensorFlow's guides have it."""

    def train_step(self, data):
        x, y = data
        with GradientTape() as tape:
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        grads = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(grads, self.trainable_variables, strict=True))
        return {"loss": loss, "twice": 2 * loss}


@case
def own_loss():
    model = OwnLoss()
    model.build((None, 6))
    model.compile(optimizers.SGD(0.05, momentum=0.9, clipnorm=0.3, gradient_accumulation_steps=2))
    history = model.fit(X, Y, 4, 2, verbose=0)
    model.frozen.trainable = True
    model.compile(optimizers.Lion(0.01))
    # Of a single row all processes but one have nothing, not even at first.
    alone = mlp().fit(X[:1], Y[:1], verbose=0)
    inputs = keras.Input((6,))
    taped = Taped(inputs, layers.Dense(1)(layers.Dense(5, activation="tanh")(inputs)))
    taped.compile(optimizers.Adam(0.05), "mse")
    tapes = taped.fit(X, Y, 4, 2, verbose=0)
    return outcome(
        model, model.fit(X, Y, 4, 1, verbose=0), history.history["loss"], alone.history["mae"],
        tapes.history["loss"], *[weight.ravel() for weight in taped.get_weights()],
    )  # fmt: skip


@case
def mixed():
    """Weights travel in bfloat16."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = mlp()
    finally:
        keras.config.set_dtype_policy("float32")
    return outcome(model, model.fit(X, Y, 10, 2, verbose=0))


def cut_parts(model):
    """What this process holds."""
    optimizer = model.optimizer
    return {
        "types": [type(weight).__name__ for weight in model.trainable_weights],
        "weights": [tuple(part.shape) for part in optimizer._trainable_variables],
        "slots": [tuple(slot.shape) for slot in optimizer.variables[2:]],
    }


def refusals():
    found = {}
    for optimizer in (optimizers.Muon(0.01), optimizers.LossScaleOptimizer(optimizers.SGD(0.1))):
        try:
            mlp(optimizer=optimizer).fit(X, Y, verbose=0)
        except NotImplementedError as error:
            found[type(optimizer).__name__] = str(error)
    try:
        Strategy().run(mlp)
    except NotImplementedError as error:
        found["own loop"] = str(error)
    return found


if __name__ == "__main__":
    found = {}
    if CUT is not None and CUT.startswith("fully"):
        spread.set_distribution(spread.FullyShardedDataParallel())
    elif CUT is not None:
        shape = tuple(map(int, CUT.split("x")))
        mesh = spread.DeviceMesh(shape, ("batch", "model"), spread.list_devices("cpu"))
        layouts = spread.LayoutMap(mesh)
        layouts[".*(hidden|twice).*kernel"] = (None, "model")
        layouts[".*(hidden|embedding.*)/(bias|embeddings)"] = ("model",)
        layouts["(.*/)?out/kernel|.*lstm.*kernel"] = ("model", None)
        layouts[".*attention.*(query|output).*kernel"] = (None, "model", None)
        spread.set_distribution(spread.ModelParallel(layout_map=layouts))
        layout = spread.TensorLayout((None, "model"), mesh)
        numbers = spread.distribute_tensor(torch.arange(8.0).reshape(2, 4), layout)
        found["numbers"] = [numbers.to_local().tolist(), numbers.full_tensor().tolist()]
    for name in os.environ["NAMES"].split():
        keras.utils.set_random_seed(7)
        found[name] = CASES[name]()
    if CUT is not None and SIZE == 2:
        model = mlp()
        model.fit(X, Y, verbose=0)
        found["held"] = cut_parts(model)
        found["refused"] = refusals()
    (FOLDER / f"parts_{RANK}.json").write_text(json.dumps(found))
