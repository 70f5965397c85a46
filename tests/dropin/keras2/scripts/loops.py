# ruff: noqa: B007, B905, E721
"""A training loop with a tape, metrics with `reset_states`, and a custom `train_step`."""

import numpy as np
import tensorflow as tf

x, y = np.random.rand(64, 4).astype("float32"), (np.arange(64) % 2).astype("float32")
dataset = tf.data.Dataset.from_tensor_slices((x, y[:, None])).shuffle(64).batch(16)
model = tf.keras.Sequential(
    [tf.keras.layers.Dense(8, activation="relu", input_shape=(4,)), tf.keras.layers.Dense(1)]
)
loss_object = tf.keras.losses.BinaryCrossentropy(from_logits=True)
optimizer = tf.keras.optimizers.Adam(lr=0.01)
train_loss = tf.keras.metrics.Mean(name="train_loss")


@tf.function
def train_step(features, labels):
    with tf.GradientTape() as tape:
        predictions = model(features, training=True)
        loss = loss_object(labels, predictions)
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(
        zip(gradients, model.trainable_variables), experimental_aggregate_gradients=True
    )
    train_loss(loss)


results = []
for epoch in range(3):
    train_loss.reset_states()
    for features, labels in dataset:
        train_step(features, labels)
    results.append(float(train_loss.result()))
assert int(optimizer.iterations) == 12 and len(optimizer.get_weights()) == 9


class CustomModel(tf.keras.Model):
    def train_step(self, data):
        features, labels = data
        with tf.GradientTape() as tape:
            predictions = self(features, training=True)
            loss = self.compiled_loss(labels, predictions, regularization_losses=self.losses)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
        self.compiled_metrics.update_state(labels, predictions)
        return {m.name: m.result() for m in self.metrics}


inputs = tf.keras.Input(shape=(4,))
custom = CustomModel(inputs, tf.keras.layers.Dense(1)(inputs))
custom.compile(optimizer="adam", loss="mse", metrics=["mae"])
history = custom.fit(dataset, epochs=2, verbose=0)
assert len(history.history["loss"]) == 2
