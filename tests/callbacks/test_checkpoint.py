"""Callbacks that write files: ModelCheckpoint and BackupAndRestore."""

import json
import os
import random
import warnings

import h5py
import numpy as np
import pytest
import torch

from torchkeras import Sequential, layers, optimizers, saving
from torchkeras.callbacks import (
    BackupAndRestore,
    Callback,
    CallbackList,
    LambdaCallback,
    ModelCheckpoint,
)


class Model:
    """Writes its weight to a file, and notes what is written."""

    metrics = ()
    optimizer = None
    built = True

    def __init__(self):
        self.saved = []
        self.weight = 0.0
        self.stop_training = False

    def save(self, path, overwrite=False):
        self.saved.append(("model", os.path.basename(path), overwrite))
        open(path, "w").close()

    def save_weights(self, path, overwrite=False):
        self.saved.append(("weights", os.path.basename(path), overwrite))
        with h5py.File(path, "w") as file:
            file["weight"] = self.weight

    def load_weights(self, path):
        with h5py.File(path) as file:
            self.weight = float(file["weight"][()])


def run(callback, losses, batches=1, name="val_loss"):
    """Epochs with the given results; returns the names of the files written."""
    model = Model()
    callbacks = CallbackList([callback], model=model, epochs=len(losses))
    callbacks.on_train_begin()
    for epoch, loss in enumerate(losses):
        callbacks.on_epoch_begin(epoch)
        for batch in range(batches):
            callbacks.on_train_batch_end(batch, {"loss": float(batch)})
        callbacks.on_epoch_end(epoch, {name: loss})
    callbacks.on_train_end()
    return [path for _, path, _ in model.saved]


