# ruff: noqa: B007, B905, E721
"""Functional models with merge layers and functions, several outputs, `loss_weights`."""

import numpy as np
from tensorflow import keras
from tensorflow.keras.layers import Concatenate, Convolution2D, Dense, Dot, Input, add, concatenate
from tensorflow.keras.regularizers import l1_l2, l2

main = Input(shape=(6,), name="main_input")
aux = Input(shape=(3,), name="aux_input")
hidden = Dense(4, activation="relu", kernel_regularizer=l2(0.01), name="hidden")(main)
aux_output = Dense(1, activation="sigmoid", name="aux_output")(hidden)
x = concatenate([hidden, aux])
x = Dense(7, activation="relu", bias_regularizer=l1_l2(l1=0.01, l2=0.01))(x)
x = add([x, Concatenate()([hidden, aux])])
dotted = Dot(axes=-1, normalize=True)([x, x])
output = Dense(1, activation="sigmoid", name="main_output")(concatenate([x, dotted]))
model = keras.models.Model(inputs=[main, aux], outputs=[output, aux_output])
model.compile(
    optimizer="rmsprop",
    loss={"main_output": "binary_crossentropy", "aux_output": "binary_crossentropy"},
    loss_weights={"main_output": 1.0, "aux_output": 0.2},
    metrics={"main_output": ["accuracy"]},
)
data = {"main_input": np.random.rand(8, 6), "aux_input": np.random.rand(8, 3)}
labels = {"main_output": np.ones((8, 1)), "aux_output": np.zeros((8, 1))}
history = model.fit(data, labels, epochs=1, batch_size=4, verbose=0)
assert {"main_output_loss", "aux_output_loss", "main_output_accuracy"} <= set(history.history)
values = model.evaluate(data, labels, verbose=0)
by_name = model.evaluate(data, labels, verbose=0, return_dict=True)
assert dict(zip(model.metrics_names, values)) == by_name
image = Convolution2D(2, 3, padding="same", input_shape=(4, 4, 1))
assert [w.shape for w in image.get_weights()] == [(3, 3, 1, 2), (2,)]
