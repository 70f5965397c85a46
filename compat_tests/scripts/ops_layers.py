"""Backend-agnostic Keras 3: layers, a loss and a metric of one's own, written with keras.ops."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(1337)


class FeatureCross(layers.Layer):
    """A cross layer (DCN v2): x0 * (W x + b) + x."""

    def __init__(self, projection_dim=None, **kwargs):
        super().__init__(**kwargs)
        self.projection_dim = projection_dim

    def build(self, input_shape):
        last = input_shape[0][-1]
        rank = self.projection_dim or last
        self.u = self.add_weight(shape=(last, rank), initializer="glorot_uniform", name="u")
        self.v = self.add_weight(shape=(rank, last), initializer="glorot_uniform", name="v")
        self.b = self.add_weight(shape=(last,), initializer="zeros", name="b")

    def call(self, inputs):
        x0, x = inputs
        return x0 * (ops.matmul(ops.matmul(x, self.u), self.v) + self.b) + x

    def compute_output_shape(self, input_shape):
        return input_shape[0]


class FourierFeatures(layers.Layer):
    """Sines and cosines of the inputs at powers of two."""

    def __init__(self, octaves=3, **kwargs):
        super().__init__(**kwargs)
        self.octaves = octaves

    def call(self, x):
        scales = ops.cast(2 ** ops.arange(self.octaves), x.dtype)
        angles = ops.expand_dims(x, -1) * scales * np.pi
        waves = ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)
        batch, width = ops.shape(x)[0], ops.shape(x)[1]
        return ops.reshape(waves, (batch, width * 2 * self.octaves))


def log_cosh_quantile(y_true, y_pred):
    error = y_true - y_pred
    return ops.mean(ops.where(error > 0, 0.7 * ops.abs(error), 0.3 * ops.square(error)), axis=-1)


class MaxError(keras.metrics.Metric):
    """The largest error, as a part of the targets' range."""

    def __init__(self, span, name="max_error", **kwargs):
        super().__init__(name=name, **kwargs)
        self.span = span
        self.largest = self.add_weight(name="largest", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        error = ops.max(ops.abs(ops.cast(y_true, self.dtype) - y_pred))
        self.largest.assign(ops.maximum(self.largest, error))

    def result(self):
        return self.largest / self.span


rng = np.random.default_rng(0)
x = rng.uniform(-1, 1, (400, 4)).astype("float32")
y = (np.sin(3 * x[:, 0]) * x[:, 1] + x[:, 2] ** 2 - 0.5 * x[:, 3])[:, None].astype("float32")

inputs = keras.Input((4,), name="features")
x0 = layers.Concatenate()([inputs, FourierFeatures(name="fourier")(inputs)])
x1 = FeatureCross(name="cross_1")([x0, x0])
x2 = FeatureCross(projection_dim=6, name="cross_2")([x0, x1])
hidden = layers.Dense(24, activation="silu")(x2)
scaled = ops.tanh(hidden) / ops.sqrt(24.0)
norm = ops.norm(scaled, axis=-1, keepdims=True)
outputs = layers.Dense(1)(ops.concatenate([scaled, norm], axis=-1))
model = keras.Model(inputs, outputs, name="cross_network")
model.summary()

model.compile(
    optimizer=keras.optimizers.AdamW(5e-3, weight_decay=1e-3),
    loss=log_cosh_quantile,
    metrics=[MaxError(float(y.max() - y.min())), "mae"],
)
history = model.fit(x[:320], y[:320], epochs=4, batch_size=32, validation_split=0.1, verbose=2)
results = model.evaluate(x[320:], y[320:], return_dict=True, verbose=0)
for name, value in sorted(results.items()):
    print(f"{name}: {value:.6f}")
prediction = ops.convert_to_numpy(model(x[:3]))
print(f"prediction: {prediction.ravel().round(5).tolist()}")
print(f"parameters: {model.count_params()}")
