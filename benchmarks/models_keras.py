"""The benchmark models in Keras's API, for `keras` and for `torchkeras`: `build(module, name)`."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from .data import CASES

__all__ = ["MODELS", "build"]


def _mlp(keras: ModuleType) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((100,)),
            layers.Dense(64, activation="relu"),
            layers.Dense(64, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


def _cnn(keras: ModuleType) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )


def _lstm(keras: ModuleType) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((32, 16)),
            layers.LSTM(64, return_sequences=True),
            layers.LSTM(64),
            layers.Dense(10),
        ]
    )


def _gru(keras: ModuleType) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((32, 16)),
            layers.GRU(64, return_sequences=True),
            layers.GRU(64),
            layers.Dense(10),
        ]
    )


def _embedding(keras: ModuleType) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((20,), dtype="int32"),
            layers.Embedding(50_000, 32),
            layers.GlobalAveragePooling1D(),
            layers.Dense(32, activation="relu"),
            layers.Dense(10),
        ]
    )


def _autoencoder(keras: ModuleType) -> Any:
    layers = keras.layers
    widths = (256, 64, 256)
    hidden = [layers.Dense(width, activation="relu") for width in widths]
    return keras.Sequential([layers.Input((784,)), *hidden, layers.Dense(784)])


def _transformer(keras: ModuleType) -> Any:
    layers = keras.layers
    tokens = layers.Input((32,), dtype="int32")
    x = layers.Embedding(1000, 64)(tokens)
    for _ in range(2):
        attended = layers.MultiHeadAttention(num_heads=4, key_dim=16)(x, x)
        x = layers.LayerNormalization()(layers.add([x, attended]))
        hidden = layers.Dense(128, activation="relu")(x)
        x = layers.LayerNormalization()(layers.add([x, layers.Dense(64)(hidden)]))
    return keras.Model(tokens, layers.Dense(10)(layers.GlobalAveragePooling1D()(x)))


def _resnet(keras: ModuleType) -> Any:
    layers = keras.layers

    def convolve(x: Any, filters: int, size: int, strides: int = 1) -> Any:
        return layers.Conv2D(filters, size, strides=strides, padding="same", use_bias=False)(x)

    def normalize(x: Any, relu: bool) -> Any:
        x = layers.BatchNormalization()(x)
        return layers.Activation("relu")(x) if relu else x

    inputs = layers.Input((32, 32, 3))
    x = normalize(convolve(inputs, 16, 3), relu=True)
    for filters, strides in ((16, 1), (32, 2), (64, 2)):
        y = normalize(convolve(x, filters, 3, strides), relu=True)
        y = normalize(convolve(y, filters, 3), relu=False)
        if strides != 1 or x.shape[-1] != filters:
            x = convolve(x, filters, 1, strides)
        x = layers.Activation("relu")(layers.add([y, x]))
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


MODELS = {
    "mlp": _mlp,
    "cnn": _cnn,
    "lstm": _lstm,
    "gru": _gru,
    "transformer": _transformer,
    "resnet": _resnet,
    "embedding": _embedding,
    "autoencoder": _autoencoder,
}


def build(keras: ModuleType, name: str) -> Any:
    """Make and compile a model of `MODELS` with Adam, its loss and, of a classifier, accuracy."""
    model = MODELS[name](keras)
    classes = CASES[name].classes
    if classes == 0:
        loss = keras.losses.MeanSquaredError()
    elif classes == 2:
        loss = keras.losses.BinaryCrossentropy()
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    metrics = ["accuracy"] if classes else None
    model.compile(keras.optimizers.Adam(1e-3), loss, metrics=metrics)
    return model
