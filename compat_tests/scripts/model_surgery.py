"""Take models apart: intermediate outputs, weights in and out, clones, new heads."""

import keras
import numpy as np
from keras import layers
from keras.models import Model, clone_model

keras.utils.set_random_seed(6)
rng = np.random.default_rng(6)
x = rng.normal(size=(96, 12, 12, 3)).astype("float32")
y = (x.mean(axis=(1, 2)) @ np.array([1.0, -1.0, 0.5]) > 0).astype("int64")


def residual(x, filters, name):
    shortcut = x
    if x.shape[-1] != filters:
        shortcut = layers.Conv2D(filters, 1, name=f"{name}_shortcut")(x)
    x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"{name}_1")(x)
    x = layers.Conv2D(filters, 3, padding="same", name=f"{name}_2")(x)
    return layers.ReLU(name=f"{name}_out")(layers.add([x, shortcut], name=f"{name}_add"))


inputs = keras.Input((12, 12, 3), name="image")
h = residual(inputs, 8, "block1")
h = layers.MaxPooling2D(name="pool1")(h)
h = residual(h, 12, "block2")
h = layers.GlobalAveragePooling2D(name="features")(h)
outputs = layers.Dense(2, activation="softmax", name="head")(h)
model = Model(inputs, outputs, name="resnet")
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, epochs=2, batch_size=16, verbose=2)
print("layers:", [layer.name for layer in model.layers])
print("shapes:", [tuple(w.shape) for w in model.get_layer("block2_1").get_weights()])

extractor = Model(model.input, [model.get_layer(n).output for n in ("block1_out", "features")])
maps, features = extractor.predict(x[:8], verbose=0)
print(f"maps {maps.shape}: {maps.mean():.6f}")
print(f"features {features.shape}: {features.mean():.6f}")

# Grad-CAM's preparation: one layer's output and the prediction together, then the rest by hand
tail_input = keras.Input(model.get_layer("block2_out").output.shape[1:])
tail = Model(tail_input, model.get_layer("head")(model.get_layer("features")(tail_input)))
middle = Model(model.inputs, model.get_layer("block2_out").output)
composed = tail.predict(middle.predict(x[:8], verbose=0), verbose=0)
print(f"composed equals: {np.allclose(composed, model.predict(x[:8], verbose=0), atol=1e-6)}")

clone = clone_model(model)
print(f"clone differs: {not np.allclose(clone.get_weights()[0], model.get_weights()[0])}")
clone.set_weights(model.get_weights())
print(f"clone loss: {clone.evaluate(x, y, verbose=0)[0]:.6f}")
clone.fit(x, y, epochs=1, verbose=0)
print(f"original loss: {model.evaluate(x, y, verbose=0)[0]:.6f}")


def widen(layer):
    config = layer.get_config()
    if isinstance(layer, layers.Conv2D) and config["activation"] == "relu":
        config["activation"] = "elu"
    return layer.__class__.from_config(config)


elu = clone_model(model, clone_function=widen)
elu.set_weights(model.get_weights())
print("activations:", [layer.activation.__name__ for layer in elu.layers[1:4:2]])
print(f"elu prediction: {elu.predict(x[:8], verbose=0)[:, 0].mean():.6f}")

# a new head on the features; old layers keep their names, weights move one by one
backbone = Model(model.input, model.get_layer("block2_out").output, name="backbone")
backbone.trainable = False
regressor = keras.Sequential(
    [backbone, layers.Flatten(), layers.Dense(4, activation="relu"), layers.Dense(1)]
)
regressor.compile("sgd", "mae")
regressor.build((None, 12, 12, 3))
kernel, bias = regressor.layers[2].get_weights()
regressor.layers[2].set_weights([np.full_like(kernel, 0.1), np.ones_like(bias)])
regressor.fit(x, y.astype("float32"), epochs=2, verbose=0)
print(f"regressor: {regressor.evaluate(x, y.astype('float32'), verbose=0):.6f}")
regressor.summary()
regressor.pop()
print("popped:", [layer.name for layer in regressor.layers], regressor.output_shape)

config = model.get_config()
rebuilt = Model.from_config(config)
for source, target in zip(model.layers, rebuilt.layers, strict=True):
    target.set_weights(source.get_weights())
print(f"rebuilt equals: {np.allclose(rebuilt.predict(x, verbose=0), model.predict(x, verbose=0))}")
print(f"parameters: {model.count_params()}")
paths = [w.path for layer in model.layers for w in layer.weights]
print("paths:", paths[:4])
