"""`Hashing` and `HashedCrossing` against Keras, whose hashes are TensorFlow's."""

import keras
import numpy as np
import pandas as pd
import pytest
import torch
from oracle import assert_close, assert_same_config, assert_same_error, compare_layer, make_pair

import torchkeras
from torchkeras.layers._fingerprint import (
    buckets,
    fingerprints,
    fingerprints_of_integers,
    keyed_fingerprints,
    keyed_fingerprints_of_integers,
)

tf = pytest.importorskip("tensorflow")

COUNT = 2**61 - 1  # nearly all bits of a hash show
RNG = np.random.default_rng(0)
# All lengths at which FarmHash changes its ways, and one block of SipHash more or less.
LENGTHS = [*range(70), 95, 96, 97, 127, 128, 129, 191, 192, 193, 1000, 4096]
BYTES = [RNG.integers(0, 256, n, dtype=np.uint8).tobytes() for n in LENGTHS]
INTEGERS = np.concatenate(
    [
        RNG.integers(-(2**63), 2**63 - 1, 50),
        [0, -1, 9, -9, 10, -10, 2**63 - 1, -(2**63)],
        10 ** np.arange(19),
        1 - 10 ** np.arange(19),
    ]
)


def test_farm_hash():
    expected = tf.strings.to_hash_bucket_fast(BYTES, COUNT).numpy()
    np.testing.assert_array_equal(buckets(fingerprints(BYTES), COUNT).numpy(), expected)


@pytest.mark.parametrize("key", [[133, 137], [0, 0], [-1, 2**62]], ids=str)
def test_sip_hash(key):
    expected = tf.strings.to_hash_bucket_strong(BYTES, COUNT, key=key).numpy()
    np.testing.assert_array_equal(buckets(keyed_fingerprints(BYTES, key), COUNT).numpy(), expected)


@pytest.mark.parametrize("values", [INTEGERS, INTEGERS[:8] % 1000, [7], []], ids=len)
def test_integers_hash_as_their_digits(values):
    values = np.asarray(values, dtype="int64")
    text = tf.strings.as_string(values)
    x = torch.from_numpy(values)
    fast = buckets(fingerprints_of_integers(x), COUNT)
    np.testing.assert_array_equal(fast.numpy(), tf.strings.to_hash_bucket_fast(text, COUNT))
    strong = buckets(keyed_fingerprints_of_integers(x, [1, 2]), COUNT)
    expected = tf.strings.to_hash_bucket_strong(text, COUNT, key=[1, 2])
    np.testing.assert_array_equal(strong.numpy(), expected)


@pytest.mark.parametrize("count", [1, 2, 3, 1000, COUNT])
def test_buckets_are_unsigned_remainders(count):
    words = torch.from_numpy(INTEGERS)
    expected = [int(word) % 2**64 % count for word in INTEGERS]
    assert buckets(words, count).tolist() == expected


MODES = ["int", "one_hot", "multi_hot", "count"]
STRINGS = np.array([["a", "bb", ""], ["é", "bb", "a rather long value" * 5]])
NUMBERS = np.array([[0, -5, 12], [123456789012, 12, 7]])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "kwargs",
    [{}, {"salt": 133}, {"salt": (133, 137)}, {"mask_value": ""}, {"mask_value": "bb", "salt": 1}],
    ids=str,
)
@pytest.mark.parametrize("shape", [(2, 3), (6,), (6, 1), (1, 2, 3)], ids=str)
def test_strings(kwargs, mode, shape):
    ours, theirs = make_pair("Hashing", {"num_bins": 7, "output_mode": mode, **kwargs})
    assert_same_config(ours, theirs)
    x = STRINGS.reshape(shape)
    expected = theirs(x)
    for data in (x, x.tolist(), x.astype(object), np.char.encode(x, "utf-8")):
        assert_close(ours(data), expected)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kwargs", [{}, {"salt": 3}, {"mask_value": 12}], ids=str)
def test_integers(kwargs, mode):
    kwargs = {"num_bins": 7, "output_mode": mode, **kwargs}
    compare_layer("Hashing", kwargs, inputs=NUMBERS, symbolic=mode != "one_hot", config=False)


