"""The names of our face against those of the real package."""

import importlib
import inspect

import keras
import numpy as np
import pytest

import torchkeras

NAMESPACES = [
    "",
    "backend",
    "callbacks",
    "config",
    "mixed_precision",
    "preprocessing",
    "preprocessing.sequence",
    "utils",
]
# Names of our own, below the surface of Keras, that other parts of the package share.
OURS = {
    "config": {
        "at_clear_session",
        "default_device",
        "device",
        "keras_home",
        "run_clear_session_hooks",
        "standardize_data_format",
    },
}


@pytest.mark.parametrize("path", NAMESPACES)
def test_no_public_name_is_invented(path):
    ours = importlib.import_module(f"torchkeras.{path}".rstrip("."))
    theirs = importlib.import_module(f"keras.{path}".rstrip("."))
    invented = set(ours.__all__) - set(dir(theirs)) - OURS.get(path, set())
    assert invented == set()


@pytest.mark.parametrize("path", NAMESPACES[1:])
def test_signatures_of_functions(path):
    ours = importlib.import_module(f"torchkeras.{path}")
    theirs = importlib.import_module(f"keras.{path}")
    for name in ours.__all__:
        function = getattr(ours, name)
        if not inspect.isfunction(function) or not hasattr(theirs, name):
            continue
        mine, original = inspect.signature(function), inspect.signature(getattr(theirs, name))
        assert list(mine.parameters) == list(original.parameters), name
        defaults = [[p.default for p in s.parameters.values()] for s in (mine, original)]
        assert defaults[0] == defaults[1], name


@pytest.mark.parametrize("path", NAMESPACES)
def test_what_is_missing_is_said_to_be_missing(path):
    ours = importlib.import_module(f"torchkeras.{path}".rstrip("."))
    theirs = importlib.import_module(f"keras.{path}".rstrip("."))
    absent = [
        n for n in dir(theirs) if not n.startswith("_") and n != "src" and not hasattr(ours, n)
    ]
    for name in absent:
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
