# ruff: noqa: B007, B905, E721
"""A GAN of 2018: two compiled models that share one, `train_on_batch`, LeakyReLU(alpha)."""

import numpy as np
from tensorflow.keras.layers import BatchNormalization, Dense, Input, LeakyReLU
from tensorflow.keras.models import Model, Sequential
from tensorflow.keras.optimizers import Adam

optimizer = Adam(0.0002, 0.5)
discriminator = Sequential([Dense(8, input_dim=4), LeakyReLU(alpha=0.2), Dense(1, "sigmoid")])
discriminator.compile(loss="binary_crossentropy", optimizer=optimizer, metrics=["accuracy"])
generator = Sequential()
generator.add(Dense(8, input_dim=3))
generator.add(LeakyReLU(alpha=0.2))
generator.add(BatchNormalization(momentum=0.8))
generator.add(Dense(4, activation="tanh"))
noise = Input(shape=(3,))
discriminator.trainable = False
combined = Model(noise, discriminator(generator(noise)))
combined.compile(loss="binary_crossentropy", optimizer=Adam(0.0002, 0.5))
real, z = np.random.rand(8, 4), np.random.normal(0, 1, (8, 3))
fake = generator.predict(z, verbose=0)
d_loss_real = discriminator.train_on_batch(real, np.ones((8, 1)))
d_loss_fake = discriminator.train_on_batch(fake, np.zeros((8, 1)))
d_loss = 0.5 * np.add(d_loss_real, d_loss_fake)
assert d_loss.shape == (2,)
assert discriminator.layers[1].get_config()["negative_slope"] == 0.2
before = discriminator.get_weights()
assert np.isscalar(combined.train_on_batch(z, np.ones((8, 1))))
for a, b in zip(before, discriminator.get_weights()):
    np.testing.assert_array_equal(a, b)
