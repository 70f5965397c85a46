"""Losses and metrics by class, `Reduction`, and a loss added in a layer."""

import numpy as np
import tensorflow as tf
from tensorflow.keras.losses import Loss, Reduction


class WeightedError(Loss):
    def __init__(self, factor=2.0, reduction=Reduction.AUTO, name="weighted_error"):
        super().__init__(reduction=reduction, name=name)
        self.factor = factor

    def call(self, y_true, y_pred):
        return self.factor * tf.math.reduce_mean(tf.square(y_pred - y_true), axis=-1)


class Hits(tf.keras.metrics.Metric):
    def __init__(self, name="hits", **kwargs):
        super().__init__(name=name, **kwargs)
        self.hits = self.add_weight(name="n", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        same = tf.cast(tf.abs(y_pred - y_true) < 10.0, "float32")
        self.hits.assign_add(tf.reduce_sum(same))

    def result(self):
        return self.hits

    def reset_states(self):
        self.hits.assign(0.0)


class Sampling(tf.keras.layers.Layer):
    def call(self, inputs):
        mean, log_var = inputs
        kl = -0.5 * tf.reduce_mean(log_var - tf.square(mean) - tf.exp(log_var) + 1)
        self.add_loss(kl, inputs=inputs)
        return mean


inputs = tf.keras.Input((3,))
outputs = Sampling()([tf.keras.layers.Dense(2)(inputs), tf.keras.layers.Dense(2)(inputs)])
model = tf.keras.Model(inputs, outputs)
model.compile("sgd", WeightedError(), metrics=[Hits()])
x, y = np.ones((6, 3), "float32"), np.zeros((6, 2), "float32")
history = model.fit(x, y, epochs=2, verbose=0)
assert history.history["hits"][0] == 12.0
none = tf.keras.losses.MeanSquaredError(reduction=tf.keras.losses.Reduction.NONE)
assert none(y, y).shape == (6,)
