"""Models of Keras 2, written by `tf_keras` and read by torchkeras: see `__main__`."""
