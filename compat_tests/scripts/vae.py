"""A variational autoencoder: sampling layer, add_loss in a layer, trackers in a train_step."""

import keras
import numpy as np
from keras import layers, ops
from sklearn.datasets import load_digits

keras.utils.set_random_seed(2024)
digits = load_digits()
x_all = (digits.data / 16).astype("float32")
x_train, x_test = x_all[:1024], x_all[1024:1280]


class Sampling(layers.Layer):
    """Draws z from the normal distribution of (z_mean, z_log_var)."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(1337)

    def call(self, inputs):
        z_mean, z_log_var = inputs
        epsilon = keras.random.normal(ops.shape(z_mean), seed=self.seed_generator)
        return z_mean + ops.exp(0.5 * z_log_var) * epsilon


class KLDivergence(layers.Layer):
    """Adds the divergence from the unit normal to the model's losses; passes its inputs on."""

    def __init__(self, weight=1.0, **kwargs):
        super().__init__(**kwargs)
        self.weight = weight

    def call(self, inputs):
        z_mean, z_log_var = inputs
        kl = -0.5 * (1 + z_log_var - ops.square(z_mean) - ops.exp(z_log_var))
        self.add_loss(self.weight * ops.mean(ops.sum(kl, axis=1)))
        return z_mean, z_log_var


latent_dim = 2
encoder_inputs = keras.Input(shape=(64,))
x = layers.Dense(32, activation="relu")(encoder_inputs)
z_mean = layers.Dense(latent_dim, name="z_mean")(x)
z_log_var = layers.Dense(latent_dim, name="z_log_var")(x)
z_mean, z_log_var = KLDivergence(weight=0.05, name="kl")([z_mean, z_log_var])
z = Sampling(name="z")([z_mean, z_log_var])
encoder = keras.Model(encoder_inputs, [z_mean, z_log_var, z], name="encoder")
encoder.summary()

latent_inputs = keras.Input(shape=(latent_dim,))
x = layers.Dense(32, activation="relu")(latent_inputs)
decoder_outputs = layers.Dense(64, activation="sigmoid")(x)
decoder = keras.Model(latent_inputs, decoder_outputs, name="decoder")


class VAE(keras.Model):
    """Reconstruction by the compiled loss; the divergence joins it through `self.losses`."""

    def __init__(self, encoder, decoder, **kwargs):
        super().__init__(**kwargs)
        self.encoder = encoder
        self.decoder = decoder
        self.kl_tracker = keras.metrics.Mean(name="kl_loss")
        self.spread_tracker = keras.metrics.Mean(name="spread")

    def call(self, inputs):
        z_mean, _, z = self.encoder(inputs)
        self.spread_tracker.update_state(ops.std(z_mean, axis=0))
        return self.decoder(z)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        self.kl_tracker.update_state(sum(self.losses))
        return super().compute_loss(x, y, y_pred, sample_weight, training=training)


vae = VAE(encoder, decoder)
vae.compile(
    optimizer=keras.optimizers.Adam(2e-3),
    loss="binary_crossentropy",
    metrics=[keras.metrics.MeanSquaredError(name="mse")],
)
history = vae.fit(x_train, x_train, epochs=3, batch_size=64, verbose=2)
for name, values in history.history.items():
    print(f"{name}: " + " ".join(f"{value:.6f}" for value in values))
for name, value in vae.evaluate(x_test, x_test, verbose=0, return_dict=True).items():
    print(f"test {name}: {value:.6f}")
means, _, _ = encoder.predict(x_test, verbose=0)
print(f"latent mean: {np.abs(means).mean():.6f}")
print(f"decoded: {decoder.predict(np.zeros((1, 2)), verbose=0).sum():.6f}")
vae.summary()
