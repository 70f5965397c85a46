"""The legacy surface: what scripts of tf.keras 2.0 to 2.15 use that Keras 3 has no more.

`faces` has the modules that such a script imports, `names` and `backend` what they have beside
Keras 3's, `calls` how constructors and functions were called, `objects` what layers, models,
optimizers and metrics had, `table` all of it as rows, from which `docs/legacy.md` is written.

Two roots show it. `tf_keras`, and `tensorflow.keras` where `TF_USE_LEGACY_KERAS` is set, mean
Keras 2: also where Keras 3 has another meaning for the same name. `tensorflow.keras` else means
Keras 3, as since TensorFlow 2.16, and what only Keras 2 had besides. `keras` is Keras 3.
"""
