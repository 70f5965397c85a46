"""`TextVectorization` against Keras."""

import itertools

import keras
import numpy as np
import pandas as pd
import pytest
import torch
from oracle import assert_same_config, assert_same_error, make_pair, to_numpy
from torch.utils.data import DataLoader

import torchkeras

tf = pytest.importorskip("tensorflow")

TEXTS = [
    "Foo, qux bar!",
    "",
    "  bar\tBAR\n(foo)\x0bbaz\u00a0x  ",
    "Élan ÉTÉ été d'été",
    "a_b a-b c/d [e] {f} $5 100%",
    "foo bar baz foo",
    "日本 日本語",
]
VOCABULARY = ["foo", "bar", "baz", "été", "Élan", "foo bar", "日", "é", "5", "dété"]


def assert_same_values(ours, theirs):
    """Same shapes and values; Keras gives integers where ours are floats, as its specs say."""
    assert tuple(ours.shape) == tuple(theirs.shape)
    np.testing.assert_allclose(to_numpy(ours), to_numpy(theirs), rtol=1e-6)


@pytest.mark.parametrize("ngrams", [None, 2, (1, 3), (2,)], ids=str)
@pytest.mark.parametrize("split", ["whitespace", "character"])
@pytest.mark.parametrize(
    "standardize", ["lower_and_strip_punctuation", "lower", "strip_punctuation", None]
)
def test_tokens(standardize, split, ngrams):
    kwargs = {"standardize": standardize, "split": split, "ngrams": ngrams}
    ours, theirs = make_pair("TextVectorization", kwargs)
    for layer in (ours, theirs):
        layer.adapt(TEXTS)
    assert ours.get_vocabulary() == theirs.get_vocabulary()
    assert ours.get_config() == theirs.get_config()
    assert_same_values(ours(TEXTS), theirs(TEXTS))


@pytest.mark.parametrize("ngrams", [None, 2])
@pytest.mark.parametrize(
    ("mode", "kwargs"),
    [
        ("int", {}),
        ("int", {"output_sequence_length": 2}),
        ("int", {"output_sequence_length": 9}),
        ("multi_hot", {}),
        ("count", {}),
        ("count", {"max_tokens": 20, "pad_to_max_tokens": True}),
        ("tf_idf", {"idf_weights": np.linspace(0.1, 1.0, len(VOCABULARY))}),
    ],
    ids=str,
)
def test_modes(mode, kwargs, ngrams):
    kwargs = {"output_mode": mode, "vocabulary": VOCABULARY, "ngrams": ngrams, **kwargs}
    ours, theirs = make_pair("TextVectorization", kwargs)
    column = np.array(TEXTS)[:, None]
    expected = theirs(column)
    for texts in (column, column[:, 0], TEXTS, column.astype(object), np.char.encode(column)):
        assert_same_values(ours(texts), expected)
    assert_same_values(ours(pd.Series(TEXTS)), expected)


@pytest.mark.parametrize("mode", ["int", "multi_hot", "count"])
@pytest.mark.parametrize("ngrams", [None, 2])
@pytest.mark.parametrize("length", [None, 1, 4])
def test_without_splitting(length, ngrams, mode):
    if mode != "int" and length is not None:
        pytest.skip("only indices have a length")
    kwargs = {"split": None, "vocabulary": VOCABULARY, "ngrams": ngrams, "output_mode": mode}
    ours, theirs = make_pair("TextVectorization", {**kwargs, "output_sequence_length": length})
    assert_same_config(ours, theirs)
    for texts in (np.array([["foo", "bar"], ["baz", "qux"]]), np.array([["Foo"], ["bar!"]])):
        assert_same_values(ours(texts), theirs(texts))


def test_one_text():
    for mode in ("int", "count"):
        kwargs = {"vocabulary": VOCABULARY, "output_mode": mode}
        ours, theirs = make_pair("TextVectorization", kwargs)
        assert_same_values(ours("foo baz"), theirs("foo baz"))


def test_one_hot_tokens_have_an_axis_of_their_own():
    """Keras can do this with TensorFlow only; padding encodes to nothing."""
    layer = torchkeras.layers.TextVectorization(vocabulary=["a", "b"], output_mode="one_hot")
    found = layer(["b", "z a"])
    assert found.tolist() == [[[0, 0, 1], [0, 0, 0]], [[1, 0, 0], [0, 1, 0]]]
    assert layer.compute_output_shape((None, 1)) == (None, None, 3)


def numpy_standardize(texts):
    assert isinstance(texts, np.ndarray) and texts.dtype.kind == "U"
    return np.char.replace(np.char.upper(texts), ",", " ")


def tensorflow_standardize(texts):
    return tf.strings.regex_replace(tf.strings.lower(texts), "[^a-z ]", "-")


@pytest.mark.parametrize("standardize", [numpy_standardize, tensorflow_standardize])
def test_own_standardization(standardize):
    ours, theirs = make_pair("TextVectorization", {"standardize": standardize})
    for layer in (ours, theirs):
        layer.adapt(TEXTS)
    assert ours.get_vocabulary() == theirs.get_vocabulary()
    assert_same_values(ours(TEXTS), theirs(TEXTS))