class TestModelCheckpoint:
    @pytest.mark.parametrize(
        "filepath, losses, kwargs, files",
        [
            ("m.keras", [1, 2], {}, ["m.keras"] * 2),
            ("m{epoch:02d}.keras", [1, 2], {}, ["m01.keras", "m02.keras"]),
            ("m{epoch}-{val_loss:.1f}.h5", [1, 0.5], {}, ["m1-1.0.h5", "m2-0.5.h5"]),
            ("m{epoch}.h5", [2, 3, 1], {"save_best_only": True}, ["m1.h5", "m3.h5"]),
            ("m{epoch}.h5", [2, 3, 1], {"save_best_only": True, "mode": "max"}, ["m1.h5", "m2.h5"]),
            (
                "m{epoch}.keras",
                [2, 1],
                {"save_best_only": True, "initial_value_threshold": 1.5},
                ["m2.keras"],
            ),
            ("m{epoch}.safetensors", [2], {}, ["m1.safetensors"]),
        ],
    )
    def test_by_epochs(self, tmp_path, filepath, losses, kwargs, files):
        assert run(ModelCheckpoint(tmp_path / filepath, **kwargs), losses) == files

    @pytest.mark.parametrize(
        "save_freq, files",
        [
            (2, ["1-2", "2-1", "2-3"]),
            (4, ["2-1"]),
            (3, ["1-3", "2-3"]),
            (7, []),
            (1, ["1-1", "1-2", "1-3", "2-1", "2-2", "2-3"]),
        ],
    )
    def test_by_batches(self, tmp_path, save_freq, files):
        callback = ModelCheckpoint(tmp_path / "{epoch}-{batch}.keras", save_freq=save_freq)
        assert run(callback, [1, 2], batches=3) == [f"{file}.keras" for file in files]

    def test_batches_reported_several_at_a_time(self, tmp_path):
        callback = ModelCheckpoint(tmp_path / "{batch}.keras", save_freq=4)
        model = Model()
        callback.set_model(model)
        callback.on_epoch_begin(0)
        for last in (2, 5, 8):
            callback.on_train_batch_end(last, {})
        assert [path for _, path, _ in model.saved] == ["6.keras"]

    def test_best_within_an_epoch(self, tmp_path):
        path = tmp_path / "{batch}.keras"
        callback = ModelCheckpoint(path, monitor="loss", save_best_only=True, save_freq=1)
        assert run(callback, [1], batches=3) == ["1.keras"]

    def test_weights_only(self, tmp_path):
        path = tmp_path / "new" / "folder" / "{epoch}.weights.h5"
        assert run(ModelCheckpoint(path, save_weights_only=True), [1]) == ["1.weights.h5"]
        assert os.listdir(tmp_path / "new" / "folder") == ["1.weights.h5"]

    def test_messages(self, tmp_path, capsys):
        path = str(tmp_path / "m.keras")
        run(ModelCheckpoint(path, save_best_only=True, verbose=1), [2.0, 3.0, 1.0])
        lines = capsys.readouterr().out.split("\n\n")
        assert [line.strip() for line in lines] == [
            f"Epoch 1: val_loss improved from None to 2.00000, saving model to {path}",
            f"Epoch 1: finished saving model to {path}",
            "Epoch 2: val_loss did not improve from 2.00000",
            f"Epoch 3: val_loss improved from 2.00000 to 1.00000, saving model to {path}",
            f"Epoch 3: finished saving model to {path}",
        ]
        run(ModelCheckpoint(path, verbose=1), [2.0])
        assert capsys.readouterr().out == (
            f"\nEpoch 1: saving model to {path}\n\nEpoch 1: finished saving model to {path}\n"
        )

    def test_missing_or_unusual_metric_saves(self, tmp_path):
        callback = ModelCheckpoint(tmp_path / "m.keras", save_best_only=True)
        with pytest.warns(UserWarning, match="not in the logs"):
            assert run(callback, [1.0], name="loss") == ["m.keras"]
        with pytest.warns(UserWarning, match="single number"):
            assert run(callback, [np.array([1.0, 2.0])]) == ["m.keras"]

    @pytest.mark.parametrize(
        "kwargs, words",
        [
            ({"filepath": "m.txt"}, "'m.keras'"),
            ({"filepath": "m"}, ".keras or .h5"),
            ({"filepath": "m.keras", "save_weights_only": True}, "'m.weights.h5'"),
            ({"filepath": "m.h5", "save_weights_only": True}, ".weights.h5"),
            ({"filepath": "m.keras", "max_shard_size": 1.0}, "only weights"),
            (
                {"filepath": "m.h5", "save_weights_only": True, "max_shard_size": 1.0},
                "m.weights.json",
            ),
            ({"filepath": "m.keras", "save_freq": "batch"}, "Unrecognized save_freq: 'batch'"),
            ({"filepath": "m.keras", "save_freq": 1.5}, "1.5"),
        ],
    )
    def test_bad_arguments(self, kwargs, words):
        with pytest.raises(ValueError, match=words):
            ModelCheckpoint(**kwargs)

    @pytest.mark.parametrize(
        "name, kwargs",
        [
            ("{batch}.keras", {}),
            ("{batch}.h5", {}),
            ("{batch}.safetensors", {}),
            ("{batch}.weights.h5", {"save_weights_only": True}),
            ("{batch}.safetensors", {"save_weights_only": True}),
            ("{batch}.weights.json", {"save_weights_only": True, "max_shard_size": 1e-7}),
        ],
    )
    def test_formats(self, tmp_path, name, kwargs):
        kept = {}
        model = make_model()
        note = LambdaCallback(
            on_train_batch_end=lambda batch, logs: kept.update({batch: model.get_weights()})
        )
        checkpoint = ModelCheckpoint(tmp_path / name, save_freq=3, **kwargs)
        model.fit(*data(), 4, verbose=0, callbacks=[note, checkpoint])
        if kwargs:
            found = make_model()
            found.optimizer.build(found.trainable_variables)
            found.load_weights(tmp_path / name.format(batch=3))
        else:
            found = saving.load_model(tmp_path / name.format(batch=3))
        for a, b in zip(found.get_weights(), kept[2], strict=True):
            np.testing.assert_array_equal(a, b)
        assert found.compiled and not (tmp_path / name.format(batch=6)).exists()
        found.fit(*data(), 4, verbose=0)

    def test_unknown_field(self, tmp_path):
        with pytest.raises(KeyError, match="val_accuracy"):
            run(ModelCheckpoint(tmp_path / "{val_accuracy}.keras"), [1.0])

    def test_directory(self, tmp_path):
        os.mkdir(tmp_path / "m.keras")
        with pytest.raises(OSError, match="non-directory"):
            run(ModelCheckpoint(tmp_path / "m.keras"), [1.0])


