"""Skip-gram with negative sampling: pairs from a text, a dot product model, vectors written out."""

import numpy as np
import tensorflow as tf

sentence = "the wide road shimmered in the hot sun"
tokens = list(sentence.lower().split())
vocab, index = {}, 1
vocab["<pad>"] = 0
for token in tokens:
    if token not in vocab:
        vocab[token] = index
        index += 1
inverse_vocab = {index: token for token, index in vocab.items()}
example_sequence = [vocab[word] for word in tokens]
positive, _ = tf.keras.preprocessing.sequence.skipgrams(
    example_sequence, vocabulary_size=len(vocab), window_size=2, negative_samples=0, shuffle=False
)
print("pairs:", len(positive), positive[:3])
table = tf.keras.preprocessing.sequence.make_sampling_table(size=len(vocab))
print("table:", np.round(table[:4], 5).tolist())

NEGATIVE, DIM = 3, 6
rng = np.random.default_rng(0)
targets, contexts, labels = [], [], []
for target_word, context_word in positive:
    context_class = tf.expand_dims(tf.constant([context_word], dtype="int64"), 1)
    negative = tf.constant(rng.integers(1, len(vocab), NEGATIVE), dtype="int64")
    context = tf.concat([tf.squeeze(context_class, 1), negative], 0)
    label = tf.constant([1] + [0] * NEGATIVE, dtype="int64")
    targets.append(target_word)
    contexts.append(context)
    labels.append(label)
contexts, labels = np.array(contexts), np.array(labels)
print("shapes:", np.array(targets).shape, contexts.shape, labels.shape)
dataset = tf.data.Dataset.from_tensor_slices(((np.array(targets), contexts), labels))
dataset = dataset.shuffle(1).batch(8, drop_remainder=True).cache().prefetch(tf.data.AUTOTUNE)


class Word2Vec(tf.keras.Model):
    def __init__(self, vocab_size, embedding_dim):
        super().__init__()
        self.target_embedding = tf.keras.layers.Embedding(
            vocab_size, embedding_dim, name="w2v_embedding"
        )
        self.context_embedding = tf.keras.layers.Embedding(vocab_size, embedding_dim)

    def call(self, pair):
        target, context = pair
        if len(target.shape) == 2:
            target = tf.squeeze(target, axis=1)
        word_emb = self.target_embedding(target)
        context_emb = self.context_embedding(context)
        return tf.einsum("be,bce->bc", word_emb, context_emb)


def custom_loss(x_logit, y_true):
    return tf.nn.sigmoid_cross_entropy_with_logits(logits=x_logit, labels=y_true)


word2vec = Word2Vec(len(vocab), DIM)
for pair, _ in dataset.take(1):
    print("dots:", word2vec(pair).shape)
word2vec.set_weights([rng.normal(0, 0.5, w.shape) for w in word2vec.get_weights()])
word2vec.compile(
    optimizer=tf.keras.optimizers.SGD(0.2, momentum=0.9),
    loss=tf.keras.losses.CategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
history = word2vec.fit(dataset, epochs=3, verbose=0)
print("loss:", [round(v, 4) for v in history.history["loss"]])

optimizer = tf.keras.optimizers.SGD(0.5)
for epoch in range(3):
    total = tf.constant(0.0)
    for pair, label in dataset:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(custom_loss(word2vec(pair), tf.cast(label, tf.float32)))
        grads = tape.gradient(loss, word2vec.trainable_weights)
        optimizer.apply_gradients(zip(grads, word2vec.trainable_weights, strict=True))
        total += loss
    print(f"epoch {epoch}: sampled: {total.numpy():.4f}")

vectors = word2vec.get_layer("w2v_embedding").get_weights()[0]
with open("vectors.tsv", "w", encoding="utf-8") as out:
    for vec in vectors[1:]:
        out.write("\t".join(f"{x:.3f}" for x in vec) + "\n")
print("lines:", len(tf.io.gfile.GFile("vectors.tsv").read().splitlines()))
normed = tf.nn.l2_normalize(vectors, axis=1)
similar = tf.matmul(normed, normed, transpose_b=True)
best = tf.math.top_k(similar[vocab["hot"]], k=2)
print("nearest:", best.indices.numpy()[0] == vocab["hot"], f"{best.values.numpy()[1]:.2f}")
