"""Stateful recurrent models, `reset_states` between passes, `TimeDistributed`."""

import numpy as np
from tensorflow.python.keras.layers.core import Dense
from tensorflow.python.keras.layers.recurrent import LSTM
from tensorflow.python.keras.models import Sequential

model = Sequential()
model.add(LSTM(3, batch_input_shape=(2, 1, 1), stateful=True))
model.add(Dense(1))
model.compile(loss="mean_squared_error", optimizer="adam")
x, y = np.ones((4, 1, 1)), np.ones((4, 1))
for _ in range(2):
    model.fit(x, y, epochs=1, batch_size=2, verbose=0, shuffle=False)
    model.reset_states()
first = model.predict(x, batch_size=2, verbose=0)
assert not np.allclose(first[:2], first[2:])
model.reset_states()
np.testing.assert_array_equal(model.predict(x, batch_size=2, verbose=0), first)
assert model.layers[0].stateful and not model.layers[1].stateful
