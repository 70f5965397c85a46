"""`dropin.tf.data`: pipelines give the elements of TensorFlow's, lazily, and `fit` takes them."""

import gzip
import threading

import numpy as np
import pytest
import torch

import torchkeras
from torchkeras.dropin.tf import random
from torchkeras.dropin.tf.data import AUTOTUNE, Dataset, TextLineDataset, from_loader
from torchkeras.dropin.tf.modules import TensorSpec
from torchkeras.dropin.tf.tensors import StringTensor
from torchkeras.utils.pipelines import BatchDataset


def values(dataset):
    return [x.tolist() for x in dataset]


def streamed(dataset):
    """The same elements, made one by one in Python."""
    return dataset.map(lambda *parts: parts if len(parts) > 1 else parts[0])


# Both ways of making batches: from rows of arrays, and from single elements.
WAYS = pytest.mark.parametrize("way", [lambda d: d, streamed], ids=["rows", "elements"])


@WAYS
def test_steps(way):
    numbers = way(Dataset.range(10))
    assert values(numbers.skip(2).take(5).repeat(2).batch(4)) == [
        [2, 3, 4, 5], [6, 2, 3, 4], [5, 6],
    ]  # fmt: skip
    assert values(numbers.batch(4, drop_remainder=True)) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert values(numbers.shard(3, 1)) == [1, 4, 7]
    assert values(numbers.take(-1).skip(-1)) == []
    assert values(numbers.take(0).batch(2)) == []
    assert values(numbers.take(0).repeat()) == values(numbers.shard(30, 20).repeat()) == []
    assert values(numbers.batch(3).unbatch().take(4)) == [0, 1, 2, 3]
    assert values(numbers.concatenate(numbers.take(1)))[9:] == [9, 0]
    assert values(numbers.filter(lambda n: n % 4 == 0)) == [0, 4, 8]
    assert values(numbers.take_while(lambda n: n < 2)) == [0, 1]
    others = numbers.batch(4), numbers.repeat(3), numbers.shard(3, 1)
    assert [len(d) for d in others] == [3, 30, 3]


@WAYS
def test_shuffle(way):
    numbers = way(Dataset.range(100))
    for size in (100, 7):
        shuffled = numbers.shuffle(size, seed=1)
        first, second = values(shuffled), values(shuffled)
        assert sorted(first) == sorted(second) == list(range(100))
        assert first != second  # another order for each pass
        assert values(numbers.shuffle(size, seed=1)) == first
        fixed = numbers.shuffle(size, seed=1, reshuffle_each_iteration=False)
        assert values(fixed) == values(fixed) != list(range(100))
    small = values(numbers.shuffle(7, seed=3))
    assert all(value <= place + 6 for place, value in enumerate(small))  # the buffer's limit
    with pytest.raises(ValueError, match="positive"):
        numbers.shuffle(0)


def test_the_global_seed_decides():
    numbers = Dataset.range(20).shuffle(20)
    torch.manual_seed(5)
    first = values(numbers)
    torch.manual_seed(5)
    assert values(numbers) == first


@pytest.mark.parametrize("workers", [None, 4, AUTOTUNE])
def test_random_numbers_in_functions(workers):
    def noise(n):
        return n.float() + random.uniform(())

    dataset = Dataset.range(8).map(noise, num_parallel_calls=workers).prefetch(2)
    torch.manual_seed(1)
    first, second = values(dataset), values(dataset)
    assert first != second and [int(x) for x in first] == list(range(8))
    torch.manual_seed(1)
    assert [values(dataset), values(dataset)] == [first, second]
    assert len({round(x % 1, 6) for x in first}) == 8


def test_map_runs_on_threads_in_order():
    barrier = threading.Barrier(2, timeout=20)

    def meet(n):
        barrier.wait()  # passes only if two calls run at once
        return n * n

    mapped = Dataset.range(6).map(meet, num_parallel_calls=2)
    assert values(mapped) == [0, 1, 4, 9, 16, 25]


def test_nothing_runs_before_iteration():
    calls = []
    dataset = Dataset.range(100).map(lambda n: calls.append(int(n)) or n).batch(2)
    assert calls == []
    next(iter(dataset))
    assert calls == [0, 1]


def test_structures():
    x, y = np.arange(6.0).reshape(3, 2), np.array([0, 1, 0], "int32")
    dataset = Dataset.from_tensor_slices(({"x": x, "s": ["a", "b", "c"]}, y))
    features, label = next(iter(dataset.batch(2)))
    assert features["x"].tolist() == [[0, 1], [2, 3]] and label.dtype is torch.int32
    assert isinstance(features["s"], StringTensor) and features["s"].tolist() == [b"a", b"b"]
    spec, label = dataset.batch(2).element_spec
    assert spec["x"] == TensorSpec([None, 2], "float64") and spec["s"].dtype == "string"
    swapped = dataset.map(lambda f, y: (y, f["x"][0])).batch(3)
    assert [part.tolist() for part in next(iter(swapped))] == [[0, 1, 0], [0.0, 2.0, 4.0]]
    assert list(dataset.map(lambda f, y: f["s"]).as_numpy_iterator()) == [b"a", b"b", b"c"]
    with pytest.raises(ValueError, match="one length"):
        Dataset.from_tensor_slices((x, y[:2]))


