"""`CategoryEncoding` and `Discretization` against Keras."""

import numpy as np
import pytest
import torch
from oracle import (
    assert_close,
    assert_same_config,
    assert_same_error,
    compare_layer,
    make_pair,
    random_input,
)
from torch.utils.data import DataLoader, TensorDataset

import torchkeras
from torchkeras.registry import deserialize_keras_object, serialize_keras_object

MODES = ["one_hot", "multi_hot", "count"]
SHAPES = [(), (1,), (4,), (3, 1), (3, 4), (2, 3, 4)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_category_encoding(shape, mode):
    kwargs = {"num_tokens": 5, "output_mode": mode}
    data = random_input(shape, "int64", 0, 5)
    # Keras is wrong about the shapes of what it computes for three axes.
    compare_layer(
        "CategoryEncoding", kwargs, inputs=data, symbolic=0 < len(shape) < 3, output_shapes=[]
    )


@pytest.mark.parametrize("shape", [(4,), (3, 1), (3, 4), (2, 3, 4)], ids=str)
def test_weighted_counts(shape):
    ours, theirs = make_pair("CategoryEncoding", {"num_tokens": 5, "output_mode": "count"})
    data, weights = random_input(shape, "int64", 0, 5), random_input(shape)
    assert_close(
        ours(data, count_weights=weights), theirs(data, count_weights=weights), rtol=1e-6, atol=1e-6
    )


def test_negative_indices_encode_to_nothing():
    compare_layer("CategoryEncoding", {"num_tokens": 3}, inputs=np.array([[-1, 2], [0, -1]]))


@pytest.mark.parametrize("dtype", ["int32", "float16", "float64", "mixed_bfloat16"])
def test_dtypes(dtype):
    kwargs = {"num_tokens": 3, "output_mode": "one_hot", "dtype": dtype}
    ours, theirs = make_pair("CategoryEncoding", kwargs)
    assert_same_config(ours, theirs)
    data = np.array([[0, 2], [1, 1]])
    np.testing.assert_array_equal(ours(data).float(), theirs(data).float())


@pytest.mark.parametrize(
    "action",
    [
        lambda k: k.layers.CategoryEncoding(),
        lambda k: k.layers.CategoryEncoding(0),
        lambda k: k.layers.CategoryEncoding(3, output_mode="int"),
        lambda k: k.layers.CategoryEncoding(3)(np.array([1]), count_weights=np.array([1.0])),
    ],
)
def test_category_errors(action):
    assert_same_error(action)


# Discretization ----------------------------------------------------------------------------------

BOUNDARIES = [-1.0, 0.0, 0.5]
EDGES = np.array([[-np.inf, -1.0, -0.5, 0.0], [0.25, 0.5, 7.0, np.nan]], dtype="float32")


@pytest.mark.parametrize("mode", ["int", *MODES])
@pytest.mark.parametrize("data", [EDGES, EDGES[:, :1], EDGES[0], EDGES[None]], ids=np.shape)
def test_bins(data, mode):
    kwargs = {"bin_boundaries": BOUNDARIES, "output_mode": mode}
    shapes = [(None, *data.shape[1:]), (None, 3, 1), (None, 3, 4), (None,)]
    compare_layer("Discretization", kwargs, inputs=data, output_shapes=shapes, gradients=False)


@pytest.mark.parametrize("mode", ["int", "one_hot"])
@pytest.mark.parametrize("dtype", [None, "float16", "float64", "mixed_bfloat16"])
@pytest.mark.parametrize("input_dtype", ["float64", "float16"])
def test_discretization_dtypes(input_dtype, dtype, mode):
    kwargs = {"bin_boundaries": BOUNDARIES, "output_mode": mode, "dtype": dtype}
    ours, theirs = make_pair("Discretization", kwargs)
    data = random_input((3, 4), input_dtype)
    assert_close(ours(data), theirs(data))
    assert_same_config(ours, theirs)


@pytest.mark.parametrize("bins", [1, 2, 7, 101])
@pytest.mark.parametrize("epsilon", [0.01, 0.3, 0.003])
@pytest.mark.parametrize("sizes", [[3], [40], [1000], [1, 5, 2000, 40], [333] * 9], ids=str)
def test_learned_boundaries(sizes, epsilon, bins):
    data = [random_input((n,), "float64", seed=i) for i, n in enumerate(sizes)]
    ours, theirs = make_pair("Discretization", {"num_bins": bins, "epsilon": epsilon})
    for batches in (data, data[0], torch.tensor(data[0]), iter(data)):
        for layer in (ours, theirs):
            layer.adapt(batches if not hasattr(batches, "__next__") else iter(data))
        assert ours.bin_boundaries == theirs.bin_boundaries
    assert_same_config(ours, theirs)


def test_learning_from_other_data_sets():
    x = random_input((100, 2))
    loader = DataLoader(TensorDataset(torch.tensor(x), torch.zeros(100)), batch_size=10)
    ours, theirs = make_pair("Discretization", {"num_bins": 4})
    ours.adapt(loader)
    theirs.adapt([x[i : i + 10] for i in range(0, 100, 10)])
    assert ours.bin_boundaries == theirs.bin_boundaries
    for layer in (ours, theirs):
        layer.adapt((x for _ in iter(int, 1)), steps=3)
    assert ours.bin_boundaries == theirs.bin_boundaries


def test_an_adapted_layer_comes_back():
    layer = torchkeras.layers.Discretization(num_bins=4)
    layer.adapt(random_input((50,)))
    again = deserialize_keras_object(serialize_keras_object(layer))
    assert again.bin_boundaries == layer.bin_boundaries and again.num_bins == 4
    x = random_input((5, 3), seed=4)
    np.testing.assert_array_equal(again(x), layer(x))


@pytest.mark.parametrize(
    "action",
    [
        lambda k: k.layers.Discretization(),
        lambda k: k.layers.Discretization([0.0], num_bins=2),
        lambda k: k.layers.Discretization(num_bins=-1),
        lambda k: k.layers.Discretization([0.0], output_mode="tf_idf"),
        lambda k: k.layers.Discretization([0.0], sparse=True),
        lambda k: k.layers.Discretization([0.0]).adapt(np.ones(3)),
        lambda k: k.layers.Discretization(num_bins=2)(np.ones(3)),
    ],
)
def test_discretization_errors(action):
    assert_same_error(action)
