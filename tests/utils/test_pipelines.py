"""Pipelines in training, what runs ahead, and what loaders of folders share with them."""

import threading
import time

import numpy as np
import pytest
import torch
from PIL import Image

import torchkeras
from torchkeras import layers, utils
from torchkeras.utils.pipelines import AUTOTUNE, BatchDataset, Elements

X = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
Y = X.sum(1, keepdims=True)


class Slices(BatchDataset):
    """Rows of `X` and `Y`."""

    def _batch(self, indices):
        return torch.from_numpy(X[indices]), torch.from_numpy(Y[indices])

    def _sample(self, index):
        return torch.from_numpy(X[index]), torch.from_numpy(Y[index])


def numbers(count):
    return Elements(lambda: map(torch.tensor, range(count)), count)


def model():
    torchkeras.utils.set_random_seed(0)
    made = torchkeras.Sequential([layers.Dense(1)])
    made.compile("sgd", "mse")
    return made


def test_fit_takes_them():
    batched = Slices(20, batch_size=None).batch(8)
    expected = model().fit(X, Y, batch_size=8, shuffle=False, epochs=2, verbose=0).history
    for data in (
        batched,
        batched.cache().prefetch(AUTOTUNE),
        batched.unbatch().map(lambda x, y: (x, y)).batch(8),
    ):
        trained = model()
        history = trained.fit(data, epochs=2, validation_data=data, verbose=0).history
        np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-6)
        assert trained.predict(data, verbose=0).shape == (20, 1)
    endless = batched.repeat()
    history = model().fit(endless, epochs=2, steps_per_epoch=3, verbose=0).history
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-6)
    weighted = batched.map(lambda x, y: (x, y, torch.ones(len(x))))
    history = model().fit(weighted, epochs=2, verbose=0).history
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-6)


def test_shuffled_slices_are_gathered_batch_by_batch(monkeypatch):
    data = Slices(20, batch_size=None)
    monkeypatch.setattr(type(data), "_sample", None)  # no sample is asked for
    batches = list(data.shuffle(20, seed=1).batch(8))
    assert [len(x) for x, _ in batches] == [8, 8, 4]
    rows = torch.cat([x for x, _ in batches])
    assert not torch.equal(rows, torch.from_numpy(X))
    assert sorted(rows[:, 0].tolist()) == sorted(X[:, 0].tolist())
    torch.testing.assert_close(rows.sum(1, keepdim=True), torch.cat([y for _, y in batches]))


def test_threads_work_ahead_and_no_further_than_asked():
    made, lock = [], threading.Lock()

    def slow(i):
        with lock:
            made.append(int(i))
        return i

    for step, most in (
        (lambda d: d.map(slow).prefetch(3), 5),
        (lambda d: d.map(slow, num_parallel_calls=2), 6),
    ):
        made.clear()
        elements = iter(step(numbers(100)))
        assert next(elements) == 0
        given_up = time.monotonic() + 60
        while len(made) < 3 and time.monotonic() < given_up:
            time.sleep(0.001)
        time.sleep(0.01)
        assert 3 <= len(made) <= most
        elements.close() if hasattr(elements, "close") else None


@pytest.mark.parametrize("step", [lambda d: d.prefetch(2), lambda d: d.cache()])
def test_errors_reach_the_caller(step):
    def fail(i):
        if i == 3:
            raise KeyError("three")
        return i

    for workers in (None, 2):
        found = []
        with pytest.raises(KeyError, match="three"):
            found.extend(step(numbers(9).map(fail, num_parallel_calls=workers)))
        assert [int(i) for i in found] == [0, 1, 2]


def test_a_cache_is_filled_by_a_whole_pass_only():
    calls = []
    cached = numbers(4).map(lambda i: calls.append(int(i)) or i).cache()
    next(iter(cached))
    assert [int(i) for i in cached] == [int(i) for i in cached] == [0, 1, 2, 3]
    assert calls == [0, 0, 1, 2, 3]
    with pytest.raises(NotImplementedError, match=r"numpy\.save"):
        cached.cache("file")


