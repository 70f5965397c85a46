"""What is not met says what to use."""

import tensorflow as tf

ASKED = {
    "keras.utils.multi_gpu_model": "torchrun",
    "keras.experimental.LinearModel": "Dense",
    "keras.estimator.model_to_estimator": "fit",
    "keras.layers.DenseFeatures": "FeatureSpace",
    "keras.models.model_from_yaml": "model_from_json",
    "keras.layers.Merge": "Concatenate",
    "keras.backend.get_session": "no graphs",
    "keras.applications.ResNetRS50": "ResNet50V2",
}
for path, hint in ASKED.items():
    found = tf
    try:
        for part in path.split("."):
            found = getattr(found, part)
    except AttributeError as error:
        assert hint in str(error), str(error)
    else:
        raise AssertionError(path)
model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(2,))])
for call in (
    lambda: model.save_weights("./checkpoints/my_checkpoint"),
    lambda: model.save("saved_model/my_model", save_format="tf"),
    lambda: model.add_loss(model.output),
    lambda: model.to_yaml(),
    lambda: tf.keras.layers.LSTM(2, time_major=True),
):
    try:
        call()
    except (ValueError, RuntimeError) as error:
        assert "Fix" in str(error)
    else:
        raise AssertionError
