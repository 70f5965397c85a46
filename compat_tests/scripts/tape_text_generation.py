"""Text generation by characters: lookup layers, batches of a stream, a train step with a tape."""

import numpy as np
import tensorflow as tf

text = "the cat sat on the mat. the rat sat on the cat. " * 12
vocab = sorted(set(text))
print("unique:", len(vocab), "length:", len(text))

chars = tf.strings.unicode_split("the cat", input_encoding="UTF-8")
ids_from_chars = tf.keras.layers.StringLookup(vocabulary=list(vocab), mask_token=None)
chars_from_ids = tf.keras.layers.StringLookup(
    vocabulary=ids_from_chars.get_vocabulary(), invert=True, mask_token=None
)
print("ids:", ids_from_chars(chars).numpy().tolist())


def text_from_ids(ids):
    return tf.strings.reduce_join(chars_from_ids(ids), axis=-1)


all_ids = ids_from_chars(tf.strings.unicode_split(text, "UTF-8"))
print("again:", text_from_ids(all_ids[:12]).numpy().decode("utf-8"))
SEQUENCE, BATCH, UNITS = 15, 4, 24
sequences = tf.data.Dataset.from_tensor_slices(all_ids).batch(SEQUENCE + 1, drop_remainder=True)
for seq in sequences.take(1):
    print("sequence:", text_from_ids(seq).numpy())


def split_input_target(sequence):
    return sequence[:-1], sequence[1:]


dataset = (
    sequences.map(split_input_target)
    .batch(BATCH, drop_remainder=True)
    .prefetch(tf.data.experimental.AUTOTUNE)
)
print("spec:", [spec.shape.as_list() for spec in dataset.element_spec])


class MyModel(tf.keras.Model):
    def __init__(self, vocab_size, embedding_dim, units):
        super().__init__()
        self.embedding = tf.keras.layers.Embedding(vocab_size, embedding_dim)
        self.gru = tf.keras.layers.GRU(units, return_sequences=True, return_state=True)
        self.dense = tf.keras.layers.Dense(vocab_size)

    def call(self, inputs, states=None, return_state=False, training=False):
        x = self.embedding(inputs, training=training)
        if states is None:
            states = tf.zeros([tf.shape(x)[0], UNITS])
        x, states = self.gru(x, initial_state=states, training=training)
        x = self.dense(x, training=training)
        return (x, states) if return_state else x


class CustomTraining(MyModel):
    @tf.function
    def train_step(self, inputs):
        inputs, labels = inputs
        with tf.GradientTape() as tape:
            predictions = self(inputs, training=True)
            loss = self.compute_loss(y=labels, y_pred=predictions)
        grads = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(grads, self.trainable_variables, strict=True))
        return {"loss": loss}


model = CustomTraining(len(ids_from_chars.get_vocabulary()), 8, UNITS)
for example, _ in dataset.take(1):
    predictions = model(example)
    print("predictions:", predictions.shape)
draw = np.random.default_rng(2)
model.set_weights([draw.normal(0, 0.3, w.shape) for w in model.get_weights()])
loss = tf.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(tf.keras.optimizers.SGD(0.5), loss=loss)
history = model.fit(dataset, epochs=3, verbose=0)
print("loss:", [round(float(v), 3) for v in history.history["loss"]])


class OneStep(tf.keras.Model):
    def __init__(self, model, temperature=1.0):
        super().__init__()
        self.temperature, self.model = temperature, model
        skipped = ids_from_chars(["[UNK]"]).numpy()
        mask = np.zeros(len(ids_from_chars.get_vocabulary()), "float32")
        mask[skipped] = -1e9
        self.prediction_mask = tf.constant(mask)

    def generate_one_step(self, inputs, states=None):
        input_ids = ids_from_chars(tf.strings.unicode_split(inputs, "UTF-8")).to_tensor()
        logits, states = self.model(inputs=input_ids, states=states, return_state=True)
        logits = logits[:, -1, :] / self.temperature + self.prediction_mask
        drawn = tf.random.categorical(logits, num_samples=1)
        assert drawn.shape == (2, 1)
        return chars_from_ids(tf.argmax(logits, axis=-1)), states


one_step = OneStep(model)
states, next_char = None, tf.constant(["t", "c"])
result = [next_char]
for _ in range(8):
    next_char, states = one_step.generate_one_step(next_char, states=states)
    result.append(next_char)
result = tf.strings.join(result)
print("generated:", result.shape, [len(r) for r in result.numpy()], states.shape)
print("first:", result.numpy()[0][:1], tf.strings.length(result).numpy().tolist())
