"""A Wasserstein GAN with gradient penalty as a `Model`: tapes in tapes within `train_step`."""

import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers

rng = np.random.default_rng(0)
real = np.stack([rng.normal(1.0, 0.2, 128), rng.normal(-1.0, 0.2, 128)], 1).astype("float32")
latent = rng.normal(size=(128, 3)).astype("float32")
alphas = rng.random((128, 1)).astype("float32")


class WGAN(keras.Model):
    def __init__(self, discriminator, generator, gp_weight=10.0):
        super().__init__()
        self.discriminator, self.generator, self.gp_weight = discriminator, generator, gp_weight

    def compile(self, d_optimizer, g_optimizer, d_loss_fn, g_loss_fn):
        super().compile()
        self.d_optimizer, self.g_optimizer = d_optimizer, g_optimizer
        self.d_loss_fn, self.g_loss_fn = d_loss_fn, g_loss_fn

    def gradient_penalty(self, real_points, fake_points, alpha):
        interpolated = real_points + alpha * (fake_points - real_points)
        with tf.GradientTape() as gp_tape:
            gp_tape.watch(interpolated)
            pred = self.discriminator(interpolated, training=True)
        grads = gp_tape.gradient(pred, [interpolated])[0]
        norm = tf.sqrt(tf.reduce_sum(tf.square(grads), axis=[1]) + 1e-12)
        return tf.reduce_mean((norm - 1.0) ** 2)

    def train_step(self, data):
        real_points, noise, alpha = data
        for _ in range(2):
            with tf.GradientTape() as tape:
                fake_points = self.generator(noise, training=True)
                fake_logits = self.discriminator(fake_points, training=True)
                real_logits = self.discriminator(real_points, training=True)
                d_cost = self.d_loss_fn(real_logits, fake_logits)
                gp = self.gradient_penalty(real_points, fake_points, alpha)
                d_loss = d_cost + gp * self.gp_weight
            d_gradient = tape.gradient(d_loss, self.discriminator.trainable_variables)
            self.d_optimizer.apply_gradients(
                zip(d_gradient, self.discriminator.trainable_variables, strict=True)
            )
        with tf.GradientTape() as tape:
            logits = self.discriminator(self.generator(noise, training=True), training=True)
            g_loss = self.g_loss_fn(logits)
        gen_gradient = tape.gradient(g_loss, self.generator.trainable_variables)
        self.g_optimizer.apply_gradients(
            zip(gen_gradient, self.generator.trainable_variables, strict=True)
        )
        return {"d_loss": d_loss, "g_loss": g_loss, "gp": gp}


class Monitor(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        center = tf.reduce_mean(self.model.generator(latent), axis=0)
        print(f"epoch {epoch}: center:", np.round(center.numpy(), 3).tolist())


discriminator = keras.Sequential([keras.Input((2,)), layers.Dense(16, "tanh"), layers.Dense(1)])
generator = keras.Sequential([keras.Input((3,)), layers.Dense(16, "tanh"), layers.Dense(2)])
for model in (discriminator, generator):
    model.set_weights([rng.normal(0, 0.3, w.shape) for w in model.get_weights()])
wgan = WGAN(discriminator, generator)
wgan.compile(
    keras.optimizers.Adam(1e-2, beta_1=0.5, beta_2=0.9),
    keras.optimizers.Adam(1e-2, beta_1=0.5, beta_2=0.9),
    lambda real, fake: tf.reduce_mean(fake) - tf.reduce_mean(real),
    lambda fake: -tf.reduce_mean(fake),
)
data = tf.data.Dataset.from_tensor_slices((real, latent, alphas)).batch(64)
history = wgan.fit(data, epochs=4, verbose=0, callbacks=[Monitor()])
for name in ("d_loss", "g_loss", "gp"):
    print(f"{name}:", [round(float(v), 3) for v in history.history[name]])
