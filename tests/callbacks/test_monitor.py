"""Callbacks that watch a metric: EarlyStopping, ReduceLROnPlateau, and learning rate schedules."""

import types
import warnings

import numpy as np
import pytest

from torchkeras import ops
from torchkeras.callbacks import (
    EarlyStopping,
    LearningRateScheduler,
    ReduceLROnPlateau,
)
from torchkeras.callbacks.monitor import MonitorCallback


class Optimizer:
    name = "fake"

    def __init__(self, learning_rate=1.0):
        self.learning_rate = learning_rate


class Model:
    """As much of a model as these callbacks use; its only weight is the epoch's number."""

    def __init__(self, metrics=(), optimizer=None):
        self.metrics = list(metrics)
        self.optimizer = optimizer or Optimizer()
        self.stop_training = False
        self.weights = None

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.weights = weights


def metric(name, direction=None, metrics=None):
    found = types.SimpleNamespace(name=name)
    if direction:
        found._direction = direction
    if metrics:
        found.metrics = metrics
    return found


def run(callback, values, name="val_loss", model=None):
    """Feed one value per epoch until training stops; returns the model and the epochs run."""
    model = model or Model()
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        model.weights = epoch
        logs = {} if value is None else {name: value}
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    callback.on_train_end()
    return model, epoch + 1


class TestDirection:
    METRICS = (
        metric("loss"),
        metric(
            "compiled",
            metrics=[metric("accuracy", "up"), metric("mae", "down"), metric("my_metric")],
        ),
    )

    @pytest.mark.parametrize(
        "monitor, better",
        [
            ("loss", -1),
            ("val_loss", -1),
            ("accuracy", 1),
            ("val_accuracy", 1),
            ("val_mae", -1),
            ("val_left_accuracy", 1),
            ("left_loss", -1),
        ],
    )
    def test_auto(self, monitor, better):
        callback = MonitorCallback(monitor)
        callback.set_model(Model(self.METRICS))
        assert callback._is_improvement(1.0 + better, 1.0)
        assert not callback._is_improvement(1.0 - better, 1.0)
        assert not callback._is_improvement(1.0, 1.0)

    @pytest.mark.parametrize("mode, better", [("min", -1), ("max", 1)])
    def test_told(self, mode, better):
        callback = MonitorCallback("anything", mode, min_delta=-0.5)
        callback.set_model(Model())
        assert callback._is_improvement(1.0 + 0.6 * better, 1.0)
        assert not callback._is_improvement(1.0 + 0.4 * better, 1.0)

    @pytest.mark.parametrize("monitor", ["my_metric", "unknown"])
    def test_cannot_tell(self, monitor):
        with pytest.raises(ValueError, match="mode='max'"):
            run(EarlyStopping(monitor), [1.0], monitor, Model(self.METRICS))

    def test_unknown_mode(self):
        with pytest.warns(UserWarning, match="'up'"):
            assert EarlyStopping(mode="up").mode == "auto"


class TestEarlyStopping:
    @pytest.mark.parametrize(
        "values, kwargs, epochs",
        [
            ([3, 2, 1, 0], {}, 4),
            ([3, 2, 2, 0], {}, 3),
            ([3, 4, 5, 6, 1], {"patience": 3}, 4),
            ([3, 4, 5, 2, 3, 3, 1], {"patience": 3}, 7),
            ([3, 2.95, 2.5], {"min_delta": 0.1}, 2),
            ([3, 4, 5, 6], {"start_from_epoch": 2}, 4),
            ([3, None, 4, 5], {"patience": 1}, 3),
            ([0.6, 0.7, 0.8], {"mode": "max", "baseline": 0.9, "patience": 2}, 3),
            ([0.6, 0.95, 0.9, 0.9], {"mode": "max", "baseline": 0.9, "patience": 2}, 4),
            ([9, float("nan"), 8], {"patience": 2}, 3),
        ],
    )
    def test_when_it_stops(self, values, kwargs, epochs):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore" if None in values else "error")
            assert run(EarlyStopping(**kwargs), values)[1] == epochs

    @pytest.mark.parametrize("restore, weights", [(True, 1), (False, 3)])
    def test_weights(self, capsys, restore, weights):
        callback = EarlyStopping(patience=2, verbose=1, restore_best_weights=restore)
        model, _ = run(callback, [3, 1, 2, 2])
        assert model.weights == weights
        expected = "Epoch 4: early stopping\n"
        if restore:
            expected += "Restoring model weights from the end of the best epoch: 2.\n"
        assert capsys.readouterr().out == expected

    def test_best_weights_are_restored_without_a_stop(self):
        model, epochs = run(EarlyStopping(patience=5, restore_best_weights=True), [3, 1, 2])
        assert (model.weights, epochs) == (1, 3)

    def test_can_be_used_again(self):
        callback = EarlyStopping(patience=1, restore_best_weights=True)
        assert [run(callback, [2, 1, 3, 4])[1] for _ in range(2)] == [3, 3]

    def test_missing_metric(self):
        with pytest.warns(UserWarning, match="`val_loss` which is not available.*loss"):
            run(EarlyStopping(), [1.0], "loss")


