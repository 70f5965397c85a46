"""Callbacks against those of keras 3.15.1: decisions, files, and what is printed."""

import inspect
import os
import re
import types
import warnings

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras.src.callbacks import monitor_callback as keras_monitor
from keras.src.utils import progbar as keras_progbar

import torchkeras
from torchkeras.callbacks import progbar as our_progbar

LIBRARIES = (keras, torchkeras)
FEW = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


class Clock:
    """A clock that both libraries read, and that only the tests advance."""

    def __init__(self):
        self.now = 1e9

    def time(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(keras_progbar, "time", clock)
    monkeypatch.setattr(our_progbar, "time", clock)
    return clock


def both(run, capsys):
    """Results of `run(library)` and what it printed, for Keras and for us."""
    found = []
    capsys.readouterr()
    for library in LIBRARIES:
        library.utils.clear_session(free_memory=False)
        library.utils.set_random_seed(3)
        found.append((run(library), capsys.readouterr().out))
    return found


NUMBER = re.compile(r"\d+\.\d{4,}(?:e[+-]\d+)?")


def assert_same_text(ours, theirs):
    """Equal but for the last digits of metrics, which differ by rounding."""
    assert NUMBER.sub("#", ours) == NUMBER.sub("#", theirs)
    numbers = [[float(x) for x in NUMBER.findall(text)] for text in (ours, theirs)]
    np.testing.assert_allclose(*numbers, rtol=1e-3, atol=1e-4)


CLASSES = (
    *("BackupAndRestore", "CSVLogger", "Callback", "CallbackList", "EarlyStopping", "History"),
    *("LambdaCallback", "LearningRateScheduler", "ModelCheckpoint", "ProgbarLogger"),
    *("ReduceLROnPlateau", "RemoteMonitor", "SwapEMAWeights", "TensorBoard", "TerminateOnNaN"),
)


@pytest.mark.parametrize("name", CLASSES)
def test_signatures(name):
    def arguments(library):
        cls = getattr(library.callbacks, name)
        return [
            (p.name, p.default, p.kind) for p in inspect.signature(cls.__init__).parameters.values()
        ]

    expected = arguments(keras)
    assert arguments(torchkeras)[: len(expected)] == expected


@pytest.mark.parametrize("name", [n for n in dir(keras.callbacks.Callback) if n.startswith("on_")])
def test_hooks_have_the_same_arguments(name):
    ours, theirs = (getattr(library.callbacks.Callback, name) for library in LIBRARIES)
    assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)


# The progress bar ---------------------------------------------------------------------------------

VALUES = st.one_of(
    st.floats(-1e6, 1e6, allow_nan=False),
    st.integers(-5, 5),
    st.sampled_from([0.0, 1e-3, -1e-3, 1.0001e-3, float("nan"), np.float32(0.1)]),
    st.lists(st.floats(-1, 1), min_size=2, max_size=2).map(np.array),
)


@FEW
@given(
    target=st.sampled_from([None, 0, 1, 7, 10, 1234]),
    options=st.sampled_from(
        [{}, {"stateful_metrics": ["a"]}, {"stateless_metrics": ["a"]}, {"width": 7}]
    ),
    verbose=st.sampled_from([0, 1, 1, 2]),
    unit_name=st.sampled_from(["step", "sample"]),
    steps=st.lists(
        st.tuples(
            st.integers(0, 4),
            st.sampled_from([0.0, 1e-5, 0.01, 0.06, 0.7, 3.0, 80.0, 5000.0]),
            st.lists(st.tuples(st.sampled_from("abc"), VALUES), max_size=3),
            st.sampled_from([None, None, None, False, True]),
        ),
        max_size=8,
    ),
)
def test_progbar_to_the_letter(clock, capsys, target, options, verbose, unit_name, steps):
    capsys.readouterr()
    out = []
    for library in LIBRARIES:
        clock.now = 1e9
        bar = library.utils.Progbar(target, verbose=verbose, unit_name=unit_name, **options)
        current = 0
        for step, seconds, values, finalize in steps:
            clock.now += seconds
            current += step
            with np.errstate(all="ignore"):
                bar.update(current, values, finalize)
        out.append(capsys.readouterr().out)
    assert out[1] == out[0]


