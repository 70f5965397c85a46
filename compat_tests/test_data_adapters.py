"""Data adapters against those of keras 3.15.1 with its torch backend: batches, order, errors."""

import random

import keras
import numpy as np
import pandas as pd
import pytest
import torch
from keras.src.trainers import data_adapters as oracle
from keras.src.trainers.data_adapters import array_slicing, data_adapter_utils
from keras.src.trainers.epoch_iterator import EpochIterator

from torchkeras import tree
from torchkeras.training import data


class OracleEpochs(EpochIterator):
    """The epoch iterator of Keras's torch trainer."""

    def _get_iterator(self):
        return self.data_adapter.get_torch_dataloader()


def oracle_passes(count, **kwargs):
    epochs = OracleEpochs(**kwargs)
    return [[batch for _, _, (batch,) in epochs] for _ in range(count)]


def our_passes(count, **kwargs):
    adapter = data.get_data_adapter(**kwargs)
    return [list(adapter.batches()) for _ in range(count)]


def assert_same(ours, theirs):
    ours, theirs = tree.flatten(ours), tree.flatten(theirs)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        if b is None:
            assert a is None
            continue
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert torch.equal(a, b)


def table(rows, dtype="float64", seed=0):
    values = np.random.default_rng(seed).uniform(0, 5, (rows, 3))
    return values.astype(dtype)


@pytest.mark.parametrize("rows, batch_size", [(10, 4), (12, 4), (3, 32), (101, 7), (1, 1)])
@pytest.mark.parametrize("shuffle", [False, True, "batch"])
def test_three_shuffled_passes_visit_the_same_samples(rows, batch_size, shuffle):
    kwargs = dict(
        x=table(rows), y=np.arange(rows), sample_weight=table(rows)[:, 0], shuffle=shuffle
    )
    torch.manual_seed(11)
    theirs = oracle_passes(3, batch_size=batch_size, **kwargs)
    after = torch.rand(1)
    torch.manual_seed(11)
    ours = our_passes(3, batch_size=batch_size, **kwargs)
    assert_same(ours, theirs)
    assert torch.equal(torch.rand(1), after)


def frame():
    return pd.DataFrame({"a": [1, 2, 3], "b": [0.5, 1.5, 2.5]})


ARRAYS = {
    "floats": lambda: dict(x=table(5), y=table(5, "float16")),
    "integers": lambda: dict(x=table(5, "uint8"), y=table(5, "int16")),
    "unsigned": lambda: dict(x=table(5, "uint16"), y=table(5, "uint32")),
    "bools": lambda: dict(x=table(5) > 2, y=table(5, "bool")),
    "tensors": lambda: dict(x=torch.ones(5, 2, dtype=torch.bfloat16), y=torch.ones(5).double()),
    "list": lambda: dict(x=[table(5), table(5, "int32")], y=table(5)),
    "tuple": lambda: dict(x=(table(5), table(5, "int32"))),
    "dict": lambda: dict(x={"b": table(5), "a": [table(5), None]}, y=(table(5),)),
    "frame": lambda: dict(x=frame(), y=frame()["b"]),
    "int_frame": lambda: dict(x=frame()[["a"]], y=frame()["a"]),
    "columns": lambda: dict(x=dict(frame())),
    "x_only": lambda: dict(x=table(5)),
    "class_weight": lambda: dict(x=table(5), y=np.arange(5), class_weight={0: 2.0, 3: 0.5, 9: 7.0}),
    "class_weight_rounds": lambda: dict(
        x=table(5), y=np.array([0.5, 1.5, 2.5, 0.6, 1.4]), class_weight={0: 3.0, 2: 0.5}
    ),
    "class_weight_rows": lambda: dict(x=table(5), y=table(5), class_weight={0: 2.0, 2: 0.5}),
    "class_weight_column": lambda: dict(
        x=table(5), y=table(5, "int64")[:, :1], class_weight={1: 2.0}
    ),
    "weights_per_output": lambda: dict(
        x=table(5), y={"p": table(5), "q": table(5)}, sample_weight={"p": table(5), "q": table(5)}
    ),
    "one_weight_array": lambda: dict(
        x=table(5), y=[table(5), table(5)], sample_weight=table(5)[:, :1]
    ),
}


