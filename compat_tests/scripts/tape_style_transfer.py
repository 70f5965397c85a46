"""Neural style transfer and deep dream on a small fixed network: the image is what is trained."""

import numpy as np
import tensorflow as tf
from tensorflow.keras import layers

rng = np.random.default_rng(0)
content_image = tf.constant(rng.random((1, 24, 24, 3)), dtype=tf.float32)
stripes = np.tile((np.arange(24) // 4 % 2)[None, :, None, None], (1, 1, 24, 3))
style_image = tf.constant(stripes, dtype=tf.float32)

inputs = tf.keras.Input((None, None, 3))
x = layers.Conv2D(6, 3, padding="same", activation="relu", name="block1")(inputs)
x = layers.AveragePooling2D(2)(x)
outputs = layers.Conv2D(8, 3, padding="same", activation="tanh", name="block2")(x)
network = tf.keras.Model(inputs, outputs)
network.set_weights([rng.normal(0, 0.3, w.shape) for w in network.get_weights()])
network.trainable = False
extractor = tf.keras.Model(
    network.inputs, [network.get_layer(name).output for name in ("block1", "block2")]
)


def gram_matrix(features):
    result = tf.linalg.einsum("bijc,bijd->bcd", features, features)
    shape = tf.shape(features)
    return result / tf.cast(shape[1] * shape[2], tf.float32)


style_targets = [gram_matrix(f) for f in extractor(style_image)]
content_target = extractor(content_image)[1]
optimizer = tf.keras.optimizers.Adam(learning_rate=0.02, beta_1=0.99, epsilon=1e-1)
image = tf.Variable(content_image)


@tf.function()
def train_step(image):
    with tf.GradientTape() as tape:
        features = extractor(image)
        style_loss = tf.add_n(
            [
                tf.reduce_mean((gram_matrix(f) - s) ** 2)
                for f, s in zip(features, style_targets, strict=False)  # the last is of the content
            ]
        )
        content_loss = tf.reduce_mean((features[1] - content_target) ** 2)
        loss = (
            10.0 * style_loss + content_loss + 1e-4 * tf.reduce_sum(tf.image.total_variation(image))
        )
    grad = tape.gradient(loss, image)
    optimizer.apply_gradients([(grad, image)])
    image.assign(tf.clip_by_value(image, clip_value_min=0.0, clip_value_max=1.0))
    return loss


for step in range(12):
    loss = train_step(image)
    if step % 4 == 0:
        print(f"style {step}: loss: {loss.numpy():.5f}")
result = tf.cast(image * 255, tf.uint8)
print("result:", result.shape, result.dtype.name, f"mean: {tf.reduce_mean(image).numpy():.4f}")


# Deep dream: gradient ascent, in octaves.
class DeepDream(tf.Module):
    def __init__(self, model):
        self.model = model

    @tf.function(
        input_signature=(
            tf.TensorSpec(shape=[None, None, 3], dtype=tf.float32),
            tf.TensorSpec(shape=[], dtype=tf.int32),
            tf.TensorSpec(shape=[], dtype=tf.float32),
        )
    )
    def __call__(self, img, steps, step_size):
        loss = tf.constant(0.0)
        for _ in tf.range(steps):
            with tf.GradientTape() as tape:
                tape.watch(img)
                activations = self.model(tf.expand_dims(img, axis=0))
                loss = tf.add_n([tf.math.reduce_mean(act) for act in activations])
            gradients = tape.gradient(loss, img)
            gradients /= tf.math.reduce_std(gradients) + 1e-8
            img = tf.clip_by_value(img + gradients * step_size, -1, 1)
        return loss, img


dream = DeepDream(extractor)
img = content_image[0] * 2.0 - 1.0
for octave in range(-1, 2):
    size = tf.cast(tf.cast(tf.shape(img)[:-1], tf.float32) * 1.3**octave, tf.int32)
    img = tf.image.resize(img, size)
    loss, img = dream(img, tf.constant(3), tf.constant(0.05))
    print(f"octave {octave}: loss: {float(loss):.4f} shape: {img.shape.as_list()}")
rolled = tf.roll(img, shift=[2, 3], axis=[0, 1])
print(f"rolled: {tf.reduce_mean(tf.abs(rolled - img)).numpy():.4f}")
print(f"tv: {tf.image.total_variation(img).numpy():.2f}")