def tick(library, clock, seconds=0.2):
    """A callback that lets time pass at each batch, so that every batch is drawn."""

    class Tick(library.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            clock.now += seconds

        on_test_batch_end = on_predict_batch_end = on_train_batch_end

    return Tick()


def data(rows=40):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 4))
    return x, (x.sum(1) > 0).astype("int64")


def model(k, **compile_args):
    layers = [k.layers.Input((4,)), k.layers.Dense(8, activation="tanh")]
    net = k.Sequential([*layers, k.layers.Dense(1, activation="sigmoid")])
    net.compile(
        **{
            "optimizer": k.optimizers.Adam(0.05),
            "loss": "binary_crossentropy",
            "metrics": ["accuracy"],
            **compile_args,
        }
    )
    return net


@pytest.mark.parametrize("verbose", [0, 1, 2, "auto"])
@pytest.mark.parametrize("epochs", [1, 2])
@pytest.mark.parametrize("validation", [False, True])
def test_what_fit_prints(clock, capsys, verbose, epochs, validation):
    x, y = data()

    def run(k):
        clock.now = 1e9
        net = model(k)
        history = net.fit(
            x,
            y,
            batch_size=16,
            epochs=epochs,
            verbose=verbose,
            callbacks=[tick(k, clock)],
            validation_split=0.2 if validation else 0.0,
        )
        return history.history, history.epoch, history.params

    (theirs, their_text), (ours, our_text) = both(run, capsys)
    assert_same_text(our_text, their_text)
    assert list(ours[0]) == list(theirs[0])
    assert ours[1] == theirs[1]
    if verbose != "auto":
        assert ours[2] == theirs[2]
    for name, values in theirs[0].items():
        np.testing.assert_allclose(ours[0][name], values, rtol=1e-4)


@pytest.mark.parametrize("verbose", [0, 1, 2])
@pytest.mark.parametrize("method", ["evaluate", "predict", "generator", "steps"])
def test_what_other_methods_print(clock, capsys, method, verbose):
    x, y = data()

    def batches():
        for i in range(0, 40, 8):
            yield x[i : i + 8], y[i : i + 8]

    def run(k):
        clock.now = 1e9
        net = model(k)
        options = {"verbose": verbose, "callbacks": [tick(k, clock)]}
        if method == "evaluate":
            net.evaluate(x, y, 16, **options)
        elif method == "predict":
            net.predict(x, 16, **options)
        elif method == "generator":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Keras says that the data has run out
                net.fit(batches(), epochs=1, **options)
        else:
            net.fit(x, y, 8, epochs=2, steps_per_epoch=2, shuffle=False, **options)

    (_, theirs), (_, ours) = both(run, capsys)
    assert_same_text(ours, theirs)


# Order of hooks -----------------------------------------------------------------------------------


def recorder(library):
    hooks = [name for name in dir(library.callbacks.Callback) if name.startswith("on_")]
    events = []

    def note(hook):
        def method(self, *args, logs=None):
            logs = args[-1] if args and isinstance(args[-1], dict) else logs
            index = args[0] if args and isinstance(args[0], int) else None
            kinds = {name: type(value).__name__ for name, value in (logs or {}).items()}
            events.append((hook, index, kinds))
            if hook.startswith("on_train_batch"):
                getattr(self, hook.replace("_train", ""))(*args, logs=logs)

        return method

    cls = type("Recorder", (library.callbacks.Callback,), {hook: note(hook) for hook in hooks})
    return cls(), events


@pytest.mark.parametrize("steps_per_epoch", [None, 2])
def test_hooks_are_called_in_the_same_order(capsys, steps_per_epoch):
    x, y = data(32)

    def run(k):
        callback, events = recorder(k)
        net = model(k)
        options = {"callbacks": [callback], "verbose": 0}
        net.fit(
            x, y, 8, 2, steps_per_epoch=steps_per_epoch, validation_data=(x[:9], y[:9]), **options
        )
        net.evaluate(x, y, 8, **options)
        net.predict(x, 8, **options)
        return events

    (theirs, _), (ours, _) = both(run, capsys)
    assert ours == theirs


