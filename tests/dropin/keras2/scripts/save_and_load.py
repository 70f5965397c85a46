"""In the style of the tutorial on saving of TensorFlow 2."""

import os
import tempfile

import numpy as np
import tensorflow as tf
from tensorflow import keras

folder = tempfile.mkdtemp()
x, y = np.random.rand(32, 8), np.arange(32) % 3


def create_model():
    model = tf.keras.models.Sequential(
        [
            keras.layers.Dense(16, activation="relu", input_shape=(8,)),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(3),
        ]
    )
    model.compile(
        optimizer="adam",
        loss=tf.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


model = create_model()
checkpoint_path = os.path.join(folder, "cp-{epoch:04d}.weights.h5")
callback = tf.keras.callbacks.ModelCheckpoint(
    filepath=checkpoint_path, verbose=0, save_weights_only=True, period=2, options=None
)
model.fit(x, y, epochs=4, callbacks=[callback], verbose=0)
assert sorted(os.listdir(folder)) == ["cp-0002.weights.h5", "cp-0004.weights.h5"]
other = create_model()
other.load_weights(checkpoint_path.format(epoch=4))
assert model.evaluate(x, y, verbose=0) == other.evaluate(x, y, verbose=0)

model.save(os.path.join(folder, "my_model.h5"))
new_model = tf.keras.models.load_model(os.path.join(folder, "my_model.h5"))
np.testing.assert_array_equal(model.predict(x, verbose=0), new_model.predict(x, verbose=0))
try:
    model.save(os.path.join(folder, "my_model"))
except ValueError as error:
    assert "my_model.keras" in str(error)
else:
    raise AssertionError
json = model.to_json()
fresh = tf.keras.models.model_from_json(json)
fresh.set_weights(model.get_weights())
np.testing.assert_array_equal(model.predict(x, verbose=0), fresh.predict(x, verbose=0))
