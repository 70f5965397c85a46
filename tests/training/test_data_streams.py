"""Data in batches: generators, PyDataset with and without workers, torch loaders, iterables."""

import os
import random
import threading
import time

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from torchkeras.training.data import (
    ArrayDataAdapter,
    DataAdapter,
    GeneratorDataAdapter,
    IterableAdapter,
    PyDataset,
    PyDatasetAdapter,
    TorchDataLoaderAdapter,
    get_data_adapter,
    pack_x_y_sample_weight,
    unpack_x_y_sample_weight,
    whole_batch,
)


def count(stop, start=0):
    return ((np.array([i]), np.array([-i])) for i in range(start, stop))


def xs(batches):
    return [int(batch[0][0]) for batch in batches]


class Numbered(PyDataset):
    """Batch i holds i and -i; notes the hooks, and who made each batch."""

    def __init__(self, length=6, delay=0.0, **kwargs):
        super().__init__(**kwargs)
        self.length = length
        self.delay = delay
        self.events = []

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        if index >= self.length:
            raise IndexError(index)
        time.sleep(self.delay * random.random())
        return np.array([index]), np.array([os.getpid()]), np.array([threading.get_ident()])

    def on_epoch_begin(self):
        self.events.append("begin")

    def on_epoch_end(self):
        self.events.append("end")


class Endless(PyDataset):
    num_batches = None

    def __getitem__(self, index):
        return (np.array([index]),)


class TestPacking:
    @pytest.mark.parametrize(
        "data, expected",
        [
            (1, (1, None, None)),
            ((1,), (1, None, None)),
            ([1, 2], (1, 2, None)),
            ((1, 2, 3), (1, 2, 3)),
            ({"a": 1}, ({"a": 1}, None, None)),
        ],
    )
    def test_unpack(self, data, expected):
        assert unpack_x_y_sample_weight(data) == expected

    @pytest.mark.parametrize("data", [(), (1, 2, 3, 4)])
    def test_unpack_refuses_other_lengths(self, data):
        with pytest.raises(ValueError, match=f"{len(data)} parts"):
            unpack_x_y_sample_weight(data)

    @pytest.mark.parametrize(
        "args, expected",
        [
            ((1,), 1),
            (([1],), ([1],)),
            (((1,),), ((1,),)),
            ((1, 2), (1, 2)),
            ((1, 2, 3), (1, 2, 3)),
            ((1, None, 3), 1),
        ],
    )
    def test_pack(self, args, expected):
        assert pack_x_y_sample_weight(*args) == expected


class TestGenerator:
    def test_goes_on_where_it_stopped(self):
        adapter = get_data_adapter(count(5))
        assert isinstance(adapter, GeneratorDataAdapter) and adapter.num_batches is None
        first = adapter.batches()
        assert xs([next(first), next(first)]) == [0, 1]
        assert xs(adapter.batches()) == [2, 3, 4]
        assert xs(adapter.batches()) == []

    def test_peek_loses_nothing(self):
        adapter = get_data_adapter(count(4))
        assert xs([adapter.peek(), adapter.peek()]) == [0, 0]
        batches = adapter.batches()
        assert xs([next(batches)]) == [0]
        assert xs([adapter.peek()]) == [1]
        assert xs(adapter.batches()) == [1, 2, 3]

    def test_dtypes_stay_and_numbers_become_tensors(self):
        ((x, y, w),) = get_data_adapter(iter([(np.zeros((2, 2)), [1, 2.5], None)])).batches()
        assert x.dtype == torch.float64 and w is None
        assert [t.dtype for t in y] == [torch.int32, torch.float32]

    def test_any_number_of_parts(self):
        ((*parts,),) = get_data_adapter(iter([(1, 2, 3, 4)])).batches("meta")
        assert len(parts) == 4 and parts[0].device.type == "meta"

    def test_reused_buffers_are_safe(self):
        buffer = np.zeros(2)

        def generate():
            for i in range(3):
                buffer[:] = i
                yield (buffer,)

        assert [b[0].tolist() for b in get_data_adapter(generate()).batches()] == [
            [i] * 2 for i in range(3)
        ]

    @pytest.mark.parametrize(
        "generator, kwargs, words",
        [
            (iter(()), {}, "at least one batch"),
            (iter([np.zeros(2)]), {}, "must yield a tuple"),
            (iter([[1, 2]]), {}, "must yield a tuple"),
            (count(2), {"y": np.zeros(2)}, "`y` should not be passed"),
            (count(2), {"sample_weight": np.zeros(2)}, "`sample_weights` should not"),
            (count(2), {"class_weight": {0: 1.0}}, "`class_weight` should not"),
        ],
    )
    def test_bad_input(self, generator, kwargs, words):
        with pytest.raises(ValueError, match=words):
            get_data_adapter(generator, **kwargs)

    def test_text(self):
        batch = get_data_adapter(iter([({"a": np.array(["x"])}, np.ones(1))])).peek()
        assert batch[0]["a"].tolist() == ["x"] and batch[1].tolist() == [1.0]
        with pytest.raises(ValueError, match="Invalid dtype"):
            list(get_data_adapter(iter([(np.ones(1), np.array(["a"]))])).batches())

    def test_shuffle_is_not_ignored_silently(self):
        with pytest.warns(UserWarning, match="shuffle"):
            get_data_adapter(count(2), shuffle=True)