def test_a_callback_can_stop_an_epoch(capsys):
    x, y = data(20)

    def run(k):
        class Stop(k.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                self.model.stop_training = batch == 1

        callback, events = recorder(k)
        model(k).fit(x, y, 4, 3, 0, callbacks=[Stop(), callback])
        return [(hook, index) for hook, index, _ in events]

    (theirs, _), (ours, _) = both(run, capsys)
    assert ours == theirs


# Callbacks that decide, on a stand-in for a model -------------------------------------------------


class Metric:
    def __init__(self, name, direction=None):
        self.name = name
        if direction:
            self._direction = direction


class CompileMetrics(keras_monitor.compile_utils.CompileMetrics):
    """What Keras looks for; holds metrics and nothing else."""

    def __init__(self, *metrics):
        self.__dict__["_inner"] = list(metrics)

    metrics = property(lambda self: self._inner)
    name = "compile_metrics"


class Optimizer:
    name = "fake"

    def __init__(self, rate=1.0):
        self.learning_rate = rate


class Fake:
    """A model whose weight is the number of the epoch, and that notes what is done to it."""

    name = "fake"
    built = True

    def __init__(self):
        self.metrics = [
            CompileMetrics(Metric("accuracy", "up"), Metric("mae", "down"), Metric("odd"))
        ]
        self.optimizer = Optimizer()
        self.stop_training = False
        self.weights = None
        self.events = []

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.events.append(("weights", weights))

    def save(self, path, overwrite=False):
        self.events.append(("save", os.path.basename(path), overwrite))

    def save_weights(self, path, overwrite=False):
        self.events.append(("save_weights", os.path.basename(path), overwrite))


def follow(callback, values, name, batches=2):
    """Run a callback over epochs; returns all that it did."""
    fake = Fake()
    callback.set_model(fake)
    callback.set_params({"epochs": len(values), "steps": batches, "verbose": 0})
    trace = []
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        fake.weights = epoch
        callback.on_epoch_begin(epoch)
        for batch in range(batches):
            callback.on_train_batch_begin(batch, {})
            callback.on_train_batch_end(batch, {"loss": value or 0.0})
        logs = {"loss": 0.25} if value is None else {"loss": 0.25, name: value}
        callback.on_epoch_end(epoch, logs)
        state = [
            getattr(callback, name, None)
            for name in ("best", "best_epoch", "wait", "stopped_epoch", "cooldown_counter")
        ]
        trace.append((fake.stop_training, fake.optimizer.learning_rate, dict(logs), state))
        if fake.stop_training:
            break
    callback.on_train_end()
    return trace, fake.events


def compare(capsys, name, kwargs, values, monitor="val_loss", **options):
    """Run a callback of both libraries on the stand-in: same trace, messages, warnings, errors."""
    results = []
    for library in LIBRARIES:
        capsys.readouterr()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                callback = getattr(library.callbacks, name)(**kwargs)
                found = follow(callback, values, monitor, **options)
            except Exception as error:
                found = type(error)
        results.append((found, capsys.readouterr().out, [w.category for w in caught]))
    assert results[1] == results[0]


LOSSES = st.lists(
    st.one_of(st.sampled_from([0.5, 0.45, 0.4999, 0.6, None]), st.floats(0, 1)), max_size=12
)
MONITORS = st.sampled_from(["val_loss", "val_loss", "val_accuracy", "val_mae", "val_odd", "none"])


@FEW
@given(
    values=LOSSES,
    monitor=MONITORS,
    kwargs=st.fixed_dictionaries(
        {
            "patience": st.integers(0, 3),
            "min_delta": st.sampled_from([0, 0.05, -0.05]),
            "mode": st.sampled_from(["auto", "min", "max"]),
            "baseline": st.sampled_from([None, None, 0.48]),
            "restore_best_weights": st.booleans(),
            "start_from_epoch": st.sampled_from([0, 0, 2]),
            "verbose": st.sampled_from([0, 1]),
        }
    ),
)
def test_early_stopping(capsys, values, monitor, kwargs):
    compare(capsys, "EarlyStopping", {"monitor": monitor, **kwargs}, values, monitor)


@FEW
@given(
    values=LOSSES,
    monitor=MONITORS,
    kwargs=st.fixed_dictionaries(
        {
            "patience": st.integers(0, 3),
            "min_delta": st.sampled_from([1e-4, 0.05]),
            "mode": st.sampled_from(["auto", "min", "max"]),
            "factor": st.sampled_from([0.1, 0.5, 1.0]),
            "cooldown": st.integers(0, 2),
            "min_lr": st.sampled_from([0.0, 0.03]),
            "verbose": st.sampled_from([0, 1]),
        }
    ),
)
def test_reduce_lr_on_plateau(capsys, values, monitor, kwargs):
    compare(capsys, "ReduceLROnPlateau", {"monitor": monitor, **kwargs}, values, monitor)


@FEW
@given(
    values=LOSSES,
    kwargs=st.fixed_dictionaries(
        {
            "filepath": st.sampled_from(
                [
                    *("m.keras", "m.h5", "{epoch:02d}-{loss:.2f}.keras", "{epoch}.weights.h5"),
                    *("m.txt", "{val_loss}.keras", "{epoch}-{batch}.keras"),
                ]
            ),
            "save_best_only": st.booleans(),
            "save_weights_only": st.booleans(),
            "mode": st.sampled_from(["auto", "min", "max"]),
            "save_freq": st.sampled_from(["epoch", "epoch", 1, 3, "batch"]),
            "initial_value_threshold": st.sampled_from([None, 0.48]),
            "verbose": st.sampled_from([0, 1]),
        }
    ),
)
def test_model_checkpoint(capsys, values, kwargs):
    if kwargs["save_best_only"] and kwargs["save_freq"] in (1, 3):
        # Keras compares with a best value before it has decided which way is better, and fails.
        kwargs = {**kwargs, "save_freq": "epoch"}
    compare(capsys, "ModelCheckpoint", kwargs, values)


@pytest.mark.parametrize("batches", [1, 3, 5])
@pytest.mark.parametrize("save_freq", [1, 2, 4, 7])
def test_model_checkpoint_by_batches(capsys, save_freq, batches):
    kwargs = {"filepath": "{epoch}-{batch}.keras", "save_freq": save_freq, "verbose": 1}
    compare(capsys, "ModelCheckpoint", kwargs, [0.5, 0.25, 0.75], batches=batches)


@pytest.mark.parametrize(
    "schedule",
    [
        lambda epoch, lr: lr * 0.5,
        lambda epoch: 0.1 / (epoch + 1),
        lambda epoch, lr: np.float32(0.1),
        lambda epoch, lr: 1,
        lambda epoch, lr: "fast",
        lambda: 1.0,
    ],
)
@pytest.mark.parametrize("verbose", [0, 1])
def test_learning_rate_scheduler(capsys, schedule, verbose):
    kwargs = {"schedule": schedule, "verbose": verbose}
    compare(capsys, "LearningRateScheduler", kwargs, [0.5, 0.5])


@pytest.mark.parametrize("raise_error", [False, True])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1.0])
def test_terminate_on_nan(capsys, value, raise_error):
    compare(capsys, "TerminateOnNaN", {"raise_error": raise_error}, [1.0, value, 2.0], "loss")


