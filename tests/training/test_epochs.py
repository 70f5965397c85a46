"""Epochs: how many batches they have, where they go on, and what adapters are told."""

import numpy as np
import pytest
import torch

import torchkeras as keras
from torchkeras import config, layers
from torchkeras.training import epochs
from torchkeras.training.data import PyDataset
from torchkeras.training.epochs import EpochIterator, grouped, is_due, numbered

CPU = torch.device("cpu")
X = np.arange(10)


def iterator(steps=None, batch_size=3, x=X, **kwargs):
    return EpochIterator(x, batch_size=batch_size, steps_per_epoch=steps, **kwargs)


def first_of_each(epoch):
    """The first sample of each batch of an epoch."""
    return [int(batch[0]) for batch in epoch]


def test_an_epoch_is_one_pass():
    batches = iterator()
    assert batches.num_batches == 4
    for _ in range(2):
        assert first_of_each(batches.epoch()) == [0, 3, 6, 9]


def test_steps_go_on_in_the_next_epoch():
    batches = iterator(2)
    assert batches.num_batches == 2
    epochs = [first_of_each(batches.epoch()) for _ in range(3)]
    assert epochs == [[0, 3], [6, 9], [0, 3]]


def test_an_epoch_in_which_the_pass_ends_is_cut_short():
    batches = iterator(3)
    assert first_of_each(batches.epoch()) == [0, 3, 6]
    with pytest.warns(UserWarning, match="ran out of data.*3 were asked for, 1 came"):
        assert first_of_each(batches.epoch()) == [9]
    assert first_of_each(batches.epoch()) == [0, 3, 6]


def test_more_steps_than_batches():
    with pytest.warns(UserWarning, match="ran out of data"):
        assert first_of_each(iterator(6).epoch()) == [0, 3, 6, 9]


def test_a_generator_goes_on_and_ends():
    batches = EpochIterator(((np.array([i]), np.array([0])) for i in range(5)), steps_per_epoch=2)
    numbers = [[int(x[0]) for x, _ in batches.epoch()] for _ in range(2)]
    assert numbers == [[0, 1], [2, 3]]
    with pytest.warns(UserWarning, match="ran out of data"):
        assert [int(x[0]) for x, _ in batches.epoch()] == [4]


def test_reset_starts_anew():
    batches = iterator(2)
    first_of_each(batches.epoch())
    batches.reset()
    assert first_of_each(batches.epoch()) == [0, 3]


def test_hooks_of_datasets():
    class Data(PyDataset):
        calls = []

        def __len__(self):
            return 2

        def __getitem__(self, index):
            return np.array([index]), np.array([0])

        def on_epoch_begin(self):
            self.calls.append("begin")

        def on_epoch_end(self):
            self.calls.append("end")

    data = Data()
    batches = EpochIterator(data)
    for _ in range(2):
        assert len(list(batches.epoch())) == 2
    assert data.calls == ["begin", "end"] * 2


def test_numbered_groups():
    assert [(a, b, len(g)) for a, b, g in numbered(iterator())] == [
        (0, 0, 1),
        (1, 1, 1),
        (2, 2, 1),
        (3, 3, 1),
    ]
    groups = [(a, b, len(g)) for a, b, g in numbered(iterator(steps_per_execution=3))]
    assert groups == [(0, 2, 3), (3, 3, 1)]


def test_limit_of_steps():
    before = config.max_steps_per_epoch()
    config.set_max_steps_per_epoch(2)
    try:
        with pytest.warns(UserWarning, match="Limiting steps_per_epoch to 2"):
            batches = iterator()
        assert batches.num_batches == 2
        assert iterator(batch_size=9).num_batches == 2  # no more than that: nothing to limit
    finally:
        config.set_max_steps_per_epoch(before)


@pytest.mark.parametrize(
    ("frequency", "due"), [(1, [0, 1, 2, 3]), (2, [1, 3]), ([1, 4], [0, 3]), ((2,), [1])]
)
def test_is_due(frequency, due):
    assert [epoch for epoch in range(4) if is_due(epoch, frequency)] == due


def test_is_due_refuses_other_things():
    with pytest.raises(ValueError, match="validation_freq"):
        is_due(0, 1.5)


def test_spells_grow_while_they_are_short(monkeypatch):
    monkeypatch.setattr(epochs, "SPELL_S", float("inf"))
    groups = [(first, last, first_of_each(g)) for first, last, g in grouped(iterator(), True)]
    assert groups == [(0, 0, [0]), (1, 2, [3, 6]), (3, 3, [9])]
    monkeypatch.setattr(epochs, "SPELL_S", 0)
    assert [first_of_each(g) for _, _, g in grouped(iterator(), True)] == [[0], [3], [6], [9]]
    monkeypatch.setattr(epochs, "SPELL_S", float("inf"))
    # Not where the end is open, the user says how many, or batches would have to be made first.
    made = ((np.array([i]), np.array([0])) for i in range(4))
    for batches, size in ((iterator(4), 1), (iterator(steps_per_execution=2), 2), (made, 1)):
        batches = batches if isinstance(batches, EpochIterator) else EpochIterator(batches)
        assert {len(group) for *_, group in grouped(batches, True)} == {size}


def test_spells_change_no_number(monkeypatch):
    x = np.random.default_rng(0).random((60, 4), dtype="float32")

    def numbers(spell_s, callbacks=None):
        monkeypatch.setattr(epochs, "SPELL_S", spell_s)
        keras.utils.set_random_seed(1)
        model = keras.Sequential([layers.Input((4,)), layers.Dropout(0.5), layers.Dense(1)])
        model.compile("sgd", "mse", metrics=["mae"])
        options = {"batch_size": 8, "verbose": 0, "callbacks": callbacks}
        history = model.fit(x, x[:, :1], epochs=2, validation_split=0.2, **options).history
        results = model.evaluate(x, x[:, :1], **options)
        return history, results, model.predict(x, **options).tolist()

    class Counts(keras.callbacks.Callback):
        seen = 0

        def on_train_batch_end(self, batch, logs=None):
            self.seen += 1

    counts = Counts()
    assert numbers(0) == numbers(float("inf")) == numbers(float("inf"), [counts])
    assert counts.seen == 2 * 6  # who follows batches sees each
