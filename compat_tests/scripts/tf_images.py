"""Images from files: encoded, listed, decoded, augmented, batched, and classified by a net."""

import os

import numpy as np
import tensorflow as tf
from tensorflow.keras import layers

rng = np.random.default_rng(0)
for i in range(24):
    kind = ["dark", "light"][i % 2]
    os.makedirs(f"images/{kind}", exist_ok=True)
    pixels = rng.integers(0, 120, (12, 10, 3)) + (120 if i % 2 else 0)
    encoded = tf.io.encode_png(tf.cast(pixels, tf.uint8))
    tf.io.write_file(f"images/{kind}/{i:02d}.png", encoded)

class_names = sorted(os.listdir("images"))
files = tf.data.Dataset.list_files("images/*/*.png", shuffle=False)
print("files:", len(files), class_names, tf.io.gfile.exists("images/dark"))


def load(path):
    label = tf.strings.split(path, os.sep)[-2] == "light"
    image = tf.io.decode_png(tf.io.read_file(path), channels=3)
    image = tf.image.convert_image_dtype(image, tf.float32)
    image = tf.image.resize(image, [8, 8])
    image.set_shape([8, 8, 3])
    return image, tf.cast(label, tf.int32)


def augment(image, label):
    image = tf.image.adjust_brightness(image, 0.05)
    image = tf.image.adjust_contrast(image, 0.9)
    image = tf.image.flip_left_right(image)
    return tf.clip_by_value(image, 0.0, 1.0), label


dataset = files.map(load, num_parallel_calls=tf.data.AUTOTUNE)
image, label = next(iter(dataset))
print("image:", image.shape, f"mean: {tf.reduce_mean(image).numpy():.4f}", "label:", label.numpy())
print(f"standardized: {tf.math.reduce_std(tf.image.per_image_standardization(image)).numpy():.3f}")
print(f"gray: {tf.reduce_mean(tf.image.rgb_to_grayscale(image)).numpy():.4f}")
print(
    "crops:",
    tf.image.central_crop(image, 0.5).shape,
    tf.image.resize_with_crop_or_pad(image, 5, 12).shape,
)
flipped = tf.image.random_flip_left_right(image, seed=1)
print("flipped:", bool(tf.reduce_all(tf.equal(tf.sort(flipped, axis=1), tf.sort(image, axis=1)))))
cropped = tf.image.stateless_random_crop(image, [6, 6, 3], seed=(1, 2))
print("random:", cropped.shape, tf.random.stateless_uniform([2], seed=(3, 4)).shape)

train = dataset.map(augment).cache().batch(8).prefetch(tf.data.AUTOTUNE)
model = tf.keras.Sequential(
    [
        layers.Input((8, 8, 3)),
        layers.Conv2D(4, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(2),
    ]
)
model.set_weights([rng.normal(0, 0.3, w.shape) for w in model.get_weights()])
model.compile(
    optimizer=tf.keras.optimizers.Adam(0.01),
    loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
history = model.fit(train, validation_data=train.take(1), epochs=4, verbose=0)
print("loss:", [round(v, 4) for v in history.history["loss"]])
print("val_loss:", [round(v, 4) for v in history.history["val_loss"]])
gpus = tf.config.list_physical_devices("GPU")
for gpu in gpus:
    tf.config.experimental.set_memory_growth(gpu, True)
strategy = tf.distribute.get_strategy()
with strategy.scope():
    print("replicas:", strategy.num_replicas_in_sync)
