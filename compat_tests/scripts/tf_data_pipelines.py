"""Data pipelines: sources, steps, windows, padding, text files, generators; training on them."""

import numpy as np
import tensorflow as tf

AUTOTUNE = tf.data.AUTOTUNE


def shown(dataset):
    return [np.asarray(x).tolist() for x in dataset.as_numpy_iterator()]


numbers = tf.data.Dataset.range(10)
print("filtered:", shown(numbers.filter(lambda n: n % 3 == 0).map(lambda n: n * n)))
print("steps:", shown(numbers.skip(2).take(5).repeat(2).batch(4)))
print("dropped:", shown(numbers.batch(4, drop_remainder=True)), len(numbers.batch(4)))
print("sharded:", shown(numbers.shard(3, 1)), shown(numbers.concatenate(numbers.take(1))))
windows = numbers.window(4, shift=2, stride=1, drop_remainder=True)
print("windows:", shown(windows.flat_map(lambda w: w.batch(4))))
print("interleaved:", shown(
    tf.data.Dataset.range(3).interleave(
        lambda n: tf.data.Dataset.from_tensors(n).repeat(4), cycle_length=2, block_length=2
    )
))  # fmt: skip
print(
    "zipped:",
    [
        (int(a), float(b))
        for a, b in tf.data.Dataset.zip((numbers, numbers.map(lambda n: n / 2))).take(3)
    ],
)
print("enumerated:", [(int(i), int(n)) for i, n in numbers.skip(7).enumerate(start=5)])
print("sum:", numbers.reduce(np.int64(0), lambda total, n: total + n).numpy())
print("scanned:", shown(numbers.take(4).scan(np.int64(0), lambda s, n: (s + n, s + n))))
print(
    "until:", shown(numbers.take_while(lambda n: n < 3)), shown(numbers.batch(4).unbatch().take(3))
)
print(
    "cardinality:",
    numbers.repeat().cardinality().numpy(),
    numbers.filter(lambda n: n > 2).cardinality().numpy(),
)

ragged = tf.data.Dataset.from_generator(
    lambda: ([i] * i for i in range(1, 5)), output_signature=tf.TensorSpec([None], tf.int32)
)
print("padded:", shown(ragged.padded_batch(2, padding_values=-1)))
print("fixed:", shown(ragged.padded_batch(3, padded_shapes=[5], drop_remainder=True)))
print("spec:", ragged.batch(1).element_spec.shape.as_list(), ragged.element_spec.dtype.name)
buckets = ragged.bucket_by_sequence_length(lambda e: tf.shape(e)[0], [3], [2, 2])
print("buckets:", shown(buckets))

shuffled = numbers.shuffle(10, seed=3)
order = shown(shuffled)
print("shuffled:", sorted(order) == list(range(10)), order != list(range(10)))
print("reshuffled:", shown(shuffled) != order)
fixed = numbers.shuffle(10, seed=3, reshuffle_each_iteration=False)
print("same order:", shown(fixed) == shown(fixed))

with open("a.txt", "w") as file:
    file.write("1,2.5,yes\n2,3.5,no\n")
with open("b.txt", "w") as file:
    file.write("3,4.5,yes\n")
files = tf.data.Dataset.list_files("*.txt", shuffle=False)
lines = files.interleave(tf.data.TextLineDataset, cycle_length=1)


def parse(line):
    number, value, word = tf.io.decode_csv(line, [[0], [0.0], [""]])
    return {"number": number, "value": value}, tf.cast(word == "yes", tf.int32)


for features, label in lines.map(parse).batch(2):
    print(
        "parsed:",
        features["number"].numpy().tolist(),
        features["value"].numpy().tolist(),
        label.numpy().tolist(),
    )

# A dataset of dicts, cached and prefetched, trains a model.
rng = np.random.default_rng(0)
table = {
    "a": rng.normal(size=(96, 2)).astype("float32"),
    "b": rng.normal(size=(96, 1)).astype("float32"),
}
labels = (table["a"].sum(1, keepdims=True) + table["b"] > 0).astype("float32")
calls = []


def prepare(features, label):
    return {"a": features["a"] * 2.0, "b": tf.clip_by_value(features["b"], -1.0, 1.0)}, label


train = (
    tf.data.Dataset.from_tensor_slices((table, labels))
    .map(prepare, num_parallel_calls=AUTOTUNE)
    .cache()
    .batch(32)
    .prefetch(AUTOTUNE)
)
a, b = tf.keras.Input((2,), name="a"), tf.keras.Input((1,), name="b")
x = tf.keras.layers.Dense(8, activation="tanh")(tf.keras.layers.concatenate([a, b]))
model = tf.keras.Model({"a": a, "b": b}, tf.keras.layers.Dense(1, activation="sigmoid")(x))
model.set_weights([rng.normal(0, 0.4, w.shape) for w in model.get_weights()])
model.compile(tf.keras.optimizers.SGD(0.5), "binary_crossentropy", metrics=["accuracy"])
history = model.fit(train, epochs=3, verbose=0, class_weight={0: 1.0, 1: 2.0})
print("loss:", [round(v, 4) for v in history.history["loss"]])
loss, accuracy = model.evaluate(train, verbose=0)
print(f"evaluated: {loss:.4f} accuracy: {accuracy:.4f}")
print("predicted:", model.predict(train.take(2), verbose=0).shape)
weighted = (
    tf.data.Dataset.from_tensor_slices((table, labels, np.ones(96, "float32"))).batch(48).repeat()
)
history = model.fit(weighted, epochs=2, steps_per_epoch=3, verbose=0)
print("repeated:", [round(v, 4) for v in history.history["loss"]])
