"""Text classification with a Transformer block written as a subclassed layer, Keras 3 style."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(31)


class TransformerBlock(layers.Layer):
    def __init__(self, embed_dim, num_heads, ff_dim, rate=0.0, **kwargs):
        super().__init__(**kwargs)
        self.att = layers.MultiHeadAttention(num_heads=num_heads, key_dim=embed_dim // num_heads)
        self.ffn = keras.Sequential(
            [layers.Dense(ff_dim, activation="gelu"), layers.Dense(embed_dim)]
        )
        self.layernorm1 = layers.LayerNormalization(epsilon=1e-6)
        self.layernorm2 = layers.LayerNormalization(epsilon=1e-6)
        self.dropout1 = layers.Dropout(rate)
        self.dropout2 = layers.Dropout(rate)
        self.supports_masking = True

    def call(self, inputs, mask=None, training=None):
        attention_mask = None if mask is None else ops.expand_dims(mask, 1)
        attended = self.att(inputs, inputs, attention_mask=attention_mask, training=training)
        attended = self.dropout1(attended, training=training)
        out1 = self.layernorm1(inputs + attended)
        out2 = self.dropout2(self.ffn(out1), training=training)
        return self.layernorm2(out1 + out2)


class TokenAndPositionEmbedding(layers.Layer):
    def __init__(self, maxlen, vocab_size, embed_dim, **kwargs):
        super().__init__(**kwargs)
        self.token_emb = layers.Embedding(vocab_size, embed_dim)
        self.pos_emb = layers.Embedding(maxlen, embed_dim)

    def compute_mask(self, inputs, mask=None):
        return ops.not_equal(inputs, 0)

    def call(self, x):
        positions = ops.arange(0, ops.shape(x)[-1], 1)
        return self.token_emb(x) + self.pos_emb(positions)


maxlen, vocab_size, embed_dim = 16, 40, 16
rng = np.random.default_rng(0)
lengths = rng.integers(4, maxlen + 1, 320)
tokens = rng.integers(2, vocab_size, (320, maxlen))
tokens[np.arange(maxlen)[None, :] >= lengths[:, None]] = 0
labels = np.array([(row == 5).any() or (row == 7).sum() > 1 for row in tokens]).astype("int64")

inputs = layers.Input(shape=(maxlen,), dtype="int32")
x = TokenAndPositionEmbedding(maxlen, vocab_size, embed_dim)(inputs)
x = TransformerBlock(embed_dim, num_heads=2, ff_dim=32)(x)
x = layers.GlobalAveragePooling1D()(x)
x = layers.Dense(20, activation="relu")(x)
outputs = layers.Dense(2, activation="softmax")(x)
model = keras.Model(inputs=inputs, outputs=outputs)
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
print(f"parameters: {model.count_params()}")
model.fit(
    tokens[:256],
    labels[:256],
    batch_size=32,
    epochs=3,
    validation_data=(tokens[256:], labels[256:]),
    verbose=2,
)
loss, accuracy = model.evaluate(tokens[256:], labels[256:], verbose=0)
print(f"loss: {loss:.6f}")
print(f"accuracy: {accuracy:.6f}")

# a causal decoder-style stack with cross attention, called eagerly
mha = layers.MultiHeadAttention(num_heads=2, key_dim=4, value_dim=6, name="cross")
query = ops.convert_to_tensor(rng.normal(size=(2, 5, 8)).astype("float32"))
value = ops.convert_to_tensor(rng.normal(size=(2, 7, 8)).astype("float32"))
out, scores = mha(query, value, return_attention_scores=True)
print(f"cross {tuple(out.shape)} {tuple(scores.shape)}: {float(ops.sum(ops.abs(out))):.6f}")
causal = layers.MultiHeadAttention(num_heads=2, key_dim=4)
out, scores = causal(query, query, use_causal_mask=True, return_attention_scores=True)
print(f"future attention: {float(ops.sum(ops.triu(scores, k=1))):.6f}")
