"""`FeatureSpace`: errors, data, and what it is made of."""

import numpy as np
import pandas as pd
import pytest
import torch

import torchkeras as keras
from torchkeras.layers import Discretization, IntegerLookup, StringLookup, TextVectorization
from torchkeras.utils import FeatureSpace

DATA = {"size": [1.0, 2.0, 3.0], "kind": ["a", "b", "a"]}


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (lambda: FeatureSpace({"a": "float_normalised"}), "Did you mean 'float_normalized'"),
        (lambda: FeatureSpace({"a": "float"}, crosses=[("a", "b")]), r"unknown: \['b'\]"),
        (lambda: FeatureSpace({"a": "float"})({"b": [1.0]}), "no column 'a'"),
        (lambda: FeatureSpace({"a": "float"})(3), "with a dict"),
        (lambda: FeatureSpace({"size": "float_normalized"}).adapt({"sizes": [1.0]}), "Did you"),
        (lambda: FeatureSpace({"size": "float_normalized"}).adapt(7), "iterable"),
        (
            lambda: FeatureSpace(
                {"a": FeatureSpace.integer_hashed(3, output_mode="int")}
            ).get_encoded_features(),
            "output_mode='dict'",
        ),
        (
            lambda: FeatureSpace(
                {"a": FeatureSpace.feature("float32", keras.layers.Rescaling(1.0), "one_hot")}
            )({"a": [1.0]}),
            "integer dtype",
        ),
    ],
)
def test_errors(action, words):
    with pytest.raises(ValueError, match=words):
        action()


def test_columns_that_are_no_features_are_left_out():
    space = FeatureSpace({"size": "float"})
    assert space({**DATA, "more": [1, 2, 3]}).tolist() == [[1.0], [2.0], [3.0]]
    assert space(pd.DataFrame(DATA)).tolist() == [[1.0], [2.0], [3.0]]


def test_layers_with_what_they_need_are_not_adapted():
    features = {
        "a": FeatureSpace.feature("string", StringLookup(vocabulary=["a"]), "one_hot"),
        "b": FeatureSpace.feature("int64", IntegerLookup(vocabulary=[1]), "one_hot"),
        "c": FeatureSpace.feature("float32", Discretization([0.0]), "one_hot"),
        "d": FeatureSpace.feature(
            "string", TextVectorization(vocabulary=["x"], output_mode="count"), "float"
        ),
    }
    space = FeatureSpace(features)
    found = space({"a": ["a", "q"], "b": [1, 5], "c": [-1.0, 1.0], "d": ["x x", "y"]})
    assert found.tolist() == [
        [0, 1, 0, 1, 1, 0, 0, 2],
        [1, 0, 1, 0, 0, 1, 1, 0],
    ]


def test_what_it_is_made_of():
    space = FeatureSpace(
        {"size": "float_normalized", "kind": "string_categorical"}, crosses=[("kind", "kind")]
    )
    space.adapt(DATA)
    assert space.preprocessors["kind"].get_vocabulary() == ["[UNK]", "a", "b"]
    assert list(space.crossers) == ["kind_X_kind"]
    assert {layer.name for layer in space._flatten_layers()} >= {"size_preprocessor"}
    assert len(space.variables) == 3  # of the normalization


def test_an_iterator_of_single_rows():
    space = FeatureSpace({"size": "float_normalized", "kind": "string_categorical"})
    rows = ({name: values[i] for name, values in DATA.items()} for i in range(3))
    space.adapt(rows)
    whole = FeatureSpace({"size": "float_normalized", "kind": "string_categorical"})
    whole.adapt(DATA)
    assert torch.allclose(space(DATA), whole(DATA))


def test_training_on_a_table(tmp_path):
    space = FeatureSpace({"size": "float_normalized", "kind": "string_categorical"})
    space.adapt(DATA)
    encoded = space.get_encoded_features()
    training = keras.Model(encoded, keras.layers.Dense(1)(encoded))
    training.compile("sgd", "mse")
    training.fit(space(DATA), np.zeros(3), verbose=0)
    inference = keras.Model(space.get_inputs(), training(encoded))
    table = {name: np.array(values) for name, values in DATA.items()}
    expected = training.predict(space(DATA), verbose=0)
    np.testing.assert_allclose(inference.predict(table, verbose=0), expected, rtol=1e-6)
    inference.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(table, verbose=0), expected, rtol=1e-6)