@pytest.mark.parametrize("case", ARRAYS)
@pytest.mark.parametrize("shuffle", [False, True])
def test_arrays(case, shuffle):
    kwargs = ARRAYS[case]()
    torch.manual_seed(1)
    theirs = oracle_passes(2, batch_size=2, shuffle=shuffle, **kwargs)
    torch.manual_seed(1)
    ours = our_passes(2, batch_size=2, shuffle=shuffle, **kwargs)
    assert_same(ours, theirs)


@pytest.mark.parametrize("batch_size, steps", [(None, None), (None, 3), (7, 3), (64, None)])
def test_attributes(batch_size, steps):
    theirs = oracle.get_data_adapter(table(50), batch_size=batch_size, steps_per_epoch=steps)
    ours = data.get_data_adapter(table(50), batch_size=batch_size, steps_per_epoch=steps)
    for name in ("num_batches", "batch_size", "has_partial_batch", "partial_batch_size"):
        assert getattr(ours, name) == getattr(theirs, name)


BAD = {
    "lengths": dict(x=np.zeros(3), y=np.zeros(4)),
    "weight_length": dict(x=np.zeros(3), y=np.zeros(3), sample_weight=np.zeros(2)),
    "string_targets": dict(x=np.zeros(1), y=np.array(["a"])),
    "objects": dict(x=np.array([None])),
    "numbers": dict(x=[1, 2]),
    "number_targets": dict(x=np.zeros(2), y=[1, 2]),
    "text": dict(x="text"),
    "object": dict(x=object()),
    "uint64": dict(x=np.zeros(2, "uint64")),
    "negative_batch": dict(x=np.zeros(2), batch_size=-1),
    "fractional_batch": dict(x=np.zeros(2), batch_size=1.5),
    "both_weights": dict(
        x=np.zeros(2), y=np.zeros(2), sample_weight=np.ones(2), class_weight={0: 1.0}
    ),
    "class_weight_outputs": dict(
        x=np.zeros(2), y=[np.zeros(2), np.zeros(2)], class_weight={0: 1.0}
    ),
    "class_weight_3d": dict(x=np.zeros(2), y=np.zeros((2, 2, 2)), class_weight={0: 1.0}),
    "weight_structure": dict(x=np.zeros(2), y=[np.zeros(2)] * 2, sample_weight=[np.ones(2)]),
    "weight_shape": dict(x=np.zeros(2), y=[np.zeros(2)] * 2, sample_weight=np.ones((2, 2))),
    "loader_y": dict(x=torch.utils.data.DataLoader([1, 2]), y=np.zeros(2)),
    "loader_weight": dict(x=torch.utils.data.DataLoader([1, 2]), sample_weight=np.zeros(2)),
    "loader_classes": dict(x=torch.utils.data.DataLoader([1, 2]), class_weight={0: 1.0}),
}


@pytest.mark.parametrize("case", BAD)
def test_errors_have_the_same_type(case):
    with pytest.raises(Exception) as theirs:
        oracle_passes(1, **BAD[case])
    with pytest.raises(theirs.type):
        our_passes(1, **BAD[case])


def numbers(count, make=tuple):
    return (make([np.full((2, 2), i), np.full(2, i, "int64")]) for i in range(count))


@pytest.mark.parametrize(
    "make, kwargs",
    [
        (lambda: numbers(0), {}),
        (lambda: numbers(3, list), {}),
        (lambda: (np.zeros(2) for _ in range(3)), {}),
        (lambda: numbers(3), {"y": np.zeros(2)}),
        (lambda: numbers(3), {"sample_weight": np.zeros(2)}),
        (lambda: numbers(3), {"class_weight": {0: 1.0}}),
    ],
)
def test_bad_generators(make, kwargs):
    with pytest.raises(ValueError):
        oracle.get_data_adapter(make(), **kwargs)
    with pytest.raises(ValueError):
        data.get_data_adapter(make(), **kwargs)


