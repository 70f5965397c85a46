"""A GAN on a ring of points: two networks, two optimizers, a `train_step` on PyTorch."""

import os

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import torch
from keras import layers

keras.utils.set_random_seed(77)
latent_dim = 8

discriminator = keras.Sequential(
    [
        keras.Input(shape=(2,)),
        layers.Dense(32),
        layers.LeakyReLU(negative_slope=0.2),
        layers.Dense(32),
        layers.LeakyReLU(negative_slope=0.2),
        layers.Dense(1),
    ],
    name="discriminator",
)
generator = keras.Sequential(
    [
        keras.Input(shape=(latent_dim,)),
        layers.Dense(32, activation="relu"),
        layers.Dense(32, activation="relu"),
        layers.Dense(2, name="point"),
    ],
    name="generator",
)


class GAN(keras.Model):
    def __init__(self, discriminator, generator, latent_dim):
        super().__init__()
        self.discriminator = discriminator
        self.generator = generator
        self.latent_dim = latent_dim
        self.d_loss_tracker = keras.metrics.Mean(name="d_loss")
        self.g_loss_tracker = keras.metrics.Mean(name="g_loss")
        self.seed_generator = keras.random.SeedGenerator(1337)
        self.built = True

    def compile(self, d_optimizer, g_optimizer, loss_fn):
        super().compile()
        self.d_optimizer = d_optimizer
        self.g_optimizer = g_optimizer
        self.loss_fn = loss_fn

    @property
    def metrics(self):
        return [self.d_loss_tracker, self.g_loss_tracker]

    def noise(self, batch_size):
        return keras.random.normal((batch_size, self.latent_dim), seed=self.seed_generator)

    def update(self, network, optimizer, loss):
        network.zero_grad()
        loss.backward()
        grads = [v.value.grad for v in network.trainable_weights]
        with torch.no_grad():
            optimizer.apply(grads, network.trainable_weights)

    def train_step(self, real):
        if isinstance(real, tuple):
            real = real[0]
        batch_size = real.shape[0]

        fake = self.generator(self.noise(batch_size)).detach()
        combined = torch.cat([fake, real], dim=0)
        labels = torch.cat([torch.ones((batch_size, 1)), torch.zeros((batch_size, 1))], dim=0)
        labels = labels.to(combined.device)
        d_loss = self.loss_fn(labels, self.discriminator(combined))
        self.update(self.discriminator, self.d_optimizer, d_loss)

        misleading = torch.zeros((batch_size, 1), device=combined.device)
        g_loss = self.loss_fn(
            misleading, self.discriminator(self.generator(self.noise(batch_size)))
        )
        self.update(self.generator, self.g_optimizer, g_loss)

        self.d_loss_tracker.update_state(d_loss)
        self.g_loss_tracker.update_state(g_loss)
        return {m.name: m.result() for m in self.metrics}


angle = np.random.default_rng(0).uniform(0, 2 * np.pi, 512)
ring = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype("float32")

gan = GAN(discriminator=discriminator, generator=generator, latent_dim=latent_dim)
gan.compile(
    d_optimizer=keras.optimizers.Adam(learning_rate=3e-3, beta_1=0.5),
    g_optimizer=keras.optimizers.Adam(learning_rate=1e-3, beta_1=0.5),
    loss_fn=keras.losses.BinaryCrossentropy(from_logits=True),
)
history = gan.fit(ring, batch_size=64, epochs=4, verbose=2)
for name, values in history.history.items():
    print(f"{name}: " + " ".join(f"{value:.6f}" for value in values))
points = keras.ops.convert_to_numpy(generator(keras.random.normal((200, latent_dim), seed=5)))
print(f"mean radius: {np.linalg.norm(points, axis=1).mean():.6f}")
print(f"iterations: {int(gan.d_optimizer.iterations)} {int(gan.g_optimizer.iterations)}")
print(f"weights of the whole: {len(gan.trainable_weights)}")