def test_a_list_of_a_function_is_an_element_of_parts():
    parts = Dataset.range(2).map(lambda n: [n, str(int(n))]).batch(2)
    ((numbers, texts),) = parts
    assert numbers.tolist() == [0, 1] and texts.tolist() == [b"0", b"1"]
    assert values(Dataset.range(2).map(lambda n: [n, n + 1]).map(lambda a, b: a * b)) == [0, 2]


def test_zip_and_enumerate():
    a, b = Dataset.range(3), Dataset.range(10, 20)
    assert [(int(x), int(y)) for x, y in Dataset.zip((a, b))] == [(0, 10), (1, 11), (2, 12)]
    assert len(Dataset.zip(a, b)) == 3
    found = [(int(i), d["n"].item()) for i, d in Dataset.zip({"n": b}).take(2).enumerate(5)]
    assert found == [(5, 10), (6, 11)]
    with pytest.raises(TypeError, match="must be datasets"):
        Dataset.zip((a, 3))


def test_generators():
    def count(start=0):
        yield from range(start, 3)

    typed = Dataset.from_generator(count, output_types="float32", args=(1,))
    assert values(typed) == [1.0, 2.0] and typed.element_spec == TensorSpec((), "float32")
    assert values(typed) == [1.0, 2.0]  # started anew
    ragged = Dataset.from_generator(
        lambda: ([i] * i for i in range(1, 4)), output_signature=TensorSpec([None], "int32")
    )
    assert values(ragged.padded_batch(2)) == [[[1, 0], [2, 2]], [[3, 3, 3]]]
    fixed = ragged.padded_batch(2, [4], -1, drop_remainder=True)
    assert values(fixed) == [[[1, -1, -1, -1], [2, 2, -1, -1]]]
    with pytest.raises(ValueError, match="larger"):
        values(ragged.padded_batch(3, [2]))
    pair = (TensorSpec((), "int32"), TensorSpec((), "int32"))
    with pytest.raises(TypeError, match="yielded 1 parts where 2"):
        list(Dataset.from_generator(lambda: iter([(1,)]), output_signature=pair))


def test_windows_and_interleave():
    windows = Dataset.range(7).window(3, shift=2, stride=2, drop_remainder=True)
    assert values(windows.flat_map(lambda w: w.batch(3))) == [[0, 2, 4], [2, 4, 6]]
    assert len(windows) == 2
    pairs = Dataset.from_tensor_slices((np.arange(4), -np.arange(4))).window(2)
    assert [(values(a), values(b)) for a, b in pairs] == [([0, 1], [0, -1]), ([2, 3], [-2, -3])]
    mixed = Dataset.range(3).interleave(
        lambda n: Dataset.from_tensors(n).repeat(3), cycle_length=2, block_length=2
    )
    assert values(mixed) == [0, 0, 1, 1, 0, 1, 2, 2, 2]


def test_folds():
    numbers = Dataset.range(5)
    assert numbers.reduce(np.int64(0), lambda total, n: total + n) == 10
    scanned = numbers.scan(np.int64(0), lambda s, n: (s + n, s * 10))
    assert values(scanned) == [0, 0, 10, 30, 60]
    assert numbers.take(1).get_single_element() == 0
    with pytest.raises(ValueError, match="more than one"):
        numbers.get_single_element()
    assert values(numbers.apply(lambda d: d.take(1))) == [0]
    groups = numbers.group_by_window(lambda n: n % 2, lambda key, d: d.batch(2), window_size=2)
    assert values(groups) == [[0, 2], [1, 3], [4]]
    assert values(Dataset.from_tensor_slices([3, 1, 3]).unique()) == [3, 1]


def test_choices():
    a, b = Dataset.from_tensors("a").repeat(), Dataset.from_tensors("b").repeat(1)
    chosen = Dataset.choose_from_datasets([a, b], Dataset.from_tensor_slices([0, 1, 1, 0]))
    assert [x.item() for x in chosen] == [b"a", b"b"]
    sampled = Dataset.sample_from_datasets([a, b.repeat()], weights=[1.0, 0.0], seed=1).take(5)
    assert {x.item() for x in sampled} == {b"a"}


