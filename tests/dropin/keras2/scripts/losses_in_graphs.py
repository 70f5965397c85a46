"""A variational autoencoder whose loss is a part of its graph, and metrics beside it."""

import tempfile

import numpy as np
import tensorflow as tf
from tensorflow.keras import backend as K
from tensorflow.keras import layers
from tensorflow.keras.losses import binary_crossentropy
from tensorflow.keras.models import Model, load_model

tf.random.set_seed(1)
x_train = np.random.default_rng(0).random((64, 12)).astype("float32")


def sampling(arguments):
    z_mean, z_log_var = arguments
    noise = K.random_normal(shape=(K.shape(z_mean)[0], K.int_shape(z_mean)[1]))
    return z_mean + K.exp(0.5 * z_log_var) * noise


inputs = layers.Input(shape=(12,), name="encoder_input")
hidden = layers.Dense(8, activation="relu")(inputs)
z_mean = layers.Dense(2, name="z_mean")(hidden)
z_log_var = layers.Dense(2, name="z_log_var")(hidden)
z = layers.Lambda(sampling, output_shape=(2,), name="z")([z_mean, z_log_var])
encoder = Model(inputs, [z_mean, z_log_var, z], name="encoder")

latent = layers.Input(shape=(2,), name="z_sampling")
decoder = Model(
    latent, layers.Dense(12, activation="sigmoid")(layers.Dense(8, activation="relu")(latent))
)
outputs = decoder(encoder(inputs)[2])
vae = Model(inputs, outputs, name="vae_mlp")

weights = len(vae.get_weights())
reconstruction = binary_crossentropy(inputs, outputs) * 12
divergence = -0.5 * K.sum(1 + z_log_var - K.square(z_mean) - K.exp(z_log_var), axis=-1)
vae.add_loss(K.mean(reconstruction + divergence))
vae.add_metric(K.mean(divergence), name="kl", aggregation="mean")
assert len(vae.get_weights()) == weights
vae.compile(optimizer="adam")
history = vae.fit(x_train, epochs=3, batch_size=16, validation_data=(x_train, None), verbose=0)
assert set(history.history) == {"loss", "kl", "val_loss", "val_kl"}, list(history.history)
assert history.history["loss"][-1] < history.history["loss"][0]
mean, log_var, _ = encoder.predict(x_train, verbose=0)
kl = np.mean(-0.5 * np.sum(1 + log_var - mean**2 - np.exp(log_var), axis=-1))
np.testing.assert_allclose(history.history["val_kl"][-1], kl, rtol=1e-4)
try:
    vae.add_loss(divergence)
except ValueError as error:
    assert "one number" in str(error), error
else:
    raise AssertionError("a loss of a number per row")


# Without anything drawn, files and copies keep the loss.
inputs = layers.Input((4,))
hidden = layers.Dense(3)(inputs)
model = Model(inputs, layers.Dense(1)(hidden))
model.add_loss(tf.reduce_mean(tf.square(hidden)))
model.compile("sgd", "mse")
x, y = np.ones((8, 4), "float32"), np.zeros((8, 1), "float32")
expected = model.evaluate(x, y, verbose=0)
plain = np.mean(model.predict(x, verbose=0) ** 2)
squares = np.mean(Model(inputs, hidden).predict(x, verbose=0) ** 2)
np.testing.assert_allclose(expected, plain + squares, rtol=1e-5)
with tempfile.TemporaryDirectory() as folder:
    for ending in ("keras", "h5"):
        model.save(f"{folder}/model.{ending}")
        np.testing.assert_allclose(
            load_model(f"{folder}/model.{ending}").evaluate(x, y, verbose=0), expected, rtol=1e-6
        )
copy = tf.keras.models.clone_model(model)
copy.set_weights(model.get_weights())
copy.compile("sgd", "mse")
np.testing.assert_allclose(copy.evaluate(x, y, verbose=0), expected, rtol=1e-6)


class Endpoint(layers.Layer):
    """As the guide of TensorFlow 2 has it."""

    def __init__(self, name=None):
        super().__init__(name=name)
        self.loss_fn = tf.keras.losses.BinaryCrossentropy(from_logits=True)
        self.accuracy_fn = tf.keras.metrics.BinaryAccuracy()

    def call(self, targets, logits, sample_weights=None):
        self.add_loss(self.loss_fn(targets, logits, sample_weights))
        self.add_metric(self.accuracy_fn(targets, logits, sample_weights), name="accuracy")
        self.add_metric(tf.reduce_sum(logits), name="sum")
        return tf.nn.softmax(logits)


inputs, targets = layers.Input((3,), name="inputs"), layers.Input((10,), name="targets")
logits = layers.Dense(10)(inputs)
model = tf.keras.Model([inputs, targets], Endpoint(name="predictions")(logits, targets))
model.compile(optimizer="adam")
data = {"inputs": np.ones((3, 3)), "targets": np.ones((3, 10))}
history = model.fit(data, epochs=2, verbose=0)
assert set(history.history) == {"loss", "binary_accuracy", "sum"}, list(history.history)
