"""All the usual callbacks around one classifier, tf.keras style."""

import csv
import json
import math
import os
import tempfile

import tensorflow as tf
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

tf.keras.utils.set_random_seed(11)
X, y = load_wine(return_X_y=True)
X_train, X_val, y_train, y_val = train_test_split(X, y, test_size=0.3, random_state=0, stratify=y)
scaler = StandardScaler().fit(X_train)
X_train, X_val = scaler.transform(X_train), scaler.transform(X_val)

model = tf.keras.models.Sequential(name="wine")
model.add(tf.keras.Input(shape=(13,)))
model.add(tf.keras.layers.Dense(16, activation="tanh"))
model.add(tf.keras.layers.Dense(3, activation="softmax"))
model.compile(
    optimizer=tf.keras.optimizers.SGD(learning_rate=0.1, momentum=0.9),
    loss=tf.keras.losses.SparseCategoricalCrossentropy(),
    metrics=[tf.keras.metrics.SparseCategoricalAccuracy()],
)


class LossHistory(tf.keras.callbacks.Callback):
    """Collects the loss of every batch and the order of the hooks."""

    def on_train_begin(self, logs=None):
        self.losses = []
        self.events = ["train_begin"]

    def on_epoch_begin(self, epoch, logs=None):
        self.events.append(f"epoch_{epoch}")

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(logs["loss"])

    def on_test_end(self, logs=None):
        self.events.append("test_end")

    def on_train_end(self, logs=None):
        self.events.append("train_end " + ",".join(sorted(logs)))


def step_decay(epoch, lr):
    return lr if epoch < 2 else lr * math.exp(-0.1)


os.chdir(tempfile.mkdtemp())
recorder = LossHistory()
json_log = open("loss_log.json", mode="w", buffering=1)
callbacks = [
    tf.keras.callbacks.EarlyStopping(
        monitor="val_loss", min_delta=1e-4, patience=2, verbose=1, mode="auto", start_from_epoch=3
    ),
    tf.keras.callbacks.LearningRateScheduler(step_decay, verbose=1),
    tf.keras.callbacks.ReduceLROnPlateau(
        monitor="val_loss", factor=0.2, patience=1, min_lr=1e-3, min_delta=0.02, verbose=1
    ),
    tf.keras.callbacks.ModelCheckpoint(
        "best.keras", monitor="val_loss", save_best_only=True, verbose=1
    ),
    tf.keras.callbacks.ModelCheckpoint(
        filepath="epoch-{epoch:02d}-{val_loss:.2f}.weights.h5", save_weights_only=True
    ),
    tf.keras.callbacks.CSVLogger("training.log", separator=",", append=False),
    tf.keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: json_log.write(
            json.dumps({"epoch": epoch, "loss": round(float(logs["loss"]), 4)}) + "\n"
        ),
        on_train_end=lambda logs: json_log.close(),
    ),
    tf.keras.callbacks.TerminateOnNaN(),
    recorder,
]
history = model.fit(
    X_train,
    y_train,
    validation_data=(X_val, y_val),
    epochs=8,
    batch_size=32,
    callbacks=callbacks,
    verbose=2,
)

print("history keys:", list(history.history))
print("epochs:", history.epoch)
print("params:", sorted(history.params.items()))
print("batches:", len(recorder.losses))
print(f"last batch loss: {recorder.losses[-1]:.6f}")
print("events:", recorder.events)
with open("training.log") as file:
    table = list(csv.DictReader(file))
print("csv columns:", list(table[0]))
print(f"csv val_loss: {float(table[-1]['val_loss']):.6f}")
with open("loss_log.json") as file:
    print("json lines:", len(file.readlines()))
print("weight files:", len([name for name in os.listdir(".") if name.endswith(".weights.h5")]))

best = tf.keras.models.load_model("best.keras")
loss, accuracy = best.evaluate(X_val, y_val, verbose=0)
print(f"best loss: {loss:.6f}")
print(f"best accuracy: {accuracy:.6f}")
first = sorted(name for name in os.listdir(".") if name.startswith("epoch-"))[0]
model.load_weights(first)
print(f"first epoch's loss: {model.evaluate(X_val, y_val, verbose=0)[0]:.6f}")
