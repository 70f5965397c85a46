"""`BackupAndRestore`: an interrupted training comes to the same weights bit for bit."""

import functools
import random
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

import torchkeras
from torchkeras import Model, Sequential, callbacks, layers, losses, metrics, ops, optimizers
from torchkeras import random as keras_random
from torchkeras.callbacks import BackupAndRestore, Callback, LearningRateScheduler
from torchkeras.utils import PyDataset

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(22, 3)).astype("float32"), RNG.normal(size=(22, 1)).astype("float32")


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


SCHEDULE = optimizers.schedules.CosineDecay


def make_model(optimizer=None, **options):
    model = Sequential(
        [
            layers.Input((3,)),
            layers.Dense(8, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.GaussianNoise(0.1),
            layers.Dense(1),
        ]
    )
    if optimizer is None:
        optimizer = optimizers.Adam(
            SCHEDULE(0.05, 20),
            use_ema=True,
            ema_overwrite_frequency=7,
            gradient_accumulation_steps=2,
            clipnorm=1.0,
        )
    model.compile(optimizer, "mse", metrics=["mae", metrics.R2Score()], **options)
    return model


def run(make_data, *extra, epochs=4, make=make_model, model=None, fit=()):
    """A run in a process of its own: everything is made anew, from the same seed."""
    torchkeras.utils.set_random_seed(1)
    model = make()
    data, options = make_data()
    history = model.fit(*data, epochs=epochs, verbose=0, callbacks=list(extra), **options)
    return model, history.history


def assert_goes_on(tmp_path, make_data, at, save_freq, extra=list, **options):
    """Interrupt a run, go on with it, and compare with one that was not interrupted."""
    expected, losses = run(make_data, *extra(), **options)
    with pytest.raises(KeyboardInterrupt):
        run(make_data, BackupAndRestore(tmp_path, save_freq), *extra(), Interrupt(*at), **options)
    torch.manual_seed(7), np.random.seed(7), random.seed(7)
    model, rest = run(make_data, BackupAndRestore(tmp_path, 1000), *extra(), **options)
    for name, values in rest.items():
        assert values == losses[name][-len(values) :], name
    for a, b in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    pairs = zip(model.optimizer.variables, expected.optimizer.variables, strict=True)
    for a, b in pairs:
        assert torch.equal(a, b), a.path
    return rest


def arrays(**options):
    return lambda: ((X, Y), {"batch_size": 4} | options)


class Batches(PyDataset):
    """Shuffles itself from epoch to epoch, and makes its batches noisy, by the given generator."""

    def __init__(self, draw, **kwargs):
        super().__init__(**kwargs)
        self.draw, self.order = draw, np.arange(len(X))

    def __len__(self):
        return 6

    def __getitem__(self, index):
        rows = self.order[4 * index : 4 * index + 4]
        return X[rows] + self.noise(len(rows)), Y[rows]

    def noise(self, rows):
        return 0.0 if self.workers > 1 else 0.1 * np.random.normal(size=(rows, 3)).astype("f4")

    def on_epoch_end(self):
        self.draw(self.order)


def py_dataset(own=True, **options):
    def make():
        draw = np.random.default_rng(3).shuffle if own else lambda order: None
        return (Batches(draw, **options),), {}

    return make


def generator():
    def draw():
        rng = np.random.default_rng(5)
        while True:
            rows = rng.integers(0, len(X), 4)
            yield X[rows], Y[rows]

    return (draw(),), {"steps_per_epoch": 3, "shuffle": False}


class Noisy(Dataset):
    def __len__(self):
        return len(X)

    def __getitem__(self, index):
        return torch.from_numpy(X[index]) + 0.1 * torch.randn(3), torch.from_numpy(Y[index])


def loader(**options):
    def make():
        own = torch.Generator().manual_seed(3) if options.get("own") else None
        rest = {name: value for name, value in options.items() if name != "own"}
        return (DataLoader(Noisy(), 4, shuffle=True, generator=own),), {"shuffle": False, **rest}

    return make


DATA = {
    "arrays": arrays(),
    "shuffled within batches": arrays(shuffle="batch"),
    "not shuffled": arrays(shuffle=False),
    "steps of one pass": arrays(steps_per_epoch=3),
    "PyDataset": py_dataset(own=False),
    "PyDataset that shuffles itself": py_dataset(),
    "PyDataset of threads": py_dataset(workers=2),
    "PyDataset by steps": lambda: ((Batches(lambda order: None),), {"steps_per_epoch": 3}),
    "generator": generator,
    "DataLoader": loader(),
    "DataLoader with a generator of its own": loader(own=True),
    "DataLoader by steps": loader(steps_per_epoch=3),
}


@pytest.mark.parametrize("kind", DATA)
def test_data(tmp_path, kind):
    assert_goes_on(tmp_path, DATA[kind], (1, 1), 1, epochs=3)


@pytest.mark.parametrize("kind", ["arrays", "steps of one pass"])
@pytest.mark.parametrize("at", [(0, 0), (0, 1), (1, 0), (2, None)], ids=str)
def test_moments(tmp_path, kind, at):
    assert_goes_on(tmp_path, DATA[kind], at, 1)


@pytest.mark.parametrize(
    "save_freq, at, epochs", [(2, (1, 3), 3), (3, (1, 3), 3), (6, (1, 0), 4), (5, (2, 4), 2)]
)
def test_backups_lag_behind(tmp_path, save_freq, at, epochs):
    assert len(assert_goes_on(tmp_path, DATA["arrays"], at, save_freq)["loss"]) == epochs


@pytest.mark.parametrize("kind", ["arrays", "steps of one pass", "generator", "PyDataset"])
def test_by_epochs(tmp_path, kind):
    assert len(assert_goes_on(tmp_path, DATA[kind], (2, 2), "epoch")["loss"]) == 2


def test_the_last_batch_of_an_epoch(tmp_path):
    """All that is left of it is its validation."""
    make_data = arrays(validation_data=(X, Y))
    assert len(assert_goes_on(tmp_path, make_data, (1, 5), 6)["val_loss"]) == 3


def test_several_interruptions(tmp_path):
    make_data = DATA["steps of one pass"]
    expected, _ = run(make_data)
    for at in ((0, 2), (1, 0), (2, 0), (3, 1)):
        with pytest.raises(KeyboardInterrupt):
            run(make_data, BackupAndRestore(tmp_path, 1), Interrupt(*at))
    model, _ = run(make_data, BackupAndRestore(tmp_path, 1))
    for a, b in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_steps_per_execution(tmp_path):
    make = functools.partial(make_model, steps_per_execution=4)
    assert_goes_on(tmp_path, DATA["arrays"], (1, 3), 4, make=make)


def test_callbacks_that_change_something_at_the_beginning_of_an_epoch(tmp_path):
    """It must not be changed twice."""
    make = functools.partial(make_model, "sgd")

    def extra():
        return [LearningRateScheduler(lambda epoch, rate: 0.9 * rate)]

    assert_goes_on(tmp_path, DATA["arrays"], (2, 1), 1, extra, make=make)


def other_callbacks(folder):
    return {
        "plateau": lambda: callbacks.ReduceLROnPlateau("loss", 0.5, patience=1, min_delta=5.0),
        "early stopping": lambda: callbacks.EarlyStopping(
            "val_loss", patience=4, min_delta=5.0, restore_best_weights=True
        ),
        "best": lambda: callbacks.ModelCheckpoint(
            folder / "{epoch}.keras", "val_loss", save_best_only=True
        ),
        "by batches": lambda: callbacks.ModelCheckpoint(
            folder / "{epoch}-{batch}.weights.h5", save_weights_only=True, save_freq=5
        ),
    }


@pytest.mark.parametrize(
    "at, save_freq, backup_first",
    [((3, 2), 1, False), ((3, 2), "epoch", True), ((3, 2), "epoch", False), ((2, None), 4, True)],
    ids=str,
)
@pytest.mark.parametrize("kind", other_callbacks(None))
def test_other_callbacks_remember(tmp_path, kind, at, save_freq, backup_first):
    """What they do in the end depends on what they saw before the interruption."""
    make_data = arrays(validation_data=(X, Y))
    make = functools.partial(make_model, "adam")

    def again(name, interrupt=()):
        other = other_callbacks(tmp_path / name)[kind]()
        if name == "expected":
            return *run(make_data, other, epochs=6, make=make), other
        both = [BackupAndRestore(tmp_path / "backup", save_freq), other]
        both = both if backup_first else both[::-1]
        return *run(make_data, *both, *interrupt, epochs=6, make=make), other

    expected, losses, other = again("expected")
    with pytest.raises(KeyboardInterrupt):
        again("actual", [Interrupt(*at)])
    model, rest, resumed = again("actual")
    assert 0 < len(rest["loss"]) < len(losses["loss"])
    for name, values in rest.items():
        assert values == losses[name][-len(values) :], name
    for a, b in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for name in set(other._carried) - {"best_weights"}:
        assert getattr(resumed, name) == getattr(other, name), name
    files = [sorted(p.name for p in tmp_path.glob(f"{name}/*")) for name in ("expected", "actual")]
    assert files[0] == files[1] and bool(files[0]) is (kind in ("best", "by batches"))


@pytest.mark.parametrize("backup_first", [True, False])
def test_a_training_that_had_come_to_its_end(tmp_path, backup_first):
    """It was stopped, and interrupted before it returned."""

    class Killed(Callback):
        def on_train_end(self, logs=None):
            raise KeyboardInterrupt

    fit = functools.partial(run, DATA["arrays"], make=functools.partial(make_model, "adam"))

    def again(*extra, **options):
        stop = callbacks.EarlyStopping("loss", min_delta=9.0, restore_best_weights=True)
        both = [BackupAndRestore(tmp_path, **options), stop]
        return fit(*extra, *(both if backup_first else both[::-1]), epochs=5)

    with pytest.raises(KeyboardInterrupt):
        again(Killed())
    model, rest = again(delete_checkpoint=False)
    assert rest == {}
    expected, _ = fit(epochs=1)
    for a, b in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    _, further = again(delete_checkpoint=False)  # one that has ended is gone on with
    assert len(further["loss"]) == 2


def test_callbacks_that_are_not_those_of_the_backup(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(DATA["arrays"], BackupAndRestore(tmp_path), Interrupt(1, 1))
    stop = callbacks.EarlyStopping("loss")
    with pytest.warns(UserWarning, match="callbacks are not those of the backup"):
        run(DATA["arrays"], BackupAndRestore(tmp_path), stop)


OPTIMIZERS = {
    "loss scale": lambda: optimizers.LossScaleOptimizer(
        optimizers.SGD(0.01, 0.9), dynamic_growth_steps=5
    ),
    "muon": lambda: optimizers.Muon(0.01),
    "torch": lambda: functools.partial(torch.optim.AdamW, lr=0.01),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(tmp_path, name):
    make = lambda: make_model(OPTIMIZERS[name]())  # noqa: E731
    assert_goes_on(tmp_path, DATA["arrays"], (1, 3), 1, make=make)


@pytest.mark.parametrize("at, save_freq", [((2, 3), 3), ((2, None), "epoch")], ids=str)
@pytest.mark.parametrize(
    "kind, interval",
    [
        *(("StepLR", "epoch"), ("ReduceLROnPlateau", "epoch"), ("SequentialLR", "epoch")),
        *(("StepLR", "step"), ("OneCycleLR", "step")),
    ],
)
def test_schedulers_of_torch(tmp_path, kind, interval, at, save_freq):
    schedulers = torch.optim.lr_scheduler

    def make():
        model = make_model("sgd")
        optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
        scheduler = {
            "StepLR": lambda: schedulers.StepLR(optimizer, 2, 0.5),
            "OneCycleLR": lambda: schedulers.OneCycleLR(optimizer, 0.01, 24),
            "ReduceLROnPlateau": lambda: schedulers.ReduceLROnPlateau(optimizer, patience=0),
            "SequentialLR": lambda: schedulers.SequentialLR(
                optimizer,
                [schedulers.ConstantLR(optimizer), schedulers.ExponentialLR(optimizer, 0.5)],
                [2],
            ),
        }[kind]()
        model.compile(optimizers.TorchOptimizer(optimizer, scheduler, interval), "mse")
        return model

    assert_goes_on(tmp_path, DATA["arrays"], at, save_freq, make=make)


class Custom(Model):
    """A model with a step of its own, which draws from the generators without a layer's seed."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1)
        self.error = metrics.Mean(name="error")

    def call(self, x):
        return self.dense(x)

    def train_step(self, data):
        x, y = data
        x = x + 0.1 * torch.randn_like(x) + keras_random.normal((3,)) * random.random()
        loss = losses.mean_squared_error(y, self(x, training=True)).mean()
        loss = loss * float(np.random.uniform(0.5, 1.5))
        variables = self.trainable_weights
        self.optimizer.apply(torch.autograd.grad(loss, variables), variables)
        self.error.update_state(ops.abs(loss))
        return {"error": self.error.result()}


def test_random_numbers_without_a_layer(tmp_path):
    def make():
        model = Custom()
        model.build((None, 3))
        model.compile("adam")
        return model

    assert_goes_on(tmp_path, DATA["arrays"], (1, 3), 1, make=make)


def test_a_generator_in_use_goes_on_where_it_is(tmp_path):
    """Interrupted and begun again in one process: what it gave is gone."""
    given = []

    def draw():
        for number in range(24):
            given.append(number)
            yield X[:4] * number, Y[:4]

    stream = draw()
    data = lambda: ((stream,), {"steps_per_epoch": 6, "shuffle": False})  # noqa: E731
    with pytest.raises(KeyboardInterrupt):
        run(data, BackupAndRestore(tmp_path, 1), Interrupt(1, 1))
    run(data, BackupAndRestore(tmp_path, 1))
    assert given == list(range(24))


def test_batches_that_are_done_are_not_made(tmp_path):
    made = []

    class Noting(Batches):
        def __getitem__(self, index):
            made.append(index)
            return super().__getitem__(index)

    data = lambda: ((Noting(lambda order: None),), {"shuffle": False})  # noqa: E731
    with pytest.raises(KeyboardInterrupt):
        run(data, BackupAndRestore(tmp_path, 1), Interrupt(1, 3))
    made.clear()
    batches = []
    note = callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: batches.append(batch))
    run(data, BackupAndRestore(tmp_path, 1), note, epochs=2)
    assert made[-2:] == batches == [4, 5]


def test_other_metrics_than_before(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(DATA["arrays"], BackupAndRestore(tmp_path, 1), Interrupt(1, 3))

    def make():
        model = make_model()
        model.compile(model.optimizer, "mse", metrics=["cosine_similarity"])
        return model

    with pytest.warns(UserWarning, match="the metrics of model"):
        run(DATA["arrays"], BackupAndRestore(tmp_path, 1), make=make)


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".safetensors"])
def test_a_file_of_the_whole_model(tmp_path, suffix):
    """A model that was saved at the end of an epoch is trained on; the data is not shuffled."""

    def make():
        model = Sequential([layers.Input((3,)), layers.Dense(4), layers.BatchNormalization()])
        model.compile(optimizers.Adam(SCHEDULE(0.05, 20), gradient_accumulation_steps=4), "mse")
        return model

    make_data = arrays(shuffle=False)
    expected, losses = run(make_data, make=make)
    path = tmp_path / f"{{epoch}}{suffix}"
    run(make_data, callbacks.ModelCheckpoint(path), make=make, epochs=2)
    load = functools.partial(torchkeras.saving.load_model, tmp_path / f"2{suffix}")
    model, rest = run(lambda: ((X, Y), {**make_data()[1], "initial_epoch": 2}), make=load)
    assert rest["loss"] == losses["loss"][2:]
    for a, b in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


PROGRAM = """
    import os, signal, sys
    from tests.callbacks.test_resume import DATA, BackupAndRestore, Callback, run

    class Killed(Callback):
        batches = 0

        def on_train_batch_end(self, batch, logs=None):
            self.batches += 1
            if self.batches == 10:
                os.kill(os.getpid(), signal.SIGKILL)

    run(DATA["arrays"], BackupAndRestore(sys.argv[1], 3), Killed())
"""


def test_killed(tmp_path):
    expected, _ = run(DATA["arrays"])
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(tmp_path / "b")]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    model, rest = run(DATA["arrays"], BackupAndRestore(tmp_path / "b", 3))
    assert len(rest["loss"]) == 3
    for a, b in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
