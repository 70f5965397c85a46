"""`TextVectorization`: errors, functions of users, and files."""

import copy

import numpy as np
import pytest

import torchkeras as keras
from torchkeras.layers import TextVectorization
from torchkeras.registry import deserialize_keras_object, serialize_keras_object


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (lambda: TextVectorization(standardize="lowered"), "Did you mean 'lower'"),
        (lambda: TextVectorization(vocabulary=["a"])([1.0]), "works on strings"),
        (lambda: TextVectorization(vocabulary=["a"])([["a", "b"]]), r"\(1, 2\)(.|\n)*split=None"),
        (lambda: TextVectorization(ragged=True), "filled up with 0"),
    ],
)
def test_errors(action, words):
    with pytest.raises(ValueError, match=words):
        action()


def test_axes_before_the_texts_stay():
    layer = TextVectorization(vocabulary=["a", "b"])
    texts = np.array([[["a b"], ["b"]], [["c"], [""]]])
    assert layer(texts).tolist() == [[[2, 3], [3, 0]], [[1, 0], [0, 0]]]
    counts = TextVectorization(vocabulary=["a", "b"], output_mode="count")
    assert counts(texts).tolist() == [[[0, 1, 1], [0, 0, 1]], [[1, 0, 0], [0, 0, 0]]]


def test_nothing_to_tokenize():
    layer = TextVectorization(vocabulary=["a"])
    assert layer(["", " "]).shape == (2, 0)
    assert layer(np.empty((0, 1), dtype="U1")).shape == (0, 0)
    fixed = TextVectorization(vocabulary=["a"], output_sequence_length=3)
    assert fixed(["", "a"]).tolist() == [[0, 0, 0], [2, 0, 0]]


def by_comma(texts):
    return [text.split(",") for text in texts]


def test_functions_need_a_name_in_files():
    layer = TextVectorization(standardize=None, split=by_comma, vocabulary=["a b", "c"])
    config = serialize_keras_object(layer)
    with pytest.raises(TypeError, match="by_comma"):
        deserialize_keras_object(config)
    again = deserialize_keras_object(config, custom_objects={"by_comma": by_comma})
    assert again(["a b,x,c"]).tolist() == [[2, 1, 3]]


def test_copies():
    layer = TextVectorization()
    layer.adapt(["b a b"])
    assert copy.deepcopy(layer)(["a b c"]).tolist() == [[3, 2, 1]]


@pytest.mark.parametrize("length", [None, 5])
def test_shapes_in_a_model(length):
    layer = TextVectorization(vocabulary=["a"], output_sequence_length=length)
    inputs = keras.Input((1,), dtype="string")
    model = keras.Model(inputs, keras.layers.Embedding(3, 2)(layer(inputs)))
    assert model.output_shape == (None, length, 2)
    assert model.compute_output_shape((7, 1)) == (7, length, 2)
    assert model(np.array([["a a"], ["b"]])).shape == (2, length or 2, 2)


def test_first_in_a_sequential_model_without_an_input():
    layer = TextVectorization(vocabulary=["a", "b"], output_mode="multi_hot")
    model = keras.Sequential([layer, keras.layers.Dense(1)])
    texts = np.array(["a b", "b", "z"])
    model.compile("sgd", "mse")
    model.fit(texts, np.zeros(3), verbose=0)
    assert model.inputs[0].dtype == "string"
    assert model.predict(texts, verbose=0).shape == (3, 1)


def test_in_a_subclassed_model():
    class Classifier(keras.Model):
        def __init__(self):
            super().__init__()
            self.vectors = TextVectorization(vocabulary=["a", "b"], output_mode="count")
            self.dense = keras.layers.Dense(1)

        def call(self, texts):
            return self.dense(self.vectors(texts))

    model = Classifier()
    model.compile("sgd", "mse")
    model.fit(np.array(["a b", "b"]), np.zeros(2), verbose=0)
    assert model.predict(np.array(["a b", "b", "a"]), verbose=0).shape == (3, 1)


def test_strings_for_a_model_of_numbers_and_the_reverse():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="(?s)given: strings.*encode text"):
        model.fit(np.array(["a"]), np.zeros(1), verbose=0)
    texts = keras.Sequential([keras.Input((1,), dtype="string"), TextVectorization()])
    with pytest.raises(ValueError, match="(?s)given: numbers.*astype"):
        texts(np.zeros((1, 1)))
