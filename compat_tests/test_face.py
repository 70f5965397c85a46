"""The names of our face against those of the real package."""

import keras
import numpy as np
import pytest

import torchkeras
from compat_tests import api

NAMESPACES = dict(api.namespaces(keras))
# Names of our own, below the surface of Keras, that other parts of the package share.
OURS = {
    "applications.imagenet_utils": "correct_pad obtain_input_shape validate_activation",
    "applications.mobilenet_v3": "MobileNetV3Large MobileNetV3Small",
    "config": "at_clear_session default_device device get_global_attribute keras_home"
    " run_clear_session_hooks set_global_attribute standardize_data_format",
    "distribution": "FullyShardedDataParallel load_checkpoint save_checkpoint",
    "dtype_policies": "dtype_policy set_dtype_policy",
    "initializers": "RandomInitializer compute_fans",
    "losses": "ALIASES LossFunctionWrapper TorchLoss is_loss is_torch_loss label_kind object_name"
    " resolve",
    "metrics": "resolve resolve_accuracy resolve_crossentropy",
    "models": "Functional TorchModel",
    "optimizers": "TorchOptimizer",
    "optimizers.schedules": "Lookahead as_number",
    "preprocessing": "text",
    "preprocessing.image": "DataFrameIterator DirectoryIterator ImageDataGenerator Iterator"
    " NumpyArrayIterator apply_affine_transform apply_brightness_shift apply_channel_shift"
    " random_brightness random_channel_shift random_rotation random_shear random_shift random_zoom",
    "preprocessing.sequence": "TimeseriesGenerator make_sampling_table skipgrams",
    "random": "draw_seed generator_for get_seed global_seed_generator make_default_seed"
    " random_state set_random_state set_seed",
    "saving": "FileFormatError MissingFileError ask_to_proceed_with_overwrite model_from_bytes"
    " model_to_bytes",
    "tree": "register_tree_node register_tree_node_class",
}


@pytest.mark.parametrize("path", NAMESPACES)
def test_no_public_name_is_invented(path):
    ours = api.imported(f"torchkeras.{path}".rstrip("."))
    offered = set() if ours is None else set(ours.__all__)
    assert offered - set(dir(NAMESPACES[path])) == set(OURS.get(path, "").split())


@pytest.mark.parametrize("path", NAMESPACES)
def test_what_is_missing_is_said_to_be_missing(path):
    ours = api.imported(f"torchkeras.{path}".rstrip("."))
    for name in api.public_names(NAMESPACES[path]) if ours else ():
        if not hasattr(ours, name):
            with pytest.raises(AttributeError, match=name):
                getattr(ours, name)


@pytest.mark.parametrize("num_classes", [None, 6])
@pytest.mark.parametrize("shape", [(5,), (5, 1), (2, 3), (2, 3, 1)])
def test_to_categorical(shape, num_classes):
    x = np.random.default_rng(0).integers(0, 6, shape)
    actual = torchkeras.utils.to_categorical(x, num_classes)
    expected = keras.utils.to_categorical(x, num_classes)
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("order", [1, 2])
def test_normalize(order):
    x = np.random.default_rng(0).standard_normal((4, 3)).astype("float32")
    actual = torchkeras.utils.normalize(x, -1, order)
    expected = keras.utils.normalize(x, -1, order)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)  # one rounding of float32


@pytest.mark.parametrize(
    "options", [{}, {"maxlen": 2}, {"padding": "post", "value": 7}, {"maxlen": 9}]
)
@pytest.mark.parametrize("truncating", ["pre", "post"])
def test_pad_sequences(options, truncating):
    sequences = [[1, 2, 3], [], [4], [5, 6, 7, 8]]
    actual = torchkeras.utils.pad_sequences(sequences, truncating=truncating, **options)
    expected = keras.utils.pad_sequences(sequences, truncating=truncating, **options)
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected)
