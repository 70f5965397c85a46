"""Functions of TensorFlow that models of tf.keras call, as a layer and a table of them."""

from .operations import SlicingOpLambda, TFOpLambda, find_function

__all__ = ["SlicingOpLambda", "TFOpLambda", "find_function"]
