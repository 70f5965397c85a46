"""A small Transformer as in the tutorial: masks, positions, a warm-up schedule, a tape."""

import numpy as np
import tensorflow as tf

VOCABULARY, LENGTH, WIDTH, HEADS = 10, 6, 16, 2
rng = np.random.default_rng(0)
source = rng.integers(3, VOCABULARY, size=(64, LENGTH)).astype("int64")
source[::4, -2:] = 0  # padding
target = np.concatenate([np.full((64, 1), 1), source[:, ::-1]], 1).astype("int64")


def positional_encoding(length, depth):
    depth = depth / 2
    positions = np.arange(length)[:, np.newaxis]
    angles = positions / 10000 ** (np.arange(depth)[np.newaxis, :] / depth)
    return tf.cast(np.concatenate([np.sin(angles), np.cos(angles)], axis=-1), dtype=tf.float32)


def create_padding_mask(seq):
    seq = tf.cast(tf.math.equal(seq, 0), tf.float32)
    return seq[:, tf.newaxis, tf.newaxis, :]


def create_look_ahead_mask(size):
    return 1 - tf.linalg.band_part(tf.ones((size, size)), -1, 0)


def scaled_dot_product_attention(q, k, v, mask):
    scores = tf.matmul(q, k, transpose_b=True)
    dk = tf.cast(tf.shape(k)[-1], tf.float32)
    logits = scores / tf.math.sqrt(dk)
    if mask is not None:
        logits += mask * -1e9
    weights = tf.nn.softmax(logits, axis=-1)
    return tf.matmul(weights, v), weights


class MultiHeadAttention(tf.keras.layers.Layer):
    def __init__(self, width, heads):
        super().__init__()
        assert width % heads == 0
        self.heads, self.width, self.depth = heads, width, width // heads
        self.wq = tf.keras.layers.Dense(width)
        self.wk = tf.keras.layers.Dense(width)
        self.wv = tf.keras.layers.Dense(width)
        self.dense = tf.keras.layers.Dense(width)

    def split_heads(self, x, batch_size):
        x = tf.reshape(x, (batch_size, -1, self.heads, self.depth))
        return tf.transpose(x, perm=[0, 2, 1, 3])

    def call(self, v, k, q, mask):
        batch_size = tf.shape(q)[0]
        q, k, v = (
            self.split_heads(layer(x), batch_size)
            for layer, x in ((self.wq, q), (self.wk, k), (self.wv, v))
        )
        attended, weights = scaled_dot_product_attention(q, k, v, mask)
        attended = tf.transpose(attended, perm=[0, 2, 1, 3])
        return self.dense(tf.reshape(attended, (batch_size, -1, self.width))), weights


class Block(tf.keras.layers.Layer):
    def __init__(self, width, heads):
        super().__init__()
        self.attention = MultiHeadAttention(width, heads)
        self.cross = MultiHeadAttention(width, heads)
        self.ffn = tf.keras.Sequential(
            [tf.keras.layers.Dense(32, activation="relu"), tf.keras.layers.Dense(width)]
        )
        self.norms = [tf.keras.layers.LayerNormalization(epsilon=1e-6) for _ in range(3)]

    def call(self, x, memory, own_mask, padding_mask):
        attended, _ = self.attention(x, x, x, own_mask)
        x = self.norms[0](x + attended)
        crossed, weights = self.cross(memory, memory, x, padding_mask)
        x = self.norms[1](x + crossed)
        return self.norms[2](x + self.ffn(x)), weights


class Transformer(tf.keras.Model):
    def __init__(self):
        super().__init__()
        self.embedding = tf.keras.layers.Embedding(VOCABULARY, WIDTH)
        self.positions = positional_encoding(LENGTH + 1, WIDTH)
        self.block = Block(WIDTH, HEADS)
        self.final = tf.keras.layers.Dense(VOCABULARY)

    def embed(self, tokens):
        x = self.embedding(tokens) * tf.math.sqrt(tf.cast(WIDTH, tf.float32))
        return x + self.positions[tf.newaxis, : tokens.shape[1], :]

    def call(self, inputs):
        src, tgt = inputs
        look_ahead = tf.maximum(create_padding_mask(tgt), create_look_ahead_mask(tgt.shape[1]))
        x, weights = self.block(
            self.embed(tgt), self.embed(src), look_ahead, create_padding_mask(src)
        )
        return self.final(x), weights


class CustomSchedule(tf.keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, width, warmup_steps=20):
        super().__init__()
        self.width = tf.cast(width, tf.float32)
        self.warmup_steps = warmup_steps

    def __call__(self, step):
        step = tf.cast(step, dtype=tf.float32)
        arg1 = tf.math.rsqrt(step)
        arg2 = step * (self.warmup_steps**-1.5)
        return tf.math.rsqrt(self.width) * tf.math.minimum(arg1, arg2)


model = Transformer()
model((source[:1], target[:1, :-1]))
draw = np.random.default_rng(1)
model.set_weights([draw.normal(0, 0.2, w.shape) if w.ndim > 1 else w for w in model.get_weights()])
print("variables:", len(model.trainable_variables))
schedule = CustomSchedule(WIDTH)
print("schedule:", [round(float(schedule(s)), 5) for s in (1, 10, 20, 80)])
optimizer = tf.keras.optimizers.SGD(schedule, momentum=0.9)
loss_object = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")
train_loss = tf.keras.metrics.Mean(name="train_loss")
train_accuracy = tf.keras.metrics.Mean(name="train_accuracy")


def loss_function(real, predicted):
    mask = tf.math.logical_not(tf.math.equal(real, 0))
    loss = loss_object(real, predicted)
    mask = tf.cast(mask, dtype=loss.dtype)
    return tf.reduce_sum(loss * mask) / tf.reduce_sum(mask)


def accuracy_function(real, predicted):
    accuracies = tf.equal(real, tf.argmax(predicted, axis=2))
    mask = tf.math.logical_not(tf.math.equal(real, 0))
    accuracies = tf.cast(tf.math.logical_and(mask, accuracies), dtype=tf.float32)
    return tf.reduce_sum(accuracies) / tf.reduce_sum(tf.cast(mask, dtype=tf.float32))


@tf.function(
    input_signature=[
        tf.TensorSpec(shape=(None, LENGTH), dtype=tf.int64),
        tf.TensorSpec(shape=(None, LENGTH + 1), dtype=tf.int64),
    ]
)
def train_step(inp, tar):
    tar_inp, tar_real = tar[:, :-1], tar[:, 1:]
    with tf.GradientTape() as tape:
        predictions, _ = model([inp, tar_inp], training=True)
        loss = loss_function(tar_real, predictions)
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    train_loss(loss)
    train_accuracy(accuracy_function(tar_real, predictions))


batches = tf.data.Dataset.from_tensor_slices((source, target)).batch(32).prefetch(tf.data.AUTOTUNE)
for epoch in range(4):
    train_loss.reset_state()
    train_accuracy.reset_state()
    for inp, tar in batches:
        train_step(inp, tar)
    print(f"epoch {epoch}: loss: {train_loss.result():.3f} acc: {train_accuracy.result():.3f}")

output = tf.constant([[1]], dtype=tf.int64)
for _ in range(3):
    predictions, weights = model([source[:1], output], training=False)
    predicted = tf.argmax(predictions[:, -1:, :], axis=-1)
    output = tf.concat([output, predicted], axis=1)
print("decoded:", output.shape, "heads:", weights.shape)
print("row sums:", np.round(weights.numpy().sum(-1).ravel()[:4], 3).tolist())