@pytest.mark.parametrize(
    "x",
    [
        np.array([1.9, -1.9, 3e9]),
        np.array([True, False]),
        np.array([1, 2], dtype="uint8"),
        pd.Series(["a", "b"]),
        [[["a"], ["b"]]],
        [1, 2],
        "a",
        7,
    ],
    ids=repr,
)
def test_other_data(x):
    ours, theirs = make_pair("Hashing", {"num_bins": 100})
    assert_close(ours(x), theirs(x))


def test_dtypes():
    for dtype in ("int32", "int64"):
        ours, theirs = make_pair("Hashing", {"num_bins": 9, "dtype": dtype})
        assert_close(ours(STRINGS), theirs(STRINGS))
    ours, theirs = make_pair("Hashing", {"num_bins": 9, "output_mode": "count", "dtype": "float64"})
    assert_close(ours(NUMBERS), theirs(NUMBERS))


def test_one_bin_has_no_room_for_a_mask():
    ours, theirs = make_pair("Hashing", {"num_bins": 1, "mask_value": "a"})
    assert_close(ours(["a", "b"]), theirs(["a", "b"]))


@pytest.mark.parametrize(
    "kwargs",
    [
        {"num_bins": None},
        {"num_bins": 0},
        {"num_bins": 2, "salt": "x"},
        {"num_bins": 2, "salt": [1, 2, 3]},
        {"num_bins": 2, "output_mode": "tf_idf"},
        {"num_bins": 2, "dtype": "float32"},
        {"num_bins": 2, "sparse": True},
    ],
    ids=str,
)
def test_hashing_errors(kwargs):
    assert_same_error(lambda k: k.layers.Hashing(**kwargs))


def test_in_tf_data():
    layer = torchkeras.layers.Hashing(num_bins=3, output_mode="one_hot")
    data = tf.data.Dataset.from_tensor_slices(STRINGS).batch(2).map(layer)
    assert data.element_spec.shape == (None, 3, 3)
    np.testing.assert_array_equal(next(iter(data)), layer(STRINGS))


# HashedCrossing ----------------------------------------------------------------------------------

FEATURES = [
    (STRINGS.ravel(), NUMBERS.ravel()),
    (NUMBERS.ravel(), -NUMBERS.ravel()),
    (STRINGS.ravel(), STRINGS.ravel(), NUMBERS.ravel()),
    (STRINGS.reshape(-1, 1), STRINGS.reshape(-1, 1)[::-1]),
    ("a", 5),
    (["a"], [5]),
]


@pytest.mark.parametrize("mode", ["int", "one_hot"])
@pytest.mark.parametrize("features", FEATURES, ids=range(len(FEATURES)))
def test_crosses(features, mode):
    ours, theirs = make_pair("HashedCrossing", {"num_bins": 1000, "output_mode": mode})
    assert_same_config(ours, theirs)
    assert_close(ours(features), theirs(features))


@pytest.mark.parametrize("mode", ["int", "one_hot"])
@pytest.mark.parametrize("shape", [(None, 1), (5, 1), (None,)], ids=str)
def test_symbolic_crosses(shape, mode):
    pair = make_pair("HashedCrossing", {"num_bins": 4, "output_mode": mode})
    found = []
    for layer, library in zip(pair, (torchkeras, keras), strict=True):
        x = [library.Input(batch_shape=shape, dtype=dtype) for dtype in ("int32", "int64")]
        found.append((layer(x).shape, layer(x).dtype))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "inputs",
    [
        np.array(1),
        [np.array(1)],
        (np.ones((1, 1, 1)), np.ones((1, 1, 1))),
        (np.ones((2, 2)), np.ones((2, 2))),
        (np.array([1, 2]), np.array([1])),
        (np.array([1.0]), np.array([1])),
    ],
    ids=repr,
)
def test_crossing_errors(inputs):
    assert_same_error(lambda k: k.layers.HashedCrossing(num_bins=10)(inputs))


def test_crosses_in_tf_data():
    layer = torchkeras.layers.HashedCrossing(num_bins=5)
    columns = (STRINGS.ravel(), NUMBERS.ravel())
    data = tf.data.Dataset.from_tensor_slices(columns).batch(4).map(lambda a, b: layer((a, b)))
    found = np.concatenate(list(data.as_numpy_iterator()))
    np.testing.assert_array_equal(found, layer(columns))
