"""A GAN on two-dimensional points: two tapes, two optimizers, a pipeline, and a checkpoint."""

import numpy as np
import tensorflow as tf
from tensorflow.keras import layers

rng = np.random.default_rng(1)
angles = rng.uniform(0, 2 * np.pi, 256)
real = np.stack([np.cos(angles), np.sin(angles)], 1).astype("float32")
noise = rng.normal(size=(256, 4)).astype("float32")


def settle(model, seed):
    draw = np.random.default_rng(seed)
    model.set_weights([draw.normal(0, 0.3, w.shape) for w in model.get_weights()])


generator = tf.keras.Sequential(
    [tf.keras.Input((4,)), layers.Dense(16), layers.LeakyReLU(), layers.Dense(2)], name="generator"
)
discriminator = tf.keras.Sequential(
    [tf.keras.Input((2,)), layers.Dense(16, activation="tanh"), layers.Dense(1)],
    name="discriminator",
)
settle(generator, 2)
settle(discriminator, 3)

cross_entropy = tf.keras.losses.BinaryCrossentropy(from_logits=True)
generator_optimizer = tf.keras.optimizers.Adam(1e-2)
discriminator_optimizer = tf.keras.optimizers.Adam(1e-2)
dataset = tf.data.Dataset.from_tensor_slices((real, noise)).batch(64).prefetch(tf.data.AUTOTUNE)


def discriminator_loss(real_output, fake_output):
    real_loss = cross_entropy(tf.ones_like(real_output), real_output)
    return real_loss + cross_entropy(tf.zeros_like(fake_output), fake_output)


@tf.function
def train_step(points, seeds):
    with tf.GradientTape() as gen_tape, tf.GradientTape() as disc_tape:
        generated = generator(seeds, training=True)
        real_output = discriminator(points, training=True)
        fake_output = discriminator(generated, training=True)
        gen_loss = cross_entropy(tf.ones_like(fake_output), fake_output)
        disc_loss = discriminator_loss(real_output, fake_output)
    gen_gradients = gen_tape.gradient(gen_loss, generator.trainable_variables)
    disc_gradients = disc_tape.gradient(disc_loss, discriminator.trainable_variables)
    generator_optimizer.apply_gradients(
        zip(gen_gradients, generator.trainable_variables, strict=True)
    )
    discriminator_optimizer.apply_gradients(
        zip(disc_gradients, discriminator.trainable_variables, strict=True)
    )
    return gen_loss, disc_loss


gen_mean, disc_mean = tf.keras.metrics.Mean(), tf.keras.metrics.Mean()
for epoch in range(4):
    for points, seeds in dataset:
        g, d = train_step(points, seeds)
        gen_mean.update_state(g)
        disc_mean(d)
    print(f"epoch {epoch}: gen: {gen_mean.result():.4f} disc: {disc_mean.result():.4f}")
    gen_mean.reset_state()
    disc_mean.reset_state()

made = generator(noise[:5], training=False)
print("made:", np.round(made.numpy(), 3).tolist())
print("shape:", made.shape.as_list(), made.dtype.name)

checkpoint = tf.train.Checkpoint(generator=generator)
manager = tf.train.CheckpointManager(checkpoint, "./ckpt", max_to_keep=1)
path = manager.save()
generator.set_weights([0 * w for w in generator.get_weights()])
print(f"zeroed: {tf.reduce_sum(tf.abs(generator(noise[:5]))).numpy():.4f}")
checkpoint.restore(manager.latest_checkpoint)
print("restored:", bool(np.allclose(generator(noise[:5]), made)), path.endswith("ckpt-1"))
