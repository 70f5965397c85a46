"""Columns of a file: lines decoded, strings looked up, numbers normalized, a functional model."""

import numpy as np
import tensorflow as tf

rng = np.random.default_rng(0)
kinds, rows = ["cat", "dog", "bird"], []
for i in range(96):
    kind, age, fee = kinds[i % 3], int(rng.integers(0, 60)), round(float(rng.uniform(0, 100)), 1)
    adopted = int(age < 30 and kind != "bird")
    rows.append(f"{kind},{'' if i % 11 == 0 else age},{fee},{adopted}")
with open("pets.csv", "w") as file:
    file.write("\n".join(["Type,Age,Fee,Adopted", *rows]) + "\n")

COLUMNS = ["Type", "Age", "Fee", "Adopted"]


def parse(line):
    fields = tf.io.decode_csv(line, record_defaults=[[""], [24.0], [0.0], [0]])
    features = dict(zip(COLUMNS, fields, strict=True))
    return features, features.pop("Adopted")


lines = tf.data.TextLineDataset("pets.csv").skip(1)
dataset = lines.map(parse, num_parallel_calls=tf.data.AUTOTUNE).cache()
for features, label in dataset.take(1):
    print("first:", {k: v.numpy() for k, v in sorted(features.items())}, label.numpy())
size = dataset.reduce(0, lambda count, _: count + 1).numpy()
print("size:", size)
total = dataset.map(lambda x, y: x["Fee"]).reduce(0.0, lambda s, fee: s + fee)
print(f"fees: {total.numpy():.1f}")


def get_normalization_layer(name):
    normalizer = tf.keras.layers.Normalization(axis=None)
    normalizer.adapt(dataset.map(lambda x, y: x[name]).batch(32))
    return normalizer


def get_category_encoding_layer(name):
    index = tf.keras.layers.StringLookup(max_tokens=5)
    index.adapt(dataset.map(lambda x, y: x[name]).batch(32))
    encoder = tf.keras.layers.CategoryEncoding(num_tokens=index.vocabulary_size())
    return lambda feature: encoder(index(feature))


all_inputs, encoded = {}, []
for header in ("Age", "Fee"):
    column = tf.keras.Input(shape=(1,), name=header)
    all_inputs[header] = column
    encoded.append(get_normalization_layer(header)(column))
encode = get_category_encoding_layer("Type")


def prepare(features, label):
    features = {name: tf.reshape(value, [-1, 1]) for name, value in features.items()}
    features["Type"] = encode(features["Type"])
    return features, tf.cast(label, tf.float32)[:, tf.newaxis]


kind = tf.keras.Input(shape=(4,), name="Type")
all_inputs["Type"] = kind
x = tf.keras.layers.concatenate([*encoded, kind])
x = tf.keras.layers.Dense(8, activation="relu", name="hidden")(x)
model = tf.keras.Model(all_inputs, tf.keras.layers.Dense(1, name="out")(x))
for name in ("hidden", "out"):
    layer = model.get_layer(name)
    layer.set_weights([rng.normal(0, 0.4, w.shape) for w in layer.get_weights()])
model.compile(
    optimizer=tf.keras.optimizers.RMSprop(0.02),
    loss=tf.keras.losses.BinaryCrossentropy(from_logits=True),
    metrics=[tf.keras.metrics.BinaryAccuracy(threshold=0.0), tf.keras.metrics.AUC(name="auc")],
)
batches = dataset.batch(16).map(prepare).prefetch(1)
for features, label in batches.take(1):
    print("types:", features["Type"].shape, float(tf.reduce_sum(features["Type"])), label.shape)
history = model.fit(batches, epochs=5, verbose=0)
print("loss:", [round(v, 3) for v in history.history["loss"]])
loss, accuracy, _ = model.evaluate(batches, verbose=0)
print(f"evaluated: {loss:.3f} accuracy: {accuracy:.3f}")
sample = {"Age": [3.0], "Fee": [10.0], "Type": ["cat"]}
inputs = {name: tf.convert_to_tensor(value) for name, value in sample.items()}
features, _ = prepare(inputs, tf.constant([0]))
print(f"probability: {tf.nn.sigmoid(model(features))[0, 0]:.2f}")
