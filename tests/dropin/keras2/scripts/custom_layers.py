"""In the style of the tutorial on layers of TensorFlow 2."""

import tensorflow as tf


class MyDenseLayer(tf.keras.layers.Layer):
    def __init__(self, num_outputs):
        super().__init__()
        self.num_outputs = num_outputs

    def build(self, input_shape):
        self.kernel = self.add_weight("kernel", shape=[int(input_shape[-1]), self.num_outputs])

    def call(self, inputs):
        return tf.matmul(inputs, self.kernel)


layer = MyDenseLayer(10)
assert layer(tf.zeros([10, 5])).shape == (10, 10)
assert [var.name for var in layer.trainable_variables] == ["kernel"]


class ResnetIdentityBlock(tf.keras.Model):
    def __init__(self, kernel_size, filters):
        super().__init__(name="")
        self.conv2a = tf.keras.layers.Conv2D(filters[0], (1, 1))
        self.bn2a = tf.keras.layers.BatchNormalization()
        self.conv2b = tf.keras.layers.Conv2D(filters[1], kernel_size, padding="same")
        self.bn2b = tf.keras.layers.BatchNormalization()

    def call(self, input_tensor, training=False):
        x = self.bn2a(self.conv2a(input_tensor), training=training)
        x = tf.nn.relu(x)
        x = self.bn2b(self.conv2b(x), training=training)
        return tf.nn.relu(x + input_tensor)


block = ResnetIdentityBlock(1, [1, 3])
assert block(tf.zeros([1, 2, 3, 3])).shape == (1, 2, 3, 3)
assert len(block.layers) == 4 and len(block.variables) == 12
