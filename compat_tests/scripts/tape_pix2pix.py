"""Images from masks in the manner of pix2pix: U-Net generator, patch discriminator, L1 loss."""

import os

import numpy as np
import tensorflow as tf

SIZE, LAMBDA = 16, 100
rng = np.random.default_rng(0)
masks = np.zeros((12, SIZE, SIZE, 1), "float32")
for mask in masks:
    top, left = rng.integers(0, SIZE - 6, 2)
    mask[top : top + 6, left : left + 6] = 1.0
photos = masks * np.array([1.0, 0.2, -0.4], "float32") - 0.5


def normalize(mask, photo):
    return mask * 2 - 1, tf.cast(photo, tf.float32)


@tf.function()
def random_jitter(mask, photo):
    stacked = tf.concat([mask, photo], axis=-1)
    stacked = tf.image.resize(
        stacked, [SIZE + 4, SIZE + 4], method=tf.image.ResizeMethod.NEAREST_NEIGHBOR
    )
    cropped = tf.image.random_crop(stacked, size=[SIZE, SIZE, 4])
    if tf.random.uniform(()) > 0.5:
        cropped = tf.image.flip_left_right(cropped)
    return cropped[..., :1], cropped[..., 1:]


jittered = tf.data.Dataset.from_tensor_slices((masks, photos)).map(random_jitter)
for mask, photo in jittered.take(1):
    print("jittered:", mask.shape, photo.shape, sorted({float(v) for v in np.unique(mask)}))


def downsample(filters, size, apply_batchnorm=True):
    result = tf.keras.Sequential()
    result.add(tf.keras.layers.Conv2D(filters, size, strides=2, padding="same", use_bias=False))
    if apply_batchnorm:
        result.add(tf.keras.layers.BatchNormalization())
    result.add(tf.keras.layers.LeakyReLU())
    return result


def upsample(filters, size):
    result = tf.keras.Sequential()
    result.add(
        tf.keras.layers.Conv2DTranspose(filters, size, strides=2, padding="same", use_bias=False)
    )
    result.add(tf.keras.layers.BatchNormalization())
    result.add(tf.keras.layers.ReLU())
    return result


def Generator():
    inputs = tf.keras.layers.Input(shape=[SIZE, SIZE, 1])
    down_stack = [downsample(4, 4, apply_batchnorm=False), downsample(8, 4), downsample(8, 4)]
    up_stack = [upsample(8, 4), upsample(4, 4)]
    last = tf.keras.layers.Conv2DTranspose(3, 4, strides=2, padding="same", activation="tanh")
    x, skips = inputs, []
    for down in down_stack:
        x = down(x)
        skips.append(x)
    for up, skip in zip(up_stack, reversed(skips[:-1]), strict=True):
        x = tf.keras.layers.Concatenate()([up(x), skip])
    return tf.keras.Model(inputs=inputs, outputs=last(x))


def Discriminator():
    inp = tf.keras.layers.Input(shape=[SIZE, SIZE, 1], name="input_image")
    tar = tf.keras.layers.Input(shape=[SIZE, SIZE, 3], name="target_image")
    x = tf.keras.layers.concatenate([inp, tar])
    x = downsample(6, 4, False)(x)
    x = tf.keras.layers.ZeroPadding2D()(x)
    return tf.keras.Model(inputs=[inp, tar], outputs=tf.keras.layers.Conv2D(1, 4, strides=1)(x))


generator, discriminator = Generator(), Discriminator()
draw = np.random.default_rng(1)
for model in (generator, discriminator):
    model.set_weights(
        [draw.normal(0, 0.1, w.shape) if w.ndim > 1 else w for w in model.get_weights()]
    )
print("patches:", discriminator([masks[:1], photos[:1]]).shape, len(generator.weights))
loss_object = tf.keras.losses.BinaryCrossentropy(from_logits=True)
generator_optimizer = tf.keras.optimizers.Adam(2e-3, beta_1=0.5)
discriminator_optimizer = tf.keras.optimizers.Adam(2e-3, beta_1=0.5)


def generator_loss(disc_generated_output, gen_output, target):
    gan_loss = loss_object(tf.ones_like(disc_generated_output), disc_generated_output)
    l1_loss = tf.reduce_mean(tf.abs(target - gen_output))
    return gan_loss + LAMBDA * l1_loss, gan_loss, l1_loss


def discriminator_loss(disc_real_output, disc_generated_output):
    real_loss = loss_object(tf.ones_like(disc_real_output), disc_real_output)
    return real_loss + loss_object(tf.zeros_like(disc_generated_output), disc_generated_output)


@tf.function
def train_step(input_image, target):
    with tf.GradientTape() as gen_tape, tf.GradientTape() as disc_tape:
        gen_output = generator(input_image, training=True)
        disc_real_output = discriminator([input_image, target], training=True)
        disc_generated_output = discriminator([input_image, gen_output], training=True)
        total, gan, l1 = generator_loss(disc_generated_output, gen_output, target)
        disc_loss = discriminator_loss(disc_real_output, disc_generated_output)
    for optimizer, tape, loss, model in (
        (generator_optimizer, gen_tape, total, generator),
        (discriminator_optimizer, disc_tape, disc_loss, discriminator),
    ):
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    return total, gan, l1, disc_loss


train = tf.data.Dataset.from_tensor_slices((masks, photos)).map(normalize).batch(4)
checkpoint_prefix = os.path.join("./training_checkpoints", "ckpt")
checkpoint = tf.train.Checkpoint(generator=generator, discriminator=discriminator)
for step, (input_image, target) in train.repeat().take(6).enumerate():
    total, gan, l1, disc = train_step(input_image, target)
    if (step + 1) % 3 == 0:
        print(f"step {int(step)}: total: {total:.3f} gan: {gan:.3f} l1: {l1:.4f} disc: {disc:.3f}")
        checkpoint.save(file_prefix=checkpoint_prefix)
restored = checkpoint.restore(tf.train.latest_checkpoint("./training_checkpoints"))
print("checkpoint:", int(checkpoint.save_counter), restored is not None)
made = generator(masks[:2] * 2 - 1, training=False)
print("made:", made.shape, f"mean: {tf.reduce_mean(made).numpy():.3f}")
moving = [w for w in generator.non_trainable_variables if "mean" in w.name]
print("statistics:", len(moving), f"{tf.reduce_sum(tf.abs(moving[0])).numpy():.4f}")