LOGS = st.dictionaries(
    st.sampled_from(["loss", "accuracy", "val_loss", "b,c"]),
    st.one_of(
        st.floats(allow_nan=False), st.just("a,b"), st.just([1, 2.5]), st.just(np.float32(0.1))
    ),
    max_size=4,
)


@FEW
@given(
    runs=st.lists(st.lists(LOGS, min_size=1, max_size=3), min_size=1, max_size=2),
    separator=st.sampled_from([",", ";"]),
    append=st.booleans(),
)
def test_csv_logger(tmp_path_factory, runs, separator, append):
    files = []
    for library in LIBRARIES:
        path = tmp_path_factory.mktemp("csv") / "log.csv"
        for run in runs:
            logger = library.callbacks.CSVLogger(str(path), separator, append)
            logger.on_train_begin()
            for epoch, logs in enumerate(run):
                logger.on_epoch_end(epoch, dict(logs))
            logger.on_train_end()
        files.append(path.read_bytes())
    assert files[1] == files[0]


def test_lambda_callback():
    def run(library):
        seen = []
        hooks = {
            hook: lambda *args, hook=hook, **kwargs: seen.append((hook, args, kwargs))
            for hook in dir(library.callbacks.Callback)
            if hook.startswith("on_")
        }
        callbacks = library.callbacks.CallbackList([library.callbacks.LambdaCallback(**hooks)])
        for hook in sorted(hooks):
            if hook not in ("on_batch_begin", "on_batch_end"):
                index = (1,) if "epoch" in hook or "batch" in hook else ()
                getattr(callbacks, hook)(*index, {"loss": np.float32(2.0)})
            if hook == "on_epoch_end":
                callbacks.on_train_begin()  # Keras wants ends to follow begins
                callbacks.on_test_begin()
                callbacks.on_predict_begin()
        return seen

    assert run(torchkeras) == run(keras)