@pytest.mark.parametrize(
    "batch",
    [
        (table(2), table(2, "float32")),
        (table(2, "uint16"), np.ones(2, "uint32"), None),
        ({"a": table(2)}, [table(2), (table(2),)]),
        (torch.ones(2), 3, 2.5, True),
        (frame(), frame()["b"]),
        ([1, 2**40], 1j),
    ],
    ids=["floats", "unsigned", "nested", "scalars", "frame", "numbers"],
)
def test_generator_batches(batch):
    theirs = next(iter(oracle.get_data_adapter(iter_of(batch)).get_torch_dataloader()))
    ours = next(data.get_data_adapter(iter_of(batch)).batches())
    assert_same(ours, theirs)


def iter_of(batch):
    return (batch for _ in range(3))


def make_dataset(base, batches, **kwargs):
    class Listed(base):
        def __len__(self):
            return len(batches)

        def __getitem__(self, index):
            return batches[index]

    return Listed(**kwargs)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("workers", [1, 2])
def test_py_dataset(shuffle, workers):
    batches = [(table(2, seed=i), np.array([i, i])) for i in range(6)]
    results = []
    for library, passes in ((keras.utils.PyDataset, oracle_passes), (data.PyDataset, our_passes)):
        random.seed(2)
        dataset = make_dataset(library, batches, workers=workers)
        results.append(passes(1, x=dataset, shuffle=shuffle, class_weight={1: 3.0, 4: 0.25}))
    assert_same(results[1], results[0])


@pytest.mark.parametrize("batch", ["text", (1, 2, 3, 4), (table(2),) * 3])
def test_bad_py_dataset_batches(batch):
    for library, passes in ((keras.utils.PyDataset, oracle_passes), (data.PyDataset, our_passes)):
        dataset = make_dataset(library, [batch])
        with pytest.raises(ValueError):
            passes(1, x=dataset, class_weight={0: 1.0})


@pytest.mark.parametrize("shuffle", [False, True])
def test_loader(shuffle):
    samples = torch.utils.data.TensorDataset(torch.arange(10.0), torch.arange(10))
    results = []
    for passes in (oracle_passes, our_passes):
        torch.manual_seed(4)
        loader = torch.utils.data.DataLoader(samples, batch_size=4, shuffle=shuffle)
        results.append(passes(1, x=loader))
    assert_same(results[1], results[0])


@pytest.mark.parametrize("fraction", [0.1, 0.25, 1 / 3, 0.5, 0.99, 0.001])
@pytest.mark.parametrize("rows", [2, 3, 10, 101])
def test_validation_split(rows, fraction):
    arrays = ({"a": table(rows)}, table(rows, "int32"), None)
    try:
        expected = array_slicing.train_validation_split(arrays, fraction)
    except ValueError:
        with pytest.raises(ValueError):
            data.train_validation_split(arrays, fraction)
        return
    ours = data.train_validation_split(arrays, fraction)
    sizes = [[None if a is None else len(a) for a in tree.flatten(part)] for part in ours]
    assert sizes == [
        [None if a is None else a.shape[0] for a in tree.flatten(part)] for part in expected
    ]


@pytest.mark.parametrize(
    "value", [1, (1,), [1, 2], (1, 2, 3), (), (1, 2, 3, 4), {"a": 1}, "x", None], ids=repr
)
def test_pack_and_unpack(value):
    try:
        expected = data_adapter_utils.unpack_x_y_sample_weight(value)
    except ValueError:
        with pytest.raises(ValueError):
            data.unpack_x_y_sample_weight(value)
        return
    assert data.unpack_x_y_sample_weight(value) == expected
    packed = data_adapter_utils.pack_x_y_sample_weight(*expected)
    assert data.pack_x_y_sample_weight(*expected) == packed
