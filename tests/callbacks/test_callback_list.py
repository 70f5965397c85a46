"""`Callback`, `CallbackList` and the lazy logs between the loop and the callbacks."""

import copy
import json
import pickle

import numpy as np
import pytest
import torch

from torchkeras.callbacks import (
    Callback,
    CallbackList,
    History,
    LambdaCallback,
    ProgbarLogger,
)
from torchkeras.callbacks.callback import BATCH_HOOKS, HOOKS, is_default
from torchkeras.callbacks.logs import LazyLogs, as_numbers


class Model:
    history = None


class Recorder(Callback):
    """Notes every hook with its argument."""

    def __init__(self):
        super().__init__()
        self.events = []


def _note(hook):
    def method(self, *args, **kwargs):
        self.events.append((hook, args, kwargs))

    return method


for _hook in HOOKS:
    if _hook not in ("on_batch_begin", "on_batch_end"):
        setattr(Recorder, _hook, _note(_hook))


@pytest.mark.parametrize("hook", sorted(set(HOOKS) - {"on_batch_begin", "on_batch_end"}))
def test_every_hook_reaches_every_callback(hook):
    first, second = Recorder(), Recorder()
    both = CallbackList([first, [second]], model=Model())
    epochs = hook.startswith("on_epoch")
    batches = "batch" in hook
    args = (3,) if epochs or batches else ()
    getattr(both, hook)(*args, {"loss": torch.tensor(2.0)})
    for callback in (first, second):
        ((name, got, kwargs),) = callback.events
        assert name == hook and got[: len(args)] == args
        # Keras passes the logs of batch hooks by name and the others by position.
        logs = kwargs["logs"] if batches else got[-1]
        assert dict(logs) == {"loss": 2.0}


@pytest.mark.parametrize("hook", HOOKS)
def test_default_hooks_do_nothing(hook):
    assert is_default(Callback(), hook)
    args = (0,) if "epoch" in hook or "batch" in hook else ()
    assert getattr(Callback(), hook)(*args) is None


def test_older_batch_hooks_are_called_through_the_new_ones():
    class Old(Callback):
        events = ()

        def on_batch_begin(self, batch, logs=None):
            self.events += (("begin", batch),)

        def on_batch_end(self, batch, logs=None):
            self.events += (("end", batch, logs["loss"]),)

    old = Old()
    callbacks = CallbackList([old])
    callbacks.on_train_batch_begin(0)
    callbacks.on_train_batch_end(0, {"loss": 1})
    assert old.events == (("begin", 0), ("end", 0, 1.0))
    assert callbacks.listens("on_train_batch_end") and not callbacks.listens("on_test_batch_end")


class TestWhoListens:
    def test_nobody(self, counting):
        callbacks = CallbackList([Callback(), History()])
        logs = counting(loss=1.0)
        for hook in BATCH_HOOKS:
            assert not callbacks.listens(hook)
            getattr(callbacks, hook)(0, logs)
        assert logs.reads == 0

    def test_only_those_who_override(self):
        silent, loud = Callback(), Recorder()
        silent.on_batch_end = silent.on_train_batch_end  # still the inherited method
        callbacks = CallbackList([silent, loud])
        assert callbacks._listeners["on_test_batch_end"] == [loud]

    def test_hooks_set_on_the_instance_count(self):
        seen = []
        late = Callback()
        callbacks = CallbackList([late])
        late.on_train_batch_end = lambda batch, logs=None: seen.append(batch)
        callbacks.on_train_batch_end(0)
        callbacks.on_train_begin()
        callbacks.on_train_batch_end(1)
        assert seen == [1]

    def test_objects_that_only_look_like_callbacks(self):
        class Duck:
            def set_model(self, model):
                self.model = model

            def set_params(self, params):
                self.params = params

            def on_epoch_end(self, epoch, logs=None):
                self.last = epoch

        duck, model = Duck(), Model()
        callbacks = CallbackList([duck], model=model, epochs=2)
        callbacks.on_train_begin()
        callbacks.on_epoch_end(4)
        assert (duck.model, duck.params, duck.last) == (model, {"epochs": 2}, 4)

    def test_lambda_callback(self):
        seen = []
        callback = LambdaCallback(
            on_train_batch_end=lambda batch, logs: seen.append((batch, logs["loss"])),
            on_test_begin=lambda logs: seen.append("test"),
        )
        callbacks = CallbackList([callback])
        assert not callbacks.listens("on_epoch_end")
        callbacks.on_train_batch_end(1, {"loss": torch.tensor(0.5)})
        callbacks.on_test_begin()
        assert seen == [(1, 0.5), "test"]


