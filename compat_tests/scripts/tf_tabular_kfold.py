"""K-fold regression on the diabetes data: tf.keras, NumPy standardization, early stopping."""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
from sklearn.datasets import load_diabetes
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.model_selection import KFold
from tensorflow import keras
from tensorflow.keras import layers, regularizers

np.random.seed(7)
tf.random.set_seed(7)
keras.utils.set_random_seed(7)

data, target = load_diabetes(return_X_y=True)
data = data.astype("float32")
target = (target / target.max()).astype("float32")


def build_model():
    model = keras.Sequential(
        [
            layers.Dense(
                32,
                activation="relu",
                kernel_regularizer=regularizers.l2(1e-3),
                input_shape=[data.shape[1]],
            ),
            layers.Dense(16, activation="relu", kernel_regularizer=regularizers.l1_l2(1e-5, 1e-4)),
            layers.Dense(1),
        ]
    )
    optimizer = keras.optimizers.RMSprop(0.005)
    model.compile(
        loss="mse",
        optimizer=optimizer,
        metrics=["mae", keras.metrics.RootMeanSquaredError(name="rmse")],
    )
    return model


scores, r2 = [], []
for fold, (train, test) in enumerate(KFold(n_splits=3, shuffle=True, random_state=1).split(data)):
    keras.backend.clear_session()
    model = build_model()
    mean, std = data[train].mean(axis=0), data[train].std(axis=0)
    x_train, x_test = (data[train] - mean) / std, (data[test] - mean) / std
    stop = keras.callbacks.EarlyStopping(
        monitor="val_loss", patience=3, restore_best_weights=True, verbose=1
    )
    history = model.fit(
        x_train,
        target[train],
        epochs=12,
        batch_size=32,
        validation_split=0.2,
        verbose=0,
        callbacks=[stop],
    )
    loss, mae, rmse = model.evaluate(x_test, target[test], verbose=0)
    predictions = model.predict(x_test, verbose=0).flatten()
    scores.append(mae)
    r2.append(r2_score(target[test], predictions))
    print(f"fold {fold} layers: {[layer.name for layer in model.layers]}")
    print(f"fold {fold} epochs: {len(history.history['loss'])}")
    print(f"fold {fold} loss: {loss:.6f}")
    print(f"fold {fold} mae: {mae:.6f}")
    print(f"fold {fold} rmse: {rmse:.6f}")
    print(f"fold {fold} sklearn mae: {mean_absolute_error(target[test], predictions):.6f}")

print(f"mean mae: {np.mean(scores):.6f}")
print(f"mean r2: {np.mean(r2):.6f}")
