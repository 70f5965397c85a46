"""In the style of the beginners' tutorial of TensorFlow 2.0."""

import numpy as np
import tensorflow as tf
from tensorflow import keras

images = np.random.default_rng(0).integers(0, 255, (64, 28, 28)).astype("uint8") / 2550.0
labels = np.arange(64) % 10
images[np.arange(64), 0, labels] = 1.0
tf.random.set_seed(0)
model = keras.Sequential(
    [
        keras.layers.Flatten(input_shape=(28, 28)),
        keras.layers.Dense(16, activation=tf.nn.relu),
        keras.layers.Dense(10),
    ]
)
model.compile(
    optimizer=tf.keras.optimizers.Adam(lr=0.01),
    loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
history = model.fit(images, labels, epochs=60, verbose=0)
assert history.history["accuracy"][-1] > 0.9
probability_model = keras.Sequential([model, tf.keras.layers.Softmax()])
predictions = probability_model.predict(images, verbose=0)
np.testing.assert_allclose(predictions.sum(1), 1, rtol=1e-5)
assert (model.predict_classes(images) == predictions.argmax(1)).all()