class TestAdditions:
    def test_history_and_progbar_are_added_once(self):
        model = Model()
        callbacks = CallbackList([], True, True, model, verbose=0, epochs=1, steps=1)
        assert [type(c) for c in callbacks.callbacks] == [History, ProgbarLogger]
        assert model.history is callbacks.callbacks[0]
        mine = [ProgbarLogger(), History()]
        callbacks = CallbackList(mine, True, True, model, verbose=0, epochs=1, steps=1)
        assert callbacks.callbacks == mine and model.history is mine[1]

    def test_no_callbacks(self):
        callbacks = CallbackList()
        assert callbacks.callbacks == [] and callbacks.model is None
        callbacks.on_train_begin()

    def test_single_callback_and_append(self):
        first, second, model = Recorder(), Recorder(), Model()
        callbacks = CallbackList(first, model=model, epochs=3)
        callbacks.append(second)
        assert second.model is model and second.params == {"epochs": 3}
        callbacks.on_test_batch_end(0)
        assert len(first.events) == len(second.events) == 1

    @pytest.mark.parametrize("bad", [History, 3, "history", {"a": 1}.keys()])
    def test_what_is_no_callback(self, bad):
        with pytest.raises(TypeError, match="no callback"):
            CallbackList([bad])
        with pytest.raises(TypeError, match="no callback"):
            CallbackList().append(bad)

    def test_history_keeps_each_epoch(self):
        model, history = Model(), History()
        callbacks = CallbackList([history], model=model)
        callbacks.on_train_begin()
        for epoch in range(2):
            callbacks.on_epoch_end(epoch, {"loss": torch.tensor(float(epoch)), "acc": 1})
        assert history.history == {"acc": [1.0, 1.0], "loss": [0.0, 1.0]}
        assert history.epoch == [0, 1] and model.history is history
        callbacks.on_train_begin()
        callbacks.on_epoch_end(0, {"loss": 5.0})
        assert history.epoch == [0] and history.history["loss"] == [0.0, 1.0, 5.0]


def test_model_inside_a_distributed_wrapper(monkeypatch):
    from torchkeras.callbacks import callback as module

    class Wrapper:
        module = "inner"

    monkeypatch.setattr(module, "DistributedDataParallel", Wrapper)
    callback = Callback()
    callback.set_model(Wrapper())
    assert callback.model == "inner"
    callback.model = "plain"
    assert callback.model == "plain"


