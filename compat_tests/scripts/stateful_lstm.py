"""Stateful recurrent forecasting: batches follow each other, states are reset between epochs."""

import keras
import numpy as np
from keras.layers import (
    GRU,
    LSTM,
    RNN,
    Dense,
    LSTMCell,
    SimpleRNN,
    StackedRNNCells,
    TimeDistributed,
)

keras.utils.set_random_seed(14)
batch_size, timesteps = 4, 5
signal = np.sin(np.arange(401) / 7.0).astype("float32")
rows = signal[:400].reshape(batch_size, -1)
targets = signal[1:401].reshape(batch_size, -1)
# (steps, batch, timesteps, 1): row i of a batch continues row i of the batch before
x = np.stack(np.split(rows, 20, axis=1)).reshape(-1, timesteps, 1)
y = np.stack(np.split(targets, 20, axis=1)).reshape(-1, timesteps, 1)


def make_model(batch_size, timesteps, stateful):
    return keras.Sequential(
        [
            keras.Input(batch_shape=(batch_size, timesteps, 1)),
            LSTM(8, return_sequences=True, stateful=stateful, name="memory"),
            GRU(6, return_sequences=True, stateful=stateful),
            TimeDistributed(Dense(1)),
        ]
    )


trained = make_model(None, timesteps, stateful=False)
trained.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse")
trained.summary()
history = trained.fit(x, y, epochs=3, batch_size=batch_size, shuffle=False, verbose=2)

# the same weights, with states that live from one batch to the next
model = make_model(batch_size, timesteps, stateful=True)
model.set_weights(trained.get_weights())
model.compile(loss="mse")


def reset_states(model):
    for layer in model.layers:
        if hasattr(layer, "reset_states"):
            layer.reset_states()
        elif hasattr(layer, "reset_state"):
            layer.reset_state()


for epoch in range(2):
    loss = model.evaluate(x, y, batch_size=batch_size, verbose=0)
    state = keras.ops.convert_to_numpy(model.get_layer("memory").states[0])
    print(f"pass {epoch} loss: {loss:.6f}")
    print(f"pass {epoch} state: {np.abs(state).mean():.6f}")
    reset_states(model)

warm = model.predict(x[: 3 * batch_size], batch_size=batch_size, verbose=0)
again = model.predict(x[: 3 * batch_size], batch_size=batch_size, verbose=0)
print(f"states matter: {not np.allclose(warm, again)}")
reset_states(model)
third = model.predict(x[: 3 * batch_size], batch_size=batch_size, verbose=0)
print(f"reset restores: {np.allclose(warm, third, atol=1e-6)}")

# one step of one series at a time
single = make_model(1, 1, stateful=True)
single.set_weights(model.get_weights())
value, rolled = signal[:1], []
for _ in range(6):
    value = single.predict(value.reshape(1, 1, 1), verbose=0)[0, 0]
    rolled.append(float(value[0]))
print("rolled out:", " ".join(f"{v:.5f}" for v in rolled))

# cells by hand, and states passed from one layer to the next
inputs = keras.Input((timesteps, 1))
encoded, h, c = LSTM(5, return_state=True)(inputs)
repeated = keras.layers.RepeatVector(timesteps)(encoded)
decoded = LSTM(5, return_sequences=True, recurrent_dropout=0.0)(repeated, initial_state=[h, c])
stacked = RNN(StackedRNNCells([LSTMCell(4), LSTMCell(3)]), return_sequences=True)(decoded)
backwards = SimpleRNN(3, go_backwards=True, return_sequences=True)(
    GRU(4, return_sequences=True)(stacked)
)
seq2seq = keras.Model(inputs, TimeDistributed(Dense(1, activation="tanh"))(backwards))
seq2seq.compile(optimizer="rmsprop", loss="mae", metrics=["cosine_similarity"])
seq2seq.fit(x, y, epochs=2, batch_size=20, verbose=2)
loss, cosine = seq2seq.evaluate(x, y, verbose=0)
print(f"seq2seq loss: {loss:.6f}")
print(f"seq2seq cosine: {cosine:.6f}")
