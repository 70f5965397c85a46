"""Sentiment of short reviews: text cleaned with `tf.strings`, vectorized within `Dataset.map`."""

import re
import string

import numpy as np
import tensorflow as tf
from tensorflow.keras import layers
from tensorflow.keras.layers import TextVectorization

good, bad = ["great", "fine", "lovely", "best"], ["awful", "boring", "worst", "bad"]
rng = np.random.default_rng(0)
texts, labels = [], []
for i in range(80):
    words = good if i % 2 else bad
    noise = rng.choice(["the", "film", "plot", "was", "a"], 3)
    texts.append(f"<br />{' '.join(noise)} {rng.choice(words).upper()}, {rng.choice(words)}!")
    labels.append(i % 2)

raw = tf.data.Dataset.from_tensor_slices((texts, labels)).batch(16)
for text_batch, label_batch in raw.take(1):
    print("text:", text_batch.numpy()[0].decode(), "label:", label_batch.numpy()[0])
    print("dtype:", text_batch.dtype == tf.string, text_batch.shape)


def custom_standardization(input_data):
    lowercase = tf.strings.lower(input_data)
    stripped = tf.strings.regex_replace(lowercase, "<br />", " ")
    return tf.strings.regex_replace(stripped, f"[{re.escape(string.punctuation)}]", "")


vectorize_layer = TextVectorization(
    standardize=custom_standardization, max_tokens=30, output_mode="int", output_sequence_length=6
)
vectorize_layer.adapt(raw.map(lambda x, y: x))
print(
    "vocabulary:",
    len(vectorize_layer.get_vocabulary()),
    sorted(map(str, vectorize_layer.get_vocabulary()))[2:6],
)


def vectorize_text(text, label):
    text = tf.expand_dims(text, -1)
    return vectorize_layer(text), label


train = raw.map(vectorize_text).cache().prefetch(buffer_size=tf.data.AUTOTUNE)
for tokens, _ in train.take(1):
    print("tokens:", tokens.shape, int(tf.reduce_max(tokens)) < 30)

single = raw.unbatch().map(lambda text, label: (tf.strings.length(text), label))
print("lengths:", [int(n) for n, _ in single.take(3)])
split = tf.strings.split(custom_standardization(texts[0]))
print(
    "words:",
    [w.decode() for w in split.numpy()],
    tf.strings.join(["a", "b"], separator="-").numpy(),
)
lookup = layers.StringLookup(vocabulary=["great", "awful"])
print("lookup:", lookup(tf.constant(["awful", "other", "great"])).numpy().tolist())

model = tf.keras.Sequential(
    [
        tf.keras.Input((6,), dtype="int64"),
        layers.Embedding(30, 8),
        layers.GlobalAveragePooling1D(),
        layers.Dense(1),
    ]
)
order = {w: i for i, w in enumerate(vectorize_layer.get_vocabulary())}
embedding = np.zeros((30, 8), "float32")  # by the word, since equal counts have no certain order
for word, place in order.items():
    embedding[place] = np.random.default_rng(len(word) * 7 + ord((word or "_")[0])).normal(
        0, 0.3, 8
    )
kernel = rng.normal(0, 0.3, (8, 1))
model.set_weights([embedding, kernel, np.zeros(1)])
model.compile(
    loss=tf.keras.losses.BinaryCrossentropy(from_logits=True),
    optimizer=tf.keras.optimizers.SGD(2.0),
    metrics=[tf.keras.metrics.BinaryAccuracy(threshold=0.0)],
)
history = model.fit(train, epochs=5, verbose=0)
print("loss:", [round(v, 3) for v in history.history["loss"]])
print(f"accuracy: {history.history['binary_accuracy'][-1]:.3f}")
scores = tf.sigmoid(model(vectorize_layer(tf.constant(["The BEST, great plot!", "awful, bad"]))))
print("scores:", scores.numpy().ravel().round(2).tolist())