class TestLogs:
    def test_numbers(self):
        logs = {
            "z": torch.tensor(1.5, requires_grad=True),
            "b": np.float32(2.0),
            "i": 3,
            "half": torch.tensor(0.5, dtype=torch.bfloat16),
            "vector": torch.tensor([1.0, 2.0]),
            "text": "word",
            "nested": {"y": torch.tensor(True)},
        }
        numbers = as_numbers(logs)
        assert list(numbers) == ["b", "half", "i", "y", "text", "vector", "z"]
        assert isinstance(numbers["vector"], np.ndarray) and numbers.pop("vector").tolist() == [
            1,
            2,
        ]
        assert numbers == {"z": 1.5, "b": 2.0, "i": 3.0, "half": 0.5, "text": "word", "y": 1.0}

    @pytest.mark.parametrize(
        "use, expected",
        [
            (lambda logs: logs["loss"], 1.0),
            (lambda logs: logs.get("acc"), 2.0),
            (lambda logs: logs.get("none", 7), 7),
            (lambda logs: "loss" in logs, True),
            (lambda logs: len(logs), 2),
            (lambda logs: list(logs), ["acc", "loss"]),
            (lambda logs: list(reversed(logs)), ["loss", "acc"]),
            (lambda logs: list(logs.keys()), ["acc", "loss"]),
            (lambda logs: list(logs.values()), [2.0, 1.0]),
            (lambda logs: list(logs.items()), [("acc", 2.0), ("loss", 1.0)]),
            (dict, {"acc": 2.0, "loss": 1.0}),
            (lambda logs: {**logs}, {"acc": 2.0, "loss": 1.0}),
            (lambda logs: dict(**logs), {"acc": 2.0, "loss": 1.0}),
            (lambda logs: logs | {"x": 0}, {"acc": 2.0, "loss": 1.0, "x": 0}),
            (lambda logs: {"x": 0} | logs, {"acc": 2.0, "loss": 1.0, "x": 0}),
            (lambda logs: logs.copy(), {"acc": 2.0, "loss": 1.0}),
            (copy.copy, {"acc": 2.0, "loss": 1.0}),
            (copy.deepcopy, {"acc": 2.0, "loss": 1.0}),
            (lambda logs: pickle.loads(pickle.dumps(logs)), {"acc": 2.0, "loss": 1.0}),
            (json.dumps, '{"acc": 2.0, "loss": 1.0}'),
            (repr, "{'acc': 2.0, 'loss': 1.0}"),
            (lambda logs: f"{logs}", "{'acc': 2.0, 'loss': 1.0}"),
            (lambda logs: logs == {"loss": 1, "acc": 2}, True),
            (lambda logs: logs != {"loss": 1, "acc": 2}, False),
            (lambda logs: logs.pop("loss"), 1.0),
            (lambda logs: logs.setdefault("loss", 9), 1.0),
            (lambda logs: (logs.update(x=1), dict(logs))[1], {"acc": 2.0, "loss": 1.0, "x": 1}),
            (lambda logs: (logs.clear(), dict(logs))[1], {}),
            (lambda logs: (logs.__setitem__("loss", 5), dict(logs))[1], {"acc": 2.0, "loss": 5}),
            (lambda logs: (logs.__delitem__("loss"), dict(logs))[1], {"acc": 2.0}),
        ],
    )
    def test_any_use_of_lazy_logs_fills_them(self, counting, use, expected):
        assert use(LazyLogs(counting(loss=torch.tensor(1.0), acc=2))) == expected

    def test_truth_needs_no_values(self, counting):
        source = counting(loss=1.0)
        assert LazyLogs(source) and not LazyLogs({})
        assert isinstance(LazyLogs(source), dict) and source.reads == 0

    def test_each_value_is_read_once(self, counting):
        source = counting(loss=1.0, acc=2.0)
        logs = LazyLogs(source)
        for _ in range(3):
            dict(logs)
        assert source.reads == 2

    def test_batch_logs_are_read_when_a_callback_looks(self, counting):
        looked = []

        class Looks(Callback):
            def on_train_batch_end(self, batch, logs=None):
                if batch == 1:
                    looked.append(logs["loss"])

        callbacks = CallbackList([Looks()])
        logs = [counting(loss=float(i)) for i in range(3)]
        for batch, log in enumerate(logs):
            callbacks.on_train_batch_end(batch, log)
        assert looked == [1.0] and [log.reads for log in logs] == [0, 1, 0]

    @pytest.mark.parametrize("wrap", [lambda logs: logs, LazyLogs])
    def test_logs_that_are_kept_show_the_batch_they_came_with(self, wrap):
        state = torch.tensor(0.0)
        kept = []

        class Keeps(Callback):
            def on_train_batch_end(self, batch, logs=None):
                kept.append(logs)

        callbacks = CallbackList([Keeps()])
        for batch in range(3):
            state += 1
            callbacks.on_train_batch_end(batch, wrap({"loss": state}))
        assert kept == [{"loss": 1.0}, {"loss": 2.0}, {"loss": 3.0}]

    def test_later_callbacks_see_what_earlier_ones_added(self, counting):
        class Adds(Callback):
            def on_epoch_end(self, epoch, logs=None):
                logs["extra"] = 1.0

        history = History()
        callbacks = CallbackList([Adds(), history], model=Model())
        callbacks.on_train_begin()
        callbacks.on_epoch_end(0, counting(loss=2.0))
        assert history.history == {"loss": [2.0], "extra": [1.0]}