def test_own_splitting():
    kwargs = {"vocabulary": ["foo", "bar baz"], "standardize": "lower"}
    theirs = keras.layers.TextVectorization(split=lambda x: tf.strings.split(x, "|"), **kwargs)
    texts = ["foo|bar baz|x", "Foo"]
    for split in (
        lambda x: tf.strings.split(x, "|"),
        lambda x: [text.split("|") for text in x],
        lambda x: [np.array(text.split("|")) for text in x],
    ):
        ours = torchkeras.layers.TextVectorization(split=split, **kwargs)
        assert_same_values(ours(texts), theirs(texts))


@pytest.mark.parametrize("mode", ["int", "tf_idf"])
def test_adapt_to_batches(mode):
    theirs = keras.layers.TextVectorization(output_mode=mode)
    theirs.adapt(TEXTS)
    sources = {
        "array": np.array(TEXTS)[:, None],
        "pandas": pd.Series(TEXTS),
        "tf.data": tf.data.Dataset.from_tensor_slices(TEXTS).batch(3),
        "labelled tf.data": tf.data.Dataset.from_tensor_slices((TEXTS, [0] * 7)).batch(3),
        "generator": (TEXTS[i : i + 2] for i in range(0, len(TEXTS), 2)),
        "endless": itertools.repeat(TEXTS),
        "DataLoader": DataLoader(TEXTS, 3),
        "labelled DataLoader": DataLoader(list(zip(TEXTS, range(7), strict=True)), 3),
    }
    for name, data in sources.items():
        ours = torchkeras.layers.TextVectorization(output_mode=mode)
        ours.adapt(data, steps=1 if name == "endless" else None)
        assert ours.get_vocabulary() == theirs.get_vocabulary(), name
        assert_same_values(ours(TEXTS), theirs(TEXTS))


def test_limits():
    ours, theirs = make_pair("TextVectorization", {"max_tokens": 5})
    for layer in (ours, theirs):
        layer.adapt(TEXTS)
    assert ours.get_vocabulary() == theirs.get_vocabulary()
    assert ours.vocabulary_size() == theirs.vocabulary_size() == 5


@pytest.mark.parametrize(
    "action",
    [
        lambda k: k.layers.TextVectorization(standardize="upper"),
        lambda k: k.layers.TextVectorization(split="commas"),
        lambda k: k.layers.TextVectorization(ngrams="2"),
        lambda k: k.layers.TextVectorization(output_mode="floats"),
        lambda k: k.layers.TextVectorization(output_sequence_length="3"),
        lambda k: k.layers.TextVectorization(output_mode="count", output_sequence_length=3),
        lambda k: k.layers.TextVectorization(ragged=True),
        lambda k: k.layers.TextVectorization(sparse=True),
        lambda k: k.layers.TextVectorization(vocabulary=["a"])(np.array([["a", "b"]])),
        lambda k: k.layers.TextVectorization(vocabulary=["a"]).adapt(["b"]),
        lambda k: k.layers.TextVectorization(vocabulary=["a", "a"]),
    ],
)
def test_errors(action):
    assert_same_error(action)


@pytest.mark.parametrize("kwargs", [{}, {"output_sequence_length": 4}], ids=str)
def test_in_tf_data(kwargs):
    layer = torchkeras.layers.TextVectorization(vocabulary=VOCABULARY, **kwargs)
    data = tf.data.Dataset.from_tensor_slices(TEXTS).batch(len(TEXTS)).map(layer)
    assert data.element_spec.shape.as_list() == [None, kwargs.get("output_sequence_length")]
    np.testing.assert_array_equal(next(iter(data)), layer(TEXTS))


@pytest.mark.parametrize("mode", ["int", "tf_idf"])
@pytest.mark.parametrize("direction", ["to Keras", "from Keras"])
def test_files(tmp_path, direction, mode):
    """Keras on torch has no inputs of strings, but writes and reads the layer in a model."""
    libraries = (torchkeras, keras) if direction == "to Keras" else (keras, torchkeras)
    layer = libraries[0].layers.TextVectorization(output_mode=mode, name="layer")
    layer.adapt(TEXTS)
    model = libraries[0].Sequential([layer])
    path = tmp_path / "model.keras"
    with pytest.warns(UserWarning, match="not yet been built"):
        model.save(path)
    again = libraries[1].saving.load_model(path).layers[0]
    assert again.get_vocabulary() == layer.get_vocabulary()
    assert_same_values(again(TEXTS), layer(TEXTS))


def test_in_a_model_of_ours(tmp_path):
    layer = torchkeras.layers.TextVectorization(output_sequence_length=3)
    layer.adapt(TEXTS)
    model = torchkeras.Sequential(
        [
            torchkeras.Input((1,), dtype="string"),
            layer,
            torchkeras.layers.Embedding(layer.vocabulary_size(), 2),
            torchkeras.layers.Flatten(),
            torchkeras.layers.Dense(1),
        ]
    )
    model.compile("sgd", "mse")
    model.fit(np.array(TEXTS), np.zeros(len(TEXTS)), verbose=0)
    expected = model.predict(np.array(TEXTS), verbose=0)
    model.save(tmp_path / "model.keras")
    again = torchkeras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(np.array(TEXTS), verbose=0), expected, rtol=1e-6)
    assert torch.equal(again.layers[0](TEXTS), layer(TEXTS))
