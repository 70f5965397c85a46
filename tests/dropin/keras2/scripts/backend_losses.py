"""Losses and metrics written with the backend, and Lambda layers."""

import numpy as np
from tensorflow.keras import backend as K
from tensorflow.keras import layers, models


def dice_coef(y_true, y_pred, smooth=1.0):
    y_true_f = K.flatten(y_true)
    y_pred_f = K.flatten(y_pred)
    intersection = K.sum(y_true_f * y_pred_f)
    return (2.0 * intersection + smooth) / (K.sum(y_true_f) + K.sum(y_pred_f) + smooth)


def dice_coef_loss(y_true, y_pred):
    return 1.0 - dice_coef(y_true, y_pred)


def f1(y_true, y_pred):
    hits = K.sum(K.round(K.clip(y_true * y_pred, 0, 1)))
    recall = hits / (K.sum(K.round(K.clip(y_true, 0, 1))) + K.epsilon())
    precision = hits / (K.sum(K.round(K.clip(y_pred, 0, 1))) + K.epsilon())
    return 2 * precision * recall / (precision + recall + K.epsilon())


def euclidean(vects):
    a, b = vects
    return K.sqrt(K.maximum(K.sum(K.square(a - b), axis=1, keepdims=True), K.epsilon()))


left, right = layers.Input(shape=(4,)), layers.Input(shape=(4,))
base = models.Sequential([layers.Dense(3, activation="relu", input_shape=(4,))])
distance = layers.Lambda(euclidean, output_shape=lambda shapes: (shapes[0][0], 1))(
    [base(left), base(right)]
)
model = models.Model([left, right], layers.Dense(1, activation="sigmoid")(distance))
model.compile(loss=dice_coef_loss, optimizer="adam", metrics=[dice_coef, f1])
x = [np.random.rand(16, 4), np.random.rand(16, 4)]
y = np.arange(16) % 2
history = model.fit(x, y, epochs=2, verbose=0)
assert set(history.history) == {"loss", "dice_coef", "f1"}
assert model.metrics_names == ["loss", "dice_coef", "f1"]
