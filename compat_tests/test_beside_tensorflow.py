"""In one process with a real TensorFlow: `tf.keras`, layers within `tf.data`, and seeds."""

import importlib
import sys
import warnings

import numpy as np
import pytest

import torchkeras
from torchkeras import dropin

tf = pytest.importorskip("tensorflow")


class Doubled(torchkeras.layers.Layer):
    """Notes which code of `call` ran: AutoGraph would write a file of its own."""

    _convert_input_args = False
    _allow_non_tensor_positional_args = True

    def call(self, x):
        self.ran_from = sys._getframe().f_code.co_filename
        return tf.add(x, x)


def test_layers_within_a_dataset_run_as_they_are_written():
    layer = Doubled()
    dataset = tf.data.Dataset.range(3).map(lambda x: layer(x))
    assert [int(x) for x in dataset] == [0, 2, 4]
    assert layer.ran_from == __file__


def test_set_random_seed_restarts_the_order_of_a_dataset():
    def order():
        torchkeras.utils.set_random_seed(3)
        return list(tf.data.Dataset.range(50).shuffle(50).as_numpy_iterator())

    first = order()
    np.testing.assert_array_equal(first, order())
    assert first != sorted(first)


def test_tensorflow_keras_is_ours_for_as_long_as_keras_is():
    lazy = vars(tf)["keras"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # Keras has been imported before
        dropin.install("keras")
    try:
        assert importlib.import_module("tensorflow.keras.metrics").AUC is torchkeras.metrics.AUC
        assert tf.keras.layers.Dense is torchkeras.layers.Dense
        assert tf.constant(1).numpy() == 1
    finally:
        dropin.uninstall()
    assert vars(tf)["keras"] is lazy
    assert "tensorflow.keras" not in sys.modules
