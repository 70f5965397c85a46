"""Subclassed models: blocks in lists, `training` passed down, build, weights saved and loaded."""

import os
import tempfile

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(17)


class ResidualBlock(layers.Layer):
    def __init__(self, filters, stride=1, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.stride = filters, stride
        self.conv1 = layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False)
        self.bn1 = layers.BatchNormalization(momentum=0.9)
        self.conv2 = layers.Conv2D(filters, 3, padding="same", use_bias=False)
        self.bn2 = layers.BatchNormalization(momentum=0.9)
        self.shortcut = None

    def build(self, input_shape):
        if self.stride != 1 or input_shape[-1] != self.filters:
            self.shortcut = layers.Conv2D(self.filters, 1, strides=self.stride)
        super().build(input_shape)

    def call(self, x, training=False):
        residual = x if self.shortcut is None else self.shortcut(x)
        y = keras.activations.relu(self.bn1(self.conv1(x), training=training))
        y = self.bn2(self.conv2(y), training=training)
        return keras.activations.relu(y + residual)


class ResNet(keras.Model):
    def __init__(self, widths, num_classes, **kwargs):
        super().__init__(**kwargs)
        self.stem = layers.Conv2D(widths[0], 3, padding="same", activation="relu")
        self.blocks = [
            ResidualBlock(width, stride=1 if i == 0 else 2) for i, width in enumerate(widths)
        ]
        self.pool = layers.GlobalAveragePooling2D()
        self.classifier = layers.Dense(num_classes)
        self.dropout = layers.Dropout(0.1)

    def call(self, inputs, training=False):
        x = self.stem(inputs)
        for block in self.blocks:
            x = block(x, training=training)
        x = self.dropout(self.pool(x), training=training)
        return self.classifier(x)


digits = load_digits()
x = (digits.images / 16).astype("float32")[..., None]
y = digits.target
x_train, y_train, x_test, y_test = x[:640], y[:640], x[640:896], y[640:896]

model = ResNet([8, 16], 10, name="tiny_resnet")
print(f"built: {model.built}")
model.compile(
    optimizer=keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
)
history = model.fit(
    x_train, y_train, batch_size=64, epochs=2, validation_data=(x_test, y_test), verbose=2
)
print(f"built: {model.built} parameters: {model.count_params()}")
print("layers:", [layer.name for layer in model.layers])
print("trainable:", len(model.trainable_variables), "all:", len(model.variables))
for name, values in history.history.items():
    print(f"{name}: " + " ".join(f"{value:.6f}" for value in values))

path = os.path.join(tempfile.mkdtemp(), "resnet.weights.h5")
model.save_weights(path)
fresh = ResNet([8, 16], 10)
fresh(x_test[:1])
fresh.load_weights(path)
difference = np.abs(fresh.predict(x_test, verbose=0) - model.predict(x_test, verbose=0)).max()
print(f"loaded equals: {difference < 1e-5}")
inference, training = model(x_test[:32]), model(x_test[:32], training=True)
print(f"modes differ: {not np.allclose(inference.detach(), training.detach(), atol=1e-3)}")
for weight in model.blocks[1].weights[:3]:
    print(f"{weight.path} {tuple(weight.shape)}: {float(keras.ops.mean(weight)):.6f}")