class TestPyDataset:
    @pytest.mark.parametrize("processes", [False, True])
    @pytest.mark.parametrize("workers", [1, 3])
    @pytest.mark.parametrize("shuffle", [False, True])
    def test_order(self, workers, processes, shuffle):
        dataset = Numbered(
            8, 0.01, workers=workers, use_multiprocessing=processes, max_queue_size=3
        )
        adapter = get_data_adapter(dataset, shuffle=shuffle)
        random.seed(5)
        batches = list(adapter.batches())
        expected = list(range(8))
        if shuffle:
            random.seed(5)
            random.shuffle(expected)
        assert xs(batches) == expected
        pids = {int(batch[1][0]) for batch in batches}
        assert (os.getpid() in pids) != processes
        if workers == 1 and not processes:
            assert {int(batch[2][0]) for batch in batches} == {threading.get_ident()}

    def test_works_ahead_no_further_than_the_queue(self):
        made = []

        class Noting(Numbered):
            def __getitem__(self, index):
                made.append(index)
                return super().__getitem__(index)

        batches = get_data_adapter(Noting(50, workers=2, max_queue_size=4)).batches()
        next(batches)
        given_up = time.monotonic() + 60
        while len(made) < 4 and time.monotonic() < given_up:
            time.sleep(0.001)
        time.sleep(0.02)  # for those that should not come
        assert 4 <= len(made) <= 5
        batches.close()
        time.sleep(0.02)
        assert len(made) <= 5

    @pytest.mark.parametrize("processes", [False, True])
    def test_errors_reach_the_caller(self, processes):
        dataset = Numbered(3, workers=2, use_multiprocessing=processes)
        adapter = get_data_adapter(dataset)
        adapter._order = lambda: range(5)
        with pytest.raises(IndexError, match="3"):
            list(adapter.batches())

    @pytest.mark.parametrize("workers", [1, 2])
    def test_endless(self, workers):
        adapter = get_data_adapter(Endless(workers=workers))
        assert adapter.num_batches is None
        assert xs([adapter.peek()]) == [0]
        batches = adapter.batches()
        assert xs([next(batches) for _ in range(15)]) == list(range(15))
        batches.close()

    def test_hooks_and_plain_iteration(self):
        dataset = Numbered(2)
        adapter = get_data_adapter(dataset)
        adapter.on_epoch_begin()
        adapter.on_epoch_end()
        assert dataset.events == ["begin", "end"]
        assert xs(dataset) == [0, 1]
        assert adapter.num_batches == 2 and adapter.batch_size is None

    def test_peek_starts_no_workers(self):
        dataset = Numbered(3, workers=2, use_multiprocessing=True)
        assert int(get_data_adapter(dataset).peek()[1][0]) == os.getpid()

    def test_class_weight(self):
        class Pairs(PyDataset):
            def __len__(self):
                return 1

            def __getitem__(self, index):
                return np.zeros(2), np.array([0, 1])

        ((_, _, weights),) = get_data_adapter(Pairs(), class_weight={1: 4.0}).batches()
        assert weights.tolist() == [1.0, 4.0]
        with pytest.raises(ValueError, match="at the same time"):
            list(get_data_adapter(Numbered(1), class_weight={1: 4.0}).batches())

    @pytest.mark.parametrize("batch", ["text", (1, 2, 3, 4), (), 5])
    def test_bad_batch(self, batch):
        class Bad(PyDataset):
            num_batches = 1

            def __getitem__(self, index):
                return batch

        with pytest.raises(ValueError, match=r"Bad.__getitem__\(\) must return a tuple or a dict"):
            list(get_data_adapter(Bad()).batches())

    def test_one_array_and_a_dict(self):
        class Flexible(PyDataset):
            num_batches = 2

            def __getitem__(self, index):
                return {"a": np.zeros(2)} if index else np.zeros(2)

        first, second = get_data_adapter(Flexible()).batches()
        assert isinstance(first, tuple) and second["a"].shape == (2,)

    def test_forgotten_constructor(self):
        class Forgetful(PyDataset):
            def __init__(self):
                pass

            def __len__(self):
                return 1

            def __getitem__(self, index):
                return (np.zeros(1),)

        with pytest.warns(UserWarning, match=r"super\(\).__init__"):
            assert Forgetful().workers == 1

    def test_missing_methods(self):
        with pytest.raises(NotImplementedError, match="__len__"):
            PyDataset().num_batches  # noqa: B018
        with pytest.raises(NotImplementedError, match="__getitem__"):
            PyDataset()[0]

    def test_arguments_that_do_not_go_with_it(self):
        with pytest.raises(ValueError, match="`y` should not"):
            get_data_adapter(Numbered(1), y=np.zeros(1))
        with pytest.warns(UserWarning, match="endless"):
            get_data_adapter(Endless(), shuffle=True)

    def test_options_can_be_set(self):
        dataset = Numbered(1)
        dataset.workers, dataset.use_multiprocessing, dataset.max_queue_size = 4, True, 2
        adapter = PyDatasetAdapter(dataset)
        assert adapter._in_parallel()
        assert (dataset.use_multiprocessing, dataset.max_queue_size) == (True, 2)


