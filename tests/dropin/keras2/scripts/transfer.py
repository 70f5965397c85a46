"""Fine-tuning, with `layer.trainable`, `model.layers.pop` left out, and merged branches."""

import numpy as np
import tensorflow as tf
from tensorflow.keras.applications.mobilenet_v2 import MobileNetV2, preprocess_input

base = MobileNetV2(weights=None, include_top=False, input_shape=(32, 32, 3), alpha=0.35)
for layer in base.layers[:-5]:
    layer.trainable = False
x = base.output
x = tf.keras.layers.GlobalAveragePooling2D()(x)
x = tf.keras.layers.Dense(8, activation="relu")(x)
predictions = tf.keras.layers.Dense(3, activation="softmax")(x)
model = tf.keras.models.Model(inputs=base.input, outputs=predictions)
model.compile(
    optimizer=tf.keras.optimizers.SGD(lr=1e-4, momentum=0.9),
    loss="sparse_categorical_crossentropy",
    metrics=["sparse_categorical_accuracy"],
)
images = preprocess_input(np.random.rand(4, 32, 32, 3) * 255)
before = base.layers[1].get_weights()[0]
model.fit(images, np.array([0, 1, 2, 0]), verbose=0)
np.testing.assert_array_equal(base.layers[1].get_weights()[0], before)
assert base.output_shape == (None, 1, 1, 1280) and model.input_shape == (None, 32, 32, 3)
