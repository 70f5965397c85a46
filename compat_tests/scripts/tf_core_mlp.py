"""Layers, an optimizer and a loop from `tf.Module` and `tf.Variable` alone, under a strategy."""

import numpy as np
import tensorflow as tf

rng = np.random.default_rng(0)
x = rng.normal(size=(120, 5)).astype("float32")
y = (np.abs(x[:, :3]).argmax(1)).astype("int64")
train = tf.data.Dataset.from_tensor_slices((x[:90], y[:90])).batch(30)
valid = tf.data.Dataset.from_tensor_slices((x[90:], y[90:])).batch(30)


class Normalize(tf.Module):
    def __init__(self, x):
        self.mean = tf.Variable(tf.math.reduce_mean(x, axis=0), trainable=False)
        self.std = tf.Variable(tf.math.reduce_std(x, axis=0), trainable=False)

    def norm(self, x):
        return (x - self.mean) / self.std


class DenseLayer(tf.Module):
    def __init__(self, out_dim, seed, activation=tf.identity):
        super().__init__()
        self.out_dim, self.seed, self.activation = out_dim, seed, activation
        self.built = False

    def __call__(self, x):
        if not self.built:
            self.in_dim = x.shape[-1]
            limit = np.sqrt(6.0 / (self.in_dim + self.out_dim))
            draw = np.random.default_rng(self.seed)
            w = draw.uniform(-limit, limit, (self.in_dim, self.out_dim))
            self.w = tf.Variable(tf.cast(w, tf.float32), name="w")
            self.b = tf.Variable(tf.zeros(shape=(self.out_dim,)), name="b")
            self.built = True
        return self.activation(tf.add(tf.matmul(x, self.w), self.b))


class MLP(tf.Module):
    def __init__(self, layers):
        super().__init__()
        self.layers = layers

    @tf.function
    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


class Adam:
    def __init__(self, learning_rate=1e-3, beta_1=0.9, beta_2=0.999, ep=1e-7):
        self.beta_1, self.beta_2, self.ep = beta_1, beta_2, ep
        self.learning_rate, self.t = learning_rate, 1.0
        self.v_dvar, self.s_dvar = [], []
        self.built = False

    def apply_gradients(self, grads, vars):
        if not self.built:
            for var in vars:
                self.v_dvar.append(tf.Variable(tf.zeros(shape=var.shape)))
                self.s_dvar.append(tf.Variable(tf.zeros(shape=var.shape)))
            self.built = True
        for i, (d_var, var) in enumerate(zip(grads, vars, strict=True)):
            self.v_dvar[i].assign(self.beta_1 * self.v_dvar[i] + (1 - self.beta_1) * d_var)
            squares = (1 - self.beta_2) * tf.square(d_var)
            self.s_dvar[i].assign(self.beta_2 * self.s_dvar[i] + squares)
            v_bc = self.v_dvar[i] / (1 - (self.beta_1**self.t))
            s_bc = self.s_dvar[i] / (1 - (self.beta_2**self.t))
            var.assign_sub(self.learning_rate * (v_bc / (tf.sqrt(s_bc) + self.ep)))
        self.t += 1.0


strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
print("replicas:", strategy.num_replicas_in_sync)
with strategy.scope():
    normalize = Normalize(x[:90])
    model = MLP([DenseLayer(16, 1, tf.nn.relu), DenseLayer(8, 2, tf.nn.relu), DenseLayer(3, 3)])
    optimizer = Adam(0.02)


def cross_entropy_loss(y_pred, y):
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=y_pred)
    return tf.reduce_mean(loss)


def accuracy(y_pred, y):
    classes = tf.argmax(tf.nn.softmax(y_pred), axis=1)
    return tf.reduce_mean(tf.cast(tf.equal(classes, y), tf.float32))


def step(x, y):
    with tf.GradientTape() as tape:
        logits = model(normalize.norm(x))
        loss = cross_entropy_loss(logits, y)
    grads = tape.gradient(loss, model.variables)
    optimizer.apply_gradients(grads, model.variables)
    return loss


for epoch in range(5):
    losses, scores = [], []
    for features, labels in train:
        per_replica = strategy.run(step, args=(features, labels))
        losses.append(strategy.reduce(tf.distribute.ReduceOp.SUM, per_replica, axis=None))
    for features, labels in valid:
        scores.append(accuracy(model(normalize.norm(features)), labels))
    loss, score = tf.reduce_mean(losses), tf.reduce_mean(scores)
    print(f"epoch {epoch}: loss: {loss:.4f} accuracy: {score:.3f}")

print("variables:", [tuple(v.shape) for v in model.trainable_variables])
print("modules:", len(model.submodules), model.name, normalize.variables[0].trainable)
checkpoint = tf.train.Checkpoint(model=model)
path = checkpoint.save("core/ckpt")
before = model.layers[2].b.numpy().copy()
model.layers[2].b.assign(tf.zeros([3]))
checkpoint.restore(path)
print("restored:", bool(np.allclose(before, model.layers[2].b.numpy())))
tf.debugging.assert_equal(tf.shape(before), [3])
try:
    tf.debugging.assert_less(tf.constant([1, 5]), 3, message="too large")
except tf.errors.InvalidArgumentError as error:
    print("refused:", "too large" in str(error))
