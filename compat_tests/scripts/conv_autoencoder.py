"""A denoising convolutional autoencoder and a deep dense one with tied parts, Keras 3 style."""

import keras
import numpy as np
from keras import layers
from keras.models import Model
from sklearn.datasets import load_digits

keras.utils.set_random_seed(55)
data = (load_digits().images / 16).astype("float32")[..., None]
train_data, test_data = data[:768], data[768:960]


def noise(array, seed):
    noise_factor = 0.4
    noisy = array + noise_factor * np.random.default_rng(seed).normal(size=array.shape)
    return np.clip(noisy, 0.0, 1.0).astype("float32")


noisy_train, noisy_test = noise(train_data, 0), noise(test_data, 1)

input = layers.Input(shape=(8, 8, 1))
x = layers.Conv2D(16, (3, 3), activation="relu", padding="same")(input)
x = layers.MaxPooling2D((2, 2), padding="same")(x)
x = layers.Conv2D(16, (3, 3), activation="relu", padding="same")(x)
x = layers.MaxPooling2D((2, 2), padding="same")(x)
x = layers.Conv2DTranspose(16, (3, 3), strides=2, activation="relu", padding="same")(x)
x = layers.Conv2DTranspose(16, (3, 3), strides=2, activation="relu", padding="same")(x)
x = layers.Conv2D(1, (3, 3), activation="sigmoid", padding="same")(x)
autoencoder = Model(input, x)
autoencoder.compile(optimizer="adam", loss="binary_crossentropy")
autoencoder.summary()

autoencoder.fit(
    x=train_data,
    y=train_data,
    epochs=2,
    batch_size=64,
    shuffle=True,
    validation_data=(test_data, test_data),
    verbose=2,
)
history = autoencoder.fit(
    noisy_train, train_data, epochs=3, batch_size=64, initial_epoch=2, verbose=2
)
print(f"epochs: {history.epoch}")
denoised = autoencoder.predict(noisy_test, verbose=0)
print(f"noise before: {np.mean((noisy_test - test_data) ** 2):.6f}")
print(f"noise after: {np.mean((denoised - test_data) ** 2):.6f}")

# the encoder and the decoder taken out of a trained dense autoencoder
flat_train, flat_test = train_data.reshape(-1, 64), test_data.reshape(-1, 64)
encoding_dim = 12
input_img = keras.Input(shape=(64,))
encoded = layers.Dense(
    encoding_dim, activation="relu", activity_regularizer=keras.regularizers.l1(1e-5)
)(input_img)
decoded = layers.Dense(64, activation="sigmoid")(encoded)
dense_autoencoder = keras.Model(input_img, decoded)
encoder = keras.Model(input_img, encoded)
encoded_input = keras.Input(shape=(encoding_dim,))
decoder = keras.Model(encoded_input, dense_autoencoder.layers[-1](encoded_input))
dense_autoencoder.compile(optimizer="nadam", loss="mse")
dense_autoencoder.fit(flat_train, flat_train, epochs=3, batch_size=32, verbose=0)
codes = encoder.predict(flat_test, verbose=0)
decoded_imgs = decoder.predict(codes, verbose=0)
print(f"codes: {codes.shape} {codes.mean():.6f}")
print(f"dense loss: {dense_autoencoder.evaluate(flat_test, flat_test, verbose=0):.6f}")
whole = dense_autoencoder.predict(flat_test, verbose=0)
print(f"same as the parts: {np.allclose(decoded_imgs, whole, atol=1e-6)}")
threshold = np.mean((whole - flat_test) ** 2, axis=1).mean()
print(f"anomaly threshold: {threshold:.6f}")
