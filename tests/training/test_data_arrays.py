"""Whole arrays: conversion, batching, shuffling, weights, and what bad arrays are told."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchkeras import config
from torchkeras.training.data import (
    ArrayDataAdapter,
    class_weight_to_sample_weights,
    get_data_adapter,
    train_validation_split,
)
from torchkeras.training.data import arrays as arrays_module


def rows(adapter, device="cpu"):
    return list(adapter.batches(device))


@pytest.mark.parametrize(
    "given_dtype, expected",
    [
        ("float64", torch.float32),
        ("float16", torch.float32),
        (">f8", torch.float32),
        ("int8", torch.int8),
        ("uint8", torch.uint8),
        ("uint16", torch.int32),
        ("uint32", torch.int64),
        ("int64", torch.int64),
        ("bool", torch.bool),
        ("complex64", torch.complex64),
    ],
)
def test_floats_become_floatx_and_the_rest_keeps_its_kind(given_dtype, expected):
    x = np.array([[0, 1], [1, 0]]).astype(given_dtype)
    (batch,) = rows(ArrayDataAdapter(x))
    assert batch.dtype == expected
    np.testing.assert_array_equal(batch.numpy(), x)


def test_floatx_is_respected():
    before = config.floatx()
    config.set_floatx("float64")
    try:
        (batch,) = rows(ArrayDataAdapter(torch.zeros(2, 2)))
        weights = class_weight_to_sample_weights([0, 1], {0: 2.0})
    finally:
        config.set_floatx(before)
    assert batch.dtype == weights.dtype == torch.float64


@given(
    total=st.integers(1, 40),
    batch_size=st.integers(1, 50),
    shuffle=st.sampled_from([False, True, "batch"]),
    chunk=st.sampled_from([1, 200, 1 << 20]),
)
def test_every_sample_comes_once_and_together_with_its_target(total, batch_size, shuffle, chunk):
    x = np.stack([np.arange(total), np.arange(total) ** 2], 1).astype("float32")
    before, arrays_module.CHUNK_BYTES = arrays_module.CHUNK_BYTES, chunk
    try:
        adapter = ArrayDataAdapter(x, np.arange(total), batch_size=batch_size, shuffle=shuffle)
        batches = rows(adapter)
    finally:
        arrays_module.CHUNK_BYTES = before
    sizes = [len(y) for _, y in batches]
    full, rest = divmod(total, batch_size)
    assert sizes == [batch_size] * full + [rest] * (rest > 0)
    assert adapter.num_batches == len(batches)
    assert adapter.partial_batch_size == (rest or None)
    assert adapter.has_partial_batch == (rest > 0)
    seen = torch.cat([y for _, y in batches])
    assert sorted(seen.tolist()) == list(range(total))
    assert all(torch.equal(a[:, 1], (b**2).float()) for a, b in batches)
    if not shuffle:
        assert seen.tolist() == list(range(total))
    if shuffle == "batch":
        starts = [min(y.tolist()) for _, y in batches]
        assert starts == list(range(0, total, batch_size))


def test_shuffle_differs_between_passes_and_repeats_with_the_seed():
    adapter = ArrayDataAdapter(np.arange(100), batch_size=10, shuffle=True)

    def passes():
        torch.manual_seed(3)
        return [torch.cat(rows(adapter)).tolist() for _ in range(2)]

    first, second = passes()
    assert first != second
    assert [first, second] == passes()


def test_views_share_memory_when_not_shuffled():
    x = torch.arange(8.0)
    for batch in ArrayDataAdapter(x, batch_size=3).batches():
        assert batch.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()


def test_nested_structures_keep_their_form():
    x = {"b": np.zeros((4, 2)), "a": [np.ones((4, 1)), (np.ones(4), None)]}
    adapter = ArrayDataAdapter(x, (np.zeros(4), np.ones(4)), np.ones(4), batch_size=4)
    ((xb, yb, wb),) = rows(adapter)
    assert list(xb) == ["b", "a"]
    assert isinstance(xb["a"], list) and xb["a"][1][1] is None
    assert xb["a"][1][0].shape == (4,)
    assert isinstance(yb, tuple) and isinstance(wb, tuple) and len(wb) == 2


@pytest.mark.parametrize(
    "args, form",
    [
        ((np.zeros(2),), torch.Tensor),
        (([np.zeros(2)],), tuple),
        ((np.zeros(2), np.zeros(2)), tuple),
    ],
)
def test_form_of_a_batch(args, form):
    (batch,) = rows(ArrayDataAdapter(*args))
    assert type(batch) is form
    if form is tuple:
        assert len(batch) == len(args)


def test_pandas():
    frame = pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5]})
    ((x, y),) = rows(get_data_adapter(frame, frame["a"]))
    assert x.dtype == torch.float32 and x.tolist() == [[1.0, 0.5], [2.0, 1.5]]
    assert y.dtype == torch.int64 and y.tolist() == [[1], [2]]
    (mixed,) = rows(get_data_adapter(pd.DataFrame({"a": [1, 2], "b": [True, False]})))
    assert mixed.tolist() == [[1, 1], [2, 0]]
    (columns,) = rows(get_data_adapter(dict(frame)))
    assert columns["b"].tolist() == [[0.5], [1.5]]


@pytest.mark.parametrize("shuffle", [False, True])
def test_scipy_sparse_rows_become_dense(shuffle):
    dense = np.array([[0.0, 2.0], [1.0, 0.0], [0.0, 3.0]])
    adapter = get_data_adapter(
        scipy.sparse.coo_matrix(dense), np.arange(3), None, 2, shuffle=shuffle
    )
    for x, y in adapter.batches():
        assert x.dtype == torch.float32
        np.testing.assert_array_equal(x.numpy(), dense[y.numpy()])
    (x, _), (val_x, _) = train_validation_split((scipy.sparse.csr_matrix(dense), None), 0.3)
    assert (x.shape, val_x.shape) == ((2, 2), (1, 2))


def test_read_only_and_reversed_arrays():
    x = np.arange(6.0, dtype="float32")
    x.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (forward,) = rows(ArrayDataAdapter(x))
        (backward,) = rows(ArrayDataAdapter(x[::-1]))
    assert forward.tolist() == backward.tolist()[::-1]


def test_gradients_do_not_reach_the_data():
    (batch,) = rows(ArrayDataAdapter(torch.ones(3, requires_grad=True), shuffle=True))
    assert not batch.requires_grad


@pytest.mark.parametrize("shuffle", [False, True, "batch"])
def test_batches_arrive_on_the_device(shuffle):
    adapter = ArrayDataAdapter({"a": np.zeros((5, 2))}, np.zeros(5), batch_size=2, shuffle=shuffle)
    for x, y in rows(adapter, "meta") + rows(adapter, torch.device("meta")):
        assert x["a"].device.type == y.device.type == "meta"


def test_large_data_is_not_kept_on_the_device(monkeypatch):
    monkeypatch.setattr(arrays_module, "RESIDENT_BYTES", 1)
    adapter = ArrayDataAdapter(np.zeros((5, 2)), batch_size=2, shuffle=True)
    assert [b.device.type for b in rows(adapter, "meta")] == ["meta"] * 3
    assert adapter._resident is None


@pytest.mark.parametrize(
    "batch_size, steps, expected", [(None, None, 32), (None, 4, 25), (7, 4, 7), (0, None, 32)]
)
def test_default_batch_size(batch_size, steps, expected):
    assert (
        ArrayDataAdapter(np.zeros(100), batch_size=batch_size, steps=steps).batch_size == expected
    )


class TestClassWeight:
    @pytest.mark.parametrize(
        "y",
        [
            np.array([0, 2, 1]),
            np.array([[0], [2], [1]]),
            np.array([0.2, 1.8, 1.4]),
            np.eye(3)[[0, 2, 1]],
            np.eye(3, dtype=bool)[[0, 2, 1]],
            pd.Series([0, 2, 1]),
        ],
        ids=["ids", "column", "floats", "one_hot", "bool_one_hot", "series"],
    )
    def test_kinds_of_targets(self, y):
        weights = class_weight_to_sample_weights(y, {2: 5, 0: 0.5})
        assert weights.tolist() == [0.5, 5.0, 1.0]

    def test_folded_into_the_batches(self):
        adapter = ArrayDataAdapter(
            np.zeros(4), np.array([0, 1, 1, 0]), class_weight={1: 3.0}, batch_size=2
        )
        assert [w.tolist() for _, _, w in adapter.batches()] == [[1.0, 3.0], [3.0, 1.0]]

    def test_no_classes(self):
        assert class_weight_to_sample_weights([3, 4], {}).tolist() == [1.0, 1.0]

    def test_runs_on_the_device_of_the_targets(self):
        weights = class_weight_to_sample_weights(torch.zeros(3, 2, device="meta"), {1: 2.0})
        assert weights.device.type == "meta" and weights.shape == (3,)

    @pytest.mark.parametrize(
        "y, class_weight, error, words",
        [
            (np.zeros(2), {"cat": 1.0}, ValueError, "'cat'"),
            (np.zeros(2), {0.5: 1.0}, ValueError, "0.5"),
            (np.zeros(2), [1.0, 2.0], ValueError, "must be a dict"),
            (np.eye(2), {2: 1.0}, ValueError, r"\[2\]"),
            (np.zeros((2, 3, 4)), {0: 1.0}, TypeError, "one class per sample"),
            (None, {0: 1.0}, ValueError, "needs targets"),
            ([np.zeros(2), np.zeros(2)], {0: 1.0}, ValueError, "single output"),
        ],
    )
    def test_bad_input(self, y, class_weight, error, words):
        with pytest.raises(error, match=words):
            ArrayDataAdapter(np.zeros(2), y, class_weight=class_weight)

    def test_not_beside_sample_weight(self):
        with pytest.raises(ValueError, match="at the same time"):
            ArrayDataAdapter(np.zeros(2), np.zeros(2), np.ones(2), class_weight={0: 1.0})


class TestSampleWeight:
    def test_one_array_for_all_outputs(self):
        y = {"a": np.zeros(2), "b": np.zeros(2)}
        ((_, _, weights),) = rows(ArrayDataAdapter(np.zeros(2), y, np.array([1.0, 2.0])))
        assert {k: w.tolist() for k, w in weights.items()} == {"a": [1.0, 2.0], "b": [1.0, 2.0]}

    def test_must_be_per_sample_for_all_outputs(self):
        with pytest.raises(ValueError, match=r"\(2, 3\)"):
            ArrayDataAdapter(np.zeros(2), [np.zeros(2)] * 2, np.ones((2, 3)))

    def test_must_be_nested_like_the_targets(self):
        with pytest.raises(ValueError, match="array per output"):
            ArrayDataAdapter(np.zeros(2), [np.zeros(2)] * 2, [np.ones(2)])

    def test_length(self):
        with pytest.raises(ValueError, match="'sample_weight' sizes: 3"):
            ArrayDataAdapter(np.zeros(2), np.zeros(2), np.ones(3))

    def test_without_targets(self):
        with pytest.warns(UserWarning, match="no effect"):
            ArrayDataAdapter(np.zeros(2), sample_weight=np.ones(2))


@pytest.mark.parametrize(
    "kwargs, words",
    [
        (dict(x=np.zeros(3), y=np.zeros(4)), "'x' sizes: 3(.|\n)*'y' sizes: 4"),
        (dict(x=[np.zeros(3), np.zeros(2)]), "'x' sizes: 3, 2"),
        (dict(x=np.zeros((0, 3))), "0 samples"),
        (dict(x=None), "no array"),
        (dict(x={}), "no array"),
        (dict(x=np.zeros(2), y=np.array(["a", "b"])), "Invalid dtype: `y`(.|\n)*encode text"),
        (dict(x=np.array(["a", None], dtype=object)), "encode text"),
        (dict(x=np.zeros(1), y=np.array([[1, 2], [3]], dtype=object)), "`y` holds"),
        (dict(x=np.zeros(1, "uint64")), "uint64"),
        (dict(x=np.zeros(1, "datetime64[s]")), "datetime64"),
        (dict(x=pd.DataFrame({"a": [1], "b": ["z"]})), "'b'"),
        (dict(x=pd.Series(["z", None])), "Invalid dtype"),
        (dict(x=[1, 2, 3]), r"a list of int values(.|\n)*np.array\(x\)"),
        (dict(x=np.zeros(3), y=[1, 2, 3]), r"`y` is a list of int"),
        (dict(x=np.zeros(3), y=np.zeros(3), sample_weight=[1.0] * 3), "`sample_weight` is a list"),
        (dict(x="data.csv"), "data.csv"),
        (dict(x=object()), "Unrecognized data type"),
        (dict(x=range(3)), "Unrecognized data type"),
        (dict(x=np.float32(1)), "a single number"),
        (dict(x=np.zeros(3), batch_size=-2), "batch_size=-2"),
        (dict(x=np.zeros(3), batch_size=2.5), "batch_size=2.5"),
        (dict(x=np.zeros(3), shuffle="all"), "'all'"),
    ],
)
def test_bad_arrays(kwargs, words):
    with pytest.raises(ValueError, match=words):
        get_data_adapter(**kwargs)


STRINGS = np.array(["a", "bc", "d"])


@pytest.mark.parametrize("shuffle", [False, True, "batch"])
@pytest.mark.parametrize("x", [STRINGS, STRINGS.astype(object), STRINGS.astype("S")], ids=repr)
def test_strings_as_inputs_stay_numpy_arrays(x, shuffle):
    batches = list(get_data_adapter(x, np.arange(3), batch_size=2, shuffle=shuffle).batches())
    assert [type(part) for part, _ in batches] == [np.ndarray] * 2
    for part, labels in batches:
        assert part.tolist() == x[labels.numpy()].tolist()


def test_strings_beside_numbers():
    adapter = get_data_adapter({"a": STRINGS[:, None], "b": np.zeros(3)}, batch_size=2)
    ((first, *_),) = [list(adapter.batches())]
    assert first["a"].tolist() == [["a"], ["bc"]] and first["b"].tolist() == [0.0, 0.0]


def test_splitting_strings():
    (x, _), (val_x, _) = train_validation_split((STRINGS, np.arange(3)), 0.4)
    assert [batch.tolist() for batch in get_data_adapter(x).batches()] == [["a"]]
    assert [batch.tolist() for batch in get_data_adapter(val_x).batches()] == [["bc", "d"]]


def test_a_column_of_strings_from_pandas():
    assert get_data_adapter(pd.Series(["y", "z"])).peek().tolist() == [["y"], ["z"]]


class TestValidationSplit:
    @given(total=st.integers(2, 60), fraction=st.floats(0.05, 0.95))
    def test_first_rows_train_and_last_rows_validate(self, total, fraction):
        at = int(np.floor(total * (1.0 - fraction)))
        x = np.arange(total)
        if at in (0, total):
            with pytest.raises(ValueError, match="leaves no samples"):
                train_validation_split((x, None), fraction)
            return
        (train, none), (val, _) = train_validation_split((x, None), fraction)
        assert none is None
        assert train.tolist() == list(range(at)) and val.tolist() == list(range(at, total))

    def test_nested(self):
        data = ({"a": np.zeros((4, 1)), "b": torch.zeros(4)}, pd.Series([1, 2, 3, 4]))
        (x, y), (val_x, val_y) = train_validation_split(data, 0.25)
        assert x["a"].shape == (3, 1) and val_x["b"].shape == (1,)
        assert y.shape == (3, 1) and val_y.tolist() == [[4]]

    def test_mismatch_is_still_seen(self):
        (x, y), _ = train_validation_split((np.zeros(4), np.zeros(4)), 0.5)
        ArrayDataAdapter(x, y)
        _, (x, y) = train_validation_split((np.zeros(4), np.zeros(5)), 0.5)
        with pytest.raises(ValueError, match="cardinality"):
            ArrayDataAdapter(x, y)

    @pytest.mark.parametrize("fraction", [0.0, 0.9, 1.0, 1.5, -0.5])
    def test_bad_fraction(self, fraction):
        with pytest.raises(ValueError, match="leaves no samples"):
            train_validation_split((np.zeros(4),), fraction)

    def test_only_arrays(self):
        with pytest.raises(ValueError, match="generator"):
            train_validation_split(((i for i in range(3)), None), 0.5)

    def test_nothing_to_split(self):
        assert train_validation_split((None, None), 0.5) == ((None, None), (None, None))
