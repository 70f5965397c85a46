"""Transfer learning: a base trained on digits 0-4 is frozen, gets a new head for 5-9, is tuned."""

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(123)
digits = load_digits()
images = (digits.images[..., None] / 16).astype("float32")
low = digits.target < 5
x_source, y_source = images[low][:600], digits.target[low][:600]
x_target, y_target = images[~low][:400], digits.target[~low][:400] - 5


def make_base():
    inputs = keras.Input(shape=(8, 8, 1))
    x = layers.Rescaling(2.0, offset=-1.0)(inputs)
    for filters in (8, 16):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.Activation("relu")(x)
        x = layers.MaxPooling2D()(x)
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(x), name="base")


base = make_base()
source = keras.Sequential([base, layers.Dense(5)])
from_logits = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
source.compile(keras.optimizers.SGD(0.1, momentum=0.5), from_logits, metrics=["accuracy"])
source.fit(x_source, y_source, batch_size=32, epochs=2, verbose=2)

base.trainable = False
inputs = keras.Input(shape=(8, 8, 1))
x = base(inputs, training=False)
x = layers.Dense(16, activation="relu", name="top")(x)
outputs = layers.Dense(5, name="logits")(x)
model = keras.Model(inputs, outputs, name="fine_tuned")
model.summary(show_trainable=True, expand_nested=True)


def report(phase, history):
    print(f"{phase} trainable weights: {len(model.trainable_weights)}")
    print(f"{phase} non-trainable weights: {len(model.non_trainable_weights)}")
    for name, values in history.history.items():
        print(f"{phase} {name}: {values[-1]:.6f}")


statistics = base.get_weights()
model.compile(keras.optimizers.Adam(1e-2), from_logits, metrics=["accuracy"])
history = model.fit(x_target, y_target, epochs=2, validation_split=0.2, verbose=2)
report("frozen", history)
same = all(np.array_equal(a, b) for a, b in zip(statistics, base.get_weights(), strict=True))
print(f"base unchanged: {same}")

base.trainable = True
for layer in base.layers:
    if isinstance(layer, layers.BatchNormalization):
        layer.trainable = False
model.compile(keras.optimizers.Adam(1e-3), from_logits, metrics=["accuracy"])
history = model.fit(x_target, y_target, epochs=2, validation_split=0.2, verbose=2)
report("tuned", history)
moving = [w for w in base.weights if "moving" in w.name]
print(f"moving statistics: {[w.path for w in moving]}")
print(f"moving mean: {float(np.mean(keras.ops.convert_to_numpy(moving[0]))):.6f}")
print(f"accuracy of all: {model.evaluate(x_target, y_target, verbose=0)[1]:.6f}")
