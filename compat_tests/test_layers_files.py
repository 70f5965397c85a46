"""Attention, normalization, embeddings through files, from Keras to torchkeras and back."""

import keras
import numpy as np
import pytest
import torch

import torchkeras

LIBRARIES = {"ours": torchkeras, "theirs": keras}
GROUPS = {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2}
# What stands between an input `(5, 6)` and the result.
LAYERS = {
    "attention": lambda k, x: k.layers.Attention(use_scale=True, score_mode="concat")([x, x]),
    "additive attention": lambda k, x: k.layers.AdditiveAttention()([x, x, x]),
    "multi-head attention": lambda k, x: k.layers.MultiHeadAttention(2, 3, use_gate=True)(x, x),
    "grouped attention": lambda k, x: k.layers.GroupQueryAttention(**GROUPS)(x, x),
    "group normalization": lambda k, x: k.layers.GroupNormalization(-1)(x),
    "rms normalization": lambda k, x: k.layers.RMSNormalization(epsilon=0.1)(x),
    "unit normalization": lambda k, x: k.layers.UnitNormalization()(x),
    "spectral normalization": lambda k, x: k.layers.SpectralNormalization(
        k.layers.Dense(3), power_iterations=2
    )(x),
    "batch renormalization": lambda k, x: k.layers.BatchNormalization(renorm=True)(x),
    "reversible embedding": lambda k, x: _there_and_back(k, x),
}


def _there_and_back(k, x):
    layer = k.layers.ReversibleEmbedding(9, 6, tie_weights=False, mask_zero=True)
    return layer(layer(k.layers.Flatten()(x)), reverse=True)


def build(library, name):
    library.utils.set_random_seed(0)
    x = library.Input((5, 6))
    model = library.Model(x, LAYERS[name](library, x))
    # Not the first values, so that a weight read in another place shows.
    rng = np.random.default_rng(1)
    for variable in model.weights:
        variable.assign(rng.uniform(0.5, 1.5, tuple(variable.shape)).astype("float32"))
    return model


@pytest.mark.parametrize("reader", LIBRARIES)
@pytest.mark.parametrize("writer", LIBRARIES)
@pytest.mark.parametrize("name", LAYERS)
def test_files(tmp_path, name, writer, reader):
    model = build(LIBRARIES[writer], name)
    x = torch.tensor(np.random.default_rng(2).uniform(0, 8, (2, 5, 6)).astype("float32"))
    expected = model(x).detach()
    for file in ("model.keras", "model.h5"):
        model.save(str(tmp_path / file))
        loaded = LIBRARIES[reader].saving.load_model(str(tmp_path / file))
        torch.testing.assert_close(loaded(x).detach(), expected)
    model.save_weights(str(tmp_path / "m.weights.h5"))
    other = build(LIBRARIES[reader], name)
    other.load_weights(str(tmp_path / "m.weights.h5"))
    torch.testing.assert_close(other(x).detach(), expected)


def test_safetensors(tmp_path):
    """The kernel that a `SpectralNormalization` shares with the layer inside is stored too."""
    model = build(torchkeras, "spectral normalization")
    x = torch.randn(2, 5, 6)
    model.save(str(tmp_path / "m.safetensors"))
    loaded = torchkeras.saving.load_model(str(tmp_path / "m.safetensors"))
    torch.testing.assert_close(loaded(x), model(x))
    assert loaded.layers[-1].kernel is loaded.layers[-1].layer.kernel
