"""The progress bar: what is printed, and how seldom logs are read."""

import io
import logging
import sys
import types

import pytest
import torch

from torchkeras import config
from torchkeras.callbacks import CallbackList, ProgbarLogger
from torchkeras.callbacks import progbar as module
from torchkeras.callbacks.console import print_msg
from torchkeras.callbacks.progbar import Progbar


class Clock:
    def __init__(self):
        self.now = 1000.0

    def time(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def plain(text):
    for code in ("\x1b[1m", "\x1b[32m", "\x1b[37m", "\x1b[0m"):
        text = text.replace(code, "")
    return text


def test_bar(clock, capsys):
    bar = Progbar(10, width=10)
    clock.now += 0.5
    bar.update(1, [("loss", 0.5)])
    clock.now += 0.1
    bar.update(2, [("loss", 0.3)])
    first, second = (plain(part) for part in capsys.readouterr().out.split("\r")[1:])
    assert first.rstrip("\b") == " 1/10 ━━━━━━━━━━ 4s 500ms/step - loss: 0.5000"
    assert second == " 2/10 ━━━━━━━━━━ 0s 100ms/step - loss: 0.4000"
    assert first.count("\b") == len(first.rstrip("\b"))


def test_shorter_line_covers_the_longer_one(clock, capsys):
    bar = Progbar(2, width=4, stateless_metrics=[])
    bar.update(1, [("loss", -123456.0)])
    clock.now += 1
    bar.update(2, [("loss", 1.0)])
    first, second = (plain(part) for part in capsys.readouterr().out.split("\r")[1:])
    assert len(second) == len(first.rstrip("\b")) + 1 and second.endswith("  \n")


@pytest.mark.parametrize(
    "seconds, text", [(7, "7s"), (60, "60s"), (61.5, "1:01"), (3600, "60:00"), (3725.9, "1:02:05")]
)
def test_countdown(seconds, text):
    assert module._countdown(seconds) == text


@pytest.mark.parametrize(
    "pace, text", [(0, "0s"), (2.4, "2s"), (0.25, "250ms"), (0.0005, "500us"), (0.001, "1ms")]
)
def test_time_per_step(pace, text):
    assert Progbar(1)._per_step(pace) == f"{text}/step"
    assert Progbar(1, unit_name="sample")._per_step(pace).endswith("/sample")


def test_unknown_target(clock, capsys):
    bar = Progbar(None)
    bar.update(3, [("loss", 1e-5)])
    out = plain(capsys.readouterr().out)
    assert out.endswith("      3/Unknown 0s 0s/step - loss: 1.0000e-05")


def test_interval(clock, capsys):
    bar = Progbar(100, interval=1.0)
    bar.update(1)
    clock.now += 0.9
    bar.update(2)
    assert capsys.readouterr().out.count("\r") == 1
    clock.now += 0.2
    bar.add(5)
    assert " 7/100 " in plain(capsys.readouterr().out)


def test_lines(clock, capsys):
    bar = Progbar(5, verbose=2)
    clock.now += 1.2
    bar.update(4, [("loss", 2.0)])
    bar.update(5, [("loss", 2.0), ("change", -3.0)])
    assert capsys.readouterr().out == "5/5 - 1s - 240ms/step - loss: 2.0000 - change: -3.0000e+00\n"


def test_silent(capsys):
    bar = Progbar(1, verbose=0)
    bar.update(1, [("a", 1)])
    assert capsys.readouterr().out == ""


def test_consoles_without_carriage_return(monkeypatch, capsys):
    monkeypatch.setattr(module.os, "name", "nt")
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    monkeypatch.delenv("PYCHARM_HOSTED", raising=False)
    Progbar(2).update(1)
    assert capsys.readouterr().out.startswith("\n")


def test_one_kind_of_metrics():
    with pytest.raises(ValueError, match="Only one of"):
        Progbar(1, stateful_metrics=["a"], stateless_metrics=["b"])


class TestLogger:
    def make(self, **params):
        params = {"verbose": 1, "epochs": 2, "steps": 4, **params}
        return CallbackList([], add_progbar=True, **params)

    def test_logs_are_read_ten_times_a_second(self, clock, capsys, counting):
        callbacks = self.make(steps=1000)
        logs = counting(loss=1.0)
        callbacks.on_train_begin()
        callbacks.on_epoch_begin(0)
        for batch in range(1000):
            clock.now += 0.002
            callbacks.on_train_batch_end(batch, logs)
        assert 18 <= logs.reads <= 21
        callbacks.on_epoch_end(0, {"loss": torch.tensor(3.0), "val_loss": 4.0})
        out = plain(capsys.readouterr().out)
        assert out.startswith("Epoch 1/2\n")
        assert out.rstrip().endswith("2s 2ms/step - loss: 3.0000 - val_loss: 4.0000")

    def test_verbose_2_reads_nothing_within_an_epoch(self, clock, capsys, counting):
        callbacks = self.make(verbose=2)
        logs = counting(loss=1.0)
        callbacks.on_train_begin()
        callbacks.on_epoch_begin(1)
        for batch in range(4):
            callbacks.on_train_batch_end(batch, logs)
        assert logs.reads == 0
        callbacks.on_epoch_end(1, {"loss": 1.0})
        assert capsys.readouterr().out == "Epoch 2/2\n4/4 - 0s - 0s/step - loss: 1.0000\n"

    def test_the_only_listener_is_called_directly(self):
        callbacks = self.make()
        assert callbacks.on_train_batch_end == callbacks._progbar.on_train_batch_end

    def test_validation_is_silent(self, capsys):
        callbacks = self.make(epochs=1)
        callbacks.on_train_begin()
        callbacks.on_epoch_begin(0)
        callbacks.on_test_begin()
        callbacks.on_test_batch_end(0, {"loss": 1.0})
        callbacks.on_test_end({"loss": 1.0})
        assert capsys.readouterr().out == ""

    def test_evaluation_and_prediction(self, clock, capsys):
        for kind in ("test", "predict"):
            callbacks = self.make(epochs=1, steps=1)
            getattr(callbacks, f"on_{kind}_begin")()
            getattr(callbacks, f"on_{kind}_batch_end")(0, {"loss": 1.0})
            getattr(callbacks, f"on_{kind}_end")({"loss": 1.0})
            out = plain(capsys.readouterr().out)
            assert out.count("1/1") == 2
            assert ("loss" in out) == (kind == "test")

    def test_steps_learnt_in_the_first_epoch(self, clock, capsys):
        callbacks = self.make(steps=None)
        callbacks.on_train_begin()
        for epoch in range(2):
            callbacks.on_epoch_begin(epoch)
            for batch in range(3):
                callbacks.on_train_batch_end(batch, {"loss": 1.0})
            callbacks.on_epoch_end(epoch, {"loss": 1.0})
        out = plain(capsys.readouterr().out)
        first, second = out.split("Epoch 2/2\n")
        assert "1/Unknown" in first and "3/3" in first and "Unknown" not in second

    def test_auto_is_a_bar(self):
        logger = ProgbarLogger()
        logger.set_params({"verbose": "auto", "epochs": 1, "steps": 1})
        assert logger.verbose == 1


class TestPrint:
    @pytest.fixture
    def silent(self):
        config.disable_interactive_logging()
        yield
        config.enable_interactive_logging()

    def test_log_instead_of_output(self, silent, monkeypatch, capsys, caplog):
        monkeypatch.delitem(sys.modules, "absl.logging", raising=False)
        with caplog.at_level(logging.INFO, logger="torchkeras"):
            print_msg("hello")
        assert capsys.readouterr().out == "" and caplog.messages == ["hello"]

    def test_log_of_a_program_that_uses_absl(self, silent, monkeypatch, capsys):
        messages = []
        absl = types.SimpleNamespace(info=messages.append)
        monkeypatch.setitem(sys.modules, "absl.logging", absl)
        print_msg("hello")
        assert capsys.readouterr().out == "" and messages == ["hello"]

    def test_ascii_terminal(self, monkeypatch):
        raw = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
        print_msg("━━ é ┃")
        assert raw.getvalue() == b"== ? |\n"


def test_a_program_without_a_console_trains_in_silence(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    bar = Progbar(2)
    bar.update(1, [("loss", 1.0)])
    bar.update(2, finalize=True)
    assert bar._seen == 2
