"""Forecast a noisy wave: a PyDataset of windows, a generator, Conv1D and LSTM baselines."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(99)
time = np.arange(700)
noise = np.random.default_rng(1).normal(0, 0.1, 700)
series = (np.sin(time / 10) + 0.3 * np.sin(time / 3.3) + 0.001 * time + noise).astype("float32")
split = 500
mean, std = series[:split].mean(), series[:split].std()
series = (series - mean) / std


class WindowedSeries(keras.utils.PyDataset):
    """Batches of (window, next value)."""

    def __init__(self, values, window, batch_size, shuffle=False, **kwargs):
        super().__init__(**kwargs)
        self.values, self.window, self.batch_size = values, window, batch_size
        self.order = np.arange(len(values) - window)
        self.shuffle = shuffle
        self.rng = np.random.default_rng(0)
        self.epochs_ended = 0

    def __len__(self):
        return int(np.ceil(len(self.order) / self.batch_size))

    def __getitem__(self, index):
        starts = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        x = np.stack([self.values[s : s + self.window] for s in starts])[..., None]
        return x, self.values[starts + self.window]

    def on_epoch_end(self):
        self.epochs_ended += 1
        if self.shuffle:
            self.rng.shuffle(self.order)


def window_generator(values, window, batch_size):
    """Endless batches, as older code feeds them."""
    start = 0
    while True:
        if start + window + batch_size >= len(values):
            start = 0
        rows = [values[start + i : start + i + window] for i in range(batch_size)]
        yield np.stack(rows)[..., None], values[start + window : start + window + batch_size]
        start += batch_size


train = WindowedSeries(series[:split], 24, 32, shuffle=True)
valid = WindowedSeries(series[split:], 24, 32)
print(f"train batches: {len(train)}")


def evaluate(name, model, fit):
    model.compile(optimizer="adam", loss="huber", metrics=["mae"])
    history = fit(model)
    scores = model.evaluate(valid, verbose=0, return_dict=True)
    print(f"{name} train loss: {history.history['loss'][-1]:.6f}")
    for metric in sorted(scores):
        print(f"{name} {metric}: {scores[metric]:.6f}")
    return model


conv = keras.Sequential(
    [
        keras.Input((24, 1)),
        layers.Conv1D(16, 3, padding="causal", activation="relu"),
        layers.Conv1D(16, 3, padding="causal", dilation_rate=2, activation="relu"),
        layers.MaxPooling1D(2),
        layers.GlobalAveragePooling1D(),
        layers.Dense(1),
    ]
)
evaluate("conv", conv, lambda m: m.fit(train, validation_data=valid, epochs=3, verbose=2))
print(f"epochs ended: {train.epochs_ended}")

lstm = keras.Sequential(
    [
        keras.Input((None, 1)),
        layers.LSTM(16, return_sequences=True),
        layers.LSTM(8),
        layers.Dense(1),
    ]
)
evaluate(
    "lstm",
    lstm,
    lambda m: m.fit(
        window_generator(series[:split], 24, 32), steps_per_epoch=12, epochs=2, verbose=2
    ),
)

window = series[split : split + 24].copy()
forecast = []
for _ in range(5):
    step = lstm.predict(window[None, :, None], verbose=0)[0, 0]
    forecast.append(step)
    window = np.append(window[1:], step)
print("forecast:", " ".join(f"{value:.5f}" for value in forecast))
print(f"all predictions: {conv.predict(valid, verbose=0).shape}")
