"""Forecasts from windows of a series: `window`, `flat_map`, an LSTM, a loop with validation."""

import numpy as np
import tensorflow as tf

tf.random.set_seed(42)
time = np.arange(200, dtype="float32")
series = (np.sin(time / 6) + 0.1 * np.cos(time)).astype("float32")
WINDOW, BATCH = 10, 32


def windowed_dataset(series, window_size, batch_size):
    series = tf.expand_dims(series, axis=-1)
    ds = tf.data.Dataset.from_tensor_slices(series)
    ds = ds.window(window_size + 1, shift=1, drop_remainder=True)
    ds = ds.flat_map(lambda w: w.batch(window_size + 1))
    ds = ds.map(lambda w: (w[:-1], w[-1]))
    return ds.batch(batch_size).prefetch(1)


train, valid = (
    windowed_dataset(series[:150], WINDOW, BATCH),
    windowed_dataset(series[150:], WINDOW, BATCH),
)
x, y = next(iter(train))
print("batch:", x.shape.as_list(), y.shape.as_list(), f"{y.numpy()[0, 0]:.4f}")

model = tf.keras.models.Sequential(
    [
        tf.keras.layers.Conv1D(8, 3, padding="causal", activation="relu", input_shape=[None, 1]),
        tf.keras.layers.LSTM(8),
        tf.keras.layers.Dense(1),
        tf.keras.layers.Lambda(lambda x: x * 2.0),
    ]
)
draw = np.random.default_rng(1)
model.set_weights([draw.normal(0, 0.3, w.shape) for w in model.get_weights()])
schedule = tf.keras.optimizers.schedules.ExponentialDecay(0.02, decay_steps=10, decay_rate=0.9)
optimizer = tf.keras.optimizers.Adam(schedule)
loss_fn = tf.keras.losses.Huber()
train_mae, valid_mae = tf.keras.metrics.MeanAbsoluteError(), tf.keras.metrics.MeanAbsoluteError()


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        predictions = model(x, training=True)
        loss = loss_fn(y, predictions) + 1e-4 * tf.add_n(
            [tf.nn.l2_loss(w) for w in model.trainable_weights]
        )
    grads = tape.gradient(loss, model.trainable_weights)
    grads, norm = tf.clip_by_global_norm(grads, 1.0)
    optimizer.apply_gradients(zip(grads, model.trainable_weights, strict=True))
    train_mae.update_state(y, predictions)
    return loss, norm


@tf.function
def test_step(x, y):
    valid_mae.update_state(y, model(x, training=False))


for epoch in range(4):
    for x, y in train:
        loss, norm = train_step(x, y)
    for x, y in valid:
        test_step(x, y)
    print(f"epoch {epoch}: loss: {loss:.4f} norm: {norm:.3f}", end=" ")
    print(f"mae: {train_mae.result():.4f} val: {valid_mae.result():.4f}")
    train_mae.reset_state()
    valid_mae.reset_state()
print(
    "iterations:", int(optimizer.iterations), f"rate: {float(schedule(optimizer.iterations)):.5f}"
)

forecast = [model(series[None, t : t + WINDOW, None])[0, 0].numpy() for t in range(150, 154)]
print("forecast:", [round(float(v), 3) for v in forecast])
moving = tf.nn.avg_pool1d(tf.reshape(series, [1, -1, 1]), 5, 1, "VALID")
print(
    f"moving average: {tf.math.reduce_std(moving).numpy():.4f}", tf.shape(moving).numpy().tolist()
)
drawn = tf.random.normal([1000], mean=2.0, stddev=0.5)
print(
    "drawn:",
    1.9 < float(tf.reduce_mean(drawn)) < 2.1,
    tf.random.uniform([3], maxval=5, dtype=tf.int32).dtype.name,
)
