"""Wrong arguments of layers are refused by name, and odd ones that Keras takes are taken."""

import numpy as np
import pytest
import torch

from torchkeras import Sequential, layers

X = torch.ones(2, 4)


@pytest.mark.parametrize(
    ("make", "kind", "said"),
    [
        (lambda: layers.Softmax(axis=()), ValueError, "`axis`"),
        (lambda: layers.UnitNormalization(axis=[]), ValueError, "`axis`"),
        (lambda: layers.PReLU(shared_axes="1"), TypeError, "`shared_axes`"),
        (lambda: layers.Lambda(abs, arguments=["a"]), TypeError, "`arguments`"),
        (lambda: layers.EinsumDense("ab,bc->ac", 0), ValueError, "`output_shape`"),
        (lambda: layers.Masking("a"), TypeError, "`mask_value`"),
        (lambda: layers.Rescaling(1.0, offset="a"), TypeError, "`offset`"),
        (lambda: layers.Reshape(["a"]), TypeError, "`target_shape`"),
        (lambda: layers.Discretization(["a"]), ValueError, "`bin_boundaries`"),
        (lambda: layers.AdaptiveMaxPooling2D(0), ValueError, "`output_size`"),
        (lambda: layers.RNN([]), ValueError, "`cell`"),
        (lambda: layers.Hashing(2.5), ValueError, "`num_bins`"),
        (lambda: layers.HashedCrossing(0), ValueError, "`num_bins`"),
        (lambda: layers.GroupedQueryAttention(2, 0, 1), ValueError, "`num_query_heads`"),
        (lambda: layers.Dot(axes=3)([X, X]), ValueError, "`axes` must be"),
        (lambda: layers.RNN(layers.GRUCell(2))(X), ValueError, "no time steps"),
        (lambda: layers.Conv1DTranspose(2, 2)(layers.Input((4, 4, 3))), ValueError, "rank 3"),
    ],
)
def test_refused(make, kind, said):
    with pytest.raises(kind, match=said):
        make()


def test_softmax_over_everything():
    assert layers.Softmax(axis=None)(X).sum().item() == pytest.approx(1.0)


def test_prelu_of_numbers():
    y = layers.PReLU(alpha_initializer="ones")(torch.tensor([-2.0, 3.0]))
    assert y.tolist() == [-2.0, 3.0]


def test_a_mask_of_lambda_that_is_no_function():
    layer = layers.Lambda(lambda x: 2 * x, mask=[True])
    assert layer(X).sum().item() == 16.0
    assert list(layer.compute_mask(X)) == [True]


def test_bins_may_be_a_whole_float():
    assert layers.Hashing(1e3).num_bins == 1000


@pytest.mark.parametrize("cls", [layers.GroupNormalization, layers.RMSNormalization])
def test_axes_of_numpy(cls):
    options = {"groups": 2} if cls is layers.GroupNormalization else {}
    x = torch.rand(2, 3, 4)
    y = cls(axis=np.int64(2), **options)(x)
    torch.testing.assert_close(y, cls(axis=2, **options)(x))


@pytest.mark.parametrize(
    "layer",
    [
        layers.Dropout(0.5),
        layers.BatchNormalization(),
        layers.SpectralNormalization(layers.Dense(2)),
    ],
)
def test_training_may_be_none_by_position(layer):
    first, second = layer(X, None), layer(X, None)  # the full call, and the planned one
    torch.testing.assert_close(first, second)


@pytest.mark.parametrize(
    "model", [layers.Dropout(0.5), Sequential([layers.Input((4,)), layers.ReLU()])]
)
def test_a_tensor_is_no_training(model):
    for _ in "ab":  # before there is a plan for calls, and after
        with pytest.raises(TypeError, match="`training`"):
            model(X, X)
        model(X)


def test_adapters_are_in_a_config_only_where_they_are():
    assert "lora_alpha" not in layers.Dense(2, lora_alpha=2.0).get_config()
    assert layers.Dense(2, lora_rank=1, lora_alpha=2.0).get_config()["lora_alpha"] == 2.0