# Callbacks on real models -------------------------------------------------------------------------


def test_all_messages_of_a_run(clock, capsys, tmp_path):
    x, y = data(60)

    def run(k):
        clock.now = 1e9
        C = k.callbacks
        folder = tmp_path / "run"
        net = model(k)
        history = net.fit(
            x,
            y,
            batch_size=16,
            epochs=12,
            validation_split=0.25,
            callbacks=[
                tick(k, clock),
                C.EarlyStopping(
                    "val_loss", min_delta=0.05, patience=3, verbose=1, restore_best_weights=True
                ),
                C.ModelCheckpoint(folder / "best.keras", verbose=1, save_best_only=True),
                C.ModelCheckpoint(folder / "{epoch}.weights.h5", save_weights_only=True, verbose=1),
                C.ReduceLROnPlateau(patience=1, min_delta=0.1, verbose=1, factor=0.5),
                C.CSVLogger(tmp_path / "log.csv"),
            ],
        )
        log = (tmp_path / "log.csv").read_text()
        return history.history, net.get_weights(), sorted(os.listdir(folder)), log

    (theirs, their_text), (ours, our_text) = both(run, capsys)
    assert "early stopping" in their_text and "reducing learning rate" in their_text
    assert_same_text(our_text, their_text)
    assert list(ours[0]) == list(theirs[0]) and ours[2] == theirs[2]
    for name, values in theirs[0].items():
        np.testing.assert_allclose(ours[0][name], values, rtol=1e-3, atol=1e-5)
    for a, b in zip(ours[1], theirs[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    assert ours[3].splitlines()[0] == theirs[3].splitlines()[0]
    assert len(ours[3].splitlines()) == len(theirs[3].splitlines())


@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_swap_ema_weights(capsys, swap_on_epoch):
    x, y = data(32)

    def run(k):
        net = model(k, optimizer=k.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.9))
        history = net.fit(
            x,
            y,
            8,
            3,
            0,
            [k.callbacks.SwapEMAWeights(swap_on_epoch)],
            validation_data=(x, y),
        )
        return history.history, net.get_weights()

    ((their_history, their_weights), _), ((our_history, our_weights), _) = both(run, capsys)
    for name, values in their_history.items():
        np.testing.assert_allclose(our_history[name], values, rtol=1e-4)
    for a, b in zip(our_weights, their_weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


class Interrupt(Exception):
    pass


def interrupted(k, epoch):
    class Raises(k.callbacks.Callback):
        def on_epoch_begin(self, number, logs=None):
            if number == epoch:
                raise Interrupt

    return Raises()


@pytest.mark.parametrize("first", LIBRARIES)
@pytest.mark.parametrize("second", LIBRARIES)
def test_backups_are_understood_by_both(tmp_path, first, second):
    x, y = data(24)

    def fit(k, *extra, **options):
        k.utils.clear_session(free_memory=False)
        k.utils.set_random_seed(1)
        net = model(k)
        callbacks = [k.callbacks.BackupAndRestore(str(tmp_path / "b"), **options), *extra]
        return net.fit(x, y, 8, 5, 0, callbacks, shuffle=False).history["loss"]

    expected = fit(keras)
    with pytest.raises(Interrupt):
        fit(first, interrupted(first, 3))
    rest = fit(second, delete_checkpoint=False)
    assert len(rest) == 2
    np.testing.assert_allclose(rest, expected[3:], rtol=1e-4)
    assert (tmp_path / "b" / "latest.weights.h5").exists()


@pytest.mark.parametrize("kwargs", [{"backup_dir": ""}, {"backup_dir": "b", "save_freq": "batch"}])
def test_bad_backups(kwargs):
    for library in LIBRARIES:
        with pytest.raises(ValueError):
            library.callbacks.BackupAndRestore(**kwargs)


def test_backup_of_an_unbuilt_model(tmp_path):
    for library in LIBRARIES:
        callback = library.callbacks.BackupAndRestore(str(tmp_path))
        callback.set_model(types.SimpleNamespace(built=False, name="m"))
        with pytest.raises(ValueError):
            callback.on_train_begin()
