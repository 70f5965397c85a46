"""Tones told apart by their spectrograms: `tf.signal`, a mapped pipeline, normalization, a net."""

import numpy as np
import tensorflow as tf

RATE, COUNT = 1024, 48
rng = np.random.default_rng(0)
time = np.arange(RATE // 2) / RATE
names = np.array(["high", "low", "mid"])
labels = np.arange(COUNT) % 3
pitch = np.array([220.0, 60.0, 130.0])[labels] + rng.normal(0, 5, COUNT)
waves = np.sin(2 * np.pi * pitch[:, None] * time) + rng.normal(0, 0.3, (COUNT, time.size))
waves = waves.astype("float32")


def get_spectrogram(waveform):
    spectrogram = tf.signal.stft(waveform, frame_length=64, frame_step=32)
    return tf.abs(spectrogram)[..., tf.newaxis]


dataset = tf.data.Dataset.from_tensor_slices((waves, labels))
spectrograms = dataset.map(lambda w, y: (get_spectrogram(w), y), tf.data.AUTOTUNE)
for spectrogram, label in spectrograms.take(1):
    print("spectrogram:", spectrogram.shape, "label:", names[label])
    print(f"peak bin: {int(tf.argmax(tf.reduce_mean(spectrogram, axis=0))[0])}")

weights = tf.signal.linear_to_mel_weight_matrix(12, 33, RATE, 20.0, 500.0)
mel = tf.tensordot(tf.squeeze(get_spectrogram(waves[0]), -1), weights, 1)
log_mel = tf.math.log(mel + 1e-6)
print("mel:", mel.shape, f"mean: {tf.reduce_mean(log_mel):.3f}")
frames = tf.signal.frame(waves[0], 100, 50, pad_end=True)
energy = tf.reduce_mean(tf.square(frames), axis=-1)
print("frames:", frames.shape, f"energy: {tf.reduce_max(energy):.3f}")
spectrum = tf.signal.rfft(waves[0] * tf.signal.hann_window(512, periodic=False))
print("spectrum:", spectrum.shape, spectrum.dtype.name, int(tf.argmax(tf.abs(spectrum))))
back = tf.signal.irfft(tf.signal.rfft(waves[0]))
print("back:", bool(tf.reduce_all(tf.abs(back - waves[0]) < 1e-4)))

train = spectrograms.take(36).batch(12).cache().prefetch(tf.data.AUTOTUNE)
test = spectrograms.skip(36).batch(12)
norm_layer = tf.keras.layers.Normalization()
norm_layer.adapt(data=spectrograms.map(map_func=lambda spec, label: spec).batch(12))
model = tf.keras.models.Sequential(
    [
        tf.keras.layers.Input(shape=train.element_spec[0].shape[1:]),
        tf.keras.layers.Resizing(16, 16),
        norm_layer,
        tf.keras.layers.Conv2D(4, 3, activation="relu"),
        tf.keras.layers.MaxPooling2D(),
        tf.keras.layers.Flatten(),
        tf.keras.layers.Dense(3),
    ]
)
for layer in model.layers[2:]:
    layer.set_weights([rng.normal(0, 0.1, w.shape) for w in layer.get_weights()])
model.compile(
    optimizer=tf.keras.optimizers.Adam(0.01),
    loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
history = model.fit(train, validation_data=test, epochs=4, verbose=0)
print("loss:", [round(v, 3) for v in history.history["loss"]])
print("val_loss:", [round(v, 3) for v in history.history["val_loss"]])
y_pred = tf.argmax(model.predict(test, verbose=0), axis=1)
y_true = tf.concat(list(test.map(lambda s, lab: lab)), axis=0)
print("confusion:", tf.math.confusion_matrix(y_true, y_pred).numpy().tolist())
