"""Layers of Keras 1; what they compute is tested with its files (`tests/saving`)."""

import numpy as np
import pytest

import torchkeras as keras
from torchkeras.layers.keras1 import Highway, MaxoutDense


@pytest.mark.parametrize(
    ("make", "shape"), [(Highway, (None, 3)), (lambda **k: MaxoutDense(2, **k), (None, 2))]
)
@pytest.mark.parametrize("use_bias", [True, False])
def test_models_of_them_are_saved_and_trained(make, shape, use_bias, tmp_path):
    inputs = keras.Input((3,))
    layer = make(use_bias=use_bias, kernel_regularizer="l2", activity_regularizer="l2")
    model = keras.Model(inputs, layer(inputs))
    assert model.output_shape == shape
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    before = model.get_weights()
    model.train_on_batch(x, np.zeros((4, shape[1]), "float32"))
    assert not any(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    assert len(model.losses) == (3 if isinstance(layer, Highway) else 2)
