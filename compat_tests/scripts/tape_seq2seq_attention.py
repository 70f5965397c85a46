"""Reverse short sequences: GRU encoder and decoder, additive attention, teacher forcing."""

import numpy as np
import tensorflow as tf

VOCABULARY, LENGTH, UNITS, START = 8, 4, 16, 1
rng = np.random.default_rng(0)
source = rng.integers(2, VOCABULARY, size=(96, LENGTH)).astype("int32")
source[::5, -1] = 0  # padding
target = np.concatenate([np.full((96, 1), START), source[:, ::-1]], axis=1).astype("int32")


class Attention(tf.keras.layers.Layer):
    def __init__(self, units):
        super().__init__()
        self.w1 = tf.keras.layers.Dense(units)
        self.w2 = tf.keras.layers.Dense(units)
        self.v = tf.keras.layers.Dense(1)

    def call(self, query, values):
        query = tf.expand_dims(query, 1)
        score = self.v(tf.nn.tanh(self.w1(query) + self.w2(values)))
        weights = tf.nn.softmax(score, axis=1)
        return tf.reduce_sum(weights * values, axis=1), weights


class Encoder(tf.keras.Model):
    def __init__(self):
        super().__init__()
        self.embedding = tf.keras.layers.Embedding(VOCABULARY, 8)
        self.gru = tf.keras.layers.GRU(UNITS, return_sequences=True, return_state=True)

    def call(self, x):
        return self.gru(self.embedding(x))


class Decoder(tf.keras.Model):
    def __init__(self):
        super().__init__()
        self.embedding = tf.keras.layers.Embedding(VOCABULARY, 8)
        self.gru = tf.keras.layers.GRU(UNITS, return_state=True)
        self.attention = Attention(UNITS)
        self.out = tf.keras.layers.Dense(VOCABULARY)

    def call(self, token, state, memory):
        context, weights = self.attention(state, memory)
        x = self.embedding(token)
        x = tf.concat([tf.expand_dims(context, 1), x], axis=-1)
        output, state = self.gru(x, initial_state=state)
        return self.out(output), state, weights


encoder, decoder = Encoder(), Decoder()
memory, state = encoder(source[:1])
decoder(target[:1, :1], state, memory)
draw = np.random.default_rng(4)
for model in (encoder, decoder):
    model.set_weights([draw.normal(0, 0.3, w.shape) for w in model.get_weights()])
optimizer = tf.keras.optimizers.SGD(0.5)
loss_object = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")


def loss_function(real, predicted):
    mask = tf.cast(tf.math.logical_not(tf.math.equal(real, 0)), tf.float32)
    return tf.reduce_sum(loss_object(real, predicted) * mask) / tf.reduce_sum(mask)


@tf.function
def train_step(inputs, targets):
    loss = 0.0
    with tf.GradientTape() as tape:
        memory, state = encoder(inputs)
        token = tf.expand_dims(targets[:, 0], 1)
        for t in range(1, LENGTH + 1):
            logits, state, _ = decoder(token, state, memory)
            loss += loss_function(targets[:, t], logits)
            token = tf.expand_dims(targets[:, t], 1)  # teacher forcing
    variables = encoder.trainable_variables + decoder.trainable_variables
    gradients = tape.gradient(loss, variables)
    optimizer.apply_gradients(zip(gradients, variables, strict=True))
    return loss / LENGTH


dataset = tf.data.Dataset.from_tensor_slices((source, target)).batch(32, drop_remainder=True)
for epoch in range(6):
    total, steps = 0.0, len(dataset)
    for batch, (inputs, targets) in enumerate(dataset.take(steps)):
        total += train_step(inputs, targets)
        if batch == 0 and epoch == 0:
            print(f"first batch: {total:.3f}")
    print(f"epoch {epoch}: loss: {total / steps:.3f}")


def translate(row):
    memory, state = encoder(tf.constant(row[None]))
    token, words, heat = tf.constant([[START]]), [], []
    for _ in range(LENGTH):
        logits, state, weights = decoder(token, state, memory)
        word = tf.argmax(logits, axis=-1, output_type=tf.int32)
        words.append(int(word[0]))
        heat.append(tf.reshape(weights, (-1,)).numpy())
        token = tf.expand_dims(word, 1)
    return words, np.stack(heat)


words, heat = translate(source[0])
print("length:", len(words), "attention:", heat.shape, f"rows sum to {heat.sum(1).mean():.3f}")
_, state = encoder(source[:2])
print("state:", np.round(state.numpy()[0, :3], 2).tolist())
