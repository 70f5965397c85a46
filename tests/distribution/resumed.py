"""A training with backups, in the second epoch of which a worker dies once."""

import os
import signal
import sys
from pathlib import Path

import keras
import numpy as np

RANK, FOLDER = os.environ["RANK"], Path(sys.argv[1])
FIRST = os.environ.get("TORCHELASTIC_RESTART_COUNT") == "0"


class Dying(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if FIRST and RANK == "1" and (self.epoch, batch) == (1, 3):
            os.kill(os.getpid(), signal.SIGKILL)


if "CUT" in os.environ:
    keras.distribution.set_distribution(keras.distribution.FullyShardedDataParallel())
rng = np.random.default_rng(0)
x, y = rng.normal(size=(45, 4)).astype("float32"), rng.normal(size=(45, 1)).astype("float32")
keras.utils.set_random_seed(5)
model = keras.Sequential(
    [
        keras.Input((4,)),
        keras.layers.Dense(8, activation="relu"),
        keras.layers.BatchNormalization(momentum=0.8),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(1),
    ]
)
model.compile(keras.optimizers.Adam(0.02), "mse", metrics=["mae"])
backup = keras.callbacks.BackupAndRestore(FOLDER / "backup", save_freq=2)
history = model.fit(x, y, 8, 3, verbose=0, callbacks=[backup, Dying()])
state = [np.asarray(v) for v in [*model.variables, *model.optimizer.variables]]
results = [value for name in sorted(history.history) for value in history.history[name][-1:]]
np.savez(FOLDER / f"end_{RANK}.npz", results, *state)  # of slots each has its part
print("started again" if not FIRST else "first start", len(state))
