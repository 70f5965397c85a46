"""Splits and windows: order, structure, and what `fit` makes of them."""

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset, IterableDataset

from torchkeras import Sequential, layers
from torchkeras.utils import split_dataset, timeseries_dataset_from_array


class Rows(Dataset):
    """Samples in a nested structure."""

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return {"x": torch.tensor([index]), "y": (index, index * 2)}


class Endless(IterableDataset):
    """Samples without a length."""

    def __iter__(self):
        return iter(int, 1)


def values(part):
    return [int(sample[0]) for sample in part]


def test_without_shuffling_the_parts_are_the_two_ends():
    left, right = split_dataset(np.arange(10), 4, 3)
    assert (values(left), values(right)) == ([0, 1, 2, 3], [7, 8, 9])


def test_samples_keep_their_structure():
    left, right = split_dataset(Rows(), 0.7)
    assert len(left) == 7
    assert right[0]["y"] == (7, 14) and right[0]["x"].tolist() == [7]


def test_shuffled_parts_share_no_sample_and_follow_torchs_generator():
    parts = []
    for _ in range(2):
        torch.manual_seed(1)
        left, right = split_dataset(torch.arange(20), 0.5, shuffle=True)
        parts.append(values(left) + values(right))
    assert parts[0] == parts[1] != list(range(20))
    assert sorted(parts[0]) == list(range(20))


def test_parts_are_data_for_fit():
    x = np.random.default_rng(0).standard_normal((40, 3)).astype("float32")
    train, test = split_dataset([x, x.sum(-1, keepdims=True)], 0.8)
    model = Sequential([layers.Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit(train, epochs=2, verbose=0, validation_data=test)
    assert history.history["loss"][1] < history.history["loss"][0]


@pytest.mark.parametrize(
    ("data", "error", "says"),
    [
        ([], ValueError, "empty"),
        ([np.arange(3), np.arange(4)], ValueError, r"\[3, 4\]"),
        ([1, 2], TypeError, "numpy.array"),
        (Endless(), TypeError, "no length"),
    ],
)
def test_data_of_other_kinds(data, error, says):
    with pytest.raises(error, match=says):
        split_dataset(data, 0.5)


@pytest.mark.parametrize("size", [True, "half", 1j])
def test_sizes_are_numbers(size):
    with pytest.raises(TypeError, match="left_size"):
        split_dataset(np.arange(4), size)


def test_unknown_backend():
    with pytest.raises(ValueError, match="'jax'"):
        split_dataset(np.arange(4), 0.5, preferred_backend="jax")


def test_windows_have_another_order_in_each_pass():
    def starts(dataset):
        return [int(x) for batch in dataset for x in batch[:, 0]]

    def make(seed):
        return timeseries_dataset_from_array(np.arange(50), None, 3, shuffle=True, seed=seed)

    windows = make(4)
    first, second = starts(windows), starts(windows)
    assert first != second and sorted(first) == sorted(second) == list(range(48))
    again = make(4)
    assert (starts(again), starts(again)) == (first, second)
    assert starts(make(5)) != first


def test_a_pass_is_not_disturbed_by_another():
    windows = timeseries_dataset_from_array(
        np.arange(20), None, 3, batch_size=4, shuffle=True, seed=0
    )
    seen = []
    for batch in windows:
        list(windows)
        seen += batch[:, 0].tolist()
    assert sorted(seen) == list(range(18))


def test_take_and_length():
    windows = timeseries_dataset_from_array(np.arange(20), np.arange(20), 3, batch_size=4)
    assert len(windows) == 5 == len(list(windows))
    assert [y.tolist() for _, y in windows.take(2)] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert len(windows.take(-1)) == 5 == len(windows.take(99))
    with pytest.raises(IndexError):
        windows[5]


def test_fit_learns_from_windows():
    series = np.sin(np.arange(200) / 5)[:, None].astype("float32")
    windows = timeseries_dataset_from_array(
        series[:-8], series[8:], 8, batch_size=16, shuffle=True, seed=0
    )
    model = Sequential([layers.Flatten(), layers.Dense(1)])
    model.compile("adam", "mse")
    loss = model.fit(windows, epochs=3, verbose=0).history["loss"]
    assert loss[2] < loss[0]
    assert model.predict(windows, verbose=0).shape == (len(series) - 15, 1)


def test_a_window_is_no_copy_until_it_is_asked_for():
    series = np.zeros(1000, "float32")
    windows = timeseries_dataset_from_array(series, None, 3)
    series[:] = 1  # shared memory
    assert float(windows[0].sum()) == 3 * 128
