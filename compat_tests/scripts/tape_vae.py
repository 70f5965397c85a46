"""A variational autoencoder whose `train_step` records with a tape; noise comes with the data."""

import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits
from tensorflow import keras
from tensorflow.keras import layers

images = (load_digits().images[:256] / 16.0).astype("float32")[..., np.newaxis]
epsilon = np.random.default_rng(0).normal(size=(256, 2)).astype("float32")


class Sampling(layers.Layer):
    def call(self, inputs):
        mean, log_var, eps = inputs
        return mean + tf.exp(0.5 * log_var) * eps


class VAE(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.encoder = keras.Sequential(
            [layers.Conv2D(4, 3, strides=2, padding="same", activation="relu"), layers.Flatten()]
        )
        self.mean, self.log_var = layers.Dense(2), layers.Dense(2)
        self.sampling = Sampling()
        self.decoder = keras.Sequential(
            [
                layers.Dense(64, activation="relu"),
                layers.Reshape((4, 4, 4)),
                layers.Conv2DTranspose(1, 3, strides=2, padding="same"),
            ]
        )
        self.total_tracker = keras.metrics.Mean(name="total_loss")
        self.kl_tracker = keras.metrics.Mean(name="kl_loss")

    @property
    def metrics(self):
        return [self.total_tracker, self.kl_tracker]

    def call(self, inputs):
        x, eps = inputs
        h = self.encoder(x)
        mean, log_var = self.mean(h), self.log_var(h)
        return self.decoder(self.sampling([mean, log_var, eps])), mean, log_var

    def train_step(self, data):
        x, eps = data
        with tf.GradientTape() as tape:
            logits, mean, log_var = self((x, eps), training=True)
            errors = tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=logits)
            reconstruction = tf.reduce_mean(tf.reduce_sum(errors, axis=(1, 2, 3)))
            kl = -0.5 * (1 + log_var - tf.square(mean) - tf.exp(log_var))
            kl = tf.reduce_mean(tf.reduce_sum(kl, axis=1))
            total = reconstruction + kl
        grads = tape.gradient(total, self.trainable_weights)
        self.optimizer.apply_gradients(zip(grads, self.trainable_weights, strict=True))
        self.total_tracker.update_state(total)
        self.kl_tracker.update_state(kl)
        return {m.name: m.result() for m in self.metrics}


vae = VAE()
vae((images[:1], epsilon[:1]))
draw = np.random.default_rng(5)
vae.set_weights([draw.normal(0, 0.1, w.shape) for w in vae.get_weights()])
vae.compile(optimizer=keras.optimizers.Adam(5e-3))
dataset = tf.data.Dataset.from_tensor_slices((images, epsilon)).batch(64)
history = vae.fit(dataset, epochs=4, verbose=0)
for name in ("total_loss", "kl_loss"):
    print(f"{name}:", [round(float(v), 3) for v in history.history[name]])

logits, mean, log_var = vae((images[:8], epsilon[:8]))
print("codes:", np.round(mean.numpy()[:2], 3).tolist())
pixels = tf.sigmoid(logits)
print(f"mean pixel: {tf.reduce_mean(pixels).numpy():.4f}")
print(f"largest: {tf.reduce_max(pixels).numpy():.4f}")
print("weights:", len(vae.trainable_weights))
