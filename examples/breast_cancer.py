"""Breast cancer: an MLP with `Normalization`, class weights and early stopping.

The data (569 tumours, 30 measured features) is bundled with scikit-learn. The rarer class is
weighted up, so that malignant tumours count as much as benign ones.
"""

import numpy as np
from curves import parse_options, save_curves
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

import torchkeras as keras
from torchkeras import layers


def make_model(x_train: np.ndarray) -> keras.Model:
    """A two-layer MLP that standardizes its inputs by the mean and variance of `x_train`."""
    normalization = layers.Normalization()
    normalization.adapt(x_train)
    return keras.Sequential(
        [
            layers.Input((x_train.shape[1],)),
            normalization,
            layers.Dense(32, activation="relu", kernel_regularizer=keras.regularizers.L2(1e-3)),
            layers.Dropout(0.3),
            layers.Dense(16, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


def main() -> None:
    """Train until the validation loss stops falling; report on the held-out fifth."""
    options = parse_options(__doc__, epochs=100)
    keras.utils.set_random_seed(options.seed)
    x, benign = load_breast_cancer(return_X_y=True)
    malignant = (1 - benign).astype("float32")
    x_train, x_test, y_train, y_test = train_test_split(
        x.astype("float32"), malignant, test_size=0.2, stratify=benign, random_state=options.seed
    )
    share = float(y_train.mean())
    model = make_model(x_train)
    model.compile(
        optimizer=keras.optimizers.AdamW(
            keras.optimizers.schedules.ExponentialDecay(3e-3, 200, 0.9)
        ),
        loss="binary_crossentropy",
        metrics=["accuracy", keras.metrics.Recall(name="recall"), keras.metrics.AUC(name="auc")],
    )
    history = model.fit(
        x_train,
        y_train,
        epochs=options.epochs,
        validation_split=0.2,
        class_weight={0: 0.5 / (1 - share), 1: 0.5 / share},
        callbacks=[
            keras.callbacks.EarlyStopping(patience=10, restore_best_weights=True, verbose=1),
        ],
        verbose=2,
    )
    scores = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
    print("Held-out " + ", ".join(f"{name}: {value:.4f}" for name, value in sorted(scores.items())))
    save_curves(history.history, options.output / "breast_cancer.png")


if __name__ == "__main__":
    main()
