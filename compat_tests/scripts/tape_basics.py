"""Gradients by hand: a fitted line, persistent and nested tapes, Jacobians, a module, clipping."""

import numpy as np
import tensorflow as tf

rng = np.random.default_rng(0)
x_train = rng.normal(size=(64, 3)).astype("float32")
y_train = x_train @ np.array([[1.0], [-2.0], [0.5]], "float32") + 0.3


class Line(tf.Module):
    def __init__(self, features, name=None):
        super().__init__(name=name)
        self.weight = tf.Variable(tf.zeros([features, 1]), name="weight")
        self.bias = tf.Variable(0.0, name="bias")
        self.steps = tf.Variable(0, trainable=False, dtype=tf.int64)

    def __call__(self, x):
        return tf.matmul(x, self.weight) + self.bias


model = Line(3)
print("variables:", len(model.variables), "trainable:", len(model.trainable_variables))


@tf.function
def train_step(x, y, rate):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(x) - y))
    gradients = tape.gradient(loss, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        variable.assign_sub(rate * gradient)
    model.steps.assign_add(1)
    return loss


for step in range(60):
    loss = train_step(x_train, y_train, tf.constant(0.1))
    if step % 20 == 0:
        print(f"step {step}: loss: {loss.numpy():.5f}")
print(f"weights: {np.round(model.weight.numpy().ravel(), 3)}, bias: {model.bias.numpy():.4f}")
print("steps:", model.steps.numpy())

# A target that comes from the same model, made before the tape, is a constant.
target = model(x_train[:4]) * 0.9
with tf.GradientTape() as tape:
    loss = tf.reduce_sum((model(x_train[:4]) - target) ** 2)
print(f"semi-gradient: {tape.gradient(loss, model.bias).numpy():.5f}")

x = tf.constant([1.0, 2.0, 3.0])
with tf.GradientTape(persistent=True) as tape:
    tape.watch(x)
    y = x * x
    z = tf.reduce_sum(y * y)
print("dz/dx:", tape.gradient(z, x).numpy(), "dy/dx:", tape.gradient(y, x).numpy())
print("jacobian:", tape.jacobian(y, x).numpy().tolist())
del tape

w = tf.Variable(2.0)
with tf.GradientTape() as outer:
    with tf.GradientTape() as inner:
        cube = w**3
    first = inner.gradient(cube, w)
second = outer.gradient(first, w)
print(f"first: {float(first):.2f}, second: {float(second):.2f}")

unused = tf.Variable([1.0, 1.0])
with tf.GradientTape(persistent=True) as tape:
    value = 3.0 * w
print("unused:", tape.gradient(value, unused))
print(
    "zero:",
    tape.gradient(value, unused, unconnected_gradients=tf.UnconnectedGradients.ZERO).numpy(),
)

batch = tf.constant(rng.normal(size=(4, 2)), dtype=tf.float32)
with tf.GradientTape() as tape:
    tape.watch(batch)
    out = tf.stack([batch[:, 0] * batch[:, 1], tf.sin(batch[:, 0])], axis=1)
print("batch jacobian:", np.round(tape.batch_jacobian(out, batch).numpy()[0], 4).tolist())

clipped, norm = tf.clip_by_global_norm([tf.constant([3.0, 4.0]), None], 1.0)
print(f"norm: {norm.numpy():.2f}, clipped: {clipped[0].numpy()}")


@tf.custom_gradient
def doubled_backwards(x):
    def grad(upstream):
        return 2.0 * upstream

    return x, grad


with tf.GradientTape() as tape:
    same = doubled_backwards(w * 1.0)
print(f"custom: {tape.gradient(same, w).numpy():.1f}")
