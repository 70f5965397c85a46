"""Callbacks that read and set the learning rate by the backend."""

import numpy as np
import tensorflow as tf
from tensorflow.keras import backend as K

x, y = np.ones((16, 2)), np.ones((16, 1))
rates = []


class Cyclic(tf.keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        K.set_value(self.model.optimizer.lr, 0.001)

    def on_batch_end(self, batch, logs=None):
        lr = K.get_value(self.model.optimizer.lr)
        rates.append(float(lr))
        K.set_value(self.model.optimizer.lr, lr * 1.1)


model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_dim=2)])
model.compile(tf.keras.optimizers.RMSprop(lr=0.1), "mse")
model.fit(x, y, batch_size=4, epochs=1, verbose=0, callbacks=[Cyclic()])
np.testing.assert_allclose(rates, 0.001 * 1.1 ** np.arange(4), rtol=1e-5)

schedule = tf.keras.callbacks.LearningRateScheduler(lambda epoch, lr: 0.1 / (epoch + 1))
model.fit(x, y, epochs=2, verbose=0, callbacks=[schedule])
assert abs(K.eval(model.optimizer.lr) - 0.05) < 1e-6
decayed = tf.keras.optimizers.legacy.Adam(lr=0.5, decay=0.5)
model.compile(decayed, "mse")
model.fit(x, y, epochs=2, verbose=0)
iterations = K.get_value(model.optimizer.iterations)
lr = model.optimizer.lr * (1.0 / (1.0 + 0.5 * iterations))
assert abs(float(lr) - float(model.optimizer._decayed_lr(tf.float32))) < 1e-6
