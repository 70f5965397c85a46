"""What a training recipe may hold: schedules, clipping, EMA, class and sample weights, loops."""

import keras
import numpy as np
from keras.optimizers.schedules import (
    CosineDecay,
    ExponentialDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
)
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.utils.class_weight import compute_class_weight

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=3)
classes = np.unique(y_train)
balanced = compute_class_weight("balanced", classes=classes, y=y_train)
class_weight = {int(c): float(w) for c, w in zip(classes, balanced, strict=True)}
normalizer = keras.layers.Normalization()
normalizer.adapt(X_train)
print(f"normalizer mean: {float(keras.ops.mean(normalizer.mean)):.4f}")


def make_model():
    keras.utils.set_random_seed(21)
    return keras.Sequential(
        [
            keras.Input((30,)),
            normalizer,
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )


def run(name, optimizer, loss="binary_crossentropy", **fit):
    model = make_model()
    model.compile(
        optimizer,
        loss,
        metrics=[keras.metrics.Precision(name="precision"), keras.metrics.Recall(name="recall")],
        weighted_metrics=["accuracy"],
    )
    model.fit(X_train, y_train, epochs=2, batch_size=32, verbose=0, **fit)
    results = model.evaluate(X_test, y_test, verbose=0, return_dict=True)
    for metric, value in results.items():
        print(f"{name} {metric}: {value:.6f}")
    print(f"{name} learning rate: {float(model.optimizer.learning_rate):.8f}")
    return model


adam, sgd = keras.optimizers.Adam, keras.optimizers.SGD
run("exponential", adam(ExponentialDecay(0.01, 10, 0.9, staircase=True)))
run("cosine", adam(CosineDecay(1e-4, 20, warmup_target=5e-3, warmup_steps=5), clipnorm=0.5))
run("piecewise", sgd(PiecewiseConstantDecay([5, 15], [0.5, 0.1, 0.01]), clipvalue=0.05))
run("polynomial", sgd(PolynomialDecay(0.1, 20, 0.001, power=2.0), 0.9, nesterov=True))
run("clipped", keras.optimizers.RMSprop(0.01, centered=True, momentum=0.5, global_clipnorm=0.3))
run("ema", adam(0.01, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=5))
run("accumulated", adam(0.01, gradient_accumulation_steps=3))
run("amsgrad", adam(0.01, amsgrad=True, weight_decay=0.01))
run("classes", "adam", class_weight=class_weight)
sample_weight = 1 + X_train[:, 0] / X_train[:, 0].max()
smoothed = keras.losses.BinaryCrossentropy(label_smoothing=0.1)
run("samples", "adam", smoothed, sample_weight=sample_weight, shuffle=False)

# the learning rate may be set, and the model driven batch by batch
model = run("manual", sgd(0.01))
model.optimizer.learning_rate = 0.2
model.reset_metrics()
for start in range(0, 128, 32):
    logs = model.train_on_batch(
        X_train[start : start + 32], y_train[start : start + 32], return_dict=True
    )
for metric, value in logs.items():
    print(f"batch {metric}: {float(value):.6f}")
print(f"test batch: {float(model.test_on_batch(X_test[:32], y_test[:32])[0]):.6f}")
print(f"predicted: {float(model.predict_on_batch(X_test[:32]).mean()):.6f}")
print(f"iterations: {int(model.optimizer.iterations)}")
config = model.optimizer.get_config()
print(f"momentum, learning rate: {config['momentum']} {config['learning_rate']:.4f}")
