"""The TensorFlow stand-in by topic; `dropin/tensorflow.py` puts the names in their places."""
