"""A siamese network: one embedding of two inputs, contrastive loss on their distance."""

import keras
import numpy as np
from keras import layers, ops
from sklearn.datasets import load_digits

keras.utils.set_random_seed(10)
margin = 1
digits = load_digits()
images = (digits.images[:500] / 16).astype("float32")[..., None]
labels = digits.target[:500]


def make_pairs(x, y, seed):
    rng = np.random.default_rng(seed)
    by_class = [np.flatnonzero(y == digit) for digit in range(10)]
    left, right, target = [], [], []
    for index in range(len(x)):
        same = rng.choice(by_class[y[index]])
        other = rng.choice(by_class[(y[index] + rng.integers(1, 10)) % 10])
        left += [x[index], x[index]]
        right += [x[same], x[other]]
        target += [0.0, 1.0]
    return np.array(left), np.array(right), np.array(target, dtype="float32")


a_train, b_train, t_train = make_pairs(images[:400], labels[:400], 1)
a_test, b_test, t_test = make_pairs(images[400:], labels[400:], 2)


def euclidean_distance(vectors):
    x, y = vectors
    total = ops.sum(ops.square(x - y), axis=1, keepdims=True)
    return ops.sqrt(ops.maximum(total, keras.backend.epsilon()))


def contrastive_loss(margin=1):
    def loss(y_true, y_pred):
        square_pred = ops.square(y_pred)
        margin_square = ops.square(ops.maximum(margin - y_pred, 0))
        return ops.mean((1 - y_true) * square_pred + y_true * margin_square)

    return loss


inputs = keras.Input((8, 8, 1))
x = layers.BatchNormalization()(inputs)
x = layers.Conv2D(4, (3, 3), activation="tanh")(x)
x = layers.AveragePooling2D(pool_size=(2, 2))(x)
x = layers.Flatten()(x)
x = layers.BatchNormalization()(x)
x = layers.Dense(10, activation="tanh")(x)
embedding_network = keras.Model(inputs, x, name="embedding")

input_1 = keras.Input((8, 8, 1), name="left")
input_2 = keras.Input((8, 8, 1), name="right")
tower_1 = embedding_network(input_1)
tower_2 = embedding_network(input_2)
merged = layers.Lambda(euclidean_distance, output_shape=(1,), name="distance")([tower_1, tower_2])
normal = layers.BatchNormalization()(merged)
siamese = keras.Model([input_1, input_2], layers.Dense(1, activation="sigmoid")(normal))
siamese.compile(loss=contrastive_loss(margin=margin), optimizer="RMSprop", metrics=["accuracy"])
siamese.summary()

history = siamese.fit(
    [a_train, b_train],
    t_train,
    validation_data=([a_test, b_test], t_test),
    batch_size=32,
    epochs=3,
    verbose=2,
)
loss, accuracy = siamese.evaluate([a_test, b_test], t_test, verbose=0)
print(f"test loss: {loss:.6f}")
print(f"test accuracy: {accuracy:.6f}")
named = siamese.predict({"left": a_test[:4], "right": b_test[:4]}, verbose=0)
print("distances:", " ".join(f"{value:.5f}" for value in named[:, 0]))
print(f"towers share: {len(siamese.trainable_weights)} weights")
codes = embedding_network.predict(images[400:], verbose=0)
nearest = [
    labels[:400][np.argmin(((embedding_network.predict(images[:400], verbose=0) - c) ** 2).sum(1))]
    for c in codes[:5]
]
print(f"nearest: {[int(n) for n in nearest]}")
