"""Sentiment of short texts: Tokenizer, padding, masked Embedding, Bidirectional LSTM and GRU."""

import random

import numpy as np
import tensorflow as tf
from tensorflow.keras.callbacks import ReduceLROnPlateau
from tensorflow.keras.layers import (
    GRU,
    LSTM,
    Bidirectional,
    Dense,
    Embedding,
    GlobalAveragePooling1D,
    Input,
    concatenate,
)
from tensorflow.keras.models import Model
from tensorflow.keras.preprocessing.sequence import pad_sequences
from tensorflow.keras.preprocessing.text import Tokenizer

MAX_LEN = 12
VOCAB = 60

random.seed(3)
good = "great lovely superb brilliant charming delightful clever moving".split()
bad = "awful dull boring terrible clumsy tedious weak annoying".split()
filler = "the movie was plot acting with a scene and really quite music of very film".split()


def make_review(words):
    text = [random.choice(filler) for _ in range(random.randint(3, 10))]
    for _ in range(random.randint(1, 3)):
        text.insert(random.randrange(len(text)), random.choice(words))
    return " ".join(text).capitalize() + "!"


texts = [make_review(good if i % 2 else bad) for i in range(240)]
labels = np.array([i % 2 for i in range(240)])

tokenizer = Tokenizer(num_words=VOCAB, oov_token="<OOV>")
tokenizer.fit_on_texts(texts)
sequences = tokenizer.texts_to_sequences(texts)
padded = pad_sequences(sequences, maxlen=MAX_LEN, padding="post", truncating="post")
print(f"Found {len(tokenizer.word_index)} unique tokens.")
print("first review:", padded[0].tolist())

tf.keras.utils.set_random_seed(1)
inputs = Input(shape=(MAX_LEN,), dtype="int32", name="tokens")
x = Embedding(VOCAB, 16, mask_zero=True, name="embedding")(inputs)
forward = Bidirectional(LSTM(12, return_sequences=True), name="bilstm")(x)
summed = Bidirectional(GRU(8), merge_mode="sum", name="bigru")(forward)
pooled = GlobalAveragePooling1D(name="pool")(forward)
outputs = Dense(1, activation="sigmoid", name="positive")(concatenate([summed, pooled]))
model = Model(inputs=inputs, outputs=outputs, name="sentiment")
model.compile(
    loss="binary_crossentropy",
    optimizer=tf.keras.optimizers.Adam(learning_rate=0.01),
    metrics=["accuracy", tf.keras.metrics.AUC(name="auc")],
)
print("layers:", [layer.name for layer in model.layers])
print(f"parameters: {model.count_params()}")

model.fit(
    padded[:200],
    labels[:200],
    epochs=3,
    batch_size=20,
    validation_data=(padded[200:], labels[200:]),
    callbacks=[ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=1, verbose=1)],
    verbose=2,
)
loss, accuracy, auc = model.evaluate(padded[200:], labels[200:], verbose=0)
print(f"loss: {loss:.6f}")
print(f"accuracy: {accuracy:.6f}")
print(f"auc: {auc:.6f}")

new = ["A brilliant and moving film", "The plot was tedious, awful acting", "unknown words here"]
encoded = pad_sequences(tokenizer.texts_to_sequences(new), maxlen=MAX_LEN, padding="post")
for text, score in zip(new, model.predict(encoded, verbose=0)[:, 0], strict=True):
    print(f"{text}: {score:.6f}")
