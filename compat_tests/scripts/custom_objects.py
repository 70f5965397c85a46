"""Every kind of custom object in one model, saved and loaded as .keras and .h5."""

import os
import tempfile

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(8)


@keras.saving.register_keras_serializable(package="zoo", name="scaled_orthogonal")
class Scaled(keras.initializers.Initializer):
    def __init__(self, scale=0.5):
        self.scale = scale

    def __call__(self, shape, dtype=None, **kwargs):
        grid = ops.reshape(ops.arange(int(np.prod(shape)), dtype="float32"), shape)
        return ops.cast(self.scale * ops.cos(grid), dtype or "float32")

    def get_config(self):
        return {"scale": self.scale}


@keras.saving.register_keras_serializable(package="zoo")
class RowSum(keras.regularizers.Regularizer):
    def __init__(self, strength):
        self.strength = strength

    def __call__(self, x):
        return self.strength * ops.sum(ops.square(ops.sum(x, axis=0)))

    def get_config(self):
        return {"strength": self.strength}


@keras.saving.register_keras_serializable(package="zoo")
class Clip(keras.constraints.Constraint):
    def __init__(self, limit=1.0):
        self.limit = limit

    def __call__(self, w):
        return ops.clip(w, -self.limit, self.limit)

    def get_config(self):
        return {"limit": self.limit}


@keras.saving.register_keras_serializable(package="zoo")
def swoosh(x):
    return ops.log(1 + ops.exp(x - 1)) - 0.1 * x


@keras.saving.register_keras_serializable(package="zoo")
class Gated(layers.Layer):
    """A dense layer and its gate; holds sublayers and an activation given by the user."""

    def __init__(self, units, activation=None, inner=None, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.activation = keras.activations.get(activation)
        self.inner = inner or layers.Dense(units, name="inner")
        self.gate = layers.Dense(units, activation="sigmoid", kernel_constraint=Clip(0.3))

    def build(self, input_shape):
        if not self.inner.built:
            self.inner.build(input_shape)
        self.gate.build(input_shape)
        self.scale = self.add_weight(
            shape=(self.units,), initializer=Scaled(0.9), regularizer=RowSum(0.01), name="scale"
        )
        super().build(input_shape)

    def call(self, x):
        return self.activation(self.inner(x)) * self.gate(x) * self.scale

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "inner": keras.saving.serialize_keras_object(self.inner),
        }

    @classmethod
    def from_config(cls, config):
        config["inner"] = keras.saving.deserialize_keras_object(config["inner"])
        return cls(**config)


@keras.saving.register_keras_serializable(package="zoo")
class Focal(keras.losses.Loss):
    def __init__(self, gamma=2.0, name="focal", **kwargs):
        super().__init__(name=name, **kwargs)
        self.gamma = gamma

    def call(self, y_true, y_pred):
        y_pred = ops.clip(y_pred, 1e-6, 1 - 1e-6)
        p = ops.where(y_true > 0.5, y_pred, 1 - y_pred)
        return ops.mean(-((1 - p) ** self.gamma) * ops.log(p), axis=-1)

    def get_config(self):
        return {**super().get_config(), "gamma": self.gamma}


@keras.saving.register_keras_serializable(package="zoo")
class Balanced(keras.metrics.Metric):
    """Mean of the accuracies of both classes."""

    def __init__(self, threshold=0.5, name="balanced", **kwargs):
        super().__init__(name=name, **kwargs)
        self.threshold = threshold
        self.hits = self.add_weight(shape=(2,), initializer="zeros", name="hits")
        self.seen = self.add_weight(shape=(2,), initializer="zeros", name="seen")

    def update_state(self, y_true, y_pred, sample_weight=None):
        truth = ops.one_hot(ops.cast(ops.reshape(y_true, (-1,)), "int32"), 2)
        guess = ops.one_hot(ops.cast(ops.reshape(y_pred, (-1,)) > self.threshold, "int32"), 2)
        self.hits.assign_add(ops.sum(truth * guess, axis=0))
        self.seen.assign_add(ops.sum(truth, axis=0))

    def result(self):
        return ops.mean(self.hits / ops.maximum(self.seen, 1.0))

    def get_config(self):
        return {**super().get_config(), "threshold": self.threshold}


rng = np.random.default_rng(0)
x = rng.normal(size=(256, 6)).astype("float32")
y = (x[:, 0] * x[:, 1] > 0).astype("float32")[:, None]

model = keras.Sequential(
    [
        keras.Input((6,)),
        Gated(12, activation=swoosh, name="gated"),
        layers.Dense(8, activation=swoosh, kernel_regularizer=RowSum(1e-3)),
        layers.Dense(1, activation="sigmoid", kernel_initializer=Scaled()),
    ],
    name="zoo_model",
)
model.compile(keras.optimizers.Adam(0.01), loss=Focal(1.5), metrics=[Balanced(0.4), "accuracy"])
model.fit(x, y, epochs=2, batch_size=32, verbose=2)
expected = model.evaluate(x, y, verbose=0, return_dict=True)
for name, value in expected.items():
    print(f"{name}: {value:.6f}")

folder = tempfile.mkdtemp()
for suffix in (".keras", ".h5"):
    path = os.path.join(folder, "zoo" + suffix)
    model.save(path)
    loaded = keras.models.load_model(path)
    again = loaded.evaluate(x, y, verbose=0, return_dict=True)
    print(f"{suffix} loss: {again['loss']:.6f}")
    print(f"{suffix} compiled: {loaded.loss.gamma} {loaded.optimizer.name}")
    print(f"{suffix} gamma, threshold: {loaded.loss.get_config()['gamma']}")
    print(f"{suffix} limit: {loaded.get_layer('gated').gate.kernel_constraint.limit}")

loaded = keras.models.load_model(os.path.join(folder, "zoo.keras"))
loaded.fit(x, y, epochs=1, batch_size=64, verbose=0)
print(f"trained on: {loaded.evaluate(x, y, verbose=0)[0]:.6f}")

rebuilt = keras.models.model_from_json(model.to_json())
rebuilt.set_weights(model.get_weights())
difference = np.abs(rebuilt.predict(x, verbose=0) - model.predict(x, verbose=0)).max()
print(f"from json: {difference < 1e-6}")
print("registered:", keras.saving.get_registered_name(Gated))
