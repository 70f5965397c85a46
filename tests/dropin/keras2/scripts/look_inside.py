"""Activations and shapes inside of a model."""

import numpy as np
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Conv2D, Dense, Dropout, Flatten, MaxPool2D
from tensorflow.keras.models import Model, Sequential

model = Sequential(
    [
        Conv2D(4, 3, activation="relu", input_shape=(10, 10, 1), name="conv"),
        MaxPool2D(),
        Flatten(),
        Dropout(0.5),
        Dense(2, activation="softmax"),
    ]
)
assert [layer.output_shape for layer in model.layers] == [
    (None, 8, 8, 4), (None, 4, 4, 4), (None, 64), (None, 64), (None, 2)
]  # fmt: skip
assert model.layers[0].input_shape == model.input_shape == (None, 10, 10, 1)
outputs = [layer.output for layer in model.layers]
functor = K.function([model.input, K.learning_phase()], outputs)
x = np.random.rand(3, 10, 10, 1)
found = functor([x, 0.0])
assert [a.shape[0] for a in found] == [3] * 5
np.testing.assert_allclose(found[-1], model.predict(x, verbose=0), rtol=1e-5)
inner = Model(inputs=model.input, outputs=model.get_layer("conv").get_output_at(0))
np.testing.assert_allclose(inner.predict(x, verbose=0), found[0], rtol=1e-5)
weights, biases = model.layers[0].get_weights()
assert weights.shape == (3, 3, 1, 4) and K.int_shape(model.output) == (None, 2)
assert K.count_params(model.layers[0].kernel) == 36 and model.count_params() == 170
