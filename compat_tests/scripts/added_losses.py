"""Losses and metrics that layers add, overridden `compute_loss`, and what the logs then hold."""

import keras
import numpy as np
from keras import layers, ops

rng = np.random.default_rng(6)
x = rng.normal(size=(40, 4)).astype("float32")
y = (x.sum(axis=1, keepdims=True) > 0).astype("float32")


def set_weights(model):
    random = np.random.default_rng(1)
    model.set_weights([random.normal(scale=0.3, size=w.shape) for w in model.get_weights()])


class Sparse(layers.Layer):
    def __init__(self, rate, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate
        self.level = keras.metrics.Mean(name="level")

    def call(self, inputs):
        self.add_loss(self.rate * ops.mean(ops.square(inputs)))
        self.level.update_state(ops.mean(inputs))
        return inputs


class LogisticEndpoint(layers.Layer):
    def __init__(self, name=None):
        super().__init__(name=name)
        self.loss_fn = keras.losses.BinaryCrossentropy(from_logits=True)
        self.hits = keras.metrics.BinaryAccuracy(name="hits")

    def call(self, targets, logits):
        self.add_loss(self.loss_fn(targets, logits))
        self.hits.update_state(targets, logits)
        return ops.sigmoid(logits)


class Autoencoder(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(4, bias_regularizer=keras.regularizers.L2(0.5))
        self.parts = {name: keras.metrics.Mean(name=name) for name in ("wide", "high")}
        self.others = []
        self.others.append(keras.metrics.Mean(name="zeros"))

    def call(self, inputs, training=None):
        outputs = self.dense(inputs)
        if training:
            self.add_loss(0.01 * ops.sum(outputs))
        self.parts["wide"].update_state(ops.max(outputs) - ops.min(outputs))
        self.parts["high"].update_state(ops.max(outputs))
        self.others[0].update_state(ops.mean(ops.cast(outputs < 0, "float32")))
        return outputs

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return 2 * super().compute_loss(x, y, y_pred, sample_weight, training)


class MeanAndSpread(keras.metrics.Metric):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.mean = keras.metrics.Mean()
        self.square = keras.metrics.Mean()

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.mean.update_state(y_pred)
        self.square.update_state(ops.square(y_pred))

    def result(self):
        mean = self.mean.result()
        return {"spread": self.square.result() - mean**2, "mean": mean}


inputs, targets = keras.Input((4,)), keras.Input((1,))
hidden = layers.Dense(3, kernel_regularizer="l2", activity_regularizer="l1")(inputs)
logits = layers.Dense(1)(Sparse(0.2)(hidden))
model = keras.Model([inputs, targets], LogisticEndpoint("predictions")(targets, logits))
set_weights(model)
model.compile(keras.optimizers.SGD(0.1))
model.fit([x, y], epochs=2, batch_size=16, verbose=2, shuffle=False)
print("metrics:", model.metrics_names)
for name, value in model.evaluate([x, y], verbose=0, return_dict=True).items():
    print(f"{name}: {value:.6f}")
print("losses:", len(model.losses))

model = Autoencoder()
model(x)
set_weights(model)
pair = MeanAndSpread(name="outputs")
model.compile(keras.optimizers.SGD(0.1), "mse", metrics=[pair, "mae"])
history = model.fit(x, x, epochs=2, verbose=2, validation_data=(x, x), shuffle=False)
print("history:", list(history.history))
print("metrics:", model.metrics_names)
print("values:", [round(value, 4) for value in model.evaluate(x, x, verbose=0)])
model(x, training=True)
for loss in model.losses:
    print(f"added: {float(loss):.5f}")
