"""Handwritten digits: a functional CNN with a residual connection on scikit-learn's 8 x 8 images.

`python examples/digits.py` reaches at least 0.98 on the fifth of the images it does not train on.
"""

import numpy as np
from curves import parse_options, save_curves
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import torchkeras as keras
from torchkeras import layers


def make_model() -> keras.Model:
    """Three convolutions, one of them beside a shortcut, with dropout before the classifier."""
    inputs = keras.Input((8, 8, 1), name="image")
    x = layers.Rescaling(1 / 16)(inputs)
    x = layers.Conv2D(32, 3, padding="same", activation="relu")(x)
    x = layers.BatchNormalization(momentum=0.9)(x)
    shortcut = x
    x = layers.Conv2D(32, 3, padding="same", activation="relu")(x)
    x = layers.add([x, shortcut])
    x = layers.MaxPooling2D(2)(x)
    x = layers.Dropout(0.25)(x)
    x = layers.Conv2D(64, 3, padding="same", activation="relu")(x)
    x = layers.BatchNormalization(momentum=0.9)(x)
    x = layers.Flatten()(x)
    x = layers.Dropout(0.5)(x)
    outputs = layers.Dense(10, activation="softmax", name="digit")(x)
    return keras.Model(inputs, outputs, name="digits")


def main() -> None:
    """Train, report the held-out accuracy, show a few predictions."""
    options = parse_options(__doc__, epochs=15)
    keras.utils.set_random_seed(options.seed)
    images, digits = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8, 1).astype("float32")
    x_train, x_test, y_train, y_test = train_test_split(
        images, digits, test_size=0.2, stratify=digits, random_state=options.seed
    )
    model = make_model()
    model.summary()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(
        x_train,
        y_train,
        batch_size=32,
        epochs=options.epochs,
        validation_split=0.1,
        callbacks=[keras.callbacks.ReduceLROnPlateau(patience=2, factor=0.3)],
        verbose=2,
    )
    _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    guesses = np.argmax(model.predict(x_test[:10], verbose=0), axis=-1)
    print(f"First ten of the held-out digits: {y_test[:10]}, predicted: {guesses}")
    print(f"Held-out accuracy: {accuracy:.4f}")
    save_curves(history.history, options.output / "digits.png")


if __name__ == "__main__":
    main()