class Stream(IterableDataset):
    def __iter__(self):
        return iter([(torch.tensor([float(i)]), i) for i in range(5)])


class TestTorch:
    def test_loader(self):
        x = torch.arange(10.0)[:, None]
        adapter = get_data_adapter(DataLoader(TensorDataset(x, x), batch_size=4))
        assert isinstance(adapter, TorchDataLoaderAdapter)
        assert (adapter.num_batches, adapter.batch_size, adapter.partial_batch_size) == (3, 4, 2)
        assert adapter.has_partial_batch
        batches = list(adapter.batches())
        assert all(type(batch) is tuple for batch in batches)
        assert torch.equal(torch.cat([b[0] for b in batches]), x)

    def test_loader_of_a_stream_has_no_length(self):
        adapter = get_data_adapter(DataLoader(Stream(), batch_size=2))
        assert adapter.num_batches is None and adapter.has_partial_batch is None
        assert xs(adapter.batches("cpu")) == [0, 2, 4]

    def test_loader_batches_go_to_the_device(self):
        loader = DataLoader([{"a": torch.ones(2), "b": 1} for _ in range(3)], batch_size=3)
        (batch,) = get_data_adapter(loader).batches("meta")
        assert batch["a"].device.type == batch["b"].device.type == "meta"
        assert batch["a"].shape == (3, 2)

    def test_datasets_are_batched(self):
        stream = get_data_adapter(Stream(), batch_size=3, shuffle=True)
        assert [len(x) for x, _ in stream.batches()] == [3, 2]

        class Squares(torch.utils.data.Dataset):
            def __len__(self):
                return 50

            def __getitem__(self, i):
                return torch.tensor([i]), i * i

        plain = get_data_adapter(Squares())
        assert plain.batch_size == 32
        assert xs(plain.batches()) == [0, 32]
        order = torch.cat([x for x, _ in get_data_adapter(Squares(), shuffle=True).batches()])
        assert sorted(order[:, 0].tolist()) == list(range(50)) != order[:, 0].tolist()

    def test_lists_of_strings(self):
        loader = DataLoader([("a", 1.0), ("b", 2.0), ("c", 3.0)], batch_size=2)
        found = [(x.tolist(), y.tolist()) for x, y in get_data_adapter(loader).batches()]
        assert found == [(["a", "b"], [1.0, 2.0]), (["c"], [3.0])]

    def test_tensor_datasets_are_arrays(self):
        adapter = get_data_adapter(TensorDataset(torch.zeros(3, 2), torch.zeros(3)), shuffle=True)
        assert isinstance(adapter, ArrayDataAdapter)

    @pytest.mark.parametrize("name", ["y", "sample_weight", "class_weight"])
    def test_only_x(self, name):
        value = {0: 1.0} if name == "class_weight" else np.zeros(2)
        for data in (DataLoader([1, 2]), Stream()):
            with pytest.raises(ValueError, match=f"`{name}s?` should not"):
                get_data_adapter(data, **{name: value})

    def test_ignored_arguments_are_named(self):
        with pytest.warns(UserWarning, match="`batch_size=7`"):
            get_data_adapter(DataLoader([1, 2], batch_size=2), batch_size=7)
        with pytest.warns(UserWarning, match="shuffle"):
            get_data_adapter(DataLoader([1, 2], batch_size=2), batch_size=2, shuffle=True)

    def test_not_a_loader(self):
        with pytest.raises(ValueError, match="DataLoader"):
            TorchDataLoaderAdapter([1, 2])


