"""`FeatureSpace` against Keras, and its files in both directions."""

import keras
import numpy as np
import pandas as pd
import pytest
import torch
from oracle import assert_same_error, to_numpy
from torch.utils.data import DataLoader, Dataset

import torchkeras
from torchkeras.registry import deserialize_keras_object, serialize_keras_object

tf = pytest.importorskip("tensorflow")

RNG = np.random.default_rng(0)
DATA = {
    "plain": RNG.normal(size=40).astype("float32"),
    "scaled": RNG.normal(size=40).astype("float32"),
    "normal": RNG.normal(3.0, 2.0, size=40).astype("float32"),
    "bins": RNG.normal(size=40).astype("float32"),
    "code": RNG.integers(0, 9, 40),
    "hashed": RNG.integers(0, 99, 40),
    "word": RNG.choice(["a", "b", "c"], 40),
    "text": RNG.choice(["x", "yy", "zzz"], 40),
}
TYPES = {
    "plain": "float",
    "scaled": "float_rescaled",
    "normal": "float_normalized",
    "bins": "float_discretized",
    "code": "integer_categorical",
    "hashed": "integer_hashed",
    "word": "string_categorical",
    "text": "string_hashed",
}
NUMERIC = sorted(name for name in TYPES if name not in ("word", "text"))


def spaces(make, data=DATA):
    """The same feature space in both libraries, adapted."""
    pair = []
    for library in (torchkeras, keras):
        space = make(library.utils.FeatureSpace, library)
        space.adapt(data)
        pair.append(space)
    return pair


def by_names(mode="concat", names=tuple(TYPES), **kwargs):
    def make(cls, library):
        crosses = [("code", "hashed"), ("bins", "code")]
        features = {name: TYPES[name] for name in names}
        return cls(features, output_mode=mode, crosses=crosses, **kwargs)

    return make


def by_methods(mode):
    def make(cls, library):
        integers = "int" if mode == "dict" else "one_hot"
        return cls(
            {
                "scaled": cls.float_rescaled(2.0, 1.0),
                "bins": cls.float_discretized(5, output_mode=integers),
                "code": cls.integer_categorical(5, 2, output_mode=integers),
                "word": cls.string_categorical(max_tokens=3),
                "text": cls.string_hashed(7, output_mode=integers),
                "plain": cls.feature(
                    "float32", library.layers.Rescaling(3.0, name="three"), "float"
                ),
            },
            output_mode=mode,
            crosses=[cls.cross(("text", "code"), 11, output_mode=integers), ("bins", "word")],
            crossing_dim=6,
        )

    return make


def assert_same(ours, theirs):
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        for name in theirs:
            assert_same(ours[name], theirs[name])
        return
    assert tuple(ours.shape) == tuple(theirs.shape)
    assert ours.dtype == theirs.dtype
    # The mean and variance of a column are those of all of it here, of batches of 32 in Keras.
    np.testing.assert_allclose(to_numpy(ours), to_numpy(theirs), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [by_names, by_methods])
@pytest.mark.parametrize("mode", ["concat", "dict"])
def test_encoding(make, mode):
    ours, theirs = spaces(make(mode))
    data = {name: DATA[name] for name in ours.features}
    assert_same(ours(data), theirs(data))
    columns = {name: value[:, None] for name, value in data.items()}
    assert_same(ours(columns), theirs(columns))
    sample = {name: value[3] for name, value in data.items()}
    assert_same(ours(sample), theirs({name: value.item() for name, value in sample.items()}))
    assert_same(ours(pd.DataFrame(DATA)), ours(data))


def test_other_dimensions():
    ours, theirs = spaces(
        by_names(crossing_dim=5, hashing_dim=6, num_discretization_bins=7, names=NUMERIC)
    )
    assert_same(ours(DATA), theirs({name: DATA[name] for name in NUMERIC}))


class Rows(Dataset):
    def __len__(self):
        return 40

    def __getitem__(self, i):
        return {name: value[i].item() for name, value in DATA.items()}, 0


def test_data_to_learn_from():
    expected = spaces(by_names())[1](DATA)
    data = tf.data.Dataset.from_tensor_slices(DATA)
    rows = [{name: value[i] for name, value in DATA.items()} for i in range(40)]
    labelled = tf.data.Dataset.from_tensor_slices((DATA, np.zeros(40)))
    for source in (
        data,
        data.batch(32),
        labelled.batch(32),
        pd.DataFrame(DATA),
        rows,
        iter(rows),
        DataLoader(Rows(), batch_size=32),
        {name: torch.tensor(v) if v.dtype.kind != "U" else v for name, v in DATA.items()},
    ):
        space = by_names()(torchkeras.utils.FeatureSpace, torchkeras)
        space.adapt(source)
        assert_same(space(DATA), expected)


def test_learning_anew():
    space = by_names()(torchkeras.utils.FeatureSpace, torchkeras)
    space.adapt({name: value[:2] for name, value in DATA.items()})
    space.adapt(DATA)
    assert_same(space(DATA), spaces(by_names())[1](DATA))


