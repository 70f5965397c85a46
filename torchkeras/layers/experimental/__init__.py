"""`tf.keras.layers.experimental`, where TensorFlow 2 had what has long been in `keras.layers`."""

from ..core import EinsumDense
from . import preprocessing

__all__ = ["EinsumDense", "preprocessing"]