class Restartable:
    """A dataset of some other library."""

    def __iter__(self):
        return count(3)


class TestIterable:
    def test_starts_again_each_pass(self):
        adapter = get_data_adapter(Restartable())
        assert isinstance(adapter, IterableAdapter) and adapter.num_batches is None
        assert xs(adapter.batches()) == xs(adapter.batches()) == [0, 1, 2]

    def test_length_and_weights(self):
        class Sized(Restartable):
            def __len__(self):
                return 3

        adapter = get_data_adapter(Sized(), class_weight={0: 2.0})
        assert adapter.num_batches == 3
        assert [float(w[0]) for _, _, w in adapter.batches()] == [2.0, 1.0, 1.0]

    def test_arguments_that_do_not_go_with_it(self):
        with pytest.raises(ValueError, match="providing `x` as a Restartable, `y`"):
            get_data_adapter(Restartable(), np.zeros(3))
        with pytest.warns(UserWarning, match="shuffle"):
            get_data_adapter(Restartable(), shuffle=True)


def test_own_adapter_is_used_as_it_is():
    class Mine(DataAdapter):
        pass

    mine = Mine()
    assert get_data_adapter(mine) is mine
    with pytest.raises(NotImplementedError):
        mine.num_batches  # noqa: B018


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("resident", [0, 1 << 30])
@pytest.mark.parametrize("shuffle", [False, True, "batch"])
def test_cuda(monkeypatch, resident, shuffle):
    monkeypatch.setattr("torchkeras.training.data.arrays.RESIDENT_BYTES", resident)
    x = np.arange(1000, dtype="float32").reshape(500, 2)
    batches = list(get_data_adapter(x, batch_size=64, shuffle=shuffle).batches("cuda"))
    assert {b.device.type for b in batches} == {"cuda"}
    found = torch.cat(batches).cpu().numpy()
    np.testing.assert_array_equal(found[found[:, 0].argsort()], x)


def test_a_sampler_is_asked_for_no_more_than_a_pass():
    """Else it draws a permutation that is not used, and the next pass is in another order."""
    generator, data = torch.Generator().manual_seed(1), TensorDataset(torch.arange(6))
    adapter = TorchDataLoaderAdapter(DataLoader(data, 2, shuffle=True, generator=generator))
    passes = [torch.cat([x for (x,) in adapter.batches()]).tolist() for _ in range(2)]
    other, wanted = torch.Generator().manual_seed(1), []
    for _ in range(2):  # a seed for each iterator: one before the pass, one after it
        torch.empty((), dtype=torch.int64).random_(generator=other)
        wanted.append(torch.randperm(6, generator=other).tolist())
        torch.empty((), dtype=torch.int64).random_(generator=other)
    assert passes == wanted


def test_what_yields_arrays_alone_hands_them_on_alone():
    """As `tf.data` in Keras: a GAN's `train_step(self, images)` asks them for their shape."""
    images = [torch.ones(2, 3), np.ones((1, 3), "float32")]
    (first, second) = IterableAdapter(images).batches()
    assert first.shape == (2, 3) and second.shape == (1, 3)


@pytest.mark.parametrize(
    "data", [count(2), Numbered(), DataLoader(torch.arange(4)), TensorDataset(torch.arange(4))]
)
def test_a_stream_is_no_batch(data):
    """Its first batch alone would be taken, and the others lost without a word."""
    with pytest.raises(ValueError, match=r"(?s)`x` is no batch of arrays.*next\(iter\(data\)\)"):
        whole_batch(data, device="cpu")