class TestReduceLROnPlateau:
    @pytest.mark.parametrize(
        "values, kwargs, rate",
        [
            ([3, 2, 1], {"patience": 1}, 1.0),
            ([3, 3, 3], {"patience": 1}, 0.01),
            ([3, 3, 3], {"patience": 2, "factor": 0.5}, 0.5),
            ([3] * 6, {"patience": 1, "cooldown": 2}, 0.001),
            ([3] * 9, {"patience": 1, "min_lr": 0.05}, 0.05),
            ([3, 2.99995, 2.9999], {"patience": 2}, 0.1),
            ([3, 2.5, 2], {"patience": 1, "min_delta": 1}, 0.01),
            ([1, 2, 3], {"patience": 1, "mode": "max"}, 1.0),
        ],
    )
    def test_rates(self, values, kwargs, rate):
        model, _ = run(ReduceLROnPlateau(**kwargs), values)
        assert model.optimizer.learning_rate == pytest.approx(rate)

    def test_messages_and_logs(self, capsys):
        callback = ReduceLROnPlateau(patience=1, verbose=1, factor=0.5)
        callback.set_model(Model())
        callback.on_train_begin()
        logs = [{"val_loss": 1.0}, {"val_loss": 1.0}]
        for epoch, log in enumerate(logs):
            callback.on_epoch_end(epoch, log)
        assert [log["learning_rate"] for log in logs] == [1.0, 1.0]
        message = "\nEpoch 2: ReduceLROnPlateau reducing learning rate to 0.5.\n"
        assert capsys.readouterr().out == message

    def test_several_optimizers(self, capsys):
        both = Optimizer()
        both.optimizers = [Optimizer(1.0), Optimizer(0.01)]
        both.optimizers[1].name = "other"
        model = Model(optimizer=both)
        callback = ReduceLROnPlateau(patience=1, verbose=1, min_lr=0.1, factor=0.5)
        run(callback, [1, 1], model=model)
        assert [o.learning_rate for o in both.optimizers] == [0.5, 0.01]
        assert "reducing fake learning rate to 0.5." in capsys.readouterr().out

    def test_bad_input(self):
        with pytest.raises(ValueError, match="1.5"):
            ReduceLROnPlateau(factor=1.5)
        with pytest.warns(UserWarning, match="epsilon"):
            ReduceLROnPlateau(epsilon=1.0)
        with pytest.warns(UserWarning, match="which is not available.*learning_rate"):
            run(ReduceLROnPlateau(), [1.0], "loss")


class TestScheduler:
    @pytest.mark.parametrize(
        "schedule, rates",
        [
            (lambda epoch, lr: lr * 0.5, [0.5, 0.25]),
            (lambda epoch: 1.0 / (epoch + 2), [0.5, 1 / 3]),
            (lambda epoch, lr=None: np.float32(0.25), [0.25, 0.25]),
        ],
    )
    def test_rates(self, capsys, schedule, rates):
        callback = LearningRateScheduler(schedule, verbose=1)
        model = Model()
        callback.set_model(model)
        for epoch, rate in enumerate(rates):
            callback.on_epoch_begin(epoch)
            assert model.optimizer.learning_rate == pytest.approx(rate)
            logs = {}
            callback.on_epoch_end(epoch, logs)
            assert logs == {"learning_rate": pytest.approx(rate)}
        first = capsys.readouterr().out.splitlines()[1]
        assert first == f"Epoch 1: LearningRateScheduler setting learning rate to {rates[0]}."

    @pytest.mark.parametrize("value", [1, None, "0.1", [0.1]])
    def test_no_float(self, value):
        with pytest.raises(ValueError, match="should be a float"):
            run(LearningRateScheduler(lambda epoch, lr: value), [1.0])

    def test_errors_of_the_schedule_are_not_hidden(self):
        def schedule(epoch, lr):
            raise TypeError("own")

        with pytest.raises(TypeError, match="own"):
            run(LearningRateScheduler(schedule), [1.0])

    def test_no_learning_rate(self):
        model = Model(optimizer=types.SimpleNamespace(name="bare"))
        with pytest.raises(ValueError, match="learning_rate"):
            run(LearningRateScheduler(lambda epoch: 1.0), [1.0], model=model)


@pytest.mark.parametrize(("mode", "op"), [("min", ops.less), ("max", ops.greater)])
def test_the_comparison_is_an_op_of_keras(mode, op):
    callback = MonitorCallback("val_loss", mode)
    callback._set_monitor_op()
    assert callback.monitor_op is op
    better, worse = (1.0, 2.0) if mode == "min" else (2.0, 1.0)
    assert callback._is_improvement(better, worse) is True
    assert callback._is_improvement(worse, better) is False
