"""`CategoryEncoding` and `Discretization`: errors, devices and gradients of what is near them."""

import copy

import numpy as np
import pytest
import torch

import torchkeras as keras
from torchkeras.layers import CategoryEncoding, Discretization
from torchkeras.layers.encoding import encode, encoded_shape


@pytest.mark.parametrize("mode", ["int", "one_hot", "multi_hot", "count"])
@pytest.mark.parametrize("shape", [(1,), (4,), (3, 1), (3, 4), (2, 3, 4), (2, 3, 1)], ids=str)
def test_shapes(shape, mode):
    result = encode(torch.zeros(shape, dtype=torch.int64), mode, 5, torch.float32)
    assert tuple(result.shape) == encoded_shape(shape, mode, 5)


def test_counting_by_hand():
    indices = torch.tensor([[0, 2, 2, -1, 7], [1, 1, 1, 1, 0]])
    assert encode(indices, "count", 3, torch.float32).tolist() == [[1, 0, 2], [1, 4, 0]]
    assert encode(indices, "multi_hot", 3, torch.int32).tolist() == [[1, 0, 1], [1, 1, 0]]
    weights = torch.tensor([[0.5] * 5, [2.0] * 5])
    assert encode(indices, "count", 3, torch.float32, weights).tolist() == [
        [0.5, 0, 1.0],
        [2.0, 8.0, 0],
    ]


def test_weights_get_gradients():
    weights = torch.ones(1, 3, requires_grad=True)
    layer = CategoryEncoding(4, output_mode="count")
    layer(torch.tensor([[0, 1, 1]]), count_weights=weights)[0, 1].backward()
    assert weights.grad.tolist() == [[0, 1, 1]]


def test_indices_out_of_range():
    with pytest.raises(ValueError, match=r"(?s)largest_index: 4.*num_tokens: 4"):
        CategoryEncoding(4)([[0, 4]])
    meta = torch.zeros(2, 3, dtype=torch.int64, device="meta")
    assert CategoryEncoding(4)(meta).shape == (2, 4)


def test_boundaries_can_be_replaced_and_copied():
    layer = Discretization([0.0, 1.0])
    assert layer([0.5]).tolist() == [1]
    layer.bin_boundaries = [0.6, 1.0]
    assert layer([0.5]).tolist() == [0]
    assert copy.deepcopy(layer)([0.7]).tolist() == [1]
    assert Discretization(np.array([0.0, 1.0])).get_config()["bin_boundaries"] == [0.0, 1.0]


@pytest.mark.parametrize("suffix", [".keras", ".safetensors"])
def test_files_have_the_boundaries(tmp_path, suffix):
    layer = Discretization(num_bins=4)
    layer.adapt(np.arange(50.0))
    model = keras.Sequential([keras.Input((3,)), layer])
    model.save(tmp_path / f"model{suffix}")
    again = keras.saving.load_model(tmp_path / f"model{suffix}")
    assert again.layers[0].bin_boundaries == layer.bin_boundaries


def test_bins_hold_equally_many_values():
    x = np.random.default_rng(0).normal(size=10_000)
    layer = Discretization(num_bins=8)
    layer.adapt(x)
    counts = np.bincount(layer(x))
    assert np.abs(counts / 10_000 - 1 / 8).max() < layer.epsilon


def test_learning_goes_on_over_batches():
    layer = Discretization(num_bins=4)
    for part in np.split(np.arange(100.0), 4):
        layer.update_state(part)
    layer.finalize_state()
    np.testing.assert_allclose(layer.bin_boundaries, [24, 49, 74], atol=1.5)
    layer.reset_state()
    layer.update_state(np.zeros(10))
    layer.finalize_state()
    assert set(layer.bin_boundaries) == {0.0}