class Interrupt(Callback):
    """Ends training by an error at the start of an epoch, or after a batch of it."""

    def __init__(self, epoch, batch=None):
        super().__init__()
        self.at = (epoch, batch)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        if self.at == (epoch, None):
            raise KeyboardInterrupt

    def on_train_batch_end(self, batch, logs=None):
        if self.at == (self.epoch, batch):
            raise KeyboardInterrupt


def make_model():
    torch.manual_seed(0)
    model = Sequential([layers.Input((3,)), layers.Dense(4), layers.Dense(1)])
    model.compile(optimizers.Adam(0.01), "mse")
    return model


def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(20, 3)), rng.normal(size=(20, 1))


def train(*callbacks, epochs=4):
    """A run in a process of its own: a fresh model, and generators seeded as in any other."""
    torch.manual_seed(1)
    model = make_model()
    model.set_weights([np.full(w.shape, 0.1) for w in model.weights])
    history = model.fit(*data(), 4, epochs=epochs, verbose=0, callbacks=list(callbacks))
    return model, history.history["loss"]


class TestBackupAndRestore:
    def test_goes_on_as_if_nothing_had_happened(self, tmp_path):
        backup = tmp_path / "backup"
        expected, losses = train()
        with pytest.raises(KeyboardInterrupt):
            train(BackupAndRestore(backup), Interrupt(2))
        assert sorted(os.listdir(backup)) == ["latest.weights.h5", "training_metadata.json"]
        model, rest = train(BackupAndRestore(backup))
        assert rest == losses[2:]
        for a, b in zip(model.get_weights(), expected.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        assert not backup.exists()

    def test_all_generators_are_restored(self, tmp_path):
        class Draws(Callback):
            drawn = ()

            def on_epoch_begin(self, epoch, logs=None):
                self.drawn += ((random.random(), np.random.random(), torch.rand(1).item()),)

        random.seed(0)
        np.random.seed(0)
        expected = Draws()
        train(expected)
        random.seed(0)
        np.random.seed(0)
        with pytest.raises(KeyboardInterrupt):
            train(Draws(), BackupAndRestore(tmp_path), Interrupt(3))
        random.seed(9)
        np.random.seed(9)
        again = Draws()
        train(again, BackupAndRestore(tmp_path))
        assert again.drawn == expected.drawn[3:]

    @pytest.mark.parametrize("save_freq, epoch, batch", [(4, 1, 2), (6, 1, 0), (5, 0, 4)])
    def test_by_batches(self, tmp_path, save_freq, epoch, batch):
        callback = BackupAndRestore(tmp_path, save_freq=save_freq, delete_checkpoint=False)
        with pytest.raises(KeyboardInterrupt):
            train(callback, Interrupt(1, 2))
        metadata = json.loads((tmp_path / "training_metadata.json").read_text())
        assert metadata == {"epoch": epoch, "batch": batch}
        _, rest = train(BackupAndRestore(tmp_path))
        assert len(rest) == 4 - epoch

    def test_never_half_a_backup(self, tmp_path, monkeypatch):
        """Killed at any step of writing, it restores weights together with their own epoch."""
        model = Model()
        callback = BackupAndRestore(tmp_path / "b", delete_checkpoint=False)
        callback.set_model(model)
        model.weight = 1.0
        callback.on_epoch_end(0)

        class Killed(BaseException):
            pass

        names = [(os, "replace"), (os, "fsync"), (json, "dumps"), (Model, "save_weights")]
        for step in range(6):
            for name in os.listdir(tmp_path / "b"):
                if name not in ("latest.weights.h5", "training_metadata.json"):
                    os.remove(tmp_path / "b" / name)
            model.weight = 1.0
            callback.on_epoch_end(0)
            count = 0

            def die_at(original, step=step):
                def call(*args, **kwargs):
                    nonlocal count
                    count += 1
                    if count > step:
                        raise Killed
                    return original(*args, **kwargs)

                return call

            with monkeypatch.context() as patch:
                for owner, name in names:
                    patch.setattr(owner, name, die_at(getattr(owner, name)))
                model.weight = 2.0
                with pytest.raises(Killed):
                    callback.on_epoch_end(1)
            after = Model()
            resumed = BackupAndRestore(tmp_path / "b")
            resumed.set_model(after)
            resumed.on_train_begin()
            assert (after.weight, after._initial_epoch) in ((1.0, 1), (2.0, 2)), step

    @pytest.mark.parametrize("double", [True, False])
    def test_unreadable_backup(self, tmp_path, double):
        with pytest.raises(KeyboardInterrupt):
            train(BackupAndRestore(tmp_path, double_checkpoint=double), Interrupt(3))
        (tmp_path / "latest.weights.h5").write_bytes(b"broken")
        if double:
            assert len(train(BackupAndRestore(tmp_path))[1]) == 2
        else:
            with pytest.raises((OSError, ValueError)):
                train(BackupAndRestore(tmp_path))

    def test_backups_of_keras_itself(self, tmp_path):
        """They say nothing but the epoch."""
        with pytest.raises(KeyboardInterrupt):
            train(BackupAndRestore(tmp_path), Interrupt(2))
        with h5py.File(tmp_path / "latest.weights.h5", "r+") as file:
            del file["training_state"]
        (tmp_path / "training_metadata.json").write_text('{"epoch": 3, "batch": 0}')
        assert len(train(BackupAndRestore(tmp_path))[1]) == 1

    def test_kept_if_wanted(self, tmp_path):
        train(BackupAndRestore(tmp_path, delete_checkpoint=False), epochs=1)
        assert (tmp_path / "latest.weights.h5").exists()

    def test_bad_input(self, tmp_path):
        with pytest.raises(ValueError, match="Empty"):
            BackupAndRestore("")
        with pytest.raises(ValueError, match="'batch'"):
            BackupAndRestore("b", save_freq="batch")
        model = Sequential([layers.Dense(1)])
        callback = BackupAndRestore(tmp_path)
        callback.set_model(model)
        with pytest.raises(ValueError, match="must be built"):
            callback.on_train_begin()

    def test_warns_of_nothing(self, tmp_path):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            train(BackupAndRestore(tmp_path / "b"), epochs=1)


def test_subclasses_override_the_steps_of_a_checkpoint_by_keras_names(tmp_path):
    calls = []

    class Mine(ModelCheckpoint):
        def _save_model(self, epoch, batch, logs):
            calls.append(("save", epoch, batch))
            super()._save_model(epoch, batch, logs)

        def _should_save_model(self, epoch, batch, logs, filepath):
            calls.append(("should", os.path.basename(filepath)))
            return epoch == 1 and super()._should_save_model(epoch, batch, logs, filepath)

        def _get_file_path(self, epoch, batch, logs):
            return super()._get_file_path(epoch, batch, logs).replace("x", "y")

    model = Sequential([layers.Dense(1)])
    model.compile("sgd", "mse")
    path = os.path.join(tmp_path, "x{epoch}.keras")
    model.fit(np.ones((2, 3)), np.ones((2, 1)), epochs=2, verbose=0, callbacks=[Mine(path)])
    assert calls == [
        ("save", 0, None),
        ("should", "y1.keras"),
        ("save", 1, None),
        ("should", "y2.keras"),
    ]
    assert os.listdir(tmp_path) == ["y2.keras"]