@pytest.mark.parametrize(
    ("dataset", "count"),
    [
        (Dataset.range(3).repeat(), -1),
        (Dataset.range(3).repeat().take(5), 5),
        (Dataset.range(3).filter(bool), -2),
        (Dataset.range(0).repeat(), 0),
        (Dataset.counter(), -1),
        (Dataset.zip(Dataset.counter(), Dataset.range(4)), 4),
    ],
)
def test_cardinality(dataset, count):
    assert dataset.cardinality().item() == count
    assert bool(dataset)
    if count < 0:
        with pytest.raises(TypeError, match="infinite|unknown"):
            len(dataset)


@pytest.mark.parametrize("name", ["", "kept"])
def test_cache(tmp_path, name):
    calls = []

    def note(n):
        calls.append(int(n))
        return n, StringTensor(f"text {int(n)}")

    def made():
        return Dataset.range(3).map(note).cache(str(tmp_path / name) if name else "")

    dataset = made()
    list(dataset.take(2))  # no whole pass: nothing is kept
    calls.clear()
    first = [(int(n), s.item()) for n, s in dataset]
    assert first == [(i, f"text {i}".encode()) for i in range(3)]
    assert [(int(n), s.item()) for n, s in dataset] == first and calls == [0, 1, 2]
    if name:  # of another process
        assert [(int(n), s.item()) for n, s in made()] == first and calls == [0, 1, 2]
    assert [s.tolist() for _, s in dataset.batch(2)] == [[b"text 0", b"text 1"], [b"text 2"]]


def test_prefetch_hands_on_errors_and_stops():
    def fail(n):
        if n == 2:
            raise KeyError("the third")
        return n

    elements = iter(Dataset.range(5).map(fail).prefetch(1))
    assert [int(next(elements)), int(next(elements))] == [0, 1]
    with pytest.raises(KeyError, match="the third"):
        next(elements)
    endless = iter(Dataset.counter().map(lambda n: n).prefetch(2))
    next(endless)
    endless._pass.close()
    assert all(not t.name.startswith("tf.data") or not _runs(t) for t in threading.enumerate())


def _runs(thread):
    thread.join(timeout=5)
    return thread.is_alive()


def test_files(tmp_path):
    for name in ("b.txt", "a.txt"):
        (tmp_path / name).write_text(f"{name}\r\nsecond\n")
    with gzip.open(tmp_path / "c.gz", "wt") as file:
        file.write("packed")
    files = Dataset.list_files(str(tmp_path / "*.txt"), shuffle=False)
    lines = files.interleave(TextLineDataset, cycle_length=1)
    assert [x.item() for x in lines] == [b"a.txt", b"second", b"b.txt", b"second"]
    packed = TextLineDataset(str(tmp_path / "c.gz"), compression_type="GZIP")
    assert [x.item() for x in packed] == [b"packed"]
    with pytest.raises(ValueError, match="No files matched"):
        Dataset.list_files(str(tmp_path / "*.png"))
    with pytest.raises(NotImplementedError, match="cache"):
        files.save("x")


class Rows(BatchDataset):
    """What loaders of `keras.utils` return: here, numbers."""

    def _batch(self, indices):
        return torch.tensor(indices)

    def _sample(self, index):
        return torch.tensor(index)


@pytest.mark.parametrize("size", [None, 2])
def test_loaders_become_datasets(size):
    loader = Rows(3, batch_size=size)
    loader.class_names = ["x"]
    dataset = from_loader(loader)
    assert values(dataset.map(lambda n: n + 1)) == ([1, 2, 3] if size is None else [[1, 2], [3]])
    assert dataset.class_names == ["x"]
    assert dataset.element_spec == TensorSpec([] if size is None else [None], "int64")


@pytest.mark.parametrize("steps", [None, 3])
def test_training(steps):
    x = np.random.default_rng(0).normal(size=(24, 2)).astype("float32")
    y = x.sum(1, keepdims=True)
    dataset = Dataset.from_tensor_slices((x, y)).shuffle(24).batch(8).prefetch(AUTOTUNE)
    model = torchkeras.Sequential([torchkeras.layers.Dense(1)])
    model.compile(torchkeras.optimizers.SGD(0.1), "mse")
    data = dataset.repeat() if steps else dataset
    history = model.fit(data, epochs=4, steps_per_epoch=steps, verbose=0).history["loss"]
    assert history[-1] < history[0] / 2
    assert model.predict(dataset.take(2), verbose=0).shape == (16, 1)
    exact = model.evaluate(x, y, verbose=0)
    assert model.evaluate(dataset, verbose=0) == pytest.approx(exact, rel=1e-5)


def test_splits_of_batches():
    """As with TensorFlow, the samples are split, and put into batches of the same size again."""
    data = Dataset.range(5).map(lambda v: (v, -v)).batch(2)
    for made in (data, Dataset.from_tensor_slices(np.arange(5)).padded_batch(2)):
        left, right = torchkeras.utils.split_dataset(
            made, right_size=2, preferred_backend="torch", shuffle=False
        )
        assert len(left) == 3 and len(right) == 2
