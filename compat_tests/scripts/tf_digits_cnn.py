"""Classify handwritten digits with a small CNN, in the style of tf.keras 2.x tutorials."""

import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tensorflow.keras.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    MaxPooling2D,
)
from tensorflow.keras.models import Sequential
from tensorflow.keras.optimizers import SGD
from tensorflow.keras.utils import to_categorical

SEED = 42
BATCH_SIZE = 64
EPOCHS = 3
NUM_CLASSES = 10

tf.keras.utils.set_random_seed(SEED)

digits = load_digits()
X = digits.images.reshape(-1, 8, 8, 1).astype("float32") / 16.0
y = to_categorical(digits.target, NUM_CLASSES)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=SEED)
print("X_train shape:", X_train.shape)
print(X_train.shape[0], "train samples")
print(X_test.shape[0], "test samples")


def build_model(input_shape):
    model = Sequential()
    model.add(
        Conv2D(16, kernel_size=(3, 3), padding="same", use_bias=False, input_shape=input_shape)
    )
    model.add(BatchNormalization())
    model.add(Activation("relu"))
    model.add(MaxPooling2D(pool_size=(2, 2)))
    model.add(Conv2D(32, (3, 3), activation="relu", kernel_initializer="he_uniform"))
    model.add(Flatten())
    model.add(Dense(64, activation="relu"))
    model.add(Dropout(0.5))
    model.add(Dense(NUM_CLASSES, activation="softmax"))
    model.compile(
        optimizer=SGD(learning_rate=0.01, momentum=0.9),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


model = build_model(X_train.shape[1:])
model.summary()

history = model.fit(
    X_train,
    y_train,
    batch_size=BATCH_SIZE,
    epochs=EPOCHS,
    verbose=2,
    validation_data=(X_test, y_test),
)

score = model.evaluate(X_test, y_test, verbose=0)
print(f"Test loss: {score[0]:.6f}")
print(f"Test accuracy: {score[1]:.6f}")

probabilities = model.predict(X_test, verbose=0)
predicted = np.argmax(probabilities, axis=1)
errors = int(np.sum(predicted != np.argmax(y_test, axis=1)))
print(f"Wrong of {len(y_test)}: {errors}")
for key, values in history.history.items():
    print(f"{key}: " + " ".join(f"{value:.6f}" for value in values))
