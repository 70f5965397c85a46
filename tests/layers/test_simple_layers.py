"""Activation, dropout, reshaping, merging and preprocessing layers: closed forms, meta runs."""

import numpy as np
import pytest
import torch

from torchkeras import Input, layers
from torchkeras.random import set_seed


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("seed", [None, 3])
def test_dropout_keeps_the_mean(rate, seed):
    set_seed(0)
    y = layers.Dropout(rate, seed=seed)(torch.ones(100, 100), training=True)
    values = y.unique().tolist()
    assert values == pytest.approx([0.0, 1 / (1 - rate)])
    # Five standard deviations of the mean of 10000 elements.
    assert y.mean().item() == pytest.approx(1.0, abs=5 * (rate / (1 - rate)) ** 0.5 / 100)


def test_dropout_of_whole_series():
    y = layers.Dropout(0.5, noise_shape=(None, 1, None), seed=1)(torch.ones(5, 7, 3), training=True)
    assert (y == y[:, :1]).all() and 0 < (y == 0).float().mean() < 1


def test_dropout_without_seed_follows_torchs_generator():
    layer = layers.Dropout(0.5)
    torch.manual_seed(7)
    y = layer(torch.ones(50), training=True)
    torch.manual_seed(7)
    assert torch.equal(y, torch.nn.functional.dropout(torch.ones(50), 0.5))


def test_noise_has_the_given_deviation():
    y = layers.GaussianNoise(0.5, seed=1)(torch.zeros(10000), training=True)
    assert y.std().item() == pytest.approx(0.5, abs=0.02)
    y = layers.GaussianDropout(0.2, seed=1)(torch.ones(10000), training=True)
    assert y.std().item() == pytest.approx(0.5, abs=0.02)


def test_alpha_dropout_keeps_mean_and_variance():
    x = torch.randn(100, 100, generator=torch.Generator().manual_seed(0))
    y = layers.AlphaDropout(0.2, seed=1)(x, training=True)
    assert y.mean().item() == pytest.approx(0.0, abs=0.05)
    assert y.std().item() == pytest.approx(1.0, abs=0.05)