def test_nothing_to_learn():
    def make(cls, library):
        layers = library.layers
        vectors = layers.TextVectorization(vocabulary=["x", "zzz"], output_sequence_length=2)
        return cls(
            {
                "hashed": "integer_hashed",
                "text": cls.feature("string", vectors, "int"),
                "normal": cls.feature(
                    "float32", layers.Normalization(mean=3.0, variance=4.0), "float"
                ),
            },
            output_mode="dict",
        )

    spaces_ = [make(k.utils.FeatureSpace, k) for k in (torchkeras, keras)]
    data = {name: DATA[name] for name in ("hashed", "text", "normal")}
    assert_same(spaces_[0](data), spaces_[1](data))


def test_tf_idf():
    def make(cls, library):
        layer = library.layers.TextVectorization(output_mode="tf_idf")
        return cls({"text": cls.feature("string", layer, "float")})

    data = {"text": np.array(["one two", "two", "three two one"])}
    ours, theirs = spaces(make, data)
    assert_same(ours(data), theirs(data))


@pytest.mark.parametrize("mode", ["concat", "dict"])
def test_configs(mode):
    for make in (by_names, by_methods):
        ours, theirs = spaces(make(mode))
        strip = _without_auto_names
        assert strip(serialize_keras_object(ours)) == strip(
            keras.saving.serialize_keras_object(theirs)
        )
        again = deserialize_keras_object(keras.saving.serialize_keras_object(theirs))
        assert strip(again.get_config()) == strip(theirs.get_config())


def _without_auto_names(config):
    if isinstance(config, dict):
        return {
            key: _without_auto_names(value)
            for key, value in config.items()
            if not (key == "name" and str(value).endswith("preprocessor"))
        }
    if isinstance(config, (list, tuple)):
        return [_without_auto_names(item) for item in config]
    return config


def test_symbolic_features_and_models():
    ours, theirs = spaces(by_names(names=NUMERIC))
    found = []
    for library, space in ((torchkeras, ours), (keras, theirs)):
        features = space.get_encoded_features()
        assert list(space.get_inputs()) == NUMERIC
        model = library.Model(dict(space.get_inputs()), features)
        found.append(model.predict({n: DATA[n][:, None] for n in NUMERIC}, verbose=0))
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-5)


def test_a_model_with_columns_of_strings():
    space = spaces(by_names())[0]
    outputs = torchkeras.layers.Dense(1)(space.get_encoded_features())
    model = torchkeras.Model(space.get_inputs(), outputs)
    model.compile("sgd", "mse")
    model.fit(DATA, np.zeros(40), verbose=0)
    data = tf.data.Dataset.from_tensor_slices((DATA, np.zeros(40))).batch(8)
    model.evaluate(data, verbose=0)
    whole = torchkeras.Model(space.get_inputs(), space.get_encoded_features())
    np.testing.assert_allclose(whole.predict(DATA, verbose=0), space(DATA), rtol=1e-5)


@pytest.mark.parametrize("batch", [None, 8])
def test_in_tf_data(batch):
    space = spaces(by_names())[0]
    data = tf.data.Dataset.from_tensor_slices((DATA, np.zeros(40)))
    data = data if batch is None else data.batch(batch)
    found = list(data.map(lambda x, y: (space(x), y)).as_numpy_iterator())
    join = np.stack if batch is None else np.concatenate
    np.testing.assert_allclose(join([x for x, _ in found]), space(DATA), rtol=1e-6)


@pytest.mark.parametrize("mode", ["concat", "dict"])
@pytest.mark.parametrize("direction", ["to Keras", "from Keras", "own"])
def test_files(tmp_path, direction, mode):
    ours, theirs = spaces(by_names(mode))
    source = theirs if direction == "from Keras" else ours
    load = (keras if direction == "to Keras" else torchkeras).models.load_model
    source.save(str(tmp_path / "space.keras"))
    again = load(str(tmp_path / "space.keras"))
    assert_same(again(DATA), source(DATA))
    again.save(str(tmp_path / "again.keras"))
    assert_same(load(str(tmp_path / "again.keras"))(DATA), source(DATA))


@pytest.mark.parametrize(
    "action",
    [
        lambda cls: cls({}),
        lambda cls: cls({"a": "float_scaled"}),
        lambda cls: cls({"a": "float"}, output_mode="list"),
        lambda cls: cls({"a": "integer_hashed", "b": "integer_hashed"}, crosses=[("a", "c")]),
        lambda cls: cls(
            {"a": "integer_hashed", "b": "integer_hashed"}, crosses=[("a", "b")], crossing_dim=None
        ),
        lambda cls: cls({"a": "integer_categorical"})({"a": [1]}),
        lambda cls: cls({"a": "integer_categorical"}).get_encoded_features(),
        lambda cls: cls({"a": "float"})([1.0]),
        lambda cls: cls({"a": "float_normalized"}).adapt(3),
        lambda cls: cls.cross(("a", "b"), 3, output_mode="float"),
        lambda cls: cls.feature("float32", None, "vector"),
        lambda cls: cls({"a": cls.integer_hashed(3, output_mode="int")})({"a": [1]}),
    ],
)
def test_errors(action):
    assert_same_error(lambda k: action(k.utils.FeatureSpace))
