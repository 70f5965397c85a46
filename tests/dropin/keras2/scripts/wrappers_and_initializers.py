"""Initializers, constraints and advanced activations by their names in Keras 2."""

import numpy as np
from tensorflow import keras
from tensorflow.keras import constraints, initializers, layers

model = keras.Sequential(
    [
        layers.Dense(
            8,
            kernel_initializer=initializers.RandomNormal(mean=0.0, stddev=0.05, seed=1),
            bias_initializer=initializers.constant(0.1),
            kernel_constraint=constraints.max_norm(2.0),
            input_shape=(4,),
        ),
        layers.PReLU(),
        layers.ThresholdedReLU(theta=0.1),
        layers.ELU(alpha=0.5),
        layers.GaussianNoise(0.1),
        layers.AlphaDropout(0.1),
        layers.Dense(6, kernel_initializer=initializers.glorot_uniform(), activation="selu"),
        layers.Reshape((3, 2)),
        layers.Permute((2, 1)),
        layers.TimeDistributed(layers.Dense(1, kernel_initializer="he_normal")),
        layers.Flatten(),
        layers.RepeatVector(2),
        layers.LocallyConnected1D(2, 1),
        layers.GlobalAveragePooling1D(),
    ]
)
model.compile("nadam", "logcosh" if False else "log_cosh", metrics=["mse"])
x = np.random.rand(8, 4)
model.fit(x, np.random.rand(8, 2), verbose=0)
np.testing.assert_allclose(model.layers[0].get_weights()[1], 0.1, atol=0.01)
assert model.layers[0].get_weights()[0].shape == (4, 8)