def test_softmax_of_masked_rows_is_zero():
    mask = torch.tensor([[True, True, False], [False, False, False]])
    y = layers.Softmax()(torch.zeros(2, 3), mask=mask)
    assert y.tolist() == [[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]


def test_an_activation_may_be_a_layer():
    bent = layers.Activation(layers.LeakyReLU(0.5))
    assert bent(torch.tensor([-2.0, 2.0])).tolist() == [-1.0, 2.0]
    again = layers.Activation.from_config(bent.get_config())
    assert again(torch.tensor([-2.0])).tolist() == [-1.0]
    sloped = layers.Activation(layers.PReLU(alpha_initializer="ones"))
    assert sloped(-torch.ones(1, 2)).tolist() == [[-1.0, -1.0]] and len(sloped.weights) == 1


def test_softmax_over_several_axes_sums_to_one():
    y = layers.Softmax(axis=(1, 2))(torch.randn(3, 4, 5))
    torch.testing.assert_close(y.sum((1, 2)), torch.ones(3))


@pytest.mark.parametrize("target", [(-1,), (4, 3), (2, -1, 2)])
def test_reshape_is_numpy(target):
    x = np.arange(24.0).reshape(2, 12)
    y = layers.Reshape(target)(torch.tensor(x))
    np.testing.assert_array_equal(y.numpy(), x.reshape(2, *target))


def test_reshape_tells_the_number_of_elements():
    with pytest.raises(ValueError, match="(?s)elements: 6.*target_shape"):
        layers.Reshape((5,))(torch.ones(2, 6))


def test_flatten_and_others_infer_symbolic_shapes():
    x = Input(shape=(3, None, 4))
    assert layers.Flatten()(x).shape == (None, None)
    assert layers.Permute((3, 1, 2))(x).shape == (None, 4, 3, None)
    assert layers.ZeroPadding2D(1)(x).shape == (None, 5, None, 4)
    assert layers.UpSampling2D(2)(x).shape == (None, 6, None, 4)
    assert layers.Reshape((-1, 2))(x).shape == (None, None, 2)


def test_merges_are_torch():
    a, b = torch.randn(2, 3), torch.randn(2, 3)
    assert torch.equal(layers.Add()([a, b]), a + b)
    assert torch.equal(layers.subtract([a, b]), a - b)
    assert torch.equal(layers.multiply([a, b]), a * b)
    assert torch.equal(layers.maximum([a, b]), torch.maximum(a, b))
    assert torch.equal(layers.concatenate([a, b], axis=1), torch.cat([a, b], 1))
    torch.testing.assert_close(
        layers.dot([a, b], axes=1, normalize=True)[:, 0], torch.cosine_similarity(a, b)
    )


def test_merge_tells_the_shapes():
    with pytest.raises(ValueError, match=r"(?s)my_add.*\(2, 3\).*\(2, 4\)"):
        layers.Add(name="my_add")([torch.ones(2, 3), torch.ones(2, 4)])


def test_rescaling_accepts_bytes():
    y = layers.Rescaling(1 / 255, offset=-0.5)(np.array([[0, 255]], "uint8"))
    torch.testing.assert_close(y, torch.tensor([[-0.5, 0.5]]))


def test_normalization_undoes_itself():
    data = np.random.default_rng(0).normal(3, 2, (50, 4)).astype("float32")
    forward, back = layers.Normalization(), layers.Normalization(invert=True)
    forward.adapt(data)
    back.adapt(data)
    y = forward(data)
    np.testing.assert_allclose(y.mean(0), np.zeros(4), atol=1e-5)
    np.testing.assert_allclose(y.std(0, correction=0), np.ones(4), atol=1e-5)
    np.testing.assert_allclose(back(y), data, rtol=1e-4, atol=1e-5)


def test_normalization_follows_the_inputs_device():
    layer = layers.Normalization(mean=1.0, variance=4.0)
    assert layer(torch.tensor([[3.0]])).item() == 1.0
    assert layer(torch.ones(1, 1, device="meta")).device.type == "meta"
    assert layer(torch.tensor([[3.0]])).item() == 1.0


def test_wrapped_module_follows_training():
    layer = layers.TorchModuleWrapper(torch.nn.Dropout(0.5))
    x = torch.ones(100)
    assert torch.equal(layer(x, training=False), x)
    assert (layer(x, training=True) == 0).any()
    layer.train()
    assert (layer(x) == 0).any()
    layer.eval()
    assert torch.equal(layer(x), x)


ON_META = [
    (layers.Activation, ("gelu",), (2, 3)),
    (layers.ReLU, (1.0,), (2, 3)),
    (layers.PReLU, (), (2, 3)),
    (layers.Softmax, ((1, 2),), (2, 3, 4)),
    (layers.Dropout, (0.5,), (2, 3)),
    (layers.Dropout, (0.5, None, 1), (2, 3)),
    (layers.SpatialDropout1D, (0.5,), (2, 3, 4)),
    (layers.GaussianNoise, (0.5,), (2, 3)),
    (layers.GaussianDropout, (0.5,), (2, 3)),
    (layers.AlphaDropout, (0.5,), (2, 3)),
    (layers.ActivityRegularization, (0.5,), (2, 3)),
    (layers.Flatten, (), (2, 3, 4)),
    (layers.UpSampling2D, ((2, 2), None, "bilinear"), (2, 3, 4, 1)),
    (layers.Rescaling, (0.5,), (2, 3)),
    (layers.Rescaling, ([0.5, 1.0, 2.0],), (2, 3)),
    (layers.Normalization, (), (2, 3)),
]


@pytest.mark.parametrize(("cls", "arguments", "shape"), ON_META)
def test_runs_on_meta_in_training_mode(cls, arguments, shape):
    with torch.device("meta"):
        layer = cls(*arguments).train()
        x = torch.ones(shape, requires_grad=True)
        for _ in range(2):  # the slow path, then the fast one
            y = layer(x)
            y.sum().backward()
            assert y.device.type == x.grad.device.type == "meta"


@pytest.mark.parametrize("name", ["Add", "Multiply", "Maximum", "Concatenate", "Average"])
def test_merges_on_meta(name):
    with torch.device("meta"):
        a, b = torch.ones(2, 3, 4, requires_grad=True), torch.ones(2, 3, 4)
        a._keras_mask = b._keras_mask = torch.ones(2, 3, dtype=torch.bool)
        y = getattr(layers, name)()([a, b])
        y.sum().backward()
        assert y._keras_mask.device.type == "meta"
