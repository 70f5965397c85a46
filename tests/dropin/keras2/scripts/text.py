"""Tokenizer, padding, Embedding with given weights, Bidirectional, as in scripts on texts."""

import numpy as np
from tensorflow.keras.layers import GRU, LSTM, Bidirectional, Dense, Embedding, SpatialDropout1D
from tensorflow.keras.models import Sequential
from tensorflow.keras.preprocessing.sequence import pad_sequences
from tensorflow.keras.preprocessing.text import Tokenizer

texts = ["the cat sat", "the dog ran away", "a cat and a dog", "away"]
tokenizer = Tokenizer(num_words=20, oov_token="<OOV>")
tokenizer.fit_on_texts(texts)
x = pad_sequences(tokenizer.texts_to_sequences(texts), maxlen=5, padding="post")
vocabulary = len(tokenizer.word_index) + 1
matrix = np.random.rand(vocabulary, 6)
model = Sequential()
model.add(Embedding(vocabulary, 6, input_length=5, weights=[matrix], trainable=False))
model.add(SpatialDropout1D(0.2))
model.add(Bidirectional(LSTM(4, dropout=0.1, return_sequences=True, implementation=2)))
model.add(GRU(4, reset_after=True, time_major=False))
model.add(Dense(1, activation="sigmoid"))
model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["acc"])
history = model.fit(x, np.array([0, 1, 0, 1]), epochs=2, batch_size=2, verbose=0)
assert set(history.history) == {"loss", "acc"}
np.testing.assert_allclose(model.layers[0].get_weights()[0], matrix, rtol=1e-6)
assert model.predict_classes(x).shape == (4, 1)
assert (model.predict_proba(x) >= 0).all()
