# ruff: noqa: B007, B905, E721
"""A script for `tf_keras`: what Keras 3 changed means here what it meant."""

import numpy as np
import tf_keras as keras
from tf_keras import layers

assert keras.__version__.startswith("2.")
x = np.linspace(-4, 4, 9, dtype="float32")
np.testing.assert_allclose(
    keras.activations.hard_sigmoid(x), np.clip(0.2 * x + 0.5, 0, 1), rtol=1e-6
)
model = keras.Sequential(
    [
        layers.ConvLSTM2D(2, 3, input_shape=(2, 5, 5, 1)),
        layers.AveragePooling2D(),
        layers.Flatten(),
        layers.Dense(3, activation="hard_sigmoid"),
    ]
)
assert model.layers[0].recurrent_activation is keras.activations.get("hard_sigmoid")
assert model.layers[-1].activation is keras.activations.hard_sigmoid
assert type(model.layers[-1]) == layers.Dense and isinstance(model.layers[0], layers.ConvLSTM2D)
model.compile(keras.optimizers.legacy.RMSprop(lr=0.01, decay=0.01), "mse", ["mae"])
model.fit(np.zeros((4, 2, 5, 5, 1)), np.zeros((4, 3)), verbose=0)
assert model.metrics_names == ["loss", "mae"]
inputs = keras.Input((2,))
outputs = [layers.Dense(1, name="b")(inputs), layers.Dense(1, name="a")(inputs)]
two = keras.Model(inputs, outputs)
two.compile("sgd", "mse", metrics=["mae", "mse"])
values = two.evaluate(np.ones((4, 2)), [np.ones((4, 1))] * 2, verbose=0)
assert two.metrics_names == ["loss", "b_loss", "a_loss", "b_mae", "b_mse", "a_mae", "a_mse"]
assert abs(values[0] - values[1] - values[2]) < 1e-5 and abs(values[1] - values[4]) < 1e-5