def test_numbers_and_texts_are_stacked():
    made = Elements(lambda: ((i, f"text {i}") for i in range(3)), 3)
    for _ in range(2):
        ((given, texts),) = made.batch(5)
        assert given.tolist() == [0, 1, 2] and texts.tolist() == ["text 0", "text 1", "text 2"]
    assert [text for _, text in made.batch(2).unbatch()] == ["text 0", "text 1", "text 2"]
    assert list(made.as_numpy_iterator()) == [(i, f"text {i}") for i in range(3)]


def test_functions_are_called_without_gradients():
    layer = layers.Dense(2)
    layer.build((None, 3))
    mapped = Slices(20, batch_size=4).map(lambda x, y: (layer(x), y), num_parallel_calls=2)
    assert not any(x.requires_grad for x, _ in mapped)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    top = tmp_path_factory.mktemp("pictures")
    for number in range(9):
        place = top / "ab"[number % 2]
        place.mkdir(exist_ok=True)
        Image.new("RGB", (6, 5), (number, 0, 0)).save(place / f"{number}.png")
    return top


def test_loaders_of_folders_are_pipelines(folder):
    options = {"image_size": (4, 4), "shuffle": False, "verbose": False}
    data = utils.image_dataset_from_directory(folder, batch_size=4, **options)
    assert data.class_names == ["a", "b"] and int(data.cardinality()) == 3
    scaled = data.map(lambda x, y: (x / 255, y), num_parallel_calls=AUTOTUNE)
    seen = torch.cat([x[:, 0, 0, 0] for x, _ in scaled.cache().prefetch(AUTOTUNE)]) * 255
    assert seen.round().int().tolist() == [0, 2, 4, 6, 8, 1, 3, 5, 7]
    single = utils.image_dataset_from_directory(folder, batch_size=None, **options)
    for batched in (single.batch(4), data.unbatch().batch(4)):
        for (x, y), (expected_x, expected_y) in zip(batched, data, strict=True):
            assert torch.equal(x, expected_x) and torch.equal(y, expected_y)
    assert len(single.shuffle(9, seed=0).batch(4, drop_remainder=True)) == 2
    left, right = utils.split_dataset(data.unbatch(), left_size=5)
    assert [int(y) for _, y in left] == [0] * 5 and len(right) == 4
    trained = torchkeras.Sequential([layers.Flatten(), layers.Dense(2)])
    trained.compile("sgd", torchkeras.losses.SparseCategoricalCrossentropy(from_logits=True))
    trained.fit(scaled, validation_data=data.take(1), epochs=2, verbose=0)


def test_files_are_read_by_threads_and_no_earlier_than_needed(folder, monkeypatch):
    names = set()
    data = utils.image_dataset_from_directory(
        folder, batch_size=1, image_size=(4, 4), shuffle=False, verbose=False
    )
    load, read = data._load, []

    def watched(path):
        names.add(threading.current_thread().name)
        read.append(path)
        return load(path)

    data._load, data.workers, data.max_queue_size = watched, 2, 3
    assert not read
    batches = iter(data)
    next(batches)
    time.sleep(0.02)
    assert 1 <= len(read) <= 4
    batches.close()
    assert threading.main_thread().name not in names


def test_windows_are_pipelines():
    windows = utils.timeseries_dataset_from_array(np.arange(8), None, 3, batch_size=2)
    assert [w.tolist() for w in windows.skip(2)] == [[[4, 5, 6], [5, 6, 7]]]
    assert [w.shape[0] for w in windows.unbatch().batch(4)] == [4, 2]


def test_colors_become_the_grays_of_libpng(tmp_path):
    """As TensorFlow reads them; Pillow, which the loader for grain uses, rounds in another way."""
    (tmp_path / "a").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3)).astype("uint8")
    Image.fromarray(pixels).save(tmp_path / "a" / "0.png")
    wanted = {"grain": np.asarray(Image.fromarray(pixels).convert("L"))}
    wanted["tf"] = (pixels.astype(int) @ [9797, 19234, 3737]) >> 15
    for format, gray in wanted.items():
        (images,) = utils.image_dataset_from_directory(
            tmp_path, label_mode=None, color_mode="grayscale", image_size=(4, 5), format=format
        )
        np.testing.assert_array_equal(images[0, :, :, 0], gray)
